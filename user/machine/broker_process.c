// SPDX-License-Identifier: GPL-2.0
/*
 * The broker's process. Requests come from a launcher that may have been taken over: each is
 * checked, and after BROKER_SEAL names nothing but a server's number.
 *
 * A server gets a socket that listens (as systemd passes one), on which a connection waits already:
 * so there is no name by which anybody else could connect, and nothing is left behind. It ends with
 * that connection, by itself, or with this process.
 *
 * Locks: none, one thread.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine/broker.h"
#include "machine/broker_protocol.h"

#define FIRST_FD	3	/* SD_LISTEN_FDS_START */
#define ARGUMENTS	32
#define END_MS		30000	/* what a server may take to write all it has */

/*
 * @argv: in the request's text
 * @words: where its output goes
 * @pid: 0: it was not started, or is reaped, and @how says how it ended
 */
struct server {
	char *argv[ARGUMENTS + 1];
	int words;
	pid_t pid;
	siginfo_t how;
};

static struct server servers[BROKER_SERVERS];
static unsigned int server_count;
static char *files[BROKER_FILES];
static unsigned int file_count;
static bool sealed;

/* ---- starting a server ---------------------------------------------------------------------- */

static int bind_private(int listener, int client, struct sockaddr_un *address)
{
	char directory[] = "/tmp/hull-XXXXXX";
	int ret, error;

	if (!mkdtemp(directory))
		return -1;
	snprintf(address->sun_path, sizeof(address->sun_path), "%s/socket", directory);
	ret = bind(listener, (struct sockaddr *)address, sizeof(*address)) || listen(listener, 1) ||
	      connect(client, (struct sockaddr *)address, sizeof(*address));
	error = errno;
	unlink(address->sun_path);
	rmdir(directory);
	errno = error;
	return ret ? -1 : 0;
}

static void close_both(const int pair[2])
{
	if (pair[0] >= 0)
		close(pair[0]);
	if (pair[1] >= 0)
		close(pair[1]);
}

/* @pair: who listens, and a connection to it. 0, or a negative errno. */
static int make_sockets(int pair[2])
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int error;

	pair[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pair[1] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (pair[0] >= 0 && pair[1] >= 0 && !bind_private(pair[0], pair[1], &address))
		return 0;
	error = errno;
	close_both(pair);
	return -error;
}

/* In the child: standard streams, the socket and its variables, as the program is to find them. */
static void prepare(const struct server *server, int listener)
{
	char pid[32];
	sigset_t none;
	int words, null;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Out of the way of those that have fixed numbers. */
	listener = fcntl(listener, F_DUPFD, 10);
	words = fcntl(server->words, F_DUPFD, 10);
	null = open("/dev/null", O_RDONLY);
	dup2(null, STDIN_FILENO);
	dup2(words, STDOUT_FILENO);
	dup2(words, STDERR_FILENO);
	dup2(listener, FIRST_FD);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("LISTEN_FDS", "1", 1);
	setenv("LISTEN_PID", pid, 1);
	unsetenv("LISTEN_FDNAMES");
}

/* 0, or a negative errno: execve()'s, too, which comes by a pipe that a program closes. */
static int spawn(struct server *server, int listener)
{
	int result[2], error = 0;
	pid_t child;

	if (pipe2(result, O_CLOEXEC))
		return -errno;
	child = fork();
	if (!child) {
		int report = fcntl(result[1], F_DUPFD_CLOEXEC, 20);

		prepare(server, listener);
		close_range(FIRST_FD + 1, report - 1, 0);
		close_range(report + 1, UINT_MAX, 0);
		execvp(server->argv[0], server->argv);
		error = errno;
		report = write(report, &error, sizeof(error));
		_exit(127);
	}
	if (child < 0)
		error = errno;
	close(result[1]);
	if (!error && read(result[0], &error, sizeof(error)) != sizeof(error))
		error = 0;
	close(result[0]);
	if (error && child > 0)
		waitpid(child, NULL, 0);
	else if (!error)
		server->pid = child;
	return -error;
}

static void reap(struct server *server, int options)
{
	siginfo_t how = { .si_pid = 0 };

	if (server->pid && !waitid(P_PID, server->pid, &how, WEXITED | options) && how.si_pid) {
		server->how = how;
		server->pid = 0;
	}
}

static int start_server(struct server *server, struct broker_reply *reply, int give[2])
{
	int pair[2], error;

	/* The last one is of no use any more, and has the image. */
	if (server->pid) {
		kill(server->pid, SIGKILL);
		reap(server, 0);
	}
	error = make_sockets(pair);
	if (error) {
		snprintf(reply->text, sizeof(reply->text), "cannot make a socket for %s: %s",
			 server->argv[0], strerror(-error));
		return error;
	}
	error = spawn(server, pair[0]);
	close(pair[0]);
	if (!error) {
		give[0] = pair[1];
		give[1] = pidfd_open(server->pid, 0);
		if (give[1] >= 0)
			return 0;
		error = -errno;
		give[0] = -1;
	}
	close(pair[1]);
	snprintf(reply->text, sizeof(reply->text), "cannot start %s: %s", server->argv[0],
		 strerror(-error));
	return error;
}

/* ---- requests ------------------------------------------------------------------------------- */

static int add_file(const struct broker_request *request)
{
	if (sealed || file_count == BROKER_FILES)
		return -EPERM;
	files[file_count] = strdup(request->text);
	return files[file_count] ? (file_count++, 0) : -ENOMEM;
}

static int add_server(const struct broker_request *request, int words)
{
	struct server *server = &servers[server_count];
	unsigned int count = 0;
	char *at, *end;

	if (sealed || server_count == BROKER_SERVERS || words < 0)
		return -EPERM;
	at = malloc(request->size);
	if (!at)
		return -ENOMEM;
	memcpy(at, request->text, request->size);
	for (end = at + request->size; at < end && count < ARGUMENTS; at += strlen(at) + 1)
		server->argv[count++] = at;
	server->words = fcntl(words, F_DUPFD_CLOEXEC, FIRST_FD);
	if (at < end || server->words < 0)
		return -E2BIG;
	server_count++;
	return 0;
}

static int do_server(const struct broker_request *request, struct broker_reply *reply, int give[2])
{
	struct server *server;

	if (request->server >= server_count)
		return -EINVAL;
	server = &servers[request->server];
	switch (request->op) {
	case BROKER_START:
		return start_server(server, reply, give);
	case BROKER_ENDED:
		reap(server, WNOHANG);
		reply->code = server->pid ? 0 : server->how.si_code;
		reply->status = server->how.si_status;
		return 0;
	case BROKER_STOP:
		if (server->pid)
			kill(server->pid, SIGTERM);
		return 0;
	}
	return -EINVAL;
}

static int do_request(struct broker_request *request, int taken, struct broker_reply *reply,
		      int give[2])
{
	if (request->size > sizeof(request->text) ||
	    (request->size && request->text[request->size - 1]))
		return -EINVAL;
	switch (request->op) {
	case BROKER_FILE:
		return request->size ? add_file(request) : -EINVAL;
	case BROKER_SERVER:
		return request->size ? add_server(request, taken) : -EINVAL;
	case BROKER_SEAL:
		sealed = true;
		return 0;
	default:
		return do_server(request, reply, give);
	}
}

/* ---- the process ---------------------------------------------------------------------------- */

/* False: the launcher has gone. @taken: -1, or a descriptor that came. */
static bool receive(int socket, struct broker_request *request, int *taken)
{
	struct iovec iov = { request, sizeof(*request) };
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header;
	ssize_t size;

	*taken = -1;
	do {
		size = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	} while (size < 0 && errno == EINTR);
	if (size != sizeof(*request))
		return false;
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(taken, CMSG_DATA(header), sizeof(int));
	return true;
}

static bool answer(int socket, const struct broker_reply *reply, const int give[2])
{
	struct iovec iov = { (void *)reply, sizeof(*reply) };
	char control[CMSG_SPACE(2 * sizeof(int))] __attribute__((aligned(8))) = "";
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *header = (struct cmsghdr *)control;

	if (give[0] >= 0) {
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(2 * sizeof(int));
		memcpy(CMSG_DATA(header), give, 2 * sizeof(int));
		message.msg_control = control;
		message.msg_controllen = sizeof(control);
	}
	return sendmsg(socket, &message, MSG_NOSIGNAL) == sizeof(*reply);
}

/* In good order: a server writes what it has, for a while. */
static void end_server(struct server *server)
{
	struct pollfd event = { .events = POLLIN };

	if (!server->pid)
		return;
	kill(server->pid, SIGTERM);
	event.fd = pidfd_open(server->pid, 0);
	poll(&event, 1, END_MS);
	kill(server->pid, SIGKILL);
	reap(server, 0);
}

static void clean_up(void)
{
	while (file_count)
		unlink(files[--file_count]);
	while (server_count)
		end_server(&servers[--server_count]);
}

/* Of the launcher's files only those that it is given: this process keeps no VM and no disk. */
static int keep_alone(int socket)
{
	sigset_t all;
	int null;

	/* Keys of the terminal and what else ends launchers are for the launcher. */
	setpgid(0, 0);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	prctl(PR_SET_NAME, "hull-broker");
	if (socket != FIRST_FD)
		dup3(socket, FIRST_FD, O_CLOEXEC);
	close_range(FIRST_FD + 1, UINT_MAX, 0);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	close(null);
	return FIRST_FD;
}

void broker_process(int socket)
{
	static struct broker_request request;
	bool there = true;
	int taken;

	socket = keep_alone(socket);
	while (there && receive(socket, &request, &taken)) {
		struct broker_reply reply = { .error = 0 };
		int give[2] = { -1, -1 };

		reply.error = -do_request(&request, taken, &reply, give);
		there = answer(socket, &reply, give);
		close_both(give);
		if (taken >= 0)
			close(taken);
	}
	clean_up();
	_exit(0);
}
