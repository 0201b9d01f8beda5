/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One channel seen from the module: the shared words of hull_ring.h and every barrier that orders
 * them. The other side of each barrier is in user/lib/ring.c.
 *
 * Pure: compiles in user space, where selftests/ring lets a hostile consumer scribble on all of it.
 * The rules that make it safe: what we wrote is never read back from shared memory, what the
 * consumer writes is read once and checked before use. No locks: the vCPU thread is the only writer
 * of a channel.
 */
#ifndef HULL_RING_CORE_H
#define HULL_RING_CORE_H

#include <linux/compiler.h>
#include <linux/string.h>
#include <asm/barrier.h>

#include "ring.h"

static inline u64 hull_size_mask(u32 size)
{
	return ~0ULL >> (64 - 8 * size);
}

/* ---- posted ring ---------------------------------------------------------------------------- */

static inline bool hull_channel_has_room(struct hull_channel_kernel *channel)
{
	u32 tail;

	if (likely(channel->posted_head - channel->posted_tail < HULL_POSTED_ENTRIES))
		return true;
	/*
	 * Acquire: the consumer has read the entries below its tail before they are overwritten.
	 * A tail that cannot be leaves the ring full.
	 */
	tail = smp_load_acquire(&channel->shared->mailbox.posted_tail);
	if (channel->posted_head - tail >= HULL_POSTED_ENTRIES)
		return false;
	channel->posted_tail = tail;
	return true;
}

/* Returns false when the ring is full. @value is masked to @size. */
static inline bool hull_channel_post(struct hull_channel_kernel *channel, u32 space, u64 address,
				     u32 size, u64 value)
{
	struct hull_posted *entry;
	u32 head = channel->posted_head;

	if (!hull_channel_has_room(channel))
		return false;
	entry = &channel->shared->posted[head % HULL_POSTED_ENTRIES];
	WRITE_ONCE(entry->address, address);
	WRITE_ONCE(entry->value, value);
	WRITE_ONCE(entry->space, space);
	WRITE_ONCE(entry->size, size);
	WRITE_ONCE(channel->posted_head, head + 1);
	/* Release: who sees the new head sees the entry. */
	smp_store_release(&channel->shared->mailbox.posted_head, head + 1);
	return true;
}

/* ---- mailbox -------------------------------------------------------------------------------- */

/* Publish @request; strings to be written are at request->data, else @value is written. */
static inline void hull_channel_publish(struct hull_channel_kernel *channel,
					const struct hull_request *request, u64 value)
{
	struct hull_mailbox *mailbox = &channel->shared->mailbox;
	u32 flags = 0;
	int i;

	if (request->write)
		flags |= HULL_MAILBOX_WRITE;
	if (request->count > 1) {
		flags |= HULL_MAILBOX_PAYLOAD;
		if (request->write)
			memcpy(channel->shared->payload, request->data,
			       request->size * request->count);
	}
	WRITE_ONCE(mailbox->flags, flags);
	WRITE_ONCE(mailbox->space, request->space);
	WRITE_ONCE(mailbox->size, request->size);
	WRITE_ONCE(mailbox->count, request->count);
	WRITE_ONCE(mailbox->address, request->address);
	WRITE_ONCE(mailbox->value, value);
	for (i = 0; i < 4; i++)
		WRITE_ONCE(mailbox->args[i], request->args[i]);
	WRITE_ONCE(channel->request_seq, channel->request_seq + 1);
	/* Release: who sees the number sees the request and what was posted before it. */
	smp_store_release(&mailbox->request_seq, channel->request_seq);
}

static inline bool hull_channel_answered(const struct hull_channel_kernel *channel)
{
	/* Acquire: answer and payload are those of the request. */
	return smp_load_acquire(&channel->shared->mailbox.response_seq) == channel->request_seq;
}

/* The answer to a request of one element, after hull_channel_answered(). */
static inline u64 hull_channel_value(const struct hull_channel_kernel *channel, u32 size)
{
	return READ_ONCE(channel->shared->mailbox.answer) & hull_size_mask(size);
}

/* The answer to a string read. Copied, so that what is checked later cannot change any more. */
static inline void hull_channel_payload(const struct hull_channel_kernel *channel, void *to,
					size_t len)
{
	memcpy(to, channel->shared->payload, len);
}

/* ---- waking --------------------------------------------------------------------------------- */

/* After something was posted or published: does the consumer have to be woken? */
static inline bool hull_channel_consumer_sleeps(const struct hull_channel_kernel *channel)
{
	/* Either we see its flag here, or it sees our head or number after setting the flag. */
	smp_mb();
	return READ_ONCE(channel->shared->mailbox.consumer_sleeps);
}

/* Before the vCPU thread looks for the last time and sleeps, and when it is awake again. */
static inline void hull_channel_set_vcpu_sleeps(struct hull_channel_kernel *channel, bool sleeps)
{
	WRITE_ONCE(channel->shared->mailbox.vcpu_sleeps, sleeps);
	/* Either we see the answer after this, or the consumer sees the flag after answering. */
	smp_mb();
}

/*
 * For poll(): is there something to do? A hint, so our number may be the shared one, which is
 * hidden from a successor (hull_channel_reattach()).
 */
static inline bool hull_channel_has_work(const struct hull_channel_kernel *channel)
{
	const struct hull_mailbox *mailbox = &channel->shared->mailbox;

	return READ_ONCE(mailbox->response_seq) != READ_ONCE(mailbox->request_seq) ||
	       READ_ONCE(mailbox->posted_tail) != READ_ONCE(channel->posted_head);
}

/* ---- life ----------------------------------------------------------------------------------- */

/* @shared is zeroed memory, not yet seen by anybody else. */
static inline void hull_channel_init(struct hull_channel_kernel *channel,
				     struct hull_channel *shared, u32 vcpu, u32 generation)
{
	memset(channel, 0, sizeof(*channel));
	channel->shared = shared;
	shared->mailbox.vcpu = vcpu;
	shared->mailbox.generation = generation;
}

/*
 * Hand the channel to a successor, while nobody has it mapped: repair what its predecessor may have
 * left. What was posted and not consumed stays, unless the tail is beyond belief. A request that
 * was not answered is hidden: fields and payload may be scribbled on, the vCPU thread publishes it
 * again with another number. (It alone writes channel->request_seq; one answer that came in time
 * stays.)
 */
static inline void hull_channel_reattach(struct hull_channel_kernel *channel, u32 generation)
{
	struct hull_mailbox *mailbox = &channel->shared->mailbox;
	u32 head = READ_ONCE(channel->posted_head);
	u32 seq = READ_ONCE(channel->request_seq);

	if (head - READ_ONCE(mailbox->posted_tail) > HULL_POSTED_ENTRIES)
		WRITE_ONCE(mailbox->posted_tail, head);
	WRITE_ONCE(mailbox->posted_head, head);
	if (READ_ONCE(mailbox->response_seq) != seq)
		WRITE_ONCE(mailbox->response_seq, --seq);
	WRITE_ONCE(mailbox->request_seq, seq);
	WRITE_ONCE(mailbox->consumer_sleeps, 0);
	WRITE_ONCE(mailbox->generation, generation);
}

#endif
