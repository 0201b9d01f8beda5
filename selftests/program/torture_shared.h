/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the torture guest (torture*.c) and its launchers agree on, beside shared.h.
 *
 *	0x0d0000	frames of the second vCPU's window, seen at HAMMER_GVA
 *	0x200000	tables that never change, roots of PAE
 *	0x220000	the pool of tables
 *	0x400000	data
 *	0x7f0000	data that the launcher may take away: never used as tables
 */
#ifndef SELFTESTS_PROGRAM_TORTURE_SHARED_H
#define SELFTESTS_PROGRAM_TORTURE_SHARED_H

#include "shared.h"

#define FIXED_TABLES	0x200000
#define FIXED_ROOTS	0x210000
#define POOL_TABLES	0x220000
#define POOL_COUNT	24
#define POOL_END	(POOL_TABLES + POOL_COUNT * 4096)
#define ROOTS		4
#define REMOVABLE	0x7f0000
#define HAMMER_FRAMES	0xd0000
#define HAMMER_GVA	0x1e0000
#define HAMMERS		8

/* struct torture.flags */
#define TORTURE_SECOND	1	/* a second vCPU disturbs */
#define TORTURE_WRITES	2	/* the launcher writes to tables when asked (REPORT_WRITE) */
#define TORTURE_EXACT	4	/* two runs must end with the same memory, accessed bits and all */
#define TORTURE_SMEP	8
#define TORTURE_SMAP	16
#define TORTURE_TURNS	32	/* one vCPU runs at a time, until it gives way (REPORT_TURN) */
#define TORTURE_PCID	64	/* four-level tables only */
#define TORTURE_CR4(bits)	((bits) >> 17 & (TORTURE_SMEP | TORTURE_SMAP))

/* What reading a hole gives; the launcher answers so, 32 bits of it. */
#define HOLE_VALUE(gpa)	((uint32_t)(gpa) ^ 0x77777777)

#ifndef __ASSEMBLER__

/* struct torture.failure */
enum torture_failure {
	FAILURE_NONE,
	FAILURE_FAULT,		/* faulted, or not, or by another error code or address */
	FAILURE_VALUE,		/* read or wrote something else */
	FAILURE_BITS,		/* accessed or dirty bits of an entry */
	FAILURE_TABLE,		/* a table is not what was written to it */
	FAILURE_STALE,		/* written to after it was taken away from the second vCPU */
	FAILURE_COUNT,		/* of the second vCPU's writes */
};

/* struct torture.settled */
enum torture_settled {
	SETTLED_NOTHING,	/* nothing was cached that has changed */
	SETTLED_INVLPG,
	SETTLED_PGE,
	SETTLED_CR3,
};

/**
 * struct torture - at PROGRAM_SHARED
 * @seed: of the random numbers
 * @flags: TORTURE_*
 * @sync: steps between two REPORT_SYNC
 * @stop: by the launcher: come to an end
 * @step: steps so far
 * @failure: enum torture_failure; then the next four say more
 * @kind: of the access
 * @address: linear address, or gpa
 * @got: error code, value, entry
 * @wanted: the same
 * @where: gpa of the entry, or of the data
 * @reads: accesses that found what they should; @writes, @table_writes (through a mapping of a
 *         table), @fetches, @holes likewise
 * @faults: that came as they should
 * @changes: of entries
 * @switches: of roots
 * @shootdowns: mappings taken away from the second vCPU
 * @hammered: its writes
 * @extra: accessed bits that nobody explains; the CPU may set those
 * @write_gpa: the entry that the launcher shall write
 * @write_entry: what
 * @written: by the launcher: it has
 * @at: where the entries are that lead to @address, from the root down
 * @entry: and what they were
 * @settled: how translations were invalidated before: enum torture_settled
 * @cr0: control registers, with a failure
 * @cr3: likewise
 * @cr4: likewise
 */
struct torture {
	uint64_t seed;
	uint32_t flags;
	uint32_t sync;
	uint32_t stop;
	uint32_t step;
	uint32_t failure;
	uint32_t kind;
	uint64_t address;
	uint64_t got;
	uint64_t wanted;
	uint64_t where;
	uint32_t reads, writes, table_writes, fetches, holes, faults;
	uint32_t changes, switches, shootdowns, hammered, extra;
	uint32_t written;
	uint64_t write_gpa;
	uint64_t write_entry;
	uint64_t at[5], entry[5];
	uint32_t settled;
	uint32_t pad;
	uint64_t cr0, cr3, cr4;
};

#endif
#endif
