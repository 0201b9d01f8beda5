/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs between supported kernels, and nothing else: included before everything, in C and
 * assembly. Each shim names the kernel that made it unnecessary for what comes before; it can be
 * deleted when older kernels are dropped.
 */
#ifndef HULL_COMPAT_H
#define HULL_COMPAT_H

#define pr_fmt(fmt) "hull: " fmt

#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "hull needs Linux 6.1 or newer"
#endif

#ifndef __ASSEMBLY__

#include <linux/percpu.h>
#include <asm/cpufeature.h>
#include <asm/nospec-branch.h>

/*
 * Work that must be done before a guest is entered: signals (-EINTR), rescheduling, task work.
 * 6.18: the kernel's function wants no vCPU of KVM's any more; until then see work.c.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 18, 0)
#include <linux/entry-kvm.h>
#define HULL_COMPAT_WORK
int hull_handle_work(void);
#else
#include <linux/entry-virt.h>
static inline int hull_handle_work(void)
{
	return xfer_to_guest_mode_handle_work();
}
#endif

static inline bool hull_work_pending(void)
{
	return __xfer_to_guest_mode_work_pending();
}

/* Mitigation VMSCAPE: predictors are flushed on the next return to user space. */
static inline void hull_ibpb_exit_to_user(void)
{
	if (cpu_feature_enabled(X86_FEATURE_IBPB_EXIT_TO_USER))
		this_cpu_write(x86_ibpb_exit_to_user, true);
}

/* 6.14 and stable kernels of 6.12: against SRSO some CPUs want a bit set while guests run. */
#ifdef X86_FEATURE_SRSO_BP_SPEC_REDUCE
static inline bool hull_bp_spec_reduce(void)
{
	return boot_cpu_has(X86_FEATURE_SRSO_BP_SPEC_REDUCE);
}
#else
#define MSR_ZEN4_BP_CFG_BP_SPEC_REDUCE_BIT	4
static inline bool hull_bp_spec_reduce(void)
{
	return false;
}
#endif

/* 6.8: a signal of an eventfd always adds 1. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
#include <linux/eventfd.h>
#define eventfd_signal(ctx)	eventfd_signal(ctx, 1)
#endif

/* 6.13: the callback is an argument. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
#include <linux/hrtimer.h>
static inline void hrtimer_setup(struct hrtimer *timer,
				 enum hrtimer_restart (*function)(struct hrtimer *),
				 clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = function;
}
#endif

/* 6.7: shrinkers are allocated, and know whose they are. */
#include <linux/shrinker.h>
struct hull_shrinker {
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
	struct shrinker shrinker;
#else
	struct shrinker *shrinker;
#endif
};

typedef unsigned long (*hull_shrink_t)(struct shrinker *shrinker, struct shrink_control *control);

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
static inline int hull_shrinker_register(struct hull_shrinker *to, hull_shrink_t count,
					 hull_shrink_t scan)
{
	to->shrinker = (struct shrinker){
		.count_objects = count, .scan_objects = scan, .seeks = DEFAULT_SEEKS,
	};
	return register_shrinker(&to->shrinker, "hull-shadow");
}

static inline void hull_shrinker_unregister(struct hull_shrinker *from)
{
	unregister_shrinker(&from->shrinker);
}

#define hull_of_shrinker(pointer)	container_of(pointer, struct hull_shrinker, shrinker)
#else
static inline int hull_shrinker_register(struct hull_shrinker *to, hull_shrink_t count,
					 hull_shrink_t scan)
{
	to->shrinker = shrinker_alloc(0, "hull-shadow");
	if (!to->shrinker)
		return -ENOMEM;
	to->shrinker->count_objects = count;
	to->shrinker->scan_objects = scan;
	to->shrinker->private_data = to;
	shrinker_register(to->shrinker);
	return 0;
}

static inline void hull_shrinker_unregister(struct hull_shrinker *from)
{
	shrinker_free(from->shrinker);
}

#define hull_of_shrinker(pointer)	((struct hull_shrinker *)(pointer)->private_data)
#endif

/* 6.5: before, get_user_pages() honoured NUMA hinting faults by itself. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
#define FOLL_HONOR_NUMA_FAULT	0
#endif

/* 6.16: MSR accessors are named after the quad word they take. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 16, 0)
#define rdmsrq		rdmsrl
#define rdmsrq_safe	rdmsrl_safe
#define wrmsrq		wrmsrl
#define native_wrmsrq	native_wrmsrl
#define native_rdmsrq	__rdmsr
#endif

/* 6.3: native_load_gs_index() has a header of its own. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#include <asm/special_insns.h>
#else
#include <asm/gsseg.h>
#endif

/* 6.16: cpuid() and the like have a header of their own. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 16, 0)
#include <asm/processor.h>
#else
#include <asm/cpuid/api.h>
#endif

/* 7.0: what an MMU notifier says of a page's age is a bool. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 0, 0)
typedef int hull_young_t;
#else
typedef bool hull_young_t;
#endif

/* 7.0: the VMCB's word that enables nested paging is called after the rest of its bits. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 0, 0)
#define misc_ctl		nested_ctl
#define SVM_MISC_ENABLE_NP	SVM_NESTED_CTL_NP_ENABLE
#endif

#else /* __ASSEMBLY__ */

#include <asm/alternative.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>
#include <asm/percpu.h>
#include <asm/segment.h>

/*
 * Mitigations of the entry code. The kernel's macros for KVM change between versions and use
 * symbols that are open to KVM only: these are our own, with the kernel's feature bits and thunks.
 */

/*
 * 6.9: CONFIG_CPU_* became CONFIG_MITIGATION_*. Where the kernel flushes all predictors instead
 * (retbleed=ibpb, spec_rstack_overflow=ibpb-vmexit), so do we, and fill the return stack, which not
 * every IBPB clears. Clobbers AX, CX, DX.
 */
.macro HULL_UNTRAIN_RET
#if defined(CONFIG_CPU_UNRET_ENTRY) || defined(CONFIG_MITIGATION_UNRET_ENTRY)
	ALTERNATIVE_2 "", "call entry_untrain_ret", X86_FEATURE_UNRET, \
		      "call srso_alias_untrain_ret", X86_FEATURE_SRSO_ALIAS
#endif
	ALTERNATIVE "jmp .Lskip_ibpb_\@", "", X86_FEATURE_IBPB_ON_VMEXIT
	mov $MSR_IA32_PRED_CMD, %ecx
	mov $PRED_CMD_IBPB, %eax
	xor %edx, %edx
	wrmsr
.Lskip_ibpb_\@:
	FILL_RETURN_BUFFER %rcx, RSB_CLEAR_LOOPS, X86_FEATURE_IBPB_ON_VMEXIT
.endm

.macro HULL_FILL_RETURN_BUFFER reg
	FILL_RETURN_BUFFER \reg, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT, \
		X86_FEATURE_RSB_VMEXIT_LITE
.endm

/* VERW of any writable data segment clears the buffers on CPUs that need it; changes ZF only. */
.macro HULL_CLEAR_CPU_BUFFERS
	.pushsection .rodata
	.balign 2
.Lverw_selector_\@:
	.word __KERNEL_DS
	.popsection
	ALTERNATIVE_2 "jmp .Lskip_verw_\@", "", X86_FEATURE_CLEAR_CPU_BUF, \
		      "", X86_FEATURE_CLEAR_CPU_BUF_VM
	verw .Lverw_selector_\@(%rip)
.Lskip_verw_\@:
.endm

/* Kernels that set IBRS at each entry must set it again after a guest ran. Clobbers AX, CX, DX. */
.macro HULL_RESTORE_IBRS
	ALTERNATIVE "jmp .Lskip_ibrs_\@", "", X86_FEATURE_KERNEL_IBRS
	mov PER_CPU_VAR(x86_spec_ctrl_current), %rax
	mov %rax, %rdx
	shr $32, %rdx
	mov $MSR_IA32_SPEC_CTRL, %ecx
	wrmsr
.Lskip_ibrs_\@:
.endm

/* 6.16: the feature lost a part of its name. */
#ifndef X86_FEATURE_CLEAR_BHB_VMEXIT
#define X86_FEATURE_CLEAR_BHB_VMEXIT	X86_FEATURE_CLEAR_BHB_LOOP_ON_VMEXIT
#endif

/*
 * Branch history injection: push what the guest left out of the history (194 taken branches on the
 * largest CPUs) by as many of our own. Clobbers CX.
 */
.macro HULL_CLEAR_BRANCH_HISTORY
	ALTERNATIVE "jmp .Lskip_history_\@", "", X86_FEATURE_CLEAR_BHB_VMEXIT
	mov $100, %ecx
.Lhistory_\@:
	jmp .Ltwice_\@
	int3
.Ltwice_\@:
	sub $1, %ecx
	jnz .Lhistory_\@
	lfence
.Lskip_history_\@:
.endm

#endif /* __ASSEMBLY__ */
#endif
