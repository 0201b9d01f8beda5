/* SPDX-License-Identifier: GPL-2.0 */
/* What irqchip/ uses of kmod/vcpu.h and kmod/event.h. */
#ifndef IRQCHIP_SHIM_VCPU_H
#define IRQCHIP_SHIM_VCPU_H

#include "vm.h"

#define HULL_REQ_EVENT		1
#define HULL_REQ_CLOCK		4
#define HULL_REQ_EOI		6

struct hull_vcpu {
	struct hull_control control;
	unsigned long requests;
	u32 id;
	struct hull_vm *vm;
	struct hull_lapic *lapic;

	/* for the tests */
	u64 tsc_offset;
	unsigned int wakes, nmis, inits, sipis;
	u8 sipi_vector;
};

static inline void hull_vcpu_set_request(struct hull_vcpu *vcpu, unsigned int request)
{
	set_bit(request, &vcpu->requests);
}

void hull_vcpu_request(struct hull_vcpu *vcpu, unsigned int request);
void hull_inject_nmi(struct hull_vcpu *vcpu);
void hull_inject_init(struct hull_vcpu *vcpu);
void hull_inject_sipi(struct hull_vcpu *vcpu, u8 vector);

#endif
