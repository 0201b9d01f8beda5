/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tables of two-dimensional paging: guest frame to host page, for the whole VM. Private to mmu/.
 * With shadow paging no hardware walks them, but for guests that do not page: see shadow.h.
 */
#ifndef HULL_MMU_TDP_H
#define HULL_MMU_TDP_H

#include <linux/list.h>
#include <linux/mm.h>

#include "../types.h"

struct hull_mmu;

/**
 * struct hull_table - one table of the hardware's and what we know about it
 * @link: in hull_mmu.freed
 * @entries: a page; page_private() of it is this structure
 * @unlinked: hull_mmu.changes when it was unlinked, 0: never
 * @side: with shadow paging, something for each entry: a chain (struct hlist_head) of the shadow
 *        entries derived from it; of a shadow page, its nodes. page_private() is this structure too
 * @side_order: of its pages
 * @copy: of a shadow page
 */
struct hull_table {
	struct list_head link;
	u64 *entries;
	u64 unlinked;
	void *side;
	unsigned int side_order;
	u64 *copy;
};

/* @size: of the structure that begins with a hull_table; @side_order: -1: no side. Sleeps. */
void *hull_table_alloc(size_t size, int side_order);
/* In check mode proves that the table is still poisoned and that its flush has ended. */
void hull_table_free(struct hull_vm *vm, struct hull_table *table);
/* The table that a page of entries belongs to. */
static inline struct hull_table *hull_table_of(const void *entries)
{
	return (struct hull_table *)page_private(virt_to_page(entries));
}

/*
 * The functions below: under mmu->lock.
 */

/* Nothing points to the table any more: it is freed after the next flush. */
void hull_table_retire(struct hull_vm *vm, struct hull_table *table);

/* With shadow paging: the chain of the leaf @entry. */
struct hlist_head *hull_tdp_chain(u64 *entry);

/* The lowest level at which a table is there for @gfn. */
int hull_tdp_depth(struct hull_mmu *mmu, gfn_t gfn);

/* The leaf entry that maps @gfn and its level, or NULL. */
u64 *hull_tdp_find(struct hull_mmu *mmu, gfn_t gfn, int *level);

/*
 * Install @spte for @gfn at @level; takes tables from the vCPU's cache, which is full. True: other
 * entries had to go, the caller flushes after unlocking.
 */
bool hull_tdp_map(struct hull_vcpu *vcpu, gfn_t gfn, int level, u64 spte);

/* Called for each leaf in a range: @base is its first frame. */
typedef void (*hull_leaf_fn)(struct hull_vm *vm, u64 *entry, gfn_t base, int level,
			     void *context);

/*
 * Visit leaves that map frames of [@start, @end), whole leaves at the edges included. @unlink:
 * then drop tables that lie wholly inside and must be empty now. Returns where to go on: @end, or
 * less when @may_break and others want the CPU or the lock.
 */
gfn_t hull_tdp_visit(struct hull_vm *vm, gfn_t start, gfn_t end, bool may_break, bool unlink,
		     hull_leaf_fn leaf, void *context);

/* Tables and leaves as they are, to compare with the counts kept. */
void hull_tdp_count(struct hull_mmu *mmu, unsigned long *pages, unsigned long *mapped);

/* Free all tables; no vCPU and no notifier is left. Without the lock. */
void hull_tdp_destroy(struct hull_vm *vm);

gfn_t hull_tdp_zap(struct hull_vm *vm, gfn_t start, gfn_t end, bool may_break);
gfn_t hull_tdp_protect(struct hull_vm *vm, gfn_t start, gfn_t end, bool may_break);
bool hull_tdp_age(struct hull_vm *vm, gfn_t start, gfn_t end, bool clear);

/* (b), check.c: called by hull_table_free() in check mode. */
void hull_check_table_freed(struct hull_vm *vm, const struct hull_table *table);

#endif
