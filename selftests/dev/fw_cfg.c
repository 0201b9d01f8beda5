// SPDX-License-Identifier: GPL-2.0
/* fw_cfg: the signature, numbers, and the directory as a guest reads it. */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "dev/fw_cfg.h"
#include "test.h"

static struct fw_cfg fw_cfg;

static void pick(uint16_t key)
{
	fw_cfg.device.write(&fw_cfg.device, 0, key, 2);
}

static void take(void *data, size_t size)
{
	uint8_t *byte = data;

	while (size--)
		*byte++ = in8(&fw_cfg.device, 1);
}

static void test_known(void)
{
	uint64_t ram;
	uint32_t id;
	uint16_t cpus;
	char signature[6];

	fw_cfg_init(&fw_cfg, 3ULL << 30, 7);
	pick(0x00);
	take(signature, sizeof(signature));
	EXPECT(!memcmp(signature, "QEMU\0\0", 6));
	pick(0x00);
	EXPECT_EQ('Q', in8(&fw_cfg.device, 1));
	pick(0x01);
	take(&id, 4);
	EXPECT_EQ(1, id);
	pick(0x03);
	take(&ram, 8);
	EXPECT_EQ(3ULL << 30, ram);
	pick(0x05);
	take(&cpus, 2);
	EXPECT_EQ(7, cpus);
}

static void test_absent(void)
{
	fw_cfg_init(&fw_cfg, 1 << 20, 1);
	pick(0x8003);
	EXPECT_EQ(0, in8(&fw_cfg.device, 1));
	pick(0x3fff);
	EXPECT_EQ(0, in8(&fw_cfg.device, 1));
	pick(0x20);
	EXPECT_EQ(0, in8(&fw_cfg.device, 1));
	/* Bytes do not select, and the selector cannot be read. */
	pick(0x00);
	out8(&fw_cfg.device, 0, 0x01);
	out8(&fw_cfg.device, 1, 0x01);
	EXPECT_EQ('Q', in8(&fw_cfg.device, 1));
	EXPECT_EQ(0xff, in8(&fw_cfg.device, 0));
}

static void test_directory(void)
{
	struct {
		uint32_t size;
		uint16_t key;
		uint16_t reserved;
		char name[56];
	} entry[3];
	char text[8];
	uint32_t count;

	fw_cfg_init(&fw_cfg, 1 << 20, 1);
	EXPECT_EQ(0, fw_cfg_add_file(&fw_cfg, "opt/b", "bee", 3));
	EXPECT_EQ(0, fw_cfg_add_file(&fw_cfg, "etc/z", "zed", 3));
	EXPECT_EQ(0, fw_cfg_add_file(&fw_cfg, "opt/a", "ay", 2));
	pick(0x19);
	take(&count, 4);
	EXPECT_EQ(3, be32toh(count));
	take(entry, sizeof(entry));
	EXPECT(!strcmp(entry[0].name, "etc/z"));
	EXPECT(!strcmp(entry[1].name, "opt/a"));
	EXPECT(!strcmp(entry[2].name, "opt/b"));
	EXPECT_EQ(2, be32toh(entry[1].size));
	pick(be16toh(entry[2].key));
	take(text, 4);
	EXPECT(!memcmp(text, "bee\0", 4));
	EXPECT_EQ(0, in8(&fw_cfg.device, 1));
}

static void test_full(void)
{
	char name[64];
	unsigned int i;

	fw_cfg_init(&fw_cfg, 1 << 20, 1);
	memset(name, 'x', sizeof(name));
	name[56] = '\0';
	EXPECT(fw_cfg_add_file(&fw_cfg, name, "", 0) < 0);
	name[55] = '\0';
	for (i = 0; i < FW_CFG_MAX_FILES; i++)
		EXPECT_EQ(0, fw_cfg_add_file(&fw_cfg, name, "", 0));
	EXPECT(fw_cfg_add_file(&fw_cfg, name, "", 0) < 0);
}

static const struct test tests[] = {
	{ "well-known items", test_known },
	{ "absent items are empty", test_absent },
	{ "directory and files", test_directory },
	{ "limits", test_full },
};

int main(void)
{
	return RUN_TESTS(tests);
}
