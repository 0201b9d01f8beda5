// SPDX-License-Identifier: GPL-2.0
/*
 * How the executor reaches memory and ports: effective addresses, segment
 * checks, splitting at page boundaries, and the log that makes a suspended
 * instruction restartable.
 *
 * The log holds the accesses of the instruction (of one REP iteration) in
 * order. Each execution walks it from the start: what is there is replayed,
 * the first access beyond its end is made. Since registers do not change
 * before the end, a replay asks for the same accesses; that is verified, for
 * user space may have set registers meanwhile.
 */
#include "internal.h"

/* Records an exception. In real mode there are no error codes. */
int hull_emu_raise(struct hull_emu *emu, u8 vector, u32 error)
{
	memset(&emu->fault, 0, sizeof(emu->fault));
	emu->fault.vector = vector;
	emu->fault.has_error = vector >= 10 && (emu->regs->cr0 & EMU_CR0_PE);
	emu->fault.error = emu->fault.has_error ? error : 0;
	return HULL_EMU_FAULT;
}

/* Offset of the memory operand in its segment; @rsp: POP uses the new one. */
u64 hull_emu_offset(const struct hull_insn *insn, const struct hull_emu_regs *regs, u64 rsp)
{
	u64 offset = insn->disp;

	if (insn->rip_relative)
		offset += regs->rip + insn->length;
	if (insn->base == HULL_RSP)
		offset += rsp;
	else if (insn->base != HULL_REG_NONE)
		offset += regs->gpr[insn->base];
	if (insn->index != HULL_REG_NONE)
		offset += regs->gpr[insn->index] * insn->scale;
	return offset & size_mask(insn->adsize);
}

static u64 segment_base(const struct hull_emu_regs *regs, unsigned int mode, unsigned int seg)
{
	return mode == HULL_MODE_64 && seg < HULL_FS ? 0 : regs->seg[seg].base;
}

int hull_emu_linear(const struct hull_insn *insn, const struct hull_emu_regs *regs,
		    u64 *linear)
{
	if (!insn->has_mem)
		return -EINVAL;
	*linear = hull_emu_offset(insn, regs, regs->gpr[HULL_RSP]) +
		  segment_base(regs, insn->mode, insn->segment);
	if (insn->mode != HULL_MODE_64)
		*linear &= size_mask(4);
	return 0;
}

u64 hull_emu_linear_mask(const struct hull_emu *emu)
{
	return emu->insn.mode == HULL_MODE_64 ? ~0ULL : size_mask(4);
}

static bool canonical(const struct hull_emu_regs *regs, u64 linear)
{
	unsigned int shift = regs->cr4 & EMU_CR4_LA57 ? 7 : 16;

	return (u64)((s64)(linear << shift) >> shift) == linear;
}

/* Present, of the right type; real mode knows no types. */
static bool segment_usable(const struct hull_emu_regs *regs, const struct hull_emu_seg *seg,
			   u32 flags)
{
	if (!protected_mode(regs))
		return true;
	if (!(seg->attr & HULL_SEG_P) || !(seg->attr & HULL_SEG_S))
		return false;
	if (seg->attr & HULL_SEG_CODE)
		return !(flags & HULL_EMU_WRITE) && (seg->attr & HULL_SEG_READ);
	return !(flags & HULL_EMU_WRITE) || (seg->attr & HULL_SEG_WRITE);
}

static bool in_limit(const struct hull_emu_seg *seg, u64 offset, u64 len)
{
	u64 last = offset + len - 1;

	if ((seg->attr & (HULL_SEG_CODE | HULL_SEG_DOWN)) == HULL_SEG_DOWN)
		return offset > seg->limit &&
		       last <= (seg->attr & HULL_SEG_DB ? 0xffffffffULL : 0xffffULL);
	return last <= seg->limit;
}

/* Logical to linear address, with all checks: #GP(0), or #SS(0) for the stack segment. */
int hull_emu_segment(struct hull_emu *emu, unsigned int seg, u64 offset, u64 len, u32 flags,
		     u64 *linear)
{
	const struct hull_emu_regs *regs = emu->regs;
	u8 vector = seg == HULL_SS ? VECTOR_SS : VECTOR_GP;
	u64 address = offset + segment_base(regs, emu->insn.mode, seg);

	if (emu->insn.mode == HULL_MODE_64) {
		if (!canonical(regs, address) || !canonical(regs, address + len - 1))
			return hull_emu_raise(emu, vector, 0);
	} else {
		if (!segment_usable(regs, &regs->seg[seg], flags) ||
		    !in_limit(&regs->seg[seg], offset, len))
			return hull_emu_raise(emu, vector, 0);
		address &= size_mask(4);
	}
	*linear = address;
	return HULL_EMU_DONE;
}

int hull_emu_probe(struct hull_emu *emu, u64 linear, u64 len, u32 flags)
{
	u64 mask = hull_emu_linear_mask(emu);
	int ret;

	while (len && emu->ops->probe) {
		u32 chunk = min_t(u64, len, PAGE_BYTES - (linear & (PAGE_BYTES - 1)));

		ret = emu->ops->probe(emu, linear, chunk, flags | HULL_EMU_WRITE);
		if (ret)
			return ret;
		linear = (linear + chunk) & mask;
		len -= chunk;
	}
	return HULL_EMU_DONE;
}

static bool logs_data(unsigned int kind)
{
	return kind == HULL_LOG_READ || kind == HULL_LOG_IN;
}

static int callback(struct hull_emu *emu, const struct hull_emu_log *entry, const void *data,
		    void *buffer, u32 flags)
{
	const struct hull_emu_ops *ops = emu->ops;

	switch (entry->kind) {
	case HULL_LOG_READ:
		return ops->read(emu, entry->address, buffer, entry->size, entry->count, flags);
	case HULL_LOG_WRITE:
		return ops->write(emu, entry->address, data, entry->size, entry->count,
				  flags | HULL_EMU_WRITE);
	case HULL_LOG_IN:
		return ops->in(emu, (u16)entry->address, entry->size, entry->count, buffer);
	default:
		return ops->out(emu, (u16)entry->address, entry->size, entry->count, data);
	}
}

static bool same_access(const struct hull_emu_log *a, const struct hull_emu_log *b)
{
	return a->kind == b->kind && a->address == b->address && a->size == b->size &&
	       a->count == b->count;
}

int hull_emu_access(struct hull_emu *emu, enum hull_emu_log_kind kind, u64 address,
		    unsigned int size, unsigned int count, const void **data, u32 flags)
{
	struct hull_emu_state *state = &emu->state;
	struct hull_emu_log entry = {
		.address = address, .size = size, .count = count, .kind = kind,
	};
	u8 *buffer = state->data + emu->used;
	u32 bytes = logs_data(kind) ? size * count : 0;
	int ret = HULL_EMU_DONE;

	if (emu->cursor >= HULL_EMU_LOG || emu->used + bytes > HULL_EMU_BATCH)
		return -EINVAL;
	if (emu->cursor < state->nlog) {
		if (!same_access(&state->log[emu->cursor], &entry))
			return -EINVAL;
	} else {
		ret = callback(emu, &entry, *data, buffer, flags);
		if (ret != HULL_EMU_DONE && ret != HULL_EMU_SUSPEND)
			return ret;
		state->log[state->nlog++] = entry;
		state->pending = ret == HULL_EMU_SUSPEND;
	}
	if (ret)
		return ret;
	emu->cursor++;
	emu->used += bytes;
	if (bytes)
		*data = buffer;
	return HULL_EMU_DONE;
}

/* At most two fragments: nothing here is longer than a page. */
static int memory_access(struct hull_emu *emu, enum hull_emu_log_kind kind, u64 linear,
			 u8 *data, unsigned int size, u32 flags)
{
	unsigned int first = min_t(u64, size, PAGE_BYTES - (linear & (PAGE_BYTES - 1)));
	const void *p = data;
	int ret;

	if (first < size && kind == HULL_LOG_WRITE && emu->cursor == emu->state.nlog) {
		ret = hull_emu_probe(emu, linear, size, flags);
		if (ret)
			return ret;
	}
	ret = hull_emu_access(emu, kind, linear, first, 1, &p, flags);
	if (ret)
		return ret;
	if (kind == HULL_LOG_READ)
		memcpy(data, p, first);
	if (first == size)
		return HULL_EMU_DONE;

	linear = (linear + first) & hull_emu_linear_mask(emu);
	p = data + first;
	ret = hull_emu_access(emu, kind, linear, size - first, 1, &p, flags);
	if (!ret && kind == HULL_LOG_READ)
		memcpy(data + first, p, size - first);
	return ret;
}

int hull_emu_read(struct hull_emu *emu, unsigned int seg, u64 offset, void *data,
		  unsigned int size, u32 flags)
{
	u64 linear;
	int ret = hull_emu_segment(emu, seg, offset, size, flags, &linear);

	return ret ? ret : memory_access(emu, HULL_LOG_READ, linear, data, size, flags);
}

int hull_emu_write(struct hull_emu *emu, unsigned int seg, u64 offset, const void *data,
		   unsigned int size, u32 flags)
{
	u8 copy[16];
	u64 linear;
	int ret = hull_emu_segment(emu, seg, offset, size, flags | HULL_EMU_WRITE, &linear);

	if (ret)
		return ret;
	memcpy(copy, data, size);
	return memory_access(emu, HULL_LOG_WRITE, linear, copy, size, flags);
}

/* May this CPL touch the port? Only above IOPL does the bitmap count. */
int hull_emu_port_check(struct hull_emu *emu, u16 port, unsigned int size)
{
	const struct hull_emu_regs *regs = emu->regs;
	unsigned int iopl = (regs->rflags & FLAG_IOPL) >> 12;

	if (!(regs->cr0 & EMU_CR0_PE) || !emu->ops->io_allowed)
		return HULL_EMU_DONE;
	if (!(regs->rflags & FLAG_VM) && regs->cpl <= iopl)
		return HULL_EMU_DONE;
	return emu->ops->io_allowed(emu, port, size);
}
