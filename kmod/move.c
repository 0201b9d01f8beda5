// SPDX-License-Identifier: GPL-2.0
/*
 * Plain moves to and from a device's memory: how drivers talk to their devices, and frequent. They
 * are done, or at least understood, in the window, without the emulator. 64-bit code only, MOV
 * between memory and a register or a constant; all else is the emulator's.
 *
 * An instruction is decoded once: what its bytes say is kept for a few places and found again by
 * comparing the bytes. The CPU has made all checks of the access: it has told its address.
 *
 * The vCPU thread, in the window: no locks, no sleep. Place in the tour: after insn.c.
 */
#include "backend.h"
#include "exit.h"
#include "fast.h"
#include "irqchip/irqchip.h"
#include "ring_core.h"
#include "vcpu.h"

#define FETCH	16	/* bytes: an instruction and at least one more */

/* No bytes of high halves (AH), which only old code moves to a device. */
static bool is_plain(const struct hull_insn *insn)
{
	if (insn->op != HULL_OP_MOV || insn->map != HULL_MAP_ONE || !insn->has_modrm)
		return false;
	if (!insn->has_mem || insn->adsize != 8 || insn->override != HULL_SEG_NONE)
		return false;
	if (insn->prefixes & ~HULL_PFX_OPSIZE)
		return false;
	return insn->opsize > 1 || insn->rex || insn->reg < HULL_RSP || insn->imm_bytes;
}

static void learn(struct hull_move *move, const u64 *bytes)
{
	struct hull_insn insn;

	memset(move, 0, sizeof(*move));
	memcpy(move->bytes, bytes, FETCH);
	if (hull_insn_decode(&insn, HULL_MODE_64, (const u8 *)bytes, HULL_INSN_MAX) ||
	    !is_plain(&insn))
		return;
	move->length = insn.length;
	move->size = insn.opsize;
	/* 8A and 8B read; 88, 89, C6 and C7 write. */
	move->write = (insn.opcode & 0xfe) != 0x8a;
	move->reg = insn.imm_bytes ? HULL_REG_NONE : insn.reg;
	move->base = insn.base;
	move->index = insn.index;
	move->scale = insn.scale;
	/* RIP of the next instruction is added. */
	move->rip_relative = insn.rip_relative;
	move->disp = insn.disp;
	move->imm = insn.imm;
}

static const struct hull_move *find_move(struct hull_vcpu *vcpu, u64 cr3, u64 rip)
{
	struct hull_move *move = &vcpu->moves[(rip >> 2) % HULL_MOVES];
	unsigned long hva;
	u64 bytes[2];

	if (unlikely(offset_in_page(rip) > PAGE_SIZE - FETCH))
		return NULL;
	hva = hull_fast_translate(vcpu, cr3, rip);
	if (unlikely(!hva) || unlikely(!user_read_access_begin((void __user *)hva, FETCH)))
		return NULL;
	unsafe_get_user(bytes[0], (u64 __user *)hva, fault);
	unsafe_get_user(bytes[1], (u64 __user *)hva + 1, fault);
	user_read_access_end();
	if (unlikely(move->bytes[0] != bytes[0] || move->bytes[1] != bytes[1]))
		learn(move, bytes);
	return move->length ? move : NULL;

fault:
	user_read_access_end();
	return NULL;
}

/* The operand is where the fault was: not the second half of one that crosses into the page. */
static bool is_whole(const struct hull_vcpu *vcpu, const struct hull_move *move, u64 rip, gpa_t gpa)
{
	u64 linear = move->disp;

	if (move->rip_relative)
		linear += rip + move->length;
	if (move->base != HULL_REG_NONE)
		linear += vcpu->gprs.gpr[move->base];
	if (move->index != HULL_REG_NONE)
		linear += vcpu->gprs.gpr[move->index] * move->scale;
	return offset_in_page(linear) == offset_in_page(gpa) &&
	       offset_in_page(gpa) + move->size <= PAGE_SIZE;
}

/* Controllers in the module, and writes that nobody answers. */
static bool deliver(struct hull_vcpu *vcpu, const struct hull_move *move, gpa_t gpa, u64 *value)
{
	if (vcpu->lapic && hull_irqchip_memory(vcpu, gpa, move->size, move->write, value))
		return true;
	if (!move->write ||
	    !hull_ring_write_fast(vcpu, HULL_SPACE_MEMORY, gpa, move->size, *value))
		return false;
	hull_count(vcpu, HULL_STAT_MMIO);
	return true;
}

bool hull_fast_move(struct hull_vcpu *vcpu, u64 cr3, u64 rip, struct hull_exit *exit)
{
	const struct hull_move *move;
	u64 value = 0;

	if (hull_fast_hva(vcpu, exit->gpa))
		return false;
	move = find_move(vcpu, cr3, rip);
	if (!move || move->write != !!(exit->access & HULL_ACCESS_WRITE) ||
	    !is_whole(vcpu, move, rip, exit->gpa))
		return false;
	if (move->write)
		value = (move->reg == HULL_REG_NONE ? move->imm : vcpu->gprs.gpr[move->reg]) &
			hull_size_mask(move->size);
	exit->next_rip = rip + move->length;
	if (deliver(vcpu, move, exit->gpa, &value)) {
		if (!move->write)
			hull_merge_result(&vcpu->gprs.gpr[move->reg], move->size, value);
		return true;
	}
	exit->size = move->size;
	exit->write = move->write;
	exit->reg = move->write ? 0 : move->reg;
	exit->value = value;
	return false;
}
