/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ACPI power management: PM1 events (the power button) and PM1 control (soft off).
 */
#ifndef HULL_DEV_PM_H
#define HULL_DEV_PM_H

#include "machine/bus.h"
#include "machine/irq.h"
#include "machine/power.h"

#define PM_PORT			0x600
#define PM_EVENT_PORT		0x600	/* status and enable, 2 bytes each */
#define PM_CONTROL_PORT		0x604
#define PM_LENGTH		6
#define PM_TIMER_PORT		0x608	/* kept by the module */

#define PM_SLEEP_TYPE_OFF	5	/* as \_S5 in dsdt.asl says */

struct pm {
	struct device device;
	struct irq_line sci;
	struct power power;
	uint16_t status;
	uint16_t enable;
	uint16_t control;
};

void pm_init(struct pm *pm, struct irq_line sci, struct power power);

/* The user presses the power button. Any thread. */
void pm_press_button(struct pm *pm);

#endif
