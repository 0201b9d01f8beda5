/* SPDX-License-Identifier: GPL-2.0 */
/* The smallest program to execute: exit_group(0). */
#include <asm/unistd_64.h>

	.globl	_start
_start:
	mov	$__NR_exit_group, %eax
	xor	%edi, %edi
	syscall

	.section .note.GNU-stack, "", @progbits
