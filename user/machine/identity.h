/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a guest is known by: the same each time it is run, so that what is derived from it is too.
 */
#ifndef HULL_MACHINE_IDENTITY_H
#define HULL_MACHINE_IDENTITY_H

#include <stdint.h>

#define IDENTITY_NAME_MAX	64

/* 64 bits of @words and @index. No secret: whoever knows @words can tell. */
uint64_t identity_hash(const char *words, unsigned int index);

/*
 * 0, or -1: a name has 1 to IDENTITY_NAME_MAX letters, digits, '.', '_' and '-', and begins with
 * none of '.' and '-'.
 */
int identity_check_name(const char *name);

#endif
