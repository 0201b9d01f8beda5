// SPDX-License-Identifier: GPL-2.0
/*
 * Walks with known answers: what the manuals say, in numbers.
 */
#include "test.h"

#define ROOT	0x1000
#define DIR3	0x2000
#define DIR2	0x3000
#define TABLE	0x4000
#define PAGE	0x123456000ULL
#define GVA	0x8040201abcULL		/* index 1 at each level */

static struct memory memory;

static const struct hull_paging long_mode_paging = {
	.cr0 = CR0_PG | CR0_WP, .cr3 = ROOT, .cr4 = CR4_PAE, .efer = EFER_LMA | EFER_NXE,
	.gpa_bits = 40,
};

static void map_long(uint64_t upper, uint64_t leaf)
{
	memset(&memory, 0, sizeof(memory));
	put64(&memory, ROOT + 8, DIR3 | upper);
	put64(&memory, DIR3 + 8, DIR2 | upper);
	put64(&memory, DIR2 + 8, TABLE | upper);
	put64(&memory, TABLE + 8, leaf);
}

/* Walk; the result is what is wanted. @answer: gpa, or the error code of a fault. */
static bool gives(const struct hull_paging *paging, uint64_t gva, uint32_t access, int ret,
		  uint64_t answer)
{
	struct hull_walk_memory binding = memory_of(&memory);
	struct hull_walk walk = { 0 };
	int got = hull_walk_tables(&binding, paging, gva, access, true, &walk);
	uint64_t found = got ? walk.error_code : walk.gpa;

	if (got == ret && found == answer)
		return true;
	printf("# got %d, %#llx; wanted %d, %#llx\n", got, (unsigned long long)found, ret,
	       (unsigned long long)answer);
	return false;
}

static bool no_paging(void)
{
	const struct hull_paging paging = { .cr0 = CR0_WP };

	return gives(&paging, 0xffffffff12345678, 0, 0, 0x12345678);
}

static bool plain(void)
{
	map_long(P | W | U, PAGE | P | W | U);
	return gives(&long_mode_paging, GVA, HULL_ACCESS_USER, 0, PAGE + 0xabc);
}

static bool not_present(void)
{
	map_long(P | W | U, 0);
	return gives(&long_mode_paging, GVA, HULL_ACCESS_USER | HULL_ACCESS_WRITE, -EFAULT, 6);
}

static bool table_outside_memory(void)
{
	map_long(P | W | U, 0);
	put64(&memory, DIR3 + 8, MEMORY_SIZE | P | W | U);
	return gives(&long_mode_paging, GVA, 0, -ENXIO, 0);
}

static bool write_protection(void)
{
	struct hull_paging paging = long_mode_paging;
	bool ok;

	map_long(P | W | U, PAGE | P | U);
	ok = gives(&paging, GVA, HULL_ACCESS_WRITE, -EFAULT, 3) &&
	     gives(&paging, GVA, HULL_ACCESS_WRITE | HULL_ACCESS_USER, -EFAULT, 7);
	paging.cr0 &= ~CR0_WP;
	return ok && gives(&paging, GVA, HULL_ACCESS_WRITE, 0, PAGE + 0xabc) &&
	       gives(&paging, GVA, HULL_ACCESS_WRITE | HULL_ACCESS_USER, -EFAULT, 7);
}

static bool supervisor_page(void)
{
	map_long(P | W | U, PAGE | P | W);
	return gives(&long_mode_paging, GVA, HULL_ACCESS_USER, -EFAULT, 5) &&
	       gives(&long_mode_paging, GVA, 0, 0, PAGE + 0xabc);
}

static bool upper_levels_restrict(void)
{
	map_long(P | W | U, PAGE | P | W | U);
	put64(&memory, DIR3 + 8, DIR2 | P | U | NX);
	return gives(&long_mode_paging, GVA, HULL_ACCESS_WRITE, -EFAULT, 3) &&
	       gives(&long_mode_paging, GVA, HULL_ACCESS_FETCH, -EFAULT, 0x11) &&
	       gives(&long_mode_paging, GVA, 0, 0, PAGE + 0xabc);
}

static bool no_execute_without_nxe(void)
{
	struct hull_paging paging = long_mode_paging;

	paging.efer &= ~EFER_NXE;
	map_long(P | W | U, PAGE | P | NX);
	return gives(&paging, GVA, HULL_ACCESS_FETCH, -EFAULT, 9);
}

static bool smep_and_smap(void)
{
	struct hull_paging paging = long_mode_paging;
	bool ok;

	paging.cr4 |= CR4_SMEP | CR4_SMAP;
	map_long(P | W | U, PAGE | P | W | U);
	ok = gives(&paging, GVA, HULL_ACCESS_FETCH, -EFAULT, 0x11) &&
	     gives(&paging, GVA, 0, -EFAULT, 1) &&
	     gives(&paging, GVA, HULL_ACCESS_USER | HULL_ACCESS_FETCH, 0, PAGE + 0xabc);
	paging.ac = true;
	return ok && gives(&paging, GVA, HULL_ACCESS_WRITE, 0, PAGE + 0xabc);
}

static bool address_too_wide(void)
{
	map_long(P | W | U, (1ULL << 40) | P);
	return gives(&long_mode_paging, GVA, 0, -EFAULT, 9);
}

static bool large_pages(void)
{
	bool ok;

	map_long(P | W | U, 0);
	put64(&memory, DIR2 + 8, 0x12200000 | P | PS);
	ok = gives(&long_mode_paging, GVA, 0, 0, 0x12200000 + 0x1abc);
	put64(&memory, DIR2 + 8, 0x12202000 | P | PS);
	ok = ok && gives(&long_mode_paging, GVA, 0, -EFAULT, 9);
	put64(&memory, DIR3 + 8, 0x40000000 | P | PS);
	return ok && gives(&long_mode_paging, GVA, 0, 0, 0x40000000 + 0x201abc);
}

static bool pse36(void)
{
	struct hull_paging paging = {
		.cr0 = CR0_PG, .cr3 = ROOT, .cr4 = CR4_PSE, .gpa_bits = 40,
	};
	bool ok;

	memset(&memory, 0, sizeof(memory));
	put32(&memory, ROOT + 4, 0x00800000 | 0x5a << 13 | P | PS | W);
	ok = gives(&paging, 0x00412345, 0, 0, 0x5a00812345);
	paging.gpa_bits = 36;
	ok = ok && gives(&paging, 0x00412345, 0, -EFAULT, 9);
	/* Without PSE the same entry points to a table, which is not in memory. */
	paging.cr4 = 0;
	return ok && gives(&paging, 0x00412345, 0, -ENXIO, 0);
}

static bool pae_root_entries(void)
{
	struct hull_paging paging = {
		.cr0 = CR0_PG | CR0_WP, .cr3 = ROOT + 0x20, .cr4 = CR4_PAE, .gpa_bits = 40,
	};
	bool ok;

	memset(&memory, 0, sizeof(memory));
	put64(&memory, ROOT + 0x20 + 8, DIR2 | P);
	put64(&memory, DIR2 + 8, PAGE >> 21 << 21 | P | W | U | PS);
	ok = gives(&paging, 0x40201abc, HULL_ACCESS_USER | HULL_ACCESS_WRITE, 0,
		   (PAGE >> 21 << 21) + 0x1abc);
	ok = ok && get64(&memory, ROOT + 0x20 + 8) == (DIR2 | P);
	put64(&memory, ROOT + 0x20 + 8, DIR2 | P | W);
	return ok && gives(&paging, 0x40201abc, 0, -EFAULT, 9);
}

static bool accessed_and_dirty(void)
{
	bool ok;

	map_long(P | W | U, PAGE | P | W | U);
	memory.exchanges = 0;
	ok = gives(&long_mode_paging, GVA, 0, 0, PAGE + 0xabc) && memory.exchanges == 4;
	ok = ok && get64(&memory, ROOT + 8) == (DIR3 | P | W | U | A) &&
	     get64(&memory, TABLE + 8) == (PAGE | P | W | U | A);
	ok = ok && gives(&long_mode_paging, GVA, HULL_ACCESS_WRITE, 0, PAGE + 0xabc) &&
	     memory.exchanges == 5;
	ok = ok && get64(&memory, DIR2 + 8) == (TABLE | P | W | U | A) &&
	     get64(&memory, TABLE + 8) == (PAGE | P | W | U | A | D);
	/* All set: nothing is written. */
	return ok && gives(&long_mode_paging, GVA, HULL_ACCESS_WRITE, 0, PAGE + 0xabc) &&
	       memory.exchanges == 5;
}

static void move_page(struct memory *of, uint64_t gpa)
{
	(void)gpa;
	of->before_exchange = NULL;
	put64(of, TABLE + 8, (PAGE + 0x1000) | P | W | U);
}

static void never_settle(struct memory *of, uint64_t gpa)
{
	put64(of, gpa, get64(of, gpa) ^ (1ULL << 9));
}

static bool entry_changes_under_the_walk(void)
{
	bool ok;

	/* The upper levels have their accessed bit: the first exchange is the leaf's. */
	map_long(P | W | U | A, PAGE | P | W | U);
	memory.before_exchange = move_page;
	ok = gives(&long_mode_paging, GVA, 0, 0, PAGE + 0x1abc);
	map_long(P | W | U | A, PAGE | P | W | U);
	memory.before_exchange = never_settle;
	ok = ok && gives(&long_mode_paging, GVA, 0, -EAGAIN, 0);
	memory.before_exchange = NULL;
	return ok;
}

static bool protection_keys(void)
{
	struct hull_paging paging = long_mode_paging;
	bool ok;

	paging.cr4 |= CR4_PKE;
	paging.pkru = 2 << 6;	/* key 3: no writes */
	map_long(P | W | U, PAGE | P | W | U | 3ULL << 59);
	ok = gives(&paging, GVA, HULL_ACCESS_USER, 0, PAGE + 0xabc) &&
	     gives(&paging, GVA, HULL_ACCESS_USER | HULL_ACCESS_WRITE, -EFAULT, 0x27);
	paging.pkru = 1 << 6;	/* no access */
	return ok && gives(&paging, GVA, 0, -EFAULT, 0x21) &&
	       gives(&paging, GVA, HULL_ACCESS_USER | HULL_ACCESS_FETCH, 0, PAGE + 0xabc);
}

static bool five_levels(void)
{
	struct hull_paging paging = long_mode_paging;
	const uint64_t gva = GVA | 2ULL << 48;
	bool ok;

	paging.cr4 |= CR4_LA57;
	paging.cr3 = 0x5000;
	map_long(P | W | U, PAGE | P | W | U);
	put64(&memory, 0x5000 + 2 * 8, ROOT | P | W | U);
	ok = gives(&paging, gva, HULL_ACCESS_USER | HULL_ACCESS_WRITE, 0, PAGE + 0xabc) &&
	     get64(&memory, 0x5000 + 2 * 8) == (ROOT | P | W | U | A);
	/* Each of the two upper levels denies, and has no large pages. */
	put64(&memory, 0x5000 + 2 * 8, ROOT | P | W);
	ok = ok && gives(&paging, gva, HULL_ACCESS_USER, -EFAULT, 5);
	put64(&memory, 0x5000 + 2 * 8, ROOT | P | W | U | PS);
	ok = ok && gives(&paging, gva, 0, -EFAULT, 9);
	put64(&memory, 0x5000 + 2 * 8, ROOT | P | W | U);
	put64(&memory, ROOT + 8, DIR3 | P | W | U | PS);
	return ok && gives(&paging, gva, 0, -EFAULT, 9);
}

/* Where the entries are and what they became. */
static bool the_way_is_told(void)
{
	struct hull_walk_memory binding = memory_of(&memory);
	struct hull_walk walk = { 0 };

	map_long(P | W | U, PAGE | P | W | U);
	if (hull_walk_tables(&binding, &long_mode_paging, GVA, HULL_ACCESS_WRITE, true, &walk))
		return false;
	return walk.levels == 4 && walk.level == 1 && walk.entry_gpa[0] == ROOT + 8 &&
	       walk.entry_gpa[3] == TABLE + 8 && walk.entry[0] == (DIR3 | P | W | U | A) &&
	       walk.entry[3] == (PAGE | P | W | U | A | D);
}

/* Every reserved bit of every level of 4-level tables, one at a time; others change nothing. */
static bool reserved_bits_of_each_level(void)
{
	const uint64_t at[4] = { ROOT + 8, DIR3 + 8, DIR2 + 8, TABLE + 8 };
	int level, bit;

	for (level = 0; level < 4; level++) {
		for (bit = 7; bit < 63; bit++) {
			bool reserved = (bit >= 40 && bit < 52) || (bit == 7 && level == 0);

			/* Address bits, and the one that makes it a large page */
			if ((bit >= 12 && bit < 40) || (bit == 7 && (level == 1 || level == 2)))
				continue;
			map_long(P | W | U, PAGE | P | W | U);
			put64(&memory, at[level], get64(&memory, at[level]) | 1ULL << bit);
			if (!gives(&long_mode_paging, GVA, HULL_ACCESS_USER,
				   reserved ? -EFAULT : 0, reserved ? 0xd : PAGE + 0xabc)) {
				printf("# level %d, bit %d\n", 4 - level, bit);
				return false;
			}
		}
	}
	return true;
}

/* What faults sets no bit in what maps the page, and nothing at all when asked not to. */
static bool faults_leave_bits_alone(void)
{
	struct hull_walk_memory binding = memory_of(&memory);
	struct hull_walk walk;
	bool ok;

	map_long(P | W | U, PAGE | P | U);
	ok = gives(&long_mode_paging, GVA, HULL_ACCESS_WRITE, -EFAULT, 3) &&
	     get64(&memory, TABLE + 8) == (PAGE | P | U);
	memory.exchanges = 0;
	ok = ok && !hull_walk_tables(&binding, &long_mode_paging, GVA, 0, false, &walk);
	return ok && !memory.exchanges && get64(&memory, ROOT + 8) == (DIR3 | P | W | U);
}

static const struct {
	bool (*run)(void);
	const char *name;
} cases[CASES] = {
	{ no_paging, "no paging: the address, 32 bits of it" },
	{ plain, "4-level translation" },
	{ not_present, "not present" },
	{ table_outside_memory, "a table outside of memory" },
	{ write_protection, "CR0.WP" },
	{ supervisor_page, "supervisor page" },
	{ upper_levels_restrict, "rights of upper levels" },
	{ no_execute_without_nxe, "NX is reserved without EFER.NXE" },
	{ smep_and_smap, "SMEP, SMAP and AC" },
	{ address_too_wide, "address bits beyond the width are reserved" },
	{ large_pages, "2 MiB and 1 GiB pages" },
	{ pse36, "4 MiB pages with PSE-36" },
	{ pae_root_entries, "root entries of PAE" },
	{ accessed_and_dirty, "accessed and dirty bits" },
	{ entry_changes_under_the_walk, "an entry changes under the walk" },
	{ protection_keys, "protection keys" },
	{ five_levels, "5-level translation" },
	{ the_way_is_told, "the entries on the way" },
	{ reserved_bits_of_each_level, "each reserved bit of each level" },
	{ faults_leave_bits_alone, "faults leave the leaf's bits alone" },
};

void run_cases(void)
{
	unsigned int i;

	for (i = 0; i < CASES; i++)
		report(cases[i].run(), cases[i].name);
}
