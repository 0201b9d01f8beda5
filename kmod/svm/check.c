// SPDX-License-Identifier: GPL-2.0
/*
 * The oracle's part for VMCBs: the consistency rules of VMRUN as a table, and the intercepts that
 * keep a guest from the host. Emulators check some of these only; CPUs end the entry with
 * VMEXIT_INVALID. Pure: no state, no lock.
 */
#include <linux/bits.h>
#include <asm/processor-flags.h>
#include <asm/msr-index.h>
#include <asm/svm.h>

#include "check.h"
#include "../emulate/emulate.h"

#define EFER_DEFINED	(EFER_SCE | EFER_LME | EFER_LMA | EFER_NX | EFER_SVME | EFER_LMSLE | \
			 EFER_FFXSR | BIT_ULL(15) | BIT_ULL(17) | BIT_ULL(18) | BIT_ULL(20) | \
			 BIT_ULL(21))
#define CR4_RESERVED	(~(0x7ffULL | X86_CR4_UMIP | X86_CR4_LA57 | X86_CR4_FSGSBASE | \
			   X86_CR4_PCIDE | X86_CR4_OSXSAVE | X86_CR4_SMEP | X86_CR4_SMAP | \
			   X86_CR4_PKE | BIT_ULL(23)))

static bool has(const struct vmcb *vmcb, unsigned int bit)
{
	return vmcb->control.intercepts[bit / 32] & BIT(bit % 32);
}

static const char *check_registers(const struct vmcb_save_area *save)
{
	if ((save->cr0 & X86_CR0_NW) && !(save->cr0 & X86_CR0_CD))
		return "CR0.NW is set and CR0.CD is not";
	if (save->cr0 >> 32)
		return "CR0 has high bits";
	if (save->cr4 & CR4_RESERVED)
		return "CR4 has reserved bits";
	if (save->dr6 >> 32)
		return "DR6 has high bits";
	if (save->dr7 >> 32)
		return "DR7 has high bits";
	return NULL;
}

static const char *check_mode(const struct vmcb_save_area *save)
{
	bool lme = save->efer & EFER_LME, pg = save->cr0 & X86_CR0_PG;

	if (!(save->efer & EFER_SVME))
		return "EFER.SVME is clear";
	if (save->efer & ~EFER_DEFINED)
		return "EFER has reserved bits";
	if (!!(save->efer & EFER_LMA) != (lme && pg))
		return "EFER.LMA is not LME and PG";
	if (lme && pg && !(save->cr4 & X86_CR4_PAE))
		return "long mode without CR4.PAE";
	if (lme && pg && !(save->cr0 & X86_CR0_PE))
		return "long mode without CR0.PE";
	return NULL;
}

static const char *check_event(const struct vmcb_control_area *control)
{
	u32 event = control->event_inj, vector = event & SVM_EVTINJ_VEC_MASK;

	if (!(event & SVM_EVTINJ_VALID))
		return NULL;
	switch (event & SVM_EVTINJ_TYPE_MASK) {
	case SVM_EVTINJ_TYPE_INTR:
	case SVM_EVTINJ_TYPE_NMI:
	case SVM_EVTINJ_TYPE_SOFT:
		return NULL;
	case SVM_EVTINJ_TYPE_EXEPT:
		/* "Does not correspond to an exception": 31 never was one. */
		if (vector == 2 || vector > 30)
			return "the injected exception has no such vector";
		return NULL;
	default:
		return "the injected event has no such type";
	}
}

/* AVIC and that of x2APICs, virtual NMIs, virtual GIF. */
#define INT_CTL_UNKNOWN	(BIT(31) | BIT(30) | BIT(26) | BIT(25))

/* Without these a guest executes what acts on the host or takes physical addresses. */
static const u8 must_intercept[] = {
	INTERCEPT_INTR, INTERCEPT_NMI, INTERCEPT_INIT, INTERCEPT_CPUID, INTERCEPT_INVD,
	INTERCEPT_HLT, INTERCEPT_INVLPGA, INTERCEPT_IOIO_PROT, INTERCEPT_MSR_PROT,
	INTERCEPT_SHUTDOWN, INTERCEPT_VMRUN, INTERCEPT_VMMCALL, INTERCEPT_VMLOAD,
	INTERCEPT_VMSAVE, INTERCEPT_STGI, INTERCEPT_CLGI, INTERCEPT_SKINIT, INTERCEPT_XSETBV,
	INTERCEPT_WBINVD, INTERCEPT_MONITOR, INTERCEPT_MWAIT, INTERCEPT_RDPMC,
	INTERCEPT_CR0_WRITE, INTERCEPT_CR4_WRITE,
	/* Two that can be delivered without end, and the host's own. */
	INTERCEPT_EXCEPTION_OFFSET + 1, INTERCEPT_EXCEPTION_OFFSET + 17,
	INTERCEPT_EXCEPTION_OFFSET + 18,
};

static const char *check_nested(const struct vmcb *vmcb)
{
	if (!vmcb->control.nested_cr3 || (vmcb->control.nested_cr3 & 0xfff))
		return "nested paging has no root";
	return NULL;
}

/* Without these a guest sees or changes the tables that keep it from the host's memory. */
static const u8 shadow_intercepts[] = {
	INTERCEPT_CR0_WRITE, INTERCEPT_CR3_READ, INTERCEPT_CR3_WRITE, INTERCEPT_CR4_WRITE,
	INTERCEPT_INVLPG, INTERCEPT_EXCEPTION_OFFSET + 14,
};

static const char *check_shadow(const struct vmcb *vmcb)
{
	const struct vmcb_save_area *save = &vmcb->save;
	size_t i;

	if (vmcb->control.nested_cr3)
		return "shadow paging has a root of nested paging";
	if (!save->cr3 || (save->cr3 & 0xfff))
		return "shadow paging has no root";
	if (!(save->efer & EFER_LMA) && save->cr3 >> 32)
		return "the root of PAE paging is beyond 4 GiB";
	if (!(save->cr0 & X86_CR0_PG) || !(save->cr0 & X86_CR0_WP) ||
	    !(save->cr4 & X86_CR4_PAE) || !(save->efer & EFER_NX))
		return "shadow tables are not in force";
	if (save->cr4 & X86_CR4_PCIDE)
		return "CR4.PCIDE is set, and roots carry no PCID";
	for (i = 0; i < sizeof(shadow_intercepts); i++) {
		if (!has(vmcb, shadow_intercepts[i]))
			return "an intercept of shadow paging is clear";
	}
	return NULL;
}

const char *svm_check_control(const struct vmcb *vmcb, u32 asids)
{
	const struct vmcb_control_area *control = &vmcb->control;
	size_t i;

	if (!control->asid || control->asid >= asids)
		return "the ASID is not one of the CPU's";
	if (!(control->int_ctl & V_INTR_MASKING_MASK))
		return "the guest's RFLAGS.IF would mask the host's interrupts";
	if ((control->iopm_base_pa & 0xfff) || (control->msrpm_base_pa & 0xfff) ||
	    !control->iopm_base_pa || !control->msrpm_base_pa)
		return "a permission map is not where one can be";
	if (control->clean)
		return "clean bits are set, and nobody keeps track of them";
	if ((control->misc_ctl & ~(u64)SVM_MISC_ENABLE_NP) || (control->int_ctl & INT_CTL_UNKNOWN))
		return "a feature is on of which hull knows nothing";
	for (i = 0; i < sizeof(must_intercept); i++) {
		if (!has(vmcb, must_intercept[i]))
			return "an intercept that protects the host is clear";
	}
	for (i = 0; i < 32; i++) {
		if (!has(vmcb, INTERCEPT_DR0_READ + i))
			return "a debug register is not intercepted";
	}
	return control->misc_ctl & SVM_MISC_ENABLE_NP ? check_nested(vmcb) : check_shadow(vmcb);
}

/* Nested paging uses it, so VMRUN looks: of 8 types 2 do not exist. */
static bool valid_pat(u64 pat)
{
	int i;

	for (i = 0; i < 64; i += 8) {
		u8 type = pat >> i;

		if (type > 7 || type == 2 || type == 3)
			return false;
	}
	return true;
}

const char *svm_check_state(const struct vmcb *vmcb)
{
	const char *broken;

	broken = check_registers(&vmcb->save);
	/* "Paged real mode" is for shadow paging. */
	if (!broken && (vmcb->control.misc_ctl & SVM_MISC_ENABLE_NP) &&
	    (vmcb->save.cr0 & (X86_CR0_PG | X86_CR0_PE)) == X86_CR0_PG)
		broken = "CR0.PG is set and CR0.PE is not";
	if (!broken)
		broken = check_mode(&vmcb->save);
	if (!broken)
		broken = check_event(&vmcb->control);
	if (!broken && (vmcb->control.misc_ctl & SVM_MISC_ENABLE_NP) &&
	    !valid_pat(vmcb->save.g_pat))
		broken = "the PAT has a type that does not exist";
	return broken;
}

const char *svm_check_guest(const struct vmcb *vmcb, unsigned int gpa_bits)
{
	const struct vmcb_save_area *save = &vmcb->save;
	u16 cs = save->cs.attrib;

	if ((vmcb->control.misc_ctl & SVM_MISC_ENABLE_NP) && save->cr3 >> gpa_bits)
		return "CR3 is beyond the physical address width";
	if (!(save->rflags & X86_EFLAGS_FIXED))
		return "RFLAGS bit 1 is clear";
	if ((save->efer & EFER_LMA) && (save->rflags & X86_EFLAGS_VM))
		return "virtual-8086 mode in long mode";
	if ((save->efer & EFER_LMA) && (cs & HULL_SEG_L) && (cs & HULL_SEG_DB))
		return "CS.L and CS.D are both set in long mode";
	if (save->cpl > 3)
		return "CPL is above 3";
	return NULL;
}
