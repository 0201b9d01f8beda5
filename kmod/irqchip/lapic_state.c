// SPDX-License-Identifier: GPL-2.0
/*
 * The local APIC's state for user space: a page in the form the xAPIC shows it, whatever the mode,
 * and the timers. The vCPU mutex is held; what comes from user space is checked before it is used.
 *
 * Two things differ from what a guest would read: the logical id of an x2APIC is not in it (it
 * follows from the id), and errors seen since ESR was last written are at ERRORS.
 */
#include <linux/string.h>

#include "chip.h"
#include "vcpu.h"

#define ERRORS		0x290	/* a place the architecture reserves */
#define ESR_BITS	(APIC_ESR_SENDILL | APIC_ESR_RECVILL | APIC_ESR_ILLREGA)
#define SVR_BITS	0x3ffU
#define ICR_BITS	0xccfffU

static u32 get(const struct hull_apic *apic, unsigned int offset)
{
	u32 value;

	memcpy(&value, apic->regs + offset, sizeof(value));
	return value;
}

static void put(struct hull_apic *apic, unsigned int offset, u32 value)
{
	memcpy(apic->regs + offset, &value, sizeof(value));
}

static void get_map(const struct hull_apic *apic, unsigned int offset, unsigned long *map)
{
	unsigned int i;

	for (i = 0; i < 4; i++)
		map[i] = get(apic, offset + i * 32) |
			 (u64)get(apic, offset + i * 32 + 16) << 32;
}

static void put_map(struct hull_apic *apic, unsigned int offset, const unsigned long *map)
{
	unsigned int i;
	u64 word;

	for (i = 0; i < 4; i++) {
		word = READ_ONCE(map[i]);
		put(apic, offset + i * 32, word);
		put(apic, offset + i * 32 + 16, word >> 32);
	}
}

void hull_lapic_get_state(struct hull_vcpu *vcpu, struct hull_apic *apic,
			  struct hull_timers *timers)
{
	struct hull_lapic *lapic = vcpu->lapic;
	unsigned int i;

	if (apic) {
		memset(apic, 0, sizeof(*apic));
		put(apic, APIC_ID, lapic->id << 24);
		put(apic, APIC_LVR, hull_lapic_version());
		put(apic, APIC_TASKPRI, lapic->tpr);
		put(apic, APIC_PROCPRI, lapic->ppr);
		put(apic, APIC_LDR, lapic->ldr);
		put(apic, APIC_DFR, lapic->dfr);
		put(apic, APIC_SPIV, lapic->svr);
		put_map(apic, APIC_ISR, lapic->isr);
		put_map(apic, APIC_TMR, lapic->tmr);
		put_map(apic, APIC_IRR, lapic->irr);
		put(apic, APIC_ESR, lapic->esr);
		put(apic, ERRORS, READ_ONCE(lapic->errors));
		put(apic, APIC_ICR, lapic->icr);
		put(apic, APIC_ICR2, hull_lapic_x2(lapic) ? lapic->icr_dest :
							    lapic->icr_dest << 24);
		for (i = 0; i < NR_LVT; i++)
			put(apic, APIC_LVTT + i * 16, lapic->lvt[i]);
		put(apic, APIC_TMICT, lapic->timer_count);
		put(apic, APIC_TMCCT, hull_lapic_timer_current(lapic));
		put(apic, APIC_TDCR, lapic->timer_divide);
	}
	if (timers) {
		timers->tsc = hull_guest_tsc(vcpu);
		timers->tsc_deadline = READ_ONCE(lapic->deadline);
		timers->timer_left = hull_lapic_timer_left(lapic);
	}
}

static bool state_valid(const struct hull_lapic *lapic, const struct hull_apic *apic)
{
	bool enabled = get(apic, APIC_SPIV) & APIC_SPIV_APIC_ENABLED;
	bool x2 = hull_lapic_x2(lapic);
	unsigned int i;
	u32 lvt;

	if (get(apic, APIC_ID) != lapic->id << 24 || get(apic, APIC_LVR) != hull_lapic_version())
		return false;
	if ((get(apic, APIC_TASKPRI) & ~0xffU) || (get(apic, APIC_SPIV) & ~SVR_BITS))
		return false;
	if (!x2 && (get(apic, APIC_LDR) & ~APIC_LDR_MASK))
		return false;
	if (~get(apic, APIC_DFR) & APIC_DFR_CLUSTER)
		return false;
	if ((get(apic, APIC_ESR) | get(apic, ERRORS)) & ~ESR_BITS)
		return false;
	if ((get(apic, APIC_ICR) & ~ICR_BITS) ||
	    (!x2 && (get(apic, APIC_ICR2) & 0xffffff)))
		return false;
	if (get(apic, APIC_TDCR) & ~0xbU)
		return false;
	/* Vectors below 16 cannot be. */
	if ((get(apic, APIC_ISR) | get(apic, APIC_TMR) | get(apic, APIC_IRR)) & 0xffff)
		return false;
	for (i = 0; i < NR_LVT; i++) {
		lvt = get(apic, APIC_LVTT + i * 16);
		if (lvt & ~hull_lvt_writable[i])
			return false;
		/* The boot CPU's LINT0 after reset is the exception. */
		if (!enabled && !(lvt & APIC_LVT_MASKED) && i != LVT_LINT0)
			return false;
	}
	return true;
}

/*
 * PPR, the current count and an x2APIC's LDR follow from the rest and are ignored. The timer is
 * stopped: it runs again when the timers are set, after this.
 */
int hull_lapic_set_state(struct hull_vcpu *vcpu, const struct hull_apic *apic)
{
	struct hull_lapic *lapic = vcpu->lapic;
	unsigned long irr[4], tmr[4];
	unsigned int i;

	if (!state_valid(lapic, apic))
		return -EINVAL;
	hull_lapic_timer_stop(lapic);
	WRITE_ONCE(lapic->deadline, 0);
	lapic->tpr = get(apic, APIC_TASKPRI);
	if (!hull_lapic_x2(lapic)) {
		WRITE_ONCE(lapic->ldr, get(apic, APIC_LDR));
		lapic->icr_dest = get(apic, APIC_ICR2) >> 24;
	} else {
		lapic->icr_dest = get(apic, APIC_ICR2);
	}
	WRITE_ONCE(lapic->dfr, get(apic, APIC_DFR));
	lapic->esr = get(apic, APIC_ESR);
	WRITE_ONCE(lapic->errors, get(apic, ERRORS));
	lapic->icr = get(apic, APIC_ICR);
	for (i = 0; i < NR_LVT; i++)
		WRITE_ONCE(lapic->lvt[i], get(apic, APIC_LVTT + i * 16));
	lapic->timer_count = get(apic, APIC_TMICT);
	lapic->timer_divide = get(apic, APIC_TDCR);
	lapic->divide_shift = hull_timer_divide_shift(lapic->timer_divide);
	get_map(apic, APIC_ISR, lapic->isr);
	get_map(apic, APIC_TMR, tmr);
	get_map(apic, APIC_IRR, irr);
	for (i = 0; i < 4; i++) {
		WRITE_ONCE(lapic->tmr[i], tmr[i]);
		WRITE_ONCE(lapic->irr[i], irr[i]);
	}
	lapic->isr_top = hull_lapic_highest(lapic->isr);
	WRITE_ONCE(lapic->svr, get(apic, APIC_SPIV));
	hull_lapic_update_priority(lapic);
	hull_lapic_update_pic_input(lapic);
	WRITE_ONCE(lapic->hint.maybe, 1);
	return 0;
}

/* Mode and count come with the APIC's state, and the TSC is already set. */
int hull_lapic_set_timers(struct hull_vcpu *vcpu, const struct hull_timers *timers)
{
	return hull_lapic_timer_restore(vcpu->lapic, timers->timer_left, timers->tsc_deadline);
}
