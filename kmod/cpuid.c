// SPDX-License-Identifier: GPL-2.0
/*
 * CPUID policy: which of the host's features guests may use, as a table of masks, and the lookup
 * that the exit path does.
 *
 * A feature is offered only when hull does what it takes: switches its state, intercepts what must
 * not reach the host. User space may take features away from what hull_cpuid_supported() lists;
 * what it adds to feature words is dropped. Setting a table needs the vCPU's mutex, as running
 * does.
 */
#include <linux/bitfield.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/cpufeature.h>
#include <asm/fpu/xstate.h>
#include <asm/kvm_para.h>
#include <asm/processor.h>

#include "backend.h"
#include "cpuid.h"
#include "host.h"
#include "vcpu.h"

#define F(x)	BIT(X86_FEATURE_##x & 31)

/* Feature words: what passes from the host, what is added because the module does it itself. */
struct feature_word {
	u32 leaf, subleaf;
	u8 reg;			/* 0 EAX, 1 EBX, 2 ECX, 3 EDX */
	u32 pass;
	u32 add;
};

enum { EAX, EBX, ECX, EDX };

static const struct feature_word words[] = {
	{ 1, 0, ECX,
	  F(XMM3) | F(PCLMULQDQ) | F(SSSE3) | F(FMA) | F(CX16) | F(XMM4_1) | F(XMM4_2) |
	  F(MOVBE) | F(POPCNT) | F(AES) | F(XSAVE) | F(AVX) | F(F16C) | F(RDRAND),
	  F(PCID) | F(X2APIC) | F(TSC_DEADLINE_TIMER) | F(HYPERVISOR) },
	{ 1, 0, EDX,
	  F(FPU) | F(VME) | F(DE) | F(PSE) | F(TSC) | F(MSR) | F(PAE) | F(CX8) | F(SEP) | F(PGE) |
	  F(CMOV) | F(PAT) | F(PSE36) | F(CLFLUSH) | F(MMX) | F(FXSR) | F(XMM) | F(XMM2),
	  F(APIC) | F(MTRR) },
	{ 7, 0, EBX,
	  F(FSGSBASE) | F(BMI1) | F(AVX2) | F(SMEP) | F(BMI2) | F(ERMS) | F(RDSEED) | F(ADX) |
	  F(SMAP) | F(CLFLUSHOPT) | F(CLWB) | F(SHA_NI) | F(AVX512F) | F(AVX512DQ) |
	  F(AVX512IFMA) | F(AVX512CD) | F(AVX512BW) | F(AVX512VL),
	  F(TSC_ADJUST) },
	{ 7, 0, ECX,
	  F(UMIP) | F(LA57) | F(AVX512VBMI) | F(AVX512_VBMI2) | F(GFNI) | F(VAES) |
	  F(VPCLMULQDQ) | F(AVX512_VNNI) | F(AVX512_BITALG) | F(AVX512_VPOPCNTDQ), 0 },
	{ 7, 0, EDX, F(FSRM), 0 },
	{ 0xd, 1, EAX, F(XSAVEOPT) | F(XSAVEC) | F(XGETBV1), 0 },
	{ 0x80000001, 0, ECX,
	  F(LAHF_LM) | F(CR8_LEGACY) | F(ABM) | F(SSE4A) | F(MISALIGNSSE) | F(3DNOWPREFETCH), 0 },
	{ 0x80000001, 0, EDX,
	  F(FPU) | F(VME) | F(DE) | F(PSE) | F(TSC) | F(MSR) | F(PAE) | F(CX8) | F(SYSCALL) |
	  F(PGE) | F(CMOV) | F(PAT) | F(PSE36) | F(NX) | F(MMXEXT) | F(MMX) | F(FXSR) |
	  F(FXSR_OPT) | F(GBPAGES) | F(LM),
	  F(APIC) | F(MTRR) },
	{ 0x80000007, 0, EDX, BIT(8), 0 },	/* invariant TSC */
	{ 0x80000008, 0, EBX, BIT(0), 0 },	/* CLZERO */
	{ 0x80000021, 0, EAX, BIT(2), 0 },	/* LFENCE serializes */
	{ HULL_CPUID_KVM | 1, 0, EAX, ~0U, 0 },	/* the table below says it all */
};

static struct hull_cpuid_entry supported[HULL_MAX_CPUID] __ro_after_init;
static unsigned int supported_count __ro_after_init;

static u32 *reg_of(struct hull_cpuid_entry *entry, u8 reg)
{
	u32 *regs[] = { &entry->eax, &entry->ebx, &entry->ecx, &entry->edx };

	return regs[reg];
}

/* ---- what is supported ---------------------------------------------------------------------- */

static struct hull_cpuid_entry *__init add_entry(u32 leaf, u32 subleaf, u32 flags)
{
	struct hull_cpuid_entry *entry = &supported[supported_count];

	if (WARN_ON(supported_count == HULL_MAX_CPUID))
		return &supported[0];
	supported_count++;
	entry->leaf = leaf;
	entry->subleaf = subleaf;
	entry->flags = flags;
	return entry;
}

static struct hull_cpuid_entry *__init add_host(u32 leaf, u32 subleaf, u32 flags)
{
	struct hull_cpuid_entry *entry = add_entry(leaf, subleaf, flags);
	size_t i;

	cpuid_count(leaf, subleaf, &entry->eax, &entry->ebx, &entry->ecx, &entry->edx);
	for (i = 0; i < ARRAY_SIZE(words); i++) {
		u32 *reg = reg_of(entry, words[i].reg);

		if (words[i].leaf == leaf && words[i].subleaf == subleaf)
			*reg = (*reg & words[i].pass) | words[i].add;
	}
	return entry;
}

static void __init add_xsave(void)
{
	struct hull_cpuid_entry *entry;
	int i;

	entry = add_host(0xd, 0, HULL_CPUID_SUBLEAF);
	entry->eax = hull_guest_xcr0;
	entry->edx = hull_guest_xcr0 >> 32;
	entry->ebx = XSAVE_HDR_OFFSET + XSAVE_HDR_SIZE;
	entry->ecx = hull_xsave_size;
	entry = add_host(0xd, 1, HULL_CPUID_SUBLEAF);
	entry->ebx = entry->ecx = entry->edx = 0;
	for (i = 2; i < 63; i++) {
		if (hull_guest_xcr0 & BIT_ULL(i))
			add_host(0xd, i, HULL_CPUID_SUBLEAF);
	}
}

static void __init add_basic(void)
{
	struct hull_cpuid_entry *entry;

	entry = add_host(0, 0, 0);
	entry->eax = min(entry->eax, 0xdU);
	entry = add_host(1, 0, 0);
	entry->ebx &= 0xff00;		/* CLFLUSH size; ids are the launcher's */
	if (!hull_has_shadow)
		entry->ecx &= ~F(PCID);
	if (boot_cpu_data.x86_vendor == X86_VENDOR_INTEL)
		add_host(2, 0, 0);
	if (boot_cpu_data.cpuid_level >= 7) {
		entry = add_host(7, 0, HULL_CPUID_SUBLEAF);
		entry->eax = 0;
	}
	if (boot_cpu_data.cpuid_level >= 0xd)
		add_xsave();
}

static void __init add_paravirtual(void)
{
	struct hull_cpuid_entry *entry;

	entry = add_entry(HULL_CPUID_KVM, 0, 0);
	entry->eax = HULL_CPUID_KVM | 1;
	memcpy(&entry->ebx, "KVMK", 4);
	memcpy(&entry->ecx, "VMKV", 4);
	memcpy(&entry->edx, "M\0\0\0", 4);
	entry = add_entry(HULL_CPUID_KVM | 1, 0, 0);
	entry->eax = BIT(KVM_FEATURE_NOP_IO_DELAY) | BIT(KVM_FEATURE_CLOCKSOURCE2) |
		     BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT) | BIT(KVM_FEATURE_PV_EOI);
	entry = add_entry(HULL_CPUID_HULL, 0, 0);
	entry->eax = HULL_CPUID_HULL;
	memcpy(&entry->ebx, "hull", 4);
	memcpy(&entry->ecx, "hull", 4);
	memcpy(&entry->edx, "hull", 4);
}

static void __init add_extended(void)
{
	struct hull_cpuid_entry *entry;
	u32 max = cpuid_eax(0x80000000), leaf;

	entry = add_host(0x80000000, 0, 0);
	max = clamp(max, 0x80000001U, 0x80000021U);
	entry->eax = max;
	add_host(0x80000001, 0, 0)->ebx = 0;
	for (leaf = 0x80000002; leaf <= min(max, 0x80000006U); leaf++)
		add_host(leaf, 0, 0);
	if (max >= 0x80000007) {
		entry = add_host(0x80000007, 0, 0);
		entry->eax = entry->ebx = entry->ecx = 0;
	}
	if (max >= 0x80000008) {
		entry = add_host(0x80000008, 0, 0);
		/* The CPU's, which the kernel need not use. */
		entry->eax = hull_gpa_bits | (entry->eax & 0xff00);
		entry->ecx = entry->edx = 0;
	}
	if (max >= 0x80000021) {
		entry = add_host(0x80000021, 0, 0);
		entry->ebx = entry->ecx = entry->edx = 0;
	}
}

void __init hull_cpuid_setup(void)
{
	add_basic();
	add_paravirtual();
	add_extended();
}

const struct hull_cpuid_entry *hull_cpuid_supported(unsigned int *count)
{
	*count = supported_count;
	return supported;
}

static const struct hull_cpuid_entry *find_supported(u32 leaf, u32 subleaf)
{
	unsigned int i;

	for (i = 0; i < supported_count; i++) {
		if (supported[i].leaf == leaf && supported[i].subleaf == subleaf)
			return &supported[i];
	}
	return NULL;
}

/* ---- a vCPU's table ------------------------------------------------------------------------- */

static u32 hash_of(u32 leaf)
{
	return (leaf ^ (leaf >> 26)) % HULL_CPUID_HASH;
}

static inline const struct hull_cpuid_entry *find_entry(const struct hull_cpuid_table *table,
							u32 leaf, u32 subleaf)
{
	u8 i;

	for (i = table->hash[hash_of(leaf)]; i; i = table->next[i - 1]) {
		const struct hull_cpuid_entry *entry = &table->entry[i - 1];

		if (entry->leaf == leaf &&
		    (!(entry->flags & HULL_CPUID_SUBLEAF) || entry->subleaf == subleaf))
			return entry;
	}
	return NULL;
}

/*
 * Feature words keep only what hull offers. With shadow paging the CPU knows nothing of PCIDs, so
 * its own do not matter; with nested paging it would be the CPU that keeps them apart.
 */
static void mask_features(struct hull_cpuid_table *table, bool shadow)
{
	size_t i;
	u32 n;

	for (n = 0; n < table->count; n++) {
		struct hull_cpuid_entry *entry = &table->entry[n];
		const struct hull_cpuid_entry *limit = find_supported(entry->leaf, entry->subleaf);

		for (i = 0; i < ARRAY_SIZE(words); i++) {
			if (words[i].leaf != entry->leaf || words[i].subleaf != entry->subleaf)
				continue;
			*reg_of(entry, words[i].reg) &=
				limit ? *reg_of((struct hull_cpuid_entry *)limit, words[i].reg) : 0;
		}
		if (entry->leaf == 1 && !shadow)
			entry->ecx &= ~F(PCID);
		if (entry->leaf == 0xd && entry->subleaf == 0) {
			entry->eax &= hull_guest_xcr0;
			entry->edx &= hull_guest_xcr0 >> 32;
		}
	}
}

static u32 word(const struct hull_cpuid_table *table, u32 leaf, u8 reg)
{
	const struct hull_cpuid_entry *entry = find_entry(table, leaf, 0);

	return entry ? *reg_of((struct hull_cpuid_entry *)entry, reg) : 0;
}

/* Which control bits follow from the features. */
static void derive_masks(struct hull_cpuid_table *table)
{
	u32 f1d = word(table, 1, EDX), f1c = word(table, 1, ECX);
	u32 f7b = word(table, 7, EBX), f7c = word(table, 7, ECX);
	u32 fxd = word(table, 0x80000001, EDX);

	table->efer_mask = (fxd & F(SYSCALL) ? EFER_SCE : 0) |
			   (fxd & F(LM) ? EFER_LME | EFER_LMA : 0) |
			   (fxd & F(NX) ? EFER_NX : 0) |
			   (fxd & F(FXSR_OPT) ? EFER_FFXSR : 0);
	table->cr4_mask = X86_CR4_TSD | X86_CR4_PCE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT |
			  X86_CR4_MCE |
			  (f1d & F(VME) ? X86_CR4_VME | X86_CR4_PVI : 0) |
			  (f1d & F(DE) ? X86_CR4_DE : 0) |
			  (f1d & F(PSE) ? X86_CR4_PSE : 0) |
			  (f1d & F(PAE) ? X86_CR4_PAE : 0) |
			  (f1d & F(PGE) ? X86_CR4_PGE : 0) |
			  (f1c & F(PCID) ? X86_CR4_PCIDE : 0) |
			  (f1c & F(XSAVE) ? X86_CR4_OSXSAVE : 0) |
			  (f7b & F(FSGSBASE) ? X86_CR4_FSGSBASE : 0) |
			  (f7b & F(SMEP) ? X86_CR4_SMEP : 0) |
			  (f7b & F(SMAP) ? X86_CR4_SMAP : 0) |
			  (f7c & F(UMIP) ? X86_CR4_UMIP : 0) |
			  (f7c & F(LA57) ? X86_CR4_LA57 : 0);
	table->xcr0 = (f1c & F(XSAVE)) ?
		      word(table, 0xd, EAX) | ((u64)word(table, 0xd, EDX) << 32) : XFEATURE_MASK_FP;
	table->xcr0 |= XFEATURE_MASK_FP;
}

static void index_table(struct hull_cpuid_table *table)
{
	u32 n;

	memset(table->hash, 0, sizeof(table->hash));
	for (n = table->count; n-- > 0;) {
		u32 hash = hash_of(table->entry[n].leaf);

		table->next[n] = table->hash[hash];
		table->hash[hash] = n + 1;
	}
}

static void finish_table(struct hull_cpuid_table *table, bool shadow)
{
	mask_features(table, shadow);
	index_table(table);
	derive_masks(table);
}

int hull_cpuid_create(struct hull_vcpu *vcpu)
{
	struct hull_cpuid_table *table;

	table = kzalloc(sizeof(*table), GFP_KERNEL_ACCOUNT);
	if (!table)
		return -ENOMEM;
	memcpy(table->entry, supported, sizeof(supported));
	table->count = supported_count;
	finish_table(table, hull_is_shadow(vcpu));
	vcpu->cpuid = table;
	return 0;
}

void hull_cpuid_destroy(struct hull_vcpu *vcpu)
{
	kfree(vcpu->cpuid);
}

/*
 * Returns 0; -E2BIG: too many; -EINVAL: reserved fields, or control registers already use what
 * would be taken away; -ENOMEM; -EFAULT.
 */
int hull_cpuid_set(struct hull_vcpu *vcpu, const struct hull_cpuid *args)
{
	struct hull_cpuid_table *table;
	int err = -EINVAL;
	u32 n;

	if (args->count > HULL_MAX_CPUID)
		return -E2BIG;
	table = kzalloc(sizeof(*table), GFP_KERNEL_ACCOUNT);
	if (!table)
		return -ENOMEM;
	table->count = args->count;
	if (copy_from_user(table->entry, u64_to_user_ptr(args->entries),
			   args->count * sizeof(table->entry[0]))) {
		err = -EFAULT;
		goto out;
	}
	for (n = 0; n < table->count; n++) {
		if ((table->entry[n].flags & ~HULL_CPUID_SUBLEAF) || table->entry[n].reserved)
			goto out;
	}
	finish_table(table, hull_is_shadow(vcpu));
	if ((vcpu->control.efer & ~table->efer_mask) || (vcpu->control.cr4 & ~table->cr4_mask) ||
	    (vcpu->control.xcr0 & ~table->xcr0))
		goto out;
	swap(table, vcpu->cpuid);
	/* A guest may own bits of CR4 that it is offered. */
	hull_backend->set_control(vcpu);
	err = 0;
out:
	kfree(table);
	return err;
}

/* ---- execution ------------------------------------------------------------------------------ */

/* Size of the standard-format area for the components that are enabled. */
static u32 xsave_size_for(const struct hull_cpuid_table *table, u64 xcr0)
{
	u32 size = XSAVE_HDR_OFFSET + XSAVE_HDR_SIZE;
	int i;

	for (i = 2; i < 63; i++) {
		const struct hull_cpuid_entry *entry;

		if (!(xcr0 & BIT_ULL(i)))
			continue;
		entry = find_entry(table, 0xd, i);
		if (entry)
			size = max(size, entry->ebx + entry->eax);
	}
	return size;
}

void hull_cpuid_execute(struct hull_vcpu *vcpu, u64 *rax)
{
	u64 *gpr = vcpu->gprs.gpr;
	const struct hull_cpuid_table *table = vcpu->cpuid;
	u32 leaf = *rax, subleaf = gpr[1];
	const struct hull_cpuid_entry *entry = find_entry(table, leaf, subleaf);

	if (unlikely(!entry)) {
		*rax = gpr[1] = gpr[2] = gpr[3] = 0;
		return;
	}
	*rax = entry->eax;
	gpr[HULL_GPR_RBX] = entry->ebx;
	gpr[HULL_GPR_RCX] = entry->ecx;
	gpr[HULL_GPR_RDX] = entry->edx;
	if (leaf == 1 && (vcpu->control.cr4 & X86_CR4_OSXSAVE))
		gpr[HULL_GPR_RCX] |= F(OSXSAVE);
	else if (leaf == 0xd && subleaf <= 1)
		gpr[HULL_GPR_RBX] = xsave_size_for(table, vcpu->control.xcr0);
}

u64 hull_cpuid_efer_mask(struct hull_vcpu *vcpu)
{
	return vcpu->cpuid->efer_mask;
}

u64 hull_cpuid_cr4_mask(struct hull_vcpu *vcpu)
{
	return vcpu->cpuid->cr4_mask;
}

u64 hull_cpuid_xcr0_mask(struct hull_vcpu *vcpu)
{
	return vcpu->cpuid->xcr0;
}
