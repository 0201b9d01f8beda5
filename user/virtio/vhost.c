// SPDX-License-Identifier: GPL-2.0
/*
 * What devices with a vhost driver share.
 *
 * Addresses of rings are checked here first, as for any queue, and each access is the kernel's to
 * check: a driver that lies about what is in its rings gets nothing but an error of that queue,
 * which breaks the device. The kernel has the launcher's memory at hand, and the table says which
 * of it is the guest's.
 *
 * Locks: none; the worker.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "virtio/vhost.h"

/* ---- building ------------------------------------------------------------------------------- */

static int set_memory(const struct vhost *vhost, const struct guest_memory *memory)
{
	struct vhost_memory *table = calloc(1, sizeof(*table) +
					    memory->count * sizeof(table->regions[0]));
	unsigned int i;
	int ret;

	if (!table)
		return -1;
	table->nregions = memory->count;
	for (i = 0; i < memory->count; i++)
		table->regions[i] = (struct vhost_memory_region){
			.guest_phys_addr = memory->region[i].gpa,
			.memory_size = memory->region[i].size,
			.userspace_addr = (uintptr_t)memory->region[i].host,
		};
	ret = ioctl(vhost->fd, VHOST_SET_MEM_TABLE, table);
	free(table);
	return ret;
}

int vhost_open(struct vhost *vhost, const char *path, const char *module,
	       const struct guest_memory *memory, struct failure *why)
{
	memset(vhost, 0, sizeof(*vhost));
	vhost->error = event_create();
	vhost->fd = open(path, O_RDWR | O_CLOEXEC);
	if (vhost->fd < 0 && (errno == ENOENT || errno == ENODEV))
		return fail(why, "there is no %s (as root: modprobe %s)", path, module);
	if (vhost->fd < 0)
		return fail(why, "cannot open %s: %s", path, strerror(errno));
	if (vhost->error < 0 || ioctl(vhost->fd, VHOST_SET_OWNER) ||
	    ioctl(vhost->fd, VHOST_GET_FEATURES, &vhost->features) || set_memory(vhost, memory))
		return fail(why, "cannot set up %s: %s", path, strerror(errno));
	return 0;
}

void vhost_close(struct vhost *vhost)
{
	if (vhost->fd >= 0)
		close(vhost->fd);
	if (vhost->error >= 0)
		close(vhost->error);
	vhost->fd = -1;
	vhost->error = -1;
}

uint64_t vhost_common_features(const struct vhost *vhost)
{
	/* To reset a queue is our own affair. */
	return VIRTIO_COMMON_FEATURES & (vhost->features | 1ULL << VIRTIO_F_RING_RESET);
}

int vhost_fail(struct vhost *vhost, const char *what)
{
	char text[128];

	snprintf(text, sizeof(text), "the host's kernel does not %s: %s", what, strerror(errno));
	virtio_break(vhost->device, text);
	return -1;
}

/* Rings or buffers that are not the guest's memory, chains that are none. */
static void error_ready(void *opaque)
{
	struct vhost *vhost = opaque;

	if (event_drain(vhost->error))
		virtio_break(vhost->device, "the host's kernel cannot read a queue");
}

int vhost_attach(struct vhost *vhost, struct virtio_device *device, struct failure *why)
{
	vhost->device = device;
	vhost->error_watch = (struct watch){ vhost->error, error_ready, vhost };
	if (worker_watch(&device->worker, &vhost->error_watch, EPOLLIN))
		return fail(why, "cannot create events of %s: %s", device->name, strerror(errno));
	return 0;
}

/* ---- queues --------------------------------------------------------------------------------- */

void vhost_start(struct vhost *vhost)
{
	uint64_t features = vhost->device->accepted & vhost->features;

	if (ioctl(vhost->fd, VHOST_SET_FEATURES, &features))
		vhost_fail(vhost, "take the features agreed on");
}

static int set_file(const struct vhost *vhost, unsigned long request, unsigned int index, int fd)
{
	struct vhost_vring_file file = { index, fd };

	return ioctl(vhost->fd, request, &file);
}

int vhost_start_queue(struct vhost *vhost, struct virtio_queue *queue)
{
	const struct queue *ring = &queue->ring;
	struct vhost_vring_state number = { queue->index, ring->setup.size };
	struct vhost_vring_state base = { queue->index, 0 };
	struct vhost_vring_addr addr = {
		.index = queue->index,
		.desc_user_addr = (uintptr_t)ring->desc,
		.avail_user_addr = (uintptr_t)ring->avail,
		.used_user_addr = (uintptr_t)ring->used,
	};

	if (ioctl(vhost->fd, VHOST_SET_VRING_NUM, &number) ||
	    ioctl(vhost->fd, VHOST_SET_VRING_BASE, &base) ||
	    ioctl(vhost->fd, VHOST_SET_VRING_ADDR, &addr) ||
	    set_file(vhost, VHOST_SET_VRING_ERR, queue->index, vhost->error) ||
	    set_file(vhost, VHOST_SET_VRING_CALL, queue->index, queue->call) ||
	    set_file(vhost, VHOST_SET_VRING_KICK, queue->index, queue->kick))
		return vhost_fail(vhost, "take a queue");
	return 0;
}

void vhost_queue_runs(struct virtio_queue *queue)
{
	event_signal(queue->kick);
}

static bool has_queues(const struct virtio_device *device)
{
	unsigned int i;

	for (i = 0; i < device->queues; i++)
		if (device->queue[i].outside && device->queue[i].live)
			return true;
	return false;
}

void vhost_stop_queue(struct vhost *vhost, struct virtio_queue *queue)
{
	set_file(vhost, VHOST_SET_VRING_KICK, queue->index, VHOST_FILE_UNBIND);
	set_file(vhost, VHOST_SET_VRING_CALL, queue->index, VHOST_FILE_UNBIND);
	set_file(vhost, VHOST_SET_VRING_ERR, queue->index, VHOST_FILE_UNBIND);
	/* A device that was reset must not be found broken by what came before. */
	if (!has_queues(vhost->device))
		event_drain(vhost->error);
}
