/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TEST_LINUX_COMPILER_H
#define TEST_LINUX_COMPILER_H

#define likely(x)		(x)
#define unlikely(x)		(x)
#define READ_ONCE(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v)	__atomic_store_n(&(x), v, __ATOMIC_RELAXED)

#endif
