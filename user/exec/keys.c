// SPDX-License-Identifier: GPL-2.0
/* A port around another one, that looks at what comes in. Locks: none; see port/port.h. */
#include <stdlib.h>
#include <time.h>

#include "exec/keys.h"

struct keys_port {
	struct port port;
	struct port *inner;
	struct keys keys;
	void (*leave)(void *opaque);
	void *opaque;
};

bool keys_typed(struct keys *keys, const uint8_t *data, size_t size, uint64_t now)
{
	bool leave = false;
	size_t i;

	for (i = 0; i < size; i++) {
		if (data[i] != KEYS_ESCAPE) {
			keys->count = 0;
			continue;
		}
		if (!keys->count || now - keys->first > KEYS_WITHIN_NS) {
			keys->count = 0;
			keys->first = now;
		}
		leave |= ++keys->count == KEYS_TIMES;
	}
	return leave;
}

static void look(struct keys_port *keys, const struct iovec *iov, size_t size)
{
	struct timespec now;
	bool leave = false;

	clock_gettime(CLOCK_MONOTONIC, &now);
	for (; size; iov++) {
		size_t part = iov->iov_len < size ? iov->iov_len : size;

		leave |= keys_typed(&keys->keys, iov->iov_base, part,
				    now.tv_sec * 1000000000ULL + now.tv_nsec);
		size -= part;
	}
	if (leave)
		keys->leave(keys->opaque);
}

static void keys_ready(struct port *port)
{
	struct port *inner = ((struct keys_port *)port)->inner;

	inner->ops->ready(inner);
	port->open = inner->open;
}

static ssize_t keys_send(struct port *port, const struct iovec *iov, unsigned int count)
{
	struct port *inner = ((struct keys_port *)port)->inner;
	ssize_t done = inner->ops->send(inner, iov, count);

	port->open = inner->open;
	return done;
}

static ssize_t keys_receive(struct port *port, const struct iovec *iov, unsigned int count)
{
	struct keys_port *keys = (struct keys_port *)port;
	ssize_t got = keys->inner->ops->receive(keys->inner, iov, count);

	port->open = keys->inner->open;
	if (got > 0)
		look(keys, iov, got);
	return got;
}

static void keys_guest(struct port *port, bool open)
{
	struct port *inner = ((struct keys_port *)port)->inner;

	inner->ops->guest(inner, open);
	port->open = inner->open;
}

static void keys_destroy(struct port *port)
{
	struct port *inner = ((struct keys_port *)port)->inner;

	inner->ops->destroy(inner);
	free(port);
}

struct port *keys_port(struct port *terminal, void (*leave)(void *opaque), void *opaque,
		       struct failure *why)
{
	static const struct port_ops ops = {
		.ready = keys_ready, .send = keys_send, .receive = keys_receive,
		.guest = keys_guest, .destroy = keys_destroy,
	};
	struct keys_port *keys = calloc(1, sizeof(*keys));

	if (!keys) {
		terminal->ops->destroy(terminal);
		fail(why, "out of memory");
		return NULL;
	}
	keys->port = (struct port){ .ops = &ops, .event = terminal->event, .open = terminal->open };
	keys->inner = terminal;
	keys->leave = leave;
	keys->opaque = opaque;
	return &keys->port;
}
