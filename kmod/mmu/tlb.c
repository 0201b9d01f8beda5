// SPDX-License-Identifier: GPL-2.0
/*
 * Makes all vCPUs forget what the tables no longer say.
 *
 * The order, and what the other side does (the backend, before each entry):
 *
 *	hull_mmu_flush()                     vCPU thread, interrupts off
 *	  (entries changed, under the lock)    mode = IN_GUEST; full barrier
 *	  generation + 1                       due -> wanted
 *	  set HULL_REQ_FLUSH on all            take HULL_REQ_FLUSH? generation -> seen; flush;
 *	  kick those in the guest, wait                hull_mmu_flushed(seen)
 *	  due = generation                     check mode: flushed >= wanted
 *	  free unlinked tables                 enter
 *
 * A vCPU that enters without the request is seen in the guest and kicked: its next turn finds the
 * request. The wait ends when no vCPU is in the guest that has not taken the request. One that
 * reads the new due either finds the request or has taken it since, and then has seen the new
 * generation: the check accuses no one who followed the order, with any number of flushes at a
 * time.
 */
#include "../mutate.h"
#include "../vcpu.h"
#include "../vm.h"
#include "mmu.h"
#include "tdp.h"

void hull_mmu_flush(struct hull_vm *vm)
{
	struct hull_mmu *mmu = &vm->mmu;
	struct hull_table *table, *next;
	LIST_HEAD(freed);
	u64 covered, generation;

	/* Only what happened before this point is covered: later changes are flushed by others. */
	spin_lock(&mmu->lock);
	covered = mmu->changes;
	list_splice_init(&mmu->freed, &freed);
	spin_unlock(&mmu->lock);

	/* Fully ordered: who sees a request that is set from here on sees the new generation. */
	generation = atomic64_inc_return(&mmu->generation);
	if (!hull_mutate_no_flush)
		hull_vm_request(vm, HULL_REQ_FLUSH);

	spin_lock(&mmu->lock);
	mmu->completed = max(mmu->completed, covered);
	WRITE_ONCE(mmu->due, max(mmu->due, generation));
	spin_unlock(&mmu->lock);

	list_for_each_entry_safe(table, next, &freed, link)
		hull_table_free(vm, table);
}

void hull_mmu_flush_pending(struct hull_vm *vm)
{
	bool needed;

	spin_lock(&vm->mmu.lock);
	needed = hull_mmu_flush_needed(&vm->mmu);
	spin_unlock(&vm->mmu.lock);
	if (needed)
		hull_mmu_flush(vm);
}
