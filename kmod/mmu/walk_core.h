/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Translates a guest-virtual address through the guest's own tables, as the CPU would: for the
 * emulator, for HULL_TRANSLATE and for shadow paging.
 *
 * Paging modes are data: a mode is a list of levels, a level says where its index is in the
 * address, whether a leaf may sit there and which bits are reserved. One loop serves all. It is
 * inlined into two functions: hull_walk_tables() (walk.c), which calls back for each entry, and
 * hull_walk_atomic() (walk_vm.c), each fault's, where reading an entry is a few instructions.
 * Pure, no locks; see walk.h.
 */
#ifndef HULL_MMU_WALK_CORE_H
#define HULL_MMU_WALK_CORE_H

#include "walk.h"

#define CR0_WP		(1ULL << 16)
#define CR0_PG		(1ULL << 31)
#define CR4_PSE		(1ULL << 4)
#define CR4_PAE		(1ULL << 5)
#define CR4_LA57	(1ULL << 12)
#define CR4_SMEP	(1ULL << 20)
#define CR4_SMAP	(1ULL << 21)
#define CR4_PKE		(1ULL << 22)
#define EFER_LMA_BIT	(1ULL << 10)
#define EFER_NXE_BIT	(1ULL << 11)

#define ENTRY_P		(1ULL << 0)
#define ENTRY_W		(1ULL << 1)
#define ENTRY_U		(1ULL << 2)
#define ENTRY_A		(1ULL << 5)
#define ENTRY_D		(1ULL << 6)
#define ENTRY_PS	(1ULL << 7)
#define ENTRY_NX	(1ULL << 63)
#define ENTRY_KEY(e)	(((e) >> 59) & 0xf)

#define ERROR_P		(1U << 0)
#define ERROR_W		(1U << 1)
#define ERROR_U		(1U << 2)
#define ERROR_RSVD	(1U << 3)
#define ERROR_FETCH	(1U << 4)
#define ERROR_KEY	(1U << 5)

#define BITS(high, low)	((~0ULL >> (63 - (high))) & (~0ULL << (low)))

#define MAX_TRIES	64

/* struct walk_level.leaf: can an entry here be a leaf? */
enum walk_leaf {
	LEAF_NEVER,
	LEAF_PS,		/* when PS is set */
	LEAF_PSE,		/* when PS is set and CR4.PSE allows it; else PS is ignored */
	LEAF_ALWAYS,
};

/**
 * struct walk_level - one level of a paging mode
 * @shift: of the index in the address; a leaf here maps 1 << @shift bytes
 * @bits: of the index
 * @leaf: enum walk_leaf
 * @rights: entries carry rights and accessed bits (PAE's root entries do not)
 * @reserved: bits that must be zero in an entry that is no leaf
 * @leaf_reserved: the same, in a leaf at a level above the last
 */
struct walk_level {
	u8 shift;
	u8 bits;
	u8 leaf;
	bool rights;
	u64 reserved;
	u64 leaf_reserved;
};

/**
 * struct walk_mode - one paging mode
 * @nr: levels
 * @entry_size: bytes
 * @root: address bits of CR3
 * @address_mask: bits that the linear address has
 * @reserved: bits of all entries that must be zero
 * @has_nx: entries have a no-execute bit, which is reserved while EFER.NXE is clear
 * @has_keys: CR4.PKE has a meaning
 * @level: from the root down
 */
struct walk_mode {
	u8 nr;
	u8 entry_size;
	bool has_nx;
	bool has_keys;
	u64 root;
	u64 address_mask;
	u64 reserved;
	struct walk_level level[HULL_WALK_LEVELS];
};

#define LEVEL_4K	{ 12, 9, LEAF_ALWAYS, true, 0, 0 }
#define LEVEL_2M	{ 21, 9, LEAF_PS, true, 0, BITS(20, 13) }
#define LEVEL_1G	{ 30, 9, LEAF_PS, true, 0, BITS(29, 13) }
#define LEVEL_512G	{ 39, 9, LEAF_NEVER, true, ENTRY_PS, 0 }
#define LEVEL_256T	{ 48, 9, LEAF_NEVER, true, ENTRY_PS, 0 }

static const struct walk_mode mode_32bit = {
	.nr = 2, .entry_size = 4,
	.root = BITS(31, 12), .address_mask = BITS(31, 0),
	.level = {
		/* PSE-36: bits 13 to 20 of a 4 MiB leaf are address bits 32 to 39. */
		{ 22, 10, LEAF_PSE, true, 0, BITS(21, 21) },
		{ 12, 10, LEAF_ALWAYS, true, 0, 0 },
	},
};

static const struct walk_mode mode_pae = {
	.nr = 3, .entry_size = 8, .has_nx = true,
	.root = BITS(31, 5), .address_mask = BITS(31, 0), .reserved = BITS(62, 52),
	.level = {
		/*
		 * Bit 5 is reserved too, which the load of CR3 checks: with nested paging it is
		 * the hardware that walks, and QEMU's sets an accessed bit here.
		 */
		{ 30, 2, LEAF_NEVER, false, BITS(2, 1) | BITS(8, 6) | ENTRY_NX, 0 },
		LEVEL_2M, LEVEL_4K,
	},
};

static const struct walk_mode mode_4level = {
	.nr = 4, .entry_size = 8, .has_nx = true, .has_keys = true,
	.root = BITS(51, 12), .address_mask = ~0ULL,
	.level = { LEVEL_512G, LEVEL_1G, LEVEL_2M, LEVEL_4K },
};

static const struct walk_mode mode_5level = {
	.nr = 5, .entry_size = 8, .has_nx = true, .has_keys = true,
	.root = BITS(51, 12), .address_mask = ~0ULL,
	.level = { LEVEL_256T, LEVEL_512G, LEVEL_1G, LEVEL_2M, LEVEL_4K },
};

/**
 * struct walk_state - one walk under way
 * @paging: mode and root
 * @mode: chosen by @paging
 * @access: HULL_ACCESS_*
 * @walk: result; its entries are those walked so far
 * @depth: how many
 * @reserved: bits reserved in all entries
 * @rights: conjunction of their U and W bits; disjunction of NX
 * @used: conjunction of their A bits
 */
struct walk_state {
	const struct hull_paging *paging;
	const struct walk_mode *mode;
	u32 access;
	struct hull_walk *walk;
	int depth;
	u64 reserved;
	u64 rights;
	u64 used;
};

static const struct walk_mode *choose_mode(const struct hull_paging *paging)
{
	if (!(paging->cr4 & CR4_PAE))
		return &mode_32bit;
	if (!(paging->efer & EFER_LMA_BIT))
		return &mode_pae;
	return paging->cr4 & CR4_LA57 ? &mode_5level : &mode_4level;
}

static u64 beyond_width(const struct hull_paging *paging)
{
	u32 bits = paging->gpa_bits;

	return bits && bits < 52 ? BITS(51, bits) : 0;
}

static __always_inline bool is_leaf(const struct walk_state *state,
				    const struct walk_level *level, u64 entry)
{
	switch (level->leaf) {
	case LEAF_ALWAYS:
		return true;
	case LEAF_PS:
		return entry & ENTRY_PS;
	case LEAF_PSE:
		return (entry & ENTRY_PS) && (state->paging->cr4 & CR4_PSE);
	default:
		return false;
	}
}

/* Host-physical width does not matter here: this is the address as the guest means it. */
static __always_inline u64 leaf_base(const struct walk_state *state,
				     const struct walk_level *level, u64 entry)
{
	u64 base;

	if (state->mode->entry_size == 8)
		return entry & BITS(51, level->shift);
	base = entry & BITS(31, level->shift);
	if (level->leaf == LEAF_PSE)
		base |= (entry & BITS(20, 13)) << 19;
	return base;
}

static u64 always_reserved(const struct walk_mode *mode, const struct hull_paging *paging)
{
	u64 reserved = mode->reserved;

	if (mode->entry_size == 8)
		reserved |= beyond_width(paging);
	if (mode->has_nx && !(paging->efer & EFER_NXE_BIT))
		reserved |= ENTRY_NX;
	return reserved;
}

static __always_inline u64 reserved_bits(const struct walk_state *state,
					 const struct walk_level *level, bool leaf)
{
	if (!leaf)
		return state->reserved | level->reserved;
	if (level->leaf == LEAF_PSE)
		return level->leaf_reserved | (beyond_width(state->paging) & BITS(39, 32)) >> 19;
	return state->reserved | level->leaf_reserved;
}

static int fault(const struct walk_state *state, u32 cause)
{
	const struct hull_paging *paging = state->paging;
	struct hull_walk *walk = state->walk;
	bool nx_on = state->mode->has_nx && (paging->efer & EFER_NXE_BIT);

	walk->error_code = cause;
	if (state->access & HULL_ACCESS_WRITE)
		walk->error_code |= ERROR_W;
	if (state->access & HULL_ACCESS_USER)
		walk->error_code |= ERROR_U;
	if ((state->access & HULL_ACCESS_FETCH) && (nx_on || (paging->cr4 & CR4_SMEP)))
		walk->error_code |= ERROR_FETCH;
	return -EFAULT;
}

/* Protection keys: data accesses to user pages. True when the key forbids @access. */
static bool key_forbids(const struct walk_state *state)
{
	const struct hull_paging *paging = state->paging;
	u64 leaf = state->walk->entry[state->depth - 1];
	bool user = state->access & HULL_ACCESS_USER;
	u32 key_rights;

	if (!state->mode->has_keys || !(paging->cr4 & CR4_PKE) || !(state->rights & ENTRY_U) ||
	    (state->access & HULL_ACCESS_FETCH))
		return false;
	key_rights = paging->pkru >> (2 * ENTRY_KEY(leaf));
	if (key_rights & 1)
		return true;
	return (key_rights & 2) && (state->access & HULL_ACCESS_WRITE) &&
	       (user || (paging->cr0 & CR0_WP));
}

/* The entries allow @access: 0. Else the #PF error bits that name the cause. */
static __always_inline u32 check_rights(const struct walk_state *state)
{
	const struct hull_paging *paging = state->paging;
	bool user = state->access & HULL_ACCESS_USER;
	bool write = state->access & HULL_ACCESS_WRITE;
	bool fetch = state->access & HULL_ACCESS_FETCH;
	bool user_page = state->rights & ENTRY_U;

	if (user && !user_page)
		return ERROR_P;
	if (write && !(state->rights & ENTRY_W) && (user || (paging->cr0 & CR0_WP)))
		return ERROR_P;
	if (fetch && (state->rights & ENTRY_NX))
		return ERROR_P;
	if (!user && user_page) {
		if (fetch && (paging->cr4 & CR4_SMEP))
			return ERROR_P;
		if (!fetch && (paging->cr4 & CR4_SMAP) && !paging->ac)
			return ERROR_P;
	}
	if (key_forbids(state))
		return ERROR_P | ERROR_KEY;
	return 0;
}

static __always_inline void add_rights(struct walk_state *state,
				       const struct walk_level *level, u64 entry)
{
	if (!level->rights)
		return;
	state->used &= entry;
	state->rights &= entry | ENTRY_NX;
	if (state->mode->has_nx)
		state->rights |= entry & ENTRY_NX;
}

/* Set A everywhere and D in the leaf. 0; -EAGAIN: an entry changed meanwhile; -errno. */
static __always_inline int set_accessed(const struct hull_walk_memory *memory,
					struct walk_state *state)
{
	const struct walk_mode *mode = state->mode;
	struct hull_walk *walk = state->walk;
	u64 old, found, new;
	int i, err;

	/* The usual case: nothing to set. */
	if ((state->used & ENTRY_A) && (!(state->access & HULL_ACCESS_WRITE) ||
					(walk->entry[state->depth - 1] & ENTRY_D)))
		return 0;
	for (i = 0; i < state->depth; i++) {
		if (!mode->level[i].rights)
			continue;
		old = walk->entry[i];
		new = old | ENTRY_A;
		if (i == state->depth - 1 && (state->access & HULL_ACCESS_WRITE))
			new |= ENTRY_D;
		if (new == old)
			continue;
		found = old;
		err = memory->exchange(memory->context, walk->entry_gpa[i], &found, new,
				       mode->entry_size);
		if (err)
			return err;
		if (found != old)
			return -EAGAIN;
		walk->entry[i] = new;
	}
	return 0;
}

/* Read the entries down to the leaf. 0 and walk->gpa and level; -EFAULT; -errno. */
static __always_inline int descend(const struct hull_walk_memory *memory,
				   struct walk_state *state, u64 gva)
{
	const struct walk_mode *mode = state->mode;
	struct hull_walk *walk = state->walk;
	u64 table = state->paging->cr3 & mode->root;
	int i, err;

	state->rights = ENTRY_U | ENTRY_W;
	state->used = ENTRY_A;
	for (i = 0; i < mode->nr; i++) {
		const struct walk_level *level = &mode->level[i];
		u64 index = (gva >> level->shift) & BITS(level->bits - 1, 0);
		u64 entry = 0;
		bool leaf;

		walk->entry_gpa[i] = table + index * mode->entry_size;
		err = memory->read(memory->context, walk->entry_gpa[i], &entry, mode->entry_size);
		if (err)
			return err;
		walk->entry[i] = entry;
		state->depth = i + 1;
		if (!(entry & ENTRY_P))
			return fault(state, 0);
		leaf = is_leaf(state, level, entry);
		if (entry & reserved_bits(state, level, leaf))
			return fault(state, ERROR_P | ERROR_RSVD);
		add_rights(state, level, entry);
		if (leaf) {
			walk->gpa = leaf_base(state, level, entry) |
				    (gva & BITS(level->shift - 1, 0));
			walk->level = mode->nr - i;
			return 0;
		}
		table = entry & BITS(mode->entry_size == 8 ? 51 : 31, 12);
	}
	/* Not reached: the last level is always a leaf. */
	return -EAGAIN;
}

/* As hull_walk_tables(). Where the compiler sees what @memory is, it calls nothing. */
static __always_inline int walk_tables(const struct hull_walk_memory *memory,
				       const struct hull_paging *paging, u64 gva, u32 access,
				       bool set_bits, struct hull_walk *walk)
{
	struct walk_state state = { .paging = paging, .access = access, .walk = walk };
	int tries, err;
	u32 cause;

	walk->error_code = 0;
	if (!(paging->cr0 & CR0_PG)) {
		walk->gpa = gva & BITS(31, 0);
		walk->level = 0;
		walk->levels = 0;
		return 0;
	}
	state.mode = choose_mode(paging);
	state.reserved = always_reserved(state.mode, paging);
	walk->levels = state.mode->nr;
	gva &= state.mode->address_mask;

	/* Another vCPU may change entries as long as it likes; this vCPU must not wait for it. */
	for (tries = 0; tries < MAX_TRIES; tries++) {
		err = descend(memory, &state, gva);
		if (err)
			return err;
		cause = check_rights(&state);
		if (cause)
			return fault(&state, cause);
		if (!set_bits)
			return 0;
		err = set_accessed(memory, &state);
		if (err != -EAGAIN)
			return err;
	}
	return -EAGAIN;
}

#endif
