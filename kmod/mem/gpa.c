// SPDX-License-Identifier: GPL-2.0
/*
 * Access to guest memory through the creator's user mapping. Whatever is written is marked dirty,
 * after it was written: a reader of the log that comes in between finds the page again next time.
 *
 * Locks: vm->srcu over each access, so that none goes by a table whose replacement has returned to
 * the launcher; the atomic variant is an RCU read-side section instead. Page faults take mmap_lock
 * inside.
 */
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/srcu.h>
#include <linux/uaccess.h>

#include "../vm.h"
#include "dirty.h"
#include "gpa.h"
#include "region.h"

static bool right_mm(const struct hull_vm *vm)
{
	return !WARN_ON_ONCE(current->mm != vm->mm);
}

/* The user address of @gpa in @slot, and how many bytes from there are in it. */
static void __user *slot_user(const struct hull_memslot *slot, gpa_t gpa, u64 *left)
{
	u64 offset = gpa - gfn_to_gpa(slot->base);

	*left = (slot->npages << PAGE_SHIFT) - offset;
	return (void __user *)(slot->hva + offset);
}

static const struct hull_memslot *writable_slot(const struct hull_region_table *table, gfn_t gfn)
{
	const struct hull_memslot *slot = hull_slot_find(table, gfn);

	return slot && !(slot->flags & HULL_REGION_READONLY) ? slot : NULL;
}

static void mark_range(const struct hull_memslot *slot, gpa_t gpa, size_t len)
{
	gfn_t gfn;

	for (gfn = gpa_to_gfn(gpa); gfn <= gpa_to_gfn(gpa + len - 1); gfn++)
		hull_slot_mark_dirty(slot, gfn);
}

/* Within the readers' side of @table. */
static int read_by(const struct hull_region_table *table, gpa_t gpa, void *to, size_t len)
{
	const struct hull_memslot *slot;
	void __user *from;
	size_t part;
	u64 left;

	for (; len; len -= part, gpa += part, to += part) {
		slot = hull_slot_find(table, gpa_to_gfn(gpa));
		if (!slot)
			return -ENXIO;
		from = slot_user(slot, gpa, &left);
		part = min_t(u64, len, left);
		if (copy_from_user(to, from, part))
			return -EFAULT;
	}
	return 0;
}

static int write_by(const struct hull_region_table *table, gpa_t gpa, const void *from,
		    size_t len)
{
	const struct hull_memslot *slot;
	unsigned long missed;
	void __user *to;
	size_t part;
	u64 left;

	for (; len; len -= part, gpa += part, from += part) {
		slot = writable_slot(table, gpa_to_gfn(gpa));
		if (!slot)
			return -ENXIO;
		to = slot_user(slot, gpa, &left);
		part = min_t(u64, len, left);
		missed = copy_to_user(to, from, part);
		mark_range(slot, gpa, part);
		if (missed)
			return -EFAULT;
	}
	return 0;
}

int hull_gpa_read(struct hull_vm *vm, gpa_t gpa, void *to, size_t len)
{
	int index, err;

	if (!right_mm(vm))
		return -EFAULT;
	index = srcu_read_lock(&vm->srcu);
	err = read_by(srcu_dereference(vm->regions, &vm->srcu), gpa, to, len);
	srcu_read_unlock(&vm->srcu, index);
	return err;
}

int hull_gpa_write(struct hull_vm *vm, gpa_t gpa, const void *from, size_t len)
{
	const gfn_t first = gpa_to_gfn(gpa), last = gpa_to_gfn(gpa + len - 1);
	int index, err;

	if (!right_mm(vm) || !len)
		return len ? -EFAULT : 0;
	/* The oracle may look before the write is announced. */
	if (hull_check)
		hull_shadow_written(vm, first, last + 1);
	index = srcu_read_lock(&vm->srcu);
	err = write_by(srcu_dereference(vm->regions, &vm->srcu), gpa, from, len);
	srcu_read_unlock(&vm->srcu, index);
	hull_shadow_written(vm, first, last + 1);
	return err;
}

int hull_gpa_read_atomic(struct hull_vm *vm, gpa_t gpa, void *to, size_t len)
{
	const struct hull_memslot *slot;
	const void __user *from;
	int err = -ENXIO;
	u64 left;

	if (!right_mm(vm) || WARN_ON_ONCE(offset_in_page(gpa) + len > PAGE_SIZE))
		return -EFAULT;
	rcu_read_lock();
	slot = hull_slot_find(rcu_dereference(vm->regions), gpa_to_gfn(gpa));
	if (slot) {
		from = slot_user(slot, gpa, &left);
		err = copy_from_user_nofault(to, from, len) ? -EFAULT : 0;
	}
	rcu_read_unlock();
	return err;
}

/* Exchange in user memory; *@old becomes the value found. 0 or -EFAULT. */
static int user_cmpxchg(void __user *to, u64 *old, u64 new, size_t len)
{
	u8 old8 = *old;
	u16 old16 = *old;
	u32 old32 = *old;

	if (!user_access_begin(to, len))
		return -EFAULT;
	switch (len) {
	case 1:
		unsafe_try_cmpxchg_user((u8 __user *)to, &old8, (u8)new, fault);
		*old = old8;
		break;
	case 2:
		unsafe_try_cmpxchg_user((u16 __user *)to, &old16, (u16)new, fault);
		*old = old16;
		break;
	case 4:
		unsafe_try_cmpxchg_user((u32 __user *)to, &old32, (u32)new, fault);
		*old = old32;
		break;
	case 8:
		unsafe_try_cmpxchg_user((u64 __user *)to, old, new, fault);
		break;
	}
	user_access_end();
	return 0;

fault:
	user_access_end();
	return -EFAULT;
}

static int cmpxchg_by(const struct hull_region_table *table, gpa_t gpa, u64 *old, u64 new,
		      size_t len)
{
	const struct hull_memslot *slot = writable_slot(table, gpa_to_gfn(gpa));
	u64 left;
	int err;

	if (!slot)
		return -ENXIO;
	err = user_cmpxchg(slot_user(slot, gpa, &left), old, new, len);
	hull_slot_mark_dirty(slot, gpa_to_gfn(gpa));
	return err;
}

int hull_gpa_cmpxchg(struct hull_vm *vm, gpa_t gpa, u64 *old, u64 new, size_t len)
{
	int index, err;

	if (!right_mm(vm) || WARN_ON_ONCE(!is_power_of_2(len) || len > 8 || (gpa & (len - 1))))
		return -EFAULT;
	index = srcu_read_lock(&vm->srcu);
	err = cmpxchg_by(srcu_dereference(vm->regions, &vm->srcu), gpa, old, new, len);
	srcu_read_unlock(&vm->srcu, index);
	return err;
}

int hull_gpa_cmpxchg_atomic(struct hull_vm *vm, gpa_t gpa, u64 *old, u64 new, size_t len)
{
	int err;

	rcu_read_lock();
	pagefault_disable();
	err = cmpxchg_by(rcu_dereference(vm->regions), gpa, old, new, len);
	pagefault_enable();
	rcu_read_unlock();
	return err;
}
