// SPDX-License-Identifier: GPL-2.0
/*
 * Two vCPUs: started by registers and by INIT and SIPI, exchanging interrupts and messages while
 * the launcher takes away and restores memory they use; and memory remapped by one thread while
 * another vCPU reads it: once the call has returned nobody sees the old contents. Last, a VM on one
 * CPU while another CPU loads FPU state without end.
 *
 * To be run on a host with two CPUs; with one it is slow.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"
#include "harness.h"
#include "trap.h"

#define PAGE	4096UL
#define ROUNDS	2000
/* In memory of the guest */
#define SHARED	0x100000	/* a region of its own */
#define COUNT0	0x40000
#define COUNT1	0x40040

FIXTURE(smp) {
	struct guest guest;
	struct hull_region regions[2];
	pthread_t threads[2];
};

FIXTURE_SETUP(smp)
{
	struct sigaction action = { .sa_handler = SIG_DFL };

	sigaction(SIGUSR1, &action, NULL);
	ASSERT_EQ(0, guest_create(&self->guest, HULL_VM_IRQCHIP, GUEST_SIZE)) {
		TH_LOG("cannot create a VM: %s", strerror(errno));
	}
	ASSERT_EQ(0, guest_add_cpu(&self->guest, 1));
	self->regions[0] = (struct hull_region) {
		.size = SHARED, .hva = (__u64)(unsigned long)self->guest.memory,
	};
	self->regions[1] = (struct hull_region) {
		.gpa = SHARED, .size = PAGE, .hva = self->regions[0].hva + SHARED,
	};
}

FIXTURE_TEARDOWN(smp)
{
	EXPECT_EQ(0, hull_vm_check(self->guest.vm));
	guest_destroy(&self->guest);
}

static volatile __u32 *word(struct guest *guest, __u64 gpa)
{
	return (volatile __u32 *)(guest->memory + gpa);
}

/* ---- threads -------------------------------------------------------------------------------- */

static void ignore(int sig)
{
}

/* Answers accesses in the gap; ends at stop. The result is NULL when all was as it should be. */
static void *run_cpu(void *arg)
{
	struct guest_cpu *cpu = arg;
	struct hull_posted posted;
	int errors = 0;

	for (;;) {
		if (hull_run(cpu->fd)) {
			if (errno != EINTR)
				return "run failed";
			if (__atomic_load_n(&cpu->run->stop, __ATOMIC_RELAXED))
				return errors ? "unexpected access" : NULL;
			continue;
		}
		if (cpu->run->exit != HULL_EXIT_REQUEST)
			return cpu->run->exit == HULL_EXIT_ENDED ? "ended" : "unexpected exit";
		while (hull_next(&cpu->own, &posted) == HULL_WORK_REQUEST) {
			const struct hull_mailbox *request = &cpu->own.current;

			if (request->space != HULL_SPACE_MEMORY ||
			    request->address < SHARED || request->address >= SHARED + PAGE)
				errors++;
			hull_answer(&cpu->own, 0);
		}
	}
}

static int start_threads(struct guest *guest, pthread_t *threads)
{
	struct sigaction action = { .sa_handler = ignore };
	int id;

	sigaction(SIGUSR1, &action, NULL);
	for (id = 0; id < 2; id++) {
		if (pthread_create(&threads[id], NULL, run_cpu, &guest->cpu[id]))
			return -1;
	}
	return 0;
}

static int stop_threads(struct guest *guest, pthread_t *threads)
{
	struct hull_gprs gprs;
	int id, ret = 0;
	void *failed;

	for (id = 0; id < 2; id++)
		guest->cpu[id].run->stop = 1;
	for (id = 0; id < 2; id++) {
		pthread_kill(threads[id], SIGUSR1);
		pthread_join(threads[id], &failed);
		if (failed) {
			printf("# vCPU %d: %s, reason %u, rip %#llx\n", id, (const char *)failed,
			       guest->cpu[id].run->end_reason, guest->cpu[id].run->end_rip);
			ret = -1;
		}
		if (!guest_get_gprs(guest, id, &gprs))
			printf("# vCPU %d stopped at %#llx, count %u\n", id, gprs.rip,
			       *word(guest, id ? COUNT1 : COUNT0));
	}
	return ret;
}

/* ---- ping-pong ------------------------------------------------------------------------------ */

/*
 * A periodic timer, as kernels have one: QEMU forgets the shadow of STI when it leaves the guest
 * there, and an interrupt taken between STI and HLT wakes nobody.
 */
#define TICK									\
	"movl $0xb, 0x3e0(%r15)\n movl $0x20081, 0x320(%r15)\n"		\
	"movl $20000000, 0x380(%r15)\n"

/*
 * Each waits by HLT for its interrupt, counts, writes the count into the shared region and sends an
 * interrupt to the other. vCPU 0 begins. The vector is 0x80 for both; the APIC is at R15.
 */
#define PING(me, other, mine)							\
	"mov $0xfee00000, %r15d\n movl $0x1ff, 0xf0(%r15)\n"			\
	"movl $(" #other " << 24), 0x310(%r15)\n"				\
	TICK									\
	"xor %ebx, %ebx\n"

GUEST(ping, 64,
      PING(0, 1, 0x40000)
      "1: cmpl $0, 0x40080\n jne 2f\n pause\n jmp 1b\n"		/* until the other is there */
      "2: incl 0x40000\n mov 0x40000, %eax\n mov %eax, 0x100000\n mov 0x100040, %ecx\n"
      "movl $0x4080, 0x300(%r15)\n"
      "3: cli\n mov 0x40040, %eax\n cmp 0x40000, %eax\n je 4f\n sti\n hlt\n jmp 3b\n"
      "4: sti\n jmp 2b");
GUEST(pong, 64,
      PING(1, 0, 0x40040)
      "movl $1, 0x40080\n"
      "3: cli\n mov 0x40040, %eax\n cmp 0x40000, %eax\n jne 4f\n sti\n hlt\n jmp 3b\n"
      "4: sti\n incl 0x40040\n mov 0x40040, %eax\n mov %eax, 0x100040\n mov 0x100000, %ecx\n"
      "movl $0x4080, 0x300(%r15)\n jmp 3b");

/* While both run: take the shared region away and give it back. */
static unsigned int disturb_until(struct guest *guest, const struct hull_region *regions,
				  __u32 rounds)
{
	unsigned int changes = 0, last = 0, idle = 0;

	while (*word(guest, COUNT0) < rounds) {
		if (hull_set_memory(guest->vm, regions, 1))
			return 0;
		usleep(changes % 3 * 100);
		if (hull_set_memory(guest->vm, regions, 2))
			return 0;
		usleep(500);
		changes++;
		if (*word(guest, COUNT0) != last)
			idle = 0;
		else if (++idle > 1000 * time_scale())
			return 0;
		last = *word(guest, COUNT0);
	}
	return changes;
}

TEST_F_TIMEOUT(smp, ping_pong_started_by_registers, 60)
{
	struct guest *guest = &self->guest;
	int id;

	if (runs_on("bochs/vmx") && NEVER_INTERRUPTED)
		SKIP(return, "one CPU, which nothing takes from a guest with IF clear");
	ASSERT_EQ(0, hull_set_memory(guest->vm, self->regions, 2));
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(ping)));
	ASSERT_EQ(0, guest_start(guest, 1, GUEST_LONG, GUEST_CODE(pong)));
	for (id = 0; id < 2; id++)
		ASSERT_EQ(0, trap_install(guest, id, GUEST_LONG, TRAP_COUNT_IRQS));
	ASSERT_EQ(0, start_threads(guest, self->threads));
	EXPECT_LT(0, disturb_until(guest, self->regions, ROUNDS));
	EXPECT_EQ(0, stop_threads(guest, self->threads));
	EXPECT_LE(ROUNDS, *word(guest, COUNT0));
	EXPECT_GE(1, *word(guest, COUNT0) - *word(guest, COUNT1));
}

/* vCPU 1 comes from INIT and SIPI in real mode at 0x12000, and goes to long mode by itself. */
GUEST(starter, 64,
      "mov $0xfee00000, %r15d\n movl $0x1ff, 0xf0(%r15)\n movl $(1 << 24), 0x310(%r15)\n"
      "movl $0x4500, 0x300(%r15)\n"
      "mov $10000, %ecx\n 1: pause\n loop 1b\n"
      "movl $0x4612, 0x300(%r15)\n"
      "mov $0x10800, %eax\n jmp *%rax");

GUEST(trampoline, 16,
      "cli\n xor %ax, %ax\n mov %ax, %ds\n"
      "lgdtl 0x7000\n"
      "mov $0x6a0, %eax\n mov %eax, %cr4\n"			/* PAE and friends */
      "mov $0x1000, %eax\n mov %eax, %cr3\n"
      "mov $0xc0000080, %ecx\n mov $0x100, %eax\n xor %edx, %edx\n wrmsr\n"
      "mov $0x80000011, %eax\n mov %eax, %cr0\n"
      "ljmpl $8, $0x12080\n"
      ".org guest_trampoline + 128\n"
      ".code64\n"
      "mov $0x10, %eax\n mov %eax, %ds\n mov %eax, %es\n mov %eax, %ss\n"
      "mov $0x9ff0, %esp\n lidt 0x7010\n"
      "mov $0x11000, %eax\n jmp *%rax");

TEST_F_TIMEOUT(smp, ping_pong_started_by_sipi, 60)
{
	struct guest *guest = &self->guest;
	struct { __u16 pad[3]; __u16 limit; __u64 base; } table;

	if (NEVER_INTERRUPTED)
		SKIP(return, "one CPU, which nothing takes from a guest with IF clear");
	ASSERT_EQ(0, hull_set_memory(guest->vm, self->regions, 2));
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(starter)));
	ASSERT_EQ(0, trap_install(guest, 0, GUEST_LONG, TRAP_COUNT_IRQS));
	memcpy(guest->memory + 0x10800, guest_ping, guest_ping_end - guest_ping);
	memcpy(guest->memory + 0x11000, guest_pong, guest_pong_end - guest_pong);
	memcpy(guest->memory + 0x12000, guest_trampoline,
	       guest_trampoline_end - guest_trampoline);
	/* Page tables are at 0x1000 to 0x6fff: the pseudo-descriptors lie behind. */
	table.limit = 0xff;
	table.base = TRAP_GDT_GPA;
	memcpy(guest->memory + 0x7000, &table.limit, 10);
	table.limit = 0xfff;
	table.base = TRAP_IDT_GPA;
	memcpy(guest->memory + 0x7010, &table.limit, 10);
	ASSERT_EQ(0, start_threads(guest, self->threads));
	EXPECT_LT(0, disturb_until(guest, self->regions, ROUNDS));
	EXPECT_EQ(0, stop_threads(guest, self->threads));
	EXPECT_LE(ROUNDS, *word(guest, COUNT0));
}

/* ---- stale translations --------------------------------------------------------------------- */

/*
 * Both vCPUs copy the shared word to a place of their own and count. When the count has gone on by
 * two after the call, a whole turn was made after it.
 */
GUEST(reader0, 64, "1: mov 0x100000, %eax\n mov %eax, 0x40010\n incl 0x40000\n jmp 1b");
GUEST(reader1, 64, "1: mov 0x100000, %eax\n mov %eax, 0x40050\n incl 0x40040\n jmp 1b");

static bool turn(struct guest *guest, __u64 count)
{
	__u32 start = *word(guest, count);
	int i;

	for (i = 0; i < 100000 * (int)time_scale(); i++) {
		if (*word(guest, count) - start >= 2)
			return true;
		usleep(50);
	}
	return false;
}

static bool both_see(struct guest *guest, __u32 value)
{
	bool ok = true;
	int id;

	for (id = 0; id < 2; id++) {
		__u64 count = id ? COUNT1 : COUNT0;

		if (!turn(guest, count) || *word(guest, count + 16) != value) {
			printf("# vCPU %d sees %u, not %u\n", id, *word(guest, count + 16), value);
			ok = false;
		}
	}
	return ok;
}

static int remap(void *at, int fd, off_t offset)
{
	void *page = mmap(at, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, offset);

	return page == at ? 0 : -1;
}

TEST_F_TIMEOUT(smp, nothing_stale_is_seen_after_a_call, 60)
{
	struct guest *guest = &self->guest;
	void *at = guest->memory + SHARED;
	int fd = memfd_create("pages", 0);
	__u32 i, value;

	if (NEVER_INTERRUPTED)
		SKIP(return, "one CPU, which nothing takes from a guest with IF clear");
	ASSERT_EQ(0, ftruncate(fd, 16 * PAGE));
	for (i = 0; i < 16; i++) {
		value = 100 + i;
		ASSERT_EQ(4, pwrite(fd, &value, 4, i * PAGE));
	}
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(reader0)));
	ASSERT_EQ(0, guest_start(guest, 1, GUEST_LONG, GUEST_CODE(reader1)));
	ASSERT_EQ(0, remap(at, fd, 0));
	ASSERT_EQ(0, start_threads(guest, self->threads));
	for (i = 0; i < 60 && !_metadata->trigger; i++) {
		EXPECT_EQ(0, remap(at, fd, i % 16 * PAGE));
		EXPECT_TRUE(both_see(guest, 100 + i % 16));
		/* Private, written, dropped: the file's contents again. */
		EXPECT_EQ(at, mmap(at, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd,
				   i % 16 * PAGE));
		EXPECT_TRUE(both_see(guest, 100 + i % 16));
		*(volatile __u32 *)at = i;
		EXPECT_TRUE(both_see(guest, i));
		EXPECT_EQ(0, madvise(at, PAGE, MADV_DONTNEED));
		EXPECT_TRUE(both_see(guest, 100 + i % 16));
		/* A table without it and with another page there */
		self->regions[1].hva = self->regions[0].hva + SHARED + (1 + i % 4) * PAGE;
		*word(guest, SHARED + (1 + i % 4) * PAGE) = 1000 + i;
		EXPECT_EQ(0, hull_set_memory(guest->vm, self->regions, 2));
		EXPECT_TRUE(both_see(guest, 1000 + i));
		self->regions[1].hva = self->regions[0].hva + SHARED;
		EXPECT_EQ(0, hull_set_memory(guest->vm, self->regions, 2));
		EXPECT_TRUE(both_see(guest, 100 + i % 16));
	}
	EXPECT_EQ(0, stop_threads(guest, self->threads));
	close(fd);
}

/* ---- time ----------------------------------------------------------------------------------- */

GUEST(tsc, 64, "rdtsc\n shl $32, %rdx\n or %rdx, %rax\n out %al, $0xe8\n 1: hlt\n jmp 1b");

TEST_F(smp, vcpus_have_the_same_time)
{
	struct guest *guest = &self->guest;
	struct hull_gprs gprs;
	__u64 last = 0;
	int i;

	for (i = 0; i < 6; i++) {
		ASSERT_EQ(0, guest_start(guest, i & 1, GUEST_LONG, GUEST_CODE(tsc)));
		ASSERT_EQ(HULL_EXIT_REQUEST, guest_run(guest, i & 1));
		ASSERT_EQ(0, guest_get_gprs(guest, i & 1, &gprs));
		EXPECT_LT(last, gprs.gpr[HULL_GPR_RAX]);
		EXPECT_GT(last + (1ULL << 36), gprs.gpr[HULL_GPR_RAX]);
		last = gprs.gpr[HULL_GPR_RAX];
		hull_answer(&guest->cpu[i & 1].own, 0);
	}
}

/* ---- the other CPU's FPU -------------------------------------------------------------------- */

GUEST(leaver, 64,
      "1: mov $2000, %esi\n"
      "2: xor %eax, %eax\n cpuid\n dec %esi\n jnz 2b\n"
      "out %al, $0xe8\n jmp 1b");

/* Moves the calling thread to the @nth of the CPUs it may use; false: there is none. */
static bool move_to(unsigned int nth)
{
	cpu_set_t set;
	int cpu;

	if (sched_getaffinity(0, sizeof(set), &set))
		return false;
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &set) && !nth--) {
			CPU_ZERO(&set);
			CPU_SET(cpu, &set);
			return !sched_setaffinity(0, sizeof(set), &set);
		}
	}
	return false;
}

static void load_fpu_for_ever(void)
{
	char environment[28];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!move_to(1))
		_exit(1);
	asm volatile("fnstenv %0" : "=m" (environment));
	for (;;)
		asm volatile("fldenv %0" : : "m" (environment));
}

/* An emulated host that mixes up its CPUs fails here: see README.md. */
TEST_F_TIMEOUT(smp, a_vm_beside_fpu_loads, 60)
{
	struct guest *guest = &self->guest;
	cpu_set_t set;
	pid_t loader;
	int i;

	if (NEVER_INTERRUPTED)
		SKIP(return, "one CPU, which nothing takes from a guest with IF clear");
	ASSERT_EQ(0, sched_getaffinity(0, sizeof(set), &set));
	if (CPU_COUNT(&set) < 2)
		SKIP(return, "only one CPU");
	loader = fork();
	if (!loader)
		load_fpu_for_ever();
	ASSERT_LT(0, loader);
	EXPECT_TRUE(move_to(0));
	EXPECT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(leaver)));
	for (i = 0; i < 10; i++) {
		int exit = guest_run(guest, 0);

		EXPECT_EQ(HULL_EXIT_REQUEST, exit);
		if (exit != HULL_EXIT_REQUEST)
			break;
		hull_answer(&guest->cpu[0].own, 0);
	}
	EXPECT_EQ(0, kill(loader, SIGKILL));
	EXPECT_EQ(loader, waitpid(loader, NULL, 0));
}

HULL_TEST_MAIN
