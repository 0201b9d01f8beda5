// SPDX-License-Identifier: GPL-2.0
/*
 * MSRs: a guest reads and writes all of several neighbourhoods. What there is works, what there is
 * not faults, nothing ends the VM or reaches the host.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"
#include "harness.h"
#include "trap.h"

FIXTURE(msr) {
	struct guest guest;
};

FIXTURE_VARIANT(msr) {
	__u32 flags;
};

FIXTURE_VARIANT_ADD(msr, bare) { .flags = 0 };
FIXTURE_VARIANT_ADD(msr, chips) { .flags = HULL_VM_IRQCHIP };

FIXTURE_SETUP(msr)
{
	ASSERT_EQ(0, guest_create(&self->guest, variant->flags, GUEST_SIZE)) {
		TH_LOG("cannot create a VM: %s", strerror(errno));
	}
}

FIXTURE_TEARDOWN(msr)
{
	guest_destroy(&self->guest);
}

/*
 * From MSR 0x40000 to 0x40004: read, write 0, -1, a non-canonical value and what was read. #GP goes
 * on behind the instruction and counts at 0x40008; the handler is at the end. When done, OUT to
 * 0xe8.
 */
GUEST(sweep, 64,
      "mov 0x40000, %ebx\n"
      "1: mov %ebx, %ecx\n"
      "xor %eax, %eax\n xor %edx, %edx\n"
      "rdmsr\n"
      "mov %eax, %esi\n mov %edx, %edi\n"
      "xor %eax, %eax\n xor %edx, %edx\n wrmsr\n"
      "mov $-1, %eax\n mov $-1, %edx\n wrmsr\n"
      "xor %eax, %eax\n mov $0x80000000, %edx\n wrmsr\n"
      "mov %esi, %eax\n mov %edi, %edx\n wrmsr\n"
      "inc %ebx\n"
      "cmp 0x40004, %ebx\n jb 1b\n"
      "out %al, $0xe8\n"
      "hlt\n"
      ".org guest_sweep + 256\n"
      "addq $2, 8(%rsp)\n"
      "incl 0x40008\n"
      "add $8, %rsp\n"
      "iretq");

static int sweep(struct guest *guest, __u32 first, __u32 end, __u32 *faults)
{
	__u32 *data = (__u32 *)(guest->memory + GUEST_DATA_GPA);
	int ret;

	data[0] = first;
	data[1] = end;
	data[2] = 0;
	if (guest_start(guest, 0, GUEST_LONG, GUEST_CODE(sweep)) ||
	    trap_install(guest, 0, GUEST_LONG, TRAP_COUNT_IRQS))
		return -1;
	trap_set_gate(guest, 13, GUEST_CODE_GPA(0) + 256);
	ret = guest_run(guest, 0);
	*faults = data[2];
	if (ret == HULL_EXIT_REQUEST && guest->cpu[0].own.current.address == 0xe8) {
		hull_answer(&guest->cpu[0].own, 0);
		return 0;
	}
	printf("# %#x-%#x: %d, reason %u, rip %#llx\n", first, end, ret,
	       guest->cpu[0].run->end_reason, guest->cpu[0].run->end_rip);
	return -1;
}

static const struct {
	__u32 first, end;
} neighbourhoods[] = {
	{ 0, 0x2000 }, { 0xc0000000, 0xc0000200 }, { 0xc0001000, 0xc0001040 },
	{ 0xc0001fe0, 0xc0002010 }, { 0xc0010000, 0xc0010300 }, { 0xc0011000, 0xc0011100 },
	{ 0xc0011ff0, 0xc0012010 }, { 0x40000000, 0x40000200 }, { 0x4b564d00, 0x4b564d10 },
	{ 0x7ffffff0, 0x80000010 }, { 0xfffffff0, 0xffffffff },
};

TEST_F_TIMEOUT(msr, no_value_in_any_does_harm, 60)
{
	struct guest *guest = &self->guest;
	__u32 faults, all;
	size_t i;

	for (i = 0; i < sizeof(neighbourhoods) / sizeof(neighbourhoods[0]); i++) {
		ASSERT_EQ(0, sweep(guest, neighbourhoods[i].first, neighbourhoods[i].end,
				   &faults));
		all = 5 * (neighbourhoods[i].end - neighbourhoods[i].first);
		EXPECT_GE(all, faults);
	}
	EXPECT_EQ(0, hull_vm_check(guest->vm));
}

TEST_F(msr, x2apic_registers_take_any_value)
{
	struct guest *guest = &self->guest;
	struct hull_control control;
	__u32 faults;

	if (!variant->flags)
		SKIP(return, "no APIC");
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(sweep)));
	ASSERT_EQ(0, guest_get_control(guest, 0, &control));
	control.apic_base |= 0xc00;
	ASSERT_EQ(0, guest_set_control(guest, 0, &control));
	ASSERT_EQ(0, sweep(guest, 0x800, 0xc00, &faults));
	EXPECT_GT(5 * 0x400, faults);
}

/* ---- what there is -------------------------------------------------------------------------- */

static int rdmsr(struct guest *guest, __u32 index, __u64 *value)
{
	struct hull_gprs gprs = { .gpr[HULL_GPR_RCX] = index };
	struct trap trap;
	int ret = trap_try(guest, GUEST_LONG, GUEST_CODE_GPA(0), "\x0f\x32", 2, &gprs, &trap);

	*value = gprs.gpr[HULL_GPR_RAX] | gprs.gpr[HULL_GPR_RDX] << 32;
	return ret;
}

static int wrmsr(struct guest *guest, __u32 index, __u64 value)
{
	struct hull_gprs gprs = { .gpr = {
		[HULL_GPR_RCX] = index, [HULL_GPR_RAX] = (__u32)value,
		[HULL_GPR_RDX] = value >> 32,
	} };
	struct trap trap;

	return trap_try(guest, GUEST_LONG, GUEST_CODE_GPA(0), "\x0f\x30", 2, &gprs, &trap);
}

#define OK	TRAP_STEPPED
#define GP	13

TEST_F(msr, known_ones_keep_what_they_can)
{
	static const struct {
		__u32 index;
		__u64 good, bad;	/* bad 0: there is none */
		bool passed;		/* to the CPU: QEMU's does not check */
	} known[] = {
		{ 0xc0000081, 0x0023001000000000ULL, 0, false },
		{ 0xc0000082, 0xffffffff81000000ULL, 1ULL << 63, true },
		{ 0xc0000083, 0xffff800000000000ULL, 0x100000000000000ULL, true },
		{ 0xc0000084, 0x47700, 0, false },
		{ 0xc0000100, 0x7fffffffffffULL, 0x100000000000000ULL, true },
		{ 0xc0000101, 0xffff888000000000ULL, 1ULL << 62, true },
		{ 0xc0000102, 0x1234, 1ULL << 56, true },
		{ 0x174, 0x10, 0, false },
		{ 0x176, 0xffffffff81000000ULL, 1ULL << 63, true },
		{ 0x277, 0x0007010600070106ULL, 0x0207010600070106ULL, false },
		{ 0x2ff, 0xc06, 0x1ff, false },
		{ 0x250, 0x0606060606060606ULL, 0x0206060606060606ULL, false },
		{ 0x200, 0x6, 0x2, false },
		{ 0x1a0, 1, 0, false },
		{ 0x3b, 0x1000, 0, false },
	};
	struct guest *guest = &self->guest;
	__u64 value;
	size_t i;
	int ret;

	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(sweep)));
	ASSERT_EQ(0, trap_install(guest, 0, GUEST_LONG, 0));
	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		EXPECT_EQ(OK, wrmsr(guest, known[i].index, known[i].good)) {
			TH_LOG("MSR %#x", known[i].index);
		}
		if (known[i].bad) {
			ret = wrmsr(guest, known[i].index, known[i].bad);
			EXPECT_TRUE(ret == GP || (known[i].passed && ret == OK)) {
				TH_LOG("MSR %#x", known[i].index);
			}
			if (ret != GP)
				continue;
		}
		EXPECT_EQ(OK, rdmsr(guest, known[i].index, &value));
		EXPECT_EQ(known[i].good, value);
	}
}

/* Bases have the CPU's width, whichever CR4.LA57 says. */
TEST_F(msr, bases_are_canonical)
{
	static const __u32 bases[] = { 0xc0000082, 0xc0000083, 0xc0000102, 0x175, 0x176 };
	struct hull_vcpu_state *state = calloc(1, sizeof(*state));
	int fd = self->guest.cpu[0].fd;
	size_t i;

	ASSERT_NE(NULL, state);
	for (i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
		state->msrs.count = 1;
		state->msrs.msr[0].index = bases[i];
		state->msrs.msr[0].value = 1ULL << 56;
		EXPECT_ERRNO(EINVAL, hull_set_state(fd, HULL_GROUP_MSRS, state));
		state->msrs.msr[0].value = 0xff00000000001000ULL;
		EXPECT_EQ(guest_has_la57(&self->guest) ? 0 : -1,
			  hull_set_state(fd, HULL_GROUP_MSRS, state));
		state->msrs.msr[0].value = 0xffff800000001000ULL;
		EXPECT_EQ(0, hull_set_state(fd, HULL_GROUP_MSRS, state));
	}
	free(state);
}

TEST_F(msr, efer_follows_the_rules)
{
	struct guest *guest = &self->guest;
	__u64 value;

	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(sweep)));
	ASSERT_EQ(0, trap_install(guest, 0, GUEST_LONG, 0));
	EXPECT_EQ(OK, rdmsr(guest, 0xc0000080, &value));
	EXPECT_EQ(0x500, value);
	EXPECT_EQ(OK, wrmsr(guest, 0xc0000080, 0xd01));		/* SCE, NXE */
	EXPECT_EQ(OK, rdmsr(guest, 0xc0000080, &value));
	EXPECT_EQ(0xd01, value);
	EXPECT_EQ(OK, wrmsr(guest, 0xc0000080, 0x901));		/* LMA is not written */
	EXPECT_EQ(OK, rdmsr(guest, 0xc0000080, &value));
	EXPECT_EQ(0xd01, value);
	EXPECT_EQ(GP, wrmsr(guest, 0xc0000080, 0xc01));		/* LME while paging */
	EXPECT_EQ(GP, wrmsr(guest, 0xc0000080, 0x1d01));	/* SVME */
	EXPECT_EQ(GP, wrmsr(guest, 0xc0000080, 1ULL << 40));
}

TEST_F(msr, time_stamp_counter_moves_with_its_adjustment)
{
	struct guest *guest = &self->guest;
	__u64 value, adjust;

	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(sweep)));
	ASSERT_EQ(0, trap_install(guest, 0, GUEST_LONG, 0));
	EXPECT_EQ(OK, wrmsr(guest, 0x10, 1ULL << 50));
	EXPECT_EQ(OK, rdmsr(guest, 0x10, &value));
	EXPECT_LE(1ULL << 50, value);
	EXPECT_GT((1ULL << 50) + (1ULL << 38), value);
	EXPECT_EQ(OK, rdmsr(guest, 0x3b, &adjust));
	EXPECT_LT(1ULL << 49, adjust);
	EXPECT_EQ(OK, wrmsr(guest, 0x3b, 0));
	EXPECT_EQ(OK, rdmsr(guest, 0x10, &value));
	EXPECT_GT(1ULL << 49, value);
}

HULL_TEST_MAIN
