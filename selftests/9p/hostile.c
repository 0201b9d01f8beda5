// SPDX-License-Identifier: GPL-2.0
/*
 * Guests that want out of their share, and messages that are none: links, names, directories that
 * become links meanwhile, pipes and devices, frames that lie. Works in the directory that is its
 * argument.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "client.h"

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE	2
#endif

#define RACE_ROUNDS	20000

/* ---- links ---------------------------------------------------------------------------------- */

static void test_links(void)
{
	char path[4096], target[4200];

	share(false, 20);
	EXPECT(getcwd(path, sizeof(path) - 100));
	snprintf(target, sizeof(target), "%s/tree/outside", path);
	EXPECT_EQ(0, symlink(target, SHARE "absolute"));
	EXPECT_EQ(0, symlink("../outside", SHARE "relative"));
	EXPECT_EQ(0, symlink("../outside/secret", SHARE "tofile"));
	EXPECT_EQ(0, symlink("../outside/new", SHARE "dangling"));
	EXPECT_EQ(0, symlink("/proc/self/root", SHARE "magic"));
	/* Links are seen; nothing is behind them. */
	EXPECT_EQ(0, walk(ROOT, 1, "absolute"));
	EXPECT_EQ(0, walk(ROOT, 2, "tofile"));
	EXPECT_EQ(0, walk(ROOT, 3, "absolute/secret"));
	EXPECT_EQ(1, p9_get16(&reply));
	EXPECT_EQ(EBADF, clunk(3));
	EXPECT_EQ(0, walk(ROOT, 3, "relative/secret"));
	EXPECT_EQ(EBADF, clunk(3));
	EXPECT_EQ(0, walk(ROOT, 3, "magic/etc"));
	EXPECT_EQ(EBADF, clunk(3));
	EXPECT_EQ(ENOTDIR, walk(1, 3, "secret"));
	EXPECT_EQ(ELOOP, lopen(2, 0));
	EXPECT_EQ(ELOOP, lopen(2, 1 | 01000));
	EXPECT_EQ(ELOOP, lopen(1, 0));
	/* A link is no place to make something in, and none to make something by. */
	EXPECT_EQ(ENOTDIR, CALL(P9_TMKDIR, "dsdd", 1, "new", 0755, NOBODY));
	EXPECT_EQ(ENOTDIR, lcreate(1, "new", 1, 0600));
	EXPECT_EQ(ENOTDIR, CALL(P9_TUNLINKAT, "dsd", 1, "secret", 0));
	EXPECT_EQ(ENOTDIR, CALL(P9_TRENAMEAT, "dsds", ROOT, "file", 1, "new"));
	EXPECT_EQ(0, walk(ROOT, 4, ""));
	EXPECT_EQ(ELOOP, lcreate(4, "dangling", 1, 0600));
	EXPECT_EQ(ELOOP, lcreate(4, "tofile", 1 | 01000, 0600));
	EXPECT_EQ(EEXIST, lcreate(4, "dangling", 1 | 0200, 0600));
	EXPECT_EQ(EEXIST, CALL(P9_TMKDIR, "dsdd", ROOT, "dangling", 0755, NOBODY));
	/* Owner and times are the link's own. */
	EXPECT_EQ(0, setattr(2, 0x1b0, 0, 0));
	EXPECT_EQ(EINVAL, setattr(2, 0x08, 0, 0));
	EXPECT_EQ(EOPNOTSUPP, setattr(2, 0x01, 0777, 0));
	expect_outside_untouched();
}

static void test_names(void)
{
	static const char *const bad[] = {
		"", ".", "..", "/", "../outside", "dir/inner", "/etc", "dir/", "./file",
	};
	char name[300];
	uint64_t i;

	share(false, 20);
	EXPECT_EQ(0, walk(ROOT, 1, "file"));
	EXPECT_EQ(0, walk(ROOT, 2, "dir"));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		EXPECT_EQ(EINVAL, CALL(P9_TWALK, "ddws", ROOT, 9, 1, bad[i]));
		EXPECT_EQ(EINVAL, CALL(P9_TWALK, "ddwss", ROOT, 9, 2, "dir", bad[i]));
		EXPECT_EQ(EINVAL, lcreate(2, bad[i], 1, 0600));
		EXPECT_EQ(EINVAL, CALL(P9_TMKDIR, "dsdd", ROOT, bad[i], 0755, NOBODY));
		EXPECT_EQ(EINVAL, CALL(P9_TSYMLINK, "dssd", ROOT, bad[i], "x", NOBODY));
		EXPECT_EQ(EINVAL, CALL(P9_TMKNOD, "dsdddd", ROOT, bad[i], 0100644, 0, 0, NOBODY));
		EXPECT_EQ(EINVAL, CALL(P9_TLINK, "dds", ROOT, 1, bad[i]));
		EXPECT_EQ(EINVAL, CALL(P9_TRENAME, "dds", 1, ROOT, bad[i]));
		EXPECT_EQ(EINVAL, CALL(P9_TRENAMEAT, "dsds", ROOT, bad[i], ROOT, "x"));
		EXPECT_EQ(EINVAL, CALL(P9_TRENAMEAT, "dsds", ROOT, "file", ROOT, bad[i]));
		EXPECT_EQ(EINVAL, CALL(P9_TUNLINKAT, "dsd", ROOT, bad[i], 0));
		EXPECT_EQ(EINVAL, CALL(P9_TUNLINKAT, "dsd", ROOT, bad[i], 0x200));
	}
	/* A NUL would end the name before its end. */
	EXPECT_EQ(EINVAL, CALL(P9_TWALK, "ddwwD", ROOT, 9, 1, 6, "file\0x", (size_t)6));
	EXPECT_EQ(EINVAL, CALL(P9_TMKDIR, "dwDdd", ROOT, 4, "..\0x", (size_t)4, 0755, NOBODY));
	memset(name, 'n', sizeof(name));
	name[256] = '\0';
	EXPECT_EQ(ENAMETOOLONG, CALL(P9_TMKDIR, "dsdd", ROOT, name, 0755, NOBODY));
	name[255] = '\0';
	EXPECT_EQ(0, CALL(P9_TMKDIR, "dsdd", ROOT, name, 0755, NOBODY));
	EXPECT_EQ(0, walk(ROOT, 9, name));
	EXPECT(file_is(SHARE "file", "contents"));
	expect_outside_untouched();
}

/* A directory that is the host's or another guest's to swap for a link, all the time. */
static atomic_bool racing;

static void *swap(void *opaque)
{
	(void)opaque;
	while (atomic_load(&racing))
		syscall(SYS_renameat2, AT_FDCWD, SHARE "dir", AT_FDCWD, SHARE "link",
			RENAME_EXCHANGE);
	return NULL;
}

/* What is done with a walk that got through: it is the directory's own, always. */
static void use_walk(uint32_t fid, unsigned int *read)
{
	int size;

	if (lopen(fid, 2))
		return;
	size = read_fid(fid, 0, 100);
	EXPECT(size == 8 && !memcmp(reply_data, "harmless", 8));
	EXPECT_EQ(8, write_fid(fid, 0, "harmless", 8));
	*read += 1;
}

static void test_race(void)
{
	unsigned int i, got = 0, made = 0;
	pthread_t thread;

	share(false, 20);
	put_file(SHARE "dir/secret", "harmless");
	EXPECT_EQ(0, symlink("../outside", SHARE "link"));
	atomic_store(&racing, true);
	EXPECT_EQ(0, pthread_create(&thread, NULL, swap, NULL));
	for (i = 0; i < RACE_ROUNDS && !test_failed; i++) {
		if (!walk(ROOT, 1, "dir/secret"))
			use_walk(1, &got);
		clunk(1);
		/* What is walked to first stays what it was. */
		if (walk(ROOT, 2, "dir"))
			continue;
		made += !CALL(P9_TMKDIR, "dsdd", 2, "new", 0755, NOBODY);
		CALL(P9_TUNLINKAT, "dsd", 2, "secret2", 0);
		CALL(P9_TUNLINKAT, "dsd", 2, "new", 0x200);
		clunk(2);
	}
	atomic_store(&racing, false);
	pthread_join(thread, NULL);
	expect_outside_untouched();
	/* Both happened. */
	EXPECT(got && got < RACE_ROUNDS);
	EXPECT(made && made < RACE_ROUNDS);
}

/* A fid is what it was, wherever the name leads by now. */
static void test_replaced(void)
{
	share(false, 20);
	EXPECT_EQ(0, walk(ROOT, 1, "dir"));
	EXPECT_EQ(0, walk(ROOT, 2, "dir/inner"));
	EXPECT_EQ(0, rename(SHARE "dir", SHARE "moved"));
	EXPECT_EQ(0, symlink("../outside", SHARE "dir"));
	EXPECT_EQ(0, CALL(P9_TMKDIR, "dsdd", 1, "new", 0755, NOBODY));
	EXPECT_EQ(0, lopen(2, 0));
	EXPECT_EQ(14, read_fid(2, 0, 100));
	EXPECT_EQ(4, count_entries(SHARE "moved"));
	/* By the host, out of the share: what needs a path has none. */
	EXPECT_EQ(0, rename(SHARE "moved", "tree/moved"));
	EXPECT_EQ(ENOENT, CALL(P9_TREMOVE, "d", 1));
	EXPECT_EQ(ENOENT, CALL(P9_TRENAME, "dds", 2, ROOT, "x"));
	EXPECT_EQ(0, access("tree/moved/inner", F_OK));
	EXPECT_EQ(0, rename("tree/moved", SHARE "moved"));
	/* A neighbour whose name begins as the share's. */
	EXPECT_EQ(0, mkdir("tree/share2", 0755));
	EXPECT_EQ(0, rename(SHARE "moved/inner", "tree/share2/inner"));
	EXPECT_EQ(ENOENT, CALL(P9_TREMOVE, "d", 2));
	EXPECT_EQ(0, unlink("tree/share2/inner"));
	EXPECT_EQ(0, rmdir("tree/share2"));
	expect_outside_untouched();
}

/* ---- pipes, sockets, devices ---------------------------------------------------------------- */

static void refuse_special(uint32_t fid, const char *name, int error)
{
	EXPECT_EQ(0, walk(ROOT, fid, name));
	EXPECT_EQ(error, lopen(fid, 0));
	EXPECT_EQ(error, lopen(fid, 1));
	EXPECT_EQ(error, lopen(fid, 2 | 04000));
	EXPECT_EQ(-EBADF, read_fid(fid, 0, 1));
	EXPECT_EQ(0, walk(ROOT, 50, ""));
	EXPECT_EQ(error, lcreate(50, name, 0, 0600));
	EXPECT_EQ(error, lcreate(50, name, 1 | 01000, 0600));
	EXPECT_EQ(EPERM, setattr(fid, 0x01, 0666, 0));
	EXPECT_EQ(EPERM, setattr(fid, 0x08, 0, 0));
	EXPECT_EQ(0, clunk(50));
}

static void test_special(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = SHARE "socket" };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	share(false, 20);
	/* One that waits for the other end is ended. */
	alarm(20);
	EXPECT_EQ(0, mkfifo(SHARE "fifo", 0666));
	EXPECT_EQ(0, bind(fd, (struct sockaddr *)&address, sizeof(address)));
	refuse_special(1, "fifo", ENXIO);
	refuse_special(2, "socket", ENXIO);
	if (!mknod(SHARE "null", S_IFCHR | 0666, makedev(1, 3)))
		refuse_special(3, "null", EPERM);
	if (!mknod(SHARE "block", S_IFBLK | 0666, makedev(7, 250)))
		refuse_special(4, "block", EPERM);
	alarm(0);
	close(fd);
}

/* ---- limits --------------------------------------------------------------------------------- */

static unsigned int open_files(void)
{
	return count_entries("/proc/self/fd");
}

static void test_fids(void)
{
	unsigned int before, i;
	struct rlimit limit, low;

	share(false, 100);
	before = open_files();
	for (i = 1; i < 100; i++)
		EXPECT_EQ(0, walk(ROOT, i * 1024, "file"));
	EXPECT_EQ(EMFILE, walk(ROOT, 7, "file"));
	EXPECT_EQ(EMFILE, attach(7));
	EXPECT_EQ(before + 99, open_files());
	/* An open one costs no second descriptor. */
	EXPECT_EQ(0, lopen(1024, 0));
	EXPECT_EQ(before + 99, open_files());
	EXPECT_EQ(0, clunk(2048));
	EXPECT_EQ(0, walk(ROOT, 7, "dir"));
	EXPECT_EQ(0, lopen(7, 0));
	EXPECT_EQ(before + 99, open_files());
	EXPECT_EQ(0, CALL(P9_TVERSION, "ds", 8192, "9P2000.L"));
	EXPECT_EQ(before - 1, open_files());
	/* No descriptor is to be had at all. */
	share(false, 100);
	before = open_files();
	EXPECT_EQ(0, walk(ROOT, 1, "file"));
	getrlimit(RLIMIT_NOFILE, &limit);
	low = limit;
	low.rlim_cur = 3;
	setrlimit(RLIMIT_NOFILE, &low);
	EXPECT_EQ(EMFILE, walk(ROOT, 2, "file"));
	EXPECT_EQ(EMFILE, lopen(1, 0));
	EXPECT_EQ(EMFILE, attach(3));
	EXPECT_EQ(EMFILE, CALL(P9_TMKNOD, "dsdddd", ROOT, "n", 0100644, 0, 0, NOBODY));
	setrlimit(RLIMIT_NOFILE, &limit);
	EXPECT_EQ(0, lopen(1, 0));
	EXPECT_EQ(before + 1, open_files());
}

/* As the launcher, which ignores the signal. */
static void test_file_size(void)
{
	struct rlimit limit, low;

	signal(SIGXFSZ, SIG_IGN);
	share(false, 20);
	getrlimit(RLIMIT_FSIZE, &limit);
	low = limit;
	low.rlim_cur = 4096;
	setrlimit(RLIMIT_FSIZE, &low);
	EXPECT_EQ(0, walk(ROOT, 1, "file"));
	EXPECT_EQ(0, lopen(1, 2));
	EXPECT_EQ(-EFBIG, write_fid(1, 8192, "x", 1));
	EXPECT_EQ(1, write_fid(1, 4095, "xy", 2));
	EXPECT_EQ(EFBIG, setattr(1, 0x08, 0, 1 << 20));
	setrlimit(RLIMIT_FSIZE, &limit);
}

/* ---- messages ------------------------------------------------------------------------------- */

static void test_frames(void)
{
	share(false, 20);
	build(P9_TFLUSH, "w", 1);
	EXPECT(carry(message_size));
	/* Less than a header, less than it says; more is left alone. */
	EXPECT(!carry(0));
	EXPECT(!carry(6));
	EXPECT(!carry(message_size - 1));
	EXPECT(carry(message_size + 100));
	memcpy(message, &(uint32_t){ 6 }, 4);
	EXPECT(!carry(message_size));
	memcpy(message, &(uint32_t){ 0xffffffff }, 4);
	EXPECT(!carry(message_size));
	/* Larger than was agreed on. */
	EXPECT_EQ(0, CALL(P9_TVERSION, "ds", 8192, "9P2000.L"));
	build(P9_TFLUSH, "w", 1);
	memcpy(message, &(uint32_t){ 8193 }, 4);
	EXPECT(!carry(8193));
	memcpy(message, &(uint32_t){ 8192 }, 4);
	EXPECT(carry(8192));
	/* No room for an error; for it alone. */
	build(P9_TFLUSH, "w", 1);
	room = 10;
	EXPECT(!carry(message_size));
	room = 0;
	EXPECT(!carry(message_size));
	room = 11;
	EXPECT_EQ(EMSGSIZE, attach(ROOT));
	room = sizeof(answer);
	EXPECT_EQ(0, attach(ROOT));
}

static void test_no_room(void)
{
	struct attr attr;
	uint64_t i;

	share(false, 20);
	for (i = 11; i < 200; i++) {
		room = i;
		EXPECT_EQ(i < 160 ? EMSGSIZE : 0, getattr(ROOT, &attr));
		EXPECT_EQ(i < 22 ? EMSGSIZE : 0, walk(ROOT, 1, "dir"));
		/* Without an answer it was not done. */
		EXPECT_EQ(i < 22 ? EBADF : 0, clunk(1));
	}
	room = sizeof(answer);
	/* An msize that is less than the room is the limit. */
	EXPECT_EQ(0, CALL(P9_TVERSION, "ds", 4096, "9P2000.L"));
	EXPECT_EQ(0, attach(ROOT));
	EXPECT_EQ(0, truncate(SHARE "file", 1 << 20));
	EXPECT_EQ(0, walk(ROOT, 1, "file"));
	EXPECT_EQ(0, lopen(1, 0));
	EXPECT_EQ(4096 - 11, read_fid(1, 0, 0xffffffff));
}

/* Each request, cut short at each byte, with the frame that fits. */
static void cut(uint8_t type, size_t full)
{
	size_t size;

	for (size = P9_HEADER; size < full; size++) {
		memcpy(message, &(uint32_t){ size }, 4);
		message_size = size;
		EXPECT_EQ(EPROTO, send_built());
		if (test_failed) {
			printf("# request %u, %zu of %zu bytes\n", type, size, full);
			return;
		}
	}
}

#define CUT(type, ...)	(build(type, __VA_ARGS__), cut(type, message_size))

static void test_truncated(void)
{
	const uint64_t zero = 0;

	share(false, 20);
	EXPECT_EQ(0, walk(ROOT, 1, "file"));
	EXPECT_EQ(0, lopen(1, 2));
	CUT(P9_TVERSION, "ds", 8192, "9P2000.L");
	CUT(P9_TATTACH, "ddssd", 5, P9_NOFID, "user", "/", 0);
	CUT(P9_TWALK, "ddwss", ROOT, 5, 2, "dir", "inner");
	CUT(P9_TSTATFS, "d", ROOT);
	CUT(P9_TLOPEN, "dd", ROOT, 0);
	CUT(P9_TLCREATE, "dsddd", ROOT, "new", 1, 0600, 0);
	CUT(P9_TSYMLINK, "dssd", ROOT, "new", "target", 0);
	CUT(P9_TMKNOD, "dsdddd", ROOT, "new", 0100600, 0, 0, 0);
	CUT(P9_TRENAME, "dds", 1, ROOT, "new");
	CUT(P9_TREADLINK, "d", 1);
	CUT(P9_TGETATTR, "dq", 1, zero);
	CUT(P9_TSETATTR, "dddddqqqqq", 1, 0x1ff, 0, 0, 0, zero, zero, zero, zero, zero);
	CUT(P9_TREADDIR, "dqd", ROOT, zero, 4096);
	CUT(P9_TFSYNC, "dd", 1, 0);
	CUT(P9_TLOCK, "d", 1);
	CUT(P9_TGETLOCK, "dbqqds", 1, 1, zero, zero, 0, "guest");
	CUT(P9_TLINK, "dds", ROOT, 1, "new");
	CUT(P9_TMKDIR, "dsdd", ROOT, "new", 0755, 0);
	CUT(P9_TRENAMEAT, "dsds", ROOT, "file", ROOT, "new");
	CUT(P9_TUNLINKAT, "dsd", ROOT, "file", 0);
	CUT(P9_TFLUSH, "w", 1);
	CUT(P9_TREAD, "dqd", 1, zero, 4096);
	CUT(P9_TWRITE, "dqdD", 1, zero, 4, "data", (size_t)4);
	CUT(P9_TCLUNK, "d", 1);
	CUT(P9_TREMOVE, "d", 1);
	EXPECT(file_is(SHARE "file", "contents"));
	EXPECT_EQ(4, count_entries("tree/share"));
	/* Strings that claim more than there is. */
	EXPECT_EQ(EPROTO, CALL(P9_TMKDIR, "dwDdd", ROOT, 0xffff, "abc", (size_t)3, 0755, 0));
	EXPECT_EQ(EPROTO, CALL(P9_TWALK, "ddw", ROOT, 5, 16));
	EXPECT_EQ(EINVAL, CALL(P9_TWALK, "ddw", ROOT, 5, 0xffff));
	expect_outside_untouched();
}

static const struct test tests[] = {
	{ "links lead nowhere", test_links },
	{ "names that are none", test_names },
	{ "a directory that becomes a link while it is walked", test_race },
	{ "what a fid stands for is not replaced", test_replaced },
	{ "pipes, sockets and devices are not opened", test_special },
	{ "fids and descriptors have limits", test_fids },
	{ "files that may not become longer", test_file_size },
	{ "frames that lie", test_frames },
	{ "replies have no more than their room", test_no_room },
	{ "requests cut short", test_truncated },
};

int main(int argc, char **argv)
{
	return RUN_CLIENT("hostile");
}
