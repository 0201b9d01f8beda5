// SPDX-License-Identifier: GPL-2.0
/*
 * The VM fd: HULL_CREATE_VCPU, HULL_VM_CHECK and what all its ioctls share: foreign processes,
 * unknown numbers, the order in which fds are closed, ioctls raced by two threads. Memory, ranges
 * and interrupts have programs of their own.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"
#include "harness.h"

FIXTURE(vm) {
	struct guest guest;
};

FIXTURE_SETUP(vm)
{
	ASSERT_EQ(0, guest_create(&self->guest, 0, GUEST_SIZE)) {
		TH_LOG("cannot create a VM: %s", strerror(errno));
	}
}

FIXTURE_TEARDOWN(vm)
{
	guest_destroy(&self->guest);
}

GUEST(add, 64, "1: in $0x10, %al\n add $1, %al\n out %al, $0x11\n jmp 1b");

static int works(struct guest *guest, unsigned int id)
{
	if (guest_start(guest, id, GUEST_LONG, GUEST_CODE(add)) ||
	    guest_expect_read(guest, id, HULL_SPACE_PORT, 0x10, 1, 41))
		return -1;
	return guest_expect_write(guest, id, HULL_SPACE_PORT, 0x11, 1, 42);
}

TEST_F(vm, ioctls_of_others_are_unknown)
{
	char buffer[8192] = {};
	int vm = self->guest.vm;

	EXPECT_ERRNO(ENOTTY, ioctl(vm, HULL_RUN));
	EXPECT_ERRNO(ENOTTY, ioctl(vm, HULL_GET_INFO, buffer));
	EXPECT_ERRNO(ENOTTY, ioctl(vm, HULL_GET_STATE, buffer));
	EXPECT_ERRNO(ENOTTY, ioctl(vm, TIOCGWINSZ, buffer));
	EXPECT_ERRNO(ENOTTY, ioctl(vm, _IO(HULL_IOC, 0x20)));
	EXPECT_ERRNO(ENOTTY, ioctl(vm, _IOWR(HULL_IOC, 0x22, struct hull_create_vcpu), buffer));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_SHARED, vm, 0));
	EXPECT_EQ(ENODEV, errno);
}

TEST_F(vm, create_vcpu_checks_its_arguments)
{
	struct hull_create_vcpu args = { .id = 1 };
	struct hull_info info;
	int vm = self->guest.vm, i;

	ASSERT_EQ(0, hull_get_info(self->guest.dev, &info));
	EXPECT_ERRNO(EINVAL, hull_create_vcpu(vm, info.max_vcpus));
	EXPECT_ERRNO(EINVAL, hull_create_vcpu(vm, ~0U));
	EXPECT_ERRNO(EEXIST, hull_create_vcpu(vm, 0));
	for (i = 0; i < 3; i++) {
		args.reserved[i] = 1;
		EXPECT_ERRNO(EINVAL, ioctl(vm, HULL_CREATE_VCPU, &args));
		args.reserved[i] = 0;
	}
	EXPECT_ERRNO(EFAULT, ioctl(vm, HULL_CREATE_VCPU, nowhere()));
	EXPECT_LE(0, hull_create_vcpu(vm, info.max_vcpus - 1));
	i = ioctl(vm, HULL_CREATE_VCPU, &args);
	EXPECT_LE(0, i);
	EXPECT_EQ(FD_CLOEXEC, fcntl(i, F_GETFD));
	/* A vCPU stays with its VM. */
	close(i);
	EXPECT_ERRNO(EEXIST, hull_create_vcpu(vm, 1));
}

TEST_F(vm, create_respects_the_limit_of_fds)
{
	struct rlimit limit, low;
	int vm = self->guest.vm, highest = -1, fd;

	while ((fd = dup(vm)) >= 0 && fd < 100)
		highest = fd;
	close(fd);
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	low = limit;
	low.rlim_cur = highest + 1;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &low));
	EXPECT_ERRNO(EMFILE, hull_create_vcpu(vm, 1));
	EXPECT_ERRNO(EMFILE, hull_create_consumer(vm));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	/* What failed has left nothing behind. */
	EXPECT_LE(0, hull_create_vcpu(vm, 1));
	EXPECT_LE(0, hull_create_consumer(vm));
}

TEST_F(vm, check_walks_the_tables)
{
	struct hull_info info;

	ASSERT_EQ(0, hull_get_info(self->guest.dev, &info));
	ASSERT_EQ(0, works(&self->guest, 0));
	if (info.capabilities & HULL_CAP_CHECK_MODE) {
		EXPECT_EQ(0, hull_vm_check(self->guest.vm));
	} else {
		EXPECT_ERRNO(EOPNOTSUPP, hull_vm_check(self->guest.vm));
	}
}

/* ---- other processes ------------------------------------------------------------------------ */

static const unsigned int vm_ioctls[] = {
	HULL_SET_MEMORY, HULL_GET_DIRTY, HULL_CREATE_VCPU, HULL_CREATE_CONSUMER, HULL_ADD_RANGE,
	HULL_REMOVE_RANGE, HULL_SET_IRQ, HULL_SEND_MSI, HULL_VM_GET_STATE, HULL_VM_SET_STATE,
	HULL_VM_CHECK, HULL_ATTACH_CONSUMER,
};

static const unsigned int vcpu_ioctls[] = {
	HULL_RUN, HULL_GET_STATE, HULL_SET_STATE, HULL_SET_CPUID, HULL_INJECT, HULL_TRANSLATE,
	HULL_GET_STATS,
};

/* Number of ioctls that gave something other than EIO. */
static int count_not_eio(int vm, int vcpu)
{
	static char buffer[16384];
	int bad = 0;
	size_t i;

	for (i = 0; i < sizeof(vm_ioctls) / sizeof(vm_ioctls[0]); i++) {
		if (ioctl(vm, vm_ioctls[i], buffer) != -1 || errno != EIO)
			bad++;
	}
	for (i = 0; i < sizeof(vcpu_ioctls) / sizeof(vcpu_ioctls[0]); i++) {
		if (ioctl(vcpu, vcpu_ioctls[i], buffer) != -1 || errno != EIO)
			bad++;
	}
	if (ioctl(vm, HULL_RUN) != -1 || errno != ENOTTY)
		bad++;
	return bad;
}

TEST_F(vm, is_not_for_other_processes)
{
	struct guest *guest = &self->guest;
	int status;
	pid_t pid;

	ASSERT_EQ(0, works(guest, 0));
	pid = fork();
	if (!pid)
		_exit(count_not_eio(guest->vm, guest->cpu[0].fd));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, works(guest, 0));
}

TEST_F(vm, may_outlive_its_creator)
{
	int sockets[2], status;
	char byte;
	pid_t pid;

	/* The child's VM is held by nobody but the child's memory and an inherited fd. */
	ASSERT_EQ(0, pipe(sockets));
	pid = vfork();
	if (!pid) {
		struct hull_create_vm args = {};

		_exit(hull_create_vm(self->guest.dev, &args) < 0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	pid = fork();
	if (!pid) {
		struct guest guest;

		if (guest_create(&guest, HULL_VM_IRQCHIP, GUEST_SIZE) || works(&guest, 0))
			_exit(1);
		/* A grandchild keeps all fds and lives a little longer. */
		if (!fork()) {
			close(sockets[1]);
			if (read(sockets[0], &byte, 1) < 0)
				_exit(2);
			usleep(20000);
			_exit(ioctl(guest.cpu[0].fd, HULL_RUN) != -1 || errno != EIO);
		}
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	close(sockets[1]);
	usleep(100000);
}

/* ---- closing -------------------------------------------------------------------------------- */

/* In the order of bits: VM, vCPU, consumer, mappings. */
static int close_in_order(const int *order)
{
	struct guest guest;
	struct hull_channel *channels;
	int consumer, i;

	if (guest_create(&guest, HULL_VM_IRQCHIP | HULL_VM_PIT, GUEST_SIZE))
		return -1;
	consumer = hull_create_consumer(guest.vm);
	channels = hull_map_consumer(consumer, 1);
	if (consumer < 0 || !channels || works(&guest, 0))
		return -1;
	for (i = 0; i < 4; i++) {
		switch (order[i]) {
		case 0:
			close(guest.vm);
			guest.vm = -1;
			break;
		case 1:
			close(guest.cpu[0].fd);
			guest.cpu[0].fd = -1;
			break;
		case 2:
			close(consumer);
			break;
		case 3:
			hull_unmap_consumer(channels, 1);
			hull_unmap_run(guest.cpu[0].run, guest.cpu[0].own.channel);
			guest.cpu[0].run = NULL;
			break;
		}
	}
	guest_destroy(&guest);
	return 0;
}

TEST_F(vm, fds_may_be_closed_in_any_order)
{
	int order[4], n, i, used;

	for (n = 0; n < 256; n++) {
		for (i = 0, used = 0; i < 4; i++) {
			order[i] = n >> (2 * i) & 3;
			used |= 1 << order[i];
		}
		if (used == 0xf)
			ASSERT_EQ(0, close_in_order(order));
	}
}

TEST_F(vm, vcpu_runs_without_the_vm_fd)
{
	struct guest *guest = &self->guest;

	ASSERT_EQ(0, works(guest, 0));
	close(guest->vm);
	guest->vm = -1;
	EXPECT_EQ(0, works(guest, 0));
}

/* ---- races ---------------------------------------------------------------------------------- */

struct race {
	struct guest *guest;
	pthread_barrier_t barrier;
	int wins, errors;
	bool stop;
};

static void *create_one(void *arg)
{
	struct race *race = arg;
	int id, fd;

	for (id = 1; id < 6; id++) {
		pthread_barrier_wait(&race->barrier);
		fd = hull_create_vcpu(race->guest->vm, id);
		if (fd >= 0)
			__atomic_add_fetch(&race->wins, 1, __ATOMIC_RELAXED);
		else if (errno != EEXIST)
			__atomic_add_fetch(&race->errors, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

TEST_F(vm, create_vcpu_races_itself)
{
	struct race race = { .guest = &self->guest };
	pthread_t other;

	pthread_barrier_init(&race.barrier, NULL, 2);
	ASSERT_EQ(0, pthread_create(&other, NULL, create_one, &race));
	create_one(&race);
	pthread_join(other, NULL);
	EXPECT_EQ(5, race.wins);
	EXPECT_EQ(0, race.errors);
}

/* Memory, ranges, consumers, vCPU state and checks while the vCPU runs. */
static void *disturb(void *arg)
{
	struct race *race = arg;
	struct guest *guest = race->guest;
	struct hull_range range = { .start = 0x500, .length = 8, .consumer = -1, .eventfd = -1 };
	struct hull_region region = {
		.size = guest->size, .hva = (__u64)(unsigned long)guest->memory,
	};
	static struct hull_vcpu_state state;
	struct hull_stats stats;
	__u64 gpa;
	int fd;

	while (!__atomic_load_n(&race->stop, __ATOMIC_RELAXED)) {
		region.flags ^= HULL_REGION_LOG_DIRTY;
		range.consumer = hull_create_consumer(guest->vm);
		if (hull_set_memory(guest->vm, &region, 1) || hull_add_range(guest->vm, &range) ||
		    hull_remove_range(guest->vm, &range) || hull_vm_check(guest->vm) ||
		    hull_get_stats(guest->cpu[0].fd, &stats) ||
		    hull_get_state(guest->cpu[0].fd, HULL_GROUPS & ~HULL_GROUP_APIC, &state) ||
		    hull_set_state(guest->cpu[0].fd, HULL_GROUP_DEBUG, &state) ||
		    hull_inject(guest->cpu[0].fd, HULL_INJECT_INTERRUPT, 300) != -1 ||
		    hull_translate(guest->cpu[0].fd, 0x1000, 0, &gpa))
			race->errors++;
		fd = range.consumer;
		close(fd);
		race->wins++;
	}
	return NULL;
}

TEST_F(vm, ioctls_race_a_running_vcpu)
{
	struct guest *guest = &self->guest;
	struct race race = { .guest = guest };
	pthread_t other;
	int i;

	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(add)));
	ASSERT_EQ(0, pthread_create(&other, NULL, disturb, &race));
	for (i = 0; i < 10 || race.wins < 20; i++) {
		ASSERT_EQ(0, guest_expect_read(guest, 0, HULL_SPACE_PORT, 0x10, 1, i & 0xff));
		ASSERT_EQ(0, guest_expect_write(guest, 0, HULL_SPACE_PORT, 0x11, 1,
						(i + 1) & 0xff));
		sched_yield();
	}
	race.stop = true;
	pthread_join(other, NULL);
	EXPECT_EQ(0, race.errors);
}

HULL_TEST_MAIN
