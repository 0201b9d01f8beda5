/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A virtual CPU: neutral state, requests and kicks, the run loop's interface.
 *
 * Requests. Any context sets a bit in vcpu->requests, then kicks. The vCPU thread stores
 * mode = IN_GUEST, full barrier, reads requests; the requester sets the bit, full barrier, reads
 * mode. So one of the two always sees the other: either the vCPU handles the request before it
 * enters, or the requester sees IN_GUEST and sends an interrupt.
 */
#ifndef HULL_VCPU_H
#define HULL_VCPU_H

#include <linux/mutex.h>
#include <linux/rcuwait.h>
#include <linux/smp.h>
#include <asm/processor-flags.h>

#include "types.h"
#include "vm.h"
#include "hull.h"
#include "event.h"
#include "ring.h"
#include "emulate/emulate.h"
#include "exit.h"

/* vcpu->requests: bit numbers */
#define HULL_REQ_FLUSH		0	/* TLB entries of this VM may be stale */
#define HULL_REQ_EVENT		1	/* something may be deliverable: evaluate events */
#define HULL_REQ_EXIT		2	/* leave the window, look again (INIT, SIPI) */
#define HULL_REQ_CLOCK		3	/* write the paravirtual clock page */
#define HULL_REQ_END		4	/* the VM has ended */
#define HULL_REQ_ROOT		5	/* shadow paging: hull_shadow_prepare() before going on */
#define HULL_REQ_EOI		6	/* settle an EOI that the guest was offered */

enum hull_vcpu_mode {
	HULL_OUTSIDE,		/* not in a window */
	HULL_IN_GUEST,		/* in a window: kick by interrupt */
};

struct hull_lapic;
struct hull_cpuid_table;

/* Pages of code whose way is remembered; a page's is at its number modulo this. */
#define HULL_WALKED	8

/**
 * struct hull_walked - where the guest's tables map a page, as last found by hull_fast_walk()
 * @cr3: of the guest; its complement where the tables have five levels
 * @page: linear address, less the offset
 * @generation: of the regions that @where and @hva are from; 0: nothing is known
 * @where: user addresses of the entries; a walk that ends early repeats its last one
 * @entry: their values
 * @hva: user address of the page
 */
struct hull_walked {
	u64 cr3;
	u64 page;
	u64 generation;
	u64 __user *where[HULL_WALK_LEVELS];
	u64 entry[HULL_WALK_LEVELS];
	unsigned long hva;
};

/* Moves to and from devices that are remembered, by their place. */
#define HULL_MOVES	8

/**
 * struct hull_move - a MOV that move.c knows
 * @bytes: of the code
 * @length: of the instruction; 0: these bytes are none
 * @size: bytes moved
 * @write: to memory
 * @reg: the register, HULL_REG_NONE: @imm is written
 * @base: @base, @index, @scale, @rip_relative, @disp: its address, as in struct hull_insn
 * @imm: what is written without a register
 */
struct hull_move {
	u64 bytes[2];
	u8 length;
	u8 size;
	bool write;
	u8 reg;
	u8 base;
	u8 index;
	u8 scale;
	bool rip_relative;
	s64 disp;
	u64 imm;
};

/**
 * struct hull_vcpu - one vCPU
 * @gprs: general registers, RIP, RFLAGS; valid outside the window
 * @control: control registers; valid outside the window, written back by backend->set_control()
 * @debug: debug registers; DR6 and DR7 valid outside the window
 * @event: what is pending for delivery; owner: the vCPU thread
 * @requests: HULL_REQ_* bits; atomic
 * @mode: enum hull_vcpu_mode; written by the vCPU thread
 * @run_state: HULL_STATE_*; written by the vCPU thread
 * @cpu: where the window is or was last; written by the vCPU thread with interrupts off
 * @budget: fast exits left before the window closes
 * @wait: the vCPU thread sleeps here (HLT, mailbox)
 * @mutex: held over each ioctl of this vCPU
 * @run: page shared with the launcher
 * @stats: written by the vCPU thread
 *
 * Unless said otherwise a field belongs to the holder of @mutex.
 */
struct hull_vcpu {
	struct hull_gprs gprs;
	struct hull_control control;
	struct hull_debug debug;

	unsigned long requests;
	int mode;
	int cpu;
	int budget;
	u32 run_state;
	u32 id;

	struct hull_vm *vm;
	struct hull_event event;
	struct hull_lapic *lapic;	/* NULL without HULL_VM_IRQCHIP */
	struct hull_cpuid_table *cpuid;
	struct hull_mmu_vcpu mmu;
	struct hull_ring_vcpu ring;	/* own channel, request in flight */
	struct hull_walked walked[HULL_WALKED];	/* the way to code that exits */
	struct hull_move moves[HULL_MOVES];	/* how the guest talks to devices */
	struct hull_emu emu;		/* instruction being executed in software */
	struct hull_emu_regs emu_regs;	/* what it works on */
	int emu_next;			/* what to return while it is suspended */
	u8 scratch[HULL_PAYLOAD_SIZE];	/* answers on their way to the emulator */
	struct hull_exit exit;		/* what closed the latest window */
	u64 last_exit_code;
	u32 odd_lengths;		/* check mode: instructions in a row that disagree */
	gpa_t fault_gpa;		/* of the fault being emulated, 0: not known */
	u32 fault_access;
	struct hull_fpu_state *fpu;
	struct hull_msr_state *msr;	/* MSRs kept by msr.c */
	unsigned long host_debug[4];	/* host's DR0-DR3 while the guest's are loaded */
	bool debug_loaded;
	bool state_set;		/* by user space, and not entered since: to be checked */
	struct hull_continuation pending; /* exit begun and not finished, see exit.h */

	struct mutex mutex;
	struct rcuwait wait;
	call_single_data_t kick;
	struct hull_run *run;
	struct hull_stats stats;

	struct task_struct *task;	/* that is in HULL_RUN, for comparison only */
	void *arch;			/* the backend's part */
};

/* Ask the vCPU to look at @request before it next enters the guest; does not kick. Any context. */
static inline void hull_vcpu_set_request(struct hull_vcpu *vcpu, unsigned int request)
{
	set_bit(request, &vcpu->requests);
}

static inline bool hull_vcpu_take_request(struct hull_vcpu *vcpu, unsigned int request)
{
	if (!test_bit(request, &vcpu->requests))
		return false;
	clear_bit(request, &vcpu->requests);
	/* What the requester wrote before set_bit() is seen after this. */
	smp_mb__after_atomic();
	return true;
}

/*
 * hull_vcpu_request - set @request, wake the vCPU when it sleeps, kick it out of the guest when it
 * is inside. Any context, interrupts off included; does not wait.
 */
void hull_vcpu_request(struct hull_vcpu *vcpu, unsigned int request);

/*
 * hull_vcpu_end - the VM cannot go on: record the first reason, stop all vCPUs.
 * Called by the vCPU thread outside the window. Returns HULL_PUBLISH.
 */
int hull_vcpu_end(struct hull_vcpu *vcpu, u32 reason, u64 code, u64 info1, u64 info2);

static inline void hull_count(struct hull_vcpu *vcpu, enum hull_stat stat)
{
	vcpu->stats.value[stat]++;
}

/* The vCPU's paging mode, for hull_walk(). Outside the window. */
static inline void hull_vcpu_paging(struct hull_vcpu *vcpu, struct hull_paging *paging)
{
	paging->cr0 = vcpu->control.cr0;
	paging->cr3 = vcpu->control.cr3;
	paging->cr4 = vcpu->control.cr4;
	paging->efer = vcpu->control.efer;
	paging->gpa_bits = hull_gpa_bits;
	paging->pkru = 0;	/* protection keys are not offered */
	paging->ac = vcpu->gprs.rflags & X86_EFLAGS_AC;
}

/* The module derives the tables that the hardware walks from the guest's. */
static inline bool hull_is_shadow(const struct hull_vcpu *vcpu)
{
	return vcpu->vm->paging == HULL_PAGING_SHADOW;
}

struct hull_vcpu *hull_vcpu_create(struct hull_vm *vm, u32 id);
void hull_vcpu_free(struct hull_vcpu *vcpu);

/*
 * hull_vcpu_wait - sleep until @condition of the vCPU holds, a request or a signal arrives.
 * @awake: returns true when there is no more reason to sleep
 * Returns 0 or -EINTR. The vCPU thread, outside the window, no locks but @mutex.
 */
int hull_vcpu_wait(struct hull_vcpu *vcpu, bool (*awake)(struct hull_vcpu *vcpu));

extern const struct file_operations hull_vcpu_fops;

#endif
