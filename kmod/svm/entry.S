/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The inner part of the window on SVM.
 *
 * int svm_window(struct hull_vcpu *vcpu, struct svm_entry *entry)
 *
 *	CLGI; VMSAVE host; VMLOAD guest
 *	loop: load guest registers; VMRUN; store guest registers; svm_handle_exit()
 *	VMSAVE guest; VMLOAD host; STGI
 *
 * Between two VMRUNs FS, TR, LDTR and the syscall MSRs stay the guest's; only GS base, by which C
 * code finds per-CPU data, is switched. With GIF clear nothing can interrupt that. The C handler
 * is called, not returned to, so calls and returns are balanced and the return stack is filled
 * once, when the loop is left.
 *
 * Interrupts are off on entry and exit; the physical interrupt flag is on while the guest runs, for
 * interrupts to end it.
 */
#include "../entry.h"

/* struct svm_entry; asserted in run.c */
#define ENTRY_VMCB	0
#define ENTRY_HOST	8
#define ENTRY_GUEST_GS	16
#define ENTRY_HOST_GS	24

/* On the stack */
#define STACK_VCPU	0
#define STACK_ENTRY	8

	.text

.macro SVM_WINDOW name, handler
SYM_FUNC_START(\name)
	HULL_PUSH_HOST
	push %rsi
	push %rdi

.Lclgi_\@:
	clgi
	mov ENTRY_HOST(%rsi), %rax
	vmsave %rax
	mov ENTRY_VMCB(%rsi), %rax
	vmload %rax
	jmp .Lload_registers_\@

.Lagain_\@:
	/* GS base: the guest's */
	mov STACK_VCPU(%rsp), %rdi
	mov STACK_ENTRY(%rsp), %rsi
	mov ENTRY_GUEST_GS(%rsi), %rax
	ALTERNATIVE "jmp .Lgs_guest_msr_\@", "wrgsbase %rax", X86_FEATURE_FSGSBASE
.Lgs_guest_\@:

.Lload_registers_\@:
	/*
	 * RSI is the entry, RDI the vCPU. The flag that lets interrupts end the guest; with GIF
	 * clear none is taken here. Not right before VMRUN: QEMU lets the shadow of STI reach into
	 * the guest.
	 */
	sti
	mov ENTRY_VMCB(%rsi), %rax
	HULL_LOAD_GUEST

	/* Mitigation: CPU buffers (TSA and kin) before guest code */
	HULL_CLEAR_CPU_BUFFERS
.Lvmrun_\@:
	vmrun %rax
	cli

	/* RAX and RSP are the host's again */
	mov STACK_VCPU(%rsp), %rax
	HULL_STORE_GUEST

	/* GS base: the host's */
	mov STACK_ENTRY(%rsp), %rsi
	ALTERNATIVE "jmp .Lgs_host_msr_\@", "rdgsbase %rax", X86_FEATURE_FSGSBASE
	mov %rax, ENTRY_GUEST_GS(%rsi)
	mov ENTRY_HOST_GS(%rsi), %rax
	wrgsbase %rax
.Lgs_host_\@:

	HULL_CLEAR_GUEST

	/* Mitigation: the return predictor (Retbleed, SRSO) before the first RET */
	HULL_UNTRAIN_RET

	call \handler
	test %eax, %eax
	jz .Lagain_\@

	mov STACK_ENTRY(%rsp), %rsi
	mov ENTRY_VMCB(%rsi), %rax
	vmsave %rax
	mov ENTRY_HOST(%rsi), %rax
	vmload %rax
	stgi
	xor %eax, %eax

.Lout_\@:
	/* Mitigation: returns below must not be predicted from what the guest left */
	HULL_FILL_RETURN_BUFFER %rcx
	pop %rdi
	pop %rsi
	HULL_POP_HOST
	RET

.Lno_svm_\@:
	mov $-5, %eax
	jmp .Lout_\@

	/* CPUs without FSGSBASE, or kernels that do not use it */
.Lgs_guest_msr_\@:
	mov %rax, %rdx
	shr $32, %rdx
	mov $MSR_GS_BASE, %ecx
	wrmsr
	jmp .Lgs_guest_\@

.Lgs_host_msr_\@:
	mov $MSR_GS_BASE, %ecx
	rdmsr
	shl $32, %rdx
	or %rdx, %rax
	mov %rax, ENTRY_GUEST_GS(%rsi)
	mov ENTRY_HOST_GS(%rsi), %rax
	mov %rax, %rdx
	shr $32, %rdx
	wrmsr
	jmp .Lgs_host_\@

	/* The core turns SVM off in a crash: then CLGI is undefined. */
	_ASM_EXTABLE(.Lclgi_\@, .Lno_svm_\@)
SYM_FUNC_END(\name)
.endm

SVM_WINDOW svm_window, svm_handle_exit
SVM_WINDOW svm_window_shadow, svm_handle_exit_shadow
