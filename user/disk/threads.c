// SPDX-License-Identifier: GPL-2.0
/*
 * A few threads that make blocking calls, where io_uring is forbidden (a sandbox, a container, the
 * sysctl kernel.io_uring_disabled).
 *
 * Locks: lock guards the two lists; todo is waited for by the threads, done is told by an eventfd.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "disk/aio.h"
#include "machine/worker.h"

#define THREADS		4

struct list {
	struct aio_op *first, **last;
};

struct aio_threads {
	struct aio aio;
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct list todo, done;
	bool ending;
	pthread_t thread[THREADS];
	unsigned int threads;
};

static void list_init(struct list *list)
{
	list->first = NULL;
	list->last = &list->first;
}

static void list_add(struct list *list, struct aio_op *op)
{
	op->next = NULL;
	*list->last = op;
	list->last = &op->next;
}

static struct aio_op *list_take(struct list *list)
{
	struct aio_op *op = list->first;

	if (!op)
		return NULL;
	list->first = op->next;
	if (!list->first)
		list->last = &list->first;
	return op;
}

int64_t aio_call(int file, const struct aio_op *op)
{
	ssize_t ret;

	do {
		switch (op->call) {
		case AIO_READ:
			ret = preadv(file, op->iov, op->count, op->offset);
			break;
		case AIO_WRITE:
			ret = pwritev(file, op->iov, op->count, op->offset);
			break;
		case AIO_SYNC:
			ret = fdatasync(file);
			break;
		default:
			ret = fallocate(file, op->mode, op->offset, op->size);
			break;
		}
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : ret;
}

static void *work(void *opaque)
{
	struct aio_threads *threads = opaque;
	struct aio_op *op;

	pthread_mutex_lock(&threads->lock);
	for (;;) {
		op = list_take(&threads->todo);
		if (!op && threads->ending)
			break;
		if (!op) {
			pthread_cond_wait(&threads->work, &threads->lock);
			continue;
		}
		pthread_mutex_unlock(&threads->lock);
		op->result = aio_call(threads->aio.file, op);
		pthread_mutex_lock(&threads->lock);
		list_add(&threads->done, op);
		event_signal(threads->aio.event);
	}
	pthread_mutex_unlock(&threads->lock);
	return NULL;
}

static void threads_submit(struct aio *aio, struct aio_op *op)
{
	struct aio_threads *threads = (struct aio_threads *)aio;

	pthread_mutex_lock(&threads->lock);
	list_add(&threads->todo, op);
	pthread_cond_signal(&threads->work);
	pthread_mutex_unlock(&threads->lock);
}

static void threads_commit(struct aio *aio)
{
	(void)aio;
}

static void threads_complete(struct aio *aio)
{
	struct aio_threads *threads = (struct aio_threads *)aio;
	struct aio_op *op;

	event_drain(aio->event);
	for (;;) {
		pthread_mutex_lock(&threads->lock);
		op = list_take(&threads->done);
		pthread_mutex_unlock(&threads->lock);
		if (!op)
			break;
		aio->done(aio->opaque, op);
	}
}

static void threads_destroy(struct aio *aio)
{
	struct aio_threads *threads = (struct aio_threads *)aio;

	pthread_mutex_lock(&threads->lock);
	threads->ending = true;
	pthread_cond_broadcast(&threads->work);
	pthread_mutex_unlock(&threads->lock);
	while (threads->threads)
		pthread_join(threads->thread[--threads->threads], NULL);
	close(aio->event);
	free(threads);
}

struct aio *aio_threads_create(int file)
{
	static const struct aio_engine engine = {
		.submit = threads_submit, .commit = threads_commit, .complete = threads_complete,
		.destroy = threads_destroy,
	};
	struct aio_threads *threads = calloc(1, sizeof(*threads));
	int error = 0;

	if (!threads)
		return NULL;
	threads->aio.engine = &engine;
	threads->aio.file = file;
	threads->aio.event = event_create();
	if (threads->aio.event < 0) {
		free(threads);
		return NULL;
	}
	pthread_mutex_init(&threads->lock, NULL);
	pthread_cond_init(&threads->work, NULL);
	list_init(&threads->todo);
	list_init(&threads->done);
	while (threads->threads < THREADS && !error) {
		error = pthread_create(&threads->thread[threads->threads], NULL, work, threads);
		threads->threads += !error;
	}
	/* One would do. */
	if (threads->threads)
		return &threads->aio;
	threads_destroy(&threads->aio);
	errno = error;
	return NULL;
}
