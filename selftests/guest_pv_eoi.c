// SPDX-License-Identifier: GPL-2.0
/*
 * KVM's paravirtual EOI as a guest uses it: which interrupts end without an exit, what the launcher
 * sees in the APIC's state and in memory meanwhile, and a page that is shared when the module wants
 * to write to it. The rules one by one are tested in irqchip/pv_eoi.c.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"
#include "harness.h"
#include "limit.h"
#include "trap.h"

#define TEN_SECONDS	(10000000UL * time_scale())

#define WORD_GPA	0x41000		/* what MSR_KVM_PV_EOI_EN names */
#define WRITTEN_GPA	0x42000		/* how often the handler wrote EOI */
#define HANDLER_GPA	0x43000
#define SLOW_GPA	0x44000
#define ROUNDS		1000
#define ISR		0x100
#define MSI		0xfee00000ULL

/* R15: the APIC. */
#define SETUP									\
	"mov $0xfee00000, %r15d\n movl $0x1ff, 0xf0(%r15)\n movl $0, 0x310(%r15)\n"	\
	"mov $0x4b564d04, %ecx\n mov $0x41001, %eax\n xor %edx, %edx\n wrmsr\n"
#define TELL(value) "mov $" #value ", %al\n out %al, $0xe8\n"
#define COUNTER(vector) "0x2a000 + 4 * " #vector

/* For all vectors, counted as 0x50: as Linux ends an interrupt. */
GUEST(handler, 64, "incl " COUNTER(0x50) "\n btrl $0, 0x41000\n jc 1f\n"
      "incl 0x42000\n movl $0, 0xb0(%r15)\n 1: iretq\n");

/* A thousand interrupts, one after the other. */
GUEST(alone, 64, SETUP "sti\n mov $1000, %ebx\n"
      "2: mov " COUNTER(0x50) ", %eax\n movl $0x50, 0x300(%r15)\n"
      "1: pause\n cmp " COUNTER(0x50) ", %eax\n je 1b\n dec %ebx\n jnz 2b\n" TELL(1) "hlt\n");

/* Two at a time: the EOI of the first is what the other one waits for. */
GUEST(pairs, 64, SETUP "mov $1000, %ebx\n"
      "2: cli\n movl $0x50, 0x300(%r15)\n movl $0x51, 0x300(%r15)\n sti\n nop\n"
      "1: pause\n mov " COUNTER(0x50) ", %eax\n test $1, %al\n jnz 1b\n dec %ebx\n jnz 2b\n"
      "cli\n" TELL(2) "hlt\n");

/* Sleeps, but for its handlers. */
GUEST(idle, 64, SETUP TELL(3) "1: sti\n hlt\n jmp 1b\n");

/* Of 0x70: goes on, and may be interrupted, until it is told to. */
GUEST(slow, 64, "incl " COUNTER(0x70) "\n sti\n 1: pause\n cmpl $0, 0x42004\n je 1b\n cli\n"
      "movl $0, 0x42004\n btrl $0, 0x41000\n jc 2f\n incl 0x42000\n movl $0, 0xb0(%r15)\n"
      "2: incl " COUNTER(0x71) "\n iretq\n");

FIXTURE(pv_eoi) {
	struct guest guest;
	volatile __u32 *word, *written;
};

FIXTURE_SETUP(pv_eoi)
{
	struct guest *guest = &self->guest;

	ASSERT_EQ(0, guest_create(guest, HULL_VM_IRQCHIP, GUEST_SIZE)) {
		TH_LOG("cannot create a VM: %s", strerror(errno));
	}
	self->word = (__u32 *)(guest->memory + WORD_GPA);
	self->written = (__u32 *)(guest->memory + WRITTEN_GPA);
	/* Or the page would not be there for the first offer. */
	*self->word = 0;
}

FIXTURE_TEARDOWN(pv_eoi)
{
	EXPECT_EQ(0, hull_vm_check(self->guest.vm));
	guest_destroy(&self->guest);
}

static int start(struct guest *guest, const unsigned char *code, size_t len)
{
	unsigned int vector;

	if (guest_start(guest, 0, GUEST_LONG, code, len) || trap_install(guest, 0, GUEST_LONG, 0))
		return -1;
	memcpy(guest->memory + HANDLER_GPA, guest_handler, guest_handler_end - guest_handler);
	for (vector = 0x50; vector < 0x60; vector++)
		trap_set_gate(guest, vector, HANDLER_GPA);
	return 0;
}

static int told(struct guest *guest, __u32 value)
{
	int ret;

	limit_set(TEN_SECONDS);
	ret = guest_expect_write(guest, 0, HULL_SPACE_PORT, 0xe8, 1, value);
	limit_set(0);
	return ret;
}

static __u32 handled(struct guest *guest)
{
	return *(volatile __u32 *)(guest->memory + TRAP_COUNTER_GPA(0x50));
}

TEST_F(pv_eoi, an_interrupt_alone_ends_without_an_exit)
{
	struct guest *guest = &self->guest;

	ASSERT_EQ(0, start(guest, GUEST_CODE(alone)));
	ASSERT_EQ(0, told(guest, 1));
	EXPECT_EQ(ROUNDS, handled(guest));
	EXPECT_EQ(0, *self->written);
}

TEST_F(pv_eoi, one_that_another_waits_for_does_not)
{
	struct guest *guest = &self->guest;

	ASSERT_EQ(0, start(guest, GUEST_CODE(pairs)));
	ASSERT_EQ(0, told(guest, 2));
	EXPECT_EQ(2 * ROUNDS, handled(guest));
	EXPECT_EQ(ROUNDS, *self->written);
}

/* Is @vector in service? */
static bool in_service(struct guest *guest, unsigned int vector)
{
	static struct hull_vcpu_state state;
	__u32 bits;

	if (hull_get_state(guest->cpu[0].fd, HULL_GROUP_APIC, &state))
		return false;
	memcpy(&bits, state.apic.regs + ISR + vector / 32 * 16, sizeof(bits));
	return bits >> vector % 32 & 1;
}

/* The launcher's handler: it is reached by an exit to the launcher. */
TEST_F(pv_eoi, nothing_is_open_when_the_launcher_looks)
{
	struct guest *guest = &self->guest;
	struct trap trap;

	ASSERT_EQ(0, start(guest, GUEST_CODE(idle)));
	ASSERT_EQ(0, told(guest, 3));
	ASSERT_EQ(0, hull_send_msi(guest->vm, MSI, 0x80));
	limit_set(TEN_SECONDS);
	EXPECT_EQ(0, trap_expect(guest, 0, GUEST_LONG, 0x80, &trap));
	limit_set(0);
	EXPECT_EQ(0, *self->word);
	EXPECT_TRUE(in_service(guest, 0x80));
}

/* ---- a page that is shared ------------------------------------------------------------------ */

/* Runs until it is told to stop. */
static void *run_cpu(void *arg)
{
	struct guest_cpu *cpu = arg;

	while (!__atomic_load_n(&cpu->run->stop, __ATOMIC_RELAXED)) {
		if (hull_run(cpu->fd) && errno != EINTR)
			return "HULL_RUN failed";
		if (cpu->run->exit)
			return "the guest has ended, or wants something";
	}
	return NULL;
}

static void ignore(int sig)
{
}

static bool becomes(volatile __u32 *word, __u32 value)
{
	unsigned long n;

	for (n = 0; n < TEN_SECONDS / 100 && *word != value; n++)
		usleep(100);
	return *word == value;
}

/*
 * A child has the page of the word, too: to write to it takes a copy, which the module cannot make
 * in the window. A second interrupt comes; in every other round the first has taken its offer.
 */
TEST_F(pv_eoi, a_page_that_is_shared_meanwhile)
{
	const struct sigaction action = { .sa_handler = ignore };
	struct guest *guest = &self->guest;
	volatile __u32 *go_on = self->written + 1;
	volatile __u32 *slow = (__u32 *)(guest->memory + TRAP_COUNTER_GPA(0x70));
	pthread_t thread;
	void *problem;
	pid_t child;
	__u32 i;

	sigaction(SIGUSR1, &action, NULL);
	ASSERT_EQ(0, start(guest, GUEST_CODE(idle)));
	memcpy(guest->memory + SLOW_GPA, guest_slow, guest_slow_end - guest_slow);
	trap_set_gate(guest, 0x70, SLOW_GPA);
	trap_set_gate(guest, 0x80, HANDLER_GPA);
	ASSERT_EQ(0, told(guest, 3));
	ASSERT_EQ(0, pthread_create(&thread, NULL, run_cpu, &guest->cpu[0]));
	for (i = 0; i < 10; i++) {
		*self->written = 0;
		EXPECT_EQ(0, hull_send_msi(guest->vm, MSI, 0x70));
		EXPECT_TRUE(becomes(slow, i + 1));
		EXPECT_EQ(1, *self->word);
		if (i & 1)
			*self->word = 0;
		child = fork();
		if (!child) {
			pause();
			_exit(0);
		}
		EXPECT_LT(0, child);
		EXPECT_EQ(0, hull_send_msi(guest->vm, MSI, 0x80));
		EXPECT_TRUE(becomes((__u32 *)(guest->memory + TRAP_COUNTER_GPA(0x50)), i + 1));
		*go_on = 1;
		EXPECT_TRUE(becomes(slow + 1, i + 1));
		/* Both have written EOI; or that of 0x70, which ends nothing. */
		EXPECT_EQ(i & 1 ? 1 : 2, *self->written);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	__atomic_store_n(&guest->cpu[0].run->stop, 1, __ATOMIC_SEQ_CST);
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, &problem);
	EXPECT_EQ(NULL, problem) {
		TH_LOG("%s", (char *)problem);
	}
	EXPECT_FALSE(in_service(guest, 0x70));
	EXPECT_FALSE(in_service(guest, 0x80));
}

HULL_TEST_MAIN
