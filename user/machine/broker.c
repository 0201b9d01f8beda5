// SPDX-License-Identifier: GPL-2.0
/*
 * The launcher's end of its broker.
 *
 * Locks: broker->lock around a request and its reply.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine/broker.h"
#include "machine/broker_protocol.h"

void broker_init(struct broker *broker)
{
	*broker = (struct broker){ .socket = -1 };
	pthread_mutex_init(&broker->lock, NULL);
}

void broker_destroy(struct broker *broker)
{
	if (broker->socket < 0)
		return;
	close(broker->socket);
	while (waitpid(broker->pid, NULL, 0) < 0 && errno == EINTR)
		;
	broker->socket = -1;
}

/* The process begins where it is needed first; guest memory is none of its (memory.c). */
static int start_process(struct broker *broker, struct failure *why)
{
	int pair[2];

	if (broker->socket >= 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return fail(why, "cannot start the broker: %s", strerror(errno));
	broker->pid = fork();
	if (!broker->pid)
		broker_process(pair[1]);
	close(pair[1]);
	if (broker->pid < 0) {
		close(pair[0]);
		return fail(why, "cannot start the broker: %s", strerror(errno));
	}
	broker->socket = pair[0];
	return 0;
}

static int send_request(int socket, const struct broker_request *request, int fd)
{
	struct iovec iov = { (void *)request, sizeof(*request) };
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = "";
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *header = (struct cmsghdr *)control;
	ssize_t sent;

	if (fd >= 0) {
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &fd, sizeof(int));
		message.msg_control = control;
		message.msg_controllen = sizeof(control);
	}
	do {
		sent = sendmsg(socket, &message, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent == sizeof(*request) ? 0 : -1;
}

/* @fd: two, -1 where none came. */
static int receive_reply(int socket, struct broker_reply *reply, int fd[2])
{
	struct iovec iov = { reply, sizeof(*reply) };
	char control[CMSG_SPACE(2 * sizeof(int))] __attribute__((aligned(8)));
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header;
	ssize_t size;

	fd[0] = -1;
	fd[1] = -1;
	do {
		size = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	} while (size < 0 && errno == EINTR);
	if (size != sizeof(*reply))
		return -1;
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_type == SCM_RIGHTS &&
	    header->cmsg_len == CMSG_LEN(2 * sizeof(int)))
		memcpy(fd, CMSG_DATA(header), 2 * sizeof(int));
	return 0;
}

/* -1: the broker has gone; with the reason also where it says no. */
static int ask(struct broker *broker, const struct broker_request *request, int give,
	       struct broker_reply *reply, int take[2], struct failure *why)
{
	int ret;

	pthread_mutex_lock(&broker->lock);
	ret = send_request(broker->socket, request, give) ?:
	      receive_reply(broker->socket, reply, take);
	pthread_mutex_unlock(&broker->lock);
	if (ret) {
		errno = EPIPE;
		return fail(why, "the broker has gone");
	}
	if (!reply->error)
		return 0;
	reply->text[sizeof(reply->text) - 1] = '\0';
	fail(why, "%s", reply->text[0] ? reply->text : strerror(reply->error));
	errno = reply->error;
	return -1;
}

static int tell(struct broker *broker, struct broker_request *request, int give,
		struct failure *why)
{
	struct broker_reply reply;
	int none[2];

	return ask(broker, request, give, &reply, none, why);
}

int broker_seal(struct broker *broker, struct failure *why)
{
	struct broker_request request = { .op = BROKER_SEAL };

	return broker->socket < 0 ? 0 : tell(broker, &request, -1, why);
}

int broker_remove_at_end(struct broker *broker, const char *path, struct failure *why)
{
	struct broker_request request = { .op = BROKER_FILE, .size = strlen(path) + 1 };
	char *full = NULL;
	int ret = -1;

	/* It stays in this directory; the launcher need not. */
	if (*path != '/') {
		full = get_current_dir_name();
		if (!full)
			return fail(why, "%s: %s", path, strerror(errno));
		request.size += strlen(full) + 1;
	}
	if (request.size > sizeof(request.text)) {
		fail(why, "%s: %s", path, strerror(ENAMETOOLONG));
	} else {
		if (full)
			strcat(strcpy(request.text, full), "/");
		strcat(request.text, path);
		ret = start_process(broker, why) ?: tell(broker, &request, -1, why);
	}
	free(full);
	return ret;
}

int broker_add_server(struct broker *broker, char *const argv[], int words, struct failure *why)
{
	struct broker_request request = { .op = BROKER_SERVER };
	size_t length;

	for (; *argv; argv++) {
		length = strlen(*argv) + 1;
		if (length > sizeof(request.text) - request.size)
			return fail(why, "too many words for %s", request.text);
		memcpy(request.text + request.size, *argv, length);
		request.size += length;
	}
	if (start_process(broker, why) || tell(broker, &request, words, why))
		return -1;
	return broker->count++;
}

int broker_start_server(struct broker *broker, int server, int *client, int *pidfd,
			struct failure *why)
{
	struct broker_request request = { .op = BROKER_START, .server = server };
	struct broker_reply reply;
	int fd[2];

	if (ask(broker, &request, -1, &reply, fd, why))
		return -1;
	if (fd[0] < 0)
		return fail(why, "too many open files");
	*client = fd[0];
	*pidfd = fd[1];
	return 0;
}

bool broker_server_ended(struct broker *broker, int server, siginfo_t *how)
{
	struct broker_request request = { .op = BROKER_ENDED, .server = server };
	struct broker_reply reply;
	struct failure why;
	int none[2];

	memset(how, 0, sizeof(*how));
	if (ask(broker, &request, -1, &reply, none, &why))
		return false;
	how->si_code = reply.code;
	how->si_status = reply.status;
	return reply.code;
}

void broker_stop_server(struct broker *broker, int server)
{
	struct broker_request request = { .op = BROKER_STOP, .server = server };
	struct failure why;

	tell(broker, &request, -1, &why);
}
