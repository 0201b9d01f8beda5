// SPDX-License-Identifier: GPL-2.0
/*
 * Port 0xcf9 resets the machine. It lies within the PCI configuration address register, which is
 * 4 bytes wide: only an access of one byte is meant for it. All others are PCI's; where there is
 * none, configuration reads as all ones.
 *
 * Locks: the device's, and PCI's inside it.
 */
#include <string.h>

#include "dev/reset.h"

#define CONTROL_RESET	0x04
#define CONTROL_KEPT	0x0a	/* hard reset, full reset */

static uint64_t reset_read(struct device *device, uint64_t offset, unsigned int size)
{
	const struct reset *reset = (struct reset *)device;
	uint64_t value = UINT64_MAX;

	if (size == 1 && offset == RESET_PORT - PCI_CONFIG_PORT)
		return reset->control;
	if (reset->pci) {
		pthread_mutex_lock(&reset->pci->lock);
		value = reset->pci->read(reset->pci, offset, size);
		pthread_mutex_unlock(&reset->pci->lock);
	}
	return value;
}

static void reset_write(struct device *device, uint64_t offset, uint64_t value, unsigned int size)
{
	struct reset *reset = (struct reset *)device;

	if (size != 1 || offset != RESET_PORT - PCI_CONFIG_PORT) {
		if (!reset->pci)
			return;
		pthread_mutex_lock(&reset->pci->lock);
		reset->pci->write(reset->pci, offset, value, size);
		pthread_mutex_unlock(&reset->pci->lock);
		return;
	}
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
