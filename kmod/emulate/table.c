// SPDX-License-Identifier: GPL-2.0
/*
 * Opcode tables of the decoder: for every opcode its operands, legality and,
 * where hull cares, the operation. Purely data.
 *
 * The prefix masks (A_NP, A_66, A_F3, A_F2) are given for SSE-style opcodes,
 * where 66, F2 and F3 belong to the opcode. System instructions carry none on
 * purpose: they are looked up after an exit, so the CPU has accepted the
 * prefixes already.
 */
#include "table.h"

#define OTHER(a)	{ .attr = (a), .op = HULL_OP_OTHER }
#define OP(o, a)	{ .attr = (a), .op = HULL_OP_##o }
#define GROUP(g, a)	{ .attr = (a), .group = G_##g }
#define INVALID		{ .attr = A_INVALID }

#define M		A_MODRM
#define BY		A_BYTE
#define LK		A_LOCK

/* Legal prefixes of an SSE-style opcode */
#define P_N		A_NP
#define P_6		A_66
#define P_3		A_F3
#define P_2		A_F2
#define P_N6		(A_NP | A_66)
#define P_N3		(A_NP | A_F3)
#define P_N63		(A_NP | A_66 | A_F3)
#define P_N62		(A_NP | A_66 | A_F2)
#define P_62		(A_66 | A_F2)
#define P_632		(A_66 | A_F3 | A_F2)
#define P_ANY		(A_NP | A_66 | A_F3 | A_F2)

enum hull_group {
	G_NONE,
	G_ALU, G_POP, G_SHIFT, G_UNARY_BYTE, G_UNARY, G_INCDEC_BYTE, G_INCDEC, G_MOV_IMM,
	G_MOV_REG, G_MOV_XBEGIN,
	G_ARPL_MOVSXD, G_NOP_PAUSE,
	G_0F00,
	G_0F01, G_0F01_0, G_0F01_0_REG, G_0F01_1, G_0F01_1_REG, G_0F01_2, G_0F01_2_REG,
	G_0F01_3, G_0F01_3_REG, G_0F01_5, G_0F01_5_REG, G_0F01_7, G_0F01_7_REG,
	G_0F01_CF, G_0F01_E8, G_0F01_EE, G_0F01_FA, G_0F01_FE, G_0F01_FF,
	G_0F10, G_0F12, G_0F16, G_0F28, G_0F6F, G_0FE7,
	G_0F2B, G_0F71, G_0F73, G_0F78, G_0F78_66, G_0F79,
	G_GROUP8, G_BSF, G_BSR,
	G_0FAE, G_0FAE_MEM, G_0FAE_REG, G_0FAE_M4, G_0FAE_M6, G_0FAE_M7,
	G_0FAE_R4, G_0FAE_R5, G_0FAE_R6,
	G_0FC7, G_0FC7_MEM, G_0FC7_REG, G_0FC7_M6, G_0FC7_R6, G_0FC7_R7,
	G_0FD6, G_0F38D8, G_0F38D8_REG, G_0F38DC, G_0F38DD, G_0F38F0, G_0F38F1, G_0F38F6, G_0F38F8,
	G_HRESET, G_HRESET_RM,
};

/*
 * One-byte opcodes
 */

#define ALU_ROW(base, o, lock) \
	[(base) + 0] = OP(o, M | F_EG | BY | (lock)), \
	[(base) + 1] = OP(o, M | F_EG | (lock)), \
	[(base) + 2] = OP(o, M | F_GE | BY), \
	[(base) + 3] = OP(o, M | F_GE), \
	[(base) + 4] = OP(o, F_AI | BY | I_B), \
	[(base) + 5] = OP(o, F_AI | I_Z)

const struct hull_opcode hull_map_one[256] = {
	ALU_ROW(0x00, ADD, LK),
	[0x06 ... 0x07] = OTHER(A_INV64),		/* PUSH, POP ES */
	ALU_ROW(0x08, OR, LK),
	[0x0e] = OTHER(A_INV64),			/* PUSH CS */
	[0x0f] = INVALID,				/* escape */
	ALU_ROW(0x10, ADC, LK),
	[0x16 ... 0x17] = OTHER(A_INV64),		/* PUSH, POP SS */
	ALU_ROW(0x18, SBB, LK),
	[0x1e ... 0x1f] = OTHER(A_INV64),		/* PUSH, POP DS */
	ALU_ROW(0x20, AND, LK),
	[0x26] = INVALID,				/* prefix */
	[0x27] = OTHER(A_INV64),			/* DAA */
	ALU_ROW(0x28, SUB, LK),
	[0x2e] = INVALID,
	[0x2f] = OTHER(A_INV64),			/* DAS */
	ALU_ROW(0x30, XOR, LK),
	[0x36] = INVALID,
	[0x37] = OTHER(A_INV64),			/* AAA */
	ALU_ROW(0x38, CMP, 0),
	[0x3e] = INVALID,
	[0x3f] = OTHER(A_INV64),			/* AAS */
	[0x40 ... 0x47] = OP(INC, F_R | A_INV64),	/* REX in 64-bit code */
	[0x48 ... 0x4f] = OP(DEC, F_R | A_INV64),
	[0x50 ... 0x57] = OP(PUSH, F_R | A_D64),
	[0x58 ... 0x5f] = OP(POP, F_R | A_D64),
	[0x60 ... 0x61] = OTHER(A_INV64),		/* PUSHA, POPA */
	[0x62] = OTHER(M | A_MEM | A_INV64),		/* BOUND */
	[0x63] = GROUP(ARPL_MOVSXD, M),
	[0x64 ... 0x67] = INVALID,			/* prefixes */
	[0x68] = OP(PUSH, F_I | I_Z | A_D64),
	[0x69] = OP(IMUL2, M | F_GE | I_Z),
	[0x6a] = OP(PUSH, F_I | I_B | A_D64),
	[0x6b] = OP(IMUL2, M | F_GE | I_B),
	[0x6c] = OP(INS, BY | A_STRING),
	[0x6d] = OP(INS, A_STRING | A_MAX32),
	[0x6e] = OP(OUTS, BY | A_STRING),
	[0x6f] = OP(OUTS, A_STRING | A_MAX32),
	[0x70 ... 0x7f] = OTHER(I_B | A_D64),		/* Jcc */
	[0x80] = GROUP(ALU, M | F_EI | BY | I_B),
	[0x81] = GROUP(ALU, M | F_EI | I_Z),
	[0x82] = GROUP(ALU, M | F_EI | BY | I_B | A_INV64),
	[0x83] = GROUP(ALU, M | F_EI | I_B),
	[0x84] = OP(TEST, M | F_EG | BY),
	[0x85] = OP(TEST, M | F_EG),
	[0x86] = OP(XCHG, M | F_EG | BY | LK),
	[0x87] = OP(XCHG, M | F_EG | LK),
	[0x88] = OP(MOV, M | F_EG | BY),
	[0x89] = OP(MOV, M | F_EG),
	[0x8a] = OP(MOV, M | F_GE | BY),
	[0x8b] = OP(MOV, M | F_GE),
	[0x8c] = OP(MOV_FROM_SEG, M | F_E | A_SREG | A_MEM16),
	[0x8d] = OTHER(M | A_MEM),			/* LEA */
	[0x8e] = OP(MOV_TO_SEG, M | F_E | A_SREG | A_MEM16),
	[0x8f] = GROUP(POP, M | F_E | A_D64),
	[0x90] = GROUP(NOP_PAUSE, 0),
	[0x91 ... 0x97] = OP(XCHG, F_RA),
	[0x98 ... 0x99] = OTHER(0),			/* CBW, CWD */
	[0x9a] = OTHER(I_FAR | A_INV64),		/* CALL far */
	[0x9b] = OTHER(0),				/* WAIT */
	[0x9c] = OP(PUSHF, A_D64),
	[0x9d] = OP(POPF, A_D64),
	[0x9e ... 0x9f] = OTHER(0),			/* SAHF, LAHF */
	[0xa0] = OP(MOV, F_AO | BY | I_OFFS),
	[0xa1] = OP(MOV, F_AO | I_OFFS),
	[0xa2] = OP(MOV, F_OA | BY | I_OFFS),
	[0xa3] = OP(MOV, F_OA | I_OFFS),
	[0xa4] = OP(MOVS, BY | A_STRING),
	[0xa5] = OP(MOVS, A_STRING),
	[0xa6] = OP(CMPS, BY | A_STRING),
	[0xa7] = OP(CMPS, A_STRING),
	[0xa8] = OP(TEST, F_AI | BY | I_B),
	[0xa9] = OP(TEST, F_AI | I_Z),
	[0xaa] = OP(STOS, BY | A_STRING),
	[0xab] = OP(STOS, A_STRING),
	[0xac] = OP(LODS, BY | A_STRING),
	[0xad] = OP(LODS, A_STRING),
	[0xae] = OP(SCAS, BY | A_STRING),
	[0xaf] = OP(SCAS, A_STRING),
	[0xb0 ... 0xb7] = OP(MOV, F_RI | BY | I_B),
	[0xb8 ... 0xbf] = OP(MOV, F_RI | I_V),
	[0xc0] = GROUP(SHIFT, M | F_EI | BY | I_UB),
	[0xc1] = GROUP(SHIFT, M | F_EI | I_UB),
	[0xc2] = OTHER(I_W | A_D64),			/* RET */
	[0xc3] = OTHER(A_D64),
	[0xc4 ... 0xc5] = OTHER(M | A_MEM | A_INV64),	/* LES, LDS */
	[0xc6] = GROUP(MOV_IMM, M | F_EI | BY | I_B),
	[0xc7] = GROUP(MOV_IMM, M | F_EI | I_Z),
	[0xc8] = OTHER(I_WB | A_D64),			/* ENTER */
	[0xc9] = OTHER(A_D64),				/* LEAVE */
	[0xca] = OTHER(I_W),				/* RETF */
	[0xcb] = OTHER(0),
	[0xcc] = OP(INT3, 0),
	[0xcd] = OP(INTN, I_UB),
	[0xce] = OP(INTO, A_INV64),
	[0xcf] = OP(IRET, 0),
	[0xd0] = GROUP(SHIFT, M | F_E1 | BY),
	[0xd1] = GROUP(SHIFT, M | F_E1),
	[0xd2] = GROUP(SHIFT, M | F_EC | BY),
	[0xd3] = GROUP(SHIFT, M | F_EC),
	[0xd4 ... 0xd5] = OTHER(I_UB | A_INV64),	/* AAM, AAD */
	[0xd6] = OTHER(A_INV64),			/* SALC */
	[0xd7] = OTHER(0),				/* XLAT */
	[0xd8 ... 0xdf] = OTHER(M | A_X87),
	[0xe0 ... 0xe3] = OTHER(I_B | A_D64),		/* LOOP, JCXZ */
	[0xe4] = OP(IN, BY | I_UB),
	[0xe5] = OP(IN, I_UB | A_MAX32),
	[0xe6] = OP(OUT, BY | I_UB),
	[0xe7] = OP(OUT, I_UB | A_MAX32),
	[0xe8 ... 0xe9] = OTHER(I_Z | A_D64),		/* CALL, JMP */
	[0xea] = OTHER(I_FAR | A_INV64),		/* JMP far */
	[0xeb] = OTHER(I_B | A_D64),
	[0xec] = OP(IN, BY),
	[0xed] = OP(IN, A_MAX32),
	[0xee] = OP(OUT, BY),
	[0xef] = OP(OUT, A_MAX32),
	[0xf0] = INVALID,				/* prefixes */
	[0xf1] = OP(ICEBP, 0),
	[0xf2 ... 0xf3] = INVALID,
	[0xf4] = OP(HLT, 0),
	[0xf5] = OTHER(0),				/* CMC */
	[0xf6] = GROUP(UNARY_BYTE, M | BY),
	[0xf7] = GROUP(UNARY, M),
	[0xf8 ... 0xfd] = OTHER(0),			/* CLC .. STD */
	[0xfe] = GROUP(INCDEC_BYTE, M | F_E | BY),
	[0xff] = GROUP(INCDEC, M | F_E),
};

static const struct hull_opcode group_alu[8] = {
	OP(ADD, LK), OP(OR, LK), OP(ADC, LK), OP(SBB, LK),
	OP(AND, LK), OP(SUB, LK), OP(XOR, LK), OP(CMP, 0),
};

static const struct hull_opcode group_pop[8] = {
	OP(POP, 0), INVALID, INVALID, INVALID, INVALID, INVALID, INVALID, INVALID,
};

static const struct hull_opcode group_shift[8] = {
	OP(ROL, 0), OP(ROR, 0), OP(RCL, 0), OP(RCR, 0),
	OP(SHL, 0), OP(SHR, 0), OP(SAL, 0), OP(SAR, 0),
};

static const struct hull_opcode group_unary_byte[8] = {
	OP(TEST, F_EI | I_B), OP(TEST, F_EI | I_B), OP(NOT, F_E | LK), OP(NEG, F_E | LK),
	OP(MUL, F_E), OP(IMUL, F_E), OP(DIV, F_E), OP(IDIV, F_E),
};

static const struct hull_opcode group_unary[8] = {
	OP(TEST, F_EI | I_Z), OP(TEST, F_EI | I_Z), OP(NOT, F_E | LK), OP(NEG, F_E | LK),
	OP(MUL, F_E), OP(IMUL, F_E), OP(DIV, F_E), OP(IDIV, F_E),
};

static const struct hull_opcode group_incdec_byte[8] = {
	OP(INC, LK), OP(DEC, LK), INVALID, INVALID, INVALID, INVALID, INVALID, INVALID,
};

static const struct hull_opcode group_incdec[8] = {
	OP(INC, LK), OP(DEC, LK),
	OTHER(A_D64), OTHER(A_MEM),			/* CALL near, far */
	OTHER(A_D64), OTHER(A_MEM),			/* JMP near, far */
	OP(PUSH, A_D64), INVALID,
};

static const struct hull_opcode group_mov_imm[8] = {
	OP(MOV, 0), INVALID, INVALID, INVALID, INVALID, INVALID, INVALID, GROUP(MOV_REG, 0),
};

/* XABORT and XBEGIN: register form with rm 0 */
static const struct hull_opcode group_mov_reg[2] = { INVALID, GROUP(MOV_XBEGIN, 0) };
static const struct hull_opcode group_mov_xbegin[8] = {
	OTHER(0), INVALID, INVALID, INVALID, INVALID, INVALID, INVALID, INVALID,
};

static const struct hull_opcode group_arpl_movsxd[2] = {
	OTHER(A_MEM16), OP(MOVSXD, F_GE | A_MEM32),
};

static const struct hull_opcode group_nop_pause[4] = {
	OP(XCHG, F_RA), OP(XCHG, F_RA), OP(PAUSE, 0), OP(XCHG, F_RA),
};

/*
 * 0F opcodes
 */

const struct hull_opcode hull_map_0f[256] = {
	[0x00] = GROUP(0F00, M | F_E),
	[0x01] = GROUP(0F01, M),
	[0x02 ... 0x03] = OTHER(M),			/* LAR, LSL */
	[0x04] = INVALID,
	[0x05] = OTHER(0),				/* SYSCALL */
	[0x06] = OP(CLTS, 0),
	[0x07] = OTHER(0),				/* SYSRET */
	[0x08] = OP(INVD, 0),
	[0x09] = OP(WBINVD, 0),				/* WBNOINVD too */
	[0x0a] = INVALID,
	[0x0b] = OTHER(0),				/* UD2 */
	[0x0c] = INVALID,
	[0x0d] = OP(NOP, M),				/* PREFETCH, PREFETCHW */
	[0x0e] = OTHER(0),				/* FEMMS */
	[0x0f] = OTHER(M | I_UB),			/* 3DNow!: the suffix comes last */
	[0x10] = GROUP(0F10, M | F_GE),
	[0x11] = GROUP(0F10, M | F_EG),
	[0x12] = GROUP(0F12, M),
	[0x13] = OTHER(M | A_MEM | P_N6),
	[0x14 ... 0x15] = OTHER(M | P_N6),
	[0x16] = GROUP(0F16, M),
	[0x17] = OTHER(M | A_MEM | P_N6),
	[0x18 ... 0x1f] = OP(NOP, M),			/* hints */
	[0x20] = OP(MOV_FROM_CR, M | A_MODREG | A_CREG | A_F64),
	[0x21] = OP(MOV_FROM_DR, M | A_MODREG | A_DREG | A_F64),
	[0x22] = OP(MOV_TO_CR, M | A_MODREG | A_CREG | A_F64),
	[0x23] = OP(MOV_TO_DR, M | A_MODREG | A_DREG | A_F64),
	[0x24 ... 0x27] = INVALID,
	[0x28] = GROUP(0F28, M | F_GE),
	[0x29] = GROUP(0F28, M | F_EG),
	[0x2a] = OTHER(M | P_ANY),
	[0x2b] = GROUP(0F2B, M | F_EG | A_MEM),
	[0x2c ... 0x2d] = OTHER(M | P_ANY),
	[0x2e ... 0x2f] = OTHER(M | P_N6),
	[0x30] = OP(WRMSR, 0),
	[0x31] = OP(RDTSC, 0),
	[0x32] = OP(RDMSR, 0),
	[0x33] = OP(RDPMC, 0),
	[0x34 ... 0x35] = OTHER(0),			/* SYSENTER, SYSEXIT */
	[0x36] = INVALID,
	[0x37] = OTHER(P_N),				/* GETSEC */
	[0x38 ... 0x3f] = INVALID,			/* escapes among them */
	[0x40 ... 0x4f] = OP(CMOVCC, M | F_GE),
	[0x50] = OTHER(M | A_REG | P_N6),
	[0x51] = OTHER(M | P_ANY),
	[0x52 ... 0x53] = OTHER(M | P_N3),
	[0x54 ... 0x57] = OTHER(M | P_N6),
	[0x58 ... 0x5a] = OTHER(M | P_ANY),
	[0x5b] = OTHER(M | P_N63),
	[0x5c ... 0x5f] = OTHER(M | P_ANY),
	[0x60 ... 0x6b] = OTHER(M | P_N6),
	[0x6c ... 0x6d] = OTHER(M | P_6),
	[0x6e] = OTHER(M | P_N6),
	[0x6f] = GROUP(0F6F, M | F_GE),
	[0x70] = OTHER(M | I_UB | P_ANY),
	[0x71 ... 0x72] = GROUP(0F71, M | A_REG | I_UB),
	[0x73] = GROUP(0F73, M | A_REG | I_UB),
	[0x74 ... 0x76] = OTHER(M | P_N6),
	[0x77] = OTHER(P_N),				/* EMMS */
	[0x78] = GROUP(0F78, M),
	[0x79] = GROUP(0F79, M),
	[0x7a ... 0x7b] = INVALID,
	[0x7c ... 0x7d] = OTHER(M | P_62),
	[0x7e] = OTHER(M | P_N63),
	[0x7f] = GROUP(0F6F, M | F_EG),
	[0x80 ... 0x8f] = OTHER(I_Z | A_D64),		/* Jcc */
	[0x90 ... 0x9f] = OP(SETCC, M | F_E | BY),
	[0xa0 ... 0xa1] = OTHER(A_D64),			/* PUSH, POP FS */
	[0xa2] = OP(CPUID, 0),
	[0xa3] = OP(BT, M | F_EG),
	[0xa4] = OP(SHLD, M | F_EGI | I_UB),
	[0xa5] = OP(SHLD, M | F_EGC),
	[0xa6 ... 0xa7] = INVALID,
	[0xa8 ... 0xa9] = OTHER(A_D64),			/* PUSH, POP GS */
	[0xaa] = OP(RSM, 0),
	[0xab] = OP(BTS, M | F_EG | LK),
	[0xac] = OP(SHRD, M | F_EGI | I_UB),
	[0xad] = OP(SHRD, M | F_EGC),
	[0xae] = GROUP(0FAE, M),
	[0xaf] = OP(IMUL2, M | F_GE),
	[0xb0] = OP(CMPXCHG, M | F_EG | BY | LK),
	[0xb1] = OP(CMPXCHG, M | F_EG | LK),
	[0xb2] = OTHER(M | A_MEM),			/* LSS */
	[0xb3] = OP(BTR, M | F_EG | LK),
	[0xb4 ... 0xb5] = OTHER(M | A_MEM),		/* LFS, LGS */
	[0xb6] = OP(MOVZX, M | F_GE | A_MEM8),
	[0xb7] = OP(MOVZX, M | F_GE | A_MEM16),
	[0xb8] = OTHER(M | P_3),			/* POPCNT */
	[0xb9] = OTHER(M),				/* UD1 */
	[0xba] = GROUP(GROUP8, M | F_EI | I_UB),
	[0xbb] = OP(BTC, M | F_EG | LK),
	[0xbc] = GROUP(BSF, M | F_GE),
	[0xbd] = GROUP(BSR, M | F_GE),
	[0xbe] = OP(MOVSX, M | F_GE | A_MEM8),
	[0xbf] = OP(MOVSX, M | F_GE | A_MEM16),
	[0xc0] = OP(XADD, M | F_EG | BY | LK),
	[0xc1] = OP(XADD, M | F_EG | LK),
	[0xc2] = OTHER(M | I_UB | P_ANY),
	[0xc3] = OP(MOVNTI, M | F_EG | A_MEM | P_N),
	[0xc4] = OTHER(M | I_UB | P_N6),
	[0xc5] = OTHER(M | A_REG | I_UB | P_N6),
	[0xc6] = OTHER(M | I_UB | P_N6),
	[0xc7] = GROUP(0FC7, M),
	[0xc8 ... 0xcf] = OTHER(F_R),			/* BSWAP */
	[0xd0] = OTHER(M | P_62),
	[0xd1 ... 0xd5] = OTHER(M | P_N6),
	[0xd6] = GROUP(0FD6, M),
	[0xd7] = OTHER(M | A_REG | P_N6),
	[0xd8 ... 0xe5] = OTHER(M | P_N6),
	[0xe6] = OTHER(M | P_632),
	[0xe7] = GROUP(0FE7, M | F_EG | A_MEM),
	[0xe8 ... 0xef] = OTHER(M | P_N6),
	[0xf0] = OTHER(M | A_MEM | P_2),		/* LDDQU */
	[0xf1 ... 0xf6] = OTHER(M | P_N6),
	[0xf7] = OTHER(M | A_REG | P_N6),
	[0xf8 ... 0xfe] = OTHER(M | P_N6),
	[0xff] = OTHER(M),				/* UD0 */
};

static const struct hull_opcode group_0f00[8] = {
	OP(SLDT, A_MEM16), OP(STR, A_MEM16), OP(LLDT, A_MEM16), OP(LTR, A_MEM16),
	OP(VERR, A_MEM16), OP(VERW, A_MEM16), INVALID, INVALID,
};

static const struct hull_opcode group_0f01[8] = {
	GROUP(0F01_0, 0), GROUP(0F01_1, 0), GROUP(0F01_2, 0), GROUP(0F01_3, 0),
	OP(SMSW, F_E | A_MEM16), GROUP(0F01_5, 0), OP(LMSW, F_E | A_MEM16), GROUP(0F01_7, 0),
};

static const struct hull_opcode group_0f01_0[2] = { OP(SGDT, A_F64), GROUP(0F01_0_REG, 0) };
static const struct hull_opcode group_0f01_0_reg[8] = {
	OTHER(P_N), OP(VMCALL, 0), OP(VMX, 0), OP(VMX, 0),	/* ENCLV, -, LAUNCH, RESUME */
	OP(VMX, 0), OTHER(P_N), OTHER(P_N), INVALID,		/* VMXOFF, PCONFIG, WRMSRNS */
};

static const struct hull_opcode group_0f01_1[2] = { OP(SIDT, A_F64), GROUP(0F01_1_REG, 0) };
static const struct hull_opcode group_0f01_1_reg[8] = {
	OP(MONITOR, 0), OP(MWAIT, 0), OTHER(P_N), OTHER(P_N),	/* -, -, CLAC, STAC */
	OTHER(P_6), OTHER(P_6 | A_ONLY64), OTHER(P_6 | A_ONLY64), GROUP(0F01_CF, 0),	/* TDX */
};

/* ENCLS, SEAMCALL */
static const struct hull_opcode group_0f01_cf[4] = { OTHER(0), OTHER(A_ONLY64), INVALID, INVALID };

static const struct hull_opcode group_0f01_2[2] = { OP(LGDT, A_F64), GROUP(0F01_2_REG, 0) };
static const struct hull_opcode group_0f01_2_reg[8] = {
	OP(XGETBV, 0), OP(XSETBV, 0), INVALID, INVALID,
	OP(VMX, 0), OTHER(P_N), OTHER(P_N), OTHER(P_N),	/* VMFUNC, XEND, XTEST, ENCLU */
};

static const struct hull_opcode group_0f01_3[2] = { OP(LIDT, A_F64), GROUP(0F01_3_REG, 0) };
static const struct hull_opcode group_0f01_3_reg[8] = {
	OP(VMRUN, 0), OP(VMMCALL, 0), OP(VMLOAD, 0), OP(VMSAVE, 0),
	OP(STGI, 0), OP(CLGI, 0), OP(SKINIT, 0), OP(INVLPGA, 0),
};

static const struct hull_opcode group_0f01_5[2] = {
	OTHER(P_3), GROUP(0F01_5_REG, 0),		/* RSTORSSP */
};

static const struct hull_opcode group_0f01_5_reg[8] = {
	GROUP(0F01_E8, 0), OTHER(P_2), OTHER(P_3), INVALID,	/* -, XRESLDTRK, SAVEPREVSSP */
	OTHER(P_3 | A_ONLY64), OTHER(P_3 | A_ONLY64),		/* UIRET, TESTUI */
	GROUP(0F01_EE, 0), GROUP(0F01_EE, 0),
};

/* RDPKRU, WRPKRU; F3: CLUI, STUI */
static const struct hull_opcode group_0f01_ee[4] = { OTHER(0), INVALID, OTHER(A_ONLY64), INVALID };

/* SERIALIZE, SETSSBSY, XSUSLDTRK */
static const struct hull_opcode group_0f01_e8[4] = { OTHER(0), INVALID, OTHER(0), OTHER(0) };

static const struct hull_opcode group_0f01_7[2] = { OP(INVLPG, 0), GROUP(0F01_7_REG, 0) };
static const struct hull_opcode group_0f01_7_reg[8] = {
	OTHER(A_ONLY64), OP(RDTSCP, 0), GROUP(0F01_FA, 0), OP(MWAITX, 0),	/* SWAPGS */
	OTHER(0), OP(RDPRU, 0), GROUP(0F01_FE, 0), GROUP(0F01_FF, 0),	/* CLZERO */
};

static const struct hull_opcode group_0f01_fa[4] = {
	OP(MONITORX, 0), OP(MONITORX, 0), OTHER(0), OP(MONITORX, 0),	/* MCOMMIT */
};

static const struct hull_opcode group_0f01_fe[4] = {
	OP(INVLPGB, 0), INVALID, OTHER(A_ONLY64), OTHER(A_ONLY64),	/* RMPADJUST, RMPUPDATE */
};

static const struct hull_opcode group_0f01_ff[4] = {
	OP(TLBSYNC, 0), INVALID, OTHER(A_ONLY64), OTHER(0),	/* PSMASH, PVALIDATE */
};

/* The 16-byte moves between memory and XMM keep an operation of their own. */
static const struct hull_opcode group_0f10[4] = {
	OP(MOVSSE, 0), OP(MOVSSE, 0), OTHER(0), OTHER(0),
};

static const struct hull_opcode group_0f12[4] = {
	OTHER(0), OTHER(A_MEM), OTHER(0), OTHER(0),	/* MOVLPS, MOVLPD, MOVSLDUP, MOVDDUP */
};

static const struct hull_opcode group_0f16[4] = {
	OTHER(0), OTHER(A_MEM), OTHER(0), INVALID,	/* MOVHPS, MOVHPD, MOVSHDUP */
};

static const struct hull_opcode group_0f28[4] = { OP(MOVSSE, 0), OP(MOVSSE, 0), INVALID, INVALID };
static const struct hull_opcode group_0f2b[4] = {
	OP(MOVSSE, 0), OP(MOVSSE, 0), OTHER(0), OTHER(0),
};

static const struct hull_opcode group_0f6f[4] = { OTHER(0), OP(MOVSSE, 0), OP(MOVSSE, 0), INVALID };
static const struct hull_opcode group_0fe7[4] = { OTHER(0), OP(MOVSSE, 0), INVALID, INVALID };

/* Shifts of vectors by a constant */
static const struct hull_opcode group_0f71[8] = {
	INVALID, INVALID, OTHER(P_N6), INVALID, OTHER(P_N6), INVALID, OTHER(P_N6), INVALID,
};

static const struct hull_opcode group_0f73[8] = {
	INVALID, INVALID, OTHER(P_N6), OTHER(P_6), INVALID, INVALID, OTHER(P_N6), OTHER(P_6),
};

/* VMREAD, EXTRQ, INSERTQ and VMWRITE, EXTRQ, INSERTQ */
static const struct hull_opcode group_0f78[4] = {
	OP(VMX, A_F64), GROUP(0F78_66, I_BB | A_REG), INVALID, OTHER(I_BB | A_REG),
};

static const struct hull_opcode group_0f78_66[8] = {
	OTHER(0), INVALID, INVALID, INVALID, INVALID, INVALID, INVALID, INVALID,
};

static const struct hull_opcode group_0f79[4] = {
	OP(VMX, A_F64), OTHER(A_REG), INVALID, OTHER(A_REG),
};

static const struct hull_opcode group_group8[8] = {
	INVALID, INVALID, INVALID, INVALID, OP(BT, 0), OP(BTS, LK), OP(BTR, LK), OP(BTC, LK),
};

/* F3 makes these TZCNT and LZCNT, on CPUs that have them. */
static const struct hull_opcode group_bsf[4] = { OP(BSF, 0), OP(BSF, 0), OTHER(0), OP(BSF, 0) };
static const struct hull_opcode group_bsr[4] = { OP(BSR, 0), OP(BSR, 0), OTHER(0), OP(BSR, 0) };

static const struct hull_opcode group_0fae[2] = { GROUP(0FAE_MEM, 0), GROUP(0FAE_REG, 0) };
static const struct hull_opcode group_0fae_mem[8] = {
	OTHER(P_N), OTHER(P_N), OTHER(P_N), OTHER(P_N),	/* FXSAVE, FXRSTOR, LDMXCSR, STMXCSR */
	GROUP(0FAE_M4, 0), OTHER(P_N), GROUP(0FAE_M6, 0), GROUP(0FAE_M7, 0),
};

static const struct hull_opcode group_0fae_m4[4] = {	/* XSAVE, PTWRITE */
	OTHER(0), INVALID, OTHER(0), INVALID,
};

static const struct hull_opcode group_0fae_m6[4] = {	/* XSAVEOPT, CLWB, CLRSSBSY */
	OTHER(0), OTHER(0), OTHER(0), INVALID,
};

static const struct hull_opcode group_0fae_m7[4] = {	/* CLFLUSH, CLFLUSHOPT */
	OTHER(0), OTHER(0), INVALID, INVALID,
};

static const struct hull_opcode group_0fae_reg[8] = {
	OTHER(P_3 | A_ONLY64), OTHER(P_3 | A_ONLY64),	/* RDFSBASE, RDGSBASE */
	OTHER(P_3 | A_ONLY64), OTHER(P_3 | A_ONLY64),	/* WRFSBASE, WRGSBASE */
	GROUP(0FAE_R4, 0), GROUP(0FAE_R5, 0), GROUP(0FAE_R6, 0), OTHER(P_N),	/* SFENCE */
};

static const struct hull_opcode group_0fae_r4[4] = {	/* PTWRITE */
	INVALID, INVALID, OTHER(0), INVALID,
};

static const struct hull_opcode group_0fae_r5[4] = {	/* LFENCE, INCSSP */
	OTHER(0), INVALID, OTHER(0), INVALID,
};

static const struct hull_opcode group_0fae_r6[4] = {	/* MFENCE, TPAUSE, UMONITOR, UMWAIT */
	OTHER(0), OTHER(0), OTHER(0), OTHER(0),
};

static const struct hull_opcode group_0fc7[2] = { GROUP(0FC7_MEM, 0), GROUP(0FC7_REG, 0) };
static const struct hull_opcode group_0fc7_mem[8] = {
	INVALID, OP(CMPXCHG8B, F_E | LK), INVALID, OP(XRSTORS, P_N),
	OTHER(P_N), OP(XSAVES, P_N), GROUP(0FC7_M6, 0), OP(VMX, P_N),	/* XSAVEC; VMPTRST */
};

static const struct hull_opcode group_0fc7_m6[4] = {	/* VMPTRLD, VMCLEAR, VMXON */
	OP(VMX, 0), OP(VMX, 0), OP(VMX, 0), INVALID,
};

static const struct hull_opcode group_0fc7_reg[8] = {
	INVALID, INVALID, INVALID, INVALID, INVALID, INVALID,
	GROUP(0FC7_R6, F_E), GROUP(0FC7_R7, F_E),
};

static const struct hull_opcode group_0fc7_r6[4] = {	/* F3: SENDUIPI */
	OP(RDRAND, 0), OP(RDRAND, 0), OTHER(A_ONLY64), INVALID,
};

static const struct hull_opcode group_0fc7_r7[4] = {	/* F3: RDPID */
	OP(RDSEED, 0), OP(RDSEED, 0), OTHER(0), INVALID,
};

static const struct hull_opcode group_0fd6[4] = {	/* MOVQ, MOVQ2DQ, MOVDQ2Q */
	INVALID, OTHER(0), OTHER(A_REG), OTHER(A_REG),
};

/*
 * 0F 38 opcodes
 */

const struct hull_opcode hull_map_0f38[256] = {
	[0x00 ... 0x0b] = OTHER(M | P_N6),
	[0x0c ... 0x0f] = INVALID,
	[0x10] = OTHER(M | P_6),
	[0x11 ... 0x13] = INVALID,
	[0x14 ... 0x15] = OTHER(M | P_6),
	[0x16] = INVALID,
	[0x17] = OTHER(M | P_6),
	[0x18 ... 0x1b] = INVALID,
	[0x1c ... 0x1e] = OTHER(M | P_N6),
	[0x1f] = INVALID,
	[0x20 ... 0x25] = OTHER(M | P_6),
	[0x26 ... 0x27] = INVALID,
	[0x28 ... 0x29] = OTHER(M | P_6),
	[0x2a] = OP(MOVSSE, M | F_GE | A_MEM | P_6),	/* MOVNTDQA */
	[0x2b] = OTHER(M | P_6),
	[0x2c ... 0x2f] = INVALID,
	[0x30 ... 0x35] = OTHER(M | P_6),
	[0x36] = INVALID,
	[0x37 ... 0x41] = OTHER(M | P_6),
	[0x42 ... 0x7f] = INVALID,
	[0x80] = OP(INVEPT, M | A_MEM | P_6 | A_F64),
	[0x81] = OP(INVVPID, M | A_MEM | P_6 | A_F64),
	[0x82] = OP(INVPCID, M | A_MEM | P_6 | A_F64),
	[0x83 ... 0xc7] = INVALID,
	[0xc8 ... 0xcd] = OTHER(M | P_N),		/* SHA */
	[0xce] = INVALID,
	[0xcf] = OTHER(M | P_6),
	[0xd0 ... 0xd7] = INVALID,
	[0xd8] = GROUP(0F38D8, M | A_MEM | P_3),
	[0xd9 ... 0xda] = INVALID,
	[0xdb] = OTHER(M | P_6),
	[0xdc] = GROUP(0F38DC, M),
	[0xdd ... 0xdf] = GROUP(0F38DD, M),
	[0xe0 ... 0xef] = INVALID,
	[0xf0] = GROUP(0F38F0, M),
	[0xf1] = GROUP(0F38F1, M),
	[0xf2 ... 0xf4] = INVALID,
	[0xf5] = OTHER(M | A_MEM | P_6),		/* WRUSS */
	[0xf6] = GROUP(0F38F6, M),
	[0xf7] = INVALID,
	[0xf8] = GROUP(0F38F8, M | A_MEM),
	[0xf9] = OTHER(M | A_MEM | P_N),		/* MOVDIRI */
	[0xfa ... 0xfb] = OTHER(M | A_REG | P_3),	/* ENCODEKEY */
	[0xfc ... 0xff] = INVALID,
};

/* Key Locker, wide forms */
static const struct hull_opcode group_0f38d8[8] = {
	OTHER(0), OTHER(0), OTHER(0), OTHER(0), INVALID, INVALID, INVALID, INVALID,
};

/* AESENC and relatives; F3: Key Locker (DC with a register: LOADIWKEY) */
static const struct hull_opcode group_0f38dc[4] = { INVALID, OTHER(0), OTHER(0), INVALID };
static const struct hull_opcode group_0f38dd[4] = { INVALID, OTHER(0), OTHER(A_MEM), INVALID };

static const struct hull_opcode group_0f38f0[4] = {	/* F2: CRC32 */
	OP(MOVBE, F_GE | A_MEM), OP(MOVBE, F_GE | A_MEM), INVALID, OTHER(A_MEM8),
};

static const struct hull_opcode group_0f38f1[4] = {
	OP(MOVBE, F_EG | A_MEM), OP(MOVBE, F_EG | A_MEM), INVALID, OTHER(0),
};

static const struct hull_opcode group_0f38f6[4] = {	/* WRSS, ADCX, ADOX */
	OTHER(A_MEM), OTHER(0), OTHER(0), INVALID,
};

static const struct hull_opcode group_0f38f8[4] = {	/* MOVDIR64B, ENQCMDS, ENQCMD */
	INVALID, OTHER(0), OTHER(0), OTHER(0),
};

/*
 * 0F 3A opcodes: all have a byte
 */

const struct hull_opcode hull_map_0f3a[256] = {
	[0x00 ... 0x07] = INVALID,
	[0x08 ... 0x0e] = OTHER(M | I_UB | P_6),
	[0x0f] = OTHER(M | I_UB | P_N6),
	[0x10 ... 0x13] = INVALID,
	[0x14 ... 0x17] = OTHER(M | I_UB | P_6),
	[0x18 ... 0x1f] = INVALID,
	[0x20 ... 0x22] = OTHER(M | I_UB | P_6),
	[0x23 ... 0x3f] = INVALID,
	[0x40 ... 0x42] = OTHER(M | I_UB | P_6),
	[0x43] = INVALID,
	[0x44] = OTHER(M | I_UB | P_6),
	[0x45 ... 0x5f] = INVALID,
	[0x60 ... 0x63] = OTHER(M | I_UB | P_6),
	[0x64 ... 0xcb] = INVALID,
	[0xcc] = OTHER(M | I_UB | P_N),
	[0xcd] = INVALID,
	[0xce ... 0xcf] = OTHER(M | I_UB | P_6),
	[0xd0 ... 0xde] = INVALID,
	[0xdf] = OTHER(M | I_UB | P_6),
	[0xe0 ... 0xef] = INVALID,
	[0xf0] = GROUP(HRESET, M | I_UB | A_REG | P_3),
	[0xf1 ... 0xff] = INVALID,
};

/* ModRM C0 only */
static const struct hull_opcode group_hreset[8] = {
	GROUP(HRESET_RM, 0), INVALID, INVALID, INVALID, INVALID, INVALID, INVALID, INVALID,
};

static const struct hull_opcode group_hreset_rm[8] = {
	OTHER(0), INVALID, INVALID, INVALID, INVALID, INVALID, INVALID, INVALID,
};

const struct hull_group_table hull_groups[] = {
	[G_ALU] = { SEL_REG, group_alu },
	[G_POP] = { SEL_REG, group_pop },
	[G_SHIFT] = { SEL_REG, group_shift },
	[G_UNARY_BYTE] = { SEL_REG, group_unary_byte },
	[G_UNARY] = { SEL_REG, group_unary },
	[G_INCDEC_BYTE] = { SEL_REG, group_incdec_byte },
	[G_INCDEC] = { SEL_REG, group_incdec },
	[G_MOV_IMM] = { SEL_REG, group_mov_imm },
	[G_MOV_REG] = { SEL_MOD, group_mov_reg },
	[G_MOV_XBEGIN] = { SEL_RM, group_mov_xbegin },
	[G_ARPL_MOVSXD] = { SEL_MODE, group_arpl_movsxd },
	[G_NOP_PAUSE] = { SEL_PFX, group_nop_pause },
	[G_0F00] = { SEL_REG, group_0f00 },
	[G_0F01] = { SEL_REG, group_0f01 },
	[G_0F01_0] = { SEL_MOD, group_0f01_0 },
	[G_0F01_0_REG] = { SEL_RM, group_0f01_0_reg },
	[G_0F01_1] = { SEL_MOD, group_0f01_1 },
	[G_0F01_1_REG] = { SEL_RM, group_0f01_1_reg },
	[G_0F01_2] = { SEL_MOD, group_0f01_2 },
	[G_0F01_2_REG] = { SEL_RM, group_0f01_2_reg },
	[G_0F01_3] = { SEL_MOD, group_0f01_3 },
	[G_0F01_3_REG] = { SEL_RM, group_0f01_3_reg },
	[G_0F01_5] = { SEL_MOD, group_0f01_5 },
	[G_0F01_5_REG] = { SEL_RM, group_0f01_5_reg },
	[G_0F01_CF] = { SEL_PFX, group_0f01_cf },
	[G_0F01_E8] = { SEL_PFX, group_0f01_e8 },
	[G_0F01_EE] = { SEL_PFX, group_0f01_ee },
	[G_0F01_7] = { SEL_MOD, group_0f01_7 },
	[G_0F01_7_REG] = { SEL_RM, group_0f01_7_reg },
	[G_0F01_FA] = { SEL_PFX, group_0f01_fa },
	[G_0F01_FE] = { SEL_PFX, group_0f01_fe },
	[G_0F01_FF] = { SEL_PFX, group_0f01_ff },
	[G_0F10] = { SEL_PFX, group_0f10 },
	[G_0F12] = { SEL_PFX, group_0f12 },
	[G_0F16] = { SEL_PFX, group_0f16 },
	[G_0F28] = { SEL_PFX, group_0f28 },
	[G_0F2B] = { SEL_PFX, group_0f2b },
	[G_0F6F] = { SEL_PFX, group_0f6f },
	[G_0FE7] = { SEL_PFX, group_0fe7 },
	[G_0F71] = { SEL_REG, group_0f71 },
	[G_0F73] = { SEL_REG, group_0f73 },
	[G_0F78] = { SEL_PFX, group_0f78 },
	[G_0F78_66] = { SEL_REG, group_0f78_66 },
	[G_0F79] = { SEL_PFX, group_0f79 },
	[G_GROUP8] = { SEL_REG, group_group8 },
	[G_BSF] = { SEL_PFX, group_bsf },
	[G_BSR] = { SEL_PFX, group_bsr },
	[G_0FAE] = { SEL_MOD, group_0fae },
	[G_0FAE_MEM] = { SEL_REG, group_0fae_mem },
	[G_0FAE_M4] = { SEL_PFX, group_0fae_m4 },
	[G_0FAE_M6] = { SEL_PFX, group_0fae_m6 },
	[G_0FAE_M7] = { SEL_PFX, group_0fae_m7 },
	[G_0FAE_REG] = { SEL_REG, group_0fae_reg },
	[G_0FAE_R4] = { SEL_PFX, group_0fae_r4 },
	[G_0FAE_R5] = { SEL_PFX, group_0fae_r5 },
	[G_0FAE_R6] = { SEL_PFX, group_0fae_r6 },
	[G_0FC7] = { SEL_MOD, group_0fc7 },
	[G_0FC7_MEM] = { SEL_REG, group_0fc7_mem },
	[G_0FC7_M6] = { SEL_PFX, group_0fc7_m6 },
	[G_0FC7_REG] = { SEL_REG, group_0fc7_reg },
	[G_0FC7_R6] = { SEL_PFX, group_0fc7_r6 },
	[G_0FC7_R7] = { SEL_PFX, group_0fc7_r7 },
	[G_0FD6] = { SEL_PFX, group_0fd6 },
	[G_0F38D8] = { SEL_REG, group_0f38d8 },
	[G_0F38DC] = { SEL_PFX, group_0f38dc },
	[G_0F38DD] = { SEL_PFX, group_0f38dd },
	[G_0F38F0] = { SEL_PFX, group_0f38f0 },
	[G_0F38F1] = { SEL_PFX, group_0f38f1 },
	[G_0F38F6] = { SEL_PFX, group_0f38f6 },
	[G_0F38F8] = { SEL_PFX, group_0f38f8 },
	[G_HRESET] = { SEL_REG, group_hreset },
	[G_HRESET_RM] = { SEL_RM, group_hreset_rm },
};

#define X87_ALL		0xffffffffffffffffULL
#define X87_ROW(row, m)	((u64)(m) << (8 * (row)))

const struct hull_x87 hull_x87[8] = {
	{ 0xff, X87_ALL },
	{ 0xfd, X87_ROW(0, 0xff) | X87_ROW(1, 0xff) | X87_ROW(2, 0x01) | X87_ROW(3, 0xff) |
		X87_ROW(4, 0x33) | X87_ROW(5, 0x7f) | X87_ROW(6, 0xff) | X87_ROW(7, 0xff) },
	{ 0xff, X87_ROW(0, 0xff) | X87_ROW(1, 0xff) | X87_ROW(2, 0xff) | X87_ROW(3, 0xff) |
		X87_ROW(5, 0x02) },
	{ 0xaf, X87_ROW(0, 0xff) | X87_ROW(1, 0xff) | X87_ROW(2, 0xff) | X87_ROW(3, 0xff) |
		X87_ROW(4, 0x1f) | X87_ROW(5, 0xff) | X87_ROW(6, 0xff) },
	{ 0xff, X87_ALL },
	{ 0xdf, X87_ROW(0, 0xff) | X87_ROW(1, 0xff) | X87_ROW(2, 0xff) | X87_ROW(3, 0xff) |
		X87_ROW(4, 0xff) | X87_ROW(5, 0xff) },
	{ 0xff, X87_ROW(0, 0xff) | X87_ROW(1, 0xff) | X87_ROW(2, 0xff) | X87_ROW(3, 0x02) |
		X87_ROW(4, 0xff) | X87_ROW(5, 0xff) | X87_ROW(6, 0xff) | X87_ROW(7, 0xff) },
	{ 0xff, X87_ROW(0, 0xff) | X87_ROW(1, 0xff) | X87_ROW(2, 0xff) | X87_ROW(3, 0xff) |
		X87_ROW(4, 0x01) | X87_ROW(5, 0xff) | X87_ROW(6, 0xff) },
};
