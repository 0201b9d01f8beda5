/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Begin of a 64-bit program, and the probe: one access that may fault. See probe.h.
 *
 * A probe keeps its structure in RBX until its end; a #PF with anything else there is the program's
 * own and goes to the launcher (trap.h).
 */
#include "shared.h"

#define FIELD(n)	((n) * 8)(%rbx)
#define TRAP_STUB	(0x21000 + 14 * 32)
/* IDT, GDT, TSS, its stack: Bochs forgets the software interrupt that misses a page. */
#define TOUCH_TRAP_PAGES	mov 0x20000, %eax; mov 0x23000, %eax; mov 0x24000, %eax;	\
				lock orl $0, 0x28fe0

	.code64
	.section .head, "a"
	.long	start, start_second, page_fault, soft_interrupt, user_page

	.text
start:
	mov	$0x8ff0, %esp
	TOUCH_TRAP_PAGES
	call	guest_main
1:	hlt
	jmp	1b

start_second:
	mov	$0x9ff0, %esp
	call	guest_second
1:	hlt
	jmp	1b

	.weak	guest_second
guest_second:
	ret

/* void probe_run(struct probe *probe, unsigned int kind, unsigned long address, value) */
	.globl	probe_run
probe_run:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rdi, %rbx
	mov	%rdx, %rdi
	mov	%rcx, %rax
	mov	%rsp, FIELD(PROBE_SP)
	movq	$0, FIELD(PROBE_VECTOR)
	test	$ACCESS_AC, %esi
	jz	1f
	pushf
	orl	$0x40000, (%rsp)
	popf
1:	and	$7, %esi
	jmp	*kinds(, %rsi, 8)

read:
	mov	(%rdi), %rax
	jmp	finish
write:
	mov	%rax, (%rdi)
	jmp	finish
fetch:
	jmp	*%rdi
locked:
	lock xadd %rax, (%rdi)
	jmp	finish
as_user_read:
	mov	$user_read, %ecx
	jmp	to_user
as_user_write:
	mov	$user_write, %ecx
	jmp	to_user
as_user_fetch:
	mov	%rdi, %rcx
to_user:
	push	$SELECTOR_USER_DATA
	push	%rsp
	pushf
	push	$SELECTOR_USER_CODE
	push	%rcx
	iretq

page_fault:
	cmp	$probes, %rbx
	jb	TRAP_STUB
	cmp	$probes_end, %rbx
	jae	TRAP_STUB
	/* QEMU leaves P out where reserved bits are set. */
	testl	$8, (%rsp)
	jz	1f
	orl	$1, (%rsp)
1:	pop	%rdx
	mov	%rdx, FIELD(PROBE_ERROR)
	mov	%cr2, %rdx
	mov	%rdx, FIELD(PROBE_CR2)
	movq	$14, FIELD(PROBE_VECTOR)
	jmp	recover
soft_interrupt:
finish:
	mov	%rax, FIELD(PROBE_VALUE)
recover:
	mov	FIELD(PROBE_SP), %rsp
	push	$2
	popf
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret

	.section .rodata
	.balign	8
kinds:	.quad	read, write, fetch, locked, as_user_read, as_user_write, as_user_fetch, read

	.section .user, "ax"
user_read:
	mov	(%rdi), %rax
	int	$SOFT_VECTOR
user_write:
	mov	%rax, (%rdi)
	int	$SOFT_VECTOR

	.bss
	.balign	64
	.globl	probes
probes:
	.skip	2 * PROBE_WORDS * 8
probes_end:
	.section .note.GNU-stack, "", @progbits
