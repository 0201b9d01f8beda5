// SPDX-License-Identifier: GPL-2.0
/*
 * The VMX backend: its table of operations, and looking at the hardware CPU by CPU. Nothing is
 * taken for longer than a window: VMX is on between vmx_open() and vmx_close() only.
 */
#include <linux/gfp.h>
#include <linux/slab.h>
#include <asm/desc.h>
#include <asm/msr.h>

#include "../vm.h"
#include "vmx.h"
#include "vmcs.h"

DEFINE_PER_CPU(struct vmx_cpu, vmx_cpus);

const u32 vmx_syscall_msrs[VMX_SYSCALL_MSRS] = {
	MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SYSCALL_MASK,
};

static void vmx_teardown(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct vmx_cpu *area = per_cpu_ptr(&vmx_cpus, cpu);

		free_page((unsigned long)area->vmxon);
		area->vmxon = NULL;
	}
	vmx_bitmap_destroy();
}

static int vmx_setup(void)
{
	int cpu, err;

	err = vmx_bitmap_create();
	if (err)
		return err;
	for_each_possible_cpu(cpu) {
		struct vmx_cpu *area = per_cpu_ptr(&vmx_cpus, cpu);

		area->vmxon = (u32 *)get_zeroed_page(GFP_KERNEL);
		if (!area->vmxon) {
			vmx_teardown();
			return -ENOMEM;
		}
		area->vmxon[0] = vmx_caps.revision;
	}
	return 0;
}

static u64 tss_base(const struct vmx_cpu *cpu)
{
	const struct ldttss_desc *desc = (void *)(cpu->gdt.address + cpu->tr);

	return desc->base0 | (desc->base1 << 16) | ((u64)desc->base2 << 24) |
	       ((u64)desc->base3 << 32);
}

static int vmx_hardware_enable(void)
{
	struct vmx_cpu *cpu = this_cpu_ptr(&vmx_cpus);
	const u64 enabled = FEAT_CTL_LOCKED | FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX;
	u64 control;
	int i;

	if (rdmsrq_safe(MSR_IA32_FEAT_CTL, &control) || (control & enabled) != enabled)
		return -EOPNOTSUPP;
	if (native_read_cr4() & X86_CR4_VMXE)
		return -EBUSY;
	/* Every VPID from before is void: the first hand-out flushes. */
	cpu->vpid_next = VMX_VPID_END;
	native_store_gdt(&cpu->gdt);
	store_idt(&cpu->idt);
	store_tr(cpu->tr);
	cpu->tr_base = tss_base(cpu);
	cpu->cr0 = native_read_cr0();
	rdmsrq(MSR_GS_BASE, cpu->gs_base);
	rdmsrq(MSR_EFER, cpu->efer);
	rdmsrq(MSR_IA32_SYSENTER_CS, cpu->sysenter[0]);
	rdmsrq(MSR_IA32_SYSENTER_ESP, cpu->sysenter[1]);
	rdmsrq(MSR_IA32_SYSENTER_EIP, cpu->sysenter[2]);
	for (i = 0; i < VMX_SYSCALL_MSRS; i++)
		rdmsrq(vmx_syscall_msrs[i], cpu->syscall[i]);
	return 0;
}

static void vmx_hardware_disable(void)
{
}

static int vmx_vcpu_create(struct hull_vcpu *vcpu)
{
	struct vmx_vcpu *vmx;

	vmx = kzalloc(sizeof(*vmx), GFP_KERNEL_ACCOUNT);
	if (!vmx)
		return -ENOMEM;
	vmx->vmcs = (u32 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!vmx->vmcs)
		goto err_vmx;
	if (!vmx_loads_efer(vmx_caps.allowed)) {
		vmx->efer = (struct vmx_msr_entry *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
		if (!vmx->efer)
			goto err_vmcs;
	}
	vmx->vmcs[0] = vmx_caps.revision;
	vmx->flushed_cpu = vmx->host_cpu = -1;
	vmx->fresh = true;
	vcpu->arch = vmx;
	return 0;

err_vmcs:
	free_page((unsigned long)vmx->vmcs);
err_vmx:
	kfree(vmx);
	return -ENOMEM;
}

static void vmx_vcpu_destroy(struct hull_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	free_page((unsigned long)vmx->efer);
	free_page((unsigned long)vmx->vmcs);
	kfree(vmx);
}

const struct hull_backend hull_vmx_backend = {
	.name = "Intel VMX",
	.id = HULL_BACKEND_VMX,
	.hypercall_op = HULL_OP_VMCALL,
	.pae_registers = true,
	.probe = vmx_probe,
	.setup = vmx_setup,
	.teardown = vmx_teardown,
	.hardware_enable = vmx_hardware_enable,
	.hardware_disable = vmx_hardware_disable,
	.vcpu_create = vmx_vcpu_create,
	.vcpu_destroy = vmx_vcpu_destroy,
	.vcpu_reset = vmx_vcpu_reset,
	.run = vmx_run,
	.get_segments = vmx_get_segments,
	.set_segments = vmx_set_segments,
	.set_control = vmx_set_control,
	.get_msr = vmx_get_msr,
	.set_msr = vmx_set_msr,
	.set_tsc_offset = vmx_set_tsc_offset,
	.cpl = vmx_cpl,
	.dump = vmx_dump,
};
