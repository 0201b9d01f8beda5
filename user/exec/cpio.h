/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An archive in memory, as Linux unpacks it at its start: cpio in the "newc" format.
 */
#ifndef HULL_EXEC_CPIO_H
#define HULL_EXEC_CPIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct cpio - an archive that grows; zero at first
 * @data: from malloc(), the caller's to free
 * @failed: there was no memory: what was added since is missing
 */
struct cpio {
	uint8_t *data;
	size_t size, room;
	uint32_t files;
	bool failed;
};

/* @name: without a '/' at its start; directories above it must have been added. */
void cpio_add_directory(struct cpio *cpio, const char *name, uint32_t mode);

/* Up to 4 GiB. */
void cpio_add_file(struct cpio *cpio, const char *name, uint32_t mode, const void *data,
		   size_t size);

/* Closes it. 0, or -1: memory was short, now or before. */
int cpio_finish(struct cpio *cpio);

#endif
