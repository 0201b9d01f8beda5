// SPDX-License-Identifier: GPL-2.0
/*
 * /init of the machine that scripts/bench-exec puts beside hull exec: what that one's init does
 * (user/exec/init/), and no more. Loads what is in /modules; makes the host's files, read-only by
 * 9P, with an overlay in memory, the root; executes the program that the variable "program" of the
 * kernel's command line names. When that has ended, so has the machine, by a panic.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void check(int ret, const char *what)
{
	if (ret) {
		perror(what);
		exit(1);
	}
}

static int is_module(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void load_modules(void)
{
	struct dirent **names;
	int count = scandir("/modules", &names, is_module, alphasort), i, fd;
	char path[300];

	for (i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "/modules/%s", names[i]->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		check(syscall(SYS_finit_module, fd, "", 0), path);
		close(fd);
	}
}

static void make_root(void)
{
	mkdir("/lower", 0755);
	mkdir("/upper", 0755);
	mkdir("/root", 0755);
	check(mount("root", "/lower", "9p", MS_RDONLY,
		    "trans=virtio,version=9p2000.L,msize=512000,cache=loose"), "9p");
	check(mount("upper", "/upper", "tmpfs", 0, "mode=755"), "tmpfs");
	mkdir("/upper/files", 0755);
	mkdir("/upper/work", 0755);
	check(mount("root", "/root", "overlay", 0,
		    "lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work"), "overlay");
	check(mount("/proc", "/root/proc", NULL, MS_MOVE, NULL), "/proc");
	check(mount("/sys", "/root/sys", NULL, MS_MOVE, NULL), "/sys");
	check(mount("/dev", "/root/dev", NULL, MS_MOVE, NULL), "/dev");
	check(chdir("/root") || mount("/root", "/", NULL, MS_MOVE, NULL) || chroot("."), "root");
}

int main(void)
{
	char *program = getenv("program");
	char *const arguments[] = { program, NULL };

	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/dev", 0755);
	check(mount("dev", "/dev", "devtmpfs", MS_NOSUID, NULL), "/dev");
	check(mount("proc", "/proc", "proc", 0, NULL), "/proc");
	check(mount("sys", "/sys", "sysfs", 0, NULL), "/sys");
	load_modules();
	make_root();
	execv(program, arguments);
	perror(program);
	return 1;
}
