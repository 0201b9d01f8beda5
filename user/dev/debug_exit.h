/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The debug exit port: a write of v ends the machine with exit status (v << 1 | 1) & 0xff.
 */
#ifndef HULL_DEV_DEBUG_EXIT_H
#define HULL_DEV_DEBUG_EXIT_H

#include "machine/bus.h"
#include "machine/power.h"

#define DEBUG_EXIT_PORT		0xf4
#define DEBUG_EXIT_LENGTH	4

struct debug_exit {
	struct device device;
	struct power power;
};

void debug_exit_init(struct debug_exit *debug_exit, struct power power);

#endif
