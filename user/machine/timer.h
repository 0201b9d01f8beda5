/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Time, as a device sees it: the host's clock and one alarm.
 */
#ifndef HULL_MACHINE_TIMER_H
#define HULL_MACHINE_TIMER_H

#include <stdint.h>

#define NSEC_PER_SEC	1000000000ULL

/* Real time in ns since 1970, UTC; and: call the device's expiry function at @at, 0: never. */
struct timer {
	uint64_t (*now)(void *opaque);
	void (*arm)(void *opaque, uint64_t at);
	void *opaque;
};

static inline uint64_t timer_now(const struct timer *timer)
{
	return timer->now(timer->opaque);
}

static inline void timer_arm(const struct timer *timer, uint64_t at)
{
	if (timer->arm)
		timer->arm(timer->opaque, at);
}

#endif
