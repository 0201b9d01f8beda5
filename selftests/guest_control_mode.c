// SPDX-License-Identifier: GPL-2.0
/*
 * Control registers in one mode of the CPU: what guest_control.c tests in all of them is not here.
 * And in long mode, what a fault in the delivery of an event becomes.
 */
#include "control.h"

/* SMSW to a device, LMSW from it. 0, or what went wrong. */
static int try_device(struct control_test *test)
{
	struct guest *guest = &test->guest;

	/* smsw (%rdi); lmsw (%rdi); hlt */
	memcpy(guest->memory + CODE, "\x0f\x01\x27\x0f\x01\x37\xf4", 7);
	test->gprs.rip = CODE;
	test->gprs.rflags = 2;
	test->gprs.gpr[HULL_GPR_RDI] = DEVICE;
	test->control.cr0 |= CR0_CD;
	if (guest_set_gprs(guest, 0, &test->gprs) || guest_set_control(guest, 0, &test->control))
		return 1;
	if (guest_expect_write(guest, 0, HULL_SPACE_MEMORY, DEVICE, 2,
			       test->control.cr0 & 0xffff))
		return 2;
	if (guest_expect_read(guest, 0, HULL_SPACE_MEMORY, DEVICE, 2, CR0_TS))
		return 3;
	if (guest_expect_halt(guest, 0))
		return 4;
	return control_now(test).cr0 & CR0_TS ? 0 : 5;
}

/* ---- real and protected mode ---------------------------------------------------------------- */

CONTROL_FIXTURE(real_mode, GUEST_REAL);

/* As on a 286: the way to protected mode. */
TEST_F(real_mode, machine_status_word_enters_protected_mode)
{
	struct guest *guest = &self->test.guest;

	memcpy(guest->memory + GUEST_CODE_GPA(0), "\xb8\x01\x00\x0f\x01\xf0\xf4", 7);
	ASSERT_EQ(0, guest_set_mode(guest, 0, GUEST_REAL, GUEST_CODE_GPA(0)));
	EXPECT_EQ(0, guest_expect_halt(guest, 0));
	EXPECT_EQ(CR0_PE, NOW.cr0 & CR0_PE);
}

CONTROL_FIXTURE(protected_mode, GUEST_PROTECTED);

TEST_F(protected_mode, machine_status_word_in_a_device)
{
	EXPECT_EQ(0, try_device(&self->test));
}

/* Loading CR3 with PAE paging loads four entries. */
TEST_F(protected_mode, pae_root_is_checked)
{
	struct guest *guest = &self->test.guest;
	__u64 *root = (__u64 *)(guest->memory + 0x30000);
	int i;

	if (!self->test.shadow)
		SKIP(return, "with nested paging it is the CPU's business");
	ASSERT_EQ(0, guest_set_mode(guest, 0, GUEST_LONG, CODE));	/* its tables */
	ASSERT_EQ(0, guest_set_mode(guest, 0, GUEST_PROTECTED, CODE));
	ASSERT_EQ(0, trap_install(guest, 0, GUEST_PROTECTED, 0));
	for (i = 0; i < 4; i++)
		root[i] = root[4 + i] = (GUEST_TABLES + 0x2000 + i * 0x1000) | PTE_P;
	ASSERT_EQ(0, guest_get_control(guest, 0, &self->test.control));
	self->test.control.cr3 = 0x30000;
	self->test.control.cr4 |= CR4_PAE;
	self->test.control.cr0 |= CR0_PG;
	ASSERT_EQ(0, guest_set_control(guest, 0, &self->test.control));
	GPR(RAX) = 0x30020;
	STEP("\x0f\x22\xd8\x0f\x20\xd9");
	EXPECT_EQ(0x30020, GPR(RCX));
	for (i = 0; i < 4; i++) {
		__u64 good = root[i];

		GPR(RAX) = 0x30000;
		root[i] = good | PTE_W;
		EXPECT_EQ(GP, TRY("\x0f\x22\xd8"));
		root[i] = good | 1ULL << 63;
		EXPECT_EQ(GP, TRY("\x0f\x22\xd8"));
		EXPECT_EQ(0x30020, NOW.cr3);
		/* What is not present may say anything. */
		root[i] = ~PTE_P;
		if (i)
			STEP("\x0f\x22\xd8");
		root[i] = good;
		GPR(RAX) = 0x30020;
		STEP("\x0f\x22\xd8");
	}
}

/* ---- long mode ------------------------------------------------------------------------------ */

CONTROL_FIXTURE(long_mode, GUEST_LONG);

TEST_F(long_mode, machine_status_word_in_a_device)
{
	EXPECT_EQ(0, try_device(&self->test));
}

/* mov %reg, %cr0; mov %cr0, %reg: RSP and RAX are kept elsewhere than the others. */
TEST_F(long_mode, any_register_will_do)
{
	unsigned char code[8] = { 0, 0x0f, 0x22, 0, 0, 0x0f, 0x20, 0 };
	__u64 value = self->test.control.cr0;
	int reg;

	for (reg = 0; reg < 16; reg++) {
		value ^= CR0_WP;
		code[0] = code[4] = 0x40 | reg >> 3;
		code[3] = code[7] = 0xc0 | (reg & 7);
		if (reg == HULL_GPR_RSP) {
			/* Set by the code, for trap_try() needs it: mov %rax, %rsp */
			GPR(RAX) = value;
			STEP("\x48\x89\xc4\x0f\x22\xc4\x31\xe4\x0f\x20\xc4\x48\x89\xe1");
			EXPECT_EQ(value, GPR(RCX));
			continue;
		}
		self->test.gprs.gpr[reg] = value;
		EXPECT_EQ(TRAP_STEPPED, trap_try(&self->test.guest, GUEST_LONG, CODE, code, 4,
						 &self->test.gprs, &self->test.trap));
		EXPECT_EQ(value, NOW.cr0);
		self->test.gprs.gpr[reg] = 0;
		EXPECT_EQ(TRAP_STEPPED, trap_try(&self->test.guest, GUEST_LONG, CODE, code + 4, 4,
						 &self->test.gprs, &self->test.trap));
		EXPECT_EQ(value, self->test.gprs.gpr[reg]);
	}
}

/* Writes to a read-only page; between them CR0.WP changes, hundreds of times in a row. */
GUEST(write_protection, 64,
      "mov $0x200000, %ebx\n mov %cr0, %rcx\n mov $500, %edx\n"
      "1: btr $16, %rcx\n mov %rcx, %cr0\n incl (%rbx)\n"
      "bts $16, %rcx\n mov %rcx, %cr0\n mov (%rbx), %eax\n dec %edx\n jnz 1b\n"
      "incl (%rbx)\n hlt");

TEST_F(long_mode, write_protection_is_in_force_at_once)
{
	struct guest *guest = &self->test.guest;
	__u32 *counter = (__u32 *)(guest->memory + 0x200000);

	*control_page_entry(guest, 0x200000) &= ~PTE_W;
	memcpy(guest->memory + GUEST_CODE_GPA(0), GUEST_CODE(write_protection));
	ASSERT_EQ(0, guest_get_gprs(guest, 0, &self->test.gprs));
	EXPECT_EQ(0, trap_expect(guest, 0, GUEST_LONG, PF, &self->test.trap));
	EXPECT_EQ(3, self->test.trap.error);
	EXPECT_EQ(0x200000, self->test.trap.cr2);
	EXPECT_EQ(500, *counter);
}

/* Two sets of tables that differ in a page, and a switch for each read of it. */
GUEST(switches, 64,
      "mov $0x1000, %eax\n mov $0x30000, %ecx\n mov $0x200000, %ebx\n mov $300, %edx\n"
      "xor %esi, %esi\n"
      "1: mov %rcx, %cr3\n add (%rbx), %esi\n mov %rax, %cr3\n sub (%rbx), %esi\n"
      "dec %edx\n jnz 1b\n hlt");

TEST_F(long_mode, cr3_switches_tables)
{
	struct guest *guest = &self->test.guest;
	__u64 *other = (__u64 *)(guest->memory + 0x30000);

	other[0] = 0x31000 | PTE_P | PTE_W | PTE_U;
	other[512] = 0x32000 | PTE_P | PTE_W | PTE_U;
	memcpy(&other[1024], control_page_entry(guest, 0), 4096);
	other[1024 + 1] = 0 | PTE_P | PTE_W | PTE_U | PTE_PS;
	*(__u32 *)guest->memory = 7;
	*(__u32 *)(guest->memory + 0x200000) = 5;
	memcpy(guest->memory + GUEST_CODE_GPA(0), GUEST_CODE(switches));
	ASSERT_EQ(0, guest_expect_halt(guest, 0));
	ASSERT_EQ(0, guest_get_gprs(guest, 0, &self->test.gprs));
	EXPECT_EQ(300 * (7 - 5), GPR(RSI));
}

TEST_F(long_mode, cr8_reads_back)
{
	GPR(RAX) = 9;
	STEP("\x44\x0f\x22\xc0\x44\x0f\x20\xc1");
	EXPECT_EQ(9, GPR(RCX));
	GPR(RAX) = 16;
	EXPECT_EQ(GP, TRY("\x44\x0f\x22\xc0"));
	EXPECT_EQ(9, NOW.cr8);
}

/* Kernels flush global pages by CR4.PGE: a changed entry must be seen after. */
GUEST(global, 64,
      "mov $0x3000, %edi\n mov $0x200000, %ebx\n mov %cr4, %rcx\n mov $200, %edx\n xor %esi, %esi\n"
      "1: xorq $0x200000, 8(%rdi)\n"
      "xor $0x80, %rcx\n mov %rcx, %cr4\n xor $0x80, %rcx\n mov %rcx, %cr4\n"
      "add (%rbx), %esi\n dec %edx\n jnz 1b\n hlt");

TEST_F(long_mode, page_global_enable_flushes)
{
	struct guest *guest = &self->test.guest;

	*(__u32 *)guest->memory = 3;
	*(__u32 *)(guest->memory + 0x200000) = 4;
	*control_page_entry(guest, 0x200000) |= 0x100;
	memcpy(guest->memory + GUEST_CODE_GPA(0), GUEST_CODE(global));
	ASSERT_EQ(0, guest_expect_halt(guest, 0));
	ASSERT_EQ(0, guest_get_gprs(guest, 0, &self->test.gprs));
	EXPECT_EQ(100 * 7, GPR(RSI));
}

GUEST(invalidates, 64,
      "mov $0x3000, %edi\n mov $0x200000, %ebx\n mov $200, %edx\n xor %esi, %esi\n"
      "1: xorq $0x200000, 8(%rdi)\n invlpg (%rbx)\n add (%rbx), %esi\n"
      "xorq $0x200000, 8(%rdi)\n invlpg 0x1000(%rbx)\n add (%rbx), %esi\n"
      "dec %edx\n jnz 1b\n hlt");

TEST_F(long_mode, invlpg_forgets_a_translation)
{
	struct guest *guest = &self->test.guest;

	*(__u32 *)guest->memory = 3;
	*(__u32 *)(guest->memory + 0x200000) = 4;
	memcpy(guest->memory + GUEST_CODE_GPA(0), GUEST_CODE(invalidates));
	ASSERT_EQ(0, guest_expect_halt(guest, 0));
	ASSERT_EQ(0, guest_get_gprs(guest, 0, &self->test.gprs));
	EXPECT_EQ(200 * 7, GPR(RSI));
}

/* ---- faults in delivery --------------------------------------------------------------------- */

/* Which stack a gate of the IDT takes: 0 is the interrupted one. */
static void set_stack(struct guest *guest, unsigned int vector, unsigned char stack)
{
	guest->memory[TRAP_IDT_GPA + vector * 16 + 4] = stack;
}

/* Undefined, with a stack that is not there. */
#define BAD_STACK	"\x48\xbc\x00\x10\x00\x00\x01\x00\x00\x00\x0f\x0b"

TEST_F(long_mode, fault_in_delivery_of_a_fault)
{
	struct guest *guest = &self->test.guest;

	ASSERT_EQ(0, trap_install(guest, 0, GUEST_LONG, TRAP_OWN_STACK));
	EXPECT_EQ(6, TRY(BAD_STACK));
	/* #UD is benign: the page fault is delivered in its place. */
	set_stack(guest, 6, 0);
	EXPECT_EQ(PF, TRY(BAD_STACK));
	EXPECT_EQ(2, self->test.trap.error);
	EXPECT_EQ(NOWHERE - 8, self->test.trap.cr2);
	EXPECT_EQ(CODE + 10, self->test.trap.rip);
	EXPECT_EQ(NOWHERE, self->test.trap.rsp);
	/* After #GP too; a second page fault is a double fault. */
	set_stack(guest, GP, 0);
	EXPECT_EQ(PF, TRY("\x48\xbc\x00\x10\x00\x00\x01\x00\x00\x00\x0f\x33"));
	EXPECT_EQ(NOWHERE - 8, self->test.trap.cr2);
	set_stack(guest, PF, 0);
	EXPECT_EQ(8, TRY(BAD_STACK));
	EXPECT_EQ(0, self->test.trap.error);
	EXPECT_EQ(CODE + 10, self->test.trap.rip);
	EXPECT_EQ(8, TRY("\x48\xbc\x00\x10\x00\x00\x01\x00\x00\x00\x50"));	/* push */
	/* A third one ends it, and under Bochs the host. */
	if (runs_on("bochs/svm"))
		return;
	set_stack(guest, 8, 0);
	self->test.gprs.rip = CODE;
	memcpy(guest->memory + CODE, BAD_STACK, sizeof(BAD_STACK) - 1);
	ASSERT_EQ(0, guest_clear_events(guest, 0));
	ASSERT_EQ(0, guest_set_gprs(guest, 0, &self->test.gprs));
	EXPECT_EQ(HULL_EXIT_ENDED, guest_run(guest, 0));
	EXPECT_EQ(HULL_END_TRIPLE_FAULT, guest->cpu[0].run->end_reason);
}

/*
 * Exceptions that the module injects. QEMU does not push the flag with those that it delivers
 * itself, such as that of UD2.
 */
TEST_F(long_mode, pushed_flags_have_the_resume_flag)
{
	EXPECT_EQ(6, TRY("\x0f\x01\xdf"));			/* invlpga */
	EXPECT_EQ(0x10000, self->test.trap.rflags & 0x10000);
	GPR(RDI) = NOWHERE;
	EXPECT_EQ(PF, TRY("\x8b\x07"));
	if (self->test.shadow)
		EXPECT_EQ(0x10000, self->test.trap.rflags & 0x10000);
	EXPECT_EQ(3, TRY("\xcc"));
	EXPECT_EQ(0, self->test.trap.rflags & 0x10000);
}

HULL_TEST_MAIN
