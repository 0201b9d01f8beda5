// SPDX-License-Identifier: GPL-2.0
/*
 * The torture guest's main loop. See torture.h.
 */
#include "torture.h"

/**
 * struct context - what one PCID may have cached; without PCIDs there is one
 * @stale: translations of what entries were
 * @used: any at all
 * @root: it was last there with
 * @left: when it was there last
 */
struct context {
	bool stale;
	bool used;
	word root;
	uint32_t left;
};

const uint16_t pcids[PCIDS] = { 0, 3, 11, 0x803 };
static struct context contexts[PCIDS];
static struct context *current = &contexts[0];
/* Counts switches; and when entries became what they are. */
static uint32_t clock;
static uint32_t written[POOL_COUNT][SLOTS];
/* PAE: the current root was written to, which is seen when CR3 is loaded. */
static bool reload;
word recent[RECENT];

void fail(enum torture_failure what, uint64_t address, uint64_t got, uint64_t wanted,
	  uint64_t where)
{
	torture->failure = what;
	torture->address = address;
	torture->got = got;
	torture->wanted = wanted;
	torture->where = where;
	torture->cr0 = get_cr0();
	torture->cr3 = get_cr3();
	torture->cr4 = get_cr4();
	for (;;)
		report(REPORT_FAILED);
}

/* ---- what makes changes seen ---------------------------------------------------------------- */

static bool has_pcids(void)
{
	return get_cr4() & CR4_PCIDE;
}

static word current_root(void)
{
	return LEVELS == 4 ? get_cr3() & ~(word)0xfff : get_cr3();
}

/* Another PCID, or the same; @keep: what is cached for it stays. */
static void load_context(word root, struct context *to, bool keep)
{
	word value = root;

	current->used = true;
	current->left = clock++;
#if LEVELS == 4
	value |= pcids[to - contexts] | (keep ? 1UL << 63 : 0);
#endif
	set_cr3(value);
	/* Global translations may stay, and belong to any root; so do those of another one. */
	to->stale = (get_cr4() & CR4_PGE) || (keep && (to->stale || to->root != root));
	to->root = root;
	current = to;
	torture->switches++;
}

static void load_root(word root)
{
	reload = false;
	load_context(root, current, false);
}

static void toggle_cr4(word bits)
{
	int i;

	set_cr4(get_cr4() ^ bits);
	if (!(bits & (CR4_PGE | CR4_PCIDE)))
		return;
	for (i = 0; i < PCIDS; i++)
		contexts[i].stale = contexts[i].used = false;
}

/*
 * An entry is another; @cached: the old one may have been. It was by a PCID that was there while it
 * was what it was: others must not see it.
 */
static void note_change(uint32_t gpa, bool cached)
{
	uint32_t *when = &written[(gpa - POOL_TABLES) / 4096][gpa % 4096 / sizeof(entry_t)];
	int i;

	for (i = 0; cached && i < PCIDS; i++) {
		struct context *context = &contexts[i];

		if (context == current || (get_cr4() & CR4_PGE) ||
		    (context->used && *when <= context->left))
			context->stale = true;
	}
	*when = clock;
}

/* Before an access. */
static void settle(word gva)
{
	torture->settled = SETTLED_NOTHING;
	if (reload)
		load_root(current_root());
	if (!current->stale)
		return;
	if (random32() % 8) {
		invlpg(gva);
		torture->settled = SETTLED_INVLPG;
	} else if (get_cr4() & CR4_PGE) {
		toggle_cr4(CR4_PGE);
		toggle_cr4(CR4_PGE);
		torture->settled = SETTLED_PGE;
	} else {
		load_root(current_root());
		torture->settled = SETTLED_CR3;
	}
}

static void change(uint32_t gpa, entry_t entry)
{
	bool changed = get_entry(gpa) != entry, cached = set_entry(gpa, entry);

	if (changed)
		note_change(gpa, cached);
}

/* ---- accesses ------------------------------------------------------------------------------- */

static bool is_data(uint64_t gpa)
{
	return gpa >= PROGRAM_DATA && gpa < PROGRAM_END;
}

static bool is_write(unsigned int kind)
{
	return (kind & 3) == ACCESS_WRITE;
}

/* Bits that an access adds to entry @i of its path. An entry can be there twice. */
static entry_t added_bits(const struct walk *path, int i, unsigned int kind)
{
	entry_t bits = 0;
	int k;

	for (k = 0; k < path->depth; k++) {
		if (path->at[k] != path->at[i] || (LEVELS == 3 && k == 0))
			continue;
		bits |= BIT_A;
		if (k == path->depth - 1 && is_write(kind))
			bits |= BIT_D;
	}
	return bits;
}

static void check_bits(const struct walk *path, word gva, unsigned int kind)
{
	entry_t ignore = has_flag(TORTURE_SECOND) ? BITS_SHARED : 0, wanted, found;
	int i;

	/* PAE's root entries have no such bits; QEMU sets one there nevertheless. */
	for (i = LEVELS == 3; i < path->depth; i++) {
		wanted = path->entry[i] | added_bits(path, i, kind);
		found = get_entry(path->at[i]);
		/* The access itself may have replaced it. */
		if (is_write(kind) && path->gpa == path->at[i])
			continue;
		if (((found ^ wanted) & ~ignore) || (wanted & ~found & (BIT_A | BIT_D)))
			fail(FAILURE_BITS, gva, found, wanted, path->at[i]);
		if (in_pool(path->at[i]))
			note_entry(path->at[i], found);
	}
}

/*
 * Whether the entries above one that faults become accessed is the CPU's choice. For runs to be
 * compared it is made the same.
 */
static void settle_faulted(const struct walk *path)
{
	entry_t may_change = has_flag(TORTURE_SECOND) ? BITS_SHARED : BIT_A, found;
	int i;

	for (i = LEVELS == 3; i < path->depth; i++) {
		if (!in_pool(path->at[i]))
			continue;
		found = get_entry(path->at[i]);
		if ((found ^ path->entry[i]) & ~may_change)
			fail(FAILURE_BITS, 0, found, path->entry[i], path->at[i]);
		if (!has_flag(TORTURE_EXACT) || !(found & BIT_P))
			note_entry(path->at[i], found);
		else if (!(path->entry[i] & BIT_A))
			set_entry(path->at[i], found | BIT_A);
	}
}

static void check_value(const struct walk *path, word gva, unsigned int kind, word value)
{
	const struct probe *probe = &probes[0];
	word found, mask = ~(word)0;

	if (path->gpa >= PROGRAM_END) {
		torture->holes++;
		if (probe->value != HOLE_VALUE(path->gpa))
			fail(FAILURE_VALUE, gva, probe->value, HOLE_VALUE(path->gpa), path->gpa);
		return;
	}
	/* What is below changes while the program runs. */
	if (path->gpa < PROGRAM_TABLES)
		return;
	found = *(volatile word *)(word)path->gpa;
	if (has_flag(TORTURE_SECOND) && in_pool(path->gpa))
		mask = ~(word)BITS_SHARED;
	if (!is_write(kind))
		value = probe->value;
	if ((kind & 3) != ACCESS_FETCH && ((value ^ found) & mask))
		fail(FAILURE_VALUE, gva, value, found, path->gpa);
}

/* A table is written through a mapping of it: the model follows. */
static void note_table_write(uint32_t gpa, entry_t old)
{
	entry_t new = get_entry(gpa);

	note_entry(gpa, new);
	torture->table_writes++;
	torture->changes++;
	note_change(gpa, ((old & BIT_P) && ((old ^ new) & ~(entry_t)BITS_SHARED)) ||
			 (old & ~new & (BIT_A | BIT_D)));
}

static void count(unsigned int kind)
{
	if (is_write(kind))
		torture->writes++;
	else if ((kind & 3) == ACCESS_FETCH)
		torture->fetches++;
	else
		torture->reads++;
}

static void perform(const struct walk *path, word gva, unsigned int kind, word value)
{
	const struct probe *probe = &probes[0];
	bool is_table = is_write(kind) && !path->fault && in_pool(path->gpa);
	entry_t old = is_table ? get_entry(path->gpa) : 0;
	int i;

	torture->kind = kind;
	for (i = 0; i < path->depth; i++) {
		torture->at[i] = path->at[i];
		torture->entry[i] = path->entry[i];
	}
	probe_run(&probes[0], kind, gva, value);
	if (!!probe->vector != path->fault)
		fail(FAILURE_FAULT, gva, probe->vector ? probe->error : ~0ULL,
		     path->fault ? path->error : ~0ULL, path->at[path->depth - 1]);
	if (path->fault) {
		torture->faults++;
		if (probe->error != path->error)
			fail(FAILURE_FAULT, gva, probe->error, path->error,
			     path->at[path->depth - 1]);
		if (probe->cr2 != gva)
			fail(FAILURE_FAULT, gva, probe->cr2, gva, path->at[path->depth - 1]);
		settle_faulted(path);
		return;
	}
	count(kind);
	check_value(path, gva, kind, value);
	check_bits(path, gva, kind);
	if (is_table)
		note_table_write(path->gpa, old);
}

/* By turns all is known beforehand, and left the same each time. */
void read_anywhere(word gva)
{
	struct walk path;

	if (has_flag(TORTURE_TURNS)) {
		set_cr3(get_cr3());
		set_cr4(get_cr4() ^ CR4_PGE);
		set_cr4(get_cr4() ^ CR4_PGE);
	}
	walk(&path, get_cr3(), gva, ACCESS_READ);
	probe_run(&probes[1], ACCESS_READ, gva, 0);
	if (!has_flag(TORTURE_TURNS))
		return;
	if (!!probes[1].vector != path.fault)
		fail(FAILURE_FAULT, gva, probes[1].error, path.error, path.at[path.depth - 1]);
	if (path.fault)
		settle_faulted(&path);
}

/*
 * An access that can do no harm: code is only fetched where it is, writes go to data and to those
 * entries of tables that may be changed. What may not be done is made a read.
 */
static void access(word gva, unsigned int kind)
{
	static uint32_t counter;
	word value = ++counter << 1;
	struct walk path;

	settle(gva);
	walk(&path, get_cr3(), gva, kind);
	if (!path.fault && (kind & 3) == ACCESS_FETCH) {
		gva = (gva & ~(word)0xfff) | 0x100;
		walk(&path, get_cr3(), gva, kind);
		if (!is_data(path.gpa) || path.gpa >= REMOVABLE)
			return;
	}
	if (!path.fault && is_write(kind) && in_pool(path.gpa)) {
		gva = (gva & ~(word)0xfff) | (random_slot() & 0xfff);
		walk(&path, get_cr3(), gva, kind);
		value = random_entry();
		if (!is_usable(path.gpa))
			return;
	} else if (!path.fault && is_write(kind) && !is_data(path.gpa)) {
		return;
	}
	if (!path.fault && path.gpa >= PROGRAM_END && random32() % 4)
		return;
	/* Where something is, changes are seen better. */
	if (!path.fault || random32() % 16 == 0)
		recent[random32() % RECENT] = gva & ~(word)0x100;
	perform(&path, gva, kind, value);
}

static void random_access(void)
{
	static const uint8_t kinds[8] = {
		ACCESS_READ, ACCESS_READ, ACCESS_READ, ACCESS_WRITE, ACCESS_WRITE, ACCESS_WRITE,
		ACCESS_WRITE, ACCESS_FETCH,
	};
	uint32_t r = random32();
	unsigned int kind = kinds[r % 8];

	kind |= (r & 0x18 ? 0 : ACCESS_USER) | (r & 0x60 ? 0 : ACCESS_AC);
	access(r & 0x180 ? recent[r / 512 % RECENT] : random_address(), kind);
}

/* ---- changes -------------------------------------------------------------------------------- */

static void change_rights(void)
{
	static const entry_t bits[8] = {
		BIT_W, BIT_U, BIT_NX, BIT_P, BIT_A | BIT_D, BIT_D, BIT_G, BITS_AVL,
	};
	uint32_t gpa = random_slot();

	change(gpa, get_entry(gpa) ^ bits[random32() % 8]);
}

/* What has gone wrong is likelier where many things were done in the same table. */
static void change_some(void)
{
	uint32_t n = 1 + random32() % 3;

	while (n--)
		change(random_slot(), random_entry());
}

static void copy_table(void)
{
	uint32_t from = random_slot() & ~0xfffU, to = random_slot() & ~0xfffU, i;

	for (i = 0; i < 4096; i += sizeof(entry_t)) {
		if (is_usable(to + i))
			change(to + i, get_entry(from + i));
	}
}

/* A large page in small ones. */
static void split(void)
{
	uint32_t table = POOL_TABLES + (ROOTS + random32() % (POOL_COUNT - ROOTS)) * 4096, i;

	for (i = 0; i < SLOTS; i++)
		change(table + i * sizeof(entry_t),
		       (PROGRAM_DATA + i % 512 * 4096) | BIT_P | BIT_W | BIT_U);
	change(random_slot(), table | BIT_P | BIT_W | BIT_U);
}

static void switch_roots(void)
{
	uint32_t n = random32() % 8 ? 1 : 2 + random32() % 30;

	while (n--) {
		word root = roots[random32() % ROOTS];

		if (has_pcids())
			load_context(root, &contexts[random32() % PCIDS], random32() % 4);
		else
			load_root(root);
	}
}

/* Off, for which any PCID may be there, and on, for which it must be 0. */
static void toggle_pcids(void)
{
	if (!has_flag(TORTURE_PCID))
		return;
	if (has_pcids())
		toggle_cr4(CR4_PCIDE);
	load_context(current_root(), &contexts[0], false);
	toggle_cr4(CR4_PCIDE);
}

static void change_root(void)
{
	word root = roots[random32() % ROOTS];

	if (LEVELS != 3)
		return;
	set_root_entry(root + (1 + random32() % 3) * sizeof(entry_t),
		       (POOL_TABLES + random32() % POOL_COUNT * 4096) |
		       (random32() % 8 ? BIT_P : 0));
	reload = true;
	current->stale = true;
}

static void toggle(void)
{
	switch (random32() % (has_flag(TORTURE_PCID) ? 5 : 4)) {
	case 0:
		set_cr0(get_cr0() ^ CR0_WP);
		break;
	case 1:
		toggle_cr4(CR4_PGE);
		break;
	case 2:
		toggle_cr4(has_flag(TORTURE_SMEP) ? CR4_SMEP : 0);
		break;
	case 3:
		toggle_cr4(has_flag(TORTURE_SMAP) ? CR4_SMAP : 0);
		break;
	case 4:
		toggle_pcids();
	}
}

static void ask_launcher(void)
{
	uint32_t gpa = random_slot();
	entry_t entry = random_entry(), old = get_entry(gpa);

	if (!has_flag(TORTURE_WRITES))
		return;
	torture->write_gpa = gpa;
	torture->write_entry = entry;
	torture->written = 0;
	report(REPORT_WRITE);
	if (!torture->written)
		return;
	note_entry(gpa, entry);
	torture->changes++;
	note_change(gpa, old & BIT_P);
}

static void step(void)
{
	uint32_t n = 1 + random32() % 5;

	switch (random32() % 64) {
	case 0 ... 13:
		change_some();
		break;
	case 14 ... 15:
		change(random_slot(), 0);
		break;
	case 16 ... 23:
		change_rights();
		break;
	case 24 ... 26:
		switch_roots();
		break;
	case 27 ... 28:
		toggle();
		break;
	case 29:
		change_root();
		break;
	case 30:
		if (random32() % 4 == 0)
			random32() % 2 ? split() : copy_table();
		break;
	case 31:
		ask_launcher();
		break;
	case 32:
		shoot_down();
		break;
	case 33:
		access(REMOVABLE + random32() % 16 * 4096 + 8, ACCESS_READ);
		access(REMOVABLE + random32() % 16 * 4096 + 8, ACCESS_WRITE);
		break;
	default:
		while (n--)
			random_access();
	}
}

/* ---- begin and end -------------------------------------------------------------------------- */

void enable_paging(void)
{
	if (LEVELS > 2)
		wrmsr(0xc0000080, LEVELS >= 4 ? 0xd00 : 0x800);
	set_cr3(roots[0]);
	set_cr4(get_cr4() | CR4_PGE | (LEVELS == 2 ? CR4_PSE : CR4_PAE));
	set_cr0(get_cr0() | CR0_PG | CR0_WP);
	if (has_flag(TORTURE_PCID))
		set_cr4(get_cr4() | CR4_PCIDE);
}

void guest_main(void)
{
	random_seed(torture->seed);
	build_tables();
	enable_paging();
	release_second();
	while (!torture->stop) {
		step();
		if (has_flag(TORTURE_TURNS))
			give_way();
		torture->step++;
		if (torture->step % 1024 == 0)
			check_tables();
		if (torture->step % torture->sync == 0)
			report(REPORT_SYNC);
	}
	check_tables();
	check_hammer();
	for (;;)
		report(REPORT_DONE);
}
