// SPDX-License-Identifier: GPL-2.0
/*
 * The oracle's part (d) for shadow paging: shadow entries against the leaves they are derived from
 * and the guest entries they stand for; pages that are in sync against the guest's tables.
 *
 * Locks: mmu->lock.
 */
#include <linux/mm.h>

#include "../vcpu.h"
#include "../vm.h"
#include "mmu.h"
#include "shadow.h"
#include "spte.h"
#include "tdp.h"

/* ---- entries -------------------------------------------------------------------------------- */

/* The frame and rights that the page says for entry @i, less what the oracle need not know. */
static bool is_derived(const struct hull_shadow *page, unsigned int i, gfn_t gfn, u64 spte)
{
	u64 guest = page->table.copy[i >> hull_shadow_entry_shift(page)];
	u8 rights = page->role.rights;
	gfn_t large = HULL_LEVEL_PAGES(page->role.level) - 1;
	bool lent;

	if (hull_shadow_is_direct(page)) {
		if (gfn != page->gfn + (gfn_t)i * (large + 1))
			return false;
	} else {
		rights &= hull_shadow_rights(page->role, guest);
		if (!(guest & _PAGE_DIRTY))
			rights &= ~HULL_RIGHT_WRITE;
		if (!(guest & _PAGE_PRESENT) || !(guest & _PAGE_ACCESSED))
			return false;
		/* Of a large page of 32-bit tables the upper address bits are elsewhere. */
		if (page->role.level == 1 &&
		    (guest & HULL_SPTE_ADDRESS) >> PAGE_SHIFT != gfn)
			return false;
	}
	lent = (page->role.control & HULL_ROLE_NO_WP) && !(spte & _PAGE_USER);
	if (hull_spte_writable(spte) && !(rights & HULL_RIGHT_WRITE) && !lent)
		return false;
	if ((spte & _PAGE_USER) && !(rights & HULL_RIGHT_USER))
		return false;
	return (spte & _PAGE_NX) || (rights & HULL_RIGHT_EXEC);
}

static bool covers_synced(struct hull_mmu *mmu, gfn_t gfn, int level)
{
	gfn_t end = gfn + HULL_LEVEL_PAGES(level);

	if (!hull_shadow_near_synced(mmu, gfn))
		return false;
	for (; gfn < end; gfn++) {
		if (hull_shadow_is_synced(mmu, gfn))
			return true;
	}
	return false;
}

int hull_check_chain(struct hull_vm *vm, u64 *leaf, gfn_t base, int level)
{
	const u64 tdp = READ_ONCE(*leaf);
	struct hlist_node *node;
	unsigned int i;
	int failed = 0;

	hlist_for_each(node, hull_tdp_chain(leaf)) {
		const struct hull_shadow *page = hull_shadow_of_node(node, &i);
		u64 spte = READ_ONCE(page->table.entries[i]);
		u64 offset = hull_spte_pfn(spte) - hull_spte_pfn(tdp);
		const char *what = NULL;

		if (!hull_spte_present(spte) || !hull_spte_is_leaf(spte, page->role.level) ||
		    offset + HULL_LEVEL_PAGES(page->role.level) > HULL_LEVEL_PAGES(level))
			what = "shadow entry is not of its page (gpa, entry)";
		else if (hull_spte_writable(spte) && !hull_spte_writable(tdp))
			what = "shadow entry is writable, its page is not (gpa, entry)";
		else if (hull_spte_writable(spte) &&
			 covers_synced(&vm->mmu, base + offset, page->role.level))
			what = "guest table in sync is writable (gpa, entry)";
		else if (!is_derived(page, i, base + offset, spte))
			what = "shadow entry is not the guest's (gpa, entry)";
		if (!what)
			continue;
		hull_check_failed(vm, what, gfn_to_gpa(base + offset), spte);
		failed++;
	}
	return failed;
}

void hull_check_settled(struct hull_vm *vm, const struct hull_shadow *page)
{
	if (READ_ONCE(vm->nr_vcpus) > 1 && page->settles_at > vm->mmu.completed)
		hull_check_failed(vm, "guest table is in sync before the flush (gfn, role)",
				  page->gfn, page->role.word);
}

/* ---- pages ---------------------------------------------------------------------------------- */

static const char *check_links(const struct hull_shadow *page)
{
	const struct hlist_node *node;
	unsigned int i;

	hlist_for_each(node, &page->parents) {
		const struct hull_shadow *parent = hull_shadow_of_node(node, &i);
		u64 spte = READ_ONCE(parent->table.entries[i]);

		if (!hull_spte_present(spte) || hull_shadow_child(spte) != page ||
		    parent->role.level != page->role.level + 1)
			return "shadow page has a parent that does not point to it (gfn, role)";
		if (hull_shadow_leads_on(page) && !test_bit(i, parent->marked))
			return "shadow page out of sync is not marked above (gfn, role)";
	}
	if (bitmap_weight(page->marked, HULL_TABLE_ENTRIES) != page->nr_marked)
		return "number of a shadow page's marks (gfn, role)";
	if (page->state != HULL_SHADOW_UNSYNC &&
	    (page->state == HULL_SHADOW_SETTLING) == list_empty(&page->settling))
		return "shadow page settles and is not listed, or the other way round (gfn, role)";
	return NULL;
}

static int check_page(struct hull_vm *vm, struct hull_shadow *page, bool host)
{
	const char *what = check_links(page);

	if (!what && vm->mmu.flat && page->state != HULL_SHADOW_UNSYNC)
		what = "guest table is in sync, and a vCPU could write it (gfn, role)";
	/* Memory of the guest can be read in its creator's address space only. */
	if (!what && host && page->state == HULL_SHADOW_SYNCED && !hull_shadow_is_current(vm, page))
		what = "guest table in sync has changed (gfn, role)";
	if (!what)
		return 0;
	hull_check_failed(vm, what, page->gfn, page->role.word);
	return 1;
}

int hull_check_shadow(struct hull_vm *vm, bool host)
{
	struct hull_mmu *mmu = &vm->mmu;
	struct hull_shadow *page;
	int failed = 0;
	unsigned int i;

	for (i = 0; i < HULL_SHADOW_BUCKETS; i++) {
		hlist_for_each_entry(page, &mmu->pool.hash[i], hash)
			failed += check_page(vm, page, host);
		cond_resched_lock(&mmu->lock);
	}
	return failed;
}
