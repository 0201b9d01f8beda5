/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Random instructions of the executed subset, with registers that point their
 * operands into a window of memory. Shared by native.c and suspend.c.
 */
#ifndef HULL_EMULATE_GEN_H
#define HULL_EMULATE_GEN_H

#include "../../kmod/emulate/internal.h"
#include "ktap.h"

struct testcase {
	enum hull_emu_mode mode;
	u8 bytes[24];
	int decoded;			/* result of hull_insn_decode() */
	struct hull_insn insn;
	struct hull_emu_regs regs;
};

struct gen {
	uint64_t rng;
	enum hull_emu_mode mode;
	bool ports;			/* IN, OUT, INS, OUTS and segment loads too */
	bool msw;			/* SMSW too, with @ports LMSW */
	u64 code;			/* RIP of every instruction */
	u64 low, high;			/* operands lie in [low, high) */
	u64 low16, high16;		/* the same for 16-bit addresses */
	struct hull_emu_regs template;	/* segments, control registers, CPL */
	const u8 *(*peek)(u64 linear);	/* 16 bytes of memory there, or NULL */
	unsigned int ntemplates;
	struct {
		u8 map;
		u8 opcode;
		u8 reg;
	} templates[2048];
};

void gen_init(struct gen *gen);
bool gen_case(struct gen *gen, struct testcase *t);
u64 gen_random(struct gen *gen, u64 below);
u64 gen_undefined_flags(const struct testcase *t);
void gen_print(const struct testcase *t, const char *what);

/* Linear address at which the operand really lies (BT with a register included). */
u64 gen_operand(const struct testcase *t);

#endif
