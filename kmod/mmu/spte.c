// SPDX-License-Identifier: GPL-2.0
/*
 * Encodes entries of nested page tables; see spte.h.
 */
#include "spte.h"

#define HOST_FORMAT {							\
	.leaf = _PAGE_PRESENT | _PAGE_USER | _PAGE_ACCESSED,		\
	.table = _PAGE_PRESENT | _PAGE_RW | _PAGE_USER | _PAGE_ACCESSED, \
	.write = _PAGE_RW | _PAGE_DIRTY,				\
	.accessed = _PAGE_ACCESSED,					\
}

const struct hull_spte_format hull_host_format = HOST_FORMAT;
struct hull_spte_format hull_nested_format __ro_after_init = HOST_FORMAT;

u64 hull_spte_leaf(const struct hull_spte_format *format, u64 pfn, int level, bool write,
		   bool host_write)
{
	u64 spte = (pfn << PAGE_SHIFT) | format->leaf;

	if (write)
		spte |= format->write;
	if (host_write)
		spte |= HULL_SPTE_HOST_WRITE;
	if (level > 1)
		spte = (spte | _PAGE_PSE) & ~format->large_lacks;
	return __sme_set(spte);
}

u64 hull_spte_table(const struct hull_spte_format *format, const u64 *child)
{
	return __sme_set(__pa(child) | format->table);
}
