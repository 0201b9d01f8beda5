// SPDX-License-Identifier: GPL-2.0
/*
 * Consumers in threads and processes: order, sleeping and waking, interruption by signals, death
 * and succession, and one that does harm. The pure part is tested in ring/ as well.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
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

/* ---- consumers ------------------------------------------------------------------------------ */

TEST_F(ring, consumer_in_a_thread)
{
	struct guest *guest = &self->guest;
	struct device *device = device_create(hull_create_consumer(guest->vm));
	struct hull_stats stats;
	int i;

	ASSERT_EQ(0, guest_start_burst(guest, device->fd, 10));
	ASSERT_EQ(0, device_start_thread(device));
	for (i = 0; i < 50; i++)
		ASSERT_EQ(0, guest_expect_out(guest, 10));
	device_stop_thread(device);
	EXPECT_EQ(0, device->bad);
	EXPECT_LE(50, device->requests);
	ASSERT_EQ(0, hull_get_stats(guest->cpu[0].fd, &stats));
	EXPECT_LE(50, stats.value[HULL_STAT_SYNC]);
	EXPECT_LE(500, stats.value[HULL_STAT_POSTED]);
}

TEST_F(ring, consumer_in_a_process)
{
	struct guest *guest = &self->guest;
	struct device *device = device_create(hull_create_consumer(guest->vm));
	int i;

	ASSERT_EQ(0, guest_start_burst(guest, device->fd, 10));
	ASSERT_EQ(0, device_start_process(device));
	for (i = 0; i < 50; i++)
		ASSERT_EQ(0, guest_expect_out(guest, 10));
	device->stop = true;
	device_wait_process(device);
	EXPECT_EQ(0, device->bad);
}

TEST_F(ring, vcpu_sleeps_until_there_is_room)
{
	struct guest *guest = &self->guest;
	struct device *device = device_create(hull_create_consumer(guest->vm));

	device->slow = 100;
	ASSERT_EQ(0, guest_start_burst(guest, device->fd, 4 * HULL_POSTED_ENTRIES));
	ASSERT_EQ(0, device_start_thread(device));
	EXPECT_EQ(0, guest_expect_out(guest, 4 * HULL_POSTED_ENTRIES));
	device_stop_thread(device);
	EXPECT_EQ(0, device->bad);
}

TEST_F(ring, two_consumers_do_not_wait_for_each_other)
{
	struct guest *guest = &self->guest;
	struct device *device = device_create(hull_create_consumer(guest->vm));
	int silent = hull_create_consumer(guest->vm), i;

	guest_set_burst(guest, 2);
	ASSERT_EQ(0, add(guest, PORT, POSTED, DEV, 4, silent));
	ASSERT_EQ(0, add(guest, PORT, SYNC, DEV + 8, 4, device->fd));
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(burst)));
	device->base = 1234;
	ASSERT_EQ(0, device_start_thread(device));
	for (i = 0; i < HULL_POSTED_ENTRIES / 2; i++)
		ASSERT_EQ(0, guest_expect_out(guest, 1234));
	device_stop_thread(device);
	EXPECT_EQ(0, device->bad);
}

struct cpu_thread {
	struct guest *guest;
	unsigned int id;
	int failed;
};

static void *run_reader(void *arg)
{
	struct cpu_thread *thread = arg;
	int i;

	for (i = 0; i < 20 && !thread->failed; i++)
		thread->failed = guest_expect_write(thread->guest, thread->id, PORT, OWN, 4,
						    100 + thread->id);
	return NULL;
}

TEST_F(ring, each_vcpu_has_its_own_channel)
{
	struct guest *guest = &self->guest;
	int fd = hull_create_consumer(guest->vm), i, done = 0;
	struct hull_channel *channels = hull_map_consumer(fd, 2);
	struct hull_endpoint endpoint[2];
	struct hull_posted posted;
	struct cpu_thread cpus[2];
	pthread_t threads[2];

	ASSERT_NE(NULL, channels);
	ASSERT_EQ(0, guest_add_cpu(guest, 1));
	ASSERT_EQ(0, add(guest, PORT, SYNC, DEV + 8, 4, fd));
	for (i = 0; i < 2; i++) {
		hull_endpoint_init(&endpoint[i], &channels[i], fd, i);
		ASSERT_EQ(0, guest_start(guest, i, GUEST_LONG, GUEST_CODE(reader)));
		cpus[i] = (struct cpu_thread) { .guest = guest, .id = i };
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, run_reader, &cpus[i]));
	}
	while (done < 40) {
		ASSERT_EQ(1, hull_consumer_wait(endpoint, 2, 10000));
		for (i = 0; i < 2; i++) {
			if (hull_next(&endpoint[i], &posted) != HULL_WORK_REQUEST)
				continue;
			hull_answer(&endpoint[i], 100 + i);
			done++;
		}
	}
	for (i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ(0, cpus[i].failed);
	}
	hull_unmap_consumer(channels, 2);
	close(fd);
}

/* ---- interruption --------------------------------------------------------------------------- */

static void on_alarm(int signal)
{
}

static void alarm_soon(void)
{
	struct sigaction action = { .sa_handler = on_alarm };
	/* Again and again, should it come before the guest has run. */
	struct itimerval timer = { .it_value.tv_usec = 100000, .it_interval.tv_usec = 100000 };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

static void alarm_off(void)
{
	setitimer(ITIMER_REAL, &(struct itimerval) {}, NULL);
}

TEST_F(ring, request_stays_pending_over_a_signal)
{
	struct guest *guest = &self->guest;
	int fd = hull_create_consumer(guest->vm), i;
	struct hull_channel *channel = hull_map_consumer(fd, 1);
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	struct hull_endpoint endpoint;
	struct hull_posted posted;

	ASSERT_NE(NULL, channel);
	hull_endpoint_init(&endpoint, channel, fd, 0);
	ASSERT_EQ(0, add(guest, PORT, SYNC, DEV + 8, 4, fd));
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(reader)));
	alarm_soon();
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(-1, guest_run(guest, 0));
		ASSERT_EQ(EINTR, errno);
	}
	alarm_off();
	EXPECT_EQ(1, channel->mailbox.request_seq);
	EXPECT_EQ(1, poll(&pollfd, 1, 0));
	ASSERT_EQ(HULL_WORK_REQUEST, hull_next(&endpoint, &posted));
	hull_answer(&endpoint, 4711);
	EXPECT_EQ(0, poll(&pollfd, 1, 0));
	EXPECT_EQ(0, guest_expect_out(guest, 4711));
}

TEST_F(ring, full_ring_is_left_by_a_signal)
{
	struct guest *guest = &self->guest;
	struct device *device = device_create(hull_create_consumer(guest->vm));

	ASSERT_EQ(0, guest_start_burst(guest, device->fd, HULL_POSTED_ENTRIES + 1));
	alarm_soon();
	ASSERT_EQ(-1, guest_run(guest, 0));
	ASSERT_EQ(EINTR, errno);
	alarm_off();
	ASSERT_EQ(0, device_start_thread(device));
	EXPECT_EQ(0, guest_expect_out(guest, HULL_POSTED_ENTRIES + 1));
	device_stop_thread(device);
	EXPECT_EQ(0, device->bad);
}

TEST_F(ring, stop_word_ends_a_wait)
{
	struct guest *guest = &self->guest;
	int fd = hull_create_consumer(guest->vm);

	ASSERT_EQ(0, add(guest, PORT, SYNC, DEV + 8, 4, fd));
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(reader)));
	guest->cpu[0].run->stop = 1;
	EXPECT_EQ(-1, guest_run(guest, 0));
	EXPECT_EQ(EINTR, errno);
	close(fd);
}

TEST_F(ring, request_in_flight_is_part_of_the_state)
{
	struct guest *guest = &self->guest;
	struct guest_cpu *cpu = &guest->cpu[0];
	struct hull_vcpu_state *state = calloc(1, sizeof(*state));
	__u32 seq;

	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(reader)));
	ASSERT_EQ(HULL_EXIT_REQUEST, guest_run(guest, 0));
	seq = cpu->own.current.request_seq;
	ASSERT_EQ(0, hull_get_state(cpu->fd, HULL_GROUP_EVENTS | HULL_GROUP_GPRS, state));
	hull_answer(&cpu->own, 1);
	ASSERT_EQ(0, guest_expect_out(guest, 1));

	/* Back in time: the request is made again. */
	ASSERT_EQ(0, hull_set_state(cpu->fd, HULL_GROUP_EVENTS | HULL_GROUP_GPRS, state));
	ASSERT_EQ(HULL_EXIT_REQUEST, guest_run(guest, 0));
	EXPECT_EQ(DEV + 8, cpu->own.current.address);
	EXPECT_NE(seq, cpu->own.current.request_seq);
	hull_answer(&cpu->own, 2);
	EXPECT_EQ(0, guest_expect_out(guest, 2));
	free(state);
}

/* ---- death and succession ------------------------------------------------------------------- */

/* A consumer that dies with the first request it gets; ends when the death was reported. */
static void die_with_request(struct __test_metadata *_metadata, struct guest *guest)
{
	struct device *device = device_create(hull_create_consumer(guest->vm));

	device->limit = 1;
	ASSERT_EQ(0, guest_start_burst(guest, device->fd, 3));
	ASSERT_EQ(0, device_start_process(device));
	ASSERT_EQ(HULL_EXIT_CONSUMER, guest_run(guest, 0));
	EXPECT_EQ(PORT, guest->cpu[0].run->end_info[0]);
	EXPECT_EQ(DEV + 8, guest->cpu[0].run->end_info[1]);
	EXPECT_EQ(3, device->posted);
	device_wait_process(device);
}

TEST_F(ring, reads_from_the_dead_have_all_bits_set)
{
	struct guest *guest = &self->guest;
	int i;

	die_with_request(_metadata, guest);
	for (i = 0; i < 5; i++)
		EXPECT_EQ(0, guest_expect_out(guest, ~0U));
}

TEST_F(ring, successor_gets_the_request)
{
	struct guest *guest = &self->guest;
	struct device *device;

	die_with_request(_metadata, guest);
	device = device_create(hull_attach_consumer(guest->vm, PORT, DEV));
	ASSERT_LE(0, device->fd);
	device->base = 1000;
	ASSERT_EQ(0, device_start_thread(device));
	EXPECT_EQ(0, guest_expect_out(guest, 1000));
	EXPECT_EQ(0, guest_expect_out(guest, 1003));
	device_stop_thread(device);
	EXPECT_EQ(0, device->bad);
}

TEST_F(ring, successor_gets_what_was_posted)
{
	struct guest *guest = &self->guest;
	int fd = hull_create_consumer(guest->vm), i;
	struct hull_channel *channel;
	struct hull_endpoint endpoint;
	struct hull_posted posted;

	ASSERT_EQ(0, add(guest, PORT, POSTED, DEV, 4, fd));
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(burst)));
	guest_set_burst(guest, 5);
	EXPECT_EQ(0, guest_expect_read(guest, 0, PORT, DEV + 8, 4, 0));
	/* What is posted to the dead is lost. */
	close(fd);
	EXPECT_EQ(0, guest_expect_out(guest, 0));
	EXPECT_EQ(0, guest_expect_read(guest, 0, PORT, DEV + 8, 4, 0));

	fd = hull_attach_consumer(guest->vm, PORT, DEV);
	channel = hull_map_consumer(fd, 1);
	ASSERT_NE(NULL, channel);
	EXPECT_EQ(3, channel->mailbox.generation);
	hull_endpoint_init(&endpoint, channel, fd, 0);
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(HULL_WORK_POSTED, hull_next(&endpoint, &posted));
		EXPECT_EQ(i, posted.value);
	}
	EXPECT_EQ(HULL_WORK_NONE, hull_next(&endpoint, &posted));
	hull_unmap_consumer(channel, 1);
	close(fd);
}

TEST_F(ring, death_between_two_runs)
{
	struct guest *guest = &self->guest;
	struct device *device = device_create(-1);
	int fd = hull_create_consumer(guest->vm);

	ASSERT_EQ(0, add(guest, PORT, SYNC, DEV + 8, 4, fd));
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(reader)));
	alarm_soon();
	ASSERT_EQ(-1, guest_run(guest, 0));
	ASSERT_EQ(EINTR, errno);
	alarm_off();
	close(fd);
	/* A successor who is there in time: nobody is told of the death. */
	device->fd = hull_attach_consumer(guest->vm, PORT, DEV + 8);
	device->base = 55;
	ASSERT_LE(0, device->fd);
	ASSERT_EQ(0, device_start_thread(device));
	EXPECT_EQ(0, guest_expect_out(guest, 55));
	device_stop_thread(device);
	EXPECT_EQ(0, device->bad);
}

/* ---- a hostile consumer --------------------------------------------------------------------- */

static void scribble(int fd)
{
	struct hull_channel *channel = hull_map_consumer(fd, 1);
	__u32 *words = (__u32 *)channel, random = 1;
	__u32 vcpu = 0;
	ssize_t ignored;

	if (!channel)
		_exit(1);
	for (;;) {
		random = random * 1664525 + 1013904223;
		/* All but the two words that say what there is: without them it could not go on. */
		if (random / 7 % (sizeof(*channel) / 4) % 32)
			words[random / 7 % (sizeof(*channel) / 4)] = random;
		channel->mailbox.response_seq = channel->mailbox.request_seq;
		channel->mailbox.posted_tail = channel->mailbox.posted_head - (random >> 30);
		if (!(random >> 24)) {
			ignored = write(fd, &vcpu, sizeof(vcpu));
			(void)ignored;
		}
	}
}

TEST_F_TIMEOUT(ring, hostile_consumer_harms_itself_only, 120)
{
	struct guest *guest = &self->guest;
	int fd = hull_create_consumer(guest->vm), ret, reads = 0, i;
	pid_t pid;

	ASSERT_EQ(0, guest_start_burst(guest, fd, 40));
	pid = fork();
	if (!pid)
		scribble(fd);
	close(fd);
	alarm_soon();
	for (i = 0; i < 200 && reads < 100; i++) {
		/* Whatever it reads: the next instruction is that OUT, or the wait goes on. */
		ret = guest_run(guest, 0);
		if (ret == -1 && errno == EINTR)
			continue;
		ASSERT_EQ(HULL_EXIT_REQUEST, ret);
		ASSERT_EQ(OWN, guest->cpu[0].own.current.address);
		hull_answer(&guest->cpu[0].own, 0);
		reads++;
	}
	alarm_off();
	EXPECT_LT(0, reads);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ret = guest_run(guest, 0);
	if (ret == HULL_EXIT_CONSUMER)
		ret = guest_run(guest, 0);
	EXPECT_EQ(HULL_EXIT_REQUEST, ret);
	EXPECT_EQ(OWN, guest->cpu[0].own.current.address);
}

HULL_TEST_MAIN
