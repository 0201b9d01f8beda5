/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Inside irqchip/: what is behind vm->irqchip and vcpu->lapic, and the calls between the files.
 *
 * Locks. PICs, IOAPIC and PIT each have a raw spinlock, taken with interrupts off; none is taken
 * while another is held. Who holds the lines up has one outside of those of PICs and IOAPIC, the
 * list of irqfds one outside of that. Local APICs have none: IRR, TMR and the error bits are
 * changed by atomics from any context, every other register is written by the vCPU thread alone
 * (WRITE_ONCE) and read by others (READ_ONCE) to find out whether a message is for this APIC. A
 * message that races with such a write is delivered as if it had come before or after it, as on a
 * real bus.
 */
#ifndef HULL_IRQCHIP_CHIP_H
#define HULL_IRQCHIP_CHIP_H

#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/hrtimer.h>
#include <linux/list.h>
#include <linux/seqlock.h>
#include <linux/spinlock.h>
#include <asm/apicdef.h>

#include "irqchip.h"

/* An APIC register's number: its x2APIC MSR minus 0x800, its offset in the page divided by 16. */
#define APIC_REG(offset)	((offset) >> 4)

enum hull_lvt { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, NR_LVT };

/* LVT_TIMER bits 17 and 18 */
enum hull_timer_mode { TIMER_ONESHOT, TIMER_PERIODIC, TIMER_DEADLINE, TIMER_NONE };

/**
 * struct hull_lapic - one local APIC
 * @hint: see hull_irq_maybe(); set by any context, cleared by the vCPU thread
 * @accept_pic: the PICs' output reaches the CPU as it is (ExtINT, or the APIC is off)
 * @ppr: processor priority, from @tpr and @isr
 * @isr_top: highest vector in @isr, -1: none
 * @irr: interrupt requests; atomic
 * @tmr: which of the vectors are level triggered; atomic
 * @isr: interrupts in service
 * @base: the APIC_BASE MSR
 * @id: APIC id; constant
 * @lvt: local vector table
 * @errors: ESR bits seen since ESR was last written; atomic
 * @divide_shift: timer ticks are 1 ns << @divide_shift
 * @timer: expires for LVT_TIMER; its callback runs with interrupts off
 * @timer_armed: @timer was started and not stopped since (it may have expired)
 * @period: ns between expiries when periodic; written while @timer is stopped
 * @deadline: TSC-deadline MSR; written by the vCPU thread while @timer is stopped, else by the
 *            callback, which clears it
 * @tsc_offset: guest TSC minus host TSC when @timer was started for a deadline
 * @wall_clock: MSR_KVM_WALL_CLOCK
 * @system_time: MSR_KVM_SYSTEM_TIME
 * @pv_eoi: MSR_KVM_PV_EOI_EN
 * @eoi_offered: the guest may end what is in service without an exit; see pv_eoi.c
 * @vcpu: the CPU of this APIC
 * @chip: vm->irqchip
 */
struct hull_lapic {
	struct hull_irq_hint hint;
	bool accept_pic;
	u8 ppr;
	s16 isr_top;
	unsigned long irr[4];
	unsigned long tmr[4];
	unsigned long isr[4];
	u64 base;
	u32 id;
	u32 tpr;
	u32 ldr;
	u32 dfr;
	u32 svr;
	u32 esr;
	u32 icr;
	u32 icr_dest;
	u32 lvt[NR_LVT];
	u32 timer_count;
	u32 timer_divide;
	unsigned long errors;

	u8 divide_shift;
	bool timer_armed;
	u64 period;
	u64 deadline;
	u64 tsc_offset;
	struct hrtimer timer;

	u64 wall_clock;
	u64 system_time;
	u64 pv_eoi;
	bool eoi_offered;

	struct hull_vcpu *vcpu;
	struct hull_irqchip *chip;
};

/**
 * struct hull_pics - the two 8259A
 * @lock: guards all
 * @output: the first one's INT pin; also read without the lock
 * @pic: registers, as user space sees them
 */
struct hull_pics {
	raw_spinlock_t lock;
	bool output;
	struct hull_pic pic[2];
};

/**
 * struct hull_ioapic_chip - the IOAPIC
 * @lock: guards all
 * @regs: registers, as user space sees them
 */
struct hull_ioapic_chip {
	raw_spinlock_t lock;
	struct hull_ioapic regs;
};

/**
 * struct hull_pit_chip - the 8254 and port 0x61
 * @lock: guards all
 * @regs: registers; an elapsed time in there counts only while the channel stands still
 * @loaded: host time (monotonic ns) at which a channel's count was loaded
 * @timer: channel 0's next interrupt
 * @armed: @timer is wanted; a callback that finds it false came too late
 * @period: ns between interrupts, 0: one shot
 */
struct hull_pit_chip {
	raw_spinlock_t lock;
	struct hull_pit regs;
	u64 loaded[3];
	struct hrtimer timer;
	bool armed;
	u64 period;
};

/**
 * struct hull_line_chip - the lines: who holds them up
 * @lock: guards all; held while PICs and IOAPIC are told, so that both hear of the last change last
 * @held: as user space sees it; also read without the lock
 */
struct hull_line_chip {
	raw_spinlock_t lock;
	struct hull_lines held;
};

/**
 * struct hull_irqfds - irqfds of a VM, and the routes they take; see eventfd.c
 * @lock: changes of the lists and @count; taken in wake-ups of eventfds
 * @all: list of irqfds; entries are added under vm->lock, and read under RCU
 * @resamplers: those that have a resample eventfd
 * @count: entries in @all
 * @routes: RCU; replaced under vm->lock
 */
struct hull_irqfds {
	raw_spinlock_t lock;
	struct list_head all;
	struct list_head resamplers;
	u32 count;
	struct hull_route_table __rcu *routes;
};

/**
 * struct hull_vm_clock - the VM's clock
 * @seq: readers retry; writers hold the clock mutex of clock.c, interrupts off
 * @use_tsc: time passes with the host's TSC, else with the host's boot-time clock
 * @tsc: host TSC at @ns
 * @boot: host boot-time clock at @ns
 * @ns: the VM's clock then
 * @pm_offset: the PM timer's ns minus the clock's
 * @mul: TSC to ns as the guest does it: shift by @shift, multiply, take bits 32 and up; constant
 * @shift: see @mul; constant
 * @node: in the list of all VMs, under the clock mutex
 */
struct hull_vm_clock {
	seqcount_t seq;
	bool use_tsc;
	u64 tsc;
	u64 boot;
	u64 ns;
	u64 pm_offset;
	u32 mul;
	s8 shift;
	struct list_head node;
};

/**
 * struct hull_irqchip - interrupt controllers and timers of a VM
 * @ports: constant
 * @vm: the VM; constant
 * @has_pit: HULL_VM_PIT; constant
 * @last_lowest: APIC that got the latest lowest-priority interrupt; a hint, races are harmless
 */
struct hull_irqchip {
	struct hull_port_hint ports;
	struct hull_vm *vm;
	bool has_pit;
	unsigned int last_lowest;
	struct hull_irqfds irqfds;
	struct hull_line_chip lines;
	struct hull_pics pics;
	struct hull_ioapic_chip ioapic;
	struct hull_pit_chip pit;
	struct hull_vm_clock clock;
};

/* ---- lapic.c ---- */

static inline bool hull_lapic_on(const struct hull_lapic *lapic)
{
	return READ_ONCE(lapic->base) & XAPIC_ENABLE;
}

static inline bool hull_lapic_x2(const struct hull_lapic *lapic)
{
	return (READ_ONCE(lapic->base) & (XAPIC_ENABLE | X2APIC_ENABLE)) ==
	       (XAPIC_ENABLE | X2APIC_ENABLE);
}

/* Hardware and software enabled: it accepts interrupts. */
static inline bool hull_lapic_enabled(const struct hull_lapic *lapic)
{
	return hull_lapic_on(lapic) && (READ_ONCE(lapic->svr) & APIC_SPIV_APIC_ENABLED);
}

/* Delivery modes as in LVT, ICR, redirection table and MSI data. */
enum hull_delivery_mode {
	DELIVER_FIXED = 0,
	DELIVER_LOWEST = 1,
	DELIVER_SMI = 2,
	DELIVER_NMI = 4,
	DELIVER_INIT = 5,
	DELIVER_SIPI = 6,
	DELIVER_EXTINT = 7,
};

/*
 * hull_lapic_accept - a message has reached this APIC. Any context.
 * @self: it comes from this APIC's vCPU thread, which needs no kick
 * False: not accepted (disabled, illegal vector or mode).
 */
bool hull_lapic_accept(struct hull_lapic *lapic, unsigned int mode, u8 vector, bool level,
		       bool self);
/* Record an error (APIC_ESR_* bit), raise the error interrupt. Any context. */
void hull_lapic_error(struct hull_lapic *lapic, u32 bit, bool self);
/* Deliver LVT entry @which unless it is masked; for the timer. Any context. */
void hull_lapic_local(struct hull_lapic *lapic, enum hull_lvt which, bool self);
/* The PICs' output rose. Any context. */
void hull_lapic_pic_rose(struct hull_lapic *lapic);
/* The vCPU thread only: */
void hull_lapic_eoi(struct hull_lapic *lapic);
void hull_lapic_update_priority(struct hull_lapic *lapic);
void hull_lapic_update_pic_input(struct hull_lapic *lapic);
void hull_lapic_set_mode(struct hull_lapic *lapic, u64 base);
int hull_lapic_highest(const unsigned long *map);

/* ---- pv_eoi.c: the vCPU thread only ---- */
/* Of the vector that has just come into service, alone. */
void hull_pv_eoi_offer(struct hull_lapic *lapic);
/* An offer is open: withdrawn, or found taken. False: not now; HULL_REQ_EOI is set. */
bool hull_pv_eoi_settle(struct hull_lapic *lapic);

/* ---- lapic_regs.c: the vCPU thread only ---- */
extern const u32 hull_lvt_writable[NR_LVT];
u32 hull_lapic_version(void);
bool hull_lapic_base_valid(u64 base);
void hull_lapic_memory(struct hull_lapic *lapic, unsigned int offset, unsigned int size,
		       bool write, u64 *value);

/* ---- lapic_timer.c: the vCPU thread only ---- */
void hull_lapic_timer_init(struct hull_lapic *lapic);
void hull_lapic_timer_stop(struct hull_lapic *lapic);
void hull_lapic_timer_write_lvt(struct hull_lapic *lapic, u32 value);
void hull_lapic_timer_write_count(struct hull_lapic *lapic, u32 value);
void hull_lapic_timer_write_divide(struct hull_lapic *lapic, u32 value);
u32 hull_lapic_timer_current(struct hull_lapic *lapic);
u64 hull_lapic_timer_left(struct hull_lapic *lapic);
int hull_lapic_timer_restore(struct hull_lapic *lapic, u64 left, u64 deadline);
void hull_lapic_write_deadline(struct hull_lapic *lapic, u64 value);

static inline enum hull_timer_mode hull_lapic_timer_mode(const struct hull_lapic *lapic)
{
	return (READ_ONCE(lapic->lvt[LVT_TIMER]) >> 17) & 3;
}

static inline u8 hull_timer_divide_shift(u32 divide)
{
	return (((divide & 3) | ((divide >> 1) & 4)) + 1) & 7;
}

/* ---- route.c: any context ---- */

/**
 * struct hull_apic_msg - a message on the APIC bus
 * @dest: destination
 * @wide: @dest has 32 bits (sent by an x2APIC), else 8
 * @logical: @dest is logical
 * @shorthand: 0: see @dest; 1: self; 2: all; 3: all but self (ICR bits 18 and 19)
 * @mode: enum hull_delivery_mode
 * @level: level triggered
 * @vector: vector
 */
struct hull_apic_msg {
	u32 dest;
	bool wide;
	bool logical;
	u8 shorthand;
	u8 mode;
	bool level;
	u8 vector;
};

/*
 * The short way of most IPIs: fixed, to the one APIC with this id. False: there is none, perhaps it
 * is a broadcast.
 */
bool hull_apic_send_one(struct hull_lapic *from, u8 vector, u32 id);
/* Returns the number of APICs that accepted it. @from: the sender when it is an APIC. */
unsigned int hull_apic_send(struct hull_irqchip *chip, struct hull_lapic *from,
			    const struct hull_apic_msg *msg);
void hull_pic_output_rose(struct hull_irqchip *chip);

void hull_lines_init(struct hull_irqchip *chip);
/* Irqfds: an edge on @pin; a level, until it is released. */
void hull_line_pulse(struct hull_irqchip *chip, unsigned int pin);
void hull_line_hold(struct hull_irqchip *chip, unsigned int pin);
/* Irqfds let go of @pins (bits). Returns those they held. */
u32 hull_lines_release(struct hull_irqchip *chip, u32 pins);
void hull_lines_get_state(struct hull_irqchip *chip, struct hull_lines *held);
bool hull_lines_state_valid(const struct hull_lines *held);
/* What is up is the launcher's. */
void hull_lines_adopt(struct hull_irqchip *chip, u32 lines);
void hull_lines_set_state(struct hull_irqchip *chip, const struct hull_lines *held);

/* Do irqfds hold some of @pins? Racy: an answer that counts is hull_lines_release()'s. */
static inline u32 hull_lines_maybe(const struct hull_irqchip *chip, u32 pins)
{
	return READ_ONCE(chip->lines.held.irqfds) & pins;
}

/* ---- eventfd.c ---- */
int hull_irqfds_create(struct hull_irqchip *chip);		/* sleeps */
void hull_irqfds_destroy(struct hull_irqchip *chip);		/* sleeps */
/* Irqfds have let go of @pins: signal their resample eventfds. Any context, no lock held. */
void hull_irqfds_resample(struct hull_irqchip *chip, u32 pins);

/* ---- pic.c: any context ---- */
void hull_pic_init(struct hull_irqchip *chip);
void hull_pic_set(struct hull_irqchip *chip, unsigned int line, bool level);
int hull_pic_peek(struct hull_irqchip *chip);
u8 hull_pic_acknowledge(struct hull_irqchip *chip);
u8 hull_pic_read(struct hull_irqchip *chip, u16 port);
void hull_pic_write(struct hull_irqchip *chip, u16 port, u8 value);
void hull_pic_get_state(struct hull_irqchip *chip, struct hull_pic *pic);
bool hull_pic_state_valid(const struct hull_pic *pic);
void hull_pic_set_state(struct hull_irqchip *chip, const struct hull_pic *pic);

/* ---- ioapic.c: any context ---- */
void hull_ioapic_init(struct hull_irqchip *chip);
void hull_ioapic_set(struct hull_irqchip *chip, unsigned int pin, bool level);
void hull_ioapic_eoi(struct hull_irqchip *chip, u8 vector);
void hull_ioapic_memory(struct hull_irqchip *chip, unsigned int offset, unsigned int size,
			bool write, u64 *value);
void hull_ioapic_get_state(struct hull_irqchip *chip, struct hull_ioapic *regs);
bool hull_ioapic_state_valid(const struct hull_ioapic *regs);
void hull_ioapic_set_state(struct hull_irqchip *chip, const struct hull_ioapic *regs);

/* ---- pit.c: any context but where said ---- */
void hull_pit_init(struct hull_irqchip *chip);
void hull_pit_stop(struct hull_irqchip *chip);			/* waits for the callback */
u8 hull_pit_read(struct hull_irqchip *chip, u16 port);
void hull_pit_write(struct hull_irqchip *chip, u16 port, u8 value);
void hull_pit_get_state(struct hull_irqchip *chip, struct hull_pit *regs);
bool hull_pit_state_valid(const struct hull_pit *regs);
void hull_pit_set_state(struct hull_irqchip *chip, const struct hull_pit *regs);

/* ---- pmtimer.c ---- */
u32 hull_pm_timer_read(struct hull_irqchip *chip);

/* ---- clock.c ---- */
void hull_vm_clock_create(struct hull_irqchip *chip);		/* sleeps */
void hull_vm_clock_destroy(struct hull_irqchip *chip);		/* sleeps */
void hull_vm_clock_get(struct hull_irqchip *chip, struct hull_clock *clock);
void hull_vm_clock_set(struct hull_irqchip *chip, const struct hull_clock *clock); /* sleeps */
u64 hull_clock_read(const struct hull_vm_clock *clock);
u64 hull_tsc_to_ns(const struct hull_vm_clock *clock, u64 cycles);

#endif
