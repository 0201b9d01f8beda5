/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tests of guest paging: page tables of a guest, and a list of steps that it (program/steps.c)
 * takes by itself, each with what must come of it. All happens in the guest between two exits to
 * the launcher: its own handler notes faults.
 */
#ifndef SELFTESTS_STEPS_H
#define SELFTESTS_STEPS_H

#include "program.h"

#define PTE_P		(1ULL << 0)
#define PTE_W		(1ULL << 1)
#define PTE_U		(1ULL << 2)
#define PTE_A		(1ULL << 5)
#define PTE_D		(1ULL << 6)
#define PTE_PS		(1ULL << 7)
#define PTE_G		(1ULL << 8)
#define PTE_NX		(1ULL << 63)

/* Bits of a #PF's error code */
#define PF_P		(1U << 0)
#define PF_W		(1U << 1)
#define PF_U		(1U << 2)
#define PF_RSVD		(1U << 3)
#define PF_FETCH	(1U << 4)

#define X86_CR0_BASE	0x31ULL		/* PE, ET, NE */
#define X86_CR0_WP	(1ULL << 16)
#define X86_CR0_PG	(1ULL << 31)
#define X86_CR4_BASE	0x200ULL	/* OSFXSR */
#define X86_CR4_PSE	(1ULL << 4)
#define X86_CR4_PAE	(1ULL << 5)
#define X86_CR4_PGE	(1ULL << 7)
#define X86_CR4_LA57	(1ULL << 12)
#define X86_CR4_SMEP	(1ULL << 20)
#define X86_CR4_SMAP	(1ULL << 21)
#define X86_EFER_LONG	0x500ULL	/* LME, LMA */
#define X86_EFER_NXE	(1ULL << 11)

/* ---- page tables ---------------------------------------------------------------------------- */

/* The last two are long mode's, of four and five levels. */
enum paging_kind { PAGING_32, PAGING_PAE, PAGING_LONG, PAGING_LA57 };

/**
 * struct paging - page tables that the launcher builds
 * @guest: in whose memory
 * @kind: of tables
 * @levels: of them
 * @size: bytes of an entry
 * @root: gpa
 * @next: gpa of the next free page
 */
struct paging {
	struct guest *guest;
	enum paging_kind kind;
	int levels;
	int size;
	__u64 root;
	__u64 next;
};

/*
 * A root with the first 8 MiB one to one, for the supervisor but for @user_page, by pages of
 * 4 KiB. Tables come from @next on, which is PROGRAM_TABLES for the first.
 */
void paging_init(struct paging *paging, struct guest *guest, enum paging_kind kind, __u64 next,
		 __u64 user_page);
__u64 paging_new_table(struct paging *paging);
/* Bytes that an entry of @level (1: the last) maps. */
__u64 paging_span(const struct paging *paging, int level);
/* Where the entry of @level for @gva is. Upper tables are made: writable, for users. */
__u64 paging_entry(struct paging *paging, __u64 gva, int level);
__u64 paging_get(const struct paging *paging, __u64 gpa);
void paging_put(const struct paging *paging, __u64 gpa, __u64 entry);
/* paging_put() of paging_entry() */
void paging_map(struct paging *paging, __u64 gva, int level, __u64 entry);
/* CR4 and EFER that go with these tables. */
__u64 paging_cr4(const struct paging *paging);
__u64 paging_efer(const struct paging *paging);

/* ---- steps ---------------------------------------------------------------------------------- */

/**
 * struct want - what must come of a step
 * @vector: 0, or 14
 * @error: its error code
 * @cr2: its address
 * @value: to be read
 * @mask: bits of it that count
 */
struct want {
	__u32 vector;
	__u32 error;
	__u64 cr2;
	__u64 value;
	__u64 mask;
};

/**
 * struct script - a list of steps
 * @guest: that takes them
 * @program: it runs
 * @steps: in its memory
 * @want: of each step
 * @count: steps so far
 * @size: bytes of a word there
 * @entry_size: bytes of a table's entry, for script_entry() and script_put()
 */
struct script {
	struct guest *guest;
	const struct program *program;
	struct steps *steps;
	struct want want[STEPS_MAX];
	unsigned int count;
	int size;
	int entry_size;
};

/* After program_start(). */
void script_init(struct script *script, struct guest *guest, const struct program *program,
		 int entry_size);

/* STEP_INVLPG, STEP_CR*, STEP_EFER, STEP_LIDT, STEP_FAR */
void script_do(struct script *script, enum step_op op, __u64 address, __u64 value);
#define script_cr0(script, value)	script_do(script, STEP_CR0, 0, value)
#define script_cr3(script, value)	script_do(script, STEP_CR3, 0, value)
#define script_cr4(script, value)	script_do(script, STEP_CR4, 0, value)
#define script_efer(script, value)	script_do(script, STEP_EFER, 0, value)
#define script_invlpg(script, gva)	script_do(script, STEP_INVLPG, gva, 0)

/* Accesses that succeed; @who: 0, ACCESS_USER, ACCESS_AC. */
void script_read(struct script *script, __u32 who, __u64 gva, __u64 value);
void script_write(struct script *script, __u32 who, __u64 gva, __u64 value);
void script_fetch(struct script *script, __u32 who, __u64 gva);
/* One that must not. */
void script_fault(struct script *script, __u32 kind, __u64 gva, __u32 error);
/* The guest writes a table's entry at linear address @gva, and looks at one. */
void script_put(struct script *script, __u64 gva, __u64 entry);
void script_entry(struct script *script, __u64 gva, __u64 entry, __u64 mask);

/*
 * The guest takes all steps. Returns how many did not give what they must, each with a line; -1
 * when the guest did not get through. The list is empty then.
 */
int script_run(struct script *script);

#endif
