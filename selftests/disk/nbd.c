// SPDX-License-Identifier: GPL-2.0
/*
 * Disks of NBD servers, with nbdkit as the server: each operation, what servers lack, refusals,
 * errors; servers that die, come back, come back as another, stay away, or hang.
 */
#include "disks.h"
#include "disk/nbd.h"

#define SIZE	(4 << 20)
#define URI	"nbd+unix:///?socket=sock"

static pid_t server;
static uint8_t out[1 << 20], in[1 << 20];

/* ---- servers -------------------------------------------------------------------------------- */

static bool answers(void)
{
	struct nbd_handle *handle = nbd_create();
	bool good = !nbd_connect_unix(handle, "sock");

	nbd_close(handle);
	return good;
}

/* nbdkit with these words behind its socket. */
static void start_server(const char *const *words)
{
	const char *argv[24] = { "nbdkit", "-f", "-U", "sock" };
	unsigned int i, count = 4;

	for (i = 0; words[i]; i++)
		argv[count++] = words[i];
	argv[count] = NULL;
	unlink("sock");
	server = start_program((char *const *)argv);
	for (i = 0; i < 500 && access("sock", F_OK); i++)
		pause_ms(10);
	/* There before it listens. */
	for (i = 0; i < 500 && !answers(); i++)
		pause_ms(10);
	EXPECT(i < 500);
}

#define START(...)	start_server((const char *const[]){ __VA_ARGS__, NULL })

static void kill_server(void)
{
	stop_program(&server, SIGKILL);
}

static void end(void)
{
	end_disk();
	kill_server();
	notice_sink = NULL;
}

static bool open_for(bool read_only, unsigned int reconnect)
{
	listen_to_notices();
	disk = nbd_open_uri(URI, read_only, reconnect, &why);
	if (!disk)
		printf("# %s\n", why.text);
	EXPECT(disk);
	return disk;
}

static bool refused(const char *uri, bool read_only, const char *text)
{
	struct disk *none = nbd_open_uri(uri, read_only, 60, &why);
	bool good = !none && strstr(why.text, text) && strstr(why.text, uri);

	if (none)
		none->ops->close(none);
	if (!good)
		printf("# %s\n", none ? "opened" : why.text);
	return good;
}

static void fill(unsigned int seed, uint64_t size)
{
	uint64_t i;

	for (i = 0; i < size; i++)
		out[i] = (i * 2654435761u + seed) >> 13;
}

static bool reads_as(uint64_t offset, uint64_t size)
{
	memset(in, 0xee, size);
	return !run(DISK_READ, offset, size, in, 3) && !memcmp(in, out, size);
}

static bool reads_as_zeroes(uint64_t offset, uint64_t size)
{
	uint64_t i;

	memset(in, 0xee, size);
	if (run(DISK_READ, offset, size, in, 1))
		return false;
	for (i = 0; i < size; i++)
		if (in[i])
			return false;
	return true;
}

/* ---- operations ----------------------------------------------------------------------------- */

static void check_operations(void)
{
	fill(1, 8192);
	EXPECT_EQ(SIZE, disk->size);
	EXPECT_EQ(0, run(DISK_WRITE, SIZE - 8192, 8192, out, 3));
	EXPECT(reads_as(SIZE - 8192, 8192));
	EXPECT_EQ(0, run(DISK_FLUSH, 0, 0, NULL, 0));
	EXPECT_EQ(0, run(DISK_ZERO, SIZE - 4096, 512, NULL, 0));
	EXPECT(reads_as_zeroes(SIZE - 4096, 512));
	memset(out + 4096, 0, 512);
	EXPECT(reads_as(SIZE - 8192, 8192));
	EXPECT_EQ(0, run(DISK_DISCARD, 0, SIZE, NULL, 0));
	EXPECT_EQ(0, run(DISK_FLUSH, 0, 0, NULL, 0));
}

static void test_operations(void)
{
	START("memory", "4M");
	if (open_for(false, 60))
		check_operations();
	EXPECT(!said[0]);
	end();
}

/* More than a command takes: cut into several. */
static void test_long(void)
{
	static uint8_t all[SIZE], back[SIZE];
	unsigned int i;

	START("--filter=blocksize-policy", "memory", "4M", "blocksize-maximum=256K",
	      "blocksize-error-policy=error");
	for (i = 0; i < SIZE; i++)
		all[i] = i * 2654435761u >> 11;
	if (open_for(false, 60)) {
		EXPECT_EQ(0, run(DISK_WRITE, 0, SIZE, all, 3));
		EXPECT_EQ(0, run(DISK_READ, 0, SIZE, back, 4));
		EXPECT(!memcmp(all, back, SIZE));
		EXPECT_EQ(0, run(DISK_ZERO, 0, SIZE, NULL, 0));
		EXPECT_EQ(0, run(DISK_READ, 0, SIZE, back, 1));
		for (i = 0; i < SIZE && !back[i]; i++)
			;
		EXPECT_EQ(SIZE, i);
	}
	end();
}

/* A server that has neither flush, trim nor zeroing. */
static void test_poor_server(void)
{
	START("eval", "get_size=echo 4M", "open=test -f store || truncate -s 4M store",
	      "pread=dd if=store skip=$4 count=$3 iflag=count_bytes,skip_bytes 2>/dev/null",
	      "pwrite=dd of=store seek=$4 conv=notrunc oflag=seek_bytes 2>/dev/null",
	      "can_write=exit 0", "can_flush=exit 3", "can_trim=exit 3", "can_zero=exit 3");
	unlink("store");
	if (open_for(false, 60))
		check_operations();
	end();
}

static void test_many(void)
{
	static struct wanted wanted[1000];
	static uint8_t data[1000][512];
	unsigned int i, errors = 0;

	START("memory", "4M");
	if (!open_for(false, 60))
		return end();
	for (i = 0; i < 1000; i++) {
		memset(data[i], i, 512);
		submit(&wanted[i], DISK_WRITE, i * 512, 512, data[i], 1);
	}
	for (i = 0; i < 1000; i++)
		errors += finish(&wanted[i]) != 0;
	EXPECT_EQ(0, errors);
	EXPECT_EQ(0, run(DISK_READ, 777 * 512, 512, in, 1));
	EXPECT(in[0] == (777 & 0xff) && in[511] == (777 & 0xff));
	end();
}

static void test_blocks(void)
{
	START("--filter=blocksize-policy", "memory", "4M", "blocksize-minimum=4096",
	      "blocksize-error-policy=error");
	if (open_for(false, 60)) {
		EXPECT_EQ(4096, disk->block);
		EXPECT_EQ(0, run(DISK_WRITE, 4096, 4096, out, 3));
		/* What a driver should not do is its own error. */
		EXPECT(run(DISK_WRITE, 512, 512, out, 1) > 0);
		EXPECT_EQ(0, run(DISK_FLUSH, 0, 0, NULL, 0));
	}
	end();
}

/* ---- refusals ------------------------------------------------------------------------------- */

static void test_refused(void)
{
	unlink("sock");
	EXPECT(refused(URI, false, "No such file"));
	EXPECT(refused("nbd://127.0.0.1:1/", true, "Connection refused"));
	EXPECT(refused("nbd://host.invalid/", true, "cannot open disk"));
	EXPECT(refused("nbd:rubbish", true, "cannot open disk"));
	START("memory", "100");
	EXPECT(refused(URI, false, "too short: it has 100 bytes"));
	kill_server();
	START("memory", "1000");
	EXPECT(refused(URI, false, "1000 bytes, is no multiple of 512"));
	kill_server();
	START("-r", "memory", "4M");
	EXPECT(refused(URI, false, "the server allows only reading"));
	if (open_for(true, 60)) {
		EXPECT(disk->read_only);
		EXPECT(reads_as_zeroes(0, 512));
	}
	end();
}

/* It takes the connection, and says nothing: refused after a while. */
static void test_silent_server(void)
{
	uint64_t before = ms_now();

	START("memory", "4M");
	kill(server, SIGSTOP);
	EXPECT(refused(URI, false, "the server does not answer"));
	EXPECT(ms_now() - before < 15000);
	kill_server();
}

/* ---- errors --------------------------------------------------------------------------------- */

static void test_errors(void)
{
	START("--filter=error", "memory", "4M", "error-file=fail", "error-pwrite=ENOSPC",
	      "error-pwrite-rate=100%", "error-pread=EIO", "error-pread-rate=100%");
	unlink("fail");
	if (!open_for(false, 60))
		return end();
	EXPECT_EQ(0, run(DISK_WRITE, 0, 4096, out, 1));
	make_file("fail", 0);
	EXPECT_EQ(ENOSPC, run(DISK_WRITE, 0, 4096, out, 1));
	EXPECT_EQ(EIO, run(DISK_READ, 0, 4096, in, 2));
	unlink("fail");
	EXPECT_EQ(0, run(DISK_READ, 0, 4096, in, 2));
	EXPECT_EQ(0, run(DISK_WRITE, 0, 4096, out, 1));
	end();
}

/* ---- servers that die ----------------------------------------------------------------------- */

#define FILE_SERVER	"file", "disk.img"

static void test_comes_back(void)
{
	struct wanted *wanted = calloc(2, sizeof(*wanted));

	make_file("disk.img", SIZE);
	START(FILE_SERVER);
	if (!open_for(false, 60))
		return end();
	fill(2, 4096);
	EXPECT_EQ(0, run(DISK_WRITE, 8192, 4096, out, 2));
	kill_server();
	submit(&wanted[0], DISK_READ, 8192, 4096, in, 3);
	submit(&wanted[1], DISK_WRITE, 0, 4096, out, 1);
	EXPECT(!wait_ms(&wanted[0], 1500));
	EXPECT(strstr(said, "the connection is lost"));
	START(FILE_SERVER);
	EXPECT_EQ(0, finish(&wanted[0]));
	EXPECT_EQ(0, finish(&wanted[1]));
	EXPECT(!memcmp(in, out, 4096));
	EXPECT(strstr(said, "there is a connection again"));
	EXPECT(reads_as(0, 4096));
	free(wanted);
	end();
}

/* Its memory is gone with it: what was answered and not flushed must be there all the same. */
static void test_forgetful_server(void)
{
	static uint8_t model[SIZE];
	unsigned int i;

	START("memory", "4M");
	if (!open_for(false, 60))
		return end();
	memset(model, 0, SIZE);
	srand(7);
	for (i = 0; i < 400; i++) {
		uint64_t offset = rand() % 64 * 512, size = (1 + rand() % 16) * 512;

		fill(i, size);
		if (i % 7 == 6) {
			memset(model + offset, 0, size);
			EXPECT_EQ(0, run(DISK_ZERO, offset, size, NULL, 0));
		} else {
			memcpy(model + offset, out, size);
			EXPECT_EQ(0, run(DISK_WRITE, offset, size, out, 1 + i % 4));
		}
	}
	kill_server();
	START("memory", "4M");
	EXPECT_EQ(0, run(DISK_FLUSH, 0, 0, NULL, 0));
	EXPECT_EQ(0, run(DISK_READ, 0, 80 * 512, in, 3));
	EXPECT(!memcmp(in, model, 80 * 512));
	/* Flushed is the server's business: the next one shows that nothing else was kept. */
	kill_server();
	START("memory", "4M");
	EXPECT(reads_as_zeroes(0, 80 * 512));
	end();
}

/* More than the log takes: the disk flushes by itself, and what is answered stays safe. */
static void test_much_unflushed(void)
{
	unsigned int i, wrong = 0;

	make_file("log", 0);
	START("--filter=log", "memory", "64M", "logfile=log");
	if (!open_for(false, 60))
		return end();
	for (i = 0; i < 48; i++) {
		fill(i, 1 << 20);
		wrong += run(DISK_WRITE, (uint64_t)i << 20, 1 << 20, out, 1) != 0;
	}
	EXPECT_EQ(0, wrong);
	EXPECT_EQ(0, run_program((char *const[]){ "grep", "-q", "Flush", "log", NULL }));
	kill_server();
	/* The last 8 MiB were flushed by nobody. */
	START("memory", "64M");
	for (i = 40; i < 48; i++) {
		fill(i, 1 << 20);
		wrong += !reads_as((uint64_t)i << 20, 1 << 20);
	}
	EXPECT_EQ(0, wrong);
	end();
}

static void test_another_server(void)
{
	struct wanted *wanted = calloc(1, sizeof(*wanted));

	START("memory", "4M");
	if (!open_for(false, 60))
		return end();
	kill_server();
	START("memory", "8M");
	submit(wanted, DISK_READ, 0, 4096, in, 1);
	EXPECT(!wait_ms(wanted, 1500));
	kill_server();
	START("memory", "4M");
	EXPECT_EQ(0, finish(wanted));
	free(wanted);
	end();
}

static void test_stays_away(void)
{
	uint64_t before;

	make_file("disk.img", SIZE);
	START(FILE_SERVER);
	if (!open_for(false, 2))
		return end();
	fill(3, 4096);
	EXPECT_EQ(0, run(DISK_WRITE, 0, 4096, out, 1));
	kill_server();
	before = ms_now();
	EXPECT_EQ(EIO, run(DISK_WRITE, 4096, 4096, out, 1));
	EXPECT(ms_now() - before >= 1900 && ms_now() - before < 10000);
	EXPECT(strstr(said, "no connection for 2 s: "));
	/* Those that follow do not wait again. */
	before = ms_now();
	EXPECT_EQ(EIO, run(DISK_READ, 0, 4096, in, 1));
	EXPECT_EQ(EIO, run(DISK_FLUSH, 0, 0, NULL, 0));
	EXPECT(ms_now() - before < 1000);
	START(FILE_SERVER);
	for (before = ms_now(); ms_now() - before < 10000 && run(DISK_FLUSH, 0, 0, NULL, 0);)
		pause_ms(100);
	EXPECT(reads_as(0, 4096));
	end();
}

/* One that dies of each request is not waited for without end, though it always comes back. */
static void test_dies_of_it(void)
{
	uint64_t before = ms_now();

	START("eval", "get_size=echo 4M", "pread=kill -9 $PPID; sleep 1");
	if (!open_for(true, 3))
		return end();
	{
		struct wanted *wanted = calloc(1, sizeof(*wanted));
		unsigned int deaths = 0;

		submit(wanted, DISK_READ, 0, 512, in, 1);
		while (!wait_ms(wanted, 100) && ms_now() - before < 20000) {
			if (waitpid(server, NULL, WNOHANG) != server)
				continue;
			deaths++;
			START("eval", "get_size=echo 4M", "pread=kill -9 $PPID; sleep 1");
		}
		EXPECT(wanted->ended);
		EXPECT_EQ(EIO, wanted->error);
		EXPECT(deaths >= 2);
		free(wanted);
	}
	end();
}

/* What a reset of the device does. */
static void test_cancel(void)
{
	struct wanted *wanted = calloc(2, sizeof(*wanted));
	uint64_t before;

	START("memory", "4M");
	if (!open_for(false, 60))
		return end();
	kill_server();
	submit(&wanted[0], DISK_WRITE, 0, 4096, out, 1);
	submit(&wanted[1], DISK_READ, 0, 4096, in, 1);
	EXPECT(!wait_ms(&wanted[0], 300));
	before = ms_now();
	disk->ops->cancel(disk, &wanted[0].request);
	EXPECT_EQ(ECANCELED, finish(&wanted[0]));
	EXPECT(ms_now() - before < 1000);
	EXPECT(!wanted[1].ended);
	START("memory", "4M");
	EXPECT_EQ(0, finish(&wanted[1]));
	/* A server that hangs has some seconds. */
	kill(server, SIGSTOP);
	pause_ms(100);
	submit(&wanted[0], DISK_READ, 0, 4096, in, 1);
	EXPECT(!wait_ms(&wanted[0], 300));
	before = ms_now();
	disk->ops->cancel(disk, &wanted[0].request);
	EXPECT_EQ(ECANCELED, finish(&wanted[0]));
	EXPECT(ms_now() - before > 5000);
	free(wanted);
	end();
}

/* At the end nobody but the user is left to be told. */
static void test_lost_at_the_end(void)
{
	START("memory", "4M");
	if (!open_for(false, 60))
		return end();
	EXPECT_EQ(0, run(DISK_WRITE, 0, 4096, out, 1));
	kill_server();
	end_disk();
	EXPECT(strstr(said, "what the guest wrote and did not flush is lost"));
	end();
}

static void test_flushed_at_the_end(void)
{
	make_file("log", 0);
	START("--filter=log", "memory", "4M", "logfile=log");
	if (open_for(false, 60))
		EXPECT_EQ(0, run(DISK_WRITE, 0, 4096, out, 1));
	end_disk();
	EXPECT(!said[0]);
	EXPECT_EQ(0, run_program((char *const[]){ "grep", "-q", "Flush", "log", NULL }));
	end();
}

/* Many deaths among many requests: each answer is true at the end. */
static void test_killed_often(void)
{
	static uint8_t model[1024][512];
	static struct wanted wanted[16];
	unsigned int round, i, wrong = 0;

	make_file("disk.img", SIZE);
	START(FILE_SERVER);
	if (!open_for(false, 60))
		return end();
	memset(model, 0, sizeof(model));
	srand(1);
	for (round = 0; round < 60; round++) {
		unsigned int at = rand() % (1024 / 16) * 16;

		for (i = 0; i < 16; i++) {
			memset(model[at + i], round * 16 + i, 512);
			submit(&wanted[i], i == 9 ? DISK_FLUSH : DISK_WRITE, (at + i) * 512,
			       i == 9 ? 0 : 512, i == 9 ? NULL : model[at + i], 1);
		}
		memset(model[at + 9], 0, 512);
		EXPECT_EQ(0, run(DISK_ZERO, (at + 9) * 512, 512, NULL, 0));
		if (round % 6 == 5) {
			kill_server();
			START(FILE_SERVER);
		}
		for (i = 0; i < 16; i++)
			wrong += finish(&wanted[i]) != 0;
	}
	for (i = 0; i < 1024; i++)
		wrong += run(DISK_READ, i * 512, 512, in, 1) || memcmp(in, model[i], 512);
	EXPECT_EQ(0, wrong);
	end();
}

static const struct test tests[] = {
	{ "each operation", test_operations },
	{ "longer than a command may be", test_long },
	{ "a server without flush, trim and zeroing", test_poor_server },
	{ "many requests at once", test_many },
	{ "a server with blocks", test_blocks },
	{ "what is no disk is refused in words", test_refused },
	{ "a server that is silent", test_silent_server },
	{ "errors", test_errors },
	{ "a server that comes back", test_comes_back },
	{ "a server that forgets what was not flushed", test_forgetful_server },
	{ "more that is not flushed than is kept", test_much_unflushed },
	{ "another server does not do", test_another_server },
	{ "a server that stays away", test_stays_away },
	{ "a server that dies of each request", test_dies_of_it },
	{ "requests that are cancelled", test_cancel },
	{ "what is lost at the end is said", test_lost_at_the_end },
	{ "what was not flushed is, at the end", test_flushed_at_the_end },
	{ "a server that is killed often", test_killed_often },
};

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (enter(argc > 1 ? argv[1] : ".", "nbd"))
		return 1;
	return RUN_TESTS(tests);
}
