/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Model-specific registers: what a guest may read and write, and who keeps the value.
 */
#ifndef HULL_MSR_H
#define HULL_MSR_H

#include "types.h"
#include "hull.h"

#define HULL_MTRR_VARIABLE	8
#define HULL_MTRR_FIXED		11

/**
 * struct hull_msr_state - MSRs that live here; owner: the vCPU thread
 * @tsc_offset: guest TSC = host TSC + this
 * @tsc_adjust: IA32_TSC_ADJUST
 * @misc_enable: IA32_MISC_ENABLE
 * @hwcr: AMD's HWCR
 * @mtrr_type: MTRR default type; kept, not acted on: nested paging takes the host's types
 * @mtrr_fixed: fixed ranges
 * @mtrr_base: variable ranges
 * @mtrr_mask: variable ranges
 */
struct hull_msr_state {
	u64 tsc_offset;
	u64 tsc_adjust;
	u64 misc_enable;
	u64 hwcr;
	u64 mtrr_type;
	u64 mtrr_fixed[HULL_MTRR_FIXED];
	u64 mtrr_base[HULL_MTRR_VARIABLE];
	u64 mtrr_mask[HULL_MTRR_VARIABLE];
};

int hull_msr_create(struct hull_vcpu *vcpu);
void hull_msr_destroy(struct hull_vcpu *vcpu);
void hull_msr_reset(struct hull_vcpu *vcpu, bool init);

/*
 * RDMSR and WRMSR of the guest. In the window (writes: @atomic) or outside.
 * 0; -EINVAL: inject #GP; -EAGAIN: only outside the window.
 */
int hull_msr_read(struct hull_vcpu *vcpu, u32 index, u64 *value);
int hull_msr_write(struct hull_vcpu *vcpu, u32 index, u64 value, bool atomic);

/* The MSR group of the interface. */
void hull_msr_get_all(struct hull_vcpu *vcpu, struct hull_msrs *msrs);
int hull_msr_set_all(struct hull_vcpu *vcpu, const struct hull_msrs *msrs);

u64 hull_tsc_offset(struct hull_vcpu *vcpu);
void hull_set_tsc(struct hull_vcpu *vcpu, u64 guest_tsc);

#endif
