// SPDX-License-Identifier: GPL-2.0
/*
 * One window on VMX, from C's side: host state that an exit loads or spoils, and what must be right
 * before each entry: events to inject, stale translations, and with the oracle on, proof of it.
 *
 * MSRs are accessed by the bare instructions, a dozen a window: in kernels that can run on Xen the
 * usual names are calls.
 *
 * The vCPU thread; from hull_host_enter() on interrupts are off.
 */
#include <linux/sched.h>
#include <asm/desc.h>
#include <asm/fsgsbase.h>
#include <asm/msr.h>

#include "../cpuid.h"
#include "../event.h"
#include "../fast.h"
#include "../host.h"
#include "../mmu/mmu.h"
#include "vmx.h"
#include "vmcs.h"

/* For entry.S. */
static_assert(HOST_RSP == 0x6c14);

/* ---- host state ----------------------------------------------------------------------------- */

/* Of the process or the kernel: lost by an exit, or not switched by it. */
struct host {
	u16 ds, es, fs, gs, ldt;
	u64 fs_base;
	u64 kernel_gs;
	u64 debugctl;
};

static u64 read_fs_base(void)
{
	if (boot_cpu_has(X86_FEATURE_FSGSBASE))
		return rdfsbase();
	return native_rdmsrq(MSR_FS_BASE);
}

static void write_fs_base(u64 base)
{
	if (boot_cpu_has(X86_FEATURE_FSGSBASE))
		wrfsbase(base);
	else
		native_wrmsrq(MSR_FS_BASE, base);
}

/* What an exit loads, as far as it is the same in each window on this CPU. */
static void write_host_constants(struct vmx_vcpu *vmx, const struct vmx_cpu *cpu)
{
	vmcs_write(HOST_CR0, cpu->cr0);
	vmx_write_host_efer(vmx, cpu->efer);
	vmcs_write(HOST_TR_SELECTOR, cpu->tr);
	vmcs_write(HOST_TR_BASE, cpu->tr_base);
	vmcs_write(HOST_GS_BASE, cpu->gs_base);
	vmcs_write(HOST_GDTR_BASE, cpu->gdt.address);
	vmcs_write(HOST_IDTR_BASE, cpu->idt.address);
	vmcs_write(HOST_IA32_SYSENTER_CS, cpu->sysenter[0]);
	vmcs_write(HOST_IA32_SYSENTER_ESP, cpu->sysenter[1]);
	vmcs_write(HOST_IA32_SYSENTER_EIP, cpu->sysenter[2]);
}

static void update(unsigned long field, u64 *there, u64 value)
{
	if (*there != value) {
		*there = value;
		vmcs_write(field, value);
	}
}

static void save_host(struct vmx_vcpu *vmx, struct host *host)
{
	savesegment(ds, host->ds);
	savesegment(es, host->es);
	savesegment(fs, host->fs);
	savesegment(gs, host->gs);
	store_ldt(host->ldt);
	host->fs_base = read_fs_base();
	host->kernel_gs = native_rdmsrq(MSR_KERNEL_GS_BASE);
	host->debugctl = native_rdmsrq(MSR_IA32_DEBUGCTLMSR);
	if (unlikely(vmx->host_cpu != smp_processor_id())) {
		vmx->host_cpu = smp_processor_id();
		write_host_constants(vmx, this_cpu_ptr(&vmx_cpus));
	}
	update(HOST_CR3, &vmx->host_cr3, __native_read_cr3());
	update(HOST_CR4, &vmx->host_cr4, native_read_cr4());
	update(HOST_FS_BASE, &vmx->host_fs, host->fs_base);
}

/* An exit leaves tables with limits of 64 KiB, no LDT, null selectors, DEBUGCTL 0. */
static void restore_host(const struct host *host)
{
	const struct vmx_cpu *cpu = this_cpu_ptr(&vmx_cpus);

	native_load_gdt(&cpu->gdt);
	native_load_idt(&cpu->idt);
	invalidate_tss_limit();
	if (unlikely(host->ldt))
		asm volatile("lldt %w0" : : "r" (host->ldt));
	if (unlikely(host->ds | host->es)) {
		loadsegment(ds, host->ds);
		loadsegment(es, host->es);
	}
	if (unlikely(host->fs | host->gs)) {
		loadsegment(fs, host->fs);
		native_load_gs_index(host->gs);
		write_fs_base(host->fs_base);
	}
	native_wrmsrq(MSR_KERNEL_GS_BASE, host->kernel_gs);
	if (host->debugctl)
		native_wrmsrq(MSR_IA32_DEBUGCTLMSR, host->debugctl);
}

/* Syscall MSRs are the same most of the time, in guests of a kind that is like the host. */
static void load_syscall_msrs(struct vmx_vcpu *vmx)
{
	const struct vmx_cpu *cpu = this_cpu_ptr(&vmx_cpus);
	int i;

	for (i = 0; i < VMX_SYSCALL_MSRS; i++) {
		if (vmx->syscall[i] != cpu->syscall[i])
			native_wrmsrq(vmx_syscall_msrs[i], vmx->syscall[i]);
	}
	native_wrmsrq(MSR_KERNEL_GS_BASE, vmx->kernel_gs);
	vmx->syscall_loaded = true;
}

static void restore_syscall_msrs(struct vmx_vcpu *vmx)
{
	const struct vmx_cpu *cpu = this_cpu_ptr(&vmx_cpus);
	int i;

	vmx->syscall_loaded = false;
	vmx->kernel_gs = native_rdmsrq(MSR_KERNEL_GS_BASE);
	for (i = 0; i < VMX_SYSCALL_MSRS; i++) {
		if (vmx->syscall[i] != cpu->syscall[i])
			native_wrmsrq(vmx_syscall_msrs[i], cpu->syscall[i]);
	}
}

/* ---- translations --------------------------------------------------------------------------- */

/* A VPID that has no entries: a flush without touching those of others. */
static void new_vpid(struct vmx_vcpu *vmx)
{
	struct vmx_cpu *cpu = this_cpu_ptr(&vmx_cpus);

	/* Without VPIDs each entry and each exit flushes. */
	if (!vmx->vpid)
		return;
	if (cpu->vpid_next == VMX_VPID_END) {
		cpu->vpid_next = VMX_VPID_FIRST;
		cpu->vpid_generation++;
		WARN_ON_ONCE(vmx_invvpid_all());
	}
	vmx->vpid_generation = cpu->vpid_generation;
	vmx->vpid = cpu->vpid_next++;
	vmcs_write(VIRTUAL_PROCESSOR_ID, vmx->vpid);
}

/*
 * INVEPT takes away all that this VM's tables were combined to, in any VPID. What is cached of a VM
 * may stay on a CPU as long as it likes: so a vCPU that comes back flushes first.
 */
static void flush(struct hull_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	/* Read after the request was taken and before the flush: see hull_mmu_flushed(). */
	u64 generation = hull_mmu_generation(&vcpu->vm->mmu);

	if (vmx_is_nested(vcpu))
		WARN_ON_ONCE(vmx_invept(vmx_caps.invept, vcpu->vm->mmu.root | vmx_caps.eptp));
	if (hull_is_shadow(vcpu))
		new_vpid(vmx);
	vmx->flushed_cpu = vcpu->cpu;
	hull_mmu_flushed(&vcpu->mmu, generation, vcpu->cpu, vmx->vpid);
	hull_count(vcpu, HULL_STAT_FLUSHES);
}

static bool is_stale(struct hull_vcpu *vcpu)
{
	const struct vmx_vcpu *vmx = to_vmx(vcpu);

	if (vmx->flushed_cpu != vcpu->cpu)
		return true;
	return hull_is_shadow(vcpu) && vmx->vpid &&
	       vmx->vpid_generation != __this_cpu_read(vmx_cpus.vpid_generation);
}

/* ---- events --------------------------------------------------------------------------------- */

/* Exit when the guest can take an interrupt, or an NMI. */
static void set_windows(struct vmx_vcpu *vmx, bool interrupt, bool nmi)
{
	u32 controls = vmx->controls & ~(CPU_BASED_INTR_WINDOW_EXITING |
					 CPU_BASED_NMI_WINDOW_EXITING);

	if (interrupt)
		controls |= CPU_BASED_INTR_WINDOW_EXITING;
	if (nmi)
		controls |= CPU_BASED_NMI_WINDOW_EXITING;
	if (controls != vmx->controls) {
		vmx->controls = controls;
		vmcs_write(CPU_BASED_VM_EXEC_CONTROL, controls);
	}
}

static u32 inject_exception(struct hull_vcpu *vcpu, const struct hull_injection *next, u64 rflags,
			    u32 blocking)
{
	u32 event = INTR_TYPE_HARD_EXCEPTION | next->vector;

	/* The CPU insists, whatever was queued, by user space or for #DF in real mode. */
	if ((VMX_ERROR_CODES & BIT(next->vector)) && (vcpu->control.cr0 & X86_CR0_PE)) {
		event |= INTR_INFO_DELIVER_CODE_MASK;
		vmcs_write(VM_ENTRY_EXCEPTION_ERROR_CODE,
			   next->has_error ? next->error_code : 0);
	}
	if (hull_event_is_fault(next->vector))
		vmcs_write(GUEST_RFLAGS, rflags | X86_EFLAGS_RF);
	if (next->vector == X86_TRAP_PF)
		vcpu->control.cr2 = vcpu->event.fault_address;
	if (next->vector == X86_TRAP_DB && (vcpu->debug.dr7 & HULL_DR7_GD)) {
		vcpu->debug.dr7 &= ~(u64)HULL_DR7_GD;
		to_vmx(vcpu)->dr7 = vcpu->debug.dr7;
		vmcs_write(GUEST_DR7, vcpu->debug.dr7);
	}
	/* The handler's first instruction is in no shadow. */
	if (blocking & VMX_INTERRUPT_SHADOW) {
		vmcs_write(GUEST_INTERRUPTIBILITY_INFO, blocking & ~VMX_INTERRUPT_SHADOW);
		vmcs_write(GUEST_PENDING_DBG_EXCEPTIONS, 0);
	}
	return event;
}

static void inject(struct hull_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u32 blocking = vmcs_read(GUEST_INTERRUPTIBILITY_INFO), event = 0;
	u64 rflags = vmcs_read(GUEST_RFLAGS);
	struct hull_injection next;
	bool nmi_waits;

	vcpu->event.shadow = blocking & VMX_INTERRUPT_SHADOW;
	vcpu->event.nmi_masked = blocking & GUEST_INTR_STATE_NMI;
	hull_event_select(vcpu, (rflags & X86_EFLAGS_IF) && !vcpu->event.shadow, &next);
	switch (next.kind) {
	case HULL_INJECTION_EXCEPTION:
		event = inject_exception(vcpu, &next, rflags, blocking);
		break;
	case HULL_INJECTION_INTERRUPT:
		event = INTR_TYPE_EXT_INTR | next.vector;
		break;
	case HULL_INJECTION_NMI:
		event = INTR_TYPE_NMI_INTR | X86_TRAP_NMI;
		break;
	}
	vcpu->event.injected = next.kind;
	if (event) {
		vmcs_write(VM_ENTRY_INTR_INFO_FIELD, event | INTR_INFO_VALID_MASK);
		hull_count(vcpu, HULL_STAT_INJECTED);
	}
	/* Behind STI some CPUs would open the window for NMIs at once, without end. */
	nmi_waits = atomic_read(&vcpu->event.nmi_pending);
	if (nmi_waits && (blocking & GUEST_INTR_STATE_STI))
		set_windows(vmx, true, false);
	else
		set_windows(vmx, next.window, nmi_waits);
}

/* ---- before an entry ------------------------------------------------------------------------ */

/* The oracle: stale translations and illegal state. */
static bool check_entry(struct hull_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	struct vmcs_image image;
	const char *broken;

	if (hull_check && !hull_check_entry(vcpu, vcpu->cpu, vmx->vpid)) {
		vcpu->exit.kind = HULL_X_CHECK_FAILED;
		return false;
	}
	vmx_read_image(vcpu, &image);
	broken = vmx_check_control(&image, &vmx_caps) ?: vmx_check_host(&image, &vmx_caps);
	if (hull_is_shadow(vcpu) && image.cr3 != vcpu->mmu.root)
		broken = "CR3 is not the root of the shadow tables";
	if (~image.cr4_mask & ~hull_cpuid_cr4_mask(vcpu))
		broken = "the guest owns bits of CR4 that CPUID does not offer";
	if (((image.cr0_shadow ^ vcpu->control.cr0) & image.cr0_mask) ||
	    ((image.cr4_shadow ^ vcpu->control.cr4) & image.cr4_mask))
		broken = "the guest reads another CR0 or CR4 than it wrote";
	if (image.tsc_offset != vmx->tsc_offset)
		broken = "the guest's time is another than it should be";
	if (unlikely(broken))
		return hull_refuse_entry(vcpu, broken, true);
	broken = vmx_check_state(&image, &vmx_caps, hull_gpa_bits);
	if (unlikely(broken))
		return hull_refuse_entry(vcpu, broken, !vcpu->state_set);
	broken = vmx_check_guest(&image, &vmx_caps);
	if (unlikely(broken))
		return hull_refuse_entry(vcpu, broken, false);
	vcpu->state_set = false;
	return true;
}

int vmx_next_entry(struct hull_vcpu *vcpu)
{
	return hull_next_entry(vcpu, is_stale, flush, inject, check_entry);
}

static void enter_guest(struct hull_vcpu *vcpu, struct vmx_vcpu *vmx)
{
	load_syscall_msrs(vmx);
	/* Mitigation: L1TF. Nothing of the host's may be left where the guest can look. */
	if (vmx_caps.l1d_flush)
		native_wrmsrq(MSR_IA32_FLUSH_CMD, L1D_FLUSH);
	if (unlikely(vmx_window(vcpu))) {
		vcpu->exit.kind = HULL_X_BAD_STATE;
		vcpu->exit.code = VMX_EXIT_REASONS_FAILED_VMENTRY;
		vcpu->exit.info[0] = vmcs_read(VM_INSTRUCTION_ERROR);
		vcpu->exit.info[1] = 0;
	}
	restore_syscall_msrs(vmx);
}

int vmx_run(struct hull_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	struct host host;
	int err;

	vmx->host_nmi = false;
	vmx_prepare_state(vcpu);
	err = hull_host_enter(vcpu);
	if (err)
		return err;
	err = vmx_open(vcpu);
	if (err)
		goto out;
	save_host(vmx, &host);
	vmx_load_state(vcpu);
	hull_window_begin(vcpu);
	if (vmx_next_entry(vcpu) == HULL_AGAIN)
		enter_guest(vcpu, vmx);
	hull_window_end(vcpu);
	vmx_store_state(vcpu);
	restore_host(&host);
	vmx_close(vcpu);
	/* The exit took it, and blocks others until the handler's IRET. */
	if (unlikely(vmx->host_nmi))
		asm volatile("int $2");
out:
	hull_host_leave(vcpu);
	return err;
}
