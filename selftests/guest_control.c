// SPDX-License-Identifier: GPL-2.0
/*
 * Control registers as guests write and read them, and INVLPG, in real, protected and long mode.
 * With nested and shadow paging a guest must see the same; where only one of them exits, the test
 * is there for the other as well. What is of one mode: guest_control_mode.c
 */
#include "control.h"

CONTROL_FIXTURE_IN_ALL_MODES(control);

/* ---- CR0 ------------------------------------------------------------------------------------ */

TEST_F(control, cr0_reads_back)
{
	static const __u64 flips[] = { CR0_WP, CR0_TS, CR0_AM, CR0_NE, CR0_MP, CR0_EM, CR0_CD,
				       CR0_CD | CR0_NW, CR0_WP | CR0_AM };
	__u64 value = self->test.control.cr0;
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
	EXPECT_EQ(value, self->test.control.cr0);
}

TEST_F(control, cr0_has_no_impossible_values)
{
	__u64 now = self->test.control.cr0;

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

TEST_F(control, task_switched_faults_until_cleared)
{
	GPR(RAX) = (self->test.control.cr0 & ~CR0_EM) | CR0_TS | CR0_MP;
	EXPECT_EQ(7, TRY("\x0f\x22\xc0\xd9\xe8"));		/* fld1 */
	EXPECT_EQ(7, TRY("\x9b\x90"));				/* fwait */
	STEP("\x0f\x06\xdb\xe3\xd9\xe8");			/* clts; fninit; fld1 */
	EXPECT_EQ(0, NOW.cr0 & CR0_TS);
	STEP("\x0f\x06");
}

TEST_F(control, machine_status_word_in_memory)
{
	__u16 *word = (__u16 *)(self->test.guest.memory + DATA);
	__u64 now = self->test.control.cr0;

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
	if (variant->mode != GUEST_LONG || !self->test.shadow)
		return;
	/* Beyond the width of an address; the highest bit too, for PCIDs are off. */
	GPR(RAX) = value | 1ULL << 52;
	EXPECT_EQ(GP, TRY("\x0f\x22\xd8"));
	GPR(RAX) = value | 1ULL << 63;
	EXPECT_EQ(GP, TRY("\x0f\x22\xd8"));
	EXPECT_EQ(value, NOW.cr3);
}

TEST_F(control, cr4_reads_back)
{
	static const __u64 flips[] = { CR4_PGE, CR4_TSD, CR4_DE, CR4_PGE | CR4_DE, CR4_MCE,
				       CR4_MCE | CR4_PGE, CR4_PAE, CR4_LA57 };
	__u64 value = self->test.control.cr4;
	size_t i, twice;

	for (i = 0; i < sizeof(flips) / sizeof(flips[0]); i++) {
		if ((flips[i] & (CR4_PAE | CR4_LA57)) && variant->mode == GUEST_LONG)
			continue;
		if (flips[i] == CR4_LA57 && !guest_has_la57(&self->test.guest))
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
	/* Of PCIDE: guest_pcid.c */
	static const __u64 refused[] = { CR4_LA57, 1ULL << 13, 1ULL << 22, 1ULL << 24,
					 1ULL << 31 };
	__u64 value = self->test.control.cr4;
	size_t i;

	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		/* In long mode nobody changes the number of levels. */
		if (refused[i] == CR4_LA57 && variant->mode != GUEST_LONG &&
		    guest_has_la57(&self->test.guest))
			continue;
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

/* ---- events --------------------------------------------------------------------------------- */

TEST_F(control, what_was_delivered_leaves_no_trace)
{
	struct hull_vcpu_state state = {};

	GPR(RCX) = ~0U;
	EXPECT_EQ(GP, TRY("\x0f\x32"));				/* rdmsr */
	if (variant->mode == GUEST_LONG) {
		GPR(RDI) = NOWHERE;
		EXPECT_EQ(PF, TRY("\x8b\x07"));
	}
	ASSERT_EQ(0, hull_get_state(self->test.guest.cpu[0].fd, HULL_GROUP_EVENTS, &state));
	EXPECT_EQ(0, state.events.flags);
	EXPECT_EQ(0, state.events.exception);
	EXPECT_EQ(0, state.events.error_code);
	EXPECT_EQ(0, state.events.fault_address);
}

HULL_TEST_MAIN
