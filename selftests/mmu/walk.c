// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of the walker of the guest's page tables: cases with known answers (cases.c), all
 * combinations of rights (rights.c), then random
 * tables against a second implementation (random.c, reference.c).
 */
#include "test.h"

void report(bool ok, const char *name)
{
	ktap_result(ok, name);
}

int main(void)
{
	ktap_begin(CASES + RIGHTS + RANDOMS);
	run_cases();
	run_rights();
	run_random(seed_from_env());
	return ktap_end();
}
