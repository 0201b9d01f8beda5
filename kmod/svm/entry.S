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
#include <linux/linkage.h>
#include <asm/alternative.h>
#include <asm/asm.h>
#include <asm/cpufeatures.h>
#include <asm/nospec-branch.h>

/* struct svm_entry; asserted in run.c */
#define ENTRY_VMCB	0
#define ENTRY_HOST	8
#define ENTRY_GUEST_GS	16
#define ENTRY_HOST_GS	24

/* struct hull_gprs.gpr at the start of struct hull_vcpu; RAX and RSP are in the VMCB */
#define VCPU_RCX	(1 * 8)
#define VCPU_RDX	(2 * 8)
#define VCPU_RBX	(3 * 8)
#define VCPU_RBP	(5 * 8)
#define VCPU_RSI	(6 * 8)
#define VCPU_RDI	(7 * 8)
#define VCPU_R8		(8 * 8)
#define VCPU_R9		(9 * 8)
#define VCPU_R10	(10 * 8)
#define VCPU_R11	(11 * 8)
#define VCPU_R12	(12 * 8)
#define VCPU_R13	(13 * 8)
#define VCPU_R14	(14 * 8)
#define VCPU_R15	(15 * 8)

/* On the stack */
#define STACK_VCPU	0
#define STACK_ENTRY	8
#define STACK_FRAME	(7 * 8)

	.text

.macro SVM_WINDOW name, handler
SYM_FUNC_START(\name)
	push %rbp
	push %r15
	push %r14
	push %r13
	push %r12
	push %rbx
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
	mov VCPU_RCX(%rdi), %rcx
	mov VCPU_RDX(%rdi), %rdx
	mov VCPU_RBX(%rdi), %rbx
	mov VCPU_RBP(%rdi), %rbp
	mov VCPU_RSI(%rdi), %rsi
	mov VCPU_R8(%rdi), %r8
	mov VCPU_R9(%rdi), %r9
	mov VCPU_R10(%rdi), %r10
	mov VCPU_R11(%rdi), %r11
	mov VCPU_R12(%rdi), %r12
	mov VCPU_R13(%rdi), %r13
	mov VCPU_R14(%rdi), %r14
	mov VCPU_R15(%rdi), %r15
	mov VCPU_RDI(%rdi), %rdi

	/* Mitigation: CPU buffers (TSA and kin) before guest code */
	HULL_CLEAR_CPU_BUFFERS
.Lvmrun_\@:
	vmrun %rax
	cli

	/* RAX and RSP are the host's again */
	mov STACK_VCPU(%rsp), %rax
	mov %rcx, VCPU_RCX(%rax)
	mov %rdx, VCPU_RDX(%rax)
	mov %rbx, VCPU_RBX(%rax)
	mov %rbp, VCPU_RBP(%rax)
	mov %rsi, VCPU_RSI(%rax)
	mov %rdi, VCPU_RDI(%rax)
	mov %r8, VCPU_R8(%rax)
	mov %r9, VCPU_R9(%rax)
	mov %r10, VCPU_R10(%rax)
	mov %r11, VCPU_R11(%rax)
	mov %r12, VCPU_R12(%rax)
	mov %r13, VCPU_R13(%rax)
	mov %r14, VCPU_R14(%rax)
	mov %r15, VCPU_R15(%rax)
	mov %rax, %rdi

	/* GS base: the host's */
	mov STACK_ENTRY(%rsp), %rsi
	ALTERNATIVE "jmp .Lgs_host_msr_\@", "rdgsbase %rax", X86_FEATURE_FSGSBASE
	mov %rax, ENTRY_GUEST_GS(%rsi)
	mov ENTRY_HOST_GS(%rsi), %rax
	wrgsbase %rax
.Lgs_host_\@:

	/* Mitigation: no register with a value of the guest reaches C code */
	xor %eax, %eax
	xor %ecx, %ecx
	xor %edx, %edx
	xor %ebx, %ebx
	xor %esi, %esi
	xor %r8d, %r8d
	xor %r9d, %r9d
	xor %r10d, %r10d
	xor %r11d, %r11d
	xor %r12d, %r12d
	xor %r13d, %r13d
	xor %r14d, %r14d
	xor %r15d, %r15d

	/* For those who walk the stack by frame pointers: where RBP of the caller was pushed */
	lea STACK_FRAME(%rsp), %rbp

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
	pop %rbx
	pop %r12
	pop %r13
	pop %r14
	pop %r15
	pop %rbp
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
