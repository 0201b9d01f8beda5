// SPDX-License-Identifier: GPL-2.0
/*
 * Who holds a line up: the launcher, irqfds, both; what an EOI of IOAPIC and PICs lets go of.
 */
#include "test.h"

#define LEVEL		(1ULL << 15)
#define REMOTE_IRR	(1ULL << 14)
#define MASKED		(1ULL << 16)

static u32 irqfds(void)
{
	return vm.irqchip->lines.held.irqfds;
}

static bool is_up(unsigned int pin)
{
	return vm.irqchip->ioapic.regs.lines & 1U << pin;
}

/* What irqfds were told since the last look. */
static u32 resampled(void)
{
	u32 pins = shim_resampled;

	shim_resampled = 0;
	return pins;
}

static void test_pulse(void)
{
	machine(0x1);
	ioapic_route(5, 0x45);
	hull_line_pulse(vm.irqchip, 5);
	EXPECT(!is_up(5));
	EXPECT_EQ(take(cpu[0]), 0x45);
	eoi(cpu[0]);
	hull_line_pulse(vm.irqchip, 5);
	EXPECT_EQ(take(cpu[0]), 0x45);
	eoi(cpu[0]);
	/* A line that is up has no edge, and stays. */
	hull_irq_set(&vm, 5, 1);
	EXPECT_EQ(take(cpu[0]), 0x45);
	eoi(cpu[0]);
	hull_line_pulse(vm.irqchip, 5);
	EXPECT_EQ(take(cpu[0]), -1);
	EXPECT(is_up(5));
	hull_irq_set(&vm, 5, 0);
	hull_line_hold(vm.irqchip, 5);
	EXPECT_EQ(take(cpu[0]), 0x45);
	hull_line_pulse(vm.irqchip, 5);
	EXPECT(is_up(5));
	EXPECT_EQ(resampled(), 0);
	eoi(cpu[0]);
	/* Level triggered: one interrupt. */
	ioapic_route(6, LEVEL | 0x46);
	hull_line_pulse(vm.irqchip, 6);
	EXPECT_EQ(take(cpu[0]), 0x46);
	eoi(cpu[0]);
	EXPECT_EQ(take(cpu[0]), -1);
}

static void test_level(void)
{
	machine(0x3);
	ioapic_route(10, 1ULL << 56 | LEVEL | 0x5a);
	hull_line_hold(vm.irqchip, 10);
	EXPECT_EQ(take(cpu[1]), 0x5a);
	EXPECT_EQ(irqfds(), 1 << 10);
	/* Others that hold it meanwhile are served by the same interrupt. */
	hull_line_hold(vm.irqchip, 10);
	EXPECT_EQ(take(cpu[1]), -1);
	EXPECT_EQ(resampled(), 0);
	eoi(cpu[1]);
	EXPECT_EQ(resampled(), 1 << 10);
	EXPECT(!is_up(10));
	EXPECT_EQ(irqfds(), 0);
	EXPECT_EQ(take(cpu[1]), -1);
	/* Again after the EOI. */
	hull_line_hold(vm.irqchip, 10);
	EXPECT_EQ(take(cpu[1]), 0x5a);
	eoi(cpu[1]);
	EXPECT_EQ(resampled(), 1 << 10);
	/* An EOI of something else says nothing. */
	hull_line_hold(vm.irqchip, 11);
	hull_irq_set(&vm, 10, 1);
	EXPECT_EQ(take(cpu[1]), 0x5a);
	hull_irq_set(&vm, 10, 0);
	eoi(cpu[1]);
	EXPECT_EQ(resampled(), 0);
	EXPECT_EQ(irqfds(), 1 << 11);
}

static void test_shared_with_launcher(void)
{
	machine(0x1);
	ioapic_route(10, LEVEL | 0x5a);
	hull_irq_set(&vm, 10, 1);
	hull_line_hold(vm.irqchip, 10);
	EXPECT_EQ(take(cpu[0]), 0x5a);
	/* The launcher's level stays: again. */
	eoi(cpu[0]);
	EXPECT_EQ(resampled(), 1 << 10);
	EXPECT(is_up(10));
	EXPECT_EQ(take(cpu[0]), 0x5a);
	/* The irqfd's stays when the launcher's goes. */
	hull_line_hold(vm.irqchip, 10);
	hull_irq_set(&vm, 10, 0);
	EXPECT(is_up(10));
	EXPECT_EQ(hull_lines_release(vm.irqchip, 1 << 10 | 1 << 11), 1 << 10);
	EXPECT(!is_up(10));
	EXPECT_EQ(hull_lines_release(vm.irqchip, 1 << 10), 0);
	eoi(cpu[0]);
	EXPECT_EQ(resampled(), 0);
	EXPECT_EQ(take(cpu[0]), -1);
}

static void test_masked(void)
{
	machine(0x1);
	ioapic_route(10, MASKED | LEVEL | 0x5a);
	hull_line_hold(vm.irqchip, 10);
	EXPECT_EQ(take(cpu[0]), -1);
	EXPECT(is_up(10));
	ioapic_route(10, LEVEL | 0x5a);
	EXPECT_EQ(take(cpu[0]), 0x5a);
	/* The entry changes while it is in service: no EOI comes, the line stays up. */
	ioapic_route(10, LEVEL | 0x5b);
	eoi(cpu[0]);
	EXPECT_EQ(resampled(), 0);
	EXPECT(is_up(10));
	ioapic_route(10, MASKED | 0x5b);
	ioapic_route(10, LEVEL | 0x5b);
	EXPECT_EQ(take(cpu[0]), 0x5b);
	eoi(cpu[0]);
	EXPECT_EQ(resampled(), 1 << 10);
	/* Two pins with one vector */
	ioapic_route(11, LEVEL | 0x5b);
	hull_line_hold(vm.irqchip, 10);
	hull_line_hold(vm.irqchip, 11);
	EXPECT_EQ(take(cpu[0]), 0x5b);
	eoi(cpu[0]);
	EXPECT_EQ(resampled(), 1 << 10 | 1 << 11);
	EXPECT_EQ(take(cpu[0]), -1);
}

/* ---- PICs ----------------------------------------------------------------------------------- */

/* Lines 5 and 10 are level triggered. */
static void start_pics(u8 icw4)
{
	machine_cold(0x1);
	outb(0x20, 0x11), outb(0x21, 0x20), outb(0x21, 4), outb(0x21, icw4);
	outb(0xa0, 0x11), outb(0xa1, 0x28), outb(0xa1, 2), outb(0xa1, icw4);
	outb(0x4d0, 1 << 5);
	outb(0x4d1, 1 << 2);
}

static void test_pic_eoi(void)
{
	start_pics(0x01);
	hull_line_hold(vm.irqchip, 5);
	EXPECT_EQ(take(cpu[0]), 0x25);
	EXPECT_EQ(take(cpu[0]), -1);
	EXPECT_EQ(resampled(), 0);
	outb(0x20, 0x20);
	EXPECT_EQ(resampled(), 1 << 5);
	EXPECT_EQ(take(cpu[0]), -1);
	/* The slave: its own EOI counts, not the master's. */
	hull_line_hold(vm.irqchip, 10);
	EXPECT_EQ(take(cpu[0]), 0x2a);
	outb(0x20, 0x20);
	EXPECT_EQ(resampled(), 0);
	outb(0xa0, 0x60 | 2);
	EXPECT_EQ(resampled(), 1 << 10);
	EXPECT_EQ(take(cpu[0]), -1);
	/* A launcher that holds it too. */
	hull_irq_set(&vm, 5, 1);
	hull_line_hold(vm.irqchip, 5);
	EXPECT_EQ(take(cpu[0]), 0x25);
	outb(0x20, 0x20);
	EXPECT_EQ(resampled(), 1 << 5);
	EXPECT_EQ(take(cpu[0]), 0x25);
	hull_irq_set(&vm, 5, 0);
	outb(0x20, 0x20);
	EXPECT_EQ(take(cpu[0]), -1);
	/* Initialising ends what was in service. */
	hull_line_hold(vm.irqchip, 5);
	EXPECT_EQ(take(cpu[0]), 0x25);
	outb(0x20, 0x11);
	EXPECT_EQ(resampled(), 1 << 5);
	EXPECT(!is_up(5));
}

static void test_pic_auto_eoi(void)
{
	start_pics(0x03);
	hull_line_hold(vm.irqchip, 5);
	EXPECT_EQ(take(cpu[0]), 0x25);
	EXPECT_EQ(resampled(), 1 << 5);
	EXPECT_EQ(take(cpu[0]), -1);
	hull_line_hold(vm.irqchip, 10);
	EXPECT_EQ(take(cpu[0]), 0x2a);
	EXPECT_EQ(resampled(), 1 << 10);
	EXPECT_EQ(take(cpu[0]), -1);
	/* By polling */
	hull_line_hold(vm.irqchip, 5);
	outb(0x20, 0x0c);
	EXPECT_EQ(inb(0x20), 0x85);
	EXPECT_EQ(resampled(), 1 << 5);
	EXPECT_EQ(take(cpu[0]), -1);
}

/* Line 0 of the PICs is pin 2; the cascade, line 2, is no pin. */
static void test_pic_pins(void)
{
	start_pics(0x01);
	hull_line_hold(vm.irqchip, 2);
	hull_line_hold(vm.irqchip, 0);
	EXPECT_EQ(take(cpu[0]), 0x20);
	outb(0x20, 0x20);
	EXPECT_EQ(resampled(), 1 << 2);
	EXPECT_EQ(irqfds(), 1);
	hull_line_hold(vm.irqchip, 10);
	hull_line_hold(vm.irqchip, 2);
	EXPECT_EQ(take(cpu[0]), 0x20);
	outb(0x20, 0x20);
	EXPECT_EQ(resampled(), 1 << 2);
	EXPECT_EQ(take(cpu[0]), 0x2a);
	outb(0x20, 0x20);
	EXPECT_EQ(resampled(), 0);
}

/* ---- state ---------------------------------------------------------------------------------- */

static void test_state(void)
{
	static struct hull_vm_state state, again;

	machine(0x1);
	ioapic_route(10, LEVEL | 0x5a);
	ioapic_route(11, LEVEL | 0x5b);
	hull_irq_set(&vm, 10, 1);
	hull_line_hold(vm.irqchip, 10);
	hull_line_hold(vm.irqchip, 11);
	hull_irqchip_get_state(&vm, HULL_VM_GROUPS, &state);
	EXPECT_EQ(state.lines.launcher, 1 << 10);
	EXPECT_EQ(state.lines.irqfds, 1 << 10 | 1 << 11);
	machine(0x1);
	EXPECT_EQ(hull_irqchip_set_state(&vm, HULL_VM_GROUPS, &state), 0);
	hull_irqchip_get_state(&vm, HULL_VM_GROUPS, &again);
	EXPECT_EQ(state.lines.launcher, again.lines.launcher);
	EXPECT_EQ(state.lines.irqfds, again.lines.irqfds);
	/* They were sent before the state was saved; the EOI goes to the new machine. */
	EXPECT_EQ(take(cpu[0]), -1);
	hull_ioapic_eoi(vm.irqchip, 0x5b);
	EXPECT_EQ(resampled(), 1 << 11);
	EXPECT(!is_up(11));
	hull_ioapic_eoi(vm.irqchip, 0x5a);
	EXPECT_EQ(resampled(), 1 << 10);
	EXPECT_EQ(take(cpu[0]), 0x5a);
	hull_irq_set(&vm, 10, 0);
	EXPECT(!is_up(10));
	/* Without the group all that is up is the launcher's. */
	machine(0x1);
	EXPECT_EQ(hull_irqchip_set_state(&vm, HULL_VM_GROUP_IOAPIC, &state), 0);
	hull_ioapic_eoi(vm.irqchip, 0x5b);
	EXPECT_EQ(resampled(), 0);
	hull_irq_set(&vm, 11, 0);
	EXPECT(!is_up(11));
	/* Alone it changes levels, as whoever holds them would. */
	machine(0x1);
	ioapic_route(9, 0x59);
	memset(&state, 0, sizeof(state));
	state.lines.irqfds = 1 << 9;
	EXPECT_EQ(hull_irqchip_set_state(&vm, HULL_VM_GROUP_LINES, &state), 0);
	EXPECT_EQ(take(cpu[0]), 0x59);
	/* Pins there are not */
	state.lines.irqfds = 1 << HULL_IOAPIC_PINS;
	EXPECT_EQ(hull_irqchip_set_state(&vm, HULL_VM_GROUP_LINES, &state), -EINVAL);
	state.lines.irqfds = 0;
	state.lines.launcher = 1U << 31;
	EXPECT_EQ(hull_irqchip_set_state(&vm, HULL_VM_GROUP_LINES, &state), -EINVAL);
	EXPECT_EQ(irqfds(), 1 << 9);
}

const struct test line_tests[] = {
	{ "lines: edges of irqfds", test_pulse },
	{ "lines: levels of irqfds until EOI", test_level },
	{ "lines: shared with the launcher", test_shared_with_launcher },
	{ "lines: masked pins, changed entries, shared vectors", test_masked },
	{ "lines: EOI of the PICs", test_pic_eoi },
	{ "lines: automatic EOI and polling", test_pic_auto_eoi },
	{ "lines: pins of the PICs", test_pic_pins },
	{ "lines: state", test_state },
	{}
};
