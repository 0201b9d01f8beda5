// SPDX-License-Identifier: GPL-2.0
/*
 * Exports of NBD servers, over a connection that may be lost and made again (link.h).
 *
 * A request becomes one command to the server after the other, each a part of it that fits in a
 * buffer; commands of many requests are under way at a time. When the connection is lost, those
 * that had no answer are sent again by the next one, after the writes that only the old server may
 * have known of (nbd_log.h). Requests wait meanwhile: for some time, then they end with EIO, and so
 * do those that follow, until there is a connection again.
 *
 * What is written is copied first: the guest may change it while the server reads, and what may
 * have to be repeated must be what the server was sent.
 *
 * Locks: none, one thread.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "disk/link.h"
#include "disk/nbd_log.h"
#include "machine/notice.h"

#define SECOND		1000000000ULL

/* Commands under way: servers work on some of them at a time, and buffers take memory. */
#define WINDOW		32

/* The most that is discarded or zeroed by one command: its size has 32 bits. */
#define RANGE_MAX	(1ULL << 30)

/* What nobody waits for may take this long, and so may the end. */
#define GRACE		(10 * SECOND)

/*
 * @waiting: requests that are not begun, or of which a part is done
 * @ended: requests whose done() is due
 * @sent: commands under way
 * @again: commands whose connection was lost, in their order
 * @answers: commands with an answer that was not looked at
 * @own_flush: one is under way that the guest has not asked for
 * @lost_write: errno: a write that the guest has an answer to is lost; its next flush says so
 * @trouble_since: when the connection was lost and not proven good since; 0: it is
 * @gave_up: requests no longer wait
 * @cancel_at: when the connection is dropped for what was cancelled; 0: nothing was
 * @quiet: it is being closed
 */
struct nbd {
	struct disk disk;
	struct nbd_link link;
	struct notice notice;
	struct disk_requests waiting, ended;
	struct nbd_commands sent, again, answers;
	unsigned int under_way;
	struct nbd_log log;
	bool own_flush;
	int lost_write;
	uint64_t patience, trouble_since, cancel_at;
	bool gave_up, quiet;
};

static void end(struct nbd *nbd, struct disk_request *request, int error)
{
	request->error = error;
	STAILQ_INSERT_TAIL(&nbd->ended, request, link);
}

static bool has_log(const struct nbd *nbd)
{
	return nbd->link.export.flush && !nbd->disk.read_only;
}

/* ---- from requests to commands -------------------------------------------------------------- */

/* Requests that no server is asked for. */
static bool is_nothing(const struct nbd *nbd, const struct disk_request *request)
{
	return (request->op == DISK_FLUSH && !nbd->link.export.flush) ||
	       (request->op == DISK_DISCARD && !nbd->link.export.trim);
}

static struct nbd_command *create_command(struct nbd *nbd, struct disk_request *request)
{
	const struct nbd_export *export = &nbd->link.export;
	bool fill = request->op == DISK_ZERO && !export->zero;
	bool move = request->op == DISK_READ || request->op == DISK_WRITE;
	/* A read in one piece goes where it belongs. */
	bool direct = request->op == DISK_READ && request->count == 1;
	uint64_t most = move || fill ? export->part : RANGE_MAX;
	uint64_t size = request->size < most ? request->size : most;
	struct nbd_command *command;

	command = malloc(sizeof(*command) + ((move && !direct) || fill ? size : 0));
	if (!command)
		return NULL;
	*command = (struct nbd_command){
		.nbd = nbd, .request = request, .op = fill ? DISK_WRITE : request->op,
		.may_unmap = request->may_unmap, .offset = request->offset, .size = size,
		.data = direct ? request->iov->iov_base : command->buffer,
	};
	if (fill)
		memset(command->buffer, 0, size);
	else if (request->op == DISK_WRITE)
		disk_gather(request, command->buffer, size);
	return command;
}

static struct nbd_command *create_flush(struct nbd *nbd)
{
	struct nbd_command *command = calloc(1, sizeof(*command));

	if (!command)
		return NULL;
	command->nbd = nbd;
	command->op = DISK_FLUSH;
	nbd->own_flush = true;
	return command;
}

/* NULL: nothing to send now. */
static struct nbd_command *next_command(struct nbd *nbd)
{
	struct nbd_command *command = TAILQ_FIRST(&nbd->again);
	struct disk_request *request;

	if (command) {
		TAILQ_REMOVE(&nbd->again, command, link);
		return command;
	}
	if (nbd->log.bytes > LOG_FLUSH && !nbd->own_flush)
		return create_flush(nbd);
	while ((request = STAILQ_FIRST(&nbd->waiting))) {
		if (nbd->log.bytes > LOG_MAX && request->op != DISK_READ &&
		    request->op != DISK_FLUSH)
			return NULL;
		STAILQ_REMOVE_HEAD(&nbd->waiting, link);
		if (is_nothing(nbd, request)) {
			end(nbd, request, 0);
			continue;
		}
		command = create_command(nbd, request);
		if (command)
			return command;
		end(nbd, request, ENOMEM);
	}
	return NULL;
}

/* ---- sending -------------------------------------------------------------------------------- */

/*
 * libnbd calls this at any time: here nothing may be sent. Of a command that went down with its
 * connection nothing is known: it stays among those that were sent.
 */
static int on_answer(void *opaque, int *error)
{
	struct nbd_command *command = opaque;
	struct nbd *nbd = command->nbd;

	if (nbd->link.closing)
		return 1;
	if (*error == ENOTCONN || *error == ESHUTDOWN || *error == EPIPE ||
	    *error == ECONNRESET) {
		nbd->link.broken = true;
		return 1;
	}
	command->answered = true;
	command->error = *error;
	if (command->logged) {
		log_repeated(&nbd->log, command);
		if (*error)
			nbd->lost_write = *error;
		return 1;
	}
	TAILQ_REMOVE(&nbd->sent, command, link);
	TAILQ_INSERT_TAIL(&nbd->answers, command, link);
	nbd->under_way--;
	return 1;
}

static int64_t issue(struct nbd_handle *handle, struct nbd_command *command)
{
	nbd_completion_callback done = { .callback = on_answer, .user_data = command };

	switch (command->op) {
	case DISK_READ:
		return nbd_aio_pread(handle, command->data, command->size, command->offset, done,
				     0);
	case DISK_WRITE:
		return nbd_aio_pwrite(handle, command->data, command->size, command->offset, done,
				      0);
	case DISK_FLUSH:
		return nbd_aio_flush(handle, done, 0);
	case DISK_DISCARD:
		return nbd_aio_trim(handle, command->size, command->offset, done, 0);
	case DISK_ZERO:
		return nbd_aio_zero(handle, command->size, command->offset, done,
				    command->may_unmap ? 0 : LIBNBD_CMD_FLAG_NO_HOLE);
	}
	return -1;
}

static void send_command(struct nbd *nbd, struct nbd_command *command)
{
	struct nbd_handle *handle = nbd->link.handle;
	int error;

	command->answered = false;
	/* Covered is what the guest, or the log, knew of before. */
	if (command->op == DISK_FLUSH)
		command->number = nbd->log.number;
	if (!command->logged) {
		TAILQ_INSERT_TAIL(&nbd->sent, command, link);
		nbd->under_way++;
	}
	if (issue(handle, command) >= 0 || command->answered)
		return;
	/* Not even sent: the connection is gone, or libnbd knows that the server would refuse. */
	error = nbd_get_errno() ? nbd_get_errno() : EIO;
	if (nbd_aio_is_dead(handle) || nbd_aio_is_closed(handle))
		error = ENOTCONN;
	on_answer(command, &error);
}

/* Commands that were there before the connection come first, the log before all. */
static void send_all(struct nbd *nbd)
{
	struct nbd_command *command;

	while (nbd->link.ready && !nbd->link.broken && (command = log_next(&nbd->log)))
		send_command(nbd, command);
	while (nbd->link.ready && !nbd->link.broken && log_is_through(&nbd->log) &&
	       nbd->under_way < WINDOW && (command = next_command(nbd)))
		send_command(nbd, command);
}

/* ---- answers -------------------------------------------------------------------------------- */

static void flushed(struct nbd *nbd, struct nbd_command *command)
{
	if (!command->error)
		log_drop(&nbd->log, command->number);
	if (command->request) {
		end(nbd, command->request, command->error ? command->error : nbd->lost_write);
		nbd->lost_write = 0;
		return;
	}
	nbd->own_flush = false;
	if (!command->error)
		return;
	/* There is no place for more, and nobody to be told now. */
	nbd->lost_write = command->error;
	log_drop(&nbd->log, command->number);
}

static void moved(struct nbd *nbd, struct nbd_command *command)
{
	struct disk_request *request = command->request;

	if (command->error) {
		end(nbd, request, command->error);
		return;
	}
	if (command->op == DISK_READ && command->data == command->buffer)
		disk_scatter(request, command->buffer, command->size);
	disk_advance(request, command->size);
	if (request->size)
		STAILQ_INSERT_HEAD(&nbd->waiting, request, link);
	else
		end(nbd, request, 0);
}

static void take_answers(struct nbd *nbd)
{
	struct nbd_command *command;

	while ((command = TAILQ_FIRST(&nbd->answers))) {
		bool keep = !command->error && has_log(nbd) &&
			    (command->op == DISK_WRITE || command->op == DISK_ZERO);

		TAILQ_REMOVE(&nbd->answers, command, link);
		nbd->trouble_since = 0;
		link_works(&nbd->link);
		if (command->op == DISK_FLUSH)
			flushed(nbd, command);
		else
			moved(nbd, command);
		if (keep)
			log_add(&nbd->log, command);
		else
			free(command);
	}
}

/* ---- the connection comes and goes ---------------------------------------------------------- */

static void on_lost(struct nbd *nbd)
{
	struct nbd_command *command;

	while ((command = TAILQ_LAST(&nbd->sent, nbd_commands))) {
		TAILQ_REMOVE(&nbd->sent, command, link);
		if (command->request) {
			TAILQ_INSERT_HEAD(&nbd->again, command, link);
		} else {
			nbd->own_flush = false;
			free(command);
		}
	}
	nbd->under_way = 0;
	log_rewind(&nbd->log);
	if (!nbd->trouble_since)
		nbd->trouble_since = link_now();
	if (!nbd->quiet)
		notice(&nbd->notice, "disk %s: the connection is lost: %s; the guest waits",
		       nbd->disk.name, nbd->link.why.text);
}

static void on_ready(struct nbd *nbd)
{
	nbd->gave_up = false;
	log_rewind(&nbd->log);
	if (!nbd->quiet)
		notice(&nbd->notice, "disk %s: there is a connection again", nbd->disk.name);
}

static void fail_all(struct nbd *nbd)
{
	struct nbd_command *command;
	struct disk_request *request;

	while ((command = TAILQ_FIRST(&nbd->again))) {
		TAILQ_REMOVE(&nbd->again, command, link);
		end(nbd, command->request, EIO);
		free(command);
	}
	while ((request = STAILQ_FIRST(&nbd->waiting))) {
		STAILQ_REMOVE_HEAD(&nbd->waiting, link);
		end(nbd, request, EIO);
	}
}

static void lose_patience(struct nbd *nbd)
{
	if (nbd->link.ready || !nbd->trouble_since ||
	    link_now() < nbd->trouble_since + nbd->patience)
		return;
	if (!nbd->gave_up && !nbd->quiet)
		notice(&nbd->notice, "disk %s: no connection for %llu s: %s; the guest gets errors "
		       "until there is one", nbd->disk.name,
		       (unsigned long long)(nbd->patience / SECOND), nbd->link.why.text);
	nbd->gave_up = true;
	fail_all(nbd);
}

/* What has been sent is waited for, until it is time. */
static void end_cancelled(struct nbd *nbd)
{
	struct disk_requests waiting = STAILQ_HEAD_INITIALIZER(waiting);
	struct nbd_command *command, *next;
	struct disk_request *request;
	bool any = false;

	STAILQ_CONCAT(&waiting, &nbd->waiting);
	while ((request = STAILQ_FIRST(&waiting))) {
		STAILQ_REMOVE_HEAD(&waiting, link);
		if (request->cancelled)
			end(nbd, request, ECANCELED);
		else
			STAILQ_INSERT_TAIL(&nbd->waiting, request, link);
	}
	for (command = TAILQ_FIRST(&nbd->again); command; command = next) {
		next = TAILQ_NEXT(command, link);
		if (!command->request->cancelled)
			continue;
		TAILQ_REMOVE(&nbd->again, command, link);
		end(nbd, command->request, ECANCELED);
		free(command);
	}
	TAILQ_FOREACH(command, &nbd->sent, link)
		any |= command->request && command->request->cancelled;
	if (!any)
		nbd->cancel_at = 0;
	else if (link_now() >= nbd->cancel_at)
		nbd->link.broken = true;
}

/* ---- the disk ------------------------------------------------------------------------------- */

static void nbd_submit(struct disk *disk, struct disk_request *request)
{
	struct nbd *nbd = (struct nbd *)disk;

	request->cancelled = false;
	STAILQ_INSERT_TAIL(&nbd->waiting, request, link);
}

/* When it must be looked at, whatever happens. */
static uint64_t deadline(const struct nbd *nbd)
{
	uint64_t at = nbd->cancel_at;

	if (nbd->trouble_since && !nbd->link.ready && !nbd->gave_up &&
	    (!at || nbd->trouble_since + nbd->patience < at))
		at = nbd->trouble_since + nbd->patience;
	return at;
}

/* Sends what can be sent; leaves to complete() what is left to do. */
static void go_on(struct nbd *nbd)
{
	send_all(nbd);
	if (nbd->link.broken || !STAILQ_EMPTY(&nbd->ended) || !TAILQ_EMPTY(&nbd->answers) ||
	    (nbd->gave_up && !STAILQ_EMPTY(&nbd->waiting)))
		link_kick(&nbd->link);
	link_watch(&nbd->link, deadline(nbd));
}

static void nbd_commit(struct disk *disk)
{
	go_on((struct nbd *)disk);
}

static void nbd_complete(struct disk *disk)
{
	struct nbd *nbd = (struct nbd *)disk;
	struct disk_requests ended = STAILQ_HEAD_INITIALIZER(ended);
	struct disk_request *request;
	enum link_event event;

	if (nbd->cancel_at)
		end_cancelled(nbd);
	event = link_step(&nbd->link);
	/* Answers that came before the end count. */
	take_answers(nbd);
	if (event == LINK_LOST)
		on_lost(nbd);
	else if (event == LINK_READY)
		on_ready(nbd);
	if (nbd->cancel_at)
		end_cancelled(nbd);
	lose_patience(nbd);
	/* Nothing was asked for: that works as well. */
	if (nbd->link.ready && log_is_through(&nbd->log) && !nbd->under_way &&
	    STAILQ_EMPTY(&nbd->waiting) && TAILQ_EMPTY(&nbd->again))
		nbd->trouble_since = 0;
	STAILQ_CONCAT(&ended, &nbd->ended);
	go_on(nbd);
	while ((request = STAILQ_FIRST(&ended))) {
		STAILQ_REMOVE_HEAD(&ended, link);
		request->done(request, request->error);
	}
}

static void nbd_cancel(struct disk *disk, struct disk_request *request)
{
	struct nbd *nbd = (struct nbd *)disk;

	request->cancelled = true;
	if (!nbd->cancel_at)
		nbd->cancel_at = link_now() + GRACE;
	link_kick(&nbd->link);
}

/* ---- opening and closing -------------------------------------------------------------------- */

/*
 * A guest that was powered off has flushed what it cares for; one that was ended from outside finds
 * what a file of the host would have as well.
 */
static void flush_log(struct nbd *nbd)
{
	const uint64_t until = link_now() + GRACE;
	struct pollfd event = { .fd = nbd->disk.event, .events = POLLIN };
	struct nbd_command *flush;

	while (!TAILQ_EMPTY(&nbd->log.commands) && !nbd->lost_write && link_now() < until) {
		if (nbd->link.ready && !nbd->link.broken && log_is_through(&nbd->log) &&
		    !nbd->own_flush) {
			flush = create_flush(nbd);
			if (!flush)
				break;
			send_command(nbd, flush);
		}
		go_on(nbd);
		poll(&event, 1, 1000);
		nbd_complete(&nbd->disk);
	}
	if (nbd->lost_write || !TAILQ_EMPTY(&nbd->log.commands))
		notice(&nbd->notice, "disk %s: what the guest wrote and did not flush is lost: %s",
		       nbd->disk.name, nbd->lost_write ? strerror(nbd->lost_write) :
		       nbd->link.why.text);
}

static void nbd_disk_close(struct disk *disk)
{
	struct nbd *nbd = (struct nbd *)disk;

	nbd->quiet = true;
	flush_log(nbd);
	link_close(&nbd->link);
	log_drop(&nbd->log, UINT64_MAX);
	free(nbd);
}

static int check_export(struct nbd *nbd, struct failure *why)
{
	const struct nbd_export *export = &nbd->link.export;
	struct disk *disk = &nbd->disk;

	if (export->read_only && !disk->read_only)
		return fail(why, "cannot write to disk %s: the server allows only reading "
			    "(--disk %s,ro only reads it)", disk->name, disk->name);
	if (export->part < export->block)
		return fail(why, "disk %s: the server wants blocks of %u bytes at least, which is "
			    "too much", disk->name, export->block);
	disk->block = export->block;
	return disk_set_size(disk, export->size, why);
}

struct disk *nbd_open(struct nbd_source *source, const char *name, bool read_only,
		      unsigned int reconnect, struct failure *why)
{
	static const struct disk_ops ops = {
		.submit = nbd_submit, .commit = nbd_commit, .complete = nbd_complete,
		.cancel = nbd_cancel, .close = nbd_disk_close,
	};
	struct nbd *nbd = calloc(1, sizeof(*nbd));
	struct failure reason;

	if (!nbd) {
		source->close(source);
		fail(why, "out of memory");
		return NULL;
	}
	nbd->disk = (struct disk){ .ops = &ops, .name = name, .read_only = read_only };
	nbd->patience = reconnect * SECOND;
	STAILQ_INIT(&nbd->waiting);
	STAILQ_INIT(&nbd->ended);
	TAILQ_INIT(&nbd->sent);
	TAILQ_INIT(&nbd->again);
	TAILQ_INIT(&nbd->answers);
	log_init(&nbd->log);
	if (link_open(&nbd->link, source, &reason)) {
		fail(why, "cannot open disk %s: %s", name, reason.text);
		nbd_disk_close(&nbd->disk);
		return NULL;
	}
	nbd->disk.event = nbd->link.event;
	link_watch(&nbd->link, 0);
	if (check_export(nbd, why)) {
		nbd_disk_close(&nbd->disk);
		return NULL;
	}
	return &nbd->disk;
}
