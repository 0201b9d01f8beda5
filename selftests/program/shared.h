/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What guests written in C (this directory) and their launchers agree on: where things are in guest
 * memory, the kinds of an access, and the words they exchange. Also included by assembly.
 *
 *	0x100000	a program of 64 bits	0x140000	a program of 32 bits
 *	0x180000	exchange of guest and launcher
 *	0x1f0000	the second IDT
 *	0x200000	page tables
 *	0x400000	data: 4 MiB, so that one frame of each size but 1 GiB is in it
 */
#ifndef SELFTESTS_PROGRAM_SHARED_H
#define SELFTESTS_PROGRAM_SHARED_H

#define PROGRAM_BASE64	0x100000
#define PROGRAM_BASE32	0x140000
#define PROGRAM_SHARED	0x180000
#define PROGRAM_IDT2	0x1f0000
#define PROGRAM_TABLES	0x200000
#define PROGRAM_DATA	0x400000
#define PROGRAM_END	0x800000

/* Selectors beyond those of trap.h, and the vector by which code of a test ends */
#define SELECTOR_USER_DATA	0x1b
#define SELECTOR_USER_CODE	0x23
#define SELECTOR_CODE32		0xb0
#define SELECTOR_CODE64		0xb8
#define SOFT_VECTOR		0x80

/* An access: one of four, by whom, with which flags. */
#define ACCESS_READ	0
#define ACCESS_WRITE	1
#define ACCESS_FETCH	2	/* of NOP; INT $SOFT_VECTOR */
#define ACCESS_LOCKED	3	/* LOCK XADD; by the supervisor only */
#define ACCESS_USER	4
#define ACCESS_AC	8	/* RFLAGS.AC is set: lifts SMAP */

/* Guests write one of these to REPORT_PORT, 32 bits. */
#define REPORT_PORT	0xe9
#define REPORT_DONE	1
#define REPORT_SYNC	2	/* a place to compare two runs */
#define REPORT_FAILED	3
#define REPORT_WRITE	4	/* the launcher shall write a table entry */
#define REPORT_TURN	5	/* now the other vCPU */

/* struct probe, in words */
#define PROBE_SP	0
#define PROBE_VECTOR	1
#define PROBE_ERROR	2
#define PROBE_CR2	3
#define PROBE_VALUE	4
#define PROBE_WORDS	8

#ifndef __ASSEMBLER__
#include <stdint.h>

/**
 * struct program_header - the begin of an image
 * @start: entry of vCPU 0
 * @second: of vCPU 1
 * @page_fault: handler of #PF
 * @soft: handler of SOFT_VECTOR
 * @user_page: a page that user code runs in
 */
struct program_header {
	uint32_t start;
	uint32_t second;
	uint32_t page_fault;
	uint32_t soft;
	uint32_t user_page;
};

/* What a step does (steps.c); @address and @value of struct step */
enum step_op {
	STEP_END,
	STEP_ACCESS,	/* kind, address, value to be written */
	STEP_STORE,	/* kind: 4 or 8 bytes; by the supervisor, must succeed */
	STEP_LOAD,
	STEP_INVLPG,
	STEP_CR0,
	STEP_CR3,
	STEP_CR4,
	STEP_EFER,
	STEP_LIDT,	/* address, limit */
	STEP_FAR,	/* go on in the program of the other width: entry, selector */
};

/**
 * struct step - one thing a guest does, and what came of it
 * @op: enum step_op
 * @kind: ACCESS_*, or a size
 * @address: linear
 * @value: to be written
 * @vector: out: 0, or the exception
 * @error: out: its error code
 * @cr2: out
 * @got: out: what was read
 */
struct step {
	uint32_t op;
	uint32_t kind;
	uint64_t address;
	uint64_t value;
	uint32_t vector;
	uint32_t error;
	uint64_t cr2;
	uint64_t got;
};

#define STEPS_MAX	8192

struct steps {
	uint32_t next;
	uint32_t pad;
	struct step step[STEPS_MAX];
};
#endif
#endif
