// SPDX-License-Identifier: GPL-2.0
/*
 * Disks that are files: what is refused and how, locks, requests by io_uring and by threads,
 * errors. Works in the directory that is its argument.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disk/disk.h"
#include "test.h"

#define SIZE	(1 << 20)

static struct failure why;
static struct aio *(*const engines[])(int file) = { aio_uring_create, aio_threads_create };

static void make(const char *name, off_t size)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);

	EXPECT(fd >= 0);
	EXPECT_EQ(0, ftruncate(fd, size));
	close(fd);
}

static bool refused(const char *name, bool read_only, const char *text)
{
	struct disk *disk = raw_open(name, read_only, &why);

	if (disk)
		disk->ops->close(disk);
	else if (!strstr(why.text, text) || !strstr(why.text, name))
		printf("# %s\n", why.text);
	return !disk && strstr(why.text, text) && strstr(why.text, name);
}

static void test_refused(void)
{
	unlink("none");
	EXPECT(refused("none", false, "No such file"));
	mkdir("directory", 0700);
	EXPECT(refused("directory", false, "neither a file nor a block device"));
	EXPECT(refused("/dev/zero", false, "neither a file nor a block device"));
	unlink("fifo");
	EXPECT_EQ(0, mkfifo("fifo", 0600));
	EXPECT(refused("fifo", true, "neither a file nor a block device"));
	make("empty", 0);
	EXPECT(refused("empty", false, "too short: it has 0 bytes"));
	make("short", 511);
	EXPECT(refused("short", true, "too short: it has 511 bytes"));
	make("odd", 1000);
	EXPECT(refused("odd", false, "1000 bytes, is no multiple of 512"));
}

/* As another user, where this one may write to anything. */
static void test_not_writable(void)
{
	int status;
	pid_t child;

	make("readonly", 512);
	chmod("readonly", 0444);
	chmod(".", 0755);
	child = fork();
	if (!child) {
		bool good;

		if (!getuid() && setuid(65534))
			_exit(2);
		good = refused("readonly", false, "cannot write to disk") &&
		       strstr(why.text, "readonly,ro");
		_exit(!good);
	}
	waitpid(child, &status, 0);
	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_locks(void)
{
	struct disk *one, *two;

	make("locked", SIZE);
	one = raw_open("locked", false, &why);
	EXPECT(one);
	EXPECT(refused("locked", false, "in use by another process"));
	EXPECT(refused("locked", true, "in use by another process"));
	one->ops->close(one);
	one = raw_open("locked", true, &why);
	two = raw_open("locked", true, &why);
	EXPECT(one && two);
	EXPECT(refused("locked", false, "in use by another process"));
	one->ops->close(one);
	EXPECT(refused("locked", false, "in use by another process"));
	two->ops->close(two);
	one = raw_open("locked", false, &why);
	EXPECT(one);
	one->ops->close(one);
}

/* ---- requests ------------------------------------------------------------------------------- */

static struct disk *disk;
static unsigned int ended;
static int last_error;

static void done(struct disk_request *request, int error)
{
	(void)request;
	ended++;
	last_error = error;
}

static void start(unsigned int engine, off_t size)
{
	make("disk", size);
	disk = raw_open_by("disk", false, engines[engine], &why);
	EXPECT(disk);
	ended = 0;
}

static struct disk_request *request(enum disk_op op, uint64_t offset, uint64_t size,
				    struct iovec *iov, unsigned int count)
{
	static struct disk_request requests[64];
	static unsigned int next;
	struct disk_request *one = &requests[next++ % 64];

	*one = (struct disk_request){
		.op = op, .offset = offset, .size = size, .iov = iov, .count = count, .done = done,
	};
	return one;
}

static int run(struct disk_request *one)
{
	unsigned int before = ended;

	disk->ops->submit(disk, one);
	disk->ops->commit(disk);
	while (ended == before)
		disk_wait(disk);
	EXPECT_EQ(before + 1, ended);
	return last_error;
}

static void check_engine(unsigned int engine)
{
	static uint8_t out[8192], in[8192];
	struct iovec iov[3];
	struct stat stat;
	unsigned int i;

	start(engine, SIZE);
	for (i = 0; i < sizeof(out); i++)
		out[i] = i * 7 + 1;
	iov[0] = (struct iovec){ out, 1 };
	iov[1] = (struct iovec){ out + 1, 4095 };
	iov[2] = (struct iovec){ out + 4096, 4096 };
	EXPECT_EQ(0, run(request(DISK_WRITE, SIZE - 8192, 8192, iov, 3)));
	EXPECT_EQ(0, run(request(DISK_FLUSH, 0, 0, NULL, 0)));
	iov[0] = (struct iovec){ in, 8000 };
	iov[1] = (struct iovec){ in + 8000, 192 };
	EXPECT_EQ(0, run(request(DISK_READ, SIZE - 8192, 8192, iov, 2)));
	EXPECT(!memcmp(in, out, 8192));
	/* Zero, twice; the neighbours stay. */
	EXPECT_EQ(0, run(request(DISK_ZERO, SIZE - 4096, 512, NULL, 0)));
	{
		struct disk_request *one = request(DISK_ZERO, SIZE - 8192, 4096, NULL, 0);

		one->may_unmap = true;
		EXPECT_EQ(0, run(one));
	}
	iov[0] = (struct iovec){ in, 8192 };
	EXPECT_EQ(0, run(request(DISK_READ, SIZE - 8192, 8192, iov, 1)));
	for (i = 0; i < 4096 + 512; i++)
		EXPECT(!in[i]);
	EXPECT(!memcmp(in + 4608, out + 4608, 8192 - 4608));
	EXPECT_EQ(0, run(request(DISK_DISCARD, 0, SIZE, NULL, 0)));
	EXPECT_EQ(0, fstatat(AT_FDCWD, "disk", &stat, 0));
	EXPECT_EQ(SIZE, stat.st_size);
	disk->ops->close(disk);
}

/* Containers may forbid io_uring: then there are threads only, as for the launcher. */
static unsigned int first_engine(void)
{
	struct aio *aio = aio_uring_create(0);

	if (aio) {
		aio->engine->destroy(aio);
		return 0;
	}
	printf("# io_uring: %s: tested with threads only\n", strerror(errno));
	return 1;
}

static void test_uring(void)
{
	check_engine(first_engine());
}

static void test_threads(void)
{
	check_engine(1);
}

/* Many at once, which is more than the ring takes. */
static void test_many(void)
{
	static struct disk_request requests[1000];
	static uint8_t data[1000][512];
	static struct iovec iov[1000];
	unsigned int engine, i;

	for (engine = first_engine(); engine < 2; engine++) {
		start(engine, 1000 * 512);
		for (i = 0; i < 1000; i++) {
			memset(data[i], i, 512);
			iov[i] = (struct iovec){ data[i], 512 };
			requests[i] = (struct disk_request){
				.op = DISK_WRITE, .offset = i * 512, .size = 512, .iov = &iov[i],
				.count = 1, .done = done,
			};
			disk->ops->submit(disk, &requests[i]);
		}
		disk->ops->commit(disk);
		while (ended < 1000)
			disk_wait(disk);
		EXPECT_EQ(1000, ended);
		EXPECT_EQ(0, last_error);
		iov[0] = (struct iovec){ data[0], 512 };
		EXPECT_EQ(0, run(request(DISK_READ, 777 * 512, 512, iov, 1)));
		EXPECT_EQ(777 & 0xff, data[0][511]);
		disk->ops->close(disk);
	}
}

/* A file that has become shorter; one that may not grow. */
static void test_errors(void)
{
	static uint8_t data[4096];
	struct iovec iov = { data, 4096 };
	struct rlimit limit, old;
	unsigned int engine;

	signal(SIGXFSZ, SIG_IGN);
	for (engine = first_engine(); engine < 2; engine++) {
		start(engine, SIZE);
		EXPECT_EQ(0, truncate("disk", 8192 + 100));
		EXPECT_EQ(EIO, run(request(DISK_READ, 8192, 4096, &iov, 1)));
		iov = (struct iovec){ data, 4096 };
		EXPECT_EQ(EIO, run(request(DISK_READ, 16384, 4096, &iov, 1)));
		iov = (struct iovec){ data, 4096 };
		EXPECT_EQ(0, run(request(DISK_READ, 4096, 4096, &iov, 1)));
		getrlimit(RLIMIT_FSIZE, &old);
		limit = old;
		limit.rlim_cur = 12288;
		setrlimit(RLIMIT_FSIZE, &limit);
		iov = (struct iovec){ data, 4096 };
		EXPECT_EQ(EFBIG, run(request(DISK_WRITE, 65536, 4096, &iov, 1)));
		setrlimit(RLIMIT_FSIZE, &old);
		disk->ops->close(disk);
	}
}

/* What the kernel would do for a ring past the sandbox's filter. */
static void test_ring_is_restricted(void)
{
	int fd = open("ring", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct aio *aio = aio_uring_create(fd);
	struct io_uring_cqe *cqe;
	struct io_uring_sqe *sqe;
	struct io_uring *ring;

	if (!aio) {
		printf("# no io_uring here (%s): nothing is shown\n", strerror(errno));
		close(fd);
		return;
	}
	ring = (struct io_uring *)(aio + 1);
	sqe = io_uring_get_sqe(ring);
	io_uring_prep_openat(sqe, AT_FDCWD, "/etc/passwd", O_RDONLY, 0);
	EXPECT_EQ(1, io_uring_submit(ring));
	EXPECT_EQ(0, io_uring_wait_cqe(ring, &cqe));
	EXPECT_EQ((unsigned int)-EACCES, (unsigned int)cqe->res);
	io_uring_cqe_seen(ring, cqe);
	aio->engine->destroy(aio);
	close(fd);
}

static const struct test tests[] = {
	{ "a ring opens nothing", test_ring_is_restricted },
	{ "what is no disk is refused in words", test_refused },
	{ "a file that may not be written to", test_not_writable },
	{ "locks", test_locks },
	{ "io_uring", test_uring },
	{ "threads", test_threads },
	{ "many requests at once", test_many },
	{ "errors", test_errors },
};

int main(int argc, char **argv)
{
	char directory[512];

	snprintf(directory, sizeof(directory), "%s/raw", argc > 1 ? argv[1] : ".");
	mkdir(directory, 0755);
	if (chdir(directory))
		return 1;
	return RUN_TESTS(tests);
}
