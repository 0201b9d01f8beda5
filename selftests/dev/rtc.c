// SPDX-License-Identifier: GPL-2.0
/* The clock: reading, setting, formats, the update flag, the three interrupts; CMOS memory. */
#include <string.h>
#include <time.h>

#include "dev/rtc.h"
#include "test.h"

#define START	951827696ULL	/* 2000-02-29 12:34:56, a Tuesday */

static struct rtc rtc;
static uint64_t now;
static uint64_t armed;
static bool level;

static uint64_t get_now(void *opaque)
{
	(void)opaque;
	return now;
}

static void arm(void *opaque, uint64_t at)
{
	(void)opaque;
	armed = at;
}

static void on_irq(void *opaque, unsigned int gsi, bool up)
{
	(void)opaque;
	EXPECT_EQ(IRQ_RTC, gsi);
	level = up;
}

static void start(void)
{
	struct irq_line irq = { .set = on_irq, .gsi = IRQ_RTC };
	struct timer timer = { get_now, arm, NULL };

	now = START * NSEC_PER_SEC;
	armed = 0;
	level = false;
	rtc_init(&rtc, irq, timer, 3ULL << 30, 512ULL << 20);
}

static uint8_t get(uint8_t reg)
{
	out8(&rtc.device, 0, reg | 0x80);
	return in8(&rtc.device, 1);
}

static void set(uint8_t reg, uint8_t value)
{
	out8(&rtc.device, 0, reg);
	out8(&rtc.device, 1, value);
}

/* Lets time pass, and the alarm go off when it is due. */
static void pass(uint64_t ns)
{
	uint64_t end = now + ns;

	while (armed && armed <= end) {
		now = armed;
		armed = 0;
		rtc_expired(&rtc);
	}
	now = end;
}

static void expect_date(unsigned int century, unsigned int year, unsigned int month,
			unsigned int day, unsigned int hour, unsigned int minute,
			unsigned int second)
{
	EXPECT_EQ(century, get(0x32));
	EXPECT_EQ(year, get(9));
	EXPECT_EQ(month, get(8));
	EXPECT_EQ(day, get(7));
	EXPECT_EQ(hour, get(4));
	EXPECT_EQ(minute, get(2));
	EXPECT_EQ(second, get(0));
}

static void test_read(void)
{
	start();
	EXPECT_EQ(0x02, get(0x0b));
	EXPECT_EQ(0x80, get(0x0d));
	expect_date(0x20, 0x00, 0x02, 0x29, 0x12, 0x34, 0x56);
	EXPECT_EQ(3, get(6));
	pass(4 * NSEC_PER_SEC);
	expect_date(0x20, 0x00, 0x02, 0x29, 0x12, 0x35, 0x00);
}

static void test_formats(void)
{
	start();
	set(0x0b, 0x06);
	expect_date(20, 0, 2, 29, 12, 34, 56);
	set(0x0b, 0x00);
	EXPECT_EQ(0x92, get(4));
	now += 3600 * NSEC_PER_SEC;
	EXPECT_EQ(0x81, get(4));
	now += 11 * 3600 * NSEC_PER_SEC;
	EXPECT_EQ(0x12, get(4));
	now += 3600 * NSEC_PER_SEC;
	EXPECT_EQ(0x01, get(4));
}

static void test_set(void)
{
	start();
	/* From 29 February to 31 December, in an order that passes 31 February. */
	set(0x0b, 0x82);
	set(7, 0x31);
	set(8, 0x12);
	set(9, 0x99);
	set(0x32, 0x19);
	set(4, 0x23);
	set(2, 0x59);
	set(0, 0x58);
	expect_date(0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x58);
	pass(10 * NSEC_PER_SEC);
	expect_date(0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x58);
	set(0x0b, 0x02);
	expect_date(0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x58);
	pass(3 * NSEC_PER_SEC);
	expect_date(0x20, 0x00, 0x01, 0x01, 0x00, 0x00, 0x01);
}

static void test_set_running(void)
{
	start();
	set(4, 0x05);
	expect_date(0x20, 0x00, 0x02, 0x29, 0x05, 0x34, 0x56);
	pass(NSEC_PER_SEC);
	expect_date(0x20, 0x00, 0x02, 0x29, 0x05, 0x34, 0x57);
}

static void test_update_flag(void)
{
	start();
	EXPECT_EQ(0x26, get(0x0a));
	now += NSEC_PER_SEC - 100000;
	EXPECT_EQ(0xa6, get(0x0a));
	now += 100000;
	EXPECT_EQ(0x26, get(0x0a));
	now += NSEC_PER_SEC - 1;
	set(0x0b, 0x82);
	EXPECT_EQ(0x26, get(0x0a));
}

static void test_update_interrupt(void)
{
	start();
	now += 400000000;
	set(0x0b, 0x12);
	EXPECT_EQ((START + 1) * NSEC_PER_SEC, armed);
	pass(599999999);
	EXPECT(!level);
	pass(1);
	EXPECT(level);
	EXPECT_EQ(0x90, get(0x0c));
	EXPECT(!level);
	EXPECT_EQ(0x00, get(0x0c));
	pass(NSEC_PER_SEC);
	EXPECT_EQ(0x90, get(0x0c));
	set(0x0b, 0x02);
	EXPECT_EQ(0, armed);
}

static void test_alarm(void)
{
	start();
	set(1, 0x03);
	set(3, 0x35);
	set(5, 0x12);
	set(0x0b, 0x22);
	pass(6 * NSEC_PER_SEC);
	EXPECT(!level);
	pass(NSEC_PER_SEC);
	EXPECT(level);
	EXPECT_EQ(0xb0, get(0x0c));
	pass(60 * NSEC_PER_SEC);
	EXPECT(!level);
	/* Any minute, any hour. */
	set(3, 0xff);
	set(5, 0xc0);
	pass(60 * NSEC_PER_SEC);
	EXPECT(level);
}

static void test_periodic(void)
{
	unsigned int count = 0;
	unsigned int i;

	start();
	set(0x0a, 0x26);
	set(0x0b, 0x42);
	for (i = 0; i < 1024; i++) {
		pass(NSEC_PER_SEC / 1024);
		count += get(0x0c) == 0xc0;
	}
	EXPECT(count >= 1022 && count <= 1024);
	set(0x0a, 0x2f);
	pass(499000000);
	EXPECT(!level);
	pass(1000000);
	EXPECT(level);
	/* Unread, it fires no more often. */
	pass(10 * NSEC_PER_SEC);
	EXPECT_EQ(0xc0, get(0x0c) & 0xc0);
	set(0x0a, 0x20);
	EXPECT_EQ(0, armed);
}

static void test_cmos(void)
{
	start();
	EXPECT_EQ(640, get(0x15) | get(0x16) << 8);
	EXPECT_EQ(0xfc00, get(0x17) | get(0x18) << 8);
	EXPECT_EQ(((3ULL << 30) - (16 << 20)) / 65536, get(0x34) | get(0x35) << 8);
	EXPECT_EQ(8192, get(0x5b) | get(0x5c) << 8 | get(0x5d) << 16);
	set(0x40, 0x5a);
	EXPECT_EQ(0x5a, get(0x40));
	EXPECT_EQ(0xff, in8(&rtc.device, 0));
}

static const struct test tests[] = {
	{ "time and date", test_read },
	{ "binary and 12-hour formats", test_formats },
	{ "setting while halted", test_set },
	{ "setting while running", test_set_running },
	{ "update-in-progress flag", test_update_flag },
	{ "update interrupt", test_update_interrupt },
	{ "alarm", test_alarm },
	{ "periodic interrupt", test_periodic },
	{ "CMOS memory", test_cmos },
};

int main(void)
{
	return RUN_TESTS(tests);
}
