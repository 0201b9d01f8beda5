// SPDX-License-Identifier: GPL-2.0
/*
 * libFuzzer on the walker: whatever tables and control registers it is given, it agrees with the
 * reference in result and in every byte of memory, and touches nothing outside of what it is given.
 *
 * Input: control registers, an address, an access; then words of tables, repeated over the first
 * frames of memory, most of which are made to point into memory.
 */
#include "test.h"

#define TABLE_FRAMES	8

struct input {
	uint64_t gva;
	uint64_t cr3;
	uint32_t control;
	uint32_t pkru;
};

static struct memory memory, copy;

static void fill(const uint8_t *data, size_t size)
{
	size_t words = size / 8, i;

	memset(&memory, 0, sizeof(memory));
	for (i = 0; words && i < TABLE_FRAMES * 512; i++) {
		uint64_t entry;

		memcpy(&entry, data + i % words * 8, 8);
		/* Mixed, lest all tables are the same; one in eight as it is. */
		if (i / words && (i % 8))
			entry ^= i * 0x9e3779b97f4a7c15 & 0x3f000;
		if (i % 8)
			entry &= ~0x000ffffffffc0000ULL;
		put64(&memory, i * 8, entry);
	}
}

static struct hull_paging paging_of(const struct input *input)
{
	struct hull_paging paging = {
		.cr0 = (input->control & 1 ? CR0_PG : 0) | (input->control & 2 ? CR0_WP : 0),
		.cr3 = input->cr3 % (TABLE_FRAMES * 4096),
		.cr4 = input->control & (CR4_PSE | CR4_PAE | CR4_SMEP | CR4_SMAP | CR4_PKE),
		.efer = input->control & 4 ? EFER_NXE : 0,
		.pkru = input->pkru, .ac = input->control & 8,
		.gpa_bits = input->control & 0x100 ? 32 + (input->control >> 24) % 21 : 0,
	};

	if ((input->control & 0x200) && (paging.cr4 & CR4_PAE))
		paging.efer |= EFER_LMA;
	if ((input->control & 0x400) && (paging.efer & EFER_LMA))
		paging.cr4 |= CR4_LA57;
	return paging;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hull_walk_memory binding = memory_of(&memory);
	struct hull_walk walk = { 0 }, wanted = { 0 };
	struct hull_paging paging;
	struct input input;
	uint32_t access;
	int got, want;

	if (size < sizeof(input))
		return 0;
	memcpy(&input, data, sizeof(input));
	fill(data + sizeof(input), size - sizeof(input));
	memcpy(&copy, &memory, sizeof(copy));
	paging = paging_of(&input);
	access = input.control >> 11 & (HULL_ACCESS_WRITE | HULL_ACCESS_USER | HULL_ACCESS_FETCH);
	got = hull_walk_tables(&binding, &paging, input.gva, access, input.control & 0x4000, &walk);
	want = reference_walk(&copy, &paging, input.gva, access, input.control & 0x4000, &wanted);
	if (got != want || walk.error_code != wanted.error_code ||
	    (!got && (walk.gpa != wanted.gpa || walk.level != wanted.level)) ||
	    memcmp(memory.bytes, copy.bytes, sizeof(memory.bytes))) {
		fprintf(stderr, "got %d gpa %#llx level %d error %#x; wanted %d gpa %#llx level %d error %#x\n",
			got, (unsigned long long)walk.gpa, walk.level, walk.error_code, want,
			(unsigned long long)wanted.gpa, wanted.level, wanted.error_code);
		abort();
	}
	return 0;
}
