// SPDX-License-Identifier: GPL-2.0
/*
 * Random guests and devices: long sequences of everything at once, with time passing; after each
 * step what must always hold is checked.
 */
#include "test.h"

static const u16 ports[] = {
	0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x40, 0x41, 0x42, 0x43, 0x61, PM_PORT, PM_PORT + 1,
};

static u64 interesting(void)
{
	u64 value = next_random();

	switch (value >> 60) {
	case 0:
		return 0;
	case 1:
		return 1;
	case 2:
		return ~0ULL;
	case 3:
	case 4:
		return 1ULL << (value & 63);
	case 5:
		return value & 0x1ff;
	case 6:
	case 7:
	case 8:
		return value & 0x710ff;
	case 9:
		return value & 0x3ff;
	default:
		return value;
	}
}

static struct hull_vcpu *some_cpu(void)
{
	const u8 ids[] = { 0, 1, 7, 15 };

	return cpu[ids[next_random() & 3]];
}

static void step(void)
{
	struct hull_vcpu *vcpu = some_cpu();
	u64 choice = next_random() >> 32, value = interesting();
	u32 narrow = value;

	switch (choice % 13) {
	case 0:
	case 1:
		value |= 1ULL << 32;
		hull_irqchip_memory(vcpu, 0xfee00000 + (choice >> 8 & 0x3f) * 16, 4, true, &value);
		break;
	case 2:
		hull_irqchip_memory(vcpu, 0xfee00000 + (choice >> 8 & 0xfff),
				    1 << (choice >> 20 & 3), choice >> 22 & 1, &value);
		break;
	case 3:
		hull_lapic_write_msr(vcpu, 0x800 + (choice >> 8 & 0x3f), value);
		break;
	case 4:
		hull_lapic_write_msr(vcpu, choice & 0x100 ? 0x6e0 : 0x1b, choice & 0x200 ? value :
				     choice & 0x100 ? hull_guest_tsc(vcpu) + (value & 0xfffff) :
				     0xfee00000 | (value & 0xd00));
		break;
	case 5:
		ioapic_write(choice >> 8 & 0x3f, value);
		break;
	case 6:
	case 7:
		hull_irqchip_port(vcpu, ports[(choice >> 8) % ARRAY_SIZE(ports)],
				  1 << (choice >> 16 & 3) % 3, choice >> 20 & 1, &narrow);
		break;
	case 8:
		hull_irq_set(&vm, value & 0x1f, choice >> 8 & 1);
		break;
	case 9:
		hull_msi_send(&vm, 0xfee00000 | (value & 0xff00c), choice >> 8 & 0xc7ff);
		break;
	case 10:
		shim_advance(choice >> 8 & 0xffff);
		break;
	case 12:
		if (choice & 0x100)
			hull_line_hold(vm.irqchip, value % HULL_IOAPIC_PINS);
		else if (choice & 0x200)
			hull_line_pulse(vm.irqchip, value % HULL_IOAPIC_PINS);
		else
			hull_lines_release(vm.irqchip, 1U << value % HULL_IOAPIC_PINS);
		break;
	case 11:
		if (choice >> 8 & 0xff)
			hull_lapic_set_cr8(vcpu, value & 0xf);
		else
			hull_lapic_reset(vcpu, choice >> 16 & 1);
		break;
	}
}

static void check(struct hull_vcpu *vcpu)
{
	struct hull_lapic *lapic = vcpu->lapic;
	int vector = hull_irq_pending(vcpu), taken;
	u32 isr = lapic->isr_top < 0 ? 0 : lapic->isr_top & 0xf0;

	EXPECT_EQ(lapic->isr_top, hull_lapic_highest(lapic->isr));
	EXPECT_EQ(lapic->ppr, (lapic->tpr & 0xf0) >= isr ? lapic->tpr : isr);
	EXPECT(!(lapic->irr[0] & 0xffff) && !(lapic->isr[0] & 0xffff));
	/* The hint never hides anything. */
	if (!hull_irq_maybe(lapic)) {
		EXPECT_EQ(hull_lapic_highest(lapic->irr), -1);
		EXPECT(!lapic->accept_pic || !vm.irqchip->pics.output);
	}
	EXPECT_EQ(vm.irqchip->pics.output, hull_pic_peek(vm.irqchip) >= 0);
	if (vector < 0 || next_random() & 1)
		return;
	taken = hull_irq_acknowledge(vcpu);
	EXPECT_EQ(taken, vector);
	if (next_random() & 1)
		hull_lapic_eoi(lapic);
}

/* What is saved at any moment can be restored, and saved again the same. */
static void check_state(void)
{
	static struct hull_vm_state state, again;
	static struct hull_apic apic, apic_again;
	struct hull_vcpu *vcpu = some_cpu();
	struct hull_timers timers;
	const u64 groups = HULL_VM_GROUP_PIC | HULL_VM_GROUP_IOAPIC | HULL_VM_GROUP_PIT;

	hull_irqchip_get_state(&vm, groups, &state);
	EXPECT_EQ(hull_irqchip_set_state(&vm, groups, &state), 0);
	hull_irqchip_get_state(&vm, groups, &again);
	EXPECT(!memcmp(&state, &again, sizeof(state)));
	hull_lapic_get_state(vcpu, &apic, &timers);
	EXPECT_EQ(hull_lapic_set_state(vcpu, &apic), 0);
	EXPECT_EQ(hull_lapic_set_timers(vcpu, &timers), 0);
	hull_lapic_get_state(vcpu, &apic_again, NULL);
	EXPECT(!memcmp(&apic, &apic_again, sizeof(apic)));
}

static void test_random(void)
{
	unsigned int rounds = long_run() ? 2000 : 40, steps, round;

	for (round = 0; round < rounds && !test_failures; round++) {
		machine(0x8083);
		for (steps = 0; steps < 20000; steps++) {
			step();
			check(some_cpu());
			if (!(steps & 0xff))
				check_state();
		}
	}
}

const struct test random_tests[] = {
	{ "random: guests and devices", test_random },
	{}
};
