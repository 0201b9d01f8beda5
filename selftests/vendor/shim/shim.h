/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel, as far as the pure files of kmod/svm and kmod/vmx need it. The Makefile makes an
 * include file of each kernel name that does nothing but include this one; asm/svm.h and asm/vmx.h
 * are the kernel's.
 */
#ifndef VENDOR_SHIM_H
#define VENDOR_SHIM_H

#include <linux/types.h>

#include "emulate/types.h"

#define BIT_ULL(n)	(1ULL << (n))
#define GENMASK(h, l)	((~0UL << (l)) & (~0UL >> (63 - (h))))
#define GENMASK_ULL(h, l) ((~0ULL << (l)) & (~0ULL >> (63 - (h))))
#define PAGE_SIZE	4096UL
#define BUILD_BUG_ON(condition) _Static_assert(!(condition), #condition)
#define ASSERT_STRUCT_OFFSET(type, member, offset) \
	_Static_assert(offsetof(type, member) == (offset), #member)
#define WARN_ON_ONCE(condition) ((void)(condition))
#define __packed	__attribute__((__packed__))
#define __aligned(n)	__attribute__((__aligned__(n)))
#undef __always_inline
#define __always_inline	inline __attribute__((__always_inline__))
#define noinline	__attribute__((__noinline__))

/* Of what asm/svm.h has for nested hypervisors, which is not looked at here. */
struct hv_vmcb_enlightenments {
	u8 bytes[32];
};

#define test_bit(n, map)	((map)[(n) / 64] >> ((n) % 64) & 1)
#define __set_bit(n, map)	((map)[(n) / 64] |= 1UL << ((n) % 64))

#endif
