// SPDX-License-Identifier: GPL-2.0
/* Addresses of network cards: out of text, and derived from what a guest is known by. Pure. */
#include <stdio.h>
#include <string.h>

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

/* FNV-1a, whose last step is repeated for the index; 40 bits of it. */
void mac_derive(const char *words, unsigned int index, uint8_t mac[NET_MAC])
{
	uint64_t hash = 0xcbf29ce484222325;
	unsigned int i;

	for (; *words; words++)
		hash = (hash ^ (uint8_t)*words) * 0x100000001b3;
	hash = (hash ^ (0x100 + index)) * 0x100000001b3;
	hash ^= hash >> 40;
	mac[0] = LOCAL;
	for (i = 1; i < NET_MAC; i++)
		mac[i] = hash >> 8 * (NET_MAC - 1 - i);
}
