/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Disks that are exports of an NBD server, by libnbd.
 */
#ifndef HULL_DISK_NBD_H
#define HULL_DISK_NBD_H

#include <libnbd.h>

#include "disk/disk.h"
#include "machine/broker.h"

/**
 * struct nbd_source - how a server is reached, at first and again
 * @connect: begins to connect @handle, which is new. -1 with the reason
 * @explain: optional: there is no connection, or no more; sets @why if more is known of that
 * @hear: optional: reads what has made @event readable; does not wait
 * @close: there is no connection, and will be none; frees
 * @event: fd, or -1
 * @network: it may be far away; calls that only this needs are for it alone, as in the sandbox
 */
struct nbd_source {
	int (*connect)(struct nbd_source *source, struct nbd_handle *handle, struct failure *why);
	void (*explain)(struct nbd_source *source, struct failure *why);
	void (*hear)(struct nbd_source *source);
	void (*close)(struct nbd_source *source);
	int event;
	bool network;
};

/* The last error of libnbd, without the name of its function; returns -1. */
int nbd_fail(struct failure *why);

/* Takes @source over, also when it fails. @name stays the caller's. NULL with the reason. */
struct disk *nbd_open(struct nbd_source *source, const char *name, bool read_only,
		      unsigned int reconnect, struct failure *why);

/* uri.c: a server that is there. @uri stays the caller's. */
struct disk *nbd_open_uri(const char *uri, bool read_only, unsigned int reconnect,
			  struct failure *why);

/* image.c: a server started for this, qemu-nbd, of a file in @format. All stay the caller's. */
struct disk *image_open(const char *path, const char *format, bool read_only,
			unsigned int reconnect, struct broker *broker, struct failure *why);

#endif
