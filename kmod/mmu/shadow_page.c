// SPDX-License-Identifier: GPL-2.0
/*
 * Shadow pages: found by (gfn, role), linked into trees by nodes that tell each page who points to
 * it, chained to the leaves of two-dimensional paging, reclaimed when there are too many. What they
 * say is shadow.c's.
 *
 * Locks: mmu->lock for all but allocation. The hardware walks the entries meanwhile: see tdp.c.
 */
#include <linux/gfp.h>
#include <linux/hash.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "../mutate.h"
#include "../vcpu.h"
#include "../vm.h"
#include "mmu.h"
#include "shadow.h"
#include "spte.h"

#define SYNCED_BITS	10

static unsigned int shadow_pages = 8192;
module_param(shadow_pages, uint, 0444);
MODULE_PARM_DESC(shadow_pages, "most shadow pages of a VM, at least 8 (each takes 20 KiB)");

/* ---- life ----------------------------------------------------------------------------------- */

static struct hull_vm *vm_of(struct shrinker *shrinker)
{
	return container_of(hull_of_shrinker(shrinker), struct hull_vm, mmu.pool.shrinker);
}

static unsigned long count_shrinkable(struct shrinker *shrinker, struct shrink_control *control)
{
	return READ_ONCE(vm_of(shrinker)->mmu.pool.pages);
}

/* Zap up to @excess pages, those used longest ago first. How many it were. */
static unsigned long zap_oldest(struct hull_vm *vm, unsigned long excess)
{
	struct hull_shadow *page, *next;
	unsigned long zapped = 0;

	list_for_each_entry_safe_reverse(page, next, &vm->mmu.pool.lru, lru) {
		if (zapped == excess)
			break;
		if (page->roots)
			continue;
		hull_shadow_zap(vm, page);
		zapped++;
	}
	return zapped;
}

/* From reclaim, with any locks of memory management held: nothing here allocates or sleeps. */
static unsigned long shrink(struct shrinker *shrinker, struct shrink_control *control)
{
	struct hull_vm *vm = vm_of(shrinker);
	unsigned long zapped;

	if (!spin_trylock(&vm->mmu.lock))
		return SHRINK_STOP;
	zapped = zap_oldest(vm, control->nr_to_scan);
	spin_unlock(&vm->mmu.lock);
	if (!zapped)
		return SHRINK_STOP;
	hull_mmu_flush(vm);
	return zapped;
}

int hull_shadow_pool_init(struct hull_vm *vm)
{
	struct hull_shadow_pool *pool = &vm->mmu.pool;

	INIT_LIST_HEAD(&pool->lru);
	INIT_LIST_HEAD(&pool->settling);
	pool->cap = max(shadow_pages, 8U);
	pool->synced = kcalloc(1 << SYNCED_BITS, sizeof(*pool->synced), GFP_KERNEL_ACCOUNT);
	if (!pool->synced)
		return -ENOMEM;
	pool->hash = kcalloc(HULL_SHADOW_BUCKETS, sizeof(*pool->hash), GFP_KERNEL_ACCOUNT);
	if (!pool->hash)
		goto err_synced;
	if (hull_shrinker_register(&pool->shrinker, count_shrinkable, shrink))
		goto err_hash;
	return 0;

err_hash:
	kfree(pool->hash);
	pool->hash = NULL;
err_synced:
	kfree(pool->synced);
	return -ENOMEM;
}

void hull_shadow_pool_destroy(struct hull_vm *vm)
{
	struct hull_shadow_pool *pool = &vm->mmu.pool;
	struct hull_shadow *page, *next;

	if (!pool->hash)
		return;
	hull_shrinker_unregister(&pool->shrinker);
	spin_lock(&vm->mmu.lock);
	list_for_each_entry_safe(page, next, &pool->lru, lru)
		hull_shadow_zap(vm, page);
	spin_unlock(&vm->mmu.lock);
	if (hull_check && pool->pages)
		hull_check_failed(vm, "shadow pages are left", pool->pages, 0);
	kfree(pool->hash);
	kfree(pool->synced);
	pool->hash = NULL;
}

static struct hull_shadow *alloc_page_of_pool(void)
{
	struct hull_shadow *page = hull_table_alloc(sizeof(*page), HULL_SHADOW_NODES_ORDER);

	if (!page)
		return NULL;
	page->table.copy = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!page->table.copy) {
		hull_table_free(NULL, &page->table);
		return NULL;
	}
	INIT_HLIST_NODE(&page->hash);
	INIT_LIST_HEAD(&page->lru);
	INIT_LIST_HEAD(&page->settling);
	INIT_HLIST_HEAD(&page->parents);
	return page;
}

int hull_shadow_fill(struct hull_vcpu *vcpu)
{
	struct hull_mmu_vcpu *mmu = &vcpu->mmu;

	while (mmu->nr_shadows < HULL_SHADOW_CACHE) {
		struct hull_shadow *page = alloc_page_of_pool();

		if (!page)
			return -ENOMEM;
		mmu->shadows[mmu->nr_shadows++] = page;
	}
	return 0;
}

void hull_shadow_vcpu_destroy(struct hull_vcpu *vcpu)
{
	struct hull_mmu_vcpu *mmu = &vcpu->mmu;
	int i;

	if (!hull_is_shadowed(&vcpu->vm->mmu))
		return;
	spin_lock(&vcpu->vm->mmu.lock);
	for (i = 0; i < HULL_SHADOW_ROOTS; i++) {
		if (mmu->roots[i])
			mmu->roots[i]->roots--;
		mmu->roots[i] = NULL;
	}
	hull_shadow_set_flat(vcpu, false);
	spin_unlock(&vcpu->vm->mmu.lock);
	while (mmu->nr_shadows)
		hull_table_free(vcpu->vm, &mmu->shadows[--mmu->nr_shadows]->table);
	free_page((unsigned long)mmu->pae);
	mmu->pae = NULL;
}

/* ---- finding -------------------------------------------------------------------------------- */

static struct hlist_head *bucket(struct hull_mmu *mmu, gfn_t gfn)
{
	return &mmu->pool.hash[hash_64(gfn, HULL_SHADOW_HASH_BITS)];
}

struct hull_shadow *hull_shadow_find(struct hull_mmu *mmu, gfn_t gfn, union hull_role role)
{
	struct hull_shadow *page;

	lockdep_assert_held(&mmu->lock);
	hlist_for_each_entry(page, bucket(mmu, gfn), hash) {
		if (page->gfn == gfn && page->role.word == role.word)
			return page;
	}
	return NULL;
}

struct hull_shadow *hull_shadow_of_node(const struct hlist_node *node, unsigned int *i)
{
	unsigned long side = (unsigned long)node & ~((PAGE_SIZE << HULL_SHADOW_NODES_ORDER) - 1);

	*i = node - (struct hlist_node *)side;
	return container_of(hull_table_of((void *)side), struct hull_shadow, table);
}

/* ---- marks ---------------------------------------------------------------------------------- */

/* The page, or one below, is out of sync. As deep as the tables. */
static void mark_above(struct hull_shadow *page)
{
	struct hlist_node *node;
	unsigned int i;

	hlist_for_each(node, &page->parents) {
		struct hull_shadow *parent = hull_shadow_of_node(node, &i);

		if (hull_shadow_mark(parent, i))
			mark_above(parent);
	}
}

/* ---- entries -------------------------------------------------------------------------------- */

void hull_shadow_link(struct hull_shadow *parent, unsigned int i, struct hull_shadow *child)
{
	hlist_add_head(hull_shadow_node(parent, i), &child->parents);
	hull_shadow_set_entered(parent, i);
	if (hull_shadow_leads_on(child)) {
		if (!hull_shadow_leads_on(parent))
			mark_above(parent);
		hull_shadow_mark(parent, i);
	}
	/* The child's entries were written before the hardware can find them. */
	smp_store_release(&parent->table.entries[i],
			  hull_spte_table(&hull_host_format, child->table.entries));
}

void hull_shadow_drop(struct hull_shadow *page, unsigned int i)
{
	u64 *entry = &page->table.entries[i];
	u64 old = READ_ONCE(*entry);

	if (!hull_spte_present(old))
		return;
	xchg(entry, 0);
	__clear_bit(i, page->entered);
	hull_shadow_unmark(page, i);
	hlist_del_init(hull_shadow_node(page, i));
}

void hull_shadow_drop_all(struct hull_shadow *page)
{
	unsigned int i;

	for_each_set_bit(i, page->entered, HULL_TABLE_ENTRIES)
		hull_shadow_drop(page, i);
}

static void drop_parents(struct hull_shadow *page)
{
	struct hlist_node *node, *next;
	unsigned int i;

	hlist_for_each_safe(node, next, &page->parents) {
		struct hull_shadow *parent = hull_shadow_of_node(node, &i);

		hull_shadow_drop(parent, i);
	}
}

void hull_shadow_zap(struct hull_vm *vm, struct hull_shadow *page)
{
	struct hull_shadow_pool *pool = &vm->mmu.pool;

	lockdep_assert_held(&vm->mmu.lock);
	if (WARN_ON_ONCE(page->roots))
		return;
	drop_parents(page);
	hull_shadow_drop_all(page);
	if (page->state != HULL_SHADOW_UNSYNC)
		hull_shadow_set_state(vm, page, HULL_SHADOW_UNSYNC);
	list_del_init(&page->settling);
	list_del_init(&page->lru);
	hlist_del_init(&page->hash);
	pool->pages--;
	hull_table_retire(vm, &page->table);
}

/*
 * Make room for a page. Who is on the path of the fault was used last, and stays. A vCPU that does
 * not get on needs more pages at a time than the cap allows: it gets them.
 */
static void reclaim(struct hull_vcpu *vcpu)
{
	struct hull_shadow_pool *pool = &vcpu->vm->mmu.pool;

	/* Several at a time, for each round costs all vCPUs a flush. */
	if (pool->pages >= pool->cap && vcpu->mmu.fault_repeats <= 2 * HULL_SHADOW_CACHE)
		zap_oldest(vcpu->vm, 1 + pool->cap / 64);
}

struct hull_shadow *hull_shadow_create(struct hull_vcpu *vcpu, gfn_t gfn, union hull_role role)
{
	struct hull_mmu *mmu = &vcpu->vm->mmu;
	struct hull_shadow *page;

	lockdep_assert_held(&mmu->lock);
	reclaim(vcpu);
	page = vcpu->mmu.shadows[--vcpu->mmu.nr_shadows];
	page->gfn = gfn;
	page->role = role;
	hlist_add_head(&page->hash, bucket(mmu, gfn));
	list_add(&page->lru, &mmu->pool.lru);
	mmu->pool.pages++;
	return page;
}

/* ---- in sync and out of it ------------------------------------------------------------------ */

static u32 *synced_near(struct hull_mmu *mmu, gfn_t gfn)
{
	return &mmu->pool.synced[hash_64(gfn >> HULL_LEVEL_SHIFT(2), SYNCED_BITS)];
}

bool hull_shadow_near_synced(struct hull_mmu *mmu, gfn_t gfn)
{
	return *synced_near(mmu, gfn);
}

void hull_shadow_set_state(struct hull_vm *vm, struct hull_shadow *page,
			   enum hull_shadow_state state)
{
	u32 *near = synced_near(&vm->mmu, page->gfn);

	*near += (state != HULL_SHADOW_UNSYNC) - (page->state != HULL_SHADOW_UNSYNC);
	if (page->state == HULL_SHADOW_SYNCED && !hull_shadow_leads_on(page) &&
	    !hull_mutate_lost_mark)
		mark_above(page);
	page->state = state;
	page->quiet = 0;
	hull_shadow_set_filled(&vm->mmu, page);
	if (state != HULL_SHADOW_SETTLING)
		list_del_init(&page->settling);
}

bool hull_shadow_is_synced(struct hull_mmu *mmu, gfn_t gfn)
{
	struct hull_shadow *page;

	lockdep_assert_held(&mmu->lock);
	if (!hull_shadow_near_synced(mmu, gfn))
		return false;
	hlist_for_each_entry(page, bucket(mmu, gfn), hash) {
		if (page->gfn == gfn && page->state != HULL_SHADOW_UNSYNC)
			return true;
	}
	return false;
}

static void set_unsync(struct hull_vm *vm, struct hull_shadow *page, gfn_t start, gfn_t end)
{
	if (page->gfn >= start && page->gfn < end && page->state != HULL_SHADOW_UNSYNC)
		hull_shadow_set_state(vm, page, HULL_SHADOW_UNSYNC);
}

void hull_shadow_writing(struct hull_vm *vm, gfn_t start, gfn_t end)
{
	struct hull_mmu *mmu = &vm->mmu;
	struct hull_shadow *page;
	gfn_t gfn;

	lockdep_assert_held(&mmu->lock);
	if (end - start > mmu->pool.pages) {
		list_for_each_entry(page, &mmu->pool.lru, lru)
			set_unsync(vm, page, start, end);
		return;
	}
	for (gfn = start; gfn < end; gfn++) {
		if (!hull_shadow_near_synced(mmu, gfn))
			continue;
		hlist_for_each_entry(page, bucket(mmu, gfn), hash)
			set_unsync(vm, page, gfn, gfn + 1);
	}
}

void hull_shadow_set_flat(struct hull_vcpu *vcpu, bool flat)
{
	struct hull_mmu *mmu = &vcpu->vm->mmu;

	lockdep_assert_held(&mmu->lock);
	if (flat == vcpu->mmu.flat)
		return;
	vcpu->mmu.flat = flat;
	mmu->flat += flat ? 1 : -1;
	if (flat)
		hull_shadow_writing(vcpu->vm, 0, ~0ULL);
}

void hull_shadow_written(struct hull_vm *vm, gfn_t start, gfn_t end)
{
	if (!hull_is_shadowed(&vm->mmu))
		return;
	spin_lock(&vm->mmu.lock);
	hull_shadow_writing(vm, start, end);
	spin_unlock(&vm->mmu.lock);
}

/* ---- chains: all shadow entries derived from one leaf ---------------------------------------- */

void hull_shadow_drop_chain(struct hlist_head *chain)
{
	struct hlist_node *node, *next;
	unsigned int i;

	hlist_for_each_safe(node, next, chain) {
		struct hull_shadow *page = hull_shadow_of_node(node, &i);

		hull_shadow_drop(page, i);
	}
}

void hull_shadow_protect_chain(struct hlist_head *chain, u64 pfn, u64 pages)
{
	struct hlist_node *node;
	unsigned int i;

	hlist_for_each(node, chain) {
		struct hull_shadow *page = hull_shadow_of_node(node, &i);
		u64 *entry = &page->table.entries[i];
		u64 spte = READ_ONCE(*entry);

		if (!hull_spte_writable(spte) || hull_spte_pfn(spte) >= pfn + pages ||
		    pfn >= hull_spte_pfn(spte) + HULL_LEVEL_PAGES(page->role.level))
			continue;
		clear_bit(_PAGE_BIT_RW, (unsigned long *)entry);
	}
}

bool hull_shadow_age_chain(struct hlist_head *chain, bool clear)
{
	struct hlist_node *node;
	bool young = false;
	unsigned int i;

	hlist_for_each(node, chain) {
		struct hull_shadow *page = hull_shadow_of_node(node, &i);
		u64 *entry = &page->table.entries[i];

		if (!(READ_ONCE(*entry) & _PAGE_ACCESSED))
			continue;
		young = true;
		if (clear)
			clear_bit(_PAGE_BIT_ACCESSED, (unsigned long *)entry);
	}
	return young;
}
