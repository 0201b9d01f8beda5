// SPDX-License-Identifier: GPL-2.0
/*
 * State groups: what is saved comes back and goes on; what cannot be is refused.
 */
#include "test.h"

static struct hull_apic apic;
static struct hull_timers timers;
static struct hull_vm_state state;

static u32 get(unsigned int offset)
{
	u32 value;

	memcpy(&value, apic.regs + offset, 4);
	return value;
}

static void put(unsigned int offset, u32 value)
{
	memcpy(apic.regs + offset, &value, 4);
}

static void save(struct hull_vcpu *vcpu)
{
	memset(&apic, 0xee, sizeof(apic));
	hull_lapic_get_state(vcpu, &apic, &timers);
}

static void busy_apic(struct hull_vcpu *vcpu)
{
	apic_write(vcpu, APIC_LDR, 0x55000000);
	apic_write(vcpu, APIC_DFR, 0x0fffffff);
	apic_write(vcpu, APIC_TDCR, APIC_TDR_DIV_16);
	apic_write(vcpu, APIC_LVTT, APIC_LVT_TIMER_PERIODIC | 0x35);
	apic_write(vcpu, APIC_LVT1, 0x400);
	apic_write(vcpu, APIC_LVTERR, 0xfe);
	apic_write(vcpu, APIC_TMICT, 1000000);
	hull_lapic_accept(vcpu->lapic, DELIVER_FIXED, 0x91, true, false);
	EXPECT_EQ(take(vcpu), 0x91);
	hull_lapic_accept(vcpu->lapic, DELIVER_FIXED, 0xff, false, false);
	hull_lapic_accept(vcpu->lapic, DELIVER_FIXED, 0x40, true, false);
	apic_write(vcpu, APIC_ICR2, 0x07000000);
	apic_write(vcpu, APIC_ICR, 0x04);		/* an error, not read yet */
	apic_write(vcpu, APIC_TASKPRI, 0x22);
}

static void test_apic(void)
{
	struct hull_apic copy;
	unsigned int mode;

	for (mode = 0; mode < 2; mode++) {
		machine(0x4);
		busy_apic(cpu[2]);
		if (mode)
			use_x2apic(cpu[2]);
		shim_advance(4000000);
		save(cpu[2]);
		copy = apic;
		EXPECT_EQ(get(APIC_ID), 2 << 24);
		EXPECT_EQ(get(APIC_PROCPRI), 0x90);
		EXPECT_EQ(timers.timer_left, 12000000);

		machine_cold(0x4);
		if (mode)
			hull_lapic_set_base(cpu[2], 0xfee00c00);
		EXPECT_EQ(take(cpu[2]), -1);
		EXPECT_EQ(hull_lapic_set_state(cpu[2], &apic), 0);
		EXPECT_EQ(hull_lapic_set_timers(cpu[2], &timers), 0);
		save(cpu[2]);
		EXPECT(!memcmp(&copy, &apic, sizeof(apic)));
		EXPECT_EQ(timers.timer_left, 12000000);
		/* And it goes on. */
		EXPECT_EQ(take(cpu[2]), 0xff);
		eoi(cpu[2]);
		EXPECT_EQ(take(cpu[2]), 0xfe);
		eoi(cpu[2]);
		eoi(cpu[2]);
		EXPECT_EQ(take(cpu[2]), 0x40);
		eoi(cpu[2]);
		shim_advance(11999999);
		EXPECT_EQ(take(cpu[2]), -1);
		shim_advance(1);
		EXPECT_EQ(take(cpu[2]), 0x35);
		eoi(cpu[2]);
		shim_advance(16000000);
		EXPECT_EQ(take(cpu[2]), 0x35);
	}
}

static void test_deadline(void)
{
	machine(0x1);
	apic_write(cpu[0], APIC_LVTT, APIC_LVT_TIMER_TSCDEADLINE | 0x35);
	wrmsr(cpu[0], 0x6e0, hull_guest_tsc(cpu[0]) + 2500000);
	save(cpu[0]);
	EXPECT_EQ(timers.timer_left, 0);
	EXPECT_EQ(timers.tsc_deadline, timers.tsc + 2500000);
	machine_cold(0x1);
	EXPECT_EQ(hull_lapic_set_state(cpu[0], &apic), 0);
	EXPECT_EQ(rdmsr(cpu[0], 0x6e0), 0);
	EXPECT_EQ(hull_lapic_set_timers(cpu[0], &timers), 0);
	EXPECT_EQ(rdmsr(cpu[0], 0x6e0), timers.tsc_deadline);
	shim_advance(1000000);
	EXPECT_EQ(take(cpu[0]), 0x35);
	/* What does not fit the mode. */
	timers.timer_left = 1;
	EXPECT_EQ(hull_lapic_set_timers(cpu[0], &timers), -EINVAL);
	apic_write(cpu[0], APIC_LVTT, 0x35);
	EXPECT_EQ(hull_lapic_set_timers(cpu[0], &timers), -EINVAL);
	timers.tsc_deadline = 0;
	EXPECT_EQ(hull_lapic_set_timers(cpu[0], &timers), -EINVAL);	/* no count */
	timers.timer_left = ~0ULL;
	EXPECT_EQ(hull_lapic_set_timers(cpu[0], &timers), -EINVAL);
	apic_write(cpu[0], APIC_TMICT, ~0U);
	EXPECT_EQ(hull_lapic_set_timers(cpu[0], &timers), -EINVAL);
	timers.timer_left = 0;
	EXPECT_EQ(hull_lapic_set_timers(cpu[0], &timers), 0);
	EXPECT_EQ(shim_timers_queued(), 0);
	apic_write(cpu[0], APIC_LVTT, 3 << 17 | 0x35);
	EXPECT_EQ(hull_lapic_set_timers(cpu[0], &timers), 0);
	timers.tsc_deadline = 1;
	EXPECT_EQ(hull_lapic_set_timers(cpu[0], &timers), -EINVAL);
}

/* Each bit of the page, flipped: refused or harmless. */
static void test_apic_bits(void)
{
	unsigned int mode, bit, refused[2] = {};
	struct hull_apic good;

	for (mode = 0; mode < 2; mode++) {
		machine(0x4);
		if (mode)
			use_x2apic(cpu[2]);
		save(cpu[2]);
		good = apic;
		for (bit = 0; bit < 1024 * 8; bit++) {
			apic = good;
			apic.regs[bit / 8] ^= 1 << (bit & 7);
			if (hull_lapic_set_state(cpu[2], &apic))
				refused[mode]++;
			/* Whatever was taken can be saved and set again. */
			save(cpu[2]);
			EXPECT_EQ(hull_lapic_set_state(cpu[2], &apic), 0);
			hull_irq_pending(cpu[2]);
			hull_irq_acknowledge(cpu[2]);
			eoi(cpu[2]);
			shim_advance(1000);
			EXPECT_EQ(hull_lapic_set_state(cpu[2], &good), 0);
		}
		EXPECT(refused[mode] > 300);
	}
	save(cpu[2]);
	put(APIC_DFR, 0xf0000000);
	EXPECT_EQ(hull_lapic_set_state(cpu[2], &apic), -EINVAL);
	save(cpu[2]);
	put(APIC_IRR, 1 << 3);
	EXPECT_EQ(hull_lapic_set_state(cpu[2], &apic), -EINVAL);
}

static void test_vm(void)
{
	struct hull_vm_state copy;

	machine(0x1);
	ioapic_route(9, 0x8041);
	ioapic_route(10, 0x8042);
	hull_irq_set(&vm, 9, 1);
	hull_irq_set(&vm, 3, 1);
	outb(0x20, 0x11);
	outb(0x21, 0x20);
	outb(0x4d1, 0x02);
	outb(0x61, 0x03);
	outb(0x43, 0x34);
	outb(0x40, 0x00);
	outb(0x40, 0x80);
	outb(0x43, 0xb0);
	outb(0x42, 0x10);
	shim_advance(1000000);
	memset(&state, 0, sizeof(state));
	hull_irqchip_get_state(&vm, HULL_VM_GROUPS, &state);
	EXPECT_EQ(state.ioapic.irr, 1 << 9);
	EXPECT_EQ(state.ioapic.lines, 1 << 9 | 1 << 3);
	EXPECT_EQ(state.pit.channel[0].elapsed, 1000000);
	EXPECT_EQ(state.pit.channel[2].write_state, 4);
	copy = state;

	machine(0x1);
	shim_advance(777);
	EXPECT_EQ(hull_irqchip_set_state(&vm, HULL_VM_GROUPS, &state), 0);
	EXPECT(test_bit(HULL_REQ_CLOCK, &cpu[0]->requests));
	memset(&state, 0, sizeof(state));
	hull_irqchip_get_state(&vm, HULL_VM_GROUPS, &state);
	EXPECT(!memcmp(&copy, &state, sizeof(state)));
	/* The PIT goes on where it was; the level comes back with its EOI. */
	shim_advance((32768ULL * NSEC_PER_SEC + 1193181) / 1193182 - 1000000);
	outb(0x21, 0x04);
	outb(0x21, 0x01);
	EXPECT_EQ(take(cpu[0]), 0x20);
	EXPECT_EQ(take(cpu[0]), -1);
	hull_ioapic_eoi(vm.irqchip, 0x41);
	EXPECT_EQ(take(cpu[0]), 0x41);
	/* The clock. */
	state.clock.ns = 1ULL << 40;
	state.clock.pm_timer = 5;
	EXPECT_EQ(hull_irqchip_set_state(&vm, HULL_VM_GROUP_CLOCK, &state), 0);
	shim_advance(1000);
	hull_irqchip_get_state(&vm, HULL_VM_GROUP_CLOCK, &state);
	EXPECT(state.clock.ns - (1ULL << 40) - 999 < 3);
	EXPECT_EQ(state.clock.pm_timer - 5, state.clock.ns - (1ULL << 40));
}

/* Every byte of the VM's state, with telling values. */
static void test_vm_bytes(void)
{
	const u8 values[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 0x10, 0x7f, 0x80, 0xff };
	const u64 groups = HULL_VM_GROUP_PIC | HULL_VM_GROUP_IOAPIC | HULL_VM_GROUP_PIT;
	unsigned int byte, i, refused = 0;
	struct hull_vm_state good, taken;
	u32 value;

	machine(0x1);
	memset(&good, 0, sizeof(good));
	hull_irqchip_get_state(&vm, groups, &good);
	for (byte = 0; byte < offsetof(struct hull_vm_state, clock); byte++) {
		for (i = 0; i < ARRAY_SIZE(values); i++) {
			state = good;
			((u8 *)&state)[byte] = values[i];
			if (hull_irqchip_set_state(&vm, groups, &state))
				refused++;
			memset(&taken, 0, sizeof(taken));
			hull_irqchip_get_state(&vm, groups, &taken);
			EXPECT_EQ(hull_irqchip_set_state(&vm, groups, &taken), 0);
			shim_advance(300000);
			for (value = 0x40; value < 0x44; value++)
				inb(value);
			inb(0x61);
			inb(0x20);
			inb(0x21);
			hull_irq_acknowledge(cpu[0]);
			EXPECT_EQ(hull_irqchip_set_state(&vm, groups, &good), 0);
		}
	}
	EXPECT(refused > 1000);
}

static void test_refused_whole(void)
{
	struct hull_vm_state before;

	machine(0x1);
	memset(&before, 0, sizeof(before));
	hull_irqchip_get_state(&vm, HULL_VM_GROUPS, &before);
	state = before;
	state.pic[0].imr = 0x77;
	state.ioapic.select = 0x11;
	state.pit.channel[1].mode = 6;
	EXPECT_EQ(hull_irqchip_set_state(&vm, HULL_VM_GROUPS, &state), -EINVAL);
	memset(&state, 0, sizeof(state));
	hull_irqchip_get_state(&vm, HULL_VM_GROUPS, &state);
	EXPECT(!memcmp(&before, &state, sizeof(state)));
}

const struct test state_tests[] = {
	{ "state: APIC and timer, both modes", test_apic },
	{ "state: TSC deadline", test_deadline },
	{ "state: every bit of the APIC page", test_apic_bits },
	{ "state: PICs, IOAPIC, PIT, clock", test_vm },
	{ "state: every byte of the VM's groups", test_vm_bytes },
	{ "state: refused as a whole", test_refused_whole },
	{}
};
