// SPDX-License-Identifier: GPL-2.0
/*
 * What of a guest's frames reaches libslirp: ARP, and whole packets of TCP, UDP and ICMP over IPv4
 * whose lengths fit each other. All else is dropped here, for a hostile guest shall not have the
 * parts of libslirp that nobody needs: reassembly of fragments above all (random fragments crash
 * Debian 12's libslirp 4.7.0), options of IP, TFTP, NC-SI, IPv6.
 *
 * Pure: no state.
 */
#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <string.h>

#include "net/guard.h"

#define ARP_SIZE	28
#define IP_SIZE		20
#define TCP_SIZE	20
#define UDP_SIZE	8
#define ICMP_SIZE	8

#define TFTP_PORT	69

static unsigned int get16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

static bool tcp_whole(const uint8_t *tcp, size_t size)
{
	size_t header = size < TCP_SIZE ? 0 : (tcp[12] >> 4) * 4;

	return header >= TCP_SIZE && header <= size;
}

static bool udp_whole(const uint8_t *udp, size_t size)
{
	size_t length = size < UDP_SIZE ? 0 : get16(udp + 4);

	return length >= UDP_SIZE && length <= size && get16(udp + 2) != TFTP_PORT;
}

static bool ip_whole(const uint8_t *ip, size_t size)
{
	size_t length;

	if (size < IP_SIZE || ip[0] != 0x45)
		return false;
	length = get16(ip + 2);
	if (length < IP_SIZE || length > size)
		return false;
	/* More fragments, or not the first one. */
	if (get16(ip + 6) & 0x3fff)
		return false;
	switch (ip[9]) {
	case IPPROTO_TCP:
		return tcp_whole(ip + IP_SIZE, length - IP_SIZE);
	case IPPROTO_UDP:
		return udp_whole(ip + IP_SIZE, length - IP_SIZE);
	case IPPROTO_ICMP:
		return length - IP_SIZE >= ICMP_SIZE;
	}
	return false;
}

bool guard_allows(const uint8_t *frame, size_t size)
{
	if (size < sizeof(struct ether_header))
		return false;
	size -= sizeof(struct ether_header);
	switch (get16(frame + 12)) {
	case ETHERTYPE_ARP:
		return size >= ARP_SIZE;
	case ETHERTYPE_IP:
		return ip_whole(frame + sizeof(struct ether_header), size);
	}
	return false;
}
