// SPDX-License-Identifier: GPL-2.0
/*
 * Guest state between the neutral form and the VMCS.
 *
 * RSP, RIP, RFLAGS, CR3 and the interrupt shadow move at each window; control registers, segments
 * and MSRs when they were written from outside. What a guest owns of CR0 and CR4 is read back with
 * CR3; segments when somebody asks. The vCPU's mutex is held.
 */
#include <asm/debugreg.h>
#include <asm/msr.h>

#include "../cpuid.h"
#include "../event.h"
#include "../mem/gpa.h"
#include "../mutate.h"
#include "../state.h"
#include "../vm.h"
#include "segments.h"
#include "vmx.h"
#include "vmcs.h"

/* The caches are the host's business: what a guest disables is shown to it and not done. */
#define CR0_CACHE	(X86_CR0_CD | X86_CR0_NW)

#define TYPE_BUSY	BIT(1)

/* ---- segments ------------------------------------------------------------------------------- */

static void read_segment(struct hull_segment *to, int i)
{
	to->base = vmcs_read(GUEST_ES_BASE + i * 2);
	to->limit = vmcs_read(GUEST_ES_LIMIT + i * 2);
	to->selector = vmcs_read(GUEST_ES_SELECTOR + i * 2);
	to->attr = vmx_attr_of(vmcs_read(GUEST_ES_AR_BYTES + i * 2));
}

static void write_segment(const struct hull_segment *from, int i)
{
	vmcs_write(GUEST_ES_BASE + i * 2, from->base);
	vmcs_write(GUEST_ES_LIMIT + i * 2, from->limit);
	vmcs_write(GUEST_ES_SELECTOR + i * 2, from->selector);
	vmcs_write(GUEST_ES_AR_BYTES + i * 2, vmx_ar_of(from->attr));
}

/* struct hull_segments has them in the order of the fields. */
static struct hull_segment *segment(struct hull_segments *s, int i)
{
	return &s->es + i;
}

static_assert(offsetof(struct hull_segments, tr) == VMCS_TR * sizeof(struct hull_segment));

static void read_segments(struct vmx_vcpu *vmx)
{
	struct hull_segments *s = &vmx->segments;
	int i;

	for (i = 0; i < VMCS_SEGMENTS; i++)
		read_segment(segment(s, i), i);
	s->gdtr.base = vmcs_read(GUEST_GDTR_BASE);
	s->gdtr.limit = vmcs_read(GUEST_GDTR_LIMIT);
	s->idtr.base = vmcs_read(GUEST_IDTR_BASE);
	s->idtr.limit = vmcs_read(GUEST_IDTR_LIMIT);
	vmx->sysenter[0] = vmcs_read(GUEST_SYSENTER_CS);
	vmx->sysenter[1] = vmcs_read(GUEST_SYSENTER_ESP);
	vmx->sysenter[2] = vmcs_read(GUEST_SYSENTER_EIP);
	vmx->fresh = true;
}

static void write_segments(struct hull_vcpu *vcpu, struct vmx_vcpu *vmx)
{
	struct hull_segments *s = &vmx->segments;
	int i;

	if (!vmx_is_nested(vcpu) && !(vcpu->gprs.rflags & X86_EFLAGS_VM))
		vmx_bend_segments(s);
	for (i = 0; i < VMCS_SEGMENTS; i++)
		write_segment(segment(s, i), i);
	/* A task in TR is busy; SVM does not mind one that is said to be available. */
	vmcs_write(GUEST_TR_AR_BYTES, vmx_ar_of(s->tr.attr) | TYPE_BUSY);
	vmcs_write(GUEST_GDTR_BASE, s->gdtr.base);
	vmcs_write(GUEST_GDTR_LIMIT, s->gdtr.limit);
	vmcs_write(GUEST_IDTR_BASE, s->idtr.base);
	vmcs_write(GUEST_IDTR_LIMIT, s->idtr.limit);
	vmcs_write(GUEST_SYSENTER_CS, vmx->sysenter[0]);
	vmcs_write(GUEST_SYSENTER_ESP, vmx->sysenter[1]);
	vmcs_write(GUEST_SYSENTER_EIP, vmx->sysenter[2]);
}

/* In the window or outside. */
static void refresh(struct hull_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	unsigned long flags;

	if (vmx->fresh)
		return;
	if (vmx->open) {
		read_segments(vmx);
		return;
	}
	local_irq_save(flags);
	/* Another hypervisor has come: what is known is old, and this vCPU will run no more. */
	if (!WARN_ON_ONCE(vmx_open(vcpu) == -EIO) && vmx->open) {
		read_segments(vmx);
		vmx_close(vcpu);
	}
	local_irq_restore(flags);
}

void vmx_get_segments(struct hull_vcpu *vcpu, struct hull_segments *s)
{
	refresh(vcpu);
	*s = to_vmx(vcpu)->segments;
}

void vmx_set_segments(struct hull_vcpu *vcpu, const struct hull_segments *s)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	refresh(vcpu);
	vmx->segments = *s;
	vmx->cpl = (s->ss.attr & HULL_SEG_DPL) >> 5;
	vmx->dirty |= VMX_DIRTY_SEGMENTS;
}

int vmx_cpl(struct hull_vcpu *vcpu)
{
	return to_vmx(vcpu)->cpl;
}

/* ---- control registers ---------------------------------------------------------------------- */

void vmx_set_control(struct hull_vcpu *vcpu)
{
	to_vmx(vcpu)->dirty |= VMX_DIRTY_CONTROL;
}

void vmx_write_cr0(struct hull_vcpu *vcpu)
{
	u64 must = vmx_caps.cr0_fixed[0];

	/* Shadow tables are on whether the guest pages or not. */
	if (vmx_is_nested(vcpu))
		must &= ~(u64)(X86_CR0_PE | X86_CR0_PG);
	else
		must |= X86_CR0_PE | X86_CR0_PG | X86_CR0_WP;
	vmcs_write(GUEST_CR0, (vcpu->control.cr0 & ~(u64)CR0_CACHE) | must);
	vmcs_write(CR0_READ_SHADOW, vcpu->control.cr0);
}

void vmx_write_cr4(struct hull_vcpu *vcpu)
{
	u64 cr4 = vcpu->control.cr4 | vmx_caps.cr4_fixed[0];

	/* Shadow tables are of PAE's format, or long mode's, and their roots carry no PCID. */
	if (!vmx_is_nested(vcpu)) {
		cr4 = (cr4 | X86_CR4_PAE) & ~(u64)X86_CR4_PCIDE;
		/* Without paging there are no user pages to be kept from. */
		if (!(vcpu->control.cr0 & X86_CR0_PG))
			cr4 &= ~(u64)(X86_CR4_SMEP | X86_CR4_SMAP | X86_CR4_PKE);
	}
	vmcs_write(GUEST_CR4, cr4);
	vmcs_write(CR4_READ_SHADOW, vcpu->control.cr4);
}

void vmx_read_control(struct hull_vcpu *vcpu)
{
	struct hull_control *control = &vcpu->control;
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	control->cr0 ^= (control->cr0 ^ vmcs_read(GUEST_CR0)) & vmx->owned_cr0;
	control->cr4 ^= (control->cr4 ^ vmcs_read(GUEST_CR4)) & vmx->owned_cr4;
	control->cr3 = vmcs_read(GUEST_CR3);
}

/* What CPUID does not offer must exit, to be refused. */
static void write_owned(struct hull_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	if (!hull_is_shadow(vcpu) || hull_mutate_wrong_mask) {
		vmx->owned_cr0 = vmx_guest_cr0(&vmx_caps);
		vmx->owned_cr4 = vmx_guest_cr4(&vmx_caps) & hull_cpuid_cr4_mask(vcpu);
	}
	vmcs_write(CR0_GUEST_HOST_MASK, ~vmx->owned_cr0);
	vmcs_write(CR4_GUEST_HOST_MASK, ~vmx->owned_cr4);
}

/* Entries of PAE's root are registers of the CPU, loaded with CR3; with EPT, by us. */
void vmx_prepare_state(struct hull_vcpu *vcpu)
{
	const struct hull_control *control = &vcpu->control;
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	if (likely(!(vmx->dirty & VMX_DIRTY_CONTROL)))
		return;
	if (vmx->ept && !vmx_is_nested(vcpu)) {
		/* The guest begins to page: see vmx_bend_segments(). */
		refresh(vcpu);
		vmx->dirty |= VMX_DIRTY_SEGMENTS;
	}
	if (hull_is_shadow(vcpu) || !hull_is_pae(control->cr0, control->cr4, control->efer))
		return;
	if (hull_gpa_read(vcpu->vm, control->cr3 & GENMASK_ULL(31, 5), vmx->pdpte,
			  sizeof(vmx->pdpte)))
		memset(vmx->pdpte, 0, sizeof(vmx->pdpte));
}

static void write_control(struct hull_vcpu *vcpu)
{
	const struct hull_control *control = &vcpu->control;
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u32 entry = vmx_caps.controls[VMX_ENTRY], cpu2 = vmx_caps.controls[VMX_CPU2];
	u64 efer = control->efer;
	int i;

	vmx_write_cr0(vcpu);
	vmx_write_cr4(vcpu);
	write_owned(vcpu);
	if (vmx->ept != vmx_is_nested(vcpu)) {
		/* A flush is of the kind that is in use: the other's is to be made up for. */
		vmx->ept = !vmx->ept;
		vmx->flushed_cpu = -1;
	}
	if (!vmx->ept) {
		cpu2 &= ~VMX_NESTED;
		efer |= EFER_NX;
		/* It waits for paging, which the hardware does already. */
		if (!(efer & EFER_LMA))
			efer &= ~(u64)EFER_LME;
	}
	if (!vmx->vpid)
		cpu2 &= ~SECONDARY_EXEC_ENABLE_VPID;
	if (vmx_caps.controls[VMX_CPU] & CPU_BASED_ACTIVATE_SECONDARY_CONTROLS)
		vmcs_write(SECONDARY_VM_EXEC_CONTROL, cpu2);
	vmx_write_efer(vmx, efer);
	if (control->efer & EFER_LMA)
		entry |= VM_ENTRY_IA32E_MODE;
	vmcs_write(VM_ENTRY_CONTROLS, entry);
	/* On shadow tables, CR3 comes with each window. */
	if (hull_is_shadow(vcpu))
		return;
	vmcs_write(GUEST_CR3, control->cr3);
	if (!hull_is_pae(control->cr0, control->cr4, control->efer))
		return;
	for (i = 0; i < 4; i++)
		vmcs_write(GUEST_PDPTR0 + i * 2, vmx->pdpte[i]);
}

/* ---- each window ---------------------------------------------------------------------------- */

static void load_blocking(struct hull_vcpu *vcpu, struct vmx_vcpu *vmx)
{
	u32 blocking = vcpu->event.nmi_masked ? GUEST_INTR_STATE_NMI : 0;
	u64 rflags = vcpu->gprs.rflags;

	if (vcpu->event.shadow)
		blocking |= (vmx->interruptibility & VMX_INTERRUPT_SHADOW) ?:
			    rflags & X86_EFLAGS_IF ? GUEST_INTR_STATE_STI :
						     GUEST_INTR_STATE_MOV_SS;
	if (likely(blocking == vmx->interruptibility && !vcpu->state_set))
		return;
	vmx->interruptibility = blocking;
	vmcs_write(GUEST_INTERRUPTIBILITY_INFO, blocking);
	/* A single step that waits for the end of a shadow; otherwise it was taken. */
	vmcs_write(GUEST_PENDING_DBG_EXCEPTIONS,
		   vcpu->event.shadow && (rflags & X86_EFLAGS_TF) ? VMX_PENDING_BS : 0);
}

static void load_dirty(struct hull_vcpu *vcpu, struct vmx_vcpu *vmx)
{
	if (vmx->dirty & VMX_DIRTY_TSC)
		vmcs_write(TSC_OFFSET, vmx->tsc_offset);
	if (vmx->dirty & VMX_DIRTY_CONTROL)
		write_control(vcpu);
	if (vmx->dirty & VMX_DIRTY_SEGMENTS)
		write_segments(vcpu, vmx);
	vmx->dirty = 0;
}

void vmx_load_state(struct hull_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	vmcs_write(GUEST_RSP, vcpu->gprs.gpr[HULL_GPR_RSP]);
	vmcs_write(GUEST_RIP, vcpu->gprs.rip);
	vmcs_write(GUEST_RFLAGS, vcpu->gprs.rflags);
	load_blocking(vcpu, vmx);
	if (unlikely(vcpu->debug.dr7 != vmx->dr7)) {
		vmx->dr7 = vcpu->debug.dr7;
		vmcs_write(GUEST_DR7, vmx->dr7);
	}
	if (unlikely(vmx->dirty))
		load_dirty(vcpu, vmx);
	if (hull_is_shadow(vcpu))
		vmcs_write(GUEST_CR3, vcpu->mmu.root);
}

void vmx_store_state(struct hull_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	vcpu->gprs.gpr[HULL_GPR_RSP] = vmcs_read(GUEST_RSP);
	vcpu->gprs.rip = vmcs_read(GUEST_RIP);
	vcpu->gprs.rflags = vmcs_read(GUEST_RFLAGS);
	if (!hull_is_shadow(vcpu))
		vmx_read_control(vcpu);
	vmx->interruptibility = vmcs_read(GUEST_INTERRUPTIBILITY_INFO);
	vcpu->event.shadow = vmx->interruptibility & VMX_INTERRUPT_SHADOW;
	vcpu->event.nmi_masked = vmx->interruptibility & GUEST_INTR_STATE_NMI;
	vmx->cpl = VMX_AR_DPL(vmcs_read(GUEST_SS_AR_BYTES));
	vmx->fresh = false;
}

/* ---- MSRs ----------------------------------------------------------------------------------- */

static u64 *msr_slot(struct vmx_vcpu *vmx, u32 index)
{
	int syscall = vmx_syscall_index(index);

	if (syscall >= 0)
		return &vmx->syscall[syscall];
	switch (index) {
	case MSR_KERNEL_GS_BASE:
		return &vmx->kernel_gs;
	case MSR_FS_BASE:
		return &vmx->segments.fs.base;
	case MSR_GS_BASE:
		return &vmx->segments.gs.base;
	case MSR_IA32_SYSENTER_CS:
		return &vmx->sysenter[0];
	case MSR_IA32_SYSENTER_ESP:
		return &vmx->sysenter[1];
	case MSR_IA32_SYSENTER_EIP:
		return &vmx->sysenter[2];
	case MSR_IA32_CR_PAT:
		return &vmx->pat;
	default:
		return NULL;
	}
}

/* The VMCS has it, with the segments. */
static bool is_lazy(struct vmx_vcpu *vmx, const u64 *slot)
{
	return slot == &vmx->segments.fs.base || slot == &vmx->segments.gs.base ||
	       (slot >= vmx->sysenter && slot < vmx->sysenter + ARRAY_SIZE(vmx->sysenter));
}

int vmx_get_msr(struct hull_vcpu *vcpu, u32 index, u64 *value)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u64 *slot = msr_slot(vmx, index);

	if (!slot)
		return -ENOENT;
	if (is_lazy(vmx, slot))
		refresh(vcpu);
	*value = *slot;
	return 0;
}

/* In the window too, for what the guest writes with an exit: the syscall MSRs and PAT. */
int vmx_set_msr(struct hull_vcpu *vcpu, u32 index, u64 value)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u64 *slot = msr_slot(vmx, index);

	if (!slot)
		return -ENOENT;
	if (is_lazy(vmx, slot)) {
		refresh(vcpu);
		vmx->dirty |= VMX_DIRTY_SEGMENTS;
	}
	*slot = value;
	if (vmx->syscall_loaded && vmx_syscall_index(index) >= 0)
		native_wrmsrq(index, value);
	return 0;
}

void vmx_set_tsc_offset(struct hull_vcpu *vcpu, u64 offset)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	vmx->tsc_offset = offset;
	if (vmx->open)
		vmcs_write(TSC_OFFSET, offset);
	else
		vmx->dirty |= VMX_DIRTY_TSC;
}

/* ---- reset ---------------------------------------------------------------------------------- */

#define PAT_RESET	0x0007040600070406ULL

void vmx_vcpu_reset(struct hull_vcpu *vcpu, bool init)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	if (init)
		return;
	memset(vmx->syscall, 0, sizeof(vmx->syscall));
	vmx->kernel_gs = 0;
	refresh(vcpu);
	memset(vmx->sysenter, 0, sizeof(vmx->sysenter));
	vmx->dirty |= VMX_DIRTY_SEGMENTS;
	vmx->pat = PAT_RESET;
}
