/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Exceptions and interrupts of a test's guest, seen by the launcher.
 *
 * trap_install() gives a guest descriptor tables whose handlers tell the launcher by a write to
 * TRAP_PORT, with vector, error code and frame on the guest's stack, and return when it answers.
 * The handlers change no register, so a test can look at the guest as it was interrupted.
 *
 * In guest memory, for all vCPUs (see guest.h for the rest):
 *	0x20000	IDT, or real mode's vectors at 0
 *	0x21000	handlers, 32 bytes each
 *	0x23000	GDT: 0x08 kernel code, 0x10 data, 0x1b user data, 0x23 user code,
 *		0x28 + 16 * cpu TSS
 *	0x24000	TSS, 0x80 bytes for each vCPU
 *	0x28000	stacks of handlers, one page for each vCPU
 */
#ifndef SELFTESTS_TRAP_H
#define SELFTESTS_TRAP_H

#include "guest.h"

#define TRAP_PORT	0xea
#define TRAP_STEPPED	256	/* trap_try(): the code ran to its end */
#define TRAP_MARK_PORT	0xeb	/* what trap_try() puts behind the code */

#define TRAP_IDT_GPA	0x20000
#define TRAP_STUB_GPA(vector)	(0x21000 + (vector) * 32)
#define TRAP_GDT_GPA	0x23000
#define TRAP_TSS_GPA(cpu)	(0x24000 + (cpu) * 0x80)
#define TRAP_STACK_GPA(cpu)	(0x28ff0 + (cpu) * 0x1000)

/* Flags of trap_install() */
#define TRAP_OWN_STACK	(1U << 0)	/* long mode: handlers never use the guest's RSP */
#define TRAP_COUNT_IRQS	(1U << 1)	/* long mode: vectors from 32 on count, EOI, return */

#define TRAP_COUNTER_GPA(vector)	(0x2a000 + (vector) * 4)

/**
 * struct trap - what a handler found
 * @vector: exception or interrupt
 * @error: error code; 0 where there is none
 * @frame: guest-physical address of it all, the vector first
 * @rsp: long mode only, as @ss
 */
struct trap {
	__u32 vector;
	__u64 error;
	__u64 rip, cs, rflags;
	__u64 rsp, ss;
	__u64 cr2;
	__u64 frame;
};

/* After guest_start(), which sets the mode. Returns 0, or -1 with errno. */
int trap_install(struct guest *guest, unsigned int id, enum guest_mode mode, __u32 flags);

/* Another handler for one vector: code at @gpa, which returns by itself. Long mode. */
void trap_set_gate(struct guest *guest, unsigned int vector, __u64 gpa);
/* The same in any IDT and mode; @selector: of the code; @dpl: who may use it by INT. */
void trap_write_gate(struct guest *guest, __u64 idt, enum guest_mode mode, unsigned int vector,
		     __u64 gpa, unsigned int selector, unsigned int dpl);

/*
 * trap_run - run to a handler, or what else comes
 * Returns TRAP with @trap filled, else what guest_run() does.
 */
int trap_run(struct guest *guest, unsigned int id, enum guest_mode mode, struct trap *trap);
#define TRAP		101

/* The same, when guest_run() has returned @ret already. */
int trap_look(struct guest *guest, unsigned int id, enum guest_mode mode, int ret,
	      struct trap *trap);

/* Let the handler return to @rip. */
int trap_return(struct guest *guest, unsigned int id, enum guest_mode mode, const struct trap *trap,
		__u64 rip);

/* Run to the handler of @vector. Returns 0; -1 after a line that says what came instead. */
int trap_expect(struct guest *guest, unsigned int id, enum guest_mode mode, __u32 vector,
		struct trap *trap);

/**
 * trap_try - run a few bytes of code and see what comes of them
 * @guest: with trap_install()
 * @mode: as it was installed
 * @gpa: where the code is put, with an OUT to TRAP_MARK_PORT behind it
 * @code: bytes
 * @len: how many
 * @gprs: registers to begin with, and those at the end; RIP, RSP and RFLAGS are set here
 * @trap: filled
 *
 * vCPU 0. A HLT of a VM without controllers is passed over. Returns TRAP_STEPPED when the OUT was
 * reached; the vector when a handler was; else -1 after a line that says what came instead.
 */
int trap_try(struct guest *guest, enum guest_mode mode, __u64 gpa, const void *code, size_t len,
	     struct hull_gprs *gprs, struct trap *trap);

/* ---- state, one group at a time; -1 with errno ---------------------------------------------- */

int guest_get_gprs(struct guest *guest, unsigned int id, struct hull_gprs *gprs);
int guest_set_gprs(struct guest *guest, unsigned int id, const struct hull_gprs *gprs);
int guest_get_control(struct guest *guest, unsigned int id, struct hull_control *control);
int guest_set_control(struct guest *guest, unsigned int id, const struct hull_control *control);
int guest_get_segments(struct guest *guest, unsigned int id, struct hull_segments *segments);
int guest_set_segments(struct guest *guest, unsigned int id, const struct hull_segments *segments);
/* Nothing pending, running. */
int guest_clear_events(struct guest *guest, unsigned int id);

#endif
