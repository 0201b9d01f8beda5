// SPDX-License-Identifier: GPL-2.0
/*
 * While the program runs: bytes from the launcher's ports to its streams and back, signals to it,
 * and its end.
 *
 * A pump has a buffer, which is filled only when it is empty: a slow reader slows its writer down.
 * Where the reader has gone the writer's end is closed, so that it gets SIGPIPE, as it would
 * without a machine between them; where the writer has gone, the reader's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec/init/init.h"

#define BUFFER		65536

/**
 * struct pump - bytes one way
 * @from: -1: nothing comes any more
 * @to: -1: over
 */
struct pump {
	int from, to;
	size_t start, end;
	uint8_t data[BUFFER];
};

enum { PUMP_IN, PUMP_OUT, PUMP_ERROR, PUMPS };
enum { POLL_CONTROL = 2 * PUMPS, POLL_CHILD, POLL_COUNT };

static struct pump pump[PUMPS];

/* What both ways share is closed with the last one. */
static bool is_shared(int fd)
{
	unsigned int users = 0, i;

	for (i = 0; i < PUMPS; i++)
		users += (pump[i].from == fd) + (pump[i].to == fd);
	return users > 1;
}

static void drop(int *fd)
{
	if (*fd >= 0 && !is_shared(*fd))
		close(*fd);
	*fd = -1;
}

static void end_pump(struct pump *one)
{
	drop(&one->from);
	drop(&one->to);
	one->start = one->end = 0;
}

static bool empty(const struct pump *one)
{
	return one->start == one->end;
}

static void fill(struct pump *one)
{
	ssize_t got = read(one->from, one->data, sizeof(one->data));

	if (got > 0) {
		one->start = 0;
		one->end = got;
	} else if (!got || errno != EAGAIN) {
		/* A terminal's master says EIO when the last program has closed it. */
		end_pump(one);
	}
}

static void pour(struct pump *one)
{
	ssize_t done = write(one->to, one->data + one->start, one->end - one->start);

	if (done >= 0)
		one->start += done;
	else if (errno != EAGAIN)
		end_pump(one);
}

/* As far as it goes without waiting. */
static void run_pump(struct pump *one, short from, short to)
{
	if (one->to < 0)
		return;
	/* Nobody reads any more. For bytes on their way into a program that is seen by writing. */
	if (to & (POLLHUP | POLLERR)) {
		end_pump(one);
		return;
	}
	if (from & (POLLIN | POLLHUP | POLLERR) && empty(one))
		fill(one);
	if (one->to >= 0 && !empty(one))
		pour(one);
}

static void prepare(const struct pump *one, struct pollfd fds[2])
{
	bool waits = !empty(one);

	fds[0] = (struct pollfd){ .fd = waits ? -1 : one->from, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = one->to, .events = waits ? POLLOUT : 0 };
}

/* ---- the launcher's messages ---------------------------------------------------------------- */

static void obey(const struct exec_message *message, const struct streams *streams, pid_t pid)
{
	switch (message->type) {
	case EXEC_SIGNAL:
		kill(message->more ? -pid : pid, message->value);
		break;
	case EXEC_WINDOW:
		if (streams->terminal >= 0)
			set_window(streams->terminal, message->value, message->more);
		break;
	case EXEC_TRIM:
		write_file("/proc/sys/vm/drop_caches", "2");
		break;
	default:
		break;
	}
}

static void listen_to(int control, const struct streams *streams, pid_t pid)
{
	static struct exec_message message;
	static size_t received;
	ssize_t got;

	for (;;) {
		got = read(control, (char *)&message + received, sizeof(message) - received);
		if (got <= 0)
			return;
		received += got;
		if (received < sizeof(message))
			continue;
		received = 0;
		obey(&message, streams, pid);
	}
}

/* ---- children ------------------------------------------------------------------------------- */

/* All that have ended; true: the program is among them, and @end says how. */
static bool reap(pid_t pid, struct exec_message *end)
{
	bool ended = false;
	int status;
	pid_t one;

	while ((one = waitpid(-1, &status, WNOHANG)) > 0) {
		if (one != pid)
			continue;
		ended = true;
		*end = (struct exec_message){ EXEC_EXITED, WEXITSTATUS(status), 0 };
		if (WIFSIGNALED(status))
			*end = (struct exec_message){
				EXEC_KILLED, WTERMSIG(status), WCOREDUMP(status),
			};
	}
	return ended;
}

static int watch_children(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void start_pumps(struct ports *ports, struct streams *streams)
{
	pump[PUMP_IN].from = ports->in;
	pump[PUMP_IN].to = streams->in;
	pump[PUMP_OUT].from = streams->out;
	pump[PUMP_OUT].to = ports->out;
	pump[PUMP_ERROR].from = streams->error;
	pump[PUMP_ERROR].to = ports->error;
	/* Where there is one for both. */
	if (streams->error < 0)
		end_pump(&pump[PUMP_ERROR]);
}

/* True: once more; there is something left to be done. */
static bool step(struct pollfd fds[POLL_COUNT], bool ended)
{
	unsigned int i;

	if (ended && pump[PUMP_OUT].to < 0 && pump[PUMP_ERROR].to < 0)
		return false;
	for (i = 0; i < PUMPS; i++)
		prepare(&pump[i], fds + 2 * i);
	return poll(fds, POLL_COUNT, -1) >= 0 || errno == EINTR;
}

struct exec_message relay(struct ports *ports, struct streams *streams, pid_t pid)
{
	struct exec_message end = { EXEC_EXITED, 0, 0 };
	struct pollfd fds[POLL_COUNT] = {
		[POLL_CONTROL] = { .fd = ports->control, .events = POLLIN },
		[POLL_CHILD] = { .fd = watch_children(), .events = POLLIN },
	};
	struct signalfd_siginfo info;
	bool ended = false;
	unsigned int i;

	start_pumps(ports, streams);
	do {
		while (read(fds[POLL_CHILD].fd, &info, sizeof(info)) == sizeof(info))
			;
		if (reap(pid, &end))
			ended = true;
		/* What it started ends with it; what they all wrote is passed on. */
		if (ended) {
			kill(-1, SIGKILL);
			end_pump(&pump[PUMP_IN]);
		}
		for (i = 0; i < PUMPS; i++)
			run_pump(&pump[i], fds[2 * i].revents, fds[2 * i + 1].revents);
		if (fds[POLL_CONTROL].revents & POLLIN)
			listen_to(ports->control, streams, pid);
	} while (step(fds, ended));
	return end;
}
