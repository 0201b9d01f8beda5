/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vhost: a driver of the host's kernel that works on queues of a device here (see "outside" in
 * virtio.h). It reads and writes guest memory by itself, is kicked by doorbells and interrupts by
 * irqfds, so the launcher has no part in what goes through. The device says what is special about
 * it, by ioctls of its own on vhost->fd.
 *
 * All but opening and closing is done by the device's worker.
 */
#ifndef HULL_VIRTIO_VHOST_H
#define HULL_VIRTIO_VHOST_H

#include "virtio/virtio.h"

/**
 * struct vhost - a file of a vhost driver, and the queues it works on
 * @fd: the file
 * @features: bits of virtio that the driver knows
 * @error: eventfd: it cannot go on with a queue
 * @device: whose queues
 */
struct vhost {
	int fd;
	uint64_t features;
	int error;
	struct watch error_watch;
	struct virtio_device *device;
};

/*
 * @path: as /dev/vhost-net; @module: of the kernel, for messages. Gives it this process' memory,
 * and of that @memory. 0, or -1 with the reason; vhost_close() is right in both cases.
 */
int vhost_open(struct vhost *vhost, const char *path, const char *module,
	       const struct guest_memory *memory, struct failure *why);
void vhost_close(struct vhost *vhost);

/* Of VIRTIO_COMMON_FEATURES, those that a device with such queues can offer. */
uint64_t vhost_common_features(const struct vhost *vhost);

/* After virtio_create(); the device has one vhost. 0, or -1 with the reason. */
int vhost_attach(struct vhost *vhost, struct virtio_device *device, struct failure *why);

/* In the device's start(): those that were agreed on. */
void vhost_start(struct vhost *vhost);

/*
 * In its kick(): all of the queue, whose number at vhost is the device's; then the device lets it
 * run, by an ioctl of its own. -1: the device was broken, and the driver of the guest is told.
 */
int vhost_start_queue(struct vhost *vhost, struct virtio_queue *queue);

/* After that: the driver may have kicked before anybody listened. */
void vhost_queue_runs(struct virtio_queue *queue);

/* In its drain(), when it does not run any more. */
void vhost_stop_queue(struct vhost *vhost, struct virtio_queue *queue);

/* A request of the device's own has failed, by errno: the device is broken. Returns -1. */
int vhost_fail(struct vhost *vhost, const char *what);

#endif
