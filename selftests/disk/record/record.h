/* SPDX-License-Identifier: GPL-2.0 */
/* A record of what was done to a disk: entries, each followed by its data if it is a write. */
#ifndef SELFTESTS_DISK_RECORD_H
#define SELFTESTS_DISK_RECORD_H

#include <stdint.h>

#define RECORD_MAGIC	0x64636572U

enum record_op { RECORD_WRITE, RECORD_ZERO, RECORD_FLUSH };

struct record_entry {
	uint32_t magic;
	uint32_t op;
	uint64_t offset;
	uint32_t size;
	uint32_t reserved;
};

#endif
