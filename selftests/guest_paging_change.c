// SPDX-License-Identifier: GPL-2.0
/*
 * Page tables that a guest changes while it uses them: what INVLPG, CR3 and CR4 make seen, aliases,
 * tables that map themselves, tables shared with different rights, large pages split and merged,
 * CR0.WP. See guest_paging.c and lib/steps.h.
 */
#include "device.h"
#include "harness.h"
#include "steps.h"

#define PAGE	4096ULL
/* Three addresses, below different entries of the root in each format */
#define LONG_MODE	(variant->kind >= PAGING_LONG)
#define LA57		(variant->kind == PAGING_LA57)
#define LOW	(LA57 ? 0x1008040000000ULL : LONG_MODE ? 0x8040000000ULL : 0x40000000ULL)
#define HIGH	(LA57 ? 0xff00000080000000ULL : LONG_MODE ? 0xffff800080000000ULL : 0x80000000ULL)
#define TOP	(LONG_MODE ? 0xffffffffc0000000ULL : 0xc0000000ULL)
#define FRAME(n)	(PROGRAM_DATA + (n) * PAGE)
#define TAG(n)	(0x1000001ULL * ((n) + 1))
#define ALL	(PTE_P | PTE_W | PTE_U)
#define USER	ACCESS_USER
#define WRITE	ACCESS_WRITE

FIXTURE(change) {
	struct guest guest;
	struct paging tables;
	struct script *script;
	__u64 cr0, cr4;
};

FIXTURE_VARIANT(change) {
	enum paging_kind kind;
};

FIXTURE_VARIANT_ADD(change, legacy) { PAGING_32 };
FIXTURE_VARIANT_ADD(change, pae) { PAGING_PAE };
FIXTURE_VARIANT_ADD(change, long_mode) { PAGING_LONG };
FIXTURE_VARIANT_ADD(change, five_levels) { PAGING_LA57 };

/* Pages of data with a tag each. */
static void fill_data(struct guest *guest)
{
	__u64 gpa;

	for (gpa = PROGRAM_DATA; gpa < PROGRAM_END; gpa += PAGE)
		*(__u64 *)(guest->memory + gpa) = TAG((gpa - PROGRAM_DATA) / PAGE);
}

static void script_paging(struct script *script, struct paging *tables, __u64 cr0, __u64 cr4)
{
	if (tables->kind != PAGING_32)
		script_efer(script, paging_efer(tables));
	script_cr3(script, tables->root);
	script_cr4(script, cr4);
	script_cr0(script, cr0);
}

FIXTURE_SETUP(change)
{
	const struct program *program = LONG_MODE ? &program_steps64 : &program_steps32;
	const struct program_header *header = (const struct program_header *)program->image;

	ASSERT_EQ(0, guest_create(&self->guest, 0, PROGRAM_END)) {
		TH_LOG("cannot create a VM: %s", strerror(errno));
	}
	fill_data(&self->guest);
	ASSERT_EQ(0, program_start(&self->guest, 0, program));
	if (LA57) {
		if (!guest_has_la57(&self->guest))
			SKIP_VARIANT("the CPU has no five levels");
		ASSERT_EQ(0, guest_set_la57(&self->guest, 0));
	}
	paging_init(&self->tables, &self->guest, variant->kind, PROGRAM_TABLES, header->user_page);
	self->script = calloc(1, sizeof(*self->script));
	ASSERT_NE(NULL, self->script);
	script_init(self->script, &self->guest, program, self->tables.size);
	self->cr0 = X86_CR0_BASE | X86_CR0_PG | X86_CR0_WP;
	self->cr4 = paging_cr4(&self->tables) | X86_CR4_PGE;
	script_paging(self->script, &self->tables, self->cr0, self->cr4);
}

FIXTURE_TEARDOWN(change)
{
	struct hull_info info;

	if (!hull_get_info(self->guest.dev, &info) && (info.capabilities & HULL_CAP_CHECK_MODE))
		EXPECT_EQ(0, hull_vm_check(self->guest.vm));
	guest_destroy(&self->guest);
	free(self->script);
}

/* ---- what makes changes seen ---------------------------------------------------------------- */

/* What becomes present needs no invalidation, at any level: such entries are never cached. */
TEST_F(change, present_is_seen_at_once)
{
	struct paging *tables = &self->tables;
	struct script *script = self->script;
	int level;

	for (level = 1; level <= (variant->kind == PAGING_PAE ? 2 : tables->levels); level++) {
		__u64 gpa = paging_entry(tables, LOW, level), entry;

		if (level == 1)
			paging_put(tables, gpa, FRAME(3) | ALL);
		entry = paging_get(tables, gpa);
		script_put(script, gpa, 0);
		script_invlpg(script, LOW);
		script_fault(script, USER, LOW, PF_U);
		script_put(script, gpa, entry);
		script_read(script, USER, LOW, TAG(3));
		script_write(script, USER, LOW + 8, level);
	}
	ASSERT_EQ(0, script_run(script));
}

TEST_F(change, invlpg_makes_changes_seen)
{
	struct paging *tables = &self->tables;
	struct script *script = self->script;
	__u64 gpa = paging_entry(tables, LOW, 1);
	unsigned int i;

	for (i = 0; i < 20; i++) {
		script_put(script, gpa, FRAME(i) | ALL);
		script_invlpg(script, LOW + i * 8);
		script_read(script, 0, LOW, TAG(i));
		script_write(script, USER, LOW + 8, i);
		script_put(script, gpa, FRAME(i) | PTE_P | PTE_U);
		script_invlpg(script, LOW);
		script_read(script, USER, LOW, TAG(i));
		script_fault(script, USER | WRITE, LOW, PF_P | PF_W | PF_U);
		script_fault(script, WRITE, LOW, PF_P | PF_W);
		script_put(script, gpa, FRAME(i) | PTE_P | PTE_W);
		script_invlpg(script, LOW);
		script_fault(script, USER, LOW, PF_P | PF_U);
		script_read(script, 0, LOW, TAG(i));
		script_put(script, gpa, 0);
		script_invlpg(script, LOW);
		script_fault(script, ACCESS_READ, LOW, 0);
	}
	ASSERT_EQ(0, script_run(script));
}

/* An upper entry takes a whole table away, gives another, and takes rights. */
TEST_F(change, upper_entries_change)
{
	struct paging *tables = &self->tables;
	struct script *script = self->script;
	__u64 upper = paging_entry(tables, LOW, 2), first, second;
	unsigned int i;

	for (i = 0; i < 8; i++)
		paging_map(tables, LOW + i * PAGE, 1, FRAME(i) | ALL);
	first = paging_get(tables, upper);
	second = paging_new_table(tables) | ALL;
	for (i = 0; i < 8; i++)
		paging_put(tables, (second & ~0xfffULL) + i * tables->size, FRAME(20 + i) | ALL);
	for (i = 0; i < 8; i++) {
		__u64 gva = LOW + i * PAGE;

		script_put(script, upper, first);
		script_cr3(script, tables->root);
		script_read(script, USER, gva, TAG(i));
		script_put(script, upper, second);
		script_cr3(script, tables->root);
		script_read(script, USER, gva, TAG(20 + i));
		script_put(script, upper, second & ~PTE_W);
		script_invlpg(script, gva);
		script_fault(script, USER | WRITE, gva + 8, PF_P | PF_W | PF_U);
		script_put(script, upper, second & ~PTE_U);
		script_invlpg(script, gva);
		script_fault(script, USER, gva, PF_P | PF_U);
		script_write(script, 0, gva + 8, i);
		script_put(script, upper, 0);
		script_invlpg(script, gva);
		script_fault(script, USER, gva, PF_U);
	}
	ASSERT_EQ(0, script_run(script));
}

/* Whether a load of CR3 spares global pages is the CPU's choice; INVLPG and CR4.PGE do not. */
TEST_F(change, global_pages)
{
	struct paging *tables = &self->tables;
	struct script *script = self->script;
	__u64 gpa = paging_entry(tables, LOW, 1);
	unsigned int i;

	for (i = 0; i < 10; i++) {
		script_put(script, gpa, FRAME(i) | ALL | PTE_G);
		script_invlpg(script, LOW);
		script_read(script, 0, LOW, TAG(i));
		script_cr3(script, tables->root);
		script_read(script, 0, LOW, TAG(i));
		script_put(script, gpa, FRAME(i + 30) | ALL | PTE_G);
		script_cr4(script, self->cr4 & ~X86_CR4_PGE);
		script_read(script, 0, LOW, TAG(i + 30));
		/* Without PGE there are none. */
		script_put(script, gpa, FRAME(i + 60) | ALL | PTE_G);
		script_cr3(script, tables->root);
		script_read(script, 0, LOW, TAG(i + 60));
		script_cr4(script, self->cr4);
	}
	ASSERT_EQ(0, script_run(script));
}

/* Several roots that share some tables, one after the other. */
TEST_F(change, roots_take_turns)
{
	struct paging *tables = &self->tables;
	struct script *script = self->script;
	const __u64 first = tables->root;
	__u64 roots[6], shared;
	unsigned int i, round;

	paging_map(tables, LOW, 1, FRAME(99) | ALL);
	shared = paging_get(tables, paging_entry(tables, LOW, tables->levels));
	for (i = 0; i < 6; i++) {
		tables->root = paging_new_table(tables);
		roots[i] = tables->root;
		memcpy(self->guest.memory + roots[i], self->guest.memory + first, PAGE);
		paging_map(tables, TOP, 1, FRAME(i) | ALL);
		paging_put(tables, paging_entry(tables, LOW, tables->levels), shared);
	}
	for (round = 0; round < 60; round++) {
		i = round * 5 % 7 % 6;
		script_cr3(script, roots[i]);
		script_read(script, USER, TOP, TAG(i));
		script_read(script, USER, LOW, TAG(99));
		script_write(script, USER, LOW + 8, round);
		/* Through the shared table, for all roots. */
		if (round % 10 == 9) {
			script_put(script, paging_entry(tables, LOW, 1),
				   FRAME(99) | (round % 20 == 9 ? PTE_P | PTE_U : ALL));
			script_invlpg(script, LOW);
			if (round % 20 == 9)
				script_fault(script, USER | WRITE, LOW + 8, PF_P | PF_W | PF_U);
			script_put(script, paging_entry(tables, LOW, 1), FRAME(99) | ALL);
			script_invlpg(script, LOW);
		}
	}
	ASSERT_EQ(0, script_run(script));
}

/* ---- one frame, one table, several ways ----------------------------------------------------- */

TEST_F(change, aliases_keep_their_own_rights)
{
	struct paging *tables = &self->tables;
	struct script *script = self->script;
	unsigned int i;

	paging_map(tables, LOW, 1, FRAME(1) | ALL);
	paging_map(tables, LOW + PAGE, 1, FRAME(1) | PTE_P | PTE_U);
	paging_map(tables, HIGH, 1, FRAME(1) | PTE_P | PTE_W);
	for (i = 0; i < 10; i++) {
		script_write(script, USER, LOW, TAG(i));
		script_read(script, USER, LOW + PAGE, TAG(i));
		script_fault(script, USER | WRITE, LOW + PAGE, PF_P | PF_W | PF_U);
		script_fault(script, WRITE, LOW + PAGE, PF_P | PF_W);
		script_read(script, 0, HIGH, TAG(i));
		script_write(script, 0, HIGH, TAG(i + 5));
		script_fault(script, USER, HIGH, PF_P | PF_U);
		script_read(script, USER, LOW, TAG(i + 5));
	}
	script_entry(script, paging_entry(tables, LOW + PAGE, 1), FRAME(1) | PTE_P | PTE_U | PTE_A,
		     ~0ULL);
	ASSERT_EQ(0, script_run(script));
}

/* The same frame by a small and by a large page. */
TEST_F(change, aliases_of_two_sizes)
{
	struct paging *tables = &self->tables;
	struct script *script = self->script;
	__u64 gva;
	unsigned int i;

	paging_map(tables, HIGH, 2, PROGRAM_DATA | PTE_P | PTE_U | PTE_PS);
	for (i = 0; i < 300; i += 13) {
		gva = LOW + i * PAGE;
		paging_map(tables, gva, 1, FRAME(i) | ALL);
		script_read(script, USER, HIGH + i * PAGE, TAG(i));
		script_write(script, USER, gva, TAG(i + 1));
		script_read(script, USER, HIGH + i * PAGE, TAG(i + 1));
		script_fault(script, USER | WRITE, HIGH + i * PAGE, PF_P | PF_W | PF_U);
	}
	ASSERT_EQ(0, script_run(script));
}

TEST_F(change, table_shared_with_different_rights)
{
	struct paging *tables = &self->tables;
	struct script *script = self->script;
	__u64 span = paging_span(tables, 2), table;
	unsigned int i;

	for (i = 0; i < 4; i++)
		paging_map(tables, LOW + i * PAGE, 1, FRAME(i) | ALL);
	table = paging_get(tables, paging_entry(tables, LOW, 2)) & ~0xfffULL;
	paging_map(tables, LOW + span, 2, table | PTE_P | PTE_U);
	paging_map(tables, LOW + 2 * span, 2, table | PTE_P | PTE_W);
	for (i = 0; i < 4; i++) {
		__u64 gva = LOW + i * PAGE;

		script_write(script, USER, gva + 8, i);
		script_read(script, USER, gva + span, TAG(i));
		script_fault(script, USER | WRITE, gva + span + 8, PF_P | PF_W | PF_U);
		script_fault(script, USER, gva + 2 * span, PF_P | PF_U);
		script_write(script, 0, gva + 2 * span + 16, i);
		script_read(script, USER, gva + 8 + span, i);
		/* What is taken away here is gone there. */
		script_put(script, table + i * tables->size, 0);
		script_invlpg(script, gva + span);
		script_invlpg(script, gva + 2 * span);
		script_fault(script, USER, gva + span, PF_U);
		script_fault(script, ACCESS_READ, gva + 2 * span, 0);
	}
	ASSERT_EQ(0, script_run(script));
}

/*
 * The last level's tables seen as data: an upper entry that points to its own table. What is
 * written there changes the mapping it was written through.
 */
TEST_F(change, tables_map_themselves)
{
	struct paging *tables = &self->tables;
	struct script *script = self->script;
	__u64 span = paging_span(tables, 2), dir = paging_entry(tables, LOW, 2) & ~0xfffULL;
	/* The directory's own entry for LOW + 3 spans: there are the tables of this directory. */
	__u64 window = LOW + 3 * span, slot = LOW / span % (PAGE / tables->size);
	__u64 seen = window + slot * PAGE;	/* the table that maps LOW */
	unsigned int i;

	paging_map(tables, LOW, 1, FRAME(0) | ALL);
	paging_map(tables, window, 2, dir | PTE_P | PTE_W);
	for (i = 0; i < 12; i++) {
		script_put(script, seen + (i + 1) * tables->size, FRAME(i) | ALL);
		script_write(script, USER, LOW + (i + 1) * PAGE + 8, i);
		script_read(script, 0, LOW + (i + 1) * PAGE, TAG(i));
		script_put(script, seen + (i + 1) * tables->size, FRAME(i + 1) | PTE_P | PTE_U);
		script_invlpg(script, LOW + (i + 1) * PAGE);
		script_read(script, USER, LOW + (i + 1) * PAGE, TAG(i + 1));
		script_fault(script, USER | WRITE, LOW + (i + 1) * PAGE, PF_P | PF_W | PF_U);
	}
	/* The entry that the window itself is, through the window. */
	for (i = 0; i < 4; i++) {
		__u64 self_entry = window + (slot + 3) * PAGE + (slot + 3) * tables->size;

		script_put(script, self_entry, dir | PTE_P | PTE_W | (i & 1 ? PTE_U : 0));
		script_invlpg(script, self_entry);
		script_entry(script, self_entry, dir | PTE_P | PTE_W | (i & 1 ? PTE_U : 0),
			     ~(PTE_A | PTE_D));
		if (i & 1)
			script_read(script, 0, seen, FRAME(0) | ALL | PTE_A);
	}
	paging_put(tables, paging_entry(tables, LOW, 1), FRAME(0) | ALL | PTE_A);
	ASSERT_EQ(0, script_run(script));
}

/* ---- large pages ---------------------------------------------------------------------------- */

TEST_F(change, split_and_merge)
{
	struct paging *tables = &self->tables;
	struct script *script = self->script;
	__u64 upper = paging_entry(tables, LOW, 2), large = PROGRAM_DATA | ALL | PTE_PS;
	__u64 table = paging_new_table(tables), span = paging_span(tables, 2);
	unsigned int i, n = PAGE / tables->size, round;

	for (i = 0; i < n; i++)
		paging_put(tables, table + i * tables->size, FRAME(i) | ALL);
	for (round = 0; round < 4; round++) {
		script_put(script, upper, large);
		script_cr3(script, tables->root);
		for (i = 0; i < n; i += 61)
			script_read(script, USER, LOW + i * PAGE, TAG(i));
		script_write(script, USER, LOW + span - 8, round);
		script_put(script, upper, table | ALL);
		script_cr3(script, tables->root);
		for (i = 0; i < n; i += 61)
			script_read(script, USER, LOW + i * PAGE, TAG(i));
		/* One of them is different. */
		script_put(script, table + 61 * tables->size, FRAME(61) | PTE_P | PTE_U);
		script_invlpg(script, LOW + 61 * PAGE);
		script_fault(script, USER | WRITE, LOW + 61 * PAGE, PF_P | PF_W | PF_U);
		script_write(script, USER, LOW + 62 * PAGE + 8, round);
		script_put(script, table + 61 * tables->size, FRAME(61) | ALL);
	}
	ASSERT_EQ(0, script_run(script));
}

/* ---- writes --------------------------------------------------------------------------------- */

/* Without WP the supervisor writes to what users may only read; the user still may not. */
TEST_F(change, write_protection_off)
{
	struct paging *tables = &self->tables;
	struct script *script = self->script;
	__u64 gpa = paging_entry(tables, LOW, 1);
	unsigned int i;

	paging_put(tables, gpa, FRAME(0) | PTE_P | PTE_U);
	for (i = 0; i < 6; i++) {
		script_cr0(script, self->cr0 & ~X86_CR0_WP);
		script_read(script, USER, LOW, i ? TAG(i - 1) : TAG(0));
		script_write(script, 0, LOW, TAG(i));
		script_read(script, USER, LOW, TAG(i));
		script_fault(script, USER | WRITE, LOW, PF_P | PF_W | PF_U);
		script_cr4(script, self->cr4 | (guest_new_cr4(&self->guest) & X86_CR4_SMEP));
		script_write(script, 0, LOW, TAG(i));
		script_read(script, USER, LOW, TAG(i));
		script_fault(script, USER | WRITE, LOW, PF_P | PF_W | PF_U);
		script_cr4(script, self->cr4);
		script_cr0(script, self->cr0);
		script_fault(script, WRITE, LOW, PF_P | PF_W);
		script_read(script, 0, LOW, TAG(i));
	}
	script_entry(script, gpa, FRAME(0) | PTE_P | PTE_U | PTE_A | PTE_D, ~0ULL);
	ASSERT_EQ(0, script_run(script));
}

/* A write across the end of a page: all of it or nothing. */
TEST_F(change, write_across_a_fault)
{
	struct paging *tables = &self->tables;
	struct script *script = self->script;
	const __u64 gva = LOW + PAGE - 2;

	paging_map(tables, LOW, 1, FRAME(0) | ALL);
	paging_map(tables, LOW + PAGE, 1, FRAME(7) | PTE_P | PTE_U);
	script_fault(script, USER | WRITE, gva, PF_P | PF_W | PF_U);
	script->want[script->count - 1].cr2 = LOW + PAGE;
	script_read(script, USER, LOW + PAGE - script->size, 0);
	script_put(script, paging_entry(tables, LOW + PAGE, 1), FRAME(7) | ALL);
	script_invlpg(script, LOW + PAGE);
	script_write(script, USER, gva, 0x44332211);
	script_read(script, USER, gva, 0x44332211);
	script_read(script, USER, LOW + PAGE - 4, 0x44332211ULL << 16);
	script->want[script->count - 1].mask = 0xffffffff;
	ASSERT_EQ(0, script_run(script));
}

/* ---- tables that lead to the same table again and again -------------------------------------- */

/* Use all 512 entries of the tables of levels 2, 3 and 4; load CR3 some times; tell. */
GUEST(climber, 64,
      "mov $0x40000, %eax\n mov %rax, %cr3\n mov $37, %ecx\n"
      "1: xor %ebx, %ebx\n"
      "2: mov %rbx, %rsi\n shl %cl, %rsi\n sar $16, %rsi\n mov (%rsi), %dl\n"
      "inc %ebx\n cmp $512, %ebx\n jne 2b\n"
      "add $9, %ecx\n cmp $64, %ecx\n jne 1b\n"
      "mov $20, %ebx\n"
      "3: mov %rax, %cr3\n dec %ebx\n jnz 3b\n"
      "out %eax, $0xe9\n hlt");

/* There are 2^27 ways to the last table, which a CR3 load must not go one by one. */
TEST(many_ways_to_one_table)
{
	struct guest guest;
	int level, i;

	ASSERT_EQ(0, guest_create(&guest, 0, GUEST_SIZE));
	for (level = 4; level >= 1; level--) {
		__u64 gpa = GUEST_DATA_GPA + (4 - level) * PAGE;

		for (i = 0; i < 512; i++)
			((__u64 *)(guest.memory + gpa))[i] =
				(level > 1 ? gpa + PAGE : i * PAGE) | PTE_P | PTE_W;
	}
	ASSERT_EQ(0, guest_start(&guest, 0, GUEST_LONG, GUEST_CODE(climber)));
	ASSERT_EQ(0, guest_expect_out(&guest, GUEST_DATA_GPA));
	guest_destroy(&guest);
}

HULL_TEST_MAIN
