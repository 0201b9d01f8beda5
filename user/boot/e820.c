// SPDX-License-Identifier: GPL-2.0
/*
 * The memory map, as a BIOS reports it: one source for the zero page, PVH, multiboot and fw_cfg.
 */
#include "boot/boot.h"
#include "dev/pci.h"

#define IOAPIC_BASE	0xfec00000ULL
#define APIC_BASE	0xfee00000ULL

static void add(struct e820_entry *entry, unsigned int *count, uint64_t start, uint64_t end,
		uint32_t type)
{
	if (end > start)
		entry[(*count)++] = (struct e820_entry){ start, end - start, type };
}

unsigned int e820_build(const struct guest_memory *memory, struct e820_entry entry[E820_MAX])
{
	uint64_t high = memory_high_size(memory);
	unsigned int count = 0;

	add(entry, &count, 0, BOOT_EBDA, E820_RAM);
	add(entry, &count, BOOT_EBDA, 0xa0000, E820_RESERVED);
	add(entry, &count, BOOT_ACPI, BOOT_BIOS_END, E820_RESERVED);
	add(entry, &count, BOOT_KERNEL_MIN, memory_low_end(memory), E820_RAM);
	/* Linux takes ECAM only where the map reserves it. Without PCI nothing is there either. */
	add(entry, &count, PCI_ECAM, PCI_ECAM + PCI_ECAM_SIZE, E820_RESERVED);
	add(entry, &count, IOAPIC_BASE, IOAPIC_BASE + PAGE_SIZE, E820_RESERVED);
	add(entry, &count, APIC_BASE, APIC_BASE + PAGE_SIZE, E820_RESERVED);
	add(entry, &count, MEMORY_HOLE_END, MEMORY_HOLE_END + high, E820_RAM);
	return count;
}
