// SPDX-License-Identifier: GPL-2.0
/*
 * virtio-console: control messages by chains, and what a whole device makes of a driver's queues,
 * whatever they have in them: no port is touched that is not there, and nothing is written but what
 * the chains offer.
 *
 * Input: as virtio.h has it; its last byte says which queue it is. The device has a console and two
 * ports, whose ends take and give a little at a time.
 */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "virtio.h"
#include "virtio/console.h"

#define PORTS	3
#define QUEUES	(2 + 2 * PORTS)

/* ---- ends ----------------------------------------------------------------------------------- */

struct end {
	struct port port;
	unsigned int turn;
	bool guest;
};

static void end_ready(struct port *port)
{
	(void)port;
}

static ssize_t end_send(struct port *port, const struct iovec *iov, unsigned int count)
{
	struct end *end = (struct end *)port;

	if (!count || !iov->iov_len || !port->open)
		abort();
	if (end->turn++ % 4 == 3)
		return -EAGAIN;
	/* Sanitizers see it when this is no memory of the guest. */
	if (end->turn > 50) {
		port->open = false;
		return -EPIPE;
	}
	return *(const uint8_t *)iov->iov_base % 2 && iov->iov_len > 1 ? iov->iov_len - 1 : 1;
}

static ssize_t end_receive(struct port *port, const struct iovec *iov, unsigned int count)
{
	struct end *end = (struct end *)port;

	if (!count || !iov->iov_len || !port->open)
		abort();
	if (end->turn++ % 4 == 3)
		return -EAGAIN;
	if (end->turn > 50) {
		port->open = false;
		return 0;
	}
	memset(iov->iov_base, 0x5a, 1);
	return 1;
}

static void end_guest(struct port *port, bool open)
{
	struct end *end = (struct end *)port;

	if (end->guest == open)
		abort();
	end->guest = open;
}

static void end_destroy(struct port *port)
{
	close(port->event);
	free(port);
}

static struct port *new_end(void)
{
	static const struct port_ops ops = {
		.ready = end_ready, .send = end_send, .receive = end_receive,
		.guest = end_guest, .destroy = end_destroy,
	};
	struct end *end = calloc(1, sizeof(*end));

	if (!end)
		abort();
	end->port = (struct port){ .ops = &ops, .event = eventfd(0, 0), .open = true };
	return &end->port;
}

/* ---- the device ----------------------------------------------------------------------------- */

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

static void ready_port(struct virtio_device *device, unsigned int port)
{
	/* As a driver says it, so that ports are at work whatever the input. */
	static const uint16_t events[] = { VIRTIO_CONSOLE_PORT_READY, VIRTIO_CONSOLE_PORT_OPEN };
	const struct guest_memory *memory = device->memory;
	const struct vring_desc desc = { 0x9000, 8, 0, 0 };
	struct virtio_queue *queue = &device->queue[3];
	struct queue_setup setup = { .size = 2, .desc = 0x8000, .avail = 0x8100, .used = 0x8200 };
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct virtio_console_control message = { port, events[i], 1 };
		uint16_t avail[] = { 0, 1, 0, 0 };

		memory_write(memory, 0x8000, &desc, sizeof(desc));
		memory_write(memory, 0x8100, avail, sizeof(avail));
		memory_zero(memory, 0x8200, 64);
		memory_write(memory, 0x9000, &message, sizeof(message));
		if (queue_start(&queue->ring, memory, &setup))
			abort();
		queue->live = true;
		device->ops->kick(device, 3);
		queue->live = false;
	}
}

static void run_device(const struct guest_memory *memory, const uint8_t *data, size_t size)
{
	static const struct virtio_transport transport = {
		.interrupt = no_interrupt, .started = no_interrupt, .stopped = no_interrupt,
		.reset = no_reset,
	};
	struct console_port_setup setup[] = { { "a", new_end() }, { "b", new_end() } };
	unsigned int index = data[size - 1] % QUEUES, i;
	struct virtio_device *device;
	struct failure why;

	notice_sink = no_line;
	device = virtio_console_create("console", new_end(), setup, 2, memory, &why);
	if (!device)
		abort();
	device->transport = &transport;
	device->accepted = device->offered;
	device->running = true;
	for (i = 0; i < PORTS; i++)
		ready_port(device, i);
	if (fuzz_queue(&device->queue[index].ring, memory, data, size)) {
		device->queue[index].live = true;
		for (i = 0; i < 20; i++)
			device->ops->kick(device, index);
	}
	virtio_stop(device);
	virtio_destroy(device);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct guest_memory *memory = fuzz_memory();
	static struct chain chain;
	struct console_message message;
	struct queue queue;

	if (!fuzz_queue(&queue, memory, data, size))
		return 0;
	while (queue_take(&queue, &chain) > 0 && queue.last_avail < 1000) {
		if (!console_parse(&chain, PORTS, &message) &&
		    message.event != VIRTIO_CONSOLE_DEVICE_READY && message.id >= PORTS)
			abort();
		queue_give(&queue, &chain, 0);
	}
	run_device(fuzz_memory(), data, size);
	return 0;
}
