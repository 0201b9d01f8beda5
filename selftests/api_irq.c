// SPDX-License-Identifier: GPL-2.0
/*
 * HULL_SET_IRQ, HULL_SEND_MSI, HULL_VM_GET_STATE and HULL_VM_SET_STATE: each errno, round trips.
 * What reaches a guest is in guest_irq.c.
 */
#define _GNU_SOURCE
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"
#include "harness.h"

FIXTURE(irq) {
	struct guest guest;
	struct hull_vm_state a, b;
	int vm;
};

FIXTURE_SETUP(irq)
{
	ASSERT_EQ(0, guest_create(&self->guest, HULL_VM_IRQCHIP | HULL_VM_PIT, GUEST_SIZE)) {
		TH_LOG("cannot create a VM: %s", strerror(errno));
	}
	self->vm = self->guest.vm;
}

FIXTURE_TEARDOWN(irq)
{
	guest_destroy(&self->guest);
}

TEST_F(irq, lines_are_checked)
{
	__u32 line;

	for (line = 0; line < HULL_IOAPIC_PINS; line++) {
		EXPECT_EQ(0, hull_set_irq(self->vm, line, 1));
		EXPECT_EQ(0, hull_set_irq(self->vm, line, 0));
	}
	EXPECT_ERRNO(EINVAL, hull_set_irq(self->vm, HULL_IOAPIC_PINS, 0));
	EXPECT_ERRNO(EINVAL, hull_set_irq(self->vm, ~0U, 0));
	EXPECT_ERRNO(EINVAL, hull_set_irq(self->vm, 0, 2));
	EXPECT_ERRNO(EINVAL, hull_set_irq(self->vm, 0, ~0U));
	EXPECT_ERRNO(EFAULT, ioctl(self->vm, HULL_SET_IRQ, nowhere()));
}

TEST_F(irq, messages_are_checked)
{
	struct hull_msi args = { .address = 0xfee00000, .reserved = 1 };

	EXPECT_EQ(0, hull_send_msi(self->vm, 0xfee00000, 0x41));
	EXPECT_EQ(0, hull_send_msi(self->vm, 0xfeeff00c, 0x41));
	EXPECT_ERRNO(EINVAL, hull_send_msi(self->vm, 0, 0x41));
	EXPECT_ERRNO(EINVAL, hull_send_msi(self->vm, 0xfed00000, 0x41));
	EXPECT_ERRNO(EINVAL, hull_send_msi(self->vm, 0xfef00000, 0x41));
	EXPECT_ERRNO(EINVAL, hull_send_msi(self->vm, 0x1fee00000, 0x41));
	EXPECT_ERRNO(EINVAL, ioctl(self->vm, HULL_SEND_MSI, &args));
	EXPECT_ERRNO(EFAULT, ioctl(self->vm, HULL_SEND_MSI, nowhere()));
}

TEST_F(irq, any_message_does_no_harm)
{
	unsigned int seed = 7;
	int i;

	for (i = 0; i < 2000; i++)
		EXPECT_EQ(0, hull_send_msi(self->vm, 0xfee00000 | (rand_r(&seed) & 0xfffff),
					   rand_r(&seed)));
	EXPECT_EQ(0, hull_vm_check(self->vm));
}

TEST_F(irq, needs_controllers)
{
	struct guest bare;

	ASSERT_EQ(0, guest_create(&bare, 0, GUEST_SIZE));
	EXPECT_ERRNO(ENXIO, hull_set_irq(bare.vm, 0, 1));
	EXPECT_ERRNO(ENXIO, hull_send_msi(bare.vm, 0xfee00000, 0x41));
	EXPECT_ERRNO(ENXIO, hull_vm_get_state(bare.vm, HULL_VM_GROUPS, &self->a));
	EXPECT_ERRNO(ENXIO, hull_vm_set_state(bare.vm, HULL_VM_GROUPS, &self->a));
	guest_destroy(&bare);
}

TEST_F(irq, state_checks_its_arguments)
{
	struct hull_state_io args = { .groups = HULL_VM_GROUPS, .state = 8 };

	EXPECT_ERRNO(EINVAL, hull_vm_get_state(self->vm, HULL_VM_GROUPS + 1, &self->a));
	EXPECT_ERRNO(EINVAL, hull_vm_set_state(self->vm, 1ULL << 63, &self->a));
	EXPECT_ERRNO(EFAULT, ioctl(self->vm, HULL_VM_GET_STATE, &args));
	EXPECT_ERRNO(EFAULT, ioctl(self->vm, HULL_VM_SET_STATE, &args));
	EXPECT_ERRNO(EFAULT, ioctl(self->vm, HULL_VM_GET_STATE, nowhere()));
	EXPECT_ERRNO(EFAULT, ioctl(self->vm, HULL_VM_SET_STATE, nowhere()));
}

TEST_F(irq, pit_group_needs_a_pit)
{
	struct guest bare;

	ASSERT_EQ(0, guest_create(&bare, HULL_VM_IRQCHIP, GUEST_SIZE));
	EXPECT_EQ(0, hull_vm_get_state(bare.vm, HULL_VM_GROUPS & ~HULL_VM_GROUP_PIT, &self->a));
	EXPECT_EQ(0, hull_vm_set_state(bare.vm, HULL_VM_GROUPS & ~HULL_VM_GROUP_PIT, &self->a));
	EXPECT_ERRNO(ENXIO, hull_vm_get_state(bare.vm, HULL_VM_GROUP_PIT, &self->a));
	EXPECT_ERRNO(ENXIO, hull_vm_set_state(bare.vm, HULL_VM_GROUP_PIT, &self->a));
	guest_destroy(&bare);
}

TEST_F(irq, round_trip_of_a_new_vm)
{
	ASSERT_EQ(0, hull_vm_get_state(self->vm, HULL_VM_GROUPS, &self->a));
	ASSERT_EQ(0, hull_vm_set_state(self->vm, HULL_VM_GROUPS, &self->a));
	ASSERT_EQ(0, hull_vm_get_state(self->vm, HULL_VM_GROUPS, &self->b));
	EXPECT_EQ(0, memcmp(self->a.pic, self->b.pic, sizeof(self->a.pic)));
	EXPECT_EQ(0, memcmp(&self->a.ioapic, &self->b.ioapic, sizeof(self->a.ioapic)));
	EXPECT_LE(self->a.clock.ns, self->b.clock.ns);
	EXPECT_LE(self->a.clock.pm_timer, self->b.clock.pm_timer);
}

TEST_F(irq, round_trip_of_controllers)
{
	int i;

	ASSERT_EQ(0, hull_vm_get_state(self->vm, HULL_VM_GROUPS, &self->a));
	self->a.pic[0].imr = 0xa5;
	self->a.pic[0].irq_base = 0x20;
	self->a.pic[1].imr = 0x5a;
	self->a.pic[1].irq_base = 0x28;
	self->a.pic[1].elcr = 0x0c;
	self->a.ioapic.id = 3 << 24;
	self->a.ioapic.select = 0x12;
	for (i = 0; i < HULL_IOAPIC_PINS; i++)
		self->a.ioapic.redirection[i] = 0x10000 | (0x30 + i) | (__u64)i << 56;
	self->a.pit.speaker = self->a.pit.channel[2].gate = 1;
	self->a.clock.ns = 1ULL << 40;
	self->a.clock.pm_timer = 1ULL << 41;
	ASSERT_EQ(0, hull_vm_set_state(self->vm, HULL_VM_GROUPS, &self->a));
	ASSERT_EQ(0, hull_vm_get_state(self->vm, HULL_VM_GROUPS, &self->b));
	EXPECT_EQ(0, memcmp(self->a.pic, self->b.pic, sizeof(self->a.pic)));
	EXPECT_EQ(0, memcmp(&self->a.ioapic, &self->b.ioapic, sizeof(self->a.ioapic)));
	EXPECT_EQ(self->a.pit.speaker, self->b.pit.speaker);
	EXPECT_LE(1ULL << 40, self->b.clock.ns);
	EXPECT_GT((1ULL << 40) + 10000000000ULL, self->b.clock.ns);
	EXPECT_LE(1ULL << 41, self->b.clock.pm_timer);
	EXPECT_GT((1ULL << 41) + 10000000000ULL, self->b.clock.pm_timer);
}

#define EXPECT_BAD(group, field, bad) do {						\
	ASSERT_EQ(0, hull_vm_get_state(self->vm, HULL_VM_GROUPS, &self->a));		\
	self->a.field = bad;								\
	EXPECT_ERRNO(EINVAL, hull_vm_set_state(self->vm, group, &self->a));		\
} while (0)

TEST_F(irq, impossible_states_are_refused)
{
	EXPECT_BAD(HULL_VM_GROUP_PIC, pic[0].irq_base, 0x21);
	EXPECT_BAD(HULL_VM_GROUP_PIC, pic[0].priority_add, 8);
	EXPECT_BAD(HULL_VM_GROUP_PIC, pic[1].init_state, 4);
	EXPECT_BAD(HULL_VM_GROUP_IOAPIC, ioapic.irr, 1U << HULL_IOAPIC_PINS);
	EXPECT_BAD(HULL_VM_GROUP_IOAPIC, ioapic.lines, 1U << HULL_IOAPIC_PINS);
	EXPECT_BAD(HULL_VM_GROUP_IOAPIC, ioapic.redirection[3], 1ULL << 20);
	EXPECT_BAD(HULL_VM_GROUP_PIT, pit.speaker, 0x100);
	EXPECT_BAD(HULL_VM_GROUP_PIT, pit.reserved, 1);
	EXPECT_BAD(HULL_VM_GROUP_PIT, pit.channel[0].count, 0x10001);
	EXPECT_BAD(HULL_VM_GROUP_PIT, pit.channel[1].mode, 6);
	EXPECT_BAD(HULL_VM_GROUP_PIT, pit.channel[2].rw_mode, 4);
}

/* Random states are taken or refused; the guest's ports and the module survive what is taken. */
TEST_F(irq, random_states_do_no_harm)
{
	unsigned char *bytes = (unsigned char *)&self->a;
	unsigned int seed = 11, i, n;
	int ret;

	for (n = 0; n < 500; n++) {
		ASSERT_EQ(0, hull_vm_get_state(self->vm, HULL_VM_GROUPS, &self->a));
		for (i = 0; i < 1 + n % 8; i++)
			bytes[rand_r(&seed) % sizeof(self->a)] = rand_r(&seed);
		ret = hull_vm_set_state(self->vm, 1ULL << (n % 4), &self->a);
		EXPECT_TRUE(!ret || errno == EINVAL);
		EXPECT_EQ(0, hull_set_irq(self->vm, n % HULL_IOAPIC_PINS, n & 1));
	}
}

HULL_TEST_MAIN
