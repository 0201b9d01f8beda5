// SPDX-License-Identifier: GPL-2.0
/* Frames of virtio-net's driver: what their headers name lies within them. */
#include "virtio.h"
#include "virtio/net.h"

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
		   (data[size - 1] & 16 ? 1ULL << VIRTIO_NET_F_GUEST_TSO4 : 0);
	while (queue_take(&queue, &chain) > 0 && queue.last_avail < 1000) {
		if (net_parse(&chain, features, &send) == NET_GOOD)
			check(&chain, features, &send);
		else if (!send.why)
			abort();
		queue_give(&queue, &chain, 0);
	}
	check_received(data, size, features);
	return 0;
}
