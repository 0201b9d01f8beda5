// SPDX-License-Identifier: GPL-2.0
/*
 * virtio-balloon: which memory goes back to the host and which does not, what the guest says of its
 * memory, drivers that break the rules. The worker's part is done here, by work().
 */
#include <linux/virtio_ids.h>
#include <poll.h>

#include "guest.h"
#include "virtio/balloon.h"

#define BIT(feature)	(1ULL << (feature))
#define VERSION		BIT(VIRTIO_F_VERSION_1)
#define STATS		BIT(VIRTIO_BALLOON_F_STATS_VQ)
#define REPORTING	BIT(VIRTIO_BALLOON_F_REPORTING)
#define POISON		BIT(VIRTIO_BALLOON_F_PAGE_POISON)

#define QUEUES		5
#define SIZE		8		/* of each */

enum { INFLATE, DEFLATE, STATISTICS, EARLY, REPORTS };

/* Pages that are given away; their first one's number. */
#define PAGES		(16 * MIB)
#define PAGE		(PAGES / PAGE_SIZE)
#define PATTERN		0x5a

static struct virtio_device *device;
static struct driver driver[QUEUES];
static char line[512];
static unsigned int lines;

static void on_line(const char *text)
{
	snprintf(line, sizeof(line), "%s", text);
	lines++;
}

/* ---- the device, and its worker's part ------------------------------------------------------ */

static void work(void)
{
	guest_work(device);
}

static void kick(unsigned int queue)
{
	event_signal(device->queue[queue].kick);
	work();
}

static void unplug(void)
{
	if (!device)
		return;
	virtio_stop(device);
	virtio_destroy(device);
	device = NULL;
}

static void plug(uint64_t size, bool ask)
{
	struct failure why;

	unplug();
	machine_init();
	notice_sink = on_line;
	lines = 0;
	line[0] = '\0';
	device = virtio_balloon_create(size, ask, &m.memory, &why);
	EXPECT(device);
	guest_plug(device);
	memset(memory_at(&m.memory, PAGES, DRIVER_MEMORY - PAGES), PATTERN, DRIVER_MEMORY - PAGES);
}

static void begin(uint64_t features)
{
	unsigned int i;

	guest_begin(device, VERSION | features);
	for (i = 0; i < QUEUES; i++)
		guest_queue(i, &driver[i], SIZE);
	guest_go(device);
	EXPECT_EQ(0x0f, status());
}

/* ---- the driver ----------------------------------------------------------------------------- */

/* Sends @count numbers of pages. */
static void send_pages(unsigned int queue, const uint32_t *page, unsigned int count)
{
	EXPECT_EQ(0, memory_write(&m.memory, BUFFERS, page, count * sizeof(*page)));
	driver_desc(&driver[queue], 0, BUFFERS, count * sizeof(*page), READ, 0);
	driver_post(&driver[queue], 0);
	kick(queue);
}

static void send_report(unsigned int queue, uint64_t gpa, uint32_t size)
{
	driver_desc(&driver[queue], 1, gpa, size, WRITE, 0);
	driver_post(&driver[queue], 1);
	kick(queue);
}

static bool answered(unsigned int queue)
{
	const struct vring_used_elem *elem = driver_used(&driver[queue]);

	return elem && !elem->len;
}

/* All bytes of page @index of those given away are @value. */
static bool page_is(unsigned int index, uint8_t value)
{
	const uint8_t *at = memory_at(&m.memory, PAGES + index * PAGE_SIZE, PAGE_SIZE);
	unsigned int i;

	for (i = 0; i < PAGE_SIZE; i++)
		if (at[i] != value)
			return false;
	return true;
}

static bool kept(unsigned int index) { return page_is(index, PATTERN); }
static bool gone(unsigned int index) { return page_is(index, 0); }

static void broken(const char *why)
{
	EXPECT_EQ(0x4f, status());
	EXPECT_EQ(1, lines);
	if (!strstr(line, why))
		printf("# '%s' is not in '%s'\n", why, line);
	EXPECT(strstr(line, why));
	lines = 0;
}

/* ---- what works ----------------------------------------------------------------------------- */

static void test_config(void)
{
	plug(3 * MIB, false);
	EXPECT_EQ(0x1045, cfg_read(SLOT, PCI_DEVICE_ID, 2));
	EXPECT_EQ(VERSION | STATS | REPORTING | POISON | BIT(VIRTIO_BALLOON_F_DEFLATE_ON_OOM),
		  offered() & (VERSION | 0x3f));
	EXPECT_EQ(768, mem_read(config, 4));
	EXPECT_EQ(0, mem_read(config + 4, 4));
	begin(0);
	mem_write(config, 1, 4);
	mem_write(config + 4, 700, 4);
	EXPECT_EQ(768, mem_read(config, 4));
	EXPECT_EQ(700, mem_read(config + 4, 4));
	/* A reset is a guest that has all its memory again. */
	set_status(0);
	virtio_work(device);
	EXPECT_EQ(0, mem_read(config + 4, 4));
	EXPECT_EQ(768, virtio_balloon_stats(device)->wanted);
	EXPECT_EQ(700, virtio_balloon_stats(device)->actual);
}

static void test_inflate(void)
{
	/* Upward, downward, one twice, alone, and the last page of memory. */
	const uint32_t pages[] = {
		PAGE + 1, PAGE + 2, PAGE + 3, PAGE + 8, PAGE + 7, PAGE + 6, PAGE + 6, PAGE + 20,
		DRIVER_MEMORY / PAGE_SIZE - 1,
	};
	unsigned int i;

	plug(MIB, false);
	begin(0);
	send_pages(INFLATE, pages, 9);
	EXPECT(answered(INFLATE));
	for (i = 0; i < 24; i++)
		EXPECT((i >= 1 && i <= 3) || (i >= 6 && i <= 8) || i == 20 ? gone(i) : kept(i));
	EXPECT(gone((DRIVER_MEMORY - PAGES) / PAGE_SIZE - 1));
	EXPECT(kept((DRIVER_MEMORY - PAGES) / PAGE_SIZE - 2));
	EXPECT_EQ(9, virtio_balloon_stats(device)->inflated);
	/* It comes out by itself; a page that is in use again keeps what it has. */
	memset(memory_at(&m.memory, PAGES + PAGE_SIZE, 1), 1, PAGE_SIZE);
	send_pages(DEFLATE, pages, 2);
	EXPECT(answered(DEFLATE));
	EXPECT(page_is(1, 1));
	EXPECT_EQ(2, virtio_balloon_stats(device)->deflated);
	EXPECT_EQ(0, lines);
}

/* More than is read at once, and than a turn has; numbers that lie across two buffers. */
static void test_long_list(void)
{
	const unsigned int count = 10000;
	uint32_t *page = memory_at(&m.memory, BUFFERS, count * 4);
	unsigned int i;

	plug(MIB, false);
	begin(0);
	for (i = 0; i < count; i++)
		page[i] = PAGE + 2 * (i % 100);
	driver_desc(&driver[INFLATE], 0, BUFFERS, 1022, READ | NEXT, 1);
	driver_desc(&driver[INFLATE], 1, BUFFERS + 1022, count * 4 - 1022, READ, 0);
	driver_post(&driver[INFLATE], 0);
	event_signal(device->queue[INFLATE].kick);
	device->ops->kick(device, INFLATE);
	EXPECT(!driver_used(&driver[INFLATE]));
	work();
	EXPECT(answered(INFLATE));
	for (i = 0; i < 200; i++)
		EXPECT(i % 2 ? kept(i) : gone(i));
	EXPECT_EQ(count, virtio_balloon_stats(device)->inflated);
	/* One that a reset ends is forgotten. */
	driver_post(&driver[INFLATE], 0);
	device->ops->kick(device, INFLATE);
	begin(0);
	send_pages(INFLATE, (uint32_t[]){ PAGE + 1 }, 1);
	EXPECT(answered(INFLATE));
	EXPECT(gone(1) && kept(3));
}

static void test_report(void)
{
	/* The specification's number, and Linux's, with and without statistics. */
	static const struct {
		uint64_t features;
		unsigned int queue;
	} kind[] = {
		{ REPORTING | STATS, REPORTS }, { REPORTING | STATS, EARLY },
		{ REPORTING, REPORTS }, { REPORTING, EARLY }, { REPORTING, STATISTICS },
	};
	unsigned int i;

	for (i = 0; i < sizeof(kind) / sizeof(kind[0]); i++) {
		plug(0, false);
		begin(kind[i].features);
		driver_desc(&driver[kind[i].queue], 1, PAGES, PAGE_SIZE, WRITE | NEXT, 2);
		driver_desc(&driver[kind[i].queue], 2, PAGES + 2 * MIB, 2 * MIB, WRITE, 0);
		driver_post(&driver[kind[i].queue], 1);
		kick(kind[i].queue);
		EXPECT(answered(kind[i].queue));
		EXPECT(gone(0) && kept(1) && kept(511) && gone(512) && gone(1023) && kept(1024));
		EXPECT_EQ(513, virtio_balloon_stats(device)->reported);
	}
}

/* Free pages that are to keep what the guest has put into them. */
static void test_poison(void)
{
	plug(0, false);
	guest_begin(device, VERSION | REPORTING | POISON);
	mem_write(config + 12, 0xaaaaaaaa, 4);
	guest_queue(REPORTS, &driver[REPORTS], SIZE);
	guest_go(device);
	send_report(REPORTS, PAGES, MIB);
	EXPECT(answered(REPORTS));
	EXPECT(kept(0) && kept(255));
	EXPECT_EQ(0, virtio_balloon_stats(device)->reported);
	/* Zeroes are what they get anyway; and a reset ends the wish. */
	begin(REPORTING | POISON);
	EXPECT_EQ(0, mem_read(config + 12, 4));
	send_report(REPORTS, PAGES, MIB);
	EXPECT(gone(0) && gone(255) && kept(256));
}

static void send_stats(const struct virtio_balloon_stat *stat, uint32_t size)
{
	EXPECT_EQ(0, memory_write(&m.memory, BUFFERS + 8192, stat, size));
	driver_desc(&driver[STATISTICS], 0, BUFFERS + 8192, size, READ, 0);
	driver_post(&driver[STATISTICS], 0);
	kick(STATISTICS);
}

static void test_stats(void)
{
	const struct virtio_balloon_stat first[] = {
		{ VIRTIO_BALLOON_S_MEMFREE, 5 * MIB }, { 10, 1 }, { 0xffff, 2 },
		{ VIRTIO_BALLOON_S_MEMTOT, 1ULL << 40 }, { VIRTIO_BALLOON_S_MEMFREE, 6 * MIB },
		{ VIRTIO_BALLOON_S_MAJFLT, 3 },
	};
	const struct virtio_balloon_stat second[] = { { VIRTIO_BALLOON_S_MAJFLT, 7 } };
	struct virtio_balloon_stat many[100] = { 0 };
	const struct balloon_stats *stats;
	struct pollfd timer;

	plug(0, true);
	stats = virtio_balloon_stats(device);
	begin(STATS);
	/* The last one is cut short. */
	send_stats(first, sizeof(first) - 3);
	/* It is kept until there is to be another. */
	EXPECT(!driver_used(&driver[STATISTICS]));
	EXPECT_EQ(BIT(VIRTIO_BALLOON_S_MEMFREE) | BIT(VIRTIO_BALLOON_S_MEMTOT), stats->said);
	EXPECT_EQ(6 * MIB, stats->value[VIRTIO_BALLOON_S_MEMFREE]);
	EXPECT_EQ(1ULL << 40, stats->value[VIRTIO_BALLOON_S_MEMTOT]);
	timer = (struct pollfd){ .fd = device->worker.epoll, .events = POLLIN };
	EXPECT_EQ(1, poll(&timer, 1, 10000));
	work();
	EXPECT(answered(STATISTICS));
	send_stats(second, sizeof(second));
	EXPECT(!driver_used(&driver[STATISTICS]));
	EXPECT_EQ(7, stats->value[VIRTIO_BALLOON_S_MAJFLT]);
	EXPECT_EQ(6 * MIB, stats->value[VIRTIO_BALLOON_S_MEMFREE]);
	/* Nobody is asked twice, and a reset forgets the message. */
	begin(STATS);
	many[99].tag = VIRTIO_BALLOON_S_CACHES;
	many[99].val = 1;
	send_stats(many, sizeof(many));
	EXPECT_EQ(0, stats->value[VIRTIO_BALLOON_S_CACHES]);
	EXPECT_EQ(0x0f, status());
}

/* ---- what does not -------------------------------------------------------------------------- */

static void test_wrong_pages(void)
{
	static const uint32_t nowhere[] = {
		DRIVER_MEMORY / PAGE_SIZE, 0x80000, 0xc0000, 0x100000, 0xffffffff,
	};
	unsigned int i, queue;

	for (i = 0; i < 10; i++) {
		uint32_t pages[] = { PAGE + 1, nowhere[i / 2], PAGE + 2 };

		queue = i % 2 ? DEFLATE : INFLATE;
		plug(0, false);
		begin(0);
		send_pages(queue, pages, 3);
		broken("a page of the balloon is not in memory");
		EXPECT(!driver_used(&driver[queue]));
		EXPECT(kept(0) && kept(2) && kept(3));
		begin(0);
		send_pages(queue, pages, 1);
		EXPECT(answered(queue));
	}
}

static void break_chain(uint64_t features, unsigned int queue, uint64_t gpa, uint32_t size,
			unsigned int flags, const char *why)
{
	plug(0, false);
	begin(features);
	memory_zero(&m.memory, BUFFERS, 4096);
	driver_desc(&driver[queue], 0, gpa, size, flags, 1);
	driver_desc(&driver[queue], 1, PAGES, PAGE_SIZE, WRITE, 0);
	driver_post(&driver[queue], 0);
	kick(queue);
	broken(why);
	EXPECT(!driver_used(&driver[queue]));
	EXPECT(kept(0));
}

static void test_wrong_chains(void)
{
	const char *part = "a report of free pages has a part of a page";

	break_chain(0, INFLATE, BUFFERS, 5, READ, "ends within a number");
	break_chain(0, INFLATE, BUFFERS, 4, WRITE, "has buffers to be written");
	break_chain(0, INFLATE, BUFFERS, 4, READ | NEXT, "has buffers to be written");
	break_chain(0, DEFLATE, BUFFERS, 3, READ, "ends within a number");
	break_chain(STATS, STATISTICS, BUFFERS, 10, WRITE, "have buffers to be written");
	break_chain(REPORTING, REPORTS, PAGES, PAGE_SIZE, READ, "has buffers to be read");
	break_chain(REPORTING, REPORTS, BUFFERS, PAGE_SIZE, READ | NEXT, "has buffers to be read");
	break_chain(REPORTING, REPORTS, PAGES, 100, WRITE, part);
	break_chain(REPORTING, REPORTS, PAGES + 1, PAGE_SIZE, WRITE, part);
	break_chain(REPORTING, REPORTS, PAGES + 512, PAGE_SIZE - 512, WRITE, part);
	break_chain(REPORTING, REPORTS, PAGES + 1024, PAGE_SIZE, WRITE | NEXT, part);
	break_chain(REPORTING, REPORTS, DRIVER_MEMORY - PAGE_SIZE, 2 * PAGE_SIZE, WRITE,
		    "a buffer is not in memory");
	break_chain(REPORTING, REPORTS, RINGS, 64 * PAGE_SIZE, WRITE, "overlaps the rings");
}

static void test_not_agreed(void)
{
	unsigned int queue;

	plug(0, false);
	begin(0);
	for (queue = STATISTICS; queue <= REPORTS; queue++) {
		send_report(queue, PAGES, PAGE_SIZE);
		EXPECT(!driver_used(&driver[queue]));
	}
	EXPECT(kept(0));
	EXPECT_EQ(0x0f, status());
}

static const struct test tests[] = {
	{ "the balloon's size, and what the driver may change", test_config },
	{ "pages of the balloon are gone, and no others", test_inflate },
	{ "a list of any length", test_long_list },
	{ "free pages that are reported are gone", test_report },
	{ "free pages that are to keep their contents do", test_poison },
	{ "what the guest says of its memory", test_stats },
	{ "pages that are not there break the device", test_wrong_pages },
	{ "chains of a wrong kind break the device", test_wrong_chains },
	{ "queues that were not agreed on do nothing", test_not_agreed },
};

int main(void)
{
	int ret = RUN_TESTS(tests);

	unplug();
	return ret;
}
