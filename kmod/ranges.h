/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who gets an access to an address: the range table and its look-up. Pure, no locks: a table never
 * changes once it is published; readers are in an RCU read-side section.
 */
#ifndef HULL_RANGES_H
#define HULL_RANGES_H

#include "types.h"
#include "hull.h"

struct eventfd_ctx;

/**
 * struct hull_target - one range
 * @start: first address
 * @last: last address
 * @space: HULL_SPACE_*
 * @delivery: HULL_DELIVER_*
 * @size: doorbell: size that matches, 0: any
 * @match: doorbell: only @value
 * @shadowed: other than doorbell: there are doorbells inside
 * @value: doorbell: see @match
 * @consumer: a reference, NULL: the vCPU's own thread
 * @eventfd: doorbell: a reference
 */
struct hull_target {
	u64 start;
	u64 last;
	u32 space;
	u32 delivery;
	u32 size;
	bool match;
	bool shadowed;
	u64 value;
	struct hull_consumer *consumer;
	struct eventfd_ctx *eventfd;
};

/**
 * struct hull_range_table - the ranges of a VM
 * @generation: another one for each table of a VM, from 1
 * @nr_bells: doorbells, the first entries of @targets
 * @nr_ranges: others, after them
 * @targets: both parts sorted by space, start, value. Others do not overlap; doorbells overlap only
 *           where they are equal but for their values
 */
struct hull_range_table {
	u64 generation;
	u32 nr_bells;
	u32 nr_ranges;
	struct hull_target targets[];
};

/* Sorts behind (or is at) the key? */
static inline bool hull_target_upto(const struct hull_target *target, u32 space, u64 start,
				    u64 value)
{
	if (target->space != space)
		return target->space < space;
	if (target->start != start)
		return target->start < start;
	return target->value <= value;
}

/* The last of @targets that does not sort behind the key, or NULL. */
static inline const struct hull_target *
hull_target_last(const struct hull_target *targets, u32 count, u32 space, u64 start, u64 value)
{
	u32 low = 0, high = count;

	while (low < high) {
		u32 mid = (low + high) / 2;

		if (hull_target_upto(&targets[mid], space, start, value))
			low = mid + 1;
		else
			high = mid;
	}
	return low ? &targets[low - 1] : NULL;
}

/* One of @targets that has an address in [@first, @last], or NULL. */
static inline const struct hull_target *
hull_target_overlap(const struct hull_target *targets, u32 count, u32 space, u64 first, u64 last)
{
	const struct hull_target *target = hull_target_last(targets, count, space, last, ~0ULL);

	return target && target->space == space && target->last >= first ? target : NULL;
}

static inline bool hull_target_contains(const struct hull_target *target, u32 space, u64 first,
					u64 last)
{
	return target->space == space && target->start <= first && last <= target->last;
}

/* Does a write of @value go to @target, should nothing else claim it? Both kinds of targets. */
static inline bool hull_target_takes(const struct hull_target *target, u32 space, u64 address,
				     u32 size, u64 value)
{
	return hull_target_contains(target, space, address, address + size - 1) &&
	       (!target->size || target->size == size) &&
	       (!target->match || target->value == value);
}

static inline const struct hull_target *
hull_table_overlap(const struct hull_range_table *table, bool bells, u32 space, u64 first, u64 last)
{
	if (bells)
		return hull_target_overlap(table->targets, table->nr_bells, space, first, last);
	return hull_target_overlap(table->targets + table->nr_bells, table->nr_ranges, space, first,
				   last);
}

/* The doorbell rung by a write, or NULL. */
static inline const struct hull_target *
hull_table_bell(const struct hull_range_table *table, u32 space, u64 address, u32 size, u64 value)
{
	const struct hull_target *bell;

	bell = hull_table_overlap(table, true, space, address, address + size - 1);
	if (!bell)
		return NULL;
	/* Of those at the same place the one with the value. */
	if (bell->match) {
		bell = hull_target_last(table->targets, table->nr_bells, space, bell->start, value);
		if (!bell)
			return NULL;
	}
	return hull_target_takes(bell, space, address, size, value) ? bell : NULL;
}

/* The range, other than a doorbell, that holds all of [@first, @last], or NULL. */
static inline const struct hull_target *
hull_table_range(const struct hull_range_table *table, u32 space, u64 first, u64 last)
{
	const struct hull_target *range = hull_table_overlap(table, false, space, first, last);

	return range && hull_target_contains(range, space, first, last) ? range : NULL;
}

#endif
