// SPDX-License-Identifier: GPL-2.0
/*
 * The local APIC by itself: priorities, EOI, modes, errors, the PICs' input.
 */
#include "test.h"

static void self_ipi(struct hull_vcpu *vcpu, u8 vector)
{
	if (hull_lapic_x2(vcpu->lapic))
		wrmsr(vcpu, 0x83f, vector);
	else
		apic_write(vcpu, APIC_ICR, APIC_DEST_SELF | vector);
}

static void test_power_up(void)
{
	unsigned int i;

	machine_cold(0x3);
	EXPECT_EQ(rdmsr(cpu[0], 0x1b), 0xfee00900);
	EXPECT_EQ(rdmsr(cpu[1], 0x1b), 0xfee00800);
	EXPECT_EQ(cpu[0]->control.apic_base, 0xfee00900);
	EXPECT_EQ(apic_read(cpu[1], APIC_ID), 1 << 24);
	EXPECT_EQ(apic_read(cpu[0], APIC_LVR), 0x50014);
	EXPECT_EQ(apic_read(cpu[0], APIC_SPIV), 0xff);
	EXPECT_EQ(apic_read(cpu[0], APIC_DFR), ~0U);
	EXPECT_EQ(apic_read(cpu[0], APIC_LDR), 0);
	EXPECT_EQ(apic_read(cpu[0], APIC_LVT0), 0x700);
	EXPECT_EQ(apic_read(cpu[1], APIC_LVT0), APIC_LVT_MASKED);
	for (i = APIC_LVTT; i <= APIC_LVTERR; i += 16) {
		if (i != APIC_LVT0)
			EXPECT_EQ(apic_read(cpu[0], i), APIC_LVT_MASKED);
	}
	EXPECT_EQ(take(cpu[0]), -1);
	/* Software disabled: accepts no interrupts, keeps entries masked. */
	self_ipi(cpu[0], 0x40);
	EXPECT_EQ(take(cpu[0]), -1);
	apic_write(cpu[0], APIC_LVTT, 0x30);
	EXPECT_EQ(apic_read(cpu[0], APIC_LVTT), APIC_LVT_MASKED | 0x30);
}

static void priorities(struct hull_vcpu *vcpu)
{
	self_ipi(vcpu, 0x41);
	self_ipi(vcpu, 0x52);
	self_ipi(vcpu, 0x4f);
	EXPECT_EQ(take(vcpu), 0x52);
	/* The same class waits, a higher one does not. */
	self_ipi(vcpu, 0x53);
	EXPECT_EQ(take(vcpu), -1);
	self_ipi(vcpu, 0x60);
	EXPECT_EQ(take(vcpu), 0x60);
	EXPECT_EQ(take(vcpu), -1);
	eoi(vcpu);
	EXPECT_EQ(take(vcpu), -1);
	eoi(vcpu);
	EXPECT_EQ(take(vcpu), 0x53);
	eoi(vcpu);
	EXPECT_EQ(take(vcpu), 0x4f);
	eoi(vcpu);
	EXPECT_EQ(take(vcpu), 0x41);
	/* Requested again while in service: delivered again after. */
	self_ipi(vcpu, 0x41);
	EXPECT_EQ(take(vcpu), -1);
	eoi(vcpu);
	EXPECT_EQ(take(vcpu), 0x41);
	eoi(vcpu);
	EXPECT_EQ(take(vcpu), -1);
	/* Nothing in service. */
	eoi(vcpu);
	EXPECT_EQ(take(vcpu), -1);
	EXPECT(!hull_irq_maybe(vcpu->lapic));
}

static void test_priorities(void)
{
	machine(0x1);
	priorities(cpu[0]);
	use_x2apic(cpu[0]);
	priorities(cpu[0]);
}

static void test_every_vector(void)
{
	unsigned int vector;

	machine(0x1);
	for (vector = 16; vector < 256; vector++) {
		self_ipi(cpu[0], vector);
		EXPECT_EQ(apic_read(cpu[0], APIC_IRR + vector / 32 * 16), 1U << vector % 32);
		EXPECT_EQ(take(cpu[0]), vector);
		EXPECT_EQ(apic_read(cpu[0], APIC_IRR + vector / 32 * 16), 0);
		EXPECT_EQ(apic_read(cpu[0], APIC_ISR + vector / 32 * 16), 1U << vector % 32);
		EXPECT_EQ(apic_read(cpu[0], APIC_PROCPRI), vector & 0xf0);
		eoi(cpu[0]);
		EXPECT_EQ(apic_read(cpu[0], APIC_ISR + vector / 32 * 16), 0);
	}
	/* All at once come from the top, one of each class nested. */
	for (vector = 16; vector < 256; vector++)
		self_ipi(cpu[0], vector);
	for (vector = 255; vector >= 16; vector--) {
		EXPECT_EQ(take(cpu[0]), vector);
		eoi(cpu[0]);
	}
	EXPECT_EQ(take(cpu[0]), -1);
}

static void test_task_priority(void)
{
	machine(0x1);
	self_ipi(cpu[0], 0x45);
	apic_write(cpu[0], APIC_TASKPRI, 0x50);
	EXPECT_EQ(take(cpu[0]), -1);
	apic_write(cpu[0], APIC_TASKPRI, 0x40);
	EXPECT_EQ(take(cpu[0]), -1);
	EXPECT_EQ(hull_lapic_get_cr8(cpu[0]), 4);
	hull_lapic_set_cr8(cpu[0], 3);
	EXPECT_EQ(apic_read(cpu[0], APIC_TASKPRI), 0x30);
	EXPECT_EQ(apic_read(cpu[0], APIC_PROCPRI), 0x30);
	EXPECT_EQ(take(cpu[0]), 0x45);
	EXPECT_EQ(apic_read(cpu[0], APIC_PROCPRI), 0x40);
	/* The same class in both: TPR with its lower half. */
	apic_write(cpu[0], APIC_TASKPRI, 0x47);
	EXPECT_EQ(apic_read(cpu[0], APIC_PROCPRI), 0x47);
	eoi(cpu[0]);
	EXPECT_EQ(apic_read(cpu[0], APIC_PROCPRI), 0x47);
}

static void test_software_disable(void)
{
	machine(0x1);
	self_ipi(cpu[0], 0x60);
	apic_write(cpu[0], APIC_LVT1, 0x400);
	apic_write(cpu[0], APIC_SPIV, 0xff);
	EXPECT_EQ(apic_read(cpu[0], APIC_LVT1), APIC_LVT_MASKED | 0x400);
	/* What was accepted stays; nothing new comes in. */
	self_ipi(cpu[0], 0x61);
	EXPECT_EQ(take(cpu[0]), 0x60);
	EXPECT_EQ(take(cpu[0]), -1);
	eoi(cpu[0]);
	EXPECT_EQ(take(cpu[0]), -1);
}

/* The guest's ways between off, xAPIC and x2APIC, and those that fault. */
static void test_modes(void)
{
	const u64 off = 0xfee00100, x = 0xfee00900, x2 = 0xfee00d00, wrong = 0xfee00500;
	const struct {
		u64 from, to;
		int result;
	} ways[] = {
		{ off, off, 0 }, { off, x, 0 }, { off, x2, -EINVAL }, { off, wrong, -EINVAL },
		{ x, off, 0 }, { x, x, 0 }, { x, x2, 0 }, { x, wrong, -EINVAL },
		{ x2, off, 0 }, { x2, x, -EINVAL }, { x2, x2, 0 }, { x2, wrong, -EINVAL },
	};
	unsigned int i;
	u64 value = 0;

	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		machine(0x1);
		EXPECT_EQ(hull_lapic_set_base(cpu[0], ways[i].from), 0);
		EXPECT_EQ(hull_lapic_write_msr(cpu[0], 0x1b, ways[i].to), ways[i].result);
		EXPECT_EQ(rdmsr(cpu[0], 0x1b), ways[i].result ? ways[i].from : ways[i].to);
		EXPECT_EQ(cpu[0]->control.apic_base, rdmsr(cpu[0], 0x1b));
	}
	/* Reserved bits, and the address width. */
	machine(0x1);
	for (i = 0; i < 64; i++) {
		bool fine = i == 8 || (i >= 12 && i < hull_gpa_bits);

		if (i == 10 || i == 11)
			continue;
		EXPECT_EQ(hull_lapic_write_msr(cpu[0], 0x1b, x ^ 1ULL << i), fine ? 0 : -EINVAL);
	}
	EXPECT_EQ(hull_lapic_set_base(cpu[0], wrong), -EINVAL);
	EXPECT_EQ(hull_lapic_set_base(cpu[0], x2), 0);
	/* The page is where the base says, in xAPIC mode. */
	EXPECT(!hull_irqchip_memory(cpu[0], HULL_APIC_BASE_DEFAULT, 4, false, &value));
	machine(0x1);
	wrmsr(cpu[0], 0x1b, 0xd0000900);
	EXPECT(!hull_irqchip_memory(cpu[0], HULL_APIC_BASE_DEFAULT, 4, false, &value));
	EXPECT(hull_irqchip_memory(cpu[0], 0xd0000030, 4, false, &value));
	EXPECT_EQ(value, 0x50014);
	/* Off: forgets, and PIC interrupts pass. */
	machine(0x2);
	self_ipi(cpu[1], 0x70);
	wrmsr(cpu[1], 0x1b, 0xfee00000);
	EXPECT_EQ(take(cpu[1]), -1);
	EXPECT(!hull_irqchip_memory(cpu[1], HULL_APIC_BASE_DEFAULT, 4, false, &value));
	EXPECT(cpu[1]->lapic->accept_pic);
	wrmsr(cpu[1], 0x1b, 0xfee00800);
	EXPECT(!cpu[1]->lapic->accept_pic);
	EXPECT_EQ(take(cpu[1]), -1);
	EXPECT_EQ(apic_read(cpu[1], APIC_SPIV), 0xff);
}

static void test_x2apic_ids(void)
{
	unsigned int id;

	machine(0xffff);
	for (id = 0; id < 16; id++) {
		use_x2apic(cpu[id]);
		EXPECT_EQ(rdmsr(cpu[id], X2(APIC_ID)), id);
		EXPECT_EQ(rdmsr(cpu[id], X2(APIC_LDR)), 1U << id);
		/* INIT keeps mode and id. */
		hull_lapic_reset(cpu[id], true);
		EXPECT_EQ(rdmsr(cpu[id], X2(APIC_ID)), id);
		EXPECT_EQ(rdmsr(cpu[id], X2(APIC_LDR)), 1U << id);
		EXPECT_EQ(rdmsr(cpu[id], X2(APIC_SPIV)), 0xff);
	}
}

static void test_errors(void)
{
	machine(0x3);
	apic_write(cpu[0], APIC_LVTERR, 0xfe);
	/* Sent with an illegal vector. */
	self_ipi(cpu[0], 5);
	EXPECT_EQ(apic_read(cpu[0], APIC_ESR), 0);
	EXPECT_EQ(take(cpu[0]), 0xfe);
	eoi(cpu[0]);
	apic_write(cpu[0], APIC_ESR, 0);
	EXPECT_EQ(apic_read(cpu[0], APIC_ESR), APIC_ESR_SENDILL);
	apic_write(cpu[0], APIC_ESR, 0);
	EXPECT_EQ(apic_read(cpu[0], APIC_ESR), 0);
	/* Received. */
	hull_msi_send(&vm, 0xfee00000, 0x0f);
	EXPECT_EQ(take(cpu[0]), 0xfe);
	eoi(cpu[0]);
	apic_write(cpu[0], APIC_ESR, 0);
	EXPECT_EQ(apic_read(cpu[0], APIC_ESR), APIC_ESR_RECVILL);
	/* No such register. */
	apic_read(cpu[0], 0x40);
	EXPECT_EQ(take(cpu[0]), 0xfe);
	eoi(cpu[0]);
	apic_write(cpu[0], APIC_ESR, 0);
	EXPECT_EQ(apic_read(cpu[0], APIC_ESR), APIC_ESR_ILLREGA);
	/* The error's own vector is illegal: no more than the bit. */
	apic_write(cpu[0], APIC_LVTERR, 0x03);
	self_ipi(cpu[0], 1);
	EXPECT_EQ(take(cpu[0]), -1);
	/* Timer with an illegal vector. */
	apic_write(cpu[0], APIC_ESR, 0);
	apic_write(cpu[0], APIC_LVTERR, 0xfe);
	apic_write(cpu[0], APIC_LVTT, 0x07);
	apic_write(cpu[0], APIC_TMICT, 10);
	shim_advance(1000);
	EXPECT_EQ(take(cpu[0]), 0xfe);
	use_x2apic(cpu[0]);
	wrmsr(cpu[0], 0x83f, 3);
	wrmsr(cpu[0], X2(APIC_ESR), 0);
	EXPECT_EQ(rdmsr(cpu[0], X2(APIC_ESR)), APIC_ESR_SENDILL | APIC_ESR_RECVILL);
}

/* The wires from the PICs: to the CPU as they are, or an ordinary input. */
static void test_lint0(void)
{
	machine(0x3);
	/* Master: base 0x20, nothing masked. */
	outb(0x20, 0x11);
	outb(0x21, 0x20);
	outb(0x21, 0x04);
	outb(0x21, 0x01);
	outb(0x21, 0x00);
	cpu[0]->wakes = 0;
	cpu[1]->wakes = 0;
	hull_irq_set(&vm, 3, 1);
	hull_irq_set(&vm, 3, 0);
	EXPECT_EQ(cpu[0]->wakes, 1);
	EXPECT_EQ(cpu[1]->wakes, 0);
	EXPECT_EQ(take(cpu[1]), -1);
	EXPECT_EQ(take(cpu[0]), 0x23);
	EXPECT_EQ(take(cpu[0]), -1);
	outb(0x20, 0x20);
	/* It passes whatever the APIC's priorities say. */
	self_ipi(cpu[0], 0xf0);
	EXPECT_EQ(take(cpu[0]), 0xf0);
	hull_irq_set(&vm, 3, 1);
	EXPECT_EQ(take(cpu[0]), 0x23);
	eoi(cpu[0]);
	hull_irq_set(&vm, 3, 0);
	/* Masked while it waits: it goes on waiting, and comes when unmasked. */
	outb(0x20, 0x20);
	apic_write(cpu[0], APIC_LVT0, APIC_LVT_MASKED | 0x700);
	hull_irq_set(&vm, 4, 1);
	hull_irq_set(&vm, 4, 0);
	EXPECT_EQ(take(cpu[0]), -1);
	EXPECT(!hull_irq_maybe(cpu[0]->lapic));
	apic_write(cpu[0], APIC_LVT0, 0x700);
	EXPECT_EQ(take(cpu[0]), 0x24);
	outb(0x20, 0x20);
	/* Fixed and NMI inputs, on rising output. */
	apic_write(cpu[1], APIC_LVT0, 0x80);
	apic_write(cpu[0], APIC_LVT0, 0x400);
	hull_irq_set(&vm, 5, 1);
	hull_irq_set(&vm, 5, 0);
	EXPECT_EQ(take(cpu[1]), 0x80);
	EXPECT_EQ(cpu[0]->nmis, 1);
	EXPECT_EQ(take(cpu[0]), -1);
}

static void test_without_apic(void)
{
	struct hull_create_vm args = {};
	struct hull_vcpu bare = { .vm = &vm };
	u64 value;
	u32 port_value = 0;

	machine_end();
	EXPECT_EQ(hull_irqchip_create(&vm, &args), 0);
	EXPECT(!vm.irqchip);
	EXPECT_EQ(hull_irq_set(&vm, 1, 1), -EINVAL);
	EXPECT_EQ(hull_msi_send(&vm, 0xfee00000, 0x40), -EINVAL);
	EXPECT_EQ(hull_lapic_read_msr(&bare, 0x1b, &value), -ENOENT);
	EXPECT_EQ(hull_lapic_write_msr(&bare, 0x802, 0), -ENOENT);
	EXPECT_EQ(hull_clock_write_msr(&bare, 0x4b564d01, 1), -ENOENT);
	EXPECT(!hull_irqchip_memory(&bare, HULL_IOAPIC_BASE, 4, false, &value));
	EXPECT(!hull_irqchip_port(&bare, 0x20, 1, false, &port_value));
	EXPECT_EQ(hull_vm_clock_ns(&vm), 0);
	hull_clock_update(&bare);
	hull_irqchip_destroy(&vm);
	args.flags = HULL_VM_PIT;
	EXPECT_EQ(hull_irqchip_create(&vm, &args), -EINVAL);
	args.flags = 0;
	args.pm_timer_port = 0x608;
	EXPECT_EQ(hull_irqchip_create(&vm, &args), -EINVAL);
	args.flags = HULL_VM_IRQCHIP;
	args.pm_timer_port = 0x609;
	EXPECT_EQ(hull_irqchip_create(&vm, &args), -EINVAL);
	args.pm_timer_port = 0x10000;
	EXPECT_EQ(hull_irqchip_create(&vm, &args), -EINVAL);
	args.pm_timer_port = 0;
	shim_fail_alloc = true;
	EXPECT_EQ(hull_irqchip_create(&vm, &args), -ENOMEM);
	shim_fail_alloc = false;
	EXPECT_EQ(hull_irqchip_create(&vm, &args), 0);
	shim_fail_alloc = true;
	EXPECT_EQ(hull_lapic_create(&bare), -ENOMEM);
	shim_fail_alloc = false;
	/* No PIT, no PM timer: those ports are free. */
	EXPECT(!hull_irqchip_port(&bare, 0x40, 1, false, &port_value));
	EXPECT(!hull_irqchip_port(&bare, 0x61, 1, true, &port_value));
	EXPECT(!hull_irqchip_port(&bare, 0, 4, false, &port_value));
	hull_irqchip_destroy(&vm);
}

const struct test lapic_tests[] = {
	{ "lapic: registers after power-up", test_power_up },
	{ "lapic: priorities and EOI, both modes", test_priorities },
	{ "lapic: every vector", test_every_vector },
	{ "lapic: TPR, PPR, CR8", test_task_priority },
	{ "lapic: software disable", test_software_disable },
	{ "lapic: APIC_BASE transitions and faults", test_modes },
	{ "lapic: x2APIC ids, INIT", test_x2apic_ids },
	{ "lapic: ESR and the error interrupt", test_errors },
	{ "lapic: LINT0 as ExtINT, fixed, NMI", test_lint0 },
	{ "irqchip: creation, VMs without it", test_without_apic },
	{}
};
