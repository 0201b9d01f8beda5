/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What waits to be delivered to a vCPU, and in which order.
 */
#ifndef HULL_EVENT_H
#define HULL_EVENT_H

#include <linux/atomic.h>
#include <linux/bits.h>
#include <asm/trapnr.h>

#include "types.h"

/* Exception vectors are the kernel's X86_TRAP_* (asm/trapnr.h). */

/* DR7: MOV DR faults. The handler of a #DB, whatever raised it, begins without. */
#define HULL_DR7_GD	BIT(13)

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
 * @startup: INIT and SIPI that wait, HULL_STARTUP_* bits; atomic
 * @sipi_vector: of the latest SIPI
 * @triple_fault: an exception could not be delivered: the guest shuts down
 * @injected: what the last entry delivers: enum hull_injection_kind
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
	unsigned long startup;
	u8 sipi_vector;
	bool triple_fault;
	u8 injected;
};

#define HULL_STARTUP_INIT	0
#define HULL_STARTUP_SIPI	1

/*
 * How both vendors' hardware describes an event that is to be delivered, or whose delivery an exit
 * interrupted.
 */
#define HULL_DELIVERY_VECTOR	0xffU
#define HULL_DELIVERY_TYPE		(7U << 8)
#define HULL_DELIVERY_INTERRUPT	(0U << 8)
#define HULL_DELIVERY_NMI		(2U << 8)
#define HULL_DELIVERY_EXCEPTION	(3U << 8)
#define HULL_DELIVERY_ERROR	BIT(11)

enum hull_injection_kind {
	HULL_INJECTION_NONE,
	HULL_INJECTION_EXCEPTION,
	HULL_INJECTION_INTERRUPT,
	HULL_INJECTION_NMI,
};

/**
 * struct hull_injection - what to deliver with the next entry
 * @kind: enum hull_injection_kind
 * @vector: exception or interrupt
 * @has_error: exception pushes @error_code
 * @error_code: of the exception
 * @window: more waits: exit as soon as the guest can take an interrupt
 */
struct hull_injection {
	u32 kind;
	u8 vector;
	bool has_error;
	bool window;
	u32 error_code;
};

/*
 * hull_event_select - the next event by priority: exception, NMI, interrupt.
 * @interruptible: RFLAGS.IF is set and there is no interrupt shadow
 * In the window or outside; the vCPU thread. The backend delivers it with the next entry. An
 * exception or interrupt stays queued until the backend saw it delivered.
 */
void hull_event_select(struct hull_vcpu *vcpu, bool interruptible, struct hull_injection *next);

/*
 * An exit interrupted the delivery of @info (HULL_DELIVERY_*), which is queued again. @cr2: of the
 * guest. In the window.
 */
void hull_event_requeue(struct hull_vcpu *vcpu, u32 info, u32 error_code, u64 cr2);

/* Is there something that ends HLT? @interrupts: RFLAGS.IF. Any time in the vCPU thread. */
bool hull_event_wakes(struct hull_vcpu *vcpu, bool interrupts);

/* Queue an exception. Combines with a pending one into #DF or a triple fault as the manuals say. */
void hull_inject_exception(struct hull_vcpu *vcpu, u8 vector);
void hull_inject_exception_error(struct hull_vcpu *vcpu, u8 vector, u32 error_code);
void hull_inject_page_fault(struct hull_vcpu *vcpu, u64 address, u32 error_code);

/* After an instruction executed in software with RFLAGS.TF set. */
void hull_inject_single_step(struct hull_vcpu *vcpu);

/* Any context. */
void hull_inject_nmi(struct hull_vcpu *vcpu);
void hull_inject_init(struct hull_vcpu *vcpu);
void hull_inject_sipi(struct hull_vcpu *vcpu, u8 vector);

void hull_event_reset(struct hull_vcpu *vcpu);

/*
 * After a fault the instruction is executed again, and CPUs push RF for that: no instruction
 * breakpoint when the handler returns to it. The others are traps and aborts.
 */
static inline bool hull_event_is_fault(u8 vector)
{
	return !((BIT(X86_TRAP_DB) | BIT(X86_TRAP_BP) | BIT(X86_TRAP_OF) | BIT(X86_TRAP_DF) |
		  BIT(X86_TRAP_MC)) & BIT(vector));
}

static inline void hull_inject_gp(struct hull_vcpu *vcpu)
{
	hull_inject_exception_error(vcpu, 13, 0);
}

static inline void hull_inject_ud(struct hull_vcpu *vcpu)
{
	hull_inject_exception(vcpu, 6);
}

#endif
