/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The driver's side of a split queue, as correct or as wrong as a test wants it.
 */
#ifndef SELFTESTS_VIRTIO_DRIVER_H
#define SELFTESTS_VIRTIO_DRIVER_H

#include <stdlib.h>
#include <string.h>

#include "ktap.h"
#include "machine/memory.h"
#include "virtio/queue.h"

#define READ	0
#define WRITE	VRING_DESC_F_WRITE
#define NEXT	VRING_DESC_F_NEXT
#define TABLE	VRING_DESC_F_INDIRECT

#define DRIVER_MEMORY	(32 * MIB)

/* Where the rings of queue n are: 16 KiB each, from here on. Buffers go elsewhere. */
#define RINGS		0x10000
#define RINGS_SIZE	0x4000
#define BUFFERS		0x100000

struct driver {
	const struct guest_memory *memory;
	struct queue_setup setup;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t next_avail;
	uint16_t seen;		/* of the used ring */
};

static inline void driver_init(struct driver *driver, const struct guest_memory *memory,
			       unsigned int index, uint16_t size)
{
	uint64_t at = RINGS + index * RINGS_SIZE;

	memset(driver, 0, sizeof(*driver));
	driver->memory = memory;
	driver->setup = (struct queue_setup){
		.size = size, .desc = at, .avail = at + 0x1000, .used = at + 0x2000,
	};
	memory_zero(memory, at, RINGS_SIZE);
	driver->desc = memory_at(memory, at, 16 * size);
	driver->avail = memory_at(memory, at + 0x1000, 6 + 2 * size);
	driver->used = memory_at(memory, at + 0x2000, 6 + 8 * size);
}

static inline void driver_desc(struct driver *driver, unsigned int index, uint64_t gpa,
			       uint32_t size, uint16_t flags, uint16_t next)
{
	driver->desc[index] = (struct vring_desc){ gpa, size, flags, next };
}

static inline void driver_post(struct driver *driver, uint16_t head)
{
	driver->avail->ring[driver->next_avail % driver->setup.size] = head;
	__atomic_store_n(&driver->avail->idx, ++driver->next_avail, __ATOMIC_RELEASE);
}

/* The next used element; NULL: none. */
static inline const struct vring_used_elem *driver_used(struct driver *driver)
{
	if (__atomic_load_n(&driver->used->idx, __ATOMIC_ACQUIRE) == driver->seen)
		return NULL;
	return &driver->used->ring[driver->seen++ % driver->setup.size];
}

#endif
