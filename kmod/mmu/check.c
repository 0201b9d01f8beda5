// SPDX-License-Identifier: GPL-2.0
/*
 * The oracle: proves in software what emulated CPUs do not show. They flush their TLB at each entry
 * and exit, so a forgotten flush passes every test there and corrupts memory on real ones.
 *
 * (a) hull_check_entry(): before entry, the vCPU's TLB tag was flushed at or after the last change.
 * (b) hull_check_table_freed(): a table is freed after a flush that covers its unlinking, and no
 *     one wrote to it in between.
 * (d) hull_check_tables(): all tables agree with the regions, the dirty log, the process' own page
 *     tables and the counts.
 * (c) and (e), which look at the vendor's structures, are in the vendor's directory.
 *
 * Locks: mmu->lock.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>

#include "../mem/dirty.h"
#include "../mem/region.h"
#include "../vcpu.h"
#include "../vm.h"
#include "hostmap.h"
#include "mmu.h"
#include "shadow.h"
#include "spte.h"
#include "tdp.h"

bool hull_check __read_mostly;
module_param_named(check, hull_check, bool, 0444);
MODULE_PARM_DESC(check, "prove at run time that flushes, tables and state are right (slow)");

void hull_check_failed(struct hull_vm *vm, const char *what, u64 a, u64 b)
{
	atomic_inc(&vm->mmu.violations);
	pr_err_ratelimited("check: %s (%#llx, %#llx)\n", what, a, b);
	WARN_ON_ONCE(1);
}

bool hull_check_entry(struct hull_vcpu *vcpu, int cpu, u32 tag)
{
	const struct hull_mmu_vcpu *mmu = &vcpu->mmu;

	if (mmu->flushed < mmu->due)
		hull_check_failed(vcpu->vm, "entry without the flush that was due (flushed, due)",
				  mmu->flushed, mmu->due);
	else if (mmu->flushed_cpu != cpu || mmu->flushed_tag != tag)
		hull_check_failed(vcpu->vm, "entry with a TLB tag never flushed here (CPU, tag)",
				  cpu, tag);
	else if (hull_is_shadow(vcpu) && !hull_check_root(vcpu))
		hull_check_failed(vcpu->vm, "entry with a root of another mode (CR3, CR4)",
				  vcpu->control.cr3, vcpu->control.cr4);
	else
		return true;
	return false;
}

void hull_check_table_freed(struct hull_vm *vm, const struct hull_table *table)
{
	int i;

	/* The root, and tables never used. */
	if (!table->unlinked)
		return;
	/* Only grows: an old value read here can only accuse who did not wait for the flush. */
	if (READ_ONCE(vm->mmu.completed) < table->unlinked)
		hull_check_failed(vm, "table freed before the flush (completed, unlinked)",
				  READ_ONCE(vm->mmu.completed), table->unlinked);
	for (i = 0; i < HULL_TABLE_ENTRIES; i++) {
		if (table->entries[i] == HULL_SPTE_POISON)
			continue;
		hull_check_failed(vm, "unlinked table was written to (entry, value)", i,
				  table->entries[i]);
		return;
	}
}

/* ---- (d) ------------------------------------------------------------------------------------ */

/**
 * struct check - one hull_check_tables()
 * @regions: table in force, while the lock is held
 * @host: the process' page tables can be read
 * @failed: violations
 */
struct check {
	const struct hull_region_table *regions;
	bool host;
	int failed;
};

static void leaf_failed(struct hull_vm *vm, struct check *check, const char *what, gfn_t base,
			u64 spte)
{
	check->failed++;
	hull_check_failed(vm, what, gfn_to_gpa(base), spte);
}

/* A leaf that the guest may write: all its pages are logged as dirty. */
static bool logged(const struct hull_memslot *slot, gfn_t base, gfn_t pages)
{
	gfn_t gfn;

	if (!slot->dirty)
		return true;
	for (gfn = base; gfn < base + pages; gfn++) {
		if (!hull_slot_is_dirty(slot, gfn))
			return false;
	}
	return true;
}

static void check_host(struct hull_vm *vm, struct check *check, const struct hull_memslot *slot,
		       gfn_t base, int level, u64 spte)
{
	unsigned long hva = hull_slot_hva(slot, base);
	unsigned long size = HULL_LEVEL_PAGES(level) << PAGE_SHIFT;
	struct hull_host_map host;

	if (hull_notifier_busy(vm, hva, hva + size))
		return;
	if (!hull_host_lookup(hva, &host))
		leaf_failed(vm, check, "mapped page is not the process' (gpa, entry)", base, spte);
	else if (host.pfn != hull_spte_pfn(spte))
		leaf_failed(vm, check, "mapped page is another one (gpa, entry)", base, spte);
	else if (host.level < level)
		leaf_failed(vm, check, "page is larger than the process' (gpa, entry)", base, spte);
	else if ((spte & (_PAGE_RW | HULL_SPTE_HOST_WRITE)) && !host.write)
		leaf_failed(vm, check, "page is read-only for the process (gpa, entry)", base,
			    spte);
}

static void check_leaf(struct hull_vm *vm, u64 *entry, gfn_t base, int level, void *context)
{
	struct check *check = context;
	const gfn_t pages = HULL_LEVEL_PAGES(level);
	const struct hull_memslot *slot = hull_slot_find(check->regions, base);
	u64 spte = READ_ONCE(*entry);

	/* While regions are being replaced, entries of the old ones are on their way out. */
	if (vm->mmu.leaving)
		return;
	if (!slot || base + pages > slot->base + slot->npages) {
		leaf_failed(vm, check, "mapped page is in no region (gpa, entry)", base, spte);
		return;
	}
	if (hull_spte_pfn(spte) & (pages - 1))
		leaf_failed(vm, check, "large page is not aligned (gpa, entry)", base, spte);
	if (level > 1 && (spte & hull_nested_format.large_lacks))
		leaf_failed(vm, check, "code may run in a large page (gpa, entry)", base, spte);
	if (hull_spte_writable(spte)) {
		if (slot->flags & HULL_REGION_READONLY)
			leaf_failed(vm, check, "writable page in a read-only region (gpa, entry)",
				    base, spte);
		if (!logged(slot, base, pages))
			leaf_failed(vm, check, "writable page is not logged dirty (gpa, entry)",
				    base, spte);
	}
	if (check->host)
		check_host(vm, check, slot, base, level, spte);
	if (hull_is_shadowed(&vm->mmu))
		check->failed += hull_check_chain(vm, entry, base, level);
}

static void check_counts(struct hull_vm *vm, struct check *check)
{
	struct hull_mmu *mmu = &vm->mmu;
	unsigned long pages, mapped;

	hull_tdp_count(mmu, &pages, &mapped);
	if (pages != mmu->pages) {
		check->failed++;
		hull_check_failed(vm, "number of tables (counted, kept)", pages, mmu->pages);
	}
	if (mapped != mmu->mapped) {
		check->failed++;
		hull_check_failed(vm, "number of mappings (counted, kept)", mapped, mmu->mapped);
	}
}

int hull_check_tables(struct hull_vm *vm)
{
	/* Another process' tables cannot be read without its help. */
	struct check check = { .host = current->mm && current->mm == vm->mm };
	struct hull_mmu *mmu = &vm->mmu;
	const gfn_t end = hull_mmu_gfn_end();
	gfn_t next = 0;

	spin_lock(&mmu->lock);
	check_counts(vm, &check);
	while (next < end) {
		check.regions = rcu_dereference_protected(vm->regions,
							  lockdep_is_held(&mmu->lock));
		next = hull_tdp_visit(vm, next, end, true, false, check_leaf, &check);
		cond_resched_lock(&mmu->lock);
	}
	if (hull_is_shadowed(mmu))
		check.failed += hull_check_shadow(vm, check.host);
	spin_unlock(&mmu->lock);
	return check.failed;
}
