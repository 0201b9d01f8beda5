/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the requests' files share: path.c (names), attr.c (attributes), io.c (contents).
 *
 * A request's function reads all it wants of the message, then looks at in.error, which has also
 * what p9_get_fid() and its like found; acts; and writes the reply's body. It returns 0 or an
 * error (-EROFS), which is the reply then.
 */
#ifndef HULL_9P_OPS_H
#define HULL_9P_OPS_H

#include <sys/stat.h>

#include "9p/fid.h"
#include "9p/server.h"

#define P9_DEVICES_MAX	255

/**
 * struct p9_server - a share
 * @root: the directory, O_PATH
 * @proc: /proc/self/fd, by which a descriptor that is held is opened once more
 * @dev: with @ino what directory the root is
 * @read_only: nothing is changed
 * @msize: agreed on; 0: there is no session
 * @device: file systems seen, whose numbers are in qids
 */
struct p9_server {
	int root;
	int proc;
	dev_t dev;
	ino_t ino;
	bool read_only;
	uint32_t msize;
	struct p9_fids fids;
	dev_t device[P9_DEVICES_MAX];
	unsigned int devices;
};

/* @size: of the message, as it says itself; not more than there is. */
struct p9_request {
	struct p9_call *call;
	struct p9_reader in;
	struct p9_writer out;
	uint32_t size;
};

/* ---- server.c ------------------------------------------------------------------------------- */

/* Reads the number of a fid. NULL, and an error of the reader: there is none, or no directory. */
struct p9_fid *p9_get_fid(struct p9_server *server, struct p9_request *request);
struct p9_fid *p9_get_dir(struct p9_server *server, struct p9_request *request);

void p9_put_stat_qid(struct p9_server *server, struct p9_request *request,
		     const struct stat *stat);
uint64_t p9_qid_path(struct p9_server *server, dev_t dev, ino_t ino);

/* ---- path.c --------------------------------------------------------------------------------- */

/* Opens @path below @dir, following no link; a descriptor, or -1 with errno. */
int p9_open_at(int dir, const char *path, int flags);

/* Opens what @fd is once more; it must be a file or a directory. */
int p9_reopen(const struct p9_server *server, int fd, int flags);

/* What is new gets the owner the guest wants, where that is possible, and @mode. */
int p9_adopt(const struct p9_server *server, int fd, uint32_t uid, uint32_t gid, uint32_t mode);

/* Mode for a file or a directory of this type: bits that would give rights on the host go. */
uint32_t p9_mode(mode_t type, uint32_t mode);
int p9_chmod(const struct p9_server *server, int fd, uint32_t mode);

/* A new file @name, open for @flags: a descriptor or an error. */
int p9_new_file(const struct p9_server *server, const struct p9_fid *dir, const char *name,
		int flags, uint32_t mode, uint32_t gid);

int p9_do_attach(struct p9_server *server, struct p9_request *request);
int p9_do_walk(struct p9_server *server, struct p9_request *request);
int p9_do_mkdir(struct p9_server *server, struct p9_request *request);
int p9_do_symlink(struct p9_server *server, struct p9_request *request);
int p9_do_mknod(struct p9_server *server, struct p9_request *request);
int p9_do_link(struct p9_server *server, struct p9_request *request);
int p9_do_readlink(struct p9_server *server, struct p9_request *request);
int p9_do_rename(struct p9_server *server, struct p9_request *request);
int p9_do_renameat(struct p9_server *server, struct p9_request *request);
int p9_do_remove(struct p9_server *server, struct p9_request *request);
int p9_do_unlinkat(struct p9_server *server, struct p9_request *request);

/* ---- attr.c --------------------------------------------------------------------------------- */

int p9_do_getattr(struct p9_server *server, struct p9_request *request);
int p9_do_setattr(struct p9_server *server, struct p9_request *request);
int p9_do_statfs(struct p9_server *server, struct p9_request *request);

/* ---- io.c ----------------------------------------------------------------------------------- */

int p9_do_lopen(struct p9_server *server, struct p9_request *request);
int p9_do_lcreate(struct p9_server *server, struct p9_request *request);
int p9_do_read(struct p9_server *server, struct p9_request *request);
int p9_do_write(struct p9_server *server, struct p9_request *request);
int p9_do_readdir(struct p9_server *server, struct p9_request *request);
int p9_do_fsync(struct p9_server *server, struct p9_request *request);
int p9_do_lock(struct p9_server *server, struct p9_request *request);
int p9_do_getlock(struct p9_server *server, struct p9_request *request);

#endif
