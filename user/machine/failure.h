/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a function that fails says: one line for the user. Filled where the reason is known, printed
 * once, by the command. Nothing below cmd/ prints or exits.
 */
#ifndef HULL_MACHINE_FAILURE_H
#define HULL_MACHINE_FAILURE_H

struct failure {
	char text[512];
};

/* Sets the text; returns -1, so that a caller can return it. */
int fail(struct failure *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
