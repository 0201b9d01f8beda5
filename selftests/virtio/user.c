// SPDX-License-Identifier: GPL-2.0
/*
 * The user's network, with the test as its guest: addresses, sockets of the host's loopback,
 * connections to the guest, nonsense.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "machine/notice.h"
#include "net/guard.h"
#include "net/mac.h"
#include "net/net.h"
#include "../dev/test.h"

#define GUEST	0x0a00020f
#define HOST	0x0a000202

static const uint8_t mac[ETH_ALEN] = { 2, 1, 2, 3, 4, 5 }, everybody[ETH_ALEN] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
};
static struct net *net;
/* So that IP headers are aligned. */
static uint8_t frame_room[2 + NET_FRAME_MAX] __attribute__((aligned(8)));
static uint8_t *const frame = frame_room + 2;
static size_t frame_size;
static uint8_t router[ETH_ALEN];

/* ---- the guest ------------------------------------------------------------------------------ */

static void start(const struct net_forward *forward, unsigned int count)
{
	struct failure why;

	if (net)
		net->ops->destroy(net);
	net = user_open(forward, count, &why);
	EXPECT(net);
}

/* In two pieces. */
static void send_frame(const void *data, size_t size)
{
	struct virtio_net_hdr_v1 header = { 0 };
	const struct iovec iov[] = {
		{ &header, sizeof(header) }, { (void *)data, 7 }, { (char *)data + 7, size - 7 },
	};

	net->ops->send(net, iov, 3, size);
}

/* Waits for a frame, up to 2 s. */
static bool receive(void)
{
	struct virtio_net_hdr_v1 header;
	struct pollfd fd = { .fd = net->event, .events = POLLIN };
	unsigned int i;
	ssize_t size;

	for (i = 0; i < 40; i++) {
		size = net->ops->receive(net, &header, frame, NET_FRAME_MAX, NULL);
		if (size > 0) {
			EXPECT_EQ(0, header.flags | header.gso_type);
			frame_size = size;
			return true;
		}
		poll(&fd, 1, 50);
	}
	return false;
}

/* Nothing comes, and the event is quiet. */
static void expect_quiet(void)
{
	struct virtio_net_hdr_v1 header;
	struct pollfd fd = { .fd = net->event, .events = POLLIN };
	unsigned int i;

	for (i = 0; i < 1000 && net->ops->receive(net, &header, frame, NET_FRAME_MAX, NULL); i++)
		;
	EXPECT(i < 1000);
	EXPECT_EQ(0, poll(&fd, 1, 0));
}

static uint16_t sum(const void *data, size_t size, uint32_t from)
{
	const uint8_t *byte = data;
	size_t i;

	for (i = 0; i < size; i++)
		from += i & 1 ? byte[i] : byte[i] << 8;
	while (from >> 16)
		from = (from & 0xffff) + (from >> 16);
	return htons(~from);
}

/* An IP packet to @to, from the guest's port 1000. */
static void send_ip(uint32_t from, uint32_t to, uint8_t protocol, const uint8_t *to_mac,
		    const void *data, size_t size)
{
	uint8_t packet_room[1502] __attribute__((aligned(8))) = { 0 }, *packet = packet_room + 2;
	struct ether_header *ether = (void *)packet;
	struct iphdr *ip = (void *)(ether + 1);

	memcpy(ether->ether_dhost, to_mac, ETH_ALEN);
	memcpy(ether->ether_shost, mac, ETH_ALEN);
	ether->ether_type = htons(ETHERTYPE_IP);
	ip->version = 4;
	ip->ihl = 5;
	ip->ttl = 64;
	ip->protocol = protocol;
	ip->tot_len = htons(sizeof(*ip) + size);
	ip->saddr = htonl(from);
	ip->daddr = htonl(to);
	ip->check = sum(ip, sizeof(*ip), 0);
	memcpy(ip + 1, data, size);
	send_frame(packet, sizeof(*ether) + sizeof(*ip) + size);
}

static void send_udp(uint32_t from, uint32_t to, uint16_t from_port, uint16_t to_port,
		     const uint8_t *to_mac, const void *data, size_t size)
{
	uint8_t packet[1000] __attribute__((aligned(8))) = { 0 };
	struct udphdr *udp = (void *)packet;

	udp->source = htons(from_port);
	udp->dest = htons(to_port);
	udp->len = htons(sizeof(*udp) + size);
	memcpy(udp + 1, data, size);
	send_ip(from, to, IPPROTO_UDP, to_mac, packet, sizeof(*udp) + size);
}

static struct iphdr *ip(void)
{
	return (struct iphdr *)(frame + sizeof(struct ether_header));
}

struct arp {
	struct ether_header ether;
	uint16_t hardware, protocol;
	uint8_t hardware_size, protocol_size;
	uint16_t operation;
	uint8_t from_mac[ETH_ALEN];
	uint32_t from;
	uint8_t to_mac[ETH_ALEN];
	uint32_t to;
} __attribute__((packed));

/* Who is the router? And it learns who the guest is. */
static void say_hello(void)
{
	struct arp arp = {
		.ether.ether_type = htons(ETHERTYPE_ARP), .hardware = htons(1),
		.protocol = htons(ETHERTYPE_IP), .hardware_size = 6, .protocol_size = 4,
		.operation = htons(1), .from = htonl(GUEST), .to = htonl(HOST),
	};
	const struct arp *answer = (const void *)frame;

	memcpy(arp.ether.ether_dhost, everybody, ETH_ALEN);
	memcpy(arp.ether.ether_shost, mac, ETH_ALEN);
	memcpy(arp.from_mac, mac, ETH_ALEN);
	send_frame(&arp, sizeof(arp));
	EXPECT(receive());
	EXPECT_EQ(htons(2), answer->operation);
	EXPECT_EQ(htonl(HOST), answer->from);
	EXPECT(!memcmp(answer->to_mac, mac, ETH_ALEN));
	memcpy(router, answer->from_mac, ETH_ALEN);
}

/* A socket of the loopback, bound to some port, which is returned in @at. */
static int host_socket(int type, struct sockaddr_in *at)
{
	int fd = socket(AF_INET, type, 0);
	socklen_t size = sizeof(*at);

	*at = (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	EXPECT(fd >= 0);
	EXPECT_EQ(0, bind(fd, (void *)at, sizeof(*at)));
	EXPECT_EQ(0, getsockname(fd, (void *)at, &size));
	return fd;
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void test_addresses(void)
{
	static uint8_t discover[300] = { 1, 1, 6, 0, 0x12, 0x34, 0x56, 0x78 };
	static const uint8_t options[] = { 0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255 };
	const uint8_t *offer;

	start(NULL, 0);
	expect_quiet();
	say_hello();
	memcpy(discover + 28, mac, ETH_ALEN);
	memcpy(discover + 236, options, sizeof(options));
	send_udp(0, 0xffffffff, 68, 67, everybody, discover, sizeof(discover));
	EXPECT(receive());
	offer = (uint8_t *)(ip() + 1) + sizeof(struct udphdr);
	EXPECT_EQ(2, offer[0]);
	EXPECT(!memcmp(offer + 4, discover + 4, 4));
	EXPECT_EQ(htonl(GUEST), *(uint32_t *)(offer + 16));
	expect_quiet();
}

/* What goes to the router arrives at the host's loopback; answers come back. */
static void test_udp(void)
{
	struct sockaddr_in at, from;
	socklen_t size = sizeof(from);
	int fd = host_socket(SOCK_DGRAM, &at);
	char text[32] = "";

	start(NULL, 0);
	say_hello();
	send_udp(GUEST, HOST, 1000, ntohs(at.sin_port), router, "to the host", 12);
	EXPECT_EQ(12, recvfrom(fd, text, sizeof(text), 0, (void *)&from, &size));
	EXPECT(!strcmp(text, "to the host"));
	expect_quiet();
	EXPECT_EQ(9, sendto(fd, "to guest", 9, 0, (void *)&from, sizeof(from)));
	EXPECT(receive());
	EXPECT(!memcmp(frame, mac, ETH_ALEN));
	EXPECT_EQ(htonl(GUEST), ip()->daddr);
	EXPECT_EQ(htonl(HOST), ip()->saddr);
	EXPECT(!memcmp((uint8_t *)(ip() + 1) + sizeof(struct udphdr), "to guest", 9));
	expect_quiet();
	close(fd);
}

static unsigned int free_port(int type)
{
	struct sockaddr_in at;

	close(host_socket(type, &at));
	return ntohs(at.sin_port);
}

static void test_forward(void)
{
	struct net_forward forward[] = {
		{ .address.s_addr = htonl(INADDR_LOOPBACK), .guest = 80 },
		{ .udp = true, .address.s_addr = htonl(INADDR_LOOPBACK), .guest = 53 },
	};
	struct sockaddr_in at = { .sin_family = AF_INET };
	int tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int udp = socket(AF_INET, SOCK_DGRAM, 0);
	const struct tcphdr *segment;

	forward[0].host = free_port(SOCK_STREAM);
	forward[1].host = free_port(SOCK_DGRAM);
	start(forward, 2);
	say_hello();
	expect_quiet();
	at.sin_addr = forward[0].address;
	at.sin_port = htons(forward[0].host);
	EXPECT(!connect(tcp, (void *)&at, sizeof(at)) || errno == EINPROGRESS);
	EXPECT(receive());
	segment = (void *)(ip() + 1);
	EXPECT_EQ(IPPROTO_TCP, ip()->protocol);
	EXPECT_EQ(htonl(GUEST), ip()->daddr);
	EXPECT_EQ(htons(80), segment->dest);
	EXPECT(segment->syn && !segment->ack);
	at.sin_port = htons(forward[1].host);
	EXPECT_EQ(4, sendto(udp, "ask", 4, 0, (void *)&at, sizeof(at)));
	EXPECT(receive());
	EXPECT_EQ(IPPROTO_UDP, ip()->protocol);
	EXPECT_EQ(htons(53), ((struct udphdr *)(ip() + 1))->dest);
	close(tcp);
	close(udp);
}

/* A port is free for one. */
static void test_refused(void)
{
	struct sockaddr_in at;
	int fd = host_socket(SOCK_STREAM, &at);
	struct net_forward forward = { .address = at.sin_addr, .guest = 80 };
	struct failure why = { "" };
	char want[128];

	EXPECT_EQ(0, listen(fd, 1));
	forward.host = ntohs(at.sin_port);
	EXPECT(!user_open(&forward, 1, &why));
	snprintf(want, sizeof(want), "cannot forward TCP port %u of 127.0.0.1", forward.host);
	EXPECT(strstr(why.text, want) && strstr(why.text, "Address already in use"));
	close(fd);
	forward.address.s_addr = htonl(0x01020304);
	EXPECT(!user_open(&forward, 1, &why));
	EXPECT(strstr(why.text, "of 1.2.3.4 to the guest: Cannot assign"));
}

/* A connection refused by the host is one refused to the guest, again and again. */
static void test_connections(void)
{
	struct tcphdr syn = { .source = htons(1000), .syn = 1, .doff = 5, .window = htons(1000) };
	struct { uint32_t from, to; uint16_t protocol, size; } pseudo = {
		htonl(GUEST), htonl(HOST), htons(IPPROTO_TCP), htons(sizeof(syn)),
	};
	unsigned int i;

	start(NULL, 0);
	say_hello();
	for (i = 0; i < 200; i++) {
		syn.source = htons(1000 + i);
		syn.dest = htons(free_port(SOCK_STREAM));
		syn.check = 0;
		syn.check = sum(&syn, sizeof(syn),
				(uint16_t)~ntohs(sum(&pseudo, sizeof(pseudo), 0)));
		send_ip(GUEST, HOST, IPPROTO_TCP, router, &syn, sizeof(syn));
		if (!receive())
			break;
		EXPECT(((struct tcphdr *)(ip() + 1))->rst);
	}
	EXPECT_EQ(200, i);
	expect_quiet();
}

/* Frames that nobody takes are lost at some point, and no more. */
static void test_flood(void)
{
	unsigned int i, kept = 0;

	start(NULL, 0);
	say_hello();
	for (i = 0; i < 2000; i++) {
		struct { uint8_t type, code; uint16_t check; uint32_t rest; } echo = { 8, 0, 0, i };

		echo.check = sum(&echo, sizeof(echo), 0);
		send_ip(GUEST, HOST, IPPROTO_ICMP, router, &echo, sizeof(echo));
	}
	while (kept < 3000 && receive())
		kept++;
	EXPECT(kept >= 100 && kept < 2000);
	say_hello();
}

/* A packet of @protocol to one of @ports, with all lengths and sums right, and random else. */
static size_t some_packet(uint8_t *data, uint8_t protocol, const uint16_t *ports)
{
	struct ether_header *ether = (void *)data;
	struct iphdr *header = (void *)(ether + 1);
	uint8_t *payload = (void *)(header + 1);
	size_t size = sizeof(*header) + 20 + rand() % (rand() & 3 ? 60 : 1400), i;
	uint16_t port = htons(ports[rand() & 3]);

	for (i = 0; i < sizeof(*ether) + size; i++)
		data[i] = rand();
	memcpy(ether->ether_dhost, router, ETH_ALEN);
	memcpy(ether->ether_shost, mac, ETH_ALEN);
	ether->ether_type = htons(ETHERTYPE_IP);
	*header = (struct iphdr){
		.version = 4, .ihl = 5, .ttl = 64, .protocol = protocol,
		.tot_len = htons(size), .saddr = htonl(GUEST), .daddr = htonl(HOST),
	};
	payload[0] = 4;
	payload[1] = rand() % 8;
	memcpy(payload + 2, &port, 2);
	if (protocol == IPPROTO_ICMP)
		payload[0] = rand() % 20;
	if (protocol == IPPROTO_TCP)
		payload[12] = (5 + rand() % 3 * (rand() & 1)) << 4;
	if (protocol == IPPROTO_UDP) {
		memcpy(payload + 4, &(uint16_t){ htons(size - sizeof(*header)) }, 2);
		memcpy(payload + 8, "\1\1\6\0", 4);
		if (size > 300)
			memcpy(payload + 8 + 236, "\143\202\123\143\65\1\1", 7);
	}
	header->check = sum(header, sizeof(*header), 0);
	return sizeof(*ether) + size;
}

/* The host's ends are a listening socket, a socket of UDP, and nothing. */
static void test_nonsense(void)
{
	static uint8_t room[2 + 2000] __attribute__((aligned(8)));
	static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_TCP };
	struct sockaddr_in tcp, udp;
	int listening = host_socket(SOCK_STREAM, &tcp), other = host_socket(SOCK_DGRAM, &udp);
	const uint16_t ports[] = { ntohs(tcp.sin_port), ntohs(udp.sin_port), 67, 9 };
	struct virtio_net_hdr_v1 header;
	uint8_t *data = room + 2, *copy;
	unsigned int i, j, allowed = 0;
	size_t size;

	EXPECT_EQ(0, listen(listening, 100));
	start(NULL, 0);
	say_hello();
	srand(1);
	for (i = 0; i < 30000; i++) {
		size = some_packet(data, protocols[rand() & 3], ports);
		/* Two of three have bytes changed, of headers most of all; some are cut off. */
		for (j = rand() % 3; j; j--)
			data[12 + rand() % (rand() & 3 ? 42 : size - 12)] ^= 1 << rand() % 8;
		if (!(rand() & 7))
			size = NET_FRAME_MIN + rand() % (size - NET_FRAME_MIN + 1);
		/* Not to any other's ports. */
		memcpy(data + 30, &(uint32_t){ htonl(HOST) }, 4);
		memcpy(data + 36, &(uint16_t){ htons(ports[rand() & 3]) }, 2);
		copy = malloc(size);
		memcpy(copy, data, size);
		allowed += guard_allows(copy, size);
		free(copy);
		send_frame(data, size);
		for (j = 0; !(i & 63) && j < 1000 &&
			    net->ops->receive(net, &header, frame, NET_FRAME_MAX, NULL) > 0; j++)
			;
	}
	EXPECT(allowed > 5000 && allowed < 29000);
	for (i = 0; i < 1000 && net->ops->receive(net, &header, frame, NET_FRAME_MAX, NULL) > 0;)
		i++;
	start(NULL, 0);
	say_hello();
	close(listening);
	close(other);
}

/* What libslirp does not get: one thing wrong in a packet that is good. */
static void test_guard(void)
{
	static const struct {
		unsigned int at;
		uint8_t value;
	} wrong[] = {
		{ 12, 0x86 }, { 12, 0x88 }, { 14, 0x65 }, { 14, 0x46 }, { 14, 0x44 }, { 16, 1 },
		{ 17, 19 }, { 20, 0x20 }, { 20, 0x1f }, { 21, 1 }, { 23, 2 }, { 23, 41 },
		{ 37, 69 }, { 38, 1 }, { 39, 7 }, { 39, 29 },
	};
	uint8_t packet[14 + 20 + 28] = {
		[12] = 8, [14] = 0x45, [17] = 48, [20] = 0x40, [23] = IPPROTO_UDP, [37] = 53,
		[39] = 28,
	}, good[sizeof(packet)];
	unsigned int i;

	memcpy(good, packet, sizeof(good));
	EXPECT(guard_allows(packet, sizeof(packet)));
	for (i = 0; i < sizeof(packet); i++)
		EXPECT(!guard_allows(packet, i));
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		packet[wrong[i].at] = wrong[i].value;
		if (guard_allows(packet, sizeof(packet)))
			printf("# case %u\n", i);
		EXPECT(!guard_allows(packet, sizeof(packet)));
		memcpy(packet, good, sizeof(good));
	}
	packet[23] = IPPROTO_TCP;
	packet[46] = 0x50;
	EXPECT(guard_allows(packet, sizeof(packet)));
	packet[46] = 0x40;
	EXPECT(!guard_allows(packet, sizeof(packet)));
	packet[46] = 0x80;
	EXPECT(!guard_allows(packet, sizeof(packet)));
	packet[12] = 8;
	packet[13] = 6;
	EXPECT(guard_allows(packet, 42));
	EXPECT(!guard_allows(packet, 41));
}

static void test_mac(void)
{
	static const char *const bad[] = {
		"", "02", "02:00:00:00:00", "02:00:00:00:00:", "02:00:00:00:00:0g",
		"02:00:00:00:00:01:02", "02:00:00:00:00:001", " 2:00:00:00:00:01",
		"01:00:00:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "-2:0:0:0:0:1",
	};
	uint8_t one[NET_MAC], other[NET_MAC];
	unsigned int i;

	EXPECT_EQ(0, mac_parse("52:54:00:Ab:cD:ff", one));
	EXPECT(!memcmp(one, "\x52\x54\0\xab\xcd\xff", NET_MAC));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EXPECT_EQ(-1, mac_parse(bad[i], one));
	/* The same always, also in the next version. */
	mac_derive("/boot/vmlinuz", 0, one);
	EXPECT(!memcmp(one, "\x02\xb6\x61\x8e\xf2\x3f", NET_MAC));
	mac_derive("/boot/vmlinuz", 1, other);
	EXPECT(memcmp(one, other, NET_MAC));
	EXPECT_EQ(2, other[0]);
	mac_derive("/boot/vmlinux", 0, other);
	EXPECT(memcmp(one, other, NET_MAC));
}

static void on_line(const char *text)
{
	(void)text;
}

static const struct test tests[] = {
	{ "the guest gets its address, and the router's", test_addresses },
	{ "UDP to the host's loopback and back", test_udp },
	{ "connections to the guest", test_forward },
	{ "forwards that cannot be", test_refused },
	{ "many connections, refused", test_connections },
	{ "frames that nobody takes", test_flood },
	{ "addresses of network cards", test_mac },
	{ "what is kept from libslirp", test_guard },
	{ "nonsense", test_nonsense },
};

int main(void)
{
	int ret;

	notice_sink = on_line;
	ret = RUN_TESTS(tests);
	if (net)
		net->ops->destroy(net);
	return ret;
}
