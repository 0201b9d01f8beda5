// SPDX-License-Identifier: GPL-2.0
/*
 * The choice of control bits: CPUs as there are, CPUs that lack one bit or cannot clear one, and
 * CPUs that there are not.
 */
#include <asm/vmx.h>

#include "test.h"
#include "vmx/controls.h"

/* The capability MSRs as these report them; Conroe has not the exact ones. */
const struct vmx_cpu_words vmx_cpus[] = {
	{ "Penryn", { 0x0000003f00000016, 0xf7f9fffe04006172, 0x0000004100000000,
		      0x0003ffff00036dfb, 0x00003fff000011fb }, false, false },
	{ "Conroe", { 0x0000003f00000016, 0x77f9fffe0401e172, 0,
		      0x0003ffff00036dff, 0x00003fff000011ff }, false, false },
	{ "Nehalem", { 0x0000007f00000016, 0xfff9fffe04006172, 0x0000006f00000000,
		       0x007fffff00036dfb, 0x0000ffff000011fb }, false, true },
	{ "Sandy Bridge", { 0x0000007f00000016, 0xfff9fffe04006172, 0x000000ff00000000,
			    0x007fffff00036dfb, 0x0000ffff000011fb }, true, true },
	{ "Haswell", { 0x0000007f00000016, 0xfff9fffe04006172, 0x00007cff00000000,
		       0x007fffff00036dfb, 0x0000ffff000011fb }, true, true },
	{ "Skylake", { 0x0000007f00000016, 0xfff9fffe04006172, 0x001ffcff00000000,
		       0x01ffffff00036dfb, 0x0003ffff000011fb }, true, true },
};

const size_t vmx_cpus_count = ARRAY_SIZE(vmx_cpus);

bool real_cpus(void)
{
	struct vmx_shortage shortage;
	u32 controls[VMX_CONTROLS];
	bool ok = true, chosen;
	size_t i;

	for (i = 0; i < vmx_cpus_count; i++) {
		const struct vmx_cpu_words *cpu = &vmx_cpus[i];

		chosen = vmx_choose_controls(cpu->allowed, controls, &shortage);
		if (!chosen) {
			ok = complain("%s: %s lacks %#x, has always %#x", cpu->name,
				      shortage.word, shortage.missing, shortage.stuck);
			continue;
		}
		if ((controls[VMX_CPU2] & VMX_NESTED) != (cpu->nested ? VMX_NESTED : 0) ||
		    !(controls[VMX_EXIT] & VM_EXIT_LOAD_IA32_EFER) != !cpu->loads_efer ||
		    !(controls[VMX_ENTRY] & VM_ENTRY_LOAD_IA32_EFER) != !cpu->loads_efer)
			ok = complain("%s: %#x, exit %#x, entry %#x", cpu->name,
				      controls[VMX_CPU2], controls[VMX_EXIT], controls[VMX_ENTRY]);
	}
	return ok;
}

static u32 needed(int word)
{
	const struct vmx_control_word *control = &vmx_control_words[word];

	return control->must | control->later | control->shadow;
}

/* A CPU that has what hull wants, and no more. */
static void just_enough(u64 allowed[VMX_CONTROLS])
{
	int i;

	for (i = 0; i < VMX_CONTROLS; i++)
		allowed[i] = (u64)needed(i) << 32;
}

/* What is refused is refused for this, and not for anything else. */
static bool expect_shortage(const u64 allowed[VMX_CONTROLS], int word, u32 missing, u32 stuck)
{
	struct vmx_shortage shortage;
	u32 controls[VMX_CONTROLS];

	if (!vmx_choose_controls(allowed, controls, &shortage) &&
	    shortage.which == (enum vmx_control)word && shortage.missing == missing &&
	    shortage.stuck == stuck && same_text(shortage.word, vmx_control_words[word].name))
		return true;
	return complain("%s controls: missing %#x, stuck %#x are not refused as such",
			vmx_control_words[word].name, missing, stuck);
}

bool each_missing_bit(void)
{
	struct vmx_shortage shortage;
	u32 controls[VMX_CONTROLS];
	u64 allowed[VMX_CONTROLS];
	bool ok = true;
	int i, bit;

	just_enough(allowed);
	if (!vmx_choose_controls(allowed, controls, &shortage))
		ok = complain("what hull wants is not enough");
	for (i = 0; i < VMX_CONTROLS; i++) {
		for (bit = 0; bit < 32; bit++) {
			if (!(needed(i) & BIT(bit)))
				continue;
			just_enough(allowed);
			allowed[i] &= ~(1ULL << (32 + bit));
			ok &= expect_shortage(allowed, i, BIT(bit), 0);
		}
	}
	return ok;
}

bool each_stuck_bit(void)
{
	u64 allowed[VMX_CONTROLS];
	bool ok = true;
	int i, bit;

	for (i = 0; i < VMX_CONTROLS; i++) {
		for (bit = 0; bit < 32; bit++) {
			if (!(vmx_control_words[i].later & BIT(bit)))
				continue;
			just_enough(allowed);
			allowed[i] |= BIT(bit);
			ok &= expect_shortage(allowed, i, 0, BIT(bit));
		}
	}
	return ok;
}

/* Two that go together, and one without the other; exits for CR3 that cannot be cleared. */
bool halves_are_dropped(void)
{
	u64 allowed[VMX_CONTROLS];
	u32 controls[VMX_CONTROLS];
	struct vmx_shortage shortage;
	unsigned int what;
	bool ok = true;

	for (what = 0; what < 64; what++) {
		bool secondary = what & 1, ept = what & 2, unrestricted = what & 4;
		bool exit = what & 8, entry = what & 16, stuck = what & 32;

		just_enough(allowed);
		if (secondary)
			allowed[VMX_CPU] |= (u64)CPU_BASED_ACTIVATE_SECONDARY_CONTROLS << 32;
		allowed[VMX_CPU] |= stuck ? CPU_BASED_CR3_LOAD_EXITING : 0;
		allowed[VMX_CPU2] |= (u64)((ept ? SECONDARY_EXEC_ENABLE_EPT : 0) |
					   (unrestricted ? SECONDARY_EXEC_UNRESTRICTED_GUEST : 0) |
					   SECONDARY_EXEC_WBINVD_EXITING) << 32;
		allowed[VMX_EXIT] |= (u64)(exit ? VM_EXIT_LOAD_IA32_EFER : 0) << 32;
		allowed[VMX_ENTRY] |= (u64)(entry ? VM_ENTRY_LOAD_IA32_EFER : 0) << 32;
		if (!vmx_choose_controls(allowed, controls, &shortage) ||
		    (controls[VMX_CPU2] & VMX_NESTED) !=
		    (secondary && ept && unrestricted && !stuck ? VMX_NESTED : 0) ||
		    !!(controls[VMX_CPU2] & SECONDARY_EXEC_WBINVD_EXITING) != secondary ||
		    !!(controls[VMX_EXIT] & VM_EXIT_LOAD_IA32_EFER) != (exit && entry) ||
		    !!(controls[VMX_ENTRY] & VM_ENTRY_LOAD_IA32_EFER) != (exit && entry))
			ok = complain("halves %#x: %#x, exit %#x, entry %#x", what,
				      controls[VMX_CPU2], controls[VMX_EXIT], controls[VMX_ENTRY]);
	}
	return ok;
}

/* Taken where offered: what goes together may be left out. */
static u32 taken(const u64 allowed[VMX_CONTROLS], int word)
{
	const u32 pairs[VMX_CONTROLS] = {
		[VMX_CPU2] = VMX_NESTED, [VMX_EXIT] = VM_EXIT_LOAD_IA32_EFER,
		[VMX_ENTRY] = VM_ENTRY_LOAD_IA32_EFER,
	};

	return vmx_control_words[word].may & (allowed[word] >> 32) & ~pairs[word];
}

/* Whatever a CPU allows: no control outside of that, and none of which hull knows nothing. */
static bool check_choice(const u64 allowed[VMX_CONTROLS])
{
	struct vmx_shortage shortage;
	u32 controls[VMX_CONTROLS];
	bool ok = true;
	int i;

	if (!vmx_choose_controls(allowed, controls, &shortage))
		return complain("%s controls: missing %#x, stuck %#x", shortage.word,
				shortage.missing, shortage.stuck);
	for (i = 0; i < VMX_CONTROLS; i++) {
		const struct vmx_control_word *word = &vmx_control_words[i];
		u32 one = allowed[i], may = allowed[i] >> 32;

		if ((controls[i] & ~may) || (one & ~controls[i]) || (word->must & ~controls[i]) ||
		    (controls[i] & word->later) ||
		    (controls[i] & ~(word->must | word->may | one)) ||
		    (taken(allowed, i) & ~controls[i]))
			ok = complain("%s controls %#x of a CPU that allows %#llx", word->name,
				      controls[i], (unsigned long long)allowed[i]);
	}
	return ok;
}

bool random_cpus(void)
{
	unsigned int rounds = long_mode() ? 10000000 : 100000;
	u64 allowed[VMX_CONTROLS];
	bool ok = true;

	while (rounds--) {
		int i;

		just_enough(allowed);
		for (i = 0; i < VMX_CONTROLS; i++) {
			u32 one = next_random(&seed) & ~vmx_control_words[i].later;

			if (random_below(2))
				one &= next_random(&seed) & next_random(&seed);
			/* None has these always; and where there is a second word, it can be on. */
			if (i == VMX_CPU2 || i == VMX_EXIT || i == VMX_ENTRY)
				one &= ~vmx_control_words[i].may;
			allowed[i] |= one | (u64)one << 32 | (next_random(&seed) & ~0ULL << 32);
		}
		if (!(allowed[VMX_CPU] >> 32 & CPU_BASED_ACTIVATE_SECONDARY_CONTROLS))
			allowed[VMX_CPU2] = 0;
		ok &= check_choice(allowed);
	}
	return ok;
}

/* Every control that the checker will not do without is one that hull takes where there is it. */
bool protections_are_chosen(void)
{
	struct vmx_shortage shortage;
	struct vmcs_image vmcs;
	struct vmx_caps caps;
	u64 *words[VMX_CONTROLS];
	unsigned int found = 0;
	bool ok = true;
	int i, bit;

	words[VMX_PIN] = &vmcs.pin;
	words[VMX_CPU] = &vmcs.cpu;
	words[VMX_CPU2] = &vmcs.cpu2;
	words[VMX_EXIT] = &vmcs.exit;
	words[VMX_ENTRY] = &vmcs.entry;
	make_vmx_caps(&caps, false);
	/* A CPU that leaves all to us: so what is refused is refused by hull. */
	for (i = 0; i < VMX_CONTROLS; i++)
		caps.allowed[i] = ~0ULL << 32;
	if (!vmx_choose_controls(caps.allowed, caps.controls, &shortage))
		return complain("%s controls will not do", shortage.word);
	for (i = 0; i < VMX_CONTROLS; i++) {
		for (bit = 0; bit < 32; bit++) {
			make_vmcs(&vmcs, &caps, PROTECTED, NESTED);
			*words[i] &= ~BIT(bit);
			if (!vmx_check_control(&vmcs, &caps))
				continue;
			found++;
			if (!((vmx_control_words[i].must | vmx_control_words[i].may) & BIT(bit)))
				ok = complain("%s control %#lx protects the host, and is not asked for",
					      vmx_control_words[i].name, BIT(bit));
		}
	}
	return found ? ok : complain("nothing protects the host");
}
