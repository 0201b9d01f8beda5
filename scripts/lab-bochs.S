/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ROM by which scripts/lab-bochs.sh starts a kernel under Bochs.
 *
 * The BIOS calls it once it has set up PCI and ACPI tables. Kernel and initramfs
 * are in memory already, so nothing is read from a disk, unpacked or relocated:
 * it enters the kernel as the PVH boot protocol has it (32 bits, no paging, EBX
 * points to a struct hvm_start_info), and never returns.
 *
 * From the assembler's command line: SIZE of the ROM, ENTRY of the kernel, INITRD
 * and INITRD_SIZE, MEMORY; the file "cmdline". It is linked for 0xd0000.
 */
	.set ACPI_TABLES, 0x10000	/* what the BIOS keeps at the top of memory */

	.code16
	.globl _start
_start:
	.byte 0x55, 0xaa, SIZE / 512
	cli
	inb $0x92, %al			/* the A20 line */
	orb $2, %al
	outb %al, $0x92
	lgdtl %cs:(gdt_pointer - _start)
	movl %cr0, %eax
	orl $1, %eax
	movl %eax, %cr0
	ljmpl $8, $protected

	.code32
protected:
	movw $16, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movl $start_info, %ebx
	movl $ENTRY, %eax
	jmp *%eax

	.balign 8
gdt:
	.quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
	.word 23
	.long gdt

	.balign 8
start_info:
	.long 0x336ec578, 1, 0, 1	/* magic, version, flags, number of modules */
	.quad modules, cmdline, 0, memory_map
	.long 4, 0			/* entries of memory_map */
modules:
	.quad INITRD, INITRD_SIZE, 0, 0

memory_map:				/* types as of E820: 1 RAM, 2 reserved, 3 ACPI tables */
	.quad 0, 0x9fc00, 1
	.quad 0x9fc00, 0x100000 - 0x9fc00, 2
	.quad 0x100000, MEMORY - ACPI_TABLES - 0x100000, 1
	.quad MEMORY - ACPI_TABLES, ACPI_TABLES, 3

cmdline:
	.incbin "cmdline"
	.byte 0
	.org SIZE			/* the last byte makes the sum of all 0 */
