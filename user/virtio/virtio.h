/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A virtio device: features, status, configuration, queues, reset; whatever its transport.
 *
 * Who does what. A transport (virtio/pci.h) brings register accesses, on vCPU threads, with
 * device->lock held. The device has a thread, its worker, and that alone touches queues: it starts
 * them when the driver is ready, is kicked, and ends what is in flight before a reset is over. So
 * a device (blk.c, rng.c ...) is a table of functions that run on the worker, without the lock.
 *
 * A driver that breaks the rules makes its device stop with status bit DEVICE_NEEDS_RESET and one
 * line for the user; a reset makes all good again.
 *
 * How to write a device:
 *
 *	static void kick(struct virtio_device *device, unsigned int index)
 *	{
 *		struct virtio_queue *queue = &device->queue[index];
 *		struct chain chain;
 *
 *		while (virtio_take(queue, &chain))
 *			virtio_give(queue, &chain, fill(&chain));
 *		virtio_signal(queue);
 *	}
 *
 * A queue can be an outside one, on which the host's kernel works (vhost.h): it is kicked by the
 * queue's one eventfd and interrupts by the other. The worker starts and ends it, and passes its
 * interrupts on where the module cannot.
 */
#ifndef HULL_VIRTIO_VIRTIO_H
#define HULL_VIRTIO_VIRTIO_H

#include <linux/virtio_config.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "machine/failure.h"
#include "machine/memory.h"
#include "machine/notice.h"
#include "machine/worker.h"
#include "virtio/queue.h"

#define VIRTIO_QUEUES_MAX	33	/* so that each has a vector of its own, and one is left */
#define VIRTIO_NO_VECTOR	0xffff

/* What every device here offers. */
#define VIRTIO_COMMON_FEATURES	(1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_F_RING_RESET |	\
				 1ULL << VIRTIO_RING_F_INDIRECT_DESC |			\
				 1ULL << VIRTIO_RING_F_EVENT_IDX)

struct virtio_device;
struct virtio_queue;

/**
 * struct virtio_ops - a kind of device; all but the last run on its worker, without the lock
 * @start: optional: the driver is ready. Queues are started already, none was kicked
 * @kick: there may be chains in this queue; also called once when it is started, which of an
 *	outside queue is the only time: let somebody work on it
 * @drain: optional: return when nothing of this queue is in flight; chains that were taken may be
 *	given back, or forgotten, none is taken any more. Before the queue is reset, alone or with
 *	the device
 * @stop: optional: the device was reset, or the machine ends; after @drain of all queues
 * @destroy: frees the device and what it has; the worker has ended
 * @config_written: optional: the driver has changed bytes of device->config that are in
 *	@config_writable. On a vCPU's thread with the lock held: leave work to the worker
 * @config_writable: first byte and number of bytes that the driver may write
 */
struct virtio_ops {
	void (*start)(struct virtio_device *device);
	void (*kick)(struct virtio_device *device, unsigned int queue);
	void (*drain)(struct virtio_device *device, unsigned int queue);
	void (*stop)(struct virtio_device *device);
	void (*destroy)(struct virtio_device *device);
	void (*config_written)(struct virtio_device *device, unsigned int offset,
			       unsigned int size);
	struct {
		unsigned int offset, size;
	} config_writable;
};

/**
 * struct virtio_transport - how a device reaches its driver; called with device->lock held
 * @interrupt: for @queue, or of a configuration change when it is NULL
 * @started: this queue is started: let kicks come by its eventfd
 * @stopped: undo that
 * @reset: vectors and the like are as after power-on
 */
struct virtio_transport {
	void (*interrupt)(struct virtio_device *device, struct virtio_queue *queue);
	void (*started)(struct virtio_device *device, struct virtio_queue *queue);
	void (*stopped)(struct virtio_device *device, struct virtio_queue *queue);
	void (*reset)(struct virtio_device *device);
};

struct virtio_queue {
	struct virtio_device *device;
	unsigned int index;
	uint16_t size_max;		/* set by the device before it is created, or 0: the most */
	bool outside;			/* the same */
	int kick;			/* eventfd; any thread may signal it */
	int call;			/* the same, of an outside queue: an interrupt; else -1 */

	/* Registers, guarded by device->lock. */
	uint16_t size;
	uint16_t vector;
	bool enabled;
	bool resetting;
	uint64_t desc, avail, used;
	bool watching_calls;

	/* The worker's. */
	struct queue ring;
	bool live;			/* changed with device->lock held as well */
	struct watch watch;		/* of kick, or of call */
};

/**
 * struct virtio_device - a member of the device's own structure, at its start
 * @name: in messages and of its thread, as "blk0"
 * @type: VIRTIO_ID_*
 * @offered: feature bits
 * @queues: how many; @queue[] has VIRTIO_QUEUES_MAX
 * @config: configuration space, little endian, @config_size bytes; changes under @lock
 *
 * The above are set before virtio_create(). The rest is virtio.c's and the transport's.
 */
struct virtio_device {
	const struct virtio_ops *ops;
	const char *name;
	uint16_t type;
	uint64_t offered;
	unsigned int queues;
	void *config;
	unsigned int config_size;

	const struct guest_memory *memory;
	const struct virtio_transport *transport;
	void *transport_data;
	struct worker worker;
	int control;			/* eventfd: the worker shall look at what is wanted */
	struct watch control_watch;
	pthread_mutex_t lock;		/* guards what follows, and registers of queues */
	pthread_cond_t reset_done;
	uint64_t accepted;		/* constant while queues are live */
	uint8_t status;
	uint8_t generation;
	bool resetting;			/* the driver wants a reset, which is not over */
	bool running;			/* start() was called */
	atomic_bool broken;		/* set under lock */
	struct notice notice;
	struct virtio_queue queue[VIRTIO_QUEUES_MAX];
};

/* ---- building ------------------------------------------------------------------------------- */

int virtio_create(struct virtio_device *device, const struct guest_memory *memory,
		  struct failure *why);
int virtio_start(struct virtio_device *device, struct failure *why);

/* After the vCPUs have ended: waits for the worker, and for what is in flight. */
void virtio_stop(struct virtio_device *device);
void virtio_destroy(struct virtio_device *device);

/* ---- for devices, on the worker, without the lock ------------------------------------------- */

static inline bool virtio_has(const struct virtio_device *device, unsigned int feature)
{
	return device->accepted & 1ULL << feature;
}

/* The next chain. False: none, or the device waits for a reset. */
bool virtio_take(struct virtio_queue *queue, struct chain *chain);

/* Gives it back: see queue_give(). The driver hears of it by virtio_signal(). */
void virtio_give(struct virtio_queue *queue, const struct chain *chain, uint32_t written);

/* One of several that the driver gets together, with the next that is given: see queue_put(). */
void virtio_put(struct virtio_queue *queue, const struct chain *chain, uint32_t written);
void virtio_signal(struct virtio_queue *queue);

/* The driver broke a rule: the device stops until it is reset. Any thread. */
void virtio_break(struct virtio_device *device, const char *why);

/* device->config has changed: call with the lock held. */
void virtio_config_changed(struct virtio_device *device);

/* ---- for transports, with the lock held ----------------------------------------------------- */

void virtio_set_status(struct virtio_device *device, uint8_t status);
void virtio_set_features(struct virtio_device *device, unsigned int shift, uint32_t bits);
void virtio_config_read(struct virtio_device *device, unsigned int offset, void *data,
			unsigned int size);
void virtio_config_write(struct virtio_device *device, unsigned int offset, const void *data,
			 unsigned int size);

/* Registers of a queue. A queue that is enabled has none but its vector and its reset. */
void virtio_queue_set_size(struct virtio_queue *queue, uint16_t size);
void virtio_queue_set_address(struct virtio_queue *queue, uint64_t *which, unsigned int shift,
			      uint32_t bits);
void virtio_queue_enable(struct virtio_queue *queue);
void virtio_queue_reset(struct virtio_queue *queue);

/* Shall the worker take interrupts of an outside queue, for transport->interrupt()? */
void virtio_queue_watch_calls(struct virtio_queue *queue, bool on);

/* ---- for tests: what the worker would do now ------------------------------------------------ */

void virtio_work(struct virtio_device *device);

#endif
