// SPDX-License-Identifier: GPL-2.0
/*
 * What the check mode watches over, provoked on purpose: memory that goes, moves or is protected
 * under a running guest, page tables that are taken apart, debug registers that belong to two
 * sides, and a guest that wants SVM or the host's sleep for itself. Each test fails on a module
 * with the defect it is named after (scripts/check-mutations builds them), by what the guest sees
 * or by the oracle's report.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "device.h"
#include "harness.h"
#include "klog.h"
#include "trap.h"

#define REGION		0x40000000UL
#define REGION_SIZE	(4UL << 20)
#define PAGE		4096UL

/* For ever: read the region's first word, tell. */
GUEST(teller, 64,
      "mov $0x40000000, %ebx\n"
      "1: mov (%rbx), %eax\n out %eax, $0xe9\n jmp 1b");

/* Read the region's first word until it changes, tell. */
GUEST(watcher, 64,
      "sti\n mov $0x40000000, %ebx\n"
      "1: mov (%rbx), %ecx\n lock incl 0x40000\n"
      "2: mov (%rbx), %eax\n cmp %ecx, %eax\n je 2b\n"
      "out %eax, $0xe9\n jmp 1b");

/* Write to each page of the region and tell, for ever. */
GUEST(writer, 64,
      "1: mov $0x40000000, %ebx\n"
      "2: incl (%rbx)\n add $4096, %rbx\n"
      "cmp $0x40400000, %rbx\n jne 2b\n"
      "out %eax, $0xe9\n jmp 1b");

/* Breakpoints on everything, and exits. */
GUEST(debugged, 64,
      "mov $0x1111000, %eax\n mov %rax, %db0\n"
      "add $0x1000, %eax\n mov %rax, %db1\n"
      "add $0x1000, %eax\n mov %rax, %db2\n"
      "add $0x1000, %eax\n mov %rax, %db3\n"
      "mov $0x4aa, %eax\n mov %rax, %db7\n"
      "1: xor %eax, %eax\n cpuid\n"
      "mov %db2, %rax\n out %eax, $0xe9\n jmp 1b");

/* The SVM instructions in their plain form. */
GUEST(vmrun, 64, "xor %eax, %eax\n vmrun %rax");
GUEST(vmload, 64, "xor %eax, %eax\n vmload %rax");
GUEST(vmsave, 64, "xor %eax, %eax\n vmsave %rax");
GUEST(stgi, 64, "stgi");
GUEST(clgi, 64, "clgi");
GUEST(skinit, 64, "xor %eax, %eax\n skinit");
GUEST(invlpga, 64, "xor %eax, %eax\n xor %ecx, %ecx\n invlpga");

GUEST(monitor, 64, "mov $0x40000, %eax\n xor %ecx, %ecx\n xor %edx, %edx\n monitor");
GUEST(mwait, 64, "xor %eax, %eax\n xor %ecx, %ecx\n mwait");

FIXTURE(oracle) {
	struct guest guest;
	struct klog klog;
	unsigned char *region;
	bool checked;
};

FIXTURE_SETUP(oracle)
{
	struct hull_info info;

	klog_open(&self->klog);
	ASSERT_EQ(0, guest_create(&self->guest, 0, GUEST_SIZE)) {
		TH_LOG("cannot create a VM: %s", strerror(errno));
	}
	ASSERT_EQ(0, hull_get_info(self->guest.dev, &info));
	self->checked = info.capabilities & HULL_CAP_CHECK_MODE;
	self->region = mmap(NULL, REGION_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->region);
	/* Small pages, so that tables of tables come and go. */
	madvise(self->region, REGION_SIZE, MADV_NOHUGEPAGE);
}

/* Memory must not go before the VM: a module with a defect would let its guest use it. */
FIXTURE_TEARDOWN(oracle)
{
	if (self->checked)
		EXPECT_EQ(0, hull_vm_check(self->guest.vm));
	guest_destroy(&self->guest);
	EXPECT_EQ(0, klog_reports(&self->klog));
	klog_close(&self->klog);
	munmap(self->region, REGION_SIZE);
}

/* The guest's memory, and the region's unless @hva is NULL. */
static int set_region(struct guest *guest, const void *hva, __u32 flags)
{
	const struct hull_region regions[] = {
		{ .size = guest->size, .hva = (unsigned long)guest->memory },
		{ .gpa = REGION, .size = REGION_SIZE, .hva = (unsigned long)hva, .flags = flags },
	};

	return hull_set_memory(guest->vm, regions, hva ? 2 : 1);
}

static void set_word(unsigned char *memory, __u32 value)
{
	memcpy(memory, &value, sizeof(value));
}

/* ---- memory --------------------------------------------------------------------------------- */

TEST_F(oracle, deleted_region_is_unmapped)
{
	struct guest *guest = &self->guest;
	int i;

	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(teller)));
	for (i = 0; i < 10; i++) {
		set_word(self->region, 100 + i);
		ASSERT_EQ(0, set_region(guest, self->region, 0));
		ASSERT_EQ(0, guest_expect_out(guest, 100 + i));
		ASSERT_EQ(0, set_region(guest, NULL, 0));
		ASSERT_EQ(0, guest_expect_read(guest, 0, MEMORY, REGION, 4, 55));
		ASSERT_EQ(0, guest_expect_out(guest, 55));
	}
}

/* The same guest-physical addresses, other memory. */
TEST_F(oracle, moved_region_is_remapped)
{
	struct guest *guest = &self->guest;
	unsigned char *other = self->region + REGION_SIZE / 2;
	struct hull_region regions[] = {
		{ .size = guest->size, .hva = (unsigned long)guest->memory },
		{ .gpa = REGION, .size = REGION_SIZE / 2 },
	};
	int i;

	set_word(self->region, 1);
	set_word(other, 2);
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(teller)));
	for (i = 0; i < 20; i++) {
		regions[1].hva = (unsigned long)(i % 2 ? other : self->region);
		ASSERT_EQ(0, hull_set_memory(guest->vm, regions, 2));
		ASSERT_EQ(0, guest_expect_out(guest, i % 2 ? 2 : 1));
	}
}

/* The process changes its own mapping and says nothing. */
TEST_F(oracle, changed_mapping_is_flushed)
{
	struct guest *guest = &self->guest;
	int i;

	ASSERT_EQ(0, set_region(guest, self->region, 0));
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(teller)));
	for (i = 1; i < 10; i++) {
		set_word(self->region, i);
		ASSERT_EQ(0, guest_expect_out(guest, i));
		ASSERT_EQ(0, madvise(self->region, PAGE, MADV_DONTNEED));
		ASSERT_EQ(0, guest_expect_out(guest, 0));
	}
}

/* Whole tables of 512 entries go at once and are freed. */
TEST_F(oracle, unlinked_tables_outlive_the_flush)
{
	struct guest *guest = &self->guest;
	int i;

	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(writer)));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, set_region(guest, self->region, 0));
		ASSERT_EQ(HULL_EXIT_REQUEST, guest_run(guest, 0));
		hull_answer(&guest->cpu[0].own, 0);
		ASSERT_EQ(0, set_region(guest, NULL, 0));
	}
	EXPECT_EQ(3, *(__u32 *)self->region);
	EXPECT_EQ(3, *(__u32 *)(self->region + REGION_SIZE - PAGE));
}

TEST_F(oracle, dirty_log_sees_each_write)
{
	const size_t pages = REGION_SIZE / PAGE;
	struct guest *guest = &self->guest;
	__u64 bitmap[REGION_SIZE / PAGE / 64];
	size_t page, round;

	ASSERT_EQ(0, set_region(guest, self->region, HULL_REGION_LOG_DIRTY));
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(writer)));
	for (round = 0; round < 3; round++) {
		ASSERT_EQ(HULL_EXIT_REQUEST, guest_run(guest, 0));
		hull_answer(&guest->cpu[0].own, 0);
		ASSERT_EQ(0, hull_get_dirty(guest->vm, REGION, REGION_SIZE, bitmap,
					    HULL_DIRTY_CLEAR));
		for (page = 0; page < pages; page++)
			ASSERT_EQ(1, bitmap[page / 64] >> (page % 64) & 1);
		ASSERT_EQ(0, hull_get_dirty(guest->vm, REGION, REGION_SIZE, bitmap, 0));
		for (page = 0; page < pages / 64; page++)
			ASSERT_EQ(0, bitmap[page]);
		if (self->checked)
			ASSERT_EQ(0, hull_vm_check(guest->vm));
	}
}

static void *run_watcher(void *arg)
{
	struct guest *guest = arg;

	return (void *)(long)guest_expect_read(guest, 1, MEMORY, REGION, 4, 77);
}

/* A vCPU that is in the guest just now has to be fetched. */
TEST_F(oracle, running_vcpu_is_flushed)
{
	struct guest *guest = &self->guest;
	volatile __u32 *turns = (void *)(guest->memory + GUEST_DATA_GPA);
	pthread_t thread;
	void *failed;
	int i;

	ASSERT_EQ(0, guest_add_cpu(guest, 1));
	for (i = 0; i < 5; i++) {
		*turns = 0;
		ASSERT_EQ(0, set_region(guest, self->region, 0));
		ASSERT_EQ(0, guest_start(guest, 1, GUEST_LONG, GUEST_CODE(watcher)));
		ASSERT_EQ(0, pthread_create(&thread, NULL, run_watcher, guest));
		while (!*turns)
			usleep(100);
		usleep(1000 * i);
		ASSERT_EQ(0, set_region(guest, NULL, 0));
		ASSERT_EQ(0, pthread_join(thread, &failed));
		ASSERT_EQ(NULL, failed);
	}
}

/* ---- registers and instructions ------------------------------------------------------------- */

TEST_F(oracle, debug_registers_are_switched)
{
	struct guest *guest = &self->guest;
	int i;

	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(debugged)));
	for (i = 0; i < 20; i++)
		ASSERT_EQ(0, guest_expect_out(guest, 0x1113000));
}

static int expect_undefined(struct guest *guest, const unsigned char *code, size_t size)
{
	struct trap trap;

	if (guest_start(guest, 0, GUEST_LONG, code, size) ||
	    trap_install(guest, 0, GUEST_LONG, TRAP_OWN_STACK) ||
	    trap_expect(guest, 0, GUEST_LONG, 6, &trap))
		return -1;
	hull_answer(&guest->cpu[0].own, 0);
	return 0;
}

#define EXPECT_UNDEFINED(name)	EXPECT_EQ(0, expect_undefined(&self->guest, GUEST_CODE(name)))

TEST_F(oracle, svm_is_not_for_guests)
{
	EXPECT_UNDEFINED(vmrun);
	EXPECT_UNDEFINED(vmload);
	EXPECT_UNDEFINED(vmsave);
	EXPECT_UNDEFINED(stgi);
	EXPECT_UNDEFINED(clgi);
	EXPECT_UNDEFINED(skinit);
	EXPECT_UNDEFINED(invlpga);
}

/* A guest must not watch the host's memory, or put the CPU to sleep. */
TEST_F(oracle, monitor_is_not_for_guests)
{
	EXPECT_UNDEFINED(monitor);
	EXPECT_UNDEFINED(mwait);
}

HULL_TEST_MAIN
