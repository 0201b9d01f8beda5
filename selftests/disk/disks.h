/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What tests of disks share: requests that are waited for, servers to be started and killed, what
 * the user was told.
 */
#ifndef SELFTESTS_DISK_DISKS_H
#define SELFTESTS_DISK_DISKS_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "disk/disk.h"
#include "machine/notice.h"
#include "test.h"

static struct failure why;
static struct disk *disk;

/* ---- time ----------------------------------------------------------------------------------- */

static inline uint64_t ms_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ULL + now.tv_nsec / 1000000;
}

static inline void pause_ms(unsigned int ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000L }, NULL);
}

/* ---- what the user was told ----------------------------------------------------------------- */

static char said[16384];

static void on_notice(const char *line)
{
	size_t length = strlen(said);

	snprintf(said + length, sizeof(said) - length, "%s\n", line);
}

static inline void listen_to_notices(void)
{
	said[0] = '\0';
	notice_sink = on_notice;
}

/* ---- requests ------------------------------------------------------------------------------- */

/* One that a test waits for, with its buffer. */
struct wanted {
	struct disk_request request;
	struct iovec iov[4];
	bool ended;
	int error;
};

static inline void on_done(struct disk_request *request, int error)
{
	struct wanted *wanted = (struct wanted *)request;

	EXPECT(!wanted->ended);
	wanted->ended = true;
	wanted->error = error;
}

/* @data in pieces, so that they are put together. */
static inline void submit(struct wanted *wanted, enum disk_op op, uint64_t offset, uint64_t size,
			  void *data, unsigned int pieces)
{
	uint64_t done = 0;
	unsigned int i;

	*wanted = (struct wanted){
		.request = {
			.op = op, .offset = offset, .size = size, .iov = wanted->iov,
			.count = data ? pieces : 0, .done = on_done,
		},
	};
	for (i = 0; data && i < pieces; i++) {
		uint64_t part = i + 1 < pieces ? (size - done) / 2 | 1 : size - done;

		wanted->iov[i] = (struct iovec){ (char *)data + done, part };
		done += part;
	}
	disk->ops->submit(disk, &wanted->request);
}

static inline bool wait_ms(struct wanted *wanted, unsigned int ms)
{
	const uint64_t until = ms_now() + ms;
	struct pollfd event = { .fd = disk->event, .events = POLLIN };

	disk->ops->commit(disk);
	while (!wanted->ended && ms_now() < until) {
		poll(&event, 1, until - ms_now());
		disk->ops->complete(disk);
	}
	return wanted->ended;
}

static inline int finish(struct wanted *wanted)
{
	EXPECT(wait_ms(wanted, 30000));
	return wanted->ended ? wanted->error : -1;
}

static inline int run(enum disk_op op, uint64_t offset, uint64_t size, void *data,
		      unsigned int pieces)
{
	/* Not on the stack: one that is late is somebody's memory. */
	struct wanted *wanted = calloc(1, sizeof(*wanted));
	int error;

	submit(wanted, op, offset, size, data, pieces);
	error = finish(wanted);
	if (wanted->ended)
		free(wanted);
	return error;
}

static inline void end_disk(void)
{
	if (disk)
		disk->ops->close(disk);
	disk = NULL;
}

/* ---- programs ------------------------------------------------------------------------------- */

/* Ends with this one. */
static inline pid_t start_program(char *const argv[])
{
	pid_t child = fork();

	if (child)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execvp(argv[0], argv);
	_exit(127);
}

static inline int run_program(char *const argv[])
{
	pid_t child = start_program(argv);
	int status = -1;

	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline void stop_program(pid_t *child, int signal)
{
	if (*child > 0) {
		kill(*child, signal);
		waitpid(*child, NULL, 0);
	}
	*child = 0;
}

static inline void make_file(const char *name, off_t size)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);

	EXPECT(fd >= 0);
	EXPECT_EQ(0, ftruncate(fd, size));
	close(fd);
}

/* Into a directory of its own. */
static inline int enter(const char *above, const char *name)
{
	char directory[512];

	snprintf(directory, sizeof(directory), "%s/%s", above, name);
	mkdir(directory, 0755);
	return chdir(directory);
}

#endif
