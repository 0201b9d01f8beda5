// SPDX-License-Identifier: GPL-2.0
/*
 * Deliveries: what reaches the vCPU's own thread, doorbells, posted writes, strings, hypercalls.
 */
#define _GNU_SOURCE
#include <sys/eventfd.h>
#include <unistd.h>

#include "device.h"
#include "guest.h"
#include "harness.h"

/* ---- guests --------------------------------------------------------------------------------- */

/* Write @DEV to DEV+7 by size, read them by size. */
GUEST(sizes, 64,
      "mov $0x500, %edx\n"
      "mov $0x1122334455667788, %rax\n"
      "out %al, %dx\n out %ax, %dx\n out %eax, %dx\n"
      "in %dx, %al\n out %eax, $0xe9\n"
      "in %dx, %ax\n out %eax, $0xe9\n"
      "in %dx, %eax\n out %eax, $0xe9\n"
      "shr $32, %rax\n out %eax, $0xe9\n"
      "hlt");

/* Write 1, 2, 2, 3 to DEV: 16 bits but for the third, which has 8. */
GUEST(bells, 64,
      "mov $0x500, %edx\n"
      "mov $1, %eax\n out %ax, %dx\n"
      "mov $2, %eax\n out %ax, %dx\n out %al, %dx\n"
      "mov $3, %eax\n out %ax, %dx\n"
      "hlt");

GUEST(memory, 64,
      "mov $0x10000000, %rbx\n"
      "1: mov $0x12345678, %eax\n"
      "mov %eax, (%rbx)\n"
      "movb $0x77, 5(%rbx)\n"
      "mov 8(%rbx), %rax\n"
      "out %eax, $0xe9\n"
      "shr $32, %rax\n out %eax, $0xe9\n"
      "jmp 1b");

/* Whole pages of bytes to and from DEV, in real mode: 300 bytes out, 200 words in. */
GUEST(strings, 16,
      "mov $0x4000, %ax\n mov %ax, %ds\n mov %ax, %es\n"
      "cld\n"
      "xor %si, %si\n mov $300, %cx\n mov $0x500, %dx\n"
      "rep outsb\n"
      "mov $0x1000, %di\n mov $200, %cx\n"
      "rep insw\n"
      "mov %si, %ax\n out %ax, $0xe9\n mov %di, %ax\n out %ax, $0xe9\n"
      "hlt");

GUEST(hypercall, 64,
      "1: mov $0x4000, %eax\n"
      "mov $11, %ebx\n mov $12, %ecx\n mov $13, %edx\n mov $14, %esi\n"
      "vmmcall\n"
      "out %eax, $0xe9\n shr $32, %rax\n out %eax, $0xe9\n"
      "jmp 1b");

FIXTURE(ring) {
	struct guest guest;
};

FIXTURE_SETUP(ring)
{
	ASSERT_EQ(0, guest_create(&self->guest, 0, GUEST_SIZE)) {
		TH_LOG("cannot create a VM: %s", strerror(errno));
	}
}

FIXTURE_TEARDOWN(ring)
{
	guest_destroy(&self->guest);
}

/* ---- the vCPU's own thread ------------------------------------------------------------------ */

static void run_sizes(struct __test_metadata *_metadata, struct guest *guest)
{
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(sizes)));
	EXPECT_EQ(0, guest_expect_write(guest, 0, PORT, DEV, 1, 0x88));
	EXPECT_EQ(0, guest_expect_write(guest, 0, PORT, DEV, 2, 0x7788));
	EXPECT_EQ(0, guest_expect_write(guest, 0, PORT, DEV, 4, 0x55667788));
	/* Only as many bits of an answer as were asked for. */
	EXPECT_EQ(0, guest_expect_read(guest, 0, PORT, DEV, 1, 0xaabbccddee11ULL));
	EXPECT_EQ(0, guest_expect_out(guest, 0x55667711));
	EXPECT_EQ(0, guest_expect_read(guest, 0, PORT, DEV, 2, 0xaabbccddeeffULL));
	EXPECT_EQ(0, guest_expect_out(guest, 0x5566eeff));
	EXPECT_EQ(0, guest_expect_read(guest, 0, PORT, DEV, 4, 0xaabbccddeeffULL));
	EXPECT_EQ(0, guest_expect_out(guest, 0xccddeeff));
	EXPECT_EQ(0, guest_expect_out(guest, 0));
	EXPECT_EQ(0, guest_expect_halt(guest, 0));
}

TEST_F(ring, unclaimed_ports_go_to_the_own_thread)
{
	run_sizes(_metadata, &self->guest);
}

TEST_F(ring, own_synchronous_range)
{
	ASSERT_EQ(0, add(&self->guest, PORT, SYNC, DEV, 8, -1));
	run_sizes(_metadata, &self->guest);
}

TEST_F(ring, unanswered_request_is_published_again)
{
	struct guest *guest = &self->guest;
	struct guest_cpu *cpu = &guest->cpu[0];
	__u32 seq;

	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(reader)));
	ASSERT_EQ(HULL_EXIT_REQUEST, guest_run(guest, 0));
	seq = cpu->own.current.request_seq;
	ASSERT_EQ(0, hull_run(cpu->fd));
	EXPECT_EQ(HULL_EXIT_REQUEST, cpu->run->exit);
	ASSERT_EQ(HULL_EXIT_REQUEST, guest_run(guest, 0));
	EXPECT_EQ(seq, cpu->own.current.request_seq);
	/* An answer to something else is none. */
	__atomic_store_n(&cpu->own.channel->mailbox.response_seq, seq + 7, __ATOMIC_RELEASE);
	ASSERT_EQ(0, hull_run(cpu->fd));
	EXPECT_EQ(HULL_EXIT_REQUEST, cpu->run->exit);
	hull_answer(&cpu->own, 99);
	EXPECT_EQ(0, guest_expect_out(guest, 99));
}

/* Posted writes come in order, and before the request that follows them. */
static int take_burst(struct guest *guest, __u32 count)
{
	__u32 i;

	for (i = 0; i < count; i++) {
		if (guest_run(guest, 0) != GUEST_POSTED || guest->cpu[0].posted.value != i ||
		    guest->cpu[0].posted.address != DEV || guest->cpu[0].posted.size != 4)
			return -1;
	}
	return guest_expect_read(guest, 0, PORT, DEV + 8, 4, count) ?:
	       guest_expect_out(guest, count);
}

TEST_F(ring, own_posted_writes)
{
	struct guest *guest = &self->guest;
	struct hull_stats before, after;

	ASSERT_EQ(0, add(guest, PORT, POSTED, DEV, 4, -1));
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(burst)));
	guest_set_burst(guest, 3);
	EXPECT_EQ(0, take_burst(guest, 3));
	guest_set_burst(guest, 64);
	ASSERT_EQ(0, hull_get_stats(guest->cpu[0].fd, &before));
	EXPECT_EQ(0, take_burst(guest, 64));
	ASSERT_EQ(0, hull_get_stats(guest->cpu[0].fd, &after));
	EXPECT_EQ(64, after.value[HULL_STAT_POSTED] - before.value[HULL_STAT_POSTED]);
	/* Two returns to user space, for the read and its result. */
	EXPECT_EQ(2, after.value[HULL_STAT_USER] - before.value[HULL_STAT_USER]);
}

TEST_F(ring, own_posted_ring_overflows)
{
	struct guest *guest = &self->guest;
	struct guest_cpu *cpu = &guest->cpu[0];

	ASSERT_EQ(0, add(guest, PORT, POSTED, DEV, 4, -1));
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(burst)));
	guest_set_burst(guest, 3 * HULL_POSTED_ENTRIES + 5);
	ASSERT_EQ(0, hull_run(cpu->fd));
	EXPECT_EQ(HULL_EXIT_POSTED, cpu->run->exit);
	EXPECT_EQ(HULL_POSTED_ENTRIES, cpu->own.channel->mailbox.posted_head);
	/* Without room it is the same again; nothing is lost or posted twice. */
	ASSERT_EQ(0, hull_run(cpu->fd));
	EXPECT_EQ(HULL_EXIT_POSTED, cpu->run->exit);
	EXPECT_EQ(0, take_burst(guest, 3 * HULL_POSTED_ENTRIES + 5));
}

TEST_F(ring, reads_of_a_posted_range_are_synchronous)
{
	struct guest *guest = &self->guest;

	ASSERT_EQ(0, add(guest, PORT, POSTED, DEV, 16, -1));
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(burst)));
	guest_set_burst(guest, 5);
	EXPECT_EQ(0, take_burst(guest, 5));
}

TEST_F(ring, memory_accesses)
{
	struct guest *guest = &self->guest;
	struct guest_cpu *cpu = &guest->cpu[0];
	int i;

	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(memory)));
	EXPECT_EQ(0, guest_expect_write(guest, 0, MEMORY, MMIO, 4, 0x12345678));
	EXPECT_EQ(0, guest_expect_write(guest, 0, MEMORY, MMIO + 5, 1, 0x77));
	EXPECT_EQ(0, guest_expect_read(guest, 0, MEMORY, MMIO + 8, 8, 0x1122334455667788));
	EXPECT_EQ(0, guest_expect_out(guest, 0x55667788));
	EXPECT_EQ(0, guest_expect_out(guest, 0x11223344));

	ASSERT_EQ(0, add(guest, MEMORY, POSTED, MMIO, 8, -1));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(GUEST_POSTED, guest_run(guest, 0));
		EXPECT_EQ(MMIO, cpu->posted.address);
		EXPECT_EQ(0x12345678, cpu->posted.value);
		EXPECT_EQ(MEMORY, cpu->posted.space);
		ASSERT_EQ(GUEST_POSTED, guest_run(guest, 0));
		EXPECT_EQ(MMIO + 5, cpu->posted.address);
		EXPECT_EQ(1, cpu->posted.size);
		EXPECT_EQ(0x77, cpu->posted.value);
		EXPECT_EQ(0, guest_expect_read(guest, 0, MEMORY, MMIO + 8, 8, i));
		EXPECT_EQ(0, guest_expect_out(guest, i));
		EXPECT_EQ(0, guest_expect_out(guest, 0));
	}
}

TEST_F(ring, strings_travel_in_the_payload)
{
	struct guest *guest = &self->guest;
	struct hull_endpoint *own = &guest->cpu[0].own;
	unsigned int out = 0, in = 0, i, bytes;

	NEED_REAL_MODE();

	for (i = 0; i < 300; i++)
		guest->memory[GUEST_DATA_GPA + i] = i * 3;
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_REAL, GUEST_CODE(strings)));
	while (out < 300) {
		ASSERT_EQ(HULL_EXIT_REQUEST, guest_run(guest, 0));
		ASSERT_EQ(DEV, own->current.address);
		ASSERT_EQ(1, own->current.size);
		if (own->current.flags & HULL_MAILBOX_PAYLOAD) {
			for (i = 0; i < own->current.count; i++)
				ASSERT_EQ((__u8)((out + i) * 3), own->channel->payload[i]);
		} else {
			ASSERT_EQ((__u8)(out * 3), own->current.value);
		}
		out += own->current.count;
		hull_answer(own, 0);
	}
	EXPECT_EQ(300, out);
	while (in < 200) {
		ASSERT_EQ(HULL_EXIT_REQUEST, guest_run(guest, 0));
		ASSERT_EQ(DEV, own->current.address);
		ASSERT_EQ(2, own->current.size);
		bytes = own->current.count * 2;
		for (i = 0; i < bytes; i++)
			own->channel->payload[i] = in * 2 + i;
		in += own->current.count;
		hull_answer(own, 0x0100 * (__u8)(in * 2 - 1) + (__u8)(in * 2 - 2));
	}
	EXPECT_EQ(200, in);
	EXPECT_EQ(0, guest_expect_write(guest, 0, PORT, OWN, 2, 300));
	EXPECT_EQ(0, guest_expect_write(guest, 0, PORT, OWN, 2, 0x1000 + 400));
	EXPECT_EQ(0, guest_expect_halt(guest, 0));
	for (i = 0; i < 400; i++)
		ASSERT_EQ((__u8)i, guest->memory[GUEST_DATA_GPA + 0x1000 + i]);
}

TEST_F(ring, hypercalls)
{
	struct guest *guest = &self->guest;
	struct hull_endpoint *own = &guest->cpu[0].own;
	int i;

	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(hypercall)));
	/* Nobody wants it: an error of KVM's interface, -KVM_ENOSYS. */
	EXPECT_EQ(0, guest_expect_out(guest, -1000));
	EXPECT_EQ(0, guest_expect_out(guest, ~0U));

	ASSERT_EQ(0, add(guest, HYPERCALL, SYNC, 0x4000, 1, -1));
	ASSERT_EQ(HULL_EXIT_REQUEST, guest_run(guest, 0));
	EXPECT_EQ(HYPERCALL, own->current.space);
	EXPECT_EQ(0, own->current.flags);
	EXPECT_EQ(8, own->current.size);
	EXPECT_EQ(0x4000, own->current.address);
	for (i = 0; i < 4; i++)
		EXPECT_EQ(11 + i, own->current.args[i]);
	hull_answer(own, 0x1122334455667788);
	EXPECT_EQ(0, guest_expect_out(guest, 0x55667788));
	EXPECT_EQ(0, guest_expect_out(guest, 0x11223344));
}

/* ---- doorbells ------------------------------------------------------------------------------ */

static __u64 rung(int fd)
{
	__u64 count = 0;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

TEST_F(ring, doorbells_match_size_and_value)
{
	struct guest *guest = &self->guest;
	int two = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int three = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct hull_range bell = bell_of(PORT, DEV, 2, two);
	struct hull_stats stats;

	bell.size = 2;
	bell.flags = HULL_RANGE_MATCH_VALUE;
	bell.value = 2;
	ASSERT_EQ(0, hull_add_range(guest->vm, &bell));
	bell.eventfd = three;
	bell.value = 3;
	ASSERT_EQ(0, hull_add_range(guest->vm, &bell));
	ASSERT_EQ(0, add(guest, PORT, SYNC, DEV, 8, -1));

	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(bells)));
	EXPECT_EQ(0, guest_expect_write(guest, 0, PORT, DEV, 2, 1));
	EXPECT_EQ(0, rung(two));
	EXPECT_EQ(0, guest_expect_write(guest, 0, PORT, DEV, 1, 2));
	EXPECT_EQ(1, rung(two));
	EXPECT_EQ(0, guest_expect_halt(guest, 0));
	EXPECT_EQ(1, rung(three));
	ASSERT_EQ(0, hull_get_stats(guest->cpu[0].fd, &stats));
	EXPECT_EQ(2, stats.value[HULL_STAT_DOORBELL]);

	/* Once removed it is silent. */
	ASSERT_EQ(0, hull_remove_range(guest->vm, &bell));
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(bells)));
	EXPECT_EQ(0, guest_expect_write(guest, 0, PORT, DEV, 2, 1));
	EXPECT_EQ(0, guest_expect_write(guest, 0, PORT, DEV, 1, 2));
	EXPECT_EQ(0, guest_expect_write(guest, 0, PORT, DEV, 2, 3));
	EXPECT_EQ(0, guest_expect_halt(guest, 0));
	EXPECT_EQ(1, rung(two));
	EXPECT_EQ(0, rung(three));
}

TEST_F(ring, doorbell_by_memory)
{
	struct guest *guest = &self->guest;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct hull_range bell = bell_of(MEMORY, MMIO, 4, fd);

	ASSERT_EQ(0, hull_add_range(guest->vm, &bell));
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(memory)));
	EXPECT_EQ(0, guest_expect_write(guest, 0, MEMORY, MMIO + 5, 1, 0x77));
	EXPECT_EQ(1, rung(fd));
}

HULL_TEST_MAIN
