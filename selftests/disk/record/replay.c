// SPDX-License-Identifier: GPL-2.0
/*
 * What a disk may look like after a loss of power at each of its flushes:
 *
 *	replay BASE RECORD WORK ACKS SEED COMMAND
 *
 * BASE is the disk before, RECORD what was done to it. At the start and at each flush the file WORK
 * is made twice: as it was then; and with some of what was written between this flush and the next,
 * chosen by SEED, each write on its own, for until then a disk may have it or not. For each COMMAND
 * is run by the shell, with WORK as $1 and as $2 the last number that the guest notes in the sector
 * at ACKS (truth.c) before the next flush: what it takes for safe then must be here already. Prints
 * how many there were; ends with 1 at the first that COMMAND does not like. REPLAY_LOSES=N in the
 * environment: a disk that loses each Nth write, which must be found out.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record.h"

#define HOLE	65536

static uint8_t *image, *copy;
static uint64_t image_size, acks_at, acknowledged;
static unsigned long loses, applied;
static const char *work, *command;

static int die(const char *what)
{
	fprintf(stderr, "replay: %s: %s\n", what, strerror(errno));
	exit(2);
}

static const uint8_t *map(const char *path, uint64_t *size)
{
	struct stat stat;
	int fd = open(path, O_RDONLY);
	void *data;

	if (fd < 0 || fstat(fd, &stat))
		die(path);
	*size = stat.st_size;
	data = mmap(NULL, *size ? *size : 1, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	return data == MAP_FAILED ? (void *)(uintptr_t)die(path) : data;
}

static void apply(uint8_t *disk, const struct record_entry *entry)
{
	if (loses && entry->op == RECORD_WRITE && entry->offset != acks_at && !(++applied % loses))
		return;
	if (entry->op == RECORD_WRITE)
		memcpy(disk + entry->offset, entry + 1, entry->size);
	else if (entry->op == RECORD_ZERO)
		memset(disk + entry->offset, 0, entry->size);
}

/* With holes. */
static void write_work(const uint8_t *disk)
{
	static const uint8_t zeroes[HOLE];
	int fd = open(work, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	uint64_t at;

	if (fd < 0 || ftruncate(fd, image_size))
		die(work);
	for (at = 0; at < image_size; at += HOLE) {
		uint64_t size = image_size - at < HOLE ? image_size - at : HOLE;

		if (memcmp(disk + at, zeroes, size) &&
		    pwrite(fd, disk + at, size, at) != (ssize_t)size)
			die(work);
	}
	close(fd);
}

static void check(const uint8_t *disk)
{
	char number[32];
	char *words;

	write_work(disk);
	snprintf(number, sizeof(number), "%llu", (unsigned long long)acknowledged);
	if (asprintf(&words, "set -- %s %s; %s", work, number, command) < 0)
		die("asprintf");
	if (system(words)) {
		fprintf(stderr, "replay: not good, with %s records noted\n", number);
		exit(1);
	}
	free(words);
}

static void look_for_ack(const struct record_entry *entry)
{
	uint64_t words[2];

	if (entry->op != RECORD_WRITE || entry->offset != acks_at || entry->size < sizeof(words))
		return;
	memcpy(words, entry + 1, sizeof(words));
	if (!memcmp(words, "hullack", 8))
		acknowledged = words[1];
}

static const struct record_entry *next(const struct record_entry *entry)
{
	uint32_t data = entry->op == RECORD_WRITE ? entry->size : 0;

	return (const void *)((const uint8_t *)(entry + 1) + data);
}

static void check_flush(const struct record_entry *first, const void *end)
{
	const struct record_entry *entry;

	memcpy(copy, image, image_size);
	for (entry = first; (const void *)entry < end && entry->op != RECORD_FLUSH;
	     entry = next(entry)) {
		look_for_ack(entry);
		if (random() & 1)
			apply(copy, entry);
	}
	check(image);
	check(copy);
}

int main(int argc, char **argv)
{
	const uint8_t *base, *record;
	const struct record_entry *entry;
	uint64_t size, flushes = 0, writes = 0;

	if (argc != 7)
		return fprintf(stderr, "replay: wrong usage\n"), 2;
	base = map(argv[1], &image_size);
	record = map(argv[2], &size);
	work = argv[3];
	acks_at = strtoull(argv[4], NULL, 0);
	srandom(strtoul(argv[5], NULL, 0));
	command = argv[6];
	if (getenv("REPLAY_LOSES"))
		loses = strtoul(getenv("REPLAY_LOSES"), NULL, 0);
	image = malloc(image_size);
	copy = malloc(image_size);
	memcpy(image, base, image_size);
	check_flush((const void *)record, record + size);
	for (entry = (const void *)record; (const uint8_t *)entry < record + size;
	     entry = next(entry)) {
		if (entry->magic != RECORD_MAGIC || entry->offset > image_size ||
		    entry->size > image_size - entry->offset)
			return fprintf(stderr, "replay: this is no record\n"), 2;
		apply(image, entry);
		writes += entry->op != RECORD_FLUSH;
		if (entry->op != RECORD_FLUSH)
			continue;
		flushes++;
		check_flush(next(entry), record + size);
	}
	printf("%llu flushes, %llu writes, %llu records noted: good at each\n",
	       (unsigned long long)flushes, (unsigned long long)writes,
	       (unsigned long long)acknowledged);
	return 0;
}
