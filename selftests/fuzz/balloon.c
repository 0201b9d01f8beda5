// SPDX-License-Identifier: GPL-2.0
/*
 * virtio-balloon: what a device makes of a driver's queues, whatever they have in them. Sanitizers
 * and the kernel see it when what is given away is no memory.
 *
 * Input: as virtio.h has it; its last byte says which queue it is, and which features were agreed
 * on.
 */
#include "virtio.h"
#include "virtio/balloon.h"

#define QUEUES	5

static void no_interrupt(struct virtio_device *device, struct virtio_queue *queue)
{
	(void)device;
	(void)queue;
}

static void no_reset(struct virtio_device *device)
{
	(void)device;
}

static void no_line(const char *line)
{
	(void)line;
}

static void run_device(const struct guest_memory *memory, const uint8_t *data, size_t size)
{
	static const struct virtio_transport transport = {
		.interrupt = no_interrupt, .started = no_interrupt, .stopped = no_interrupt,
		.reset = no_reset,
	};
	unsigned int index = data[size - 1] % QUEUES, i;
	struct virtio_device *device;
	const struct balloon_stats *stats;
	struct failure why;

	notice_sink = no_line;
	device = virtio_balloon_create(MIB, false, memory, &why);
	if (!device)
		abort();
	device->transport = &transport;
	device->accepted = device->offered ^ (uint64_t)(data[size - 1] / QUEUES & 0x3f);
	device->running = true;
	device->ops->start(device);
	if (fuzz_queue(&device->queue[index].ring, memory, data, size)) {
		device->queue[index].live = true;
		for (i = 0; i < 20 && !atomic_load(&device->broken); i++)
			device->ops->kick(device, index);
	}
	stats = virtio_balloon_stats(device);
	if (stats->said >> VIRTIO_BALLOON_S_NR || (index && stats->inflated) ||
	    (index < 2 && stats->reported))
		abort();
	virtio_stop(device);
	virtio_destroy(device);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct guest_memory *memory = fuzz_memory();
	static struct chain chain;
	struct balloon_stats stats = { 0 };
	struct queue queue;
	unsigned int i;

	if (!fuzz_queue(&queue, memory, data, size))
		return 0;
	while (queue_take(&queue, &chain) > 0 && queue.last_avail < 1000) {
		if (!balloon_check_pages(&chain) && (chain.writes || chain.read_size % 4))
			abort();
		balloon_parse_stats(&chain, &stats);
		if (!balloon_check_report(&chain))
			for (i = 0; i < chain.writes; i++)
				if (((uintptr_t)chain.iov[i].iov_base | chain.iov[i].iov_len) %
				    PAGE_SIZE)
					abort();
		queue_give(&queue, &chain, 0);
	}
	run_device(fuzz_memory(), data, size);
	return 0;
}
