// SPDX-License-Identifier: GPL-2.0
/*
 * The device of AF_VSOCK: configuration, and when the kernel may work on which queues. What is in
 * packets, it alone knows. The queue of events stays empty: there are events when a guest has moved
 * to another host.
 *
 * Locks: none; the worker.
 */
#include <endian.h>
#include <errno.h>
#include <linux/vhost.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_vsock.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "virtio/vhost.h"
#include "virtio/vsock.h"

#define PATH	"/dev/vhost-vsock"

/* vhost runs both queues, or none. */
#define BOTH	(1U << VSOCK_QUEUE_RECEIVE | 1U << VSOCK_QUEUE_SEND)

struct vsock {
	struct virtio_device device;
	struct virtio_vsock_config config;
	struct vhost vhost;
	unsigned int ready;		/* bits of queues that vhost has */
};

static void set_running(struct vsock *vsock, int running)
{
	if (ioctl(vsock->vhost.fd, VHOST_VSOCK_SET_RUNNING, &running) && running)
		vhost_fail(&vsock->vhost, "work on the queues");
}

static void start(struct virtio_device *device)
{
	struct vsock *vsock = (struct vsock *)device;

	vhost_start(&vsock->vhost);
}

static void kick(struct virtio_device *device, unsigned int index)
{
	struct vsock *vsock = (struct vsock *)device;

	if (index == VSOCK_QUEUE_EVENT || vhost_start_queue(&vsock->vhost, &device->queue[index]))
		return;
	vsock->ready |= 1U << index;
	if (vsock->ready != BOTH)
		return;
	set_running(vsock, 1);
	vhost_queue_runs(&device->queue[VSOCK_QUEUE_RECEIVE]);
	vhost_queue_runs(&device->queue[VSOCK_QUEUE_SEND]);
}

static void drain(struct virtio_device *device, unsigned int index)
{
	struct vsock *vsock = (struct vsock *)device;

	if (index == VSOCK_QUEUE_EVENT)
		return;
	if (vsock->ready == BOTH)
		set_running(vsock, 0);
	vsock->ready &= ~(1U << index);
	vhost_stop_queue(&vsock->vhost, &device->queue[index]);
}

static void destroy(struct virtio_device *device)
{
	struct vsock *vsock = (struct vsock *)device;

	vhost_close(&vsock->vhost);
	free(vsock);
}

static int open_vhost(struct vsock *vsock, uint32_t cid, const struct guest_memory *memory,
		      struct failure *why)
{
	uint64_t wide = cid;

	if (vhost_open(&vsock->vhost, PATH, "vhost_vsock", memory, why))
		return -1;
	if (!ioctl(vsock->vhost.fd, VHOST_VSOCK_SET_GUEST_CID, &wide))
		return 0;
	if (errno == EADDRINUSE)
		return fail(why, "the CID %u is in use by another guest: choose another (--vsock)",
			    cid);
	return fail(why, "cannot give the guest the CID %u: %s", cid, strerror(errno));
}

struct virtio_device *virtio_vsock_create(uint32_t cid, const struct guest_memory *memory,
					  struct failure *why)
{
	static const struct virtio_ops ops = {
		.start = start, .kick = kick, .drain = drain, .destroy = destroy,
	};
	struct vsock *vsock = calloc(1, sizeof(*vsock));

	if (!vsock) {
		fail(why, "out of memory");
		return NULL;
	}
	if (open_vhost(vsock, cid, memory, why)) {
		vhost_close(&vsock->vhost);
		free(vsock);
		return NULL;
	}
	vsock->config.guest_cid = htole64(cid);
	vsock->device.ops = &ops;
	vsock->device.name = "vsock";
	vsock->device.type = VIRTIO_ID_VSOCK;
	vsock->device.offered = vhost_common_features(&vsock->vhost) |
				(vsock->vhost.features & 1ULL << VIRTIO_VSOCK_F_SEQPACKET);
	vsock->device.queues = VSOCK_QUEUES;
	vsock->device.queue[VSOCK_QUEUE_RECEIVE].outside = true;
	vsock->device.queue[VSOCK_QUEUE_SEND].outside = true;
	vsock->device.config = &vsock->config;
	vsock->device.config_size = sizeof(vsock->config);
	if (virtio_create(&vsock->device, memory, why) ||
	    vhost_attach(&vsock->vhost, &vsock->device, why)) {
		virtio_destroy(&vsock->device);
		return NULL;
	}
	return &vsock->device;
}
