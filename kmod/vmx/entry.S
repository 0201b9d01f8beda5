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
#include <linux/objtool.h>

#include "../entry.h"

#define HOST_RSP	0x6c14

/* On the stack */
#define STACK_LAUNCHED	0
#define STACK_VCPU	8

	.text

SYM_FUNC_START(vmx_window)
	HULL_PUSH_HOST
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
	HULL_LOAD_GUEST

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
	HULL_STORE_GUEST
	pop %rax
	mov %rax, VCPU_RAX(%rdi)
	mov %cr2, %rax
	mov %rax, VCPU_CR2(%rdi)
	movb $1, STACK_LAUNCHED(%rsp)

	HULL_CLEAR_GUEST

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
	HULL_POP_HOST
	RET

.Lfailed:
	mov $1, %eax
	jmp .Lout
SYM_FUNC_END(vmx_window)
