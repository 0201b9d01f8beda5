// SPDX-License-Identifier: GPL-2.0
/*
 * String instructions: MOVS, STOS, LODS, CMPS, SCAS, INS, OUTS, with REP.
 *
 * Each iteration commits RCX, RSI and RDI and is a restart point of its own.
 * Going upwards, one iteration of MOVS, STOS, INS and OUTS stands for a batch
 * of elements, as many as fit both pages, so that a device in another process
 * gets a page at a time instead of an element. A callback that cannot take a
 * batch says -E2BIG: a refused read is repeated singly; after a refused write
 * the data already read (perhaps from a device) is written element by element.
 */
#include "internal.h"

/* One end of a string operation. */
struct side {
	unsigned int seg;
	u64 offset;
	u64 linear;
};

static bool repeated(const struct hull_emu *emu)
{
	return emu->insn.prefixes & (HULL_PFX_REP | HULL_PFX_REPNE);
}

static int side_init(struct hull_emu *emu, struct side *side, unsigned int reg,
		     unsigned int seg, u32 flags)
{
	const struct hull_insn *insn = &emu->insn;

	side->seg = seg;
	side->offset = emu->regs->gpr[reg] & size_mask(insn->adsize);
	return hull_emu_segment(emu, seg, side->offset, insn->opsize, flags, &side->linear);
}

static int source_init(struct hull_emu *emu, struct side *side)
{
	return side_init(emu, side, HULL_RSI, emu->insn.segment, 0);
}

/* The destination is always in ES. */
static int destination_init(struct hull_emu *emu, struct side *side, u32 flags)
{
	return side_init(emu, side, HULL_RDI, HULL_ES, flags);
}

/* Elements of a batch, as far as @side is concerned; at least 1. */
static unsigned int side_room(struct hull_emu *emu, const struct side *side, unsigned int n,
			      u32 flags)
{
	unsigned int size = emu->insn.opsize;
	u64 to_wrap = (size_mask(emu->insn.adsize) - side->offset) / size;
	u64 linear;

	n = min_t(u64, n, (PAGE_BYTES - (side->linear & (PAGE_BYTES - 1))) / size);
	n = min_t(u64, n, to_wrap);
	if (n <= 1)
		return 1;
	/* A limit in between: go singly, the fault comes at the right element. */
	if (hull_emu_segment(emu, side->seg, side->offset, (u64)n * size, flags, &linear))
		return 1;
	return n;
}

static unsigned int batch_limit(const struct hull_emu *emu, u64 count)
{
	if (!repeated(emu) || (emu->regs->rflags & (FLAG_DF | FLAG_TF)) ||
	    (emu->state.single & HULL_EMU_SINGLE_READ))
		return 1;
	return min_t(u64, count, HULL_EMU_BATCH / emu->insn.opsize);
}

/*
 * The two ranges may be the same memory under two addresses. A batch must not
 * read what an earlier element of it would have written.
 */
static unsigned int overlap_limit(const struct side *from, const struct side *to,
				  unsigned int n, unsigned int size)
{
	u64 a = from->linear & (PAGE_BYTES - 1), b = to->linear & (PAGE_BYTES - 1);

	if (b > a && b < a + (u64)n * size)
		n = (b - a) / size;
	return n ? n : 1;
}

/* Write or OUT of @n elements, singly when the callback refuses the batch. */
static int put_batch(struct hull_emu *emu, enum hull_emu_log_kind kind, u64 address,
		     unsigned int n, const u8 *data)
{
	struct hull_emu_state *state = &emu->state;
	unsigned int size = emu->insn.opsize;
	const void *p = data;
	int ret;

	if (!(state->single & HULL_EMU_SINGLE_WRITE)) {
		ret = hull_emu_access(emu, kind, address, size, n, &p, 0);
		if (ret != -E2BIG)
			return ret;
		state->single |= HULL_EMU_SINGLE_WRITE;
	}
	while (state->done < n) {
		u32 at = state->done * size;

		p = data + at;
		ret = hull_emu_access(emu, kind, kind == HULL_LOG_WRITE ? address + at : address,
				      size, 1, &p, 0);
		if (ret)
			return ret;
		/* The count remembers it; the log has no room for all of them. */
		state->nlog--;
		emu->cursor--;
		state->done++;
	}
	return HULL_EMU_DONE;
}

/* Read or IN of *@n elements; *@n becomes 1 when the callback refuses the batch. */
static int get_batch(struct hull_emu *emu, enum hull_emu_log_kind kind, u64 address,
		     unsigned int *n, const void **data)
{
	int ret = hull_emu_access(emu, kind, address, emu->insn.opsize, *n, data, 0);

	if (ret == -E2BIG) {
		emu->state.single |= HULL_EMU_SINGLE_READ;
		*n = 1;
	}
	return ret;
}

static void advance(struct hull_emu *emu, unsigned int reg, unsigned int n)
{
	u64 *gpr = &emu->regs->gpr[reg];
	u64 delta = (u64)n * emu->insn.opsize;

	if (emu->regs->rflags & FLAG_DF)
		delta = -delta;
	*gpr = merge(*gpr, *gpr + delta, emu->insn.adsize);
}

/*
 * One iteration each: *@n is the number of elements it may take and has taken
 */

static int step_movs(struct hull_emu *emu, unsigned int *n)
{
	unsigned int size = emu->insn.opsize;
	struct side from, to;
	const void *data;
	u64 value;
	int ret;

	ret = source_init(emu, &from);
	if (!ret)
		ret = destination_init(emu, &to, HULL_EMU_WRITE);
	if (ret)
		return ret;
	*n = side_room(emu, &from, *n, 0);
	*n = side_room(emu, &to, *n, HULL_EMU_WRITE);
	*n = overlap_limit(&from, &to, *n, size);
	/* A device's registers are not read for a destination that faults. */
	if (!emu->state.nlog) {
		ret = hull_emu_probe(emu, to.linear, (u64)*n * size, 0);
		if (ret)
			return ret;
	}
	ret = -E2BIG;
	if (*n > 1)
		ret = get_batch(emu, HULL_LOG_READ, from.linear, n, &data);
	if (!ret) {
		ret = put_batch(emu, HULL_LOG_WRITE, to.linear, *n, data);
	} else if (ret == -E2BIG) {
		ret = hull_emu_read(emu, from.seg, from.offset, &value, size, 0);
		if (!ret)
			ret = hull_emu_write(emu, to.seg, to.offset, &value, size, 0);
	}
	if (ret)
		return ret;
	advance(emu, HULL_RSI, *n);
	advance(emu, HULL_RDI, *n);
	return HULL_EMU_DONE;
}

/* No reads, so the log's data area is free to hold the repeated value. */
static int step_stos(struct hull_emu *emu, unsigned int *n)
{
	unsigned int i, size = emu->insn.opsize;
	u8 *data = emu->state.data;
	struct side to;
	int ret;

	ret = destination_init(emu, &to, HULL_EMU_WRITE);
	if (ret)
		return ret;
	*n = side_room(emu, &to, *n, HULL_EMU_WRITE);
	for (i = 0; i < *n; i++)
		memcpy(data + i * size, &emu->regs->gpr[HULL_RAX], size);
	if (*n > 1)
		ret = put_batch(emu, HULL_LOG_WRITE, to.linear, *n, data);
	else
		ret = hull_emu_write(emu, to.seg, to.offset, data, size, 0);
	if (!ret)
		advance(emu, HULL_RDI, *n);
	return ret;
}

static int step_lods(struct hull_emu *emu, unsigned int *n)
{
	unsigned int size = emu->insn.opsize;
	struct side from;
	u64 value = 0;
	int ret;

	*n = 1;
	ret = source_init(emu, &from);
	if (!ret)
		ret = hull_emu_read(emu, from.seg, from.offset, &value, size, 0);
	if (ret)
		return ret;
	reg_write(emu, HULL_RAX, value, size);
	advance(emu, HULL_RSI, 1);
	return HULL_EMU_DONE;
}

/* CMPS and SCAS */
static int step_compare(struct hull_emu *emu, unsigned int *n)
{
	bool memory = emu->insn.op == HULL_OP_CMPS;
	unsigned int size = emu->insn.opsize;
	u64 flags = emu->regs->rflags;
	u64 a = reg_read(emu, HULL_RAX, size), b = 0;
	struct side side;
	int ret = HULL_EMU_DONE;

	*n = 1;
	if (memory) {
		a = 0;
		ret = source_init(emu, &side);
		if (!ret)
			ret = hull_emu_read(emu, side.seg, side.offset, &a, size, 0);
	}
	if (!ret)
		ret = destination_init(emu, &side, 0);
	if (!ret)
		ret = hull_emu_read(emu, side.seg, side.offset, &b, size, 0);
	if (ret)
		return ret;
	hull_alu_binary(HULL_OP_CMP, size, a, b, &flags);
	emu->regs->rflags = flags;
	if (memory)
		advance(emu, HULL_RSI, 1);
	advance(emu, HULL_RDI, 1);
	return HULL_EMU_DONE;
}

/* The destination is checked before the port is read: the read cannot be undone. */
static int step_ins(struct hull_emu *emu, unsigned int *n)
{
	u16 port = (u16)emu->regs->gpr[HULL_RDX];
	unsigned int size = emu->insn.opsize;
	const void *data;
	struct side to;
	int ret;

	ret = hull_emu_port_check(emu, port, size);
	if (!ret)
		ret = destination_init(emu, &to, HULL_EMU_WRITE);
	if (ret)
		return ret;
	*n = side_room(emu, &to, *n, HULL_EMU_WRITE);
	if (!emu->state.nlog) {
		ret = hull_emu_probe(emu, to.linear, (u64)*n * size, 0);
		if (ret)
			return ret;
	}
	ret = get_batch(emu, HULL_LOG_IN, port, n, &data);
	if (ret == -E2BIG)
		ret = hull_emu_access(emu, HULL_LOG_IN, port, size, 1, &data, 0);
	if (ret)
		return ret;
	if (*n > 1)
		ret = put_batch(emu, HULL_LOG_WRITE, to.linear, *n, data);
	else
		ret = hull_emu_write(emu, to.seg, to.offset, data, size, 0);
	if (!ret)
		advance(emu, HULL_RDI, *n);
	return ret;
}

static int step_outs(struct hull_emu *emu, unsigned int *n)
{
	u16 port = (u16)emu->regs->gpr[HULL_RDX];
	unsigned int size = emu->insn.opsize;
	const void *data;
	struct side from;
	u64 value = 0;
	int ret;

	ret = hull_emu_port_check(emu, port, size);
	if (!ret)
		ret = source_init(emu, &from);
	if (ret)
		return ret;
	*n = side_room(emu, &from, *n, 0);
	ret = -E2BIG;
	if (*n > 1)
		ret = get_batch(emu, HULL_LOG_READ, from.linear, n, &data);
	if (!ret) {
		ret = put_batch(emu, HULL_LOG_OUT, port, *n, data);
	} else if (ret == -E2BIG) {
		data = &value;
		ret = hull_emu_read(emu, from.seg, from.offset, &value, size, 0);
		if (!ret)
			ret = hull_emu_access(emu, HULL_LOG_OUT, port, size, 1, &data, 0);
	}
	if (!ret)
		advance(emu, HULL_RSI, *n);
	return ret;
}

static int step(struct hull_emu *emu, unsigned int *n)
{
	switch (emu->insn.op) {
	case HULL_OP_MOVS:
		return step_movs(emu, n);
	case HULL_OP_STOS:
		return step_stos(emu, n);
	case HULL_OP_LODS:
		return step_lods(emu, n);
	case HULL_OP_CMPS:
	case HULL_OP_SCAS:
		return step_compare(emu, n);
	case HULL_OP_INS:
		return step_ins(emu, n);
	case HULL_OP_OUTS:
		return step_outs(emu, n);
	default:
		return HULL_EMU_UNHANDLED;
	}
}

/* CMPS and SCAS end early: REPE at a difference, REPNE at a match. */
static bool found(const struct hull_emu *emu)
{
	bool zero = emu->regs->rflags & FLAG_ZF;

	if (emu->insn.op != HULL_OP_CMPS && emu->insn.op != HULL_OP_SCAS)
		return false;
	return emu->insn.prefixes & HULL_PFX_REP ? !zero : zero;
}

int hull_emu_string(struct hull_emu *emu, unsigned int iterations)
{
	u64 *rcx = &emu->regs->gpr[HULL_RCX];
	unsigned int n = 1;
	u64 count;
	int ret;

	if (!repeated(emu))
		return step(emu, &n);

	for (;;) {
		count = *rcx & size_mask(emu->insn.adsize);
		if (!count)
			return HULL_EMU_DONE;
		if (!iterations--)
			return HULL_EMU_AGAIN;
		n = batch_limit(emu, count);
		ret = step(emu, &n);
		if (ret)
			return ret;
		hull_emu_forget(emu);
		*rcx = merge(*rcx, count - n, emu->insn.adsize);
		if (count == n || found(emu))
			return HULL_EMU_DONE;
		if (emu->regs->rflags & FLAG_TF) {
			emu->after |= HULL_EMU_TRAP;
			return HULL_EMU_AGAIN;
		}
	}
}
