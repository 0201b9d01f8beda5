// SPDX-License-Identifier: GPL-2.0
/*
 * The launcher and init: the description that one writes and the other reads, and messages, of
 * which the launcher believes none that cannot be.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exec/description.h"
#include "exec/init/init.h"
#include "exec/keys.h"
#include "exec/session.h"
#include "test.h"

/* ---- the description ------------------------------------------------------------------------ */

static char *arguments[] = { "program", "", "two  words", NULL };
static char *environment[] = { "A=1", "B=", NULL };

static void *describe(size_t *size)
{
	struct exec_program program = { .arguments = arguments };
	struct failure why = { "" };
	void *data;

	EXPECT_EQ(0, exec_take_over(&program, &why));
	program.environment = environment;
	program.writable[0] = strdup("/one");
	program.writable[1] = strdup("/two");
	program.header.writable = 2;
	data = exec_describe(&program, size, &why);
	EXPECT(data);
	exec_forget(&program);
	return data;
}

static void free_lists(struct program *program)
{
	free(program->arguments);
	free(program->environment);
	free(program->writable);
}

static void test_description(void)
{
	struct program program;
	char host[100], directory[4096];
	size_t size;
	void *data = describe(&size);

	EXPECT_EQ(0, read_description(&program, data, size));
	gethostname(host, sizeof(host));
	EXPECT(!strcmp(program.host, host));
	EXPECT(getcwd(directory, sizeof(directory)) && !strcmp(program.directory, directory));
	EXPECT_EQ(getuid(), program.header->uid);
	EXPECT(!strcmp(program.arguments[0], "program") && !*program.arguments[1] &&
	       !strcmp(program.arguments[2], "two  words") && !program.arguments[3]);
	EXPECT(!strcmp(program.environment[0], "A=1") && !strcmp(program.environment[1], "B=") &&
	       !program.environment[2]);
	EXPECT(!strcmp(program.writable[0], "/one") && !strcmp(program.writable[1], "/two") &&
	       !program.writable[2]);
	EXPECT_EQ(getgroups(0, NULL), program.header->groups);
	free_lists(&program);
	free(data);
}

/* A part of it, or counts that are wrong, is none; nothing beyond it is read. */
static void test_damaged(void)
{
	struct program program;
	size_t size, part, i;
	uint8_t *data = describe(&size);

	for (part = 0; part < size; part++) {
		uint8_t *copy = malloc(part ? part : 1);

		memcpy(copy, data, part);
		if (part >= sizeof(struct exec_description))
			((struct exec_description *)copy)->size = part;
		EXPECT_EQ(-1, read_description(&program, copy, part));
		free_lists(&program);
		free(copy);
	}
	for (i = 0; i < 10; i++) {
		uint32_t *word = (uint32_t *)data + i, was = *word;

		/* Those that are sizes and counts, and the magic. */
		if (i == 2 || i == 3 || i == 4 || i == 6)
			continue;
		*word = 0xffffffff;
		EXPECT_EQ(-1, read_description(&program, data, size));
		free_lists(&program);
		/* One group more is a shorter name of a directory. */
		*word = i == 5 ? size : was + 1;
		EXPECT_EQ(-1, read_description(&program, data, size));
		free_lists(&program);
		*word = was;
	}
	free(data);
}

/* ---- messages ------------------------------------------------------------------------------- */

static struct session session;
static struct port *port;
static unsigned int done;
static struct port streams[2];

static void on_done(void *opaque)
{
	EXPECT(opaque == &done);
	done++;
}

static void start(void)
{
	struct failure why;

	if (port)
		port->ops->destroy(port);
	done = 0;
	session_init(&session, on_done, &done);
	port = session_port(&session, &why);
	session_watch(&session, &streams[0]);
	session_watch(&session, &streams[1]);
	EXPECT(port && port->open);
}

static void close_stream(unsigned int which)
{
	streams[which].closed(streams[which].opaque);
}

/* In pieces of @step bytes. */
static void hear(const struct exec_message *message, size_t step)
{
	size_t at, size = sizeof(*message);

	for (at = 0; at < size; at += step) {
		size_t part = size - at < step ? size - at : step;
		const struct iovec iov = { (uint8_t *)message + at, part };

		EXPECT_EQ(part, port->ops->send(port, &iov, 1));
	}
}

static void test_course(void)
{
	static const struct exec_message started = { EXEC_STARTED, 0, 0 };
	static const struct exec_message exited = { EXEC_EXITED, 42, 0 };
	static const struct exec_message killed = { EXEC_KILLED, 9, 0 };
	size_t step;

	for (step = 1; step <= sizeof(started); step++) {
		start();
		EXPECT_EQ(SESSION_STARTING, session_state(&session));
		hear(&started, step);
		EXPECT_EQ(SESSION_RUNNING, session_state(&session));
		close_stream(0);
		hear(&exited, step);
		EXPECT_EQ(SESSION_ENDED, session_state(&session));
		EXPECT_EQ(0, done);
		/* The first end is the one. */
		hear(&killed, step);
		hear(&started, step);
		close_stream(1);
		EXPECT_EQ(1, done);
		close_stream(1);
		hear(&exited, step);
		EXPECT_EQ(1, done);
		EXPECT_EQ(EXEC_EXITED, session.last.type);
		EXPECT_EQ(42, session.last.value);
	}
}

static void test_impossible(void)
{
	static const struct exec_message bad[] = {
		{ 0, 0, 0 }, { EXEC_SIGNAL, 9, 0 }, { EXEC_WINDOW, 1, 1 }, { EXEC_TRIM, 0, 0 },
		{ EXEC_EXITED, 256, 0 }, { EXEC_KILLED, 0, 0 }, { EXEC_KILLED, 128, 0 },
		{ EXEC_REFUSED, 4096, 0 }, { EXEC_FAILED, 4096, 0 },
		{ EXEC_FAILED, 1, EXEC_STAGE_COUNT }, { EXEC_FAILED + 1, 0, 0 },
		{ 0xffffffff, 0xffffffff, 0xffffffff },
	};
	size_t i;

	start();
	close_stream(0);
	close_stream(1);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		EXPECT(!session_valid(&bad[i]));
		hear(&bad[i], 12);
		EXPECT_EQ(SESSION_STARTING, session_state(&session));
	}
	EXPECT_EQ(0, done);
}

/* Messages to init arrive in order, in pieces; more than fit are left out. */
static void test_to_init(void)
{
	struct exec_message message;
	uint8_t data[5];
	size_t received = 0;
	unsigned int i, count = 0;
	ssize_t got;

	start();
	for (i = 0; i < SESSION_QUEUE + 10; i++)
		session_send(&session, EXEC_SIGNAL, i, i + 1);
	port->ops->ready(port);
	for (;;) {
		const struct iovec iov = { data, sizeof(data) };

		got = port->ops->receive(port, &iov, 1);
		if (got == -EAGAIN)
			break;
		EXPECT(got > 0 && got <= 5);
		for (i = 0; i < got; i++) {
			((uint8_t *)&message)[received++] = data[i];
			if (received < sizeof(message))
				continue;
			received = 0;
			EXPECT_EQ(EXEC_SIGNAL, message.type);
			EXPECT_EQ(count, message.value);
			EXPECT_EQ(count + 1, message.more);
			count++;
		}
	}
	EXPECT_EQ(0, received);
	EXPECT_EQ(SESSION_QUEUE, count);
	/* There is room again; and none that is there is lost with the port. */
	session_send(&session, EXEC_WINDOW, 1, 2);
	EXPECT_EQ(5, port->ops->receive(port, &(struct iovec){ data, 5 }, 1));
	port->ops->destroy(port);
	port = NULL;
	session_send(&session, EXEC_WINDOW, 1, 2);
}

/* ---- keys ----------------------------------------------------------------------------------- */

static void test_keys(void)
{
	static const uint8_t key[] = { KEYS_ESCAPE, KEYS_ESCAPE, KEYS_ESCAPE, KEYS_ESCAPE };
	const uint64_t second = KEYS_WITHIN_NS;
	struct keys keys = { 0 };

	EXPECT(keys_typed(&keys, key, 3, second));
	EXPECT(!keys_typed(&keys, key, 1, second));
	keys.count = 0;
	EXPECT(!keys_typed(&keys, key, 2, 5 * second));
	EXPECT(!keys_typed(&keys, (const uint8_t *)"x", 1, 5 * second));
	EXPECT(!keys_typed(&keys, key, 2, 5 * second));
	EXPECT(keys_typed(&keys, key, 1, 6 * second));
	keys.count = 0;
	/* Too slowly: from then on they are counted anew. */
	EXPECT(!keys_typed(&keys, key, 2, 7 * second));
	EXPECT(!keys_typed(&keys, key, 1, 8 * second + 1));
	EXPECT(keys_typed(&keys, key, 2, 8 * second + 2));
}

static const struct test tests[] = {
	{ "init reads what the launcher describes", test_description },
	{ "a description that is damaged is none", test_damaged },
	{ "from the start to the end", test_course },
	{ "messages that cannot be are left out", test_impossible },
	{ "messages to init", test_to_init },
	{ "a way out of a terminal", test_keys },
};

int main(void)
{
	int ret = RUN_TESTS(tests);

	if (port)
		port->ops->destroy(port);
	return ret;
}
