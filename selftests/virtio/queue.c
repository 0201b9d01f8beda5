// SPDX-License-Identifier: GPL-2.0
/*
 * Split queues: what they carry; every abuse, each of which must break the queue and leave all
 * memory as it was; a driver that rewrites everything while the device works.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "driver.h"
#include "test.h"

#define SIZE	8

static struct guest_memory memory;
static struct driver driver;
static struct queue queue;
static struct chain chain;

static void begin(bool indirect, bool event_index)
{
	driver_init(&driver, &memory, 0, SIZE);
	driver.setup.indirect = indirect;
	driver.setup.event_index = event_index;
	EXPECT_EQ(0, queue_start(&queue, &memory, &driver.setup));
}

static void test_chain(void)
{
	char text[32] = "";

	begin(false, false);
	memory_write(&memory, BUFFERS, "hello, ", 7);
	memory_write(&memory, BUFFERS + 0x100, "device", 6);
	driver_desc(&driver, 3, BUFFERS, 7, READ | NEXT, 5);
	driver_desc(&driver, 5, BUFFERS + 0x100, 6, READ | NEXT, 1);
	driver_desc(&driver, 1, BUFFERS + 0x200, 4, WRITE | NEXT, 0);
	driver_desc(&driver, 0, BUFFERS + 0x300, 100, WRITE, 0);
	EXPECT_EQ(0, queue_take(&queue, &chain));
	driver_post(&driver, 3);
	EXPECT_EQ(1, queue_take(&queue, &chain));
	EXPECT_EQ(3, chain.head);
	EXPECT_EQ(2, chain.reads);
	EXPECT_EQ(13, chain.read_size);
	EXPECT_EQ(2, chain.writes);
	EXPECT_EQ(104, chain.write_size);
	EXPECT_EQ(11, chain_read(&chain, 2, text, 32));
	EXPECT(!memcmp(text, "llo, device", 11));
	EXPECT_EQ(0, chain_read(&chain, 13, text, 32));
	EXPECT_EQ(6, chain_write(&chain, 2, "abcdef", 6));
	EXPECT(!memcmp(memory_at(&memory, BUFFERS + 0x202, 2), "ab", 2));
	EXPECT(!memcmp(memory_at(&memory, BUFFERS + 0x300, 4), "cdef", 4));
	EXPECT_EQ(4, chain_write(&chain, 100, "abcdef", 6));
	EXPECT_EQ(0, queue_take(&queue, &chain));
	EXPECT(!driver_used(&driver));
	queue_give(&queue, &chain, 8);
	EXPECT_EQ(3, driver.used->ring[0].id);
	EXPECT_EQ(8, driver.used->ring[0].len);
	EXPECT_EQ(1, driver.used->idx);
}

/* Several chains that the driver gets at once. */
static void test_together(void)
{
	static struct chain other;

	begin(false, false);
	driver_desc(&driver, 0, BUFFERS, 8, WRITE, 0);
	driver_desc(&driver, 1, BUFFERS + 8, 8, WRITE, 0);
	driver_post(&driver, 1);
	driver_post(&driver, 0);
	EXPECT_EQ(1, queue_take(&queue, &chain));
	EXPECT_EQ(1, queue_take(&queue, &other));
	queue_put(&queue, &chain, 8);
	EXPECT_EQ(0, driver.used->idx);
	queue_give(&queue, &other, 3);
	EXPECT_EQ(2, driver.used->idx);
	EXPECT_EQ(1, driver.used->ring[0].id);
	EXPECT_EQ(8, driver.used->ring[0].len);
	EXPECT_EQ(0, driver.used->ring[1].id);
	EXPECT_EQ(3, driver.used->ring[1].len);
	EXPECT(queue_wants_interrupt(&queue));
}

static void test_indirect(void)
{
	struct vring_desc table[3] = {
		{ BUFFERS, 16, NEXT, 2 },
		{ BUFFERS + 0x100, 1, WRITE, 0 },
		{ BUFFERS + 0x200, 512, WRITE | NEXT, 1 },
	};

	begin(true, false);
	/* Not aligned: nothing says that it is. After a buffer of its own. */
	memory_write(&memory, BUFFERS + 0x1003, table, sizeof(table));
	driver_desc(&driver, 0, BUFFERS + 0x800, 4, NEXT, 1);
	driver_desc(&driver, 1, BUFFERS + 0x1003, sizeof(table), TABLE, 0);
	driver_post(&driver, 0);
	EXPECT_EQ(1, queue_take(&queue, &chain));
	EXPECT_EQ(2, chain.reads);
	EXPECT_EQ(20, chain.read_size);
	EXPECT_EQ(2, chain.writes);
	EXPECT_EQ(513, chain.write_size);
	EXPECT_EQ(1, chain.iov[3].iov_len);
}

/* A program's vectored I/O may name one page twice. */
static void test_same_buffer(void)
{
	begin(false, false);
	driver_desc(&driver, 0, BUFFERS, 4096, NEXT, 1);
	driver_desc(&driver, 1, BUFFERS, 4096, NEXT, 2);
	driver_desc(&driver, 2, BUFFERS + 4096, 4096, WRITE | NEXT, 3);
	driver_desc(&driver, 3, BUFFERS + 4096, 8192, WRITE, 0);
	driver_post(&driver, 0);
	EXPECT_EQ(1, queue_take(&queue, &chain));
	EXPECT_EQ(4, chain.reads + chain.writes);
}

static void test_slice(void)
{
	struct iovec iov[QUEUE_SIZE_MAX];

	begin(false, false);
	driver_desc(&driver, 0, BUFFERS, 16, NEXT, 1);
	driver_desc(&driver, 1, BUFFERS + 64, 16, NEXT, 2);
	driver_desc(&driver, 2, BUFFERS + 128, 16, WRITE, 0);
	driver_post(&driver, 0);
	EXPECT_EQ(1, queue_take(&queue, &chain));
	EXPECT_EQ(2, chain_slice(&chain, false, 8, 16, iov));
	EXPECT(iov[0].iov_base == memory_at(&memory, BUFFERS + 8, 8));
	EXPECT_EQ(8, iov[0].iov_len);
	EXPECT_EQ(8, iov[1].iov_len);
	EXPECT_EQ(1, chain_slice(&chain, false, 16, 16, iov));
	EXPECT_EQ(0, chain_slice(&chain, false, 32, 1, iov));
	EXPECT_EQ(0, chain_slice(&chain, true, 0, 0, iov));
	EXPECT_EQ(1, chain_slice(&chain, true, 15, 10, iov));
	EXPECT_EQ(1, iov[0].iov_len);
}

/* ---- abuse ---------------------------------------------------------------------------------- */

static void loop_of_one(void)
{
	driver_desc(&driver, 0, BUFFERS, 16, NEXT, 0);
}

static void loop_of_two(void)
{
	driver_desc(&driver, 0, BUFFERS, 16, NEXT, 1);
	driver_desc(&driver, 1, BUFFERS, 16, NEXT, 0);
}

static void fill_table(unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		struct vring_desc desc = { BUFFERS, 16, NEXT, i + 1 };

		memory_write(&memory, BUFFERS + 0x1000 + 16 * i, &desc, 16);
	}
	driver_desc(&driver, 0, BUFFERS + 0x1000, 16 * count, TABLE, 0);
}

static void long_table(void)
{
	fill_table(1000);
}

static void endless_table(void)
{
	struct vring_desc desc = { BUFFERS, 16, NEXT, 0 };

	fill_table(2);
	memory_write(&memory, BUFFERS + 0x1010, &desc, 16);
}

static void table_too_short(void)
{
	fill_table(3);
}

static void empty_buffer(void)
{
	driver_desc(&driver, 0, BUFFERS, 0, READ, 0);
}

static void huge_buffer(void)
{
	driver_desc(&driver, 0, BUFFERS, UINT32_MAX, WRITE, 0);
}

static void wrapping_buffer(void)
{
	driver_desc(&driver, 0, UINT64_MAX - 7, 16, WRITE, 0);
}

static void end_of_memory(void)
{
	driver_desc(&driver, 0, DRIVER_MEMORY - 8, 9, WRITE, 0);
}

static void device_memory(void)
{
	driver_desc(&driver, 0, 0xfee00000, 4, WRITE, 0);
}

static void read_after_write(void)
{
	driver_desc(&driver, 0, BUFFERS, 16, WRITE | NEXT, 1);
	driver_desc(&driver, 1, BUFFERS + 64, 16, READ, 0);
}

static void next_outside(void)
{
	driver_desc(&driver, 0, BUFFERS, 16, NEXT, SIZE);
}

static void head_outside(void)
{
	driver.avail->ring[0] = SIZE;
}

static void table_in_table(void)
{
	struct vring_desc desc = { BUFFERS + 0x1000, 16, TABLE, 0 };

	fill_table(1);
	memory_write(&memory, BUFFERS + 0x1000, &desc, 16);
}

static void table_with_next(void)
{
	fill_table(2);
	driver.desc[0].flags |= NEXT;
}

static void table_empty(void)
{
	driver_desc(&driver, 0, BUFFERS, 0, TABLE, 0);
}

static void table_odd(void)
{
	driver_desc(&driver, 0, BUFFERS, 24, TABLE, 0);
}

static void table_outside(void)
{
	driver_desc(&driver, 0, DRIVER_MEMORY - 16, 32, TABLE, 0);
}

static void table_huge(void)
{
	driver_desc(&driver, 0, 0, 0xfffffff0, TABLE, 0);
}

static void too_much_available(void)
{
	driver.avail->idx = SIZE + 1;
}

static void goes_back(void)
{
	driver.avail->idx = 0xffff;
}

static void writes_descriptors(void)
{
	driver_desc(&driver, 0, driver.setup.desc + 16 * SIZE - 1, 16, WRITE, 0);
}

static void writes_available(void)
{
	driver_desc(&driver, 0, driver.setup.avail - 15, 16, WRITE, 0);
}

static void writes_used(void)
{
	driver_desc(&driver, 0, driver.setup.used + 6 + 8 * SIZE - 1, 1, WRITE, 0);
}

static void reads_what_it_writes(void)
{
	driver_desc(&driver, 0, BUFFERS, 16, NEXT, 1);
	driver_desc(&driver, 1, BUFFERS + 64, 16, NEXT, 2);
	driver_desc(&driver, 2, BUFFERS + 79, 16, WRITE, 0);
}

static void more_than_counted(void)
{
	unsigned int i;

	/* Of 256 entries; see below. */
	for (i = 0; i < 256; i++)
		driver_desc(&driver, i, BUFFERS, DRIVER_MEMORY - BUFFERS, i < 255 ? NEXT : 0,
			    i + 1);
}

static const struct {
	const char *name;
	void (*prepare)(void);
	const char *why;
	bool no_tables;
	uint16_t size;
} abuses[] = {
	{ "a descriptor that is its own next", loop_of_one, "loop" },
	{ "two descriptors in a loop", loop_of_two, "loop" },
	{ "a table longer than the queue", long_table, "longer than its queue" },
	{ "a loop in a table", endless_table, "loop" },
	{ "a table whose chain leaves it", table_too_short, "not in its table" },
	{ "an empty buffer", empty_buffer, "empty" },
	{ "a huge buffer", huge_buffer, "not in memory" },
	{ "a buffer that wraps", wrapping_buffer, "not in memory" },
	{ "a buffer across the end of memory", end_of_memory, "not in memory" },
	{ "a buffer in device memory", device_memory, "not in memory" },
	{ "a buffer to be read after one to be written", read_after_write, "follows" },
	{ "a next outside of the table", next_outside, "not in its table" },
	{ "a head outside of the table", head_outside, "outside of the table" },
	{ "a table that was not negotiated", table_too_short, "not negotiated", .no_tables = true },
	{ "a table in a table", table_in_table, "inside another" },
	{ "a table with a next", table_with_next, "not the last" },
	{ "an empty table", table_empty, "no size" },
	{ "a table of one and a half descriptors", table_odd, "no size" },
	{ "a table across the end of memory", table_outside, "table of descriptors is not in memory" },
	{ "a table of 4 GiB", table_huge, "table of descriptors is not in memory" },
	{ "more available than there are entries", too_much_available, "more is available" },
	{ "an index that goes back", goes_back, "more is available" },
	{ "a buffer to be written over the descriptors", writes_descriptors, "overlaps the rings" },
	{ "a buffer to be written over the available ring", writes_available, "overlaps the rings" },
	{ "a buffer to be written over the used ring", writes_used, "overlaps the rings" },
	{ "buffers to be read and written that overlap", reads_what_it_writes, "overlaps one" },
	{ "more than 4 GiB in a chain", more_than_counted, "more than 4 GiB", .size = 256 },
};

static void *snapshot(void)
{
	void *copy = malloc(DRIVER_MEMORY);

	memcpy(copy, memory_at(&memory, 0, DRIVER_MEMORY), DRIVER_MEMORY);
	return copy;
}

static void check_abuse(unsigned int i)
{
	void *before;

	driver_init(&driver, &memory, 0, abuses[i].size ? abuses[i].size : SIZE);
	driver.setup.indirect = !abuses[i].no_tables;
	driver_post(&driver, 0);
	abuses[i].prepare();
	EXPECT_EQ(0, queue_start(&queue, &memory, &driver.setup));
	before = snapshot();
	/* The device asks for no kicks: the one word it may write. */
	EXPECT_EQ(-1ULL, (unsigned long long)queue_take(&queue, &chain));
	EXPECT(queue.broken && strstr(queue.broken, abuses[i].why));
	if (!queue.broken || !strstr(queue.broken, abuses[i].why))
		printf("# %s: %s\n", abuses[i].name, queue.broken);
	driver.used->flags = 0;
	EXPECT_EQ(-1ULL, (unsigned long long)queue_take(&queue, &chain));
	queue_give(&queue, &chain, 1);
	EXPECT(!queue_wants_interrupt(&queue));
	EXPECT(!memcmp(before, memory_at(&memory, 0, DRIVER_MEMORY), DRIVER_MEMORY));
	free(before);
}

static void test_abuse(void)
{
	unsigned int i;

	for (i = 0; i < sizeof(abuses) / sizeof(abuses[0]); i++)
		check_abuse(i);
	printf("# %u abuses\n", i);
}

/* A chain in flight is made available again; or the index says that more are than there can be. */
static void test_twice(void)
{
	begin(false, false);
	driver_desc(&driver, 2, BUFFERS, 16, READ, 0);
	driver_post(&driver, 2);
	EXPECT_EQ(1, queue_take(&queue, &chain));
	driver_post(&driver, 2);
	EXPECT(queue_take(&queue, &chain) < 0);
	EXPECT(!strcmp(queue.broken, "a chain is made available a second time"));

	begin(false, false);
	driver_desc(&driver, 2, BUFFERS, 16, READ, 0);
	driver_post(&driver, 2);
	EXPECT_EQ(1, queue_take(&queue, &chain));
	driver.avail->idx = SIZE + 1;
	EXPECT(queue_take(&queue, &chain) < 0);
	EXPECT(strstr(queue.broken, "more is available"));
	/* Given back it may be used again. */
	begin(false, false);
	driver_desc(&driver, 2, BUFFERS, 16, READ, 0);
	driver_post(&driver, 2);
	EXPECT_EQ(1, queue_take(&queue, &chain));
	queue_give(&queue, &chain, 0);
	driver_post(&driver, 2);
	EXPECT_EQ(1, queue_take(&queue, &chain));
}

static void test_impossible_setups(void)
{
	const struct queue_setup good = { 256, 0x1000, 0x3000, 0x5000, true, true };
	const struct queue_setup cases[] = {
		{ .size = 0, .desc = 0x1000, .avail = 0x3000, .used = 0x5000 },
		{ .size = 3, .desc = 0x1000, .avail = 0x3000, .used = 0x5000 },
		{ .size = 512, .desc = 0x1000, .avail = 0x4000, .used = 0x6000 },
		{ .size = 0xffff, .desc = 0x1000, .avail = 0x200000, .used = 0x300000 },
		{ .size = 8, .desc = 0x1008, .avail = 0x3000, .used = 0x5000 },
		{ .size = 8, .desc = 0x1000, .avail = 0x3001, .used = 0x5000 },
		{ .size = 8, .desc = 0x1000, .avail = 0x3000, .used = 0x5002 },
		{ .size = 8, .desc = DRIVER_MEMORY - 64, .avail = 0x3000, .used = 0x5000 },
		{ .size = 8, .desc = 0x1000, .avail = DRIVER_MEMORY - 8, .used = 0x5000 },
		{ .size = 8, .desc = 0x1000, .avail = 0x3000, .used = DRIVER_MEMORY - 8 },
		{ .size = 8, .desc = 0x1000, .avail = 0x3000, .used = UINT64_MAX - 3 },
		{ .size = 8, .desc = UINT64_MAX - 15, .avail = 0x3000, .used = 0x5000 },
		{ .size = 8, .desc = 0x1000, .avail = 0x107e, .used = 0x5000 },
		{ .size = 8, .desc = 0x1000, .avail = 0x3000, .used = 0x3014 },
		{ .size = 8, .desc = 0x5030, .avail = 0x3000, .used = 0x5000 },
		{ .size = 8, .desc = 0x1000, .avail = 0x1000, .used = 0x1000 },
	};
	unsigned int i;

	EXPECT_EQ(0, queue_start(&queue, &memory, &good));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		EXPECT(queue_start(&queue, &memory, &cases[i]) < 0);
		EXPECT(queue.broken);
		EXPECT(queue_take(&queue, &chain) < 0);
		chain.writes = 0;
		queue_give(&queue, &chain, 0);
	}
}

/* ---- what is copied stays; a driver that never stops writing -------------------------------- */

static void test_copied_once(void)
{
	begin(true, false);
	fill_table(4);
	*(uint16_t *)memory_at(&memory, BUFFERS + 0x1000 + 3 * 16 + 12, 2) = 0;
	driver_post(&driver, 0);
	EXPECT_EQ(1, queue_take(&queue, &chain));
	memset(memory_at(&memory, BUFFERS + 0x1000, 64), 0xff, 64);
	memset(driver.desc, 0xff, 16 * SIZE);
	EXPECT_EQ(4, chain.reads);
	EXPECT_EQ(64, chain.read_size);
	EXPECT(chain.iov[3].iov_base == memory_at(&memory, BUFFERS, 16));
	queue_give(&queue, &chain, 0);
	EXPECT_EQ(0, driver.used->ring[0].id);
}

static atomic_bool stop;

static void *rewrite(void *opaque)
{
	uint64_t random = *(uint64_t *)opaque, value;

	while (!atomic_load(&stop)) {
		struct vring_desc *desc = &driver.desc[next_random(&random) % SIZE];

		value = next_random(&random);
		switch (value >> 60) {
		case 0:
			*(volatile __u16 *)&driver.avail->ring[value % SIZE] = value >> 8 & 15;
			break;
		case 1:
			*(volatile __u64 *)&desc->addr =
				value % 4 ? BUFFERS + value % 0x10000 : value;
			break;
		case 2:
			*(volatile __u32 *)&desc->len = value % 4 ? value % 0x1000 : value;
			break;
		case 3:
			*(volatile __u16 *)&desc->flags = value & 7;
			break;
		case 4:
			*(volatile __u16 *)&desc->next = value >> 8 & 15;
			break;
		default:
			/* Mostly what a driver may do. */
			*(volatile __u16 *)&driver.avail->idx =
				*(volatile __u16 *)&driver.used->idx +
				value % (SIZE + (value >> 8) % 2);
			break;
		}
	}
	return NULL;
}

static void check_chain(void)
{
	const char *start = memory_at(&memory, 0, DRIVER_MEMORY);
	unsigned int i;

	EXPECT(chain.reads + chain.writes >= 1 && chain.reads + chain.writes <= SIZE);
	for (i = 0; i < chain.reads + chain.writes; i++) {
		const char *at = chain.iov[i].iov_base;

		EXPECT(chain.iov[i].iov_len);
		EXPECT(at >= start && at + chain.iov[i].iov_len <= start + DRIVER_MEMORY);
		if (i >= chain.reads)
			EXPECT(at + chain.iov[i].iov_len <= (char *)driver.desc ||
			       at >= (char *)driver.used + 6 + 8 * SIZE);
	}
}

static void test_rewriting_driver(void)
{
	uint64_t random = seed_from_env();
	unsigned int i, taken = 0, broken = 0;
	time_t end = time(NULL) + 20;
	pthread_t thread;

	atomic_store(&stop, false);
	begin(true, true);
	EXPECT_EQ(0, pthread_create(&thread, NULL, rewrite, &random));
	for (i = 0; (taken < 2000 || broken < 500) && time(NULL) < end; i++) {
		int ret = queue_take(&queue, &chain);

		if (ret > 0) {
			taken++;
			check_chain();
			queue_give(&queue, &chain, 1);
			queue_wants_interrupt(&queue);
		} else if (ret < 0) {
			broken++;
			driver.setup.event_index = broken & 1;
			driver.avail->idx = 0;
			EXPECT_EQ(0, queue_start(&queue, &memory, &driver.setup));
		}
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	printf("# %u chains taken, broken %u times\n", taken, broken);
	/* How many is up to the machine's load. */
	EXPECT(taken && broken);
}

/* ---- events --------------------------------------------------------------------------------- */

static void pass(unsigned int count)
{
	for (; count; count--) {
		driver_desc(&driver, 0, BUFFERS, 1, READ, 0);
		driver_post(&driver, 0);
		EXPECT_EQ(1, queue_take(&queue, &chain));
		queue_give(&queue, &chain, 0);
	}
}

static void test_flags(void)
{
	begin(false, false);
	EXPECT_EQ(0, queue_take(&queue, &chain));
	EXPECT_EQ(0, driver.used->flags);
	EXPECT(!queue_wants_interrupt(&queue));
	pass(1);
	EXPECT_EQ(VRING_USED_F_NO_NOTIFY, driver.used->flags);
	EXPECT(queue_wants_interrupt(&queue));
	EXPECT(!queue_wants_interrupt(&queue));
	EXPECT_EQ(0, queue_take(&queue, &chain));
	EXPECT_EQ(0, driver.used->flags);
	driver.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	pass(1);
	EXPECT(!queue_wants_interrupt(&queue));
}

static void test_event_index(void)
{
	uint16_t *used_event, *avail_event;

	begin(false, true);
	used_event = &driver.avail->ring[SIZE];
	avail_event = (uint16_t *)&driver.used->ring[SIZE];
	*used_event = 2;
	EXPECT_EQ(0, queue_take(&queue, &chain));
	EXPECT_EQ(0, *avail_event);
	pass(2);
	EXPECT(!queue_wants_interrupt(&queue));
	pass(1);
	EXPECT(queue_wants_interrupt(&queue));
	pass(1);
	EXPECT(!queue_wants_interrupt(&queue));
	/* No kick was wanted in between; now one is, for the next entry. */
	EXPECT_EQ(0, *avail_event);
	EXPECT_EQ(0, queue_take(&queue, &chain));
	EXPECT_EQ(4, *avail_event);
	/* All that went by since the last one. */
	*used_event = 5;
	pass(4);
	EXPECT(queue_wants_interrupt(&queue));
}

static void test_wrap(void)
{
	unsigned int i;

	begin(false, true);
	for (i = 0; i < 70000; i++) {
		driver.avail->ring[SIZE] = i;
		pass(1);
		EXPECT_EQ((i + 1) & 0xffff, driver.used->idx);
		EXPECT(queue_wants_interrupt(&queue));
	}
}

/* With shadow paging the module is told of all that a device writes. */
static uint64_t told_from, told_to;

static void tell(void *opaque, uint64_t gpa, uint64_t size)
{
	(void)opaque;
	if (gpa < BUFFERS)
		return;
	told_from = gpa;
	told_to = gpa + size;
}

static void test_told(void)
{
	begin(false, false);
	memory.written = tell;
	driver_desc(&driver, 0, BUFFERS + 123, 1000, WRITE, 0);
	driver_post(&driver, 0);
	EXPECT_EQ(1, queue_take(&queue, &chain));
	queue_give(&queue, &chain, 1000);
	memory.written = NULL;
	EXPECT_EQ(BUFFERS + 123, told_from);
	EXPECT_EQ(BUFFERS + 1123, told_to);
}

static const struct test tests[] = {
	{ "a chain goes and comes back", test_chain },
	{ "chains that come back together", test_together },
	{ "tables of descriptors", test_indirect },
	{ "a buffer may be named twice", test_same_buffer },
	{ "slices of a chain", test_slice },
	{ "every abuse breaks the queue, and nothing is written", test_abuse },
	{ "chains in flight", test_twice },
	{ "rings that cannot be", test_impossible_setups },
	{ "what was copied stays as it was", test_copied_once },
	{ "a driver that rewrites all the time", test_rewriting_driver },
	{ "kicks and interrupts by flags", test_flags },
	{ "kicks and interrupts by index", test_event_index },
	{ "indexes wrap", test_wrap },
	{ "what is written is told", test_told },
};

int main(void)
{
	struct failure why;

	if (memory_create(&memory, DRIVER_MEMORY, &why))
		return 1;
	return RUN_TESTS(tests);
}
