/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guest's side of 9P, as correct or as wrong as a test wants it, and the tree that is shared:
 *
 *	tree/share	what the guest gets: file, dir/inner, and what a test puts there
 *	tree/outside	a directory with a file "secret", and nothing may change in it
 *
 * Requests and replies are in one piece here; their data is handed over in two.
 */
#ifndef SELFTESTS_9P_CLIENT_H
#define SELFTESTS_9P_CLIENT_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "9p/server.h"
#include "test.h"

#define SHARE		"tree/share/"
#define OUTSIDE		"tree/outside/"
#define SECRET		"not for guests"
#define ROOT		0
#define TAG		0x1234
#define NOBODY		P9_NOUID

static struct p9_server *server;
static uint8_t message[P9_MSIZE_MAX + 4096], answer[P9_MSIZE_MAX];
static size_t message_size;
static uint64_t room;			/* for the reply */
static struct p9_reader reply;		/* its body */
static const uint8_t *reply_data;	/* what was read */
static size_t reply_data_size;

/* ---- files ---------------------------------------------------------------------------------- */

static inline void put_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	EXPECT(fd >= 0);
	EXPECT(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static inline bool file_is(const char *path, const char *text)
{
	char data[4096] = "";
	int fd = open(path, O_RDONLY);
	ssize_t size;

	if (fd < 0)
		return false;
	size = read(fd, data, sizeof(data) - 1);
	close(fd);
	return size >= 0 && !strcmp(data, text);
}

static inline int remove_one(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
	(void)stat;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void make_tree(void)
{
	nftw("tree", remove_one, 16, FTW_DEPTH | FTW_PHYS);
	EXPECT_EQ(0, mkdir("tree", 0755));
	EXPECT_EQ(0, mkdir("tree/share", 0755));
	EXPECT_EQ(0, mkdir("tree/share/dir", 0755));
	EXPECT_EQ(0, mkdir("tree/outside", 0755));
	put_file(SHARE "file", "contents");
	put_file(SHARE "dir/inner", "inner contents");
	put_file(OUTSIDE "secret", SECRET);
}

static inline unsigned int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	unsigned int count = 0;

	while (dir && readdir(dir))
		count++;
	if (dir)
		closedir(dir);
	return count;
}

/* Whatever a test did. */
static inline void expect_outside_untouched(void)
{
	EXPECT(file_is(OUTSIDE "secret", SECRET));
	EXPECT_EQ(3, count_entries("tree/outside"));
	EXPECT_EQ(4, count_entries("tree"));
}

/* ---- messages ------------------------------------------------------------------------------- */

static inline void put_bytes(const void *data, size_t size)
{
	memcpy(message + message_size, data, size);
	message_size += size;
}

/* b, w, d, q: integers of 1, 2, 4, 8 bytes; s: a string; D: a pointer and a size, as they are. */
static inline void put_fields(const char *format, va_list args)
{
	for (; *format; format++) {
		uint64_t value;
		const char *text;
		uint16_t length;

		switch (*format) {
		case 'b':
		case 'w':
		case 'd':
			value = va_arg(args, unsigned int);
			put_bytes(&value, *format == 'b' ? 1 : *format == 'w' ? 2 : 4);
			break;
		case 'q':
			value = va_arg(args, uint64_t);
			put_bytes(&value, 8);
			break;
		case 's':
			text = va_arg(args, const char *);
			length = strlen(text);
			put_bytes(&length, 2);
			put_bytes(text, length);
			break;
		case 'D':
			text = va_arg(args, const char *);
			put_bytes(text, va_arg(args, size_t));
			break;
		}
	}
}

static inline void build(uint8_t type, const char *format, ...)
{
	const uint16_t tag = TAG;
	uint32_t size;
	va_list args;

	message_size = 4;
	put_bytes(&type, 1);
	put_bytes(&tag, 2);
	va_start(args, format);
	put_fields(format, args);
	va_end(args);
	size = message_size;
	memcpy(message, &size, 4);
}

static inline unsigned int two_pieces(void *opaque, bool write, uint64_t offset, uint64_t size,
				      struct iovec *iov)
{
	uint8_t *at = (write ? answer : message) + offset;
	uint64_t first = size / 3;

	EXPECT(offset + size <= (write ? room : *(size_t *)opaque));
	iov[0] = (struct iovec){ at, first };
	iov[1] = (struct iovec){ at + first, size - first };
	return size ? 2 : 0;
}

/* What @size bytes of the message get for a reply; false: nothing. */
static inline bool carry(size_t size)
{
	static uint8_t head_reply[P9_REPLY_MAX];
	struct p9_call call = {
		.head = message, .head_size = size < P9_HEAD_MAX ? size : P9_HEAD_MAX,
		.size = size, .room = room, .slice = two_pieces, .opaque = &size,
		.reply = head_reply,
	};

	if (!p9_handle(server, &call))
		return false;
	EXPECT(call.reply_size + call.data_size <= room);
	memcpy(answer, head_reply, call.reply_size);
	reply = (struct p9_reader){ .at = answer, .end = answer + call.reply_size };
	EXPECT_EQ(call.reply_size + call.data_size, p9_get32(&reply));
	reply_data = answer + call.reply_size;
	reply_data_size = call.data_size;
	return true;
}

/* 0, or the error of the reply. */
static inline int send_built(void)
{
	uint8_t type;

	if (!carry(message_size))
		return -1;
	type = p9_get8(&reply);
	EXPECT_EQ(TAG, p9_get16(&reply));
	if (type == P9_RLERROR) {
		int error = p9_get32(&reply);

		EXPECT(reply.at == reply.end && !reply.error && error > 0 && error < 4096);
		return error;
	}
	EXPECT_EQ(message[4] + 1, type);
	return 0;
}

#define CALL(...)	(build(__VA_ARGS__), send_built())

/* ---- requests ------------------------------------------------------------------------------- */

static inline int attach(uint32_t fid)
{
	return CALL(P9_TATTACH, "ddssd", fid, P9_NOFID, "user", "", NOBODY);
}

/* To the names in @path, which are taken apart at slashes. */
static inline int walk(uint32_t fid, uint32_t newfid, const char *path)
{
	char copy[4096], *rest = copy, *name;
	uint16_t count = 0;

	snprintf(copy, sizeof(copy), "%s", path);
	build(P9_TWALK, "ddw", fid, newfid, 0);
	while (*path && (name = strsep(&rest, "/"))) {
		const uint16_t length = strlen(name);

		put_bytes(&length, 2);
		put_bytes(name, length);
		count++;
	}
	memcpy(message + P9_HEADER + 8, &count, 2);
	memcpy(message, &(uint32_t){ message_size }, 4);
	return send_built();
}

static inline int lopen(uint32_t fid, uint32_t flags)
{
	return CALL(P9_TLOPEN, "dd", fid, flags);
}

static inline int lcreate(uint32_t dir, const char *name, uint32_t flags, uint32_t mode)
{
	return CALL(P9_TLCREATE, "dsddd", dir, name, flags, mode, NOBODY);
}

static inline int clunk(uint32_t fid)
{
	return CALL(P9_TCLUNK, "d", fid);
}

/* Bytes, or minus an error. */
static inline int read_fid(uint32_t fid, uint64_t offset, uint32_t count)
{
	int error = CALL(P9_TREAD, "dqd", fid, offset, count);

	if (error)
		return -error;
	EXPECT_EQ(reply_data_size, p9_get32(&reply));
	return reply_data_size;
}

static inline int write_fid(uint32_t fid, uint64_t offset, const char *data, size_t size)
{
	int error = CALL(P9_TWRITE, "dqdD", fid, offset, (uint32_t)size, data, size);

	return error ? -error : (int)p9_get32(&reply);
}

struct attr {
	uint32_t mode, uid, gid;
	uint64_t links, size, mtime, path;
	uint8_t kind;
};

static inline int getattr(uint32_t fid, struct attr *attr)
{
	int error = CALL(P9_TGETATTR, "dq", fid, (uint64_t)0x7ff);

	if (error)
		return error;
	EXPECT_EQ(0x7ff, p9_get64(&reply));
	attr->kind = p9_get8(&reply);
	p9_get32(&reply);
	attr->path = p9_get64(&reply);
	attr->mode = p9_get32(&reply);
	attr->uid = p9_get32(&reply);
	attr->gid = p9_get32(&reply);
	attr->links = p9_get64(&reply);
	p9_get64(&reply);
	attr->size = p9_get64(&reply);
	p9_get64(&reply);
	p9_get64(&reply);
	p9_get64(&reply);
	p9_get64(&reply);
	attr->mtime = p9_get64(&reply);
	return 0;
}

static inline int setattr(uint32_t fid, uint32_t valid, uint32_t mode, uint64_t size)
{
	return CALL(P9_TSETATTR, "dddddqqqqq", fid, valid, mode, NOBODY, NOBODY, size,
		    (uint64_t)1000, (uint64_t)5, (uint64_t)2000, (uint64_t)7);
}

/* ---- a session ------------------------------------------------------------------------------ */

/* A fresh tree, shared; its root is fid ROOT. */
static inline void share(bool read_only, unsigned int fids)
{
	struct failure why;

	make_tree();
	if (server)
		p9_destroy(server);
	server = p9_create("tree/share", read_only, fids, &why);
	EXPECT(server);
	room = sizeof(answer);
	EXPECT_EQ(0, CALL(P9_TVERSION, "ds", P9_MSIZE_MAX, "9P2000.L"));
	EXPECT_EQ(0, attach(ROOT));
}

static inline int run_client(int argc, char **argv, const char *name, const struct test *tests,
			     unsigned int count)
{
	char directory[512];
	int status;

	snprintf(directory, sizeof(directory), "%s/%s", argc > 1 ? argv[1] : ".", name);
	mkdir(directory, 0755);
	if (chdir(directory))
		return 1;
	status = run_tests(tests, count);
	if (server)
		p9_destroy(server);
	return status;
}

#define RUN_CLIENT(name)							\
	run_client(argc, argv, name, tests, sizeof(tests) / sizeof(tests[0]))

#endif
