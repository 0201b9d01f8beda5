// SPDX-License-Identifier: GPL-2.0
/*
 * Virtual CPUs: life, the run loop, requests and kicks, sleeping.
 *
 * The run loop is the heart of the tour. Each turn: stop when told to, do what other contexts
 * asked for, sleep when the guest is halted, then open a window (the backend's run()) and handle
 * the exit that closed it.
 */
#include <linux/module.h>
#include <linux/rcuwait.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "backend.h"
#include "cpuid.h"
#include "dev.h"
#include "exit.h"
#include "host.h"
#include "irqchip/irqchip.h"
#include "msr.h"
#include "state.h"
#include "trace.h"
#include "vcpu.h"

/* ---- requests, kicks, sleep ----------------------------------------------------------------- */

static void kicked(void *unused)
{
	/* The interrupt itself ended the window. */
}

static void kick(struct hull_vcpu *vcpu)
{
	int cpu = get_cpu();

	/* A vCPU thread that asks itself is about to look at its requests anyway. */
	if (READ_ONCE(vcpu->mode) == HULL_IN_GUEST && READ_ONCE(vcpu->cpu) != cpu) {
		/* EBUSY: an earlier kick is still on its way, which will do. */
		smp_call_function_single_async(READ_ONCE(vcpu->cpu), &vcpu->kick);
		hull_count(vcpu, HULL_STAT_KICKS);
	}
	put_cpu();
}

void hull_vcpu_request(struct hull_vcpu *vcpu, unsigned int request)
{
	set_bit(request, &vcpu->requests);
	/* Pairs with the barrier between mode and requests on the way into the guest. */
	smp_mb__after_atomic();
	rcuwait_wake_up(&vcpu->wait);
	kick(vcpu);
}

int hull_vcpu_wait(struct hull_vcpu *vcpu, bool (*awake)(struct hull_vcpu *vcpu))
{
	return rcuwait_wait_event(&vcpu->wait, awake(vcpu) || READ_ONCE(vcpu->run->stop),
				  TASK_INTERRUPTIBLE);
}

/* ---- ending --------------------------------------------------------------------------------- */

int hull_vcpu_end(struct hull_vcpu *vcpu, u32 reason, u64 code, u64 info1, u64 info2)
{
	struct hull_vm *vm = vcpu->vm;

	if (!cmpxchg(&vm->end_reason, 0, reason)) {
		vm->end.end_reason = reason;
		vm->end.end_code = code;
		vm->end.end_info[0] = info1;
		vm->end.end_info[1] = info2;
		strscpy(vm->end.end_text, vcpu->exit.broken ?: "", sizeof(vm->end.end_text));
		vm->end.end_rip = vcpu->gprs.rip;
		vm->end.end_insn_len = vcpu->emu.state.nbytes;
		memcpy(vm->end.end_insn, vcpu->emu.state.bytes, HULL_INSN_MAX);
		trace_hull_end(vcpu->id, reason, code, vcpu->gprs.rip);
		smp_store_release(&vm->end_published, true);
		hull_vm_request(vm, HULL_REQ_END);
	}
	return HULL_RESUME;
}

static bool publish_end(struct hull_vcpu *vcpu)
{
	struct hull_vm *vm = vcpu->vm;
	struct hull_run *run = vcpu->run;

	if (likely(!READ_ONCE(vm->end_reason)))
		return false;
	/* Another vCPU may be writing the details just now. */
	while (!smp_load_acquire(&vm->end_published))
		cpu_relax();
	run->end_reason = vm->end.end_reason;
	run->end_code = vm->end.end_code;
	memcpy(run->end_info, vm->end.end_info, sizeof(run->end_info));
	memcpy(run->end_text, vm->end.end_text, sizeof(run->end_text));
	run->end_rip = vm->end.end_rip;
	run->end_insn_len = vm->end.end_insn_len;
	memcpy(run->end_insn, vm->end.end_insn, sizeof(run->end_insn));
	run->exit = HULL_EXIT_ENDED;
	return true;
}

/* ---- the run loop --------------------------------------------------------------------------- */

/* INIT and SIPI: what other CPUs told this one to become. */
static void take_startup(struct hull_vcpu *vcpu)
{
	struct hull_event *event = &vcpu->event;

	if (test_and_clear_bit(HULL_STARTUP_INIT, &event->startup)) {
		hull_vcpu_reset(vcpu, true);
		vcpu->run_state = HULL_STATE_WAIT_SIPI;
	}
	if (test_and_clear_bit(HULL_STARTUP_SIPI, &event->startup) &&
	    vcpu->run_state == HULL_STATE_WAIT_SIPI) {
		hull_vcpu_start_at(vcpu, READ_ONCE(event->sipi_vector));
		vcpu->run_state = HULL_STATE_RUNNING;
	}
}

static void take_requests(struct hull_vcpu *vcpu)
{
	hull_vcpu_take_request(vcpu, HULL_REQ_EXIT);
	hull_vcpu_take_request(vcpu, HULL_REQ_END);
	if (hull_vcpu_take_request(vcpu, HULL_REQ_CLOCK))
		hull_clock_update(vcpu);
	if (unlikely(hull_vcpu_take_request(vcpu, HULL_REQ_EOI)))
		hull_pv_eoi_settle_now(vcpu);
	if (unlikely(READ_ONCE(vcpu->event.startup)))
		take_startup(vcpu);
}

/* Anything the run loop or the waiting guest wants to see. */
static bool halt_ends(struct hull_vcpu *vcpu)
{
	const unsigned long wanted = BIT(HULL_REQ_CLOCK) | BIT(HULL_REQ_END) | BIT(HULL_REQ_EXIT) |
				     BIT(HULL_REQ_EOI);

	/* The first may ask for HULL_REQ_EOI. */
	return hull_event_wakes(vcpu, vcpu->gprs.rflags & X86_EFLAGS_IF) ||
	       (READ_ONCE(vcpu->requests) & wanted);
}

/* HULL_RESUME: awake; HULL_PUBLISH; -EINTR. */
static int sleep_halted(struct hull_vcpu *vcpu)
{
	int err;

	if (vcpu->run_state == HULL_STATE_HALTED &&
	    hull_event_wakes(vcpu, vcpu->gprs.rflags & X86_EFLAGS_IF)) {
		vcpu->run_state = HULL_STATE_RUNNING;
		/* It goes in with the entry, no matter that a window was asked for. */
		hull_vcpu_set_request(vcpu, HULL_REQ_EVENT);
		return HULL_RESUME;
	}
	if (vcpu->run_state == HULL_STATE_HALTED && !vcpu->lapic) {
		vcpu->run->exit = HULL_EXIT_HALTED;
		vcpu->run_state = HULL_STATE_RUNNING;
		return HULL_PUBLISH;
	}
	hull_count(vcpu, HULL_STAT_SLEEPS);
	err = hull_vcpu_wait(vcpu, halt_ends);
	return err ?: HULL_RESUME;
}

/* The counter that an exit belongs to. */
static const u8 stat_of_kind[] = {
	[HULL_X_NONE] = HULL_STAT_INTERRUPT,
	[HULL_X_PORT] = HULL_STAT_PORT,
	[HULL_X_MEMORY] = HULL_STAT_MEMORY_FAULT,
	[HULL_X_MSR] = HULL_STAT_MSR,
	[HULL_X_CPUID] = HULL_STAT_CPUID,
	[HULL_X_HYPERCALL] = HULL_STAT_HYPERCALL,
	[HULL_X_HLT] = HULL_STAT_HLT,
	[HULL_X_PAUSE] = HULL_STAT_PAUSE,
	[HULL_X_CR] = HULL_STAT_CONTROL,
	[HULL_X_DR] = HULL_STAT_CONTROL,
	[HULL_X_XSETBV] = HULL_STAT_CONTROL,
	[HULL_X_CACHE] = HULL_STAT_INVALIDATE,
	[HULL_X_INVLPG] = HULL_STAT_INVALIDATE,
	[HULL_X_PAGE_FAULT] = HULL_STAT_MEMORY_FAULT,
	[HULL_X_EXCEPTION] = HULL_STAT_EXCEPTION,
	[HULL_X_UD] = HULL_STAT_VIRT_INSN,
};

/* Handle an exit, and account the time that it takes. */
static int handle_exit(struct hull_vcpu *vcpu, const struct hull_exit *exit)
{
	u8 stat = exit->kind < ARRAY_SIZE(stat_of_kind) ? stat_of_kind[exit->kind] : 0;
	u64 start = rdtsc();
	int next;

	trace_hull_exit(vcpu->id, exit->kind, exit->code, exit->info[0], exit->info[1],
			vcpu->gprs.rip);
	next = hull_exit_handle(vcpu, exit);
	vcpu->stats.cycles[stat ?: HULL_STAT_OTHER] += rdtsc() - start;
	return next;
}

/* One turn. HULL_RESUME: another one; HULL_PUBLISH; -errno. */
static int run_once(struct hull_vcpu *vcpu)
{
	struct hull_exit *exit = &vcpu->exit;
	int err;

	if (READ_ONCE(vcpu->run->stop))
		return -EINTR;
	if (publish_end(vcpu))
		return HULL_PUBLISH;
	if (hull_work_pending()) {
		err = hull_handle_work();
		if (err)
			return err;
	}
	if (READ_ONCE(vcpu->requests) || READ_ONCE(vcpu->event.startup))
		take_requests(vcpu);
	if (unlikely(vcpu->run_state != HULL_STATE_RUNNING))
		return sleep_halted(vcpu);
	if (unlikely(vcpu->event.triple_fault))
		return hull_vcpu_end(vcpu, HULL_END_TRIPLE_FAULT, 0, 0, 0);

	if (hull_is_shadow(vcpu)) {
		err = hull_shadow_prepare(vcpu);
		if (err)
			return err;
	}
	exit->kind = HULL_X_NONE;
	exit->broken = NULL;
	if (unlikely(!hull_has_real_mode && !(vcpu->control.cr0 & X86_CR0_PE))) {
		exit->broken = "real mode needs a CPU with EPT and unrestricted guests";
		return hull_vcpu_end(vcpu, HULL_END_BAD_STATE, 0, 0, 0);
	}
	err = hull_backend->run(vcpu);
	if (err == -EBUSY)
		return err;
	if (err)
		return hull_vcpu_end(vcpu, HULL_END_BAD_STATE, 0, -err, 0);
	hull_count(vcpu, HULL_STAT_WINDOWS);
	return exit->kind == HULL_X_NONE ? HULL_RESUME : handle_exit(vcpu, exit);
}

static long vcpu_run(void *object, void *arg)
{
	struct hull_vcpu *vcpu = object;
	int next;

	vcpu->run->exit = 0;
	vcpu->task = current;
	next = hull_exit_finish(vcpu);
	while (next == HULL_RESUME)
		next = run_once(vcpu);
	/* What user space sees and saves, memory included, has no open offer. */
	hull_pv_eoi_settle_now(vcpu);
	vcpu->task = NULL;
	hull_count(vcpu, HULL_STAT_USER);
	return next == HULL_PUBLISH ? 0 : next;
}

/* ---- life ----------------------------------------------------------------------------------- */

static int create_parts(struct hull_vcpu *vcpu)
{
	int err;

	err = hull_msr_create(vcpu);
	if (err)
		return err;
	err = hull_cpuid_create(vcpu);
	if (err)
		goto err_msr;
	err = hull_ring_vcpu_create(vcpu);
	if (err)
		goto err_cpuid;
	if (vcpu->vm->irqchip) {
		err = hull_lapic_create(vcpu);
		if (err)
			goto err_ring;
	}
	err = hull_backend->vcpu_create(vcpu);
	if (err)
		goto err_lapic;
	return 0;

err_lapic:
	if (vcpu->lapic)
		hull_lapic_destroy(vcpu);
err_ring:
	hull_ring_vcpu_destroy(vcpu);
err_cpuid:
	hull_cpuid_destroy(vcpu);
err_msr:
	hull_msr_destroy(vcpu);
	return err;
}

struct hull_vcpu *hull_vcpu_create(struct hull_vm *vm, u32 id)
{
	struct hull_vcpu *vcpu;
	int err = -ENOMEM;

	vcpu = kvzalloc(sizeof(*vcpu), GFP_KERNEL_ACCOUNT);
	if (!vcpu)
		return ERR_PTR(-ENOMEM);
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->cpu = -1;
	mutex_init(&vcpu->mutex);
	rcuwait_init(&vcpu->wait);
	INIT_CSD(&vcpu->kick, kicked, NULL);
	vcpu->run = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!vcpu->run)
		goto err_vcpu;
	vcpu->fpu = kzalloc(sizeof(*vcpu->fpu), GFP_KERNEL_ACCOUNT);
	if (!vcpu->fpu)
		goto err_run;
	err = create_parts(vcpu);
	if (err)
		goto err_fpu;
	hull_emulate_setup(vcpu);
	hull_vcpu_reset(vcpu, false);
	if (id && vcpu->lapic)
		vcpu->run_state = HULL_STATE_WAIT_SIPI;
	return vcpu;

err_fpu:
	kfree(vcpu->fpu);
err_run:
	free_page((unsigned long)vcpu->run);
err_vcpu:
	kvfree(vcpu);
	return ERR_PTR(err);
}

void hull_vcpu_free(struct hull_vcpu *vcpu)
{
	hull_host_forget(vcpu);
	hull_backend->vcpu_destroy(vcpu);
	if (vcpu->lapic)
		hull_lapic_destroy(vcpu);
	hull_ring_vcpu_destroy(vcpu);
	hull_cpuid_destroy(vcpu);
	hull_msr_destroy(vcpu);
	hull_mmu_vcpu_destroy(vcpu);
	/* A kick may still be on its way to a CPU that this vCPU has left. */
	while (smp_load_acquire(&vcpu->kick.node.u_flags) & CSD_FLAG_LOCK)
		cpu_relax();
	kfree(vcpu->fpu);
	free_page((unsigned long)vcpu->run);
	kvfree(vcpu);
}

/* ---- the fd --------------------------------------------------------------------------------- */

static long vcpu_get_state(void *object, void *arg)
{
	return hull_vcpu_move_state(object, arg, false);
}

static long vcpu_set_state(void *object, void *arg)
{
	return hull_vcpu_move_state(object, arg, true);
}

static long vcpu_set_cpuid(void *object, void *arg)
{
	return hull_cpuid_set(object, arg);
}

static long vcpu_inject(void *object, void *arg)
{
	const struct hull_inject *args = arg;
	struct hull_vcpu *vcpu = object;

	switch (args->kind) {
	case HULL_INJECT_NMI:
		if (args->vector)
			return -EINVAL;
		hull_inject_nmi(vcpu);
		return 0;
	case HULL_INJECT_INTERRUPT:
		if (args->vector > 255)
			return -EINVAL;
		if (vcpu->lapic)
			return -ENXIO;
		if (vcpu->event.interrupt >= 0)
			return -EBUSY;
		vcpu->event.interrupt = args->vector;
		hull_vcpu_set_request(vcpu, HULL_REQ_EVENT);
		return 0;
	default:
		return -EINVAL;
	}
}

static long vcpu_translate(void *object, void *arg)
{
	return hull_vcpu_translate(object, arg);
}

static long vcpu_get_stats(void *object, void *arg)
{
	struct hull_vcpu *vcpu = object;
	struct hull_stats *stats = arg;

	*stats = vcpu->stats;
	stats->count = HULL_STAT_COUNT;
	return 0;
}

#define VCPU_FLAGS	(HULL_IOC_SAME_MM | HULL_IOC_LOCK)

static const struct hull_ioctl vcpu_ioctls[] = {
	{ .cmd = HULL_RUN, .fn = vcpu_run, .flags = VCPU_FLAGS },
	{ .cmd = HULL_GET_STATE, .fn = vcpu_get_state, .flags = VCPU_FLAGS },
	{ .cmd = HULL_SET_STATE, .fn = vcpu_set_state, .flags = VCPU_FLAGS },
	{ .cmd = HULL_SET_CPUID, .fn = vcpu_set_cpuid, .flags = VCPU_FLAGS,
	  HULL_RESERVED(struct hull_cpuid) },
	{ .cmd = HULL_INJECT, .fn = vcpu_inject, .flags = VCPU_FLAGS },
	{ .cmd = HULL_TRANSLATE, .fn = vcpu_translate, .flags = VCPU_FLAGS,
	  HULL_RESERVED(struct hull_translate) },
	{ .cmd = HULL_GET_STATS, .fn = vcpu_get_stats, .flags = VCPU_FLAGS },
};

static long vcpu_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct hull_vcpu *vcpu = file->private_data;

	return hull_ioctl(vcpu_ioctls, ARRAY_SIZE(vcpu_ioctls), vcpu, vcpu->vm->mm,
			  &vcpu->mutex, cmd, arg);
}

static int vcpu_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct hull_vcpu *vcpu = file->private_data;

	if (vma->vm_pgoff)
		return hull_ring_mmap_own(vcpu, vma);
	if (vma_pages(vma) != 1 || !(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	return vm_insert_page(vma, vma->vm_start, virt_to_page(vcpu->run));
}

static int vcpu_close(struct inode *inode, struct file *file)
{
	struct hull_vcpu *vcpu = file->private_data;

	hull_vm_put(vcpu->vm);
	return 0;
}

const struct file_operations hull_vcpu_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = vcpu_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = vcpu_mmap,
	.release = vcpu_close,
	.llseek = noop_llseek,
};
