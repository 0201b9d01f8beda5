/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Network interfaces of the host, as the launcher changes them.
 */
#ifndef HULL_NET_NETLINK_H
#define HULL_NET_NETLINK_H

#include "net/net.h"

/* 0: there is such a bridge; else -1 with the reason. */
int netlink_check_bridge(const char *bridge, struct failure *why);

/*
 * Gives the tap @name to @bridge, and starts it. Its own address is the card's, @mac, with another
 * first byte; one that a port of the bridge has already is refused.
 */
int netlink_enslave(const char *name, const char *bridge, const uint8_t mac[NET_MAC],
		    struct failure *why);

/* Starts an interface, if it is not up. */
int netlink_up(const char *name, struct failure *why);

/* An fd that is readable when interfaces have come, gone or changed; -1 with the reason. */
int netlink_listen(struct failure *why);

/* Until there is another change. */
void netlink_drain(int fd);

#endif
