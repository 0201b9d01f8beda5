// SPDX-License-Identifier: GPL-2.0
/*
 * Shadow pages and the guest's tables: finding what no longer agrees, and write-protecting tables
 * that do not change, so that they need no more looking at.
 *
 * Between two looks an entry may be older than the guest's: as in a TLB, that is the guest's to
 * prevent, which invalidates what it changed. Each invalidation looks: at one address for INVLPG
 * (and at all tables above, as the CPU forgets its cached tables too), at all that the root reaches
 * for the others. A page that was quiet for some looks settles: its table is write-protected in all
 * shadows, then all vCPUs flush, then one last look proves it in sync.
 *
 * PCIDs: a CPU may keep what it has cached for one while others are there, and a load of CR3 that
 * does not flush needs no look at what the PCID has seen before. But pages are shared by PCIDs and
 * vCPUs: an entry that was made while this PCID was not there, and is stale by now, it cannot have
 * cached. So pool.fills counts whatever may let a PCID see something that it has not seen: an entry
 * made (from the guest's table as it was then), a page linked with all below (which may have been
 * filled long before), a page that ceases to be in sync (which may have been linked without having
 * been looked at, for it agreed). Each page notes the count in @filled; a vCPU that leaves a PCID
 * notes the count and the root in a place that the PCID's number selects. When it comes back
 * without a flush to the same root, pages filled since then are looked at, no others: what those
 * say is what this PCID was shown when it left, and was allowed to be shown then. Entries that went
 * meanwhile are no loss. If the place holds something else (another root, another PCID), all is
 * looked at; a load that flushes always does that, and what it flushed cannot come back, for the
 * place is written anew before the PCID is loaded again. What invalidates translations of all
 * PCIDs, or selects other shadow pages for the same root, outdates all places: INVLPG (of a global
 * page), CR0, CR4, EFER, the launcher.
 *
 * A page that is not looked at does not settle meanwhile: then looking at it costs nothing either.
 *
 * Locks: mmu->lock. Guest memory is read without taking page faults; what cannot be read is
 * forgotten, which is always allowed.
 */
#include <linux/mm.h>
#include <linux/uaccess.h>

#include "../mem/region.h"
#include "../mutate.h"
#include "../vcpu.h"
#include "../vm.h"
#include "mmu.h"
#include "shadow.h"
#include "spte.h"
#include "tdp.h"

/* Looks that find a table unchanged before it is write-protected. */
#define QUIET_LOOKS	8

/* Entries looked at around one that faults: as many as Linux maps around a fault of its own. */
#define AHEAD		16

#define GUEST_A_D	(_PAGE_ACCESSED | _PAGE_DIRTY)

/* ---- the guest's entries -------------------------------------------------------------------- */

static unsigned int guest_entries(const struct hull_shadow *page)
{
	return HULL_TABLE_ENTRIES >> hull_shadow_entry_shift(page);
}

/* User address of the guest's entries; 0: no memory is there. */
static unsigned long table_address(struct hull_vm *vm, const struct hull_shadow *page)
{
	const struct hull_region_table *table;
	unsigned long hva;

	table = rcu_dereference_protected(vm->regions, lockdep_is_held(&vm->mmu.lock));
	hva = hull_regions_hva(table, gfn_to_gpa(page->gfn));
	if (!hva)
		return 0;
	return hva + page->role.quadrant * guest_entries(page) * hull_shadow_entry_size(page);
}

/* Entry @i of @size bytes at @address; to be used as unsafe_get_user(). */
#define unsafe_get_entry(entry, address, i, size, label) do {			\
	u32 small_;								\
										\
	if ((size) == sizeof(u64)) {						\
		unsafe_get_user(entry, (u64 __user *)(address) + (i), label);	\
	} else {								\
		unsafe_get_user(small_, (u32 __user *)(address) + (i), label);	\
		entry = small_;							\
	}									\
} while (0)

/* An entry derived from @old serves for @now: at most bits that the CPU sets were added. */
static bool is_same(u64 old, u64 now)
{
	return !((old ^ now) & ~(u64)GUEST_A_D) && !(old & ~now & GUEST_A_D);
}

/*
 * Number of the next entry from @from on that is entered, and whose guest entry is no more as in
 * the copy but what is @now; HULL_TABLE_ENTRIES when there is none; -EFAULT. Others need no look:
 * no TLB has them, and a fault will read the guest's.
 */
static int next_change(const struct hull_shadow *page, unsigned long address, unsigned int from,
		       u64 *now)
{
	const unsigned int size = hull_shadow_entry_size(page);
	const unsigned int shift = hull_shadow_entry_shift(page);
	/* A pointer: UBSAN must not look at its bounds while user memory may be accessed. */
	const unsigned long *entered = page->entered;
	unsigned int word = from / BITS_PER_LONG, i;
	unsigned long bits;

	if (from >= HULL_TABLE_ENTRIES)
		return HULL_TABLE_ENTRIES;
	if (!user_read_access_begin((void __user *)address, guest_entries(page) * size))
		return -EFAULT;
	bits = entered[word] & (~0UL << from % BITS_PER_LONG);
	for (;;) {
		while (!bits && ++word < ARRAY_SIZE(page->entered))
			bits = entered[word];
		if (!bits) {
			i = HULL_TABLE_ENTRIES;
			break;
		}
		i = word * BITS_PER_LONG + __ffs(bits);
		bits &= bits - 1;
		unsafe_get_entry(*now, address, i >> shift, size, fault);
		if (*now != page->table.copy[i >> shift])
			break;
	}
	user_read_access_end();
	return i;

fault:
	user_read_access_end();
	return -EFAULT;
}

static void drop_guest_entry(struct hull_shadow *page, unsigned int i)
{
	const unsigned int shift = hull_shadow_entry_shift(page);
	unsigned int at;

	for (at = i << shift; at < (i + 1) << shift; at++)
		hull_shadow_drop(page, at);
}

/* ---- entering what faults would ask for next ------------------------------------------------- */

/* An entry of a last level or one that is no leaf has reserved bits set. */
static bool is_reserved(const struct hull_shadow *page, u64 entry)
{
	u64 reserved = hull_gpa_bits < 52 ? GENMASK_ULL(51, hull_gpa_bits) : 0;

	if (page->role.mode == HULL_SHADOW_32BIT)
		return false;
	if (page->role.mode == HULL_SHADOW_PAE)
		reserved |= GENMASK_ULL(62, 52);
	if (!(page->role.control & HULL_ROLE_NX))
		reserved |= _PAGE_NX;
	return entry & reserved;
}

/* The guest has used the page and will again: enter it, where its frame is mapped. */
static void enter_leaf(struct hull_vm *vm, struct hull_shadow *page, unsigned int i, u64 entry)
{
	struct hull_shadow_leaf leaf = { };
	int level;
	u64 *tdp;

	leaf.gfn = (entry & HULL_SPTE_ADDRESS) >> PAGE_SHIFT;
	leaf.rights = page->role.rights & hull_shadow_rights(page->role, entry);
	if (!(entry & _PAGE_DIRTY))
		leaf.rights &= ~HULL_RIGHT_WRITE;
	tdp = hull_tdp_find(&vm->mmu, leaf.gfn, &level);
	if (!tdp)
		return;
	hull_shadow_set_leaf(page, i,
			     hull_shadow_encode(vm, page, 1, &leaf, READ_ONCE(*tdp), level), tdp);
}

/*
 * A table of the guest's that is shadowed already, as those of its kernel are in each new address
 * space. Recursion, by way of tables below, is as deep as the tables.
 */
static void enter_table(struct hull_vm *vm, struct hull_shadow *page, unsigned int i, u64 entry)
{
	union hull_role role = page->role;
	struct hull_shadow *child;

	if ((entry & _PAGE_PSE) || role.mode != HULL_SHADOW_LONG)
		return;
	role.level--;
	role.rights &= hull_shadow_rights(role, entry);
	child = hull_shadow_find(&vm->mmu, (entry & HULL_SPTE_ADDRESS) >> PAGE_SHIFT, role);
	if (!child)
		return;
	hull_shadow_refresh_below(vm, child);
	hull_shadow_link(page, i, child);
}

/*
 * An entry that is new to the page. One that was not used must fault first, so that its accessed
 * bit is set.
 */
static void enter_ahead(struct hull_vm *vm, struct hull_shadow *page, unsigned int i, u64 entry)
{
	if (!(entry & _PAGE_PRESENT) || !(entry & _PAGE_ACCESSED) || is_reserved(page, entry))
		return;
	if (page->role.level == 1)
		enter_leaf(vm, page, i, entry);
	else
		enter_table(vm, page, i, entry);
}

/* Entries from @first on: what the guest has used of them, and will use again. */
static void populate(struct hull_vm *vm, struct hull_shadow *page, unsigned long address,
		     unsigned int first)
{
	const unsigned int size = hull_shadow_entry_size(page);
	const unsigned int shift = hull_shadow_entry_shift(page);
	u64 now[AHEAD], *to = now;	/* a pointer: as above */
	unsigned int i;

	if (!user_read_access_begin((void __user *)address, guest_entries(page) * size))
		return;
	for (i = 0; i < AHEAD; i++)
		unsafe_get_entry(to[i], address, first + i, size, fault);
	user_read_access_end();
	for (i = 0; i < AHEAD; i++) {
		if (!(now[i] & _PAGE_ACCESSED) || test_bit((first + i) << shift, page->entered))
			continue;
		page->table.copy[first + i] = now[i];
		enter_ahead(vm, page, first + i, now[i]);
	}
	return;

fault:
	user_read_access_end();
}

void hull_shadow_populate(struct hull_vm *vm, struct hull_shadow *page)
{
	unsigned long address = table_address(vm, page);
	unsigned int i;

	pagefault_disable();
	for (i = 0; address && i < guest_entries(page); i += AHEAD)
		populate(vm, page, address, i);
	pagefault_enable();
	hull_shadow_set_filled(&vm->mmu, page);
}

void hull_shadow_populate_near(struct hull_vm *vm, struct hull_shadow *page, unsigned int i)
{
	unsigned long address = table_address(vm, page);

	pagefault_disable();
	if (address)
		populate(vm, page, address, round_down(i, AHEAD));
	pagefault_enable();
}

/* ---- looking -------------------------------------------------------------------------------- */

/* Take note of what a guest entry is now. */
static void note_entry(struct hull_vm *vm, struct hull_shadow *page, unsigned int i, u64 now)
{
	u64 old = page->table.copy[i];

	page->table.copy[i] = now;
	if (is_same(old, now))
		return;
	if (hull_mutate_lost_sync)
		return;
	drop_guest_entry(page, i);
	enter_ahead(vm, page, i, now);
	hull_shadow_set_filled(&vm->mmu, page);
}

bool hull_shadow_refresh(struct hull_vm *vm, struct hull_shadow *page)
{
	const unsigned int shift = hull_shadow_entry_shift(page);
	unsigned long address = table_address(vm, page);
	bool changed = false;
	int i = 0;
	u64 now;

	lockdep_assert_held(&vm->mmu.lock);
	pagefault_disable();
	for (;;) {
		i = address ? next_change(page, address, i, &now) : -EFAULT;
		if (i < 0 || i == HULL_TABLE_ENTRIES)
			break;
		note_entry(vm, page, i >> shift, now);
		changed = true;
		i = ((i >> shift) + 1) << shift;
	}
	pagefault_enable();
	if (i >= 0)
		return changed;
	hull_shadow_drop_all(page);
	return true;
}

bool hull_shadow_is_current(struct hull_vm *vm, const struct hull_shadow *page)
{
	const unsigned int shift = hull_shadow_entry_shift(page);
	unsigned long address = table_address(vm, page);
	bool current_still = true;
	int i = 0;
	u64 now;

	pagefault_disable();
	while (address && current_still) {
		i = next_change(page, address, i, &now);
		if (i < 0 || i == HULL_TABLE_ENTRIES)
			break;
		current_still = is_same(page->table.copy[i++ >> shift], now);
	}
	pagefault_enable();
	return current_still;
}

/* Read one guest entry; false: it cannot be read, and is zero. */
static bool read_entry(struct hull_vm *vm, const struct hull_shadow *page, unsigned int i,
		       u64 *entry)
{
	const unsigned int size = hull_shadow_entry_size(page);
	unsigned long address = table_address(vm, page);
	bool done = false;

	*entry = 0;
	pagefault_disable();
	if (!address || !user_read_access_begin((void __user *)address, (i + 1) * size))
		goto out;
	unsafe_get_entry(*entry, address, i, size, fault);
	done = true;
fault:
	user_read_access_end();
out:
	pagefault_enable();
	return done;
}

bool hull_shadow_agree(struct hull_vm *vm, struct hull_shadow *page, unsigned int i, u64 entry)
{
	u64 now;

	i >>= hull_shadow_entry_shift(page);
	if (!read_entry(vm, page, i, &now) || !is_same(entry, now))
		return false;
	if (!is_same(page->table.copy[i], entry))
		drop_guest_entry(page, i);
	page->table.copy[i] = entry;
	return true;
}

/* ---- invalidations -------------------------------------------------------------------------- */

/* Compare, and count how often nothing had changed. True: often enough to settle, and it can. */
static bool look(struct hull_vm *vm, struct hull_shadow *page)
{
	if (hull_shadow_refresh(vm, page)) {
		page->quiet = 0;
		return false;
	}
	if (page->quiet < QUIET_LOOKS) {
		page->quiet++;
		return false;
	}
	if (vm->mmu.flat)
		return false;
	if (list_empty(&page->settling))
		list_add(&page->settling, &vm->mmu.pool.settling);
	return true;
}

/* What is done to the pages out of sync below a top. */
enum visit_kind {
	VISIT_REFRESH,
	VISIT_LOOK,
	VISIT_LOOK_ABOVE,	/* but not at last levels */
};

/**
 * struct visit - a walk along the marks
 * @vm: of the pages
 * @kind: enum visit_kind
 * @number: pages that were visited bear it: a guest's tables may have 2^27 ways to the same page
 * @since: pages that were filled last when pool.fills was not more are not looked at
 * @settle: pages were quiet for long enough
 */
struct visit {
	struct hull_vm *vm;
	enum visit_kind kind;
	u64 number;
	u64 since;
	bool settle;
};

/*
 * Follow the marks from @page on, and take away those that lead nowhere. True: something is left.
 * What is entered meanwhile is entered into pages out of sync, whose way from here stays marked.
 */
static bool visit_page(struct visit *visit, struct hull_shadow *page)
{
	unsigned int i;

	if (page->visited == visit->number)
		return hull_shadow_leads_on(page);
	page->visited = visit->number;
	if (hull_shadow_is_unsync(page)) {
		if (visit->kind == VISIT_REFRESH) {
			hull_shadow_refresh(visit->vm, page);
			hull_shadow_set_filled(&visit->vm->mmu, page);
		} else if (page->filled > visit->since) {
			visit->settle |= look(visit->vm, page);
		}
	}
	if (!page->nr_marked || (page->role.level == 2 && visit->kind == VISIT_LOOK_ABOVE))
		return hull_shadow_leads_on(page);
	for_each_set_bit(i, page->marked, HULL_TABLE_ENTRIES) {
		if (!visit_page(visit, hull_shadow_child(page->table.entries[i])))
			hull_shadow_unmark(page, i);
	}
	return hull_shadow_leads_on(page);
}

void hull_shadow_refresh_below(struct hull_vm *vm, struct hull_shadow *top)
{
	struct visit visit = {
		.vm = vm, .kind = VISIT_REFRESH, .number = ++vm->mmu.pool.visits,
	};

	visit_page(&visit, top);
}

/* True: pages are to settle. */
static bool visit_roots(struct hull_vcpu *vcpu, enum visit_kind kind, u64 since)
{
	struct visit visit = {
		.vm = vcpu->vm, .kind = kind, .since = since, .number = ++vcpu->vm->mmu.pool.visits,
	};
	unsigned int i;

	for (i = 0; i < HULL_SHADOW_ROOTS; i++) {
		if (vcpu->mmu.roots[i] && hull_shadow_leads_on(vcpu->mmu.roots[i]))
			visit_page(&visit, vcpu->mmu.roots[i]);
	}
	return visit.settle;
}

bool hull_shadow_sync(struct hull_vcpu *vcpu, u64 since)
{
	return visit_roots(vcpu, VISIT_LOOK, since);
}

void hull_shadow_settle(struct hull_vm *vm)
{
	struct hull_mmu *mmu = &vm->mmu;
	struct hull_shadow *page, *next;
	int level;
	u64 *tdp;

	/* Counted in any case: an entry that was dropped may be in TLBs still. */
	mmu->changes++;
	list_for_each_entry_safe(page, next, &mmu->pool.settling, settling) {
		if (page->state != HULL_SHADOW_UNSYNC)
			continue;
		if (page->quiet < QUIET_LOOKS) {
			/* No longer quiet. */
			list_del_init(&page->settling);
			continue;
		}
		hull_shadow_set_state(vm, page, HULL_SHADOW_SETTLING);
		page->settles_at = mmu->changes;
		tdp = hull_tdp_find(mmu, page->gfn, &level);
		if (!tdp || hull_mutate_lost_protection)
			continue;
		hull_shadow_protect_chain(hull_tdp_chain(tdp), hull_spte_pfn(READ_ONCE(*tdp)) +
					  (page->gfn & (HULL_LEVEL_PAGES(level) - 1)), 1);
	}
}

void hull_shadow_settled(struct hull_vm *vm, bool alone)
{
	struct hull_mmu *mmu = &vm->mmu;
	struct hull_shadow *page, *next;

	list_for_each_entry_safe(page, next, &mmu->pool.settling, settling) {
		if (page->state != HULL_SHADOW_SETTLING)
			continue;
		if (!alone && page->settles_at > mmu->completed)
			continue;
		if (hull_check)
			hull_check_settled(vm, page);
		/* Written until just now, or not to be read: not quiet after all. */
		hull_shadow_set_state(vm, page, hull_shadow_refresh(vm, page) ?
				      HULL_SHADOW_UNSYNC : HULL_SHADOW_SYNCED);
	}
}

bool hull_shadow_sync_address(struct hull_vcpu *vcpu, gva_t gva)
{
	struct hull_vm *vm = vcpu->vm;
	struct hull_shadow *page;
	unsigned int i;
	bool settle;
	u64 now;

	/* Tables above may be cached by the CPU for any address: INVLPG forgets them all. */
	settle = visit_roots(vcpu, VISIT_LOOK_ABOVE, 0);
	page = hull_shadow_last(vcpu, gva, &i);
	if (!page || page->role.level > 1 || hull_shadow_is_direct(page) ||
	    page->state == HULL_SHADOW_SYNCED)
		return settle;
	/* What cannot be read is as good as not present. */
	read_entry(vm, page, i, &now);
	note_entry(vm, page, i, now);
	return settle;
}
