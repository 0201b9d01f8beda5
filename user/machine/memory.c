// SPDX-License-Identifier: GPL-2.0
/*
 * Guest memory is private anonymous memory of this process, so that THP, KSM, swap and overcommit
 * work as for any program. The guest may change it at any time: what is read from it is read once
 * and then checked.
 *
 * No locks: the table does not change after memory_create().
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "machine/memory.h"

#define HUGE_PAGE	(2ULL << 20)

/* Huge pages need guest-physical and host addresses that agree in the lower bits. */
static void *map_aligned(uint64_t size)
{
	uint8_t *map, *aligned;
	size_t before;

	map = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return MAP_FAILED;
	aligned = (uint8_t *)(((uintptr_t)map + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
	before = aligned - map;
	if (before)
		munmap(map, before);
	munmap(aligned + size, HUGE_PAGE - before);
	return aligned;
}

static int add_region(struct guest_memory *memory, uint64_t gpa, uint64_t size, struct failure *why)
{
	struct memory_region *region = &memory->region[memory->count];

	region->host = map_aligned(size);
	if (region->host == MAP_FAILED)
		return fail(why, "cannot map %llu MiB of guest memory: %s",
			    (unsigned long long)(size / MIB), strerror(errno));
	/* A hint: kernels without transparent huge pages refuse it. */
	madvise(region->host, size, MADV_HUGEPAGE);
	/* No process that is started here gets a copy. */
	madvise(region->host, size, MADV_DONTFORK);
	region->gpa = gpa;
	region->size = size;
	memory->count++;
	return 0;
}

int memory_create(struct guest_memory *memory, uint64_t size, struct failure *why)
{
	uint64_t low = size < MEMORY_HOLE_START ? size : MEMORY_HOLE_START;

	memset(memory, 0, sizeof(*memory));
	if (size < MEMORY_MIN || size > MEMORY_MAX || size % PAGE_SIZE)
		return fail(why, "memory of %llu KiB: it must be between 1 MiB and 1 TiB and a "
			    "multiple of 4 KiB", (unsigned long long)(size / 1024));
	memory->size = size;
	if (add_region(memory, 0, low, why))
		return -1;
	if (size > low && add_region(memory, MEMORY_HOLE_END, size - low, why)) {
		memory_destroy(memory);
		return -1;
	}
	return 0;
}

void memory_destroy(struct guest_memory *memory)
{
	while (memory->count) {
		memory->count--;
		munmap(memory->region[memory->count].host, memory->region[memory->count].size);
	}
}

uint64_t memory_low_end(const struct guest_memory *memory)
{
	return memory->region[0].size;
}

uint64_t memory_high_size(const struct guest_memory *memory)
{
	return memory->count > 1 ? memory->region[1].size : 0;
}

void *memory_at(const struct guest_memory *memory, uint64_t gpa, uint64_t size)
{
	unsigned int i;

	for (i = 0; i < memory->count; i++) {
		const struct memory_region *region = &memory->region[i];

		if (gpa >= region->gpa && gpa - region->gpa <= region->size &&
		    size <= region->size - (gpa - region->gpa))
			return (char *)region->host + (gpa - region->gpa);
	}
	return NULL;
}

int memory_write(const struct guest_memory *memory, uint64_t gpa, const void *data, uint64_t size)
{
	void *at = memory_at(memory, gpa, size);

	if (!at)
		return -1;
	if (size)
		memcpy(at, data, size);
	return 0;
}

int memory_read(const struct guest_memory *memory, uint64_t gpa, void *data, uint64_t size)
{
	const void *at = memory_at(memory, gpa, size);

	if (!at)
		return -1;
	if (size)
		memcpy(data, at, size);
	return 0;
}

int memory_zero(const struct guest_memory *memory, uint64_t gpa, uint64_t size)
{
	void *at = memory_at(memory, gpa, size);

	if (!at)
		return -1;
	if (size)
		memset(at, 0, size);
	return 0;
}

void memory_written(const struct guest_memory *memory, const void *at, uint64_t size)
{
	unsigned int i;

	if (!memory->written || !size)
		return;
	for (i = 0; i < memory->count; i++) {
		const struct memory_region *region = &memory->region[i];
		uint64_t offset = (uintptr_t)at - (uintptr_t)region->host;

		if (offset < region->size)
			memory->written(memory->opaque, region->gpa + offset, size);
	}
}

int memory_discard(void *at, uint64_t size)
{
	return madvise(at, size, MADV_DONTNEED);
}

int parse_size(const char *text, uint64_t *bytes)
{
	unsigned long long number;
	unsigned int shift;
	char *end;

	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	number = strtoull(text, &end, 10);
	switch (*end) {
	case 'k': case 'K':
		shift = 10;
		break;
	case 'm': case 'M': case '\0':
		shift = 20;
		break;
	case 'g': case 'G':
		shift = 30;
		break;
	default:
		return -1;
	}
	if (*end && end[1] && strcmp(end + 1, "iB") && strcmp(end + 1, "B"))
		return -1;
	if (errno || number > UINT64_MAX >> shift)
		return -1;
	*bytes = (uint64_t)number << shift;
	return 0;
}
