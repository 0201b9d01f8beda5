/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every contact with the host's own CPU state: what is switched when a guest comes in and when it
 * leaves, and taking the virtualization hardware.
 */
#ifndef HULL_HOST_H
#define HULL_HOST_H

#include <linux/cache.h>

#include "types.h"

/**
 * struct hull_fpu_state - a guest's FPU and vector registers
 * @area: XSAVE area, standard format, of all components in hull_guest_xcr0
 */
struct hull_fpu_state {
	u8 area[4096] __aligned(64);
};

/* Constant after load. */
extern u64 hull_guest_xcr0;	/* components a guest may enable */
extern u32 hull_xsave_size;	/* bytes of the area they need */
extern u32 hull_mxcsr_mask;
extern unsigned int hull_gpa_bits;

int hull_host_setup(void);
void hull_host_teardown(void);

/*
 * Take and give back the virtualization hardware of all CPUs; counted by VMs.
 * hull_virt_get() returns 0, -EBUSY (another hypervisor holds it), -EOPNOTSUPP (locked by firmware)
 */
int hull_virt_setup(void);
void hull_virt_teardown(void);
int hull_virt_get(void);
void hull_virt_put(void);

/*
 * The outer part of the window. Enter: interrupts are turned off, the guest's FPU, XCR0 and debug
 * registers loaded, user page faults made to fail. Leave undoes it in reverse.
 * hull_host_enter() returns 0 or -EINVAL (the CPU refuses the guest's FPU state).
 */
int hull_host_enter(struct hull_vcpu *vcpu);
void hull_host_leave(struct hull_vcpu *vcpu);

/* IBPB when this CPU last ran another vCPU; in the window. Forget: @vcpu is about to be freed. */
void hull_host_predictors(struct hull_vcpu *vcpu);
void hull_host_forget(struct hull_vcpu *vcpu);

void hull_fpu_reset(struct hull_fpu_state *fpu);
/* -EINVAL: not a state XRSTOR would take. */
int hull_fpu_validate(const void *area);

#endif
