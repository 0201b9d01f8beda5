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
#include "reasons.h"
#include "vmx.h"
#include "vmcs.h"

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

/* The end of an instruction ends an interrupt shadow, and is where a single step is taken. */
static noinline void end_instruction(struct hull_vcpu *vcpu, u32 blocking, u64 rflags)
{
	if (blocking & VMX_INTERRUPT_SHADOW) {
		vmcs_write(GUEST_INTERRUPTIBILITY_INFO, blocking & ~VMX_INTERRUPT_SHADOW);
		vmcs_write(GUEST_PENDING_DBG_EXCEPTIONS, 0);
	}
	if (rflags & X86_EFLAGS_TF)
		hull_inject_single_step(vcpu);
	if (rflags & X86_EFLAGS_RF)
		vmcs_write(GUEST_RFLAGS, rflags & ~X86_EFLAGS_RF);
}

/*
 * Both words must be looked at: nothing else tells of STI or MOV SS just before, nor of a POPF that
 * set TF. RF is set when an access to memory exits, and clear when an instruction does.
 */
static __always_inline void advance(struct hull_vcpu *vcpu, u64 rip)
{
	u32 blocking = vmcs_read(GUEST_INTERRUPTIBILITY_INFO);
	u64 rflags = vmcs_read(GUEST_RFLAGS);

	vmcs_write(GUEST_RIP, rip);
	if (unlikely((blocking & VMX_INTERRUPT_SHADOW) |
		     (rflags & (X86_EFLAGS_TF | X86_EFLAGS_RF))))
		end_instruction(vcpu, blocking, rflags);
}

static int done(struct hull_vcpu *vcpu)
{
	advance(vcpu, next_rip(vcpu));
	return HULL_AGAIN;
}

/* ---- delivery that an exit interrupted ------------------------------------------------------ */

static void unmask_nmi(struct hull_vcpu *vcpu, bool masked)
{
	u32 blocking = vmcs_read(GUEST_INTERRUPTIBILITY_INFO) & ~GUEST_INTR_STATE_NMI;

	vcpu->event.nmi_masked = masked;
	vmcs_write(GUEST_INTERRUPTIBILITY_INFO, blocking | (masked ? GUEST_INTR_STATE_NMI : 0));
}

static_assert(VECTORING_INFO_VECTOR_MASK == HULL_DELIVERY_VECTOR);
static_assert(VECTORING_INFO_TYPE_MASK == HULL_DELIVERY_TYPE);
static_assert(INTR_TYPE_EXT_INTR == HULL_DELIVERY_INTERRUPT);
static_assert(INTR_TYPE_NMI_INTR == HULL_DELIVERY_NMI);
static_assert(INTR_TYPE_HARD_EXCEPTION == HULL_DELIVERY_EXCEPTION);
static_assert(VECTORING_INFO_DELIVER_CODE_MASK == HULL_DELIVERY_ERROR);

static void requeue(struct hull_vcpu *vcpu, u32 info)
{
	if ((info & HULL_DELIVERY_TYPE) == HULL_DELIVERY_NMI)
		unmask_nmi(vcpu, false);
	hull_event_requeue(vcpu, info, vmcs_read(IDT_VECTORING_ERROR_CODE), vcpu->control.cr2);
}

static __always_inline void finish_delivery(struct hull_vcpu *vcpu, struct vmx_vcpu *vmx)
{
	vmx->vectoring = vmcs_read(IDT_VECTORING_INFO_FIELD);
	if (unlikely(vcpu->event.injected))
		hull_fast_delivered(&vcpu->event);
	if (unlikely(vmx->vectoring & VECTORING_INFO_VALID_MASK))
		requeue(vcpu, vmx->vectoring);
}

/* ---- fast handlers -------------------------------------------------------------------------- */

/* The qualification of a port access. */
#define PORT_SIZE(qualification)	(((qualification) & 7) + 1)
#define PORT_IN		BIT(3)
#define PORT_STRING	BIT(4)

static int fast_port(struct hull_vcpu *vcpu)
{
	u64 how = vmcs_read(EXIT_QUALIFICATION);

	return hull_fast_io(vcpu, &vcpu->gprs.gpr[HULL_GPR_RAX], how >> 16, PORT_SIZE(how),
			    !(how & PORT_IN), how & PORT_STRING) ? done(vcpu) : HULL_LEAVE;
}

static int fast_hlt(struct hull_vcpu *vcpu)
{
	if (!vcpu->lapic)
		return HULL_LEAVE;
	done(vcpu);
	vcpu->event.nmi_masked = vmcs_read(GUEST_INTERRUPTIBILITY_INFO) & GUEST_INTR_STATE_NMI;
	return hull_fast_hlt(vcpu, vmcs_read(GUEST_RFLAGS) & X86_EFLAGS_IF);
}

/* ---- control registers ---------------------------------------------------------------------- */

/* The qualification: which register, which way, which general register. */
#define CR_NUMBER(qualification)	((qualification) & 15)
#define CR_ACCESS(qualification)	(((qualification) >> 4) & 3)
#define CR_GPR(qualification)		(((qualification) >> 8) & 15)
enum { CR_WRITE, CR_READ, CR_CLTS, CR_LMSW };

/* The guest's translations have changed, and perhaps the root with them. */
static void load_root(struct hull_vcpu *vcpu)
{
	vmcs_write(GUEST_CR3, vcpu->mmu.root);
}

static __always_inline bool write_cr(struct hull_vcpu *vcpu, bool shadow, u32 cr, u64 value)
{
	u64 changed;

	if (!hull_fast_set_cr(vcpu, shadow, cr, value, &changed))
		return false;
	if (cr == 0)
		vmx_write_cr0(vcpu);
	else if (cr == 4)
		vmx_write_cr4(vcpu);
	if (shadow)
		load_root(vcpu);
	return true;
}

static __always_inline int fast_cr(struct hull_vcpu *vcpu, bool shadow)
{
	u64 how = vmcs_read(EXIT_QUALIFICATION), *gpr = &vcpu->gprs.gpr[CR_GPR(how)];
	u32 cr = CR_NUMBER(how);
	u64 value, mask;

	vcpu->exit.reg = cr;
	if (!shadow && cr != 8)
		vmx_read_control(vcpu);
	if (CR_ACCESS(how) == CR_CLTS) {
		if (!write_cr(vcpu, shadow, 0, vcpu->control.cr0 & ~(u64)X86_CR0_TS))
			return HULL_LEAVE;
		return done(vcpu);
	}
	if (CR_ACCESS(how) == CR_LMSW)
		return HULL_LEAVE;
	vcpu->gprs.gpr[HULL_GPR_RSP] = vmcs_read(GUEST_RSP);
	mask = is_64bit(vcpu) ? ~0ULL : U32_MAX;
	if (CR_ACCESS(how) == CR_WRITE) {
		if (!write_cr(vcpu, shadow, cr, *gpr & mask))
			return HULL_LEAVE;
		return done(vcpu);
	}
	if (!hull_fast_get_cr(vcpu, shadow, cr, &value))
		return HULL_LEAVE;
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
	struct hull_exit *exit = &vcpu->exit;
	u64 *gpr = vcpu->gprs.gpr;

	exit->kind = HULL_X_MEMORY;
	exit->next_rip = 0;
	if (!final || (exit->access & HULL_ACCESS_FETCH) ||
	    (vmx->vectoring & VECTORING_INFO_VALID_MASK) || !is_64bit(vcpu))
		return HULL_LEAVE;
	gpr[HULL_GPR_RSP] = vmcs_read(GUEST_RSP);
	if (!hull_fast_move(vcpu, cr3, vmcs_read(GUEST_RIP), exit))
		return HULL_LEAVE;
	vmcs_write(GUEST_RSP, gpr[HULL_GPR_RSP]);
	advance(vcpu, exit->next_rip);
	return HULL_AGAIN;
}

static int memory_fault(struct hull_vcpu *vcpu, struct vmx_vcpu *vmx)
{
	u64 how = vmcs_read(EXIT_QUALIFICATION);
	struct hull_exit *exit = &vcpu->exit;

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
	struct hull_exit *exit = &vcpu->exit;

	exit->kind = HULL_X_PAGE_FAULT;
	exit->gva = vmcs_read(EXIT_QUALIFICATION);
	switch (hull_fast_page_fault(vcpu, exit, vmcs_read(GUEST_RFLAGS),
				     VMX_AR_DPL(vmcs_read(GUEST_SS_AR_BYTES)))) {
	case HULL_FAULT_MAPPED:
		return HULL_AGAIN;
	case HULL_FAULT_MMIO:
		return device_access(vcpu, vmx, vcpu->control.cr3, true);
	default:
		return HULL_LEAVE;
	}
}

/* Bits of DR6 that the qualification of #DB has. */
#define DR6_REPORTED	(DR_TRAP_BITS | DR_STEP | BIT(13))

static __always_inline int exception(struct hull_vcpu *vcpu, struct vmx_vcpu *vmx, bool shadow)
{
	u32 info = vmcs_read(VM_EXIT_INTR_INFO);
	struct hull_exit *exit = &vcpu->exit;

	if ((info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_NMI_INTR) {
		hull_count(vcpu, HULL_STAT_NMI);
		vmx->host_nmi = true;
		exit->kind = HULL_X_NONE;
		return HULL_LEAVE;
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
	/* INT1 is a trap: its handler returns behind it. */
	if ((info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_PRIV_SW_EXCEPTION)
		vmcs_write(GUEST_RIP, vmcs_read(GUEST_RIP) + vmcs_read(VM_EXIT_INSTRUCTION_LEN));
	return HULL_LEAVE;
}

/* ---- the switch ----------------------------------------------------------------------------- */

static __always_inline int dispatch(struct hull_vcpu *vcpu, struct vmx_vcpu *vmx, bool shadow,
				    u32 reason)
{
	u64 *rax = &vcpu->gprs.gpr[HULL_GPR_RAX];
	struct hull_exit *exit = &vcpu->exit;

	if (unlikely(reason == EXIT_REASON_EXCEPTION_NMI))
		return exception(vcpu, vmx, shadow);
	if (unlikely(reason >= ARRAY_SIZE(vmx_reasons) || !vmx_reasons[reason].known)) {
		hull_count(vcpu, HULL_STAT_OTHER);
		exit->kind = HULL_X_UNKNOWN;
		return HULL_LEAVE;
	}
	exit->kind = vmx_reasons[reason].kind;
	hull_count(vcpu, vmx_reasons[reason].stat);
	switch (reason) {
	case EXIT_REASON_IO_INSTRUCTION:
		return fast_port(vcpu);
	case EXIT_REASON_MSR_READ:
		exit->write = false;
		return hull_rdmsr(vcpu, rax) ? HULL_LEAVE : done(vcpu);
	case EXIT_REASON_MSR_WRITE:
		exit->write = true;
		return hull_wrmsr(vcpu, *rax, true) ? HULL_LEAVE : done(vcpu);
	case EXIT_REASON_CPUID:
		/* Some go the long way, where the oracle compares the length. */
		if (unlikely(hull_check) &&
		    (vcpu->odd_lengths || !(vcpu->stats.value[HULL_STAT_EXITS] % 8)))
			return HULL_LEAVE;
		hull_cpuid_execute(vcpu, rax);
		return done(vcpu);
	case EXIT_REASON_EPT_VIOLATION:
		return memory_fault(vcpu, vmx);
	case EXIT_REASON_HLT:
		return fast_hlt(vcpu);
	case EXIT_REASON_VMCALL:
		return hull_fast_hypercall(vcpu, rax, VMX_AR_DPL(vmcs_read(GUEST_SS_AR_BYTES))) ?
			done(vcpu) : HULL_LEAVE;
	case EXIT_REASON_CR_ACCESS:
		return fast_cr(vcpu, shadow);
	case EXIT_REASON_INVLPG:
		return fast_invlpg(vcpu);
	case EXIT_REASON_INTERRUPT_WINDOW:
	case EXIT_REASON_NMI_WINDOW:
		hull_vcpu_set_request(vcpu, HULL_REQ_EVENT);
		return HULL_AGAIN;
	default:
		return HULL_LEAVE;
	}
}

static void describe(struct hull_vcpu *vcpu, struct vmx_vcpu *vmx, u32 reason)
{
	struct hull_exit *exit = &vcpu->exit;

	exit->code = reason;
	exit->delivery = vmx->vectoring & VECTORING_INFO_VALID_MASK;
	exit->info[0] = vmcs_read(EXIT_QUALIFICATION);
	exit->info[1] = 0;
	if (reason == EXIT_REASON_EPT_VIOLATION)
		exit->info[1] = exit->gpa;
	else if (reason == EXIT_REASON_EXCEPTION_NMI)
		exit->info[1] = vmcs_read(VM_EXIT_INTR_INFO);
	exit->saved_rip = 0;
	switch (exit->kind) {
	case HULL_X_MEMORY:
		break;
	case HULL_X_PORT:
		exit->next_rip = next_rip(vcpu);
		break;
	case HULL_X_MSR:
	case HULL_X_CPUID:
	case HULL_X_HYPERCALL:
	case HULL_X_HLT:
	case HULL_X_XSETBV:
	case HULL_X_CACHE:
		exit->next_rip = next_rip(vcpu);
		if (likely(!hull_check))
			break;
		/* It is decoded all the same, and compared. */
		exit->saved_rip = exit->next_rip;
		fallthrough;
	default:
		exit->next_rip = 0;
		break;
	}
}

static __always_inline int handle_exit(struct hull_vcpu *vcpu, bool shadow)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u32 reason = vmcs_read(VM_EXIT_REASON);

	hull_count(vcpu, HULL_STAT_EXITS);
	if (unlikely(reason & VMX_EXIT_REASONS_FAILED_VMENTRY)) {
		/* Nothing was entered, nothing delivered. */
		vmx->vectoring = 0;
		vcpu->exit.kind = (u16)reason == EXIT_REASON_MCE_DURING_VMENTRY ?
				  HULL_X_MACHINE_CHECK : HULL_X_BAD_STATE;
	} else {
		finish_delivery(vcpu, vmx);
		if (dispatch(vcpu, vmx, shadow, reason) == HULL_AGAIN &&
		    hull_window_go_on(vcpu, vmx_next_entry) == HULL_AGAIN)
			return HULL_AGAIN;
	}
	if (vcpu->exit.kind != HULL_X_NONE)
		describe(vcpu, vmx, reason);
	return HULL_LEAVE;
}

int vmx_handle_exit(struct hull_vcpu *vcpu)
{
	return hull_is_shadow(vcpu) ? handle_exit(vcpu, true) : handle_exit(vcpu, false);
}
