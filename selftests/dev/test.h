/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the launcher's unit tests share: checks that say where they failed, and tests in a table.
 */
#ifndef SELFTESTS_DEV_TEST_H
#define SELFTESTS_DEV_TEST_H

#include "ktap.h"
#include "machine/bus.h"

static bool test_failed;

#define EXPECT(condition)							\
	do {									\
		if (!(condition)) {						\
			printf("# %s:%d: %s\n", __FILE__, __LINE__, #condition);	\
			test_failed = true;					\
		}								\
	} while (0)

#define EXPECT_EQ(want, got)							\
	do {									\
		unsigned long long want_ = (want), got_ = (got);		\
										\
		if (want_ != got_) {						\
			printf("# %s:%d: %s: wanted 0x%llx, got 0x%llx\n", __FILE__,	\
			       __LINE__, #got, want_, got_);			\
			test_failed = true;					\
		}								\
	} while (0)

struct test {
	const char *name;
	void (*run)(void);
};

static inline int run_tests(const struct test *tests, unsigned int count)
{
	unsigned int i;

	ktap_begin(count);
	for (i = 0; i < count; i++) {
		test_failed = false;
		tests[i].run();
		ktap_result(!test_failed, tests[i].name);
	}
	return ktap_end();
}

#define RUN_TESTS(tests)	run_tests(tests, sizeof(tests) / sizeof((tests)[0]))

/* A byte of a device, as the bus would do it. */
static inline uint8_t in8(struct device *device, uint64_t offset)
{
	return device->read(device, offset, 1);
}

static inline void out8(struct device *device, uint64_t offset, uint8_t value)
{
	device->write(device, offset, value, 1);
}

#endif
