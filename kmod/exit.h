/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Handling of exits that close the window, and of what a handler began and the launcher finishes.
 */
#ifndef HULL_EXIT_H
#define HULL_EXIT_H

#include "backend.h"
#include "emulate/emulate.h"
#include "types.h"

enum hull_continuation_kind {
	HULL_CONT_NONE,
	HULL_CONT_ACCESS,	/* plain IN, OUT or MOV */
	HULL_CONT_HYPERCALL,
	HULL_CONT_EMULATE,	/* vcpu->emu is suspended */
};

/**
 * struct hull_continuation - an exit that waits for an answer; plain data, part of a snapshot
 * @kind: enum hull_continuation_kind
 * @size: access: bytes
 * @write: access: OUT, or MOV to memory
 * @reg: access: register that a read goes to
 * @next_rip: RIP when it is done
 * @length: emulation: bytes the answer has
 */
struct hull_continuation {
	u32 kind;
	u8 size;
	u8 write;
	u8 reg;
	u8 reserved;
	u32 length;
	u32 reserved2;
	u64 next_rip;
};

/* Handle one exit, outside the window. enum hull_next or -errno. */
int hull_exit_handle(struct hull_vcpu *vcpu, const struct hull_exit *exit);

/* At the start of HULL_RUN: finish what waits for an answer. enum hull_next or -errno. */
int hull_exit_finish(struct hull_vcpu *vcpu);

/* What is read goes to AL, AX, EAX and so on; a 32-bit result clears the upper half. */
static inline void hull_merge_result(u64 *gpr, u8 size, u64 value)
{
	if (size == 1)
		*gpr = (*gpr & ~0xffULL) | (u8)value;
	else if (size == 2)
		*gpr = (*gpr & ~0xffffULL) | (u16)value;
	else
		*gpr = size == 4 ? (u32)value : value;
}

/*
 * The vendor's checker found @broken before an entry. @ours: no state of user space's or the
 * guest's can be the reason. Fills vcpu->exit, returns false: do not enter. In the window.
 */
bool hull_refuse_entry(struct hull_vcpu *vcpu, const char *broken, bool ours);

/* Step over the current instruction to @rip: ends an interrupt shadow. Outside the window. */
void hull_skip_to(struct hull_vcpu *vcpu, u64 rip);

/*
 * The work of a hypercall that the module knows, in or outside the window. True: done, *@result
 * goes to RAX; false: it may belong to a range.
 */
bool hull_hypercall(struct hull_vcpu *vcpu, u64 number, u64 *result);

/* ---- insn.c: instructions that must be looked at ------------------------------------------- */

/*
 * Fetch and decode the instruction at RIP into vcpu->emu.insn; hull_insn_expect(): it must be @op.
 * 0; 1: enter again (a fault was injected, the VM ended, or it is another instruction); -errno.
 */
int hull_insn_fetch(struct hull_vcpu *vcpu);
int hull_insn_expect(struct hull_vcpu *vcpu, enum hull_op op);

/* RIP after the instruction in vcpu->emu.insn. */
u64 hull_insn_next_rip(struct hull_vcpu *vcpu);

/*
 * Execute the instruction at RIP in software, because it touched @gpa (0: for another reason) with
 * @access. enum hull_next or -errno.
 */
int hull_emulate(struct hull_vcpu *vcpu, gpa_t gpa, u32 access);
int hull_emulate_finish(struct hull_vcpu *vcpu);
void hull_emulate_setup(struct hull_vcpu *vcpu);

/* ---- move.c: plain moves to and from a device's memory ------------------------------------- */

/*
 * hull_fast_move - the guest's access to @exit->gpa, should it be a plain MOV to or from no memory
 * @cr3: of the guest, which runs 64-bit code
 * @rip: of the instruction
 * @exit: @gpa, @access are filled
 * In the window, with RAX and RSP in vcpu->gprs. True: it is done, RIP is to be @exit->next_rip.
 * False: @exit->next_rip, if it is not 0 any more, @size, @write, @value and @reg tell what it is.
 */
bool hull_fast_move(struct hull_vcpu *vcpu, u64 cr3, u64 rip, struct hull_exit *exit);

#endif
