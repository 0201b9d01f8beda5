// SPDX-License-Identifier: GPL-2.0
/*
 * What the guest's driver puts into the balloon, and what it reports as free, is discarded: the
 * host has the pages, and the guest gets new ones, all zero, with its next access. So nothing is to
 * be done for a page that comes out of the balloon, and nothing goes wrong when a driver uses one
 * that is in it: a guest that names what it needs loses that, and nobody else anything.
 *
 * The module hears of pages that go by the kernel's notifiers, as it does of those that are swapped
 * out: with shadow paging also of those that had page tables.
 *
 * Where the host collects small pages into huge ones (khugepaged), a huge page of which the balloon
 * has a part may come back whole. Reports name no parts of huge pages.
 *
 * Locks: none, but device->lock for the configuration. See virtio.h.
 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_ids.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "virtio/balloon.h"

/*
 * The specification numbers queues whether or not there are those before them; drivers of Linux
 * count only those that are, and so one without free page hints finds reports in queue 3, and
 * without statistics in queue 2. No queue has two meanings here: both numberings work.
 */
enum { QUEUE_INFLATE, QUEUE_DEFLATE, QUEUE_STATS, QUEUE_REPORT_EARLY, QUEUE_REPORT, QUEUES };

#define PART		256	/* numbers of pages that are read at once */
#define TURN		16	/* after so many parts, or reports, it is another queue's turn */

#define ASK_SECONDS	1
#define STATS_MAX	64	/* of one message; what follows is left out */

/**
 * struct page_list - numbers of pages that are worked through
 * @busy: there is a chain, whose first @done bytes were looked at
 */
struct page_list {
	bool busy;
	uint64_t done;
	struct chain chain;
};

struct balloon {
	struct virtio_device device;
	struct virtio_balloon_config config;
	uint32_t poison;		/* what the guest wants to find in free pages */
	struct balloon_stats stats;
	struct notice notice;
	struct page_list list[2];	/* of QUEUE_INFLATE and QUEUE_DEFLATE */
	struct chain chain;		/* a report */

	/* The driver's message, which it gets back when it is to send the next. */
	struct chain message;
	bool has_message;
	int timer;
	struct watch timer_watch;
};

/* ---- chains --------------------------------------------------------------------------------- */

const char *balloon_check_pages(const struct chain *chain)
{
	if (chain->writes)
		return "a list of pages has buffers to be written";
	if (chain->read_size % sizeof(uint32_t))
		return "a list of pages ends within a number";
	return NULL;
}

/* Host and guest addresses agree in their lower bits. */
const char *balloon_check_report(const struct chain *chain)
{
	unsigned int i;

	if (chain->reads)
		return "a report of free pages has buffers to be read";
	for (i = 0; i < chain->writes; i++)
		if ((uintptr_t)chain->iov[i].iov_base % PAGE_SIZE ||
		    chain->iov[i].iov_len % PAGE_SIZE)
			return "a report of free pages has a part of a page";
	return NULL;
}

const char *balloon_parse_stats(const struct chain *chain, struct balloon_stats *stats)
{
	struct virtio_balloon_stat stat[STATS_MAX];
	size_t count, i;

	if (chain->writes)
		return "statistics have buffers to be written";
	count = chain_read(chain, 0, stat, sizeof(stat)) / sizeof(stat[0]);
	for (i = 0; i < count; i++) {
		uint16_t tag = le16toh(stat[i].tag);

		if (tag >= VIRTIO_BALLOON_S_NR)
			continue;
		stats->said |= 1U << tag;
		stats->value[tag] = le64toh(stat[i].val);
	}
	return NULL;
}

/* ---- pages of the balloon ------------------------------------------------------------------- */

static void discard(struct balloon *balloon, void *at, uint64_t size)
{
	if (memory_discard(at, size))
		notice(&balloon->notice, "balloon: memory cannot be given back to the host: %s",
		       strerror(errno));
}

/* Pages one after the other, in whichever direction they came. */
struct run {
	uint64_t first, count;
};

static void discard_run(struct balloon *balloon, struct run *run)
{
	uint64_t size = run->count * PAGE_SIZE;

	/* All of it is memory, or it would not be here. */
	if (run->count)
		discard(balloon, memory_at(balloon->device.memory, run->first * PAGE_SIZE, size),
			size);
	run->count = 0;
}

static void add_page(struct balloon *balloon, struct run *run, uint64_t page)
{
	if (run->count && page == run->first + run->count) {
		run->count++;
	} else if (run->count && page + 1 == run->first) {
		run->first--;
		run->count++;
	} else {
		discard_run(balloon, run);
		*run = (struct run){ page, 1 };
	}
}

/* False: one of them is no page of memory. */
static bool work_on(struct balloon *balloon, unsigned int index, const uint32_t *page,
		    unsigned int count)
{
	struct run run = { 0 };
	unsigned int i;

	for (i = 0; i < count; i++) {
		uint64_t number = le32toh(page[i]);

		if (!memory_at(balloon->device.memory, number * PAGE_SIZE, PAGE_SIZE))
			break;
		if (index == QUEUE_INFLATE)
			add_page(balloon, &run, number);
	}
	discard_run(balloon, &run);
	if (index == QUEUE_INFLATE)
		balloon->stats.inflated += i;
	else
		balloon->stats.deflated += i;
	return i == count;
}

/* The next part of the list; false: there is none, or the device waits for a reset. */
static bool work_on_part(struct balloon *balloon, unsigned int index)
{
	struct virtio_queue *queue = &balloon->device.queue[index];
	struct page_list *list = &balloon->list[index];
	uint32_t page[PART];
	size_t size;

	if (!list->busy) {
		const char *wrong;

		if (!virtio_take(queue, &list->chain))
			return false;
		wrong = balloon_check_pages(&list->chain);
		if (wrong) {
			virtio_break(&balloon->device, wrong);
			return false;
		}
		list->busy = true;
		list->done = 0;
	}
	/* Read once: the driver may go on to write to it. */
	size = chain_read(&list->chain, list->done, page, sizeof(page));
	list->done += size;
	if (!work_on(balloon, index, page, size / sizeof(page[0]))) {
		virtio_break(&balloon->device, "a page of the balloon is not in memory");
		return false;
	}
	if (list->done == list->chain.read_size) {
		virtio_give(queue, &list->chain, 0);
		list->busy = false;
	}
	return true;
}

static void kick_pages(struct balloon *balloon, unsigned int index)
{
	struct virtio_queue *queue = &balloon->device.queue[index];
	unsigned int left = TURN;

	while (left && work_on_part(balloon, index))
		left--;
	virtio_signal(queue);
	if (!left)
		event_signal(queue->kick);
}

/* ---- reports of free pages ------------------------------------------------------------------ */

static void discard_report(struct balloon *balloon, const struct chain *chain)
{
	unsigned int i;

	/* The guest would find zeroes where it wants to find something else. */
	if (balloon->poison)
		return;
	for (i = 0; i < chain->writes; i++)
		discard(balloon, chain->iov[i].iov_base, chain->iov[i].iov_len);
	balloon->stats.reported += chain->write_size / PAGE_SIZE;
}

static void kick_report(struct balloon *balloon, unsigned int index)
{
	struct virtio_queue *queue = &balloon->device.queue[index];
	unsigned int left = TURN;
	const char *wrong;

	while (left && virtio_take(queue, &balloon->chain)) {
		wrong = balloon_check_report(&balloon->chain);
		if (wrong) {
			virtio_break(&balloon->device, wrong);
			return;
		}
		discard_report(balloon, &balloon->chain);
		virtio_give(queue, &balloon->chain, 0);
		left--;
	}
	virtio_signal(queue);
	if (!left)
		event_signal(queue->kick);
}

/* ---- statistics ----------------------------------------------------------------------------- */

static void kick_stats(struct balloon *balloon)
{
	struct virtio_queue *queue = &balloon->device.queue[QUEUE_STATS];
	const char *wrong;

	if (balloon->has_message || !virtio_take(queue, &balloon->message))
		return;
	wrong = balloon_parse_stats(&balloon->message, &balloon->stats);
	if (wrong)
		virtio_break(&balloon->device, wrong);
	else
		balloon->has_message = true;
}

static void timer_ready(void *opaque)
{
	struct balloon *balloon = opaque;
	struct virtio_queue *queue = &balloon->device.queue[QUEUE_STATS];

	event_drain(balloon->timer);
	if (!balloon->has_message)
		return;
	balloon->has_message = false;
	virtio_give(queue, &balloon->message, 0);
	virtio_signal(queue);
	kick_stats(balloon);
}

/* ---- the device ----------------------------------------------------------------------------- */

static void start(struct virtio_device *device)
{
	struct balloon *balloon = (struct balloon *)device;

	pthread_mutex_lock(&device->lock);
	balloon->poison = virtio_has(device, VIRTIO_BALLOON_F_PAGE_POISON) ?
			  balloon->config.poison_val : 0;
	pthread_mutex_unlock(&device->lock);
}

static void kick(struct virtio_device *device, unsigned int index)
{
	struct balloon *balloon = (struct balloon *)device;

	if (index <= QUEUE_DEFLATE)
		kick_pages(balloon, index);
	else if (index == QUEUE_STATS && virtio_has(device, VIRTIO_BALLOON_F_STATS_VQ))
		kick_stats(balloon);
	else if (virtio_has(device, VIRTIO_BALLOON_F_REPORTING))
		kick_report(balloon, index);
	/* Another one was not agreed on: nobody looks at it. */
}

/* What is half done is forgotten. */
static void drain(struct virtio_device *device, unsigned int index)
{
	struct balloon *balloon = (struct balloon *)device;

	if (index <= QUEUE_DEFLATE)
		balloon->list[index].busy = false;
	else if (index == QUEUE_STATS)
		balloon->has_message = false;
}

static void stop(struct virtio_device *device)
{
	struct balloon *balloon = (struct balloon *)device;

	pthread_mutex_lock(&device->lock);
	balloon->stats.actual = le32toh(balloon->config.actual);
	balloon->config.actual = 0;
	balloon->config.poison_val = 0;
	pthread_mutex_unlock(&device->lock);
}

static void destroy(struct virtio_device *device)
{
	struct balloon *balloon = (struct balloon *)device;

	if (balloon->timer >= 0)
		close(balloon->timer);
	free(balloon);
}

/* An idle guest is left alone where nobody wants to know. */
static int start_timer(struct balloon *balloon, struct failure *why)
{
	const struct itimerspec when = {
		.it_value = { .tv_sec = ASK_SECONDS }, .it_interval = { .tv_sec = ASK_SECONDS },
	};

	balloon->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	balloon->timer_watch = (struct watch){ balloon->timer, timer_ready, balloon };
	if (balloon->timer >= 0 && !timerfd_settime(balloon->timer, 0, &when, NULL) &&
	    !worker_watch(&balloon->device.worker, &balloon->timer_watch, EPOLLIN))
		return 0;
	return fail(why, "cannot create a timer for the balloon: %s", strerror(errno));
}

static void describe(struct balloon *balloon)
{
	static const struct virtio_ops ops = {
		.start = start, .kick = kick, .drain = drain, .stop = stop, .destroy = destroy,
		/* Between them is what has no meaning without free page hints. */
		.config_writable = {
			offsetof(struct virtio_balloon_config, actual),
			sizeof(struct virtio_balloon_config) -
			offsetof(struct virtio_balloon_config, actual),
		},
	};
	struct virtio_device *device = &balloon->device;

	device->ops = &ops;
	device->name = "balloon";
	device->type = VIRTIO_ID_BALLOON;
	device->offered = VIRTIO_COMMON_FEATURES | 1ULL << VIRTIO_BALLOON_F_STATS_VQ |
			  1ULL << VIRTIO_BALLOON_F_DEFLATE_ON_OOM |
			  1ULL << VIRTIO_BALLOON_F_PAGE_POISON | 1ULL << VIRTIO_BALLOON_F_REPORTING;
	device->queues = QUEUES;
	device->config = &balloon->config;
	device->config_size = sizeof(balloon->config);
}

struct virtio_device *virtio_balloon_create(uint64_t size, bool ask,
					    const struct guest_memory *memory, struct failure *why)
{
	struct balloon *balloon = calloc(1, sizeof(*balloon));

	if (!balloon) {
		fail(why, "out of memory");
		return NULL;
	}
	balloon->timer = -1;
	balloon->stats.wanted = size / PAGE_SIZE;
	balloon->config.num_pages = htole32(size / PAGE_SIZE);
	describe(balloon);
	if (virtio_create(&balloon->device, memory, why) || (ask && start_timer(balloon, why))) {
		virtio_destroy(&balloon->device);
		return NULL;
	}
	return &balloon->device;
}

const struct balloon_stats *virtio_balloon_stats(const struct virtio_device *device)
{
	return &((const struct balloon *)device)->stats;
}
