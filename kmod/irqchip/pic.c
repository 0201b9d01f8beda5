// SPDX-License-Identifier: GPL-2.0
/*
 * The two 8259A interrupt controllers of a PC, the second one on line 2 of the first, with the
 * edge/level control registers (ELCR) of its chipset.
 *
 * All under pics.lock, interrupts off, but plain reads of registers, which are single bytes. The
 * first one's output reaches the local APICs' LINT0.
 *
 * When an interrupt is over (EOI, or at once where that is automatic) an irqfd that holds the line
 * lets go of it, and only then the lines are looked at again.
 */
#include "chip.h"

#define MASTER		0
#define SLAVE		1
#define CASCADE		2	/* the master's line that the slave drives */

/* Lines that can be level triggered: not timer, keyboard, cascade, RTC and coprocessor. */
static const u8 elcr_writable[2] = { 0xf8, 0xde };

enum init_state { INIT_DONE, INIT_ICW2, INIT_ICW3, INIT_ICW4 };

/* The highest priority, 0 to 7 after rotation, among the lines of @mask; 8: none. */
static unsigned int priority(const struct hull_pic *pic, u8 mask)
{
	return __ffs(ror8(mask, pic->priority_add) | 1 << 8);
}

/* The line that would interrupt now, or -1; some are requested. */
static int requested_line(const struct hull_pic *pic, bool master)
{
	unsigned int wanted = priority(pic, pic->irr & ~pic->imr);
	u8 service = pic->isr;

	/* Special mask mode: lines in service that are masked hold nobody back. */
	if (pic->special_mask)
		service &= ~pic->imr;
	/* The slave's higher lines may interrupt its lower ones. */
	if (pic->special_fully_nested && master)
		service &= ~(1 << CASCADE);
	if (wanted >= priority(pic, service))
		return -1;
	return (wanted + pic->priority_add) & 7;
}

/* The same for any. */
static __always_inline int pic_line(const struct hull_pic *pic, bool master)
{
	return pic->irr & ~pic->imr ? requested_line(pic, master) : -1;
}

static void set_line(struct hull_pic *pic, unsigned int line, bool level)
{
	u8 bit = 1 << line;

	if (pic->elcr & bit) {
		if (level)
			pic->irr |= bit;
		else
			pic->irr &= ~bit;
	} else if (level && !(pic->level_lines & bit)) {
		pic->irr |= bit;
	}
	if (level)
		pic->level_lines |= bit;
	else
		pic->level_lines &= ~bit;
}

/*
 * After any change: the slave's output is the master's line 2, the master's is INTR. Line 2 follows
 * like a level: the slave's pin falls and rises within an acknowledge cycle, which nobody sees
 * here.
 */
static void update(struct hull_irqchip *chip)
{
	struct hull_pics *pics = &chip->pics;
	bool before = pics->output;

	if (pic_line(&pics->pic[SLAVE], false) >= 0)
		pics->pic[MASTER].irr |= 1 << CASCADE;
	else
		pics->pic[MASTER].irr &= ~(1 << CASCADE);
	WRITE_ONCE(pics->output, pic_line(&pics->pic[MASTER], true) >= 0);
	if (pics->output && !before)
		hull_pic_output_rose(chip);
}

/* Lines 0 to 15 but 2. */
void hull_pic_set(struct hull_irqchip *chip, unsigned int line, bool level)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&chip->pics.lock, flags);
	set_line(&chip->pics.pic[line >> 3 & 1], line & 7, level);
	update(chip);
	raw_spin_unlock_irqrestore(&chip->pics.lock, flags);
}

/* ---- interrupts that are over --------------------------------------------------------------- */

/* Pins of some of a PIC's lines; the cascade is none. */
static u32 pins_of(unsigned int which, u8 lines)
{
	if (which == SLAVE)
		return lines << 8;
	return (lines & ~(1 << CASCADE) & ~1) | (lines & 1) << CASCADE;
}

/* Under the lock: look at the lines again, or say which pins hull_lines_release() has to. */
static u32 update_unless_held(struct hull_irqchip *chip, u32 pins)
{
	u32 held = hull_lines_maybe(chip, pins);

	if (likely(!held))
		update(chip);
	return held;
}

/* No lock held. */
static void let_go(struct hull_irqchip *chip, u32 pins)
{
	u32 released = hull_lines_release(chip, pins);

	if (released)
		hull_irqfds_resample(chip, released);
}

/* ---- the acknowledge cycle ------------------------------------------------------------------ */

static void acknowledge(struct hull_pic *pic, unsigned int line)
{
	u8 bit = 1 << line;

	if (!pic->auto_eoi)
		pic->isr |= bit;
	else if (pic->rotate_on_auto_eoi)
		pic->priority_add = (line + 1) & 7;
	if (!(pic->elcr & bit))
		pic->irr &= ~bit;
}

/* Nothing waits any more: the 8259A answers line 7 and marks nothing in service. */
static u8 take_vector(struct hull_pic *pic, bool master, bool *cascade)
{
	int line = pic_line(pic, master);

	*cascade = master && line == CASCADE;
	if (line < 0)
		return pic->irq_base + 7;
	acknowledge(pic, line);
	return pic->irq_base + line;
}

/* The pin whose interrupt is over with its acknowledge cycle, if it is. */
static u32 pin_over(const struct hull_pic *pic, unsigned int which, u8 vector)
{
	return pic->auto_eoi ? pins_of(which, 1 << (vector & 7)) : 0;
}

u8 hull_pic_acknowledge(struct hull_irqchip *chip)
{
	struct hull_pics *pics = &chip->pics;
	unsigned int which = MASTER;
	unsigned long flags;
	bool cascade, unused;
	u8 vector;
	u32 held;

	raw_spin_lock_irqsave(&pics->lock, flags);
	vector = take_vector(&pics->pic[MASTER], true, &cascade);
	if (cascade) {
		which = SLAVE;
		vector = take_vector(&pics->pic[SLAVE], false, &unused);
	}
	held = update_unless_held(chip, pin_over(&pics->pic[which], which, vector));
	/* What waits behind is for the same CPU, which looks again before it enters the guest. */
	raw_spin_unlock_irqrestore(&pics->lock, flags);
	if (unlikely(held))
		let_go(chip, held);
	return vector;
}

/* The vector an acknowledge cycle would give, -1: the output is low. */
int hull_pic_peek(struct hull_irqchip *chip)
{
	struct hull_pics *pics = &chip->pics;
	struct hull_pic copy[2];
	unsigned long flags;
	bool cascade, unused;
	int vector = -1;

	raw_spin_lock_irqsave(&pics->lock, flags);
	if (pics->output) {
		copy[MASTER] = pics->pic[MASTER];
		copy[SLAVE] = pics->pic[SLAVE];
		vector = take_vector(&copy[MASTER], true, &cascade);
		if (cascade)
			vector = take_vector(&copy[SLAVE], false, &unused);
	}
	raw_spin_unlock_irqrestore(&pics->lock, flags);
	return vector;
}

/* ---- command words -------------------------------------------------------------------------- */

static void write_icw1(struct hull_pic *pic, u8 value)
{
	/* Edges that were seen are forgotten; lines that are high must fall to be seen again. */
	pic->irr &= pic->elcr;
	pic->imr = 0;
	pic->isr = 0;
	pic->priority_add = 0;
	pic->special_mask = 0;
	pic->read_isr = 0;
	pic->poll = 0;
	pic->auto_eoi = 0;
	pic->rotate_on_auto_eoi = 0;
	pic->special_fully_nested = 0;
	pic->init4 = value & 1;
	pic->init_state = INIT_ICW2;
}

/* OCW2: end of interrupt and rotation. */
static void write_ocw2(struct hull_pic *pic, u8 value)
{
	unsigned int command = value >> 5, line = value & 7, highest;

	switch (command) {
	case 0:		/* rotate in automatic EOI: off, on */
	case 4:
		pic->rotate_on_auto_eoi = command >> 2;
		break;
	case 1:		/* non-specific EOI, without and with rotation */
	case 5:
		highest = priority(pic, pic->isr);
		if (highest == 8)
			break;
		line = (highest + pic->priority_add) & 7;
		pic->isr &= ~(1 << line);
		if (command == 5)
			pic->priority_add = (line + 1) & 7;
		break;
	case 3:		/* specific EOI, without and with rotation */
	case 7:
		pic->isr &= ~(1 << line);
		if (command == 7)
			pic->priority_add = (line + 1) & 7;
		break;
	case 6:		/* set priority */
		pic->priority_add = (line + 1) & 7;
		break;
	}
}

/* OCW3: what a read gives, polling, special mask mode. */
static void write_ocw3(struct hull_pic *pic, u8 value)
{
	if (value & 4)
		pic->poll = 1;
	if (value & 2)
		pic->read_isr = value & 1;
	if (value & 0x40)
		pic->special_mask = value >> 5 & 1;
}

static void write_data(struct hull_pic *pic, u8 value)
{
	switch (pic->init_state) {
	case INIT_ICW2:
		pic->irq_base = value & 0xf8;
		pic->init_state = INIT_ICW3;
		break;
	case INIT_ICW3:
		/* The cascade is wired as it is. */
		pic->init_state = pic->init4 ? INIT_ICW4 : INIT_DONE;
		break;
	case INIT_ICW4:
		pic->special_fully_nested = value >> 4 & 1;
		pic->auto_eoi = value >> 1 & 1;
		pic->init_state = INIT_DONE;
		break;
	default:
		pic->imr = value;
		break;
	}
}

/* A read after the poll command acknowledges and tells the line. -1: another CPU was faster. */
static int read_poll(struct hull_irqchip *chip, unsigned int which)
{
	struct hull_pic *pic = &chip->pics.pic[which];
	int line, value = -1;
	unsigned long flags;
	u32 held = 0;

	raw_spin_lock_irqsave(&chip->pics.lock, flags);
	if (pic->poll) {
		WRITE_ONCE(pic->poll, 0);
		line = pic_line(pic, which == MASTER);
		value = line < 0 ? 0x07 : 0x80 | line;
		if (line >= 0)
			acknowledge(pic, line);
		held = update_unless_held(chip, line < 0 ? 0 : pin_over(pic, which, line));
	}
	raw_spin_unlock_irqrestore(&chip->pics.lock, flags);
	if (unlikely(held))
		let_go(chip, held);
	return value;
}

/* 0x20, 0x21 and 0x4d0; 0xa0, 0xa1 and 0x4d1 */
static unsigned int which_pic(u16 port)
{
	return port == 0x4d1 || port >> 4 == 0xa ? SLAVE : MASTER;
}

u8 hull_pic_read(struct hull_irqchip *chip, u16 port)
{
	unsigned int which = which_pic(port);
	const struct hull_pic *pic = &chip->pics.pic[which];
	int value;

	if (port >= 0x4d0)
		return READ_ONCE(pic->elcr);
	if (unlikely(READ_ONCE(pic->poll))) {
		value = read_poll(chip, which);
		if (value >= 0)
			return value;
	}
	if (port & 1)
		return READ_ONCE(pic->imr);
	return READ_ONCE(pic->read_isr) ? READ_ONCE(pic->isr) : READ_ONCE(pic->irr);
}

static void write_command(struct hull_pic *pic, u16 port, u8 value)
{
	if (port & 1)
		write_data(pic, value);
	else if (value & 0x10)
		write_icw1(pic, value);
	else if (value & 0x08)
		write_ocw3(pic, value);
	else
		write_ocw2(pic, value);
}

void hull_pic_write(struct hull_irqchip *chip, u16 port, u8 value)
{
	unsigned int which = which_pic(port);
	struct hull_pic *pic = &chip->pics.pic[which];
	unsigned long flags;
	u8 service;
	u32 held;

	raw_spin_lock_irqsave(&chip->pics.lock, flags);
	service = pic->isr;
	if (port >= 0x4d0) {
		pic->elcr = value & elcr_writable[which];
		/* A line that is level triggered now is requested as long as it is high. */
		pic->irr = (pic->irr & ~pic->elcr) | (pic->level_lines & pic->elcr);
	} else {
		write_command(pic, port, value);
	}
	held = update_unless_held(chip, pins_of(which, service & ~pic->isr));
	raw_spin_unlock_irqrestore(&chip->pics.lock, flags);
	if (unlikely(held))
		let_go(chip, held);
}

/* ---- life and state ------------------------------------------------------------------------- */

void hull_pic_init(struct hull_irqchip *chip)
{
	raw_spin_lock_init(&chip->pics.lock);
	/* Nothing comes before the guest has given them vectors; ICW1 opens the masks. */
	chip->pics.pic[MASTER].imr = 0xff;
	chip->pics.pic[SLAVE].imr = 0xff;
}

void hull_pic_get_state(struct hull_irqchip *chip, struct hull_pic *pic)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&chip->pics.lock, flags);
	memcpy(pic, chip->pics.pic, sizeof(chip->pics.pic));
	raw_spin_unlock_irqrestore(&chip->pics.lock, flags);
}

bool hull_pic_state_valid(const struct hull_pic *pic)
{
	unsigned int i;

	for (i = 0; i < 2; i++, pic++) {
		if (pic->elcr & ~elcr_writable[i])
			return false;
		if ((pic->irq_base & 7) || pic->init_state > INIT_ICW4 || pic->priority_add > 7)
			return false;
		if (pic->read_isr > 1 || pic->poll > 1 || pic->special_mask > 1 ||
		    pic->auto_eoi > 1 || pic->rotate_on_auto_eoi > 1 ||
		    pic->special_fully_nested > 1 || pic->init4 > 1 || pic->last_irr)
			return false;
	}
	return true;
}

void hull_pic_set_state(struct hull_irqchip *chip, const struct hull_pic *pic)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&chip->pics.lock, flags);
	memcpy(chip->pics.pic, pic, sizeof(chip->pics.pic));
	update(chip);
	raw_spin_unlock_irqrestore(&chip->pics.lock, flags);
}
