// SPDX-License-Identifier: GPL-2.0
/*
 * The other end of the guest's network card: makes the tap device that its argument names, which
 * stays, gives the host an address on it, says "ready", and answers packets for ever.
 *
 * So the guest's traffic is the same on hull and on KVM, and nothing else is on that network.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest.h"

#define BUFFER	(4 << 20)		/* what waits is not to be dropped */

static const char *device;

void die(const char *what)
{
	perror(what);
	exit(1);
}

static struct ifreq request(void)
{
	struct ifreq ifr = { 0 };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", device);
	return ifr;
}

static void make_tap(void)
{
	struct ifreq ifr = request();
	int fd = open("/dev/net/tun", O_RDWR);

	ifr.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) || ioctl(fd, TUNSETPERSIST, 1))
		die(device);
	close(fd);
}

static void set_address(int fd, unsigned long what, const char *address)
{
	struct ifreq ifr = request();
	struct sockaddr_in *in = (struct sockaddr_in *)&ifr.ifr_addr;

	in->sin_family = AF_INET;
	in->sin_addr.s_addr = inet_addr(address);
	if (ioctl(fd, what, &ifr))
		die(address);
}

static int open_network(void)
{
	const struct sockaddr_in host = {
		.sin_family = AF_INET, .sin_port = htons(PACKET_PORT),
		.sin_addr.s_addr = inet_addr(HOST_ADDRESS),
	};
	struct ifreq ifr = request();
	int fd = socket(AF_INET, SOCK_DGRAM, 0), size = BUFFER;

	set_address(fd, SIOCSIFADDR, HOST_ADDRESS);
	set_address(fd, SIOCSIFNETMASK, NETMASK);
	ifr.ifr_flags = IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &ifr) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    bind(fd, (const struct sockaddr *)&host, sizeof(host)))
		die("network");
	return fd;
}

int main(int argc, char **argv)
{
	struct sockaddr_in in;
	struct sockaddr *from = (struct sockaddr *)&in;
	char packet[PACKET_SIZE];
	socklen_t length;
	int fd;

	if (argc != 2)
		return 2;
	device = argv[1];
	make_tap();
	fd = open_network();
	puts("ready");
	fflush(stdout);
	for (;;) {
		length = sizeof(in);
		if (recvfrom(fd, packet, sizeof(packet), 0, from, &length) > 0 &&
		    packet[0] == PACKET_ANSWER)
			sendto(fd, packet, sizeof(packet), 0, from, length);
	}
}
