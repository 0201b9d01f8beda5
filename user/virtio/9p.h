/* SPDX-License-Identifier: GPL-2.0 */
/*
 * virtio-9p: a directory of the host, which the guest mounts by its tag.
 */
#ifndef HULL_VIRTIO_9P_H
#define HULL_VIRTIO_9P_H

#include "9p/server.h"
#include "virtio/virtio.h"

#define VIRTIO_9P_TAG_MAX	32

/*
 * Takes @server over, also when it fails. @name: of the device, in messages and of its thread;
 * @tag: 1 to VIRTIO_9P_TAG_MAX bytes; both copied. virtio_destroy() frees; NULL with the reason.
 */
struct virtio_device *virtio_9p_create(struct p9_server *server, const char *name, const char *tag,
				       const struct guest_memory *memory, struct failure *why);

#endif
