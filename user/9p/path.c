// SPDX-License-Identifier: GPL-2.0
/*
 * Requests that have to do with names: walking, making, linking, renaming, removing.
 *
 * A name is one component, and each step is openat2() with a descriptor that is held, which
 * refuses to follow links; so what the host or another guest does to the tree meanwhile leads
 * nowhere else. A descriptor is opened once more by /proc/self/fd, which names the file, not a
 * path to it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "9p/ops.h"

/* Flags of Tunlinkat, as Linux has them. */
#define UNLINK_DIR	0x200U

/* ---- opening -------------------------------------------------------------------------------- */

int p9_open_at(int dir, const char *path, int flags)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC | O_NOFOLLOW,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
	};

	return syscall(SYS_openat2, dir, path, &how, sizeof(how));
}

struct fd_name {
	char text[12];
};

/* The name of @fd in /proc/self/fd. */
static struct fd_name fd_name(int fd)
{
	struct fd_name name;

	snprintf(name.text, sizeof(name.text), "%d", fd);
	return name;
}

/* What is neither a file nor a directory must not get here, or opening it might do something. */
int p9_reopen(const struct p9_server *server, int fd, int flags)
{
	return openat(server->proc, fd_name(fd).text, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

/* A descriptor of the same file that can be opened later. */
static int clone_fd(const struct p9_server *server, const struct p9_fid *fid)
{
	if (fid->open)
		return p9_reopen(server, fid->fd, O_PATH);
	return fcntl(fid->fd, F_DUPFD_CLOEXEC, 0);
}

/* ---- owner and mode ------------------------------------------------------------------------- */

/*
 * Programs of the guest's making must not give the launcher's user to others on the host. For
 * directories the bit means that files in them get their group.
 */
uint32_t p9_mode(mode_t type, uint32_t mode)
{
	return mode & (S_ISDIR(type) ? 03777 : 01777);
}

int p9_chmod(const struct p9_server *server, int fd, uint32_t mode)
{
	return fchmodat(server->proc, fd_name(fd).text, mode, 0) ? -errno : 0;
}

int p9_adopt(const struct p9_server *server, int fd, uint32_t uid, uint32_t gid, uint32_t mode)
{
	struct stat stat;
	int ignored;

	/* Only root may give files away, and not in all file systems. Else it stays the owner. */
	ignored = geteuid() ? 0 : fchownat(fd, "", uid, gid, AT_EMPTY_PATH);
	(void)ignored;
	if (fstat(fd, &stat))
		return -errno;
	if (!S_ISREG(stat.st_mode) && !S_ISDIR(stat.st_mode))
		return 0;
	/* Without this the launcher's umask would have a say. */
	mode = p9_mode(stat.st_mode, mode);
	if (S_ISDIR(stat.st_mode))
		mode |= stat.st_mode & S_ISGID;
	return p9_chmod(server, fd, mode);
}

/* ---- walking -------------------------------------------------------------------------------- */

/* Puts @fd, taken over, behind @newid, which is @fid's own number or free. */
static int place(struct p9_server *server, struct p9_fid *fid, uint32_t newid, int fd,
		 const struct stat *stat)
{
	if (newid != fid->id)
		return p9_fid_add(&server->fids, newid, fid->uid, fd, stat);
	p9_fid_replace(fid, fd, stat);
	return 0;
}

/*
 * From @fd, which becomes what was found last, with @stat, along @count names, as far as they
 * lead. Returns how many did; @error says why not all.
 */
static unsigned int follow(struct p9_server *server, struct p9_request *request, int *fd,
			   struct stat *stat, char (*name)[P9_NAME_SIZE], unsigned int count,
			   int *error)
{
	unsigned int i;
	int next;

	for (i = 0; i < count; i++) {
		next = p9_open_at(*fd, name[i], O_PATH);
		if (next < 0 || fstat(next, stat)) {
			*error = -errno;
			if (next >= 0)
				close(next);
			return i;
		}
		close(*fd);
		*fd = next;
		p9_put_stat_qid(server, request, stat);
	}
	return i;
}

static int walk(struct p9_server *server, struct p9_request *request, struct p9_fid *fid,
		uint32_t newid, char (*name)[P9_NAME_SIZE], unsigned int count)
{
	uint8_t *counter = request->out.data + request->out.size;
	unsigned int done;
	struct stat stat;
	int fd, error = 0;

	fd = clone_fd(server, fid);
	if (fd < 0 || fstat(fd, &stat)) {
		error = -errno;
		if (fd >= 0)
			close(fd);
		return error;
	}
	p9_put16(&request->out, count);
	done = follow(server, request, &fd, &stat, name, count, &error);
	if (done == count && !request->out.full)
		return place(server, fid, newid, fd, &stat);
	close(fd);
	/* How far it got is told, but from the first name on. */
	if (done && !request->out.full)
		counter[0] = done;
	return done ? 0 : error;
}

int p9_do_walk(struct p9_server *server, struct p9_request *request)
{
	struct p9_fid *fid = p9_get_fid(server, request);
	uint32_t newid = p9_get32(&request->in);
	unsigned int count = p9_get16(&request->in), i;
	char name[P9_WALK_MAX][P9_NAME_SIZE];

	if (count > P9_WALK_MAX)
		return -EINVAL;
	for (i = 0; i < count; i++)
		p9_get_name(&request->in, name[i]);
	if (request->in.error)
		return request->in.error;
	if (newid == fid->id ? fid->open : !!p9_fid_find(&server->fids, newid))
		return -EBADF;
	return walk(server, request, fid, newid, name, count);
}

int p9_do_attach(struct p9_server *server, struct p9_request *request)
{
	uint32_t id = p9_get32(&request->in);
	uint32_t auth = p9_get32(&request->in);
	char user[P9_NAME_SIZE], tree[PATH_MAX];
	uint32_t uid;
	struct stat stat;
	int fd;

	p9_get_string(&request->in, user, sizeof(user));
	p9_get_string(&request->in, tree, sizeof(tree));
	uid = p9_get32(&request->in);
	if (request->in.error)
		return request->in.error;
	if (auth != P9_NOFID)
		return -EOPNOTSUPP;
	/* There is one tree, without a name. */
	if (tree[0] && strcmp(tree, "/"))
		return -ENOENT;
	fd = fcntl(server->root, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &stat)) {
		close(fd);
		return -EIO;
	}
	p9_put_stat_qid(server, request, &stat);
	if (request->out.full) {
		close(fd);
		return -EMSGSIZE;
	}
	return p9_fid_add(&server->fids, id, uid, fd, &stat);
}

/* ---- making --------------------------------------------------------------------------------- */

/* What was just made is adopted, and its qid the reply. */
static int finish(struct p9_server *server, struct p9_request *request, const struct p9_fid *dir,
		  const char *name, uint32_t gid, uint32_t mode)
{
	int fd = p9_open_at(dir->fd, name, O_PATH);
	struct stat stat;
	int error;

	if (fd < 0)
		return -errno;
	error = p9_adopt(server, fd, dir->uid, gid, mode);
	if (!error && fstat(fd, &stat))
		error = -errno;
	if (!error)
		p9_put_stat_qid(server, request, &stat);
	close(fd);
	return error;
}

int p9_do_mkdir(struct p9_server *server, struct p9_request *request)
{
	struct p9_fid *dir = p9_get_dir(server, request);
	char name[P9_NAME_SIZE];
	uint32_t mode, gid;

	p9_get_name(&request->in, name);
	mode = p9_get32(&request->in);
	gid = p9_get32(&request->in);
	if (request->in.error)
		return request->in.error;
	if (mkdirat(dir->fd, name, mode & 0777))
		return -errno;
	return finish(server, request, dir, name, gid, mode);
}

int p9_do_symlink(struct p9_server *server, struct p9_request *request)
{
	struct p9_fid *dir = p9_get_dir(server, request);
	char name[P9_NAME_SIZE], target[PATH_MAX];
	uint32_t gid;

	p9_get_name(&request->in, name);
	p9_get_string(&request->in, target, sizeof(target));
	gid = p9_get32(&request->in);
	if (request->in.error)
		return request->in.error;
	if (symlinkat(target, dir->fd, name))
		return -errno;
	return finish(server, request, dir, name, gid, 0);
}

int p9_new_file(const struct p9_server *server, const struct p9_fid *dir, const char *name,
		int flags, uint32_t mode, uint32_t gid)
{
	int fd, error;

	fd = openat(dir->fd, name, flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
		    mode & 0777);
	if (fd < 0)
		return -errno;
	error = p9_adopt(server, fd, dir->uid, gid, mode);
	if (error) {
		close(fd);
		return error;
	}
	return fd;
}

/* A regular file, in the end: devices and pipes would be the host's. */
int p9_do_mknod(struct p9_server *server, struct p9_request *request)
{
	struct p9_fid *dir = p9_get_dir(server, request);
	char name[P9_NAME_SIZE];
	uint32_t mode, gid;
	struct stat stat;
	int fd;

	p9_get_name(&request->in, name);
	mode = p9_get32(&request->in);
	p9_get32(&request->in);
	p9_get32(&request->in);
	gid = p9_get32(&request->in);
	if (request->in.error)
		return request->in.error;
	if ((mode & S_IFMT) && !S_ISREG(mode))
		return -EPERM;
	fd = p9_new_file(server, dir, name, O_WRONLY, mode, gid);
	if (fd < 0)
		return fd;
	if (fstat(fd, &stat)) {
		close(fd);
		return -EIO;
	}
	close(fd);
	p9_put_stat_qid(server, request, &stat);
	return 0;
}

int p9_do_link(struct p9_server *server, struct p9_request *request)
{
	struct p9_fid *dir = p9_get_dir(server, request);
	struct p9_fid *fid = p9_get_fid(server, request);
	char name[P9_NAME_SIZE];

	p9_get_name(&request->in, name);
	if (request->in.error)
		return request->in.error;
	/* Only the link in /proc is followed. */
	if (linkat(server->proc, fd_name(fid->fd).text, dir->fd, name, AT_SYMLINK_FOLLOW))
		return -errno;
	return 0;
}

int p9_do_readlink(struct p9_server *server, struct p9_request *request)
{
	struct p9_fid *fid = p9_get_fid(server, request);
	char target[PATH_MAX];
	ssize_t length;

	if (request->in.error)
		return request->in.error;
	if (!S_ISLNK(fid->mode))
		return -EINVAL;
	length = readlinkat(fid->fd, "", target, sizeof(target) - 1);
	if (length < 0)
		return -errno;
	target[length] = '\0';
	p9_put_string(&request->out, target);
	return 0;
}

/* ---- renaming and removing ------------------------------------------------------------------ */

/* The path by which the kernel knows @fd. */
static int path_of(const struct p9_server *server, int fd, char *path)
{
	ssize_t length = readlinkat(server->proc, fd_name(fd).text, path, PATH_MAX - 1);

	if (length < 0)
		return -errno;
	path[length] = '\0';
	return 0;
}

/* Opens the directory that has @fid as @name, below the root, and looks that it is so. */
static int find_parent(const struct p9_server *server, const struct p9_fid *fid, char *name,
		       int *parent)
{
	char root[PATH_MAX], path[PATH_MAX], *slash;
	struct stat stat;
	size_t length;
	int error;

	if (fid->dev == server->dev && fid->ino == server->ino)
		return -EBUSY;
	error = path_of(server, server->root, root);
	if (!error)
		error = path_of(server, fid->fd, path);
	if (error)
		return error;
	length = strcmp(root, "/") ? strlen(root) : 0;
	if (strncmp(path, root, length) || path[length] != '/')
		return -ENOENT;
	slash = strrchr(path, '/');
	if (strlen(slash + 1) > NAME_MAX)
		return -ENOENT;
	strcpy(name, slash + 1);
	*slash = '\0';
	*parent = p9_open_at(server->root, slash > path + length ? path + length + 1 : ".",
			     O_PATH | O_DIRECTORY);
	if (*parent < 0)
		return -errno;
	/* It may have moved meanwhile, or have no name any more. */
	if (!fstatat(*parent, name, &stat, AT_SYMLINK_NOFOLLOW) && stat.st_dev == fid->dev &&
	    stat.st_ino == fid->ino)
		return 0;
	close(*parent);
	return -ENOENT;
}

/* Removes by the fid, which goes whether that is possible or not. */
int p9_do_remove(struct p9_server *server, struct p9_request *request)
{
	struct p9_fid *fid = p9_get_fid(server, request);
	char name[P9_NAME_SIZE];
	int parent, error;

	if (!fid)
		return request->in.error;
	error = server->read_only ? -EROFS : find_parent(server, fid, name, &parent);
	if (!error) {
		if (unlinkat(parent, name, S_ISDIR(fid->mode) ? AT_REMOVEDIR : 0))
			error = -errno;
		close(parent);
	}
	p9_fid_drop(&server->fids, fid);
	return error;
}

int p9_do_rename(struct p9_server *server, struct p9_request *request)
{
	struct p9_fid *fid = p9_get_fid(server, request);
	struct p9_fid *dir = p9_get_dir(server, request);
	char name[P9_NAME_SIZE], old[P9_NAME_SIZE];
	int parent, error;

	p9_get_name(&request->in, name);
	if (request->in.error)
		return request->in.error;
	error = find_parent(server, fid, old, &parent);
	if (error)
		return error;
	if (renameat(parent, old, dir->fd, name))
		error = -errno;
	close(parent);
	return error;
}

int p9_do_renameat(struct p9_server *server, struct p9_request *request)
{
	char from[P9_NAME_SIZE], to[P9_NAME_SIZE];
	struct p9_fid *old, *new;

	old = p9_get_dir(server, request);
	p9_get_name(&request->in, from);
	new = p9_get_dir(server, request);
	p9_get_name(&request->in, to);
	if (request->in.error)
		return request->in.error;
	return renameat(old->fd, from, new->fd, to) ? -errno : 0;
}

int p9_do_unlinkat(struct p9_server *server, struct p9_request *request)
{
	struct p9_fid *dir = p9_get_dir(server, request);
	char name[P9_NAME_SIZE];
	uint32_t flags;

	p9_get_name(&request->in, name);
	flags = p9_get32(&request->in);
	if (request->in.error)
		return request->in.error;
	if (flags & ~UNLINK_DIR)
		return -EINVAL;
	return unlinkat(dir->fd, name, flags ? AT_REMOVEDIR : 0) ? -errno : 0;
}
