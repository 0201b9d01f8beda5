/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shadow paging: tables for the hardware, derived from the guest's own. Private to mmu/.
 *
 * A shadow page stands for one guest table (or, direct, for a stretch of guest-physical memory) in
 * one role. Its entries are like those of a TLB: each says what the guest's entry said when it was
 * looked at, of which the page keeps a copy. Two states:
 *
 * - out of sync: the guest may write its table. Entries that no longer agree are found when the
 *   guest invalidates translations: hull_shadow_refresh().
 * - in sync: the table is write-protected, so that all entries agree. A write makes it out of sync.
 *
 * The tables of two-dimensional paging exist here too, though no hardware walks them but for vCPUs
 * that are flat (they do not page: hull_flat). They say what page backs a frame and with what
 * rights, and each of their leaves heads a chain of the shadow entries derived from it. So what
 * takes a leaf away or write-protects it (fault.c, the notifier, regions, dirty logging) does the
 * same to its shadows, and need not know of them.
 */
#ifndef HULL_MMU_SHADOW_H
#define HULL_MMU_SHADOW_H

#include <linux/list.h>

#include "../types.h"
#include "mmu.h"
#include "spte.h"
#include "tdp.h"

struct hull_mmu;
struct hull_walk;

enum hull_shadow_state {
	HULL_SHADOW_UNSYNC,
	HULL_SHADOW_SETTLING,	/* write-protected, but TLBs may not know yet */
	HULL_SHADOW_SYNCED,
};

/* How the guest's table is read. */
enum hull_shadow_mode {
	HULL_SHADOW_DIRECT,	/* no guest table: frames from @gfn on, one after the other */
	HULL_SHADOW_32BIT,
	HULL_SHADOW_PAE,
	HULL_SHADOW_LONG,
};

/* Rights that the tables above give; bits as in an entry, except execute, which is bit 3. */
#define HULL_RIGHT_WRITE	BIT(1)
#define HULL_RIGHT_USER		BIT(2)
#define HULL_RIGHT_EXEC		BIT(3)
/*
 * Not a right: the leaf's dirty bit is clear. Told apart below large pages, for with CR0.WP clear
 * a page that was lent must not be found by way of a leaf that no write has gone through.
 */
#define HULL_RIGHT_CLEAN	BIT(0)
#define HULL_RIGHTS_ALL		(HULL_RIGHT_WRITE | HULL_RIGHT_USER | HULL_RIGHT_EXEC)

/* Control bits that decide about entries. */
#define HULL_ROLE_NO_WP		BIT(0)	/* CR0.WP is clear */
#define HULL_ROLE_SMEP		BIT(1)	/* CR4.SMEP, told apart only while CR0.WP is clear */
#define HULL_ROLE_NX		BIT(2)	/* EFER.NXE */
#define HULL_ROLE_PSE		BIT(3)	/* CR4.PSE, in 32-bit mode */
#define HULL_ROLE_SMAP		BIT(4)	/* CR4.SMAP, told apart only while CR0.WP is clear */

/**
 * union hull_role - what, besides the guest's table, decides what a shadow page says
 * @level: of the shadow page, 1 is the last
 * @mode: enum hull_shadow_mode
 * @quadrant: 32-bit tables have more entries than a shadow page: which part
 * @rights: HULL_RIGHT_*, of the tables above
 * @control: HULL_ROLE_*
 */
union hull_role {
	struct {
		u8 level;
		u8 mode;
		u8 quadrant;
		u8 rights;
		u32 control;
	};
	u64 word;
};

/**
 * struct hull_shadow - one shadow page; all under mmu->lock
 * @table: its entries; table.side: a node for each, which is in the @parents of the page that the
 *         entry points to, or in the chain of the leaf that it is derived from
 * @hash: in pool.hash
 * @lru: in pool.lru
 * @settling: in pool.settling from the look on that found it quiet enough until it is in sync
 * @parents: nodes of entries that point here
 * @roots: vCPUs that have it as a part of their root
 * @gfn: of the guest's table; direct: first frame
 * @role: see there
 * @state: enum hull_shadow_state
 * @quiet: looks at the table in a row that found it unchanged
 * @filled: pool.fills when it last came to say, or to be linked with, something new for some PCID
 * @settles_at: SETTLING: value of hull_mmu.changes that must have been flushed
 * @entered: which entries are present
 * @marked: which of them lead to a page out of sync, or did: all those that do, at all levels above
 * @nr_marked: how many
 * @visited: number of the last walk along the marks that came by
 *
 * table.copy has the guest's entries that those entered were derived from; unused when direct.
 */
struct hull_shadow {
	struct hull_table table;
	struct hlist_node hash;
	struct list_head lru;
	struct list_head settling;
	struct hlist_head parents;
	unsigned int roots;
	gfn_t gfn;
	union hull_role role;
	u8 state;
	u8 quiet;
	u64 filled;
	u64 settles_at;
	unsigned long entered[BITS_TO_LONGS(HULL_TABLE_ENTRIES)];
	unsigned long marked[BITS_TO_LONGS(HULL_TABLE_ENTRIES)];
	unsigned int nr_marked;
	u64 visited;
};

#define HULL_SHADOW_HASH_BITS	10
#define HULL_SHADOW_BUCKETS	(1 << HULL_SHADOW_HASH_BITS)
#define HULL_SHADOW_NODES_ORDER	1
static_assert(HULL_TABLE_ENTRIES * sizeof(struct hlist_node) ==
	      PAGE_SIZE << HULL_SHADOW_NODES_ORDER);

/* A leaf of the guest's that is to be shadowed. */
struct hull_shadow_leaf {
	gfn_t gfn;		/* of the page of the guest's */
	u8 rights;		/* of all its levels */
	bool write;		/* it is being written, by ... */
	bool user;
};

static inline bool hull_is_shadowed(const struct hull_mmu *mmu)
{
	return mmu->pool.hash;
}

static inline bool hull_shadow_is_direct(const struct hull_shadow *page)
{
	return page->role.mode == HULL_SHADOW_DIRECT;
}

/* The guest may write its table, or TLBs may still let it. */
static inline bool hull_shadow_is_unsync(const struct hull_shadow *page)
{
	return page->state != HULL_SHADOW_SYNCED && !hull_shadow_is_direct(page);
}

/* It or a page below is out of sync: entries that point here are marked. */
static inline bool hull_shadow_leads_on(const struct hull_shadow *page)
{
	return hull_shadow_is_unsync(page) || page->nr_marked;
}

/* Entry @i leads to a page that leads on; false: that was known. */
static inline bool hull_shadow_mark(struct hull_shadow *page, unsigned int i)
{
	if (__test_and_set_bit(i, page->marked))
		return false;
	page->nr_marked++;
	return true;
}

static inline void hull_shadow_unmark(struct hull_shadow *page, unsigned int i)
{
	if (__test_and_clear_bit(i, page->marked))
		page->nr_marked--;
}

/* Bytes of the guest's entries. */
static inline unsigned int hull_shadow_entry_size(const struct hull_shadow *page)
{
	return page->role.mode == HULL_SHADOW_32BIT ? 4 : 8;
}

/* A 4 MiB entry of a 32-bit directory takes two entries of the shadow page. */
static inline unsigned int hull_shadow_entry_shift(const struct hull_shadow *page)
{
	return page->role.mode == HULL_SHADOW_32BIT && page->role.level == 2;
}

static inline struct hlist_node *hull_shadow_node(const struct hull_shadow *page, unsigned int i)
{
	return (struct hlist_node *)page->table.side + i;
}

/* It may show a PCID what that has not seen: why, says shadow_sync.c. Under mmu->lock. */
static inline void hull_shadow_set_filled(struct hull_mmu *mmu, struct hull_shadow *page)
{
	page->filled = ++mmu->pool.fills;
}

/* Entry @i is about to be present. A table that is still being filled is not quiet. */
static inline void hull_shadow_set_entered(struct hull_shadow *page, unsigned int i)
{
	__set_bit(i, page->entered);
	page->quiet = 0;
}

/* The page that an entry which is no leaf points to. Under mmu->lock. */
static inline struct hull_shadow *hull_shadow_child(u64 spte)
{
	return container_of(hull_table_of(hull_spte_child(spte)), struct hull_shadow, table);
}

/* shadow_page.c: under mmu->lock unless said otherwise */

int hull_shadow_pool_init(struct hull_vm *vm);		/* no lock; 0 or -ENOMEM */
void hull_shadow_pool_destroy(struct hull_vm *vm);	/* no lock; no vCPU is left */
void hull_shadow_vcpu_destroy(struct hull_vcpu *vcpu);	/* no lock */
int hull_shadow_fill(struct hull_vcpu *vcpu);		/* no lock; 0 or -ENOMEM */

/* The page for (gfn, role), or NULL. */
struct hull_shadow *hull_shadow_find(struct hull_mmu *mmu, gfn_t gfn, union hull_role role);
/* A new one, from the vCPU's cache, out of sync; others may be reclaimed for it. */
struct hull_shadow *hull_shadow_create(struct hull_vcpu *vcpu, gfn_t gfn, union hull_role role);
/* The page whose node it is, and the node's number. */
struct hull_shadow *hull_shadow_of_node(const struct hlist_node *node, unsigned int *i);

void hull_shadow_link(struct hull_shadow *parent, unsigned int i, struct hull_shadow *child);
/* Forget an entry. The guest's own invalidation, or the caller, takes care of TLBs. */
void hull_shadow_drop(struct hull_shadow *page, unsigned int i);
void hull_shadow_drop_all(struct hull_shadow *page);
/* The page goes, with its entries; nobody's root. The caller flushes. */
void hull_shadow_zap(struct hull_vm *vm, struct hull_shadow *page);

/*
 * The vCPU runs on the tables of two-dimensional paging, where no guest table is write-protected:
 * none is in sync meanwhile.
 */
void hull_shadow_set_flat(struct hull_vcpu *vcpu, bool flat);
void hull_shadow_set_state(struct hull_vm *vm, struct hull_shadow *page,
			   enum hull_shadow_state state);
/* Is the frame a guest table that is write-protected? */
bool hull_shadow_is_synced(struct hull_mmu *mmu, gfn_t gfn);
/* Perhaps one of the frames that a 2 MiB page around @gfn covers is? */
bool hull_shadow_near_synced(struct hull_mmu *mmu, gfn_t gfn);
/* Frames [@start, @end) may change: tables there are out of sync from now on. */
void hull_shadow_writing(struct hull_vm *vm, gfn_t start, gfn_t end);

/* What tdp.c does to all shadows of a leaf. */
void hull_shadow_drop_chain(struct hlist_head *chain);
void hull_shadow_protect_chain(struct hlist_head *chain, u64 pfn, u64 pages);
bool hull_shadow_age_chain(struct hlist_head *chain, bool clear);

/* shadow.c, under mmu->lock */

/* The shadow entry for a leaf at @level backed by the entry @tdp at @tdp_level. */
u64 hull_shadow_encode(struct hull_vm *vm, const struct hull_shadow *page, int level,
		       const struct hull_shadow_leaf *leaf, u64 tdp, int tdp_level);
void hull_shadow_set_leaf(struct hull_shadow *page, unsigned int i, u64 spte, u64 *tdp);
/* Rights of a guest entry. */
u8 hull_shadow_rights(union hull_role role, u64 entry);
/* The last page on the way to @gva below the vCPU's root, and the entry there; NULL: no root. */
struct hull_shadow *hull_shadow_last(struct hull_vcpu *vcpu, gva_t gva, unsigned int *i);

/* The oracle, before entry, no lock: the vCPU's root is what its control registers select. */
bool hull_check_root(const struct hull_vcpu *vcpu);

/* shadow_sync.c, under mmu->lock; the vCPU's address space is current */

/*
 * Look again at what the entered entries were derived from. False: it could be read, and nothing
 * had changed.
 */
bool hull_shadow_refresh(struct hull_vm *vm, struct hull_shadow *page);
/* The same for it and all pages below: before it is linked anywhere. */
void hull_shadow_refresh_below(struct hull_vm *vm, struct hull_shadow *top);
/* Enter what the guest has used of a table: all of it, for a new page; around entry @i. */
void hull_shadow_populate(struct hull_vm *vm, struct hull_shadow *page);
void hull_shadow_populate_near(struct hull_vm *vm, struct hull_shadow *page, unsigned int i);
/* The guest's table says what the copy says, or cannot be read. */
bool hull_shadow_is_current(struct hull_vm *vm, const struct hull_shadow *page);
/*
 * The guest's entry that shadow entry @i stands for still says @entry, which a walk found; the page
 * takes note of it.
 */
bool hull_shadow_agree(struct hull_vm *vm, struct hull_shadow *page, unsigned int i, u64 entry);
/*
 * Invalidations: refresh pages that are out of sync; for INVLPG the entry of @gva and all tables
 * above the last level, else all that the vCPU's root reaches and that was filled after pool.fills
 * was @since. True: some have not changed for a
 * while, and should settle: hull_shadow_settle(), a flush of all vCPUs (of this one before it
 * enters, when it is @alone), hull_shadow_settled().
 */
bool hull_shadow_sync_address(struct hull_vcpu *vcpu, gva_t gva);
bool hull_shadow_sync(struct hull_vcpu *vcpu, u64 since);
void hull_shadow_settle(struct hull_vm *vm);
void hull_shadow_settled(struct hull_vm *vm, bool alone);

/* check_shadow.c: the oracle, under mmu->lock; the number of violations */

/* All shadow entries derived from @leaf, which maps @base at @level. */
int hull_check_chain(struct hull_vm *vm, u64 *leaf, gfn_t base, int level);
/* A page becomes in sync: other vCPUs have flushed since its table was write-protected. */
void hull_check_settled(struct hull_vm *vm, const struct hull_shadow *page);
/* All shadow pages; @host: the guest's memory can be read. May drop and take the lock. */
int hull_check_shadow(struct hull_vm *vm, bool host);

#endif
