// SPDX-License-Identifier: GPL-2.0
/*
 * Tap devices of the host's kernel: one that there is, one that is made for the guest, or one that
 * is made and is a bridge's port. Those that are made end with the launcher, however it ends.
 *
 * Checksums and segments that are left to do go through both ways, as far as the guest's driver
 * agreed: the kernel does the rest.
 *
 * Locks: none; one thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "net/netlink.h"

#define ALL_OFFLOADS	(NET_CSUM | NET_TSO4 | NET_TSO6)

struct tap {
	struct net net;
	char name[IFNAMSIZ];
};

static unsigned int tun_offloads(unsigned int offloads)
{
	return (offloads & NET_CSUM ? TUN_F_CSUM : 0) | (offloads & NET_TSO4 ? TUN_F_TSO4 : 0) |
	       (offloads & NET_TSO6 ? TUN_F_TSO6 : 0);
}

static void tap_set_offloads(struct net *net, unsigned int offloads)
{
	ioctl(net->event, TUNSETOFFLOAD, tun_offloads(offloads));
}

/* What the kernel does not take is lost, as on any cable. */
static void tap_send(struct net *net, const struct iovec *iov, unsigned int count, size_t size)
{
	ssize_t ignored = writev(net->event, iov, count);

	(void)ignored;
	(void)size;
}

static ssize_t tap_receive(struct net *net, struct virtio_net_hdr_v1 *header, void *frame,
			   size_t room, struct failure *why)
{
	uint8_t more;
	/* One byte more tells a frame that was cut from one that fits. */
	const struct iovec iov[] = {
		{ header, NET_HEADER }, { frame, room }, { &more, 1 },
	};
	ssize_t size;

	do {
		size = readv(net->event, iov, 3);
	} while (size == (ssize_t)(NET_HEADER + room + 1));
	if (size > (ssize_t)NET_HEADER)
		return size - NET_HEADER;
	if (size >= 0 || errno == EAGAIN || errno == EINTR)
		return 0;
	return fail(why, "%s was removed, or fails: %s", net->name, strerror(errno));
}

static void tap_destroy(struct net *net)
{
	if (net->event >= 0)
		close(net->event);
	free(net);
}

/* ---- opening -------------------------------------------------------------------------------- */

static int attach(struct tap *tap, const char *name, struct failure *why)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };

	strncpy(request.ifr_name, name, IFNAMSIZ - 1);
	if (!ioctl(tap->net.event, TUNSETIFF, &request)) {
		memcpy(tap->name, request.ifr_name, IFNAMSIZ);
		return 0;
	}
	switch (errno) {
	case EBUSY:
		return fail(why, "%s is in use by another process, or given twice", name);
	case EINVAL:
		return fail(why, "%s is no tap device that can be used", name);
	case EPERM:
		return fail(why, "making a tap device, or using one of another user, needs root (as root: ip tuntap add %s mode tap user NAME)",
			    strchr(name, '%') ? "tap0" : name);
	}
	return fail(why, "cannot use the tap device %s: %s", name, strerror(errno));
}

static int set_up(struct tap *tap, struct failure *why)
{
	int header = NET_HEADER;

	if (ioctl(tap->net.event, TUNSETVNETHDRSZ, &header))
		return fail(why, "cannot set up %s: %s", tap->name, strerror(errno));
	/* Does it have all? Until the guest has agreed none is wanted. */
	if (!ioctl(tap->net.event, TUNSETOFFLOAD, tun_offloads(ALL_OFFLOADS)))
		tap->net.offloads = ALL_OFFLOADS;
	ioctl(tap->net.event, TUNSETOFFLOAD, 0);
	return 0;
}

static int open_tun(struct tap *tap, struct failure *why)
{
	tap->net.event = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (tap->net.event >= 0)
		return 0;
	return fail(why, "cannot open /dev/net/tun: %s%s", strerror(errno),
		    errno == ENOENT || errno == ENODEV ? " (as root: modprobe tun)" : "");
}

/* @name may be a pattern, as "hull%d". */
static struct tap *open_tap(const char *name, struct failure *why)
{
	static const struct net_ops ops = {
		.set_offloads = tap_set_offloads, .send = tap_send, .receive = tap_receive,
		.destroy = tap_destroy,
	};
	struct tap *tap = calloc(1, sizeof(*tap));

	if (!tap) {
		fail(why, "out of memory");
		return NULL;
	}
	tap->net = (struct net){ .ops = &ops, .name = tap->name };
	if (!open_tun(tap, why) && !attach(tap, name, why) && !set_up(tap, why))
		return tap;
	tap_destroy(&tap->net);
	return NULL;
}

struct net *tap_open(const char *name, struct failure *why)
{
	struct tap *tap = open_tap(name, why);

	if (!tap)
		return NULL;
	if (!netlink_up(tap->name, why))
		return &tap->net;
	tap_destroy(&tap->net);
	return NULL;
}

struct net *bridge_open(const char *bridge, const uint8_t mac[NET_MAC], struct failure *why)
{
	struct tap *tap;

	/* Before anything is made. */
	if (netlink_check_bridge(bridge, why))
		return NULL;
	tap = open_tap("hull%d", why);
	if (!tap)
		return NULL;
	if (!netlink_enslave(tap->name, bridge, mac, why))
		return &tap->net;
	tap_destroy(&tap->net);
	return NULL;
}
