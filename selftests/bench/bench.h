/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The benchmark's machine: the same tiny guest and the same launcher's work on hull and on KVM.
 *
 * A machine has one vCPU in long mode, 4 GiB mapped one to one, an IDT with one interrupt, and
 * these devices of the launcher:
 *
 *	port 0xf4	the guest is done
 *	port 0x380	answered by the launcher on the vCPU's thread
 *	port 0x390	writes are posted (KVM: coalesced)
 *	port 0x3a0	doorbell (KVM: ioeventfd)
 *	0xd0000000	memory of the launcher's
 *	0xd0001000	doorbell
 *	port 0x608	ACPI PM timer
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>

#define GUEST_MEMORY	(8UL << 20)
#define GPA_GDT		0x1000
#define GPA_IDT		0x2000
#define GPA_TABLES	0x3000		/* PML4, PDPT, four page directories */
#define GPA_RESTING_PDPT	0x9000	/* entry 1 of the PML4: below it the resting directories */
#define GPA_HANDLER	0xf000
#define GPA_CODE	0x10000
#define GPA_RESULT	0x20000
#define GPA_STACK	0x28000
#define GPA_FRESH	0x200000	/* 4 MiB that nobody has touched */
#define FRESH_PAGES	1024
#define WARM_UP		80
#define GPA_RESTING	0x600000	/* page directories, each maps the first 2 MiB */
#define NR_RESTING	40		/* KVM gives a VM of this size 64 shadow pages */

#define STRING_OF(x)	#x
#define STRING(x)	STRING_OF(x)

#define PORT_DONE	0xf4
#define PORT_ANSWERED	0x380
#define PORT_POSTED	0x390
#define PORT_DOORBELL	0x3a0
#define PORT_PM_TIMER	0x608
#define MMIO_ANSWERED	0xd0000000UL
#define MMIO_DOORBELL	0xd0001000UL

#define VECTOR		0x40

/**
 * struct count - what an operation took
 * @insn: TSC difference in the guest: instructions, under icount and in Bochs
 * @exits: exits
 * @windows: times that host state was switched in full (KVM: every exit)
 * @returns: returns to the launcher
 */
struct count {
	uint64_t insn, exits, windows, returns;
};

struct machine;

/**
 * struct hypervisor - one of the two
 * @name: as printed
 * @create: a machine; exits on errors, for a benchmark without its machine is none
 * @memory: address of guest memory
 * @run: start at GPA_CODE with @r15 and @r13 set, until the guest is done
 * @counters: fills exits, windows, returns so far
 * @create_destroy: a VM with one vCPU, made and given back
 */
struct hypervisor {
	const char *name;
	struct machine *(*create)(void);
	uint8_t *(*memory)(struct machine *machine);
	void (*run)(struct machine *machine, uint64_t r15, uint64_t r13);
	void (*counters)(struct machine *machine, struct count *count);
	void (*create_destroy)(void);
};

extern const struct hypervisor on_hull, on_kvm;

/* Registers of the guest that both start with. */
#define START_CR0	0x80010033UL	/* PG, WP, NE, ET, MP, PE */
#define START_CR4	0x6a0UL		/* OSXMMEXCPT, OSFXSR, PGE, PAE */
#define START_EFER	0xd00UL		/* NXE, LMA, LME */

void *guest_memory_map(void);
void die(const char *what);

#endif
