/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The choice of VM execution, exit and entry controls, in pure code, from what a CPU allows.
 */
#ifndef HULL_VMX_CONTROLS_H
#define HULL_VMX_CONTROLS_H

#include "check.h"

/**
 * struct vmx_control_word - what hull wants of a word of control bits
 * @name: the manual's
 * @must: without these no guest runs
 * @may: taken where offered
 * @later: these come and go: they must be possible and are clear to begin with
 * @shadow: must be possible, for shadow paging; where they cannot be cleared there is no other
 */
struct vmx_control_word {
	const char *name;
	u32 must, may, later, shadow;
};

extern const struct vmx_control_word vmx_control_words[VMX_CONTROLS];

/**
 * struct vmx_shortage - why a CPU will not do
 * @word: name of the word
 * @which: the word
 * @missing: bits of it that can only be 0
 * @stuck: bits of it that can only be 1
 */
struct vmx_shortage {
	const char *word;
	enum vmx_control which;
	u32 missing, stuck;
};

/**
 * vmx_choose_controls - what VMCSs start with
 * @allowed: as in struct vmx_caps
 * @controls: written when the answer is true
 * @shortage: written when it is false: of the first word that will not do
 *
 * Without EPT and unrestricted guests in @controls there is shadow paging only; without loading of
 * EFER it goes by lists of MSRs. Bits of which hull knows nothing are as the CPU wants them.
 */
bool vmx_choose_controls(const u64 allowed[VMX_CONTROLS], u32 controls[VMX_CONTROLS],
			 struct vmx_shortage *shortage);

#endif
