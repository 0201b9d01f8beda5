/* SPDX-License-Identifier: GPL-2.0 */
/*
 * PCI: a host bridge with one bus, and what its functions share: configuration space, BARs,
 * capabilities, MSI-X and an INTx line.
 *
 * A device owns a struct pci_function, fills it with the functions below, and adds it to the bus
 * before the first vCPU runs. From then on all of it is guarded by function->lock, which is the
 * device's own mutex; the callbacks of struct pci_ops are called with it held.
 */
#ifndef HULL_DEV_PCI_H
#define HULL_DEV_PCI_H

#include <stdbool.h>
#include <stdint.h>

#include "machine/bus.h"
#include "machine/failure.h"
#include "machine/memory.h"

/* Where the hole below 4 GiB has what; the DSDT of PCI (boot/pci.asl) says the same. */
#define PCI_WINDOW		0xc0000000ULL	/* BARs */
#define PCI_WINDOW_END		0xe0000000ULL
#define PCI_ECAM		0xe0000000ULL
#define PCI_ECAM_SIZE		0x100000ULL	/* one bus */

/* Above guest memory there is a second window, for 64-bit BARs that the guest moves there. */
#define PCI_WINDOW64_SIZE	(4 * GIB)

static inline uint64_t pci_window64(const struct guest_memory *memory)
{
	return align_up(MEMORY_HOLE_END + memory_high_size(memory), GIB);
}

#define PCI_SLOTS		32
#define PCI_BARS		6
#define PCI_CONFIG_SIZE		256

/* The line of a slot's INTA: IOAPIC pins that are nobody else's, shared by slots. */
#define PCI_GSI_BASE		16
#define PCI_GSIS		8
#define PCI_GSI(slot)		(PCI_GSI_BASE + (slot) % PCI_GSIS)

#define PCI_MSIX_MAX		64	/* vectors of a function */
#define PCI_NO_VECTOR		0xffff

struct pci_function;

/**
 * struct pci_ops - the device behind a function; called with function->lock held
 * @read: a BAR, @offset within it; accesses do not cross the end, and are 1, 2, 4 or 8 bytes wide
 * @write: the same
 * @bar_moved: optional: the BAR's address or whether it is decoded has changed
 * @msix_changed: optional: an unmasked vector's message, or whether MSI-X is on, has changed
 * @config_read: optional: before configuration space at @offset is read
 * @config_written: optional: after it was written
 */
struct pci_ops {
	uint64_t (*read)(struct pci_function *function, unsigned int bar, uint64_t offset,
			 unsigned int size);
	void (*write)(struct pci_function *function, unsigned int bar, uint64_t offset,
		      uint64_t value, unsigned int size);
	void (*bar_moved)(struct pci_function *function, unsigned int bar);
	void (*msix_changed)(struct pci_function *function);
	void (*config_read)(struct pci_function *function, unsigned int offset, unsigned int size);
	void (*config_written)(struct pci_function *function, unsigned int offset,
			       unsigned int size);
};

struct pci_bar {
	struct device device;
	struct pci_function *function;
	uint64_t size;			/* a power of two; 0: there is none */
	bool wide;			/* 64 bits, with the next BAR */
	bool mapped;			/* decoded, at address */
	uint64_t address;
};

struct pci_msix_entry {
	uint32_t address_low, address_high, data, control;
};

struct pci_msix {
	unsigned int count;		/* 0: there is none */
	unsigned int bar;
	unsigned int cap;
	struct pci_msix_entry entry[PCI_MSIX_MAX];
	uint64_t pending;
};

struct pci_function {
	struct pci_host *host;
	const struct pci_ops *ops;
	const char *name;
	unsigned int slot;
	pthread_mutex_t *lock;
	uint8_t config[PCI_CONFIG_SIZE];
	uint8_t writable[PCI_CONFIG_SIZE];
	unsigned int cap_end, cap_last;
	struct pci_bar bar[PCI_BARS];
	struct pci_msix msix;
	bool intx;			/* wanted by the device */
	bool intx_raised;		/* seen by the line */
};

/**
 * struct pci_platform - what the machine does for PCI
 * @send_msi: a message; the guest chose its address and data
 * @set_irq: level of a line
 * @add_doorbell: optional: let the module signal @eventfd for writes of up to 4 bytes at @address;
 *	-1: it does not, and the write comes by the bus
 * @remove_doorbell: the same arguments
 * @add_irqfd: optional: let each signal of @eventfd be this message, by whom ever. Again, with
 *	another message: that one from now on. -1: it is none, and stays in the eventfd
 * @remove_irqfd: undo that, if it was done; what was not taken stays in the eventfd
 */
struct pci_platform {
	void (*send_msi)(void *opaque, uint64_t address, uint32_t data);
	void (*set_irq)(void *opaque, unsigned int gsi, bool level);
	int (*add_doorbell)(void *opaque, uint64_t address, int eventfd);
	void (*remove_doorbell)(void *opaque, uint64_t address, int eventfd);
	int (*add_irqfd)(void *opaque, int eventfd, uint64_t address, uint32_t data);
	void (*remove_irqfd)(void *opaque, int eventfd);
	void *opaque;
};

struct pci_host {
	struct device ports;		/* behind dev/reset.h; its lock guards address */
	struct device ecam;
	struct pci_platform platform;
	struct bus *bus;
	uint64_t window64;
	uint32_t address;		/* the register at 0xcf8 */
	struct pci_function *slot[PCI_SLOTS];	/* constant once vCPUs run */
	struct pci_function bridge;
	pthread_mutex_t bridge_lock;
	pthread_mutex_t line_lock;	/* innermost; guards raised */
	unsigned int raised[PCI_GSIS];	/* functions that hold the line up */
};

void pci_host_init(struct pci_host *host, struct bus *bus, const struct guest_memory *memory,
		   struct pci_platform platform);

/* Gives BARs of all functions addresses and lets them be decoded, as a BIOS does. */
int pci_host_assign(struct pci_host *host, struct failure *why);

/* ---- building a function, before the first vCPU runs ---------------------------------------- */

struct pci_id {
	uint16_t vendor, device;
	uint16_t subsystem_vendor, subsystem;
	uint32_t class;			/* 24 bits */
	uint8_t revision;
};

void pci_function_init(struct pci_function *function, const char *name, const struct pci_id *id,
		       const struct pci_ops *ops, pthread_mutex_t *lock);

/* @size: a power of two from 16 on. A wide BAR takes the next one as well. */
void pci_add_bar(struct pci_function *function, unsigned int bar, uint64_t size, bool wide);

/* A capability of @size bytes, its id and next pointer included; returns its place. */
unsigned int pci_add_capability(struct pci_function *function, uint8_t id, unsigned int size);

/* MSI-X with @count vectors, in a BAR of its own. */
void pci_add_msix(struct pci_function *function, unsigned int bar, unsigned int count);

/* Takes the next free slot; -1: there is none. */
int pci_add_function(struct pci_host *host, struct pci_function *function);

/* ---- at run time, with function->lock held -------------------------------------------------- */

bool pci_msix_enabled(const struct pci_function *function);

/* Sends the vector's message; one that is masked stays pending. PCI_NO_VECTOR: nothing. */
void pci_msix_send(struct pci_function *function, unsigned int vector);

/* What pci_msix_send() would send at once; false: nothing, or not now. */
bool pci_msix_message(const struct pci_function *function, unsigned int vector, uint64_t *address,
		      uint32_t *data);

/* The INTx line, which is silent while MSI-X is on or the guest has disabled it. */
void pci_set_intx(struct pci_function *function, bool level);

/* Configuration space, little endian, of 1, 2 or 4 bytes, aligned. */
uint32_t pci_config_get(const struct pci_function *function, unsigned int offset,
			unsigned int size);
void pci_config_put(struct pci_function *function, unsigned int offset, unsigned int size,
		    uint32_t value);

/* Accesses from the bus, for tests and host bridge: take function->lock. */
uint32_t pci_config_read(struct pci_function *function, unsigned int offset, unsigned int size);
void pci_config_write(struct pci_function *function, unsigned int offset, unsigned int size,
		      uint32_t value);

#endif
