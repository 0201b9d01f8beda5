// SPDX-License-Identifier: GPL-2.0
/*
 * Irqfds as a guest sees them: messages, edges and levels with resample, exact counts; vCPUs that
 * sleep; routes that change meanwhile; doorbells that are irqfds. Last, threads that add, remove,
 * signal, close and route at random for HULL_SECONDS (default 4; HULL_LONG=1: 60).
 *
 * The guest sleeps; its handlers count, acknowledge and return (TRAP_COUNT_IRQS).
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"
#include "harness.h"
#include "trap.h"

#define MSI		0xfee00000ULL
#define LEVEL		(1ULL << 15)
#define ROUNDS		(getenv("HULL_LONG") ? 5000 : 500)
#define DEV		0x500
#define MMIO		0x10000000

#define SETUP	"mov $0xfee00000, %r15d\n movl $0x1ff, 0xf0(%r15)\n"

/* To be told that it is set up; then it sleeps, but for its handlers. */
GUEST(idle, 64, SETUP "mov $1, %al\n out %al, $0xe8\n 1: sti\n hlt\n jmp 1b\n");

FIXTURE(irqfd) {
	struct guest guest;
	pthread_t thread;
	bool running;
	int vm;
	int fd;
};

FIXTURE_SETUP(irqfd)
{
	struct guest *guest = &self->guest;

	ASSERT_EQ(0, guest_create(guest, HULL_VM_IRQCHIP, GUEST_SIZE)) {
		TH_LOG("cannot create a VM: %s", strerror(errno));
	}
	self->vm = guest->vm;
	self->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(idle)));
	ASSERT_EQ(0, trap_install(guest, 0, GUEST_LONG, TRAP_COUNT_IRQS));
	ASSERT_EQ(0, guest_expect_write(guest, 0, HULL_SPACE_PORT, 0xe8, 1, 1));
}

/* ---- a vCPU in a thread --------------------------------------------------------------------- */

static void ignore(int sig)
{
}

/* NULL: nothing but EINTR came, and requests, which are answered. */
static void *run_cpu(void *arg)
{
	struct guest_cpu *cpu = arg;
	struct hull_posted posted;

	while (!__atomic_load_n(&cpu->run->stop, __ATOMIC_RELAXED)) {
		if (hull_run(cpu->fd)) {
			if (errno != EINTR)
				return "HULL_RUN failed";
			continue;
		}
		if (cpu->run->exit != HULL_EXIT_REQUEST)
			return "the guest has ended";
		if (hull_next(&cpu->own, &posted) == HULL_WORK_REQUEST)
			hull_answer(&cpu->own, 0);
	}
	return NULL;
}

static int start_cpu(struct guest *guest, unsigned int id, pthread_t *thread)
{
	const struct sigaction action = { .sa_handler = ignore };

	sigaction(SIGUSR1, &action, NULL);
	guest->cpu[id].run->stop = 0;
	return pthread_create(thread, NULL, run_cpu, &guest->cpu[id]);
}

static const char *stop_cpu(struct guest *guest, unsigned int id, pthread_t thread)
{
	void *problem;

	__atomic_store_n(&guest->cpu[id].run->stop, 1, __ATOMIC_SEQ_CST);
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, &problem);
	return problem;
}

FIXTURE_TEARDOWN(irqfd)
{
	const char *problem;

	if (self->running) {
		problem = stop_cpu(&self->guest, 0, self->thread);
		EXPECT_EQ(NULL, problem) {
			TH_LOG("%s", problem);
		}
	}
	EXPECT_EQ(0, hull_vm_check(self->guest.vm));
	guest_destroy(&self->guest);
}

#define RUN() do {								\
	ASSERT_EQ(0, start_cpu(&self->guest, 0, &self->thread));		\
	self->running = true;							\
} while (0)

/* ---- what tests do -------------------------------------------------------------------------- */

static __u32 counter(struct guest *guest, unsigned int vector)
{
	return __atomic_load_n((__u32 *)(guest->memory + TRAP_COUNTER_GPA(vector)),
			       __ATOMIC_SEQ_CST);
}

static __u64 now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ULL + now.tv_nsec / 1000000;
}

/* Is the counter @count, within ten seconds? */
static bool reaches(struct guest *guest, unsigned int vector, __u32 count)
{
	__u64 end = now_ms() + 10000 * time_scale();

	while (counter(guest, vector) != count) {
		if (now_ms() > end) {
			printf("# vector %#x: %u instead of %u\n", vector, counter(guest, vector),
			       count);
			return false;
		}
		usleep(20);
	}
	return true;
}

/* Nothing comes for a while. */
static bool stays(struct guest *guest, unsigned int vector, __u32 count)
{
	usleep(20000);
	return counter(guest, vector) == count;
}

static int signal_fd(int fd)
{
	const __u64 one = 1;

	return write(fd, &one, sizeof(one)) == sizeof(one) ? 0 : -1;
}

/* Within ten seconds; what is in it is taken. */
static __u64 await_fd(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	__u64 count = 0;

	if (poll(&pollfd, 1, 10000 * time_scale()) != 1 ||
	    read(fd, &count, sizeof(count)) != sizeof(count))
		return 0;
	return count;
}

static bool is_signalled(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	return poll(&pollfd, 1, 0) == 1;
}

static int set_redirection(int vm, unsigned int pin, __u64 entry)
{
	static struct hull_vm_state state;

	if (hull_vm_get_state(vm, HULL_VM_GROUP_IOAPIC, &state))
		return -1;
	state.ioapic.redirection[pin] = entry;
	return hull_vm_set_state(vm, HULL_VM_GROUP_IOAPIC, &state);
}

static struct hull_route msi_route(__u32 gsi, __u32 vector)
{
	return (struct hull_route) {
		.gsi = gsi, .kind = HULL_ROUTE_MSI, .address = MSI, .data = vector,
	};
}

static int add_message(int vm, __u32 gsi, __u32 vector, int fd)
{
	struct hull_route route = msi_route(gsi, vector);

	return hull_set_routes(vm, &route, 1) || hull_add_irqfd(vm, gsi, fd, -1);
}

/* ---- edges ---------------------------------------------------------------------------------- */

TEST_F_TIMEOUT(irqfd, messages_are_counted_exactly, 120)
{
	struct hull_route routes[8];
	int fds[8], i, n;

	for (i = 0; i < 8; i++) {
		routes[i] = msi_route(1023 - i, 0x40 + 0x11 * i);
		fds[i] = eventfd(0, EFD_CLOEXEC);
		ASSERT_EQ(0, hull_add_irqfd(self->vm, 1023 - i, fds[i], -1));
	}
	ASSERT_EQ(0, hull_set_routes(self->vm, routes, 8));
	RUN();
	for (n = 1; n <= ROUNDS / 8; n++) {
		for (i = 0; i < 8; i++)
			ASSERT_EQ(0, signal_fd(fds[i]));
		for (i = 0; i < 8; i++)
			ASSERT_TRUE(reaches(&self->guest, 0x40 + 0x11 * i, n));
	}
	/* Removed, they are silent, and the others are not. */
	ASSERT_EQ(0, hull_remove_irqfd(self->vm, 1023, fds[0], -1));
	EXPECT_EQ(0, signal_fd(fds[0]));
	EXPECT_EQ(0, signal_fd(fds[1]));
	EXPECT_TRUE(reaches(&self->guest, 0x51, n));
	EXPECT_TRUE(stays(&self->guest, 0x40, n - 1));
}

TEST_F_TIMEOUT(irqfd, edges_of_a_pin_are_counted_exactly, 120)
{
	int other = eventfd(0, EFD_CLOEXEC), n;

	ASSERT_EQ(0, set_redirection(self->vm, 5, 0x51));
	ASSERT_EQ(0, hull_add_irqfd(self->vm, 5, self->fd, -1));
	ASSERT_EQ(0, hull_add_irqfd(self->vm, 5, other, -1));
	RUN();
	for (n = 1; n <= ROUNDS; n++) {
		ASSERT_EQ(0, signal_fd(n & 1 ? self->fd : other));
		ASSERT_TRUE(reaches(&self->guest, 0x51, n));
	}
	/* The launcher holds the line up: there is no edge. */
	ASSERT_EQ(0, hull_set_irq(self->vm, 5, 1));
	EXPECT_TRUE(reaches(&self->guest, 0x51, n));
	EXPECT_EQ(0, signal_fd(self->fd));
	EXPECT_TRUE(stays(&self->guest, 0x51, n));
	ASSERT_EQ(0, hull_set_irq(self->vm, 5, 0));
	EXPECT_EQ(0, signal_fd(self->fd));
	EXPECT_TRUE(reaches(&self->guest, 0x51, n + 1));
}

/* Asleep for long: each signal alone wakes it. */
TEST_F_TIMEOUT(irqfd, a_halted_vcpu_is_woken, 60)
{
	int n;

	ASSERT_EQ(0, add_message(self->vm, 77, 0x50, self->fd));
	RUN();
	for (n = 1; n <= 10; n++) {
		usleep(30000);
		ASSERT_EQ(0, signal_fd(self->fd));
		ASSERT_TRUE(reaches(&self->guest, 0x50, n));
	}
}

/* Signalled while nobody runs the vCPU: not lost. */
TEST_F(irqfd, a_vcpu_that_is_not_run_gets_it_later)
{
	ASSERT_EQ(0, add_message(self->vm, 77, 0x50, self->fd));
	EXPECT_EQ(0, signal_fd(self->fd));
	EXPECT_EQ(0, signal_fd(self->fd));
	EXPECT_FALSE(is_signalled(self->fd));
	EXPECT_EQ(0, counter(&self->guest, 0x50));
	RUN();
	EXPECT_TRUE(reaches(&self->guest, 0x50, 1));
	EXPECT_TRUE(stays(&self->guest, 0x50, 1));
}

/* ---- levels --------------------------------------------------------------------------------- */

TEST_F_TIMEOUT(irqfd, levels_are_counted_exactly, 120)
{
	int resample = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), n;

	ASSERT_EQ(0, set_redirection(self->vm, 10, LEVEL | 0x5a));
	ASSERT_EQ(0, hull_add_irqfd(self->vm, 10, self->fd, resample));
	RUN();
	for (n = 1; n <= ROUNDS; n++) {
		ASSERT_EQ(0, signal_fd(self->fd));
		ASSERT_EQ(1, await_fd(resample));
		ASSERT_TRUE(reaches(&self->guest, 0x5a, n));
	}
	EXPECT_TRUE(stays(&self->guest, 0x5a, n - 1));
	EXPECT_FALSE(is_signalled(resample));
}

/* Two devices on a line, each with work for a while: both are asked after each interrupt. */
TEST_F_TIMEOUT(irqfd, two_share_a_level, 120)
{
	int fds[2], resample[2], work[2], i;
	__u32 seen;

	ASSERT_EQ(0, set_redirection(self->vm, 10, LEVEL | 0x5a));
	for (i = 0; i < 2; i++) {
		fds[i] = eventfd(0, EFD_CLOEXEC);
		resample[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		work[i] = i ? ROUNDS / 8 : ROUNDS / 4;
		ASSERT_EQ(0, hull_add_irqfd(self->vm, 10, fds[i], resample[i]));
	}
	RUN();
	EXPECT_EQ(0, signal_fd(fds[0]));
	EXPECT_EQ(0, signal_fd(fds[1]));
	while (work[0] > 0 || work[1] > 0) {
		for (i = 0; i < 2; i++) {
			ASSERT_NE(0, await_fd(resample[i])) {
				TH_LOG("device %d with work %d, %d", i, work[0], work[1]);
			}
		}
		for (i = 0; i < 2; i++) {
			if (--work[i] > 0)
				EXPECT_EQ(0, signal_fd(fds[i]));
		}
	}
	/* At least as many as the busier one wanted, and no end of them without a device. */
	usleep(20000);
	seen = counter(&self->guest, 0x5a);
	EXPECT_LE(ROUNDS / 4, seen);
	EXPECT_TRUE(stays(&self->guest, 0x5a, seen));
}

/* With the launcher's level the guest is interrupted again and again, without the irqfd's once. */
TEST_F_TIMEOUT(irqfd, a_level_is_shared_with_the_launcher, 60)
{
	int resample = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	__u32 seen;

	ASSERT_EQ(0, set_redirection(self->vm, 10, LEVEL | 0x5a));
	ASSERT_EQ(0, hull_add_irqfd(self->vm, 10, self->fd, resample));
	ASSERT_EQ(0, hull_set_irq(self->vm, 10, 1));
	EXPECT_EQ(0, signal_fd(self->fd));
	RUN();
	EXPECT_EQ(1, await_fd(resample));
	while (counter(&self->guest, 0x5a) < 10)
		usleep(1000);
	ASSERT_EQ(0, hull_set_irq(self->vm, 10, 0));
	usleep(20000);
	seen = counter(&self->guest, 0x5a);
	EXPECT_TRUE(stays(&self->guest, 0x5a, seen));
	EXPECT_FALSE(is_signalled(resample));
}

/* The device goes while its level waits for a guest that has masked the pin. */
TEST_F(irqfd, a_closed_device_leaves_no_level)
{
	int resample = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	ASSERT_EQ(0, set_redirection(self->vm, 10, LEVEL | 1 << 16 | 0x5a));
	ASSERT_EQ(0, hull_add_irqfd(self->vm, 10, self->fd, resample));
	EXPECT_EQ(0, signal_fd(self->fd));
	close(self->fd);
	ASSERT_EQ(0, set_redirection(self->vm, 10, LEVEL | 0x5a));
	RUN();
	EXPECT_TRUE(stays(&self->guest, 0x5a, 0));
}

/* ---- routes --------------------------------------------------------------------------------- */

struct router {
	int vm;
	bool stop;
	int failed;
	unsigned int rounds;
};

static void *move_routes(void *arg)
{
	struct router *router = arg;
	struct hull_route route;

	while (!__atomic_load_n(&router->stop, __ATOMIC_RELAXED)) {
		unsigned int n = router->rounds++ % 3;

		/* One vector, another, none. */
		route = msi_route(200, 0x60 + n);
		if (hull_set_routes(router->vm, &route, n < 2))
			router->failed = errno;
	}
	return NULL;
}

/* Whatever the route is at the moment: each signal is one interrupt, by the one or the other. */
TEST_F_TIMEOUT(irqfd, no_signal_is_lost_while_routes_change, 120)
{
	struct router router = { .vm = self->vm };
	struct guest *guest = &self->guest;
	pthread_t thread;
	__u64 end;
	__u32 n;

	ASSERT_EQ(0, hull_add_irqfd(self->vm, 200, self->fd, -1));
	RUN();
	ASSERT_EQ(0, pthread_create(&thread, NULL, move_routes, &router));
	for (n = 1; n <= ROUNDS; n++) {
		ASSERT_EQ(0, signal_fd(self->fd));
		end = now_ms() + 10000 * time_scale();
		while (counter(guest, 0x60) + counter(guest, 0x61) != n && now_ms() < end)
			usleep(20);
		ASSERT_EQ(n, counter(guest, 0x60) + counter(guest, 0x61));
	}
	__atomic_store_n(&router.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, router.failed);
	EXPECT_LT(3, router.rounds);
	EXPECT_EQ(0, counter(guest, 0x62));
}

/* ---- storms --------------------------------------------------------------------------------- */

struct storm {
	int fd;
	unsigned int signals;
	int failed;
};

static void *signal_often(void *arg)
{
	struct storm *storm = arg;
	unsigned int i;

	for (i = 0; i < storm->signals; i++)
		storm->failed |= signal_fd(storm->fd);
	return NULL;
}

/* Signals merge when they come faster than the guest takes them, but the last one counts. */
TEST_F_TIMEOUT(irqfd, a_storm_passes, 120)
{
	struct storm storms[2] = { { .signals = 20 * ROUNDS }, { .signals = 20 * ROUNDS } };
	pthread_t threads[2];
	int resample = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), i;
	__u32 seen;

	ASSERT_EQ(0, set_redirection(self->vm, 10, LEVEL | 0x5a));
	ASSERT_EQ(0, set_redirection(self->vm, 5, 0x51));
	storms[0].fd = self->fd;
	storms[1].fd = eventfd(0, EFD_CLOEXEC);
	ASSERT_EQ(0, hull_add_irqfd(self->vm, 5, storms[0].fd, -1));
	ASSERT_EQ(0, hull_add_irqfd(self->vm, 10, storms[1].fd, resample));
	RUN();
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, signal_often, &storms[i]));
	for (i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ(0, storms[i].failed);
	}
	usleep(20000);
	for (i = 0; i < 2; i++) {
		seen = counter(&self->guest, i ? 0x5a : 0x51);
		EXPECT_LT(0, seen);
		EXPECT_GE(20 * ROUNDS, seen);
		EXPECT_EQ(0, signal_fd(storms[i].fd));
		EXPECT_TRUE(reaches(&self->guest, i ? 0x5a : 0x51, seen + 1));
	}
}

/* ---- doorbells that are irqfds -------------------------------------------------------------- */

#define AWAIT(vector, count) \
	"1: cli\n cmpl $" #count ", 0x2a000 + 4 * " #vector "\n jae 2f\n sti\n hlt\n jmp 1b\n 2: sti\n"

GUEST(ringer, 64, SETUP "mov $0x500, %edx\n out %al, %dx\n" AWAIT(0x50, 1)
      "mov $0x10000000, %ebx\n movw $3, (%rbx)\n" AWAIT(0x51, 1)
      "movl $3, 4(%rbx)\n" AWAIT(0x51, 2)
      "mov $2, %al\n out %al, $0xe8\n hlt\n");

/* What the guest writes interrupts it: by port, and by a virtio device's notify address. */
TEST_F(irqfd, a_guest_interrupts_itself)
{
	struct hull_range port = { .space = HULL_SPACE_PORT, .delivery = HULL_DELIVER_DOORBELL,
				   .start = DEV, .length = 1, .consumer = -1, .eventfd = self->fd };
	struct hull_range memory = port;
	struct hull_route routes[] = { msi_route(1, 0x50), msi_route(2, 0x51) };
	struct guest *guest = &self->guest;
	struct hull_stats stats;

	memory.space = HULL_SPACE_MEMORY;
	memory.start = MMIO;
	memory.length = 8;
	memory.eventfd = eventfd(0, EFD_CLOEXEC);
	ASSERT_EQ(0, hull_set_routes(self->vm, routes, 2));
	ASSERT_EQ(0, hull_add_irqfd(self->vm, 1, port.eventfd, -1));
	ASSERT_EQ(0, hull_add_irqfd(self->vm, 2, memory.eventfd, -1));
	ASSERT_EQ(0, hull_add_range(self->vm, &port));
	ASSERT_EQ(0, hull_add_range(self->vm, &memory));
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(ringer)));
	ASSERT_EQ(0, trap_install(guest, 0, GUEST_LONG, TRAP_COUNT_IRQS));
	EXPECT_EQ(0, guest_expect_write(guest, 0, HULL_SPACE_PORT, 0xe8, 1, 2));
	EXPECT_EQ(1, counter(guest, 0x50));
	EXPECT_EQ(2, counter(guest, 0x51));
	ASSERT_EQ(0, hull_get_stats(guest->cpu[0].fd, &stats));
	EXPECT_EQ(3, stats.value[HULL_STAT_DOORBELL]);
}

/* ---- abuse ---------------------------------------------------------------------------------- */

#define FDS		24
#define NUMBERS		40

/**
 * struct abuse - what the threads share
 * @vm: VM fd
 * @dev: /dev/hull
 * @fds: eventfds, which anybody may close and replace
 * @stop: to be ended
 * @done: operations, by thread
 * @bad: an errno that no operation may give
 */
struct abuse {
	int vm;
	int dev;
	int fds[FDS];
	bool stop;
	unsigned long done[8];
	int bad;
};

static struct abuse abuse;

static int some_fd(unsigned int *seed)
{
	return __atomic_load_n(&abuse.fds[rand_r(seed) % FDS], __ATOMIC_RELAXED);
}

static void check_errno(int ret, int a, int b, int c, int d)
{
	int error = errno;

	if (ret && error != a && error != b && error != c && error != d)
		__atomic_store_n(&abuse.bad, error, __ATOMIC_RELAXED);
}

static void add_or_remove(int vm, unsigned int *seed)
{
	int fd = some_fd(seed), resample = rand_r(seed) & 1 ? some_fd(seed) : -1;
	__u32 gsi = rand_r(seed) % NUMBERS;

	if (rand_r(seed) % 3)
		check_errno(hull_add_irqfd(vm, gsi, fd, resample), EEXIST, EBADF, EINVAL, ENOSPC);
	else
		check_errno(hull_remove_irqfd(vm, gsi, fd, resample), ENOENT, EBADF, EINVAL, 0);
}

static void *do_irqfds(void *arg)
{
	unsigned int seed = 1;

	while (!__atomic_load_n(&abuse.stop, __ATOMIC_RELAXED)) {
		add_or_remove(abuse.vm, &seed);
		abuse.done[0]++;
	}
	return NULL;
}

static void *do_routes(void *arg)
{
	struct hull_route routes[NUMBERS];
	unsigned int seed = 2, count, i;

	while (!__atomic_load_n(&abuse.stop, __ATOMIC_RELAXED)) {
		for (i = count = 0; i < NUMBERS; i++) {
			if (rand_r(&seed) % 4 == 0)
				continue;
			routes[count] = msi_route(i, 0x40 + rand_r(&seed) % 0x30);
			/* vCPUs 0 and 1, which there are, and one which there is not. */
			routes[count].address |= (rand_r(&seed) % 3) << 12;
			if (rand_r(&seed) & 1)
				routes[count] = (struct hull_route) {
					.gsi = i, .kind = HULL_ROUTE_PIN,
					.pin = rand_r(&seed) % HULL_IOAPIC_PINS,
				};
			count++;
		}
		check_errno(hull_set_routes(abuse.vm, routes, count), 0, 0, 0, 0);
		abuse.done[1]++;
	}
	return NULL;
}

static void *do_signals(void *arg)
{
	unsigned int seed = 3;
	__u64 value;

	while (!__atomic_load_n(&abuse.stop, __ATOMIC_RELAXED)) {
		value = rand_r(&seed) % 16 ? 1 : ~0ULL - 1;
		/* EINVAL: the number has become a VM's. */
		check_errno(write(some_fd(&seed), &value, sizeof(value)) < 0, EAGAIN, EBADF,
			    EINVAL, 0);
		if (rand_r(&seed) % 8 == 0)
			check_errno(read(some_fd(&seed), &value, sizeof(value)) < 0, EAGAIN, EBADF,
				    EINVAL, 0);
		abuse.done[2]++;
	}
	return NULL;
}

/* The number of a closed fd is taken by the next eventfd at once, or by the other VM. */
static void *do_closing(void *arg)
{
	unsigned int seed = 4;

	while (!__atomic_load_n(&abuse.stop, __ATOMIC_RELAXED)) {
		int *at = &abuse.fds[rand_r(&seed) % FDS];
		int fd = eventfd(rand_r(&seed) & 1, EFD_CLOEXEC | EFD_NONBLOCK |
				 (rand_r(&seed) % 4 ? 0 : EFD_SEMAPHORE));

		close(__atomic_exchange_n(at, fd, __ATOMIC_SEQ_CST));
		abuse.done[3]++;
		if (rand_r(&seed) % 4 == 0)
			usleep(200);
	}
	return NULL;
}

/* VMs that come with irqfds on the same eventfds, and go. */
static void *do_vms(void *arg)
{
	const struct hull_create_vm args = { .flags = HULL_VM_IRQCHIP };
	unsigned int seed = 5;
	int vm, i;

	while (!__atomic_load_n(&abuse.stop, __ATOMIC_RELAXED)) {
		vm = hull_create_vm(abuse.dev, &args);
		if (vm < 0) {
			check_errno(-1, 0, 0, 0, 0);
			break;
		}
		for (i = 0; i < 20; i++)
			add_or_remove(vm, &seed);
		close(vm);
		abuse.done[4]++;
	}
	return NULL;
}

/* The launcher's own levels, its messages, and looks at the state. */
static void *do_lines(void *arg)
{
	static struct hull_vm_state state;
	const __u64 groups = HULL_VM_GROUP_IOAPIC | HULL_VM_GROUP_LINES;
	unsigned int seed = 6;

	check_errno(hull_vm_get_state(abuse.vm, groups, &state), 0, 0, 0, 0);
	while (!__atomic_load_n(&abuse.stop, __ATOMIC_RELAXED)) {
		check_errno(hull_set_irq(abuse.vm, rand_r(&seed) % HULL_IOAPIC_PINS,
					 rand_r(&seed) % 4 == 0), 0, 0, 0, 0);
		check_errno(hull_send_msi(abuse.vm, MSI, 0x40 + rand_r(&seed) % 0x30), 0, 0, 0, 0);
		if (rand_r(&seed) % 16 == 0)
			check_errno(hull_vm_get_state(abuse.vm, groups, &state), 0, 0, 0, 0);
		if (rand_r(&seed) % 64 == 0)
			check_errno(hull_vm_set_state(abuse.vm, groups, &state), 0, 0, 0, 0);
		abuse.done[5]++;
	}
	return NULL;
}

static void *(*const abusers[])(void *) = {
	do_irqfds, do_routes, do_signals, do_closing, do_vms, do_lines,
};

#define ABUSERS	(sizeof(abusers) / sizeof(abusers[0]))

static unsigned int abuse_seconds(void)
{
	const char *seconds = getenv("HULL_SECONDS");

	if (seconds)
		return atoi(seconds);
	return getenv("HULL_LONG") ? 60 : 4;
}

/* Pins of all kinds: edges, levels, to both vCPUs, to the less busy of them, masked. */
static int set_pins(int vm)
{
	unsigned int pin;

	for (pin = 0; pin < HULL_IOAPIC_PINS; pin++) {
		__u64 entry = 0x40 + 2 * pin;

		if (pin & 1)
			entry |= LEVEL;
		if (pin & 2)
			entry |= 1ULL << 56;
		if (pin % 7 == 6)
			entry |= 1 << 16;
		if (set_redirection(vm, pin, entry))
			return -1;
	}
	return 0;
}

TEST_F_TIMEOUT(irqfd, abuse_does_no_harm, 180)
{
	struct guest *guest = &self->guest;
	pthread_t threads[ABUSERS], second;
	bool two = !runs_on("bochs/svm");
	const char *problem = NULL;
	unsigned int i;
	__u32 seen;

	ASSERT_EQ(0, set_pins(self->vm));
	if (two) {
		ASSERT_EQ(0, guest_add_cpu(guest, 1));
		ASSERT_EQ(0, guest_start(guest, 1, GUEST_LONG, GUEST_CODE(idle)));
		ASSERT_EQ(0, trap_install(guest, 1, GUEST_LONG, TRAP_COUNT_IRQS));
		ASSERT_EQ(0, start_cpu(guest, 1, &second));
	}
	abuse.vm = self->vm;
	abuse.dev = guest->dev;
	for (i = 0; i < FDS; i++)
		abuse.fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	RUN();
	for (i = 0; i < ABUSERS; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, abusers[i], NULL));
	sleep(abuse_seconds());
	__atomic_store_n(&abuse.stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < ABUSERS; i++) {
		pthread_join(threads[i], NULL);
		printf("# thread %u: %lu operations\n", i, abuse.done[i]);
		EXPECT_LT(0, abuse.done[i]);
	}
	EXPECT_EQ(0, abuse.bad) {
		TH_LOG("an operation failed: %s", strerror(abuse.bad));
	}
	if (two)
		problem = stop_cpu(guest, 1, second);
	EXPECT_EQ(NULL, problem) {
		TH_LOG("%s", problem);
	}
	/* All is as before. */
	for (i = 0; i < FDS; i++)
		close(abuse.fds[i]);
	for (i = 0; i < HULL_IOAPIC_PINS; i++)
		EXPECT_EQ(0, hull_set_irq(self->vm, i, 0));
	ASSERT_EQ(0, add_message(self->vm, 77, 0x80, self->fd));
	usleep(20000);
	seen = counter(guest, 0x80);
	EXPECT_EQ(0, signal_fd(self->fd));
	EXPECT_TRUE(reaches(guest, 0x80, seen + 1));
}

HULL_TEST_MAIN
