// SPDX-License-Identifier: GPL-2.0
/*
 * Raw mode of the terminal, and its certain end: at exit, and in signals that kill the process.
 *
 * One per process, as a terminal is: hence the only global state of the launcher. Changed by the
 * main thread only; the signal handler of a dying process reads it.
 */
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "machine/console.h"

static struct termios saved;
static volatile sig_atomic_t raw;

static void restore_and_die(int number)
{
	if (raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	/* SA_RESETHAND: this time it kills. */
	raise(number);
}

bool terminal_restore(void)
{
	bool was = raw;

	if (was)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
	raw = 0;
	return was;
}

static void restore_at_exit(void)
{
	terminal_restore();
}

static void catch_deadly_signals(void)
{
	static const int deadly[] = {
		SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGXCPU,
	};
	struct sigaction action = { .sa_handler = restore_and_die, .sa_flags = SA_RESETHAND };
	size_t i;

	for (i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
		sigaction(deadly[i], &action, NULL);
}

void terminal_raw(void)
{
	static bool prepared;
	struct termios mode;

	if (raw || tcgetattr(STDIN_FILENO, &saved))
		return;
	if (!prepared) {
		atexit(restore_at_exit);
		catch_deadly_signals();
		prepared = true;
	}
	mode = saved;
	cfmakeraw(&mode);
	raw = 1;
	if (tcsetattr(STDIN_FILENO, TCSANOW, &mode))
		raw = 0;
}
