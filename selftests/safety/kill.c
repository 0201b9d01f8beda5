// SPDX-License-Identifier: GPL-2.0
/*
 * kill - end a launcher with SIGKILL at many moments and see that nothing of its VM is left
 *
 * Usage: kill [ROUNDS]	rounds of 20 moments (default 10); HULL_SEED: of the random numbers
 *
 * A victim makes a VM with two vCPUs, one of which talks to a device in a thread or a process,
 * while the other one works on memory that a third thread deletes and restores all the time. The
 * victim counts what happens in shared memory (ioctls, exits to it, requests served); at a given
 * count its parent kills it, some microseconds later. In other rounds it is killed while a vCPU
 * waits for an answer, for room in the ring, in HLT, or while the VM is taken apart. Then the
 * module must be unused at once. Prints TAP.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "device.h"
#include "klog.h"
#include "scale.h"

#define REGION		0x40000000UL
#define REGION_SIZE	(4UL << 20)

enum scene {
	CREATE, RUN, MAILBOX, POSTED_FULL, HALTED, TEARDOWN, SCENES
};

static const char *const scene_names[] = {
	"while the VM is made", "while it runs", "waiting for an answer", "waiting for room",
	"halted", "while the VM is taken apart",
};

/* Of 20 moments; a round has them all. */
static const unsigned int moments[] = { 5, 7, 2, 2, 1, 3 };

/**
 * struct moment - when a victim is killed; shared with it
 * @scene: what it plays
 * @process: its device is a process
 * @irqchip: its VM has interrupt controllers
 * @events: what has happened so far
 * @ready: the scene's last act has begun; @events counts from 0 again
 * @kill_at: number of events
 * @delay: us after that
 */
struct moment {
	enum scene scene;
	bool process;
	bool irqchip;
	__u32 events;
	__u32 ready;
	__u32 kill_at;
	unsigned int delay;
};

static struct moment *moment;

static void event(void)
{
	__atomic_add_fetch(&moment->events, 1, __ATOMIC_SEQ_CST);
}

static void begin_last_act(void)
{
	__atomic_store_n(&moment->events, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&moment->ready, 1, __ATOMIC_SEQ_CST);
}

/* ---- the victim ----------------------------------------------------------------------------- */

/* Write to all pages of the region, tell, for ever. */
GUEST(worker, 64,
      "1: mov $0x40000000, %ebx\n"
      "2: incl (%rbx)\n add $65536, %rbx\n"
      "cmp $0x40400000, %rbx\n jb 2b\n"
      "out %eax, $0xe9\n jmp 1b");
GUEST(sleeper, 64, "1: hlt\n jmp 1b");

static struct guest guest;
static unsigned char *region;
static struct device *device;
static bool stopping;

static void give_up(const char *what)
{
	printf("# victim: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	_exit(3);
}

static void ended(unsigned int id)
{
	const struct hull_run *run = guest.cpu[id].run;

	printf("# victim: the VM has ended, vCPU %u: reason %u, code %#llx, info %#llx %#llx\n", id,
	       run->end_reason, (unsigned long long)run->end_code,
	       (unsigned long long)run->end_info[0], (unsigned long long)run->end_info[1]);
	printf("# victim: at %#llx, %u bytes %02x %02x %02x %02x\n",
	       (unsigned long long)run->end_rip, run->end_insn_len, run->end_insn[0],
	       run->end_insn[1], run->end_insn[2], run->end_insn[3]);
	fflush(stdout);
	_exit(3);
}

static int set_region(bool there)
{
	const struct hull_region regions[] = {
		{ .size = guest.size, .hva = (unsigned long)guest.memory },
		{ .gpa = REGION, .size = REGION_SIZE, .hva = (unsigned long)region },
	};

	return hull_set_memory(guest.vm, regions, there ? 2 : 1);
}

static void *run_cpu(void *arg)
{
	unsigned int id = (unsigned long)arg;

	while (!__atomic_load_n(&stopping, __ATOMIC_RELAXED)) {
		int exit = guest_run(&guest, id);

		event();
		if (exit == HULL_EXIT_REQUEST)
			hull_answer(&guest.cpu[id].own, 0);
		else if (exit == HULL_EXIT_ENDED)
			ended(id);
		else if (exit == -1 && errno != EINTR)
			give_up("HULL_RUN");
	}
	return NULL;
}

static void *flip_region(void *arg)
{
	bool there = true;

	while (!__atomic_load_n(&stopping, __ATOMIC_RELAXED)) {
		there = !there;
		if (set_region(there))
			give_up("HULL_SET_MEMORY");
		event();
		if (there)
			madvise(region, REGION_SIZE / 2, MADV_DONTNEED);
	}
	return NULL;
}

/* Serves until the scene wants a device that is silent. */
static void serve(void)
{
	struct hull_channel *channels = hull_map_consumer(device->fd, 1);
	struct hull_endpoint endpoint;
	struct hull_posted posted;
	unsigned int served = 0;
	enum hull_work work;

	if (!channels)
		give_up("mapping of a consumer");
	hull_endpoint_init(&endpoint, channels, device->fd, 0);
	while (!__atomic_load_n(&device->stop, __ATOMIC_RELAXED)) {
		if (moment->scene == POSTED_FULL && served > 5) {
			if (endpoint.channel->mailbox.posted_head - endpoint.tail ==
			    HULL_POSTED_ENTRIES && !moment->ready)
				begin_last_act();
			usleep(100);
			continue;
		}
		work = hull_next(&endpoint, &posted);
		if (work == HULL_WORK_REQUEST) {
			served++;
			event();
			if (moment->scene == MAILBOX && served > 5) {
				if (!moment->ready)
					begin_last_act();
				usleep(100);
				continue;
			}
			hull_answer(&endpoint, served);
		} else if (work == HULL_WORK_NONE) {
			hull_consumer_wait(&endpoint, 1, 50);
		}
	}
	hull_unmap_consumer(channels, 1);
}

static void *serve_thread(void *arg)
{
	serve();
	return NULL;
}

/* A device process outlives its launcher for a moment, as real ones do. */
static void serve_process(pid_t launcher)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, serve_thread, NULL))
		_exit(3);
	while (getppid() == launcher && !device->stop)
		usleep(500);
	usleep(moment->delay % 3000);
	_exit(0);
}

static void make_vm(void)
{
	if (guest_create(&guest, moment->irqchip ? HULL_VM_IRQCHIP | HULL_VM_PIT : 0, GUEST_SIZE))
		give_up("guest_create()");
	event();
	if (guest_add_cpu(&guest, 1))
		give_up("guest_add_cpu()");
	event();
	region = mmap(NULL, REGION_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (region == MAP_FAILED || set_region(true))
		give_up("HULL_SET_MEMORY");
	event();
	device = device_create(hull_create_consumer(guest.vm));
	if (!device || device->fd < 0)
		give_up("HULL_CREATE_CONSUMER");
	event();
	/* The ring fills up when there are more writes than entries between two reads. */
	if (guest_start_burst(&guest, device->fd, moment->scene == POSTED_FULL ? 200 : 10))
		give_up("HULL_ADD_RANGE");
	event();
	if (moment->scene == HALTED &&
	    guest_start(&guest, 0, GUEST_LONG, GUEST_CODE(sleeper)))
		give_up("HULL_SET_STATE");
	if (guest_start(&guest, 1, GUEST_LONG, GUEST_CODE(worker)))
		give_up("HULL_SET_STATE");
	event();
}

static void take_vm_apart(pthread_t cpu0, pthread_t cpu1, pthread_t flipper)
{
	begin_last_act();
	__atomic_store_n(&stopping, true, __ATOMIC_RELAXED);
	__atomic_store_n(&guest.cpu[0].run->stop, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&guest.cpu[1].run->stop, 1, __ATOMIC_SEQ_CST);
	event();
	/* A vCPU that sleeps sees the word when it is woken. */
	pthread_kill(cpu0, SIGUSR1);
	pthread_kill(cpu1, SIGUSR1);
	pthread_join(flipper, NULL);
	pthread_join(cpu1, NULL);
	event();
	pthread_join(cpu0, NULL);
	event();
	munmap(region, REGION_SIZE);
	event();
	hull_set_memory(guest.vm, NULL, 0);
	event();
	close(guest.cpu[1].fd);
	guest.cpu[1].fd = -1;
	event();
	device->stop = true;
	if (!moment->process)
		close(device->fd);
	event();
	guest_destroy(&guest);
	event();
}

static void on_signal(int number)
{
}

static void be_victim(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	pthread_t cpu0, cpu1, flipper, server;
	pid_t self = getpid();

	/* Should the killer die. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGUSR1, &action, NULL);
	make_vm();
	if (moment->process) {
		pid_t child = fork();

		if (!child)
			serve_process(self);
		close(device->fd);
	} else if (pthread_create(&server, NULL, serve_thread, NULL)) {
		give_up("pthread_create()");
	}
	event();
	pthread_create(&cpu0, NULL, run_cpu, (void *)0);
	pthread_create(&cpu1, NULL, run_cpu, (void *)1);
	pthread_create(&flipper, NULL, flip_region, NULL);
	event();
	if (moment->scene == HALTED) {
		usleep(2000);
		begin_last_act();
	}
	if (moment->scene == TEARDOWN) {
		usleep(5000);
		take_vm_apart(cpu0, cpu1, flipper);
	}
	for (;;)
		pause();
}

/* ---- the killer ----------------------------------------------------------------------------- */

static __u64 random_state;

static unsigned int below(unsigned int limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 16) % limit;
}

static __u64 now_us(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000ULL + time.tv_nsec / 1000;
}

/* True: the moment has come. False: the victim is gone, or it takes 30 seconds (scaled). */
static bool wait_for_moment(pid_t victim)
{
	__u64 end = now_us() + 30000000ULL * time_scale();

	for (;;) {
		bool ready = moment->scene <= RUN ||
			     __atomic_load_n(&moment->ready, __ATOMIC_SEQ_CST);

		if (ready && __atomic_load_n(&moment->events, __ATOMIC_SEQ_CST) >= moment->kill_at)
			break;
		if (waitpid(victim, NULL, WNOHANG) == victim) {
			printf("# the victim ended by itself after %u events\n", moment->events);
			return false;
		}
		if (now_us() > end) {
			printf("# %u events, %u wanted\n", moment->events, moment->kill_at);
			return false;
		}
		sched_yield();
	}
	end = now_us() + moment->delay;
	while (now_us() < end)
		sched_yield();
	return true;
}

/* The module's use count, by which unloading is refused; -1: it is not loaded. */
static int uses(void)
{
	FILE *file = fopen("/sys/module/hull/refcnt", "r");
	int count = -1;

	if (file) {
		if (fscanf(file, "%d", &count) != 1)
			count = -1;
		fclose(file);
	}
	return count;
}

static void plan(enum scene scene, unsigned int number)
{
	static const unsigned int last_event[SCENES] = {
		[CREATE] = 7, [RUN] = 3000, [TEARDOWN] = 8,
	};
	unsigned int limit = last_event[scene];

	memset(moment, 0, sizeof(*moment));
	moment->scene = scene;
	moment->process = number & 1;
	moment->irqchip = scene == HALTED || (number & 2);
	/* Early moments are different ones, late ones are alike. */
	if (scene == RUN)
		moment->kill_at = 8 + (__u64)below(1000) * below(1000) * limit / 1000000;
	else if (limit)
		moment->kill_at = below(limit);
	moment->delay = below(4) ? below(300) : below(5000);
}

/* 0: nothing is left of the victim. */
static int kill_one(enum scene scene, unsigned int number)
{
	int failed = 0, tries = 0;
	pid_t victim;

	plan(scene, number);
	fflush(stdout);
	victim = fork();
	if (victim < 0) {
		printf("# fork: %s\n", strerror(errno));
		return 1;
	}
	if (!victim)
		be_victim();
	failed = !wait_for_moment(victim);
	kill(victim, SIGKILL);
	/* Its device process, too, is a child of ours now. */
	while (wait(NULL) > 0 || errno == EINTR)
		;
	while (uses() != 0 && tries++ < 100 * (int)time_scale())
		usleep(10000);
	if (uses() != 0) {
		printf("# the module is used %d times after the victim's death\n", uses());
		failed = 1;
	}
	if (failed)
		printf("# scene %d, process %d, irqchip %d, event %u, delay %u us\n", scene,
		       moment->process, moment->irqchip, moment->kill_at, moment->delay);
	return failed;
}

int main(int argc, char **argv)
{
	unsigned int rounds = argc > 1 ? atoi(argv[1]) : 10, number = 0, total = 0, failures = 0;
	const char *seed = getenv("HULL_SEED");
	struct klog klog;
	int scene;

	setvbuf(stdout, NULL, _IOLBF, 0);
	random_state = (seed ? strtoull(seed, NULL, 0) : (__u64)time(NULL)) | 1;
	moment = mmap(NULL, sizeof(*moment), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (moment == MAP_FAILED || prctl(PR_SET_CHILD_SUBREAPER, 1))
		return 1;
	klog_open(&klog);
	printf("TAP version 13\n1..%d\n# seed %llu\n", SCENES, random_state);
	for (scene = 0; scene < SCENES; scene++) {
		unsigned int count = moments[scene] * rounds, i, failed = 0;

		for (i = 0; i < count && failed < 3; i++)
			failed += kill_one(scene, number++);
		failed += klog_reports(&klog);
		printf("%sok %d - %u launchers killed %s\n", failed ? "not " : "", scene + 1, i,
		       scene_names[scene]);
		failures += failed;
		total += i;
	}
	printf("# %u launchers killed\n", total);
	return failures != 0;
}
