// SPDX-License-Identifier: GPL-2.0
/*
 * CPUID: what is offered, what a vCPU may be given, what its guest sees.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"
#include "harness.h"
#include "trap.h"

FIXTURE(cpuid) {
	struct guest guest;
	struct hull_cpuid_entry entries[HULL_MAX_CPUID];
	__u32 count;
};

FIXTURE_SETUP(cpuid)
{
	ASSERT_EQ(0, guest_create(&self->guest, 0, GUEST_SIZE)) {
		TH_LOG("cannot create a VM: %s", strerror(errno));
	}
	self->count = HULL_MAX_CPUID;
	ASSERT_EQ(0, hull_get_supported_cpuid(self->guest.dev, self->entries, &self->count));
}

FIXTURE_TEARDOWN(cpuid)
{
	guest_destroy(&self->guest);
}

static struct hull_cpuid_entry *find(struct hull_cpuid_entry *entries, __u32 count, __u32 leaf,
				     __u32 subleaf)
{
	__u32 i;

	for (i = 0; i < count; i++) {
		if (entries[i].leaf == leaf && entries[i].subleaf == subleaf)
			return &entries[i];
	}
	return NULL;
}

/* With nested paging a VM has no PCIDs, whatever is offered. */
static __u32 features_of_vm(int dev, const struct hull_cpuid_entry *entry)
{
	struct hull_info info = {};

	hull_get_info(dev, &info);
	if (entry->leaf == 1 && info.paging != HULL_PAGING_SHADOW)
		return entry->ecx & ~(1U << 17);
	return entry->ecx;
}

#define FIND(leaf, subleaf) find(self->entries, self->count, leaf, subleaf)

TEST_F(cpuid, offers_what_a_guest_needs)
{
	__u32 eax, ebx, ecx, edx, i, j;

	EXPECT_LT(10, self->count);
	EXPECT_GE(HULL_MAX_CPUID, self->count);
	for (i = 0; i < self->count; i++) {
		EXPECT_EQ(0, self->entries[i].reserved);
		EXPECT_EQ(0, self->entries[i].flags & ~HULL_CPUID_SUBLEAF);
		for (j = 0; j < i; j++)
			EXPECT_FALSE(self->entries[i].leaf == self->entries[j].leaf &&
				     self->entries[i].subleaf == self->entries[j].subleaf);
	}
	ASSERT_NE(NULL, FIND(1, 0));
	EXPECT_EQ(1, FIND(1, 0)->ecx >> 31);		/* hypervisor */
	EXPECT_EQ(0, FIND(1, 0)->ecx & (1 << 5));	/* VMX */
	EXPECT_EQ(0, FIND(1, 0)->ecx & (1 << 3));	/* MONITOR */
	ASSERT_NE(NULL, FIND(0x80000001, 0));
	EXPECT_EQ(0, FIND(0x80000001, 0)->ecx & (1 << 2));	/* SVM */
	EXPECT_EQ(0, FIND(0x80000001, 0)->edx & (1 << 27));	/* RDTSCP */
	EXPECT_FALSE(FIND(7, 0) && (FIND(7, 0)->ecx & (1 << 22)));	/* RDPID */
	/* LA57 as the CPU has it, whatever the host uses; so are linear addresses. */
	ASSERT_NE(NULL, FIND(0x80000008, 0));
	__cpuid_count(7, 0, eax, ebx, ecx, edx);
	EXPECT_EQ(ecx >> 16 & 1, guest_has_la57(&self->guest));
	EXPECT_EQ(ecx >> 16 & 1 ? 57 : 48, FIND(0x80000008, 0)->eax >> 8 & 0xff);
	EXPECT_EQ(NULL, FIND(0x8000000a, 0));
	ASSERT_NE(NULL, FIND(0x40000100, 0));
	ASSERT_NE(NULL, FIND(0x40000000, 0));
	EXPECT_EQ(0, memcmp(&FIND(0x40000000, 0)->ebx, "KVMK", 4));
}

TEST_F(cpuid, get_says_how_much_room_it_takes)
{
	struct hull_cpuid_entry entries[HULL_MAX_CPUID] = {};
	int dev = self->guest.dev;
	__u32 count = 0;

	EXPECT_ERRNO(E2BIG, hull_get_supported_cpuid(dev, entries, &count));
	EXPECT_EQ(self->count, count);
	count = self->count - 1;
	EXPECT_ERRNO(E2BIG, hull_get_supported_cpuid(dev, entries, &count));
	EXPECT_EQ(self->count, count);
	EXPECT_EQ(0, entries[0].ebx | entries[0].eax);
	EXPECT_EQ(0, hull_get_supported_cpuid(dev, entries, &count));
	EXPECT_EQ(0, memcmp(entries, self->entries, count * sizeof(entries[0])));
	count = ~0U;
	EXPECT_EQ(0, hull_get_supported_cpuid(dev, entries, &count));
	EXPECT_EQ(self->count, count);
}

TEST_F(cpuid, get_checks_its_arguments)
{
	struct hull_cpuid args = { .count = HULL_MAX_CPUID, .entries = 8 };
	int dev = self->guest.dev;

	EXPECT_ERRNO(EFAULT, ioctl(dev, HULL_GET_SUPPORTED_CPUID, &args));
	args.entries = (__u64)(unsigned long)self->entries;
	args.reserved = 1;
	EXPECT_ERRNO(EINVAL, ioctl(dev, HULL_GET_SUPPORTED_CPUID, &args));
	EXPECT_ERRNO(EFAULT, ioctl(dev, HULL_GET_SUPPORTED_CPUID, nowhere()));
}

TEST_F(cpuid, set_checks_its_arguments)
{
	struct hull_cpuid args = { .entries = (__u64)(unsigned long)self->entries };
	static struct hull_cpuid_entry many[HULL_MAX_CPUID + 1];
	int fd = self->guest.cpu[0].fd;

	EXPECT_ERRNO(E2BIG, hull_set_cpuid(fd, many, HULL_MAX_CPUID + 1));
	EXPECT_ERRNO(E2BIG, hull_set_cpuid(fd, many, ~0U));
	EXPECT_ERRNO(EFAULT, hull_set_cpuid(fd, nowhere(), 1));
	EXPECT_ERRNO(EFAULT, ioctl(fd, HULL_SET_CPUID, nowhere()));
	args.reserved = 1;
	EXPECT_ERRNO(EINVAL, ioctl(fd, HULL_SET_CPUID, &args));
	many[0].reserved = 1;
	EXPECT_ERRNO(EINVAL, hull_set_cpuid(fd, many, 1));
	many[0].reserved = 0;
	many[0].flags = 2;
	EXPECT_ERRNO(EINVAL, hull_set_cpuid(fd, many, 1));
	many[0].flags = 0;
	EXPECT_EQ(0, hull_set_cpuid(fd, many, HULL_MAX_CPUID));
	EXPECT_EQ(0, hull_set_cpuid(fd, NULL, 0));
}

TEST_F(cpuid, set_keeps_what_is_in_use)
{
	struct hull_control control;
	int fd = self->guest.cpu[0].fd;

	ASSERT_EQ(0, guest_get_control(&self->guest, 0, &control));
	control.cr4 |= 1 << 4;			/* PSE */
	ASSERT_EQ(0, guest_set_control(&self->guest, 0, &control));
	EXPECT_ERRNO(EINVAL, hull_set_cpuid(fd, NULL, 0));
	EXPECT_EQ(0, hull_set_cpuid(fd, self->entries, self->count));
}

/* The leaf at 0x40000 is executed, its result put there. */
GUEST(ask, 64,
      "1: mov $0x40000, %edi\n"
      "mov (%rdi), %eax\n mov 4(%rdi), %ecx\n"
      "mov $-1, %rbx\n mov $-1, %rdx\n"
      "cpuid\n"
      "mov %rax, (%rdi)\n mov %rbx, 8(%rdi)\n mov %rcx, 16(%rdi)\n mov %rdx, 24(%rdi)\n"
      "hlt\n jmp 1b");

static int ask(struct guest *guest, __u32 leaf, __u32 subleaf, __u64 *regs)
{
	__u32 *at = (__u32 *)(guest->memory + GUEST_DATA_GPA);

	at[0] = leaf;
	at[1] = subleaf;
	if (guest_expect_halt(guest, 0))
		return -1;
	memcpy(regs, at, 32);
	return 0;
}

TEST_F(cpuid, guest_sees_its_table)
{
	struct guest *guest = &self->guest;
	__u64 regs[4];
	__u32 i;

	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(ask)));
	for (i = 0; i < self->count; i++) {
		const struct hull_cpuid_entry *entry = &self->entries[i];

		ASSERT_EQ(0, ask(guest, entry->leaf, entry->subleaf, regs));
		EXPECT_EQ(entry->eax, regs[0]);
		/* The size of the XSAVE area follows XCR0. */
		if (entry->leaf != 0xd || entry->subleaf > 1)
			EXPECT_EQ(entry->ebx, regs[1]);
		EXPECT_EQ(features_of_vm(guest->dev, entry), regs[2]);
		EXPECT_EQ(entry->edx, regs[3]);
	}
	ASSERT_EQ(0, ask(guest, 0x12345678, 0, regs));
	EXPECT_EQ(0, regs[0] | regs[1] | regs[2] | regs[3]);
	ASSERT_EQ(0, ask(guest, 0x8000000a, 0, regs));
	EXPECT_EQ(0, regs[0] | regs[1] | regs[2] | regs[3]);
}

TEST_F(cpuid, guest_never_gets_what_hull_has_not)
{
	struct hull_cpuid_entry all[3] = {
		{ .leaf = 1, .eax = 0xabcd, .ebx = ~0U, .ecx = ~0U, .edx = ~0U },
		{ .leaf = 0x80000001, .ecx = ~0U, .edx = ~0U },
		{ .leaf = 7, .flags = HULL_CPUID_SUBLEAF, .ebx = ~0U, .ecx = ~0U, .edx = ~0U },
	};
	struct guest *guest = &self->guest;
	__u64 regs[4];

	ASSERT_EQ(0, hull_set_cpuid(guest->cpu[0].fd, all, 3));
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(ask)));
	ASSERT_EQ(0, ask(guest, 1, 0, regs));
	EXPECT_EQ(0xabcd, regs[0]);
	EXPECT_EQ(0xffffffff, regs[1]);
	EXPECT_EQ(features_of_vm(guest->dev, FIND(1, 0)), regs[2]);
	EXPECT_EQ(FIND(1, 0)->edx, regs[3]);
	ASSERT_EQ(0, ask(guest, 0x80000001, 0, regs));
	EXPECT_EQ(FIND(0x80000001, 0)->ecx, regs[2]);
	EXPECT_EQ(FIND(0x80000001, 0)->edx, regs[3]);
	ASSERT_EQ(0, ask(guest, 7, 0, regs));
	EXPECT_EQ(FIND(7, 0) ? FIND(7, 0)->ebx : 0, regs[1]);
	ASSERT_EQ(0, ask(guest, 7, 1, regs));
	EXPECT_EQ(0, regs[1]);
}

TEST_F(cpuid, guest_sees_osxsave_when_it_sets_it)
{
	struct guest *guest = &self->guest;
	struct hull_control control;
	__u64 regs[4];

	if (!(FIND(1, 0)->ecx & (1 << 26)))
		SKIP(return, "no XSAVE");
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(ask)));
	ASSERT_EQ(0, ask(guest, 1, 0, regs));
	EXPECT_EQ(0, regs[2] & (1 << 27));
	ASSERT_EQ(0, guest_get_control(guest, 0, &control));
	control.cr4 |= 1 << 18;
	ASSERT_EQ(0, guest_set_control(guest, 0, &control));
	ASSERT_EQ(0, ask(guest, 1, 0, regs));
	EXPECT_NE(0, regs[2] & (1 << 27));
	ASSERT_EQ(0, ask(guest, 0xd, 0, regs));
	EXPECT_EQ(576, regs[1]);
	control.xcr0 = 7;
	if (guest_set_control(guest, 0, &control))
		SKIP(return, "no AVX");
	ASSERT_EQ(0, ask(guest, 0xd, 0, regs));
	EXPECT_EQ(832, regs[1]);
}

HULL_TEST_MAIN
