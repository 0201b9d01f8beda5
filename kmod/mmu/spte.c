// SPDX-License-Identifier: GPL-2.0
/*
 * Encodes entries of nested page tables; see spte.h.
 */
#include "spte.h"

u64 hull_spte_leaf(u64 pfn, int level, bool write, bool host_write)
{
	u64 spte = (pfn << PAGE_SHIFT) | _PAGE_PRESENT | _PAGE_USER | _PAGE_ACCESSED;

	if (write)
		spte |= _PAGE_RW | _PAGE_DIRTY;
	if (host_write)
		spte |= HULL_SPTE_HOST_WRITE;
	if (level > 1)
		spte |= _PAGE_PSE;
	return __sme_set(spte);
}

u64 hull_spte_table(const u64 *child)
{
	/* Rights are decided by leaves alone. */
	return __sme_set(__pa(child) | _PAGE_PRESENT | _PAGE_RW | _PAGE_USER | _PAGE_ACCESSED);
}
