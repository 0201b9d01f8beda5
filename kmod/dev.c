// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/hull: what the module offers, creation of VMs, and the prologue of all ioctls.
 */
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/uaccess.h>

#include "backend.h"
#include "cpuid.h"
#include "dev.h"
#include "host.h"
#include "hull_ring.h"
#include "vm.h"

static const struct hull_ioctl *find_row(const struct hull_ioctl *table, size_t count,
					 unsigned int cmd)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (table[i].cmd == cmd)
			return &table[array_index_nospec(i, count)];
	}
	return NULL;
}

static long copy_and_call(const struct hull_ioctl *row, void *object, unsigned int cmd,
			  unsigned long arg)
{
	u64 buffer[HULL_IOC_MAX_ARG / sizeof(u64)];
	void __user *user = (void __user *)arg;
	unsigned int size = _IOC_SIZE(cmd);
	void *big = NULL, *copy = buffer;
	long ret;

	if (size > sizeof(buffer)) {
		big = kzalloc(size, GFP_KERNEL_ACCOUNT);
		if (!big)
			return -ENOMEM;
		copy = big;
	}
	memset(copy, 0, size);
	ret = -EFAULT;
	if ((_IOC_DIR(cmd) & _IOC_WRITE) && copy_from_user(copy, user, size))
		goto out;
	ret = -EINVAL;
	if (memchr_inv(copy + row->zero_offset, 0, row->zero_size))
		goto out;
	ret = row->fn(object, copy);
	if ((ret >= 0 || ret == -E2BIG) && (_IOC_DIR(cmd) & _IOC_READ) &&
	    copy_to_user(user, copy, size))
		ret = -EFAULT;
out:
	kfree(big);
	return ret;
}

long hull_ioctl(const struct hull_ioctl *table, size_t count, void *object, struct mm_struct *mm,
		struct mutex *lock, unsigned int cmd, unsigned long arg)
{
	const struct hull_ioctl *row = find_row(table, count, cmd);
	long ret;

	if (!row)
		return -ENOTTY;
	if ((row->flags & HULL_IOC_SAME_MM) && current->mm != mm)
		return -EIO;
	if ((row->flags & HULL_IOC_LOCK) && mutex_lock_killable(lock))
		return -EINTR;
	ret = _IOC_SIZE(cmd) ? copy_and_call(row, object, cmd, arg) : row->fn(object, NULL);
	if (row->flags & HULL_IOC_LOCK)
		mutex_unlock(lock);
	return ret;
}

static long dev_get_info(void *object, void *arg)
{
	struct hull_info *info = arg;

	info->capabilities = HULL_CAP_IRQCHIP | HULL_CAP_PIT | HULL_CAP_PM_TIMER |
			     HULL_CAP_PV_CLOCK | HULL_CAP_POSTED | HULL_CAP_DOORBELL |
			     HULL_CAP_CONSUMER | HULL_CAP_READONLY_MEMORY | HULL_CAP_DIRTY_LOG |
			     HULL_CAP_ROUTES | HULL_CAP_IRQFD;
	if (hull_has_nested)
		info->capabilities |= HULL_CAP_NESTED_PAGING;
	if (hull_has_shadow)
		info->capabilities |= HULL_CAP_SHADOW_PAGING;
	if (hull_has_real_mode)
		info->capabilities |= HULL_CAP_REAL_MODE;
	if (hull_check)
		info->capabilities |= HULL_CAP_CHECK_MODE;
	info->backend = hull_backend->id;
	info->paging = hull_default_paging;
	info->max_vcpus = HULL_MAX_VCPUS;
	info->max_regions = HULL_MAX_REGIONS;
	info->max_ranges = HULL_MAX_RANGES;
	info->channel_size = sizeof(struct hull_channel);
	info->tsc_khz = tsc_khz;
	info->gpa_bits = hull_gpa_bits;
	info->xcr0 = hull_guest_xcr0;
	info->xsave_size = hull_xsave_size;
	info->max_routes = HULL_MAX_ROUTES;
	info->max_irqfds = HULL_MAX_IRQFDS;
	return 0;
}

static long dev_create_vm(void *object, void *arg)
{
	const struct hull_create_vm *args = arg;
	int fd;

	if (args->flags & ~HULL_VM_FLAGS)
		return -EINVAL;
	if ((args->flags & HULL_VM_PIT) && !(args->flags & HULL_VM_IRQCHIP))
		return -EINVAL;
	if (args->paging > HULL_PAGING_SHADOW || args->pm_timer_port > 0xfffc)
		return -EINVAL;
	if (args->paging == HULL_PAGING_NESTED && !hull_has_nested)
		return -EOPNOTSUPP;
	if (args->paging == HULL_PAGING_SHADOW && !hull_has_shadow)
		return -EOPNOTSUPP;
	fd = hull_vm_create_fd(args);
	/* The notifier gives way to signals: nothing is done yet, so it is done again after. */
	return fd == -EINTR ? -ERESTARTNOINTR : fd;
}

static long dev_get_cpuid(void *object, void *arg)
{
	struct hull_cpuid *args = arg;
	const struct hull_cpuid_entry *entries;
	unsigned int count;

	entries = hull_cpuid_supported(&count);
	if (args->count < count) {
		args->count = count;
		return -E2BIG;
	}
	args->count = count;
	if (copy_to_user(u64_to_user_ptr(args->entries), entries, count * sizeof(*entries)))
		return -EFAULT;
	return 0;
}

static const struct hull_ioctl dev_ioctls[] = {
	{ .cmd = HULL_GET_INFO, .fn = dev_get_info },
	{ .cmd = HULL_CREATE_VM, .fn = dev_create_vm, HULL_RESERVED(struct hull_create_vm) },
	{ .cmd = HULL_GET_SUPPORTED_CPUID, .fn = dev_get_cpuid, HULL_RESERVED(struct hull_cpuid) },
};

static long dev_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return hull_ioctl(dev_ioctls, ARRAY_SIZE(dev_ioctls), NULL, NULL, NULL, cmd, arg);
}

static const struct file_operations dev_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = dev_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice dev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "hull",
	.fops = &dev_fops,
	.mode = 0660,
};

int hull_dev_register(void)
{
	int err = misc_register(&dev);

	if (err)
		pr_err("cannot register /dev/hull: %d\n", err);
	return err;
}

void hull_dev_unregister(void)
{
	misc_deregister(&dev);
}
