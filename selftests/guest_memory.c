// SPDX-License-Identifier: GPL-2.0
/*
 * Guest memory follows the process: page sizes, dirty logs, read-only regions, regions replaced
 * under a running guest, and everything a process can do to its memory.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"
#include "harness.h"
#include "limit.h"
#include "trap.h"

#define PAGE	4096UL
#define LARGE	(2UL << 20)

FIXTURE(memory) {
	struct guest guest;
	struct hull_region regions[3];
};

FIXTURE_SETUP(memory)
{
	ASSERT_EQ(0, guest_create(&self->guest, 0, GUEST_SIZE)) {
		TH_LOG("cannot create a VM: %s", strerror(errno));
	}
	self->regions[0] = (struct hull_region) {
		.size = GUEST_SIZE, .hva = (__u64)(unsigned long)self->guest.memory,
	};
}

FIXTURE_TEARDOWN(memory)
{
	EXPECT_EQ(0, hull_vm_check(self->guest.vm));
	guest_destroy(&self->guest);
}

static int set(struct guest *guest, const struct hull_region *regions, __u32 count)
{
	return hull_set_memory(guest->vm, regions, count);
}

/* 0x40000: address, value to write, value read; a bit of what to do: 1 write, 2 read. */
GUEST(access, 64,
      "1: mov 0x40000, %rbx\n"
      "testb $1, 0x40018\n jz 2f\n"
      "mov 0x40008, %rax\n mov %rax, (%rbx)\n"
      "2: testb $2, 0x40018\n jz 3f\n"
      "mov (%rbx), %rax\n mov %rax, 0x40010\n"
      "3: hlt\n jmp 1b");

static void prepare(struct guest *guest, __u64 address, __u64 value, __u64 what)
{
	__u64 *data = (__u64 *)(guest->memory + GUEST_DATA_GPA);

	data[0] = address;
	data[1] = value;
	data[2] = 0xdeadbeef;
	data[3] = what;
}

static int guest_read(struct guest *guest, __u64 address, __u64 *value)
{
	prepare(guest, address, 0, 2);
	if (guest_expect_halt(guest, 0))
		return -1;
	memcpy(value, guest->memory + GUEST_DATA_GPA + 16, 8);
	return 0;
}

static int guest_write(struct guest *guest, __u64 address, __u64 value)
{
	prepare(guest, address, value, 1);
	return guest_expect_halt(guest, 0);
}

#define EXPECT_READ(wanted, address) do {					\
	__u64 value_ = 0;							\
	EXPECT_EQ(0, guest_read(guest, address, &value_));			\
	EXPECT_EQ(wanted, value_);						\
} while (0)

#define START()	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(access)))

/* ---- page sizes ----------------------------------------------------------------------------- */

/* A large page from the host behind 16 MiB, at an address that suits it or not. */
static unsigned char *map_large(struct hull_region *region, size_t size, __u64 gpa)
{
	unsigned char *area = mmap(NULL, size + 2 * LARGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	unsigned long start = ((unsigned long)area + LARGE - 1) & -LARGE;

	if (area == MAP_FAILED)
		return NULL;
	madvise((void *)start, size, MADV_HUGEPAGE);
	*region = (struct hull_region) { .gpa = gpa, .size = size, .hva = start };
	return (unsigned char *)start;
}

static __u64 count_faults(struct guest *guest)
{
	struct hull_stats stats;

	hull_get_stats(guest->cpu[0].fd, &stats);
	return stats.value[HULL_STAT_MEMORY_FAULT];
}

TEST_F(memory, large_pages_are_mapped_large_when_aligned)
{
	struct guest *guest = &self->guest;
	unsigned char *area;
	__u64 faults, gpa;
	int shift;

	START();
	for (shift = 0; shift < 2; shift++) {
		area = map_large(&self->regions[1], 4 * LARGE, 0x1000000 + shift * PAGE);
		ASSERT_NE(NULL, area);
		memset(area, 1, 4 * LARGE);
		ASSERT_EQ(0, set(guest, self->regions, 2));
		EXPECT_READ(0x0101010101010101, 0x1000000 + LARGE + shift * PAGE);
		faults = count_faults(guest);
		for (gpa = LARGE; gpa < 2 * LARGE - 2 * PAGE; gpa += 16 * PAGE)
			EXPECT_READ(0x0101010101010101, 0x1000000 + gpa + shift * PAGE);
		faults = count_faults(guest) - faults;
		printf("# shift %d: %llu faults\n", shift, faults);
		if (shift) {
			EXPECT_LE(30, faults);
		} else {
			EXPECT_GE(2, faults);
		}
		/* Splitting by a hole in the process's memory */
		ASSERT_EQ(0, madvise(area + LARGE + PAGE, PAGE, MADV_DONTNEED));
		EXPECT_READ(0, 0x1000000 + LARGE + PAGE + shift * PAGE);
		EXPECT_READ(0x0101010101010101, 0x1000000 + LARGE + 2 * PAGE + shift * PAGE);
		ASSERT_EQ(0, hull_vm_check(guest->vm));
	}
}

/* 0x40000: address of a function, called last; address of a value, that value */
GUEST(call, 64,
      "1: mov 0x40008, %rcx\n mov (%rcx), %rax\n mov %rax, 0x40010\n"
      "mov 0x40000, %rbx\n call *%rbx\n"
      "hlt\n jmp 1b");

/* On some CPUs large pages let no code run: then code and data must not take the page in turns. */
TEST_F(memory, code_and_data_share_a_large_page)
{
	struct guest *guest = &self->guest;
	const __u64 base = 0x1000000 + LARGE;
	__u64 *data = (__u64 *)(guest->memory + GUEST_DATA_GPA), faults = 0;
	unsigned char *area;
	int i;

	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(call)));
	area = map_large(&self->regions[1], 2 * LARGE, 0x1000000);
	ASSERT_NE(NULL, area);
	memset(area, 0xc3, 2 * LARGE);	/* ret */
	ASSERT_EQ(0, set(guest, self->regions, 2));
	for (i = 0; i < 48; i++) {
		if (i == 32)
			faults = count_faults(guest);
		data[0] = base + (i & 15) * 2 * PAGE;
		data[1] = data[0] + PAGE;
		data[2] = 0;
		ASSERT_EQ(0, guest_expect_halt(guest, 0));
		EXPECT_EQ(0xc3c3c3c3c3c3c3c3, data[2]);
	}
	EXPECT_EQ(faults, count_faults(guest));
	EXPECT_EQ(0, hull_vm_check(guest->vm));
}

TEST_F(memory, guest_maps_a_gigabyte)
{
	struct guest *guest = &self->guest;
	__u64 *pdpt = (__u64 *)(guest->memory + GUEST_TABLES + 0x1000);

	START();
	pdpt[1] = 0x87;			/* 1 GiB page: the first gigabyte again */
	guest->memory[0x1ff000] = 77;
	EXPECT_READ(77, (1UL << 30) + 0x1ff000);
	EXPECT_EQ(0, guest_write(guest, (1UL << 30) + 0x1fe000, 99));
	EXPECT_EQ(99, guest->memory[0x1fe000]);
}

/* ---- dirty logs ----------------------------------------------------------------------------- */

#define WORDS	(GUEST_SIZE / PAGE / 64)

static bool bit(const __u64 *bitmap, unsigned long page)
{
	return bitmap[page / 64] >> (page % 64) & 1;
}

/* Pages of the log, without the guest's page tables: the CPU may take a walk for a write. */
static unsigned int weight(const __u64 *bitmap)
{
	unsigned long i;
	unsigned int sum = 0;

	for (i = 0; i < GUEST_SIZE / PAGE; i++) {
		if (i < GUEST_TABLES / PAGE || i >= GUEST_TABLES / PAGE + 6)
			sum += bit(bitmap, i);
	}
	return sum;
}

TEST_F(memory, dirty_log_is_exact)
{
	struct guest *guest = &self->guest;
	__u64 bitmap[WORDS];
	int round;

	self->regions[0].flags = HULL_REGION_LOG_DIRTY;
	ASSERT_EQ(0, set(guest, self->regions, 1));
	START();
	EXPECT_EQ(0, guest_write(guest, 0x100000, 1));
	for (round = 0; round < 3; round++) {
		EXPECT_EQ(0, guest_write(guest, 0x100000, round));
		EXPECT_EQ(0, guest_write(guest, 0x1ff000, round));
		EXPECT_READ(0, 0x150000);
		ASSERT_EQ(0, hull_get_dirty(guest->vm, 0, GUEST_SIZE, bitmap, HULL_DIRTY_CLEAR));
		EXPECT_TRUE(bit(bitmap, 0x100) && bit(bitmap, 0x1ff) && bit(bitmap, 0x40));
		EXPECT_FALSE(bit(bitmap, 0x150) || bit(bitmap, 0x10) || bit(bitmap, 0x101));
		if (round)
			EXPECT_EQ(3, weight(bitmap));
	}
	/* Nothing since; and what is only looked at stays. */
	ASSERT_EQ(0, hull_get_dirty(guest->vm, 0, GUEST_SIZE, bitmap, HULL_DIRTY_CLEAR));
	EXPECT_EQ(0, weight(bitmap));
	EXPECT_EQ(0, guest_write(guest, 0x123000, 5));
	for (round = 0; round < 2; round++) {
		ASSERT_EQ(0, hull_get_dirty(guest->vm, 0, GUEST_SIZE, bitmap, 0));
		EXPECT_TRUE(bit(bitmap, 0x123));
		EXPECT_EQ(1, weight(bitmap));
	}
}

/* The processor sets accessed and dirty bits in tables that are logged. */
TEST_F(memory, dirty_log_sees_page_tables)
{
	struct guest *guest = &self->guest;
	__u64 bitmap[WORDS];
	__u64 *table = (__u64 *)(guest->memory + GUEST_TABLES);

	self->regions[0].flags = HULL_REGION_LOG_DIRTY;
	ASSERT_EQ(0, set(guest, self->regions, 1));
	START();
	EXPECT_EQ(0, guest_write(guest, 0x100000, 1));
	ASSERT_EQ(0, hull_get_dirty(guest->vm, 0, GUEST_SIZE, bitmap, HULL_DIRTY_CLEAR));
	EXPECT_TRUE(bit(bitmap, GUEST_TABLES / PAGE + 2));
	EXPECT_EQ(0x60, table[1024] & 0x60);
}

/* ---- read-only regions ---------------------------------------------------------------------- */

TEST_F(memory, writes_to_rom_are_device_accesses)
{
	struct guest *guest = &self->guest;
	__u64 before = 0x1122334455667788;

	self->regions[0].size = 0x100000;
	self->regions[1] = self->regions[0];
	self->regions[1].gpa = 0x100000;
	self->regions[1].hva += 0x100000;
	self->regions[1].size = 0x100000;
	self->regions[1].flags = HULL_REGION_READONLY;
	ASSERT_EQ(0, set(guest, self->regions, 2));
	memcpy(guest->memory + 0x123000, &before, 8);
	START();
	EXPECT_READ(before, 0x123000);
	prepare(guest, 0x123000, 42, 3);
	EXPECT_EQ(0, guest_expect_write(guest, 0, HULL_SPACE_MEMORY, 0x123000, 8, 42));
	EXPECT_EQ(0, guest_expect_halt(guest, 0));
	EXPECT_EQ(0, memcmp(guest->memory + 0x123000, &before, 8));
	EXPECT_EQ(0, memcmp(guest->memory + GUEST_DATA_GPA + 16, &before, 8));
	/* Writable again, and back. */
	self->regions[1].flags = 0;
	ASSERT_EQ(0, set(guest, self->regions, 2));
	EXPECT_EQ(0, guest_write(guest, 0x123000, 43));
	EXPECT_EQ(43, guest->memory[0x123000]);
	self->regions[1].flags = HULL_REGION_READONLY;
	ASSERT_EQ(0, set(guest, self->regions, 2));
	prepare(guest, 0x123000, 44, 1);
	EXPECT_EQ(0, guest_expect_write(guest, 0, HULL_SPACE_MEMORY, 0x123000, 8, 44));
	EXPECT_EQ(43, guest->memory[0x123000]);
}

/* Memory the process itself may only read serves as a read-only region. */
TEST_F(memory, rom_needs_no_write_permission)
{
	struct guest *guest = &self->guest;

	guest->memory[0x100000] = 9;
	ASSERT_EQ(0, mprotect(guest->memory + 0x100000, 0x100000, PROT_READ));
	self->regions[0].size = 0x100000;
	self->regions[1] = self->regions[0];
	self->regions[1].gpa = 0x100000;
	self->regions[1].hva += 0x100000;
	self->regions[1].flags = HULL_REGION_READONLY;
	ASSERT_EQ(0, set(guest, self->regions, 2));
	START();
	EXPECT_READ(9, 0x100000);
	EXPECT_READ(0, 0x101000);
	prepare(guest, 0x100000, 44, 1);
	EXPECT_EQ(0, guest_expect_write(guest, 0, HULL_SPACE_MEMORY, 0x100000, 8, 44));
}

/* ---- what is not memory --------------------------------------------------------------------- */

TEST_F(memory, holes_are_device_accesses)
{
	struct guest *guest = &self->guest;
	int consumer = hull_create_consumer(guest->vm);
	struct hull_range range = { .space = HULL_SPACE_MEMORY, .start = 0x30000000,
				    .length = PAGE, .consumer = consumer, .eventfd = -1 };

	START();
	prepare(guest, 0x20000000, 5, 3);
	EXPECT_EQ(0, guest_expect_write(guest, 0, HULL_SPACE_MEMORY, 0x20000000, 8, 5));
	EXPECT_EQ(0, guest_expect_read(guest, 0, HULL_SPACE_MEMORY, 0x20000000, 8, ~0ULL));
	EXPECT_EQ(0, guest_expect_halt(guest, 0));
	/* A device that is dead reads all ones, without the launcher. */
	ASSERT_EQ(0, hull_add_range(guest->vm, &range));
	close(consumer);
	EXPECT_READ(~0ULL, 0x30000000);
	EXPECT_EQ(0, guest_write(guest, 0x30000000, 1));
	/* The end of memory in the middle of an access */
	memset(guest->memory + GUEST_SIZE - 4, 0x55, 4);
	prepare(guest, GUEST_SIZE - 4, 0, 2);
	EXPECT_EQ(0, guest_expect_read(guest, 0, HULL_SPACE_MEMORY, GUEST_SIZE, 4, 0x66666666));
	EXPECT_EQ(0, guest_expect_halt(guest, 0));
	EXPECT_EQ(0x6666666655555555, *(__u64 *)(guest->memory + GUEST_DATA_GPA + 16));
}

/* ---- what the process does ------------------------------------------------------------------ */

#define AT	(guest->memory + 0x100000)

TEST_F(memory, follows_the_process)
{
	struct guest *guest = &self->guest;
	int fd = memfd_create("memory", 0), status;
	__u64 value = 0x77;
	pid_t pid;

	START();
	memset(AT, 1, PAGE);
	EXPECT_READ(0x0101010101010101, 0x100000);
	/* The page is dropped: zeroes. */
	ASSERT_EQ(0, madvise(AT, PAGE, MADV_DONTNEED));
	EXPECT_READ(0, 0x100000);
	EXPECT_EQ(0, guest_write(guest, 0x100000, 5));
	EXPECT_EQ(5, AT[0]);
	/* Another mapping over it */
	ASSERT_EQ(AT, mmap(AT, PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	EXPECT_READ(0, 0x100000);
	/* A file */
	ASSERT_EQ(8, write(fd, &value, 8));
	ASSERT_EQ(0, ftruncate(fd, PAGE));
	ASSERT_EQ(AT, mmap(AT, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0));
	EXPECT_READ(0x77, 0x100000);
	EXPECT_EQ(0, guest_write(guest, 0x100000, 0x78));
	ASSERT_EQ(8, pread(fd, &value, 8, 0));
	EXPECT_EQ(0x78, value);
	/* A private copy of it: the guest's write goes to the copy. */
	ASSERT_EQ(AT, mmap(AT, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0));
	EXPECT_READ(0x78, 0x100000);
	EXPECT_EQ(0, guest_write(guest, 0x100000, 0x79));
	ASSERT_EQ(8, pread(fd, &value, 8, 0));
	EXPECT_EQ(0x78, value);
	EXPECT_EQ(0x79, AT[0]);
	/* fork: the child keeps the old contents when the guest writes. */
	pid = fork();
	if (!pid) {
		usleep(100000);
		_exit(AT[0] != 0x79);
	}
	EXPECT_EQ(0, guest_write(guest, 0x100000, 0x7a));
	EXPECT_EQ(0x7a, AT[0]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	/* Moved elsewhere, something else in its place */
	ASSERT_EQ(guest->memory + 0x180000,
		  mremap(AT, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, guest->memory + 0x180000));
	ASSERT_EQ(AT, mmap(AT, PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	EXPECT_READ(0x7a, 0x180000);
	EXPECT_READ(0, 0x100000);
	close(fd);
}

TEST_F(memory, zero_pages_are_shared_until_written)
{
	struct guest *guest = &self->guest;
	int i;

	START();
	for (i = 0; i < 16; i++)
		EXPECT_READ(0, 0x140000 + i * PAGE);
	EXPECT_EQ(0, guest_write(guest, 0x143000, 1));
	for (i = 0; i < 16; i++)
		EXPECT_READ(i == 3, 0x140000 + i * PAGE);
}

/* ---- regions under a running guest ---------------------------------------------------------- */

GUEST(loop, 64, "sti\n 1: mov 0x100000, %rax\n mov %rax, 0x40010\n incq 0x40018\n jmp 1b");

static void *run_loop(void *arg)
{
	struct guest *guest = arg;
	int ret;

	while ((ret = guest_run(guest, 0)) == HULL_EXIT_REQUEST) {
		/* The region is not there at the moment. */
		hull_answer(&guest->cpu[0].own, 3);
	}
	return (void *)(long)(ret == -1 && errno == EINTR);
}

static bool wait_for(volatile __u64 *word, __u64 value)
{
	int i;

	for (i = 0; i < 20000; i++) {
		if (*word == value)
			return true;
		usleep(100);
	}
	return false;
}

static void ignore(int sig)
{
}

TEST_F(memory, regions_are_replaced_while_it_runs)
{
	struct guest *guest = &self->guest;
	__u64 *data = (__u64 *)(guest->memory + GUEST_DATA_GPA);
	struct hull_region *regions = self->regions;
	struct sigaction action = { .sa_handler = ignore };
	pthread_t thread;
	void *fine = NULL;
	int round;

	regions[0].size = 0x100000;
	regions[1] = regions[0];
	regions[1].gpa = 0x100000;
	regions[1].hva += 0x100000;
	regions[1].size = 2 * PAGE;
	guest->memory[0x100000] = 1;
	guest->memory[0x110000] = 2;
	ASSERT_EQ(0, set(guest, regions, 2));
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(loop)));
	sigaction(SIGUSR1, &action, NULL);
	ASSERT_EQ(0, pthread_create(&thread, NULL, run_loop, guest));
	for (round = 0; round < 50 && !_metadata->trigger; round++) {
		ASSERT_EQ(0, set(guest, regions, 2));
		EXPECT_TRUE(wait_for(&data[2], 1));
		regions[1].hva += 0x10000;
		ASSERT_EQ(0, set(guest, regions, 2));
		EXPECT_TRUE(wait_for(&data[2], 2));
		regions[1].hva -= 0x10000;
		ASSERT_EQ(0, set(guest, regions, 1));
		EXPECT_TRUE(wait_for(&data[2], 3));
		EXPECT_EQ(0, hull_vm_check(guest->vm));
	}
	guest->cpu[0].run->stop = 1;
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, &fine);
	EXPECT_EQ(1, (long)fine);
}

HULL_TEST_MAIN
