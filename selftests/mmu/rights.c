// SPDX-License-Identifier: GPL-2.0
/*
 * All combinations of rights of two levels, kinds of access and control bits, in 32-bit, PAE and
 * 4-level tables. What must come out is the manuals' list of what an access needs.
 */
#include "test.h"

#define ROOT	0x1000
#define UPPER	0x2000
#define LOWER	0x3000
#define TABLE	0x4000
#define PAGE	0x20000ULL

static struct memory memory;

static uint64_t rights_of(unsigned int bits)
{
	return P | (bits & 1 ? W : 0) | (bits & 2 ? U : 0) | (bits & 4 ? NX : 0);
}

/* All at index 0. */
static void map(int levels, uint64_t upper, uint64_t leaf)
{
	memset(&memory, 0, sizeof(memory));
	switch (levels) {
	case 2:
		put32(&memory, ROOT, TABLE | (uint32_t)upper);
		put32(&memory, TABLE, PAGE | (uint32_t)leaf);
		return;
	case 3:
		put64(&memory, ROOT, LOWER | P);
		break;
	case 4:
		put64(&memory, ROOT, UPPER | P | W | U);
		put64(&memory, UPPER, LOWER | P | W | U);
		break;
	}
	put64(&memory, LOWER, TABLE | upper);
	put64(&memory, TABLE, PAGE | leaf);
}

static bool allowed(const struct hull_paging *paging, uint64_t upper, uint64_t leaf,
		    uint32_t access)
{
	bool user = access & HULL_ACCESS_USER, write = access & HULL_ACCESS_WRITE;
	bool fetch = access & HULL_ACCESS_FETCH;
	bool user_page = upper & leaf & U, writable = upper & leaf & W, data = (upper | leaf) & NX;

	if (fetch && data)
		return false;
	if (user)
		return user_page && (!write || writable);
	if (write && !writable && (paging->cr0 & CR0_WP))
		return false;
	if (!user_page)
		return true;
	if (fetch)
		return !(paging->cr4 & CR4_SMEP);
	return !(paging->cr4 & CR4_SMAP) || paging->ac;
}

static bool check(int levels, const struct hull_paging *paging, uint64_t upper, uint64_t leaf,
		  uint32_t access)
{
	struct hull_walk_memory binding = memory_of(&memory);
	bool tells_fetch = (levels > 2 && (paging->efer & EFER_NXE)) || (paging->cr4 & CR4_SMEP);
	uint32_t error = 1 | (access & HULL_ACCESS_WRITE ? 2 : 0) |
			 (access & HULL_ACCESS_USER ? 4 : 0) |
			 (access & HULL_ACCESS_FETCH && tells_fetch ? 16 : 0);
	struct hull_walk walk = { 0 };
	int ret;

	map(levels, upper, leaf);
	ret = hull_walk_tables(&binding, paging, 0x123, access, false, &walk);
	if (allowed(paging, upper, leaf, access) ? !ret && walk.gpa == PAGE + 0x123 :
	    ret == -EFAULT && walk.error_code == error)
		return true;
	printf("# upper %#llx leaf %#llx access %u cr0 %#llx cr4 %#llx ac %d: %d, error %#x\n",
	       (unsigned long long)upper, (unsigned long long)leaf, access,
	       (unsigned long long)paging->cr0, (unsigned long long)paging->cr4, paging->ac, ret,
	       walk.error_code);
	return false;
}

/* @bits: 3 for rights above, 3 for those of the leaf, 3 for the access, 4 for control. */
static bool run_levels(int levels)
{
	static const uint32_t accesses[8] = {
		0, HULL_ACCESS_WRITE, HULL_ACCESS_FETCH, 0,
		HULL_ACCESS_USER, HULL_ACCESS_USER | HULL_ACCESS_WRITE,
		HULL_ACCESS_USER | HULL_ACCESS_FETCH, HULL_ACCESS_USER,
	};
	unsigned int bits;

	for (bits = 0; bits < 1 << 13; bits++) {
		struct hull_paging paging = {
			.cr0 = CR0_PG | (bits >> 9 & 1 ? CR0_WP : 0), .cr3 = ROOT,
			.cr4 = (levels > 2 ? CR4_PAE : 0) | (bits >> 10 & 1 ? CR4_SMEP : 0) |
			       (bits >> 11 & 1 ? CR4_SMAP : 0),
			.efer = EFER_NXE | (levels == 4 ? EFER_LMA : 0),
			.ac = bits >> 12 & 1, .gpa_bits = 40,
		};
		uint64_t mask = levels == 2 ? ~NX : ~0ULL;

		if (!check(levels, &paging, rights_of(bits) & mask, rights_of(bits >> 3) & mask,
			   accesses[bits >> 6 & 7]))
			return false;
	}
	return true;
}

void run_rights(void)
{
	report(run_levels(2), "all rights: 32-bit");
	report(run_levels(3), "all rights: PAE");
	report(run_levels(4), "all rights: 4-level");
}
