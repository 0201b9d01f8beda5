/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How guests of the launcher's tests start (32-bit code with a multiboot header and a PVH note),
 * and what they say and end with.
 */
#ifndef SELFTESTS_LAUNCHER_START_H
#define SELFTESTS_LAUNCHER_START_H

#include <stdint.h>

#define PORT_SERIAL	0x3f8

void start(uint32_t magic, uint32_t info);

asm(".pushsection .head, \"a\"\n"
    "	.balign 4\n"
    "	.long 0x1badb002, 3, -(0x1badb002 + 3)\n"
    "	.popsection\n"
    "	.pushsection .note.pvh, \"a\", @note\n"
    "	.balign 4\n"
    "	.long 4, 4, 18\n"
    "	.asciz \"Xen\"\n"
    "	.long entry\n"
    "	.popsection\n"
    "	.globl entry\n"
    "entry:\n"
    "	mov	$stack_end, %esp\n"
    "	push	%ebx\n"
    "	push	%eax\n"
    "	call	start\n"
    "1:	cli\n"
    "	hlt\n"
    "	jmp	1b\n"
    "	.lcomm	stack, 8192\n"
    "	.set	stack_end, stack + 8192\n");

static inline void outb(uint16_t port, uint8_t value)
{
	asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outw(uint16_t port, uint16_t value)
{
	asm volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outl(uint16_t port, uint32_t value)
{
	asm volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t value;

	asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t value;

	asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void print(const char *text)
{
	while (*text)
		outb(PORT_SERIAL, *text++);
}

static inline void print_bytes(uint32_t start, uint32_t size)
{
	const volatile char *byte = (const volatile char *)(uintptr_t)start;

	while (size--)
		outb(PORT_SERIAL, *byte++);
}

static inline void print_hex(uint64_t number)
{
	int shift;

	for (shift = 60; shift >= 0; shift -= 4)
		outb(PORT_SERIAL, "0123456789abcdef"[number >> shift & 15]);
}

static inline uint32_t get32(uint32_t address)
{
	return *(const volatile uint32_t *)(uintptr_t)address;
}

static inline int same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static inline void power_off(void)
{
	outw(0x604, 1 << 13 | 5 << 10);
}

/* The command line. */
static inline const char *command_line(uint32_t magic, uint32_t info)
{
	return (const char *)(uintptr_t)get32(magic != 0x2badb002 ? info + 24 : info + 16);
}

#endif
