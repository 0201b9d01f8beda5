/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The seam between common and vendor code: the operations a vendor offers, and the neutral
 * description of an exit, which is where vendor code ends.
 */
#ifndef HULL_BACKEND_H
#define HULL_BACKEND_H

#include "types.h"
#include "hull.h"

/* Why the window closed. */
enum hull_exit_kind {
	HULL_X_NONE,		/* host interrupt, request, budget: nothing to do */
	HULL_X_PORT,		/* port: port, size, write, string, value in RAX */
	HULL_X_MEMORY,		/* nested fault: gpa, access; next_rip not 0: a plain MOV */
	HULL_X_MSR,		/* write: index in RCX */
	HULL_X_CPUID,
	HULL_X_HYPERCALL,
	HULL_X_HLT,
	HULL_X_PAUSE,
	HULL_X_CR,		/* reg: which; the instruction says the rest */
	HULL_X_DR,		/* the instruction says what */
	HULL_X_XSETBV,
	HULL_X_CACHE,		/* INVD, WBINVD: nothing to do but step over it */
	HULL_X_INVLPG,
	HULL_X_PAGE_FAULT,	/* #PF under shadow paging: gva, error_code */
	HULL_X_MACHINE_CHECK,	/* the host's */
	HULL_X_EXCEPTION,	/* vector, error_code, info[1]: CR2 */
	HULL_X_UD,		/* an instruction that guests do not have: inject #UD */
	HULL_X_GP,
	HULL_X_TRIPLE_FAULT,	/* the guest shut down */
	HULL_X_BAD_STATE,	/* the CPU refused the guest state */
	HULL_X_INIT,
	HULL_X_TASK_SWITCH,
	HULL_X_UNKNOWN,
	HULL_X_CHECK_FAILED,	/* the oracle refused to enter */
};

/**
 * struct hull_exit - one exit, in the terms of no vendor
 * @kind: enum hull_exit_kind
 * @code: the hardware's exit code
 * @info: the hardware's information words
 * @next_rip: RIP after the instruction, as the CPU says, 0: it does not, to be decoded
 * @saved_rip: the same where it is decoded all the same, for the check mode to compare; 0: none
 * @gpa: memory: guest-physical address
 * @gva: page fault: linear address
 * @access: memory: HULL_ACCESS_*; HULL_ACCESS_WALK
 * @port: port accesses
 * @size: port, plain MOV: bytes
 * @write: port, plain MOV, MSR: a write
 * @value: port, plain MOV: what is written
 * @string: INS or OUTS
 * @delivery: it happened while an event was being delivered, not by the instruction at RIP
 * @vector: exception
 * @error_code: exception, page fault
 * @reg: CR number; plain MOV: register that a read goes to
 * @broken: rule of the checker's for which there was no entry, in words
 */
struct hull_exit {
	u32 kind;
	u64 code;
	u64 info[2];
	u64 next_rip;
	u64 saved_rip;
	gpa_t gpa;
	gva_t gva;
	u64 value;
	u32 access;
	u16 port;
	u8 size;
	bool write;
	bool string;
	bool delivery;
	u8 vector;
	u8 reg;
	u32 error_code;
	const char *broken;
};

/**
 * struct hull_backend - what svm/ and vmx/ offer; one is chosen at load, constant after
 *
 * hardware_enable/disable run on each CPU; the others in the vCPU thread outside the window unless
 * said otherwise. State moves in groups.
 */
struct hull_backend {
	const char *name;
	u32 id;					/* HULL_BACKEND_* */
	u32 hypercall_op;			/* enum hull_op: VMMCALL or VMCALL */
	bool pae_registers;			/* loading CR3 checks what PAE's root holds */

	/*
	 * Can this machine? Sets hull_has_nested, hull_has_real_mode, hull_flat,
	 * hull_nested_format, hull_warning. 0, or -errno after one clear line in the log.
	 */
	int (*probe)(void);
	int (*setup)(void);			/* after probe: allocate per-CPU areas */
	void (*teardown)(void);
	int (*hardware_enable)(void);		/* this CPU, interrupts off; -EBUSY: in use */
	void (*hardware_disable)(void);

	int (*vcpu_create)(struct hull_vcpu *vcpu);
	void (*vcpu_destroy)(struct hull_vcpu *vcpu);
	void (*vcpu_reset)(struct hull_vcpu *vcpu, bool init);

	/*
	 * One window: enter, handle fast exits, leave; fills vcpu->exit. 0; -EBUSY: another
	 * hypervisor has taken the hardware; -EINVAL, -EIO: the CPU refuses.
	 */
	int (*run)(struct hull_vcpu *vcpu);

	void (*get_segments)(struct hull_vcpu *vcpu, struct hull_segments *segments);
	void (*set_segments)(struct hull_vcpu *vcpu, const struct hull_segments *segments);
	void (*set_control)(struct hull_vcpu *vcpu);	/* from vcpu->control */
	int (*get_msr)(struct hull_vcpu *vcpu, u32 index, u64 *value);	/* -ENOENT: not kept here */
	int (*set_msr)(struct hull_vcpu *vcpu, u32 index, u64 value);
	void (*set_tsc_offset)(struct hull_vcpu *vcpu, u64 offset);
	int (*cpl)(struct hull_vcpu *vcpu);

	/* Everything about the vCPU's hardware state to the kernel log. */
	void (*dump)(struct hull_vcpu *vcpu);
};

extern const struct hull_backend *hull_backend;		/* __ro_after_init */
extern bool hull_has_nested;		/* the CPUs translate in two dimensions; __ro_after_init */
extern bool hull_has_shadow;		/* shadow paging can be had; __ro_after_init */
extern bool hull_has_real_mode;		/* guests can be in it; __ro_after_init */
/* Shadow paging: guests that do not page run on two-dimensional tables. __ro_after_init */
extern bool hull_flat;
extern const char *hull_warning;	/* of the CPU, to be said after a load; __ro_after_init */
extern const struct hull_backend hull_svm_backend, hull_vmx_backend;

#endif
