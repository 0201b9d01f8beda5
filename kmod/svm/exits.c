// SPDX-License-Identifier: GPL-2.0
/*
 * After an exit, still in the window: finish event delivery, handle what is fast, describe the
 * rest in neutral terms.
 *
 * Called by entry.S with GIF clear. Returns 0 to enter again. What is here is compiled twice, for
 * nested and for shadow paging, so that neither pays for the other; @shadow is a constant.
 */
#include <asm/trapnr.h>

#include "../cpuid.h"
#include "../exit.h"
#include "../fast.h"
#include "../mmu/mmu.h"
#include "../msr.h"
#include "reasons.h"
#include "svm.h"

/* Bytes of instructions, first one lowest. */
#define CODE_CPUID	0xa20fU
#define CODE_RDMSR	0x320fU
#define CODE_WRMSR	0x300fU
#define CODE_VMMCALL	0xd9010fU
#define CODE_HLT	0xf4U
#define CODE_CLTS	0x060fU
#define CODE_MOV_FROM_CR	0x200fU
#define CODE_MOV_TO_CR	0x220fU
#define CODE_0F01	0x010fU

/* ---- stepping over instructions ------------------------------------------------------------- */

/*
 * The root of the guest's tables in long mode. The hardware's CR3 is the guest's own with nested
 * paging only. Without the PCID, which changes and would hide the ways to code that are known.
 */
static __always_inline u64 guest_root(struct hull_vcpu *vcpu, const struct vmcb *vmcb, bool shadow)
{
	return shadow ? vcpu->control.cr3 & PAGE_MASK : vmcb->save.cr3;
}

static __always_inline bool is_64bit(const struct vmcb_save_area *save)
{
	return likely(save->cs.attrib & HULL_SEG_L) && likely(save->efer & EFER_LMA);
}

/* 32-bit code; 16-bit code and compatibility mode are left to the slow path. */
static noinline bool legacy_code(struct hull_vcpu *vcpu, const struct vmcb_save_area *save,
				 u64 cr3, u32 *code)
{
	if (!(save->cs.attrib & HULL_SEG_DB) || (save->efer & EFER_LMA) ||
	    (save->rflags & X86_EFLAGS_VM) || save->rip >= U32_MAX - HULL_INSN_MAX)
		return false;
	return hull_fast_legacy_code(vcpu, cr3, save->cs.base + save->rip, save->cpl == 3, code);
}

/* At least @len bytes, which is constant, at RIP. */
static __always_inline bool read_code(struct hull_vcpu *vcpu, const struct vmcb *vmcb, bool shadow,
				      unsigned int len, u32 *code)
{
	const struct vmcb_save_area *save = &vmcb->save;

	if (is_64bit(save))
		return hull_fast_code(vcpu, guest_root(vcpu, vmcb, shadow), save->rip, len, code);
	return legacy_code(vcpu, save, shadow ? vcpu->control.cr3 : save->cr3, code);
}

/* The oracle: the CPU's word for the length against the bytes. The slow path judges. */
static noinline bool is_odd(struct hull_vcpu *vcpu, const struct vmcb *vmcb, bool shadow,
			    u32 code, unsigned int len)
{
	u32 bytes;

	return read_code(vcpu, vmcb, shadow, 4, &bytes) &&
	       ((bytes & (BIT(len * 8) - 1)) == code) !=
	       (vmcb->control.next_rip - vmcb->save.rip == len);
}

/* The instruction is the plain form: its length is known. */
static __always_inline bool is_code(struct hull_vcpu *vcpu, const struct vmcb *vmcb, bool shadow,
				    u32 code, unsigned int len)
{
	u32 bytes;

	if (svm_caps.nrips) {
		if (unlikely(hull_check) && is_odd(vcpu, vmcb, shadow, code, len))
			return false;
		return vmcb->control.next_rip - vmcb->save.rip == len;
	}
	return read_code(vcpu, vmcb, shadow, len, &bytes) &&
	       (bytes & (BIT(len * 8) - 1)) == code;
}

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

static __always_inline int done(struct hull_vcpu *vcpu, struct vmcb *vmcb, unsigned int len)
{
	advance(vcpu, vmcb, vmcb->save.rip + len);
	return HULL_AGAIN;
}

/* ---- delivery that an exit interrupted ------------------------------------------------------ */

static_assert(SVM_EXITINTINFO_VEC_MASK == HULL_DELIVERY_VECTOR);
static_assert(SVM_EXITINTINFO_TYPE_MASK == HULL_DELIVERY_TYPE);
static_assert(SVM_EXITINTINFO_TYPE_INTR == HULL_DELIVERY_INTERRUPT);
static_assert(SVM_EXITINTINFO_TYPE_NMI == HULL_DELIVERY_NMI);
static_assert(SVM_EXITINTINFO_TYPE_EXEPT == HULL_DELIVERY_EXCEPTION);
static_assert(SVM_EXITINTINFO_VALID_ERR == HULL_DELIVERY_ERROR);

static __always_inline void finish_delivery(struct hull_vcpu *vcpu, struct vmcb *vmcb)
{
	u32 info = vmcb->control.exit_int_info;

	vmcb->control.tlb_ctl = TLB_CONTROL_DO_NOTHING;
	if (unlikely(vcpu->event.injected)) {
		vmcb->control.event_inj = 0;
		hull_fast_delivered(&vcpu->event);
	}
	if (unlikely(info & SVM_EXITINTINFO_VALID))
		hull_event_requeue(vcpu, info, vmcb->control.exit_int_info_err, vmcb->save.cr2);
}

/* ---- fast handlers -------------------------------------------------------------------------- */

static __always_inline int fast_cpuid(struct hull_vcpu *vcpu, struct vmcb *vmcb, bool shadow)
{
	/* Leaf 0xd tells of XCR0, which is known for sure outside the window: see sync_xcr0(). */
	if ((u32)vmcb->save.rax == 0xd || !is_code(vcpu, vmcb, shadow, CODE_CPUID, 2))
		return HULL_LEAVE;
	hull_cpuid_execute(vcpu, &vmcb->save.rax);
	return done(vcpu, vmcb, 2);
}

static __always_inline int fast_msr(struct hull_vcpu *vcpu, struct vmcb *vmcb, bool shadow,
				    bool write)
{
	u64 *rax = &vmcb->save.rax;

	if (!is_code(vcpu, vmcb, shadow, write ? CODE_WRMSR : CODE_RDMSR, 2) ||
	    (write ? hull_wrmsr(vcpu, *rax, true) : hull_rdmsr(vcpu, rax)))
		return HULL_LEAVE;
	return done(vcpu, vmcb, 2);
}

static __always_inline int fast_hypercall(struct hull_vcpu *vcpu, struct vmcb *vmcb, bool shadow)
{
	if (!is_code(vcpu, vmcb, shadow, CODE_VMMCALL, 3) ||
	    !hull_fast_hypercall(vcpu, &vmcb->save.rax, vmcb->save.cpl))
		return HULL_LEAVE;
	return done(vcpu, vmcb, 3);
}

static __always_inline int fast_hlt(struct hull_vcpu *vcpu, struct vmcb *vmcb, bool shadow)
{
	if (!vcpu->lapic || !is_code(vcpu, vmcb, shadow, CODE_HLT, 1))
		return HULL_LEAVE;
	done(vcpu, vmcb, 1);
	return hull_fast_hlt(vcpu, vmcb->save.rflags & X86_EFLAGS_IF);
}

static __always_inline int fast_port(struct hull_vcpu *vcpu, struct vmcb *vmcb)
{
	u32 info = vmcb->control.exit_info_1;

	if (!hull_fast_io(vcpu, &vmcb->save.rax, info >> 16,
			  (info & SVM_IOIO_SIZE_MASK) >> SVM_IOIO_SIZE_SHIFT,
			  !(info & SVM_IOIO_TYPE_MASK), info & SVM_IOIO_STR_MASK)) {
		vcpu->exit.next_rip = vmcb->control.exit_info_2;
		return HULL_LEAVE;
	}
	advance(vcpu, vmcb, vmcb->control.exit_info_2);
	return HULL_AGAIN;
}

/* ---- control registers ---------------------------------------------------------------------- */

/* One byte more than the plain forms have: REX, with the fourth bits of registers. */
static __always_inline u32 strip_rex(const struct vmcb *vmcb, u32 *code, unsigned int *len)
{
	u32 rex = 0;

	if ((*code & 0xf0) == 0x40 && is_64bit(&vmcb->save)) {
		rex = *code & 0xf;
		*code >>= 8;
		++*len;
	}
	return rex;
}

static __always_inline u64 *gpr_of(struct hull_vcpu *vcpu, struct vmcb *vmcb, u32 gpr)
{
	if (gpr == HULL_GPR_RAX)
		return &vmcb->save.rax;
	return gpr == HULL_GPR_RSP ? &vmcb->save.rsp : &vcpu->gprs.gpr[gpr];
}

static __always_inline bool write_cr(struct hull_vcpu *vcpu, struct vmcb *vmcb, bool shadow,
				     u32 cr, u64 value)
{
	struct vmcb_save_area *save = &vmcb->save;
	u64 changed;

	if (!hull_fast_set_cr(vcpu, shadow, cr, value, &changed))
		return false;
	if (cr == 0) {
		/* With shadow paging the CPU's WP stays on. */
		save->cr0 ^= shadow ? changed & ~(u64)X86_CR0_WP : changed;
		if (shadow)
			svm_intercept_reads(vmcb, INTERCEPT_CR0_READ,
					    save->cr0 != vcpu->control.cr0);
	} else if (cr == 4) {
		save->cr4 ^= changed & ~svm_caps.cr4_must;
		if (unlikely(changed & svm_caps.cr4_must))
			svm_intercept_reads(vmcb, INTERCEPT_CR4_READ,
					    save->cr4 != vcpu->control.cr4);
	}
	if (shadow)
		save->cr3 = vcpu->mmu.root;
	return true;
}

/* MOV CR and CLTS; @code is the exit's, which tells register and direction. */
static __always_inline int fast_cr(struct hull_vcpu *vcpu, struct vmcb *vmcb,
				   bool shadow, u32 code)
{
	bool write = code >= SVM_EXIT_WRITE_CR0;
	u32 cr = code & 15, insn, rex, modrm;
	unsigned int len = 3;
	u64 *gpr, mask, value;

	vcpu->exit.kind = HULL_X_CR;
	vcpu->exit.reg = cr;
	if (!read_code(vcpu, vmcb, shadow, 4, &insn))
		return HULL_LEAVE;
	rex = strip_rex(vmcb, &insn, &len);
	if ((insn & 0xffff) == CODE_CLTS && write) {
		if (!write_cr(vcpu, vmcb, shadow, 0, vcpu->control.cr0 & ~(u64)X86_CR0_TS))
			return HULL_LEAVE;
		return done(vcpu, vmcb, len - 1);
	}
	modrm = insn >> 16;
	if ((insn & 0xffff) != (write ? CODE_MOV_TO_CR : CODE_MOV_FROM_CR) ||
	    (((modrm >> 3) & 7) | (rex & 4) << 1) != cr)
		return HULL_LEAVE;
	gpr = gpr_of(vcpu, vmcb, (modrm & 7) | (rex & 1) << 3);
	mask = is_64bit(&vmcb->save) ? ~0ULL : U32_MAX;
	if (write ? !write_cr(vcpu, vmcb, shadow, cr, *gpr & mask) :
		    !hull_fast_get_cr(vcpu, shadow, cr, &value))
		return HULL_LEAVE;
	if (!write)
		*gpr = value & mask;
	return done(vcpu, vmcb, len);
}

/* INVLPG of what a register points to, as kernels have it: no displacement, no SIB byte. */
static __always_inline int fast_invlpg(struct hull_vcpu *vcpu, struct vmcb *vmcb)
{
	unsigned int len = 3;
	u32 insn, rex, modrm;
	u64 linear;

	vcpu->exit.kind = HULL_X_INVLPG;
	if (!read_code(vcpu, vmcb, true, 4, &insn))
		return HULL_LEAVE;
	rex = strip_rex(vmcb, &insn, &len);
	modrm = (insn >> 16) & 0xff;
	if ((insn & 0xffff) != CODE_0F01 || (modrm & 0xf8) != 7 << 3 || (modrm & 6) == 4)
		return HULL_LEAVE;
	linear = *gpr_of(vcpu, vmcb, (modrm & 7) | (rex & 1) << 3);
	if (!is_64bit(&vmcb->save))
		linear = (u32)(vmcb->save.ds.base + linear);
	hull_fast_invlpg(vcpu, linear);
	vmcb->save.cr3 = vcpu->mmu.root;
	return done(vcpu, vmcb, len);
}

/* ---- description ---------------------------------------------------------------------------- */

/* EXITINFO1 of a nested page fault: a page-fault error code. */
#define NPF_WRITE	BIT(1)
#define NPF_FETCH	BIT(4)
#define NPF_FINAL	BIT_ULL(32)	/* the address of the access itself, not of a table */

/* An access to @exit->gpa that is perhaps one to a device; @final: no table is there. */
static __always_inline int device_access(struct hull_vcpu *vcpu, struct vmcb *vmcb, bool shadow,
					 bool final)
{
	struct vmcb_save_area *save = &vmcb->save;
	struct hull_exit *exit = &vcpu->exit;
	u64 *gpr = vcpu->gprs.gpr;

	exit->kind = HULL_X_MEMORY;
	exit->next_rip = 0;
	if (!final || (exit->access & HULL_ACCESS_FETCH) || !is_64bit(save) ||
	    (vmcb->control.exit_int_info & SVM_EXITINTINFO_VALID))
		return HULL_LEAVE;
	gpr[HULL_GPR_RAX] = save->rax;
	gpr[HULL_GPR_RSP] = save->rsp;
	if (!hull_fast_move(vcpu, guest_root(vcpu, vmcb, shadow), save->rip, exit))
		return HULL_LEAVE;
	save->rax = gpr[HULL_GPR_RAX];
	save->rsp = gpr[HULL_GPR_RSP];
	advance(vcpu, vmcb, exit->next_rip);
	return HULL_AGAIN;
}

static int memory_fault(struct hull_vcpu *vcpu, struct vmcb *vmcb)
{
	u64 info = vmcb->control.exit_info_1;
	struct hull_exit *exit = &vcpu->exit;

	exit->gpa = vmcb->control.exit_info_2;
	exit->access = ((info & NPF_WRITE) ? HULL_ACCESS_WRITE : 0) |
		       ((info & NPF_FETCH) ? HULL_ACCESS_FETCH : 0);
	return device_access(vcpu, vmcb, false, info & NPF_FINAL);
}

/* Shadow paging: what it counts as is found out with whose fault it is. */
static __always_inline int page_fault(struct hull_vcpu *vcpu, struct vmcb *vmcb)
{
	struct hull_exit *exit = &vcpu->exit;

	exit->kind = HULL_X_PAGE_FAULT;
	exit->gva = vmcb->control.exit_info_2;
	exit->error_code = vmcb->control.exit_info_1;
	switch (hull_fast_page_fault(vcpu, exit, vmcb->save.rflags, vmcb->save.cpl)) {
	case HULL_FAULT_MAPPED:
		return HULL_AGAIN;
	case HULL_FAULT_MMIO:
		return device_access(vcpu, vmcb, true, true);
	default:
		return HULL_LEAVE;
	}
}

static int exception(struct hull_vcpu *vcpu, const struct vmcb *vmcb, u32 code)
{
	struct hull_exit *exit = &vcpu->exit;

	hull_count(vcpu, HULL_STAT_EXCEPTION);
	exit->vector = code - SVM_EXIT_EXCP_BASE;
	exit->error_code = vmcb->control.exit_info_1;
	/* The host's own: taken when the window has closed. */
	exit->kind = exit->vector == X86_TRAP_MC ? HULL_X_MACHINE_CHECK : HULL_X_EXCEPTION;
	return HULL_LEAVE;
}

/* Exits that only wanted the host's attention, or a look at what is pending. */
static int attention(struct hull_vcpu *vcpu, struct svm_vcpu *svm, u32 code)
{
	struct vmcb *vmcb = svm->vmcb;

	switch (code) {
	case SVM_EXIT_VINTR:
		hull_count(vcpu, HULL_STAT_WINDOW);
		hull_vcpu_set_request(vcpu, HULL_REQ_EVENT);
		return HULL_AGAIN;
	case SVM_EXIT_IRET:
		/* NMIs are unmasked when IRET is done: seen at the first exit elsewhere. */
		hull_count(vcpu, HULL_STAT_WINDOW);
		svm_pass(vmcb, INTERCEPT_IRET);
		svm->iret_pending = true;
		svm->iret_rip = vmcb->save.rip;
		return HULL_AGAIN;
	case SVM_EXIT_NMI:
		hull_count(vcpu, HULL_STAT_NMI);
		break;
	default:
		hull_count(vcpu, HULL_STAT_INTERRUPT);
		break;
	}
	vcpu->exit.kind = HULL_X_NONE;
	return HULL_LEAVE;
}

static int slow_exit(struct hull_vcpu *vcpu, const struct vmcb *vmcb, u32 code)
{
	const struct svm_slow_exit *slow;

	if (code >= SVM_EXIT_EXCP_BASE && code <= SVM_EXIT_LAST_EXCP)
		return exception(vcpu, vmcb, code);
	slow = svm_find_slow_exit(code);
	vcpu->exit.kind = slow ? slow->kind : HULL_X_UNKNOWN;
	hull_count(vcpu, slow ? slow->stat : HULL_STAT_OTHER);
	return HULL_LEAVE;
}

/* ---- the switch ----------------------------------------------------------------------------- */

/* Exits of shadow paging, the most frequent ones first. */
static __always_inline bool is_paging_exit(u32 code)
{
	return code == SVM_EXIT_EXCP_BASE + X86_TRAP_PF || code == SVM_EXIT_INVLPG;
}

static __always_inline int paging_exit(struct hull_vcpu *vcpu, struct vmcb *vmcb, u32 code)
{
	if (code != SVM_EXIT_INVLPG)
		return page_fault(vcpu, vmcb);
	hull_count(vcpu, HULL_STAT_INVALIDATE);
	return fast_invlpg(vcpu, vmcb);
}

static __always_inline int dispatch(struct hull_vcpu *vcpu, struct vmcb *vmcb, bool shadow,
				    u32 code)
{
	struct hull_exit *exit = &vcpu->exit;

	if (shadow && is_paging_exit(code))
		return paging_exit(vcpu, vmcb, code);
	switch (code) {
	case SVM_EXIT_IOIO:
		hull_count(vcpu, HULL_STAT_PORT);
		return fast_port(vcpu, vmcb);
	case SVM_EXIT_MSR:
		hull_count(vcpu, HULL_STAT_MSR);
		exit->kind = HULL_X_MSR;
		exit->write = vmcb->control.exit_info_1;
		return exit->write ? fast_msr(vcpu, vmcb, shadow, true) :
				     fast_msr(vcpu, vmcb, shadow, false);
	case SVM_EXIT_CPUID:
		hull_count(vcpu, HULL_STAT_CPUID);
		exit->kind = HULL_X_CPUID;
		return fast_cpuid(vcpu, vmcb, shadow);
	case SVM_EXIT_NPF:
		hull_count(vcpu, HULL_STAT_MEMORY_FAULT);
		return memory_fault(vcpu, vmcb);
	case SVM_EXIT_HLT:
		hull_count(vcpu, HULL_STAT_HLT);
		exit->kind = HULL_X_HLT;
		return fast_hlt(vcpu, vmcb, shadow);
	case SVM_EXIT_VMMCALL:
		hull_count(vcpu, HULL_STAT_HYPERCALL);
		exit->kind = HULL_X_HYPERCALL;
		return fast_hypercall(vcpu, vmcb, shadow);
	case SVM_EXIT_INTR:
	case SVM_EXIT_NMI:
	case SVM_EXIT_SMI:
	case SVM_EXIT_VINTR:
	case SVM_EXIT_IRET:
		return attention(vcpu, to_svm(vcpu), code);
	default:
		if (code >= SVM_EXIT_READ_DR0)
			return slow_exit(vcpu, vmcb, code);
		hull_count(vcpu, HULL_STAT_CONTROL);
		return fast_cr(vcpu, vmcb, shadow, code);
	}
}

static void describe(struct hull_exit *exit, const struct vmcb *vmcb, u32 code)
{
	exit->code = code;
	exit->delivery = vmcb->control.exit_int_info & SVM_EXITINTINFO_VALID;
	exit->info[0] = vmcb->control.exit_info_1;
	exit->info[1] = vmcb->control.exit_info_2;
	exit->saved_rip = svm_caps.nrips ? vmcb->control.next_rip : 0;
	if (exit->kind != HULL_X_PORT && exit->kind != HULL_X_MEMORY)
		exit->next_rip = 0;
}

static __always_inline int handle_exit(struct hull_vcpu *vcpu, bool shadow)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	struct vmcb *vmcb = svm->vmcb;
	u32 code = vmcb->control.exit_code;

	hull_count(vcpu, HULL_STAT_EXITS);
	finish_delivery(vcpu, vmcb);
	if (unlikely(svm->iret_pending) && vmcb->save.rip != svm->iret_rip) {
		svm->iret_pending = false;
		vcpu->event.nmi_masked = false;
		hull_vcpu_set_request(vcpu, HULL_REQ_EVENT);
	}
	if (dispatch(vcpu, vmcb, shadow, code) == HULL_AGAIN &&
	    hull_window_go_on(vcpu, svm_next_entry) == HULL_AGAIN)
		return HULL_AGAIN;
	describe(&vcpu->exit, vmcb, code);
	return HULL_LEAVE;
}

int svm_handle_exit(struct hull_vcpu *vcpu)
{
	return handle_exit(vcpu, false);
}

int svm_handle_exit_shadow(struct hull_vcpu *vcpu)
{
	return handle_exit(vcpu, true);
}
