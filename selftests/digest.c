// SPDX-License-Identifier: GPL-2.0
/*
 * The same guest twice, with nested and with shadow paging: registers and memory must be the same
 * at each point where it stops, accessed and dirty bits of its tables included. The guest is the
 * torture guest (program/torture.h) with one vCPU, or with two that take turns, each changing
 * tables that the other uses, and nobody who disturbs; nothing in it depends on time. HULL_SEED=n
 * repeats a run that printed n. With HULL_DIGEST (digest.h) it runs once and prints what it finds
 * at each stop, to be compared with other CPUs: scripts/check-digests.
 *
 * CPUs set accessed bits of entries above one that faults, or do not: the guest sets them itself.
 * What it saw of that before lies in the dead part of its stack, which is no part of the result.
 */
#include <time.h>
#include <unistd.h>

#include "digest.h"
#include "harness.h"
#include "program.h"
#include "trap.h"
#include "program/torture_shared.h"

#define PAGE		4096UL
#define PAGES		(PROGRAM_END / PAGE)
#define SYNCS		16
#define STEPS		192		/* between two of them */
#define GROUPS		7		/* gprs to events */
#define TABLES_SIZE	(POOL_END - FIXED_TABLES)
#define STACK(cpu)	(0x8000UL + (cpu) * PAGE)	/* its page: start32.S, start64.S */
#define CPUS		2
#define MSR_TSC		0x10

/**
 * struct digest_stop - a stop of the guest
 * @group: of each register group of each vCPU
 * @page: of each page of memory
 * @tables: what the tables were
 * @stack: what the stacks were
 */
struct digest_stop {
	__u64 group[CPUS][GROUPS];
	__u64 page[PAGES];
	unsigned char tables[TABLES_SIZE];
	unsigned char stack[CPUS * PAGE];
};

FIXTURE(digest) {
	struct digest_stop *first, *second;
	__u64 seed;
};

FIXTURE_VARIANT(digest) {
	const char *name;
	const struct program *program;
	int cpus;
};

FIXTURE_VARIANT_ADD(digest, legacy) { "torture-legacy", &program_torture32, 1 };
FIXTURE_VARIANT_ADD(digest, pae) { "torture-pae", &program_torture_pae, 1 };
FIXTURE_VARIANT_ADD(digest, long_mode) { "torture-long_mode", &program_torture64, 1 };
FIXTURE_VARIANT_ADD(digest, five_levels) { "torture-five_levels", &program_torture57, 1 };
FIXTURE_VARIANT_ADD(digest, legacy_smp) { "torture-legacy_smp", &program_torture32, 2 };
FIXTURE_VARIANT_ADD(digest, pae_smp) { "torture-pae_smp", &program_torture_pae, 2 };
FIXTURE_VARIANT_ADD(digest, long_mode_smp) { "torture-long_mode_smp", &program_torture64, 2 };
FIXTURE_VARIANT_ADD(digest, five_levels_smp) { "torture-five_levels_smp", &program_torture57, 2 };

FIXTURE_SETUP(digest)
{
	const char *seed = getenv("HULL_SEED");
	struct guest none = { .dev = hull_open() };

	if (variant->program->la57 && !guest_has_la57(&none))
		SKIP_VARIANT("the CPU has no five levels");
	/* On Bochs' AMD CPU they do take turns. */
	if (variant->cpus == 2 && NEVER_INTERRUPTED && !runs_on("bochs/svm"))
		SKIP_VARIANT("one CPU, which nothing takes from a guest with IF clear");
	close(none.dev);
	self->seed = seed ? strtoull(seed, NULL, 0) : (__u64)time(NULL) % 1000000 + 1;
	printf("# HULL_SEED=%llu\n", self->seed);
	self->first = calloc(SYNCS, sizeof(*self->first));
	self->second = calloc(SYNCS, sizeof(*self->second));
	ASSERT_NE(NULL, self->first);
	ASSERT_NE(NULL, self->second);
}

FIXTURE_TEARDOWN(digest)
{
	free(self->first);
	free(self->second);
}

static __u64 hash(const void *from, size_t size)
{
	return digest_hash(DIGEST_HASH_START, from, size);
}

/* Nothing is on the handlers' stack where the guest stops. */
static int clear_dead_stack(struct guest *guest, unsigned int id, __u64 sp)
{
	if (sp < STACK(id) || sp >= STACK(id + 1)) {
		printf("# the stack is at %#llx\n", (unsigned long long)sp);
		return -1;
	}
	memset(guest->memory + STACK(id), 0, sp - STACK(id));
	memset(guest->memory + (TRAP_STACK_GPA(id) & ~(PAGE - 1)), 0, PAGE);
	return 0;
}

static int take_registers(struct guest *guest, unsigned int id, struct digest_stop *digest)
{
	static struct hull_vcpu_state state;
	const struct {
		const void *at;
		size_t size;
	} groups[GROUPS] = {
		{ &state.gprs, sizeof(state.gprs) }, { &state.segments, sizeof(state.segments) },
		{ &state.control, sizeof(state.control) }, { &state.debug, sizeof(state.debug) },
		{ &state.msrs, sizeof(state.msrs) }, { &state.fpu, sizeof(state.fpu) },
		{ &state.events, sizeof(state.events) },
	};
	__u32 i;

	memset(&state, 0, sizeof(state));
	if (hull_get_state(guest->cpu[id].fd, (1 << GROUPS) - 1, &state))
		return -1;
	/* Time goes on. */
	for (i = 0; i < state.msrs.count; i++) {
		if (state.msrs.msr[i].index == MSR_TSC)
			state.msrs.msr[i].value = 0;
	}
	for (i = 0; i < GROUPS; i++)
		digest->group[id][i] = hash(groups[i].at, groups[i].size);
	return clear_dead_stack(guest, id, state.gprs.gpr[HULL_GPR_RSP]);
}

static void take_memory(struct guest *guest, struct digest_stop *digest)
{
	__u64 *roots;
	size_t i;

	memcpy(digest->tables, guest->memory + FIXED_TABLES, TABLES_SIZE);
	memcpy(digest->stack, guest->memory + STACK(0), sizeof(digest->stack));
	/* PAE's root entries have no accessed bit, but QEMU sets it. */
	roots = (__u64 *)(digest->tables + FIXED_ROOTS - FIXED_TABLES);
	for (i = 0; i < ROOTS * 4; i++)
		roots[i] &= ~0x20ULL;
	for (i = 0; i < PAGES; i++)
		digest->page[i] = hash(guest->memory + i * PAGE, PAGE);
	digest->page[FIXED_ROOTS / PAGE] = hash(roots, PAGE);
}

/* The same as a line. Pages are in what they are for: code and stacks, tables, data. */
static int print_stop(struct digest *line, struct guest *guest, const char *name, int cpus,
		      int number, const struct digest_stop *stop)
{
	char text[24];
	int id, ret = 0;
	size_t i;

	snprintf(text, sizeof(text), "%d", number);
	digest_begin(line, name, text);
	for (id = 0; id < cpus; id++)
		ret |= digest_vcpu(line, guest, id);
	for (i = 0; i < PAGES; i++) {
		snprintf(text, sizeof(text), "page_%lx", i * PAGE);
		digest_word(line, i < PROGRAM_TABLES / PAGE ? "program" :
			    i < PROGRAM_DATA / PAGE ? "tables" : "data", text, stop->page[i]);
	}
	digest_end(line);
	return ret;
}

/* What the launcher does for the guest: an answer to a hole's read, an entry of a table. */
static bool help(struct guest *guest, unsigned int id, const struct program *program, __u32 report)
{
	struct hull_endpoint *own = &guest->cpu[id].own;
	struct torture *shared = (struct torture *)(guest->memory + PROGRAM_SHARED);
	int size = program == &program_torture32 ? 4 : 8;

	if (report == REPORT_WRITE) {
		if (shared->write_gpa < POOL_TABLES || shared->write_gpa >= POOL_END)
			return false;
		memcpy(guest->memory + shared->write_gpa, &shared->write_entry, size);
		shared->written = 1;
		if (hull_memory_written(guest->vm, shared->write_gpa, size))
			return false;
	}
	hull_answer(own, report ? 0 : HOLE_VALUE(own->current.address));
	return true;
}

/* Run vCPU @turn, or the other after its turn, to REPORT_SYNC, which is vCPU 0's. */
static bool run_to_sync(struct guest *guest, const struct program *program, unsigned int *turn)
{
	const struct torture *shared = (struct torture *)(guest->memory + PROGRAM_SHARED);
	const struct hull_mailbox *request;
	bool hole;
	__u32 report;
	int ret;

	do {
		request = &guest->cpu[*turn].own.current;
		ret = guest_run(guest, *turn);
		hole = ret == HULL_EXIT_REQUEST && request->space == HULL_SPACE_MEMORY;
		report = hole ? 0 : program_report(guest, *turn, program, ret);
		if (report == REPORT_SYNC)
			return true;
		if (!hole && report != REPORT_WRITE && report != REPORT_TURN)
			break;
		if (!help(guest, *turn, program, report))
			break;
		if (report == REPORT_TURN)
			*turn ^= 1;
	} while (1);
	printf("# vCPU %u, step %u: report %u, failure %u at %#llx: got %#llx, wanted %#llx, at %#llx\n",
	       *turn, shared->step, report, shared->failure, (unsigned long long)shared->address,
	       (unsigned long long)shared->got, (unsigned long long)shared->wanted,
	       (unsigned long long)shared->where);
	return false;
}

/* The whole run. 0; 1: no VM with this paging; -1 after a line. */
static int run(const FIXTURE_VARIANT(digest) *what, __u32 paging, __u64 seed,
	       struct digest_stop *digests)
{
	unsigned int turn = 0;
	struct torture *shared;
	struct digest line;
	bool print = digest_wanted(&line);
	/* Hashes of all memory are what takes long. */
	int syncs = print && !getenv("HULL_LONG") ? SYNCS / 2 : SYNCS;
	struct guest guest;
	int i, id, ret = -1;

	if (guest_create_paging(&guest, 0, PROGRAM_END, paging)) {
		ret = 1;
		goto out;
	}
	for (id = 0; id < what->cpus; id++) {
		if ((id && guest_add_cpu(&guest, id)) || program_start(&guest, id, what->program))
			goto out;
	}
	shared = (struct torture *)(guest.memory + PROGRAM_SHARED);
	shared->seed = seed;
	shared->sync = STEPS;
	shared->flags = TORTURE_EXACT | TORTURE_WRITES |
			(what->cpus > 1 ? TORTURE_SECOND | TORTURE_TURNS : 0);
	/* Elsewhere there may be no SMEP and SMAP. */
	if (!print)
		shared->flags |= TORTURE_CR4(guest_new_cr4(&guest));
	for (i = 0; i < syncs; i++) {
		if (!run_to_sync(&guest, what->program, &turn))
			goto out;
		for (id = 0; id < what->cpus; id++) {
			if (take_registers(&guest, id, &digests[i]))
				goto out;
		}
		take_memory(&guest, &digests[i]);
		if (print && print_stop(&line, &guest, what->name, what->cpus, i, &digests[i]))
			goto out;
		hull_answer(&guest.cpu[0].own, 0);
	}
	printf("# %u steps, %u reads, %u writes, %u table writes, %u fetches, %u faults, %u changes, %u shootdowns\n",
	       shared->step, shared->reads, shared->writes, shared->table_writes, shared->fetches,
	       shared->faults, shared->changes, shared->shootdowns);
	ret = 0;
out:
	guest_destroy(&guest);
	return ret;
}

static void show_words(const unsigned char *a, const unsigned char *b, size_t page)
{
	size_t i;

	for (i = 0; i < PAGE; i += 4) {
		if (memcmp(a + i, b + i, 4))
			printf("#   %#lx: %#x and %#x\n", page * PAGE + i, *(__u32 *)(a + i),
			       *(__u32 *)(b + i));
	}
}

/* Of tables and of the stack, what is there. */
static void show_page(const struct digest_stop *a, const struct digest_stop *b, size_t page)
{
	size_t at = page * PAGE - FIXED_TABLES;

	if (page * PAGE >= STACK(0) && page * PAGE < STACK(CPUS))
		show_words(a->stack + (page * PAGE - STACK(0)), b->stack + (page * PAGE - STACK(0)),
			   page);
	else if (page * PAGE >= FIXED_TABLES && page * PAGE < POOL_END)
		show_words(a->tables + at, b->tables + at, page);
}

/* The first stop where they differ is the one to look at. */
static int compare(const struct digest_stop *a, const struct digest_stop *b)
{
	static const char *const groups[GROUPS] = {
		"gprs", "segments", "control", "debug", "msrs", "fpu", "events",
	};
	int sync, different = 0;
	size_t i;

	for (sync = 0; sync < SYNCS && !different; sync++, a++, b++) {
		for (i = 0; i < CPUS * GROUPS; i++) {
			if (a->group[i / GROUPS][i % GROUPS] == b->group[i / GROUPS][i % GROUPS])
				continue;
			printf("# stop %d: %s of vCPU %zu differ\n", sync, groups[i % GROUPS],
			       i / GROUPS);
			different++;
		}
		for (i = 0; i < PAGES; i++) {
			if (a->page[i] == b->page[i])
				continue;
			printf("# stop %d: page %#lx differs\n", sync, i * PAGE);
			show_page(a, b, i);
			different++;
		}
	}
	return different;
}

/* Without this the next test says nothing. */
TEST_F_TIMEOUT(digest, same_paging_twice, 120)
{
	struct digest line;

	ASSERT_EQ(0, run(variant, digest_paging(), self->seed, self->first));
	if (digest_wanted(&line))
		return;
	ASSERT_EQ(0, run(variant, HULL_PAGING_AUTO, self->seed, self->second));
	EXPECT_EQ(0, compare(self->first, self->second));
	/* And other numbers give another result. */
	EXPECT_NE(self->first[0].page[POOL_TABLES / PAGE],
		  self->first[SYNCS - 1].page[POOL_TABLES / PAGE]);
}

TEST_F_TIMEOUT(digest, nested_and_shadow_paging, 120)
{
	struct digest line;
	int ret;

	if (digest_wanted(&line))
		SKIP(return, "digests are for others to compare");
	ret = run(variant, HULL_PAGING_NESTED, self->seed, self->first);
	if (ret == 1)
		SKIP(return, "no nested paging here");
	ASSERT_EQ(0, ret);
	if (runs_on("bochs/svm"))
		SKIP(return, "VMRUN does not load CR2 here");
	ret = run(variant, HULL_PAGING_SHADOW, self->seed, self->second);
	if (ret == 1)
		SKIP(return, "no shadow paging here");
	ASSERT_EQ(0, ret);
	EXPECT_EQ(0, compare(self->first, self->second));
}

HULL_TEST_MAIN
