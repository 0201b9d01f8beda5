// SPDX-License-Identifier: GPL-2.0
/*
 * Requests of 9P, in a directory of its own: whatever they are, nothing changes outside of what is
 * shared, nor in it when that is read-only, each reply is one, and no descriptor is left behind.
 *
 * Input: one byte of flags (1: read-only; 2: sizes of messages are as they say themselves), then
 * messages, each behind two bytes with its length. A session is there, with fid 0 for the root.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "9p/server.h"
#include "fuzz.h"

#define SECRET		"not for guests"
#define FILE_MAX	(16 * MIB)
#define MESSAGES_MAX	64

static char top[64];
static uint8_t message[65536], answer[P9_MSIZE_MAX];

/* ---- the tree ------------------------------------------------------------------------------- */

static int may_enter(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
	(void)stat;
	(void)ftw;
	if (type == FTW_DNR)
		chmod(path, 0700);
	return 0;
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
	(void)stat;
	(void)type;
	(void)ftw;
	remove(path);
	return 0;
}

/* libFuzzer's own files are named from where it began. */
static const char *at(const char *name)
{
	static char path[4][128];
	static unsigned int next;
	char *text = path[next++ % 4];

	snprintf(text, sizeof(path[0]), "%s/%s", top, name);
	return text;
}

/* Guests may have locked us out, directory in directory. */
static void remove_tree(const char *path)
{
	unsigned int i;

	for (i = 0; i < 100 && !access(path, F_OK); i++) {
		nftw(path, may_enter, 16, FTW_PHYS);
		nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	}
}

static void need(bool condition)
{
	if (!condition)
		abort();
}

static void put_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	need(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static bool file_is(const char *path, const char *text)
{
	char data[64] = "";
	int fd = open(path, O_RDONLY);
	bool same = fd >= 0 && read(fd, data, sizeof(data) - 1) >= 0 && !strcmp(data, text);

	close(fd);
	return same;
}

static unsigned int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	unsigned int count = 0;

	need(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static void make_share(void)
{
	remove_tree(at("share"));
	need(!mkdir(at("share"), 0755) && !mkdir(at("share/dir"), 0755));
	put_file(at("share/file"), "contents");
	put_file(at("share/dir/inner"), "inner");
	need(!symlink("../outside", at("share/out")));
	need(!symlink("../outside/secret", at("share/secret")));
	need(!mkfifo(at("share/fifo"), 0666));
}

static void clean_up(void)
{
	remove_tree(top);
}

static void set_up(void)
{
	struct rlimit limit = { FILE_MAX, FILE_MAX };

	/* In memory where that is possible: trees are made again and again. */
	snprintf(top, sizeof(top), "%s/hull-fuzz-9p-XXXXXX",
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	need(mkdtemp(top) && !mkdir(at("outside"), 0755));
	atexit(clean_up);
	put_file(at("outside/secret"), SECRET);
	/* What guests write is to fit into a small machine. */
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
}

static void check_outside(const struct stat *before)
{
	struct stat after;

	need(!stat(at("outside/secret"), &after) && file_is(at("outside/secret"), SECRET));
	need(after.st_mode == before->st_mode && after.st_uid == before->st_uid &&
	     after.st_ctim.tv_sec == before->st_ctim.tv_sec &&
	     after.st_ctim.tv_nsec == before->st_ctim.tv_nsec);
	need(count_entries(at("outside")) == 3 && count_entries(top) == 4);
}

static void check_unchanged(const struct stat *before)
{
	struct stat after;

	need(!stat(at("share"), &after) && after.st_mode == before->st_mode &&
	     after.st_ctim.tv_nsec == before->st_ctim.tv_nsec);
	need(file_is(at("share/file"), "contents") && file_is(at("share/dir/inner"), "inner"));
	need(count_entries(at("share")) == 7 && count_entries(at("share/dir")) == 3);
}

/* ---- messages ------------------------------------------------------------------------------- */

static unsigned int flat(void *opaque, bool write, uint64_t offset, uint64_t size,
			 struct iovec *iov)
{
	const struct p9_call *call = opaque;

	need(offset <= (write ? call->room : call->size) &&
	     size <= (write ? call->room : call->size) - offset);
	iov[0] = (struct iovec){ (write ? answer : message) + offset, size };
	return 1;
}

static void send_message(struct p9_server *server, size_t size, uint64_t room)
{
	static uint8_t reply[P9_REPLY_MAX];
	struct p9_call call = {
		.head = message, .head_size = size < P9_HEAD_MAX ? size : P9_HEAD_MAX,
		.size = size, .room = room, .slice = flat, .opaque = &call, .reply = reply,
	};
	uint32_t said;

	if (!p9_handle(server, &call))
		return;
	memcpy(&said, reply, 4);
	need(call.reply_size >= P9_HEADER && call.reply_size + call.data_size == said &&
	     said <= room);
	need(reply[4] == P9_RLERROR || reply[4] == (uint8_t)(message[4] + 1));
}

static void send_text(struct p9_server *server, const char *text, size_t size)
{
	memcpy(message, text, size);
	send_message(server, size, sizeof(answer));
}

static void send_all(struct p9_server *server, bool honest, const uint8_t *data, size_t size)
{
	unsigned int i;

	for (i = 0; i < MESSAGES_MAX && size > 2; i++) {
		uint16_t length;

		memcpy(&length, data, 2);
		data += 2;
		size -= 2;
		if (length > size)
			length = size;
		memcpy(message, data, length);
		if (honest && length >= 4)
			memcpy(message, &(uint32_t){ length }, 4);
		send_message(server, length, honest ? sizeof(answer) : length * 7U % 300);
		data += length;
		size -= length;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char version[] = "\x15\0\0\0\x64\0\0\0\0\x01\0\x08\0009P2000.L";
	static const char attach[] =
		"\x17\0\0\0\x68\0\0\0\0\0\0\xff\xff\xff\xff\0\0\0\0\xff\xff\xff\xff";
	static bool ready;
	struct p9_server *server;
	struct stat secret, share;
	struct failure why;
	bool read_only;
	int free_fd;

	if (!ready)
		set_up();
	ready = true;
	if (!size)
		return 0;
	read_only = *data & 1;
	make_share();
	need(!stat(at("outside/secret"), &secret) && !stat(at("share"), &share));
	free_fd = dup(0);
	close(free_fd);
	server = p9_create(at("share"), read_only, 32, &why);
	need(server);
	send_text(server, version, sizeof(version) - 1);
	send_text(server, attach, sizeof(attach) - 1);
	send_all(server, !(*data & 2), data + 1, size - 1);
	p9_destroy(server);
	need(dup(0) == free_fd);
	close(free_fd);
	check_outside(&secret);
	if (read_only)
		check_unchanged(&share);
	return 0;
}
