// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts as a guest sees them: PICs, IOAPIC, APIC timer, IPIs, NMI, priorities, shadows, PIT,
 * and the clocks. Handlers count (TRAP_COUNT_IRQS) or tell the launcher.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"
#include "harness.h"
#include "limit.h"
#include "trap.h"

#define TEN_SECONDS	(10000000UL * time_scale())

FIXTURE(irq) {
	struct guest guest;
};

FIXTURE_SETUP(irq)
{
	ASSERT_EQ(0, guest_create(&self->guest, HULL_VM_IRQCHIP | HULL_VM_PIT, GUEST_SIZE)) {
		TH_LOG("cannot create a VM: %s", strerror(errno));
	}
}

FIXTURE_TEARDOWN(irq)
{
	EXPECT_EQ(0, hull_vm_check(self->guest.vm));
	guest_destroy(&self->guest);
}

/* A register of the APIC and what to write there: mov to a 32-bit address. */
#define APIC(reg, value) "movl $" #value ", 0xfee00" #reg "(%rip)\n"
/* RIP-relative does not reach it: R15 holds the APIC's address. */
#undef APIC
#define APIC(reg, value) "movl $" #value ", 0x" #reg "(%r15)\n"
#define SETUP	"mov $0xfee00000, %r15d\n" APIC(0f0, 0x1ff) "xor %ebp, %ebp\n"
/* Wait with HLT until the counter of @vector is @count. */
#define AWAIT(vector, count) \
	"1: cli\n cmpl $" #count ", 0x2a000 + 4 * " #vector "\n jae 2f\n sti\n hlt\n jmp 1b\n 2: sti\n"
#define TELL(value) "mov $" #value ", %al\n out %al, $0xe8\n"

static __u32 counter(struct guest *guest, unsigned int vector)
{
	return *(volatile __u32 *)(guest->memory + TRAP_COUNTER_GPA(vector));
}

static int start(struct guest *guest, const unsigned char *code, size_t len, __u32 flags)
{
	if (guest_start(guest, 0, GUEST_LONG, code, len))
		return -1;
	return trap_install(guest, 0, GUEST_LONG, flags);
}

/* Run to an OUT of @value to 0xe8. */
static int told(struct guest *guest, unsigned int id, __u32 value)
{
	int ret;

	limit_set(TEN_SECONDS);
	ret = guest_expect_write(guest, id, HULL_SPACE_PORT, 0xe8, 1, value);
	limit_set(0);
	return ret;
}

#define START(code)	ASSERT_EQ(0, start(guest, GUEST_CODE(code), TRAP_COUNT_IRQS))

/* ---- APIC timer and IPIs -------------------------------------------------------------------- */

GUEST(one_shot, 64, SETUP APIC(3e0, 0xb) APIC(320, 0x40) APIC(380, 100000) AWAIT(0x40, 1)
      TELL(1) "hlt");
GUEST(periodic, 64, SETUP APIC(3e0, 0xb) APIC(320, 0x20041) APIC(380, 200000) AWAIT(0x41, 5)
      TELL(5) "hlt");
GUEST(deadline, 64, SETUP APIC(320, 0x40042)
      "mov $0x6e0, %ecx\n rdtsc\n shl $32, %rdx\n or %rdx, %rax\n add $2000000, %rax\n"
      "mov %rax, %rdx\n shr $32, %rdx\n wrmsr\n" AWAIT(0x42, 1) "rdmsr\n"
      "or %edx, %eax\n out %al, $0xe8\n" TELL(2) "hlt");
GUEST(self_ipi, 64, SETUP APIC(310, 0) APIC(300, 0x40043) AWAIT(0x43, 1)
      APIC(300, 0x44) AWAIT(0x44, 1) TELL(3) "hlt");
/* The stop may come too late on a busy machine: the interrupt is there then (IRR), and noted. */
GUEST(stopped, 64, SETUP APIC(3e0, 0xb) APIC(320, 0x45) APIC(380, 20000000) APIC(380, 0)
      "mov 0x220(%r15), %eax\n shr $5, %eax\n and $1, %eax\n mov %eax, 0x2a000 + 4 * 0x46\n"
      "sti\n mov $3000000, %ecx\n 1: pause\n loop 1b\n" TELL(4) "hlt");

TEST_F(irq, timer_one_shot)
{
	struct guest *guest = &self->guest;

	START(one_shot);
	EXPECT_EQ(0, told(guest, 0, 1));
	EXPECT_EQ(1, counter(guest, 0x40));
}

TEST_F(irq, timer_periodic)
{
	struct guest *guest = &self->guest;

	START(periodic);
	EXPECT_EQ(0, told(guest, 0, 5));
	EXPECT_LE(5, counter(guest, 0x41));
}

TEST_F(irq, timer_tsc_deadline)
{
	struct guest *guest = &self->guest;

	START(deadline);
	EXPECT_EQ(0, told(guest, 0, 0));	/* the MSR is zero afterwards */
	EXPECT_EQ(0, told(guest, 0, 2));
	EXPECT_EQ(1, counter(guest, 0x42));
}

TEST_F(irq, timer_stopped_in_time_is_silent)
{
	struct guest *guest = &self->guest;

	START(stopped);
	EXPECT_EQ(0, told(guest, 0, 4));
	EXPECT_EQ(counter(guest, 0x46), counter(guest, 0x45));
}

TEST_F(irq, ipi_to_itself)
{
	struct guest *guest = &self->guest;

	START(self_ipi);
	EXPECT_EQ(0, told(guest, 0, 3));
	EXPECT_EQ(1, counter(guest, 0x43));
	EXPECT_EQ(1, counter(guest, 0x44));
}

/* ---- HLT is woken --------------------------------------------------------------------------- */

GUEST(sleeper, 64, SETUP TELL(1) AWAIT(0x50, 1) TELL(2) AWAIT(0x51, 1) TELL(3) AWAIT(0x52, 3)
      TELL(4) "hlt");

struct waker {
	struct guest *guest;
	int (*wake)(struct guest *guest);
};

static void *wake_later(void *arg)
{
	struct waker *waker = arg;

	usleep(50000);
	return (void *)(long)waker->wake(waker->guest);
}

static int told_when_woken(struct guest *guest, __u32 value, int (*wake)(struct guest *guest))
{
	struct waker waker = { guest, wake };
	pthread_t thread;
	void *failed;
	int ret;

	pthread_create(&thread, NULL, wake_later, &waker);
	ret = told(guest, 0, value);
	pthread_join(thread, &failed);
	return ret || failed ? -1 : 0;
}

static int by_message(struct guest *guest)
{
	return hull_send_msi(guest->vm, 0xfee00000, 0x50);
}

static int by_edge(struct guest *guest)
{
	return hull_set_irq(guest->vm, 5, 1) || hull_set_irq(guest->vm, 5, 0);
}

static int set_redirection(struct guest *guest, unsigned int pin, __u64 entry)
{
	static struct hull_vm_state state;

	if (hull_vm_get_state(guest->vm, HULL_VM_GROUP_IOAPIC, &state))
		return -1;
	state.ioapic.redirection[pin] = entry;
	return hull_vm_set_state(guest->vm, HULL_VM_GROUP_IOAPIC, &state);
}

static int by_level(struct guest *guest)
{
	int ret = hull_set_irq(guest->vm, 6, 1);
	int i;

	/* As long as the line is up each EOI brings another one. */
	for (i = 0; i < 5000 && counter(guest, 0x52) < 3; i++)
		usleep(1000);
	return ret || hull_set_irq(guest->vm, 6, 0) || counter(guest, 0x52) < 3;
}

TEST_F(irq, halted_vcpu_is_woken_by_each_source)
{
	struct guest *guest = &self->guest;

	START(sleeper);
	ASSERT_EQ(0, set_redirection(guest, 5, 0x51));
	ASSERT_EQ(0, set_redirection(guest, 6, 0x52 | 1 << 15));
	EXPECT_EQ(0, told(guest, 0, 1));
	EXPECT_EQ(0, told_when_woken(guest, 2, by_message));
	EXPECT_EQ(0, told_when_woken(guest, 3, by_edge));
	EXPECT_EQ(0, told_when_woken(guest, 4, by_level));
	EXPECT_EQ(1, counter(guest, 0x50));
	EXPECT_EQ(1, counter(guest, 0x51));
}

TEST_F(irq, masked_pins_are_silent)
{
	struct guest *guest = &self->guest;

	START(sleeper);
	ASSERT_EQ(0, set_redirection(guest, 5, 0x51 | 1 << 16));
	EXPECT_EQ(0, told(guest, 0, 1));
	EXPECT_EQ(0, by_edge(guest));
	EXPECT_EQ(-1, limit_run(guest, 0, 20000));
	EXPECT_EQ(EINTR, errno);
	EXPECT_EQ(0, counter(guest, 0x51));
}

/* ---- PICs and PIT --------------------------------------------------------------------------- */

#define PICS	"mov $0x11, %al\n out %al, $0x20\n out %al, $0xa0\n"	\
		"mov $0x60, %al\n out %al, $0x21\n mov $0x68, %al\n out %al, $0xa1\n"	\
		"mov $4, %al\n out %al, $0x21\n mov $2, %al\n out %al, $0xa1\n"	\
		"mov $1, %al\n out %al, $0x21\n out %al, $0xa1\n"
#define UNMASK(master, slave)	"mov $" #master ", %al\n out %al, $0x21\n"		\
				"mov $" #slave ", %al\n out %al, $0xa1\n"
#define EXTINT	APIC(350, 0x700)
#define PIC_EOI	"mov $0x20, %al\n out %al, $0xa0\n out %al, $0x20\n"

GUEST(pic, 64, SETUP EXTINT PICS UNMASK(0xf1, 0xfd) TELL(1) AWAIT(0x63, 1) PIC_EOI TELL(2)
      AWAIT(0x69, 1) PIC_EOI TELL(3) "cli\n hlt");
GUEST(pit, 64, SETUP EXTINT PICS UNMASK(0xfe, 0xff)
      "mov $0x34, %al\n out %al, $0x43\n mov $0, %al\n out %al, $0x40\n mov $0x10, %al\n out %al, $0x40\n"
      AWAIT(0x60, 1) PIC_EOI AWAIT(0x60, 2) PIC_EOI AWAIT(0x60, 3) TELL(1) "cli\n hlt");

static int by_pic_line(struct guest *guest)
{
	return hull_set_irq(guest->vm, 3, 1) || hull_set_irq(guest->vm, 3, 0);
}

static int by_slave_line(struct guest *guest)
{
	return hull_set_irq(guest->vm, 9, 1) || hull_set_irq(guest->vm, 9, 0);
}

TEST_F(irq, pics_interrupt)
{
	struct guest *guest = &self->guest;

	START(pic);
	EXPECT_EQ(0, told(guest, 0, 1));
	EXPECT_EQ(0, told_when_woken(guest, 2, by_pic_line));
	EXPECT_EQ(0, told_when_woken(guest, 3, by_slave_line));
	EXPECT_EQ(1, counter(guest, 0x63));
	EXPECT_EQ(1, counter(guest, 0x69));
}

TEST_F(irq, pit_interrupts)
{
	struct guest *guest = &self->guest;

	START(pit);
	EXPECT_EQ(0, told(guest, 0, 1));
	EXPECT_LE(3, counter(guest, 0x60));
}

/* ---- priorities ----------------------------------------------------------------------------- */

GUEST(tpr, 64, SETUP "mov $6, %eax\n mov %rax, %cr8\n"
      APIC(310, 0) APIC(300, 0x55) APIC(300, 0x75) "sti\n nop\n nop\n" TELL(1)
      "mov $5, %eax\n mov %rax, %cr8\n nop\n" TELL(2)
      "xor %eax, %eax\n mov %rax, %cr8\n nop\n" TELL(3)
      APIC(080, 0xf0) "mov %cr8, %rax\n out %al, $0xe8\n hlt");

TEST_F(irq, tpr_holds_back)
{
	struct guest *guest = &self->guest;

	START(tpr);
	EXPECT_EQ(0, told(guest, 0, 1));
	EXPECT_EQ(1, counter(guest, 0x75));
	EXPECT_EQ(0, counter(guest, 0x55));
	EXPECT_EQ(0, told(guest, 0, 2));
	EXPECT_EQ(0, counter(guest, 0x55));
	EXPECT_EQ(0, told(guest, 0, 3));
	EXPECT_EQ(1, counter(guest, 0x55));
	EXPECT_EQ(0, told(guest, 0, 15));
}

/* ---- shadows -------------------------------------------------------------------------------- */

/* An interrupt is pending: STI lets one more instruction pass. */
GUEST(sti_shadow, 64, SETUP APIC(310, 0) "mov $0x40000, %ebx\n movl $0, (%rbx)\n"
      APIC(300, 0x56) "sti\n incl (%rbx)\n incl (%rbx)\n nop\n cli\n hlt");

TEST_F(irq, sti_has_a_shadow)
{
	struct guest *guest = &self->guest;
	unsigned int i, right = 0;
	struct trap trap;
	__u32 *word = (__u32 *)(guest->memory + GUEST_DATA_GPA);

	/* QEMU forgets a shadow when it leaves the guest within: not every round need be right. */
	for (i = 0; i < 20; i++) {
		*word = 0;
		ASSERT_EQ(0, start(guest, GUEST_CODE(sti_shadow), 0));
		ASSERT_EQ(0, trap_expect(guest, 0, GUEST_LONG, 0x56, &trap));
		right += *word == 1;
		EXPECT_GE(1, *word);
		hull_answer(&guest->cpu[0].own, 0);
		guest_destroy(guest);
		ASSERT_EQ(0, guest_create(guest, HULL_VM_IRQCHIP | HULL_VM_PIT, GUEST_SIZE));
	}
	printf("# %u of 20 right\n", right);
	EXPECT_LE(1, right);
}

/* ---- NMI ------------------------------------------------------------------------------------ */

GUEST(nmi, 64, SETUP "1: " TELL(1) "nop\n jmp 1b");

/* The next NMI's handler, before which the guest may tell once. */
static int expect_nmi(struct guest *guest, struct trap *trap)
{
	const struct hull_mailbox *request = &guest->cpu[0].own.current;
	int ret = trap_run(guest, 0, GUEST_LONG, trap);

	if (ret == HULL_EXIT_REQUEST && request->address == 0xe8) {
		hull_answer(&guest->cpu[0].own, 0);
		return trap_expect(guest, 0, GUEST_LONG, 2, trap);
	}
	return ret == TRAP && trap->vector == 2 ? 0 : -1;
}

TEST_F(irq, nmi_is_masked_until_iret)
{
	struct guest *guest = &self->guest;
	struct trap trap;
	int i;

	ASSERT_EQ(0, start(guest, GUEST_CODE(nmi), 0));
	EXPECT_EQ(0, told(guest, 0, 1));
	ASSERT_EQ(0, hull_inject(guest->cpu[0].fd, HULL_INJECT_NMI, 0));
	ASSERT_EQ(0, trap_expect(guest, 0, GUEST_LONG, 2, &trap));
	/* In the handler: one more is kept, all others are lost. */
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, hull_inject(guest->cpu[0].fd, HULL_INJECT_NMI, 0));
	ASSERT_EQ(0, trap_return(guest, 0, GUEST_LONG, &trap, trap.rip));
	/* Unmasked by IRET; seen with the next exit: the guest's words, or a page fault before. */
	ASSERT_EQ(0, expect_nmi(guest, &trap));
	ASSERT_EQ(0, trap_return(guest, 0, GUEST_LONG, &trap, trap.rip));
	/* The IRET of the last one is over with the next exit as well. */
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, told(guest, 0, 1));
	/* By message */
	ASSERT_EQ(0, hull_send_msi(guest->vm, 0xfee00000, 0x400));
	ASSERT_EQ(0, trap_expect(guest, 0, GUEST_LONG, 2, &trap));
}

GUEST(closed, 64, TELL(1) TELL(2) "sti\n nop\n nop\n hlt");

/* An interrupt that waits, for the guest has IF clear, keeps no NMI back. */
TEST(nmi_goes_before_an_interrupt_that_waits)
{
	struct guest guest;
	struct trap trap;

	ASSERT_EQ(0, guest_create(&guest, 0, GUEST_SIZE));
	ASSERT_EQ(0, start(&guest, GUEST_CODE(closed), 0));
	EXPECT_EQ(0, told(&guest, 0, 1));
	ASSERT_EQ(0, hull_inject(guest.cpu[0].fd, HULL_INJECT_INTERRUPT, 0x40));
	ASSERT_EQ(0, hull_inject(guest.cpu[0].fd, HULL_INJECT_NMI, 0));
	ASSERT_EQ(0, trap_expect(&guest, 0, GUEST_LONG, 2, &trap));
	ASSERT_EQ(0, trap_return(&guest, 0, GUEST_LONG, &trap, trap.rip));
	EXPECT_EQ(0, told(&guest, 0, 2));
	EXPECT_EQ(0, trap_expect(&guest, 0, GUEST_LONG, 0x40, &trap));
	EXPECT_EQ(0, hull_vm_check(guest.vm));
	guest_destroy(&guest);
}

/* ---- clocks --------------------------------------------------------------------------------- */

GUEST(kvmclock, 64, SETUP
      "mov $0x4b564d01, %ecx\n mov $0x41001, %eax\n xor %edx, %edx\n wrmsr\n"
      "1: rdtsc\n shl $32, %rdx\n or %rdx, %rax\n mov %rax, 0x42000\n" TELL(1) "jmp 1b");

struct pvclock {
	__u32 version, pad;
	__u64 tsc, system_time;
	__u32 mul;
	__s8 shift;
	__u8 flags, pad2[2];
};

static __u64 clock_ns(struct guest *guest)
{
	const struct pvclock *clock = (const void *)(guest->memory + 0x41000);
	__u64 tsc = *(__u64 *)(guest->memory + 0x42000) - clock->tsc;

	tsc = clock->shift < 0 ? tsc >> -clock->shift : tsc << clock->shift;
	return clock->system_time + (tsc >> 32) * clock->mul +
	       ((tsc & 0xffffffff) * clock->mul >> 32);
}

TEST_F(irq, paravirtual_clock_advances)
{
	struct guest *guest = &self->guest;
	static struct hull_vm_state state;
	__u64 ns, last = 0;
	int i;

	START(kvmclock);
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, told(guest, 0, 1));
		EXPECT_EQ(0, *(__u32 *)(guest->memory + 0x41000) & 1);
		ns = clock_ns(guest);
		EXPECT_LT(last, ns);
		if (i)
			EXPECT_LT(2000000, ns - last);
		EXPECT_GT(60000000000ULL, ns - last);
		last = ns;
		usleep(5000);
	}
	ASSERT_EQ(0, hull_vm_get_state(guest->vm, HULL_VM_GROUP_CLOCK, &state));
	EXPECT_LE(last, state.clock.ns);
	EXPECT_GT(last + 10000000000ULL * time_scale(), state.clock.ns);
}

GUEST(pm_timer, 64, "mov $0x608, %dx\n 1: in %dx, %eax\n mov %eax, 0x40000\n" TELL(1) "jmp 1b");

TEST_F(irq, pm_timer_is_monotonic)
{
	struct hull_create_vm args = { .flags = HULL_VM_IRQCHIP, .pm_timer_port = 0x608 };
	struct guest *guest = &self->guest;
	struct hull_region region = { .size = GUEST_SIZE };
	__u32 now, last = 0;
	int i;

	close(guest->cpu[0].fd);
	close(guest->vm);
	guest->cpu[0].fd = -1;
	guest->vm = hull_create_vm(guest->dev, &args);
	region.hva = (__u64)(unsigned long)guest->memory;
	ASSERT_EQ(0, hull_set_memory(guest->vm, &region, 1));
	ASSERT_EQ(0, guest_add_cpu(guest, 0));
	START(pm_timer);
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, told(guest, 0, 1));
		now = *(__u32 *)(guest->memory + GUEST_DATA_GPA);
		if (i) {
			/* 3.58 MHz, 24 or 32 bits */
			EXPECT_LE(7000, (now - last) & 0xffffff);
		}
		last = now;
		usleep(2000);
	}
}

HULL_TEST_MAIN
