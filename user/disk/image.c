// SPDX-License-Identifier: GPL-2.0
/*
 * Images in formats of others (qcow2 ...): QEMU's qemu-nbd knows them, and is started for each.
 *
 * It gets a socket that listens (as systemd passes one), on which a connection waits already: so
 * there is no name by which anybody else could connect, and nothing is left behind. It ends with
 * that connection, by itself; with the thread that started it, should that end before; and is
 * started again when it dies while the guest runs (nbd_log.h says why nothing is lost then).
 *
 * Started by vfork(): a copy of the launcher's page tables would cost, and take from the guest for
 * a while, all its memory.
 *
 * Locks: none, one thread at a time: the main thread opens and closes, the worker is between.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disk/nbd.h"
#include "machine/notice.h"

#define END_MS		30000	/* what a server may take to write all it has */
#define DEATH_MS	1000	/* from the end of its connection to its own */

#define FIRST_FD	3	/* SD_LISTEN_FDS_START */

/*
 * @path: for qemu-nbd, to which a name with a colon is something else
 * @words: pipe of what servers say, of all that there will be
 * @pidfd: of the server, -1: there is none
 * @line: what it says now
 * @first: the first line of this server: why it ended
 * @open: the guest has the disk: the user is told what servers say
 */
struct image {
	struct nbd_source source;
	const char *name, *format;
	bool read_only, open;
	char path[PATH_MAX];
	int words[2];
	int pidfd;
	char line[256], first[256];
	size_t length;
	struct notice notice;
};

/* ---- what a server says --------------------------------------------------------------------- */

static void end_line(struct image *image)
{
	const char *text = image->line;

	image->line[image->length] = '\0';
	image->length = 0;
	if (!strncmp(text, "qemu-nbd: ", 10))
		text += 10;
	if (!*text)
		return;
	if (!image->first[0])
		strcpy(image->first, text);
	if (image->open)
		notice(&image->notice, "disk %s: qemu-nbd: %s", image->name, text);
}

static void image_hear(struct nbd_source *source)
{
	struct image *image = (struct image *)source;
	char data[512];
	ssize_t size, i;

	while ((size = read(image->words[0], data, sizeof(data))) > 0) {
		for (i = 0; i < size; i++) {
			if (data[i] == '\n' || image->length == sizeof(image->line) - 1)
				end_line(image);
			if (data[i] != '\n')
				image->line[image->length++] = data[i];
		}
	}
}

/* "Failed to blk_new_open 'FILE': Could not open 'FILE': ...": the user knows the file. */
static const char *without_path(const struct image *image, const char *text)
{
	const char *path;
	size_t length = strlen(image->path);

	while ((path = strstr(text, image->path)) && !strncmp(path + length, "': ", 3))
		text = path + length + 3;
	return text;
}

/* True: there is no server now. */
static bool reap(struct image *image, int wait_ms, siginfo_t *how)
{
	struct pollfd event = { .fd = image->pidfd, .events = POLLIN };

	memset(how, 0, sizeof(*how));
	if (image->pidfd < 0)
		return true;
	while (poll(&event, 1, wait_ms) < 0 && errno == EINTR)
		;
	if (waitid(P_PIDFD, image->pidfd, how, WEXITED | WNOHANG) || !how->si_pid)
		return false;
	close(image->pidfd);
	image->pidfd = -1;
	return true;
}

static void image_explain(struct nbd_source *source, struct failure *why)
{
	struct image *image = (struct image *)source;
	const char *text;
	siginfo_t how;

	if (image->pidfd < 0 || !reap(image, DEATH_MS, &how))
		return;
	image_hear(source);
	if (image->length)
		end_line(image);
	text = without_path(image, image->first);
	if (strstr(text, "Failed to get") && strstr(text, "lock"))
		fail(why, "it is in use by another process, or given twice");
	else if (*text)
		fail(why, "%s", text);
	else if (how.si_code == CLD_EXITED)
		fail(why, "qemu-nbd has ended with status %d", how.si_status);
	else
		fail(why, "qemu-nbd was killed: %s", strsignal(how.si_status));
}

/* ---- starting one --------------------------------------------------------------------------- */

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

/* @pair: who listens, and a connection to it. */
static int make_sockets(int pair[2], struct failure *why)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	pair[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pair[1] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (pair[0] >= 0 && pair[1] >= 0 && !bind_private(pair[0], pair[1], &address))
		return 0;
	fail(why, "cannot make a socket for qemu-nbd: %s", strerror(errno));
	if (pair[0] >= 0)
		close(pair[0]);
	if (pair[1] >= 0)
		close(pair[1]);
	return -1;
}

/* The environment, with a socket in it. */
static char **make_environment(char *pid)
{
	char **environment;
	size_t count = 0, i;

	while (environ[count])
		count++;
	environment = calloc(count + 3, sizeof(*environment));
	if (!environment)
		return NULL;
	for (i = 0, count = 0; environ[i]; i++)
		if (strncmp(environ[i], "LISTEN_", 7))
			environment[count++] = environ[i];
	environment[count++] = "LISTEN_FDS=1";
	environment[count++] = pid;
	return environment;
}

/* In the child, which has the launcher's memory, but not its files and signals. */
static void arrange(int listener, int words, pid_t parent)
{
	sigset_t none;
	int null;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	/* Keys of the terminal are for the launcher. */
	setpgid(0, 0);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Out of the way of those that have fixed numbers. */
	listener = fcntl(listener, F_DUPFD, 10);
	words = fcntl(words, F_DUPFD, 10);
	null = open("/dev/null", O_RDONLY);
	dup2(null, STDIN_FILENO);
	dup2(words, STDOUT_FILENO);
	dup2(words, STDERR_FILENO);
	dup2(listener, FIRST_FD);
	close_range(FIRST_FD + 1, UINT_MAX, 0);
}

/* The child's errno when there is no such program. */
static pid_t spawn(char *const argv[], char **environment, char *pid, size_t size, int listener,
		   int words, int *error)
{
	const pid_t parent = getpid();
	pid_t child = vfork();

	if (child)
		return child;
	arrange(listener, words, parent);
	snprintf(pid, size, "LISTEN_PID=%d", (int)getpid());
	execvpe(argv[0], argv, environment);
	*error = errno;
	_exit(127);
}

static int start_server(struct image *image, int listener, struct failure *why)
{
	char *const argv[] = {
		"qemu-nbd", "--format", (char *)image->format, "--cache=writeback",
		"--discard=unmap", image->path, image->read_only ? "--read-only" : NULL, NULL,
	};
	int error = 0;
	char pid[32];
	char **environment = make_environment(pid);
	pid_t child;

	if (!environment)
		return fail(why, "out of memory");
	image->first[0] = '\0';
	child = spawn(argv, environment, pid, sizeof(pid), listener, image->words[1], &error);
	if (child < 0)
		error = errno;
	free(environment);
	if (!error) {
		image->pidfd = pidfd_open(child, 0);
		return image->pidfd < 0 ? fail(why, "cannot watch qemu-nbd: %s", strerror(errno)) : 0;
	}
	if (child > 0)
		waitpid(child, NULL, 0);
	if (error == ENOENT)
		return fail(why, "there is no qemu-nbd, which disks in formats other than raw need "
			    "(Debian's package qemu-utils)");
	return fail(why, "cannot start qemu-nbd: %s", strerror(error));
}

static int image_connect(struct nbd_source *source, struct nbd_handle *handle, struct failure *why)
{
	struct image *image = (struct image *)source;
	siginfo_t how;
	int pair[2];

	/* It is of no use any more, and has the image. */
	if (image->pidfd >= 0)
		pidfd_send_signal(image->pidfd, SIGKILL, NULL, 0);
	if (!reap(image, 0, &how))
		return fail(why, "the last qemu-nbd has not ended yet");
	if (make_sockets(pair, why))
		return -1;
	if (start_server(image, pair[0], why)) {
		close(pair[0]);
		close(pair[1]);
		return -1;
	}
	close(pair[0]);
	/* Takes the socket over, also when it fails. */
	if (nbd_aio_connect_socket(handle, pair[1]))
		return nbd_fail(why);
	return 0;
}

/* ---- opening and closing -------------------------------------------------------------------- */

static void image_close(struct nbd_source *source)
{
	struct image *image = (struct image *)source;
	bool gone = true, good = true;
	siginfo_t how;

	/* It has seen its connection end; what never had one does not. */
	if (image->pidfd >= 0) {
		pidfd_send_signal(image->pidfd, SIGTERM, NULL, 0);
		gone = reap(image, END_MS, &how);
		good = how.si_code == CLD_EXITED && !how.si_status;
		image_hear(source);
	}
	if (!gone)
		notice(&image->notice, "disk %s: qemu-nbd has not ended: the image is in use still",
		       image->name);
	else if (!good && image->open)
		notice(&image->notice, "disk %s: qemu-nbd did not end well: what was not flushed may "
		       "be missing from the image", image->name);
	if (image->pidfd >= 0)
		close(image->pidfd);
	close(image->words[0]);
	close(image->words[1]);
	free(image);
}

struct disk *image_open(const char *path, const char *format, bool read_only,
			unsigned int reconnect, struct failure *why)
{
	struct image *image = calloc(1, sizeof(*image));
	struct disk *disk;
	int length;

	if (!image || pipe2(image->words, O_CLOEXEC | O_NONBLOCK)) {
		fail(why, "cannot open disk %s: %s", path, strerror(errno));
		free(image);
		return NULL;
	}
	image->source = (struct nbd_source){
		.connect = image_connect, .explain = image_explain, .hear = image_hear,
		.close = image_close, .event = image->words[0],
	};
	image->name = path;
	image->format = format;
	image->read_only = read_only;
	image->pidfd = -1;
	length = snprintf(image->path, sizeof(image->path), "%s%s", *path == '/' ? "" : "./", path);
	if (length >= (int)sizeof(image->path)) {
		fail(why, "cannot open disk %s: %s", path, strerror(ENAMETOOLONG));
		image_close(&image->source);
		return NULL;
	}
	disk = nbd_open(&image->source, path, read_only, reconnect, why);
	if (disk)
		image->open = true;
	return disk;
}
