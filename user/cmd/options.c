// SPDX-License-Identifier: GPL-2.0
/* Options of which a machine is made, as hull run and hull exec take them. */
#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "machine/identity.h"
#include "machine/machine.h"
#include "virtio/vsock.h"

#define MAX_CPUS	255
#define MAX_SECONDS	(365.0 * 24 * 3600)

void parse_name(struct argp_state *state, const char *arg, const char **name)
{
	if (identity_check_name(arg))
		argp_error(state, "--name %s: must have 1 to %u letters, digits, '.', '_' and '-', and "
			   "begin with none of '.' and '-'", arg, IDENTITY_NAME_MAX);
	*name = arg;
}

void parse_sandbox(struct argp_state *state, const char *arg, bool *off)
{
	*off = !strcmp(arg, "off");
	if (!*off && strcmp(arg, "on"))
		argp_error(state, "--sandbox %s: must be on or off", arg);
}

void parse_memory(struct argp_state *state, const char *arg, uint64_t *size)
{
	if (parse_size(arg, size))
		argp_error(state, "--mem %s: not a size (examples: 512M, 2G)", arg);
	if (*size < MEMORY_MIN || *size > MEMORY_MAX || *size % PAGE_SIZE)
		argp_error(state, "--mem %s: must be 1M to 1024G, in steps of 4K", arg);
}

/* @arg: NULL: none. */
void parse_balloon(struct argp_state *state, const char *arg, struct machine_config *machine)
{
	machine->balloon = true;
	machine->balloon_size = 0;
	if (arg && (parse_size(arg, &machine->balloon_size) ||
		    machine->balloon_size % PAGE_SIZE))
		argp_error(state, "--balloon=%s: not a size in steps of 4K (examples: 256M, 1G)",
			   arg);
}

void parse_cpus(struct argp_state *state, const char *arg, unsigned int *cpus)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(arg, &end, 10);
	if (errno || end == arg || *end || *arg == '-' || !number || number > MAX_CPUS)
		argp_error(state, "--cpus %s: must be 1 to %u", arg, MAX_CPUS);
	*cpus = number;
}

void parse_timeout(struct argp_state *state, const char *arg, uint64_t *ms)
{
	char *end;
	double seconds = strtod(arg, &end);

	/* Written so that NaN fails. */
	if (end == arg || *end || !(seconds > 0 && seconds <= MAX_SECONDS))
		argp_error(state, "--timeout %s: must be a number of seconds above 0", arg);
	*ms = (uint64_t)(seconds * 1000);
	if (!*ms)
		*ms = 1;
}

void parse_paging(struct argp_state *state, const char *arg, unsigned int *paging)
{
	if (!strcmp(arg, "nested"))
		*paging = HULL_PAGING_NESTED;
	else if (!strcmp(arg, "shadow"))
		*paging = HULL_PAGING_SHADOW;
	else if (!strcmp(arg, "auto"))
		*paging = HULL_PAGING_AUTO;
	else
		argp_error(state, "--paging %s: must be nested or shadow", arg);
}

void parse_share(struct argp_state *state, char *arg, struct machine_config *machine)
{
	struct share_config *share = &machine->share[machine->shares];
	char *words = strchr(arg, ','), *tag;
	unsigned int i;

	if (machine->shares == MACHINE_SHARES)
		argp_error(state, "more than %u shares", MACHINE_SHARES);
	if (words)
		*words++ = '\0';
	if (words && strcmp(words, "ro"))
		argp_error(state, "--share: what is '%s'? DIR:TAG may be followed by ro", words);
	/* A tag has no colon, so the directory may. */
	tag = strrchr(arg, ':');
	if (!tag || tag == arg)
		argp_error(state, "--share %s: must be DIR:TAG, the guest mounts by TAG", arg);
	*tag++ = '\0';
	if (!*tag || strlen(tag) > SHARE_TAG)
		argp_error(state, "--share %s: a tag has 1 to %u characters", arg, SHARE_TAG);
	for (i = 0; i < machine->shares; i++)
		if (!strcmp(machine->share[i].tag, tag))
			argp_error(state, "--share %s: there is a tag %s already", arg, tag);
	machine->shares++;
	share->path = arg;
	share->read_only = words;
	strcpy(share->tag, tag);
}

static int parse_target(const char *target, struct port_config *port)
{
	static const struct {
		const char *prefix;
		enum port_kind kind;
	} known[] = { { "unix:", PORT_UNIX }, { "file:", PORT_FILE } };
	char *end;
	size_t i;

	if (!strcmp(target, "pty")) {
		port->kind = PORT_PTY;
		return 0;
	}
	if (!strncmp(target, "fd:", 3)) {
		unsigned long fd = strtoul(target + 3, &end, 10);

		port->kind = PORT_FD;
		port->fd = fd;
		return end == target + 3 || *end || target[3] == '-' || fd > INT_MAX ? -1 : 0;
	}
	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		size_t length = strlen(known[i].prefix);

		if (strncmp(target, known[i].prefix, length))
			continue;
		port->kind = known[i].kind;
		port->path = target + length;
		return *port->path ? 0 : -1;
	}
	return -1;
}

void parse_console(struct argp_state *state, char *arg, struct machine_config *machine)
{
	struct port_config *port = &machine->port[machine->ports];
	char *target = strchr(arg, '=');
	unsigned int i;

	if (!strcmp(arg, "hvc")) {
		machine->hvc = true;
		return;
	}
	if (machine->ports == MACHINE_PORTS)
		argp_error(state, "more than %u consoles", MACHINE_PORTS);
	if (!target)
		argp_error(state, "--console %s: must be hvc, or NAME=TARGET", arg);
	*target++ = '\0';
	if (!*arg || strlen(arg) > PORT_NAME || strchr(arg, '/'))
		argp_error(state, "--console %s: a name has 1 to %u characters, none of them '/'",
			   arg, PORT_NAME);
	for (i = 0; i < machine->ports; i++)
		if (!strcmp(machine->port[i].name, arg))
			argp_error(state, "--console %s: there is one already", arg);
	if (parse_target(target, port))
		argp_error(state, "--console %s: %s: must be unix:PATH, file:PATH, pty or fd:N",
			   arg, target);
	strcpy(port->name, arg);
	machine->ports++;
}

void parse_boot(struct argp_state *state, const char *arg, enum boot_protocol *protocol)
{
	static const struct {
		const char *name;
		enum boot_protocol protocol;
	} known[] = {
		{ "auto", BOOT_AUTO },
		{ "64", BOOT_LINUX64 },
		{ "32", BOOT_LINUX32 },
		{ "pvh", BOOT_PVH },
		{ "multiboot", BOOT_MULTIBOOT },
	};
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!strcmp(arg, known[i].name)) {
			*protocol = known[i].protocol;
			return;
		}
	}
	argp_error(state, "--boot %s: must be auto, 64, 32, pvh or multiboot", arg);
}

void parse_vsock(struct argp_state *state, const char *arg, uint32_t *cid)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(arg, &end, 10);
	if (errno || *arg < '0' || *arg > '9' || *end || number < VSOCK_CID_MIN ||
	    number > VSOCK_CID_MAX)
		argp_error(state, "--vsock %s: must be the guest's CID, %u to %u (2 is the host's)",
			   arg, VSOCK_CID_MIN, VSOCK_CID_MAX);
	*cid = number;
}

void parse_serial(const char *arg, struct console_config *serial)
{
	serial->path = NULL;
	if (!strcmp(arg, "stdio")) {
		serial->kind = CONSOLE_STDIO;
	} else if (!strcmp(arg, "pty")) {
		serial->kind = CONSOLE_PTY;
	} else if (!strcmp(arg, "none")) {
		serial->kind = CONSOLE_NONE;
	} else {
		serial->kind = CONSOLE_FILE;
		serial->path = arg;
	}
}
