/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The broker: a process beside the launcher that keeps the rights the sandbox takes, for two
 * things: to start servers of disks again when they die, and to remove files at the end, whatever
 * that end is. What they are it is told before the sandbox is entered, and sealed: a launcher that
 * was taken over can have the same servers started again, and nothing else.
 */
#ifndef HULL_MACHINE_BROKER_H
#define HULL_MACHINE_BROKER_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "machine/failure.h"

#define BROKER_SERVERS	32
#define BROKER_FILES	64

/**
 * struct broker - the launcher's end
 * @lock: guards @socket: one request at a time
 * @socket: to the process, -1: it was not needed yet
 * @pid: of the process
 * @count: servers it knows
 */
struct broker {
	pthread_mutex_t lock;
	int socket;
	pid_t pid;
	unsigned int count;
};

void broker_init(struct broker *broker);

/* Waits for the process to have removed its files and ended its servers. */
void broker_destroy(struct broker *broker);

/* No more servers and files from here on. */
int broker_seal(struct broker *broker, struct failure *why);

/* @path goes when the launcher does. Returns 0, or -1 with the reason. */
int broker_remove_at_end(struct broker *broker, const char *path, struct failure *why);

/*
 * A program that serves one connection, of a socket that it is given as systemd does, and ends with
 * it. Its output goes to @words, a pipe. Returns a number for the calls below, or -1 with the
 * reason.
 */
int broker_add_server(struct broker *broker, char *const argv[], int words, struct failure *why);

/*
 * Starts it; one that runs still is killed before. @client: a connection with it; @pidfd: it is
 * readable when the server has ended. Both are the caller's. Returns 0, or -1 with the reason; with
 * errno ENOENT there is no such program.
 */
int broker_start_server(struct broker *broker, int server, int *client, int *pidfd,
			struct failure *why);

/* How it ended, as waitid() says; false: it has not. */
bool broker_server_ended(struct broker *broker, int server, siginfo_t *how);

/* Asks it to end. */
void broker_stop_server(struct broker *broker, int server);

#endif
