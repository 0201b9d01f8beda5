/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Segments between the neutral form and the VMCS's. Pure: plain data.
 */
#ifndef HULL_VMX_SEGMENTS_H
#define HULL_VMX_SEGMENTS_H

#include <asm/vmx.h>

#include "../emulate/emulate.h"
#include "hull.h"

/* AVL, L, D, G are four bits further up, and what is not loaded has a bit of its own. */
static inline u32 vmx_ar_of(u16 attr)
{
	u32 ar = (attr & 0xff) | (attr & 0xf00) << 4;

	return ar & VMX_AR_P_MASK ? ar : ar | VMX_AR_UNUSABLE_MASK;
}

static inline u16 vmx_attr_of(u32 ar)
{
	u16 attr = (ar & 0xff) | ((ar >> 4) & 0xf00);

	return ar & VMX_AR_UNUSABLE_MASK ? attr & HULL_SEG_DPL : attr;
}

static inline void vmx_bend_rpl(struct hull_segment *s, u16 dpl)
{
	s->selector = (s->selector & ~3) | dpl >> 5;
}

/*
 * Guests that are not unrestricted are entered only with what protected mode can load. Real mode,
 * and user space, leave other things behind, until the guest loads its segments again: they are
 * bent a little. Elsewhere this changes nothing.
 */
static inline void vmx_bend_segments(struct hull_segments *s)
{
	struct hull_segment *const data[] = { &s->es, &s->ds, &s->fs, &s->gs };
	int i;

	s->cs.attr |= HULL_SEG_CODE;
	vmx_bend_rpl(&s->cs, s->ss.attr & HULL_SEG_DPL);
	vmx_bend_rpl(&s->ss, s->ss.attr & HULL_SEG_DPL);
	for (i = 0; i < ARRAY_SIZE(data); i++) {
		u16 rpl = (data[i]->selector & 3) << 5;

		/* Data, and code that does not conform. */
		if ((data[i]->attr & HULL_SEG_TYPE) < 12 && (data[i]->attr & HULL_SEG_DPL) < rpl)
			data[i]->attr = (data[i]->attr & ~HULL_SEG_DPL) | rpl;
	}
}

#endif
