// SPDX-License-Identifier: GPL-2.0
/*
 * Semantics of integer instructions: moves, arithmetic, exchanges, stack and
 * single port accesses. String instructions are in string.c.
 *
 * Every exec_*() function keeps one order, on which restartability rests:
 * reads, computation in local variables, the one write, then registers and
 * flags. Whatever returns early has changed nothing.
 */
#include "internal.h"

/*
 * Operands
 */

enum place {
	PLACE_NONE,
	PLACE_RM,	/* memory operand (ModRM or moffs) or ModRM.rm register */
	PLACE_REG,
	PLACE_ACC,
	PLACE_OPREG,	/* register number in the opcode */
	PLACE_IMM,
	PLACE_CL,
	PLACE_ONE,
};

static const struct {
	u8 dst;
	u8 src;
} forms[16] = {
	[F_EG >> 4] = { PLACE_RM, PLACE_REG },
	[F_GE >> 4] = { PLACE_REG, PLACE_RM },
	[F_EI >> 4] = { PLACE_RM, PLACE_IMM },
	[F_AI >> 4] = { PLACE_ACC, PLACE_IMM },
	[F_E >> 4] = { PLACE_RM, PLACE_NONE },
	[F_E1 >> 4] = { PLACE_RM, PLACE_ONE },
	[F_EC >> 4] = { PLACE_RM, PLACE_CL },
	[F_EGI >> 4] = { PLACE_RM, PLACE_REG },
	[F_EGC >> 4] = { PLACE_RM, PLACE_REG },
	[F_AO >> 4] = { PLACE_ACC, PLACE_RM },
	[F_OA >> 4] = { PLACE_RM, PLACE_ACC },
	[F_R >> 4] = { PLACE_OPREG, PLACE_NONE },
	[F_RI >> 4] = { PLACE_OPREG, PLACE_IMM },
	[F_RA >> 4] = { PLACE_OPREG, PLACE_ACC },
	[F_I >> 4] = { PLACE_NONE, PLACE_IMM },
};

static enum place destination(const struct hull_emu *emu)
{
	return forms[A_FORM(emu->insn.attr) >> 4].dst;
}

static enum place source(const struct hull_emu *emu)
{
	return forms[A_FORM(emu->insn.attr) >> 4].src;
}

static unsigned int place_register(const struct hull_insn *insn, enum place place)
{
	switch (place) {
	case PLACE_RM:
		return insn->rm;
	case PLACE_REG:
		return insn->reg;
	case PLACE_OPREG:
		return (insn->opcode & 7) | (insn->rex & 1) << 3;
	default:
		return HULL_RAX;
	}
}

static u32 lock_flag(const struct hull_emu *emu)
{
	return emu->insn.prefixes & HULL_PFX_LOCK ? HULL_EMU_LOCKED : 0;
}

static u32 rmw_flags(const struct hull_emu *emu)
{
	return HULL_EMU_WRITE | HULL_EMU_RMW | lock_flag(emu);
}

static u64 operand_offset(const struct hull_emu *emu)
{
	return hull_emu_offset(&emu->insn, emu->regs, emu->regs->gpr[HULL_RSP]);
}

static int read_memory(struct hull_emu *emu, u64 offset, unsigned int size, u32 flags,
		       u64 *value)
{
	*value = 0;
	return hull_emu_read(emu, emu->insn.segment, offset, value, size, flags);
}

static int place_read(struct hull_emu *emu, enum place place, unsigned int size, u32 flags,
		      u64 *value)
{
	const struct hull_insn *insn = &emu->insn;

	switch (place) {
	case PLACE_IMM:
		*value = insn->imm & size_mask(size);
		return HULL_EMU_DONE;
	case PLACE_CL:
		*value = emu->regs->gpr[HULL_RCX] & 0xff;
		return HULL_EMU_DONE;
	case PLACE_ONE:
		*value = 1;
		return HULL_EMU_DONE;
	case PLACE_RM:
		if (insn->has_mem)
			return read_memory(emu, operand_offset(emu), size, flags, value);
		fallthrough;
	default:
		*value = reg_read(emu, place_register(insn, place), size);
		return HULL_EMU_DONE;
	}
}

static int place_write(struct hull_emu *emu, enum place place, unsigned int size, u64 value,
		       u32 flags)
{
	const struct hull_insn *insn = &emu->insn;

	if (place == PLACE_RM && insn->has_mem)
		return hull_emu_write(emu, insn->segment, operand_offset(emu), &value, size,
				      flags);
	reg_write(emu, place_register(insn, place), value, size);
	return HULL_EMU_DONE;
}

/* Bytes of a source that may be narrower than the destination. */
static unsigned int source_size(const struct hull_insn *insn)
{
	if (insn->attr & A_MEM8)
		return 1;
	if (insn->attr & A_MEM16)
		return 2;
	if (insn->attr & A_MEM32)
		return 4;
	return insn->opsize;
}

/*
 * Moves
 */

static u64 byte_swap(u64 value, unsigned int size)
{
	u64 result = 0;

	while (size--) {
		result = result << 8 | (value & 0xff);
		value >>= 8;
	}
	return result;
}

static int exec_mov(struct hull_emu *emu)
{
	const struct hull_insn *insn = &emu->insn;
	unsigned int size = source_size(insn);
	u64 value;
	int ret;

	ret = place_read(emu, source(emu), size, 0, &value);
	if (ret)
		return ret;
	if (insn->op == HULL_OP_MOVSX || insn->op == HULL_OP_MOVSXD)
		value = extend(value, size);
	else if (insn->op == HULL_OP_MOVBE)
		value = byte_swap(value, size);
	return place_write(emu, destination(emu), insn->opsize, value, 0);
}

static int exec_cmov(struct hull_emu *emu)
{
	const struct hull_insn *insn = &emu->insn;
	u64 value;
	int ret;

	/* The source is read in any case, and 32 bits clear the upper half in any case. */
	ret = place_read(emu, PLACE_RM, insn->opsize, 0, &value);
	if (ret)
		return ret;
	if (!hull_alu_condition(insn->opcode, emu->regs->rflags))
		value = reg_read(emu, insn->reg, insn->opsize);
	reg_write(emu, insn->reg, value, insn->opsize);
	return HULL_EMU_DONE;
}

static int exec_setcc(struct hull_emu *emu)
{
	return place_write(emu, PLACE_RM, 1,
			   hull_alu_condition(emu->insn.opcode, emu->regs->rflags), 0);
}

static int exec_mov_from_seg(struct hull_emu *emu)
{
	const struct hull_insn *insn = &emu->insn;

	return place_write(emu, PLACE_RM, insn->has_mem ? 2 : insn->opsize,
			   emu->regs->seg[insn->reg].selector, 0);
}

/* Protected mode would have to read descriptors. */
static int exec_mov_to_seg(struct hull_emu *emu)
{
	struct hull_emu_seg *seg = &emu->regs->seg[emu->insn.reg];
	u64 value;
	int ret;

	if (protected_mode(emu->regs))
		return HULL_EMU_UNHANDLED;
	ret = place_read(emu, PLACE_RM, 2, 0, &value);
	if (ret)
		return ret;
	seg->selector = (u16)value;
	seg->base = value << 4;
	if (emu->insn.reg == HULL_SS)
		emu->after |= HULL_EMU_SHADOW;
	return HULL_EMU_DONE;
}

/*
 * Arithmetic
 */

static int exec_alu(struct hull_emu *emu)
{
	const struct hull_insn *insn = &emu->insn;
	bool stores = insn->op != HULL_OP_CMP && insn->op != HULL_OP_TEST;
	u64 flags = emu->regs->rflags;
	u64 dst, src;
	int ret;

	ret = place_read(emu, destination(emu), insn->opsize, stores ? rmw_flags(emu) : 0, &dst);
	if (!ret)
		ret = place_read(emu, source(emu), insn->opsize, 0, &src);
	if (ret)
		return ret;
	dst = hull_alu_binary(insn->op, insn->opsize, dst, src, &flags);
	if (stores)
		ret = place_write(emu, destination(emu), insn->opsize, dst, lock_flag(emu));
	if (!ret)
		emu->regs->rflags = flags;
	return ret;
}

static int exec_unary(struct hull_emu *emu)
{
	const struct hull_insn *insn = &emu->insn;
	u64 flags = emu->regs->rflags;
	u64 value;
	int ret;

	ret = place_read(emu, destination(emu), insn->opsize, rmw_flags(emu), &value);
	if (ret)
		return ret;
	value = hull_alu_unary(insn->op, insn->opsize, value, &flags);
	ret = place_write(emu, destination(emu), insn->opsize, value, lock_flag(emu));
	if (!ret)
		emu->regs->rflags = flags;
	return ret;
}

static int exec_shift(struct hull_emu *emu)
{
	const struct hull_insn *insn = &emu->insn;
	u64 flags = emu->regs->rflags;
	u64 value, count;
	int ret;

	place_read(emu, source(emu), 1, 0, &count);
	ret = place_read(emu, PLACE_RM, insn->opsize, rmw_flags(emu), &value);
	if (ret)
		return ret;
	value = hull_alu_shift(insn->op, insn->opsize, value, count, &flags);
	ret = place_write(emu, PLACE_RM, insn->opsize, value, 0);
	if (!ret)
		emu->regs->rflags = flags;
	return ret;
}

static int exec_double_shift(struct hull_emu *emu)
{
	const struct hull_insn *insn = &emu->insn;
	bool by_cl = A_FORM(insn->attr) == F_EGC;
	u64 flags = emu->regs->rflags;
	u64 value, count;
	int ret;

	place_read(emu, by_cl ? PLACE_CL : PLACE_IMM, 1, 0, &count);
	ret = place_read(emu, PLACE_RM, insn->opsize, rmw_flags(emu), &value);
	if (ret)
		return ret;
	value = hull_alu_double_shift(insn->op, insn->opsize, value,
				      reg_read(emu, insn->reg, insn->opsize), count, &flags);
	ret = place_write(emu, PLACE_RM, insn->opsize, value, 0);
	if (!ret)
		emu->regs->rflags = flags;
	return ret;
}

/*
 * BT and relatives. With a register as bit number and memory as operand the
 * number is signed and reaches beyond the operand.
 */
static int exec_bit(struct hull_emu *emu)
{
	const struct hull_insn *insn = &emu->insn;
	bool by_register = A_FORM(insn->attr) == F_EG;
	bool stores = insn->op != HULL_OP_BT;
	unsigned int bits = 8 * insn->opsize;
	u64 number = by_register ? reg_read(emu, insn->reg, insn->opsize) : insn->imm;
	u64 bit = 1ULL << (number & (bits - 1));
	u64 offset = operand_offset(emu);
	u64 value, old;
	int ret = HULL_EMU_DONE;

	if (by_register)
		offset += (u64)((s64)extend(number, insn->opsize) >> 3) & ~(u64)(insn->opsize - 1);
	offset &= size_mask(insn->adsize);

	if (insn->has_mem)
		ret = read_memory(emu, offset, insn->opsize, stores ? rmw_flags(emu) : 0, &old);
	else
		old = reg_read(emu, insn->rm, insn->opsize);
	if (ret)
		return ret;

	if (insn->op == HULL_OP_BTS)
		value = old | bit;
	else if (insn->op == HULL_OP_BTR)
		value = old & ~bit;
	else
		value = old ^ bit;
	if (stores && insn->has_mem)
		ret = hull_emu_write(emu, insn->segment, offset, &value, insn->opsize,
				     lock_flag(emu));
	else if (stores)
		reg_write(emu, insn->rm, value, insn->opsize);
	if (ret)
		return ret;
	emu->regs->rflags &= ~FLAG_CF;
	if (old & bit)
		emu->regs->rflags |= FLAG_CF;
	return HULL_EMU_DONE;
}

/* BSF, BSR. Source 0: the destination keeps its value, upper half included. */
static int exec_scan(struct hull_emu *emu)
{
	const struct hull_insn *insn = &emu->insn;
	bool forward = insn->op == HULL_OP_BSF;
	u64 value, n;
	int ret;

	ret = place_read(emu, PLACE_RM, insn->opsize, 0, &value);
	if (ret)
		return ret;
	if (!value) {
		emu->regs->rflags |= FLAG_ZF;
		return HULL_EMU_DONE;
	}
	emu->regs->rflags &= ~FLAG_ZF;
	n = forward ? 0 : 8 * insn->opsize - 1;
	while (!((value >> n) & 1))
		n += forward ? 1 : -1;
	reg_write(emu, insn->reg, n, insn->opsize);
	return HULL_EMU_DONE;
}

/*
 * Exchanges: the register changes after the write to memory has succeeded
 */

static int exec_xchg(struct hull_emu *emu)
{
	const struct hull_insn *insn = &emu->insn;
	enum place dst = destination(emu), src = source(emu);
	u64 a, b;
	int ret;

	/* 90 is NOP: it does not even clear the upper half of RAX. */
	if (dst == PLACE_OPREG && place_register(insn, dst) == HULL_RAX)
		return HULL_EMU_DONE;
	ret = place_read(emu, dst, insn->opsize, rmw_flags(emu) | HULL_EMU_LOCKED, &a);
	if (ret)
		return ret;
	place_read(emu, src, insn->opsize, 0, &b);
	ret = place_write(emu, dst, insn->opsize, b, HULL_EMU_LOCKED);
	return ret ? ret : place_write(emu, src, insn->opsize, a, 0);
}

static int exec_xadd(struct hull_emu *emu)
{
	const struct hull_insn *insn = &emu->insn;
	u64 flags = emu->regs->rflags;
	u64 dst, src, sum;
	int ret;

	ret = place_read(emu, PLACE_RM, insn->opsize, rmw_flags(emu), &dst);
	if (ret)
		return ret;
	src = reg_read(emu, insn->reg, insn->opsize);
	sum = hull_alu_binary(HULL_OP_ADD, insn->opsize, dst, src, &flags);
	/* With twice the same register the sum wins. */
	if (!insn->has_mem)
		reg_write(emu, insn->reg, dst, insn->opsize);
	ret = place_write(emu, PLACE_RM, insn->opsize, sum, lock_flag(emu));
	if (ret)
		return ret;
	if (insn->has_mem)
		reg_write(emu, insn->reg, dst, insn->opsize);
	emu->regs->rflags = flags;
	return HULL_EMU_DONE;
}

/* Memory is written even when the comparison fails, as the CPU does. */
static int exec_cmpxchg(struct hull_emu *emu)
{
	const struct hull_insn *insn = &emu->insn;
	u64 flags = emu->regs->rflags;
	u64 dst, acc;
	bool equal;
	int ret;

	ret = place_read(emu, PLACE_RM, insn->opsize, rmw_flags(emu), &dst);
	if (ret)
		return ret;
	acc = reg_read(emu, HULL_RAX, insn->opsize);
	hull_alu_binary(HULL_OP_CMP, insn->opsize, acc, dst, &flags);
	equal = flags & FLAG_ZF;
	if (equal || insn->has_mem)
		ret = place_write(emu, PLACE_RM, insn->opsize,
				  equal ? reg_read(emu, insn->reg, insn->opsize) : dst,
				  lock_flag(emu));
	if (ret)
		return ret;
	if (!equal)
		reg_write(emu, HULL_RAX, dst, insn->opsize);
	emu->regs->rflags = flags;
	return HULL_EMU_DONE;
}

/* CMPXCHG8B and CMPXCHG16B */
static int exec_cmpxchg8b(struct hull_emu *emu)
{
	const struct hull_insn *insn = &emu->insn;
	struct hull_emu_regs *regs = emu->regs;
	unsigned int half = insn->opsize / 2;
	u64 offset = operand_offset(emu);
	u64 low = 0, high = 0, linear = 0;
	u8 old[16], new[16];
	bool equal;
	int ret;

	/* Alignment comes before all other checks. */
	hull_emu_linear(insn, regs, &linear);
	if (half == 8 && (linear & 15))
		return hull_emu_raise(emu, VECTOR_GP, 0);
	ret = hull_emu_read(emu, insn->segment, offset, old, insn->opsize, rmw_flags(emu));
	if (ret)
		return ret;
	memcpy(&low, old, half);
	memcpy(&high, old + half, half);
	equal = low == (regs->gpr[HULL_RAX] & size_mask(half)) &&
		high == (regs->gpr[HULL_RDX] & size_mask(half));
	memcpy(new, &regs->gpr[HULL_RBX], half);
	memcpy(new + half, &regs->gpr[HULL_RCX], half);
	ret = hull_emu_write(emu, insn->segment, offset, equal ? new : old, insn->opsize,
			     lock_flag(emu));
	if (ret)
		return ret;
	regs->rflags &= ~FLAG_ZF;
	if (equal) {
		regs->rflags |= FLAG_ZF;
	} else {
		reg_write(emu, HULL_RAX, low, half);
		reg_write(emu, HULL_RDX, high, half);
	}
	return HULL_EMU_DONE;
}

/*
 * Stack and ports
 */

static unsigned int stack_size(const struct hull_emu *emu)
{
	if (emu->insn.mode == HULL_MODE_64)
		return 8;
	return emu->regs->seg[HULL_SS].attr & HULL_SEG_DB ? 4 : 2;
}

static int exec_push(struct hull_emu *emu)
{
	unsigned int size = emu->insn.opsize, width = stack_size(emu);
	u64 *rsp = &emu->regs->gpr[HULL_RSP];
	u64 value, sp;
	int ret;

	ret = place_read(emu, destination(emu) ? destination(emu) : PLACE_IMM, size, 0, &value);
	if (ret)
		return ret;
	sp = (*rsp - size) & size_mask(width);
	ret = hull_emu_write(emu, HULL_SS, sp, &value, size, HULL_EMU_STACK);
	if (!ret)
		*rsp = merge(*rsp, sp, width);
	return ret;
}

/* The address of a memory operand uses the stack pointer after the pop. */
static int exec_pop(struct hull_emu *emu)
{
	const struct hull_insn *insn = &emu->insn;
	unsigned int size = insn->opsize, width = stack_size(emu);
	u64 *rsp = &emu->regs->gpr[HULL_RSP];
	u64 new_rsp = merge(*rsp, *rsp + size, width);
	u64 value = 0;
	int ret;

	ret = hull_emu_read(emu, HULL_SS, *rsp & size_mask(width), &value, size, HULL_EMU_STACK);
	if (ret)
		return ret;
	if (insn->has_mem) {
		ret = hull_emu_write(emu, insn->segment,
				     hull_emu_offset(insn, emu->regs, new_rsp), &value, size, 0);
		if (!ret)
			*rsp = new_rsp;
		return ret;
	}
	*rsp = new_rsp;
	return place_write(emu, destination(emu), size, value, 0);
}

static int exec_port(struct hull_emu *emu)
{
	const struct hull_insn *insn = &emu->insn;
	u16 port = A_IMM(insn->attr) ? (u8)insn->imm : (u16)emu->regs->gpr[HULL_RDX];
	u64 value = emu->regs->gpr[HULL_RAX];
	const void *data = &value;
	int ret;

	ret = hull_emu_port_check(emu, port, insn->opsize);
	if (ret)
		return ret;
	if (insn->op == HULL_OP_OUT)
		return hull_emu_access(emu, HULL_LOG_OUT, port, insn->opsize, 1, &data, 0);
	ret = hull_emu_access(emu, HULL_LOG_IN, port, insn->opsize, 1, &data, 0);
	if (ret)
		return ret;
	value = 0;
	memcpy(&value, data, insn->opsize);
	reg_write(emu, HULL_RAX, value, insn->opsize);
	return HULL_EMU_DONE;
}

/*
 * Machine status word: the low half of CR0
 */

static int exec_smsw(struct hull_emu *emu)
{
	const struct hull_insn *insn = &emu->insn;

	if (emu->regs->cpl && (emu->regs->cr4 & EMU_CR4_UMIP))
		return hull_emu_raise(emu, VECTOR_GP, 0);
	return place_write(emu, PLACE_RM, insn->has_mem ? 2 : insn->opsize, emu->regs->cr0, 0);
}

/* Sets PE, and cannot clear it. */
static int exec_lmsw(struct hull_emu *emu)
{
	u64 *cr0 = &emu->regs->cr0;
	u64 value;
	int ret;

	if (emu->regs->cpl)
		return hull_emu_raise(emu, VECTOR_GP, 0);
	ret = place_read(emu, PLACE_RM, 2, 0, &value);
	if (!ret)
		*cr0 = (*cr0 & ~EMU_CR0_MSW) | (value & (EMU_CR0_MSW | EMU_CR0_PE));
	return ret;
}

/*
 * Dispatch
 */

static int exec_nop(struct hull_emu *emu)
{
	(void)emu;
	return HULL_EMU_DONE;
}

/* Not here: string instructions, and what is not supported. */
static int (*const handlers[HULL_OP_COUNT])(struct hull_emu *emu) = {
	[HULL_OP_ADD ... HULL_OP_CMP] = exec_alu,
	[HULL_OP_ROL ... HULL_OP_SAR] = exec_shift,
	[HULL_OP_SHLD ... HULL_OP_SHRD] = exec_double_shift,
	[HULL_OP_TEST] = exec_alu,
	[HULL_OP_NOT ... HULL_OP_DEC] = exec_unary,
	[HULL_OP_BT ... HULL_OP_BTC] = exec_bit,
	[HULL_OP_BSF ... HULL_OP_BSR] = exec_scan,
	[HULL_OP_MOV ... HULL_OP_MOVNTI] = exec_mov,
	[HULL_OP_MOV_FROM_SEG] = exec_mov_from_seg,
	[HULL_OP_MOV_TO_SEG] = exec_mov_to_seg,
	[HULL_OP_XCHG] = exec_xchg,
	[HULL_OP_XADD] = exec_xadd,
	[HULL_OP_CMPXCHG] = exec_cmpxchg,
	[HULL_OP_CMPXCHG8B] = exec_cmpxchg8b,
	[HULL_OP_SETCC] = exec_setcc,
	[HULL_OP_CMOVCC] = exec_cmov,
	[HULL_OP_PUSH] = exec_push,
	[HULL_OP_POP] = exec_pop,
	[HULL_OP_IN ... HULL_OP_OUT] = exec_port,
	[HULL_OP_NOP] = exec_nop,
	[HULL_OP_LMSW] = exec_lmsw,
	[HULL_OP_SMSW] = exec_smsw,
};

int hull_emu_integer(struct hull_emu *emu)
{
	return handlers[emu->insn.op] ? handlers[emu->insn.op](emu) : HULL_EMU_UNHANDLED;
}
