// SPDX-License-Identifier: GPL-2.0
/* Addresses of network cards: out of text, and derived from what a guest is known by. Pure. */
#include <stdio.h>
#include <string.h>

#include "machine/identity.h"
#include "net/mac.h"

/* The first byte's bits: an address of a group; one that no manufacturer gave. */
#define GROUP	1
#define LOCAL	2

int mac_parse(const char *text, uint8_t mac[NET_MAC])
{
	static const uint8_t zero[NET_MAC];
	unsigned int part[NET_MAC], i;
	int end = -1;

	if (strspn(text, "0123456789abcdefABCDEF:") != strlen(text))
		return -1;
	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &part[0], &part[1], &part[2], &part[3],
		   &part[4], &part[5], &end) != NET_MAC || end < 0 || text[end])
		return -1;
	for (i = 0; i < NET_MAC; i++)
		mac[i] = part[i];
	return (mac[0] & GROUP) || !memcmp(mac, zero, NET_MAC) ? -1 : 0;
}

/* 40 bits of the hash. */
void mac_derive(const char *words, unsigned int index, uint8_t mac[NET_MAC])
{
	uint64_t hash = identity_hash(words, index);
	unsigned int i;

	mac[0] = LOCAL;
	for (i = 1; i < NET_MAC; i++)
		mac[i] = hash >> 8 * (NET_MAC - 1 - i);
}
