// SPDX-License-Identifier: GPL-2.0
/*
 * Commands of virtio-net's driver. There is one: how many pairs of queues are in use. All others
 * belong to features that are not offered.
 *
 * Locks: none.
 */
#include <endian.h>

#include "virtio/net_ctrl.h"

const char *net_ctrl_parse(const struct chain *chain, uint64_t features, unsigned int pairs,
			   struct net_command *command)
{
	struct virtio_net_ctrl_hdr header;
	struct virtio_net_ctrl_mq mq;

	command->pairs = 0;
	if (chain_read(chain, 0, &header, sizeof(header)) != sizeof(header))
		return "a command is too short";
	if (!chain->writes)
		return "a command has no room for its answer";
	if (header.class != VIRTIO_NET_CTRL_MQ || header.cmd != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET ||
	    !(features & 1ULL << VIRTIO_NET_F_MQ) ||
	    chain_read(chain, sizeof(header), &mq, sizeof(mq)) != sizeof(mq))
		return NULL;
	if (le16toh(mq.virtqueue_pairs) <= pairs)
		command->pairs = le16toh(mq.virtqueue_pairs);
	return NULL;
}
