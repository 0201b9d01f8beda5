// SPDX-License-Identifier: GPL-2.0
/*
 * Shadow paging: what the hardware's tables say. A fault walks the guest's tables, has the frame
 * mapped as with two-dimensional paging (fault.c), and enters the combination of both. The picture
 * is in shadow.h.
 *
 * Entries may lag behind the guest's tables just as a TLB may. So a fault, which found the guest's
 * entries before it took the lock, looks at them again under it: another vCPU may have changed and
 * invalidated one meanwhile, and must not find the old one here.
 *
 * Locks: mmu->lock. The vCPU thread, its address space current.
 */
#include <linux/gfp.h>
#include <linux/mm.h>

#include "../backend.h"
#include "../mutate.h"
#include "../vcpu.h"
#include "../vm.h"
#include "mmu.h"
#include "shadow.h"
#include "spte.h"
#include "tdp.h"

/**
 * struct fault - one shadow fault being handled
 * @vcpu: of the fault
 * @gva: linear address
 * @walk: through the guest's tables
 * @role: of the root
 * @fetch: of code
 * @leaf: what the guest's tables give
 * @tdp: entry of two-dimensional paging that backs it
 * @tdp_level: its level
 * @level: to map at
 */
struct fault {
	struct hull_vcpu *vcpu;
	gva_t gva;
	const struct hull_walk *walk;
	union hull_role role;
	bool fetch;
	struct hull_shadow_leaf leaf;
	u64 *tdp;
	int tdp_level;
	int level;
};

/* ---- encoding ------------------------------------------------------------------------------- */

u8 hull_shadow_rights(union hull_role role, u64 entry)
{
	u8 rights = (entry & (_PAGE_RW | _PAGE_USER)) | HULL_RIGHT_EXEC;

	static_assert(_PAGE_RW == HULL_RIGHT_WRITE && _PAGE_USER == HULL_RIGHT_USER);
	if ((role.control & HULL_ROLE_NX) && (entry & _PAGE_NX))
		rights &= ~HULL_RIGHT_EXEC;
	return rights;
}

u64 hull_shadow_encode(struct hull_vm *vm, const struct hull_shadow *page, int level,
		       const struct hull_shadow_leaf *leaf, u64 tdp, int tdp_level)
{
	const gfn_t inside = leaf->gfn & (HULL_LEVEL_PAGES(tdp_level) - 1);
	u64 pfn = (hull_spte_pfn(tdp) + inside) & ~(HULL_LEVEL_PAGES(level) - 1);
	bool write = leaf->rights & HULL_RIGHT_WRITE;
	u8 rights = leaf->rights;
	u64 spte;

	if (leaf->write && !write) {
		/*
		 * The supervisor writes with CR0.WP clear. The hardware's is set, so the page is
		 * lent to the supervisor, who still must not execute the user's page.
		 */
		write = true;
		if ((page->role.control & HULL_ROLE_SMEP) && (rights & HULL_RIGHT_USER))
			rights &= ~HULL_RIGHT_EXEC;
		rights &= ~HULL_RIGHT_USER;
	}
	if (level > 1 && hull_nested_format.large_lacks)
		rights &= ~HULL_RIGHT_EXEC;
	write = write && hull_spte_writable(tdp) && !hull_shadow_is_synced(&vm->mmu, leaf->gfn);
	spte = hull_spte_leaf(&hull_host_format, pfn, level, write, false);
	if (!(rights & HULL_RIGHT_USER))
		spte &= ~(u64)_PAGE_USER;
	if (!(rights & HULL_RIGHT_EXEC))
		spte |= _PAGE_NX;
	return spte;
}

void hull_shadow_set_leaf(struct hull_shadow *page, unsigned int i, u64 spte, u64 *tdp)
{
	u64 *entry = &page->table.entries[i];
	u64 old = READ_ONCE(*entry);

	/* The same page is in the same leaf's chain already. */
	if (hull_spte_present(old) && hull_spte_is_leaf(old, page->role.level) &&
	    hull_spte_pfn(old) == hull_spte_pfn(spte)) {
		xchg(entry, spte);
		return;
	}
	hull_shadow_drop(page, i);
	hlist_add_head(hull_shadow_node(page, i), hull_tdp_chain(tdp));
	hull_shadow_set_entered(page, i);
	WRITE_ONCE(*entry, spte);
}

/* ---- roots ---------------------------------------------------------------------------------- */

/* PAE's format serves every guest that is not in long mode: its root is four entries. */
static union hull_role root_role(const struct hull_vcpu *vcpu)
{
	const struct hull_control *control = &vcpu->control;
	union hull_role role = { .level = 2, .rights = HULL_RIGHTS_ALL };

	if (!(control->cr0 & X86_CR0_PG))
		return role;
	if (!(control->cr0 & X86_CR0_WP) && !hull_mutate_wrong_role) {
		role.control |= HULL_ROLE_NO_WP;
		role.control |= control->cr4 & X86_CR4_SMEP ? HULL_ROLE_SMEP : 0;
		role.control |= control->cr4 & X86_CR4_SMAP ? HULL_ROLE_SMAP : 0;
	}
	if (!(control->cr4 & X86_CR4_PAE)) {
		role.mode = HULL_SHADOW_32BIT;
		role.control |= control->cr4 & X86_CR4_PSE ? HULL_ROLE_PSE : 0;
		return role;
	}
	role.control |= control->efer & EFER_NX ? HULL_ROLE_NX : 0;
	role.mode = HULL_SHADOW_PAE;
	if (control->efer & EFER_LMA) {
		role.mode = HULL_SHADOW_LONG;
		role.level = control->cr4 & X86_CR4_LA57 ? 5 : 4;
	}
	return role;
}

static gfn_t cr3_gfn(const struct hull_vcpu *vcpu)
{
	return (vcpu->control.cr3 & HULL_SPTE_ADDRESS) >> PAGE_SHIFT;
}

/* Where the CPU can run guests that do not page on two-dimensional tables, it does. */
static bool is_flat(const struct hull_vcpu *vcpu)
{
	return hull_flat && !(vcpu->control.cr0 & X86_CR0_PG);
}

static void set_root(struct hull_vcpu *vcpu, unsigned int slot, struct hull_shadow *page)
{
	struct hull_mmu_vcpu *mmu = &vcpu->mmu;

	if (page)
		page->roots++;
	if (mmu->roots[slot])
		mmu->roots[slot]->roots--;
	mmu->roots[slot] = page;
	if (!page || page->role.mode == HULL_SHADOW_LONG)
		return;
	/* PAE's root entries have no rights. */
	WRITE_ONCE(mmu->pae[slot], __pa(page->table.entries) | _PAGE_PRESENT);
}

/* Found or new; in both cases all below agrees with the guest's tables as they are now. */
static struct hull_shadow *get_shadow(struct hull_vcpu *vcpu, gfn_t gfn, union hull_role role)
{
	struct hull_shadow *page = hull_shadow_find(&vcpu->vm->mmu, gfn, role);

	if (page) {
		list_move(&page->lru, &vcpu->vm->mmu.pool.lru);
		hull_shadow_refresh_below(vcpu->vm, page);
		return page;
	}
	page = hull_shadow_create(vcpu, gfn, role);
	if (!hull_shadow_is_direct(page))
		hull_shadow_populate(vcpu->vm, page);
	return page;
}

/* Switch to the root that the control registers select. False: it must be made first. */
static bool select_root(struct hull_vcpu *vcpu)
{
	struct hull_mmu_vcpu *mmu = &vcpu->mmu;
	union hull_role role = root_role(vcpu);
	struct hull_shadow *page;
	unsigned int slot;

	mmu->root = 0;
	if (!mmu->pae)
		return false;
	hull_shadow_set_flat(vcpu, is_flat(vcpu));
	if (role.mode != HULL_SHADOW_LONG) {
		/* Filled by faults: the guest's root entries are not looked at before. */
		for (slot = 0; slot < HULL_SHADOW_ROOTS; slot++) {
			set_root(vcpu, slot, NULL);
			WRITE_ONCE(mmu->pae[slot], 0);
		}
		mmu->root = __pa(mmu->pae);
		return true;
	}
	page = mmu->roots[0];
	if (!page || page->gfn != cr3_gfn(vcpu) || page->role.word != role.word) {
		page = hull_shadow_find(&vcpu->vm->mmu, cr3_gfn(vcpu), role);
		if (!page)
			return false;
		list_move(&page->lru, &vcpu->vm->mmu.pool.lru);
		set_root(vcpu, 0, page);
		for (slot = 1; slot < HULL_SHADOW_ROOTS; slot++)
			set_root(vcpu, slot, NULL);
	}
	mmu->root = __sme_set(__pa(page->table.entries));
	return true;
}

bool hull_check_root(const struct hull_vcpu *vcpu)
{
	const struct hull_mmu_vcpu *mmu = &vcpu->mmu;
	const struct hull_shadow *page = mmu->roots[0];
	const union hull_role role = root_role(vcpu);

	if (role.mode != HULL_SHADOW_LONG)
		return mmu->root == __pa(mmu->pae);
	return page && page->gfn == cr3_gfn(vcpu) && page->role.word == role.word &&
	       mmu->root == __sme_set(__pa(page->table.entries));
}

/*
 * Let pages settle, for which all vCPUs must flush; a lone vCPU does so anyway before it enters.
 * False: there are others.
 */
static bool settle_alone(struct hull_vm *vm)
{
	if (READ_ONCE(vm->nr_vcpus) > 1)
		return false;
	hull_shadow_settle(vm);
	hull_shadow_settled(vm, true);
	return true;
}

/* Bring what the root reaches up to date. False: pages are to settle. */
static bool sync_root(struct hull_vcpu *vcpu)
{
	return !hull_shadow_sync(vcpu, 0) || settle_alone(vcpu->vm);
}

static void request_flush(struct hull_vcpu *vcpu, bool ready)
{
	hull_vcpu_set_request(vcpu, HULL_REQ_FLUSH);
	if (!ready)
		hull_vcpu_set_request(vcpu, HULL_REQ_ROOT);
}

void hull_shadow_load_root(struct hull_vcpu *vcpu)
{
	struct hull_mmu *mmu = &vcpu->vm->mmu;
	bool ready;

	spin_lock(&mmu->lock);
	ready = select_root(vcpu) && sync_root(vcpu);
	spin_unlock(&mmu->lock);
	request_flush(vcpu, ready);
}

static struct hull_recent_root *recent_root(struct hull_vcpu *vcpu, u64 cr3)
{
	return &vcpu->mmu.recent[(cr3 & 7) | (cr3 & BIT(11)) >> 8];
}

/* As sync_root(), for what the PCID cannot have seen: it was left so, and not flushed. */
static bool sync_recent(struct hull_vcpu *vcpu, const struct hull_recent_root *recent)
{
	if (vcpu->vm->mmu.pool.fills == recent->fills || hull_mutate_stale_pcid)
		return true;
	return !hull_shadow_sync(vcpu, recent->fills) || settle_alone(vcpu->vm);
}

void hull_shadow_load_pcid(struct hull_vcpu *vcpu, u64 cr3, bool keep)
{
	struct hull_mmu *mmu = &vcpu->vm->mmu;
	struct hull_recent_root *left = recent_root(vcpu, vcpu->control.cr3);
	const struct hull_recent_root *recent = recent_root(vcpu, cr3);
	bool ready;

	spin_lock(&mmu->lock);
	left->cr3 = vcpu->control.cr3;
	left->fills = mmu->pool.fills;
	left->invalidations = vcpu->mmu.invalidations;
	vcpu->control.cr3 = cr3;
	keep = keep && recent->cr3 == cr3 && recent->invalidations == vcpu->mmu.invalidations;
	ready = select_root(vcpu) && (keep ? sync_recent(vcpu, recent) : sync_root(vcpu));
	spin_unlock(&mmu->lock);
	request_flush(vcpu, ready);
}

void hull_shadow_reload(struct hull_vcpu *vcpu)
{
	vcpu->mmu.invalidations++;
	hull_shadow_load_root(vcpu);
}

static int fill(struct hull_vcpu *vcpu)
{
	struct hull_mmu_vcpu *mmu = &vcpu->mmu;

	if (!mmu->pae)
		mmu->pae = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT | __GFP_DMA32);
	return mmu->pae ? hull_shadow_fill(vcpu) : -ENOMEM;
}

/* Tables that were unlinked are freed by the next flush. Those of others are theirs to flush. */
static void flush_freed(struct hull_vm *vm)
{
	if (!list_empty(&vm->mmu.freed))
		hull_mmu_flush(vm);
}

int hull_shadow_prepare(struct hull_vcpu *vcpu)
{
	struct hull_vm *vm = vcpu->vm;
	bool settle;
	int err;

	if (likely(!hull_vcpu_take_request(vcpu, HULL_REQ_ROOT) && vcpu->mmu.root))
		return 0;
	err = fill(vcpu);
	if (err)
		return err;
	spin_lock(&vm->mmu.lock);
	if (!select_root(vcpu)) {
		get_shadow(vcpu, cr3_gfn(vcpu), root_role(vcpu));
		select_root(vcpu);
	}
	settle = !sync_root(vcpu);
	if (settle)
		hull_shadow_settle(vm);
	spin_unlock(&vm->mmu.lock);
	hull_vcpu_set_request(vcpu, HULL_REQ_FLUSH);
	if (!settle) {
		flush_freed(vm);
		return 0;
	}
	if (!hull_mutate_no_remote_flush)
		hull_mmu_flush(vm);
	spin_lock(&vm->mmu.lock);
	hull_shadow_settled(vm, hull_mutate_no_remote_flush);
	spin_unlock(&vm->mmu.lock);
	return 0;
}

/* ---- faults --------------------------------------------------------------------------------- */

static unsigned int index_of(gva_t gva, int level)
{
	return (gva >> (PAGE_SHIFT + HULL_LEVEL_SHIFT(level))) & (HULL_TABLE_ENTRIES - 1);
}

/* The guest's entry of a level, as the walk found it. */
static u64 walked_entry(const struct fault *fault, int level)
{
	return fault->walk->entry[fault->walk->levels - level];
}

/* Rights that the guest's entries of levels down to @level give. */
static u8 rights_above(const struct fault *fault, int level)
{
	u8 rights = HULL_RIGHTS_ALL;
	int at;

	for (at = fault->role.level; at >= level; at--)
		rights &= hull_shadow_rights(fault->role, walked_entry(fault, at));
	return rights;
}

static void set_rights(struct fault *fault)
{
	const struct hull_walk *walk = fault->walk;
	struct hull_shadow_leaf *leaf = &fault->leaf;

	leaf->gfn = gpa_to_gfn(walk->gpa);
	leaf->rights = HULL_RIGHTS_ALL;
	if (!walk->levels)
		return;
	leaf->rights = rights_above(fault, walk->level);
	/* The first write sets the dirty bit: it must fault. */
	if (!(walked_entry(fault, walk->level) & _PAGE_DIRTY)) {
		leaf->rights &= ~HULL_RIGHT_WRITE;
		leaf->rights |= HULL_RIGHT_CLEAN;
	}
}

/* Root page for the address; PAE's are entered here. NULL: there is no root. */
static struct hull_shadow *root_page(struct fault *fault)
{
	struct hull_vcpu *vcpu = fault->vcpu;
	struct hull_mmu_vcpu *mmu = &vcpu->mmu;
	union hull_role role = fault->role;
	struct hull_shadow *page;
	unsigned int slot;
	gfn_t gfn;

	if (!mmu->root)
		return NULL;
	if (role.mode == HULL_SHADOW_LONG)
		return mmu->roots[0];
	slot = (fault->gva >> 30) & (HULL_SHADOW_ROOTS - 1);
	switch (role.mode) {
	case HULL_SHADOW_DIRECT:
		gfn = (gfn_t)slot << HULL_LEVEL_SHIFT(3);
		break;
	case HULL_SHADOW_32BIT:
		gfn = cr3_gfn(vcpu);
		role.quadrant = slot;
		break;
	default:
		gfn = gpa_to_gfn(fault->walk->entry_gpa[1]);
		break;
	}
	page = mmu->roots[slot];
	if (page && page->gfn == gfn && page->role.word == role.word)
		return page;
	page = get_shadow(vcpu, gfn, role);
	set_root(vcpu, slot, page);
	return page;
}

/* What the entry of @page, which is not the last level's, must point to. */
static void child_key(const struct fault *fault, const struct hull_shadow *page, gfn_t *gfn,
		      union hull_role *role)
{
	const struct hull_walk *walk = fault->walk;
	int level = page->role.level - 1;

	*role = fault->role;
	role->level = level;
	if (walk->levels && level >= walk->level) {
		*gfn = gpa_to_gfn(walk->entry_gpa[walk->levels - level]);
		role->rights = rights_above(fault, level + 1);
		if (role->mode == HULL_SHADOW_32BIT)
			role->quadrant = (fault->gva >> 21) & 1;
		return;
	}
	/* Below the guest's leaf. */
	role->mode = HULL_SHADOW_DIRECT;
	role->rights = fault->leaf.rights;
	*gfn = fault->leaf.gfn & ~(HULL_LEVEL_PAGES(level + 1) - 1);
}

static struct hull_shadow *descend(struct fault *fault, struct hull_shadow *page, unsigned int i)
{
	u64 spte = READ_ONCE(page->table.entries[i]);
	struct hull_shadow *child;
	union hull_role role;
	gfn_t gfn;

	child_key(fault, page, &gfn, &role);
	if (hull_spte_present(spte) && !hull_spte_is_leaf(spte, page->role.level)) {
		child = hull_shadow_child(spte);
		if (child->gfn == gfn && child->role.word == role.word)
			return child;
	}
	child = get_shadow(fault->vcpu, gfn, role);
	hull_shadow_drop(page, i);
	hull_shadow_link(page, i, child);
	hull_shadow_set_filled(&fault->vcpu->vm->mmu, page);
	return child;
}

/*
 * Enter the translation. False: something has changed since the walk, or the root is gone: the
 * guest tries again. Pages on the way are the latest used: making new ones spares them.
 */
static bool enter(struct fault *fault)
{
	struct hull_vm *vm = fault->vcpu->vm;
	struct hull_shadow *page = root_page(fault);
	unsigned int i;
	u64 spte;

	while (page) {
		list_move(&page->lru, &vm->mmu.pool.lru);
		i = index_of(fault->gva, page->role.level);
		if (!hull_shadow_is_direct(page) &&
		    !hull_shadow_agree(vm, page, i, walked_entry(fault, page->role.level)))
			return false;
		if (page->role.level == fault->level)
			break;
		page = descend(fault, page, i);
	}
	if (!page)
		return false;
	spte = hull_shadow_encode(vm, page, fault->level, &fault->leaf, READ_ONCE(*fault->tdp),
				  fault->tdp_level);
	hull_shadow_set_leaf(page, i, spte, fault->tdp);
	if (page->role.level == 1 && !hull_shadow_is_direct(page))
		hull_shadow_populate_near(vm, page, i);
	hull_shadow_set_filled(&vm->mmu, page);
	return true;
}

/* The frame is mapped, as the access needs it: find how, and the size of the shadow's entry. */
static bool find_backing(struct fault *fault)
{
	struct hull_mmu *mmu = &fault->vcpu->vm->mmu;

	fault->tdp = hull_tdp_find(mmu, fault->leaf.gfn, &fault->tdp_level);
	if (!fault->tdp)
		return false;
	if (fault->fetch && fault->tdp_level > 1 && hull_nested_format.large_lacks)
		return false;
	if (fault->leaf.write) {
		if (!hull_spte_writable(READ_ONCE(*fault->tdp)))
			return false;
		hull_shadow_writing(fault->vcpu->vm, fault->leaf.gfn, fault->leaf.gfn + 1);
	}
	fault->level = min(fault->tdp_level, 2);
	if (fault->walk->levels)
		fault->level = min(fault->level, fault->walk->level);
	/* A large page must not make guest tables writable that are in sync. */
	if (fault->level > 1 && hull_shadow_near_synced(mmu, fault->leaf.gfn))
		fault->level = 1;
	return true;
}

/* A vCPU that faults at the same instruction again and again may need more pages than the cap. */
static void count_repeats(struct hull_vcpu *vcpu)
{
	struct hull_mmu_vcpu *mmu = &vcpu->mmu;

	if (mmu->fault_rip != vcpu->gprs.rip)
		mmu->fault_repeats = 0;
	else
		mmu->fault_repeats++;
	mmu->fault_rip = vcpu->gprs.rip;
}

/*
 * A write of the supervisor with CR0.WP clear to a page of the user's that only AC allows: if it
 * were lent, SMAP would not see that AC has gone. The instruction is executed in software instead.
 */
static bool is_smap_write(const struct fault *fault)
{
	const struct hull_shadow_leaf *leaf = &fault->leaf;

	return leaf->write && !leaf->user && !(leaf->rights & HULL_RIGHT_WRITE) &&
	       (leaf->rights & HULL_RIGHT_USER) && (fault->role.control & HULL_ROLE_SMAP);
}

/* Enter what the walk found, if its frame is mapped as the access needs it. */
static bool map_walked(struct fault *fault)
{
	struct hull_mmu *mmu = &fault->vcpu->vm->mmu;
	bool entered;

	spin_lock(&mmu->lock);
	entered = find_backing(fault) && enter(fault);
	spin_unlock(&mmu->lock);
	return entered;
}

static void begin_fault(struct fault *fault, struct hull_vcpu *vcpu, gva_t gva, u32 error_code)
{
	*fault = (struct fault){
		.vcpu = vcpu, .gva = gva, .walk = &vcpu->mmu.walk, .role = root_role(vcpu),
		.fetch = error_code & X86_PF_INSTR,
		.leaf.write = error_code & X86_PF_WRITE, .leaf.user = error_code & X86_PF_USER,
	};
	set_rights(fault);
}

/* As hull_walk(), unless the window has done it: what has changed since is found by enter(). */
static int walk_guest(struct hull_vcpu *vcpu, gva_t gva, u32 access, bool ac)
{
	struct hull_mmu_vcpu *mmu = &vcpu->mmu;
	struct hull_paging paging;

	if (mmu->walked) {
		mmu->walked = false;
		return 0;
	}
	hull_vcpu_paging(vcpu, &paging);
	paging.ac = ac;
	return hull_walk(vcpu->vm, &paging, gva, access, true, &mmu->walk);
}

int hull_shadow_fault(struct hull_vcpu *vcpu, gva_t gva, u32 error_code, bool ac)
{
	const u32 access = hull_fault_access(error_code);
	struct fault fault;
	int ret;

	ret = walk_guest(vcpu, gva, access, ac);
	if (ret)
		return ret == -EFAULT ? HULL_FAULT_GUEST : ret == -EAGAIN ? HULL_FAULT_MAPPED : ret;
	begin_fault(&fault, vcpu, gva, error_code);
	if (is_smap_write(&fault))
		return HULL_FAULT_MMIO;
	ret = hull_mmu_fault(vcpu, vcpu->mmu.walk.gpa, access);
	if (ret)
		return ret;
	ret = fill(vcpu);
	if (ret)
		return ret;
	count_repeats(vcpu);
	/* If it was not entered, something has changed meanwhile: the guest tries again. */
	map_walked(&fault);
	flush_freed(vcpu->vm);
	return HULL_FAULT_MAPPED;
}

int hull_shadow_fault_fast(struct hull_vcpu *vcpu, gva_t gva, u32 error_code, bool ac)
{
	const struct hull_shadow_pool *pool = &vcpu->vm->mmu.pool;
	struct hull_mmu_vcpu *mmu = &vcpu->mmu;
	struct hull_paging paging;
	struct fault fault;
	int ret;

	mmu->walked = false;
	hull_vcpu_paging(vcpu, &paging);
	paging.ac = ac;
	ret = hull_walk_atomic(vcpu->vm, &paging, gva, hull_fault_access(error_code), &mmu->walk);
	if (ret)
		return ret == -EFAULT ? HULL_FAULT_GUEST : -EAGAIN;
	if (!hull_regions_hva(rcu_dereference_sched(vcpu->vm->regions), mmu->walk.gpa))
		return HULL_FAULT_MMIO;
	/* Pages are allocated outside, and those reclaimed for them freed there. */
	if (mmu->nr_shadows < HULL_SHADOW_CACHE || !mmu->root ||
	    READ_ONCE(pool->pages) + HULL_SHADOW_CACHE > pool->cap)
		goto outside;
	begin_fault(&fault, vcpu, gva, error_code);
	if (!is_smap_write(&fault) && map_walked(&fault))
		return HULL_FAULT_MAPPED;
outside:
	mmu->walked = true;
	return -EAGAIN;
}

struct hull_shadow *hull_shadow_last(struct hull_vcpu *vcpu, gva_t gva, unsigned int *i)
{
	struct hull_mmu_vcpu *mmu = &vcpu->mmu;
	struct hull_shadow *page;
	u64 spte;

	page = mmu->roots[0];
	if (!page || page->role.mode != HULL_SHADOW_LONG)
		page = mmu->roots[(gva >> 30) & (HULL_SHADOW_ROOTS - 1)];
	while (page) {
		*i = index_of(gva, page->role.level);
		spte = READ_ONCE(page->table.entries[*i]);
		if (!hull_spte_present(spte) || hull_spte_is_leaf(spte, page->role.level))
			break;
		page = hull_shadow_child(spte);
	}
	return page;
}

void hull_shadow_invlpg(struct hull_vcpu *vcpu, gva_t gva)
{
	struct hull_mmu *mmu = &vcpu->vm->mmu;
	bool ready;

	/* Perhaps of a global page, which is of all PCIDs. */
	vcpu->mmu.invalidations++;
	spin_lock(&mmu->lock);
	ready = !hull_shadow_sync_address(vcpu, gva) || settle_alone(vcpu->vm);
	spin_unlock(&mmu->lock);
	request_flush(vcpu, ready);
}
