/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the vendors' entry.S share: the general registers of host and guest.
 */
#ifndef HULL_ENTRY_H
#define HULL_ENTRY_H

#ifdef __ASSEMBLY__

#include <linux/linkage.h>
#include <asm/alternative.h>
#include <asm/asm.h>
#include <asm/cpufeatures.h>
#include <asm/nospec-branch.h>

/* struct hull_gprs.gpr at the start of struct hull_vcpu, asserted in fast.h; then control.cr2 */
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

/* The caller's. The vendor pushes two more words: below them RBP is at STACK_FRAME. */
#define STACK_FRAME	(7 * 8)

.macro HULL_PUSH_HOST
	push %rbp
	push %r15
	push %r14
	push %r13
	push %r12
	push %rbx
.endm

.macro HULL_POP_HOST
	pop %rbx
	pop %r12
	pop %r13
	pop %r14
	pop %r15
	pop %rbp
.endm

/* Of the vCPU at RDI; RAX and RSP are the vendor's. */
.macro HULL_LOAD_GUEST
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
.endm

/* To the vCPU at RAX, which goes to RDI. */
.macro HULL_STORE_GUEST
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
.endm

/* Mitigation: no register with a value of the guest reaches C code. RDI is the vCPU. */
.macro HULL_CLEAR_GUEST
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
.endm

#endif /* __ASSEMBLY__ */
#endif
