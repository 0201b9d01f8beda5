// SPDX-License-Identifier: GPL-2.0
/*
 * The main thread's loop: console input and late output, the RTC's alarm, the time limit, signals
 * that end or suspend the launcher, and the word of other threads that the machine has ended.
 *
 * Locks: none; timers and the wake-up are file descriptors that any thread may write.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "machine/machine.h"

#define FLUSH_MS	10	/* how long output without a line end waits */

int loop_init(struct machine *machine, struct failure *why)
{
	sigset_t set;

	machine->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	machine->limit = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	machine->rtc_timer = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGTSTP);
	sigaddset(&set, SIGWINCH);
	if (machine->config->signal) {
		sigaddset(&set, SIGUSR1);
		sigaddset(&set, SIGUSR2);
	}
	/* Threads that are started later inherit this. */
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	machine->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	signal(SIGPIPE, SIG_IGN);
	/* A file that may not become longer is an error of that request. */
	signal(SIGXFSZ, SIG_IGN);
	if (machine->wake < 0 || machine->limit < 0 || machine->rtc_timer < 0 ||
	    machine->signals < 0) {
		loop_destroy(machine);
		return fail(why, "cannot create timers and events: %s", strerror(errno));
	}
	return 0;
}

void loop_destroy(struct machine *machine)
{
	int *fd[] = { &machine->wake, &machine->limit, &machine->rtc_timer, &machine->signals };
	size_t i;

	for (i = 0; i < sizeof(fd) / sizeof(fd[0]); i++) {
		if (*fd[i] >= 0)
			close(*fd[i]);
		*fd[i] = -1;
	}
}

void machine_wake(struct machine *machine)
{
	uint64_t one = 1;
	ssize_t ignored = write(machine->wake, &one, sizeof(one));

	(void)ignored;
}

/* True: it had gone off. */
static bool drain(int fd)
{
	uint64_t count;

	return read(fd, &count, sizeof(count)) == sizeof(count);
}

static void suspend(void)
{
	bool raw = terminal_restore();

	raise(SIGSTOP);
	if (raw)
		terminal_raw();
}

static void handle_signal(struct machine *machine)
{
	const struct machine_config *config = machine->config;
	struct signalfd_siginfo info;

	if (read(machine->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (config->signal && config->signal(config->signal_opaque, &info))
		return;
	if (info.ssi_signo == SIGTSTP)
		suspend();
	else if (info.ssi_signo == SIGWINCH)
		pci_set_window(machine);
	else
		machine_end(machine, END_INTERRUPTED, info.ssi_signo, 0, NULL);
}

static void start_limit(struct machine *machine)
{
	uint64_t ms = machine->config->timeout;
	struct itimerspec when = {
		.it_value = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 },
	};

	if (ms)
		timerfd_settime(machine->limit, 0, &when, NULL);
}

enum { POLL_WAKE, POLL_SIGNALS, POLL_LIMIT, POLL_RTC, POLL_CONSOLE, POLL_COUNT };

void loop_run(struct machine *machine)
{
	struct console *console = &machine->console;
	struct pollfd fds[POLL_COUNT] = {
		[POLL_WAKE] = { .fd = machine->wake, .events = POLLIN },
		[POLL_SIGNALS] = { .fd = machine->signals, .events = POLLIN },
		[POLL_LIMIT] = { .fd = machine->limit, .events = POLLIN },
		[POLL_RTC] = { .fd = machine->rtc_timer, .events = POLLIN },
	};

	start_limit(machine);
	while (!atomic_load(&machine->ended)) {
		fds[POLL_CONSOLE].events = console_events(console);
		fds[POLL_CONSOLE].fd = fds[POLL_CONSOLE].events ? console->in : -1;
		if (poll(fds, POLL_COUNT, console_flush_soon(console) ? FLUSH_MS : -1) < 0)
			continue;
		if (fds[POLL_WAKE].revents && drain(machine->wake))
			console_room(console);
		else
			console_flush(console);
		if (fds[POLL_SIGNALS].revents)
			handle_signal(machine);
		if (fds[POLL_LIMIT].revents && drain(machine->limit))
			machine_end(machine, END_TIMEOUT, 0, 0, NULL);
		if (fds[POLL_RTC].revents && drain(machine->rtc_timer))
			rtc_expired(&machine->rtc);
		if (fds[POLL_CONSOLE].revents)
			console_input(console);
	}
}
