// SPDX-License-Identifier: GPL-2.0
/*
 * A share: its session, its table of requests, and the frame of each message.
 *
 * What is no message at all (shorter than a header, longer than what carries it) is the carrier's
 * to punish; all else that is wrong is answered with an error.
 *
 * Locks: none; see server.h.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "9p/ops.h"

#define VERSION		"9P2000.L"
#define VERSION_SIZE	64

/* ---- what requests share -------------------------------------------------------------------- */

struct p9_fid *p9_get_fid(struct p9_server *server, struct p9_request *request)
{
	uint32_t id = p9_get32(&request->in);
	struct p9_fid *fid = request->in.error ? NULL : p9_fid_find(&server->fids, id);

	if (!fid && !request->in.error)
		request->in.error = -EBADF;
	return fid;
}

struct p9_fid *p9_get_dir(struct p9_server *server, struct p9_request *request)
{
	struct p9_fid *fid = p9_get_fid(server, request);

	if (fid && !S_ISDIR(fid->mode)) {
		request->in.error = -ENOTDIR;
		return NULL;
	}
	return fid;
}

/* Numbers of files are one file system's; there may be mounts below the root. */
uint64_t p9_qid_path(struct p9_server *server, dev_t dev, ino_t ino)
{
	uint64_t index = 0;

	while (index < server->devices && server->device[index] != dev)
		index++;
	if (index == server->devices && index < P9_DEVICES_MAX)
		server->device[server->devices++] = dev;
	return ino ^ index << 56;
}

void p9_put_stat_qid(struct p9_server *server, struct p9_request *request,
		     const struct stat *stat)
{
	struct p9_qid qid = {
		.version = stat->st_mtim.tv_sec ^ stat->st_mtim.tv_nsec ^ stat->st_size << 8,
		.path = p9_qid_path(server, stat->st_dev, stat->st_ino),
	};

	if (S_ISDIR(stat->st_mode))
		qid.type = P9_QID_DIR;
	else if (S_ISLNK(stat->st_mode))
		qid.type = P9_QID_SYMLINK;
	p9_put_qid(&request->out, &qid);
}

/* ---- the session ---------------------------------------------------------------------------- */

/* Begins a session, or ends the one there was without another: the reply's version says which. */
static int do_version(struct p9_server *server, struct p9_request *request)
{
	uint32_t msize = p9_get32(&request->in);
	char version[VERSION_SIZE];
	bool known;

	p9_get_string(&request->in, version, sizeof(version));
	if (request->in.error)
		return request->in.error;
	p9_reset(server);
	if (msize < P9_MSIZE_MIN)
		return -EINVAL;
	if (msize > P9_MSIZE_MAX)
		msize = P9_MSIZE_MAX;
	known = !strcmp(version, VERSION);
	if (known)
		server->msize = msize;
	p9_put32(&request->out, msize);
	p9_put_string(&request->out, known ? VERSION : "unknown");
	return 0;
}

/* Requests are done in order, so the one that is meant has been answered. */
static int do_flush(struct p9_server *server, struct p9_request *request)
{
	(void)server;
	p9_get16(&request->in);
	return request->in.error;
}

static int do_clunk(struct p9_server *server, struct p9_request *request)
{
	struct p9_fid *fid = p9_get_fid(server, request);

	if (fid)
		p9_fid_drop(&server->fids, fid);
	return request->in.error;
}

/* Nobody has to prove who they are; and extended attributes are not shared. */
static int do_unsupported(struct p9_server *server, struct p9_request *request)
{
	(void)server;
	(void)request;
	return -EOPNOTSUPP;
}

/* ---- requests ------------------------------------------------------------------------------- */

static const struct p9_op {
	uint8_t type;
	bool changes;		/* refused where the share is read-only */
	int (*run)(struct p9_server *server, struct p9_request *request);
} ops[] = {
	{ P9_TSTATFS, false, p9_do_statfs },
	{ P9_TLOPEN, false, p9_do_lopen },	/* looks itself */
	{ P9_TLCREATE, true, p9_do_lcreate },
	{ P9_TSYMLINK, true, p9_do_symlink },
	{ P9_TMKNOD, true, p9_do_mknod },
	{ P9_TRENAME, true, p9_do_rename },
	{ P9_TREADLINK, false, p9_do_readlink },
	{ P9_TGETATTR, false, p9_do_getattr },
	{ P9_TSETATTR, true, p9_do_setattr },
	{ P9_TXATTRWALK, false, do_unsupported },
	{ P9_TXATTRCREATE, true, do_unsupported },
	{ P9_TREADDIR, false, p9_do_readdir },
	{ P9_TFSYNC, false, p9_do_fsync },
	{ P9_TLOCK, false, p9_do_lock },
	{ P9_TGETLOCK, false, p9_do_getlock },
	{ P9_TLINK, true, p9_do_link },
	{ P9_TMKDIR, true, p9_do_mkdir },
	{ P9_TRENAMEAT, true, p9_do_renameat },
	{ P9_TUNLINKAT, true, p9_do_unlinkat },
	{ P9_TAUTH, false, do_unsupported },
	{ P9_TATTACH, false, p9_do_attach },
	{ P9_TFLUSH, false, do_flush },
	{ P9_TWALK, false, p9_do_walk },
	{ P9_TREAD, false, p9_do_read },
	{ P9_TWRITE, true, p9_do_write },
	{ P9_TCLUNK, false, do_clunk },
	{ P9_TREMOVE, false, p9_do_remove },	/* looks itself: the fid goes in any case */
};

static int run(struct p9_server *server, struct p9_request *request, uint8_t type)
{
	size_t i;

	if (type == P9_TVERSION)
		return do_version(server, request);
	if (!server->msize)
		return -EPROTO;
	for (i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (ops[i].type == type)
			return server->read_only && ops[i].changes ? -EROFS :
			       ops[i].run(server, request);
	return -EOPNOTSUPP;
}

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The header, and the error for a body. */
static void close_reply(struct p9_request *request, uint8_t type, uint16_t tag, int error)
{
	struct p9_call *call = request->call;

	if (!error && request->out.full)
		error = -EMSGSIZE;
	if (error) {
		request->out.full = false;
		request->out.size = P9_HEADER;
		call->data_size = 0;
		p9_put32(&request->out, -error);
	}
	call->reply_size = request->out.size;
	request->out.size = 0;
	p9_put32(&request->out, call->reply_size + call->data_size);
	p9_put8(&request->out, error ? P9_RLERROR : type + 1);
	p9_put16(&request->out, tag);
}

bool p9_handle(struct p9_server *server, struct p9_call *call)
{
	uint32_t most = server->msize ? server->msize : P9_MSIZE_MAX;
	struct p9_request request = {
		.call = call,
		.in = { .at = call->head, .end = call->head + call->head_size },
		.out = {
			.data = call->reply, .size = P9_HEADER,
			.room = min(min(call->room, P9_REPLY_MAX), most),
		},
	};
	uint8_t type;
	uint16_t tag;

	call->reply_size = 0;
	call->data_size = 0;
	request.size = p9_get32(&request.in);
	type = p9_get8(&request.in);
	tag = p9_get16(&request.in);
	if (request.in.error || request.size < P9_HEADER || request.size > call->size ||
	    request.size > most || call->room < P9_RLERROR_SIZE)
		return false;
	if (request.size < call->head_size)
		request.in.end = call->head + request.size;
	close_reply(&request, type, tag, run(server, &request, type));
	return true;
}

/* ---- building ------------------------------------------------------------------------------- */

static int open_root(struct p9_server *server, const char *directory, struct failure *why)
{
	struct stat stat;
	int list;

	server->root = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (server->root < 0)
		return fail(why, "cannot share %s: %s", directory,
			    errno == ENOTDIR ? "it is no directory" : strerror(errno));
	list = p9_open_at(server->root, ".", O_RDONLY | O_DIRECTORY);
	if (list < 0)
		return fail(why, "cannot share %s: %s", directory, strerror(errno));
	close(list);
	if (fstat(server->root, &stat))
		return fail(why, "cannot share %s: %s", directory, strerror(errno));
	server->dev = stat.st_dev;
	server->ino = stat.st_ino;
	server->proc = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (server->proc < 0)
		return fail(why, "cannot share %s: /proc is not mounted", directory);
	return 0;
}

struct p9_server *p9_create(const char *directory, bool read_only, unsigned int fids,
			    struct failure *why)
{
	struct p9_server *server = calloc(1, sizeof(*server));

	if (!server) {
		fail(why, "out of memory");
		return NULL;
	}
	server->root = -1;
	server->proc = -1;
	server->read_only = read_only;
	server->fids.max = fids;
	if (open_root(server, directory, why)) {
		p9_destroy(server);
		return NULL;
	}
	return server;
}

void p9_tell_many(struct p9_server *server, void (*many)(void *opaque), void *opaque)
{
	server->fids.many = many;
	server->fids.opaque = opaque;
}

void p9_reset(struct p9_server *server)
{
	p9_fid_drop_all(&server->fids);
	server->msize = 0;
}

void p9_destroy(struct p9_server *server)
{
	p9_reset(server);
	if (server->root >= 0)
		close(server->root);
	if (server->proc >= 0)
		close(server->proc);
	free(server);
}
