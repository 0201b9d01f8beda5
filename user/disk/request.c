// SPDX-License-Identifier: GPL-2.0
/*
 * What kinds of disks share: sizes, and moving along a request.
 *
 * Locks: none.
 */
#include <poll.h>
#include <string.h>

#include "disk/disk.h"

int disk_set_size(struct disk *disk, uint64_t size, struct failure *why)
{
	if (size < DISK_SECTOR)
		return fail(why, "disk %s is too short: it has %llu bytes, a disk at least %u",
			    disk->name, (unsigned long long)size, DISK_SECTOR);
	if (size % DISK_SECTOR)
		return fail(why, "the size of disk %s, %llu bytes, is no multiple of %u",
			    disk->name, (unsigned long long)size, DISK_SECTOR);
	disk->size = size;
	return 0;
}

void disk_advance(struct disk_request *request, uint64_t size)
{
	request->offset += size;
	request->size -= size;
	while (size && request->count) {
		uint64_t part = request->iov->iov_len < size ? request->iov->iov_len : size;

		request->iov->iov_base = (char *)request->iov->iov_base + part;
		request->iov->iov_len -= part;
		size -= part;
		if (!request->iov->iov_len) {
			request->iov++;
			request->count--;
		}
	}
}

void disk_gather(const struct disk_request *request, void *data, uint64_t size)
{
	const struct iovec *iov = request->iov;
	uint8_t *to = data;

	for (; size; iov++) {
		uint64_t part = iov->iov_len < size ? iov->iov_len : size;

		memcpy(to, iov->iov_base, part);
		to += part;
		size -= part;
	}
}

void disk_scatter(const struct disk_request *request, const void *data, uint64_t size)
{
	const struct iovec *iov = request->iov;
	const uint8_t *from = data;

	for (; size; iov++) {
		uint64_t part = iov->iov_len < size ? iov->iov_len : size;

		memcpy(iov->iov_base, from, part);
		from += part;
		size -= part;
	}
}

void disk_wait(struct disk *disk)
{
	struct pollfd event = { .fd = disk->event, .events = POLLIN };

	poll(&event, 1, -1);
	disk->ops->complete(disk);
}
