// SPDX-License-Identifier: GPL-2.0
/*
 * Which kind of disk it is: what the user said, never what the contents look like.
 *
 * Locks: none.
 */
#include <string.h>

#include "disk/nbd.h"

bool disk_is_uri(const char *path)
{
	static const char *const schemes[] = {
		"nbd:", "nbds:", "nbd+unix:", "nbds+unix:", "nbd+vsock:", "nbds+vsock:",
	};
	unsigned int i;

	for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (!strncmp(path, schemes[i], strlen(schemes[i])))
			return true;
	return false;
}

struct disk *disk_open(const struct disk_source *source, struct failure *why)
{
	if (disk_is_uri(source->path))
		return nbd_open_uri(source->path, source->read_only, source->reconnect, why);
	return raw_open(source->path, source->read_only, why);
}
