// SPDX-License-Identifier: GPL-2.0
/*
 * The sandbox: capabilities (libcap-ng), Landlock, and a filter of system calls (libseccomp).
 *
 * The lists name what is called and by whom. They hold for all of a process' threads and for C
 * libraries that exist today: what a new one calls instead is a line in the right list, and the
 * message that a stopped call prints says its number.
 */
#define _GNU_SOURCE
#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <linux/landlock.h>
#include <linux/vhost.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "exit_codes.h"
#include "hull.h"
#include "machine/console.h"
#include "sandbox.h"

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

#define RESOLV_CONF	"/etc/resolv.conf"

/* ---- system calls --------------------------------------------------------------------------- */

/* All machines: the C library, threads, the loop, consoles, disks. */
static const int base[] = {
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(pread64),
	SCMP_SYS(pwrite64), SCMP_SYS(preadv), SCMP_SYS(pwritev), SCMP_SYS(lseek), SCMP_SYS(close),
	SCMP_SYS(dup), SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(fcntl),
	SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(fallocate), SCMP_SYS(ftruncate),
	SCMP_SYS(io_uring_enter),
	SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_ctl), SCMP_SYS(timerfd_settime), SCMP_SYS(timerfd_gettime),
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday), SCMP_SYS(futex), SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity), SCMP_SYS(set_robust_list), SCMP_SYS(rseq),
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall), SCMP_SYS(getpid), SCMP_SYS(gettid),
	SCMP_SYS(getppid), SCMP_SYS(getpgrp), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(getrandom), SCMP_SYS(sysinfo), SCMP_SYS(munmap), SCMP_SYS(mremap),
	SCMP_SYS(brk), SCMP_SYS(exit), SCMP_SYS(exit_group),
	SCMP_SYS(recvmsg), SCMP_SYS(sendmsg), SCMP_SYS(recvfrom), SCMP_SYS(sendto),
	SCMP_SYS(shutdown), SCMP_SYS(getsockopt), SCMP_SYS(wait4),
};

/* A socket that listens. */
static const int listening[] = {
	SCMP_SYS(accept4), SCMP_SYS(accept),
};

/* libslirp, libnbd. Name servers are read from a file, when that has changed. */
static const int network[] = {
	SCMP_SYS(socket), SCMP_SYS(bind), SCMP_SYS(connect), SCMP_SYS(listen), SCMP_SYS(accept4),
	SCMP_SYS(accept), SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(setsockopt),
	SCMP_SYS(openat),
};

/* The server of shared directories. */
static const int sharing[] = {
	SCMP_SYS(openat), SCMP_SYS(openat2), SCMP_SYS(readlinkat), SCMP_SYS(mkdirat),
	SCMP_SYS(symlinkat), SCMP_SYS(linkat), SCMP_SYS(unlinkat), SCMP_SYS(renameat),
	SCMP_SYS(renameat2), SCMP_SYS(fchownat), SCMP_SYS(fchmodat), SCMP_SYS(utimensat),
	SCMP_SYS(getdents64), SCMP_SYS(fstatfs), SCMP_SYS(statx),
};

/* Beside hull's own: the terminal's, without those that put keys into it; files; disks; taps. */
static const unsigned long requests[] = {
	TCGETS, TCSETS, TCSETSW, TCSETSF, TIOCGWINSZ, TIOCGPTN, TCFLSH, TIOCGPGRP,
	FIONREAD, FIONBIO, FIOCLEX,
	BLKDISCARD, BLKZEROOUT, TUNSETOFFLOAD, TUNSETVNETHDRSZ, TUNSETQUEUE,
};

/* A device is started and reset at any time; what it is, and its memory, are settled. */
static const unsigned long vhost_requests[] = {
	VHOST_SET_FEATURES, VHOST_SET_VRING_NUM, VHOST_SET_VRING_BASE, VHOST_SET_VRING_ADDR,
	VHOST_SET_VRING_ERR, VHOST_SET_VRING_CALL, VHOST_SET_VRING_KICK, VHOST_VSOCK_SET_RUNNING,
	VHOST_NET_SET_BACKEND,
};

static int allow(scmp_filter_ctx filter, const int *calls, size_t count)
{
	int ret = 0;
	size_t i;

	for (i = 0; i < count && !ret; i++)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
	return ret;
}

static int allow_requests(scmp_filter_ctx filter, const unsigned long *request, size_t count)
{
	int ret = 0;
	size_t i;

	for (i = 0; i < count && !ret; i++)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				       SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, request[i]));
	return ret;
}

static int allow_ioctl(scmp_filter_ctx filter, const struct sandbox_config *config)
{
	int ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				   SCMP_A1(SCMP_CMP_MASKED_EQ, 0xff00, HULL_IOC << 8));

	ret = ret ?: allow_requests(filter, requests, COUNT(requests));
	if (config->vhost)
		ret = ret ?: allow_requests(filter, vhost_requests, COUNT(vhost_requests));
	return ret;
}

/*
 * No new code; threads but no processes: what clone3() is asked for is in memory, where a filter
 * cannot look, and without it the C library takes clone(). Signals to this process only. Pages are
 * given back, by the C library and a balloon; they are not poisoned, merged or kept from a dump.
 */
static int allow_limited(scmp_filter_ctx filter)
{
	const uint64_t self = getpid();

	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) ?:
	       seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) ?:
	       seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) ?:
	       seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD)) ?:
	       seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(madvise), 1,
				SCMP_A2(SCMP_CMP_MASKED_EQ, 0xffffffff, MADV_DONTNEED)) ?:
	       seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				SCMP_A0(SCMP_CMP_EQ, self, 0)) ?:
	       seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1,
				SCMP_A2(SCMP_CMP_EQ, 0, 0)) ?:
	       seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
				SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME, 0));
}

static void append_number(char *text, unsigned int number)
{
	char digits[16];
	size_t count = 0;

	do {
		digits[count++] = '0' + number % 10;
		number /= 10;
	} while (number);
	text += strlen(text);
	while (count)
		*text++ = digits[--count];
	*text = '\0';
}

/* Nothing that this calls may be stopped, or take a lock. */
static void on_stopped(int number, siginfo_t *info, void *context)
{
	char text[160] = "hull: the sandbox has stopped system call ";
	ssize_t ignored;

	(void)number;
	(void)context;
	terminal_restore();
	append_number(text, info->si_syscall);
	strcat(text, ": the launcher was taken over, or this is a mistake in hull "
	       "(--sandbox off runs without)\r\n");
	ignored = write(STDERR_FILENO, text, strlen(text));
	(void)ignored;
	_exit(EXIT_CODE_ERROR);
}

static int filter_calls(const struct sandbox_config *config, struct failure *why)
{
	struct sigaction action = { .sa_sigaction = on_stopped, .sa_flags = SA_SIGINFO };
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
	int ret = filter ? 0 : -ENOMEM;

	ret = ret ?: seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	/* The one that vCPUs make for each exit comes first. */
	ret = ret ?: seccomp_syscall_priority(filter, SCMP_SYS(ioctl), 255);
	ret = ret ?: allow_ioctl(filter, config);
	ret = ret ?: allow_limited(filter);
	ret = ret ?: allow(filter, base, COUNT(base));
	if (config->listens)
		ret = ret ?: allow(filter, listening, COUNT(listening));
	if (config->sockets)
		ret = ret ?: allow(filter, network, COUNT(network));
	if (config->directories)
		ret = ret ?: allow(filter, sharing, COUNT(sharing));
	sigaction(SIGSYS, &action, NULL);
	ret = ret ?: seccomp_load(filter);
	if (filter)
		seccomp_release(filter);
	if (!ret)
		return 0;
	return fail(why, "cannot filter system calls: %s (does this kernel have "
		    "CONFIG_SECCOMP_FILTER? --sandbox off runs without)", strerror(-ret));
}

/* ---- files ---------------------------------------------------------------------------------- */

#define READ	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define CHANGE	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | \
		 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | \
		 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SYM)
/* Nobody needs them. */
#define NEVER	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | \
		 LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | \
		 LANDLOCK_ACCESS_FS_MAKE_BLOCK)

/* Moves and links between directories, from version 2 on. */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER	(1ULL << 13)
#endif

static int allow_beneath(int ruleset, const char *path, uint64_t access, struct failure *why)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = access };
	struct stat stat;
	int ret = -1;

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd >= 0) {
		/* Rights of directories are none that a file can have. */
		if (!fstat(rule.parent_fd, &stat) && !S_ISDIR(stat.st_mode))
			rule.allowed_access &= LANDLOCK_ACCESS_FS_READ_FILE |
					       LANDLOCK_ACCESS_FS_WRITE_FILE;
		ret = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
		close(rule.parent_fd);
	}
	return ret ? fail(why, "cannot confine the launcher to %s: %s", path, strerror(errno)) : 0;
}

/*
 * What the C library asks for names of hosts. The file with name servers is replaced when they
 * change, so it is the directory that counts, unless that has all sorts of other files.
 */
static int allow_resolver(int ruleset, struct failure *why)
{
	static const char *const files[] = {
		"/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services",
		RESOLV_CONF,
	};
	char path[PATH_MAX], *slash;
	size_t i;

	for (i = 0; i < COUNT(files); i++)
		if (!access(files[i], R_OK) &&
		    allow_beneath(ruleset, files[i], LANDLOCK_ACCESS_FS_READ_FILE, why))
			return -1;
	if (!realpath(RESOLV_CONF, path) || !strncmp(path, "/etc/", 5))
		return 0;
	slash = strrchr(path, '/');
	if (slash == path)
		return 0;
	*slash = '\0';
	return allow_beneath(ruleset, path, READ, why);
}

static int apply_rules(const struct sandbox_config *config, int ruleset, uint64_t change,
		       struct failure *why)
{
	unsigned int i;

	for (i = 0; i < config->directories; i++) {
		const struct sandbox_directory *directory = &config->directory[i];

		if (allow_beneath(ruleset, directory->path,
				  directory->read_only ? READ : READ | change, why))
			return -1;
	}
	if (config->sockets && allow_resolver(ruleset, why))
		return -1;
	if (syscall(SYS_landlock_restrict_self, ruleset, 0))
		return fail(why, "cannot confine the launcher: %s", strerror(errno));
	return 0;
}

static int confine_files(const struct sandbox_config *config, struct failure *why)
{
	struct landlock_ruleset_attr attr = { 0 };
	int version = syscall(SYS_landlock_create_ruleset, NULL, 0,
			      LANDLOCK_CREATE_RULESET_VERSION);
	uint64_t change = CHANGE;
	int ruleset, ret;

	/* Not in this kernel, or not switched on. */
	if (version < 1)
		return 0;
	if (version >= 2)
		change |= LANDLOCK_ACCESS_FS_REFER;
	attr.handled_access_fs = READ | change | NEVER;
	ruleset = syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (ruleset < 0)
		return fail(why, "cannot confine the launcher: %s", strerror(errno));
	ret = apply_rules(config, ruleset, change, why);
	close(ruleset);
	return ret;
}

/* ---- rights --------------------------------------------------------------------------------- */

static bool is_written(const struct sandbox_config *config)
{
	unsigned int i;

	for (i = 0; i < config->directories; i++)
		if (!config->directory[i].read_only)
			return true;
	return false;
}

/* Of those that this process has: root of a container may lack some. */
static int drop_capabilities(const struct sandbox_config *config, struct failure *why)
{
	/* Files of other users: the guest's root may do there what the launcher's root may. */
	static const unsigned int kept[] = {
		CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE, CAP_CHOWN, CAP_FOWNER, CAP_FSETID,
	};
	unsigned int wanted = !config->directories ? 0 : is_written(config) ? COUNT(kept) : 1;
	bool has[COUNT(kept)];
	unsigned int i;
	int ret = 0;

	capng_get_caps_process();
	if (!capng_have_capabilities(CAPNG_SELECT_CAPS))
		return 0;
	for (i = 0; i < wanted; i++)
		has[i] = capng_have_capability(CAPNG_PERMITTED, kept[i]);
	capng_clear(CAPNG_SELECT_BOTH);
	for (i = 0; i < wanted && !ret; i++)
		if (has[i])
			ret = capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, kept[i]);
	if (ret || capng_apply(CAPNG_SELECT_CAPS))
		return fail(why, "cannot drop capabilities: %s", strerror(errno));
	return 0;
}

int sandbox_enter(const struct sandbox_config *config, struct failure *why)
{
	/* gmtime_r() would read the time zone's file, once. */
	tzset();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return fail(why, "cannot give up new privileges: %s", strerror(errno));
	if (drop_capabilities(config, why) || confine_files(config, why))
		return -1;
	return filter_calls(config, why);
}
