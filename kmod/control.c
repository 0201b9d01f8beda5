// SPDX-License-Identifier: GPL-2.0
/*
 * Writes of control registers, with the checks that MOV, WRMSR and XSETBV make, and what follows
 * from them for the tables that map guest memory.
 *
 * The vCPU's mutex is held, outside the window; what is simple is done inside: fast.h.
 */
#include <linux/string.h>
#include <asm/fpu/types.h>
#include <asm/msr-index.h>
#include <asm/pgtable_types.h>
#include <asm/processor-flags.h>

#include "backend.h"
#include "cpuid.h"
#include "mem/gpa.h"
#include "mmu/mmu.h"
#include "state.h"
#include "vcpu.h"

/* CR0.WP is looked at with each access, no TLB entry depends on it. */
#define CR0_PAGING	((u64)(X86_CR0_PG | X86_CR0_PE))

void hull_control_changed(struct hull_vcpu *vcpu, bool mode, bool flush)
{
	hull_backend->set_control(vcpu);
	/* Ways through tables of another depth. */
	if (mode)
		memset(vcpu->walked, 0, sizeof(vcpu->walked));
	if (flush)
		hull_vcpu_set_request(vcpu, HULL_REQ_FLUSH);
	if (hull_is_shadow(vcpu) && (mode || flush))
		hull_shadow_reload(vcpu);
}

/* An entry of PAE's root: two kinds of reserved bits, and those beyond the address width. */
#define PDPTE_RESERVED	(GENMASK_ULL(8, 5) | GENMASK_ULL(2, 1))

bool hull_valid_pae_root(struct hull_vcpu *vcpu, u64 cr3, bool atomic)
{
	gpa_t gpa = cr3 & GENMASK_ULL(31, 5);
	u64 entry[4];
	int i, err;

	if (!hull_is_shadow(vcpu) && !hull_backend->pae_registers)
		return true;
	if (atomic)
		err = hull_gpa_read_atomic(vcpu->vm, gpa, entry, sizeof(entry));
	else
		err = hull_gpa_read(vcpu->vm, gpa, entry, sizeof(entry));
	for (i = 0; !err && i < ARRAY_SIZE(entry); i++) {
		if ((entry[i] & _PAGE_PRESENT) &&
		    ((entry[i] & PDPTE_RESERVED) || entry[i] >> hull_gpa_bits))
			return false;
	}
	return !err;
}

bool hull_valid_cr0(u64 value)
{
	if (value >> 32)
		return false;
	if ((value & X86_CR0_PG) && !(value & X86_CR0_PE))
		return false;
	return !(value & X86_CR0_NW) || (value & X86_CR0_CD);
}

int hull_set_cr0(struct hull_vcpu *vcpu, u64 value)
{
	struct hull_control *control = &vcpu->control;
	u64 changed;

	if (!hull_valid_cr0(value))
		return -EINVAL;
	value = (value & HULL_CR0_DEFINED) | X86_CR0_ET;
	changed = value ^ control->cr0;
	if ((control->cr4 & X86_CR4_PCIDE) && !(value & X86_CR0_PG))
		return -EINVAL;
	if ((changed & X86_CR0_PG) && (control->efer & EFER_LME)) {
		struct hull_segments segments;

		hull_backend->get_segments(vcpu, &segments);
		if (value & X86_CR0_PG) {
			if (!(control->cr4 & X86_CR4_PAE) || (segments.cs.attr & HULL_SEG_L))
				return -EINVAL;
			control->efer |= EFER_LMA;
		} else {
			if (segments.cs.attr & HULL_SEG_L)
				return -EINVAL;
			control->efer &= ~(u64)EFER_LMA;
		}
	}
	if ((changed & X86_CR0_PG) &&
	    !hull_valid_root(vcpu, value, control->cr3, control->cr4, false))
		return -EINVAL;
	control->cr0 = value;
	hull_control_changed(vcpu, changed & (CR0_PAGING | X86_CR0_WP), changed & CR0_PAGING);
	return 0;
}

int hull_set_cr3(struct hull_vcpu *vcpu, u64 value)
{
	return hull_load_cr3(vcpu, value, false) ? 0 : -EINVAL;
}

int hull_set_cr4(struct hull_vcpu *vcpu, u64 value)
{
	struct hull_control *control = &vcpu->control;
	u64 changed = value ^ control->cr4;

	if (value & ~hull_cpuid_cr4_mask(vcpu))
		return -EINVAL;
	if ((control->efer & EFER_LMA) && (!(value & X86_CR4_PAE) || (changed & X86_CR4_LA57)))
		return -EINVAL;
	if ((changed & value & X86_CR4_PCIDE) &&
	    (!(control->efer & EFER_LMA) || (control->cr3 & HULL_CR3_PCID)))
		return -EINVAL;
	if ((changed & HULL_CR4_FLUSH) &&
	    !hull_valid_root(vcpu, control->cr0, control->cr3, value, false))
		return -EINVAL;
	control->cr4 = value;
	hull_control_changed(vcpu, changed & HULL_CR4_MODE, changed & HULL_CR4_FLUSH);
	return 0;
}

int hull_set_efer(struct hull_vcpu *vcpu, u64 value)
{
	u64 old = vcpu->control.efer;

	if (value & ~hull_cpuid_efer_mask(vcpu))
		return -EINVAL;
	if (((old ^ value) & EFER_LME) && (vcpu->control.cr0 & X86_CR0_PG))
		return -EINVAL;
	/* LMA follows LME and CR0.PG; it is not written. */
	vcpu->control.efer = (value & ~(u64)EFER_LMA) | (old & EFER_LMA);
	hull_control_changed(vcpu, (old ^ value) & EFER_NX, (old ^ value) & EFER_NX);
	return 0;
}

int hull_set_xcr0(struct hull_vcpu *vcpu, u64 value)
{
	if (!(value & XFEATURE_MASK_FP) || (value & ~hull_cpuid_xcr0_mask(vcpu)))
		return -EINVAL;
	if ((value & XFEATURE_MASK_YMM) && !(value & XFEATURE_MASK_SSE))
		return -EINVAL;
	if (value & XFEATURE_MASK_AVX512) {
		if ((value & XFEATURE_MASK_AVX512) != XFEATURE_MASK_AVX512 ||
		    !(value & XFEATURE_MASK_YMM))
			return -EINVAL;
	}
	vcpu->control.xcr0 = value;
	return 0;
}
