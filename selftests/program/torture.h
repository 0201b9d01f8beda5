/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The torture guest: random changes of live page tables, each followed by what the manuals ask for
 * to make it seen, and accesses whose outcome a walk in software foretells. Built for each format:
 * LEVELS is 2 (32-bit with PSE), 3 (PAE), 4 or 5.
 *
 * Tables of the pool are used at any level, shared, seen as data, made roots. Only a few slots of
 * each are used, so that random addresses meet. Data pages taken for tables have no entry present:
 * all their words are even. The program itself runs in a part of each root that never changes.
 */
#ifndef SELFTESTS_PROGRAM_TORTURE_H
#define SELFTESTS_PROGRAM_TORTURE_H

#include "probe.h"
#include "torture_shared.h"

#define BIT_P		1U
#define BIT_W		2U
#define BIT_U		4U
#define BIT_A		0x20U
#define BIT_D		0x40U
#define BIT_PS		0x80U
#define BIT_G		0x100U
#define BITS_AVL	0xe00U
/* What the second vCPU may change at any time */
#define BITS_SHARED	(BIT_A | BIT_D | BITS_AVL)

#define CR0_WP		(1U << 16)
#define CR0_PG		(1U << 31)
#define CR4_PSE		(1U << 4)
#define CR4_PAE		(1U << 5)
#define CR4_PGE		(1U << 7)
#define CR4_PCIDE	(1U << 17)
#define CR4_SMEP	(1U << 20)
#define CR4_SMAP	(1U << 21)

#if LEVELS == 2
typedef uint32_t entry_t;
#define INDEX_BITS	10
#define BIT_NX		0
#define FIXED_SLOTS	2		/* of a root: the first 8 MiB */
#else
typedef uint64_t entry_t;
#define INDEX_BITS	9
#define BIT_NX		(1ULL << 63)
#define BIT_RESERVED	(1ULL << 51)
#define FIXED_SLOTS	1
#endif

#define SLOTS		(1U << INDEX_BITS)

/* What an entry of @level (1: the last) maps is 1 << LEVEL_SHIFT(level) bytes. */
#define LEVEL_SHIFT(level)	(12 + ((level) - 1) * INDEX_BITS)

/**
 * struct walk - an address looked up by software
 * @depth: entries met
 * @at: where they are
 * @entry: what was there
 * @fault: it ends in a #PF
 * @error: with this error code
 * @gpa: where it leads to
 */
struct walk {
	int depth;
	uint32_t at[LEVELS];
	entry_t entry[LEVELS];
	bool fault;
	uint32_t error;
	uint64_t gpa;
};

#define torture	((struct torture *)PROGRAM_SHARED)

/* torture_table.c: the tables and the model of them */
extern entry_t model[POOL_COUNT][SLOTS];
extern word roots[ROOTS];

void build_tables(void);
bool in_pool(uint64_t gpa);
/* May entries there be changed? Not those that map the program. */
bool is_usable(uint64_t gpa);
entry_t get_entry(uint32_t gpa);
/* Writes it, also to the model. True when translations of the old one may be cached. */
bool set_entry(uint32_t gpa, entry_t entry);
/* An entry of PAE's root, which has no model. */
void set_root_entry(uint32_t gpa, entry_t entry);
/* The model's alone: somebody else has written it. */
void note_entry(uint32_t gpa, entry_t entry);
void walk(struct walk *walk, word cr3, word gva, unsigned int kind);
void check_tables(void);

/* torture_random.c */
uint32_t random32(void);
void random_seed(uint64_t seed);
word random_address(void);
entry_t random_entry(void);
/* An entry of the pool that may be changed. */
uint32_t random_slot(void);

/* torture.c */
#define RECENT	16
extern word recent[RECENT];
/* Two that the module keeps in the same place, and one with the highest bit. */
#define PCIDS	4
extern const uint16_t pcids[PCIDS];
void enable_paging(void);
/* The second vCPU reads wherever it likes; may fault. */
void read_anywhere(word gva);

/* torture_smp.c: what the two vCPUs do with each other */
void release_second(void);
/* Let the other vCPU get on. */
void give_way(void);
void shoot_down(void);
void check_hammer(void);

/* Does not return. */
void fail(enum torture_failure what, uint64_t address, uint64_t got, uint64_t wanted,
	  uint64_t where);

static inline bool has_flag(uint32_t flag)
{
	return torture->flags & flag;
}

#endif
