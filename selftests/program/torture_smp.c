// SPDX-License-Identifier: GPL-2.0
/*
 * The torture guest's second vCPU: sets accessed and dirty bits of live tables and changes those
 * that are software's, by locked operations; reads wherever the first one just was, whatever
 * comes; and writes to a window whose pages the first one takes away and gives, with a shootdown
 * that it acknowledges. What was taken away must not be written to any more.
 */
#include "torture.h"

static volatile uint32_t ready, request, acknowledged, finished, done;
static volatile word hammered;

static volatile word *frame(unsigned int i)
{
	return (volatile word *)(word)(HAMMER_FRAMES + i * 4096);
}

static uint32_t random_second(void)
{
	static uint64_t state;

	if (!state)
		state = torture->seed ^ 0x5555555555555555;
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state >> 16;
}

/* ---- the first ------------------------------------------------------------------------------ */

void release_second(void)
{
	ready = 1;
}

void give_way(void)
{
	if (has_flag(TORTURE_TURNS))
		report(REPORT_TURN);
	else
		asm volatile("pause");
}

void shoot_down(void)
{
	uint32_t page = random32() % HAMMERS, i;
	volatile entry_t *entry = (volatile entry_t *)FIXED_TABLES + (HAMMER_GVA >> 12) + page;
	uint32_t gpa = *entry & 0xfffff000;
	word before;

	if (!has_flag(TORTURE_SECOND))
		return;
	*entry = random32() % 2 ? 0 : gpa | BIT_P | BIT_A;
	request++;
	while (acknowledged != request)
		give_way();
	/* Other pages of the window may lead to the same frame: only this one's writes count. */
	for (i = 0; i < HAMMERS; i++) {
		if (i != page && (((volatile entry_t *)FIXED_TABLES)[(HAMMER_GVA >> 12) + i] &
				  0xfffff000) == gpa)
			break;
	}
	before = *(volatile word *)(word)gpa;
	if (i == HAMMERS) {
		for (i = 0; i < 200; i++)
			asm volatile("pause");
		if (*(volatile word *)(word)gpa != before)
			fail(FAILURE_STALE, HAMMER_GVA + page * 4096, *(volatile word *)(word)gpa,
			     before, gpa);
	}
	/* Not present in between, so that nothing old is cached now. */
	*entry = 0;
	request++;
	while (acknowledged != request)
		give_way();
	*entry = (HAMMER_FRAMES + random32() % HAMMERS * 4096) | BIT_P | BIT_W | BIT_A | BIT_D;
	torture->shootdowns++;
}

void check_hammer(void)
{
	word sum = 0;
	unsigned int i;

	if (!has_flag(TORTURE_SECOND))
		return;
	finished = 1;
	while (!done)
		give_way();
	for (i = 0; i < HAMMERS; i++)
		sum += *frame(i);
	torture->hammered = hammered;
	if (sum != hammered)
		fail(FAILURE_COUNT, 0, sum, hammered, 0);
}

/* ---- the second ----------------------------------------------------------------------------- */

static void flush(void)
{
	unsigned int i;

	switch (random_second() % 3) {
	case 0:
		for (i = 0; i < HAMMERS; i++)
			invlpg(HAMMER_GVA + i * 4096);
		break;
	case 1:
		set_cr3(roots[random_second() % ROOTS] |
			(get_cr4() & CR4_PCIDE ? pcids[random_second() % PCIDS] : 0));
		break;
	default:
		set_cr4(get_cr4() & ~CR4_PGE);
		set_cr4(get_cr4() | CR4_PGE);
	}
}

static void set_bits(void)
{
	uint32_t r = random_second();
	uint32_t gpa = POOL_TABLES + r % POOL_COUNT * 4096 + (r >> 8) % 8 * sizeof(entry_t);

	if (!is_usable(gpa))
		return;
	if (r & 0x10000)
		asm volatile("lock orl %1, %0" : "+m"(*(uint32_t *)(word)gpa) :
			     "r"(r & 0x20000 ? BIT_A : BIT_D));
	else
		asm volatile("lock xorl %1, %0" : "+m"(*(uint32_t *)(word)gpa) :
			     "r"(r >> 18 & BITS_AVL));
}

void guest_second(void)
{
	while (!ready)
		give_way();
	enable_paging();
	while (!finished) {
		if (request != acknowledged) {
			flush();
			acknowledged = request;
		}
		probe_run(&probes[1], ACCESS_LOCKED,
			  HAMMER_GVA + random_second() % HAMMERS * 4096, 1);
		if (!probes[1].vector)
			hammered++;
		set_bits();
		if (random_second() % 4 == 0)
			read_anywhere(((volatile word *)recent)[random_second() % RECENT]);
		if (has_flag(TORTURE_TURNS))
			give_way();
	}
	done = 1;
	for (;;)
		report(REPORT_DONE);
}
