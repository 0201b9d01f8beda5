// SPDX-License-Identifier: GPL-2.0
/*
 * The local APIC's core: what waits, what is in service, which vector goes next; accepting
 * messages.
 *
 * Any context may call hull_lapic_accept(): it sets IRR and TMR by atomics and asks the vCPU to
 * look. All else belongs to the vCPU thread. Registers are in lapic_regs.c, the timer in
 * lapic_timer.c, finding the destination of a message in route.c. See chip.h for the rules.
 */
#include <linux/slab.h>
#include <asm/kvm_para.h>
#include <asm/msr-index.h>

#include "chip.h"
#include "vcpu.h"

/* Written out, as it is on the way of each interrupt and EOI. */
int hull_lapic_highest(const unsigned long *map)
{
	unsigned long word = READ_ONCE(map[3]);

	if (word)
		return 192 + __fls(word);
	word = READ_ONCE(map[2]);
	if (word)
		return 128 + __fls(word);
	word = READ_ONCE(map[1]);
	if (word)
		return 64 + __fls(word);
	word = READ_ONCE(map[0]);
	return word ? __fls(word) : -1;
}

/* ---- messages: any context ------------------------------------------------------------------ */

/*
 * The hint says "something may be pending". It is set after what it stands for, with a full barrier
 * between; hull_irq_pending() clears it, full barrier, then looks again. So it is never lost.
 */
static void raise_hint(struct hull_lapic *lapic)
{
	if (!READ_ONCE(lapic->hint.maybe))
		WRITE_ONCE(lapic->hint.maybe, 1);
}

static void request_vector(struct hull_lapic *lapic, u8 vector, bool level, bool self)
{
	/* Nearly always as it was: spare the bus-locked write. */
	if (test_bit(vector, lapic->tmr) != level)
		change_bit(vector, lapic->tmr);
	if (test_and_set_bit(vector, lapic->irr))
		return;
	raise_hint(lapic);
	if (!self)
		hull_vcpu_request(lapic->vcpu, HULL_REQ_EVENT);
}

bool hull_lapic_accept(struct hull_lapic *lapic, unsigned int mode, u8 vector, bool level,
		       bool self)
{
	switch (mode) {
	case DELIVER_FIXED:
	case DELIVER_LOWEST:
		if (!hull_lapic_enabled(lapic))
			return false;
		if (unlikely(vector < 16)) {
			hull_lapic_error(lapic, APIC_ESR_RECVILL, self);
			return false;
		}
		request_vector(lapic, vector, level, self);
		return true;
	case DELIVER_NMI:
	case DELIVER_INIT:
	case DELIVER_SIPI:
		if (!hull_lapic_on(lapic))
			return false;
		if (mode == DELIVER_NMI)
			hull_inject_nmi(lapic->vcpu);
		else if (mode == DELIVER_INIT)
			hull_inject_init(lapic->vcpu);
		else
			hull_inject_sipi(lapic->vcpu, vector);
		return true;
	default:
		/* SMI: guests have no SMM. ExtINT comes from the PICs only. */
		return false;
	}
}

void hull_lapic_error(struct hull_lapic *lapic, u32 bit, bool self)
{
	u32 lvt = READ_ONCE(lapic->lvt[LVT_ERROR]);

	if (test_and_set_bit(__ffs(bit), &lapic->errors))
		return;
	/* An illegal vector here would be an error of its own, without end. */
	if (!(lvt & APIC_LVT_MASKED) && (lvt & APIC_VECTOR_MASK) >= 16 && hull_lapic_enabled(lapic))
		request_vector(lapic, lvt & APIC_VECTOR_MASK, false, self);
}

void hull_lapic_local(struct hull_lapic *lapic, enum hull_lvt which, bool self)
{
	u32 lvt = READ_ONCE(lapic->lvt[which]);

	if (!(lvt & APIC_LVT_MASKED))
		hull_lapic_accept(lapic, DELIVER_FIXED, lvt & APIC_VECTOR_MASK, false, self);
}

/*
 * The PICs drive LINT0 of every APIC; firmware and kernels let one CPU listen. Pairs with
 * hull_lapic_update_pic_input(): either it sees the output, or this sees accept_pic.
 */
void hull_lapic_pic_rose(struct hull_lapic *lapic)
{
	u32 lvt = READ_ONCE(lapic->lvt[LVT_LINT0]);
	u32 mode = GET_APIC_DELIVERY_MODE(lvt);

	/* Orders the output, written by the caller, before accept_pic. */
	smp_mb();
	if (READ_ONCE(lapic->accept_pic)) {
		raise_hint(lapic);
		hull_vcpu_request(lapic->vcpu, HULL_REQ_EVENT);
	} else if (!(lvt & APIC_LVT_MASKED) && (mode == DELIVER_FIXED || mode == DELIVER_NMI)) {
		/* LINT0 as an ordinary edge-triggered input. */
		hull_lapic_accept(lapic, mode, lvt & APIC_VECTOR_MASK, false, false);
	}
}

/* ---- the CPU side --------------------------------------------------------------------------- */

void hull_lapic_update_priority(struct hull_lapic *lapic)
{
	u32 service = lapic->isr_top < 0 ? 0 : lapic->isr_top & 0xf0;

	WRITE_ONCE(lapic->ppr, (lapic->tpr & 0xf0) >= service ? lapic->tpr : service);
}

/* After a change of APIC_BASE or LINT0. */
void hull_lapic_update_pic_input(struct hull_lapic *lapic)
{
	u32 lvt = lapic->lvt[LVT_LINT0];
	bool accept = !hull_lapic_on(lapic) ||
		      (!(lvt & APIC_LVT_MASKED) && GET_APIC_DELIVERY_MODE(lvt) == DELIVER_EXTINT);

	if (accept == lapic->accept_pic)
		return;
	WRITE_ONCE(lapic->accept_pic, accept);
	/* See hull_lapic_pic_rose(). */
	smp_mb();
	WRITE_ONCE(lapic->hint.maybe, 1);
}

static bool pic_pending(const struct hull_lapic *lapic)
{
	return lapic->accept_pic && READ_ONCE(lapic->chip->pics.output);
}

static bool irr_empty(const struct hull_lapic *lapic)
{
	return !(READ_ONCE(lapic->irr[0]) | READ_ONCE(lapic->irr[1]) |
		 READ_ONCE(lapic->irr[2]) | READ_ONCE(lapic->irr[3]));
}

/* The vector the APIC would deliver now, or HULL_IRQ_NONE, HULL_IRQ_UNSETTLED. */
static int apic_pending(struct hull_lapic *lapic)
{
	int vector = hull_lapic_highest(lapic->irr);

	if (vector < 0 || !hull_lapic_on(lapic))
		return HULL_IRQ_NONE;
	if (unlikely(lapic->eoi_offered) && !hull_pv_eoi_settle(lapic))
		return HULL_IRQ_UNSETTLED;
	return (vector & 0xf0) <= (lapic->ppr & 0xf0) ? HULL_IRQ_NONE : vector;
}

/*
 * Something may be pending. ExtINT is not subject to priorities, so the PICs go first. Not inline:
 * the way of hull_irq_pending() with nothing to find stays a few instructions.
 */
static noinline int evaluate(struct hull_lapic *lapic)
{
	if (pic_pending(lapic)) {
		int vector = hull_pic_peek(lapic->chip);

		if (vector >= 0)
			return vector;
	}
	if (!irr_empty(lapic))
		return apic_pending(lapic);

	WRITE_ONCE(lapic->hint.maybe, 0);
	/* See raise_hint(). */
	smp_mb();
	if (irr_empty(lapic) && !pic_pending(lapic))
		return -1;
	WRITE_ONCE(lapic->hint.maybe, 1);
	return pic_pending(lapic) ? hull_pic_peek(lapic->chip) : apic_pending(lapic);
}

int hull_irq_pending(struct hull_vcpu *vcpu)
{
	struct hull_lapic *lapic = vcpu->lapic;

	if (!hull_irq_maybe(lapic))
		return -1;
	return evaluate(lapic);
}

int hull_irq_acknowledge(struct hull_vcpu *vcpu)
{
	struct hull_lapic *lapic = vcpu->lapic;
	int vector;
	bool alone;

	if (pic_pending(lapic))
		return hull_pic_acknowledge(lapic->chip);
	vector = apic_pending(lapic);
	if (vector < 0)
		return vector;
	alone = lapic->isr_top < 0;
	clear_bit(vector, lapic->irr);
	__set_bit(vector, lapic->isr);
	/* It was above the priority, hence above all that is in service. */
	lapic->isr_top = vector;
	hull_lapic_update_priority(lapic);
	/* Nobody waits for its EOI: no line, no other vector. */
	if ((lapic->pv_eoi & KVM_MSR_ENABLED) && alone && irr_empty(lapic) &&
	    !test_bit(vector, lapic->tmr))
		hull_pv_eoi_offer(lapic);
	return vector;
}

void hull_lapic_eoi(struct hull_lapic *lapic)
{
	int vector;

	/* In spite of an offer. If that cannot be settled now, nothing is in service when it is. */
	if (unlikely(lapic->eoi_offered))
		hull_pv_eoi_settle(lapic);
	vector = lapic->isr_top;
	if (vector < 0)
		return;
	__clear_bit(vector, lapic->isr);
	lapic->isr_top = hull_lapic_highest(lapic->isr);
	hull_lapic_update_priority(lapic);
	if (unlikely(test_bit(vector, lapic->tmr)))
		hull_ioapic_eoi(lapic->chip, vector);
}

void hull_lapic_set_cr8(struct hull_vcpu *vcpu, u64 cr8)
{
	struct hull_lapic *lapic = vcpu->lapic;

	lapic->tpr = (cr8 & 0xf) << 4;
	hull_lapic_update_priority(lapic);
}

u64 hull_lapic_get_cr8(struct hull_vcpu *vcpu)
{
	return vcpu->lapic->tpr >> 4;
}

/* ---- life ----------------------------------------------------------------------------------- */

/* An x2APIC's logical id follows from its id: cluster and bit in the cluster. */
static u32 reset_ldr(const struct hull_lapic *lapic)
{
	return hull_lapic_x2(lapic) ? (lapic->id >> 4) << 16 | 1U << (lapic->id & 15) : 0;
}

/* Registers as after power-up. The base, and with it the mode, stay. */
static void reset_registers(struct hull_lapic *lapic)
{
	unsigned int i;

	hull_lapic_timer_stop(lapic);
	WRITE_ONCE(lapic->svr, 0xff);
	for (i = 0; i < ARRAY_SIZE(lapic->irr); i++) {
		WRITE_ONCE(lapic->irr[i], 0);
		WRITE_ONCE(lapic->tmr[i], 0);
		lapic->isr[i] = 0;
	}
	lapic->isr_top = -1;
	lapic->tpr = 0;
	WRITE_ONCE(lapic->ldr, reset_ldr(lapic));
	WRITE_ONCE(lapic->dfr, ~0U);
	lapic->esr = 0;
	WRITE_ONCE(lapic->errors, 0);
	lapic->icr = 0;
	lapic->icr_dest = 0;
	for (i = 0; i < NR_LVT; i++)
		WRITE_ONCE(lapic->lvt[i], APIC_LVT_MASKED);
	/* What firmware does for the boot CPU: let the PICs through. */
	if (lapic->base & MSR_IA32_APICBASE_BSP)
		WRITE_ONCE(lapic->lvt[LVT_LINT0], DELIVER_EXTINT << 8);
	lapic->timer_count = 0;
	lapic->timer_divide = 0;
	lapic->divide_shift = hull_timer_divide_shift(0);
	WRITE_ONCE(lapic->deadline, 0);
	hull_lapic_update_priority(lapic);
	hull_lapic_update_pic_input(lapic);
	WRITE_ONCE(lapic->hint.maybe, 1);
}

/* A new APIC_BASE that is known to be valid: an APIC that is turned off forgets everything. */
void hull_lapic_set_mode(struct hull_lapic *lapic, u64 base)
{
	u64 changed = lapic->base ^ base;

	WRITE_ONCE(lapic->base, base);
	lapic->vcpu->control.apic_base = base;
	if (changed & XAPIC_ENABLE)
		reset_registers(lapic);
	else if (changed & X2APIC_ENABLE)
		WRITE_ONCE(lapic->ldr, reset_ldr(lapic));
	hull_lapic_update_pic_input(lapic);
}

void hull_lapic_reset(struct hull_vcpu *vcpu, bool init)
{
	struct hull_lapic *lapic = vcpu->lapic;

	if (!init) {
		WRITE_ONCE(lapic->base, HULL_APIC_BASE_DEFAULT | XAPIC_ENABLE |
			   (lapic->id ? 0 : MSR_IA32_APICBASE_BSP));
		lapic->wall_clock = 0;
		lapic->system_time = 0;
	}
	hull_pv_eoi_settle_now(vcpu);
	lapic->pv_eoi = 0;
	vcpu->control.apic_base = lapic->base;
	reset_registers(lapic);
}

int hull_lapic_create(struct hull_vcpu *vcpu)
{
	struct hull_lapic *lapic = kzalloc(sizeof(*lapic), GFP_KERNEL_ACCOUNT);

	if (!lapic)
		return -ENOMEM;
	lapic->vcpu = vcpu;
	lapic->chip = vcpu->vm->irqchip;
	lapic->id = vcpu->id;
	hull_lapic_timer_init(lapic);
	vcpu->lapic = lapic;
	hull_lapic_reset(vcpu, false);
	return 0;
}

void hull_lapic_destroy(struct hull_vcpu *vcpu)
{
	hull_lapic_timer_stop(vcpu->lapic);
	kfree(vcpu->lapic);
	vcpu->lapic = NULL;
}
