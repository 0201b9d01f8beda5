// SPDX-License-Identifier: GPL-2.0
/*
 * The network: its addresses are those that libslirp gives everybody (user/net/user.c), so nobody
 * has to be asked.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <net/route.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "exec/init/init.h"

#define CARD		"eth0"
#define ADDRESS		0x0a00020f	/* 10.0.2.15 */
#define NETMASK		0xffffff00
#define ROUTER		0x0a000202
#define NAME_SERVER	"nameserver 10.0.2.3\n"
#define CARD_WAIT_MS	5000

static void set(struct sockaddr *where, uint32_t address)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(address) };

	memcpy(where, &in, sizeof(in));
}

static int bring_up(int fd, const char *name)
{
	struct ifreq request = { .ifr_flags = 0 };

	strncpy(request.ifr_name, name, IFNAMSIZ - 1);
	if (ioctl(fd, SIOCGIFFLAGS, &request))
		return -1;
	request.ifr_flags |= IFF_UP | IFF_RUNNING;
	return ioctl(fd, SIOCSIFFLAGS, &request);
}

/* The driver may still be looking at it. */
static int wait_for_card(int fd)
{
	struct ifreq request = { .ifr_name = CARD };
	unsigned int waited;

	for (waited = 0; waited < CARD_WAIT_MS; waited++) {
		if (!ioctl(fd, SIOCGIFINDEX, &request))
			return 0;
		usleep(1000);
	}
	return -1;
}

static int set_addresses(int fd)
{
	struct ifreq request = { .ifr_name = CARD };
	struct rtentry route = { .rt_flags = RTF_UP | RTF_GATEWAY };

	set(&request.ifr_addr, ADDRESS);
	if (ioctl(fd, SIOCSIFADDR, &request))
		return -1;
	set(&request.ifr_netmask, NETMASK);
	if (ioctl(fd, SIOCSIFNETMASK, &request) || bring_up(fd, CARD))
		return -1;
	set(&route.rt_dst, 0);
	set(&route.rt_genmask, 0);
	set(&route.rt_gateway, ROUTER);
	return ioctl(fd, SIOCADDRT, &route);
}

int set_up_net(const struct program *program)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret = 0, error;

	if (fd < 0)
		return -1;
	bring_up(fd, "lo");
	if (program->header->flags & EXEC_NET) {
		ret = wait_for_card(fd) || set_addresses(fd) ? -1 : 0;
		/* It may be a link into a directory that is not the host's here. */
		unlink("/etc/resolv.conf");
		write_file("/etc/resolv.conf", NAME_SERVER);
	}
	error = errno;
	close(fd);
	errno = error;
	return ret;
}
