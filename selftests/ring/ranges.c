// SPDX-License-Identifier: GPL-2.0
/*
 * The look-up in a range table (kmod/ranges.h) against one that tries each target in turn.
 */
#include <stdlib.h>

#include "ktap.h"
#include "ranges.h"
#include "tests.h"

#define MAX		64
#define SPACE_SIZE	256

struct table {
	struct hull_range_table head;
	struct hull_target targets[MAX];
};

static int compare(const void *a, const void *b)
{
	const struct hull_target *x = a, *y = b;

	if (x->space != y->space)
		return x->space < y->space ? -1 : 1;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->value < y->value ? -1 : x->value > y->value;
}

static bool overlap(const struct hull_target *target, u32 space, u64 first, u64 last)
{
	return target->space == space && target->start <= last && target->last >= first;
}

/* Random doorbells and ranges that obey the rules of HULL_ADD_RANGE. */
static void fill(struct table *table, uint64_t *seed)
{
	u32 wanted = next_random(seed) % MAX, bells = wanted / 2, count = 0, tries, i;

	memset(table, 0, sizeof(*table));
	for (tries = 0; tries < 500 && count < wanted; tries++) {
		bool bell = count < bells;
		struct hull_target target = {
			.space = next_random(seed) % 2,
			.start = next_random(seed) % SPACE_SIZE,
			.delivery = bell ? HULL_DELIVER_DOORBELL : HULL_DELIVER_POSTED,
		};
		u32 values = bell ? 1 + next_random(seed) % 4 : 1;

		target.last = target.start + next_random(seed) % 8;
		target.match = bell && (values > 1 || next_random(seed) % 2);
		for (i = bell ? 0 : bells; i < count; i++) {
			if (overlap(&table->targets[i], target.space, target.start, target.last))
				break;
		}
		if (i < count)
			continue;
		while (values-- && count < (bell ? bells : wanted)) {
			target.value = target.match ? values * 3 : 0;
			table->targets[count++] = target;
		}
	}
	table->head.nr_bells = count < bells ? count : bells;
	table->head.nr_ranges = count - table->head.nr_bells;
	qsort(table->targets, table->head.nr_bells, sizeof(table->targets[0]), compare);
	qsort(table->targets + table->head.nr_bells, table->head.nr_ranges,
	      sizeof(table->targets[0]), compare);
}

static const struct hull_target *naive(const struct table *table, bool bell, u32 space, u64 address,
				       u32 size, u64 value)
{
	u32 i, first = bell ? 0 : table->head.nr_bells;
	u32 end = bell ? table->head.nr_bells : first + table->head.nr_ranges;

	for (i = first; i < end; i++) {
		const struct hull_target *target = &table->targets[i];

		if (target->space == space && target->start <= address &&
		    address + size - 1 <= target->last &&
		    (!target->match || target->value == value))
			return target;
	}
	return NULL;
}

static bool compare_all(const struct table *table)
{
	static const u32 sizes[] = { 1, 2, 4, 8 };
	u64 address, value;
	u32 space, s;

	for (space = 0; space < 3; space++) {
		for (address = 0; address < SPACE_SIZE + 16; address++) {
			for (s = 0; s < 4; s++) {
				EXPECT(hull_table_range(&table->head, space, address,
							address + sizes[s] - 1) ==
				       naive(table, false, space, address, sizes[s], 0));
				for (value = 0; value < 11; value++) {
					EXPECT(hull_table_bell(&table->head, space, address,
							       sizes[s], value) ==
					       naive(table, true, space, address, sizes[s],
						     value));
				}
			}
		}
	}
	return true;
}

bool test_ranges_random(void)
{
	uint64_t seed = seed_from_env();
	struct table *table = malloc(sizeof(*table));
	unsigned int rounds = long_mode() ? 2000 : 60;
	bool ok = true;

	while (ok && rounds--) {
		fill(table, &seed);
		ok = compare_all(table);
	}
	free(table);
	return ok;
}

bool test_ranges_fixed(void)
{
	static struct table table = {
		.head = { .nr_bells = 3, .nr_ranges = 2 },
		.targets = {
			{ .space = HULL_SPACE_MEMORY, .start = 0x1000, .last = 0x1003, .size = 4,
			  .match = true, .value = 0, .delivery = HULL_DELIVER_DOORBELL },
			{ .space = HULL_SPACE_MEMORY, .start = 0x1000, .last = 0x1003, .size = 4,
			  .match = true, .value = 7, .delivery = HULL_DELIVER_DOORBELL },
			{ .space = HULL_SPACE_MEMORY, .start = 0x2000, .last = ~0ULL,
			  .delivery = HULL_DELIVER_DOORBELL },
			{ .space = HULL_SPACE_PORT, .start = 0xffff, .last = 0xffff },
			{ .space = HULL_SPACE_MEMORY, .start = 0x1000, .last = 0x1fff,
			  .shadowed = true },
		},
	};
	static struct hull_range_table empty;
	const struct hull_target *target = table.targets;
	const struct hull_range_table *head = &table.head;

	EXPECT(!hull_table_bell(&empty, 0, 0, 1, 0) && !hull_table_range(&empty, 0, 0, ~0ULL));
	EXPECT(hull_table_bell(head, HULL_SPACE_MEMORY, 0x1000, 4, 0) == &target[0]);
	EXPECT(hull_table_bell(head, HULL_SPACE_MEMORY, 0x1000, 4, 7) == &target[1]);
	EXPECT(!hull_table_bell(head, HULL_SPACE_MEMORY, 0x1000, 4, 8));
	EXPECT(!hull_table_bell(head, HULL_SPACE_MEMORY, 0x1000, 2, 7));
	EXPECT(!hull_table_bell(head, HULL_SPACE_MEMORY, 0x1002, 4, 7));
	EXPECT(!hull_table_bell(head, HULL_SPACE_PORT, 0x1000, 4, 7));
	EXPECT(hull_table_bell(head, HULL_SPACE_MEMORY, ~0ULL, 1, 5) == &target[2]);
	EXPECT(hull_table_range(head, HULL_SPACE_PORT, 0xffff, 0xffff) == &target[3]);
	EXPECT(!hull_table_range(head, HULL_SPACE_PORT, 0xffff, 0x10000));
	EXPECT(hull_table_range(head, HULL_SPACE_MEMORY, 0x1ffc, 0x1fff) == &target[4]);
	EXPECT(!hull_table_range(head, HULL_SPACE_MEMORY, 0x1ffd, 0x2000));
	EXPECT(hull_table_overlap(head, false, HULL_SPACE_MEMORY, 0xfff, 0x2000) == &target[4]);
	return true;
}
