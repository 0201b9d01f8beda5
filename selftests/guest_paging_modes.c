// SPDX-License-Identifier: GPL-2.0
/*
 * A guest that goes through all paging modes: off, 32-bit, PAE, long with four levels and with
 * five, and back, several times, each with tables of its own that map the same address elsewhere.
 * Two programs take turns, of 32 and 64 bits (see program/steps.c).
 */
#include "harness.h"
#include "steps.h"

#define PAGE		4096ULL
#define GVA		0x40000000ULL
#define GVA64		0xffff800040000000ULL
#define GVA57		0xff00000040000000ULL
#define FRAME(n)	(PROGRAM_DATA + (n) * PAGE)
#define ALL		(PTE_P | PTE_W | PTE_U)
#define CR4_NONE	X86_CR4_BASE
#define CR0_OFF		X86_CR0_BASE
#define CR0_ON		(X86_CR0_BASE | X86_CR0_PG | X86_CR0_WP)
#define EFER_LME	0x100ULL

FIXTURE(modes) {
	struct guest guest;
	struct paging legacy, pae, long_mode, la57;
	struct script *script;
	const struct program_header *header32, *header64;
};

FIXTURE_SETUP(modes)
{
	struct guest *guest = &self->guest;
	__u64 next = PROGRAM_TABLES;
	unsigned int i;

	ASSERT_EQ(0, guest_create(guest, 0, PROGRAM_END)) {
		TH_LOG("cannot create a VM: %s", strerror(errno));
	}
	for (i = 0; i < 64; i++)
		*(__u64 *)(guest->memory + FRAME(i)) = 0x1000 + i;
	ASSERT_EQ(0, program_start(guest, 0, &program_steps32));
	self->header32 = (const struct program_header *)program_steps32.image;
	self->header64 = program_load(guest, &program_steps64);
	program_set_gates(guest, &program_steps64, PROGRAM_IDT2, SELECTOR_CODE64);
	paging_init(&self->legacy, guest, PAGING_32, next, self->header32->user_page);
	paging_map(&self->legacy, GVA, 1, FRAME(1) | ALL);
	paging_init(&self->pae, guest, PAGING_PAE, self->legacy.next, self->header32->user_page);
	paging_map(&self->pae, GVA, 1, FRAME(2) | ALL | PTE_NX);
	paging_init(&self->long_mode, guest, PAGING_LONG, self->pae.next,
		    self->header64->user_page);
	paging_map(&self->long_mode, GVA, 1, FRAME(3) | ALL);
	paging_map(&self->long_mode, GVA64, 1, FRAME(4) | PTE_P | PTE_NX);
	paging_init(&self->la57, guest, PAGING_LA57, self->long_mode.next,
		    self->header64->user_page);
	paging_map(&self->la57, GVA, 1, FRAME(6) | ALL);
	paging_map(&self->la57, GVA57, 1, FRAME(7) | PTE_P | PTE_NX);
	self->script = calloc(1, sizeof(*self->script));
	ASSERT_NE(NULL, self->script);
	script_init(self->script, guest, &program_steps32, 8);
}

FIXTURE_TEARDOWN(modes)
{
	struct hull_info info;

	if (!hull_get_info(self->guest.dev, &info) && (info.capabilities & HULL_CAP_CHECK_MODE))
		EXPECT_EQ(0, hull_vm_check(self->guest.vm));
	guest_destroy(&self->guest);
	free(self->script);
}

/* Paging is off before and after each of these. */

static void without_paging(struct script *script, unsigned int round)
{
	script_read(script, 0, FRAME(1), 0x1001);
	script_write(script, 0, FRAME(5) + 8, round);
	script_fetch(script, 0, PROGRAM_DATA + 0x800);
}

static void through_legacy(struct script *script, const struct paging *tables, unsigned int round)
{
	script_cr4(script, CR4_NONE);
	script_cr3(script, tables->root);
	script_cr0(script, CR0_ON);
	script_read(script, ACCESS_USER, GVA, 0x1001);
	script_write(script, ACCESS_USER, GVA + 8, round);
	script_fault(script, ACCESS_READ, GVA + PAGE, 0);
	/* The bit for large pages comes into force. */
	script_cr4(script, CR4_NONE | X86_CR4_PSE);
	script_read(script, 0, GVA, 0x1001);
	script_cr0(script, CR0_OFF);
	script_read(script, 0, FRAME(1) + 8, round);
}

static void through_pae(struct script *script, const struct paging *tables, unsigned int round)
{
	script_cr4(script, CR4_NONE | X86_CR4_PAE);
	script_cr3(script, tables->root);
	script_efer(script, X86_EFER_NXE);
	script_cr0(script, CR0_ON);
	script_read(script, ACCESS_USER, GVA, 0x1002);
	script_write(script, 0, GVA + 8, round);
	script_fault(script, ACCESS_FETCH, GVA, PF_P | PF_FETCH);
	script_cr0(script, CR0_OFF);
	script_read(script, 0, FRAME(2) + 8, round);
}

static void through_long(struct script *script, const struct paging *tables, unsigned int round,
			 const struct program_header *to64, const struct program_header *to32)
{
	bool la57 = tables->kind == PAGING_LA57;
	__u64 high = la57 ? GVA57 : GVA64, frame = la57 ? 6 : 3;

	script_cr4(script, paging_cr4(tables));
	script_cr3(script, tables->root);
	script_efer(script, X86_EFER_NXE | EFER_LME);
	script_cr0(script, CR0_ON);
	/* Compatibility mode: no handlers yet */
	script_read(script, 0, GVA, 0x1000 + frame);
	script_write(script, 0, GVA + 8, round);
	script_do(script, STEP_LIDT, PROGRAM_IDT2, 0xfff);
	script_do(script, STEP_FAR, to64->start, SELECTOR_CODE64);
	script_read(script, 0, GVA, 0x1000 + frame);
	script_read(script, 0, high, 0x1001 + frame);
	script_fault(script, ACCESS_WRITE, high, PF_P | PF_W);
	script->want[script->count - 1].cr2 = high;
	script_fault(script, ACCESS_FETCH, high, PF_P | PF_FETCH);
	script->want[script->count - 1].cr2 = high;
	script_do(script, STEP_FAR, to32->start, SELECTOR_CODE32);
	script_read(script, 0, GVA, 0x1000 + frame);
	script_do(script, STEP_LIDT, TRAP_IDT_GPA, 0x7ff);
	script_cr0(script, CR0_OFF);
	script_efer(script, 0);
	script_read(script, 0, FRAME(frame) + 8, round);
}

TEST_F_TIMEOUT(modes, all_of_them_in_turn, 60)
{
	struct script *script = self->script;
	unsigned int round;

	memcpy(self->guest.memory + PROGRAM_DATA + 0x800, "\x90\xcd\x80", 3);
	for (round = 1; round <= 20; round++) {
		without_paging(script, round);
		if (round % 3)
			through_legacy(script, &self->legacy, round);
		if (round % 4)
			through_pae(script, &self->pae, round);
		if (round % 5)
			through_long(script, &self->long_mode, round, self->header64,
				     self->header32);
		if (round % 6 && guest_has_la57(&self->guest))
			through_long(script, &self->la57, round, self->header64, self->header32);
	}
	ASSERT_EQ(0, script_run(script));
}

/* The same tables, changed while paging is off. */
TEST_F(modes, tables_change_while_paging_is_off)
{
	struct script *script = self->script;
	__u64 gpa = paging_entry(&self->pae, GVA, 1);
	unsigned int round;

	script_cr4(script, CR4_NONE | X86_CR4_PAE);
	script_efer(script, X86_EFER_NXE);
	script_cr3(script, self->pae.root);
	for (round = 0; round < 10; round++) {
		script_cr0(script, CR0_ON);
		script_read(script, 0, GVA, 0x1000 + (round ? round + 9 : 2));
		script_cr0(script, CR0_OFF);
		script_put(script, gpa, FRAME(round + 10) | ALL);
		script_write(script, 0, FRAME(round + 10) + 8, round);
	}
	ASSERT_EQ(0, script_run(script));
}

/* Compatibility mode, where no handlers are needed as long as nothing faults. */
static void begin_compatibility(struct script *script, const struct paging *tables)
{
	script_cr4(script, CR4_NONE | X86_CR4_PAE);
	script_efer(script, X86_EFER_NXE | EFER_LME);
	script_cr3(script, tables->root);
}

/* Use tables, and do not change them for a while: a hypervisor may come to rely on that. */
static void let_rest(struct script *script, const struct paging *tables, __u64 value)
{
	unsigned int i;

	for (i = 0; i < 40; i++) {
		script_read(script, 0, GVA, value);
		script_cr3(script, tables->root);
	}
}

/* The same for tables at rest. */
TEST_F(modes, tables_at_rest_change_while_paging_is_off)
{
	struct script *script = self->script;
	__u64 gpa = paging_entry(&self->long_mode, GVA, 1);
	unsigned int round;

	begin_compatibility(script, &self->long_mode);
	for (round = 0; round < 4; round++) {
		script_cr0(script, CR0_ON);
		let_rest(script, &self->long_mode, 0x1000 + (round ? round + 9 : 3));
		script_cr0(script, CR0_OFF);
		script_put(script, gpa, FRAME(round + 10) | ALL);
	}
	ASSERT_EQ(0, script_run(script));
}

/* Another vCPU, which has not begun to page, writes them. */
TEST_F(modes, vcpu_without_paging_changes_tables)
{
	struct script *script = self->script;
	__u32 gpa = paging_entry(&self->long_mode, GVA, 1), entry, round;
	unsigned char *code = self->guest.memory + FRAME(40);

	ASSERT_EQ(0, guest_add_cpu(&self->guest, 1));
	begin_compatibility(script, &self->long_mode);
	script_cr0(script, CR0_ON);
	for (round = 0; round < 4; round++) {
		let_rest(script, &self->long_mode, 0x1000 + (round ? round + 9 : 3));
		ASSERT_EQ(0, script_run(script));
		/* movl $entry, gpa; hlt */
		entry = FRAME(round + 10) | ALL;
		memcpy(code, "\xc7\x05", 2);
		memcpy(code + 2, &gpa, 4);
		memcpy(code + 6, &entry, 4);
		code[10] = 0xf4;
		ASSERT_EQ(0, guest_set_mode(&self->guest, 1, GUEST_PROTECTED, FRAME(40)));
		ASSERT_EQ(0, guest_expect_halt(&self->guest, 1));
		script_invlpg(script, GVA);
	}
	script_read(script, 0, GVA, 0x1000 + round + 9);
	ASSERT_EQ(0, script_run(script));
}

HULL_TEST_MAIN
