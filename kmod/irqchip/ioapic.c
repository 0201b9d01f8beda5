// SPDX-License-Identifier: GPL-2.0
/*
 * The IOAPIC: an 82093AA with 24 pins, version 0x11 (no EOI register: the local APICs' EOI of a
 * level-triggered vector comes here).
 *
 * All under ioapic.lock, interrupts off; messages are sent with it held, which takes no other lock
 * of this folder.
 */
#include <linux/bits.h>
#include <linux/nospec.h>

#include "chip.h"

#define REG_ID			0x00
#define REG_VERSION		0x01
#define REG_ARBITRATION		0x02
#define REG_REDIRECTION		0x10

#define VERSION			(0x11 | (HULL_IOAPIC_PINS - 1) << 16)
#define ALL_PINS		((1U << HULL_IOAPIC_PINS) - 1)

/* Redirection entries */
#define ENTRY_VECTOR		0xffULL
#define ENTRY_LOGICAL		(1ULL << 11)
#define ENTRY_STATUS		(1ULL << 12)
#define ENTRY_REMOTE_IRR	(1ULL << 14)
#define ENTRY_LEVEL		(1ULL << 15)
#define ENTRY_MASKED		(1ULL << 16)
#define ENTRY_READ_ONLY		(ENTRY_STATUS | ENTRY_REMOTE_IRR)
#define ENTRY_BITS		(0xffULL << 56 | 0x1ffffULL)

static unsigned int entry_mode(u64 entry)
{
	return entry >> 8 & 7;
}

/* Level triggering means something only for interrupts that get an EOI. */
static bool entry_level(u64 entry)
{
	return (entry & ENTRY_LEVEL) && entry_mode(entry) <= DELIVER_LOWEST;
}

/* Send what @pin wants. When no APIC takes a level it is tried again with the next change. */
static void send(struct hull_irqchip *chip, unsigned int pin)
{
	u64 entry = chip->ioapic.regs.redirection[pin];
	struct hull_apic_msg msg = {
		.dest = entry >> 56,
		.logical = entry & ENTRY_LOGICAL,
		.mode = entry_mode(entry),
		.level = entry_level(entry),
		.vector = entry & ENTRY_VECTOR,
	};

	if (hull_apic_send(chip, NULL, &msg) && msg.level)
		chip->ioapic.regs.redirection[pin] |= ENTRY_REMOTE_IRR;
}

static void service_level(struct hull_irqchip *chip, unsigned int pin)
{
	const struct hull_ioapic *regs = &chip->ioapic.regs;
	u64 entry = regs->redirection[pin];

	if (entry_level(entry) && (regs->lines & (1U << pin)) &&
	    !(entry & (ENTRY_MASKED | ENTRY_REMOTE_IRR)))
		send(chip, pin);
}

/* @pin below HULL_IOAPIC_PINS. An edge on a masked pin is lost, as on hardware. */
void hull_ioapic_set(struct hull_irqchip *chip, unsigned int pin, bool level)
{
	struct hull_ioapic *regs = &chip->ioapic.regs;
	unsigned long flags;
	u64 entry;

	raw_spin_lock_irqsave(&chip->ioapic.lock, flags);
	entry = regs->redirection[pin];
	if (!level) {
		regs->lines &= ~(1U << pin);
	} else if (!(regs->lines & (1U << pin))) {
		regs->lines |= 1U << pin;
		if (entry_level(entry))
			service_level(chip, pin);
		else if (!(entry & ENTRY_MASKED))
			send(chip, pin);
	}
	raw_spin_unlock_irqrestore(&chip->ioapic.lock, flags);
}

/* Pins whose interrupt this EOI ends. */
static u32 pins_in_service(const struct hull_ioapic *regs, u8 vector)
{
	unsigned int pin;
	u32 pins = 0;
	u64 entry;

	for (pin = 0; pin < HULL_IOAPIC_PINS; pin++) {
		entry = regs->redirection[pin];
		if ((entry & ENTRY_VECTOR) == vector && (entry & ENTRY_REMOTE_IRR))
			pins |= 1U << pin;
	}
	return pins;
}

/* Irqfds let go of their lines before those that are still up are served again. */
void hull_ioapic_eoi(struct hull_irqchip *chip, u8 vector)
{
	struct hull_ioapic *regs = &chip->ioapic.regs;
	u32 pins, released = 0;
	unsigned long flags;
	unsigned int pin;

	raw_spin_lock_irqsave(&chip->ioapic.lock, flags);
	pins = pins_in_service(regs, vector);
	if (unlikely(hull_lines_maybe(chip, pins))) {
		raw_spin_unlock_irqrestore(&chip->ioapic.lock, flags);
		released = hull_lines_release(chip, pins);
		raw_spin_lock_irqsave(&chip->ioapic.lock, flags);
		/* The guest may have changed entries meanwhile. */
		pins &= pins_in_service(regs, vector);
	}
	for (pin = 0; pin < HULL_IOAPIC_PINS; pin++) {
		if (!(pins & 1U << pin))
			continue;
		regs->redirection[pin] &= ~ENTRY_REMOTE_IRR;
		service_level(chip, pin);
	}
	raw_spin_unlock_irqrestore(&chip->ioapic.lock, flags);
	if (unlikely(released))
		hull_irqfds_resample(chip, released);
}

/* ---- registers ------------------------------------------------------------------------------ */

static void write_redirection(struct hull_irqchip *chip, unsigned int reg, u32 value)
{
	unsigned int pin = array_index_nospec(reg / 2, HULL_IOAPIC_PINS);
	u64 *entry = &chip->ioapic.regs.redirection[pin];
	u64 new = *entry;

	if (reg & 1)
		new = (new & GENMASK_ULL(31, 0)) | (u64)value << 32;
	else
		new = (new & GENMASK_ULL(63, 32)) | value;
	new = (new & ENTRY_BITS & ~ENTRY_READ_ONLY) | (*entry & ENTRY_READ_ONLY);
	/* Kernels get rid of a stuck remote IRR by making the pin edge triggered for a moment. */
	if (!entry_level(new))
		new &= ~ENTRY_REMOTE_IRR;
	*entry = new;
	service_level(chip, pin);
}

static void write_register(struct hull_irqchip *chip, u32 value)
{
	struct hull_ioapic *regs = &chip->ioapic.regs;

	if (regs->select == REG_ID)
		regs->id = value & 0x0f000000;
	else if (regs->select >= REG_REDIRECTION &&
		 regs->select < REG_REDIRECTION + 2 * HULL_IOAPIC_PINS)
		write_redirection(chip, regs->select - REG_REDIRECTION, value);
}

static u32 read_register(const struct hull_ioapic *regs)
{
	unsigned int reg = regs->select;

	switch (reg) {
	case REG_ID:
	case REG_ARBITRATION:
		return regs->id;
	case REG_VERSION:
		return VERSION;
	case REG_REDIRECTION ... REG_REDIRECTION + 2 * HULL_IOAPIC_PINS - 1:
		reg = array_index_nospec(reg - REG_REDIRECTION, 2 * HULL_IOAPIC_PINS);
		return regs->redirection[reg / 2] >> (reg % 2 * 32);
	default:
		return 0;
	}
}

/*
 * The page has two registers: select (offset 0, some kernels write it as a byte) and data (offset
 * 16, 32 bits only: a shorter write would tear a redirection entry, and is ignored).
 */
void hull_ioapic_memory(struct hull_irqchip *chip, unsigned int offset, unsigned int size,
			bool write, u64 *value)
{
	struct hull_ioapic *regs = &chip->ioapic.regs;
	unsigned long flags;
	u64 result = 0;

	raw_spin_lock_irqsave(&chip->ioapic.lock, flags);
	if (offset == 0x00) {
		if (write)
			regs->select = *value & 0xff;
		result = regs->select;
	} else if (offset == 0x10 && size == 4) {
		if (write)
			write_register(chip, *value);
		else
			result = read_register(regs);
	}
	raw_spin_unlock_irqrestore(&chip->ioapic.lock, flags);
	if (!write)
		*value = result;
}

/* ---- life and state ------------------------------------------------------------------------- */

void hull_ioapic_init(struct hull_irqchip *chip)
{
	unsigned int pin;

	raw_spin_lock_init(&chip->ioapic.lock);
	for (pin = 0; pin < HULL_IOAPIC_PINS; pin++)
		chip->ioapic.regs.redirection[pin] = ENTRY_MASKED;
}

void hull_ioapic_get_state(struct hull_irqchip *chip, struct hull_ioapic *regs)
{
	unsigned long flags;
	unsigned int pin;

	raw_spin_lock_irqsave(&chip->ioapic.lock, flags);
	*regs = chip->ioapic.regs;
	raw_spin_unlock_irqrestore(&chip->ioapic.lock, flags);
	for (pin = 0; pin < HULL_IOAPIC_PINS; pin++) {
		if (regs->redirection[pin] & ENTRY_REMOTE_IRR)
			regs->irr |= 1U << pin;
	}
}

bool hull_ioapic_state_valid(const struct hull_ioapic *regs)
{
	unsigned int pin;

	if ((regs->id & ~0x0f000000U) || regs->select > 0xff ||
	    ((regs->irr | regs->lines) & ~ALL_PINS))
		return false;
	for (pin = 0; pin < HULL_IOAPIC_PINS; pin++) {
		u64 entry = regs->redirection[pin];

		if ((entry & ~ENTRY_BITS) || (entry & ENTRY_STATUS))
			return false;
		/* @irr repeats remote IRR, which only level-triggered pins have. */
		if (!(entry & ENTRY_REMOTE_IRR) != !(regs->irr & (1U << pin)) ||
		    ((entry & ENTRY_REMOTE_IRR) && !entry_level(entry)))
			return false;
	}
	return true;
}

/*
 * Nothing is sent: what was due had been sent when the state was saved, and is in the APICs' state.
 */
void hull_ioapic_set_state(struct hull_irqchip *chip, const struct hull_ioapic *regs)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&chip->ioapic.lock, flags);
	chip->ioapic.regs = *regs;
	chip->ioapic.regs.irr = 0;
	raw_spin_unlock_irqrestore(&chip->ioapic.lock, flags);
}
