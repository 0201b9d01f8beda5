// SPDX-License-Identifier: GPL-2.0
/*
 * Images by qemu-nbd, which the disk starts: formats, refusals, and what happens when it is killed.
 */
#define _GNU_SOURCE
#include <dirent.h>

#include "disks.h"
#include "disk/nbd.h"

#define SIZE	(16 << 20)

static uint8_t out[1 << 16], in[1 << 16];
static struct broker broker;

static void create(const char *format, const char *name)
{
	EXPECT_EQ(0, run_program((char *const[]){ "qemu-img", "create", "-q", "-f", (char *)format,
						  (char *)name, "16M", NULL }));
}

static bool open_for(const char *name, const char *format, bool read_only)
{
	listen_to_notices();
	disk = image_open(name, format, read_only, 60, &broker, &why);
	if (!disk)
		printf("# %s\n", why.text);
	EXPECT(disk);
	return disk;
}

static bool refused(const char *name, const char *format, bool read_only, const char *text)
{
	struct disk *none = image_open(name, format, read_only, 60, &broker, &why);
	bool good = !none && strstr(why.text, text) && strstr(why.text, name) &&
		    !strchr(why.text, '\n');

	if (none)
		none->ops->close(none);
	if (!good)
		printf("# %s\n", none ? "opened" : why.text);
	return good;
}

static void fill(unsigned int seed)
{
	unsigned int i;

	for (i = 0; i < sizeof(out); i++)
		out[i] = (i * 2654435761u + seed) >> 13;
}

static bool reads_as_written(uint64_t offset)
{
	memset(in, 0xee, sizeof(in));
	return !run(DISK_READ, offset, sizeof(in), in, 3) && !memcmp(in, out, sizeof(in));
}

/* Children of the broker of that name. */
static pid_t server_pid(void)
{
	DIR *directory = opendir("/proc");
	struct dirent *entry;
	pid_t found = 0;

	while ((entry = readdir(directory))) {
		char path[300], name[32] = "";
		int pid = atoi(entry->d_name), parent = 0;
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
		file = pid ? fopen(path, "r") : NULL;
		if (!file)
			continue;
		if (fscanf(file, "%*d (%31[^)]) %*c %d", name, &parent) == 2 &&
		    parent == broker.pid && !strcmp(name, "qemu-nbd"))
			found = pid;
		fclose(file);
	}
	closedir(directory);
	return found;
}

static bool kill_server(void)
{
	pid_t pid = server_pid();

	return pid && !kill(pid, SIGKILL);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void test_formats(void)
{
	static const char *const formats[] = { "qcow2", "vmdk", "vdi", "vhdx" };
	char name[32];
	unsigned int i;

	for (i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "disk:%s", formats[i]);
		create(formats[i], name + 5);
		EXPECT_EQ(0, rename(name + 5, name));
		if (!open_for(name, formats[i], false))
			continue;
		EXPECT_EQ(SIZE, disk->size);
		fill(i);
		EXPECT_EQ(0, run(DISK_WRITE, 1 << 20, sizeof(out), out, 3));
		EXPECT_EQ(0, run(DISK_FLUSH, 0, 0, NULL, 0));
		EXPECT_EQ(0, run(DISK_ZERO, 2 << 20, 1 << 20, NULL, 0));
		EXPECT_EQ(0, run(DISK_DISCARD, 3 << 20, 1 << 20, NULL, 0));
		EXPECT(reads_as_written(1 << 20));
		end_disk();
		EXPECT(!server_pid());
		EXPECT(!said[0]);
		/* Not flushed, and there: it ended well. */
		if (!open_for(name, formats[i], true))
			continue;
		EXPECT(reads_as_written(1 << 20));
		end_disk();
	}
}

static void test_refused(void)
{
	unlink("none");
	EXPECT(refused("none", "qcow2", false, "cannot open disk none: No such file"));
	make_file("empty", 0);
	EXPECT(refused("empty", "qcow2", false, "Image is not in qcow2 format"));
	make_file("zero", 1 << 20);
	EXPECT(refused("zero", "vdi", true, "Image not in VDI format"));
	EXPECT(!server_pid());
}

static void test_locks(void)
{
	struct disk *first;

	create("qcow2", "locked");
	if (!open_for("locked", "qcow2", false))
		return;
	EXPECT(refused("locked", "qcow2", false, "in use by another process"));
	first = disk;
	EXPECT(refused("locked", "qcow2", true, "in use by another process"));
	EXPECT(refused("locked", "raw", false, "in use by another process"));
	EXPECT(!raw_open("locked", false, &why));
	EXPECT(strstr(why.text, "in use by another process"));
	disk = first;
	end_disk();
	if (!open_for("locked", "qcow2", true))
		return;
	first = disk;
	if (open_for("locked", "qcow2", true))
		end_disk();
	disk = first;
	end_disk();
}

/* In the child: without the program, its environment and files. */
static void test_no_program(void)
{
	int status;
	pid_t child = fork();

	if (!child) {
		broker_init(&broker);
		setenv("PATH", "/nowhere", 1);
		_exit(!refused("any", "qcow2", false, "package qemu-utils"));
	}
	waitpid(child, &status, 0);
	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Its newest tables are in the memory of the server that dies. */
static void test_killed(void)
{
	static uint8_t all[32][65536];
	unsigned int i, wrong = 0;

	create("qcow2", "killed");
	if (!open_for("killed", "qcow2", false))
		return;
	for (i = 0; i < 32; i++) {
		fill(i);
		memcpy(all[i], out, sizeof(out));
		wrong += run(DISK_WRITE, i * 300000 / 512 * 512, sizeof(out), out, 2) != 0;
		if (i % 4 == 3)
			EXPECT(kill_server());
		if (i % 8 == 5)
			wrong += run(DISK_FLUSH, 0, 0, NULL, 0) != 0;
	}
	EXPECT_EQ(0, run(DISK_FLUSH, 0, 0, NULL, 0));
	EXPECT(strstr(said, "qemu-nbd was killed: Killed"));
	EXPECT(kill_server());
	/* In the image itself now. */
	for (i = 0; i < 32; i++) {
		memcpy(out, all[i], sizeof(out));
		wrong += !reads_as_written(i * 300000 / 512 * 512);
	}
	EXPECT_EQ(0, wrong);
	end_disk();
	/* 3: clusters that nothing uses, which is no damage. */
	i = run_program((char *const[]){ "sh", "-c", "qemu-img check killed >check.log 2>&1", NULL });
	EXPECT(i == 0 || i == 3);
}

/* Ended well by somebody: as if it had died. */
static void test_ended(void)
{
	create("qcow2", "ended");
	if (!open_for("ended", "qcow2", false))
		return;
	fill(1);
	EXPECT_EQ(0, run(DISK_WRITE, 0, sizeof(out), out, 1));
	EXPECT_EQ(0, kill(server_pid(), SIGTERM));
	pause_ms(200);
	EXPECT(reads_as_written(0));
	end_disk();
	EXPECT(!server_pid());
}

/* The launcher is killed: it ends, and has written what it had. */
static void test_orphan(void)
{
	int pipes[2];
	pid_t child, server = 0;
	unsigned int i;

	create("qcow2", "orphan");
	EXPECT_EQ(0, pipe(pipes));
	child = fork();
	if (!child) {
		broker_init(&broker);
		fill(2);
		if (open_for("orphan", "qcow2", false) && !run(DISK_WRITE, 0, sizeof(out), out, 1))
			server = server_pid();
		if (write(pipes[1], &server, sizeof(server)) != sizeof(server))
			_exit(1);
		pause();
	}
	EXPECT_EQ(sizeof(server), read(pipes[0], &server, sizeof(server)));
	EXPECT(server);
	stop_program(&child, SIGKILL);
	for (i = 0; i < 500 && server && !kill(server, 0); i++)
		pause_ms(10);
	EXPECT(i < 500);
	if (open_for("orphan", "qcow2", true)) {
		fill(2);
		EXPECT(reads_as_written(0));
	}
	end_disk();
	close(pipes[0]);
	close(pipes[1]);
}

/* The socket listens, and its name is gone: nobody else can connect. */
static void test_no_socket(void)
{
	char line[512], path[256];
	unsigned int listening = 0, there = 0;
	FILE *file;

	create("qcow2", "quiet");
	if (!open_for("quiet", "qcow2", false))
		return;
	file = fopen("/proc/net/unix", "r");
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%*s %*s %*s %*s %*s %*s %*s %255s", path) != 1 ||
		    strncmp(path, "/tmp/hull-", 10) || !strstr(path, "/socket"))
			continue;
		listening++;
		there += !access(path, F_OK);
	}
	fclose(file);
	EXPECT(listening);
	EXPECT_EQ(0, there);
	end_disk();
}

static const struct test tests[] = {
	{ "formats, and names with a colon", test_formats },
	{ "what is no image is refused in words", test_refused },
	{ "locks", test_locks },
	{ "without qemu-nbd the package is named", test_no_program },
	{ "a server that is killed", test_killed },
	{ "a server that is ended", test_ended },
	{ "a server whose launcher is killed", test_orphan },
	{ "no socket has a name", test_no_socket },
};

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (enter(argc > 1 ? argv[1] : ".", "image"))
		return 1;
	broker_init(&broker);
	return RUN_TESTS(tests);
}
