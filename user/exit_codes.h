/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Exit codes of the launcher: the only place that says them. --help prints this list; the man
 * pages and README.md repeat it, and selftests/launcher.bats compares them with it.
 *
 * HULL_EXIT_CODES(X) calls X(name, code, text). Texts read on after "exit status N: ".
 */
#ifndef HULL_EXIT_CODES_H
#define HULL_EXIT_CODES_H

#define HULL_RUN_CODES(X)							\
	X(OFF,		0,	"the guest powered off")			\
	X(RESET,	16,	"the guest reset the machine")			\
	X(PANIC,	17,	"the guest's kernel panicked (pvpanic)")	\
	X(TRIPLE_FAULT,	18,	"triple fault")					\
	X(GUEST_ENDED,	19,	"the module ended the guest for another reason") \
	X(TIMEOUT,	124,	"the time limit was reached")			\
	X(ERROR,	125,	"wrong usage, or the launcher failed")		\
	X(INTERRUPTED,	130,	"ended from outside: Ctrl-A X or a signal")

/* Beside the program's own. */
#define HULL_EXEC_CODES(X)							\
	X(EXEC_TIMEOUT,	124,	"the time limit was reached")			\
	X(EXEC_ERROR,	125,	"wrong usage, or hull failed")			\
	X(NOT_EXECUTABLE, 126,	"the program cannot be executed")		\
	X(NOT_FOUND,	127,	"there is no such program")			\
	X(GUEST_DIED,	255,	"the guest ended before the program: its kernel panicked, say")

#define HULL_CHECK_CODES(X)							\
	X(READY,	0,	"this machine can run guests")			\
	X(NO_CPU,	20,	"the CPU has no virtualization the module can use") \
	X(FIRMWARE,	21,	"the firmware has switched virtualization off")	\
	X(BUSY,		22,	"another hypervisor holds the hardware")	\
	X(NO_MODULE,	23,	"the module is not loaded")			\
	X(NO_PERMISSION, 24,	"no permission to open /dev/hull")		\
	X(REFUSED,	26,	"the module refuses, for another reason")

#define HULL_EXIT_CODE_ENUM(name, code, text)	EXIT_CODE_##name = (code),

enum exit_code {
	HULL_RUN_CODES(HULL_EXIT_CODE_ENUM)
	HULL_EXEC_CODES(HULL_EXIT_CODE_ENUM)
	HULL_CHECK_CODES(HULL_EXIT_CODE_ENUM)
};

#undef HULL_EXIT_CODE_ENUM

#endif
