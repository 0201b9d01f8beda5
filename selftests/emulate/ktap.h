/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the emulator's test programs share: KTAP lines and a small
 * deterministic generator (xorshift64*), so that a printed seed repeats a run.
 */
#ifndef HULL_EMULATE_KTAP_H
#define HULL_EMULATE_KTAP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned int ktap_tests;
static unsigned int ktap_failed;

static inline void ktap_begin(unsigned int plan)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("KTAP version 1\n1..%u\n", plan);
}

static inline bool ktap_result(bool ok, const char *name)
{
	ktap_tests++;
	if (!ok)
		ktap_failed++;
	printf("%s %u %s\n", ok ? "ok" : "not ok", ktap_tests, name);
	return ok;
}

static inline void ktap_skip(const char *name, const char *reason)
{
	ktap_tests++;
	printf("ok %u %s # SKIP %s\n", ktap_tests, name, reason);
}

static inline int ktap_end(void)
{
	printf("# Totals: pass:%u fail:%u\n", ktap_tests - ktap_failed, ktap_failed);
	return ktap_failed ? 1 : 0;
}

static inline bool long_mode(void)
{
	const char *value = getenv("HULL_LONG");

	return value && *value && strcmp(value, "0");
}

static inline uint64_t seed_from_env(void)
{
	const char *value = getenv("HULL_SEED");
	uint64_t seed = value ? strtoull(value, NULL, 0) : 0x68756c6c00000001ULL;

	printf("# seed %#llx (HULL_SEED)\n", (unsigned long long)seed);
	return seed ? seed : 1;
}

static inline uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL;
}

#endif
