/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Interrupt lines, as a device sees them: a level. Who gets it is the machine's business.
 */
#ifndef HULL_MACHINE_IRQ_H
#define HULL_MACHINE_IRQ_H

#include <stdbool.h>

#define IRQ_SERIAL	4
#define IRQ_RTC		8
#define IRQ_SCI		9

/* One user: the device that drives it, under that device's lock. */
struct irq_line {
	void (*set)(void *opaque, unsigned int gsi, bool level);
	void *opaque;
	unsigned int gsi;
	bool level;
};

void irq_set(struct irq_line *line, bool level);

#endif
