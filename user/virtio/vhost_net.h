/* SPDX-License-Identifier: GPL-2.0 */
/*
 * virtio-net over a tap device, by vhost-net: the kernel moves the frames.
 */
#ifndef HULL_VIRTIO_VHOST_NET_H
#define HULL_VIRTIO_VHOST_NET_H

#include "virtio/net.h"

/* Is there a vhost-net that may be used? Loads its module where the kernel does that. */
bool vhost_net_available(void);

/* As virtio_net_create(), of a @net that is a tap device (net->tap) with one pair of queues. */
struct virtio_device *vhost_net_create(struct net *net, const char *name,
				       const uint8_t mac[NET_MAC],
				       const struct guest_memory *memory, struct failure *why);

#endif
