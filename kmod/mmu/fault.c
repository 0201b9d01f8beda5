// SPDX-License-Identifier: GPL-2.0
/*
 * The guest touched memory that no entry lets it touch: find the page in the creator's address
 * space and map it, or say that the access is not one to memory.
 *
 * In four steps: look up the region; see whether an entry that is there only lacks a permission
 * that it may have; get the page, faulted in before if the process does not map it yet (sleeps, no
 * locks); install it. A page is never pinned: the reference from get_user_pages() is put as soon as
 * the entry is in, and the MMU notifier takes the entry away before the page goes. What may have
 * changed between lookup and installation is checked again under mmu->lock: the notifier's sequence
 * and the generation of the regions. When it has, the guest tries again.
 *
 * Dirty state of the host's page: a page is marked dirty when it is made writable for the guest,
 * for the hardware tells too late (the page may be gone when its entry is). So a read maps the page
 * writable only where the process' own entry is writable and dirty already.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/srcu.h>

#include "../mem/dirty.h"
#include "../mem/region.h"
#include "../vcpu.h"
#include "../vm.h"
#include "hostmap.h"
#include "mmu.h"
#include "shadow.h"
#include "spte.h"
#include "tdp.h"

static unsigned int large_pages = 2;
module_param(large_pages, uint, 0444);
MODULE_PARM_DESC(large_pages, "largest page for guest memory: 0: 4 KiB, 1: 2 MiB, 2: 1 GiB");

/**
 * struct fault - one fault being handled
 * @gfn: frame
 * @write: the access is a write
 * @split: the access needs a page that is not large: see large_lacks in spte.h
 * @generation: of the regions at lookup
 * @slot: copy of the region, less its dirty bitmap
 * @hva: of the frame
 * @sequence: of the notifier, read before the page was got
 * @host: how the process maps the page, as found before it was got
 * @host_known: @host allows the access
 * @page: a reference
 * @level: size to map
 * @host_write: the process may write the page
 * @map_write: the guest may write it now
 */
struct fault {
	gfn_t gfn;
	bool write;
	bool split;
	u64 generation;
	struct hull_memslot slot;
	unsigned long hva;
	unsigned long sequence;
	struct hull_host_map host;
	bool host_known;
	struct page *page;
	int level;
	bool host_write;
	bool map_write;
};

/* False: no memory there, or memory that the guest may not write. */
static bool find_slot(struct hull_vm *vm, struct fault *fault)
{
	const struct hull_region_table *table;
	const struct hull_memslot *slot;
	int index;

	index = srcu_read_lock(&vm->srcu);
	table = srcu_dereference(vm->regions, &vm->srcu);
	slot = hull_slot_find(table, fault->gfn);
	if (slot) {
		fault->generation = table->generation;
		fault->slot = *slot;
		/* Not ours once the read side is left. */
		fault->slot.dirty = NULL;
		fault->hva = hull_slot_hva(slot, fault->gfn);
	}
	srcu_read_unlock(&vm->srcu, index);
	return slot && !(fault->write && (slot->flags & HULL_REGION_READONLY));
}

/*
 * The table that @fault's slot is from, if it is still the one in force, else NULL. Tables are
 * replaced under mmu->lock.
 */
static const struct hull_region_table *same_regions(struct hull_vm *vm, const struct fault *fault)
{
	const struct hull_region_table *table;

	table = rcu_dereference_protected(vm->regions, lockdep_is_held(&vm->mmu.lock));
	return table->generation == fault->generation ? table : NULL;
}

/*
 * The guest is about to write the page: keep the kernel from dropping it as clean. Pages of files
 * need no word from us: where the process may write them, the file system knows.
 */
static void set_host_dirty(u64 pfn)
{
	struct folio *folio = page_folio(pfn_to_page(pfn));

	if (folio_test_anon(folio) || folio_test_swapbacked(folio))
		folio_set_dirty(folio);
}

static void set_log_dirty(const struct hull_region_table *table, const struct fault *fault)
{
	if (fault->slot.flags & HULL_REGION_LOG_DIRTY)
		hull_slot_mark_dirty(hull_slot_find(table, fault->gfn), fault->gfn);
}

/*
 * Is an entry there that allows the access already (another vCPU was faster), or can be made to?
 * While it is there, the process' mapping is as it was. True: enter again.
 */
static bool fix_entry(struct hull_vm *vm, const struct fault *fault)
{
	const struct hull_region_table *table;
	struct hull_mmu *mmu = &vm->mmu;
	bool fixed = false;
	int level;
	u64 *entry;
	u64 spte;

	spin_lock(&mmu->lock);
	table = same_regions(vm, fault);
	entry = table ? hull_tdp_find(mmu, fault->gfn, &level) : NULL;
	if (!entry || (fault->split && level > 1))
		goto out;
	spte = READ_ONCE(*entry);
	fixed = !fault->write || hull_spte_writable(spte);
	if (fixed || !(spte & HULL_SPTE_HOST_WRITE))
		goto out;
	if (level > 1 && (fault->slot.flags & HULL_REGION_LOG_DIRTY))
		goto out;
	set_log_dirty(table, fault);
	set_host_dirty(hull_spte_pfn(spte));
	atomic64_or(hull_nested_format.write, (atomic64_t *)entry);
	fixed = true;
out:
	spin_unlock(&mmu->lock);
	return fixed;
}

static int fill_cache(struct hull_vcpu *vcpu)
{
	struct hull_mmu_vcpu *mmu = &vcpu->mmu;
	int order = hull_is_shadowed(&vcpu->vm->mmu) ? 0 : -1;

	while (mmu->cached < HULL_MMU_CACHE) {
		struct hull_table *table = hull_table_alloc(sizeof(*table), order);

		if (!table)
			return -ENOMEM;
		mmu->cache[mmu->cached++] = table;
	}
	return 0;
}

static int page_errno(long got)
{
	if (fatal_signal_pending(current))
		return -EINTR;
	switch (got) {
	case -ENOMEM:
	case -EHWPOISON:
	case -EINTR:
		return got;
	default:
		return -EFAULT;
	}
}

static bool find_in_host(struct fault *fault)
{
	return hull_host_lookup(fault->hva, &fault->host) && (!fault->write || fault->host.write);
}

/*
 * Does the process map the page? If not, fault it in at once: get_user_pages() would look twice
 * before it does so. Errors are left to that; sleeps.
 */
static void fault_in(struct fault *fault)
{
	struct mm_struct *mm = current->mm;
	bool unlocked = false;

	fault->host_known = find_in_host(fault);
	if (fault->host_known || mmap_read_lock_killable(mm))
		return;
	fixup_user_fault(mm, fault->hva, fault->write ? FAULT_FLAG_WRITE : 0, &unlocked);
	mmap_read_unlock(mm);
	fault->host_known = find_in_host(fault);
}

/* A reference to the page of the process; sleeps. 0, -EFAULT, -EHWPOISON, -ENOMEM, -EINTR. */
static int get_page_at(struct fault *fault)
{
	unsigned int flags = FOLL_HONOR_NUMA_FAULT | (fault->write ? FOLL_WRITE : 0);
	long got;

	got = get_user_pages_fast(fault->hva, 1, flags, &fault->page);
	if (got == 1)
		return 0;
	/* Only the other function tells broken memory from none. */
	got = get_user_pages_unlocked(fault->hva, 1, &fault->page, flags | FOLL_HWPOISON);
	return got == 1 ? 0 : page_errno(got);
}

/* The page may be mapped at @level: region and process agree, and nothing needs smaller ones. */
static bool level_fits(const struct fault *fault, int level)
{
	const struct hull_memslot *slot = &fault->slot;
	const gfn_t pages = HULL_LEVEL_PAGES(level);
	const gfn_t base = fault->gfn & ~(pages - 1);

	if (slot->flags & HULL_REGION_LOG_DIRTY)
		return false;
	if ((fault->gfn ^ (fault->hva >> PAGE_SHIFT)) & (pages - 1))
		return false;
	return base >= slot->base && base + pages <= slot->base + slot->npages;
}

static int largest_level(void)
{
	int level = hull_nested_format.leaf_levels;

	if (!level)
		level = boot_cpu_has(X86_FEATURE_GBPAGES) ? HULL_MAX_LEAF_LEVEL : 2;
	return min_t(int, large_pages + 1, level);
}

/* Choose size and permissions from how the process maps the page. */
static void choose_mapping(struct fault *fault)
{
	const u32 flags = fault->slot.flags;
	const struct hull_host_map *host = &fault->host;
	bool known = fault->host_known && host->pfn == page_to_pfn(fault->page);

	fault->level = known && !fault->split ? min(host->level, largest_level()) : 1;
	while (fault->level > 1 && !level_fits(fault, fault->level))
		fault->level--;

	/* When the process' tables have no answer, a write that got its page has. */
	fault->host_write = fault->write || (known && host->write);
	fault->map_write = fault->write;
	if (!fault->write && known && host->write && host->dirty)
		fault->map_write = !(flags & (HULL_REGION_READONLY | HULL_REGION_LOG_DIRTY));
}

/* Addresses of the process that the mapping covers. */
static unsigned long map_size(const struct fault *fault)
{
	return HULL_LEVEL_PAGES(fault->level) << PAGE_SHIFT;
}

static unsigned long map_start(const struct fault *fault)
{
	return fault->hva & ~(map_size(fault) - 1);
}

/* True: what was found may not hold any more. Under mmu->lock. */
static bool is_stale(struct hull_vm *vm, const struct fault *fault)
{
	unsigned long start = map_start(fault);

	return hull_notifier_retry(vm, fault->sequence, start, start + map_size(fault));
}

/* True: installed. False: something changed meanwhile. */
static bool install(struct hull_vcpu *vcpu, struct fault *fault)
{
	const struct hull_region_table *table;
	struct hull_vm *vm = vcpu->vm;
	struct hull_mmu *mmu = &vm->mmu;
	bool flush;
	u64 pfn, spte;

	spin_lock(&mmu->lock);
	/* Where code has been found, pages stay small: data and code would take turns. */
	if (hull_nested_format.large_lacks)
		fault->level = min(fault->level, hull_tdp_depth(mmu, fault->gfn));
	pfn = page_to_pfn(fault->page) & ~(HULL_LEVEL_PAGES(fault->level) - 1);
	table = same_regions(vm, fault);
	if (!table || is_stale(vm, fault)) {
		spin_unlock(&mmu->lock);
		return false;
	}
	if (fault->write) {
		set_log_dirty(table, fault);
		set_host_dirty(pfn);
	}
	spte = hull_spte_leaf(&hull_nested_format, pfn, fault->level, fault->map_write,
			      fault->host_write);
	flush = hull_tdp_map(vcpu, fault->gfn, fault->level, spte);
	spin_unlock(&mmu->lock);
	if (flush)
		hull_mmu_flush(vm);
	return true;
}

int hull_mmu_fault(struct hull_vcpu *vcpu, gpa_t gpa, u32 access)
{
	struct hull_vm *vm = vcpu->vm;
	struct fault fault = {
		.gfn = gpa_to_gfn(gpa),
		.write = access & HULL_ACCESS_WRITE,
		.split = (access & HULL_ACCESS_FETCH) && hull_nested_format.large_lacks,
	};
	bool installed;
	int err;

	if (WARN_ON_ONCE(current->mm != vm->mm))
		return -EFAULT;
	if (!find_slot(vm, &fault))
		return HULL_FAULT_MMIO;
	if (fix_entry(vm, &fault))
		return HULL_FAULT_MAPPED;
	err = fill_cache(vcpu);
	if (err)
		return err;

	fault.sequence = READ_ONCE(vm->notifier.sequence);
	/* Read before the page is looked up; pairs with the end of an invalidation. */
	smp_rmb();
	fault_in(&fault);
	err = get_page_at(&fault);
	if (err)
		return err;
	choose_mapping(&fault);
	installed = install(vcpu, &fault);
	put_page(fault.page);
	/* Faulting again and again would only keep the CPU from who invalidates. */
	if (!installed)
		hull_notifier_wait(vm, map_start(&fault), map_start(&fault) + map_size(&fault));
	return HULL_FAULT_MAPPED;
}
