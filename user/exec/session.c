// SPDX-License-Identifier: GPL-2.0
/*
 * Messages with init, by a port whose end is here, in memory.
 *
 * Locks: session->lock, innermost: the device's thread and the main thread are here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "exec/session.h"

struct session_port {
	struct port port;
	struct session *session;
};

/* ---- from init ------------------------------------------------------------------------------ */

bool session_valid(const struct exec_message *message)
{
	switch (message->type) {
	case EXEC_STARTED:
		return true;
	case EXEC_EXITED:
		return message->value <= 255;
	case EXEC_KILLED:
		return message->value >= 1 && message->value <= 127;
	case EXEC_REFUSED:
		return message->value <= 4095;
	case EXEC_FAILED:
		return message->value <= 4095 && message->more < EXEC_STAGE_COUNT;
	}
	return false;
}

/* With the lock. */
static void hear(struct session *session)
{
	struct exec_message message;

	memcpy(&message, session->partial, sizeof(message));
	session->received = 0;
	if (!session_valid(&message) || session->state == SESSION_ENDED)
		return;
	if (message.type == EXEC_STARTED) {
		session->state = SESSION_RUNNING;
		return;
	}
	session->state = SESSION_ENDED;
	session->last = message;
}

/* Without the lock: tells once that all is over. */
static void finish(struct session *session)
{
	bool tell;

	pthread_mutex_lock(&session->lock);
	tell = session->state == SESSION_ENDED && !session->streams && !session->told;
	session->told |= tell;
	pthread_mutex_unlock(&session->lock);
	if (tell)
		session->done(session->opaque);
}

static ssize_t port_send(struct port *port, const struct iovec *iov, unsigned int count)
{
	struct session *session = ((struct session_port *)port)->session;
	const uint8_t *data = iov->iov_base;
	size_t i;

	(void)count;
	pthread_mutex_lock(&session->lock);
	for (i = 0; i < iov->iov_len; i++) {
		session->partial[session->received++] = data[i];
		if (session->received == sizeof(session->partial))
			hear(session);
	}
	pthread_mutex_unlock(&session->lock);
	finish(session);
	return iov->iov_len;
}

/* ---- to init -------------------------------------------------------------------------------- */

static ssize_t port_receive(struct port *port, const struct iovec *iov, unsigned int count)
{
	struct session *session = ((struct session_port *)port)->session;
	ssize_t size = -EAGAIN;

	(void)count;
	pthread_mutex_lock(&session->lock);
	if (session->queued) {
		const uint8_t *message = (uint8_t *)&session->queue[session->first];

		size = sizeof(struct exec_message) - session->begun;
		if ((size_t)size > iov->iov_len)
			size = iov->iov_len;
		memcpy(iov->iov_base, message + session->begun, size);
		session->begun += size;
		if (session->begun == sizeof(struct exec_message)) {
			session->begun = 0;
			session->first = (session->first + 1) % SESSION_QUEUE;
			session->queued--;
		}
	}
	pthread_mutex_unlock(&session->lock);
	return size;
}

void session_send(struct session *session, enum exec_type type, uint32_t value, uint32_t more)
{
	uint64_t one = 1;
	ssize_t ignored = 0;

	pthread_mutex_lock(&session->lock);
	if (session->queued < SESSION_QUEUE) {
		session->queue[(session->first + session->queued++) % SESSION_QUEUE] =
			(struct exec_message){ type, value, more };
		ignored = write(session->event, &one, sizeof(one));
	}
	pthread_mutex_unlock(&session->lock);
	(void)ignored;
}

/* ---- the ports ------------------------------------------------------------------------------ */

static void port_ready(struct port *port)
{
	uint64_t times;
	ssize_t ignored = read(port->event, &times, sizeof(times));

	(void)ignored;
}

static void port_guest(struct port *port, bool open)
{
	(void)port;
	(void)open;
}

/* Who sends has the session, which lives longer; the descriptor is gone with the port. */
static void port_destroy(struct port *port)
{
	struct session *session = ((struct session_port *)port)->session;

	pthread_mutex_lock(&session->lock);
	close(port->event);
	session->event = -1;
	pthread_mutex_unlock(&session->lock);
	free(port);
}

struct port *session_port(struct session *session, struct failure *why)
{
	static const struct port_ops ops = {
		.ready = port_ready, .send = port_send, .receive = port_receive,
		.guest = port_guest, .destroy = port_destroy,
	};
	struct session_port *port = calloc(1, sizeof(*port));
	int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (!port || event < 0) {
		fail(why, "cannot create the port for messages");
		free(port);
		if (event >= 0)
			close(event);
		return NULL;
	}
	session->event = event;
	port->session = session;
	port->port = (struct port){ .ops = &ops, .event = event, .open = true };
	return &port->port;
}

static void stream_closed(void *opaque)
{
	struct session *session = opaque;

	pthread_mutex_lock(&session->lock);
	if (session->streams)
		session->streams--;
	pthread_mutex_unlock(&session->lock);
	finish(session);
}

void session_watch(struct session *session, struct port *port)
{
	session->streams++;
	port->closed = stream_closed;
	port->opaque = session;
}

enum session_state session_state(struct session *session)
{
	enum session_state state;

	pthread_mutex_lock(&session->lock);
	state = session->state;
	pthread_mutex_unlock(&session->lock);
	return state;
}

void session_init(struct session *session, void (*done)(void *opaque), void *opaque)
{
	memset(session, 0, sizeof(*session));
	pthread_mutex_init(&session->lock, NULL);
	session->done = done;
	session->opaque = opaque;
	session->event = -1;
}
