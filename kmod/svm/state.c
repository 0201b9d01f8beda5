// SPDX-License-Identifier: GPL-2.0
/*
 * Guest state between the neutral form and the VMCB, and a dump of it.
 *
 * RAX, RSP, RIP, RFLAGS, control registers, DR6 and DR7 move at each window; segments and MSRs stay
 * in the VMCB and are moved on demand. The vCPU's mutex is held, the window closed.
 */
#include <asm/debugreg.h>
#include <asm/msr-index.h>

#include "../event.h"
#include "../irqchip/irqchip.h"
#include "segments.h"
#include "svm.h"

/* The caches are the host's business: what a guest disables is shown to it and not done. */
#define CR0_CACHE	(X86_CR0_CD | X86_CR0_NW)

/* ---- segments ------------------------------------------------------------------------------- */

void svm_get_segments(struct hull_vcpu *vcpu, struct hull_segments *s)
{
	const struct vmcb_save_area *save = &to_svm(vcpu)->vmcb->save;

	svm_get_segment(&s->es, &save->es);
	svm_get_segment(&s->cs, &save->cs);
	svm_get_segment(&s->ss, &save->ss);
	svm_get_segment(&s->ds, &save->ds);
	svm_get_segment(&s->fs, &save->fs);
	svm_get_segment(&s->gs, &save->gs);
	svm_get_segment(&s->ldtr, &save->ldtr);
	svm_get_segment(&s->tr, &save->tr);
	svm_get_segment(&s->gdtr, &save->gdtr);
	svm_get_segment(&s->idtr, &save->idtr);
}

void svm_set_segments(struct hull_vcpu *vcpu, const struct hull_segments *s)
{
	struct vmcb_save_area *save = &to_svm(vcpu)->vmcb->save;

	svm_set_segment(&save->es, &s->es);
	svm_set_segment(&save->cs, &s->cs);
	svm_set_segment(&save->ss, &s->ss);
	svm_set_segment(&save->ds, &s->ds);
	svm_set_segment(&save->fs, &s->fs);
	svm_set_segment(&save->gs, &s->gs);
	svm_set_segment(&save->ldtr, &s->ldtr);
	svm_set_segment(&save->tr, &s->tr);
	svm_set_segment(&save->gdtr, &s->gdtr);
	svm_set_segment(&save->idtr, &s->idtr);
	save->cpl = svm_cpl_of(&s->ss);
}

int svm_cpl(struct hull_vcpu *vcpu)
{
	return to_svm(vcpu)->vmcb->save.cpl;
}

/* ---- control registers ---------------------------------------------------------------------- */

static void set_nested_control(struct vmcb *vmcb, const struct hull_control *control)
{
	vmcb->save.cr0 = control->cr0 & ~(u64)CR0_CACHE;
	vmcb->save.cr3 = control->cr3;
	vmcb->save.cr4 = control->cr4 | svm_caps.cr4_must;
	vmcb->save.efer = control->efer | EFER_SVME;
	/*
	 * LME means nothing until paging goes on, which is intercepted: it is kept from the CPU.
	 * QEMU's #VMEXIT sets the host's CR0 while the guest's EFER and CR4 are still there, and
	 * refuses paging with LME but without PAE: a guest could end the host.
	 */
	if (!(control->cr0 & X86_CR0_PG))
		vmcb->save.efer &= ~(u64)EFER_LME;
}

/*
 * The CPU always pages, by tables of PAE's format with all that it can check; "paged real mode" is
 * made for this. CR3 comes with each window. The guest's PAT is kept and has no effect.
 */
static void set_shadow_control(struct vmcb *vmcb, const struct hull_control *control)
{
	u64 cr4 = (control->cr4 | X86_CR4_PAE | svm_caps.cr4_must) & ~(u64)X86_CR4_PCIDE;

	/* Without paging there are no user pages to be kept from. */
	if (!(control->cr0 & X86_CR0_PG))
		cr4 &= ~(u64)(X86_CR4_SMEP | X86_CR4_SMAP | X86_CR4_PKE);
	vmcb->save.cr0 = (control->cr0 & ~(u64)CR0_CACHE) | X86_CR0_PG | X86_CR0_WP;
	vmcb->save.cr4 = cr4;
	vmcb->save.efer = control->efer | EFER_NX | EFER_SVME;
	if (!(control->efer & EFER_LMA))
		vmcb->save.efer &= ~(u64)EFER_LME;
}

void svm_set_control(struct hull_vcpu *vcpu)
{
	const struct hull_control *control = &vcpu->control;
	struct vmcb *vmcb = to_svm(vcpu)->vmcb;

	vmcb->save.cr2 = control->cr2;
	if (hull_is_shadow(vcpu))
		set_shadow_control(vmcb, control);
	else
		set_nested_control(vmcb, control);
	svm_intercept_reads(vmcb, INTERCEPT_CR0_READ, vmcb->save.cr0 != control->cr0);
	svm_intercept_reads(vmcb, INTERCEPT_CR4_READ, vmcb->save.cr4 != control->cr4);
}

void svm_load_state(struct hull_vcpu *vcpu)
{
	struct vmcb *vmcb = to_svm(vcpu)->vmcb;

	vmcb->save.rax = vcpu->gprs.gpr[HULL_GPR_RAX];
	vmcb->save.rsp = vcpu->gprs.gpr[HULL_GPR_RSP];
	vmcb->save.rip = vcpu->gprs.rip;
	vmcb->save.rflags = vcpu->gprs.rflags;
	vmcb->save.dr6 = vcpu->debug.dr6;
	vmcb->save.dr7 = vcpu->debug.dr7;
	if (hull_is_shadow(vcpu))
		vmcb->save.cr3 = vcpu->mmu.root;
	if (vcpu->event.shadow)
		vmcb->control.int_state |= SVM_INTERRUPT_SHADOW_MASK;
	else
		vmcb->control.int_state &= ~SVM_INTERRUPT_SHADOW_MASK;
}

void svm_store_state(struct hull_vcpu *vcpu)
{
	const struct vmcb *vmcb = to_svm(vcpu)->vmcb;

	vcpu->gprs.gpr[HULL_GPR_RAX] = vmcb->save.rax;
	vcpu->gprs.gpr[HULL_GPR_RSP] = vmcb->save.rsp;
	vcpu->gprs.rip = vmcb->save.rip;
	vcpu->gprs.rflags = vmcb->save.rflags;
	/* CR0 and CR4 are written with an exit only. */
	vcpu->control.cr2 = vmcb->save.cr2;
	if (!hull_is_shadow(vcpu))
		vcpu->control.cr3 = vmcb->save.cr3;
	vcpu->debug.dr6 = vmcb->save.dr6;
	vcpu->debug.dr7 = vmcb->save.dr7;
	vcpu->event.shadow = vmcb->control.int_state & SVM_INTERRUPT_SHADOW_MASK;
}

/* ---- MSRs ----------------------------------------------------------------------------------- */

static u64 *msr_slot(struct vmcb_save_area *save, u32 index)
{
	switch (index) {
	case MSR_STAR:
		return &save->star;
	case MSR_LSTAR:
		return &save->lstar;
	case MSR_CSTAR:
		return &save->cstar;
	case MSR_SYSCALL_MASK:
		return &save->sfmask;
	case MSR_KERNEL_GS_BASE:
		return &save->kernel_gs_base;
	case MSR_FS_BASE:
		return &save->fs.base;
	case MSR_GS_BASE:
		return &save->gs.base;
	case MSR_IA32_SYSENTER_CS:
		return &save->sysenter_cs;
	case MSR_IA32_SYSENTER_ESP:
		return &save->sysenter_esp;
	case MSR_IA32_SYSENTER_EIP:
		return &save->sysenter_eip;
	case MSR_IA32_CR_PAT:
		return &save->g_pat;
	default:
		return NULL;
	}
}

int svm_get_msr(struct hull_vcpu *vcpu, u32 index, u64 *value)
{
	u64 *slot = msr_slot(&to_svm(vcpu)->vmcb->save, index);

	if (!slot)
		return -ENOENT;
	*value = *slot;
	return 0;
}

int svm_set_msr(struct hull_vcpu *vcpu, u32 index, u64 value)
{
	u64 *slot = msr_slot(&to_svm(vcpu)->vmcb->save, index);

	if (!slot)
		return -ENOENT;
	*slot = value;
	return 0;
}

void svm_set_tsc_offset(struct hull_vcpu *vcpu, u64 offset)
{
	to_svm(vcpu)->vmcb->control.tsc_offset = offset;
}

/* ---- reset and dump ------------------------------------------------------------------------- */

#define PAT_RESET	0x0007040600070406ULL

void svm_vcpu_reset(struct hull_vcpu *vcpu, bool init)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	struct vmcb_save_area *save = &svm->vmcb->save;

	svm->iret_pending = false;
	svm_pass(svm->vmcb, INTERCEPT_IRET);
	svm->vmcb->control.int_state = 0;
	svm->vmcb->control.event_inj = 0;
	if (init)
		return;
	save->star = save->lstar = save->cstar = save->sfmask = 0;
	save->kernel_gs_base = 0;
	save->sysenter_cs = save->sysenter_esp = save->sysenter_eip = 0;
	save->g_pat = PAT_RESET;
}

static void dump_segment(const char *name, const struct vmcb_seg *seg)
{
	pr_info("  %s %04x base %016llx limit %08x attr %03x\n", name, seg->selector, seg->base,
		seg->limit, seg->attrib);
}

void svm_dump(struct hull_vcpu *vcpu)
{
	const struct vmcb_control_area *control = &to_svm(vcpu)->vmcb->control;
	const struct vmcb_save_area *save = &to_svm(vcpu)->vmcb->save;

	pr_info("vCPU %u: exit %#x info %#llx %#llx intinfo %#x event %#x\n", vcpu->id,
		(u32)control->exit_code, control->exit_info_1, control->exit_info_2,
		control->exit_int_info, control->event_inj);
	pr_info("  intercepts %08x %08x %08x %08x %08x asid %u int_ctl %#x state %#x\n",
		control->intercepts[0], control->intercepts[1], control->intercepts[2],
		control->intercepts[3], control->intercepts[4], control->asid, control->int_ctl,
		control->int_state);
	pr_info("  cr0 %llx cr2 %llx cr3 %llx cr4 %llx efer %llx ncr3 %llx\n", save->cr0,
		save->cr2, save->cr3, save->cr4, save->efer, control->nested_cr3);
	pr_info("  for the guest: cr0 %llx cr3 %llx cr4 %llx efer %llx\n", vcpu->control.cr0,
		vcpu->control.cr3, vcpu->control.cr4, vcpu->control.efer);
	pr_info("  rip %llx rsp %llx rax %llx rflags %llx cpl %u dr6 %llx dr7 %llx\n", save->rip,
		save->rsp, save->rax, save->rflags, save->cpl, save->dr6, save->dr7);
	dump_segment("es", &save->es);
	dump_segment("cs", &save->cs);
	dump_segment("ss", &save->ss);
	dump_segment("ds", &save->ds);
	dump_segment("fs", &save->fs);
	dump_segment("gs", &save->gs);
	dump_segment("ldtr", &save->ldtr);
	dump_segment("tr", &save->tr);
	dump_segment("gdtr", &save->gdtr);
	dump_segment("idtr", &save->idtr);
}
