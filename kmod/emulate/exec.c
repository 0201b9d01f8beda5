// SPDX-License-Identifier: GPL-2.0
/*
 * Life of an instruction in the executor: begin, execute, complete, restore.
 * Semantics are in integer.c and string.c, memory and the log in access.c.
 */
#include "internal.h"

enum hull_emu_mode hull_emu_mode(const struct hull_emu_regs *regs)
{
	const struct hull_emu_seg *cs = &regs->seg[HULL_CS];

	if (regs->rflags & FLAG_VM)
		return HULL_MODE_16;
	if ((regs->efer & EMU_EFER_LMA) && (cs->attr & HULL_SEG_L))
		return HULL_MODE_64;
	/* Real mode too: D survives the clearing of CR0.PE until CS is loaded. */
	return cs->attr & HULL_SEG_DB ? HULL_MODE_32 : HULL_MODE_16;
}

/* Drops the log: the accesses of one instruction or REP iteration are history. */
void hull_emu_forget(struct hull_emu *emu)
{
	emu->cursor = 0;
	emu->used = 0;
	emu->state.nlog = 0;
	emu->state.pending = 0;
	emu->state.done = 0;
	emu->state.single &= ~HULL_EMU_SINGLE_WRITE;
}

void hull_emu_cancel(struct hull_emu *emu)
{
	hull_emu_forget(emu);
	emu->state.single = 0;
	emu->state.nbytes = 0;
}

int hull_emu_begin(struct hull_emu *emu, const u8 *bytes, unsigned int nbytes)
{
	enum hull_emu_mode mode = hull_emu_mode(emu->regs);
	int ret;

	hull_emu_cancel(emu);
	emu->after = 0;
	ret = hull_insn_decode(&emu->insn, mode, bytes, nbytes);
	if (ret)
		return ret;
	emu->state.mode = mode;
	emu->state.nbytes = emu->insn.length;
	memset(emu->state.bytes, 0, sizeof(emu->state.bytes));
	memcpy(emu->state.bytes, bytes, emu->insn.length);
	return 0;
}

static void retire(struct hull_emu *emu)
{
	struct hull_emu_regs *regs = emu->regs;
	u64 mask = emu->insn.mode == HULL_MODE_64 ? ~0ULL : size_mask(4);

	regs->rip = (regs->rip + emu->insn.length) & mask;
	regs->rflags &= ~FLAG_RF;
	if (regs->rflags & FLAG_TF)
		emu->after |= HULL_EMU_TRAP;
}

int hull_emu_execute(struct hull_emu *emu, unsigned int iterations)
{
	int ret;

	if (!emu->state.nbytes || !iterations)
		return -EINVAL;
	if (emu->state.pending)
		return HULL_EMU_SUSPEND;
	emu->cursor = 0;
	emu->used = 0;
	emu->after = 0;

	if (emu->insn.attr & A_STRING)
		ret = hull_emu_string(emu, iterations);
	else
		ret = hull_emu_integer(emu);

	if (ret == HULL_EMU_DONE)
		retire(emu);
	if (ret == HULL_EMU_DONE || ret == HULL_EMU_FAULT || ret == HULL_EMU_UNHANDLED ||
	    ret == -EINVAL)
		hull_emu_cancel(emu);
	return ret;
}

const struct hull_emu_log *hull_emu_pending(const struct hull_emu *emu)
{
	const struct hull_emu_state *state = &emu->state;

	return state->pending ? &state->log[state->nlog - 1] : NULL;
}

static u32 logged_bytes(const struct hull_emu_log *entry)
{
	if (entry->kind == HULL_LOG_READ || entry->kind == HULL_LOG_IN)
		return (u32)entry->size * entry->count;
	return 0;
}

int hull_emu_complete(struct hull_emu *emu, const void *data, u32 len)
{
	struct hull_emu_state *state = &emu->state;
	u32 offset = 0;
	unsigned int i;

	if (!state->pending)
		return -ENOENT;
	for (i = 0; i + 1 < state->nlog; i++)
		offset += logged_bytes(&state->log[i]);
	if (len != logged_bytes(&state->log[i]))
		return -EINVAL;
	if (len)
		memcpy(state->data + offset, data, len);
	state->pending = 0;
	return 0;
}

/* What the rest of the code takes for granted: indices and sums within bounds. */
static bool state_consistent(const struct hull_emu_state *state)
{
	u32 bytes = 0;
	unsigned int i;

	if (state->mode > HULL_MODE_64 || state->nbytes > HULL_INSN_MAX ||
	    state->nlog > HULL_EMU_LOG || state->pending > 1 || state->pending > state->nlog ||
	    (state->single & ~(HULL_EMU_SINGLE_READ | HULL_EMU_SINGLE_WRITE)) ||
	    state->done > HULL_EMU_BATCH)
		return false;
	for (i = 0; i < state->nlog; i++) {
		const struct hull_emu_log *entry = &state->log[i];

		if (entry->kind < HULL_LOG_READ || entry->kind > HULL_LOG_OUT ||
		    (u32)entry->size * entry->count > HULL_EMU_BATCH)
			return false;
		bytes += logged_bytes(entry);
	}
	return bytes <= HULL_EMU_BATCH;
}

int hull_emu_restore(struct hull_emu *emu, const struct hull_emu_state *state)
{
	hull_emu_cancel(emu);
	if (!state_consistent(state))
		return -EINVAL;
	if (!state->nbytes)
		return state->nlog ? -EINVAL : 0;
	if (hull_insn_decode(&emu->insn, state->mode, state->bytes, state->nbytes))
		return -EINVAL;
	emu->state = *state;
	return 0;
}
