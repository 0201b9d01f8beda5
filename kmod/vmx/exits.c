// SPDX-License-Identifier: GPL-2.0
/*
 * After an exit, still in the window: finish event delivery, handle what is fast, describe the
 * rest in neutral terms.
 *
 * Called by entry.S with interrupts off. Returns 0 to enter again. The CPU tells the length of an
 * instruction that exits: no code is read here but that of plain moves. Compiled twice, for nested
 * and for shadow paging, so that neither pays for the other; @shadow is a constant.
 */
#include <asm/debugreg.h>
#include <asm/trapnr.h>

#include "../cpuid.h"
#include "../exit.h"
#include "../fast.h"
#include "../msr.h"
#include "vmx.h"
#include "vmcs.h"

enum { LEAVE = 1, AGAIN = 0 };

#define INTERRUPT_SHADOW	(GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS)

/* Reasons the kernel's header does not name. */
#define EXIT_REASON_SMI_IO	5
#define EXIT_REASON_SMI		6
#define EXIT_REASON_GETSEC	11
#define EXIT_REASON_RSM		17

/* ---- stepping over instructions ------------------------------------------------------------- */

static bool is_64bit(const struct hull_vcpu *vcpu)
{
	return (vcpu->control.efer & EFER_LMA) &&
	       (vmcs_read(GUEST_CS_AR_BYTES) & VMX_AR_L_MASK);
}

static __always_inline u64 next_rip(const struct hull_vcpu *vcpu)
{
	u64 rip = vmcs_read(GUEST_RIP) + vmcs_read(VM_EXIT_INSTRUCTION_LEN);

	return unlikely(rip >> 32) && !is_64bit(vcpu) ? (u32)rip : rip;
}

static void advance(struct hull_vcpu *vcpu, u64 rip)
{
	u32 blocking = vmcs_read(GUEST_INTERRUPTIBILITY_INFO);
	u64 rflags = vmcs_read(GUEST_RFLAGS);

	vmcs_write(GUEST_RIP, rip);
	vcpu->event.nmi_masked = blocking & GUEST_INTR_STATE_NMI;
	if (unlikely(blocking & INTERRUPT_SHADOW)) {
		vmcs_write(GUEST_INTERRUPTIBILITY_INFO, blocking & ~INTERRUPT_SHADOW);
		vmcs_write(GUEST_PENDING_DBG_EXCEPTIONS, 0);
	}
	if (unlikely(rflags & (X86_EFLAGS_TF | X86_EFLAGS_RF))) {
		if (rflags & X86_EFLAGS_TF)
			hull_inject_single_step(vcpu);
		vmcs_write(GUEST_RFLAGS, rflags & ~X86_EFLAGS_RF);
	}
}

static int done(struct hull_vcpu *vcpu)
{
	advance(vcpu, next_rip(vcpu));
	return AGAIN;
}

/* ---- delivery that an exit interrupted ------------------------------------------------------ */

static void unmask_nmi(struct hull_vcpu *vcpu, bool masked)
{
	u32 blocking = vmcs_read(GUEST_INTERRUPTIBILITY_INFO) & ~GUEST_INTR_STATE_NMI;

	vcpu->event.nmi_masked = masked;
	vmcs_write(GUEST_INTERRUPTIBILITY_INFO, blocking | (masked ? GUEST_INTR_STATE_NMI : 0));
}

static void requeue(struct hull_vcpu *vcpu, u32 info)
{
	struct hull_event *event = &vcpu->event;

	switch (info & VECTORING_INFO_TYPE_MASK) {
	case INTR_TYPE_EXT_INTR:
		event->interrupt = info & VECTORING_INFO_VECTOR_MASK;
		break;
	case INTR_TYPE_NMI_INTR:
		unmask_nmi(vcpu, false);
		atomic_inc(&event->nmi_pending);
		break;
	case INTR_TYPE_HARD_EXCEPTION:
		event->exception = true;
		event->vector = info & VECTORING_INFO_VECTOR_MASK;
		event->has_error = info & VECTORING_INFO_DELIVER_CODE_MASK;
		event->error_code = vmcs_read(IDT_VECTORING_ERROR_CODE);
		event->fault_address = vcpu->control.cr2;
		break;
	default:
		/* INT3, INTO, INT n are executed again: RIP is at the instruction. */
		break;
	}
	hull_vcpu_set_request(vcpu, HULL_REQ_EVENT);
}

static __always_inline void finish_delivery(struct hull_vcpu *vcpu, struct vmx_vcpu *vmx)
{
	vmx->vectoring = vmcs_read(IDT_VECTORING_INFO_FIELD);
	if (unlikely(vmx->injected)) {
		if (vmx->injected == HULL_INJECTION_EXCEPTION)
			vcpu->event.exception = false;
		else if (vmx->injected == HULL_INJECTION_INTERRUPT)
			vcpu->event.interrupt = -1;
		vmx->injected = HULL_INJECTION_NONE;
	}
	if (unlikely(vmx->vectoring & VECTORING_INFO_VALID_MASK))
		requeue(vcpu, vmx->vectoring);
}

/* ---- fast handlers -------------------------------------------------------------------------- */

static int fast_cpuid(struct hull_vcpu *vcpu)
{
	u64 *gpr = vcpu->gprs.gpr;

	hull_cpuid_execute(vcpu, &gpr[HULL_GPR_RAX], gpr, vcpu->control.cr4);
	return done(vcpu);
}

static int fast_read_msr(struct hull_vcpu *vcpu)
{
	u64 *gpr = vcpu->gprs.gpr, value;

	if (hull_msr_read(vcpu, gpr[HULL_GPR_RCX], &value, true))
		return LEAVE;
	gpr[HULL_GPR_RAX] = (u32)value;
	gpr[HULL_GPR_RDX] = value >> 32;
	return done(vcpu);
}

static int fast_write_msr(struct hull_vcpu *vcpu)
{
	u64 *gpr = vcpu->gprs.gpr;
	u32 index = gpr[HULL_GPR_RCX];
	u64 value = (u32)gpr[HULL_GPR_RAX] | (gpr[HULL_GPR_RDX] << 32);

	/* EFER works on the neutral state, which is loaded only outside the window. */
	if (index == MSR_EFER || hull_msr_write(vcpu, index, value, true))
		return LEAVE;
	return done(vcpu);
}

static int fast_hypercall(struct hull_vcpu *vcpu)
{
	u64 result;

	if (VMX_AR_DPL(vmcs_read(GUEST_SS_AR_BYTES)) ||
	    !hull_hypercall(vcpu, vcpu->gprs.gpr[HULL_GPR_RAX], &result))
		return LEAVE;
	vcpu->gprs.gpr[HULL_GPR_RAX] = result;
	return done(vcpu);
}

/* HLT with something to deliver never leaves the window. */
static int fast_hlt(struct hull_vcpu *vcpu, struct vmx_vcpu *vmx)
{
	if (!vcpu->lapic)
		return LEAVE;
	done(vcpu);
	if (hull_event_wakes(vcpu, vmcs_read(GUEST_RFLAGS) & X86_EFLAGS_IF)) {
		hull_vcpu_set_request(vcpu, HULL_REQ_EVENT);
		return AGAIN;
	}
	vcpu->run_state = HULL_STATE_HALTED;
	vmx->exit->kind = HULL_X_NONE;
	return LEAVE;
}

/* The qualification of a port access. */
#define PORT_SIZE(qualification)	(((qualification) & 7) + 1)
#define PORT_IN		BIT(3)
#define PORT_STRING	BIT(4)
#define PORT_REP	BIT(5)

static int fast_port(struct hull_vcpu *vcpu, struct hull_exit *exit)
{
	u64 how = vmcs_read(EXIT_QUALIFICATION), *rax = &vcpu->gprs.gpr[HULL_GPR_RAX];
	u32 value = *rax;

	exit->port = how >> 16;
	exit->size = PORT_SIZE(how);
	exit->write = !(how & PORT_IN);
	if (likely(!(how & PORT_STRING)) &&
	    hull_fast_port(vcpu, exit->port, exit->size, exit->write, &value)) {
		if (!exit->write)
			hull_merge_result(rax, exit->size, value);
		return done(vcpu);
	}
	exit->string = how & PORT_STRING;
	exit->rep = how & PORT_REP;
	exit->value = value;
	return LEAVE;
}

/* ---- control registers ---------------------------------------------------------------------- */

/* The qualification: which register, which way, which general register. */
#define CR_NUMBER(qualification)	((qualification) & 15)
#define CR_ACCESS(qualification)	(((qualification) >> 4) & 3)
#define CR_GPR(qualification)		(((qualification) >> 8) & 15)
enum { CR_WRITE, CR_READ, CR_CLTS, CR_LMSW };

/* CR4 bits that load the entries of PAE's root again. */
#define CR4_LOADS_PAE	(X86_CR4_PSE | X86_CR4_PAE | X86_CR4_PGE | X86_CR4_SMEP)

/* The guest's translations have changed, and perhaps the root with them. */
static void load_root(struct hull_vcpu *vcpu)
{
	vmcs_write(GUEST_CR3, vcpu->mmu.root);
}

/* False: to be done outside the window, where a refusal is #GP. */
static __always_inline bool write_cr(struct hull_vcpu *vcpu, bool shadow, u32 cr, u64 value)
{
	const struct hull_control *control = &vcpu->control;
	u64 changed;

	switch (cr) {
	case 0:
		if (!hull_fast_set_cr0(vcpu, value, shadow, &changed))
			return false;
		vmx_write_cr0(vcpu);
		break;
	case 3:
		if (!shadow || !hull_fast_set_cr3(vcpu, value))
			return false;
		break;
	case 4:
		if (!shadow && ((value ^ control->cr4) & CR4_LOADS_PAE) &&
		    (control->cr4 & X86_CR4_PAE) && !(control->efer & EFER_LMA))
			return false;
		if (!hull_fast_set_cr4(vcpu, value, shadow, &changed))
			return false;
		vmx_write_cr4(vcpu);
		break;
	case 8:
		return hull_fast_set_cr8(vcpu, value);
	default:
		return false;
	}
	if (shadow)
		load_root(vcpu);
	return true;
}

static __always_inline int fast_cr(struct hull_vcpu *vcpu, struct hull_exit *exit, bool shadow)
{
	u64 how = vmcs_read(EXIT_QUALIFICATION), *gpr = &vcpu->gprs.gpr[CR_GPR(how)];
	u64 value, mask;

	exit->reg = CR_NUMBER(how);
	if (CR_ACCESS(how) == CR_CLTS) {
		if (!write_cr(vcpu, shadow, 0, vcpu->control.cr0 & ~(u64)X86_CR0_TS))
			return LEAVE;
		return done(vcpu);
	}
	if (CR_ACCESS(how) == CR_LMSW)
		return LEAVE;
	vcpu->gprs.gpr[HULL_GPR_RSP] = vmcs_read(GUEST_RSP);
	mask = is_64bit(vcpu) ? ~0ULL : U32_MAX;
	if (CR_ACCESS(how) == CR_WRITE) {
		if (!write_cr(vcpu, shadow, exit->reg, *gpr & mask))
			return LEAVE;
		return done(vcpu);
	}
	if (!hull_fast_get_cr(vcpu, shadow, exit->reg, &value))
		return LEAVE;
	*gpr = value & mask;
	vmcs_write(GUEST_RSP, vcpu->gprs.gpr[HULL_GPR_RSP]);
	return done(vcpu);
}

static int fast_invlpg(struct hull_vcpu *vcpu)
{
	hull_fast_invlpg(vcpu, vmcs_read(EXIT_QUALIFICATION));
	load_root(vcpu);
	return done(vcpu);
}

/* ---- memory, exceptions --------------------------------------------------------------------- */

/* An access to @exit->gpa that is perhaps one to a device; @final: no table is there. */
static int device_access(struct hull_vcpu *vcpu, struct vmx_vcpu *vmx, u64 cr3, bool final)
{
	struct hull_exit *exit = vmx->exit;
	u64 *gpr = vcpu->gprs.gpr;

	exit->kind = HULL_X_MEMORY;
	exit->next_rip = 0;
	if (!final || (exit->access & HULL_ACCESS_FETCH) ||
	    (vmx->vectoring & VECTORING_INFO_VALID_MASK) || !is_64bit(vcpu))
		return LEAVE;
	gpr[HULL_GPR_RSP] = vmcs_read(GUEST_RSP);
	if (!hull_fast_move(vcpu, cr3, vmcs_read(GUEST_RIP), exit))
		return LEAVE;
	vmcs_write(GUEST_RSP, gpr[HULL_GPR_RSP]);
	advance(vcpu, exit->next_rip);
	return AGAIN;
}

static int memory_fault(struct hull_vcpu *vcpu, struct vmx_vcpu *vmx)
{
	u64 how = vmcs_read(EXIT_QUALIFICATION);
	struct hull_exit *exit = vmx->exit;

	exit->gpa = vmcs_read(GUEST_PHYSICAL_ADDRESS);
	exit->access = ((how & EPT_VIOLATION_ACC_WRITE) ? HULL_ACCESS_WRITE : 0) |
		       ((how & EPT_VIOLATION_ACC_INSTR) ? HULL_ACCESS_FETCH : 0);
	/* IRET had unmasked NMIs before it faulted, and will do so again. */
	if (unlikely(how & INTR_INFO_UNBLOCK_NMI) && !(vmx->vectoring & VECTORING_INFO_VALID_MASK))
		unmask_nmi(vcpu, true);
	return device_access(vcpu, vmx, vmcs_read(GUEST_CR3), how & EPT_VIOLATION_GVA_TRANSLATED);
}

/* Shadow paging: what it counts as is found out with whose fault it is. */
static int page_fault(struct hull_vcpu *vcpu, struct vmx_vcpu *vmx)
{
	struct hull_exit *exit = vmx->exit;

	exit->kind = HULL_X_PAGE_FAULT;
	exit->gva = vmcs_read(EXIT_QUALIFICATION);
	switch (hull_fast_page_fault(vcpu, exit, vmcs_read(GUEST_RFLAGS),
				     VMX_AR_DPL(vmcs_read(GUEST_SS_AR_BYTES)))) {
	case HULL_FAULT_MAPPED:
		return AGAIN;
	case HULL_FAULT_MMIO:
		return device_access(vcpu, vmx, vcpu->control.cr3, true);
	default:
		return LEAVE;
	}
}

/* Bits of DR6 that the qualification of #DB has. */
#define DR6_REPORTED	(DR_TRAP_BITS | DR_STEP | BIT(13))

static __always_inline int exception(struct hull_vcpu *vcpu, struct vmx_vcpu *vmx, bool shadow)
{
	u32 info = vmcs_read(VM_EXIT_INTR_INFO);
	struct hull_exit *exit = vmx->exit;

	if ((info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_NMI_INTR) {
		hull_count(vcpu, HULL_STAT_NMI);
		vmx->host_nmi = true;
		exit->kind = HULL_X_NONE;
		return LEAVE;
	}
	exit->kind = HULL_X_EXCEPTION;
	exit->vector = info & INTR_INFO_VECTOR_MASK;
	exit->error_code = vmcs_read(VM_EXIT_INTR_ERROR_CODE);
	if ((info & INTR_INFO_UNBLOCK_NMI) && exit->vector != X86_TRAP_DF &&
	    !(vmx->vectoring & VECTORING_INFO_VALID_MASK))
		unmask_nmi(vcpu, true);
	if (shadow && likely(exit->vector == X86_TRAP_PF))
		return page_fault(vcpu, vmx);
	hull_count(vcpu, HULL_STAT_EXCEPTION);
	/* The host's own: taken when the window has closed. */
	if (exit->vector == X86_TRAP_MC)
		exit->kind = HULL_X_MACHINE_CHECK;
	/* The CPU leaves it to us to say why. */
	if (exit->vector == X86_TRAP_DB)
		vcpu->debug.dr6 = (vcpu->debug.dr6 & ~(u64)DR_TRAP_BITS) |
				  (vmcs_read(EXIT_QUALIFICATION) & DR6_REPORTED);
	return LEAVE;
}

/* ---- the table and the switch --------------------------------------------------------------- */

/* What an exit is called outside, and what it counts as. */
static const struct {
	u8 kind, stat;
	bool known;
} reasons[] = {
#define REASON(reason, kind, stat)	\
	[EXIT_REASON_##reason] = { HULL_X_##kind, HULL_STAT_##stat, true }
	REASON(EXTERNAL_INTERRUPT, NONE, INTERRUPT),
	REASON(TRIPLE_FAULT, TRIPLE_FAULT, OTHER),
	REASON(INIT_SIGNAL, INIT, OTHER),
	REASON(SMI_IO, NONE, INTERRUPT),
	REASON(SMI, NONE, INTERRUPT),
	REASON(INTERRUPT_WINDOW, NONE, WINDOW),
	REASON(NMI_WINDOW, NONE, WINDOW),
	REASON(TASK_SWITCH, TASK_SWITCH, OTHER),
	REASON(CPUID, CPUID, CPUID),
	REASON(GETSEC, UD, OTHER),
	REASON(HLT, HLT, HLT),
	REASON(INVD, CACHE, INVALIDATE),
	REASON(RDPMC, GP, OTHER),
	REASON(RSM, UD, OTHER),
	REASON(INVLPG, INVLPG, INVALIDATE),
	REASON(VMCALL, HYPERCALL, HYPERCALL),
	REASON(VMCLEAR, UD, VIRT_INSN),
	REASON(VMLAUNCH, UD, VIRT_INSN),
	REASON(VMPTRLD, UD, VIRT_INSN),
	REASON(VMPTRST, UD, VIRT_INSN),
	REASON(VMREAD, UD, VIRT_INSN),
	REASON(VMRESUME, UD, VIRT_INSN),
	REASON(VMWRITE, UD, VIRT_INSN),
	REASON(VMOFF, UD, VIRT_INSN),
	REASON(VMON, UD, VIRT_INSN),
	REASON(CR_ACCESS, CR, CONTROL),
	REASON(DR_ACCESS, DR, CONTROL),
	REASON(IO_INSTRUCTION, PORT, PORT),
	REASON(MSR_READ, MSR, MSR),
	REASON(MSR_WRITE, MSR, MSR),
	REASON(MWAIT_INSTRUCTION, UD, OTHER),
	REASON(MONITOR_INSTRUCTION, UD, OTHER),
	REASON(PAUSE_INSTRUCTION, PAUSE, PAUSE),
	REASON(EPT_VIOLATION, MEMORY, MEMORY_FAULT),
	REASON(EPT_MISCONFIG, BAD_STATE, OTHER),
	REASON(INVEPT, UD, VIRT_INSN),
	REASON(RDTSCP, UD, OTHER),
	REASON(PREEMPTION_TIMER, NONE, INTERRUPT),
	REASON(INVVPID, UD, VIRT_INSN),
	REASON(WBINVD, CACHE, INVALIDATE),
	REASON(XSETBV, XSETBV, CONTROL),
	REASON(INVPCID, UD, OTHER),
	REASON(VMFUNC, UD, VIRT_INSN),
	REASON(ENCLS, UD, OTHER),
#undef REASON
};

static __always_inline int dispatch(struct hull_vcpu *vcpu, struct vmx_vcpu *vmx, bool shadow,
				    u32 reason)
{
	struct hull_exit *exit = vmx->exit;

	if (unlikely(reason == EXIT_REASON_EXCEPTION_NMI))
		return exception(vcpu, vmx, shadow);
	if (unlikely(reason >= ARRAY_SIZE(reasons) || !reasons[reason].known)) {
		hull_count(vcpu, HULL_STAT_OTHER);
		exit->kind = HULL_X_UNKNOWN;
		return LEAVE;
	}
	exit->kind = reasons[reason].kind;
	hull_count(vcpu, reasons[reason].stat);
	switch (reason) {
	case EXIT_REASON_IO_INSTRUCTION:
		return fast_port(vcpu, exit);
	case EXIT_REASON_MSR_READ:
		exit->write = false;
		return fast_read_msr(vcpu);
	case EXIT_REASON_MSR_WRITE:
		exit->write = true;
		return fast_write_msr(vcpu);
	case EXIT_REASON_CPUID:
		return fast_cpuid(vcpu);
	case EXIT_REASON_EPT_VIOLATION:
		return memory_fault(vcpu, vmx);
	case EXIT_REASON_HLT:
		return fast_hlt(vcpu, vmx);
	case EXIT_REASON_VMCALL:
		return fast_hypercall(vcpu);
	case EXIT_REASON_CR_ACCESS:
		return fast_cr(vcpu, exit, shadow);
	case EXIT_REASON_INVLPG:
		return fast_invlpg(vcpu);
	case EXIT_REASON_INTERRUPT_WINDOW:
	case EXIT_REASON_NMI_WINDOW:
		hull_vcpu_set_request(vcpu, HULL_REQ_EVENT);
		return AGAIN;
	default:
		return LEAVE;
	}
}

static void describe(struct hull_vcpu *vcpu, struct vmx_vcpu *vmx, u32 reason)
{
	struct hull_exit *exit = vmx->exit;

	exit->code = reason;
	exit->delivery = vmx->vectoring & VECTORING_INFO_VALID_MASK;
	exit->info[0] = vmcs_read(EXIT_QUALIFICATION);
	exit->info[1] = reason == EXIT_REASON_EPT_VIOLATION ? exit->gpa :
							       vmcs_read(VM_EXIT_INTR_INFO);
	switch (exit->kind) {
	case HULL_X_MEMORY:
		break;
	case HULL_X_PORT:
	case HULL_X_MSR:
	case HULL_X_CPUID:
	case HULL_X_HYPERCALL:
	case HULL_X_HLT:
	case HULL_X_XSETBV:
	case HULL_X_CACHE:
		exit->next_rip = next_rip(vcpu);
		break;
	default:
		exit->next_rip = 0;
		break;
	}
}

static __always_inline int handle_exit(struct hull_vcpu *vcpu, bool shadow)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u32 reason = vmcs_read(VM_EXIT_REASON);

	vcpu->stats.value[HULL_STAT_EXITS]++;
	if (unlikely(reason & VMX_EXIT_REASONS_FAILED_VMENTRY)) {
		/* Nothing was entered, nothing delivered. */
		vmx->vectoring = 0;
		vmx->exit->kind = (u16)reason == EXIT_REASON_MCE_DURING_VMENTRY ?
				  HULL_X_MACHINE_CHECK : HULL_X_BAD_STATE;
		describe(vcpu, vmx, reason);
		return LEAVE;
	}
	finish_delivery(vcpu, vmx);
	if (dispatch(vcpu, vmx, shadow, reason) == LEAVE) {
		describe(vcpu, vmx, reason);
		return LEAVE;
	}
	if (unlikely(!--vmx->budget))
		goto leave;
	if (likely(!READ_ONCE(vcpu->requests) && !hull_fast_irq(vcpu) && !hull_work_pending() &&
		   !hull_check))
		return AGAIN;
	if (!vmx_next_entry(vcpu))
		return AGAIN;
	if (vmx->exit->kind == HULL_X_CHECK_FAILED || vmx->exit->kind == HULL_X_BAD_STATE) {
		describe(vcpu, vmx, reason);
		return LEAVE;
	}
leave:
	vmx->exit->kind = HULL_X_NONE;
	return LEAVE;
}

int vmx_handle_exit(struct hull_vcpu *vcpu)
{
	return hull_is_shadow(vcpu) ? handle_exit(vcpu, true) : handle_exit(vcpu, false);
}
