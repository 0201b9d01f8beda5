/* SPDX-License-Identifier: GPL-2.0 */
/*
 * memcpy() of the kernel is used on memory that others write at the same time. Here that is said to
 * the thread sanitizer: bytes are copied by relaxed atomics.
 */
#ifndef TEST_LINUX_STRING_H
#define TEST_LINUX_STRING_H

#include <string.h>

static inline void *test_memcpy(void *to, const void *from, size_t len)
{
	const unsigned char *source = from;
	unsigned char *target = to;

	while (len--) {
		__atomic_store_n(target++, __atomic_load_n(source++, __ATOMIC_RELAXED),
				 __ATOMIC_RELAXED);
	}
	return to;
}
#define memcpy test_memcpy

#endif
