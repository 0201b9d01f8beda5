// SPDX-License-Identifier: GPL-2.0
/*
 * Follows the creator's address space, so that guest memory is ordinary memory: it is swapped,
 * merged, moved and compacted like any other.
 *
 * An invalidation is a bracket: from its begin to its end nothing in its range is mapped (a fault
 * sees it under way and tries again), and at its begin all that was mapped there is unmapped and
 * flushed. A fault that got its page before the bracket and installs it after sees that the
 * sequence has grown.
 *
 * Locks: mmu->lock. Called with whatever the kernel's memory management holds (mmap_lock, rmap
 * locks, page locks), from reclaim too: nothing here allocates, and nothing sleeps when the range
 * is not blockable. vm->srcu keeps the tables while mmu->lock is dropped on the way.
 */
#include <linux/mmu_notifier.h>
#include <linux/sched.h>
#include <linux/srcu.h>
#include <linux/wait.h>

#include "../mmu/mmu.h"
#include "../vm.h"
#include "notifier.h"
#include "region.h"

static struct hull_vm *vm_of(struct mmu_notifier *mn)
{
	return container_of(mn, struct hull_vm, notifier.mn);
}

bool hull_notifier_busy(const struct hull_vm *vm, unsigned long start, unsigned long end)
{
	const struct hull_notifier *notifier = &vm->notifier;

	lockdep_assert_held(&vm->mmu.lock);
	return notifier->in_progress && start < notifier->end && end > notifier->start;
}

bool hull_notifier_retry(const struct hull_vm *vm, unsigned long sequence, unsigned long start,
			 unsigned long end)
{
	return hull_notifier_busy(vm, start, end) || vm->notifier.sequence != sequence;
}

static bool is_quiet(struct hull_vm *vm, unsigned long start, unsigned long end)
{
	bool quiet;

	spin_lock(&vm->mmu.lock);
	quiet = !hull_notifier_busy(vm, start, end);
	spin_unlock(&vm->mmu.lock);
	return quiet;
}

void hull_notifier_wait(struct hull_vm *vm, unsigned long start, unsigned long end)
{
	wait_event_interruptible(vm->notifier.wait, is_quiet(vm, start, end));
}

/* Frames of @slot that [@start, @end) (hva) backs. False: none. */
static bool slot_frames(const struct hull_memslot *slot, unsigned long start, unsigned long end,
			gfn_t *first, gfn_t *last)
{
	unsigned long slot_end = slot->hva + (slot->npages << PAGE_SHIFT);
	unsigned long low = max(start, slot->hva);
	unsigned long high = min(end, slot_end);

	if (low >= high)
		return false;
	*first = slot->base + ((low - slot->hva) >> PAGE_SHIFT);
	*last = slot->base + ((high - slot->hva + PAGE_SIZE - 1) >> PAGE_SHIFT);
	return true;
}

static void begin(struct hull_notifier *notifier, unsigned long start, unsigned long end)
{
	if (notifier->in_progress++ == 0) {
		notifier->start = start;
		notifier->end = end;
	} else {
		notifier->start = min(notifier->start, start);
		notifier->end = max(notifier->end, end);
	}
}

/* Unmap what [@start, @end) backs by @table. True: it backs something. Drops and takes the lock. */
static bool unmap_by_table(struct hull_vm *vm, const struct hull_region_table *table,
			   unsigned long start, unsigned long end, bool may_sleep)
{
	bool any = false;
	unsigned int i;

	if (!table)
		return false;
	for (i = 0; i < table->count; i++) {
		gfn_t first, last;

		if (!slot_frames(&table->slots[i], start, end, &first, &last))
			continue;
		any = true;
		for (;;) {
			first = hull_mmu_unmap(vm, first, last, may_sleep);
			if (first >= last)
				break;
			/* What is unmapped stays so: the range is in progress. */
			cond_resched_lock(&vm->mmu.lock);
		}
	}
	return any;
}

static int invalidate_range_start(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	bool may_sleep = mmu_notifier_range_blockable(range);
	const struct hull_region_table *table, *leaving;
	struct hull_vm *vm = vm_of(mn);
	bool any;
	int index;

	index = srcu_read_lock(&vm->srcu);
	spin_lock(&vm->mmu.lock);
	begin(&vm->notifier, range->start, range->end);
	/*
	 * Read after the range is in progress and under the lock: what was mapped by a table
	 * before is mapped by one of these, and later tables map nothing in the range.
	 */
	table = srcu_dereference(vm->regions, &vm->srcu);
	leaving = vm->mmu.leaving;
	any = unmap_by_table(vm, table, range->start, range->end, may_sleep);
	any |= unmap_by_table(vm, leaving, range->start, range->end, may_sleep);
	/* Others may have unmapped these pages just now and not flushed yet. */
	any = any && hull_mmu_flush_needed(&vm->mmu);
	spin_unlock(&vm->mmu.lock);
	if (any)
		hull_mmu_flush(vm);
	srcu_read_unlock(&vm->srcu, index);
	return 0;
}

static void invalidate_range_end(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	struct hull_vm *vm = vm_of(mn);
	struct hull_notifier *notifier = &vm->notifier;

	spin_lock(&vm->mmu.lock);
	/*
	 * Who reads the new sequence sees the process' tables as they are now: pairs with the
	 * smp_rmb() of the fault.
	 */
	smp_wmb();
	WRITE_ONCE(notifier->sequence, notifier->sequence + 1);
	WARN_ON_ONCE(--notifier->in_progress < 0);
	spin_unlock(&vm->mmu.lock);
	/* The range does not shrink while others are in progress: they need not look before. */
	if (!READ_ONCE(notifier->in_progress) && wq_has_sleeper(&notifier->wait))
		wake_up_all(&notifier->wait);
}

static bool age_range(struct mmu_notifier *mn, unsigned long start, unsigned long end, bool clear)
{
	const struct hull_region_table *table;
	struct hull_vm *vm = vm_of(mn);
	bool young = false;
	unsigned int i;

	spin_lock(&vm->mmu.lock);
	table = rcu_dereference_protected(vm->regions, lockdep_is_held(&vm->mmu.lock));
	for (i = 0; i < table->count; i++) {
		gfn_t first, last;

		if (slot_frames(&table->slots[i], start, end, &first, &last))
			young |= hull_mmu_age(vm, first, last, clear);
	}
	spin_unlock(&vm->mmu.lock);
	return young;
}

/* As on the CPU itself, a TLB that keeps an accessed page a little longer does no harm. */
static hull_young_t clear_flush_young(struct mmu_notifier *mn, struct mm_struct *mm,
				      unsigned long start, unsigned long end)
{
	return age_range(mn, start, end, true);
}

static hull_young_t clear_young(struct mmu_notifier *mn, struct mm_struct *mm,
				unsigned long start, unsigned long end)
{
	return age_range(mn, start, end, true);
}

static hull_young_t test_young(struct mmu_notifier *mn, struct mm_struct *mm, unsigned long address)
{
	return age_range(mn, address, address + PAGE_SIZE, false);
}

/* The address space dies, and with it the VM: nobody can enter the guest any more. */
static void release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct hull_vm *vm = vm_of(mn);

	if (hull_check)
		hull_check_tables(vm);
	hull_mmu_unmap_range(vm, 0, hull_mmu_gfn_end(), true);
	hull_mmu_flush(vm);
}

static const struct mmu_notifier_ops notifier_ops = {
	.release = release,
	.clear_flush_young = clear_flush_young,
	.clear_young = clear_young,
	.test_young = test_young,
	.invalidate_range_start = invalidate_range_start,
	.invalidate_range_end = invalidate_range_end,
};

int hull_notifier_register(struct hull_vm *vm)
{
	init_waitqueue_head(&vm->notifier.wait);
	vm->notifier.mn.ops = &notifier_ops;
	return mmu_notifier_register(&vm->notifier.mn, vm->mm);
}

void hull_notifier_unregister(struct hull_vm *vm)
{
	mmu_notifier_unregister(&vm->notifier.mn, vm->mm);
}
