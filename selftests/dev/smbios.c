// SPDX-License-Identifier: GPL-2.0
/*
 * SMBIOS tables: found in the BIOS area as a guest does, structure after structure to their end;
 * then in a file for dmidecode, which must find what was put in and nothing to complain about.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boot/boot.h"
#include "machine/identity.h"
#include "test.h"

#define ENTRY_SIZE	24

static struct smbios_tables tables;
static const struct guest_memory memory = {
	.region = { { 0, 3 * GIB, NULL }, { 4 * GIB, 5 * GIB + MIB, NULL } }, .count = 2,
	.size = 8 * GIB + MIB,
};

/* Where dmidecode's input and output go: given by the Makefile. */
static const char *directory = ".";

static void build(unsigned int cpus, const char *name, const char *identity)
{
	const struct boot_config config = { .cpus = cpus, .name = name, .identity = identity };

	EXPECT_EQ(0, smbios_build(&tables, &memory, &config));
}

static uint64_t get(const uint8_t *at, unsigned int size)
{
	uint64_t value = 0;

	memcpy(&value, at, size);
	return value;
}

static uint8_t sum(const uint8_t *at, unsigned int size)
{
	uint8_t total = 0;

	while (size--)
		total += *at++;
	return total;
}

static void test_entry_point(void)
{
	build(1, "", "test");
	EXPECT(!memcmp(tables.data, "_SM3_", 5));
	EXPECT_EQ(ENTRY_SIZE, tables.data[6]);
	EXPECT_EQ(0, sum(tables.data, ENTRY_SIZE));
	/* On 16 bytes, in the last 64 KiB below 1 MiB. */
	EXPECT_EQ(0, BOOT_SMBIOS % 16);
	EXPECT(BOOT_SMBIOS >= 0xf0000 && BOOT_SMBIOS + tables.size <= 0x100000);
	EXPECT(get(tables.data + 16, 8) >= BOOT_SMBIOS + ENTRY_SIZE);
	EXPECT_EQ(BOOT_SMBIOS + tables.size, get(tables.data + 16, 8) + get(tables.data + 12, 4));
}

/* Behind the strings of the structure at @at. */
static const uint8_t *next(const uint8_t *at, const uint8_t *end)
{
	for (at += at[1]; at + 1 < end; at++)
		if (!at[0] && !at[1])
			return at + 2;
	return NULL;
}

static void test_walk(void)
{
	static const uint8_t wanted[] = { 0, 1, 3, 4, 16, 17, 19, 19, 32, 127 };
	const uint8_t *at, *end;
	unsigned int i;

	build(2, "web1", "web1");
	at = tables.data + get(tables.data + 16, 8) - BOOT_SMBIOS;
	end = tables.data + tables.size;
	for (i = 0; i < sizeof(wanted) && at; i++) {
		EXPECT_EQ(wanted[i], at[0]);
		EXPECT_EQ(i, get(at + 2, 2));
		at = next(at, end);
	}
	EXPECT_EQ(sizeof(wanted), i);
	EXPECT(at == end);
}

/* A dump has the entry point at its start and the structures' address in the dump in it. */
static void decode(void)
{
	uint64_t address = get(tables.data + 16, 8) - BOOT_SMBIOS;
	char command[2048];
	FILE *file;

	memcpy(tables.data + 16, &address, 8);
	tables.data[5] -= sum(tables.data, ENTRY_SIZE);
	snprintf(command, sizeof(command), "%s/smbios.bin", directory);
	file = fopen(command, "w");
	EXPECT(file);
	if (!file)
		return;
	EXPECT_EQ(tables.size, fwrite(tables.data, 1, tables.size, file));
	fclose(file);
	snprintf(command, sizeof(command),
		 "cd %s && /usr/sbin/dmidecode --from-dump smbios.bin >smbios.log 2>&1 && "
		 "! grep -iE 'invalid|broken|wrong|bad index|out of spec|truncated|overflow' smbios.log",
		 directory);
	EXPECT_EQ(0, system(command));
}

static void shows(const char *text)
{
	char command[1024];

	snprintf(command, sizeof(command), "grep -qF '%s' %s/smbios.log", text, directory);
	if (system(command)) {
		printf("# dmidecode does not show '%s'\n", text);
		test_failed = true;
	}
}

static void test_dmidecode(void)
{
	build(300, "web1", "web1");
	decode();
	shows("Product Name: hull virtual machine");
	shows("Serial Number: web1");
	shows("System is a virtual machine");
	shows("Core Count: 300");
	shows("Maximum Capacity: 8193 MB");
	shows("Size: 8193 MB");
	shows("Range Size: 3 GB");
	shows("Range Size: 5121 MB");
}

static const uint8_t *uuid(const char *identity)
{
	build(1, "", identity);
	/* Of the second structure. */
	return next(tables.data + 32, tables.data + tables.size) + 8;
}

static void test_uuid(void)
{
	uint8_t one[16];

	/* The same always, also in the next version. */
	memcpy(one, uuid("web1"), 16);
	EXPECT(!memcmp(one, "\x79\x6b\xe9\x56\x5d\x69\x76\x85\x8d\x30\x89\xd1\x5c\x39\xb8\xdd", 16));
	EXPECT(!memcmp(one, uuid("web1"), 16));
	EXPECT(memcmp(one, uuid("web2"), 16));
	EXPECT_EQ(0x80, one[7] & 0xf0);
	EXPECT_EQ(0x80, one[8] & 0xc0);
}

static void test_names(void)
{
	char longest[IDENTITY_NAME_MAX + 2];

	memset(longest, 'a', sizeof(longest));
	longest[IDENTITY_NAME_MAX + 1] = '\0';
	EXPECT_EQ(-1, identity_check_name(longest));
	longest[IDENTITY_NAME_MAX] = '\0';
	EXPECT_EQ(0, identity_check_name(longest));
	EXPECT_EQ(0, identity_check_name("web-1_a.example"));
	EXPECT_EQ(-1, identity_check_name(""));
	EXPECT_EQ(-1, identity_check_name(".."));
	EXPECT_EQ(-1, identity_check_name("-x"));
	EXPECT_EQ(-1, identity_check_name("a/b"));
	EXPECT_EQ(-1, identity_check_name("a b"));
	EXPECT_EQ(-1, identity_check_name("\xc3\xa4"));
}

static const struct test tests[] = {
	{ "the entry point is found", test_entry_point },
	{ "structures follow each other to the end", test_walk },
	{ "dmidecode reads them", test_dmidecode },
	{ "a UUID is its machine's, and a valid one", test_uuid },
	{ "names", test_names },
};

int main(int argc, char **argv)
{
	if (argc > 1)
		directory = argv[1];
	return RUN_TESTS(tests);
}
