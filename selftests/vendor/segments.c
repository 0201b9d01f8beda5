// SPDX-License-Identifier: GPL-2.0
/*
 * Segments to the vendors' forms and back, and the bending of what real mode leaves behind.
 */
#include "test.h"
#include "svm/segments.h"
#include "vmx/segments.h"

/* AVL, L, D, G: the four bits that VMX has elsewhere. */
#define HIGH_BITS	0xf00

bool vmx_rights_round_trip(void)
{
	bool ok = true;
	u32 attr;

	for (attr = 0; attr < 0x10000; attr++) {
		u32 ar = vmx_ar_of(attr);
		u16 back = vmx_attr_of(ar), loaded = attr & 0xfff;

		/* What is not present is not loaded, and of that only the DPL counts: of SS. */
		if (!(attr & HULL_SEG_P))
			loaded &= HULL_SEG_DPL;
		if (back != loaded)
			ok = complain("attributes %#x come back as %#x by %#x", attr, back, ar);
		if ((ar & 0xff) != (attr & 0xff) || (ar >> 12 & 0xf) != (attr >> 8 & 0xf) ||
		    (ar & 0xfffe0f00) || !!(ar & VMX_AR_UNUSABLE_MASK) == !!(attr & HULL_SEG_P))
			ok = complain("attributes %#x become %#x", attr, ar);
		/* Back and forth again, nothing changes any more. */
		if (vmx_attr_of(vmx_ar_of(back)) != back)
			ok = complain("attributes %#x do not stay", back);
	}
	return ok;
}

/* A guest that loads a null selector leaves any attributes in a register that is not usable. */
bool vmx_unusable_segments(void)
{
	bool ok = true;
	u32 ar;

	for (ar = 0; ar < 0x20000; ar++) {
		u16 attr = vmx_attr_of(ar);

		if (ar & VMX_AR_UNUSABLE_MASK ? attr != (ar & HULL_SEG_DPL) :
		    attr != ((ar & 0xff) | (ar >> 4 & HIGH_BITS)))
			ok = complain("access rights %#x come back as %#x", ar, attr);
		if ((ar & VMX_AR_UNUSABLE_MASK) && !(vmx_ar_of(attr) & VMX_AR_UNUSABLE_MASK))
			ok = complain("access rights %#x become usable", ar);
	}
	return ok;
}

/* ---- bending -------------------------------------------------------------------------------- */

static struct hull_segment *segment(struct hull_segments *s, int i)
{
	return &s->es + i;
}

static void to_image(struct vmcs_image *vmcs, struct hull_segments *s)
{
	int i;

	for (i = VMCS_ES; i <= VMCS_GS; i++) {
		vmcs->seg[i].base = segment(s, i)->base;
		vmcs->seg[i].limit = segment(s, i)->limit;
		vmcs->seg[i].selector = segment(s, i)->selector;
		vmcs->seg[i].ar = vmx_ar_of(segment(s, i)->attr);
	}
}

static void fill(struct hull_segments *s, int i, u16 selector, u16 attr)
{
	*segment(s, i) = (struct hull_segment){
		.base = (u64)(selector & ~7) << 4, .limit = 0xffff, .selector = selector,
		.attr = attr,
	};
}

/* One after the other a selector and a type are anything that real mode can leave behind. */
static bool try_real_mode(struct vmcs_image *vmcs, const struct vmx_caps *caps, u16 dpl, u16 rpl,
			  u16 type)
{
	struct hull_segments s = { };
	const char *broken;
	int i;

	for (i = VMCS_ES; i <= VMCS_GS; i++)
		fill(&s, i, 0x1230 | rpl, 0x90 | type | dpl << 5);
	/* CS is what a far jump in real mode, or LOADALL's heirs, made of it: data or code. */
	fill(&s, VMCS_CS, 0x1230 | ((rpl + 1) & 3), 0x90 | (type & 8 ? 11 : 3) | dpl << 5);
	fill(&s, VMCS_SS, 0x1230 | ((rpl + 2) & 3), 0x93 | dpl << 5);
	vmx_bend_segments(&s);
	to_image(vmcs, &s);
	broken = vmx_check_guest(vmcs, caps);
	if (!broken)
		return true;
	return complain("DPL %u, RPL %u, type %u: %s", dpl, rpl, type, broken);
}

bool vmx_bent_segments_enter(void)
{
	static const u16 types[] = { 1, 3, 5, 7 };
	struct vmcs_image vmcs;
	struct vmx_caps caps;
	unsigned int n;
	bool ok = true;

	make_vmx_caps(&caps, false);
	for (n = 0; n < 4 * 4 * 4 * 2; n++) {
		make_vmcs(&vmcs, &caps, PAGED, SHADOW);
		ok &= try_real_mode(&vmcs, &caps, n & 3, n >> 2 & 3,
				    types[n >> 4 & 3] | (n >> 6 & 1 ? 8 | 2 : 0));
	}
	return ok;
}

/* What protected mode can load is left alone: each combination of DPL, RPL and type. */
bool vmx_bending_changes_nothing_else(void)
{
	struct hull_segments s, bent;
	struct vmcs_image vmcs;
	struct vmx_caps caps;
	unsigned int legal = 0, n;
	bool ok = true;

	make_vmx_caps(&caps, false);
	for (n = 0; n < 4 * 4 * 16 * 4; n++) {
		u16 cpl = n & 3, rpl = n >> 2 & 3, type = n >> 4 & 15, dpl = n >> 8;
		int i;

		make_vmcs(&vmcs, &caps, PAGED, SHADOW);
		memset(&s, 0, sizeof(s));
		for (i = VMCS_ES; i <= VMCS_GS; i++)
			fill(&s, i, 0x10 | rpl, 0x90 | type | dpl << 5);
		fill(&s, VMCS_CS, 0x8 | cpl, 0x9b | cpl << 5);
		fill(&s, VMCS_SS, 0x10 | cpl, 0x93 | cpl << 5);
		to_image(&vmcs, &s);
		if (vmx_check_guest(&vmcs, &caps))
			continue;
		legal++;
		bent = s;
		vmx_bend_segments(&bent);
		if (memcmp(&bent, &s, sizeof(s)))
			ok = complain("CPL %u, RPL %u, type %u, DPL %u is bent", cpl, rpl, type, dpl);
	}
	/* At each CPL: data of 4 types and code of 1 want DPL >= RPL, conforming code does not. */
	return ok && (legal == 4 * (5 * 10 + 16) ||
		      complain("%u states are legal", legal));
}

/* ---- SVM ------------------------------------------------------------------------------------ */

bool svm_segments_round_trip(void)
{
	struct hull_segment from = { .base = 0xffff888012345678, .limit = 0xfedcba98,
				     .selector = 0xabcd }, to;
	struct vmcb_seg there;
	bool ok = true;
	u32 attr;

	for (attr = 0; attr < 0x10000; attr++) {
		from.attr = attr;
		memset(&to, 0, sizeof(to));
		svm_set_segment(&there, &from);
		svm_get_segment(&to, &there);
		if (to.attr != (attr & 0xfff) || to.base != from.base || to.limit != from.limit ||
		    to.selector != from.selector || there.attrib >> 12)
			ok = complain("attributes %#x come back as %#x", attr, to.attr);
		if (svm_cpl_of(&from) != (attr >> 5 & 3))
			ok = complain("attributes %#x mean CPL %u", attr, svm_cpl_of(&from));
	}
	return ok;
}
