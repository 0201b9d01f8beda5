/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What waits to be delivered to a vCPU, and in which order.
 */
#ifndef HULL_EVENT_H
#define HULL_EVENT_H

#include "types.h"

/* Exception vectors are the kernel's X86_TRAP_* (asm/trapnr.h). */

/**
 * struct hull_event - pending events of one vCPU; owner: the vCPU thread
 * @exception: an exception (or soft interrupt) is to be delivered
 * @has_error: it pushes @error_code
 * @soft: it was raised by INT3, INTO or INT n: @insn_len matters
 * @vector: its vector
 * @insn_len: length of the instruction that raised it
 * @error_code: pushed with it
 * @fault_address: CR2, loaded at delivery when @vector is #PF
 * @interrupt: vector taken from the controller and not yet delivered, or -1
 * @nmi_pending: NMIs that wait (at most 2, as hardware latches one while one is handled)
 * @nmi_masked: until IRET
 * @shadow: no interrupt before the next instruction (STI, MOV SS)
 * @window: the backend was asked to report when an interrupt or NMI can be taken
 */
struct hull_event {
	bool exception;
	bool has_error;
	bool soft;
	u8 vector;
	u8 insn_len;
	u32 error_code;
	u64 fault_address;
	int interrupt;
	atomic_t nmi_pending;
	bool nmi_masked;
	bool shadow;
	bool window;
};

/* Queue an exception. Combines with a pending one into #DF or a triple fault as the manuals say. */
void hull_inject_exception(struct hull_vcpu *vcpu, u8 vector);
void hull_inject_exception_error(struct hull_vcpu *vcpu, u8 vector, u32 error_code);
void hull_inject_page_fault(struct hull_vcpu *vcpu, u64 address, u32 error_code);

/* Any context. */
void hull_inject_nmi(struct hull_vcpu *vcpu);

static inline void hull_inject_gp(struct hull_vcpu *vcpu)
{
	hull_inject_exception_error(vcpu, 13, 0);
}

static inline void hull_inject_ud(struct hull_vcpu *vcpu)
{
	hull_inject_exception(vcpu, 6);
}

#endif
