/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The memory table: which guest-physical addresses are memory, and where it is in the creator's
 * address space. Readers hold vm->srcu or mmu.lock, or are in an RCU read-side section (interrupts
 * off).
 */
#ifndef HULL_MEM_REGION_H
#define HULL_MEM_REGION_H

#include <linux/mm.h>

#include "../types.h"
#include "hull.h"

struct hull_dirty_bitmap;

/**
 * struct hull_memslot - one region in the table
 * @base: first frame
 * @npages: frames
 * @hva: address in vm->mm of the first
 * @flags: HULL_REGION_*
 * @dirty: one bit a page, NULL without HULL_REGION_LOG_DIRTY; bits are set by atomics. Shared by
 *         the old and the new table when a region survives a change
 */
struct hull_memslot {
	gfn_t base;
	u64 npages;
	unsigned long hva;
	u32 flags;
	struct hull_dirty_bitmap *dirty;
};

/**
 * struct hull_region_table - immutable once published; published under vm->lock and mmu.lock
 * @generation: grows with each table of this VM
 * @count: entries of @slots
 * @slots: sorted by @base, not overlapping
 */
struct hull_region_table {
	u64 generation;
	unsigned int count;
	struct hull_memslot slots[];
};

/* The slot that holds @gfn, or NULL. */
static inline const struct hull_memslot *hull_slot_find(const struct hull_region_table *table,
							gfn_t gfn)
{
	unsigned int low = 0, high = table->count;

	while (low < high) {
		unsigned int mid = (low + high) / 2;
		const struct hull_memslot *slot = &table->slots[mid];

		if (gfn < slot->base)
			high = mid;
		else if (gfn - slot->base >= slot->npages)
			low = mid + 1;
		else
			return slot;
	}
	return NULL;
}

static inline unsigned long hull_slot_hva(const struct hull_memslot *slot, gfn_t gfn)
{
	return slot->hva + ((gfn - slot->base) << PAGE_SHIFT);
}

/* User address of @gpa, or 0. */
static __always_inline unsigned long hull_regions_hva(const struct hull_region_table *table,
						      gpa_t gpa)
{
	const struct hull_memslot *slot = &table->slots[0];
	gfn_t gfn = gpa_to_gfn(gpa);

	/* The first slot is where kernels live. */
	if (likely(table->count) && likely(gfn - slot->base < slot->npages))
		return hull_slot_hva(slot, gfn) + offset_in_page(gpa);
	slot = hull_slot_find(table, gfn);
	return slot ? hull_slot_hva(slot, gfn) + offset_in_page(gpa) : 0;
}

int hull_regions_init(struct hull_vm *vm);		/* an empty table; 0 or -ENOMEM */
void hull_regions_destroy(struct hull_vm *vm);		/* no readers are left */

/*
 * HULL_SET_MEMORY. Takes vm->lock; sleeps; the creator's address space is current.
 * Returns 0; -E2BIG: more than HULL_MAX_REGIONS; -EFAULT: the entries cannot be read; -ENOMEM;
 * -EINVAL: reserved is not zero, unknown flags, not page aligned, size 0, outside of the guest's
 * or the user's addresses, regions overlap in the guest, or the memory is a device's.
 */
int hull_vm_set_memory(struct hull_vm *vm, const struct hull_memory *args);

/*
 * HULL_GET_DIRTY. Takes vm->lock; sleeps.
 * Returns 0; -EINVAL: unknown flags, not page aligned; -ENOENT: no region with
 * HULL_REGION_LOG_DIRTY has this address and size; -EFAULT: @bitmap cannot be written, and no bit
 * was cleared; -ENOMEM.
 */
int hull_vm_get_dirty(struct hull_vm *vm, const struct hull_dirty *args);

#endif
