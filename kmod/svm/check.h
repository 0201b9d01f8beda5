/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The rules that VMRUN checks, in pure code.
 */
#ifndef HULL_SVM_CHECK_H
#define HULL_SVM_CHECK_H

struct vmcb;

/**
 * svm_check_state - would a CPU accept this guest state?
 * @vmcb: control block
 *
 * Return: NULL, or the rule of VMRUN that is broken, in words. All that is looked at is written by
 * hull, for the guest or for user space.
 */
const char *svm_check_state(const struct vmcb *vmcb);

/**
 * svm_check_guest - the same for state that a guest changes without an exit
 * @vmcb: control block
 * @gpa_bits: width of physical addresses
 *
 * Return: as svm_check_state(). CPUs let no guest break these rules; emulators do.
 */
const char *svm_check_guest(const struct vmcb *vmcb, unsigned int gpa_bits);

/**
 * svm_check_control - is this a VMCB hull may run?
 * @vmcb: control block
 * @asids: ASIDs the CPU has
 *
 * Return: NULL, or what is wrong: rules of VMRUN, and the intercepts without which a guest could
 * touch the host. Nobody but hull writes what is looked at.
 */
const char *svm_check_control(const struct vmcb *vmcb, u32 asids);

#endif
