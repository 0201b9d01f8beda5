// SPDX-License-Identifier: GPL-2.0
/*
 * A line of modules.dep is "PATH: PATH...": a module, and all that it needs, directly or not, what
 * is needed by others behind these. A line of modules.builtin is a path. Both name files as they
 * are, which may be compressed.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "exec/modules.h"

/* Of the header of a bzImage: where a pointer to the kernel's version is, counted from 0x200. */
#define MAGIC_AT		0x202
#define MAGIC			"HdrS"
#define VERSION_AT		0x20e
#define VERSION_BASE		0x200

/* A part of a file, without an end of its own. */
struct text {
	const char *at;
	size_t size;
};

/* Up to @stop, which is taken, or the end. */
static struct text cut(struct text *from, char stop)
{
	const char *end = from->size ? memchr(from->at, stop, from->size) : NULL;
	struct text part = { from->at, end ? (size_t)(end - from->at) : from->size };
	size_t taken = part.size + (end ? 1 : 0);

	from->at += taken;
	from->size -= taken;
	return part;
}

static char plain(char character)
{
	return character == '-' ? '_' : character;
}

/* Is this the file of module @name? */
static bool is_module(struct text path, const char *name)
{
	size_t length = strlen(name), i;

	for (i = path.size; i > 0 && path.at[i - 1] != '/'; i--)
		;
	path.at += i;
	path.size -= i;
	if (path.size < length + 3 || strncmp(path.at + length, ".ko", 3))
		return false;
	for (i = 0; i < length; i++)
		if (plain(path.at[i]) != plain(name[i]))
			return false;
	return path.size == length + 3 || path.at[length + 3] == '.';
}

static bool is_builtin(const struct blob *builtin, const char *name)
{
	struct text left = { (const char *)builtin->data, builtin->size };

	while (left.size)
		if (is_module(cut(&left, '\n'), name))
			return true;
	return false;
}

/* The line of @name: its file, and what it needs. */
static bool find(const struct blob *dep, const char *name, struct text *path, struct text *needs)
{
	struct text left = { (const char *)dep->data, dep->size };

	while (left.size) {
		*needs = cut(&left, '\n');
		*path = cut(needs, ':');
		if (is_module(*path, name))
			return true;
	}
	return false;
}

static bool is_in(const struct module_list *list, struct text path)
{
	unsigned int i;

	for (i = 0; i < list->count; i++)
		if (strlen(list->path[i]) == path.size &&
		    !memcmp(list->path[i], path.at, path.size))
			return true;
	return false;
}

static int add(struct module_list *list, struct text path, struct failure *why)
{
	if (is_in(list, path))
		return 0;
	if (!path.size || memchr(path.at, '\0', path.size))
		return fail(why, "modules.dep is damaged; run depmod");
	if (list->count == MODULES_MAX)
		return fail(why, "more than %u modules are needed", MODULES_MAX);
	list->path[list->count] = strndup(path.at, path.size);
	if (!list->path[list->count])
		return fail(why, "out of memory");
	list->count++;
	return 0;
}

/* The last one first. */
static int add_needed(struct module_list *list, struct text needs, struct failure *why)
{
	while (needs.size) {
		struct text path = needs;
		size_t i;

		while (path.size && path.at[path.size - 1] == ' ')
			path.size--;
		for (i = path.size; i > 0 && path.at[i - 1] != ' '; i--)
			;
		needs.size = i;
		path.at += i;
		path.size -= i;
		if (path.size && add(list, path, why))
			return -1;
	}
	return 0;
}

int modules_resolve(struct module_list *list, const struct blob *dep, const struct blob *builtin,
		    const char *name, struct failure *why)
{
	struct text path, needs;

	if (!find(dep, name, &path, &needs))
		return is_builtin(builtin, name) ? 0 :
		       fail(why, "the kernel has no module %s", name);
	if (add_needed(list, needs, why))
		return -1;
	return add(list, path, why);
}

void modules_free(struct module_list *list)
{
	while (list->count)
		free(list->path[--list->count]);
}

int kernel_release(const struct blob *kernel, char *release, size_t size)
{
	size_t start, length;
	uint16_t at;

	if (kernel->size < VERSION_AT + sizeof(at) ||
	    memcmp(kernel->data + MAGIC_AT, MAGIC, strlen(MAGIC)))
		return -1;
	memcpy(&at, kernel->data + VERSION_AT, sizeof(at));
	start = at + VERSION_BASE;
	if (!at || start >= kernel->size)
		return -1;
	/* Up to a space: what follows is who built it. */
	for (length = 0; length + 1 < size && start + length < kernel->size; length++) {
		char character = kernel->data[start + length];

		if (character <= ' ' || character == '/')
			break;
		release[length] = character;
	}
	release[length] = '\0';
	return length ? 0 : -1;
}
