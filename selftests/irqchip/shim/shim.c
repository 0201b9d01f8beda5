// SPDX-License-Identifier: GPL-2.0
/*
 * The part of the shim that has state: the clock and its timers, guest memory, vCPU requests.
 */
#include "shim.h"
#include "host.h"
#include "mem/gpa.h"
#include "chip.h"
#include "vcpu.h"

unsigned int shim_locks_held;
raw_spinlock_t *shim_outer_lock;
bool shim_fail_alloc;
void (*shim_on_mb)(void);
unsigned int hull_gpa_bits = 40;

/* ---- time ----------------------------------------------------------------------------------- */

u64 shim_now;
u64 shim_boot_offset;
u64 shim_real_offset;
u64 shim_tsc_base;
unsigned int tsc_khz = 2500000;

static struct hrtimer *queue;

void hrtimer_setup(struct hrtimer *timer, enum hrtimer_restart (*function)(struct hrtimer *),
		   int clock, enum hrtimer_mode mode)
{
	(void)clock;
	(void)mode;
	*timer = (struct hrtimer){ .function = function };
}

static void enqueue(struct hrtimer *timer)
{
	SHIM_CHECK(!timer->queued);
	timer->queued = true;
	timer->next = queue;
	queue = timer;
}

int hrtimer_try_to_cancel(struct hrtimer *timer)
{
	struct hrtimer **at;

	if (!timer->queued)
		return 0;
	for (at = &queue; *at != timer; at = &(*at)->next)
		SHIM_CHECK(*at);
	*at = timer->next;
	timer->queued = false;
	return 1;
}

/* It may wait for a callback, which may wait for the lock. */
int hrtimer_cancel(struct hrtimer *timer)
{
	SHIM_CHECK(!shim_locks_held);
	return hrtimer_try_to_cancel(timer);
}

void hrtimer_start(struct hrtimer *timer, ktime_t expires, enum hrtimer_mode mode)
{
	(void)mode;
	SHIM_CHECK(expires >= 0);
	hrtimer_try_to_cancel(timer);
	timer->expires = expires;
	enqueue(timer);
}

u64 hrtimer_forward_now(struct hrtimer *timer, ktime_t interval)
{
	u64 periods = 0;

	/* The kernel warns of the one and divides by the other. */
	SHIM_CHECK(!timer->queued && interval > 0);
	if ((ktime_t)shim_now >= timer->expires) {
		periods = (shim_now - timer->expires) / interval + 1;
		timer->expires += periods * interval;
	}
	return periods;
}

static struct hrtimer *first_until(u64 end)
{
	struct hrtimer *timer, *first = NULL;

	for (timer = queue; timer; timer = timer->next) {
		if ((u64)timer->expires <= end && (!first || timer->expires < first->expires))
			first = timer;
	}
	return first;
}

unsigned int shim_advance(u64 ns)
{
	u64 end = shim_now + ns;
	struct hrtimer *timer;
	unsigned int fired = 0;

	while ((timer = first_until(end))) {
		hrtimer_try_to_cancel(timer);
		shim_now = max(shim_now, (u64)timer->expires);
		fired++;
		if (timer->function(timer) == HRTIMER_RESTART) {
			SHIM_CHECK((u64)timer->expires > shim_now);
			enqueue(timer);
		}
	}
	shim_now = end;
	return fired;
}

unsigned int shim_timers_queued(void)
{
	struct hrtimer *timer;
	unsigned int n = 0;

	for (timer = queue; timer; timer = timer->next)
		n++;
	return n;
}

/* ---- the host's timekeeping ----------------------------------------------------------------- */

static struct notifier_block *notifier;
static struct clocksource clocksource;
static struct timekeeper timekeeper = { .tkr_mono.clock = &clocksource };

static int notify(struct notifier_block *nb)
{
	return nb->notifier_call(nb, 0, &timekeeper);
}

int pvclock_gtod_register_notifier(struct notifier_block *nb)
{
	notifier = nb;
	return notify(nb);
}

int pvclock_gtod_unregister_notifier(struct notifier_block *nb)
{
	SHIM_CHECK(notifier == nb);
	notifier = NULL;
	return 0;
}

void shim_host_clock(bool tsc)
{
	clocksource.vdso_clock_mode = tsc ? VDSO_CLOCKMODE_TSC : VDSO_CLOCKMODE_NONE;
	if (notifier)
		notify(notifier);
}

/* ---- guest memory --------------------------------------------------------------------------- */

u8 shim_memory[SHIM_MEMORY_SIZE];
void (*shim_on_write)(gpa_t gpa, size_t len);

static bool is_memory(gpa_t gpa, size_t len)
{
	return gpa < SHIM_MEMORY_SIZE && len <= SHIM_MEMORY_SIZE - gpa;
}

int hull_gpa_read(struct hull_vm *vm, gpa_t gpa, void *to, size_t len)
{
	(void)vm;
	SHIM_CHECK(!shim_locks_held);
	if (!is_memory(gpa, len))
		return -ENXIO;
	memcpy(to, shim_memory + gpa, len);
	return 0;
}

int hull_gpa_write(struct hull_vm *vm, gpa_t gpa, const void *from, size_t len)
{
	(void)vm;
	SHIM_CHECK(!shim_locks_held);
	if (!is_memory(gpa, len))
		return -ENXIO;
	if (shim_on_write)
		shim_on_write(gpa, len);
	memcpy(shim_memory + gpa, from, len);
	return 0;
}

bool shim_absent;

int hull_gpa_cmpxchg(struct hull_vm *vm, gpa_t gpa, u64 *old, u64 new, size_t len)
{
	u32 expected = *old, replacement = new;

	(void)vm;
	SHIM_CHECK(len == 4 && !(gpa & 3) && !shim_locks_held);
	if (!is_memory(gpa, len))
		return -ENXIO;
	__atomic_compare_exchange((u32 *)(shim_memory + gpa), &expected, &replacement, false,
				  __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	*old = expected;
	return 0;
}

int hull_gpa_cmpxchg_atomic(struct hull_vm *vm, gpa_t gpa, u64 *old, u64 new, size_t len)
{
	return shim_absent ? -EFAULT : hull_gpa_cmpxchg(vm, gpa, old, new, len);
}

/* ---- vCPUs ---------------------------------------------------------------------------------- */

void hull_vcpu_request(struct hull_vcpu *vcpu, unsigned int request)
{
	set_bit(request, &vcpu->requests);
	__atomic_fetch_add(&vcpu->wakes, 1, __ATOMIC_SEQ_CST);
}

void hull_vm_request(struct hull_vm *vm, unsigned int request)
{
	unsigned int id;

	for (id = 0; id < HULL_MAX_VCPUS; id++) {
		if (vm->vcpus[id])
			hull_vcpu_request(vm->vcpus[id], request);
	}
}

void hull_inject_nmi(struct hull_vcpu *vcpu)
{
	vcpu->nmis++;
}

void hull_inject_init(struct hull_vcpu *vcpu)
{
	vcpu->inits++;
}

void hull_inject_sipi(struct hull_vcpu *vcpu, u8 vector)
{
	vcpu->sipis++;
	vcpu->sipi_vector = vector;
}

/* ---- irqfds: what they would be told -------------------------------------------------------- */

u32 shim_resampled;

int hull_irqfds_create(struct hull_irqchip *chip)
{
	shim_outer_lock = &chip->lines.lock;
	shim_resampled = 0;
	return 0;
}

void hull_irqfds_destroy(struct hull_irqchip *chip)
{
	(void)chip;
	shim_outer_lock = NULL;
}

/* Their eventfds are signalled: no lock may be held. */
void hull_irqfds_resample(struct hull_irqchip *chip, u32 pins)
{
	(void)chip;
	SHIM_CHECK(!shim_locks_held);
	shim_resampled |= pins;
}
