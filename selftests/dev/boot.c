// SPDX-License-Identifier: GPL-2.0
/*
 * The loaders: what a guest finds in memory and registers, and what is refused with which words.
 * Damaged images are for selftests/fuzz; here every image is cut at every length.
 */
#include <stdlib.h>
#include <string.h>

#include "image.h"
#include "test.h"

static struct image image;
static struct guest_memory memory;
static struct boot_config config;
static struct boot_entry entry;
static struct failure why;

static void start(uint64_t size)
{
	memset(&config, 0, sizeof(config));
	config.cmdline = "console=ttyS0";
	config.cpus = 1;
	config.name = "";
	config.identity = "test";
	EXPECT_EQ(0, memory_create(&memory, size, &why));
}

static int load(void)
{
	config.kernel = image.blob;
	why.text[0] = '\0';
	return boot_load(&memory, &config, &entry, &why);
}

static uint64_t get(uint64_t gpa, unsigned int size)
{
	uint64_t value = 0;

	EXPECT_EQ(0, memory_read(&memory, gpa, &value, size));
	return value;
}

static void refused(const char *words)
{
	EXPECT(load() < 0);
	if (!strstr(why.text, words)) {
		printf("# wanted '%s', got '%s'\n", words, why.text);
		test_failed = true;
	}
}

static void finish(void)
{
	memory_destroy(&memory);
}

static const uint8_t initrd[8193] = { 'i', 'n' };

static void add_initrd(const uint8_t *data, size_t size)
{
	config.initrd[config.initrds++] = (struct blob){ "initrd", data, size };
}

static void test_linux64(void)
{
	start(64 * MIB);
	image_bzimage(&image);
	add_initrd(initrd, 4097);
	add_initrd(initrd, 2);
	EXPECT_EQ(0, load());
	EXPECT(entry.long_mode);
	EXPECT_EQ(0x1000200, entry.rip);
	EXPECT_EQ(BOOT_ZERO_PAGE, entry.rsi);
	EXPECT_EQ(0x9090, get(0x1000000, 2));
	EXPECT_EQ(0x53726448, get(BOOT_ZERO_PAGE + 0x202, 4));
	EXPECT_EQ(0xff, get(BOOT_ZERO_PAGE + 0x210, 1));
	EXPECT_EQ(64 * MIB - 8192, get(BOOT_ZERO_PAGE + 0x218, 4));
	EXPECT_EQ(4102, get(BOOT_ZERO_PAGE + 0x21c, 4));
	EXPECT_EQ(0x6e69, get(64 * MIB - 8192, 2));
	EXPECT_EQ(0x6e69, get(64 * MIB - 8192 + 4100, 2));
	EXPECT_EQ(BOOT_CMDLINE, get(BOOT_ZERO_PAGE + 0x228, 4));
	EXPECT(!strcmp(memory_at(&memory, BOOT_CMDLINE, 64), "console=ttyS0"));
	EXPECT_EQ(ACPI_RSDP_GPA, get(BOOT_ZERO_PAGE + 0x70, 8));
	/* 3 GiB and 5 MiB, one to one. */
	EXPECT_EQ(BOOT_PAGE_TABLES + 0x1003, get(BOOT_PAGE_TABLES, 8));
	EXPECT_EQ(BOOT_PAGE_TABLES + 0x5003, get(BOOT_PAGE_TABLES + 0x1000 + 3 * 8, 8));
	EXPECT_EQ(0xc0400083, get(BOOT_PAGE_TABLES + 0x5000 + 2 * 8, 8));
	EXPECT_EQ(0x00af9b000000ffff, get(BOOT_GDT + entry.cs, 8));
	finish();
}

static void test_linux32(void)
{
	start(64 * MIB);
	image_bzimage(&image);
	config.protocol = BOOT_LINUX32;
	EXPECT_EQ(0, load());
	EXPECT(!entry.long_mode);
	EXPECT_EQ(0x1000000, entry.rip);
	EXPECT_EQ(0x00cf9b000000ffff, get(BOOT_GDT + entry.cs, 8));
	config.protocol = BOOT_AUTO;
	image_header(&image)->xloadflags = 0;
	EXPECT_EQ(0, load());
	EXPECT(!entry.long_mode);
	config.protocol = BOOT_LINUX64;
	refused("no 64-bit entry");
	finish();
}

static void test_old_linux(void)
{
	start(64 * MIB);
	image_bzimage(&image);
	image_header(&image)->version = 0x204;
	EXPECT_EQ(0, load());
	EXPECT_EQ(0x100000, entry.rip);
	image_header(&image)->version = 0x201;
	refused("2.01");
	image_header(&image)->version = 0x20f;
	image_header(&image)->loadflags = 0;
	refused("zImage");
	finish();
}

static void test_little_memory(void)
{
	start(20 * MIB);
	image_bzimage(&image);
	refused("at least 24 MiB");
	finish();
	start(24 * MIB);
	EXPECT_EQ(0, load());
	add_initrd(initrd, 2);
	refused("at least 25 MiB");
	finish();
	start(25 * MIB);
	add_initrd(initrd, 2);
	EXPECT_EQ(0, load());
	/* As much as fits exactly. */
	config.initrds = 0;
	add_initrd(calloc(1, MIB), MIB);
	EXPECT_EQ(0, load());
	add_initrd(initrd, 1);
	refused("at least 26 MiB");
	free((void *)config.initrd[0].data);
	finish();
}

static void test_initrd_limit(void)
{
	start(64 * MIB);
	image_bzimage(&image);
	image_header(&image)->initrd_addr_max = 0x2ffffff;
	add_initrd(initrd, 8193);
	EXPECT_EQ(0, load());
	EXPECT_EQ(0x3000000 - 3 * 4096, get(BOOT_ZERO_PAGE + 0x218, 4));
	image_header(&image)->initrd_addr_max = 0x1800000;
	refused("does not fit below");
	finish();
}

static void test_cmdline_limit(void)
{
	char line[2049];

	memset(line, 'x', sizeof(line));
	start(64 * MIB);
	image_bzimage(&image);
	config.cmdline = line;
	line[2048] = '\0';
	refused("command line");
	line[2047] = '\0';
	EXPECT_EQ(0, load());
	finish();
}

/* Ranges in order, without overlap; all memory but the BIOS area is in it. */
static void check_e820(uint64_t size, unsigned int wanted)
{
	struct e820_entry map[E820_MAX];
	uint64_t ram = 0, last = 0;
	unsigned int i, count;

	start(size);
	count = e820_build(&memory, map);
	EXPECT_EQ(wanted, count);
	for (i = 0; i < count; i++) {
		EXPECT(map[i].start >= last);
		last = map[i].start + map[i].size;
		if (map[i].type != E820_RAM)
			continue;
		ram += map[i].size;
		EXPECT(memory_at(&memory, map[i].start, map[i].size));
	}
	EXPECT_EQ(size - (MIB - BOOT_EBDA), ram);
	finish();
}

static void test_e820(void)
{
	check_e820(128 * MIB, 7);
	check_e820(3 * GIB, 7);
	check_e820(3 * GIB + 4096, 8);
	check_e820(3584 * MIB, 8);
}

static void test_pvh(void)
{
	uint64_t list;

	start(16 * MIB);
	image_pvh(&image);
	memset(memory_at(&memory, 0x100000, 8192), 0xff, 8192);
	add_initrd(initrd, 5000);
	config.module[0] = (struct boot_module){ { "m", initrd, 3 }, "some words" };
	config.modules = 1;
	EXPECT_EQ(0, load());
	EXPECT(!entry.long_mode);
	EXPECT_EQ(0x100010, entry.rip);
	EXPECT_EQ(BOOT_INFO, entry.rbx);
	EXPECT_EQ(0x90, get(0x1000ff, 1));
	EXPECT_EQ(0x00, get(0x100100, 1));
	EXPECT_EQ(0x00, get(0x100fff, 1));
	EXPECT_EQ(0xff, get(0x101000, 1));
	EXPECT_EQ(0x336ec578, get(BOOT_INFO, 4));
	EXPECT_EQ(1, get(BOOT_INFO + 4, 4));
	EXPECT_EQ(2, get(BOOT_INFO + 12, 4));
	list = get(BOOT_INFO + 16, 8);
	EXPECT_EQ(BOOT_CMDLINE, get(BOOT_INFO + 24, 8));
	EXPECT_EQ(ACPI_RSDP_GPA, get(BOOT_INFO + 32, 8));
	EXPECT_EQ(7, get(BOOT_INFO + 48, 4));
	EXPECT_EQ(0, get(get(BOOT_INFO + 40, 8), 8));
	EXPECT_EQ(16 * MIB - 8192, get(list, 8));
	EXPECT_EQ(5000, get(list + 8, 8));
	EXPECT_EQ(16 * MIB - 3 * 4096, get(list + 32, 8));
	EXPECT_EQ(3, get(list + 40, 8));
	EXPECT(!strcmp(memory_at(&memory, get(list + 48, 8), 16), "some words"));
	finish();
}

static void test_pvh_refused(void)
{
	Elf64_Phdr *header = (Elf64_Phdr *)(image.data + 64);

	start(2 * MIB);
	image_pvh(&image);
	add_initrd(calloc(1, MIB), MIB);
	refused("at least 3 MiB");
	free((void *)config.initrd[0].data);
	config.initrds = 0;
	header->p_memsz = UINT64_MAX - 4096;
	refused("below the hole");
	header->p_memsz = 4096;
	header->p_paddr = 0x1000;
	refused("below 1 MiB");
	header->p_paddr = 5 * GIB;
	refused("below the hole");
	header->p_paddr = 0x100000;
	header[1].p_type = PT_NULL;
	refused("neither a PVH");
	header->p_type = PT_NULL;
	refused("nothing to load");
	finish();
}

static void test_multiboot(void)
{
	uint64_t list, map;

	start(16 * MIB);
	image_multiboot(&image, 3);
	config.module[0] = (struct boot_module){ { "a", initrd, 4097 }, "first" };
	config.module[1] = (struct boot_module){ { "b", initrd, 2 }, "" };
	config.modules = 2;
	EXPECT_EQ(0, load());
	EXPECT_EQ(0x100020, entry.rip);
	EXPECT_EQ(0x2badb002, entry.rax);
	EXPECT_EQ(BOOT_INFO, entry.rbx);
	EXPECT_EQ(0x24d, get(BOOT_INFO, 4));
	EXPECT_EQ(639, get(BOOT_INFO + 4, 4));
	EXPECT_EQ(15 * 1024, get(BOOT_INFO + 8, 4));
	EXPECT_EQ(BOOT_CMDLINE, get(BOOT_INFO + 16, 4));
	EXPECT_EQ(2, get(BOOT_INFO + 20, 4));
	list = get(BOOT_INFO + 24, 4);
	EXPECT_EQ(0x102000, get(list, 4));
	EXPECT_EQ(0x103001, get(list + 4, 4));
	EXPECT(!strcmp(memory_at(&memory, get(list + 8, 4), 8), "first"));
	EXPECT_EQ(0x104000, get(list + 16, 4));
	EXPECT_EQ(0x6e69, get(0x104000, 2));
	EXPECT_EQ(7 * 24, get(BOOT_INFO + 44, 4));
	map = get(BOOT_INFO + 48, 4);
	EXPECT_EQ(20, get(map, 4));
	EXPECT_EQ(0x9fc00, get(map + 12, 8));
	EXPECT(!strcmp(memory_at(&memory, get(BOOT_INFO + 64, 4), 8), "hull"));
	finish();
}

static void test_multiboot_refused(void)
{
	start(2 * MIB);
	image_multiboot(&image, 4);
	refused("video mode");
	image_multiboot(&image, 8);
	refused("features 0x8");
	/* Wishes that may be ignored. */
	image_multiboot(&image, 0x20000);
	EXPECT_EQ(0, load());
	add_initrd(initrd, 2);
	refused("--module");
	config.initrds = 0;
	config.module[0] = (struct boot_module){ { "m", calloc(1, MIB), MIB }, "" };
	config.modules = 1;
	refused("at least 3 MiB");
	free((void *)config.module[0].file.data);
	config.modules = 0;
	config.protocol = BOOT_LINUX64;
	refused("bzImage");
	config.protocol = BOOT_PVH;
	refused("neither");
	finish();
}

static void test_unknown(void)
{
	start(2 * MIB);
	image_done(&image, "empty", 0);
	refused("empty is empty");
	memset(image.data, 'x', sizeof(image.data));
	image_done(&image, "text", sizeof(image.data));
	refused("no kernel hull knows");
	image_bzimage(&image);
	config.protocol = BOOT_PVH;
	refused("Linux protocol only");
	finish();
}

/* Each shorter image is refused, with a reason. */
static void cut(void)
{
	size_t size = image.blob.size;
	uint8_t *copy;

	for (; size--; free(copy)) {
		/* An exact copy, so that the sanitizer sees a byte too far. */
		copy = malloc(size + !size);
		memcpy(copy, image.data, size);
		image.blob = (struct blob){ "cut", copy, size };
		EXPECT(load() < 0 && why.text[0]);
	}
}

static void test_cut(void)
{
	start(64 * MIB);
	image_bzimage(&image);
	/* Up to 15 bytes less are padding. */
	image_done(&image, "bzImage", image.blob.size - 15);
	cut();
	image_pvh(&image);
	cut();
	image_multiboot(&image, 0);
	cut();
	finish();
}

static const struct test tests[] = {
	{ "bzImage, 64-bit", test_linux64 },
	{ "bzImage, 32-bit", test_linux32 },
	{ "old boot protocols", test_old_linux },
	{ "too little memory says how much", test_little_memory },
	{ "initrd below its limit", test_initrd_limit },
	{ "command line too long", test_cmdline_limit },
	{ "memory map", test_e820 },
	{ "PVH", test_pvh },
	{ "PVH refused", test_pvh_refused },
	{ "multiboot", test_multiboot },
	{ "multiboot refused", test_multiboot_refused },
	{ "no kernel at all", test_unknown },
	{ "images cut short", test_cut },
};

int main(void)
{
	return RUN_TESTS(tests);
}
