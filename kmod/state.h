/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Register groups between a vCPU and user space, and reset.
 */
#ifndef HULL_STATE_H
#define HULL_STATE_H

#include "types.h"
#include "hull.h"

#define HULL_DR7_FIXED	0x400	/* the bit of DR7 that is always set */

long hull_vcpu_move_state(struct hull_vcpu *vcpu, const struct hull_state_io *args, bool set);
long hull_vcpu_translate(struct hull_vcpu *vcpu, struct hull_translate *args);

/* Power-up (not @init) or INIT state. */
void hull_vcpu_reset(struct hull_vcpu *vcpu, bool init);
/* Where a SIPI with this vector starts. */
void hull_vcpu_start_at(struct hull_vcpu *vcpu, u8 vector);

/*
 * Write a control register as MOV would: checks, then the state. Outside the window.
 * 0; -EINVAL: inject #GP.
 */
int hull_set_cr0(struct hull_vcpu *vcpu, u64 value);
int hull_set_cr4(struct hull_vcpu *vcpu, u64 value);
int hull_set_xcr0(struct hull_vcpu *vcpu, u64 value);

#endif
