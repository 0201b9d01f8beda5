// SPDX-License-Identifier: GPL-2.0
/*
 * Real mode, where guests can be in it; and where they cannot (HULL_CAP_REAL_MODE is not there),
 * each of the ways into it ends the VM with a reason in words: the state after a reset, a state
 * that was set, CR0.PE cleared by the guest, a vCPU started by SIPI. Virtual-8086 mode is not real
 * mode.
 */
#include "guest.h"
#include "harness.h"
#include "trap.h"

GUEST(halt, 64, "hlt\n");
GUEST(halt16, 16, "mov $0x1234, %ax\n hlt\n");
/* Off goes protection; and on again, where that can be. */
GUEST(leave, 32,
      "mov %cr0, %eax\n and $~1, %al\n mov %eax, %cr0\n"
      "or $1, %al\n mov %eax, %cr0\n"
      "hlt\n");

FIXTURE(real) {
	struct guest guest;
	bool possible;
};

FIXTURE_SETUP(real)
{
	self->possible = guest_has_real_mode();
	ASSERT_EQ(0, guest_create(&self->guest, 0, GUEST_SIZE)) {
		TH_LOG("cannot create a VM: %s", strerror(errno));
	}
}

FIXTURE_TEARDOWN(real)
{
	EXPECT_EQ(0, hull_vm_check(self->guest.vm));
	guest_destroy(&self->guest);
}

/* The VM has ended because real mode cannot be had. */
static bool is_refused(struct guest *guest, unsigned int id, int ret)
{
	const struct hull_run *run = guest->cpu[id].run;

	if (ret == HULL_EXIT_ENDED && run->end_reason == HULL_END_BAD_STATE &&
	    strstr(run->end_text, "real mode"))
		return true;
	printf("# exit %d, reason %u, code %#llx, text \"%.128s\", %s\n", ret, run->end_reason,
	       run->end_code, run->end_text, strerror(errno));
	return false;
}

TEST_F(real, state_after_reset)
{
	struct guest *guest = &self->guest;
	int ret;

	/* The reset vector is in a hole: where real mode is possible, that ends the VM. */
	ret = guest_run(guest, 0);
	ASSERT_EQ(HULL_EXIT_ENDED, ret);
	if (self->possible) {
		EXPECT_EQ(HULL_END_EMULATION, guest->cpu[0].run->end_reason);
		return;
	}
	EXPECT_TRUE(is_refused(guest, 0, ret));
	EXPECT_EQ(0xfff0, guest->cpu[0].run->end_rip);
	/* For good, also when the state is another one. */
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(halt)));
	EXPECT_TRUE(is_refused(guest, 0, guest_run(guest, 0)));
}

TEST_F(real, state_that_was_set)
{
	struct guest *guest = &self->guest;
	struct hull_gprs gprs;

	/* Where it is, and after it, is a state like others: it can be set and read. */
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_REAL, GUEST_CODE(halt16)));
	if (!self->possible) {
		EXPECT_TRUE(is_refused(guest, 0, guest_run(guest, 0)));
		return;
	}
	ASSERT_EQ(0, guest_expect_halt(guest, 0));
	ASSERT_EQ(0, guest_get_gprs(guest, 0, &gprs));
	EXPECT_EQ(0x1234, gprs.gpr[HULL_GPR_RAX]);
}

TEST_F(real, a_state_that_does_not_run_is_no_matter)
{
	struct guest *guest = &self->guest;

	ASSERT_EQ(0, guest_start(guest, 0, GUEST_REAL, GUEST_CODE(halt16)));
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(halt)));
	EXPECT_EQ(0, guest_expect_halt(guest, 0));
}

TEST_F(real, protection_off_and_on)
{
	struct guest *guest = &self->guest;
	struct hull_control control;

	ASSERT_EQ(0, guest_start(guest, 0, GUEST_PROTECTED, GUEST_CODE(leave)));
	if (!self->possible) {
		EXPECT_TRUE(is_refused(guest, 0, guest_run(guest, 0)));
		/* Behind the first MOV to CR0. */
		EXPECT_EQ(GUEST_CODE_GPA(0) + 8, guest->cpu[0].run->end_rip);
		return;
	}
	ASSERT_EQ(0, guest_expect_halt(guest, 0));
	ASSERT_EQ(0, guest_get_control(guest, 0, &control));
	EXPECT_TRUE(control.cr0 & 1);
}

/* The first vCPU is in long mode; the second one, after INIT, waits for a SIPI. */
TEST(started_by_sipi)
{
	static struct hull_vcpu_state state;
	struct guest guest;
	int ret;

	ASSERT_EQ(0, guest_create(&guest, HULL_VM_IRQCHIP, GUEST_SIZE));
	ASSERT_EQ(0, guest_add_cpu(&guest, 1));
	ASSERT_EQ(0, guest_start(&guest, 0, GUEST_LONG, GUEST_CODE(halt)));
	/* out %al, $0xe9, which the launcher answers */
	memcpy(guest.memory + 0x5000, "\xe6\xe9", 2);
	ASSERT_EQ(0, hull_get_state(guest.cpu[1].fd, HULL_GROUP_EVENTS, &state));
	ASSERT_EQ(HULL_STATE_WAIT_SIPI, state.events.run_state);
	state.events.flags |= HULL_EVENT_SIPI;
	state.events.sipi_vector = 5;
	ASSERT_EQ(0, hull_set_state(guest.cpu[1].fd, HULL_GROUP_EVENTS, &state));
	if (guest_has_real_mode()) {
		EXPECT_EQ(0, guest_expect_write(&guest, 1, HULL_SPACE_PORT, 0xe9, 1, 0));
	} else {
		EXPECT_TRUE(is_refused(&guest, 1, guest_run(&guest, 1)));
		/* The VM has ended, all of it. */
		ret = guest_run(&guest, 0);
		EXPECT_TRUE(is_refused(&guest, 0, ret));
	}
	EXPECT_EQ(0, hull_vm_check(guest.vm));
	guest_destroy(&guest);
}

static int enter_v8086(struct guest *guest)
{
	struct hull_segments segments;
	struct hull_segment *segment = &segments.es;
	struct hull_gprs gprs;
	unsigned int i;

	if (guest_get_segments(guest, 0, &segments) || guest_get_gprs(guest, 0, &gprs))
		return -1;
	for (i = 0; i < 6; i++)
		segment[i] = (struct hull_segment) { .limit = 0xffff, .attr = 0xf3 };
	segments.cs.selector = GUEST_CODE_GPA(0) >> 4;
	segments.cs.base = GUEST_CODE_GPA(0);
	gprs.rip = 0;
	gprs.rflags = 0x20002;
	return guest_set_segments(guest, 0, &segments) || guest_set_gprs(guest, 0, &gprs) ? -1 : 0;
}

TEST_F(real, virtual_8086_mode_is_not_real_mode)
{
	struct guest *guest = &self->guest;
	struct hull_gprs gprs;
	struct trap trap;

	ASSERT_EQ(0, guest_start(guest, 0, GUEST_PROTECTED, NULL, 0));
	ASSERT_EQ(0, trap_install(guest, 0, GUEST_PROTECTED, 0));
	/* mov $0x1234, %ax; ud2; mov $0x5678, %ax; hlt, which is privileged */
	memcpy(guest->memory + GUEST_CODE_GPA(0), "\xb8\x34\x12\x0f\x0b\xb8\x78\x56\xf4", 9);
	ASSERT_EQ(0, enter_v8086(guest));
	ASSERT_EQ(0, trap_expect(guest, 0, GUEST_PROTECTED, 6, &trap));
	EXPECT_EQ(3, trap.rip);
	EXPECT_EQ(GUEST_CODE_GPA(0) >> 4, trap.cs);
	EXPECT_TRUE(trap.rflags & 0x20000);
	ASSERT_EQ(0, guest_get_gprs(guest, 0, &gprs));
	EXPECT_EQ(0x1234, gprs.gpr[HULL_GPR_RAX]);
	/* By the guest's own IRET. */
	ASSERT_EQ(0, trap_return(guest, 0, GUEST_PROTECTED, &trap, 5));
	ASSERT_EQ(0, trap_expect(guest, 0, GUEST_PROTECTED, 13, &trap));
	EXPECT_EQ(8, trap.rip);
	EXPECT_TRUE(trap.rflags & 0x20000);
	ASSERT_EQ(0, guest_get_gprs(guest, 0, &gprs));
	EXPECT_EQ(0x5678, gprs.gpr[HULL_GPR_RAX]);
}

HULL_TEST_MAIN
