// SPDX-License-Identifier: GPL-2.0
/*
 * What hull exec reads: messages of init's, which may be a hostile guest's, in pieces; lists of
 * modules and headers of kernels; and what its init reads, the description.
 *
 * Input: one byte that says which of these the rest is.
 */
#include "exec/description.h"
#include "exec/init/init.h"
#include "exec/modules.h"
#include "exec/session.h"
#include "fuzz.h"

static unsigned int done;

static void on_done(void *opaque)
{
	(void)opaque;
	done++;
}

static void fuzz_messages(const uint8_t *data, size_t size)
{
	static struct session session;
	struct port stream = { .ops = NULL }, *port;
	struct failure why;
	size_t part;

	done = 0;
	session_init(&session, on_done, NULL);
	port = session_port(&session, &why);
	session_watch(&session, &stream);
	if (!port)
		abort();
	for (; size > 1; data += part, size -= part) {
		part = 1 + *data % 30;
		if (part >= size)
			part = size - 1;
		if (*data == 0xff)
			stream.closed(stream.opaque);
		port->ops->send(port, &(struct iovec){ (uint8_t *)data + 1, part }, 1);
	}
	stream.closed(stream.opaque);
	if (done > 1 || done != (session_state(&session) == SESSION_ENDED))
		abort();
	if (done && !session_valid(&session.last))
		abort();
	port->ops->destroy(port);
}

static void fuzz_modules(const uint8_t *data, size_t size)
{
	struct blob dep = { "dep", data, size }, builtin = { "builtin", data + size / 2, size / 2 };
	struct module_list list = { .count = 0 };
	struct failure why = { "" };
	unsigned int i;

	if (!modules_resolve(&list, &dep, &builtin, "9p", &why) != !why.text[0])
		abort();
	for (i = 0; i < list.count; i++)
		if (!list.path[i] || !*list.path[i])
			abort();
	modules_free(&list);
}

static void fuzz_release(const uint8_t *data, size_t size)
{
	struct blob kernel = { "kernel", data, size };
	char release[20];

	if (!kernel_release(&kernel, release, sizeof(release)) &&
	    (!*release || strlen(release) >= sizeof(release) || strchr(release, '/')))
		abort();
}

static void fuzz_description(const uint8_t *data, size_t size)
{
	struct program program;
	/* Aligned, and with an end that sanitizers see. */
	uint8_t *copy = malloc(size ? size : 1);

	memcpy(copy, data, size);
	if (size >= sizeof(struct exec_description)) {
		((struct exec_description *)copy)->magic = EXEC_MAGIC;
		((struct exec_description *)copy)->size = size;
	}
	if (!read_description(&program, copy, size) &&
	    (!program.arguments[0] || program.arguments[program.header->arguments]))
		abort();
	free(program.arguments);
	free(program.environment);
	free(program.writable);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	switch (*data % 4) {
	case 0:
		fuzz_messages(data + 1, size - 1);
		break;
	case 1:
		fuzz_modules(data + 1, size - 1);
		break;
	case 2:
		fuzz_release(data + 1, size - 1);
		break;
	case 3:
		fuzz_description(data + 1, size - 1);
		break;
	}
	return 0;
}
