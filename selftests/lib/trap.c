// SPDX-License-Identifier: GPL-2.0
/*
 * Descriptor tables and handlers of a test's guest. See trap.h.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "trap.h"

#define ATTR_TSS64	0x89	/* available */
#define GATE_INTERRUPT	0x8e

/* ---- state ---------------------------------------------------------------------------------- */

#define GET_SET(name, GROUP)								\
int guest_get_##name(struct guest *guest, unsigned int id, struct hull_##name *to)	\
{											\
	static __thread struct hull_vcpu_state state;					\
	int ret = hull_get_state(guest->cpu[id].fd, GROUP, &state);			\
											\
	*to = state.name;								\
	return ret;									\
}											\
											\
int guest_set_##name(struct guest *guest, unsigned int id, const struct hull_##name *from) \
{											\
	static __thread struct hull_vcpu_state state;					\
											\
	state.name = *from;								\
	return hull_set_state(guest->cpu[id].fd, GROUP, &state);			\
}

GET_SET(gprs, HULL_GROUP_GPRS)
GET_SET(control, HULL_GROUP_CONTROL)
GET_SET(segments, HULL_GROUP_SEGMENTS)

int guest_clear_events(struct guest *guest, unsigned int id)
{
	static const struct hull_vcpu_state none;

	return hull_set_state(guest->cpu[id].fd, HULL_GROUP_EVENTS, &none);
}

/* ---- tables --------------------------------------------------------------------------------- */

/* Exceptions that push an error code. */
#define HAS_ERROR	((1U << 8) | (1U << 10) | (1U << 11) | (1U << 12) | (1U << 13) | \
			 (1U << 14) | (1U << 17) | (1U << 21) | (1U << 29) | (1U << 30))

static bool has_error(unsigned int vector)
{
	return vector < 32 && (HAS_ERROR & (1U << vector));
}

static unsigned char *put(unsigned char *at, const void *bytes, size_t len)
{
	memcpy(at, bytes, len);
	return at + len;
}

static unsigned char *put32(unsigned char *at, __u32 value)
{
	return put(at, &value, sizeof(value));
}

/* Push a zero for a missing error code, push the vector, OUT, drop both, IRET. */
static void write_stub(unsigned char *at, unsigned int vector, enum guest_mode mode)
{
	__u16 small = vector;

	if (mode == GUEST_REAL) {
		at = put(at, "\x6a\x00\x68", 3);
		at = put(at, &small, 2);
		put(at, "\xe6\xea\x83\xc4\x04\xcf", 6);
		return;
	}
	if (!has_error(vector))
		at = put(at, "\x6a\x00", 2);
	at = put(at, "\x68", 1);
	at = put32(at, vector);
	if (mode == GUEST_LONG)
		put(at, "\xe6\xea\x48\x83\xc4\x10\x48\xcf", 8);
	else
		put(at, "\xe6\xea\x83\xc4\x08\xcf", 6);
}

/* lock incl counter; movl to the EOI register by a 32-bit address; iretq */
static void write_counter(unsigned char *at, unsigned int vector)
{
	at = put(at, "\xf0\xff\x04\x25", 4);
	at = put32(at, TRAP_COUNTER_GPA(vector));
	at = put(at, "\x67\xc7\x04\x25\xb0\x00\xe0\xfe\x00\x00\x00\x00", 12);
	put(at, "\x48\xcf", 2);
}

/* @type: selector, gate, DPL and P, the number of a stack in its low byte */
static void put_gate(struct guest *guest, __u64 idt, enum guest_mode mode, unsigned int vector,
		     __u64 gpa, __u32 type)
{
	__u16 *vectors = (__u16 *)guest->memory;
	__u32 *gate;

	switch (mode) {
	case GUEST_REAL:
		vectors[vector * 2] = gpa & 0xf;
		vectors[vector * 2 + 1] = gpa >> 4;
		break;
	case GUEST_PROTECTED:
		gate = (__u32 *)(guest->memory + idt + vector * 8);
		gate[0] = (type & 0xffff0000) | (gpa & 0xffff);
		gate[1] = (gpa & 0xffff0000) | (type & 0xff00);
		break;
	case GUEST_LONG:
		gate = (__u32 *)(guest->memory + idt + vector * 16);
		gate[0] = (type & 0xffff0000) | (gpa & 0xffff);
		gate[1] = (gpa & 0xffff0000) | (type & 0xffff);
		gate[2] = gpa >> 32;
		gate[3] = 0;
		break;
	}
}

void trap_set_gate(struct guest *guest, unsigned int vector, __u64 gpa)
{
	trap_write_gate(guest, TRAP_IDT_GPA, GUEST_LONG, vector, gpa, 8, 0);
}

void trap_write_gate(struct guest *guest, __u64 idt, enum guest_mode mode, unsigned int vector,
		     __u64 gpa, unsigned int selector, unsigned int dpl)
{
	put_gate(guest, idt, mode, vector, gpa, selector << 16 | GATE_INTERRUPT << 8 | dpl << 13);
}

static void write_gdt(struct guest *guest, enum guest_mode mode)
{
	__u64 *gdt = (__u64 *)(guest->memory + TRAP_GDT_GPA);
	unsigned int id;

	gdt[0] = 0;
	gdt[1] = mode == GUEST_LONG ? 0x00af9b000000ffffULL : 0x00cf9b000000ffffULL;
	gdt[2] = 0x00cf93000000ffffULL;
	gdt[3] = 0x00cff3000000ffffULL;
	gdt[4] = mode == GUEST_LONG ? 0x00affb000000ffffULL : 0x00cffb000000ffffULL;
	for (id = 0; id < GUEST_MAX_CPUS; id++) {
		__u64 base = TRAP_TSS_GPA(id);

		gdt[5 + id * 2] = 0x67 | (base & 0xffffff) << 16 | (__u64)ATTR_TSS64 << 40 |
				  (base >> 24) << 56;
		gdt[6 + id * 2] = base >> 32;
	}
}

static void write_tss(struct guest *guest, unsigned int id, enum guest_mode mode)
{
	unsigned char *tss = guest->memory + TRAP_TSS_GPA(id);
	__u64 stack = TRAP_STACK_GPA(id);
	__u32 selector = 0x10;

	memset(tss, 0, 0x68);
	memcpy(tss + 4, &stack, mode == GUEST_LONG ? 8 : 4);	/* RSP0, ESP0 */
	if (mode == GUEST_LONG)
		memcpy(tss + 0x24, &stack, 8);			/* IST1 */
	else
		memcpy(tss + 8, &selector, 4);			/* SS0 */
	tss[0x66] = 0x68;					/* no I/O permission map */
}

int trap_install(struct guest *guest, unsigned int id, enum guest_mode mode, __u32 flags)
{
	struct hull_segments segments;
	unsigned int vector;

	for (vector = 0; vector < 256; vector++) {
		unsigned char *stub = guest->memory + TRAP_STUB_GPA(vector);

		if (vector >= 32 && (flags & TRAP_COUNT_IRQS))
			write_counter(stub, vector);
		else
			write_stub(stub, vector, mode);
		put_gate(guest, TRAP_IDT_GPA, mode, vector, TRAP_STUB_GPA(vector),
			 8 << 16 | GATE_INTERRUPT << 8 | ((flags & TRAP_OWN_STACK) ? 1 : 0));
	}
	if (mode == GUEST_REAL)
		return 0;
	write_gdt(guest, mode);
	write_tss(guest, id, mode);
	if (guest_get_segments(guest, id, &segments))
		return -1;
	segments.gdtr = (struct hull_segment) { .base = TRAP_GDT_GPA, .limit = 0xff };
	segments.idtr = (struct hull_segment) {
		.base = TRAP_IDT_GPA, .limit = mode == GUEST_LONG ? 0xfff : 0x7ff,
	};
	/* QEMU aborts when a 32-bit handler comes from CPL 3 and the TSS is busy, as it should. */
	segments.tr = (struct hull_segment) {
		.base = TRAP_TSS_GPA(id), .limit = 0x67, .selector = 0x28 + id * 16,
		.attr = mode == GUEST_LONG ? 0x8b : 0x89,
	};
	return guest_set_segments(guest, id, &segments);
}

/* ---- running -------------------------------------------------------------------------------- */

static void read_frame(struct guest *guest, enum guest_mode mode, struct trap *trap)
{
	const void *at = guest->memory + trap->frame;
	const __u64 *wide = at;
	const __u32 *narrow = at;
	const __u16 *real = at;

	switch (mode) {
	case GUEST_REAL:
		trap->vector = real[0];
		trap->error = real[1];
		trap->rip = real[2];
		trap->cs = real[3];
		trap->rflags = real[4];
		break;
	case GUEST_PROTECTED:
		trap->vector = narrow[0];
		trap->error = narrow[1];
		trap->rip = narrow[2];
		trap->cs = narrow[3];
		trap->rflags = narrow[4];
		break;
	case GUEST_LONG:
		trap->vector = wide[0];
		trap->error = wide[1];
		trap->rip = wide[2];
		trap->cs = wide[3];
		trap->rflags = wide[4];
		trap->rsp = wide[5];
		trap->ss = wide[6];
		break;
	}
}

static bool is_out(const struct hull_mailbox *request, __u64 port)
{
	return request->space == HULL_SPACE_PORT && request->address == port &&
	       request->flags == HULL_MAILBOX_WRITE && request->size == 1;
}

int trap_run(struct guest *guest, unsigned int id, enum guest_mode mode, struct trap *trap)
{
	return trap_look(guest, id, mode, guest_run(guest, id), trap);
}

int trap_look(struct guest *guest, unsigned int id, enum guest_mode mode, int ret,
	      struct trap *trap)
{
	struct hull_control control;
	struct hull_gprs gprs;

	if (ret != HULL_EXIT_REQUEST || !is_out(&guest->cpu[id].own.current, TRAP_PORT))
		return ret;
	if (guest_get_gprs(guest, id, &gprs) || guest_get_control(guest, id, &control))
		return -1;
	memset(trap, 0, sizeof(*trap));
	trap->frame = gprs.gpr[HULL_GPR_RSP];
	trap->cr2 = control.cr2;
	if (trap->frame > guest->size - 64) {
		printf("# a handler with RSP %#llx\n", trap->frame);
		errno = ERANGE;
		return -1;
	}
	read_frame(guest, mode, trap);
	return TRAP;
}

int trap_return(struct guest *guest, unsigned int id, enum guest_mode mode, const struct trap *trap,
		__u64 rip)
{
	unsigned char *at = guest->memory + trap->frame;

	switch (mode) {
	case GUEST_REAL:
		memcpy(at + 4, &rip, 2);
		break;
	case GUEST_PROTECTED:
		memcpy(at + 8, &rip, 4);
		break;
	case GUEST_LONG:
		memcpy(at + 16, &rip, 8);
		break;
	}
	hull_answer(&guest->cpu[id].own, 0);
	return 0;
}

static void complain(struct guest *guest, unsigned int id, int ret)
{
	const struct hull_mailbox *request = &guest->cpu[id].own.current;
	const struct hull_run *run = guest->cpu[id].run;

	if (ret == -1)
		printf("# no trap: %s\n", strerror(errno));
	else if (ret == HULL_EXIT_REQUEST)
		printf("# no trap: space %u, flags %#x, size %u, address %#llx, value %#llx\n",
		       request->space, request->flags, request->size, request->address,
		       request->value);
	else
		printf("# no trap: exit %d, reason %u, code %#llx, info %#llx %#llx, rip %#llx\n",
		       ret, run->end_reason, run->end_code, run->end_info[0], run->end_info[1],
		       run->end_rip);
}

int trap_expect(struct guest *guest, unsigned int id, enum guest_mode mode, __u32 vector,
		struct trap *trap)
{
	int ret = trap_run(guest, id, mode, trap);

	if (ret != TRAP) {
		complain(guest, id, ret);
		return -1;
	}
	if (trap->vector == vector)
		return 0;
	printf("# wanted vector %u: %u, error %#llx, rip %#llx, cr2 %#llx\n", vector, trap->vector,
	       trap->error, trap->rip, trap->cr2);
	return -1;
}

/* A handler of real mode has its own segment. */
static int reset_real_cs(struct guest *guest)
{
	struct hull_segments segments;

	if (guest_get_segments(guest, 0, &segments))
		return -1;
	segments.cs.base = GUEST_CODE_GPA(0);
	segments.cs.selector = GUEST_CODE_GPA(0) >> 4;
	return guest_set_segments(guest, 0, &segments);
}

int trap_try(struct guest *guest, enum guest_mode mode, __u64 gpa, const void *code, size_t len,
	     struct hull_gprs *gprs, struct trap *trap)
{
	static const unsigned char mark[] = { 0xe6, TRAP_MARK_PORT };
	__u64 base = mode == GUEST_REAL ? GUEST_CODE_GPA(0) : 0;
	struct hull_mailbox *request = &guest->cpu[0].own.current;
	int ret;

	memcpy(guest->memory + gpa, code, len);
	guest_fix_hypercalls(guest, guest->memory + gpa, len);
	memcpy(guest->memory + gpa + len, mark, sizeof(mark));
	gprs->rip = gpa - base;
	gprs->gpr[HULL_GPR_RSP] = GUEST_STACK_GPA(0);
	gprs->rflags = 2;
	if (guest_clear_events(guest, 0) || guest_set_gprs(guest, 0, gprs) ||
	    (mode == GUEST_REAL && reset_real_cs(guest))) {
		printf("# cannot set registers: %s\n", strerror(errno));
		return -1;
	}
	do {
		ret = trap_run(guest, 0, mode, trap);
	} while (ret == HULL_EXIT_HALTED);
	if (ret != -1 && guest_get_gprs(guest, 0, gprs))
		ret = -1;
	/* What is pending is taken back by the next guest_clear_events(). */
	if (ret == TRAP || ret == HULL_EXIT_REQUEST)
		hull_answer(&guest->cpu[0].own, 0);
	if (ret == TRAP)
		return trap->vector;
	if (ret == HULL_EXIT_REQUEST && is_out(request, TRAP_MARK_PORT) &&
	    gprs->rip + base == gpa + len)
		return TRAP_STEPPED;
	complain(guest, 0, ret);
	return -1;
}
