// SPDX-License-Identifier: GPL-2.0
/*
 * The IOAPIC: registers, edge and level, masking, remote IRR.
 */
#include "test.h"

#define MASKED		(1ULL << 16)
#define LEVEL		(1ULL << 15)
#define REMOTE_IRR	(1ULL << 14)
#define LOGICAL		(1ULL << 11)
#define TO(id)		((u64)(id) << 56)

static void edge(u32 gsi)
{
	EXPECT_EQ(hull_irq_set(&vm, gsi, 1), 0);
	EXPECT_EQ(hull_irq_set(&vm, gsi, 0), 0);
}

static u32 entry_low(unsigned int pin)
{
	return ioapic_read(0x10 + 2 * pin);
}

static void test_registers(void)
{
	unsigned int reg, bit;

	machine(0x1);
	EXPECT_EQ(ioapic_read(1), 0x170011);
	ioapic_write(1, ~0U);
	EXPECT_EQ(ioapic_read(1), 0x170011);
	ioapic_write(0, ~0U);
	EXPECT_EQ(ioapic_read(0), 0x0f000000);
	EXPECT_EQ(ioapic_read(2), 0x0f000000);
	for (reg = 0x10; reg < 0x40; reg++) {
		EXPECT_EQ(ioapic_read(reg), reg & 1 ? 0 : MASKED);
		for (bit = 0; bit < 32; bit++) {
			u32 writable = reg & 1 ? 0xff000000 : 0x1afff;

			ioapic_write(reg, 1U << bit);
			EXPECT_EQ(ioapic_read(reg), 1U << bit & writable);
		}
		ioapic_write(reg, reg & 1 ? 0 : MASKED);
	}
	/* Registers that are not there. */
	for (reg = 0x40; reg < 0x100; reg++) {
		ioapic_write(reg, ~0U);
		EXPECT_EQ(ioapic_read(reg), 0);
	}
	/* The select register has 8 bits. */
	EXPECT_EQ(ioapic_read(0x101), 0x170011);
	EXPECT_EQ(ioapic_read(0x3e), MASKED);
}

/* Accesses of other sizes and places. */
static void test_sizes(void)
{
	const unsigned int sizes[] = { 1, 2, 4, 8 };
	unsigned int offset, i;
	u64 value;

	machine(0x1);
	ioapic_route(1, TO(3) | MASKED | 0x55);
	for (offset = 0; offset < 0x1000; offset++) {
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			if (offset + sizes[i] > 0x1000 || offset == 0 || offset == 0x10)
				continue;
			value = ~0ULL;
			EXPECT(hull_irqchip_memory(cpu[0], HULL_IOAPIC_BASE + offset, sizes[i],
						   true, &value));
			EXPECT(hull_irqchip_memory(cpu[0], HULL_IOAPIC_BASE + offset, sizes[i],
						   false, &value));
			EXPECT_EQ(value, 0);
		}
	}
	/* Select by a byte; data by 32 bits only. */
	value = 0x12;
	hull_irqchip_memory(cpu[0], HULL_IOAPIC_BASE, 1, true, &value);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		value = 0;
		if (sizes[i] != 4)
			hull_irqchip_memory(cpu[0], HULL_IOAPIC_BASE + 0x10, sizes[i], true,
					    &value);
	}
	EXPECT_EQ(entry_low(1), MASKED | 0x55);
	EXPECT(!hull_irqchip_memory(cpu[0], HULL_IOAPIC_BASE + 0x1000, 4, false, &value));
	EXPECT(!hull_irqchip_memory(cpu[0], HULL_IOAPIC_BASE - 4, 4, false, &value));
}

static void test_edge(void)
{
	unsigned int pin;

	machine(0x5);
	for (pin = 0; pin < HULL_IOAPIC_PINS; pin++)
		ioapic_route(pin, TO(2) | (0x40 + pin));
	for (pin = 0; pin < HULL_IOAPIC_PINS; pin++) {
		hull_irq_set(&vm, pin, 1);
		EXPECT_EQ(take(cpu[2]), 0x40 + pin);
		EXPECT_EQ(apic_read(cpu[2], APIC_TMR + (0x40 + pin) / 32 * 16), 0);
		eoi(cpu[2]);
		/* Still high: no new edge. */
		hull_irq_set(&vm, pin, 1);
		EXPECT_EQ(take(cpu[2]), -1);
		hull_irq_set(&vm, pin, 0);
		EXPECT_EQ(take(cpu[2]), -1);
		EXPECT_EQ(entry_low(pin), 0x40 + pin);
	}
	/* While masked it is lost. */
	ioapic_route(5, TO(2) | MASKED | 0x45);
	edge(5);
	ioapic_route(5, TO(2) | 0x45);
	EXPECT_EQ(take(cpu[2]), -1);
	edge(5);
	EXPECT_EQ(take(cpu[2]), 0x45);
	eoi(cpu[2]);
	/* Twice before it is taken: once. */
	edge(5);
	edge(5);
	EXPECT_EQ(take(cpu[2]), 0x45);
	eoi(cpu[2]);
	EXPECT_EQ(take(cpu[2]), -1);
	/* The PICs saw them all, but nobody has initialised them. */
	EXPECT_EQ(take(cpu[0]), -1);
}

static void test_level(void)
{
	machine(0x3);
	ioapic_route(10, TO(1) | LEVEL | 0x5a);
	hull_irq_set(&vm, 10, 1);
	EXPECT_EQ(entry_low(10), LEVEL | REMOTE_IRR | 0x5a);
	EXPECT_EQ(take(cpu[1]), 0x5a);
	EXPECT_EQ(apic_read(cpu[1], APIC_TMR + 0x20), 1U << (0x5a - 0x40));
	/* Still high at EOI: again. */
	eoi(cpu[1]);
	EXPECT_EQ(entry_low(10), LEVEL | REMOTE_IRR | 0x5a);
	EXPECT_EQ(take(cpu[1]), 0x5a);
	/* Not again before EOI. */
	hull_irq_set(&vm, 10, 0);
	hull_irq_set(&vm, 10, 1);
	EXPECT_EQ(take(cpu[1]), -1);
	hull_irq_set(&vm, 10, 0);
	eoi(cpu[1]);
	EXPECT_EQ(entry_low(10), LEVEL | 0x5a);
	EXPECT_EQ(take(cpu[1]), -1);
	/* High while masked: delivered when unmasked; gone before that: not. */
	ioapic_route(10, TO(1) | LEVEL | MASKED | 0x5a);
	hull_irq_set(&vm, 10, 1);
	EXPECT_EQ(take(cpu[1]), -1);
	ioapic_write(0x10 + 20, LEVEL | 0x5a);
	EXPECT_EQ(take(cpu[1]), 0x5a);
	hull_irq_set(&vm, 10, 0);
	eoi(cpu[1]);
	ioapic_write(0x10 + 20, LEVEL | MASKED | 0x5a);
	hull_irq_set(&vm, 10, 1);
	hull_irq_set(&vm, 10, 0);
	ioapic_write(0x10 + 20, LEVEL | 0x5a);
	EXPECT_EQ(take(cpu[1]), -1);
	/* x2APIC's EOI does the same. */
	use_x2apic(cpu[1]);
	hull_irq_set(&vm, 10, 1);
	EXPECT_EQ(take(cpu[1]), 0x5a);
	eoi(cpu[1]);
	EXPECT_EQ(take(cpu[1]), 0x5a);
	hull_irq_set(&vm, 10, 0);
	eoi(cpu[1]);
	EXPECT_EQ(entry_low(10), LEVEL | 0x5a);
}

/* Two pins with one vector; the kernels' way to free a stuck pin. */
static void test_shared_vector(void)
{
	machine(0x1);
	ioapic_route(10, TO(0) | LEVEL | 0x5a);
	ioapic_route(11, TO(0) | LEVEL | 0x5a);
	hull_irq_set(&vm, 10, 1);
	hull_irq_set(&vm, 11, 1);
	EXPECT_EQ(take(cpu[0]), 0x5a);
	hull_irq_set(&vm, 10, 0);
	eoi(cpu[0]);
	EXPECT_EQ(entry_low(10), LEVEL | 0x5a);
	EXPECT_EQ(entry_low(11), LEVEL | REMOTE_IRR | 0x5a);
	EXPECT_EQ(take(cpu[0]), 0x5a);
	/* Its vector changes while in service: the EOI misses it ... */
	ioapic_route(11, TO(0) | LEVEL | 0x6b);
	hull_irq_set(&vm, 11, 0);
	eoi(cpu[0]);
	EXPECT_EQ(entry_low(11), LEVEL | REMOTE_IRR | 0x6b);
	hull_irq_set(&vm, 11, 1);
	EXPECT_EQ(take(cpu[0]), -1);
	/* ... until it was edge triggered for a moment. */
	ioapic_route(11, TO(0) | MASKED | 0x6b);
	EXPECT_EQ(entry_low(11), MASKED | 0x6b);
	ioapic_route(11, TO(0) | LEVEL | 0x6b);
	EXPECT_EQ(take(cpu[0]), 0x6b);
}

static void test_nobody_home(void)
{
	machine_cold(0x3);
	ioapic_route(9, TO(1) | LEVEL | 0x70);
	hull_irq_set(&vm, 9, 1);
	/* Not delivered, so no EOI comes: remote IRR stays clear, and the next change retries. */
	EXPECT_EQ(entry_low(9), LEVEL | 0x70);
	apic_write(cpu[1], APIC_SPIV, 0x1ff);
	EXPECT_EQ(take(cpu[1]), -1);
	ioapic_write(0x10 + 18, LEVEL | 0x70);
	EXPECT_EQ(take(cpu[1]), 0x70);
	/* CPUs and vectors that do not exist. */
	ioapic_route(9, TO(0x77) | 0x70);
	edge(9);
	hull_irq_set(&vm, 9, 1);
	ioapic_route(9, TO(1) | LEVEL | 0x03);
	EXPECT_EQ(entry_low(9), LEVEL | 0x03);
}

static void test_delivery_modes(void)
{
	unsigned int id;

	machine(0xf);
	for (id = 0; id < 4; id++)
		apic_write(cpu[id], APIC_LDR, 1U << (24 + id));
	ioapic_route(4, TO(0x6) | LOGICAL | 0x44);
	edge(4);
	EXPECT_EQ(take(cpu[0]), -1);
	EXPECT_EQ(take(cpu[1]), 0x44);
	EXPECT_EQ(take(cpu[2]), 0x44);
	ioapic_route(4, TO(0xf) | LOGICAL | 0x151);
	edge(4);
	for (id = 0; id < 4 && take(cpu[id]) < 0; id++)
		;
	EXPECT(id < 4);
	for (id++; id < 4; id++)
		EXPECT_EQ(take(cpu[id]), -1);
	/* NMI, though level triggered: once, and no remote IRR. */
	ioapic_route(4, TO(3) | LEVEL | 0x400);
	edge(4);
	EXPECT_EQ(cpu[3]->nmis, 1);
	EXPECT_EQ(entry_low(4), LEVEL | 0x400);
	ioapic_route(4, TO(3) | 0x500);
	edge(4);
	EXPECT_EQ(cpu[3]->inits, 1);
	/* SMI, reserved, ExtINT: nothing. */
	for (id = 0; id < 8; id++) {
		if (id != 0 && id != 1 && id != 4 && id != 5) {
			ioapic_route(4, TO(3) | id << 8 | 0x60);
			edge(4);
		}
	}
	EXPECT_EQ(take(cpu[3]), -1);
	EXPECT_EQ(cpu[3]->sipis, 0);
}

/* Line 0 of the PICs is pin 2; line 2 of the PICs does not exist. */
static void test_lines(void)
{
	unsigned int gsi;

	machine(0x1);
	for (gsi = 0; gsi < HULL_IOAPIC_PINS; gsi++) {
		unsigned int line = gsi == 2 ? 0 : gsi;
		u16 irr;

		hull_irq_set(&vm, gsi, 1);
		outb(0x20, 0x0a);
		outb(0xa0, 0x0a);
		irr = inb(0x20) | inb(0xa0) << 8;
		/* The slave's output is line 2. */
		EXPECT_EQ(irr, gsi == 0 || gsi > 15 ? 0 : 1 << line | (line > 7 ? 1 << 2 : 0));
		hull_irq_set(&vm, gsi, 0);
		/* Forget the edge. */
		outb(0x20, 0x11);
		outb(0x21, 0x20), outb(0x21, 4), outb(0x21, 1);
		outb(0xa0, 0x11);
		outb(0xa1, 0x28), outb(0xa1, 2), outb(0xa1, 1);
	}
}

const struct test ioapic_tests[] = {
	{ "ioapic: registers, every bit", test_registers },
	{ "ioapic: sizes and offsets", test_sizes },
	{ "ioapic: edges", test_edge },
	{ "ioapic: levels, masking, EOI", test_level },
	{ "ioapic: shared vectors, stuck remote IRR", test_shared_vector },
	{ "ioapic: no receiver", test_nobody_home },
	{ "ioapic: delivery modes", test_delivery_modes },
	{ "route: lines to PICs", test_lines },
	{}
};
