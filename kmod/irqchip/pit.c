// SPDX-License-Identifier: GPL-2.0
/*
 * The 8254 interval timer (ports 0x40 to 0x43) and the speaker port 0x61, which gates channel 2 and
 * shows its output: the classic way to measure time.
 *
 * Counts are not counted but computed from the time since they were loaded. Channel 0 interrupts by
 * an hrtimer; an interrupt the guest did not take in time merges with the next. All under pit.lock,
 * interrupts off; interrupts are raised after it was dropped.
 */
#include <linux/math64.h>

#include "chip.h"

#define PIT_HZ		1193182
#define PIT_GSI		2		/* the timer's pin of the IOAPIC; line 0 of the PICs */
/* Channel 0 is slowed down to this: the host must keep breathing. */
#define MIN_PERIOD_NS	(200 * 1000ULL)
#define REFRESH_NS	15085		/* the toggling bit of port 0x61: memory refresh */
/* hull_pit_channel.elapsed of a hardware-triggered channel that waits for its trigger */
#define NOT_TRIGGERED	(~0ULL)

/* Port 0x61 */
#define SPEAKER_GATE	0x01
#define SPEAKER_REFRESH	0x10
#define SPEAKER_OUT	0x20
#define SPEAKER_WRITABLE 0x0f

enum read_write_state { RW_LOW = 1, RW_HIGH = 2, RW_BOTH_LOW = 3, RW_BOTH_HIGH = 4 };

#define TIMER_FLAGS	HRTIMER_MODE_ABS_HARD

/* ---- counting ------------------------------------------------------------------------------- */

/* Mode 1 and 5 start by a rising gate; elsewhere a low gate stops the count. */
static bool by_trigger(const struct hull_pit_channel *ch)
{
	return ch->mode == 1 || ch->mode == 5;
}

static bool stands_still(const struct hull_pit_channel *ch)
{
	if (by_trigger(ch))
		return ch->elapsed == NOT_TRIGGERED;
	return !ch->gate;
}

static u64 elapsed_ns(const struct hull_pit_chip *pit, unsigned int n, u64 now)
{
	const struct hull_pit_channel *ch = &pit->regs.channel[n];

	return stands_still(ch) ? ch->elapsed : now - pit->loaded[n];
}

static u64 ns_to_ticks(u64 ns)
{
	return mul_u64_u32_div(ns, PIT_HZ, NSEC_PER_SEC);
}

static u64 ticks_to_ns(u32 ticks)
{
	/* Rounded up: when this has passed, so have the ticks. */
	return ((u64)ticks * NSEC_PER_SEC + PIT_HZ - 1) / PIT_HZ;
}

static u32 modulus(const struct hull_pit_channel *ch)
{
	return ch->bcd ? 10000 : 0x10000;
}

static u16 to_bcd(u32 value)
{
	return value % 10 | value / 10 % 10 << 4 | value / 100 % 10 << 8 | value / 1000 % 10 << 12;
}

static u32 from_bcd(u16 value)
{
	/* Digits above 9 count as what they weigh; the result stays in range. */
	return ((value >> 12) * 1000 + (value >> 8 & 15) * 100 + (value >> 4 & 15) * 10 +
		(value & 15)) % 10000;
}

/* The counter's value as the guest reads it. */
static u16 current_count(const struct hull_pit_chip *pit, unsigned int n, u64 now)
{
	const struct hull_pit_channel *ch = &pit->regs.channel[n];
	u32 range = modulus(ch), count;
	u64 ticks;

	if (!ch->count)
		return 0;
	ticks = ns_to_ticks(elapsed_ns(pit, n, now));
	switch (ch->mode) {
	case 2:
		count = ch->count - ticks % ch->count;
		break;
	case 3:
		/* Counts by two, twice per period. */
		count = ch->count - ticks * 2 % ch->count;
		break;
	default:
		/* Counts on below zero. */
		count = (ch->count + range - ticks % range) % range;
		break;
	}
	count %= range;
	return ch->bcd ? to_bcd(count) : count;
}

static bool output(const struct hull_pit_chip *pit, unsigned int n, u64 now)
{
	const struct hull_pit_channel *ch = &pit->regs.channel[n];
	u64 ticks;

	if (!ch->count)
		return ch->mode != 0;
	ticks = ns_to_ticks(elapsed_ns(pit, n, now));
	switch (ch->mode) {
	case 0:
	case 1:
		return ticks >= ch->count;
	case 2:
		return !ch->gate || ticks % ch->count != ch->count - 1;
	case 3:
		return !ch->gate || ticks % ch->count < (ch->count + 1) / 2;
	default:
		return ticks != ch->count;
	}
}

/* ---- channel 0's interrupt ------------------------------------------------------------------ */

static void pulse(struct hull_irqchip *chip)
{
	hull_irq_set(chip->vm, PIT_GSI, true);
	hull_irq_set(chip->vm, PIT_GSI, false);
}

/*
 * The timer is reprogrammed under the lock without waiting for this callback, which may wait for
 * the lock. One that came too late finds the timer disarmed, or queued again.
 */
static enum hrtimer_restart timer_fired(struct hrtimer *timer)
{
	struct hull_pit_chip *pit = container_of(timer, struct hull_pit_chip, timer);
	struct hull_irqchip *chip = container_of(pit, struct hull_irqchip, pit);
	enum hrtimer_restart again = HRTIMER_NORESTART;
	unsigned long flags;
	bool fire;

	raw_spin_lock_irqsave(&pit->lock, flags);
	fire = pit->armed && !hrtimer_is_queued(timer);
	if (fire && pit->period) {
		hrtimer_forward_now(timer, ns_to_ktime(pit->period));
		again = HRTIMER_RESTART;
	} else if (fire) {
		pit->armed = false;
	}
	raw_spin_unlock_irqrestore(&pit->lock, flags);
	if (fire)
		pulse(chip);
	return again;
}

/* Arm the timer for channel 0 as it is now. */
static void update_timer(struct hull_pit_chip *pit, u64 now)
{
	const struct hull_pit_channel *ch = &pit->regs.channel[0];
	u64 elapsed = elapsed_ns(pit, 0, now), due = ticks_to_ns(ch->count);

	pit->armed = false;
	hrtimer_try_to_cancel(&pit->timer);
	if (!ch->count || by_trigger(ch))
		return;
	pit->period = 0;
	if (ch->mode == 2 || ch->mode == 3) {
		pit->period = max(due, MIN_PERIOD_NS);
		elapsed %= pit->period;
		due = pit->period;
	}
	if (elapsed >= due)
		return;
	pit->armed = true;
	hrtimer_start(&pit->timer, ns_to_ktime(now + due - elapsed), TIMER_FLAGS);
}

/* ---- programming ---------------------------------------------------------------------------- */

static void load(struct hull_pit_chip *pit, unsigned int n, u16 value)
{
	struct hull_pit_channel *ch = &pit->regs.channel[n];
	u64 now = ktime_get_ns();
	u32 count = ch->bcd ? from_bcd(value) : value;

	ch->count = count ? count : modulus(ch);
	/* A count of 1 is illegal where it would never end a period. */
	if ((ch->mode == 2 || ch->mode == 3) && ch->count == 1)
		ch->count = 2;
	ch->elapsed = by_trigger(ch) ? NOT_TRIGGERED : 0;
	pit->loaded[n] = now;
	if (n == 0)
		update_timer(pit, now);
}

static void write_channel(struct hull_pit_chip *pit, unsigned int n, u8 value)
{
	struct hull_pit_channel *ch = &pit->regs.channel[n];

	switch (ch->write_state) {
	case RW_LOW:
		load(pit, n, value);
		break;
	case RW_HIGH:
		load(pit, n, value << 8);
		break;
	case RW_BOTH_LOW:
		ch->write_latch = value;
		ch->write_state = RW_BOTH_HIGH;
		break;
	case RW_BOTH_HIGH:
		ch->write_state = RW_BOTH_LOW;
		load(pit, n, value << 8 | ch->write_latch);
		break;
	}
}

static void latch_count(struct hull_pit_chip *pit, unsigned int n, u64 now)
{
	struct hull_pit_channel *ch = &pit->regs.channel[n];

	if (ch->count_latched)
		return;
	ch->latched_count = current_count(pit, n, now);
	/* How many bytes are to be read from it, and which first. */
	ch->count_latched = ch->rw_mode;
}

static void latch_status(struct hull_pit_chip *pit, unsigned int n, u64 now)
{
	struct hull_pit_channel *ch = &pit->regs.channel[n];

	if (ch->status_latched)
		return;
	ch->status = output(pit, n, now) << 7 | !ch->count << 6 | ch->rw_mode << 4 |
		     ch->mode << 1 | ch->bcd;
	ch->status_latched = 1;
}

/* The read-back command: latch counts and states of several channels at once. */
static void read_back(struct hull_pit_chip *pit, u8 value)
{
	u64 now = ktime_get_ns();
	unsigned int n;

	for (n = 0; n < 3; n++) {
		if (!(value & (2 << n)))
			continue;
		if (!(value & 0x20))
			latch_count(pit, n, now);
		if (!(value & 0x10))
			latch_status(pit, n, now);
	}
}

static void write_control(struct hull_pit_chip *pit, u8 value)
{
	unsigned int n = value >> 6, rw = value >> 4 & 3, mode = value >> 1 & 7;
	struct hull_pit_channel *ch;

	if (n == 3) {
		read_back(pit, value);
		return;
	}
	if (!rw) {
		latch_count(pit, n, ktime_get_ns());
		return;
	}
	ch = &pit->regs.channel[n];
	ch->rw_mode = rw;
	ch->read_state = rw;
	ch->write_state = rw;
	ch->count_latched = 0;
	ch->status_latched = 0;
	/* Modes 6 and 7 are 2 and 3. */
	ch->mode = mode > 5 ? mode - 4 : mode;
	ch->bcd = value & 1;
	/* It stops until a count is loaded. */
	ch->count = 0;
	ch->elapsed = 0;
	if (n == 0)
		update_timer(pit, ktime_get_ns());
}

static u8 read_latched(struct hull_pit_channel *ch)
{
	u8 value = ch->latched_count;

	switch (ch->count_latched) {
	case RW_BOTH_LOW:
		ch->count_latched = RW_BOTH_HIGH;
		return value;
	case RW_LOW:
		break;
	default:
		value = ch->latched_count >> 8;
		break;
	}
	ch->count_latched = 0;
	return value;
}

static u8 read_channel(struct hull_pit_chip *pit, unsigned int n)
{
	struct hull_pit_channel *ch = &pit->regs.channel[n];
	u16 count;

	if (ch->status_latched) {
		ch->status_latched = 0;
		return ch->status;
	}
	if (ch->count_latched)
		return read_latched(ch);
	count = current_count(pit, n, ktime_get_ns());
	switch (ch->read_state) {
	case RW_LOW:
		return count;
	case RW_BOTH_LOW:
		ch->read_state = RW_BOTH_HIGH;
		return count;
	case RW_BOTH_HIGH:
		ch->read_state = RW_BOTH_LOW;
		return count >> 8;
	default:
		return count >> 8;
	}
}

/* ---- port 0x61 ------------------------------------------------------------------------------ */

/* Channel 2's gate: a rising edge starts or restarts, a low level holds. */
static void set_gate(struct hull_pit_chip *pit, bool gate)
{
	struct hull_pit_channel *ch = &pit->regs.channel[2];
	u64 now = ktime_get_ns();

	if (ch->gate == gate)
		return;
	if (by_trigger(ch)) {
		if (gate && ch->count) {
			ch->elapsed = 0;
			pit->loaded[2] = now;
		}
		ch->gate = gate;
		return;
	}
	if (!gate) {
		ch->elapsed = elapsed_ns(pit, 2, now);
		ch->gate = 0;
		return;
	}
	/* Periodic modes start anew, the others go on. */
	if (ch->mode == 2 || ch->mode == 3)
		ch->elapsed = 0;
	pit->loaded[2] = now - ch->elapsed;
	ch->gate = 1;
}

static u8 read_speaker(struct hull_pit_chip *pit)
{
	u64 now = ktime_get_ns();
	u8 value = pit->regs.speaker;

	if ((now / REFRESH_NS) & 1)
		value |= SPEAKER_REFRESH;
	if (output(pit, 2, now))
		value |= SPEAKER_OUT;
	return value;
}

/* ---- ports ---------------------------------------------------------------------------------- */

/* @port: 0x40 to 0x43, 0x61 */
u8 hull_pit_read(struct hull_irqchip *chip, u16 port)
{
	struct hull_pit_chip *pit = &chip->pit;
	unsigned long flags;
	u8 value;

	raw_spin_lock_irqsave(&pit->lock, flags);
	if (port == 0x61)
		value = read_speaker(pit);
	else if ((port & 3) == 3)
		value = 0xff;		/* the control word cannot be read */
	else
		value = read_channel(pit, port & 3);
	raw_spin_unlock_irqrestore(&pit->lock, flags);
	return value;
}

void hull_pit_write(struct hull_irqchip *chip, u16 port, u8 value)
{
	struct hull_pit_chip *pit = &chip->pit;
	unsigned long flags;

	raw_spin_lock_irqsave(&pit->lock, flags);
	if (port == 0x61) {
		pit->regs.speaker = value & SPEAKER_WRITABLE;
		set_gate(pit, value & SPEAKER_GATE);
	} else if ((port & 3) == 3) {
		write_control(pit, value);
	} else {
		write_channel(pit, port & 3, value);
	}
	raw_spin_unlock_irqrestore(&pit->lock, flags);
}

/* ---- life and state ------------------------------------------------------------------------- */

void hull_pit_init(struct hull_irqchip *chip)
{
	struct hull_pit_chip *pit = &chip->pit;
	unsigned int n;

	raw_spin_lock_init(&pit->lock);
	hrtimer_setup(&pit->timer, timer_fired, CLOCK_MONOTONIC, TIMER_FLAGS);
	for (n = 0; n < 3; n++) {
		struct hull_pit_channel *ch = &pit->regs.channel[n];

		ch->rw_mode = RW_BOTH_LOW;
		ch->read_state = RW_BOTH_LOW;
		ch->write_state = RW_BOTH_LOW;
		ch->mode = 3;
		ch->gate = n != 2;
	}
}

void hull_pit_stop(struct hull_irqchip *chip)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&chip->pit.lock, flags);
	chip->pit.armed = false;
	raw_spin_unlock_irqrestore(&chip->pit.lock, flags);
	hrtimer_cancel(&chip->pit.timer);
}

void hull_pit_get_state(struct hull_irqchip *chip, struct hull_pit *regs)
{
	struct hull_pit_chip *pit = &chip->pit;
	unsigned long flags;
	unsigned int n;
	u64 now;

	raw_spin_lock_irqsave(&pit->lock, flags);
	now = ktime_get_ns();
	*regs = pit->regs;
	for (n = 0; n < 3; n++)
		regs->channel[n].elapsed = elapsed_ns(pit, n, now);
	raw_spin_unlock_irqrestore(&pit->lock, flags);
}

static bool channel_valid(const struct hull_pit_channel *ch)
{
	if (ch->mode > 5 || ch->bcd > 1 || ch->gate > 1 || ch->status_latched > 1 ||
	    ch->count > modulus(ch))
		return false;
	/* Periods of modes 2 and 3 have at least 2 ticks. */
	if ((ch->mode == 2 || ch->mode == 3) && ch->count == 1)
		return false;
	if (ch->rw_mode < RW_LOW || ch->rw_mode > RW_BOTH_LOW)
		return false;
	if (ch->count_latched > RW_BOTH_HIGH)
		return false;
	return ch->read_state >= RW_LOW && ch->read_state <= RW_BOTH_HIGH &&
	       ch->write_state >= RW_LOW && ch->write_state <= RW_BOTH_HIGH;
}

bool hull_pit_state_valid(const struct hull_pit *regs)
{
	unsigned int n;

	if ((regs->speaker & ~SPEAKER_WRITABLE) || regs->reserved)
		return false;
	for (n = 0; n < 3; n++) {
		if (!channel_valid(&regs->channel[n]))
			return false;
	}
	/* The gates of 0 and 1 are wired, that of 2 is in port 0x61. */
	return regs->channel[0].gate && regs->channel[1].gate &&
	       regs->channel[2].gate == (regs->speaker & SPEAKER_GATE);
}

void hull_pit_set_state(struct hull_irqchip *chip, const struct hull_pit *regs)
{
	struct hull_pit_chip *pit = &chip->pit;
	unsigned long flags;
	unsigned int n;
	u64 now;

	raw_spin_lock_irqsave(&pit->lock, flags);
	now = ktime_get_ns();
	pit->regs = *regs;
	for (n = 0; n < 3; n++) {
		pit->loaded[n] = now - regs->channel[n].elapsed;
		/* NOT_TRIGGERED has a meaning in elapsed itself; nothing else is kept there. */
		if (!stands_still(&pit->regs.channel[n]))
			pit->regs.channel[n].elapsed = 0;
	}
	update_timer(pit, now);
	raw_spin_unlock_irqrestore(&pit->lock, flags);
}
