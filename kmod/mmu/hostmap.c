// SPDX-License-Identifier: GPL-2.0
/*
 * Reads the current process' page tables: how large a mapping is and whether it is writable. The
 * size of the page itself does not tell: a process may map a part of a huge page, with other
 * rights for each piece.
 *
 * No locks: as in the kernel's own lockless lookup, interrupts are off, so that tables cannot be
 * freed under the walk (freeing waits for an interrupt on, or an RCU grace period of, each CPU that
 * uses the address space). Entries are read once.
 */
#include <linux/irqflags.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sched.h>

#include "hostmap.h"

static bool found(struct hull_host_map *map, int level, u64 pfn, bool write, bool dirty)
{
	map->level = level;
	map->pfn = pfn;
	map->write = write;
	map->dirty = dirty;
	return true;
}

static bool lookup_pte(pmd_t pmd, unsigned long hva, struct hull_host_map *map)
{
	pte_t pte = READ_ONCE(*pte_offset_kernel(&pmd, hva));

	if (!pte_present(pte))
		return false;
	return found(map, 1, pte_pfn(pte), pte_write(pte), pte_dirty(pte));
}

static bool lookup_pmd(pud_t pud, unsigned long hva, struct hull_host_map *map)
{
	pmd_t pmd = READ_ONCE(*pmd_offset(&pud, hva));

	if (pmd_none(pmd) || !pmd_present(pmd))
		return false;
	if (pmd_leaf(pmd))
		return found(map, 2, pmd_pfn(pmd) + ((hva & ~PMD_MASK) >> PAGE_SHIFT),
			     pmd_write(pmd), pmd_dirty(pmd));
	return lookup_pte(pmd, hva, map);
}

static bool lookup_pud(p4d_t p4d, unsigned long hva, struct hull_host_map *map)
{
	pud_t pud = READ_ONCE(*pud_offset(&p4d, hva));

	if (pud_none(pud) || !pud_present(pud))
		return false;
	if (pud_leaf(pud))
		return found(map, 3, pud_pfn(pud) + ((hva & ~PUD_MASK) >> PAGE_SHIFT),
			     pud_write(pud), pud_dirty(pud));
	return lookup_pmd(pud, hva, map);
}

bool hull_host_lookup(unsigned long hva, struct hull_host_map *map)
{
	unsigned long flags;
	bool present = false;
	pgd_t pgd;
	p4d_t p4d;

	local_irq_save(flags);
	pgd = READ_ONCE(*pgd_offset(current->mm, hva));
	if (pgd_none(pgd) || !pgd_present(pgd))
		goto out;
	p4d = READ_ONCE(*p4d_offset(&pgd, hva));
	if (p4d_none(p4d) || !p4d_present(p4d))
		goto out;
	present = lookup_pud(p4d, hva, map);
out:
	local_irq_restore(flags);
	return present;
}
