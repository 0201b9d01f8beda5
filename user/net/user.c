// SPDX-License-Identifier: GPL-2.0
/*
 * A network that needs no rights: libslirp is the router, the DHCP server and the name server of
 * the guest, and ends its connections in sockets of this process.
 *
 *	10.0.2.15	the guest, by DHCP
 *	10.0.2.2	the router; what the guest sends there goes to the host's loopback
 *	10.0.2.3	the name server, which asks the host's
 *
 * libslirp wants to poll a set of sockets that changes at each step, until some time. The set is
 * kept in an epoll instance, with a timer and an eventfd for what the guest sends; that instance
 * is the network's event. So all is done in receive(): a device that has no room for frames asks
 * for none, and then sockets are not read either.
 *
 * Locks: none, the worker has all of it; said_lock for what libslirp logs, which has no owner.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <libslirp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "machine/notice.h"
#include "machine/worker.h"
#include "net/guard.h"
#include "net/net.h"

/* libslirp's MTU is 1500; with an Ethernet header, and a tag it does not know. */
#define FRAME_SIZE	1518

/* Frames for the guest that wait; those beyond are lost. */
#define FRAMES		512

struct frame {
	size_t size;
	uint8_t data[FRAME_SIZE];
};

struct user {
	struct net net;
	Slirp *slirp;
	int timer, kick;
	bool kicked;
	struct notice notice;

	/* What libslirp waits for; and, by fd, what the epoll instance does, since which step. */
	struct pollfd *set;
	unsigned int count, room;
	struct watched {
		uint32_t events;
		unsigned int step;
	} *watched;
	unsigned int watched_room, step;

	struct frame *frame;		/* a ring */
	unsigned int first, frames;
};

static pthread_mutex_t said_lock = PTHREAD_MUTEX_INITIALIZER;
static struct notice said;

/* ---- what libslirp calls -------------------------------------------------------------------- */

static ssize_t on_frame(const void *data, size_t size, void *opaque)
{
	struct user *user = opaque;
	struct frame *frame = &user->frame[(user->first + user->frames) % FRAMES];

	/* It says the same of frames that are lost as of those that are not. */
	if (user->frames == FRAMES || size > FRAME_SIZE)
		return size;
	memcpy(frame->data, data, size);
	frame->size = size;
	user->frames++;
	return size;
}

static void on_guest_error(const char *message, void *opaque)
{
	struct user *user = opaque;

	notice(&user->notice, "network user: the guest did what it cannot: %s", message);
}

static void on_log(const char *domain, GLogLevelFlags level, const char *message, void *opaque)
{
	(void)domain;
	(void)opaque;
	if (level & (G_LOG_LEVEL_INFO | G_LOG_LEVEL_DEBUG))
		return;
	pthread_mutex_lock(&said_lock);
	notice(&said, "network user: libslirp: %s", message);
	pthread_mutex_unlock(&said_lock);
}

static int64_t on_clock(void *opaque)
{
	struct timespec now;

	(void)opaque;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* Timers of libslirp's own are only for IPv6, which is off. */
static void *on_timer_new(SlirpTimerCb callback, void *callback_opaque, void *opaque)
{
	(void)callback;
	(void)callback_opaque;
	(void)opaque;
	return NULL;
}

static void on_timer_free(void *timer, void *opaque)
{
	(void)timer;
	(void)opaque;
}

static void on_timer_mod(void *timer, int64_t at, void *opaque)
{
	(void)timer;
	(void)at;
	(void)opaque;
}

/* Each step ends with a look at what there is to wait for. */
static void on_notify(void *opaque)
{
	(void)opaque;
}

/* ---- waiting -------------------------------------------------------------------------------- */

static bool grow(void *array, unsigned int *room, size_t element, unsigned int wanted)
{
	unsigned int more = wanted < 32 ? 64 : 2 * wanted;
	void *fresh;

	if (wanted < *room)
		return true;
	fresh = reallocarray(*(void **)array, more, element);
	if (!fresh)
		return false;
	memset((char *)fresh + *room * element, 0, (more - *room) * element);
	*(void **)array = fresh;
	*room = more;
	return true;
}

/* poll()'s bits, which are epoll's too, and libslirp's. */
static const struct {
	short poll;
	int slirp;
} bits[] = {
	{ POLLIN, SLIRP_POLL_IN }, { POLLOUT, SLIRP_POLL_OUT }, { POLLPRI, SLIRP_POLL_PRI },
	{ POLLERR, SLIRP_POLL_ERR }, { POLLHUP, SLIRP_POLL_HUP },
};

static short to_poll(int events)
{
	short result = 0;
	size_t i;

	for (i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		if (events & bits[i].slirp)
			result |= bits[i].poll;
	return result;
}

static int to_slirp(short events)
{
	int result = 0;
	size_t i;

	for (i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		if (events & bits[i].poll)
			result |= bits[i].slirp;
	return result;
}

static void watch(struct user *user, int fd, uint32_t events)
{
	struct watched *watched = &user->watched[fd];
	struct epoll_event event = { .events = events };
	int how = watched->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (events == watched->events)
		return;
	if (!events)
		how = EPOLL_CTL_DEL;
	/* Without memory for it, it is looked at when something else happens. */
	watched->events = epoll_ctl(user->net.event, how, fd, &event) ? 0 : events;
}

/* A descriptor of this number is a new one, or about to be closed: either is not watched now. */
static void on_fd(int fd, void *opaque)
{
	struct user *user = opaque;

	if (fd >= 0 && (unsigned int)fd < user->watched_room)
		watch(user, fd, 0);
}

/* Returns the name by which on_revents() is asked; -1: it will not be. */
static int on_add(int fd, int events, void *opaque)
{
	struct user *user = opaque;

	if (fd < 0 || !grow(&user->set, &user->room, sizeof(*user->set), user->count) ||
	    !grow(&user->watched, &user->watched_room, sizeof(*user->watched), fd))
		return -1;
	watch(user, fd, to_poll(events));
	user->watched[fd].step = user->step;
	user->set[user->count] = (struct pollfd){ .fd = fd, .events = to_poll(events) };
	return user->count++;
}

static int on_revents(int index, void *opaque)
{
	struct user *user = opaque;

	if (index < 0 || (unsigned int)index >= user->count)
		return 0;
	return to_slirp(user->set[index].revents);
}

static void set_timer(struct user *user, uint32_t ms)
{
	struct itimerspec when = { .it_value = { 0 } };

	if (ms != UINT32_MAX)
		when.it_value = (struct timespec){ ms / 1000, ms % 1000 * 1000000 + 1 };
	timerfd_settime(user->timer, 0, &when, NULL);
}

/* What has left the set leaves the epoll instance too: it might be ready for ever. */
static void wait_for(struct user *user)
{
	uint32_t ms = UINT32_MAX;
	unsigned int fd;

	user->step++;
	user->count = 0;
	slirp_pollfds_fill(user->slirp, &ms, on_add, user);
	for (fd = 0; fd < user->watched_room; fd++)
		if (user->watched[fd].events && user->watched[fd].step != user->step)
			watch(user, fd, 0);
	set_timer(user, ms);
}

static void do_step(struct user *user)
{
	int ret;

	event_drain(user->kick);
	event_drain(user->timer);
	user->kicked = false;
	ret = poll(user->set, user->count, 0);
	slirp_pollfds_poll(user->slirp, ret < 0, on_revents, user);
	wait_for(user);
}

/* ---- frames --------------------------------------------------------------------------------- */

static void user_send(struct net *net, const struct iovec *iov, unsigned int count, size_t size)
{
	struct user *user = (struct user *)net;
	uint8_t frame[FRAME_SIZE];
	size_t done = 0;
	unsigned int i;

	if (size > sizeof(frame))
		return;
	for (i = 1; i < count; done += iov[i++].iov_len)
		memcpy(frame + done, iov[i].iov_base, iov[i].iov_len);
	if (!guard_allows(frame, size))
		return;
	slirp_input(user->slirp, frame, size);
	/* There may be answers already, and other sockets to wait for. */
	if (!user->kicked)
		event_signal(user->kick);
	user->kicked = true;
}

static ssize_t user_receive(struct net *net, struct virtio_net_hdr_v1 *header, void *data,
			    size_t room, struct failure *why)
{
	struct user *user = (struct user *)net;
	struct frame *frame;

	(void)why;
	if (!user->frames)
		do_step(user);
	if (!user->frames)
		return 0;
	frame = &user->frame[user->first];
	user->first = (user->first + 1) % FRAMES;
	user->frames--;
	/* The event stays on: with the last frame a step is due. */
	if (!user->kicked)
		event_signal(user->kick);
	user->kicked = true;
	if (frame->size > room)
		return 0;
	memset(header, 0, sizeof(*header));
	memcpy(data, frame->data, frame->size);
	return frame->size;
}

static void user_destroy(struct net *net)
{
	struct user *user = (struct user *)net;

	if (user->slirp)
		slirp_cleanup(user->slirp);
	if (user->timer >= 0)
		close(user->timer);
	if (user->kick >= 0)
		close(user->kick);
	if (user->net.event >= 0)
		close(user->net.event);
	free(user->set);
	free(user->watched);
	free(user->frame);
	free(user);
}

/* ---- opening -------------------------------------------------------------------------------- */

static int create_events(struct user *user, struct failure *why)
{
	struct epoll_event event = { .events = EPOLLIN };

	user->net.event = epoll_create1(EPOLL_CLOEXEC);
	user->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	user->kick = event_create();
	if (user->net.event < 0 || user->timer < 0 || user->kick < 0 ||
	    epoll_ctl(user->net.event, EPOLL_CTL_ADD, user->timer, &event) ||
	    epoll_ctl(user->net.event, EPOLL_CTL_ADD, user->kick, &event))
		return fail(why, "cannot create what the user's network waits with: %s",
			    strerror(errno));
	return 0;
}

static int create_slirp(struct user *user, struct failure *why)
{
	static const SlirpCb callbacks = {
		.send_packet = on_frame, .guest_error = on_guest_error, .clock_get_ns = on_clock,
		.timer_new = on_timer_new, .timer_free = on_timer_free, .timer_mod = on_timer_mod,
		.register_poll_fd = on_fd, .unregister_poll_fd = on_fd, .notify = on_notify,
	};
	const SlirpConfig config = {
		.version = 1,
		.in_enabled = true,
		.vnetwork.s_addr = htonl(0x0a000200),
		.vnetmask.s_addr = htonl(0xffffff00),
		.vhost.s_addr = htonl(0x0a000202),
		.vnameserver.s_addr = htonl(0x0a000203),
		.vdhcp_start.s_addr = htonl(0x0a00020f),
	};

	g_log_set_handler("Slirp", G_LOG_LEVEL_MASK, on_log, NULL);
	user->slirp = slirp_new(&config, &callbacks, user);
	if (!user->slirp)
		return fail(why, "libslirp cannot start the user's network");
	return 0;
}

static int add_forward(struct user *user, const struct net_forward *forward, struct failure *why)
{
	const struct in_addr guest = { htonl(0x0a00020f) };
	char address[INET_ADDRSTRLEN];

	errno = 0;
	if (!slirp_add_hostfwd(user->slirp, forward->udp, forward->address, forward->host, guest,
			       forward->guest))
		return 0;
	inet_ntop(AF_INET, &forward->address, address, sizeof(address));
	return fail(why, "cannot forward %s port %u of %s to the guest: %s",
		    forward->udp ? "UDP" : "TCP", forward->host, address,
		    errno ? strerror(errno) : "it is refused");
}

struct net *user_open(const struct net_forward *forward, unsigned int count, struct failure *why)
{
	static const struct net_ops ops = {
		.send = user_send, .receive = user_receive, .destroy = user_destroy,
	};
	struct user *user = calloc(1, sizeof(*user));
	unsigned int i;

	if (!user) {
		fail(why, "out of memory");
		return NULL;
	}
	user->net = (struct net){ .ops = &ops, .name = "user", .event = -1 };
	user->timer = -1;
	user->kick = -1;
	user->frame = calloc(FRAMES, sizeof(*user->frame));
	if (!user->frame) {
		fail(why, "out of memory");
		goto destroy;
	}
	if (create_events(user, why) || create_slirp(user, why))
		goto destroy;
	for (i = 0; i < count; i++)
		if (add_forward(user, &forward[i], why))
			goto destroy;
	wait_for(user);
	return &user->net;
destroy:
	user_destroy(&user->net);
	return NULL;
}
