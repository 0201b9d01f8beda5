/* SPDX-License-Identifier: GPL-2.0 */
/*
 * virtio-blk: a disk.
 */
#ifndef HULL_VIRTIO_BLK_H
#define HULL_VIRTIO_BLK_H

#include <linux/virtio_blk.h>

#include "disk/disk.h"
#include "virtio/virtio.h"

#define BLK_QUEUES_MAX		16

/**
 * struct blk_config - a disk for the guest
 * @name: of the device, in messages and of its thread; copied
 * @serial: up to VIRTIO_BLK_ID_BYTES, may be NULL
 * @queues: 1 to BLK_QUEUES_MAX
 */
struct blk_config {
	const char *name;
	const char *serial;
	unsigned int queues;
};

/* Takes @disk over, also when it fails. virtio_destroy() frees; NULL with the reason. */
struct virtio_device *virtio_blk_create(struct disk *disk, const struct blk_config *config,
					const struct guest_memory *memory, struct failure *why);

/* ---- the request parser: pure, so that it is tested and fuzzed alone ------------------------ */

/**
 * struct blk_command - what a chain asks for
 * @type: VIRTIO_BLK_T_*
 * @op: for the disk
 * @may_unmap: see struct disk_request
 * @offset: bytes
 * @size: bytes
 */
struct blk_command {
	uint32_t type;
	enum disk_op op;
	bool may_unmap;
	uint64_t offset, size;
};

#define BLK_MALFORMED	(-1)		/* there is no header, or no room for a status */

/* VIRTIO_BLK_S_OK: do it; another status: answer with that; or BLK_MALFORMED. */
int blk_parse(const struct chain *chain, const struct disk *disk, struct blk_command *command);

#endif
