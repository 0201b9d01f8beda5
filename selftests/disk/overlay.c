// SPDX-License-Identifier: GPL-2.0
/*
 * Overlays: random requests, many at a time, against a model; the base stays as it was; no space;
 * above files, servers and images, and with several above one.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <sys/mount.h>

#include "disks.h"
#include "disk/nbd.h"

#define SIZE	(1 << 20)
#define SECTORS	(SIZE / 512)

static uint8_t base[SIZE], model[SIZE];

static void make_base(const char *name)
{
	unsigned int i;
	FILE *file = fopen(name, "w");

	for (i = 0; i < SIZE; i++)
		base[i] = (i * 2654435761u) >> 15 | 1;
	EXPECT_EQ(SIZE, fwrite(base, 1, SIZE, file));
	fclose(file);
	memcpy(model, base, SIZE);
}

static bool is_base(const char *name)
{
	static uint8_t now[SIZE];
	FILE *file = fopen(name, "r");
	bool same = fread(now, 1, SIZE, file) == SIZE && !memcmp(now, base, SIZE);

	fclose(file);
	return same;
}

static bool open_above(struct disk *below, const char *directory)
{
	listen_to_notices();
	disk = below ? overlay_open(below, directory, &why) : NULL;
	if (!disk)
		printf("# %s\n", why.text);
	EXPECT(disk);
	return disk;
}

/* One of up to @count requests in flight, in a slice of the disk of its own. */
struct flight {
	struct wanted wanted;
	uint8_t data[64 * 512];
	uint64_t offset, size;
	bool used;
};

static void begin(struct flight *flight, unsigned int index, unsigned int count)
{
	const unsigned int sectors = SECTORS / count;
	unsigned int first = rand() % sectors, length = 1 + rand() % 48, i;
	enum disk_op op = (enum disk_op[]){ DISK_READ, DISK_READ, DISK_WRITE, DISK_WRITE, DISK_ZERO,
					    DISK_FLUSH }[rand() % 6];

	if (first + length > sectors)
		length = sectors - first;
	flight->offset = ((uint64_t)index * sectors + first) * 512;
	flight->size = length * 512;
	flight->used = true;
	for (i = 0; op == DISK_WRITE && i < flight->size; i++)
		flight->data[i] = rand();
	if (op == DISK_WRITE)
		memcpy(model + flight->offset, flight->data, flight->size);
	if (op == DISK_ZERO)
		memset(model + flight->offset, 0, flight->size);
	if (op == DISK_READ)
		memset(flight->data, 0xee, sizeof(flight->data));
	submit(&flight->wanted, op, op == DISK_FLUSH ? 0 : flight->offset,
	       op == DISK_FLUSH ? 0 : flight->size,
	       op == DISK_READ || op == DISK_WRITE ? flight->data : NULL, 1 + rand() % 4);
	flight->wanted.request.may_unmap = rand() & 1;
}

/* Returns what went wrong. */
static unsigned int check(struct flight *flight)
{
	unsigned int wrong = finish(&flight->wanted) != 0;

	flight->used = false;
	if (flight->wanted.request.op == DISK_READ)
		wrong += memcmp(flight->data, model + flight->offset, flight->size) != 0;
	return wrong;
}

static void random_requests(unsigned int requests)
{
	static struct flight flight[16];
	unsigned int i, wrong = 0;

	memset(flight, 0, sizeof(flight));
	for (i = 0; i < requests; i++) {
		unsigned int index = rand() % 16;

		if (flight[index].used)
			wrong += check(&flight[index]);
		begin(&flight[index], index, 16);
		if (rand() % 4 == 0)
			disk->ops->commit(disk);
	}
	for (i = 0; i < 16; i++)
		if (flight[i].used)
			wrong += check(&flight[i]);
	EXPECT_EQ(0, wrong);
}

static void reads_as_model(void)
{
	static uint8_t now[SIZE];

	EXPECT_EQ(0, run(DISK_READ, 0, SIZE, now, 4));
	EXPECT(!memcmp(now, model, SIZE));
}

static void test_random(void)
{
	make_base("base");
	srand(11);
	if (!open_above(raw_open("base", true, &why), "."))
		return;
	EXPECT_EQ(SIZE, disk->size);
	EXPECT(!disk->read_only);
	reads_as_model();
	random_requests(5000);
	reads_as_model();
	end_disk();
	EXPECT(is_base("base"));
	/* Nothing is left of it. */
	memcpy(model, base, SIZE);
	if (!open_above(raw_open("base", true, &why), "."))
		return;
	reads_as_model();
	end_disk();
}

/* A discarded sector is zero or as it was; its neighbours are what they were. */
static void test_discard(void)
{
	static uint8_t data[8 * 512], now[8 * 512];
	unsigned int i;

	make_base("base");
	if (!open_above(raw_open("base", true, &why), "."))
		return;
	memset(data, 0xab, sizeof(data));
	EXPECT_EQ(0, run(DISK_WRITE, 2 * 512, 4 * 512, data, 2));
	EXPECT_EQ(0, run(DISK_DISCARD, 3 * 512, 512, NULL, 0));
	EXPECT_EQ(0, run(DISK_DISCARD, 7 * 512, 512, NULL, 0));
	EXPECT_EQ(0, run(DISK_READ, 0, sizeof(now), now, 1));
	EXPECT(!memcmp(now, base, 2 * 512));
	for (i = 2; i < 6; i++)
		if (i != 3)
			EXPECT(!memcmp(now + i * 512, data, 512));
	for (i = 0; i < 512; i++)
		EXPECT(now[3 * 512 + i] == 0 || now[3 * 512 + i] == 0xab);
	EXPECT(!memcmp(now + 6 * 512, base + 6 * 512, 512));
	for (i = 7 * 512; i < 8 * 512; i++)
		EXPECT(now[i] == 0 || now[i] == base[i]);
	end_disk();
}

static void test_several(void)
{
	static uint8_t data[512];
	struct disk *first, *second;

	make_base("base");
	first = overlay_open(raw_open("base", true, &why), ".", &why);
	second = overlay_open(raw_open("base", true, &why), ".", &why);
	EXPECT(first && second);
	disk = first;
	EXPECT_EQ(0, run(DISK_WRITE, 0, 512, data, 1));
	EXPECT(!raw_open("base", false, &why));
	end_disk();
	disk = second;
	EXPECT_EQ(0, run(DISK_READ, 0, 512, data, 1));
	EXPECT(!memcmp(data, base, 512));
	end_disk();
}

/* On a file system of its own, which is small; in a child, whose mounts are its own. */
static bool no_space(void)
{
	static uint8_t data[256 << 10], now[512];
	unsigned int i;
	int error = 0;

	mkdir("small", 0700);
	if (unshare(CLONE_NEWNS))
		return false;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmpfs", "small", "tmpfs", 0, "size=256k"))
		return false;
	make_base("base");
	if (!open_above(raw_open("base", true, &why), "small"))
		return true;
	for (i = 0; i < 4 && !error; i++)
		error = run(DISK_WRITE, i * sizeof(data), sizeof(data), data, 1);
	EXPECT_EQ(ENOSPC, error);
	/* What was not written is as before, and there is no more of it. */
	EXPECT_EQ(0, run(DISK_READ, SIZE - 512, 512, now, 1));
	EXPECT(!memcmp(now, base + SIZE - 512, 512));
	EXPECT_EQ(0, run(DISK_READ, 0, 512, now, 1));
	EXPECT(!memcmp(now, data, 512));
	/* Space that is given back is there again. */
	EXPECT_EQ(0, run(DISK_DISCARD, 0, SIZE, NULL, 0));
	EXPECT_EQ(0, run(DISK_WRITE, 0, sizeof(data) / 2, data, 1));
	end_disk();
	return true;
}

#define SKIPPED	77

static void test_no_space(void)
{
	int status = 0;
	pid_t child = fork();

	if (!child) {
		bool done = no_space();

		fflush(stdout);
		_exit(!done ? SKIPPED : test_failed);
	}
	waitpid(child, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
		printf("# no file system may be mounted here: not tested\n");
	else
		EXPECT_EQ(0, status);
}

static void test_refused(void)
{
	make_base("base");
	disk = overlay_open(raw_open("base", true, &why), "nowhere", &why);
	EXPECT(!disk);
	EXPECT(strstr(why.text, "cannot make a temporary file of 1048576 bytes in nowhere"));
	/* Its lock went with it. */
	disk = raw_open("base", false, &why);
	EXPECT(disk);
	end_disk();
}

/* Servers end requests late and in any order. */
static void test_above_a_server(void)
{
	pid_t server;
	unsigned int i;

	make_base("base");
	unlink("sock");
	server = start_program((char *const[]){ "nbdkit", "-f", "-r", "-U", "sock", "--filter=delay",
						"file", "base", "rdelay=2ms", NULL });
	for (i = 0; i < 500 && access("sock", F_OK); i++)
		pause_ms(10);
	pause_ms(100);
	srand(12);
	if (open_above(nbd_open_uri("nbd+unix:///?socket=sock", true, 60, &why), "."))
		random_requests(1500);
	if (disk)
		reads_as_model();
	end_disk();
	stop_program(&server, SIGKILL);
	EXPECT(is_base("base"));
}

static void test_cancel(void)
{
	struct wanted *wanted = calloc(1, sizeof(*wanted));
	static uint8_t data[4096];
	pid_t server;
	unsigned int i;

	make_base("base");
	unlink("sock");
	server = start_program((char *const[]){ "nbdkit", "-f", "-r", "-U", "sock", "file", "base",
						NULL });
	for (i = 0; i < 500 && access("sock", F_OK); i++)
		pause_ms(10);
	pause_ms(100);
	if (open_above(nbd_open_uri("nbd+unix:///?socket=sock", true, 60, &why), ".")) {
		stop_program(&server, SIGKILL);
		submit(wanted, DISK_READ, 0, 4096, data, 1);
		EXPECT(!wait_ms(wanted, 300));
		/* The layer is there all the same. */
		EXPECT_EQ(0, run(DISK_WRITE, 8192, 4096, data, 1));
		EXPECT_EQ(0, run(DISK_READ, 8192, 4096, data, 2));
		disk->ops->cancel(disk, &wanted->request);
		EXPECT_EQ(ECANCELED, finish(wanted));
	}
	end_disk();
	stop_program(&server, SIGKILL);
	free(wanted);
}

static const struct test tests[] = {
	{ "random requests against a model", test_random },
	{ "discards", test_discard },
	{ "several above one disk", test_several },
	{ "no space", test_no_space },
	{ "a directory that is none is refused", test_refused },
	{ "above a server", test_above_a_server },
	{ "requests that are cancelled", test_cancel },
};

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (enter(argc > 1 ? argv[1] : ".", "overlay"))
		return 1;
	return RUN_TESTS(tests);
}
