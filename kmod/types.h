/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Words used everywhere: kinds of addresses, the handler contract.
 */
#ifndef HULL_TYPES_H
#define HULL_TYPES_H

#include <linux/types.h>

typedef unsigned long gva_t;	/* guest-virtual (linear) address */
typedef u64 gpa_t;		/* guest-physical address */
typedef u64 gfn_t;		/* guest frame number: gpa >> PAGE_SHIFT */
typedef u64 hpa_t;		/* host-physical address */

#define gpa_to_gfn(gpa)	((gpa) >> PAGE_SHIFT)
#define gfn_to_gpa(gfn)	((gfn) << PAGE_SHIFT)

/*
 * What a handler of an exit says. A negative errno goes to the caller of HULL_RUN; guest mistakes
 * are never errnos: they are injected or end the VM (hull_vcpu_end()).
 */
enum hull_next {
	HULL_RESUME,		/* enter the guest again */
	HULL_PUBLISH,		/* vcpu->run is filled: return 0 to the launcher */
};

struct hull_vm;
struct hull_vcpu;
struct hull_consumer;

#endif
