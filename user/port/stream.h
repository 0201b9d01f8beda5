/* SPDX-License-Identifier: GPL-2.0 */
/* What a port that is a file descriptor consists of: stream.c moves bytes, open.c makes them. */
#ifndef HULL_PORT_STREAM_H
#define HULL_PORT_STREAM_H

#include <stdint.h>

#include "port/port.h"

/**
 * struct stream - a file descriptor, or a socket that listens for one
 * @fd: -1: nobody is there
 * @keep: the other end of a pseudo-terminal, or -1
 * @listener: or -1
 * @path: of the listener
 * @reads: bytes go into the guest
 * @writes: bytes come out of it
 * @lasts: stays when the guest closes its end
 * @socket: has calls that do not block
 * @shy: may block, so it is looked at before each step
 * @armed: what epoll is to tell of @fd
 * @watched: it can: what it cannot watch never blocks
 */
struct stream {
	struct port port;
	int fd, keep, listener;
	char *path;
	bool reads, writes, lasts;
	bool socket, shy, watched;
	uint32_t armed;
};

/* NULL with the reason. */
struct stream *stream_new(struct failure *why);

/* @fd is the end from now on, and the stream's to close. 0, or -1 with errno. */
int stream_attach(struct stream *stream, int fd);

/* Connections are waited for. 0, or -1 with errno. */
int stream_listen(struct stream *stream, int listener);

#endif
