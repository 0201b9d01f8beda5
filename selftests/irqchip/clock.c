// SPDX-License-Identifier: GPL-2.0
/*
 * The paravirtual clock, read as a guest reads it, and the PM timer.
 */
#include <linux/types.h>
#include <asm/kvm_para.h>
#include <asm/pvclock-abi.h>

#include "test.h"

#define PAGE_AT		0x1000

static struct pvclock_vcpu_time_info *page(gpa_t gpa)
{
	return (void *)(shim_memory + gpa);
}

static void set_msr(struct hull_vcpu *vcpu, u32 index, u64 value)
{
	EXPECT_EQ(hull_clock_write_msr(vcpu, index, value), 0);
}

/* What a guest on @vcpu takes for the time. */
static u64 guest_ns(struct hull_vcpu *vcpu, gpa_t gpa)
{
	const struct pvclock_vcpu_time_info *info = page(gpa);
	u64 delta = hull_guest_tsc(vcpu) - info->tsc_timestamp;

	EXPECT(info->version && !(info->version & 1));
	if (info->tsc_shift < 0)
		delta >>= -info->tsc_shift;
	else
		delta <<= info->tsc_shift;
	return info->system_time +
	       (u64)((unsigned __int128)delta * info->tsc_to_system_mul >> 32);
}

static void test_stable(void)
{
	const unsigned int rates[] = { 100000, 999999, 1000000, 1000001, 2000000, 2500000, 3999999,
				       4000000, 5200000 };
	unsigned int i;
	s64 error;

	for (i = 0; i < ARRAY_SIZE(rates); i++) {
		tsc_khz = rates[i];
		machine(0x3);
		cpu[0]->tsc_offset = 0;
		cpu[1]->tsc_offset = -77777777777ULL;
		set_msr(cpu[0], MSR_KVM_SYSTEM_TIME_NEW, PAGE_AT | 1);
		shim_advance(12345678);
		set_msr(cpu[1], MSR_KVM_SYSTEM_TIME, (PAGE_AT + 64) | 1);
		EXPECT_EQ(page(PAGE_AT)->flags, PVCLOCK_TSC_STABLE_BIT);
		EXPECT_EQ(page(PAGE_AT + 64)->flags, PVCLOCK_TSC_STABLE_BIT);
		shim_advance(3600 * (u64)NSEC_PER_SEC);
		/* All CPUs and the host say the same. */
		EXPECT_EQ(guest_ns(cpu[0], PAGE_AT), guest_ns(cpu[1], PAGE_AT + 64));
		EXPECT_EQ(guest_ns(cpu[0], PAGE_AT), hull_vm_clock_ns(&vm));
		/* And nearly the truth: 1 part in 10^9. */
		error = guest_ns(cpu[0], PAGE_AT) - (3600 * (u64)NSEC_PER_SEC + 12345678);
		EXPECT(error > -5000 && error < 5000);
	}
	tsc_khz = 2500000;
}

static void test_unstable(void)
{
	u64 before;

	shim_host_clock(false);
	machine(0x1);
	set_msr(cpu[0], MSR_KVM_SYSTEM_TIME_NEW, PAGE_AT | 1);
	EXPECT_EQ(page(PAGE_AT)->flags, 0);
	shim_advance(NSEC_PER_SEC);
	EXPECT(guest_ns(cpu[0], PAGE_AT) - hull_vm_clock_ns(&vm) + 10 < 20);
	EXPECT_EQ(hull_vm_clock_ns(&vm), NSEC_PER_SEC);
	/* The vCPU moves to a CPU with another TSC. */
	before = guest_ns(cpu[0], PAGE_AT);
	shim_tsc_base += 1000000000000;
	hull_clock_update(cpu[0]);
	EXPECT(guest_ns(cpu[0], PAGE_AT) - before + 10 < 20);
	/* Host time that passed asleep counts. */
	shim_boot_offset += 60 * (u64)NSEC_PER_SEC;
	EXPECT_EQ(hull_vm_clock_ns(&vm), 61 * (u64)NSEC_PER_SEC);
}

/* The host stops trusting its TSC, and trusts it again. */
static void test_host_changes(void)
{
	u64 before;

	machine(0x3);
	set_msr(cpu[0], MSR_KVM_SYSTEM_TIME_NEW, PAGE_AT | 1);
	shim_advance(NSEC_PER_SEC);
	before = hull_vm_clock_ns(&vm);
	cpu[0]->requests = 0;
	cpu[1]->requests = 0;
	shim_host_clock(false);
	EXPECT(test_bit(HULL_REQ_CLOCK, &cpu[0]->requests));
	EXPECT(test_bit(HULL_REQ_CLOCK, &cpu[1]->requests));
	EXPECT_EQ(hull_vm_clock_ns(&vm), before);
	hull_clock_update(cpu[0]);
	EXPECT_EQ(page(PAGE_AT)->flags, 0);
	shim_advance(NSEC_PER_SEC);
	EXPECT_EQ(hull_vm_clock_ns(&vm), before + NSEC_PER_SEC);
	cpu[0]->requests = 0;
	shim_host_clock(false);
	EXPECT_EQ(cpu[0]->requests, 0);
	shim_host_clock(true);
	EXPECT(test_bit(HULL_REQ_CLOCK, &cpu[0]->requests));
	EXPECT_EQ(hull_vm_clock_ns(&vm), before + NSEC_PER_SEC);
	hull_clock_update(cpu[0]);
	EXPECT_EQ(page(PAGE_AT)->flags, PVCLOCK_TSC_STABLE_BIT);
	EXPECT_EQ(guest_ns(cpu[0], PAGE_AT), before + NSEC_PER_SEC);
}

static unsigned int writes;

/* Another CPU reads the page all the time: what it accepts must be whole. */
static void look(gpa_t gpa, size_t len)
{
	const struct pvclock_vcpu_time_info *info = page(PAGE_AT);

	writes++;
	/* Only the version is written while it is even; all else while it is odd. */
	if (gpa == PAGE_AT)
		EXPECT_EQ(len, 4);
	else
		EXPECT(info->version & 1);
}

static void test_version(void)
{
	u32 version;

	machine(0x1);
	/* Whatever was there: random junk, odd or even, at its end. */
	for (version = 0xfffffffd; version != 3; version++) {
		memset(page(PAGE_AT), 0xee, 32);
		page(PAGE_AT)->version = version;
		shim_on_write = look;
		writes = 0;
		set_msr(cpu[0], MSR_KVM_SYSTEM_TIME_NEW, PAGE_AT | 1);
		shim_on_write = NULL;
		EXPECT_EQ(writes, 3);
		EXPECT(!(page(PAGE_AT)->version & 1));
		EXPECT(page(PAGE_AT)->version != version);
		EXPECT_EQ(page(PAGE_AT)->pad0, 0);
		EXPECT_EQ(page(PAGE_AT)->pad[0] | page(PAGE_AT)->pad[1], 0);
		EXPECT_EQ(shim_memory[PAGE_AT + 32], 0);
	}
}

static bool memory_is_zero(void)
{
	unsigned int i;

	for (i = 0; i < SHIM_MEMORY_SIZE; i++) {
		if (shim_memory[i])
			return false;
	}
	return true;
}

static void test_addresses(void)
{
	const u64 bad[] = {
		SHIM_MEMORY_SIZE - 28, SHIM_MEMORY_SIZE - 4, SHIM_MEMORY_SIZE, 1ULL << 40,
		1ULL << 63, ~0ULL & ~3ULL, ~0ULL - 35, 0xfee00000,
	};
	unsigned int i;
	u64 value = 0;

	machine(0x1);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		/* Not memory: the guest gets no clock, and no part of one. */
		set_msr(cpu[0], MSR_KVM_SYSTEM_TIME_NEW, bad[i] | 1);
		EXPECT_EQ(hull_clock_read_msr(cpu[0], MSR_KVM_SYSTEM_TIME, &value), 0);
		EXPECT_EQ(value, bad[i] | 1);
	}
	set_msr(cpu[0], MSR_KVM_WALL_CLOCK_NEW, SHIM_MEMORY_SIZE - 8);
	set_msr(cpu[0], MSR_KVM_WALL_CLOCK_NEW, ~0ULL - 3);
	EXPECT(memory_is_zero());
	/* Not enabled. */
	set_msr(cpu[0], MSR_KVM_SYSTEM_TIME_NEW, PAGE_AT);
	hull_clock_update(cpu[0]);
	set_msr(cpu[0], MSR_KVM_WALL_CLOCK_NEW, 0);
	EXPECT(memory_is_zero());
	EXPECT_EQ(hull_clock_write_msr(cpu[0], MSR_KVM_SYSTEM_TIME, PAGE_AT | 3), -EINVAL);
	EXPECT_EQ(hull_clock_write_msr(cpu[0], MSR_KVM_SYSTEM_TIME_NEW, PAGE_AT | 2), -EINVAL);
	EXPECT_EQ(hull_clock_write_msr(cpu[0], MSR_KVM_WALL_CLOCK, PAGE_AT | 1), -EINVAL);
	EXPECT_EQ(hull_clock_write_msr(cpu[0], MSR_KVM_WALL_CLOCK_NEW, PAGE_AT | 2), -EINVAL);
	EXPECT_EQ(hull_clock_write_msr(cpu[0], 0x4b564d02, 0), -ENOENT);
	EXPECT_EQ(hull_clock_read_msr(cpu[0], 0x4b564d02, &value), -ENOENT);
	/* The last place that is whole, across two pages. */
	set_msr(cpu[0], MSR_KVM_SYSTEM_TIME_NEW, (SHIM_MEMORY_SIZE - 32) | 1);
	EXPECT(page(SHIM_MEMORY_SIZE - 32)->version);
	set_msr(cpu[0], MSR_KVM_SYSTEM_TIME_NEW, (PAGE_AT - 12) | 1);
	EXPECT(page(PAGE_AT - 12)->version);
	/* Reset forgets them, INIT does not. */
	hull_lapic_reset(cpu[0], true);
	EXPECT_EQ(hull_clock_read_msr(cpu[0], MSR_KVM_SYSTEM_TIME, &value), 0);
	EXPECT_EQ(value, (PAGE_AT - 12) | 1);
	hull_lapic_reset(cpu[0], false);
	EXPECT_EQ(hull_clock_read_msr(cpu[0], MSR_KVM_SYSTEM_TIME, &value), 0);
	EXPECT_EQ(value, 0);
}

static void test_wall_clock(void)
{
	const struct pvclock_wall_clock *wall = (void *)(shim_memory + PAGE_AT);
	u64 value = 0;

	shim_real_offset = 1700000000 * (u64)NSEC_PER_SEC - shim_now + 999;
	machine(0x1);
	shim_advance(5 * (u64)NSEC_PER_SEC);
	set_msr(cpu[0], MSR_KVM_WALL_CLOCK_NEW, PAGE_AT);
	EXPECT_EQ(wall->version, 2);
	EXPECT_EQ(wall->sec, 1700000000);
	EXPECT(wall->nsec >= 990 && wall->nsec <= 1010);
	set_msr(cpu[0], MSR_KVM_WALL_CLOCK, PAGE_AT);
	EXPECT_EQ(wall->version, 4);
	EXPECT_EQ(shim_memory[PAGE_AT + 12], 0);
	EXPECT_EQ(hull_clock_read_msr(cpu[0], MSR_KVM_WALL_CLOCK_NEW, &value), 0);
	EXPECT_EQ(value, PAGE_AT);
	shim_real_offset = 0;
}

static void test_pm_timer(void)
{
	u32 value, before, i;
	u64 expected;

	machine(0x1);
	EXPECT(hull_irqchip_port(cpu[0], PM_PORT, 4, false, &before));
	for (i = 0; i < 100; i++) {
		shim_advance(123456789);
		EXPECT(hull_irqchip_port(cpu[0], PM_PORT, 4, false, &value));
		EXPECT(!(value >> 24));
		expected = hull_vm_clock_ns(&vm) * 3579545ULL / NSEC_PER_SEC;
		EXPECT_EQ(value, expected & 0xffffff);
	}
	/* Parts of it, and writes, which do nothing. */
	EXPECT(hull_irqchip_port(cpu[0], PM_PORT, 1, false, &value));
	EXPECT(value <= 0xff);
	EXPECT(hull_irqchip_port(cpu[0], PM_PORT + 2, 2, false, &value));
	EXPECT_EQ(value, expected >> 16 & 0xff);
	EXPECT(hull_irqchip_port(cpu[0], PM_PORT + 3, 1, false, &value));
	EXPECT_EQ(value, 0);
	value = ~0U;
	EXPECT(hull_irqchip_port(cpu[0], PM_PORT, 4, true, &value));
	EXPECT(!hull_irqchip_port(cpu[0], PM_PORT - 1, 4, false, &value));
	EXPECT(!hull_irqchip_port(cpu[0], PM_PORT + 4, 4, false, &value));
}

const struct test clock_tests[] = {
	{ "clock: TSC host, all rates, all CPUs agree", test_stable },
	{ "clock: host without a good TSC", test_unstable },
	{ "clock: the host changes its clock", test_host_changes },
	{ "clock: version protocol", test_version },
	{ "clock: addresses that are not memory", test_addresses },
	{ "clock: wall clock", test_wall_clock },
	{ "pmtimer: rate and sizes", test_pm_timer },
	{}
};
