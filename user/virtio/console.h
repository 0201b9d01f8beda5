/* SPDX-License-Identifier: GPL-2.0 */
/*
 * virtio-console: ports with names, through which programs in the guest and on the host exchange
 * bytes, and a console for the guest's kernel.
 */
#ifndef HULL_VIRTIO_CONSOLE_H
#define HULL_VIRTIO_CONSOLE_H

#include <linux/virtio_console.h>

#include "port/port.h"
#include "virtio/virtio.h"

#define CONSOLE_PORTS_MAX	14	/* with a name; the console is one more */
#define CONSOLE_NAME_MAX	64

/**
 * struct console_port_setup - a port for the guest
 * @name: 1 to CONSOLE_NAME_MAX bytes; copied
 * @port: the host's end
 */
struct console_port_setup {
	const char *name;
	struct port *port;
};

/*
 * Takes over @console, the host's end of the guest's console, or NULL, and those of @count ports,
 * also when it fails. @name: of the device, in messages and of its thread; copied.
 * virtio_destroy() frees; NULL with the reason.
 */
struct virtio_device *virtio_console_create(const char *name, struct port *console,
					    const struct console_port_setup *setup,
					    unsigned int count, const struct guest_memory *memory,
					    struct failure *why);

/* The console's size has changed. Any thread, once the machine is built. */
void virtio_console_resize(struct virtio_device *device, uint16_t columns, uint16_t rows);

/* ---- control messages: pure, so that they are tested and fuzzed alone ----------------------- */

/**
 * struct console_message - what the driver says
 * @id: a port, less than there are; but of VIRTIO_CONSOLE_DEVICE_READY, where it has no meaning
 * @event: VIRTIO_CONSOLE_*
 */
struct console_message {
	uint32_t id;
	uint16_t event;
	uint16_t value;
};

/* NULL, or what is wrong with it. @ports: there are, with and without a console on port 0. */
const char *console_parse(const struct chain *chain, unsigned int ports,
			  struct console_message *message);

#endif
