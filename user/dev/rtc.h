/* SPDX-License-Identifier: GPL-2.0 */
/*
 * MC146818 real-time clock and CMOS memory.
 */
#ifndef HULL_DEV_RTC_H
#define HULL_DEV_RTC_H

#include <time.h>

#include "machine/bus.h"
#include "machine/irq.h"
#include "machine/timer.h"

#define RTC_PORT	0x70
#define RTC_LENGTH	2
#define RTC_CENTURY	0x32	/* register that holds the century; the FADT says so */
#define RTC_REGISTERS	128

struct rtc {
	struct device device;
	struct irq_line irq;
	struct timer timer;
	uint8_t index;
	uint8_t cmos[RTC_REGISTERS];
	int64_t offset;			/* guest's clock minus the host's, seconds */
	struct tm halted;		/* what the guest sees while updates are halted */
	uint64_t seen_update;		/* second the last update interrupt was for */
	uint64_t next_period;		/* ns, 0: off */
};

void rtc_init(struct rtc *rtc, struct irq_line irq, struct timer timer, uint64_t low_memory,
	      uint64_t high_memory);

/* The alarm the device armed went off. Any thread. */
void rtc_expired(struct rtc *rtc);

#endif
