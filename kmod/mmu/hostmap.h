/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How the creator's own page tables map an address. Private to mmu/.
 */
#ifndef HULL_MMU_HOSTMAP_H
#define HULL_MMU_HOSTMAP_H

#include "../types.h"

/**
 * struct hull_host_map - a mapping of the process
 * @pfn: the page at the address asked for
 * @level: size of the mapping: 1 = 4 KiB, 2 = 2 MiB, 3 = 1 GiB
 * @write: the process may write it
 * @dirty: the process' entry is dirty: the kernel will not forget what is in the page
 */
struct hull_host_map {
	u64 pfn;
	int level;
	bool write;
	bool dirty;
};

/*
 * hull_host_lookup - read the current process' page tables without locks. False: nothing is mapped
 * at @hva at this moment. Any context. The answer is good only while no MMU notifier has spoken.
 */
bool hull_host_lookup(unsigned long hva, struct hull_host_map *map);

#endif
