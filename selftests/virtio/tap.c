// SPDX-License-Identifier: GPL-2.0
/*
 * Tap devices and bridges, in a network namespace of the test's own: which there are, what passes
 * from one to another, and the work that is left to do on the way.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netlink/route/link.h>
#include <netlink/route/link/bridge.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "net/netlink.h"
#include "../dev/test.h"

#define ETHERTYPE_TEST	0x88b5
#define PAYLOAD		30000

static uint8_t room[2 + NET_FRAME_MAX] __attribute__((aligned(8)));
static uint8_t *const frame = room + 2;
static struct virtio_net_hdr_v1 header;
static struct nl_sock *rtnl;

static void make_bridge(const char *name)
{
	struct failure why;

	EXPECT_EQ(0, rtnl_link_bridge_add(rtnl, name));
	EXPECT_EQ(0, netlink_up(name, &why));
}

static void remove_link(const char *name)
{
	struct rtnl_link *link = rtnl_link_alloc();

	rtnl_link_set_name(link, name);
	EXPECT_EQ(0, rtnl_link_delete(rtnl, link));
	rtnl_link_put(link);
}

static void send_bytes(struct net *net, const struct virtio_net_hdr_v1 *with, size_t size)
{
	const struct iovec iov[] = {
		{ (void *)with, NET_HEADER }, { frame, 20 }, { frame + 20, size - 20 },
	};

	net->ops->send(net, iov, 3, size);
}

/* The size of the next frame of card @from, 0: none comes. What the kernel says is skipped. */
static size_t receive(struct net *net, uint8_t from)
{
	struct pollfd fd = { .fd = net->event, .events = POLLIN };
	struct failure why = { "" };
	ssize_t size;

	while (poll(&fd, 1, 300) > 0) {
		size = net->ops->receive(net, &header, frame, NET_FRAME_MAX, &why);
		if (size < 0)
			printf("# %s\n", why.text);
		if (size < 0)
			return 0;
		if (size && frame[6] == 2 && frame[ETH_ALEN + 5] == from)
			return size;
	}
	return 0;
}

static struct net *port(const char *bridge, uint8_t number)
{
	const uint8_t mac[NET_MAC] = { 2, 0, 0, 0, 0, number };
	struct failure why = { "" };
	struct net *net = bridge_open(bridge, mac, 1, &why);

	if (!net)
		printf("# %s\n", why.text);
	EXPECT(net);
	return net;
}

static void start_frame(uint8_t from, uint16_t type)
{
	memset(frame, 0xff, ETH_ALEN);
	memcpy(frame + ETH_ALEN, (uint8_t[]){ 2, 0, 0, 0, 0, from }, ETH_ALEN);
	frame[12] = type >> 8;
	frame[13] = type & 0xff;
}

static uint32_t add_up(const void *data, size_t size, uint32_t sum)
{
	const uint8_t *byte = data;
	size_t i;

	for (i = 0; i < size; i++)
		sum += i & 1 ? byte[i] : byte[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static uint32_t pseudo_sum(const struct iphdr *ip)
{
	return add_up(&ip->saddr, 8, IPPROTO_TCP + ntohs(ip->tot_len) - 20);
}

/* A segment of TCP whose checksum is left to do. */
static size_t start_segment(uint8_t from, size_t payload)
{
	struct iphdr *ip = (void *)(frame + 14);
	struct tcphdr *tcp = (void *)(ip + 1);
	size_t i;

	start_frame(from, ETHERTYPE_IP);
	*ip = (struct iphdr){
		.version = 4, .ihl = 5, .ttl = 9, .protocol = IPPROTO_TCP,
		.tot_len = htons(40 + payload), .saddr = htonl(0x0a090901),
		.daddr = htonl(0x0a090902),
	};
	ip->check = htons(~add_up(ip, 20, 0));
	*tcp = (struct tcphdr){
		.source = htons(1), .dest = htons(2), .doff = 5, .ack = 1, .window = htons(1000),
	};
	for (i = 0; i < payload; i++)
		frame[54 + i] = i;
	tcp->check = htons(pseudo_sum(ip));
	return 54 + payload;
}

static bool sum_right(void)
{
	const struct iphdr *ip = (void *)(frame + 14);

	return add_up(ip + 1, ntohs(ip->tot_len) - 20, pseudo_sum(ip)) == 0xffff;
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void test_made(void)
{
	struct failure why;
	struct net *net = tap_open("mine", 1, &why);

	EXPECT(net && net->offloads == (NET_CSUM | NET_TSO4 | NET_TSO6));
	EXPECT(if_nametoindex("mine"));
	EXPECT(!tap_open("mine", 1, &why));
	EXPECT(strstr(why.text, "mine is in use by another process"));
	net->ops->destroy(net);
	EXPECT(!if_nametoindex("mine"));
}

static void test_persistent(void)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI, .ifr_name = "stays" };
	int fd = open("/dev/net/tun", O_RDWR);
	struct failure why;
	struct net *net;

	EXPECT_EQ(0, ioctl(fd, TUNSETIFF, &request));
	EXPECT_EQ(0, ioctl(fd, TUNSETPERSIST, 1));
	close(fd);
	net = tap_open("stays", 1, &why);
	EXPECT(net);
	net->ops->destroy(net);
	EXPECT(if_nametoindex("stays"));
	remove_link("stays");
}

/* Frames for the first queue alone, until the other is active; what is sent by either goes out. */
static void test_queues(void)
{
	const struct virtio_net_hdr_v1 nothing = { 0 };
	const uint8_t mac[NET_MAC] = { 2, 0, 0, 0, 0, 1 };
	unsigned int got[2] = { 0 }, i;
	struct failure why = { "" };
	struct net *net, *second, *other;

	make_bridge("br0");
	net = bridge_open("br0", mac, 2, &why);
	EXPECT(net && net->next && !net->next->next);
	if (!net)
		return;
	second = net->next;
	other = port("br0", 2);
	for (i = 0; i < 2; i++) {
		/* The kernel answers by the queue that a connection came from. */
		start_segment(1, 100);
		send_bytes(i ? second : net, &nothing, 154);
		EXPECT_EQ(154, receive(other, 1));
		if (!i)
			EXPECT_EQ(0, second->ops->set_active(second, true));
	}
	for (i = 0; i < 64; i++) {
		size_t size = start_segment(2, 100);

		/* Connections: ports of their own. */
		frame[35] = i;
		send_bytes(other, &nothing, size);
	}
	while (receive(net, 2))
		got[0]++;
	while (receive(second, 2))
		got[1]++;
	printf("# %u frames by one queue, %u by the other\n", got[0], got[1]);
	EXPECT_EQ(64, got[0] + got[1]);
	EXPECT(got[0] && got[1]);
	EXPECT_EQ(0, second->ops->set_active(second, false));
	start_frame(2, ETHERTYPE_TEST);
	for (i = 0; i < 8; i++)
		send_bytes(other, &nothing, 60);
	for (i = 0; i < 8; i++)
		EXPECT_EQ(60, receive(net, 2));
	EXPECT_EQ(0, receive(second, 2));
	net->ops->destroy(net);
	EXPECT(!if_nametoindex("hull0"));
	other->ops->destroy(other);
	remove_link("br0");
}

static void test_queues_refused(void)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI, .ifr_name = "stays" };
	int fd = open("/dev/net/tun", O_RDWR);
	struct failure why;
	struct net *net;

	EXPECT_EQ(0, ioctl(fd, TUNSETIFF, &request));
	EXPECT_EQ(0, ioctl(fd, TUNSETPERSIST, 1));
	close(fd);
	EXPECT(!tap_open("stays", 2, &why));
	EXPECT(strstr(why.text, "was not made for several queues"));
	remove_link("stays");
	net = tap_open("mine", 2, &why);
	EXPECT(net);
	/* Anybody may take a queue of such a device, and would get a part of the frames. */
	EXPECT(!tap_open("mine", 2, &why));
	EXPECT(strstr(why.text, "mine is in use by another process"));
	EXPECT(!tap_open("mine", 1, &why));
	EXPECT(strstr(why.text, "was made for several queues"));
	net->ops->destroy(net);
	EXPECT(!if_nametoindex("mine"));
}

static void test_refused(void)
{
	const uint8_t mac[NET_MAC] = { 2, 0, 0, 0, 0, 1 };
	struct failure why;
	struct net *net;

	EXPECT(!tap_open("lo", 1, &why));
	EXPECT(strstr(why.text, "lo is no tap device"));
	EXPECT(!bridge_open("lo", mac, 1, &why));
	EXPECT(!strcmp(why.text, "lo is no bridge"));
	EXPECT(!bridge_open("missing", mac, 1, &why));
	EXPECT(strstr(why.text, "there is no bridge missing"));
	make_bridge("br0");
	net = port("br0", 1);
	EXPECT(!bridge_open("br0", mac, 1, &why));
	EXPECT(strstr(why.text, "another guest on bridge br0 has the card's address"));
	EXPECT(if_nametoindex("hull0") && !if_nametoindex("hull1"));
	net->ops->destroy(net);
	net = port("br0", 1);
	net->ops->destroy(net);
	EXPECT(!if_nametoindex("hull0"));
	remove_link("br0");
}

static void test_bridges(void)
{
	const struct virtio_net_hdr_v1 nothing = { 0 };
	struct net *a, *b, *other;

	make_bridge("br0");
	make_bridge("br1");
	a = port("br0", 1);
	b = port("br0", 2);
	other = port("br1", 3);
	start_frame(1, ETHERTYPE_TEST);
	memset(frame + 14, 0x5a, 1500);
	send_bytes(a, &nothing, 1514);
	memset(frame, 0, 1514);
	EXPECT_EQ(1514, receive(b, 1));
	EXPECT_EQ(0x5a, frame[1513]);
	EXPECT_EQ(0, header.flags | header.gso_type);
	EXPECT_EQ(0, receive(other, 1));
	start_frame(2, ETHERTYPE_TEST);
	send_bytes(b, &nothing, 60);
	EXPECT_EQ(60, receive(a, 2));
	EXPECT_EQ(0, receive(other, 2));
	a->ops->destroy(a);
	b->ops->destroy(b);
	other->ops->destroy(other);
	remove_link("br0");
	remove_link("br1");
}

/* What the receiver agreed to is left to it; else the kernel does it. */
static void test_offloads(void)
{
	struct virtio_net_hdr_v1 left = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16,
	};
	struct net *a, *b;
	size_t size, got, total = 0;

	make_bridge("br0");
	a = port("br0", 1);
	b = port("br0", 2);
	size = start_segment(1, 100);
	EXPECT(!sum_right());
	send_bytes(a, &left, size);
	EXPECT_EQ(size, receive(b, 1));
	EXPECT(sum_right());
	EXPECT(!(header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM));
	left.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	left.gso_size = 1000;
	left.hdr_len = 54;
	size = start_segment(1, PAYLOAD);
	send_bytes(a, &left, size);
	while ((got = receive(b, 1))) {
		EXPECT_EQ(1054, got);
		EXPECT(sum_right());
		total += got - 54;
	}
	EXPECT_EQ(PAYLOAD, total);
	b->ops->set_offloads(b, NET_CSUM | NET_TSO4);
	size = start_segment(1, PAYLOAD);
	send_bytes(a, &left, size);
	EXPECT_EQ(size, receive(b, 1));
	EXPECT_EQ(VIRTIO_NET_HDR_GSO_TCPV4, header.gso_type);
	EXPECT_EQ(1000, header.gso_size);
	EXPECT(header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM);
	a->ops->destroy(a);
	b->ops->destroy(b);
	remove_link("br0");
}

static void test_gone(void)
{
	struct virtio_net_hdr_v1 with;
	struct failure why = { "" };
	struct net *net = tap_open("mine", 1, &why);

	while (net->ops->receive(net, &with, frame, NET_FRAME_MAX, &why) > 0)
		;
	remove_link("mine");
	EXPECT_EQ(-1, net->ops->receive(net, &with, frame, NET_FRAME_MAX, &why));
	EXPECT(strstr(why.text, "mine was removed"));
	send_bytes(net, &with, 60);
	net->ops->destroy(net);
}

static const struct test tests[] = {
	{ "a tap device that is made goes again", test_made },
	{ "one that was there stays", test_persistent },
	{ "interfaces that cannot be used", test_refused },
	{ "a device with several queues", test_queues },
	{ "several queues where they cannot be", test_queues_refused },
	{ "ports of a bridge reach each other, and no other's", test_bridges },
	{ "checksums and segments left to do", test_offloads },
	{ "a tap device that is removed", test_gone },
};

/* NULL: there is a namespace, in which this may do all. */
static const char *why_not(void)
{
	int fd;

	if (unshare(CLONE_NEWNET) && unshare(CLONE_NEWUSER | CLONE_NEWNET))
		return "no network namespace is to be had";
	fd = open("/dev/net/tun", O_RDWR);
	if (fd < 0)
		return "/dev/net/tun cannot be opened";
	close(fd);
	rtnl = nl_socket_alloc();
	if (nl_connect(rtnl, NETLINK_ROUTE) || rtnl_link_bridge_add(rtnl, "br"))
		return "bridges cannot be made";
	remove_link("br");
	return NULL;
}

int main(void)
{
	const char *reason = why_not();
	int ret;

	if (!reason) {
		ret = RUN_TESTS(tests);
		nl_socket_free(rtnl);
		return ret;
	}
	ktap_begin(1);
	ktap_skip("tap devices and bridges", reason);
	return ktap_end();
}
