/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A 16550A serial port.
 */
#ifndef HULL_DEV_SERIAL_H
#define HULL_DEV_SERIAL_H

#include <stddef.h>

#include "machine/bus.h"
#include "machine/irq.h"

#define SERIAL_PORT	0x3f8
#define SERIAL_LENGTH	8
#define SERIAL_FIFO	16

/* The other end of the line. Called under the device's lock. */
struct serial_line {
	void (*output)(void *opaque, uint8_t byte);
	void (*room)(void *opaque);	/* there is room for input after a receive took less */
	void *opaque;
};

struct serial {
	struct device device;
	struct irq_line irq;
	struct serial_line line;
	uint16_t fifo[SERIAL_FIFO];	/* a byte and its LSR bits */
	unsigned int head;
	unsigned int count;
	bool thr_empty;			/* interrupt pending: not yet seen in IIR */
	bool starved;			/* input waits for room */
	uint8_t ier, fcr, lcr, mcr, scratch;
	uint8_t lsr_errors;
	uint8_t msr_delta;
	uint16_t divisor;
};

void serial_init(struct serial *serial, struct irq_line irq, struct serial_line line);

/* Input from any thread; returns the number of bytes taken, the rest has to wait for room(). */
size_t serial_receive(struct serial *serial, const uint8_t *data, size_t size);
void serial_receive_break(struct serial *serial);

#endif
