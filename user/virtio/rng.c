// SPDX-License-Identifier: GPL-2.0
/*
 * Fills what the guest gives, at most RNG_MAX bytes of a request at once: the driver asks again.
 *
 * Locks: none; see virtio.h.
 */
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <sys/random.h>

#include "virtio/rng.h"

#define RNG_MAX		4096

static uint32_t fill(const struct chain *chain)
{
	uint8_t data[RNG_MAX];
	size_t size = chain->write_size < sizeof(data) ? chain->write_size : sizeof(data);
	ssize_t got = getrandom(data, size, 0);

	return got > 0 ? chain_write(chain, 0, data, got) : 0;
}

static void kick(struct virtio_device *device, unsigned int index)
{
	struct virtio_queue *queue = &device->queue[index];
	struct chain chain;

	while (virtio_take(queue, &chain))
		virtio_give(queue, &chain, fill(&chain));
	virtio_signal(queue);
}

static void destroy(struct virtio_device *device)
{
	free(device);
}

struct virtio_device *virtio_rng_create(const struct guest_memory *memory, struct failure *why)
{
	static const struct virtio_ops ops = { .kick = kick, .destroy = destroy };
	struct virtio_device *device = calloc(1, sizeof(*device));

	if (!device) {
		fail(why, "out of memory");
		return NULL;
	}
	device->ops = &ops;
	device->name = "rng";
	device->type = VIRTIO_ID_RNG;
	device->offered = VIRTIO_COMMON_FEATURES;
	device->queues = 1;
	if (virtio_create(device, memory, why)) {
		virtio_destroy(device);
		return NULL;
	}
	return device;
}
