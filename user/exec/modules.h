/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which files of a kernel's modules are to be loaded, and in which order: what depmod's modules.dep
 * and modules.builtin say. Pure.
 */
#ifndef HULL_EXEC_MODULES_H
#define HULL_EXEC_MODULES_H

#include "boot/boot.h"

#define MODULES_MAX	64

/**
 * struct module_list - files below a kernel's directory of modules
 * @path: each after those that it needs; from malloc()
 */
struct module_list {
	unsigned int count;
	char *path[MODULES_MAX];
};

/**
 * modules_resolve() - adds a module and all that it needs
 * @list: what is in it already is not added again
 * @dep: contents of modules.dep
 * @builtin: contents of modules.builtin, which modules do not have to be loaded
 * @name: as "virtio_net": '-' and '_' are the same
 * @why: there is no such module, or what it needs is missing
 *
 * Return: 0, or -1.
 */
int modules_resolve(struct module_list *list, const struct blob *dep, const struct blob *builtin,
		    const char *name, struct failure *why);

void modules_free(struct module_list *list);

/*
 * The release of a bzImage, as "6.1.0-57-amd64", from its header; -1: it has none, or is none.
 */
int kernel_release(const struct blob *kernel, char *release, size_t size);

#endif
