/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A device's thread: waits for file descriptors and calls who watches them.
 */
#ifndef HULL_MACHINE_WORKER_H
#define HULL_MACHINE_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "machine/failure.h"

struct worker {
	const char *name;		/* of the thread; up to 15 bytes are shown */
	int epoll;
	int stop;			/* eventfd */
	pthread_t thread;
	bool started;
};

/**
 * struct watch - a file descriptor a worker waits for
 * @fd: stays open until it is no longer watched
 * @ready: on the worker's thread, again and again while @fd is ready
 * @opaque: its argument
 */
struct watch {
	int fd;
	void (*ready)(void *opaque);
	void *opaque;
};

int worker_create(struct worker *worker, const char *name, struct failure *why);

/*
 * @events: EPOLLIN, EPOLLOUT. Before worker_start() or on its thread; @watch stays the caller's.
 * On another thread for a @watch that stays until the worker ends, and does no harm when it is
 * called once after worker_unwatch().
 */
int worker_watch(struct worker *worker, struct watch *watch, uint32_t events);
int worker_change(struct worker *worker, struct watch *watch, uint32_t events);
void worker_unwatch(struct worker *worker, struct watch *watch);

int worker_start(struct worker *worker, struct failure *why);

/* Waits for the thread's end: a callback that runs is not cut short. */
void worker_stop(struct worker *worker);
void worker_destroy(struct worker *worker);

/* Eventfds, as used for kicks: not blocking. -1: none to be had. */
int event_create(void);
void event_signal(int fd);
bool event_drain(int fd);	/* true: it was signalled */

#endif
