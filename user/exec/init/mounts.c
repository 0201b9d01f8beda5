// SPDX-License-Identifier: GPL-2.0
/*
 * The root directory: the host's, read-only, by 9P; over it an overlay, whose upper part is memory;
 * in that what the machine has of its own (/proc, /sys, /dev, /run), and the directories that are
 * written through.
 *
 * The host's tree may change under the guest, but is not expected to: it is cached. Directories
 * that are written through are not, so both sides see what the other does.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "exec/init/init.h"

#define TRANSPORT	"trans=virtio,version=9p2000.L,msize=512000"
#define FROM_MODULE_H	4		/* MODULE_INIT_COMPRESSED_FILE */

void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ssize_t ignored;

	if (fd < 0)
		return;
	ignored = write(fd, text, strlen(text));
	(void)ignored;
	close(fd);
}

/* ---- first of all --------------------------------------------------------------------------- */

int mount_first(void)
{
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/dev", 0755);
	if (mount("dev", "/dev", "devtmpfs", MS_NOSUID, NULL) && errno != EBUSY)
		return -1;
	return mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) ||
	       mount("sys", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) ? -1 : 0;
}

/* Files that are no ELF are compressed: the kernel knows how. */
static int load_module(const char *path, int fd)
{
	char magic[4] = "";
	int flags = 0;

	if (pread(fd, magic, sizeof(magic), 0) == sizeof(magic) && memcmp(magic, "\177ELF", 4))
		flags = FROM_MODULE_H;
	if (syscall(SYS_finit_module, fd, "", flags) && errno != EEXIST) {
		dprintf(STDERR_FILENO, "hull: cannot load %s: %s\n", path, strerror(errno));
		return -1;
	}
	return 0;
}

int load_modules(void)
{
	char path[32];
	unsigned int i;
	int fd, ret;

	for (i = 0;; i++) {
		snprintf(path, sizeof(path), "/" EXEC_MODULE, i);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return errno == ENOENT ? 0 : -1;
		ret = load_module(path, fd);
		close(fd);
		if (ret)
			return -1;
		/* Its memory is free again. */
		unlink(path);
	}
}

/* ---- the root ------------------------------------------------------------------------------- */

static void mount_overlay(void)
{
	mkdir("/lower", 0755);
	mkdir("/upper", 0755);
	mkdir("/root", 0755);
	if (mount(EXEC_ROOT_TAG, "/lower", "9p", MS_RDONLY, TRANSPORT ",cache=loose"))
		give_up(EXEC_STAGE_ROOT);
	if (mount("upper", "/upper", "tmpfs", 0, "mode=755") ||
	    mkdir("/upper/files", 0755) || mkdir("/upper/work", 0755) ||
	    mount("root", "/root", "overlay", 0,
		  "lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work"))
		give_up(EXEC_STAGE_OVERLAY);
}

/* What is mounted over the tree may lack a directory that is there outside. */
static void make_path(char *path)
{
	char *slash;

	for (slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
	mkdir(path, 0755);
}

static void mount_writable(const struct program *program)
{
	char path[4096 + 8], tag[16];
	unsigned int i;

	for (i = 0; program->writable[i]; i++) {
		snprintf(path, sizeof(path), "/root%s", program->writable[i]);
		snprintf(tag, sizeof(tag), EXEC_RW_TAG, i);
		make_path(path);
		if (mount(tag, path, "9p", 0, TRANSPORT ",cache=mmap"))
			give_up(EXEC_STAGE_WRITABLE);
	}
}

static void link_streams(void)
{
	static const char *const link[][2] = {
		{ "/proc/self/fd", "/dev/fd" }, { "fd/0", "/dev/stdin" },
		{ "fd/1", "/dev/stdout" }, { "fd/2", "/dev/stderr" },
	};
	size_t i;
	int ignored;

	for (i = 0; i < sizeof(link) / sizeof(link[0]); i++) {
		ignored = symlink(link[i][0], link[i][1]);
		(void)ignored;
	}
}

/* The user's directory below /run, where programs look for one. */
static void make_run(const struct exec_description *header)
{
	char path[40];
	int ignored;

	mkdir("/run/user", 0755);
	mkdir("/run/lock", 01777);
	snprintf(path, sizeof(path), "/run/user/%u", header->uid);
	mkdir(path, 0700);
	ignored = chown(path, header->uid, header->gid);
	(void)ignored;
}

static int move(const char *name)
{
	char path[32];

	snprintf(path, sizeof(path), "/root%s", name);
	mkdir(path, 0755);
	return mount(name, path, NULL, MS_MOVE, NULL);
}

void make_root(const struct program *program)
{
	mount_overlay();
	mkdir("/dev/pts", 0755);
	mkdir("/dev/shm", 01777);
	if (mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		  "gid=5,mode=620,ptmxmode=666") ||
	    mount("shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") ||
	    move("/dev") || move("/proc") || move("/sys"))
		give_up(EXEC_STAGE_MOUNTS);
	mkdir("/root/run", 0755);
	if (mount("run", "/root/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755"))
		give_up(EXEC_STAGE_MOUNTS);
	mount_writable(program);
	if (chdir("/root") || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		give_up(EXEC_STAGE_MOUNTS);
	link_streams();
	make_run(program->header);
}
