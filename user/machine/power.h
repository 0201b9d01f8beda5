/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a device tells the machine about its end.
 */
#ifndef HULL_MACHINE_POWER_H
#define HULL_MACHINE_POWER_H

enum power_event {
	POWER_OFF,
	POWER_RESET,
	POWER_PANIC,
	POWER_CRASH_KERNEL,	/* the guest panicked and now saves its memory itself */
	POWER_DEBUG_EXIT,	/* with a value */
};

/* Called under the device's lock, on any thread. */
struct power {
	void (*event)(void *opaque, enum power_event event, unsigned int value);
	void *opaque;
};

static inline void power_event(const struct power *power, enum power_event event,
			       unsigned int value)
{
	if (power->event)
		power->event(power->opaque, event, value);
}

#endif
