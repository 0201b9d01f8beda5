/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Running a guest for a limited time, whatever it does: a timer's signal ends HULL_RUN with EINTR.
 */
#ifndef SELFTESTS_LIMIT_H
#define SELFTESTS_LIMIT_H

#include <errno.h>
#include <signal.h>
#include <sys/time.h>

#include "guest.h"
#include "harness.h"

static inline void limit_signal(int sig)
{
}

/* The signal repeats, so that one which comes before the ioctl does not count. 0 us: off. */
static inline void limit_set(unsigned long us)
{
	const struct sigaction action = { .sa_handler = limit_signal };
	const struct itimerval timer = {
		.it_value = { us / 1000000, us % 1000000 },
		.it_interval = { us / 1000000, us % 1000000 },
	};

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

/* As guest_run(), for @us at most: then -1 with EINTR. */
static inline int limit_run(struct guest *guest, unsigned int id, unsigned long us)
{
	int ret;

	limit_set(us);
	ret = guest_run(guest, id);
	limit_set(0);
	return ret;
}

/* Only what the interface documents, and no defect of the module. */
static inline bool limit_outcome_ok(struct guest *guest, unsigned int id, int ret)
{
	const struct hull_run *run = guest->cpu[id].run;

	switch (ret) {
	case -1:
		return errno == EINTR;
	case HULL_EXIT_REQUEST:
	case GUEST_POSTED:
	case HULL_EXIT_HALTED:
		return true;
	case HULL_EXIT_ENDED:
		return run->end_reason == HULL_END_TRIPLE_FAULT ||
		       run->end_reason == HULL_END_BAD_STATE ||
		       run->end_reason == HULL_END_EMULATION;
	default:
		return false;
	}
}

/*
 * Code without POPF, IRET, SYSRET, CLI, and what clears IF on its way to the kernel (SYSCALL by its
 * mask, SYSENTER), whichever byte an instruction begins with, where Bochs never interrupts a guest
 * that is entered with IF clear and spins. And with its SVM a single step that an exit cuts short
 * hits the host.
 */
static inline void limit_flags(unsigned char *code, size_t size)
{
	size_t i;

	if (!NEVER_INTERRUPTED)
		return;
	for (i = 0; i < size; i++) {
		if (code[i] == 0x9d || code[i] == 0xcf || code[i] == 0xfa)
			code[i] = 0x90;
		if (i && code[i - 1] == 0x0f &&
		    (code[i] == 0x05 || code[i] == 0x07 || code[i] == 0x34))
			code[i] = 0x0b;
	}
}

/*
 * Random code without LLDT, LTR and their kin: QEMU's TCG takes a null selector for TR, where CPUs
 * fault, and aborts at the next exception that wants a stack.
 */
static inline void limit_code(unsigned char *code, size_t size)
{
	size_t i;

	for (i = 1; i < size; i++) {
		if (code[i - 1] == 0x0f && code[i] == 0x00)
			code[i] = 0x0b;
	}
	limit_flags(code, size);
}

#endif
