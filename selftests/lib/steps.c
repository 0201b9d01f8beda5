// SPDX-License-Identifier: GPL-2.0
/*
 * Page tables and lists of steps for tests of guest paging. See steps.h.
 */
#include <stdio.h>
#include <string.h>

#include "steps.h"

/* ---- page tables ---------------------------------------------------------------------------- */

#define PAGE	4096

static int index_bits(const struct paging *paging)
{
	return paging->kind == PAGING_32 ? 10 : 9;
}

__u64 paging_span(const struct paging *paging, int level)
{
	return (__u64)PAGE << (level - 1) * index_bits(paging);
}

__u64 paging_new_table(struct paging *paging)
{
	__u64 gpa = paging->next;

	paging->next += PAGE;
	memset(paging->guest->memory + gpa, 0, PAGE);
	return gpa;
}

__u64 paging_get(const struct paging *paging, __u64 gpa)
{
	__u64 entry = 0;

	memcpy(&entry, paging->guest->memory + gpa, paging->size);
	return entry;
}

void paging_put(const struct paging *paging, __u64 gpa, __u64 entry)
{
	memcpy(paging->guest->memory + gpa, &entry, paging->size);
}

__u64 paging_entry(struct paging *paging, __u64 gva, int level)
{
	__u64 table = paging->root, gpa, entry;
	int i;

	for (i = paging->levels;; i--) {
		gpa = table + gva / paging_span(paging, i) % (1 << index_bits(paging)) *
			      paging->size;
		if (i == level)
			return gpa;
		entry = paging_get(paging, gpa);
		if (!(entry & PTE_P)) {
			entry = paging_new_table(paging) | PTE_P;
			/* PAE's root entries have no rights. */
			if (paging->kind != PAGING_PAE || i < 3)
				entry |= PTE_W | PTE_U;
			paging_put(paging, gpa, entry);
		}
		table = entry & 0xffffffffff000ULL;
	}
}

void paging_map(struct paging *paging, __u64 gva, int level, __u64 entry)
{
	paging_put(paging, paging_entry(paging, gva, level), entry);
}

void paging_init(struct paging *paging, struct guest *guest, enum paging_kind kind, __u64 next,
		 __u64 user_page)
{
	__u64 gpa;

	*paging = (struct paging) {
		.guest = guest, .kind = kind, .next = next,
		.levels = kind + 2, .size = kind == PAGING_32 ? 4 : 8,
	};
	paging->root = paging_new_table(paging);
	for (gpa = 0; gpa < PROGRAM_END; gpa += PAGE)
		paging_map(paging, gpa, 1, gpa | PTE_P | PTE_A | PTE_D |
			   (gpa == user_page ? PTE_U : PTE_W));
}

__u64 paging_cr4(const struct paging *paging)
{
	return X86_CR4_BASE | (paging->kind == PAGING_32 ? X86_CR4_PSE : X86_CR4_PAE) |
	       (paging->kind == PAGING_LA57 ? X86_CR4_LA57 : 0);
}

__u64 paging_efer(const struct paging *paging)
{
	if (paging->kind == PAGING_32)
		return 0;
	return X86_EFER_NXE | (paging->kind >= PAGING_LONG ? X86_EFER_LONG : 0);
}

/* ---- steps ---------------------------------------------------------------------------------- */

void script_init(struct script *script, struct guest *guest, const struct program *program,
		 int entry_size)
{
	script->guest = guest;
	script->program = program;
	script->steps = (struct steps *)(guest->memory + PROGRAM_SHARED);
	script->count = 0;
	script->size = program->mode == GUEST_LONG ? 8 : 4;
	script->entry_size = entry_size;
}

/* What is beyond the end is lost, and script_run() says so. */
static void add(struct script *script, const struct step *step, const struct want *want)
{
	if (script->count < STEPS_MAX - 1) {
		script->steps->step[script->count] = *step;
		script->want[script->count] = *want;
	}
	script->count++;
}

void script_do(struct script *script, enum step_op op, __u64 address, __u64 value)
{
	const struct step step = { .op = op, .address = address, .value = value };
	const struct want want = { 0 };

	add(script, &step, &want);
}

static void add_access(struct script *script, __u32 kind, __u64 gva, __u64 value,
		       const struct want *want)
{
	const struct step step = {
		.op = STEP_ACCESS, .kind = kind, .address = gva, .value = value,
	};

	add(script, &step, want);
}

static __u64 word_mask(const struct script *script)
{
	return script->size == 8 ? ~0ULL : 0xffffffff;
}

void script_read(struct script *script, __u32 who, __u64 gva, __u64 value)
{
	const struct want want = { .value = value, .mask = word_mask(script) };

	add_access(script, ACCESS_READ | who, gva, 0, &want);
}

void script_write(struct script *script, __u32 who, __u64 gva, __u64 value)
{
	const struct want want = { 0 };

	add_access(script, ACCESS_WRITE | who, gva, value, &want);
}

void script_fetch(struct script *script, __u32 who, __u64 gva)
{
	const struct want want = { 0 };

	add_access(script, ACCESS_FETCH | who, gva, 0, &want);
}

void script_fault(struct script *script, __u32 kind, __u64 gva, __u32 error)
{
	const struct want want = {
		.vector = 14, .error = error, .cr2 = gva & word_mask(script),
	};

	add_access(script, kind, gva, 0, &want);
}

void script_put(struct script *script, __u64 gva, __u64 entry)
{
	const struct step step = {
		.op = STEP_STORE, .kind = script->entry_size, .address = gva, .value = entry,
	};
	const struct want want = { 0 };

	add(script, &step, &want);
}

void script_entry(struct script *script, __u64 gva, __u64 entry, __u64 mask)
{
	const struct step step = { .op = STEP_LOAD, .address = gva };
	const struct want want = {
		.value = entry, .mask = script->entry_size == 4 ? mask & 0xffffffff : mask,
	};

	add(script, &step, &want);
}

static bool as_wanted(const struct step *step, const struct want *want)
{
	if (step->vector != want->vector)
		return false;
	if (step->vector)
		return step->error == want->error && step->cr2 == want->cr2;
	return !((step->got ^ want->value) & want->mask);
}

static void complain(unsigned int i, const struct step *step, const struct want *want)
{
	printf("# step %u: op %u, kind %u, address %#llx: vector %u, error %#x, cr2 %#llx, got %#llx; ",
	       i, step->op, step->kind, (unsigned long long)step->address, step->vector,
	       step->error, (unsigned long long)step->cr2, (unsigned long long)step->got);
	printf("wanted vector %u, error %#x, cr2 %#llx, value %#llx of %#llx\n", want->vector,
	       want->error, want->cr2, want->value, want->mask);
}

int script_run(struct script *script)
{
	const struct step end = { .op = STEP_END };
	unsigned int i, count = script->count;
	int wrong = 0;

	script->count = 0;
	if (count >= STEPS_MAX) {
		printf("# %u steps are too many\n", count);
		return -1;
	}
	script->steps->step[count] = end;
	script->steps->next = 0;
	if (program_run(script->guest, 0, script->program) != REPORT_DONE) {
		printf("# at step %u of %u\n", script->steps->next, count);
		return -1;
	}
	for (i = 0; i < count; i++) {
		const struct step *step = &script->steps->step[i];

		if (as_wanted(step, &script->want[i]))
			continue;
		if (wrong++ < 10)
			complain(i, step, &script->want[i]);
	}
	return wrong;
}
