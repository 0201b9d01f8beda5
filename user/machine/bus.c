// SPDX-License-Identifier: GPL-2.0
/*
 * Finds the device of an access, cuts accesses that are too wide for it or that reach beyond it
 * into bytes, as an ISA bridge does, and takes the device's lock.
 *
 * Locks: the table of ranges is constant while vCPUs run; bus->lock guards the mappings, and is
 * innermost: a range is copied under it, the device called without it. Each device has a mutex.
 */
#include <string.h>

#include "hull.h"
#include "machine/bus.h"

void device_init(struct device *device)
{
	pthread_mutex_init(&device->lock, NULL);
}

void bus_init(struct bus *bus)
{
	memset(bus, 0, sizeof(*bus));
	pthread_rwlock_init(&bus->lock, NULL);
}

int bus_add(struct bus *bus, uint32_t space, uint64_t start, uint64_t length,
	    struct device *device)
{
	if (bus->count == BUS_RANGES)
		return -1;
	bus->range[bus->count++] = (struct bus_range){
		.space = space, .start = start, .length = length, .device = device,
	};
	return 0;
}

int bus_map(struct bus *bus, uint32_t space, uint64_t start, uint64_t length,
	    struct device *device)
{
	int ret = -1;

	pthread_rwlock_wrlock(&bus->lock);
	if (bus->mappings < BUS_MAPPINGS) {
		bus->mapping[bus->mappings++] = (struct bus_range){
			.space = space, .start = start, .length = length, .device = device,
		};
		ret = 0;
	}
	pthread_rwlock_unlock(&bus->lock);
	return ret;
}

void bus_unmap(struct bus *bus, const struct device *device)
{
	unsigned int from, to = 0;

	pthread_rwlock_wrlock(&bus->lock);
	for (from = 0; from < bus->mappings; from++)
		if (bus->mapping[from].device != device)
			bus->mapping[to++] = bus->mapping[from];
	bus->mappings = to;
	pthread_rwlock_unlock(&bus->lock);
}

static bool find_in(const struct bus_range *range, unsigned int count, uint32_t space,
		    uint64_t address, struct bus_range *found)
{
	for (; count; count--, range++) {
		if (range->space == space && address >= range->start &&
		    address - range->start < range->length) {
			*found = *range;
			return true;
		}
	}
	return false;
}

static bool find(struct bus *bus, uint32_t space, uint64_t address, struct bus_range *found)
{
	bool ret;

	if (find_in(bus->range, bus->count, space, address, found))
		return true;
	pthread_rwlock_rdlock(&bus->lock);
	ret = find_in(bus->mapping, bus->mappings, space, address, found);
	pthread_rwlock_unlock(&bus->lock);
	return ret;
}

static void trace(const struct bus *bus, uint32_t space, uint64_t address, unsigned int size,
		  const char *what)
{
	if (bus->trace)
		fprintf(bus->trace, "hull: unclaimed %s of %u byte%s at %s 0x%llx\r\n", what, size,
			size == 1 ? "" : "s", space == HULL_SPACE_PORT ? "port" : "memory",
			(unsigned long long)address);
}

/* Can the device take the access in one piece? */
static bool fits(const struct bus_range *range, uint64_t address, unsigned int size)
{
	return size <= range->device->width && size <= range->length - (address - range->start);
}

/* A wide access to nothing: is a device behind its later bytes? */
static bool nothing_in(struct bus *bus, uint32_t space, uint64_t address, unsigned int size)
{
	struct bus_range range;
	unsigned int i;

	for (i = 0; i < size; i++)
		if (find(bus, space, address + i, &range))
			return false;
	return true;
}

static void lock(struct device *device)
{
	if (!device->own_locks)
		pthread_mutex_lock(&device->lock);
}

static void unlock(struct device *device)
{
	if (!device->own_locks)
		pthread_mutex_unlock(&device->lock);
}

uint64_t bus_read(struct bus *bus, uint32_t space, uint64_t address, unsigned int size)
{
	struct bus_range range;
	bool found = find(bus, space, address, &range);
	uint64_t value = 0;
	unsigned int i;

	if (found && fits(&range, address, size)) {
		lock(range.device);
		value = range.device->read(range.device, address - range.start, size);
		unlock(range.device);
		return value & all_ones(size);
	}
	if (!found && nothing_in(bus, space, address, size)) {
		trace(bus, space, address, size, "read");
		return all_ones(size);
	}
	if (size == 1)
		return all_ones(1);
	for (i = 0; i < size; i++)
		value |= bus_read(bus, space, address + i, 1) << 8 * i;
	return value;
}

void bus_write(struct bus *bus, uint32_t space, uint64_t address, uint64_t value,
	       unsigned int size)
{
	struct bus_range range;
	bool found = find(bus, space, address, &range);
	unsigned int i;

	if (found && fits(&range, address, size)) {
		lock(range.device);
		range.device->write(range.device, address - range.start, value & all_ones(size),
				    size);
		unlock(range.device);
		return;
	}
	if (!found && nothing_in(bus, space, address, size)) {
		trace(bus, space, address, size, "write");
		return;
	}
	for (i = 0; size > 1 && i < size; i++)
		bus_write(bus, space, address + i, value >> 8 * i & 0xff, 1);
}
