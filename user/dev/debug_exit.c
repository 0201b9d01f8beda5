// SPDX-License-Identifier: GPL-2.0
/*
 * For tests: a guest says how it ended. Present with --debug-exit only.
 *
 * Locks: the device's.
 */
#include "dev/debug_exit.h"

static uint64_t debug_exit_read(struct device *device, uint64_t offset, unsigned int size)
{
	(void)device;
	(void)offset;
	(void)size;
	return 0;
}

static void debug_exit_write(struct device *device, uint64_t offset, uint64_t value,
			     unsigned int size)
{
	const struct debug_exit *debug_exit = (struct debug_exit *)device;

	(void)size;
	if (!offset)
		power_event(&debug_exit->power, POWER_DEBUG_EXIT, (value << 1 | 1) & 0xff);
}

void debug_exit_init(struct debug_exit *debug_exit, struct power power)
{
	debug_exit->device = (struct device){
		.name = "debug-exit", .width = 4,
		.read = debug_exit_read, .write = debug_exit_write,
	};
	device_init(&debug_exit->device);
	debug_exit->power = power;
}
