/* SPDX-License-Identifier: GPL-2.0 */
/* What irqchip/ uses of kmod/vm.h. */
#ifndef IRQCHIP_SHIM_VM_H
#define IRQCHIP_SHIM_VM_H

#include "../../kmod/types.h"
#include "hull.h"

#define HULL_MAX_VCPUS	16

struct hull_irqchip;

struct hull_vm {
	struct hull_irqchip *irqchip;
	struct hull_vcpu *vcpus[HULL_MAX_VCPUS];
};

static inline struct hull_vcpu *hull_vm_vcpu(struct hull_vm *vm, unsigned int id)
{
	return id < HULL_MAX_VCPUS ? smp_load_acquire(&vm->vcpus[id]) : NULL;
}

extern u32 shim_resampled;	/* pins of which irqfds were told that they have let go */

void hull_vm_request(struct hull_vm *vm, unsigned int request);

#endif
