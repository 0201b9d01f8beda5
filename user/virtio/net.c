// SPDX-License-Identifier: GPL-2.0
/*
 * Frames between a guest's driver and a network (net/net.h).
 *
 * A frame to be sent goes out of guest memory at once. One that is received is read into the
 * device's own memory, and from there into as many of the driver's buffers as it needs; while
 * there are too few it waits, and the network is not looked at until the driver brings more.
 *
 * Locks: none; the worker has all of it. See virtio.h.
 */
#include <endian.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "virtio/net.h"

/* After so many frames it is another one's turn: the other direction's, or a reset's. */
#define TURN		256

/* No TCP has smaller segments: they would multiply what the host has to do. */
#define SEGMENT_MIN	8

#define TCP_HEADER	20
#define TCP_CHECKSUM	16		/* where it is in that */

struct net_device {
	struct virtio_device device;
	char name[16];
	struct virtio_net_config config;
	struct net *net;
	struct watch watch;
	bool watching;
	bool gone;			/* the network is, for ever */
	struct notice notice;
	struct chain send;

	/* The frame that was received last; 0: none waits. */
	struct virtio_net_hdr_v1 header;
	size_t size;
	uint8_t frame[NET_FRAME_MAX];

	/* Buffers for it: QUEUE_SIZE_MAX, more are never taken. */
	struct chain *chain;
	unsigned int chains;
};

/* ---- headers -------------------------------------------------------------------------------- */

static enum net_verdict judge(struct net_send *send, enum net_verdict verdict, const char *why)
{
	send->why = why;
	return verdict;
}

static bool agreed(uint64_t features, unsigned int feature)
{
	return features & 1ULL << feature;
}

static enum net_verdict parse_checksum(struct net_send *send, uint64_t features)
{
	struct virtio_net_hdr_v1 *header = &send->header;
	size_t start = le16toh(header->csum_start), offset = le16toh(header->csum_offset);

	header->flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	if (!header->flags) {
		header->csum_start = 0;
		header->csum_offset = 0;
		return NET_GOOD;
	}
	if (!agreed(features, VIRTIO_NET_F_CSUM))
		return judge(send, NET_BREAK, "a checksum is left to do, which was not agreed on");
	if (start < NET_FRAME_MIN || start + offset + 2 > send->size)
		return judge(send, NET_DROP, "its checksum would not be in it");
	return NET_GOOD;
}

static bool segments_agreed(unsigned int type, uint64_t features)
{
	switch (type) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return agreed(features, VIRTIO_NET_F_HOST_TSO4);
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return agreed(features, VIRTIO_NET_F_HOST_TSO6);
	}
	return false;
}

static enum net_verdict parse_segments(struct net_send *send, uint64_t features)
{
	struct virtio_net_hdr_v1 *header = &send->header;
	size_t headers = le16toh(header->csum_start) + TCP_HEADER;

	if (header->gso_type == VIRTIO_NET_HDR_GSO_NONE) {
		header->gso_size = 0;
		header->hdr_len = 0;
		return NET_GOOD;
	}
	if (!segments_agreed(header->gso_type, features))
		return judge(send, NET_BREAK, "segments are left to make, as was not agreed on");
	if (!header->flags || le16toh(header->csum_offset) != TCP_CHECKSUM)
		return judge(send, NET_DROP, "it is to be cut, and its checksum is not TCP's");
	if (headers > send->size || le16toh(header->hdr_len) > send->size)
		return judge(send, NET_DROP, "it is to be cut, and shorter than its headers");
	if (le16toh(header->gso_size) < SEGMENT_MIN)
		return judge(send, NET_DROP, "it is to be cut in segments too small");
	/* A hint, which a driver may have wrong. */
	if (le16toh(header->hdr_len) < headers)
		header->hdr_len = htole16(headers);
	return NET_GOOD;
}

enum net_verdict net_parse(const struct chain *chain, uint64_t features, struct net_send *send)
{
	enum net_verdict verdict;

	memset(send, 0, sizeof(*send));
	if (chain->writes)
		return judge(send, NET_BREAK, "a frame to be sent has buffers to be written");
	if (chain_read(chain, 0, &send->header, NET_HEADER) != NET_HEADER)
		return judge(send, NET_BREAK, "a frame to be sent has no header");
	send->header.num_buffers = 0;
	if (chain->read_size - NET_HEADER < NET_FRAME_MIN)
		return judge(send, NET_DROP, "it is too short");
	if (chain->read_size - NET_HEADER > NET_FRAME_MAX)
		return judge(send, NET_DROP, "it is too long");
	send->size = chain->read_size - NET_HEADER;
	verdict = parse_checksum(send, features);
	return verdict == NET_GOOD ? parse_segments(send, features) : verdict;
}

/* What frames for the driver may leave to do: segments only where checksums may be left, too. */
static unsigned int guest_offloads(uint64_t features)
{
	if (!agreed(features, VIRTIO_NET_F_GUEST_CSUM))
		return 0;
	return NET_CSUM | (agreed(features, VIRTIO_NET_F_GUEST_TSO4) ? NET_TSO4 : 0) |
	       (agreed(features, VIRTIO_NET_F_GUEST_TSO6) ? NET_TSO6 : 0);
}

bool net_deliverable(struct virtio_net_hdr_v1 *header, size_t size, uint64_t features)
{
	unsigned int offloads = guest_offloads(features);

	if (size < NET_FRAME_MIN || size > NET_FRAME_MAX)
		return false;
	if (!(offloads & NET_CSUM))
		header->flags &= ~VIRTIO_NET_HDR_F_DATA_VALID;
	if ((header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) && !(offloads & NET_CSUM))
		return false;
	switch (header->gso_type) {
	case VIRTIO_NET_HDR_GSO_NONE:
		return true;
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return offloads & NET_TSO4;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return offloads & NET_TSO6;
	}
	return false;
}

/* ---- sending -------------------------------------------------------------------------------- */

static void send_chain(struct net_device *net)
{
	struct iovec iov[1 + QUEUE_SIZE_MAX];
	struct net_send send;
	unsigned int count;

	switch (net_parse(&net->send, net->device.accepted, &send)) {
	case NET_BREAK:
		virtio_break(&net->device, send.why);
		return;
	case NET_DROP:
		notice(&net->notice, "%s: a frame of the guest was dropped: %s", net->name,
		       send.why);
		break;
	case NET_GOOD:
		iov[0] = (struct iovec){ &send.header, NET_HEADER };
		count = chain_slice(&net->send, false, NET_HEADER, send.size, iov + 1);
		net->net->ops->send(net->net, iov, count + 1, send.size);
		break;
	}
	virtio_give(&net->device.queue[NET_QUEUE_SEND], &net->send, 0);
}

static void send_some(struct net_device *net)
{
	struct virtio_queue *queue = &net->device.queue[NET_QUEUE_SEND];
	unsigned int left = TURN;

	while (left && virtio_take(queue, &net->send)) {
		send_chain(net);
		left--;
	}
	virtio_signal(queue);
	if (!left)
		event_signal(queue->kick);
}

/* ---- receiving ------------------------------------------------------------------------------ */

static void watch(struct net_device *net, bool on)
{
	if (on == net->watching)
		return;
	if (!on)
		worker_unwatch(&net->device.worker, &net->watch);
	else if (worker_watch(&net->device.worker, &net->watch, EPOLLIN))
		return;
	net->watching = on;
}

/* The network has gone: the guest sees a cable pulled. */
static void pull(struct net_device *net, const struct failure *why)
{
	notice(&net->notice, "%s: its network has gone: %s", net->name, why->text);
	net->gone = true;
	pthread_mutex_lock(&net->device.lock);
	net->config.status = 0;
	virtio_config_changed(&net->device);
	pthread_mutex_unlock(&net->device.lock);
}

/* True: a frame waits. */
static bool fetch(struct net_device *net)
{
	struct failure why = { "" };
	ssize_t size = 0;

	if (!net->size && !net->gone)
		size = net->net->ops->receive(net->net, &net->header, net->frame,
					      sizeof(net->frame), &why);
	if (size < 0)
		pull(net, &why);
	if (size > 0)
		net->size = size;
	return net->size;
}

/* Is this buffer one that frames can be put into? */
static bool check_buffer(struct net_device *net, const struct chain *chain)
{
	if (chain->reads)
		virtio_break(&net->device, "a buffer for frames has parts to be read");
	else if (chain->write_size <= NET_HEADER)
		virtio_break(&net->device, "a buffer for frames has no room for one");
	else
		return true;
	return false;
}

enum room { ROOM_ENOUGH, ROOM_WAIT, ROOM_NEVER };

/* Takes buffers until the frame fits. */
static enum room make_room(struct net_device *net)
{
	struct virtio_queue *queue = &net->device.queue[NET_QUEUE_RECEIVE];
	unsigned int most = virtio_has(&net->device, VIRTIO_NET_F_MRG_RXBUF) ?
			    queue->ring.setup.size : 1;
	uint64_t room = 0;
	unsigned int i;

	for (i = 0; room < NET_HEADER + net->size; i++) {
		if (i == most)
			return ROOM_NEVER;
		if (i == net->chains) {
			if (!virtio_take(queue, &net->chain[i]))
				return ROOM_WAIT;
			if (!check_buffer(net, &net->chain[i]))
				return ROOM_WAIT;
			net->chains++;
		}
		room += net->chain[i].write_size;
	}
	net->header.num_buffers = htole16(i);
	return ROOM_ENOUGH;
}

/* Into the first buffers, which the driver gets together. */
static void deliver(struct net_device *net)
{
	struct virtio_queue *queue = &net->device.queue[NET_QUEUE_RECEIVE];
	unsigned int used = le16toh(net->header.num_buffers), i;
	size_t done = 0;

	for (i = 0; i < used; i++) {
		const struct chain *chain = &net->chain[i];
		size_t skip = i ? 0 : NET_HEADER, part;

		if (!i)
			chain_write(chain, 0, &net->header, NET_HEADER);
		part = chain_write(chain, skip, net->frame + done, net->size - done);
		done += part;
		if (i + 1 < used)
			virtio_put(queue, chain, skip + part);
		else
			virtio_give(queue, chain, skip + part);
	}
	net->chains -= used;
	memmove(net->chain, net->chain + used, net->chains * sizeof(*net->chain));
}

static void receive_some(struct net_device *net)
{
	struct virtio_queue *queue = &net->device.queue[NET_QUEUE_RECEIVE];
	enum room room = ROOM_ENOUGH;
	unsigned int left = TURN;

	while (left && room != ROOM_WAIT && fetch(net)) {
		left--;
		if (net_deliverable(&net->header, net->size, net->device.accepted)) {
			room = make_room(net);
			if (room == ROOM_WAIT)
				break;
			if (room == ROOM_ENOUGH)
				deliver(net);
		}
		net->size = 0;
	}
	virtio_signal(queue);
	/* Without room the driver's next kick goes on; else what the network has does. */
	watch(net, room != ROOM_WAIT && !net->gone);
}

static void net_ready(void *opaque)
{
	struct net_device *net = opaque;

	if (net->device.queue[NET_QUEUE_RECEIVE].live)
		receive_some(net);
	else
		watch(net, false);
}

/* ---- the device ----------------------------------------------------------------------------- */

static void start(struct virtio_device *device)
{
	struct net_device *net = (struct net_device *)device;

	if (net->net->ops->set_offloads)
		net->net->ops->set_offloads(net->net, guest_offloads(device->accepted));
}

static void kick(struct virtio_device *device, unsigned int index)
{
	struct net_device *net = (struct net_device *)device;

	if (index == NET_QUEUE_RECEIVE)
		receive_some(net);
	else
		send_some(net);
}

/* Frames are sent at once; the one that waits for buffers is lost. */
static void drain(struct virtio_device *device, unsigned int index)
{
	struct net_device *net = (struct net_device *)device;

	if (index != NET_QUEUE_RECEIVE)
		return;
	watch(net, false);
	net->chains = 0;
	net->size = 0;
}

static void destroy(struct virtio_device *device)
{
	struct net_device *net = (struct net_device *)device;

	net->net->ops->destroy(net->net);
	free(net->chain);
	free(net);
}

static uint64_t features(const struct net *net)
{
	uint64_t features = VIRTIO_COMMON_FEATURES | 1ULL << VIRTIO_NET_F_MAC |
			    1ULL << VIRTIO_NET_F_STATUS | 1ULL << VIRTIO_NET_F_MRG_RXBUF;

	if (net->offloads & NET_CSUM)
		features |= 1ULL << VIRTIO_NET_F_CSUM | 1ULL << VIRTIO_NET_F_GUEST_CSUM;
	if (net->offloads & NET_TSO4)
		features |= 1ULL << VIRTIO_NET_F_HOST_TSO4 | 1ULL << VIRTIO_NET_F_GUEST_TSO4;
	if (net->offloads & NET_TSO6)
		features |= 1ULL << VIRTIO_NET_F_HOST_TSO6 | 1ULL << VIRTIO_NET_F_GUEST_TSO6;
	return features;
}

struct virtio_device *virtio_net_create(struct net *backend, const char *name,
					const uint8_t mac[NET_MAC],
					const struct guest_memory *memory, struct failure *why)
{
	static const struct virtio_ops ops = {
		.start = start, .kick = kick, .drain = drain, .destroy = destroy,
	};
	struct net_device *net = calloc(1, sizeof(*net));
	struct chain *chain = calloc(QUEUE_SIZE_MAX, sizeof(*chain));

	if (!net || !chain) {
		free(net);
		free(chain);
		backend->ops->destroy(backend);
		fail(why, "out of memory");
		return NULL;
	}
	net->net = backend;
	net->chain = chain;
	net->watch = (struct watch){ backend->event, net_ready, net };
	strncpy(net->name, name, sizeof(net->name) - 1);
	memcpy(net->config.mac, mac, NET_MAC);
	net->config.status = htole16(VIRTIO_NET_S_LINK_UP);
	net->device.ops = &ops;
	net->device.name = net->name;
	net->device.type = VIRTIO_ID_NET;
	net->device.offered = features(backend);
	net->device.queues = NET_QUEUES;
	net->device.config = &net->config;
	/* Up to what no feature here makes valid. */
	net->device.config_size = offsetof(struct virtio_net_config, max_virtqueue_pairs);
	if (virtio_create(&net->device, memory, why)) {
		virtio_destroy(&net->device);
		return NULL;
	}
	return &net->device;
}
