// SPDX-License-Identifier: GPL-2.0
/*
 * ACPI tables: found from the RSDP as a guest does, by both roots, every checksum right; then each
 * written to a file for iasl to disassemble, which must find nothing to complain about.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boot/boot.h"
#include "dev/pci.h"
#include "test.h"

static struct acpi_tables tables;
static const struct guest_memory memory = {
	.region = { { 0, 3 * GIB, NULL }, { 4 * GIB, 5 * GIB + MIB, NULL } }, .count = 2,
};

/* Where iasl works: given by the Makefile. */
static const char *directory = ".";

static uint64_t get(uint64_t gpa, unsigned int size)
{
	uint64_t value = 0;

	EXPECT(gpa >= BOOT_ACPI && gpa - BOOT_ACPI + size <= tables.size);
	if (gpa >= BOOT_ACPI && gpa - BOOT_ACPI + size <= tables.size)
		memcpy(&value, tables.data + (gpa - BOOT_ACPI), size);
	return value;
}

static uint8_t sum(uint64_t gpa, uint64_t size)
{
	uint8_t total = 0;

	while (size--)
		total += get(gpa++, 1);
	return total;
}

static void name_of(uint64_t gpa, char name[5])
{
	uint32_t signature = get(gpa, 4);

	memcpy(name, &signature, 4);
	name[4] = '\0';
}

static void disassemble(uint64_t gpa, const char *name)
{
	uint32_t length = get(gpa + 4, 4);
	char command[1024], path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s.dat", directory, name);
	file = fopen(path, "w");
	EXPECT(file);
	if (!file)
		return;
	EXPECT_EQ(length, fwrite(tables.data + (gpa - BOOT_ACPI), 1, length, file));
	fclose(file);
	snprintf(command, sizeof(command),
		 "cd %s && iasl -d %s.dat >%s.log 2>&1 && "
		 "! grep -iE 'error|warning|invalid|unknown|incorrect' %s.log %s.dsl",
		 directory, name, name, name, name);
	EXPECT_EQ(0, system(command));
}

static void check_table(uint64_t gpa, const char *wanted)
{
	char name[5];

	name_of(gpa, name);
	EXPECT(!strcmp(name, wanted));
	EXPECT_EQ(0, sum(gpa, get(gpa + 4, 4)));
	disassemble(gpa, name);
}

static uint64_t root_entry(uint64_t root, unsigned int size, unsigned int index)
{
	return get(root + 36 + index * size, size);
}

static void walk(unsigned int cpus, bool pci)
{
	const unsigned int count = pci ? 4 : 2;
	uint64_t rsdt, xsdt, fadt;
	struct failure why;

	EXPECT_EQ(0, acpi_build(&tables, &memory, cpus, pci, &why));
	EXPECT_EQ(0, sum(BOOT_ACPI, 20));
	EXPECT_EQ(0, sum(BOOT_ACPI, 36));
	EXPECT(!memcmp(tables.data, "RSD PTR ", 8));
	rsdt = get(BOOT_ACPI + 16, 4);
	xsdt = get(BOOT_ACPI + 24, 8);
	check_table(rsdt, "RSDT");
	check_table(xsdt, "XSDT");
	EXPECT_EQ(36 + count * 4, get(rsdt + 4, 4));
	EXPECT_EQ(36 + count * 8, get(xsdt + 4, 4));
	EXPECT_EQ(root_entry(rsdt, 4, 0), root_entry(xsdt, 8, 0));
	EXPECT_EQ(root_entry(rsdt, 4, 1), root_entry(xsdt, 8, 1));
	fadt = root_entry(xsdt, 8, 0);
	check_table(fadt, "FACP");
	check_table(root_entry(xsdt, 8, 1), "APIC");
	if (pci) {
		check_table(root_entry(xsdt, 8, 2), "MCFG");
		check_table(root_entry(xsdt, 8, 3), "SSDT");
	}
	check_table(get(fadt + 40, 4), "DSDT");
	EXPECT_EQ(get(fadt + 40, 4), get(fadt + 140, 8));
	EXPECT_EQ(0, get(fadt + 36, 4) % 64);
	EXPECT(get(get(fadt + 36, 4), 4) == 0x53434146);
}

static void test_tables(void)
{
	walk(1, false);
	walk(1, true);
}

static void test_fadt(void)
{
	uint64_t fadt;
	struct failure why;

	EXPECT_EQ(0, acpi_build(&tables, &memory, 1, false, &why));
	fadt = root_entry(get(BOOT_ACPI + 24, 8), 8, 0);
	EXPECT_EQ(268, get(fadt + 4, 4));
	EXPECT_EQ(9, get(fadt + 46, 2));
	EXPECT_EQ(0, get(fadt + 48, 4));		/* no SMI */
	EXPECT_EQ(0x600, get(fadt + 56, 4));
	EXPECT_EQ(0x604, get(fadt + 64, 4));
	EXPECT_EQ(0x608, get(fadt + 76, 4));
	EXPECT_EQ(0x32, get(fadt + 108, 1));
	EXPECT_EQ(4, get(fadt + 109, 2));
	EXPECT_EQ(0xcf9, get(fadt + 120, 8));
	EXPECT_EQ(6, get(fadt + 128, 1));
}

/* Does the disassembled SSDT have this text? iasl writes addresses with 16 digits. */
static bool ssdt_has(const char *text)
{
	char command[1024];

	snprintf(command, sizeof(command), "grep -qF '%s' %s/SSDT.dsl", text, directory);
	return !system(command);
}

static void test_pci(void)
{
	struct failure why;
	uint64_t mcfg;

	EXPECT_EQ(0, acpi_build(&tables, &memory, 1, true, &why));
	mcfg = root_entry(get(BOOT_ACPI + 24, 8), 8, 2);
	EXPECT_EQ(PCI_ECAM, get(mcfg + 44, 8));
	EXPECT_EQ(0, get(mcfg + 54, 2));
	/* 64-bit window: above guest memory, in whole GiB. */
	check_table(root_entry(get(BOOT_ACPI + 24, 8), 8, 3), "SSDT");
	EXPECT(ssdt_has("0x0000000280000000, // Range Minimum"));
	EXPECT(ssdt_has("0x000000037FFFFFFF, // Range Maximum"));
	EXPECT(ssdt_has("0xC0000000,         // Range Minimum"));
	EXPECT(ssdt_has("0xDFFFFFFF,         // Range Maximum"));
}

/* Processor entries of the MADT, and that what follows them ends with it. */
static unsigned int count_processors(void)
{
	uint64_t madt = root_entry(get(BOOT_ACPI + 24, 8), 8, 1);
	uint64_t end = madt + get(madt + 4, 4), at = madt + 44;
	unsigned int count = 0;

	while (at < end) {
		unsigned int type = get(at, 1), length = get(at + 1, 1);

		if (type == 0)
			EXPECT_EQ(count++, get(at + 3, 1));
		if (type == 9)
			EXPECT_EQ(count++, get(at + 4, 4));
		/* The SCI: high, level. */
		if (type == 2 && get(at + 3, 1) == 9)
			EXPECT_EQ(0xd, get(at + 8, 2));
		EXPECT(length);
		if (!length)
			break;
		at += length;
	}
	EXPECT_EQ(end, at);
	return count;
}

static void test_processors(void)
{
	static const unsigned int counts[] = { 1, 2, 64, 255, 300, 1024 };
	unsigned int i;

	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		walk(counts[i], false);
		EXPECT_EQ(counts[i], count_processors());
	}
}

static void test_full(void)
{
	struct failure why;

	EXPECT_EQ(0, acpi_build(&tables, &memory, 4000, false, &why));
	EXPECT(acpi_build(&tables, &memory, 10000, false, &why) < 0);
}

static const struct test tests[] = {
	{ "tables, checksums, iasl", test_tables },
	{ "FADT", test_fadt },
	{ "MCFG, windows of the PCI bridge", test_pci },
	{ "processors", test_processors },
	{ "too many processors", test_full },
};

int main(int argc, char **argv)
{
	if (argc > 1)
		directory = argv[1];
	return RUN_TESTS(tests);
}
