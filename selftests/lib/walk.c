// SPDX-License-Identifier: GPL-2.0
/*
 * The guest that walks through all modes: code and tables. See walk.h.
 */
#include <string.h>

#include "walk.h"

#define POINTERS	0x6000		/* operands of LGDT and LIDT */
#define LDT		0x12800
#define LDT_BASE	0x55000
#define TSS32		0x15000
#define TSS64		0x15800
#define FRAME(n)	(PROGRAM_DATA + (n) * 0x1000)
#define ABOVE_REAL	0x123454	/* what a limit of 64 KiB forbids */
#define MAPPED		(2UL << 20)	/* for all, one to one */

/* ---- the guest ------------------------------------------------------------------------------ */

#define AT(label)	"(walk_" label " - guest_walk + 0x10000)"
#define OFF(label)	"(walk_" label " - guest_walk)"
/* Its number in EAX, registers as the last stop has left them; then it leaves others. */
#define STOP(n)									\
	"mov $0xa0000000 + " n ", %eax\n out %al, $0xe9\n" FILL(n)
#define FILL(n)									\
	"mov $0xc1000000 + " n ", %ecx\n mov $0xd2000000 + " n ", %edx\n"	\
	"mov $0x51000000 + " n ", %esi\n mov $0xd1000000 + " n ", %edi\n"	\
	"mov $0xb9000000 + " n ", %ebp\n"
#define LOAD(segment, selector)							\
	"mov $" selector ", %ax\n mov %ax, %" segment "\n"
#define LOAD_DATA(selector)							\
	LOAD("ds", selector) LOAD("es", selector) LOAD("fs", selector) LOAD("gs", selector)
#define SET_CR(number, bits)							\
	"mov %cr" number ", %eax\n or $" bits ", %eax\n mov %eax, %cr" number "\n"
#define CLEAR_CR0(bits)								\
	"mov %cr0, %eax\n and $~" bits ", %eax\n mov %eax, %cr0\n"
/* From 32 bits to virtual-8086 mode, and back by a gate that leads to the label after it. */
#define V86(first, next, label, gate)						\
	"push $0x5432\n push $0x0102\n push $0x2222\n push $0x1111\n"		\
	"push $0x3000\n push $0x5000\n push $0x23202\n"				\
	"push $0x1000\n push $" OFF("in_v86" label) "\n iretl\n"		\
	".code16\n walk_in_v86" label ":\n"					\
	STOP(first) "int $0x20\n ud2\n int $" gate "\n"				\
	".code32\n walk_from_v86" label ":\n"					\
	LOAD_DATA("0x20") "mov $0x36000, %esp\n" STOP(next)
#define RING3(first, next, label, gate)						\
	"push $0x4b\n push $0x35000\n push $0x202\n"				\
	"push $0x43\n push $" AT("in_ring3" label) "\n iretl\n"			\
	"walk_in_ring3" label ":\n" LOAD_DATA("0x4b")				\
	STOP(first) "int $0x20\n int $" gate "\n"				\
	"walk_from_ring3" label ":\n"						\
	LOAD_DATA("0x20") "mov $0x36000, %esp\n" STOP(next)
#define PAGE_FAULT	"mov $0x40001000, %eax\n mov (%rax), %al\n"
#define PAGE_FAULT32	"mov $0x40001000, %eax\n mov (%eax), %al\n"
#define BAD_SELECTOR	"mov $0x99, %ax\n mov %eax, %ds\n"

GUEST(walk, 16,
	STOP("1")
	LOAD("ds", "0") LOAD("es", "0x1234") LOAD("fs", "0xfff") LOAD("gs", "0xffff")
	LOAD("ss", "0x3000") "mov $0x8000, %esp\n"
	STOP("2")
	"int $0x20\n ud2\n sti\n"
	STOP("3")
	"cli\n lgdtl 0x6000\n"
	/* Unreal: FS keeps the limit. */
	SET_CR("0", "1")
	STOP("4")
	LOAD("fs", "0x20")
	CLEAR_CR0("1")
	STOP("5")
	"mov $0x123454, %eax\n mov %fs:(%eax), %ebx\n"
	STOP("6")
	LOAD("fs", "0x2345")
	STOP("7")
	"ljmp $0xff0, $" OFF("other_segment") " + 0x100\n"
	"walk_other_segment:\n"
	STOP("8")
	/* Protected mode, 16 bits */
	SET_CR("0", "1")
	"ljmp $0x08, $" OFF("code16") "\n"
	"walk_code16:\n"
	"lidtl 0x6008\n"
	LOAD("ds", "0x10") LOAD("es", "0x28") LOAD("fs", "0x30") LOAD("gs", "0x38")
	LOAD("ss", "0x78") "mov $0x7000, %esp\n"
	"mov $0x58, %ax\n ltr %ax\n mov $0x60, %ax\n lldt %ax\n"
	STOP("9")
	"int $0x20\n ud2\n sti\n"
	STOP("10")
	"cli\n"
	/* 32 bits, without paging */
	"ljmpl $0x18, $" AT("code32") "\n"
	".code32\n walk_code32:\n"
	LOAD("ds", "0x20") LOAD("es", "0x20") LOAD("fs", "0x28") LOAD("gs", "0x4")
	LOAD("ss", "0x20") "mov $0x36000, %esp\n"
	STOP("11")
	"int $0x20\n ud2\n" BAD_SELECTOR "sti\n"
	STOP("12")
	"cli\n"
	V86("13", "14", "1", "0x30")
	RING3("15", "16", "1", "0x31")
	/* 32-bit paging */
	"mov 0x6020, %eax\n mov %eax, %cr3\n" SET_CR("4", "0x10") SET_CR("0", "0x80000000")
	"mov 0x40000000, %ebx\n"
	STOP("17")
	"int $0x20\n ud2\n" PAGE_FAULT32 BAD_SELECTOR "sti\n"
	STOP("18")
	"cli\n"
	V86("19", "20", "2", "0x32")
	RING3("21", "22", "2", "0x33")
	CLEAR_CR0("0x80000000")
	STOP("23")
	/* PAE */
	"mov 0x6024, %eax\n mov %eax, %cr3\n" SET_CR("4", "0x20") SET_CR("0", "0x80000000")
	"mov 0x40000000, %ebx\n"
	STOP("24")
	"int $0x20\n ud2\n" PAGE_FAULT32 BAD_SELECTOR "sti\n"
	STOP("25")
	"cli\n"
	V86("26", "27", "3", "0x34")
	RING3("28", "29", "3", "0x35")
	CLEAR_CR0("0x80000000")
	STOP("30")
	/* Long mode: compatibility, 64 bits, compatibility */
	"mov 0x6028, %eax\n mov %eax, %cr3\n"
	"mov $0xc0000080, %ecx\n rdmsr\n or $0x100, %eax\n wrmsr\n"
	SET_CR("0", "0x80000000") FILL("30")
	"mov 0x40000000, %ebx\n"
	STOP("31")
	"lidtl 0x6010\n ljmp $0x50, $" AT("code64") "\n"
	".code64\n walk_code64:\n"
	"mov $0x68, %ax\n ltr %ax\n xor %eax, %eax\n lldt %ax\n" LOAD("fs", "0x28")
	"mov $0xc0000100, %ecx\n mov $0xffff8000, %edx\n mov $0x12345678, %eax\n wrmsr\n"
	FILL("31")
	"movabs $0x8888888800000008, %r8\n movabs $0x9999999900000009, %r9\n"
	"movabs $0xaaaaaaaa0000000a, %r10\n movabs $0xbbbbbbbb0000000b, %r11\n"
	"movabs $0xcccccccc0000000c, %r12\n movabs $0xdddddddd0000000d, %r13\n"
	"movabs $0xeeeeeeee0000000e, %r14\n movabs $0xffffffff0000000f, %r15\n"
	STOP("32")
	"int $0x20\n ud2\n" PAGE_FAULT BAD_SELECTOR "sti\n"
	STOP("33")
	"cli\n push $0x18\n push $" AT("compatibility") "\n lretq\n"
	".code32\n walk_compatibility:\n" LOAD("fs", "0x28")
	STOP("34")
	"int $0x20\n ud2\n" PAGE_FAULT32 BAD_SELECTOR "sti\n"
	STOP("35")
	"cli\n"
	CLEAR_CR0("0x80000000")
	STOP("36")
	"mov $0xc0000080, %ecx\n rdmsr\n and $~0x100, %eax\n wrmsr\n" FILL("36")
	"lidtl 0x6008\n"
	STOP("37")
	"int $0x20\n ud2\n"
	/* 16 bits, and real mode */
	"ljmp $0x08, $" OFF("leave") "\n"
	".code16\n walk_leave:\n"
	LOAD_DATA("0x80") LOAD("ss", "0x80") "mov $0x6000, %esp\n"
	STOP("38")
	CLEAR_CR0("1")
	STOP("39")
	"ljmp $0x1000, $" OFF("real") "\n"
	"walk_real:\n"
	LOAD("ds", "0") "lidtl 0x6018\n"
	LOAD("es", "0x1234") LOAD("ss", "0x3000") "mov $0x8000, %esp\n"
	STOP("40")
	"int $0x20\n ud2\n sti\n"
	STOP("41")
	"hlt\n"

	"walk_real_INT20: out %al, $0xf0\n iret\n"
	"walk_real_IRQ: out %al, $0xf1\n iret\n"
	/* The instructions that fault have two bytes. */
	"walk_real_UD: out %al, $0xf2\n"
	"push %bp\n mov %sp, %bp\n addw $2, 2(%bp)\n pop %bp\n iret\n"
	".code32\n"
	"walk_32_INT20: out %al, $0xf0\n iretl\n"
	"walk_32_IRQ: out %al, $0xf1\n iretl\n"
	"walk_32_UD: out %al, $0xf2\n addl $2, (%esp)\n iretl\n"
	"walk_32_GP: out %al, $0xf3\n addl $2, 4(%esp)\n add $4, %esp\n iretl\n"
	"walk_32_PF: out %al, $0xf4\n addl $2, 4(%esp)\n add $4, %esp\n iretl\n"
	".code64\n"
	"walk_64_INT20: out %al, $0xf0\n iretq\n"
	"walk_64_IRQ: out %al, $0xf1\n iretq\n"
	"walk_64_UD: out %al, $0xf2\n addq $2, (%rsp)\n iretq\n"
	"walk_64_GP: out %al, $0xf3\n addq $2, 8(%rsp)\n add $8, %rsp\n iretq\n"
	"walk_64_PF: out %al, $0xf4\n addq $2, 8(%rsp)\n add $8, %rsp\n iretq\n");

extern const unsigned char walk_real_INT20[], walk_real_IRQ[], walk_real_UD[];
extern const unsigned char walk_32_INT20[], walk_32_IRQ[], walk_32_UD[], walk_32_GP[], walk_32_PF[];
extern const unsigned char walk_64_INT20[], walk_64_IRQ[], walk_64_UD[], walk_64_GP[], walk_64_PF[];
extern const unsigned char walk_from_v861[], walk_from_v862[], walk_from_v863[];
extern const unsigned char walk_from_ring31[], walk_from_ring32[], walk_from_ring33[];

static const unsigned char *const real_handlers[] = {
	walk_real_INT20, walk_real_IRQ, walk_real_UD,
};
static const unsigned char *const handlers32[EVENTS] = {
	walk_32_INT20, walk_32_IRQ, walk_32_UD, walk_32_GP, walk_32_PF,
};
static const unsigned char *const handlers64[EVENTS] = {
	walk_64_INT20, walk_64_IRQ, walk_64_UD, walk_64_GP, walk_64_PF,
};
static const unsigned char *const ways_back[] = {	/* from vector 0x30 on */
	walk_from_v861, walk_from_ring31, walk_from_v862, walk_from_ring32, walk_from_v863,
	walk_from_ring33,
};
const unsigned char walk_vectors[EVENTS] = { 0x20, 0x21, 6, 13, 14 };

/* ---- its tables ----------------------------------------------------------------------------- */

static const struct { __u16 selector; struct hull_segment is; } descriptors[] = {
	{ CODE16, { .base = WALK_CODE, .limit = 0xffff, .attr = 0x09b } },
	{ DATA16, { .base = 0x20000, .limit = 0xffff, .attr = 0x093 } },
	{ CODE32, { .limit = 0xffffffff, .attr = 0xc9b } },
	{ DATA32, { .limit = 0xffffffff, .attr = 0xc93 } },
	{ ODD, { .base = 0x12345, .limit = 0xabcd, .attr = 0x093 } },
	{ DOWN, { .base = 0x40000, .limit = 0xfff, .attr = 0x097 } },
	{ READ_ONLY, { .base = 0x80000000, .limit = 0x12fff, .attr = 0x991 } },
	{ USER_CODE, { .limit = 0xffffffff, .attr = 0xcfb } },
	{ USER_DATA, { .limit = 0xffffffff, .attr = 0xcf3 } },
	{ CODE64, { .limit = 0xffffffff, .attr = 0xa9b } },
	{ SEL_TSS32, { .base = TSS32, .limit = 0x88, .attr = 0x089 } },
	{ SEL_LDT, { .base = LDT, .limit = 7, .attr = 0x082 } },
	{ SEL_TSS64, { .base = TSS64, .limit = 0x67, .attr = 0x089 } },
	{ STACK16, { .base = 0x30000, .limit = 0xffff, .attr = 0x093 } },
	{ LEAVE, { .limit = 0xffff, .attr = 0x093 } },
	{ IN_LDT, { .base = LDT_BASE, .limit = 0x1ff, .attr = 0x093 } },
};

struct hull_segment walk_descriptor(__u16 selector)
{
	struct hull_segment segment = { .selector = selector };
	unsigned int i;

	for (i = 0; i < sizeof(descriptors) / sizeof(descriptors[0]); i++) {
		if (descriptors[i].selector == selector)
			segment = descriptors[i].is;
	}
	segment.selector = selector;
	return segment;
}

static void write_descriptor(struct guest *guest, __u16 selector, const struct hull_segment *is)
{
	__u64 limit = is->attr & 0x800 ? is->limit >> 12 : is->limit, *at;

	at = (__u64 *)(guest->memory + (selector & 4 ? LDT : WALK_GDT) + (selector & ~7));
	at[0] = (limit & 0xffff) | (is->base & 0xffffff) << 16 | (__u64)(is->attr & 0xff) << 40 |
		(limit >> 16 & 0xf) << 48 | (__u64)(is->attr >> 8) << 52 |
		(is->base >> 24 & 0xff) << 56;
}

static void write_pointer(struct guest *guest, unsigned int number, __u16 limit, __u32 base)
{
	memcpy(guest->memory + POINTERS + number * 8, &limit, 2);
	memcpy(guest->memory + POINTERS + number * 8 + 2, &base, 4);
}

static void write_gates(struct guest *guest)
{
	unsigned int i;

	for (i = 0; i < EVENTS; i++) {
		if (i <= UD)
			trap_write_gate(guest, 0, GUEST_REAL, walk_vectors[i],
					WALK_CODE + (real_handlers[i] - guest_walk), 0, 0);
		trap_write_gate(guest, WALK_IDT32, GUEST_PROTECTED, walk_vectors[i],
				WALK_CODE + (handlers32[i] - guest_walk), CODE32,
				i == INT20 ? 3 : 0);
		trap_write_gate(guest, WALK_IDT64, GUEST_LONG, walk_vectors[i],
				WALK_CODE + (handlers64[i] - guest_walk), CODE64, 0);
	}
	for (i = 0; i < sizeof(ways_back) / sizeof(ways_back[0]); i++)
		trap_write_gate(guest, WALK_IDT32, GUEST_PROTECTED, 0x30 + i,
				WALK_CODE + (ways_back[i] - guest_walk), CODE32, 3);
}

/* One to one, and the window. Returns the next free page. */
static __u64 write_tables(struct guest *guest, unsigned int number, enum paging_kind kind,
			  __u64 next)
{
	struct paging paging;
	__u64 gpa;

	paging_init(&paging, guest, kind, next, PROGRAM_END);
	for (gpa = 0; gpa < MAPPED; gpa += 4096)
		paging_map(&paging, gpa, 1, gpa | PTE_P | PTE_W | PTE_U);
	paging_map(&paging, WALK_WINDOW, 1, FRAME(number) | PTE_P | PTE_W | PTE_U);
	*(__u32 *)(guest->memory + FRAME(number)) = IN_WINDOW(number);
	*(__u32 *)(guest->memory + WALK_ROOT(number)) = paging.root;
	return paging.next;
}

int walk_start(struct guest *guest)
{
	const __u32 tss[] = { 0, WALK_STACK0, DATA32 };
	const __u64 stack = WALK_STACK0;
	__u64 next = PROGRAM_TABLES;
	unsigned int i;

	for (i = 0; i < sizeof(descriptors) / sizeof(descriptors[0]); i++)
		write_descriptor(guest, descriptors[i].selector, &descriptors[i].is);
	write_pointer(guest, 0, WALK_GDT_LIMIT, WALK_GDT);
	write_pointer(guest, 1, WALK_IDT32_LIMIT, WALK_IDT32);
	write_pointer(guest, 2, WALK_IDT64_LIMIT, WALK_IDT64);
	write_pointer(guest, 3, 0x3ff, 0);
	write_gates(guest);
	memcpy(guest->memory + TSS32, tss, sizeof(tss));
	/* All ports up to 0xff, for virtual-8086 mode and ring 3 */
	*(__u16 *)(guest->memory + TSS32 + 0x66) = 0x68;
	memset(guest->memory + TSS32 + 0x68, 0, 0x20);
	guest->memory[TSS32 + 0x88] = 0xff;
	memcpy(guest->memory + TSS64 + 4, &stack, sizeof(stack));
	*(__u32 *)(guest->memory + ABOVE_REAL) = IN_UNREAL;
	for (i = 0; i < 3; i++)
		next = write_tables(guest, i, PAGING_32 + i, next);
	return guest_start(guest, 0, GUEST_REAL, GUEST_CODE(walk));
}

__u64 walk_real_handler(enum walk_event event)
{
	return WALK_CODE + (real_handlers[event] - guest_walk);
}
