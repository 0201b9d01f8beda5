/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's kselftest harness with two additions. Time limits scale, for emulators differ by ten
 * times: HULL_TIME_SCALE=n in the environment makes each limit n times as long. And an argument
 * names the tests to run: all whose name contains it; HULL_VARIANT=NAME leaves one variant of each
 * fixture that has it.
 *
 * A program ends with HULL_TEST_MAIN in place of TEST_HARNESS_MAIN.
 */
#ifndef SELFTESTS_HARNESS_H
#define SELFTESTS_HARNESS_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "kselftest_harness.h"
#include "scale.h"

/* "qemu/svm", "bochs/svm" ...: the lab's cell. What tests allow for is in selftests/README.md. */
static inline bool runs_on(const char *cell)
{
	const char *here = getenv("HULL_EMULATOR");

	return here && !strcmp(here, cell);
}

/*
 * In these cells (the second is Bochs' Core 2, without a preemption timer) no interrupt of the
 * host's ends a guest that was entered with IF clear and spins. With guest.h.
 */
#define NEVER_INTERRUPTED	(runs_on("bochs/svm") || \
				 (runs_on("bochs/vmx") && !guest_has_real_mode()))

static inline void choose_variant(struct __fixture_metadata *fixture)
{
	struct __fixture_variant_metadata *variant;
	const char *wanted = getenv("HULL_VARIANT");

	for (variant = fixture->variant; wanted && variant; variant = variant->next) {
		if (strcmp(variant->name, wanted))
			continue;
		variant->prev = variant;
		variant->next = NULL;
		fixture->variant = variant;
	}
}

static inline void prepare_tests(const char *wanted)
{
	struct __fixture_metadata *fixture;
	struct __test_metadata **link, *test;

	/* A test ends by _exit(): what it printed must be out. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (fixture = __fixture_list; fixture; fixture = fixture->next) {
		choose_variant(fixture);
		link = &fixture->tests;
		while ((test = *link)) {
			test->timeout *= time_scale();
			if (wanted && !strstr(test->name, wanted))
				*link = test->next;
			else
				link = &test->next;
		}
	}
}

#define HULL_TEST_MAIN								\
	static void __attribute__((constructor))				\
	__constructor_order_last(void)						\
	{									\
		if (!__constructor_order)					\
			__constructor_order = _CONSTRUCTOR_ORDER_BACKWARD;	\
	}									\
	int main(int argc, char **argv)						\
	{									\
		prepare_tests(argc > 1 ? argv[1] : NULL);			\
		return test_harness_run(argc, argv);				\
	}

/* In FIXTURE_SETUP: nothing of this variant can run here; the test's process ends. */
#define SKIP_VARIANT(why) SKIP(longjmp(_metadata->env, 1), why)

/* At the begin of a test that has a guest in real mode; in FIXTURE_SETUP, where @mode is one. */
#define NO_REAL_MODE	"guests cannot be in real mode on this CPU"
#define NEED_REAL_MODE() do {							\
	if (!guest_has_real_mode())						\
		SKIP(return, NO_REAL_MODE);					\
} while (0)
#define SKIP_REAL_MODE(mode) do {						\
	if ((mode) && !guest_has_real_mode())					\
		SKIP_VARIANT(NO_REAL_MODE);					\
} while (0)

/* @call fails with @error. */
#define EXPECT_ERRNO(error, call) do {						\
	errno = 0;								\
	EXPECT_EQ(-1, (long)(call));						\
	EXPECT_EQ(error, errno);						\
} while (0)

/* An address where nothing is; hidden from the compiler, which would warn. */
static inline void *nowhere(void)
{
	void *volatile address = (void *)8;

	return address;
}

#endif
