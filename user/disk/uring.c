// SPDX-License-Identifier: GPL-2.0
/*
 * io_uring. The ring's own fd is polled.
 *
 * Requests belong to the thread that began them: it must live until they have ended.
 *
 * Locks: none; one thread.
 */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "disk/aio.h"

#define ENTRIES		256
#define COMPLETIONS	4096	/* as many as 16 queues of 256 have */

struct aio_uring {
	struct aio aio;
	struct io_uring ring;
};

static struct io_uring *ring_of(struct aio *aio)
{
	return &((struct aio_uring *)aio)->ring;
}

/* Interrupted, or short of memory: what was not taken is taken with the next call. */
static void uring_commit(struct aio *aio)
{
	int ret;

	do {
		ret = io_uring_submit(ring_of(aio));
	} while (ret == -EINTR || ret == -EAGAIN);
}

static struct io_uring_sqe *get_sqe(struct aio *aio)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring_of(aio));

	while (!sqe) {
		uring_commit(aio);
		sqe = io_uring_get_sqe(ring_of(aio));
	}
	return sqe;
}

static void uring_submit(struct aio *aio, struct aio_op *op)
{
	struct io_uring_sqe *sqe = get_sqe(aio);

	switch (op->call) {
	case AIO_READ:
		io_uring_prep_readv(sqe, aio->file, op->iov, op->count, op->offset);
		break;
	case AIO_WRITE:
		io_uring_prep_writev(sqe, aio->file, op->iov, op->count, op->offset);
		break;
	case AIO_SYNC:
		io_uring_prep_fsync(sqe, aio->file, IORING_FSYNC_DATASYNC);
		break;
	case AIO_ALLOCATE:
		io_uring_prep_fallocate(sqe, aio->file, op->mode, op->offset, op->size);
		break;
	}
	io_uring_sqe_set_data(sqe, op);
}

static void uring_complete(struct aio *aio)
{
	struct io_uring *ring = ring_of(aio);
	struct io_uring_cqe *cqe;

	while (!io_uring_peek_cqe(ring, &cqe)) {
		struct aio_op *op = io_uring_cqe_get_data(cqe);

		op->result = cqe->res;
		io_uring_cqe_seen(ring, cqe);
		aio->done(aio->opaque, op);
	}
}

static void uring_destroy(struct aio *aio)
{
	io_uring_queue_exit(ring_of(aio));
	free(aio);
}

/*
 * A ring does what it is asked for past any filter of system calls: so it is asked for nothing but
 * what this file does, whoever writes to it.
 */
static int restrict_ring(struct io_uring *ring)
{
	static const uint8_t ops[] = {
		IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_FSYNC, IORING_OP_FALLOCATE,
	};
	struct io_uring_restriction allowed[sizeof(ops)] = { 0 };
	unsigned int i;

	for (i = 0; i < sizeof(ops); i++) {
		allowed[i].opcode = IORING_RESTRICTION_SQE_OP;
		allowed[i].sqe_op = ops[i];
	}
	/* Debian 12's liburing declares functions for it, and has none. */
	if (syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_RESTRICTIONS, allowed,
		    sizeof(ops)) ||
	    syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0))
		return -errno;
	return 0;
}

struct aio *aio_uring_create(int file)
{
	static const struct aio_engine engine = {
		.submit = uring_submit, .commit = uring_commit, .complete = uring_complete,
		.destroy = uring_destroy,
	};
	struct io_uring_params params = {
		.flags = IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED, .cq_entries = COMPLETIONS,
	};
	struct aio_uring *uring = calloc(1, sizeof(*uring));
	int ret;

	if (!uring)
		return NULL;
	ret = io_uring_queue_init_params(ENTRIES, &uring->ring, &params);
	if (!ret) {
		ret = restrict_ring(&uring->ring);
		if (ret)
			io_uring_queue_exit(&uring->ring);
	}
	if (ret) {
		free(uring);
		errno = -ret;
		return NULL;
	}
	uring->aio.engine = &engine;
	uring->aio.file = file;
	uring->aio.event = uring->ring.ring_fd;
	return &uring->aio;
}
