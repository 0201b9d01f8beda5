// SPDX-License-Identifier: GPL-2.0
/*
 * Binds the pure emulator to a vCPU: fetches instruction bytes through the guest's page tables,
 * verifies what an exit says was executed, and carries out accesses of instructions executed in
 * software: memory, controllers in the module, consumers.
 *
 * The vCPU thread, outside the window. May sleep.
 */
#include <asm/trapnr.h>

#include "backend.h"
#include "exit.h"
#include "fast.h"
#include "irqchip/irqchip.h"
#include "mem/gpa.h"
#include "mmu/mmu.h"
#include "ring.h"
#include "state.h"
#include "vcpu.h"

/* Elements of a REP instruction before the guest may take an interrupt again. */
#define EMULATE_ITERATIONS	64

/* ---- registers ------------------------------------------------------------------------------ */

static void load_segment(struct hull_emu_seg *to, const struct hull_segment *from)
{
	to->base = from->base;
	to->limit = from->limit;
	to->selector = from->selector;
	to->attr = from->attr;
}

static void load_regs(struct hull_vcpu *vcpu)
{
	struct hull_emu_regs *regs = &vcpu->emu_regs;
	struct hull_segments segments;

	hull_backend->get_segments(vcpu, &segments);
	memcpy(regs->gpr, vcpu->gprs.gpr, sizeof(regs->gpr));
	regs->rip = vcpu->gprs.rip;
	regs->rflags = vcpu->gprs.rflags;
	load_segment(&regs->seg[HULL_ES], &segments.es);
	load_segment(&regs->seg[HULL_CS], &segments.cs);
	load_segment(&regs->seg[HULL_SS], &segments.ss);
	load_segment(&regs->seg[HULL_DS], &segments.ds);
	load_segment(&regs->seg[HULL_FS], &segments.fs);
	load_segment(&regs->seg[HULL_GS], &segments.gs);
	regs->cr0 = vcpu->control.cr0;
	regs->cr4 = vcpu->control.cr4;
	regs->efer = vcpu->control.efer;
	regs->cpl = hull_backend->cpl(vcpu);
}

static void store_segment(struct hull_segment *to, const struct hull_emu_seg *from)
{
	to->base = from->base;
	to->limit = from->limit;
	to->selector = from->selector;
	to->attr = from->attr;
}

/* A segment register can change in real mode only, by MOV or POP. */
static void store_segments(struct hull_vcpu *vcpu)
{
	const struct hull_emu_regs *regs = &vcpu->emu_regs;
	struct hull_segments segments;

	hull_backend->get_segments(vcpu, &segments);
	store_segment(&segments.es, &regs->seg[HULL_ES]);
	store_segment(&segments.ss, &regs->seg[HULL_SS]);
	store_segment(&segments.ds, &regs->seg[HULL_DS]);
	store_segment(&segments.fs, &regs->seg[HULL_FS]);
	store_segment(&segments.gs, &regs->seg[HULL_GS]);
	hull_backend->set_segments(vcpu, &segments);
}

static void store_regs(struct hull_vcpu *vcpu)
{
	const struct hull_emu_regs *regs = &vcpu->emu_regs;

	memcpy(vcpu->gprs.gpr, regs->gpr, sizeof(regs->gpr));
	vcpu->gprs.rip = regs->rip;
	vcpu->gprs.rflags = regs->rflags;
	if (vcpu->emu.insn.op == HULL_OP_MOV_TO_SEG || vcpu->emu.insn.op == HULL_OP_POP)
		store_segments(vcpu);
	/* LMSW changes nothing that could be refused. */
	if (vcpu->emu.insn.op == HULL_OP_LMSW && regs->cr0 != vcpu->control.cr0)
		WARN_ON_ONCE(hull_set_cr0(vcpu, regs->cr0));
}

/* ---- fetching ------------------------------------------------------------------------------- */

#define FAST_PTE_ADDRESS	GENMASK_ULL(51, 12)

/* Page faults and preemption are disabled. */
unsigned long hull_fast_walk(struct hull_vcpu *vcpu, u64 cr3, u64 linear)
{
	/* Before anything is looked up: of a table that is replaced meanwhile nothing is kept. */
	u64 generation = rcu_dereference_sched(vcpu->vm->regions)->generation;
	struct hull_walked *walked = hull_walked(vcpu, linear);
	bool five = vcpu->control.cr4 & X86_CR4_LA57;
	u64 entry = cr3, offset_mask;
	unsigned int shift, level, i;
	unsigned long hva;

	if (five && hull_walked_is(vcpu, walked, ~cr3, linear) && hull_walked_holds(walked, 5))
		return walked->hva + offset_in_page(linear);
	walked->generation = 0;
	for (shift = five ? 48 : 39, level = 0; ; shift -= 9, level++) {
		hva = hull_fast_hva(vcpu,
				    (entry & FAST_PTE_ADDRESS) | ((linear >> shift) & 511) * 8);
		if (!hva || !user_read_access_begin((void __user *)hva, 8))
			return 0;
		unsafe_get_user(entry, (u64 __user *)hva, fault);
		user_read_access_end();
		if (!(entry & _PAGE_PRESENT))
			return 0;
		for (i = level; i < ARRAY_SIZE(walked->where); i++) {
			walked->where[i] = (u64 __user *)hva;
			walked->entry[i] = entry;
		}
		if (shift == 12 || (shift <= 30 && (entry & _PAGE_PSE)))
			break;
	}
	offset_mask = (1ULL << shift) - 1;
	hva = hull_fast_hva(vcpu, (entry & FAST_PTE_ADDRESS & ~offset_mask) |
				  (linear & offset_mask & PAGE_MASK));
	if (!hva)
		return 0;
	walked->cr3 = five ? ~cr3 : cr3;
	walked->page = linear >> PAGE_SHIFT;
	walked->generation = generation;
	walked->hva = hva;
	return hva + offset_in_page(linear);

fault:
	user_read_access_end();
	return 0;
}

bool hull_fast_legacy_code(struct hull_vcpu *vcpu, u64 cr3, u32 linear, bool user, u32 *code)
{
	struct hull_paging paging;
	struct hull_walk walk;
	unsigned long hva;

	if (offset_in_page(linear) > PAGE_SIZE - sizeof(*code))
		return false;
	hull_vcpu_paging(vcpu, &paging);
	paging.cr3 = cr3;
	if (hull_walk_atomic(vcpu->vm, &paging, linear,
			     HULL_ACCESS_FETCH | (user ? HULL_ACCESS_USER : 0), &walk))
		return false;
	hva = hull_fast_hva(vcpu, walk.gpa);
	return hva && !__copy_from_user_inatomic(code, (const void __user *)hva, sizeof(*code));
}

/* Guest-physical address of @linear; 0, -EFAULT (fault queued by @fault), -ENXIO, -EAGAIN. */
static int translate(struct hull_vcpu *vcpu, u64 linear, u32 access, gpa_t *gpa,
		     struct hull_emu_fault *fault)
{
	struct hull_paging paging;
	struct hull_walk walk;
	int err;

	hull_vcpu_paging(vcpu, &paging);
	if (vcpu->emu_regs.cpl == 3)
		access |= HULL_ACCESS_USER;
	err = hull_walk(vcpu->vm, &paging, linear, access, true, &walk);
	if (err == -EFAULT) {
		fault->vector = X86_TRAP_PF;
		fault->has_error = true;
		fault->error = walk.error_code;
		fault->address = linear;
	}
	*gpa = walk.gpa;
	return err;
}

static void inject_fault(struct hull_vcpu *vcpu, const struct hull_emu_fault *fault)
{
	if (fault->vector == X86_TRAP_PF)
		hull_inject_page_fault(vcpu, fault->address, fault->error);
	else if (fault->has_error)
		hull_inject_exception_error(vcpu, fault->vector, fault->error);
	else
		hull_inject_exception(vcpu, fault->vector);
}

static u64 fetch_address(struct hull_vcpu *vcpu)
{
	u64 linear = vcpu->emu_regs.seg[HULL_CS].base + vcpu->emu_regs.rip;

	return hull_emu_mode(&vcpu->emu_regs) == HULL_MODE_64 ? vcpu->emu_regs.rip : (u32)linear;
}

/*
 * The same for code that the CPU has just executed, where its page and tables are present: most of
 * what an instruction costs here is looking at it. True: @bytes are filled.
 */
static bool fetch_fast(struct hull_vcpu *vcpu, u64 linear, u8 *bytes, unsigned int len)
{
	unsigned long hva;
	bool done = false;

	if (!(vcpu->control.efer & EFER_LMA))
		return false;
	preempt_disable();
	pagefault_disable();
	hva = hull_fast_translate(vcpu, vcpu->control.cr3 & FAST_PTE_ADDRESS, linear);
	if (hva)
		done = !__copy_from_user_inatomic(bytes, (const void __user *)hva, len);
	pagefault_enable();
	preempt_enable();
	return done;
}

/* Bytes up to the end of the page at @linear, at most @len. Number of bytes or as translate(). */
static int fetch_page(struct hull_vcpu *vcpu, u64 linear, u8 *bytes, unsigned int len,
		      struct hull_emu_fault *fault)
{
	gpa_t gpa;
	int err;

	len = min_t(unsigned int, len, PAGE_SIZE - offset_in_page(linear));
	if (fetch_fast(vcpu, linear, bytes, len))
		return len;
	err = translate(vcpu, linear, HULL_ACCESS_FETCH, &gpa, fault);
	if (err)
		return err;
	err = hull_gpa_read(vcpu->vm, gpa, bytes, len);
	return err ?: (int)len;
}

/*
 * Fetch what is at RIP and start the emulator on it. 0; 1: a fault was queued; -errno: the bytes
 * cannot be had.
 */
static int begin(struct hull_vcpu *vcpu)
{
	struct hull_emu_fault fault;
	u8 bytes[HULL_INSN_MAX];
	u64 linear;
	int have, more, err;

	load_regs(vcpu);
	linear = fetch_address(vcpu);
	have = fetch_page(vcpu, linear, bytes, sizeof(bytes), &fault);
	if (have == -EFAULT)
		goto page_fault;
	if (have < 0)
		return have;
	err = hull_emu_begin(&vcpu->emu, bytes, have);
	if (err == -EAGAIN && have < HULL_INSN_MAX) {
		more = fetch_page(vcpu, linear + have, bytes + have, HULL_INSN_MAX - have, &fault);
		if (more == -EFAULT)
			goto page_fault;
		if (more < 0)
			return more;
		err = hull_emu_begin(&vcpu->emu, bytes, have + more);
	}
	if (!err)
		return 0;
	if (err == -E2BIG)
		hull_inject_gp(vcpu);
	else
		hull_inject_ud(vcpu);
	return 1;

page_fault:
	inject_fault(vcpu, &fault);
	return 1;
}

/* What no memory backs, or what the emulator does not know, ends the VM. */
static int cannot(struct hull_vcpu *vcpu, int err)
{
	if (err == -EINTR || err == -ENOMEM)
		return err;
	return hull_vcpu_end(vcpu, HULL_END_EMULATION, vcpu->last_exit_code, -err, 0);
}

int hull_insn_fetch(struct hull_vcpu *vcpu)
{
	int err = begin(vcpu);

	if (err < 0) {
		err = cannot(vcpu, err);
		return err < 0 ? err : 1;
	}
	if (!err)
		vcpu->emu.state.nbytes = 0;	/* decoded only: nothing is in flight */
	return err;
}

/*
 * The oracle: the CPU's word for the length against the decoder's. Code that another CPU changes
 * between the two looks as wrong, but not each time: executed again, it would have to be changed at
 * the same moment again.
 */
#define ODD_LENGTHS	1000

static bool is_odd(struct hull_vcpu *vcpu)
{
	u64 rip = vcpu->exit.saved_rip;

	if (!rip || rip == hull_insn_next_rip(vcpu)) {
		vcpu->odd_lengths = 0;
		return false;
	}
	if (++vcpu->odd_lengths == ODD_LENGTHS)
		hull_check_failed(vcpu->vm, "the CPU's next RIP is not the decoder's (RIP, next)",
				  vcpu->gprs.rip, rip);
	return vcpu->odd_lengths < ODD_LENGTHS;
}

int hull_insn_expect(struct hull_vcpu *vcpu, enum hull_op op)
{
	int err = hull_insn_fetch(vcpu);

	if (err)
		return err;
	/* Another CPU changed the code meanwhile: the guest will see what is there now. */
	if (vcpu->emu.insn.op != op)
		return 1;
	return unlikely(hull_check) && is_odd(vcpu);
}

u64 hull_insn_next_rip(struct hull_vcpu *vcpu)
{
	u64 rip = vcpu->gprs.rip + vcpu->emu.insn.length;

	/* A 16-bit segment may be larger than 64 KiB: EIP keeps its 32 bits. */
	return vcpu->emu.insn.mode == HULL_MODE_64 ? rip : (u32)rip;
}

/* ---- accesses of the emulator --------------------------------------------------------------- */

static struct hull_vcpu *vcpu_of(struct hull_emu *emu)
{
	return emu->priv;
}

/* To whoever owns the range. Unless done or refused it is in flight: the emulator is suspended. */
static int ring_access(struct hull_vcpu *vcpu, const struct hull_request *request)
{
	int next = hull_ring_access(vcpu, request);

	switch (next) {
	case 0:
		return HULL_EMU_DONE;
	case HULL_PUBLISH:
	case -EINTR:
	case -ENOMEM:
		vcpu->emu_next = next;
		return HULL_EMU_SUSPEND;
	default:
		return next;
	}
}

/* A device's memory: controllers first, then whoever owns the range. */
static int device_access(struct hull_vcpu *vcpu, const struct hull_request *request)
{
	u64 value = 0;

	if (request->space == HULL_SPACE_MEMORY && request->count == 1 && vcpu->lapic) {
		if (request->write)
			memcpy(&value, request->data, request->size);
		if (hull_irqchip_memory(vcpu, request->address, request->size, request->write,
					&value)) {
			if (!request->write)
				memcpy(request->data, &value, request->size);
			return HULL_EMU_DONE;
		}
	}
	hull_count(vcpu, HULL_STAT_MMIO);
	return ring_access(vcpu, request);
}

/* Pieces of an access that crosses a page have any size; devices know powers of two. */
static bool device_size(u32 size)
{
	return size == 1 || size == 2 || size == 4 || size == 8;
}

/*
 * The fault has told the address already, and the CPU has checked the guest's permissions for it:
 * no walk is needed for an instruction's only memory operand.
 */
static bool known_gpa(struct hull_vcpu *vcpu, u64 linear, u32 size, u32 access, gpa_t *gpa)
{
	const struct hull_insn *insn = &vcpu->emu.insn;

	if (!vcpu->fault_gpa || (access & ~vcpu->fault_access))
		return false;
	if (!insn->has_mem || insn->op == HULL_OP_PUSH || insn->op == HULL_OP_POP)
		return false;
	if (offset_in_page(linear) != offset_in_page(vcpu->fault_gpa) ||
	    offset_in_page(linear) + size > PAGE_SIZE)
		return false;
	*gpa = vcpu->fault_gpa;
	return true;
}

static int memory_access(struct hull_emu *emu, u64 linear, void *data, u32 size, u32 count,
			 bool write, u32 access)
{
	struct hull_vcpu *vcpu = vcpu_of(emu);
	struct hull_request request = {
		.space = HULL_SPACE_MEMORY, .write = write, .size = size, .count = count,
		.data = data,
	};
	int err;

	if (!known_gpa(vcpu, linear, size * count, access, &request.address)) {
		err = translate(vcpu, linear, access, &request.address, &emu->fault);
		if (err == -EFAULT)
			return HULL_EMU_FAULT;
		if (err)
			return err;
	}
	if (write)
		err = hull_gpa_write(vcpu->vm, request.address, data, size * count);
	else
		err = hull_gpa_read(vcpu->vm, request.address, data, size * count);
	if (err != -ENXIO)
		return err ?: HULL_EMU_DONE;
	if (count > 1 && vcpu->lapic)
		return -E2BIG;
	if (!device_size(size)) {
		if (!write)
			memset(data, 0xff, size);
		return HULL_EMU_DONE;
	}
	return device_access(vcpu, &request);
}

static int emu_read(struct hull_emu *emu, u64 linear, void *data, u32 size, u32 count, u32 flags)
{
	/* What will be written must be writable before the read can be seen by a device. */
	return memory_access(emu, linear, data, size, count, false,
			     (flags & HULL_EMU_RMW) ? HULL_ACCESS_WRITE : 0);
}

static int emu_write(struct hull_emu *emu, u64 linear, const void *data, u32 size, u32 count,
		     u32 flags)
{
	return memory_access(emu, linear, (void *)data, size, count, true, HULL_ACCESS_WRITE);
}

static int emu_probe(struct hull_emu *emu, u64 linear, u32 len, u32 flags)
{
	gpa_t gpa;
	int err;

	err = translate(vcpu_of(emu), linear, HULL_ACCESS_WRITE, &gpa, &emu->fault);
	if (err == -EFAULT)
		return HULL_EMU_FAULT;
	return err ?: HULL_EMU_DONE;
}

static int port_access(struct hull_emu *emu, u16 port, u32 size, u32 count, void *data, bool write)
{
	struct hull_vcpu *vcpu = vcpu_of(emu);
	struct hull_request request = {
		.space = HULL_SPACE_PORT, .write = write, .size = size, .count = count,
		.address = port, .data = data,
	};
	u8 *element = data;
	u32 i, value;

	for (i = 0; i < count; i++, element += size) {
		value = 0;
		if (write)
			memcpy(&value, element, size);
		if (!vcpu->vm->irqchip ||
		    !hull_irqchip_port(vcpu, port, size, write, &value))
			break;
		if (!write)
			memcpy(element, &value, size);
	}
	if (i == count)
		return HULL_EMU_DONE;
	return ring_access(vcpu, &request);
}

static int emu_in(struct hull_emu *emu, u16 port, u32 size, u32 count, void *data)
{
	return port_access(emu, port, size, count, data, false);
}

static int emu_out(struct hull_emu *emu, u16 port, u32 size, u32 count, const void *data)
{
	return port_access(emu, port, size, count, (void *)data, true);
}

static const struct hull_emu_ops emu_ops = {
	.read = emu_read,
	.write = emu_write,
	.probe = emu_probe,
	.in = emu_in,
	.out = emu_out,
};

void hull_emulate_setup(struct hull_vcpu *vcpu)
{
	vcpu->emu.ops = &emu_ops;
	vcpu->emu.regs = &vcpu->emu_regs;
	vcpu->emu.priv = vcpu;
}

/* ---- execution ------------------------------------------------------------------------------ */

static void done(struct hull_vcpu *vcpu)
{
	vcpu->event.shadow = vcpu->emu.after & HULL_EMU_SHADOW;
	if (vcpu->emu.after & HULL_EMU_TRAP)
		hull_inject_single_step(vcpu);
	hull_count(vcpu, HULL_STAT_EMULATED);
	hull_vcpu_set_request(vcpu, HULL_REQ_EVENT);
}

static int execute(struct hull_vcpu *vcpu)
{
	const struct hull_emu_log *log;
	int ret = hull_emu_execute(&vcpu->emu, EMULATE_ITERATIONS);

	/* Whatever the result, finished elements of a REP must not be done again. */
	store_regs(vcpu);
	switch (ret) {
	case HULL_EMU_DONE:
	case HULL_EMU_AGAIN:
		done(vcpu);
		hull_emu_cancel(&vcpu->emu);
		return HULL_RESUME;
	case HULL_EMU_FAULT:
		inject_fault(vcpu, &vcpu->emu.fault);
		hull_emu_cancel(&vcpu->emu);
		return HULL_RESUME;
	case HULL_EMU_SUSPEND:
		log = hull_emu_pending(&vcpu->emu);
		vcpu->pending = (struct hull_continuation) {
			.kind = HULL_CONT_EMULATE,
			.length = (log->kind == HULL_LOG_READ || log->kind == HULL_LOG_IN) ?
				  log->size * log->count : 0,
		};
		return vcpu->emu_next;
	case HULL_EMU_UNHANDLED:
		/* The emulator has dropped it: the report shows it all the same. */
		vcpu->emu.state.nbytes = vcpu->emu.insn.length;
		ret = -EOPNOTSUPP;
		fallthrough;
	default:
		return cannot(vcpu, ret);
	}
}

int hull_emulate(struct hull_vcpu *vcpu, gpa_t gpa, u32 access)
{
	int err = begin(vcpu);

	if (err < 0)
		return cannot(vcpu, err);
	if (err)
		return HULL_RESUME;
	vcpu->fault_gpa = gpa;
	vcpu->fault_access = access;
	err = execute(vcpu);
	vcpu->fault_gpa = 0;
	return err;
}

int hull_emulate_finish(struct hull_vcpu *vcpu)
{
	u32 length = vcpu->pending.length;
	int ret;

	if (length > sizeof(vcpu->scratch))
		return cannot(vcpu, -EINVAL);
	ret = hull_ring_finish(vcpu, length ? vcpu->scratch : NULL, length);
	if (ret)
		return ret;
	vcpu->pending.kind = HULL_CONT_NONE;
	load_regs(vcpu);
	ret = hull_emu_complete(&vcpu->emu, vcpu->scratch, length);
	if (ret)
		return cannot(vcpu, ret);
	return execute(vcpu);
}
