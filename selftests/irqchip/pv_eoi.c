// SPDX-License-Identifier: GPL-2.0
/*
 * KVM's paravirtual EOI: what is offered, what is withdrawn, and that vectors come as they do
 * without it.
 */
#include <asm/kvm_para.h>

#include "test.h"

#define WORD_AT		0x1234UL

static u32 *word(void)
{
	return (u32 *)(shim_memory + WORD_AT);
}

static void enable(struct hull_vcpu *vcpu)
{
	shim_absent = false;
	*word() = 0;
	EXPECT_EQ(hull_pv_eoi_write_msr(vcpu, WORD_AT | KVM_MSR_ENABLED), 0);
}

static void accept(struct hull_vcpu *vcpu, u8 vector, bool level)
{
	EXPECT(hull_lapic_accept(vcpu->lapic, DELIVER_FIXED, vector, level, false));
}

/* As a guest does it. True: without an exit. */
static bool guest_eoi(struct hull_vcpu *vcpu)
{
	if (*word() & 1) {
		*word() &= ~1U;
		return true;
	}
	eoi(vcpu);
	return false;
}

static u32 in_service(struct hull_vcpu *vcpu, u8 vector)
{
	return apic_read(vcpu, APIC_ISR + vector / 32 * 16) >> vector % 32 & 1;
}

static void test_msr(void)
{
	u64 value;

	machine(0x1);
	EXPECT_EQ(hull_pv_eoi_read_msr(cpu[0], &value), 0);
	EXPECT_EQ(value, 0);
	EXPECT_EQ(hull_pv_eoi_write_msr(cpu[0], WORD_AT | 3), -EINVAL);
	EXPECT_EQ(hull_pv_eoi_write_msr(cpu[0], WORD_AT | 2), -EINVAL);
	enable(cpu[0]);
	EXPECT_EQ(hull_pv_eoi_read_msr(cpu[0], &value), 0);
	EXPECT_EQ(value, WORD_AT | 1);
	/* Neither power-up nor INIT leaves it on, or an offer open. */
	accept(cpu[0], 0x50, false);
	EXPECT_EQ(take(cpu[0]), 0x50);
	EXPECT_EQ(*word(), 1);
	hull_lapic_reset(cpu[0], true);
	EXPECT_EQ(*word(), 0);
	EXPECT_EQ(hull_pv_eoi_read_msr(cpu[0], &value), 0);
	EXPECT_EQ(value, 0);
}

static void test_taken(void)
{
	machine(0x1);
	enable(cpu[0]);
	accept(cpu[0], 0x50, false);
	EXPECT_EQ(*word(), 0);
	EXPECT_EQ(take(cpu[0]), 0x50);
	EXPECT_EQ(*word(), 1);
	EXPECT(guest_eoi(cpu[0]));
	/* The next one of the same priority comes, which it does not before the EOI. */
	accept(cpu[0], 0x51, false);
	EXPECT_EQ(take(cpu[0]), 0x51);
	EXPECT_EQ(*word(), 1);
	EXPECT_EQ(in_service(cpu[0], 0x50), 0);
	EXPECT_EQ(in_service(cpu[0], 0x51), 1);
	/* That look withdrew it. */
	EXPECT_EQ(*word(), 0);
	EXPECT(!guest_eoi(cpu[0]));
	EXPECT_EQ(in_service(cpu[0], 0x51), 0);
}

static void test_withdrawn(void)
{
	machine(0x1);
	enable(cpu[0]);
	accept(cpu[0], 0x50, false);
	EXPECT_EQ(take(cpu[0]), 0x50);
	/* What waits for the EOI needs an exit. */
	accept(cpu[0], 0x51, false);
	EXPECT_EQ(take(cpu[0]), -1);
	EXPECT_EQ(*word(), 0);
	EXPECT(!guest_eoi(cpu[0]));
	EXPECT_EQ(take(cpu[0]), 0x51);
	EXPECT_EQ(*word(), 1);
	/* What interrupts the handler would be ended by its offer. */
	accept(cpu[0], 0x60, false);
	EXPECT_EQ(take(cpu[0]), 0x60);
	EXPECT_EQ(*word(), 0);
	EXPECT(!guest_eoi(cpu[0]));
	EXPECT_EQ(in_service(cpu[0], 0x60), 0);
	EXPECT_EQ(in_service(cpu[0], 0x51), 1);
	EXPECT(!guest_eoi(cpu[0]));
	EXPECT_EQ(in_service(cpu[0], 0x51), 0);
	/* A guest that writes EOI all the same. */
	accept(cpu[0], 0x50, false);
	EXPECT_EQ(take(cpu[0]), 0x50);
	EXPECT_EQ(*word(), 1);
	eoi(cpu[0]);
	EXPECT_EQ(*word(), 0);
	EXPECT_EQ(in_service(cpu[0], 0x50), 0);
	/* And one that turns it off. */
	accept(cpu[0], 0x50, false);
	EXPECT_EQ(take(cpu[0]), 0x50);
	EXPECT_EQ(hull_pv_eoi_write_msr(cpu[0], 0), 0);
	EXPECT_EQ(*word(), 0);
	EXPECT_EQ(in_service(cpu[0], 0x50), 1);
	eoi(cpu[0]);
	accept(cpu[0], 0x50, false);
	EXPECT_EQ(take(cpu[0]), 0x50);
	EXPECT_EQ(*word(), 0);
}

static void test_not_offered(void)
{
	machine(0x1);
	enable(cpu[0]);
	/* A level's line waits for the EOI. */
	accept(cpu[0], 0x50, true);
	EXPECT_EQ(take(cpu[0]), 0x50);
	EXPECT_EQ(*word(), 0);
	eoi(cpu[0]);
	/* Another one waits already. */
	accept(cpu[0], 0x50, false);
	accept(cpu[0], 0x40, false);
	EXPECT_EQ(take(cpu[0]), 0x50);
	EXPECT_EQ(*word(), 0);
	eoi(cpu[0]);
	EXPECT_EQ(take(cpu[0]), 0x40);
	EXPECT_EQ(*word(), 1);
	EXPECT(guest_eoi(cpu[0]));
	/* A bit from before is as good as an offer: the guest will take it. */
	hull_pv_eoi_settle_now(cpu[0]);
	*word() = 1;
	accept(cpu[0], 0x50, false);
	EXPECT_EQ(take(cpu[0]), 0x50);
	EXPECT(guest_eoi(cpu[0]));
	EXPECT_EQ(in_service(cpu[0], 0x50), 0);
	hull_pv_eoi_settle_now(cpu[0]);
	/* Bits that the guest should not have set: the word stays as it is. */
	*word() = 0x80;
	accept(cpu[0], 0x50, false);
	EXPECT_EQ(take(cpu[0]), 0x50);
	EXPECT_EQ(*word(), 0x80);
	eoi(cpu[0]);
	/* No memory there. */
	EXPECT_EQ(hull_pv_eoi_write_msr(cpu[0], (1ULL << 39) | 1), 0);
	accept(cpu[0], 0x50, false);
	EXPECT_EQ(take(cpu[0]), 0x50);
	eoi(cpu[0]);
	EXPECT_EQ(in_service(cpu[0], 0x50), 0);
	/* Memory that is not present now. */
	enable(cpu[0]);
	shim_absent = true;
	accept(cpu[0], 0x50, false);
	EXPECT_EQ(take(cpu[0]), 0x50);
	EXPECT_EQ(*word(), 0);
	eoi(cpu[0]);
	shim_absent = false;
}

/* The page goes between offer and settling: the window must be left. */
static void test_absent(void)
{
	unsigned int taken;

	for (taken = 0; taken < 2; taken++) {
		machine(0x1);
		enable(cpu[0]);
		accept(cpu[0], 0x50, false);
		EXPECT_EQ(take(cpu[0]), 0x50);
		if (taken)
			EXPECT(guest_eoi(cpu[0]));
		shim_absent = true;
		accept(cpu[0], 0x51, false);
		cpu[0]->requests = 0;
		EXPECT_EQ(hull_irq_pending(cpu[0]), HULL_IRQ_UNSETTLED);
		EXPECT_EQ(cpu[0]->requests, BIT(HULL_REQ_EOI));
		hull_pv_eoi_settle_now(cpu[0]);
		EXPECT_EQ(*word(), 0);
		EXPECT_EQ(take(cpu[0]), taken ? 0x51 : -1);
		eoi(cpu[0]);
		EXPECT_EQ(take(cpu[0]), taken ? -1 : 0x51);
	}
	/* An EOI meanwhile is one, and no other's. */
	machine(0x1);
	enable(cpu[0]);
	accept(cpu[0], 0x50, false);
	EXPECT_EQ(take(cpu[0]), 0x50);
	shim_absent = true;
	eoi(cpu[0]);
	accept(cpu[0], 0x51, false);
	EXPECT_EQ(hull_irq_pending(cpu[0]), HULL_IRQ_UNSETTLED);
	hull_pv_eoi_settle_now(cpu[0]);
	EXPECT_EQ(take(cpu[0]), 0x51);
	shim_absent = false;
}

static void test_state(void)
{
	struct hull_timers timers;
	struct hull_apic apic;

	machine(0x1);
	enable(cpu[0]);
	accept(cpu[0], 0x50, false);
	EXPECT_EQ(take(cpu[0]), 0x50);
	EXPECT_EQ(*word(), 1);
	/* As HULL_RUN does before it returns. */
	hull_pv_eoi_settle_now(cpu[0]);
	EXPECT_EQ(*word(), 0);
	hull_lapic_get_state(cpu[0], &apic, &timers);
	EXPECT_EQ(apic.regs[APIC_ISR + 0x50 / 32 * 16 + 2], 1);
	eoi(cpu[0]);
	accept(cpu[0], 0x60, false);
	EXPECT_EQ(take(cpu[0]), 0x60);
	EXPECT_EQ(*word(), 1);
	hull_pv_eoi_settle_now(cpu[0]);
	EXPECT_EQ(hull_lapic_set_state(cpu[0], &apic), 0);
	EXPECT_EQ(in_service(cpu[0], 0x60), 0);
	EXPECT_EQ(in_service(cpu[0], 0x50), 1);
	accept(cpu[0], 0x51, false);
	EXPECT_EQ(take(cpu[0]), -1);
	EXPECT(!guest_eoi(cpu[0]));
	EXPECT_EQ(take(cpu[0]), 0x51);
}

static int take_settled(struct hull_vcpu *vcpu)
{
	if (hull_irq_pending(vcpu) == HULL_IRQ_UNSETTLED)
		hull_pv_eoi_settle_now(vcpu);
	return take(vcpu);
}

/* Two CPUs get the same messages; the one that takes offers sees the same vectors as the other. */
static void test_random(void)
{
	unsigned int i, depth = 0, rounds = long_run() ? 20000000 : 300000, exitless = 0, all = 0;
	u64 r;
	int vector;

	machine(0x3);
	enable(cpu[0]);
	for (i = 0; i < rounds && !test_failures; i++) {
		r = next_random();
		shim_absent = !(r >> 40 & 31);
		switch (r % 16) {
		case 0:
			accept(cpu[0], 0x20 + (r >> 8 & 0x7f), r >> 16 & 1);
			accept(cpu[1], 0x20 + (r >> 8 & 0x7f), r >> 16 & 1);
			break;
		case 1:
			apic_write(cpu[0], APIC_TASKPRI, r >> 8 & 0x30);
			apic_write(cpu[1], APIC_TASKPRI, r >> 8 & 0x30);
			break;
		case 2:
			if (!shim_absent && !(r >> 8 & 7))
				EXPECT_EQ(apic_read(cpu[0], APIC_PROCPRI),
					  apic_read(cpu[1], APIC_PROCPRI));
			break;
		case 3 ... 8:
			if (!depth)
				break;
			depth--;
			all++;
			exitless += guest_eoi(cpu[0]);
			eoi(cpu[1]);
			break;
		default:
			vector = take_settled(cpu[0]);
			EXPECT_EQ(vector, take(cpu[1]));
			depth += vector >= 0;
			break;
		}
	}
	EXPECT(exitless > all / 20);
	shim_absent = false;
}

const struct test pv_eoi_tests[] = {
	{ "PV EOI: the MSR", test_msr },
	{ "PV EOI: taken, and settled when the next one comes", test_taken },
	{ "PV EOI: withdrawn when another one depends on it", test_withdrawn },
	{ "PV EOI: not offered", test_not_offered },
	{ "PV EOI: a page that goes meanwhile", test_absent },
	{ "PV EOI: state that is saved and restored", test_state },
	{ "PV EOI: random messages, beside a CPU without it", test_random },
	{}
};
