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
#include <time.h>

#include "virtio/net_ctrl.h"

/* After so many frames it is another one's turn: the other direction's, or a reset's. */
#define TURN		256

/* No TCP has smaller segments: they would multiply what the host has to do. */
#define SEGMENT_MIN	8

#define TCP_HEADER	20
#define TCP_CHECKSUM	16		/* where it is in that */

/* Changes of the number of pairs in a second: each is some work for all of the host's network. */
#define CHANGES_MAX	8

_Static_assert(NET_QUEUES * NET_QUEUES_MAX + 1 <= VIRTIO_QUEUES_MAX, "pairs and the control queue");

/* A queue for each direction, and the network's queue behind them. */
struct net_pair {
	struct net_device *device;
	unsigned int index;
	struct net *net;
	struct watch watch;
	bool watching;

	/* The frame that was received last; 0: none waits. */
	struct virtio_net_hdr_v1 header;
	size_t size;
	uint8_t frame[NET_FRAME_MAX];

	/* Buffers for it: QUEUE_SIZE_MAX, more are never taken. */
	struct chain *chain;
	unsigned int chains;
};

/**
 * struct net_device - a network card
 * @gone: the network is, for ever
 * @chain: a frame to be sent, or a command
 * @pairs: there are
 * @active: of them, the first ones, may have frames for the driver
 * @changes: of @active, in the second @changed
 */
struct net_device {
	struct virtio_device device;
	char name[16];
	struct virtio_net_config config;
	bool gone;
	struct notice notice;
	struct chain chain;
	unsigned int pairs, active;
	unsigned int changes;
	time_t changed;
	struct net_pair *pair;
};

static struct virtio_queue *queue_of(const struct net_pair *pair, unsigned int which)
{
	return &pair->device->device.queue[NET_QUEUES * pair->index + which];
}

static bool is_active(const struct net_pair *pair)
{
	return pair->index < pair->device->active;
}

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
unsigned int net_guest_offloads(uint64_t features)
{
	if (!agreed(features, VIRTIO_NET_F_GUEST_CSUM))
		return 0;
	return NET_CSUM | (agreed(features, VIRTIO_NET_F_GUEST_TSO4) ? NET_TSO4 : 0) |
	       (agreed(features, VIRTIO_NET_F_GUEST_TSO6) ? NET_TSO6 : 0);
}

bool net_deliverable(struct virtio_net_hdr_v1 *header, size_t size, uint64_t features)
{
	unsigned int offloads = net_guest_offloads(features);

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

static void send_chain(struct net_pair *pair)
{
	struct net_device *net = pair->device;
	/* What is sent by a pair that is not in use goes the way of the first. */
	struct net *to = is_active(pair) ? pair->net : net->pair[0].net;
	struct iovec iov[1 + QUEUE_SIZE_MAX];
	struct net_send send;
	unsigned int count;

	switch (net_parse(&net->chain, net->device.accepted, &send)) {
	case NET_BREAK:
		virtio_break(&net->device, send.why);
		return;
	case NET_DROP:
		notice(&net->notice, "%s: a frame of the guest was dropped: %s", net->name,
		       send.why);
		break;
	case NET_GOOD:
		iov[0] = (struct iovec){ &send.header, NET_HEADER };
		count = chain_slice(&net->chain, false, NET_HEADER, send.size, iov + 1);
		to->ops->send(to, iov, count + 1, send.size);
		break;
	}
	virtio_give(queue_of(pair, NET_QUEUE_SEND), &net->chain, 0);
}

static void send_some(struct net_pair *pair)
{
	struct virtio_queue *queue = queue_of(pair, NET_QUEUE_SEND);
	unsigned int left = TURN;

	while (left && virtio_take(queue, &pair->device->chain)) {
		send_chain(pair);
		left--;
	}
	virtio_signal(queue);
	if (!left)
		event_signal(queue->kick);
}

/* ---- receiving ------------------------------------------------------------------------------ */

static void watch(struct net_pair *pair, bool on)
{
	struct worker *worker = &pair->device->device.worker;

	if (on == pair->watching)
		return;
	if (!on)
		worker_unwatch(worker, &pair->watch);
	else if (worker_watch(worker, &pair->watch, EPOLLIN))
		return;
	pair->watching = on;
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
static bool fetch(struct net_pair *pair)
{
	struct failure why = { "" };
	ssize_t size = 0;

	if (!pair->size && !pair->device->gone)
		size = pair->net->ops->receive(pair->net, &pair->header, pair->frame,
					       sizeof(pair->frame), &why);
	if (size < 0)
		pull(pair->device, &why);
	if (size > 0)
		pair->size = size;
	return pair->size;
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
static enum room make_room(struct net_pair *pair)
{
	struct virtio_queue *queue = queue_of(pair, NET_QUEUE_RECEIVE);
	unsigned int most = virtio_has(queue->device, VIRTIO_NET_F_MRG_RXBUF) ?
			    queue->ring.setup.size : 1;
	uint64_t room = 0;
	unsigned int i;

	for (i = 0; room < NET_HEADER + pair->size; i++) {
		if (i == most)
			return ROOM_NEVER;
		if (i == pair->chains) {
			if (!virtio_take(queue, &pair->chain[i]))
				return ROOM_WAIT;
			if (!check_buffer(pair->device, &pair->chain[i]))
				return ROOM_WAIT;
			pair->chains++;
		}
		room += pair->chain[i].write_size;
	}
	pair->header.num_buffers = htole16(i);
	return ROOM_ENOUGH;
}

/* Into the first buffers, which the driver gets together. */
static void deliver(struct net_pair *pair)
{
	struct virtio_queue *queue = queue_of(pair, NET_QUEUE_RECEIVE);
	unsigned int used = le16toh(pair->header.num_buffers), i;
	size_t done = 0;

	for (i = 0; i < used; i++) {
		const struct chain *chain = &pair->chain[i];
		size_t skip = i ? 0 : NET_HEADER, part;

		if (!i)
			chain_write(chain, 0, &pair->header, NET_HEADER);
		part = chain_write(chain, skip, pair->frame + done, pair->size - done);
		done += part;
		if (i + 1 < used)
			virtio_put(queue, chain, skip + part);
		else
			virtio_give(queue, chain, skip + part);
	}
	pair->chains -= used;
	memmove(pair->chain, pair->chain + used, pair->chains * sizeof(*pair->chain));
}

static void receive_some(struct net_pair *pair)
{
	struct virtio_queue *queue = queue_of(pair, NET_QUEUE_RECEIVE);
	enum room room = ROOM_ENOUGH;
	unsigned int left = TURN;

	if (!is_active(pair))
		return;
	while (left && room != ROOM_WAIT && fetch(pair)) {
		left--;
		if (net_deliverable(&pair->header, pair->size, pair->device->device.accepted)) {
			room = make_room(pair);
			if (room == ROOM_WAIT)
				break;
			if (room == ROOM_ENOUGH)
				deliver(pair);
		}
		pair->size = 0;
	}
	virtio_signal(queue);
	/* Without room the driver's next kick goes on; else what the network has does. */
	watch(pair, room != ROOM_WAIT && !pair->device->gone);
}

static void net_ready(void *opaque)
{
	struct net_pair *pair = opaque;

	if (queue_of(pair, NET_QUEUE_RECEIVE)->live)
		receive_some(pair);
	else
		watch(pair, false);
}

/* ---- how many pairs are in use -------------------------------------------------------------- */

static int set_active(struct net_pair *pair, bool active)
{
	if (pair->net->ops->set_active(pair->net, active))
		return -1;
	if (!active) {
		watch(pair, false);
		pair->size = 0;
	}
	return 0;
}

/* All of it or nothing. */
static int set_pairs(struct net_device *net, unsigned int pairs)
{
	while (net->active > pairs) {
		if (set_active(&net->pair[net->active - 1], false))
			return -1;
		net->active--;
	}
	while (net->active < pairs) {
		if (set_active(&net->pair[net->active], true))
			return -1;
		net->active++;
	}
	return 0;
}

static bool may_change(struct net_device *net)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec != net->changed) {
		net->changed = now.tv_sec;
		net->changes = 0;
	}
	return net->changes++ < CHANGES_MAX;
}

static bool obey(struct net_device *net, const struct net_command *command)
{
	unsigned int before = net->active, i;

	if (!command->pairs || command->pairs == before)
		return command->pairs;
	if (!may_change(net))
		return false;
	if (set_pairs(net, command->pairs)) {
		set_pairs(net, before);
		return false;
	}
	for (i = before; i < net->active; i++)
		if (queue_of(&net->pair[i], NET_QUEUE_RECEIVE)->live)
			receive_some(&net->pair[i]);
	return true;
}

static void obey_some(struct net_device *net, struct virtio_queue *queue)
{
	unsigned int left = TURN;

	while (left && virtio_take(queue, &net->chain)) {
		struct net_command command;
		const char *wrong = net_ctrl_parse(&net->chain, net->device.accepted, net->pairs,
						   &command);
		uint8_t answer;

		if (wrong) {
			virtio_break(&net->device, wrong);
			return;
		}
		answer = obey(net, &command) ? VIRTIO_NET_OK : VIRTIO_NET_ERR;
		chain_write(&net->chain, 0, &answer, sizeof(answer));
		virtio_give(queue, &net->chain, sizeof(answer));
		left--;
	}
	virtio_signal(queue);
	if (!left)
		event_signal(queue->kick);
}

/* ---- the device ----------------------------------------------------------------------------- */

static void start(struct virtio_device *device)
{
	struct net_device *net = (struct net_device *)device;
	struct net *first = net->pair[0].net;

	if (first->ops->set_offloads)
		first->ops->set_offloads(first, net_guest_offloads(device->accepted));
}

/* Of several pairs the driver may know only one. */
static unsigned int control_queue(const struct net_device *net)
{
	return NET_QUEUES * (virtio_has(&net->device, VIRTIO_NET_F_MQ) ? net->pairs : 1);
}

static void kick(struct virtio_device *device, unsigned int index)
{
	struct net_device *net = (struct net_device *)device;
	unsigned int pair = index / NET_QUEUES;

	if (virtio_has(device, VIRTIO_NET_F_CTRL_VQ) && index == control_queue(net))
		obey_some(net, &device->queue[index]);
	else if (pair == net->pairs)
		return;
	else if (index % NET_QUEUES == NET_QUEUE_RECEIVE)
		receive_some(&net->pair[pair]);
	else
		send_some(&net->pair[pair]);
}

/* Frames are sent and commands obeyed at once; the frame that waits for buffers is lost. */
static void drain(struct virtio_device *device, unsigned int index)
{
	struct net_device *net = (struct net_device *)device;
	struct net_pair *pair = &net->pair[index / NET_QUEUES];

	if (index % NET_QUEUES != NET_QUEUE_RECEIVE || index / NET_QUEUES == net->pairs)
		return;
	watch(pair, false);
	pair->chains = 0;
	pair->size = 0;
}

static void stop(struct virtio_device *device)
{
	set_pairs((struct net_device *)device, 1);
}

static void destroy(struct virtio_device *device)
{
	struct net_device *net = (struct net_device *)device;
	unsigned int i;

	net->pair[0].net->ops->destroy(net->pair[0].net);
	for (i = 0; i < net->pairs; i++)
		free(net->pair[i].chain);
	free(net->pair);
	free(net);
}

uint64_t net_features(const struct net *net)
{
	uint64_t features = VIRTIO_COMMON_FEATURES | 1ULL << VIRTIO_NET_F_MAC |
			    1ULL << VIRTIO_NET_F_STATUS | 1ULL << VIRTIO_NET_F_MRG_RXBUF;

	if (net->next)
		features |= 1ULL << VIRTIO_NET_F_CTRL_VQ | 1ULL << VIRTIO_NET_F_MQ;
	if (net->offloads & NET_CSUM)
		features |= 1ULL << VIRTIO_NET_F_CSUM | 1ULL << VIRTIO_NET_F_GUEST_CSUM;
	if (net->offloads & NET_TSO4)
		features |= 1ULL << VIRTIO_NET_F_HOST_TSO4 | 1ULL << VIRTIO_NET_F_GUEST_TSO4;
	if (net->offloads & NET_TSO6)
		features |= 1ULL << VIRTIO_NET_F_HOST_TSO6 | 1ULL << VIRTIO_NET_F_GUEST_TSO6;
	return features;
}

void net_set_config(struct virtio_device *device, struct virtio_net_config *config,
		    const uint8_t mac[NET_MAC])
{
	memcpy(config->mac, mac, NET_MAC);
	config->status = htole16(VIRTIO_NET_S_LINK_UP);
	device->config = config;
	/* Up to what no feature here makes valid. */
	device->config_size = offsetof(struct virtio_net_config, max_virtqueue_pairs);
}

static int add_pairs(struct net_device *net, struct net *backend)
{
	for (; backend; backend = backend->next) {
		struct net_pair *pair = &net->pair[net->pairs];

		pair->chain = calloc(QUEUE_SIZE_MAX, sizeof(*pair->chain));
		if (!pair->chain)
			return -1;
		pair->device = net;
		pair->index = net->pairs++;
		pair->net = backend;
		pair->watch = (struct watch){ backend->event, net_ready, pair };
	}
	return 0;
}

/* NULL: out of memory. */
static struct net_device *allocate(struct net *backend)
{
	struct net_device *net = calloc(1, sizeof(*net));
	struct net_pair *pair = calloc(NET_QUEUES_MAX, sizeof(*pair));

	if (net && pair) {
		net->pair = pair;
		if (!add_pairs(net, backend))
			return net;
		while (net->pairs)
			free(pair[--net->pairs].chain);
	}
	free(net);
	free(pair);
	return NULL;
}

static void describe(struct net_device *net, const char *name, const uint8_t mac[NET_MAC])
{
	static const struct virtio_ops ops = {
		.start = start, .kick = kick, .drain = drain, .stop = stop, .destroy = destroy,
	};
	struct virtio_device *device = &net->device;

	strncpy(net->name, name, sizeof(net->name) - 1);
	net->active = 1;
	device->ops = &ops;
	device->name = net->name;
	device->type = VIRTIO_ID_NET;
	device->offered = net_features(net->pair[0].net);
	device->queues = NET_QUEUES * net->pairs;
	net_set_config(device, &net->config, mac);
	if (net->pairs == 1)
		return;
	device->queues++;
	net->config.max_virtqueue_pairs = htole16(net->pairs);
	device->config_size = offsetof(struct virtio_net_config, mtu);
}

struct virtio_device *virtio_net_create(struct net *backend, const char *name,
					const uint8_t mac[NET_MAC],
					const struct guest_memory *memory, struct failure *why)
{
	struct net_device *net = allocate(backend);

	if (!net) {
		backend->ops->destroy(backend);
		fail(why, "out of memory");
		return NULL;
	}
	describe(net, name, mac);
	if (virtio_create(&net->device, memory, why)) {
		virtio_destroy(&net->device);
		return NULL;
	}
	return &net->device;
}
