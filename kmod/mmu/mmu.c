// SPDX-License-Identifier: GPL-2.0
/*
 * The MMU's front: life of a VM's tables, and ranges for callers that do not know of tables.
 *
 * Locks: mmu->lock, see mmu.h.
 */
#include <linux/mm.h>
#include <linux/sched.h>

#include "../vcpu.h"
#include "../vm.h"
#include "mmu.h"
#include "shadow.h"
#include "spte.h"
#include "tdp.h"

static int table_levels(void)
{
	return hull_nested_format.levels ?: pgtable_l5_enabled() ? 5 : 4;
}

gfn_t hull_mmu_gfn_end(void)
{
	unsigned int bits = min(hull_gpa_bits, 52u);

	bits = min_t(unsigned int, bits, PAGE_SHIFT + HULL_LEVEL_BITS * table_levels());
	return 1ULL << (bits - PAGE_SHIFT);
}

int hull_mmu_init(struct hull_vm *vm)
{
	struct hull_mmu *mmu = &vm->mmu;

	spin_lock_init(&mmu->lock);
	INIT_LIST_HEAD(&mmu->freed);
	/* From 1, for a vCPU that has never flushed says 0. */
	atomic64_set(&mmu->generation, 1);
	mmu->due = 1;
	mmu->levels = table_levels();
	if (vm->paging == HULL_PAGING_SHADOW && hull_shadow_pool_init(vm))
		return -ENOMEM;
	mmu->table = hull_table_alloc(sizeof(struct hull_table), hull_is_shadowed(mmu) ? 0 : -1);
	if (!mmu->table)
		goto err_pool;
	mmu->pages = 1;
	mmu->root = __sme_set(__pa(mmu->table->entries));
	return 0;

err_pool:
	hull_shadow_pool_destroy(vm);
	return -ENOMEM;
}

void hull_mmu_destroy(struct hull_vm *vm)
{
	struct hull_mmu *mmu = &vm->mmu;

	hull_shadow_pool_destroy(vm);
	hull_tdp_destroy(vm);
	if (hull_check && (mmu->mapped || mmu->pages != 1))
		hull_check_failed(vm, "mappings are left in a VM without regions", mmu->mapped,
				  mmu->pages);
	hull_table_free(vm, mmu->table);
	mmu->table = NULL;
}

void hull_mmu_vcpu_destroy(struct hull_vcpu *vcpu)
{
	struct hull_mmu_vcpu *mmu = &vcpu->mmu;

	hull_shadow_vcpu_destroy(vcpu);
	while (mmu->cached)
		hull_table_free(vcpu->vm, mmu->cache[--mmu->cached]);
}

gfn_t hull_mmu_unmap(struct hull_vm *vm, gfn_t start, gfn_t end, bool may_break)
{
	/* Who unmaps may put something else there. */
	if (hull_is_shadowed(&vm->mmu))
		hull_shadow_writing(vm, start, end);
	return hull_tdp_zap(vm, start, end, may_break);
}

gfn_t hull_mmu_write_protect(struct hull_vm *vm, gfn_t start, gfn_t end, bool may_break)
{
	return hull_tdp_protect(vm, start, end, may_break);
}

bool hull_mmu_age(struct hull_vm *vm, gfn_t start, gfn_t end, bool clear)
{
	return hull_tdp_age(vm, start, end, clear);
}

/* Apply @step to all of a range, giving way to others in between. */
static void whole_range(struct hull_vm *vm, gfn_t start, gfn_t end, bool may_sleep,
			gfn_t (*step)(struct hull_vm *, gfn_t, gfn_t, bool))
{
	struct hull_mmu *mmu = &vm->mmu;

	spin_lock(&mmu->lock);
	for (;;) {
		start = step(vm, start, end, may_sleep);
		if (start >= end)
			break;
		/* Who comes in now sees that a flush is needed, and flushes itself. */
		cond_resched_lock(&mmu->lock);
	}
	spin_unlock(&mmu->lock);
}

void hull_mmu_unmap_range(struct hull_vm *vm, gfn_t start, gfn_t end, bool may_sleep)
{
	whole_range(vm, start, end, may_sleep, hull_mmu_unmap);
}

void hull_mmu_write_protect_range(struct hull_vm *vm, gfn_t start, gfn_t end, bool may_sleep)
{
	whole_range(vm, start, end, may_sleep, hull_mmu_write_protect);
}
