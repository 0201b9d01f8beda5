// SPDX-License-Identifier: GPL-2.0
/*
 * The local APIC's timer in its three modes.
 */
#include "test.h"

#define VECTOR		0x31
#define ONESHOT		VECTOR
#define PERIODIC	(APIC_LVT_TIMER_PERIODIC | VECTOR)
#define DEADLINE	(APIC_LVT_TIMER_TSCDEADLINE | VECTOR)
#define MSR_DEADLINE	0x6e0

static bool fired(struct hull_vcpu *vcpu)
{
	int vector = take(vcpu);

	EXPECT(vector == -1 || vector == VECTOR);
	if (vector < 0)
		return false;
	eoi(vcpu);
	return true;
}

static void test_oneshot(void)
{
	machine(0x1);
	apic_write(cpu[0], APIC_TDCR, APIC_TDR_DIV_1);
	apic_write(cpu[0], APIC_LVTT, ONESHOT);
	apic_write(cpu[0], APIC_TMICT, 1000000);
	shim_advance(400000);
	EXPECT_EQ(apic_read(cpu[0], APIC_TMCCT), 600000);
	EXPECT_EQ(apic_read(cpu[0], APIC_TMICT), 1000000);
	EXPECT(!fired(cpu[0]));
	shim_advance(599999);
	EXPECT(!fired(cpu[0]));
	cpu[0]->wakes = 0;
	shim_advance(1);
	EXPECT_EQ(cpu[0]->wakes, 1);
	EXPECT(fired(cpu[0]));
	EXPECT_EQ(apic_read(cpu[0], APIC_TMCCT), 0);
	shim_advance(10000000);
	EXPECT(!fired(cpu[0]));
	/* Stopped by a count of 0. */
	apic_write(cpu[0], APIC_TMICT, 1000);
	apic_write(cpu[0], APIC_TMICT, 0);
	shim_advance(10000);
	EXPECT(!fired(cpu[0]));
	/* Masked: it expires unheard. */
	apic_write(cpu[0], APIC_LVTT, APIC_LVT_MASKED | ONESHOT);
	apic_write(cpu[0], APIC_TMICT, 1000);
	shim_advance(10000);
	apic_write(cpu[0], APIC_LVTT, ONESHOT);
	EXPECT(!fired(cpu[0]));
	/* Reset stops it. */
	apic_write(cpu[0], APIC_TMICT, 1000);
	hull_lapic_reset(cpu[0], true);
	EXPECT_EQ(shim_timers_queued(), 0);
}

static void test_divide(void)
{
	const u32 codes[] = { 0xb, 0x0, 0x1, 0x2, 0x3, 0x8, 0x9, 0xa };
	unsigned int i;

	for (i = 0; i < 8; i++) {
		machine(0x1);
		apic_write(cpu[0], APIC_TDCR, codes[i]);
		EXPECT_EQ(apic_read(cpu[0], APIC_TDCR), codes[i]);
		apic_write(cpu[0], APIC_LVTT, ONESHOT);
		apic_write(cpu[0], APIC_TMICT, 10000);
		shim_advance((10000 << i) - 1);
		EXPECT(!fired(cpu[0]));
		shim_advance(1);
		EXPECT(fired(cpu[0]));
	}
	/* Changed while it counts: the rest goes at the new rate. */
	apic_write(cpu[0], APIC_TDCR, 0xb);
	apic_write(cpu[0], APIC_TMICT, 10000);
	shim_advance(5000);
	apic_write(cpu[0], APIC_TDCR, 0x0);
	EXPECT_EQ(apic_read(cpu[0], APIC_TMCCT), 5000);
	shim_advance(9999);
	EXPECT(!fired(cpu[0]));
	shim_advance(1);
	EXPECT(fired(cpu[0]));
	/* The longest there is. */
	apic_write(cpu[0], APIC_TDCR, 0xa);
	apic_write(cpu[0], APIC_TMICT, ~0U);
	EXPECT_EQ(apic_read(cpu[0], APIC_TMCCT), ~0U);
	shim_advance((0xffffffffULL << 7) - 1);
	EXPECT(!fired(cpu[0]));
	shim_advance(1);
	EXPECT(fired(cpu[0]));
}

static void test_periodic(void)
{
	unsigned int i;

	machine(0x1);
	apic_write(cpu[0], APIC_TDCR, APIC_TDR_DIV_1);
	apic_write(cpu[0], APIC_LVTT, PERIODIC);
	apic_write(cpu[0], APIC_TMICT, 1000000);
	for (i = 0; i < 10; i++) {
		shim_advance(999999);
		EXPECT(!fired(cpu[0]));
		EXPECT_EQ(apic_read(cpu[0], APIC_TMCCT), 1);
		shim_advance(1);
		EXPECT(fired(cpu[0]));
		EXPECT_EQ(apic_read(cpu[0], APIC_TMCCT), 1000000);
	}
	/* Not taken in time: they merge. */
	shim_advance(3500000);
	EXPECT(fired(cpu[0]));
	EXPECT(!fired(cpu[0]));
	EXPECT_EQ(apic_read(cpu[0], APIC_TMCCT), 500000);
	/* The callback is late: the count has begun anew all the same. */
	shim_now += 700000;
	EXPECT_EQ(apic_read(cpu[0], APIC_TMCCT), 800000);
	shim_now -= 700000;
	/* To one-shot: once more. */
	apic_write(cpu[0], APIC_LVTT, ONESHOT);
	shim_advance(500000);
	EXPECT(fired(cpu[0]));
	shim_advance(5000000);
	EXPECT(!fired(cpu[0]));
	EXPECT_EQ(shim_timers_queued(), 0);
}

/* A guest cannot make the host do nothing but its timer. */
static void test_storm(void)
{
	u32 count;

	machine(0x1);
	apic_write(cpu[0], APIC_TDCR, APIC_TDR_DIV_1);
	for (count = 1; count < 100000; count *= 7) {
		apic_write(cpu[0], APIC_LVTT, PERIODIC);
		apic_write(cpu[0], APIC_TMICT, count);
		EXPECT(shim_advance(10000000) <= 50);
		EXPECT(apic_read(cpu[0], APIC_TMCCT) <= count);
		/* Nor by a detour. */
		apic_write(cpu[0], APIC_TMICT, 0);
		apic_write(cpu[0], APIC_LVTT, ONESHOT);
		apic_write(cpu[0], APIC_TMICT, count);
		apic_write(cpu[0], APIC_LVTT, PERIODIC);
		EXPECT(shim_advance(10000000) <= 51);
		apic_write(cpu[0], APIC_TDCR, APIC_TDR_DIV_2);
		EXPECT(shim_advance(10000000) <= 51);
		apic_write(cpu[0], APIC_TDCR, APIC_TDR_DIV_1);
		EXPECT(shim_advance(10000000) <= 51);
		apic_write(cpu[0], APIC_TMICT, 0);
	}
	fired(cpu[0]);
}

static u64 guest_tsc(void)
{
	return hull_guest_tsc(cpu[0]);
}

static void test_deadline(void)
{
	machine(0x1);
	cpu[0]->tsc_offset = -123456789ULL;
	wrmsr(cpu[0], MSR_DEADLINE, guest_tsc() + 100);
	EXPECT_EQ(rdmsr(cpu[0], MSR_DEADLINE), 0);	/* not in this mode */
	apic_write(cpu[0], APIC_LVTT, DEADLINE);
	wrmsr(cpu[0], MSR_DEADLINE, guest_tsc() + 2500000);
	EXPECT(rdmsr(cpu[0], MSR_DEADLINE));
	EXPECT_EQ(apic_read(cpu[0], APIC_TMCCT), 0);
	shim_advance(998000);
	EXPECT(!fired(cpu[0]));
	shim_advance(3000);
	EXPECT(fired(cpu[0]));
	EXPECT_EQ(rdmsr(cpu[0], MSR_DEADLINE), 0);
	/* In the past, and now: at once, without a timer or a kick. */
	cpu[0]->wakes = 0;
	wrmsr(cpu[0], MSR_DEADLINE, 1);
	EXPECT_EQ(shim_timers_queued(), 0);
	EXPECT(fired(cpu[0]));
	wrmsr(cpu[0], MSR_DEADLINE, guest_tsc());
	EXPECT(fired(cpu[0]));
	EXPECT_EQ(rdmsr(cpu[0], MSR_DEADLINE), 0);
	EXPECT_EQ(cpu[0]->wakes, 0);
	/* Written again before it expires: only the last counts; 0 disarms. */
	wrmsr(cpu[0], MSR_DEADLINE, guest_tsc() + 2500000);
	wrmsr(cpu[0], MSR_DEADLINE, guest_tsc() + 25000000);
	shim_advance(9990000);
	EXPECT(!fired(cpu[0]));
	shim_advance(20000);
	EXPECT(fired(cpu[0]));
	wrmsr(cpu[0], MSR_DEADLINE, guest_tsc() + 2500000);
	wrmsr(cpu[0], MSR_DEADLINE, 0);
	EXPECT_EQ(shim_timers_queued(), 0);
	/* TMICT is not for this mode. */
	apic_write(cpu[0], APIC_TMICT, 1000);
	EXPECT_EQ(apic_read(cpu[0], APIC_TMICT), 0);
	EXPECT_EQ(shim_timers_queued(), 0);
	/* Extremes: no overflow, no timer in the past. */
	wrmsr(cpu[0], MSR_DEADLINE, ~0ULL);
	shim_advance(NSEC_PER_SEC);
	EXPECT(!fired(cpu[0]));
	wrmsr(cpu[0], MSR_DEADLINE, 1ULL << 63);
	wrmsr(cpu[0], MSR_DEADLINE, 0);
}

/* The host's clock may run faster than its TSC: an interrupt before its deadline is a lie. */
static void test_deadline_early(void)
{
	u64 deadline;

	machine(0x1);
	apic_write(cpu[0], APIC_LVTT, DEADLINE);
	deadline = guest_tsc() + 2500000;
	wrmsr(cpu[0], MSR_DEADLINE, deadline);
	shim_tsc_base -= 250000;		/* 100 us behind */
	shim_advance(1000000);
	EXPECT(!fired(cpu[0]));
	EXPECT_EQ(shim_timers_queued(), 1);
	shim_advance(101000);
	EXPECT(fired(cpu[0]));
	EXPECT(guest_tsc() >= deadline);
}

static void test_tsc_changed(void)
{
	machine(0x1);
	apic_write(cpu[0], APIC_LVTT, DEADLINE);
	wrmsr(cpu[0], MSR_DEADLINE, guest_tsc() + 250000000);
	cpu[0]->tsc_offset += 200000000;
	hull_lapic_tsc_changed(cpu[0]);
	EXPECT(test_bit(HULL_REQ_CLOCK, &cpu[0]->requests));
	shim_advance(19000000);
	EXPECT(!fired(cpu[0]));
	shim_advance(1100000);
	EXPECT(fired(cpu[0]));
	/* Past it by the change. */
	wrmsr(cpu[0], MSR_DEADLINE, guest_tsc() + 250000000);
	cpu[0]->tsc_offset += 300000000;
	hull_lapic_tsc_changed(cpu[0]);
	EXPECT(fired(cpu[0]));
	EXPECT_EQ(shim_timers_queued(), 0);
}

static void test_mode_switch(void)
{
	machine(0x1);
	apic_write(cpu[0], APIC_TDCR, APIC_TDR_DIV_1);
	apic_write(cpu[0], APIC_LVTT, PERIODIC);
	apic_write(cpu[0], APIC_TMICT, 1000000);
	apic_write(cpu[0], APIC_LVTT, DEADLINE);
	EXPECT_EQ(shim_timers_queued(), 0);
	EXPECT_EQ(apic_read(cpu[0], APIC_TMICT), 0);
	wrmsr(cpu[0], MSR_DEADLINE, guest_tsc() + 2500000);
	/* Masking alone does not disarm. */
	apic_write(cpu[0], APIC_LVTT, APIC_LVT_MASKED | DEADLINE);
	EXPECT_EQ(shim_timers_queued(), 1);
	apic_write(cpu[0], APIC_LVTT, ONESHOT);
	EXPECT_EQ(shim_timers_queued(), 0);
	EXPECT_EQ(rdmsr(cpu[0], MSR_DEADLINE), 0);
	/* The reserved mode: no timer. */
	apic_write(cpu[0], APIC_TMICT, 1000000);
	apic_write(cpu[0], APIC_LVTT, 3 << 17 | VECTOR);
	EXPECT_EQ(shim_timers_queued(), 0);
	apic_write(cpu[0], APIC_TMICT, 1000000);
	wrmsr(cpu[0], MSR_DEADLINE, 1);
	EXPECT_EQ(apic_read(cpu[0], APIC_TMCCT), 0);
	shim_advance(2000000);
	EXPECT(!fired(cpu[0]));
	/* Software disable masks; the count goes on. */
	apic_write(cpu[0], APIC_LVTT, PERIODIC);
	apic_write(cpu[0], APIC_TMICT, 1000000);
	apic_write(cpu[0], APIC_SPIV, 0xff);
	shim_advance(1500000);
	EXPECT(!fired(cpu[0]));
	EXPECT_EQ(apic_read(cpu[0], APIC_TMCCT), 500000);
}

const struct test timer_tests[] = {
	{ "timer: one-shot", test_oneshot },
	{ "timer: divider", test_divide },
	{ "timer: periodic", test_periodic },
	{ "timer: no storm", test_storm },
	{ "timer: TSC deadline", test_deadline },
	{ "timer: a deadline is never early", test_deadline_early },
	{ "timer: the TSC is written", test_tsc_changed },
	{ "timer: changes of mode", test_mode_switch },
	{}
};
