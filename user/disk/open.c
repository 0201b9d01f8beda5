// SPDX-License-Identifier: GPL-2.0
/*
 * Which kind of disk it is: what the user said, never what the contents look like. A guest that
 * may write to a raw disk can make it look like anything, an image with any file of the host as
 * its base among them; so a file that looks like an image, and was not said to be one or raw, is
 * refused.
 *
 * Locks: none.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "disk/nbd.h"

static const struct format {
	const char *name;
	unsigned int offset;
	const char *magic;		/* without a zero byte */
} formats[] = {
	{ "raw", 0, "" },
	{ "qcow2", 0, "QFI\xfb" },
	{ "vmdk", 0, "KDMV" },
	{ "vdi", 64, "\x7f\x10\xda\xbe" },
	{ "vhdx", 0, "vhdxfile" },
};

#define FORMATS		(sizeof(formats) / sizeof(formats[0]))
#define MAGIC_SIZE	72		/* of which all are */

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

bool disk_is_format(const char *format)
{
	unsigned int i;

	for (i = 0; i < FORMATS; i++)
		if (!strcmp(format, formats[i].name))
			return true;
	return false;
}

/* -1 with the reason: somebody should say what this file is. */
static int check_is_raw(const char *path, struct failure *why)
{
	char start[MAGIC_SIZE] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : pread(fd, start, sizeof(start), 0);
	int error = errno;
	unsigned int i;

	if (fd >= 0)
		close(fd);
	if (size < 0)
		return fail(why, "cannot read disk %s: %s", path, strerror(error));
	for (i = 1; i < FORMATS; i++)
		if (!memcmp(start + formats[i].offset, formats[i].magic, strlen(formats[i].magic)))
			return fail(why, "disk %s looks like an image in format %s: say so (--disk "
				    "%s,format=%s), or that it is none (format=raw)", path,
				    formats[i].name, path, formats[i].name);
	return 0;
}

static struct disk *open_raw(const struct disk_source *source, bool read_only, struct failure *why)
{
	struct disk *disk = raw_open(source->path, read_only, why);

	if (disk && !source->format && check_is_raw(source->path, why)) {
		disk->ops->close(disk);
		return NULL;
	}
	return disk;
}

struct disk *disk_open(const struct disk_source *source, struct broker *broker,
		       struct failure *why)
{
	const bool read_only = source->read_only || source->overlay;
	struct disk *disk;

	if (disk_is_uri(source->path))
		disk = nbd_open_uri(source->path, read_only, source->reconnect, why);
	else if (!source->format || !strcmp(source->format, "raw"))
		disk = open_raw(source, read_only, why);
	else
		disk = image_open(source->path, source->format, read_only, source->reconnect,
				  broker, why);
	if (disk && source->overlay)
		disk = overlay_open(disk, source->overlay, why);
	return disk;
}
