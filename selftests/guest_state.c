// SPDX-License-Identifier: GPL-2.0
/*
 * Impossible and borderline states, through the register API: some hundred changes of single
 * registers, and several at once, to a vCPU in each mode of the CPU. Each is refused with EINVAL,
 * or ends the VM at its next run for a rule that has a name, or runs. When the CPU refuses what the
 * module's checker let pass, the checker has a hole, and the test fails.
 *
 * With HULL_TRUST_STATE=1 and a module of the mutation of that name neither the ioctl nor the
 * checker refuses: the checker's word is compared with what the CPU does, both ways.
 */
#include <stdarg.h>
#include <stdio.h>

#include "guest.h"
#include "harness.h"
#include "limit.h"

#define GROUPS	(HULL_GROUP_GPRS | HULL_GROUP_SEGMENTS | HULL_GROUP_CONTROL | HULL_GROUP_DEBUG | \
		 HULL_GROUP_EVENTS)
#define DIRECTORY	0x48000		/* of 32-bit paging */
#define PAE_ROOT	0x49000
#define RUN_US		3000

GUEST(stop, 64, "hlt\n 1: jmp 1b");

/* ---- a change of state ---------------------------------------------------------------------- */

/**
 * struct change - of one register
 * @name: for messages
 * @offset: in struct hull_vcpu_state
 * @size: bytes
 * @clear: bits, before @set, before @flip
 * @msr: not 0: not a field but this MSR, which is to be @set
 * @events: flags of the events group that go with it
 * @refused: EINVAL, whatever the mode
 */
struct change {
	char name[40];
	__u32 offset, size;
	__u64 clear, set, flip;
	__u32 msr, events;
	bool refused;
};

#define CHANGES	2048

static struct change changes[CHANGES];
static unsigned int count;

static struct change *add(__u32 offset, __u32 size, const char *format, ...)
{
	struct change *change = &changes[count++];
	va_list args;

	if (count > CHANGES)
		abort();
	va_start(args, format);
	vsnprintf(change->name, sizeof(change->name), format, args);
	va_end(args);
	change->offset = offset;
	change->size = size;
	return change;
}

#define PLACE(member)	offsetof(struct hull_vcpu_state, member), \
			sizeof(((struct hull_vcpu_state *)0)->member)

static struct change *add_value(__u32 offset, __u32 size, const char *name, __u64 value)
{
	struct change *change = add(offset, size, "%s = %#llx", name, value);

	change->clear = ~0ULL;
	change->set = value;
	return change;
}

/* Each bit of @bits by itself, the other way round; those of @refused nobody may have so. */
static void add_bits(__u32 offset, __u32 size, const char *name, __u64 bits, __u64 refused)
{
	unsigned int i;

	for (i = 0; i < 64; i++) {
		if (bits & 1ULL << i) {
			struct change *change = add(offset, size, "%s bit %u", name, i);

			change->flip = 1ULL << i;
			change->refused = refused & change->flip;
		}
	}
}

static void apply(struct hull_vcpu_state *state, __u64 *groups, const struct change *change)
{
	unsigned char *at = (unsigned char *)state + change->offset;
	__u64 value = 0;

	if (change->msr) {
		state->msrs = (struct hull_msrs){ .count = 1 };
		state->msrs.msr[0].index = change->msr;
		state->msrs.msr[0].value = change->set;
		*groups |= HULL_GROUP_MSRS;
		return;
	}
	memcpy(&value, at, change->size);
	value = ((value & ~change->clear) | change->set) ^ change->flip;
	memcpy(at, &value, change->size);
	state->events.flags |= change->events;
}

/* ---- the tables ----------------------------------------------------------------------------- */

static const __u64 bases[] = { 0x10, 0xfffff, 1ULL << 32, 1ULL << 47, 1ULL << 63,
			       0xffff800000000000, ~0ULL };
static const __u64 limits[] = { 0, 0xffe, 0xffff, 0x10000, 0xfffff, 0x100000, 0xfffffffe, ~0U };
static const __u64 selectors[] = { 0, 3, 4, 9, 0x13, 0xffff };

static const struct {
	const char *name;
	__u16 clear, set;
} attributes[] = {
	{ "not a code or data segment", 0x10, 0 }, { "a code or data segment", 0, 0x10 },
	{ "not present", 0x80, 0 }, { "present", 0, 0x80 }, { "of nothing", 0xffff, 0 },
	{ "DPL 0", 0x60, 0 }, { "DPL 1", 0x60, 0x20 }, { "DPL 3", 0x60, 0x60 },
	{ "AVL", 0, 0x100 }, { "L", 0x400, 0x200 }, { "D", 0x200, 0x400 }, { "L and D", 0, 0x600 },
	{ "16 bits", 0x600, 0 }, { "G", 0, 0x800 }, { "not G", 0x800, 0 },
	{ "reserved bits", 0, 0xf000 },
	{ "16-bit TSS", 0x1f, 0x3 }, { "available TSS", 0x1f, 0x9 }, { "LDT", 0x1f, 0x2 },
};

static void add_segments(void)
{
	static const char *const names[] = { "ES", "CS", "SS", "DS", "FS", "GS", "LDTR", "TR" };
	const __u32 base = offsetof(struct hull_segment, base);
	const __u32 limit = offsetof(struct hull_segment, limit);
	const __u32 selector = offsetof(struct hull_segment, selector);
	const __u32 attr = offsetof(struct hull_segment, attr);
	unsigned int i, j;

	for (i = 0; i < 8; i++) {
		__u32 at = offsetof(struct hull_vcpu_state, segments.es) +
			   i * sizeof(struct hull_segment);
		char name[32];

		for (j = 0; j < 16; j++) {
			struct change *change = add(at + attr, 2, "%s of type %u", names[i], j);

			change->clear = 0xf;
			change->set = j;
		}
		for (j = 0; j < sizeof(attributes) / sizeof(attributes[0]); j++) {
			struct change *change = add(at + attr, 2, "%s %s", names[i],
						    attributes[j].name);

			change->clear = attributes[j].clear;
			change->set = attributes[j].set;
		}
		snprintf(name, sizeof(name), "%s base", names[i]);
		for (j = 0; j < sizeof(bases) / sizeof(bases[0]); j++)
			add_value(at + base, 8, name, bases[j]);
		snprintf(name, sizeof(name), "%s limit", names[i]);
		for (j = 0; j < sizeof(limits) / sizeof(limits[0]); j++)
			add_value(at + limit, 4, name, limits[j]);
		snprintf(name, sizeof(name), "%s selector", names[i]);
		for (j = 0; j < sizeof(selectors) / sizeof(selectors[0]); j++)
			add_value(at + selector, 2, name, selectors[j]);
	}
}

static void add_tables(void)
{
	unsigned int j;

	for (j = 0; j < sizeof(bases) / sizeof(bases[0]); j++) {
		add_value(PLACE(segments.gdtr.base), "GDTR base", bases[j]);
		add_value(PLACE(segments.idtr.base), "IDTR base", bases[j]);
	}
	for (j = 0; j < sizeof(limits) / sizeof(limits[0]); j++) {
		add_value(PLACE(segments.gdtr.limit), "GDTR limit", limits[j]);
		add_value(PLACE(segments.idtr.limit), "IDTR limit", limits[j]);
	}
}

#define HIGH	(1ULL << 32 | 1ULL << 63)
#define LOW	0xffffffffULL

static void add_control(void)
{
	static const __u64 pairs[] = { 0x11, 0x31, 0x10, 0x80000011, 0x80000010, 0x80000031,
				       0x60000011, 0x20000011, 0xe0000031, 0xa0000031, 0 };
	static const __u64 efers[] = { 0, 0x100, 0x400, 0x500, 0xd01, 0x900, 0xd00, 0x1500 };
	static const __u64 cr4s[] = { 0, 0x20, 0x30, 0xa0, 0x20020, 0x1020, 0x2020, 0x6b0,
				      0x300020, 0x40020, 0x10020, 0x400020, 0x800020 };
	static const __u64 cr3s[] = { 1ULL << 36, 1ULL << 39, 1ULL << 40, 1ULL << 45 };
	unsigned int i;

	add_bits(PLACE(control.cr0), "CR0", LOW | HIGH, HIGH | 0x1ffaffc0);
	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		add_value(PLACE(control.cr0), "CR0", pairs[i]);
	add_bits(PLACE(control.cr4), "CR4", LOW | HIGH, HIGH | 0xff080000 | 1 << 13 | 1 << 14);
	for (i = 0; i < sizeof(cr4s) / sizeof(cr4s[0]); i++)
		add_value(PLACE(control.cr4), "CR4", cr4s[i]);
	add_bits(PLACE(control.efer), "EFER", 0x3fffff | HIGH, HIGH | 0x3f12fe);
	for (i = 0; i < sizeof(efers) / sizeof(efers[0]); i++)
		add_value(PLACE(control.efer), "EFER", efers[i]);
	add_bits(PLACE(control.cr3), "CR3", 0xfff | 0xfff0000000000000, 0xfff0000000000000);
	/* Bochs' AMD CPU ends with a segmentation fault. */
	for (i = 0; i < sizeof(cr3s) / sizeof(cr3s[0]) && !runs_on("bochs/svm"); i++)
		add_value(PLACE(control.cr3), "CR3", cr3s[i]);
	add_value(PLACE(control.cr8), "CR8", 15);
	add_value(PLACE(control.cr8), "CR8", 16)->refused = true;
	add_value(PLACE(control.cr8), "CR8", ~0ULL)->refused = true;
	add_bits(PLACE(control.xcr0), "XCR0", 0xff | HIGH, HIGH | 1);
}

static void add_flags(void)
{
	static const __u64 places[] = { 0, 0xffff, 0x10000, LOW, 1ULL << 32, 1ULL << 47,
					0x00007fffffffffff, 0xffff800000010000, 1ULL << 63, ~0ULL };
	unsigned int i;

	add_bits(PLACE(gprs.rflags), "RFLAGS",
		 (0x3fffff | 1 << 22 | 1U << 31 | HIGH) & (runs_on("bochs/svm") ? ~0x100ULL : ~0ULL),
		 0x802a | 1 << 22 | 1U << 31 | HIGH);
	add_value(PLACE(gprs.rflags), "RFLAGS", 0)->refused = true;
	add_value(PLACE(gprs.rflags), "RFLAGS", 0x3002);
	add_value(PLACE(gprs.rflags), "RFLAGS", 0x20002);
	add_value(PLACE(gprs.rflags), "RFLAGS", 0x1a0202);
	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		add_value(PLACE(gprs.rip), "RIP", places[i]);
}

static void add_debug(void)
{
	static const __u64 wrong[] = { 1ULL << 47, 1ULL << 32, ~0ULL };
	static const __u64 dr7[] = { 0, 0x400, 0x55, 0xff, 0x2400, 0xdc00, 0xffff0400, LOW };
	unsigned int i, j;

	for (i = 0; i < 4; i++) {
		for (j = 0; j < 3; j++)
			add_value(offsetof(struct hull_vcpu_state, debug.dr) + i * 8, 8,
				  "a breakpoint", wrong[j]);
	}
	for (j = 0; j < sizeof(dr7) / sizeof(dr7[0]); j++)
		add_value(PLACE(debug.dr7), "DR7", dr7[j]);
	add_bits(PLACE(debug.dr7), "DR7", HIGH | 1ULL << 40, HIGH | 1ULL << 40);
	add_bits(PLACE(debug.dr6), "DR6", LOW | HIGH, HIGH);
}

static void add_msrs(void)
{
	static const struct {
		__u32 index;
		bool address;
	} msrs[] = {
		{ 0x174, false }, { 0x175, true }, { 0x176, true }, { 0x277, false },
		{ 0xc0000080, false }, { 0xc0000081, false }, { 0xc0000082, true },
		{ 0xc0000083, true }, { 0xc0000084, false }, { 0xc0000100, true },
		{ 0xc0000101, true }, { 0xc0000102, true }, { 0x1b, false }, { 0x1d9, false },
		{ 0x10a, false }, { 0x12345, false },
	};
	static const __u64 values[] = { 1, 1ULL << 32, 1ULL << 56, 1ULL << 63, 0x0202020202020202,
					0x0007040600070406, ~0ULL };
	unsigned int i, j;

	for (i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++) {
		for (j = 0; j < sizeof(values) / sizeof(values[0]); j++) {
			struct change *change = add(0, 0, "MSR %#x = %#llx", msrs[i].index,
						    values[j]);

			change->msr = msrs[i].index;
			change->set = values[j];
			change->refused = (msrs[i].address && (j == 2 || j == 3)) || i >= 15;
		}
	}
}

static void add_events(void)
{
	static const __u64 rflags[] = { 0x2, 0x202, 0x102, 0x302 };
	static const __u32 flags[] = { HULL_EVENT_SHADOW, HULL_EVENT_NMI_MASKED,
				       HULL_EVENT_INTERRUPT, HULL_EVENT_NMI_PENDING };
	unsigned int i, j;
	struct change *change;

	for (i = 0; i < 4 * 16; i++) {
		if (rflags[i / 16] & 0x100 && runs_on("bochs/svm"))
			continue;
		change = add_value(PLACE(gprs.rflags), "RFLAGS", rflags[i / 16]);
		for (j = 0; j < 4; j++)
			change->events |= i & 1 << j ? flags[j] : 0;
		snprintf(change->name, sizeof(change->name), "RFLAGS = %#llx, events %#x",
			 change->set, change->events);
	}
	for (i = 0; i < 40; i++) {
		for (j = 0; j < 2; j++) {
			change = add_value(PLACE(events.exception), "exception", i);
			change->events = HULL_EVENT_EXCEPTION |
					 (j ? HULL_EVENT_EXCEPTION_ERROR | HULL_EVENT_SHADOW : 0);
			change->refused = i == 2 || i > 30;
		}
	}
	add_value(PLACE(events.error_code), "error code", ~0U)->events =
		HULL_EVENT_EXCEPTION | HULL_EVENT_EXCEPTION_ERROR;
	add_bits(PLACE(events.flags), "event flags", ~(__u64)HULL_EVENT_FLAGS & LOW, LOW);
	for (i = 0; i < 5; i++)
		add_value(PLACE(events.run_state), "run state", i)->refused = i > 2;
	add_value(PLACE(events.reserved), "reserved", 1)->refused = true;
}

/* ---- trying them ---------------------------------------------------------------------------- */

enum mode { REAL, PROTECTED, PAGED, PAE, LONG, COMPATIBLE, V8086 };

FIXTURE(state) {
	struct guest guest;
	struct hull_vcpu_state base, state;
	unsigned int tried, refused, ended, ran;	/* what became of them */
	unsigned int agreed, known, bad;
	bool trust;
};

FIXTURE_VARIANT(state) {
	enum mode mode;
};

#define VARIANT(variant_name, its_mode)	\
	FIXTURE_VARIANT_ADD(state, variant_name) { .mode = its_mode }
VARIANT(real, REAL);
VARIANT(protected, PROTECTED);
VARIANT(paged, PAGED);
VARIANT(pae, PAE);
VARIANT(long_mode, LONG);
VARIANT(compatibility, COMPATIBLE);
VARIANT(v8086, V8086);

static int make_guest(struct guest *guest, __u32 vm_flags)
{
	unsigned int i;

	if (guest_create(guest, vm_flags, GUEST_SIZE))
		return -1;
	/* Pages of 4 MiB; PAE's root has no rights, and 2 MiB pages below it as long mode does. */
	for (i = 0; i < 1024; i++)
		((__u32 *)(guest->memory + DIRECTORY))[i] = i << 22 | 0x87;
	for (i = 0; i < 4; i++)
		((__u64 *)(guest->memory + PAE_ROOT))[i] = (GUEST_TABLES + 0x2000 + i * 0x1000) | 1;
	/* Builds long mode's tables. */
	return guest_start(guest, 0, GUEST_LONG, GUEST_CODE(stop));
}

static void to_v8086(struct hull_vcpu_state *state)
{
	struct hull_segment *segment = &state->segments.es;
	unsigned int i;

	for (i = 0; i < 6; i++) {
		segment[i].selector = i == 1 ? GUEST_CODE_GPA(0) >> 4 : 0;
		segment[i].base = segment[i].selector << 4;
		segment[i].limit = 0xffff;
		segment[i].attr = 0xf3;
	}
	state->gprs.rip = 0;
	state->gprs.rflags |= 0x20000;
}

static int make_base(struct guest *guest, enum mode mode, struct hull_vcpu_state *state)
{
	enum guest_mode near = mode == REAL ? GUEST_REAL :
			       mode == LONG || mode == COMPATIBLE ? GUEST_LONG : GUEST_PROTECTED;

	if (guest_set_mode(guest, 0, near, GUEST_CODE_GPA(0)) ||
	    hull_get_state(guest->cpu[0].fd, GROUPS, state))
		return -1;
	/* An exception ends the VM: as quick as anything. */
	state->segments.idtr.limit = 0;
	state->gprs.rflags = 0x202;
	if (mode == PAGED || mode == PAE || mode == V8086) {
		state->control.cr0 |= 1ULL << 31;
		state->control.cr4 |= mode == PAE ? 0x20 : 0x10;
		state->control.cr3 = mode == PAE ? PAE_ROOT : DIRECTORY;
	}
	if (mode == COMPATIBLE)
		state->segments.cs.attr ^= 0x600;
	if (mode == V8086)
		to_v8086(state);
	return 0;
}

FIXTURE_SETUP(state)
{
	SKIP_REAL_MODE(variant->mode == REAL);
	self->trust = getenv("HULL_TRUST_STATE");
	count = 0;
	ASSERT_EQ(0, make_guest(&self->guest, 0)) {
		TH_LOG("cannot create a VM: %s", strerror(errno));
	}
	ASSERT_EQ(0, make_base(&self->guest, variant->mode, &self->base));
	EXPECT_EQ(0, hull_set_state(self->guest.cpu[0].fd, GROUPS, &self->base));
	EXPECT_EQ(variant->mode == V8086 ? HULL_EXIT_ENDED : HULL_EXIT_HALTED,
		  guest_run(&self->guest, 0));
}

FIXTURE_TEARDOWN(state)
{
	EXPECT_EQ(0, hull_vm_check(self->guest.vm));
	guest_destroy(&self->guest);
	printf("# states: %u tried, %u EINVAL, %u ended, %u ran; CPU and checker: %u agree, %u known differences, %u bad\n",
	       self->tried, self->refused, self->ended, self->ran, self->agreed, self->known,
	       self->bad);
	EXPECT_EQ(0, self->bad);
}

/* Rules that the checker has and a CPU or an emulator has not, and why; or the other way round. */
static const struct {
	const char *cell, *rule, *change;
} known_differences[] = {
	/* VMRUN does not look at these: no guest gets there by itself. */
	{ "svm", "EFER.LMA is not LME and PG", NULL },
	{ "svm", "RFLAGS bit 1 is clear", NULL },
	{ "svm", "virtual-8086 mode in long mode", NULL },
	/* Legal, and undefined without shadow paging. */
	{ "svm", "CR0.PG is set and CR0.PE is not", NULL },
	/* Bochs wants RPL and DPL of CS to agree; the manual wants so of restricted guests only. */
	{ "bochs/vmx", "", "CS selector" },
	/* Bochs does not look at these bits. */
	{ "bochs/vmx", "RIP is beyond the width of addresses", NULL },
	/* To be refused in long mode only. */
	{ "bochs/svm", "", "CS L and D" },
};

/* Changes made at once. */
#define SEVERAL	6

struct several {
	const struct change *change[SEVERAL];
	unsigned int n;
};

static bool has(const struct several *several, const char *start)
{
	unsigned int i;

	for (i = 0; i < several->n; i++) {
		if (!strncmp(several->change[i]->name, start, strlen(start)))
			return true;
	}
	return false;
}

static bool is_known(const char *rule, const struct several *several)
{
	const char *here = getenv("HULL_EMULATOR");
	unsigned int i;

	for (i = 0; here && i < sizeof(known_differences) / sizeof(known_differences[0]); i++) {
		if (strstr(here, known_differences[i].cell) &&
		    !strcmp(known_differences[i].rule, rule) &&
		    (!known_differences[i].change || has(several, known_differences[i].change)))
			return true;
	}
	return false;
}

typedef FIXTURE_DATA(state) test_data;

static void complain(test_data *self, const char *what, const struct several *several)
{
	const struct hull_run *run = self->guest.cpu[0].run;
	unsigned int i;

	if (self->bad++ > 20)
		return;
	printf("# %s: exit %u, reason %u, code %#llx, info %#llx %#llx, \"%s\":", what, run->exit,
	       run->end_reason, run->end_code, run->end_info[0], run->end_info[1], run->end_text);
	for (i = 0; i < several->n; i++)
		printf(" %s;", several->change[i]->name);
	printf("\n");
}

static void look(test_data *self, int ret, const struct several *several)
{
	struct hull_run *run = self->guest.cpu[0].run;
	bool told = run->end_text[0];
	bool bad_state = ret == HULL_EXIT_ENDED && run->end_reason == HULL_END_BAD_STATE;

	if (bad_state)
		self->ended++;
	else
		self->ran++;
	if (bad_state != told && is_known(run->end_text, several))
		self->known++;
	else if (!limit_outcome_ok(&self->guest, 0, ret))
		complain(self, "not documented", several);
	else if (bad_state == told)
		self->agreed++;
	else
		complain(self, told ? "the CPU takes what the checker refuses" :
			 "the CPU refuses what the checker lets pass", several);
}

/* 0, or -1: no other VM can be made. */
static int attempt(test_data *self, const struct several *several, __u32 vm_flags)
{
	struct guest *guest = &self->guest;
	struct hull_run *run = guest->cpu[0].run;
	__u64 groups = GROUPS;
	unsigned int i;
	int ret;

	self->state = self->base;
	for (i = 0; i < several->n; i++)
		apply(&self->state, &groups, several->change[i]);
	memset(run->end_text, 0, sizeof(run->end_text));
	self->tried++;
	if (hull_set_state(guest->cpu[0].fd, groups, &self->state)) {
		self->refused++;
		if (errno != EINVAL)
			complain(self, strerror(errno), several);
		return 0;
	}
	if (several->n == 1 && several->change[0]->refused && !self->trust)
		complain(self, "is not refused", several);
	ret = limit_run(guest, 0, RUN_US);
	look(self, ret, several);
	if (ret != HULL_EXIT_ENDED)
		return 0;
	guest_destroy(guest);
	return make_guest(guest, vm_flags);
}

static int attempt_all(test_data *self)
{
	struct several one = { .n = 1 };
	unsigned int i;

	for (i = 0; i < count; i++) {
		one.change[0] = &changes[i];
		if (attempt(self, &one, 0))
			return -1;
	}
	return 0;
}

#define TEST_OF(name, add_changes)			\
TEST_F_TIMEOUT(state, name, 120)			\
{							\
	add_changes;					\
	ASSERT_EQ(0, attempt_all(self));		\
}

TEST_OF(segments, add_segments())
TEST_OF(descriptor_tables, add_tables())
TEST_OF(control_registers, add_control())
TEST_OF(flags_and_instruction_pointer, add_flags())
TEST_OF(debug_registers, add_debug())
TEST_OF(msrs, add_msrs())

TEST_F_TIMEOUT(state, events, 120)
{
	if (NEVER_INTERRUPTED)
		SKIP(return, "this emulator does not interrupt guests that spin");
	add_events();
	ASSERT_EQ(0, attempt_all(self));
}

TEST_F_TIMEOUT(state, several_at_once, 120)
{
	unsigned int seed = 7 + variant->mode, i, j;
	struct several several;

	if (NEVER_INTERRUPTED)
		SKIP(return, "this emulator does not interrupt guests that spin");
	add_segments();
	add_tables();
	add_control();
	add_flags();
	add_debug();
	add_events();
	for (i = 0; i < 400; i++) {
		several.n = 2 + i % (SEVERAL - 1);
		for (j = 0; j < several.n; j++)
			several.change[j] = &changes[rand_r(&seed) % count];
		ASSERT_EQ(0, attempt(self, &several, i & 1 ? HULL_VM_IRQCHIP : 0));
	}
}

HULL_TEST_MAIN
