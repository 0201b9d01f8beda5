// SPDX-License-Identifier: GPL-2.0
/*
 * The local APIC's registers as the guest sees them: by memory (xAPIC), by MSR (x2APIC), and the
 * APIC_BASE MSR that chooses. All in the vCPU thread, also in the window; no locks.
 *
 * Registers go by number (APIC_REG()), which no code uses as an index before a switch has named it.
 */
#include <asm/msr-index.h>

#include "chip.h"
#include "host.h"
#include "vcpu.h"

#define APIC_VERSION	(0x14 | (NR_LVT - 1) << 16)
#define SVR_WRITABLE	0x3ffU
#define DIVIDE_WRITABLE	0xbU

/* Bits of the local vector table that can be written. */
const u32 hull_lvt_writable[NR_LVT] = {
	[LVT_TIMER] = APIC_LVT_MASKED | 3 << 17 | APIC_VECTOR_MASK,
	[LVT_THERMAL] = APIC_LVT_MASKED | APIC_MODE_MASK | APIC_VECTOR_MASK,
	[LVT_PERF] = APIC_LVT_MASKED | APIC_MODE_MASK | APIC_VECTOR_MASK,
	[LVT_LINT0] = APIC_LVT_MASKED | APIC_LVT_LEVEL_TRIGGER | APIC_INPUT_POLARITY |
		      APIC_MODE_MASK | APIC_VECTOR_MASK,
	[LVT_LINT1] = APIC_LVT_MASKED | APIC_LVT_LEVEL_TRIGGER | APIC_INPUT_POLARITY |
		      APIC_MODE_MASK | APIC_VECTOR_MASK,
	[LVT_ERROR] = APIC_LVT_MASKED | APIC_VECTOR_MASK,
};

/* Read-only bits: writing them is no error. */
#define LVT_READ_ONLY	(APIC_SEND_PENDING | APIC_LVT_REMOTE_IRR)

u32 hull_lapic_version(void)
{
	return APIC_VERSION;
}

/* 32 bits of a 256-bit register; @word below 8. */
static u32 map_word(const unsigned long *map, unsigned int word)
{
	return READ_ONCE(map[word / 2]) >> (word % 2 * 32);
}

/* ---- reading -------------------------------------------------------------------------------- */

/* What depends on an open offer; should it not be possible now, it is that of a moment ago. */
static void settle(struct hull_lapic *lapic)
{
	if (lapic->eoi_offered)
		hull_pv_eoi_settle(lapic);
}

/* Registers that both modes have. -EINVAL: no such register, or it cannot be read. */
static int read_common(struct hull_lapic *lapic, unsigned int reg, u32 *value)
{
	switch (reg) {
	case APIC_REG(APIC_LVR):
		*value = APIC_VERSION;
		return 0;
	case APIC_REG(APIC_TASKPRI):
		*value = lapic->tpr;
		return 0;
	case APIC_REG(APIC_PROCPRI):
		settle(lapic);
		*value = lapic->ppr;
		return 0;
	case APIC_REG(APIC_LDR):
		*value = lapic->ldr;
		return 0;
	case APIC_REG(APIC_SPIV):
		*value = lapic->svr;
		return 0;
	case APIC_REG(APIC_ISR) ... APIC_REG(APIC_ISR) + 7:
		settle(lapic);
		*value = map_word(lapic->isr, reg - APIC_REG(APIC_ISR));
		return 0;
	case APIC_REG(APIC_TMR) ... APIC_REG(APIC_TMR) + 7:
		*value = map_word(lapic->tmr, reg - APIC_REG(APIC_TMR));
		return 0;
	case APIC_REG(APIC_IRR) ... APIC_REG(APIC_IRR) + 7:
		*value = map_word(lapic->irr, reg - APIC_REG(APIC_IRR));
		return 0;
	case APIC_REG(APIC_ESR):
		*value = lapic->esr;
		return 0;
	case APIC_REG(APIC_ICR):
		*value = lapic->icr;
		return 0;
	case APIC_REG(APIC_LVTT) ... APIC_REG(APIC_LVTERR):
		*value = lapic->lvt[reg - APIC_REG(APIC_LVTT)];
		return 0;
	case APIC_REG(APIC_TMICT):
		*value = lapic->timer_count;
		return 0;
	case APIC_REG(APIC_TMCCT):
		*value = hull_lapic_timer_current(lapic);
		return 0;
	case APIC_REG(APIC_TDCR):
		*value = lapic->timer_divide;
		return 0;
	default:
		return -EINVAL;
	}
}

static int read_xapic(struct hull_lapic *lapic, unsigned int reg, u32 *value)
{
	switch (reg) {
	case APIC_REG(APIC_ID):
		*value = lapic->id << 24;
		return 0;
	case APIC_REG(APIC_ARBPRI):
	case APIC_REG(APIC_EOI):
	case APIC_REG(APIC_RRR):
		*value = 0;
		return 0;
	case APIC_REG(APIC_DFR):
		*value = lapic->dfr;
		return 0;
	case APIC_REG(APIC_ICR2):
		*value = lapic->icr_dest << 24;
		return 0;
	default:
		return read_common(lapic, reg, value);
	}
}

static int read_x2apic(struct hull_lapic *lapic, unsigned int reg, u64 *value)
{
	u32 low = 0;
	int err = 0;

	if (reg == APIC_REG(APIC_ID))
		low = lapic->id;
	else
		err = read_common(lapic, reg, &low);
	*value = low;
	if (reg == APIC_REG(APIC_ICR))
		*value |= (u64)lapic->icr_dest << 32;
	return err;
}

/* ---- writing -------------------------------------------------------------------------------- */

/* The short way of nearly all IPIs: fixed, to one CPU. False: not one of these. */
static bool send_simple(struct hull_lapic *lapic)
{
	u8 vector = lapic->icr & APIC_VECTOR_MASK;

	if (unlikely(vector < 16))
		return false;
	switch (lapic->icr & (APIC_MODE_MASK | APIC_DEST_LOGICAL | APIC_DEST_ALLBUT)) {
	case 0:
		return hull_apic_send_one(lapic, vector, lapic->icr_dest);
	case APIC_DEST_SELF:
		hull_lapic_accept(lapic, DELIVER_FIXED, vector, false, true);
		return true;
	default:
		return false;
	}
}

static void send_ipi(struct hull_lapic *lapic)
{
	u32 icr = lapic->icr;
	struct hull_apic_msg msg;

	if (likely(send_simple(lapic)))
		return;
	msg = (struct hull_apic_msg) {
		.dest = lapic->icr_dest,
		.wide = hull_lapic_x2(lapic),
		.logical = icr & APIC_DEST_LOGICAL,
		.shorthand = (icr >> 18) & 3,
		.mode = GET_APIC_DELIVERY_MODE(icr),
		.vector = icr & APIC_VECTOR_MASK,
	};
	switch (msg.mode) {
	case DELIVER_FIXED:
	case DELIVER_LOWEST:
		if (unlikely(msg.vector < 16)) {
			hull_lapic_error(lapic, APIC_ESR_SENDILL, true);
			return;
		}
		break;
	case DELIVER_INIT:
		/* Once it synchronised arbitration; has had no effect for decades. */
		if ((icr & APIC_INT_LEVELTRIG) && !(icr & APIC_INT_ASSERT))
			return;
		fallthrough;
	case DELIVER_NMI:
	case DELIVER_SIPI:
		if (msg.shorthand == 1 || msg.shorthand == 2)
			return;
		break;
	default:
		return;
	}
	hull_apic_send(lapic->chip, lapic, &msg);
}

static void write_self_ipi(struct hull_lapic *lapic, u8 vector)
{
	if (unlikely(vector < 16))
		hull_lapic_error(lapic, APIC_ESR_SENDILL, true);
	else
		hull_lapic_accept(lapic, DELIVER_FIXED, vector, false, true);
}

static void write_svr(struct hull_lapic *lapic, u32 value)
{
	unsigned int i;

	WRITE_ONCE(lapic->svr, value);
	if (value & APIC_SPIV_APIC_ENABLED)
		return;
	for (i = 0; i < NR_LVT; i++)
		WRITE_ONCE(lapic->lvt[i], lapic->lvt[i] | APIC_LVT_MASKED);
	hull_lapic_update_pic_input(lapic);
}

static void write_lvt(struct hull_lapic *lapic, enum hull_lvt which, u32 value)
{
	if (!(lapic->svr & APIC_SPIV_APIC_ENABLED))
		value |= APIC_LVT_MASKED;
	if (which == LVT_TIMER)
		hull_lapic_timer_write_lvt(lapic, value);
	else
		WRITE_ONCE(lapic->lvt[which], value);
	if (which == LVT_LINT0)
		hull_lapic_update_pic_input(lapic);
}

/* Which bits of a register both modes can write; -1: not a register, or none. */
static s64 writable_bits(unsigned int reg)
{
	switch (reg) {
	case APIC_REG(APIC_TASKPRI):
		return 0xff;
	case APIC_REG(APIC_EOI):
	case APIC_REG(APIC_ESR):
		return 0;
	case APIC_REG(APIC_SPIV):
		return SVR_WRITABLE;
	case APIC_REG(APIC_LVTT) ... APIC_REG(APIC_LVTERR):
		return hull_lvt_writable[reg - APIC_REG(APIC_LVTT)];
	case APIC_REG(APIC_TMICT):
		return ~0U;
	case APIC_REG(APIC_TDCR):
		return DIVIDE_WRITABLE;
	default:
		return -1;
	}
}

/* @value has no other bits than writable_bits(@reg). */
static void write_common(struct hull_lapic *lapic, unsigned int reg, u32 value)
{
	switch (reg) {
	case APIC_REG(APIC_TASKPRI):
		lapic->tpr = value;
		hull_lapic_update_priority(lapic);
		break;
	case APIC_REG(APIC_EOI):
		hull_lapic_eoi(lapic);
		break;
	case APIC_REG(APIC_ESR):
		lapic->esr = xchg(&lapic->errors, 0);
		break;
	case APIC_REG(APIC_SPIV):
		write_svr(lapic, value);
		break;
	case APIC_REG(APIC_LVTT) ... APIC_REG(APIC_LVTERR):
		write_lvt(lapic, reg - APIC_REG(APIC_LVTT), value);
		break;
	case APIC_REG(APIC_TMICT):
		hull_lapic_timer_write_count(lapic, value);
		break;
	case APIC_REG(APIC_TDCR):
		hull_lapic_timer_write_divide(lapic, value);
		break;
	}
}

#define ICR_WRITABLE	0xccfffU	/* delivery status reads 0 */

static int write_xapic(struct hull_lapic *lapic, unsigned int reg, u32 value)
{
	s64 writable;

	switch (reg) {
	case APIC_REG(APIC_ID):
	case APIC_REG(APIC_LVR):
	case APIC_REG(APIC_ARBPRI):
	case APIC_REG(APIC_PROCPRI):
	case APIC_REG(APIC_RRR):
	case APIC_REG(APIC_ISR) ... APIC_REG(APIC_IRR) + 7:
	case APIC_REG(APIC_TMCCT):
		return 0;
	case APIC_REG(APIC_LDR):
		WRITE_ONCE(lapic->ldr, value & APIC_LDR_MASK);
		return 0;
	case APIC_REG(APIC_DFR):
		WRITE_ONCE(lapic->dfr, value | APIC_DFR_CLUSTER);
		return 0;
	case APIC_REG(APIC_ICR):
		lapic->icr = value & ICR_WRITABLE;
		send_ipi(lapic);
		return 0;
	case APIC_REG(APIC_ICR2):
		lapic->icr_dest = value >> 24;
		return 0;
	}
	writable = writable_bits(reg);
	if (writable < 0)
		return -EINVAL;
	write_common(lapic, reg, value & writable);
	return 0;
}

static int write_x2apic(struct hull_lapic *lapic, unsigned int reg, u64 value)
{
	u64 read_only = 0;
	s64 writable;

	/* The two that count come first. */
	if (reg == APIC_REG(APIC_EOI) && !value) {
		hull_lapic_eoi(lapic);
		return 0;
	}
	if (reg == APIC_REG(APIC_ICR)) {
		if ((u32)value & ~(ICR_WRITABLE | APIC_ICR_BUSY))
			return -EINVAL;
		lapic->icr = value & ICR_WRITABLE;
		lapic->icr_dest = value >> 32;
		send_ipi(lapic);
		return 0;
	}
	if (reg == APIC_REG(APIC_SELF_IPI)) {
		if (value & ~0xffULL)
			return -EINVAL;
		write_self_ipi(lapic, value);
		return 0;
	}
	writable = writable_bits(reg);
	if (writable < 0)
		return -EINVAL;
	if (reg >= APIC_REG(APIC_LVTT) && reg <= APIC_REG(APIC_LVTERR))
		read_only = LVT_READ_ONLY;
	if (value & ~((u64)writable | read_only))
		return -EINVAL;
	write_common(lapic, reg, value & writable);
	return 0;
}

/* ---- the APIC page -------------------------------------------------------------------------- */

void hull_lapic_memory(struct hull_lapic *lapic, unsigned int offset, unsigned int size,
		       bool write, u64 *value)
{
	u32 low = write ? *value : 0;
	int err = -EINVAL;

	/* Registers are 32 bits every 16 bytes in the first KiB; the rest of the page is void. */
	if (size == 4 && !(offset & 15) && offset < 0x400)
		err = write ? write_xapic(lapic, APIC_REG(offset), low) :
			      read_xapic(lapic, APIC_REG(offset), &low);
	if (err && size == 4 && !(offset & 15))
		hull_lapic_error(lapic, APIC_ESR_ILLREGA, true);
	if (!write)
		*value = err ? 0 : low;
}

/* ---- MSRs ----------------------------------------------------------------------------------- */

#define X2APIC_FIRST	0x800
#define X2APIC_LAST	0xbff	/* above 0x8ff all are reserved */

/* A base the hardware can be in, however it got there. */
bool hull_lapic_base_valid(u64 base)
{
	u64 allowed = GENMASK_ULL(hull_gpa_bits - 1, 12) |
		      MSR_IA32_APICBASE_BSP | XAPIC_ENABLE | X2APIC_ENABLE;

	return !(base & ~allowed) && ((base & XAPIC_ENABLE) || !(base & X2APIC_ENABLE));
}

int hull_lapic_set_base(struct hull_vcpu *vcpu, u64 base)
{
	if (!hull_lapic_base_valid(base))
		return -EINVAL;
	hull_lapic_set_mode(vcpu->lapic, base);
	return 0;
}

/* The guest may go off -> xAPIC -> x2APIC, and to off from each; nothing else. */
static int write_base(struct hull_lapic *lapic, u64 base)
{
	const u64 mode = XAPIC_ENABLE | X2APIC_ENABLE;
	u64 from = lapic->base & mode, to = base & mode;

	if (!hull_lapic_base_valid(base))
		return -EINVAL;
	if ((from == mode && to == XAPIC_ENABLE) || (!from && to == mode))
		return -EINVAL;
	hull_lapic_set_mode(lapic, base);
	return 0;
}

int hull_lapic_write_msr(struct hull_vcpu *vcpu, u32 index, u64 value)
{
	struct hull_lapic *lapic = vcpu->lapic;

	if (!lapic)
		return -ENOENT;
	if (index >= X2APIC_FIRST && index <= X2APIC_LAST) {
		if (unlikely(!hull_lapic_x2(lapic)))
			return -EINVAL;
		return write_x2apic(lapic, index - X2APIC_FIRST, value);
	}
	switch (index) {
	case MSR_IA32_TSC_DEADLINE:
		hull_lapic_write_deadline(lapic, value);
		return 0;
	case MSR_IA32_APICBASE:
		return write_base(lapic, value);
	default:
		return -ENOENT;
	}
}

int hull_lapic_read_msr(struct hull_vcpu *vcpu, u32 index, u64 *value)
{
	struct hull_lapic *lapic = vcpu->lapic;

	if (!lapic)
		return -ENOENT;
	if (index >= X2APIC_FIRST && index <= X2APIC_LAST) {
		if (unlikely(!hull_lapic_x2(lapic)))
			return -EINVAL;
		return read_x2apic(lapic, index - X2APIC_FIRST, value);
	}
	switch (index) {
	case MSR_IA32_TSC_DEADLINE:
		*value = READ_ONCE(lapic->deadline);
		return 0;
	case MSR_IA32_APICBASE:
		*value = lapic->base;
		return 0;
	default:
		return -ENOENT;
	}
}
