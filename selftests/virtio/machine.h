/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A bus with PCI on it, what the platform was asked for, and a guest's way to configuration space.
 */
#ifndef SELFTESTS_VIRTIO_MACHINE_H
#define SELFTESTS_VIRTIO_MACHINE_H

#include <linux/pci_regs.h>

#include "dev/pci.h"
#include "driver.h"
#include "hull.h"
#include "../dev/test.h"

static struct {
	struct guest_memory memory;
	struct bus bus;
	struct pci_host host;
	unsigned int messages;
	uint64_t address;
	uint32_t data;
	bool level[PCI_GSI_BASE + PCI_GSIS];
	unsigned int levels;
	uint64_t doorbell[64];
	int doorbell_event[64];
	unsigned int doorbells;
	bool no_doorbells;
} m;

static void on_msi(void *opaque, uint64_t address, uint32_t data)
{
	(void)opaque;
	m.messages++;
	m.address = address;
	m.data = data;
}

static void on_irq(void *opaque, unsigned int gsi, bool level)
{
	(void)opaque;
	EXPECT(gsi >= PCI_GSI_BASE && gsi < PCI_GSI_BASE + PCI_GSIS);
	EXPECT(m.level[gsi] != level);
	m.level[gsi] = level;
	m.levels++;
}

static int on_add_doorbell(void *opaque, uint64_t address, int eventfd)
{
	(void)opaque;
	if (m.no_doorbells || m.doorbells == 64)
		return -1;
	m.doorbell[m.doorbells] = address;
	m.doorbell_event[m.doorbells++] = eventfd;
	return 0;
}

static void on_remove_doorbell(void *opaque, uint64_t address, int eventfd)
{
	unsigned int i;

	(void)opaque;
	for (i = 0; i < m.doorbells; i++)
		if (m.doorbell[i] == address && m.doorbell_event[i] == eventfd)
			break;
	EXPECT(i < m.doorbells);
	m.doorbells--;
	m.doorbell[i] = m.doorbell[m.doorbells];
	m.doorbell_event[i] = m.doorbell_event[m.doorbells];
}

static inline void machine_init(void)
{
	const struct pci_platform platform = {
		.send_msi = on_msi, .set_irq = on_irq,
		.add_doorbell = on_add_doorbell, .remove_doorbell = on_remove_doorbell,
	};
	struct guest_memory memory = m.memory;
	struct failure why;

	memset(&m, 0, sizeof(m));
	m.memory = memory;
	if (!m.memory.count)
		EXPECT_EQ(0, memory_create(&m.memory, DRIVER_MEMORY, &why));
	bus_init(&m.bus);
	pci_host_init(&m.host, &m.bus, &m.memory, platform);
	bus_add(&m.bus, HULL_SPACE_PORT, 0xcf8, 8, &m.host.ports);
	bus_add(&m.bus, HULL_SPACE_MEMORY, PCI_ECAM, PCI_ECAM_SIZE, &m.host.ecam);
}

static inline uint64_t mem_read(uint64_t address, unsigned int size)
{
	return bus_read(&m.bus, HULL_SPACE_MEMORY, address, size);
}

static inline void mem_write(uint64_t address, uint64_t value, unsigned int size)
{
	bus_write(&m.bus, HULL_SPACE_MEMORY, address, value, size);
}

static inline uint64_t ecam(unsigned int slot, unsigned int offset)
{
	return PCI_ECAM + (slot << 15) + offset;
}

static inline uint32_t cfg_read(unsigned int slot, unsigned int offset, unsigned int size)
{
	return mem_read(ecam(slot, offset), size);
}

static inline void cfg_write(unsigned int slot, unsigned int offset, uint32_t value,
			     unsigned int size)
{
	mem_write(ecam(slot, offset), value, size);
}

/* The capability after @at, or the first one, with this id; 0: none. */
static inline unsigned int find_cap(unsigned int slot, unsigned int at, uint8_t id)
{
	at = cfg_read(slot, at ? at + 1 : PCI_CAPABILITY_LIST, 1);
	while (at && cfg_read(slot, at, 1) != id)
		at = cfg_read(slot, at + 1, 1);
	return at;
}

#endif
