/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The host's end of a console port: bytes out of the guest, bytes into it, and whether somebody is
 * there. Knows nothing of virtio.
 *
 * Nothing here blocks, and nothing is stored: what an end does not take stays with the guest, and
 * what the guest has no room for is not read. So a slow reader slows its writer down, in both
 * directions.
 *
 * One thread at a time, that of the device.
 */
#ifndef HULL_PORT_PORT_H
#define HULL_PORT_PORT_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "machine/broker.h"
#include "machine/failure.h"

struct port;

/**
 * struct port_ops - a kind of end
 * @ready: @event was ready: see what happened; @open may have changed. Both directions are tried
 *	again after it
 * @send: takes bytes of the guest: how many, at least 1; -EAGAIN: none now, @event tells when;
 *	another error: the end has gone (@open is false)
 * @receive: has bytes for the guest: how many; 0: it ended (@open is false); -EAGAIN; as @send
 * @guest: the guest has opened its end, or has closed it, and all it had sent was taken
 * @destroy: frees it
 */
struct port_ops {
	void (*ready)(struct port *port);
	ssize_t (*send)(struct port *port, const struct iovec *iov, unsigned int count);
	ssize_t (*receive)(struct port *port, const struct iovec *iov, unsigned int count);
	void (*guest)(struct port *port, bool open);
	void (*destroy)(struct port *port);
};

/**
 * struct port - an end; a member of its kind's structure
 * @event: file descriptor, readable when @ready wants to be called
 * @open: somebody is there
 * @closed: optional: the guest has closed its end, and all it had sent was taken or is lost
 * @opaque: for it
 */
struct port {
	const struct port_ops *ops;
	int event;
	bool open;
	void (*closed)(void *opaque);
	void *opaque;
};

/*
 * Each returns NULL with the reason. A port is closed by an end of file, by an error, and by the
 * guest closing its end; so is the file descriptor then.
 */

/* Which ways bytes go: those that are asked for, and that a descriptor is open for. */
enum port_ways { PORT_IN = 1, PORT_OUT = 2, PORT_BOTH = 3 };

/* Takes @fd over, also when it fails. */
struct port *port_of_fd(int fd, enum port_ways ways, struct failure *why);

/* Output only, to a file that is made or emptied. The guest may open and close it again. */
struct port *port_of_file(const char *path, struct failure *why);

/* A pseudo-terminal, whose name is put to @name. It stays, whoever comes and goes. */
struct port *port_of_pty(char *name, size_t size, struct failure *why);

/*
 * A Unix socket at @path, with one connection after the other. It is removed at the end, by the
 * port or, where @broker is not NULL, by that.
 */
struct port *port_of_unix(const char *path, struct broker *broker, struct failure *why);

#endif
