// SPDX-License-Identifier: GPL-2.0
/*
 * After an exit, still in the window: finish event delivery, handle what is fast, describe the
 * rest in neutral terms.
 *
 * Called by entry.S with GIF clear. Returns 0 to enter again.
 */
#include <asm/trapnr.h>

#include "../cpuid.h"
#include "../exit.h"
#include "../fast.h"
#include "../msr.h"
#include "svm.h"

/* Bytes of instructions, first one lowest. */
#define CODE_CPUID	0xa20fU
#define CODE_RDMSR	0x320fU
#define CODE_WRMSR	0x300fU
#define CODE_VMMCALL	0xd9010fU
#define CODE_HLT	0xf4U

enum { LEAVE = 1, AGAIN = 0 };

/* ---- stepping over instructions ------------------------------------------------------------- */

/* The instruction is the plain form: its length is known. */
static __always_inline bool is_code(struct hull_vcpu *vcpu, const struct vmcb *vmcb, u32 code,
				    unsigned int len)
{
	const struct vmcb_save_area *save = &vmcb->save;

	if (svm_caps.nrips)
		return vmcb->control.next_rip - save->rip == len;
	if (unlikely(!(save->cs.attrib & HULL_SEG_L)) || unlikely(!(save->efer & EFER_LMA)))
		return false;
	return hull_fast_code_is(vcpu, save->cr3, save->rip, code, len);
}

/* False: a trap is due, which the slow path delivers. */
static __always_inline void advance(struct hull_vcpu *vcpu, struct vmcb *vmcb, u64 rip)
{
	vmcb->save.rip = rip;
	vmcb->control.int_state &= ~SVM_INTERRUPT_SHADOW_MASK;
	if (unlikely(vmcb->save.rflags & (X86_EFLAGS_TF | X86_EFLAGS_RF))) {
		if (vmcb->save.rflags & X86_EFLAGS_TF) {
			vcpu->debug.dr6 = vmcb->save.dr6;
			hull_inject_single_step(vcpu);
		}
		vmcb->save.rflags &= ~X86_EFLAGS_RF;
	}
}

/* ---- delivery that an exit interrupted ------------------------------------------------------ */

static void requeue(struct hull_vcpu *vcpu, struct vmcb *vmcb, u32 info)
{
	struct hull_event *event = &vcpu->event;
	u8 vector = info & SVM_EXITINTINFO_VEC_MASK;

	switch (info & SVM_EXITINTINFO_TYPE_MASK) {
	case SVM_EXITINTINFO_TYPE_INTR:
		event->interrupt = vector;
		break;
	case SVM_EXITINTINFO_TYPE_NMI:
		event->nmi_masked = false;
		atomic_inc(&event->nmi_pending);
		break;
	case SVM_EXITINTINFO_TYPE_EXEPT:
		/* INT3 and INTO are executed again, as INT n is: RIP is at the instruction. */
		if (vector == X86_TRAP_BP || vector == X86_TRAP_OF)
			break;
		event->exception = true;
		event->vector = vector;
		event->has_error = info & SVM_EXITINTINFO_VALID_ERR;
		event->error_code = vmcb->control.exit_int_info_err;
		event->fault_address = vmcb->save.cr2;
		break;
	}
	hull_vcpu_set_request(vcpu, HULL_REQ_EVENT);
}

static __always_inline void finish_delivery(struct hull_vcpu *vcpu, struct svm_vcpu *svm,
					    struct vmcb *vmcb)
{
	u32 info = vmcb->control.exit_int_info;

	vmcb->control.tlb_ctl = TLB_CONTROL_DO_NOTHING;
	if (unlikely(svm->injected)) {
		vmcb->control.event_inj = 0;
		if (svm->injected == HULL_INJECTION_EXCEPTION)
			vcpu->event.exception = false;
		else if (svm->injected == HULL_INJECTION_INTERRUPT)
			vcpu->event.interrupt = -1;
		svm->injected = HULL_INJECTION_NONE;
	}
	if (unlikely(info & SVM_EXITINTINFO_VALID))
		requeue(vcpu, vmcb, info);
}

/* ---- fast handlers -------------------------------------------------------------------------- */

static int fast_cpuid(struct hull_vcpu *vcpu, struct vmcb *vmcb)
{
	/* Leaf 0xd tells of XCR0, which is known for sure outside the window: see sync_xcr0(). */
	if ((u32)vmcb->save.rax == 0xd || !is_code(vcpu, vmcb, CODE_CPUID, 2))
		return LEAVE;
	hull_cpuid_execute(vcpu, &vmcb->save.rax, vcpu->gprs.gpr, vmcb->save.cr4);
	advance(vcpu, vmcb, vmcb->save.rip + 2);
	return AGAIN;
}

static int fast_read_msr(struct hull_vcpu *vcpu, struct vmcb *vmcb)
{
	u64 value;

	if (!is_code(vcpu, vmcb, CODE_RDMSR, 2))
		return LEAVE;
	if (hull_msr_read(vcpu, vcpu->gprs.gpr[HULL_GPR_RCX], &value, true))
		return LEAVE;
	vmcb->save.rax = (u32)value;
	vcpu->gprs.gpr[HULL_GPR_RDX] = value >> 32;
	advance(vcpu, vmcb, vmcb->save.rip + 2);
	return AGAIN;
}

static int fast_write_msr(struct hull_vcpu *vcpu, struct vmcb *vmcb)
{
	u32 index = vcpu->gprs.gpr[HULL_GPR_RCX];
	u64 value = (u32)vmcb->save.rax | (vcpu->gprs.gpr[HULL_GPR_RDX] << 32);

	/* EFER works on the neutral state, which is loaded only outside the window. */
	if (index == MSR_EFER || !is_code(vcpu, vmcb, CODE_WRMSR, 2))
		return LEAVE;
	if (hull_msr_write(vcpu, index, value, true))
		return LEAVE;
	advance(vcpu, vmcb, vmcb->save.rip + 2);
	return AGAIN;
}

static int fast_hypercall(struct hull_vcpu *vcpu, struct vmcb *vmcb)
{
	u64 result;

	if (vmcb->save.cpl || !is_code(vcpu, vmcb, CODE_VMMCALL, 3))
		return LEAVE;
	if (!hull_hypercall(vcpu, vmcb->save.rax, &result))
		return LEAVE;
	vmcb->save.rax = result;
	advance(vcpu, vmcb, vmcb->save.rip + 3);
	return AGAIN;
}

/* HLT with something to deliver never leaves the window. */
static int fast_hlt(struct hull_vcpu *vcpu, struct svm_vcpu *svm, struct vmcb *vmcb)
{
	if (!vcpu->lapic || !is_code(vcpu, vmcb, CODE_HLT, 1))
		return LEAVE;
	advance(vcpu, vmcb, vmcb->save.rip + 1);
	if (hull_event_wakes(vcpu, vmcb->save.rflags & X86_EFLAGS_IF)) {
		hull_vcpu_set_request(vcpu, HULL_REQ_EVENT);
		return AGAIN;
	}
	vcpu->run_state = HULL_STATE_HALTED;
	svm->exit->kind = HULL_X_NONE;
	return LEAVE;
}

static int fast_port(struct hull_vcpu *vcpu, struct svm_vcpu *svm, struct vmcb *vmcb)
{
	u32 info = vmcb->control.exit_info_1, value = vmcb->save.rax;
	u8 size = (info & SVM_IOIO_SIZE_MASK) >> SVM_IOIO_SIZE_SHIFT;
	bool write = !(info & SVM_IOIO_TYPE_MASK);
	struct hull_exit *exit = svm->exit;

	if (likely(!(info & SVM_IOIO_STR_MASK)) &&
	    hull_fast_port(vcpu, info >> 16, size, write, &value)) {
		if (!write)
			hull_port_result(&vmcb->save.rax, size, value);
		advance(vcpu, vmcb, vmcb->control.exit_info_2);
		return AGAIN;
	}
	exit->kind = HULL_X_PORT;
	exit->port = info >> 16;
	exit->size = size;
	exit->write = write;
	exit->string = info & SVM_IOIO_STR_MASK;
	exit->rep = info & BIT(SVM_IOIO_REP_SHIFT);
	exit->next_rip = vmcb->control.exit_info_2;
	return LEAVE;
}

/* ---- description ---------------------------------------------------------------------------- */

/* EXITINFO1 of a nested page fault: a page-fault error code. */
#define NPF_WRITE	BIT(1)
#define NPF_FETCH	BIT(4)

static int memory_fault(struct svm_vcpu *svm, struct vmcb *vmcb)
{
	u64 info = vmcb->control.exit_info_1;
	struct hull_exit *exit = svm->exit;

	exit->kind = HULL_X_MEMORY;
	exit->gpa = vmcb->control.exit_info_2;
	exit->access = ((info & NPF_WRITE) ? HULL_ACCESS_WRITE : 0) |
		       ((info & NPF_FETCH) ? HULL_ACCESS_FETCH : 0);
	return LEAVE;
}

static int exception(struct hull_vcpu *vcpu, struct svm_vcpu *svm, struct vmcb *vmcb, u32 code)
{
	struct hull_exit *exit = svm->exit;

	exit->vector = code - SVM_EXIT_EXCP_BASE;
	exit->error_code = vmcb->control.exit_info_1;
	exit->kind = HULL_X_EXCEPTION;
	if (exit->vector == X86_TRAP_MC) {
		/* The host's own: taken when the window has closed. */
		exit->kind = HULL_X_MACHINE_CHECK;
	}
	return LEAVE;
}

/* Exits that only wanted the host's attention, or a look at what is pending. */
static int attention(struct hull_vcpu *vcpu, struct svm_vcpu *svm, u32 code)
{
	struct vmcb *vmcb = svm->vmcb;

	switch (code) {
	case SVM_EXIT_VINTR:
		hull_count(vcpu, HULL_STAT_WINDOW);
		hull_vcpu_set_request(vcpu, HULL_REQ_EVENT);
		return AGAIN;
	case SVM_EXIT_IRET:
		/* NMIs are unmasked when IRET is done: seen at the first exit elsewhere. */
		hull_count(vcpu, HULL_STAT_WINDOW);
		svm_pass(vmcb, INTERCEPT_IRET);
		svm->iret_pending = true;
		svm->iret_rip = vmcb->save.rip;
		return AGAIN;
	case SVM_EXIT_NMI:
		hull_count(vcpu, HULL_STAT_NMI);
		break;
	default:
		hull_count(vcpu, HULL_STAT_INTERRUPT);
		break;
	}
	svm->exit->kind = HULL_X_NONE;
	return LEAVE;
}

static const struct {
	u32 first, last;
	u8 kind;
	u8 stat;
} slow_exits[] = {
	{ SVM_EXIT_READ_CR0, SVM_EXIT_WRITE_CR0 + 15, HULL_X_CR, HULL_STAT_CONTROL },
	{ SVM_EXIT_READ_DR0, SVM_EXIT_WRITE_DR0 + 15, HULL_X_DR, HULL_STAT_CONTROL },
	{ SVM_EXIT_XSETBV, SVM_EXIT_XSETBV, HULL_X_XSETBV, HULL_STAT_CONTROL },
	{ SVM_EXIT_INVD, SVM_EXIT_INVD, HULL_X_CACHE, HULL_STAT_INVALIDATE },
	{ SVM_EXIT_WBINVD, SVM_EXIT_WBINVD, HULL_X_CACHE, HULL_STAT_INVALIDATE },
	{ SVM_EXIT_SHUTDOWN, SVM_EXIT_SHUTDOWN, HULL_X_TRIPLE_FAULT, HULL_STAT_OTHER },
	{ SVM_EXIT_INIT, SVM_EXIT_INIT, HULL_X_INIT, HULL_STAT_OTHER },
	{ SVM_EXIT_TASK_SWITCH, SVM_EXIT_TASK_SWITCH, HULL_X_TASK_SWITCH, HULL_STAT_OTHER },
	{ SVM_EXIT_RDPMC, SVM_EXIT_RDPMC, HULL_X_GP, HULL_STAT_OTHER },
	{ SVM_EXIT_VMRUN, SVM_EXIT_VMRUN, HULL_X_UD, HULL_STAT_VIRT_INSN },
	{ SVM_EXIT_VMLOAD, SVM_EXIT_SKINIT, HULL_X_UD, HULL_STAT_VIRT_INSN },
	{ SVM_EXIT_INVLPGA, SVM_EXIT_INVLPGA, HULL_X_UD, HULL_STAT_VIRT_INSN },
	{ SVM_EXIT_RDTSCP, SVM_EXIT_RDTSCP, HULL_X_UD, HULL_STAT_OTHER },
	{ SVM_EXIT_MONITOR, SVM_EXIT_MWAIT_COND, HULL_X_UD, HULL_STAT_OTHER },
	{ SVM_EXIT_RDPRU, SVM_EXIT_RDPRU, HULL_X_UD, HULL_STAT_OTHER },
	{ SVM_EXIT_RSM, SVM_EXIT_RSM, HULL_X_UD, HULL_STAT_OTHER },
	{ (u32)SVM_EXIT_ERR, (u32)SVM_EXIT_ERR, HULL_X_BAD_STATE, HULL_STAT_OTHER },
};

static int slow_exit(struct hull_vcpu *vcpu, struct svm_vcpu *svm, u32 code)
{
	size_t i;

	if (code >= SVM_EXIT_EXCP_BASE && code <= SVM_EXIT_LAST_EXCP) {
		hull_count(vcpu, HULL_STAT_EXCEPTION);
		return exception(vcpu, svm, svm->vmcb, code);
	}
	svm->exit->kind = HULL_X_UNKNOWN;
	for (i = 0; i < ARRAY_SIZE(slow_exits); i++) {
		if (code < slow_exits[i].first || code > slow_exits[i].last)
			continue;
		svm->exit->kind = slow_exits[i].kind;
		hull_count(vcpu, slow_exits[i].stat);
		return LEAVE;
	}
	hull_count(vcpu, HULL_STAT_OTHER);
	return LEAVE;
}

/* ---- the switch ----------------------------------------------------------------------------- */

static __always_inline int dispatch(struct hull_vcpu *vcpu, struct svm_vcpu *svm,
				    struct vmcb *vmcb, u32 code)
{
	struct hull_exit *exit = svm->exit;

	switch (code) {
	case SVM_EXIT_IOIO:
		hull_count(vcpu, HULL_STAT_PORT);
		return fast_port(vcpu, svm, vmcb);
	case SVM_EXIT_MSR:
		hull_count(vcpu, HULL_STAT_MSR);
		exit->kind = HULL_X_MSR;
		exit->write = vmcb->control.exit_info_1;
		return exit->write ? fast_write_msr(vcpu, vmcb) : fast_read_msr(vcpu, vmcb);
	case SVM_EXIT_CPUID:
		hull_count(vcpu, HULL_STAT_CPUID);
		exit->kind = HULL_X_CPUID;
		return fast_cpuid(vcpu, vmcb);
	case SVM_EXIT_NPF:
		hull_count(vcpu, HULL_STAT_MEMORY_FAULT);
		return memory_fault(svm, vmcb);
	case SVM_EXIT_HLT:
		hull_count(vcpu, HULL_STAT_HLT);
		exit->kind = HULL_X_HLT;
		return fast_hlt(vcpu, svm, vmcb);
	case SVM_EXIT_VMMCALL:
		hull_count(vcpu, HULL_STAT_HYPERCALL);
		exit->kind = HULL_X_HYPERCALL;
		return fast_hypercall(vcpu, vmcb);
	case SVM_EXIT_INTR:
	case SVM_EXIT_NMI:
	case SVM_EXIT_SMI:
	case SVM_EXIT_VINTR:
	case SVM_EXIT_IRET:
		return attention(vcpu, svm, code);
	default:
		return slow_exit(vcpu, svm, code);
	}
}

static void describe(struct hull_exit *exit, const struct vmcb *vmcb, u32 code)
{
	exit->code = code;
	exit->delivery = vmcb->control.exit_int_info & SVM_EXITINTINFO_VALID;
	exit->info[0] = vmcb->control.exit_info_1;
	exit->info[1] = vmcb->control.exit_info_2;
	if (exit->kind != HULL_X_PORT)
		exit->next_rip = 0;
}

int svm_handle_exit(struct hull_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	struct vmcb *vmcb = svm->vmcb;
	u32 code = vmcb->control.exit_code;

	vcpu->stats.value[HULL_STAT_EXITS]++;
	finish_delivery(vcpu, svm, vmcb);
	if (unlikely(svm->iret_pending) && vmcb->save.rip != svm->iret_rip) {
		svm->iret_pending = false;
		vcpu->event.nmi_masked = false;
		hull_vcpu_set_request(vcpu, HULL_REQ_EVENT);
	}
	if (dispatch(vcpu, svm, vmcb, code) == LEAVE) {
		describe(svm->exit, vmcb, code);
		return LEAVE;
	}
	if (unlikely(!--svm->budget))
		goto leave;
	if (likely(!READ_ONCE(vcpu->requests) && !hull_fast_irq(vcpu) && !hull_work_pending() &&
		   !hull_check))
		return AGAIN;
	if (!svm_next_entry(vcpu, svm))
		return AGAIN;
	if (svm->exit->kind == HULL_X_CHECK_FAILED || svm->exit->kind == HULL_X_BAD_STATE) {
		describe(svm->exit, vmcb, code);
		return LEAVE;
	}
leave:
	svm->exit->kind = HULL_X_NONE;
	return LEAVE;
}
