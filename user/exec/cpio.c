// SPDX-License-Identifier: GPL-2.0
/*
 * A member is a header of hexadecimal digits, its name, and its data, the last two padded so that
 * what follows begins at a multiple of four.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "exec/cpio.h"

#define MAGIC		"070701"
#define FIELDS		13
#define HEADER		(6 + 8 * FIELDS)
#define TRAILER		"TRAILER!!!"

/* The fields that are not 0 here; the archive is root's, and of no time. */
enum { FIELD_INO, FIELD_MODE, FIELD_NLINK = 4, FIELD_FILESIZE = 6, FIELD_NAMESIZE = 11 };

static size_t padding(size_t size)
{
	return -size % 4;
}

static bool reserve(struct cpio *cpio, size_t more)
{
	size_t room = cpio->room ? cpio->room : 1 << 20;
	uint8_t *data;

	if (cpio->failed)
		return false;
	while (room - cpio->size < more && room <= SIZE_MAX / 2)
		room *= 2;
	if (room == cpio->room)
		return true;
	data = room - cpio->size < more ? NULL : realloc(cpio->data, room);
	if (!data) {
		cpio->failed = true;
		return false;
	}
	cpio->data = data;
	cpio->room = room;
	return true;
}

/* There is room. */
static void append(struct cpio *cpio, const void *data, size_t size)
{
	if (size)
		memcpy(cpio->data + cpio->size, data, size);
	cpio->size += size;
	memset(cpio->data + cpio->size, 0, padding(cpio->size));
	cpio->size += padding(cpio->size);
}

static void add(struct cpio *cpio, const char *name, uint32_t mode, const void *data, size_t size)
{
	size_t name_size = strlen(name) + 1, i;
	uint32_t field[FIELDS] = {
		[FIELD_INO] = ++cpio->files,
		[FIELD_MODE] = mode,
		[FIELD_NLINK] = 1,
		[FIELD_FILESIZE] = size,
		[FIELD_NAMESIZE] = name_size,
	};
	char header[HEADER + 1] = MAGIC;

	if (size > UINT32_MAX || name_size > 4096) {
		cpio->failed = true;
		return;
	}
	if (!reserve(cpio, HEADER + name_size + size + 8))
		return;
	for (i = 0; i < FIELDS; i++)
		snprintf(header + 6 + 8 * i, 9, "%08x", field[i]);
	/* Header and name are padded together. */
	memcpy(cpio->data + cpio->size, header, HEADER);
	cpio->size += HEADER;
	append(cpio, name, name_size);
	append(cpio, data, size);
}

void cpio_add_directory(struct cpio *cpio, const char *name, uint32_t mode)
{
	add(cpio, name, S_IFDIR | mode, NULL, 0);
}

void cpio_add_file(struct cpio *cpio, const char *name, uint32_t mode, const void *data,
		   size_t size)
{
	add(cpio, name, S_IFREG | mode, data, size);
}

int cpio_finish(struct cpio *cpio)
{
	add(cpio, TRAILER, 0, NULL, 0);
	return cpio->failed ? -1 : 0;
}
