// SPDX-License-Identifier: GPL-2.0
/*
 * Random page tables: the walker and the reference must agree on result, translation, error code
 * and every byte of memory afterwards.
 */
#include "test.h"

#define WALKS	40000

enum mode { NONE, LEGACY, PSE, PAE, LEVEL4, LEVEL5 };

static const char *const names[] = {
	"random: no paging", "random: 32-bit", "random: 32-bit with PSE", "random: PAE",
	"random: 4-level", "random: 5-level",
};

static uint64_t entry64(uint64_t *seed)
{
	uint64_t r = next_random(seed);
	uint64_t entry = (r % FRAMES) << 12;

	/* Present, writable and for the user more often than not, or no walk gets far. */
	entry |= (r >> 8) % 16 ? P : 0;
	entry |= (r >> 12) % 4 ? W : 0;
	entry |= (r >> 16) % 4 ? U : 0;
	entry |= (r >> 20) & (A | D | 0x18);
	entry |= (r >> 28) % 4 ? 0 : PS;
	entry |= (r >> 32) % 8 ? 0 : NX;
	entry |= ((r >> 36) % 4) << 59;
	if ((entry & PS) && (r >> 40) % 4)
		entry &= ~0x3fffe000ULL;
	if (!((r >> 44) % 64))
		entry |= 1ULL << (next_random(seed) % 64);
	return entry;
}

static void fill(struct memory *memory, uint64_t *seed, enum mode mode)
{
	unsigned int i;

	if (mode == LEGACY || mode == PSE) {
		for (i = 0; i < MEMORY_SIZE / 4; i++)
			put32(memory, i * 4, (uint32_t)entry64(seed));
		return;
	}
	for (i = 0; i < MEMORY_SIZE / 8; i++)
		put64(memory, i * 8, entry64(seed));
	/* The root entries of PAE are of another kind; one table of them will do. */
	for (i = 0; mode == PAE && i < 512; i++) {
		uint64_t entry = (entry64(seed) & 0x3f000) | P;

		if (!(next_random(seed) % 32))
			entry ^= 1ULL << (next_random(seed) % 64);
		put64(memory, i * 8, entry);
	}
}

static void choose_paging(struct hull_paging *paging, uint64_t *seed, enum mode mode)
{
	uint64_t r = next_random(seed);

	*paging = (struct hull_paging) {
		.cr0 = (r & CR0_WP) | (mode == NONE ? 0 : CR0_PG),
		.cr3 = ((r >> 32) % FRAMES) << 12 | (r & 0x18),
		.cr4 = r & (CR4_SMEP | CR4_SMAP | CR4_PKE),
		.efer = (r & 1) ? EFER_NXE : 0,
		.pkru = next_random(seed),
		.ac = r & 2,
		.gpa_bits = (r & 4) ? 36 + (r >> 40) % 17 : 0,
	};
	if (mode == PSE)
		paging->cr4 |= CR4_PSE;
	if (mode >= PAE)
		paging->cr4 |= CR4_PAE | (r & CR4_PSE);
	if (mode == PAE)
		paging->cr3 = ((r >> 32) % 128) << 5;
	if (mode >= LEVEL4)
		paging->efer |= EFER_LMA;
	if (mode == LEVEL5)
		paging->cr4 |= CR4_LA57;
}

/* Translations found and protection faults seen: a test that only meets holes tests nothing. */
static unsigned int found, denied;

static bool compare(struct memory *memory, struct memory *copy, const struct hull_paging *paging,
		    uint64_t *seed)
{
	struct hull_walk_memory binding = memory_of(memory);
	struct hull_walk walk = { 0 }, wanted = { 0 };
	uint64_t gva = next_random(seed);
	uint64_t r = next_random(seed);
	uint32_t access = r & (HULL_ACCESS_WRITE | HULL_ACCESS_USER | HULL_ACCESS_FETCH);
	bool set_bits = r & 8;
	int got, want;

	got = hull_walk_tables(&binding, paging, gva, access, set_bits, &walk);
	want = reference_walk(copy, paging, gva, access, set_bits, &wanted);
	if (got == want && walk.error_code == wanted.error_code &&
	    (got || (walk.gpa == wanted.gpa && walk.level == wanted.level))) {
		found += !got;
		denied += got == -EFAULT && (walk.error_code & 9) == 1;
		return true;
	}
	printf("# gva %#llx access %u cr0 %#llx cr3 %#llx cr4 %#llx efer %#llx bits %u\n",
	       (unsigned long long)gva, access, (unsigned long long)paging->cr0,
	       (unsigned long long)paging->cr3, (unsigned long long)paging->cr4,
	       (unsigned long long)paging->efer, paging->gpa_bits);
	printf("# got %d: gpa %#llx level %d error %#x; wanted %d: gpa %#llx level %d error %#x\n",
	       got, (unsigned long long)walk.gpa, walk.level, walk.error_code, want,
	       (unsigned long long)wanted.gpa, wanted.level, wanted.error_code);
	return false;
}

static bool run_mode(struct memory *memory, struct memory *copy, uint64_t *seed, enum mode mode)
{
	unsigned int walks = long_mode() ? 100 * WALKS : WALKS;
	struct hull_paging paging;
	unsigned int i;

	found = 0;
	denied = 0;
	for (i = 0; i < walks; i++) {
		if (i % 2000 == 0) {
			fill(memory, seed, mode);
			memcpy(copy->bytes, memory->bytes, sizeof(copy->bytes));
		}
		choose_paging(&paging, seed, mode);
		if (!compare(memory, copy, &paging, seed))
			return false;
		if (i % 100 == 99 && memcmp(copy->bytes, memory->bytes, sizeof(copy->bytes))) {
			printf("# memory differs after walk %u\n", i);
			return false;
		}
	}
	printf("# %u walks: %u translations, %u refused\n", walks, found, denied);
	return found > walks / 100 && (mode == NONE || denied > walks / 100);
}

void run_random(uint64_t seed)
{
	struct memory *memory = calloc(1, sizeof(*memory));
	struct memory *copy = calloc(1, sizeof(*copy));
	enum mode mode;

	for (mode = NONE; mode <= LEVEL5; mode++)
		report(memory && copy && run_mode(memory, copy, &seed, mode), names[mode]);
	free(memory);
	free(copy);
}
