// SPDX-License-Identifier: GPL-2.0
/*
 * The constant part of VMCBs: intercepts, and the permission maps for ports and MSRs, which all
 * guests share: every port exits, and every MSR but those that VMLOAD and VMSAVE switch.
 */
#include <linux/gfp.h>
#include <linux/module.h>
#include <asm/msr-index.h>
#include <asm/trapnr.h>

#include "../host.h"
#include "../mutate.h"
#include "svm.h"

#define IOPM_ORDER	2	/* 12 KiB, all ones */
#define MSRPM_ORDER	1	/* 8 KiB: two bits an MSR */

static unsigned long *iopm, *msrpm;

static const u32 passed_msrs[] = {
	MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SYSCALL_MASK, MSR_FS_BASE, MSR_GS_BASE,
	MSR_KERNEL_GS_BASE, MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
};

/* Number of an MSR's first bit in the map, or -1: always intercepted. */
static int msrpm_bit(u32 index)
{
	static const u32 bases[] = { 0, 0xc0000000, 0xc0010000 };
	int i;

	for (i = 0; i < ARRAY_SIZE(bases); i++) {
		if (index >= bases[i] && index - bases[i] < 0x2000)
			return (i * 0x2000 + index - bases[i]) * 2;
	}
	return -1;
}

int svm_maps_create(void)
{
	int i;

	iopm = (void *)__get_free_pages(GFP_KERNEL, IOPM_ORDER);
	msrpm = (void *)__get_free_pages(GFP_KERNEL, MSRPM_ORDER);
	if (!iopm || !msrpm) {
		svm_maps_destroy();
		return -ENOMEM;
	}
	memset(iopm, 0xff, PAGE_SIZE << IOPM_ORDER);
	memset(msrpm, 0xff, PAGE_SIZE << MSRPM_ORDER);
	for (i = 0; i < ARRAY_SIZE(passed_msrs); i++) {
		__clear_bit(msrpm_bit(passed_msrs[i]), msrpm);
		__clear_bit(msrpm_bit(passed_msrs[i]) + 1, msrpm);
	}
	return 0;
}

void svm_maps_destroy(void)
{
	free_pages((unsigned long)iopm, IOPM_ORDER);
	free_pages((unsigned long)msrpm, MSRPM_ORDER);
	iopm = msrpm = NULL;
}

static const u8 intercepts[] = {
	INTERCEPT_CR0_WRITE,
	INTERCEPT_CR4_WRITE,
	INTERCEPT_CR8_WRITE,
	INTERCEPT_CR8_READ,
	INTERCEPT_INTR, INTERCEPT_NMI, INTERCEPT_SMI, INTERCEPT_INIT, INTERCEPT_RDPMC,
	INTERCEPT_CPUID, INTERCEPT_INVD, INTERCEPT_HLT, INTERCEPT_INVLPGA,
	INTERCEPT_IOIO_PROT, INTERCEPT_MSR_PROT, INTERCEPT_TASK_SWITCH, INTERCEPT_SHUTDOWN,
	INTERCEPT_VMRUN, INTERCEPT_VMMCALL, INTERCEPT_VMLOAD, INTERCEPT_VMSAVE, INTERCEPT_STGI,
	INTERCEPT_CLGI, INTERCEPT_SKINIT, INTERCEPT_RDTSCP, INTERCEPT_WBINVD, INTERCEPT_MONITOR,
	INTERCEPT_MWAIT, INTERCEPT_XSETBV, INTERCEPT_RDPRU, INTERCEPT_RSM,
};

/* Shadow paging: whatever changes translations, and what an access without one does. */
static const u8 shadow_intercepts[] = {
	INTERCEPT_CR3_READ, INTERCEPT_CR3_WRITE, INTERCEPT_INVLPG,
	INTERCEPT_EXCEPTION_OFFSET + X86_TRAP_PF,
};

/* Delivered again by hand, so that a guest cannot fault in delivery without end. */
static const u8 exceptions[] = { X86_TRAP_DB, X86_TRAP_AC, X86_TRAP_MC };

void svm_vmcb_init(struct hull_vm *vm, struct vmcb *vmcb)
{
	struct vmcb_control_area *control = &vmcb->control;
	int i;

	for (i = 0; i < ARRAY_SIZE(intercepts); i++)
		svm_intercept(vmcb, intercepts[i]);
	for (i = 0; i < ARRAY_SIZE(exceptions); i++)
		svm_intercept(vmcb, INTERCEPT_EXCEPTION_OFFSET + exceptions[i]);
	for (i = 0; i < 32; i++)
		svm_intercept(vmcb, INTERCEPT_DR0_READ + i);
	if (hull_mutate_bad_vmcb)
		svm_pass(vmcb, INTERCEPT_VMRUN);
	control->iopm_base_pa = __pa(iopm);
	control->msrpm_base_pa = __pa(msrpm);
	control->int_ctl = V_INTR_MASKING_MASK;
	if (vm->paging == HULL_PAGING_NESTED) {
		control->misc_ctl = SVM_MISC_ENABLE_NP;
		control->nested_cr3 = vm->mmu.root;
		return;
	}
	for (i = 0; i < ARRAY_SIZE(shadow_intercepts); i++)
		svm_intercept(vmcb, shadow_intercepts[i]);
	/* Guests do not have it; on a CPU without it #UD comes by itself. */
	if (boot_cpu_has(X86_FEATURE_INVPCID))
		svm_intercept(vmcb, INTERCEPT_INVPCID);
}
