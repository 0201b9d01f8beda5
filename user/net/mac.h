/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Addresses of network cards.
 */
#ifndef HULL_NET_MAC_H
#define HULL_NET_MAC_H

#include "net/net.h"

/* "02:12:34:56:78:9a". 0, or -1: it is none that a card can have. */
int mac_parse(const char *text, uint8_t mac[NET_MAC]);

/* The same address for the same words, and one of its own for other words or another @index. */
void mac_derive(const char *words, unsigned int index, uint8_t mac[NET_MAC]);

#endif
