/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A queue whose rings and tables are the input: what the fuzzers of virtio share.
 *
 * Input: one byte of flags (1: event index, 2: tables; the upper 4 bits: log2 of the size, up to
 * 8), then descriptors, the available ring, and memory at FUZZ_DATA, where tables and headers are.
 */
#ifndef SELFTESTS_FUZZ_VIRTIO_H
#define SELFTESTS_FUZZ_VIRTIO_H

#include "fuzz.h"
#include "virtio/queue.h"

#define FUZZ_DESC	0x10000
#define FUZZ_AVAIL	0x12000
#define FUZZ_USED	0x14000
#define FUZZ_DATA	0x20000

static inline const uint8_t *fuzz_put(const struct guest_memory *memory, uint64_t gpa,
				      uint64_t room, const uint8_t *data, size_t *size)
{
	uint64_t part = *size < room ? *size : room;

	if (memory_write(memory, gpa, data, part))
		abort();
	*size -= part;
	return data + part;
}

/* Starts the queue; false: there is no input. */
static inline bool fuzz_queue(struct queue *queue, const struct guest_memory *memory,
			      const uint8_t *data, size_t size)
{
	struct queue_setup setup = {
		.desc = FUZZ_DESC, .avail = FUZZ_AVAIL, .used = FUZZ_USED,
	};

	if (!size)
		return false;
	setup.event_index = *data & 1;
	setup.indirect = *data & 2;
	setup.size = 1U << (*data >> 4) % 9;
	data++, size--;
	data = fuzz_put(memory, FUZZ_DESC, 16 * setup.size, data, &size);
	data = fuzz_put(memory, FUZZ_AVAIL, 6 + 2 * setup.size, data, &size);
	fuzz_put(memory, FUZZ_DATA, FUZZ_MEMORY - FUZZ_DATA, data, &size);
	if (queue_start(queue, memory, &setup))
		abort();
	return true;
}

/* What queue.h promises of chains. */
static inline void fuzz_check(const struct queue *queue, const struct guest_memory *memory,
			      const struct chain *chain)
{
	const uint8_t *start = memory_at(memory, 0, FUZZ_MEMORY);
	const uint8_t *rings = start + FUZZ_DESC, *desc_end = rings + 16 * queue->setup.size;
	uint64_t read = 0, write = 0;
	unsigned int i;

	if (!(chain->reads + chain->writes) || chain->reads + chain->writes > queue->setup.size ||
	    chain->head >= queue->setup.size)
		abort();
	for (i = 0; i < chain->reads + chain->writes; i++) {
		const uint8_t *at = chain->iov[i].iov_base;

		if (!chain->iov[i].iov_len || at < start ||
		    chain->iov[i].iov_len > FUZZ_MEMORY - (uint64_t)(at - start))
			abort();
		if (i < chain->reads) {
			read += chain->iov[i].iov_len;
			continue;
		}
		write += chain->iov[i].iov_len;
		if (at < desc_end && at + chain->iov[i].iov_len > rings)
			abort();
	}
	if (read != chain->read_size || write != chain->write_size)
		abort();
}

#endif
