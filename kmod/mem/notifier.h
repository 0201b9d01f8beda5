/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Follows the creator's address space: what it unmaps, protects or moves is unmapped from the
 * guest first.
 */
#ifndef HULL_MEM_NOTIFIER_H
#define HULL_MEM_NOTIFIER_H

#include <linux/mmu_notifier.h>
#include <linux/wait.h>

#include "../types.h"

/**
 * struct hull_notifier - state that lets a fault see that its page went away meanwhile
 * @mn: registration in vm->mm
 * @sequence: grows when an invalidation ends; written under mmu.lock
 * @in_progress: invalidations begun and not ended; under mmu.lock
 * @start: lowest address being invalidated (hva), while @in_progress; under mmu.lock
 * @end: end of the highest; under mmu.lock
 * @wait: faults sleep here until no invalidation is in progress
 */
struct hull_notifier {
	struct mmu_notifier mn;
	unsigned long sequence;
	long in_progress;
	unsigned long start;
	unsigned long end;
	wait_queue_head_t wait;
};

/* Follow vm->mm, which is current->mm. Returns 0, -ENOMEM or -EINTR. */
int hull_notifier_register(struct hull_vm *vm);
/*
 * Stop following. No vCPU may be freed before this: until it returns, invalidations have vCPUs
 * flush. Sleeps; no locks.
 */
void hull_notifier_unregister(struct hull_vm *vm);

/* Is an invalidation that meets [@start, @end) (hva) under way? Under mmu.lock. */
bool hull_notifier_busy(const struct hull_vm *vm, unsigned long start, unsigned long end);

/* Sleep while it is; a signal ends the sleep. No locks. */
void hull_notifier_wait(struct hull_vm *vm, unsigned long start, unsigned long end);

/*
 * hull_notifier_retry - under mmu.lock: has a page in [@start, @end) (hva) perhaps gone since
 * @sequence was read (smp_rmb() after the read, before the page was looked up)?
 */
bool hull_notifier_retry(const struct hull_vm *vm, unsigned long sequence, unsigned long start,
			 unsigned long end);

#endif
