/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guest that walks through the modes of the CPU: real, "unreal" (limits kept from protected
 * mode), protected with 16 and 32 bits, virtual-8086 and ring 3, 32-bit paging, PAE, long mode with
 * 64 bits and compatibility mode, and back to real. Between them it stops by an OUT to
 * WALK_STOP_PORT, with the stop's number in EAX; its handlers stop as well and return.
 * guest_modes.c follows it.
 */
#ifndef SELFTESTS_WALK_H
#define SELFTESTS_WALK_H

#include "steps.h"

#define WALK_STOP_PORT	0xe9
#define WALK_EVENT_PORT	0xf0		/* handlers, in the order of enum walk_event */
#define WALK_STOPS	41

enum walk_event { INT20, IRQ, UD, GP, PF, EVENTS };
extern const unsigned char walk_vectors[EVENTS];

#define WALK_CODE	0x10000
#define WALK_GDT	0x12000
#define WALK_GDT_LIMIT	0x87
#define WALK_IDT32	0x13000
#define WALK_IDT32_LIMIT 0x1af
#define WALK_IDT64	0x14000
#define WALK_IDT64_LIMIT 0x35f
#define WALK_STACK0	0x39000		/* of handlers, when the level changes */
#define WALK_ROOT(n)	(0x6020 + (n) * 4)	/* values for CR3: 32-bit, PAE, long */
#define WALK_WINDOW	0x40000000ULL	/* differs with the tables; nothing behind */

/* What it reads in EBX, and what it has in R8 to R15. */
#define IN_UNREAL	0x12345678
#define IN_WINDOW(n)	(0x55550000 + (n))
#define IN_HIGH(n)	((n) * 0x1111111100000000ULL + (n))
#define WALK_FS_BASE	0xffff800012345678ULL

/* Selectors */
#define CODE16		0x08
#define DATA16		0x10
#define CODE32		0x18
#define DATA32		0x20
#define ODD		0x28
#define DOWN		0x30
#define READ_ONLY	0x38
#define USER_CODE	0x43
#define USER_DATA	0x4b
#define CODE64		0x50
#define SEL_TSS32	0x58
#define SEL_LDT		0x60
#define SEL_TSS64	0x68
#define STACK16		0x78
#define LEAVE		0x80
#define IN_LDT		0x04

/* What a segment register has after loading it in protected mode. */
struct hull_segment walk_descriptor(__u16 selector);

/* Where the handler of real mode is. */
__u64 walk_real_handler(enum walk_event event);

/* Code, tables and registers for vCPU 0 of a guest of PROGRAM_END bytes. 0, or -1 with errno. */
int walk_start(struct guest *guest);

#endif
