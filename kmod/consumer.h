/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A consumer: who serves ranges through a consumer fd. See consumer.c.
 */
#ifndef HULL_CONSUMER_H
#define HULL_CONSUMER_H

#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/wait.h>

#include "types.h"
#include "ring_core.h"
#include "vm.h"

/**
 * struct hull_consumer - one consumer
 * @refs: one for the fd, each range and each vCPU that waits
 * @vm: its VM; held by the fd, so valid while attached
 * @lock: creation of channels; inside mmap_lock and vm->lock
 * @wait: poll() of the fd
 * @generation: odd: attached; even: dead, no fd and no mapping is left. Written by release of the
 *              fd, and under vm->lock by who attaches a successor
 * @signalled: @wait was woken and nobody has called poll() since: saves waking it again
 * @channels: by vCPU; an entry appears once (release/acquire) and stays
 */
struct hull_consumer {
	struct kref refs;
	struct hull_vm *vm;
	struct mutex lock;
	wait_queue_head_t wait;
	u32 generation;
	bool signalled;
	struct hull_channel_kernel *channels[HULL_MAX_VCPUS];
};

static inline bool hull_generation_attached(u32 generation)
{
	return generation & 1;
}

/* The channel of a vCPU if there is one. Any context. */
static inline struct hull_channel_kernel *hull_consumer_find_channel(struct hull_consumer *consumer,
								     unsigned int id)
{
	return smp_load_acquire(&consumer->channels[id]);
}

/* The same, made when missing; NULL: no memory. Sleeps. */
struct hull_channel_kernel *hull_consumer_channel(struct hull_consumer *consumer, unsigned int id);

/* Wake who polls the fd, once. Any context. */
void hull_consumer_wake(struct hull_consumer *consumer);

/* After posting to or publishing in @channel: wake the consumer if it sleeps. Any context. */
static inline void hull_consumer_notify(struct hull_consumer *consumer,
					const struct hull_channel_kernel *channel)
{
	if (unlikely(hull_channel_consumer_sleeps(channel)) && !READ_ONCE(consumer->signalled))
		hull_consumer_wake(consumer);
}

/* The consumer behind @fd, with a reference. ERR_PTR: -EBADF, -EINVAL: no consumer of this VM. */
struct hull_consumer *hull_consumer_from_fd(struct hull_vm *vm, int fd);

static inline void hull_consumer_get(struct hull_consumer *consumer)
{
	kref_get(&consumer->refs);
}

void hull_consumer_put(struct hull_consumer *consumer);

/* Memory of a channel, zeroed, or NULL. Sleeps. */
struct hull_channel *hull_channel_alloc(void);
void hull_channel_free(struct hull_channel *shared);

#endif
