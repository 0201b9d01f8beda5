// SPDX-License-Identifier: GPL-2.0
/*
 * Devices that work beside the vCPUs have a thread of this kind each, so one that waits for a disk
 * holds up nobody else.
 *
 * Locks: none. Watches change before the thread runs, or on it; see worker_watch().
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "machine/worker.h"

#define EVENTS	16

int event_create(void)
{
	return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

void event_signal(int fd)
{
	uint64_t one = 1;
	ssize_t ignored = write(fd, &one, sizeof(one));

	(void)ignored;
}

bool event_drain(int fd)
{
	uint64_t count;

	return read(fd, &count, sizeof(count)) == sizeof(count);
}

int worker_create(struct worker *worker, const char *name, struct failure *why)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };

	worker->name = name;
	worker->started = false;
	worker->epoll = epoll_create1(EPOLL_CLOEXEC);
	worker->stop = event_create();
	if (worker->epoll < 0 || worker->stop < 0 ||
	    epoll_ctl(worker->epoll, EPOLL_CTL_ADD, worker->stop, &event)) {
		fail(why, "cannot create what %s waits with: %s", name, strerror(errno));
		worker_destroy(worker);
		return -1;
	}
	return 0;
}

static int control(struct worker *worker, int what, struct watch *watch, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	return epoll_ctl(worker->epoll, what, watch->fd, &event);
}

int worker_watch(struct worker *worker, struct watch *watch, uint32_t events)
{
	return control(worker, EPOLL_CTL_ADD, watch, events);
}

int worker_change(struct worker *worker, struct watch *watch, uint32_t events)
{
	return control(worker, EPOLL_CTL_MOD, watch, events);
}

void worker_unwatch(struct worker *worker, struct watch *watch)
{
	control(worker, EPOLL_CTL_DEL, watch, 0);
}

static void *worker_thread(void *opaque)
{
	struct worker *worker = opaque;
	struct epoll_event event[EVENTS];
	int count, i;

	/* Of another thread it could not be set in the sandbox. */
	pthread_setname_np(pthread_self(), worker->name);
	for (;;) {
		count = epoll_wait(worker->epoll, event, EVENTS, -1);
		for (i = 0; i < count; i++) {
			struct watch *watch = event[i].data.ptr;

			if (!watch)
				return NULL;
			watch->ready(watch->opaque);
		}
	}
}

int worker_start(struct worker *worker, struct failure *why)
{
	int error = pthread_create(&worker->thread, NULL, worker_thread, worker);

	if (error)
		return fail(why, "cannot start the thread of %s: %s", worker->name,
			    strerror(error));
	worker->started = true;
	return 0;
}

void worker_stop(struct worker *worker)
{
	if (!worker->started)
		return;
	event_signal(worker->stop);
	pthread_join(worker->thread, NULL);
	worker->started = false;
}

void worker_destroy(struct worker *worker)
{
	worker_stop(worker);
	if (worker->epoll >= 0)
		close(worker->epoll);
	if (worker->stop >= 0)
		close(worker->stop);
	worker->epoll = -1;
	worker->stop = -1;
}
