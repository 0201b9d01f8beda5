/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The launcher's side of a program in a machine: the port for messages to and from init, and when
 * all that the program wrote has been passed on.
 *
 * Nothing that comes from the guest is believed: a message that cannot be is left out.
 */
#ifndef HULL_EXEC_SESSION_H
#define HULL_EXEC_SESSION_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "exec/protocol.h"
#include "port/port.h"

#define SESSION_QUEUE	64	/* messages to init: more are left out */

enum session_state {
	SESSION_STARTING,
	SESSION_RUNNING,
	SESSION_ENDED,		/* @last says how */
};

/**
 * struct session - a program in a machine
 * @done: called once, on any thread: the program has ended, and all it wrote is out
 * @opaque: for it
 * @lock: guards what follows
 * @streams: standard output and error, as long as the guest has them open
 * @last: the message that ended it
 * @queue: messages for init, from @first on, @queued of them; @begun bytes of the first are sent
 * @partial: the first @received bytes of a message of init's
 */
struct session {
	void (*done)(void *opaque);
	void *opaque;

	pthread_mutex_t lock;
	enum session_state state;
	unsigned int streams;
	bool told;
	struct exec_message last;
	struct exec_message queue[SESSION_QUEUE];
	unsigned int first, queued;
	size_t begun;
	uint8_t partial[sizeof(struct exec_message)];
	size_t received;
	int event;
};

void session_init(struct session *session, void (*done)(void *opaque), void *opaque);

/* The port for messages; whoever gets it destroys it. One a session; NULL with the reason. */
struct port *session_port(struct session *session, struct failure *why);

/* @port, of standard output or error, is to be waited for at the end. */
void session_watch(struct session *session, struct port *port);

/* Any thread. A message for which there is no room is lost. */
void session_send(struct session *session, enum exec_type type, uint32_t value, uint32_t more);
enum session_state session_state(struct session *session);

/* ---- pure: for tests and fuzzers ------------------------------------------------------------ */

/* May init say this? */
bool session_valid(const struct exec_message *message);

#endif
