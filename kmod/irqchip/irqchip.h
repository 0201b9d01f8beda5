/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Interrupt controllers and timers in the module: local APICs, IOAPIC, two PICs, PIT, ACPI PM
 * timer, paravirtual clock. Everything here can be called with interrupts off unless said
 * otherwise: from the window, from timer callbacks, from eventfd wake-ups.
 */
#ifndef HULL_IRQCHIP_H
#define HULL_IRQCHIP_H

#include <linux/compiler.h>

#include "../types.h"
#include "hull.h"

struct hull_irqchip;
struct hull_lapic;

#define HULL_APIC_BASE_DEFAULT	0xfee00000ULL
#define HULL_IOAPIC_BASE	0xfec00000ULL

/* ---- life ---- */
int hull_irqchip_create(struct hull_vm *vm, const struct hull_create_vm *args);	/* sleeps */
/* Before the vCPUs are freed: timers and clocks here reach for them. Sleeps. */
void hull_irqchip_destroy(struct hull_vm *vm);
int hull_lapic_create(struct hull_vcpu *vcpu);
void hull_lapic_destroy(struct hull_vcpu *vcpu);
void hull_lapic_reset(struct hull_vcpu *vcpu, bool init);

/* ---- CPU side: the vCPU thread, also in the window ---- */
/* The first member of struct hull_lapic. */
struct hull_irq_hint {
	u32 maybe;
};

/* False: hull_irq_pending() would find nothing; for the path into the guest. */
static inline bool hull_irq_maybe(const struct hull_lapic *lapic)
{
	return READ_ONCE(((const struct hull_irq_hint *)lapic)->maybe);
}

/* hull_irq_pending(): nothing; something, and which one is known after HULL_REQ_EOI. */
#define HULL_IRQ_NONE		(-1)
#define HULL_IRQ_UNSETTLED	(-2)
/*
 * Highest vector that the APIC or, for the CPU wired to them, the PICs would deliver now, or one of
 * these two. Takes nothing.
 */
int hull_irq_pending(struct hull_vcpu *vcpu);
/* Take it: IRR to ISR, or the PIC's acknowledge cycle. Returns the vector, or as above. */
int hull_irq_acknowledge(struct hull_vcpu *vcpu);
/* TPR as CR8 (0-15). */
void hull_lapic_set_cr8(struct hull_vcpu *vcpu, u64 cr8);
u64 hull_lapic_get_cr8(struct hull_vcpu *vcpu);
/* The vCPU's TSC offset has changed: TSC deadline and clock page follow. */
void hull_lapic_tsc_changed(struct hull_vcpu *vcpu);

/*
 * MSRs: APIC_BASE, TSC_DEADLINE, x2APIC 0x800-0x8ff. 0; -EINVAL: the guest gets #GP;
 * -ENOENT: not ours.
 */
int hull_lapic_read_msr(struct hull_vcpu *vcpu, u32 index, u64 *value);
int hull_lapic_write_msr(struct hull_vcpu *vcpu, u32 index, u64 value);
/* APIC_BASE from user space: any state the hardware can be in. 0 or -EINVAL. */
int hull_lapic_set_base(struct hull_vcpu *vcpu, u64 base);

/*
 * Memory: APIC page (at this vCPU's APIC base, when enabled in xAPIC mode) and IOAPIC. True when
 * the address is theirs; then *value is read or written (aligned 32 bits; other sizes read 0 and
 * ignore writes, partly as the manuals allow).
 */
bool hull_irqchip_memory(struct hull_vcpu *vcpu, gpa_t gpa, unsigned int size, bool write,
			 u64 *value);
/* Ports: PICs, PIT, 0x61, PM timer. True when the port is theirs. */
bool hull_irqchip_port(struct hull_vcpu *vcpu, u16 port, unsigned int size, bool write, u32 *value);

/* The first member of struct hull_irqchip. */
struct hull_port_hint {
	u16 pm_timer;	/* 0: none; a multiple of four */
};

/* False: hull_irqchip_port() would find nobody; for the path to those who have the other ports. */
static inline bool hull_irqchip_port_maybe(const struct hull_irqchip *chip, u16 port)
{
	return port <= 0xa1 || (port & ~1) == 0x4d0 ||
	       (port & ~3) == ((const struct hull_port_hint *)chip)->pm_timer;
}

/* ---- device side: any context ---- */
int hull_irq_set(struct hull_vm *vm, u32 gsi, bool level);	/* -EINVAL: no such line */
int hull_msi_send(struct hull_vm *vm, u64 address, u32 data);	/* -EINVAL: not an MSI */
bool hull_msi_valid(u64 address);

/* ---- routes and irqfds (eventfd.c): ioctls; the latter two with vm->lock held ---- */
int hull_vm_set_routes(struct hull_vm *vm, const struct hull_routes *args);
int hull_vm_add_irqfd(struct hull_vm *vm, const struct hull_irqfd *args);
int hull_vm_remove_irqfd(struct hull_vm *vm, const struct hull_irqfd *args);

/*
 * ---- state (uapi groups); vCPU mutex or VM lock held; sleep ----
 * Order of setting a vCPU's: TSC offset, APIC base, APIC, timers; the VM's at any time.
 */
void hull_lapic_get_state(struct hull_vcpu *vcpu, struct hull_apic *apic,
			  struct hull_timers *timers);
int hull_lapic_set_state(struct hull_vcpu *vcpu, const struct hull_apic *apic);
int hull_lapic_set_timers(struct hull_vcpu *vcpu, const struct hull_timers *timers);
void hull_irqchip_get_state(struct hull_vm *vm, u64 groups, struct hull_vm_state *state);
int hull_irqchip_set_state(struct hull_vm *vm, u64 groups, const struct hull_vm_state *state);

/* ---- time (clock.c) ---- */
/* At load and unload. */
int hull_clock_setup(void);
void hull_clock_teardown(void);
/* Guest TSC minus host TSC; in msr.c. */
u64 hull_tsc_offset(struct hull_vcpu *vcpu);
u64 hull_guest_tsc(struct hull_vcpu *vcpu);
u64 hull_vm_clock_ns(struct hull_vm *vm);
/* KVM's MSRs (asm/kvm_para.h). 0, -EINVAL (#GP), -ENOENT. The vCPU thread, may sleep. */
int hull_clock_write_msr(struct hull_vcpu *vcpu, u32 index, u64 value);
int hull_clock_read_msr(struct hull_vcpu *vcpu, u32 index, u64 *value);
/* HULL_REQ_EOI: what the guest was offered; pv_eoi.c. Sleeps. */
void hull_pv_eoi_settle_now(struct hull_vcpu *vcpu);
/* MSR_KVM_PV_EOI_EN. 0, -EINVAL (#GP), -ENOENT. The vCPU thread, sleeps. */
int hull_pv_eoi_write_msr(struct hull_vcpu *vcpu, u64 value);
int hull_pv_eoi_read_msr(struct hull_vcpu *vcpu, u64 *value);
/* HULL_REQ_CLOCK: write the vCPU's clock page. May sleep. */
void hull_clock_update(struct hull_vcpu *vcpu);

#endif
