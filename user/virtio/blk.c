// SPDX-License-Identifier: GPL-2.0
/*
 * Chains become requests of a disk (disk/disk.h) and are given back when those end, in any order.
 *
 * A request a driver may make wrongly (past the end, not in sectors, a write to a read-only disk)
 * is answered with an error. A chain without header or place for the status breaks the device.
 *
 * Locks: none; the worker has all of it. See virtio.h.
 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_ids.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "virtio/blk.h"

#define SEGMENTS_MAX		126	/* and a header, and a status */
#define DISCARD_SECTORS_MAX	(1U << 22)
#define ZERO_SECTORS_MAX	(1U << 15)

#define FEATURES	(1ULL << VIRTIO_BLK_F_SEG_MAX | 1ULL << VIRTIO_BLK_F_BLK_SIZE |	\
			 1ULL << VIRTIO_BLK_F_FLUSH | 1ULL << VIRTIO_BLK_F_MQ)
#define FEATURES_WRITE	(1ULL << VIRTIO_BLK_F_DISCARD | 1ULL << VIRTIO_BLK_F_WRITE_ZEROES)

struct blk_request {
	struct disk_request disk;
	struct blk *blk;
	struct blk_queue *queue;
	struct blk_command command;
	struct chain chain;
	struct iovec iov[QUEUE_SIZE_MAX];
	bool in_flight;
	struct blk_request *next;	/* free */
};

struct blk_queue {
	struct virtio_queue *queue;
	struct blk_request *request;	/* QUEUE_SIZE_MAX: more are never taken */
	struct blk_request *free;
	unsigned int in_flight;
	bool given;			/* since the driver was last told */
};

struct blk {
	struct virtio_device device;
	char name[16];
	char serial[VIRTIO_BLK_ID_BYTES];
	struct virtio_blk_config config;
	struct disk *disk;
	struct watch watch;
	struct notice errors;
	struct blk_queue queue[BLK_QUEUES_MAX];
};

/* ---- parsing -------------------------------------------------------------------------------- */

static int parse_range(const struct disk *disk, struct blk_command *command, uint64_t sector)
{
	uint64_t sectors = disk->size / DISK_SECTOR;

	if (!command->size || command->size % DISK_SECTOR || sector > sectors ||
	    command->size / DISK_SECTOR > sectors - sector)
		return VIRTIO_BLK_S_IOERR;
	command->offset = sector * DISK_SECTOR;
	return VIRTIO_BLK_S_OK;
}

static int parse_segment(const struct chain *chain, const struct disk *disk,
			 struct blk_command *command)
{
	const bool zero = command->type == VIRTIO_BLK_T_WRITE_ZEROES;
	struct virtio_blk_discard_write_zeroes segment;
	uint32_t sectors, flags;

	if (disk->read_only)
		return VIRTIO_BLK_S_UNSUPP;
	/* One segment a request, as the configuration says. */
	if (chain->read_size != sizeof(struct virtio_blk_outhdr) + sizeof(segment))
		return VIRTIO_BLK_S_IOERR;
	chain_read(chain, sizeof(struct virtio_blk_outhdr), &segment, sizeof(segment));
	sectors = le32toh(segment.num_sectors);
	flags = le32toh(segment.flags);
	if (flags & ~(zero ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0U))
		return VIRTIO_BLK_S_UNSUPP;
	if (sectors > (zero ? ZERO_SECTORS_MAX : DISCARD_SECTORS_MAX))
		return VIRTIO_BLK_S_IOERR;
	command->op = zero ? DISK_ZERO : DISK_DISCARD;
	command->may_unmap = flags;
	command->size = (uint64_t)sectors * DISK_SECTOR;
	return parse_range(disk, command, le64toh(segment.sector));
}

int blk_parse(const struct chain *chain, const struct disk *disk, struct blk_command *command)
{
	struct virtio_blk_outhdr header;

	memset(command, 0, sizeof(*command));
	if (!chain->write_size ||
	    chain_read(chain, 0, &header, sizeof(header)) != sizeof(header))
		return BLK_MALFORMED;
	command->type = le32toh(header.type);
	switch (command->type) {
	case VIRTIO_BLK_T_IN:
		command->op = DISK_READ;
		command->size = chain->write_size - 1;
		return parse_range(disk, command, le64toh(header.sector));
	case VIRTIO_BLK_T_OUT:
		if (disk->read_only)
			return VIRTIO_BLK_S_IOERR;
		command->op = DISK_WRITE;
		command->size = chain->read_size - sizeof(header);
		return parse_range(disk, command, le64toh(header.sector));
	case VIRTIO_BLK_T_FLUSH:
		command->op = DISK_FLUSH;
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_GET_ID:
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return parse_segment(chain, disk, command);
	}
	return VIRTIO_BLK_S_UNSUPP;
}

/* ---- answering ------------------------------------------------------------------------------ */

/* The status is the last byte. @written: bytes before it. */
static void answer(struct blk_request *request, uint8_t status, uint32_t written)
{
	struct blk_queue *queue = request->queue;

	chain_write(&request->chain, request->chain.write_size - 1, &status, 1);
	/* Nothing is claimed of what an error left in the buffers before the status. */
	if (request->chain.write_size - 1 == written)
		written++;
	virtio_give(queue->queue, &request->chain, written);
	queue->given = true;
	request->next = queue->free;
	queue->free = request;
}

static void report(struct blk_request *request, int error)
{
	static const char *const doing[] = {
		[DISK_READ] = "reading", [DISK_WRITE] = "writing", [DISK_FLUSH] = "flushing",
		[DISK_DISCARD] = "discarding", [DISK_ZERO] = "zeroing",
	};
	const struct blk_command *command = &request->command;
	struct blk *blk = request->blk;

	notice(&blk->errors, "disk %s: %s %llu bytes at %llu failed: %s; the guest was told",
	       blk->disk->name, doing[command->op], (unsigned long long)command->size,
	       (unsigned long long)command->offset, strerror(error));
}

static void done(struct disk_request *disk, int error)
{
	struct blk_request *request;
	uint32_t written = 0;

	request = (struct blk_request *)((char *)disk - offsetof(struct blk_request, disk));
	request->queue->in_flight--;
	request->in_flight = false;
	if (error && error != ECANCELED)
		report(request, error);
	else if (!error && disk->op == DISK_READ)
		written = request->command.size;
	answer(request, error ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK, written);
}

static void answer_id(struct blk_request *request)
{
	const struct chain *chain = &request->chain;
	uint64_t room = chain->write_size - 1;

	if (room > VIRTIO_BLK_ID_BYTES)
		room = VIRTIO_BLK_ID_BYTES;
	chain_write(chain, 0, request->blk->serial, room);
	answer(request, VIRTIO_BLK_S_OK, room);
}

static void begin(struct blk_request *request)
{
	const struct blk_command *command = &request->command;
	struct disk *disk = request->blk->disk;

	request->disk = (struct disk_request){
		.op = command->op, .may_unmap = command->may_unmap,
		.offset = command->offset, .size = command->size,
		.iov = request->iov, .done = done,
	};
	if (command->op == DISK_READ)
		request->disk.count = chain_slice(&request->chain, true, 0, command->size,
						  request->iov);
	else if (command->op == DISK_WRITE)
		request->disk.count = chain_slice(&request->chain, false,
						  sizeof(struct virtio_blk_outhdr), command->size,
						  request->iov);
	request->queue->in_flight++;
	request->in_flight = true;
	disk->ops->submit(disk, &request->disk);
}

static void handle(struct blk_request *request)
{
	int status = blk_parse(&request->chain, request->blk->disk, &request->command);

	if (status == BLK_MALFORMED)
		virtio_break(&request->blk->device,
			     "a request has no header, or no room for a status");
	else if (status != VIRTIO_BLK_S_OK)
		answer(request, status, 0);
	else if (request->command.type == VIRTIO_BLK_T_GET_ID)
		answer_id(request);
	else
		begin(request);
}

static void signal_driver(struct blk_queue *queue)
{
	if (queue->given)
		virtio_signal(queue->queue);
	queue->given = false;
}

/* ---- the device ----------------------------------------------------------------------------- */

static void free_all(struct blk_queue *queue)
{
	unsigned int i;

	queue->free = NULL;
	for (i = 0; i < QUEUE_SIZE_MAX; i++) {
		queue->request[i].next = queue->free;
		queue->free = &queue->request[i];
	}
}

static void kick(struct virtio_device *device, unsigned int index)
{
	struct blk *blk = (struct blk *)device;
	struct blk_queue *queue = &blk->queue[index];
	struct blk_request *request;

	/* There is always a free one: a queue gives no more chains than it has entries. */
	while ((request = queue->free) && virtio_take(queue->queue, &request->chain)) {
		queue->free = request->next;
		handle(request);
	}
	blk->disk->ops->commit(blk->disk);
	signal_driver(queue);
}

static void disk_ready(void *opaque)
{
	struct blk *blk = opaque;
	unsigned int i;

	blk->disk->ops->complete(blk->disk);
	for (i = 0; i < blk->device.queues; i++)
		signal_driver(&blk->queue[i]);
}

/* A driver that resets a queue does not wait for its requests, so a disk need not either. */
static void cancel(struct blk_queue *queue, struct disk *disk)
{
	unsigned int i;

	for (i = 0; i < QUEUE_SIZE_MAX && disk->ops->cancel; i++)
		if (queue->request[i].in_flight)
			disk->ops->cancel(disk, &queue->request[i].disk);
}

static void drain(struct virtio_device *device, unsigned int index)
{
	struct blk *blk = (struct blk *)device;
	struct blk_queue *queue = &blk->queue[index];
	unsigned int i;

	cancel(queue, blk->disk);
	while (queue->in_flight)
		disk_wait(blk->disk);
	/* Chains that broke the device were never given back. */
	free_all(queue);
	queue->given = false;
	/* Requests of other queues have ended meanwhile. */
	for (i = 0; i < device->queues; i++)
		if (device->queue[i].live)
			signal_driver(&blk->queue[i]);
}

static void destroy(struct virtio_device *device)
{
	struct blk *blk = (struct blk *)device;
	unsigned int i;

	for (i = 0; i < device->queues; i++)
		free(blk->queue[i].request);
	blk->disk->ops->close(blk->disk);
	free(blk);
}

static void fill_config(struct blk *blk)
{
	struct virtio_blk_config *config = &blk->config;

	config->capacity = htole64(blk->disk->size / DISK_SECTOR);
	config->seg_max = htole32(SEGMENTS_MAX);
	config->blk_size = htole32(blk->disk->block);
	config->num_queues = htole16(blk->device.queues);
	if (blk->disk->read_only)
		return;
	config->max_discard_sectors = htole32(DISCARD_SECTORS_MAX);
	config->max_discard_seg = htole32(1);
	config->discard_sector_alignment = htole32(blk->disk->block / DISK_SECTOR);
	config->max_write_zeroes_sectors = htole32(ZERO_SECTORS_MAX);
	config->max_write_zeroes_seg = htole32(1);
	config->write_zeroes_may_unmap = 1;
}

static int create_queues(struct blk *blk, struct failure *why)
{
	unsigned int i, j;

	for (i = 0; i < blk->device.queues; i++) {
		struct blk_queue *queue = &blk->queue[i];

		queue->queue = &blk->device.queue[i];
		queue->request = calloc(QUEUE_SIZE_MAX, sizeof(*queue->request));
		if (!queue->request)
			return fail(why, "out of memory");
		for (j = 0; j < QUEUE_SIZE_MAX; j++) {
			queue->request[j].blk = blk;
			queue->request[j].queue = queue;
		}
		free_all(queue);
	}
	blk->watch = (struct watch){ blk->disk->event, disk_ready, blk };
	if (worker_watch(&blk->device.worker, &blk->watch, EPOLLIN))
		return fail(why, "cannot wait for disk %s", blk->disk->name);
	return 0;
}

struct virtio_device *virtio_blk_create(struct disk *disk, const struct blk_config *config,
					const struct guest_memory *memory, struct failure *why)
{
	static const struct virtio_ops ops = { .kick = kick, .drain = drain, .destroy = destroy };
	struct blk *blk = calloc(1, sizeof(*blk));

	if (!blk) {
		disk->ops->close(disk);
		fail(why, "out of memory");
		return NULL;
	}
	blk->disk = disk;
	strncpy(blk->name, config->name, sizeof(blk->name) - 1);
	if (config->serial)
		memcpy(blk->serial, config->serial, strnlen(config->serial, sizeof(blk->serial)));
	blk->device.ops = &ops;
	blk->device.name = blk->name;
	blk->device.type = VIRTIO_ID_BLOCK;
	blk->device.offered = VIRTIO_COMMON_FEATURES | FEATURES |
			      (disk->read_only ? 1ULL << VIRTIO_BLK_F_RO : FEATURES_WRITE);
	blk->device.queues = config->queues;
	blk->device.config = &blk->config;
	blk->device.config_size = sizeof(blk->config);
	fill_config(blk);
	if (virtio_create(&blk->device, memory, why) || create_queues(blk, why)) {
		virtio_destroy(&blk->device);
		return NULL;
	}
	return &blk->device;
}
