// SPDX-License-Identifier: GPL-2.0
/*
 * Random bytes as code, in one VM that is reused, in three modes. Each page runs until it exits or
 * a short time is over; only documented exits may come, and the tables must stay right.
 *
 * HULL_RANDOM=n runs n pages (default 500), HULL_SEED=n repeats a run; the seed is printed. What is
 * random about a page follows from the seed and the page's number, not from the pages before.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"
#include "harness.h"
#include "limit.h"
#include "trap.h"

#define PAGE_TIME	3000	/* us */
#define MAX_EXITS	40	/* of one page */

static __u64 random_state;

/* xorshift64*: the same on every machine. */
static __u32 next_random(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (random_state * 0x2545f4914f6cdd1dULL) >> 32;
}

static unsigned long number(const char *name, unsigned long standard)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 0) : standard;
}

/* Opcodes that matter to a hypervisor, sown among the bytes. */
static const char *const seeds[] = {
	"\x0f\xa2", "\x0f\x32", "\x0f\x30", "\x0f\x01\xd9", "\x0f\x22\xc0", "\x0f\x22\xd8",
	"\x0f\x22\xe0", "\x0f\x20\xc0", "\x0f\x01\xe0", "\x0f\x01\xf0", "\x0f\x21\xf8",
	"\x0f\x23\xf8", "\xe4\x40", "\xe6\x40", "\xec", "\xee", "\xf3\x6c", "\xf3\x6e", "\xf4",
	"\xfb\xf4", "\x0f\x01\xd1", "\x0f\x01\x10", "\x0f\x09", "\x0f\x08", "\x0f\x01\x38",
	"\xcd\x80", "\xcf", "\x8e\xd0", "\x9d", "\x0f\x01\xd8", "\xf3\xa4", "\xf3\xab",
};

static void fill(unsigned char *page, size_t size)
{
	const size_t count = sizeof(seeds) / sizeof(seeds[0]);
	size_t i, at;
	__u32 word;

	for (i = 0; i < size; i += 4) {
		word = next_random();
		memcpy(page + i, &word, 4);
	}
	for (i = 0; i < 60; i++) {
		const char *seed = seeds[next_random() % count];

		at = next_random() % (size - 8);
		memcpy(page + at, seed, strlen(seed));
	}
	limit_code(page, size);
}

/* Registers: small numbers, addresses in memory, in holes, anything. */
static int start(struct guest *guest, enum guest_mode mode)
{
	static const __u64 bases[] = { 0, GUEST_DATA_GPA, 0x20000000, 0xfee00000, 0xfec00000,
				       0x1fffff, 0xc0000080, 0x80000000 };
	struct hull_gprs gprs;
	int i;

	if (guest_start(guest, 0, mode, NULL, 0) ||
	    trap_install(guest, 0, mode, TRAP_OWN_STACK) || guest_get_gprs(guest, 0, &gprs))
		return -1;
	fill(guest->memory + GUEST_CODE_GPA(0), 4096);
	for (i = 0; i < 16; i++) {
		if (i != HULL_GPR_RSP)
			gprs.gpr[i] = bases[next_random() % 8] + (next_random() & 0xfff);
	}
	gprs.rip += next_random() & 0xff;
	if (NEVER_INTERRUPTED)
		gprs.rflags |= 0x200;
	return guest_set_gprs(guest, 0, &gprs);
}

enum { FINE, ENDED, WRONG };

/* Until it has exited often enough or its time is over. A handler goes on behind the culprit. */
static int run_page(struct guest *guest, enum guest_mode mode)
{
	struct trap trap;
	int exits, ret;

	limit_set(PAGE_TIME);
	for (exits = 0; exits < MAX_EXITS; exits++) {
		ret = trap_run(guest, 0, mode, &trap);
		if (ret == TRAP) {
			trap_return(guest, 0, mode, &trap, trap.rip + 1 + (next_random() & 3));
		} else if (ret == HULL_EXIT_REQUEST) {
			hull_answer(&guest->cpu[0].own, next_random());
		} else if (ret == -1 && errno == ERANGE) {
			/* A handler without a stack of ours: jumped to by the guest. */
			hull_answer(&guest->cpu[0].own, 0);
			break;
		} else if (ret != HULL_EXIT_HALTED && ret != GUEST_POSTED) {
			break;
		}
	}
	limit_set(0);
	if (exits < MAX_EXITS && ret == HULL_EXIT_ENDED)
		return limit_outcome_ok(guest, 0, ret) ? ENDED : WRONG;
	if (exits < MAX_EXITS && ret == -1)
		return errno == EINTR || errno == ERANGE ? FINE : WRONG;
	return exits == MAX_EXITS ? FINE : WRONG;
}

static void reset_memory(struct guest *guest)
{
	memset(guest->memory, 0, 0x100000);
}

/* What a guest did to its CPU must not make the next page impossible. */
static int reset(struct guest *guest, const struct hull_vcpu_state *initial)
{
	reset_memory(guest);
	return hull_set_state(guest->cpu[0].fd,
			      HULL_GROUPS & ~(HULL_GROUP_APIC | HULL_GROUP_TIMERS), initial);
}

TEST(random_code)
{
	unsigned long pages = number("HULL_RANDOM", 500), n, ends = 0;
	/* There a page may still write code that sets TF, or spins. No page of this seed does. */
	unsigned long seed = number("HULL_SEED", NEVER_INTERRUPTED ? 1 : time(NULL));
	static struct hull_vcpu_state initial;
	bool real = guest_has_real_mode();
	struct guest guest;
	int ret;

	printf("# HULL_SEED=%lu HULL_RANDOM=%lu\n", seed, pages);
	ASSERT_EQ(0, guest_create(&guest, HULL_VM_IRQCHIP | HULL_VM_PIT, GUEST_SIZE));
	ASSERT_EQ(0, hull_get_state(guest.cpu[0].fd, HULL_GROUPS, &initial));
	for (n = 0; n < pages; n++) {
		enum guest_mode mode = real ? n % 3 : 1 + n % 2;

		random_state = (seed + ((__u64)n << 40)) * 0x9e3779b97f4a7c15ULL | 1;
		ASSERT_EQ(0, start(&guest, mode));
		ret = run_page(&guest, mode);
		ASSERT_NE(WRONG, ret) {
			TH_LOG("page %lu: exit %u, reason %u, code %#llx, rip %#llx, errno %d", n,
			       guest.cpu[0].run->exit, guest.cpu[0].run->end_reason,
			       guest.cpu[0].run->end_code, guest.cpu[0].run->end_rip, errno);
		}
		if (n % 16 == 0)
			ASSERT_EQ(0, hull_vm_check(guest.vm));
		if (ret == ENDED) {
			ends++;
			guest_destroy(&guest);
			ASSERT_EQ(0, guest_create(&guest, n & 1 ? HULL_VM_IRQCHIP | HULL_VM_PIT : 0,
						  GUEST_SIZE));
			ASSERT_EQ(0, hull_get_state(guest.cpu[0].fd,
						    HULL_GROUPS & ~HULL_GROUP_APIC, &initial));
		}
		ASSERT_EQ(0, reset(&guest, &initial));
	}
	EXPECT_EQ(0, hull_vm_check(guest.vm));
	printf("# %lu pages, %lu ended their VM\n", n, ends);
	guest_destroy(&guest);
}

/* The limit is for 500 pages. */
static void __attribute__((constructor(65000))) long_runs(void)
{
	_random_code_object.timeout = 60 + number("HULL_RANDOM", 500) / 5;
}

HULL_TEST_MAIN
