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
	HULL_CONT_PORT,		/* plain IN or OUT */
	HULL_CONT_HYPERCALL,
	HULL_CONT_EMULATE,	/* vcpu->emu is suspended */
};

/**
 * struct hull_continuation - an exit that waits for an answer; plain data, part of a snapshot
 * @kind: enum hull_continuation_kind
 * @size: port: bytes
 * @write: port: OUT
 * @next_rip: RIP when it is done
 * @length: emulation: bytes the answer has
 */
struct hull_continuation {
	u32 kind;
	u8 size;
	u8 write;
	u16 reserved;
	u32 length;
	u32 reserved2;
	u64 next_rip;
};

/* Handle one exit, outside the window. enum hull_next or -errno. */
int hull_exit_handle(struct hull_vcpu *vcpu, const struct hull_exit *exit);

/* At the start of HULL_RUN: finish what waits for an answer. enum hull_next or -errno. */
int hull_exit_finish(struct hull_vcpu *vcpu);

/* IN writes AL, AX or EAX; the latter clears the upper half as any 32-bit result does. */
static inline void hull_port_result(u64 *rax, u8 size, u32 value)
{
	if (size == 1)
		*rax = (*rax & ~0xffULL) | (u8)value;
	else if (size == 2)
		*rax = (*rax & ~0xffffULL) | (u16)value;
	else
		*rax = value;
}

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

#endif
