// SPDX-License-Identifier: GPL-2.0
/*
 * Who gets a message: IPIs and MSIs, physical and logical destinations, shorthands, broadcast.
 */
#include "test.h"

/* Take @vector everywhere; bits of the CPUs that got it. */
static u32 receivers(u8 vector)
{
	u32 got = 0;
	unsigned int id;

	for (id = 0; id < HULL_MAX_VCPUS; id++) {
		if (!cpu[id])
			continue;
		if (take(cpu[id]) == vector) {
			got |= 1U << id;
			eoi(cpu[id]);
		}
		EXPECT_EQ(take(cpu[id]), -1);
	}
	return got;
}

static void ipi(struct hull_vcpu *vcpu, u32 dest, u32 icr)
{
	if (hull_lapic_x2(vcpu->lapic)) {
		wrmsr(vcpu, X2(APIC_ICR), (u64)dest << 32 | icr);
	} else {
		apic_write(vcpu, APIC_ICR2, dest << 24);
		apic_write(vcpu, APIC_ICR, icr);
	}
}

static void test_physical(void)
{
	const u32 ids = 0x8421;		/* sparse: 0, 5, 10, 15 */
	unsigned int mode, dest;

	for (mode = 0; mode < 2; mode++) {
		machine(ids);
		for (dest = 0; mode && dest < 16; dest++) {
			if (cpu[dest])
				use_x2apic(cpu[dest]);
		}
		for (dest = 0; dest < 0x120; dest++) {
			u32 expected = dest < 16 ? ids & (1U << dest) : 0;

			if (dest > 0xff && !mode)
				break;
			if (dest == 0xff && !mode)
				expected = ids;
			ipi(cpu[5], dest, 0x44);
			EXPECT_EQ(receivers(0x44), expected);
		}
		ipi(cpu[5], mode ? ~0U : 0xff, 0x45);
		EXPECT_EQ(receivers(0x45), ids);
		/* Logical broadcast too. */
		ipi(cpu[5], mode ? ~0U : 0xff, APIC_DEST_LOGICAL | 0x46);
		EXPECT_EQ(receivers(0x46), ids);
	}
	ipi(cpu[5], 0x80000000, 0x47);
	EXPECT_EQ(receivers(0x47), 0);
}

static void test_shorthands(void)
{
	machine(0x70f);
	ipi(cpu[2], 9, APIC_DEST_SELF | 0x50);
	EXPECT_EQ(receivers(0x50), 1 << 2);
	ipi(cpu[2], 9, APIC_DEST_ALLINC | 0x51);
	EXPECT_EQ(receivers(0x51), 0x70f);
	ipi(cpu[2], 9, APIC_DEST_ALLBUT | 0x52);
	EXPECT_EQ(receivers(0x52), 0x70b);
	/* Self by shorthand needs no kick, others do. */
	cpu[2]->wakes = 0;
	cpu[3]->wakes = 0;
	ipi(cpu[2], 0, APIC_DEST_ALLINC | 0x53);
	EXPECT_EQ(cpu[2]->wakes, 0);
	EXPECT_EQ(cpu[3]->wakes, 1);
	/* What is already requested needs none either. */
	ipi(cpu[2], 0, APIC_DEST_ALLINC | 0x53);
	EXPECT_EQ(cpu[3]->wakes, 1);
	EXPECT_EQ(receivers(0x53), 0x70f);
	/* A software-disabled APIC hears nothing. */
	apic_write(cpu[3], APIC_SPIV, 0xff);
	ipi(cpu[2], 0, APIC_DEST_ALLINC | 0x54);
	EXPECT_EQ(receivers(0x54), 0x707);
}

static void test_flat(void)
{
	unsigned int dest, id;

	machine(0xff);
	for (id = 0; id < 8; id++)
		apic_write(cpu[id], APIC_LDR, 1U << (24 + id));
	for (dest = 0; dest < 0x100; dest++) {
		ipi(cpu[0], dest, APIC_DEST_LOGICAL | 0x60);
		EXPECT_EQ(receivers(0x60), dest);
	}
	/* Two bits in one id. */
	apic_write(cpu[1], APIC_LDR, 0x81000000);
	ipi(cpu[0], 0x01, APIC_DEST_LOGICAL | 0x61);
	EXPECT_EQ(receivers(0x61), 0x03);
}

static void test_cluster(void)
{
	unsigned int id, cluster, set;

	machine(0xffff);
	for (id = 0; id < 16; id++) {
		apic_write(cpu[id], APIC_DFR, 0x0fffffff);
		EXPECT_EQ(apic_read(cpu[id], APIC_DFR), 0x0fffffff);
		apic_write(cpu[id], APIC_LDR, (id / 4) << 28 | 1U << (24 + id % 4));
	}
	for (cluster = 0; cluster < 15; cluster++) {
		for (set = 0; set < 16; set++) {
			ipi(cpu[7], cluster << 4 | set, APIC_DEST_LOGICAL | 0x62);
			EXPECT_EQ(receivers(0x62), cluster < 4 ? set << (cluster * 4) : 0);
		}
	}
	/* A model that is neither flat nor cluster matches nothing. */
	apic_write(cpu[1], APIC_DFR, 0x5fffffff);
	ipi(cpu[0], 0x0f, APIC_DEST_LOGICAL | 0x63);
	EXPECT_EQ(receivers(0x63), 0x0d);
}

static void test_x2apic_logical(void)
{
	unsigned int id, set;

	machine(0xffff);
	for (id = 0; id < 16; id++)
		use_x2apic(cpu[id]);
	for (set = 0; set < 0x10000; set += 1 + set / 7) {
		ipi(cpu[3], set, APIC_DEST_LOGICAL | 0x64);
		EXPECT_EQ(receivers(0x64), set);
	}
	ipi(cpu[3], 0x1ffff, APIC_DEST_LOGICAL | 0x65);
	EXPECT_EQ(receivers(0x65), 0);
}

static void test_lowest(void)
{
	unsigned int i, counts[4] = {}, id;
	u32 got;

	machine(0xf);
	for (id = 0; id < 4; id++)
		apic_write(cpu[id], APIC_LDR, 1U << (24 + id));
	/* One of them, in turn. */
	for (i = 0; i < 8; i++) {
		ipi(cpu[0], 0x0f, APIC_DEST_LOGICAL | APIC_DM_LOWEST | 0x70);
		got = receivers(0x70);
		EXPECT_EQ(__builtin_popcount(got), 1);
		counts[__builtin_ctz(got | 0x10) & 3]++;
	}
	for (id = 0; id < 4; id++)
		EXPECT_EQ(counts[id], 2);
	/* The least busy. */
	for (id = 0; id < 4; id++)
		apic_write(cpu[id], APIC_TASKPRI, id == 2 ? 0x10 : 0x30);
	for (i = 0; i < 3; i++) {
		ipi(cpu[0], 0x0f, APIC_DEST_LOGICAL | APIC_DM_LOWEST | 0x70);
		EXPECT_EQ(receivers(0x70), 1 << 2);
	}
	/* Not one that is off. */
	apic_write(cpu[2], APIC_SPIV, 0xff);
	ipi(cpu[0], 0x04, APIC_DEST_LOGICAL | APIC_DM_LOWEST | 0x70);
	EXPECT_EQ(receivers(0x70), 0);
}

static void test_nmi_init_sipi(void)
{
	machine(0x7);
	/* Software disable does not keep these out. */
	apic_write(cpu[1], APIC_SPIV, 0xff);
	ipi(cpu[0], 1, APIC_DM_NMI);
	EXPECT_EQ(cpu[1]->nmis, 1);
	ipi(cpu[0], 1, APIC_DM_INIT | APIC_INT_ASSERT | APIC_INT_LEVELTRIG);
	ipi(cpu[0], 1, APIC_DM_INIT | APIC_INT_LEVELTRIG);	/* de-assert: nothing */
	EXPECT_EQ(cpu[1]->inits, 1);
	ipi(cpu[0], 1, APIC_DM_STARTUP | 0x9a);
	EXPECT_EQ(cpu[1]->sipis, 1);
	EXPECT_EQ(cpu[1]->sipi_vector, 0x9a);
	ipi(cpu[0], 0, APIC_DEST_ALLBUT | APIC_DM_INIT | APIC_INT_ASSERT);
	EXPECT_EQ(cpu[0]->inits, 0);
	EXPECT_EQ(cpu[1]->inits, 2);
	EXPECT_EQ(cpu[2]->inits, 1);
	/* Shorthands that include the sender are not for these. */
	ipi(cpu[0], 0, APIC_DEST_SELF | APIC_DM_NMI);
	ipi(cpu[0], 0, APIC_DEST_ALLINC | APIC_DM_INIT);
	ipi(cpu[0], 0, APIC_DEST_ALLINC | APIC_DM_STARTUP | 0x10);
	EXPECT_EQ(cpu[0]->nmis + cpu[0]->inits + cpu[0]->sipis, 0);
	EXPECT_EQ(cpu[1]->inits, 2);
	/* SMI, remote read, ExtINT: nothing. */
	ipi(cpu[0], 1, APIC_DM_SMI);
	ipi(cpu[0], 1, APIC_DM_REMRD | 0x40);
	ipi(cpu[0], 1, APIC_DM_EXTINT | 0x40);
	EXPECT_EQ(receivers(0x40), 0);
	/* Hardware disable keeps all out. */
	wrmsr(cpu[2], 0x1b, 0xfee00000);
	ipi(cpu[0], 2, APIC_DM_NMI);
	EXPECT_EQ(cpu[2]->nmis, 0);
}

static void test_icr(void)
{
	unsigned int bit;

	machine(0x1);
	apic_write(cpu[0], APIC_ICR2, 0xffffffff);
	EXPECT_EQ(apic_read(cpu[0], APIC_ICR2), 0xff000000);
	/* Delivery status always reads idle. */
	apic_write(cpu[0], APIC_ICR, APIC_ICR_BUSY | APIC_DEST_SELF | 0x40);
	EXPECT_EQ(apic_read(cpu[0], APIC_ICR), APIC_DEST_SELF | 0x40);
	take(cpu[0]);
	use_x2apic(cpu[0]);
	for (bit = 0; bit < 32; bit++) {
		bool reserved = bit == 13 || bit == 16 || bit == 17 || bit >= 20;

		EXPECT_EQ(hull_lapic_write_msr(cpu[0], X2(APIC_ICR), 1ULL << bit),
			  reserved ? -EINVAL : 0);
	}
	wrmsr(cpu[0], X2(APIC_ICR), 0x1234567800000044);
	EXPECT_EQ(rdmsr(cpu[0], X2(APIC_ICR)), 0x1234567800000044);
}

static void test_msi(void)
{
	unsigned int id;

	machine(0xf);
	for (id = 0; id < 4; id++)
		apic_write(cpu[id], APIC_LDR, 1U << (24 + id));
	EXPECT_EQ(hull_msi_send(&vm, 0xfee02000, 0x80), 0);
	EXPECT_EQ(receivers(0x80), 1 << 2);
	EXPECT_EQ(hull_msi_send(&vm, 0xfeeff000, 0x81), 0);
	EXPECT_EQ(receivers(0x81), 0xf);
	EXPECT_EQ(hull_msi_send(&vm, 0xfee0a004, 0x82), 0);
	EXPECT_EQ(receivers(0x82), 0xa);
	EXPECT_EQ(hull_msi_send(&vm, 0xfee0a00c, 0x83), 0);
	EXPECT_EQ(__builtin_popcount(receivers(0x83)), 1);
	EXPECT_EQ(hull_msi_send(&vm, 0xfee0a004, 0x183), 0);
	EXPECT_EQ(__builtin_popcount(receivers(0x83)), 1);
	EXPECT_EQ(hull_msi_send(&vm, 0xfee01000, 0x400), 0);
	EXPECT_EQ(cpu[1]->nmis, 1);
	/* Level: asserted only. */
	EXPECT_EQ(hull_msi_send(&vm, 0xfee01000, 0x8084), 0);
	EXPECT_EQ(receivers(0x84), 0);
	EXPECT_EQ(hull_msi_send(&vm, 0xfee01000, 0xc084), 0);
	EXPECT_EQ(apic_read(cpu[1], APIC_TMR + 0x40), 1 << 4);
	EXPECT_EQ(receivers(0x84), 2);
	/* The next one with this vector is an edge. */
	EXPECT_EQ(hull_msi_send(&vm, 0xfee01000, 0x84), 0);
	EXPECT_EQ(apic_read(cpu[1], APIC_TMR + 0x40), 0);
	EXPECT_EQ(receivers(0x84), 2);
	/* No device starts a CPU. */
	EXPECT_EQ(hull_msi_send(&vm, 0xfee01000, 0x690), 0);
	EXPECT_EQ(cpu[1]->sipis, 0);
	EXPECT_EQ(hull_msi_send(&vm, 0xfed00000, 0x80), -EINVAL);
	EXPECT_EQ(hull_msi_send(&vm, 0x1fee00000, 0x80), -EINVAL);
	EXPECT_EQ(hull_msi_send(&vm, 0, 0), -EINVAL);
	EXPECT_EQ(hull_irq_set(&vm, 24, 1), -EINVAL);
	EXPECT_EQ(hull_irq_set(&vm, ~0U, 1), -EINVAL);
}

const struct test delivery_tests[] = {
	{ "delivery: physical, sparse ids, broadcast", test_physical },
	{ "delivery: shorthands, kicks", test_shorthands },
	{ "delivery: logical flat, every destination", test_flat },
	{ "delivery: logical cluster, every destination", test_cluster },
	{ "delivery: x2APIC logical", test_x2apic_logical },
	{ "delivery: lowest priority", test_lowest },
	{ "delivery: NMI, INIT, SIPI", test_nmi_init_sipi },
	{ "delivery: ICR bits", test_icr },
	{ "delivery: MSI", test_msi },
	{}
};
