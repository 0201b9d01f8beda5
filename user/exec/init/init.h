/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The init of hull exec's machine: makes the caller's surroundings, runs one program, and passes
 * its streams on. Single-threaded; a static program, embedded in the launcher.
 *
 * Reading order: main.c, description.c, mounts.c, net.c, program.c, relay.c.
 */
#ifndef HULL_EXEC_INIT_INIT_H
#define HULL_EXEC_INIT_INIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "exec/protocol.h"

/**
 * struct program - the description, taken apart; what it points to is in the description
 * @arguments: NULL at the end
 * @environment: the same
 */
struct program {
	const struct exec_description *header;
	const uint32_t *group;
	const char *directory;
	const char *host;
	char **arguments;
	char **environment;
	char **writable;
};

/* ---- main.c --------------------------------------------------------------------------------- */

/* Tells the launcher, who ends the machine: does not return. errno says why. */
void give_up(enum exec_stage stage) __attribute__((noreturn));
void say(enum exec_type type, uint32_t value, uint32_t more);

/* ---- description.c -------------------------------------------------------------------------- */

/* 0, or -1: @data of @size bytes is no description. @program's lists are from malloc(). */
int read_description(struct program *program, const void *data, size_t size);

/* ---- mounts.c ------------------------------------------------------------------------------- */

/* What is needed to begin with. 0, or -1 with errno; so are the next ones. */
int mount_first(void);
int load_modules(void);

/* The new root, with all that is mounted in it; becomes "/". Gives up itself. */
void make_root(const struct program *program);
void write_file(const char *path, const char *text);

/* ---- net.c ---------------------------------------------------------------------------------- */

/* The loopback, and with EXEC_NET the card. 0, or -1 with errno. */
int set_up_net(const struct program *program);

/* ---- program.c ------------------------------------------------------------------------------ */

/**
 * struct streams - init's ends of the program's streams
 * @in: what is written here the program reads; -1: it is closed
 * @out: what the program writes is read here
 * @error: the same
 * @terminal: the master of its pseudo-terminal, or -1; then the others may be it, too
 */
struct streams {
	int in, out, error;
	int terminal;
};

/* Starts it; says so, or that it cannot be. Returns its process. */
pid_t start_program(const struct program *program, struct streams *streams);
int set_window(int terminal, uint16_t rows, uint16_t columns);

/* ---- relay.c -------------------------------------------------------------------------------- */

/* The launcher's ports. */
struct ports {
	int in, out, error, control;
};

/* Until the program has ended, and all it wrote is out: the message that says how it ended. */
struct exec_message relay(struct ports *ports, struct streams *streams, pid_t pid);

#endif
