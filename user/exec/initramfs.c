// SPDX-License-Identifier: GPL-2.0
/* Files of the host's into an archive for the guest's kernel. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "exec/initramfs.h"
#include "exec/modules.h"
#include "exec/protocol.h"

/* image.S */
extern const uint8_t exec_init_image[], exec_init_image_end[];

void initramfs_begin(struct cpio *cpio)
{
	cpio_add_directory(cpio, "modules", 0755);
	cpio_add_file(cpio, EXEC_INIT, 0755, exec_init_image,
		      exec_init_image_end - exec_init_image);
}

static int add_module(struct cpio *cpio, unsigned int index, const char *directory,
		      const char *path, struct failure *why)
{
	char from[PATH_MAX], name[32];
	struct blob file = { .data = NULL };

	if ((size_t)snprintf(from, sizeof(from), "%s/%s", directory, path) >= sizeof(from))
		return fail(why, "%s: the name is too long", path);
	if (blob_load(&file, from, why))
		return -1;
	snprintf(name, sizeof(name), EXEC_MODULE, index);
	cpio_add_file(cpio, name, 0644, file.data, file.size);
	blob_free(&file);
	return 0;
}

static int load_list(const char *directory, const char *name, struct blob *blob,
		     struct failure *why)
{
	char path[PATH_MAX];
	int ret;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	ret = blob_load(blob, path, why);
	blob->name = name;
	return ret;
}

int initramfs_add_modules(struct cpio *cpio, const char *directory, const char *const *names,
			  struct failure *why)
{
	struct blob dep = { .data = NULL }, builtin = { .data = NULL };
	struct module_list list = { 0 };
	struct failure reason;
	unsigned int i;
	int ret = -1;

	if (load_list(directory, "modules.dep", &dep, why) ||
	    load_list(directory, "modules.builtin", &builtin, why))
		goto out;
	for (; *names; names++) {
		if (modules_resolve(&list, &dep, &builtin, *names, &reason)) {
			fail(why, "%s: %s", directory, reason.text);
			goto out;
		}
	}
	for (i = 0; i < list.count; i++)
		if (add_module(cpio, i, directory, list.path[i], why))
			goto out;
	ret = 0;
out:
	modules_free(&list);
	blob_free(&dep);
	blob_free(&builtin);
	return ret;
}
