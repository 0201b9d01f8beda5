// SPDX-License-Identifier: GPL-2.0
/*
 * HULL_SET_ROUTES, HULL_ADD_IRQFD and HULL_REMOVE_IRQFD: each errno, the edges of the table,
 * eventfds of all kinds, open and closed. What reaches a guest is in guest_irqfd.c.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"
#include "harness.h"

#define MSI	0xfee00000ULL

FIXTURE(irqfd) {
	struct guest guest;
	int vm;
	int fd;		/* an eventfd that does not block */
};

FIXTURE_SETUP(irqfd)
{
	ASSERT_EQ(0, guest_create(&self->guest, HULL_VM_IRQCHIP, GUEST_SIZE)) {
		TH_LOG("cannot create a VM: %s", strerror(errno));
	}
	self->vm = self->guest.vm;
	self->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(irqfd)
{
	guest_destroy(&self->guest);
}

static struct hull_route pin_route(__u32 gsi, __u32 pin)
{
	return (struct hull_route) { .gsi = gsi, .kind = HULL_ROUTE_PIN, .pin = pin };
}

static struct hull_route msi_route(__u32 gsi, __u64 address, __u32 data)
{
	return (struct hull_route) {
		.gsi = gsi, .kind = HULL_ROUTE_MSI, .address = address, .data = data,
	};
}

static int set_one(int vm, struct hull_route route)
{
	return hull_set_routes(vm, &route, 1);
}

static int signal_fd(int fd)
{
	const __u64 one = 1;

	return write(fd, &one, sizeof(one)) == sizeof(one) ? 0 : -1;
}

/* What is in an eventfd that does not block; it is gone then. */
static __u64 count_of(int fd)
{
	__u64 count;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static bool is_signalled(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	return poll(&pollfd, 1, 0) == 1;
}

/* The pins that irqfds hold. */
static __u32 held(int vm)
{
	static struct hull_vm_state state;

	return hull_vm_get_state(vm, HULL_VM_GROUP_LINES, &state) ? ~0U : state.lines.irqfds;
}

/* ---- routes --------------------------------------------------------------------------------- */

TEST_F(irqfd, info_tells_the_limits)
{
	struct hull_info info;

	ASSERT_EQ(0, hull_get_info(self->guest.dev, &info));
	EXPECT_TRUE(info.capabilities & HULL_CAP_ROUTES);
	EXPECT_TRUE(info.capabilities & HULL_CAP_IRQFD);
	EXPECT_EQ(HULL_MAX_ROUTES, info.max_routes);
	EXPECT_EQ(HULL_MAX_IRQFDS, info.max_irqfds);
}

#define EXPECT_BAD(good, field, bad) do {				\
	struct hull_route route_ = good;				\
	route_.field = bad;						\
	EXPECT_ERRNO(EINVAL, set_one(self->vm, route_));		\
} while (0)

TEST_F(irqfd, impossible_routes_are_refused)
{
	const struct hull_route pin = pin_route(0, 23), msi = msi_route(0, MSI, 0x41);

	EXPECT_EQ(0, set_one(self->vm, pin));
	EXPECT_EQ(0, set_one(self->vm, msi));
	EXPECT_BAD(pin, gsi, HULL_MAX_ROUTES);
	EXPECT_BAD(pin, gsi, ~0U);
	EXPECT_BAD(pin, kind, 0);
	EXPECT_BAD(pin, kind, 3);
	EXPECT_BAD(pin, kind, ~0U);
	EXPECT_BAD(pin, pin, HULL_IOAPIC_PINS);
	EXPECT_BAD(pin, pin, ~0U);
	EXPECT_BAD(pin, data, 1);
	EXPECT_BAD(pin, address, MSI);
	EXPECT_BAD(pin, flags, 1);
	EXPECT_BAD(pin, reserved, 1);
	EXPECT_BAD(msi, pin, 1);
	EXPECT_BAD(msi, address, 0);
	EXPECT_BAD(msi, address, MSI - 4);
	EXPECT_BAD(msi, address, MSI + 0x100000);
	EXPECT_BAD(msi, address, MSI | 1ULL << 32);
	EXPECT_BAD(msi, flags, 1U << 31);
	EXPECT_BAD(msi, reserved, ~0U);
	/* All of the address's page and any data are a message, whoever it is for. */
	EXPECT_EQ(0, set_one(self->vm, msi_route(0, MSI + 0xfffff, ~0U)));
}

TEST_F(irqfd, the_table_has_edges)
{
	static struct hull_route routes[HULL_MAX_ROUTES + 1];
	struct hull_routes args = { .reserved = 1 };
	__u32 i;

	for (i = 0; i <= HULL_MAX_ROUTES; i++)
		routes[i] = i & 1 ? pin_route(i, i % HULL_IOAPIC_PINS) : msi_route(i, MSI, i);
	EXPECT_EQ(0, hull_set_routes(self->vm, NULL, 0));
	EXPECT_EQ(0, hull_set_routes(self->vm, nowhere(), 0));
	EXPECT_EQ(0, hull_set_routes(self->vm, routes, 1));
	EXPECT_EQ(0, hull_set_routes(self->vm, routes, HULL_MAX_ROUTES));
	EXPECT_ERRNO(E2BIG, hull_set_routes(self->vm, routes, HULL_MAX_ROUTES + 1));
	EXPECT_ERRNO(E2BIG, hull_set_routes(self->vm, nowhere(), ~0U));
	/* The last number alone, and the one beyond. */
	EXPECT_EQ(0, hull_set_routes(self->vm, routes + HULL_MAX_ROUTES - 1, 1));
	EXPECT_ERRNO(EINVAL, hull_set_routes(self->vm, routes + HULL_MAX_ROUTES, 1));
	/* Backwards is as good; twice is not. */
	for (i = 0; i < HULL_MAX_ROUTES; i++)
		routes[i].gsi = HULL_MAX_ROUTES - 1 - i;
	EXPECT_EQ(0, hull_set_routes(self->vm, routes, HULL_MAX_ROUTES));
	routes[HULL_MAX_ROUTES - 1].gsi = 1;
	EXPECT_ERRNO(EEXIST, hull_set_routes(self->vm, routes, HULL_MAX_ROUTES));
	routes[0] = routes[1] = pin_route(5, 5);
	EXPECT_ERRNO(EEXIST, hull_set_routes(self->vm, routes, 2));
	EXPECT_ERRNO(EFAULT, hull_set_routes(self->vm, nowhere(), 1));
	EXPECT_ERRNO(EFAULT, ioctl(self->vm, HULL_SET_ROUTES, nowhere()));
	EXPECT_ERRNO(EINVAL, ioctl(self->vm, HULL_SET_ROUTES, &args));
}

/* A table that is refused changes nothing. */
TEST_F(irqfd, a_refused_table_leaves_the_old_one)
{
	struct hull_route routes[] = { pin_route(100, 7), pin_route(HULL_MAX_ROUTES, 7) };
	int resample = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	ASSERT_EQ(0, set_one(self->vm, pin_route(100, 9)));
	ASSERT_EQ(0, hull_add_irqfd(self->vm, 100, self->fd, resample));
	EXPECT_ERRNO(EINVAL, hull_set_routes(self->vm, routes, 2));
	EXPECT_EQ(0, signal_fd(self->fd));
	EXPECT_EQ(1 << 9, held(self->vm));
	/* Nor did it ask anybody. */
	EXPECT_FALSE(is_signalled(resample));
}

TEST_F(irqfd, pins_are_the_first_routes)
{
	int fds[HULL_IOAPIC_PINS + 1], resample = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	__u32 pin;

	for (pin = 0; pin <= HULL_IOAPIC_PINS; pin++) {
		fds[pin] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		ASSERT_EQ(0, hull_add_irqfd(self->vm, pin, fds[pin], resample));
		EXPECT_EQ(0, held(self->vm));
		EXPECT_EQ(0, signal_fd(fds[pin]));
		/* The one beyond the pins has no route: its count stays. */
		EXPECT_EQ(pin == HULL_IOAPIC_PINS, is_signalled(fds[pin]));
		EXPECT_EQ(pin == HULL_IOAPIC_PINS ? 0 : 1U << pin, held(self->vm));
		EXPECT_EQ(0, hull_remove_irqfd(self->vm, pin, fds[pin], resample));
		EXPECT_EQ(0, held(self->vm));
	}
	EXPECT_FALSE(is_signalled(resample));
}

TEST_F(irqfd, routes_need_controllers)
{
	struct guest bare;

	ASSERT_EQ(0, guest_create(&bare, 0, GUEST_SIZE));
	EXPECT_ERRNO(ENXIO, hull_set_routes(bare.vm, NULL, 0));
	EXPECT_ERRNO(ENXIO, hull_add_irqfd(bare.vm, 0, self->fd, -1));
	EXPECT_ERRNO(ENXIO, hull_remove_irqfd(bare.vm, 0, self->fd, -1));
	guest_destroy(&bare);
}

/* ---- irqfds: arguments ---------------------------------------------------------------------- */

/* An irqfd with one bad field, for HULL_ADD_IRQFD and HULL_REMOVE_IRQFD alike. */
#define EXPECT_BOTH(error, ...) do {						\
	struct hull_irqfd args_ = {						\
		.gsi = 5, .eventfd = self->fd, .resample = -1, __VA_ARGS__	\
	};									\
	EXPECT_ERRNO(error, ioctl(self->vm, HULL_ADD_IRQFD, &args_));		\
	EXPECT_ERRNO(error, ioctl(self->vm, HULL_REMOVE_IRQFD, &args_));	\
} while (0)

#pragma GCC diagnostic ignored "-Woverride-init"

TEST_F(irqfd, arguments_are_checked)
{
	int closed = eventfd(0, EFD_CLOEXEC);

	close(closed);
	EXPECT_BOTH(EINVAL, .flags = 1);
	EXPECT_BOTH(EINVAL, .flags = 1U << 31);
	EXPECT_BOTH(EINVAL, .reserved = 1);
	EXPECT_BOTH(EBADF, .eventfd = -1);
	EXPECT_BOTH(EBADF, .eventfd = closed);
	EXPECT_BOTH(EBADF, .eventfd = 1 << 30);
	EXPECT_BOTH(EBADF, .resample = closed);
	EXPECT_BOTH(EBADF, .resample = -2);
	EXPECT_ERRNO(EINVAL, hull_add_irqfd(self->vm, HULL_MAX_ROUTES, self->fd, -1));
	EXPECT_ERRNO(EINVAL, hull_add_irqfd(self->vm, ~0U, self->fd, -1));
	EXPECT_ERRNO(ENOENT, hull_remove_irqfd(self->vm, ~0U, self->fd, -1));
	EXPECT_ERRNO(EFAULT, ioctl(self->vm, HULL_ADD_IRQFD, nowhere()));
	EXPECT_ERRNO(EFAULT, ioctl(self->vm, HULL_REMOVE_IRQFD, nowhere()));
	/* None of them has stayed. */
	EXPECT_ERRNO(ENOENT, hull_remove_irqfd(self->vm, 5, self->fd, -1));
	EXPECT_EQ(0, hull_add_irqfd(self->vm, HULL_MAX_ROUTES - 1, self->fd, -1));
}

TEST_F(irqfd, other_kinds_of_fds_are_refused)
{
	int fds[] = {
		self->guest.vm, self->guest.dev, self->guest.cpu[0].fd,
		hull_create_consumer(self->vm), open("/dev/null", O_RDWR | O_CLOEXEC),
		open("/", O_PATH | O_CLOEXEC), memfd_create("memory", MFD_CLOEXEC), -1, -1,
	};
	size_t i, count = sizeof(fds) / sizeof(fds[0]);

	ASSERT_EQ(0, pipe2(fds + count - 2, O_CLOEXEC));
	for (i = 0; i < count; i++) {
		int error = i == 5 ? EBADF : EINVAL;	/* O_PATH */

		ASSERT_LE(0, fds[i]);
		EXPECT_BOTH(error, .eventfd = fds[i]);
		EXPECT_BOTH(error, .resample = fds[i]);
	}
}

TEST_F(irqfd, an_eventfd_does_not_resample_itself)
{
	int copy = dup(self->fd);

	EXPECT_ERRNO(EINVAL, hull_add_irqfd(self->vm, 5, self->fd, self->fd));
	EXPECT_ERRNO(EINVAL, hull_add_irqfd(self->vm, 5, self->fd, copy));
	EXPECT_ERRNO(ENOENT, hull_remove_irqfd(self->vm, 5, self->fd, self->fd));
}

TEST_F(irqfd, duplicates_are_refused)
{
	int copy = dup(self->fd), other = eventfd(0, EFD_CLOEXEC), third = eventfd(0, EFD_CLOEXEC);

	ASSERT_EQ(0, hull_add_irqfd(self->vm, 5, self->fd, -1));
	EXPECT_ERRNO(EEXIST, hull_add_irqfd(self->vm, 5, self->fd, -1));
	EXPECT_ERRNO(EEXIST, hull_add_irqfd(self->vm, 5, copy, -1));
	EXPECT_ERRNO(EEXIST, hull_add_irqfd(self->vm, 6, self->fd, -1));
	EXPECT_ERRNO(EEXIST, hull_add_irqfd(self->vm, 6, self->fd, other));
	/* A second one on the number, and one that resamples there. */
	EXPECT_EQ(0, hull_add_irqfd(self->vm, 5, other, -1));
	EXPECT_EQ(0, hull_add_irqfd(self->vm, 5, third, self->fd));
	EXPECT_EQ(0, hull_remove_irqfd(self->vm, 5, copy, -1));
	EXPECT_EQ(0, hull_add_irqfd(self->vm, 6, self->fd, -1));
}

TEST_F(irqfd, remove_wants_the_same)
{
	int other = eventfd(0, EFD_CLOEXEC), third = eventfd(0, EFD_CLOEXEC);

	EXPECT_ERRNO(ENOENT, hull_remove_irqfd(self->vm, 5, self->fd, -1));
	ASSERT_EQ(0, hull_add_irqfd(self->vm, 5, self->fd, other));
	EXPECT_ERRNO(ENOENT, hull_remove_irqfd(self->vm, 6, self->fd, other));
	EXPECT_ERRNO(ENOENT, hull_remove_irqfd(self->vm, 5, other, other));
	EXPECT_ERRNO(ENOENT, hull_remove_irqfd(self->vm, 5, self->fd, -1));
	EXPECT_ERRNO(ENOENT, hull_remove_irqfd(self->vm, 5, self->fd, third));
	EXPECT_EQ(0, hull_remove_irqfd(self->vm, 5, self->fd, other));
	EXPECT_ERRNO(ENOENT, hull_remove_irqfd(self->vm, 5, self->fd, other));
}

TEST_F(irqfd, there_is_a_limit)
{
	static int fds[HULL_MAX_IRQFDS + 1];
	struct rlimit limit = { HULL_MAX_IRQFDS + 100, HULL_MAX_IRQFDS + 100 };
	int i;

	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	for (i = 0; i <= HULL_MAX_IRQFDS; i++) {
		fds[i] = eventfd(0, EFD_CLOEXEC);
		ASSERT_LE(0, fds[i]);
		if (i < HULL_MAX_IRQFDS)
			ASSERT_EQ(0, hull_add_irqfd(self->vm, i % HULL_MAX_ROUTES, fds[i], -1));
	}
	EXPECT_ERRNO(ENOSPC, hull_add_irqfd(self->vm, 5, fds[HULL_MAX_IRQFDS], -1));
	/* One that is closed makes room, one that is removed as well. */
	close(fds[77]);
	EXPECT_EQ(0, hull_add_irqfd(self->vm, 5, fds[HULL_MAX_IRQFDS], -1));
	EXPECT_ERRNO(ENOSPC, hull_add_irqfd(self->vm, 5, self->fd, -1));
	EXPECT_EQ(0, hull_remove_irqfd(self->vm, 5, fds[HULL_MAX_IRQFDS], -1));
	EXPECT_EQ(0, hull_add_irqfd(self->vm, 5, self->fd, -1));
}

/* ---- irqfds: what is signalled when --------------------------------------------------------- */

TEST_F(irqfd, signals_are_consumed)
{
	int semaphore = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
	__u64 many = 7, most = ~0ULL - 1;
	int i;

	ASSERT_EQ(0, hull_add_irqfd(self->vm, 5, self->fd, -1));
	for (i = 0; i < 1000; i++)
		ASSERT_EQ(0, signal_fd(self->fd));
	EXPECT_EQ(0, count_of(self->fd));
	/* Not even the largest count blocks the next writer. */
	for (i = 0; i < 3; i++)
		EXPECT_EQ(sizeof(most), write(self->fd, &most, sizeof(most)));
	EXPECT_EQ(0, count_of(self->fd));

	/* Of a semaphore each signal takes one. */
	ASSERT_EQ(0, hull_add_irqfd(self->vm, 6, semaphore, -1));
	EXPECT_EQ(0, signal_fd(semaphore));
	EXPECT_FALSE(is_signalled(semaphore));
	EXPECT_EQ(sizeof(many), write(semaphore, &many, sizeof(many)));
	for (i = 0; i < 6; i++)
		EXPECT_EQ(1, count_of(semaphore));
	EXPECT_EQ(0, count_of(semaphore));
}

TEST_F(irqfd, what_came_before_counts)
{
	int resample = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	ASSERT_EQ(0, signal_fd(self->fd));
	ASSERT_EQ(0, hull_add_irqfd(self->vm, 5, self->fd, resample));
	EXPECT_EQ(1 << 5, held(self->vm));
	EXPECT_EQ(0, count_of(self->fd));
}

/* A number without a route is masked: removing the route and the irqfd keep the count. */
TEST_F(irqfd, what_is_masked_waits)
{
	int resample = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	ASSERT_EQ(0, hull_set_routes(self->vm, NULL, 0));
	ASSERT_EQ(0, hull_add_irqfd(self->vm, 100, self->fd, resample));
	EXPECT_EQ(0, signal_fd(self->fd));
	EXPECT_EQ(0, signal_fd(self->fd));
	EXPECT_EQ(0, held(self->vm));
	EXPECT_TRUE(is_signalled(self->fd));
	/* A route of another number is not its. */
	ASSERT_EQ(0, set_one(self->vm, pin_route(101, 9)));
	EXPECT_EQ(0, held(self->vm));
	/* Removed and added again it still waits. */
	ASSERT_EQ(0, hull_remove_irqfd(self->vm, 100, self->fd, resample));
	EXPECT_TRUE(is_signalled(self->fd));
	ASSERT_EQ(0, hull_add_irqfd(self->vm, 100, self->fd, resample));
	ASSERT_EQ(0, set_one(self->vm, pin_route(100, 9)));
	EXPECT_EQ(1 << 9, held(self->vm));
	EXPECT_FALSE(is_signalled(self->fd));
	/* What somebody else has read is no interrupt. */
	ASSERT_EQ(0, hull_set_routes(self->vm, NULL, 0));
	EXPECT_EQ(0, held(self->vm));
	EXPECT_EQ(1, count_of(resample));
	EXPECT_EQ(0, signal_fd(self->fd));
	EXPECT_EQ(1, count_of(self->fd));
	ASSERT_EQ(0, set_one(self->vm, pin_route(100, 9)));
	EXPECT_EQ(0, held(self->vm));
}

/* A level goes where its number goes; who shares the old pin keeps it. */
TEST_F(irqfd, a_level_follows_its_route)
{
	struct hull_route routes[] = { pin_route(100, 9), pin_route(101, 9) };
	int resample[2], other = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), i;

	for (i = 0; i < 2; i++)
		resample[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ASSERT_EQ(0, hull_set_routes(self->vm, routes, 2));
	ASSERT_EQ(0, hull_add_irqfd(self->vm, 100, self->fd, resample[0]));
	ASSERT_EQ(0, hull_add_irqfd(self->vm, 101, other, resample[1]));
	EXPECT_EQ(0, signal_fd(self->fd));
	EXPECT_EQ(1 << 9, held(self->vm));
	routes[0].pin = 10;
	ASSERT_EQ(0, hull_set_routes(self->vm, routes, 2));
	EXPECT_EQ(1 << 9, held(self->vm));
	EXPECT_EQ(1, count_of(resample[0]));
	EXPECT_EQ(0, count_of(resample[1]));
	EXPECT_EQ(0, signal_fd(self->fd));
	EXPECT_EQ(1 << 9 | 1 << 10, held(self->vm));
	/* The same table again changes nothing. */
	ASSERT_EQ(0, hull_set_routes(self->vm, routes, 2));
	EXPECT_EQ(0, count_of(resample[0]));
	EXPECT_EQ(1 << 9 | 1 << 10, held(self->vm));
	/* As a message it holds nothing. */
	routes[0] = msi_route(100, MSI, 0x41);
	ASSERT_EQ(0, hull_set_routes(self->vm, routes, 2));
	EXPECT_EQ(1 << 9, held(self->vm));
	EXPECT_EQ(1, count_of(resample[0]));
	EXPECT_EQ(0, signal_fd(self->fd));
	EXPECT_EQ(1 << 9, held(self->vm));
	/* The last one takes its line along. */
	ASSERT_EQ(0, hull_remove_irqfd(self->vm, 101, other, resample[1]));
	EXPECT_EQ(0, held(self->vm));
}

/* ---- irqfds: eventfds that are closed ------------------------------------------------------- */

TEST_F(irqfd, closing_ends_an_irqfd)
{
	int resample = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int other = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), copy = dup(self->fd), fd;

	ASSERT_EQ(0, hull_add_irqfd(self->vm, 5, self->fd, resample));
	ASSERT_EQ(0, hull_add_irqfd(self->vm, 5, other, resample));
	close(self->fd);
	/* Another fd of it is open. */
	EXPECT_EQ(0, signal_fd(copy));
	EXPECT_EQ(1 << 5, held(self->vm));
	close(copy);
	/* The other one may be who holds the line. */
	EXPECT_EQ(1 << 5, held(self->vm));
	close(other);
	EXPECT_EQ(0, held(self->vm));
	EXPECT_FALSE(is_signalled(resample));
	/* A new eventfd, likely at the old one's place in memory, is another. */
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	EXPECT_ERRNO(ENOENT, hull_remove_irqfd(self->vm, 5, fd, resample));
	EXPECT_EQ(0, hull_add_irqfd(self->vm, 5, fd, resample));
	/* The resample eventfd may go before. */
	close(resample);
	EXPECT_EQ(0, signal_fd(fd));
	EXPECT_EQ(1 << 5, held(self->vm));
	close(fd);
	EXPECT_EQ(0, held(self->vm));
}

TEST_F(irqfd, the_vm_may_go_first)
{
	struct guest *guest = &self->guest;
	int resample = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	ASSERT_EQ(0, hull_add_irqfd(self->vm, 5, self->fd, resample));
	EXPECT_EQ(0, signal_fd(self->fd));
	guest_destroy(guest);
	/* An ordinary eventfd again. */
	EXPECT_EQ(0, signal_fd(self->fd));
	EXPECT_EQ(1, count_of(self->fd));
	EXPECT_EQ(0, count_of(resample));
	ASSERT_EQ(0, guest_create(guest, HULL_VM_IRQCHIP, GUEST_SIZE));
	EXPECT_EQ(0, hull_add_irqfd(guest->vm, 5, self->fd, resample));
}

/* Two VMs may have one eventfd: both are interrupted. */
TEST_F(irqfd, vms_may_share_an_eventfd)
{
	int resample = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct guest other;

	ASSERT_EQ(0, guest_create(&other, HULL_VM_IRQCHIP, GUEST_SIZE));
	ASSERT_EQ(0, hull_add_irqfd(self->vm, 5, self->fd, resample));
	ASSERT_EQ(0, hull_add_irqfd(other.vm, 6, self->fd, resample));
	EXPECT_EQ(0, signal_fd(self->fd));
	EXPECT_EQ(1 << 5, held(self->vm));
	EXPECT_EQ(1 << 6, held(other.vm));
	guest_destroy(&other);
	EXPECT_EQ(0, signal_fd(self->fd));
	EXPECT_EQ(0, count_of(self->fd));
}

/* An irqfd may be another's resample eventfd, and a doorbell's eventfd an irqfd. */
TEST_F(irqfd, eventfds_may_be_chained)
{
	int other = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct hull_range bell = { .delivery = HULL_DELIVER_DOORBELL, .start = 0x500, .length = 4,
				   .consumer = -1, .eventfd = self->fd };

	ASSERT_EQ(0, hull_add_irqfd(self->vm, 5, self->fd, other));
	ASSERT_EQ(0, hull_add_irqfd(self->vm, 6, other, self->fd));
	ASSERT_EQ(0, hull_add_range(self->vm, &bell));
	EXPECT_EQ(0, signal_fd(self->fd));
	EXPECT_EQ(1 << 5, held(self->vm));
	/* The number 5 has lost its pin: 5 resamples, which is 6's signal. */
	ASSERT_EQ(0, set_one(self->vm, pin_route(6, 6)));
	EXPECT_EQ(1 << 6, held(self->vm));
}

TEST_F(irqfd, another_process_may_signal_but_not_add)
{
	int resample = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), status;
	pid_t pid;

	ASSERT_EQ(0, hull_add_irqfd(self->vm, 5, self->fd, resample));
	pid = fork();
	if (!pid) {
		errno = 0;
		if (hull_add_irqfd(self->vm, 5, resample, -1) != -1 || errno != EIO)
			_exit(1);
		if (hull_set_routes(self->vm, NULL, 0) != -1 || errno != EIO)
			_exit(2);
		if (hull_remove_irqfd(self->vm, 5, self->fd, resample) != -1 || errno != EIO)
			_exit(3);
		_exit(signal_fd(self->fd) ? 4 : 0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	/* The child's end has closed only its copies. */
	EXPECT_EQ(1 << 5, held(self->vm));
	EXPECT_EQ(0, hull_remove_irqfd(self->vm, 5, self->fd, resample));
}

/* ---- who a message is for ------------------------------------------------------------------- */

/* APIC ids there are not, vCPUs whose fd is closed or that never ran, vectors that are none. */
TEST_F(irqfd, messages_to_nobody_do_no_harm)
{
	static const __u32 ids[] = { 0, 1, 2, 15, 16, 0x7f, 0xfe, 0xff };
	static const __u32 data[] = { 0x41, 0, 15, 0x141, 0x241, 0x400, 0x500, 0x641, 0x741,
				      0xc041, 0x8041, ~0U };
	size_t i, j;
	int fd;

	fd = hull_create_vcpu(self->vm, 2);
	ASSERT_LE(0, fd);
	close(fd);
	ASSERT_EQ(0, hull_add_irqfd(self->vm, 1000, self->fd, -1));
	for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		for (j = 0; j < sizeof(data) / sizeof(data[0]); j++) {
			__u64 to = MSI | ids[i] << 12;

			ASSERT_EQ(0, set_one(self->vm, msi_route(1000, to, data[j])));
			EXPECT_EQ(0, signal_fd(self->fd));
			/* Logical, to one of several */
			ASSERT_EQ(0, set_one(self->vm, msi_route(1000, to | 0xc, data[j])));
			EXPECT_EQ(0, signal_fd(self->fd));
			EXPECT_EQ(0, count_of(self->fd));
		}
	}
}

/* The vCPU fd of the only vCPU is closed while its interrupt waits, then the VM. */
TEST_F(irqfd, messages_to_a_closed_vcpu)
{
	struct guest *guest = &self->guest;
	struct hull_vcpu_state *state = calloc(1, sizeof(*state));

	ASSERT_EQ(0, hull_get_state(guest->cpu[0].fd, HULL_GROUP_APIC, state));
	state->apic.regs[0xf1] = 1;	/* enabled by software */
	ASSERT_EQ(0, hull_set_state(guest->cpu[0].fd, HULL_GROUP_APIC, state));
	ASSERT_EQ(0, set_one(self->vm, msi_route(1000, MSI, 0x41)));
	ASSERT_EQ(0, hull_add_irqfd(self->vm, 1000, self->fd, -1));
	EXPECT_EQ(0, signal_fd(self->fd));
	ASSERT_EQ(0, hull_get_state(guest->cpu[0].fd, HULL_GROUP_APIC, state));
	EXPECT_EQ(1 << 1, state->apic.regs[0x220]);
	hull_unmap_run(guest->cpu[0].run, guest->cpu[0].own.channel);
	close(guest->cpu[0].fd);
	guest->cpu[0].fd = -1;
	EXPECT_EQ(0, signal_fd(self->fd));
	EXPECT_EQ(0, count_of(self->fd));
	free(state);
}

/* An APIC that is disabled takes nothing, and has nothing when it is enabled. */
TEST_F(irqfd, messages_to_a_disabled_apic)
{
	struct hull_vcpu_state *state = calloc(1, sizeof(*state));
	int fd = self->guest.cpu[0].fd;
	size_t i;

	ASSERT_EQ(0, set_one(self->vm, msi_route(1000, MSI, 0x41)));
	ASSERT_EQ(0, hull_add_irqfd(self->vm, 1000, self->fd, -1));
	EXPECT_EQ(0, signal_fd(self->fd));
	EXPECT_EQ(0, count_of(self->fd));
	ASSERT_EQ(0, hull_get_state(fd, HULL_GROUP_APIC | HULL_GROUP_CONTROL, state));
	for (i = 0x200; i < 0x280; i++)
		EXPECT_EQ(0, state->apic.regs[i]);
	state->control.apic_base &= ~(1ULL << 11);
	ASSERT_EQ(0, hull_set_state(fd, HULL_GROUP_CONTROL, state));
	EXPECT_EQ(0, signal_fd(self->fd));
	EXPECT_EQ(0, count_of(self->fd));
	free(state);
}

/* ---- state ---------------------------------------------------------------------------------- */

TEST_F(irqfd, lines_are_state)
{
	static struct hull_vm_state state, again;
	const __u64 groups = HULL_VM_GROUP_IOAPIC | HULL_VM_GROUP_LINES;
	int resample = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	ASSERT_EQ(0, hull_add_irqfd(self->vm, 9, self->fd, resample));
	EXPECT_EQ(0, signal_fd(self->fd));
	EXPECT_EQ(0, hull_set_irq(self->vm, 10, 1));
	ASSERT_EQ(0, hull_vm_get_state(self->vm, groups, &state));
	EXPECT_EQ(1 << 9, state.lines.irqfds);
	EXPECT_EQ(1 << 10, state.lines.launcher);
	EXPECT_EQ(1 << 9 | 1 << 10, state.ioapic.lines);
	EXPECT_EQ(0, hull_set_irq(self->vm, 10, 0));
	ASSERT_EQ(0, hull_remove_irqfd(self->vm, 9, self->fd, resample));
	EXPECT_EQ(0, held(self->vm));
	ASSERT_EQ(0, hull_vm_set_state(self->vm, groups, &state));
	ASSERT_EQ(0, hull_vm_get_state(self->vm, groups, &again));
	EXPECT_EQ(0, memcmp(&state.lines, &again.lines, sizeof(state.lines)));
	EXPECT_EQ(0, memcmp(&state.ioapic, &again.ioapic, sizeof(state.ioapic)));
	state.lines.irqfds = 1U << HULL_IOAPIC_PINS;
	EXPECT_ERRNO(EINVAL, hull_vm_set_state(self->vm, groups, &state));
	state.lines.irqfds = 0;
	state.lines.launcher = 1U << 31;
	EXPECT_ERRNO(EINVAL, hull_vm_set_state(self->vm, HULL_VM_GROUP_LINES, &state));
}

/* Who does not ask for the lines has a structure without them. */
TEST_F(irqfd, lines_are_behind_the_old_state)
{
	const size_t old = offsetof(struct hull_vm_state, lines);
	char *page = mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	struct hull_vm_state *state = (void *)(page + 4096 - old);

	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ(0, munmap(page + 4096, 4096));
	EXPECT_EQ(0, hull_vm_get_state(self->vm, HULL_VM_GROUP_IOAPIC, state));
	EXPECT_EQ(0, hull_vm_set_state(self->vm, HULL_VM_GROUP_IOAPIC, state));
	EXPECT_ERRNO(EFAULT, hull_vm_get_state(self->vm, HULL_VM_GROUP_LINES, state));
	EXPECT_ERRNO(EFAULT, hull_vm_set_state(self->vm, HULL_VM_GROUP_LINES, state));
}

HULL_TEST_MAIN
