// SPDX-License-Identifier: GPL-2.0
/*
 * What a Linux guest's processes do all day, in loops: /init of the guests of scripts/bench-linux.
 * Those that use devices are in guest_io.c.
 *
 * The kernel passes loops=NAME,NAME... of its command line on as a variable of the environment
 * (none: no loop). For each it prints "hull-bench: NAME ROUNDS TICKS", where ticks of the
 * time-stamp counter are instructions under icount, the host's included; then it powers off.
 * Each loop runs first without being measured, so that the memory it works on is there.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#include "guest.h"

#define PAGE		4096UL
#define MAP_PAGES	64UL
#define FRESH_PAGES	512UL

void die(const char *what)
{
	perror(what);
	printf("hull-bench: failed\n");
	reboot(RB_POWER_OFF);
	exit(1);
}

/* Address space without huge pages, which would take the place of many faults. */
static volatile char *map(unsigned long pages)
{
	char *at = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);

	if (at == MAP_FAILED || madvise(at, pages * PAGE, MADV_NOHUGEPAGE))
		die("mmap");
	return at;
}

static void touch(volatile char *at, unsigned long pages)
{
	unsigned long i;

	for (i = 0; i < pages; i++)
		at[i * PAGE] = 1;
}

static void unmap(volatile char *at, unsigned long pages)
{
	if (munmap((void *)at, pages * PAGE))
		die("munmap");
}

/* fork(), in the child the program or nothing, and wait. */
static void child(const char *program)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		if (program)
			execl(program, program, NULL);
		_exit(program ? 1 : 0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		die("child");
}

static uint64_t loop_fork(unsigned int rounds)
{
	uint64_t start = __rdtsc();

	while (rounds--)
		child(NULL);
	return __rdtsc() - start;
}

static uint64_t loop_exec(unsigned int rounds)
{
	uint64_t start = __rdtsc();

	while (rounds--)
		child("/nothing");
	return __rdtsc() - start;
}

static uint64_t loop_mmap(unsigned int rounds)
{
	uint64_t start = __rdtsc();

	while (rounds--) {
		volatile char *at = map(MAP_PAGES);

		touch(at, MAP_PAGES);
		unmap(at, MAP_PAGES);
	}
	return __rdtsc() - start;
}

/* A round is one page; mapping and unmapping are not measured. */
static uint64_t loop_fault(unsigned int rounds)
{
	uint64_t sum = 0;

	for (; rounds; rounds -= FRESH_PAGES) {
		volatile char *at = map(FRESH_PAGES);
		uint64_t start = __rdtsc();

		touch(at, FRESH_PAGES);
		sum += __rdtsc() - start;
		unmap(at, FRESH_PAGES);
	}
	return sum;
}

static void pass(int from, int to, unsigned int times)
{
	char byte = 0;

	while (times--) {
		if (read(from, &byte, 1) != 1 || write(to, &byte, 1) != 1)
			die("pipe");
	}
}

/* Two processes send each other a byte in turn; a round is one switch from one to the other. */
static uint64_t loop_switch(unsigned int rounds)
{
	int there[2], back[2], status;
	uint64_t start;
	pid_t pid;

	if (pipe(there) || pipe(back))
		die("pipe");
	pid = fork();
	if (!pid) {
		pass(there[0], back[1], rounds / 2);
		_exit(0);
	}
	if (pid < 0 || write(there[1], "", 1) != 1)
		die("fork");
	start = __rdtsc();
	pass(back[0], there[1], rounds / 2);
	start = __rdtsc() - start;
	if (waitpid(pid, &status, 0) != pid || status)
		die("child");
	close(there[0]);
	close(there[1]);
	close(back[0]);
	close(back[1]);
	return start;
}

static const struct {
	const char *name;
	uint64_t (*run)(unsigned int rounds);
	unsigned int rounds;
} loops[] = {
	{ "fork", loop_fork, 300 },
	{ "exec", loop_exec, 200 },
	{ "mmap", loop_mmap, 200 },
	{ "fault", loop_fault, 8 * FRESH_PAGES },
	{ "switch", loop_switch, 2000 },
	{ "read", loop_read, 1000 },
	{ "write", loop_write, 500 },
	{ "answer", loop_answer, 1000 },
	{ "send", loop_send, 2000 },
};

/* True: NAME is in the list of the environment, between commas. */
static int wanted(const char *name)
{
	const char *list = getenv("loops");
	size_t length = strlen(name);

	for (; list && *list; list = strchr(list, ',') ? strchr(list, ',') + 1 : NULL) {
		if (!strncmp(list, name, length) && (!list[length] || list[length] == ','))
			return 1;
	}
	return 0;
}

int main(void)
{
	unsigned int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	start_devices();
	for (i = 0; i < sizeof(loops) / sizeof(loops[0]); i++) {
		if (!wanted(loops[i].name))
			continue;
		loops[i].run(loops[i].rounds);
		printf("hull-bench: %s %u %llu\n", loops[i].name, loops[i].rounds,
		       (unsigned long long)loops[i].run(loops[i].rounds));
	}
	printf("hull-bench: done\n");
	reboot(RB_POWER_OFF);
	die("power off");
}
