/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Walks the guest's own page tables. Pure: plain types, and guest memory behind two callbacks, so
 * that it compiles and is tested in user space. The binding to a VM's memory is walk_vm.c.
 */
#ifndef HULL_MMU_WALK_H
#define HULL_MMU_WALK_H

#include "../emulate/types.h"
#include "hull.h"

/**
 * struct hull_paging - the part of a vCPU's state that selects its paging mode
 * @cr0: PG, WP
 * @cr3: root
 * @cr4: PSE, PAE, LA57, SMEP, SMAP, PKE
 * @efer: LMA, NXE
 * @pkru: rights of protection keys, used with CR4.PKE
 * @gpa_bits: width of the guest's physical addresses: higher address bits in an entry are
 *            reserved; 0 means 52
 * @ac: RFLAGS.AC of an explicit access: lifts SMAP. False for implicit ones (descriptor tables)
 */
struct hull_paging {
	u64 cr0;
	u64 cr3;
	u64 cr4;
	u64 efer;
	u32 pkru;
	u32 gpa_bits;
	bool ac;
};

#define HULL_WALK_LEVELS	5

/**
 * struct hull_walk - result of a walk
 * @gpa: translation, when the walk returns 0
 * @level: of the leaf: 1 = 4 KiB ...; 0: no paging
 * @error_code: of the #PF, when it returns -EFAULT
 * @levels: of the paging mode; 0: no paging
 * @entry_gpa: where the entries are, from the root down to the leaf
 * @entry: the entries, with the bits that the walk has set
 */
struct hull_walk {
	u64 gpa;
	int level;
	u32 error_code;
	int levels;
	u64 entry_gpa[HULL_WALK_LEVELS];
	u64 entry[HULL_WALK_LEVELS];
};

/**
 * struct hull_walk_memory - guest memory as the walker sees it
 * @read: read the entry of @len (4 or 8) bytes at @gpa; 0 or -errno, which ends the walk
 * @exchange: replace it by @new if it is *@old; the value found goes to *@old; 0 or -errno
 * @context: handed to both
 */
struct hull_walk_memory {
	int (*read)(void *context, u64 gpa, u64 *entry, size_t len);
	int (*exchange)(void *context, u64 gpa, u64 *old, u64 new, size_t len);
	void *context;
};

/*
 * hull_walk_tables - translate @gva, which the caller knows to be canonical, as the CPU would.
 * @access: HULL_ACCESS_*; 0 is a read by the supervisor
 * @set_bits: set accessed and dirty bits
 * Returns 0; -EFAULT: #PF with walk->error_code; -EAGAIN: the entries kept changing under the
 * walk, or what the callbacks return.
 */
int hull_walk_tables(const struct hull_walk_memory *memory, const struct hull_paging *paging,
		     u64 gva, u32 access, bool set_bits, struct hull_walk *walk);

#endif
