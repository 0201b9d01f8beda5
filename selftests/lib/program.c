// SPDX-License-Identifier: GPL-2.0
/*
 * Guests written in C. See program.h.
 */
#include <stdio.h>
#include <string.h>

#include "program.h"

#define PROGRAM(name, where, ...)						\
	asm(".pushsection .rodata\n"						\
	    "image_" #name ": .incbin \"" PROGRAMS "/" #name ".bin\"\n"		\
	    "image_" #name "_end:\n"						\
	    ".popsection\n");							\
	extern const unsigned char image_##name[], image_##name##_end[];	\
	const struct program program_##name = {					\
		.image = image_##name, .end = image_##name##_end, .base = where, __VA_ARGS__ \
	}

PROGRAM(steps32, PROGRAM_BASE32, .mode = GUEST_PROTECTED);
PROGRAM(steps64, PROGRAM_BASE64, .mode = GUEST_LONG);
PROGRAM(torture32, PROGRAM_BASE32, .mode = GUEST_PROTECTED);
PROGRAM(torture_pae, PROGRAM_BASE32, .mode = GUEST_PROTECTED);
PROGRAM(torture64, PROGRAM_BASE64, .mode = GUEST_LONG);
PROGRAM(torture57, PROGRAM_BASE64, .mode = GUEST_LONG, .la57 = true);

#define CODE32	0x00cf9b000000ffffULL
#define CODE64	0x00af9b000000ffffULL

const struct program_header *program_load(struct guest *guest, const struct program *program)
{
	memcpy(guest->memory + program->base, program->image, program->end - program->image);
	return (const struct program_header *)program->image;
}

void program_set_gates(struct guest *guest, const struct program *program, __u64 idt,
		       unsigned int selector)
{
	const struct program_header *header = (const struct program_header *)program->image;

	trap_write_gate(guest, idt, program->mode, 14, header->page_fault, selector, 0);
	trap_write_gate(guest, idt, program->mode, SOFT_VECTOR, header->soft, selector, 3);
}

int program_start(struct guest *guest, unsigned int id, const struct program *program)
{
	const struct program_header *header;
	__u64 *gdt = (__u64 *)(guest->memory + TRAP_GDT_GPA);

	if (id == 0)
		program_load(guest, program);
	header = (const struct program_header *)program->image;
	if (guest_set_mode(guest, id, program->mode, id ? header->second : header->start) ||
	    trap_install(guest, id, program->mode, 0) ||
	    (program->la57 && guest_set_la57(guest, id)))
		return -1;
	gdt[SELECTOR_CODE32 / 8] = CODE32;
	gdt[SELECTOR_CODE64 / 8] = CODE64;
	program_set_gates(guest, program, TRAP_IDT_GPA, 8);
	return 0;
}

__u32 program_report(struct guest *guest, unsigned int id, const struct program *program, int ret)
{
	const struct hull_mailbox *request = &guest->cpu[id].own.current;
	const struct hull_run *run = guest->cpu[id].run;
	struct trap trap;

	ret = trap_look(guest, id, program->mode, ret, &trap);
	if (ret == HULL_EXIT_REQUEST && request->space == HULL_SPACE_PORT &&
	    request->address == REPORT_PORT && request->size == 4)
		return request->value;
	if (ret == TRAP)
		printf("# vector %u, error %#llx, rip %#llx, rsp %#llx, cr2 %#llx\n", trap.vector,
		       trap.error, trap.rip, trap.frame, trap.cr2);
	else if (ret == HULL_EXIT_REQUEST)
		printf("# space %u, flags %#x, size %u, address %#llx, value %#llx\n",
		       request->space, request->flags, request->size, request->address,
		       request->value);
	else
		printf("# exit %d, reason %u, code %#llx, info %#llx %#llx, rip %#llx\n", ret,
		       run->end_reason, run->end_code, run->end_info[0], run->end_info[1],
		       run->end_rip);
	return 0;
}

__u32 program_run(struct guest *guest, unsigned int id, const struct program *program)
{
	__u32 report = program_report(guest, id, program, guest_run(guest, id));

	if (report)
		hull_answer(&guest->cpu[id].own, 0);
	return report;
}
