// SPDX-License-Identifier: GPL-2.0
/*
 * The clock is the host's, in UTC, plus an offset that grows when the guest sets it. Registers of
 * time and date are computed when they are read. Update, alarm and periodic interrupts are driven
 * by one alarm of the machine, armed only while one of them is enabled.
 *
 * Locks: the device's.
 */
#include <string.h>
#include <time.h>

#include "dev/rtc.h"

enum {
	REG_SECONDS, REG_SECONDS_ALARM, REG_MINUTES, REG_MINUTES_ALARM, REG_HOURS,
	REG_HOURS_ALARM, REG_WEEKDAY, REG_DAY, REG_MONTH, REG_YEAR, REG_A, REG_B, REG_C, REG_D,
};

#define REG_BASE_MEMORY		0x15
#define REG_EXTENDED_MEMORY	0x17	/* KiB above 1 MiB, at most 63 MiB */
#define REG_EXTENDED_MEMORY2	0x30
#define REG_MEMORY_16M		0x34	/* 64 KiB above 16 MiB */
#define REG_MEMORY_4G		0x5b	/* 64 KiB above 4 GiB, 3 bytes */

#define A_UPDATING		0x80
#define A_RATE			0x0f
#define A_START			0x26	/* 32768 Hz, 1024 Hz */

#define B_HALT			0x80
#define B_PERIODIC		0x40
#define B_ALARM			0x20
#define B_UPDATE		0x10
#define B_BINARY		0x04
#define B_24_HOURS		0x02

#define C_INTERRUPT		0x80
#define C_PERIODIC		0x40
#define C_ALARM			0x20
#define C_UPDATE		0x10

#define D_VALID			0x80

#define HOUR_PM			0x80
#define ALARM_ANY		0xc0

#define UPDATE_NS		244000ULL	/* the update flag is up so long before it */
#define OSCILLATOR_HZ		32768ULL

static uint8_t encode(const struct rtc *rtc, unsigned int value)
{
	return rtc->cmos[REG_B] & B_BINARY ? value : (value / 10 % 10) << 4 | value % 10;
}

static unsigned int decode(const struct rtc *rtc, uint8_t value)
{
	return rtc->cmos[REG_B] & B_BINARY ? value : (value >> 4) * 10 + (value & 0xf);
}

static uint8_t encode_hour(const struct rtc *rtc, unsigned int hour)
{
	if (rtc->cmos[REG_B] & B_24_HOURS)
		return encode(rtc, hour);
	return encode(rtc, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOUR_PM : 0);
}

static unsigned int decode_hour(const struct rtc *rtc, uint8_t value)
{
	if (rtc->cmos[REG_B] & B_24_HOURS)
		return decode(rtc, value);
	return decode(rtc, value & ~HOUR_PM) % 12 + (value & HOUR_PM ? 12 : 0);
}

static int64_t host_seconds(const struct rtc *rtc)
{
	return timer_now(&rtc->timer) / NSEC_PER_SEC;
}

static void broken_down(const struct rtc *rtc, struct tm *tm)
{
	time_t now = host_seconds(rtc) + rtc->offset;

	if (rtc->cmos[REG_B] & B_HALT)
		*tm = rtc->halted;
	else if (!gmtime_r(&now, tm))
		memset(tm, 0, sizeof(*tm));
}

static uint8_t read_time(const struct rtc *rtc, uint8_t reg)
{
	struct tm tm;

	broken_down(rtc, &tm);
	switch (reg) {
	case REG_SECONDS:
		return encode(rtc, tm.tm_sec);
	case REG_MINUTES:
		return encode(rtc, tm.tm_min);
	case REG_HOURS:
		return encode_hour(rtc, tm.tm_hour);
	case REG_WEEKDAY:
		return encode(rtc, tm.tm_wday + 1);
	case REG_DAY:
		return encode(rtc, tm.tm_mday);
	case REG_MONTH:
		return encode(rtc, tm.tm_mon + 1);
	case REG_YEAR:
		return encode(rtc, (tm.tm_year + 1900) % 100);
	default:
		return encode(rtc, (tm.tm_year + 1900) / 100);
	}
}

static unsigned int clamp(unsigned int value, unsigned int low, unsigned int high)
{
	return value < low ? low : value > high ? high : value;
}

/*
 * The guest sets one register, the others stay. While the clock is halted a date on its way from
 * one to another need not exist (31 February); it counts when the clock goes on.
 */
static void write_time(struct rtc *rtc, uint8_t reg, uint8_t value)
{
	unsigned int number = decode(rtc, value);
	struct tm tm;
	int year;

	broken_down(rtc, &tm);
	year = tm.tm_year + 1900;
	switch (reg) {
	case REG_SECONDS:
		tm.tm_sec = clamp(number, 0, 59);
		break;
	case REG_MINUTES:
		tm.tm_min = clamp(number, 0, 59);
		break;
	case REG_HOURS:
		tm.tm_hour = clamp(decode_hour(rtc, value), 0, 23);
		break;
	case REG_DAY:
		tm.tm_mday = clamp(number, 1, 31);
		break;
	case REG_MONTH:
		tm.tm_mon = clamp(number, 1, 12) - 1;
		break;
	case REG_YEAR:
		tm.tm_year = year - year % 100 + (int)clamp(number, 0, 99) - 1900;
		break;
	case RTC_CENTURY:
		tm.tm_year = (int)clamp(number, 19, 99) * 100 + year % 100 - 1900;
		break;
	default:
		return;		/* the day of the week follows from the date */
	}
	if (rtc->cmos[REG_B] & B_HALT)
		rtc->halted = tm;
	else
		rtc->offset = timegm(&tm) - host_seconds(rtc);
}

/* ---- interrupts ---------------------------------------------------------------------------- */

static void update(struct rtc *rtc)
{
	/* Flags in C stand where their enables stand in B. */
	if (rtc->cmos[REG_B] & rtc->cmos[REG_C] & (B_PERIODIC | B_ALARM | B_UPDATE))
		rtc->cmos[REG_C] |= C_INTERRUPT;
	else
		rtc->cmos[REG_C] &= ~C_INTERRUPT;
	irq_set(&rtc->irq, rtc->cmos[REG_C] & C_INTERRUPT);
}

/* Time between periodic interrupts in ns, 0: none. */
static uint64_t period(const struct rtc *rtc)
{
	unsigned int rate = rtc->cmos[REG_A] & A_RATE;

	if (!(rtc->cmos[REG_B] & B_PERIODIC) || !rate)
		return 0;
	if (rate < 3)
		rate += 7;
	return (1ULL << (rate - 1)) * NSEC_PER_SEC / OSCILLATOR_HZ;
}

static void arm(struct rtc *rtc)
{
	uint64_t at = rtc->next_period;

	if (rtc->cmos[REG_B] & (B_ALARM | B_UPDATE) && !(rtc->cmos[REG_B] & B_HALT)) {
		uint64_t tick = (timer_now(&rtc->timer) / NSEC_PER_SEC + 1) * NSEC_PER_SEC;

		if (!at || tick < at)
			at = tick;
	}
	timer_arm(&rtc->timer, at);
}

/* The rate or what is enabled has changed. */
static void restart(struct rtc *rtc)
{
	uint64_t ns = period(rtc);

	rtc->next_period = ns ? timer_now(&rtc->timer) + ns : 0;
	rtc->seen_update = timer_now(&rtc->timer) / NSEC_PER_SEC;
	arm(rtc);
}

static bool alarm_field(const struct rtc *rtc, uint8_t alarm, uint8_t now)
{
	return (rtc->cmos[alarm] & ALARM_ANY) == ALARM_ANY || rtc->cmos[alarm] == now;
}

static bool alarm_now(const struct rtc *rtc)
{
	return alarm_field(rtc, REG_SECONDS_ALARM, read_time(rtc, REG_SECONDS)) &&
	       alarm_field(rtc, REG_MINUTES_ALARM, read_time(rtc, REG_MINUTES)) &&
	       alarm_field(rtc, REG_HOURS_ALARM, read_time(rtc, REG_HOURS));
}

void rtc_expired(struct rtc *rtc)
{
	uint64_t now, ns;

	pthread_mutex_lock(&rtc->device.lock);
	now = timer_now(&rtc->timer);
	ns = period(rtc);
	if (ns && rtc->next_period && now >= rtc->next_period) {
		rtc->cmos[REG_C] |= C_PERIODIC;
		/* Periods that were missed are lost, as they are while C is not read. */
		rtc->next_period += ((now - rtc->next_period) / ns + 1) * ns;
	}
	if (now / NSEC_PER_SEC != rtc->seen_update && !(rtc->cmos[REG_B] & B_HALT)) {
		rtc->seen_update = now / NSEC_PER_SEC;
		rtc->cmos[REG_C] |= C_UPDATE;
		if (alarm_now(rtc))
			rtc->cmos[REG_C] |= C_ALARM;
	}
	update(rtc);
	arm(rtc);
	pthread_mutex_unlock(&rtc->device.lock);
}

/* ---- registers ----------------------------------------------------------------------------- */

static uint8_t read_a(const struct rtc *rtc)
{
	uint64_t within = timer_now(&rtc->timer) % NSEC_PER_SEC;

	if (!(rtc->cmos[REG_B] & B_HALT) && within >= NSEC_PER_SEC - UPDATE_NS)
		return rtc->cmos[REG_A] | A_UPDATING;
	return rtc->cmos[REG_A];
}

static uint8_t read_c(struct rtc *rtc)
{
	uint8_t value = rtc->cmos[REG_C];

	rtc->cmos[REG_C] = 0;
	update(rtc);
	return value;
}

static void write_b(struct rtc *rtc, uint8_t value)
{
	uint8_t before = rtc->cmos[REG_B];

	if (value & B_HALT)
		value &= ~B_UPDATE;
	if (value & ~before & B_HALT)
		broken_down(rtc, &rtc->halted);
	if (before & ~value & B_HALT)
		rtc->offset = timegm(&rtc->halted) - host_seconds(rtc);
	rtc->cmos[REG_B] = value;
	update(rtc);
	restart(rtc);
}

static uint8_t read_cmos(struct rtc *rtc, uint8_t reg)
{
	switch (reg) {
	case REG_SECONDS: case REG_MINUTES: case REG_HOURS: case REG_WEEKDAY:
	case REG_DAY: case REG_MONTH: case REG_YEAR: case RTC_CENTURY:
		return read_time(rtc, reg);
	case REG_A:
		return read_a(rtc);
	case REG_C:
		return read_c(rtc);
	default:
		return rtc->cmos[reg];
	}
}

static void write_cmos(struct rtc *rtc, uint8_t reg, uint8_t value)
{
	switch (reg) {
	case REG_SECONDS: case REG_MINUTES: case REG_HOURS: case REG_WEEKDAY:
	case REG_DAY: case REG_MONTH: case REG_YEAR: case RTC_CENTURY:
		write_time(rtc, reg, value);
		break;
	case REG_A:
		rtc->cmos[REG_A] = value & ~A_UPDATING;
		restart(rtc);
		break;
	case REG_B:
		write_b(rtc, value);
		break;
	case REG_C: case REG_D:
		break;
	default:
		rtc->cmos[reg] = value;
		break;
	}
}

static uint64_t rtc_read(struct device *device, uint64_t offset, unsigned int size)
{
	struct rtc *rtc = (struct rtc *)device;

	(void)size;
	/* The index port cannot be read. */
	return offset ? read_cmos(rtc, rtc->index) : 0xff;
}

static void rtc_write(struct device *device, uint64_t offset, uint64_t value, unsigned int size)
{
	struct rtc *rtc = (struct rtc *)device;

	(void)size;
	if (offset)
		write_cmos(rtc, rtc->index, value);
	else
		/* Bit 7 masks NMIs, of which there are none from the chipset. */
		rtc->index = value & (RTC_REGISTERS - 1);
}

static void put_number(struct rtc *rtc, uint8_t reg, uint64_t value, unsigned int bytes)
{
	for (; bytes; bytes--, value >>= 8)
		rtc->cmos[reg++] = value;
}

static void put_memory(struct rtc *rtc, uint64_t low, uint64_t high)
{
	uint64_t extended = low > (1ULL << 20) ? (low - (1ULL << 20)) / 1024 : 0;
	uint64_t above_16m = low > (16ULL << 20) ? (low - (16ULL << 20)) / 65536 : 0;

	if (extended > 0xfc00)
		extended = 0xfc00;
	put_number(rtc, REG_BASE_MEMORY, 640, 2);
	put_number(rtc, REG_EXTENDED_MEMORY, extended, 2);
	put_number(rtc, REG_EXTENDED_MEMORY2, extended, 2);
	put_number(rtc, REG_MEMORY_16M, above_16m, 2);
	put_number(rtc, REG_MEMORY_4G, high / 65536, 3);
}

void rtc_init(struct rtc *rtc, struct irq_line irq, struct timer timer, uint64_t low_memory,
	      uint64_t high_memory)
{
	memset(rtc, 0, sizeof(*rtc));
	rtc->device = (struct device){
		.name = "rtc", .width = 1, .read = rtc_read, .write = rtc_write,
	};
	device_init(&rtc->device);
	rtc->irq = irq;
	rtc->timer = timer;
	rtc->cmos[REG_A] = A_START;
	rtc->cmos[REG_B] = B_24_HOURS;
	rtc->cmos[REG_D] = D_VALID;
	put_memory(rtc, low_memory, high_memory);
}
