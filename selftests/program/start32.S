/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Begin of a 32-bit program, and the probe: one access that may fault. See probe.h and start64.S.
 */
#include "shared.h"

#define FIELD(n)	((n) * 4)(%ebx)
#define TRAP_STUB	(0x21000 + 14 * 32)
/* IDT, GDT, TSS, its stack: Bochs forgets the software interrupt that misses a page. */
#define TOUCH_TRAP_PAGES	mov 0x20000, %eax; mov 0x23000, %eax; mov 0x24000, %eax;	\
				lock orl $0, 0x28fe0

	.code32
	.section .head, "a"
	.long	start, start_second, page_fault, soft_interrupt, user_page

	.text
start:
	call	load_segments
	mov	$0x8ff0, %esp
	/* QEMU wants a 32-bit TSS as LTR loads it, before a handler may change the stack. */
	cmpb	$0, task_loaded
	jne	1f
	movb	$1, task_loaded
	mov	$0x28, %eax
	ltr	%ax
1:	TOUCH_TRAP_PAGES
	call	guest_main
1:	hlt
	jmp	1b

start_second:
	mov	$0x9ff0, %esp
	call	load_segments
	call	guest_second
1:	hlt
	jmp	1b

	.weak	guest_second
guest_second:
	ret

/* Data segments that user code may use, too: IRET leaves them alone. */
load_segments:
	mov	$SELECTOR_USER_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	pop	%ecx
	mov	$0x10, %eax
	mov	%eax, %ss
	jmp	*%ecx

/* regparm(3): EAX: probe, EDX: kind, ECX: address, then the value */
	.globl	probe_run
probe_run:
	push	%ebx
	push	%ebp
	push	%esi
	push	%edi
	mov	%eax, %ebx
	mov	%ecx, %edi
	mov	20(%esp), %eax
	mov	%esp, FIELD(PROBE_SP)
	movl	$0, FIELD(PROBE_VECTOR)
	test	$ACCESS_AC, %edx
	jz	1f
	pushf
	orl	$0x40000, (%esp)
	popf
1:	and	$7, %edx
	jmp	*kinds(, %edx, 4)

read:
	mov	(%edi), %eax
	jmp	finish
write:
	mov	%eax, (%edi)
	jmp	finish
fetch:
	jmp	*%edi
locked:
	lock xadd %eax, (%edi)
	jmp	finish
as_user_read:
	mov	$user_read, %ecx
	jmp	to_user
as_user_write:
	mov	$user_write, %ecx
	jmp	to_user
as_user_fetch:
	mov	%edi, %ecx
to_user:
	push	$SELECTOR_USER_DATA
	push	%esp
	pushf
	push	$SELECTOR_USER_CODE
	push	%ecx
	iret

page_fault:
	cmp	$probes, %ebx
	jb	TRAP_STUB
	cmp	$probes_end, %ebx
	jae	TRAP_STUB
	/* QEMU leaves P out where reserved bits are set. */
	testl	$8, (%esp)
	jz	1f
	orl	$1, (%esp)
1:	pop	%edx
	mov	%edx, FIELD(PROBE_ERROR)
	mov	%cr2, %edx
	mov	%edx, FIELD(PROBE_CR2)
	movl	$14, FIELD(PROBE_VECTOR)
	jmp	recover
soft_interrupt:
finish:
	mov	%eax, FIELD(PROBE_VALUE)
recover:
	mov	FIELD(PROBE_SP), %esp
	push	$2
	popf
	pop	%edi
	pop	%esi
	pop	%ebp
	pop	%ebx
	ret

	.section .rodata
	.balign	4
kinds:	.long	read, write, fetch, locked, as_user_read, as_user_write, as_user_fetch, read

	.section .user, "ax"
user_read:
	mov	(%edi), %eax
	int	$SOFT_VECTOR
user_write:
	mov	%eax, (%edi)
	int	$SOFT_VECTOR

	.bss
task_loaded:
	.byte	0
	.balign	64
	.globl	probes
probes:
	.skip	2 * PROBE_WORDS * 4
probes_end:
	.section .note.GNU-stack, "", @progbits
