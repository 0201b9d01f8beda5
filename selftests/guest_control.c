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

/* ---- bits that the guest may own ------------------------------------------------------------ */

/*
 * VMX with nested paging lets guests write these without an exit; elsewhere the module does it.
 * The guest's value is what the launcher reads, and the launcher's is what the guest reads.
 */
static const struct {
	int cr;
	__u64 bits;
} owned[] = {
	{ 0, CR0_MP }, { 0, CR0_EM }, { 0, CR0_TS }, { 0, CR0_WP }, { 0, CR0_AM },
	{ 0, CR0_TS | CR0_WP | CR0_AM }, { 4, CR4_TSD }, { 4, CR4_DE }, { 4, CR4_PGE },
	{ 4, CR4_PCE }, { 4, CR4_OSFXSR }, { 4, CR4_OSXMMEXCPT },
	{ 4, CR4_PGE | CR4_TSD | CR4_DE },
};

#define NR_OWNED	(sizeof(owned) / sizeof(owned[0]))

static __u64 *register_of(struct hull_control *control, size_t i)
{
	return owned[i].cr ? &control->cr4 : &control->cr0;
}

static __u64 control_exits(struct control_test *test)
{
	struct hull_stats stats;

	if (hull_get_stats(test->guest.cpu[0].fd, &stats))
		return ~0ULL;
	return stats.value[HULL_STAT_CONTROL];
}

/* Bochs' AMD CPU does not load CR2: what is found there is the host's. */
static bool is_same(struct hull_control now, const struct hull_control *control)
{
	if (runs_on("bochs/svm"))
		now.cr2 = control->cr2;
	return !memcmp(&now, control, sizeof(now));
}

TEST_F(control, written_by_turns)
{
	struct hull_control control = NOW, now;
	__u64 *value, other;
	size_t i, twice;

	for (i = 0; i < NR_OWNED; i++) {
		value = register_of(&control, i);
		for (twice = 0; twice < 2; twice++) {
			GPR(RDX) = *value;
			*value ^= owned[i].bits;
			GPR(RAX) = *value;
			/* It ends with RAX's value: mov %eax, %cr; mov %edx, %cr; mov %eax, %cr */
			EXPECT_EQ(TRAP_STEPPED, owned[i].cr ?
				  TRY("\x0f\x22\xe0\x0f\x22\xe2\x0f\x22\xe0\x0f\x20\xe1") :
				  TRY("\x0f\x22\xc0\x0f\x22\xc2\x0f\x22\xc0\x0f\x20\xc1"));
			EXPECT_EQ(*value, GPR(RCX));
			now = NOW;
			EXPECT_EQ(*value, *register_of(&now, i));
			EXPECT_TRUE(is_same(now, &control));
		}
		/* The launcher's turn. */
		other = control.cr0;
		control.cr0 ^= CR0_TS | CR0_WP;
		control.cr4 ^= CR4_PGE | CR4_TSD;
		*value ^= owned[i].bits;
		ASSERT_EQ(0, guest_set_control(&self->test.guest, 0, &control));
		STEP("\x0f\x20\xc0\x0f\x20\xe1");		/* mov %cr0, %eax; mov %cr4, %ecx */
		EXPECT_EQ(control.cr0, GPR(RAX));
		EXPECT_EQ(control.cr4, GPR(RCX));
		now = NOW;
		EXPECT_TRUE(is_same(now, &control));
		EXPECT_NE(other, now.cr0);
	}
}

/* Some with an exit between some without, before anybody has looked. */
TEST_F(control, written_with_others)
{
	struct hull_control control = NOW;
	__u64 now = control.cr0;

	GPR(RAX) = now ^ CR0_WP;
	GPR(RDX) = now ^ CR0_WP ^ CR0_NE ^ CR0_AM;
	STEP("\x0f\x22\xc0\x0f\x22\xc2\x0f\x20\xc1");	/* mov %eax, %cr0; mov %edx, %cr0 */
	EXPECT_EQ(GPR(RDX), GPR(RCX));
	EXPECT_EQ(GPR(RDX), NOW.cr0);
	GPR(RAX) = now ^ CR0_TS;
	GPR(RDX) = now ^ CR0_TS ^ CR0_CD;
	STEP("\x0f\x22\xc0\x0f\x22\xc2\x0f\x20\xc1");
	EXPECT_EQ(GPR(RDX), GPR(RCX));
	EXPECT_EQ(GPR(RDX), NOW.cr0);
	now = control.cr4;
	GPR(RAX) = now ^ CR4_PGE;
	GPR(RDX) = now ^ CR4_PGE ^ CR4_MCE ^ CR4_DE;
	STEP("\x0f\x22\xe0\x0f\x22\xe2\x0f\x20\xe1");	/* mov %eax, %cr4; mov %edx, %cr4 */
	EXPECT_EQ(GPR(RDX), GPR(RCX));
	EXPECT_EQ(GPR(RDX), NOW.cr4);
	/* A refusal changes nothing, and undoes nothing. */
	GPR(RAX) = now ^ CR4_TSD;
	GPR(RDX) = now ^ CR4_TSD ^ CR4_DE ^ 1ULL << 31;
	EXPECT_EQ(GP, TRY("\x0f\x22\xe0\x0f\x22\xe2"));
	EXPECT_EQ(GPR(RAX), NOW.cr4);
}

TEST_F(control, writes_exit_or_not)
{
	struct hull_info info;
	struct hull_control control = NOW;
	__u64 before, exits = 0;
	size_t i;

	ASSERT_EQ(0, hull_get_info(self->test.guest.dev, &info));
	if (info.backend != HULL_BACKEND_VMX || self->test.shadow)
		exits = 2;
	for (i = 0; i < NR_OWNED; i++) {
		GPR(RDX) = *register_of(&control, i);
		GPR(RAX) = GPR(RDX) ^ owned[i].bits;
		before = control_exits(&self->test);
		EXPECT_EQ(TRAP_STEPPED, owned[i].cr ? TRY("\x0f\x22\xe0\x0f\x22\xe2") :
						      TRY("\x0f\x22\xc0\x0f\x22\xc2"));
		EXPECT_EQ(exits, control_exits(&self->test) - before);
	}
	/* Others always do. */
	GPR(RAX) = NOW.cr0;
	GPR(RDX) = GPR(RAX) ^ CR0_NE;
	before = control_exits(&self->test);
	STEP("\x0f\x22\xc2\x0f\x22\xc0");
	EXPECT_EQ(2, control_exits(&self->test) - before);
	GPR(RAX) = NOW.cr4;
	GPR(RDX) = GPR(RAX) ^ CR4_MCE;
	before = control_exits(&self->test);
	STEP("\x0f\x22\xe2\x0f\x22\xe0");
	EXPECT_EQ(2, control_exits(&self->test) - before);
}

/* Where the module acts on a bit, it knows how it is. */
TEST_F(control, debug_extensions_hide_two_registers)
{
	GPR(RAX) = NOW.cr4 | CR4_DE;
	EXPECT_EQ(6, TRY("\x0f\x22\xe0\x0f\x21\xe1"));	/* mov %eax, %cr4; mov %db4, %ecx */
	GPR(RAX) &= ~CR4_DE;
	STEP("\x0f\x22\xe0\x0f\x21\xe1");
}

/* A guest that ran with a feature is to lose it. */
TEST_F(control, cpuid_takes_bits_away)
{
	struct hull_cpuid_entry entries[HULL_MAX_CPUID];
	struct guest *guest = &self->test.guest;
	__u32 count = HULL_MAX_CPUID, i;
	__u64 value = NOW.cr4;

	GPR(RAX) = value | CR4_DE | CR4_PGE;
	GPR(RDX) = value;
	STEP("\x0f\x22\xe0\x0f\x22\xe2");
	ASSERT_EQ(0, hull_get_supported_cpuid(guest->dev, entries, &count));
	for (i = 0; i < count; i++) {
		if (entries[i].leaf == 1)
			entries[i].edx &= ~(1U << 2 | 1U << 13);	/* DE, PGE */
	}
	ASSERT_EQ(0, hull_set_cpuid(guest->cpu[0].fd, entries, count));
	GPR(RAX) = value | CR4_DE;
	EXPECT_EQ(GP, TRY("\x0f\x22\xe0"));
	GPR(RAX) = value | CR4_PGE;
	EXPECT_EQ(GP, TRY("\x0f\x22\xe0"));
	EXPECT_EQ(value, NOW.cr4);
	GPR(RAX) = value ^ CR4_TSD;
	STEP("\x0f\x22\xe0");
	EXPECT_EQ(value ^ CR4_TSD, NOW.cr4);
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
