// SPDX-License-Identifier: GPL-2.0
/* The description, taken apart: strings stay where they are. */
#include <stdlib.h>
#include <string.h>

#include "exec/init/init.h"

/* What is left to read. */
struct rest {
	char *at;
	size_t size;
};

/* The next string, or NULL. */
static char *next(struct rest *rest)
{
	char *text = rest->at;
	char *end = rest->size ? memchr(text, '\0', rest->size) : NULL;

	if (!end)
		return NULL;
	rest->size -= end + 1 - text;
	rest->at = end + 1;
	return text;
}

static char **next_list(struct rest *rest, uint32_t count)
{
	char **list = count <= rest->size ? calloc(count + 1ULL, sizeof(*list)) : NULL;
	uint32_t i;

	for (i = 0; list && i < count; i++) {
		list[i] = next(rest);
		if (!list[i]) {
			free(list);
			return NULL;
		}
	}
	return list;
}

int read_description(struct program *program, const void *data, size_t size)
{
	const struct exec_description *header = data;
	struct rest rest;

	memset(program, 0, sizeof(*program));
	if (size < sizeof(*header) || header->magic != EXEC_MAGIC || header->size != size ||
	    header->groups > (size - sizeof(*header)) / sizeof(uint32_t) || !header->arguments)
		return -1;
	program->header = header;
	program->group = (const uint32_t *)(header + 1);
	rest.at = (char *)(program->group + header->groups);
	rest.size = (char *)data + size - rest.at;
	program->directory = next(&rest);
	program->host = next(&rest);
	program->arguments = next_list(&rest, header->arguments);
	program->environment = next_list(&rest, header->variables);
	program->writable = next_list(&rest, header->writable);
	if (!program->directory || !program->host || !program->arguments ||
	    !program->environment || !program->writable || rest.size)
		return -1;
	return 0;
}
