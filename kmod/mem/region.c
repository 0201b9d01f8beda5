// SPDX-License-Identifier: GPL-2.0
/*
 * The memory table and its replacement by HULL_SET_MEMORY.
 *
 * Replacement while vCPUs run: the new table is published under mmu->lock, with the old one kept in
 * mmu.leaving; then what the new one does not have is unmapped, what it restricts is made
 * read-only, and all vCPUs flush; then readers of the old table are waited for and it is freed. A
 * fault that looked at the old table cannot map by it afterwards: it compares generations under
 * mmu->lock. An MMU notifier that comes in between looks at both tables, for pages may be mapped
 * by either.
 *
 * Locks: vm->lock (writers), then vm->srcu, then mmap_lock; mmu->lock innermost.
 */
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/srcu.h>
#include <linux/uaccess.h>

#include "../mmu/mmu.h"
#include "../mutate.h"
#include "../vm.h"
#include "dirty.h"
#include "region.h"

static struct hull_region_table *alloc_table(unsigned int count)
{
	struct hull_region_table *table;

	table = kzalloc(struct_size(table, slots, count), GFP_KERNEL_ACCOUNT);
	if (table)
		table->count = count;
	return table;
}

static void free_table(struct hull_region_table *table)
{
	unsigned int i;

	for (i = 0; i < table->count; i++)
		hull_dirty_put(table->slots[i].dirty);
	kfree(table);
}

/* ---- from the launcher's entries to a table ------------------------------------------------- */

/* 0, or -EINVAL: the entry is wrong in itself. */
static int read_region(struct hull_memslot *slot, const struct hull_region *region)
{
	u64 end;

	if (region->reserved || (region->flags & ~HULL_REGION_FLAGS))
		return -EINVAL;
	if (!region->size || !PAGE_ALIGNED(region->gpa | region->size | region->hva))
		return -EINVAL;
	if (check_add_overflow(region->gpa, region->size, &end) ||
	    gpa_to_gfn(end) > hull_mmu_gfn_end())
		return -EINVAL;
	if (check_add_overflow(region->hva, region->size, &end) ||
	    !access_ok(u64_to_user_ptr(region->hva), region->size))
		return -EINVAL;
	slot->base = gpa_to_gfn(region->gpa);
	slot->npages = region->size >> PAGE_SHIFT;
	slot->hva = region->hva;
	slot->flags = region->flags;
	return 0;
}

static int compare_slots(const void *a, const void *b)
{
	const struct hull_memslot *left = a, *right = b;

	return left->base < right->base ? -1 : left->base > right->base;
}

static int sort_slots(struct hull_region_table *table)
{
	unsigned int i;

	sort(table->slots, table->count, sizeof(table->slots[0]), compare_slots, NULL);
	for (i = 1; i < table->count; i++) {
		const struct hull_memslot *before = &table->slots[i - 1];

		if (table->slots[i].base - before->base < before->npages)
			return -EINVAL;
	}
	return 0;
}

/*
 * Memory that is not made of ordinary pages is refused here, so that the mistake is seen at once.
 * What is mapped there later is refused when the guest touches it.
 */
static int check_mappings(const struct hull_region_table *table)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	unsigned int i;
	int err = 0;

	mmap_read_lock(mm);
	for (i = 0; i < table->count && !err; i++) {
		unsigned long hva = table->slots[i].hva;
		unsigned long end = hva + (table->slots[i].npages << PAGE_SHIFT);

		while (hva < end && (vma = find_vma_intersection(mm, hva, end))) {
			if (vma->vm_flags & (VM_IO | VM_PFNMAP)) {
				err = -EINVAL;
				break;
			}
			hva = vma->vm_end;
		}
	}
	mmap_read_unlock(mm);
	return err;
}

static int fill_table(struct hull_region_table *table, u64 regions)
{
	const struct hull_region __user *from = u64_to_user_ptr(regions);
	struct hull_region region;
	unsigned int i;
	int err;

	for (i = 0; i < table->count; i++) {
		if (copy_from_user(&region, &from[i], sizeof(region)))
			return -EFAULT;
		err = read_region(&table->slots[i], &region);
		if (err)
			return err;
	}
	err = sort_slots(table);
	return err ?: check_mappings(table);
}

/* ---- replacement ---------------------------------------------------------------------------- */

/* The slot of @table that is the same memory at the same place as @slot, or NULL. */
static const struct hull_memslot *find_same(const struct hull_region_table *table,
					    const struct hull_memslot *slot)
{
	const struct hull_memslot *same = hull_slot_find(table, slot->base);

	if (same && same->base == slot->base && same->npages == slot->npages &&
	    same->hva == slot->hva)
		return same;
	return NULL;
}

static int take_dirty_bitmaps(struct hull_region_table *table,
			      const struct hull_region_table *old)
{
	unsigned int i;

	for (i = 0; i < table->count; i++) {
		struct hull_memslot *slot = &table->slots[i];
		const struct hull_memslot *same = find_same(old, slot);

		if (!(slot->flags & HULL_REGION_LOG_DIRTY))
			continue;
		if (same && same->dirty)
			slot->dirty = hull_dirty_get(same->dirty);
		else
			slot->dirty = hull_dirty_alloc(slot->npages);
		if (!slot->dirty)
			return -ENOMEM;
	}
	return 0;
}

/* Bring what is mapped by @slot of the old table in line with @same, its successor or NULL. */
static void retire_slot(struct hull_vm *vm, const struct hull_memslot *slot,
			const struct hull_memslot *same)
{
	gfn_t end = slot->base + slot->npages;
	u32 on, off;

	if (!same) {
		if (!hull_mutate_no_unmap)
			hull_mmu_unmap_range(vm, slot->base, end, true);
		return;
	}
	on = same->flags & ~slot->flags;
	off = slot->flags & ~same->flags;
	/* Without a log pages may be large again; they are mapped anew. */
	if (off & HULL_REGION_LOG_DIRTY)
		hull_mmu_unmap_range(vm, slot->base, end, true);
	else if (on & (HULL_REGION_LOG_DIRTY | HULL_REGION_READONLY))
		hull_mmu_write_protect_range(vm, slot->base, end, true);
}

static void set_leaving(struct hull_vm *vm, const struct hull_region_table *old)
{
	spin_lock(&vm->mmu.lock);
	vm->mmu.leaving = old;
	spin_unlock(&vm->mmu.lock);
}

/* Put @table in force and free @old. Under vm->lock. */
static void replace_table(struct hull_vm *vm, struct hull_region_table *table,
			  struct hull_region_table *old)
{
	unsigned int i;

	table->generation = old->generation + 1;
	spin_lock(&vm->mmu.lock);
	vm->mmu.leaving = old;
	rcu_assign_pointer(vm->regions, table);
	spin_unlock(&vm->mmu.lock);

	for (i = 0; i < old->count; i++)
		retire_slot(vm, &old->slots[i], find_same(table, &old->slots[i]));
	hull_mmu_flush_pending(vm);
	set_leaving(vm, NULL);

	/* Accesses of the module by the old table: those that sleep, and those of windows. */
	synchronize_srcu_expedited(&vm->srcu);
	synchronize_rcu_expedited();
	free_table(old);
}

int hull_vm_set_memory(struct hull_vm *vm, const struct hull_memory *args)
{
	struct hull_region_table *table, *old;
	int err;

	if (args->reserved)
		return -EINVAL;
	if (args->count > HULL_MAX_REGIONS)
		return -E2BIG;
	table = alloc_table(args->count);
	if (!table)
		return -ENOMEM;
	err = fill_table(table, args->regions);
	if (err)
		goto err_table;

	mutex_lock(&vm->lock);
	old = rcu_dereference_protected(vm->regions, lockdep_is_held(&vm->lock));
	err = take_dirty_bitmaps(table, old);
	if (err)
		goto err_lock;
	replace_table(vm, table, old);
	mutex_unlock(&vm->lock);
	return 0;

err_lock:
	mutex_unlock(&vm->lock);
err_table:
	free_table(table);
	return err;
}

int hull_regions_init(struct hull_vm *vm)
{
	struct hull_region_table *table = alloc_table(0);

	if (!table)
		return -ENOMEM;
	table->generation = 1;
	RCU_INIT_POINTER(vm->regions, table);
	return 0;
}

void hull_regions_destroy(struct hull_vm *vm)
{
	free_table(rcu_dereference_protected(vm->regions, true));
	RCU_INIT_POINTER(vm->regions, NULL);
}
