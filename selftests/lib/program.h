/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guests written in C (selftests/program), built into the test programs as images. They have their
 * own handlers for #PF and SOFT_VECTOR; other exceptions come to the launcher as in trap.h.
 */
#ifndef SELFTESTS_PROGRAM_H
#define SELFTESTS_PROGRAM_H

#include "../program/shared.h"
#include "trap.h"

/**
 * struct program - an image
 * @image: begins with struct program_header
 * @end: of it
 * @base: where in guest memory it runs
 * @mode: GUEST_PROTECTED or GUEST_LONG
 * @la57: it begins with five levels of tables: guest_has_la57()
 */
struct program {
	const unsigned char *image;
	const unsigned char *end;
	__u64 base;
	enum guest_mode mode;
	bool la57;
};

extern const struct program program_steps32, program_steps64;
extern const struct program program_torture32, program_torture_pae, program_torture64;
extern const struct program program_torture57;

/* Copies the image; a guest of PROGRAM_END bytes. Returns its header. */
const struct program_header *program_load(struct guest *guest, const struct program *program);

/* Loads it, sets the registers of vCPU @id to its start (vCPU 0) or second entry. 0, or -1. */
int program_start(struct guest *guest, unsigned int id, const struct program *program);

/* The two handlers, in the IDT at @idt; @selector: of their code. */
void program_set_gates(struct guest *guest, const struct program *program, __u64 idt,
		       unsigned int selector);

/*
 * program_report - what guest_run() has returned, as a report of vCPU @id
 * Returns it, and the caller answers; 0 after a line that says what came instead.
 */
__u32 program_report(struct guest *guest, unsigned int id, const struct program *program, int ret);

/* Run to a report and answer it. */
__u32 program_run(struct guest *guest, unsigned int id, const struct program *program);

#endif
