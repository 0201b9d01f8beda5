// SPDX-License-Identifier: GPL-2.0
/*
 * The dirty log: which pages of a region were written since the launcher last asked.
 *
 * A bit is set before the guest can write (when an entry becomes writable, under mmu->lock) or
 * after the module wrote. Asking clears bits and takes write permission away in one section of
 * mmu->lock, then flushes, and only then tells the launcher: what the guest writes before the flush
 * is in memory when the launcher reads the page, and what it writes after sets the bit again.
 *
 * Locks: vm->lock keeps the region; mmu->lock as said.
 */
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "../mmu/mmu.h"
#include "../vm.h"
#include "dirty.h"
#include "gpa.h"

/* Words of the log handled in one section of mmu->lock. */
#define WORDS_A_TURN	64

struct hull_dirty_bitmap *hull_dirty_alloc(u64 npages)
{
	struct hull_dirty_bitmap *dirty = kzalloc(sizeof(*dirty), GFP_KERNEL_ACCOUNT);

	if (!dirty)
		return NULL;
	refcount_set(&dirty->refs, 1);
	dirty->npages = npages;
	/* The launcher chooses the size: too much is an error of its own, not a warning. */
	dirty->bits = kvcalloc(BITS_TO_LONGS(npages), sizeof(long),
			       GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!dirty->bits) {
		kfree(dirty);
		return NULL;
	}
	return dirty;
}

struct hull_dirty_bitmap *hull_dirty_get(struct hull_dirty_bitmap *dirty)
{
	refcount_inc(&dirty->refs);
	return dirty;
}

void hull_dirty_put(struct hull_dirty_bitmap *dirty)
{
	if (!dirty || !refcount_dec_and_test(&dirty->refs))
		return;
	kvfree(dirty->bits);
	kfree(dirty);
}

void hull_mark_dirty(struct hull_vm *vm, gfn_t gfn)
{
	const struct hull_region_table *table;
	const struct hull_memslot *slot;

	table = rcu_dereference_check(vm->regions,
				      srcu_read_lock_held(&vm->srcu) || irqs_disabled());
	slot = hull_slot_find(table, gfn);
	if (slot)
		hull_slot_mark_dirty(slot, gfn);
}

/* Move words [@word, @end) of the log to @to and take write permission from their pages. */
static void take_words(struct hull_vm *vm, const struct hull_memslot *slot, unsigned long word,
		       unsigned long end, unsigned long *to)
{
	unsigned long *bits = slot->dirty->bits;

	spin_lock(&vm->mmu.lock);
	for (; word < end; word++) {
		gfn_t gfn = slot->base + word * BITS_PER_LONG;
		gfn_t last = min_t(gfn_t, gfn + BITS_PER_LONG, slot->base + slot->npages);

		if (!READ_ONCE(bits[word]))
			continue;
		to[word] = xchg(&bits[word], 0);
		hull_mmu_write_protect(vm, gfn, last, false);
	}
	spin_unlock(&vm->mmu.lock);
}

static void restore_words(const struct hull_memslot *slot, const unsigned long *from,
			  unsigned long words)
{
	unsigned long bit;

	for_each_set_bit(bit, from, words * BITS_PER_LONG)
		set_bit(bit, slot->dirty->bits);
}

static int get_and_clear(struct hull_vm *vm, const struct hull_memslot *slot, void __user *to)
{
	unsigned long words = BITS_TO_LONGS(slot->npages);
	unsigned long *taken, word;
	int err = 0;

	taken = kvcalloc(words, sizeof(long), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!taken)
		return -ENOMEM;
	for (word = 0; word < words; word += WORDS_A_TURN) {
		take_words(vm, slot, word, min(word + WORDS_A_TURN, words), taken);
		cond_resched();
	}
	hull_mmu_flush_pending(vm);
	if (copy_to_user(to, taken, words * sizeof(long))) {
		restore_words(slot, taken, words);
		err = -EFAULT;
	}
	kvfree(taken);
	return err;
}

/* The region that @args names exactly, or NULL. Under vm->lock. */
static const struct hull_memslot *logged_slot(struct hull_vm *vm, const struct hull_dirty *args)
{
	const struct hull_region_table *table;
	const struct hull_memslot *slot;

	table = rcu_dereference_protected(vm->regions, lockdep_is_held(&vm->lock));
	slot = hull_slot_find(table, gpa_to_gfn(args->gpa));
	if (!slot || !slot->dirty || gfn_to_gpa(slot->base) != args->gpa ||
	    slot->npages << PAGE_SHIFT != args->size)
		return NULL;
	return slot;
}

int hull_vm_get_dirty(struct hull_vm *vm, const struct hull_dirty *args)
{
	void __user *to = u64_to_user_ptr(args->bitmap);
	const struct hull_memslot *slot;
	int err = 0;

	if (args->flags & ~HULL_DIRTY_CLEAR || args->reserved ||
	    !PAGE_ALIGNED(args->gpa | args->size))
		return -EINVAL;
	mutex_lock(&vm->lock);
	slot = logged_slot(vm, args);
	if (!slot)
		err = -ENOENT;
	else if (args->flags & HULL_DIRTY_CLEAR)
		err = get_and_clear(vm, slot, to);
	else if (copy_to_user(to, slot->dirty->bits, BITS_TO_LONGS(slot->npages) * sizeof(long)))
		err = -EFAULT;
	mutex_unlock(&vm->lock);
	return err;
}
