// SPDX-License-Identifier: GPL-2.0
/*
 * Who gets an interrupt: lines to PICs and IOAPIC, messages to local APICs.
 *
 * Any context, no locks: destinations are compared with the APICs' registers as they are at the
 * moment (see chip.h).
 */
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

int hull_irq_set(struct hull_vm *vm, u32 gsi, bool level)
{
	struct hull_irqchip *chip = vm->irqchip;

	if (!chip || gsi >= HULL_IOAPIC_PINS)
		return -EINVAL;
	gsi = array_index_nospec(gsi, HULL_IOAPIC_PINS);
	if (gsi == CASCADE_LINE)
		hull_pic_set(chip, 0, level);
	else if (gsi && gsi < PIC_LINES)
		hull_pic_set(chip, gsi, level);
	hull_ioapic_set(chip, gsi, level);
	return 0;
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

int hull_msi_send(struct hull_vm *vm, u64 address, u32 data)
{
	struct hull_apic_msg msg = {
		.dest = address >> 12 & 0xff,
		.logical = address & MSI_LOGICAL,
		.mode = data >> 8 & 7,
		.vector = data & 0xff,
		.level = data & MSI_LEVEL,
	};

	if (!vm->irqchip || (address & MSI_BASE_MASK) != MSI_BASE)
		return -EINVAL;
	if (msg.level && !(data & MSI_ASSERT))
		return 0;
	if ((address & MSI_HINT) && msg.mode == DELIVER_FIXED)
		msg.mode = DELIVER_LOWEST;
	hull_apic_send(vm->irqchip, NULL, &msg);
	return 0;
}
