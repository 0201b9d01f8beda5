// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin of nbdkit: a file, and a record of what was done to it, in its order (record.h):
 *
 *	nbdkit build/disk/record.so file=disk.img record=disk.record
 */
#define _GNU_SOURCE
#define NBDKIT_API_VERSION	2
#include <nbdkit-plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "record.h"

/* One request at a time: so the record's order is that of what was done. */
#define THREAD_MODEL	NBDKIT_THREAD_MODEL_SERIALIZE_ALL_REQUESTS

static char *file_name, *record_name;
static int file = -1, record = -1;

static int on_config(const char *key, const char *value)
{
	if (!strcmp(key, "file"))
		file_name = nbdkit_realpath(value);
	else if (!strcmp(key, "record"))
		record_name = nbdkit_absolute_path(value);
	else
		return nbdkit_error("unknown parameter %s", key), -1;
	return 0;
}

static int on_ready(void)
{
	if (!file_name || !record_name)
		return nbdkit_error("file=FILE record=FILE"), -1;
	file = open(file_name, O_RDWR | O_CLOEXEC);
	record = open(record_name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (file < 0 || record < 0)
		return nbdkit_error("cannot open: %s", strerror(errno)), -1;
	return 0;
}

static void *on_open(int read_only)
{
	(void)read_only;
	return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t get_size(void *handle)
{
	struct stat stat;

	(void)handle;
	return fstat(file, &stat) ? -1 : stat.st_size;
}

static int can_fua(void *handle)
{
	(void)handle;
	return NBDKIT_FUA_NONE;
}

/* Appended in one write, so that there is no half of one, whenever this is killed. */
static int note(enum record_op op, uint64_t offset, uint32_t size, const void *data)
{
	struct record_entry entry = {
		.magic = RECORD_MAGIC, .op = op, .size = size, .offset = offset,
	};
	struct iovec iov[2] = { { &entry, sizeof(entry) }, { (void *)data, data ? size : 0 } };

	if (writev(record, iov, 2) == (ssize_t)(sizeof(entry) + iov[1].iov_len))
		return 0;
	nbdkit_error("cannot record: %s", strerror(errno));
	return -1;
}

static int on_read(void *handle, void *data, uint32_t size, uint64_t offset, uint32_t flags)
{
	(void)handle;
	(void)flags;
	return pread(file, data, size, offset) == (ssize_t)size ? 0 : -1;
}

static int on_write(void *handle, const void *data, uint32_t size, uint64_t offset,
		    uint32_t flags)
{
	(void)handle;
	(void)flags;
	if (pwrite(file, data, size, offset) != (ssize_t)size)
		return -1;
	return note(RECORD_WRITE, offset, size, data);
}

static int punch(uint32_t size, uint64_t offset)
{
	return fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, size);
}

static int on_trim(void *handle, uint32_t size, uint64_t offset, uint32_t flags)
{
	(void)handle;
	(void)flags;
	return punch(size, offset) ? -1 : note(RECORD_ZERO, offset, size, NULL);
}

static int on_zero(void *handle, uint32_t size, uint64_t offset, uint32_t flags)
{
	(void)handle;
	(void)flags;
	return punch(size, offset) ? -1 : note(RECORD_ZERO, offset, size, NULL);
}

static int on_flush(void *handle, uint32_t flags)
{
	(void)handle;
	(void)flags;
	return note(RECORD_FLUSH, 0, 0, NULL);
}

static struct nbdkit_plugin plugin = {
	.name = "record",
	.config = on_config,
	.get_ready = on_ready,
	.open = on_open,
	.get_size = get_size,
	.can_fua = can_fua,
	.pread = on_read,
	.pwrite = on_write,
	.trim = on_trim,
	.zero = on_zero,
	.flush = on_flush,
	.errno_is_preserved = 1,
};

NBDKIT_REGISTER_PLUGIN(plugin)
