// SPDX-License-Identifier: GPL-2.0
/*
 * The table of fids: see fid.h. There is a limit, for each holds a descriptor of the launcher's.
 *
 * Locks: none; a share belongs to one thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "9p/fid.h"
#include "9p/proto.h"

static struct p9_fid *const *bucket_of(const struct p9_fids *fids, uint32_t id)
{
	return &fids->bucket[id % P9_FID_BUCKETS];
}

struct p9_fid *p9_fid_find(const struct p9_fids *fids, uint32_t id)
{
	struct p9_fid *fid = *bucket_of(fids, id);

	while (fid && fid->id != id)
		fid = fid->next;
	return fid;
}

static void set(struct p9_fid *fid, int fd, const struct stat *stat)
{
	fid->fd = fd;
	fid->mode = stat->st_mode & S_IFMT;
	fid->dev = stat->st_dev;
	fid->ino = stat->st_ino;
	fid->open = false;
	fid->dir = NULL;
	fid->position = 0;
	fid->entry = NULL;
}

static int add(struct p9_fids *fids, uint32_t id, struct p9_fid **added)
{
	struct p9_fid **bucket = (struct p9_fid **)bucket_of(fids, id);

	if (id == P9_NOFID || p9_fid_find(fids, id))
		return -EBADF;
	if (fids->count >= fids->max)
		return -EMFILE;
	*added = calloc(1, sizeof(**added));
	if (!*added)
		return -ENOMEM;
	(*added)->id = id;
	(*added)->next = *bucket;
	*bucket = *added;
	fids->count++;
	if (fids->many && fids->count > fids->max / 4 * 3 &&
	    fids->count % (fids->max / 64 + 1) == 0)
		fids->many(fids->opaque);
	return 0;
}

int p9_fid_add(struct p9_fids *fids, uint32_t id, uint32_t uid, int fd, const struct stat *stat)
{
	struct p9_fid *fid;
	int error = add(fids, id, &fid);

	if (error) {
		close(fd);
		return error;
	}
	fid->uid = uid;
	set(fid, fd, stat);
	return 0;
}

static void release(struct p9_fid *fid)
{
	if (fid->dir)
		closedir(fid->dir);
	else
		close(fid->fd);
}

void p9_fid_replace(struct p9_fid *fid, int fd, const struct stat *stat)
{
	release(fid);
	set(fid, fd, stat);
}

void p9_fid_drop(struct p9_fids *fids, struct p9_fid *fid)
{
	struct p9_fid **link = (struct p9_fid **)bucket_of(fids, fid->id);

	while (*link != fid)
		link = &(*link)->next;
	*link = fid->next;
	fids->count--;
	release(fid);
	free(fid);
}

void p9_fid_drop_all(struct p9_fids *fids)
{
	unsigned int i;

	for (i = 0; i < P9_FID_BUCKETS; i++)
		while (fids->bucket[i])
			p9_fid_drop(fids, fids->bucket[i]);
}
