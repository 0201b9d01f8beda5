// SPDX-License-Identifier: GPL-2.0
/*
 * One window on SVM, from C's side: what must be right before each entry. Requests, events to
 * inject, the TLB tag, and with the oracle on, proof of it.
 *
 * The vCPU thread; from hull_host_enter() on interrupts are off, inside svm_window() GIF is clear.
 */
#include <linux/ratelimit.h>
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
static_assert(offsetof(struct hull_vcpu, gprs.gpr) == 0);

/* Fast exits in a row before the host gets a look in. */
#define WINDOW_BUDGET	4096

/* ---- TLB tags ------------------------------------------------------------------------------- */

/* A tag that has no entries: a flush without touching those of others. */
static void new_asid(struct hull_vcpu *vcpu, struct svm_vcpu *svm)
{
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

static bool asid_is_ours(struct hull_vcpu *vcpu, struct svm_vcpu *svm)
{
	return svm->asid_cpu == vcpu->cpu &&
	       svm->asid_generation == __this_cpu_read(svm_cpus.asid_generation);
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

/* Exceptions after which the instruction is not executed again: traps and aborts. */
#define NO_FAULTS	(BIT(X86_TRAP_DB) | BIT(X86_TRAP_BP) | BIT(X86_TRAP_OF) |	\
			 BIT(X86_TRAP_DF) | BIT(X86_TRAP_MC))

static void inject(struct hull_vcpu *vcpu, struct svm_vcpu *svm)
{
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
		/* As CPUs do: no instruction breakpoint when the handler returns to it. */
		if (!(NO_FAULTS & BIT(next.vector)))
			vmcb->save.rflags |= X86_EFLAGS_RF;
		if (next.vector == X86_TRAP_PF)
			vmcb->save.cr2 = vcpu->event.fault_address;
		if (next.vector == X86_TRAP_DB)
			vmcb->save.dr6 = vcpu->debug.dr6;
		break;
	case HULL_INJECTION_INTERRUPT:
		event = SVM_EVTINJ_TYPE_INTR | next.vector;
		break;
	case HULL_INJECTION_NMI:
		event = SVM_EVTINJ_TYPE_NMI | X86_TRAP_NMI;
		svm_intercept(vmcb, INTERCEPT_IRET);
		break;
	}
	svm->injected = next.kind;
	if (event) {
		control->event_inj = event | SVM_EVTINJ_VALID;
		hull_count(vcpu, HULL_STAT_INJECTED);
	}
	set_window(vmcb, next.window);
}

/* ---- before an entry ------------------------------------------------------------------------ */

/* What can only be done outside the window. */
#define LEAVE_REQUESTS	(BIT(HULL_REQ_EXIT) | BIT(HULL_REQ_CLOCK) | BIT(HULL_REQ_END) | \
			 BIT(HULL_REQ_ROOT))

static bool refuse(struct hull_vcpu *vcpu, u32 kind)
{
	to_svm(vcpu)->exit->kind = kind;
	return false;
}

/* The oracle: stale TLB tags and illegal state, which an emulator would let pass. */
static bool check_entry(struct hull_vcpu *vcpu, struct svm_vcpu *svm)
{
	const char *broken;
	bool ours = true;

	if (hull_check && !hull_check_entry(vcpu, svm->due, vcpu->cpu,
					    svm->vmcb->control.asid))
		return refuse(vcpu, HULL_X_CHECK_FAILED);
	broken = svm_check_control(svm->vmcb, svm_caps.asids);
	if (likely(!broken)) {
		broken = svm_check_state(svm->vmcb);
		ours = !vcpu->state_set;
	}
	if (likely(!broken)) {
		broken = svm_check_guest(svm->vmcb, hull_gpa_bits);
		ours = false;
	}
	if (likely(!broken)) {
		vcpu->state_set = false;
		return true;
	}
	if (ours) {
		hull_check_failed(vcpu->vm, broken, vcpu->id, svm->vmcb->save.rip);
		return refuse(vcpu, HULL_X_CHECK_FAILED);
	}
	pr_info_ratelimited("vCPU %u of pid %d cannot run: %s\n", vcpu->id,
			    task_tgid_nr(current), broken);
	return refuse(vcpu, HULL_X_BAD_STATE);
}

/*
 * Everything another context asked for, in the order: leave, then tag, then events, since what is
 * injected must be followed by an entry. 0: enter; 1: leave the window.
 */
int svm_next_entry(struct hull_vcpu *vcpu, struct svm_vcpu *svm)
{
	/* A flush that is due has asked us before: its request is seen below. See tlb.c. */
	svm->due = hull_mmu_due(&vcpu->vm->mmu);
	smp_rmb();
	if (hull_work_pending() || (READ_ONCE(vcpu->requests) & LEAVE_REQUESTS))
		return 1;
	if (hull_vcpu_take_request(vcpu, HULL_REQ_FLUSH) || !asid_is_ours(vcpu, svm))
		new_asid(vcpu, svm);
	/* Interrupts that the vCPU caused itself come without a request. */
	if (hull_vcpu_take_request(vcpu, HULL_REQ_EVENT) || hull_fast_irq(vcpu))
		inject(vcpu, svm);
	if (unlikely(vcpu->event.triple_fault))
		return 1;
	if (unlikely(hull_check || vcpu->state_set) && !check_entry(vcpu, svm)) {
		hull_vcpu_set_request(vcpu, HULL_REQ_EVENT);
		return 1;
	}
	return 0;
}

int svm_run(struct hull_vcpu *vcpu, struct hull_exit *exit)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	struct svm_cpu *cpu;
	int err;

	svm->exit = exit;
	svm_load_state(vcpu);
	err = hull_host_enter(vcpu);
	if (err)
		return err;
	cpu = this_cpu_ptr(&svm_cpus);
	svm->entry.host_pa = page_to_phys(cpu->host);
	svm->entry.host_gs = cpu->gs_base;
	svm->budget = WINDOW_BUDGET;
	if (unlikely(vcpu->cpu != smp_processor_id())) {
		vcpu->cpu = smp_processor_id();
		hull_vcpu_set_request(vcpu, HULL_REQ_CLOCK);
	}
	/* Full barrier: a requester sees the mode, or its request is seen below. */
	smp_store_mb(vcpu->mode, HULL_IN_GUEST);
	if (!svm_next_entry(vcpu, svm)) {
		svm->entry.guest_gs = svm->vmcb->save.gs.base;
		err = hull_is_shadow(vcpu) ? svm_window_shadow(vcpu, &svm->entry) :
					     svm_window(vcpu, &svm->entry);
		svm->vmcb->save.gs.base = svm->entry.guest_gs;
	}
	smp_store_release(&vcpu->mode, HULL_OUTSIDE);
	svm_store_state(vcpu);
	hull_count(vcpu, HULL_STAT_WINDOWS);
	hull_host_leave(vcpu);
	return err;
}
