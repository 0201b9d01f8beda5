/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A VM for a test: some memory at guest-physical 0, vCPUs in a mode of your choice, a few bytes of
 * code. No firmware, no descriptor tables: an exception ends the VM, which fails the test.
 *
 *	GUEST(hello, 64, "mov $0x41, %al\n out %al, $0xe9\n hlt\n");
 *
 *	ASSERT_EQ(0, guest_create(&guest, 0, GUEST_SIZE));
 *	ASSERT_EQ(0, guest_start(&guest, 0, GUEST_LONG, GUEST_CODE(hello)));
 *	ASSERT_EQ(HULL_EXIT_REQUEST, guest_run(&guest, 0));
 *
 * Guest memory:
 *	0x01000	page tables: long mode sees the first 4 GiB one to one; 0x07000 with five levels
 *	0x08ff0	stack of vCPU 0, growing down; 0x09ff0 of vCPU 1 ...
 *	0x10000	code of vCPU 0, 0x11000 of vCPU 1 ...
 *	0x40000	yours
 */
#ifndef SELFTESTS_GUEST_H
#define SELFTESTS_GUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "hull_lib.h"

#define GUEST_SIZE		(2UL << 20)
#define GUEST_TABLES		0x1000
#define GUEST_TABLES5		0x7000
#define GUEST_CODE_GPA(cpu)	(0x10000 + (cpu) * 0x1000)
#define GUEST_STACK_GPA(cpu)	(0x8ff0 + (cpu) * 0x1000)
#define GUEST_DATA_GPA		0x40000
#define GUEST_CODE_MAX		0x1000
#define GUEST_MAX_CPUS		8

/* Code as an array of bytes; @bits: 16, 32, 64. It runs wherever it is copied. */
#define GUEST(name, bits, text)							\
	asm(".pushsection .rodata\n"						\
	    "guest_" #name ":\n"						\
	    ".code" #bits "\n"							\
	    text "\n"								\
	    "guest_" #name "_end:\n"						\
	    ".code64\n"								\
	    ".popsection\n");							\
	extern const unsigned char guest_##name[], guest_##name##_end[]

/* As the last two arguments of guest_start(). */
#define GUEST_CODE(name)	guest_##name, (size_t)(guest_##name##_end - guest_##name)

enum guest_mode {
	GUEST_REAL,		/* 16 bits; CS base is the code's address, other bases 0 */
	GUEST_PROTECTED,	/* 32 bits, flat, no paging */
	GUEST_LONG,		/* 64 bits, flat */
};

/**
 * struct guest_cpu - one vCPU
 * @fd: vCPU fd
 * @run: its run page
 * @own: endpoint of its own channel
 * @posted: entry that guest_run() took out of the ring
 */
struct guest_cpu {
	int fd;
	struct hull_run *run;
	struct hull_endpoint own;
	struct hull_posted posted;
};

/**
 * struct guest - one VM
 * @dev: /dev/hull
 * @vm: VM fd
 * @memory: guest memory
 * @size: bytes of it
 * @cpu: vCPUs that guest_add_cpu() made; fd -1: none
 */
struct guest {
	int dev;
	int vm;
	unsigned char *memory;
	size_t size;
	struct guest_cpu cpu[GUEST_MAX_CPUS];
};

/* A VM with memory and vCPU 0. Returns 0, or -1 with errno. */
int guest_create(struct guest *guest, __u32 vm_flags, size_t size);
/* The same with one of HULL_PAGING_*, whatever the module's default is. */
int guest_create_paging(struct guest *guest, __u32 vm_flags, size_t size, __u32 paging);

/* One more vCPU, with all CPUID leaves there are. Returns 0, or -1 with errno. */
int guest_add_cpu(struct guest *guest, unsigned int id);

/* Copy code, and set the registers to run it. Returns 0, or -1 with errno. */
int guest_start(struct guest *guest, unsigned int id, enum guest_mode mode,
		const unsigned char *code, size_t len);

/*
 * Tests are written for AMD's VMMCALL, and with VMCALL undefined: where the CPUs are Intel's, make
 * one of the other in @code, which has @len bytes. guest_start() and trap_try() do so.
 */
void guest_fix_hypercalls(struct guest *guest, void *code, size_t len);

/* Registers for a mode, without copying: what guest_start() does. */
int guest_set_mode(struct guest *guest, unsigned int id, enum guest_mode mode, __u64 entry);

/* Bits of CR4 that only newer CPUs have: SMEP and SMAP, if the guest may set them. */
__u64 guest_new_cr4(struct guest *guest);
/* Can guests be in real mode on this machine? Opens /dev/hull for the question. */
bool guest_has_real_mode(void);
/* Does the CPU have five levels of tables, and do guests? */
bool guest_has_la57(const struct guest *guest);
/* After GUEST_LONG was set: one more level above its tables. Returns 0, or -1 with errno. */
int guest_set_la57(struct guest *guest, unsigned int id);

/* Also after a guest_create() that failed. */
void guest_destroy(struct guest *guest);

/*
 * guest_run - run until something is to be done by the vCPU's own thread
 *
 * Returns GUEST_POSTED: a posted write, in cpu->posted; HULL_EXIT_REQUEST: in cpu->own.current, to
 * be answered by hull_answer(&cpu->own, value); another HULL_EXIT_*; -1 with errno.
 */
int guest_run(struct guest *guest, unsigned int id);

#define GUEST_POSTED		100

/*
 * guest_expect_write - run to an OUT or a write to memory, check and answer it
 * Returns 0; -1 after a line that says what came instead.
 */
int guest_expect_write(struct guest *guest, unsigned int id, __u32 space, __u64 address,
		       __u32 size, __u64 value);
/* The same for an IN or a read of memory, answered by @value. */
int guest_expect_read(struct guest *guest, unsigned int id, __u32 space, __u64 address, __u32 size,
		      __u64 value);
/* Run to HLT (of a VM without HULL_VM_IRQCHIP). */
int guest_expect_halt(struct guest *guest, unsigned int id);

#endif
