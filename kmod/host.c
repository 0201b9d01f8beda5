// SPDX-License-Identifier: GPL-2.0
/*
 * The host's own CPU state: one file owns every contact with it.
 *
 * Two jobs. Taking the virtualization hardware while VMs exist (hull_virt_get()), and the outer
 * part of the window: hull_host_enter() and hull_host_leave() are mirror images, each line of one
 * is undone by a line of the other. The vendor's part of the window lies inside.
 */
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/module.h>
#include <linux/reboot.h>
#include <linux/suspend.h>
#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/fpu/api.h>
#include <asm/fpu/xcr.h>
#include <asm/msr.h>
#include <asm/nospec-branch.h>

#include "backend.h"
#include "cpuid.h"
#include "host.h"
#include "mutate.h"
#include "vcpu.h"

u64 hull_guest_xcr0 __ro_after_init;
u32 hull_xsave_size __ro_after_init;
u32 hull_mxcsr_mask __ro_after_init;
unsigned int hull_gpa_bits __ro_after_init;

static u64 host_xcr0 __ro_after_init;

/* The vCPU that ran last on this CPU, while it lives: never dereferenced. */
static DEFINE_PER_CPU(struct hull_vcpu *, last_vcpu);

/* ---- FPU ---------------------------------------------------------------------------------- */

/* Components that are plain registers; PKRU and AMX are not offered. */
#define OFFERED_XCR0	(XFEATURE_MASK_FP | XFEATURE_MASK_SSE | XFEATURE_MASK_YMM | \
			 XFEATURE_MASK_AVX512)

/* Layout of the legacy region and header of an XSAVE area. */
#define XSAVE_MXCSR	24
#define XSAVE_MXCSR_MASK	28
#define XSAVE_HEADER	512
#define XSAVE_EXTENDED	576
#define MXCSR_RESET	0x1f80
#define FCW_RESET	0x037f

static void xsave(void *area)
{
	u32 low = hull_guest_xcr0, high = hull_guest_xcr0 >> 32;

	asm volatile("xsave64 (%[area])"
		     : : [area] "D" (area), "a" (low), "d" (high) : "memory");
}

/* User space may have set the state: a refusal by the CPU is an error, not an oops. */
static int xrstor(const void *area)
{
	u32 low = hull_guest_xcr0, high = hull_guest_xcr0 >> 32;
	int err = -EINVAL;

	asm volatile("1: xrstor64 (%[area])\n"
		     "   xorl %[err], %[err]\n"
		     "2:\n"
		     _ASM_EXTABLE(1b, 2b)
		     : [err] "+r" (err)
		     : [area] "D" (area), "a" (low), "d" (high) : "memory", "cc");
	return err;
}

void hull_fpu_reset(struct hull_fpu_state *fpu)
{
	memset(fpu->area, 0, sizeof(fpu->area));
	*(u16 *)fpu->area = FCW_RESET;
	*(u32 *)(fpu->area + XSAVE_MXCSR) = MXCSR_RESET;
}

int hull_fpu_validate(const void *area)
{
	const u64 *header = area + XSAVE_HEADER;

	if (header[0] & ~hull_guest_xcr0)
		return -EINVAL;
	if (memchr_inv(&header[1], 0, XSAVE_EXTENDED - XSAVE_HEADER - sizeof(u64)))
		return -EINVAL;
	if (*(const u32 *)(area + XSAVE_MXCSR) & ~hull_mxcsr_mask)
		return -EINVAL;
	return 0;
}

/* End of the last offered component in the standard format. */
static u32 __init xsave_size(void)
{
	u32 size = XSAVE_EXTENDED, eax, ebx, ecx, edx;
	int i;

	for (i = 2; i < 63; i++) {
		if (!(hull_guest_xcr0 & BIT_ULL(i)))
			continue;
		cpuid_count(0xd, i, &eax, &ebx, &ecx, &edx);
		size = max(size, ebx + eax);
	}
	return size;
}

static int __init fpu_setup(void)
{
	u8 *area;

	if (!boot_cpu_has(X86_FEATURE_OSXSAVE)) {
		pr_err("this kernel does not use XSAVE, which hull needs to switch guests' registers\n");
		return -EOPNOTSUPP;
	}
	host_xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK);
	hull_guest_xcr0 = host_xcr0 & OFFERED_XCR0;
	if ((hull_guest_xcr0 & XFEATURE_MASK_AVX512) != XFEATURE_MASK_AVX512)
		hull_guest_xcr0 &= ~XFEATURE_MASK_AVX512;
	hull_xsave_size = xsave_size();
	if (WARN_ON(hull_xsave_size > sizeof(struct hull_fpu_state)))
		return -EOPNOTSUPP;

	area = kzalloc(sizeof(struct hull_fpu_state), GFP_KERNEL);
	if (!area)
		return -ENOMEM;
	preempt_disable();
	asm volatile("fxsave64 (%0)" : : "r" (PTR_ALIGN(area, 64)) : "memory");
	preempt_enable();
	hull_mxcsr_mask = *(u32 *)(area + XSAVE_MXCSR_MASK) ?: 0xffbf;
	kfree(area);
	return 0;
}

/* ---- the oracle's view of the host ---------------------------------------------------------- */

static const u32 digest_msrs[] = {
	MSR_EFER, MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SYSCALL_MASK, MSR_FS_BASE, MSR_GS_BASE,
	MSR_KERNEL_GS_BASE, MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
};

/*
 * struct host_digest - host state that no guest may change
 */
struct host_digest {
	struct desc_ptr gdt, idt;
	u16 tr, ldt, fs, gs, ds, es;
	u64 cr0, cr4, xcr0;
	unsigned long dr[8];
	u64 msr[ARRAY_SIZE(digest_msrs)];
};

static DEFINE_PER_CPU(struct host_digest, digest_before);
static DEFINE_PER_CPU(struct host_digest, digest_after);

static void take_digest(struct host_digest *digest)
{
	int i;

	memset(digest, 0, sizeof(*digest));
	native_store_gdt(&digest->gdt);
	store_idt(&digest->idt);
	store_tr(digest->tr);
	store_ldt(digest->ldt);
	savesegment(fs, digest->fs);
	savesegment(gs, digest->gs);
	savesegment(ds, digest->ds);
	savesegment(es, digest->es);
	digest->cr0 = native_read_cr0();
	digest->cr4 = native_read_cr4();
	digest->xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK);
	for (i = 0; i < 8; i++) {
		if (i != 4 && i != 5)
			digest->dr[i] = native_get_debugreg(i);
	}
	for (i = 0; i < ARRAY_SIZE(digest_msrs); i++)
		digest->msr[i] = native_read_msr(digest_msrs[i]);
}

static void compare_digest(struct hull_vcpu *vcpu)
{
	const u64 *before = (const u64 *)this_cpu_ptr(&digest_before);
	const u64 *after = (const u64 *)this_cpu_ptr(&digest_after);
	size_t i;

	for (i = 0; i < sizeof(struct host_digest) / sizeof(u64); i++) {
		if (before[i] != after[i])
			hull_check_failed(vcpu->vm, "host state changed over a window, word", i,
					  after[i]);
	}
}

/* ---- debug registers ------------------------------------------------------------------------ */

/* Any of the eight enable bits of DR7. */
#define DR7_ENABLES	0xffUL

static void load_guest_debug(struct hull_vcpu *vcpu)
{
	if (!(vcpu->debug.dr7 & DR7_ENABLES))
		return;
	vcpu->host_debug[0] = native_get_debugreg(0);
	vcpu->host_debug[1] = native_get_debugreg(1);
	vcpu->host_debug[2] = native_get_debugreg(2);
	vcpu->host_debug[3] = native_get_debugreg(3);
	vcpu->debug_loaded = true;
	/* No host breakpoint may fire on the guest's addresses. */
	native_set_debugreg(7, 0);
	native_set_debugreg(0, vcpu->debug.dr[0]);
	native_set_debugreg(1, vcpu->debug.dr[1]);
	native_set_debugreg(2, vcpu->debug.dr[2]);
	native_set_debugreg(3, vcpu->debug.dr[3]);
}

static void restore_host_debug(struct hull_vcpu *vcpu)
{
	if (vcpu->debug_loaded) {
		vcpu->debug_loaded = false;
		if (!hull_mutate_leak_reg) {
			native_set_debugreg(0, vcpu->host_debug[0]);
			native_set_debugreg(1, vcpu->host_debug[1]);
			native_set_debugreg(2, vcpu->host_debug[2]);
			native_set_debugreg(3, vcpu->host_debug[3]);
		}
	}
	if (vcpu->debug.dr6 != DR6_RESERVED)
		native_set_debugreg(6, DR6_RESERVED);
	/* An exit leaves DR7 disabled. A breakpoint of the past may leave more than enable bits. */
	if (__this_cpu_read(cpu_dr7))
		native_set_debugreg(7, __this_cpu_read(cpu_dr7));
}

/* ---- the window ----------------------------------------------------------------------------- */

void hull_host_predictors(struct hull_vcpu *vcpu)
{
	if (__this_cpu_read(last_vcpu) == vcpu)
		return;
	__this_cpu_write(last_vcpu, vcpu);
	/* Mitigation: a guest must not train the branch predictors of another. */
	if (boot_cpu_has(X86_FEATURE_IBPB))
		native_wrmsrq(MSR_IA32_PRED_CMD, PRED_CMD_IBPB);
}

/* Another vCPU may be made in the same place, which is not the same to the predictors. */
void hull_host_forget(struct hull_vcpu *vcpu)
{
	int cpu;

	for_each_possible_cpu(cpu)
		cmpxchg(per_cpu_ptr(&last_vcpu, cpu), vcpu, NULL);
}

/*
 * QEMU's TCG does not intercept XSETBV: there the guest's XCR0 is what it has set, not what the
 * module knows. CPUs always intercept it. Only under a hypervisor is it looked at.
 */
static void sync_xcr0(struct hull_vcpu *vcpu)
{
	u64 xcr0;

	if (!boot_cpu_has(X86_FEATURE_HYPERVISOR))
		return;
	xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK);
	if (xcr0 != vcpu->control.xcr0)
		vcpu->control.xcr0 = (xcr0 & hull_cpuid_xcr0_mask(vcpu)) | XFEATURE_MASK_FP;
}

int hull_host_enter(struct hull_vcpu *vcpu)
{
	int err;

	local_irq_disable();
	pagefault_disable();
	kernel_fpu_begin_mask(0);
	if (hull_check)
		take_digest(this_cpu_ptr(&digest_before));
	hull_host_predictors(vcpu);
	err = xrstor(vcpu->fpu->area);
	if (unlikely(err))
		goto err_fpu;
	if (vcpu->control.xcr0 != host_xcr0)
		xsetbv(XCR_XFEATURE_ENABLED_MASK, vcpu->control.xcr0);
	load_guest_debug(vcpu);
	return 0;

err_fpu:
	kernel_fpu_end();
	pagefault_enable();
	local_irq_enable();
	return err;
}

void hull_host_leave(struct hull_vcpu *vcpu)
{
	/* The guest's exit took it: it is handed to the host's handler, on the same CPU. */
	if (unlikely(vcpu->exit.kind == HULL_X_MACHINE_CHECK))
		asm volatile("int $18");
	restore_host_debug(vcpu);
	sync_xcr0(vcpu);
	if (vcpu->control.xcr0 != host_xcr0 || boot_cpu_has(X86_FEATURE_HYPERVISOR))
		xsetbv(XCR_XFEATURE_ENABLED_MASK, host_xcr0);
	xsave(vcpu->fpu->area);
	/* Mitigation: VMSCAPE. User space must not run on predictors that a guest trained. */
	hull_ibpb_exit_to_user();
	if (hull_check) {
		take_digest(this_cpu_ptr(&digest_after));
		compare_digest(vcpu);
	}
	kernel_fpu_end();
	pagefault_enable();
	local_irq_enable();
}

/* ---- taking the hardware -------------------------------------------------------------------- */

/* Guards virt_users; inside cpus_read_lock(). */
static DEFINE_MUTEX(virt_lock);
static unsigned int virt_users;
static enum cpuhp_state virt_cpuhp;
static DEFINE_PER_CPU(bool, virt_enabled);

static void enable_this_cpu(void *result)
{
	int err;

	if (__this_cpu_read(virt_enabled))
		return;
	err = hull_backend->hardware_enable();
	if (err)
		cmpxchg((int *)result, 0, err);
	else
		__this_cpu_write(virt_enabled, true);
}

static void disable_this_cpu(void *unused)
{
	if (!__this_cpu_read(virt_enabled))
		return;
	__this_cpu_write(virt_enabled, false);
	__this_cpu_write(last_vcpu, NULL);
	hull_backend->hardware_disable();
}

int hull_virt_get(void)
{
	int err = 0;

	cpus_read_lock();
	mutex_lock(&virt_lock);
	if (!virt_users) {
		on_each_cpu(enable_this_cpu, &err, 1);
		if (err)
			on_each_cpu(disable_this_cpu, NULL, 1);
	}
	if (!err)
		virt_users++;
	mutex_unlock(&virt_lock);
	cpus_read_unlock();

	if (err == -EBUSY)
		pr_err("the virtualization hardware is in use, by KVM perhaps: unload kvm_amd or kvm_intel first\n");
	else if (err == -EOPNOTSUPP)
		pr_err("the firmware has locked virtualization: enable SVM or VT-x in its setup\n");
	return err;
}

void hull_virt_put(void)
{
	cpus_read_lock();
	mutex_lock(&virt_lock);
	if (!--virt_users)
		on_each_cpu(disable_this_cpu, NULL, 1);
	mutex_unlock(&virt_lock);
	cpus_read_unlock();
}

static int virt_cpu_online(unsigned int cpu)
{
	int err = 0;

	mutex_lock(&virt_lock);
	if (virt_users) {
		local_irq_disable();
		enable_this_cpu(&err);
		local_irq_enable();
	}
	mutex_unlock(&virt_lock);
	return err;
}

static int virt_cpu_offline(unsigned int cpu)
{
	local_irq_disable();
	disable_this_cpu(NULL);
	local_irq_enable();
	return 0;
}

/* The next kernel must find the hardware free. */
static int virt_reboot(struct notifier_block *nb, unsigned long event, void *data)
{
	on_each_cpu(disable_this_cpu, NULL, 1);
	return NOTIFY_OK;
}

static struct notifier_block reboot_nb = { .notifier_call = virt_reboot };

/* The state that resume would have to restore is lost in sleep: refuse while VMs exist. */
static int virt_suspend(struct notifier_block *nb, unsigned long event, void *data)
{
	if (event != PM_SUSPEND_PREPARE && event != PM_HIBERNATION_PREPARE)
		return NOTIFY_DONE;
	if (!READ_ONCE(virt_users))
		return NOTIFY_DONE;
	pr_err("cannot suspend while a VM exists: end it first\n");
	return NOTIFY_BAD;
}

static struct notifier_block suspend_nb = { .notifier_call = virt_suspend };

int hull_virt_setup(void)
{
	int err;

	err = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "hull:online", virt_cpu_online,
				virt_cpu_offline);
	if (err < 0)
		return err;
	virt_cpuhp = err;
	/* Can the hardware be had at all? Say so now rather than at the first VM. */
	err = hull_virt_get();
	if (err)
		goto err_cpuhp;
	hull_virt_put();
	err = register_reboot_notifier(&reboot_nb);
	if (err)
		goto err_cpuhp;
	err = register_pm_notifier(&suspend_nb);
	if (err)
		goto err_reboot;
	return 0;

err_reboot:
	unregister_reboot_notifier(&reboot_nb);
err_cpuhp:
	cpuhp_remove_state(virt_cpuhp);
	return err;
}

void hull_virt_teardown(void)
{
	unregister_pm_notifier(&suspend_nb);
	unregister_reboot_notifier(&reboot_nb);
	cpuhp_remove_state(virt_cpuhp);
}

int __init hull_host_setup(void)
{
	hull_gpa_bits = boot_cpu_data.x86_phys_bits;
	return fpu_setup();
}

void hull_host_teardown(void)
{
}
