// SPDX-License-Identifier: GPL-2.0
/*
 * MSR policy, as a table: index range, who reads, who writes.
 *
 * What is not in the table injects #GP, as for an MSR the CPU does not have. Values that user
 * space sets go through the same checks as the guest's own. All of it belongs to the vCPU thread.
 */
#include <linux/slab.h>
#include <asm/kvm_para.h>
#include <asm/msr-index.h>
#include <asm/mtrr.h>

#include "backend.h"
#include "cpuid.h"
#include "host.h"
#include "irqchip/irqchip.h"
#include "msr.h"
#include "state.h"
#include "vcpu.h"

#define MSR_F_SAVED	(1U << 0)	/* part of the MSRs group */
#define MSR_F_SLEEPS	(1U << 1)	/* writing may sleep */

struct msr_row {
	u32 first, last;
	u32 flags;
	int (*read)(struct hull_vcpu *vcpu, u32 index, u64 *value);
	int (*write)(struct hull_vcpu *vcpu, u32 index, u64 value);
};

/* ---- kinds of rows -------------------------------------------------------------------------- */

static int read_zero(struct hull_vcpu *vcpu, u32 index, u64 *value)
{
	*value = 0;
	return 0;
}

static int write_nothing(struct hull_vcpu *vcpu, u32 index, u64 value)
{
	return 0;
}

static int write_zero_only(struct hull_vcpu *vcpu, u32 index, u64 value)
{
	return value ? -EINVAL : 0;
}

static int read_backend(struct hull_vcpu *vcpu, u32 index, u64 *value)
{
	return hull_backend->get_msr(vcpu, index, value);
}

static int write_backend(struct hull_vcpu *vcpu, u32 index, u64 value)
{
	return hull_backend->set_msr(vcpu, index, value);
}

/*
 * Bases the CPU adds to addresses: a non-canonical one would fault in the host. CPUs of both
 * vendors check them, as those of descriptor tables, for the width they have, with CR4.LA57 clear
 * too; so what counts here is the width that CPUID tells the guest of. MSRs that do not exit are
 * checked by the CPU for its own.
 */
static int write_canonical(struct hull_vcpu *vcpu, u32 index, u64 value)
{
	if (!hull_is_canonical(value, hull_cpuid_cr4_mask(vcpu) & X86_CR4_LA57))
		return -EINVAL;
	return hull_backend->set_msr(vcpu, index, value);
}

static int write_u32(struct hull_vcpu *vcpu, u32 index, u64 value)
{
	return hull_backend->set_msr(vcpu, index, (u32)value);
}

/* ---- time ----------------------------------------------------------------------------------- */

u64 hull_tsc_offset(struct hull_vcpu *vcpu)
{
	return vcpu->msr->tsc_offset;
}

static void set_tsc_offset(struct hull_vcpu *vcpu, u64 offset)
{
	vcpu->msr->tsc_offset = offset;
	hull_backend->set_tsc_offset(vcpu, offset);
	if (vcpu->lapic)
		hull_lapic_tsc_changed(vcpu);
	hull_vcpu_set_request(vcpu, HULL_REQ_CLOCK);
}

void hull_set_tsc(struct hull_vcpu *vcpu, u64 guest_tsc)
{
	set_tsc_offset(vcpu, guest_tsc - rdtsc());
}

static int read_tsc(struct hull_vcpu *vcpu, u32 index, u64 *value)
{
	*value = rdtsc() + vcpu->msr->tsc_offset;
	return 0;
}

/* A write of the TSC moves TSC_ADJUST by the same amount. */
static int write_tsc(struct hull_vcpu *vcpu, u32 index, u64 value)
{
	u64 offset = value - rdtsc();

	vcpu->msr->tsc_adjust += offset - vcpu->msr->tsc_offset;
	set_tsc_offset(vcpu, offset);
	return 0;
}

static int read_tsc_adjust(struct hull_vcpu *vcpu, u32 index, u64 *value)
{
	*value = vcpu->msr->tsc_adjust;
	return 0;
}

static int write_tsc_adjust(struct hull_vcpu *vcpu, u32 index, u64 value)
{
	u64 delta = value - vcpu->msr->tsc_adjust;

	vcpu->msr->tsc_adjust = value;
	if (delta)
		set_tsc_offset(vcpu, vcpu->msr->tsc_offset + delta);
	return 0;
}

static int read_clock(struct hull_vcpu *vcpu, u32 index, u64 *value)
{
	return hull_clock_read_msr(vcpu, index, value);
}

static int write_clock(struct hull_vcpu *vcpu, u32 index, u64 value)
{
	return hull_clock_write_msr(vcpu, index, value);
}

static int read_pv_eoi(struct hull_vcpu *vcpu, u32 index, u64 *value)
{
	return hull_pv_eoi_read_msr(vcpu, value);
}

static int write_pv_eoi(struct hull_vcpu *vcpu, u32 index, u64 value)
{
	return hull_pv_eoi_write_msr(vcpu, value);
}

/* ---- APIC ----------------------------------------------------------------------------------- */

static int read_apic(struct hull_vcpu *vcpu, u32 index, u64 *value)
{
	if (vcpu->lapic)
		return hull_lapic_read_msr(vcpu, index, value);
	if (index != MSR_IA32_APICBASE)
		return -EINVAL;
	*value = HULL_APIC_BASE_DEFAULT | (vcpu->id ? 0 : MSR_IA32_APICBASE_BSP);
	return 0;
}

static int write_apic(struct hull_vcpu *vcpu, u32 index, u64 value)
{
	return vcpu->lapic ? hull_lapic_write_msr(vcpu, index, value) : -EINVAL;
}

/* ---- control -------------------------------------------------------------------------------- */

static int read_efer(struct hull_vcpu *vcpu, u32 index, u64 *value)
{
	*value = vcpu->control.efer;
	return 0;
}

static int write_efer(struct hull_vcpu *vcpu, u32 index, u64 value)
{
	return hull_set_efer(vcpu, value);
}

static bool valid_pat_type(u8 type)
{
	return type <= 7 && type != 2 && type != 3;
}

static int write_pat(struct hull_vcpu *vcpu, u32 index, u64 value)
{
	int i;

	for (i = 0; i < 8; i++) {
		if (!valid_pat_type(value >> (i * 8)))
			return -EINVAL;
	}
	return hull_backend->set_msr(vcpu, index, value);
}

static int read_misc_enable(struct hull_vcpu *vcpu, u32 index, u64 *value)
{
	*value = vcpu->msr->misc_enable;
	return 0;
}

static int write_misc_enable(struct hull_vcpu *vcpu, u32 index, u64 value)
{
	vcpu->msr->misc_enable = value;
	return 0;
}

static int read_hwcr(struct hull_vcpu *vcpu, u32 index, u64 *value)
{
	*value = vcpu->msr->hwcr;
	return 0;
}

/* Bits that kernels set: ignored here, they only have to read back (TscFreqSel is always on). */
#define HWCR_WRITABLE	(BIT_ULL(3) | BIT_ULL(6) | BIT_ULL(8) | BIT_ULL(18) | BIT_ULL(24))

static int write_hwcr(struct hull_vcpu *vcpu, u32 index, u64 value)
{
	if (value & ~HWCR_WRITABLE)
		return -EINVAL;
	vcpu->msr->hwcr = value;
	return 0;
}

/* LFENCE is serializing: bit 1, whatever is written. */
static int read_de_cfg(struct hull_vcpu *vcpu, u32 index, u64 *value)
{
	*value = BIT_ULL(1);
	return 0;
}

/* ---- MTRRs: kept for guests that look at them ----------------------------------------------- */

#define CAP_FIXED		BIT_ULL(8)
#define CAP_WC			BIT_ULL(10)
#define MTRR_DEF_WRITABLE	0xcffULL
#define MTRR_DEF_RESET		0x806ULL	/* on, write-back, as firmware leaves it */
#define MTRR_MASK_VALID		BIT_ULL(11)

static int read_mtrr_cap(struct hull_vcpu *vcpu, u32 index, u64 *value)
{
	*value = HULL_MTRR_VARIABLE | CAP_FIXED | CAP_WC;
	return 0;
}

static int fixed_slot(u32 index)
{
	if (index == MSR_MTRRfix64K_00000)
		return 0;
	if (index == MSR_MTRRfix16K_80000 || index == MSR_MTRRfix16K_A0000)
		return 1 + index - MSR_MTRRfix16K_80000;
	return 3 + index - MSR_MTRRfix4K_C0000;
}

static bool valid_mtrr_type(u8 type)
{
	return type <= 6 && type != 2 && type != 3;
}

static int read_mtrr_fixed(struct hull_vcpu *vcpu, u32 index, u64 *value)
{
	*value = vcpu->msr->mtrr_fixed[fixed_slot(index)];
	return 0;
}

static int write_mtrr_fixed(struct hull_vcpu *vcpu, u32 index, u64 value)
{
	int i;

	for (i = 0; i < 8; i++) {
		if (!valid_mtrr_type(value >> (i * 8)))
			return -EINVAL;
	}
	vcpu->msr->mtrr_fixed[fixed_slot(index)] = value;
	return 0;
}

static u64 *variable_slot(struct hull_vcpu *vcpu, u32 index)
{
	u32 n = (index - MTRRphysBase_MSR(0)) / 2;

	return (index & 1) ? &vcpu->msr->mtrr_mask[n] : &vcpu->msr->mtrr_base[n];
}

static int read_mtrr_variable(struct hull_vcpu *vcpu, u32 index, u64 *value)
{
	*value = *variable_slot(vcpu, index);
	return 0;
}

static int write_mtrr_variable(struct hull_vcpu *vcpu, u32 index, u64 value)
{
	u64 address = GENMASK_ULL(hull_gpa_bits - 1, PAGE_SHIFT);

	if (index & 1) {
		if (value & ~(address | MTRR_MASK_VALID))
			return -EINVAL;
	} else if ((value & ~(address | 0xff)) || !valid_mtrr_type(value)) {
		return -EINVAL;
	}
	*variable_slot(vcpu, index) = value;
	return 0;
}

static int read_mtrr_type(struct hull_vcpu *vcpu, u32 index, u64 *value)
{
	*value = vcpu->msr->mtrr_type;
	return 0;
}

static int write_mtrr_type(struct hull_vcpu *vcpu, u32 index, u64 value)
{
	if ((value & ~MTRR_DEF_WRITABLE) || !valid_mtrr_type(value))
		return -EINVAL;
	vcpu->msr->mtrr_type = value;
	return 0;
}

/* ---- the table ------------------------------------------------------------------------------ */

/* 6.2 renamed MSR_F10H_DECFG: the number is the same for ever. */
#define MSR_DECFG		0xc0011029

#define ONE(index)	.first = (index), .last = (index)
#define SAVED		.flags = MSR_F_SAVED

static const struct msr_row rows[] = {
	{ ONE(MSR_EFER), 0, read_efer, write_efer },
	{ 0x800, 0x8ff, 0, read_apic, write_apic },
	{ ONE(MSR_IA32_TSC_DEADLINE), 0, read_apic, write_apic },
	{ ONE(MSR_IA32_TSC), 0, read_tsc, write_tsc },
	{ ONE(MSR_IA32_TSC_ADJUST), MSR_F_SAVED, read_tsc_adjust, write_tsc_adjust },
	{ ONE(MSR_IA32_APICBASE), 0, read_apic, write_apic },
	{ ONE(MSR_STAR), MSR_F_SAVED, read_backend, write_backend },
	{ ONE(MSR_LSTAR), MSR_F_SAVED, read_backend, write_canonical },
	{ ONE(MSR_CSTAR), MSR_F_SAVED, read_backend, write_canonical },
	{ ONE(MSR_SYSCALL_MASK), MSR_F_SAVED, read_backend, write_u32 },
	{ ONE(MSR_FS_BASE), 0, read_backend, write_canonical },
	{ ONE(MSR_GS_BASE), 0, read_backend, write_canonical },
	{ ONE(MSR_KERNEL_GS_BASE), MSR_F_SAVED, read_backend, write_canonical },
	{ ONE(MSR_IA32_SYSENTER_CS), MSR_F_SAVED, read_backend, write_u32 },
	{ ONE(MSR_IA32_SYSENTER_ESP), MSR_F_SAVED, read_backend, write_canonical },
	{ ONE(MSR_IA32_SYSENTER_EIP), MSR_F_SAVED, read_backend, write_canonical },
	{ ONE(MSR_IA32_CR_PAT), MSR_F_SAVED, read_backend, write_pat },
	{ ONE(MSR_MTRRcap), 0, read_mtrr_cap, NULL },
	{ MTRRphysBase_MSR(0), MTRRphysMask_MSR(HULL_MTRR_VARIABLE - 1), MSR_F_SAVED,
	  read_mtrr_variable, write_mtrr_variable },
	{ ONE(MSR_MTRRfix64K_00000), MSR_F_SAVED, read_mtrr_fixed, write_mtrr_fixed },
	{ MSR_MTRRfix16K_80000, MSR_MTRRfix16K_A0000, MSR_F_SAVED,
	  read_mtrr_fixed, write_mtrr_fixed },
	{ MSR_MTRRfix4K_C0000, MSR_MTRRfix4K_F8000, MSR_F_SAVED,
	  read_mtrr_fixed, write_mtrr_fixed },
	{ ONE(MSR_MTRRdefType), MSR_F_SAVED, read_mtrr_type, write_mtrr_type },
	{ ONE(MSR_KVM_WALL_CLOCK_NEW), MSR_F_SLEEPS | MSR_F_SAVED, read_clock, write_clock },
	{ ONE(MSR_KVM_SYSTEM_TIME_NEW), MSR_F_SLEEPS | MSR_F_SAVED, read_clock, write_clock },
	{ ONE(MSR_KVM_PV_EOI_EN), MSR_F_SLEEPS | MSR_F_SAVED, read_pv_eoi, write_pv_eoi },
	{ ONE(MSR_IA32_MISC_ENABLE), MSR_F_SAVED, read_misc_enable, write_misc_enable },
	{ ONE(MSR_IA32_UCODE_REV), 0, read_zero, write_nothing },
	{ ONE(MSR_AMD64_SYSCFG), 0, read_zero, write_zero_only },
	{ ONE(MSR_AMD64_NB_CFG), 0, read_zero, write_nothing },
	{ ONE(MSR_K7_HWCR), MSR_F_SAVED, read_hwcr, write_hwcr },
	{ ONE(MSR_AMD64_PATCH_LOADER), 0, NULL, write_nothing },
	{ ONE(MSR_DECFG), 0, read_de_cfg, write_nothing },
	{ ONE(MSR_VM_HSAVE_PA), 0, read_zero, write_zero_only },
	{ ONE(MSR_IA32_DEBUGCTLMSR), 0, read_zero, write_zero_only },
	{ ONE(MSR_IA32_LASTBRANCHFROMIP), 0, read_zero, NULL },
	{ ONE(MSR_IA32_LASTBRANCHTOIP), 0, read_zero, NULL },
};

static const struct msr_row *find_row(u32 index)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if (index >= rows[i].first && index <= rows[i].last)
			return &rows[i];
	}
	return NULL;
}

int hull_msr_read(struct hull_vcpu *vcpu, u32 index, u64 *value)
{
	const struct msr_row *row = find_row(index);

	if (!row || !row->read)
		return -EINVAL;
	return row->read(vcpu, index, value) ? -EINVAL : 0;
}

int hull_msr_write(struct hull_vcpu *vcpu, u32 index, u64 value, bool atomic)
{
	const struct msr_row *row = find_row(index);

	if (!row || !row->write)
		return -EINVAL;
	if (atomic && (row->flags & MSR_F_SLEEPS))
		return -EAGAIN;
	return row->write(vcpu, index, value) ? -EINVAL : 0;
}

void hull_msr_get_all(struct hull_vcpu *vcpu, struct hull_msrs *msrs)
{
	struct hull_msr *to = msrs->msr;
	size_t i;
	u32 index;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!(rows[i].flags & MSR_F_SAVED))
			continue;
		for (index = rows[i].first; index <= rows[i].last; index++) {
			if (WARN_ON_ONCE(to == &msrs->msr[HULL_MAX_MSRS]))
				return;
			if (rows[i].read(vcpu, index, &to->value))
				continue;
			to->index = index;
			to->reserved = 0;
			to++;
		}
	}
	msrs->count = to - msrs->msr;
	msrs->reserved = 0;
}

int hull_msr_set_all(struct hull_vcpu *vcpu, const struct hull_msrs *msrs)
{
	u32 i;

	if (msrs->count > HULL_MAX_MSRS || msrs->reserved)
		return -EINVAL;
	for (i = 0; i < msrs->count; i++) {
		const struct hull_msr *msr = &msrs->msr[i];
		const struct msr_row *row = find_row(msr->index);

		if (!row || !(row->flags & MSR_F_SAVED) || msr->reserved)
			return -EINVAL;
		/* The TSC itself moves with the timers group; here its adjustment only. */
		if (msr->index == MSR_IA32_TSC_ADJUST)
			vcpu->msr->tsc_adjust = msr->value;
		else if (row->write(vcpu, msr->index, msr->value))
			return -EINVAL;
	}
	return 0;
}

/* ---- life ----------------------------------------------------------------------------------- */

int hull_msr_create(struct hull_vcpu *vcpu)
{
	vcpu->msr = kzalloc(sizeof(*vcpu->msr), GFP_KERNEL_ACCOUNT);
	return vcpu->msr ? 0 : -ENOMEM;
}

void hull_msr_destroy(struct hull_vcpu *vcpu)
{
	kfree(vcpu->msr);
}

void hull_msr_reset(struct hull_vcpu *vcpu, bool init)
{
	struct hull_msr_state *msr = vcpu->msr;

	if (init)
		return;
	memset(msr, 0, sizeof(*msr));
	msr->mtrr_type = MTRR_DEF_RESET;
	/* The time-stamp counter starts at zero with the VM: all vCPUs the same. */
	set_tsc_offset(vcpu, vcpu->vm->tsc_offset);
}
