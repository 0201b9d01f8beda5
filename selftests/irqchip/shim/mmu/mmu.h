/* SPDX-License-Identifier: GPL-2.0 */
/* What irqchip/ uses of kmod/mmu/mmu.h: there is no shadow paging. */
#ifndef IRQCHIP_SHIM_MMU_H
#define IRQCHIP_SHIM_MMU_H

#include "vm.h"

#define hull_check		false

static inline void hull_shadow_written(struct hull_vm *vm, u64 start, u64 end)
{
}

#endif
