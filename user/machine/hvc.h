/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The user's end of the guest's virtio console: what the serial port has else, as a port.
 */
#ifndef HULL_MACHINE_HVC_H
#define HULL_MACHINE_HVC_H

#include <stddef.h>
#include <stdint.h>

#include "machine/console.h"
#include "port/port.h"

struct hvc;

/* @console: stays, and is opened before the guest runs. NULL with the reason. */
struct hvc *hvc_create(struct console *console, struct failure *why);

/* The port, which whoever gets it destroys, and @hvc with it. */
struct port *hvc_port(struct hvc *hvc);

/* Main thread: bytes for the guest; returns how many were taken. */
size_t hvc_input(struct hvc *hvc, const uint8_t *data, size_t size);

#endif
