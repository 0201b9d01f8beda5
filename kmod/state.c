// SPDX-License-Identifier: GPL-2.0
/*
 * Register groups between a vCPU and user space; reset, INIT and SIPI.
 *
 * Every bit of a vCPU's state has a get and a set here. What user space sets is checked as far as
 * one register goes; combinations are judged by the backend's checker before the next entry.
 * The vCPU's mutex is held.
 */
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/debugreg.h>
#include <asm/processor-flags.h>

#include "backend.h"
#include "cpuid.h"
#include "exit.h"
#include "host.h"
#include "irqchip/irqchip.h"
#include "msr.h"
#include "mutate.h"
#include "ring.h"
#include "state.h"
#include "vcpu.h"

/* ---- reset ---------------------------------------------------------------------------------- */

#define ATTR_DATA	0x93	/* present, writable, accessed */
#define ATTR_CODE	0x9b
#define ATTR_LDT	0x82
#define ATTR_TSS_BUSY	0x8b

#define RESET_CR0	(X86_CR0_CD | X86_CR0_NW | X86_CR0_ET)
#define RFLAGS_FIXED	BIT(1)

static struct hull_segment reset_segment(u16 attr)
{
	return (struct hull_segment){ .limit = 0xffff, .attr = attr };
}

static void reset_segments(struct hull_segments *s)
{
	s->ds = s->es = s->fs = s->gs = s->ss = reset_segment(ATTR_DATA);
	s->cs = reset_segment(ATTR_CODE);
	s->cs.selector = 0xf000;
	s->cs.base = 0xffff0000;
	s->ldtr = reset_segment(ATTR_LDT);
	s->tr = reset_segment(ATTR_TSS_BUSY);
	s->gdtr = s->idtr = reset_segment(0);
}

void hull_vcpu_reset(struct hull_vcpu *vcpu, bool init)
{
	u64 cache_bits = init ? vcpu->control.cr0 & (X86_CR0_CD | X86_CR0_NW) :
				X86_CR0_CD | X86_CR0_NW;
	u64 apic_base = vcpu->control.apic_base;
	struct hull_segments segments;

	hull_event_reset(vcpu);
	hull_emu_cancel(&vcpu->emu);
	hull_ring_cancel(vcpu);
	vcpu->pending.kind = HULL_CONT_NONE;
	memset(&vcpu->gprs, 0, sizeof(vcpu->gprs));
	vcpu->gprs.rip = 0xfff0;
	vcpu->gprs.rflags = RFLAGS_FIXED;
	vcpu->gprs.gpr[HULL_GPR_RDX] = cpuid_eax(1);

	if (!init) {
		hull_fpu_reset(vcpu->fpu);
		vcpu->control.xcr0 = XFEATURE_MASK_FP;
	}
	vcpu->control.cr0 = cache_bits | X86_CR0_ET;
	vcpu->control.cr2 = vcpu->control.cr3 = vcpu->control.cr4 = 0;
	vcpu->control.cr8 = vcpu->control.efer = 0;
	vcpu->control.apic_base = apic_base;
	memset(&vcpu->debug, 0, sizeof(vcpu->debug));
	vcpu->debug.dr6 = DR6_RESERVED;
	vcpu->debug.dr7 = HULL_DR7_FIXED;

	hull_backend->vcpu_reset(vcpu, init);
	reset_segments(&segments);
	hull_backend->set_segments(vcpu, &segments);
	hull_control_changed(vcpu, true, true);
	hull_msr_reset(vcpu, init);
	if (vcpu->lapic)
		hull_lapic_reset(vcpu, init);
	vcpu->run_state = HULL_STATE_RUNNING;
}

void hull_vcpu_start_at(struct hull_vcpu *vcpu, u8 vector)
{
	struct hull_segments segments;

	hull_backend->get_segments(vcpu, &segments);
	segments.cs.selector = vector << 8;
	segments.cs.base = (u32)vector << 12;
	hull_backend->set_segments(vcpu, &segments);
	vcpu->gprs.rip = 0;
}

/* ---- groups --------------------------------------------------------------------------------- */

#define RFLAGS_DEFINED	(X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF |	\
			 X86_EFLAGS_SF | X86_EFLAGS_TF | X86_EFLAGS_IF | X86_EFLAGS_DF |	\
			 X86_EFLAGS_OF | X86_EFLAGS_IOPL | X86_EFLAGS_NT | X86_EFLAGS_RF |	\
			 X86_EFLAGS_VM | X86_EFLAGS_AC | X86_EFLAGS_VIF | X86_EFLAGS_VIP |	\
			 X86_EFLAGS_ID | RFLAGS_FIXED)

/* What a CPU would refuse, too, when it is to be entered. */
static bool is_refused(bool illegal)
{
	return illegal && !hull_mutate_trust_state;
}

static int set_gprs(struct hull_vcpu *vcpu, const struct hull_gprs *gprs)
{
	if (is_refused((gprs->rflags & ~RFLAGS_DEFINED) || !(gprs->rflags & RFLAGS_FIXED)))
		return -EINVAL;
	vcpu->gprs = *gprs;
	return 0;
}

static void get_control(struct hull_vcpu *vcpu, struct hull_control *to)
{
	*to = vcpu->control;
	if (vcpu->lapic) {
		to->cr8 = hull_lapic_get_cr8(vcpu);
		hull_lapic_read_msr(vcpu, MSR_IA32_APICBASE, &to->apic_base);
	} else {
		to->apic_base = HULL_APIC_BASE_DEFAULT | (vcpu->id ? 0 : MSR_IA32_APICBASE_BSP);
	}
}

static bool is_valid_control(struct hull_vcpu *vcpu, const struct hull_control *control)
{
	bool long_mode = (control->efer & EFER_LME) && (control->cr0 & X86_CR0_PG);

	if (!hull_valid_cr0(control->cr0) || (control->cr0 & ~HULL_CR0_DEFINED))
		return false;
	if ((control->cr4 & ~hull_cpuid_cr4_mask(vcpu)) ||
	    (control->efer & ~hull_cpuid_efer_mask(vcpu)))
		return false;
	if (!!(control->efer & EFER_LMA) != long_mode ||
	    (long_mode && !(control->cr4 & X86_CR4_PAE)))
		return false;
	if (!long_mode && (control->cr4 & X86_CR4_PCIDE))
		return false;
	return !(control->cr3 >> hull_gpa_bits);
}

static int set_control(struct hull_vcpu *vcpu, const struct hull_control *from)
{
	struct hull_control old = vcpu->control;

	if (is_refused(!is_valid_control(vcpu, from)))
		return -EINVAL;
	if (from->cr8 > 15 || hull_set_xcr0(vcpu, from->xcr0))
		return -EINVAL;
	if (vcpu->lapic && hull_lapic_set_base(vcpu, from->apic_base)) {
		vcpu->control = old;
		return -EINVAL;
	}
	vcpu->control = *from;
	vcpu->control.cr0 |= X86_CR0_ET;
	hull_control_changed(vcpu, true, true);
	if (vcpu->lapic)
		hull_lapic_set_cr8(vcpu, from->cr8);
	return 0;
}

static int set_debug(struct hull_vcpu *vcpu, const struct hull_debug *from)
{
	if (from->dr6 >> 32 || is_refused(from->dr7 >> 32))
		return -EINVAL;
	vcpu->debug = *from;
	vcpu->debug.dr6 = (from->dr6 & HULL_DR6_WRITABLE) | DR6_RESERVED;
	vcpu->debug.dr7 |= HULL_DR7_FIXED;
	return 0;
}

static int set_fpu(struct hull_vcpu *vcpu, const struct hull_fpu *from)
{
	if (hull_fpu_validate(from->data))
		return -EINVAL;
	memcpy(vcpu->fpu->area, from->data, hull_xsave_size);
	return 0;
}

/* The continuation as the opaque bytes of the interface. */
struct saved_continuation {
	struct hull_continuation pending;
	struct hull_ring_pending request;
	struct hull_emu_state emu;
};

static_assert(sizeof(struct saved_continuation) <= HULL_CONTINUATION_SIZE);

static void get_events(struct hull_vcpu *vcpu, struct hull_events *to)
{
	struct saved_continuation *saved = (void *)to->continuation;
	struct hull_event *event = &vcpu->event;

	/* What was delivered is history: it must not tell two vCPUs apart. */
	if (event->exception) {
		to->flags = HULL_EVENT_EXCEPTION |
			    (event->has_error ? HULL_EVENT_EXCEPTION_ERROR : 0) |
			    (event->soft ? HULL_EVENT_SOFT : 0);
		to->exception = event->vector;
		to->error_code = event->error_code;
		to->fault_address = event->fault_address;
	}
	to->flags |= (atomic_read(&event->nmi_pending) ? HULL_EVENT_NMI_PENDING : 0) |
		     (event->nmi_masked ? HULL_EVENT_NMI_MASKED : 0) |
		     (event->interrupt >= 0 ? HULL_EVENT_INTERRUPT : 0) |
		     (event->shadow ? HULL_EVENT_SHADOW : 0) |
		     (test_bit(HULL_STARTUP_INIT, &event->startup) ? HULL_EVENT_INIT : 0) |
		     (test_bit(HULL_STARTUP_SIPI, &event->startup) ? HULL_EVENT_SIPI : 0);
	to->run_state = vcpu->run_state;
	to->interrupt = event->interrupt >= 0 ? event->interrupt : 0;
	to->sipi_vector = event->sipi_vector;
	if (vcpu->pending.kind == HULL_CONT_NONE)
		return;
	saved->pending = vcpu->pending;
	hull_ring_get_pending(vcpu, &saved->request);
	if (vcpu->pending.kind == HULL_CONT_EMULATE)
		saved->emu = vcpu->emu.state;
}

static int set_continuation(struct hull_vcpu *vcpu, const struct saved_continuation *saved)
{
	int err;

	if (saved->pending.kind > HULL_CONT_EMULATE || saved->pending.size > 8 ||
	    saved->pending.write > 1 || saved->pending.reg > HULL_GPR_R15 ||
	    saved->pending.reserved || saved->pending.reserved2)
		return -EINVAL;
	if ((saved->pending.kind != HULL_CONT_NONE) != saved->request.pending)
		return -EINVAL;
	if (saved->pending.kind == HULL_CONT_EMULATE) {
		err = hull_emu_restore(&vcpu->emu, &saved->emu);
		if (err)
			return err;
	} else {
		hull_emu_cancel(&vcpu->emu);
	}
	/* A string being written is among the accesses that the emulator has made. */
	err = hull_ring_set_pending(vcpu, &saved->request, vcpu->emu.state.data);
	if (err)
		return err;
	vcpu->pending = saved->pending;
	return 0;
}

static int set_events(struct hull_vcpu *vcpu, const struct hull_events *from)
{
	struct hull_event *event = &vcpu->event;
	int err;

	if ((from->flags & ~HULL_EVENT_FLAGS) || from->run_state > HULL_STATE_WAIT_SIPI ||
	    from->exception > 31 || from->reserved)
		return -EINVAL;
	/* NMI is not an exception that can be queued; nor is 31, of which VMRUN knows nothing. */
	if (is_refused((from->flags & HULL_EVENT_EXCEPTION) &&
		       (from->exception == 2 || from->exception == 31)))
		return -EINVAL;
	err = set_continuation(vcpu, (const void *)from->continuation);
	if (err)
		return err;
	event->exception = from->flags & HULL_EVENT_EXCEPTION;
	event->has_error = from->flags & HULL_EVENT_EXCEPTION_ERROR;
	event->soft = from->flags & HULL_EVENT_SOFT;
	event->vector = from->exception;
	event->error_code = from->error_code;
	event->fault_address = from->fault_address;
	event->interrupt = (from->flags & HULL_EVENT_INTERRUPT) ? from->interrupt : -1;
	event->nmi_masked = from->flags & HULL_EVENT_NMI_MASKED;
	event->shadow = from->flags & HULL_EVENT_SHADOW;
	atomic_set(&event->nmi_pending, !!(from->flags & HULL_EVENT_NMI_PENDING));
	event->sipi_vector = from->sipi_vector;
	event->startup = (from->flags & HULL_EVENT_INIT ? BIT(HULL_STARTUP_INIT) : 0) |
			 (from->flags & HULL_EVENT_SIPI ? BIT(HULL_STARTUP_SIPI) : 0);
	vcpu->run_state = from->run_state;
	hull_vcpu_set_request(vcpu, HULL_REQ_EVENT);
	return 0;
}

static int save_groups(struct hull_vcpu *vcpu, u64 groups, struct hull_vcpu_state *to)
{
	if (groups & HULL_GROUP_GPRS)
		to->gprs = vcpu->gprs;
	if (groups & HULL_GROUP_SEGMENTS)
		hull_backend->get_segments(vcpu, &to->segments);
	if (groups & HULL_GROUP_CONTROL)
		get_control(vcpu, &to->control);
	if (groups & HULL_GROUP_DEBUG)
		to->debug = vcpu->debug;
	if (groups & HULL_GROUP_MSRS)
		hull_msr_get_all(vcpu, &to->msrs);
	if (groups & HULL_GROUP_FPU)
		memcpy(to->fpu.data, vcpu->fpu->area, hull_xsave_size);
	if (groups & HULL_GROUP_EVENTS)
		get_events(vcpu, &to->events);
	if (groups & (HULL_GROUP_APIC | HULL_GROUP_TIMERS)) {
		to->timers.tsc = rdtsc() + hull_tsc_offset(vcpu);
		if (vcpu->lapic)
			hull_lapic_get_state(vcpu, &to->apic, &to->timers);
	}
	return 0;
}

static int load_groups(struct hull_vcpu *vcpu, u64 groups, const struct hull_vcpu_state *from)
{
	int err = 0;

	vcpu->state_set = true;
	if (groups & HULL_GROUP_CONTROL)
		err = set_control(vcpu, &from->control);
	if (!err && (groups & HULL_GROUP_GPRS))
		err = set_gprs(vcpu, &from->gprs);
	if (!err && (groups & HULL_GROUP_SEGMENTS))
		hull_backend->set_segments(vcpu, &from->segments);
	if (!err && (groups & HULL_GROUP_DEBUG))
		err = set_debug(vcpu, &from->debug);
	if (!err && (groups & HULL_GROUP_TIMERS))
		hull_set_tsc(vcpu, from->timers.tsc);
	if (!err && (groups & HULL_GROUP_MSRS))
		err = hull_msr_set_all(vcpu, &from->msrs);
	if (!err && (groups & HULL_GROUP_FPU))
		err = set_fpu(vcpu, &from->fpu);
	if (!err && (groups & HULL_GROUP_EVENTS))
		err = set_events(vcpu, &from->events);
	if (!err && (groups & HULL_GROUP_APIC) && vcpu->lapic)
		err = hull_lapic_set_state(vcpu, &from->apic);
	if (!err && (groups & HULL_GROUP_TIMERS) && vcpu->lapic)
		err = hull_lapic_set_timers(vcpu, &from->timers);
	return err;
}

/* Where each group is in struct hull_vcpu_state, by bit number. */
static const struct {
	u32 offset, size;
} group_place[] = {
#define PLACE(field) { offsetof(struct hull_vcpu_state, field), \
		       sizeof_field(struct hull_vcpu_state, field) }
	PLACE(gprs), PLACE(segments), PLACE(control), PLACE(debug), PLACE(msrs),
	PLACE(fpu), PLACE(events), PLACE(apic), PLACE(timers),
#undef PLACE
};

static long copy_groups(struct hull_vcpu_state *state, u64 groups, void __user *user, bool in)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(group_place); i++) {
		void *kernel = (void *)state + group_place[i].offset;
		void __user *there = user + group_place[i].offset;
		u32 size = group_place[i].size;

		if (!(groups & BIT_ULL(i)))
			continue;
		if (in ? copy_from_user(kernel, there, size) : copy_to_user(there, kernel, size))
			return -EFAULT;
	}
	return 0;
}

long hull_vcpu_move_state(struct hull_vcpu *vcpu, const struct hull_state_io *args, bool set)
{
	void __user *user = u64_to_user_ptr(args->state);
	struct hull_vcpu_state *state;
	long ret;

	if (args->groups & ~HULL_GROUPS)
		return -EINVAL;
	if ((args->groups & HULL_GROUP_APIC) && !vcpu->lapic)
		return -ENXIO;
	state = kvzalloc(sizeof(*state), GFP_KERNEL_ACCOUNT);
	if (!state)
		return -ENOMEM;
	if (set) {
		ret = copy_groups(state, args->groups, user, true) ?:
		      load_groups(vcpu, args->groups, state);
	} else {
		ret = save_groups(vcpu, args->groups, state) ?:
		      copy_groups(state, args->groups, user, false);
	}
	kvfree(state);
	return ret;
}

/* 0; -EINVAL: unknown access bits; -EFAULT: not mapped by the guest's tables; -ENXIO. */
long hull_vcpu_translate(struct hull_vcpu *vcpu, struct hull_translate *args)
{
	struct hull_paging paging;
	struct hull_walk walk;
	int err;

	if (args->access & ~(HULL_ACCESS_WRITE | HULL_ACCESS_USER | HULL_ACCESS_FETCH))
		return -EINVAL;
	hull_vcpu_paging(vcpu, &paging);
	/* The walk knows no more bits than it translates. */
	if (paging.efer & EFER_LMA ? !hull_is_canonical(args->gva, paging.cr4 & X86_CR4_LA57) :
				     args->gva >> 32)
		return -EFAULT;
	err = hull_walk(vcpu->vm, &paging, args->gva, args->access, false, &walk);
	if (!err)
		args->gpa = walk.gpa;
	return err;
}
