// SPDX-License-Identifier: GPL-2.0
/*
 * The same for kmod/svm/check.c: each rule, each intercept that protects the host, states on the
 * edge, random states against a second opinion.
 */
#include <asm/svm.h>

#include "test.h"
#include "texts.h"

#define TYPE	struct vmcb
#define ROOT	0x9000

/* ---- valid states --------------------------------------------------------------------------- */

/* What hull intercepts, by the manual's bit numbers: word and bit. */
static const u8 intercepts[] = {
	96 + 0, 96 + 1, 96 + 3,				/* INTR, NMI, INIT */
	96 + 18, 96 + 22, 96 + 24, 96 + 26,		/* CPUID, INVD, HLT, INVLPGA */
	96 + 27, 96 + 28, 96 + 31,			/* ports, MSRs, shutdown */
	128 + 0, 128 + 1, 128 + 2, 128 + 3, 128 + 4, 128 + 5, 128 + 6,	/* VMRUN to SKINIT */
	128 + 13,					/* XSETBV */
	128 + 9, 128 + 10, 128 + 11, 96 + 15,		/* WBINVD, MONITOR, MWAIT, RDPMC */
	16 + 0, 16 + 4,					/* writes of CR0, CR4 */
	64 + 1, 64 + 17, 64 + 18,			/* #DB, #AC, #MC */
};

/* CR3 read and write; INVLPG; #PF. */
static const u8 shadow_intercepts[] = { 3, 16 + 3, 96 + 25, 64 + 14 };

#define DEBUG_REGISTERS	32

static void intercept(struct vmcb *vmcb, unsigned int bit, bool on)
{
	if (on)
		vmcb->control.intercepts[bit / 32] |= BIT(bit % 32);
	else
		vmcb->control.intercepts[bit / 32] &= ~BIT(bit % 32);
}

static void set_control(struct vmcb *vmcb, enum paging paging)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(intercepts); i++)
		intercept(vmcb, intercepts[i], true);
	for (i = 0; i < 32; i++)
		intercept(vmcb, DEBUG_REGISTERS + i, true);
	vmcb->control.asid = 1;
	vmcb->control.int_ctl = V_INTR_MASKING_MASK;
	vmcb->control.iopm_base_pa = 0x4000;
	vmcb->control.msrpm_base_pa = 0x6000;
	if (paging == NESTED) {
		vmcb->control.misc_ctl = SVM_MISC_ENABLE_NP;
		vmcb->control.nested_cr3 = 0x7000;
		return;
	}
	for (i = 0; i < ARRAY_SIZE(shadow_intercepts); i++)
		intercept(vmcb, shadow_intercepts[i], true);
}

void make_vmcb(struct vmcb *vmcb, enum mode mode, enum paging paging)
{
	struct vmcb_save_area *save = &vmcb->save;

	memset(vmcb, 0, sizeof(*vmcb));
	set_control(vmcb, paging);
	save->cr0 = X86_CR0_ET | (mode == REAL ? 0 : X86_CR0_PE) |
		    (is_paging_mode(mode) ? X86_CR0_PG : 0);
	save->efer = EFER_SVME;
	if (mode == PAE || is_long_mode(mode))
		save->cr4 = X86_CR4_PAE;
	if (is_long_mode(mode))
		save->efer |= EFER_SCE | EFER_LME | EFER_LMA;
	if (paging == SHADOW) {
		save->cr0 |= X86_CR0_PG | X86_CR0_WP;
		save->cr4 |= X86_CR4_PAE;
		save->efer |= EFER_NX;
	}
	save->cr3 = ROOT;
	save->dr6 = 0xffff0ff0;
	save->dr7 = 0x400;
	save->rflags = X86_EFLAGS_FIXED | X86_EFLAGS_IF | (mode == V8086 ? X86_EFLAGS_VM : 0);
	save->cs.attrib = mode == LONG || mode == LONG_USER ? 0xa9b : 0xc9b;
	save->cpl = mode == USER || mode == LONG_USER || mode == V8086 ? 3 : 0;
	save->g_pat = 0x0007040600070406;
}

const char *svm_verdict(const struct vmcb *vmcb)
{
	return svm_check_control(vmcb, ASIDS) ?: svm_check_state(vmcb) ?:
	       svm_check_guest(vmcb, GPA_BITS);
}

/* ---- the rules ------------------------------------------------------------------------------ */

#define ALL	((1 << MODES) - 1)
#define IN(mode)	(1 << (mode))
#define LONGS	(IN(LONG) | IN(LONG_USER))
#define IA32E	(LONGS | IN(COMPATIBLE))
#define PAGING	(IN(PAGED) | IN(PAE) | IA32E | IN(V8086))

/* As in vmx_rules.c. */
struct rule {
	const char *text;
	u32 modes;
	bool nested, shadow;
	struct change change[2];
};

#define RULE(text, modes, ...)	{ text, modes, true, true, { __VA_ARGS__ } }
#define RULE_NESTED(text, modes, ...)	{ text, modes, true, false, { __VA_ARGS__ } }
#define RULE_SHADOW(text, modes, ...)	{ text, modes, false, true, { __VA_ARGS__ } }

#define NOT_IN_FORCE	"shadow tables are not in force"
#define UNKNOWN		"a feature is on of which hull knows nothing"
#define NO_PAT		"the PAT has a type that does not exist"
#define NO_MAP		"a permission map is not where one can be"
#define EVENT(type, vector)	(BIT(31) | (type) << 8 | (vector))

static const struct rule rules[] = {
	/* controls */
	RULE("the ASID is not one of the CPU's", ALL, SET(control.asid, 0)),
	RULE("the ASID is not one of the CPU's", ALL, SET(control.asid, ASIDS)),
	RULE("the guest's RFLAGS.IF would mask the host's interrupts", ALL,
	     OFF(control.int_ctl, V_INTR_MASKING_MASK)),
	RULE(NO_MAP, ALL, SET(control.iopm_base_pa, 0)),
	RULE(NO_MAP, ALL, SET(control.iopm_base_pa, 0x4800)),
	RULE(NO_MAP, ALL, SET(control.msrpm_base_pa, 0)),
	RULE(NO_MAP, ALL, SET(control.msrpm_base_pa, 0x6001)),
	RULE("an intercept that protects the host is clear", ALL,
	     OFF(control.intercepts[4], 1)),
	RULE("a debug register is not intercepted", ALL, OFF(control.intercepts[1], BIT(31))),
	RULE("clean bits are set, and nobody keeps track of them", ALL, SET(control.clean, 1)),
	RULE("clean bits are set, and nobody keeps track of them", ALL,
	     SET(control.clean, BIT(31))),
	RULE(UNKNOWN, ALL, ON(control.misc_ctl, 2)),
	RULE(UNKNOWN, ALL, ON(control.misc_ctl, 1ULL << 63)),
	RULE(UNKNOWN, ALL, ON(control.int_ctl, BIT(25))),
	RULE(UNKNOWN, ALL, ON(control.int_ctl, BIT(31))),
	RULE_NESTED("nested paging has no root", ALL, SET(control.nested_cr3, 0)),
	RULE_NESTED("nested paging has no root", ALL, SET(control.nested_cr3, 0x7010)),
	RULE_SHADOW("shadow paging has a root of nested paging", ALL,
		    SET(control.nested_cr3, 0x7000)),
	RULE_SHADOW("shadow paging has no root", ALL, SET(save.cr3, 0)),
	RULE_SHADOW("shadow paging has no root", ALL, SET(save.cr3, 0x9018)),
	RULE_SHADOW("the root of PAE paging is beyond 4 GiB", ALL & ~IA32E,
		    SET(save.cr3, 1ULL << 32)),
	RULE_SHADOW(NOT_IN_FORCE, ALL, OFF(save.cr0, X86_CR0_PG)),
	RULE_SHADOW(NOT_IN_FORCE, ALL, OFF(save.cr0, X86_CR0_WP)),
	RULE_SHADOW(NOT_IN_FORCE, ALL, OFF(save.cr4, X86_CR4_PAE)),
	RULE_SHADOW(NOT_IN_FORCE, ALL, OFF(save.efer, EFER_NX)),
	RULE_SHADOW("CR4.PCIDE is set, and roots carry no PCID", ALL,
		    ON(save.cr4, X86_CR4_PCIDE)),
	RULE_SHADOW("an intercept of shadow paging is clear", ALL,
		    OFF(control.intercepts[2], BIT(14))),

	/* registers */
	RULE("CR0.NW is set and CR0.CD is not", ALL, ON(save.cr0, X86_CR0_NW)),
	RULE("CR0 has high bits", ALL, ON(save.cr0, 1ULL << 32)),
	RULE("CR4 has reserved bits", ALL, ON(save.cr4, BIT(15))),
	RULE("CR4 has reserved bits", ALL, ON(save.cr4, X86_CR4_VMXE)),
	RULE("CR4 has reserved bits", ALL, ON(save.cr4, 1ULL << 63)),
	RULE("DR6 has high bits", ALL, ON(save.dr6, 1ULL << 32)),
	RULE("DR7 has high bits", ALL, ON(save.dr7, 1ULL << 32)),
	RULE_NESTED("CR0.PG is set and CR0.PE is not", PAGING, OFF(save.cr0, X86_CR0_PE)),
	RULE("EFER.SVME is clear", ALL, OFF(save.efer, EFER_SVME)),
	RULE("EFER has reserved bits", ALL, ON(save.efer, BIT(1))),
	RULE("EFER has reserved bits", ALL, ON(save.efer, 1ULL << 32)),
	RULE("EFER.LMA is not LME and PG", IA32E, OFF(save.efer, EFER_LMA)),
	RULE("EFER.LMA is not LME and PG", IA32E, OFF(save.efer, EFER_LME)),
	RULE("EFER.LMA is not LME and PG", ALL & ~IA32E, ON(save.efer, EFER_LMA)),
	RULE_NESTED("EFER.LMA is not LME and PG", PAGING & ~IA32E, ON(save.efer, EFER_LME)),
	RULE_NESTED("long mode without CR4.PAE", IA32E, OFF(save.cr4, X86_CR4_PAE)),
	RULE_SHADOW("long mode without CR0.PE", IA32E, OFF(save.cr0, X86_CR0_PE)),

	/* events */
	RULE("the injected exception has no such vector", ALL, SET(control.event_inj, EVENT(3, 2))),
	RULE("the injected exception has no such vector", ALL, SET(control.event_inj, EVENT(3, 31))),
	RULE("the injected exception has no such vector", ALL, SET(control.event_inj, EVENT(3, 255))),
	RULE("the injected event has no such type", ALL, SET(control.event_inj, EVENT(1, 3))),
	RULE("the injected event has no such type", ALL, SET(control.event_inj, EVENT(5, 3))),
	RULE("the injected event has no such type", ALL, SET(control.event_inj, EVENT(7, 3))),

	RULE_NESTED(NO_PAT, ALL, SET(save.g_pat, 0x0007040600070402)),
	RULE_NESTED(NO_PAT, ALL, SET(save.g_pat, 0x0307040600070406)),
	RULE_NESTED(NO_PAT, ALL, SET(save.g_pat, 0x0007080600070406)),
	RULE_NESTED(NO_PAT, ALL, ON(save.g_pat, 1ULL << 63)),

	/* what a guest changes by itself */
	RULE_NESTED("CR3 is beyond the physical address width", ALL,
		    ON(save.cr3, 1ULL << GPA_BITS)),
	RULE("RFLAGS bit 1 is clear", ALL, OFF(save.rflags, X86_EFLAGS_FIXED)),
	RULE("virtual-8086 mode in long mode", IA32E, ON(save.rflags, X86_EFLAGS_VM)),
	RULE("CS.L and CS.D are both set in long mode", IA32E, ON(save.cs.attrib, 0x600)),
	RULE("CPL is above 3", ALL, SET(save.cpl, 4)),
};

static const struct rule legal[] = {
	RULE(NULL, ALL, { }),
	RULE(NULL, ALL, SET(control.asid, ASIDS - 1)),
	RULE(NULL, ALL, ON(save.cr0, X86_CR0_NW | X86_CR0_CD)),
	RULE(NULL, ALL, SET(control.event_inj, 0x7fffffff)),
	RULE(NULL, ALL, SET(control.event_inj, EVENT(0, 255))),
	RULE(NULL, ALL, SET(control.event_inj, EVENT(2, 2))),
	RULE(NULL, ALL, SET(control.event_inj, EVENT(3, 30))),
	RULE(NULL, ALL & ~IA32E, ON(save.cs.attrib, 0x600)),
	RULE(NULL, ALL, SET(save.g_pat, 0x0705040100060606)),
	RULE_SHADOW(NULL, ALL, SET(save.g_pat, ~0ULL)),
	RULE(NULL, ALL, ON(control.int_ctl, V_IRQ_MASK | V_INTR_PRIO_MASK | V_IGN_TPR_MASK | 15)),
	RULE(NULL, ALL, SET(save.dr6, ~0U), SET(save.dr7, ~0U)),
	RULE_NESTED(NULL, ALL & ~PAGING, ON(save.efer, EFER_LME)),
	RULE_SHADOW(NULL, IA32E, SET(save.cr3, 1ULL << 45)),
	/* Paged real mode. */
	RULE_SHADOW(NULL, ALL & ~IA32E, OFF(save.cr0, X86_CR0_PE)),
};

/* ---- the tests ------------------------------------------------------------------------------ */

static bool expect(const struct vmcb *vmcb, enum mode mode, enum paging paging, const char *text)
{
	const char *broken = svm_verdict(vmcb);

	if (same_text(broken, text))
		return true;
	return complain("%s, %s paging: \"%s\", and not \"%s\"", mode_names[mode],
			paging == SHADOW ? "shadow" : "nested", broken ?: "legal", text ?: "legal");
}

static bool try_rules(const struct rule *table, size_t count)
{
	struct vmcb vmcb;
	bool ok = true;
	unsigned int n;
	size_t i;

	for (n = 0; n < count * MODES * PAGINGS; n++) {
		const struct rule *rule = &table[n / (MODES * PAGINGS)];
		enum mode mode = n / PAGINGS % MODES;
		enum paging paging = n % PAGINGS;

		if (!(rule->modes & IN(mode)) || !(paging == SHADOW ? rule->shadow : rule->nested))
			continue;
		make_vmcb(&vmcb, mode, paging);
		for (i = 0; i < ARRAY_SIZE(rule->change); i++)
			apply(&vmcb, &rule->change[i]);
		ok &= expect(&vmcb, mode, paging, rule->text);
	}
	return ok;
}

bool svm_valid_states(void)
{
	return try_rules(legal, ARRAY_SIZE(legal));
}

bool svm_each_rule(void)
{
	return try_rules(rules, ARRAY_SIZE(rules));
}

bool svm_each_text(void)
{
	const char *produced[ARRAY_SIZE(rules)];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rules); i++)
		produced[i] = rules[i].text;
	return all_produced(svm_texts, ARRAY_SIZE(svm_texts), produced, ARRAY_SIZE(produced));
}

static bool is_among(const u8 *list, size_t count, unsigned int bit)
{
	size_t i;

	for (i = 0; i < count && list[i] != bit; i++)
		;
	return i < count;
}

/* All others set, each bit alone clear: named when it protects, and only then. */
bool svm_each_intercept(void)
{
	struct vmcb vmcb;
	bool ok = true;
	unsigned int bit, paging;

	for (paging = 0; paging < PAGINGS; paging++) {
		for (bit = 0; bit < MAX_INTERCEPT * 32; bit++) {
			const char *text = NULL;

			make_vmcb(&vmcb, LONG, paging);
			memset(vmcb.control.intercepts, 0xff, MAX_INTERCEPT * 4);
			intercept(&vmcb, bit, false);
			if (is_among(intercepts, ARRAY_SIZE(intercepts), bit))
				text = "an intercept that protects the host is clear";
			else if (bit >= DEBUG_REGISTERS && bit < DEBUG_REGISTERS + 32)
				text = "a debug register is not intercepted";
			else if (paging == SHADOW &&
				 is_among(shadow_intercepts, ARRAY_SIZE(shadow_intercepts), bit))
				text = "an intercept of shadow paging is clear";
			if (!expect(&vmcb, LONG, paging, text))
				ok = complain("intercept %u", bit);
		}
	}
	return ok;
}

/* ---- against a second opinion --------------------------------------------------------------- */

#define BITS(high, low)	(~0ULL >> (63 - (high)) & ~0ULL << (low))

static bool registers_ok(const struct vmcb_save_area *s)
{
	const u64 efer = 0x3fffff & ~(BITS(7, 1) | BITS(9, 9) | BITS(16, 16) | BITS(19, 19));
	const u64 cr4 = 0xffffff & ~(BITS(15, 13) | BITS(19, 19));
	bool lme = s->efer >> 8 & 1, lma = s->efer >> 10 & 1, pg = s->cr0 >> 31 & 1;

	if (!(s->efer >> 12 & 1) || (s->efer | efer) != efer || (s->cr4 | cr4) != cr4)
		return false;
	if (s->cr0 > ~0U || s->dr6 > ~0U || s->dr7 > ~0U)
		return false;
	if (!(s->cr0 >> 30 & 1) && (s->cr0 >> 29 & 1))
		return false;
	if (lme && pg && (!(s->cr4 >> 5 & 1) || !(s->cr0 & 1)))
		return false;
	/* The rest is what no CPU would come to by itself. */
	return lma == (lme && pg) && (s->rflags & 2) && s->cpl < 4 &&
	       !(lma && (s->rflags >> 17 & 1)) &&
	       !(lma && (s->cs.attrib >> 9 & 1) && (s->cs.attrib >> 10 & 1));
}

static bool pat_ok(u64 pat)
{
	const u8 types = BITS(1, 0) | BITS(7, 4);

	for (; pat; pat >>= 8) {
		if ((pat & 0xff) > 7 || !(types >> (pat & 7) & 1))
			return false;
	}
	return true;
}

static bool reference(const struct vmcb *vmcb)
{
	u32 event = vmcb->control.event_inj, type = event >> 8 & 7, vector = event & 0xff;
	bool nested = vmcb->control.misc_ctl & 1;

	if (!registers_ok(&vmcb->save))
		return false;
	if (nested && !pat_ok(vmcb->save.g_pat))
		return false;
	if (nested && (vmcb->save.cr3 >= 1ULL << GPA_BITS ||
		       (vmcb->save.cr0 & 0x80000001) == 0x80000000))
		return false;
	if (!(event >> 31))
		return true;
	return type == 0 || type == 2 || type == 4 || (type == 3 && vector < 31 && vector != 2);
}

static void change_something(struct vmcb *vmcb)
{
	const struct rule *rule;

	switch (random_below(4)) {
	case 0:
		((u8 *)&vmcb->save)[random_below(sizeof(vmcb->save))] ^= 1 << random_below(8);
		return;
	case 1:
		((u8 *)&vmcb->control)[random_below(sizeof(vmcb->control))] = next_random(&seed);
		return;
	case 2:
		rule = &rules[random_below(ARRAY_SIZE(rules))];
		break;
	default:
		rule = &legal[random_below(ARRAY_SIZE(legal))];
		break;
	}
	apply(vmcb, &rule->change[0]);
	apply(vmcb, &rule->change[1]);
}

bool svm_random_states(void)
{
	unsigned int rounds = long_mode() ? 100000000 : 1000000, legal_states = 0;
	struct vmcb vmcb;
	bool ok = true;

	while (rounds--) {
		unsigned int changes = 1 + random_below(3);
		const char *broken;

		make_vmcb(&vmcb, random_below(MODES), random_below(PAGINGS));
		while (changes--)
			change_something(&vmcb);
		broken = svm_check_state(&vmcb) ?: svm_check_guest(&vmcb, GPA_BITS);
		if (!broken != reference(&vmcb))
			ok = complain("the checker says \"%s\", the second opinion does not",
				      broken ?: "legal");
		if (!svm_verdict(&vmcb))
			legal_states++;
	}
	printf("# %u random VMCBs are legal\n", legal_states);
	return ok && legal_states;
}
