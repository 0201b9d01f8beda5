// SPDX-License-Identifier: GPL-2.0
/*
 * The ACPI fixed hardware that is not a timer. The machine is always in ACPI mode (there is no
 * SMI). The SCI is a level: it is up while an enabled event waits.
 *
 * Locks: the device's.
 */
#include <string.h>

#include "dev/pm.h"

#define STATUS_POWER_BUTTON	(1U << 8)
#define STATUS_WAKE		(1U << 15)
#define STATUS_BITS		(STATUS_POWER_BUTTON | STATUS_WAKE)
#define ENABLE_BITS		0x0721U		/* timer, global lock, buttons, RTC */

#define CONTROL_SCI_ENABLE	(1U << 0)
#define CONTROL_SLEEP_TYPE(c)	((c) >> 10 & 7)
#define CONTROL_SLEEP_ENABLE	(1U << 13)
#define CONTROL_KEPT		0x1c02U		/* sleep type, bus master reload */

static void update(struct pm *pm)
{
	irq_set(&pm->sci, pm->status & pm->enable & STATUS_POWER_BUTTON);
}

static uint8_t get_byte(const struct pm *pm, uint64_t offset)
{
	const uint16_t reg[3] = { pm->status, pm->enable, pm->control | CONTROL_SCI_ENABLE };

	return reg[offset / 2] >> 8 * (offset % 2);
}

static uint64_t pm_read(struct device *device, uint64_t offset, unsigned int size)
{
	const struct pm *pm = (struct pm *)device;
	uint64_t value = 0;
	unsigned int i;

	for (i = 0; i < size && offset + i < PM_LENGTH; i++)
		value |= (uint64_t)get_byte(pm, offset + i) << 8 * i;
	return value;
}

static void write_control(struct pm *pm, uint16_t mask, uint16_t value)
{
	pm->control = (pm->control & ~mask) | (value & mask & CONTROL_KEPT);
	if (!(value & mask & CONTROL_SLEEP_ENABLE))
		return;
	if (CONTROL_SLEEP_TYPE(pm->control) == PM_SLEEP_TYPE_OFF)
		power_event(&pm->power, POWER_OFF, 0);
	else
		/* Other states are not offered: wake at once. */
		pm->status |= STATUS_WAKE;
}

/* @mask: the bits of the register that are written. */
static void write_register(struct pm *pm, unsigned int index, uint16_t mask, uint16_t value)
{
	switch (index) {
	case 0:
		pm->status &= ~(value & mask & STATUS_BITS);
		break;
	case 1:
		pm->enable = ((pm->enable & ~mask) | (value & mask)) & ENABLE_BITS;
		break;
	case 2:
		write_control(pm, mask, value);
		break;
	}
	update(pm);
}

static void pm_write(struct device *device, uint64_t offset, uint64_t value, unsigned int size)
{
	struct pm *pm = (struct pm *)device;
	unsigned int i = 0;

	while (i < size && offset + i < PM_LENGTH) {
		unsigned int index = (offset + i) / 2;
		unsigned int high = (offset + i) % 2;

		if (!high && size - i >= 2) {
			write_register(pm, index, 0xffff, value >> 8 * i);
			i += 2;
		} else {
			write_register(pm, index, 0xff << 8 * high,
				       (value >> 8 * i & 0xff) << 8 * high);
			i++;
		}
	}
}

void pm_press_button(struct pm *pm)
{
	pthread_mutex_lock(&pm->device.lock);
	pm->status |= STATUS_POWER_BUTTON;
	update(pm);
	pthread_mutex_unlock(&pm->device.lock);
}

void pm_init(struct pm *pm, struct irq_line sci, struct power power)
{
	memset(pm, 0, sizeof(*pm));
	pm->device = (struct device){
		.name = "pm", .width = 4, .read = pm_read, .write = pm_write,
	};
	device_init(&pm->device);
	pm->sci = sci;
	pm->power = power;
}
