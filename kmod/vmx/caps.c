// SPDX-License-Identifier: GPL-2.0
/*
 * What the CPU offers of VMX, and refusing politely when it is too little.
 */
#include <linux/module.h>
#include <asm/cpufeature.h>
#include <asm/msr.h>
#include <asm/processor.h>
#include <asm/tsc.h>

#include "../mmu/spte.h"
#include "../mutate.h"
#include "controls.h"
#include "vmx.h"

struct vmx_caps vmx_caps __ro_after_init;

/* Old CPUs have the first ones only, which say of some bits that can be 0 that they are 1. */
static const u32 control_msrs[VMX_CONTROLS][2] = {
	[VMX_PIN] = { MSR_IA32_VMX_PINBASED_CTLS, MSR_IA32_VMX_TRUE_PINBASED_CTLS },
	[VMX_CPU] = { MSR_IA32_VMX_PROCBASED_CTLS, MSR_IA32_VMX_TRUE_PROCBASED_CTLS },
	[VMX_CPU2] = { MSR_IA32_VMX_PROCBASED_CTLS2, MSR_IA32_VMX_PROCBASED_CTLS2 },
	[VMX_EXIT] = { MSR_IA32_VMX_EXIT_CTLS, MSR_IA32_VMX_TRUE_EXIT_CTLS },
	[VMX_ENTRY] = { MSR_IA32_VMX_ENTRY_CTLS, MSR_IA32_VMX_TRUE_ENTRY_CTLS },
};

static int __init choose_controls(bool exact)
{
	struct vmx_shortage shortage;
	int i;

	for (i = 0; i < VMX_CONTROLS; i++) {
		if (rdmsrq_safe(control_msrs[i][exact], &vmx_caps.allowed[i]))
			vmx_caps.allowed[i] = 0;
	}
	/* Where there is no such word, there is no such MSR. */
	if (!vmx_offers(vmx_caps.allowed, VMX_CPU, CPU_BASED_ACTIVATE_SECONDARY_CONTROLS))
		vmx_caps.allowed[VMX_CPU2] = 0;
	if (!vmx_choose_controls(vmx_caps.allowed, vmx_caps.controls, &shortage)) {
		if (shortage.missing)
			pr_err("this Intel CPU lacks %s controls %#x, which hull needs\n",
			       shortage.word, shortage.missing);
		else
			pr_err("this Intel CPU never clears %s controls %#x, as hull needs\n",
			       shortage.word, shortage.stuck);
		return -EOPNOTSUPP;
	}
	if (hull_mutate_bad_vmcb)
		vmx_caps.controls[VMX_CPU] &= ~CPU_BASED_MONITOR_EXITING;
	return 0;
}

/* Memory type write-back, whatever the guest's PAT says; accessed and dirty bits where offered. */
#define EPT_LEAF	(VMX_EPT_READABLE_MASK | VMX_EPT_EXECUTABLE_MASK | VMX_EPT_IPAT_BIT | \
			 (6ULL << VMX_EPT_MT_EPTE_SHIFT))
#define EPTP_WB		6ULL

/* Without EPT the tables are the same, but no hardware walks them. */
static void __init choose_format(u64 cap)
{
	struct hull_spte_format *format = &hull_nested_format;

	*format = (struct hull_spte_format){
		.leaf = EPT_LEAF, .table = VMX_EPT_RWX_MASK, .write = VMX_EPT_WRITABLE_MASK,
		.levels = 4,
		.leaf_levels = cap & VMX_EPT_1GB_PAGE_BIT ? 3 : cap & VMX_EPT_2MB_PAGE_BIT ? 2 : 1,
	};
	/* Mitigation: iTLB multihit. */
	if (boot_cpu_has_bug(X86_BUG_ITLB_MULTIHIT))
		format->large_lacks = VMX_EPT_EXECUTABLE_MASK;
	if (cap & VMX_EPT_AD_BIT) {
		format->leaf |= VMX_EPT_ACCESS_BIT;
		format->table |= VMX_EPT_ACCESS_BIT;
		format->write |= VMX_EPT_DIRTY_BIT;
		format->accessed = VMX_EPT_ACCESS_BIT;
	}
}

static int __init choose_ept(void)
{
	const u64 needed = VMX_EPT_PAGE_WALK_4_BIT | VMX_EPTP_WB_BIT | VMX_EPT_INVEPT_BIT;
	u64 cap = 0;

	/* CPUs with VPIDs only have it too. */
	rdmsrq_safe(MSR_IA32_VMX_EPT_VPID_CAP, &cap);
	vmx_caps.invvpid = ((cap >> 32) & VMX_VPID_INVVPID_BIT) &&
			   ((cap >> 32) & VMX_VPID_EXTENT_GLOBAL_CONTEXT_BIT);
	if (!vmx_has_ept()) {
		choose_format(VMX_EPT_2MB_PAGE_BIT);
		return 0;
	}
	if ((cap & needed) != needed ||
	    !(cap & (VMX_EPT_EXTENT_CONTEXT_BIT | VMX_EPT_EXTENT_GLOBAL_BIT))) {
		pr_err("this Intel CPU's EPT (%#llx) lacks what hull needs\n", cap);
		return -EOPNOTSUPP;
	}
	vmx_caps.invept = cap & VMX_EPT_EXTENT_CONTEXT_BIT ? VMX_EPT_EXTENT_CONTEXT :
							     VMX_EPT_EXTENT_GLOBAL;
	vmx_caps.eptp = EPTP_WB | VMX_EPTP_PWL_4;
	if (cap & VMX_EPT_AD_BIT)
		vmx_caps.eptp |= VMX_EPTP_AD_ENABLE_BIT;
	choose_format(cap);
	return 0;
}

/* Mitigation: L1TF. Without the means, say so: guests may read what the L1 data cache holds. */
static void __init choose_l1d_flush(void)
{
	u64 caps = 0;

	if (!boot_cpu_has_bug(X86_BUG_L1TF))
		return;
	if (boot_cpu_has(X86_FEATURE_ARCH_CAPABILITIES))
		rdmsrq(MSR_IA32_ARCH_CAPABILITIES, caps);
	if (caps & ARCH_CAP_SKIP_VMENTRY_L1DFLUSH)
		return;
	vmx_caps.l1d_flush = boot_cpu_has(X86_FEATURE_FLUSH_L1D);
	if (!vmx_caps.l1d_flush)
		hull_warning = "this CPU has the L1TF defect and no microcode against it: do not run guests you do not trust";
}

/*
 * Milliseconds that an entry lasts at most. Not needed on CPUs, and no cost there; but in Bochs 2.7
 * no interrupt of the host's ends a guest that was entered with RFLAGS.IF clear and leaves it so.
 */
#define ENTRY_LIMIT	4

static void __init choose_timer(void)
{
	u64 misc;

	rdmsrq(MSR_IA32_VMX_MISC, misc);
	vmx_caps.timer = ((u64)tsc_khz * ENTRY_LIMIT) >> vmx_misc_preemption_timer_rate(misc);
}

/* CR4.FRED: where the kernel uses it, NMIs cannot be handed on by INT. */
#define CR4_FRED	BIT_ULL(32)

int __init vmx_probe(void)
{
	u64 basic;
	int err;

	if (boot_cpu_data.x86_vendor != X86_VENDOR_INTEL &&
	    boot_cpu_data.x86_vendor != X86_VENDOR_ZHAOXIN)
		return -ENODEV;
	if (!(cpuid_ecx(1) & BIT(X86_FEATURE_VMX & 31))) {
		pr_err("this Intel CPU does not offer VMX, or the firmware hides it\n");
		return -EOPNOTSUPP;
	}
	if (native_read_cr4() & CR4_FRED) {
		pr_err("the kernel uses FRED, with which hull cannot hand on NMIs: boot with fred=off\n");
		return -EOPNOTSUPP;
	}
	rdmsrq(MSR_IA32_VMX_BASIC, basic);
	if (((basic >> 32) & 0x1fff) > PAGE_SIZE) {
		pr_err("this Intel CPU's VMX (%#llx) wants more memory than hull has for it\n", basic);
		return -EOPNOTSUPP;
	}
	vmx_caps.revision = basic & GENMASK(30, 0);
	err = choose_controls(basic & VMX_BASIC_TRUE_CTLS);
	if (!err)
		err = choose_ept();
	if (err)
		return err;
	rdmsrq(MSR_IA32_VMX_CR0_FIXED0, vmx_caps.cr0_fixed[0]);
	rdmsrq(MSR_IA32_VMX_CR0_FIXED1, vmx_caps.cr0_fixed[1]);
	rdmsrq(MSR_IA32_VMX_CR4_FIXED0, vmx_caps.cr4_fixed[0]);
	rdmsrq(MSR_IA32_VMX_CR4_FIXED1, vmx_caps.cr4_fixed[1]);
	/* A machine check with CR4.MCE clear would shut the host down. */
	vmx_caps.cr4_fixed[0] |= native_read_cr4() & X86_CR4_MCE;
	choose_timer();
	choose_l1d_flush();
	hull_has_nested = hull_has_real_mode = hull_flat = vmx_has_ept();
	return 0;
}
