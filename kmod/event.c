// SPDX-License-Identifier: GPL-2.0
/*
 * Exceptions, NMIs, interrupts, INIT and SIPI: queueing and priority.
 *
 * Exceptions belong to the vCPU thread. NMI, INIT and SIPI come from any context as atomics with a
 * request; interrupts stay in their controller until they are about to be delivered. All of this
 * runs with interrupts off as well as on, and takes no lock but mmu->lock (irqchip/pv_eoi.c).
 */
#include <asm/trapnr.h>

#include "event.h"
#include "irqchip/irqchip.h"
#include "vcpu.h"

/* How two exceptions combine. */
enum exception_class { BENIGN, CONTRIBUTORY, PAGE_FAULT };

static enum exception_class class_of(u8 vector)
{
	switch (vector) {
	case X86_TRAP_DE:
	case X86_TRAP_TS:
	case X86_TRAP_NP:
	case X86_TRAP_SS:
	case X86_TRAP_GP:
		return CONTRIBUTORY;
	case X86_TRAP_PF:
		return PAGE_FAULT;
	default:
		return BENIGN;
	}
}

static void queue(struct hull_vcpu *vcpu, u8 vector, bool has_error, u32 error_code, u64 address)
{
	struct hull_event *event = &vcpu->event;

	if (event->exception) {
		enum exception_class first = class_of(event->vector);
		enum exception_class second = class_of(vector);

		if (event->vector == X86_TRAP_DF) {
			event->triple_fault = true;
			return;
		}
		if ((first == CONTRIBUTORY && second == CONTRIBUTORY) ||
		    (first == PAGE_FAULT && second != BENIGN)) {
			vector = X86_TRAP_DF;
			has_error = true;
			error_code = 0;
		}
		/* Otherwise the later one is delivered first; the earlier one recurs. */
	}
	event->exception = true;
	event->soft = false;
	event->vector = vector;
	event->has_error = has_error;
	event->error_code = error_code;
	event->fault_address = address;
	hull_vcpu_set_request(vcpu, HULL_REQ_EVENT);
}

void hull_inject_exception(struct hull_vcpu *vcpu, u8 vector)
{
	queue(vcpu, vector, false, 0, 0);
}

void hull_inject_exception_error(struct hull_vcpu *vcpu, u8 vector, u32 error_code)
{
	/* Real mode pushes no error codes. */
	queue(vcpu, vector, vcpu->control.cr0 & X86_CR0_PE, error_code, 0);
}

void hull_inject_page_fault(struct hull_vcpu *vcpu, u64 address, u32 error_code)
{
	queue(vcpu, X86_TRAP_PF, true, error_code, address);
}

void hull_inject_nmi(struct hull_vcpu *vcpu)
{
	int limit = READ_ONCE(vcpu->event.nmi_masked) ? 1 : 2;

	/* One being handled, one latched: further ones are lost, as on hardware. */
	if (atomic_read(&vcpu->event.nmi_pending) < limit)
		atomic_add_unless(&vcpu->event.nmi_pending, 1, 2);
	hull_vcpu_request(vcpu, HULL_REQ_EVENT);
}

void hull_inject_init(struct hull_vcpu *vcpu)
{
	/* An INIT forgets SIPIs that came before it. */
	clear_bit(HULL_STARTUP_SIPI, &vcpu->event.startup);
	set_bit(HULL_STARTUP_INIT, &vcpu->event.startup);
	hull_vcpu_request(vcpu, HULL_REQ_EXIT);
}

void hull_inject_sipi(struct hull_vcpu *vcpu, u8 vector)
{
	WRITE_ONCE(vcpu->event.sipi_vector, vector);
	smp_mb__before_atomic();
	set_bit(HULL_STARTUP_SIPI, &vcpu->event.startup);
	hull_vcpu_request(vcpu, HULL_REQ_EXIT);
}

void hull_event_reset(struct hull_vcpu *vcpu)
{
	struct hull_event *event = &vcpu->event;

	event->exception = false;
	event->triple_fault = false;
	event->interrupt = -1;
	event->nmi_masked = false;
	event->shadow = false;
	event->injected = HULL_INJECTION_NONE;
	atomic_set(&event->nmi_pending, 0);
}

/* Taken from the controller, queued by HULL_INJECT, or still in the controller. */
static bool interrupt_waits(struct hull_vcpu *vcpu)
{
	return vcpu->event.interrupt >= 0 || (vcpu->lapic && hull_irq_pending(vcpu) >= 0);
}

/* The same, or one that is not settled. */
static bool wants_window(struct hull_vcpu *vcpu)
{
	return vcpu->event.interrupt >= 0 ||
	       (vcpu->lapic && hull_irq_pending(vcpu) != HULL_IRQ_NONE);
}

static void select_interrupt(struct hull_vcpu *vcpu, bool interruptible,
			     struct hull_injection *next)
{
	struct hull_event *event = &vcpu->event;
	int vector;

	if (event->interrupt < 0 && vcpu->lapic) {
		vector = hull_irq_pending(vcpu);
		if (vector >= 0 && interruptible)
			vector = hull_irq_acknowledge(vcpu);
		/* One that is not settled: an exit as soon as it could come. */
		if (vector == HULL_IRQ_UNSETTLED || (vector >= 0 && !interruptible)) {
			next->window = true;
			return;
		}
		event->interrupt = vector;
	}
	if (event->interrupt < 0)
		return;
	/* One that HULL_INJECT queued waits for the window too. */
	if (!interruptible) {
		next->window = true;
		return;
	}
	next->kind = HULL_INJECTION_INTERRUPT;
	next->vector = event->interrupt;
	next->window = vcpu->lapic && hull_irq_pending(vcpu) != HULL_IRQ_NONE;
}

void hull_event_select(struct hull_vcpu *vcpu, bool interruptible, struct hull_injection *next)
{
	struct hull_event *event = &vcpu->event;

	*next = (struct hull_injection){};
	if (event->exception) {
		next->kind = HULL_INJECTION_EXCEPTION;
		next->vector = event->vector;
		next->has_error = event->has_error;
		next->error_code = event->error_code;
		next->window = wants_window(vcpu);
		/* An NMI whose delivery faulted: looked at again with the next exit. */
		if (atomic_read(&event->nmi_pending))
			hull_vcpu_set_request(vcpu, HULL_REQ_EVENT);
		return;
	}
	if (atomic_read(&event->nmi_pending)) {
		if (!event->nmi_masked && !event->shadow) {
			next->kind = HULL_INJECTION_NMI;
			event->nmi_masked = true;
			atomic_dec(&event->nmi_pending);
			next->window = wants_window(vcpu);
			return;
		}
		/* In a shadow: looked at again with the next exit. */
		if (event->shadow)
			hull_vcpu_set_request(vcpu, HULL_REQ_EVENT);
	}
	select_interrupt(vcpu, interruptible, next);
}

void hull_event_requeue(struct hull_vcpu *vcpu, u32 info, u32 error_code, u64 cr2)
{
	struct hull_event *event = &vcpu->event;
	u8 vector = info & HULL_DELIVERY_VECTOR;

	switch (info & HULL_DELIVERY_TYPE) {
	case HULL_DELIVERY_INTERRUPT:
		event->interrupt = vector;
		break;
	case HULL_DELIVERY_NMI:
		event->nmi_masked = false;
		atomic_inc(&event->nmi_pending);
		break;
	case HULL_DELIVERY_EXCEPTION:
		/* INT3 and INTO are executed again, as INT n is: RIP is at the instruction. */
		if (vector == X86_TRAP_BP || vector == X86_TRAP_OF)
			break;
		event->exception = true;
		event->vector = vector;
		event->has_error = info & HULL_DELIVERY_ERROR;
		event->error_code = error_code;
		event->fault_address = cr2;
		break;
	}
	hull_vcpu_set_request(vcpu, HULL_REQ_EVENT);
}

bool hull_event_wakes(struct hull_vcpu *vcpu, bool interrupts)
{
	struct hull_event *event = &vcpu->event;

	if (event->exception || READ_ONCE(event->startup))
		return true;
	if (atomic_read(&event->nmi_pending) && !event->nmi_masked)
		return true;
	if (!interrupts)
		return false;
	return interrupt_waits(vcpu);
}
