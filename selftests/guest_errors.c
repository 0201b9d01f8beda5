// SPDX-License-Identifier: GPL-2.0
/*
 * Guests that go wrong end with a documented reason or fault inside, and the host stays whole:
 * triple faults, code in holes, page tables and descriptor tables that point everywhere. Impossible
 * states are in guest_state.c.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"
#include "harness.h"
#include "limit.h"
#include "trap.h"

#define HOLE	0x20000000ULL

FIXTURE(errors) {
	struct guest guest;
};

FIXTURE_SETUP(errors)
{
	ASSERT_EQ(0, guest_create(&self->guest, 0, GUEST_SIZE)) {
		TH_LOG("cannot create a VM: %s", strerror(errno));
	}
}

FIXTURE_TEARDOWN(errors)
{
	guest_destroy(&self->guest);
}

GUEST(ud, 64, "ud2");
GUEST(spin, 64, "1: incl 0x40000\n call 2f\n 2: pop %rax\n jmp 1b");
GUEST(open_spin, 64, "sti\n 1: incl 0x40000\n jmp 1b");
GUEST(to_hole, 64, "mov $0x20000000, %eax\n jmp *%rax");
GUEST(reload, 64, "mov %cr3, %rax\n mov %rax, %cr3\n mov 0x40000, %eax\n hlt");

/* Ended for this reason, and every later run says the same. */
static int ended(struct guest *guest, __u32 reason)
{
	const struct hull_run *run = guest->cpu[0].run;
	int ret = limit_run(guest, 0, 2000000);

	if (ret == HULL_EXIT_ENDED && run->end_reason == reason &&
	    guest_run(guest, 0) == HULL_EXIT_ENDED && run->end_reason == reason)
		return 0;
	printf("# wanted end %u: exit %d, reason %u, code %#llx, info %#llx %#llx, rip %#llx\n",
	       reason, ret, run->end_reason, run->end_code, run->end_info[0], run->end_info[1],
	       run->end_rip);
	return -1;
}

TEST_F(errors, triple_fault)
{
	struct guest *guest = &self->guest;

	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(ud)));
	EXPECT_EQ(0, ended(guest, HULL_END_TRIPLE_FAULT));
	EXPECT_EQ(GUEST_CODE_GPA(0), guest->cpu[0].run->end_rip);
}

TEST_F(errors, triple_fault_in_the_module)
{
	struct hull_vcpu_state state = {};
	struct guest *guest = &self->guest;

	/* A #DF that cannot be delivered. */
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(spin)));
	state.events.flags = HULL_EVENT_EXCEPTION | HULL_EVENT_EXCEPTION_ERROR;
	state.events.exception = 8;
	ASSERT_EQ(0, hull_set_state(guest->cpu[0].fd, HULL_GROUP_EVENTS, &state));
	EXPECT_EQ(0, ended(guest, HULL_END_TRIPLE_FAULT));
}

TEST_F(errors, code_in_a_hole)
{
	struct guest *guest = &self->guest;

	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(to_hole)));
	EXPECT_EQ(0, ended(guest, HULL_END_EMULATION));
	EXPECT_EQ(HOLE, guest->cpu[0].run->end_rip);
}

TEST_F(errors, reset_vector_in_a_hole)
{
	/* Where guests cannot be in real mode, that is the reason: guest_real_mode.c */
	EXPECT_EQ(0, ended(&self->guest, guest_has_real_mode() ? HULL_END_EMULATION :
								 HULL_END_BAD_STATE));
	EXPECT_EQ(0xfff0, self->guest.cpu[0].run->end_rip);
}

TEST_F(errors, memory_taken_away_at_once)
{
	struct guest *guest = &self->guest;

	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(open_spin)));
	EXPECT_EQ(-1, limit_run(guest, 0, 10000));
	ASSERT_EQ(0, hull_set_memory(guest->vm, NULL, 0));
	EXPECT_EQ(0, ended(guest, HULL_END_EMULATION));
}

/* Long mode enabled and nothing it needs: leaving such a guest must restore the host's paging. */
TEST_F(errors, long_mode_half_enabled)
{
	struct guest *guest = &self->guest;
	struct hull_control control;

	ASSERT_EQ(0, guest_start(guest, 0, GUEST_PROTECTED, (const unsigned char *)"\xfb\xeb\xfe", 3));
	ASSERT_EQ(0, guest_get_control(guest, 0, &control));
	control.efer = 0x100;
	ASSERT_EQ(0, guest_set_control(guest, 0, &control));
	EXPECT_EQ(-1, limit_run(guest, 0, 10000));
	EXPECT_EQ(EINTR, errno);
	ASSERT_EQ(0, guest_get_control(guest, 0, &control));
	EXPECT_EQ(0x100, control.efer);
}

/* ---- page tables ---------------------------------------------------------------------------- */

static bool runs_ok(struct guest *guest)
{
	int ret = limit_run(guest, 0, 5000);

	if (limit_outcome_ok(guest, 0, ret))
		return true;
	printf("# exit %d, reason %u, code %#llx, info %#llx %#llx, rip %#llx\n", ret,
	       guest->cpu[0].run->end_reason, guest->cpu[0].run->end_code,
	       guest->cpu[0].run->end_info[0], guest->cpu[0].run->end_info[1],
	       guest->cpu[0].run->end_rip);
	return false;
}

/* A VM that ended, or waits for an answer, is replaced. */
static int renew(struct guest *guest, __u32 flags)
{
	guest_destroy(guest);
	return guest_create(guest, flags, GUEST_SIZE);
}

static int start_with_cr3(struct guest *guest, __u64 cr3)
{
	struct hull_control control;

	if (guest_start(guest, 0, GUEST_LONG, GUEST_CODE(reload)) ||
	    guest_get_control(guest, 0, &control))
		return -1;
	control.cr3 = cr3;
	return guest_set_control(guest, 0, &control);
}

TEST_F(errors, page_tables_in_a_hole)
{
	struct guest *guest = &self->guest;

	ASSERT_EQ(0, start_with_cr3(guest, HOLE));
	EXPECT_EQ(0, ended(guest, HULL_END_EMULATION));
	ASSERT_EQ(0, renew(guest, HULL_VM_IRQCHIP));
	/* The APIC's registers as tables */
	ASSERT_EQ(0, start_with_cr3(guest, 0xfee00000));
	EXPECT_TRUE(runs_ok(guest));
}

TEST_F(errors, page_tables_point_to_themselves)
{
	struct guest *guest = &self->guest;
	__u64 *table = (__u64 *)(guest->memory + 0x50000);
	int i;

	for (i = 0; i < 512; i++)
		table[i] = 0x50000 | 7;
	ASSERT_EQ(0, start_with_cr3(guest, 0x50000));
	/* All addresses are the table itself: its bytes as code end in a fault sooner or later. */
	EXPECT_TRUE(runs_ok(guest));
	EXPECT_EQ(0, hull_vm_check(guest->vm));
}

TEST_F_TIMEOUT(errors, page_tables_point_everywhere, 60)
{
	static const __u64 places[] = { 0, 0x2000, 0x50000, 0x51000, 0x10000, HOLE, 0xfee00000,
					0xfec00000, 1ULL << 32, 1ULL << 39, 1ULL << 45, 1ULL << 51,
					GUEST_SIZE, GUEST_SIZE - 4096, 0x52000, 0x40000 };
	struct guest *guest = &self->guest;
	unsigned int seed = 3, n, i;
	__u64 *tables;

	for (n = 0; n < 150; n++) {
		tables = (__u64 *)(guest->memory + 0x50000);
		for (i = 0; i < 3 * 512; i++)
			tables[i] = places[rand_r(&seed) % 16] | (rand_r(&seed) & 0x1ff) | 1 |
				    (rand_r(&seed) % 8 ? 0 : 1ULL << 63);
		/* Half of the time the code itself can be reached. */
		if (n & 1) {
			tables[0] = 0x51007;
			tables[512] = 0x52007;
			tables[1024] = 0x87;
		}
		ASSERT_EQ(0, start_with_cr3(guest, 0x50000));
		ASSERT_EQ(0, trap_install(guest, 0, GUEST_LONG, TRAP_OWN_STACK));
		ASSERT_TRUE(runs_ok(guest));
		EXPECT_EQ(0, hull_vm_check(guest->vm));
		ASSERT_EQ(0, renew(guest, n % 4 ? 0 : HULL_VM_IRQCHIP));
	}
}

/* ---- descriptor tables and stacks ----------------------------------------------------------- */

static int start_with_tables(struct guest *guest, __u64 idt, __u64 gdt, __u64 tss, __u64 stack)
{
	struct hull_segments segments;
	struct hull_gprs gprs;

	if (guest_start(guest, 0, GUEST_LONG, GUEST_CODE(ud)) ||
	    trap_install(guest, 0, GUEST_LONG, TRAP_OWN_STACK) ||
	    guest_get_segments(guest, 0, &segments) || guest_get_gprs(guest, 0, &gprs))
		return -1;
	if (idt)
		segments.idtr.base = idt;
	if (gdt)
		segments.gdtr.base = gdt;
	if (tss)
		segments.tr.base = tss;
	if (stack)
		memcpy(guest->memory + TRAP_TSS_GPA(0) + 0x24, &stack, 8);
	return guest_set_segments(guest, 0, &segments);
}

TEST_F(errors, descriptor_tables_and_stacks_anywhere)
{
	static const __u64 places[] = { HOLE, 0xfee00000, 1ULL << 33, 0x1ff8, GUEST_SIZE - 4 };
	struct guest *guest = &self->guest;
	unsigned int i, j;
	__u64 at[4];

	for (i = 0; i < 5; i++) {
		for (j = 0; j < 4; j++) {
			memset(at, 0, sizeof(at));
			at[j] = places[i];
			ASSERT_EQ(0, start_with_tables(guest, at[0], at[1], at[2], at[3]));
			EXPECT_TRUE(runs_ok(guest)) {
				TH_LOG("table %u at %#llx", j, places[i]);
			}
			ASSERT_EQ(0, renew(guest, i & 1 ? HULL_VM_IRQCHIP : 0));
		}
	}
}

TEST_F(errors, handler_stack_in_a_hole_ends_the_vm)
{
	struct guest *guest = &self->guest;

	/* The frame cannot be pushed: no instruction of the guest is to be executed instead. */
	ASSERT_EQ(0, start_with_tables(guest, 0, 0, 0, HOLE));
	EXPECT_EQ(0, ended(guest, HULL_END_EMULATION));
	EXPECT_EQ(GUEST_CODE_GPA(0), guest->cpu[0].run->end_rip);
}

HULL_TEST_MAIN
