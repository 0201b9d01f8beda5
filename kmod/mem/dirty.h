/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Dirty log of a region: one bit a page, set by whoever writes for the guest or lets it write.
 */
#ifndef HULL_MEM_DIRTY_H
#define HULL_MEM_DIRTY_H

#include <linux/bitops.h>
#include <linux/refcount.h>

#include "../types.h"
#include "region.h"

/**
 * struct hull_dirty_bitmap - shared by the old and the new table when a region survives a change
 * @refs: tables that have it
 * @npages: bits
 * @bits: atomics only; they are cleared under mmu.lock
 */
struct hull_dirty_bitmap {
	refcount_t refs;
	u64 npages;
	unsigned long *bits;
};

/* All clear; NULL: no memory. */
struct hull_dirty_bitmap *hull_dirty_alloc(u64 npages);
struct hull_dirty_bitmap *hull_dirty_get(struct hull_dirty_bitmap *dirty);
void hull_dirty_put(struct hull_dirty_bitmap *dirty);	/* NULL is fine */

/* @gfn is in @slot. */
static inline void hull_slot_mark_dirty(const struct hull_memslot *slot, gfn_t gfn)
{
	/* Most pages are dirty already: do not fight for the cache line. */
	if (slot->dirty && !test_bit(gfn - slot->base, slot->dirty->bits))
		set_bit(gfn - slot->base, slot->dirty->bits);
}

static inline bool hull_slot_is_dirty(const struct hull_memslot *slot, gfn_t gfn)
{
	return test_bit(gfn - slot->base, slot->dirty->bits);
}

#endif
