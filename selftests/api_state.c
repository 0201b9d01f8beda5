// SPDX-License-Identifier: GPL-2.0
/*
 * HULL_GET_STATE and HULL_SET_STATE: errors, a round trip of each group, what no CPU can be in, and
 * a vCPU that goes on where another one was saved.
 */
#define _GNU_SOURCE
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"
#include "harness.h"
#include "trap.h"

FIXTURE(state) {
	struct guest guest;
	struct hull_vcpu_state a, b;
	int fd;
};

FIXTURE_VARIANT(state) {
	__u32 flags;
	__u64 groups;
};

FIXTURE_VARIANT_ADD(state, bare) {
	.groups = HULL_GROUPS & ~HULL_GROUP_APIC,
};

FIXTURE_VARIANT_ADD(state, chips) {
	.flags = HULL_VM_IRQCHIP, .groups = HULL_GROUPS,
};

FIXTURE_SETUP(state)
{
	ASSERT_EQ(0, guest_create(&self->guest, variant->flags, GUEST_SIZE)) {
		TH_LOG("cannot create a VM: %s", strerror(errno));
	}
	self->fd = self->guest.cpu[0].fd;
}

FIXTURE_TEARDOWN(state)
{
	guest_destroy(&self->guest);
}

/* The clock runs on between two calls, and PPR follows from TPR. */
static void forget_time(struct hull_vcpu_state *state)
{
	state->timers.tsc = 0;
	memset(state->apic.regs + 0x390, 0, 4);
	memset(state->apic.regs + 0xa0, 0, 4);
}

static int first_difference(const void *a, const void *b, size_t size)
{
	const unsigned char *x = a, *y = b;
	size_t i;

	for (i = 0; i < size; i++) {
		if (x[i] != y[i])
			return i;
	}
	return -1;
}

/* MSRs of KVM's paravirtual clock. */
#define WALL_CLOCK	0x4b564d00
#define SYSTEM_TIME	0x4b564d01

TEST_F(state, checks_its_arguments)
{
	struct hull_state_io args = { .groups = variant->groups, .state = 8 };

	EXPECT_ERRNO(EINVAL, hull_get_state(self->fd, HULL_GROUPS + 1, &self->a));
	EXPECT_ERRNO(EINVAL, hull_get_state(self->fd, 1ULL << 63, &self->a));
	EXPECT_ERRNO(EINVAL, hull_set_state(self->fd, HULL_GROUPS + 1, &self->a));
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, HULL_GET_STATE, &args));
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, HULL_SET_STATE, &args));
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, HULL_GET_STATE, nowhere()));
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, HULL_SET_STATE, nowhere()));
	EXPECT_EQ(0, hull_get_state(self->fd, 0, nowhere()));
	EXPECT_EQ(0, hull_set_state(self->fd, 0, nowhere()));
	if (!(variant->flags & HULL_VM_IRQCHIP)) {
		EXPECT_ERRNO(ENXIO, hull_get_state(self->fd, HULL_GROUP_APIC, &self->a));
		EXPECT_ERRNO(ENXIO, hull_set_state(self->fd, HULL_GROUP_APIC, &self->a));
	}
}

TEST_F(state, get_touches_its_groups_only)
{
	int group;

	for (group = 0; group < 9; group++) {
		if (!(variant->groups & (1ULL << group)))
			continue;
		memset(&self->a, 0xa5, sizeof(self->a));
		ASSERT_EQ(0, hull_get_state(self->fd, 1ULL << group, &self->a));
		memset(&self->b, 0xa5, sizeof(self->b));
		switch (group) {
		case 0: self->b.gprs = self->a.gprs; break;
		case 1: self->b.segments = self->a.segments; break;
		case 2: self->b.control = self->a.control; break;
		case 3: self->b.debug = self->a.debug; break;
		case 4: self->b.msrs = self->a.msrs; break;
		case 5: self->b.fpu = self->a.fpu; break;
		case 6: self->b.events = self->a.events; break;
		case 7: self->b.apic = self->a.apic; break;
		case 8: self->b.timers = self->a.timers; break;
		}
		EXPECT_EQ(-1, first_difference(&self->a, &self->b, sizeof(self->a))) {
			TH_LOG("group %d", group);
		}
	}
}

TEST_F(state, of_a_new_vcpu_can_be_set)
{
	ASSERT_EQ(0, hull_get_state(self->fd, variant->groups, &self->a));
	ASSERT_EQ(0, hull_set_state(self->fd, variant->groups, &self->a));
	ASSERT_EQ(0, hull_get_state(self->fd, variant->groups, &self->b));
	forget_time(&self->a);
	forget_time(&self->b);
	EXPECT_EQ(-1, first_difference(&self->a, &self->b, sizeof(self->a)));
	EXPECT_EQ(0xfff0, self->a.gprs.rip);
	EXPECT_EQ(0xffff0000, self->a.segments.cs.base);
	EXPECT_EQ(0x60000010, self->a.control.cr0);
	EXPECT_EQ(variant->flags & HULL_VM_IRQCHIP ? 0xfee00900 : 0xfee00100,
		  self->a.control.apic_base);
	EXPECT_EQ(HULL_STATE_RUNNING, self->a.events.run_state);
}

/* A value for each register, unlike any other. */
static void fill(struct hull_vcpu_state *s, int seed)
{
	struct hull_segment *segment = &s->segments.es;
	__u32 mxcsr = 0x1f80 | (seed & 0x3f);
	__u32 i;

	for (i = 0; i < 16; i++)
		s->gprs.gpr[i] = 0x0101010101010101ULL * (i + 1) + seed;
	s->gprs.rip = 0x12340 + seed;
	s->gprs.rflags = 0x246;
	for (i = 0; i < 10; i++) {
		segment[i].base = 0x10000 * i + seed;
		segment[i].limit = 0x1000 * i + 0xfff;
		if (i < 8) {
			segment[i].selector = 8 * i + 8;
			segment[i].attr = i == 1 ? 0x49b : i == 6 ? 0x82 : i == 7 ? 0x8b : 0x493;
		}
	}
	s->control.cr0 = 0x80000033;
	s->control.cr2 = 0x111222333ULL + seed;
	s->control.cr3 = 0x5000;
	s->control.cr4 = 0x6b0;
	s->control.cr8 = seed & 0xf;
	for (i = 0; i < 4; i++)
		s->debug.dr[i] = 0x1000ULL * i + seed;
	s->debug.dr6 = 0xffff4ff1;
	s->debug.dr7 = 0x00000455;
	for (i = 0; i < s->msrs.count; i++) {
		/* LSTAR, SYSENTER_EIP, KERNEL_GS_BASE, TSC_ADJUST */
		if (s->msrs.msr[i].index == 0xc0000082 || s->msrs.msr[i].index == 0x176 ||
		    s->msrs.msr[i].index == 0xc0000102 || s->msrs.msr[i].index == 0x3b)
			s->msrs.msr[i].value = 0xffff800000000000ULL + s->msrs.msr[i].index + seed;
		/* KVM's wall clock: where the guest wants it */
		if (s->msrs.msr[i].index == WALL_CLOCK)
			s->msrs.msr[i].value = 0x7000;
	}
	memcpy(s->fpu.data, &(__u16) { 0x37f }, 2);
	memcpy(s->fpu.data + 24, &mxcsr, 4);
	for (i = 0; i < 256; i++)
		s->fpu.data[160 + i] = i + seed;	/* XMM registers */
	s->fpu.data[512] |= 3;				/* x87 and SSE in use */
	s->events.flags = HULL_EVENT_NMI_PENDING | HULL_EVENT_NMI_MASKED | HULL_EVENT_SHADOW |
			  HULL_EVENT_EXCEPTION | HULL_EVENT_EXCEPTION_ERROR | HULL_EVENT_INTERRUPT;
	s->events.exception = 14;
	s->events.error_code = 6;
	s->events.fault_address = 0xdead000 + seed;
	s->events.interrupt = 0x41;
	s->events.run_state = HULL_STATE_HALTED;
	s->timers.tsc_deadline = 0;
	s->apic.regs[0x80] = s->control.cr8 << 4;	/* TPR, the same */
}

/* set, get: the same. */
TEST_F(state, round_trip_of_each_group)
{
	int group, where;
	__u64 bit;

	for (group = 0; group < 9; group++) {
		bit = 1ULL << group;
		if (!(variant->groups & bit))
			continue;
		memset(&self->a, 0, sizeof(self->a));
		memset(&self->b, 0, sizeof(self->b));
		ASSERT_EQ(0, hull_get_state(self->fd, variant->groups, &self->a));
		fill(&self->a, 3);
		ASSERT_EQ(0, hull_set_state(self->fd, bit, &self->a)) {
			TH_LOG("group %d", group);
		}
		self->b = self->a;
		ASSERT_EQ(0, hull_get_state(self->fd, bit, &self->b));
		forget_time(&self->a);
		forget_time(&self->b);
		where = first_difference(&self->a, &self->b, sizeof(self->a));
		EXPECT_EQ(-1, where) {
			TH_LOG("group %d differs at byte %d", group, where);
		}
	}
}

TEST_F(state, round_trip_of_all)
{
	ASSERT_EQ(0, hull_get_state(self->fd, variant->groups, &self->a));
	fill(&self->a, 5);
	if (!(variant->groups & HULL_GROUP_APIC))
		memset(&self->a.apic, 0, sizeof(self->a.apic));
	ASSERT_EQ(0, hull_set_state(self->fd, variant->groups, &self->a));
	ASSERT_EQ(0, hull_get_state(self->fd, variant->groups, &self->b));
	forget_time(&self->a);
	forget_time(&self->b);
	EXPECT_EQ(-1, first_difference(&self->a, &self->b, sizeof(self->a)));
}

TEST_F(state, both_clocks_of_kvm_are_saved)
{
	bool wall = false, system = false;
	__u32 i;

	ASSERT_EQ(0, hull_get_state(self->fd, HULL_GROUP_MSRS, &self->a));
	for (i = 0; i < self->a.msrs.count; i++) {
		wall |= self->a.msrs.msr[i].index == WALL_CLOCK;
		system |= self->a.msrs.msr[i].index == SYSTEM_TIME;
	}
	EXPECT_EQ(!!(variant->flags & HULL_VM_IRQCHIP), wall);
	EXPECT_EQ(!!(variant->flags & HULL_VM_IRQCHIP), system);
}

TEST_F(state, tsc_goes_on_from_what_was_set)
{
	ASSERT_EQ(0, hull_get_state(self->fd, HULL_GROUP_TIMERS, &self->a));
	self->a.timers.tsc = 1ULL << 50;
	ASSERT_EQ(0, hull_set_state(self->fd, HULL_GROUP_TIMERS, &self->a));
	ASSERT_EQ(0, hull_get_state(self->fd, HULL_GROUP_TIMERS, &self->b));
	EXPECT_LE(1ULL << 50, self->b.timers.tsc);
	EXPECT_GT((1ULL << 50) + (1ULL << 36), self->b.timers.tsc);
}

/* ---- what no CPU can be in ------------------------------------------------------------------ */

#define EXPECT_BAD(group, field, bad) do {						\
	ASSERT_EQ(0, hull_get_state(self->fd, group, &self->a));			\
	self->a.field = bad;								\
	EXPECT_ERRNO(EINVAL, hull_set_state(self->fd, group, &self->a));		\
} while (0)

TEST_F(state, impossible_registers_are_refused)
{
	EXPECT_BAD(HULL_GROUP_GPRS, gprs.rflags, 0);
	EXPECT_BAD(HULL_GROUP_GPRS, gprs.rflags, 2 | 1 << 15);
	EXPECT_BAD(HULL_GROUP_GPRS, gprs.rflags, 2 | 1ULL << 32);
	EXPECT_BAD(HULL_GROUP_CONTROL, control.cr0, 0x80000010);	/* PG without PE */
	EXPECT_BAD(HULL_GROUP_CONTROL, control.cr0, 0x20000010);	/* NW without CD */
	EXPECT_BAD(HULL_GROUP_CONTROL, control.cr0, 1ULL << 32);
	EXPECT_BAD(HULL_GROUP_CONTROL, control.cr3, 1ULL << 60);
	EXPECT_BAD(HULL_GROUP_CONTROL, control.cr4, 1ULL << 13);	/* VMXE */
	EXPECT_BAD(HULL_GROUP_CONTROL, control.cr4, 1ULL << 40);
	EXPECT_BAD(HULL_GROUP_CONTROL, control.cr8, 16);
	EXPECT_BAD(HULL_GROUP_CONTROL, control.efer, 1ULL << 12);	/* SVME */
	EXPECT_BAD(HULL_GROUP_CONTROL, control.efer, 1ULL << 10);	/* LMA alone */
	EXPECT_BAD(HULL_GROUP_CONTROL, control.efer, 1ULL << 63);
	EXPECT_BAD(HULL_GROUP_CONTROL, control.xcr0, 0);
	EXPECT_BAD(HULL_GROUP_CONTROL, control.xcr0, 5);		/* AVX without SSE */
	EXPECT_BAD(HULL_GROUP_CONTROL, control.xcr0, 1ULL << 62);
	EXPECT_BAD(HULL_GROUP_DEBUG, debug.dr6, 1ULL << 32);
	EXPECT_BAD(HULL_GROUP_DEBUG, debug.dr7, 1ULL << 32);
	if (variant->flags & HULL_VM_IRQCHIP)
		EXPECT_BAD(HULL_GROUP_CONTROL, control.apic_base, 0xfee00400);	/* x2APIC, off */
}

static int set_mode(struct guest *guest, __u64 cr0, __u64 cr4, __u64 efer)
{
	struct hull_control control;

	if (guest_get_control(guest, 0, &control))
		return -2;
	control.cr0 = cr0;
	control.cr4 = cr4;
	control.efer = efer;
	return guest_set_control(guest, 0, &control) ? errno : 0;
}

TEST_F(state, long_mode_needs_all_its_bits)
{
	struct guest *guest = &self->guest;

	EXPECT_EQ(EINVAL, set_mode(guest, 0x80000011, 0, 0x500));	/* PAE */
	EXPECT_EQ(EINVAL, set_mode(guest, 0x11, 0x20, 0x500));		/* PG */
	EXPECT_EQ(EINVAL, set_mode(guest, 0x80000011, 0x20, 0x100));	/* LMA */
	EXPECT_EQ(EINVAL, set_mode(guest, 0x80000011, 0x20, 0x400));	/* LME */
	EXPECT_EQ(0, set_mode(guest, 0x80000011, 0x20, 0x500));
	EXPECT_EQ(0, set_mode(guest, 0x11, 0x20, 0x100));
}

TEST_F(state, impossible_msrs_are_refused)
{
	__u32 i;

	EXPECT_BAD(HULL_GROUP_MSRS, msrs.count, HULL_MAX_MSRS + 1);
	EXPECT_BAD(HULL_GROUP_MSRS, msrs.count, ~0U);
	EXPECT_BAD(HULL_GROUP_MSRS, msrs.reserved, 1);
	EXPECT_BAD(HULL_GROUP_MSRS, msrs.msr[0].reserved, 1);
	EXPECT_BAD(HULL_GROUP_MSRS, msrs.msr[0].index, 0x12345678);
	ASSERT_EQ(0, hull_get_state(self->fd, HULL_GROUP_MSRS, &self->a));
	ASSERT_LT(5, self->a.msrs.count);
	for (i = 0; i < self->a.msrs.count; i++) {
		if (self->a.msrs.msr[i].index == 0xc0000082)
			break;
	}
	ASSERT_NE(i, self->a.msrs.count);
	self->a.msrs.msr[i].value = 1ULL << 63;
	EXPECT_ERRNO(EINVAL, hull_set_state(self->fd, HULL_GROUP_MSRS, &self->a));
	self->a.msrs.count = 0;
	EXPECT_EQ(0, hull_set_state(self->fd, HULL_GROUP_MSRS, &self->a));
}

TEST_F(state, impossible_fpu_state_is_refused)
{
	EXPECT_BAD(HULL_GROUP_FPU, fpu.data[519], 0x40);	/* a component hull has not */
	EXPECT_BAD(HULL_GROUP_FPU, fpu.data[527], 0x80);	/* compacted */
	EXPECT_BAD(HULL_GROUP_FPU, fpu.data[540], 1);		/* reserved bytes of the header */
	EXPECT_BAD(HULL_GROUP_FPU, fpu.data[27], 0xff);		/* MXCSR */
}

TEST_F(state, impossible_events_are_refused)
{
	EXPECT_BAD(HULL_GROUP_EVENTS, events.flags, HULL_EVENT_FLAGS + 1);
	EXPECT_BAD(HULL_GROUP_EVENTS, events.flags, 1U << 31);
	EXPECT_BAD(HULL_GROUP_EVENTS, events.run_state, 3);
	EXPECT_BAD(HULL_GROUP_EVENTS, events.reserved, 1);
	EXPECT_BAD(HULL_GROUP_EVENTS, events.exception, 32);
	ASSERT_EQ(0, hull_get_state(self->fd, HULL_GROUP_EVENTS, &self->a));
	self->a.events.flags = HULL_EVENT_EXCEPTION;
	self->a.events.exception = 2;
	EXPECT_ERRNO(EINVAL, hull_set_state(self->fd, HULL_GROUP_EVENTS, &self->a));
}

TEST_F(state, forged_continuations_do_no_harm)
{
	unsigned int seed = 1, i, n;
	int ret;

	for (n = 0; n < 300; n++) {
		memset(&self->a.events, 0, sizeof(self->a.events));
		for (i = 0; i < (n % 3 ? 200 : sizeof(self->a.events.continuation)); i++)
			self->a.events.continuation[i] = n & 1 ? rand_r(&seed) & 3 :
							 rand_r(&seed) & rand_r(&seed);
		ret = hull_set_state(self->fd, HULL_GROUP_EVENTS, &self->a);
		EXPECT_TRUE(!ret || errno == EINVAL);
	}
	EXPECT_EQ(0, guest_clear_events(&self->guest, 0));
}

/* ---- going on elsewhere --------------------------------------------------------------------- */

/* Reads a port, adds what is in XMM0, writes the sum. */
GUEST(sums, 64,
      "mov $5, %eax\n movd %eax, %xmm0\n mov $0x1234, %ebx\n"
      "1: in $0x10, %al\n movzbl %al, %eax\n"
      "movd %eax, %xmm1\n paddd %xmm1, %xmm0\n movd %xmm0, %eax\n"
      "add %ebx, %eax\n out %eax, $0x11\n jmp 1b");

TEST_F(state, another_vcpu_goes_on_in_the_middle_of_an_access)
{
	struct guest *guest = &self->guest;

	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(sums)));
	ASSERT_EQ(0, guest_expect_read(guest, 0, HULL_SPACE_PORT, 0x10, 1, 1));
	ASSERT_EQ(0, guest_expect_write(guest, 0, HULL_SPACE_PORT, 0x11, 4, 0x1234 + 6));
	/* The second read is in flight: the mailbox has it, nobody has answered. */
	ASSERT_EQ(HULL_EXIT_REQUEST, guest_run(guest, 0));
	ASSERT_EQ(0, hull_get_state(self->fd, variant->groups, &self->a));
	ASSERT_EQ(0, guest_add_cpu(guest, 1));
	/* Its APIC has another id, which cannot be set. */
	self->a.control.apic_base &= ~0x100ULL;
	ASSERT_EQ(0, hull_set_state(guest->cpu[1].fd, variant->groups & ~HULL_GROUP_APIC,
				    &self->a));
	EXPECT_EQ(0, guest_expect_read(guest, 1, HULL_SPACE_PORT, 0x10, 1, 2));
	EXPECT_EQ(0, guest_expect_write(guest, 1, HULL_SPACE_PORT, 0x11, 4, 0x1234 + 8));
	/* The first one is still where it was. */
	EXPECT_EQ(0, guest_expect_read(guest, 0, HULL_SPACE_PORT, 0x10, 1, 4));
	EXPECT_EQ(0, guest_expect_write(guest, 0, HULL_SPACE_PORT, 0x11, 4, 0x1234 + 10));
	/* And can be set back in time. */
	self->a.control.apic_base |= 0x100;
	ASSERT_EQ(0, hull_set_state(self->fd, variant->groups, &self->a));
	EXPECT_EQ(0, guest_expect_read(guest, 0, HULL_SPACE_PORT, 0x10, 1, 6));
	EXPECT_EQ(0, guest_expect_write(guest, 0, HULL_SPACE_PORT, 0x11, 4, 0x1234 + 12));
}

HULL_TEST_MAIN
