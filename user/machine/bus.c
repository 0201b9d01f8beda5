// SPDX-License-Identifier: GPL-2.0
/*
 * Finds the device of an access, cuts accesses that are too wide for it or that reach beyond it
 * into bytes, as an ISA bridge does, and takes the device's lock.
 *
 * Locks: the table is constant while vCPUs run; each device has a mutex.
 */
#include "hull.h"
#include "machine/bus.h"

void device_init(struct device *device)
{
	pthread_mutex_init(&device->lock, NULL);
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

static const struct bus_range *find(const struct bus *bus, uint32_t space, uint64_t address)
{
	unsigned int i;

	for (i = 0; i < bus->count; i++) {
		const struct bus_range *range = &bus->range[i];

		if (range->space == space && address >= range->start &&
		    address - range->start < range->length)
			return range;
	}
	return NULL;
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
static bool nothing_in(const struct bus *bus, uint32_t space, uint64_t address, unsigned int size)
{
	unsigned int i;

	for (i = 0; i < size; i++)
		if (find(bus, space, address + i))
			return false;
	return true;
}

uint64_t bus_read(const struct bus *bus, uint32_t space, uint64_t address, unsigned int size)
{
	const struct bus_range *range = find(bus, space, address);
	uint64_t value = 0;
	unsigned int i;

	if (range && fits(range, address, size)) {
		pthread_mutex_lock(&range->device->lock);
		value = range->device->read(range->device, address - range->start, size);
		pthread_mutex_unlock(&range->device->lock);
		return value & all_ones(size);
	}
	if (!range && nothing_in(bus, space, address, size)) {
		trace(bus, space, address, size, "read");
		return all_ones(size);
	}
	if (size == 1)
		return all_ones(1);
	for (i = 0; i < size; i++)
		value |= bus_read(bus, space, address + i, 1) << 8 * i;
	return value;
}

void bus_write(const struct bus *bus, uint32_t space, uint64_t address, uint64_t value,
	       unsigned int size)
{
	const struct bus_range *range = find(bus, space, address);
	unsigned int i;

	if (range && fits(range, address, size)) {
		pthread_mutex_lock(&range->device->lock);
		range->device->write(range->device, address - range->start,
				     value & all_ones(size), size);
		pthread_mutex_unlock(&range->device->lock);
		return;
	}
	if (!range && nothing_in(bus, space, address, size)) {
		trace(bus, space, address, size, "write");
		return;
	}
	for (i = 0; size > 1 && i < size; i++)
		bus_write(bus, space, address + i, value >> 8 * i & 0xff, 1);
}
