// SPDX-License-Identifier: GPL-2.0
/*
 * libFuzzer on the decoder: no byte string may make it read beyond what it was
 * given, contradict itself, or hand out values that others index with.
 */
#include "../../kmod/emulate/internal.h"
#include <stdlib.h>

#define REQUIRE(cond) do { if (!(cond)) abort(); } while (0)

static void check_fields(const struct hull_insn *insn, unsigned int n)
{
	REQUIRE(insn->length >= 1 && insn->length <= HULL_INSN_MAX && insn->length <= n);
	REQUIRE(insn->op < HULL_OP_COUNT);
	REQUIRE(insn->reg < 16 && insn->rm < 16 && insn->segment < HULL_NSEGS);
	REQUIRE(insn->base < 16 || insn->base == HULL_REG_NONE);
	REQUIRE(insn->index < 16 || insn->index == HULL_REG_NONE);
	REQUIRE(insn->opsize >= 1 && insn->opsize <= 16 && insn->adsize >= 2);
	REQUIRE(insn->mode == HULL_MODE_64 || (!insn->rex && !insn->rip_relative));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct hull_insn insn, again;
	unsigned int mode, n;
	u8 *exact;
	int ret;

	if (size < 1)
		return 0;
	mode = data[0] % 3;
	n = size - 1 < 20 ? size - 1 : 20;
	/* A copy of exactly this size, so that ASan sees the smallest overrun. */
	exact = malloc(n ? n : 1);
	memcpy(exact, data + 1, n);
	ret = hull_insn_decode(&insn, mode, exact, n);
	REQUIRE(!ret || ret == -EAGAIN || ret == -EINVAL || ret == -E2BIG);
	if (!ret) {
		check_fields(&insn, n);
		/* Bytes behind the instruction have no influence. */
		REQUIRE(!hull_insn_decode(&again, mode, exact, insn.length));
		REQUIRE(!memcmp(&insn, &again, sizeof(insn)));
		if (insn.length > 1)
			REQUIRE(hull_insn_decode(&again, mode, exact, insn.length - 1) == -EAGAIN);
		REQUIRE(hull_insn_length_of(insn.op, mode, exact, n) == insn.length);
	} else if (ret == -EAGAIN) {
		REQUIRE(n < HULL_INSN_MAX);
	}
	free(exact);
	return 0;
}
