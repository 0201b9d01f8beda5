// SPDX-License-Identifier: GPL-2.0
/*
 * The host bridge, its two ways to configuration space, and BARs. A BAR is decoded while the
 * command register says so and all of it lies in a window: elsewhere the bridge forwards nothing,
 * so no BAR hides memory, the IOAPIC or ECAM. BARs that overlap are decoded in the order in which
 * they were mapped. Writes change only bits that are writable; sizing a BAR needs no more.
 *
 * Bus mastering is not enforced: a device whose driver has set it up works without it.
 *
 * Locks: ports.lock > function->lock > line_lock, bus->lock.
 */
#include <linux/pci_regs.h>
#include <string.h>

#include "dev/pci.h"
#include "hull.h"

#define ADDRESS_ENABLE		(1U << 31)
#define ADDRESS_BITS		0x80fffffcU

/* The id many emulated machines have for a generic host bridge. */
#define BRIDGE_VENDOR		0x1b36
#define BRIDGE_DEVICE		0x0008
#define BRIDGE_CLASS		0x060000

#define COMMAND_BITS		(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE)
#define FIRST_CAPABILITY	0x40

/* ---- configuration space -------------------------------------------------------------------- */

uint32_t pci_config_get(const struct pci_function *function, unsigned int offset,
			unsigned int size)
{
	uint32_t value = 0;

	memcpy(&value, function->config + offset, size);
	return value;
}

void pci_config_put(struct pci_function *function, unsigned int offset, unsigned int size,
		    uint32_t value)
{
	memcpy(function->config + offset, &value, size);
}

static bool in_window(const struct pci_host *host, uint64_t address, uint64_t size)
{
	if (address >= PCI_WINDOW && address < PCI_WINDOW_END)
		return size <= PCI_WINDOW_END - address;
	if (address < host->window64)
		return false;
	return address - host->window64 < PCI_WINDOW64_SIZE &&
	       size <= PCI_WINDOW64_SIZE - (address - host->window64);
}

static uint64_t bar_address(const struct pci_function *function, unsigned int bar)
{
	unsigned int offset = PCI_BASE_ADDRESS_0 + 4 * bar;
	uint64_t address = pci_config_get(function, offset, 4);

	address &= PCI_BASE_ADDRESS_MEM_MASK;
	if (function->bar[bar].wide)
		address |= (uint64_t)pci_config_get(function, offset + 4, 4) << 32;
	return address;
}

static void update_bar(struct pci_function *function, unsigned int index)
{
	struct pci_bar *bar = &function->bar[index];
	uint64_t address = bar_address(function, index);
	bool mapped = (pci_config_get(function, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY) &&
		      in_window(function->host, address, bar->size);

	if (mapped == bar->mapped && (!mapped || address == bar->address))
		return;
	if (bar->mapped)
		bus_unmap(function->host->bus, &bar->device);
	/* There are fewer BARs than mappings: see BUS_MAPPINGS. */
	bar->mapped = mapped && !bus_map(function->host->bus, HULL_SPACE_MEMORY, address, bar->size,
					 &bar->device);
	bar->address = address;
	if (function->ops->bar_moved)
		function->ops->bar_moved(function, index);
}

static void update_bars(struct pci_function *function)
{
	unsigned int i;

	for (i = 0; i < PCI_BARS; i++)
		if (function->bar[i].size)
			update_bar(function, i);
}

/* ---- interrupts ----------------------------------------------------------------------------- */

bool pci_msix_enabled(const struct pci_function *function)
{
	const struct pci_msix *msix = &function->msix;

	return msix->count && (pci_config_get(function, msix->cap + PCI_MSIX_FLAGS, 2) &
			       PCI_MSIX_FLAGS_ENABLE);
}

static bool msix_masked(const struct pci_function *function, unsigned int vector)
{
	const struct pci_msix *msix = &function->msix;

	return (pci_config_get(function, msix->cap + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_MASKALL) ||
	       (msix->entry[vector].control & PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

bool pci_msix_message(const struct pci_function *function, unsigned int vector, uint64_t *address,
		      uint32_t *data)
{
	const struct pci_msix *msix = &function->msix;
	const struct pci_msix_entry *entry;

	if (vector >= msix->count || !pci_msix_enabled(function) || msix_masked(function, vector))
		return false;
	entry = &msix->entry[vector];
	*address = (uint64_t)entry->address_high << 32 | entry->address_low;
	*data = entry->data;
	return true;
}

void pci_msix_send(struct pci_function *function, unsigned int vector)
{
	const struct pci_platform *platform = &function->host->platform;
	struct pci_msix *msix = &function->msix;
	uint64_t address;
	uint32_t data;

	if (vector >= msix->count || !pci_msix_enabled(function))
		return;
	if (!pci_msix_message(function, vector, &address, &data)) {
		msix->pending |= 1ULL << vector;
		return;
	}
	msix->pending &= ~(1ULL << vector);
	platform->send_msi(platform->opaque, address, data);
}

/* After something was unmasked, or changed. */
static void msix_update(struct pci_function *function)
{
	struct pci_msix *msix = &function->msix;
	unsigned int i;

	if (pci_msix_enabled(function))
		for (i = 0; i < msix->count; i++)
			if ((msix->pending & 1ULL << i) && !msix_masked(function, i))
				pci_msix_send(function, i);
	if (function->ops->msix_changed)
		function->ops->msix_changed(function);
}

/* A line is up while one of the functions that share it wants it. */
static void update_intx(struct pci_function *function)
{
	struct pci_host *host = function->host;
	bool raise = function->intx && !pci_msix_enabled(function) &&
		     !(pci_config_get(function, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE);
	unsigned int line = function->slot % PCI_GSIS;
	unsigned int status = pci_config_get(function, PCI_STATUS, 2) & ~PCI_STATUS_INTERRUPT;

	pci_config_put(function, PCI_STATUS, 2,
		       status | (function->intx ? PCI_STATUS_INTERRUPT : 0));
	if (raise == function->intx_raised)
		return;
	function->intx_raised = raise;
	pthread_mutex_lock(&host->line_lock);
	if (raise ? !host->raised[line]++ : !--host->raised[line])
		host->platform.set_irq(host->platform.opaque, PCI_GSI(function->slot), raise);
	pthread_mutex_unlock(&host->line_lock);
}

void pci_set_intx(struct pci_function *function, bool level)
{
	function->intx = level;
	update_intx(function);
}

/* ---- accesses ------------------------------------------------------------------------------- */

/* The table, then the pending bits at half of the BAR. */
static uint64_t msix_read(struct pci_function *function, uint64_t offset, unsigned int size)
{
	const struct pci_msix *msix = &function->msix;
	uint64_t half = function->bar[msix->bar].size / 2, value = 0;

	if (offset + size <= msix->count * sizeof(msix->entry[0]))
		memcpy(&value, (const uint8_t *)msix->entry + offset, size);
	else if (offset >= half && offset + size <= half + sizeof(msix->pending))
		memcpy(&value, (const uint8_t *)&msix->pending + (offset - half), size);
	return value;
}

static void msix_write(struct pci_function *function, uint64_t offset, uint64_t value,
		       unsigned int size)
{
	struct pci_msix *msix = &function->msix;
	struct pci_msix_entry *entry;

	/* Software writes whole words, or pairs of them. */
	if ((size != 4 && size != 8) || offset % size ||
	    offset + size > msix->count * sizeof(*entry))
		return;
	entry = &msix->entry[offset / sizeof(*entry)];
	memcpy((uint8_t *)msix->entry + offset, &value, size);
	entry->address_low &= ~3U;
	entry->control &= PCI_MSIX_ENTRY_CTRL_MASKBIT;
	msix_update(function);
}

static uint64_t bar_read(struct device *device, uint64_t offset, unsigned int size)
{
	struct pci_bar *bar = (struct pci_bar *)device;
	struct pci_function *function = bar->function;
	unsigned int index = bar - function->bar;
	uint64_t value;

	pthread_mutex_lock(function->lock);
	if (function->msix.count && index == function->msix.bar)
		value = msix_read(function, offset, size);
	else
		value = function->ops->read(function, index, offset, size);
	pthread_mutex_unlock(function->lock);
	return value;
}

static void bar_write(struct device *device, uint64_t offset, uint64_t value, unsigned int size)
{
	struct pci_bar *bar = (struct pci_bar *)device;
	struct pci_function *function = bar->function;
	unsigned int index = bar - function->bar;

	pthread_mutex_lock(function->lock);
	if (function->msix.count && index == function->msix.bar)
		msix_write(function, offset, value, size);
	else
		function->ops->write(function, index, offset, value, size);
	pthread_mutex_unlock(function->lock);
}

uint32_t pci_config_read(struct pci_function *function, unsigned int offset, unsigned int size)
{
	uint32_t value;

	/* There is no extended space: these are no PCI Express functions. */
	if (offset > PCI_CONFIG_SIZE - size)
		return all_ones(size);
	pthread_mutex_lock(function->lock);
	if (function->ops->config_read)
		function->ops->config_read(function, offset, size);
	value = pci_config_get(function, offset, size);
	pthread_mutex_unlock(function->lock);
	return value;
}

void pci_config_write(struct pci_function *function, unsigned int offset, unsigned int size,
		      uint32_t value)
{
	unsigned int i;

	if (offset > PCI_CONFIG_SIZE - size)
		return;
	pthread_mutex_lock(function->lock);
	for (i = 0; i < size; i++) {
		uint8_t mask = function->writable[offset + i];

		function->config[offset + i] = (function->config[offset + i] & ~mask) |
					       (value >> 8 * i & mask);
	}
	/* What a write can have changed; each looks whether it did. */
	update_bars(function);
	update_intx(function);
	if (function->msix.count && offset < function->msix.cap + 4 &&
	    offset + size > function->msix.cap)
		msix_update(function);
	if (function->ops->config_written)
		function->ops->config_written(function, offset, size);
	pthread_mutex_unlock(function->lock);
}

/* ---- the host bridge ------------------------------------------------------------------------ */

static struct pci_function *find(struct pci_host *host, unsigned int bus, unsigned int devfn)
{
	return bus || (devfn & 7) ? NULL : host->slot[devfn >> 3];
}

static uint64_t ports_read(struct device *device, uint64_t offset, unsigned int size)
{
	struct pci_host *host = (struct pci_host *)device;
	struct pci_function *function;
	uint32_t address = host->address;

	if (offset == 0 && size == 4)
		return address;
	if (offset < 4 || !(address & ADDRESS_ENABLE) || offset % size)
		return UINT64_MAX;
	function = find(host, address >> 16 & 0xff, address >> 8 & 0xff);
	if (!function)
		return UINT64_MAX;
	return pci_config_read(function, (address & 0xfc) + offset - 4, size);
}

static void ports_write(struct device *device, uint64_t offset, uint64_t value, unsigned int size)
{
	struct pci_host *host = (struct pci_host *)device;
	struct pci_function *function;
	uint32_t address = host->address;

	if (offset == 0 && size == 4)
		host->address = value & ADDRESS_BITS;
	if (offset < 4 || !(address & ADDRESS_ENABLE) || offset % size)
		return;
	function = find(host, address >> 16 & 0xff, address >> 8 & 0xff);
	if (function)
		pci_config_write(function, (address & 0xfc) + offset - 4, size, value);
}

static struct pci_host *host_of_ecam(struct device *device)
{
	return (struct pci_host *)((char *)device - offsetof(struct pci_host, ecam));
}

static uint64_t ecam_read(struct device *device, uint64_t offset, unsigned int size)
{
	struct pci_host *host = host_of_ecam(device);
	struct pci_function *function = find(host, offset >> 20, offset >> 12 & 0xff);

	if (!function || offset % size)
		return UINT64_MAX;
	return pci_config_read(function, offset & 0xfff, size);
}

static void ecam_write(struct device *device, uint64_t offset, uint64_t value, unsigned int size)
{
	struct pci_host *host = host_of_ecam(device);
	struct pci_function *function = find(host, offset >> 20, offset >> 12 & 0xff);

	if (function && offset % size == 0)
		pci_config_write(function, offset & 0xfff, size, value);
}

void pci_host_init(struct pci_host *host, struct bus *bus, const struct guest_memory *memory,
		   struct pci_platform platform)
{
	static const struct pci_id id = {
		.vendor = BRIDGE_VENDOR, .device = BRIDGE_DEVICE, .class = BRIDGE_CLASS,
	};
	static const struct pci_ops none = { .read = NULL };

	memset(host, 0, sizeof(*host));
	host->ports = (struct device){
		.name = "pci ports", .width = 4, .read = ports_read, .write = ports_write,
	};
	host->ecam = (struct device){
		.name = "pci ecam", .width = 4, .own_locks = true,
		.read = ecam_read, .write = ecam_write,
	};
	device_init(&host->ports);
	device_init(&host->ecam);
	pthread_mutex_init(&host->bridge_lock, NULL);
	pthread_mutex_init(&host->line_lock, NULL);
	host->bus = bus;
	host->platform = platform;
	host->window64 = pci_window64(memory);
	pci_function_init(&host->bridge, "host bridge", &id, &none, &host->bridge_lock);
	pci_add_function(host, &host->bridge);
}

/* ---- building ------------------------------------------------------------------------------- */

void pci_function_init(struct pci_function *function, const char *name, const struct pci_id *id,
		       const struct pci_ops *ops, pthread_mutex_t *lock)
{
	memset(function, 0, sizeof(*function));
	function->name = name;
	function->ops = ops;
	function->lock = lock;
	pci_config_put(function, PCI_VENDOR_ID, 2, id->vendor);
	pci_config_put(function, PCI_DEVICE_ID, 2, id->device);
	pci_config_put(function, PCI_CLASS_REVISION, 4, id->class << 8 | id->revision);
	pci_config_put(function, PCI_SUBSYSTEM_VENDOR_ID, 2, id->subsystem_vendor);
	pci_config_put(function, PCI_SUBSYSTEM_ID, 2, id->subsystem);
	memcpy(function->writable + PCI_COMMAND, &(uint16_t){ COMMAND_BITS }, 2);
	function->writable[PCI_CACHE_LINE_SIZE] = 0xff;
	function->writable[PCI_LATENCY_TIMER] = 0xff;
	function->writable[PCI_INTERRUPT_LINE] = 0xff;
	function->cap_end = FIRST_CAPABILITY;
	function->cap_last = PCI_CAPABILITY_LIST;
}

void pci_add_bar(struct pci_function *function, unsigned int index, uint64_t size, bool wide)
{
	struct pci_bar *bar = &function->bar[index];
	unsigned int offset = PCI_BASE_ADDRESS_0 + 4 * index;
	uint64_t mask = ~(size - 1);

	bar->size = size;
	bar->wide = wide;
	bar->function = function;
	bar->device = (struct device){
		.name = function->name, .width = 8, .own_locks = true,
		.read = bar_read, .write = bar_write,
	};
	device_init(&bar->device);
	pci_config_put(function, offset, 4, wide ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0);
	memcpy(function->writable + offset, &mask, wide ? 8 : 4);
}

unsigned int pci_add_capability(struct pci_function *function, uint8_t id, unsigned int size)
{
	unsigned int at = function->cap_end;

	function->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	function->config[function->cap_last] = at;
	function->config[at + PCI_CAP_LIST_ID] = id;
	function->cap_last = at + PCI_CAP_LIST_NEXT;
	function->cap_end = align_up(at + size, 4);
	return at;
}

void pci_add_msix(struct pci_function *function, unsigned int bar, unsigned int count)
{
	struct pci_msix *msix = &function->msix;
	unsigned int i;

	/* Half of it is for the table, PCI_MSIX_MAX entries of 16 bytes fit in. */
	pci_add_bar(function, bar, PAGE_SIZE, false);
	msix->bar = bar;
	msix->count = count < PCI_MSIX_MAX ? count : PCI_MSIX_MAX;
	msix->cap = pci_add_capability(function, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);
	pci_config_put(function, msix->cap + PCI_MSIX_FLAGS, 2, msix->count - 1);
	pci_config_put(function, msix->cap + PCI_MSIX_TABLE, 4, bar);
	pci_config_put(function, msix->cap + PCI_MSIX_PBA, 4, PAGE_SIZE / 2 | bar);
	function->writable[msix->cap + PCI_MSIX_FLAGS + 1] =
		(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL) >> 8;
	for (i = 0; i < msix->count; i++)
		msix->entry[i].control = PCI_MSIX_ENTRY_CTRL_MASKBIT;
}

int pci_add_function(struct pci_host *host, struct pci_function *function)
{
	unsigned int slot = 0;

	while (slot < PCI_SLOTS && host->slot[slot])
		slot++;
	if (slot == PCI_SLOTS)
		return -1;
	function->host = host;
	function->slot = slot;
	host->slot[slot] = function;
	if (function != &host->bridge) {
		function->config[PCI_INTERRUPT_PIN] = 1;
		function->config[PCI_INTERRUPT_LINE] = PCI_GSI(slot);
	}
	return 0;
}

int pci_host_assign(struct pci_host *host, struct failure *why)
{
	uint64_t next = PCI_WINDOW;
	unsigned int slot, bar;

	for (slot = 0; slot < PCI_SLOTS && host->slot[slot]; slot++) {
		struct pci_function *function = host->slot[slot];

		for (bar = 0; bar < PCI_BARS; bar++) {
			uint64_t size = function->bar[bar].size;

			if (!size)
				continue;
			next = align_up(next, size < PAGE_SIZE ? PAGE_SIZE : size);
			if (next > PCI_WINDOW_END - size)
				return fail(why, "the memory of PCI devices does not fit");
			pci_config_write(function, PCI_BASE_ADDRESS_0 + 4 * bar, 4, next);
			next += size;
		}
		if (function != &host->bridge)
			pci_config_write(function, PCI_COMMAND, 2,
					 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	}
	return 0;
}
