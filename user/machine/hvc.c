// SPDX-License-Identifier: GPL-2.0
/*
 * A port between the terminal and the guest's virtio console. Output is written by the device's
 * thread, which does not wait for the terminal: it is told when that takes more. Input comes from
 * the main thread.
 *
 * Locks: hvc->lock guards the input that the guest has no room for yet.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "machine/hvc.h"
#include "machine/worker.h"

#define INPUT	256

struct hvc {
	struct port port;
	struct console *console;
	int wake;
	bool watched;			/* the terminal is in the port's set */
	pthread_mutex_t lock;
	uint8_t input[INPUT];
	size_t held;
};

size_t hvc_input(struct hvc *hvc, const uint8_t *data, size_t size)
{
	pthread_mutex_lock(&hvc->lock);
	if (size > INPUT - hvc->held)
		size = INPUT - hvc->held;
	memcpy(hvc->input + hvc->held, data, size);
	hvc->held += size;
	pthread_mutex_unlock(&hvc->lock);
	if (size)
		event_signal(hvc->wake);
	return size;
}

static ssize_t hvc_receive(struct port *port, const struct iovec *iov, unsigned int count)
{
	struct hvc *hvc = (struct hvc *)port;
	size_t size;

	(void)count;
	pthread_mutex_lock(&hvc->lock);
	size = hvc->held < iov->iov_len ? hvc->held : iov->iov_len;
	memcpy(iov->iov_base, hvc->input, size);
	hvc->held -= size;
	memmove(hvc->input, hvc->input + size, hvc->held);
	pthread_mutex_unlock(&hvc->lock);
	if (!size)
		return -EAGAIN;
	/* There is room again. */
	hvc->console->guest.wake(hvc->console->guest.opaque);
	return size;
}

/* What epoll cannot watch is always ready, so this is not called for it. */
static void wait_for_terminal(struct hvc *hvc)
{
	struct epoll_event event = { .events = EPOLLOUT | EPOLLONESHOT };
	int how = hvc->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	hvc->watched = !epoll_ctl(hvc->port.event, how, hvc->console->out, &event);
}

static ssize_t hvc_send(struct port *port, const struct iovec *iov, unsigned int count)
{
	struct hvc *hvc = (struct hvc *)port;
	ssize_t done = console_write(hvc->console, iov->iov_base, iov->iov_len);

	(void)count;
	if (done == -EAGAIN)
		wait_for_terminal(hvc);
	return done;
}

static void hvc_ready(struct port *port)
{
	struct hvc *hvc = (struct hvc *)port;
	struct epoll_event event[2];

	event_drain(hvc->wake);
	epoll_wait(port->event, event, 2, 0);
}

static void hvc_guest(struct port *port, bool open)
{
	(void)port;
	(void)open;
}

static void hvc_destroy(struct port *port)
{
	struct hvc *hvc = (struct hvc *)port;

	close(port->event);
	close(hvc->wake);
	free(hvc);
}

struct port *hvc_port(struct hvc *hvc)
{
	return &hvc->port;
}

struct hvc *hvc_create(struct console *console, struct failure *why)
{
	static const struct port_ops ops = {
		.ready = hvc_ready, .send = hvc_send, .receive = hvc_receive,
		.guest = hvc_guest, .destroy = hvc_destroy,
	};
	struct hvc *hvc = calloc(1, sizeof(*hvc));
	struct epoll_event event = { .events = EPOLLIN };
	int set = epoll_create1(EPOLL_CLOEXEC), wake = event_create();

	if (!hvc || set < 0 || wake < 0 || epoll_ctl(set, EPOLL_CTL_ADD, wake, &event)) {
		fail(why, "cannot create what the console waits with");
		free(hvc);
		if (set >= 0)
			close(set);
		if (wake >= 0)
			close(wake);
		return NULL;
	}
	hvc->port = (struct port){ .ops = &ops, .event = set, .open = true };
	hvc->console = console;
	hvc->wake = wake;
	pthread_mutex_init(&hvc->lock, NULL);
	return hvc;
}
