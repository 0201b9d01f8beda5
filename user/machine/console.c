// SPDX-License-Identifier: GPL-2.0
/*
 * Output is collected and written at the end of a line or when the buffer is full, by the vCPU's
 * thread: a guest is slowed down to what its reader takes, nothing is lost. What has no line end
 * (a prompt) is written by the main thread some ms later. Input is read only while the guest has
 * room for it.
 *
 * Locks: lock guards the output buffer; it is taken within the serial port's. Input belongs to the
 * main thread.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "machine/console.h"

#define CTRL_A	1

/* How long a reader that takes nothing is waited for once the machine has ended. */
#define DRAIN_MS	1000

/* ---- opening -------------------------------------------------------------------------------- */

static bool in_foreground(void)
{
	pid_t group = tcgetpgrp(STDIN_FILENO);

	return group < 0 || group == getpgrp();
}

static void open_stdio(struct console *console)
{
	console->out = STDOUT_FILENO;
	if (fcntl(STDIN_FILENO, F_GETFD) < 0)
		return;
	if (!isatty(STDIN_FILENO)) {
		console->in = STDIN_FILENO;
	} else if (in_foreground()) {
		console->in = STDIN_FILENO;
		console->terminal = true;
		terminal_raw();
	}
}

static int open_file(struct console *console, const char *path, struct failure *why)
{
	console->out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_CLOEXEC, 0666);
	if (console->out < 0)
		return fail(why, "cannot open %s: %s", path, strerror(errno));
	return 0;
}

static int open_pty(struct console *console, struct failure *why)
{
	struct termios mode;
	char name[64];
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || grantpt(fd) || unlockpt(fd) || ptsname_r(fd, name, sizeof(name))) {
		fail(why, "cannot open a pseudo-terminal: %s", strerror(errno));
		goto err_close;
	}
	/* Held open, so that there is no hang-up while nobody is connected. */
	console->keep = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (console->keep < 0 || tcgetattr(console->keep, &mode)) {
		fail(why, "cannot open %s: %s", name, strerror(errno));
		goto err_close;
	}
	cfmakeraw(&mode);
	tcsetattr(console->keep, TCSANOW, &mode);
	/* Output nobody reads is dropped, not waited for. */
	fcntl(fd, F_SETFL, O_NONBLOCK);
	console->in = fd;
	console->out = fd;
	fprintf(stderr, "hull: the serial port is %s\n", name);
	return 0;

err_close:
	if (fd >= 0)
		close(fd);
	return -1;
}

void console_init(struct console *console)
{
	memset(console, 0, sizeof(*console));
	pthread_mutex_init(&console->lock, NULL);
	console->in = -1;
	console->out = -1;
	console->keep = -1;
}

int console_open(struct console *console, const struct console_config *config,
		 struct console_guest guest, struct failure *why)
{
	console->guest = guest;
	switch (config->kind) {
	case CONSOLE_STDIO:
		open_stdio(console);
		return 0;
	case CONSOLE_FILE:
		return open_file(console, config->path, why);
	case CONSOLE_PTY:
		return open_pty(console, why);
	case CONSOLE_STDERR:
		console->out = STDERR_FILENO;
		return 0;
	case CONSOLE_KEEP:
		console->tail = malloc(CONSOLE_TAIL);
		return console->tail ? 0 : fail(why, "out of memory");
	case CONSOLE_NONE:
		return 0;
	}
	return 0;
}

/* ---- output --------------------------------------------------------------------------------- */

static bool writable(const struct console *console, int timeout)
{
	struct pollfd poll_out = { .fd = console->out, .events = POLLOUT };

	return poll(&poll_out, 1, timeout) == 1;
}

/* With the lock. An end that is gone or is not read loses its output. */
static void write_buffer(struct console *console)
{
	size_t done = 0;

	while (done < console->buffered && console->out >= 0) {
		ssize_t got;

		if (atomic_load(&console->stopping) && !writable(console, DRAIN_MS))
			break;
		got = write(console->out, console->buffer + done, console->buffered - done);
		if (got >= 0) {
			done += got;
		} else if (errno == EAGAIN && console->keep < 0) {
			/* Somebody else made our stdout non-blocking. */
			writable(console, 100);
		} else if (errno != EINTR) {
			break;
		}
	}
	console->buffered = 0;
}

void console_put(struct console *console, uint8_t byte)
{
	bool tell = false;

	if (console->tail)
		console->tail[console->tail_end++ % CONSOLE_TAIL] = byte;
	if (console->out < 0)
		return;
	pthread_mutex_lock(&console->lock);
	console->buffer[console->buffered++] = byte;
	console->mid_line = byte != '\n';
	if (byte == '\n' || console->buffered == CONSOLE_BUFFER) {
		write_buffer(console);
	} else if (!console->flush_soon) {
		console->flush_soon = true;
		tell = true;
	}
	pthread_mutex_unlock(&console->lock);
	if (tell)
		console->guest.wake(console->guest.opaque);
}

ssize_t console_write(struct console *console, const void *data, size_t size)
{
	ssize_t done = size;

	/* Not more than a pipe takes at once when it takes anything. */
	if (size > CONSOLE_BUFFER)
		size = CONSOLE_BUFFER;
	pthread_mutex_lock(&console->lock);
	if (console->out >= 0 && writable(console, 0))
		done = write(console->out, data, size);
	else if (console->out >= 0)
		done = -EAGAIN;
	/* A pseudo-terminal that nobody reads loses it. */
	if (done <= 0 && (console->keep >= 0 || (done < 0 && done != -EAGAIN && errno != EINTR)))
		done = size;
	else if (done < 0)
		done = -EAGAIN;
	console->mid_line = ((const uint8_t *)data)[size - 1] != '\n';
	pthread_mutex_unlock(&console->lock);
	return done;
}

void console_tail(const struct console *console, char *text)
{
	size_t end = console->tail_end, from = end > CONSOLE_TAIL ? end - CONSOLE_TAIL : 0, to = 0;

	for (; from < end; from++) {
		char byte = console->tail[from % CONSOLE_TAIL];

		if (byte == '\n' || (unsigned char)byte >= ' ')
			text[to++] = byte;
	}
	text[to] = '\0';
}

bool console_flush_soon(struct console *console)
{
	bool soon = true;

	/* A vCPU thread that holds the lock is writing. */
	if (!pthread_mutex_trylock(&console->lock)) {
		soon = console->flush_soon;
		pthread_mutex_unlock(&console->lock);
	}
	return soon;
}

bool console_flush(struct console *console)
{
	bool some;

	if (pthread_mutex_trylock(&console->lock))
		return true;
	some = console->buffered;
	if (some && writable(console, 0))
		write_buffer(console);
	console->flush_soon = some;
	pthread_mutex_unlock(&console->lock);
	return some;
}

/* ---- input ---------------------------------------------------------------------------------- */

static void print_help(void)
{
	static const char help[] =
		"\r\n"
		"hull: Ctrl-A X  quit: end the guest at once\r\n"
		"      Ctrl-A P  press the power button\r\n"
		"      Ctrl-A B  send a break (Linux: magic SysRq)\r\n"
		"      Ctrl-A A  send Ctrl-A\r\n"
		"      Ctrl-A H  this help\r\n";
	ssize_t ignored = write(STDERR_FILENO, help, sizeof(help) - 1);

	(void)ignored;
}

/* A key of the terminal: true: it goes to the guest. */
static bool key_for_guest(struct console *console, uint8_t key)
{
	if (!console->escape) {
		console->escape = key == CTRL_A;
		return !console->escape;
	}
	console->escape = false;
	switch (key) {
	case 'x': case 'X':
		console->guest.key(console->guest.opaque, KEY_QUIT);
		return false;
	case 'p': case 'P':
		console->guest.key(console->guest.opaque, KEY_POWER);
		return false;
	case 'b': case 'B':
		console->guest.key(console->guest.opaque, KEY_BREAK);
		return false;
	case 'h': case 'H': case '?':
		print_help();
		return false;
	case 'a': case 'A': case CTRL_A:
		return true;
	default:
		return false;
	}
}

/* Takes the commands out of what was typed; returns the bytes left. */
static size_t filter_keys(struct console *console, uint8_t *data, size_t size)
{
	size_t from, to = 0;

	for (from = 0; from < size; from++) {
		bool escaped = console->escape;
		uint8_t key = data[from];

		if (key_for_guest(console, key))
			data[to++] = escaped ? CTRL_A : key;
	}
	return to;
}

void console_room(struct console *console)
{
	size_t taken;

	if (!console->held_size)
		return;
	taken = console->guest.input(console->guest.opaque, console->held, console->held_size);
	console->held_size -= taken;
	memmove(console->held, console->held + taken, console->held_size);
}

/*
 * A terminal is always read, so that Ctrl-A X works when the guest takes nothing; what does not
 * fit is dropped there. Others wait.
 */
short console_events(const struct console *console)
{
	if (console->in < 0)
		return 0;
	if (console->held_size == 0 || console->terminal)
		return POLLIN;
	return 0;
}

void console_input(struct console *console)
{
	uint8_t *free_at;
	ssize_t got;

	if (console->held_size == sizeof(console->held))
		console->held_size = 0;
	free_at = console->held + console->held_size;
	got = read(console->in, free_at, sizeof(console->held) - console->held_size);
	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (got <= 0) {
		console->in = -1;
		return;
	}
	if (console->terminal)
		got = filter_keys(console, free_at, got);
	console->held_size += got;
	console_room(console);
}

/*
 * What the other end of a pseudo-terminal has not read is lost when it is closed: wait as long as
 * somebody reads.
 */
static void drain_pty(const struct console *console)
{
	const struct timespec step = { .tv_nsec = 10000000 };
	int unread, last = -1, idle = 0;

	while (!ioctl(console->keep, FIONREAD, &unread) && unread && idle < DRAIN_MS / 5 / 10) {
		idle = unread == last ? idle + 1 : 0;
		last = unread;
		nanosleep(&step, NULL);
	}
}

void console_close(struct console *console)
{
	pthread_mutex_lock(&console->lock);
	if (console->buffered)
		write_buffer(console);
	pthread_mutex_unlock(&console->lock);
	terminal_restore();
	if (console->keep >= 0) {
		drain_pty(console);
		close(console->keep);
	}
	if (console->out > STDERR_FILENO)
		close(console->out);
	console->in = -1;
	console->out = -1;
	console->keep = -1;
}
