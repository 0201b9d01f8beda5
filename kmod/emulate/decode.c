// SPDX-License-Identifier: GPL-2.0
/*
 * Instruction decoder: length and operands. Pure, no state. The opcode tables
 * are data (table.c); this file knows the shape of an instruction: prefixes,
 * opcode, ModRM, SIB, displacement, immediate.
 *
 * Where vendors differ the AMD reading is taken (66 on near branches in 64-bit
 * code makes them 16 bits wide); such branches never exit to us.
 */
#include "table.h"

struct cursor {
	const u8 *bytes;
	unsigned int limit;
	unsigned int pos;
};

/* Little-endian value of @n bytes, not extended. */
static int fetch(struct cursor *c, unsigned int n, u64 *value)
{
	unsigned int i;

	if (c->pos + n > HULL_INSN_MAX)
		return -E2BIG;
	if (c->pos + n > c->limit)
		return -EAGAIN;
	*value = 0;
	for (i = 0; i < n; i++)
		*value |= (u64)c->bytes[c->pos + i] << (8 * i);
	c->pos += n;
	return 0;
}

static int fetch_u8(struct cursor *c, u8 *value)
{
	u64 v;
	int ret = fetch(c, 1, &v);

	if (!ret)
		*value = (u8)v;
	return ret;
}

static u64 sign_extend(u64 value, unsigned int bytes)
{
	unsigned int shift = 64 - 8 * bytes;

	return (u64)((s64)(value << shift) >> shift);
}

/* Returns true when @byte is a legacy prefix, after recording it. */
static bool legacy_prefix(struct hull_insn *insn, u8 byte)
{
	switch (byte) {
	case 0x26:
		insn->override = HULL_ES;
		return true;
	case 0x2e:
		insn->override = HULL_CS;
		return true;
	case 0x36:
		insn->override = HULL_SS;
		return true;
	case 0x3e:
		insn->override = HULL_DS;
		return true;
	case 0x64:
		insn->override = HULL_FS;
		return true;
	case 0x65:
		insn->override = HULL_GS;
		return true;
	case 0x66:
		insn->prefixes |= HULL_PFX_OPSIZE;
		return true;
	case 0x67:
		insn->prefixes |= HULL_PFX_ADSIZE;
		return true;
	case 0xf0:
		insn->prefixes |= HULL_PFX_LOCK;
		return true;
	case 0xf2:
		insn->prefixes &= ~HULL_PFX_REP;
		insn->prefixes |= HULL_PFX_REPNE;
		return true;
	case 0xf3:
		insn->prefixes &= ~HULL_PFX_REPNE;
		insn->prefixes |= HULL_PFX_REP;
		return true;
	default:
		return false;
	}
}

/* Leaves the first opcode byte in insn->opcode. */
static int decode_prefixes(struct hull_insn *insn, struct cursor *c)
{
	u8 byte;
	int ret;

	for (;;) {
		u8 override = insn->override;

		ret = fetch_u8(c, &byte);
		if (ret)
			return ret;
		if (legacy_prefix(insn, byte)) {
			/* REX counts only right before the opcode. */
			insn->rex = 0;
			/* 64-bit code: ES, CS, SS and DS prefixes do not even cancel FS or GS. */
			if (insn->mode == HULL_MODE_64 && insn->override < HULL_FS)
				insn->override = override;
			continue;
		}
		if (insn->mode == HULL_MODE_64 && (byte & 0xf0) == 0x40) {
			insn->rex = byte;
			continue;
		}
		insn->opcode = byte;
		return 0;
	}
}

/*
 * VEX (C4, C5), EVEX (62) and XOP (8F) share opcodes with older instructions:
 * outside 64-bit code they are told apart by the next byte.
 */
static int vector_prefix(const struct hull_insn *insn, const struct cursor *c)
{
	u8 next;

	switch (insn->opcode) {
	case 0x62:
	case 0xc4:
	case 0xc5:
	case 0x8f:
		break;
	default:
		return 0;
	}
	if (c->pos >= HULL_INSN_MAX)
		return -E2BIG;
	if (c->pos >= c->limit)
		return -EAGAIN;
	next = c->bytes[c->pos];
	if (insn->opcode == 0x8f)
		return (next & 0x1f) >= 8 ? HULL_MAP_XOP : 0;
	if (insn->mode != HULL_MODE_64 && next < 0xc0)
		return 0;
	return insn->opcode == 0x62 ? HULL_MAP_EVEX : HULL_MAP_VEX;
}

/* Map number of a VEX, EVEX or XOP instruction; the cursor ends at the opcode. */
static int vector_payload(struct hull_insn *insn, struct cursor *c)
{
	bool two_byte = insn->opcode == 0xc5;
	u64 payload;
	int ret;

	if (insn->map == HULL_MAP_EVEX)
		ret = fetch(c, 3, &payload);
	else
		ret = fetch(c, two_byte ? 1 : 2, &payload);
	if (ret)
		return ret;

	switch (insn->map) {
	case HULL_MAP_EVEX:
		insn->submap = payload & 7;
		/* Two bits are fixed; maps 0, 4 and 7 are not defined. */
		if ((payload & 0x08) || !(payload & 0x400) ||
		    !((insn->submap >= 1 && insn->submap <= 3) ||
		      insn->submap == 5 || insn->submap == 6))
			return -EINVAL;
		break;
	case HULL_MAP_XOP:
		insn->submap = payload & 0x1f;
		if (insn->submap > 10)
			return -EINVAL;
		break;
	default:
		insn->submap = two_byte ? 1 : payload & 0x1f;
		if (insn->submap < 1 || insn->submap > 3)
			return -EINVAL;
		break;
	}
	return fetch_u8(c, &insn->opcode);
}

/* Attributes of a vector instruction: has it a ModRM byte, has it an immediate? */
static u32 vector_attr(const struct hull_insn *insn)
{
	if (insn->map == HULL_MAP_XOP) {
		if (insn->submap == 8)
			return A_MODRM | I_UB;
		return insn->submap == 9 ? A_MODRM : A_MODRM | I_Z | A_MEM32;
	}
	if (insn->submap == 3)
		return A_MODRM | I_UB;
	if (insn->submap != 1)
		return A_MODRM;
	switch (insn->opcode) {
	case 0x77:
		return insn->map == HULL_MAP_VEX ? 0 : A_MODRM;
	case 0x70 ... 0x73:
	case 0xc2:
	case 0xc4 ... 0xc6:
		return A_MODRM | I_UB;
	default:
		return A_MODRM;
	}
}

static int decode_vector(struct hull_insn *insn, struct cursor *c)
{
	int ret;

	if ((insn->prefixes & (HULL_PFX_OPSIZE | HULL_PFX_LOCK | HULL_PFX_REP |
			       HULL_PFX_REPNE)) || insn->rex)
		return -EINVAL;
	ret = vector_payload(insn, c);
	if (ret)
		return ret;
	insn->attr = vector_attr(insn);
	return 0;
}

/* Opcode bytes after the prefixes; fills map, opcode, attr, op. */
static int decode_opcode(struct hull_insn *insn, struct cursor *c,
			 const struct hull_opcode **entry)
{
	const struct hull_opcode *map = hull_map_one;
	int ret;

	*entry = NULL;
	ret = vector_prefix(insn, c);
	if (ret < 0)
		return ret;
	if (ret) {
		insn->map = ret;
		return decode_vector(insn, c);
	}

	if (insn->opcode == 0x0f) {
		insn->map = HULL_MAP_0F;
		map = hull_map_0f;
		ret = fetch_u8(c, &insn->opcode);
		if (ret)
			return ret;
		if (insn->opcode == 0x38 || insn->opcode == 0x3a) {
			insn->map = insn->opcode == 0x38 ? HULL_MAP_0F38 : HULL_MAP_0F3A;
			map = insn->opcode == 0x38 ? hull_map_0f38 : hull_map_0f3a;
			ret = fetch_u8(c, &insn->opcode);
			if (ret)
				return ret;
		} else if (insn->opcode == 0x0f) {
			insn->map = HULL_MAP_3DNOW;
		}
	}
	*entry = &map[insn->opcode];
	insn->attr = (*entry)->attr;
	return 0;
}

/* 0: none, 1: 66, 2: F3, 3: F2. F2 and F3 win over 66. */
static unsigned int mandatory_prefix(const struct hull_insn *insn)
{
	if (insn->prefixes & HULL_PFX_REPNE)
		return 3;
	if (insn->prefixes & HULL_PFX_REP)
		return 2;
	return insn->prefixes & HULL_PFX_OPSIZE ? 1 : 0;
}

static void resolve_groups(struct hull_insn *insn, const struct hull_opcode *entry)
{
	while (entry->group) {
		const struct hull_group_table *group = &hull_groups[entry->group];
		unsigned int i = 0;

		switch (group->select) {
		case SEL_REG:
			i = (insn->modrm >> 3) & 7;
			break;
		case SEL_RM:
			i = insn->modrm & 7;
			break;
		case SEL_MOD:
			i = insn->mod == 3;
			break;
		case SEL_PFX:
			i = mandatory_prefix(insn);
			break;
		case SEL_MODE:
			i = insn->mode == HULL_MODE_64;
			break;
		}
		entry = &group->entries[i];
		insn->attr |= entry->attr;
	}
	insn->op = entry->op;
}

static int decode_modrm(struct hull_insn *insn, struct cursor *c)
{
	int ret;

	if (!(insn->attr & A_MODRM))
		return 0;
	ret = fetch_u8(c, &insn->modrm);
	if (ret)
		return ret;
	insn->has_modrm = true;
	insn->mod = insn->attr & A_MODREG ? 3 : insn->modrm >> 6;
	insn->reg = ((insn->modrm >> 3) & 7) | (insn->rex & 4) << 1;
	insn->rm = (insn->modrm & 7) | (insn->rex & 1) << 3;
	insn->has_mem = insn->mod != 3;
	return 0;
}

/* Special registers: numbers without a register behind them are #UD. */
static bool special_register_valid(struct hull_insn *insn)
{
	if (insn->attr & A_SREG) {
		insn->reg &= 7;
		return insn->reg <= HULL_GS &&
		       !(insn->op == HULL_OP_MOV_TO_SEG && insn->reg == HULL_CS);
	}
	if (insn->attr & A_CREG) {
		/* AMD: LOCK reaches CR8 where there is no REX prefix. */
		if ((insn->prefixes & HULL_PFX_LOCK) && insn->reg == 0)
			insn->reg = 8;
		return insn->reg == 0 || insn->reg == 2 || insn->reg == 3 || insn->reg == 4 ||
		       insn->reg == 8;
	}
	if (insn->attr & A_DREG)
		return insn->reg < 8;
	return true;
}

static bool lock_legal(const struct hull_insn *insn)
{
	if (!(insn->prefixes & HULL_PFX_LOCK))
		return true;
	if (insn->attr & A_CREG)
		return (insn->modrm & 0x38) == 0 && !(insn->rex & 4);
	return (insn->attr & A_LOCK) && insn->has_mem;
}

static int check_legal(struct hull_insn *insn)
{
	u32 attr = insn->attr;

	if (attr & A_INVALID)
		return -EINVAL;
	if ((attr & A_INV64) && insn->mode == HULL_MODE_64)
		return -EINVAL;
	if ((attr & A_ONLY64) && insn->mode != HULL_MODE_64)
		return -EINVAL;
	if ((attr & A_MEM) && !insn->has_mem)
		return -EINVAL;
	if ((attr & A_REG) && insn->has_mem)
		return -EINVAL;
	if ((attr & A_PFX) && !(attr & (A_NP << mandatory_prefix(insn))))
		return -EINVAL;
	if (attr & A_X87) {
		const struct hull_x87 *x87 = &hull_x87[insn->opcode & 7];

		if (insn->has_mem ? !(x87->memory >> ((insn->modrm >> 3) & 7) & 1) :
				    !(x87->registers >> (insn->modrm & 0x3f) & 1))
			return -EINVAL;
	}
	return special_register_valid(insn) ? 0 : -EINVAL;
}

static void decode_sizes(struct hull_insn *insn)
{
	bool small = insn->mode == HULL_MODE_16;
	bool opsize = insn->prefixes & HULL_PFX_OPSIZE;
	bool adsize = insn->prefixes & HULL_PFX_ADSIZE;

	if (insn->mode == HULL_MODE_64) {
		insn->adsize = adsize ? 4 : 8;
		if ((insn->attr & A_F64) || (insn->rex & 8))
			insn->opsize = 8;
		else if (opsize)
			insn->opsize = 2;
		else
			insn->opsize = insn->attr & A_D64 ? 8 : 4;
	} else {
		insn->adsize = small != adsize ? 2 : 4;
		insn->opsize = small != opsize ? 2 : 4;
		if (insn->attr & (A_CREG | A_DREG))
			insn->opsize = 4;
	}
	if ((insn->attr & A_MAX32) && insn->opsize == 8)
		insn->opsize = 4;
	if (insn->attr & A_BYTE)
		insn->opsize = 1;
	if (insn->op == HULL_OP_CMPXCHG8B)
		insn->opsize = insn->rex & 8 ? 16 : 8;
	if (insn->op == HULL_OP_MOVNTI && insn->opsize == 2)
		insn->opsize = 4;
}

static const u8 base16[8] = {
	HULL_RBX, HULL_RBX, HULL_RBP, HULL_RBP, HULL_RSI, HULL_RDI, HULL_RBP, HULL_RBX,
};

static const u8 index16[8] = {
	HULL_RSI, HULL_RDI, HULL_RSI, HULL_RDI,
	HULL_REG_NONE, HULL_REG_NONE, HULL_REG_NONE, HULL_REG_NONE,
};

static void address16(struct hull_insn *insn)
{
	unsigned int rm = insn->modrm & 7;

	insn->disp_bytes = insn->mod == 3 ? 0 : insn->mod;
	if (insn->mod == 0 && rm == 6) {
		insn->disp_bytes = 2;
		return;
	}
	insn->base = base16[rm];
	insn->index = index16[rm];
}

static int address32(struct hull_insn *insn, struct cursor *c)
{
	unsigned int rm = insn->modrm & 7;
	int ret;

	insn->disp_bytes = insn->mod == 1 ? 1 : insn->mod == 2 ? 4 : 0;
	if (rm != 4) {
		if (insn->mod == 0 && rm == 5) {
			insn->disp_bytes = 4;
			insn->rip_relative = insn->mode == HULL_MODE_64;
		} else {
			insn->base = insn->rm;
		}
		return 0;
	}

	ret = fetch_u8(c, &insn->sib);
	if (ret)
		return ret;
	insn->scale = 1 << (insn->sib >> 6);
	insn->index = ((insn->sib >> 3) & 7) | (insn->rex & 2) << 2;
	if (insn->index == HULL_RSP)
		insn->index = HULL_REG_NONE;
	/* Base 5 without displacement means none, R13 included. */
	if (insn->mod == 0 && (insn->sib & 7) == 5)
		insn->disp_bytes = 4;
	else
		insn->base = (insn->sib & 7) | (insn->rex & 1) << 3;
	return 0;
}

static int decode_address(struct hull_insn *insn, struct cursor *c)
{
	u64 disp;
	int ret;

	if (!insn->has_mem)
		return 0;
	if (insn->adsize == 2) {
		address16(insn);
	} else {
		ret = address32(insn, c);
		if (ret)
			return ret;
	}
	if (insn->base == HULL_RBP || insn->base == HULL_RSP)
		insn->segment = HULL_SS;
	if (!insn->disp_bytes)
		return 0;
	ret = fetch(c, insn->disp_bytes, &disp);
	if (ret)
		return ret;
	insn->disp = (s64)sign_extend(disp, insn->disp_bytes);
	return 0;
}

/* Immediates that are not one plain number. */
static int decode_odd_immediate(struct hull_insn *insn, struct cursor *c, unsigned int kind)
{
	unsigned int first, second;
	u64 value, value2;
	int ret;

	if (kind == I_OFFS) {
		ret = fetch(c, insn->adsize, &value);
		if (ret)
			return ret;
		insn->disp_bytes = insn->adsize;
		insn->disp = (s64)value;
		insn->has_mem = true;
		return 0;
	}

	first = kind == I_WB ? 2 : kind == I_BB ? 1 : insn->opsize;
	second = kind == I_FAR ? 2 : 1;
	ret = fetch(c, first, &value);
	if (ret)
		return ret;
	ret = fetch(c, second, &value2);
	if (ret)
		return ret;
	insn->imm_bytes = first;
	insn->imm = value;
	insn->imm2 = (u16)value2;
	return 0;
}

static int decode_immediate(struct hull_insn *insn, struct cursor *c)
{
	unsigned int kind = A_IMM(insn->attr);
	int ret;

	switch (kind) {
	case 0:
		return 0;
	case I_B:
	case I_UB:
		insn->imm_bytes = 1;
		break;
	case I_W:
		insn->imm_bytes = 2;
		break;
	case I_Z:
		insn->imm_bytes = insn->opsize == 2 ? 2 : 4;
		break;
	case I_V:
		insn->imm_bytes = insn->opsize;
		break;
	default:
		return decode_odd_immediate(insn, c, kind);
	}
	if (insn->map == HULL_MAP_XOP && kind == I_Z)
		insn->imm_bytes = 4;
	ret = fetch(c, insn->imm_bytes, &insn->imm);
	if (!ret && kind != I_UB && kind != I_W)
		insn->imm = sign_extend(insn->imm, insn->imm_bytes);
	return ret;
}

int hull_insn_decode(struct hull_insn *insn, enum hull_emu_mode mode,
		     const u8 *bytes, unsigned int nbytes)
{
	struct cursor c = { .bytes = bytes, .limit = nbytes };
	const struct hull_opcode *entry;
	int ret;

	memset(insn, 0, sizeof(*insn));
	insn->mode = mode;
	insn->override = HULL_SEG_NONE;
	insn->segment = HULL_DS;
	insn->base = HULL_REG_NONE;
	insn->index = HULL_REG_NONE;
	insn->scale = 1;

	ret = decode_prefixes(insn, &c);
	if (ret)
		return ret;
	ret = decode_opcode(insn, &c, &entry);
	if (ret)
		return ret;
	if (insn->attr & A_INVALID)
		return -EINVAL;
	ret = decode_modrm(insn, &c);
	if (ret)
		return ret;
	if (entry)
		resolve_groups(insn, entry);
	ret = check_legal(insn);
	if (ret)
		return ret;
	decode_sizes(insn);
	ret = decode_address(insn, &c);
	if (ret)
		return ret;
	ret = decode_immediate(insn, &c);
	if (ret)
		return ret;
	/* Last: an instruction that is too long is #GP before it is #UD. */
	if (!lock_legal(insn))
		return -EINVAL;
	if (insn->map == HULL_MAP_3DNOW)
		insn->opcode = (u8)insn->imm;
	if (insn->override != HULL_SEG_NONE)
		insn->segment = insn->override;
	insn->length = c.pos;
	return 0;
}

int hull_insn_decode_as(struct hull_insn *insn, enum hull_op expected,
			enum hull_emu_mode mode, const u8 *bytes, unsigned int nbytes)
{
	int ret = hull_insn_decode(insn, mode, bytes, nbytes);

	if (ret)
		return ret;
	return insn->op == expected ? 0 : -ENOENT;
}

int hull_insn_length_of(enum hull_op expected, enum hull_emu_mode mode,
			const u8 *bytes, unsigned int nbytes)
{
	struct hull_insn insn;
	int ret = hull_insn_decode_as(&insn, expected, mode, bytes, nbytes);

	return ret ? ret : insn.length;
}
