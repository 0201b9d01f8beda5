/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Defects built in on purpose, one at a time (scripts/build-module --mutation NAME), to show that
 * the tests and the check mode find them. Constants, so that the code that
 * uses them is compiled in every build and costs nothing in a normal one.
 */
#ifndef HULL_MUTATE_H
#define HULL_MUTATE_H

/* Permissions are taken away and the generation is bumped, but no vCPU is asked to flush. */
#ifdef HULL_MUTATE_NO_FLUSH
#define hull_mutate_no_flush	1
#else
#define hull_mutate_no_flush	0
#endif

/* An unlinked table is freed at once, without waiting for the flush. */
#ifdef HULL_MUTATE_EARLY_FREE
#define hull_mutate_early_free	1
#else
#define hull_mutate_early_free	0
#endif

/* A region leaves the table and its pages stay mapped. */
#ifdef HULL_MUTATE_NO_UNMAP
#define hull_mutate_no_unmap	1
#else
#define hull_mutate_no_unmap	0
#endif

/* The VMCB lets guests execute VMRUN, the VMCS MONITOR. */
#ifdef HULL_MUTATE_BAD_VMCB
#define hull_mutate_bad_vmcb	1
#else
#define hull_mutate_bad_vmcb	0
#endif

/* The guest's debug registers stay loaded after the window. */
#ifdef HULL_MUTATE_LEAK_REG
#define hull_mutate_leak_reg	1
#else
#define hull_mutate_leak_reg	0
#endif

/* A guest table is taken for write-protected and is not. */
#ifdef HULL_MUTATE_LOST_PROTECTION
#define hull_mutate_lost_protection	1
#else
#define hull_mutate_lost_protection	0
#endif

/* An entry that no longer agrees with the guest's table stays. */
#ifdef HULL_MUTATE_LOST_SYNC
#define hull_mutate_lost_sync	1
#else
#define hull_mutate_lost_sync	0
#endif

/* A page that goes out of sync again is not marked in the pages above. */
#ifdef HULL_MUTATE_LOST_MARK
#define hull_mutate_lost_mark	1
#else
#define hull_mutate_lost_mark	0
#endif

/* Shadow pages do not tell CR0.WP set from clear. */
#ifdef HULL_MUTATE_WRONG_ROLE
#define hull_mutate_wrong_role	1
#else
#define hull_mutate_wrong_role	0
#endif

/* A PCID that is loaded without a flush may see whatever was entered for others. */
#ifdef HULL_MUTATE_STALE_PCID
#define hull_mutate_stale_pcid	1
#else
#define hull_mutate_stale_pcid	0
#endif

/* Other vCPUs are not asked to flush when a guest table is write-protected. */
#ifdef HULL_MUTATE_NO_REMOTE_FLUSH
#define hull_mutate_no_remote_flush	1
#else
#define hull_mutate_no_remote_flush	0
#endif

/* On VMX a guest on shadow tables owns bits of CR0 and CR4 that the module must follow. */
#ifdef HULL_MUTATE_WRONG_MASK
#define hull_mutate_wrong_mask	1
#else
#define hull_mutate_wrong_mask	0
#endif

/*
 * State that user space sets is not checked but for what would harm the host, and the checker of
 * VMCBs and VMCSs is not heeded: the CPU itself is asked, to compare (guest_state.c).
 */
#ifdef HULL_MUTATE_TRUST_STATE
#define hull_mutate_trust_state	1
#else
#define hull_mutate_trust_state	0
#endif

#endif
