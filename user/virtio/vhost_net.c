// SPDX-License-Identifier: GPL-2.0
/*
 * Frames between a guest's queues and a tap device, moved by the host's kernel. What they are like,
 * what was agreed on and the configuration are net.c's; so is what the guest sees when the tap
 * device goes away, which nobody tells who does not read from it: so changes of the host's
 * interfaces are listened to, and the tap device is looked at then.
 *
 * Locks: none; the worker.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <linux/virtio_ids.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "net/netlink.h"
#include "virtio/vhost.h"
#include "virtio/vhost_net.h"

#define PATH	"/dev/vhost-net"

/* Bits of virtio that are about rings, which are the kernel's, not the tap device's. */
#define RING_FEATURES	(VIRTIO_COMMON_FEATURES | 1ULL << VIRTIO_NET_F_MRG_RXBUF)

struct vhost_net {
	struct virtio_device device;
	char name[16];
	struct virtio_net_config config;
	struct net *net;
	struct vhost vhost;
	int links;			/* the host's interfaces have changed */
	struct watch watch;
	struct notice notice;
};

bool vhost_net_available(void)
{
	int fd = open(PATH, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* ---- queues --------------------------------------------------------------------------------- */

static int set_backend(struct vhost_net *net, unsigned int index, int fd)
{
	struct vhost_vring_file file = { index, fd };

	return ioctl(net->vhost.fd, VHOST_NET_SET_BACKEND, &file);
}

static void start(struct virtio_device *device)
{
	struct vhost_net *net = (struct vhost_net *)device;

	net->net->ops->set_offloads(net->net, net_guest_offloads(device->accepted));
	vhost_start(&net->vhost);
}

static void kick(struct virtio_device *device, unsigned int index)
{
	struct vhost_net *net = (struct vhost_net *)device;

	/* A cable that was pulled carries nothing, and the guest knows. */
	if (!net->config.status || vhost_start_queue(&net->vhost, &device->queue[index]))
		return;
	if (set_backend(net, index, net->net->event))
		vhost_fail(&net->vhost, "work on a queue with this tap device");
	vhost_queue_runs(&device->queue[index]);
}

static void drain(struct virtio_device *device, unsigned int index)
{
	struct vhost_net *net = (struct vhost_net *)device;

	set_backend(net, index, -1);
	vhost_stop_queue(&net->vhost, &device->queue[index]);
}

/* ---- the tap device's end ------------------------------------------------------------------- */

static void links_ready(void *opaque)
{
	struct vhost_net *net = opaque;
	struct pollfd pollfd = { .fd = net->net->event };
	unsigned int i;

	netlink_drain(net->links);
	if (!net->config.status || poll(&pollfd, 1, 0) != 1)
		return;
	notice(&net->notice, "%s: its network has gone: %s was removed", net->name,
	       net->net->name);
	for (i = 0; i < NET_QUEUES; i++)
		set_backend(net, i, -1);
	pthread_mutex_lock(&net->device.lock);
	net->config.status = 0;
	virtio_config_changed(&net->device);
	pthread_mutex_unlock(&net->device.lock);
}

/* ---- building ------------------------------------------------------------------------------- */

static void destroy(struct virtio_device *device)
{
	struct vhost_net *net = (struct vhost_net *)device;

	/* It has the tap device's file. */
	vhost_close(&net->vhost);
	if (net->links >= 0)
		close(net->links);
	net->net->ops->destroy(net->net);
	free(net);
}

static int open_all(struct vhost_net *net, const struct guest_memory *memory, struct failure *why)
{
	net->links = netlink_listen(why);
	net->watch = (struct watch){ net->links, links_ready, net };
	if (net->links < 0)
		return -1;
	return vhost_open(&net->vhost, PATH, "vhost_net", memory, why);
}

static int set_up(struct vhost_net *net, const struct guest_memory *memory, struct failure *why)
{
	if (virtio_create(&net->device, memory, why) ||
	    vhost_attach(&net->vhost, &net->device, why))
		return -1;
	if (worker_watch(&net->device.worker, &net->watch, EPOLLIN))
		return fail(why, "cannot create events of %s: %s", net->name, strerror(errno));
	return 0;
}

static uint64_t features(const struct vhost_net *net)
{
	uint64_t rings = vhost_common_features(&net->vhost) |
			 (net->vhost.features & 1ULL << VIRTIO_NET_F_MRG_RXBUF);

	return net_features(net->net) & (rings | ~RING_FEATURES);
}

struct virtio_device *vhost_net_create(struct net *backend, const char *name,
				       const uint8_t mac[NET_MAC],
				       const struct guest_memory *memory, struct failure *why)
{
	static const struct virtio_ops ops = {
		.start = start, .kick = kick, .drain = drain, .destroy = destroy,
	};
	struct vhost_net *net = calloc(1, sizeof(*net));
	unsigned int i;

	if (!net) {
		backend->ops->destroy(backend);
		fail(why, "out of memory");
		return NULL;
	}
	net->net = backend;
	net->vhost.fd = -1;
	net->vhost.error = -1;
	if (open_all(net, memory, why)) {
		destroy(&net->device);
		return NULL;
	}
	strncpy(net->name, name, sizeof(net->name) - 1);
	net->device.ops = &ops;
	net->device.name = net->name;
	net->device.type = VIRTIO_ID_NET;
	net->device.offered = features(net);
	net->device.queues = NET_QUEUES;
	for (i = 0; i < NET_QUEUES; i++)
		net->device.queue[i].outside = true;
	net_set_config(&net->device, &net->config, mac);
	if (set_up(net, memory, why)) {
		virtio_destroy(&net->device);
		return NULL;
	}
	return &net->device;
}
