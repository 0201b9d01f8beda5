// SPDX-License-Identifier: GPL-2.0
/*
 * The VMCS: loading it, its constant part, and all of it at once for the checker and the log.
 *
 * Interrupts are off while a VMCS is loaded. VMX is on in the window only, so CR4.VMXE is set
 * behind the kernel's back: a write of CR4 by the kernel meanwhile would fault, and there is none
 * with interrupts off.
 */
#include <linux/gfp.h>
#include <linux/module.h>
#include <asm/desc.h>
#include <asm/segment.h>

#include "../vm.h"
#include "vmx.h"
#include "vmcs.h"

/* One bit an MSR: reads of low and of high ones, then writes. 1: exit. All guests share it. */
static unsigned long *msr_bitmap;

#define BITMAP_HIGH	(1024 * 8)
#define BITMAP_WRITE	(2048 * 8)

static void pass_msr(u32 index, bool write)
{
	unsigned int bit = (index & 0x1fff) + (index >= 0xc0000000 ? BITMAP_HIGH : 0);

	__clear_bit(bit, msr_bitmap);
	if (write)
		__clear_bit(bit + BITMAP_WRITE, msr_bitmap);
}

int vmx_bitmap_create(void)
{
	static const u32 passed[] = {
		MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_IA32_SYSENTER_CS,
		MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
	};
	int i;

	msr_bitmap = (void *)__get_free_page(GFP_KERNEL);
	if (!msr_bitmap)
		return -ENOMEM;
	memset(msr_bitmap, 0xff, PAGE_SIZE);
	for (i = 0; i < ARRAY_SIZE(passed); i++)
		pass_msr(passed[i], true);
	/* Constant most of the time: so they need not be read back at the end of a window. */
	for (i = 0; i < VMX_SYSCALL_MSRS; i++)
		pass_msr(vmx_syscall_msrs[i], false);
	return 0;
}

void vmx_bitmap_destroy(void)
{
	free_page((unsigned long)msr_bitmap);
	msr_bitmap = NULL;
}

void vmcs_write_failed(unsigned long field, u64 value)
{
	pr_err_ratelimited("VMCS field %#lx does not take %#llx\n", field, value);
	WARN_ON_ONCE(1);
}

/* ---- the constant part ---------------------------------------------------------------------- */

/* With EPT translations are told apart by VM as well, and VPIDs are those of vCPUs. */
static u16 first_vpid(const struct hull_vcpu *vcpu)
{
	if (!(vmx_caps.controls[VMX_CPU2] & SECONDARY_EXEC_ENABLE_VPID))
		return 0;
	if (!hull_is_shadow(vcpu))
		return vcpu->id + 1;
	return vmx_caps.invvpid ? VMX_VPID_FIRST : 0;
}

static void init_exceptions(const struct hull_vcpu *vcpu)
{
	/* Delivered again by hand, so that a guest cannot fault in delivery without end. */
	u32 exceptions = BIT(X86_TRAP_DB) | BIT(X86_TRAP_AC) | BIT(X86_TRAP_MC);

	if (hull_is_shadow(vcpu))
		exceptions |= BIT(X86_TRAP_PF);
	vmcs_write(EXCEPTION_BITMAP, exceptions);
	vmcs_write(PAGE_FAULT_ERROR_CODE_MASK, 0);
	vmcs_write(PAGE_FAULT_ERROR_CODE_MATCH, 0);
}

/* Only where EFER has no fields: lists cost with each entry and exit. */
static void init_msr_lists(struct vmx_vcpu *vmx)
{
	vmcs_write(VM_EXIT_MSR_STORE_COUNT, 0);
	vmcs_write(VM_EXIT_MSR_LOAD_COUNT, vmx->efer ? 1 : 0);
	vmcs_write(VM_ENTRY_MSR_LOAD_COUNT, vmx->efer ? 1 : 0);
	if (!vmx->efer)
		return;
	vmx->efer[VMX_EFER_GUEST].index = vmx->efer[VMX_EFER_HOST].index = MSR_EFER;
	vmcs_write(VM_ENTRY_MSR_LOAD_ADDR, __pa(&vmx->efer[VMX_EFER_GUEST]));
	vmcs_write(VM_EXIT_MSR_LOAD_ADDR, __pa(&vmx->efer[VMX_EFER_HOST]));
}

void vmx_write_efer(struct vmx_vcpu *vmx, u64 efer)
{
	if (vmx->efer)
		vmx->efer[VMX_EFER_GUEST].value = efer;
	else
		vmcs_write(GUEST_IA32_EFER, efer);
}

void vmx_write_host_efer(struct vmx_vcpu *vmx, u64 efer)
{
	if (vmx->efer)
		vmx->efer[VMX_EFER_HOST].value = efer;
	else
		vmcs_write(HOST_IA32_EFER, efer);
}

/* What exits, and what comes with entries and exits. */
static void init_controls(struct hull_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	vmx->controls = vmx_caps.controls[VMX_CPU];
	if (hull_is_shadow(vcpu))
		vmx->controls |= VMX_SHADOW_EXITING;
	vmcs_write(PIN_BASED_VM_EXEC_CONTROL, vmx_caps.controls[VMX_PIN]);
	vmcs_write(CPU_BASED_VM_EXEC_CONTROL, vmx->controls);
	vmcs_write(VM_EXIT_CONTROLS, vmx_caps.controls[VMX_EXIT]);
	vmcs_write(MSR_BITMAP, __pa(msr_bitmap));
	if (vmx_caps.controls[VMX_PIN] & PIN_BASED_VMX_PREEMPTION_TIMER)
		vmcs_write(VMX_PREEMPTION_TIMER_VALUE, vmx_caps.timer);
	if (vmx_caps.controls[VMX_CPU2] & SECONDARY_EXEC_ENCLS_EXITING)
		vmcs_write(ENCLS_EXITING_BITMAP, ~0ULL);
	vmcs_write(CR3_TARGET_COUNT, 0);
	init_msr_lists(vmx);
	vmcs_write(VM_ENTRY_INTR_INFO_FIELD, 0);
}

static void init_memory(struct hull_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	vmx->vpid = first_vpid(vcpu);
	if (vmx->vpid)
		vmcs_write(VIRTUAL_PROCESSOR_ID, vmx->vpid);
	if (vmx_has_ept())
		vmcs_write(EPT_POINTER, vcpu->vm->mmu.root | vmx_caps.eptp);
}

/* What no register group has. */
static void init_guest(struct vmx_vcpu *vmx)
{
	vmcs_write(VMCS_LINK_POINTER, ~0ULL);
	vmcs_write(GUEST_IA32_DEBUGCTL, 0);
	vmcs_write(GUEST_ACTIVITY_STATE, GUEST_ACTIVITY_ACTIVE);
	vmcs_write(GUEST_INTERRUPTIBILITY_INFO, 0);
	vmcs_write(GUEST_PENDING_DBG_EXCEPTIONS, 0);
	vmx->dr7 = ~0ULL;
	vmx->interruptibility = 0;
}

/* What is the same on all CPUs. */
static void init_host(void)
{
	vmcs_write(HOST_RIP, (unsigned long)vmx_exit);
	vmcs_write(HOST_CS_SELECTOR, __KERNEL_CS);
	vmcs_write(HOST_SS_SELECTOR, __KERNEL_DS);
	/* The others are the process' and cannot be loaded by an exit: see run.c. */
	vmcs_write(HOST_DS_SELECTOR, 0);
	vmcs_write(HOST_ES_SELECTOR, 0);
	vmcs_write(HOST_FS_SELECTOR, 0);
	vmcs_write(HOST_GS_SELECTOR, 0);
}

static void init_vmcs(struct hull_vcpu *vcpu)
{
	init_controls(vcpu);
	init_exceptions(vcpu);
	init_memory(vcpu);
	init_guest(to_vmx(vcpu));
	init_host();
	to_vmx(vcpu)->initialized = true;
}

/* ---- loading -------------------------------------------------------------------------------- */

static void write_cr4(unsigned long value)
{
	asm volatile("mov %0, %%cr4" : : "r" (value) : "memory");
}

int vmx_open(struct hull_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	unsigned long cr4 = native_read_cr4();
	int err = -EIO;

	lockdep_assert_irqs_disabled();
	/* Who has come since the VM was made: KVM takes the hardware with its first VM. */
	if (cr4 & X86_CR4_VMXE)
		return -EBUSY;
	write_cr4(cr4 | X86_CR4_VMXE);
	if (vmx_vmxon(__pa(__this_cpu_read(vmx_cpus.vmxon))))
		goto err_cr4;
	if (!vmx->initialized && vmx_vmclear(__pa(vmx->vmcs)))
		goto err_vmxoff;
	if (vmx_vmptrld(__pa(vmx->vmcs)))
		goto err_vmxoff;
	vmx->open = true;
	if (unlikely(!vmx->initialized))
		init_vmcs(vcpu);
	return 0;

err_vmxoff:
	asm volatile("vmxoff" : : : "cc");
err_cr4:
	write_cr4(cr4);
	return err;
}

void vmx_close(struct hull_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	vmx->open = false;
	/* What the CPU has cached of it goes to memory: it may be loaded on another CPU next. */
	WARN_ON_ONCE(vmx_vmclear(__pa(vmx->vmcs)));
	asm volatile("vmxoff" : : : "cc");
	write_cr4(native_read_cr4() & ~X86_CR4_VMXE);
}

/* ---- all of it ------------------------------------------------------------------------------ */

/* The CPU has the field: reading one that is not there gives nothing. */
static __always_inline bool has_field(unsigned long field)
{
	switch (field) {
	case SECONDARY_VM_EXEC_CONTROL:
		return vmx_caps.controls[VMX_CPU] & CPU_BASED_ACTIVATE_SECONDARY_CONTROLS;
	case EPT_POINTER:
	case GUEST_PHYSICAL_ADDRESS:
	case GUEST_PDPTR0:
	case GUEST_PDPTR1:
	case GUEST_PDPTR2:
	case GUEST_PDPTR3:
		return vmx_has_ept();
	case VIRTUAL_PROCESSOR_ID:
		return vmx_caps.controls[VMX_CPU2] & SECONDARY_EXEC_ENABLE_VPID;
	case GUEST_IA32_EFER:
	case HOST_IA32_EFER:
		return vmx_loads_efer(vmx_caps.allowed);
	default:
		return true;
	}
}

/* What a list of one entry loads into EFER. */
static u64 listed_efer(const struct vmx_msr_entry *entry, unsigned long field)
{
	return entry->index == MSR_EFER && vmcs_read(field) == __pa(entry) ? entry->value : 0;
}

void vmx_read_image(struct hull_vcpu *vcpu, struct vmcs_image *image)
{
	const struct vmx_msr_entry *efer = to_vmx(vcpu)->efer;
	int i;

#define VMCS_READ(field, name)	image->name = has_field(field) ? vmcs_read(field) : 0;
	VMCS_IMAGE(VMCS_READ)
#undef VMCS_READ
	if (efer) {
		image->efer = listed_efer(&efer[VMX_EFER_GUEST], VM_ENTRY_MSR_LOAD_ADDR);
		image->host_efer = listed_efer(&efer[VMX_EFER_HOST], VM_EXIT_MSR_LOAD_ADDR);
	}
	for (i = 0; i < VMCS_SEGMENTS; i++) {
		image->seg[i].selector = vmcs_read(GUEST_ES_SELECTOR + i * 2);
		image->seg[i].base = vmcs_read(GUEST_ES_BASE + i * 2);
		image->seg[i].limit = vmcs_read(GUEST_ES_LIMIT + i * 2);
		image->seg[i].ar = vmcs_read(GUEST_ES_AR_BYTES + i * 2);
	}
}

/* Four fields a line. */
static void print_field(int *n, const char *name, u64 value)
{
	if ((*n)++ % 4 == 0)
		pr_info("  %s %llx", name, value);
	else
		pr_cont("  %s %llx", name, value);
	if (*n % 4 == 0)
		pr_cont("\n");
}

static void print_image(const struct vmcs_image *image)
{
	static const char * const names[] = { "es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr" };
	int i, n = 0;

#define VMCS_PRINT(field, name)	print_field(&n, #name, image->name);
	VMCS_IMAGE(VMCS_PRINT)
#undef VMCS_PRINT
	if (n % 4)
		pr_cont("\n");
	for (i = 0; i < VMCS_SEGMENTS; i++)
		pr_info("  %-4s %04x base %016llx limit %08x ar %05x\n", names[i],
			image->seg[i].selector, image->seg[i].base, image->seg[i].limit,
			image->seg[i].ar);
}

/* Outside the window: for the time of reading, the VMCS is loaded. */
void vmx_dump(struct hull_vcpu *vcpu)
{
	struct vmcs_image image;
	const char *broken;
	unsigned long flags;
	int err;

	local_irq_save(flags);
	err = vmx_open(vcpu);
	if (!err) {
		vmx_read_image(vcpu, &image);
		vmx_close(vcpu);
	}
	local_irq_restore(flags);
	if (err) {
		pr_info("vCPU %u: its VMCS cannot be loaded: %d\n", vcpu->id, err);
		return;
	}
	broken = vmx_check_control(&image, &vmx_caps) ?:
		 vmx_check_state(&image, &vmx_caps, hull_gpa_bits) ?:
		 vmx_check_guest(&image, &vmx_caps);
	pr_info("vCPU %u: exit %llu%s%s\n", vcpu->id, image.reason & 0xffff,
		image.reason & VMX_EXIT_REASONS_FAILED_VMENTRY ? ", a failed entry: " : "",
		broken ?: "");
	pr_info("  for the guest: cr0 %llx cr3 %llx cr4 %llx efer %llx\n", vcpu->control.cr0,
		vcpu->control.cr3, vcpu->control.cr4, vcpu->control.efer);
	print_image(&image);
}
