// SPDX-License-Identifier: GPL-2.0
/*
 * The oracle's part for VMCSs: the rules that VM entry checks, so that what is wrong has a name,
 * and the controls that keep a guest from the host, which no CPU checks. Pure: no state, no lock.
 */
#include <linux/bits.h>
#include <asm/processor-flags.h>
#include <asm/msr-index.h>
#include <asm/vmx.h>

#include "controls.h"

#define RFLAGS_ZERO	(~0x3fffffULL | BIT(15) | BIT(5) | BIT(3))
/* Breakpoints, bus locks, one that is enabled, single steps, transactions. */
#define PENDING_DEFINED	(0xfULL | BIT(11) | BIT(12) | VMX_PENDING_BS | BIT(16))
#define PDPTE_RESERVED	(0x1e6ULL)

/* Bits of linear addresses that the CPU does not have, whatever CR4.LA57 says. */
static unsigned int unused_bits(const struct vmx_caps *caps)
{
	return caps->cr4_fixed[1] & X86_CR4_LA57 ? 7 : 16;
}

static bool canonical(const struct vmx_caps *caps, u64 address)
{
	unsigned int shift = unused_bits(caps);

	return (u64)((s64)(address << shift) >> shift) == address;
}

static bool is_long(const struct vmcs_image *vmcs)
{
	return vmcs->entry & VM_ENTRY_IA32E_MODE;
}

/* ---- what only hull writes ------------------------------------------------------------------ */

/* @offered: those that old CPUs lack: see check_lists(), and kmod/README.md for WBINVD. */
static const struct {
	u32 must, offered;
	const char *broken;
} protections[VMX_CONTROLS] = {
	[VMX_PIN] = { PIN_BASED_EXT_INTR_MASK | PIN_BASED_NMI_EXITING | PIN_BASED_VIRTUAL_NMIS, 0,
		      "the guest would take the host's interrupts" },
	[VMX_CPU] = { CPU_BASED_UNCOND_IO_EXITING | CPU_BASED_USE_MSR_BITMAPS |
		      CPU_BASED_HLT_EXITING | CPU_BASED_MWAIT_EXITING |
		      CPU_BASED_MONITOR_EXITING | CPU_BASED_MOV_DR_EXITING |
		      CPU_BASED_RDPMC_EXITING |
		      CPU_BASED_CR8_LOAD_EXITING | CPU_BASED_CR8_STORE_EXITING,
		      CPU_BASED_ACTIVATE_SECONDARY_CONTROLS,
		      "a control that protects the host is clear" },
	[VMX_CPU2] = { 0, SECONDARY_EXEC_WBINVD_EXITING,
		       "the guest could drop the host's caches" },
	[VMX_EXIT] = { VM_EXIT_HOST_ADDR_SPACE_SIZE, VM_EXIT_LOAD_IA32_EFER,
		       "the host would not come back in long mode" },
	[VMX_ENTRY] = { VM_ENTRY_LOAD_DEBUG_CONTROLS, VM_ENTRY_LOAD_IA32_EFER,
			"guest state would not be loaded" },
};

static const char *check_controls(const struct vmcs_image *vmcs, const struct vmx_caps *caps)
{
	const u32 value[VMX_CONTROLS] = { vmcs->pin, vmcs->cpu, vmcs->cpu2, vmcs->exit,
					  vmcs->entry };
	int i;

	for (i = 0; i < VMX_CONTROLS; i++) {
		const struct vmx_control_word *word = &vmx_control_words[i];
		u32 known = word->must | word->may | word->later | word->shadow;
		u32 one = caps->allowed[i], may = caps->allowed[i] >> 32;

		/* EFER is loaded by both words or by none. */
		if (i >= VMX_EXIT && !vmx_loads_efer(caps->allowed))
			may &= i == VMX_EXIT ? ~VM_EXIT_LOAD_IA32_EFER : ~VM_ENTRY_LOAD_IA32_EFER;
		if ((protections[i].must | (protections[i].offered & may)) & ~value[i])
			return protections[i].broken;
		if ((one & ~value[i]) || (value[i] & ~may))
			return "a control has a value that the CPU does not allow";
		/* So rules of what goes with it need not be looked at. */
		if (value[i] & ~(known | one))
			return "a control is set of which hull knows nothing";
	}
	if ((vmcs->cpu2 & SECONDARY_EXEC_ENABLE_VPID) && !vmcs->vpid)
		return "the VPID is that of the host";
	return NULL;
}

/* Lists of MSRs cost with each entry and exit: of EFER, where there are no fields for it. */
static const char *check_lists(const struct vmcs_image *vmcs, const struct vmx_caps *caps)
{
	u64 length = vmx_loads_efer(caps->allowed) ? 0 : 1;

	if (vmcs->exit_msrs_stored || vmcs->exit_msrs_loaded > length ||
	    vmcs->entry_msrs_loaded > length)
		return "there are MSRs that the CPU would load or store";
	if (vmcs->exit_msrs_loaded < length || vmcs->entry_msrs_loaded < length)
		return "EFER would not be switched";
	return NULL;
}

static bool is_unrestricted(const struct vmcs_image *vmcs)
{
	return vmcs->cpu2 & SECONDARY_EXEC_UNRESTRICTED_GUEST;
}

/*
 * EPT, or shadow tables that the guest cannot leave. A VM's mode shows in whether #PF exits; with
 * shadow paging a guest that does not page is on EPT too, where there is EPT.
 */
static const char *check_memory(const struct vmcs_image *vmcs, const struct vmx_caps *caps)
{
	bool shadow = vmcs->exceptions & BIT(14), paging = vmcs->cr0 & X86_CR0_PG;
	bool ept = vmcs->cpu2 & SECONDARY_EXEC_ENABLE_EPT;

	if (ept != is_unrestricted(vmcs) || (!ept && !shadow))
		return "a control that keeps memory apart is clear";
	if ((ept || caps->eptp) && ((vmcs->eptp & 0xfff) != caps->eptp || !(vmcs->eptp >> 12)))
		return "there is no root of EPT";
	if (!shadow)
		return NULL;
	if ((VMX_SHADOW_EXITING & ~vmcs->cpu) || vmcs->pf_mask || vmcs->pf_match)
		return "a control that keeps shadow tables is clear";
	if (ept)
		return paging ? "a guest that pages is not on shadow tables" : NULL;
	if (!paging || !(vmcs->cr0 & X86_CR0_PE) || !(vmcs->cr0 & X86_CR0_WP) ||
	    !(vmcs->cr4 & X86_CR4_PAE) || (vmcs->cr4 & X86_CR4_PCIDE) || !(vmcs->efer & EFER_NX))
		return "a control register does not fit shadow tables";
	return NULL;
}

/* Bits that VMX fixes are not the guest's either: it would get #GP for what it may write. */
static const char *check_owned(const struct vmcs_image *vmcs, const struct vmx_caps *caps)
{
	bool shadow = vmcs->exceptions & BIT(14);
	u64 cr0 = shadow ? 0 : vmx_guest_cr0(caps), cr4 = shadow ? 0 : vmx_guest_cr4(caps);

	if ((~vmcs->cr0_mask & ~cr0) || (~vmcs->cr4_mask & ~cr4))
		return "the guest owns bits of CR0 or CR4 that are ours";
	return NULL;
}

const char *vmx_check_control(const struct vmcs_image *vmcs, const struct vmx_caps *caps)
{
	const u32 exceptions = BIT(1) | BIT(17) | BIT(18);
	const char *broken = check_memory(vmcs, caps);

	if (broken)
		return broken;
	if (!vmcs->msr_bitmap || (vmcs->msr_bitmap & 0xfff))
		return "the MSR bitmap is not where one can be";
	if (vmcs->link != ~0ULL)
		return "there is a VMCS link pointer";
	broken = check_owned(vmcs, caps);
	if (broken)
		return broken;
	if ((vmcs->exceptions & exceptions) != exceptions)
		return "an exception that must exit does not";
	if (vmcs->cr3_targets)
		return "there are values of CR3 that a guest may load alone";
	if (vmcs->debugctl)
		return "the guest has bits of DEBUGCTL";
	return check_lists(vmcs, caps) ?: check_controls(vmcs, caps);
}

static bool host_selectors_ok(const struct vmcs_image *vmcs)
{
	u64 all = vmcs->host_cs | vmcs->host_ss | vmcs->host_ds | vmcs->host_es | vmcs->host_fs |
		  vmcs->host_gs | vmcs->host_tr;

	return !(all & 7) && vmcs->host_cs && vmcs->host_tr;
}

const char *vmx_check_host(const struct vmcs_image *vmcs, const struct vmx_caps *caps)
{
	const u64 address[] = { vmcs->host_rip, vmcs->host_fs_base, vmcs->host_gs_base,
				vmcs->host_tr_base, vmcs->host_gdtr_base, vmcs->host_idtr_base,
				vmcs->host_sysenter_esp, vmcs->host_sysenter_eip };
	size_t i;

	if ((caps->cr0_fixed[0] & ~vmcs->host_cr0) || (vmcs->host_cr0 & ~caps->cr0_fixed[1]))
		return "CR0 of the host has a value that VMX does not allow";
	if ((caps->cr4_fixed[0] & ~vmcs->host_cr4) || (vmcs->host_cr4 & ~caps->cr4_fixed[1]) ||
	    !(vmcs->host_cr4 & X86_CR4_PAE))
		return "CR4 of the host has a value that VMX does not allow";
	if (!(vmcs->host_efer & EFER_LMA) || !(vmcs->host_efer & EFER_LME))
		return "EFER of the host is not that of long mode";
	if (!host_selectors_ok(vmcs))
		return "a selector of the host is not one of a kernel";
	for (i = 0; i < ARRAY_SIZE(address); i++) {
		if (!canonical(caps, address[i]))
			return "an address of the host is not canonical";
	}
	return vmcs->host_rip ? NULL : "an exit has nowhere to go";
}

/* ---- control registers, flags, events ------------------------------------------------------- */

static const char *check_paging(const struct vmcs_image *vmcs, unsigned int gpa_bits)
{
	const u64 pdpte[] = { vmcs->pdpte0, vmcs->pdpte1, vmcs->pdpte2, vmcs->pdpte3 };
	u64 reserved = PDPTE_RESERVED | ~((1ULL << gpa_bits) - 1);
	size_t i;

	if (vmcs->cr3 >> gpa_bits)
		return "CR3 is beyond the physical address width";
	/* Without EPT the entries are in memory. */
	if (!(vmcs->cr0 & X86_CR0_PG) || !(vmcs->cr4 & X86_CR4_PAE) || is_long(vmcs) ||
	    !is_unrestricted(vmcs))
		return NULL;
	for (i = 0; i < 4; i++) {
		if ((pdpte[i] & 1) && (pdpte[i] & reserved))
			return "an entry of PAE's root has reserved bits";
	}
	return NULL;
}

static const char *check_registers(const struct vmcs_image *vmcs, const struct vmx_caps *caps)
{
	u64 free = is_unrestricted(vmcs) ? X86_CR0_PE | X86_CR0_PG : 0;
	u64 cr0_must = caps->cr0_fixed[0] & ~free;
	bool lma = vmcs->efer & EFER_LMA, paging = vmcs->cr0 & X86_CR0_PG;

	if ((cr0_must & ~vmcs->cr0) || (vmcs->cr0 & ~caps->cr0_fixed[1]))
		return "CR0 has a value that VMX does not allow";
	if (paging && !(vmcs->cr0 & X86_CR0_PE))
		return "CR0.PG is set and CR0.PE is not";
	if ((caps->cr4_fixed[0] & ~vmcs->cr4) || (vmcs->cr4 & ~caps->cr4_fixed[1]))
		return "CR4 has a value that VMX does not allow";
	if (is_long(vmcs) && (!paging || !(vmcs->cr4 & X86_CR4_PAE)))
		return "long mode without paging or without CR4.PAE";
	if (!is_long(vmcs) && (vmcs->cr4 & X86_CR4_PCIDE))
		return "CR4.PCIDE is set outside long mode";
	if (vmcs->efer & ~(u64)(EFER_SCE | EFER_LME | EFER_LMA | EFER_NX))
		return "EFER has reserved bits";
	if (lma != is_long(vmcs) || (paging && lma != !!(vmcs->efer & EFER_LME)))
		return "EFER.LMA is not LME and PG";
	if (vmcs->dr7 >> 32)
		return "DR7 has high bits";
	if (!canonical(caps, vmcs->sysenter_esp) || !canonical(caps, vmcs->sysenter_eip))
		return "an MSR of SYSENTER is not canonical";
	return NULL;
}

static const char *check_flags(const struct vmcs_image *vmcs)
{
	u64 shadow = vmcs->interruptibility & VMX_INTERRUPT_SHADOW;
	bool step = vmcs->rflags & X86_EFLAGS_TF;

	if ((vmcs->rflags & RFLAGS_ZERO) || !(vmcs->rflags & X86_EFLAGS_FIXED))
		return "RFLAGS has reserved bits";
	if ((vmcs->rflags & X86_EFLAGS_VM) && (is_long(vmcs) || !(vmcs->cr0 & X86_CR0_PE)))
		return "virtual-8086 mode in long or real mode";
	if (vmcs->activity)
		return "the guest is not active";
	if (vmcs->interruptibility & ~(u64)(VMX_INTERRUPT_SHADOW | GUEST_INTR_STATE_NMI))
		return "the interruptibility state has reserved bits";
	if (shadow == VMX_INTERRUPT_SHADOW)
		return "blocking by STI and by MOV SS";
	if ((shadow & GUEST_INTR_STATE_STI) && !(vmcs->rflags & X86_EFLAGS_IF))
		return "blocking by STI with interrupts off";
	if (vmcs->pending_debug & ~PENDING_DEFINED)
		return "the pending debug exceptions have reserved bits";
	if (shadow && step != !!(vmcs->pending_debug & VMX_PENDING_BS))
		return "RFLAGS.TF and the pending debug exceptions disagree";
	return NULL;
}

static const char *check_event(const struct vmcs_image *vmcs)
{
	u32 event = vmcs->event, vector = event & INTR_INFO_VECTOR_MASK;
	bool error;

	if (!(event & INTR_INFO_VALID_MASK))
		return NULL;
	if (event & 0x7ffff000)
		return "the injected event has reserved bits";
	switch (event & INTR_INFO_INTR_TYPE_MASK) {
	case INTR_TYPE_EXT_INTR:
		if (!(vmcs->rflags & X86_EFLAGS_IF) ||
		    (vmcs->interruptibility & VMX_INTERRUPT_SHADOW))
			return "an interrupt is injected that the guest cannot take";
		break;
	case INTR_TYPE_NMI_INTR:
		if (vector != 2 || vmcs->interruptibility)
			return "an NMI is injected that the guest cannot take";
		break;
	case INTR_TYPE_HARD_EXCEPTION:
		if (vector > 31)
			return "the injected exception has no such vector";
		break;
	default:
		return "the injected event has no such type";
	}
	error = (event & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_HARD_EXCEPTION &&
		(VMX_ERROR_CODES & BIT(vector)) && (vmcs->cr0 & X86_CR0_PE);
	if (error != !!(event & INTR_INFO_DELIVER_CODE_MASK))
		return "the injected event has an error code too many or too few";
	return error && vmcs->event_error >> 16 ? "the error code has high bits" : NULL;
}

const char *vmx_check_state(const struct vmcs_image *vmcs, const struct vmx_caps *caps,
			    unsigned int gpa_bits)
{
	const char *broken;

	broken = check_registers(vmcs, caps);
	if (!broken)
		broken = check_paging(vmcs, gpa_bits);
	if (!broken)
		broken = check_flags(vmcs);
	if (!broken)
		broken = check_event(vmcs);
	return broken;
}

/* ---- segments ------------------------------------------------------------------------------- */

#define AR_RESERVED	0xfffe0f00

static bool bad_limit(u32 limit, u32 ar)
{
	if ((limit & 0xfff) != 0xfff && (ar & VMX_AR_G_MASK))
		return true;
	return (limit >> 20) && !(ar & VMX_AR_G_MASK);
}

/* ES, SS, DS, FS, GS in virtual-8086 mode, and CS. */
static const char *check_v8086(const struct vmcs_image *vmcs)
{
	int i;

	for (i = VMCS_ES; i <= VMCS_GS; i++) {
		if (vmcs->seg[i].base != vmcs->seg[i].selector << 4 ||
		    vmcs->seg[i].limit != 0xffff || vmcs->seg[i].ar != 0xf3)
			return "a segment is not one of virtual-8086 mode";
	}
	return NULL;
}

static const char *check_cs(const struct vmcs_image *vmcs)
{
	u32 ar = vmcs->seg[VMCS_CS].ar, ss = vmcs->seg[VMCS_SS].ar;

	if (ar & VMX_AR_UNUSABLE_MASK)
		return "CS is not loaded";
	switch (ar & VMX_AR_TYPE_MASK) {
	case 3:
		if (VMX_AR_DPL(ar) || !is_unrestricted(vmcs))
			return "CS is a data segment and its DPL is not 0, or nothing else is";
		break;
	case 9:
	case 11:
		if (VMX_AR_DPL(ar) != VMX_AR_DPL(ss))
			return "DPL of CS is not that of SS";
		break;
	case 13:
	case 15:
		if (VMX_AR_DPL(ar) > VMX_AR_DPL(ss))
			return "DPL of CS is above that of SS";
		break;
	default:
		return "CS is no accessed code segment";
	}
	if (is_long(vmcs) && (ar & VMX_AR_L_MASK) && (ar & VMX_AR_DB_MASK))
		return "CS.L and CS.D are both set in long mode";
	return NULL;
}

static const char *check_ss(const struct vmcs_image *vmcs)
{
	u32 ar = vmcs->seg[VMCS_SS].ar, type = ar & VMX_AR_TYPE_MASK;
	bool real = !(vmcs->cr0 & X86_CR0_PE);

	if (!(ar & VMX_AR_UNUSABLE_MASK) && type != 3 && type != 7)
		return "SS is no writable, accessed segment";
	if (VMX_AR_DPL(ar) && (real || (vmcs->seg[VMCS_CS].ar & VMX_AR_TYPE_MASK) == 3))
		return "DPL of SS is not 0";
	if (!is_unrestricted(vmcs) && ((vmcs->seg[VMCS_SS].selector & 3) != VMX_AR_DPL(ar) ||
				       (vmcs->seg[VMCS_CS].selector & 3) != VMX_AR_DPL(ar)))
		return "RPL of CS or SS is not DPL of SS";
	return NULL;
}

static const char *check_usable(const struct vmcs_image *vmcs, int i)
{
	u32 ar = vmcs->seg[i].ar, type = ar & VMX_AR_TYPE_MASK;

	if (ar & VMX_AR_UNUSABLE_MASK)
		return NULL;
	if (!(ar & VMX_AR_S_MASK) || !(ar & VMX_AR_P_MASK) || (ar & AR_RESERVED))
		return "attributes of a segment register are not those of one";
	if (bad_limit(vmcs->seg[i].limit, ar))
		return "limit and granularity of a segment disagree";
	if (i < VMCS_FS && vmcs->seg[i].base >> 32)
		return "the base of a segment has high bits";
	if (i == VMCS_CS || i == VMCS_SS)
		return NULL;
	if (!(type & VMX_AR_TYPE_ACCESSES_MASK) ||
	    ((type & VMX_AR_TYPE_CODE_MASK) && !(type & VMX_AR_TYPE_READABLE_MASK)))
		return "a data segment is not readable and accessed";
	if (!is_unrestricted(vmcs) && type < 12 && VMX_AR_DPL(ar) < (vmcs->seg[i].selector & 3))
		return "DPL of a data segment is below its RPL";
	return NULL;
}

static const char *check_tables(const struct vmcs_image *vmcs, const struct vmx_caps *caps)
{
	u32 tr = vmcs->seg[VMCS_TR].ar, ldtr = vmcs->seg[VMCS_LDTR].ar;
	u32 type = tr & VMX_AR_TYPE_MASK;

	if ((tr & VMX_AR_UNUSABLE_MASK) || (tr & (VMX_AR_S_MASK | AR_RESERVED)) ||
	    !(tr & VMX_AR_P_MASK) || bad_limit(vmcs->seg[VMCS_TR].limit, tr) ||
	    (vmcs->seg[VMCS_TR].selector & 4) || !canonical(caps, vmcs->seg[VMCS_TR].base))
		return "TR is not that of a task";
	if (type != VMX_AR_TYPE_BUSY_64_TSS && (is_long(vmcs) || type != VMX_AR_TYPE_BUSY_16_TSS))
		return "TR is not that of a busy task";
	if (!(ldtr & VMX_AR_UNUSABLE_MASK) &&
	    ((ldtr & (VMX_AR_S_MASK | AR_RESERVED)) || !(ldtr & VMX_AR_P_MASK) ||
	     (ldtr & VMX_AR_TYPE_MASK) != VMX_AR_TYPE_LDT ||
	     bad_limit(vmcs->seg[VMCS_LDTR].limit, ldtr) ||
	     (vmcs->seg[VMCS_LDTR].selector & 4) ||
	     !canonical(caps, vmcs->seg[VMCS_LDTR].base)))
		return "LDTR is not that of a table";
	if (!canonical(caps, vmcs->gdtr_base) || !canonical(caps, vmcs->idtr_base) ||
	    vmcs->gdtr_limit >> 16 || vmcs->idtr_limit >> 16)
		return "GDTR or IDTR is not that of a table";
	return NULL;
}

const char *vmx_check_guest(const struct vmcs_image *vmcs, const struct vmx_caps *caps)
{
	bool code64 = is_long(vmcs) && (vmcs->seg[VMCS_CS].ar & VMX_AR_L_MASK);
	s64 unused = (s64)vmcs->rip >> (64 - unused_bits(caps));
	const char *broken;
	int i;

	if (vmcs->rip >> 32 && !code64)
		return "RIP has high bits";
	/* Not quite canonical: an instruction may end where such addresses do. */
	if (unused && ~unused)
		return "RIP is beyond the width of addresses";
	if (!canonical(caps, vmcs->seg[VMCS_FS].base) ||
	    !canonical(caps, vmcs->seg[VMCS_GS].base))
		return "the base of FS or GS is not canonical";
	broken = check_tables(vmcs, caps);
	if (broken)
		return broken;
	if (vmcs->rflags & X86_EFLAGS_VM)
		return check_v8086(vmcs);
	broken = check_cs(vmcs);
	if (!broken)
		broken = check_ss(vmcs);
	for (i = VMCS_ES; !broken && i <= VMCS_GS; i++)
		broken = check_usable(vmcs, i);
	return broken;
}
