/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Commands to an NBD server, and the log of those that must be repeated when it is another one
 * than before.
 *
 * Why there is a log. A server may answer a write before it is on stable storage: a flush puts it
 * there. When the server dies in between, what it had in its own memory is gone (of an image in
 * qcow2 that is the newest of its tables, so writes to new clusters), while the guest, which has
 * its answer, runs on: its next flush would go to a server that knows nothing of that write, would
 * succeed, and the guest would take for safe what is lost. On a machine such a loss of the disk's
 * cache ends the system as well. So writes stay here from their answer on until a flush that was
 * sent later has succeeded, and a new connection begins with writing them again, before anything
 * else is sent.
 *
 * That is right whatever became of them: a write that was executed twice, with nothing later in
 * between, is as good as one; those that overlap are repeated one after the other in the order of
 * their answers, and what had no answer is sent after all of them. Discards need no repetition:
 * what they leave is undefined. A server without flush has nothing to lose, or cannot help it.
 *
 * It does not grow without limit: beyond LOG_FLUSH bytes a flush is sent that the guest has not
 * asked for, and at LOG_MAX writes wait for its end.
 *
 * What it cannot do: an old server that is cut off from here, but not dead, may execute a write of
 * the old connection after what was sent by the new one. Servers that are started here are killed
 * first.
 */
#ifndef HULL_DISK_NBD_LOG_H
#define HULL_DISK_NBD_LOG_H

#include "disk/disk.h"

#define LOG_FLUSH	(16U << 20)
#define LOG_MAX		(32U << 20)

struct nbd;

/**
 * struct nbd_command - what a server is asked for: a request, or a part of it
 * @request: NULL: a flush of our own; or it is in the log
 * @op: what the server does, which for a DISK_ZERO may be DISK_WRITE
 * @may_unmap: see struct disk_request
 * @offset: bytes
 * @size: bytes
 * @number: in the log: counts up, in the order of answers; of a flush: the last that it covers
 * @error: of the answer: 0 or an errno
 * @answered: there is one
 * @logged: it is in the log
 * @data: what to write, or where to read to
 * @buffer: @data's place, where that is not the guest's memory
 */
struct nbd_command {
	TAILQ_ENTRY(nbd_command) link;
	struct nbd *nbd;
	struct disk_request *request;
	enum disk_op op;
	bool may_unmap, answered, logged;
	uint64_t offset, size;
	uint64_t number;
	int error;
	uint8_t *data;
	uint8_t buffer[];
};

TAILQ_HEAD(nbd_commands, nbd_command);

#define REPLAY_MAX	32

/**
 * struct nbd_log - writes that no flush has covered
 * @commands: in the order of their numbers
 * @bytes: of memory
 * @number: the last one's, or the last that was
 * @next: to be repeated; NULL: none is left
 * @sent: those that are being repeated now
 * @under_way: how many
 */
struct nbd_log {
	struct nbd_commands commands;
	uint64_t bytes, number;
	struct nbd_command *next;
	struct nbd_command *sent[REPLAY_MAX];
	unsigned int under_way;
};

void log_init(struct nbd_log *log);
void log_add(struct nbd_log *log, struct nbd_command *command);
/* Up to and including @number. */
void log_drop(struct nbd_log *log, uint64_t number);

/* ---- repetition ----------------------------------------------------------------------------- */

/* There is a new server. */
void log_rewind(struct nbd_log *log);
/* The next to be sent; NULL: none, or not before one that is under way has ended. */
struct nbd_command *log_next(struct nbd_log *log);
void log_repeated(struct nbd_log *log, const struct nbd_command *command);
/* True: all were repeated. */
bool log_is_through(const struct nbd_log *log);

#endif
