// SPDX-License-Identifier: GPL-2.0
/*
 * The order of things. What goes wrong before the ports are there can be said on the kernel's
 * console only: the launcher shows that when the machine ends by itself.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exec/init/init.h"

#define PORTS		"/sys/class/virtio-ports"
#define PORTS_WAIT_MS	20000

static struct ports ports = { -1, -1, -1, -1 };

void say(enum exec_type type, uint32_t value, uint32_t more)
{
	const struct exec_message message = { type, value, more };
	struct pollfd room = { .fd = ports.control, .events = POLLOUT };

	poll(&room, 1, -1);
	while (write(ports.control, &message, sizeof(message)) < 0 && errno == EAGAIN)
		poll(&room, 1, -1);
}

void give_up(enum exec_stage stage)
{
	int error = errno;

	dprintf(STDERR_FILENO, "hull: cannot %s: %s\n", exec_stage_text(stage),
		strerror(error));
	if (ports.control < 0)
		_exit(1);
	say(EXEC_FAILED, error, stage);
	for (;;)
		pause();
}

/* ---- ports ---------------------------------------------------------------------------------- */

/* Opens the port with this name; -1: it is not there (yet). */
static int open_port(const char *name)
{
	char path[300], have[64];
	struct dirent *entry;
	int fd = -1, file;
	DIR *dir = opendir(PORTS);
	ssize_t size;

	if (!dir)
		return -1;
	while (fd < 0 && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), PORTS "/%s/name", entry->d_name);
		file = open(path, O_RDONLY | O_CLOEXEC);
		size = file < 0 ? 0 : read(file, have, sizeof(have) - 1);
		if (file >= 0)
			close(file);
		if (size <= 0)
			continue;
		have[size] = '\0';
		have[strcspn(have, "\n")] = '\0';
		if (strcmp(have, name))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
		fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	}
	closedir(dir);
	return fd;
}

/* The launcher's end is seen to be open some time after the port. */
static bool is_connected(int fd)
{
	struct pollfd look = { .fd = fd };

	return poll(&look, 1, 0) == 0 || !(look.revents & POLLHUP);
}

/* The last one first: when it is there, all are, and were open. */
static int open_ports(void)
{
	unsigned int waited;

	for (waited = 0; waited < PORTS_WAIT_MS; waited++) {
		if (ports.control < 0)
			ports.control = open_port(EXEC_CONTROL);
		if (ports.control >= 0 && is_connected(ports.control))
			break;
		usleep(1000);
	}
	ports.in = open_port(EXEC_STDIN);
	ports.out = open_port(EXEC_STDOUT);
	ports.error = open_port(EXEC_STDERR);
	return ports.control < 0 || ports.in < 0 || ports.out < 0 || ports.error < 0 ? -1 : 0;
}

/* ---- the description ------------------------------------------------------------------------ */

static int load_description(struct program *program)
{
	int fd = open("/" EXEC_DESCRIPTION, O_RDONLY | O_CLOEXEC);
	struct stat stat;
	char *data;
	ssize_t got = 1;
	off_t size = 0;

	if (fd < 0 || fstat(fd, &stat))
		return -1;
	data = malloc(stat.st_size + 1);
	while (data && size < stat.st_size && got > 0) {
		got = read(fd, data + size, stat.st_size - size);
		size += got > 0 ? got : 0;
	}
	close(fd);
	unlink("/" EXEC_DESCRIPTION);
	errno = EINVAL;
	return data ? read_description(program, data, size) : -1;
}

/* The machine has no devices that could tell it anything unforeseen. */
static void seed(const struct exec_description *header)
{
	uint32_t room[(sizeof(struct rand_pool_info) + EXEC_RANDOM) / sizeof(uint32_t)];
	struct rand_pool_info *pool = (struct rand_pool_info *)room;
	int fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);

	pool->entropy_count = 8 * EXEC_RANDOM;
	pool->buf_size = EXEC_RANDOM;
	memcpy(pool->buf, header->random, EXEC_RANDOM);
	if (fd < 0)
		return;
	ioctl(fd, RNDADDENTROPY, pool);
	close(fd);
}

int main(void)
{
	struct program program;
	struct streams streams;
	struct exec_message end;
	pid_t pid;

	signal(SIGPIPE, SIG_IGN);
	if (mount_first() || load_modules())
		give_up(EXEC_STAGE_MODULES);
	if (open_ports())
		give_up(EXEC_STAGE_PORTS);
	if (load_description(&program))
		give_up(EXEC_STAGE_DESCRIPTION);
	seed(program.header);
	sethostname(program.host, strlen(program.host));
	make_root(&program);
	if (set_up_net(&program))
		give_up(EXEC_STAGE_NET);
	pid = start_program(&program, &streams);
	end = relay(&ports, &streams, pid);
	sync();
	say(end.type, end.value, end.more);
	for (;;)
		pause();
}
