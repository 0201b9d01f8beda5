// SPDX-License-Identifier: GPL-2.0
/*
 * The tables of exit reasons against the manuals' lists: each is known for what it is, or ends the
 * VM as unknown.
 */
#include "test.h"
#include "svm/reasons.h"
#include "vmx/reasons.h"

/* ---- VMX ------------------------------------------------------------------------------------ */

/* What is expected of a reason: a kind, or these. */
enum { OWN_CASE = 0x80, UNKNOWN };

/**
 * struct reason - by the manual's number
 * @header: the kernel's name for it, where it has one
 * @kind: enum hull_exit_kind, OWN_CASE or UNKNOWN
 * @why_unknown: how it cannot happen
 */
struct reason {
	u32 number, header;
	u8 kind, stat;
	const char *why_unknown;
};

#define KNOWN(number, name, kind, stat)	{ number, EXIT_REASON_##name, HULL_X_##kind, \
					  HULL_STAT_##stat, NULL }
#define NEVER(number, why)		{ number, number, UNKNOWN, HULL_STAT_OTHER, why }

static const struct reason manual[] = {
	{ 0, EXIT_REASON_EXCEPTION_NMI, OWN_CASE, 0, NULL },
	KNOWN(1, EXTERNAL_INTERRUPT, NONE, INTERRUPT),
	KNOWN(2, TRIPLE_FAULT, TRIPLE_FAULT, OTHER),
	KNOWN(3, INIT_SIGNAL, INIT, OTHER),
	NEVER(4, "SIPI: the activity state is never wait-for-SIPI"),
	KNOWN(5, SMI_IO, NONE, INTERRUPT),
	KNOWN(6, SMI, NONE, INTERRUPT),
	KNOWN(7, INTERRUPT_WINDOW, NONE, WINDOW),
	KNOWN(8, NMI_WINDOW, NONE, WINDOW),
	KNOWN(9, TASK_SWITCH, TASK_SWITCH, OTHER),
	KNOWN(10, CPUID, CPUID, CPUID),
	KNOWN(11, GETSEC, UD, OTHER),
	KNOWN(12, HLT, HLT, HLT),
	KNOWN(13, INVD, CACHE, INVALIDATE),
	KNOWN(14, INVLPG, INVLPG, INVALIDATE),
	KNOWN(15, RDPMC, GP, OTHER),
	NEVER(16, "RDTSC: a control"),
	KNOWN(17, RSM, UD, OTHER),
	KNOWN(18, VMCALL, HYPERCALL, HYPERCALL),
	KNOWN(19, VMCLEAR, UD, VIRT_INSN),
	KNOWN(20, VMLAUNCH, UD, VIRT_INSN),
	KNOWN(21, VMPTRLD, UD, VIRT_INSN),
	KNOWN(22, VMPTRST, UD, VIRT_INSN),
	KNOWN(23, VMREAD, UD, VIRT_INSN),
	KNOWN(24, VMRESUME, UD, VIRT_INSN),
	KNOWN(25, VMWRITE, UD, VIRT_INSN),
	KNOWN(26, VMOFF, UD, VIRT_INSN),
	KNOWN(27, VMON, UD, VIRT_INSN),
	KNOWN(28, CR_ACCESS, CR, CONTROL),
	KNOWN(29, DR_ACCESS, DR, CONTROL),
	KNOWN(30, IO_INSTRUCTION, PORT, PORT),
	KNOWN(31, MSR_READ, MSR, MSR),
	KNOWN(32, MSR_WRITE, MSR, MSR),
	NEVER(33, "a failed entry, guest state: looked at before the table"),
	NEVER(34, "a failed entry, MSRs: looked at before the table"),
	NEVER(35, "not defined"),
	KNOWN(36, MWAIT_INSTRUCTION, UD, OTHER),
	NEVER(37, "monitor trap flag: a control"),
	NEVER(38, "not defined"),
	KNOWN(39, MONITOR_INSTRUCTION, UD, OTHER),
	KNOWN(40, PAUSE_INSTRUCTION, PAUSE, PAUSE),
	NEVER(41, "a failed entry, machine check: looked at before the table"),
	NEVER(42, "not defined"),
	NEVER(43, "TPR below threshold: a control"),
	NEVER(44, "APIC access: a control"),
	NEVER(45, "virtualized EOI: a control"),
	NEVER(46, "GDTR or IDTR: a control"),
	NEVER(47, "LDTR or TR: a control"),
	KNOWN(48, EPT_VIOLATION, MEMORY, MEMORY_FAULT),
	KNOWN(49, EPT_MISCONFIG, BAD_STATE, OTHER),
	KNOWN(50, INVEPT, UD, VIRT_INSN),
	KNOWN(51, RDTSCP, UD, OTHER),
	KNOWN(52, PREEMPTION_TIMER, NONE, INTERRUPT),
	KNOWN(53, INVVPID, UD, VIRT_INSN),
	KNOWN(54, WBINVD, CACHE, INVALIDATE),
	KNOWN(55, XSETBV, XSETBV, CONTROL),
	NEVER(56, "APIC write: a control"),
	NEVER(57, "RDRAND: a control"),
	KNOWN(58, INVPCID, UD, OTHER),
	KNOWN(59, VMFUNC, UD, VIRT_INSN),
	KNOWN(60, ENCLS, UD, OTHER),
	NEVER(61, "RDSEED: a control"),
	NEVER(62, "page-modification log: a control"),
	NEVER(63, "XSAVES: a control"),
	NEVER(64, "XRSTORS: a control"),
	NEVER(65, "PCONFIG: a control"),
	NEVER(66, "sub-page permissions: a control"),
	NEVER(67, "UMWAIT: a control"),
	NEVER(68, "TPAUSE: a control"),
	NEVER(69, "LOADIWKEY: a control"),
	NEVER(70, "ENCLV: a control"),
	NEVER(71, "not defined"),
	NEVER(72, "ENQCMD: a control"),
	NEVER(73, "ENQCMDS: a control"),
	NEVER(74, "bus lock: a control"),
	NEVER(75, "notify window: a control"),
	KNOWN(76, SEAMCALL, UD, VIRT_INSN),
	KNOWN(77, TDCALL, UD, VIRT_INSN),
	NEVER(78, "not defined"),
	NEVER(79, "not defined"),
	NEVER(80, "not defined"),
	NEVER(81, "not defined"),
	NEVER(82, "not defined"),
	NEVER(83, "not defined"),
	KNOWN(84, MSR_READ_IMM, UD, OTHER),
	KNOWN(85, MSR_WRITE_IMM, UD, OTHER),
};

/* As in exits.c. */
static bool is_known(u32 reason)
{
	return reason < ARRAY_SIZE(vmx_reasons) && vmx_reasons[reason].known;
}

bool vmx_reasons_are_the_manuals(void)
{
	bool ok = true;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(manual); i++) {
		const struct reason *reason = &manual[i];

		if (reason->number != i || reason->header != i)
			ok = complain("reason %zu is %u to the test and %u to the kernel's header",
				      i, reason->number, reason->header);
		if (reason->kind >= OWN_CASE && is_known(i))
			ok = complain("reason %zu is known: %s", i,
				      reason->why_unknown ?: "it has its own case");
		if (reason->kind < OWN_CASE &&
		    (!is_known(i) || vmx_reasons[i].kind != reason->kind ||
		     vmx_reasons[i].stat != reason->stat))
			ok = complain("reason %zu is not what it should be", i);
	}
	return ok;
}

bool vmx_reasons_past_the_end(void)
{
	bool ok = ARRAY_SIZE(vmx_reasons) <= ARRAY_SIZE(manual);
	u64 reason;

	for (reason = ARRAY_SIZE(manual); reason < 0x20000; reason++) {
		if (is_known(reason))
			ok = complain("reason %llu is known", (unsigned long long)reason);
	}
	return ok && !is_known(~0U) && !is_known(BIT(31)) && !is_known(BIT(29) | 10);
}

/* ---- SVM ------------------------------------------------------------------------------------ */

/* Codes from first to last by the manual, @kind as above. */
static const struct svm_slow_exit codes[] = {
	{ 0x00, 0x1f, OWN_CASE, 0 },		/* control registers */
	{ 0x20, 0x3f, HULL_X_DR, HULL_STAT_CONTROL },
	{ 0x40, 0x5f, OWN_CASE, 0 },		/* exceptions */
	{ 0x60, 0x62, OWN_CASE, 0 },		/* interrupt, NMI, SMI */
	{ 0x63, 0x63, HULL_X_INIT, HULL_STAT_OTHER },
	{ 0x64, 0x64, OWN_CASE, 0 },		/* virtual interrupt */
	{ 0x65, 0x6e, UNKNOWN, 0 },		/* selective CR0, descriptor tables, RDTSC */
	{ 0x6f, 0x6f, HULL_X_GP, HULL_STAT_OTHER },	/* RDPMC */
	{ 0x70, 0x71, UNKNOWN, 0 },		/* PUSHF, POPF */
	{ 0x72, 0x72, OWN_CASE, 0 },		/* CPUID */
	{ 0x73, 0x73, HULL_X_UD, HULL_STAT_OTHER },	/* RSM */
	{ 0x74, 0x74, OWN_CASE, 0 },		/* IRET */
	{ 0x75, 0x75, UNKNOWN, 0 },		/* INT n */
	{ 0x76, 0x76, HULL_X_CACHE, HULL_STAT_INVALIDATE },	/* INVD */
	{ 0x77, 0x77, UNKNOWN, 0 },		/* PAUSE */
	{ 0x78, 0x79, OWN_CASE, 0 },		/* HLT, INVLPG: shadow paging's */
	{ 0x7a, 0x7a, HULL_X_UD, HULL_STAT_VIRT_INSN },	/* INVLPGA */
	{ 0x7b, 0x7c, OWN_CASE, 0 },		/* ports, MSRs */
	{ 0x7d, 0x7d, HULL_X_TASK_SWITCH, HULL_STAT_OTHER },
	{ 0x7e, 0x7e, UNKNOWN, 0 },		/* FERR */
	{ 0x7f, 0x7f, HULL_X_TRIPLE_FAULT, HULL_STAT_OTHER },
	{ 0x80, 0x80, HULL_X_UD, HULL_STAT_VIRT_INSN },	/* VMRUN */
	{ 0x81, 0x81, OWN_CASE, 0 },		/* VMMCALL */
	{ 0x82, 0x86, HULL_X_UD, HULL_STAT_VIRT_INSN },	/* VMLOAD to SKINIT */
	{ 0x87, 0x87, HULL_X_UD, HULL_STAT_OTHER },	/* RDTSCP */
	{ 0x88, 0x88, UNKNOWN, 0 },		/* ICEBP */
	{ 0x89, 0x89, HULL_X_CACHE, HULL_STAT_INVALIDATE },	/* WBINVD */
	{ 0x8a, 0x8c, HULL_X_UD, HULL_STAT_OTHER },	/* MONITOR, MWAIT */
	{ 0x8d, 0x8d, HULL_X_XSETBV, HULL_STAT_CONTROL },
	{ 0x8e, 0x8e, HULL_X_UD, HULL_STAT_OTHER },	/* RDPRU */
	{ 0x8f, 0x9f, UNKNOWN, 0 },		/* traps after EFER and CRs were written */
	{ 0xa0, 0xa1, UNKNOWN, 0 },		/* INVLPGB */
	{ 0xa2, 0xa2, HULL_X_UD, HULL_STAT_OTHER },	/* INVPCID */
	{ 0xa3, 0x3ff, UNKNOWN, 0 },		/* MCOMMIT, TLBSYNC; not defined */
	{ 0x400, 0x400, OWN_CASE, 0 },		/* nested page fault */
	{ 0x401, 0xfffffffe, UNKNOWN, 0 },	/* AVIC, VMGEXIT; not defined; BUSY */
	{ 0xffffffff, 0xffffffff, HULL_X_BAD_STATE, HULL_STAT_OTHER },
};

static bool check_code(const struct svm_slow_exit *expected, u32 code)
{
	const struct svm_slow_exit *slow = svm_find_slow_exit(code);

	if (expected->kind >= OWN_CASE ? !slow :
	    slow && slow->kind == expected->kind && slow->stat == expected->stat)
		return true;
	return complain("code %#x is %s", code, slow ? "known as something else" : "not known");
}

bool svm_codes_are_the_manuals(void)
{
	bool ok = true;
	u32 next = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(codes); i++) {
		u32 code, end = codes[i].last;

		if (codes[i].first != next)
			ok = complain("code %#x is not in the test's list", next);
		next = codes[i].last + 1;
		if (end - codes[i].first > 0x10000)
			end = codes[i].first + 0x10000;
		for (code = codes[i].first; ; code++) {
			ok &= check_code(&codes[i], code);
			if (code == end)
				break;
		}
		ok &= check_code(&codes[i], codes[i].last);
	}
	/* Where ranges overlap, the second one would never be found. */
	for (i = 0; i < ARRAY_SIZE(svm_slow_exits); i++) {
		if (svm_find_slow_exit(svm_slow_exits[i].first) != &svm_slow_exits[i] ||
		    svm_find_slow_exit(svm_slow_exits[i].last) != &svm_slow_exits[i])
			ok = complain("row %zu of the table hides behind another", i);
	}
	return ok && !next;
}
