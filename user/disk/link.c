// SPDX-License-Identifier: GPL-2.0
/*
 * Steps of a connection: an attempt, with a time limit; ready; lost; and again, after a pause that
 * grows with each attempt. What is waited for (libnbd's socket, the server's messages, time) is in
 * an epoll instance, which is the disk's event.
 *
 * Locks: none, one thread; libnbd's callbacks run on it, in link_step() or where a command is sent.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "disk/link.h"
#include "machine/worker.h"

#define MS			1000000ULL
#define ATTEMPT_MS		10000	/* until a server must have shown its export */
#define BACKOFF_MIN_MS		50
#define BACKOFF_MAX_MS		2000
#define SILENCE_MS		20000	/* of a host that does not even acknowledge */

/* Commands are cut to this: buffers are no longer. */
#define PART_MAX		(1U << 20)

uint64_t link_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

void link_kick(struct nbd_link *link)
{
	event_signal(link->kick);
}

int nbd_fail(struct failure *why)
{
	const char *text = nbd_get_error(), *colon;

	if (!text)
		text = "the server has closed it";
	colon = strstr(text, ": ");
	if (!strncmp(text, "nbd_", 4) && colon)
		text = colon + 2;
	return fail(why, "%s", text);
}

static void drop(struct nbd_link *link)
{
	link->closing = true;
	nbd_close(link->handle);
	link->closing = false;
	link->handle = NULL;
	link->ready = false;
	link->broken = false;
	link->watched = -1;
	link->attempt_at = link_now() + link->backoff * MS;
	link->backoff = link->backoff ? 2 * link->backoff : BACKOFF_MIN_MS;
	if (link->backoff > BACKOFF_MAX_MS)
		link->backoff = BACKOFF_MAX_MS;
	if (link->source->explain)
		link->source->explain(link->source, &link->why);
}

void link_works(struct nbd_link *link)
{
	link->backoff = 0;
}

/* ---- becoming ready ------------------------------------------------------------------------- */

static uint32_t block_size(struct nbd_handle *handle, int which, uint32_t otherwise)
{
	int64_t size = nbd_get_block_size(handle, which);

	return size > 0 && size <= UINT32_MAX ? size : otherwise;
}

static void ask(struct nbd_handle *handle, struct nbd_export *export)
{
	uint32_t most = block_size(handle, LIBNBD_SIZE_MAXIMUM, PART_MAX);
	int64_t size = nbd_get_size(handle);

	*export = (struct nbd_export){
		.size = size > 0 ? size : 0,
		.block = block_size(handle, LIBNBD_SIZE_MINIMUM, DISK_SECTOR),
		.read_only = nbd_is_read_only(handle) == 1,
		.flush = nbd_can_flush(handle) == 1,
		.trim = nbd_can_trim(handle) == 1,
		.zero = nbd_can_zero(handle) == 1,
	};
	if (export->block < DISK_SECTOR)
		export->block = DISK_SECTOR;
	export->part = most < PART_MAX ? most - most % export->block : PART_MAX;
}

/* Requests wait for it, so it must fit those of the first. */
static bool is_same(const struct nbd_export *one, const struct nbd_export *two)
{
	return one->size == two->size && one->block == two->block && one->part == two->part &&
	       one->read_only == two->read_only && one->flush == two->flush &&
	       one->trim == two->trim && one->zero == two->zero;
}

/* A host that is gone says nothing: found out with requests under way, and without. */
static void limit_silence(int fd)
{
	const unsigned int silence = SILENCE_MS;
	const int on = 1, idle = SILENCE_MS / 2000, count = 5, pause = SILENCE_MS / 10000;

	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence, sizeof(silence));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &pause, sizeof(pause));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

static enum link_event become_ready(struct nbd_link *link)
{
	struct nbd_export export;

	ask(link->handle, &export);
	if (link->export.size && !is_same(&export, &link->export)) {
		fail(&link->why, "the server has come back with another export: %llu bytes%s",
		     (unsigned long long)export.size, export.read_only ? ", read-only" : "");
		drop(link);
		return LINK_NOTHING;
	}
	link->export = export;
	if (link->source->network)
		limit_silence(nbd_aio_get_fd(link->handle));
	link->ready = true;
	return LINK_READY;
}

static void attempt(struct nbd_link *link)
{
	link->attempt_until = link_now() + ATTEMPT_MS * MS;
	link->handle = nbd_create();
	if (!link->handle) {
		fail(&link->why, "out of memory");
		link->attempt_at = link_now() + BACKOFF_MAX_MS * MS;
		return;
	}
	if (link->source->connect(link->source, link->handle, &link->why))
		drop(link);
}

static bool is_lost(struct nbd_link *link)
{
	return link->broken || nbd_aio_is_dead(link->handle) || nbd_aio_is_closed(link->handle);
}

enum link_event link_step(struct nbd_link *link)
{
	const bool was_ready = link->ready;
	int ret;

	event_drain(link->kick);
	event_drain(link->timer);
	if (link->source->event >= 0)
		link->source->hear(link->source);
	if (!link->handle && link_now() >= link->attempt_at)
		attempt(link);
	if (!link->handle)
		return LINK_NOTHING;
	do
		ret = nbd_poll(link->handle, 0);
	while (ret > 0);
	if (ret < 0)
		nbd_fail(&link->why);
	if (is_lost(link)) {
		if (ret >= 0)
			fail(&link->why, "the server has closed the connection");
		drop(link);
		return was_ready ? LINK_LOST : LINK_NOTHING;
	}
	if (!was_ready && nbd_aio_is_ready(link->handle))
		return become_ready(link);
	if (!was_ready && link_now() >= link->attempt_until) {
		fail(&link->why, "the server does not answer");
		drop(link);
	}
	return LINK_NOTHING;
}

/* ---- waiting -------------------------------------------------------------------------------- */

static void watch_handle(struct nbd_link *link)
{
	unsigned int direction = nbd_aio_get_direction(link->handle);
	int fd = nbd_aio_get_fd(link->handle);
	struct epoll_event event = { 0 };

	/* While it connects, one socket may have given way to another of this number. */
	if (fd < 0 || (link->ready && fd == link->watched && direction == link->watched_for))
		return;
	if (direction & LIBNBD_AIO_DIRECTION_READ)
		event.events |= EPOLLIN;
	if (direction & LIBNBD_AIO_DIRECTION_WRITE)
		event.events |= EPOLLOUT;
	if (epoll_ctl(link->event, EPOLL_CTL_MOD, fd, &event))
		epoll_ctl(link->event, EPOLL_CTL_ADD, fd, &event);
	link->watched = fd;
	link->watched_for = direction;
}

static void set_timer(struct nbd_link *link, uint64_t at)
{
	struct itimerspec when = {
		.it_value = { .tv_sec = at / 1000000000, .tv_nsec = at % 1000000000 },
	};

	/* As long as all is well. */
	if (!at && !link->timer_set)
		return;
	link->timer_set = at;
	timerfd_settime(link->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

void link_watch(struct nbd_link *link, uint64_t until)
{
	uint64_t own = 0;

	if (link->handle)
		watch_handle(link);
	if (!link->handle)
		own = link->attempt_at ? link->attempt_at : 1;
	else if (!link->ready)
		own = link->attempt_until;
	if (own && (!until || own < until))
		until = own;
	set_timer(link, until);
}

/* ---- opening -------------------------------------------------------------------------------- */

static int create_events(struct nbd_link *link)
{
	const int fds[] = { link->timer, link->kick, link->source->event };
	struct epoll_event event = { .events = EPOLLIN };
	unsigned int i;

	if (link->event < 0 || link->timer < 0 || link->kick < 0)
		return -1;
	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0 && epoll_ctl(link->event, EPOLL_CTL_ADD, fds[i], &event))
			return -1;
	return 0;
}

int link_open(struct nbd_link *link, struct nbd_source *source, struct failure *why)
{
	struct pollfd event = { .events = POLLIN };

	*link = (struct nbd_link){
		.source = source, .watched = -1,
		.event = epoll_create1(EPOLL_CLOEXEC),
		.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
		.kick = event_create(),
	};
	if (create_events(link))
		return fail(why, "cannot create what a server is waited for with: %s",
			    strerror(errno));
	event.fd = link->event;
	attempt(link);
	while (link->handle) {
		if (link_step(link) == LINK_READY)
			return 0;
		link_watch(link, 0);
		if (link->handle)
			poll(&event, 1, -1);
	}
	*why = link->why;
	return -1;
}

/* In good order: a server that was started for this ends with its last connection. */
static void disconnect(struct nbd_link *link)
{
	const uint64_t until = link_now() + ATTEMPT_MS * MS;

	if (link->ready && !nbd_aio_disconnect(link->handle, 0))
		while (!nbd_aio_is_closed(link->handle) && !nbd_aio_is_dead(link->handle) &&
		       link_now() < until && nbd_poll(link->handle, 1000) >= 0)
			;
	link->closing = true;
	nbd_close(link->handle);
	link->handle = NULL;
}

void link_close(struct nbd_link *link)
{
	int *fd[] = { &link->event, &link->timer, &link->kick };
	unsigned int i;

	if (link->handle)
		disconnect(link);
	link->source->close(link->source);
	for (i = 0; i < sizeof(fd) / sizeof(fd[0]); i++)
		if (*fd[i] >= 0)
			close(*fd[i]);
}
