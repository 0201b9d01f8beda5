// SPDX-License-Identifier: GPL-2.0
/*
 * The selector port takes an item's key, each read of the data port gives its next byte, zero past
 * its end. The directory (big endian) lists the files in the order of their names.
 *
 * Locks: the device's for the selection; items are constant once the guest runs.
 */
#include <endian.h>
#include <string.h>

#include "dev/fw_cfg.h"

#define KEY_FIRST_FILE		0x20
#define KEY_MASK		0x3fff	/* without "write" and "architecture" */
#define KEY_ARCHITECTURE	0x8000
#define ID_TRADITIONAL		1	/* selector and data; 2 would be DMA */

struct directory_entry {
	uint32_t size;
	uint16_t key;
	uint16_t reserved;
	char name[FW_CFG_MAX_NAME];
};

static const uint16_t known_key[FW_CFG_KNOWN_COUNT] = {
	[FW_CFG_KNOWN_SIGNATURE] = 0x00,
	[FW_CFG_KNOWN_ID] = 0x01,
	[FW_CFG_KNOWN_RAM_SIZE] = 0x03,
	[FW_CFG_KNOWN_NOGRAPHIC] = 0x04,
	[FW_CFG_KNOWN_CPUS] = 0x05,
	[FW_CFG_KNOWN_MAX_CPUS] = 0x0f,
	[FW_CFG_KNOWN_DIRECTORY] = 0x19,
};

static void select_item(struct fw_cfg *fw_cfg, uint16_t key)
{
	unsigned int i;

	fw_cfg->position = 0;
	fw_cfg->selected = NULL;
	if (key & KEY_ARCHITECTURE)
		return;
	key &= KEY_MASK;
	if (key >= KEY_FIRST_FILE && key - KEY_FIRST_FILE < (int)fw_cfg->files)
		fw_cfg->selected = &fw_cfg->file[key - KEY_FIRST_FILE];
	for (i = 0; i < FW_CFG_KNOWN_COUNT; i++)
		if (known_key[i] == key)
			fw_cfg->selected = &fw_cfg->known[i];
}

static uint64_t fw_cfg_read(struct device *device, uint64_t offset, unsigned int size)
{
	struct fw_cfg *fw_cfg = (struct fw_cfg *)device;

	if (size != 1 || offset != 1)
		return UINT64_MAX;
	if (!fw_cfg->selected || fw_cfg->position >= fw_cfg->selected->size)
		return 0;
	return ((const uint8_t *)fw_cfg->selected->data)[fw_cfg->position++];
}

static void fw_cfg_write(struct device *device, uint64_t offset, uint64_t value, unsigned int size)
{
	struct fw_cfg *fw_cfg = (struct fw_cfg *)device;

	/* Data cannot be written; the selector is 16 bits wide. */
	if (size == 2 && offset == 0)
		select_item(fw_cfg, value);
}

static void build_directory(struct fw_cfg *fw_cfg)
{
	uint32_t count = htobe32(fw_cfg->files);
	unsigned int i;

	memcpy(fw_cfg->directory, &count, sizeof(count));
	for (i = 0; i < fw_cfg->files; i++) {
		struct directory_entry entry = {
			.size = htobe32(fw_cfg->file[i].size),
			.key = htobe16(KEY_FIRST_FILE + i),
		};

		memcpy(entry.name, fw_cfg->file[i].name, sizeof(entry.name));
		memcpy(fw_cfg->directory + 4 + i * sizeof(entry), &entry, sizeof(entry));
	}
	fw_cfg->known[FW_CFG_KNOWN_DIRECTORY] = (struct fw_cfg_item){
		.data = fw_cfg->directory,
		.size = 4 + fw_cfg->files * sizeof(struct directory_entry),
	};
}

int fw_cfg_add_file(struct fw_cfg *fw_cfg, const char *name, const void *data, uint32_t size)
{
	unsigned int at = fw_cfg->files;

	if (at == FW_CFG_MAX_FILES || strlen(name) >= FW_CFG_MAX_NAME)
		return -1;
	for (; at && strcmp(fw_cfg->file[at - 1].name, name) > 0; at--)
		fw_cfg->file[at] = fw_cfg->file[at - 1];
	memset(&fw_cfg->file[at], 0, sizeof(fw_cfg->file[at]));
	strcpy(fw_cfg->file[at].name, name);
	fw_cfg->file[at].data = data;
	fw_cfg->file[at].size = size;
	fw_cfg->files++;
	build_directory(fw_cfg);
	return 0;
}

static void set_known(struct fw_cfg *fw_cfg, enum fw_cfg_known known, const void *data,
		      uint32_t size)
{
	fw_cfg->known[known].data = data;
	fw_cfg->known[known].size = size;
}

void fw_cfg_init(struct fw_cfg *fw_cfg, uint64_t ram_size, unsigned int cpus)
{
	memset(fw_cfg, 0, sizeof(*fw_cfg));
	fw_cfg->device = (struct device){
		.name = "fw_cfg", .width = 2, .read = fw_cfg_read, .write = fw_cfg_write,
	};
	device_init(&fw_cfg->device);
	fw_cfg->ram_size = ram_size;
	fw_cfg->id = ID_TRADITIONAL;
	fw_cfg->nographic = 1;
	fw_cfg->cpus = cpus;
	set_known(fw_cfg, FW_CFG_KNOWN_SIGNATURE, "QEMU", 4);
	set_known(fw_cfg, FW_CFG_KNOWN_ID, &fw_cfg->id, sizeof(fw_cfg->id));
	set_known(fw_cfg, FW_CFG_KNOWN_RAM_SIZE, &fw_cfg->ram_size, sizeof(fw_cfg->ram_size));
	set_known(fw_cfg, FW_CFG_KNOWN_NOGRAPHIC, &fw_cfg->nographic, sizeof(fw_cfg->nographic));
	set_known(fw_cfg, FW_CFG_KNOWN_CPUS, &fw_cfg->cpus, sizeof(fw_cfg->cpus));
	set_known(fw_cfg, FW_CFG_KNOWN_MAX_CPUS, &fw_cfg->cpus, sizeof(fw_cfg->cpus));
	build_directory(fw_cfg);
}
