/* SPDX-License-Identifier: GPL-2.0 */
/* What the launcher and its broker say to each other: one reply for each request. */
#ifndef HULL_MACHINE_BROKER_PROTOCOL_H
#define HULL_MACHINE_BROKER_PROTOCOL_H

#include <stdint.h>

#define BROKER_TEXT	8192

enum broker_op {
	BROKER_FILE,		/* @text: a path */
	BROKER_SERVER,		/* @text: words, each with its zero byte; with the pipe */
	BROKER_SEAL,
	BROKER_START,		/* @server; the reply comes with a connection and a pidfd */
	BROKER_ENDED,		/* @server */
	BROKER_STOP,		/* @server */
};

struct broker_request {
	uint32_t op;
	uint32_t server;
	uint32_t size;		/* of @text */
	char text[BROKER_TEXT];
};

/* @error: 0 or an errno; @code and @status: of BROKER_ENDED, @code 0: it runs. */
struct broker_reply {
	int32_t error;
	int32_t code, status;
	char text[256];
};

/* broker_process.c: until the other end of @socket is closed. */
void broker_process(int socket) __attribute__((noreturn));

#endif
