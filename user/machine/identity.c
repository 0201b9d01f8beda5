// SPDX-License-Identifier: GPL-2.0
/* What a guest is known by. Pure. */
#include <string.h>

#include "machine/identity.h"

/* FNV-1a, whose last step is repeated for the index. What it gave once it gives in each version. */
uint64_t identity_hash(const char *words, unsigned int index)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (; *words; words++)
		hash = (hash ^ (uint8_t)*words) * 0x100000001b3;
	hash = (hash ^ (0x100 + index)) * 0x100000001b3;
	return hash ^ hash >> 40;
}

int identity_check_name(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t length = strlen(name);

	if (!length || length > IDENTITY_NAME_MAX || *name == '.' || *name == '-')
		return -1;
	return strspn(name, letters) == length ? 0 : -1;
}
