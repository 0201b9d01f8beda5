/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A split virtqueue, the device's side of it. Knows guest memory and nothing of devices.
 *
 * The rings and all they point to are the driver's, who may be hostile and may write to them at
 * any time. So each word is read once into the launcher's own memory, checked there, and only the
 * copy is used. A chain that queue_take() returns names guest memory only, within the limits said
 * below. What a correct driver cannot do breaks the queue for good (queue->broken says what it
 * was): nothing is taken from it or written to it any more until it is started again.
 *
 * One thread at a time.
 */
#ifndef HULL_VIRTIO_QUEUE_H
#define HULL_VIRTIO_QUEUE_H

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "machine/memory.h"

#define QUEUE_SIZE_MAX	256

/**
 * struct chain - buffers of one request, copied out of the rings and checked
 * @head: its name in the queue
 * @reads: the first buffers, which the driver filled for the device
 * @writes: the buffers after them, for the device to fill
 * @read_size: bytes of the former together
 * @write_size: bytes of the latter
 * @iov: all buffers: in guest memory, none of them empty
 *
 * A chain has at most as many buffers as the queue has entries. Buffers to be read and buffers to
 * be written do not overlap, and none to be written overlaps the queue's own rings. Buffers of one
 * kind may overlap: vectored I/O of a guest's program can name a page twice.
 */
struct chain {
	uint16_t head;
	unsigned int reads, writes;
	uint64_t read_size, write_size;
	struct iovec iov[QUEUE_SIZE_MAX];
};

/**
 * struct queue_setup - what the driver has set up
 * @size: entries, a power of two up to QUEUE_SIZE_MAX
 * @desc: guest-physical addresses of descriptors, available ring and used ring
 * @event_index: VIRTIO_RING_F_EVENT_IDX was negotiated
 * @indirect: VIRTIO_RING_F_INDIRECT_DESC was negotiated
 */
struct queue_setup {
	uint16_t size;
	uint64_t desc, avail, used;
	bool event_index, indirect;
};

struct queue {
	const struct guest_memory *memory;
	struct queue_setup setup;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t last_avail;		/* next entry of the available ring */
	uint16_t last_used;		/* next entry of the used ring */
	uint16_t signalled;		/* last_used when the driver was last interrupted */
	bool quiet;			/* the driver need not kick */
	const char *broken;		/* NULL: it is not */
	uint64_t busy[QUEUE_SIZE_MAX / 64];	/* heads taken and not given back */
};

/* 0, or -1: impossible (queue->broken). An empty queue begins at entry 0 of both rings. */
int queue_start(struct queue *queue, const struct guest_memory *memory,
		const struct queue_setup *setup);

/*
 * The next chain: 1; 0: there is none, and the driver will kick when there is; -1: broken. While
 * this returns 1 the driver is asked not to kick, so go on until it returns 0.
 */
int queue_take(struct queue *queue, struct chain *chain);

/* Gives a chain back; @written: bytes at the start of its buffers to be written. */
void queue_give(struct queue *queue, const struct chain *chain, uint32_t written);

/* The same, but the driver sees it with the next queue_give() only: they come together. */
void queue_put(struct queue *queue, const struct chain *chain, uint32_t written);

/* After one or more queue_give(): does the driver want an interrupt? */
bool queue_wants_interrupt(struct queue *queue);

/* ---- contents of a chain -------------------------------------------------------------------- */

/* Copies up to @size bytes from @offset of the buffers to be read; returns how many there were. */
size_t chain_read(const struct chain *chain, uint64_t offset, void *data, size_t size);

/* The same into the buffers to be written. */
size_t chain_write(const struct chain *chain, uint64_t offset, const void *data, size_t size);

/*
 * [offset, offset + size) of the buffers to be read (or written), as @iov, which has room for
 * QUEUE_SIZE_MAX. Returns the number of elements; the range must lie within the chain.
 */
unsigned int chain_slice(const struct chain *chain, bool write, uint64_t offset, uint64_t size,
			 struct iovec *iov);

#endif
