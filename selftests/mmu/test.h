/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A small guest memory for tests of the page-table walker, and the second opinion.
 */
#ifndef SELFTESTS_MMU_TEST_H
#define SELFTESTS_MMU_TEST_H

#include "ktap.h"
#include "mmu/walk.h"

#define FRAMES		64
#define MEMORY_SIZE	(FRAMES * 4096ULL)

#define CR0_PG		(1ULL << 31)
#define CR0_WP		(1ULL << 16)
#define CR4_PSE		(1ULL << 4)
#define CR4_PAE		(1ULL << 5)
#define CR4_LA57	(1ULL << 12)
#define CR4_SMEP	(1ULL << 20)
#define CR4_SMAP	(1ULL << 21)
#define CR4_PKE		(1ULL << 22)
#define EFER_LMA	(1ULL << 10)
#define EFER_NXE	(1ULL << 11)

#define P	1ULL
#define W	2ULL
#define U	4ULL
#define A	0x20ULL
#define D	0x40ULL
#define PS	0x80ULL
#define NX	(1ULL << 63)

/**
 * struct memory - guest memory from 0
 * @bytes: the memory
 * @before_exchange: called before each exchange, to play another vCPU; may be NULL
 * @exchanges: how many there were
 */
struct memory {
	uint8_t bytes[MEMORY_SIZE];
	void (*before_exchange)(struct memory *memory, uint64_t gpa);
	unsigned int exchanges;
};

struct hull_walk_memory memory_of(struct memory *memory);
void put32(struct memory *memory, uint64_t gpa, uint32_t value);
void put64(struct memory *memory, uint64_t gpa, uint64_t value);
uint64_t get64(const struct memory *memory, uint64_t gpa);

/* Translate as hull_walk_tables() should; written without it in mind. */
int reference_walk(struct memory *memory, const struct hull_paging *paging, uint64_t gva,
		   uint32_t access, bool set_bits, struct hull_walk *walk);

#define CASES	20
#define RIGHTS	3
#define RANDOMS	6

/* KTAP's counters belong to one file: report through it. */
void report(bool ok, const char *name);

void run_cases(void);
void run_rights(void);
void run_random(uint64_t seed);

#endif
