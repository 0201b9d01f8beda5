/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A program as its caller would run it: what hull exec takes over into the machine.
 */
#ifndef HULL_EXEC_DESCRIPTION_H
#define HULL_EXEC_DESCRIPTION_H

#include <limits.h>
#include <stddef.h>
#include <sys/types.h>

#include "exec/protocol.h"
#include "machine/failure.h"

#define EXEC_DESCRIPTION_MAX	(16U << 20)
#define EXEC_GROUPS_MAX		NGROUPS_MAX
#define EXEC_WRITABLE_MAX	7

/**
 * struct exec_program - the program and its surroundings
 * @header: all of it but sizes and counts, which exec_describe() fills in
 * @arguments: NULL at the end
 * @environment: the same
 * @writable: directories that are written through, absolute paths
 */
struct exec_program {
	struct exec_description header;
	gid_t *group;
	char **arguments;
	char **environment;
	char *directory;
	char host[HOST_NAME_MAX + 1];
	char *writable[EXEC_WRITABLE_MAX];
};

/*
 * Fills in what is the caller's: user, directory, limits and so on; @program is zero, but for
 * arguments and directories. 0, or -1 with the reason; exec_forget() in both cases.
 */
int exec_take_over(struct exec_program *program, struct failure *why);
void exec_forget(struct exec_program *program);

/* As init reads it: *@size bytes from malloc(), or NULL with the reason. */
void *exec_describe(struct exec_program *program, size_t *size, struct failure *why);

#endif
