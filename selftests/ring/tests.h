/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TEST_RING_H
#define TEST_RING_H

#include <stdbool.h>
#include <stdio.h>

/* In a test: say where, and fail. */
#define EXPECT(condition)							\
	do {									\
		if (!(condition)) {						\
			printf("# %s:%d: %s\n", __func__, __LINE__, #condition);	\
			return false;						\
		}								\
	} while (0)

bool test_ranges_fixed(void);
bool test_ranges_random(void);

#endif
