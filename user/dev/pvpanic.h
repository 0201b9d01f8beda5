/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The pvpanic port: a guest's kernel says that it panicked.
 */
#ifndef HULL_DEV_PVPANIC_H
#define HULL_DEV_PVPANIC_H

#include "machine/bus.h"
#include "machine/power.h"

#define PVPANIC_PORT	0x505

struct pvpanic {
	struct device device;
	struct power power;
};

void pvpanic_init(struct pvpanic *pvpanic, struct power power);

#endif
