/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a network device is connected with: frames go out and come in, whole.
 *
 * A device's worker alone uses a network, once it is open. It sends when the guest does; it watches
 * @event, and receives until there is nothing. A device that has no room for frames stops doing so,
 * and what then is lost is the backend's choice: it is a network.
 */
#ifndef HULL_NET_NET_H
#define HULL_NET_NET_H

#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "machine/failure.h"

#define NET_HEADER	sizeof(struct virtio_net_hdr_v1)

/* An Ethernet header with a tag, and the longest packet of IP; virtio's own limit is this too. */
#define NET_FRAME_MIN	14U
#define NET_FRAME_MAX	65550U

#define NET_MAC		6

#define NET_QUEUES_MAX	8

/* Frames with work left to do, in both directions. The latter two come with the first only. */
enum net_offload {
	NET_CSUM = 1 << 0,	/* a checksum to be filled in (or that need not be looked at) */
	NET_TSO4 = 1 << 1,	/* TCP to be cut in segments, over IPv4 */
	NET_TSO6 = 1 << 2,	/* the same over IPv6 */
};

struct net;

/**
 * struct net_ops - a kind of network
 * @set_offloads: optional: frames to be received may have these now, of the backend's own; at first
 *	none
 * @send: a frame that was checked. @iov[0] is its header, NET_HEADER bytes, the rest the frame: in
 *	guest memory, which may change meanwhile. @size: of the frame, NET_FRAME_MIN to
 *	NET_FRAME_MAX. What cannot be sent now is dropped
 * @receive: the next frame's size, 0: none now, @event tells when there is, -1: never again, with a
 *	reason. A frame is up to @room bytes, those longer are dropped
 * @set_active: of a queue that is not the first: frames may arrive by it, or may not, as at first.
 *	Returns 0 or -1
 * @destroy: frees, also the queues after it
 */
struct net_ops {
	void (*set_offloads)(struct net *net, unsigned int offloads);
	void (*send)(struct net *net, const struct iovec *iov, unsigned int count, size_t size);
	ssize_t (*receive)(struct net *net, struct virtio_net_hdr_v1 *header, void *frame,
			   size_t room, struct failure *why);
	int (*set_active)(struct net *net, bool active);
	void (*destroy)(struct net *net);
};

/**
 * struct net - a backend, or one of its queues
 * @name: for messages
 * @offloads: NET_*, of frames in both directions
 * @event: fd that is readable when receive() has something to do
 * @next: its next queue, in which frames of other connections are; or NULL
 * @tap: @event is a tap device, whose frames have headers of NET_HEADER bytes, and which the host's
 *	kernel can read and write instead
 */
struct net {
	const struct net_ops *ops;
	const char *name;
	unsigned int offloads;
	int event;
	struct net *next;
	bool tap;
};

/* ---- user.c: connections of the launcher's own, without root -------------------------------- */

/**
 * struct net_forward - connections to the host that go to the guest
 * @udp: UDP, not TCP
 * @address: of the host, in network order
 * @host: port
 * @guest: port
 */
struct net_forward {
	bool udp;
	struct in_addr address;
	uint16_t host, guest;
};

/* NULL with the reason. */
struct net *user_open(const struct net_forward *forward, unsigned int count, struct failure *why);

/* ---- tap.c: tap devices of the host --------------------------------------------------------- */

/*
 * The tap device @name, which is made if there is none, and removed at the end then. @queues: 1 to
 * NET_QUEUES_MAX; one that there is must have been made for several, if it is to have them.
 */
struct net *tap_open(const char *name, unsigned int queues, struct failure *why);

/* A tap device made for this, as a port of @bridge. @mac: the card's. */
struct net *bridge_open(const char *bridge, const uint8_t mac[NET_MAC], unsigned int queues,
			struct failure *why);

#endif
