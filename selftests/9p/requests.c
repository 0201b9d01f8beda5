// SPDX-License-Identifier: GPL-2.0
/*
 * Each request of 9P2000.L, and what it refuses. Works in the directory that is its argument.
 */
#define _GNU_SOURCE
#include "client.h"

#define SET_MODE	0x01
#define SET_UID		0x02
#define SET_SIZE	0x08
#define SET_TIMES	0x1b0
#define REMOVEDIR	0x200

/* ---- sessions ------------------------------------------------------------------------------- */

static void test_create(void)
{
	struct failure why;

	make_tree();
	EXPECT(!p9_create("tree/none", false, 10, &why));
	EXPECT(!strcmp(why.text, "cannot share tree/none: No such file or directory"));
	EXPECT(!p9_create("tree/share/file", false, 10, &why));
	EXPECT(!strcmp(why.text, "cannot share tree/share/file: it is no directory"));
}

static void test_version(void)
{
	struct failure why;
	char version[16];

	share(false, 10);
	EXPECT_EQ(0, walk(ROOT, 1, "file"));
	/* Larger than ours, smaller; what is not known; what cannot be. */
	EXPECT_EQ(0, CALL(P9_TVERSION, "ds", 0xffffffff, "9P2000.L"));
	EXPECT_EQ(P9_MSIZE_MAX, p9_get32(&reply));
	p9_get_string(&reply, version, sizeof(version));
	EXPECT(!strcmp(version, "9P2000.L"));
	/* A new session has no fids. */
	EXPECT_EQ(EBADF, clunk(1));
	EXPECT_EQ(EBADF, clunk(ROOT));
	EXPECT_EQ(0, CALL(P9_TVERSION, "ds", 8192, "9P2000.L"));
	EXPECT_EQ(8192, p9_get32(&reply));
	EXPECT_EQ(0, CALL(P9_TVERSION, "ds", 8192, "9P2000.u"));
	p9_get32(&reply);
	p9_get_string(&reply, version, sizeof(version));
	EXPECT(!strcmp(version, "unknown"));
	EXPECT_EQ(EPROTO, attach(ROOT));
	EXPECT_EQ(EINVAL, CALL(P9_TVERSION, "ds", 0, "9P2000.L"));
	EXPECT_EQ(EINVAL, CALL(P9_TVERSION, "ds", 4095, "9P2000.L"));
	EXPECT_EQ(EPROTO, attach(ROOT));
	p9_destroy(server);
	server = p9_create("tree/share", false, 10, &why);
	EXPECT_EQ(EPROTO, attach(ROOT));
	EXPECT_EQ(EPROTO, CALL(P9_TFLUSH, "w", 1));
}

static void test_attach(void)
{
	share(false, 10);
	EXPECT_EQ(EBADF, attach(ROOT));
	EXPECT_EQ(EBADF, attach(P9_NOFID));
	EXPECT_EQ(0, CALL(P9_TATTACH, "ddssd", 5, P9_NOFID, "", "/", 1000));
	EXPECT_EQ(P9_QID_DIR, p9_get8(&reply));
	EXPECT_EQ(ENOENT, CALL(P9_TATTACH, "ddssd", 6, P9_NOFID, "", "dir", 0));
	EXPECT_EQ(ENOENT, CALL(P9_TATTACH, "ddssd", 6, P9_NOFID, "", "../outside", 0));
	EXPECT_EQ(EOPNOTSUPP, CALL(P9_TATTACH, "ddssd", 6, 5, "", "", 0));
	EXPECT_EQ(EOPNOTSUPP, CALL(P9_TAUTH, "dssd", 7, "", "", 0));
	EXPECT_EQ(0, clunk(5));
	EXPECT_EQ(EBADF, clunk(5));
}

static void test_walk(void)
{
	struct attr attr;

	share(false, 10);
	/* A clone; two names; the last of two is not there; neither of two. */
	EXPECT_EQ(0, walk(ROOT, 1, ""));
	EXPECT_EQ(0, p9_get16(&reply));
	EXPECT_EQ(0, walk(1, 2, "dir/inner"));
	EXPECT_EQ(2, p9_get16(&reply));
	EXPECT_EQ(P9_QID_DIR, p9_get8(&reply));
	p9_get32(&reply);
	p9_get64(&reply);
	EXPECT_EQ(P9_QID_FILE, p9_get8(&reply));
	EXPECT_EQ(0, getattr(2, &attr));
	EXPECT_EQ(14, attr.size);
	EXPECT_EQ(0, walk(ROOT, 3, "dir/none"));
	EXPECT_EQ(1, p9_get16(&reply));
	EXPECT_EQ(1 * 13, reply.end - reply.at);
	EXPECT_EQ(EBADF, clunk(3));
	EXPECT_EQ(ENOENT, walk(ROOT, 3, "none/inner"));
	EXPECT_EQ(ENOTDIR, walk(2, 3, "x"));
	/* In place: only when all of it is there. */
	EXPECT_EQ(0, walk(1, 1, "dir/none"));
	EXPECT_EQ(0, walk(1, 1, "dir"));
	EXPECT_EQ(0, walk(1, 1, "inner"));
	EXPECT_EQ(EBADF, walk(ROOT, 2, "file"));
	EXPECT_EQ(EBADF, walk(ROOT, P9_NOFID, "file"));
	EXPECT_EQ(EBADF, walk(77, 3, "file"));
	EXPECT_EQ(0, walk(ROOT, 3, ""));
	EXPECT_EQ(EINVAL, walk(3, 3, "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17"));
	/* An open one can be cloned, and the clone is not open; it cannot walk itself. */
	EXPECT_EQ(0, lopen(2, 0));
	EXPECT_EQ(EBADF, walk(2, 2, ""));
	EXPECT_EQ(0, walk(2, 4, ""));
	EXPECT_EQ(-EBADF, read_fid(4, 0, 10));
	EXPECT_EQ(0, lopen(4, 0));
	EXPECT_EQ(14, read_fid(4, 0, 100));
}

/* ---- attributes ----------------------------------------------------------------------------- */

static void test_getattr(void)
{
	struct stat stat;
	struct attr attr;

	share(false, 10);
	EXPECT_EQ(0, mkfifo(SHARE "fifo", 0640));
	EXPECT_EQ(0, symlink("../outside/secret", SHARE "link"));
	EXPECT_EQ(0, walk(ROOT, 1, "file"));
	EXPECT_EQ(0, getattr(1, &attr));
	EXPECT_EQ(0, lstat(SHARE "file", &stat));
	EXPECT_EQ(stat.st_mode, attr.mode);
	EXPECT_EQ(stat.st_uid, attr.uid);
	EXPECT_EQ(stat.st_gid, attr.gid);
	EXPECT_EQ(1, attr.links);
	EXPECT_EQ(8, attr.size);
	EXPECT_EQ(stat.st_mtime, attr.mtime);
	EXPECT_EQ(0, walk(ROOT, 2, "fifo"));
	EXPECT_EQ(0, getattr(2, &attr));
	EXPECT(S_ISFIFO(attr.mode));
	EXPECT_EQ(0, walk(ROOT, 3, "link"));
	EXPECT_EQ(0, getattr(3, &attr));
	EXPECT(S_ISLNK(attr.mode));
	EXPECT_EQ(P9_QID_SYMLINK, attr.kind);
	EXPECT_EQ(17, attr.size);
	EXPECT_EQ(EBADF, getattr(99, &attr));
}

static void test_setattr(void)
{
	struct stat stat;

	share(false, 10);
	EXPECT_EQ(0, symlink("file", SHARE "link"));
	EXPECT_EQ(0, mkfifo(SHARE "fifo", 0600));
	EXPECT_EQ(0, walk(ROOT, 1, "file"));
	EXPECT_EQ(0, walk(ROOT, 2, "dir"));
	EXPECT_EQ(0, walk(ROOT, 3, "link"));
	EXPECT_EQ(0, walk(ROOT, 4, "fifo"));
	/* No program of the guest's making runs as the launcher's user on the host. */
	EXPECT_EQ(0, setattr(1, SET_MODE, 06751, 0));
	EXPECT_EQ(0, lstat(SHARE "file", &stat));
	EXPECT_EQ(0100751, stat.st_mode);
	EXPECT_EQ(0, setattr(2, SET_MODE, 07700, 0));
	EXPECT_EQ(0, lstat(SHARE "dir", &stat));
	EXPECT_EQ(0043700, stat.st_mode);
	EXPECT_EQ(0, setattr(1, SET_SIZE, 0, 3));
	EXPECT(file_is(SHARE "file", "con"));
	EXPECT_EQ(EINVAL, setattr(1, SET_SIZE, 0, UINT64_MAX));
	EXPECT_EQ(EISDIR, setattr(2, SET_SIZE, 0, 0));
	EXPECT_EQ(0, setattr(1, SET_TIMES, 0, 0));
	EXPECT_EQ(0, lstat(SHARE "file", &stat));
	EXPECT_EQ(1000, stat.st_atim.tv_sec);
	EXPECT_EQ(7, stat.st_mtim.tv_nsec);
	EXPECT_EQ(0, setattr(1, 0x20, 0, 0));
	EXPECT_EQ(0, lstat(SHARE "file", &stat));
	EXPECT_EQ(1000, stat.st_atim.tv_sec);
	EXPECT(stat.st_mtim.tv_sec > 1000000000);
	EXPECT_EQ(EINVAL, CALL(P9_TSETATTR, "dddddqqqqq", 1, 0x90, 0, 0, 0, (uint64_t)0, (uint64_t)1,
			       (uint64_t)0x3fffffff, (uint64_t)0, (uint64_t)0));
	/* Of a link itself, never of what it points to; and never of a pipe. */
	EXPECT_EQ(EOPNOTSUPP, setattr(3, SET_MODE, 0777, 0));
	EXPECT_EQ(EINVAL, setattr(3, SET_SIZE, 0, 0));
	EXPECT_EQ(0, setattr(3, SET_TIMES, 0, 0));
	EXPECT(file_is(SHARE "file", "con"));
	EXPECT_EQ(EPERM, setattr(4, SET_MODE, 0777, 0));
	EXPECT_EQ(EPERM, setattr(4, SET_SIZE, 0, 0));
	EXPECT_EQ(EBADF, setattr(99, SET_MODE, 0777, 0));
}

/* As another user, who owns the tree but may not give it away. */
static void test_owner(void)
{
	struct attr attr;

	share(false, 10);
	EXPECT_EQ(0, walk(ROOT, 1, "file"));
	if (geteuid()) {
		EXPECT_EQ(EPERM, CALL(P9_TSETATTR, "dddddqqqqq", 1, SET_UID, 0, 0, 0, (uint64_t)0,
				      (uint64_t)0, (uint64_t)0, (uint64_t)0, (uint64_t)0));
		return;
	}
	EXPECT_EQ(0, CALL(P9_TSETATTR, "dddddqqqqq", 1, SET_UID | 4, 0, 1234, 4321, (uint64_t)0,
			  (uint64_t)0, (uint64_t)0, (uint64_t)0, (uint64_t)0));
	EXPECT_EQ(0, getattr(1, &attr));
	EXPECT(attr.uid == 1234 && attr.gid == 4321);
	/* What a user of the guest makes is that user's. */
	EXPECT_EQ(0, CALL(P9_TATTACH, "ddssd", 5, P9_NOFID, "", "", 1000));
	EXPECT_EQ(0, CALL(P9_TMKDIR, "dsdd", 5, "new", 0750, 2000));
	EXPECT_EQ(0, walk(5, 6, "new"));
	EXPECT_EQ(0, getattr(6, &attr));
	EXPECT(attr.uid == 1000 && attr.gid == 2000 && attr.mode == 040750);
	EXPECT_EQ(0, CALL(P9_TLCREATE, "dsddd", 6, "made", 1, 0600, 2001));
	EXPECT_EQ(0, getattr(6, &attr));
	EXPECT(attr.uid == 1000 && attr.gid == 2001 && attr.mode == 0100600);
	EXPECT_EQ(0, CALL(P9_TSYMLINK, "dssd", 5, "sym", "file", 2002));
	EXPECT_EQ(0, walk(5, 7, "sym"));
	EXPECT_EQ(0, getattr(7, &attr));
	EXPECT(attr.uid == 1000 && attr.gid == 2002);
	/* The link's target has another owner. */
	EXPECT_EQ(0, getattr(1, &attr));
	EXPECT(attr.uid == 1234 && attr.gid == 4321);
}

static void test_statfs(void)
{
	share(false, 10);
	EXPECT_EQ(0, CALL(P9_TSTATFS, "d", ROOT));
	EXPECT_EQ(0x01021997, p9_get32(&reply));
	EXPECT(p9_get32(&reply) >= 512);
	EXPECT(p9_get64(&reply));
	EXPECT_EQ(60 - 16, reply.end - reply.at);
	EXPECT_EQ(EBADF, CALL(P9_TSTATFS, "d", 1));
	EXPECT_EQ(EOPNOTSUPP, CALL(P9_TXATTRWALK, "dds", ROOT, 1, "user.x"));
	EXPECT_EQ(EOPNOTSUPP, CALL(P9_TXATTRCREATE, "dsqd", ROOT, "user.x", (uint64_t)1, 0));
}

/* ---- contents ------------------------------------------------------------------------------- */

static void test_read_write(void)
{
	static char big[300000];

	share(false, 10);
	EXPECT_EQ(0, walk(ROOT, 1, "file"));
	EXPECT_EQ(-EBADF, read_fid(1, 0, 10));
	EXPECT_EQ(-EBADF, write_fid(1, 0, "x", 1));
	EXPECT_EQ(0, lopen(1, 2));
	EXPECT_EQ(EBADF, lopen(1, 0));
	EXPECT_EQ(8, read_fid(1, 0, 0xffffffff));
	EXPECT(!memcmp(reply_data, "contents", 8));
	EXPECT_EQ(3, read_fid(1, 5, 100));
	EXPECT(!memcmp(reply_data, "nts", 3));
	EXPECT_EQ(0, read_fid(1, 8, 100));
	EXPECT_EQ(0, read_fid(1, 0, 0));
	EXPECT_EQ(-EINVAL, read_fid(1, UINT64_MAX, 10));
	EXPECT_EQ(4, write_fid(1, 6, "abcd", 4));
	EXPECT(file_is(SHARE "file", "contenabcd"));
	EXPECT_EQ(0, write_fid(1, 0, "", 0));
	EXPECT_EQ(-EINVAL, write_fid(1, UINT64_MAX, "x", 1));
	/* More than the message has. */
	EXPECT_EQ(EPROTO, CALL(P9_TWRITE, "dqdD", 1, (uint64_t)0, 5, "abcd", (size_t)4));
	EXPECT_EQ(EPROTO, CALL(P9_TWRITE, "dqdD", 1, (uint64_t)0, 0xffffffff, "abcd", (size_t)4));
	EXPECT(file_is(SHARE "file", "contenabcd"));
	/* Less is what counts. */
	EXPECT_EQ(0, CALL(P9_TWRITE, "dqdD", 1, (uint64_t)0, 2, "XYZW", (size_t)4));
	EXPECT(file_is(SHARE "file", "XYntenabcd"));
	memset(big, 'b', sizeof(big));
	EXPECT_EQ(sizeof(big), write_fid(1, 0, big, sizeof(big)));
	EXPECT_EQ(sizeof(big), read_fid(1, 0, 0xffffffff));
	EXPECT(!memcmp(reply_data, big, sizeof(big)));
	EXPECT_EQ(0, CALL(P9_TFSYNC, "dd", 1, 0));
	EXPECT_EQ(0, CALL(P9_TFSYNC, "dd", 1, 1));
	/* As much as the reply has room for. */
	room = 1000;
	EXPECT_EQ(1000 - 11, read_fid(1, 0, 0xffffffff));
	room = 11;
	EXPECT_EQ(0, read_fid(1, 0, 0xffffffff));
	room = sizeof(answer);
	EXPECT_EQ(EBADF, CALL(P9_TFSYNC, "dd", ROOT, 0));
}

static void test_open(void)
{
	share(false, 20);
	EXPECT_EQ(0, walk(ROOT, 1, "file"));
	EXPECT_EQ(EINVAL, lopen(1, 3));
	EXPECT_EQ(ENOTDIR, lopen(1, 0200000));
	EXPECT_EQ(0, walk(1, 2, ""));
	EXPECT_EQ(0, lopen(2, 0));
	EXPECT_EQ(-EBADF, write_fid(2, 0, "x", 1));
	EXPECT_EQ(0, walk(1, 3, ""));
	EXPECT_EQ(0, lopen(3, 1 | 02000));
	EXPECT_EQ(-EBADF, read_fid(3, 0, 1));
	EXPECT_EQ(5, write_fid(3, 0, " more", 5));
	EXPECT(file_is(SHARE "file", "contents more"));
	EXPECT_EQ(0, walk(1, 4, ""));
	EXPECT_EQ(0, lopen(4, 1 | 01000 | 04000000));
	EXPECT(file_is(SHARE "file", ""));
	EXPECT_EQ(0, walk(ROOT, 5, "dir"));
	EXPECT_EQ(EISDIR, lopen(5, 1));
	EXPECT_EQ(0, lopen(5, 0200000));
	EXPECT_EQ(-EISDIR, read_fid(5, 0, 10));
	EXPECT_EQ(EBADF, lopen(99, 0));
}

static void test_lcreate(void)
{
	struct stat stat;

	share(false, 20);
	umask(077);
	EXPECT_EQ(0, walk(ROOT, 1, ""));
	EXPECT_EQ(0, lcreate(1, "new", 2, 06666));
	umask(022);
	EXPECT_EQ(3, write_fid(1, 0, "new", 3));
	EXPECT_EQ(3, read_fid(1, 0, 10));
	EXPECT_EQ(0, lstat(SHARE "new", &stat));
	EXPECT_EQ(0100666, stat.st_mode);
	EXPECT_EQ(ENOTDIR, lcreate(1, "x", 1, 0600));
	/* What is there is opened, unless that is not wanted. */
	EXPECT_EQ(0, walk(ROOT, 2, ""));
	EXPECT_EQ(EEXIST, lcreate(2, "new", 1 | 0200, 0600));
	EXPECT_EQ(0, lcreate(2, "new", 1, 0600));
	EXPECT_EQ(1, write_fid(2, 2, "t", 1));
	EXPECT(file_is(SHARE "new", "net"));
	EXPECT_EQ(0, walk(ROOT, 3, ""));
	EXPECT_EQ(EISDIR, lcreate(3, "dir", 0, 0600));
	EXPECT_EQ(EINVAL, lcreate(3, "y", 3, 0600));
	/* A mode that forbids what it is open for. */
	EXPECT_EQ(0, lcreate(3, "secret", 2, 0));
	EXPECT_EQ(1, write_fid(3, 0, "x", 1));
	EXPECT_EQ(0, setattr(3, SET_SIZE, 0, 5));
	EXPECT_EQ(0, lopen(ROOT, 0));
	EXPECT_EQ(EBADF, lcreate(ROOT, "z", 1, 0600));
}

/* ---- directories ---------------------------------------------------------------------------- */

static unsigned int seen[300], others;
static uint64_t offsets[400];
static unsigned int entries;

/* Takes the entries of a reply; returns the last offset. */
static uint64_t take_entries(uint64_t last)
{
	uint32_t size = p9_get32(&reply);
	char name[P9_NAME_SIZE];
	unsigned int number;

	EXPECT_EQ(size, reply.end - reply.at);
	while (reply.at < reply.end) {
		uint8_t kind = p9_get8(&reply), type;

		p9_get32(&reply);
		p9_get64(&reply);
		last = p9_get64(&reply);
		type = p9_get8(&reply);
		p9_get_string(&reply, name, sizeof(name));
		EXPECT_EQ(type == DT_DIR ? P9_QID_DIR : P9_QID_FILE, kind);
		if (entries < 400)
			offsets[entries++] = last;
		if (sscanf(name, "entry%u", &number) == 1 && number < 300)
			seen[number]++;
		else
			others++;
	}
	EXPECT(!reply.error);
	return last;
}

static void list_all(uint32_t fid, uint32_t count, uint64_t offset)
{
	memset(seen, 0, sizeof(seen));
	others = 0;
	entries = 0;
	for (;;) {
		uint64_t last;

		EXPECT_EQ(0, CALL(P9_TREADDIR, "dqd", fid, offset, count));
		last = take_entries(offset);
		if (last == offset || test_failed)
			break;
		offset = last;
	}
}

static unsigned int seen_once(void)
{
	unsigned int i, count = 0;

	for (i = 0; i < 300; i++)
		count += seen[i] == 1;
	return count;
}

static void make_entries(void)
{
	char path[64];
	unsigned int i;

	share(false, 20);
	for (i = 0; i < 300; i++) {
		snprintf(path, sizeof(path), SHARE "dir/entry%u", i);
		put_file(path, "");
	}
}

static void test_readdir(void)
{
	static uint64_t all[400];
	unsigned int i;

	make_entries();
	EXPECT_EQ(0, walk(ROOT, 1, "dir"));
	EXPECT_EQ(EBADF, CALL(P9_TREADDIR, "dqd", 1, (uint64_t)0, 4096));
	EXPECT_EQ(0, lopen(1, 0));
	list_all(1, 0xffffffff, 0);
	EXPECT_EQ(300, seen_once());
	EXPECT_EQ(3, others);
	list_all(1, 300, 0);
	EXPECT_EQ(300, seen_once());
	EXPECT_EQ(303, entries);
	/* From any offset that was told, out of order too, what comes after it. */
	memcpy(all, offsets, sizeof(all));
	for (i = 0; i < 303; i += 37) {
		list_all(1, 1000, all[302 - i]);
		EXPECT_EQ(i, entries);
	}
	/* One that is no entry's harms nobody. */
	EXPECT_EQ(0, CALL(P9_TREADDIR, "dqd", 1, (uint64_t)0x123456789, 4096));
	EXPECT(CALL(P9_TREADDIR, "dqd", 1, UINT64_MAX, 4096) >= 0);
	/* None fits. */
	EXPECT_EQ(EINVAL, CALL(P9_TREADDIR, "dqd", 1, (uint64_t)0, 20));
	room = 40;
	EXPECT_EQ(0, CALL(P9_TREADDIR, "dqd", 1, (uint64_t)0, 4096));
	room = sizeof(answer);
	EXPECT_EQ(0, walk(ROOT, 4, "file"));
	EXPECT_EQ(0, lopen(4, 0));
	EXPECT_EQ(ENOTDIR, CALL(P9_TREADDIR, "dqd", 4, (uint64_t)0, 4096));
}

static void remove_seen(uint32_t dir)
{
	char name[16];
	unsigned int i;

	for (i = 0; i < 300; i++) {
		if (seen[i] != 1)
			continue;
		snprintf(name, sizeof(name), "entry%u", i);
		EXPECT_EQ(0, CALL(P9_TUNLINKAT, "dsd", dir, name, 0));
		seen[i] = 2;
	}
}

/* Each is removed when it is seen, as rm -r does it: none is left out. */
static void test_shrinking(void)
{
	uint64_t offset = 0, last;

	make_entries();
	EXPECT_EQ(0, walk(ROOT, 1, "dir"));
	EXPECT_EQ(0, walk(ROOT, 2, "dir"));
	EXPECT_EQ(0, lopen(1, 0));
	memset(seen, 0, sizeof(seen));
	do {
		last = offset;
		EXPECT_EQ(0, CALL(P9_TREADDIR, "dqd", 1, offset, 500));
		offset = take_entries(offset);
		remove_seen(2);
	} while (offset != last && !test_failed);
	EXPECT_EQ(3, count_entries(SHARE "dir"));
}

/* ".." of the root is the root: what is above is not told. */
static void test_dotdot(void)
{
	struct attr root;
	struct stat above;
	char name[P9_NAME_SIZE];
	bool found = false;

	share(false, 10);
	EXPECT_EQ(0, getattr(ROOT, &root));
	EXPECT_EQ(0, stat("tree", &above));
	EXPECT(root.path != above.st_ino);
	EXPECT_EQ(0, walk(ROOT, 1, ""));
	EXPECT_EQ(0, lopen(1, 0));
	EXPECT_EQ(0, CALL(P9_TREADDIR, "dqd", 1, (uint64_t)0, 65536));
	p9_get32(&reply);
	while (reply.at < reply.end) {
		uint64_t path;

		p9_get8(&reply);
		p9_get32(&reply);
		path = p9_get64(&reply);
		p9_get64(&reply);
		p9_get8(&reply);
		p9_get_string(&reply, name, sizeof(name));
		EXPECT(path != above.st_ino);
		if (!strcmp(name, "..")) {
			EXPECT_EQ(root.path, path);
			found = true;
		}
	}
	EXPECT(found);
}

static void test_make(void)
{
	char target[64];
	struct stat stat;

	share(false, 20);
	umask(077);
	EXPECT_EQ(0, CALL(P9_TMKDIR, "dsdd", ROOT, "made", 01777, NOBODY));
	EXPECT_EQ(P9_QID_DIR, p9_get8(&reply));
	EXPECT_EQ(0, lstat(SHARE "made", &stat));
	EXPECT_EQ(041777, stat.st_mode);
	EXPECT_EQ(EEXIST, CALL(P9_TMKDIR, "dsdd", ROOT, "made", 0755, NOBODY));
	EXPECT_EQ(0, CALL(P9_TSYMLINK, "dssd", ROOT, "sym", "/etc/passwd", NOBODY));
	EXPECT_EQ(P9_QID_SYMLINK, p9_get8(&reply));
	EXPECT_EQ(0, walk(ROOT, 1, "sym"));
	EXPECT_EQ(0, CALL(P9_TREADLINK, "d", 1));
	p9_get_string(&reply, target, sizeof(target));
	EXPECT(!strcmp(target, "/etc/passwd"));
	EXPECT_EQ(EINVAL, CALL(P9_TREADLINK, "d", ROOT));
	EXPECT_EQ(0, CALL(P9_TMKNOD, "dsdddd", ROOT, "node", 0104644, 0, 0, NOBODY));
	EXPECT_EQ(0, lstat(SHARE "node", &stat));
	EXPECT_EQ(0100644, stat.st_mode);
	umask(022);
	EXPECT_EQ(EPERM, CALL(P9_TMKNOD, "dsdddd", ROOT, "null", 020666, 1, 3, NOBODY));
	EXPECT_EQ(EPERM, CALL(P9_TMKNOD, "dsdddd", ROOT, "fifo", 010666, 0, 0, NOBODY));
	EXPECT_EQ(EPERM, CALL(P9_TMKNOD, "dsdddd", ROOT, "sock", 0140666, 0, 0, NOBODY));
	/* A link to a file, to an open one, and to a link, not to its target. */
	EXPECT_EQ(0, walk(ROOT, 2, "file"));
	EXPECT_EQ(0, CALL(P9_TLINK, "dds", ROOT, 2, "hard"));
	EXPECT_EQ(0, lopen(2, 0));
	EXPECT_EQ(0, CALL(P9_TLINK, "dds", ROOT, 2, "hard2"));
	EXPECT_EQ(0, lstat(SHARE "hard2", &stat));
	EXPECT_EQ(3, stat.st_nlink);
	EXPECT_EQ(0, CALL(P9_TLINK, "dds", ROOT, 1, "sym2"));
	EXPECT_EQ(0, lstat(SHARE "sym2", &stat));
	EXPECT(S_ISLNK(stat.st_mode));
	EXPECT_EQ(ENOTDIR, CALL(P9_TMKDIR, "dsdd", 2, "x", 0755, NOBODY));
	EXPECT_EQ(EBADF, CALL(P9_TMKDIR, "dsdd", 99, "x", 0755, NOBODY));
	EXPECT_EQ(EBADF, CALL(P9_TLINK, "dds", ROOT, 99, "x"));
}

static void test_rename(void)
{
	share(false, 20);
	EXPECT_EQ(0, walk(ROOT, 1, "dir"));
	EXPECT_EQ(0, walk(ROOT, 2, "file"));
	EXPECT_EQ(0, CALL(P9_TRENAMEAT, "dsds", ROOT, "file", 1, "moved"));
	EXPECT(file_is(SHARE "dir/moved", "contents"));
	EXPECT_EQ(ENOENT, CALL(P9_TRENAMEAT, "dsds", ROOT, "file", 1, "moved"));
	/* By the fid, which knows where it went; the directory moves with it. */
	EXPECT_EQ(0, CALL(P9_TRENAME, "dds", 1, ROOT, "dir2"));
	EXPECT_EQ(0, CALL(P9_TRENAME, "dds", 2, ROOT, "back"));
	EXPECT(file_is(SHARE "back", "contents"));
	EXPECT_EQ(0, walk(1, 3, "inner"));
	EXPECT_EQ(EBUSY, CALL(P9_TRENAME, "dds", ROOT, 1, "root"));
	EXPECT_EQ(EBADF, CALL(P9_TRENAME, "dds", 99, 1, "x"));
	EXPECT_EQ(ENOTDIR, CALL(P9_TRENAME, "dds", 2, 3, "x"));
	expect_outside_untouched();
}

static void test_remove(void)
{
	struct attr attr;

	share(false, 20);
	EXPECT_EQ(0, walk(ROOT, 1, "dir"));
	EXPECT_EQ(0, walk(ROOT, 2, "dir/inner"));
	EXPECT_EQ(EISDIR, CALL(P9_TUNLINKAT, "dsd", ROOT, "dir", 0));
	EXPECT_EQ(ENOTEMPTY, CALL(P9_TUNLINKAT, "dsd", ROOT, "dir", REMOVEDIR));
	EXPECT_EQ(ENOTDIR, CALL(P9_TUNLINKAT, "dsd", ROOT, "file", REMOVEDIR));
	EXPECT_EQ(EINVAL, CALL(P9_TUNLINKAT, "dsd", ROOT, "file", 1));
	EXPECT_EQ(0, CALL(P9_TUNLINKAT, "dsd", 1, "inner", 0));
	EXPECT_EQ(ENOENT, CALL(P9_TUNLINKAT, "dsd", 1, "inner", 0));
	/* A fid lives longer than its name. */
	EXPECT_EQ(0, getattr(2, &attr));
	EXPECT_EQ(0, attr.links);
	EXPECT_EQ(0, lopen(2, 0));
	EXPECT_EQ(14, read_fid(2, 0, 100));
	/* By the fid, which goes in any case. */
	EXPECT_EQ(ENOENT, CALL(P9_TREMOVE, "d", 2));
	EXPECT_EQ(EBADF, clunk(2));
	EXPECT_EQ(0, CALL(P9_TREMOVE, "d", 1));
	EXPECT_EQ(ENOENT, walk(ROOT, 1, "dir"));
	EXPECT_EQ(0, walk(ROOT, 3, ""));
	EXPECT_EQ(EBUSY, CALL(P9_TREMOVE, "d", 3));
	EXPECT_EQ(EBADF, clunk(3));
	/* Another file has the name by now: that one stays. */
	EXPECT_EQ(0, walk(ROOT, 4, "file"));
	put_file(SHARE "other", "other");
	EXPECT_EQ(0, link(SHARE "file", SHARE "keep"));
	EXPECT_EQ(0, rename(SHARE "other", SHARE "file"));
	/* This is how the kernel calls a name that is gone. */
	put_file(SHARE "file (deleted)", "kept");
	EXPECT_EQ(ENOENT, CALL(P9_TREMOVE, "d", 4));
	EXPECT(file_is(SHARE "file", "other"));
	EXPECT(file_is(SHARE "file (deleted)", "kept"));
}

static void test_others(void)
{
	char client[16];

	share(false, 10);
	EXPECT_EQ(0, CALL(P9_TFLUSH, "w", 7));
	EXPECT_EQ(0, walk(ROOT, 1, "file"));
	EXPECT_EQ(EBADF, CALL(P9_TLOCK, "dbdqqds", 1, 1, 0, (uint64_t)0, (uint64_t)0, 1, "guest"));
	EXPECT_EQ(0, lopen(1, 2));
	EXPECT_EQ(0, CALL(P9_TLOCK, "dbdqqds", 1, 1, 0, (uint64_t)0, (uint64_t)0, 1, "guest"));
	EXPECT_EQ(0, p9_get8(&reply));
	EXPECT_EQ(0, CALL(P9_TGETLOCK, "dbqqds", 1, 1, (uint64_t)5, (uint64_t)6, 7, "guest"));
	EXPECT_EQ(2, p9_get8(&reply));
	EXPECT_EQ(5, p9_get64(&reply));
	EXPECT_EQ(6, p9_get64(&reply));
	EXPECT_EQ(7, p9_get32(&reply));
	p9_get_string(&reply, client, sizeof(client));
	EXPECT(!strcmp(client, "guest"));
	EXPECT_EQ(EOPNOTSUPP, CALL(98, ""));
	EXPECT_EQ(EOPNOTSUPP, CALL(P9_TLERROR, "d", 1));
	EXPECT_EQ(EOPNOTSUPP, CALL(255, ""));
}

/* ---- read-only ------------------------------------------------------------------------------ */

static void test_read_only(void)
{
	struct stat before, after;

	share(true, 20);
	EXPECT_EQ(0, stat("tree/share", &before));
	EXPECT_EQ(0, walk(ROOT, 1, "file"));
	EXPECT_EQ(0, walk(ROOT, 2, "dir"));
	EXPECT_EQ(EROFS, lopen(1, 1));
	EXPECT_EQ(EROFS, lopen(1, 2));
	EXPECT_EQ(EROFS, lopen(1, 01000));
	EXPECT_EQ(EROFS, lcreate(2, "new", 0, 0600));
	EXPECT_EQ(EROFS, setattr(1, SET_MODE, 0777, 0));
	EXPECT_EQ(EROFS, setattr(1, SET_SIZE, 0, 0));
	EXPECT_EQ(EROFS, CALL(P9_TMKDIR, "dsdd", ROOT, "d", 0755, NOBODY));
	EXPECT_EQ(EROFS, CALL(P9_TSYMLINK, "dssd", ROOT, "s", "t", NOBODY));
	EXPECT_EQ(EROFS, CALL(P9_TMKNOD, "dsdddd", ROOT, "n", 0100644, 0, 0, NOBODY));
	EXPECT_EQ(EROFS, CALL(P9_TLINK, "dds", ROOT, 1, "l"));
	EXPECT_EQ(EROFS, CALL(P9_TRENAME, "dds", 1, ROOT, "r"));
	EXPECT_EQ(EROFS, CALL(P9_TRENAMEAT, "dsds", ROOT, "file", ROOT, "r"));
	EXPECT_EQ(EROFS, CALL(P9_TUNLINKAT, "dsd", ROOT, "file", 0));
	EXPECT_EQ(EROFS, CALL(P9_TXATTRCREATE, "dsqd", ROOT, "user.x", (uint64_t)1, 0));
	EXPECT_EQ(0, lopen(1, 0));
	EXPECT_EQ(8, read_fid(1, 0, 100));
	EXPECT_EQ(-EROFS, write_fid(1, 0, "x", 1));
	EXPECT_EQ(0, CALL(P9_TLOCK, "dbdqqds", 1, 0, 0, (uint64_t)0, (uint64_t)0, 1, "guest"));
	EXPECT_EQ(EROFS, CALL(P9_TREMOVE, "d", 1));
	EXPECT_EQ(EBADF, clunk(1));
	EXPECT_EQ(0, lopen(2, 0));
	EXPECT_EQ(0, CALL(P9_TREADDIR, "dqd", 2, (uint64_t)0, 4096));
	EXPECT_EQ(0, stat("tree/share", &after));
	EXPECT_EQ(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	EXPECT_EQ(4, count_entries("tree/share"));
	EXPECT(file_is(SHARE "file", "contents"));
}

static const struct test tests[] = {
	{ "what cannot be shared", test_create },
	{ "version, and sessions", test_version },
	{ "attach, auth and clunk", test_attach },
	{ "walk", test_walk },
	{ "attributes are read", test_getattr },
	{ "attributes are changed", test_setattr },
	{ "owners", test_owner },
	{ "the file system; no extended attributes", test_statfs },
	{ "read, write and fsync", test_read_write },
	{ "open", test_open },
	{ "create", test_lcreate },
	{ "directories of 300 files, in pieces and out of order", test_readdir },
	{ "a directory that shrinks while it is read", test_shrinking },
	{ "what is above the root is not told", test_dotdot },
	{ "mkdir, symlink, readlink, link, mknod", test_make },
	{ "rename", test_rename },
	{ "remove", test_remove },
	{ "flush, locks, unknown requests", test_others },
	{ "a read-only share", test_read_only },
};

int main(int argc, char **argv)
{
	return RUN_CLIENT("requests");
}
