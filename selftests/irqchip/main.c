// SPDX-License-Identifier: GPL-2.0
/*
 * Runs all tests of the interrupt controllers and prints KTAP.
 */
#include "test.h"

unsigned int test_failures;
u64 test_expectations;

struct hull_vm vm;
struct hull_vcpu *cpu[HULL_MAX_VCPUS];

static bool created;

/* ---- the machine ---------------------------------------------------------------------------- */

u64 hull_tsc_offset(struct hull_vcpu *vcpu)
{
	return vcpu->tsc_offset;
}

void machine_end(void)
{
	unsigned int id;

	if (!created)
		return;
	hull_irqchip_destroy(&vm);
	for (id = 0; id < HULL_MAX_VCPUS; id++) {
		if (!cpu[id])
			continue;
		hull_lapic_destroy(cpu[id]);
		free(cpu[id]);
		cpu[id] = NULL;
		vm.vcpus[id] = NULL;
	}
	/* No timer outlives its owner. */
	EXPECT_EQ(shim_timers_queued(), 0);
	created = false;
}

void machine_cold(u32 ids)
{
	const struct hull_create_vm args = {
		.flags = HULL_VM_IRQCHIP | HULL_VM_PIT, .pm_timer_port = PM_PORT,
	};
	unsigned int id;

	machine_end();
	created = true;
	SHIM_CHECK(!hull_irqchip_create(&vm, &args));
	for (id = 0; id < HULL_MAX_VCPUS; id++) {
		if (!(ids & (1U << id)))
			continue;
		cpu[id] = calloc(1, sizeof(*cpu[id]));
		cpu[id]->id = id;
		cpu[id]->vm = &vm;
		SHIM_CHECK(!hull_lapic_create(cpu[id]));
		vm.vcpus[id] = cpu[id];
	}
}

void machine(u32 ids)
{
	unsigned int id;

	machine_cold(ids);
	for (id = 0; id < HULL_MAX_VCPUS; id++) {
		if (cpu[id])
			apic_write(cpu[id], APIC_SPIV, APIC_SPIV_APIC_ENABLED | 0xff);
	}
}

/* ---- what a guest does ---------------------------------------------------------------------- */

u64 rdmsr(struct hull_vcpu *vcpu, u32 index)
{
	u64 value = 0;

	EXPECT_EQ(hull_lapic_read_msr(vcpu, index, &value), 0);
	return value;
}

void wrmsr(struct hull_vcpu *vcpu, u32 index, u64 value)
{
	EXPECT_EQ(hull_lapic_write_msr(vcpu, index, value), 0);
}

u32 apic_read(struct hull_vcpu *vcpu, u32 offset)
{
	u64 value = ~0ULL;

	EXPECT(hull_irqchip_memory(vcpu, HULL_APIC_BASE_DEFAULT + offset, 4, false, &value));
	EXPECT(value <= ~0U);
	return value;
}

void apic_write(struct hull_vcpu *vcpu, u32 offset, u32 value)
{
	u64 wide = value;

	EXPECT(hull_irqchip_memory(vcpu, HULL_APIC_BASE_DEFAULT + offset, 4, true, &wide));
}

void use_x2apic(struct hull_vcpu *vcpu)
{
	wrmsr(vcpu, 0x1b, rdmsr(vcpu, 0x1b) | X2APIC_ENABLE);
}

static struct hull_vcpu *any_cpu(void)
{
	unsigned int id;

	for (id = 0; !cpu[id]; id++)
		SHIM_CHECK(id < HULL_MAX_VCPUS - 1);
	return cpu[id];
}

u32 ioapic_read(u32 reg)
{
	u64 value = reg;

	EXPECT(hull_irqchip_memory(any_cpu(), HULL_IOAPIC_BASE, 4, true, &value));
	EXPECT(hull_irqchip_memory(any_cpu(), HULL_IOAPIC_BASE + 0x10, 4, false, &value));
	return value;
}

void ioapic_write(u32 reg, u32 value)
{
	u64 wide = reg;

	EXPECT(hull_irqchip_memory(any_cpu(), HULL_IOAPIC_BASE, 4, true, &wide));
	wide = value;
	EXPECT(hull_irqchip_memory(any_cpu(), HULL_IOAPIC_BASE + 0x10, 4, true, &wide));
}

void ioapic_route(unsigned int pin, u64 entry)
{
	ioapic_write(0x11 + 2 * pin, entry >> 32);
	ioapic_write(0x10 + 2 * pin, entry);
}

u8 inb(u16 port)
{
	u32 value = ~0U;

	EXPECT(hull_irqchip_port(any_cpu(), port, 1, false, &value));
	EXPECT(value <= 0xff);
	return value;
}

void outb(u16 port, u8 value)
{
	u32 wide = value;

	EXPECT(hull_irqchip_port(any_cpu(), port, 1, true, &wide));
}

int take(struct hull_vcpu *vcpu)
{
	int pending = hull_irq_pending(vcpu), vector;

	EXPECT(pending < 0 || hull_irq_maybe(vcpu->lapic));
	/* Looking takes nothing. */
	EXPECT_EQ(hull_irq_pending(vcpu), pending);
	if (pending < 0)
		return -1;
	vector = hull_irq_acknowledge(vcpu);
	EXPECT_EQ(vector, pending);
	return vector;
}

void eoi(struct hull_vcpu *vcpu)
{
	if (hull_lapic_x2(vcpu->lapic))
		wrmsr(vcpu, X2(APIC_EOI), 0);
	else
		apic_write(vcpu, APIC_EOI, 0);
}

/* ---- running -------------------------------------------------------------------------------- */

static u64 random_state;

u64 next_random(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * 0x2545f4914f6cdd1dULL;
}

bool long_run(void)
{
	const char *value = getenv("HULL_LONG");

	return value && *value && strcmp(value, "0");
}

static const struct test *const suites[] = {
	lapic_tests, delivery_tests, timer_tests, ioapic_tests, pic_tests, pit_tests, clock_tests,
	state_tests, register_tests, line_tests, pv_eoi_tests, random_tests, race_tests,
};

static void run(const struct test *test, unsigned int number)
{
	unsigned int before = test_failures;
	bool ok;

	shim_now = 1000 * (u64)NSEC_PER_SEC;
	shim_tsc_base = 0;
	shim_boot_offset = 5;
	shim_on_write = NULL;
	memset(shim_memory, 0, sizeof(shim_memory));
	shim_host_clock(true);
	test->run();
	machine_end();
	EXPECT_EQ(shim_locks_held, 0);
	ok = test_failures == before;
	printf("%s %u %s\n", ok ? "ok" : "not ok", number, test->name);
}

int main(void)
{
	const char *seed = getenv("HULL_SEED");
	unsigned int count = 0, number = 0, i;
	const struct test *test;

	random_state = seed ? strtoull(seed, NULL, 0) : 1;
	random_state += !random_state;
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 0; i < ARRAY_SIZE(suites); i++) {
		for (test = suites[i]; test->name; test++)
			count++;
	}
	printf("KTAP version 1\n1..%u\n# seed %#llx (HULL_SEED)\n", count,
	       (unsigned long long)random_state);
	SHIM_CHECK(!hull_clock_setup());
	for (i = 0; i < ARRAY_SIZE(suites); i++) {
		for (test = suites[i]; test->name; test++)
			run(test, ++number);
	}
	hull_clock_teardown();
	printf("# %llu expectations\n", (unsigned long long)test_expectations);
	return test_failures ? 1 : 0;
}
