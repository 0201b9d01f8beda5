// SPDX-License-Identifier: GPL-2.0
/*
 * A walk over all there is: every MSR from 0x800 to 0xbff, every byte of the APIC page, every port,
 * with telling values and all sizes, checked against tables written from the manuals.
 */
#include "test.h"

#define READ	1
#define WRITE	2

/* x2APIC registers: access, and the bits a write may have. */
static const struct {
	u32 first, last;
	u32 access;
	u64 writable;
} x2apic[] = {
	{ 0x802, 0x803, READ, 0 },			/* id, version */
	{ 0x808, 0x808, READ | WRITE, 0xff },		/* TPR */
	{ 0x80a, 0x80a, READ, 0 },			/* PPR */
	{ 0x80b, 0x80b, WRITE, 0 },			/* EOI */
	{ 0x80d, 0x80d, READ, 0 },			/* LDR */
	{ 0x80f, 0x80f, READ | WRITE, 0x3ff },		/* SVR */
	{ 0x810, 0x827, READ, 0 },			/* ISR, TMR, IRR */
	{ 0x828, 0x828, READ | WRITE, 0 },		/* ESR */
	{ 0x830, 0x830, READ | WRITE, 0xffffffff000cdfff }, /* ICR */
	{ 0x832, 0x832, READ | WRITE, 0x710ff | 0x5000 }, /* timer; status bits are ignored */
	{ 0x833, 0x834, READ | WRITE, 0x107ff | 0x5000 },
	{ 0x835, 0x836, READ | WRITE, 0x1a7ff | 0x5000 },
	{ 0x837, 0x837, READ | WRITE, 0x100ff | 0x5000 },
	{ 0x838, 0x838, READ | WRITE, 0xffffffff },	/* initial count */
	{ 0x839, 0x839, READ, 0 },			/* current count */
	{ 0x83e, 0x83e, READ | WRITE, 0xb },		/* divide */
	{ 0x83f, 0x83f, WRITE, 0xff },			/* self IPI */
};

static u32 access_of(u32 index, u64 *writable)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(x2apic); i++) {
		if (index >= x2apic[i].first && index <= x2apic[i].last) {
			*writable = x2apic[i].writable;
			if (index == 0x830)
				*writable &= ~0x2000ULL;
			return x2apic[i].access;
		}
	}
	return 0;
}

static void test_msrs(void)
{
	u64 writable = 0, value;
	unsigned int bit;
	u32 index, access;

	machine(0x3);
	use_x2apic(cpu[0]);
	for (index = 0x7f0; index < 0xc10; index++) {
		int other = index < 0x800 || index > 0xbff ? -ENOENT : -EINVAL;

		access = access_of(index, &writable);
		value = 0;
		EXPECT_EQ(hull_lapic_read_msr(cpu[0], index, &value), access & READ ? 0 : other);
		EXPECT_EQ(hull_lapic_write_msr(cpu[0], index, 0), access & WRITE ? 0 : other);
		EXPECT_EQ(hull_lapic_write_msr(cpu[0], index, ~0ULL), other);
		for (bit = 0; bit < 64; bit++) {
			bool fine = (access & WRITE) && (writable >> bit & 1);

			EXPECT_EQ(hull_lapic_write_msr(cpu[0], index, 1ULL << bit),
				  fine ? 0 : other);
		}
		/* An APIC that is not in x2APIC mode has none of them. */
		other = index < 0x800 || index > 0xbff ? -ENOENT : -EINVAL;
		EXPECT_EQ(hull_lapic_read_msr(cpu[1], index, &value), other);
		EXPECT_EQ(hull_lapic_write_msr(cpu[1], index, 0), other);
		/* Keep it able to go on. */
		hull_lapic_write_msr(cpu[0], 0x80f, 0x1ff);
	}
}

/* What a write of all ones leaves, by offset in the page. */
static u32 readable(u32 offset)
{
	switch (offset) {
	case APIC_ID:
		return 1 << 24;
	case APIC_LVR:
		return 0x50014;
	case APIC_TASKPRI:
	case APIC_PROCPRI:
		return 0xff;
	case APIC_LDR:
	case APIC_ICR2:
		return 0xff000000;
	case APIC_DFR:
		return ~0U;
	case APIC_SPIV:
		return 0x3ff;
	case APIC_ICR:
		return 0xccfff & ~APIC_ICR_BUSY;
	case APIC_LVTT:
		return 0x700ff;
	case APIC_LVTTHMR:
	case APIC_LVTPC:
		return 0x107ff;
	case APIC_LVT0:
	case APIC_LVT1:
		return 0x1a7ff;
	case APIC_LVTERR:
		return 0x100ff;
	case APIC_TDCR:
		return 0xb;
	default:
		return 0;
	}
}

static void test_page(void)
{
	const unsigned int sizes[] = { 1, 2, 4, 8 };
	unsigned int offset, i;
	u64 value;

	machine(0x3);
	/* Not 32 bits, or not at a multiple of 16: nothing happens, zero is read. */
	for (offset = 0; offset < 0x1000; offset++) {
		for (i = 0; i < 4; i++) {
			if (offset + sizes[i] > 0x1000 || (sizes[i] == 4 && offset % 16 == 0))
				continue;
			value = ~0ULL;
			EXPECT(hull_irqchip_memory(cpu[1], 0xfee00000 + offset, sizes[i], true,
						   &value));
			EXPECT(hull_irqchip_memory(cpu[1], 0xfee00000 + offset, sizes[i], false,
						   &value));
			EXPECT_EQ(value, 0);
		}
	}
	EXPECT_EQ(apic_read(cpu[1], APIC_SPIV), 0x1ff);
	for (offset = 0; offset < 0x1000; offset += 16) {
		machine(0x3);
		apic_read(cpu[1], offset);
		apic_write(cpu[1], offset, 0);
		apic_write(cpu[1], offset, 1);
		apic_write(cpu[1], offset, 0x55555555);
		machine(0x3);
		apic_write(cpu[1], offset, ~0U);
		if (offset == APIC_TMICT)
			EXPECT_EQ(apic_read(cpu[1], offset), ~0U);
		else if (offset == APIC_PROCPRI)
			EXPECT_EQ(apic_read(cpu[1], offset), 0);
		else
			EXPECT_EQ(apic_read(cpu[1], offset), readable(offset));
	}
}

static bool is_ours(u32 port)
{
	return port == 0x20 || port == 0x21 || port == 0xa0 || port == 0xa1 || port == 0x61 ||
	       (port >= 0x40 && port <= 0x43) || port == 0x4d0 || port == 0x4d1 ||
	       (port >= PM_PORT && port < PM_PORT + 4);
}

static void test_ports(void)
{
	const u32 values[] = { 0, 1, 0x10, 0x11, 0x20, 0x55555555, ~0U };
	unsigned int size, i;
	u32 port, value;

	machine(0x1);
	for (port = 0; port < 0x10000; port++) {
		EXPECT(hull_irqchip_port_maybe(vm.irqchip, port) || !is_ours(port));
		for (size = 1; size <= 4; size *= 2) {
			value = 0x12345678;
			EXPECT_EQ(hull_irqchip_port(cpu[0], port, size, false, &value),
				  is_ours(port));
			if (size < 4 && is_ours(port))
				EXPECT(!(value >> (8 * size)));
			for (i = 0; i < ARRAY_SIZE(values); i++) {
				value = values[i];
				EXPECT_EQ(hull_irqchip_port(cpu[0], port, size, true, &value),
					  is_ours(port));
				EXPECT_EQ(value, values[i]);
			}
			hull_irq_pending(cpu[0]);
		}
	}
	EXPECT(!hull_irqchip_port_maybe(vm.irqchip, 0x3f8));
	EXPECT(!hull_irqchip_port_maybe(vm.irqchip, PM_PORT + 4));
	shim_advance(NSEC_PER_SEC / 10);
}

const struct test register_tests[] = {
	{ "registers: MSRs 0x7f0 to 0xc0f, every bit", test_msrs },
	{ "registers: the APIC page, every offset and size", test_page },
	{ "registers: all ports, all sizes", test_ports },
	{}
};
