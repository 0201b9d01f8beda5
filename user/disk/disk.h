/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a disk's contents come from, as a device sees it: requests that are begun, and end later.
 *
 * A device's worker alone uses a disk: it submits, commits, watches @event, and completes. done()
 * of a request is called in complete(), never in submit().
 */
#ifndef HULL_DISK_DISK_H
#define HULL_DISK_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "disk/aio.h"
#include "machine/failure.h"

#define DISK_SECTOR	512

enum disk_op {
	DISK_READ,
	DISK_WRITE,
	DISK_FLUSH,		/* what ended before it was submitted is on stable storage */
	DISK_DISCARD,		/* a hint: contents are then zero, or as they were */
	DISK_ZERO,
};

/**
 * struct disk_request - one request; its memory is the caller's until done()
 * @op: what to do
 * @may_unmap: DISK_ZERO may give the space back
 * @offset: bytes, a multiple of DISK_SECTOR
 * @size: bytes, the same; the range lies within the disk
 * @iov: of reads and writes; @size bytes together. The backend may change its elements
 * @count: of @iov
 * @done: @error: 0 or an errno
 *
 * The rest is the backend's.
 */
struct disk_request {
	enum disk_op op;
	bool may_unmap;
	uint64_t offset, size;
	struct iovec *iov;
	unsigned int count;
	void (*done)(struct disk_request *request, int error);

	struct aio_op aio;
	struct iovec zeroes;
	unsigned int attempt;
};

struct disk;

struct disk_ops {
	void (*submit)(struct disk *disk, struct disk_request *request);
	void (*commit)(struct disk *disk);		/* begin what was submitted */
	void (*complete)(struct disk *disk, bool wait);	/* wait: for at least one to end */
	void (*close)(struct disk *disk);		/* nothing is under way */
};

/**
 * struct disk - a backend
 * @name: for messages
 * @size: bytes, a multiple of DISK_SECTOR
 * @block: bytes of its own blocks: what is best not written in part
 * @event: fd that is readable when complete() has something to do
 */
struct disk {
	const struct disk_ops *ops;
	const char *name;
	uint64_t size;
	uint32_t block;
	bool read_only;
	int event;
};

/* ---- raw.c: files and block devices --------------------------------------------------------- */

/* @path stays the caller's. NULL with the reason. */
struct disk *raw_open(const char *path, bool read_only, struct failure *why);

/* By one of aio.h's engines. */
struct disk *raw_open_by(const char *path, bool read_only, struct aio *(*create)(int file),
			 struct failure *why);

#endif
