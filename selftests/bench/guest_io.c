// SPDX-License-Identifier: GPL-2.0
/*
 * Loops that use a disk (/dev/vda, of at least DISK_SIZE) and a network card (eth0).
 *
 * Each request is alone: the next one begins when it has ended, so a round has all that a request
 * costs and nothing is shared. Packets that are sent without an answer are the exception: how many
 * of them go at once is the driver's and the device's affair.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>

#include "guest.h"

#define BLOCK		4096U
#define DISK_SIZE	(16U << 20)

/* ---- devices -------------------------------------------------------------------------------- */

static void load_module(const char *name)
{
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "/modules/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
		die(name);
	close(fd);
}

static int is_module(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void set_address(int fd, unsigned long request, const char *address)
{
	struct ifreq ifr = { .ifr_name = "eth0" };
	struct sockaddr_in *in = (struct sockaddr_in *)&ifr.ifr_addr;

	in->sin_family = AF_INET;
	in->sin_addr.s_addr = inet_addr(address);
	if (ioctl(fd, request, &ifr))
		die("eth0");
}

static void start_network(void)
{
	struct ifreq ifr = { .ifr_name = "eth0", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	set_address(fd, SIOCSIFADDR, GUEST_ADDRESS);
	set_address(fd, SIOCSIFNETMASK, NETMASK);
	if (ioctl(fd, SIOCSIFFLAGS, &ifr))
		die("eth0");
	close(fd);
}

void start_devices(void)
{
	struct dirent **names;
	int count = scandir("/modules", &names, is_module, alphasort), i;

	if (count <= 0)
		return;
	if (mount("dev", "/dev", "devtmpfs", 0, NULL))
		die("/dev");
	for (i = 0; i < count; i++)
		load_module(names[i]->d_name);
	start_network();
	printf("hull-bench: ready\n");
}

/* ---- the disk ------------------------------------------------------------------------------- */

static int open_disk(void)
{
	int fd = open("/dev/vda", O_RDWR | O_DIRECT | O_CLOEXEC);

	if (fd < 0)
		die("/dev/vda");
	return fd;
}

/* Of a block somewhere on the disk; the same ones each time. */
static off_t next_block(void)
{
	static uint32_t state = 0x68756c6c;

	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return (off_t)(state % (DISK_SIZE / BLOCK)) * BLOCK;
}

static _Alignas(4096) char block[BLOCK];

uint64_t loop_read(unsigned int rounds)
{
	int fd = open_disk();
	uint64_t start = __rdtsc();

	while (rounds--)
		if (pread(fd, block, BLOCK, next_block()) != BLOCK)
			die("read");
	start = __rdtsc() - start;
	close(fd);
	return start;
}

uint64_t loop_write(unsigned int rounds)
{
	int fd = open_disk();
	uint64_t start = __rdtsc();

	while (rounds--)
		if (pwrite(fd, block, BLOCK, next_block()) != BLOCK || fdatasync(fd))
			die("write");
	start = __rdtsc() - start;
	close(fd);
	return start;
}

/* ---- the network ---------------------------------------------------------------------------- */

static int open_socket(void)
{
	const struct timeval limit = { .tv_sec = 5 };
	struct sockaddr_in host = {
		.sin_family = AF_INET, .sin_port = htons(PACKET_PORT),
		.sin_addr.s_addr = inet_addr(HOST_ADDRESS),
	};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
	    connect(fd, (struct sockaddr *)&host, sizeof(host)))
		die("socket");
	return fd;
}

static void send_packet(int fd, char answer)
{
	char packet[PACKET_SIZE] = { answer };

	if (send(fd, packet, sizeof(packet), 0) != sizeof(packet))
		die("send");
}

static void receive_packet(int fd)
{
	char packet[PACKET_SIZE];

	if (recv(fd, packet, sizeof(packet), 0) != sizeof(packet))
		die("no answer");
}

uint64_t loop_answer(unsigned int rounds)
{
	int fd = open_socket();
	uint64_t start = __rdtsc();

	while (rounds--) {
		send_packet(fd, PACKET_ANSWER);
		receive_packet(fd);
	}
	start = __rdtsc() - start;
	close(fd);
	return start;
}

/* The answer to the last one says that all have arrived. */
uint64_t loop_send(unsigned int rounds)
{
	int fd = open_socket();
	uint64_t start = __rdtsc();

	while (rounds-- > 1)
		send_packet(fd, 0);
	send_packet(fd, PACKET_ANSWER);
	receive_packet(fd);
	start = __rdtsc() - start;
	close(fd);
	return start;
}
