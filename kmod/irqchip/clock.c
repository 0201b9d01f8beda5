// SPDX-License-Identifier: GPL-2.0
/*
 * The VM's clock and KVM's paravirtual clock, by which guests read it.
 *
 * While the host itself keeps time by its TSC, the clock is one pair (host TSC, ns) per VM, and
 * every vCPU's page says the same: guests may compare times of different CPUs. Else time is the
 * host's boot-time clock, and a vCPU's page is written anew whenever it changes the CPU. The host
 * may change its mind at run time: a notifier of its timekeeping tells.
 *
 * Locks: clock_mutex guards the list of VMs and all writers; readers use the clock's seqcount, in
 * any context.
 */
#include <linux/irq_work.h>
#include <linux/math64.h>
#include <linux/mutex.h>
#include <linux/pvclock_gtod.h>
#include <linux/timekeeper_internal.h>
#include <linux/timekeeping.h>
#include <linux/workqueue.h>
#include <asm/kvm_para.h>
#include <asm/pvclock-abi.h>
#include <asm/tsc.h>

#include "chip.h"
#include "mem/gpa.h"
#include "vcpu.h"

static DEFINE_MUTEX(clock_mutex);
static LIST_HEAD(clocks);
/* The host keeps time by its TSC; written by the notifier. */
static bool host_uses_tsc;

/* ---- reading -------------------------------------------------------------------------------- */

/* As the guest does it, to the bit. */
static u64 scale(const struct hull_vm_clock *clock, u64 cycles)
{
	if (clock->shift < 0)
		cycles >>= -clock->shift;
	else
		cycles <<= clock->shift;
	return mul_u64_u32_shr(cycles, clock->mul, 32);
}

#define FAR_FUTURE_NS	(1ULL << 55)	/* a year */

u64 hull_tsc_to_ns(const struct hull_vm_clock *clock, u64 cycles)
{
	return cycles >> 56 ? FAR_FUTURE_NS : min(scale(clock, cycles), FAR_FUTURE_NS);
}

/* Inside a read section of clock->seq. */
static __always_inline u64 clock_ns(const struct hull_vm_clock *clock)
{
	u64 tsc;

	if (!clock->use_tsc)
		return clock->ns + (ktime_get_boottime_ns() - clock->boot);
	tsc = rdtsc_ordered();
	/* CPUs may differ by a few cycles. */
	return clock->ns + (tsc > clock->tsc ? scale(clock, tsc - clock->tsc) : 0);
}

u64 hull_clock_read(const struct hull_vm_clock *clock)
{
	unsigned int seq;
	u64 ns;

	do {
		seq = read_seqcount_begin(&clock->seq);
		ns = clock_ns(clock);
	} while (read_seqcount_retry(&clock->seq, seq));
	return ns;
}

u64 hull_vm_clock_ns(struct hull_vm *vm)
{
	return vm->irqchip ? hull_clock_read(&vm->irqchip->clock) : 0;
}

u64 hull_guest_tsc(struct hull_vcpu *vcpu)
{
	return rdtsc() + hull_tsc_offset(vcpu);
}

/* ---- changing ------------------------------------------------------------------------------- */

/* From now on the clock goes by @use_tsc. @ns: its new value, or NULL: it goes on. */
static void rebase(struct hull_vm_clock *clock, bool use_tsc, const u64 *ns)
{
	unsigned long flags;
	u64 now;

	lockdep_assert_held(&clock_mutex);
	local_irq_save(flags);
	now = ns ? *ns : clock_ns(clock);
	write_seqcount_begin(&clock->seq);
	clock->ns = now;
	clock->tsc = rdtsc_ordered();
	clock->boot = ktime_get_boottime_ns();
	clock->use_tsc = use_tsc;
	write_seqcount_end(&clock->seq);
	local_irq_restore(flags);
}

void hull_vm_clock_get(struct hull_irqchip *chip, struct hull_clock *clock)
{
	clock->ns = hull_clock_read(&chip->clock);
	clock->pm_timer = clock->ns + READ_ONCE(chip->clock.pm_offset);
}

void hull_vm_clock_set(struct hull_irqchip *chip, const struct hull_clock *clock)
{
	mutex_lock(&clock_mutex);
	rebase(&chip->clock, READ_ONCE(host_uses_tsc), &clock->ns);
	WRITE_ONCE(chip->clock.pm_offset, clock->pm_timer - clock->ns);
	mutex_unlock(&clock_mutex);
	hull_vm_request(chip->vm, HULL_REQ_CLOCK);
}

/* TSC rate as a shift and a 32-bit fraction, the form of the guest's page. */
static void set_rate(struct hull_vm_clock *clock, u32 khz)
{
	u64 hz = max(khz, 1U) * 1000ULL;

	clock->shift = 0;
	for (; hz > 2ULL * NSEC_PER_SEC; hz >>= 1)
		clock->shift--;
	for (; hz <= NSEC_PER_SEC; hz <<= 1)
		clock->shift++;
	clock->mul = div64_u64((u64)NSEC_PER_SEC << 32, hz);
}

void hull_vm_clock_create(struct hull_irqchip *chip)
{
	const u64 zero = 0;

	seqcount_init(&chip->clock.seq);
	set_rate(&chip->clock, tsc_khz);
	mutex_lock(&clock_mutex);
	rebase(&chip->clock, READ_ONCE(host_uses_tsc), &zero);
	list_add(&chip->clock.node, &clocks);
	mutex_unlock(&clock_mutex);
}

void hull_vm_clock_destroy(struct hull_irqchip *chip)
{
	mutex_lock(&clock_mutex);
	list_del(&chip->clock.node);
	mutex_unlock(&clock_mutex);
}

/* ---- following the host --------------------------------------------------------------------- */

static void follow_host(struct work_struct *work)
{
	struct hull_vm_clock *clock;
	bool use_tsc;

	mutex_lock(&clock_mutex);
	use_tsc = READ_ONCE(host_uses_tsc);
	list_for_each_entry(clock, &clocks, node) {
		if (clock->use_tsc == use_tsc)
			continue;
		rebase(clock, use_tsc, NULL);
		hull_vm_request(container_of(clock, struct hull_irqchip, clock)->vm,
				HULL_REQ_CLOCK);
	}
	mutex_unlock(&clock_mutex);
}

static DECLARE_WORK(follow_work, follow_host);

static void follow_soon(struct irq_work *work)
{
	schedule_work(&follow_work);
}

static DEFINE_IRQ_WORK(follow_irq_work, follow_soon);

/*
 * At each update of the host's time, inside its write section: whoever asks for the time there
 * waits forever, the scheduler included. Hence the detour.
 */
static int timekeeping_updated(struct notifier_block *nb, unsigned long stepped, void *data)
{
	const struct timekeeper *tk = data;
	bool uses_tsc = tk->tkr_mono.clock->vdso_clock_mode == VDSO_CLOCKMODE_TSC;

	if (uses_tsc != host_uses_tsc) {
		WRITE_ONCE(host_uses_tsc, uses_tsc);
		irq_work_queue(&follow_irq_work);
	}
	return 0;
}

static struct notifier_block timekeeping_notifier = { .notifier_call = timekeeping_updated };

int hull_clock_setup(void)
{
	return pvclock_gtod_register_notifier(&timekeeping_notifier);
}

void hull_clock_teardown(void)
{
	pvclock_gtod_unregister_notifier(&timekeeping_notifier);
	irq_work_sync(&follow_irq_work);
	cancel_work_sync(&follow_work);
}

/* ---- the guest's pages ---------------------------------------------------------------------- */

static void fill_info(struct hull_vcpu *vcpu, struct pvclock_vcpu_time_info *info)
{
	const struct hull_vm_clock *clock = &vcpu->lapic->chip->clock;
	unsigned long flags;
	unsigned int seq;

	info->pad0 = 0;
	memset(info->pad, 0, sizeof(info->pad));
	info->tsc_to_system_mul = clock->mul;
	info->tsc_shift = clock->shift;
	/* Interrupts off: TSC and time must be of the same moment and CPU. */
	local_irq_save(flags);
	do {
		seq = read_seqcount_begin(&clock->seq);
		if (clock->use_tsc) {
			info->flags = PVCLOCK_TSC_STABLE_BIT;
			info->tsc_timestamp = clock->tsc;
			info->system_time = clock->ns;
		} else {
			info->flags = 0;
			info->tsc_timestamp = rdtsc_ordered();
			info->system_time = clock_ns(clock);
		}
	} while (read_seqcount_retry(&clock->seq, seq));
	local_irq_restore(flags);
	info->tsc_timestamp += hull_tsc_offset(vcpu);
}

/*
 * Write a structure that begins with a version: odd while it is written, then even. The version
 * goes on from what is there, for a guest may be reading; all the rest of the page is only written.
 */
static void write_versioned(struct hull_vm *vm, gpa_t gpa, void *data, size_t size)
{
	u32 version;

	/* All of it must be memory before any of it is touched. */
	if (gpa + size < gpa || hull_gpa_read(vm, gpa + size - 1, &version, 1) ||
	    hull_gpa_read(vm, gpa, &version, sizeof(version)))
		return;
	version = (version + 1) | 1;
	if (hull_gpa_write(vm, gpa, &version, sizeof(version)))
		return;
	/* Odd before the first change ... */
	smp_wmb();
	if (hull_gpa_write(vm, gpa + sizeof(version), data + sizeof(version),
			   size - sizeof(version)))
		return;
	/* ... and even after the last. */
	smp_wmb();
	version++;
	hull_gpa_write(vm, gpa, &version, sizeof(version));
}

void hull_clock_update(struct hull_vcpu *vcpu)
{
	struct pvclock_vcpu_time_info info;
	u64 msr;

	if (!vcpu->lapic)
		return;
	msr = vcpu->lapic->system_time;
	if (!(msr & KVM_MSR_ENABLED))
		return;
	fill_info(vcpu, &info);
	write_versioned(vcpu->vm, msr & ~(u64)KVM_MSR_ENABLED, &info, sizeof(info));
}

/* Wall-clock time at which the VM's clock was zero. */
static void write_wall_clock(struct hull_vcpu *vcpu, gpa_t gpa)
{
	u64 ns = ktime_get_real_ns() - hull_vm_clock_ns(vcpu->vm);
	struct pvclock_wall_clock wall;
	u32 nsec;

	wall.sec = div_u64_rem(ns, NSEC_PER_SEC, &nsec);
	wall.nsec = nsec;
	write_versioned(vcpu->vm, gpa, &wall, sizeof(wall));
}

int hull_clock_write_msr(struct hull_vcpu *vcpu, u32 index, u64 value)
{
	struct hull_lapic *lapic = vcpu->lapic;

	if (!lapic)
		return -ENOENT;
	switch (index) {
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_WALL_CLOCK_NEW:
		if (value & 3)
			return -EINVAL;
		lapic->wall_clock = value;
		if (value)
			write_wall_clock(vcpu, value);
		return 0;
	case MSR_KVM_SYSTEM_TIME:
	case MSR_KVM_SYSTEM_TIME_NEW:
		if (value & 2)
			return -EINVAL;
		lapic->system_time = value;
		hull_clock_update(vcpu);
		return 0;
	default:
		return -ENOENT;
	}
}

int hull_clock_read_msr(struct hull_vcpu *vcpu, u32 index, u64 *value)
{
	const struct hull_lapic *lapic = vcpu->lapic;

	if (!lapic)
		return -ENOENT;
	switch (index) {
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_WALL_CLOCK_NEW:
		*value = lapic->wall_clock;
		return 0;
	case MSR_KVM_SYSTEM_TIME:
	case MSR_KVM_SYSTEM_TIME_NEW:
		*value = lapic->system_time;
		return 0;
	default:
		return -ENOENT;
	}
}
