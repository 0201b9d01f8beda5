/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Segments between the neutral form and the VMCB's. Pure: plain data.
 */
#ifndef HULL_SVM_SEGMENTS_H
#define HULL_SVM_SEGMENTS_H

#include <asm/svm.h>

#include "../emulate/emulate.h"
#include "hull.h"

static inline void svm_get_segment(struct hull_segment *to, const struct vmcb_seg *from)
{
	to->base = from->base;
	to->limit = from->limit;
	to->selector = from->selector;
	to->attr = from->attrib;
}

static inline void svm_set_segment(struct vmcb_seg *to, const struct hull_segment *from)
{
	to->base = from->base;
	to->limit = from->limit;
	to->selector = from->selector;
	to->attrib = from->attr & 0xfff;
}

/* SVM keeps the CPL apart; architecturally it is SS.DPL. */
static inline u8 svm_cpl_of(const struct hull_segment *ss)
{
	return (ss->attr & HULL_SEG_DPL) >> 5;
}

#endif
