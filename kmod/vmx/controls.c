// SPDX-License-Identifier: GPL-2.0
/*
 * The controls that hull runs guests with, as a table, and what a CPU makes of it. Pure: no state,
 * no lock, no MSR is read here (see caps.c).
 */
#include <linux/bits.h>
#include <asm/vmx.h>

#include "controls.h"

const struct vmx_control_word vmx_control_words[VMX_CONTROLS] = {
	[VMX_PIN] = {
		.name = "pin-based",
		.must = PIN_BASED_EXT_INTR_MASK | PIN_BASED_NMI_EXITING | PIN_BASED_VIRTUAL_NMIS,
		.may = PIN_BASED_VMX_PREEMPTION_TIMER,
	},
	[VMX_CPU] = {
		.name = "processor-based",
		.must = CPU_BASED_USE_TSC_OFFSETTING | CPU_BASED_HLT_EXITING |
			CPU_BASED_MWAIT_EXITING | CPU_BASED_RDPMC_EXITING |
			CPU_BASED_CR8_LOAD_EXITING | CPU_BASED_CR8_STORE_EXITING |
			CPU_BASED_MOV_DR_EXITING | CPU_BASED_UNCOND_IO_EXITING |
			CPU_BASED_USE_MSR_BITMAPS | CPU_BASED_MONITOR_EXITING,
		.may = CPU_BASED_ACTIVATE_SECONDARY_CONTROLS,
		.later = CPU_BASED_INTR_WINDOW_EXITING | CPU_BASED_NMI_WINDOW_EXITING,
		.shadow = VMX_SHADOW_EXITING,
	},
	[VMX_CPU2] = {
		.name = "secondary processor-based",
		.may = VMX_NESTED | SECONDARY_EXEC_WBINVD_EXITING | SECONDARY_EXEC_ENABLE_VPID |
		       SECONDARY_EXEC_ENCLS_EXITING,
	},
	[VMX_EXIT] = {
		.name = "exit",
		.must = VM_EXIT_HOST_ADDR_SPACE_SIZE,
		.may = VM_EXIT_LOAD_IA32_EFER,
	},
	[VMX_ENTRY] = {
		.name = "entry",
		.must = VM_ENTRY_LOAD_DEBUG_CONTROLS,
		.may = VM_ENTRY_LOAD_IA32_EFER,
		.later = VM_ENTRY_IA32E_MODE,
	},
};

/* What goes together, or not at all. */
static void drop_halves(const u64 allowed[VMX_CONTROLS], u32 controls[VMX_CONTROLS])
{
	const bool stuck = allowed[VMX_CPU] & vmx_control_words[VMX_CPU].shadow;

	if (!(controls[VMX_CPU] & CPU_BASED_ACTIVATE_SECONDARY_CONTROLS))
		controls[VMX_CPU2] = 0;
	/* With nested paging a guest loads CR3 without an exit. */
	if ((controls[VMX_CPU2] & VMX_NESTED) != VMX_NESTED || stuck)
		controls[VMX_CPU2] &= ~VMX_NESTED;
	if (!vmx_loads_efer(allowed)) {
		controls[VMX_EXIT] &= ~VM_EXIT_LOAD_IA32_EFER;
		controls[VMX_ENTRY] &= ~VM_ENTRY_LOAD_IA32_EFER;
	}
}

bool vmx_choose_controls(const u64 allowed[VMX_CONTROLS], u32 controls[VMX_CONTROLS],
			 struct vmx_shortage *shortage)
{
	int i;

	for (i = 0; i < VMX_CONTROLS; i++) {
		const struct vmx_control_word *word = &vmx_control_words[i];
		u32 one = allowed[i], may = allowed[i] >> 32;

		*shortage = (struct vmx_shortage){
			.word = word->name, .which = i,
			.missing = (word->must | word->later | word->shadow) & ~may,
			.stuck = word->later & one,
		};
		if (shortage->missing || shortage->stuck)
			return false;
	}
	for (i = 0; i < VMX_CONTROLS; i++) {
		const struct vmx_control_word *word = &vmx_control_words[i];

		controls[i] = word->must | (word->may & (allowed[i] >> 32)) | (u32)allowed[i];
	}
	drop_halves(allowed, controls);
	return true;
}
