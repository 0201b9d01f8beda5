// SPDX-License-Identifier: GPL-2.0
/*
 * The choice of control bits: CPUs as there are, CPUs that lack one bit or cannot clear one, and
 * CPUs that there are not.
 */
#include <asm/vmx.h>

#include "test.h"
#include "vmx/controls.h"

/* The capability MSRs as these report them; those of the first are not the exact ones. */
const struct vmx_cpu_words vmx_cpus[] = {
	{ "Penryn", { 0x0000003f00000016, 0xf7f9fffe0401e172, 0x0000004100000000,
		      0x0003ffff00036dff, 0x00003fff000011ff },
	  .lacks = VMX_CPU, .missing = 0 },
	{ "Nehalem", { 0x0000007f00000016, 0xfff9fffe04006172, 0x0000006f00000000,
		       0x007fffff00036dfb, 0x0000ffff000011fb },
	  .lacks = VMX_CPU2, .missing = SECONDARY_EXEC_UNRESTRICTED_GUEST },
	{ "Sandy Bridge", { 0x0000007f00000016, 0xfff9fffe04006172, 0x000000ff00000000,
			    0x007fffff00036dfb, 0x0000ffff000011fb }, .lacks = VMX_CONTROLS },
	{ "Haswell", { 0x0000007f00000016, 0xfff9fffe04006172, 0x00007cff00000000,
		       0x007fffff00036dfb, 0x0000ffff000011fb }, .lacks = VMX_CONTROLS },
	{ "Skylake", { 0x0000007f00000016, 0xfff9fffe04006172, 0x001ffcff00000000,
		       0x01ffffff00036dfb, 0x0003ffff000011fb }, .lacks = VMX_CONTROLS },
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
		if (chosen != (cpu->lacks == VMX_CONTROLS) ||
		    (!chosen && (shortage.which != cpu->lacks ||
				 shortage.missing != cpu->missing)))
			ok = complain("%s: %s, %s lacks %#x, has always %#x", cpu->name,
				      chosen ? "chosen" : "refused", shortage.word,
				      shortage.missing, shortage.stuck);
	}
	return ok;
}

/* A CPU that has what hull wants, and no more, but with @one in @word. */
static void just_enough(u64 allowed[VMX_CONTROLS])
{
	int i;

	for (i = 0; i < VMX_CONTROLS; i++)
		allowed[i] = (u64)(vmx_control_words[i].must | vmx_control_words[i].later) << 32;
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
		u32 needed = vmx_control_words[i].must | vmx_control_words[i].later;

		for (bit = 0; bit < 32; bit++) {
			if (!(needed & BIT(bit)))
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
		    (word->may & may & ~controls[i]))
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
			allowed[i] |= one | (u64)one << 32 | (next_random(&seed) & ~0ULL << 32);
		}
		ok &= check_choice(allowed);
	}
	return ok;
}

/* Every control that the checker will not do without is one that hull insists on. */
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
			if (!(vmx_control_words[i].must & BIT(bit)))
				ok = complain("%s control %#lx protects the host, and a CPU may lack it",
					      vmx_control_words[i].name, BIT(bit));
		}
	}
	return found ? ok : complain("nothing protects the host");
}
