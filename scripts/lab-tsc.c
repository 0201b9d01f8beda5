// SPDX-License-Identifier: GPL-2.0
/*
 * lab-tsc - prints the frequency of this machine's time-stamp counter in kHz
 *
 * QEMU's guests have the same counter. A kernel measures it against a timer, which QEMU emulates:
 * when this machine is busy just then, the result is wrong by factors, and so is all time from then
 * on. Here both are read at once, and what took long is read again.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC_RAW, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/* The counter at *@ns, good to 5 microseconds unless the machine never lets it be. */
static uint64_t read_both(int64_t *ns)
{
	uint64_t counter;
	int64_t before, after;
	int tries = 1000;

	do {
		before = now();
		counter = __rdtsc();
		after = now();
	} while (after - before > 5000 && --tries);
	*ns = before;
	return counter;
}

int main(void)
{
	const struct timespec pause = { .tv_nsec = 50000000 };
	int64_t start, end;
	uint64_t first = read_both(&start), last;

	nanosleep(&pause, NULL);
	last = read_both(&end);
	printf("%.0f\n", (last - first) * 1e6 / (end - start));
	return 0;
}
