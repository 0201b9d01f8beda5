// SPDX-License-Identifier: GPL-2.0
/*
 * The small guest memory that the walker reads and writes here. See test.h.
 */
#include "test.h"

static int check_range(uint64_t gpa, size_t len)
{
	return gpa < MEMORY_SIZE && len <= MEMORY_SIZE - gpa ? 0 : -ENXIO;
}

static int read_memory(void *context, u64 gpa, u64 *entry, size_t len)
{
	struct memory *memory = context;

	if (check_range(gpa, len))
		return -ENXIO;
	memcpy(entry, memory->bytes + gpa, len);
	return 0;
}

static int exchange_memory(void *context, u64 gpa, u64 *old, u64 new, size_t len)
{
	struct memory *memory = context;
	u64 found = 0;

	if (check_range(gpa, len))
		return -ENXIO;
	memory->exchanges++;
	if (memory->before_exchange)
		memory->before_exchange(memory, gpa);
	memcpy(&found, memory->bytes + gpa, len);
	if (found == *old)
		memcpy(memory->bytes + gpa, &new, len);
	*old = found;
	return 0;
}

struct hull_walk_memory memory_of(struct memory *memory)
{
	return (struct hull_walk_memory) {
		.read = read_memory, .exchange = exchange_memory, .context = memory,
	};
}

void put32(struct memory *memory, uint64_t gpa, uint32_t value)
{
	memcpy(memory->bytes + gpa, &value, sizeof(value));
}

void put64(struct memory *memory, uint64_t gpa, uint64_t value)
{
	memcpy(memory->bytes + gpa, &value, sizeof(value));
}

uint64_t get64(const struct memory *memory, uint64_t gpa)
{
	uint64_t value;

	memcpy(&value, memory->bytes + gpa, sizeof(value));
	return value;
}
