/* SPDX-License-Identifier: GPL-2.0 */
/* What irqchip/ uses of kmod/mem/gpa.h: guest memory is shim_memory[], from address 0. */
#ifndef IRQCHIP_SHIM_GPA_H
#define IRQCHIP_SHIM_GPA_H

#include "vm.h"

#define SHIM_MEMORY_SIZE	0x2000

extern u8 shim_memory[SHIM_MEMORY_SIZE];
/* Called before each write, to look at what a guest would see. */
extern void (*shim_on_write)(gpa_t gpa, size_t len);

int hull_gpa_read(struct hull_vm *vm, gpa_t gpa, void *to, size_t len);
int hull_gpa_write(struct hull_vm *vm, gpa_t gpa, const void *from, size_t len);
/* The page is not present: only the variant that sleeps gets at it. */
extern bool shim_absent;
int hull_gpa_cmpxchg(struct hull_vm *vm, gpa_t gpa, u64 *old, u64 new, size_t len);
int hull_gpa_cmpxchg_atomic(struct hull_vm *vm, gpa_t gpa, u64 *old, u64 new, size_t len);

#endif
