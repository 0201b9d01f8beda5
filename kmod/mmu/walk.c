// SPDX-License-Identifier: GPL-2.0
/*
 * The walker (walk_core.h) for any kind of memory. Pure, no locks.
 */
#include "walk_core.h"

int hull_walk_tables(const struct hull_walk_memory *memory, const struct hull_paging *paging,
		     u64 gva, u32 access, bool set_bits, struct hull_walk *walk)
{
	return walk_tables(memory, paging, gva, access, set_bits, walk);
}
