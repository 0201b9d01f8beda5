// SPDX-License-Identifier: GPL-2.0
/*
 * Digests of a guest at its stops. See digest.h.
 *
 * What CPUs may do in different ways is named here, with the reason. Nothing else is left out.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "digest.h"

#define ATTR_P		0x80
#define TYPE_CODE	8
#define TSS_BUSY	2
#define EFER_LMA	0x400ULL
#define RFLAGS_RF	0x10000ULL

/* The architectural XSAVE area */
#define FPU_CONTROL	0
#define FPU_STATUS	2
#define FPU_TAGS	4
#define FPU_MXCSR	24
#define FPU_ST		32
#define FPU_XMM		160
#define FPU_PRESENT	512
#define FPU_YMM		576
#define HAS_X87		1
#define HAS_SSE		2
#define HAS_AVX		4

bool digest_wanted(struct digest *digest)
{
	memset(digest, 0, sizeof(*digest));
	digest->to = stdout;
	digest->words = getenv("HULL_DIGEST_WORDS");
	return getenv("HULL_DIGEST");
}

__u32 digest_paging(void)
{
	const char *paging = getenv("HULL_DIGEST");

	if (!paging)
		return HULL_PAGING_AUTO;
	return strcmp(paging, "shadow") ? HULL_PAGING_NESTED : HULL_PAGING_SHADOW;
}

/* ---- lines ---------------------------------------------------------------------------------- */

static void end_part(struct digest *digest)
{
	if (digest->part[0] && !digest->in_words)
		fprintf(digest->to, " %s=%08x", digest->part,
			(__u32)(digest->hash ^ digest->hash >> 32));
	digest->part[0] = 0;
	digest->hash = DIGEST_HASH_START;
}

static void begin_part(struct digest *digest, const char *part)
{
	char name[16];

	if (!strcmp(part, digest->part))
		return;
	end_part(digest);
	snprintf(digest->part, sizeof(digest->part), "%s", part);
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(part, ":"), part);
	digest->in_words = digest->words &&
			   (!strcmp(digest->words, "all") || strstr(digest->words, name));
}

void digest_begin(struct digest *digest, const char *guest, const char *stop)
{
	end_part(digest);
	fprintf(digest->to, "# digest %s %s", guest, stop);
}

void digest_word(struct digest *digest, const char *part, const char *name, __u64 value)
{
	begin_part(digest, part);
	digest->hash = digest_hash(digest->hash, &value, sizeof(value));
	if (digest->in_words)
		fprintf(digest->to, " %s.%s=%llx", part, name, value);
}

void digest_memory(struct digest *digest, const char *part, const void *from, size_t size)
{
	digest_word(digest, part, "hash", digest_hash(DIGEST_HASH_START, from, size));
}

void digest_end(struct digest *digest)
{
	end_part(digest);
	fprintf(digest->to, "\n");
}

void digest_left_out(struct digest *digest)
{
	fprintf(digest->to, " left-out\n");
}

/* The next word of a line, up to @end; NULL: no more. */
static const char *next_word(const char **at, const char *end, size_t *len)
{
	const char *word = *at;

	while (word < end && *word == ' ')
		word++;
	for (*at = word; *at < end && **at != ' '; (*at)++)
		;
	*len = *at - word;
	return *len ? word : NULL;
}

static void show_difference(const char *a, const char *a_end, const char *b, const char *b_end)
{
	size_t a_len, b_len;

	printf("#");
	for (;;) {
		const char *x = next_word(&a, a_end, &a_len), *y = next_word(&b, b_end, &b_len);

		if (!x || !y)
			break;
		if (a_len != b_len || memcmp(x, y, a_len))
			printf(" %.*s and %.*s;", (int)a_len, x, (int)b_len, y);
		else if (!memchr(x, '=', a_len) && a_len > 1)
			printf(" %.*s", (int)a_len, x);
	}
	printf("\n");
}

int digest_compare(const char *first, const char *second, bool show)
{
	int different = 0;

	while (*first || *second) {
		const char *a = strchrnul(first, '\n'), *b = strchrnul(second, '\n');

		if (a - first != b - second || memcmp(first, second, a - first)) {
			different++;
			if (show)
				show_difference(first, a, second, b);
		}
		first = *a ? a + 1 : a;
		second = *b ? b + 1 : b;
	}
	return different;
}

/* ---- registers ------------------------------------------------------------------------------ */

struct writer {
	struct digest *digest;
	unsigned int id;
	const char *group;
};

static void put(struct writer *writer, const char *name, __u64 value)
{
	char part[16];

	snprintf(part, sizeof(part), writer->id ? "%s:%u" : "%s", writer->group, writer->id);
	digest_word(writer->digest, part, name, value);
}

static void put_gprs(struct writer *writer, const struct hull_gprs *gprs)
{
	static const char *const names[] = {
		"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
		"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
	};
	int i;

	writer->group = "gprs";
	for (i = 0; i < 16; i++)
		put(writer, names[i], gprs->gpr[i]);
	put(writer, "rip", gprs->rip);
	put(writer, "rflags", gprs->rflags);
}

static void put_segment(struct writer *writer, const char *name, struct hull_segment segment)
{
	char full[16];

	snprintf(full, sizeof(full), "%s", name);
	put(writer, full, segment.selector);
	snprintf(full, sizeof(full), "%s_base", name);
	put(writer, full, segment.base);
	snprintf(full, sizeof(full), "%s_limit", name);
	put(writer, full, segment.limit);
	snprintf(full, sizeof(full), "%s_attr", name);
	put(writer, full, segment.attr);
}

/* What is not loaded has no limit and no attributes, and a base in long mode alone. */
static void clear_absent(struct hull_segment *segment, bool has_base)
{
	if (segment->attr & ATTR_P)
		return;
	segment->limit = segment->attr = 0;
	if (!has_base)
		segment->base = 0;
}

static void put_segments(struct writer *writer, struct hull_segments *s, bool long_mode)
{
	writer->group = "segments";
	/* CPUs leave various things there. */
	clear_absent(&s->es, false);
	clear_absent(&s->ss, false);
	clear_absent(&s->ds, false);
	clear_absent(&s->fs, long_mode);
	clear_absent(&s->gs, long_mode);
	clear_absent(&s->ldtr, false);
	/* CS of real mode may be called data: QEMU's IRET does so, Bochs when PE is cleared. */
	s->cs.attr |= TYPE_CODE;
	/* A null selector is no table. QEMU's LLDT leaves the old attributes. */
	if (!(s->ldtr.selector & ~3))
		s->ldtr = (struct hull_segment) { .selector = s->ldtr.selector };
	/* VMX enters no guest whose task is not busy; QEMU's LTR marks it so in memory alone. */
	if (s->tr.attr & ATTR_P)
		s->tr.attr |= TSS_BUSY;
	put_segment(writer, "es", s->es);
	put_segment(writer, "cs", s->cs);
	put_segment(writer, "ss", s->ss);
	put_segment(writer, "ds", s->ds);
	put_segment(writer, "fs", s->fs);
	put_segment(writer, "gs", s->gs);
	put_segment(writer, "ldtr", s->ldtr);
	put_segment(writer, "tr", s->tr);
	put(writer, "gdtr_base", s->gdtr.base);
	put(writer, "gdtr_limit", s->gdtr.limit);
	put(writer, "idtr_base", s->idtr.base);
	put(writer, "idtr_limit", s->idtr.limit);
}

static bool emulator_is(const char *name)
{
	const char *emulator = getenv("HULL_EMULATOR");

	return emulator && !strcmp(emulator, name);
}

static void put_control(struct writer *writer, const struct hull_control *control)
{
	writer->group = "control";
	put(writer, "cr0", control->cr0);
	put(writer, "cr3", control->cr3);
	put(writer, "cr4", control->cr4);
	put(writer, "cr8", control->cr8);
	put(writer, "efer", control->efer);
	put(writer, "xcr0", control->xcr0);
	put(writer, "apic_base", control->apic_base);
	/* A part of its own, for the comparison to leave out: Bochs' VMRUN does not load it. */
	writer->group = "cr2";
	put(writer, "cr2", emulator_is("bochs/svm") ? 0 : control->cr2);
}

static void put_debug(struct writer *writer, const struct hull_debug *debug)
{
	static const char *const names[] = { "dr0", "dr1", "dr2", "dr3" };
	int i;

	writer->group = "debug";
	for (i = 0; i < 4; i++)
		put(writer, names[i], debug->dr[i]);
	put(writer, "dr7", debug->dr7);
	/* A part of its own: Bochs' AMD CPU does not say there what raised a #DB. */
	writer->group = "dr6";
	put(writer, "dr6", debug->dr6);
}

static void put_msrs(struct writer *writer, const struct hull_msrs *msrs)
{
	char name[16];
	__u32 i;

	writer->group = "msrs";
	for (i = 0; i < msrs->count; i++) {
		snprintf(name, sizeof(name), "%x", msrs->msr[i].index);
		put(writer, name, msrs->msr[i].value);
	}
}

static __u64 fpu_word(const struct hull_fpu *fpu, size_t at, size_t size)
{
	__u64 value = 0;

	memcpy(&value, fpu->data + at, size);
	return value;
}

/*
 * Registers, by value: a component that the header does not show as present has its initial one,
 * and CPUs choose whether they show it then. Left out are the pointers to the last instruction and
 * operand of the FPU, which AMD's CPUs keep only while an exception is pending; MXCSR's mask, a
 * property of the CPU; and components that not all CPUs have.
 */
static void put_fpu(struct writer *writer, const struct hull_fpu *fpu)
{
	__u64 present = fpu_word(fpu, FPU_PRESENT, 8);
	int i;

	writer->group = "fpu";
	put(writer, "control", present & HAS_X87 ? fpu_word(fpu, FPU_CONTROL, 2) : 0x37f);
	put(writer, "status", present & HAS_X87 ? fpu_word(fpu, FPU_STATUS, 2) : 0);
	put(writer, "tags", present & HAS_X87 ? fpu_word(fpu, FPU_TAGS, 1) : 0);
	put(writer, "mxcsr", fpu_word(fpu, FPU_MXCSR, 4));
	for (i = 0; i < 8; i++) {
		put(writer, "st", present & HAS_X87 ? fpu_word(fpu, FPU_ST + i * 16, 8) : 0);
		put(writer, "st_high",
		    present & HAS_X87 ? fpu_word(fpu, FPU_ST + i * 16 + 8, 2) : 0);
	}
	for (i = 0; i < 32; i++)
		put(writer, "xmm", present & HAS_SSE ? fpu_word(fpu, FPU_XMM + i * 8, 8) : 0);
	for (i = 0; i < 32; i++)
		put(writer, "ymm", present & HAS_AVX ? fpu_word(fpu, FPU_YMM + i * 8, 8) : 0);
}

static void put_events(struct writer *writer, const struct hull_events *events)
{
	writer->group = "events";
	put(writer, "flags", events->flags);
	put(writer, "run_state", events->run_state);
	put(writer, "error_code", events->error_code);
	put(writer, "exception", events->exception);
	put(writer, "interrupt", events->interrupt);
	put(writer, "sipi_vector", events->sipi_vector);
	put(writer, "fault_address", events->fault_address);
	put(writer, "continuation", digest_hash(DIGEST_HASH_START, events->continuation,
						sizeof(events->continuation)));
}

int digest_vcpu(struct digest *digest, struct guest *guest, unsigned int id)
{
	const __u64 groups = HULL_GROUP_GPRS | HULL_GROUP_SEGMENTS | HULL_GROUP_CONTROL |
			     HULL_GROUP_DEBUG | HULL_GROUP_MSRS | HULL_GROUP_FPU |
			     HULL_GROUP_EVENTS;
	struct writer writer = { .digest = digest, .id = id };
	static struct hull_vcpu_state state;

	memset(&state, 0, sizeof(state));
	if (hull_get_state(guest->cpu[id].fd, groups, &state))
		return -1;
	put_gprs(&writer, &state.gprs);
	put_segments(&writer, &state.segments, state.control.efer & EFER_LMA);
	put_control(&writer, &state.control);
	put_debug(&writer, &state.debug);
	put_msrs(&writer, &state.msrs);
	put_fpu(&writer, &state.fpu);
	put_events(&writer, &state.events);
	return 0;
}

void digest_trap(struct digest *digest, const struct trap *trap)
{
	digest_word(digest, "trap", "vector", trap->vector);
	digest_word(digest, "trap", "error", trap->error);
	digest_word(digest, "trap", "rip", trap->rip);
	digest_word(digest, "trap", "cs", trap->cs);
	digest_word(digest, "trap", "rflags", trap->rflags & ~RFLAGS_RF);
	digest_word(digest, "trap", "rsp", trap->rsp);
	digest_word(digest, "trap", "ss", trap->ss);
	/* A part of its own: QEMU pushes none with faults that it raises itself. */
	if (emulator_is("qemu/svm"))
		digest_word(digest, "rf", "rf", 0);
	else
		digest_word(digest, "rf", "rf", trap->rflags & RFLAGS_RF);
}
