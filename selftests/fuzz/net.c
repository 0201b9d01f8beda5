// SPDX-License-Identifier: GPL-2.0
/*
 * Frames of virtio-net's driver: what their headers name lies within them; and its commands: no
 * pair of queues is used that is not there.
 */
#include "virtio.h"
#include "virtio/net_ctrl.h"

#define PAIRS	3

static void check(const struct chain *chain, uint64_t features, const struct net_send *send)
{
	const struct virtio_net_hdr_v1 *header = &send->header;
	size_t csum_end = (size_t)header->csum_start + header->csum_offset + 2;

	if (chain->writes || send->size + NET_HEADER != chain->read_size ||
	    send->size < NET_FRAME_MIN || send->size > NET_FRAME_MAX || header->num_buffers)
		abort();
	if (header->flags & ~VIRTIO_NET_HDR_F_NEEDS_CSUM || header->hdr_len > send->size)
		abort();
	if (header->flags && (!(features & 1ULL << VIRTIO_NET_F_CSUM) || csum_end > send->size))
		abort();
	if (!header->flags && (header->csum_start || header->csum_offset))
		abort();
	if (!header->gso_type != !header->gso_size || (header->gso_type && !header->flags))
		abort();
	if (header->gso_type == VIRTIO_NET_HDR_GSO_TCPV4 &&
	    !(features & 1ULL << VIRTIO_NET_F_HOST_TSO4))
		abort();
	if (header->gso_type == VIRTIO_NET_HDR_GSO_TCPV6 &&
	    !(features & 1ULL << VIRTIO_NET_F_HOST_TSO6))
		abort();
	if (header->gso_type && header->gso_type != VIRTIO_NET_HDR_GSO_TCPV4 &&
	    header->gso_type != VIRTIO_NET_HDR_GSO_TCPV6)
		abort();
}

/* The driver may have a frame whose header is the input: then it agreed to what it needs. */
static void check_received(const uint8_t *data, size_t size, uint64_t features)
{
	struct virtio_net_hdr_v1 header;

	if (size < sizeof(header))
		return;
	memcpy(&header, data, sizeof(header));
	if (!net_deliverable(&header, size - sizeof(header), features))
		return;
	if ((header.flags & 3) && !(features & 1ULL << VIRTIO_NET_F_GUEST_CSUM))
		abort();
	if (header.gso_type && !(features & (1ULL << VIRTIO_NET_F_GUEST_TSO4 |
					     1ULL << VIRTIO_NET_F_GUEST_TSO6)))
		abort();
}

static void check_command(const struct chain *chain, uint64_t features)
{
	struct net_command command;
	const char *wrong = net_ctrl_parse(chain, features, PAIRS, &command);

	if (wrong ? command.pairs || (chain->writes && chain->read_size >= 2) :
		    !chain->write_size || command.pairs > PAIRS)
		abort();
	if (command.pairs && (!(features & 1ULL << VIRTIO_NET_F_MQ) || chain->read_size < 4))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct guest_memory *memory = fuzz_memory();
	static struct chain chain;
	struct net_send send;
	struct queue queue;
	uint64_t features;

	if (!fuzz_queue(&queue, memory, data, size))
		return 0;
	/* Which were agreed on: the input's last byte. */
	features = (data[size - 1] & 1 ? 1ULL << VIRTIO_NET_F_CSUM : 0) |
		   (data[size - 1] & 2 ? 1ULL << VIRTIO_NET_F_HOST_TSO4 : 0) |
		   (data[size - 1] & 4 ? 1ULL << VIRTIO_NET_F_HOST_TSO6 : 0) |
		   (data[size - 1] & 8 ? 1ULL << VIRTIO_NET_F_GUEST_CSUM : 0) |
		   (data[size - 1] & 16 ? 1ULL << VIRTIO_NET_F_GUEST_TSO4 : 0) |
		   (data[size - 1] & 32 ? 1ULL << VIRTIO_NET_F_MQ : 0);
	while (queue_take(&queue, &chain) > 0 && queue.last_avail < 1000) {
		if (net_parse(&chain, features, &send) == NET_GOOD)
			check(&chain, features, &send);
		else if (!send.why)
			abort();
		check_command(&chain, features);
		queue_give(&queue, &chain, 0);
	}
	check_received(data, size, features);
	return 0;
}
