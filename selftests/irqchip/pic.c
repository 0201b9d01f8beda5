// SPDX-License-Identifier: GPL-2.0
/*
 * The two 8259A: initialisation, priorities, every kind of EOI, rotation, masks, polling, ELCR.
 */
#include "test.h"

static void init(u8 icw4)
{
	outb(0x20, 0x11);
	outb(0x21, 0x20);
	outb(0x21, 0x04);
	outb(0x21, icw4);
	outb(0xa0, 0x11);
	outb(0xa1, 0x28);
	outb(0xa1, 0x02);
	outb(0xa1, icw4);
	outb(0x21, 0x00);
	outb(0xa1, 0x00);
}

static void start(u8 icw4)
{
	machine_cold(0x1);
	init(icw4);
}

/* A line of the PICs. */
static void set(unsigned int line, bool level)
{
	hull_irq_set(&vm, line ? line : 2, level);
}

static void pulse(unsigned int line)
{
	set(line, true);
	set(line, false);
}

static u8 isr(u16 port)
{
	outb(port, 0x0b);
	return inb(port);
}

static u8 irr(u16 port)
{
	outb(port, 0x0a);
	return inb(port);
}

static void eoi_for(unsigned int line)
{
	if (line > 7)
		outb(0xa0, 0x20);
	outb(0x20, 0x20);
}

static void test_every_line(void)
{
	unsigned int line;

	start(0x01);
	for (line = 0; line < 16; line++) {
		if (line == 2)
			continue;
		pulse(line);
		EXPECT_EQ(take(cpu[0]), 0x20 + line);
		EXPECT_EQ(isr(line > 7 ? 0xa0 : 0x20), 1 << (line & 7));
		if (line > 7)
			EXPECT_EQ(isr(0x20), 4);
		EXPECT_EQ(irr(0x20) | irr(0xa0), 0);
		/* In service: itself and below wait. */
		pulse(line);
		EXPECT_EQ(take(cpu[0]), -1);
		eoi_for(line);
		EXPECT_EQ(take(cpu[0]), 0x20 + line);
		eoi_for(line);
		EXPECT_EQ(take(cpu[0]), -1);
		EXPECT_EQ(isr(0x20) | isr(0xa0), 0);
	}
}

/* The order of all lines: 0, 1, 8 to 15 (through line 2), 3 to 7. */
static void test_priorities(void)
{
	const u8 order[] = { 0, 1, 8, 9, 10, 11, 12, 13, 14, 15, 3, 4, 5, 6, 7 };
	unsigned int i;

	start(0x01);
	for (i = 0; i < 16; i++) {
		if (i != 2)
			pulse(i);
	}
	for (i = 0; i < ARRAY_SIZE(order); i++) {
		EXPECT_EQ(take(cpu[0]), 0x20 + order[i]);
		EXPECT_EQ(take(cpu[0]), -1);
		eoi_for(order[i]);
	}
	/* A higher one interrupts a lower one. */
	pulse(5);
	EXPECT_EQ(take(cpu[0]), 0x25);
	pulse(12);
	EXPECT_EQ(take(cpu[0]), 0x2c);
	pulse(6);
	EXPECT_EQ(take(cpu[0]), -1);
	pulse(1);
	EXPECT_EQ(take(cpu[0]), 0x21);
	/* Normally the slave's higher lines do not interrupt its lower ones. */
	outb(0x20, 0x20);
	pulse(8);
	EXPECT_EQ(take(cpu[0]), -1);
	eoi_for(12);
	EXPECT_EQ(take(cpu[0]), 0x28);
	eoi_for(8);
	outb(0x20, 0x20);
	EXPECT_EQ(take(cpu[0]), 0x26);
}

static void test_special_fully_nested(void)
{
	start(0x11);
	pulse(12);
	EXPECT_EQ(take(cpu[0]), 0x2c);
	pulse(13);
	EXPECT_EQ(take(cpu[0]), -1);
	pulse(8);
	EXPECT_EQ(take(cpu[0]), 0x28);
}

static void test_mask(void)
{
	start(0x01);
	outb(0x21, 0xf7);
	EXPECT_EQ(inb(0x21), 0xf7);
	pulse(4);
	EXPECT_EQ(take(cpu[0]), -1);
	pulse(3);
	EXPECT_EQ(take(cpu[0]), 0x23);
	eoi_for(3);
	/* What waited behind the mask comes when it opens. */
	outb(0x21, 0x00);
	EXPECT_EQ(take(cpu[0]), 0x24);
	eoi_for(4);
	/* Masked between: not taken. */
	pulse(6);
	outb(0x21, 0x40);
	EXPECT_EQ(take(cpu[0]), -1);
	/* Cascade masked: nothing of the slave. */
	outb(0x21, 0x04);
	pulse(9);
	EXPECT_EQ(take(cpu[0]), 0x26);
	eoi_for(6);
	EXPECT_EQ(take(cpu[0]), -1);
	outb(0x21, 0x00);
	EXPECT_EQ(take(cpu[0]), 0x29);
}

static void test_special_mask(void)
{
	start(0x01);
	pulse(2 + 1);
	EXPECT_EQ(take(cpu[0]), 0x23);
	outb(0x20, 0x68);		/* special mask mode */
	outb(0x21, 0x08);		/* 3 itself masked: holds nobody back */
	pulse(6);
	EXPECT_EQ(take(cpu[0]), 0x26);
	outb(0x20, 0x48);		/* off */
	pulse(5);
	EXPECT_EQ(take(cpu[0]), -1);
	outb(0x20, 0x63);		/* specific EOI */
	EXPECT_EQ(isr(0x20), 0x40);
	EXPECT_EQ(take(cpu[0]), 0x25);
}

static void test_eoi_kinds(void)
{
	unsigned int line;

	start(0x01);
	/* Specific. */
	pulse(6);
	take(cpu[0]);
	pulse(4);
	take(cpu[0]);
	EXPECT_EQ(isr(0x20), 0x50);
	outb(0x20, 0x66);
	EXPECT_EQ(isr(0x20), 0x10);
	outb(0x20, 0x61);		/* not in service */
	EXPECT_EQ(isr(0x20), 0x10);
	outb(0x20, 0x20);
	outb(0x20, 0x20);
	EXPECT_EQ(isr(0x20), 0);
	/* Rotating: the line just served becomes the lowest. */
	pulse(3);
	EXPECT_EQ(take(cpu[0]), 0x23);
	outb(0x20, 0xa0);
	pulse(3);
	pulse(4);
	pulse(1);
	EXPECT_EQ(take(cpu[0]), 0x24);
	outb(0x20, 0xe4);		/* specific, rotating: 4 is the lowest */
	EXPECT_EQ(take(cpu[0]), 0x21);
	outb(0x20, 0x20);
	EXPECT_EQ(take(cpu[0]), 0x23);
	outb(0x20, 0x20);
	/* Set priority: n is the lowest, n + 1 the highest. */
	for (line = 0; line < 8; line++) {
		unsigned int first = (line + 1) & 7;

		outb(0x20, 0xc0 | line);
		if (line == 2 || first == 2)
			continue;
		pulse(line);
		pulse(first);
		EXPECT_EQ(take(cpu[0]), 0x20 + first);
		outb(0x20, 0x20);
		EXPECT_EQ(take(cpu[0]), 0x20 + line);
		outb(0x20, 0x20);
	}
	outb(0x20, 0x40);		/* no operation */
	EXPECT_EQ(take(cpu[0]), -1);
}

static void test_auto_eoi(void)
{
	start(0x03);
	pulse(4);
	EXPECT_EQ(take(cpu[0]), 0x24);
	EXPECT_EQ(isr(0x20), 0);
	pulse(4);
	EXPECT_EQ(take(cpu[0]), 0x24);
	pulse(10);
	EXPECT_EQ(take(cpu[0]), 0x2a);
	EXPECT_EQ(isr(0x20) | isr(0xa0), 0);
	/* With rotation. */
	outb(0x20, 0x80);
	pulse(4);
	EXPECT_EQ(take(cpu[0]), 0x24);
	pulse(4);
	pulse(5);
	EXPECT_EQ(take(cpu[0]), 0x25);
	EXPECT_EQ(take(cpu[0]), 0x24);
	outb(0x20, 0x00);
}

static void test_spurious(void)
{
	start(0x01);
	/* The CPU acknowledges though nothing waits. */
	EXPECT_EQ(hull_pic_acknowledge(vm.irqchip), 0x27);
	EXPECT_EQ(isr(0x20), 0);
	/* A level that goes before it is taken is not seen at all. */
	outb(0x4d0, 0x20);
	set(5, true);
	EXPECT_EQ(hull_irq_pending(cpu[0]), 0x25);
	set(5, false);
	EXPECT_EQ(hull_irq_pending(cpu[0]), -1);
	EXPECT_EQ(hull_irq_acknowledge(cpu[0]), -1);
}

static void test_level(void)
{
	start(0x01);
	outb(0x4d0, 0xff);
	outb(0x4d1, 0xff);
	EXPECT_EQ(inb(0x4d0), 0xf8);
	EXPECT_EQ(inb(0x4d1), 0xde);
	set(5, true);
	EXPECT_EQ(take(cpu[0]), 0x25);
	eoi_for(5);
	EXPECT_EQ(take(cpu[0]), 0x25);
	set(5, false);
	eoi_for(5);
	EXPECT_EQ(take(cpu[0]), -1);
	set(11, true);
	EXPECT_EQ(take(cpu[0]), 0x2b);
	eoi_for(11);
	EXPECT_EQ(take(cpu[0]), 0x2b);
	set(11, false);
	eoi_for(11);
	EXPECT_EQ(take(cpu[0]), -1);
	/* Initialisation keeps a level and forgets an edge. */
	set(5, true);
	pulse(1);
	init(0x01);
	EXPECT_EQ(take(cpu[0]), 0x25);
	eoi_for(5);
	set(5, false);
	EXPECT_EQ(take(cpu[0]), -1);
	/* From edge to level while high. */
	outb(0x4d0, 0);
	set(6, true);
	EXPECT_EQ(take(cpu[0]), 0x26);
	eoi_for(6);
	EXPECT_EQ(take(cpu[0]), -1);
	outb(0x4d0, 0x40);
	EXPECT_EQ(take(cpu[0]), 0x26);
}

static void test_poll(void)
{
	start(0x01);
	apic_write(cpu[0], APIC_LVT0, APIC_LVT_MASKED);
	outb(0x20, 0x0c);
	EXPECT_EQ(inb(0x20), 0x07);
	pulse(4);
	outb(0x20, 0x0c);
	EXPECT_EQ(inb(0x20), 0x84);
	EXPECT_EQ(isr(0x20), 0x10);
	outb(0x20, 0x20);
	pulse(13);
	outb(0x20, 0x0c);
	EXPECT_EQ(inb(0x21), 0x82);
	outb(0xa0, 0x0c);
	EXPECT_EQ(inb(0xa0), 0x85);
	EXPECT_EQ(isr(0xa0), 0x20);
}

static void test_initialisation(void)
{
	unsigned int base;

	machine_cold(0x1);
	/* Without ICW4. */
	outb(0x20, 0x10);
	outb(0x21, 0x67);
	outb(0x21, 0x04);
	outb(0x21, 0xfd);
	EXPECT_EQ(inb(0x21), 0xfd);
	pulse(1);
	EXPECT_EQ(take(cpu[0]), 0x61);
	/* Begun again in the middle. */
	outb(0x20, 0x11);
	outb(0x21, 0x40);
	outb(0x20, 0x11);
	EXPECT_EQ(inb(0x21), 0);
	EXPECT_EQ(isr(0x20), 0);
	for (base = 0; base < 256; base += 8) {
		outb(0x20, 0x11);
		outb(0x21, base);
		outb(0x21, 0x04);
		outb(0x21, 0x01);
		pulse(7);
		EXPECT_EQ(take(cpu[0]), base + 7);
		outb(0x20, 0x20);
	}
}

static void test_wide_ports(void)
{
	u32 value = 0x5a20;

	start(0x01);
	pulse(3);
	take(cpu[0]);
	/* One 16-bit write: EOI and mask. */
	EXPECT(hull_irqchip_port(cpu[0], 0x20, 2, true, &value));
	EXPECT_EQ(isr(0x20), 0);
	EXPECT_EQ(inb(0x21), 0x5a);
	EXPECT(hull_irqchip_port(cpu[0], 0x21, 4, false, &value));
	EXPECT_EQ(value, 0xffffff5a);
	EXPECT(!hull_irqchip_port(cpu[0], 0x1f, 2, false, &value));
	EXPECT(!hull_irqchip_port(cpu[0], 0x22, 1, false, &value));
	value = ~0U;
	EXPECT(hull_irqchip_port(cpu[0], 0xa1, 4, true, &value));
	EXPECT_EQ(inb(0xa1), 0xff);
}

const struct test pic_tests[] = {
	{ "pic: every line", test_every_line },
	{ "pic: priorities and nesting", test_priorities },
	{ "pic: special fully nested mode", test_special_fully_nested },
	{ "pic: masks", test_mask },
	{ "pic: special mask mode", test_special_mask },
	{ "pic: kinds of EOI and rotation", test_eoi_kinds },
	{ "pic: automatic EOI", test_auto_eoi },
	{ "pic: spurious interrupts", test_spurious },
	{ "pic: level triggering, ELCR", test_level },
	{ "pic: polling", test_poll },
	{ "pic: initialisation sequences", test_initialisation },
	{ "pic: wide accesses", test_wide_ports },
	{}
};
