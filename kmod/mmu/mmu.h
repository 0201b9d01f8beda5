/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Maps guest memory for the CPU. Four roles in four places: walk the guest's tables (walk.c),
 * encode an entry (spte.h), map (fault.c with tdp.c, later shadow.c), prove (check.c).
 */
#ifndef HULL_MMU_MMU_H
#define HULL_MMU_MMU_H

#include <linux/spinlock.h>
#include <linux/list.h>
#include <linux/workqueue.h>

#include "../types.h"

/**
 * struct hull_mmu - tables of one VM
 * @lock: protects all tables and @freed, and hull_notifier; interrupts on, never with a page lock
 * @root: host-physical address of the nested root table; constant
 * @generation: TLB generation: grows with each change that takes a permission away; atomic. Each
 *              grower first changes the entry, then sets HULL_REQ_FLUSH on all vCPUs, then bumps
 *              this, then kicks
 * @freed: tables unlinked and not yet flushed from all vCPUs, under @lock
 * @pages: tables in use (leaf mappings: @mapped); under @lock
 */
struct hull_mmu {
	spinlock_t lock;
	hpa_t root;
	atomic64_t generation;
	struct list_head freed;
	unsigned long pages;
	unsigned long mapped;
};

/**
 * struct hull_mmu_vcpu - per vCPU part
 * @flushed: value of hull_mmu.generation at (or before) this vCPU's last TLB flush
 * @flushed_cpu: host CPU of that flush
 * @flushed_tag: ASID or VPID it was for
 * @cache: table pages allocated ahead of taking the lock
 * @cached: valid entries of @cache
 */
struct hull_mmu_vcpu {
	u64 flushed;
	int flushed_cpu;
	u32 flushed_tag;
	void *cache[8];
	int cached;
};

/* What hull_mmu_fault() found. Negative: errno (-EFAULT, -ENOMEM, -EINTR, -EHWPOISON). */
enum hull_fault {
	HULL_FAULT_MAPPED,	/* enter again */
	HULL_FAULT_MMIO,	/* no memory there, or a write to read-only memory: emulate */
};

int hull_mmu_init(struct hull_vm *vm);
void hull_mmu_destroy(struct hull_vm *vm);
void hull_mmu_vcpu_destroy(struct hull_vcpu *vcpu);

/*
 * hull_mmu_fault - the guest touched @gpa and no entry allowed it.
 * @access: HULL_ACCESS_*
 * The vCPU thread, outside the window; may sleep.
 */
int hull_mmu_fault(struct hull_vcpu *vcpu, gpa_t gpa, u32 access);

/*
 * Unmap (or make read-only, for dirty logging) frames [@start, @end). Return true when a flush is
 * needed: the caller flushes with hull_mmu_flush() before it drops what the pages meant.
 * Under mmu->lock.
 */
bool hull_mmu_unmap(struct hull_vm *vm, gfn_t start, gfn_t end);
bool hull_mmu_write_protect(struct hull_vm *vm, gfn_t start, gfn_t end);
/* Take back the accessed state of frames; true when one was young. Under mmu->lock. */
bool hull_mmu_age(struct hull_vm *vm, gfn_t start, gfn_t end, bool clear);

/* Bump the generation, have all vCPUs flush, wait until none is in the guest with older entries. */
void hull_mmu_flush(struct hull_vm *vm);

/* Free tables unlinked before the last hull_mmu_flush(). Under mmu->lock. */
void hull_mmu_free_unlinked(struct hull_vm *vm);

/*
 * The backend tells that it flushed this vCPU's TLB tag @tag on this CPU; @generation was read
 * before the flush.
 */
static inline void hull_mmu_flushed(struct hull_mmu_vcpu *mmu, u64 generation, int cpu, u32 tag)
{
	mmu->flushed = generation;
	mmu->flushed_cpu = cpu;
	mmu->flushed_tag = tag;
}

/* The oracle (check.c). Only called when hull_check. */
extern bool hull_check;
/* (a) in the window before entry, interrupts off; false: the tag may hold stale entries. */
bool hull_check_entry(struct hull_vcpu *vcpu, u64 generation, int cpu, u32 tag);
/* (d) walk all tables against the regions; returns number of violations, each reported once. */
int hull_check_tables(struct hull_vm *vm);
/* One violation: WARNs once, counts. */
void hull_check_failed(struct hull_vm *vm, const char *what, u64 a, u64 b);

/* ---- walk.c: the guest's own tables ------------------------------------------------------- */

/**
 * struct hull_paging - the part of a vCPU's state that selects its paging mode
 */
struct hull_paging {
	u64 cr0, cr3, cr4, efer;
	bool ac;		/* RFLAGS.AC: SMAP override */
};

/**
 * struct hull_walk - result of a walk
 * @gpa: translation, when the walk returns 0
 * @level: of the leaf: 1 = 4 KiB ...; 0: no paging
 * @error_code: of the #PF, when it returns -EFAULT
 */
struct hull_walk {
	gpa_t gpa;
	int level;
	u32 error_code;
};

/*
 * hull_walk - translate @gva as the guest would.
 * @access: HULL_ACCESS_*
 * @set_bits: set A and D as the CPU would (an emulated access), else leave memory alone
 * Returns 0; -EFAULT: the guest gets #PF with walk->error_code; -ENXIO: a table is not in memory;
 * -EAGAIN: host memory for a table cannot be read. May sleep.
 */
int hull_walk(struct hull_vm *vm, const struct hull_paging *paging, gva_t gva, u32 access,
	      bool set_bits, struct hull_walk *walk);

#endif
