/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The user's end of the serial port: a terminal or pipe, a file, or a pseudo-terminal.
 */
#ifndef HULL_MACHINE_CONSOLE_H
#define HULL_MACHINE_CONSOLE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "machine/failure.h"

#define CONSOLE_BUFFER	4096	/* what a pipe that polls as writable takes without blocking */

enum console_kind {
	CONSOLE_STDIO,
	CONSOLE_FILE,
	CONSOLE_PTY,
	CONSOLE_NONE,
};

struct console_config {
	enum console_kind kind;
	const char *path;
};

/* What keys typed after Ctrl-A ask for. */
enum console_key {
	KEY_QUIT,
	KEY_POWER,
	KEY_BREAK,
};

/*
 * Called by console_input(): input() takes bytes for the guest and returns how many it took;
 * key() is told of commands.
 */
struct console_guest {
	size_t (*input)(void *opaque, const uint8_t *data, size_t size);
	void (*key)(void *opaque, enum console_key key);
	void (*wake)(void *opaque);	/* output waits for console_flush() */
	void *opaque;
};

struct console {
	struct console_guest guest;
	int in;				/* -1: none, or at its end */
	int out;			/* -1: none */
	int keep;			/* the other end of a pseudo-terminal */
	bool terminal;			/* keys are commands, after Ctrl-A */
	bool escape;			/* Ctrl-A was typed */
	uint8_t held[256];		/* main thread: input the guest has no room for */
	size_t held_size;

	pthread_mutex_t lock;		/* guards what follows */
	uint8_t buffer[CONSOLE_BUFFER];
	size_t buffered;
	bool mid_line;			/* the last byte was no line end */
	bool flush_soon;		/* the main thread looks at the buffer every few ms */
	atomic_bool stopping;		/* output that would block is dropped */
};

int console_open(struct console *console, const struct console_config *config,
		 struct console_guest guest, struct failure *why);
void console_close(struct console *console);

/* A byte from the guest; blocks when the user's end does. Any thread. */
void console_put(struct console *console, uint8_t byte);

/* Main thread: writes what is buffered, unless that would block. False: there was nothing. */
bool console_flush(struct console *console);
bool console_flush_soon(struct console *console);

/* Main thread: events to poll @console->in for; reading and passing on. */
short console_events(const struct console *console);
void console_input(struct console *console);
void console_room(struct console *console);

/* Terminal modes. The first is undone when the process ends, whatever ends it. */
void terminal_raw(void);
void terminal_restore(void);

#endif
