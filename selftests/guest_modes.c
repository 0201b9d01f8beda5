// SPDX-License-Identifier: GPL-2.0
/*
 * A guest walks through the modes of the CPU and back (lib/walk.h). At each of its stops, those in
 * handlers of interrupts and exceptions too, all registers must be what it has loaded: segments
 * with their hidden parts, control registers, general registers, flags, frames on the stack.
 *
 * The launcher follows by a model: the functions below take the same steps as the guest. With
 * HULL_DIGEST (digest.h) it prints what it finds, to be compared with other CPUs.
 */
#include "digest.h"
#include "harness.h"
#include "walk.h"

#define ATTR_P		0x80
#define ATTR_DPL	0x60
#define TYPE_CODE	8
#define TSS_BUSY	2
#define CR0_PE		1ULL
#define EFER_LME	0x100ULL
#define EFER_LMA	0x400ULL
#define RFLAGS_IF	0x200ULL
#define RFLAGS_IOPL	0x3000ULL
#define RFLAGS_VM	0x20000ULL
#define FLAGS		0x3e7700ULL	/* that count: not RF, not those of arithmetic */

/* ---- the model ------------------------------------------------------------------------------ */

FIXTURE(modes) {
	struct guest guest;
	struct hull_segments segments;	/* what must be there, as in the next */
	struct hull_control control;
	struct hull_gprs gprs;
	unsigned int stop;		/* the last one */
	bool high;			/* R8 to R15 count */
	bool real_cs;			/* CS is of real mode */
	bool pending;			/* the last OUT is to be answered */
	bool lost;			/* the guest went elsewhere */
	int wrong;
};

typedef FIXTURE_DATA(modes) walk_t;

static bool is_real(const walk_t *walk)
{
	return !(walk->control.cr0 & 1);
}

static bool is_long(const walk_t *walk)
{
	return walk->control.efer & EFER_LMA;
}

static void complain(walk_t *walk, const char *what, __u64 is, __u64 wanted)
{
	printf("# stop %u, RIP %#llx: %s is %#llx, wanted %#llx\n", walk->stop,
	       (unsigned long long)walk->gprs.rip, what, (unsigned long long)is,
	       (unsigned long long)wanted);
	walk->wrong++;
}

static void check_value(walk_t *walk, const char *what, __u64 is, __u64 wanted)
{
	if (is != wanted)
		complain(walk, what, is, wanted);
}

/* @ignore: bits of the attributes */
static void check_segment(walk_t *walk, const char *name, const struct hull_segment *is,
			  const struct hull_segment *wanted, __u16 ignore)
{
	if (!(wanted->attr & ATTR_P)) {
		if ((is->attr & ATTR_P & ~ignore) || is->selector != wanted->selector)
			complain(walk, name, is->attr, wanted->attr);
		return;
	}
	if (is->selector == wanted->selector && is->base == wanted->base &&
	    is->limit == wanted->limit && !((is->attr ^ wanted->attr) & ~ignore))
		return;
	printf("# stop %u: %s is %#x, base %#llx, limit %#x, attr %#x; not %#x, %#llx, %#x, %#x\n",
	       walk->stop, name, is->selector, (unsigned long long)is->base, is->limit, is->attr,
	       wanted->selector, (unsigned long long)wanted->base, wanted->limit, wanted->attr);
	walk->wrong++;
}

static void check_segments(walk_t *walk)
{
	const struct hull_segments *want = &walk->segments;
	bool qemu = runs_on("qemu/svm");
	struct hull_segments is;

	if (guest_get_segments(&walk->guest, 0, &is))
		complain(walk, "errno", errno, 0);
	/* CS may be called data in real mode: QEMU's IRET does so, Bochs when PE is cleared. */
	check_segment(walk, "CS", &is.cs, &want->cs, walk->real_cs ? TYPE_CODE : 0);
	check_segment(walk, "SS", &is.ss, &want->ss, 0);
	check_segment(walk, "DS", &is.ds, &want->ds, 0);
	check_segment(walk, "ES", &is.es, &want->es, 0);
	check_segment(walk, "FS", &is.fs, &want->fs, 0);
	check_segment(walk, "GS", &is.gs, &want->gs, 0);
	/* QEMU's LLDT leaves the attributes, its LTR marks the descriptor in memory alone. */
	check_segment(walk, "LDTR", &is.ldtr, &want->ldtr, qemu ? ATTR_P : 0);
	check_segment(walk, "TR", &is.tr, &want->tr, qemu ? TSS_BUSY : 0);
	check_value(walk, "GDTR's base", is.gdtr.base, want->gdtr.base);
	check_value(walk, "GDTR's limit", is.gdtr.limit, want->gdtr.limit);
	check_value(walk, "IDTR's base", is.idtr.base, want->idtr.base);
	check_value(walk, "IDTR's limit", is.idtr.limit, want->idtr.limit);
}

static void check_control(walk_t *walk)
{
	struct hull_control is;

	if (guest_get_control(&walk->guest, 0, &is))
		complain(walk, "errno", errno, 0);
	check_value(walk, "CR0", is.cr0, walk->control.cr0);
	/* Its VMRUN does not load it. */
	if (!runs_on("bochs/svm"))
		check_value(walk, "CR2", is.cr2, walk->control.cr2);
	check_value(walk, "CR3", is.cr3, walk->control.cr3);
	check_value(walk, "CR4", is.cr4, walk->control.cr4);
	check_value(walk, "EFER", is.efer, walk->control.efer);
}

static void check_gprs(walk_t *walk)
{
	static const char *const names[] = {
		"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
		"R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15",
	};
	struct hull_gprs is;
	int i;

	if (guest_get_gprs(&walk->guest, 0, &is))
		complain(walk, "errno", errno, 0);
	walk->gprs.rip = is.rip;
	for (i = 0; i < (walk->high ? 16 : 8); i++)
		check_value(walk, names[i], is.gpr[i], walk->gprs.gpr[i]);
	check_value(walk, "RFLAGS", is.rflags & FLAGS, walk->gprs.rflags);
}

static void print_stop(walk_t *walk, unsigned int port)
{
	struct digest digest;
	char name[16];

	if (!digest_wanted(&digest))
		return;
	snprintf(name, sizeof(name), "%u.%x", walk->stop, port);
	digest_begin(&digest, "modes", name);
	if (digest_vcpu(&digest, &walk->guest, 0))
		complain(walk, "errno", errno, 0);
	digest_end(&digest);
}

/* Runs to an OUT to @port; what the model says must be there. Without it nothing goes on. */
static void run_to(walk_t *walk, unsigned int port)
{
	const struct hull_mailbox *request = &walk->guest.cpu[0].own.current;
	const struct hull_run *run = walk->guest.cpu[0].run;
	int ret;

	if (walk->lost)
		return;
	if (walk->pending)
		hull_answer(&walk->guest.cpu[0].own, 0);
	ret = guest_run(&walk->guest, 0);
	walk->pending = ret == HULL_EXIT_REQUEST;
	if (!walk->pending || request->space != HULL_SPACE_PORT || request->address != port) {
		printf("# stop %u: not port %#x, but exit %d, address %#llx, reason %u, RIP %#llx\n",
		       walk->stop, port, ret, walk->pending ? request->address : 0,
		       run->end_reason, run->end_rip);
		walk->lost = true;
		walk->wrong++;
		return;
	}
	check_gprs(walk);
	check_segments(walk);
	check_control(walk);
	print_stop(walk, port);
}

/* A stop: registers are as before, but for the number. */
static void stop_at(walk_t *walk, unsigned int number)
{
	walk->stop = number;
	walk->gprs.gpr[HULL_GPR_RAX] = 0xa0000000 + number;
	run_to(walk, WALK_STOP_PORT);
}

/* What the guest leaves in registers after it. */
static void fill(walk_t *walk)
{
	static const struct { enum hull_gpr gpr; __u32 value; } left[] = {
		{ HULL_GPR_RCX, 0xc1000000 }, { HULL_GPR_RDX, 0xd2000000 },
		{ HULL_GPR_RSI, 0x51000000 }, { HULL_GPR_RDI, 0xd1000000 },
		{ HULL_GPR_RBP, 0xb9000000 },
	};
	unsigned int i;

	for (i = 0; i < sizeof(left) / sizeof(left[0]); i++)
		walk->gprs.gpr[left[i].gpr] = left[i].value + walk->stop;
}

static void stop(walk_t *walk, unsigned int number)
{
	stop_at(walk, number);
	fill(walk);
}

static void real_load(struct hull_segment *segment, __u16 selector)
{
	segment->selector = selector;
	segment->base = selector << 4;
}

static void load_data(walk_t *walk, __u16 selector)
{
	struct hull_segments *now = &walk->segments;

	now->ds = now->es = now->fs = now->gs = walk_descriptor(selector);
}

/* What the handler finds on its stack. */
static void check_frame(walk_t *walk, enum walk_event event, __u32 error, const walk_t *before)
{
	static const unsigned char code[EVENTS][2] = {
		{ 0xcd, 0x20 }, { 0xe6, WALK_STOP_PORT }, { 0x0f, 0x0b },
		{ 0x8e, 0xd8 }, { 0x8a, 0x00 },
	};
	const __u64 *sp = before->gprs.gpr + HULL_GPR_RSP;
	const struct hull_segments *old = &before->segments;
	int size = is_real(walk) ? 2 : is_long(walk) ? 8 : 4, i, count = 0;
	const unsigned char *at, *ip;
	__u64 want[9], word;

	at = walk->guest.memory + walk->segments.ss.base + walk->gprs.gpr[HULL_GPR_RSP];
	if (event >= GP)
		want[count++] = error;
	want[count++] = 0;
	want[count++] = old->cs.selector;
	want[count++] = before->gprs.rflags;
	want[count++] = *sp;
	want[count++] = old->ss.selector;
	want[count++] = old->es.selector;
	want[count++] = old->ds.selector;
	want[count++] = old->fs.selector;
	want[count++] = old->gs.selector;
	count = (event >= GP) + (before->gprs.rflags & RFLAGS_VM ? 9 :
				 is_long(walk) || (old->ss.attr & ATTR_DPL) ? 5 : 3);
	for (i = 0; i < count; i++, at += size) {
		word = 0;
		memcpy(&word, at, size);
		if (i == (event >= GP)) {
			ip = walk->guest.memory + old->cs.base + word;
			if (word > 0x20000 || memcmp(event <= IRQ ? ip - 2 : ip, code[event], 2))
				complain(walk, "IP in a frame", word, 0);
			continue;
		}
		/* The arithmetic flags, RF and the fixed one count not. */
		if (i == (event >= GP) + 2)
			word &= FLAGS;
		check_value(walk, "word in a frame", word, want[i]);
	}
}

/* Segments and stack of a handler in protected mode. */
static void enter_handler(walk_t *walk)
{
	struct hull_segments *now = &walk->segments;
	__u64 *sp = walk->gprs.gpr + HULL_GPR_RSP;
	bool inner = now->ss.attr & ATTR_DPL;

	if (is_long(walk)) {
		now->cs = walk_descriptor(CODE64);
		*sp = (*sp & ~15ULL) - 40;
		return;
	}
	now->cs = walk_descriptor(CODE32);
	if (inner) {
		now->ss = walk_descriptor(DATA32);
		*sp = WALK_STACK0 - 8;
	}
	if (walk->gprs.rflags & RFLAGS_VM) {
		now->ds = now->es = now->fs = now->gs = walk_descriptor(0);
		*sp -= 16;
	}
	*sp -= 12;
}

/* A handler, which returns. */
static void handle(walk_t *walk, enum walk_event event, __u32 error)
{
	const walk_t before = *walk;
	__u64 *sp = walk->gprs.gpr + HULL_GPR_RSP;

	if (is_real(walk)) {
		*sp -= 6;
		real_load(&walk->segments.cs, walk_real_handler(event) >> 4);
	} else {
		enter_handler(walk);
		if (event >= GP)
			*sp -= is_long(walk) ? 8 : 4;
	}
	walk->gprs.rflags &= ~(RFLAGS_IF | RFLAGS_VM);
	run_to(walk, WALK_EVENT_PORT + event);
	if (!walk->lost)
		check_frame(walk, event, error, &before);
	walk->segments = before.segments;
	walk->gprs = before.gprs;
}

/* A stop where an interrupt comes. */
static void interrupted_stop(walk_t *walk, unsigned int number)
{
	stop_at(walk, number);
	if (hull_inject(walk->guest.cpu[0].fd, HULL_INJECT_INTERRUPT, walk_vectors[IRQ]))
		complain(walk, "errno", errno, 0);
	handle(walk, IRQ, 0);
	fill(walk);
}

/* Between STI and CLI */
static void stop_with_interrupt(walk_t *walk, unsigned int number)
{
	walk->gprs.rflags |= RFLAGS_IF;
	interrupted_stop(walk, number);
	walk->gprs.rflags &= ~RFLAGS_IF;
}

static void soft_and_undefined(walk_t *walk)
{
	handle(walk, INT20, 0);
	handle(walk, UD, 0);
}

static void bad_selector(walk_t *walk)
{
	__u64 *rax = walk->gprs.gpr + HULL_GPR_RAX;

	*rax = (*rax & ~0xffffULL) | 0x99;
	handle(walk, GP, 0x98);
}

static void page_fault(walk_t *walk)
{
	walk->gprs.gpr[HULL_GPR_RAX] = walk->control.cr2 = WALK_WINDOW + 0x1000;
	handle(walk, PF, 0);
}

/* ---- the ways through the modes ------------------------------------------------------------- */

static void through_real(walk_t *walk)
{
	struct hull_segments *now = &walk->segments;

	stop(walk, 1);
	real_load(&now->ds, 0);
	real_load(&now->es, 0x1234);
	real_load(&now->fs, 0xfff);
	real_load(&now->gs, 0xffff);
	real_load(&now->ss, 0x3000);
	walk->gprs.gpr[HULL_GPR_RSP] = 0x8000;
	stop(walk, 2);
	soft_and_undefined(walk);
	stop_with_interrupt(walk, 3);
	now->gdtr = (struct hull_segment) { .base = WALK_GDT, .limit = WALK_GDT_LIMIT };
}

static void through_unreal(walk_t *walk)
{
	struct hull_segments *now = &walk->segments;

	walk->control.cr0 |= CR0_PE;
	stop(walk, 4);
	now->fs = walk_descriptor(DATA32);
	walk->control.cr0 &= ~CR0_PE;
	stop(walk, 5);
	walk->gprs.gpr[HULL_GPR_RBX] = IN_UNREAL;
	stop(walk, 6);
	real_load(&now->fs, 0x2345);
	stop(walk, 7);
	real_load(&now->cs, 0xff0);
	stop(walk, 8);
}

static void through_16_bits(walk_t *walk)
{
	struct hull_segments *now = &walk->segments;

	walk->control.cr0 |= CR0_PE;
	walk->real_cs = false;
	now->idtr = (struct hull_segment) { .base = WALK_IDT32, .limit = WALK_IDT32_LIMIT };
	now->cs = walk_descriptor(CODE16);
	now->ds = walk_descriptor(DATA16);
	now->es = walk_descriptor(ODD);
	now->fs = walk_descriptor(DOWN);
	now->gs = walk_descriptor(READ_ONLY);
	now->ss = walk_descriptor(STACK16);
	walk->gprs.gpr[HULL_GPR_RSP] = 0x7000;
	now->tr = walk_descriptor(SEL_TSS32);
	now->tr.attr |= TSS_BUSY;
	now->ldtr = walk_descriptor(SEL_LDT);
	stop(walk, 9);
	soft_and_undefined(walk);
	stop_with_interrupt(walk, 10);
}

static void through_32_bits(walk_t *walk)
{
	struct hull_segments *now = &walk->segments;

	now->cs = walk_descriptor(CODE32);
	now->ds = now->es = now->ss = walk_descriptor(DATA32);
	now->fs = walk_descriptor(ODD);
	now->gs = walk_descriptor(IN_LDT);
	walk->gprs.gpr[HULL_GPR_RSP] = 0x36000;
	stop(walk, 11);
	soft_and_undefined(walk);
	bad_selector(walk);
	stop_with_interrupt(walk, 12);
}

/* Back in ring 0 with 32 bits, from V86() and RING3() */
static void back_to_32_bits(walk_t *walk, __u64 rflags)
{
	walk->gprs.rflags = rflags;
	walk->segments.cs = walk_descriptor(CODE32);
	walk->segments.ss = walk_descriptor(DATA32);
	load_data(walk, DATA32);
	walk->gprs.gpr[HULL_GPR_RSP] = 0x36000;
}

static void through_v86(walk_t *walk, unsigned int number)
{
	struct hull_segments *now = &walk->segments;

	walk->gprs.rflags = RFLAGS_VM | RFLAGS_IOPL | RFLAGS_IF;
	now->cs = (struct hull_segment) { .limit = 0xffff, .attr = 0xf3 };
	now->ss = now->ds = now->es = now->fs = now->gs = now->cs;
	real_load(&now->cs, 0x1000);
	real_load(&now->ss, 0x3000);
	real_load(&now->es, 0x1111);
	real_load(&now->ds, 0x2222);
	real_load(&now->fs, 0x102);
	real_load(&now->gs, 0x5432);
	walk->gprs.gpr[HULL_GPR_RSP] = 0x5000;
	interrupted_stop(walk, number);
	soft_and_undefined(walk);
	back_to_32_bits(walk, RFLAGS_IOPL);
	stop(walk, number + 1);
}

static void through_ring3(walk_t *walk, unsigned int number)
{
	walk->gprs.rflags = RFLAGS_IF;
	walk->segments.cs = walk_descriptor(USER_CODE);
	walk->segments.ss = walk_descriptor(USER_DATA);
	load_data(walk, USER_DATA);
	walk->gprs.gpr[HULL_GPR_RSP] = 0x35000;
	interrupted_stop(walk, number);
	handle(walk, INT20, 0);
	back_to_32_bits(walk, 0);
	stop(walk, number + 1);
}

static void begin_paging(walk_t *walk, unsigned int tables)
{
	walk->control.cr3 = *(__u32 *)(walk->guest.memory + WALK_ROOT(tables));
	walk->control.cr0 |= X86_CR0_PG;
	walk->gprs.gpr[HULL_GPR_RBX] = IN_WINDOW(tables);
}

static void all_faults(walk_t *walk)
{
	soft_and_undefined(walk);
	page_fault(walk);
	bad_selector(walk);
}

static void through_paging(walk_t *walk, unsigned int tables, __u64 cr4, unsigned int number)
{
	walk->control.cr4 |= cr4;
	begin_paging(walk, tables);
	stop(walk, number);
	all_faults(walk);
	stop_with_interrupt(walk, number + 1);
	through_v86(walk, number + 2);
	through_ring3(walk, number + 4);
	walk->control.cr0 &= ~X86_CR0_PG;
	stop(walk, number + 6);
}

static void through_long(walk_t *walk)
{
	struct hull_segments *now = &walk->segments;
	int i;

	walk->control.efer = EFER_LME | EFER_LMA;
	begin_paging(walk, 2);
	stop(walk, 31);
	now->idtr = (struct hull_segment) { .base = WALK_IDT64, .limit = WALK_IDT64_LIMIT };
	now->cs = walk_descriptor(CODE64);
	now->tr = walk_descriptor(SEL_TSS64);
	now->tr.attr |= TSS_BUSY;
	now->ldtr = walk_descriptor(0);
	now->fs = walk_descriptor(ODD);
	now->fs.base = WALK_FS_BASE;
	for (i = 8; i < 16; i++)
		walk->gprs.gpr[i] = IN_HIGH(i);
	walk->high = true;
	stop(walk, 32);
	all_faults(walk);
	stop_with_interrupt(walk, 33);
	walk->high = false;
	now->cs = walk_descriptor(CODE32);
	now->fs = walk_descriptor(ODD);
	stop(walk, 34);
	all_faults(walk);
	stop_with_interrupt(walk, 35);
	walk->control.cr0 &= ~X86_CR0_PG;
	walk->control.efer &= ~EFER_LMA;
	stop(walk, 36);
}

static void back_to_real(walk_t *walk)
{
	struct hull_segments *now = &walk->segments;

	walk->control.efer = 0;
	now->idtr = (struct hull_segment) { .base = WALK_IDT32, .limit = WALK_IDT32_LIMIT };
	stop(walk, 37);
	soft_and_undefined(walk);
	now->cs = walk_descriptor(CODE16);
	now->ss = walk_descriptor(LEAVE);
	load_data(walk, LEAVE);
	walk->gprs.gpr[HULL_GPR_RSP] = 0x6000;
	stop(walk, 38);
	walk->control.cr0 &= ~CR0_PE;
	walk->real_cs = true;
	stop(walk, 39);
	real_load(&now->cs, 0x1000);
	real_load(&now->ds, 0);
	real_load(&now->es, 0x1234);
	real_load(&now->ss, 0x3000);
	now->idtr = (struct hull_segment) { .limit = 0x3ff };
	walk->gprs.gpr[HULL_GPR_RSP] = 0x8000;
	stop(walk, 40);
	soft_and_undefined(walk);
	stop_with_interrupt(walk, 41);
}

/* Touches each page below 2 MiB. */
GUEST(touch, 32, "xor %ebx, %ebx\n1: lock orb $0, (%ebx)\n add $0x1000, %ebx\n"
	"cmp $0x200000, %ebx\n jb 1b\n hlt\n");

/* Of events whose delivery exits Bochs' SVM tells something else. */
static int touch_memory(struct guest *guest)
{
	if (guest_start(guest, 0, GUEST_PROTECTED, GUEST_CODE(touch)))
		return -1;
	return guest_expect_halt(guest, 0);
}

FIXTURE_SETUP(modes)
{
	struct guest *guest = &self->guest;

	SKIP_REAL_MODE(true);
	ASSERT_EQ(0, guest_create_paging(guest, 0, PROGRAM_END, digest_paging())) {
		TH_LOG("cannot create a VM: %s", strerror(errno));
	}
	if (runs_on("bochs/svm"))
		ASSERT_EQ(0, touch_memory(guest));
	ASSERT_EQ(0, walk_start(guest));
	ASSERT_EQ(0, guest_get_segments(guest, 0, &self->segments));
	ASSERT_EQ(0, guest_get_control(guest, 0, &self->control));
	ASSERT_EQ(0, guest_get_gprs(guest, 0, &self->gprs));
	self->gprs.rflags &= FLAGS;
	self->real_cs = true;
}

FIXTURE_TEARDOWN(modes)
{
	EXPECT_EQ(0, hull_vm_check(self->guest.vm));
	guest_destroy(&self->guest);
}

TEST_F_TIMEOUT(modes, from_real_mode_through_all_and_back, 60)
{
	through_real(self);
	through_unreal(self);
	through_16_bits(self);
	through_32_bits(self);
	through_v86(self, 13);
	through_ring3(self, 15);
	through_paging(self, 0, X86_CR4_PSE, 17);
	through_paging(self, 1, X86_CR4_PAE, 24);
	through_long(self);
	back_to_real(self);
	ASSERT_FALSE(self->lost);
	hull_answer(&self->guest.cpu[0].own, 0);
	EXPECT_EQ(0, guest_expect_halt(&self->guest, 0));
	EXPECT_EQ(WALK_STOPS, self->stop);
	EXPECT_EQ(0, self->wrong);
}

HULL_TEST_MAIN
