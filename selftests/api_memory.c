// SPDX-License-Identifier: GPL-2.0
/*
 * HULL_SET_MEMORY and HULL_GET_DIRTY: what they refuse, each errno, and memory that cannot be had.
 * What guests see of their memory is in guest_memory.c.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"
#include "harness.h"

FIXTURE(memory) {
	struct guest guest;
	struct hull_region region;
};

FIXTURE_SETUP(memory)
{
	ASSERT_EQ(0, guest_create(&self->guest, 0, GUEST_SIZE)) {
		TH_LOG("cannot create a VM: %s", strerror(errno));
	}
	self->region = (struct hull_region) {
		.size = GUEST_SIZE, .hva = (__u64)(unsigned long)self->guest.memory,
	};
}

FIXTURE_TEARDOWN(memory)
{
	guest_destroy(&self->guest);
}

GUEST(touch, 64, "1: mov 0x100000, %al\n incb 0x100000\n hlt\n jmp 1b");

static int set_errno(struct guest *guest, const struct hull_region *regions, __u32 count)
{
	errno = 0;
	return hull_set_memory(guest->vm, regions, count) ? errno : 0;
}

#define EXPECT_BAD(error, field, bad) do {					\
	struct hull_region region_ = self->region;				\
	region_.field = bad;							\
	EXPECT_EQ(error, set_errno(&self->guest, &region_, 1));			\
} while (0)

TEST_F(memory, set_refuses_impossible_regions)
{
	struct hull_info info;

	ASSERT_EQ(0, hull_get_info(self->guest.dev, &info));
	EXPECT_BAD(EINVAL, gpa, 1);
	EXPECT_BAD(EINVAL, gpa, 0x800);
	EXPECT_BAD(EINVAL, size, 0);
	EXPECT_BAD(EINVAL, size, 0xfff);
	EXPECT_BAD(EINVAL, size, GUEST_SIZE + 1);
	EXPECT_BAD(EINVAL, hva, self->region.hva + 8);
	EXPECT_BAD(EINVAL, flags, HULL_REGION_FLAGS + 1);
	EXPECT_BAD(EINVAL, flags, 1U << 31);
	EXPECT_BAD(EINVAL, reserved, 1);
	/* Beyond what can be addressed, and around the end of everything. */
	EXPECT_BAD(EINVAL, gpa, 1ULL << info.gpa_bits);
	EXPECT_BAD(EINVAL, gpa, (1ULL << info.gpa_bits) - GUEST_SIZE + 4096);
	EXPECT_BAD(EINVAL, gpa, -4096ULL);
	EXPECT_BAD(EINVAL, gpa, -GUEST_SIZE);
	EXPECT_BAD(EINVAL, size, -4096ULL);
	EXPECT_BAD(EINVAL, size, 1ULL << 63);
	/* Not the process's own addresses. */
	EXPECT_BAD(EINVAL, hva, 1ULL << 63);
	EXPECT_BAD(EINVAL, hva, -4096ULL);
	EXPECT_BAD(EINVAL, hva, -GUEST_SIZE);
	EXPECT_BAD(EINVAL, hva, 0xffffffff81000000ULL);
	EXPECT_BAD(EINVAL, hva, 0xfffffffffff000ULL);
	EXPECT_BAD(0, gpa, (1ULL << info.gpa_bits) - GUEST_SIZE);
	EXPECT_BAD(0, gpa, 0);
}

TEST_F(memory, set_refuses_overlaps)
{
	struct hull_region two[2] = { self->region, self->region };

	EXPECT_EQ(EINVAL, set_errno(&self->guest, two, 2));
	two[1].gpa = GUEST_SIZE - 4096;
	EXPECT_EQ(EINVAL, set_errno(&self->guest, two, 2));
	two[0].gpa = 4096;
	two[1].gpa = 0;
	EXPECT_EQ(EINVAL, set_errno(&self->guest, two, 2));
	/* The same memory at two places is the launcher's business. */
	two[0].gpa = GUEST_SIZE;
	EXPECT_EQ(0, set_errno(&self->guest, two, 2));
}

TEST_F(memory, set_checks_its_arguments)
{
	static struct hull_region many[HULL_MAX_REGIONS + 1];
	struct hull_memory args = { .count = 1, .reserved = 1,
				    .regions = (__u64)(unsigned long)&self->region };
	int i;

	EXPECT_ERRNO(EINVAL, ioctl(self->guest.vm, HULL_SET_MEMORY, &args));
	EXPECT_ERRNO(EFAULT, ioctl(self->guest.vm, HULL_SET_MEMORY, nowhere()));
	EXPECT_ERRNO(EFAULT, hull_set_memory(self->guest.vm, nowhere(), 1));
	for (i = 0; i <= HULL_MAX_REGIONS; i++) {
		many[i] = self->region;
		many[i].size = 4096;
		many[i].gpa = i * 8192;
	}
	EXPECT_EQ(E2BIG, set_errno(&self->guest, many, HULL_MAX_REGIONS + 1));
	EXPECT_EQ(E2BIG, set_errno(&self->guest, many, ~0U));
	EXPECT_EQ(0, set_errno(&self->guest, many, HULL_MAX_REGIONS));
	EXPECT_EQ(0, set_errno(&self->guest, NULL, 0));
	EXPECT_EQ(0, set_errno(&self->guest, NULL, 0));
}

TEST_F(memory, failed_set_changes_nothing)
{
	struct guest *guest = &self->guest;

	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(touch)));
	ASSERT_EQ(0, guest_expect_halt(guest, 0));
	EXPECT_BAD(EINVAL, gpa, 1);
	EXPECT_EQ(0, guest_expect_halt(guest, 0));
	EXPECT_EQ(2, guest->memory[0x100000]);
}

/* ---- memory that cannot be had -------------------------------------------------------------- */

static int end_with_no_memory(struct guest *guest, __u64 *host_errno)
{
	int ret = guest_run(guest, 0);

	*host_errno = guest->cpu[0].run->end_info[0];
	return ret == HULL_EXIT_ENDED &&
	       guest->cpu[0].run->end_reason == HULL_END_NO_MEMORY ? 0 : -1;
}

TEST_F(memory, unmapped_memory_ends_the_vm)
{
	struct guest *guest = &self->guest;
	__u64 error;

	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(touch)));
	ASSERT_EQ(0, munmap(guest->memory + 0x100000, 4096));
	ASSERT_EQ(0, end_with_no_memory(guest, &error));
	EXPECT_EQ(EFAULT, error);
}

TEST_F(memory, unreadable_memory_ends_the_vm)
{
	struct guest *guest = &self->guest;
	__u64 error;

	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(touch)));
	ASSERT_EQ(0, mprotect(guest->memory + 0x100000, 4096, PROT_NONE));
	ASSERT_EQ(0, end_with_no_memory(guest, &error));
	EXPECT_EQ(EFAULT, error);
}

TEST_F(memory, file_too_short_ends_the_vm)
{
	struct guest *guest = &self->guest;
	int fd = memfd_create("short", 0);
	__u64 error;

	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(touch)));
	ASSERT_NE(MAP_FAILED, mmap(guest->memory + 0x100000, 4096, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_FIXED, fd, 0));
	ASSERT_EQ(0, end_with_no_memory(guest, &error));
	EXPECT_TRUE(error == EFAULT || error == EHWPOISON);
	close(fd);
}

TEST_F(memory, device_memory_is_refused)
{
	int fd = open("/dev/mem", O_RDONLY);
	void *page = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0xfee00000);
	struct guest *guest = &self->guest;
	struct hull_region two[2] = { self->region, self->region };
	__u64 error;

	if (page == MAP_FAILED)
		SKIP(return, "no /dev/mem to map");
	two[0].size = 0x100000;
	two[1].gpa = 0x100000;
	two[1].size = 4096;
	two[1].hva = (__u64)(unsigned long)page;
	EXPECT_EQ(EINVAL, set_errno(guest, two, 2));
	/* Not either when it comes later. */
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(touch)));
	ASSERT_EQ(guest->memory + 0x100000,
		  mremap(page, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED,
			 guest->memory + 0x100000));
	ASSERT_EQ(0, end_with_no_memory(guest, &error));
	close(fd);
}

TEST_F(memory, own_mapping_of_the_module_does_no_harm)
{
	struct guest *guest = &self->guest;
	void *page = mmap(guest->memory + 0x100000, 4096, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_FIXED, guest->cpu[0].fd, 0);
	int ret;

	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(touch)));
	ret = guest_run(guest, 0);
	EXPECT_TRUE(ret == HULL_EXIT_HALTED || ret == HULL_EXIT_ENDED);
	EXPECT_EQ(0, hull_vm_check(guest->vm));
}

/* ---- HULL_MEMORY_WRITTEN -------------------------------------------------------------------- */

TEST_F(memory, written_checks_its_arguments)
{
	int vm = self->guest.vm;

	EXPECT_EQ(0, hull_memory_written(vm, 0, 1));
	EXPECT_EQ(0, hull_memory_written(vm, 4095, GUEST_SIZE));
	EXPECT_ERRNO(EINVAL, hull_memory_written(vm, 0, 0));
	EXPECT_ERRNO(EINVAL, hull_memory_written(vm, 1ULL << 52, 1));
	EXPECT_ERRNO(EINVAL, hull_memory_written(vm, 4096, -4096ULL));
	EXPECT_ERRNO(EINVAL, hull_memory_written(vm, 4096, -1ULL));
}

/* ---- HULL_GET_DIRTY ------------------------------------------------------------------------- */

TEST_F(memory, dirty_checks_its_arguments)
{
	struct guest *guest = &self->guest;
	struct hull_dirty args = { .size = GUEST_SIZE, .reserved = 1 };
	__u64 bitmap[GUEST_SIZE / 4096 / 64];
	int vm = guest->vm;

	args.bitmap = (__u64)(unsigned long)bitmap;
	EXPECT_ERRNO(ENOENT, hull_get_dirty(vm, 0, GUEST_SIZE, bitmap, 0));
	self->region.flags = HULL_REGION_LOG_DIRTY;
	ASSERT_EQ(0, set_errno(guest, &self->region, 1));
	EXPECT_EQ(0, hull_get_dirty(vm, 0, GUEST_SIZE, bitmap, 0));
	EXPECT_EQ(0, hull_get_dirty(vm, 0, GUEST_SIZE, bitmap, HULL_DIRTY_CLEAR));
	EXPECT_ERRNO(ENOENT, hull_get_dirty(vm, 4096, GUEST_SIZE - 4096, bitmap, 0));
	EXPECT_ERRNO(ENOENT, hull_get_dirty(vm, 0, GUEST_SIZE - 4096, bitmap, 0));
	EXPECT_ERRNO(ENOENT, hull_get_dirty(vm, 0, 0, bitmap, 0));
	EXPECT_ERRNO(ENOENT, hull_get_dirty(vm, GUEST_SIZE, GUEST_SIZE, bitmap, 0));
	EXPECT_ERRNO(ENOENT, hull_get_dirty(vm, -4096ULL, 4096, bitmap, 0));
	EXPECT_ERRNO(EINVAL, hull_get_dirty(vm, 0, GUEST_SIZE, bitmap, 2));
	EXPECT_ERRNO(EINVAL, hull_get_dirty(vm, 0, GUEST_SIZE, bitmap, 1U << 31));
	EXPECT_ERRNO(EINVAL, ioctl(vm, HULL_GET_DIRTY, &args));
	EXPECT_ERRNO(EFAULT, ioctl(vm, HULL_GET_DIRTY, nowhere()));
	EXPECT_ERRNO(EFAULT, hull_get_dirty(vm, 0, GUEST_SIZE, nowhere(), 0));
	self->region.flags = 0;
	ASSERT_EQ(0, set_errno(guest, &self->region, 1));
	EXPECT_ERRNO(ENOENT, hull_get_dirty(vm, 0, GUEST_SIZE, bitmap, 0));
}

TEST_F(memory, dirty_is_kept_when_it_cannot_be_returned)
{
	struct guest *guest = &self->guest;
	__u64 bitmap[GUEST_SIZE / 4096 / 64] = {};

	self->region.flags = HULL_REGION_LOG_DIRTY;
	ASSERT_EQ(0, set_errno(guest, &self->region, 1));
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(touch)));
	ASSERT_EQ(0, guest_expect_halt(guest, 0));
	EXPECT_ERRNO(EFAULT, hull_get_dirty(guest->vm, 0, GUEST_SIZE, nowhere(),
					    HULL_DIRTY_CLEAR));
	ASSERT_EQ(0, hull_get_dirty(guest->vm, 0, GUEST_SIZE, bitmap, HULL_DIRTY_CLEAR));
	EXPECT_EQ(1, bitmap[0x100 / 64] >> (0x100 % 64) & 1);
}

HULL_TEST_MAIN
