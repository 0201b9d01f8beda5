// SPDX-License-Identifier: GPL-2.0
/*
 * The sandbox from inside: each test is a child that enters it and does what a launcher that was
 * taken over would like to do, or what one must go on to do.
 */
#define _GNU_SOURCE
#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/landlock.h>
#include <linux/vhost.h>

#include "exit_codes.h"
#include "hull.h"
#include "sandbox.h"
#include "test.h"

static const struct sandbox_config plain, vhost = { .vhost = true };
static char directory[64];
static char path[128];

/* 0 or less: this kernel has none. */
static int landlock_version(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

/* What @act returns in the sandbox; 125 and the message where it was stopped. */
static int inside(const struct sandbox_config *config, int (*act)(void), char *said, size_t size)
{
	int words[2], status;
	ssize_t length;
	pid_t child;

	EXPECT_EQ(0, pipe(words));
	fflush(stdout);
	child = fork();
	if (!child) {
		struct failure why;

		dup2(words[1], STDERR_FILENO);
		if (sandbox_enter(config, &why)) {
			fprintf(stderr, "%s\n", why.text);
			_exit(99);
		}
		_exit(act());
	}
	close(words[1]);
	length = read(words[0], said, size - 1);
	said[length > 0 ? length : 0] = '\0';
	close(words[0]);
	EXPECT_EQ(child, waitpid(child, &status, 0));
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void stopped(const struct sandbox_config *config, int (*act)(void), long call)
{
	char said[256], wanted[64];
	int status = inside(config, act, said, sizeof(said));

	snprintf(wanted, sizeof(wanted), "stopped system call %ld:", call);
	if (status != EXIT_CODE_ERROR || !strstr(said, wanted)) {
		printf("# call %ld: status %d, '%s'\n", call, status, said);
		test_failed = true;
	}
}

static void returns(const struct sandbox_config *config, int (*act)(void), int wanted)
{
	char said[256];
	int status = inside(config, act, said, sizeof(said));

	if (status != wanted) {
		printf("# wanted %d, got %d, '%s'\n", wanted, status, said);
		test_failed = true;
	}
}

/* ---- what is stopped ------------------------------------------------------------------------ */

static int open_file(void)
{
	return syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY) < 0;
}

static int execute(void)
{
	return syscall(SYS_execve, "/bin/true", NULL, NULL) < 0;
}

static int new_process(void)
{
	return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) < 0;
}

static int new_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) < 0;
}

static int new_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	       MAP_FAILED;
}

static int data_as_code(void)
{
	static char page[8192] __attribute__((aligned(4096)));

	return mprotect(page, 4096, PROT_READ | PROT_EXEC);
}

static int poison_memory(void)
{
	static char page[4096] __attribute__((aligned(4096)));

	return madvise(page, 4096, MADV_HWPOISON);
}

static pid_t parent;

static int kill_parent(void)
{
	return syscall(SYS_tgkill, parent, parent, 0) < 0;
}

static int type_a_key(void)
{
	return ioctl(STDIN_FILENO, TIOCSTI, "x");
}

static int start_queue(void)
{
	return ioctl(-1, VHOST_SET_VRING_KICK, NULL) == -1 && errno == EBADF ? 0 : 1;
}

static int change_memory(void)
{
	return ioctl(-1, VHOST_SET_MEM_TABLE, NULL);
}

static int trace(void)
{
	return syscall(SYS_ptrace, 0, 0, 0, 0) < 0;
}

static int load_module(void)
{
	return syscall(SYS_finit_module, 0, "", 0) < 0;
}

static int new_ring(void)
{
	return syscall(SYS_io_uring_setup, 1, NULL) < 0;
}

static int old_abi(void)
{
	long result;

	/* getpid() of 32-bit programs. */
	asm volatile("int $0x80" : "=a" (result) : "0" (20) : "memory");
	return 0;
}

static void test_stopped(void)
{
	stopped(&plain, open_file, SYS_openat);
	stopped(&plain, execute, SYS_execve);
	stopped(&plain, new_process, SYS_clone);
	stopped(&plain, new_socket, SYS_socket);
	stopped(&plain, new_code, SYS_mmap);
	stopped(&plain, data_as_code, SYS_mprotect);
	stopped(&plain, poison_memory, SYS_madvise);
	stopped(&plain, kill_parent, SYS_tgkill);
	stopped(&plain, type_a_key, SYS_ioctl);
	stopped(&plain, start_queue, SYS_ioctl);
	stopped(&vhost, change_memory, SYS_ioctl);
	stopped(&plain, trace, SYS_ptrace);
	stopped(&plain, load_module, SYS_finit_module);
	stopped(&plain, new_ring, SYS_io_uring_setup);
	/* No handler: such calls have no number here. Or this kernel has none of them (a fault). */
	returns(&plain, old_abi, -1);
}

/* ---- what goes on --------------------------------------------------------------------------- */

static void *in_thread(void *opaque)
{
	char *buffer = malloc(1 << 20);
	static char page[8192] __attribute__((aligned(4096)));

	pthread_setname_np(pthread_self(), "test");
	memset(buffer, 1, 1 << 20);
	free(buffer);
	/* As a balloon does. */
	memset(page, 1, sizeof(page));
	return madvise(page, sizeof(page), MADV_DONTNEED) || page[0] ? NULL : opaque;
}

static int work(void)
{
	const struct timespec moment = { .tv_nsec = 1000 };
	pthread_t thread;
	void *result;

	if (pthread_create(&thread, NULL, in_thread, path) || pthread_join(thread, &result))
		return 1;
	nanosleep(&moment, NULL);
	if (result != path || raise(0))
		return 2;
	/* A request of hull's to what is none of its files. */
	if (ioctl(STDIN_FILENO, HULL_RUN) != -1 || errno == EPERM)
		return 3;
	return fprintf(stderr, "works\n") < 0;
}

static int socket_and_stop(void)
{
	return new_socket() || open_file() != 1;
}

static void test_works(void)
{
	const struct sandbox_config user_net = { .sockets = true };

	returns(&plain, work, 0);
	returns(&user_net, work, 0);
	returns(&vhost, start_queue, 0);
	/* Files are asked for there, and refused where the kernel confines to directories. */
	if (landlock_version() > 0)
		returns(&user_net, socket_and_stop, 0);
}

/* ---- directories ---------------------------------------------------------------------------- */

/* 0, or errno. */
static int try_open(const char *name, int flags)
{
	char full[256];

	snprintf(full, sizeof(full), "%s%s", *name == '/' ? "" : path, name);
	return open(full, flags, 0600) < 0 ? errno : 0;
}

static int read_inside(void) { return try_open("/file" + 1, O_RDONLY); }
static int write_inside(void) { return try_open("/file" + 1, O_RDWR); }
static int create_inside(void) { return try_open("/new" + 1, O_RDWR | O_CREAT | O_EXCL); }
static int read_outside(void) { return try_open("/etc/passwd", O_RDONLY); }
static int list_outside(void) { return try_open("/", O_RDONLY | O_DIRECTORY); }

static int leave_by_link(void)
{
	char full[256];

	snprintf(full, sizeof(full), "%slink", path);
	return open(full, O_RDONLY) < 0 ? errno : 0;
}

static int move_between(void)
{
	char from[256], to[256];

	snprintf(from, sizeof(from), "%sfile", path);
	snprintf(to, sizeof(to), "%ssub/file", path);
	return renameat(AT_FDCWD, from, AT_FDCWD, to) ? errno :
	       renameat(AT_FDCWD, to, AT_FDCWD, from) ? errno : 0;
}

static int make_pipe(void)
{
	char full[256];

	snprintf(full, sizeof(full), "%spipe", path);
	return syscall(SYS_mknodat, AT_FDCWD, full, S_IFIFO | 0600, 0) ? errno : 0;
}

static int make_directory(void)
{
	char full[256];

	snprintf(full, sizeof(full), "%sfresh", path);
	return mkdirat(AT_FDCWD, full, 0700) || unlinkat(AT_FDCWD, full, AT_REMOVEDIR) ? errno : 0;
}

static void prepare(void)
{
	char full[256];
	int fd;

	strcpy(directory, "/tmp/hull-sandbox-XXXXXX");
	EXPECT(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/", directory);
	snprintf(full, sizeof(full), "%sfile", path);
	fd = open(full, O_CREAT | O_WRONLY, 0600);
	EXPECT(fd >= 0);
	close(fd);
	snprintf(full, sizeof(full), "%slink", path);
	EXPECT_EQ(0, symlink("/etc/passwd", full));
	snprintf(full, sizeof(full), "%ssub", path);
	EXPECT_EQ(0, mkdir(full, 0700));
}

static void clean_up(void)
{
	static const char *const names[] = { "file", "link", "new", "sub", "" };
	char full[256];
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(full, sizeof(full), "%s%s", path, names[i]);
		remove(full);
	}
}

static void test_directories(void)
{
	struct sandbox_config shared = { .directory = { { directory, false } }, .directories = 1 };
	int version = landlock_version();

	prepare();
	returns(&shared, read_inside, 0);
	returns(&shared, write_inside, 0);
	returns(&shared, create_inside, 0);
	returns(&shared, make_directory, 0);
	returns(&shared, move_between, version == 1 ? EXDEV : 0);
	stopped(&shared, make_pipe, SYS_mknodat);
	stopped(&shared, execute, SYS_execve);
	stopped(&shared, new_socket, SYS_socket);
	if (version > 0) {
		returns(&shared, read_outside, EACCES);
		returns(&shared, list_outside, EACCES);
		returns(&shared, leave_by_link, EACCES);
		shared.directory[0].read_only = true;
		returns(&shared, read_inside, 0);
		returns(&shared, write_inside, EACCES);
		returns(&shared, create_inside, EEXIST);
		returns(&shared, make_directory, EACCES);
	} else {
		printf("# this kernel has no Landlock: nothing is shown of other directories\n");
	}
	clean_up();
}

/* ---- rights --------------------------------------------------------------------------------- */

static int has_rights(void)
{
	return !prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
}

static struct sandbox_config rights;

/* In the sandbox prctl() is none that may be called: so it is called before the filter is there. */
static int count_rights(void)
{
	FILE *status = fopen("/proc/self/status", "r");
	unsigned long long effective = 0;
	char line[128];

	while (status && fgets(line, sizeof(line), status))
		sscanf(line, "CapEff: %llx", &effective);
	return __builtin_popcountll(effective);
}

/* In a process of its own: as root of a container, who has not all. */
static int lose_one(void)
{
	capng_get_caps_process();
	capng_update(CAPNG_DROP, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_DAC_READ_SEARCH);
	return capng_apply(CAPNG_SELECT_CAPS);
}

static void test_fewer_rights(void)
{
	pid_t child = fork();
	int status;

	if (!child) {
		test_failed = false;
		if (lose_one())
			_exit(1);
		returns(&rights, count_rights, 4);
		_exit(test_failed);
	}
	EXPECT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
}

static void test_rights(void)
{
	stopped(&plain, has_rights, SYS_prctl);
	capng_get_caps_process();
	if (!capng_have_capability(CAPNG_EFFECTIVE, CAP_DAC_READ_SEARCH) ||
	    !capng_have_capability(CAPNG_EFFECTIVE, CAP_CHOWN)) {
		printf("# not root: nothing is shown of capabilities\n");
		return;
	}
	/* /proc is what such a machine may read. */
	rights = (struct sandbox_config){ .directory = { { "/proc", true } }, .directories = 1 };
	returns(&rights, count_rights, 1);
	rights.directory[0].read_only = false;
	returns(&rights, count_rights, 5);
	test_fewer_rights();
}

static const struct test tests[] = {
	{ "what a launcher has no use for is stopped, and said", test_stopped },
	{ "threads, memory, requests of hull's go on", test_works },
	{ "files are opened in shared directories, and as they are shared", test_directories },
	{ "capabilities are gone, but those for files of others", test_rights },
};

int main(void)
{
	parent = getpid();
	return RUN_TESTS(tests);
}
