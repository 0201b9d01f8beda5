/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A directory of the host for a guest, by 9P2000.L: requests in, replies out. Knows nothing of
 * what carries them (virtio/9p.h does).
 *
 * The guest is hostile. It reaches what is below the directory, as the launcher's user may reach
 * it, and nothing else: names are single components, symbolic links are never followed here (the
 * guest's kernel does that, in the guest), all is relative to descriptors that are held, and what
 * is neither a file nor a directory is seen but not opened.
 *
 * One thread at a time. Requests are done one after the other.
 */
#ifndef HULL_9P_SERVER_H
#define HULL_9P_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "9p/proto.h"
#include "machine/failure.h"

#define P9_MSIZE_MAX	(512U * 1024)	/* of a message, header included */
#define P9_MSIZE_MIN	4096U
#define P9_HEAD_MAX	8192U		/* of a request, its data excluded */
#define P9_REPLY_MAX	65536U		/* of a reply, what was read from a file excluded */
#define P9_IOV_MAX	256

/**
 * struct p9_call - a request and its reply
 * @head: a copy of the request's first bytes, at most P9_HEAD_MAX
 * @head_size: how many: all there are, when there are fewer
 * @size: bytes of the request together
 * @room: bytes there are for the reply
 * @slice: where the data in [offset, offset + size) of the request (or, @write, of the reply) is:
 *	fills @iov, up to P9_IOV_MAX, and returns how many; only within @size (@room)
 * @opaque: for @slice
 * @reply: P9_REPLY_MAX bytes: out, the first bytes of the reply
 * @reply_size: out: how many
 * @data_size: out: bytes of the reply behind these, which are in their place already
 */
struct p9_call {
	const uint8_t *head;
	size_t head_size;
	uint64_t size;
	uint64_t room;
	unsigned int (*slice)(void *opaque, bool write, uint64_t offset, uint64_t size,
			      struct iovec *iov);
	void *opaque;
	uint8_t *reply;
	size_t reply_size;
	size_t data_size;
};

struct p9_server;

/**
 * p9_create() - share a directory
 * @directory: its path, which may have symbolic links
 * @read_only: all that would change something is refused with EROFS
 * @fids: how many the guest may have, each of which is a file descriptor of the launcher's
 * @why: what was wrong, with the name
 *
 * Return: NULL when it cannot be.
 */
struct p9_server *p9_create(const char *directory, bool read_only, unsigned int fids,
			    struct failure *why);

/*
 * @many(@opaque) is called now and then while the guest has most of the fids it may have, on the
 * thread that handles its requests: it may be asked to forget some.
 */
void p9_tell_many(struct p9_server *server, void (*many)(void *opaque), void *opaque);

/* Ends the session: all fids are gone. */
void p9_reset(struct p9_server *server);
void p9_destroy(struct p9_server *server);

/* False: this is no request, or there is no room for an error; nothing was done. */
bool p9_handle(struct p9_server *server, struct p9_call *call);

#endif
