/* SPDX-License-Identifier: GPL-2.0 */
/*
 * virtio-vsock: sockets between programs of the guest and the host, by vhost-vsock.
 */
#ifndef HULL_VIRTIO_VSOCK_H
#define HULL_VIRTIO_VSOCK_H

#include "virtio/virtio.h"

/* What guests can be known by: others are the host's, or mean any. */
#define VSOCK_CID_MIN	3U
#define VSOCK_CID_MAX	0xfffffffeU

enum { VSOCK_QUEUE_RECEIVE, VSOCK_QUEUE_SEND, VSOCK_QUEUE_EVENT, VSOCK_QUEUES };

/* @cid: the guest's address. virtio_destroy() frees; NULL with the reason. */
struct virtio_device *virtio_vsock_create(uint32_t cid, const struct guest_memory *memory,
					  struct failure *why);

#endif
