// SPDX-License-Identifier: GPL-2.0
/*
 * Requests that read and change attributes of files, and of the file system.
 *
 * Owners are numbers as the launcher's user sees them; what that user may not change, the guest
 * may not.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "9p/ops.h"

/* Which attributes a reply has: those of stat(). */
#define ATTR_BASIC	0x7ffU

/* Which a request changes. */
#define SET_MODE	0x001U
#define SET_UID		0x002U
#define SET_GID		0x004U
#define SET_SIZE	0x008U
#define SET_ATIME	0x010U
#define SET_MTIME	0x020U
#define SET_ATIME_TO	0x080U		/* to what the request says, not to now */
#define SET_MTIME_TO	0x100U

static void put_time(struct p9_writer *out, const struct timespec *time)
{
	p9_put64(out, time->tv_sec);
	p9_put64(out, time->tv_nsec);
}

int p9_do_getattr(struct p9_server *server, struct p9_request *request)
{
	struct p9_fid *fid = p9_get_fid(server, request);
	const struct timespec none = { 0, 0 };
	struct p9_writer *out = &request->out;
	struct stat stat;

	p9_get64(&request->in);
	if (request->in.error)
		return request->in.error;
	if (fstat(fid->fd, &stat))
		return -errno;
	p9_put64(out, ATTR_BASIC);
	p9_put_stat_qid(server, request, &stat);
	p9_put32(out, stat.st_mode);
	p9_put32(out, stat.st_uid);
	p9_put32(out, stat.st_gid);
	p9_put64(out, stat.st_nlink);
	p9_put64(out, stat.st_rdev);
	p9_put64(out, stat.st_size);
	p9_put64(out, stat.st_blksize);
	p9_put64(out, stat.st_blocks);
	put_time(out, &stat.st_atim);
	put_time(out, &stat.st_mtim);
	put_time(out, &stat.st_ctim);
	put_time(out, &none);		/* of birth */
	p9_put64(out, 0);		/* generation */
	p9_put64(out, 0);		/* version of the data */
	return 0;
}

/* ---- changing ------------------------------------------------------------------------------- */

struct change {
	uint32_t valid, mode, uid, gid;
	uint64_t size;
	struct timespec time[2];
};

static void get_time(struct p9_reader *in, struct timespec *time, bool set, bool to)
{
	time->tv_sec = p9_get64(in);
	time->tv_nsec = p9_get64(in);
	if (!set)
		time->tv_nsec = UTIME_OMIT;
	else if (!to)
		time->tv_nsec = UTIME_NOW;
	else if (time->tv_nsec < 0 || time->tv_nsec >= 1000000000)
		time->tv_nsec = -1;	/* neither of the above: refused */
}

static void get_change(struct p9_reader *in, struct change *change)
{
	uint32_t valid = p9_get32(in);

	change->valid = valid;
	change->mode = p9_get32(in);
	change->uid = p9_get32(in);
	change->gid = p9_get32(in);
	change->size = p9_get64(in);
	get_time(in, &change->time[0], valid & SET_ATIME, valid & SET_ATIME_TO);
	get_time(in, &change->time[1], valid & SET_MTIME, valid & SET_MTIME_TO);
}

static int set_size(const struct p9_server *server, const struct p9_fid *fid, uint64_t size)
{
	int fd, error = 0;

	if (size > INT64_MAX)
		return -EINVAL;
	if (!S_ISREG(fid->mode))
		return S_ISDIR(fid->mode) ? -EISDIR : -EINVAL;
	fd = p9_reopen(server, fid->fd, O_WRONLY);
	if (fd < 0) {
		error = -errno;
		/* Its mode may forbid it by now, but what is open may be used. */
		return fid->open && !ftruncate(fid->fd, size) ? 0 : error;
	}
	if (ftruncate(fd, size))
		error = -errno;
	close(fd);
	return error;
}

static int set_mode(const struct p9_server *server, const struct p9_fid *fid, uint32_t mode)
{
	if (S_ISLNK(fid->mode))
		return -EOPNOTSUPP;
	return p9_chmod(server, fid->fd, p9_mode(fid->mode, mode));
}

static int set_owner(const struct p9_fid *fid, const struct change *change)
{
	uid_t uid = change->valid & SET_UID ? change->uid : (uid_t)-1;
	gid_t gid = change->valid & SET_GID ? change->gid : (gid_t)-1;

	return fchownat(fid->fd, "", uid, gid, AT_EMPTY_PATH) ? -errno : 0;
}

int p9_do_setattr(struct p9_server *server, struct p9_request *request)
{
	struct p9_fid *fid = p9_get_fid(server, request);
	struct change change;
	int error = 0;

	get_change(&request->in, &change);
	if (request->in.error)
		return request->in.error;
	/* Rights to a device or a pipe are the host's. */
	if (!S_ISREG(fid->mode) && !S_ISDIR(fid->mode) && !S_ISLNK(fid->mode))
		return -EPERM;
	/* Times last, for the others change them. */
	if (change.valid & (SET_UID | SET_GID))
		error = set_owner(fid, &change);
	if (!error && (change.valid & SET_MODE))
		error = set_mode(server, fid, change.mode);
	if (!error && (change.valid & SET_SIZE))
		error = set_size(server, fid, change.size);
	if (!error && (change.valid & (SET_ATIME | SET_MTIME)) &&
	    utimensat(fid->fd, "", change.time, AT_EMPTY_PATH))
		error = -errno;
	return error;
}

/* ---- the file system ------------------------------------------------------------------------ */

int p9_do_statfs(struct p9_server *server, struct p9_request *request)
{
	struct p9_fid *fid = p9_get_fid(server, request);
	struct p9_writer *out = &request->out;
	struct statfs fs;
	uint64_t id;

	if (request->in.error)
		return request->in.error;
	if (fstatfs(fid->fd, &fs))
		return -errno;
	id = (uint32_t)fs.f_fsid.__val[0] | (uint64_t)(uint32_t)fs.f_fsid.__val[1] << 32;
	/* What this file system can do is not what the host's can. */
	p9_put32(out, V9FS_MAGIC);
	p9_put32(out, fs.f_bsize);
	p9_put64(out, fs.f_blocks);
	p9_put64(out, fs.f_bfree);
	p9_put64(out, fs.f_bavail);
	p9_put64(out, fs.f_files);
	p9_put64(out, fs.f_ffree);
	p9_put64(out, id);
	p9_put32(out, fs.f_namelen);
	return 0;
}
