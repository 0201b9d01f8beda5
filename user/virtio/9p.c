// SPDX-License-Identifier: GPL-2.0
/*
 * Chains carry requests of 9P: buffers to be read have the request, those to be written get the
 * reply. What is in them is 9p/server.h's affair; a chain that carries no request, or has no room
 * for an answer, breaks the device.
 *
 * Requests are done here, one after the other: a slow file system of the host holds up this share
 * alone. When the device is reset the session ends.
 *
 * Locks: none; see virtio.h.
 */
#include <endian.h>
#include <linux/virtio_9p.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

#include "virtio/9p.h"

_Static_assert(P9_IOV_MAX >= QUEUE_SIZE_MAX, "a chain's data must fit");

struct share {
	struct virtio_device device;
	char name[16];
	struct p9_server *server;
	uint8_t config[sizeof(struct virtio_9p_config) + VIRTIO_9P_TAG_MAX];
	struct chain chain;
	uint8_t head[P9_HEAD_MAX];
	uint8_t reply[P9_REPLY_MAX];
};

static unsigned int slice(void *opaque, bool write, uint64_t offset, uint64_t size,
			  struct iovec *iov)
{
	return chain_slice(opaque, write, offset, size, iov);
}

static void handle(struct share *share, struct virtio_queue *queue)
{
	struct chain *chain = &share->chain;
	struct p9_call call = {
		.head = share->head,
		.head_size = chain_read(chain, 0, share->head, sizeof(share->head)),
		.size = chain->read_size,
		.room = chain->write_size,
		.slice = slice,
		.opaque = chain,
		.reply = share->reply,
	};

	if (!p9_handle(share->server, &call)) {
		virtio_break(&share->device,
			     "a chain carries no request of 9P, or has no room for a reply");
		return;
	}
	chain_write(chain, 0, call.reply, call.reply_size);
	virtio_give(queue, chain, call.reply_size + call.data_size);
	virtio_signal(queue);
}

static void kick(struct virtio_device *device, unsigned int index)
{
	struct share *share = (struct share *)device;
	struct virtio_queue *queue = &device->queue[index];

	while (virtio_take(queue, &share->chain))
		handle(share, queue);
}

static void stop(struct virtio_device *device)
{
	struct share *share = (struct share *)device;

	p9_reset(share->server);
}

static void destroy(struct virtio_device *device)
{
	struct share *share = (struct share *)device;

	p9_destroy(share->server);
	free(share);
}

static void fill_config(struct share *share, const char *tag)
{
	struct virtio_9p_config *config = (struct virtio_9p_config *)share->config;
	size_t length = strnlen(tag, VIRTIO_9P_TAG_MAX);

	config->tag_len = htole16(length);
	memcpy(config->tag, tag, length);
	share->device.config = share->config;
	share->device.config_size = sizeof(*config) + length;
}

struct virtio_device *virtio_9p_create(struct p9_server *server, const char *name, const char *tag,
				       const struct guest_memory *memory, struct failure *why)
{
	static const struct virtio_ops ops = { .kick = kick, .stop = stop, .destroy = destroy };
	struct share *share = calloc(1, sizeof(*share));

	if (!share) {
		p9_destroy(server);
		fail(why, "out of memory");
		return NULL;
	}
	share->server = server;
	strncpy(share->name, name, sizeof(share->name) - 1);
	share->device.ops = &ops;
	share->device.name = share->name;
	share->device.type = VIRTIO_ID_9P;
	share->device.offered = VIRTIO_COMMON_FEATURES | 1ULL << VIRTIO_9P_MOUNT_TAG;
	share->device.queues = 1;
	fill_config(share, tag);
	if (virtio_create(&share->device, memory, why)) {
		virtio_destroy(&share->device);
		return NULL;
	}
	return &share->device;
}
