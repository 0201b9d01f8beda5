// SPDX-License-Identifier: GPL-2.0
/*
 * Directed tests of decoder and executor: lengths of the instructions that
 * exit, exceptions and their error codes, batching, the edges of the
 * suspension interface. Random coverage is in native.c and suspend.c.
 */
#include "../../kmod/emulate/internal.h"
#include "ktap.h"

#define RIP 0x1000

/*
 * A small machine: 64 KiB of memory that repeats, ports that count up
 */

static u8 memory[0x10000];
static struct hull_emu emu;
static struct hull_emu_regs regs;
static struct {
	unsigned int reads, writes, ins, outs, probes, probe_fault_page;
	u32 last_size, last_count, last_flags;
	u16 last_port;
	u64 last_address;
	bool suspend, refuse_batch, io_denied;
	u8 next_in;
} machine;

static void seen(u64 address, u32 size, u32 count, u32 flags)
{
	machine.last_address = address;
	machine.last_size = size;
	machine.last_count = count;
	machine.last_flags = flags;
}

static int mock_read(struct hull_emu *e, u64 linear, void *data, u32 size, u32 count, u32 flags)
{
	u32 i;

	(void)e;
	if (machine.refuse_batch && count > 1)
		return -E2BIG;
	machine.reads++;
	seen(linear, size, count, flags);
	if (machine.suspend)
		return HULL_EMU_SUSPEND;
	for (i = 0; i < size * count; i++)
		((u8 *)data)[i] = memory[(linear + i) & 0xffff];
	return HULL_EMU_DONE;
}

static int mock_write(struct hull_emu *e, u64 linear, const void *data, u32 size, u32 count,
		      u32 flags)
{
	u32 i;

	(void)e;
	if (machine.refuse_batch && count > 1)
		return -E2BIG;
	machine.writes++;
	seen(linear, size, count, flags);
	for (i = 0; i < size * count; i++)
		memory[(linear + i) & 0xffff] = ((const u8 *)data)[i];
	return HULL_EMU_DONE;
}

static int mock_probe(struct hull_emu *e, u64 linear, u32 len, u32 flags)
{
	(void)len;
	(void)flags;
	machine.probes++;
	if (linear >> 12 != machine.probe_fault_page)
		return HULL_EMU_DONE;
	e->fault.vector = 14;
	e->fault.address = linear;
	return HULL_EMU_FAULT;
}

static int mock_in(struct hull_emu *e, u16 port, u32 size, u32 count, void *data)
{
	u32 i;

	(void)e;
	if (machine.refuse_batch && count > 1)
		return -E2BIG;
	machine.ins++;
	machine.last_port = port;
	seen(port, size, count, 0);
	for (i = 0; i < size * count; i++)
		((u8 *)data)[i] = machine.next_in++;
	return HULL_EMU_DONE;
}

static int mock_out(struct hull_emu *e, u16 port, u32 size, u32 count, const void *data)
{
	(void)e;
	(void)data;
	if (machine.refuse_batch && count > 1)
		return -E2BIG;
	machine.outs++;
	machine.last_port = port;
	seen(port, size, count, 0);
	return HULL_EMU_DONE;
}

static int mock_io_allowed(struct hull_emu *e, u16 port, u32 size)
{
	(void)port;
	(void)size;
	return machine.io_denied ? hull_emu_raise(e, VECTOR_GP, 0) : HULL_EMU_DONE;
}

static const struct hull_emu_ops mock_ops = {
	.read = mock_read, .write = mock_write, .probe = mock_probe,
	.in = mock_in, .out = mock_out, .io_allowed = mock_io_allowed,
};

enum env { REAL, V86, PROT32, LONG };

static void reset(enum env env)
{
	unsigned int i;

	memset(&machine, 0, sizeof(machine));
	machine.probe_fault_page = ~0u;
	memset(&regs, 0, sizeof(regs));
	memset(memory, 0, sizeof(memory));
	regs.rip = RIP;
	regs.rflags = 2 | (env == V86 ? FLAG_VM : 0);
	regs.cr0 = env == REAL ? 0 : EMU_CR0_PE;
	regs.efer = env == LONG ? EMU_EFER_LMA : 0;
	regs.cpl = env == V86 ? 3 : 0;
	for (i = 0; i < HULL_NSEGS; i++) {
		regs.seg[i].limit = env < PROT32 ? 0xffff : 0xffffffff;
		regs.seg[i].attr = HULL_SEG_P | HULL_SEG_S | 3 | (env >= PROT32 ? HULL_SEG_DB : 0);
	}
	regs.seg[HULL_CS].attr |= HULL_SEG_CODE;
	if (env == LONG)
		regs.seg[HULL_CS].attr = HULL_SEG_P | HULL_SEG_S | HULL_SEG_CODE | 3 | HULL_SEG_L;
	emu.ops = &mock_ops;
	emu.regs = &regs;
}

#define BYTES(...) ((const u8[15]){ __VA_ARGS__ })

static int start(const u8 *bytes)
{
	return hull_emu_begin(&emu, bytes, 15);
}

static int execute(const u8 *bytes)
{
	int ret = start(bytes);

	return ret ? ret : hull_emu_execute(&emu, 1000);
}

#define CHECK(cond) do {							\
	if (!(cond)) {								\
		printf("# line %d: %s\n", __LINE__, #cond);			\
		return false;							\
	}									\
} while (0)

/*
 * Decoder
 */

static const struct {
	u8 op, length, only64;
	u8 bytes[12];
} exits[] = {
	{ HULL_OP_CPUID, 2, 0, { 0x0f, 0xa2 } },
	{ HULL_OP_CPUID, 3, 0, { 0x66, 0x0f, 0xa2 } },
	{ HULL_OP_CPUID, 5, 0, { 0xf3, 0x2e, 0x67, 0x0f, 0xa2 } },
	{ HULL_OP_CPUID, 3, 1, { 0x48, 0x0f, 0xa2 } },
	{ HULL_OP_RDMSR, 2, 0, { 0x0f, 0x32 } },
	{ HULL_OP_RDMSR, 3, 0, { 0x66, 0x0f, 0x32 } },
	{ HULL_OP_WRMSR, 2, 0, { 0x0f, 0x30 } },
	{ HULL_OP_HLT, 1, 0, { 0xf4 } },
	{ HULL_OP_HLT, 3, 0, { 0x66, 0xf2, 0xf4 } },
	{ HULL_OP_VMMCALL, 3, 0, { 0x0f, 0x01, 0xd9 } },
	{ HULL_OP_VMMCALL, 4, 0, { 0xf3, 0x0f, 0x01, 0xd9 } },
	{ HULL_OP_VMCALL, 3, 0, { 0x0f, 0x01, 0xc1 } },
	{ HULL_OP_RDTSC, 2, 0, { 0x0f, 0x31 } },
	{ HULL_OP_RDTSCP, 3, 0, { 0x0f, 0x01, 0xf9 } },
	{ HULL_OP_RDPMC, 2, 0, { 0x0f, 0x33 } },
	{ HULL_OP_INVD, 2, 0, { 0x0f, 0x08 } },
	{ HULL_OP_WBINVD, 2, 0, { 0x0f, 0x09 } },
	{ HULL_OP_WBINVD, 3, 0, { 0xf3, 0x0f, 0x09 } },
	{ HULL_OP_INVLPG, 3, 0, { 0x0f, 0x01, 0x3f } },
	{ HULL_OP_INVLPG, 4, 0, { 0x0f, 0x01, 0x7e, 0x10 } },
	{ HULL_OP_INVLPG, 8, 1, { 0x0f, 0x01, 0x3c, 0x25, 0, 0x10, 0, 0 } },
	{ HULL_OP_INVLPGA, 3, 0, { 0x0f, 0x01, 0xdf } },
	{ HULL_OP_MONITOR, 3, 0, { 0x0f, 0x01, 0xc8 } },
	{ HULL_OP_MWAIT, 3, 0, { 0x0f, 0x01, 0xc9 } },
	{ HULL_OP_MONITORX, 3, 0, { 0x0f, 0x01, 0xfa } },
	{ HULL_OP_MWAITX, 3, 0, { 0x0f, 0x01, 0xfb } },
	{ HULL_OP_PAUSE, 2, 0, { 0xf3, 0x90 } },
	{ HULL_OP_PAUSE, 4, 0, { 0xf3, 0x66, 0x67, 0x90 } },
	{ HULL_OP_XSETBV, 3, 0, { 0x0f, 0x01, 0xd1 } },
	{ HULL_OP_XGETBV, 3, 0, { 0x0f, 0x01, 0xd0 } },
	{ HULL_OP_MOV_FROM_CR, 3, 0, { 0x0f, 0x20, 0xd8 } },
	{ HULL_OP_MOV_FROM_CR, 3, 0, { 0x0f, 0x20, 0x18 } },
	{ HULL_OP_MOV_FROM_CR, 4, 1, { 0x44, 0x0f, 0x20, 0xc0 } },
	{ HULL_OP_MOV_FROM_CR, 4, 0, { 0xf0, 0x0f, 0x20, 0xc0 } },
	{ HULL_OP_MOV_TO_CR, 3, 0, { 0x0f, 0x22, 0xd8 } },
	{ HULL_OP_MOV_FROM_DR, 3, 0, { 0x0f, 0x21, 0xf8 } },
	{ HULL_OP_MOV_TO_DR, 3, 0, { 0x0f, 0x23, 0xf8 } },
	{ HULL_OP_LMSW, 3, 0, { 0x0f, 0x01, 0xf0 } },
	{ HULL_OP_LMSW, 3, 0, { 0x0f, 0x01, 0x37 } },
	{ HULL_OP_SMSW, 3, 0, { 0x0f, 0x01, 0xe0 } },
	{ HULL_OP_CLTS, 2, 0, { 0x0f, 0x06 } },
	{ HULL_OP_IN, 2, 0, { 0xe4, 0x60 } },
	{ HULL_OP_IN, 1, 0, { 0xed } },
	{ HULL_OP_OUT, 2, 0, { 0xe7, 0x80 } },
	{ HULL_OP_OUT, 2, 0, { 0x66, 0xef } },
	{ HULL_OP_INS, 2, 0, { 0xf3, 0x6c } },
	{ HULL_OP_INS, 3, 0, { 0xf3, 0x66, 0x6d } },
	{ HULL_OP_OUTS, 3, 0, { 0x2e, 0xf3, 0x6e } },
	{ HULL_OP_INT3, 1, 0, { 0xcc } },
	{ HULL_OP_INTN, 2, 0, { 0xcd, 0x80 } },
	{ HULL_OP_ICEBP, 1, 0, { 0xf1 } },
	{ HULL_OP_PUSHF, 1, 0, { 0x9c } },
	{ HULL_OP_POPF, 2, 0, { 0x66, 0x9d } },
	{ HULL_OP_IRET, 2, 1, { 0x48, 0xcf } },
	{ HULL_OP_RSM, 2, 0, { 0x0f, 0xaa } },
	{ HULL_OP_SGDT, 3, 0, { 0x0f, 0x01, 0x07 } },
	{ HULL_OP_SIDT, 3, 0, { 0x0f, 0x01, 0x0f } },
	{ HULL_OP_LGDT, 3, 0, { 0x0f, 0x01, 0x17 } },
	{ HULL_OP_LIDT, 3, 0, { 0x0f, 0x01, 0x1f } },
	{ HULL_OP_SLDT, 3, 0, { 0x0f, 0x00, 0xc0 } },
	{ HULL_OP_STR, 3, 0, { 0x0f, 0x00, 0xc8 } },
	{ HULL_OP_LLDT, 3, 0, { 0x0f, 0x00, 0xd0 } },
	{ HULL_OP_LTR, 3, 0, { 0x0f, 0x00, 0xd8 } },
	{ HULL_OP_VMRUN, 3, 0, { 0x0f, 0x01, 0xd8 } },
	{ HULL_OP_VMLOAD, 3, 0, { 0x0f, 0x01, 0xda } },
	{ HULL_OP_VMSAVE, 3, 0, { 0x0f, 0x01, 0xdb } },
	{ HULL_OP_STGI, 3, 0, { 0x0f, 0x01, 0xdc } },
	{ HULL_OP_CLGI, 3, 0, { 0x0f, 0x01, 0xdd } },
	{ HULL_OP_SKINIT, 3, 0, { 0x0f, 0x01, 0xde } },
	{ HULL_OP_INVPCID, 5, 0, { 0x66, 0x0f, 0x38, 0x82, 0x07 } },
	{ HULL_OP_RDPRU, 3, 0, { 0x0f, 0x01, 0xfd } },
	{ HULL_OP_INVLPGB, 3, 0, { 0x0f, 0x01, 0xfe } },
	{ HULL_OP_TLBSYNC, 3, 0, { 0x0f, 0x01, 0xff } },
	{ HULL_OP_INVEPT, 5, 0, { 0x66, 0x0f, 0x38, 0x80, 0x07 } },
	{ HULL_OP_INVVPID, 5, 0, { 0x66, 0x0f, 0x38, 0x81, 0x07 } },
	{ HULL_OP_VMX, 3, 0, { 0x0f, 0x01, 0xc2 } },
	{ HULL_OP_VMX, 3, 0, { 0x0f, 0x78, 0x07 } },
	{ HULL_OP_XSAVES, 3, 0, { 0x0f, 0xc7, 0x2f } },
	{ HULL_OP_XRSTORS, 3, 0, { 0x0f, 0xc7, 0x1f } },
	{ HULL_OP_RDRAND, 3, 0, { 0x0f, 0xc7, 0xf0 } },
	{ HULL_OP_RDSEED, 3, 0, { 0x0f, 0xc7, 0xf8 } },
};

static bool test_exit_lengths(void)
{
	unsigned int i, k, mode;
	bool ok = true;

	for (i = 0; i < ARRAY_SIZE(exits); i++) {
		u8 bytes[16] = { 0 };

		memcpy(bytes, exits[i].bytes, sizeof(exits[i].bytes));
		for (mode = exits[i].only64 ? HULL_MODE_64 : 0; mode <= HULL_MODE_64; mode++) {
			int got = hull_insn_length_of(exits[i].op, mode, bytes, 15);
			int other = hull_insn_length_of(exits[i].op + 1, mode, bytes, 15);

			if (got != exits[i].length || other != -ENOENT) {
				printf("# row %u mode %u: %d, as another %d\n", i, mode, got, other);
				ok = false;
			}
			for (k = 0; k < exits[i].length; k++)
				ok &= hull_insn_length_of(exits[i].op, mode, bytes, k) == -EAGAIN;
		}
	}
	/* INTO does not exist in 64-bit code. */
	ok &= hull_insn_length_of(HULL_OP_INTO, HULL_MODE_32, BYTES(0xce), 1) == 1;
	ok &= hull_insn_length_of(HULL_OP_INTO, HULL_MODE_64, BYTES(0xce), 1) == -EINVAL;
	return ok;
}

static bool test_modes(void)
{
	reset(REAL);
	CHECK(hull_emu_mode(&regs) == HULL_MODE_16);
	regs.seg[HULL_CS].attr |= HULL_SEG_DB;
	CHECK(hull_emu_mode(&regs) == HULL_MODE_32);
	regs.cr0 = EMU_CR0_PE;
	CHECK(hull_emu_mode(&regs) == HULL_MODE_32);
	regs.rflags |= FLAG_VM;
	CHECK(hull_emu_mode(&regs) == HULL_MODE_16);
	reset(LONG);
	CHECK(hull_emu_mode(&regs) == HULL_MODE_64);
	regs.efer = 0;
	CHECK(hull_emu_mode(&regs) == HULL_MODE_16);
	return true;
}

static bool test_decode_errors(void)
{
	struct hull_insn insn;
	u8 run[16];

	memset(run, 0x66, sizeof(run));
	run[14] = 0x90;
	CHECK(!hull_insn_decode(&insn, HULL_MODE_64, run, 15) && insn.length == 15);
	run[14] = 0x66;
	run[15] = 0x90;
	CHECK(hull_insn_decode(&insn, HULL_MODE_64, run, 16) == -E2BIG);
	CHECK(hull_insn_decode(&insn, HULL_MODE_64, run, 14) == -EAGAIN);
	CHECK(hull_insn_decode(&insn, HULL_MODE_64, run, 0) == -EAGAIN);
	/* LOCK: only where memory is modified */
	CHECK(hull_insn_decode(&insn, HULL_MODE_64, BYTES(0xf0, 0x0f, 0xa2), 15) == -EINVAL);
	CHECK(hull_insn_decode(&insn, HULL_MODE_64, BYTES(0xf0, 0x01, 0xc0), 15) == -EINVAL);
	CHECK(hull_insn_decode(&insn, HULL_MODE_64, BYTES(0xf0, 0x3b, 0x00), 15) == -EINVAL);
	CHECK(!hull_insn_decode(&insn, HULL_MODE_64, BYTES(0xf0, 0x01, 0x00), 15));
	CHECK(hull_insn_decode(&insn, HULL_MODE_64, BYTES(0x0f, 0x20, 0xc8), 15) == -EINVAL);
	CHECK(hull_insn_decode(&insn, HULL_MODE_64, BYTES(0x8e, 0xc8), 15) == -EINVAL);
	CHECK(hull_insn_decode(&insn, HULL_MODE_64, BYTES(0x06), 15) == -EINVAL);
	return true;
}

static bool test_operands_of_exits(void)
{
	struct hull_insn insn;
	u64 linear;

	reset(LONG);
	CHECK(!hull_insn_decode_as(&insn, HULL_OP_MOV_TO_CR, HULL_MODE_64,
				   BYTES(0x41, 0x0f, 0x22, 0xdc), 15));
	CHECK(insn.reg == 3 && insn.rm == HULL_R12);
	CHECK(hull_emu_linear(&insn, &regs, &linear) == -EINVAL);
	/* INVLPG fs:[rip + 0x10] */
	regs.seg[HULL_FS].base = 0x100000;
	CHECK(!hull_insn_decode_as(&insn, HULL_OP_INVLPG, HULL_MODE_64,
				   BYTES(0x64, 0x0f, 0x01, 0x3d, 0x10, 0, 0, 0), 15));
	CHECK(!hull_emu_linear(&insn, &regs, &linear) && linear == 0x100000 + RIP + 8 + 0x10);
	return true;
}

/*
 * Machine status word
 */

static bool faults(const u8 *bytes, u8 vector, bool has_error)
{
	struct hull_emu_regs before = regs;

	return execute(bytes) == HULL_EMU_FAULT && emu.fault.vector == vector &&
	       emu.fault.has_error == has_error && !emu.fault.error &&
	       !memcmp(&before, &regs, sizeof(regs)) && !machine.writes;
}

#define CR0	(0xe0050000ULL | EMU_CR0_PE | 0x30)

static bool test_smsw(void)
{
	reset(LONG);
	regs.cr0 = CR0;
	regs.gpr[HULL_RAX] = regs.gpr[HULL_R9] = 0x1122334455667788ULL;
	regs.gpr[HULL_RBX] = 0x1fff;
	memory[0x2001] = 0x99;
	/* To memory 16 bits whatever the operand size, across pages too */
	CHECK(execute(BYTES(0x48, 0x0f, 0x01, 0x23)) == HULL_EMU_DONE && machine.writes == 2);
	CHECK(memory[0x1fff] == 0x31 && !memory[0x2000] && memory[0x2001] == 0x99);
	CHECK(regs.rip == RIP + 4 && regs.cr0 == CR0);
	regs.rip = RIP;
	CHECK(execute(BYTES(0x66, 0x0f, 0x01, 0xe0)) == HULL_EMU_DONE);
	CHECK(regs.gpr[HULL_RAX] == 0x1122334455660031ULL);
	CHECK(execute(BYTES(0x0f, 0x01, 0xe0)) == HULL_EMU_DONE && regs.gpr[HULL_RAX] == CR0);
	CHECK(execute(BYTES(0x49, 0x0f, 0x01, 0xe1)) == HULL_EMU_DONE && regs.gpr[HULL_R9] == CR0);
	regs.cpl = 3;
	CHECK(execute(BYTES(0x0f, 0x01, 0xe0)) == HULL_EMU_DONE);
	regs.cr4 = EMU_CR4_UMIP;
	machine.writes = 0;
	CHECK(faults(BYTES(0x0f, 0x01, 0xe0), VECTOR_GP, true));
	return true;
}

static bool test_lmsw(void)
{
	reset(REAL);
	regs.cr0 = 0x60000010;
	regs.gpr[HULL_RBX] = 0x1234;
	memory[0x1234] = 0xff;
	CHECK(execute(BYTES(0x0f, 0x01, 0x37)) == HULL_EMU_DONE && machine.last_size == 2);
	CHECK(regs.cr0 == 0x6000001f && regs.rip == RIP + 3);
	/* PE stays, MP, EM and TS go, nothing else changes */
	reset(LONG);
	regs.cr0 = CR0 | EMU_CR0_MSW;
	CHECK(execute(BYTES(0x0f, 0x01, 0xf0)) == HULL_EMU_DONE && regs.cr0 == CR0);
	regs.gpr[HULL_RAX] = ~0ULL;
	CHECK(execute(BYTES(0x0f, 0x01, 0xf0)) == HULL_EMU_DONE && regs.cr0 == (CR0 | EMU_CR0_MSW));
	regs.cpl = 3;
	CHECK(faults(BYTES(0x0f, 0x01, 0xf0), VECTOR_GP, true));
	reset(PROT32);
	regs.seg[HULL_DS].limit = 0x100;
	regs.gpr[HULL_RBX] = 0x100;
	CHECK(faults(BYTES(0x0f, 0x01, 0x33), VECTOR_GP, true) && !machine.reads);
	reset(V86);
	CHECK(faults(BYTES(0x0f, 0x01, 0xf0), VECTOR_GP, true));
	return true;
}

/*
 * Exceptions
 */

static bool test_segment_limits(void)
{
	reset(REAL);
	regs.gpr[HULL_RBX] = 0xffff;
	CHECK(faults(BYTES(0x89, 0x07), VECTOR_GP, false));	/* mov [bx], ax */
	regs.gpr[HULL_RBP] = 0xffff;
	CHECK(faults(BYTES(0x89, 0x46, 0x00), VECTOR_SS, false));	/* mov [bp], ax */
	CHECK(execute(BYTES(0x88, 0x07)) == HULL_EMU_DONE);		/* mov [bx], al */

	reset(V86);
	regs.gpr[HULL_RBX] = 0xffff;
	CHECK(faults(BYTES(0x89, 0x07), VECTOR_GP, true));

	reset(PROT32);
	regs.seg[HULL_DS].limit = 0xfff;
	regs.gpr[HULL_RBX] = 0xffd;
	CHECK(faults(BYTES(0x89, 0x03), VECTOR_GP, true));
	regs.gpr[HULL_RBX] = 0xffc;
	CHECK(execute(BYTES(0x89, 0x03)) == HULL_EMU_DONE);
	/* Expand down: above the limit only */
	reset(PROT32);
	regs.seg[HULL_DS].limit = 0xfff;
	regs.seg[HULL_DS].attr |= HULL_SEG_DOWN;
	regs.gpr[HULL_RBX] = 0xfff;
	CHECK(faults(BYTES(0x89, 0x03), VECTOR_GP, true));
	regs.gpr[HULL_RBX] = 0x1000;
	CHECK(execute(BYTES(0x89, 0x03)) == HULL_EMU_DONE);
	return true;
}

static bool test_segment_types(void)
{
	reset(PROT32);
	regs.seg[HULL_DS].attr = 0;
	CHECK(faults(BYTES(0x8b, 0x03), VECTOR_GP, true));
	reset(PROT32);
	regs.seg[HULL_SS].attr &= ~HULL_SEG_P;
	CHECK(faults(BYTES(0x8b, 0x45, 0x00), VECTOR_SS, true));
	reset(PROT32);
	CHECK(faults(BYTES(0x2e, 0x89, 0x03), VECTOR_GP, true));
	CHECK(execute(BYTES(0x2e, 0x8b, 0x03)) == HULL_EMU_DONE);
	reset(PROT32);
	regs.seg[HULL_CS].attr &= ~HULL_SEG_READ;
	CHECK(faults(BYTES(0x2e, 0x8b, 0x03), VECTOR_GP, true));
	reset(PROT32);
	regs.seg[HULL_DS].attr &= ~HULL_SEG_WRITE;
	CHECK(execute(BYTES(0x8b, 0x03)) == HULL_EMU_DONE);
	CHECK(faults(BYTES(0x89, 0x03), VECTOR_GP, true));
	/* The read of ADD already needs the right to write. */
	CHECK(faults(BYTES(0x01, 0x03), VECTOR_GP, true) && machine.reads == 1);
	return true;
}

static bool test_canonical(void)
{
	reset(LONG);
	regs.gpr[HULL_RBX] = 0x7ffffffffffdULL;
	CHECK(faults(BYTES(0x89, 0x03), VECTOR_GP, true));
	regs.gpr[HULL_RBP] = 0x800000000000ULL;
	CHECK(faults(BYTES(0x89, 0x45, 0x00), VECTOR_SS, true));
	regs.cr4 = EMU_CR4_LA57;
	CHECK(execute(BYTES(0x89, 0x45, 0x00)) == HULL_EMU_DONE);
	/* CMPXCHG16B wants alignment */
	reset(LONG);
	regs.gpr[HULL_RBX] = 8;
	CHECK(faults(BYTES(0x48, 0x0f, 0xc7, 0x0b), VECTOR_GP, true));
	return true;
}

static bool test_port_permission(void)
{
	reset(PROT32);
	machine.io_denied = true;
	CHECK(execute(BYTES(0xec)) == HULL_EMU_DONE);
	regs.cpl = 3;
	CHECK(faults(BYTES(0xec), VECTOR_GP, true) && machine.ins == 1);
	regs.rflags |= FLAG_IOPL;
	CHECK(execute(BYTES(0xec)) == HULL_EMU_DONE);
	reset(V86);
	machine.io_denied = true;
	regs.rflags |= FLAG_IOPL;
	regs.gpr[HULL_RCX] = 1;
	CHECK(faults(BYTES(0xf3, 0x6c), VECTOR_GP, true) && !machine.ins);
	return true;
}

static bool test_page_crossing_write(void)
{
	reset(LONG);
	regs.gpr[HULL_RBX] = 0x1ffe;
	machine.probe_fault_page = 2;
	CHECK(execute(BYTES(0x89, 0x03)) == HULL_EMU_FAULT);
	CHECK(emu.fault.vector == 14 && emu.fault.address == 0x2000 && !machine.writes);
	machine.probe_fault_page = ~0u;
	regs.gpr[HULL_RAX] = 0x44332211;
	CHECK(execute(BYTES(0x89, 0x03)) == HULL_EMU_DONE && machine.writes == 2);
	CHECK(memory[0x1fff] == 0x22 && memory[0x2000] == 0x33);
	/* Linear addresses of 32-bit code wrap at 4 GiB. */
	reset(PROT32);
	regs.seg[HULL_DS].base = 0xfffffffe;
	CHECK(execute(BYTES(0x89, 0x03)) == HULL_EMU_DONE && machine.last_address == 0);
	return true;
}

static bool test_ins_checks_memory_first(void)
{
	reset(LONG);
	regs.gpr[HULL_RDI] = 0x2000;
	machine.probe_fault_page = 2;
	CHECK(execute(BYTES(0x6c)) == HULL_EMU_FAULT && !machine.ins);
	reset(PROT32);
	regs.seg[HULL_ES].limit = 0x10;
	regs.gpr[HULL_RDI] = 0x11;
	CHECK(execute(BYTES(0x6c)) == HULL_EMU_FAULT && !machine.ins);
	return true;
}

/*
 * Strings
 */

static bool test_batches(void)
{
	reset(LONG);
	regs.gpr[HULL_RCX] = 4096;
	regs.gpr[HULL_RDI] = 0x3000;
	regs.gpr[HULL_RDX] = 0x1f0;
	CHECK(execute(BYTES(0xf3, 0x66, 0x6d)) == HULL_EMU_DONE);	/* rep insw */
	CHECK(machine.ins == 2 && machine.writes == 2 && machine.last_port == 0x1f0);
	CHECK(regs.gpr[HULL_RDI] == 0x5000 && !regs.gpr[HULL_RCX] && memory[0x3001] == 1);

	reset(LONG);
	regs.gpr[HULL_RCX] = 100;
	regs.gpr[HULL_RDI] = 0x3ff0;
	CHECK(execute(BYTES(0xf3, 0x6c)) == HULL_EMU_DONE && machine.ins == 2);
	CHECK(machine.last_count == 84 && machine.last_size == 1);
	/* A dword across the page boundary goes alone. */
	reset(LONG);
	regs.gpr[HULL_RCX] = 3;
	regs.gpr[HULL_RSI] = 0x3ffa;
	CHECK(execute(BYTES(0xf3, 0x6f)) == HULL_EMU_DONE && machine.outs == 3);
	/* Backwards: one at a time */
	reset(LONG);
	regs.rflags |= FLAG_DF;
	regs.gpr[HULL_RCX] = 3;
	regs.gpr[HULL_RDI] = 0x3010;
	CHECK(execute(BYTES(0xf3, 0x6d)) == HULL_EMU_DONE && machine.ins == 3);
	CHECK(regs.gpr[HULL_RDI] == 0x3010 - 12);
	return true;
}

/* The fault comes at the right element, after the ones before it. */
static bool test_batch_limit(void)
{
	reset(PROT32);
	regs.seg[HULL_ES].limit = 0x3007;
	regs.gpr[HULL_RDI] = 0x3000;
	regs.gpr[HULL_RAX] = 0x11223344;
	regs.gpr[HULL_RCX] = 4;
	CHECK(execute(BYTES(0xf3, 0xab)) == HULL_EMU_FAULT && emu.fault.vector == VECTOR_GP);
	CHECK(regs.gpr[HULL_RCX] == 2 && regs.gpr[HULL_RDI] == 0x3008 && regs.rip == RIP);
	CHECK(memory[0x3007] == 0x11 && !memory[0x3008]);
	return true;
}

static bool test_refused_batches(void)
{
	reset(LONG);
	machine.refuse_batch = true;
	regs.gpr[HULL_RCX] = 5;
	regs.gpr[HULL_RDI] = 0x3000;
	CHECK(execute(BYTES(0xf3, 0x6d)) == HULL_EMU_DONE && machine.ins == 5);
	CHECK(machine.writes == 5 && memory[0x3013] == 19);
	reset(LONG);
	machine.refuse_batch = true;
	regs.gpr[HULL_RCX] = 5;
	regs.gpr[HULL_RDI] = 0x3000;
	regs.gpr[HULL_RAX] = 0x1234;
	CHECK(execute(BYTES(0xf3, 0x66, 0xab)) == HULL_EMU_DONE && machine.writes == 5);
	CHECK(memory[0x3008] == 0x34 && memory[0x3009] == 0x12);
	return true;
}

static bool test_overlap(void)
{
	unsigned int i;

	reset(LONG);
	memory[0x3000] = 0x77;
	regs.gpr[HULL_RSI] = 0x3000;
	regs.gpr[HULL_RDI] = 0x3001;
	regs.gpr[HULL_RCX] = 50;
	CHECK(execute(BYTES(0xf3, 0xa4)) == HULL_EMU_DONE);
	for (i = 0; i <= 50; i++)
		CHECK(memory[0x3000 + i] == 0x77);
	CHECK(memory[0x3033] == 0);
	return true;
}

static bool test_address_wrap(void)
{
	reset(REAL);
	regs.gpr[HULL_RSI] = 0xabcdfffe;
	regs.gpr[HULL_RDI] = 0x1234fff8;
	regs.gpr[HULL_RCX] = 0x55550004;
	CHECK(execute(BYTES(0xf3, 0xa5)) == HULL_EMU_DONE);	/* rep movsw */
	CHECK(regs.gpr[HULL_RSI] == 0xabcd0006 && regs.gpr[HULL_RDI] == 0x12340000);
	CHECK(regs.gpr[HULL_RCX] == 0x55550000);
	reset(LONG);
	regs.gpr[HULL_RDI] = 0x1fffffffcULL;
	regs.gpr[HULL_RCX] = 0xf00000008ULL;
	CHECK(execute(BYTES(0x67, 0xf3, 0xaa)) == HULL_EMU_DONE);	/* rep stosb, edi */
	CHECK(regs.gpr[HULL_RDI] == 4 && regs.gpr[HULL_RCX] == 0 && machine.writes >= 2);
	return true;
}

static bool test_iterations(void)
{
	reset(LONG);
	regs.gpr[HULL_RCX] = 10;
	regs.gpr[HULL_RSI] = 0x3000;
	CHECK(!start(BYTES(0xf3, 0xac)));
	CHECK(hull_emu_execute(&emu, 4) == HULL_EMU_AGAIN);
	CHECK(regs.gpr[HULL_RCX] == 6 && regs.rip == RIP && regs.gpr[HULL_RSI] == 0x3004);
	CHECK(hull_emu_execute(&emu, 4) == HULL_EMU_AGAIN);
	CHECK(hull_emu_execute(&emu, 4) == HULL_EMU_DONE && regs.rip == RIP + 2);
	CHECK(hull_emu_execute(&emu, 4) == -EINVAL);
	/* Single-stepping stops after each element. */
	reset(LONG);
	regs.rflags |= FLAG_TF;
	regs.gpr[HULL_RCX] = 2;
	CHECK(execute(BYTES(0xf3, 0xaa)) == HULL_EMU_AGAIN && emu.after == HULL_EMU_TRAP);
	CHECK(regs.gpr[HULL_RCX] == 1);
	CHECK(execute(BYTES(0xf3, 0xaa)) == HULL_EMU_DONE && emu.after == HULL_EMU_TRAP);
	return true;
}

/*
 * Interface
 */

static bool test_suspension(void)
{
	u32 value = 5;

	reset(LONG);
	regs.gpr[HULL_RBX] = 0x3000;
	regs.gpr[HULL_RAX] = 7;
	machine.suspend = true;
	CHECK(hull_emu_complete(&emu, &value, 4) == -ENOENT);
	CHECK(execute(BYTES(0x01, 0x03)) == HULL_EMU_SUSPEND);		/* add [rbx], eax */
	CHECK(machine.last_flags == (HULL_EMU_WRITE | HULL_EMU_RMW));
	CHECK(hull_emu_pending(&emu)->kind == HULL_LOG_READ);
	CHECK(hull_emu_execute(&emu, 1) == HULL_EMU_SUSPEND && machine.reads == 1);
	CHECK(hull_emu_complete(&emu, &value, 8) == -EINVAL);
	CHECK(hull_emu_complete(&emu, &value, 4) == 0 && !hull_emu_pending(&emu));
	CHECK(hull_emu_execute(&emu, 1) == HULL_EMU_DONE && machine.reads == 1);
	CHECK(memory[0x3000] == 12 && regs.rip == RIP + 2);
	/* Registers changed under it: refused, and forgotten */
	CHECK(execute(BYTES(0x8b, 0x03)) == HULL_EMU_SUSPEND);
	CHECK(hull_emu_complete(&emu, &value, 4) == 0);
	regs.gpr[HULL_RBX] = 0x4000;
	CHECK(hull_emu_execute(&emu, 1) == -EINVAL && !emu.state.nlog);
	/* Cancelled */
	CHECK(execute(BYTES(0x8b, 0x03)) == HULL_EMU_SUSPEND);
	hull_emu_cancel(&emu);
	CHECK(!hull_emu_pending(&emu) && hull_emu_execute(&emu, 1) == -EINVAL);
	return true;
}

static bool test_locked(void)
{
	reset(LONG);
	CHECK(execute(BYTES(0x87, 0x03)) == HULL_EMU_DONE);	/* xchg [rbx], eax */
	CHECK(machine.last_flags == (HULL_EMU_WRITE | HULL_EMU_LOCKED));
	CHECK(execute(BYTES(0xf0, 0x0f, 0xc1, 0x03)) == HULL_EMU_DONE);
	CHECK(machine.last_flags == (HULL_EMU_WRITE | HULL_EMU_LOCKED));
	CHECK(execute(BYTES(0x01, 0x03)) == HULL_EMU_DONE);
	CHECK(machine.last_flags == HULL_EMU_WRITE);
	return true;
}

static bool test_after_effects(void)
{
	reset(REAL);
	memory[0x10] = 0x34;
	memory[0x11] = 0x12;
	regs.rflags |= FLAG_RF;
	CHECK(execute(BYTES(0x8e, 0x16, 0x10, 0x00)) == HULL_EMU_DONE);	/* mov ss, [0x10] */
	CHECK(emu.after == HULL_EMU_SHADOW && !(regs.rflags & FLAG_RF));
	CHECK(regs.seg[HULL_SS].selector == 0x1234 && regs.seg[HULL_SS].base == 0x12340);
	CHECK(execute(BYTES(0x8e, 0x1e, 0x10, 0x00)) == HULL_EMU_DONE && !emu.after);
	regs.rflags |= FLAG_TF;
	CHECK(execute(BYTES(0x88, 0x07)) == HULL_EMU_DONE && emu.after == HULL_EMU_TRAP);
	return true;
}

static bool test_unhandled(void)
{
	reset(PROT32);
	CHECK(execute(BYTES(0x8e, 0x1b)) == HULL_EMU_UNHANDLED);	/* mov ds, [ebx] */
	CHECK(execute(BYTES(0x0f, 0x10, 0x03)) == HULL_EMU_UNHANDLED);	/* movups */
	CHECK(execute(BYTES(0xf7, 0x23)) == HULL_EMU_UNHANDLED);	/* mul */
	CHECK(execute(BYTES(0x0f, 0xa2)) == HULL_EMU_UNHANDLED);	/* cpuid */
	CHECK(execute(BYTES(0xc5, 0xf8, 0x10, 0x03)) == HULL_EMU_UNHANDLED);
	CHECK(execute(BYTES(0xff, 0x13)) == HULL_EMU_UNHANDLED);	/* call [ebx] */
	CHECK(regs.rip == RIP && !machine.reads);
	return true;
}

/* Whatever user space hands in is refused or harmless (ASan and UBSan watch in the fuzzer). */
static bool test_restore(void)
{
	static struct hull_emu_state state;
	uint64_t rng = 42;
	unsigned int i, k, accepted = 0;

	reset(LONG);
	CHECK(hull_emu_restore(&emu, &state) == 0);
	CHECK(hull_emu_execute(&emu, 1) == -EINVAL);
	for (i = 0; i < 20000; i++) {
		memset(&state, 0, sizeof(state));
		state.mode = HULL_MODE_64;
		state.nbytes = 2;
		memcpy(state.bytes, i & 1 ? "\xf3\xa4" : "\x01\x03", 2);
		for (k = 0; k < 1 + i % 4; k++)
			((u8 *)&state)[next_random(&rng) % 80] = (u8)next_random(&rng);
		if (hull_emu_restore(&emu, &state))
			continue;
		accepted++;
		hull_emu_execute(&emu, 3);
	}
	CHECK(accepted > 100 && accepted < 20000);
	memset(&state, 0, sizeof(state));
	state.nlog = HULL_EMU_LOG + 1;
	CHECK(hull_emu_restore(&emu, &state) == -EINVAL);
	return true;
}

static bool test_layout(void)
{
	return sizeof(struct hull_emu_log) == 16 && sizeof(struct hull_emu_state) ==
	       24 + HULL_EMU_LOG * sizeof(struct hull_emu_log) + HULL_EMU_BATCH;
}

static const struct {
	const char *name;
	bool (*run)(void);
} tests[] = {
	{ "unit: length of every instruction that exits", test_exit_lengths },
	{ "unit: width of the code", test_modes },
	{ "unit: decoder errors", test_decode_errors },
	{ "unit: operands of exits", test_operands_of_exits },
	{ "unit: SMSW", test_smsw },
	{ "unit: LMSW", test_lmsw },
	{ "unit: segment limits", test_segment_limits },
	{ "unit: segment types", test_segment_types },
	{ "unit: canonical addresses and alignment", test_canonical },
	{ "unit: port permission", test_port_permission },
	{ "unit: write across pages", test_page_crossing_write },
	{ "unit: INS checks memory before the port", test_ins_checks_memory_first },
	{ "unit: batches", test_batches },
	{ "unit: limit inside a batch", test_batch_limit },
	{ "unit: refused batches", test_refused_batches },
	{ "unit: overlapping MOVS", test_overlap },
	{ "unit: address wrap", test_address_wrap },
	{ "unit: iterations and single step", test_iterations },
	{ "unit: suspension interface", test_suspension },
	{ "unit: locked accesses", test_locked },
	{ "unit: after effects", test_after_effects },
	{ "unit: unhandled instructions", test_unhandled },
	{ "unit: restore of untrusted state", test_restore },
	{ "unit: layout of the saved state", test_layout },
};

int main(void)
{
	unsigned int i;

	ktap_begin(ARRAY_SIZE(tests));
	for (i = 0; i < ARRAY_SIZE(tests); i++)
		ktap_result(tests[i].run(), tests[i].name);
	return ktap_end();
}
