/* SPDX-License-Identifier: GPL-2.0 */
/*
 * System calls on one file that are begun and whose end is told later: by io_uring, or by threads
 * where that is forbidden.
 */
#ifndef HULL_DISK_AIO_H
#define HULL_DISK_AIO_H

#include <stdint.h>
#include <sys/uio.h>

enum aio_call {
	AIO_READ,
	AIO_WRITE,
	AIO_SYNC,		/* data, and what is needed to find it */
	AIO_ALLOCATE,		/* fallocate() with @mode */
};

/* @result: as the call returns it, errors as negative errno. @next is the engine's. */
struct aio_op {
	enum aio_call call;
	int mode;
	uint64_t offset, size;
	struct iovec *iov;	/* unchanged until the end */
	unsigned int count;
	int64_t result;
	struct aio_op *next;
};

struct aio;

/*
 * One thread begins operations and takes them back. Nothing of an operation is touched any more
 * when done() is called for it.
 */
struct aio_engine {
	void (*submit)(struct aio *aio, struct aio_op *op);
	void (*commit)(struct aio *aio);	/* begin what was submitted */
	void (*complete)(struct aio *aio);	/* takes back what has ended */
	void (*destroy)(struct aio *aio);	/* nothing is under way */
};

struct aio {
	const struct aio_engine *engine;
	int file;
	int event;			/* readable: complete() has something to do */
	void (*done)(void *opaque, struct aio_op *op);
	void *opaque;
};

/* NULL with errno: this machine does not have it, or forbids it. */
struct aio *aio_uring_create(int file);
struct aio *aio_threads_create(int file);

/* The call itself, on this thread. */
int64_t aio_call(int file, const struct aio_op *op);

#endif
