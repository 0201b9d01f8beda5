/* SPDX-License-Identifier: GPL-2.0 */
/*
 * HULL_TIME_SCALE=n in the environment makes time limits n times as long: emulators and kernels
 * differ by ten times in speed.
 */
#ifndef SELFTESTS_SCALE_H
#define SELFTESTS_SCALE_H

#include <stdlib.h>

static inline unsigned int time_scale(void)
{
	const char *text = getenv("HULL_TIME_SCALE");
	int scale = text ? atoi(text) : 1;

	return scale > 0 ? scale : 1;
}

#endif
