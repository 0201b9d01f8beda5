// SPDX-License-Identifier: GPL-2.0
/*
 * The range table of a VM: what HULL_ADD_RANGE and HULL_REMOVE_RANGE check and change.
 *
 * A table is never changed: each ioctl builds another one, publishes it under vm->lock and waits
 * until nobody reads the old one, in the window (interrupts off) or outside (preemption off). So
 * once HULL_REMOVE_RANGE returned the consumer or eventfd is not touched any more. Each target
 * holds references on both; a copy in the next table takes them over.
 */
#include <linux/eventfd.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include "consumer.h"
#include "ranges.h"
#include "ring_core.h"
#include "vm.h"

#define PORTS		0x10000ULL
#define GPA_END		(1ULL << 52)

static struct hull_range_table *table_of(struct hull_vm *vm)
{
	return rcu_dereference_protected(vm->ranges, lockdep_is_held(&vm->lock));
}

static u32 table_count(const struct hull_range_table *table)
{
	return table->nr_bells + table->nr_ranges;
}

static bool is_bell(const struct hull_target *target)
{
	return target->delivery == HULL_DELIVER_DOORBELL;
}

/* ---- what user space says ------------------------------------------------------------------- */

static bool addresses_ok(const struct hull_range *range)
{
	u64 end;

	if (!range->length || check_add_overflow(range->start, range->length, &end))
		return false;
	switch (range->space) {
	case HULL_SPACE_PORT:
		return end <= PORTS;
	case HULL_SPACE_MEMORY:
		return end <= GPA_END;
	case HULL_SPACE_HYPERCALL:
		return range->delivery == HULL_DELIVER_SYNC;
	default:
		return false;
	}
}

static bool bell_ok(const struct hull_range *range)
{
	switch (range->size) {
	case 0: case 1: case 2: case 4: case 8:
		break;
	default:
		return false;
	}
	if (range->size > range->length || range->consumer != -1)
		return false;
	if (!(range->flags & HULL_RANGE_MATCH_VALUE))
		return !range->value;
	return !range->size || !(range->value & ~hull_size_mask(range->size));
}

static bool range_ok(const struct hull_range *range)
{
	if (range->delivery > HULL_DELIVER_DOORBELL || range->reserved ||
	    (range->flags & ~HULL_RANGE_MATCH_VALUE) || !addresses_ok(range))
		return false;
	if (range->delivery == HULL_DELIVER_DOORBELL)
		return bell_ok(range);
	return range->eventfd == -1 && !range->flags && !range->size && !range->value;
}

static void target_put(struct hull_target *target)
{
	if (target->eventfd)
		eventfd_ctx_put(target->eventfd);
	if (target->consumer)
		hull_consumer_put(target->consumer);
}

/* Check @range and look its fds up. 0: @target holds references; -EINVAL, -EBADF. */
static int target_get(struct hull_vm *vm, const struct hull_range *range,
		      struct hull_target *target)
{
	if (!range_ok(range))
		return -EINVAL;
	*target = (struct hull_target) {
		.start = range->start,
		.last = range->start + range->length - 1,
		.space = range->space,
		.delivery = range->delivery,
		.size = range->size,
		.match = range->flags & HULL_RANGE_MATCH_VALUE,
		.value = range->value,
	};
	if (is_bell(target)) {
		target->eventfd = eventfd_ctx_fdget(range->eventfd);
		return PTR_ERR_OR_ZERO(target->eventfd);
	}
	if (range->consumer == -1)
		return 0;
	target->consumer = hull_consumer_from_fd(vm, range->consumer);
	return PTR_ERR_OR_ZERO(target->consumer);
}

/* ---- tables --------------------------------------------------------------------------------- */

static bool target_equal(const struct hull_target *a, const struct hull_target *b)
{
	return a->start == b->start && a->last == b->last && a->space == b->space &&
	       a->delivery == b->delivery && a->size == b->size && a->match == b->match &&
	       a->value == b->value && a->consumer == b->consumer && a->eventfd == b->eventfd;
}

static bool targets_conflict(const struct hull_target *a, const struct hull_target *b)
{
	if (a->space != b->space || a->last < b->start || b->last < a->start)
		return false;
	if (is_bell(a) != is_bell(b))
		return false;
	if (!is_bell(a))
		return true;
	return a->start != b->start || a->last != b->last || a->size != b->size ||
	       !a->match || !b->match || a->value == b->value;
}

static int compare_targets(const void *a, const void *b)
{
	const struct hull_target *left = a, *right = b;

	if (is_bell(left) != is_bell(right))
		return is_bell(left) ? -1 : 1;
	if (left->space != right->space)
		return left->space < right->space ? -1 : 1;
	if (left->start != right->start)
		return left->start < right->start ? -1 : 1;
	return left->value < right->value ? -1 : left->value > right->value;
}

static struct hull_range_table *table_alloc(u32 count, u64 generation)
{
	struct hull_range_table *table;

	table = kvzalloc(struct_size(table, targets, count), GFP_KERNEL_ACCOUNT);
	if (table)
		table->generation = generation;
	return table;
}

/* Bring the targets in order and fill what is derived from them. */
static void table_finish(struct hull_range_table *table, u32 count)
{
	u32 i;

	sort(table->targets, count, sizeof(table->targets[0]), compare_targets, NULL);
	for (i = 0; i < count && is_bell(&table->targets[i]); i++)
		;
	table->nr_bells = i;
	table->nr_ranges = count - i;
	for (; i < count; i++) {
		struct hull_target *range = &table->targets[i];

		range->shadowed = hull_table_overlap(table, true, range->space, range->start,
						     range->last);
	}
}

/* Wait for readers of @old: the window is a read-side section for having interrupts off. */
static void table_replace(struct hull_vm *vm, struct hull_range_table *new)
{
	struct hull_range_table *old = table_of(vm);

	lockdep_assert_held(&vm->lock);
	rcu_assign_pointer(vm->ranges, new);
	synchronize_rcu_expedited();
	kvfree(old);
}

static int table_insert(struct hull_vm *vm, const struct hull_target *target)
{
	const struct hull_range_table *old = table_of(vm);
	struct hull_range_table *new;
	u32 i, count = table_count(old);

	for (i = 0; i < count; i++) {
		if (targets_conflict(&old->targets[i], target))
			return -EEXIST;
	}
	if (count >= HULL_MAX_RANGES)
		return -ENOSPC;
	new = table_alloc(count + 1, old->generation + 1);
	if (!new)
		return -ENOMEM;
	memcpy(new->targets, old->targets, count * sizeof(*target));
	new->targets[count] = *target;
	table_finish(new, count + 1);
	table_replace(vm, new);
	return 0;
}

static int table_delete(struct hull_vm *vm, const struct hull_target *target)
{
	const struct hull_range_table *old = table_of(vm);
	struct hull_range_table *new;
	struct hull_target removed;
	u32 i, count = table_count(old);

	for (i = 0; i < count && !target_equal(&old->targets[i], target); i++)
		;
	if (i == count)
		return -ENOENT;
	removed = old->targets[i];
	new = table_alloc(count - 1, old->generation + 1);
	if (!new)
		return -ENOMEM;
	memcpy(new->targets, old->targets, i * sizeof(*target));
	memcpy(new->targets + i, old->targets + i + 1, (count - 1 - i) * sizeof(*target));
	table_finish(new, count - 1);
	table_replace(vm, new);
	target_put(&removed);
	return 0;
}

/* ---- the interface -------------------------------------------------------------------------- */

/*
 * HULL_ADD_RANGE. 0; -EINVAL: an impossible combination, or an fd of another kind or VM; -EBADF;
 * -EEXIST: conflicts with another range; -ENOSPC: HULL_MAX_RANGES there are; -ENOMEM.
 */
int hull_vm_add_range(struct hull_vm *vm, const struct hull_range *range)
{
	struct hull_target target;
	int err;

	err = target_get(vm, range, &target);
	if (err)
		return err;
	mutex_lock(&vm->lock);
	err = table_insert(vm, &target);
	mutex_unlock(&vm->lock);
	if (err)
		target_put(&target);
	return err;
}

/* HULL_REMOVE_RANGE. 0; -EINVAL, -EBADF as above; -ENOENT: there is no equal range; -ENOMEM. */
int hull_vm_remove_range(struct hull_vm *vm, const struct hull_range *range)
{
	struct hull_target target;
	int err;

	err = target_get(vm, range, &target);
	if (err)
		return err;
	mutex_lock(&vm->lock);
	err = table_delete(vm, &target);
	mutex_unlock(&vm->lock);
	target_put(&target);
	return err;
}

int hull_ranges_init(struct hull_vm *vm)
{
	struct hull_range_table *table = table_alloc(0, 1);

	if (!table)
		return -ENOMEM;
	rcu_assign_pointer(vm->ranges, table);
	return 0;
}

/* Nobody else has the VM any more. */
void hull_ranges_destroy(struct hull_vm *vm)
{
	struct hull_range_table *table = rcu_dereference_protected(vm->ranges, true);
	u32 i;

	for (i = 0; i < table_count(table); i++)
		target_put(&table->targets[i]);
	kvfree(table);
	RCU_INIT_POINTER(vm->ranges, NULL);
}
