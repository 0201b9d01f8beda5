// SPDX-License-Identifier: GPL-2.0
/*
 * What guest paging means, in each format and page size: rights of each kind of access under WP,
 * SMEP, SMAP and NX, error codes and CR2, reserved bits, accessed and dirty bits, paging off. The
 * guest builds nothing: it takes steps (lib/steps.h) in tables that are there. Tables that change
 * are in guest_paging_change.c.
 */
#include <sys/eventfd.h>

#include "harness.h"
#include "steps.h"

#define UPPER(rights)	(((rights) & 1 ? PTE_W : 0) | ((rights) & 2 ? PTE_U : 0) | \
			 ((rights) & 4 ? PTE_NX : 0))
#define TAG		0x5a5a1234ULL
#define CODE		0x100		/* where in the page NOP; INT is */
#define BASE32		0x40000000ULL
#define BASE64		0x8000000000ULL
#define BASE57		0xff11000000000000ULL	/* not canonical in 48 bits */
#define LONG_MODE	(variant->kind >= PAGING_LONG)

FIXTURE(paging) {
	struct guest guest;
	struct paging tables;
	struct script *script;
	const struct program *program;
	__u64 base;		/* of the tested addresses */
	__u64 span;		/* of a leaf */
	__u64 frame;		/* of a leaf: PROGRAM_DATA is in it */
	__u64 leaf;		/* PTE_P, and PTE_PS for large pages */
	int level;		/* of a leaf */
	__u64 cr0, cr4, efer;
	__u32 gpa_bits;
};

FIXTURE_VARIANT(paging) {
	enum paging_kind kind;
	int level;
};

FIXTURE_VARIANT_ADD(paging, legacy_4k) { PAGING_32, 1 };
FIXTURE_VARIANT_ADD(paging, legacy_4m) { PAGING_32, 2 };
FIXTURE_VARIANT_ADD(paging, pae_4k) { PAGING_PAE, 1 };
FIXTURE_VARIANT_ADD(paging, pae_2m) { PAGING_PAE, 2 };
FIXTURE_VARIANT_ADD(paging, long_4k) { PAGING_LONG, 1 };
FIXTURE_VARIANT_ADD(paging, long_2m) { PAGING_LONG, 2 };
FIXTURE_VARIANT_ADD(paging, long_1g) { PAGING_LONG, 3 };
FIXTURE_VARIANT_ADD(paging, la57_4k) { PAGING_LA57, 1 };
FIXTURE_VARIANT_ADD(paging, la57_1g) { PAGING_LA57, 3 };

FIXTURE_SETUP(paging)
{
	const struct program_header *header;
	struct paging *tables = &self->tables;
	unsigned char *data;

	struct hull_info info;

	ASSERT_EQ(0, guest_create(&self->guest, 0, PROGRAM_END)) {
		TH_LOG("cannot create a VM: %s", strerror(errno));
	}
	ASSERT_EQ(0, hull_get_info(self->guest.dev, &info));
	self->gpa_bits = info.gpa_bits;
	self->program = LONG_MODE ? &program_steps64 : &program_steps32;
	ASSERT_EQ(0, program_start(&self->guest, 0, self->program));
	if (variant->kind == PAGING_LA57) {
		if (!guest_has_la57(&self->guest))
			SKIP_VARIANT("the CPU has no five levels");
		ASSERT_EQ(0, guest_set_la57(&self->guest, 0));
	}
	header = (const struct program_header *)self->program->image;
	paging_init(tables, &self->guest, variant->kind, PROGRAM_TABLES, header->user_page);
	self->script = calloc(1, sizeof(*self->script));
	ASSERT_NE(NULL, self->script);
	script_init(self->script, &self->guest, self->program, tables->size);

	self->level = variant->level;
	self->span = paging_span(tables, self->level);
	self->frame = PROGRAM_DATA & ~(self->span - 1);
	self->leaf = PTE_P | (self->level > 1 ? PTE_PS : 0);
	self->base = variant->kind == PAGING_LA57 ? BASE57 : LONG_MODE ? BASE64 : BASE32;
	self->base += PROGRAM_DATA - self->frame;
	self->cr0 = X86_CR0_BASE | X86_CR0_PG | X86_CR0_WP;
	self->cr4 = paging_cr4(tables);
	self->efer = paging_efer(tables);
	data = self->guest.memory + PROGRAM_DATA;
	*(__u64 *)data = TAG;
	memcpy(data + CODE, "\x90\xcd\x80", 3);

	if (self->efer)
		script_efer(self->script, self->efer);
	script_cr3(self->script, tables->root);
	script_cr4(self->script, self->cr4);
	script_cr0(self->script, self->cr0);
}

FIXTURE_TEARDOWN(paging)
{
	struct hull_info info;

	if (!hull_get_info(self->guest.dev, &info) && (info.capabilities & HULL_CAP_CHECK_MODE))
		EXPECT_EQ(0, hull_vm_check(self->guest.vm));
	guest_destroy(&self->guest);
	free(self->script);
}

/* ---- rights --------------------------------------------------------------------------------- */

/* What the manuals say of an access; the entries are present. 0, or the error code of a #PF. */
static __u32 wanted_error(__u64 rights, __u32 kind, __u64 cr0, __u64 cr4, __u64 efer)
{
	bool user = kind & ACCESS_USER, write = (kind & 3) == ACCESS_WRITE;
	bool fetch = (kind & 3) == ACCESS_FETCH, denied = false;

	if (user && !(rights & PTE_U))
		denied = true;
	if (write && !(rights & PTE_W) && (user || (cr0 & X86_CR0_WP)))
		denied = true;
	if (fetch && (rights & PTE_NX))
		denied = true;
	if (!user && (rights & PTE_U) && fetch && (cr4 & X86_CR4_SMEP))
		denied = true;
	if (!user && (rights & PTE_U) && !fetch && (cr4 & X86_CR4_SMAP) && !(kind & ACCESS_AC))
		denied = true;
	if (!denied)
		return 0;
	return PF_P | (write ? PF_W : 0) | (user ? PF_U : 0) |
	       (fetch && ((efer & X86_EFER_NXE) || (cr4 & X86_CR4_SMEP)) ? PF_FETCH : 0);
}

static void add_access(struct script *script, __u32 kind, __u64 gva, __u32 error)
{
	if ((kind & 3) == ACCESS_FETCH)
		gva += CODE;
	if ((kind & 3) == ACCESS_WRITE)
		gva += 8;
	if (error)
		script_fault(script, kind, gva, error);
	else if ((kind & 3) == ACCESS_READ)
		script_read(script, kind, gva, TAG);
	else if ((kind & 3) == ACCESS_WRITE)
		script_write(script, kind & ~3, gva, gva);
	else
		script_fetch(script, kind & ~3, gva);
}

static const __u32 kinds[] = {
	ACCESS_READ, ACCESS_WRITE, ACCESS_FETCH,
	ACCESS_USER | ACCESS_READ, ACCESS_USER | ACCESS_WRITE, ACCESS_USER | ACCESS_FETCH,
	ACCESS_AC | ACCESS_READ, ACCESS_AC | ACCESS_WRITE, ACCESS_AC | ACCESS_FETCH,
};

#define KINDS	(sizeof(kinds) / sizeof(kinds[0]))

/* Rights of the entries above the leaf: 8 of them, or 1 where those have no rights. */
static unsigned int uppers(const struct paging *tables, int level)
{
	return level == tables->levels || (tables->kind == PAGING_PAE && level == 2) ? 1 : 8;
}

/*
 * A leaf of each kind of rights below an entry of each kind. Left out is NX in 32-bit paging. The
 * address of leaf (upper, lower) is in @gva, the rights of both together in @rights.
 */
struct combination {
	__u64 gva;
	__u64 rights;
};

static unsigned int map_combinations(struct paging *tables, __u64 base, int level, __u64 leaf,
				     struct combination *list)
{
	const unsigned int rights_end = tables->kind == PAGING_32 ? 4 : 8;
	unsigned int upper, lower, n = 0;

	for (upper = 0; upper < uppers(tables, level) && upper < rights_end; upper++) {
		__u64 region = base + upper * paging_span(tables, level + 1);

		for (lower = 0; lower < rights_end; lower++) {
			__u64 gva = region + lower * paging_span(tables, level);
			__u64 above = PTE_W | PTE_U;

			paging_map(tables, gva, level, leaf | UPPER(lower));
			if (uppers(tables, level) > 1) {
				__u64 gpa = paging_entry(tables, gva, level + 1);

				above = UPPER(upper);
				paging_put(tables, gpa, (paging_get(tables, gpa) &
					   ~(PTE_W | PTE_U | PTE_NX)) | above);
			}
			list[n].gva = gva;
			list[n++].rights = (UPPER(lower) & above & (PTE_W | PTE_U)) |
					   ((UPPER(lower) | above) & PTE_NX);
		}
	}
	return n;
}

TEST_F_TIMEOUT(paging, rights_of_each_access, 120)
{
	struct combination list[64];
	struct script *script = self->script;
	unsigned int n, i, k, mode;

	n = map_combinations(&self->tables, self->base, self->level, self->frame | self->leaf,
			     list);
	for (mode = 0; mode < 8; mode++) {
		__u64 cr0 = self->cr0 & ~(mode & 1 ? X86_CR0_WP : 0);
		__u64 cr4 = self->cr4 | (mode & 2 ? X86_CR4_SMEP : 0) |
			    (mode & 4 ? X86_CR4_SMAP : 0);

		if (cr4 & ~self->cr4 & ~guest_new_cr4(&self->guest))
			continue;
		script_cr4(script, cr4);
		script_cr0(script, cr0);
		for (i = 0; i < n; i++) {
			for (k = 0; k < KINDS; k++)
				add_access(script, kinds[k], list[i].gva,
					   wanted_error(list[i].rights, kinds[k], cr0, cr4,
							self->efer));
		}
		ASSERT_EQ(0, script_run(script)) {
			TH_LOG("WP %d, SMEP %d, SMAP %d", !(mode & 1), mode / 2 & 1, mode / 4);
		}
	}
}

/* Without NXE a fetch is not told from a read, unless there is SMEP. */
TEST_F(paging, fetches_without_nxe)
{
	struct script *script = self->script;

	if (variant->kind == PAGING_PAE)
		script_efer(script, 0);
	else if (LONG_MODE)
		script_efer(script, X86_EFER_LONG);
	paging_map(&self->tables, self->base, self->level, self->frame | self->leaf);
	script_fetch(script, 0, self->base + CODE);
	script_fault(script, ACCESS_USER | ACCESS_FETCH, self->base + CODE, PF_P | PF_U);
	if (guest_new_cr4(&self->guest) & X86_CR4_SMEP) {
		script_cr4(script, self->cr4 | X86_CR4_SMEP);
		script_fault(script, ACCESS_USER | ACCESS_FETCH, self->base + CODE,
			     PF_P | PF_U | PF_FETCH);
	}
	/* NX is reserved now. */
	if (variant->kind != PAGING_32) {
		script_put(script, paging_entry(&self->tables, self->base, self->level),
			   self->frame | self->leaf | PTE_NX);
		script_invlpg(script, self->base);
		script_fault(script, ACCESS_READ, self->base, PF_P | PF_RSVD);
		script_efer(script, self->efer);
		script_cr3(script, self->tables.root);
		script_read(script, 0, self->base, TAG);
	}
	ASSERT_EQ(0, script_run(script));
}

/* An error code of 0 is a fault, too: that of a supervisor's read. */
#define NOT_ZERO	(1U << 31)

TEST_F(paging, not_present_at_each_level)
{
	struct script *script = self->script;
	struct paging *tables = &self->tables;
	unsigned int k;
	int level;

	paging_map(tables, self->base, self->level, self->frame | self->leaf | PTE_W | PTE_U);
	for (level = self->level; level <= tables->levels; level++) {
		__u64 gpa = paging_entry(tables, self->base, level);
		__u64 entry = paging_get(tables, gpa);

		/* All other bits set: nothing of such an entry counts. */
		script_put(script, gpa, ~PTE_P);
		script_cr3(script, tables->root);
		for (k = 0; k < 6; k++) {
			__u32 error = wanted_error(0, kinds[k] | ACCESS_USER, 0, 0, self->efer);

			add_access(script, kinds[k], self->base,
				   (error & ~(PF_P | PF_U)) |
				   (kinds[k] & ACCESS_USER ? PF_U : 0) | NOT_ZERO);
		}
		script_put(script, gpa, entry);
		script_cr3(script, tables->root);
		script_read(script, 0, self->base, TAG);
	}
	for (k = 0; k < script->count; k++)
		script->want[k].error &= ~NOT_ZERO;
	ASSERT_EQ(0, script_run(script));
}

/* ---- reserved bits -------------------------------------------------------------------------- */

/* Bits that must be zero in an entry of @level. */
static __u64 reserved_bits(const struct paging *tables, int level, bool leaf, __u32 gpa_bits)
{
	__u64 bits = 0;

	if (tables->kind == PAGING_32)
		return leaf && level == 2 ? 1 << 21 : 0;
	bits = gpa_bits < 52 ? 1ULL << 51 : 0;
	if (tables->kind == PAGING_PAE)
		bits |= 0x7ffULL << 52;
	if (leaf && level > 1)
		bits |= (paging_span(tables, level) - 1) & ~0x1fffULL;
	if (level >= 4)
		bits |= PTE_PS;
	return bits;
}

TEST_F(paging, reserved_bits_fault)
{
	struct script *script = self->script;
	struct paging *tables = &self->tables;
	int level, bit;

	paging_map(tables, self->base, self->level, self->frame | self->leaf | PTE_W | PTE_U);
	for (level = self->level; level <= tables->levels; level++) {
		__u64 gpa = paging_entry(tables, self->base, level);
		__u64 entry = paging_get(tables, gpa);
		__u64 bits = reserved_bits(tables, level, level == self->level,
					   self->gpa_bits);

		/* Those of PAE's root are seen at another time on each vendor's CPUs. */
		if (tables->kind == PAGING_PAE && level == 3)
			continue;
		for (bit = 0; bit < 64; bit++) {
			if (!(bits >> bit & 1))
				continue;
			script_put(script, gpa, entry | 1ULL << bit);
			script_cr3(script, tables->root);
			script_fault(script, ACCESS_READ, self->base, PF_P | PF_RSVD);
			script_fault(script, ACCESS_USER | ACCESS_WRITE, self->base + 8,
				     PF_P | PF_RSVD | PF_W | PF_U);
		}
		script_put(script, gpa, entry);
		script_cr3(script, tables->root);
		script_read(script, 0, self->base, TAG);
	}
	ASSERT_EQ(0, script_run(script));
}

/* Bits that software may use, and cache attributes, change nothing. */
TEST_F(paging, ignored_bits_are_ignored)
{
	__u64 bits = 0xe00 | 0x18 | (LONG_MODE ? 0x7ffULL << 52 : 0);
	struct script *script = self->script;
	struct paging *tables = &self->tables;
	int level;

	paging_map(tables, self->base, self->level, self->frame | self->leaf | PTE_W | PTE_U);
	for (level = self->level; level <= tables->levels; level++) {
		__u64 gpa = paging_entry(tables, self->base, level);

		if (tables->kind == PAGING_PAE && level == 3)
			continue;
		script_put(script, gpa, paging_get(tables, gpa) | bits);
		script_cr3(script, tables->root);
		script_read(script, 0, self->base, TAG);
		script_write(script, ACCESS_USER, self->base + 8, level);
	}
	ASSERT_EQ(0, script_run(script));
}

/* ---- accessed and dirty --------------------------------------------------------------------- */

/* The entry, bits A and D taken together, at each level down to the leaf. */
static void expect_bits(struct script *script, struct paging *tables, __u64 gva, int leaf,
			__u64 upper_bits, __u64 leaf_bits)
{
	int level;

	for (level = leaf; level <= tables->levels; level++) {
		__u64 gpa = paging_entry(tables, gva, level);
		__u64 entry = paging_get(tables, gpa) & ~(PTE_A | PTE_D);

		if (tables->kind == PAGING_PAE && level == 3)
			continue;
		script_entry(script, gpa, entry | (level == leaf ? leaf_bits : upper_bits), ~0ULL);
	}
}

TEST_F(paging, accessed_and_dirty_bits)
{
	static const struct {
		__u32 kind;
		__u64 bits;
	} accesses[] = {
		{ ACCESS_READ, PTE_A }, { ACCESS_FETCH, PTE_A }, { ACCESS_USER, PTE_A },
		{ ACCESS_USER | ACCESS_FETCH, PTE_A }, { ACCESS_WRITE, PTE_A | PTE_D },
		{ ACCESS_USER | ACCESS_WRITE, PTE_A | PTE_D },
	};
	struct script *script = self->script;
	struct paging *tables = &self->tables;
	unsigned int i;

	for (i = 0; i < 6; i++) {
		__u64 gva = self->base + i * paging_span(tables, self->level);

		paging_map(tables, gva, self->level, self->frame | self->leaf | PTE_W | PTE_U);
	}
	/* Upper entries become accessed with the first; before, nothing is. */
	expect_bits(script, tables, self->base, self->level, 0, 0);
	for (i = 0; i < 6; i++) {
		__u64 gva = self->base + i * paging_span(tables, self->level);

		expect_bits(script, tables, gva, self->level, i ? PTE_A : 0, 0);
		add_access(script, accesses[i].kind, gva, 0);
		expect_bits(script, tables, gva, self->level, PTE_A, accesses[i].bits);
	}
	/* A write after a read: the translation that is there does not hide it. */
	add_access(script, ACCESS_WRITE, self->base, 0);
	expect_bits(script, tables, self->base, self->level, PTE_A, PTE_A | PTE_D);
	/* Taken back, and seen again. */
	script_put(script, paging_entry(tables, self->base, self->level),
		   self->frame | self->leaf | PTE_W | PTE_U);
	script_invlpg(script, self->base);
	add_access(script, ACCESS_READ, self->base, 0);
	expect_bits(script, tables, self->base, self->level, PTE_A, PTE_A);
	ASSERT_EQ(0, script_run(script));
}

/* What faults is not dirty, nor what is only read while the leaf could be written. */
TEST_F(paging, faults_leave_no_dirty_bit)
{
	struct script *script = self->script;
	struct paging *tables = &self->tables;
	__u64 gpa = paging_entry(tables, self->base, self->level);

	paging_put(tables, gpa, self->frame | self->leaf | PTE_U);
	script_read(script, 0, self->base, TAG);
	script_fault(script, ACCESS_WRITE, self->base + 8, PF_P | PF_W);
	script_fault(script, ACCESS_USER | ACCESS_WRITE, self->base + 8, PF_P | PF_W | PF_U);
	script_entry(script, gpa, self->frame | self->leaf | PTE_U | PTE_A, ~0ULL);
	script_put(script, gpa, self->frame | self->leaf | PTE_W | PTE_A);
	script_invlpg(script, self->base);
	script_fault(script, ACCESS_USER | ACCESS_WRITE, self->base + 8, PF_P | PF_W | PF_U);
	script_read(script, 0, self->base, TAG);
	script_entry(script, gpa, self->frame | self->leaf | PTE_W | PTE_A, ~0ULL);
	ASSERT_EQ(0, script_run(script));
}

/* ---- no memory ------------------------------------------------------------------------------ */

#define DEVICE		0xc0000000ULL

/* A device is written through tables as memory is: by who may, and by nobody else. */
TEST_F(paging, device_pages_have_rights)
{
	struct script *script = self->script;
	struct paging *tables = &self->tables;
	__u64 gpa = paging_entry(tables, self->base, self->level), gva = self->base + 8, count = 0;
	struct hull_range bell = {
		.space = HULL_SPACE_MEMORY, .delivery = HULL_DELIVER_DOORBELL, .length = 8,
		.start = DEVICE + (gva & (self->span - 1)), .consumer = -1,
		.eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	};

	ASSERT_EQ(0, hull_add_range(self->guest.vm, &bell));
	paging_put(tables, gpa, DEVICE | self->leaf | PTE_W);
	script_write(script, 0, gva, 1);
	script_fault(script, ACCESS_USER | ACCESS_WRITE, gva, PF_P | PF_W | PF_U);
	script_put(script, gpa, DEVICE | self->leaf | PTE_U);
	script_invlpg(script, gva);
	script_fault(script, ACCESS_WRITE, gva, PF_P | PF_W);
	script_fault(script, ACCESS_USER | ACCESS_WRITE, gva, PF_P | PF_W | PF_U);
	script_put(script, gpa, DEVICE | self->leaf | PTE_W | PTE_U);
	script_invlpg(script, gva);
	script_write(script, ACCESS_USER, gva, 2);
	script_put(script, gpa, 0);
	script_invlpg(script, gva);
	script_fault(script, ACCESS_WRITE, gva, PF_W);
	ASSERT_EQ(0, script_run(script));
	EXPECT_EQ(sizeof(count), read(bell.eventfd, &count, sizeof(count)));
	EXPECT_EQ(2, count);
	close(bell.eventfd);
}

HULL_TEST_MAIN
