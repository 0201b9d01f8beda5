// SPDX-License-Identifier: GPL-2.0
/*
 * One window on SVM, from C's side: what must be right before each entry. Requests, events to
 * inject, the TLB tag, and with the oracle on, proof of it.
 *
 * The vCPU thread; from hull_host_enter() on interrupts are off, inside svm_window() GIF is clear.
 */
#include <linux/sched.h>
#include <asm/trapnr.h>

#include "../event.h"
#include "../fast.h"
#include "../host.h"
#include "../irqchip/irqchip.h"
#include "../mmu/mmu.h"
#include "check.h"
#include "svm.h"

static_assert(offsetof(struct svm_entry, vmcb_pa) == 0);
static_assert(offsetof(struct svm_entry, host_pa) == 8);
static_assert(offsetof(struct svm_entry, guest_gs) == 16);
static_assert(offsetof(struct svm_entry, host_gs) == 24);

/* ---- TLB tags ------------------------------------------------------------------------------- */

/* A tag that has no entries: a flush without touching those of others. */
static void new_asid(struct hull_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	/* Read after the request was taken and before the flush: see hull_mmu_flushed(). */
	u64 generation = hull_mmu_generation(&vcpu->vm->mmu);
	struct svm_cpu *cpu = this_cpu_ptr(&svm_cpus);

	if (cpu->asid_next >= svm_caps.asids) {
		cpu->asid_next = 1;
		cpu->asid_generation++;
		svm->vmcb->control.tlb_ctl = TLB_CONTROL_FLUSH_ALL_ASID;
	}
	svm->asid_generation = cpu->asid_generation;
	svm->asid_cpu = vcpu->cpu;
	svm->vmcb->control.asid = cpu->asid_next++;
	hull_mmu_flushed(&vcpu->mmu, generation, vcpu->cpu, svm->vmcb->control.asid);
	hull_count(vcpu, HULL_STAT_FLUSHES);
}

static bool asid_is_stale(struct hull_vcpu *vcpu)
{
	const struct svm_vcpu *svm = to_svm(vcpu);

	return svm->asid_cpu != vcpu->cpu ||
	       svm->asid_generation != __this_cpu_read(svm_cpus.asid_generation);
}

/* ---- events --------------------------------------------------------------------------------- */

static void set_window(struct vmcb *vmcb, bool open)
{
	struct vmcb_control_area *control = &vmcb->control;

	if (open) {
		/* A virtual interrupt of any priority: intercepted when it could be taken. */
		control->int_ctl |= V_IRQ_MASK | V_INTR_PRIO_MASK | V_IGN_TPR_MASK;
		control->int_vector = 0;
		svm_intercept(vmcb, INTERCEPT_VINTR);
	} else {
		control->int_ctl &= ~V_IRQ_INJECTION_BITS_MASK;
		svm_pass(vmcb, INTERCEPT_VINTR);
	}
}

static void inject(struct hull_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	struct vmcb *vmcb = svm->vmcb;
	struct vmcb_control_area *control = &vmcb->control;
	struct hull_injection next;
	u32 event = 0;

	vcpu->event.shadow = control->int_state & SVM_INTERRUPT_SHADOW_MASK;
	hull_event_select(vcpu, (vmcb->save.rflags & X86_EFLAGS_IF) && !vcpu->event.shadow, &next);
	switch (next.kind) {
	case HULL_INJECTION_EXCEPTION:
		event = SVM_EVTINJ_TYPE_EXEPT | next.vector;
		if (next.has_error) {
			event |= SVM_EVTINJ_VALID_ERR;
			control->event_inj_err = next.error_code;
		}
		if (hull_event_is_fault(next.vector))
			vmcb->save.rflags |= X86_EFLAGS_RF;
		if (next.vector == X86_TRAP_PF)
			vmcb->save.cr2 = vcpu->event.fault_address;
		if (next.vector == X86_TRAP_DB) {
			vmcb->save.dr6 = vcpu->debug.dr6;
			vmcb->save.dr7 &= ~(u64)HULL_DR7_GD;
		}
		break;
	case HULL_INJECTION_INTERRUPT:
		event = SVM_EVTINJ_TYPE_INTR | next.vector;
		break;
	case HULL_INJECTION_NMI:
		event = SVM_EVTINJ_TYPE_NMI | X86_TRAP_NMI;
		svm_intercept(vmcb, INTERCEPT_IRET);
		break;
	}
	vcpu->event.injected = next.kind;
	if (event) {
		control->event_inj = event | SVM_EVTINJ_VALID;
		hull_count(vcpu, HULL_STAT_INJECTED);
	}
	set_window(vmcb, next.window);
}

/* ---- before an entry ------------------------------------------------------------------------ */

/* The oracle: stale TLB tags and illegal state, which an emulator would let pass. */
static bool check_entry(struct hull_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	const char *broken;

	if (hull_check && !hull_check_entry(vcpu, vcpu->cpu, svm->vmcb->control.asid)) {
		vcpu->exit.kind = HULL_X_CHECK_FAILED;
		return false;
	}
	broken = svm_check_control(svm->vmcb, svm_caps.asids);
	if (svm_caps.cr4_must & ~svm->vmcb->save.cr4)
		broken = "CR4.MCE is clear: a machine check would end the host";
	if (unlikely(broken))
		return hull_refuse_entry(vcpu, broken, true);
	broken = svm_check_state(svm->vmcb);
	if (unlikely(broken))
		return hull_refuse_entry(vcpu, broken, !vcpu->state_set);
	broken = svm_check_guest(svm->vmcb, hull_gpa_bits);
	if (unlikely(broken))
		return hull_refuse_entry(vcpu, broken, false);
	vcpu->state_set = false;
	return true;
}

int svm_next_entry(struct hull_vcpu *vcpu)
{
	return hull_next_entry(vcpu, asid_is_stale, new_asid, inject, check_entry);
}

int svm_run(struct hull_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	struct svm_cpu *cpu;
	int err;

	svm_load_state(vcpu);
	err = hull_host_enter(vcpu);
	if (err)
		return err;
	cpu = this_cpu_ptr(&svm_cpus);
	svm->entry.host_pa = page_to_phys(cpu->host);
	svm->entry.host_gs = cpu->gs_base;
	hull_window_begin(vcpu);
	if (svm_next_entry(vcpu) == HULL_AGAIN) {
		svm->entry.guest_gs = svm->vmcb->save.gs.base;
		err = hull_is_shadow(vcpu) ? svm_window_shadow(vcpu, &svm->entry) :
					     svm_window(vcpu, &svm->entry);
		svm->vmcb->save.gs.base = svm->entry.guest_gs;
	}
	hull_window_end(vcpu);
	svm_store_state(vcpu);
	hull_host_leave(vcpu);
	return err;
}
