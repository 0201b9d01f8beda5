// SPDX-License-Identifier: GPL-2.0
/*
 * The SVM backend: its table of operations, and taking the hardware CPU by CPU.
 */
#include <linux/gfp.h>
#include <linux/slab.h>
#include <asm/msr.h>

#include "../vm.h"
#include "svm.h"

DEFINE_PER_CPU(struct svm_cpu, svm_cpus);

/* VM_CR.SVMDIS: locked by the firmware. */
#define VM_CR_SVMDIS	BIT_ULL(4)

static void svm_teardown(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct svm_cpu *area = per_cpu_ptr(&svm_cpus, cpu);

		if (area->save)
			__free_page(area->save);
		if (area->host)
			__free_page(area->host);
		area->save = area->host = NULL;
	}
	svm_maps_destroy();
}

static int svm_setup(void)
{
	int cpu, err;

	err = svm_maps_create();
	if (err)
		return err;
	for_each_possible_cpu(cpu) {
		struct svm_cpu *area = per_cpu_ptr(&svm_cpus, cpu);

		area->save = alloc_page(GFP_KERNEL | __GFP_ZERO);
		area->host = alloc_page(GFP_KERNEL | __GFP_ZERO);
		if (!area->save || !area->host) {
			svm_teardown();
			return -ENOMEM;
		}
	}
	return 0;
}

/* Mitigation: SRSO, on CPUs that the kernel trusts between its own privileges. */
static void reduce_speculation(bool on)
{
	const u64 bit = BIT_ULL(MSR_ZEN4_BP_CFG_BP_SPEC_REDUCE_BIT);
	u64 config;

	if (!hull_bp_spec_reduce())
		return;
	rdmsrq(MSR_ZEN4_BP_CFG, config);
	wrmsrq(MSR_ZEN4_BP_CFG, on ? config | bit : config & ~bit);
}

static int svm_hardware_enable(void)
{
	struct svm_cpu *cpu = this_cpu_ptr(&svm_cpus);
	u64 efer, vm_cr;

	if (!rdmsrq_safe(MSR_VM_CR, &vm_cr) && (vm_cr & VM_CR_SVMDIS))
		return -EOPNOTSUPP;
	rdmsrq(MSR_EFER, efer);
	if (efer & EFER_SVME)
		return -EBUSY;
	wrmsrq(MSR_EFER, efer | EFER_SVME);
	wrmsrq(MSR_VM_HSAVE_PA, page_to_phys(cpu->save));
	rdmsrq(MSR_GS_BASE, cpu->gs_base);
	reduce_speculation(true);
	/* Every tag from before is void: the first hand-out flushes. */
	cpu->asid_generation++;
	cpu->asid_next = svm_caps.asids;
	return 0;
}

static void svm_hardware_disable(void)
{
	u64 efer;

	reduce_speculation(false);
	wrmsrq(MSR_VM_HSAVE_PA, 0);
	rdmsrq(MSR_EFER, efer);
	wrmsrq(MSR_EFER, efer & ~(u64)EFER_SVME);
}

static int svm_vcpu_create(struct hull_vcpu *vcpu)
{
	struct svm_vcpu *svm;
	struct page *page;

	svm = kzalloc(sizeof(*svm), GFP_KERNEL_ACCOUNT);
	if (!svm)
		return -ENOMEM;
	page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!page) {
		kfree(svm);
		return -ENOMEM;
	}
	svm->vmcb = page_address(page);
	svm->entry.vmcb_pa = page_to_phys(page);
	svm->asid_cpu = -1;
	svm_vmcb_init(vcpu->vm, svm->vmcb);
	vcpu->arch = svm;
	return 0;
}

static void svm_vcpu_destroy(struct hull_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	free_page((unsigned long)svm->vmcb);
	kfree(svm);
}

const struct hull_backend hull_svm_backend = {
	.name = "AMD SVM",
	.id = HULL_BACKEND_SVM,
	.hypercall_op = HULL_OP_VMMCALL,
	.probe = svm_probe,
	.setup = svm_setup,
	.teardown = svm_teardown,
	.hardware_enable = svm_hardware_enable,
	.hardware_disable = svm_hardware_disable,
	.vcpu_create = svm_vcpu_create,
	.vcpu_destroy = svm_vcpu_destroy,
	.vcpu_reset = svm_vcpu_reset,
	.run = svm_run,
	.get_segments = svm_get_segments,
	.set_segments = svm_set_segments,
	.set_control = svm_set_control,
	.get_msr = svm_get_msr,
	.set_msr = svm_set_msr,
	.set_tsc_offset = svm_set_tsc_offset,
	.cpl = svm_cpl,
	.dump = svm_dump,
};
