/* SPDX-License-Identifier: GPL-2.0 */
/* The init of hull exec's machine, as the Makefile built it. */
	.section .rodata
	.balign	16
	.globl	exec_init_image, exec_init_image_end
exec_init_image:
	.incbin	EXEC_INIT_IMAGE
exec_init_image_end:
	.section .note.GNU-stack, "", @progbits
