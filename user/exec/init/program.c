// SPDX-License-Identifier: GPL-2.0
/* The program's process: its streams, its user, its surroundings. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exec/init/init.h"

/* What the child says before it is the program: nothing when it is. */
struct report {
	int error;
	uint32_t stage;		/* EXEC_STAGE_COUNT: the program cannot be executed */
};

/* The child's ends of its streams. */
struct ends {
	int in, out, error;
};

/* ---- streams -------------------------------------------------------------------------------- */

int set_window(int terminal, uint16_t rows, uint16_t columns)
{
	const struct winsize size = { .ws_row = rows, .ws_col = columns };

	return ioctl(terminal, TIOCSWINSZ, &size);
}

static int open_terminal(const struct exec_description *header, struct streams *streams,
			 struct ends *ends)
{
	char name[64];

	streams->terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (streams->terminal < 0 || unlockpt(streams->terminal) ||
	    ptsname_r(streams->terminal, name, sizeof(name)))
		return -1;
	ends->in = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (ends->in < 0 || fchown(ends->in, header->uid, 5))
		return -1;
	ends->out = ends->in;
	streams->in = streams->terminal;
	streams->out = streams->terminal;
	set_window(streams->terminal, header->rows, header->columns);
	return 0;
}

/* The program's end of a pipe may be its user's to open again, by /dev/stdout. */
static int open_pipe(const struct exec_description *header, int *ours, int *theirs, bool in)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC))
		return -1;
	*ours = fd[in];
	*theirs = fd[!in];
	return fchown(*theirs, header->uid, header->gid);
}

static int open_streams(const struct exec_description *header, struct streams *streams,
			struct ends *ends)
{
	*streams = (struct streams){ -1, -1, -1, -1 };
	if (header->flags & EXEC_TERMINAL) {
		if (open_terminal(header, streams, ends))
			return -1;
	} else if (open_pipe(header, &streams->in, &ends->in, true) ||
		   open_pipe(header, &streams->out, &ends->out, false)) {
		return -1;
	}
	if (header->flags & EXEC_JOINED) {
		ends->error = ends->out;
		return 0;
	}
	return open_pipe(header, &streams->error, &ends->error, false);
}

static void make_nonblocking(const struct streams *streams)
{
	const int fd[] = { streams->in, streams->out, streams->error };
	size_t i;

	for (i = 0; i < sizeof(fd) / sizeof(fd[0]); i++)
		if (fd[i] >= 0)
			fcntl(fd[i], F_SETFL, fcntl(fd[i], F_GETFL) | O_NONBLOCK);
}

/* ---- the child ------------------------------------------------------------------------------ */

static void report(int to, uint32_t stage) __attribute__((noreturn));
static void report(int to, uint32_t stage)
{
	const struct report what = { errno, stage };
	ssize_t ignored = write(to, &what, sizeof(what));

	(void)ignored;
	_exit(127);
}

static void set_signals(uint64_t ignored)
{
	sigset_t none;
	int number;

	for (number = 1; number < 64; number++)
		signal(number, ignored & 1ULL << (number - 1) ? SIG_IGN : SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void set_limits(const struct exec_description *header)
{
	unsigned int i;

	for (i = 0; i < EXEC_LIMITS; i++) {
		const struct rlimit limit = {
			header->limits[i].current, header->limits[i].max,
		};

		/* The machine's own may be lower: then it stays so. */
		setrlimit(i, &limit);
	}
}

static void become(const struct program *program, const struct ends *ends, int to)
{
	const struct exec_description *header = program->header;

	setsid();
	if (header->flags & EXEC_TERMINAL)
		ioctl(ends->in, TIOCSCTTY, 0);
	if (dup2(ends->in, 0) < 0 || dup2(ends->out, 1) < 0 || dup2(ends->error, 2) < 0)
		report(to, EXEC_STAGE_START);
	set_limits(header);
	umask(header->umask);
	if (setgroups(header->groups, program->group) || setgid(header->gid) ||
	    setuid(header->uid))
		report(to, EXEC_STAGE_USER);
	if (chdir(program->directory))
		report(to, EXEC_STAGE_DIRECTORY);
	set_signals(header->ignored);
	environ = program->environment;
	execvp(program->arguments[0], program->arguments);
	report(to, EXEC_STAGE_COUNT);
}

/* True: it is the program now. */
static bool is_started(int from)
{
	struct report what;
	ssize_t got;

	do
		got = read(from, &what, sizeof(what));
	while (got < 0 && errno == EINTR);
	if (got != sizeof(what))
		return true;
	errno = what.error;
	if (what.stage < EXEC_STAGE_COUNT)
		give_up(what.stage);
	return false;
}

pid_t start_program(const struct program *program, struct streams *streams)
{
	struct ends ends;
	int channel[2], error;
	pid_t pid;

	if (open_streams(program->header, streams, &ends) || pipe2(channel, O_CLOEXEC))
		give_up(EXEC_STAGE_START);
	pid = fork();
	if (pid < 0)
		give_up(EXEC_STAGE_START);
	if (!pid)
		become(program, &ends, channel[1]);
	close(channel[1]);
	close(ends.in);
	if (ends.out != ends.in)
		close(ends.out);
	if (ends.error != ends.out)
		close(ends.error);
	if (is_started(channel[0])) {
		say(EXEC_STARTED, 0, 0);
	} else {
		error = errno;
		say(EXEC_REFUSED, error, 0);
	}
	close(channel[0]);
	make_nonblocking(streams);
	return pid;
}
