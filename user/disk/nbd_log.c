// SPDX-License-Identifier: GPL-2.0
/*
 * Writes that are repeated when a server is gone; see nbd_log.h for why.
 *
 * Locks: none.
 */
#include <stdlib.h>
#include <string.h>

#include "disk/nbd_log.h"

static uint64_t memory_of(const struct nbd_command *command)
{
	return sizeof(*command) + (command->op == DISK_WRITE ? command->size : 0);
}

void log_init(struct nbd_log *log)
{
	memset(log, 0, sizeof(*log));
	TAILQ_INIT(&log->commands);
}

void log_add(struct nbd_log *log, struct nbd_command *command)
{
	command->logged = true;
	command->request = NULL;
	command->number = ++log->number;
	log->bytes += memory_of(command);
	TAILQ_INSERT_TAIL(&log->commands, command, link);
}

void log_drop(struct nbd_log *log, uint64_t number)
{
	struct nbd_command *command;

	while ((command = TAILQ_FIRST(&log->commands)) && command->number <= number) {
		TAILQ_REMOVE(&log->commands, command, link);
		log->bytes -= memory_of(command);
		free(command);
	}
}

void log_rewind(struct nbd_log *log)
{
	memset(log->sent, 0, sizeof(log->sent));
	log->under_way = 0;
	log->next = TAILQ_FIRST(&log->commands);
}

static bool overlap(const struct nbd_command *one, const struct nbd_command *two)
{
	return one->offset < two->offset + two->size && two->offset < one->offset + one->size;
}

struct nbd_command *log_next(struct nbd_log *log)
{
	struct nbd_command *command = log->next;
	unsigned int i, place = REPLAY_MAX;

	if (!command)
		return NULL;
	for (i = 0; i < REPLAY_MAX; i++) {
		if (!log->sent[i])
			place = i;
		else if (overlap(log->sent[i], command))
			return NULL;
	}
	if (place == REPLAY_MAX)
		return NULL;
	log->sent[place] = command;
	log->under_way++;
	log->next = TAILQ_NEXT(command, link);
	return command;
}

void log_repeated(struct nbd_log *log, const struct nbd_command *command)
{
	unsigned int i;

	for (i = 0; i < REPLAY_MAX; i++) {
		if (log->sent[i] == command) {
			log->sent[i] = NULL;
			log->under_way--;
		}
	}
}

bool log_is_through(const struct nbd_log *log)
{
	return !log->next && !log->under_way;
}
