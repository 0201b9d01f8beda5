/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The inner part of the window on VMX.
 *
 * int vmx_window(struct hull_vcpu *vcpu)
 *
 *	HOST_RSP
 *	loop: CR2 and registers of the guest; VMLAUNCH, later VMRESUME
 *	      vmx_exit: store them; vmx_handle_exit()
 *
 * The VMCS is loaded and was cleared before: the first entry is a launch. Interrupts are off from
 * start to end. The exit loads the host's segments, bases and control registers; CR2 and general
 * registers are switched here. The C handler is called, not returned to, so calls and returns are
 * balanced and the return stack is filled once, when the loop is left.
 */
#include <linux/linkage.h>
#include <linux/objtool.h>
#include <asm/alternative.h>
#include <asm/asm.h>
#include <asm/cpufeatures.h>
#include <asm/nospec-branch.h>

#define HOST_RSP	0x6c14

/* struct hull_gprs.gpr at the start of struct hull_vcpu; RSP is in the VMCS. Asserted in run.c */
#define VCPU_RAX	(0 * 8)
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
#define VCPU_CR2	(19 * 8)

/* On the stack */
#define STACK_LAUNCHED	0
#define STACK_VCPU	8
#define STACK_FRAME	(7 * 8)

	.text

SYM_FUNC_START(vmx_window)
	push %rbp
	push %r15
	push %r14
	push %r13
	push %r12
	push %rbx
	push %rdi
	push $0

	mov $HOST_RSP, %eax
	vmwrite %rsp, %rax

.Lagain:
	mov STACK_VCPU(%rsp), %rdi
	/* Writing CR2 is slow, and most of the time it is there. */
	mov VCPU_CR2(%rdi), %rax
	mov %cr2, %rcx
	cmp %rax, %rcx
	je .Lload_registers
	mov %rax, %cr2

.Lload_registers:
	/* Carry: not launched yet. Nothing below changes it. */
	cmpb $1, STACK_LAUNCHED(%rsp)
	mov VCPU_RAX(%rdi), %rax
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

	/* Mitigation: CPU buffers (MDS and kin) before guest code */
	HULL_CLEAR_CPU_BUFFERS
	jc .Llaunch
	vmresume
	jmp .Lfailed
.Llaunch:
	vmlaunch
	/* Always taken; written so that objtool follows the way the CPU takes. */
	jbe .Lfailed

SYM_INNER_LABEL(vmx_exit, SYM_L_GLOBAL)
	ANNOTATE_NOENDBR
	push %rax
	mov (STACK_VCPU + 8)(%rsp), %rax
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
	pop %rax
	mov %rax, VCPU_RAX(%rdi)
	mov %cr2, %rax
	mov %rax, VCPU_CR2(%rdi)
	movb $1, STACK_LAUNCHED(%rsp)

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

	/* Mitigation: indirect branches (IBRS) and the branch history (BHI), before C code */
	HULL_RESTORE_IBRS
	HULL_CLEAR_BRANCH_HISTORY

	call vmx_handle_exit
	test %eax, %eax
	jz .Lagain
	xor %eax, %eax

.Lout:
	/* Mitigation: returns below must not be predicted from what the guest left */
	HULL_FILL_RETURN_BUFFER %rcx
	add $16, %rsp
	pop %rbx
	pop %r12
	pop %r13
	pop %r14
	pop %r15
	pop %rbp
	RET

.Lfailed:
	mov $1, %eax
	jmp .Lout
SYM_FUNC_END(vmx_window)
