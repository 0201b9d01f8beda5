// SPDX-License-Identifier: GPL-2.0
/*
 * Split virtqueues: see queue.h for what is promised of chains.
 *
 * Order of memory accesses, in pairs with the driver:
 *	avail->ring, descriptors | avail->idx (release)	-- avail->idx (acquire) | ring, descriptors
 *	used->ring | used->idx (release)		-- used->idx (acquire) | used->ring
 *	used->idx | full barrier | used_event, flags	-- used_event | full barrier | used->idx
 *	avail_event | full barrier | avail->idx		-- avail->idx | full barrier | avail_event
 *
 * Locks: none; a queue belongs to one thread.
 */
#include <string.h>

#include "virtio/queue.h"

#define DESC_BYTES(size)	((uint64_t)(size) * sizeof(struct vring_desc))
#define AVAIL_BYTES(size)	(6 + 2 * (uint64_t)(size))
#define USED_BYTES(size)	(6 + 8 * (uint64_t)(size))

static int broken(struct queue *queue, const char *why)
{
	if (!queue->broken)
		queue->broken = why;
	return -1;
}

/* ---- words of the rings --------------------------------------------------------------------- */

static uint16_t load(const uint16_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static void store(uint16_t *word, uint16_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static void full_barrier(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* The word after each ring: up to where the other side wants no event. */
static uint16_t *used_event(const struct queue *queue)
{
	return &queue->avail->ring[queue->setup.size];
}

static uint16_t *avail_event(const struct queue *queue)
{
	return (uint16_t *)&queue->used->ring[queue->setup.size];
}

/* Once: what the driver does to the table later is not seen. @from may be unaligned. */
static struct vring_desc copy_desc(const void *from)
{
	struct vring_desc desc;

	memcpy(&desc, from, sizeof(desc));
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return desc;
}

/* ---- starting ------------------------------------------------------------------------------- */

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b + b_size && b < a + a_size;
}

static const char *impossible(const struct queue_setup *setup)
{
	uint64_t desc = DESC_BYTES(setup->size), avail = AVAIL_BYTES(setup->size);
	uint64_t used = USED_BYTES(setup->size);

	if (!setup->size || setup->size > QUEUE_SIZE_MAX || (setup->size & (setup->size - 1)))
		return "the size of a queue is no power of two, or too large";
	if (setup->desc % 16 || setup->avail % 2 || setup->used % 4)
		return "the rings of a queue are not aligned";
	if (overlap(setup->desc, desc, setup->avail, avail) ||
	    overlap(setup->desc, desc, setup->used, used) ||
	    overlap(setup->avail, avail, setup->used, used))
		return "the rings of a queue overlap";
	return NULL;
}

int queue_start(struct queue *queue, const struct guest_memory *memory,
		const struct queue_setup *setup)
{
	memset(queue, 0, sizeof(*queue));
	queue->memory = memory;
	queue->setup = *setup;
	/* In memory first: then no address below can overflow. */
	queue->desc = memory_at(memory, setup->desc, DESC_BYTES(setup->size));
	queue->avail = memory_at(memory, setup->avail, AVAIL_BYTES(setup->size));
	queue->used = memory_at(memory, setup->used, USED_BYTES(setup->size));
	if (!queue->desc || !queue->avail || !queue->used)
		return broken(queue, "the rings of a queue are not in memory");
	if (impossible(setup))
		return broken(queue, impossible(setup));
	return 0;
}

/* ---- taking --------------------------------------------------------------------------------- */

static void announce(struct queue *queue, const void *at, size_t size)
{
	memory_written(queue->memory, at, size);
}

static void set_kicks(struct queue *queue, bool wanted)
{
	queue->quiet = !wanted;
	if (queue->setup.event_index) {
		/* Left where it is, it asks for nothing for 65535 more entries. */
		if (!wanted)
			return;
		store(avail_event(queue), queue->last_avail);
		announce(queue, avail_event(queue), 2);
	} else {
		store(&queue->used->flags, wanted ? 0 : VRING_USED_F_NO_NOTIFY);
		announce(queue, &queue->used->flags, 2);
	}
}

static bool overlaps_rings(const struct queue *queue, uint64_t gpa, uint64_t size)
{
	const struct queue_setup *setup = &queue->setup;

	return overlap(gpa, size, setup->desc, DESC_BYTES(setup->size)) ||
	       overlap(gpa, size, setup->avail, AVAIL_BYTES(setup->size)) ||
	       overlap(gpa, size, setup->used, USED_BYTES(setup->size));
}

static int add_buffer(struct queue *queue, struct chain *chain, const struct vring_desc *desc)
{
	bool write = desc->flags & VRING_DESC_F_WRITE;
	unsigned int at = chain->reads + chain->writes;
	void *host;

	if (at >= queue->setup.size)
		return broken(queue, "a chain is longer than its queue, or a loop");
	if (!desc->len)
		return broken(queue, "a buffer is empty");
	host = memory_at(queue->memory, desc->addr, desc->len);
	if (!host)
		return broken(queue, "a buffer is not in memory");
	if (!write && chain->writes)
		return broken(queue, "a buffer to be read follows one to be written");
	if (write && overlaps_rings(queue, desc->addr, desc->len))
		return broken(queue, "a buffer to be written overlaps the rings");
	chain->iov[at] = (struct iovec){ host, desc->len };
	if (write) {
		chain->writes++;
		chain->write_size += desc->len;
	} else {
		chain->reads++;
		chain->read_size += desc->len;
	}
	return 0;
}

/* Walks a table of @count descriptors from entry @index on. */
static int walk(struct queue *queue, struct chain *chain, const void *table, unsigned int count,
		unsigned int index, struct vring_desc *indirect)
{
	struct vring_desc desc;

	for (;;) {
		if (index >= count)
			return broken(queue, "a descriptor is not in its table");
		desc = copy_desc((const char *)table + index * sizeof(desc));
		if (desc.flags & VRING_DESC_F_INDIRECT) {
			if (!indirect)
				return broken(queue, "a table of descriptors is inside another one");
			*indirect = desc;
			return 0;
		}
		if (add_buffer(queue, chain, &desc))
			return -1;
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return 0;
		index = desc.next;
	}
}

static int walk_indirect(struct queue *queue, struct chain *chain, const struct vring_desc *desc)
{
	const void *table;

	if (!queue->setup.indirect)
		return broken(queue, "a table of descriptors was not negotiated");
	if (desc->flags & VRING_DESC_F_NEXT)
		return broken(queue, "a table of descriptors is not the last of its chain");
	if (!desc->len || desc->len % sizeof(*desc))
		return broken(queue, "a table of descriptors has no size that is possible");
	table = memory_at(queue->memory, desc->addr, desc->len);
	if (!table)
		return broken(queue, "a table of descriptors is not in memory");
	return walk(queue, chain, table, desc->len / sizeof(*desc), 0, NULL);
}

/* The device would change what it still has to read. */
static bool reads_what_it_writes(const struct chain *chain)
{
	const struct iovec *read = chain->iov, *write = chain->iov + chain->reads;
	unsigned int i, j;

	for (i = 0; i < chain->reads; i++)
		for (j = 0; j < chain->writes; j++)
			if (overlap((uintptr_t)read[i].iov_base, read[i].iov_len,
				    (uintptr_t)write[j].iov_base, write[j].iov_len))
				return true;
	return false;
}

static int copy_chain(struct queue *queue, struct chain *chain)
{
	struct vring_desc indirect = { .flags = 0 };

	chain->reads = 0;
	chain->writes = 0;
	chain->read_size = 0;
	chain->write_size = 0;
	if (walk(queue, chain, queue->desc, queue->setup.size, chain->head, &indirect))
		return -1;
	if (indirect.flags && walk_indirect(queue, chain, &indirect))
		return -1;
	/* What is given back is counted in 32 bits. */
	if (chain->read_size > UINT32_MAX || chain->write_size > UINT32_MAX)
		return broken(queue, "a chain has more than 4 GiB");
	if (reads_what_it_writes(chain))
		return broken(queue, "a buffer to be written overlaps one to be read");
	return 0;
}

/* How many entries the driver has made available. */
static int count_available(struct queue *queue)
{
	uint16_t index = __atomic_load_n(&queue->avail->idx, __ATOMIC_ACQUIRE);

	/* With those taken and not given back there cannot be more than the queue has. */
	if ((uint16_t)(index - queue->last_used) > queue->setup.size ||
	    (uint16_t)(index - queue->last_avail) > queue->setup.size)
		return broken(queue, "more is available than the queue has entries");
	return (uint16_t)(index - queue->last_avail);
}

int queue_take(struct queue *queue, struct chain *chain)
{
	int ready = queue->broken ? -1 : count_available(queue);
	uint64_t bit;

	if (!ready) {
		/* Ask for kicks; then look again, for one may just have been left out. */
		set_kicks(queue, true);
		full_barrier();
		ready = count_available(queue);
	}
	if (ready <= 0)
		return ready;
	if (!queue->quiet)
		set_kicks(queue, false);
	chain->head = load(&queue->avail->ring[queue->last_avail % queue->setup.size]);
	if (chain->head >= queue->setup.size)
		return broken(queue, "a chain begins outside of the table");
	bit = 1ULL << chain->head % 64;
	if (queue->busy[chain->head / 64] & bit)
		return broken(queue, "a chain is made available a second time");
	if (copy_chain(queue, chain))
		return -1;
	queue->busy[chain->head / 64] |= bit;
	queue->last_avail++;
	return 1;
}

/* ---- giving --------------------------------------------------------------------------------- */

void queue_put(struct queue *queue, const struct chain *chain, uint32_t written)
{
	struct vring_used_elem *elem;
	unsigned int i;

	/* All that may have been written, which after errors is not only what counts. */
	for (i = chain->reads; i < chain->reads + chain->writes; i++)
		announce(queue, chain->iov[i].iov_base, chain->iov[i].iov_len);
	if (queue->broken)
		return;
	queue->busy[chain->head / 64] &= ~(1ULL << chain->head % 64);
	elem = &queue->used->ring[queue->last_used % queue->setup.size];
	elem->id = chain->head;
	elem->len = written;
	announce(queue, elem, sizeof(*elem));
	queue->last_used++;
}

void queue_give(struct queue *queue, const struct chain *chain, uint32_t written)
{
	queue_put(queue, chain, written);
	if (queue->broken)
		return;
	__atomic_store_n(&queue->used->idx, queue->last_used, __ATOMIC_RELEASE);
	announce(queue, &queue->used->idx, 2);
}

bool queue_wants_interrupt(struct queue *queue)
{
	uint16_t before = queue->signalled;

	if (queue->broken || queue->last_used == before)
		return false;
	full_barrier();
	if (!queue->setup.event_index) {
		queue->signalled = queue->last_used;
		return !(load(&queue->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
	}
	queue->signalled = queue->last_used;
	return vring_need_event(load(used_event(queue)), queue->last_used, before);
}

/* ---- contents of a chain -------------------------------------------------------------------- */

unsigned int chain_slice(const struct chain *chain, bool write, uint64_t offset, uint64_t size,
			 struct iovec *iov)
{
	const struct iovec *from = chain->iov + (write ? chain->reads : 0);
	unsigned int left = write ? chain->writes : chain->reads, count = 0;

	for (; left && size; left--, from++) {
		uint64_t part;

		if (offset >= from->iov_len) {
			offset -= from->iov_len;
			continue;
		}
		part = from->iov_len - offset;
		if (part > size)
			part = size;
		iov[count++] = (struct iovec){ (char *)from->iov_base + offset, part };
		size -= part;
		offset = 0;
	}
	return count;
}

size_t chain_read(const struct chain *chain, uint64_t offset, void *data, size_t size)
{
	struct iovec iov[QUEUE_SIZE_MAX];
	unsigned int count = chain_slice(chain, false, offset, size, iov), i;
	size_t done = 0;

	for (i = 0; i < count; done += iov[i++].iov_len)
		memcpy((char *)data + done, iov[i].iov_base, iov[i].iov_len);
	return done;
}

size_t chain_write(const struct chain *chain, uint64_t offset, const void *data, size_t size)
{
	struct iovec iov[QUEUE_SIZE_MAX];
	unsigned int count = chain_slice(chain, true, offset, size, iov), i;
	size_t done = 0;

	for (i = 0; i < count; done += iov[i++].iov_len)
		memcpy(iov[i].iov_base, (const char *)data + done, iov[i].iov_len);
	return done;
}
