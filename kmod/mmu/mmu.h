/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Maps guest memory for the CPU. Four roles in four places: walk the guest's tables (walk_core.h),
 * encode an entry (spte.h), map (fault.c with tdp.c; shadow.c above them), prove (check.c).
 *
 * The flush protocol. Whoever takes a permission away changes the entry under @lock, which counts
 * hull_mmu.changes, drops the lock, and calls hull_mmu_flush() before it lets go of what the entry
 * gave access to. Until that flush has ended a TLB may hold the old entry although the tables no
 * longer do; so who finds nothing (more) to take away must still flush while changes of others
 * are on their way: hull_mmu_flush_needed() says so.
 */
#ifndef HULL_MMU_MMU_H
#define HULL_MMU_MMU_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <asm/trap_pf.h>

#include "../types.h"
#include "walk.h"

struct hull_region_table;
struct hull_table;
struct hull_shadow;

/**
 * struct hull_shadow_pool - shadow pages of one VM; all under hull_mmu.lock
 * @hash: shadow pages by guest frame; NULL in a VM with nested paging; constant
 * @lru: all shadow pages, the latest used first
 * @settling: pages that are about to be in sync
 * @pages: shadow pages in @lru
 * @cap: reclaim beyond so many
 * @visits: walks along the marks
 * @synced: guest tables that are write-protected, counted by 2 MiB of guest memory (hashed)
 * @fills: times that something became visible to PCIDs that may not have seen it: shadow_sync.c
 * @shrinker: gives pages back when the host is short of memory
 */
struct hull_shadow_pool {
	struct hlist_head *hash;
	struct list_head lru;
	struct list_head settling;
	unsigned long pages;
	unsigned long cap;
	u64 visits;
	u32 *synced;
	u64 fills;
	struct hull_shrinker shrinker;
};

/**
 * struct hull_mmu - tables of one VM
 * @lock: protects all tables and @freed, and hull_notifier; interrupts on, innermost lock
 * @root: the root table as the hardware wants it (NCR3): host-physical, memory encryption bit
 *        included; constant
 * @levels: of the tables; constant
 * @table: the root table; constant
 * @generation: TLB generation, from 1: grows when a flush begins, after entries have changed and
 *              before vCPUs are asked
 * @due: generation that each entry must have flushed for: follows @generation when a flush ends;
 *       written under @lock, read anywhere
 * @changes: permissions taken away so far; under @lock
 * @completed: value of @changes that flushes which have ended cover; under @lock
 * @freed: tables unlinked and not yet flushed from all vCPUs; under @lock
 * @pages: tables in use, the root included; under @lock
 * @mapped: leaf entries in use, of any size; under @lock
 * @leaving: table of regions being replaced, whose pages may still be mapped; under @lock
 * @pool: of shadow paging
 * @flat: shadow paging: vCPUs that run on these tables, as they do not page; under @lock
 * @violations: found by the oracle
 */
struct hull_mmu {
	spinlock_t lock;
	hpa_t root;
	int levels;
	struct hull_table *table;
	atomic64_t generation;
	u64 due;
	u64 changes;
	u64 completed;
	struct list_head freed;
	unsigned long pages;
	unsigned long mapped;
	const struct hull_region_table *leaving;
	struct hull_shadow_pool pool;
	unsigned int flat;
	atomic_t violations;
};

/* Tables one fault can need: one a level, the root excepted. */
#define HULL_MMU_CACHE	4
/* Shadow pages one fault can need: one a level. */
#define HULL_SHADOW_CACHE	5
/* Shadow pages a vCPU's root can consist of: the four of PAE's root, or one. */
#define HULL_SHADOW_ROOTS	4
/* PCIDs that a vCPU remembers: Linux uses 1 to 6, and with bit 11 set for its user space. */
#define HULL_RECENT_ROOTS	16

/**
 * struct hull_recent_root - a PCID that a vCPU has left: shadow_sync.c
 * @cr3: root and PCID
 * @fills: hull_shadow_pool.fills then
 * @invalidations: hull_mmu_vcpu.invalidations then
 */
struct hull_recent_root {
	u64 cr3;
	u64 fills;
	u64 invalidations;
};

/**
 * struct hull_mmu_vcpu - per vCPU part; owner: the vCPU thread
 * @due: hull_mmu.due before requests were looked at, for the last entry
 * @flushed: value of hull_mmu.generation at (or before) this vCPU's last TLB flush; 0: never
 * @flushed_cpu: host CPU of that flush
 * @flushed_tag: ASID or VPID it was for
 * @cache: tables allocated ahead of taking the lock
 * @cached: valid entries of @cache
 * @root: shadow paging: what the hardware's CR3 must hold, 0: there is no root yet
 * @flat: counted in hull_mmu.flat: no CR3 matters; under hull_mmu.lock
 * @roots: shadow pages that make up the root; under hull_mmu.lock
 * @pae: PAE's root table, below 4 GiB: four entries that point to @roots
 * @shadows: shadow pages allocated ahead of taking the lock
 * @nr_shadows: valid entries of @shadows
 * @recent: roots that were left while CR4.PCIDE was set, by PCID
 * @invalidations: how often the guest has invalidated translations of other PCIDs than its own
 * @walk: through the guest's tables, for the last shadow fault
 * @walked: the window has made it, for the exit that is being handled outside
 * @fault_rip: RIP of the last shadow fault ...
 * @fault_repeats: ... and how often in a row it was the same
 */
struct hull_mmu_vcpu {
	u64 due;
	u64 flushed;
	int flushed_cpu;
	u32 flushed_tag;
	struct hull_table *cache[HULL_MMU_CACHE];
	int cached;
	hpa_t root;
	bool flat;
	struct hull_shadow *roots[HULL_SHADOW_ROOTS];
	u64 *pae;
	struct hull_shadow *shadows[HULL_SHADOW_CACHE];
	int nr_shadows;
	struct hull_recent_root recent[HULL_RECENT_ROOTS];
	u64 invalidations;
	struct hull_walk walk;
	bool walked;
	u64 fault_rip;
	unsigned int fault_repeats;
};

/* What a fault turned out to be. Negative: errno (-EFAULT, -ENOMEM, -EINTR, -EHWPOISON). */
enum hull_fault {
	HULL_FAULT_MAPPED,	/* enter again */
	HULL_FAULT_MMIO,	/* no memory there, or a write to read-only memory: emulate */
	HULL_FAULT_GUEST,	/* the guest's own tables forbid it: inject #PF */
};

/* Width of a guest-physical address, from host.c; constant after load. */
extern unsigned int hull_gpa_bits;

/*
 * hull_mmu_init - the first table. Returns 0 or -ENOMEM.
 * hull_mmu_destroy - after hull_notifier_unregister(), no vCPU runs any more.
 */
int hull_mmu_init(struct hull_vm *vm);
void hull_mmu_destroy(struct hull_vm *vm);
void hull_mmu_vcpu_destroy(struct hull_vcpu *vcpu);

/* Frames that tables of this machine can map: the end of guest-physical memory. */
gfn_t hull_mmu_gfn_end(void);

/*
 * hull_mmu_fault - the guest touched @gpa and no entry allowed it.
 * @access: HULL_ACCESS_*
 * The vCPU thread, outside the window, no locks but vcpu->mutex; sleeps.
 * Returns enum hull_fault; -EFAULT: nothing is mapped there in the creator's address space, or not
 * with enough rights, or it is no ordinary memory; -EHWPOISON: the memory is broken; -EINTR: the
 * thread is being killed; -ENOMEM.
 */
int hull_mmu_fault(struct hull_vcpu *vcpu, gpa_t gpa, u32 access);

/* HULL_ACCESS_* of a page fault's error code. */
static inline u32 hull_fault_access(u32 error_code)
{
	return (error_code & X86_PF_WRITE ? HULL_ACCESS_WRITE : 0) |
	       (error_code & X86_PF_USER ? HULL_ACCESS_USER : 0) |
	       (error_code & X86_PF_INSTR ? HULL_ACCESS_FETCH : 0);
}

/* ---- shadow paging (shadow.c); only for VMs with HULL_PAGING_SHADOW ------------------------- */

/*
 * hull_shadow_fault - the guest touched @gva and its shadow did not allow it.
 * @error_code: the CPU's, of the #PF
 * @ac: RFLAGS.AC lifts SMAP for this access
 * vcpu->mmu.walk tells: MMIO: @gpa, no memory or a write to be executed in software;
 * GUEST: @error_code.
 * Context and negative values as hull_mmu_fault(); -ENXIO: a guest table is not in memory.
 */
int hull_shadow_fault(struct hull_vcpu *vcpu, gva_t gva, u32 error_code, bool ac);

/*
 * hull_shadow_fault_fast - the same in the window, when nothing must be waited for
 * MAPPED, GUEST; MMIO: no memory is there; -EAGAIN: it must be handled outside.
 */
int hull_shadow_fault_fast(struct hull_vcpu *vcpu, gva_t gva, u32 error_code, bool ac);

/*
 * hull_shadow_prepare - before a window: takes HULL_REQ_ROOT, builds the root when there is none.
 * The vCPU thread, outside the window; sleeps. 0, -ENOMEM, -EINTR.
 */
int hull_shadow_prepare(struct hull_vcpu *vcpu);

/*
 * What the guest does to its translations. The vCPU thread, in or outside the window. They request
 * HULL_REQ_FLUSH where the hardware's TLB must forget, and HULL_REQ_ROOT when the window must be
 * left; vcpu->mmu.root may change.
 *
 * hull_shadow_load_root - vcpu->control selects another root, and PCIDs are off
 * hull_shadow_load_pcid - @cr3, which is valid, is to be loaded with CR4.PCIDE set; @keep: what was
 *                         cached for its PCID may be used
 * hull_shadow_reload - vcpu->control selects another paging mode, or everything is to be translated
 *                      anew, for all PCIDs
 * hull_shadow_invlpg - @gva is to be translated anew
 */
void hull_shadow_load_root(struct hull_vcpu *vcpu);
void hull_shadow_load_pcid(struct hull_vcpu *vcpu, u64 cr3, bool keep);
void hull_shadow_reload(struct hull_vcpu *vcpu);
void hull_shadow_invlpg(struct hull_vcpu *vcpu, gva_t gva);

/*
 * Not the guest wrote to frames [@start, @end): the emulator, a device, the launcher. Any context
 * that may take mmu->lock.
 */
void hull_shadow_written(struct hull_vm *vm, gfn_t start, gfn_t end);

/*
 * Unmap, or make read-only for dirty logging, frames [@start, @end). Under mmu->lock.
 * @may_break: stop early when the CPU or the lock is wanted by others
 * Returns where to go on: @end when all is done. The caller drops the lock and flushes when
 * hull_mmu_flush_needed(), before it lets go of what the pages meant.
 */
gfn_t hull_mmu_unmap(struct hull_vm *vm, gfn_t start, gfn_t end, bool may_break);
gfn_t hull_mmu_write_protect(struct hull_vm *vm, gfn_t start, gfn_t end, bool may_break);

/*
 * The same for callers that hold no lock: all of it, giving way to others in between when
 * @may_sleep. They flush with hull_mmu_flush_pending() afterwards.
 */
void hull_mmu_unmap_range(struct hull_vm *vm, gfn_t start, gfn_t end, bool may_sleep);
void hull_mmu_write_protect_range(struct hull_vm *vm, gfn_t start, gfn_t end, bool may_sleep);

/*
 * True when one of the frames was accessed; @clear: take the accessed state back. Under
 * mmu->lock. Needs no flush: what a TLB still knows merely looks less accessed than it is.
 */
bool hull_mmu_age(struct hull_vm *vm, gfn_t start, gfn_t end, bool clear);

/* Permissions were taken away and no flush that has ended covers it. Under mmu->lock. */
static inline bool hull_mmu_flush_needed(const struct hull_mmu *mmu)
{
	lockdep_assert_held(&mmu->lock);
	return mmu->changes != mmu->completed;
}

/*
 * Have all vCPUs flush, wait until none is in the guest with older entries, free the tables that
 * were unlinked before. No spinlock held, interrupts on; does not sleep.
 */
void hull_mmu_flush(struct hull_vm *vm);
/* The same, if changes are pending at all. */
void hull_mmu_flush_pending(struct hull_vm *vm);

/*
 * For the backend, before each entry, in this order: mmu.due = hull_mmu_due(); take HULL_REQ_FLUSH;
 * if taken (or the tag is not ours on this CPU): seen = hull_mmu_generation(), flush,
 * hull_mmu_flushed(seen); in check mode hull_check_entry(). Why: tlb.c.
 */
static inline u64 hull_mmu_due(const struct hull_mmu *mmu)
{
	return READ_ONCE(mmu->due);
}

static inline u64 hull_mmu_generation(const struct hull_mmu *mmu)
{
	return atomic64_read(&mmu->generation);
}

/*
 * The backend tells that it flushed this vCPU's TLB tag @tag on this CPU; @generation was read
 * after the request was taken and before the flush.
 */
static inline void hull_mmu_flushed(struct hull_mmu_vcpu *mmu, u64 generation, int cpu, u32 tag)
{
	mmu->flushed = generation;
	mmu->flushed_cpu = cpu;
	mmu->flushed_tag = tag;
}

/* The oracle (check.c). Only called when hull_check. */
extern bool hull_check;
/*
 * (a) In the window before entry, interrupts off. mmu.due was read before the requests were looked
 * at. False: the tag may hold stale entries.
 */
bool hull_check_entry(struct hull_vcpu *vcpu, int cpu, u32 tag);
/*
 * (d) Walk all tables against the regions and, in the creator's address space, against its page
 * tables; returns the number of violations. Sleeps; no locks.
 */
int hull_check_tables(struct hull_vm *vm);
/* One violation: one line in the log, WARNs once, counts. Any context. */
void hull_check_failed(struct hull_vm *vm, const char *what, u64 a, u64 b);

/*
 * hull_walk - translate @gva, which is canonical, as the guest would (walk.h).
 * @access: HULL_ACCESS_*
 * @set_bits: set A and D as the CPU would (an emulated access), else leave memory alone
 * Returns 0; -EFAULT: the guest gets #PF with walk->error_code; -ENXIO: a table is not in memory,
 * or an accessed bit would have to be set in read-only memory; -EAGAIN: host memory for a table
 * cannot be had. May sleep. The vCPU's address space must be current.
 */
int hull_walk(struct hull_vm *vm, const struct hull_paging *paging, gva_t gva, u32 access,
	      bool set_bits, struct hull_walk *walk);
/*
 * The same for the window (interrupts off, user faults disabled), setting bits. -EAGAIN: it must be
 * tried outside.
 */
int hull_walk_atomic(struct hull_vm *vm, const struct hull_paging *paging, gva_t gva, u32 access,
		     struct hull_walk *walk);

#endif
