// SPDX-License-Identifier: GPL-2.0
/*
 * The interrupt controllers of a VM as a whole: life, which address belongs to whom, state.
 */
#include <linux/slab.h>

#include "chip.h"
#include "vcpu.h"

static_assert(offsetof(struct hull_irqchip, ports) == 0);

#define PM_TIMER_SIZE	4
#define PAGE_OFFSET_BITS	0xfffULL

/* ---- life ----------------------------------------------------------------------------------- */

int hull_irqchip_create(struct hull_vm *vm, const struct hull_create_vm *args)
{
	struct hull_irqchip *chip;
	int err;

	if (!(args->flags & HULL_VM_IRQCHIP))
		return (args->flags & HULL_VM_PIT) || args->pm_timer_port ? -EINVAL : 0;
	if (args->pm_timer_port > 0x10000 - PM_TIMER_SIZE ||
	    args->pm_timer_port % PM_TIMER_SIZE)
		return -EINVAL;
	chip = kzalloc(sizeof(*chip), GFP_KERNEL_ACCOUNT);
	if (!chip)
		return -ENOMEM;
	err = hull_irqfds_create(chip);
	if (err) {
		kfree(chip);
		return err;
	}
	chip->vm = vm;
	chip->has_pit = args->flags & HULL_VM_PIT;
	chip->ports.pm_timer = args->pm_timer_port;
	hull_lines_init(chip);
	hull_pic_init(chip);
	hull_ioapic_init(chip);
	hull_pit_init(chip);
	hull_vm_clock_create(chip);
	vm->irqchip = chip;
	return 0;
}

void hull_irqchip_destroy(struct hull_vm *vm)
{
	struct hull_irqchip *chip = vm->irqchip;

	if (!chip)
		return;
	hull_irqfds_destroy(chip);
	hull_pit_stop(chip);
	hull_vm_clock_destroy(chip);
	vm->irqchip = NULL;
	kfree(chip);
}

/* ---- memory --------------------------------------------------------------------------------- */

bool hull_irqchip_memory(struct hull_vcpu *vcpu, gpa_t gpa, unsigned int size, bool write,
			 u64 *value)
{
	struct hull_lapic *lapic = vcpu->lapic;
	u64 page = gpa & ~PAGE_OFFSET_BITS;
	unsigned int offset = gpa & PAGE_OFFSET_BITS;

	if (!lapic)
		return false;
	if (page == (lapic->base & ~PAGE_OFFSET_BITS) && hull_lapic_on(lapic) &&
	    !hull_lapic_x2(lapic)) {
		hull_lapic_memory(lapic, offset, size, write, value);
		return true;
	}
	if (page == HULL_IOAPIC_BASE) {
		hull_ioapic_memory(lapic->chip, offset, size, write, value);
		return true;
	}
	return false;
}

/* ---- ports ---------------------------------------------------------------------------------- */

/* Ports of one byte each. -1 and false: not ours. */
static __always_inline int port_read(struct hull_irqchip *chip, u16 port)
{
	switch (port) {
	case 0x20 ... 0x21:
	case 0xa0 ... 0xa1:
	case 0x4d0 ... 0x4d1:
		return hull_pic_read(chip, port);
	case 0x40 ... 0x43:
	case 0x61:
		return chip->has_pit ? hull_pit_read(chip, port) : -1;
	default:
		return -1;
	}
}

static __always_inline bool port_write(struct hull_irqchip *chip, u16 port, u8 value)
{
	switch (port) {
	case 0x20 ... 0x21:
	case 0xa0 ... 0xa1:
	case 0x4d0 ... 0x4d1:
		hull_pic_write(chip, port, value);
		return true;
	case 0x40 ... 0x43:
	case 0x61:
		if (!chip->has_pit)
			return false;
		hull_pit_write(chip, port, value);
		return true;
	default:
		return false;
	}
}

/* The first byte decides; the others go to their ports, or nowhere. */
static noinline bool wide_port(struct hull_irqchip *chip, u16 port, unsigned int size, bool write,
			       u32 *value)
{
	unsigned int i;
	u32 result = 0;
	int byte;

	for (i = 0; i < size; i++) {
		if (write) {
			if (!port_write(chip, port + i, *value >> (i * 8)) && !i)
				return false;
			continue;
		}
		byte = port_read(chip, port + i);
		if (byte < 0 && !i)
			return false;
		/* Nobody answers with all ones, which is -1. */
		result |= (u32)(u8)byte << (i * 8);
	}
	if (!write)
		*value = result;
	return true;
}

static void pm_timer_port(struct hull_irqchip *chip, unsigned int offset, unsigned int size,
			  bool write, u32 *value)
{
	if (write)
		return;
	*value = hull_pm_timer_read(chip) >> (offset * 8);
	if (size < 4)
		*value &= (1U << (size * 8)) - 1;
}

bool hull_irqchip_port(struct hull_vcpu *vcpu, u16 port, unsigned int size, bool write, u32 *value)
{
	struct hull_irqchip *chip = vcpu->vm->irqchip;
	int byte;

	if (!chip)
		return false;
	if (chip->ports.pm_timer && (port & ~(PM_TIMER_SIZE - 1)) == chip->ports.pm_timer) {
		pm_timer_port(chip, port % PM_TIMER_SIZE, size, write, value);
		return true;
	}
	if (unlikely(size > 1))
		return wide_port(chip, port, size, write, value);
	if (write)
		return port_write(chip, port, *value);
	byte = port_read(chip, port);
	if (byte < 0)
		return false;
	*value = byte;
	return true;
}

/* ---- state of the VM ------------------------------------------------------------------------ */

void hull_irqchip_get_state(struct hull_vm *vm, u64 groups, struct hull_vm_state *state)
{
	struct hull_irqchip *chip = vm->irqchip;

	if (groups & HULL_VM_GROUP_PIC)
		hull_pic_get_state(chip, state->pic);
	if (groups & HULL_VM_GROUP_IOAPIC)
		hull_ioapic_get_state(chip, &state->ioapic);
	if (groups & HULL_VM_GROUP_PIT)
		hull_pit_get_state(chip, &state->pit);
	if (groups & HULL_VM_GROUP_CLOCK)
		hull_vm_clock_get(chip, &state->clock);
	if (groups & HULL_VM_GROUP_LINES)
		hull_lines_get_state(chip, &state->lines);
}

/* All groups are checked before the first is taken. */
int hull_irqchip_set_state(struct hull_vm *vm, u64 groups, const struct hull_vm_state *state)
{
	struct hull_irqchip *chip = vm->irqchip;

	if ((groups & HULL_VM_GROUP_PIC) && !hull_pic_state_valid(state->pic))
		return -EINVAL;
	if ((groups & HULL_VM_GROUP_IOAPIC) && !hull_ioapic_state_valid(&state->ioapic))
		return -EINVAL;
	if ((groups & HULL_VM_GROUP_PIT) &&
	    (!chip->has_pit || !hull_pit_state_valid(&state->pit)))
		return -EINVAL;
	if ((groups & HULL_VM_GROUP_LINES) && !hull_lines_state_valid(&state->lines))
		return -EINVAL;

	if (groups & HULL_VM_GROUP_PIC)
		hull_pic_set_state(chip, state->pic);
	if (groups & HULL_VM_GROUP_IOAPIC) {
		hull_ioapic_set_state(chip, &state->ioapic);
		hull_lines_adopt(chip, state->ioapic.lines);
	}
	if (groups & HULL_VM_GROUP_LINES)
		hull_lines_set_state(chip, &state->lines);
	if (groups & HULL_VM_GROUP_PIT)
		hull_pit_set_state(chip, &state->pit);
	if (groups & HULL_VM_GROUP_CLOCK)
		hull_vm_clock_set(chip, &state->clock);
	return 0;
}
