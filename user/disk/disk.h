/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a disk's contents come from, as a device sees it: requests that are begun, and end later.
 *
 *	open.c		which of them it is
 *	raw.c		files and block devices, by uring.c or threads.c (aio.h)
 *	nbd.c		exports of NBD servers (nbd.h); those of images are started by image.c
 *	overlay.c	a temporary layer above another disk
 *	request.c	what they share
 *
 * A device's worker alone uses a disk: it submits, commits, watches @event, and completes. done()
 * of a request is called in complete(), never in submit() or commit().
 */
#ifndef HULL_DISK_DISK_H
#define HULL_DISK_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
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
 * @done: @error: 0 or an errno; ECANCELED: as cancel() wanted it
 *
 * The rest is the backend's, each one's its own.
 */
struct disk_request {
	enum disk_op op;
	bool may_unmap;
	uint64_t offset, size;
	struct iovec *iov;
	unsigned int count;
	void (*done)(struct disk_request *request, int error);

	STAILQ_ENTRY(disk_request) link;
	int error;
	bool cancelled;
	struct {
		struct aio_op aio;
		struct iovec zeroes;
		unsigned int attempt;
	} raw;
	struct overlay_part *part;
};

STAILQ_HEAD(disk_requests, disk_request);

struct disk;

/**
 * struct disk_ops - a kind of disk
 * @submit: takes a request
 * @commit: begins what was submitted
 * @complete: ends what is done; does not wait
 * @cancel: optional: nobody wants to know how this request, which has not ended, ends: it does so
 *	soon, even if that takes an error
 * @close: nothing is under way
 */
struct disk_ops {
	void (*submit)(struct disk *disk, struct disk_request *request);
	void (*commit)(struct disk *disk);
	void (*complete)(struct disk *disk);
	void (*cancel)(struct disk *disk, struct disk_request *request);
	void (*close)(struct disk *disk);
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

/* ---- open.c --------------------------------------------------------------------------------- */

#define DISK_RECONNECT		60U	/* seconds */
#define DISK_RECONNECT_MAX	86400U

/**
 * struct disk_source - what the user said a disk is
 * @path: of a file or block device, or the URI of an NBD server; stays the caller's
 * @format: of the file, as qemu-nbd calls it; NULL: raw, if it does not look like anything else
 * @read_only: it is not written to
 * @overlay: directory of a temporary layer that takes what is written; NULL: there is none
 * @reconnect: seconds for which requests wait for a server that is gone
 */
struct disk_source {
	const char *path;
	const char *format;
	bool read_only;
	const char *overlay;
	unsigned int reconnect;
};

struct broker;

/* @broker lives longer than the disk. NULL with the reason. */
struct disk *disk_open(const struct disk_source *source, struct broker *broker,
		       struct failure *why);

/* By its name: nbd://..., nbd+unix://... and the like. */
bool disk_is_uri(const char *path);

/* The file or directory from which each connection by @uri reads its keys; -1: there are none. */
int disk_uri_keys(const char *uri, char *path, size_t size);

/* There are disks of that. */
bool disk_is_format(const char *format);
#define DISK_FORMATS	"raw, qcow2, vmdk, vdi or vhdx"


/* ---- raw.c: files and block devices --------------------------------------------------------- */

/* @path stays the caller's. NULL with the reason. */
struct disk *raw_open(const char *path, bool read_only, struct failure *why);

/* By one of aio.h's engines. */
struct disk *raw_open_by(const char *path, bool read_only, struct aio *(*create)(int file),
			 struct failure *why);

/* A file without a name in @directory, of zeroes, which needs no space before it is written to. */
struct disk *raw_open_temporary(const char *directory, uint64_t size, struct failure *why);

/* ---- overlay.c ------------------------------------------------------------------------------ */

/* Above @base, which it takes over, also when it fails. NULL with the reason. */
struct disk *overlay_open(struct disk *base, const char *directory, struct failure *why);

/* ---- request.c: for backends ---------------------------------------------------------------- */

/* Sets @disk's size; -1 with the reason when no disk has that. */
int disk_set_size(struct disk *disk, uint64_t size, struct failure *why);

/* Leaves out the first @size bytes, which are done. */
void disk_advance(struct disk_request *request, uint64_t size);

/* Copies the first @size bytes of what is to be written, or was read. */
void disk_gather(const struct disk_request *request, void *data, uint64_t size);
void disk_scatter(const struct disk_request *request, const void *data, uint64_t size);

/* Waits until complete() has something to do, and completes. */
void disk_wait(struct disk *disk);

#endif
