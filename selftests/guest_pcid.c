// SPDX-License-Identifier: GPL-2.0
/*
 * PCIDs: the rules of CR3 and CR4.PCIDE, and what must be seen after CR3 was loaded without a
 * flush: all that was invalidated, and what the PCID cannot have held. What it may hold still is
 * not asked for. Only under shadow paging, where the module does it; else CPUID must not offer it.
 * See lib/steps.h.
 */
#include "control.h"
#include "harness.h"
#include "steps.h"

#define PAGE	4096ULL
#define LOW	0x8040000000ULL
#define HIGH	0xffff800080000000ULL
#define TOP	0xffffffffc0000000ULL
#define FRAME(n)	(PROGRAM_DATA + (n) * PAGE)
#define TAG(n)	(0x1000001ULL * ((n) + 1))
#define ALL	(PTE_P | PTE_W | PTE_U)
#define USER	ACCESS_USER
#define KEEP	(1ULL << 63)
#define CR4_PCIDE	(1ULL << 17)
#define CPUID_PCID	(1U << 17)
#define SEG_L	0x200
#define SEG_DB	0x400

/* At the begin of a test. */
#define NEED_PCIDS(shadow) do {							\
	if (!(shadow))								\
		SKIP(return, "no PCIDs with nested paging");			\
} while (0)

/* ---- the rules ------------------------------------------------------------------------------ */

CONTROL_FIXTURE_IN_ALL_MODES(rules);

TEST_F(rules, cpuid_and_cr4_agree)
{
	bool offered;

	GPR(RAX) = 1;
	GPR(RCX) = 0;
	STEP("\x0f\xa2");					/* cpuid */
	offered = GPR(RCX) & CPUID_PCID;
	EXPECT_EQ(self->test.shadow, offered);
	GPR(RAX) = self->test.control.cr4 | CR4_PCIDE;
	EXPECT_EQ(offered && variant->mode == GUEST_LONG ? TRAP_STEPPED : GP,
		  TRY("\x0f\x22\xe0"));				/* mov %eax, %cr4 */
}

TEST_F(rules, set_by_the_launcher)
{
	struct hull_control control = NOW;
	__u64 cr3 = control.cr3;

	control.cr4 |= CR4_PCIDE;
	if (!self->test.shadow || variant->mode != GUEST_LONG) {
		EXPECT_ERRNO(EINVAL, guest_set_control(&self->test.guest, 0, &control));
		return;
	}
	control.cr3 = cr3 | 0x123;
	EXPECT_EQ(0, guest_set_control(&self->test.guest, 0, &control));
	EXPECT_EQ(cr3 | 0x123, NOW.cr3);
	EXPECT_EQ(control.cr4, NOW.cr4);
	GPR(RAX) = cr3 | 0x124 | KEEP;
	STEP("\x0f\x20\xd9\x0f\x22\xd8");			/* mov %cr3, %rcx; mov %rax, %cr3 */
	EXPECT_EQ(cr3 | 0x123, GPR(RCX));
	EXPECT_EQ(cr3 | 0x124, NOW.cr3);
	control.cr3 = cr3 | KEEP;
	EXPECT_ERRNO(EINVAL, guest_set_control(&self->test.guest, 0, &control));
	/* Neither without long mode. */
	control.cr3 = cr3;
	control.cr0 &= ~CR0_PG;
	control.efer &= ~(1ULL << 10);
	EXPECT_ERRNO(EINVAL, guest_set_control(&self->test.guest, 0, &control));
}

CONTROL_FIXTURE(long_mode, GUEST_LONG);

TEST_F(long_mode, set_and_cleared)
{
	__u64 cr4 = self->test.control.cr4, tables = GUEST_TABLES;

	NEED_PCIDS(self->test.shadow);
	/* Only while CR3 has no low bits. */
	GPR(RAX) = cr4 | CR4_PCIDE;
	GPR(RDX) = tables | 0x18;
	EXPECT_EQ(GP, TRY("\x0f\x22\xda\x0f\x22\xe0"));		/* mov %rdx, %cr3; mov %rax, %cr4 */
	EXPECT_EQ(cr4, NOW.cr4);
	GPR(RDX) = tables;
	STEP("\x0f\x22\xda\x0f\x22\xe0\x0f\x20\xe1");		/* mov %cr4, %rcx */
	EXPECT_EQ(cr4 | CR4_PCIDE, GPR(RCX));
	EXPECT_EQ(cr4 | CR4_PCIDE, NOW.cr4);
	/* Cleared with any PCID, which stays where it is. */
	GPR(RAX) = cr4;
	GPR(RDX) = tables | 0xabc;
	STEP("\x0f\x22\xda\x0f\x22\xe0\x0f\x20\xd9");		/* mov %cr3, %rcx */
	EXPECT_EQ(tables | 0xabc, GPR(RCX));
	EXPECT_EQ(cr4, NOW.cr4);
	GPR(RAX) = cr4 | CR4_PCIDE;
	EXPECT_EQ(GP, TRY("\x0f\x22\xe0"));
}

TEST_F(long_mode, cr3_has_the_pcid)
{
	__u64 tables = GUEST_TABLES;

	NEED_PCIDS(self->test.shadow);
	GPR(RAX) = tables | KEEP;
	EXPECT_EQ(GP, TRY("\x0f\x22\xd8"));
	GPR(RAX) = self->test.control.cr4 | CR4_PCIDE;
	STEP("\x0f\x22\xe0");
	GPR(RAX) = tables | 0xfff;
	STEP("\x0f\x22\xd8\x0f\x20\xd9");			/* mov %rax, %cr3; mov %cr3, %rcx */
	EXPECT_EQ(tables | 0xfff, GPR(RCX));
	GPR(RAX) = tables | 5 | KEEP;
	STEP("\x0f\x22\xd8\x0f\x20\xd9");
	EXPECT_EQ(tables | 5, GPR(RCX));
	EXPECT_EQ(tables | 5, NOW.cr3);
	/* A prefixed form leaves the window. */
	GPR(RAX) = tables | 6 | KEEP;
	STEP("\x66\x0f\x22\xd8\x66\x0f\x20\xd9");
	EXPECT_EQ(tables | 6, GPR(RCX));
	GPR(RAX) = tables | 5 | 1ULL << 62;
	EXPECT_EQ(GP, TRY("\x0f\x22\xd8"));
	GPR(RAX) = tables | 5 | 1ULL << 52 | KEEP;
	EXPECT_EQ(GP, TRY("\x0f\x22\xd8"));
	EXPECT_EQ(tables | 6, NOW.cr3);
	GPR(RAX) = self->test.control.cr4 & ~CR4_PCIDE;
	GPR(RDX) = tables | KEEP;
	EXPECT_EQ(GP, TRY("\x0f\x22\xe0\x0f\x22\xda"));
}

/* In 64-bit code paging cannot be switched off anyway, so this is in compatibility mode. */
TEST_F(long_mode, paging_stays_on)
{
	struct hull_segments segments;

	NEED_PCIDS(self->test.shadow);
	GPR(RAX) = self->test.control.cr4 | CR4_PCIDE;
	STEP("\x0f\x22\xe0");
	ASSERT_EQ(0, guest_get_segments(&self->test.guest, 0, &segments));
	segments.cs.attr = (segments.cs.attr & ~SEG_L) | SEG_DB;
	segments.cs.limit = ~0U;
	ASSERT_EQ(0, guest_set_segments(&self->test.guest, 0, &segments));
	GPR(RAX) = NOW.cr0 & ~CR0_PG;
	EXPECT_EQ(GP, TRY("\x0f\x22\xc0"));
	EXPECT_EQ(CR0_PG, NOW.cr0 & CR0_PG);
}

/* ---- translations --------------------------------------------------------------------------- */

FIXTURE(pcid) {
	struct guest guest;
	struct paging tables;
	struct script *script;
	__u64 cr4;
	bool shadow;
	__u64 root[3];		/* that share what is below TOP, LOW's table too unless changed */
};

FIXTURE_SETUP(pcid)
{
	const struct program_header *header =
		(const struct program_header *)program_steps64.image;
	struct paging *tables = &self->tables;
	struct hull_info info;
	__u64 gpa;
	int i;

	ASSERT_EQ(0, guest_create(&self->guest, 0, PROGRAM_END)) {
		TH_LOG("cannot create a VM: %s", strerror(errno));
	}
	ASSERT_EQ(0, hull_get_info(self->guest.dev, &info));
	self->shadow = info.paging == HULL_PAGING_SHADOW;
	for (gpa = PROGRAM_DATA; gpa < PROGRAM_END; gpa += PAGE)
		*(__u64 *)(self->guest.memory + gpa) = TAG((gpa - PROGRAM_DATA) / PAGE);
	ASSERT_EQ(0, program_start(&self->guest, 0, &program_steps64));
	paging_init(tables, &self->guest, PAGING_LONG, PROGRAM_TABLES, header->user_page);
	paging_map(tables, LOW + PAGE, 1, FRAME(99) | ALL);
	paging_map(tables, HIGH, 1, 0);
	paging_map(tables, TOP, 1, FRAME(98) | ALL);
	self->root[0] = tables->root;
	for (i = 1; i < 3; i++) {
		self->root[i] = paging_new_table(tables);
		memcpy(self->guest.memory + self->root[i], self->guest.memory + tables->root, PAGE);
	}
	self->script = calloc(1, sizeof(*self->script));
	ASSERT_NE(NULL, self->script);
	script_init(self->script, &self->guest, &program_steps64, tables->size);
	self->cr4 = paging_cr4(tables) | X86_CR4_PGE;
	script_efer(self->script, paging_efer(tables));
	script_cr3(self->script, tables->root);
	script_cr4(self->script, self->cr4);
	script_cr0(self->script, X86_CR0_BASE | X86_CR0_PG | X86_CR0_WP);
	self->cr4 |= CR4_PCIDE;
	script_cr4(self->script, self->cr4);
}

FIXTURE_TEARDOWN(pcid)
{
	struct hull_info info;

	if (!hull_get_info(self->guest.dev, &info) && (info.capabilities & HULL_CAP_CHECK_MODE))
		EXPECT_EQ(0, hull_vm_check(self->guest.vm));
	guest_destroy(&self->guest);
	free(self->script);
}

typedef FIXTURE_DATA(pcid) data;

/* Root @n, whose PCID is @n + 1. */
static void load(data *self, int n, __u64 keep)
{
	script_cr3(self->script, self->root[n] | (n + 1) | keep);
}

/* A leaf table of its own for LOW below root @n; where the entry for LOW is. */
static __u64 own_table(data *self, int n)
{
	__u64 root = self->tables.root, gpa;

	self->tables.root = self->root[n];
	paging_put(&self->tables, paging_entry(&self->tables, LOW, 4), 0);
	gpa = paging_entry(&self->tables, LOW, 1);
	paging_put(&self->tables, paging_entry(&self->tables, LOW + PAGE, 1), FRAME(99) | ALL);
	self->tables.root = root;
	return gpa;
}

/* Each way to invalidate, with the change before, at and after the switch. */
TEST_F(pcid, what_is_invalidated_is_seen)
{
	struct script *script = self->script;
	__u64 gpa = own_table(self, 0);
	unsigned int i, when;

	NEED_PCIDS(self->shadow);
	for (i = 0; i < 30; i++) {
		when = i / 6 % 2;
		load(self, 0, KEEP);
		script_invlpg(script, LOW);
		script_read(script, USER, LOW + PAGE, TAG(99));
		script_put(script, gpa, FRAME(i) | (i & 1 ? ALL : PTE_P | PTE_U));
		script_invlpg(script, LOW);
		script_read(script, USER, LOW, TAG(i));
		if (!when)
			script_put(script, gpa, FRAME(i + 40) | ALL);
		load(self, 1, i & 4 ? KEEP : 0);
		script_read(script, USER, TOP, TAG(98));
		if (when)
			script_put(script, gpa, FRAME(i + 40) | ALL);
		switch (i % 6) {
		case 0:
			load(self, 0, 0);
			break;
		case 1:
			load(self, 0, KEEP);
			script_invlpg(script, LOW);
			break;
		case 2:
			script_cr4(script, self->cr4 & ~X86_CR4_PGE);
			script_cr4(script, self->cr4);
			load(self, 0, KEEP);
			break;
		case 3:
			script_cr3(script, self->root[1]);
			script_cr4(script, self->cr4 & ~CR4_PCIDE);
			script_cr4(script, self->cr4);
			load(self, 0, KEEP);
			break;
		case 4:
			load(self, 0, KEEP);
			load(self, 0, 0);
			break;
		case 5:
			/* Another root with that PCID. */
			script_cr3(script, self->root[1] | 1);
			load(self, 2, 0);
			load(self, 0, KEEP);
			break;
		}
		script_read(script, USER, LOW, TAG(i + 40));
		script_write(script, USER, LOW + 8, i);
	}
	ASSERT_EQ(0, script_run(script));
}

/* PCID 1 cannot have LOW cached, for it looked when nothing was there. Then PCID @n + 1 is. */
static void let_go(data *self, __u64 gpa, unsigned int i, int n)
{
	load(self, 0, i & 1 ? KEEP : 0);
	script_put(self->script, gpa, 0);
	script_invlpg(self->script, LOW);
	script_read(self->script, USER, LOW + PAGE, TAG(99));
	load(self, n, KEEP);
}

/* Not present, then one thing, then another while another PCID is there. */
TEST_F(pcid, what_was_never_held_is_not_seen)
{
	__u64 gpa = paging_entry(&self->tables, LOW, 1);
	struct script *script = self->script;
	unsigned int i;

	NEED_PCIDS(self->shadow);
	load(self, 1, 0);
	for (i = 0; i < 20; i++) {
		let_go(self, gpa, i, 1);
		script_put(script, gpa, FRAME(i) | ALL);
		script_read(script, USER, LOW, TAG(i));
		script_put(script, gpa, FRAME(i + 40) | ALL);
		load(self, 0, KEEP);
		script_read(script, USER, LOW, TAG(i + 40));
	}
	ASSERT_EQ(0, script_run(script));
}

/* The same for rights, which must not be less than what is there now, nor more. */
TEST_F(pcid, rights_never_held_are_not_seen)
{
	__u64 gpa = paging_entry(&self->tables, LOW, 1);
	struct script *script = self->script;
	unsigned int i;

	NEED_PCIDS(self->shadow);
	load(self, 1, 0);
	for (i = 0; i < 20; i++) {
		let_go(self, gpa, i, 2);
		script_put(script, gpa, FRAME(0) | ALL);
		script_write(script, USER, LOW + 8, i);
		script_put(script, gpa, FRAME(0) | PTE_P | PTE_U);
		load(self, 0, KEEP);
		script_fault(script, USER | ACCESS_WRITE, LOW, PF_P | PF_W | PF_U);
		script_put(script, gpa, FRAME(1) | PTE_P);
		script_invlpg(script, LOW);
		script_fault(script, USER, LOW, PF_P | PF_U);
	}
	ASSERT_EQ(0, script_run(script));
}

/* A table that was filled long ago is found by a new way, and has changed since. */
TEST_F(pcid, tables_linked_meanwhile)
{
	struct paging *tables = &self->tables;
	struct script *script = self->script;
	__u64 upper = paging_entry(tables, LOW, 2), table = paging_get(tables, upper);
	__u64 other = paging_entry(tables, HIGH, 2), gpa = paging_entry(tables, LOW, 1);
	unsigned int i, looks;

	NEED_PCIDS(self->shadow);
	for (i = 0; i < 20; i++) {
		/* With many looks the table is write-protected. */
		looks = i & 1 ? 12 : 1;
		script_put(script, upper, 0);
		script_put(script, other, table);
		load(self, 0, 0);
		script_read(script, USER, TOP, TAG(98));
		load(self, 1, 0);
		script_put(script, gpa, FRAME(i) | ALL);
		script_invlpg(script, HIGH);
		script_read(script, USER, HIGH, TAG(i));
		while (looks--)
			load(self, 1, 0);
		/* All is still what it was when PCID 1 was there, but for an entry not present. */
		script_put(script, upper, table);
		script_read(script, USER, LOW, TAG(i));
		script_put(script, gpa, FRAME(i + 40) | ALL);
		load(self, 0, KEEP);
		script_read(script, USER, LOW, TAG(i + 40));
		script_write(script, USER, LOW + 8, i);
		script_put(script, other, 0);
		script_invlpg(script, HIGH);
	}
	ASSERT_EQ(0, script_run(script));
}

/* INVLPG takes a global translation from all PCIDs, by whatever tables they have it. */
TEST_F(pcid, global_pages)
{
	struct script *script = self->script;
	__u64 first = own_table(self, 0), second = own_table(self, 1);
	unsigned int i, n;

	NEED_PCIDS(self->shadow);
	for (i = 0; i < 12; i++) {
		script_put(script, first, FRAME(i) | ALL | PTE_G);
		script_put(script, second, FRAME(i) | ALL | PTE_G);
		load(self, 0, KEEP);
		script_invlpg(script, LOW);
		script_read(script, USER, LOW, TAG(i));
		load(self, 1, KEEP);
		script_invlpg(script, LOW);
		script_read(script, USER, LOW, TAG(i));
		script_put(script, first, FRAME(i + 40) | ALL | PTE_G);
		script_put(script, second, FRAME(i + 40) | ALL | PTE_G);
		script_invlpg(script, LOW);
		for (n = 0; n < i * 2; n++)
			script_invlpg(script, HIGH + n * PAGE);
		script_read(script, USER, LOW, TAG(i + 40));
		load(self, 0, KEEP);
		script_read(script, USER, LOW, TAG(i + 40));
	}
	ASSERT_EQ(0, script_run(script));
}

/* One PCID with two roots: a flush by way of one is a flush. */
TEST_F(pcid, two_roots_with_one_pcid)
{
	struct script *script = self->script;
	__u64 gpa = own_table(self, 0);
	unsigned int i;

	NEED_PCIDS(self->shadow);
	for (i = 0; i < 20; i++) {
		script_put(script, gpa, FRAME(i) | ALL);
		script_cr3(script, self->root[0] | 7);
		script_read(script, USER, LOW, TAG(i));
		script_cr3(script, self->root[1] | 7);
		if (i & 1)
			script_cr3(script, self->root[2] | 0xf07);
		script_put(script, gpa, FRAME(i + 40) | ALL);
		if (i & 2)
			script_cr3(script, self->root[2] | 0xf | KEEP);
		script_cr3(script, self->root[0] | 7 | KEEP);
		script_read(script, USER, LOW, TAG(i + 40));
	}
	ASSERT_EQ(0, script_run(script));
}

/* CR0.WP is looked at with each access, and has tables of its own here. */
TEST_F(pcid, write_protection_off)
{
	struct paging *tables = &self->tables;
	struct script *script = self->script;
	__u64 gpa = paging_entry(tables, LOW, 1), cr0 = X86_CR0_BASE | X86_CR0_PG;
	unsigned int i;

	NEED_PCIDS(self->shadow);
	load(self, 1, 0);
	for (i = 0; i < 12; i++) {
		load(self, 0, KEEP);
		script_put(script, gpa, FRAME(i) | PTE_P);
		script_invlpg(script, LOW);
		script_fault(script, ACCESS_WRITE, LOW + 8, PF_P | PF_W);
		script_cr0(script, cr0);
		script_write(script, 0, LOW + 8, i);
		load(self, 1, KEEP);
		script_cr0(script, cr0 | X86_CR0_WP);
		load(self, 0, KEEP);
		script_fault(script, ACCESS_WRITE, LOW + 8, PF_P | PF_W);
		script_put(script, gpa, FRAME(i + 40) | PTE_P);
		script_invlpg(script, LOW);
		load(self, 1, KEEP);
		script_cr0(script, cr0);
		load(self, 0, KEEP);
		script_read(script, 0, LOW, TAG(i + 40));
		script_write(script, 0, LOW + 8, i);
		script_cr0(script, cr0 | X86_CR0_WP);
	}
	ASSERT_EQ(0, script_run(script));
}

/* Saved while one PCID is there, and restored: what follows must be as without. */
TEST_F(pcid, saved_and_restored)
{
	struct script *script = self->script;
	__u64 gpa = own_table(self, 0);
	struct hull_control control, now;
	unsigned int i;

	NEED_PCIDS(self->shadow);
	for (i = 0; i < 6; i++) {
		script_put(script, gpa, FRAME(i) | ALL);
		load(self, 0, 0);
		script_read(script, USER, LOW, TAG(i));
		load(self, 1, KEEP);
		ASSERT_EQ(0, script_run(script));
		ASSERT_EQ(0, guest_get_control(&self->guest, 0, &control));
		EXPECT_EQ(self->root[1] | 2, control.cr3);
		EXPECT_EQ(self->cr4, control.cr4);
		ASSERT_EQ(0, guest_set_control(&self->guest, 0, &control));
		ASSERT_EQ(0, guest_get_control(&self->guest, 0, &now));
		EXPECT_EQ(0, memcmp(&now, &control, sizeof(now)));
		script_put(script, gpa, FRAME(i + 40) | ALL);
		load(self, 0, KEEP);
		script_invlpg(script, LOW);
		script_read(script, USER, LOW, TAG(i + 40));
		ASSERT_EQ(0, script_run(script));
	}
}

HULL_TEST_MAIN
