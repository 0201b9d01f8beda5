// SPDX-License-Identifier: GPL-2.0
/*
 * Control registers as guests write and read them, INVLPG, and what a fault in the delivery of an
 * event becomes. With nested and shadow paging a guest must see the same; where only one of them
 * exits, the test is there for the other as well.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"
#include "harness.h"
#include "limit.h"
#include "trap.h"

#define CR0_PE		0x1ULL
#define CR0_MP		0x2ULL
#define CR0_EM		0x4ULL
#define CR0_TS		0x8ULL
#define CR0_NE		0x20ULL
#define CR0_WP		0x10000ULL
#define CR0_AM		0x40000ULL
#define CR0_NW		0x20000000ULL
#define CR0_CD		0x40000000ULL
#define CR0_PG		0x80000000ULL
#define CR4_TSD		0x4ULL
#define CR4_DE		0x8ULL
#define CR4_PAE		0x20ULL
#define CR4_PGE		0x80ULL

#define CODE		0x10100
#define DATA		0x800		/* below 64 KiB, for 16-bit addresses */
#define DEVICE		0x20000000ULL
#define MEMORY_SIZE	(4UL << 20)
#define NOWHERE		0x100001000ULL	/* not mapped, nor is what is below */
#define PTE_P		1ULL
#define PTE_W		2ULL
#define PTE_U		4ULL
#define PTE_PS		0x80ULL
#define GP		13
#define PF		14

FIXTURE(control) {
	struct guest guest;
	struct hull_gprs gprs;
	struct hull_control control;
	struct trap trap;
	bool shadow;
};

FIXTURE_VARIANT(control) {
	enum guest_mode mode;
};

FIXTURE_VARIANT_ADD(control, real) { .mode = GUEST_REAL };
FIXTURE_VARIANT_ADD(control, protected) { .mode = GUEST_PROTECTED };
FIXTURE_VARIANT_ADD(control, long_mode) { .mode = GUEST_LONG };

FIXTURE_SETUP(control)
{
	struct guest *guest = &self->guest;
	struct hull_info info;

	ASSERT_EQ(0, guest_create(guest, 0, MEMORY_SIZE)) {
		TH_LOG("cannot create a VM: %s", strerror(errno));
	}
	ASSERT_EQ(0, hull_get_info(guest->dev, &info));
	self->shadow = info.paging == HULL_PAGING_SHADOW;
	ASSERT_EQ(0, guest_start(guest, 0, variant->mode, NULL, 0));
	ASSERT_EQ(0, trap_install(guest, 0, variant->mode, 0));
	ASSERT_EQ(0, guest_get_control(guest, 0, &self->control));
	memset(&self->gprs, 0, sizeof(self->gprs));
	/* Where both (%bx) and (%edi) point. */
	self->gprs.gpr[HULL_GPR_RBX] = self->gprs.gpr[HULL_GPR_RDI] = DATA;
}

FIXTURE_TEARDOWN(control)
{
	hull_vm_check(self->guest.vm);
	guest_destroy(&self->guest);
}

#define TRY(code)	trap_try(&self->guest, variant->mode, CODE, code, sizeof(code) - 1,	\
				 &self->gprs, &self->trap)
#define STEP(code)	EXPECT_EQ(TRAP_STEPPED, TRY(code))
#define GPR(n)		self->gprs.gpr[HULL_GPR_##n]
#define LONG_ONLY do {							\
	if (variant->mode != GUEST_LONG)				\
		SKIP(return, "long mode only");				\
} while (0)

/* The registers as the launcher sees them. */
#define NOW		({ guest_get_control(&self->guest, 0, &self->control); self->control; })

static __u64 *page_entry(struct guest *guest, __u64 address)
{
	return (__u64 *)(guest->memory + GUEST_TABLES + 0x2000) + (address >> 21);
}

/* ---- CR0 ------------------------------------------------------------------------------------ */

TEST_F(control, cr0_reads_back)
{
	static const __u64 flips[] = { CR0_WP, CR0_TS, CR0_AM, CR0_NE, CR0_MP, CR0_EM, CR0_CD,
				       CR0_CD | CR0_NW, CR0_WP | CR0_AM };
	__u64 value = self->control.cr0;
	size_t i, twice;

	for (i = 0; i < sizeof(flips) / sizeof(flips[0]); i++) {
		for (twice = 0; twice < 2; twice++) {
			value ^= flips[i];
			GPR(RAX) = value;
			STEP("\x0f\x22\xc0\x0f\x20\xc1");	/* mov %eax, %cr0; mov %cr0, %ecx */
			EXPECT_EQ(value, GPR(RCX));
			EXPECT_EQ(value, NOW.cr0);
			GPR(RCX) = ~0ULL;
			STEP("\x0f\x01\xe1");			/* smsw %ecx */
			EXPECT_EQ(value & 0xffff, GPR(RCX) & 0xffff);
		}
	}
	EXPECT_EQ(value, self->control.cr0);
}

TEST_F(control, cr0_has_no_impossible_values)
{
	__u64 now = self->control.cr0;

	GPR(RAX) = now | CR0_NW;
	EXPECT_EQ(GP, TRY("\x0f\x22\xc0"));
	GPR(RAX) = CR0_PG;
	EXPECT_EQ(GP, TRY("\x0f\x22\xc0"));
	EXPECT_EQ(now, NOW.cr0);
	if (variant->mode != GUEST_LONG)
		return;
	GPR(RAX) = now & ~CR0_PG;				/* in 64-bit code */
	EXPECT_EQ(GP, TRY("\x0f\x22\xc0"));
	GPR(RAX) = now | 1ULL << 32;
	EXPECT_EQ(GP, TRY("\x0f\x22\xc0"));
	/* Bits that do not exist are dropped. */
	GPR(RAX) = now | 0x40;
	STEP("\x0f\x22\xc0\x0f\x20\xc1");
	EXPECT_EQ(now, GPR(RCX));
}

/* mov %reg, %cr0; mov %cr0, %reg: RSP and RAX are kept elsewhere than the others. */
TEST_F(control, any_register_will_do)
{
	unsigned char code[8] = { 0, 0x0f, 0x22, 0, 0, 0x0f, 0x20, 0 };
	__u64 value = self->control.cr0;
	int reg;

	LONG_ONLY;
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
		self->gprs.gpr[reg] = value;
		EXPECT_EQ(TRAP_STEPPED, trap_try(&self->guest, GUEST_LONG, CODE, code, 4,
						 &self->gprs, &self->trap));
		EXPECT_EQ(value, NOW.cr0);
		self->gprs.gpr[reg] = 0;
		EXPECT_EQ(TRAP_STEPPED, trap_try(&self->guest, GUEST_LONG, CODE, code + 4, 4,
						 &self->gprs, &self->trap));
		EXPECT_EQ(value, self->gprs.gpr[reg]);
	}
}

TEST_F(control, task_switched_faults_until_cleared)
{
	GPR(RAX) = (self->control.cr0 & ~CR0_EM) | CR0_TS | CR0_MP;
	EXPECT_EQ(7, TRY("\x0f\x22\xc0\xd9\xe8"));		/* fld1 */
	EXPECT_EQ(7, TRY("\x9b\x90"));				/* fwait */
	STEP("\x0f\x06\xdb\xe3\xd9\xe8");			/* clts; fninit; fld1 */
	EXPECT_EQ(0, NOW.cr0 & CR0_TS);
	STEP("\x0f\x06");
}

TEST_F(control, machine_status_word_in_memory)
{
	__u16 *word = (__u16 *)(self->guest.memory + DATA);
	__u64 now = self->control.cr0;

	/* With the caches "off" SMSW exits under nested paging too. */
	GPR(RAX) = now | CR0_CD;
	word[1] = 0x1234;
	STEP("\x0f\x22\xc0\x0f\x01\x27");			/* smsw (%bx) or (%edi) */
	EXPECT_EQ(now & 0xffff, word[0]);
	EXPECT_EQ(0x1234, word[1]);
	word[0] = 0xffff & ~CR0_PE;
	STEP("\x0f\x01\x37");					/* lmsw */
	EXPECT_EQ(now | CR0_CD | CR0_TS | CR0_MP | CR0_EM, NOW.cr0);
	word[0] = 0;
	STEP("\x0f\x01\x37");
	EXPECT_EQ((now | CR0_CD) & ~(CR0_TS | CR0_MP | CR0_EM), NOW.cr0);
	GPR(RAX) = CR0_TS;
	STEP("\x0f\x01\xf0");					/* lmsw %ax */
	EXPECT_EQ(((now | CR0_CD) & ~(CR0_MP | CR0_EM)) | CR0_TS, NOW.cr0);
}

TEST_F(control, machine_status_word_in_a_device)
{
	struct guest *guest = &self->guest;

	if (variant->mode == GUEST_REAL)
		SKIP(return, "devices are out of its reach");
	/* smsw (%rdi); lmsw (%rdi); hlt */
	memcpy(guest->memory + CODE, "\x0f\x01\x27\x0f\x01\x37\xf4", 7);
	ASSERT_EQ(0, guest_get_gprs(guest, 0, &self->gprs));
	self->gprs.rip = CODE;
	GPR(RDI) = DEVICE;
	ASSERT_EQ(0, guest_set_gprs(guest, 0, &self->gprs));
	self->control.cr0 |= CR0_CD;
	ASSERT_EQ(0, guest_set_control(guest, 0, &self->control));
	EXPECT_EQ(0, guest_expect_write(guest, 0, HULL_SPACE_MEMORY, DEVICE, 2,
					self->control.cr0 & 0xffff));
	EXPECT_EQ(0, guest_expect_read(guest, 0, HULL_SPACE_MEMORY, DEVICE, 2, CR0_TS));
	EXPECT_EQ(0, guest_expect_halt(guest, 0));
	EXPECT_EQ(self->control.cr0 | CR0_TS, NOW.cr0);
}

/* As on a 286: the way to protected mode. */
TEST_F(control, machine_status_word_enters_protected_mode)
{
	struct guest *guest = &self->guest;

	if (variant->mode != GUEST_REAL)
		SKIP(return, "real mode only");
	memcpy(guest->memory + GUEST_CODE_GPA(0), "\xb8\x01\x00\x0f\x01\xf0\xf4", 7);
	ASSERT_EQ(0, guest_set_mode(guest, 0, GUEST_REAL, GUEST_CODE_GPA(0)));
	EXPECT_EQ(0, guest_expect_halt(guest, 0));
	EXPECT_EQ(CR0_PE, NOW.cr0 & CR0_PE);
}

/* Writes to a read-only page; between them CR0.WP changes, hundreds of times in a row. */
GUEST(write_protection, 64,
      "mov $0x200000, %ebx\n mov %cr0, %rcx\n mov $500, %edx\n"
      "1: btr $16, %rcx\n mov %rcx, %cr0\n incl (%rbx)\n"
      "bts $16, %rcx\n mov %rcx, %cr0\n mov (%rbx), %eax\n dec %edx\n jnz 1b\n"
      "incl (%rbx)\n hlt");

TEST_F(control, write_protection_is_in_force_at_once)
{
	struct guest *guest = &self->guest;
	__u32 *counter = (__u32 *)(guest->memory + 0x200000);

	LONG_ONLY;
	*page_entry(guest, 0x200000) &= ~PTE_W;
	memcpy(guest->memory + GUEST_CODE_GPA(0), GUEST_CODE(write_protection));
	ASSERT_EQ(0, guest_get_gprs(guest, 0, &self->gprs));
	EXPECT_EQ(0, trap_expect(guest, 0, GUEST_LONG, PF, &self->trap));
	EXPECT_EQ(3, self->trap.error);
	EXPECT_EQ(0x200000, self->trap.cr2);
	EXPECT_EQ(500, *counter);
}

/* ---- CR3, CR4, CR8 -------------------------------------------------------------------------- */

TEST_F(control, cr3_reads_back)
{
	__u64 value = variant->mode == GUEST_LONG ? GUEST_TABLES : 0x123000;

	GPR(RAX) = value | 0x18;				/* PWT, PCD */
	STEP("\x0f\x22\xd8\x0f\x20\xd9");			/* mov %eax, %cr3; mov %cr3, %ecx */
	EXPECT_EQ(value | 0x18, GPR(RCX));
	EXPECT_EQ(value | 0x18, NOW.cr3);
	GPR(RAX) = value;
	STEP("\x0f\x22\xd8\x0f\x20\xd9");
	EXPECT_EQ(value, GPR(RCX));
	if (variant->mode != GUEST_LONG || !self->shadow)
		return;
	/* Beyond the width of an address; the highest bit too, for there is no PCID. */
	GPR(RAX) = value | 1ULL << 52;
	EXPECT_EQ(GP, TRY("\x0f\x22\xd8"));
	GPR(RAX) = value | 1ULL << 63;
	EXPECT_EQ(GP, TRY("\x0f\x22\xd8"));
	EXPECT_EQ(value, NOW.cr3);
}

/* Two sets of tables that differ in a page, and a switch for each read of it. */
GUEST(switches, 64,
      "mov $0x1000, %eax\n mov $0x30000, %ecx\n mov $0x200000, %ebx\n mov $300, %edx\n"
      "xor %esi, %esi\n"
      "1: mov %rcx, %cr3\n add (%rbx), %esi\n mov %rax, %cr3\n sub (%rbx), %esi\n"
      "dec %edx\n jnz 1b\n hlt");

TEST_F(control, cr3_switches_tables)
{
	struct guest *guest = &self->guest;
	__u64 *other = (__u64 *)(guest->memory + 0x30000);

	LONG_ONLY;
	other[0] = 0x31000 | PTE_P | PTE_W | PTE_U;
	other[512] = 0x32000 | PTE_P | PTE_W | PTE_U;
	memcpy(&other[1024], page_entry(guest, 0), 4096);
	other[1024 + 1] = 0 | PTE_P | PTE_W | PTE_U | PTE_PS;
	*(__u32 *)guest->memory = 7;
	*(__u32 *)(guest->memory + 0x200000) = 5;
	memcpy(guest->memory + GUEST_CODE_GPA(0), GUEST_CODE(switches));
	ASSERT_EQ(0, guest_expect_halt(guest, 0));
	ASSERT_EQ(0, guest_get_gprs(guest, 0, &self->gprs));
	EXPECT_EQ(300 * (7 - 5), GPR(RSI));
}

TEST_F(control, cr4_reads_back)
{
	static const __u64 flips[] = { CR4_PGE, CR4_TSD, CR4_DE, CR4_PGE | CR4_DE, CR4_PAE };
	__u64 value = self->control.cr4;
	size_t i, twice;

	for (i = 0; i < sizeof(flips) / sizeof(flips[0]); i++) {
		if (flips[i] == CR4_PAE && variant->mode == GUEST_LONG)
			continue;
		for (twice = 0; twice < 2; twice++) {
			value ^= flips[i];
			GPR(RAX) = value;
			STEP("\x0f\x22\xe0\x0f\x20\xe1");	/* mov %eax, %cr4; mov %cr4, %ecx */
			EXPECT_EQ(value, GPR(RCX));
			EXPECT_EQ(value, NOW.cr4);
		}
	}
}

TEST_F(control, cr4_has_what_cpuid_says)
{
	static const __u64 refused[] = { 1ULL << 12, 1ULL << 13, 1ULL << 17, 1ULL << 22,
					 1ULL << 24, 1ULL << 31 };
	__u64 value = self->control.cr4;
	size_t i;

	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		GPR(RAX) = value | refused[i];
		EXPECT_EQ(GP, TRY("\x0f\x22\xe0"));
	}
	if (variant->mode == GUEST_LONG) {
		GPR(RAX) = value & ~CR4_PAE;
		EXPECT_EQ(GP, TRY("\x0f\x22\xe0"));
		GPR(RAX) = value | 1ULL << 32;
		EXPECT_EQ(GP, TRY("\x0f\x22\xe0"));
	}
	EXPECT_EQ(value, NOW.cr4);
	/* There is no CR1, CR5, CR9. */
	EXPECT_EQ(6, TRY("\x0f\x20\xc8"));
	EXPECT_EQ(6, TRY("\x0f\x22\xe8"));
}

TEST_F(control, cr8_reads_back)
{
	LONG_ONLY;
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

TEST_F(control, page_global_enable_flushes)
{
	struct guest *guest = &self->guest;

	LONG_ONLY;
	*(__u32 *)guest->memory = 3;
	*(__u32 *)(guest->memory + 0x200000) = 4;
	*page_entry(guest, 0x200000) |= 0x100;
	memcpy(guest->memory + GUEST_CODE_GPA(0), GUEST_CODE(global));
	ASSERT_EQ(0, guest_expect_halt(guest, 0));
	ASSERT_EQ(0, guest_get_gprs(guest, 0, &self->gprs));
	EXPECT_EQ(100 * 7, GPR(RSI));
}

/* Loading CR3 with PAE paging loads four entries. */
TEST_F(control, pae_root_is_checked)
{
	struct guest *guest = &self->guest;
	__u64 *root = (__u64 *)(guest->memory + 0x30000);
	int i;

	if (variant->mode != GUEST_PROTECTED || !self->shadow)
		SKIP(return, "32-bit mode and shadow paging: else it is the CPU's business");
	ASSERT_EQ(0, guest_set_mode(guest, 0, GUEST_LONG, CODE));	/* its tables */
	ASSERT_EQ(0, guest_set_mode(guest, 0, GUEST_PROTECTED, CODE));
	ASSERT_EQ(0, trap_install(guest, 0, GUEST_PROTECTED, 0));
	for (i = 0; i < 4; i++)
		root[i] = root[4 + i] = (GUEST_TABLES + 0x2000 + i * 0x1000) | PTE_P;
	ASSERT_EQ(0, guest_get_control(guest, 0, &self->control));
	self->control.cr3 = 0x30000;
	self->control.cr4 |= CR4_PAE;
	self->control.cr0 |= CR0_PG;
	ASSERT_EQ(0, guest_set_control(guest, 0, &self->control));
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

/* ---- INVLPG --------------------------------------------------------------------------------- */

TEST_F(control, invlpg_takes_any_operand)
{
	STEP("\x0f\x01\x3f");					/* (%bx) or (%edi) */
	STEP("\x67\x0f\x01\x38");
	STEP("\x0f\x01\x7f\x10");
	STEP("\x66\x0f\x01\x3f");
	STEP("\x65\x0f\x01\x3f");
	EXPECT_EQ(6, TRY("\x0f\x01\xfa"));			/* of a register: MONITORX */
	if (variant->mode != GUEST_LONG)
		return;
	STEP("\x41\x0f\x01\x3f");				/* (%r15) */
	STEP("\x41\x0f\x01\x3c\x24");				/* (%r12) */
	STEP("\x41\x0f\x01\x7d\x00");				/* (%r13) */
	STEP("\x0f\x01\x3d\x00\x01\x00\x00");			/* 256(%rip) */
	STEP("\x0f\x01\x3c\x25\x00\x10\x00\x00");		/* 0x1000 */
	STEP("\x42\x0f\x01\x3c\xcd\x00\x10\x00\x00");		/* 0x1000(, %r9, 8) */
	/* Not mapped, not canonical: nothing happens. */
	GPR(RDI) = NOWHERE;
	STEP("\x0f\x01\x3f");
	GPR(RDI) = 1ULL << 63;
	STEP("\x0f\x01\x3f");
	GPR(R12) = 1ULL << 47;
	STEP("\x41\x0f\x01\x3c\x24");
}

GUEST(invalidates, 64,
      "mov $0x3000, %edi\n mov $0x200000, %ebx\n mov $200, %edx\n xor %esi, %esi\n"
      "1: xorq $0x200000, 8(%rdi)\n invlpg (%rbx)\n add (%rbx), %esi\n"
      "xorq $0x200000, 8(%rdi)\n invlpg 0x1000(%rbx)\n add (%rbx), %esi\n"
      "dec %edx\n jnz 1b\n hlt");

TEST_F(control, invlpg_forgets_a_translation)
{
	struct guest *guest = &self->guest;

	LONG_ONLY;
	*(__u32 *)guest->memory = 3;
	*(__u32 *)(guest->memory + 0x200000) = 4;
	memcpy(guest->memory + GUEST_CODE_GPA(0), GUEST_CODE(invalidates));
	ASSERT_EQ(0, guest_expect_halt(guest, 0));
	ASSERT_EQ(0, guest_get_gprs(guest, 0, &self->gprs));
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

TEST_F(control, fault_in_delivery_of_a_fault)
{
	struct guest *guest = &self->guest;

	LONG_ONLY;
	ASSERT_EQ(0, trap_install(guest, 0, GUEST_LONG, TRAP_OWN_STACK));
	EXPECT_EQ(6, TRY(BAD_STACK));
	/* #UD is benign: the page fault is delivered in its place. */
	set_stack(guest, 6, 0);
	EXPECT_EQ(PF, TRY(BAD_STACK));
	EXPECT_EQ(2, self->trap.error);
	EXPECT_EQ(NOWHERE - 8, self->trap.cr2);
	EXPECT_EQ(CODE + 10, self->trap.rip);
	EXPECT_EQ(NOWHERE, self->trap.rsp);
	/* After #GP too; a second page fault is a double fault. */
	set_stack(guest, GP, 0);
	EXPECT_EQ(PF, TRY("\x48\xbc\x00\x10\x00\x00\x01\x00\x00\x00\x0f\x33"));
	EXPECT_EQ(NOWHERE - 8, self->trap.cr2);
	set_stack(guest, PF, 0);
	EXPECT_EQ(8, TRY(BAD_STACK));
	EXPECT_EQ(0, self->trap.error);
	EXPECT_EQ(CODE + 10, self->trap.rip);
	EXPECT_EQ(8, TRY("\x48\xbc\x00\x10\x00\x00\x01\x00\x00\x00\x50"));	/* push */
	/* A third one ends it. */
	set_stack(guest, 8, 0);
	self->gprs.rip = CODE;
	memcpy(guest->memory + CODE, BAD_STACK, sizeof(BAD_STACK) - 1);
	ASSERT_EQ(0, guest_clear_events(guest, 0));
	ASSERT_EQ(0, guest_set_gprs(guest, 0, &self->gprs));
	EXPECT_EQ(HULL_EXIT_ENDED, guest_run(guest, 0));
	EXPECT_EQ(HULL_END_TRIPLE_FAULT, guest->cpu[0].run->end_reason);
}

/*
 * Exceptions that the module injects. QEMU does not push the flag with those that it delivers
 * itself, such as that of UD2.
 */
TEST_F(control, pushed_flags_have_the_resume_flag)
{
	LONG_ONLY;
	EXPECT_EQ(6, TRY("\x0f\x01\xdf"));			/* invlpga */
	EXPECT_EQ(0x10000, self->trap.rflags & 0x10000);
	GPR(RDI) = NOWHERE;
	EXPECT_EQ(PF, TRY("\x8b\x07"));
	if (self->shadow)
		EXPECT_EQ(0x10000, self->trap.rflags & 0x10000);
	EXPECT_EQ(3, TRY("\xcc"));
	EXPECT_EQ(0, self->trap.rflags & 0x10000);
}

TEST_F(control, what_was_delivered_leaves_no_trace)
{
	struct hull_vcpu_state state = {};

	GPR(RCX) = ~0U;
	EXPECT_EQ(GP, TRY("\x0f\x32"));				/* rdmsr */
	if (variant->mode == GUEST_LONG) {
		GPR(RDI) = NOWHERE;
		EXPECT_EQ(PF, TRY("\x8b\x07"));
	}
	ASSERT_EQ(0, hull_get_state(self->guest.cpu[0].fd, HULL_GROUP_EVENTS, &state));
	EXPECT_EQ(0, state.events.flags);
	EXPECT_EQ(0, state.events.exception);
	EXPECT_EQ(0, state.events.error_code);
	EXPECT_EQ(0, state.events.fault_address);
}

HULL_TEST_MAIN
