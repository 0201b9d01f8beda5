/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What guests see by CPUID: the policy, and each vCPU's table.
 */
#ifndef HULL_CPUID_H
#define HULL_CPUID_H

#include "types.h"
#include "hull.h"

/* Marks KVM's leaves, which Linux guests look for, and hull's own. */
#define HULL_CPUID_KVM		0x40000000
#define HULL_CPUID_HULL		0x40000100

#define HULL_CPUID_HASH		64

/**
 * struct hull_cpuid_table - CPUID of one vCPU; owner: the holder of the vCPU's mutex
 * @count: entries
 * @max_basic: highest basic leaf
 * @max_extended: highest extended leaf
 * @efer_mask: EFER bits the guest may set
 * @cr4_mask: CR4 bits the guest may set
 * @xcr0: XCR0 bits the guest may set
 * @entry: leaves
 * @next: chains of equal hash; index + 1 into @entry, 0: end
 * @hash: heads of chains
 */
struct hull_cpuid_table {
	u32 count;
	u32 max_basic;
	u32 max_extended;
	u64 efer_mask;
	u64 cr4_mask;
	u64 xcr0;
	struct hull_cpuid_entry entry[HULL_MAX_CPUID];
	u8 next[HULL_MAX_CPUID];
	u8 hash[HULL_CPUID_HASH];
};

void hull_cpuid_setup(void);
const struct hull_cpuid_entry *hull_cpuid_supported(unsigned int *count);

int hull_cpuid_create(struct hull_vcpu *vcpu);
void hull_cpuid_destroy(struct hull_vcpu *vcpu);
int hull_cpuid_set(struct hull_vcpu *vcpu, const struct hull_cpuid *args);

/* Execute CPUID: RAX is at @rax, the other registers in vcpu->gprs. In the window or outside. */
void hull_cpuid_execute(struct hull_vcpu *vcpu, u64 *rax);

u64 hull_cpuid_efer_mask(struct hull_vcpu *vcpu);
u64 hull_cpuid_cr4_mask(struct hull_vcpu *vcpu);
u64 hull_cpuid_xcr0_mask(struct hull_vcpu *vcpu);

#endif
