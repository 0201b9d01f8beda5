// SPDX-License-Identifier: GPL-2.0
/*
 * KVM's paravirtual EOI (Documentation/virt/kvm/x86/msr.rst, MSR_KVM_PV_EOI_EN): the end of an
 * interrupt without an exit.
 *
 * The guest names a word of its memory. When a vector comes into service and nothing else depends
 * on its EOI, bit 0 is set there: an offer. The guest takes it by clearing the bit, instead of
 * writing EOI; nobody hears of that. So an offer is settled before anything looks at what is in
 * service: the bit is cleared, and where it was already, the EOI is done now. Only one is open at a
 * time, and its vector is the only one in service: what comes next settles first. None is open
 * outside of HULL_RUN, so none is in saved state or memory.
 *
 * The vCPU thread alone, which is not in the guest meanwhile; so the guest sees the bit change
 * between two of its instructions. Locks: with shadow paging mmu->lock. The word may be on a page
 * that cannot be written to without sleeping: then no offer is made, and to settle one the window
 * is left (HULL_REQ_EOI).
 */
#include <asm/kvm_para.h>

#include "chip.h"
#include "mem/gpa.h"
#include "mmu/mmu.h"
#include "vcpu.h"

/* Compare and exchange the guest's word; a guest may have its page tables there. */
static int exchange(struct hull_lapic *lapic, u64 *old, u64 new, bool atomic)
{
	gpa_t gpa = lapic->pv_eoi & ~(u64)KVM_MSR_ENABLED;
	struct hull_vm *vm = lapic->vcpu->vm;
	int err;

	/* As hull_gpa_write(): the oracle may look before the write is announced. */
	if (hull_check)
		hull_shadow_written(vm, gpa_to_gfn(gpa), gpa_to_gfn(gpa) + 1);
	err = atomic ? hull_gpa_cmpxchg_atomic(vm, gpa, old, new, sizeof(u32)) :
		       hull_gpa_cmpxchg(vm, gpa, old, new, sizeof(u32));
	hull_shadow_written(vm, gpa_to_gfn(gpa), gpa_to_gfn(gpa) + 1);
	return err;
}

void hull_pv_eoi_offer(struct hull_lapic *lapic)
{
	u64 found = 0;

	/* A bit that is set already will be taken for one; others are not for the guest to set. */
	lapic->eoi_offered = !exchange(lapic, &found, 1, true) && found <= 1;
}

/* The bit was cleared by the guest: it has done with what is in service. */
static void settled(struct hull_lapic *lapic, u64 found)
{
	lapic->eoi_offered = false;
	if (!(found & 1))
		hull_lapic_eoi(lapic);
}

bool hull_pv_eoi_settle(struct hull_lapic *lapic)
{
	u64 found = 1;

	if (exchange(lapic, &found, 0, true)) {
		hull_vcpu_set_request(lapic->vcpu, HULL_REQ_EOI);
		return false;
	}
	settled(lapic, found);
	return true;
}

void hull_pv_eoi_settle_now(struct hull_vcpu *vcpu)
{
	struct hull_lapic *lapic = vcpu->lapic;
	u64 found = 1;

	if (!lapic || !lapic->eoi_offered)
		return;
	/* The launcher has taken the memory away meanwhile: then it was not taken. */
	if (exchange(lapic, &found, 0, false))
		found = 1;
	settled(lapic, found);
}

int hull_pv_eoi_write_msr(struct hull_vcpu *vcpu, u64 value)
{
	if (!vcpu->lapic)
		return -ENOENT;
	if (value & 2)
		return -EINVAL;
	hull_pv_eoi_settle_now(vcpu);
	vcpu->lapic->pv_eoi = value;
	return 0;
}

int hull_pv_eoi_read_msr(struct hull_vcpu *vcpu, u64 *value)
{
	if (!vcpu->lapic)
		return -ENOENT;
	*value = vcpu->lapic->pv_eoi;
	return 0;
}
