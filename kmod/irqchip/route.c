// SPDX-License-Identifier: GPL-2.0
/*
 * Who gets an interrupt: lines to PICs and IOAPIC, messages to local APICs.
 *
 * Any context. Messages take no lock: destinations are compared with the APICs' registers as they
 * are at the moment (see chip.h). A line is up while somebody holds it, the launcher or irqfds:
 * lines.lock guards who does, and is outside of the locks of PICs and IOAPIC.
 */
#include <linux/bits.h>
#include <linux/nospec.h>

#include "chip.h"
#include "vcpu.h"

/* ---- the APIC bus --------------------------------------------------------------------------- */

static struct hull_lapic *lapic_of(struct hull_irqchip *chip, unsigned int id)
{
	struct hull_vcpu *vcpu;

	if (id >= HULL_MAX_VCPUS)
		return NULL;
	vcpu = hull_vm_vcpu(chip->vm, array_index_nospec(id, HULL_MAX_VCPUS));
	return vcpu ? vcpu->lapic : NULL;
}

static bool is_broadcast(const struct hull_apic_msg *msg)
{
	return msg->dest == (msg->wide ? ~0U : 0xff);
}

/* A logical destination: ids are sets of bits, perhaps in clusters. */
static bool matches_logical(const struct hull_lapic *lapic, u32 dest)
{
	u32 ldr = READ_ONCE(lapic->ldr);

	if (hull_lapic_x2(lapic))
		return dest >> 16 == ldr >> 16 && (dest & ldr & 0xffff);
	ldr >>= 24;
	if (dest > 0xff)
		return false;
	switch (READ_ONCE(lapic->dfr) >> 28) {
	case 0xf:	/* flat */
		return dest & ldr;
	case 0x0:	/* clusters of four */
		return dest >> 4 == ldr >> 4 && (dest & ldr & 0xf);
	default:
		return false;
	}
}

static bool matches(const struct hull_lapic *lapic, const struct hull_lapic *from,
		    const struct hull_apic_msg *msg)
{
	if (msg->shorthand)
		return msg->shorthand == 2 || lapic != from;
	if (is_broadcast(msg))
		return true;
	return msg->logical ? matches_logical(lapic, msg->dest) : msg->dest == lapic->id;
}

/* Lowest priority: the least busy of those that match; in turn when equally busy. */
static unsigned int send_lowest(struct hull_irqchip *chip, struct hull_lapic *from,
				const struct hull_apic_msg *msg)
{
	unsigned int start = READ_ONCE(chip->last_lowest), best_class = 16, i;
	struct hull_lapic *lapic, *best = NULL;

	for (i = 1; i <= HULL_MAX_VCPUS; i++) {
		lapic = lapic_of(chip, (start + i) % HULL_MAX_VCPUS);
		if (!lapic || !hull_lapic_enabled(lapic) || !matches(lapic, from, msg))
			continue;
		if (READ_ONCE(lapic->ppr) >> 4 < best_class) {
			best_class = READ_ONCE(lapic->ppr) >> 4;
			best = lapic;
		}
	}
	if (!best)
		return 0;
	WRITE_ONCE(chip->last_lowest, best->id);
	return hull_lapic_accept(best, msg->mode, msg->vector, msg->level, best == from);
}

static unsigned int send_all(struct hull_irqchip *chip, struct hull_lapic *from,
			     const struct hull_apic_msg *msg)
{
	unsigned int id, accepted = 0;
	struct hull_lapic *lapic;

	for (id = 0; id < HULL_MAX_VCPUS; id++) {
		lapic = lapic_of(chip, id);
		if (lapic && matches(lapic, from, msg))
			accepted += hull_lapic_accept(lapic, msg->mode, msg->vector, msg->level,
						      lapic == from);
	}
	return accepted;
}

bool hull_apic_send_one(struct hull_lapic *from, u8 vector, u32 id)
{
	struct hull_lapic *lapic = lapic_of(from->chip, id);

	if (!lapic)
		return false;
	hull_lapic_accept(lapic, DELIVER_FIXED, vector, false, lapic == from);
	return true;
}

unsigned int hull_apic_send(struct hull_irqchip *chip, struct hull_lapic *from,
			    const struct hull_apic_msg *msg)
{
	struct hull_lapic *lapic = NULL;

	/* Only a CPU starts another. */
	if (unlikely(msg->mode == DELIVER_SIPI && !from))
		return 0;
	if (msg->shorthand == 1)
		lapic = from;
	else if (msg->shorthand == 0 && !msg->logical && !is_broadcast(msg))
		lapic = lapic_of(chip, msg->dest);
	else if (msg->mode == DELIVER_LOWEST)
		return send_lowest(chip, from, msg);
	else
		return send_all(chip, from, msg);
	if (!lapic)
		return 0;
	return hull_lapic_accept(lapic, msg->mode, msg->vector, msg->level, lapic == from);
}

/* ---- lines and messages of devices ---------------------------------------------------------- */

#define PIC_LINES	16
#define CASCADE_LINE	2	/* not a line of the PICs, but the timer's pin of the IOAPIC */

/* Under lines.lock */
static void drive(struct hull_irqchip *chip, unsigned int pin, bool level)
{
	if (pin == CASCADE_LINE)
		hull_pic_set(chip, 0, level);
	else if (pin && pin < PIC_LINES)
		hull_pic_set(chip, pin, level);
	hull_ioapic_set(chip, pin, level);
}

static u32 lines_up(const struct hull_irqchip *chip)
{
	return chip->lines.held.launcher | chip->lines.held.irqfds;
}

int hull_irq_set(struct hull_vm *vm, u32 gsi, bool level)
{
	struct hull_irqchip *chip = vm->irqchip;
	unsigned long flags;
	u32 *held;

	if (!chip || gsi >= HULL_IOAPIC_PINS)
		return -EINVAL;
	gsi = array_index_nospec(gsi, HULL_IOAPIC_PINS);
	held = &chip->lines.held.launcher;
	raw_spin_lock_irqsave(&chip->lines.lock, flags);
	*held = level ? *held | 1U << gsi : *held & ~(1U << gsi);
	drive(chip, gsi, lines_up(chip) & 1U << gsi);
	raw_spin_unlock_irqrestore(&chip->lines.lock, flags);
	return 0;
}

/* An edge on a line that somebody holds up is not seen. */
void hull_line_pulse(struct hull_irqchip *chip, unsigned int pin)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&chip->lines.lock, flags);
	if (!(lines_up(chip) & 1U << pin)) {
		drive(chip, pin, true);
		drive(chip, pin, false);
	}
	raw_spin_unlock_irqrestore(&chip->lines.lock, flags);
}

void hull_line_hold(struct hull_irqchip *chip, unsigned int pin)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&chip->lines.lock, flags);
	WRITE_ONCE(chip->lines.held.irqfds, chip->lines.held.irqfds | 1U << pin);
	drive(chip, pin, true);
	raw_spin_unlock_irqrestore(&chip->lines.lock, flags);
}

/* All of @pins are driven: who calls this for a PIC has not looked at its lines yet. */
u32 hull_lines_release(struct hull_irqchip *chip, u32 pins)
{
	unsigned int pin;
	unsigned long flags;
	u32 held;

	raw_spin_lock_irqsave(&chip->lines.lock, flags);
	held = chip->lines.held.irqfds & pins;
	WRITE_ONCE(chip->lines.held.irqfds, chip->lines.held.irqfds & ~pins);
	for (pin = 0; pin < HULL_IOAPIC_PINS; pin++) {
		if (pins & 1U << pin)
			drive(chip, pin, chip->lines.held.launcher & 1U << pin);
	}
	raw_spin_unlock_irqrestore(&chip->lines.lock, flags);
	return held;
}

void hull_lines_init(struct hull_irqchip *chip)
{
	raw_spin_lock_init(&chip->lines.lock);
}

void hull_lines_get_state(struct hull_irqchip *chip, struct hull_lines *held)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&chip->lines.lock, flags);
	*held = chip->lines.held;
	raw_spin_unlock_irqrestore(&chip->lines.lock, flags);
}

bool hull_lines_state_valid(const struct hull_lines *held)
{
	return !((held->launcher | held->irqfds) & ~((1U << HULL_IOAPIC_PINS) - 1));
}

void hull_lines_adopt(struct hull_irqchip *chip, u32 lines)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&chip->lines.lock, flags);
	chip->lines.held.launcher = lines;
	WRITE_ONCE(chip->lines.held.irqfds, 0);
	raw_spin_unlock_irqrestore(&chip->lines.lock, flags);
}

void hull_lines_set_state(struct hull_irqchip *chip, const struct hull_lines *held)
{
	unsigned long flags;
	unsigned int pin;

	raw_spin_lock_irqsave(&chip->lines.lock, flags);
	chip->lines.held.launcher = held->launcher;
	WRITE_ONCE(chip->lines.held.irqfds, held->irqfds);
	for (pin = 0; pin < HULL_IOAPIC_PINS; pin++)
		drive(chip, pin, lines_up(chip) & 1U << pin);
	raw_spin_unlock_irqrestore(&chip->lines.lock, flags);
}

void hull_pic_output_rose(struct hull_irqchip *chip)
{
	struct hull_lapic *lapic;
	unsigned int id;

	for (id = 0; id < HULL_MAX_VCPUS; id++) {
		lapic = lapic_of(chip, id);
		if (lapic)
			hull_lapic_pic_rose(lapic);
	}
}

/* Fields of an MSI's address and data */
#define MSI_BASE		0xfee00000ULL
#define MSI_BASE_MASK		0xfffffffffff00000ULL
#define MSI_LOGICAL		(1 << 2)
#define MSI_HINT		(1 << 3)	/* to one of the destinations */
#define MSI_ASSERT		(1 << 14)
#define MSI_LEVEL		(1 << 15)

/*
 * Destinations have eight bits, and the upper half of the address none: APIC ids are below
 * HULL_MAX_VCPUS, which is far below 255.
 */
bool hull_msi_valid(u64 address)
{
	return (address & MSI_BASE_MASK) == MSI_BASE;
}

int hull_msi_send(struct hull_vm *vm, u64 address, u32 data)
{
	struct hull_apic_msg msg = {
		.dest = address >> 12 & 0xff,
		.logical = address & MSI_LOGICAL,
		.mode = data >> 8 & 7,
		.vector = data & 0xff,
		.level = data & MSI_LEVEL,
	};

	if (!vm->irqchip || !hull_msi_valid(address))
		return -EINVAL;
	if (msg.level && !(data & MSI_ASSERT))
		return 0;
	if ((address & MSI_HINT) && msg.mode == DELIVER_FIXED)
		msg.mode = DELIVER_LOWEST;
	hull_apic_send(vm->irqchip, NULL, &msg);
	return 0;
}
