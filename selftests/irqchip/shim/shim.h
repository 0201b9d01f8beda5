/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel, as far as kmod/irqchip needs it, in user space: types, atomics, locks that notice
 * misuse, hrtimers and a TSC on a clock that moves only when a test says so. The Makefile makes an
 * include file of each kernel name that does nothing but include this one.
 */
#ifndef IRQCHIP_SHIM_H
#define IRQCHIP_SHIM_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/types.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s8 s8;
typedef __s16 s16;
typedef __s32 s32;
typedef __s64 s64;

#define PAGE_SHIFT	12
#define NSEC_PER_SEC	1000000000L

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define BIT(n)		(1UL << (n))
#define BIT_ULL(n)	(1ULL << (n))
#define GENMASK(h, l)	((~0UL << (l)) & (~0UL >> (63 - (h))))
#define GENMASK_ULL(h, l) ((~0ULL << (l)) & (~0ULL >> (63 - (h))))
#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)
#define noinline	__attribute__((noinline))
#undef __always_inline
#define __always_inline	inline __attribute__((always_inline))
#define fallthrough	__attribute__((fallthrough))
#define static_assert(x) _Static_assert(x, #x)
#define container_of(p, type, member) ((type *)((char *)(p) - offsetof(type, member)))
#define min(a, b)	((a) < (b) ? (a) : (b))
#define max(a, b)	((a) > (b) ? (a) : (b))
#define min_t(type, a, b) min((type)(a), (type)(b))
#define array_index_nospec(index, size) (index)

#define SHIM_CHECK(cond) do {							\
	if (!(cond)) {								\
		fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);	\
		abort();							\
	}									\
} while (0)

/* ---- memory order and bits ---- */

#define READ_ONCE(x)		(*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v)	(*(volatile __typeof__(x) *)&(x) = (v))
/* A test may act at full barriers, as another CPU would just there. */
extern void (*shim_on_mb)(void);
#define smp_mb() do {								\
	__atomic_thread_fence(__ATOMIC_SEQ_CST);				\
	if (shim_on_mb)								\
		shim_on_mb();							\
} while (0)
#define smp_wmb()		__atomic_thread_fence(__ATOMIC_RELEASE)
#define smp_load_acquire(p)	__atomic_load_n(p, __ATOMIC_ACQUIRE)
#define xchg(p, v)		__atomic_exchange_n(p, v, __ATOMIC_SEQ_CST)

#define SHIM_WORD(map, n)	(&(map)[(n) / 64])
#define SHIM_MASK(n)		(1UL << ((n) % 64))

static inline bool test_bit(unsigned int n, const unsigned long *map)
{
	return READ_ONCE(*SHIM_WORD(map, n)) & SHIM_MASK(n);
}

static inline void set_bit(unsigned int n, unsigned long *map)
{
	__atomic_fetch_or(SHIM_WORD(map, n), SHIM_MASK(n), __ATOMIC_SEQ_CST);
}

static inline void clear_bit(unsigned int n, unsigned long *map)
{
	__atomic_fetch_and(SHIM_WORD(map, n), ~SHIM_MASK(n), __ATOMIC_SEQ_CST);
}

static inline void change_bit(unsigned int n, unsigned long *map)
{
	__atomic_fetch_xor(SHIM_WORD(map, n), SHIM_MASK(n), __ATOMIC_SEQ_CST);
}

static inline bool test_and_set_bit(unsigned int n, unsigned long *map)
{
	return __atomic_fetch_or(SHIM_WORD(map, n), SHIM_MASK(n), __ATOMIC_SEQ_CST) &
	       SHIM_MASK(n);
}

static inline void __set_bit(unsigned int n, unsigned long *map)
{
	*SHIM_WORD(map, n) |= SHIM_MASK(n);
}

static inline void __clear_bit(unsigned int n, unsigned long *map)
{
	*SHIM_WORD(map, n) &= ~SHIM_MASK(n);
}

#define __fls(x)	((unsigned int)(63 - __builtin_clzl(x)))
#define __ffs(x)	((unsigned int)__builtin_ctzl(x))
#define ror8(x, n)	((u8)((u8)(x) >> (n) | (u8)(x) << (8 - (n))))

/* ---- arithmetic: what overflows on the CPU (DIV) aborts here ---- */

static inline u64 mul_u64_u32_shr(u64 a, u32 mul, unsigned int shift)
{
	return (unsigned __int128)a * mul >> shift;
}

static inline u64 mul_u64_u32_div(u64 a, u32 mul, u32 div)
{
	unsigned __int128 result = (unsigned __int128)a * mul / div;

	SHIM_CHECK(!(result >> 64));
	return result;
}

static inline u64 div64_u64(u64 a, u64 b)
{
	SHIM_CHECK(b);
	return a / b;
}

static inline u64 div_u64_rem(u64 a, u32 b, u32 *rem)
{
	*rem = a % b;
	return a / b;
}

/* ---- locks ---- */

typedef struct {
	bool held;
} raw_spinlock_t;

extern unsigned int shim_locks_held;

static inline void raw_spin_lock_init(raw_spinlock_t *lock)
{
	lock->held = false;
}

/* The only lock inside of which others are taken, one at a time: that of the lines. */
extern raw_spinlock_t *shim_outer_lock;

static inline void shim_lock(raw_spinlock_t *lock)
{
	SHIM_CHECK(!lock->held);
	SHIM_CHECK(!shim_locks_held ||
		   (shim_locks_held == 1 && shim_outer_lock && shim_outer_lock->held));
	lock->held = true;
	shim_locks_held++;
}

static inline void shim_unlock(raw_spinlock_t *lock)
{
	SHIM_CHECK(lock->held && shim_locks_held >= 1);
	/* The one taken last first. */
	SHIM_CHECK(lock != shim_outer_lock || shim_locks_held == 1);
	lock->held = false;
	shim_locks_held--;
}

#define raw_spin_lock_irqsave(lock, flags)	({ (flags) = 0; shim_lock(lock); })
#define raw_spin_unlock_irqrestore(lock, flags)	({ (void)(flags); shim_unlock(lock); })
#define local_irq_save(flags)			((flags) = 0)
#define local_irq_restore(flags)		((void)(flags))

typedef struct {
	unsigned int sequence;
} seqcount_t;

#define seqcount_init(s)		((s)->sequence = 0)
#define read_seqcount_begin(s)		((s)->sequence)
#define read_seqcount_retry(s, seq)	((s)->sequence != (seq))
#define write_seqcount_begin(s)		((s)->sequence++)
#define write_seqcount_end(s)		((s)->sequence++)

struct mutex {
	bool held;
};

#define DEFINE_MUTEX(name)	struct mutex name
#define mutex_lock(m)		({ SHIM_CHECK(!(m)->held); (m)->held = true; })
#define mutex_unlock(m)		({ SHIM_CHECK((m)->held); (m)->held = false; })
#define lockdep_assert_held(m)	SHIM_CHECK((m)->held)

#define __rcu

struct list_head {
	struct list_head *next, *prev;
};

#define LIST_HEAD(name)		struct list_head name = { &(name), &(name) }

static inline void list_add(struct list_head *new, struct list_head *head)
{
	new->next = head->next;
	new->prev = head;
	head->next->prev = new;
	head->next = new;
}

static inline void list_del(struct list_head *entry)
{
	entry->next->prev = entry->prev;
	entry->prev->next = entry->next;
}

#define list_for_each_entry(pos, head, member)					\
	for (pos = container_of((head)->next, __typeof__(*pos), member);	\
	     &pos->member != (head);						\
	     pos = container_of(pos->member.next, __typeof__(*pos), member))

/* ---- memory ---- */

#define GFP_KERNEL_ACCOUNT	0
extern bool shim_fail_alloc;

static inline void *kzalloc(size_t size, int flags)
{
	(void)flags;
	return shim_fail_alloc ? NULL : calloc(1, size);
}

#define kfree(p)	free(p)

/* ---- time ---- */

typedef s64 ktime_t;

extern u64 shim_now;		/* monotonic ns */
extern u64 shim_boot_offset;	/* boot time minus monotonic */
extern u64 shim_real_offset;	/* wall clock minus monotonic */
extern u64 shim_tsc_base;
extern unsigned int tsc_khz;

#define ns_to_ktime(ns)		((ktime_t)(ns))
#define ktime_to_ns(t)		((s64)(t))
#define ktime_get_ns()		(shim_now)
#define ktime_get_boottime_ns()	(shim_now + shim_boot_offset)
#define ktime_get_real_ns()	(shim_now + shim_real_offset)

static inline u64 rdtsc(void)
{
	return shim_tsc_base + (u64)((unsigned __int128)shim_now * tsc_khz / 1000000);
}

#define rdtsc_ordered()		rdtsc()

#define CLOCK_MONOTONIC		1

enum hrtimer_mode { HRTIMER_MODE_ABS_HARD, HRTIMER_MODE_ABS_PINNED_HARD };
enum hrtimer_restart { HRTIMER_NORESTART, HRTIMER_RESTART };

struct hrtimer {
	enum hrtimer_restart (*function)(struct hrtimer *timer);
	ktime_t expires;
	bool queued;
	struct hrtimer *next;	/* of the queued ones */
};

void hrtimer_setup(struct hrtimer *timer, enum hrtimer_restart (*function)(struct hrtimer *),
		   int clock, enum hrtimer_mode mode);
void hrtimer_start(struct hrtimer *timer, ktime_t expires, enum hrtimer_mode mode);
int hrtimer_cancel(struct hrtimer *timer);
int hrtimer_try_to_cancel(struct hrtimer *timer);
u64 hrtimer_forward_now(struct hrtimer *timer, ktime_t interval);
#define hrtimer_is_queued(timer)	((timer)->queued)
#define hrtimer_get_expires(timer)	((timer)->expires)

/* Let time pass; timers that expire on the way run at their time. Returns how many did. */
unsigned int shim_advance(u64 ns);
unsigned int shim_timers_queued(void);

/* ---- the host's timekeeping ---- */

struct work_struct {
	void (*function)(struct work_struct *work);
};

struct irq_work {
	void (*function)(struct irq_work *work);
};

#define DECLARE_WORK(name, fn)		struct work_struct name = { fn }
#define DEFINE_IRQ_WORK(name, fn)	struct irq_work name = { fn }
#define schedule_work(work)		((work)->function(work))
#define irq_work_queue(work)		((work)->function(work))
#define irq_work_sync(work)		((void)(work))
#define cancel_work_sync(work)		((void)(work))

struct notifier_block {
	int (*notifier_call)(struct notifier_block *nb, unsigned long action, void *data);
};

enum vdso_clock_mode { VDSO_CLOCKMODE_NONE, VDSO_CLOCKMODE_TSC };

struct clocksource {
	enum vdso_clock_mode vdso_clock_mode;
};

struct timekeeper {
	struct {
		struct clocksource *clock;
	} tkr_mono;
};

int pvclock_gtod_register_notifier(struct notifier_block *nb);
int pvclock_gtod_unregister_notifier(struct notifier_block *nb);
/* Tell hull whether the host keeps time by its TSC. */
void shim_host_clock(bool tsc);

#endif
