// SPDX-License-Identifier: GPL-2.0
/*
 * Files and block devices as they are. The page cache is used; a flush is fdatasync().
 *
 * A disk that is written to belongs to one process: it has an exclusive lock of the whole file (of
 * the open file, so it ends with it), one that is only read a shared lock. Others who ask for
 * locks, as QEMU's tools do, see that.
 *
 * Locks: none; one thread.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk/disk.h"

#define PUNCH	(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
#define ZERO	(FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE)

/* What file systems without fallocate() are filled with. */
#define ZEROES	65536

struct raw {
	struct disk disk;
	struct aio *aio;
	int fd;
};

static const uint8_t zeroes[ZEROES];

/* ---- requests ------------------------------------------------------------------------------- */

static void begin(struct raw *raw, struct disk_request *request)
{
	struct aio_op *aio = &request->raw.aio;

	aio->offset = request->offset;
	aio->size = request->size;
	switch (request->op) {
	case DISK_READ:
	case DISK_WRITE:
		aio->call = request->op == DISK_READ ? AIO_READ : AIO_WRITE;
		aio->iov = request->iov;
		aio->count = request->count;
		break;
	case DISK_FLUSH:
		aio->call = AIO_SYNC;
		break;
	case DISK_DISCARD:
		aio->call = AIO_ALLOCATE;
		aio->mode = PUNCH;
		break;
	case DISK_ZERO:
		aio->call = AIO_ALLOCATE;
		aio->mode = request->may_unmap && !request->raw.attempt ? PUNCH : ZERO;
		break;
	}
	raw->aio->engine->submit(raw->aio, aio);
}

static void write_zeroes(struct raw *raw, struct disk_request *request)
{
	struct aio_op *aio = &request->raw.aio;
	uint64_t size = request->size < ZEROES ? request->size : ZEROES;

	request->raw.zeroes = (struct iovec){ (void *)zeroes, size };
	*aio = (struct aio_op){
		.call = AIO_WRITE, .offset = request->offset, .size = size,
		.iov = &request->raw.zeroes, .count = 1,
	};
	raw->aio->engine->submit(raw->aio, aio);
}

/* True: the request goes on. PUNCH, ZERO and writing are tried in turn. */
static bool go_on_allocating(struct raw *raw, struct disk_request *request)
{
	if (request->raw.aio.result != -EOPNOTSUPP)
		return false;
	if (request->op == DISK_DISCARD) {
		request->raw.aio.result = 0;
		return false;
	}
	if (request->raw.aio.mode == PUNCH) {
		request->raw.attempt++;
		begin(raw, request);
	} else {
		write_zeroes(raw, request);
	}
	return true;
}

static bool go_on_moving(struct raw *raw, struct disk_request *request)
{
	int64_t result = request->raw.aio.result;

	/* The file has become shorter, or its device takes nothing. */
	if (!result)
		request->raw.aio.result = -EIO;
	if (result <= 0 || (uint64_t)result >= request->size)
		return false;
	disk_advance(request, result);
	begin(raw, request);
	return true;
}

static bool go_on_zeroing(struct raw *raw, struct disk_request *request)
{
	int64_t result = request->raw.aio.result;

	if (!result)
		request->raw.aio.result = -EIO;
	if (result <= 0 || (uint64_t)result >= request->size)
		return false;
	request->offset += result;
	request->size -= result;
	write_zeroes(raw, request);
	return true;
}

static void done(void *opaque, struct aio_op *op)
{
	struct disk_request *request;
	struct raw *raw = opaque;
	bool more = false;

	if (op->result == -EINTR) {
		raw->aio->engine->submit(raw->aio, op);
		raw->aio->engine->commit(raw->aio);
		return;
	}
	request = (struct disk_request *)((char *)op - offsetof(struct disk_request, raw.aio));
	if (op->call == AIO_ALLOCATE)
		more = go_on_allocating(raw, request);
	else if (op->call == AIO_WRITE && request->op == DISK_ZERO)
		more = go_on_zeroing(raw, request);
	else if (op->call != AIO_SYNC)
		more = go_on_moving(raw, request);
	if (more)
		raw->aio->engine->commit(raw->aio);
	else
		request->done(request, op->result < 0 ? -op->result : 0);
}

static void raw_submit(struct disk *disk, struct disk_request *request)
{
	request->raw.attempt = 0;
	begin((struct raw *)disk, request);
}

static void raw_commit(struct disk *disk)
{
	struct aio *aio = ((struct raw *)disk)->aio;

	aio->engine->commit(aio);
}

static void raw_complete(struct disk *disk)
{
	struct aio *aio = ((struct raw *)disk)->aio;

	aio->engine->complete(aio);
}

static void raw_close(struct disk *disk)
{
	struct raw *raw = (struct raw *)disk;

	if (raw->aio)
		raw->aio->engine->destroy(raw->aio);
	if (raw->fd >= 0)
		close(raw->fd);
	free(raw);
}

/* ---- opening -------------------------------------------------------------------------------- */

static int open_file(struct raw *raw, bool read_only, struct failure *why)
{
	const char *path = raw->disk.name;
	struct stat stat_before;
	int flags = O_CLOEXEC | O_NOCTTY | (read_only ? O_RDONLY : O_RDWR);

	/* Looked at first: opening a FIFO waits, opening a tape may move it. */
	if (stat(path, &stat_before))
		return fail(why, "cannot open disk %s: %s", path, strerror(errno));
	if (!S_ISREG(stat_before.st_mode) && !S_ISBLK(stat_before.st_mode))
		return fail(why, "disk %s is neither a file nor a block device", path);
	/* Of a block device: nobody else has it so, a mounted file system has. */
	if (S_ISBLK(stat_before.st_mode) && !read_only)
		flags |= O_EXCL;
	raw->fd = open(path, flags);
	if (raw->fd >= 0)
		return 0;
	if (errno == EBUSY)
		return fail(why, "disk %s is in use: mounted, or part of another device", path);
	if (!read_only && (errno == EACCES || errno == EROFS || errno == EPERM))
		return fail(why, "cannot write to disk %s: %s (--disk %s,ro only reads it)", path,
			    strerror(errno), path);
	return fail(why, "cannot open disk %s: %s", path, strerror(errno));
}

static int lock_file(struct raw *raw, struct failure *why)
{
	struct flock lock = {
		.l_type = raw->disk.read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET,
	};

	if (!fcntl(raw->fd, F_OFD_SETLK, &lock))
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return fail(why, "disk %s is in use by another process, or given twice",
			    raw->disk.name);
	return fail(why, "cannot lock disk %s: %s", raw->disk.name, strerror(errno));
}

static int measure(struct raw *raw, struct failure *why)
{
	struct disk *disk = &raw->disk;
	struct stat now;
	uint64_t size;
	int block = 0;

	if (fstat(raw->fd, &now))
		return fail(why, "cannot look at disk %s: %s", disk->name, strerror(errno));
	size = now.st_size;
	disk->block = DISK_SECTOR;
	if (S_ISBLK(now.st_mode)) {
		if (ioctl(raw->fd, BLKGETSIZE64, &size) || ioctl(raw->fd, BLKSSZGET, &block))
			return fail(why, "cannot ask for the size of disk %s: %s", disk->name,
				    strerror(errno));
		disk->block = block;
	}
	return disk_set_size(disk, size, why);
}

static int start_aio(struct raw *raw, struct aio *(*create)(int file), struct failure *why)
{
	raw->aio = create(raw->fd);
	if (!raw->aio)
		return fail(why, "cannot start what disk %s is read by: %s", raw->disk.name,
			    strerror(errno));
	raw->aio->done = done;
	raw->aio->opaque = raw;
	raw->disk.event = raw->aio->event;
	return 0;
}

static struct raw *create_raw(const char *name, bool read_only)
{
	static const struct disk_ops ops = {
		.submit = raw_submit, .commit = raw_commit, .complete = raw_complete,
		.close = raw_close,
	};
	struct raw *raw = calloc(1, sizeof(*raw));

	if (!raw)
		return NULL;
	raw->fd = -1;
	raw->disk.ops = &ops;
	raw->disk.name = name;
	raw->disk.read_only = read_only;
	return raw;
}

struct disk *raw_open_by(const char *path, bool read_only, struct aio *(*create)(int file),
			 struct failure *why)
{
	struct raw *raw = create_raw(path, read_only);

	if (!raw) {
		fail(why, "out of memory");
		return NULL;
	}
	if (open_file(raw, read_only, why) || lock_file(raw, why) || measure(raw, why) ||
	    start_aio(raw, create, why)) {
		raw_close(&raw->disk);
		return NULL;
	}
	return &raw->disk;
}

static struct aio *best_engine(int file)
{
	struct aio *aio = aio_uring_create(file);

	return aio ? aio : aio_threads_create(file);
}

struct disk *raw_open(const char *path, bool read_only, struct failure *why)
{
	return raw_open_by(path, read_only, best_engine, why);
}

/* ---- temporary files ------------------------------------------------------------------------ */

/* Not all file systems have files without a name from the start. */
static int create_nameless(const char *directory)
{
	char path[PATH_MAX];
	int fd = open(directory, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
		return fd;
	if (snprintf(path, sizeof(path), "%s/hull-XXXXXX", directory) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

struct disk *raw_open_temporary(const char *directory, uint64_t size, struct failure *why)
{
	struct raw *raw = create_raw(directory, false);

	if (!raw) {
		fail(why, "out of memory");
		return NULL;
	}
	raw->fd = create_nameless(directory);
	if (raw->fd < 0 || ftruncate(raw->fd, size)) {
		fail(why, "cannot make a temporary file of %llu bytes in %s: %s",
		     (unsigned long long)size, directory, strerror(errno));
		raw_close(&raw->disk);
		return NULL;
	}
	if (measure(raw, why) || start_aio(raw, best_engine, why)) {
		raw_close(&raw->disk);
		return NULL;
	}
	return &raw->disk;
}
