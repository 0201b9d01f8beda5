/* SPDX-License-Identifier: GPL-2.0 */
/*
 * virtio-net: a network card with a pair of queues, one in each direction, for each queue of the
 * network behind it; with several pairs also a control queue, by which the driver says how many it
 * uses: one at first.
 */
#ifndef HULL_VIRTIO_NET_H
#define HULL_VIRTIO_NET_H

#include "net/net.h"
#include "virtio/virtio.h"

/* Of a pair. The control queue follows all pairs, or the first where the others are not used. */
enum { NET_QUEUE_RECEIVE, NET_QUEUE_SEND, NET_QUEUES };

/*
 * Takes @net over, also when it fails. @name: of the device, in messages and of its thread; copied.
 * @mac: its address. virtio_destroy() frees; NULL with the reason.
 */
struct virtio_device *virtio_net_create(struct net *net, const char *name,
					const uint8_t mac[NET_MAC],
					const struct guest_memory *memory, struct failure *why);

/* ---- shared with vhost_net.c ----------------------------------------------------------------- */

/* Features to offer over this network. */
uint64_t net_features(const struct net *net);

/* NET_*: what frames for the driver may leave to do, with the features agreed on. */
unsigned int net_guest_offloads(uint64_t features);

/* The device's configuration, which is @config, with a carrier. */
void net_set_config(struct virtio_device *device, struct virtio_net_config *config,
		    const uint8_t mac[NET_MAC]);

/* ---- what headers may say: pure, so that it is tested and fuzzed alone ---------------------- */

enum net_verdict {
	NET_GOOD,
	NET_DROP,	/* a frame that cannot be, which programs in the guest may cause */
	NET_BREAK,	/* what no correct driver does */
};

/**
 * struct net_send - a frame of the guest
 * @header: for the backend: all that it names lies within the frame
 * @size: bytes of the frame, which follows the header in the chain
 * @why: it is not good
 */
struct net_send {
	struct virtio_net_hdr_v1 header;
	size_t size;
	const char *why;
};

/* @features: those agreed on. */
enum net_verdict net_parse(const struct chain *chain, uint64_t features, struct net_send *send);

/* A backend's header and frame of @size: may the driver have it? Clears what it may not know. */
bool net_deliverable(struct virtio_net_hdr_v1 *header, size_t size, uint64_t features);

#endif
