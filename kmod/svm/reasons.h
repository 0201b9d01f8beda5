/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The table of exit codes that close the window, apart from exits.c, which has a case for each of
 * the others, for its tests in user space. Pure: plain data.
 */
#ifndef HULL_SVM_REASONS_H
#define HULL_SVM_REASONS_H

#include <asm/svm.h>

#include "../backend.h"

/* From code @first to @last: what the exit is called outside, and what it counts as. */
struct svm_slow_exit {
	u32 first, last;
	u8 kind;
	u8 stat;
};

static const struct svm_slow_exit svm_slow_exits[] = {
	{ SVM_EXIT_READ_DR0, SVM_EXIT_WRITE_DR0 + 15, HULL_X_DR, HULL_STAT_CONTROL },
	{ SVM_EXIT_XSETBV, SVM_EXIT_XSETBV, HULL_X_XSETBV, HULL_STAT_CONTROL },
	{ SVM_EXIT_INVD, SVM_EXIT_INVD, HULL_X_CACHE, HULL_STAT_INVALIDATE },
	{ SVM_EXIT_WBINVD, SVM_EXIT_WBINVD, HULL_X_CACHE, HULL_STAT_INVALIDATE },
	{ SVM_EXIT_SHUTDOWN, SVM_EXIT_SHUTDOWN, HULL_X_TRIPLE_FAULT, HULL_STAT_OTHER },
	{ SVM_EXIT_INIT, SVM_EXIT_INIT, HULL_X_INIT, HULL_STAT_OTHER },
	{ SVM_EXIT_TASK_SWITCH, SVM_EXIT_TASK_SWITCH, HULL_X_TASK_SWITCH, HULL_STAT_OTHER },
	{ SVM_EXIT_RDPMC, SVM_EXIT_RDPMC, HULL_X_GP, HULL_STAT_OTHER },
	{ SVM_EXIT_VMRUN, SVM_EXIT_VMRUN, HULL_X_UD, HULL_STAT_VIRT_INSN },
	{ SVM_EXIT_VMLOAD, SVM_EXIT_SKINIT, HULL_X_UD, HULL_STAT_VIRT_INSN },
	{ SVM_EXIT_INVLPGA, SVM_EXIT_INVLPGA, HULL_X_UD, HULL_STAT_VIRT_INSN },
	{ SVM_EXIT_INVPCID, SVM_EXIT_INVPCID, HULL_X_UD, HULL_STAT_OTHER },
	{ SVM_EXIT_RDTSCP, SVM_EXIT_RDTSCP, HULL_X_UD, HULL_STAT_OTHER },
	{ SVM_EXIT_MONITOR, SVM_EXIT_MWAIT_COND, HULL_X_UD, HULL_STAT_OTHER },
	{ SVM_EXIT_RDPRU, SVM_EXIT_RDPRU, HULL_X_UD, HULL_STAT_OTHER },
	{ SVM_EXIT_RSM, SVM_EXIT_RSM, HULL_X_UD, HULL_STAT_OTHER },
	{ (u32)SVM_EXIT_ERR, (u32)SVM_EXIT_ERR, HULL_X_BAD_STATE, HULL_STAT_OTHER },
};

/* NULL: the code means nothing to hull. */
static inline const struct svm_slow_exit *svm_find_slow_exit(u32 code)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(svm_slow_exits); i++) {
		if (code >= svm_slow_exits[i].first && code <= svm_slow_exits[i].last)
			return &svm_slow_exits[i];
	}
	return NULL;
}

#endif
