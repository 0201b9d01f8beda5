// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of the pure parts of kmod/svm and kmod/vmx: what they share, and the list of them.
 */
#include <stdarg.h>

#include "test.h"

const char *const mode_names[MODES] = {
	[REAL] = "real mode", [PROTECTED] = "protected mode", [USER] = "protected mode, CPL 3",
	[PAGED] = "32-bit paging", [PAE] = "PAE paging", [LONG] = "long mode",
	[LONG_USER] = "long mode, CPL 3", [COMPATIBLE] = "compatibility mode",
	[V8086] = "virtual-8086 mode",
};

u64 seed;

u64 random_below(u64 bound)
{
	return next_random(&seed) % bound;
}

bool complain(const char *format, ...)
{
	static unsigned int lines;
	va_list args;

	if (lines++ > 100)
		return false;
	printf("# ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	return false;
}

bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

void apply(void *to, const struct change *change)
{
	u64 value = 0;

	memcpy(&value, (u8 *)to + change->offset, change->size);
	value = ((value & ~change->clear) | change->set) ^ change->flip;
	memcpy((u8 *)to + change->offset, &value, change->size);
}

bool all_produced(const char *const *source, size_t texts, const char *const *produced,
		  size_t count)
{
	bool ok = texts > 0;
	size_t i, j;

	for (i = 0; i < texts; i++) {
		for (j = 0; j < count && !same_text(source[i], produced[j]); j++)
			;
		if (j == count)
			ok = complain("no test breaks the rule \"%s\"", source[i]);
	}
	return ok;
}

static const struct {
	const char *name;
	bool (*run)(void);
} tests[] = {
#define TEST(name) { #name, name }
	TEST(real_cpus), TEST(each_missing_bit), TEST(each_stuck_bit),
	TEST(halves_are_dropped), TEST(random_cpus), TEST(protections_are_chosen),
	 TEST(vmx_reasons_are_the_manuals),
	TEST(vmx_reasons_past_the_end), TEST(svm_codes_are_the_manuals),
	TEST(vmx_rights_round_trip), TEST(vmx_unusable_segments), TEST(vmx_bent_segments_enter),
	TEST(vmx_bending_changes_nothing_else), TEST(svm_segments_round_trip),
	TEST(vmx_valid_states), TEST(vmx_each_rule), TEST(vmx_each_owned_bit),
	TEST(vmx_each_text), TEST(vmx_borderline_states), TEST(vmx_old_cpus), TEST(vmx_all_rights),
	TEST(vmx_random_states),
	TEST(svm_valid_states), TEST(svm_each_rule), TEST(svm_each_intercept),
	TEST(svm_each_text), TEST(svm_random_states),
#undef TEST
};

int main(void)
{
	size_t i;

	ktap_begin(ARRAY_SIZE(tests));
	seed = seed_from_env();
	for (i = 0; i < ARRAY_SIZE(tests); i++)
		ktap_result(tests[i].run(), tests[i].name);
	return ktap_end();
}
