// SPDX-License-Identifier: GPL-2.0
/*
 * bench hull|kvm [OPERATION]: what operations of a guest cost. One line an operation:
 *
 *	NAME INSN EXITS WINDOWS RETURNS		each per operation, in thousandths
 *
 * bench loop OPERATION: the guest's address of OPERATION's loop, for steps.c.
 *
 * INSN is a difference of the time-stamp counter as the guest sees it. Under icount, and in Bochs,
 * that counter counts instructions of L1 and L2 together, so the figures are exact; without, they
 * are cycles of an emulator and mean little. The first line shows which it is: an empty loop of two
 * instructions. An operation's loop is measured against that one.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <x86intrin.h>

#include "bench.h"

/* @setup once; then R15 times @body, which may use RAX, RBX, RCX, RDX, RSI, RDI. */
#define OPERATION(name, setup, body)						\
	asm(".pushsection .rodata\n"						\
	    "op_" #name ":\n"							\
	    setup "\n"								\
	    "mov %rax, %r8; mov %rdx, %r9\n"					\
	    "rdtsc; shl $32, %rdx; or %rdx, %rax; mov %rax, %r14\n"		\
	    "mov %r8, %rax; mov %r9, %rdx\n"					\
	    ".balign 16, 0x90\n"						\
	    "loop_" #name ": 1:\n"						\
	    body "\n"								\
	    "dec %r15; jnz 1b\n"						\
	    "rdtsc; shl $32, %rdx; or %rdx, %rax; sub %r14, %rax\n"		\
	    "mov %rax, (%r13)\n"						\
	    "cli; out %al, $0xf4\n"						\
	    "hlt\n"								\
	    "op_" #name "_end:\n"						\
	    ".popsection\n");							\
	extern const uint8_t op_##name[], loop_##name[], op_##name##_end[]

/* x2APIC on, software-enabled */
#define X2APIC	"mov $0x1b, %ecx; rdmsr; or $0xc00, %eax; wrmsr;"		\
		"mov $0x80f, %ecx; mov $0x1ff, %eax; xor %edx, %edx; wrmsr;"
#define SELF_IPI "mov $0x830, %ecx; mov $0x44040, %eax; xor %edx, %edx; wrmsr;"
#define EOI	"mov $0x80b, %ecx; xor %eax, %eax; xor %edx, %edx; wrmsr;"

OPERATION(empty, "", "");
OPERATION(cpuid, "", "xor %eax, %eax; xor %ecx, %ecx; cpuid");
OPERATION(vmmcall, "", "mov $1, %eax; vmmcall");
OPERATION(vmcall, "", "mov $1, %eax; vmcall");
OPERATION(port_read, "", "in $0x21, %al");
OPERATION(port_write, "mov $0xff, %al", "out %al, $0x21");
OPERATION(port_launcher, "mov $0x380, %edx", "in (%dx), %al");
OPERATION(memory_launcher, "mov $0xd0000000, %ebx", "mov %eax, (%rbx)");
OPERATION(doorbell_port, "mov $0x3a0, %edx", "out %eax, (%dx)");
OPERATION(doorbell_memory, "mov $0xd0001000, %ebx", "mov %eax, (%rbx)");
OPERATION(posted, "mov $0x390, %edx", "out %eax, (%dx)");
OPERATION(pm_timer, "mov $0x608, %edx", "in (%dx), %eax");
OPERATION(msr_read, "mov $0x3b, %ecx", "rdmsr");
OPERATION(msr_write, "mov $0x3b, %ecx; xor %eax, %eax; xor %edx, %edx", "wrmsr");
OPERATION(icr_write, X2APIC "mov $0x830, %ecx; mov $0x44040, %eax; xor %edx, %edx", "wrmsr");
OPERATION(eoi_write, X2APIC "mov $0x80b, %ecx; xor %eax, %eax; xor %edx, %edx", "wrmsr");
OPERATION(self_ipi, X2APIC "sti", SELF_IPI "nop");
OPERATION(sti_hlt, X2APIC, "cli;" SELF_IPI "sti; hlt");
OPERATION(deadline, X2APIC
	  "mov $0x832, %ecx; mov $0x40040, %eax; xor %edx, %edx; wrmsr; mfence; sti",
	  "mov $0x6e0, %ecx; mov $1, %eax; xor %edx, %edx; wrmsr; nop");
OPERATION(cr0_wp, "mov %cr0, %rsi; mov %rsi, %rdi; btr $16, %rdi", "mov %rdi, %cr0; mov %rsi, %cr0");
OPERATION(cr4_pge, "mov %cr4, %rsi; mov %rsi, %rdi; btr $7, %rdi", "mov %rdi, %cr4; mov %rsi, %cr4");
OPERATION(cr3_load, "mov %cr3, %rsi", "mov %rsi, %cr3");
OPERATION(cr3_switch, "mov %cr3, %rsi; mov %rsi, %rdi; xor $0x18, %rdi",
	  "mov %rdi, %cr3; mov %rsi, %cr3");
OPERATION(invlpg, "mov $0x300000, %ebx", "invlpg (%rbx)");
OPERATION(guest_fault, "mov $0x100000000, %rbx", "mov (%rbx), %al");
OPERATION(fresh_page, "mov $0x200000, %ebx", "mov %eax, (%rbx); add $4096, %rbx");
/*
 * The run that warms up writes page directories as memory, uses them, and has them found unchanged
 * by many flushes; then it writes elsewhere. So the other one finds each write-protected, and
 * mapped writable but for that. No leaf tables: those are not protected everywhere.
 */
OPERATION(table_write, "mov $" STRING(GPA_RESTING) ", %ebx; cmp $" STRING(WARM_UP) ", %r15;"
	  "jne 3f; mov $" STRING(NR_RESTING) ", %ecx; mov $0x8000000000, %rdx; mov %cr3, %rsi;"
	  "2: mov %rsi, 0xff8(%rbx); mov (%rdx), %al; add $4096, %rbx; add $0x40000000, %rdx;"
	  "dec %ecx; jnz 2b;"
	  "mov $40, %ecx; 2: mov %rsi, %cr3; dec %ecx; jnz 2b;"
	  "mov $" STRING(GPA_FRESH) ", %ebx; 3:", "mov %rbx, 0xff8(%rbx); add $4096, %rbx");

/* The interrupt's handler: EOI and back. */
asm(".pushsection .rodata\n"
    "handler: push %rax; push %rcx; push %rdx\n" EOI
    "pop %rdx; pop %rcx; pop %rax; iretq\n"
    "handler_end:\n"
    ".popsection\n");
extern const uint8_t handler[], handler_end[];

/* And that of page faults: step over an instruction of two bytes. */
asm(".pushsection .rodata\n"
    "fault_handler: add $8, %rsp; addq $2, (%rsp); iretq\n"
    "fault_handler_end:\n"
    ".popsection\n");
extern const uint8_t fault_handler[], fault_handler_end[];
#define FAULT_HANDLER	(GPA_HANDLER + 0x100)

#define ROW(name, repeat)	{ #name, op_##name, loop_##name, op_##name##_end, repeat }

static const struct {
	const char *name;
	const uint8_t *code, *loop, *end;
	uint64_t repeat;
} operations[] = {
	ROW(empty, 4096),
	ROW(cpuid, 4096), ROW(vmmcall, 4096), ROW(vmcall, 4096), ROW(port_read, 4096),
	ROW(port_write, 4096), ROW(port_launcher, 1024), ROW(memory_launcher, 1024),
	ROW(doorbell_port, 1024), ROW(doorbell_memory, 1024), ROW(posted, 4096),
	ROW(pm_timer, 1024), ROW(msr_read, 4096),
	ROW(msr_write, 1024), ROW(icr_write, 1024), ROW(eoi_write, 1024), ROW(self_ipi, 1024),
	ROW(sti_hlt, 1024), ROW(deadline, 512), ROW(cr0_wp, 1024), ROW(cr4_pge, 1024),
	ROW(cr3_load, 1024), ROW(cr3_switch, 1024), ROW(invlpg, 1024), ROW(guest_fault, 1024),
	ROW(fresh_page, FRESH_PAGES), ROW(table_write, NR_RESTING),
};

void die(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

void *guest_memory_map(void)
{
	void *map = mmap(NULL, GUEST_MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);

	if (map == MAP_FAILED || madvise(map, GUEST_MEMORY, MADV_NOHUGEPAGE))
		die("guest memory");
	return map;
}

static void set_gate(uint8_t *memory, unsigned int vector, uint16_t gpa)
{
	uint16_t *gate = (void *)(memory + GPA_IDT + vector * 16);

	gate[0] = gpa;
	gate[1] = 8;
	gate[2] = 0x8e00;
}

static void fill_memory(uint8_t *memory)
{
	uint64_t *gdt = (void *)(memory + GPA_GDT), *tables = (void *)(memory + GPA_TABLES);
	int i;

	gdt[1] = 0x00af9b000000ffff;
	gdt[2] = 0x00cf93000000ffff;
	set_gate(memory, VECTOR, GPA_HANDLER);
	set_gate(memory, 14, FAULT_HANDLER);
	memcpy(memory + GPA_HANDLER, handler, handler_end - handler);
	memcpy(memory + FAULT_HANDLER, fault_handler, fault_handler_end - fault_handler);
	/* 4 GiB one to one by 2 MiB pages. */
	tables[0] = (GPA_TABLES + 0x1000) | 3;
	for (i = 0; i < 4; i++)
		tables[512 + i] = (GPA_TABLES + 0x2000 + i * 0x1000) | 3;
	for (i = 0; i < 2048; i++)
		tables[1024 + i] = ((uint64_t)i << 21) | 0x83;
	tables[1] = GPA_RESTING_PDPT | 3;
	for (i = 0; i < NR_RESTING; i++) {
		uint64_t gpa = GPA_RESTING + i * 0x1000;

		((uint64_t *)(memory + GPA_RESTING_PDPT))[i] = gpa | 3;
		*(uint64_t *)(memory + gpa) = 0x83;
	}
}

static void measure(const struct hypervisor *on, struct machine *machine, int row,
		    uint64_t *empty)
{
	uint64_t repeat = operations[row].repeat, insn;
	struct count before = { 0 }, after = { 0 };
	uint8_t *memory = on->memory(machine);

	memcpy(memory + GPA_CODE, operations[row].code, operations[row].end - operations[row].code);
	/* Once to warm up: pages, caches of the hypervisor. */
	if (strcmp(operations[row].name, "fresh_page"))
		on->run(machine, WARM_UP, GPA_RESULT);
	on->counters(machine, &before);
	on->run(machine, repeat, GPA_RESULT);
	on->counters(machine, &after);
	memcpy(&insn, memory + GPA_RESULT, sizeof(insn));
	if (!strcmp(operations[row].name, "empty"))
		*empty = insn * 1000 / repeat;
	printf("%s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", operations[row].name,
	       insn * 1000 / repeat - (row ? *empty : 0),
	       (after.exits - before.exits) * 1000 / repeat,
	       (after.windows - before.windows) * 1000 / repeat,
	       (after.returns - before.returns) * 1000 / repeat);
}

#define CREATIONS	20

static void measure_creation(const struct hypervisor *on)
{
	uint64_t start;
	int i;

	on->create_destroy();
	start = __rdtsc();
	for (i = 0; i < CREATIONS; i++)
		on->create_destroy();
	printf("create_destroy %" PRIu64 " 0 0 0\n",
	       (uint64_t)(__rdtsc() - start) * 1000 / CREATIONS);
}

#define NR_OPERATIONS	(sizeof(operations) / sizeof(operations[0]))

/* Each vendor has a hypercall of its own. */
static bool is_here(const char *name)
{
	bool intel = __builtin_cpu_is("intel");

	return strcmp(name, intel ? "vmmcall" : "vmcall");
}

/* All of them, or only the one called @name, and then with its loop. */
static void measure_all(const struct hypervisor *on, const char *name)
{
	struct machine *machine = on->create();
	uint64_t empty = 0;
	size_t row;

	fill_memory(on->memory(machine));
	for (row = 0; row < NR_OPERATIONS; row++) {
		if (name ? !strcmp(name, operations[row].name) : is_here(operations[row].name))
			measure(on, machine, row, &empty);
	}
	if (!name)
		measure_creation(on);
}

static bool print_loop(const char *name)
{
	size_t row;

	for (row = 0; row < NR_OPERATIONS; row++) {
		if (strcmp(name, operations[row].name))
			continue;
		printf("%#lx\n", GPA_CODE + (operations[row].loop - operations[row].code));
		return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "", *name = argc > 2 ? argv[2] : NULL;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(what, "hull"))
		measure_all(&on_hull, name);
	else if (!strcmp(what, "kvm"))
		measure_all(&on_kvm, name);
	else if (strcmp(what, "loop") || !name || !print_loop(name))
		goto usage;
	return 0;

usage:
	fprintf(stderr, "usage: bench hull|kvm [OPERATION]; bench loop OPERATION\n");
	return 2;
}
