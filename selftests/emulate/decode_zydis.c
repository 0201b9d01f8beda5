// SPDX-License-Identifier: GPL-2.0
/*
 * The decoder against Zydis: validity, length and operands over a generated
 * corpus (every opcode of every map with prefixes and ModRM forms, vector
 * prefixes, random bytes) in 16-, 32- and 64-bit code.
 *
 * Every way in which the two may differ is an entry of exceptions[], with its
 * reason; anything else is a failure.
 */
#include <Zydis/Zydis.h>

#include "../../kmod/emulate/table.h"
#include "ktap.h"

#define MODES 3

static ZydisDecoder decoders[MODES];
static uint64_t rng;
static const char * const mode_names[MODES] = { "16-bit", "32-bit", "64-bit" };

struct sample {
	enum hull_emu_mode mode;
	u8 bytes[20];
	struct hull_insn insn;
	int ret;			/* ours */
	ZyanStatus status;		/* theirs */
	ZydisDecodedInstruction z;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

static struct {
	uint64_t samples, valid, operands, failures;
} count[MODES];

/*
 * Exceptions
 */

static bool ours_only(const struct sample *s)
{
	return !s->ret && !ZYAN_SUCCESS(s->status);
}

static bool theirs_only(const struct sample *s)
{
	return s->ret == -EINVAL && ZYAN_SUCCESS(s->status);
}

static bool is_vector(const struct sample *s)
{
	return s->insn.map >= HULL_MAP_VEX;
}

static bool except_vector(const struct sample *s)
{
	return is_vector(s) && ours_only(s);
}

static bool except_3dnow(const struct sample *s)
{
	return s->insn.map == HULL_MAP_3DNOW && ours_only(s);
}

static bool except_system_prefix(const struct sample *s)
{
	return ours_only(s) && s->insn.op >= HULL_OP_CPUID &&
	       (s->insn.prefixes & (HULL_PFX_OPSIZE | HULL_PFX_REP | HULL_PFX_REPNE));
}

/* 0F A6 and 0F A7 */
static bool except_padlock(const struct sample *s)
{
	return theirs_only(s) && s->z.opcode_map == ZYDIS_OPCODE_MAP_0F &&
	       (s->z.opcode == 0xa6 || s->z.opcode == 0xa7);
}

/* 0F 01 C6 */
static bool except_wrmsrns(const struct sample *s)
{
	return ours_only(s) && s->insn.map == HULL_MAP_0F && s->insn.opcode == 1 &&
	       s->insn.modrm == 0xc6;
}

static bool except_alt_cr8(const struct sample *s)
{
	return ours_only(s) && (s->insn.prefixes & HULL_PFX_LOCK) &&
	       (s->insn.op == HULL_OP_MOV_FROM_CR || s->insn.op == HULL_OP_MOV_TO_CR) &&
	       s->insn.reg == 8;
}

/* MVEX (62 with a bit clear that EVEX has set); VEX.0F 74, 75, 84, 85 */
static bool except_knc(const struct sample *s)
{
	return (s->z.attributes & ZYDIS_ATTRIB_HAS_MVEX) ||
	       s->z.meta.isa_set == ZYDIS_ISA_SET_KNCJKBR ||
	       s->z.meta.isa_set == ZYDIS_ISA_SET_KNCSTREAM ||
	       s->z.meta.isa_set == ZYDIS_ISA_SET_KNC_MISC;
}

/* Seen wrong on the CPU: an instruction of this form has no base register. */
static bool except_sib_base(const struct sample *s)
{
	return s->mode == HULL_MODE_64 && s->insn.adsize == 4 && s->insn.mod == 0 &&
	       (s->insn.modrm & 7) == 4 && (s->insn.sib & 7) == 5 && (s->insn.rex & 1);
}

static const struct {
	const char *name;
	const char *reason;
	bool (*match)(const struct sample *s);
} exceptions[] = {
	{ "vector", "VEX, EVEX, XOP: length only, existence is not judged", except_vector },
	{ "3dnow", "3DNow! suffixes are not judged", except_3dnow },
	{ "system-prefix", "66, F2, F3 on system instructions: the CPU that exited took them",
	  except_system_prefix },
	{ "alt-cr8", "LOCK MOV CR0 reaches CR8 on AMD, in every mode", except_alt_cr8 },
	{ "knc", "encodings of Knights Corner only", except_knc },
	{ "sib-base", "Zydis 4.0: 67 and REX.B with SIB base 5 and no displacement gets a base",
	  except_sib_base },
	{ "padlock", "VIA PadLock instructions exist on no CPU that can run hull", except_padlock },
	{ "wrmsrns", "newer than this Zydis", except_wrmsrns },
};

static uint64_t excepted[ARRAY_SIZE(exceptions)];

static bool is_excepted(const struct sample *s)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(exceptions); i++) {
		if (exceptions[i].match(s)) {
			excepted[i]++;
			return true;
		}
	}
	return false;
}

/*
 * Comparison
 */

static void fail(const struct sample *s, const char *what)
{
	unsigned int i;

	if (count[s->mode].failures++ >= 40)
		return;
	printf("# %s: %s:", mode_names[s->mode], what);
	for (i = 0; i < 15; i++)
		printf(" %02x", s->bytes[i]);
	printf(" ours %d len %u map %u op %u; zydis %#x len %u %s\n", s->ret, s->insn.length,
	       s->insn.map, s->insn.op, s->status, s->z.length,
	       ZYAN_SUCCESS(s->status) ? ZydisMnemonicGetString(s->z.mnemonic) : "-");
}

/* Register number as hull counts; high byte registers are 4..7 plus 0x40. */
static unsigned int number(ZydisRegister reg)
{
	if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH)
		return 0x40 + 4 + (reg - ZYDIS_REGISTER_AH);
	if (reg >= ZYDIS_REGISTER_SPL && reg <= ZYDIS_REGISTER_R15B)
		return 4 + (reg - ZYDIS_REGISTER_SPL);
	if (reg == ZYDIS_REGISTER_NONE)
		return HULL_REG_NONE;
	return (unsigned char)ZydisRegisterGetId(reg);
}

static unsigned int our_register(const struct hull_insn *insn, unsigned int reg,
				 unsigned int size)
{
	return size == 1 && !insn->rex && reg >= 4 ? 0x40 + reg : reg;
}

static unsigned int segment_number(ZydisRegister reg)
{
	return reg == ZYDIS_REGISTER_NONE ? HULL_SEG_NONE : reg - ZYDIS_REGISTER_ES;
}

static bool memory_matches(const struct sample *s, const ZydisDecodedOperand *o)
{
	const struct hull_insn *insn = &s->insn;
	u64 mask = insn->adsize == 8 ? ~0ULL : (1ULL << (8 * insn->adsize)) - 1;
	bool rip = o->mem.base == ZYDIS_REGISTER_RIP || o->mem.base == ZYDIS_REGISTER_EIP ||
		   o->mem.base == ZYDIS_REGISTER_IP;
	unsigned int scale = o->mem.index == ZYDIS_REGISTER_NONE ? 1 : o->mem.scale;

	if (!insn->has_mem || insn->rip_relative != rip)
		return false;
	if (!rip && number(o->mem.base) != insn->base)
		return false;
	if (number(o->mem.index) != insn->index ||
	    (insn->index != HULL_REG_NONE && scale != insn->scale))
		return false;
	if (((u64)o->mem.disp.value & mask) != ((u64)insn->disp & mask))
		return false;
	return segment_number(o->mem.segment) == insn->segment;
}

static unsigned int memory_size(const struct hull_insn *insn)
{
	if (insn->attr & A_MEM8)
		return 1;
	if (insn->attr & A_MEM16)
		return 2;
	/* MOVSXD to a 16-bit register reads 4 bytes of memory (seen on AMD). */
	if (insn->attr & A_MEM32)
		return insn->opsize == 2 && !insn->has_mem ? 2 : 4;
	return insn->opsize;
}

static bool rm_matches(const struct sample *s, const ZydisDecodedOperand *o)
{
	const struct hull_insn *insn = &s->insn;
	unsigned int size = memory_size(insn);

	if (o->type == ZYDIS_OPERAND_TYPE_MEMORY)
		return memory_matches(s, o) && o->size == 8 * size;
	if (insn->op == HULL_OP_MOV_FROM_SEG || insn->op == HULL_OP_MOV_TO_SEG)
		size = o->size / 8;
	return o->type == ZYDIS_OPERAND_TYPE_REGISTER && !insn->has_mem &&
	       o->size == 8 * size && number(o->reg.value) == our_register(insn, insn->rm, size);
}

static bool register_matches(const struct sample *s, const ZydisDecodedOperand *o,
			     unsigned int reg)
{
	const struct hull_insn *insn = &s->insn;

	return o->type == ZYDIS_OPERAND_TYPE_REGISTER && o->size == 8 * insn->opsize &&
	       number(o->reg.value) == our_register(insn, reg, insn->opsize);
}

static bool immediate_matches(const struct sample *s, const ZydisDecodedOperand *o)
{
	unsigned int bits = 8 * s->insn.opsize;
	u64 mask = bits >= 64 ? ~0ULL : (1ULL << bits) - 1;

	return o->type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
	       (o->imm.value.u & mask) == (s->insn.imm & mask);
}

/* One letter per operand: E rm, G reg, I immediate, A accumulator, R opcode register, C CL */
static const char *form_letters(const struct hull_insn *insn)
{
	switch (A_FORM(insn->attr)) {
	case F_EG:
		return "EG";
	case F_GE:
		return A_IMM(insn->attr) ? "GEI" : "GE";
	case F_EI:
		return "EI";
	case F_AI:
		return "AI";
	case F_E:
	case F_E1:
		return "E";
	case F_EC:
		return "EC";
	case F_EGI:
		return "EGI";
	case F_EGC:
		return "EGC";
	case F_AO:
		return "AO";
	case F_OA:
		return "OA";
	case F_R:
		return "R";
	case F_RI:
		return "RI";
	case F_RA:
		return "RA";
	case F_I:
		return "I";
	default:
		return "";
	}
}

static bool operand_matches(const struct sample *s, char letter, const ZydisDecodedOperand *o)
{
	const struct hull_insn *insn = &s->insn;

	switch (letter) {
	case 'E':
		return rm_matches(s, o);
	case 'G':
		return register_matches(s, o, insn->reg);
	case 'I':
		return immediate_matches(s, o);
	case 'A':
		return register_matches(s, o, HULL_RAX);
	case 'R':
		return register_matches(s, o, (insn->opcode & 7) | (insn->rex & 1) << 3);
	case 'C':
		return o->type == ZYDIS_OPERAND_TYPE_REGISTER && o->reg.value == ZYDIS_REGISTER_CL;
	case 'O':
		return o->type == ZYDIS_OPERAND_TYPE_MEMORY && memory_matches(s, o) &&
		       o->size == 8 * insn->opsize;
	default:
		return false;
	}
}

static bool string_matches(const struct sample *s)
{
	unsigned int i;

	for (i = 0; i < s->z.operand_count; i++) {
		const ZydisDecodedOperand *o = &s->operands[i];
		unsigned int base;

		if (o->type != ZYDIS_OPERAND_TYPE_MEMORY)
			continue;
		base = number(o->mem.base);
		if (o->size != 8 * s->insn.opsize)
			return false;
		if (base == HULL_RSI && segment_number(o->mem.segment) != s->insn.segment)
			return false;
	}
	return s->z.address_width == 8 * s->insn.adsize;
}

static bool operands_match(const struct sample *s)
{
	const struct hull_insn *insn = &s->insn;
	const char *letter;
	unsigned int i = 0;

	if (insn->op == HULL_OP_OTHER || insn->op > HULL_OP_OUT)
		return true;
	count[s->mode].operands++;
	if (insn->attr & A_STRING)
		return string_matches(s);
	/* XCHG r8, rAX with number 0 is NOP: Zydis shows no operands. */
	if (s->z.mnemonic == ZYDIS_MNEMONIC_NOP)
		return true;
	for (letter = form_letters(insn); *letter; letter++) {
		/* The segment register comes first or second; the other operand is ours. */
		if (insn->op == HULL_OP_MOV_TO_SEG)
			i = 1;
		if (i >= s->z.operand_count || !operand_matches(s, *letter, &s->operands[i]))
			return false;
		i++;
	}
	return !insn->has_modrm || s->z.address_width == 8 * insn->adsize;
}

static void compare_valid(const struct sample *s)
{
	unsigned int i;

	count[s->mode].valid++;
	if (s->insn.length != s->z.length) {
		if (!is_excepted(s))
			fail(s, "length");
	} else if (!operands_match(s) && !is_excepted(s)) {
		fail(s, "operands");
	}
	/* A true prefix always asks for more. */
	for (i = 0; i < s->insn.length; i++) {
		struct hull_insn part;

		if (hull_insn_decode(&part, s->mode, s->bytes, i) != -EAGAIN) {
			fail(s, "prefix of an instruction");
			break;
		}
	}
}

static void compare(enum hull_emu_mode mode, const u8 *bytes)
{
	struct sample s = { .mode = mode };
	bool too_long;

	memcpy(s.bytes, bytes, 15);
	count[mode].samples++;
	s.ret = hull_insn_decode(&s.insn, mode, bytes, 15);
	s.status = ZydisDecoderDecodeFull(&decoders[mode], bytes, 15, &s.z, s.operands);
	too_long = s.status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG ||
		   s.status == ZYDIS_STATUS_NO_MORE_DATA;
	if (s.ret == -E2BIG && too_long)
		return;
	if (!s.ret == ZYAN_SUCCESS(s.status)) {
		if (s.ret)
			return;
		compare_valid(&s);
		return;
	}
	if (!is_excepted(&s))
		fail(&s, theirs_only(&s) ? "only Zydis accepts" : "validity");
}

/*
 * Corpus
 */

static const struct {
	u8 n;
	u8 bytes[4];
	bool rex;
} prefixes[] = {
	{ 0, { 0 }, false },
	{ 1, { 0x66 }, false },
	{ 1, { 0xf3 }, false },
	{ 1, { 0xf2 }, false },
	{ 1, { 0x67 }, false },
	{ 1, { 0xf0 }, false },
	{ 2, { 0x66, 0xf3 }, false },
	{ 2, { 0xf2, 0x66 }, false },
	{ 2, { 0xf0, 0xf2 }, false },
	{ 2, { 0xf2, 0xf3 }, false },
	{ 2, { 0x66, 0x67 }, false },
	{ 1, { 0x2e }, false },
	{ 1, { 0x36 }, false },
	{ 2, { 0x3e, 0x26 }, false },
	{ 1, { 0x64 }, false },
	{ 2, { 0x65, 0x67 }, false },
	{ 1, { 0x48 }, true },
	{ 1, { 0x40 }, true },
	{ 1, { 0x4f }, true },
	{ 2, { 0x66, 0x49 }, true },
	{ 2, { 0xf3, 0x4c }, true },
	{ 2, { 0xf2, 0x42 }, true },
	{ 2, { 0x67, 0x45 }, true },
	{ 2, { 0x48, 0x66 }, true },	/* REX not in last place */
	{ 4, { 0xf0, 0x66, 0x64, 0x47 }, true },
};

static const struct {
	u8 n;
	u8 bytes[2];
} escapes[] = {
	{ 0, { 0 } }, { 1, { 0x0f } }, { 2, { 0x0f, 0x38 } }, { 2, { 0x0f, 0x3a } },
};

static void random_fill(u8 *bytes, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		bytes[i] = (u8)(next_random(&rng) >> 32);
}

static void opcode_forms(enum hull_emu_mode mode, unsigned int p, unsigned int e, u8 opcode,
			 unsigned int step)
{
	u8 bytes[32];
	unsigned int n, modrm, first = step > 1 ? next_random(&rng) % step : 0;

	for (modrm = first; modrm < 256; modrm += step) {
		random_fill(bytes, sizeof(bytes));
		memcpy(bytes, prefixes[p].bytes, prefixes[p].n);
		n = prefixes[p].n;
		memcpy(bytes + n, escapes[e].bytes, escapes[e].n);
		n += escapes[e].n;
		bytes[n++] = opcode;
		bytes[n] = modrm;
		compare(mode, bytes);
	}
}

static void structured(enum hull_emu_mode mode)
{
	unsigned int p, e, opcode;

	for (p = 0; p < ARRAY_SIZE(prefixes); p++) {
		if (prefixes[p].rex && mode != HULL_MODE_64)
			continue;
		for (e = 0; e < ARRAY_SIZE(escapes); e++)
			for (opcode = 0; opcode < 256; opcode++)
				opcode_forms(mode, p, e, opcode, long_mode() || p < 4 ? 1 : 13);
	}
}

static void vectors(enum hull_emu_mode mode, unsigned int samples)
{
	static const u8 leads[] = { 0xc5, 0xc4, 0x62, 0x8f };
	u8 bytes[16];

	while (samples--) {
		random_fill(bytes, sizeof(bytes));
		bytes[0] = leads[bytes[15] & 3];
		/* Mostly the form that is a vector prefix in every mode, with a known map. */
		if (bytes[0] == 0x8f)
			bytes[1] = (bytes[1] & 0xe0) | (8 + bytes[14] % 3);
		else if (bytes[15] & 0x78)
			bytes[1] = 0xc0 | (bytes[1] & 0x30) | (bytes[14] & 7);
		if (bytes[0] == 0x62)
			bytes[2] |= 0x04;
		compare(mode, bytes);
	}
}

static void random_bytes(enum hull_emu_mode mode, unsigned int samples)
{
	u8 bytes[16];

	while (samples--) {
		random_fill(bytes, sizeof(bytes));
		compare(mode, bytes);
	}
}

/* Runs of prefixes around the limit of 15 bytes */
static void long_runs(enum hull_emu_mode mode, unsigned int samples)
{
	static const u8 run[] = { 0x66, 0x67, 0x2e, 0x36, 0xf2, 0xf3, 0x64, 0x65 };
	u8 bytes[16];
	unsigned int i, n;

	while (samples--) {
		random_fill(bytes, sizeof(bytes));
		n = bytes[15] % 15;
		for (i = 0; i < n; i++)
			bytes[i] = run[bytes[i] & 7];
		compare(mode, bytes);
	}
}

static void check_mode(enum hull_emu_mode mode)
{
	unsigned int scale = long_mode() ? 20 : 1;
	char name[80];

	structured(mode);
	vectors(mode, 300000 * scale);
	random_bytes(mode, 500000 * scale);
	long_runs(mode, 100000 * scale);
	printf("# %s: %llu samples, %llu valid in both, %llu with operands compared\n",
	       mode_names[mode], (unsigned long long)count[mode].samples,
	       (unsigned long long)count[mode].valid, (unsigned long long)count[mode].operands);
	snprintf(name, sizeof(name), "decode_zydis: %s length, validity, operands",
		 mode_names[mode]);
	ktap_result(!count[mode].failures && count[mode].valid, name);
}

static void setup(void)
{
	static const ZydisMachineMode machine[MODES] = {
		ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_MACHINE_MODE_LEGACY_32,
		ZYDIS_MACHINE_MODE_LONG_64,
	};
	static const ZydisStackWidth width[MODES] = {
		ZYDIS_STACK_WIDTH_16, ZYDIS_STACK_WIDTH_32, ZYDIS_STACK_WIDTH_64,
	};
	unsigned int i;

	for (i = 0; i < MODES; i++) {
		ZydisDecoderInit(&decoders[i], machine[i], width[i]);
		/* We take AMD's reading of near branches, and the hint opcodes as NOP. */
		ZydisDecoderEnableMode(&decoders[i], ZYDIS_DECODER_MODE_AMD_BRANCHES, ZYAN_TRUE);
		ZydisDecoderEnableMode(&decoders[i], ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
		ZydisDecoderEnableMode(&decoders[i], ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
		ZydisDecoderEnableMode(&decoders[i], ZYDIS_DECODER_MODE_CLDEMOTE, ZYAN_FALSE);
	}
}

int main(void)
{
	unsigned int i;

	ktap_begin(MODES);
	rng = seed_from_env();
	setup();
	for (i = 0; i < MODES; i++)
		check_mode(i);
	for (i = 0; i < ARRAY_SIZE(exceptions); i++)
		printf("# exception %s: %llu samples: %s\n", exceptions[i].name,
		       (unsigned long long)excepted[i], exceptions[i].reason);
	return ktap_end();
}
