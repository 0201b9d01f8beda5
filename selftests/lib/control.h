/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What tests of control registers share: a guest, tried an instruction or two at a time.
 */
#ifndef SELFTESTS_CONTROL_H
#define SELFTESTS_CONTROL_H

#include "guest.h"
#include "harness.h"
#include "steps.h"
#include "trap.h"

#define CR0_PE		0x1ULL
#define CR0_MP		0x2ULL
#define CR0_EM		0x4ULL
#define CR0_TS		0x8ULL
#define CR0_NE		0x20ULL
#define CR0_WP		0x10000ULL
#define CR0_AM		0x40000ULL
#define CR0_NW		0x20000000ULL
#define CR0_CD		0x40000000ULL
#define CR0_PG		0x80000000ULL
#define CR4_TSD		0x4ULL
#define CR4_DE		0x8ULL
#define CR4_PAE		0x20ULL
#define CR4_MCE		0x40ULL
#define CR4_PGE		0x80ULL
#define CR4_PCE		0x100ULL
#define CR4_OSFXSR	0x200ULL
#define CR4_OSXMMEXCPT	0x400ULL
#define CR4_LA57	0x1000ULL

#define CODE		0x10100
#define DATA		0x800		/* below 64 KiB, for 16-bit addresses */
#define DEVICE		0x20000000ULL
#define MEMORY_SIZE	(4UL << 20)
#define NOWHERE		0x100001000ULL	/* not mapped, nor is what is below */
#define GP		13
#define PF		14

/**
 * struct control_test - a guest whose instructions are tried
 * @guest: it
 * @mode: of it
 * @gprs: before and after an attempt
 * @control: registers as last looked at
 * @trap: how it ended
 * @shadow: the VM has shadow paging
 */
struct control_test {
	struct guest guest;
	enum guest_mode mode;
	struct hull_gprs gprs;
	struct hull_control control;
	struct trap trap;
	bool shadow;
};

/* 0, or -1 with errno set. (%bx) and (%edi) are at DATA. */
static inline int control_test_init(struct control_test *test, enum guest_mode mode)
{
	struct guest *guest = &test->guest;
	struct hull_info info;

	test->mode = mode;
	if (guest_create(guest, 0, MEMORY_SIZE) || hull_get_info(guest->dev, &info) ||
	    guest_start(guest, 0, mode, NULL, 0) || trap_install(guest, 0, mode, 0) ||
	    guest_get_control(guest, 0, &test->control))
		return -1;
	test->shadow = info.paging == HULL_PAGING_SHADOW;
	memset(&test->gprs, 0, sizeof(test->gprs));
	test->gprs.gpr[HULL_GPR_RBX] = test->gprs.gpr[HULL_GPR_RDI] = DATA;
	return 0;
}

static inline void control_test_end(struct control_test *test)
{
	hull_vm_check(test->guest.vm);
	guest_destroy(&test->guest);
}

/* The registers as the launcher sees them. */
static inline struct hull_control control_now(struct control_test *test)
{
	guest_get_control(&test->guest, 0, &test->control);
	return test->control;
}

/* A fixture with a control_test in one mode. */
#define CONTROL_FIXTURE(name, mode_)						\
	FIXTURE(name) {								\
		struct control_test test;					\
	};									\
	CONTROL_FIXTURE_LIFE(name, mode_)

/* The same, for tests in real, protected and long mode. */
#define CONTROL_FIXTURE_IN_ALL_MODES(name)					\
	FIXTURE(name) {								\
		struct control_test test;					\
	};									\
	FIXTURE_VARIANT(name) {							\
		enum guest_mode mode;						\
	};									\
	FIXTURE_VARIANT_ADD(name, real) { .mode = GUEST_REAL };			\
	FIXTURE_VARIANT_ADD(name, protected) { .mode = GUEST_PROTECTED };	\
	FIXTURE_VARIANT_ADD(name, long_mode) { .mode = GUEST_LONG };		\
	CONTROL_FIXTURE_LIFE(name, variant->mode)

#define CONTROL_FIXTURE_LIFE(name, mode_)					\
	FIXTURE_SETUP(name)							\
	{									\
		SKIP_REAL_MODE((mode_) == GUEST_REAL);				\
		ASSERT_EQ(0, control_test_init(&self->test, mode_)) {		\
			TH_LOG("cannot set up a VM: %s", strerror(errno));	\
		}								\
	}									\
	FIXTURE_TEARDOWN(name)							\
	{									\
		control_test_end(&self->test);					\
	}

/* Of the 2 MiB page at @address, in GUEST_LONG. */
static inline __u64 *control_page_entry(struct guest *guest, __u64 address)
{
	return (__u64 *)(guest->memory + GUEST_TABLES + 0x2000) + (address >> 21);
}

/* In a fixture's test: try @code; what it ended with. */
#define TRY(code)	trap_try(&self->test.guest, self->test.mode, CODE, code, sizeof(code) - 1, \
				 &self->test.gprs, &self->test.trap)
#define STEP(code)	EXPECT_EQ(TRAP_STEPPED, TRY(code))
#define GPR(n)		self->test.gprs.gpr[HULL_GPR_##n]
#define NOW		control_now(&self->test)

#endif
