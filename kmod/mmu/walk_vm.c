// SPDX-License-Identifier: GPL-2.0
/*
 * Binds the walker (walk_core.h) to the memory of a VM: once for where the kernel may sleep, once
 * for the window. No locks of its own.
 */
#include <linux/errno.h>
#include <linux/rcupdate.h>
#include <linux/uaccess.h>

#include "../mem/gpa.h"
#include "../vm.h"
#include "mmu.h"
#include "walk_core.h"

/* Memory that is there and cannot be had is worth another try; memory that is not there is not. */
static int table_errno(int err)
{
	return err == -EFAULT ? -EAGAIN : err;
}

static int read_entry(void *context, u64 gpa, u64 *entry, size_t len)
{
	/* x86: the low bytes come first, the others were zeroed by the walker. */
	return table_errno(hull_gpa_read(context, gpa, entry, len));
}

static int exchange_entry(void *context, u64 gpa, u64 *old, u64 new, size_t len)
{
	return table_errno(hull_gpa_cmpxchg(context, gpa, old, new, len));
}

int hull_walk(struct hull_vm *vm, const struct hull_paging *paging, gva_t gva, u32 access,
	      bool set_bits, struct hull_walk *walk)
{
	const struct hull_walk_memory memory = {
		.read = read_entry,
		.exchange = exchange_entry,
		.context = vm,
	};

	return hull_walk_tables(&memory, paging, gva, access, set_bits, walk);
}

static __always_inline int read_entry_atomic(void *context, u64 gpa, u64 *entry, size_t len)
{
	const struct hull_vm *vm = context;
	unsigned long hva = hull_regions_hva(rcu_dereference_sched(vm->regions), gpa);
	u32 small;

	if (unlikely(!hva))
		return -ENXIO;
	if (unlikely(!user_read_access_begin((void __user *)hva, sizeof(*entry))))
		return -EAGAIN;
	if (likely(len == sizeof(*entry))) {
		unsafe_get_user(*entry, (u64 __user *)hva, fault);
	} else {
		unsafe_get_user(small, (u32 __user *)hva, fault);
		*entry = small;
	}
	user_read_access_end();
	return 0;

fault:
	user_read_access_end();
	return -EAGAIN;
}

static int exchange_entry_atomic(void *context, u64 gpa, u64 *old, u64 new, size_t len)
{
	return table_errno(hull_gpa_cmpxchg_atomic(context, gpa, old, new, len));
}

int hull_walk_atomic(struct hull_vm *vm, const struct hull_paging *paging, gva_t gva, u32 access,
		     struct hull_walk *walk)
{
	const struct hull_walk_memory memory = {
		.read = read_entry_atomic,
		.exchange = exchange_entry_atomic,
		.context = vm,
	};

	return walk_tables(&memory, paging, gva, access, true, walk);
}
