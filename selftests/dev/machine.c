// SPDX-License-Identifier: GPL-2.0
/* Guest memory behind its accessor, sizes, and the CPUID leaves that differ between vCPUs. */
#include <string.h>

#include "machine/machine.h"
#include "test.h"

static void test_parse_size(void)
{
	static const struct {
		const char *text;
		uint64_t bytes;		/* 0: refused */
	} cases[] = {
		{ "1", MIB }, { "512M", 512 * MIB }, { "2G", 2 * GIB }, { "2g", 2 * GIB },
		{ "4096k", 4 * MIB }, { "1GiB", GIB }, { "1MB", MIB },
		{ "", 0 }, { "M", 0 }, { "-1", 0 }, { " 1", 0 }, { "1x", 0 }, { "1Mx", 0 },
		{ "0x10", 0 }, { "99999999999999999999", 0 }, { "18446744073709551615G", 0 },
	};
	unsigned int i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t bytes = 0;

		EXPECT_EQ(cases[i].bytes ? 0 : (unsigned long long)-1,
			  (unsigned long long)parse_size(cases[i].text, &bytes));
		EXPECT_EQ(cases[i].bytes, bytes);
	}
}

static void test_memory(void)
{
	struct guest_memory memory;
	struct failure why;
	uint32_t value = 0;

	EXPECT(memory_create(&memory, 4096, &why) < 0);
	EXPECT(memory_create(&memory, MIB + 1, &why) < 0);
	EXPECT_EQ(0, memory_create(&memory, 2 * MIB, &why));
	EXPECT_EQ(0, memory_write(&memory, 2 * MIB - 4, &(uint32_t){ 0x12345678 }, 4));
	EXPECT_EQ(0, memory_read(&memory, 2 * MIB - 4, &value, 4));
	EXPECT_EQ(0x12345678, value);
	EXPECT(memory_write(&memory, 2 * MIB - 3, &value, 4) < 0);
	EXPECT(memory_read(&memory, 2 * MIB, &value, 1) < 0);
	EXPECT(memory_read(&memory, UINT64_MAX, &value, 4) < 0);
	EXPECT(memory_read(&memory, UINT64_MAX - 3, &value, 4) < 0);
	EXPECT(!memory_at(&memory, 0, UINT64_MAX));
	EXPECT(memory_at(&memory, 2 * MIB, 0));
	memory_destroy(&memory);
}

static void test_hole(void)
{
	struct guest_memory memory;
	struct failure why;
	uint8_t byte = 1;

	EXPECT_EQ(0, memory_create(&memory, 4 * GIB, &why));
	EXPECT_EQ(3 * GIB, memory_low_end(&memory));
	EXPECT_EQ(GIB, memory_high_size(&memory));
	EXPECT_EQ(0, memory_write(&memory, 3 * GIB - 1, &byte, 1));
	EXPECT(memory_write(&memory, 3 * GIB, &byte, 1) < 0);
	EXPECT(memory_write(&memory, 4 * GIB - 1, &byte, 1) < 0);
	EXPECT_EQ(0, memory_write(&memory, 4 * GIB, &byte, 1));
	EXPECT_EQ(0, memory_write(&memory, 5 * GIB - 1, &byte, 1));
	EXPECT(memory_write(&memory, 5 * GIB, &byte, 1) < 0);
	EXPECT(!memory_at(&memory, 3 * GIB - 1, GIB + 2));
	memory_destroy(&memory);
}

static void test_cpuid(void)
{
	struct hull_cpuid_entry entry[] = {
		{ .leaf = 0, .ebx = 0x68747541 },
		{ .leaf = 1, .ebx = 0x00010800, .edx = 1 },
		{ .leaf = 0xb, .subleaf = 0 },
		{ .leaf = 0xb, .subleaf = 1 },
		{ .leaf = 0xb, .subleaf = 2 },
		{ .leaf = 0x80000001, .ecx = 0x20 },
		{ .leaf = 0x80000008, .eax = 0x3028 },
		{ .leaf = 0x8000001d, .subleaf = 0, .eax = 0x0fc04121 },
		{ .leaf = 0x8000001d, .subleaf = 3, .eax = 0x00004163 },
		{ .leaf = 0x8000001e },
		{ .leaf = 0x40000000, .eax = 7 },
	};

	cpuid_for_vcpu(entry, sizeof(entry) / sizeof(entry[0]), 4, 6);
	EXPECT_EQ(0x04060800, entry[1].ebx);
	EXPECT_EQ(0x10000001, entry[1].edx);
	EXPECT_EQ(0, entry[2].eax);
	EXPECT_EQ(1, entry[2].ebx);
	EXPECT_EQ(0x100, entry[2].ecx);
	EXPECT_EQ(4, entry[2].edx);
	EXPECT_EQ(3, entry[3].eax);
	EXPECT_EQ(6, entry[3].ebx);
	EXPECT_EQ(0x201, entry[3].ecx);
	EXPECT_EQ(0, entry[4].ebx);
	EXPECT_EQ(2, entry[4].ecx);
	EXPECT_EQ(0x22, entry[5].ecx);
	EXPECT_EQ(0x3005, entry[6].ecx);
	EXPECT_EQ(0x121, entry[7].eax & 0x3ffffff);
	EXPECT_EQ(7 << 14 | 0x163, entry[8].eax);
	EXPECT_EQ(4, entry[9].eax);
	EXPECT_EQ(4, entry[9].ebx);
	EXPECT_EQ(7, entry[10].eax);
}

static void test_cpuid_one(void)
{
	struct hull_cpuid_entry entry[] = {
		{ .leaf = 0, .ebx = 0x756e6547 },
		{ .leaf = 1, .ebx = 0xff100800, .edx = 0x10000001 },
		{ .leaf = 4, .subleaf = 0, .flags = HULL_CPUID_SUBLEAF, .eax = 0xfc004121 },
		{ .leaf = 0x80000008, .ecx = 0 },
		{ .leaf = 0x80000001, .ecx = 1 },
	};

	cpuid_for_vcpu(entry, sizeof(entry) / sizeof(entry[0]), 0, 1);
	EXPECT_EQ(0x00010800, entry[1].ebx);
	EXPECT_EQ(1, entry[1].edx);
	EXPECT_EQ(0x121, entry[2].eax);
	EXPECT_EQ(0, entry[3].ecx);
	EXPECT_EQ(1, entry[4].ecx);
}

static const struct test tests[] = {
	{ "sizes", test_parse_size },
	{ "memory and its edges", test_memory },
	{ "the hole below 4 GiB", test_hole },
	{ "CPUID of one vCPU of six", test_cpuid },
	{ "CPUID of a lone vCPU, Intel", test_cpuid_one },
};

int main(void)
{
	return RUN_TESTS(tests);
}
