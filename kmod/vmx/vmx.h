/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Intel VMX: what the files of this directory share. Encodings come from the kernel's asm/vmx.h.
 *
 * A VMCS can be read and written only while it is loaded (vmx_open() to vmx_close()). So what stays
 * in it is kept in struct vmx_vcpu too: written there by user space's ioctls, loaded with the next
 * window, and read back when somebody asks.
 */
#ifndef HULL_VMX_H
#define HULL_VMX_H

#include <linux/percpu.h>
#include <asm/desc_defs.h>
#include <asm/vmx.h>

#include "../backend.h"
#include "../types.h"
#include "../vcpu.h"
#include "check.h"

/* vmx_vcpu.efer: lists of one entry */
enum { VMX_EFER_GUEST, VMX_EFER_HOST, VMX_EFER_LISTS };

/* Syscall MSRs, which VMX does not switch; writes of them are intercepted. */
#define VMX_SYSCALL_MSRS	4

/* vmx_vcpu.dirty: to be loaded into the VMCS with the next window */
#define VMX_DIRTY_CONTROL	BIT(0)
#define VMX_DIRTY_SEGMENTS	BIT(1)	/* and SYSENTER's MSRs */
#define VMX_DIRTY_TSC		BIT(2)

/**
 * struct vmx_vcpu - the VMX part of a vCPU; owner: the vCPU thread
 * @vmcs: a page; first word: the CPU's revision
 * @segments: as loaded next, or as last read
 * @sysenter: CS, ESP, EIP: with @segments
 * @fresh: @segments and @sysenter are what the VMCS says
 * @initialized: the constant part of the VMCS is written
 * @open: the VMCS is loaded
 * @dirty: VMX_DIRTY_*
 * @syscall: STAR, LSTAR, CSTAR, SYSCALL_MASK
 * @syscall_loaded: they are on the CPU
 * @kernel_gs: KERNEL_GS_BASE, not valid while @syscall_loaded
 * @pat: kept, without effect: EPT entries say write-back
 * @efer: two lists of MSRs with EFER, for entries and for exits; NULL: the VMCS has fields for it
 * @tsc_offset: wanted
 * @owned_cr0: bits that the guest changes without an exit, by the VMCS; as @owned_cr4
 * @pdpte: for PAE paging: the entries of CR3's table, with VMX_DIRTY_CONTROL
 * @controls: primary execution controls in the VMCS
 * @interruptibility: in the VMCS when the window was closed
 * @dr7: in the VMCS
 * @cpl: when the window was closed
 * @vectoring: what was being delivered when the last exit came
 * @host_nmi: an NMI of the host's ended the window
 * @flushed_cpu: CPU where translations were flushed last
 * @vpid: in the VMCS; 0: none
 * @vpid_generation: shadow paging: @vpid is of this round on @flushed_cpu
 * @ept: the VMCS has EPT on
 * @host_cpu: CPU whose constant state is in the VMCS
 * @host_cr3: of the host, in the VMCS; as @host_cr4, @host_fs
 */
struct vmx_vcpu {
	u32 *vmcs;
	struct hull_segments segments;
	u64 sysenter[3];
	bool fresh;
	bool initialized;
	bool open;
	u32 dirty;
	u64 syscall[VMX_SYSCALL_MSRS];
	bool syscall_loaded;
	u64 kernel_gs;
	u64 pat;
	struct vmx_msr_entry *efer;
	u64 tsc_offset;
	u64 owned_cr0;
	u64 owned_cr4;
	u64 pdpte[4];
	u32 controls;
	u32 interruptibility;
	u64 dr7;
	u8 cpl;
	u32 vectoring;
	bool host_nmi;
	int flushed_cpu;
	u16 vpid;
	u64 vpid_generation;
	bool ept;
	int host_cpu;
	u64 host_cr3;
	u64 host_cr4;
	u64 host_fs;
};

/**
 * struct vmx_cpu - per CPU: the page of VMXON, VPIDs, and host state that does not change
 * @vpid_next: shadow paging: next VPID to hand out
 * @vpid_generation: grows when all were handed out; then all VPIDs are flushed
 */
struct vmx_cpu {
	u32 *vmxon;
	u32 vpid_next;
	u64 vpid_generation;
	struct desc_ptr gdt, idt;
	u16 tr;
	u64 tr_base;
	u64 gs_base;
	u64 cr0;
	u64 efer;
	u64 sysenter[3];
	u64 syscall[VMX_SYSCALL_MSRS];
};

DECLARE_PER_CPU(struct vmx_cpu, vmx_cpus);

extern struct vmx_caps vmx_caps;
extern const u32 vmx_syscall_msrs[VMX_SYSCALL_MSRS];

static inline struct vmx_vcpu *to_vmx(struct hull_vcpu *vcpu)
{
	return vcpu->arch;
}

/* Index of a syscall MSR, or -1. */
static inline int vmx_syscall_index(u32 index)
{
	int i;

	for (i = 0; i < VMX_SYSCALL_MSRS; i++) {
		if (vmx_syscall_msrs[i] == index)
			return i;
	}
	return -1;
}

/*
 * VPIDs of guests on shadow tables: from the end where KVM, which takes the first one that is free,
 * does not come.
 */
#define VMX_VPID_FIRST	0x8000
#define VMX_VPID_END	0x10000

/* EPT and unrestricted guests: both, or neither is used. */
static inline bool vmx_has_ept(void)
{
	return vmx_caps.controls[VMX_CPU2] & SECONDARY_EXEC_ENABLE_EPT;
}

/*
 * EPT and unrestricted guest are on: always with nested paging; with shadow paging while the guest
 * does not page, where the CPU has them: it could be in real mode.
 */
static inline bool vmx_is_nested(const struct hull_vcpu *vcpu)
{
	return !hull_is_shadow(vcpu) || (hull_flat && !(vcpu->control.cr0 & X86_CR0_PG));
}

/* caps.c */
int vmx_probe(void);

/* vmcs.c: EFER for the next entries, and for exits */
void vmx_write_efer(struct vmx_vcpu *vmx, u64 efer);
void vmx_write_host_efer(struct vmx_vcpu *vmx, u64 efer);
int vmx_bitmap_create(void);
void vmx_bitmap_destroy(void);
/*
 * The outer part of the window, interrupts off: VMX on, the VMCS loaded; and back.
 * 0; -EBUSY: another hypervisor holds the hardware; -EIO: the CPU refuses
 */
int vmx_open(struct hull_vcpu *vcpu);
void vmx_close(struct hull_vcpu *vcpu);
void vmx_read_image(struct hull_vcpu *vcpu, struct vmcs_image *image);
void vmx_dump(struct hull_vcpu *vcpu);

/* run.c */
int vmx_run(struct hull_vcpu *vcpu);
int vmx_next_entry(struct hull_vcpu *vcpu);

/* exits.c: called by entry.S in the window; 0: enter again */
int vmx_handle_exit(struct hull_vcpu *vcpu);

/* entry.S: the loop. 0; 1: the CPU refused to enter at all. vmx_exit: where exits arrive. */
int vmx_window(struct hull_vcpu *vcpu);
extern const char vmx_exit[];

/* state.c */
void vmx_get_segments(struct hull_vcpu *vcpu, struct hull_segments *segments);
void vmx_set_segments(struct hull_vcpu *vcpu, const struct hull_segments *segments);
void vmx_set_control(struct hull_vcpu *vcpu);
int vmx_get_msr(struct hull_vcpu *vcpu, u32 index, u64 *value);
int vmx_set_msr(struct hull_vcpu *vcpu, u32 index, u64 value);
void vmx_set_tsc_offset(struct hull_vcpu *vcpu, u64 offset);
int vmx_cpl(struct hull_vcpu *vcpu);
void vmx_vcpu_reset(struct hull_vcpu *vcpu, bool init);
void vmx_write_cr0(struct hull_vcpu *vcpu);	/* from vcpu->control, in the window */
void vmx_write_cr4(struct hull_vcpu *vcpu);
/* Nested paging: to vcpu->control, what the guest has changed without an exit; in the window. */
void vmx_read_control(struct hull_vcpu *vcpu);
void vmx_prepare_state(struct hull_vcpu *vcpu);	/* before the window; may sleep */
void vmx_load_state(struct hull_vcpu *vcpu);	/* neutral state to VMCS */
void vmx_store_state(struct hull_vcpu *vcpu);	/* and back */

#endif
