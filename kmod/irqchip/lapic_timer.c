// SPDX-License-Identifier: GPL-2.0
/*
 * The local APIC's timer: one-shot, periodic and TSC-deadline, on one hrtimer.
 *
 * The vCPU thread programs it; the callback, with interrupts off on whatever CPU, puts the vector
 * into IRR and wakes the vCPU. No lock: what the callback uses changes only while the hrtimer is
 * stopped (hull_lapic_timer_stop() waits for a callback on another CPU, which waits for nothing).
 *
 * The APIC's bus runs at 1 GHz: a tick is 1 ns before the divider.
 */
#include <asm/tsc.h>

#include "chip.h"
#include "vcpu.h"

/* A periodic timer that is faster is slowed down to this: the host must keep breathing. */
#define MIN_PERIOD_NS	(200 * 1000ULL)
/* A deadline callback that came this early re-arms itself: TSC and host clock drift apart. */
#define DEADLINE_SLACK_NS	1000ULL

#define TIMER_FLAGS	HRTIMER_MODE_ABS_PINNED_HARD

static u64 guest_tsc(const struct hull_lapic *lapic)
{
	return rdtsc() + lapic->tsc_offset;
}

static enum hrtimer_restart timer_fired(struct hrtimer *timer)
{
	struct hull_lapic *lapic = container_of(timer, struct hull_lapic, timer);
	u64 now, left;

	switch (hull_lapic_timer_mode(lapic)) {
	case TIMER_PERIODIC:
		hull_lapic_local(lapic, LVT_TIMER, false);
		/* Periods that were missed are missed. */
		hrtimer_forward_now(timer, ns_to_ktime(lapic->period));
		return HRTIMER_RESTART;
	case TIMER_DEADLINE:
		now = guest_tsc(lapic);
		if (now < lapic->deadline) {
			left = hull_tsc_to_ns(&lapic->chip->clock, lapic->deadline - now);
			if (left > DEADLINE_SLACK_NS) {
				hrtimer_forward_now(timer, ns_to_ktime(left));
				return HRTIMER_RESTART;
			}
		}
		WRITE_ONCE(lapic->deadline, 0);
		fallthrough;
	case TIMER_ONESHOT:
		hull_lapic_local(lapic, LVT_TIMER, false);
		return HRTIMER_NORESTART;
	default:
		return HRTIMER_NORESTART;
	}
}

void hull_lapic_timer_init(struct hull_lapic *lapic)
{
	hrtimer_setup(&lapic->timer, timer_fired, CLOCK_MONOTONIC, TIMER_FLAGS);
}

void hull_lapic_timer_stop(struct hull_lapic *lapic)
{
	if (!lapic->timer_armed)
		return;
	hrtimer_cancel(&lapic->timer);
	lapic->timer_armed = false;
}

static void timer_start(struct hull_lapic *lapic, u64 left)
{
	lapic->timer_armed = true;
	hrtimer_start(&lapic->timer, ns_to_ktime(ktime_get_ns() + left), TIMER_FLAGS);
}

/* ---- one-shot and periodic ------------------------------------------------------------------ */

static u64 count_ns(const struct hull_lapic *lapic)
{
	return (u64)lapic->timer_count << lapic->divide_shift;
}

static bool counts(const struct hull_lapic *lapic)
{
	return hull_lapic_timer_mode(lapic) <= TIMER_PERIODIC;
}

/* Count @left ns down; the timer is stopped. */
static void start_counting(struct hull_lapic *lapic, u64 left)
{
	/* Also for one-shot: a change to periodic does not stop a timer that counts. */
	lapic->period = max(count_ns(lapic), MIN_PERIOD_NS);
	timer_start(lapic, left);
}

/* ns until the count reaches 0, 0: it is not counting. */
u64 hull_lapic_timer_left(struct hull_lapic *lapic)
{
	s64 left;

	if (!lapic->timer_armed || !counts(lapic))
		return 0;
	left = ktime_to_ns(hrtimer_get_expires(&lapic->timer)) - ktime_get_ns();
	if (left > 0)
		return left;
	if (hull_lapic_timer_mode(lapic) == TIMER_ONESHOT)
		return 0;
	/* The callback is late. */
	return lapic->period - (u64)-left % lapic->period;
}

u32 hull_lapic_timer_current(struct hull_lapic *lapic)
{
	u64 count = hull_lapic_timer_left(lapic) >> lapic->divide_shift;

	/* A period that was stretched starts with a pause at its top. */
	return min_t(u64, count, lapic->timer_count);
}

void hull_lapic_timer_write_count(struct hull_lapic *lapic, u32 value)
{
	if (!counts(lapic))
		return;
	hull_lapic_timer_stop(lapic);
	lapic->timer_count = value;
	if (!value)
		return;
	if (hull_lapic_timer_mode(lapic) == TIMER_PERIODIC)
		start_counting(lapic, max(count_ns(lapic), MIN_PERIOD_NS));
	else
		start_counting(lapic, count_ns(lapic));
}

void hull_lapic_timer_write_divide(struct hull_lapic *lapic, u32 value)
{
	u64 left = hull_lapic_timer_left(lapic);
	u64 count = left >> lapic->divide_shift;

	if (left)
		hull_lapic_timer_stop(lapic);
	lapic->timer_divide = value;
	lapic->divide_shift = hull_timer_divide_shift(value);
	if (left)
		start_counting(lapic, count << lapic->divide_shift);
}

void hull_lapic_timer_write_lvt(struct hull_lapic *lapic, u32 value)
{
	enum hull_timer_mode from = hull_lapic_timer_mode(lapic), to = (value >> 17) & 3;

	/* Between counting and deadlines the timer is disarmed; the callback must not see it. */
	if (from != to && (from >= TIMER_DEADLINE || to >= TIMER_DEADLINE)) {
		hull_lapic_timer_stop(lapic);
		lapic->timer_count = 0;
		WRITE_ONCE(lapic->deadline, 0);
	}
	WRITE_ONCE(lapic->lvt[LVT_TIMER], value);
}

/* ---- TSC deadline --------------------------------------------------------------------------- */

void hull_lapic_write_deadline(struct hull_lapic *lapic, u64 value)
{
	u64 now;

	if (hull_lapic_timer_mode(lapic) != TIMER_DEADLINE)
		return;
	hull_lapic_timer_stop(lapic);
	WRITE_ONCE(lapic->deadline, 0);
	if (!value)
		return;
	lapic->tsc_offset = hull_tsc_offset(lapic->vcpu);
	now = guest_tsc(lapic);
	if (value <= now) {
		hull_lapic_local(lapic, LVT_TIMER, true);
		return;
	}
	lapic->deadline = value;
	timer_start(lapic, hull_tsc_to_ns(&lapic->chip->clock, value - now));
}

void hull_lapic_tsc_changed(struct hull_vcpu *vcpu)
{
	struct hull_lapic *lapic = vcpu->lapic;
	u64 deadline;

	if (!lapic)
		return;
	if (hull_lapic_timer_mode(lapic) == TIMER_DEADLINE) {
		hull_lapic_timer_stop(lapic);
		deadline = lapic->deadline;
		hull_lapic_write_deadline(lapic, deadline);
	}
	hull_vcpu_set_request(vcpu, HULL_REQ_CLOCK);
}

/* ---- state ---------------------------------------------------------------------------------- */

int hull_lapic_timer_restore(struct hull_lapic *lapic, u64 left, u64 deadline)
{
	switch (hull_lapic_timer_mode(lapic)) {
	case TIMER_DEADLINE:
		if (left)
			return -EINVAL;
		hull_lapic_write_deadline(lapic, deadline);
		return 0;
	case TIMER_ONESHOT:
	case TIMER_PERIODIC:
		/* More than a whole period cannot be left. */
		if (deadline || left > max(count_ns(lapic), MIN_PERIOD_NS) ||
		    (left && !lapic->timer_count))
			return -EINVAL;
		hull_lapic_timer_stop(lapic);
		if (left)
			start_counting(lapic, left);
		return 0;
	default:
		return left || deadline ? -EINVAL : 0;
	}
}
