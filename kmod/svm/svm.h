/* SPDX-License-Identifier: GPL-2.0 */
/*
 * AMD SVM: what the files of this directory share. Encodings come from the kernel's asm/svm.h.
 */
#ifndef HULL_SVM_H
#define HULL_SVM_H

#include <linux/percpu.h>
#include <asm/svm.h>

#include "../backend.h"
#include "../types.h"
#include "../vcpu.h"

/**
 * struct svm_entry - what entry.S works with; offsets are in entry.S
 * @vmcb_pa: of the guest's VMCB
 * @host_pa: of this CPU's area for VMSAVE of host state
 * @guest_gs: GS base of the guest while it is not entered
 * @host_gs: GS base of this CPU
 */
struct svm_entry {
	u64 vmcb_pa;
	u64 host_pa;
	u64 guest_gs;
	u64 host_gs;
};

/**
 * struct svm_vcpu - the SVM part of a vCPU; owner: the vCPU thread
 * @entry: for entry.S
 * @vmcb: the control block
 * @asid_generation: ASIDs of @asid_cpu were handed out in this round, 0: none is held
 * @asid_cpu: CPU on which vmcb->control.asid is this vCPU's
 * @iret_pending: IRET of an NMI handler is about to be executed ...
 * @iret_rip: ... here
 */
struct svm_vcpu {
	struct svm_entry entry;
	struct vmcb *vmcb;
	u64 asid_generation;
	int asid_cpu;
	bool iret_pending;
	u64 iret_rip;
};

/**
 * struct svm_cpu - per CPU
 * @save: VMRUN keeps the host's state here
 * @host: VMSAVE of host state in each window
 * @gs_base: GS base of this CPU in the kernel
 * @asid_next: next ASID to hand out
 * @asid_generation: grows when all were handed out; then the whole TLB is flushed
 */
struct svm_cpu {
	struct page *save;
	struct page *host;
	u64 gs_base;
	u32 asid_next;
	u64 asid_generation;
};

DECLARE_PER_CPU(struct svm_cpu, svm_cpus);

/**
 * struct svm_caps - what the CPUs offer and the module uses; constant after load
 * @asids: number of ASIDs
 * @nrips: next RIP is saved (module parameter nrips, off until a test cell runs it)
 * @cr4_must: bits of CR4 that stay set while a guest runs
 */
struct svm_caps {
	u32 asids;
	bool nrips;
	u64 cr4_must;
};

extern struct svm_caps svm_caps;

static inline struct svm_vcpu *to_svm(struct hull_vcpu *vcpu)
{
	return vcpu->arch;
}

static inline void svm_intercept(struct vmcb *vmcb, unsigned int bit)
{
	__set_bit(bit, (unsigned long *)vmcb->control.intercepts);
}

static inline void svm_pass(struct vmcb *vmcb, unsigned int bit)
{
	__clear_bit(bit, (unsigned long *)vmcb->control.intercepts);
}

/* The guest reads what it wrote: if the CPU has something else, reading is intercepted. */
static inline void svm_intercept_reads(struct vmcb *vmcb, unsigned int bit, bool differs)
{
	if (differs)
		svm_intercept(vmcb, bit);
	else
		svm_pass(vmcb, bit);
}

/* caps.c */
int svm_probe(void);

/* vmcb.c: permission maps and a VMCB's constant part */
int svm_maps_create(void);
void svm_maps_destroy(void);
void svm_vmcb_init(struct hull_vm *vm, struct vmcb *vmcb);

/* run.c */
int svm_run(struct hull_vcpu *vcpu);
int svm_next_entry(struct hull_vcpu *vcpu);

/* exits.c: called by entry.S in the window; 0: enter again */
int svm_handle_exit(struct hull_vcpu *vcpu);
int svm_handle_exit_shadow(struct hull_vcpu *vcpu);

/*
 * entry.S: opens and closes the inner part of the window, for nested and for shadow paging.
 * 0 or -EIO: SVM was turned off.
 */
int svm_window(struct hull_vcpu *vcpu, struct svm_entry *entry);
int svm_window_shadow(struct hull_vcpu *vcpu, struct svm_entry *entry);

/* state.c */
void svm_get_segments(struct hull_vcpu *vcpu, struct hull_segments *segments);
void svm_set_segments(struct hull_vcpu *vcpu, const struct hull_segments *segments);
void svm_set_control(struct hull_vcpu *vcpu);
int svm_get_msr(struct hull_vcpu *vcpu, u32 index, u64 *value);
int svm_set_msr(struct hull_vcpu *vcpu, u32 index, u64 value);
void svm_set_tsc_offset(struct hull_vcpu *vcpu, u64 offset);
int svm_cpl(struct hull_vcpu *vcpu);
void svm_vcpu_reset(struct hull_vcpu *vcpu, bool init);
void svm_load_state(struct hull_vcpu *vcpu);	/* neutral state to VMCB */
void svm_store_state(struct hull_vcpu *vcpu);	/* and back */
void svm_dump(struct hull_vcpu *vcpu);

#endif
