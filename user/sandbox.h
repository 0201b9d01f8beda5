/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The launcher gives up what it does not need any more, before the guest's first instruction: who
 * gets hold of it by a device has little more than what the guest had been given.
 */
#ifndef HULL_SANDBOX_H
#define HULL_SANDBOX_H

#include <stdbool.h>

#include "machine/failure.h"

#define SANDBOX_DIRECTORIES	16

/**
 * struct sandbox_directory - a directory whose files are opened later
 * @path: of the directory, or of a file
 * @read_only: nothing is changed in it
 */
struct sandbox_directory {
	const char *path;
	bool read_only;
};

/**
 * struct sandbox_config - what the launcher needs from here on
 * @sockets: it makes connections to the network and takes them (a user's network, NBD servers)
 * @listens: it accepts connections on sockets that it has (ports of a console)
 * @vhost: drivers of the host's kernel work on queues (--vsock, --net with a tap device)
 * @directory: shared with the guest, or read by libraries
 * @directories: how many
 */
struct sandbox_config {
	bool sockets;
	bool listens;
	bool vhost;
	struct sandbox_directory directory[SANDBOX_DIRECTORIES];
	unsigned int directories;
};

/*
 * For this thread and those that it starts; there must be no others. Capabilities go (but those by
 * which root serves @directory), files can be opened in @directory alone where the kernel has
 * Landlock, and a system call that is not on the list ends the process with EXIT_CODE_ERROR and a
 * line that says which. Returns 0, or -1 with the reason.
 */
int sandbox_enter(const struct sandbox_config *config, struct failure *why);

#endif
