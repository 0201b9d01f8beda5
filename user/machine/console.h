/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The user's end of the serial port, or of the virtio console: a terminal or pipe, a file, or a
 * pseudo-terminal.
 */
#ifndef HULL_MACHINE_CONSOLE_H
#define HULL_MACHINE_CONSOLE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "machine/failure.h"

#define CONSOLE_TAIL	16384	/* what is kept of CONSOLE_KEEP's output */
#define CONSOLE_BUFFER	4096	/* what a pipe that polls as writable takes without blocking */

enum console_kind {
	CONSOLE_STDIO,
	CONSOLE_FILE,
	CONSOLE_PTY,
	CONSOLE_NONE,
	CONSOLE_STDERR,		/* output only */
	CONSOLE_KEEP,		/* nowhere, but the last of it is kept: console_tail() */
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
	uint8_t *tail;			/* CONSOLE_TAIL bytes, a ring; NULL: none is kept */
	size_t tail_end;		/* bytes that have been in it */
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

/* Before anything else: console_close() does no harm then. */
void console_init(struct console *console);
int console_open(struct console *console, const struct console_config *config,
		 struct console_guest guest, struct failure *why);
void console_close(struct console *console);

/* A byte from the guest; blocks when the user's end does. Any thread. */
void console_put(struct console *console, uint8_t byte);

/*
 * The same of up to @size bytes, without waiting: how many were taken, at least 1, or -EAGAIN. What
 * goes to an end that is gone, or is not there, is taken and lost.
 */
ssize_t console_write(struct console *console, const void *data, size_t size);

/*
 * Of CONSOLE_KEEP: the last of its output, up to CONSOLE_TAIL bytes and a NUL, without control
 * characters but line ends. When the guest runs no more.
 */
void console_tail(const struct console *console, char *text);

/* Main thread: writes what is buffered, unless that would block. False: there was nothing. */
bool console_flush(struct console *console);
bool console_flush_soon(struct console *console);

/* Main thread: events to poll @console->in for; reading and passing on. */
short console_events(const struct console *console);
void console_input(struct console *console);
void console_room(struct console *console);

/*
 * Terminal modes. The first is undone when the process ends, whatever ends it, and by the second,
 * which says whether there was something to undo.
 */
void terminal_raw(void);
bool terminal_restore(void);

#endif
