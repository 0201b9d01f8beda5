// SPDX-License-Identifier: GPL-2.0
/*
 * The second opinion on page-table walks: each paging mode spelled out by hand, as dull as
 * possible, with nothing shared between modes but the end.
 */
#include "test.h"

struct leaf {
	uint64_t gpa;
	int level;
	bool user, writable, no_execute;
	unsigned int key;
	uint64_t at[5];		/* addresses of the entries that carry an accessed bit */
	int entries;
	size_t size;
};

enum outcome { FOUND, NOT_PRESENT, RESERVED, NO_MEMORY };

static bool load(const struct memory *memory, uint64_t gpa, size_t size, uint64_t *entry)
{
	*entry = 0;
	if (gpa + size > MEMORY_SIZE)
		return false;
	memcpy(entry, memory->bytes + gpa, size);
	return true;
}

static bool too_wide(const struct hull_paging *paging, uint64_t entry)
{
	unsigned int width = paging->gpa_bits ? paging->gpa_bits : 52;
	unsigned int bit;

	for (bit = width; bit < 52; bit++) {
		if (entry & (1ULL << bit))
			return true;
	}
	return false;
}

static void note(struct leaf *leaf, uint64_t at, uint64_t entry)
{
	leaf->at[leaf->entries++] = at;
	leaf->user = leaf->user && (entry & U);
	leaf->writable = leaf->writable && (entry & W);
	leaf->no_execute = leaf->no_execute || (entry & NX);
}

static enum outcome walk_32(const struct memory *memory, const struct hull_paging *paging,
			    uint32_t gva, struct leaf *leaf)
{
	uint64_t at = (paging->cr3 & 0xfffff000) + 4 * (gva / 0x400000);
	uint64_t entry;

	leaf->size = 4;
	if (!load(memory, at, 4, &entry))
		return NO_MEMORY;
	if (!(entry & P))
		return NOT_PRESENT;
	if ((entry & PS) && (paging->cr4 & CR4_PSE)) {
		uint64_t high = (entry >> 13) & 0xff;

		if (entry & (1 << 21))
			return RESERVED;
		if (too_wide(paging, high << 32))
			return RESERVED;
		note(leaf, at, entry);
		leaf->gpa = (high << 32) + (entry & 0xffc00000) + gva % 0x400000;
		leaf->level = 2;
		return FOUND;
	}
	note(leaf, at, entry);
	at = (entry & 0xfffff000) + 4 * ((gva / 0x1000) % 1024);
	if (!load(memory, at, 4, &entry))
		return NO_MEMORY;
	if (!(entry & P))
		return NOT_PRESENT;
	note(leaf, at, entry);
	leaf->gpa = (entry & 0xfffff000) + gva % 0x1000;
	leaf->level = 1;
	return FOUND;
}

/* The last two levels of PAE and of the long modes. */
static enum outcome walk_2m(const struct memory *memory, const struct hull_paging *paging,
			    uint64_t table, uint64_t gva, bool is_long, struct leaf *leaf)
{
	uint64_t at = table + 8 * ((gva / 0x200000) % 512);
	int level;

	for (level = 2; level >= 1; level--) {
		uint64_t entry;

		if (!load(memory, at, 8, &entry))
			return NO_MEMORY;
		if (!(entry & P))
			return NOT_PRESENT;
		if (too_wide(paging, entry))
			return RESERVED;
		if (!is_long && (entry & 0x7ff0000000000000))
			return RESERVED;
		if ((entry & NX) && !(paging->efer & EFER_NXE))
			return RESERVED;
		if (level == 2 && (entry & PS) && (entry & 0x1fe000))
			return RESERVED;
		note(leaf, at, entry);
		leaf->key = (entry >> 59) % 16;
		leaf->level = level;
		if (level == 2 && (entry & PS)) {
			leaf->gpa = (entry & 0xfffffffe00000) + gva % 0x200000;
			return FOUND;
		}
		if (level == 1) {
			leaf->gpa = (entry & 0xffffffffff000) + gva % 0x1000;
			return FOUND;
		}
		at = (entry & 0xffffffffff000) + 8 * ((gva / 0x1000) % 512);
	}
	return NOT_PRESENT;
}

static enum outcome walk_pae(const struct memory *memory, const struct hull_paging *paging,
			     uint32_t gva, struct leaf *leaf)
{
	uint64_t entry;

	leaf->size = 8;
	if (!load(memory, (paging->cr3 & 0xffffffe0) + 8 * (gva >> 30), 8, &entry))
		return NO_MEMORY;
	if (!(entry & P))
		return NOT_PRESENT;
	if ((entry & 0xfff00000000001c6) || too_wide(paging, entry))
		return RESERVED;
	return walk_2m(memory, paging, entry & 0xffffffffff000, gva, false, leaf);
}

static enum outcome walk_long(const struct memory *memory, const struct hull_paging *paging,
			      uint64_t gva, struct leaf *leaf)
{
	uint64_t table = paging->cr3 & 0xffffffffff000;
	int level;

	leaf->size = 8;
	for (level = (paging->cr4 & CR4_LA57) ? 5 : 4; level >= 3; level--) {
		uint64_t at = table + 8 * ((gva >> (9 * level + 3)) % 512);
		uint64_t entry;

		if (!load(memory, at, 8, &entry))
			return NO_MEMORY;
		if (!(entry & P))
			return NOT_PRESENT;
		if (too_wide(paging, entry) || ((entry & NX) && !(paging->efer & EFER_NXE)))
			return RESERVED;
		if (level > 3 && (entry & PS))
			return RESERVED;
		if (level == 3 && (entry & PS) && (entry & 0x3fffe000))
			return RESERVED;
		note(leaf, at, entry);
		if (level == 3 && (entry & PS)) {
			leaf->key = (entry >> 59) % 16;
			leaf->gpa = (entry & 0xfffffc0000000) + gva % 0x40000000;
			leaf->level = 3;
			return FOUND;
		}
		table = entry & 0xffffffffff000;
	}
	return walk_2m(memory, paging, table, gva, true, leaf);
}

static bool key_denies(const struct hull_paging *paging, const struct leaf *leaf, bool user,
		       bool write, bool fetch)
{
	unsigned int rights = (paging->pkru >> (2 * leaf->key)) & 3;

	if (!(paging->cr4 & CR4_PKE) || !(paging->efer & EFER_LMA) || !leaf->user || fetch)
		return false;
	if (rights & 1)
		return true;
	if (!(rights & 2) || !write)
		return false;
	return user || (paging->cr0 & CR0_WP);
}

/* 0, or error bits. */
static uint32_t denied(const struct hull_paging *paging, const struct leaf *leaf, uint32_t access)
{
	bool user = access & HULL_ACCESS_USER;
	bool write = access & HULL_ACCESS_WRITE;
	bool fetch = access & HULL_ACCESS_FETCH;

	if (user) {
		if (!leaf->user || (write && !leaf->writable) || (fetch && leaf->no_execute))
			return 1;
	} else {
		if (write && !leaf->writable && (paging->cr0 & CR0_WP))
			return 1;
		if (fetch && leaf->no_execute)
			return 1;
		if (fetch && leaf->user && (paging->cr4 & CR4_SMEP))
			return 1;
		if (!fetch && leaf->user && (paging->cr4 & CR4_SMAP) && !paging->ac)
			return 1;
	}
	return key_denies(paging, leaf, user, write, fetch) ? 0x21 : 0;
}

static void set_bits_of(struct memory *memory, const struct leaf *leaf, bool write)
{
	int i;

	for (i = 0; i < leaf->entries; i++) {
		uint8_t *low = memory->bytes + leaf->at[i];

		*low |= A;
		if (write && i == leaf->entries - 1)
			*low |= D;
	}
}

static int page_fault(const struct hull_paging *paging, uint32_t access, uint32_t error,
		      struct hull_walk *walk)
{
	bool nx = (paging->efer & EFER_NXE) && (paging->cr4 & CR4_PAE);

	walk->error_code = error;
	walk->error_code += access & HULL_ACCESS_WRITE ? 2 : 0;
	walk->error_code += access & HULL_ACCESS_USER ? 4 : 0;
	if ((access & HULL_ACCESS_FETCH) && (nx || (paging->cr4 & CR4_SMEP)))
		walk->error_code += 0x10;
	return -EFAULT;
}

int reference_walk(struct memory *memory, const struct hull_paging *paging, uint64_t gva,
		   uint32_t access, bool set_bits, struct hull_walk *walk)
{
	struct leaf leaf = { .user = true, .writable = true };
	enum outcome outcome;
	uint32_t error;

	walk->error_code = 0;
	if (!(paging->cr0 & CR0_PG)) {
		walk->gpa = (uint32_t)gva;
		walk->level = 0;
		return 0;
	}
	if (paging->efer & EFER_LMA)
		outcome = walk_long(memory, paging, gva, &leaf);
	else if (paging->cr4 & CR4_PAE)
		outcome = walk_pae(memory, paging, gva, &leaf);
	else
		outcome = walk_32(memory, paging, gva, &leaf);

	if (outcome == NO_MEMORY)
		return -ENXIO;
	if (outcome != FOUND)
		return page_fault(paging, access, outcome == RESERVED ? 9 : 0, walk);
	error = denied(paging, &leaf, access);
	if (error)
		return page_fault(paging, access, error, walk);
	if (set_bits)
		set_bits_of(memory, &leaf, access & HULL_ACCESS_WRITE);
	walk->gpa = leaf.gpa;
	walk->level = leaf.level;
	return 0;
}
