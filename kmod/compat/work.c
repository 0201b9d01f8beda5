// SPDX-License-Identifier: GPL-2.0
/*
 * Signals, rescheduling and task work before a guest is entered, on kernels whose common code for
 * this knows KVM: when a signal is pending it writes to the vCPU it is given, and it looks for
 * signals again after it has scheduled. So it gets a vCPU whose contents mean nothing to anybody.
 *
 * A file of its own because KVM's header has names that are also hull's. Dies with compat.h's
 * HULL_COMPAT_WORK.
 */
#ifdef HULL_COMPAT_WORK
#include <linux/kvm_host.h>

static struct kvm_run run;
static struct kvm_vcpu vcpu = { .run = &run };

int hull_handle_work(void)
{
	return xfer_to_guest_mode_handle_work(&vcpu);
}
#endif
