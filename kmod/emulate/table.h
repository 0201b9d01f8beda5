/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Opcode attributes: the contract between table.c (data), decode.c (how long,
 * which operands) and exec.c (which of them is the destination).
 */
#ifndef HULL_EMULATE_TABLE_H
#define HULL_EMULATE_TABLE_H

#include "emulate.h"

/* Immediate, bits 0..3 */
#define A_IMM(attr)	((attr) & 0xf)
#define I_B		0x1	/* one byte, sign-extended; short branches too */
#define I_UB		0x2	/* one byte, a port, count or bit number */
#define I_W		0x3	/* two bytes */
#define I_Z		0x4	/* 2 or 4 by operand size; near branches too */
#define I_V		0x5	/* 2, 4 or 8 by operand size */
#define I_WB		0x6	/* ENTER: two bytes and one */
#define I_BB		0x7	/* EXTRQ, INSERTQ: two times one */
#define I_FAR		0x8	/* far pointer: offset by operand size, selector */
#define I_OFFS		0x9	/* moffs: an address of address-size bytes */

/* Operands, bits 4..7: destination first */
#define A_FORM(attr)	((attr) & 0xf0)
#define F_EG		0x10	/* ModRM.rm, ModRM.reg */
#define F_GE		0x20	/* ModRM.reg, ModRM.rm */
#define F_EI		0x30	/* ModRM.rm, immediate */
#define F_AI		0x40	/* accumulator, immediate */
#define F_E		0x50	/* ModRM.rm */
#define F_E1		0x60	/* ModRM.rm, constant 1 */
#define F_EC		0x70	/* ModRM.rm, CL */
#define F_EGI		0x80	/* ModRM.rm, ModRM.reg, immediate */
#define F_EGC		0x90	/* ModRM.rm, ModRM.reg, CL */
#define F_AO		0xa0	/* accumulator, moffs */
#define F_OA		0xb0	/* moffs, accumulator */
#define F_R		0xc0	/* register in the opcode */
#define F_RI		0xd0	/* register in the opcode, immediate */
#define F_RA		0xe0	/* register in the opcode, accumulator */
#define F_I		0xf0	/* immediate only */

#define A_MODRM		0x00000100
#define A_BYTE		0x00000200	/* operand size is one byte */
#define A_D64		0x00000400	/* 64-bit code: operand size is 8 unless 66 */
#define A_F64		0x00000800	/* 64-bit code: operand size is always 8 */
#define A_INV64		0x00001000	/* #UD in 64-bit code */
#define A_ONLY64	0x00002000	/* #UD elsewhere */
#define A_LOCK		0x00004000	/* LOCK allowed with a memory operand */
#define A_MEM		0x00008000	/* #UD with a register operand */
#define A_REG		0x00010000	/* #UD with a memory operand */
#define A_NP		0x00020000	/* legal without 66, F2, F3 ... */
#define A_66		0x00040000	/* ... with 66 ... */
#define A_F3		0x00080000	/* ... F3 ... */
#define A_F2		0x00100000	/* ... F2; none of the four: any goes */
#define A_PFX		(A_NP | A_66 | A_F3 | A_F2)
#define A_MODREG	0x00200000	/* ModRM.mod is ignored: always a register */
#define A_MAX32		0x00400000	/* port I/O: REX.W has no effect */
#define A_MEM8		0x00800000	/* the source or memory operand has 1 byte ... */
#define A_MEM16		0x01000000	/* ... 2 ... */
#define A_MEM32		0x02000000	/* ... 4 */
#define A_STRING	0x04000000
#define A_SREG		0x08000000	/* ModRM.reg is a segment register */
#define A_CREG		0x10000000	/* ... a control register */
#define A_DREG		0x20000000	/* ... a debug register */
#define A_X87		0x40000000
#define A_INVALID	0x80000000

struct hull_opcode {
	u32 attr;
	u8 op;		/* enum hull_op */
	u8 group;	/* enum hull_group: more entries, their attributes are added */
};

/* What picks the entry of a group. */
enum hull_select {
	SEL_REG,	/* ModRM.reg, 8 entries */
	SEL_RM,		/* ModRM.rm, 8 entries */
	SEL_MOD,	/* memory, register */
	SEL_PFX,	/* none, 66, F3, F2 */
	SEL_MODE,	/* 16 or 32 bit, 64 bit */
};

struct hull_group_table {
	enum hull_select select;
	const struct hull_opcode *entries;
};

/* x87: which forms exist, by opcode D8 + i */
struct hull_x87 {
	u8 memory;	/* bit n: ModRM.reg == n */
	u64 registers;	/* bit n: ModRM == C0 + n */
};

extern const struct hull_opcode hull_map_one[256];
extern const struct hull_opcode hull_map_0f[256];
extern const struct hull_opcode hull_map_0f38[256];
extern const struct hull_opcode hull_map_0f3a[256];
extern const struct hull_group_table hull_groups[];
extern const struct hull_x87 hull_x87[8];

#endif
