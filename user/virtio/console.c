// SPDX-License-Identifier: GPL-2.0
/*
 * Ports of virtio-console. Port 0 is the guest's console, if it has one; the others have names.
 *
 * Bytes go between the driver's buffers and a port's end (port/port.h) without a stop: a chain is
 * held until the end has taken all of it, or has something for it. What the device has to tell
 * about ports is not queued, but marked: the driver gets the state as it is when it has a buffer
 * for it. A port's end of file is told after all bytes before it.
 *
 * Locks: none, but device->lock for the size of the console, which any thread may change. See
 * virtio.h.
 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_ids.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "virtio/console.h"

#define QUEUE_SIZE	64	/* a driver of Linux's fills it with pages */
#define TURN		64	/* after so many chains it is another port's turn */

/* How long an end that takes nothing is waited for when the guest has ended. */
#define DRAIN_MS	1000

enum { QUEUE_CONTROL_RECEIVE = 2, QUEUE_CONTROL_SEND = 3 };
enum { RECEIVE, SEND };		/* a port's queues, from its first one on */

/* What the driver is to be told of a port, in this order. */
enum {
	TELL_ADD	= 1 << 0,
	TELL_CONSOLE	= 1 << 1,
	TELL_NAME	= 1 << 2,
	TELL_SIZE	= 1 << 3,
	TELL_OPEN	= 1 << 4,
};

/**
 * struct console_port - a port
 * @there: false: port 0 without a console
 * @ready: the driver has it
 * @tell: TELL_*
 * @guest: the guest has opened it
 * @closing: it has closed it, and the end is to be told when it has all
 * @in: a chain that waits for bytes, when @in_busy
 * @out: a chain whose first @out_done bytes were taken, when @out_busy
 */
struct console_port {
	struct console *console;
	unsigned int index;
	bool there;
	char name[CONSOLE_NAME_MAX + 1];
	struct port *port;
	struct watch watch;
	bool ready;
	unsigned int tell;
	bool guest, closing;
	bool in_busy, out_busy;
	uint64_t out_done;
	struct chain in, out;
};

struct console {
	struct virtio_device device;
	char name[16];
	struct virtio_console_config config;
	atomic_bool resized;
	struct notice notice;
	struct chain chain;
	unsigned int ports;
	struct console_port port[1 + CONSOLE_PORTS_MAX];
};

/* ---- messages of the driver ----------------------------------------------------------------- */

const char *console_parse(const struct chain *chain, unsigned int ports,
			  struct console_message *message)
{
	struct virtio_console_control control;

	if (chain->writes)
		return "a control message has buffers to be written";
	if (chain_read(chain, 0, &control, sizeof(control)) != sizeof(control))
		return "a control message is too short";
	*message = (struct console_message){
		.id = le32toh(control.id),
		.event = le16toh(control.event),
		.value = le16toh(control.value),
	};
	if (message->event != VIRTIO_CONSOLE_DEVICE_READY && message->id >= ports)
		return "a control message names a port that is not there";
	return NULL;
}

/* ---- messages to the driver ----------------------------------------------------------------- */

static bool multiport(const struct console *console)
{
	return virtio_has(&console->device, VIRTIO_CONSOLE_F_MULTIPORT);
}

static size_t name_of(const struct console_port *port, void *data)
{
	size_t size = strlen(port->name);

	memcpy(data, port->name, size);
	return size;
}

/* As the specification has it; Linux before 6.16, and its stable series, had them swapped. */
static size_t size_of(struct console *console, void *data)
{
	pthread_mutex_lock(&console->device.lock);
	memcpy(data, &console->config.cols, 2);
	memcpy((uint8_t *)data + 2, &console->config.rows, 2);
	pthread_mutex_unlock(&console->device.lock);
	return 4;
}

/* The message for @what in @data; returns its bytes. */
static size_t build(struct console_port *port, unsigned int what, uint8_t *data)
{
	struct virtio_console_control control = { .id = htole32(port->index) };
	uint16_t event = VIRTIO_CONSOLE_PORT_ADD, value = 1;
	size_t size = sizeof(control);

	switch (what) {
	case TELL_CONSOLE:
		event = VIRTIO_CONSOLE_CONSOLE_PORT;
		break;
	case TELL_NAME:
		event = VIRTIO_CONSOLE_PORT_NAME;
		size += name_of(port, data + size);
		break;
	case TELL_SIZE:
		event = VIRTIO_CONSOLE_RESIZE;
		size += size_of(port->console, data + size);
		break;
	case TELL_OPEN:
		event = VIRTIO_CONSOLE_PORT_OPEN;
		value = port->port->open;
		break;
	}
	control.event = htole16(event);
	control.value = htole16(value);
	memcpy(data, &control, sizeof(control));
	return size;
}

/* What may be told now: the driver has to know the port before all else. */
static unsigned int next_word(const struct console_port *port)
{
	unsigned int may = port->tell & (port->ready ? ~0U : TELL_ADD);

	return may & -may;
}

static bool tell_one(struct console_port *port, unsigned int what)
{
	struct console *console = port->console;
	struct virtio_queue *queue = &console->device.queue[QUEUE_CONTROL_RECEIVE];
	uint8_t data[sizeof(struct virtio_console_control) + CONSOLE_NAME_MAX];
	size_t size = build(port, what, data);

	if (!virtio_take(queue, &console->chain))
		return false;
	if (console->chain.reads || console->chain.write_size < size) {
		virtio_break(&console->device,
			     "a buffer for control messages is none, or too small");
		return false;
	}
	chain_write(&console->chain, 0, data, size);
	virtio_give(queue, &console->chain, size);
	port->tell &= ~what;
	return true;
}

static void tell(struct console *console)
{
	unsigned int i, what;
	bool room = true;

	if (!multiport(console))
		return;
	for (i = 0; i < console->ports && room; i++)
		while (room && (what = next_word(&console->port[i])))
			room = tell_one(&console->port[i], what);
	virtio_signal(&console->device.queue[QUEUE_CONTROL_RECEIVE]);
}

/* ---- bytes ---------------------------------------------------------------------------------- */

static struct virtio_queue *queue_of(struct console_port *port, unsigned int which)
{
	unsigned int first = port->index ? 2 + 2 * port->index : 0;

	return &port->console->device.queue[first + which];
}

/* An end that has gone has a reason only when that is not the other side's leaving. */
static void say_why(struct console_port *port, int error)
{
	if (error != -EPIPE && error != -ECONNRESET && error != -EIO)
		notice(&port->console->notice, "%s: port %s: %s", port->console->name, port->name,
		       strerror(-error));
}

static bool somebody(const struct console_port *port)
{
	return port->there && port->port->open;
}

/* True: all of the chain was taken, or there is nobody to take it. */
static bool send_chain(struct console_port *port)
{
	struct iovec iov[QUEUE_SIZE_MAX];
	unsigned int count;
	ssize_t done;

	while (somebody(port) && port->out_done < port->out.read_size) {
		count = chain_slice(&port->out, false, port->out_done,
				    port->out.read_size - port->out_done, iov);
		done = port->port->ops->send(port->port, iov, count);
		if (done == -EAGAIN)
			return false;
		if (done < 0) {
			say_why(port, done);
			port->tell |= TELL_OPEN;
		} else {
			port->out_done += done;
		}
	}
	return true;
}

static bool take_out(struct console_port *port, bool (*take)(struct virtio_queue *queue,
							     struct chain *chain))
{
	if (!port->out_busy) {
		if (!take(queue_of(port, SEND), &port->out))
			return false;
		if (port->out.writes) {
			virtio_break(&port->console->device,
				     "what is sent by a port has buffers to be written");
			return false;
		}
		port->out_busy = true;
		port->out_done = 0;
	}
	return true;
}

static void finish_closing(struct console_port *port)
{
	bool was = port->port->open;

	port->closing = false;
	port->port->ops->guest(port->port, false);
	if (port->port->closed)
		port->port->closed(port->port->opaque);
	if (port->port->open != was)
		port->tell |= TELL_OPEN;
}

static void pump_out(struct console_port *port)
{
	struct virtio_queue *queue = queue_of(port, SEND);
	unsigned int left = TURN;

	while (left && take_out(port, virtio_take) && send_chain(port)) {
		virtio_give(queue, &port->out, 0);
		port->out_busy = false;
		left--;
	}
	virtio_signal(queue);
	if (!left)
		event_signal(queue->kick);
	else if (port->closing && !port->out_busy)
		finish_closing(port);
}

/* A buffer to be filled. */
static bool take_in(struct console_port *port)
{
	if (!port->in_busy) {
		if (!virtio_take(queue_of(port, RECEIVE), &port->in))
			return false;
		if (port->in.reads) {
			virtio_break(&port->console->device,
				     "a buffer for what is received has parts to be read");
			return false;
		}
		port->in_busy = true;
	}
	return true;
}

static void pump_in(struct console_port *port)
{
	struct virtio_queue *queue = queue_of(port, RECEIVE);
	unsigned int left = TURN;
	ssize_t got = 1;

	while (left && got > 0 && port->guest && somebody(port) && take_in(port)) {
		got = port->port->ops->receive(port->port, port->in.iov, port->in.writes);
		if (got > 0) {
			virtio_give(queue, &port->in, got);
			port->in_busy = false;
			left--;
		} else if (got != -EAGAIN) {
			if (got < 0)
				say_why(port, got);
			port->tell |= TELL_OPEN;
		}
	}
	virtio_signal(queue);
	if (!left)
		event_signal(queue->kick);
}

/* A driver that knows no control messages may write to a console that is not there. */
static void pump(struct console_port *port)
{
	if (port->there && !port->ready)
		return;
	pump_out(port);
	pump_in(port);
}

static void port_ready(void *opaque)
{
	struct console_port *port = opaque;
	bool was = port->port->open;

	port->port->ops->ready(port->port);
	if (port->port->open != was)
		port->tell |= TELL_OPEN;
	pump(port);
	tell(port->console);
}

/* ---- control -------------------------------------------------------------------------------- */

static void add_ports(struct console *console)
{
	unsigned int i;

	for (i = 0; i < console->ports; i++)
		if (console->port[i].there && !console->port[i].ready)
			console->port[i].tell |= TELL_ADD;
}

static void begin_port(struct console_port *port)
{
	port->ready = true;
	port->tell |= TELL_NAME | TELL_OPEN;
	if (!port->index)
		port->tell |= TELL_CONSOLE | TELL_SIZE;
	pump(port);
}

static void set_guest(struct console_port *port, bool open)
{
	if (port->guest == open)
		return;
	port->guest = open;
	/* What it has sent before it closed the port is still on its way. */
	port->closing = !open;
	if (open)
		port->port->ops->guest(port->port, true);
	pump(port);
}

static void obey(struct console *console, const struct console_message *message)
{
	struct console_port *port;

	if (message->event == VIRTIO_CONSOLE_DEVICE_READY) {
		if (message->value)
			add_ports(console);
		return;
	}
	port = &console->port[message->id];
	if (!port->there)
		return;
	if (message->event == VIRTIO_CONSOLE_PORT_READY && message->value && !port->ready)
		begin_port(port);
	else if (message->event == VIRTIO_CONSOLE_PORT_OPEN && port->ready)
		set_guest(port, message->value);
}

static void listen_to_driver(struct console *console)
{
	struct virtio_queue *queue = &console->device.queue[QUEUE_CONTROL_SEND];
	struct console_message message;
	unsigned int left = TURN;
	const char *wrong;

	while (left && virtio_take(queue, &console->chain)) {
		wrong = console_parse(&console->chain, console->ports, &message);
		if (wrong) {
			virtio_break(&console->device, wrong);
			return;
		}
		virtio_give(queue, &console->chain, 0);
		obey(console, &message);
		left--;
	}
	virtio_signal(queue);
	if (!left)
		event_signal(queue->kick);
}

/* ---- the device ----------------------------------------------------------------------------- */

/* Without control messages there is the console, which is always open. */
static void start(struct virtio_device *device)
{
	struct console *console = (struct console *)device;

	if (multiport(console) || !console->port[0].there)
		return;
	console->port[0].ready = true;
	console->port[0].guest = true;
	console->port[0].port->ops->guest(console->port[0].port, true);
}

static void kick(struct virtio_device *device, unsigned int index)
{
	struct console *console = (struct console *)device;

	if (index == QUEUE_CONTROL_SEND)
		listen_to_driver(console);
	else if (index == QUEUE_CONTROL_RECEIVE && atomic_exchange(&console->resized, false))
		console->port[0].tell |= TELL_SIZE;
	else if (index < QUEUE_CONTROL_RECEIVE)
		pump(&console->port[0]);
	else if (index > QUEUE_CONTROL_SEND)
		pump(&console->port[index / 2 - 1]);
	tell(console);
}

static bool take_late(struct virtio_queue *queue, struct chain *chain)
{
	return queue_take(&queue->ring, chain) > 0;
}

/* What the guest has sent is still taken, as long as it is taken. */
static void drain_out(struct console_port *port)
{
	struct pollfd event = { .fd = port->port->event, .events = POLLIN };

	while (port->ready && take_out(port, take_late)) {
		while (!send_chain(port)) {
			if (poll(&event, 1, DRAIN_MS) != 1)
				return;
			port->port->ops->ready(port->port);
		}
		queue_give(&queue_of(port, SEND)->ring, &port->out, 0);
		port->out_busy = false;
	}
}

static void drain(struct virtio_device *device, unsigned int index)
{
	struct console *console = (struct console *)device;
	struct console_port *port;

	if (index == QUEUE_CONTROL_RECEIVE || index == QUEUE_CONTROL_SEND)
		return;
	port = &console->port[index < 2 ? 0 : index / 2 - 1];
	if (!port->there)
		return;
	if (index % 2 == RECEIVE) {
		port->in_busy = false;
		return;
	}
	drain_out(port);
	port->out_busy = false;
}

static void stop(struct virtio_device *device)
{
	struct console *console = (struct console *)device;
	unsigned int i;

	for (i = 0; i < console->ports; i++) {
		struct console_port *port = &console->port[i];

		if (port->there && (port->guest || port->closing))
			port->port->ops->guest(port->port, false);
		port->ready = false;
		port->guest = false;
		port->closing = false;
		port->tell = 0;
	}
}

static void destroy(struct virtio_device *device)
{
	struct console *console = (struct console *)device;
	unsigned int i;

	for (i = 0; i < console->ports; i++)
		if (console->port[i].there)
			console->port[i].port->ops->destroy(console->port[i].port);
	free(console);
}

static void add_port(struct console *console, const char *name, struct port *end)
{
	struct console_port *port = &console->port[console->ports];

	port->console = console;
	port->index = console->ports++;
	port->there = end;
	port->port = end;
	strncpy(port->name, name, sizeof(port->name) - 1);
	if (end)
		port->watch = (struct watch){ end->event, port_ready, port };
}

static int watch_ports(struct console *console, struct failure *why)
{
	unsigned int i;

	for (i = 0; i < console->ports; i++)
		if (console->port[i].there &&
		    worker_watch(&console->device.worker, &console->port[i].watch, EPOLLIN))
			return fail(why, "%s: cannot wait for port %s: %s", console->name,
				    console->port[i].name, strerror(errno));
	return 0;
}

static void destroy_ends(struct port *end, const struct console_port_setup *setup,
			 unsigned int count)
{
	if (end)
		end->ops->destroy(end);
	while (count--)
		setup[count].port->ops->destroy(setup[count].port);
}

static void describe(struct console *console)
{
	static const struct virtio_ops ops = {
		.start = start, .kick = kick, .drain = drain, .stop = stop, .destroy = destroy,
	};
	struct virtio_device *device = &console->device;
	unsigned int i;

	device->ops = &ops;
	device->name = console->name;
	device->type = VIRTIO_ID_CONSOLE;
	device->offered = VIRTIO_COMMON_FEATURES | 1ULL << VIRTIO_CONSOLE_F_MULTIPORT;
	if (console->port[0].there)
		device->offered |= 1ULL << VIRTIO_CONSOLE_F_SIZE;
	device->queues = 2 + 2 * console->ports;
	for (i = 0; i < device->queues; i++)
		device->queue[i].size_max = QUEUE_SIZE;
	console->config.max_nr_ports = htole32(console->ports);
	device->config = &console->config;
	/* Up to what no feature here makes valid. */
	device->config_size = offsetof(struct virtio_console_config, emerg_wr);
}

struct virtio_device *virtio_console_create(const char *name, struct port *end,
					    const struct console_port_setup *setup,
					    unsigned int count, const struct guest_memory *memory,
					    struct failure *why)
{
	struct console *console = calloc(1, sizeof(*console));
	unsigned int i;

	if (!console || count > CONSOLE_PORTS_MAX) {
		fail(why, console ? "too many ports" : "out of memory");
		destroy_ends(end, setup, count);
		free(console);
		return NULL;
	}
	strncpy(console->name, name, sizeof(console->name) - 1);
	add_port(console, "console", end);
	for (i = 0; i < count; i++)
		add_port(console, setup[i].name, setup[i].port);
	describe(console);
	if (virtio_create(&console->device, memory, why) || watch_ports(console, why)) {
		virtio_destroy(&console->device);
		return NULL;
	}
	return &console->device;
}

void virtio_console_resize(struct virtio_device *device, uint16_t columns, uint16_t rows)
{
	struct console *console = (struct console *)device;

	pthread_mutex_lock(&device->lock);
	console->config.cols = htole16(columns);
	console->config.rows = htole16(rows);
	virtio_config_changed(device);
	pthread_mutex_unlock(&device->lock);
	atomic_store(&console->resized, true);
	event_signal(device->queue[QUEUE_CONTROL_RECEIVE].kick);
}
