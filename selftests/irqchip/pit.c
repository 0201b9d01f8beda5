// SPDX-License-Identifier: GPL-2.0
/*
 * The 8254 and port 0x61.
 */
#include "test.h"

/* Time until the n-th tick has passed. */
static u64 ticks(u64 n)
{
	return (n * NSEC_PER_SEC + 1193181) / 1193182;
}

static void load(unsigned int n, unsigned int mode, u16 count)
{
	outb(0x43, n << 6 | 0x30 | mode << 1);
	outb(0x40 + n, count);
	outb(0x40 + n, count >> 8);
}

static u16 latch(unsigned int n)
{
	u8 low;

	outb(0x43, n << 6);
	low = inb(0x40 + n);
	return low | inb(0x40 + n) << 8;
}

static u8 status(unsigned int n)
{
	outb(0x43, 0xe0 | 2 << n);
	return inb(0x40 + n);
}

static bool out(unsigned int n)
{
	return status(n) & 0x80;
}

/* Interrupts that came: the PIC's line 0, on vector 0x20. */
static unsigned int interrupts(void)
{
	unsigned int n = 0;

	while (take(cpu[0]) == 0x20) {
		outb(0x20, 0x20);
		n++;
	}
	return n;
}

static void start(void)
{
	machine_cold(0x1);
	outb(0x20, 0x11);
	outb(0x21, 0x20);
	outb(0x21, 0x04);
	outb(0x21, 0x01);
	outb(0x21, 0x00);
}

static void test_counts(void)
{
	unsigned int mode, n;
	u64 at;

	for (mode = 0; mode < 6; mode++) {
		for (n = 1; n < 3; n++) {
			start();
			if (n == 2 && mode != 1 && mode != 5)
				outb(0x61, 1);
			load(n, mode, 1000);
			if (mode == 1 || mode == 5) {
				/* Waits for a rising gate, which channel 1 never gets. */
				EXPECT(out(n));
				shim_advance(ticks(5000));
				EXPECT(out(n));
				if (n == 1)
					continue;
				outb(0x61, 1);
			}
			EXPECT_EQ(latch(n), 1000);
			at = shim_now;
			shim_now = at + ticks(400);
			EXPECT_EQ(latch(n), mode == 3 ? 200 : 600);
			EXPECT_EQ(out(n), mode > 1);
			shim_now = at + ticks(600);
			EXPECT_EQ(latch(n), mode == 3 ? 800 : 400);
			EXPECT_EQ(out(n), mode > 1 && mode != 3);
			shim_now = at + ticks(999);
			EXPECT_EQ(out(n), mode > 3);
			shim_now = at + ticks(1000);
			EXPECT_EQ(out(n), mode < 4);
			shim_now = at + ticks(1001);
			EXPECT_EQ(latch(n), mode == 2 ? 999 : mode == 3 ? 998 : 0xffff);
			EXPECT_EQ(out(n), true);
		}
	}
}

static void test_full_range(void)
{
	start();
	load(1, 2, 0);
	EXPECT_EQ(latch(1), 0);		/* 65536 */
	shim_now += ticks(1);
	EXPECT_EQ(latch(1), 0xffff);
	shim_now += ticks(65535);
	EXPECT_EQ(latch(1), 0);
	/* Modes 6 and 7 are 2 and 3. */
	load(1, 6, 100);
	EXPECT_EQ(status(1) & 0x3f, 0x34);
	load(1, 7, 100);
	EXPECT_EQ(status(1) & 0x3f, 0x36);
	/* 1 would make a period of nothing. */
	load(1, 2, 1);
	latch(1);
	load(1, 3, 1);
	latch(1);
	load(0, 2, 1);
	EXPECT(shim_advance(NSEC_PER_SEC) <= 5000);
}

static void test_bcd(void)
{
	start();
	outb(0x43, 0x40 | 0x30 | 2 << 1 | 1);
	outb(0x41, 0x00);
	outb(0x41, 0x10);
	EXPECT_EQ(latch(1), 0x1000);
	shim_now += ticks(1);
	EXPECT_EQ(latch(1), 0x0999);
	shim_now += ticks(998);
	EXPECT_EQ(latch(1), 0x0001);
	/* 0 is 10000; digits above 9 do no harm. */
	outb(0x41, 0x00);
	outb(0x41, 0x00);
	shim_now += ticks(1);
	EXPECT_EQ(latch(1), 0x9999);
	outb(0x41, 0xff);
	outb(0x41, 0xff);
	latch(1);
}

static void test_access_modes(void)
{
	start();
	/* Low byte only, high byte only. */
	outb(0x43, 0x54);
	outb(0x41, 0x80);
	EXPECT_EQ(inb(0x41), 0x80);
	EXPECT_EQ(inb(0x41), 0x80);
	outb(0x43, 0x64);
	outb(0x41, 0x12);
	EXPECT_EQ(inb(0x41), 0x12);
	/* Both: low then high, and unlatched. */
	load(1, 2, 0x1234);
	EXPECT_EQ(inb(0x41), 0x34);
	EXPECT_EQ(inb(0x41), 0x12);
	/* A latch holds while the count goes on; a second one does nothing. */
	outb(0x43, 0x40);
	shim_now += ticks(0x34);
	outb(0x43, 0x40);
	EXPECT_EQ(inb(0x41), 0x34);
	EXPECT_EQ(inb(0x41), 0x12);
	EXPECT_EQ(inb(0x41), 0x00);
	EXPECT_EQ(inb(0x41), 0x12);
	/* Status and count together: the status first. */
	outb(0x43, 0xc4);
	EXPECT_EQ(inb(0x41), 0xb4);
	EXPECT_EQ(inb(0x41), 0x00);
	EXPECT_EQ(inb(0x41), 0x12);
	/* The count is not loaded yet. */
	outb(0x43, 0x74);
	EXPECT_EQ(status(1), 0xf4);
	outb(0x41, 0x10);
	EXPECT_EQ(status(1), 0xf4);
	outb(0x41, 0x00);
	EXPECT_EQ(status(1), 0xb4);
	EXPECT_EQ(inb(0x43), 0xff);
}

static void test_interrupts(void)
{
	unsigned int i;

	start();
	load(0, 2, 1193);		/* about 1 kHz */
	for (i = 0; i < 100; i++) {
		shim_advance(ticks(1193) - 1);
		EXPECT_EQ(interrupts(), 0);
		shim_advance(1);
		EXPECT_EQ(interrupts(), 1);
	}
	load(0, 3, 0);			/* 18.2 Hz */
	for (i = 0; shim_now < 1010 * (u64)NSEC_PER_SEC; ) {
		shim_advance(NSEC_PER_SEC / 100);
		i += interrupts();
	}
	EXPECT(i >= 180 && i <= 182);
	/* Once. */
	load(0, 0, 10000);
	shim_advance(ticks(10000) - 1);
	EXPECT_EQ(interrupts(), 0);
	shim_advance(1);
	EXPECT_EQ(interrupts(), 1);
	shim_advance(NSEC_PER_SEC);
	EXPECT_EQ(interrupts(), 0);
	/* The same pin of the IOAPIC. */
	apic_write(cpu[0], APIC_SPIV, 0x1ff);
	apic_write(cpu[0], APIC_LVT0, APIC_LVT_MASKED);
	ioapic_route(2, 0x44);
	load(0, 4, 100);
	shim_advance(ticks(100));
	EXPECT_EQ(take(cpu[0]), 0x44);
	eoi(cpu[0]);
	/* A new control word stops it. */
	load(0, 2, 10000);
	outb(0x43, 0x34);
	EXPECT_EQ(shim_timers_queued(), 0);
	shim_advance(NSEC_PER_SEC);
	EXPECT_EQ(take(cpu[0]), -1);
	/* Channel 0 is never triggered by hardware. */
	load(0, 1, 100);
	load(0, 5, 100);
	EXPECT_EQ(shim_timers_queued(), 0);
	/* The others have no interrupt. */
	load(1, 2, 100);
	EXPECT_EQ(shim_timers_queued(), 0);
}

static void test_storm(void)
{
	unsigned int count;

	start();
	for (count = 1; count < 1000; count *= 3) {
		load(0, 2, count);
		EXPECT(shim_advance(NSEC_PER_SEC / 10) <= 500);
	}
}

/* The callback comes too late: the guest has reprogrammed the channel meanwhile. */
static void test_late_callback(void)
{
	struct hull_pit_chip *pit;

	start();
	pit = &vm.irqchip->pit;
	load(0, 2, 10000);
	outb(0x43, 0x34);
	EXPECT_EQ(pit->timer.function(&pit->timer), HRTIMER_NORESTART);
	load(0, 2, 10000);
	EXPECT_EQ(pit->timer.function(&pit->timer), HRTIMER_NORESTART);
	EXPECT_EQ(interrupts(), 0);
}

static void test_speaker(void)
{
	unsigned int i, toggles = 0;
	u8 last, now;

	start();
	outb(0x61, 0xff);
	EXPECT_EQ(inb(0x61) & 0x0f, 0x0f);
	EXPECT_EQ(inb(0x61) & 0xc0, 0);
	/* How kernels measure the TSC: channel 2, mode 0, output by bit 5. */
	outb(0x61, 0x01);
	load(2, 0, 11932);
	EXPECT(!(inb(0x61) & 0x20));
	shim_now += ticks(11931);
	EXPECT(!(inb(0x61) & 0x20));
	shim_now += ticks(1);
	EXPECT(inb(0x61) & 0x20);
	/* A low gate holds the count, a high one lets it go on. */
	load(2, 0, 1000);
	shim_now += ticks(300);
	outb(0x61, 0x00);
	EXPECT_EQ(latch(2), 700);
	shim_now += ticks(5000);
	EXPECT_EQ(latch(2), 700);
	outb(0x61, 0x01);
	shim_now += ticks(100);
	EXPECT_EQ(latch(2), 600);
	/* Periodic modes start anew. */
	load(2, 2, 1000);
	shim_now += ticks(300);
	outb(0x61, 0x00);
	EXPECT(inb(0x61) & 0x20);
	outb(0x61, 0x01);
	EXPECT_EQ(latch(2), 1000);
	/* The refresh bit toggles about every 15 us. */
	last = inb(0x61) & 0x10;
	for (i = 0; i < 1000; i++) {
		shim_now += 1000;
		now = inb(0x61) & 0x10;
		toggles += now != last;
		last = now;
	}
	EXPECT(toggles >= 65 && toggles <= 67);
}

const struct test pit_tests[] = {
	{ "pit: counts and output in every mode", test_counts },
	{ "pit: range, aliases, illegal counts", test_full_range },
	{ "pit: BCD", test_bcd },
	{ "pit: access modes, latches, read-back", test_access_modes },
	{ "pit: interrupts", test_interrupts },
	{ "pit: no storm", test_storm },
	{ "pit: late callback", test_late_callback },
	{ "pit: port 0x61", test_speaker },
	{}
};
