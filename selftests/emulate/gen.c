// SPDX-License-Identifier: GPL-2.0
/*
 * Generator of executable instructions. Opcodes come from the decoder's own
 * tables (checked against Zydis by decode_zydis.c): each (map, opcode,
 * ModRM.reg) whose operation hull executes is one template, and gets prefixes,
 * addressing forms, immediates and register values at random.
 */
#include "gen.h"

u64 gen_random(struct gen *gen, u64 below)
{
	return (next_random(&gen->rng) >> 16) % below;
}

static bool wanted(const struct gen *gen, const struct hull_insn *insn)
{
	if (insn->op == HULL_OP_LMSW || insn->op == HULL_OP_SMSW)
		return gen->msw && (insn->op == HULL_OP_SMSW || gen->ports);
	if (insn->op == HULL_OP_OTHER || insn->op > HULL_OP_NOP)
		return false;
	if (insn->op >= HULL_OP_MUL && insn->op <= HULL_OP_IMUL2)
		return false;
	if (insn->op >= HULL_OP_INS && insn->op <= HULL_OP_OUT)
		return gen->ports;
	/* PREFETCH with a register: #UD on AMD, nothing on Intel. */
	if (insn->op == HULL_OP_NOP && insn->opcode == 0x0d && !insn->has_mem)
		return false;
	return insn->op != HULL_OP_MOV_TO_SEG || gen->ports;
}

static unsigned int put_opcode(u8 *bytes, unsigned int map, u8 opcode)
{
	unsigned int n = 0;

	if (map != HULL_MAP_ONE)
		bytes[n++] = 0x0f;
	if (map == HULL_MAP_0F38)
		bytes[n++] = 0x38;
	bytes[n++] = opcode;
	return n;
}

static void add_template(struct gen *gen, const struct hull_insn *insn, u8 reg)
{
	/* String instructions have no ModRM forms: give them their share. */
	unsigned int weight = insn->attr & A_STRING ? 8 : 1;

	while (weight--) {
		gen->templates[gen->ntemplates].map = insn->map;
		gen->templates[gen->ntemplates].opcode = insn->opcode;
		gen->templates[gen->ntemplates++].reg = reg;
	}
}

void gen_init(struct gen *gen)
{
	unsigned int map, opcode, reg;

	gen->ntemplates = 0;
	for (map = HULL_MAP_ONE; map <= HULL_MAP_0F38; map++) {
		for (opcode = 0; opcode < 256; opcode++) {
			for (reg = 0; reg < 8; reg++) {
				struct hull_insn insn;
				u8 bytes[16] = { 0 };
				unsigned int n = put_opcode(bytes, map, opcode);

				bytes[n] = reg << 3;
				if (hull_insn_decode(&insn, gen->mode, bytes, 15) ||
				    insn.opcode != opcode || insn.map != map ||
				    !wanted(gen, &insn) || (!insn.has_modrm && reg))
					continue;
				add_template(gen, &insn, reg);
			}
		}
	}
}

static unsigned int put_prefixes(struct gen *gen, u8 *bytes)
{
	static const u8 segments[] = { 0x2e, 0x36, 0x3e, 0x26 };
	unsigned int n = 0;

	if (!gen_random(gen, 4))
		bytes[n++] = 0x66;
	if (!gen_random(gen, 8))
		bytes[n++] = 0x67;
	if (!gen_random(gen, 12))
		bytes[n++] = 0xf0;
	if (!gen_random(gen, 5))
		bytes[n++] = 0xf2 + gen_random(gen, 2);
	if (!gen_random(gen, 12))
		bytes[n++] = segments[gen_random(gen, 4)];
	if (gen->mode == HULL_MODE_64 && !gen_random(gen, 8))
		bytes[n++] = 0x65;
	if (gen->mode == HULL_MODE_64 && gen_random(gen, 2))
		bytes[n++] = 0x40 | gen_random(gen, 16);
	return n;
}

static void put_instruction(struct gen *gen, struct testcase *t)
{
	unsigned int i = gen_random(gen, gen->ntemplates);
	unsigned int n = put_prefixes(gen, t->bytes);
	unsigned int mod = gen_random(gen, 5), rm = gen_random(gen, 8), k;

	n += put_opcode(t->bytes + n, gen->templates[i].map, gen->templates[i].opcode);
	/* ModRM or the first byte of an immediate */
	t->bytes[n++] = (mod > 3 ? 0 : mod) << 6 | gen->templates[i].reg << 3 | rm;
	for (k = n; k < sizeof(t->bytes); k++)
		t->bytes[k] = gen_random(gen, 256);
	t->decoded = hull_insn_decode(&t->insn, t->mode, t->bytes, 15);
}

/* An address for an operand, often across a page boundary. */
static u64 pick_target(struct gen *gen, unsigned int adsize)
{
	u64 low = adsize == 2 ? gen->low16 : gen->low;
	u64 high = adsize == 2 ? gen->high16 : gen->high;
	u64 target = low + gen_random(gen, high - low - 64);

	if (!gen_random(gen, 4))
		target = (target | 0xfff) - gen_random(gen, 16);
	if (!gen_random(gen, 3))
		target &= ~15ULL;
	return target;
}

u64 gen_operand(const struct testcase *t)
{
	const struct hull_insn *insn = &t->insn;
	u64 linear = 0, number;

	hull_emu_linear(insn, &t->regs, &linear);
	if (insn->op < HULL_OP_BT || insn->op > HULL_OP_BTC || A_FORM(insn->attr) != F_EG)
		return linear;
	number = extend(t->regs.gpr[insn->reg], insn->opsize);
	linear += (u64)((s64)number >> 3) & ~(u64)(insn->opsize - 1);
	return t->mode == HULL_MODE_64 && insn->adsize == 8 ? linear : (u32)linear;
}

/* Adds @delta to the displacement bytes, which end where the immediate begins. */
static void patch_displacement(struct testcase *t, u64 delta)
{
	const struct hull_insn *insn = &t->insn;
	unsigned int imm = A_IMM(insn->attr) == I_OFFS ? 0 : insn->imm_bytes;
	u64 value = (u64)insn->disp + delta;

	memcpy(t->bytes + insn->length - imm - insn->disp_bytes, &value, insn->disp_bytes);
	hull_insn_decode(&t->insn, t->mode, t->bytes, 15);
}

static bool aim(struct gen *gen, struct testcase *t)
{
	const struct hull_insn *insn = &t->insn;
	u64 target = pick_target(gen, insn->adsize);
	u64 linear;

	if (insn->op >= HULL_OP_BT && insn->op <= HULL_OP_BTC)
		t->regs.gpr[insn->reg] = gen_random(gen, 0x8000) - 0x4000;
	/* Now and then somewhere else entirely: a page fault or a bad address. */
	if (gen->mode == HULL_MODE_64 && !gen_random(gen, 40) && insn->adsize == 8)
		target = gen_random(gen, 2) ? 0x8000000000000000ULL : 0x7ffffffffffffffeULL;
	hull_emu_linear(insn, &t->regs, &linear);
	if (insn->base != HULL_REG_NONE)
		t->regs.gpr[insn->base] += target - linear;
	else if (insn->disp_bytes)
		patch_displacement(t, target - linear);
	hull_emu_linear(insn, &t->regs, &linear);
	if (linear != target)
		return false;
	linear = gen_operand(t);
	if (insn->adsize == 2)
		return linear >= gen->low16 && linear < gen->high16 - 64;
	return (linear >= gen->low && linear < gen->high - 64) || linear == target;
}

static void aim_string(struct gen *gen, struct testcase *t)
{
	unsigned int adsize = t->insn.adsize;
	u64 from = pick_target(gen, adsize), to = pick_target(gen, adsize);
	u64 top = gen_random(gen, 2) ? next_random(&gen->rng) : 0;
	u64 gs = t->insn.segment == HULL_GS ? t->regs.seg[HULL_GS].base : 0;

	if (!gen_random(gen, 3))
		to = from + gen_random(gen, 64) - 32;
	t->regs.gpr[HULL_RSI] = merge(top, from - gs, adsize == 2 ? 2 : 8);
	t->regs.gpr[HULL_RDI] = merge(top, to, adsize == 2 ? 2 : 8);
	if (adsize == 4) {
		t->regs.gpr[HULL_RSI] = (u32)(from - gs) | top << 32;
		t->regs.gpr[HULL_RDI] = (u32)to | top << 32;
	}
	if (t->insn.prefixes & (HULL_PFX_REP | HULL_PFX_REPNE)) {
		u64 count = gen_random(gen, gen_random(gen, 2) ? 8 : 600);

		t->regs.gpr[HULL_RCX] = adsize == 8 ? count :
			adsize == 4 ? (u32)count | top << 32 : merge(top, count, 2);
	}
}

static void random_registers(struct gen *gen, struct testcase *t)
{
	unsigned int i;

	t->regs = gen->template;
	t->regs.rip = gen->code;
	for (i = 0; i < 16; i++) {
		t->regs.gpr[i] = next_random(&gen->rng);
		if (!gen_random(gen, 3))
			t->regs.gpr[i] = extend(gen_random(gen, 256), 1);
		if (t->mode != HULL_MODE_64)
			t->regs.gpr[i] &= i < 8 ? 0xffffffff : 0;
	}
	t->regs.rflags |= 2 | (next_random(&gen->rng) & (FLAGS_ARITH | FLAG_DF));
	if (gen_random(gen, 4))
		t->regs.rflags &= ~FLAG_DF;
	t->regs.gpr[HULL_RSP] = pick_target(gen, t->mode == HULL_MODE_16 ? 2 : 8);
}

/* 16 bits and a count above 16: even the result is undefined. */
static bool double_shift_undefined(const struct testcase *t)
{
	const struct hull_insn *insn = &t->insn;
	u64 count = A_FORM(insn->attr) == F_EGC ? t->regs.gpr[HULL_RCX] : insn->imm;

	return (insn->op == HULL_OP_SHLD || insn->op == HULL_OP_SHRD) && insn->opsize == 2 &&
	       (count & 31) > 16;
}

/* Now and then let CMPXCHG find what it compares with. */
static void match_memory(struct gen *gen, struct testcase *t)
{
	const struct hull_insn *insn = &t->insn;
	u64 *gpr = t->regs.gpr, linear;
	const u8 *p;

	if ((insn->op != HULL_OP_CMPXCHG && insn->op != HULL_OP_CMPXCHG8B) || gen_random(gen, 2) ||
	    insn->base == HULL_RAX || insn->base == HULL_RDX || insn->index == HULL_RAX ||
	    insn->index == HULL_RDX || hull_emu_linear(insn, &t->regs, &linear))
		return;
	p = gen->peek(linear);
	if (!p)
		return;
	if (insn->op == HULL_OP_CMPXCHG) {
		memcpy(&gpr[HULL_RAX], p, insn->opsize);
		return;
	}
	memcpy(&gpr[HULL_RAX], p, insn->opsize / 2);
	memcpy(&gpr[HULL_RDX], p + insn->opsize / 2, insn->opsize / 2);
}

/* False: this one would leave the window; try again. */
bool gen_case(struct gen *gen, struct testcase *t)
{
	const struct hull_insn *insn = &t->insn;

	t->mode = gen->mode;
	random_registers(gen, t);
	put_instruction(gen, t);
	if (t->decoded)
		return t->decoded == -EINVAL && memchr(t->bytes, 0xf0, 4);
	if (!wanted(gen, insn))
		return false;
	if (insn->attr & A_STRING) {
		aim_string(gen, t);
		return true;
	}
	if (insn->has_mem && !aim(gen, t))
		return false;
	match_memory(gen, t);
	return !double_shift_undefined(t);
}

static u64 undefined_after_shift(const struct testcase *t)
{
	const struct hull_insn *insn = &t->insn;
	unsigned int form = A_FORM(insn->attr);
	bool by_cl = form == F_EC || form == F_EGC;
	u64 count = by_cl ? t->regs.gpr[HULL_RCX] : form == F_E1 ? 1 : insn->imm;
	u64 mask = 0;

	count &= insn->opsize == 8 ? 63 : 31;
	if (!count)
		return 0;
	if (count != 1)
		mask |= FLAG_OF;
	if (insn->op < HULL_OP_SHL)
		return mask;
	mask |= FLAG_AF;
	if (count >= 8u * insn->opsize)
		mask |= FLAG_CF;
	return mask;
}

u64 gen_undefined_flags(const struct testcase *t)
{
	switch (t->insn.op) {
	case HULL_OP_AND:
	case HULL_OP_OR:
	case HULL_OP_XOR:
	case HULL_OP_TEST:
		return FLAG_AF;
	case HULL_OP_ROL ... HULL_OP_SHRD:
		return undefined_after_shift(t);
	case HULL_OP_BT ... HULL_OP_BTC:
		return FLAG_OF | FLAG_SF | FLAG_AF | FLAG_PF;
	case HULL_OP_BSF:
	case HULL_OP_BSR:
		return FLAGS_ARITH & ~FLAG_ZF;
	default:
		return 0;
	}
}

void gen_print(const struct testcase *t, const char *what)
{
	unsigned int i;

	printf("# %s: mode %u op %u opsize %u adsize %u:", what, t->mode, t->insn.op,
	       t->insn.opsize, t->insn.adsize);
	for (i = 0; i < (t->decoded ? 15 : t->insn.length); i++)
		printf(" %02x", t->bytes[i]);
	printf("\n");
}
