/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The bus: which device answers a port or an address.
 */
#ifndef HULL_MACHINE_BUS_H
#define HULL_MACHINE_BUS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define BUS_RANGES	32
#define BUS_MAPPINGS	128

/**
 * struct device - what the bus knows of a device; a member of the device's own structure
 * @name: for messages
 * @width: widest access it answers in bytes; wider ones reach it a byte at a time
 * @own_locks: @read and @write take what locks they need themselves
 * @read: @offset is counted from the start of the range
 * @write: the same
 * @lock: held around @read and @write; a device's other entries take it themselves
 */
struct device {
	const char *name;
	unsigned int width;
	bool own_locks;
	uint64_t (*read)(struct device *device, uint64_t offset, unsigned int size);
	void (*write)(struct device *device, uint64_t offset, uint64_t value, unsigned int size);
	pthread_mutex_t lock;
};

struct bus_range {
	uint32_t space;
	uint64_t start;
	uint64_t length;
	struct device *device;
};

/*
 * Ranges are added before the first vCPU runs, and stay. Mappings come, go and move while vCPUs
 * run; ranges go before them, and an older mapping before a younger one.
 */
struct bus {
	struct bus_range range[BUS_RANGES];
	unsigned int count;
	FILE *trace;		/* not NULL: say here what no device claims */
	pthread_rwlock_t lock;	/* guards what follows; nothing is called with it held */
	struct bus_range mapping[BUS_MAPPINGS];
	unsigned int mappings;
};

void device_init(struct device *device);
void bus_init(struct bus *bus);
int bus_add(struct bus *bus, uint32_t space, uint64_t start, uint64_t length,
	    struct device *device);

/*
 * Any thread, a vCPU's in an access included. A device stays as long as the machine: an access that
 * was under way when its mapping went still reaches it. -1: there are BUS_MAPPINGS.
 */
int bus_map(struct bus *bus, uint32_t space, uint64_t start, uint64_t length,
	    struct device *device);
void bus_unmap(struct bus *bus, const struct device *device);

/* Nothing there reads as all ones; writes to it are lost. @size: 1, 2, 4 or 8. */
uint64_t bus_read(struct bus *bus, uint32_t space, uint64_t address, unsigned int size);
void bus_write(struct bus *bus, uint32_t space, uint64_t address, uint64_t value,
	       unsigned int size);

static inline uint64_t all_ones(unsigned int size)
{
	return size >= 8 ? UINT64_MAX : (1ULL << 8 * size) - 1;
}

#endif
