/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guest memory: where it is in the guest's address space, and the one way to touch it.
 */
#ifndef HULL_MACHINE_MEMORY_H
#define HULL_MACHINE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "machine/failure.h"

#define PAGE_SIZE		4096ULL
#define MIB			(1ULL << 20)
#define GIB			(1ULL << 30)

/* Memory below 4 GiB ends where the hole for devices begins; the rest is above 4 GiB. */
#define MEMORY_HOLE_START	(3 * GIB)
#define MEMORY_HOLE_END		(4 * GIB)

#define MEMORY_MIN		(1 * MIB)
#define MEMORY_MAX		(1024 * GIB)

struct memory_region {
	uint64_t gpa;
	uint64_t size;
	void *host;
};

/*
 * Fixed before the first vCPU runs; every thread may read it without a lock.
 *
 * @written, if there is one, is told of what devices have written: the module has to know it of
 * memory that a guest with shadow paging may have used for page tables.
 */
struct guest_memory {
	struct memory_region region[2];
	unsigned int count;
	uint64_t size;
	void (*written)(void *opaque, uint64_t gpa, uint64_t size);
	void *opaque;
};

int memory_create(struct guest_memory *memory, uint64_t size, struct failure *why);
void memory_destroy(struct guest_memory *memory);

/* End of the memory below the hole, and bytes above 4 GiB. */
uint64_t memory_low_end(const struct guest_memory *memory);
uint64_t memory_high_size(const struct guest_memory *memory);

/* Host address of [gpa, gpa + size), or NULL when not all of it is memory. */
void *memory_at(const struct guest_memory *memory, uint64_t gpa, uint64_t size);

/* 0, or -1 when not all of the range is memory (then nothing is done). */
int memory_write(const struct guest_memory *memory, uint64_t gpa, const void *data, uint64_t size);
int memory_read(const struct guest_memory *memory, uint64_t gpa, void *data, uint64_t size);
int memory_zero(const struct guest_memory *memory, uint64_t gpa, uint64_t size);

/* A device has written [at, at + size), which memory_at() gave, itself. Any thread. */
void memory_written(const struct guest_memory *memory, const void *at, uint64_t size);

/*
 * Gives whole pages [at, at + size), which memory_at() gave, back to the host: they read as zero.
 * Returns 0, or -1 with errno. Any thread.
 */
int memory_discard(void *at, uint64_t size);

/* start + size, all ones when it overflows: never below either. */
static inline uint64_t add_clamped(uint64_t start, uint64_t size)
{
	return start + size < start ? UINT64_MAX : start + size;
}

static inline uint64_t align_up(uint64_t value, uint64_t to)
{
	return value > UINT64_MAX - (to - 1) ? UINT64_MAX - (to - 1) : (value + to - 1) & ~(to - 1);
}

static inline uint64_t align_down(uint64_t value, uint64_t to)
{
	return value & ~(to - 1);
}

/* "512M", "2G", "65536k"; a bare number is MiB. */
int parse_size(const char *text, uint64_t *bytes);

#endif
