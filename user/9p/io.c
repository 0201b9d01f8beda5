// SPDX-License-Identifier: GPL-2.0
/*
 * Requests that open files and directories, and read and write what is in them.
 *
 * Data goes between the file and the guest's memory without a copy. Only files and directories
 * are opened, and never so that one could wait: a pipe or a device would hold up or drive the
 * host.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "9p/ops.h"

/* Flags of Tlopen and Tlcreate, as Linux has them on most architectures. */
#define OPEN_ACCESS	03U
#define OPEN_EXCL	0200U
#define OPEN_TRUNC	01000U
#define OPEN_APPEND	02000U
#define OPEN_DSYNC	010000U
#define OPEN_DIRECTORY	0200000U
#define OPEN_SYNC	04000000U

#define LOCK_UNLOCKED	2
#define LOCK_SUCCESS	0

#define ENTRY_SIZE	24		/* of Rreaddir, without the name */

/* How often a file that comes and goes meanwhile is tried. */
#define CREATE_TRIES	10

/* ---- opening -------------------------------------------------------------------------------- */

/* What is left out (as O_DIRECT, O_NOATIME) is the guest's own affair. */
static int open_flags(uint32_t flags, int *host)
{
	static const int access[] = { O_RDONLY, O_WRONLY, O_RDWR };

	if ((flags & OPEN_ACCESS) == OPEN_ACCESS)
		return -EINVAL;
	*host = access[flags & OPEN_ACCESS];
	if (flags & OPEN_TRUNC)
		*host |= O_TRUNC;
	if (flags & OPEN_APPEND)
		*host |= O_APPEND;
	if (flags & OPEN_DSYNC)
		*host |= O_DSYNC;
	if (flags & OPEN_SYNC)
		*host |= O_SYNC;
	return 0;
}

static int may_open(mode_t type)
{
	switch (type & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
		return 0;
	case S_IFLNK:
		return -ELOOP;
	case S_IFCHR:
	case S_IFBLK:
		return -EPERM;
	}
	return -ENXIO;
}

/* The fid becomes @fd, which is taken over. */
static int place_open(struct p9_server *server, struct p9_request *request, struct p9_fid *fid,
		      int fd)
{
	DIR *dir = NULL;
	struct stat stat;

	if (fstat(fd, &stat))
		goto close_fd;
	if (S_ISDIR(stat.st_mode)) {
		dir = fdopendir(fd);
		if (!dir)
			goto close_fd;
	}
	p9_fid_replace(fid, fd, &stat);
	fid->open = true;
	fid->dir = dir;
	p9_put_stat_qid(server, request, &stat);
	p9_put32(&request->out, 0);	/* as much at once as a message takes */
	return 0;
close_fd:
	close(fd);
	return -EIO;
}

int p9_do_lopen(struct p9_server *server, struct p9_request *request)
{
	struct p9_fid *fid = p9_get_fid(server, request);
	uint32_t flags = p9_get32(&request->in);
	int host, fd, error;

	if (request->in.error)
		return request->in.error;
	if (fid->open)
		return -EBADF;
	error = open_flags(flags, &host);
	if (error)
		return error;
	error = may_open(fid->mode);
	if (error)
		return error;
	if (server->read_only && (host & (O_ACCMODE | O_TRUNC)))
		return -EROFS;
	if (S_ISDIR(fid->mode))
		host |= O_DIRECTORY;
	else if (flags & OPEN_DIRECTORY)
		return -ENOTDIR;
	fd = p9_reopen(server, fid->fd, host);
	return fd < 0 ? -errno : place_open(server, request, fid, fd);
}

/* A file that is there: a descriptor or an error. */
static int open_present(const struct p9_server *server, const struct p9_fid *dir, const char *name,
			int flags)
{
	int fd = p9_open_at(dir->fd, name, O_PATH), again;
	struct stat stat;

	if (fd < 0)
		return -errno;
	again = fstat(fd, &stat) ? -errno : may_open(stat.st_mode);
	if (!again && S_ISDIR(stat.st_mode))
		again = -EISDIR;
	if (!again) {
		again = p9_reopen(server, fd, flags);
		if (again < 0)
			again = -errno;
	}
	close(fd);
	return again;
}

/* Never by O_CREAT alone, which would open a pipe or a device that is there. */
static int open_or_create(const struct p9_server *server, const struct p9_fid *dir,
			  const char *name, uint32_t flags, uint32_t mode, uint32_t gid)
{
	unsigned int i;
	int host, fd;

	fd = open_flags(flags, &host);
	if (fd)
		return fd;
	for (i = 0; i < CREATE_TRIES; i++) {
		fd = p9_new_file(server, dir, name, host, mode, gid);
		if (fd != -EEXIST || (flags & OPEN_EXCL))
			return fd;
		fd = open_present(server, dir, name, host);
		if (fd != -ENOENT)
			return fd;
	}
	return fd;
}

int p9_do_lcreate(struct p9_server *server, struct p9_request *request)
{
	struct p9_fid *dir = p9_get_dir(server, request);
	char name[P9_NAME_SIZE];
	uint32_t flags, mode, gid;
	int fd;

	p9_get_name(&request->in, name);
	flags = p9_get32(&request->in);
	mode = p9_get32(&request->in);
	gid = p9_get32(&request->in);
	if (request->in.error)
		return request->in.error;
	if (dir->open)
		return -EBADF;
	fd = open_or_create(server, dir, name, flags, mode, gid);
	return fd < 0 ? fd : place_open(server, request, dir, fd);
}

/* ---- contents ------------------------------------------------------------------------------- */

/* 0, or why @fid's contents cannot be read or written. */
static int no_file(const struct p9_fid *fid)
{
	if (!fid->open)
		return -EBADF;
	return fid->dir ? -EISDIR : 0;
}

static uint32_t clamp(uint32_t count, uint64_t room)
{
	return count < room ? count : room;
}

int p9_do_read(struct p9_server *server, struct p9_request *request)
{
	struct p9_fid *fid = p9_get_fid(server, request);
	uint64_t offset = p9_get64(&request->in);
	uint32_t count = p9_get32(&request->in);
	struct p9_call *call = request->call;
	struct iovec iov[P9_IOV_MAX];
	unsigned int pieces;
	ssize_t done;

	if (request->in.error)
		return request->in.error;
	if (no_file(fid))
		return no_file(fid);
	count = clamp(count, server->msize - P9_RREAD_SIZE);
	count = clamp(count, call->room - P9_RREAD_SIZE);
	pieces = call->slice(call->opaque, true, P9_RREAD_SIZE, count, iov);
	do {
		done = preadv(fid->fd, iov, pieces, offset);
	} while (done < 0 && errno == EINTR);
	if (done < 0)
		return -errno;
	p9_put32(&request->out, done);
	call->data_size = done;
	return 0;
}

int p9_do_write(struct p9_server *server, struct p9_request *request)
{
	struct p9_fid *fid = p9_get_fid(server, request);
	uint64_t offset = p9_get64(&request->in);
	uint32_t count = p9_get32(&request->in);
	struct p9_call *call = request->call;
	struct iovec iov[P9_IOV_MAX];
	unsigned int pieces;
	ssize_t done;

	(void)server;
	if (request->in.error)
		return request->in.error;
	if (count > request->size - P9_TWRITE_SIZE)
		return -EPROTO;
	if (no_file(fid))
		return no_file(fid);
	pieces = call->slice(call->opaque, false, P9_TWRITE_SIZE, count, iov);
	do {
		done = pwritev(fid->fd, iov, pieces, offset);
	} while (done < 0 && errno == EINTR);
	if (done < 0)
		return -errno;
	p9_put32(&request->out, done);
	return 0;
}

int p9_do_fsync(struct p9_server *server, struct p9_request *request)
{
	struct p9_fid *fid = p9_get_fid(server, request);
	uint32_t data_only = p9_get32(&request->in);

	(void)server;
	if (request->in.error)
		return request->in.error;
	if (!fid->open)
		return -EBADF;
	return (data_only ? fdatasync(fid->fd) : fsync(fid->fd)) ? -errno : 0;
}

/* ---- directories ---------------------------------------------------------------------------- */

static uint8_t qid_type(unsigned char type)
{
	return type == DT_DIR ? P9_QID_DIR : type == DT_LNK ? P9_QID_SYMLINK : P9_QID_FILE;
}

/* What is above the root is not told. */
static bool is_above_root(const struct p9_server *server, const struct p9_fid *fid,
			  const char *name)
{
	return !strcmp(name, "..") && fid->dev == server->dev && fid->ino == server->ino;
}

static void put_entry(struct p9_server *server, struct p9_request *request,
		      const struct p9_fid *fid, const struct dirent *entry)
{
	struct p9_qid qid = { .path = p9_qid_path(server, fid->dev, entry->d_ino) };
	unsigned char type = entry->d_type;
	struct stat stat;

	/* Some file systems do not have it in directories. */
	if (type == DT_UNKNOWN && !fstatat(fid->fd, entry->d_name, &stat, AT_SYMLINK_NOFOLLOW))
		type = IFTODT(stat.st_mode);
	if (is_above_root(server, fid, entry->d_name))
		qid.path = p9_qid_path(server, server->dev, server->ino);
	qid.type = qid_type(type);
	p9_put_qid(&request->out, &qid);
	p9_put64(&request->out, entry->d_off);
	p9_put8(&request->out, type);
	p9_put_string(&request->out, entry->d_name);
}

/* The kernel's offsets are the guest's. In order nothing is sought, which not all can well. */
static void seek_entry(struct p9_fid *fid, uint64_t offset)
{
	if (offset == fid->position)
		return;
	fid->entry = NULL;
	fid->position = offset;
	if (offset)
		seekdir(fid->dir, offset);
	else
		rewinddir(fid->dir);
}

/* Entries, as many as fit. */
static int put_entries(struct p9_server *server, struct p9_request *request, struct p9_fid *fid,
		       uint32_t room)
{
	uint32_t used = 0;
	size_t size;

	for (;;) {
		errno = 0;
		if (!fid->entry)
			fid->entry = readdir(fid->dir);
		if (!fid->entry)
			return used ? 0 : -errno;
		size = ENTRY_SIZE + strlen(fid->entry->d_name);
		/* None at all would be the end. */
		if (size > room - used)
			return used ? 0 : -EINVAL;
		put_entry(server, request, fid, fid->entry);
		used += size;
		fid->position = fid->entry->d_off;
		fid->entry = NULL;
	}
}

int p9_do_readdir(struct p9_server *server, struct p9_request *request)
{
	struct p9_fid *fid = p9_get_fid(server, request);
	uint64_t offset = p9_get64(&request->in);
	uint32_t count = p9_get32(&request->in);
	struct p9_writer *out = &request->out;
	size_t counter = out->size;
	int error;

	if (request->in.error)
		return request->in.error;
	if (!fid->open)
		return -EBADF;
	if (!fid->dir)
		return -ENOTDIR;
	seek_entry(fid, offset);
	p9_put32(out, 0);
	error = put_entries(server, request, fid, clamp(count, out->room - out->size));
	if (!error && !out->full) {
		size_t size = out->size;

		out->size = counter;
		p9_put32(out, size - counter - 4);
		out->size = size;
	}
	return error;
}

/* ---- locks ---------------------------------------------------------------------------------- */

/*
 * Linux keeps the locks of its own processes and asks for the rest. The rest are none: they would
 * have to be waited for, and the host's processes do not see the guest's.
 */
int p9_do_lock(struct p9_server *server, struct p9_request *request)
{
	struct p9_fid *fid = p9_get_fid(server, request);

	if (request->in.error)
		return request->in.error;
	if (!fid->open)
		return -EBADF;
	p9_put8(&request->out, LOCK_SUCCESS);
	return 0;
}

int p9_do_getlock(struct p9_server *server, struct p9_request *request)
{
	struct p9_fid *fid = p9_get_fid(server, request);
	char client[P9_NAME_SIZE];
	uint64_t start, length;
	uint32_t process;

	p9_get8(&request->in);
	start = p9_get64(&request->in);
	length = p9_get64(&request->in);
	process = p9_get32(&request->in);
	p9_get_string(&request->in, client, sizeof(client));
	if (request->in.error)
		return request->in.error;
	if (!fid->open)
		return -EBADF;
	p9_put8(&request->out, LOCK_UNLOCKED);
	p9_put64(&request->out, start);
	p9_put64(&request->out, length);
	p9_put32(&request->out, process);
	p9_put_string(&request->out, client);
	return 0;
}
