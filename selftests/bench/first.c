// SPDX-License-Identifier: GPL-2.0
/*
 * The program of scripts/bench-exec: its first instruction reads the time-stamp counter. Then it
 * says "hull-first: TICKS" and ends. No libc, whose start would come before.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

static long call(long number, long a, long b, long c)
{
	long ret;

	asm volatile("syscall"
		     : "=a" (ret)
		     : "a" (number), "D" (a), "S" (b), "d" (c)
		     : "rcx", "r11", "memory");
	return ret;
}

/* Decimal, ending before @end. */
static char *number(char *end, uint64_t value)
{
	do {
		*--end = '0' + value % 10;
		value /= 10;
	} while (value);
	return end;
}

static char *text(char *end, const char *what, size_t size)
{
	while (size)
		*--end = what[--size];
	return end;
}

__attribute__((used)) static void run(uint64_t ticks)
{
	char line[100], *end = line + sizeof(line), *at;

	at = text(end, "\n", 1);
	at = number(at, ticks);
	at = text(at, "hull-first: ", 12);
	call(SYS_write, 1, (long)at, end - at);
	call(SYS_exit_group, 0, 0, 0);
	__builtin_unreachable();
}

asm(".globl _start\n"
    "_start:\n"
    "	rdtsc\n"
    "	shl $32, %rdx\n"
    "	lea (%rax, %rdx), %rdi\n"
    "	xor %ebp, %ebp\n"
    "	and $-16, %rsp\n"
    "	call run\n");
