/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The control queue of virtio-net: what a driver asks for. Pure, so that it is tested and fuzzed
 * alone.
 */
#ifndef HULL_VIRTIO_NET_CTRL_H
#define HULL_VIRTIO_NET_CTRL_H

#include "virtio/net.h"

/**
 * struct net_command - a command
 * @pairs: use so many pairs of queues, 1 to those there are; 0: it is one that there is not, or
 *	cannot be done, and is refused (VIRTIO_NET_ERR)
 */
struct net_command {
	unsigned int pairs;
};

/*
 * @features: those agreed on; @pairs: that there are. NULL, or what is wrong with the chain: one
 * that is right has at least a byte for the answer.
 */
const char *net_ctrl_parse(const struct chain *chain, uint64_t features, unsigned int pairs,
			   struct net_command *command);

#endif
