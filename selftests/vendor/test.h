/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Valid states of each mode of a CPU, which the tests break in one place or many.
 */
#ifndef SELFTESTS_VENDOR_TEST_H
#define SELFTESTS_VENDOR_TEST_H

#include <asm/processor-flags.h>

#include "shim.h"
#include "ktap.h"
#include "svm/check.h"
#include "vmx/check.h"

/* What a guest is doing. */
enum mode { REAL, PROTECTED, USER, PAGED, PAE, LONG, LONG_USER, COMPATIBLE, V8086, MODES };
extern const char *const mode_names[MODES];

enum paging { NESTED, SHADOW, PAGINGS,
	NO_EPT = PAGINGS,	/* VMX: shadow paging on a CPU that has nothing else */
};

#define EFER_SCE	BIT(0)
#define EFER_LME	BIT(8)
#define EFER_LMA	BIT(10)
#define EFER_NX		BIT(11)
#define EFER_SVME	BIT(12)

#define GPA_BITS	39	/* width of physical addresses */
#define ASIDS		16

static inline bool is_paging_mode(enum mode mode)
{
	return mode >= PAGED;
}

static inline bool is_long_mode(enum mode mode)
{
	return mode == LONG || mode == LONG_USER || mode == COMPATIBLE;
}

/* On VMX: such a guest runs without EPT. */
static inline bool is_restricted(enum mode mode, enum paging paging)
{
	return paging == NO_EPT || (paging == SHADOW && is_paging_mode(mode));
}

/**
 * struct vmx_cpu_words - capability words of a CPU that there is
 * @nested: with EPT and unrestricted guests
 * @loads_efer: by fields of the VMCS
 */
struct vmx_cpu_words {
	const char *name;
	u64 allowed[VMX_CONTROLS];
	bool nested, loads_efer;
};

extern const struct vmx_cpu_words vmx_cpus[];
extern const size_t vmx_cpus_count;

/* The last of vmx_cpus[], with addresses of 57 bits or of 48. */
void make_vmx_caps(struct vmx_caps *caps, bool la57);
/* The first of vmx_cpus[], for NO_EPT. */
void make_old_vmx_caps(struct vmx_caps *caps);
void make_vmcs(struct vmcs_image *vmcs, const struct vmx_caps *caps, enum mode mode,
	       enum paging paging);
/* The first rule that is broken, as before an entry; NULL: none. */
const char *vmx_verdict(const struct vmcs_image *vmcs, const struct vmx_caps *caps);
/* Would a CPU enter this guest state? A second opinion, in the manual's order. */
bool vmx_reference(const struct vmcs_image *vmcs, const struct vmx_caps *caps);

struct vmcb;
void make_vmcb(struct vmcb *vmcb, enum mode mode, enum paging paging);
const char *svm_verdict(const struct vmcb *vmcb);

/**
 * struct change - of one member of a struct
 * @size: 0: no change
 */
struct change {
	u16 offset, size;
	u64 clear, set, flip;
};

void apply(void *to, const struct change *change);

/* Initializers of them; TYPE is defined where they are used. */
#define PLACE(member)	offsetof(TYPE, member), sizeof(((TYPE *)0)->member)
#define SET(member, value)	{ PLACE(member), ~0ULL, value, 0 }
#define ON(member, bits)	{ PLACE(member), 0, bits, 0 }
#define OFF(member, bits)	{ PLACE(member), bits, 0, 0 }
#define FLIP(member, bits)	{ PLACE(member), 0, 0, bits }

/* Every text of @source, all of which must be among the @count of @produced. */
bool all_produced(const char *const *source, size_t texts, const char *const *produced,
		  size_t count);
bool same_text(const char *a, const char *b);
/* A line that explains a failure; false. */
__attribute__((__format__(__printf__, 1, 2))) bool complain(const char *format, ...);

extern u64 seed;
u64 random_below(u64 bound);

/* controls.c */
bool real_cpus(void);
bool each_missing_bit(void);
bool each_stuck_bit(void);
bool halves_are_dropped(void);
bool random_cpus(void);
bool protections_are_chosen(void);
/* reasons.c */
bool vmx_reasons_are_the_manuals(void);
bool vmx_reasons_past_the_end(void);
bool svm_codes_are_the_manuals(void);
/* segments.c */
bool vmx_rights_round_trip(void);
bool vmx_unusable_segments(void);
bool vmx_bent_segments_enter(void);
bool vmx_bending_changes_nothing_else(void);
bool svm_segments_round_trip(void);
/* vmx_rules.c */
bool vmx_valid_states(void);
bool vmx_each_rule(void);
bool vmx_each_owned_bit(void);
bool vmx_each_text(void);
bool vmx_borderline_states(void);
bool vmx_old_cpus(void);
bool vmx_all_rights(void);
bool vmx_random_states(void);
/* svm_rules.c */
bool svm_valid_states(void);
bool svm_each_rule(void);
bool svm_each_intercept(void);
bool svm_each_text(void);
bool svm_random_states(void);

#endif
