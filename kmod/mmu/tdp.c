// SPDX-License-Identifier: GPL-2.0
/*
 * Two-dimensional paging: one set of tables a VM that maps guest frames to host pages. Knows the
 * tables, not why something is mapped: that is fault.c.
 *
 * All under mmu->lock. The hardware walks the tables meanwhile and sets accessed and dirty bits in
 * present entries: they are taken away by xchg and changed by bit operations, and an entry that is
 * not present may be written plainly. A table is unlinked only when all its entries are gone, and
 * freed by hull_mmu_flush() (tlb.c).
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "../mutate.h"
#include "../vcpu.h"
#include "../vm.h"
#include "mmu.h"
#include "shadow.h"
#include "spte.h"
#include "tdp.h"

/* ---- tables --------------------------------------------------------------------------------- */

void *hull_table_alloc(size_t size, int side_order)
{
	struct hull_table *table = kzalloc(size, GFP_KERNEL_ACCOUNT);

	if (!table)
		return NULL;
	table->entries = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!table->entries)
		goto err_table;
	set_page_private(virt_to_page(table->entries), (unsigned long)table);
	if (side_order < 0)
		return table;
	table->side_order = side_order;
	table->side = (void *)__get_free_pages(GFP_KERNEL_ACCOUNT | __GFP_ZERO, side_order);
	if (!table->side)
		goto err_entries;
	set_page_private(virt_to_page(table->side), (unsigned long)table);
	return table;

err_entries:
	set_page_private(virt_to_page(table->entries), 0);
	free_page((unsigned long)table->entries);
err_table:
	kfree(table);
	return NULL;
}

void hull_table_free(struct hull_vm *vm, struct hull_table *table)
{
	if (hull_check)
		hull_check_table_freed(vm, table);
	if (table->side) {
		set_page_private(virt_to_page(table->side), 0);
		free_pages((unsigned long)table->side, table->side_order);
	}
	free_page((unsigned long)table->copy);
	set_page_private(virt_to_page(table->entries), 0);
	free_page((unsigned long)table->entries);
	kfree(table);
}

struct hlist_head *hull_tdp_chain(u64 *entry)
{
	struct hlist_head *chains = hull_table_of(entry)->side;

	return &chains[offset_in_page(entry) / sizeof(*entry)];
}

static unsigned int index_of(gfn_t gfn, int level)
{
	return (gfn >> HULL_LEVEL_SHIFT(level)) & (HULL_TABLE_ENTRIES - 1);
}

void hull_table_retire(struct hull_vm *vm, struct hull_table *table)
{
	struct hull_mmu *mmu = &vm->mmu;

	mmu->changes++;
	table->unlinked = mmu->changes;
	/* A stale walk finds nothing present here either way; poison shows who writes to it. */
	if (hull_check)
		memset64(table->entries, HULL_SPTE_POISON, HULL_TABLE_ENTRIES);
	if (hull_mutate_early_free)
		hull_table_free(vm, table);
	else
		list_add_tail(&table->link, &mmu->freed);
}

/* The entry's table is empty: take it out. */
static void unlink_table(struct hull_vm *vm, u64 *entry)
{
	struct hull_table *table = hull_table_of(hull_spte_child(READ_ONCE(*entry)));

	xchg(entry, 0);
	vm->mmu.pages--;
	hull_table_retire(vm, table);
}

static u64 link_table(struct hull_vcpu *vcpu, u64 *entry)
{
	struct hull_table *table = vcpu->mmu.cache[--vcpu->mmu.cached];
	u64 spte = hull_spte_table(&hull_nested_format, table->entries);

	/* The page was zeroed before the hardware can find it. */
	smp_wmb();
	WRITE_ONCE(*entry, spte);
	vcpu->vm->mmu.pages++;
	return spte;
}

static void drop_leaf(struct hull_mmu *mmu, u64 *entry)
{
	xchg(entry, 0);
	if (hull_is_shadowed(mmu))
		hull_shadow_drop_chain(hull_tdp_chain(entry));
	mmu->mapped--;
	mmu->changes++;
}

/* ---- visiting ranges ------------------------------------------------------------------------ */

/* A visit under way: the arguments of hull_tdp_visit(), and where to go on after a break. */
struct tdp_walk {
	struct hull_vm *vm;
	gfn_t start;
	gfn_t end;
	gfn_t next;
	bool may_break;
	bool unlink;
	hull_leaf_fn leaf;
	void *context;
};

static bool wanted_elsewhere(struct hull_mmu *mmu)
{
	return need_resched() || spin_needbreak(&mmu->lock);
}

/*
 * Visit the part of the range that @table, whose first frame is @base, covers. False: broken off.
 * Recursion is at most as deep as the tables.
 */
static bool visit_table(struct tdp_walk *walk, u64 *table, int level, gfn_t base)
{
	const gfn_t step = HULL_LEVEL_PAGES(level);
	const gfn_t stop = min(walk->end, base + step * HULL_TABLE_ENTRIES);
	gfn_t gfn = max(walk->start, base) & ~(step - 1);

	for (; gfn < stop; gfn += step) {
		u64 *entry = &table[index_of(gfn, level)];
		u64 spte = READ_ONCE(*entry);

		if (!hull_spte_present(spte))
			continue;
		if (hull_spte_is_leaf(spte, level)) {
			walk->leaf(walk->vm, entry, gfn, level, walk->context);
			continue;
		}
		if (!visit_table(walk, hull_spte_child(spte), level - 1, gfn))
			return false;
		if (walk->unlink && gfn >= walk->start && gfn + step <= walk->end)
			unlink_table(walk->vm, entry);
		if (walk->may_break && wanted_elsewhere(&walk->vm->mmu)) {
			walk->next = min(gfn + step, walk->end);
			return false;
		}
	}
	return true;
}

gfn_t hull_tdp_visit(struct hull_vm *vm, gfn_t start, gfn_t end, bool may_break, bool unlink,
		     hull_leaf_fn leaf, void *context)
{
	struct hull_mmu *mmu = &vm->mmu;
	struct tdp_walk walk = {
		.vm = vm, .start = start, .end = end, .next = end, .may_break = may_break,
		.unlink = unlink, .leaf = leaf, .context = context,
	};

	lockdep_assert_held(&mmu->lock);
	visit_table(&walk, mmu->table->entries, mmu->levels, 0);
	return walk.next;
}

static void zap_leaf(struct hull_vm *vm, u64 *entry, gfn_t base, int level, void *context)
{
	drop_leaf(&vm->mmu, entry);
}

gfn_t hull_tdp_zap(struct hull_vm *vm, gfn_t start, gfn_t end, bool may_break)
{
	return hull_tdp_visit(vm, start, end, may_break, true, zap_leaf, NULL);
}

static void protect_leaf(struct hull_vm *vm, u64 *entry, gfn_t base, int level, void *context)
{
	if (!hull_spte_writable(READ_ONCE(*entry)))
		return;
	clear_bit(_PAGE_BIT_RW, (unsigned long *)entry);
	if (hull_is_shadowed(&vm->mmu))
		hull_shadow_protect_chain(hull_tdp_chain(entry), 0, ~0ULL);
	vm->mmu.changes++;
}

gfn_t hull_tdp_protect(struct hull_vm *vm, gfn_t start, gfn_t end, bool may_break)
{
	return hull_tdp_visit(vm, start, end, may_break, false, protect_leaf, NULL);
}

struct tdp_age {
	bool clear;
	bool young;
};

static void age_leaf(struct hull_vm *vm, u64 *entry, gfn_t base, int level, void *context)
{
	struct tdp_age *age = context;

	if (hull_is_shadowed(&vm->mmu))
		age->young |= hull_shadow_age_chain(hull_tdp_chain(entry), age->clear);
	/* Where the hardware does not tell, all are old: unmapped wrongly, it faults back in. */
	if (!(READ_ONCE(*entry) & hull_nested_format.accessed))
		return;
	age->young = true;
	if (age->clear)
		atomic64_andnot(hull_nested_format.accessed, (atomic64_t *)entry);
}

bool hull_tdp_age(struct hull_vm *vm, gfn_t start, gfn_t end, bool clear)
{
	struct tdp_age age = { .clear = clear };

	hull_tdp_visit(vm, start, end, false, false, age_leaf, &age);
	return age.young;
}

/* ---- finding and mapping -------------------------------------------------------------------- */

u64 *hull_tdp_find(struct hull_mmu *mmu, gfn_t gfn, int *level)
{
	u64 *table = mmu->table->entries;
	int at;

	lockdep_assert_held(&mmu->lock);
	for (at = mmu->levels; at > 0; at--) {
		u64 *entry = &table[index_of(gfn, at)];
		u64 spte = READ_ONCE(*entry);

		if (!hull_spte_present(spte))
			return NULL;
		if (hull_spte_is_leaf(spte, at)) {
			*level = at;
			return entry;
		}
		table = hull_spte_child(spte);
	}
	return NULL;
}

int hull_tdp_depth(struct hull_mmu *mmu, gfn_t gfn)
{
	u64 *table = mmu->table->entries;
	int at;

	lockdep_assert_held(&mmu->lock);
	for (at = mmu->levels; at > 1; at--) {
		u64 spte = READ_ONCE(table[index_of(gfn, at)]);

		if (!hull_spte_present(spte) || hull_spte_is_leaf(spte, at))
			break;
		table = hull_spte_child(spte);
	}
	return at;
}

/* Make room for a leaf in @entry; returns the permissions of an entry for the same page. */
static u64 clear_for_leaf(struct hull_vm *vm, u64 *entry, gfn_t base, int level, u64 spte)
{
	u64 old = READ_ONCE(*entry);

	if (!hull_spte_present(old))
		return 0;
	if (!hull_spte_is_leaf(old, level)) {
		hull_tdp_visit(vm, base, base + HULL_LEVEL_PAGES(level), false, true, zap_leaf,
			       NULL);
		return 0;
	}
	if (hull_spte_pfn(old) != hull_spte_pfn(spte)) {
		drop_leaf(&vm->mmu, entry);
		return 0;
	}
	/* Two vCPUs faulted at once: what the other has installed must not be taken away. */
	vm->mmu.mapped--;
	return old & (hull_nested_format.write | HULL_SPTE_HOST_WRITE);
}

bool hull_tdp_map(struct hull_vcpu *vcpu, gfn_t gfn, int level, u64 spte)
{
	struct hull_vm *vm = vcpu->vm;
	struct hull_mmu *mmu = &vm->mmu;
	u64 before = mmu->changes;
	u64 *table = mmu->table->entries;
	u64 *entry;
	int at;

	lockdep_assert_held(&mmu->lock);
	for (at = mmu->levels; at > level; at--) {
		u64 next;

		entry = &table[index_of(gfn, at)];
		next = READ_ONCE(*entry);
		if (hull_spte_present(next) && hull_spte_is_leaf(next, at)) {
			/* Smaller pages are wanted: the others of the large one fault back in. */
			drop_leaf(mmu, entry);
			next = 0;
		}
		if (!hull_spte_present(next))
			next = link_table(vcpu, entry);
		table = hull_spte_child(next);
	}
	entry = &table[index_of(gfn, level)];
	spte |= clear_for_leaf(vm, entry, gfn & ~(HULL_LEVEL_PAGES(level) - 1), level, spte);
	WRITE_ONCE(*entry, spte);
	mmu->mapped++;
	return mmu->changes != before;
}

/* ---- counting and destruction --------------------------------------------------------------- */

static void count_table(const u64 *table, int level, unsigned long *pages, unsigned long *mapped)
{
	int i;

	++*pages;
	for (i = 0; i < HULL_TABLE_ENTRIES; i++) {
		u64 spte = READ_ONCE(table[i]);

		if (!hull_spte_present(spte))
			continue;
		if (hull_spte_is_leaf(spte, level))
			++*mapped;
		else
			count_table(hull_spte_child(spte), level - 1, pages, mapped);
	}
}

void hull_tdp_count(struct hull_mmu *mmu, unsigned long *pages, unsigned long *mapped)
{
	lockdep_assert_held(&mmu->lock);
	*pages = 0;
	*mapped = 0;
	count_table(mmu->table->entries, mmu->levels, pages, mapped);
}

void hull_tdp_destroy(struct hull_vm *vm)
{
	struct hull_mmu *mmu = &vm->mmu;
	struct hull_table *table, *next;

	spin_lock(&mmu->lock);
	/* All that tables can map: one above more than the CPU's addresses would stay. */
	hull_tdp_zap(vm, 0, HULL_LEVEL_PAGES(mmu->levels + 1), false);
	/* With the last vCPU went the last TLB entry. */
	mmu->completed = mmu->changes;
	spin_unlock(&mmu->lock);
	list_for_each_entry_safe(table, next, &mmu->freed, link)
		hull_table_free(vm, table);
}
