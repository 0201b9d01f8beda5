// SPDX-License-Identifier: GPL-2.0
/* The ends that a port may have: descriptors, files, pseudo-terminals, Unix sockets. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "port/stream.h"

static struct port *give_up(struct stream *stream)
{
	if (stream)
		stream->port.ops->destroy(&stream->port);
	return NULL;
}

/* ---- descriptors ---------------------------------------------------------------------------- */

struct port *port_of_fd(int fd, enum port_ways ways, struct failure *why)
{
	struct stream *stream = stream_new(why);
	int flags = fcntl(fd, F_GETFL);

	if (stream && flags >= 0) {
		stream->reads = (ways & PORT_IN) && (flags & O_ACCMODE) != O_WRONLY;
		stream->writes = (ways & PORT_OUT) && (flags & O_ACCMODE) != O_RDONLY;
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		if (!stream_attach(stream, fd))
			return &stream->port;
	}
	fail(why, "file descriptor %d: %s", fd, strerror(errno));
	if (flags >= 0)
		close(fd);
	return give_up(stream);
}

struct port *port_of_file(const char *path, struct failure *why)
{
	struct stream *stream = stream_new(why);
	int fd;

	if (!stream)
		return NULL;
	/* Non-blocking for what is a pipe: without a reader it is refused. */
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, 0666);
	stream->writes = true;
	stream->lasts = true;
	if (fd >= 0 && !stream_attach(stream, fd))
		return &stream->port;
	fail(why, "cannot open %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return give_up(stream);
}

/* ---- pseudo-terminals ----------------------------------------------------------------------- */

/* Held open, so that there is no hang-up while nobody is connected. */
static int hold(const char *name)
{
	int fd = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios mode;

	if (fd < 0 || tcgetattr(fd, &mode))
		return fd;
	cfmakeraw(&mode);
	tcsetattr(fd, TCSANOW, &mode);
	return fd;
}

struct port *port_of_pty(char *name, size_t size, struct failure *why)
{
	struct stream *stream = stream_new(why);
	int fd;

	if (!stream)
		return NULL;
	stream->reads = true;
	stream->writes = true;
	stream->lasts = true;
	fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0 && !grantpt(fd) && !unlockpt(fd) && !ptsname_r(fd, name, size))
		stream->keep = hold(name);
	if (stream->keep >= 0 && !stream_attach(stream, fd))
		return &stream->port;
	fail(why, "cannot open a pseudo-terminal: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	return give_up(stream);
}

/* ---- Unix sockets --------------------------------------------------------------------------- */

/* One that a launcher left behind, which nobody listens on any more. */
static bool is_stale(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool stale;

	if (fd < 0)
		return false;
	stale = connect(fd, (const struct sockaddr *)address, sizeof(*address)) &&
		errno == ECONNREFUSED;
	close(fd);
	return stale;
}

static int bind_at(int fd, const struct sockaddr_un *address)
{
	const struct sockaddr *name = (const struct sockaddr *)address;
	struct stat stat;

	if (!bind(fd, name, sizeof(*address)))
		return 0;
	if (errno != EADDRINUSE)
		return -1;
	if (!lstat(address->sun_path, &stat) && S_ISSOCK(stat.st_mode) && is_stale(address) &&
	    !unlink(address->sun_path))
		return bind(fd, name, sizeof(*address));
	errno = EADDRINUSE;
	return -1;
}

struct port *port_of_unix(const char *path, struct broker *broker, struct failure *why)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct stream *stream;
	int fd;

	if (!*path || strlen(path) >= sizeof(address.sun_path)) {
		fail(why, "%s: the path of a socket has 1 to %zu characters", path,
		     sizeof(address.sun_path) - 1);
		return NULL;
	}
	strcpy(address.sun_path, path);
	stream = stream_new(why);
	if (!stream)
		return NULL;
	stream->reads = true;
	stream->writes = true;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind_at(fd, &address)) {
		fail(why, "cannot listen at %s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return give_up(stream);
	}
	if (broker && broker_remove_at_end(broker, path, why)) {
		unlink(path);
		close(fd);
		return give_up(stream);
	}
	if (!broker)
		stream->path = strdup(path);
	if (!listen(fd, 8) && (broker || stream->path) && !stream_listen(stream, fd))
		return &stream->port;
	fail(why, "cannot listen at %s: %s", path, strerror(errno));
	if (stream->listener < 0)
		close(fd);
	return give_up(stream);
}
