// SPDX-License-Identifier: GPL-2.0
/*
 * Port 0xcf9 resets the machine. It lies within the PCI configuration address register, which is
 * 4 bytes wide: only an access of one byte is meant for it. There is no PCI: configuration reads
 * as all ones.
 *
 * Locks: the device's.
 */
#include <string.h>

#include "dev/reset.h"

#define CONTROL_RESET	0x04
#define CONTROL_KEPT	0x0a	/* hard reset, full reset */

static uint64_t reset_read(struct device *device, uint64_t offset, unsigned int size)
{
	const struct reset *reset = (struct reset *)device;

	if (size == 1 && offset == RESET_PORT - PCI_CONFIG_PORT)
		return reset->control;
	return UINT64_MAX;
}

static void reset_write(struct device *device, uint64_t offset, uint64_t value, unsigned int size)
{
	struct reset *reset = (struct reset *)device;

	if (size != 1 || offset != RESET_PORT - PCI_CONFIG_PORT)
		return;
	reset->control = value & CONTROL_KEPT;
	if (value & CONTROL_RESET)
		power_event(&reset->power, POWER_RESET, 0);
}

void reset_init(struct reset *reset, struct power power)
{
	memset(reset, 0, sizeof(*reset));
	reset->device = (struct device){
		.name = "reset", .width = 4, .read = reset_read, .write = reset_write,
	};
	device_init(&reset->device);
	reset->power = power;
}
