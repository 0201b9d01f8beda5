/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A machine for the tests: one VM with some vCPUs, and what its guest and devices can do to it.
 */
#ifndef IRQCHIP_TEST_H
#define IRQCHIP_TEST_H

#include "chip.h"
#include "irqchip.h"
#include "host.h"
#include "mem/gpa.h"
#include "vcpu.h"

struct test {
	const char *name;
	void (*run)(void);
};

extern const struct test lapic_tests[], delivery_tests[], timer_tests[], ioapic_tests[],
	pic_tests[], pit_tests[], clock_tests[], state_tests[], register_tests[], random_tests[],
	line_tests[], race_tests[], pv_eoi_tests[];

extern unsigned int test_failures;
extern u64 test_expectations;

#define EXPECT(cond) do {							\
	test_expectations++;							\
	if (!(cond)) {								\
		test_failures++;						\
		printf("# %s:%d: expected %s\n", __FILE__, __LINE__, #cond);	\
	}									\
} while (0)

#define EXPECT_EQ(a, b) do {							\
	u64 left_ = (u64)(a), right_ = (u64)(b);				\
	test_expectations++;							\
	if (left_ != right_) {							\
		test_failures++;						\
		printf("# %s:%d: %s is %#llx, expected %s = %#llx\n", __FILE__,	\
		       __LINE__, #a, (unsigned long long)left_, #b,		\
		       (unsigned long long)right_);				\
	}									\
} while (0)

#define PM_PORT		0x608

extern struct hull_vm vm;
extern struct hull_vcpu *cpu[HULL_MAX_VCPUS];

/* A new machine with the vCPUs whose bits are set in @ids, all with their APIC switched on. */
void machine(u32 ids);
/* The same as power-up leaves it. */
void machine_cold(u32 ids);
void machine_end(void);

u64 rdmsr(struct hull_vcpu *vcpu, u32 index);		/* must not fail */
void wrmsr(struct hull_vcpu *vcpu, u32 index, u64 value);
u32 apic_read(struct hull_vcpu *vcpu, u32 offset);	/* by memory */
void apic_write(struct hull_vcpu *vcpu, u32 offset, u32 value);
void use_x2apic(struct hull_vcpu *vcpu);
u32 ioapic_read(u32 reg);
void ioapic_write(u32 reg, u32 value);
void ioapic_route(unsigned int pin, u64 entry);
u8 inb(u16 port);
void outb(u16 port, u8 value);

/* What the CPU would be interrupted by, taken; -1: nothing. */
int take(struct hull_vcpu *vcpu);
void eoi(struct hull_vcpu *vcpu);

/* x2APIC MSR of a register of the page */
#define X2(offset)	(0x800 + ((offset) >> 4))

u64 next_random(void);
bool long_run(void);

#endif
