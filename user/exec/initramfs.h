/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The initramfs of hull exec's machine: our init, which is part of the launcher, the modules that
 * its kernel needs, and the program's description.
 */
#ifndef HULL_EXEC_INITRAMFS_H
#define HULL_EXEC_INITRAMFS_H

#include "boot/boot.h"
#include "exec/cpio.h"

/**
 * initramfs_add_modules() - adds modules of a kernel
 * @cpio: gets them as EXEC_MODULE, in their order
 * @directory: as /lib/modules/RELEASE
 * @names: NULL at the end
 */
int initramfs_add_modules(struct cpio *cpio, const char *directory, const char *const *names,
			  struct failure *why);

/* Directories and init: the first call. */
void initramfs_begin(struct cpio *cpio);

#endif
