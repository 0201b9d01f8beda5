// SPDX-License-Identifier: GPL-2.0
/*
 * Devices and other CPUs set IRR while the vCPU takes from it: nothing is lost, nothing invented.
 *
 * Senders and the vCPU are threads of their own. As in the module a vCPU that finds nothing sleeps
 * until it was asked to look again: an interrupt without a request would hang the test.
 */
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "test.h"

#define SENDERS		3
#define ROUNDS		60000

static unsigned long sent[256], got[256];
static bool stop;

/* A vector per sender; the next only after the last was taken, as a device would. */
static void *sender(void *argument)
{
	unsigned int vector = 0x30 + 0x11 * (unsigned int)(uintptr_t)argument, i;

	for (i = 0; i < ROUNDS; i++) {
		__atomic_fetch_add(&sent[vector], 1, __ATOMIC_SEQ_CST);
		hull_lapic_accept(cpu[0]->lapic, DELIVER_FIXED, vector, i & 1, false);
		while (__atomic_load_n(&got[vector], __ATOMIC_SEQ_CST) !=
		       __atomic_load_n(&sent[vector], __ATOMIC_SEQ_CST)) {
			if (__atomic_load_n(&stop, __ATOMIC_SEQ_CST))
				return NULL;
			sched_yield();
		}
	}
	return NULL;
}

static u64 seconds(void)
{
	struct timespec now;

	clock_gettime(1, &now);
	return now.tv_sec;
}

/* Sleep as the run loop does: until a request. False: nobody asks any more. */
static bool sleep_until_asked(struct hull_vcpu *vcpu)
{
	u64 end = seconds() + 10;

	while (!__atomic_load_n(&vcpu->requests, __ATOMIC_SEQ_CST)) {
		if (seconds() > end)
			return false;
		sched_yield();
	}
	__atomic_store_n(&vcpu->requests, 0, __ATOMIC_SEQ_CST);
	return true;
}

static void test_lost_wakeups(void)
{
	unsigned long total = 0, wanted = (unsigned long)SENDERS * ROUNDS;
	pthread_t thread[SENDERS];
	unsigned int i;
	int vector;

	machine(0x1);
	memset(sent, 0, sizeof(sent));
	memset(got, 0, sizeof(got));
	cpu[0]->requests = 0;
	for (i = 0; i < SENDERS; i++)
		SHIM_CHECK(!pthread_create(&thread[i], NULL, sender, (void *)(uintptr_t)i));
	while (total < wanted) {
		vector = hull_irq_pending(cpu[0]);
		if (vector < 0) {
			if (!sleep_until_asked(cpu[0]))
				break;
			continue;
		}
		vector = hull_irq_acknowledge(cpu[0]);
		hull_lapic_eoi(cpu[0]->lapic);
		total++;
		__atomic_fetch_add(&got[vector & 0xff], 1, __ATOMIC_SEQ_CST);
	}
	EXPECT_EQ(total, wanted);
	__atomic_store_n(&stop, true, __ATOMIC_SEQ_CST);
	for (i = 0; i < SENDERS; i++)
		pthread_join(thread[i], NULL);
	EXPECT_EQ(hull_irq_pending(cpu[0]), -1);
	EXPECT(!hull_irq_maybe(cpu[0]->lapic));
}

/*
 * The same at the narrowest place, made to happen: something comes when the vCPU has looked, and
 * the sender has seen the hint still set.
 */
static void vector_comes(void)
{
	shim_on_mb = NULL;
	set_bit(0x61, cpu[0]->lapic->irr);
}

static void pic_comes(void)
{
	shim_on_mb = NULL;
	vm.irqchip->pics.pic[0].irr |= 1 << 3;
	vm.irqchip->pics.output = true;
}

static void test_hint(void)
{
	machine(0x1);
	EXPECT(hull_irq_maybe(cpu[0]->lapic));
	shim_on_mb = vector_comes;
	EXPECT_EQ(hull_irq_pending(cpu[0]), 0x61);
	EXPECT(!shim_on_mb);
	EXPECT_EQ(take(cpu[0]), 0x61);
	eoi(cpu[0]);
	/* Held back by the priority: still not forgotten. */
	EXPECT(hull_irq_maybe(cpu[0]->lapic));
	hull_lapic_set_cr8(cpu[0], 8);
	shim_on_mb = vector_comes;
	EXPECT_EQ(hull_irq_pending(cpu[0]), -1);
	EXPECT(hull_irq_maybe(cpu[0]->lapic));
	hull_lapic_set_cr8(cpu[0], 0);
	EXPECT_EQ(take(cpu[0]), 0x61);
	outb(0x20, 0x11);
	outb(0x21, 0x20), outb(0x21, 4), outb(0x21, 1);
	EXPECT(hull_irq_maybe(cpu[0]->lapic));
	shim_on_mb = pic_comes;
	EXPECT_EQ(hull_irq_pending(cpu[0]), 0x23);
	EXPECT_EQ(take(cpu[0]), 0x23);
	shim_on_mb = NULL;
}

const struct test race_tests[] = {
	{ "race: the hint at its narrowest place", test_hint },
	{ "race: no interrupt is lost between senders and vCPU", test_lost_wakeups },
	{}
};
