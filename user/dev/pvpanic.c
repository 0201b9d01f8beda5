// SPDX-License-Identifier: GPL-2.0
/*
 * pvpanic as QEMU documents it: reading gives the events that are understood, writing reports.
 *
 * Locks: the device's.
 */
#include "dev/pvpanic.h"

#define PVPANIC_PANICKED	(1U << 0)
#define PVPANIC_CRASH_LOADED	(1U << 1)	/* a crash kernel takes over: do not end it */

static uint64_t pvpanic_read(struct device *device, uint64_t offset, unsigned int size)
{
	(void)device;
	(void)offset;
	(void)size;
	return PVPANIC_PANICKED | PVPANIC_CRASH_LOADED;
}

static void pvpanic_write(struct device *device, uint64_t offset, uint64_t value,
			  unsigned int size)
{
	const struct pvpanic *pvpanic = (struct pvpanic *)device;

	(void)offset;
	(void)size;
	if (value & PVPANIC_PANICKED)
		power_event(&pvpanic->power, POWER_PANIC, 0);
	else if (value & PVPANIC_CRASH_LOADED)
		power_event(&pvpanic->power, POWER_CRASH_KERNEL, 0);
}

void pvpanic_init(struct pvpanic *pvpanic, struct power power)
{
	pvpanic->device = (struct device){
		.name = "pvpanic", .width = 1, .read = pvpanic_read, .write = pvpanic_write,
	};
	device_init(&pvpanic->device);
	pvpanic->power = power;
}
