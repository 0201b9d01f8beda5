/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A connection with an NBD server that is made again when it is lost.
 */
#ifndef HULL_DISK_LINK_H
#define HULL_DISK_LINK_H

#include "disk/nbd.h"

/* What the server says of its export. Sizes in bytes. */
struct nbd_export {
	uint64_t size;
	uint32_t block;			/* the least it reads and writes */
	uint32_t part;			/* the most, of one command here */
	bool read_only, flush, trim, zero;
};

enum link_event { LINK_NOTHING, LINK_READY, LINK_LOST };

/**
 * struct nbd_link - the connection
 * @handle: of libnbd, or NULL: waits for the next attempt
 * @ready: commands may be sent
 * @broken: set where it turns out that the server answers no more; the next step drops the
 *	connection
 * @closing: commands that end are of a connection that is being dropped
 * @event: fd that is readable when there is a step to do
 * @export: of the first connection; those that follow must be the same
 * @why: of the last loss or failed attempt
 */
struct nbd_link {
	struct nbd_source *source;
	struct nbd_handle *handle;
	bool ready, broken, closing;
	int event, timer, kick;
	struct nbd_export export;
	struct failure why;

	uint64_t attempt_at, attempt_until;
	unsigned int backoff;		/* ms */
	int watched;
	unsigned int watched_for;
	bool timer_set;
};

/* Takes @source over. The connection is made when this returns 0; -1 with the reason. */
int link_open(struct nbd_link *link, struct nbd_source *source, struct failure *why);
void link_close(struct nbd_link *link);

/* Does what there is to do, without waiting. LINK_LOST: commands that were sent are forgotten. */
enum link_event link_step(struct nbd_link *link);

/* Before waiting for @event; it becomes readable at @until (ns, CLOCK_MONOTONIC) too, if not 0. */
void link_watch(struct nbd_link *link, uint64_t until);

/* All is well: the next loss is a first one. */
void link_works(struct nbd_link *link);

/* Makes @event readable. */
void link_kick(struct nbd_link *link);

uint64_t link_now(void);

#endif
