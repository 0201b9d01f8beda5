// SPDX-License-Identifier: GPL-2.0
/*
 * Programs about what a disk keeps, for guests and for those who look at their disks afterwards:
 *
 *	truth records FILE COUNT MS [DEVICE OFFSET]
 *		appends records until there are COUNT, each followed by fsync(), then by "ack N" on
 *		stdout: there are N now, and by a pause. With DEVICE that is also written there, at
 *		OFFSET.
 *	truth count FILE [LEAST]
 *		prints how many records there are; 1 when one is not whole or there are less
 *	truth verify DEVICE MIB OPERATIONS SEED
 *		writes and reads at random, past the page cache, and compares; errors are counted,
 *		and what failed is done again
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Not of a size that divides that of a block. */
#define RECORD		3000
#define WORDS		(RECORD / 8)
#define BLOCK		4096
#define BLOCKS_MAX	16
#define SECTOR		512
#define TRIES		1000

static int die(const char *what)
{
	printf("truth: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

/* ---- records -------------------------------------------------------------------------------- */

/* All of it follows from its number, so nothing else passes for it; the last word is a checksum. */
static void make_record(uint64_t number, uint64_t record[WORDS])
{
	uint64_t sum = 0;
	unsigned int i;

	record[0] = number;
	for (i = 1; i < WORDS - 1; i++)
		record[i] = mix(number << 16 | i);
	for (i = 0; i < WORDS - 1; i++)
		sum = mix(sum ^ record[i]);
	record[WORDS - 1] = sum;
}

/* Records that are whole, from the first on. @rest: bytes behind the last of them. */
static uint64_t count_records(int fd, uint64_t *rest)
{
	uint64_t record[WORDS], want[WORDS], number = 0;
	ssize_t size;

	for (;;) {
		size = pread(fd, record, RECORD, number * RECORD);
		if (size < 0)
			die("reading a record");
		make_record(number, want);
		if (size != RECORD || memcmp(record, want, RECORD))
			break;
		number++;
	}
	*rest = lseek(fd, 0, SEEK_END) - number * RECORD;
	return number;
}

static void note(int device, uint64_t offset, uint64_t number)
{
	static uint64_t sector[SECTOR / 8] __attribute__((aligned(BLOCK)));

	memcpy(sector, "hullack", 8);
	sector[1] = number;
	if (pwrite(device, sector, SECTOR, offset) != SECTOR)
		die("noting an answer");
}

static int write_records(const char *path, uint64_t count, uint64_t ms, const char *device_path,
			 uint64_t offset)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600), device = -1;
	uint64_t record[WORDS], number, rest;

	if (fd < 0)
		die(path);
	if (device_path) {
		device = open(device_path, O_WRONLY | O_DIRECT);
		if (device < 0)
			die(device_path);
	}
	number = count_records(fd, &rest);
	printf("have %llu\n", (unsigned long long)number);
	fflush(stdout);
	for (; number < count; number++) {
		make_record(number, record);
		if (pwrite(fd, record, RECORD, number * RECORD) != RECORD)
			die("writing a record");
		if (fsync(fd))
			die("fsync");
		if (device >= 0)
			note(device, offset, number + 1);
		printf("ack %llu\n", (unsigned long long)number + 1);
		fflush(stdout);
		nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
	}
	return 0;
}

static int check_records(const char *path, uint64_t least)
{
	int fd = open(path, O_RDONLY);
	uint64_t count, rest;

	if (fd < 0)
		die(path);
	count = count_records(fd, &rest);
	printf("%llu records\n", (unsigned long long)count);
	/* Behind the last there is but the one that was being written: the size grows with it. */
	if (count < least || rest > RECORD) {
		printf("truth: at least %llu were acknowledged; %llu bytes follow the last\n",
		       (unsigned long long)least, (unsigned long long)rest);
		return 1;
	}
	return 0;
}

/* ---- verification --------------------------------------------------------------------------- */

static uint64_t buffer[BLOCKS_MAX * BLOCK / 8] __attribute__((aligned(BLOCK)));
static uint32_t *version;
static uint64_t seed, errors, written, read_back;

static uint64_t random_number(void)
{
	static uint64_t state;

	return mix(seed + (state += 0x9e3779b97f4a7c15));
}

static void fill(uint64_t block, uint64_t words[BLOCK / 8])
{
	uint64_t base = mix(seed ^ block << 32 ^ version[block]);
	unsigned int i;

	for (i = 0; i < BLOCK / 8; i++)
		words[i] = base + i * 0x9e3779b97f4a7c15;
}

static void move(int fd, uint64_t block, unsigned int count, int out)
{
	const ssize_t size = (ssize_t)count * BLOCK;
	unsigned int tries;
	ssize_t done;

	for (tries = 0; tries < TRIES; tries++) {
		done = out ? pwrite(fd, buffer, size, block * BLOCK) :
			     pread(fd, buffer, size, block * BLOCK);
		if (done == size)
			return;
		errors++;
	}
	die(out ? "writing" : "reading");
}

static void write_blocks(int fd, uint64_t block, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		version[block + i]++;
		fill(block + i, buffer + i * (BLOCK / 8));
	}
	move(fd, block, count, 1);
	written++;
}

static void check_blocks(int fd, uint64_t block, unsigned int count)
{
	static uint64_t want[BLOCK / 8];
	unsigned int i;

	move(fd, block, count, 0);
	for (i = 0; i < count; i++) {
		fill(block + i, want);
		if (memcmp(buffer + i * (BLOCK / 8), want, BLOCK)) {
			printf("truth: block %llu is not what was written\n",
			       (unsigned long long)block + i);
			exit(1);
		}
	}
	read_back++;
}

static int verify(const char *path, uint64_t mib, uint64_t operations)
{
	const uint64_t blocks = mib * ((1 << 20) / BLOCK);
	int fd = open(path, O_RDWR | O_DIRECT);
	uint64_t i;

	if (fd < 0)
		die(path);
	version = calloc(blocks, sizeof(*version));
	for (i = 0; i < blocks; i += BLOCKS_MAX)
		write_blocks(fd, i, BLOCKS_MAX);
	for (i = 0; i < operations; i++) {
		uint64_t block = random_number() % blocks;
		unsigned int count = 1 + random_number() % BLOCKS_MAX;

		if (count > blocks - block)
			count = blocks - block;
		if (random_number() & 1)
			write_blocks(fd, block, count);
		else
			check_blocks(fd, block, count);
		if (i % 64 == 63 && fsync(fd))
			errors++;
	}
	for (i = 0; i < blocks; i += BLOCKS_MAX)
		check_blocks(fd, i, BLOCKS_MAX);
	printf("verified %llu MiB: %llu writes, %llu reads, %llu errors\n",
	       (unsigned long long)mib, (unsigned long long)written,
	       (unsigned long long)read_back, (unsigned long long)errors);
	return 0;
}

static uint64_t number(const char *text)
{
	return strtoull(text, NULL, 0);
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "records"))
		return write_records(argv[2], number(argv[3]), number(argv[4]), NULL, 0);
	if (argc == 7 && !strcmp(argv[1], "records"))
		return write_records(argv[2], number(argv[3]), number(argv[4]), argv[5],
				     number(argv[6]));
	if (argc == 3 && !strcmp(argv[1], "count"))
		return check_records(argv[2], 0);
	if (argc == 4 && !strcmp(argv[1], "count"))
		return check_records(argv[2], number(argv[3]));
	if (argc == 6 && !strcmp(argv[1], "verify")) {
		seed = number(argv[5]);
		return verify(argv[2], number(argv[3]), number(argv[4]));
	}
	printf("truth: wrong usage\n");
	return 2;
}
