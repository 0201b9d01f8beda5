// SPDX-License-Identifier: GPL-2.0
/*
 * The vCPU fd: HULL_RUN and its interruption, HULL_INJECT, HULL_TRANSLATE, HULL_GET_STATS, the
 * mappings. State and CPUID have programs of their own.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "guest.h"
#include "harness.h"
#include "trap.h"

FIXTURE(vcpu) {
	struct guest guest;
};

FIXTURE_SETUP(vcpu)
{
	ASSERT_EQ(0, guest_create(&self->guest, 0, GUEST_SIZE)) {
		TH_LOG("cannot create a VM: %s", strerror(errno));
	}
}

FIXTURE_TEARDOWN(vcpu)
{
	guest_destroy(&self->guest);
}

GUEST(spin, 64, "sti\n 1: incl 0x40000\n jmp 1b");
GUEST(halt, 64, "1: hlt\n jmp 1b");
GUEST(in, 64, "1: in $0x10, %al\n jmp 1b");
GUEST(triple, 64, "ud2");

TEST_F(vcpu, ioctls_of_others_are_unknown)
{
	char buffer[8192] = {}, byte;
	int fd = self->guest.cpu[0].fd;

	EXPECT_ERRNO(ENOTTY, ioctl(fd, HULL_GET_INFO, buffer));
	EXPECT_ERRNO(ENOTTY, ioctl(fd, HULL_SET_MEMORY, buffer));
	EXPECT_ERRNO(ENOTTY, ioctl(fd, HULL_VM_CHECK));
	EXPECT_ERRNO(ENOTTY, ioctl(fd, TIOCGWINSZ, buffer));
	EXPECT_ERRNO(ENOTTY, ioctl(fd, _IO(HULL_IOC, 0x41)));
	EXPECT_ERRNO(EINVAL, read(fd, &byte, 1));
	EXPECT_ERRNO(EINVAL, write(fd, "x", 1));
}

/* ---- mappings ------------------------------------------------------------------------------- */

static int map_errno(int fd, size_t size, int prot, int flags, off_t offset)
{
	void *page = mmap(NULL, size, prot, flags, fd, offset);

	if (page == MAP_FAILED)
		return errno;
	munmap(page, size);
	return 0;
}

TEST_F(vcpu, mappings_are_what_they_are)
{
	const size_t channel = sizeof(struct hull_channel);
	int fd = self->guest.cpu[0].fd, rw = PROT_READ | PROT_WRITE;

	EXPECT_EQ(0, map_errno(fd, 4096, rw, MAP_SHARED, 0));
	EXPECT_EQ(0, map_errno(fd, 4096, PROT_READ, MAP_SHARED, 0));
	EXPECT_EQ(0, map_errno(fd, channel, rw, MAP_SHARED, HULL_RUN_SIZE));
	EXPECT_EQ(EINVAL, map_errno(fd, 8192, rw, MAP_SHARED, 0));
	EXPECT_EQ(EINVAL, map_errno(fd, channel + 4096, rw, MAP_SHARED, 0));
	EXPECT_EQ(EINVAL, map_errno(fd, channel + 4096, rw, MAP_SHARED, HULL_RUN_SIZE));
	EXPECT_EQ(EINVAL, map_errno(fd, channel, rw, MAP_SHARED, HULL_RUN_SIZE + 4096));
	EXPECT_EQ(EINVAL, map_errno(fd, 4096, rw, MAP_SHARED, 1 << 20));
	EXPECT_EQ(EINVAL, map_errno(fd, 4096, rw, MAP_SHARED, 1ULL << 62));
	EXPECT_EQ(EINVAL, map_errno(fd, 4096, rw, MAP_PRIVATE, 0));
	EXPECT_EQ(EINVAL, map_errno(fd, channel, rw, MAP_PRIVATE, HULL_RUN_SIZE));
}

TEST_F(vcpu, mapping_outlives_the_fds)
{
	struct guest *guest = &self->guest;
	struct hull_run *run = guest->cpu[0].run;

	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(halt)));
	ASSERT_EQ(0, guest_expect_halt(guest, 0));
	close(guest->cpu[0].fd);
	close(guest->vm);
	guest->cpu[0].fd = guest->vm = -1;
	EXPECT_EQ(HULL_EXIT_HALTED, run->exit);
	run->stop = 1;
	EXPECT_EQ(1, run->stop);
}

/* ---- running -------------------------------------------------------------------------------- */

TEST_F(vcpu, run_obeys_stop)
{
	struct guest *guest = &self->guest;

	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(spin)));
	guest->cpu[0].run->stop = 1;
	EXPECT_ERRNO(EINTR, hull_run(guest->cpu[0].fd));
	EXPECT_ERRNO(EINTR, hull_run(guest->cpu[0].fd));
	EXPECT_EQ(1, guest->cpu[0].run->stop);
	EXPECT_EQ(0, *(__u32 *)(guest->memory + GUEST_DATA_GPA));
}

static volatile __u32 *stop_word;

static void on_alarm(int sig)
{
	if (stop_word)
		*stop_word = 1;
}

static void start_timer(long us, bool stop, struct guest *guest)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval timer = { .it_value.tv_usec = us, .it_interval.tv_usec = us };

	stop_word = stop ? &guest->cpu[0].run->stop : NULL;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

TEST_F(vcpu, run_is_interrupted_by_signals)
{
	struct guest *guest = &self->guest;
	__u32 *counter = (__u32 *)(guest->memory + GUEST_DATA_GPA), last;
	int i;

	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(spin)));
	start_timer(20000 * time_scale(), false, guest);
	EXPECT_ERRNO(EINTR, hull_run(guest->cpu[0].fd));
	last = *counter;
	for (i = 0; i < 10; i++)
		EXPECT_ERRNO(EINTR, hull_run(guest->cpu[0].fd));
	/* On a busy machine a signal may come before the guest does, but not each time. */
	EXPECT_NE(last, *counter);
	start_timer(20000, true, guest);
	EXPECT_ERRNO(EINTR, hull_run(guest->cpu[0].fd));
	/* The flag also catches the signal that came before the ioctl. */
	pause();
	EXPECT_ERRNO(EINTR, hull_run(guest->cpu[0].fd));
	/* The word goes away. */
	start_timer(0, false, guest);
}

TEST_F(vcpu, sleeping_run_is_interrupted_by_signals)
{
	struct guest guest;

	ASSERT_EQ(0, guest_create(&guest, HULL_VM_IRQCHIP, GUEST_SIZE));
	ASSERT_EQ(0, guest_start(&guest, 0, GUEST_LONG, GUEST_CODE(halt)));
	start_timer(20000, false, &guest);
	EXPECT_ERRNO(EINTR, hull_run(guest.cpu[0].fd));
	EXPECT_ERRNO(EINTR, hull_run(guest.cpu[0].fd));
	/* One that waits for its SIPI sleeps as well. */
	ASSERT_EQ(0, guest_add_cpu(&guest, 1));
	EXPECT_ERRNO(EINTR, hull_run(guest.cpu[1].fd));
	start_timer(0, false, &guest);
	guest_destroy(&guest);
}

static void *run_too(void *arg)
{
	struct guest *guest = arg;

	hull_run(guest->cpu[0].fd);
	return NULL;
}

TEST_F(vcpu, two_threads_run_one_vcpu_in_turn)
{
	struct guest *guest = &self->guest;
	pthread_t other;
	int i;

	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(halt)));
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, pthread_create(&other, NULL, run_too, guest));
		EXPECT_EQ(0, hull_run(guest->cpu[0].fd));
		pthread_join(other, NULL);
		/* Both have run: the page belongs to whoever ran last. */
		EXPECT_EQ(HULL_EXIT_HALTED, guest->cpu[0].run->exit);
	}
}

TEST_F(vcpu, request_is_kept_until_it_is_answered)
{
	struct guest *guest = &self->guest;
	struct hull_mailbox *mailbox = &guest->cpu[0].own.channel->mailbox;
	__u32 seq;
	int i;

	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(in)));
	ASSERT_EQ(0, hull_run(guest->cpu[0].fd));
	EXPECT_EQ(HULL_EXIT_REQUEST, guest->cpu[0].run->exit);
	seq = mailbox->request_seq;
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, hull_run(guest->cpu[0].fd));
		EXPECT_EQ(HULL_EXIT_REQUEST, guest->cpu[0].run->exit);
		EXPECT_EQ(seq, mailbox->request_seq);
	}
	EXPECT_EQ(0, guest_expect_read(guest, 0, HULL_SPACE_PORT, 0x10, 1, 7));
	ASSERT_EQ(0, hull_run(guest->cpu[0].fd));
	EXPECT_EQ(seq + 1, mailbox->request_seq);
}

TEST_F(vcpu, end_is_final_for_all)
{
	struct guest *guest = &self->guest;
	int i;

	ASSERT_EQ(0, guest_add_cpu(guest, 1));
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(triple)));
	ASSERT_EQ(0, guest_start(guest, 1, GUEST_LONG, GUEST_CODE(halt)));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, hull_run(guest->cpu[i & 1].fd));
		EXPECT_EQ(HULL_EXIT_ENDED, guest->cpu[i & 1].run->exit);
		EXPECT_EQ(HULL_END_TRIPLE_FAULT, guest->cpu[i & 1].run->end_reason);
	}
	EXPECT_EQ(GUEST_CODE_GPA(0), guest->cpu[1].run->end_rip);
	EXPECT_LE(0, hull_create_vcpu(guest->vm, 2));
}

/* ---- HULL_INJECT ---------------------------------------------------------------------------- */

TEST_F(vcpu, inject_checks_its_arguments)
{
	int fd = self->guest.cpu[0].fd;
	struct guest chip;

	EXPECT_ERRNO(EINVAL, hull_inject(fd, 2, 0));
	EXPECT_ERRNO(EINVAL, hull_inject(fd, ~0U, 0));
	EXPECT_ERRNO(EINVAL, hull_inject(fd, HULL_INJECT_INTERRUPT, 256));
	EXPECT_ERRNO(EINVAL, hull_inject(fd, HULL_INJECT_NMI, 2));
	EXPECT_ERRNO(EFAULT, ioctl(fd, HULL_INJECT, nowhere()));
	EXPECT_EQ(0, hull_inject(fd, HULL_INJECT_INTERRUPT, 255));
	EXPECT_ERRNO(EBUSY, hull_inject(fd, HULL_INJECT_INTERRUPT, 32));
	EXPECT_EQ(0, hull_inject(fd, HULL_INJECT_NMI, 0));
	EXPECT_EQ(0, hull_inject(fd, HULL_INJECT_NMI, 0));
	ASSERT_EQ(0, guest_create(&chip, HULL_VM_IRQCHIP, GUEST_SIZE));
	EXPECT_ERRNO(ENXIO, hull_inject(chip.cpu[0].fd, HULL_INJECT_INTERRUPT, 32));
	EXPECT_ERRNO(EINVAL, hull_inject(chip.cpu[0].fd, HULL_INJECT_INTERRUPT, 256));
	EXPECT_EQ(0, hull_inject(chip.cpu[0].fd, HULL_INJECT_NMI, 0));
	guest_destroy(&chip);
}

GUEST(enable, 64, "sti\n 1: hlt\n jmp 1b");

TEST_F(vcpu, inject_delivers)
{
	struct guest *guest = &self->guest;
	struct trap trap;

	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(enable)));
	ASSERT_EQ(0, trap_install(guest, 0, GUEST_LONG, 0));
	/* Not before STI has taken effect. */
	ASSERT_EQ(0, hull_inject(guest->cpu[0].fd, HULL_INJECT_INTERRUPT, 77));
	ASSERT_EQ(0, trap_expect(guest, 0, GUEST_LONG, 77, &trap));
	EXPECT_LE(GUEST_CODE_GPA(0) + 1, trap.rip);	/* not always + 2: guest_irq.c */
	EXPECT_EQ(0x202, trap.rflags);
	ASSERT_EQ(0, trap_return(guest, 0, GUEST_LONG, &trap, trap.rip));
	ASSERT_EQ(0, guest_expect_halt(guest, 0));
	ASSERT_EQ(0, hull_inject(guest->cpu[0].fd, HULL_INJECT_NMI, 0));
	ASSERT_EQ(0, trap_expect(guest, 0, GUEST_LONG, 2, &trap));
	ASSERT_EQ(0, trap_return(guest, 0, GUEST_LONG, &trap, trap.rip));
	EXPECT_EQ(0, guest_expect_halt(guest, 0));
}

/* ---- HULL_TRANSLATE, HULL_GET_STATS --------------------------------------------------------- */

static int translate(struct guest *guest, __u64 gva, __u32 access, __u64 *gpa)
{
	*gpa = ~0ULL;
	return hull_translate(guest->cpu[0].fd, gva, access, gpa);
}

TEST_F(vcpu, translate_walks_the_tables)
{
	struct hull_translate args = { .reserved = 1 };
	struct guest *guest = &self->guest;
	__u64 *pml4 = (__u64 *)(guest->memory + GUEST_TABLES), gpa;
	int fd = guest->cpu[0].fd;
	struct hull_control control;

	/* Paging is off after reset. */
	EXPECT_EQ(0, translate(guest, 0x12345, 0, &gpa));
	EXPECT_EQ(0x12345, gpa);
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(halt)));
	EXPECT_EQ(0, translate(guest, 0x23456789, HULL_ACCESS_WRITE | HULL_ACCESS_FETCH, &gpa));
	EXPECT_EQ(0x23456789, gpa);
	EXPECT_ERRNO(EFAULT, translate(guest, 1ULL << 32, 0, &gpa));
	EXPECT_ERRNO(EFAULT, translate(guest, 1ULL << 40, 0, &gpa));
	EXPECT_ERRNO(EFAULT, translate(guest, 1ULL << 63, 0, &gpa));
	/* User mode only reads at the second GiB; at the third the table is no memory. */
	pml4[512 + 1] &= ~2ULL;
	EXPECT_EQ(0, translate(guest, 1ULL << 30, HULL_ACCESS_USER, &gpa));
	EXPECT_ERRNO(EFAULT, translate(guest, 1ULL << 30, HULL_ACCESS_USER | HULL_ACCESS_WRITE,
				       &gpa));
	pml4[512 + 1] &= ~4ULL;
	EXPECT_ERRNO(EFAULT, translate(guest, 1ULL << 30, HULL_ACCESS_USER, &gpa));
	EXPECT_EQ(0, translate(guest, 1ULL << 30, 0, &gpa));
	pml4[512 + 2] = (1ULL << 32) | 7;
	EXPECT_ERRNO(ENXIO, translate(guest, 2ULL << 30, 0, &gpa));
	ASSERT_EQ(0, guest_get_control(guest, 0, &control));
	control.cr3 = 1ULL << 33;
	ASSERT_EQ(0, guest_set_control(guest, 0, &control));
	EXPECT_ERRNO(ENXIO, translate(guest, 0, 0, &gpa));

	EXPECT_ERRNO(EINVAL, translate(guest, 0, 8, &gpa));
	EXPECT_ERRNO(EINVAL, translate(guest, 0, 1U << 31, &gpa));
	EXPECT_ERRNO(EINVAL, ioctl(fd, HULL_TRANSLATE, &args));
	EXPECT_ERRNO(EFAULT, ioctl(fd, HULL_TRANSLATE, nowhere()));
}

TEST_F(vcpu, stats_count_exits)
{
	struct guest *guest = &self->guest;
	struct hull_stats stats;
	__u64 sum = 0;
	int i;

	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(in)));
	for (i = 0; i < 10; i++)
		ASSERT_EQ(0, guest_expect_read(guest, 0, HULL_SPACE_PORT, 0x10, 1, 7));
	memset(&stats, 0xff, sizeof(stats));
	ASSERT_EQ(0, hull_get_stats(guest->cpu[0].fd, &stats));
	EXPECT_EQ(HULL_STAT_COUNT, stats.count);
	EXPECT_EQ(0, stats.reserved);
	EXPECT_LE(10, stats.value[HULL_STAT_PORT]);
	EXPECT_LE(10, stats.value[HULL_STAT_USER]);
	for (i = 0; i < HULL_STAT_EXITS; i++)
		sum += stats.value[i];
	EXPECT_EQ(stats.value[HULL_STAT_EXITS], sum);
	for (i = HULL_STAT_COUNT; i < HULL_MAX_STATS; i++)
		EXPECT_EQ(0, stats.value[i] | stats.cycles[i]);
	EXPECT_ERRNO(EFAULT, ioctl(guest->cpu[0].fd, HULL_GET_STATS, nowhere()));
}

HULL_TEST_MAIN
