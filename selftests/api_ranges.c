// SPDX-License-Identifier: GPL-2.0
/*
 * What HULL_ADD_RANGE, HULL_REMOVE_RANGE, HULL_ATTACH_CONSUMER and the consumer fd refuse: each
 * errno.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "device.h"
#include "guest.h"
#include "harness.h"

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

static int add_errno(struct guest *guest, const struct hull_range *range)
{
	errno = 0;
	return hull_add_range(guest->vm, range) ? errno : 0;
}

#define EXPECT_BAD(error, base, field, bad) do {				\
	struct hull_range range_ = base;					\
	range_.field = bad;							\
	EXPECT_EQ(error, add_errno(guest, &range_));				\
} while (0)

TEST_F(ring, add_refuses_impossible_ranges)
{
	struct guest *guest = &self->guest;
	const struct hull_range good = range_of(PORT, SYNC, DEV, 8, -1);

	EXPECT_BAD(EINVAL, good, space, 3);
	EXPECT_BAD(EINVAL, good, delivery, 3);
	EXPECT_BAD(EINVAL, good, length, 0);
	EXPECT_BAD(EINVAL, good, length, 0x10000 - DEV + 1);
	EXPECT_BAD(EINVAL, good, start, 0x10000);
	EXPECT_BAD(EINVAL, good, start, ~0ULL);
	EXPECT_BAD(EINVAL, good, eventfd, 0);
	EXPECT_BAD(EINVAL, good, flags, HULL_RANGE_MATCH_VALUE);
	EXPECT_BAD(EINVAL, good, flags, 1U << 31);
	EXPECT_BAD(EINVAL, good, size, 4);
	EXPECT_BAD(EINVAL, good, value, 1);
	EXPECT_BAD(EINVAL, good, reserved, 1);
	EXPECT_BAD(EBADF, good, consumer, -2);
	EXPECT_BAD(EBADF, good, consumer, 1000);
	EXPECT_BAD(EINVAL, good, consumer, guest->vm);
	EXPECT_EQ(EINVAL, add_errno(guest, &(struct hull_range) { .space = MEMORY,
		.start = 1ULL << 51, .length = (1ULL << 51) + 1, .consumer = -1, .eventfd = -1 }));
	EXPECT_EQ(EINVAL, add_errno(guest, &(struct hull_range) { .space = HYPERCALL,
		.delivery = POSTED, .length = 1, .consumer = -1, .eventfd = -1 }));
	errno = 0;
	EXPECT_EQ(-1, hull_add_range(guest->vm, (void *)8));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(0, add_errno(guest, &good));
}

TEST_F(ring, add_refuses_impossible_doorbells)
{
	struct guest *guest = &self->guest;
	int fd = eventfd(0, EFD_CLOEXEC);
	struct hull_range good = bell_of(PORT, DEV, 4, fd);

	good.size = 2;
	good.flags = HULL_RANGE_MATCH_VALUE;
	good.value = 0xffff;
	EXPECT_BAD(EBADF, good, eventfd, -1);
	EXPECT_BAD(EINVAL, good, eventfd, guest->vm);
	EXPECT_BAD(EINVAL, good, size, 3);
	EXPECT_BAD(EINVAL, good, size, 8);
	EXPECT_BAD(EINVAL, good, value, 0x10000);
	EXPECT_BAD(EINVAL, good, flags, 0);
	EXPECT_BAD(EINVAL, good, consumer, 0);
	EXPECT_BAD(EINVAL, good, space, HYPERCALL);
	EXPECT_EQ(0, add_errno(guest, &good));
}

TEST_F(ring, add_refuses_conflicts)
{
	struct guest *guest = &self->guest;
	struct hull_range bell = bell_of(PORT, DEV + 2, 2, eventfd(0, EFD_CLOEXEC));

	ASSERT_EQ(0, add(guest, PORT, SYNC, DEV, 8, -1));
	EXPECT_EQ(EEXIST, add_errno(guest, &(struct hull_range) { .start = DEV + 7, .length = 2,
		.consumer = -1, .eventfd = -1 }));
	EXPECT_EQ(EEXIST, add_errno(guest, &(struct hull_range) { .start = DEV - 1, .length = 2,
		.consumer = -1, .eventfd = -1 }));
	EXPECT_EQ(0, add(guest, PORT, SYNC, DEV - 1, 1, -1));
	EXPECT_EQ(0, add(guest, PORT, SYNC, DEV + 8, 1, -1));
	EXPECT_EQ(0, add(guest, MEMORY, SYNC, DEV, 8, -1));

	/* Inside another range, but in each other's way only with different values. */
	EXPECT_EQ(0, add_errno(guest, &bell));
	EXPECT_EQ(EEXIST, add_errno(guest, &bell));
	EXPECT_EQ(0, hull_remove_range(guest->vm, &bell));
	bell.flags = HULL_RANGE_MATCH_VALUE;
	EXPECT_EQ(0, add_errno(guest, &bell));
	EXPECT_EQ(EEXIST, add_errno(guest, &bell));
	bell.value = 1;
	EXPECT_EQ(0, add_errno(guest, &bell));
	bell.value = 2;
	bell.size = 1;
	EXPECT_EQ(EEXIST, add_errno(guest, &bell));
	bell.size = 0;
	bell.length = 3;
	EXPECT_EQ(EEXIST, add_errno(guest, &bell));
}

TEST_F(ring, add_stops_at_the_limit)
{
	struct guest *guest = &self->guest;
	int i;

	for (i = 0; i < HULL_MAX_RANGES; i++)
		ASSERT_EQ(0, add(guest, PORT, SYNC, i * 4, 4, -1));
	EXPECT_EQ(-1, add(guest, PORT, SYNC, i * 4, 4, -1));
	EXPECT_EQ(ENOSPC, errno);
}

static int remove_errno(struct guest *guest, const struct hull_range *range)
{
	errno = 0;
	return hull_remove_range(guest->vm, range) ? errno : 0;
}

TEST_F(ring, remove_wants_the_same_range)
{
	struct guest *guest = &self->guest;
	int consumer = hull_create_consumer(guest->vm), other = hull_create_consumer(guest->vm);
	int copy = dup(consumer);
	struct hull_range range = range_of(PORT, POSTED, DEV, 8, consumer);

	ASSERT_LE(0, consumer);
	ASSERT_LE(0, other);
	EXPECT_EQ(ENOENT, remove_errno(guest, &range));
	ASSERT_EQ(0, hull_add_range(guest->vm, &range));
	range.length = 7;
	EXPECT_EQ(ENOENT, remove_errno(guest, &range));
	range.length = 8;
	range.consumer = other;
	EXPECT_EQ(ENOENT, remove_errno(guest, &range));
	range.consumer = -1;
	EXPECT_EQ(ENOENT, remove_errno(guest, &range));
	range.consumer = 1000;
	EXPECT_EQ(EBADF, remove_errno(guest, &range));
	range.consumer = copy;
	EXPECT_EQ(0, remove_errno(guest, &range));
	EXPECT_EQ(ENOENT, remove_errno(guest, &range));
}

TEST_F(ring, consumer_of_another_vm_is_refused)
{
	struct guest other;
	int consumer;

	ASSERT_EQ(0, guest_create(&other, 0, GUEST_SIZE));
	consumer = hull_create_consumer(other.vm);
	ASSERT_LE(0, consumer);
	EXPECT_EQ(-1, add(&self->guest, PORT, SYNC, DEV, 8, consumer));
	EXPECT_EQ(EINVAL, errno);
	guest_destroy(&other);
	close(consumer);
}

TEST_F(ring, consumer_fd_checks_its_arguments)
{
	int fd = hull_create_consumer(self->guest.vm);
	struct pollfd pollfd = { .fd = fd, .events = POLLIN | POLLOUT };
	void *volatile unmapped = (void *)8;
	__u32 vcpu = 0;
	struct hull_info info;

	ASSERT_LE(0, fd);
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	EXPECT_EQ(4, write(fd, &vcpu, 4));
	EXPECT_EQ(-1, write(fd, &vcpu, 3));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(fd, unmapped, 4));
	EXPECT_EQ(EFAULT, errno);
	vcpu = 1;
	EXPECT_EQ(-1, write(fd, &vcpu, 4));
	EXPECT_EQ(ENXIO, errno);
	vcpu = ~0U;
	EXPECT_EQ(-1, write(fd, &vcpu, 4));
	EXPECT_EQ(ENXIO, errno);
	EXPECT_EQ(-1, ioctl(fd, HULL_RUN));
	EXPECT_EQ(ENOTTY, errno);
	EXPECT_EQ(1, poll(&pollfd, 1, 0));
	EXPECT_EQ(POLLOUT, pollfd.revents);

	ASSERT_EQ(0, hull_get_info(self->guest.dev, &info));
	EXPECT_EQ(sizeof(struct hull_channel), info.channel_size);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, (info.max_vcpus + 1) * sizeof(struct hull_channel),
				   PROT_READ, MAP_SHARED, fd, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_NE(NULL, hull_map_consumer(fd, info.max_vcpus));
	close(fd);
}

TEST_F(ring, channels_know_their_vcpu)
{
	int fd = hull_create_consumer(self->guest.vm);
	struct hull_channel *channels = hull_map_consumer(fd, 4);
	__u32 i;

	ASSERT_NE(NULL, channels);
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(i, channels[i].mailbox.vcpu);
		EXPECT_EQ(0, channels[i].mailbox.request_seq);
		EXPECT_EQ(1, channels[i].mailbox.generation);
	}
	hull_unmap_consumer(channels, 4);
	close(fd);
}


static int attach_errno(struct guest *guest, __u32 space, __u64 address)
{
	errno = 0;
	return hull_attach_consumer(guest->vm, space, address) < 0 ? errno : 0;
}

TEST_F(ring, attach_checks_its_arguments)
{
	struct guest *guest = &self->guest;
	int fd = hull_create_consumer(guest->vm);
	struct hull_attach args = { .space = PORT, .reserved = 1, .address = DEV };

	ASSERT_EQ(0, add(guest, PORT, SYNC, DEV, 4, fd));
	ASSERT_EQ(0, add(guest, PORT, SYNC, DEV + 4, 4, -1));
	EXPECT_EQ(EBUSY, attach_errno(guest, PORT, DEV));
	EXPECT_EQ(ENOENT, attach_errno(guest, PORT, DEV + 4));
	EXPECT_EQ(ENOENT, attach_errno(guest, PORT, DEV + 8));
	EXPECT_EQ(ENOENT, attach_errno(guest, MEMORY, DEV));
	EXPECT_EQ(EINVAL, attach_errno(guest, 3, DEV));
	close(fd);
	EXPECT_EQ(-1, ioctl(guest->vm, HULL_ATTACH_CONSUMER, &args));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, attach_errno(guest, PORT, DEV + 3));
	EXPECT_EQ(EBUSY, attach_errno(guest, PORT, DEV));
}

TEST_F(ring, mapping_keeps_a_consumer_alive)
{
	struct guest *guest = &self->guest;
	int fd = hull_create_consumer(guest->vm);
	struct hull_channel *channel = hull_map_consumer(fd, 1);

	ASSERT_NE(NULL, channel);
	ASSERT_EQ(0, add(guest, PORT, SYNC, DEV, 4, fd));
	close(fd);
	EXPECT_EQ(EBUSY, attach_errno(guest, PORT, DEV));
	hull_unmap_consumer(channel, 1);
	EXPECT_EQ(0, attach_errno(guest, PORT, DEV));
}

HULL_TEST_MAIN
