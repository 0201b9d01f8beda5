// SPDX-License-Identifier: GPL-2.0
/*
 * Random numbers, addresses, entries. See torture.h.
 */
#include "torture.h"

/* Of a linear address, in long mode */
#define UNUSED_BITS	(64 - LEVEL_SHIFT(LEVELS + 1))

static uint64_t state;

void random_seed(uint64_t seed)
{
	state = seed * 2 + 1;
}

uint32_t random32(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state >> 16;
}

/* Few slots, first and last ones. */
static uint32_t pick_slot(uint32_t first, uint32_t end)
{
	uint32_t r = random32() % 8;

	return r < 5 ? first + r : end - (r - 4);
}

word random_address(void)
{
	static const uint16_t offsets[8] = { 0, 0, 0, 8, 8, 0x800, 0x800, 0xff8 };
	word gva = offsets[random32() % 8];
	int level;

	for (level = 1; level < LEVELS; level++)
		gva |= (word)pick_slot(0, SLOTS) << LEVEL_SHIFT(level);
	if (LEVELS == 3)
		return gva | (word)(1 + random32() % 3) << 30;
	gva |= (word)pick_slot(FIXED_SLOTS, SLOTS) << LEVEL_SHIFT(LEVELS);
#if LEVELS >= 4
	/* Canonical */
	gva = (word)((long)(gva << UNUSED_BITS) >> UNUSED_BITS);
#endif
	return gva;
}

/*
 * Any table or data frame; large pages of those sizes that there are. A whole-memory page of 1 GiB
 * begins at 0, as does one of 2 MiB when it is taken for that: nobody writes there.
 */
static entry_t random_frame(void)
{
	uint32_t r = random32(), n = r >> 8;

	switch (r % 16) {
	case 0 ... 9:
		return POOL_TABLES + n % POOL_COUNT * 4096;
	case 10 ... 13:
		return PROGRAM_DATA + n % 256 * 4096;
	case 15:
		if (LEVELS >= 4)
			return BIT_PS;
		/* fall through */
	default:
		return (PROGRAM_DATA + (LEVELS == 2 ? 0 : n % 2 * 0x200000)) | BIT_PS;
	}
}

entry_t random_entry(void)
{
	entry_t entry = random_frame();
	uint32_t r = random32();

	entry |= r % 16 ? BIT_P : 0;
	entry |= (r >> 4) % 8 ? BIT_W : 0;
	entry |= (r >> 7) % 8 ? BIT_U : 0;
	entry |= (r >> 10) % 16 ? 0 : BIT_NX;
	entry |= (r >> 14) % 8 ? 0 : BIT_G;
	entry |= (r >> 12) & (BIT_A | BIT_D);
	entry |= (r >> 10) & BITS_AVL;
#if LEVELS > 2
	entry |= (r >> 24) % 128 ? 0 : BIT_RESERVED;
#endif
	return entry;
}

uint32_t random_slot(void)
{
	uint32_t gpa;

	do {
		gpa = POOL_TABLES + random32() % POOL_COUNT * 4096 +
		      pick_slot(0, SLOTS) * sizeof(entry_t);
	} while (!is_usable(gpa));
	return gpa;
}
