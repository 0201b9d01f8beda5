/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The rules that VMRUN checks, in pure code.
 */
#ifndef HULL_SVM_CHECK_H
#define HULL_SVM_CHECK_H

struct vmcb;

/**
 * svm_check_vmcb - would a CPU accept this VMCB, and is it one hull may run?
 * @vmcb: control block
 * @asids: ASIDs the CPU has
 * @gpa_bits: width of physical addresses
 *
 * Return: NULL, or the rule that is broken, in words. The rules are the consistency checks of
 * VMRUN, and the intercepts without which a guest could touch the host.
 */
const char *svm_check_vmcb(const struct vmcb *vmcb, u32 asids, unsigned int gpa_bits);

#endif
