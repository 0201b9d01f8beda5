// SPDX-License-Identifier: GPL-2.0
/*
 * Exits that closed the window: the common switch over what the vendor decoded. Each case is done
 * here, injected as the fault the manuals name, published to the launcher, or ends the VM.
 *
 * The vCPU thread, outside the window, the vCPU's mutex held. May sleep.
 */
#include <linux/ratelimit.h>
#include <asm/debugreg.h>
#include <uapi/linux/kvm_para.h>
#include <asm/trapnr.h>

#include "backend.h"
#include "cpuid.h"
#include "exit.h"
#include "fast.h"
#include "irqchip/irqchip.h"
#include "mem/gpa.h"
#include "mmu/mmu.h"
#include "msr.h"
#include "mutate.h"
#include "ring.h"
#include "state.h"
#include "trace.h"
#include "vcpu.h"

void hull_inject_single_step(struct hull_vcpu *vcpu)
{
	vcpu->debug.dr6 |= DR_STEP;
	hull_inject_exception(vcpu, X86_TRAP_DB);
}

void hull_skip_to(struct hull_vcpu *vcpu, u64 rip)
{
	vcpu->gprs.rip = rip;
	vcpu->event.shadow = false;
	if (unlikely(vcpu->gprs.rflags & X86_EFLAGS_TF))
		hull_inject_single_step(vcpu);
	vcpu->gprs.rflags &= ~X86_EFLAGS_RF;
}

static u64 rip_after(struct hull_vcpu *vcpu, const struct hull_exit *exit)
{
	return exit->next_rip ?: hull_insn_next_rip(vcpu);
}

static int skip(struct hull_vcpu *vcpu, const struct hull_exit *exit)
{
	hull_skip_to(vcpu, rip_after(vcpu, exit));
	return HULL_RESUME;
}

/*
 * Where the CPU does not say how long the instruction was: verify @op at RIP. The rest of the
 * handler runs only for 0.
 */
#define EXPECT(vcpu, exit, op) ({					\
	int err_ = (exit)->next_rip ? 0 : hull_insn_expect(vcpu, op);	\
	if (err_)							\
		return err_ < 0 ? err_ : HULL_RESUME;			\
})

/* ---- ports, and plain accesses as such ------------------------------------------------------ */

/* A plain access of the guest, until it is done. */
static int plain_access(struct hull_vcpu *vcpu, const struct hull_exit *exit, u32 space,
			u64 address, u8 reg)
{
	u64 value = exit->write ? exit->value : 0;
	int next;

	next = hull_ring_access_plain(vcpu, space, address, exit->size, exit->write, &value);
	if (next) {
		vcpu->pending = (struct hull_continuation) {
			.kind = HULL_CONT_ACCESS, .size = exit->size, .write = exit->write,
			.reg = reg, .next_rip = exit->next_rip,
		};
		return next;
	}
	if (!exit->write)
		hull_merge_result(&vcpu->gprs.gpr[reg], exit->size, value);
	hull_skip_to(vcpu, exit->next_rip);
	return HULL_RESUME;
}

static int finish_access(struct hull_vcpu *vcpu)
{
	const struct hull_continuation *pending = &vcpu->pending;
	u64 value = 0;
	int ret;

	ret = pending->write ? hull_ring_finish(vcpu, NULL, 0) :
			       hull_ring_finish(vcpu, &value, pending->size);
	if (ret)
		return ret;
	if (!pending->write)
		hull_merge_result(&vcpu->gprs.gpr[pending->reg], pending->size, value);
	hull_skip_to(vcpu, pending->next_rip);
	vcpu->pending.kind = HULL_CONT_NONE;
	return HULL_RESUME;
}

static int exit_port(struct hull_vcpu *vcpu, const struct hull_exit *exit)
{
	return exit->string ? hull_emulate(vcpu, 0, 0) :
			      plain_access(vcpu, exit, HULL_SPACE_PORT, exit->port, HULL_GPR_RAX);
}

/* ---- memory --------------------------------------------------------------------------------- */

/* What the MMU found, which is not the guest's own fault. */
static int memory_fault(struct hull_vcpu *vcpu, const struct hull_exit *exit, int fault,
			gpa_t gpa, u32 access)
{
	trace_hull_fault(vcpu->id, gpa, access, fault);
	if (fault == HULL_FAULT_MAPPED)
		return HULL_RESUME;
	if (fault == HULL_FAULT_MMIO || fault == -ENXIO) {
		/*
		 * Code or page tables in a hole, or the stack or tables that an event's delivery
		 * needs: no instruction makes this access that could be executed.
		 */
		if ((access & HULL_ACCESS_FETCH) || exit->delivery || fault == -ENXIO)
			return hull_vcpu_end(vcpu, HULL_END_EMULATION, exit->code, exit->info[0],
					     exit->info[1]);
		if (!exit->next_rip)
			return hull_emulate(vcpu, gpa, access);
		hull_count(vcpu, HULL_STAT_MMIO);
		return plain_access(vcpu, exit, HULL_SPACE_MEMORY, gpa, exit->reg);
	}
	if (fault == -EINTR || fault == -ENOMEM)
		return fault;
	return hull_vcpu_end(vcpu, HULL_END_NO_MEMORY, exit->code, -fault, gpa);
}

static int exit_memory(struct hull_vcpu *vcpu, const struct hull_exit *exit)
{
	/* A move that is known was found in the window to go where no memory is. */
	int fault = exit->next_rip ? HULL_FAULT_MMIO :
				     hull_mmu_fault(vcpu, exit->gpa, exit->access);

	return memory_fault(vcpu, exit, fault, exit->gpa, exit->access);
}

/* Shadow paging: each #PF comes here first. */
static int exit_page_fault(struct hull_vcpu *vcpu, const struct hull_exit *exit)
{
	bool ac = hull_fault_ac(vcpu->gprs.rflags, hull_backend->cpl(vcpu), exit->error_code);
	u32 access = hull_fault_access(exit->error_code);
	int fault = hull_shadow_fault(vcpu, exit->gva, exit->error_code, ac);

	if (fault == HULL_FAULT_GUEST) {
		hull_count(vcpu, HULL_STAT_EXCEPTION);
		trace_hull_fault(vcpu->id, exit->gva, access, fault);
		hull_inject_page_fault(vcpu, exit->gva, vcpu->mmu.walk.error_code);
		return HULL_RESUME;
	}
	hull_count(vcpu, HULL_STAT_MEMORY_FAULT);
	return memory_fault(vcpu, exit, fault, vcpu->mmu.walk.gpa, access);
}

static int exit_invlpg(struct hull_vcpu *vcpu, const struct hull_exit *exit)
{
	u64 linear;
	int err;

	EXPECT(vcpu, exit, HULL_OP_INVLPG);
	err = hull_emu_linear(&vcpu->emu.insn, &vcpu->emu_regs, &linear);
	if (!err)
		hull_fast_invlpg(vcpu, linear);
	return skip(vcpu, exit);
}

/* ---- CPUID, MSRs, hypercalls ---------------------------------------------------------------- */

static int exit_cpuid(struct hull_vcpu *vcpu, const struct hull_exit *exit)
{
	EXPECT(vcpu, exit, HULL_OP_CPUID);
	hull_cpuid_execute(vcpu, &vcpu->gprs.gpr[HULL_GPR_RAX]);
	return skip(vcpu, exit);
}

static int exit_msr(struct hull_vcpu *vcpu, const struct hull_exit *exit)
{
	u64 *rax = &vcpu->gprs.gpr[HULL_GPR_RAX];
	int err;

	EXPECT(vcpu, exit, exit->write ? HULL_OP_WRMSR : HULL_OP_RDMSR);
	err = exit->write ? hull_wrmsr(vcpu, *rax, false) : hull_rdmsr(vcpu, rax);
	if (!err)
		return skip(vcpu, exit);
	hull_inject_gp(vcpu);
	return HULL_RESUME;
}

bool hull_hypercall(struct hull_vcpu *vcpu, u64 number, u64 *result)
{
	if (number != KVM_HC_VAPIC_POLL_IRQ)
		return false;
	*result = 0;
	return true;
}

static int exit_hypercall(struct hull_vcpu *vcpu, const struct hull_exit *exit)
{
	u64 *gpr = vcpu->gprs.gpr;
	u64 result = 0;
	struct hull_request request = {
		.space = HULL_SPACE_HYPERCALL, .size = 8, .count = 1,
		.address = gpr[HULL_GPR_RAX], .data = &result,
		.args = { gpr[HULL_GPR_RBX], gpr[HULL_GPR_RCX], gpr[HULL_GPR_RDX],
			  gpr[HULL_GPR_RSI] },
	};
	int next;

	EXPECT(vcpu, exit, hull_backend->hypercall_op);
	if (hull_backend->cpl(vcpu)) {
		gpr[HULL_GPR_RAX] = -KVM_EPERM;
		return skip(vcpu, exit);
	}
	if (!hull_hypercall(vcpu, request.address, &result)) {
		next = hull_ring_access(vcpu, &request);
		if (next == -ENOENT) {
			result = -KVM_ENOSYS;
		} else if (next) {
			vcpu->pending = (struct hull_continuation) {
				.kind = HULL_CONT_HYPERCALL,
				.next_rip = rip_after(vcpu, exit),
			};
			return next;
		}
	}
	gpr[HULL_GPR_RAX] = result;
	return skip(vcpu, exit);
}

static int finish_hypercall(struct hull_vcpu *vcpu)
{
	u64 value = 0;
	int ret = hull_ring_finish(vcpu, &value, sizeof(value));

	if (ret)
		return ret;
	vcpu->gprs.gpr[HULL_GPR_RAX] = value;
	hull_skip_to(vcpu, vcpu->pending.next_rip);
	vcpu->pending.kind = HULL_CONT_NONE;
	return HULL_RESUME;
}

static int exit_hlt(struct hull_vcpu *vcpu, const struct hull_exit *exit)
{
	EXPECT(vcpu, exit, HULL_OP_HLT);
	vcpu->run_state = HULL_STATE_HALTED;
	return skip(vcpu, exit);
}

/* ---- control and debug registers ------------------------------------------------------------ */

static int move_to_cr(struct hull_vcpu *vcpu, u8 cr, u64 value)
{
	switch (cr) {
	case 0:
		return hull_set_cr0(vcpu, value);
	case 3:
		return hull_set_cr3(vcpu, value);
	case 4:
		return hull_set_cr4(vcpu, value);
	case 8:
		if (value > 15)
			return -EINVAL;
		if (vcpu->lapic)
			hull_lapic_set_cr8(vcpu, value);
		vcpu->control.cr8 = value;
		return 0;
	default:
		return -EINVAL;
	}
}

static int exit_cr(struct hull_vcpu *vcpu, const struct hull_exit *exit)
{
	const struct hull_insn *insn = &vcpu->emu.insn;
	u64 *gpr = vcpu->gprs.gpr;
	bool is_long = false;
	u64 value;
	int err;

	err = hull_insn_fetch(vcpu);
	if (err)
		return err < 0 ? err : HULL_RESUME;
	is_long = insn->mode == HULL_MODE_64;
	/* Another CPU changed the code meanwhile: not every register may be written here. */
	if ((insn->op == HULL_OP_MOV_TO_CR || insn->op == HULL_OP_MOV_FROM_CR) &&
	    insn->reg != exit->reg)
		return HULL_RESUME;
	switch (insn->op) {
	case HULL_OP_MOV_TO_CR:
		value = gpr[insn->rm];
		err = move_to_cr(vcpu, insn->reg, is_long ? value : (u32)value);
		break;
	case HULL_OP_MOV_FROM_CR:
		if (!hull_fast_get_cr(vcpu, true, insn->reg, &value))
			value = vcpu->control.cr8;
		gpr[insn->rm] = is_long ? value : (u32)value;
		break;
	case HULL_OP_CLTS:
		err = hull_set_cr0(vcpu, vcpu->control.cr0 & ~(u64)X86_CR0_TS);
		break;
	case HULL_OP_LMSW:
	case HULL_OP_SMSW:
		return hull_emulate(vcpu, 0, 0);
	default:
		return HULL_RESUME;
	}
	if (err) {
		hull_inject_gp(vcpu);
		return HULL_RESUME;
	}
	return skip(vcpu, exit);
}

static int exit_dr(struct hull_vcpu *vcpu, const struct hull_exit *exit)
{
	const struct hull_insn *insn = &vcpu->emu.insn;
	struct hull_debug *debug = &vcpu->debug;
	u64 *gpr = vcpu->gprs.gpr;
	bool write;
	u64 *dr, value;
	int err;

	err = hull_insn_fetch(vcpu);
	if (err)
		return err < 0 ? err : HULL_RESUME;
	if (insn->op != HULL_OP_MOV_TO_DR && insn->op != HULL_OP_MOV_FROM_DR)
		return HULL_RESUME;
	write = insn->op == HULL_OP_MOV_TO_DR;
	if (debug->dr7 & HULL_DR7_GD) {
		debug->dr6 |= BIT(13);
		hull_inject_exception(vcpu, X86_TRAP_DB);
		return HULL_RESUME;
	}
	if ((insn->reg == 4 || insn->reg == 5) && (vcpu->control.cr4 & X86_CR4_DE)) {
		hull_inject_ud(vcpu);
		return HULL_RESUME;
	}
	dr = insn->reg < 4 ? &debug->dr[insn->reg] : (insn->reg & 1) ? &debug->dr7 : &debug->dr6;
	if (!write) {
		gpr[insn->rm] = insn->mode == HULL_MODE_64 ? *dr : (u32)*dr;
		return skip(vcpu, exit);
	}
	value = insn->mode == HULL_MODE_64 ? gpr[insn->rm] : (u32)gpr[insn->rm];
	if (dr == &debug->dr6 || dr == &debug->dr7) {
		if (value >> 32) {
			hull_inject_gp(vcpu);
			return HULL_RESUME;
		}
		if (dr == &debug->dr6)
			value = (value & HULL_DR6_WRITABLE) | DR6_RESERVED;
		else
			value = (value & ~0xd000ULL) | HULL_DR7_FIXED;
	}
	*dr = value;
	return skip(vcpu, exit);
}

static int exit_xsetbv(struct hull_vcpu *vcpu, const struct hull_exit *exit)
{
	u64 *gpr = vcpu->gprs.gpr;
	u64 value = (u32)gpr[HULL_GPR_RAX] | (gpr[HULL_GPR_RDX] << 32);

	EXPECT(vcpu, exit, HULL_OP_XSETBV);
	if (!(vcpu->control.cr4 & X86_CR4_OSXSAVE)) {
		hull_inject_ud(vcpu);
		return HULL_RESUME;
	}
	if (hull_backend->cpl(vcpu) || (u32)gpr[HULL_GPR_RCX] || hull_set_xcr0(vcpu, value)) {
		hull_inject_gp(vcpu);
		return HULL_RESUME;
	}
	return skip(vcpu, exit);
}

/* INVD must not drop the host's cache lines, and no guest has memory that needs WBINVD. */
static int exit_cache(struct hull_vcpu *vcpu, const struct hull_exit *exit)
{
	int err = exit->next_rip ? 0 : hull_insn_fetch(vcpu);

	if (err)
		return err < 0 ? err : HULL_RESUME;
	if (!exit->next_rip && vcpu->emu.insn.op != HULL_OP_INVD &&
	    vcpu->emu.insn.op != HULL_OP_WBINVD)
		return HULL_RESUME;
	return skip(vcpu, exit);
}

static int exit_exception(struct hull_vcpu *vcpu, const struct hull_exit *exit)
{
	/* Intercepted only to break endless delivery: hand it on. */
	if (exit->vector == X86_TRAP_AC)
		hull_inject_exception_error(vcpu, exit->vector, exit->error_code);
	else
		hull_inject_exception(vcpu, exit->vector);
	return HULL_RESUME;
}

/* A defect, ours or the CPU's: in check mode all is told, but no guest may fill the log. */
static int exit_broken(struct hull_vcpu *vcpu, const struct hull_exit *exit, u32 reason)
{
	static DEFINE_RATELIMIT_STATE(dumps, 10 * HZ, 1);

	if (hull_check && __ratelimit(&dumps))
		hull_backend->dump(vcpu);
	return hull_vcpu_end(vcpu, reason, exit->code, exit->info[0], exit->info[1]);
}

static int exit_unknown(struct hull_vcpu *vcpu, const struct hull_exit *exit, u32 reason)
{
	pr_warn_ratelimited("vm of pid %d: exit %#llx (%#llx, %#llx) at %#llx ends the VM\n",
			    task_tgid_nr(current), exit->code, exit->info[0], exit->info[1],
			    vcpu->gprs.rip);
	return hull_vcpu_end(vcpu, reason, exit->code, exit->info[0], exit->info[1]);
}

bool hull_refuse_entry(struct hull_vcpu *vcpu, const char *broken, bool ours)
{
	if (ours)
		hull_check_failed(vcpu->vm, broken, vcpu->id, vcpu->last_exit_code);
	else
		pr_info_ratelimited("vCPU %u of pid %d cannot run: %s\n", vcpu->id,
				    task_tgid_nr(current), broken);
	vcpu->exit.broken = broken;
	if (hull_mutate_trust_state && !ours && vcpu->state_set) {
		/* Its word only: let us see what the CPU says. */
		strscpy(vcpu->run->end_text, broken, sizeof(vcpu->run->end_text));
		vcpu->state_set = false;
		return true;
	}
	vcpu->exit.kind = ours ? HULL_X_CHECK_FAILED : HULL_X_BAD_STATE;
	vcpu->exit.code = 0;
	return false;
}

int hull_exit_handle(struct hull_vcpu *vcpu, const struct hull_exit *exit)
{
	vcpu->last_exit_code = exit->code;
	switch (exit->kind) {
	case HULL_X_NONE:
	case HULL_X_PAUSE:
	case HULL_X_INIT:
	case HULL_X_MACHINE_CHECK:
		return HULL_RESUME;
	case HULL_X_PORT:
		return exit_port(vcpu, exit);
	case HULL_X_MEMORY:
		return exit_memory(vcpu, exit);
	case HULL_X_MSR:
		return exit_msr(vcpu, exit);
	case HULL_X_CPUID:
		return exit_cpuid(vcpu, exit);
	case HULL_X_HYPERCALL:
		return exit_hypercall(vcpu, exit);
	case HULL_X_HLT:
		return exit_hlt(vcpu, exit);
	case HULL_X_PAGE_FAULT:
		return exit_page_fault(vcpu, exit);
	case HULL_X_INVLPG:
		return exit_invlpg(vcpu, exit);
	case HULL_X_CR:
		return exit_cr(vcpu, exit);
	case HULL_X_DR:
		return exit_dr(vcpu, exit);
	case HULL_X_XSETBV:
		return exit_xsetbv(vcpu, exit);
	case HULL_X_CACHE:
		return exit_cache(vcpu, exit);
	case HULL_X_EXCEPTION:
		return exit_exception(vcpu, exit);
	case HULL_X_UD:
		hull_inject_ud(vcpu);
		return HULL_RESUME;
	case HULL_X_GP:
		hull_inject_gp(vcpu);
		return HULL_RESUME;
	case HULL_X_TRIPLE_FAULT:
		return hull_vcpu_end(vcpu, HULL_END_TRIPLE_FAULT, exit->code, exit->info[0],
				     exit->info[1]);
	case HULL_X_BAD_STATE:
		return exit_broken(vcpu, exit, HULL_END_BAD_STATE);
	case HULL_X_TASK_SWITCH:
		return exit_unknown(vcpu, exit, HULL_END_EMULATION);
	case HULL_X_CHECK_FAILED:
		return exit_broken(vcpu, exit, HULL_END_INTERNAL);
	default:
		return exit_unknown(vcpu, exit, HULL_END_UNKNOWN_EXIT);
	}
}

int hull_exit_finish(struct hull_vcpu *vcpu)
{
	switch (vcpu->pending.kind) {
	case HULL_CONT_ACCESS:
		return finish_access(vcpu);
	case HULL_CONT_HYPERCALL:
		return finish_hypercall(vcpu);
	case HULL_CONT_EMULATE:
		return hull_emulate_finish(vcpu);
	default:
		return HULL_RESUME;
	}
}
