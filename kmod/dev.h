/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ioctls as rows of a table, and the device node.
 */
#ifndef HULL_DEV_H
#define HULL_DEV_H

#include <linux/fs.h>

#include "types.h"

#define HULL_IOC_SAME_MM	(1U << 0)	/* only from the VM's creator's address space */
#define HULL_IOC_LOCK		(1U << 1)	/* hold the object's mutex */

#define HULL_IOC_MAX_ARG	256

/**
 * struct hull_ioctl - one ioctl
 * @cmd: number, direction and size of the argument
 * @flags: HULL_IOC_*
 * @zero_offset: argument bytes that must be zero ...
 * @zero_size: ... and how many
 * @fn: the work, on a copy of the argument in the kernel (NULL for _IO); what it leaves there is
 *      copied out for _IOR and _IOWR when it returns 0 or more
 */
struct hull_ioctl {
	unsigned int cmd;
	unsigned int flags;
	unsigned int zero_offset;
	unsigned int zero_size;
	long (*fn)(void *object, void *arg);
};

#define HULL_RESERVED(type)						\
	.zero_offset = offsetof(type, reserved),			\
	.zero_size = sizeof_field(type, reserved)

/*
 * hull_ioctl - find @cmd in @table and do it.
 * @mm: the only address space SAME_MM rows accept
 * @lock: what LOCK rows hold
 * Returns what the row's function does; -ENOTTY: unknown; -EIO: another address space;
 * -EFAULT: the argument cannot be copied; -EINVAL: reserved bytes are not zero;
 * -EINTR: killed while waiting for @lock.
 */
long hull_ioctl(const struct hull_ioctl *table, size_t count, void *object, struct mm_struct *mm,
		struct mutex *lock, unsigned int cmd, unsigned long arg);

int hull_dev_register(void);
void hull_dev_unregister(void);

#endif
