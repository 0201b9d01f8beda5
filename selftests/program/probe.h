/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For guests written in C: one access that may fault, control registers, reports to the launcher.
 */
#ifndef SELFTESTS_PROGRAM_PROBE_H
#define SELFTESTS_PROGRAM_PROBE_H

#include <stdbool.h>
#include <stddef.h>

#include "shared.h"

typedef unsigned long word;

/**
 * struct probe - an access and what came of it; one a vCPU
 * @sp: stack to go back to
 * @vector: 0, or 14
 * @error: error code of the #PF
 * @cr2: its address
 * @value: what was read
 */
struct probe {
	word sp, vector, error, cr2, value, spare[3];
};

extern struct probe probes[2];

#ifdef __x86_64__
#define REGPARM
#else
#define REGPARM	__attribute__((regparm(3)))
#endif

REGPARM void probe_run(struct probe *probe, unsigned int kind, word address, word value);
void guest_main(void);
void guest_second(void);

/*
 * Two runs may be compared here. What calls left in registers may tell of accessed bits that the
 * CPU had the choice to set later.
 */
static inline void report(uint32_t what)
{
#ifdef __x86_64__
	asm volatile("xor %%r8d, %%r8d\n\txor %%r9d, %%r9d\n\txor %%r10d, %%r10d\n\t"
		     "xor %%r11d, %%r11d\n\txor %%esi, %%esi\n\txor %%edi, %%edi"
		     ::: "r8", "r9", "r10", "r11", "rsi", "rdi", "cc");
#endif
	asm volatile("xor %%ecx, %%ecx\n\txor %%edx, %%edx\n\tout %0, %1"
		     :: "a"(what), "i"(REPORT_PORT) : "ecx", "edx", "cc", "memory");
}

#define CONTROL(n)								\
static inline word get_cr##n(void)						\
{										\
	word value;								\
										\
	asm volatile("mov %%cr" #n ", %0" : "=r"(value) :: "memory");		\
	return value;								\
}										\
static inline void set_cr##n(word value)					\
{										\
	asm volatile("mov %0, %%cr" #n :: "r"(value) : "memory");		\
}

CONTROL(0)
CONTROL(3)
CONTROL(4)

static inline void invlpg(word address)
{
	asm volatile("invlpg (%0)" :: "r"(address) : "memory");
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
	asm volatile("wrmsr" :: "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) :
		     "memory");
}

#endif
