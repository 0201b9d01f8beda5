/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The programs of scripts/bench-linux: the guest's /init (guest.c, guest_io.c) and what is at the
 * other end of its network card (peer.c).
 */
#ifndef BENCH_GUEST_H
#define BENCH_GUEST_H

#include <stdint.h>

/* The network: host and guest, and the port of the host that packets go to. */
#define HOST_ADDRESS	"10.8.0.1"
#define GUEST_ADDRESS	"10.8.0.2"
#define NETMASK		"255.255.255.0"
#define PACKET_PORT	4000
#define PACKET_SIZE	64
#define PACKET_ANSWER	1		/* first byte of those that are answered */

/* Says why and powers off. */
void die(const char *what);

/* Loads what is in /modules, and waits for disk and network card; nothing without modules. */
void start_devices(void);

/* Loops, each measured in ticks of the time-stamp counter. */
uint64_t loop_read(unsigned int rounds);
uint64_t loop_write(unsigned int rounds);
uint64_t loop_answer(unsigned int rounds);
uint64_t loop_send(unsigned int rounds);

#endif
