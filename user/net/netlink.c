// SPDX-License-Identifier: GPL-2.0
/*
 * Interfaces by rtnetlink: which there are, up, and as a bridge's port; and that they change.
 *
 * Locks: none; the main thread, before the machine runs, and netlink_drain() who listens.
 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/netlink.h"

/* A bridge takes the lowest of its ports' addresses for its own: no guest's shall be. */
#define TAP_FIRST_BYTE	0xfe

static struct nl_sock *open_socket(struct failure *why)
{
	struct nl_sock *socket = nl_socket_alloc();
	int error = socket ? nl_connect(socket, NETLINK_ROUTE) : -NLE_NOMEM;

	if (!error)
		return socket;
	fail(why, "cannot talk to the kernel about network interfaces: %s", nl_geterror(error));
	if (socket)
		nl_socket_free(socket);
	return NULL;
}

static struct rtnl_link *get_bridge(struct nl_sock *socket, const char *bridge,
				    struct failure *why)
{
	struct rtnl_link *link;
	const char *type;

	if (rtnl_link_get_kernel(socket, 0, bridge, &link)) {
		fail(why, "there is no bridge %s (to make one: ip link add %s type bridge)",
		     bridge, bridge);
		return NULL;
	}
	type = rtnl_link_get_type(link);
	if (type && !strcmp(type, "bridge"))
		return link;
	fail(why, "%s is no bridge", bridge);
	rtnl_link_put(link);
	return NULL;
}

int netlink_check_bridge(const char *bridge, struct failure *why)
{
	struct nl_sock *socket = open_socket(why);
	struct rtnl_link *link;

	if (!socket)
		return -1;
	link = get_bridge(socket, bridge, why);
	if (link)
		rtnl_link_put(link);
	nl_socket_free(socket);
	return link ? 0 : -1;
}

/* Does a port of the bridge have this address? */
static bool address_used(struct nl_sock *socket, int bridge, struct nl_addr *address)
{
	struct nl_cache *cache;
	struct nl_object *at;
	bool used = false;

	if (rtnl_link_alloc_cache(socket, AF_UNSPEC, &cache))
		return false;
	for (at = nl_cache_get_first(cache); at && !used; at = nl_cache_get_next(at)) {
		struct rtnl_link *link = (struct rtnl_link *)at;

		used = rtnl_link_get_master(link) == bridge && rtnl_link_get_addr(link) &&
		       !nl_addr_cmp(rtnl_link_get_addr(link), address);
	}
	nl_cache_free(cache);
	return used;
}

/* Starts @name, and gives it @master and @address where there are some. */
static int change(struct nl_sock *socket, const char *name, int master, struct nl_addr *address)
{
	struct rtnl_link *link, *wanted = rtnl_link_alloc();
	int error = wanted ? rtnl_link_get_kernel(socket, 0, name, &link) : -NLE_NOMEM;

	if (error)
		goto out;
	rtnl_link_set_flags(wanted, IFF_UP);
	if (master)
		rtnl_link_set_master(wanted, master);
	if (address)
		rtnl_link_set_addr(wanted, address);
	error = rtnl_link_change(socket, link, wanted, 0);
	rtnl_link_put(link);
out:
	if (wanted)
		rtnl_link_put(wanted);
	return error;
}

static int enslave(struct nl_sock *socket, const char *name, struct rtnl_link *bridge,
		   struct nl_addr *address, struct failure *why)
{
	int index = rtnl_link_get_ifindex(bridge), error;

	if (address_used(socket, index, address))
		return fail(why, "another guest on bridge %s has the card's address: choose one with mac=",
			    rtnl_link_get_name(bridge));
	error = change(socket, name, index, address);
	if (error)
		return fail(why, "cannot connect %s with bridge %s: %s", name,
			    rtnl_link_get_name(bridge), nl_geterror(error));
	return 0;
}

int netlink_enslave(const char *name, const char *bridge, const uint8_t mac[NET_MAC],
		    struct failure *why)
{
	uint8_t own[NET_MAC] = { TAP_FIRST_BYTE, mac[1], mac[2], mac[3], mac[4], mac[5] };
	struct nl_addr *address = nl_addr_build(AF_LLC, own, NET_MAC);
	struct nl_sock *socket = open_socket(why);
	struct rtnl_link *link = socket ? get_bridge(socket, bridge, why) : NULL;
	int ret = -1;

	if (link && !address)
		fail(why, "out of memory");
	else if (link)
		ret = enslave(socket, name, link, address, why);
	if (link)
		rtnl_link_put(link);
	if (socket)
		nl_socket_free(socket);
	if (address)
		nl_addr_put(address);
	return ret;
}

int netlink_up(const char *name, struct failure *why)
{
	struct nl_sock *socket = open_socket(why);
	struct rtnl_link *link;
	int error;

	if (!socket)
		return -1;
	error = rtnl_link_get_kernel(socket, 0, name, &link);
	if (!error) {
		if (!(rtnl_link_get_flags(link) & IFF_UP))
			error = change(socket, name, 0, NULL);
		rtnl_link_put(link);
	}
	nl_socket_free(socket);
	if (error)
		return fail(why, "%s is down, and cannot be started: %s (as root: ip link set %s up)",
			    name, nl_geterror(error), name);
	return 0;
}

int netlink_listen(struct failure *why)
{
	const struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd >= 0 && !bind(fd, (const struct sockaddr *)&address, sizeof(address)))
		return fd;
	fail(why, "cannot listen to changes of network interfaces: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

void netlink_drain(int fd)
{
	char ignored[64];

	/* Of each message its beginning; ENOBUFS: there were too many to be kept. */
	while (recv(fd, ignored, sizeof(ignored), 0) > 0 || errno == ENOBUFS)
		;
}
