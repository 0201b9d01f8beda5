/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Register groups between a vCPU and user space, and reset.
 */
#ifndef HULL_STATE_H
#define HULL_STATE_H

#include <asm/msr-index.h>
#include <asm/processor-flags.h>

#include "types.h"
#include "hull.h"
#include "mmu/mmu.h"
#include "vcpu.h"

#define HULL_DR7_FIXED	0x400	/* the bit of DR7 that is always set */
#define HULL_DR6_WRITABLE	0xe00fULL	/* the others read as in DR6_RESERVED */

/* What selects a paging mode or rights in it: a TLB forgets when one changes, as with PGE. */
#define HULL_CR4_MODE	(X86_CR4_PSE | X86_CR4_PAE | X86_CR4_SMEP | X86_CR4_SMAP | \
			 X86_CR4_PCIDE | X86_CR4_LA57)
#define HULL_CR4_FLUSH	(HULL_CR4_MODE | X86_CR4_PGE)

/* Linear addresses have 57 bits, or 48. */
static inline bool hull_is_canonical(u64 linear, bool la57)
{
	unsigned int shift = la57 ? 7 : 16;

	return (u64)((s64)(linear << shift) >> shift) == linear;
}

long hull_vcpu_move_state(struct hull_vcpu *vcpu, const struct hull_state_io *args, bool set);
long hull_vcpu_translate(struct hull_vcpu *vcpu, struct hull_translate *args);

/* Power-up (not @init) or INIT state. */
void hull_vcpu_reset(struct hull_vcpu *vcpu, bool init);
/* Where a SIPI with this vector starts. */
void hull_vcpu_start_at(struct hull_vcpu *vcpu, u8 vector);

/* CR3 with CR4.PCIDE: which translations; and not to be loaded: those cached remain good. */
#define HULL_CR3_PCID	GENMASK_ULL(11, 0)
#define HULL_CR3_KEEP	BIT_ULL(63)

/* Bits of CR0 that exist; a combination that MOV would take. */
#define HULL_CR0_DEFINED	(X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_ET | \
				 X86_CR0_NE | X86_CR0_WP | X86_CR0_AM | X86_CR0_NW | X86_CR0_CD | \
				 X86_CR0_PG)
bool hull_valid_cr0(u64 value);

/*
 * Loading CR3 with PAE paging, and switching that on, loads four entries, which is refused when one
 * is not valid. With nested paging that is SVM's business. @atomic: false also when they cannot
 * be read without sleeping.
 */
bool hull_valid_pae_root(struct hull_vcpu *vcpu, u64 cr3, bool atomic);

/* PAE paging, and not that of long mode. */
static inline bool hull_is_pae(u64 cr0, u64 cr4, u64 efer)
{
	return (cr0 & X86_CR0_PG) && (cr4 & X86_CR4_PAE) && !(efer & EFER_LMA);
}

static inline bool hull_valid_root(struct hull_vcpu *vcpu, u64 cr0, u64 cr3, u64 cr4, bool atomic)
{
	return !hull_is_pae(cr0, cr4, vcpu->control.efer) || hull_valid_pae_root(vcpu, cr3, atomic);
}

/* MOV to CR3 under shadow paging; with nested paging the CPU does it. False: it is refused. */
static __always_inline bool hull_load_cr3(struct hull_vcpu *vcpu, u64 value, bool atomic)
{
	struct hull_control *control = &vcpu->control;
	bool has_pcid = control->cr4 & X86_CR4_PCIDE;
	u64 cr3 = has_pcid ? value & ~HULL_CR3_KEEP : value;

	if (cr3 >> hull_gpa_bits || !hull_valid_root(vcpu, control->cr0, cr3, control->cr4, atomic))
		return false;
	if (has_pcid) {
		hull_shadow_load_pcid(vcpu, cr3, value & HULL_CR3_KEEP);
		return true;
	}
	control->cr3 = cr3;
	hull_shadow_load_root(vcpu);
	return true;
}

/*
 * vcpu->control was written. @mode: the paging mode may be another. @flush: the guest expects its
 * TLB to be empty.
 */
void hull_control_changed(struct hull_vcpu *vcpu, bool mode, bool flush);

/*
 * Write a control register as MOV would: checks, then the state. Outside the window.
 * 0; -EINVAL: inject #GP. CR3 is written by hand under shadow paging only.
 */
int hull_set_cr0(struct hull_vcpu *vcpu, u64 value);
int hull_set_cr3(struct hull_vcpu *vcpu, u64 value);
int hull_set_cr4(struct hull_vcpu *vcpu, u64 value);
int hull_set_efer(struct hull_vcpu *vcpu, u64 value);
int hull_set_xcr0(struct hull_vcpu *vcpu, u64 value);

#endif
