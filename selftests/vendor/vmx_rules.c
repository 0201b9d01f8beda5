// SPDX-License-Identifier: GPL-2.0
/*
 * Each rule of kmod/vmx/check.c, broken alone in valid states of each mode, is named; states on the
 * edge of the rules are let pass; states broken at random are judged as by the second opinion.
 */
#include <asm/vmx.h>

#include "test.h"
#include "texts.h"

#define TYPE	struct vmcs_image

/* ---- the rules ------------------------------------------------------------------------------ */

#define ALL	((1 << MODES) - 1)
#define IN(mode)	(1 << (mode))
#define LONGS	(IN(LONG) | IN(LONG_USER))
#define IA32E	(LONGS | IN(COMPATIBLE))
#define PAGING	(IN(PAGED) | IN(PAE) | IA32E | IN(V8086))
/* Segments are free there. */
#define FREE	(ALL & ~IN(V8086))
#define KERNEL	(FREE & ~IN(USER) & ~IN(LONG_USER))

/**
 * struct rule - changes of valid states
 * @text: the checker's word; NULL: they are let pass
 * @modes: where it is so
 * @nested, @shadow: and with which paging
 */
struct rule {
	const char *text;
	u32 modes;
	bool nested, shadow;
	struct change change[3];
};

#define RULE(text, modes, ...)	{ text, modes, true, true, { __VA_ARGS__ } }
#define RULE_NESTED(text, modes, ...)	{ text, modes, true, false, { __VA_ARGS__ } }
#define RULE_SHADOW(text, modes, ...)	{ text, modes, false, true, { __VA_ARGS__ } }

#define SEG_BASE(i, value)	SET(seg[VMCS_##i].base, value)
#define SEG_LIMIT(i, value)	SET(seg[VMCS_##i].limit, value)
#define SEG_SELECTOR(i, value)	SET(seg[VMCS_##i].selector, value)
#define SEG_AR(i, off, on)	{ PLACE(seg[VMCS_##i].ar), off, on, 0 }
#define SEG_TYPE(i, type)	SEG_AR(i, 15, type)
#define UNUSABLE		VMX_AR_UNUSABLE_MASK

#define APART	"a control that keeps memory apart is clear"
#define TABLES	"a control that keeps shadow tables is clear"
#define FIT	"a control register does not fit shadow tables"
#define PROTECT	"a control that protects the host is clear"
#define NOT_ALLOWED	"a control has a value that the CPU does not allow"
#define UNKNOWN	"a control is set of which hull knows nothing"
#define MSR_LISTS	"there are MSRs that the CPU would load or store"
#define HOST_CR0	"CR0 of the host has a value that VMX does not allow"
#define HOST_CR4	"CR4 of the host has a value that VMX does not allow"
#define HOST_SELECTOR	"a selector of the host is not one of a kernel"
#define HOST_ADDRESS	"an address of the host is not canonical"
#define NO_TASK	"TR is not that of a task"
#define PENDING	"the pending debug exceptions have reserved bits"
#define NO_BUSY	"TR is not that of a busy task"
#define NO_LDT	"LDTR is not that of a table"
#define NO_TABLE	"GDTR or IDTR is not that of a table"
#define NO_V8086	"a segment is not one of virtual-8086 mode"
#define NO_ATTR	"attributes of a segment register are not those of one"
#define NO_LIMIT	"limit and granularity of a segment disagree"
#define NO_CODE	"CS is no accessed code segment"
#define HIGH_BASE	"the base of a segment has high bits"
#define NO_DATA	"a data segment is not readable and accessed"
#define CS_DATA	"CS is a data segment and its DPL is not 0, or nothing else is"
#define OWNS	"the guest owns bits of CR0 or CR4 that are ours"
#define NOT_CANONICAL	(1ULL << 47)

#define EVENT(type, vector)	(BIT(31) | (type) << 8 | (vector))
#define ERROR_CODE	BIT(11)

static const struct rule rules[] = {
	/* controls */
	RULE_NESTED(APART, ALL, OFF(cpu2, SECONDARY_EXEC_ENABLE_EPT)),
	RULE_NESTED(APART, ALL, OFF(cpu2, SECONDARY_EXEC_UNRESTRICTED_GUEST)),
	RULE_NESTED(APART, ALL, OFF(cpu2, SECONDARY_EXEC_ENABLE_EPT |
				    SECONDARY_EXEC_UNRESTRICTED_GUEST)),
	RULE_SHADOW(APART, PAGING, ON(cpu2, SECONDARY_EXEC_ENABLE_EPT)),
	RULE("there is no root of EPT", ALL, OFF(eptp, ~0xfffULL)),
	RULE("there is no root of EPT", ALL, FLIP(eptp, 1)),
	RULE_SHADOW(TABLES, ALL, OFF(cpu, CPU_BASED_CR3_LOAD_EXITING)),
	RULE_SHADOW(TABLES, ALL, OFF(cpu, CPU_BASED_CR3_STORE_EXITING)),
	RULE_SHADOW(TABLES, ALL, OFF(cpu, CPU_BASED_INVLPG_EXITING)),
	RULE_SHADOW(TABLES, ALL, SET(pf_mask, 1)),
	RULE_SHADOW(TABLES, ALL, SET(pf_match, 1)),
	RULE_SHADOW("a guest that pages is not on shadow tables", PAGING,
		    ON(cpu2, SECONDARY_EXEC_ENABLE_EPT | SECONDARY_EXEC_UNRESTRICTED_GUEST)),
	RULE_SHADOW(FIT, PAGING, OFF(cr0, X86_CR0_PG)),
	RULE_SHADOW(FIT, PAGING, OFF(cr0, X86_CR0_PE)),
	RULE_SHADOW(FIT, PAGING, OFF(cr0, X86_CR0_WP)),
	RULE_SHADOW(FIT, PAGING, OFF(cr4, X86_CR4_PAE)),
	RULE_SHADOW(FIT, PAGING, ON(cr4, X86_CR4_PCIDE)),
	RULE_SHADOW(FIT, PAGING, OFF(efer, EFER_NX)),
	RULE("the MSR bitmap is not where one can be", ALL, SET(msr_bitmap, 0)),
	RULE("the MSR bitmap is not where one can be", ALL, SET(msr_bitmap, 0x5800)),
	RULE("there is a VMCS link pointer", ALL, SET(link, 0x5000)),
	RULE(OWNS, ALL, OFF(cr0_mask, X86_CR0_PE)),
	RULE(OWNS, ALL, OFF(cr4_mask, X86_CR4_MCE)),
	RULE_SHADOW(OWNS, ALL, OFF(cr0_mask, X86_CR0_TS)),
	RULE_SHADOW(OWNS, ALL, OFF(cr4_mask, X86_CR4_PGE)),
	RULE("an exception that must exit does not", ALL, OFF(exceptions, BIT(1))),
	RULE("an exception that must exit does not", ALL, OFF(exceptions, BIT(17))),
	RULE("an exception that must exit does not", ALL, OFF(exceptions, BIT(18))),
	RULE("the guest would take the host's interrupts", ALL, OFF(pin, PIN_BASED_EXT_INTR_MASK)),
	RULE("the guest would take the host's interrupts", ALL, OFF(pin, PIN_BASED_NMI_EXITING)),
	RULE("the guest would take the host's interrupts", ALL, OFF(pin, PIN_BASED_VIRTUAL_NMIS)),
	RULE(PROTECT, ALL, OFF(cpu, CPU_BASED_UNCOND_IO_EXITING)),
	RULE(PROTECT, ALL, OFF(cpu, CPU_BASED_USE_MSR_BITMAPS)),
	RULE(PROTECT, ALL, OFF(cpu, CPU_BASED_HLT_EXITING)),
	RULE(PROTECT, ALL, OFF(cpu, CPU_BASED_MWAIT_EXITING)),
	RULE(PROTECT, ALL, OFF(cpu, CPU_BASED_MONITOR_EXITING)),
	RULE(PROTECT, ALL, OFF(cpu, CPU_BASED_MOV_DR_EXITING)),
	RULE(PROTECT, ALL, OFF(cpu, CPU_BASED_CR8_LOAD_EXITING)),
	RULE(PROTECT, ALL, OFF(cpu, CPU_BASED_CR8_STORE_EXITING)),
	RULE(PROTECT, ALL, OFF(cpu, CPU_BASED_ACTIVATE_SECONDARY_CONTROLS)),
	RULE(PROTECT, ALL, OFF(cpu, CPU_BASED_RDPMC_EXITING)),
	RULE("the guest could drop the host's caches", ALL,
	     OFF(cpu2, SECONDARY_EXEC_WBINVD_EXITING)),
	RULE("the host would not come back in long mode", ALL,
	     OFF(exit, VM_EXIT_HOST_ADDR_SPACE_SIZE)),
	RULE("the host would not come back in long mode", ALL, OFF(exit, VM_EXIT_LOAD_IA32_EFER)),
	RULE("guest state would not be loaded", ALL, OFF(entry, VM_ENTRY_LOAD_IA32_EFER)),
	RULE("guest state would not be loaded", ALL, OFF(entry, VM_ENTRY_LOAD_DEBUG_CONTROLS)),
	RULE(NOT_ALLOWED, ALL, ON(pin, BIT(8))),
	RULE(NOT_ALLOWED, ALL, OFF(pin, BIT(1))),
	RULE(NOT_ALLOWED, ALL, ON(cpu, BIT(0))),
	RULE(NOT_ALLOWED, ALL, OFF(entry, BIT(0))),
	RULE(NOT_ALLOWED, ALL, ON(exit, BIT(31))),

	RULE(UNKNOWN, ALL, ON(cpu, CPU_BASED_USE_IO_BITMAPS)),
	RULE(UNKNOWN, ALL, ON(cpu, CPU_BASED_TPR_SHADOW)),
	RULE(UNKNOWN, ALL, ON(cpu2, SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES)),
	RULE(UNKNOWN, ALL, ON(cpu2, SECONDARY_EXEC_SHADOW_VMCS)),
	RULE(UNKNOWN, ALL, ON(exit, VM_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL)),
	RULE(UNKNOWN, ALL, ON(entry, VM_ENTRY_LOAD_IA32_PAT)),
	RULE("the VPID is that of the host", ALL, SET(vpid, 0)),
	RULE("there are values of CR3 that a guest may load alone", ALL, SET(cr3_targets, 1)),
	RULE(MSR_LISTS, ALL, SET(exit_msrs_stored, 1)),
	RULE(MSR_LISTS, ALL, SET(exit_msrs_loaded, 1)),
	RULE(MSR_LISTS, ALL, SET(entry_msrs_loaded, 1)),
	RULE("the guest has bits of DEBUGCTL", ALL, SET(debugctl, 1)),

	/* the host */
	RULE(HOST_CR0, ALL, OFF(host_cr0, X86_CR0_PG)),
	RULE(HOST_CR0, ALL, OFF(host_cr0, X86_CR0_NE)),
	RULE(HOST_CR0, ALL, ON(host_cr0, 1ULL << 32)),
	RULE(HOST_CR4, ALL, OFF(host_cr4, X86_CR4_VMXE)),
	RULE(HOST_CR4, ALL, OFF(host_cr4, X86_CR4_PAE)),
	RULE(HOST_CR4, ALL, ON(host_cr4, BIT(30))),
	RULE("EFER of the host is not that of long mode", ALL, OFF(host_efer, EFER_LMA)),
	RULE("EFER of the host is not that of long mode", ALL, OFF(host_efer, EFER_LME)),
	RULE(HOST_SELECTOR, ALL, SET(host_cs, 0)),
	RULE(HOST_SELECTOR, ALL, SET(host_tr, 0)),
	RULE(HOST_SELECTOR, ALL, ON(host_cs, 4)),
	RULE(HOST_SELECTOR, ALL, ON(host_ss, 1)),
	RULE(HOST_SELECTOR, ALL, SET(host_ds, 0x2b)),
	RULE(HOST_SELECTOR, ALL, SET(host_es, 0x2b)),
	RULE(HOST_SELECTOR, ALL, SET(host_fs, 0x2b)),
	RULE(HOST_SELECTOR, ALL, SET(host_gs, 0x2b)),
	RULE(HOST_SELECTOR, ALL, ON(host_tr, 2)),
	RULE(HOST_ADDRESS, ALL, SET(host_rip, NOT_CANONICAL)),
	RULE(HOST_ADDRESS, ALL, SET(host_fs_base, NOT_CANONICAL)),
	RULE(HOST_ADDRESS, ALL, SET(host_gs_base, NOT_CANONICAL)),
	RULE(HOST_ADDRESS, ALL, SET(host_tr_base, NOT_CANONICAL)),
	RULE(HOST_ADDRESS, ALL, SET(host_gdtr_base, NOT_CANONICAL)),
	RULE(HOST_ADDRESS, ALL, SET(host_idtr_base, NOT_CANONICAL)),
	RULE(HOST_ADDRESS, ALL, SET(host_sysenter_esp, NOT_CANONICAL)),
	RULE(HOST_ADDRESS, ALL, SET(host_sysenter_eip, NOT_CANONICAL)),
	RULE("an exit has nowhere to go", ALL, SET(host_rip, 0)),

	/* control registers */
	RULE("CR3 is beyond the physical address width", ALL, ON(cr3, 1ULL << GPA_BITS)),
	RULE("CR3 is beyond the physical address width", ALL, ON(cr3, 1ULL << 63)),
	RULE_NESTED("an entry of PAE's root has reserved bits", IN(PAE), SET(pdpte0, 0xa003)),
	RULE_NESTED("an entry of PAE's root has reserved bits", IN(PAE), SET(pdpte1, 0xa021)),
	RULE_NESTED("an entry of PAE's root has reserved bits", IN(PAE), SET(pdpte2, 0xa101)),
	RULE_NESTED("an entry of PAE's root has reserved bits", IN(PAE),
		    SET(pdpte3, 1ULL << GPA_BITS | 1)),
	RULE("CR0 has a value that VMX does not allow", ALL, OFF(cr0, X86_CR0_NE)),
	RULE("CR0 has a value that VMX does not allow", ALL, ON(cr0, 1ULL << 32)),
	RULE_NESTED("CR0.PG is set and CR0.PE is not", PAGING, OFF(cr0, X86_CR0_PE)),
	RULE("CR4 has a value that VMX does not allow", ALL, OFF(cr4, X86_CR4_VMXE)),
	RULE("CR4 has a value that VMX does not allow", ALL, OFF(cr4, X86_CR4_MCE)),
	RULE("CR4 has a value that VMX does not allow", ALL, ON(cr4, BIT(30))),
	RULE_NESTED("long mode without paging or without CR4.PAE", IA32E, OFF(cr0, X86_CR0_PG)),
	RULE_NESTED("long mode without paging or without CR4.PAE", IA32E, OFF(cr4, X86_CR4_PAE)),
	RULE_NESTED("CR4.PCIDE is set outside long mode", ALL & ~IA32E, ON(cr4, X86_CR4_PCIDE)),
	RULE_SHADOW("CR4.PCIDE is set outside long mode", ALL & ~PAGING, ON(cr4, X86_CR4_PCIDE)),
	RULE("EFER has reserved bits", ALL, ON(efer, EFER_SVME)),
	RULE("EFER has reserved bits", ALL, ON(efer, 1ULL << 63)),
	RULE("EFER.LMA is not LME and PG", IA32E, OFF(efer, EFER_LME)),
	RULE("EFER.LMA is not LME and PG", IA32E, OFF(efer, EFER_LMA)),
	RULE("EFER.LMA is not LME and PG", ALL & ~IA32E, ON(efer, EFER_LMA)),
	RULE("EFER.LMA is not LME and PG", PAGING & ~IA32E, ON(efer, EFER_LME)),
	RULE("DR7 has high bits", ALL, ON(dr7, 1ULL << 32)),
	RULE("an MSR of SYSENTER is not canonical", ALL, SET(sysenter_esp, NOT_CANONICAL)),
	RULE("an MSR of SYSENTER is not canonical", ALL, SET(sysenter_eip, 1ULL << 63)),

	/* flags, blocking, events */
	RULE("RFLAGS has reserved bits", ALL, OFF(rflags, X86_EFLAGS_FIXED)),
	RULE("RFLAGS has reserved bits", ALL, ON(rflags, BIT(3))),
	RULE("RFLAGS has reserved bits", ALL, ON(rflags, BIT(5))),
	RULE("RFLAGS has reserved bits", ALL, ON(rflags, BIT(15))),
	RULE("RFLAGS has reserved bits", ALL, ON(rflags, BIT(22))),
	RULE("RFLAGS has reserved bits", ALL, ON(rflags, 1ULL << 63)),
	RULE("virtual-8086 mode in long or real mode", IA32E | IN(REAL),
	     ON(rflags, X86_EFLAGS_VM)),
	RULE("the guest is not active", ALL, SET(activity, GUEST_ACTIVITY_HLT)),
	RULE("the guest is not active", ALL, SET(activity, 3)),
	RULE("the interruptibility state has reserved bits", ALL,
	     ON(interruptibility, GUEST_INTR_STATE_SMI)),
	RULE("the interruptibility state has reserved bits", ALL, ON(interruptibility, 16)),
	RULE("the interruptibility state has reserved bits", ALL, ON(interruptibility, 1ULL << 31)),
	RULE("blocking by STI and by MOV SS", ALL, SET(interruptibility, 3)),
	RULE("blocking by STI with interrupts off", ALL, SET(interruptibility, 1),
	     OFF(rflags, X86_EFLAGS_IF)),
	RULE("RFLAGS.TF and the pending debug exceptions disagree", ALL, SET(interruptibility, 2),
	     ON(rflags, X86_EFLAGS_TF)),
	RULE("RFLAGS.TF and the pending debug exceptions disagree", ALL, SET(interruptibility, 1),
	     ON(pending_debug, BIT(14))),
	RULE(PENDING, ALL, SET(pending_debug, BIT(4))),
	RULE(PENDING, ALL, SET(pending_debug, BIT(10))),
	RULE(PENDING, ALL, SET(pending_debug, BIT(13))),
	RULE(PENDING, ALL, SET(pending_debug, BIT(15))),
	RULE(PENDING, ALL, SET(pending_debug, BIT(17))),
	RULE(PENDING, ALL, SET(pending_debug, 1ULL << 63)),
	RULE("the injected event has reserved bits", ALL, SET(event, EVENT(0, 0x30) | BIT(12))),
	RULE("the injected event has reserved bits", ALL, SET(event, EVENT(0, 0x30) | BIT(30))),
	RULE("an interrupt is injected that the guest cannot take", ALL,
	     SET(event, EVENT(0, 0x30)), OFF(rflags, X86_EFLAGS_IF)),
	RULE("an interrupt is injected that the guest cannot take", ALL,
	     SET(event, EVENT(0, 0x30)), SET(interruptibility, 1)),
	RULE("an interrupt is injected that the guest cannot take", ALL,
	     SET(event, EVENT(0, 0x30)), SET(interruptibility, 2)),
	RULE("an NMI is injected that the guest cannot take", ALL, SET(event, EVENT(2, 3))),
	RULE("an NMI is injected that the guest cannot take", ALL, SET(event, EVENT(2, 2)),
	     SET(interruptibility, 2)),
	RULE("an NMI is injected that the guest cannot take", ALL, SET(event, EVENT(2, 2)),
	     SET(interruptibility, 8)),
	RULE("the injected exception has no such vector", ALL, SET(event, EVENT(3, 32))),
	RULE("the injected event has no such type", ALL, SET(event, EVENT(1, 1))),
	RULE("the injected event has no such type", ALL, SET(event, EVENT(4, 3))),
	RULE("the injected event has no such type", ALL, SET(event, EVENT(7, 0))),
	RULE("the injected event has an error code too many or too few", ALL & ~IN(REAL),
	     SET(event, EVENT(3, 13))),
	RULE("the injected event has an error code too many or too few", ALL,
	     SET(event, EVENT(3, 6) | ERROR_CODE)),
	RULE("the injected event has an error code too many or too few", ALL,
	     SET(event, EVENT(0, 0x30) | ERROR_CODE)),
	RULE("the injected event has an error code too many or too few", IN(REAL),
	     SET(event, EVENT(3, 13) | ERROR_CODE)),
	RULE("the error code has high bits", ALL & ~IN(REAL),
	     SET(event, EVENT(3, 14) | ERROR_CODE), SET(event_error, 0x10000)),

	/* tables */
	RULE("RIP has high bits", ALL & ~LONGS, SET(rip, 1ULL << 32)),
	RULE("RIP is beyond the width of addresses", LONGS, SET(rip, 1ULL << 48)),
	RULE("RIP is beyond the width of addresses", LONGS, SET(rip, 1ULL << 63)),
	RULE("the base of FS or GS is not canonical", ALL, SEG_BASE(FS, NOT_CANONICAL)),
	RULE("the base of FS or GS is not canonical", ALL, SEG_BASE(GS, 1ULL << 63)),
	RULE(NO_TASK, ALL, SEG_AR(TR, 0, UNUSABLE)),
	RULE(NO_TASK, ALL, SEG_AR(TR, 0, 0x10)),
	RULE(NO_TASK, ALL, SEG_AR(TR, 0x80, 0)),
	RULE(NO_TASK, ALL, SEG_AR(TR, 0, 0x800)),
	RULE(NO_TASK, ALL, SEG_AR(TR, 0, BIT(31))),
	RULE(NO_TASK, ALL, SEG_LIMIT(TR, 0x100000)),
	RULE(NO_TASK, ALL, SEG_AR(TR, 0, 0x8000)),
	RULE(NO_TASK, ALL, SEG_SELECTOR(TR, 0x2c)),
	RULE(NO_TASK, ALL, SEG_BASE(TR, NOT_CANONICAL)),
	RULE(NO_BUSY, ALL, SEG_TYPE(TR, 9)),
	RULE(NO_BUSY, ALL, SEG_TYPE(TR, 2)),
	RULE(NO_BUSY, IA32E, SEG_TYPE(TR, 3)),
	RULE(NO_LDT, ALL, SEG_TYPE(LDTR, 3)),
	RULE(NO_LDT, ALL, SEG_AR(LDTR, 0, 0x10)),
	RULE(NO_LDT, ALL, SEG_AR(LDTR, 0x80, 0)),
	RULE(NO_LDT, ALL, SEG_AR(LDTR, 0, 0x100)),
	RULE(NO_LDT, ALL, SEG_LIMIT(LDTR, 0x100000)),
	RULE(NO_LDT, ALL, SEG_SELECTOR(LDTR, 0x24)),
	RULE(NO_LDT, ALL, SEG_BASE(LDTR, NOT_CANONICAL)),
	RULE(NO_TABLE, ALL, SET(gdtr_base, NOT_CANONICAL)),
	RULE(NO_TABLE, ALL, SET(idtr_base, NOT_CANONICAL)),
	RULE(NO_TABLE, ALL, SET(gdtr_limit, 0x10000)),
	RULE(NO_TABLE, ALL, SET(idtr_limit, 0x10000)),

	/* segments */
	RULE(NO_V8086, IN(V8086), SEG_BASE(ES, 0x1001)),
	RULE(NO_V8086, IN(V8086), SEG_LIMIT(CS, 0xfffe)),
	RULE(NO_V8086, IN(V8086), SEG_AR(SS, 0x60, 0)),
	RULE(NO_V8086, IN(V8086), SEG_AR(GS, 0, UNUSABLE)),
	RULE(NO_V8086, IN(V8086), SEG_SELECTOR(FS, 0x101)),
	RULE("CS is not loaded", FREE, SEG_AR(CS, 0, UNUSABLE)),
	RULE_NESTED(CS_DATA, IN(USER) | IN(LONG_USER), SEG_TYPE(CS, 3)),
	RULE_SHADOW(CS_DATA, PAGING & FREE, SEG_TYPE(CS, 3)),
	RULE("DPL of CS is not that of SS", KERNEL, SEG_AR(CS, 0x60, 0x60)),
	RULE("DPL of CS is not that of SS", FREE & ~KERNEL, SEG_AR(CS, 0x60, 0)),
	RULE("DPL of CS is above that of SS", KERNEL, SEG_AR(CS, 0x6f, 0x2f)),
	RULE(NO_CODE, FREE, SEG_TYPE(CS, 8)),
	RULE(NO_CODE, FREE, SEG_TYPE(CS, 14)),
	RULE(NO_CODE, FREE, SEG_TYPE(CS, 7)),
	RULE("CS.L and CS.D are both set in long mode", IA32E, SEG_AR(CS, 0, 0x6000)),
	RULE("SS is no writable, accessed segment", FREE, SEG_TYPE(SS, 1)),
	RULE("SS is no writable, accessed segment", FREE, SEG_TYPE(SS, 2)),
	RULE("SS is no writable, accessed segment", FREE, SEG_TYPE(SS, 11)),
	RULE_NESTED("DPL of SS is not 0", KERNEL, SEG_TYPE(CS, 3), SEG_AR(SS, 0, 0x60)),
	RULE("DPL of SS is not 0", IN(REAL), SEG_TYPE(CS, 15), SEG_AR(SS, 0, 0x20)),
	RULE_SHADOW("RPL of CS or SS is not DPL of SS", PAGING & FREE,
		    FLIP(seg[VMCS_CS].selector, 1)),
	RULE_SHADOW("RPL of CS or SS is not DPL of SS", PAGING & FREE,
		    FLIP(seg[VMCS_SS].selector, 2)),
	RULE(NO_ATTR, FREE, SEG_AR(ES, 0x10, 0)),
	RULE(NO_ATTR, FREE, SEG_AR(CS, 0x10, 0)),
	RULE(NO_ATTR, FREE, SEG_AR(SS, 0x80, 0)),
	RULE(NO_ATTR, FREE, SEG_AR(DS, 0, 0x100)),
	RULE(NO_ATTR, FREE, SEG_AR(FS, 0, 0x800)),
	RULE(NO_ATTR, FREE, SEG_AR(GS, 0, 0x20000)),
	RULE(NO_LIMIT, FREE, SEG_AR(ES, 0, 0x8000), SEG_LIMIT(ES, 0xffffe)),
	RULE(NO_LIMIT, FREE, SEG_AR(GS, 0x8000, 0), SEG_LIMIT(GS, 0x100000)),
	RULE(NO_LIMIT, FREE, SEG_AR(CS, 0x8000, 0), SEG_LIMIT(CS, ~0U)),
	RULE(HIGH_BASE, FREE, SEG_BASE(ES, 1ULL << 32)),
	RULE(HIGH_BASE, FREE, SEG_BASE(CS, 1ULL << 32)),
	RULE(HIGH_BASE, FREE, SEG_BASE(SS, 1ULL << 63)),
	RULE(HIGH_BASE, FREE, SEG_BASE(DS, 0xffffffff00000000)),
	RULE(NO_DATA, FREE, SEG_TYPE(ES, 2)),
	RULE(NO_DATA, FREE, SEG_TYPE(DS, 9)),
	RULE(NO_DATA, FREE, SEG_TYPE(FS, 10)),
	RULE(NO_DATA, FREE, SEG_TYPE(GS, 0)),
	RULE_SHADOW("DPL of a data segment is below its RPL", PAGING & KERNEL,
		    FLIP(seg[VMCS_DS].selector, 1)),
	RULE_SHADOW("DPL of a data segment is below its RPL", PAGING & KERNEL,
		    FLIP(seg[VMCS_GS].selector, 3), SEG_TYPE(GS, 11)),
};

/* What looks odd and is legal. */
static const struct rule legal[] = {
	RULE(NULL, IN(PROTECTED) | IN(PAGED) | IN(PAE), SEG_TYPE(TR, 3)),
	RULE(NULL, ALL, SEG_AR(LDTR, ~0ULL, UNUSABLE), SEG_BASE(LDTR, NOT_CANONICAL),
	     SEG_SELECTOR(LDTR, 0xffff)),
	RULE(NULL, FREE, SEG_AR(DS, ~0ULL, UNUSABLE | 0xf000), SEG_BASE(DS, 1ULL << 63),
	     SEG_LIMIT(DS, 0x12345678)),
	RULE(NULL, KERNEL, SEG_AR(SS, 0xff, UNUSABLE), SEG_BASE(SS, 1ULL << 40)),
	RULE(NULL, FREE, SEG_TYPE(SS, 7)),
	RULE(NULL, FREE, SEG_TYPE(CS, 9)),
	RULE(NULL, FREE & ~KERNEL, SEG_AR(CS, 0x6f, 0xf)),
	RULE_NESTED(NULL, KERNEL, SEG_TYPE(CS, 3)),
	RULE_NESTED(NULL, FREE, SEG_SELECTOR(CS, 0xfffe), SEG_SELECTOR(SS, 1),
		    SEG_SELECTOR(DS, 3)),
	RULE(NULL, KERNEL, SEG_TYPE(DS, 15), SEG_SELECTOR(DS, 3)),
	RULE(NULL, FREE, SEG_BASE(CS, ~0U), SEG_BASE(ES, ~0U), SEG_BASE(SS, ~0U)),
	RULE(NULL, FREE, SEG_BASE(FS, 0x7fffffffffff), SEG_BASE(GS, 0xffff800000000000)),
	RULE(NULL, FREE, SEG_AR(ES, 0x8000, 0), SEG_LIMIT(ES, 0xfffff)),
	RULE(NULL, FREE, SEG_AR(ES, 0, 0x8000), SEG_LIMIT(ES, 0xfff)),
	RULE(NULL, LONGS, SET(rip, 0x7fffffffffff)),
	RULE(NULL, LONGS, SET(rip, 0xffff800000000000)),
	RULE(NULL, LONGS, SET(rip, 0x800000000000)),
	RULE(NULL, ALL, SET(rip, ~0U)),
	RULE_NESTED(NULL, IA32E, ON(cr4, X86_CR4_PCIDE)),
	RULE(NULL, ALL, SET(pending_debug, 0x1580f & ~BIT(14))),
	RULE_NESTED(NULL, ALL & ~PAGING, ON(efer, EFER_LME)),
	RULE_NESTED(NULL, IN(PAE), SET(pdpte1, 0xfffffffffffffffe), SET(pdpte2, 0xe19)),
	RULE_SHADOW(NULL, IN(PAE), SET(pdpte1, ~0ULL)),
	RULE_NESTED(NULL, ALL & ~IN(PAE), SET(pdpte1, ~0ULL)),
	RULE(NULL, ALL, SET(interruptibility, 9), SET(event, 0)),
	RULE(NULL, ALL, SET(interruptibility, 2), ON(rflags, X86_EFLAGS_TF),
	     SET(pending_debug, BIT(14))),
	RULE(NULL, ALL, ON(rflags, X86_EFLAGS_TF)),
	RULE(NULL, ALL, SET(event, EVENT(0, 0x30)), SET(interruptibility, 8)),
	RULE(NULL, ALL, SET(event, EVENT(2, 2)), OFF(rflags, X86_EFLAGS_IF)),
	RULE(NULL, ALL & ~IN(REAL), SET(event, EVENT(3, 14) | ERROR_CODE),
	     SET(event_error, 0xffff)),
	RULE(NULL, IN(REAL), SET(event, EVENT(3, 13)), SET(event_error, ~0U)),
	RULE(NULL, ALL, SET(event, 0x7fffffff)),
	RULE(NULL, ALL, ON(rflags, 0x3c7fd5)),
	RULE(NULL, ALL, SET(dr7, ~0U)),
	RULE(NULL, ALL, SET(cr3, (1ULL << GPA_BITS) - 1)),
	RULE(NULL, ALL, ON(cr0, X86_CR0_CD | X86_CR0_NW | X86_CR0_AM)),
};

/* ---- the tests ------------------------------------------------------------------------------ */

static void make_broken(struct vmcs_image *vmcs, const struct vmx_caps *caps,
			const struct rule *rule, enum mode mode, enum paging paging)
{
	size_t i;

	make_vmcs(vmcs, caps, mode, paging);
	for (i = 0; i < ARRAY_SIZE(rule->change); i++)
		apply(vmcs, &rule->change[i]);
}

static bool try_rule(const struct vmx_caps *caps, const struct rule *rule, enum mode mode,
		     enum paging paging)
{
	struct vmcs_image vmcs;
	const char *broken;

	if (!(rule->modes & IN(mode)) || !(paging == NESTED ? rule->nested : rule->shadow))
		return true;
	make_broken(&vmcs, caps, rule, mode, paging);
	broken = vmx_verdict(&vmcs, caps);
	if (same_text(broken, rule->text))
		return true;
	return complain("%s, %s paging: \"%s\", and not \"%s\" (%u: %#llx)", mode_names[mode],
			paging == NESTED ? "nested" : paging == SHADOW ? "shadow" : "no-EPT", broken ?: "legal",
			rule->text ?: "legal", rule->change[0].offset,
			(unsigned long long)(rule->change[0].set | rule->change[0].flip));
}

/* On CPUs without EPT: as with shadow paging, but for what such CPUs lack; nowhere real mode. */
static const struct rule old[] = {
	RULE(NULL, ALL, { }),
	RULE(FIT, ALL, OFF(cr0, X86_CR0_PG)),
	RULE(FIT, ALL, OFF(cr0, X86_CR0_PE)),
	RULE(FIT, ALL, OFF(cr0, X86_CR0_WP)),
	RULE(FIT, ALL, OFF(cr4, X86_CR4_PAE)),
	RULE(FIT, ALL, OFF(efer, EFER_NX)),
	RULE(APART, ALL, OFF(exceptions, BIT(14))),
	RULE(APART, ALL, ON(cpu2, SECONDARY_EXEC_ENABLE_EPT)),
	RULE("there is no root of EPT", ALL, ON(cpu2, VMX_NESTED)),
	RULE("a guest that pages is not on shadow tables", ALL, ON(cpu2, VMX_NESTED),
	     SET(eptp, 0x7000)),
	RULE(TABLES, ALL, OFF(cpu, CPU_BASED_CR3_LOAD_EXITING)),
	RULE("the guest could drop the host's caches", ALL,
	     OFF(cpu2, SECONDARY_EXEC_WBINVD_EXITING)),
	RULE("the host would not come back in long mode", ALL,
	     OFF(exit, VM_EXIT_HOST_ADDR_SPACE_SIZE)),
	RULE(PROTECT, ALL, OFF(cpu, CPU_BASED_ACTIVATE_SECONDARY_CONTROLS)),
	RULE(NOT_ALLOWED, ALL, ON(exit, VM_EXIT_LOAD_IA32_EFER)),
	RULE(NOT_ALLOWED, ALL, ON(entry, VM_ENTRY_LOAD_IA32_EFER)),
	RULE(NOT_ALLOWED, ALL, ON(pin, PIN_BASED_VMX_PREEMPTION_TIMER)),
	RULE("EFER would not be switched", ALL, SET(exit_msrs_loaded, 0)),
	RULE("EFER would not be switched", ALL, SET(entry_msrs_loaded, 0)),
	RULE(MSR_LISTS, ALL, SET(entry_msrs_loaded, 2)),
	RULE(MSR_LISTS, ALL, SET(exit_msrs_stored, 1)),
	RULE("EFER of the host is not that of long mode", ALL, SET(host_efer, 0)),
	RULE("EFER has reserved bits", ALL, SET(efer, ~0ULL)),
	RULE("EFER.LMA is not LME and PG", ALL & ~IA32E, ON(efer, EFER_LME)),
	RULE("RPL of CS or SS is not DPL of SS", FREE, FLIP(seg[VMCS_CS].selector, 1)),
	RULE(CS_DATA, FREE, SEG_TYPE(CS, 3)),
};

bool vmx_old_cpus(void)
{
	struct vmx_caps caps;
	bool ok = true;
	size_t i;
	int mode;

	make_old_vmx_caps(&caps);
	for (i = 0; i < ARRAY_SIZE(old); i++) {
		for (mode = PROTECTED; mode < MODES; mode++)
			ok &= try_rule(&caps, &old[i], mode, NO_EPT);
	}
	/* Those that have no second word: the guest may write the caches back, and no more. */
	caps.allowed[VMX_CPU] &= ~((u64)CPU_BASED_ACTIVATE_SECONDARY_CONTROLS << 32);
	caps.allowed[VMX_CPU2] = caps.controls[VMX_CPU2] = 0;
	caps.controls[VMX_CPU] &= ~CPU_BASED_ACTIVATE_SECONDARY_CONTROLS;
	for (mode = PROTECTED; mode < MODES; mode++)
		ok &= try_rule(&caps, &old[0], mode, NO_EPT);
	return ok;
}

static bool try_rules(const struct rule *table, size_t count)
{
	struct vmx_caps caps;
	bool ok = true;
	int mode, paging;
	size_t i;

	make_vmx_caps(&caps, false);
	for (i = 0; i < count; i++) {
		for (mode = 0; mode < MODES; mode++) {
			for (paging = 0; paging < PAGINGS; paging++)
				ok &= try_rule(&caps, &table[i], mode, paging);
		}
	}
	return ok;
}

bool vmx_valid_states(void)
{
	static const struct rule nothing = { NULL, ALL, true, true, { } };

	return try_rules(&nothing, 1);
}

bool vmx_each_rule(void)
{
	return try_rules(rules, ARRAY_SIZE(rules));
}

bool vmx_borderline_states(void)
{
	return try_rules(legal, ARRAY_SIZE(legal));
}

/* texts.h has what is between quotation marks in check.c: a rule without a test fails here. */
/* MP, EM, TS, WP, AM; TSD, DE, PGE, PCE, OSFXSR, OSXMMEXCPT: what a guest with EPT may own. */
static bool may_own(int cr, int bit)
{
	static const u64 bits[2] = {
		1 << 1 | 1 << 2 | 1 << 3 | 1 << 16 | 1 << 18,
		1 << 2 | 1 << 3 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10,
	};

	return bits[!!cr] >> bit & 1;
}

/* One bit alone; @fixed: VMX lets it have one value only. */
static bool try_owned(struct vmx_caps caps, int cr, int bit, enum paging paging, int fixed)
{
	bool expected = may_own(cr, bit) && paging == NESTED && fixed < 0;
	u64 *range = cr ? caps.cr4_fixed : caps.cr0_fixed;
	struct vmcs_image vmcs;

	make_vmcs(&vmcs, &caps, REAL, paging);
	vmcs.cr0_mask = vmcs.cr4_mask = ~0ULL;
	*(cr ? &vmcs.cr4_mask : &vmcs.cr0_mask) &= ~(1ULL << bit);
	if (fixed == 0)
		range[1] &= ~(1ULL << bit);
	else if (fixed == 1)
		range[0] |= 1ULL << bit;
	if (same_text(vmx_check_control(&vmcs, &caps), expected ? NULL : OWNS))
		return true;
	return complain("bit %d of CR%d, paging %d, fixed %d", bit, cr, paging, fixed);
}

bool vmx_each_owned_bit(void)
{
	struct vmx_caps caps;
	bool ok = true;
	int bit, paging, fixed;

	make_vmx_caps(&caps, true);
	for (bit = 0; bit < 64; bit++) {
		for (paging = 0; paging < PAGINGS; paging++) {
			for (fixed = -1; fixed < 2; fixed++) {
				ok &= try_owned(caps, 0, bit, paging, fixed);
				ok &= try_owned(caps, 4, bit, paging, fixed);
			}
		}
	}
	return ok;
}

bool vmx_each_text(void)
{
	const char *produced[ARRAY_SIZE(rules) + ARRAY_SIZE(old)];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rules); i++)
		produced[i] = rules[i].text;
	for (i = 0; i < ARRAY_SIZE(old); i++)
		produced[ARRAY_SIZE(rules) + i] = old[i].text;
	return all_produced(vmx_texts, ARRAY_SIZE(vmx_texts), produced, ARRAY_SIZE(produced));
}

/* ---- against the second opinion ------------------------------------------------------------- */

static bool compare(const struct vmcs_image *vmcs, const struct vmx_caps *caps, enum mode mode,
		    enum paging paging)
{
	const char *broken = vmx_check_state(vmcs, caps, GPA_BITS) ?: vmx_check_guest(vmcs, caps);

	if (!broken == vmx_reference(vmcs, caps))
		return true;
	return complain("%s, %s paging: the checker says \"%s\", the second opinion does not",
			mode_names[mode], paging == SHADOW ? "shadow" : "nested", broken ?: "legal");
}

/* Each segment register with all attributes, against a few DPLs and RPLs of the others. */
bool vmx_all_rights(void)
{
	struct vmcs_image vmcs;
	struct vmx_caps caps;
	bool ok = true;
	unsigned int n;
	int i;

	make_vmx_caps(&caps, false);
	for (n = 0; n < MODES * PAGINGS * 4; n++) {
		enum mode mode = n / 8;
		enum paging paging = n / 4 % 2;

		for (i = VMCS_ES; i < VMCS_SEGMENTS; i++) {
			u32 ar;

			make_vmcs(&vmcs, &caps, mode, paging);
			vmcs.seg[i].selector = (vmcs.seg[i].selector & ~3) | n % 4;
			if (i == VMCS_SS)
				vmcs.seg[VMCS_CS].selector = 8 | n % 4;
			/* Of the four reserved bits in the middle one is enough. */
			for (ar = 0; ar < 0x4000; ar++) {
				vmcs.seg[i].ar = (ar & 0x1ff) | (ar & 0x3e00) << 3;
				ok &= compare(&vmcs, &caps, mode, paging);
			}
		}
	}
	return ok;
}

/* One of the changes of the tables, or a random bit of the whole image. */
static void change_something(struct vmcs_image *vmcs)
{
	u64 choice = random_below(4);
	const struct rule *rule;

	if (choice == 0) {
		((u8 *)vmcs)[random_below(sizeof(*vmcs))] ^= 1 << random_below(8);
		return;
	}
	if (choice == 1) {
		((u64 *)vmcs)[random_below(sizeof(*vmcs) / 8)] = next_random(&seed);
		return;
	}
	rule = choice == 2 ? &rules[random_below(ARRAY_SIZE(rules))] :
			     &legal[random_below(ARRAY_SIZE(legal))];
	apply(vmcs, &rule->change[0]);
	apply(vmcs, &rule->change[1]);
	apply(vmcs, &rule->change[2]);
}

bool vmx_random_states(void)
{
	unsigned int rounds = long_mode() ? 100000000 : 1000000, legal_states = 0;
	struct vmcs_image vmcs;
	struct vmx_caps caps;
	bool ok = true;

	while (rounds--) {
		enum mode mode = random_below(MODES);
		enum paging paging = random_below(PAGINGS);
		unsigned int changes = 1 + random_below(3);

		make_vmx_caps(&caps, random_below(2));
		make_vmcs(&vmcs, &caps, mode, paging);
		while (changes--)
			change_something(&vmcs);
		ok &= compare(&vmcs, &caps, mode, paging);
		if (!vmx_verdict(&vmcs, &caps))
			legal_states++;
	}
	printf("# %u random VMCSs are legal\n", legal_states);
	return ok && legal_states;
}
