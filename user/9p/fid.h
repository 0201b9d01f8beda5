/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fids: the guest's names for files it has found, each with a file descriptor of the host's.
 *
 * The descriptor is what a request acts on, never a path: whatever is renamed or replaced
 * meanwhile, a fid stays the file it was. It is an O_PATH one until the fid is opened.
 */
#ifndef HULL_9P_FID_H
#define HULL_9P_FID_H

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#define P9_FID_BUCKETS	4096

/**
 * struct p9_fid - one of them
 * @id: the guest's number for it
 * @uid: the guest's user, who attached the root this was reached from
 * @fd: of the file; when @dir is not NULL, that one's
 * @mode: type of the file, S_IFMT of it
 * @dev: with @ino what file it is
 * @open: by a request to open it
 * @dir: a directory that is open
 * @position: of @dir, as the guest knows it
 * @entry: the next one of @dir, when it was read already
 */
struct p9_fid {
	struct p9_fid *next;
	uint32_t id;
	uint32_t uid;
	int fd;
	mode_t mode;
	dev_t dev;
	ino_t ino;
	bool open;
	DIR *dir;
	uint64_t position;
	struct dirent *entry;
};

struct p9_fids {
	struct p9_fid *bucket[P9_FID_BUCKETS];
	unsigned int count;
	unsigned int max;
	void (*many)(void *opaque);	/* optional: see p9_tell_many() */
	void *opaque;
};

/* NULL: there is none. */
struct p9_fid *p9_fid_find(const struct p9_fids *fids, uint32_t id);

/*
 * Adds one for @fd, which is taken over, also when this fails, as @stat says. 0; -EBADF: no
 * possible id, or in use; -EMFILE: too many; -ENOMEM.
 */
int p9_fid_add(struct p9_fids *fids, uint32_t id, uint32_t uid, int fd, const struct stat *stat);

/* Puts @fd, which is taken over, and what @stat says of it in place of what the fid was. */
void p9_fid_replace(struct p9_fid *fid, int fd, const struct stat *stat);

void p9_fid_drop(struct p9_fids *fids, struct p9_fid *fid);
void p9_fid_drop_all(struct p9_fids *fids);

#endif
