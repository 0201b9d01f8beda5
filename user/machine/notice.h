/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the user is told while the guest runs: one line on stderr, few of a kind.
 */
#ifndef HULL_MACHINE_NOTICE_H
#define HULL_MACHINE_NOTICE_H

#include <stdbool.h>
#include <stdint.h>

/* One for each source; zero at first. Belongs to one thread, or is used under its lock. */
struct notice {
	uint64_t since;			/* seconds */
	unsigned int said;
	unsigned int left_out;
};

/* Without line end. What a guest can cause again and again is said a few times a minute. */
void notice(struct notice *limit, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* For tests: takes the lines instead of stderr. */
extern void (*notice_sink)(const char *line);

#endif
