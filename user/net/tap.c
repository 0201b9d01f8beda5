// SPDX-License-Identifier: GPL-2.0
/*
 * Tap devices of the host's kernel: one that there is, one that is made for the guest, or one that
 * is made and is a bridge's port. Those that are made end with the launcher, however it ends.
 *
 * Checksums and segments that are left to do go through both ways, as far as the guest's driver
 * agreed: the kernel does the rest.
 *
 * A device with several queues has a file for each. What the guest sends by one is from then on
 * answered by that one: the kernel keeps connections and queues together.
 *
 * Locks: none; one thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
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

static int tap_set_active(struct net *net, bool active)
{
	struct ifreq request = { .ifr_flags = active ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE };

	return ioctl(net->event, TUNSETQUEUE, &request);
}

static void tap_destroy(struct net *net)
{
	struct net *next;

	for (; net; net = next) {
		next = net->next;
		if (net->event >= 0)
			close(net->event);
		free(net);
	}
}

/* ---- opening -------------------------------------------------------------------------------- */

static int refuse(const char *name, bool several, struct failure *why)
{
	switch (errno) {
	case EBUSY:
		return fail(why, "%s is in use by another process, or given twice", name);
	case EINVAL:
		return fail(why, "%s is no tap device that can be used%s", name, several ?
			    ", or was not made for several queues (ip tuntap add ... multi_queue)" :
			    ", or was made for several queues (which queues=2 has)");
	case EPERM:
		return fail(why, "making a tap device, or using one of another user, needs root (as root: ip tuntap add %s mode tap %suser NAME)",
			    strchr(name, '%') ? "tap0" : name, several ? "multi_queue " : "");
	}
	return fail(why, "cannot use the tap device %s: %s", name, strerror(errno));
}

static int attach(struct tap *tap, const char *name, bool several, struct failure *why)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };

	if (several)
		request.ifr_flags |= IFF_MULTI_QUEUE;
	strncpy(request.ifr_name, name, IFNAMSIZ - 1);
	if (ioctl(tap->net.event, TUNSETIFF, &request))
		return refuse(name, several, why);
	memcpy(tap->name, request.ifr_name, IFNAMSIZ);
	return 0;
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
static struct tap *open_queue(const char *name, bool several, struct failure *why)
{
	static const struct net_ops ops = {
		.set_offloads = tap_set_offloads, .send = tap_send, .receive = tap_receive,
		.set_active = tap_set_active, .destroy = tap_destroy,
	};
	struct tap *tap = calloc(1, sizeof(*tap));

	if (!tap) {
		fail(why, "out of memory");
		return NULL;
	}
	tap->net = (struct net){ .ops = &ops, .name = tap->name, .tap = true };
	if (!open_tun(tap, why) && !attach(tap, name, several, why))
		return tap;
	tap_destroy(&tap->net);
	return NULL;
}

/* Of a device with several queues anybody may take another: 0, or they are not all ours. */
static int check_alone(const struct tap *tap, unsigned int queues, struct failure *why)
{
	struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };
	struct ifreq request = { .ifr_data = (void *)&channels };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret;

	memcpy(request.ifr_name, tap->name, IFNAMSIZ);
	ret = fd < 0 ? -1 : ioctl(fd, SIOCETHTOOL, &request);
	if (fd >= 0)
		close(fd);
	/* Kernels that do not count them cannot be asked. */
	if (ret || channels.combined_count <= queues)
		return 0;
	errno = EBUSY;
	return refuse(tap->name, true, why);
}

/* The others are at rest until the guest wants them. */
static int add_queues(struct tap *tap, unsigned int queues, struct failure *why)
{
	struct net *last = &tap->net;
	unsigned int i;

	for (i = 1; i < queues; i++) {
		struct tap *next = open_queue(tap->name, true, why);

		if (!next)
			return -1;
		last->next = &next->net;
		last = last->next;
	}
	if (check_alone(tap, queues, why))
		return -1;
	for (last = tap->net.next; last; last = last->next)
		if (tap_set_active(last, false))
			return fail(why, "cannot use the queues of %s: %s", tap->name,
				    strerror(errno));
	return 0;
}

static struct tap *open_tap(const char *name, unsigned int queues, struct failure *why)
{
	struct tap *tap = open_queue(name, queues > 1, why);

	if (!tap)
		return NULL;
	if (!set_up(tap, why) && (queues == 1 || !add_queues(tap, queues, why)))
		return tap;
	tap_destroy(&tap->net);
	return NULL;
}

struct net *tap_open(const char *name, unsigned int queues, struct failure *why)
{
	struct tap *tap = open_tap(name, queues, why);

	if (!tap)
		return NULL;
	if (!netlink_up(tap->name, why))
		return &tap->net;
	tap_destroy(&tap->net);
	return NULL;
}

struct net *bridge_open(const char *bridge, const uint8_t mac[NET_MAC], unsigned int queues,
			struct failure *why)
{
	struct tap *tap;

	/* Before anything is made. */
	if (netlink_check_bridge(bridge, why))
		return NULL;
	tap = open_tap("hull%d", queues, why);
	if (!tap)
		return NULL;
	if (!netlink_enslave(tap->name, bridge, mac, why))
		return &tap->net;
	tap_destroy(&tap->net);
	return NULL;
}
