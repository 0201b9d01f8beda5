// SPDX-License-Identifier: GPL-2.0
/* hull run --net: what a network card is connected with. */
#include <argp.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "machine/machine.h"
#include "net/mac.h"

/* 0: it is no port. */
static uint16_t parse_port(const char *text)
{
	unsigned long port;
	char *end;

	if (!text || *text < '0' || *text > '9')
		return 0;
	port = strtoul(text, &end, 10);
	return *end || port > UINT16_MAX ? 0 : port;
}

/* [tcp:|udp:][ADDRESS:]PORT:GUESTPORT */
static int parse_parts(char *text, struct net_forward *forward)
{
	char *part[3] = { NULL };
	unsigned int count = 0;

	if (!strncmp(text, "tcp:", 4) || !strncmp(text, "udp:", 4)) {
		forward->udp = *text == 'u';
		text += 4;
	}
	while (text && count < 3)
		part[count++] = strsep(&text, ":");
	if (text || count < 2)
		return -1;
	forward->address.s_addr = htonl(INADDR_LOOPBACK);
	if (count == 3 && inet_pton(AF_INET, part[0], &forward->address) != 1)
		return -1;
	forward->host = parse_port(part[count - 2]);
	forward->guest = parse_port(part[count - 1]);
	return forward->host && forward->guest ? 0 : -1;
}

static void parse_forward(struct argp_state *state, char *text, struct net_config *net)
{
	char before[64];

	if (net->forwards == NET_FORWARDS)
		argp_error(state, "--net: more than %u forwards", NET_FORWARDS);
	strncpy(before, text, sizeof(before) - 1);
	before[sizeof(before) - 1] = '\0';
	if (parse_parts(text, &net->forward[net->forwards++]))
		argp_error(state, "--net: forward=%s: must be [tcp:|udp:][ADDRESS:]PORT:GUESTPORT, "
			   "as 8080:80 or udp:127.0.0.1:5353:53", before);
}

static void parse_queues(struct argp_state *state, const char *text, struct net_config *net)
{
	unsigned long queues;
	char *end;

	if (net->kind == NET_USER)
		argp_error(state, "--net user,queues=%s: that network has one queue; those of "
			   "tap=NAME and bridge=NAME have several", text);
	queues = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || !queues || queues > NET_QUEUES_MAX)
		argp_error(state, "--net: queues=%s: must be 1 to %u", text, NET_QUEUES_MAX);
	net->queues = queues;
}

static void parse_word(struct argp_state *state, char *word, struct net_config *net)
{
	if (!strncmp(word, "mac=", 4)) {
		net->has_mac = true;
		if (mac_parse(word + 4, net->mac))
			argp_error(state, "--net: %s: not an address of a network card, as "
				   "02:12:34:56:78:9a", word);
	} else if (!strncmp(word, "vhost=", 6) && net->kind != NET_USER) {
		net->vhost = strcmp(word + 6, "on") ? NET_VHOST_OFF : NET_VHOST_ON;
		if (net->vhost == NET_VHOST_OFF && strcmp(word + 6, "off"))
			argp_error(state, "--net: %s: must be vhost=on or vhost=off", word);
	} else if (!strncmp(word, "forward=", 8) && net->kind == NET_USER) {
		parse_forward(state, word + 8, net);
	} else if (!strncmp(word, "queues=", 7)) {
		parse_queues(state, word + 7, net);
	} else {
		argp_error(state, "--net: what is '%s'? user may be followed by forward=..., tap and "
			   "bridge by queues=N or vhost=on|off, all by mac=MAC", word);
	}
}

/* As the kernel has names of interfaces; '%' would make it choose one. */
static int set_name(struct net_config *net, enum net_kind kind, const char *name)
{
	net->kind = kind;
	if (!*name || strlen(name) >= sizeof(net->name) || strpbrk(name, "/:% \t\n") ||
	    !strcmp(name, ".") || !strcmp(name, ".."))
		return -1;
	strcpy(net->name, name);
	return 0;
}

static int parse_kind(const char *text, struct net_config *net)
{
	if (!strncmp(text, "tap=", 4))
		return set_name(net, NET_TAP, text + 4);
	if (!strncmp(text, "bridge=", 7))
		return set_name(net, NET_BRIDGE, text + 7);
	net->kind = NET_USER;
	return strcmp(text, "user") ? -1 : 0;
}

void parse_net(struct argp_state *state, char *arg, struct machine_config *machine)
{
	struct net_config *net = &machine->net[machine->nets];
	char *kind = strsep(&arg, ","), *word;

	if (machine->nets == MACHINE_NETS)
		argp_error(state, "more than %u network cards", MACHINE_NETS);
	machine->nets++;
	net->queues = 1;
	if (parse_kind(kind, net))
		argp_error(state, "--net %s: must be user, tap=NAME or bridge=NAME; a name has 1 to "
			   "%u characters", kind, IFNAMSIZ - 1);
	while ((word = strsep(&arg, ",")))
		parse_word(state, word, net);
}
