// SPDX-License-Identifier: GPL-2.0
/*
 * Runs a command whose program is first.c, and prints "SEEN IDLE TICKS": nanoseconds from before the
 * command was executed to the moment its line was read here; how many of them the only CPU was
 * idle; what the program's counter said. Under icount a nanosecond is an instruction.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ULL + time.tv_nsec;
}

static uint64_t idle(void)
{
	FILE *file = fopen("/proc/timer_list", "r");
	uint64_t sum = 0, value;
	char line[256];

	if (!file)
		die("/proc/timer_list");
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, " .idle_sleeptime : %" SCNu64, &value) == 1 ||
		    sscanf(line, " .iowait_sleeptime : %" SCNu64, &value) == 1)
			sum += value;
	fclose(file);
	return sum;
}

static pid_t start(char **command, int *out)
{
	int fd[2];
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC))
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		dup2(fd[1], STDOUT_FILENO);
		execvp(command[0], command);
		die(command[0]);
	}
	close(fd[1]);
	*out = fd[0];
	return pid;
}

int main(int argc, char **argv)
{
	uint64_t begin, seen = 0, ticks = 0, idle_before, idle_after = 0;
	char line[1024], *at;
	FILE *file;
	int out, status;
	pid_t pid;

	if (argc < 2)
		return 2;
	idle_before = idle();
	begin = now();
	pid = start(argv + 1, &out);
	file = fdopen(out, "r");
	while (file && fgets(line, sizeof(line), file)) {
		at = strstr(line, "hull-first: ");
		if (!seen && at && sscanf(at, "hull-first: %" SCNu64, &ticks) == 1) {
			seen = now();
			idle_after = idle();
		}
	}
	waitpid(pid, &status, 0);
	if (!seen) {
		fprintf(stderr, "%s: the program did not run\n", argv[1]);
		return 1;
	}
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", seen - begin, idle_after - idle_before, ticks);
	return 0;
}
