/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The only way of the module to guest memory: through the creator's user mapping, marking what is
 * written dirty.
 */
#ifndef HULL_MEM_GPA_H
#define HULL_MEM_GPA_H

#include "../types.h"

/*
 * Access guest memory; may fault pages in and sleep. Any thread whose mm is vm->mm.
 * Return 0, -ENXIO (not memory, or a write to a read-only region), -EFAULT (memory cannot be had).
 * An access may cross pages and regions. Take vm->srcu themselves.
 */
int hull_gpa_read(struct hull_vm *vm, gpa_t gpa, void *to, size_t len);
int hull_gpa_write(struct hull_vm *vm, gpa_t gpa, const void *from, size_t len);

/*
 * The same without sleeping: pages must be present. For the window (interrupts off) and other
 * atomic contexts; must not cross a page. -EFAULT: try again outside with the sleeping variant.
 */
int hull_gpa_read_atomic(struct hull_vm *vm, gpa_t gpa, void *to, size_t len);

/*
 * Compare and exchange 1, 2, 4 or 8 naturally aligned bytes in guest memory: A/D bits, of which
 * shadow pages need not be told. May sleep; the other one not, as above.
 * Returns 0 and the value found in *@old, or as above.
 */
int hull_gpa_cmpxchg(struct hull_vm *vm, gpa_t gpa, u64 *old, u64 new, size_t len);
int hull_gpa_cmpxchg_atomic(struct hull_vm *vm, gpa_t gpa, u64 *old, u64 new, size_t len);

/* Mark the page of @gfn written, after it was. RCU or srcu read side, or interrupts off. */
void hull_mark_dirty(struct hull_vm *vm, gfn_t gfn);

#endif
