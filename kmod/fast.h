/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fast handlers: shared by the vendors' inner loops, inside the window. No sleep, no sleeping
 * lock, no user access that may fault.
 */
#ifndef HULL_FAST_H
#define HULL_FAST_H

#include <linux/rcupdate.h>
#include <linux/srcu.h>
#include <linux/uaccess.h>
#include <asm/msr-index.h>
#include <asm/pgtable_types.h>

#include "backend.h"
#include "cpuid.h"
#include "irqchip/irqchip.h"
#include "mem/region.h"
#include "msr.h"
#include "ring.h"
#include "state.h"
#include "vcpu.h"

/* For entry.h. */
static_assert(offsetof(struct hull_vcpu, gprs.gpr) == 0);
static_assert(offsetof(struct hull_vcpu, control.cr2) == 19 * 8);

/* User address of @gpa, or 0. The window is an RCU read-side section: interrupts are off. */
static __always_inline unsigned long hull_fast_hva(struct hull_vcpu *vcpu, gpa_t gpa)
{
	return hull_regions_hva(rcu_dereference_sched(vcpu->vm->regions), gpa);
}

/* May an interrupt wait in a controller? */
static __always_inline bool hull_fast_irq(const struct hull_vcpu *vcpu)
{
	return vcpu->lapic && hull_irq_maybe(vcpu->lapic);
}

static __always_inline struct hull_walked *hull_walked(struct hull_vcpu *vcpu, u64 linear)
{
	return &vcpu->walked[(linear >> PAGE_SHIFT) % HULL_WALKED];
}

/* The walk was for this, and the regions are the same. @key: as in struct hull_walked. */
static __always_inline bool hull_walked_is(const struct hull_vcpu *vcpu,
					   const struct hull_walked *walked, u64 key, u64 linear)
{
	return walked->cr3 == key && walked->page == linear >> PAGE_SHIFT &&
	       walked->generation == rcu_dereference_sched(vcpu->vm->regions)->generation;
}

/* None of the @levels entries has changed. */
static __always_inline bool hull_walked_holds(const struct hull_walked *walked,
					      unsigned int levels)
{
	u64 entry[HULL_WALK_LEVELS];

	/* All were found to be user addresses. */
	if (unlikely(!user_read_access_begin(walked->where[0], sizeof(entry[0]))))
		return false;
	unsafe_get_user(entry[0], walked->where[0], fault);
	unsafe_get_user(entry[1], walked->where[1], fault);
	unsafe_get_user(entry[2], walked->where[2], fault);
	unsafe_get_user(entry[3], walked->where[3], fault);
	if (levels > 4)
		unsafe_get_user(entry[4], walked->where[4], fault);
	user_read_access_end();
	return entry[0] == walked->entry[0] && entry[1] == walked->entry[1] &&
	       entry[2] == walked->entry[2] && entry[3] == walked->entry[3] &&
	       (levels == 4 || entry[4] == walked->entry[4]);

fault:
	user_read_access_end();
	return false;
}

/* Look again where there are five levels, else walk and remember. As hull_fast_translate(). */
unsigned long hull_fast_walk(struct hull_vcpu *vcpu, u64 cr3, u64 linear);

/**
 * hull_fast_translate - walk the guest's tables of long mode without faulting or sleeping
 * @vcpu: page faults and preemption disabled
 * @cr3: of the guest
 * @linear: linear address, of code that was just fetched: permissions are not looked at
 *
 * A walk is not believed but done again, which is quick, since it is known where the entries are
 * and what they should be: when none has changed, nor the regions, the result is the same.
 *
 * Return: user address, or 0, which says nothing: walk the slow way.
 */
static __always_inline unsigned long hull_fast_translate(struct hull_vcpu *vcpu, u64 cr3,
							 u64 linear)
{
	const struct hull_walked *walked = hull_walked(vcpu, linear);

	/* Or the compiler works out the address again for each field. */
	OPTIMIZER_HIDE_VAR(walked);
	if (likely(hull_walked_is(vcpu, walked, cr3, linear)) &&
	    likely(hull_walked_holds(walked, 4)))
		return walked->hva + offset_in_page(linear);
	return hull_fast_walk(vcpu, cr3, linear);
}

/**
 * hull_fast_code - the bytes of the code at @rip
 * @vcpu: in its window, page faults disabled
 * @cr3: of the guest
 * @rip: linear address
 * @len: 1 to 4: so many must be in the page
 * @code: up to 4 bytes, first byte lowest; those beyond the page are zero
 *
 * For CPUs that do not say where the next instruction is: an instruction without prefixes has a
 * known length, once its bytes are seen. Only for long mode. A false answer says nothing: the slow
 * path decodes.
 */
static __always_inline bool hull_fast_code(struct hull_vcpu *vcpu, u64 cr3, u64 rip,
					   unsigned int len, u32 *code)
{
	unsigned int past = 0;
	u32 bytes = 0;
	unsigned long hva;

	if (unlikely(offset_in_page(rip) > PAGE_SIZE - 4)) {
		if (offset_in_page(rip) + len > PAGE_SIZE)
			return false;
		/* The last four bytes of the page, of which the first ones do not count. */
		past = offset_in_page(rip) - (PAGE_SIZE - 4);
		rip -= past;
	}
	hva = hull_fast_translate(vcpu, cr3, rip);
	if (unlikely(!hva) || unlikely(!user_read_access_begin((void __user *)hva, 4)))
		return false;
	unsafe_get_user(bytes, (u32 __user *)hva, fault);
	user_read_access_end();
	*code = bytes >> (past * 8);
	return true;

fault:
	user_read_access_end();
	return false;
}

/* The same for a guest that is not in long mode, whatever its paging: four bytes at @linear. */
bool hull_fast_legacy_code(struct hull_vcpu *vcpu, u64 cr3, u32 linear, bool user, u32 *code);

/* Bits of CR0 that select neither mode nor caches. */
#define FAST_CR0	((u64)(X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_NE | X86_CR0_WP | \
			       X86_CR0_AM))
/* Bits of CR4 that select a mode of long mode, with nested paging. */
#define FAST_CR4_NOT	((u64)(X86_CR4_PAE | X86_CR4_LA57))

static __always_inline bool hull_fast_set_cr0(struct hull_vcpu *vcpu, u64 value, bool shadow,
					      u64 *changed)
{
	*changed = (value | X86_CR0_ET) ^ vcpu->control.cr0;
	if (*changed & ~FAST_CR0)
		return false;
	vcpu->control.cr0 ^= *changed;
	if (shadow && (*changed & X86_CR0_WP))
		hull_shadow_reload(vcpu);
	return true;
}

static __always_inline bool hull_fast_set_cr4(struct hull_vcpu *vcpu, u64 value, bool shadow,
					      u64 *changed)
{
	struct hull_control *control = &vcpu->control;

	*changed = value ^ control->cr4;
	if (*changed & (~vcpu->cpuid->cr4_mask | (shadow ? HULL_CR4_MODE : FAST_CR4_NOT)))
		return false;
	if (!(*changed & HULL_CR4_FLUSH)) {
		control->cr4 = value;
		return true;
	}
	if (shadow) {
		if (!hull_valid_root(vcpu, control->cr0, control->cr3, value, true))
			return false;
		control->cr4 = value;
		hull_shadow_reload(vcpu);
	} else {
		/* The entries of PAE's root are to be loaded again. */
		if (hull_is_pae(control->cr0, value, control->efer) && hull_backend->pae_registers)
			return false;
		control->cr4 = value;
		hull_vcpu_set_request(vcpu, HULL_REQ_FLUSH);
	}
	return true;
}

static __always_inline bool hull_fast_set_cr8(struct hull_vcpu *vcpu, u64 value)
{
	if (value > 15 || !vcpu->lapic)
		return false;
	hull_lapic_set_cr8(vcpu, value);
	return true;
}

/*
 * MOV to a control register in the window. @shadow: the VM has shadow paging; with nested paging
 * the CPU loads CR3 itself. True: vcpu->control is written, and the backend changes the bits
 * @changed of CR0 or CR4 where the CPU has the guest's, and CR3 with shadow paging; false: to be
 * done outside, where a refusal is #GP.
 */
static __always_inline bool hull_fast_set_cr(struct hull_vcpu *vcpu, bool shadow, u32 cr,
					     u64 value, u64 *changed)
{
	switch (cr) {
	case 0:
		return hull_fast_set_cr0(vcpu, value, shadow, changed);
	case 3:
		return shadow && hull_load_cr3(vcpu, value, true);
	case 4:
		return hull_fast_set_cr4(vcpu, value, shadow, changed);
	case 8:
		return hull_fast_set_cr8(vcpu, value);
	default:
		return false;
	}
}

/* CR0, CR3, CR4, CR8 as the guest wrote them. */
static __always_inline bool hull_fast_get_cr(struct hull_vcpu *vcpu, bool shadow, u32 cr,
					     u64 *value)
{
	switch (cr) {
	case 0:
		*value = vcpu->control.cr0;
		return true;
	case 3:
		*value = vcpu->control.cr3;
		return shadow;
	case 4:
		*value = vcpu->control.cr4;
		return true;
	default:
		if (!vcpu->lapic)
			return false;
		*value = hull_lapic_get_cr8(vcpu);
		return true;
	}
}

/* INVLPG of @linear: what is not canonical is in no TLB. */
static __always_inline void hull_fast_invlpg(struct hull_vcpu *vcpu, u64 linear)
{
	if (likely(hull_is_canonical(linear, vcpu->control.cr4 & X86_CR4_LA57)))
		hull_shadow_invlpg(vcpu, linear);
}

/*
 * Does AC lift SMAP for the access that faulted? User code that makes a supervisor's access does so
 * by way of a descriptor table, which AC has no say in.
 */
static __always_inline bool hull_fault_ac(u64 rflags, u8 cpl, u32 error_code)
{
	return (cpl < 3 || (error_code & X86_PF_USER)) && (rflags & X86_EFLAGS_AC);
}

/*
 * A #PF with shadow paging, @exit->gva and @exit->error_code. MAPPED: the guest goes on: entered,
 * or handed to the guest whose fault it is; MMIO: no memory is there: @exit->gpa and @exit->access
 * are filled; -EAGAIN: it must be handled outside.
 */
static __always_inline int hull_fast_page_fault(struct hull_vcpu *vcpu, struct hull_exit *exit,
						u64 rflags, u8 cpl)
{
	bool ac = hull_fault_ac(rflags, cpl, exit->error_code);
	int fault = hull_shadow_fault_fast(vcpu, exit->gva, exit->error_code, ac);

	switch (fault) {
	case HULL_FAULT_GUEST:
		hull_count(vcpu, HULL_STAT_EXCEPTION);
		hull_inject_page_fault(vcpu, exit->gva, vcpu->mmu.walk.error_code);
		return HULL_FAULT_MAPPED;
	case HULL_FAULT_MMIO:
		exit->gpa = vcpu->mmu.walk.gpa;
		exit->access = hull_fault_access(exit->error_code);
		fallthrough;
	case HULL_FAULT_MAPPED:
		hull_count(vcpu, HULL_STAT_MEMORY_FAULT);
		fallthrough;
	default:
		return fault;
	}
}

/*
 * A port access without strings. True: done, @value holds what was read. In the window or outside.
 */
static __always_inline bool hull_fast_port(struct hull_vcpu *vcpu, u16 port, u8 size, bool write,
					   u32 *value)
{
	const struct hull_irqchip *chip = vcpu->vm->irqchip;

	if (chip && hull_irqchip_port_maybe(chip, port) &&
	    hull_irqchip_port(vcpu, port, size, write, value))
		return true;
	return write && hull_ring_write_fast(vcpu, HULL_SPACE_PORT, port, size, *value);
}

/* The same for an exit, which is described when the port belongs to somebody else. */
static __always_inline bool hull_fast_io(struct hull_vcpu *vcpu, u64 *rax, u16 port, u8 size,
					 bool write, bool string)
{
	struct hull_exit *exit = &vcpu->exit;
	u32 value = *rax;

	if (likely(!string) && hull_fast_port(vcpu, port, size, write, &value)) {
		if (!write)
			hull_merge_result(rax, size, value);
		return true;
	}
	exit->kind = HULL_X_PORT;
	exit->port = port;
	exit->size = size;
	exit->write = write;
	exit->string = string;
	exit->value = value;
	return false;
}

/* RDMSR and WRMSR, in the window (@fast) or outside; RAX is at @rax, or is @rax. 0: done. */
static __always_inline int hull_rdmsr(struct hull_vcpu *vcpu, u64 *rax)
{
	u64 *gpr = vcpu->gprs.gpr, value;
	int err = hull_msr_read(vcpu, gpr[HULL_GPR_RCX], &value);

	if (err)
		return err;
	*rax = (u32)value;
	gpr[HULL_GPR_RDX] = value >> 32;
	return 0;
}

static __always_inline int hull_wrmsr(struct hull_vcpu *vcpu, u64 rax, bool fast)
{
	const u64 *gpr = vcpu->gprs.gpr;
	u32 index = gpr[HULL_GPR_RCX];

	/* EFER works on the neutral state, which is loaded only outside the window. */
	if (fast && index == MSR_EFER)
		return -EAGAIN;
	return hull_msr_write(vcpu, index, (u32)rax | gpr[HULL_GPR_RDX] << 32, fast);
}

static __always_inline bool hull_fast_hypercall(struct hull_vcpu *vcpu, u64 *rax, u8 cpl)
{
	u64 result;

	if (cpl || !hull_hypercall(vcpu, *rax, &result))
		return false;
	*rax = result;
	return true;
}

/* ---- the loop ------------------------------------------------------------------------------- */

/* What an exit's handler says in the window. */
enum { HULL_AGAIN, HULL_LEAVE };

/* HLT, with RIP behind it: with something to deliver it never leaves the window. */
static __always_inline int hull_fast_hlt(struct hull_vcpu *vcpu, bool interrupts)
{
	if (hull_event_wakes(vcpu, interrupts)) {
		hull_vcpu_set_request(vcpu, HULL_REQ_EVENT);
		return HULL_AGAIN;
	}
	vcpu->run_state = HULL_STATE_HALTED;
	vcpu->exit.kind = HULL_X_NONE;
	return HULL_LEAVE;
}

/* What the last entry was to deliver is delivered, unless hull_event_requeue() follows. */
static __always_inline void hull_fast_delivered(struct hull_event *event)
{
	if (event->injected == HULL_INJECTION_EXCEPTION)
		event->exception = false;
	else if (event->injected == HULL_INJECTION_INTERRUPT)
		event->interrupt = -1;
	event->injected = HULL_INJECTION_NONE;
}

/* What can only be done outside the window. */
#define HULL_LEAVE_REQUESTS	(BIT(HULL_REQ_EXIT) | BIT(HULL_REQ_CLOCK) | BIT(HULL_REQ_END) | \
				 BIT(HULL_REQ_ROOT) | BIT(HULL_REQ_EOI))

/*
 * Before each entry: everything another context asked for, in the order: leave, then flush, then
 * events, since what is injected must be followed by an entry; then the oracle.
 * @stale: is what is cached under this vCPU's TLB tag on this CPU not known to be its own?
 * All are the backend's, constants.
 * HULL_AGAIN: enter; HULL_LEAVE: leave the window.
 */
static __always_inline int hull_next_entry(struct hull_vcpu *vcpu,
					   bool (*stale)(struct hull_vcpu *vcpu),
					   void (*flush)(struct hull_vcpu *vcpu),
					   void (*inject)(struct hull_vcpu *vcpu),
					   bool (*check)(struct hull_vcpu *vcpu))
{
	/* A flush that is due has asked us before: its request is seen below. See tlb.c. */
	vcpu->mmu.due = hull_mmu_due(&vcpu->vm->mmu);
	smp_rmb();
	if (hull_work_pending() || (READ_ONCE(vcpu->requests) & HULL_LEAVE_REQUESTS))
		return HULL_LEAVE;
	if (hull_vcpu_take_request(vcpu, HULL_REQ_FLUSH) || stale(vcpu))
		flush(vcpu);
	/* Interrupts that the vCPU caused itself come without a request. */
	if (hull_vcpu_take_request(vcpu, HULL_REQ_EVENT) || hull_fast_irq(vcpu))
		inject(vcpu);
	if (unlikely(vcpu->event.triple_fault))
		return HULL_LEAVE;
	if (unlikely(hull_check || vcpu->state_set) && !check(vcpu)) {
		hull_vcpu_set_request(vcpu, HULL_REQ_EVENT);
		return HULL_LEAVE;
	}
	return HULL_AGAIN;
}

/* Fast exits in a row before the host gets a look in. */
#define HULL_WINDOW_BUDGET	4096

/* The window is open: from here on a kick is an interrupt. Interrupts are off. */
static __always_inline void hull_window_begin(struct hull_vcpu *vcpu)
{
	vcpu->budget = HULL_WINDOW_BUDGET;
	if (unlikely(vcpu->cpu != smp_processor_id())) {
		vcpu->cpu = smp_processor_id();
		hull_vcpu_set_request(vcpu, HULL_REQ_CLOCK);
	}
	/* Full barrier: a requester sees the mode, or its request is seen before the entry. */
	smp_store_mb(vcpu->mode, HULL_IN_GUEST);
}

static __always_inline void hull_window_end(struct hull_vcpu *vcpu)
{
	smp_store_release(&vcpu->mode, HULL_OUTSIDE);
}

/* An exit was handled in the window: HULL_AGAIN, or HULL_LEAVE with the exit's kind. */
static __always_inline int hull_window_go_on(struct hull_vcpu *vcpu,
					     int (*next_entry)(struct hull_vcpu *vcpu))
{
	if (likely(--vcpu->budget)) {
		if (likely(!READ_ONCE(vcpu->requests) && !hull_fast_irq(vcpu) &&
			   !hull_work_pending() && !hull_check))
			return HULL_AGAIN;
		vcpu->exit.kind = HULL_X_NONE;
		return next_entry(vcpu);
	}
	vcpu->exit.kind = HULL_X_NONE;
	return HULL_LEAVE;
}

#endif
