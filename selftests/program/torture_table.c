// SPDX-License-Identifier: GPL-2.0
/*
 * The tables, the model of them, and the walk in software. See torture.h.
 */
#include "torture.h"

#define FIXED_BITS	(BIT_P | BIT_W | BIT_U | BIT_A | BIT_D)
#define LEAF_BITS	(BIT_P | BIT_W | BIT_A | BIT_D)

entry_t model[POOL_COUNT][SLOTS];
word roots[ROOTS];

extern const char user_page[];

/* ---- entries -------------------------------------------------------------------------------- */

bool in_pool(uint64_t gpa)
{
	return gpa >= POOL_TABLES && gpa < POOL_END;
}

bool is_usable(uint64_t gpa)
{
	uint32_t table = (gpa - POOL_TABLES) / 4096;

	if (!in_pool(gpa))
		return false;
	/* Roots are the first ones of the pool, but for PAE. */
	return LEVELS == 3 || table >= ROOTS || gpa % 4096 / sizeof(entry_t) >= FIXED_SLOTS;
}

entry_t get_entry(uint32_t gpa)
{
	return *(volatile entry_t *)(word)gpa;
}

/* An entry of PAE's root has no accessed bit, but QEMU sets it. */
static entry_t get_root_entry(uint32_t gpa)
{
	return get_entry(gpa) & ~(entry_t)BIT_A;
}

static entry_t *model_of(uint32_t gpa)
{
	return &model[(gpa - POOL_TABLES) / 4096][gpa % 4096 / sizeof(entry_t)];
}

static void put_entry(uint32_t gpa, entry_t entry)
{
#if LEVELS == 3
	volatile uint32_t *half = (volatile uint32_t *)(word)gpa;

	if (half[1] != entry >> 32) {
		half[0] = 0;
		half[1] = entry >> 32;
	}
	half[0] = entry;
#else
	*(volatile entry_t *)(word)gpa = entry;
#endif
}

bool set_entry(uint32_t gpa, entry_t entry)
{
	entry_t old = get_entry(gpa);

	put_entry(gpa, entry);
	*model_of(gpa) = entry;
	torture->changes++;
	return (old & BIT_P) && old != entry;
}

void set_root_entry(uint32_t gpa, entry_t entry)
{
	put_entry(gpa, entry);
}

void note_entry(uint32_t gpa, entry_t entry)
{
	*model_of(gpa) = entry;
}

/* ---- what never changes --------------------------------------------------------------------- */

static void map_low_part(uint32_t table, uint32_t end)
{
	uint32_t gpa;

	for (gpa = 0; gpa < end; gpa += 4096) {
		entry_t entry = gpa | LEAF_BITS;

		if (gpa == (word)user_page)
			entry = gpa | BIT_P | BIT_U | BIT_A;
		if (gpa >= HAMMER_GVA && gpa < HAMMER_GVA + HAMMERS * 4096)
			entry += HAMMER_FRAMES - HAMMER_GVA;
		put_entry(table + (gpa >> 12) * sizeof(entry_t), entry);
	}
}

/* The first 8 MiB: small pages, then large ones; and the entries that roots have for them. */
static void build_fixed(void)
{
	uint32_t table = FIXED_TABLES, dir = FIXED_TABLES + 0x1000, upper = FIXED_TABLES + 0x2000;
	uint32_t slot;

	map_low_part(table, 1U << LEVEL_SHIFT(2));
	if (LEVELS == 2)
		return;
	put_entry(dir, table | FIXED_BITS);
	for (slot = 1; slot < 4; slot++)
		put_entry(dir + slot * sizeof(entry_t), slot << 21 | LEAF_BITS | BIT_PS);
	put_entry(upper, dir | FIXED_BITS);
	put_entry(upper + 0x1000, upper | FIXED_BITS);
}

static void build_root(unsigned int i)
{
	uint32_t root = POOL_TABLES + i * 4096, slot;

	switch (LEVELS) {
	case 2:
		put_entry(root, FIXED_TABLES | FIXED_BITS);
		put_entry(root + sizeof(entry_t), 0x400000 | LEAF_BITS | BIT_PS);
		break;
	case 3:
		root = FIXED_ROOTS + i * 32;
		put_entry(root, (FIXED_TABLES + 0x1000) | BIT_P);
		for (slot = 1; slot < 4; slot++)
			put_entry(root + slot * sizeof(entry_t),
				  (POOL_TABLES + (i * 3 + slot) * 4096) | BIT_P);
		break;
	default:
		put_entry(root, (FIXED_TABLES + (LEVELS - 2) * 0x1000) | FIXED_BITS);
		break;
	}
	roots[i] = root;
	if (LEVELS == 3)
		return;
	for (slot = 0; slot < FIXED_SLOTS; slot++)
		model[i][slot] = get_entry(root + slot * sizeof(entry_t));
}

static void fill_data(void)
{
	static const uint16_t offsets[] = { 0, 8, 0x800, 0xff8 };
	uint32_t page, i;

	for (page = PROGRAM_DATA; page < PROGRAM_END; page += 4096) {
		for (i = 0; i < 4; i++)
			*(volatile uint32_t *)(word)(page + offsets[i]) = page + offsets[i];
		/* NOP; INT: even, too */
		*(volatile uint32_t *)(word)(page + 0x100) = 0x80cd90;
	}
}

void build_tables(void)
{
	unsigned int i;

	fill_data();
	build_fixed();
	for (i = 0; i < ROOTS; i++)
		build_root(i);
	for (i = 0; i < 40 * POOL_COUNT; i++)
		set_entry(random_slot(), random_entry());
}

/* ---- the walk ------------------------------------------------------------------------------- */

static bool is_leaf(int level, entry_t entry)
{
	if (level == 1)
		return true;
	return level <= (LEVELS >= 4 ? 3 : 2) && (entry & BIT_PS);
}

static entry_t reserved_bits(int level, bool leaf)
{
	entry_t bits = 0;

#if LEVELS > 2
	bits = BIT_RESERVED;
#endif
	if (leaf && level > 1)
		bits |= LEVELS == 2 ? 1 << 21 : (1U << LEVEL_SHIFT(level)) - (1 << 13);
	if (level >= 4)
		bits |= BIT_PS;
	return bits;
}

static uint32_t access_bits(unsigned int kind)
{
	unsigned int what = kind & 3;

	return (what == ACCESS_WRITE || what == ACCESS_LOCKED ? 2 : 0) |
	       (kind & ACCESS_USER ? 4 : 0) |
	       (what == ACCESS_FETCH && (LEVELS > 2 || (get_cr4() & CR4_SMEP)) ? 16 : 0);
}

static bool is_denied(entry_t rights, unsigned int kind)
{
	bool user = kind & ACCESS_USER, fetch = (kind & 3) == ACCESS_FETCH;
	bool write = access_bits(kind) & 2;

	if (user && !(rights & BIT_U))
		return true;
	if (write && !(rights & BIT_W) && (user || (get_cr0() & CR0_WP)))
		return true;
	if (fetch && (rights & BIT_NX))
		return true;
	if (user || !(rights & BIT_U))
		return false;
	if (fetch)
		return get_cr4() & CR4_SMEP;
	return (get_cr4() & CR4_SMAP) && !(kind & ACCESS_AC);
}

static void end_by_fault(struct walk *walk, unsigned int kind, uint32_t cause)
{
	walk->fault = true;
	walk->error = access_bits(kind) | cause;
}

void walk(struct walk *walk, word cr3, word gva, unsigned int kind)
{
	entry_t rights = BIT_W | BIT_U, entry;
	uint64_t table = LEVELS == 4 ? cr3 & ~0xfffUL : cr3, mask;
	int level;

	walk->depth = 0;
	walk->fault = false;
	for (level = LEVELS;; level--) {
		bool is_pae_root = LEVELS == 3 && level == 3;

		/* Addresses of 32 bits have no more than four entries there. */
		walk->at[walk->depth] = table +
					(gva >> LEVEL_SHIFT(level)) % SLOTS * sizeof(entry_t);
		entry = is_pae_root ? get_root_entry(walk->at[walk->depth]) :
				      get_entry(walk->at[walk->depth]);
		walk->entry[walk->depth++] = entry;
		if (!(entry & BIT_P))
			return end_by_fault(walk, kind, 0);
		if (is_pae_root) {
			table = entry & 0xfffff000;
			continue;
		}
		if (entry & reserved_bits(level, is_leaf(level, entry)))
			return end_by_fault(walk, kind, 9);
		rights = (rights & (entry | BIT_NX)) | (entry & BIT_NX);
		if (is_leaf(level, entry))
			break;
		table = entry & 0xfffff000;
	}
	if (is_denied(rights, kind))
		end_by_fault(walk, kind, 1);
	mask = (1ULL << LEVEL_SHIFT(level)) - 1;
	/* Bits 13 to 20 of a large page in 32-bit paging are zero here. */
	walk->gpa = (entry & 0xfffff000 & ~mask) | (gva & mask);
}

/* ---- the model ------------------------------------------------------------------------------ */

/* Tables are what was written to them, and what accesses have added, which are in the model. */
void check_tables(void)
{
	entry_t extra = has_flag(TORTURE_SECOND) ? BITS_SHARED : BIT_A;
	uint32_t table, slot;

	for (table = 0; table < POOL_COUNT; table++) {
		for (slot = 0; slot < SLOTS; slot++) {
			uint32_t gpa = POOL_TABLES + table * 4096 + slot * sizeof(entry_t);
			entry_t found = get_entry(gpa), wanted = model[table][slot];

			if (found == wanted)
				continue;
			/* Bits may be set by someone else, the second vCPU clears AVL's. */
			if (((found ^ wanted) & ~extra) || (wanted & ~found & ~BITS_AVL & extra))
				fail(FAILURE_TABLE, 0, found, wanted, gpa);
			if (!has_flag(TORTURE_SECOND))
				torture->extra++;
			model[table][slot] = found;
		}
	}
}
