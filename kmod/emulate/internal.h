/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the executor's files: flags of the CPU, register access, and the
 * functions by which its files see each other.
 */
#ifndef HULL_EMULATE_INTERNAL_H
#define HULL_EMULATE_INTERNAL_H

#include "table.h"

#define FLAG_CF		0x0001ULL
#define FLAG_PF		0x0004ULL
#define FLAG_AF		0x0010ULL
#define FLAG_ZF		0x0040ULL
#define FLAG_SF		0x0080ULL
#define FLAG_TF		0x0100ULL
#define FLAG_DF		0x0400ULL
#define FLAG_OF		0x0800ULL
#define FLAG_IOPL	0x3000ULL
#define FLAG_RF		0x10000ULL
#define FLAG_VM		0x20000ULL
#define FLAGS_ARITH	(FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

#define EMU_CR0_PE	0x1ULL
#define EMU_CR0_MSW	0xeULL		/* MP, EM, TS */
#define EMU_CR4_UMIP	0x800ULL
#define EMU_CR4_LA57	0x1000ULL
#define EMU_EFER_LMA	0x400ULL

#define VECTOR_DE	0
#define VECTOR_SS	12
#define VECTOR_GP	13

#define PAGE_BYTES	4096u

static inline u64 size_mask(unsigned int size)
{
	return size >= 8 ? ~0ULL : (1ULL << (8 * size)) - 1;
}

static inline u64 extend(u64 value, unsigned int size)
{
	unsigned int shift = 64 - 8 * size;

	return size >= 8 ? value : (u64)((s64)(value << shift) >> shift);
}

static inline bool protected_mode(const struct hull_emu_regs *regs)
{
	return (regs->cr0 & EMU_CR0_PE) && !(regs->rflags & FLAG_VM);
}

/* Without a REX prefix byte registers 4..7 are AH, CH, DH, BH. */
static inline bool high_byte(const struct hull_insn *insn, unsigned int reg, unsigned int size)
{
	return size == 1 && !insn->rex && reg >= 4;
}

static inline u64 reg_read(const struct hull_emu *emu, unsigned int reg, unsigned int size)
{
	if (high_byte(&emu->insn, reg, size))
		return (emu->regs->gpr[reg & 3] >> 8) & 0xff;
	return emu->regs->gpr[reg & 15] & size_mask(size);
}

/* Replace the low @size bytes of @old; 4 bytes clear the upper half. */
static inline u64 merge(u64 old, u64 value, unsigned int size)
{
	if (size >= 4)
		return value & size_mask(size);
	return (old & ~size_mask(size)) | (value & size_mask(size));
}

static inline void reg_write(struct hull_emu *emu, unsigned int reg, u64 value,
			     unsigned int size)
{
	u64 *gpr = &emu->regs->gpr[reg & 15];

	if (high_byte(&emu->insn, reg, size)) {
		gpr = &emu->regs->gpr[reg & 3];
		*gpr = (*gpr & ~0xff00ULL) | (value & 0xff) << 8;
		return;
	}
	*gpr = merge(*gpr, value, size);
}

/* alu.c: pure arithmetic; *flags has RFLAGS before and after */
u64 hull_alu_binary(enum hull_op op, unsigned int size, u64 dst, u64 src, u64 *flags);
u64 hull_alu_unary(enum hull_op op, unsigned int size, u64 dst, u64 *flags);
u64 hull_alu_shift(enum hull_op op, unsigned int size, u64 dst, u64 count, u64 *flags);
u64 hull_alu_double_shift(enum hull_op op, unsigned int size, u64 dst, u64 src, u64 count,
			  u64 *flags);
bool hull_alu_condition(unsigned int cc, u64 flags);

/* access.c: memory and ports, with segmentation, page splitting and the log */
int hull_emu_raise(struct hull_emu *emu, u8 vector, u32 error);
int hull_emu_segment(struct hull_emu *emu, unsigned int seg, u64 offset, u64 len, u32 flags,
		     u64 *linear);
int hull_emu_read(struct hull_emu *emu, unsigned int seg, u64 offset, void *data,
		  unsigned int size, u32 flags);
int hull_emu_write(struct hull_emu *emu, unsigned int seg, u64 offset, const void *data,
		   unsigned int size, u32 flags);
int hull_emu_probe(struct hull_emu *emu, u64 linear, u64 len, u32 flags);
int hull_emu_port_check(struct hull_emu *emu, u16 port, unsigned int size);
u64 hull_emu_linear_mask(const struct hull_emu *emu);
u64 hull_emu_offset(const struct hull_insn *insn, const struct hull_emu_regs *regs, u64 rsp);

/*
 * One call of a callback, or its replay. For READ and IN *@data points into
 * the log afterwards; for WRITE and OUT it is what to write.
 */
int hull_emu_access(struct hull_emu *emu, enum hull_emu_log_kind kind, u64 address,
		    unsigned int size, unsigned int count, const void **data, u32 flags);

/* integer.c and string.c: an enum hull_emu_result or errno */
int hull_emu_integer(struct hull_emu *emu);
int hull_emu_string(struct hull_emu *emu, unsigned int iterations);

/* exec.c */
void hull_emu_forget(struct hull_emu *emu);

#endif
