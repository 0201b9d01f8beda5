// SPDX-License-Identifier: GPL-2.0
/* The caller, and how he is described to init. */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exec/description.h"

/* ---- the caller ----------------------------------------------------------------------------- */

static uint64_t ignored_signals(void)
{
	struct sigaction action;
	uint64_t ignored = 0;
	int number;

	for (number = 1; number < 64; number++)
		if (!sigaction(number, NULL, &action) && action.sa_handler == SIG_IGN)
			ignored |= 1ULL << (number - 1);
	return ignored;
}

static void take_limits(struct exec_description *header)
{
	struct rlimit limit;
	unsigned int i;

	for (i = 0; i < EXEC_LIMITS; i++) {
		getrlimit(i, &limit);
		header->limits[i].current = limit.rlim_cur;
		header->limits[i].max = limit.rlim_max;
	}
}

/* What a pseudo-terminal of the machine's stands for. */
static void take_terminal(struct exec_description *header)
{
	struct winsize size;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) ||
	    tcgetpgrp(STDIN_FILENO) != getpgrp())
		return;
	header->flags |= EXEC_TERMINAL;
	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size)) {
		header->rows = size.ws_row;
		header->columns = size.ws_col;
	}
}

/* Then what goes to both keeps its order. */
static void join_streams(struct exec_description *header)
{
	struct stat out, error;

	if (!fstat(STDOUT_FILENO, &out) && !fstat(STDERR_FILENO, &error) &&
	    out.st_dev == error.st_dev && out.st_ino == error.st_ino)
		header->flags |= EXEC_JOINED;
}

static int take_groups(struct exec_program *program, struct failure *why)
{
	int count = getgroups(0, NULL);

	program->group = calloc(count > 0 ? count : 1, sizeof(*program->group));
	if (!program->group)
		return fail(why, "out of memory");
	count = getgroups(count, program->group);
	program->header.groups = count > 0 ? count : 0;
	return 0;
}

int exec_take_over(struct exec_program *program, struct failure *why)
{
	struct exec_description *header = &program->header;

	header->uid = geteuid();
	header->gid = getegid();
	header->umask = umask(0);
	umask(header->umask);
	header->ignored = ignored_signals();
	take_limits(header);
	take_terminal(header);
	join_streams(header);
	if (getrandom(header->random, sizeof(header->random), 0) < 0)
		return fail(why, "no random numbers: %s", strerror(errno));
	gethostname(program->host, sizeof(program->host) - 1);
	program->environment = environ;
	program->directory = getcwd(NULL, 0);
	if (!program->directory || *program->directory != '/')
		return fail(why, "the current directory has no name: %s",
			    program->directory ? "it is out of reach" : strerror(errno));
	return take_groups(program, why);
}

void exec_forget(struct exec_program *program)
{
	unsigned int i;

	free(program->group);
	free(program->directory);
	for (i = 0; i < program->header.writable; i++)
		free(program->writable[i]);
}

/* ---- the description ------------------------------------------------------------------------ */

static uint32_t count(char **list, size_t *size)
{
	uint32_t number = 0;

	for (; *list; list++, number++)
		*size += strlen(*list) + 1;
	return number;
}

static char *put(char *at, const char *text)
{
	return stpcpy(at, text) + 1;
}

static char *put_list(char *at, char **list)
{
	for (; *list; list++)
		at = put(at, *list);
	return at;
}

void *exec_describe(struct exec_program *program, size_t *size, struct failure *why)
{
	struct exec_description *header = &program->header;
	uint32_t *group, i;
	char *data, *at;

	*size = sizeof(*header) + header->groups * sizeof(*group) +
		strlen(program->directory) + 1 + strlen(program->host) + 1;
	header->magic = EXEC_MAGIC;
	header->arguments = count(program->arguments, size);
	header->variables = count(program->environment, size);
	for (i = 0; i < header->writable; i++)
		*size += strlen(program->writable[i]) + 1;
	header->size = *size;
	data = *size <= EXEC_DESCRIPTION_MAX ? malloc(*size) : NULL;
	if (!data) {
		fail(why, "arguments and environment are too large");
		return NULL;
	}
	memcpy(data, header, sizeof(*header));
	group = (uint32_t *)(data + sizeof(*header));
	for (i = 0; i < header->groups; i++)
		group[i] = program->group[i];
	at = put((char *)(group + header->groups), program->directory);
	at = put(at, program->host);
	at = put_list(at, program->arguments);
	at = put_list(at, program->environment);
	for (i = 0; i < header->writable; i++)
		at = put(at, program->writable[i]);
	return data;
}
