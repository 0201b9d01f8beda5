/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A virtual machine: its memory, address ranges, interrupt controllers and vCPUs.
 */
#ifndef HULL_VM_H
#define HULL_VM_H

#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/srcu.h>
#include <linux/mm_types.h>

#include "types.h"
#include "hull.h"
#include "mem/region.h"
#include "mem/notifier.h"
#include "mmu/mmu.h"

#define HULL_MAX_VCPUS	16

struct hull_irqchip;
struct hull_range_table;

/**
 * struct hull_vm - one VM
 * @refs: one for each fd (VM, vCPU, consumer)
 * @mm: address space of the creator, held by mmgrab(); constant
 * @lock: (mutex) writers of @regions, @ranges, @vcpus
 * @srcu: readers of @regions that may sleep
 * @regions: memory table, RCU and @srcu; replaced under @lock
 * @ranges: address ranges, RCU; replaced under @lock
 * @notifier: MMU notifier state
 * @mmu: tables that map guest memory; inside: own lock
 * @irqchip: interrupt controllers and timers, NULL without HULL_VM_IRQCHIP; constant
 * @vcpus: by id; an entry appears once (smp_store_release()) and stays until the VM is freed
 * @nr_vcpus: entries in @vcpus, under @lock
 * @flags: HULL_VM_*; constant
 * @paging: HULL_PAGING_NESTED or HULL_PAGING_SHADOW; constant
 * @tsc_offset: TSC offset of new vCPUs; constant
 * @end_reason: HULL_END_* once the VM cannot go on (cmpxchg from 0), the first reason stays
 * @end: details of @end_reason, written by the vCPU whose cmpxchg won before @end_published
 * @end_published: @end can be read (release/acquire)
 * @clock_base: boot-time ns at which the guest's clock was 0; see irqchip/clock.c
 */
struct hull_vm {
	struct kref refs;
	struct mm_struct *mm;
	struct mutex lock;
	struct srcu_struct srcu;
	struct hull_region_table __rcu *regions;
	struct hull_range_table __rcu *ranges;
	struct hull_notifier notifier;
	struct hull_mmu mmu;
	struct hull_irqchip *irqchip;
	struct hull_vcpu *vcpus[HULL_MAX_VCPUS];
	unsigned int nr_vcpus;
	u32 flags;
	u32 paging;
	u64 tsc_offset;
	u32 end_reason;
	struct hull_run end;
	bool end_published;
};

/* The vCPU with this id, or NULL. Any context. */
static inline struct hull_vcpu *hull_vm_vcpu(struct hull_vm *vm, unsigned int id)
{
	return id < HULL_MAX_VCPUS ? smp_load_acquire(&vm->vcpus[id]) : NULL;
}

#define hull_for_each_vcpu(id, vcpu, vm)				\
	for ((id) = 0; (id) < HULL_MAX_VCPUS; (id)++)			\
		if (!((vcpu) = hull_vm_vcpu(vm, id))) {} else

extern u32 hull_default_paging;		/* what HULL_PAGING_AUTO gives; __ro_after_init */

int hull_vm_create_fd(const struct hull_create_vm *args);
void hull_vm_get(struct hull_vm *vm);
void hull_vm_put(struct hull_vm *vm);

/*
 * Every vCPU executes @request (HULL_REQ_*) before it enters the guest again; those in the guest
 * are kicked out, and this waits until they have left it. May sleep: no.
 */
void hull_vm_request(struct hull_vm *vm, unsigned int request);

extern const struct file_operations hull_vm_fops;

#endif
