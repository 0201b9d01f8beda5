// SPDX-License-Identifier: GPL-2.0
/*
 * A disk above another that is only read: what is written goes to a temporary file of the same
 * size, without a name and with holes, and a bit for each sector says that it is there. Both end
 * with the launcher.
 *
 * With a bit a sector nothing need be copied from below before it is written to in part. Bits are
 * set when a write has ended well; a read is cut where they change, and its pieces are read one
 * after the other. A flush has nothing to do: there is no later in which it would matter.
 *
 * Locks: none, one thread.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "disk/disk.h"
#include "machine/worker.h"

#define BITS	64

struct overlay {
	struct disk disk;
	char *name;
	struct disk *base, *upper;
	uint64_t *written;
	int kick;
	struct disk_requests ended;
};

/* The piece of a request that another disk works on. */
struct overlay_part {
	struct disk_request request;
	struct overlay *overlay;
	struct disk_request *whole;
	struct disk *below;
	uint64_t size;
	struct iovec iov[];
};

/* ---- what was written ----------------------------------------------------------------------- */

static bool is_written(const struct overlay *overlay, uint64_t sector)
{
	return overlay->written[sector / BITS] >> sector % BITS & 1;
}

static void set_written(struct overlay *overlay, uint64_t offset, uint64_t size)
{
	uint64_t sector = offset / DISK_SECTOR, end = (offset + size) / DISK_SECTOR;

	while (sector < end) {
		if (sector % BITS == 0 && end - sector >= BITS) {
			overlay->written[sector / BITS] = UINT64_MAX;
			sector += BITS;
		} else {
			overlay->written[sector / BITS] |= 1ULL << sector % BITS;
			sector++;
		}
	}
}

/* Bytes from @offset on that are where the first of them is. */
static uint64_t run_length(const struct overlay *overlay, uint64_t offset, uint64_t size)
{
	uint64_t first = offset / DISK_SECTOR, end = (offset + size) / DISK_SECTOR;
	const bool written = is_written(overlay, first);
	const uint64_t all = written ? UINT64_MAX : 0;
	uint64_t sector = first;

	while (sector < end) {
		if (sector % BITS == 0 && end - sector >= BITS &&
		    overlay->written[sector / BITS] == all)
			sector += BITS;
		else if (is_written(overlay, sector) == written)
			sector++;
		else
			break;
	}
	return (sector - first) * DISK_SECTOR;
}

/* ---- requests ------------------------------------------------------------------------------- */

static void end(struct overlay *overlay, struct disk_request *request, int error)
{
	free(request->part);
	request->part = NULL;
	request->error = error;
	STAILQ_INSERT_TAIL(&overlay->ended, request, link);
	event_signal(overlay->kick);
}

/* The first @size bytes of what the request moves. */
static unsigned int slice(const struct disk_request *request, uint64_t size, struct iovec *iov)
{
	unsigned int i;

	for (i = 0; i < request->count && size; i++) {
		iov[i] = request->iov[i];
		if (iov[i].iov_len > size)
			iov[i].iov_len = size;
		size -= iov[i].iov_len;
	}
	return i;
}

static void part_done(struct disk_request *request, int error);

static void begin(struct overlay_part *part)
{
	struct overlay *overlay = part->overlay;
	struct disk_request *whole = part->whole;

	part->below = overlay->upper;
	part->size = whole->size;
	if (whole->op == DISK_READ) {
		part->size = run_length(overlay, whole->offset, whole->size);
		if (!is_written(overlay, whole->offset / DISK_SECTOR))
			part->below = overlay->base;
	}
	part->request = (struct disk_request){
		.op = whole->op, .may_unmap = whole->may_unmap,
		.offset = whole->offset, .size = part->size,
		.iov = part->iov, .count = slice(whole, part->size, part->iov), .done = part_done,
	};
	part->below->ops->submit(part->below, &part->request);
}

static void part_done(struct disk_request *request, int error)
{
	struct overlay_part *part = (struct overlay_part *)request;
	struct overlay *overlay = part->overlay;
	struct disk_request *whole = part->whole;

	if (!error && (whole->op == DISK_WRITE || whole->op == DISK_ZERO))
		set_written(overlay, whole->offset, part->size);
	if (!error)
		disk_advance(whole, part->size);
	if (!error && whole->size)
		begin(part);
	else
		end(overlay, whole, error);
}

static void overlay_submit(struct disk *disk, struct disk_request *request)
{
	struct overlay *overlay = (struct overlay *)disk;
	struct overlay_part *part;

	request->part = NULL;
	if (request->op == DISK_FLUSH) {
		end(overlay, request, 0);
		return;
	}
	part = malloc(sizeof(*part) + request->count * sizeof(part->iov[0]));
	if (!part) {
		end(overlay, request, ENOMEM);
		return;
	}
	part->overlay = overlay;
	part->whole = request;
	request->part = part;
	begin(part);
}

static void overlay_commit(struct disk *disk)
{
	struct overlay *overlay = (struct overlay *)disk;

	overlay->base->ops->commit(overlay->base);
	overlay->upper->ops->commit(overlay->upper);
}

static void overlay_complete(struct disk *disk)
{
	struct overlay *overlay = (struct overlay *)disk;
	struct disk_requests ended = STAILQ_HEAD_INITIALIZER(ended);
	struct disk_request *request;

	event_drain(overlay->kick);
	overlay->base->ops->complete(overlay->base);
	overlay->upper->ops->complete(overlay->upper);
	/* Pieces that follow on those that have ended. */
	overlay_commit(disk);
	STAILQ_CONCAT(&ended, &overlay->ended);
	while ((request = STAILQ_FIRST(&ended))) {
		STAILQ_REMOVE_HEAD(&ended, link);
		request->done(request, request->error);
	}
}

static void overlay_cancel(struct disk *disk, struct disk_request *request)
{
	struct overlay_part *part = request->part;

	(void)disk;
	if (part && part->below->ops->cancel)
		part->below->ops->cancel(part->below, &part->request);
}

static void overlay_close(struct disk *disk)
{
	struct overlay *overlay = (struct overlay *)disk;

	if (overlay->upper)
		overlay->upper->ops->close(overlay->upper);
	overlay->base->ops->close(overlay->base);
	if (overlay->kick >= 0)
		close(overlay->kick);
	if (overlay->disk.event >= 0)
		close(overlay->disk.event);
	free(overlay->written);
	free(overlay->name);
	free(overlay);
}

/* ---- opening -------------------------------------------------------------------------------- */

static int create_events(struct overlay *overlay)
{
	const int fds[] = { overlay->base->event, overlay->upper->event, overlay->kick };
	struct epoll_event event = { .events = EPOLLIN };
	unsigned int i;

	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (epoll_ctl(overlay->disk.event, EPOLL_CTL_ADD, fds[i], &event))
			return -1;
	return 0;
}

static int fill(struct overlay *overlay, const char *directory, struct failure *why)
{
	struct disk *base = overlay->base;

	if (asprintf(&overlay->name, "%s (overlay in %s)", base->name, directory) < 0)
		overlay->name = NULL;
	overlay->disk.name = overlay->name;
	overlay->disk.size = base->size;
	overlay->disk.block = base->block;
	/* Pages of it that nothing is written to take no memory. */
	overlay->written = calloc(base->size / DISK_SECTOR / BITS + 1, sizeof(*overlay->written));
	if (!overlay->name || !overlay->written)
		return fail(why, "out of memory for an overlay of disk %s", base->name);
	overlay->upper = raw_open_temporary(directory, base->size, why);
	if (!overlay->upper)
		return -1;
	overlay->kick = event_create();
	overlay->disk.event = epoll_create1(EPOLL_CLOEXEC);
	if (overlay->kick < 0 || overlay->disk.event < 0 || create_events(overlay))
		return fail(why, "cannot create what disk %s is waited for with: %s", base->name,
			    strerror(errno));
	return 0;
}

struct disk *overlay_open(struct disk *base, const char *directory, struct failure *why)
{
	static const struct disk_ops ops = {
		.submit = overlay_submit, .commit = overlay_commit, .complete = overlay_complete,
		.cancel = overlay_cancel, .close = overlay_close,
	};
	struct overlay *overlay = calloc(1, sizeof(*overlay));

	if (!overlay) {
		base->ops->close(base);
		fail(why, "out of memory for an overlay of disk %s", base->name);
		return NULL;
	}
	overlay->disk = (struct disk){ .ops = &ops, .event = -1 };
	overlay->base = base;
	overlay->kick = -1;
	STAILQ_INIT(&overlay->ended);
	if (fill(overlay, directory, why)) {
		overlay_close(&overlay->disk);
		return NULL;
	}
	return &overlay->disk;
}
