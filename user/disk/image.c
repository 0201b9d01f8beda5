// SPDX-License-Identifier: GPL-2.0
/*
 * Images in formats of others (qcow2 ...): QEMU's qemu-nbd knows them, and is started for each.
 *
 * The broker starts it, at first and again, when it dies while the guest runs (nbd_log.h says why
 * nothing is lost then). It ends with its connection, by itself.
 *
 * Locks: none, one thread at a time: the main thread opens and closes, the worker is between.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk/nbd.h"
#include "machine/notice.h"

#define END_MS		30000	/* what a server may take to write all it has */
#define DEATH_MS	1000	/* from the end of its connection to its own */

/*
 * @path: for qemu-nbd, to which a name with a colon is something else
 * @words: pipe of what servers say, of all that there will be
 * @server: the broker's number of it
 * @pidfd: of the server, -1: there is none
 * @line: what it says now
 * @first: the first line of this server: why it ended
 * @open: the guest has the disk: the user is told what servers say
 */
struct image {
	struct nbd_source source;
	const char *name, *format;
	bool read_only, open;
	char path[PATH_MAX];
	int words[2];
	struct broker *broker;
	int server, pidfd;
	char line[256], first[256];
	size_t length;
	struct notice notice;
};

/* ---- what a server says --------------------------------------------------------------------- */

static void end_line(struct image *image)
{
	const char *text = image->line;

	image->line[image->length] = '\0';
	image->length = 0;
	if (!strncmp(text, "qemu-nbd: ", 10))
		text += 10;
	if (!*text)
		return;
	if (!image->first[0])
		strcpy(image->first, text);
	if (image->open)
		notice(&image->notice, "disk %s: qemu-nbd: %s", image->name, text);
}

static void image_hear(struct nbd_source *source)
{
	struct image *image = (struct image *)source;
	char data[512];
	ssize_t size, i;

	while ((size = read(image->words[0], data, sizeof(data))) > 0) {
		for (i = 0; i < size; i++) {
			if (data[i] == '\n' || image->length == sizeof(image->line) - 1)
				end_line(image);
			if (data[i] != '\n')
				image->line[image->length++] = data[i];
		}
	}
}

/* "Failed to blk_new_open 'FILE': Could not open 'FILE': ...": the user knows the file. */
static const char *without_path(const struct image *image, const char *text)
{
	const char *path;
	size_t length = strlen(image->path);

	while ((path = strstr(text, image->path)) && !strncmp(path + length, "': ", 3))
		text = path + length + 3;
	return text;
}

/* True: there is no server now. */
static bool reap(struct image *image, int wait_ms, siginfo_t *how)
{
	struct pollfd event = { .fd = image->pidfd, .events = POLLIN };

	memset(how, 0, sizeof(*how));
	if (image->pidfd < 0)
		return true;
	while (poll(&event, 1, wait_ms) < 0 && errno == EINTR)
		;
	if (!broker_server_ended(image->broker, image->server, how))
		return false;
	close(image->pidfd);
	image->pidfd = -1;
	return true;
}

static void image_explain(struct nbd_source *source, struct failure *why)
{
	struct image *image = (struct image *)source;
	const char *text;
	siginfo_t how;

	if (image->pidfd < 0 || !reap(image, DEATH_MS, &how))
		return;
	image_hear(source);
	if (image->length)
		end_line(image);
	text = without_path(image, image->first);
	if (strstr(text, "Failed to get") && strstr(text, "lock"))
		fail(why, "it is in use by another process, or given twice");
	else if (*text)
		fail(why, "%s", text);
	else if (how.si_code == CLD_EXITED)
		fail(why, "qemu-nbd has ended with status %d", how.si_status);
	else
		fail(why, "qemu-nbd was killed: %s", strsignal(how.si_status));
}

/* ---- starting one --------------------------------------------------------------------------- */

static int image_connect(struct nbd_source *source, struct nbd_handle *handle, struct failure *why)
{
	struct image *image = (struct image *)source;
	int client;

	if (image->pidfd >= 0)
		close(image->pidfd);
	image->pidfd = -1;
	image->first[0] = '\0';
	if (broker_start_server(image->broker, image->server, &client, &image->pidfd, why)) {
		if (errno == ENOENT)
			fail(why, "there is no qemu-nbd, which disks in formats other than raw need "
			     "(Debian's package qemu-utils)");
		return -1;
	}
	/* Takes the socket over, also when it fails. */
	if (nbd_aio_connect_socket(handle, client))
		return nbd_fail(why);
	return 0;
}

/* ---- opening and closing -------------------------------------------------------------------- */

static void image_close(struct nbd_source *source)
{
	struct image *image = (struct image *)source;
	bool gone = true, good = true;
	siginfo_t how;

	/* It has seen its connection end; what never had one does not. */
	if (image->pidfd >= 0) {
		broker_stop_server(image->broker, image->server);
		gone = reap(image, END_MS, &how);
		good = how.si_code == CLD_EXITED && !how.si_status;
		image_hear(source);
	}
	if (!gone)
		notice(&image->notice, "disk %s: qemu-nbd has not ended: the image is in use still",
		       image->name);
	else if (!good && image->open)
		notice(&image->notice, "disk %s: qemu-nbd did not end well: what was not flushed may "
		       "be missing from the image", image->name);
	if (image->pidfd >= 0)
		close(image->pidfd);
	close(image->words[0]);
	close(image->words[1]);
	free(image);
}

static int add_server(struct image *image, struct failure *why)
{
	char *const argv[] = {
		"qemu-nbd", "--format", (char *)image->format, "--cache=writeback",
		"--discard=unmap", image->path, image->read_only ? "--read-only" : NULL, NULL,
	};

	image->server = broker_add_server(image->broker, argv, image->words[1], why);
	return image->server < 0 ? -1 : 0;
}

struct disk *image_open(const char *path, const char *format, bool read_only,
			unsigned int reconnect, struct broker *broker, struct failure *why)
{
	struct image *image = calloc(1, sizeof(*image));
	struct disk *disk;
	int length;

	if (!image || pipe2(image->words, O_CLOEXEC | O_NONBLOCK)) {
		fail(why, "cannot open disk %s: %s", path, strerror(errno));
		free(image);
		return NULL;
	}
	image->source = (struct nbd_source){
		.connect = image_connect, .explain = image_explain, .hear = image_hear,
		.close = image_close, .event = image->words[0],
	};
	image->name = path;
	image->format = format;
	image->read_only = read_only;
	image->broker = broker;
	image->pidfd = -1;
	length = snprintf(image->path, sizeof(image->path), "%s%s", *path == '/' ? "" : "./", path);
	if (length >= (int)sizeof(image->path)) {
		fail(why, "cannot open disk %s: %s", path, strerror(ENAMETOOLONG));
		image_close(&image->source);
		return NULL;
	}
	if (add_server(image, why)) {
		image_close(&image->source);
		return NULL;
	}
	disk = nbd_open(&image->source, path, read_only, reconnect, why);
	if (disk)
		image->open = true;
	return disk;
}
