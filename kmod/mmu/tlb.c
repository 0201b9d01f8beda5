// SPDX-License-Identifier: GPL-2.0
/*
 * Makes all vCPUs forget what the tables no longer say.
 *
 * The order, and what the other side does (the backend's run loop):
 *
 *	hull_mmu_flush()                     vCPU thread, interrupts off
 *	  (entries changed, under the lock)    mode = IN_GUEST; full barrier
 *	  set HULL_REQ_FLUSH on all            generation -> wanted
 *	  bump the generation                  take HULL_REQ_FLUSH? generation -> seen; flush;
 *	  kick those in the guest, wait                hull_mmu_flushed(seen)
 *	  free unlinked tables                 check mode: flushed >= wanted
 *	                                       enter
 *
 * A vCPU that reads the new generation as wanted was given the request before, so it sees it. One
 * that reads the old generation and enters without the request is seen in the guest and kicked:
 * its next turn finds the request. The wait ends when no vCPU is in the guest that has not taken
 * the request.
 */
#include "../mutate.h"
#include "../vcpu.h"
#include "../vm.h"
#include "mmu.h"
#include "tdp.h"

static void request_all(struct hull_vm *vm)
{
	struct hull_vcpu *vcpu;
	unsigned int id;

	hull_for_each_vcpu(id, vcpu, vm)
		hull_vcpu_set_request(vcpu, HULL_REQ_FLUSH);
}

void hull_mmu_flush(struct hull_vm *vm)
{
	struct hull_mmu *mmu = &vm->mmu;
	struct hull_table *table, *next;
	LIST_HEAD(freed);
	u64 covered;

	/* Only what happened before this point is covered: later changes are flushed by others. */
	spin_lock(&mmu->lock);
	covered = mmu->changes;
	list_splice_init(&mmu->freed, &freed);
	spin_unlock(&mmu->lock);

	if (!hull_mutate_no_flush)
		request_all(vm);
	/* Fully ordered: whoever reads the new generation sees the requests. */
	atomic64_inc_return(&mmu->generation);
	if (!hull_mutate_no_flush)
		hull_vm_request(vm, HULL_REQ_FLUSH);

	spin_lock(&mmu->lock);
	mmu->completed = max(mmu->completed, covered);
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
