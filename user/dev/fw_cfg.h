/* SPDX-License-Identifier: GPL-2.0 */
/*
 * fw_cfg, as QEMU documents it: named items a guest or its firmware reads, by selector and data
 * port (no DMA).
 */
#ifndef HULL_DEV_FW_CFG_H
#define HULL_DEV_FW_CFG_H

#include "machine/bus.h"

#define FW_CFG_PORT		0x510
#define FW_CFG_LENGTH		2
#define FW_CFG_MAX_FILES	16
#define FW_CFG_MAX_NAME		56

struct fw_cfg_item {
	const void *data;
	uint32_t size;
	char name[FW_CFG_MAX_NAME];	/* files only */
};

/* The well-known keys that exist here. */
enum fw_cfg_known {
	FW_CFG_KNOWN_SIGNATURE,
	FW_CFG_KNOWN_ID,
	FW_CFG_KNOWN_RAM_SIZE,
	FW_CFG_KNOWN_NOGRAPHIC,
	FW_CFG_KNOWN_CPUS,
	FW_CFG_KNOWN_MAX_CPUS,
	FW_CFG_KNOWN_DIRECTORY,
	FW_CFG_KNOWN_COUNT
};

struct fw_cfg {
	struct device device;
	struct fw_cfg_item known[FW_CFG_KNOWN_COUNT];
	struct fw_cfg_item file[FW_CFG_MAX_FILES];
	unsigned int files;
	uint8_t directory[4 + FW_CFG_MAX_FILES * 64];
	uint64_t ram_size;
	uint32_t id;
	uint16_t nographic;
	uint16_t cpus;
	const struct fw_cfg_item *selected;
	uint32_t position;
};

void fw_cfg_init(struct fw_cfg *fw_cfg, uint64_t ram_size, unsigned int cpus);

/* Before the guest runs. @data stays the caller's and must not change. -1: too many, or name. */
int fw_cfg_add_file(struct fw_cfg *fw_cfg, const char *name, const void *data, uint32_t size);

#endif
