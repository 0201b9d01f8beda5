/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Entries of nested page tables: how a mapping is encoded and read back. The format is data: AMD's
 * is the host's own long-mode format, where the hardware treats each guest access as one by the
 * user; Intel's EPT has bits of its own (vmx/caps.c). In both bit 0 says present, bit 1 writable,
 * bit 7 a large page, and bit 11 is free.
 *
 * Memory type, AMD: all attribute bits zero are write-back in entry 0 of the PAT, which leaves the
 * effective type to the guest's own PAT and MTRRs.
 */
#ifndef HULL_MMU_SPTE_H
#define HULL_MMU_SPTE_H

#include <linux/mem_encrypt.h>
#include <linux/mm.h>
#include <linux/pgtable.h>

#include "../types.h"

#define HULL_LEVEL_BITS		9
#define HULL_TABLE_ENTRIES	(1 << HULL_LEVEL_BITS)

/* log2 of the frames, and the frames, that an entry at @level covers; level 1 is one frame. */
#define HULL_LEVEL_SHIFT(level)	(HULL_LEVEL_BITS * ((level) - 1))
#define HULL_LEVEL_PAGES(level)	(1ULL << HULL_LEVEL_SHIFT(level))

#define HULL_MAX_LEAF_LEVEL	3	/* 1 GiB */

/*
 * The creator's address space may write this page, whatever the entry lets the guest do: a
 * read-only entry can become writable without asking for the page again. Ignored by the hardware.
 */
#define HULL_SPTE_HOST_WRITE	BIT_ULL(_PAGE_BIT_SOFTW3)

/*
 * What an unlinked table is filled with in check mode: not present in any format, and unlike
 * anything that is written by accident.
 */
#define HULL_SPTE_POISON	0x6b5a6b5a6b5a6b58ULL

#define HULL_SPTE_ADDRESS	GENMASK_ULL(51, PAGE_SHIFT)

static inline bool hull_spte_present(u64 spte)
{
	return spte & _PAGE_PRESENT;
}

static inline bool hull_spte_writable(u64 spte)
{
	return spte & _PAGE_RW;
}

static inline bool hull_spte_is_leaf(u64 spte, int level)
{
	return level == 1 || (spte & _PAGE_PSE);
}

static inline u64 hull_spte_pfn(u64 spte)
{
	return (__sme_clr(spte) & HULL_SPTE_ADDRESS) >> PAGE_SHIFT;
}

/* The table that the entry of an upper level points to. */
static inline u64 *hull_spte_child(u64 spte)
{
	return __va(hull_spte_pfn(spte) << PAGE_SHIFT);
}

/**
 * struct hull_spte_format - bits of entries
 * @leaf: of each leaf
 * @table: of an entry that points to a table; rights are decided by leaves alone
 * @write: of a leaf that the guest may write
 * @accessed: set by the hardware when it uses a leaf; 0: it says nothing
 * @large_lacks: of a leaf, but not of a large one: on CPUs that a guest could stop by the size of
 *	pages that it runs code from (iTLB multihit), what lets code run
 * @levels: of the tables, 0: as many as the host's own
 * @leaf_levels: highest level of leaves, 0: as the host's own
 */
struct hull_spte_format {
	u64 leaf;
	u64 table;
	u64 write;
	u64 accessed;
	u64 large_lacks;
	u8 levels;
	u8 leaf_levels;
};

extern const struct hull_spte_format hull_host_format;	/* what the CPU walks by CR3 */
extern struct hull_spte_format hull_nested_format;	/* __ro_after_init */

/*
 * hull_spte_leaf - map @pfn, aligned to what @level covers.
 * @write: for the guest
 * @host_write: the process may write it
 * Accessed, and dirty where writable, so that the hardware does not spend a write on them: a page
 * that the guest may write was marked dirty when it was mapped.
 */
u64 hull_spte_leaf(const struct hull_spte_format *format, u64 pfn, int level, bool write,
		   bool host_write);

/* Point to the table at @child. */
u64 hull_spte_table(const struct hull_spte_format *format, const u64 *child);

#endif
