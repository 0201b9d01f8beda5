// SPDX-License-Identifier: GPL-2.0
/*
 * What the CPU offers of SVM, and refusing politely when it is too little.
 */
#include <linux/module.h>
#include <asm/cpufeature.h>
#include <asm/processor.h>

#include "svm.h"

/* CPUID 0x8000000a EDX */
#define SVM_FEATURE_NPT		BIT(0)
#define SVM_FEATURE_NRIPS	BIT(3)

static bool use_nrips;
module_param_named(nrips, use_nrips, bool, 0444);
MODULE_PARM_DESC(nrips, "use the next RIP that AMD CPUs save at an exit (default: off)");

struct svm_caps svm_caps __ro_after_init;

int __init svm_probe(void)
{
	u32 eax, ebx, ecx, edx;

	if (boot_cpu_data.x86_vendor != X86_VENDOR_AMD &&
	    boot_cpu_data.x86_vendor != X86_VENDOR_HYGON)
		return -ENODEV;
	if (!boot_cpu_has(X86_FEATURE_SVM)) {
		pr_err("this AMD CPU does not offer SVM, or the firmware hides it\n");
		return -EOPNOTSUPP;
	}
	cpuid(SVM_CPUID_FUNC, &eax, &ebx, &ecx, &edx);
	if (ebx < 2) {
		pr_err("this AMD CPU has no address space identifiers for guests\n");
		return -EOPNOTSUPP;
	}
	hull_has_nested = edx & SVM_FEATURE_NPT;
	hull_has_real_mode = true;
	svm_caps.asids = ebx;
	svm_caps.nrips = use_nrips && (edx & SVM_FEATURE_NRIPS);
	/* A machine check with CR4.MCE clear shuts the host down: the intercept sees only #MC. */
	svm_caps.cr4_must = native_read_cr4() & X86_CR4_MCE;
	return 0;
}
