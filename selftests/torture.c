// SPDX-License-Identifier: GPL-2.0
/*
 * The torture guest (program/torture.h) in each paging format, with one and two vCPUs, while the
 * launcher takes away and gives back a part of its memory, moves the rest to other addresses of its
 * own, drops its mappings, turns the dirty log on and off, writes to live tables when asked, and
 * has the check mode walk all tables.
 *
 * HULL_SEED=n repeats the random numbers of a run that printed n; with one vCPU and
 * HULL_QUIET=1, which leaves the memory alone, all of it. HULL_SECONDS=n: for the whole program, in
 * place of 20 (scaled, at most 60) or 600 (HULL_LONG=1).
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "program/torture_shared.h"
#include "harness.h"
#include "program.h"

#define PAGE		4096UL
#define VARIANTS	8

FIXTURE(torture) {
	struct guest guest;
	const struct program *program;
	struct torture *shared;
	unsigned char *alias;	/* the same memory elsewhere in this process */
	int fd;
	bool checked;
	volatile bool stop;
	volatile bool failed;
	pthread_t second, disturber;
	pthread_mutex_t checking;
	unsigned int disturbances, checks;
	uint64_t random;
};

FIXTURE_VARIANT(torture) {
	const struct program *program;
	int cpus;
};

FIXTURE_VARIANT_ADD(torture, legacy) { &program_torture32, 1 };
FIXTURE_VARIANT_ADD(torture, pae) { &program_torture_pae, 1 };
FIXTURE_VARIANT_ADD(torture, long_mode) { &program_torture64, 1 };
FIXTURE_VARIANT_ADD(torture, five_levels) { &program_torture57, 1 };
FIXTURE_VARIANT_ADD(torture, legacy_smp) { &program_torture32, 2 };
FIXTURE_VARIANT_ADD(torture, pae_smp) { &program_torture_pae, 2 };
FIXTURE_VARIANT_ADD(torture, long_mode_smp) { &program_torture64, 2 };
FIXTURE_VARIANT_ADD(torture, five_levels_smp) { &program_torture57, 2 };

typedef FIXTURE_DATA(torture) data;

static unsigned int number_from(const char *name, unsigned int otherwise)
{
	const char *text = getenv(name);

	return text && atoi(text) > 0 ? atoi(text) : otherwise;
}

/* For each variant. */
static unsigned int seconds(void)
{
	unsigned int total = time_scale() < 3 ? 20 * time_scale() : 60;

	if (getenv("HULL_LONG"))
		total = 600;
	total = number_from("HULL_SECONDS", total);
	return total > VARIANTS ? total / VARIANTS : 1;
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static uint32_t random32(data *self)
{
	self->random ^= self->random << 13;
	self->random ^= self->random >> 7;
	self->random ^= self->random << 17;
	return self->random >> 16;
}

/* ---- memory --------------------------------------------------------------------------------- */

/* A file in place of the guest's private memory, mapped twice. */
static int share_memory(data *self)
{
	struct guest *guest = &self->guest;

	self->fd = memfd_create("guest", 0);
	if (self->fd < 0 || ftruncate(self->fd, PROGRAM_END))
		return -1;
	self->alias = mmap(NULL, PROGRAM_END, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	if (self->alias == MAP_FAILED)
		return -1;
	if (mmap(guest->memory, PROGRAM_END, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		 self->fd, 0) != guest->memory)
		return -1;
	return 0;
}

/* Three parts; what the removable one and the others are is chosen anew each time. */
static int set_memory(data *self, bool all)
{
	const __u64 ends[] = { PROGRAM_TABLES, PROGRAM_DATA, REMOVABLE, PROGRAM_END };
	struct hull_region regions[4];
	uint32_t r = random32(self), i;
	__u64 start = 0;

	for (i = 0; i < 4; i++) {
		unsigned char *from = r >> i & 1 ? self->alias : self->guest.memory;

		regions[i] = (struct hull_region) {
			.gpa = start, .size = ends[i] - start,
			.hva = (__u64)(unsigned long)(from + start),
			.flags = r >> (4 + i) & 1 ? HULL_REGION_LOG_DIRTY : 0,
		};
		start = ends[i];
	}
	return hull_set_memory(self->guest.vm, regions, all ? 4 : 3);
}

static void disturb(data *self)
{
	static __u64 bitmap[(REMOVABLE - PROGRAM_DATA) / PAGE / 64 + 1];
	uint32_t r = random32(self), page = r / 16 % (PROGRAM_END / PAGE - 16);

	switch (r % 16) {
	case 0 ... 3:
		self->failed |= set_memory(self, false) != 0;
		usleep(r / 16 % 500);
		self->failed |= set_memory(self, true) != 0;
		break;
	case 4 ... 6:
		self->failed |= set_memory(self, true) != 0;
		break;
	case 7 ... 9:
		/* ENOENT when there is no log just now. */
		if (hull_get_dirty(self->guest.vm, PROGRAM_DATA, REMOVABLE - PROGRAM_DATA, bitmap,
				   HULL_DIRTY_CLEAR) && errno != ENOENT)
			self->failed = true;
		break;
	case 10 ... 12:
		madvise(self->guest.memory + page * PAGE, 16 * PAGE, MADV_DONTNEED);
		madvise(self->alias + page * PAGE, 16 * PAGE, MADV_DONTNEED);
		break;
	case 13:
		if (self->checked) {
			pthread_mutex_lock(&self->checking);
			self->failed |= hull_vm_check(self->guest.vm) != 0;
			pthread_mutex_unlock(&self->checking);
			self->checks++;
		}
		break;
	default:
		usleep(r / 16 % 2000);
	}
	self->disturbances++;
}

static void *run_disturber(void *arg)
{
	data *self = arg;

	while (!self->stop) {
		disturb(self);
		usleep(200);
	}
	return NULL;
}

/* ---- vCPUs ---------------------------------------------------------------------------------- */

/* What is in the guest's memory but not in the table; a hole reads as agreed. */
static void answer_memory(data *self, struct hull_endpoint *own)
{
	const struct hull_mailbox *request = &own->current;
	__u64 value = HOLE_VALUE(request->address);

	if (request->address < PROGRAM_END) {
		value = 0;
		if (request->flags & HULL_MAILBOX_WRITE)
			memcpy(self->alias + request->address, &request->value, request->size);
		else
			memcpy(&value, self->alias + request->address, request->size);
	}
	hull_answer(own, value);
}

/* Until a report that the vCPU's thread must look at; 0 after a line that says what came. */
static __u32 run(data *self, unsigned int id)
{
	struct guest_cpu *cpu = &self->guest.cpu[id];
	const struct hull_mailbox *request = &cpu->own.current;
	int ret;

	for (;;) {
		ret = guest_run(&self->guest, id);
		if (ret == -1 && errno == EINTR && !cpu->run->stop)
			continue;
		if (ret != HULL_EXIT_REQUEST || request->space != HULL_SPACE_MEMORY)
			break;
		answer_memory(self, &cpu->own);
	}
	return program_report(&self->guest, id, self->program, ret);
}

static void *run_second(void *arg)
{
	data *self = arg;

	if (run(self, 1) != REPORT_DONE && !self->guest.cpu[1].run->stop)
		self->failed = true;
	return NULL;
}

/* The entry that the guest asked for, in the launcher's own way. */
static void write_entry(data *self)
{
	struct torture *shared = self->shared;
	int size = self->program == &program_torture32 ? 4 : 8;
	__u64 gpa = shared->write_gpa;

	if (gpa < POOL_TABLES || gpa >= POOL_END)
		return;
	/* Between write and announcement the check mode would complain. */
	pthread_mutex_lock(&self->checking);
	memcpy(self->alias + gpa, &shared->write_entry, size);
	if (!hull_memory_written(self->guest.vm, gpa, size))
		shared->written = 1;
	else
		self->failed = true;
	pthread_mutex_unlock(&self->checking);
}

static void complain(const struct torture *shared)
{
	static const char *const names[] = {
		"nothing", "a fault", "a value", "accessed or dirty bits", "a table",
		"a write after a shootdown", "writes of the second vCPU",
	};

	static const char *const settled[] = { "nothing to flush", "INVLPG", "PGE", "CR3" };
	int i;

	printf("# step %u: %s: kind %u, address %#llx: got %#llx, wanted %#llx, at %#llx\n",
	       shared->step, shared->failure < 7 ? names[shared->failure] : "?", shared->kind,
	       (unsigned long long)shared->address, (unsigned long long)shared->got,
	       (unsigned long long)shared->wanted, (unsigned long long)shared->where);
	printf("# %s, cr0 %#llx, cr3 %#llx, cr4 %#llx;", settled[shared->settled % 4],
	       (unsigned long long)shared->cr0, (unsigned long long)shared->cr3,
	       (unsigned long long)shared->cr4);
	for (i = 0; i < 5; i++)
		printf(" %#llx: %#llx", (unsigned long long)shared->at[i],
		       (unsigned long long)shared->entry[i]);
	printf("\n");
}

/* Until time is over. True when the guest found all as it should be. */
static bool run_first(data *self)
{
	uint64_t end = now() + seconds() * 1000000000ULL;

	for (;;) {
		__u32 report = run(self, 0);

		switch (report) {
		case REPORT_WRITE:
			write_entry(self);
			break;
		case REPORT_SYNC:
			if (now() > end || self->failed)
				self->shared->stop = 1;
			break;
		case REPORT_DONE:
			return true;
		default:
			if (report == REPORT_FAILED)
				complain(self->shared);
			else
				printf("# at step %u, address %#llx\n", self->shared->step,
				       (unsigned long long)self->shared->address);
			return false;
		}
		/* The answer that lets the guest go on. */
		hull_answer(&self->guest.cpu[0].own, 0);
	}
}

/* ---- test ----------------------------------------------------------------------------------- */

static void ignore(int sig)
{
}

static bool has_pcids(data *self)
{
	struct hull_info info;

	return self->program == &program_torture64 && !hull_get_info(self->guest.dev, &info) &&
	       info.paging == HULL_PAGING_SHADOW;
}

FIXTURE_SETUP(torture)
{
	const struct sigaction action = { .sa_handler = ignore };
	struct hull_info info;
	unsigned int seed = number_from("HULL_SEED", now() % 1000000 + 1);

	pthread_mutex_init(&self->checking, NULL);
	self->program = variant->program;
	ASSERT_EQ(0, guest_create(&self->guest, 0, PROGRAM_END)) {
		TH_LOG("cannot create a VM: %s", strerror(errno));
	}
	ASSERT_EQ(0, hull_get_info(self->guest.dev, &info));
	if (self->program->la57 && !guest_has_la57(&self->guest))
		SKIP_VARIANT("the CPU has no five levels");
	self->checked = info.capabilities & HULL_CAP_CHECK_MODE;
	ASSERT_EQ(0, share_memory(self));
	self->random = seed;
	ASSERT_EQ(0, program_start(&self->guest, 0, self->program));
	if (variant->cpus == 2) {
		ASSERT_EQ(0, guest_add_cpu(&self->guest, 1));
		ASSERT_EQ(0, program_start(&self->guest, 1, self->program));
	}
	self->shared = (struct torture *)(self->guest.memory + PROGRAM_SHARED);
	self->shared->seed = seed;
	self->shared->sync = 256;
	self->shared->flags = TORTURE_WRITES | TORTURE_CR4(guest_new_cr4(&self->guest)) |
			      (variant->cpus == 2 ? TORTURE_SECOND : 0) |
			      (has_pcids(self) ? TORTURE_PCID : 0);
	sigaction(SIGUSR1, &action, NULL);
	printf("# HULL_SEED=%u, %u s\n", seed, seconds());
}

FIXTURE_TEARDOWN(torture)
{
	if (self->checked)
		EXPECT_EQ(0, hull_vm_check(self->guest.vm));
	guest_destroy(&self->guest);
	munmap(self->alias, PROGRAM_END);
	close(self->fd);
}

static void stop_second(data *self, bool ok)
{
	if (!ok) {
		self->guest.cpu[1].run->stop = 1;
		pthread_kill(self->second, SIGUSR1);
	}
	pthread_join(self->second, NULL);
}

TEST_F_TIMEOUT(torture, tables_change_and_accesses_agree, 400)
{
	const struct torture *shared = self->shared;
	bool quiet = getenv("HULL_QUIET"), ok;

	/* A software interrupt that meets a page which was taken away is lost there. */
	if (runs_on("bochs/svm"))
		quiet = true;
	if (NEVER_INTERRUPTED && variant->cpus == 2)
		SKIP(return, "one CPU, which nothing takes from a guest with IF clear");
	if (!quiet) {
		ASSERT_EQ(0, set_memory(self, true));
		ASSERT_EQ(0, pthread_create(&self->disturber, NULL, run_disturber, self));
	}
	if (variant->cpus == 2)
		ASSERT_EQ(0, pthread_create(&self->second, NULL, run_second, self));
	ok = run_first(self);
	if (variant->cpus == 2)
		stop_second(self, ok);
	self->stop = true;
	if (!quiet)
		pthread_join(self->disturber, NULL);
	printf("# %u steps, %u reads, %u writes, %u table writes, %u fetches, %u holes, %u faults\n",
	       shared->step, shared->reads, shared->writes, shared->table_writes, shared->fetches,
	       shared->holes, shared->faults);
	printf("# %u changes, %u roots, %u shootdowns, %u by the second vCPU, %u extra bits\n",
	       shared->changes, shared->switches, shared->shootdowns, shared->hammered,
	       shared->extra);
	printf("# %u disturbances, %u walks of the check mode\n", self->disturbances,
	       self->checks);
	EXPECT_TRUE(ok);
	EXPECT_FALSE(self->failed);
	/* A test that only meets holes tests nothing. */
	if (shared->step > 5000) {
		EXPECT_LT(shared->step / 8, shared->reads);
		EXPECT_LT(shared->step / 20, shared->writes);
		EXPECT_LT(0, shared->table_writes);
		EXPECT_LT(0, shared->fetches);
		EXPECT_LT(shared->step / 20, shared->faults);
	}
}

HULL_TEST_MAIN
