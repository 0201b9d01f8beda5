// SPDX-License-Identifier: GPL-2.0
/*
 * Bytes between a port and a file descriptor. Where one step would block, epoll is asked once to
 * tell when it would not.
 *
 * A descriptor that others have too must not be made non-blocking: it would be for them as well.
 * Sockets have calls for that; pipes and terminals are opened once more, where that is allowed;
 * what is left is looked at before each step, and steps are as small as pipes take at once.
 *
 * Locks: none; see port.h.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "port/stream.h"

#define CHUNK		(1U << 20)	/* in one step: another port's turn comes */

/* ---- waiting -------------------------------------------------------------------------------- */

static int control(struct stream *stream, int how, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events | EPOLLONESHOT, .data.fd = fd };

	return epoll_ctl(stream->port.event, how, fd, &event);
}

static ssize_t wait_for(struct stream *stream, uint32_t events)
{
	stream->armed |= events;
	control(stream, EPOLL_CTL_MOD, stream->fd, stream->armed);
	return -EAGAIN;
}

static bool would_block(const struct stream *stream, short events)
{
	struct pollfd look = { .fd = stream->fd, .events = events };

	return stream->shy && poll(&look, 1, 0) == 0;
}

/* ---- coming and going ----------------------------------------------------------------------- */

static void leave(struct stream *stream)
{
	if (stream->fd < 0)
		return;
	close(stream->fd);
	stream->fd = -1;
	stream->armed = 0;
	stream->port.open = false;
	if (stream->listener >= 0)
		control(stream, EPOLL_CTL_MOD, stream->listener, EPOLLIN);
}

/* Opened once more it is the same: to open a pseudo-terminal's master makes another one. */
static bool reopens(int fd, const struct stat *stat)
{
	unsigned int number;

	return S_ISFIFO(stat->st_mode) || (isatty(fd) && ioctl(fd, TIOCGPTN, &number));
}

/* A description of one's own, or the old one, shy. */
static int own(struct stream *stream, int fd, const struct stat *stat)
{
	int flags = fcntl(fd, F_GETFL), fresh = -1;
	char path[40];

	if (flags < 0 || (flags & O_NONBLOCK) || S_ISSOCK(stat->st_mode) || S_ISREG(stat->st_mode))
		return fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (reopens(fd, stat))
		fresh = open(path, (flags & O_ACCMODE) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fresh < 0) {
		stream->shy = true;
		return fd;
	}
	close(fd);
	return fresh;
}

int stream_attach(struct stream *stream, int fd)
{
	struct stat stat;

	if (fstat(fd, &stat))
		return -1;
	stream->socket = S_ISSOCK(stat.st_mode);
	stream->fd = own(stream, fd, &stat);
	stream->watched = !control(stream, EPOLL_CTL_ADD, stream->fd, 0);
	if (!stream->watched && errno != EPERM) {
		fd = errno;
		close(stream->fd);
		stream->fd = -1;
		errno = fd;
		return -1;
	}
	stream->port.open = true;
	return 0;
}

int stream_listen(struct stream *stream, int listener)
{
	stream->listener = listener;
	return control(stream, EPOLL_CTL_ADD, listener, EPOLLIN);
}

static void welcome(struct stream *stream)
{
	int fd = accept4(stream->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0 || stream_attach(stream, fd)) {
		if (fd >= 0)
			close(fd);
		control(stream, EPOLL_CTL_MOD, stream->listener, EPOLLIN);
	}
}

static void stream_ready(struct port *port)
{
	struct stream *stream = (struct stream *)port;
	struct epoll_event event;

	if (epoll_wait(port->event, &event, 1, 0) != 1)
		return;
	if (event.data.fd == stream->listener)
		welcome(stream);
	else
		stream->armed = 0;
}

/* ---- bytes ---------------------------------------------------------------------------------- */

static size_t total(const struct iovec *iov, unsigned int count)
{
	size_t size = 0;

	while (count--)
		size += iov++->iov_len;
	return size;
}

/* As many elements as make up a chunk; a first one that is larger is cut, in @cut. */
static unsigned int limit(const struct iovec *iov, unsigned int count, size_t chunk,
			  struct iovec *cut)
{
	size_t size = 0;
	unsigned int i;

	if (iov->iov_len > chunk) {
		*cut = (struct iovec){ iov->iov_base, chunk };
		return 0;
	}
	for (i = 0; i < count && size + iov[i].iov_len <= chunk; i++)
		size += iov[i].iov_len;
	return i;
}

static ssize_t move(struct stream *stream, bool out, const struct iovec *iov, unsigned int count)
{
	struct msghdr message = { .msg_iov = (struct iovec *)iov, .msg_iovlen = count };

	if (stream->socket)
		return out ? sendmsg(stream->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) :
			     recvmsg(stream->fd, &message, MSG_DONTWAIT);
	return out ? writev(stream->fd, iov, count) : readv(stream->fd, iov, count);
}

/* One step: bytes, 0, -EAGAIN, or an error after which nobody is there. */
static ssize_t step(struct stream *stream, bool out, const struct iovec *iov, unsigned int count)
{
	uint32_t events = out ? EPOLLOUT : EPOLLIN;
	struct iovec cut;
	ssize_t done;
	int error;

	if (would_block(stream, out ? POLLOUT : POLLIN))
		return wait_for(stream, events);
	count = limit(iov, count, stream->shy ? PIPE_BUF : CHUNK, &cut);
	done = count ? move(stream, out, iov, count) : move(stream, out, &cut, 1);
	if (done > 0)
		return done;
	if (done < 0 && errno == EINTR)
		return -EAGAIN;
	if (done < 0 && errno == EAGAIN)
		return wait_for(stream, events);
	error = done ? -errno : 0;
	leave(stream);
	return error;
}

static ssize_t stream_send(struct port *port, const struct iovec *iov, unsigned int count)
{
	struct stream *stream = (struct stream *)port;
	ssize_t done;

	if (stream->fd < 0)
		return -EPIPE;
	/* What only reads takes all, and loses it. */
	if (!stream->writes)
		return total(iov, count);
	done = step(stream, true, iov, count);
	return done ? done : -EIO;
}

static ssize_t stream_receive(struct port *port, const struct iovec *iov, unsigned int count)
{
	struct stream *stream = (struct stream *)port;

	if (stream->fd < 0)
		return 0;
	if (!stream->reads)
		return -EAGAIN;
	return step(stream, false, iov, count);
}

static void stream_guest(struct port *port, bool open)
{
	struct stream *stream = (struct stream *)port;

	if (!open && !stream->lasts)
		leave(stream);
}

static void stream_destroy(struct port *port)
{
	struct stream *stream = (struct stream *)port;

	leave(stream);
	if (stream->keep >= 0)
		close(stream->keep);
	if (stream->listener >= 0)
		close(stream->listener);
	if (stream->path)
		unlink(stream->path);
	free(stream->path);
	close(port->event);
	free(stream);
}

struct stream *stream_new(struct failure *why)
{
	static const struct port_ops ops = {
		.ready = stream_ready, .send = stream_send, .receive = stream_receive,
		.guest = stream_guest, .destroy = stream_destroy,
	};
	struct stream *stream = calloc(1, sizeof(*stream));
	int event = epoll_create1(EPOLL_CLOEXEC);

	if (!stream || event < 0) {
		fail(why, "cannot create what a console waits with");
		free(stream);
		if (event >= 0)
			close(event);
		return NULL;
	}
	stream->port = (struct port){ .ops = &ops, .event = event };
	stream->fd = -1;
	stream->keep = -1;
	stream->listener = -1;
	return stream;
}
