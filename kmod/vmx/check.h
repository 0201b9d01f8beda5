/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The rules that VM entry checks, in pure code, on a copy of the VMCS.
 */
#ifndef HULL_VMX_CHECK_H
#define HULL_VMX_CHECK_H

#include <asm/processor-flags.h>
#include <asm/vmx.h>

#include "../emulate/types.h"

/* In GUEST_INTERRUPTIBILITY_INFO: no interrupt before the next instruction. */
#define VMX_INTERRUPT_SHADOW	(GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS)

/* In GUEST_PENDING_DBG_EXCEPTIONS: a single step waits. */
#define VMX_PENDING_BS	BIT(14)

/* The words of control bits that a CPU has its own mind about. */
enum vmx_control { VMX_PIN, VMX_CPU, VMX_CPU2, VMX_EXIT, VMX_ENTRY, VMX_CONTROLS };

/**
 * struct vmx_caps - what the CPUs offer and the module uses; constant after load
 * @allowed: the capability MSRs: bits that must be 1 (low half), that may be 1 (high half)
 * @controls: what VMCSs start with
 * @cr0_fixed: bits of CR0 that must be 1, that may be 1; unrestricted guests may clear PE and PG
 * @cr4_fixed: the same for CR4, with what protects the host
 * @revision: of VMCSs
 * @eptp: the constant part of EPTPs; 0: there is no EPT, or none that hull can use
 * @invept: type of INVEPT
 * @invvpid: INVVPID can flush all VPIDs
 * @timer: preemption timer: ticks that an entry lasts at most
 * @l1d_flush: the CPU needs its L1 data cache flushed before a guest runs
 */
struct vmx_caps {
	u64 allowed[VMX_CONTROLS];
	u32 controls[VMX_CONTROLS];
	u64 cr0_fixed[2];
	u64 cr4_fixed[2];
	u32 revision;
	u64 eptp;
	u64 invept;
	bool invvpid;
	u32 timer;
	bool l1d_flush;
};

/* What a guest on shadow tables must not do alone. */
#define VMX_SHADOW_EXITING	(CPU_BASED_CR3_LOAD_EXITING | CPU_BASED_CR3_STORE_EXITING | \
				 CPU_BASED_INVLPG_EXITING)

/*
 * What a guest with nested paging may own, that is, change without an exit. Of these bits the CPU
 * has the guest's own value, and it alone acts on them: FPU, alignment checks, write protection by
 * the guest's tables (WP), global pages and the flush that comes with PGE, DR4 and DR5 (DE), RDTSC
 * (TSD). RDPMC exits whatever PCE is. The module looks at none of them while the guest runs; when
 * the window closes vcpu->control has them.
 *
 * Not owned is what selects a mode, as the module follows it (PE, PG, PSE, PAE, LA57, SMEP, SMAP,
 * PCIDE); what CPUID shows (OSXSAVE); what the CPU is not given as the guest wrote it (CD, NW, NE,
 * MCE, VMXE); what is set once and gains nothing (VME, PVI, FSGSBASE, UMIP). Under shadow paging
 * nothing is, where WP and PGE are the module's work.
 */
#define VMX_GUEST_CR0	((u64)(X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_WP | X86_CR0_AM))
#define VMX_GUEST_CR4	((u64)(X86_CR4_TSD | X86_CR4_DE | X86_CR4_PGE | X86_CR4_PCE | \
			       X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT))

/* The same on this CPU, less what VMX fixes. */
static inline u64 vmx_guest_cr0(const struct vmx_caps *caps)
{
	return VMX_GUEST_CR0 & caps->cr0_fixed[1] & ~caps->cr0_fixed[0];
}

static inline u64 vmx_guest_cr4(const struct vmx_caps *caps)
{
	return VMX_GUEST_CR4 & caps->cr4_fixed[1] & ~caps->cr4_fixed[0];
}

/* Nested paging: EPT, and guests that do not page or are in real mode. */
#define VMX_NESTED	(SECONDARY_EXEC_ENABLE_EPT | SECONDARY_EXEC_UNRESTRICTED_GUEST)

/* Can the CPU have all these bits of a word set? */
static inline bool vmx_offers(const u64 allowed[VMX_CONTROLS], enum vmx_control word, u32 bits)
{
	return !(bits & ~(u32)(allowed[word] >> 32));
}

/* Entries and exits load EFER from fields; on other CPUs, from lists of MSRs. */
static inline bool vmx_loads_efer(const u64 allowed[VMX_CONTROLS])
{
	return vmx_offers(allowed, VMX_ENTRY, VM_ENTRY_LOAD_IA32_EFER) &&
	       vmx_offers(allowed, VMX_EXIT, VM_EXIT_LOAD_IA32_EFER);
}

/* Exceptions that push an error code, in protected mode. */
#define VMX_ERROR_CODES	(BIT(8) | BIT(10) | BIT(11) | BIT(12) | BIT(13) | BIT(14) | BIT(17))

/* Segment registers in the order of their fields: two apart. */
enum { VMCS_ES, VMCS_CS, VMCS_SS, VMCS_DS, VMCS_FS, VMCS_GS, VMCS_LDTR, VMCS_TR, VMCS_SEGMENTS };

/* Fields that are looked at, by name of the kernel's and of ours. */
#define VMCS_IMAGE(X)							\
	X(PIN_BASED_VM_EXEC_CONTROL, pin)				\
	X(CPU_BASED_VM_EXEC_CONTROL, cpu)				\
	X(SECONDARY_VM_EXEC_CONTROL, cpu2)				\
	X(VM_EXIT_CONTROLS, exit)					\
	X(VM_ENTRY_CONTROLS, entry)					\
	X(EXCEPTION_BITMAP, exceptions)					\
	X(PAGE_FAULT_ERROR_CODE_MASK, pf_mask)				\
	X(PAGE_FAULT_ERROR_CODE_MATCH, pf_match)			\
	X(MSR_BITMAP, msr_bitmap)					\
	X(EPT_POINTER, eptp)						\
	X(TSC_OFFSET, tsc_offset)					\
	X(VMCS_LINK_POINTER, link)					\
	X(VM_ENTRY_INTR_INFO_FIELD, event)				\
	X(VM_ENTRY_EXCEPTION_ERROR_CODE, event_error)			\
	X(VM_INSTRUCTION_ERROR, error)					\
	X(VM_EXIT_REASON, reason)					\
	X(EXIT_QUALIFICATION, qualification)				\
	X(VM_EXIT_INTR_INFO, intr_info)					\
	X(IDT_VECTORING_INFO_FIELD, vectoring)				\
	X(VM_EXIT_INSTRUCTION_LEN, length)				\
	X(GUEST_LINEAR_ADDRESS, linear)					\
	X(GUEST_PHYSICAL_ADDRESS, physical)				\
	X(GUEST_CR0, cr0)						\
	X(CR0_READ_SHADOW, cr0_shadow)					\
	X(CR0_GUEST_HOST_MASK, cr0_mask)				\
	X(GUEST_CR3, cr3)						\
	X(GUEST_CR4, cr4)						\
	X(CR4_READ_SHADOW, cr4_shadow)					\
	X(CR4_GUEST_HOST_MASK, cr4_mask)				\
	X(GUEST_IA32_EFER, efer)					\
	X(GUEST_PDPTR0, pdpte0)						\
	X(GUEST_PDPTR1, pdpte1)						\
	X(GUEST_PDPTR2, pdpte2)						\
	X(GUEST_PDPTR3, pdpte3)						\
	X(GUEST_RIP, rip)						\
	X(GUEST_RSP, rsp)						\
	X(GUEST_RFLAGS, rflags)						\
	X(GUEST_DR7, dr7)						\
	X(GUEST_INTERRUPTIBILITY_INFO, interruptibility)		\
	X(GUEST_ACTIVITY_STATE, activity)				\
	X(GUEST_PENDING_DBG_EXCEPTIONS, pending_debug)			\
	X(GUEST_SYSENTER_ESP, sysenter_esp)				\
	X(GUEST_SYSENTER_EIP, sysenter_eip)				\
	X(GUEST_GDTR_BASE, gdtr_base)					\
	X(GUEST_GDTR_LIMIT, gdtr_limit)					\
	X(GUEST_IDTR_BASE, idtr_base)					\
	X(GUEST_IDTR_LIMIT, idtr_limit)					\
	X(HOST_CR3, host_cr3)						\
	X(HOST_CR4, host_cr4)						\
	X(HOST_RSP, host_rsp)						\
	X(HOST_RIP, host_rip)						\
	X(HOST_CR0, host_cr0)						\
	X(HOST_IA32_EFER, host_efer)					\
	X(HOST_CS_SELECTOR, host_cs)					\
	X(HOST_SS_SELECTOR, host_ss)					\
	X(HOST_DS_SELECTOR, host_ds)					\
	X(HOST_ES_SELECTOR, host_es)					\
	X(HOST_FS_SELECTOR, host_fs)					\
	X(HOST_GS_SELECTOR, host_gs)					\
	X(HOST_TR_SELECTOR, host_tr)					\
	X(HOST_FS_BASE, host_fs_base)					\
	X(HOST_GS_BASE, host_gs_base)					\
	X(HOST_TR_BASE, host_tr_base)					\
	X(HOST_GDTR_BASE, host_gdtr_base)				\
	X(HOST_IDTR_BASE, host_idtr_base)				\
	X(HOST_IA32_SYSENTER_ESP, host_sysenter_esp)			\
	X(HOST_IA32_SYSENTER_EIP, host_sysenter_eip)			\
	X(CR3_TARGET_COUNT, cr3_targets)				\
	X(VM_EXIT_MSR_STORE_COUNT, exit_msrs_stored)			\
	X(VM_EXIT_MSR_LOAD_COUNT, exit_msrs_loaded)			\
	X(VM_ENTRY_MSR_LOAD_COUNT, entry_msrs_loaded)			\
	X(GUEST_IA32_DEBUGCTL, debugctl)				\
	X(VIRTUAL_PROCESSOR_ID, vpid)

/**
 * struct vmcs_image - a VMCS, or most of it, as plain data
 *
 * Fields that the CPU does not have are 0; @efer and @host_efer are what the lists of MSRs say
 * where those load EFER, 0 where they do not.
 */
struct vmcs_image {
#define VMCS_MEMBER(field, name)	u64 name;
	VMCS_IMAGE(VMCS_MEMBER)
#undef VMCS_MEMBER
	struct {
		u64 base;
		u32 limit;
		u32 ar;
		u16 selector;
	} seg[VMCS_SEGMENTS];
};

/**
 * vmx_check_control - is this a VMCS hull may run?
 * @vmcs: copy
 * @caps: of the CPU
 *
 * Return: NULL, or what is wrong, in words: rules of VM entry, and the controls without which a
 * guest could touch the host. Nobody but hull writes what is looked at.
 */
const char *vmx_check_control(const struct vmcs_image *vmcs, const struct vmx_caps *caps);

/**
 * vmx_check_host - would an exit bring the host back?
 *
 * Return: as above: what entries check of the state that an exit loads. Only hull writes it.
 */
const char *vmx_check_host(const struct vmcs_image *vmcs, const struct vmx_caps *caps);

/**
 * vmx_check_state - would a CPU accept control registers, events and RFLAGS?
 * @gpa_bits: width of physical addresses
 *
 * Return: as above. All that is looked at is written by hull, for the guest or for user space.
 */
const char *vmx_check_state(const struct vmcs_image *vmcs, const struct vmx_caps *caps,
			    unsigned int gpa_bits);

/* The same for segments, which a guest changes without an exit. */
const char *vmx_check_guest(const struct vmcs_image *vmcs, const struct vmx_caps *caps);

#endif
