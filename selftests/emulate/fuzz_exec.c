// SPDX-License-Identifier: GPL-2.0
/*
 * libFuzzer on the executor: random instruction, registers and answers of the
 * callbacks, states saved, damaged and restored. The callbacks touch every
 * byte they are given, so that ASan sees a wrong length.
 */
#include "../../kmod/emulate/internal.h"
#include <stdlib.h>

#define REQUIRE(cond) do { if (!(cond)) abort(); } while (0)

static const u8 *input;
static size_t left;

static u8 next_u8(void)
{
	if (!left)
		return 0;
	left--;
	return *input++;
}

static u64 next_u64(void)
{
	u64 value = 0;
	unsigned int i;

	for (i = 0; i < 8; i++)
		value = value << 8 | next_u8();
	return value;
}

/* Values of the kind that make trouble: small, negative, at the edges, anything. */
static u64 next_value(void)
{
	u8 how = next_u8();

	switch (how & 7) {
	case 0:
		return how >> 3;
	case 1:
		return 0x1000 * (u64)next_u8() - (how >> 3);
	case 2:
		return 0xffffffff - (how >> 3);
	case 3:
		return 0x800000000000ULL - (how >> 3);
	case 4:
		return extend(next_u8(), 1);
	case 5:
		return 0xffff - (how >> 3);
	default:
		return next_u64();
	}
}

static int answer(struct hull_emu *emu, u32 count)
{
	switch (next_u8() % 12) {
	case 0:
		return HULL_EMU_SUSPEND;
	case 1:
		emu->fault.vector = 14;
		return HULL_EMU_FAULT;
	case 2:
		return count > 1 ? -E2BIG : HULL_EMU_DONE;
	case 3:
		return -EFAULT;
	default:
		return HULL_EMU_DONE;
	}
}

static void check_memory(const struct hull_emu *emu, u64 linear, u32 size, u32 count)
{
	REQUIRE(size && count && size <= 16 && size * count <= HULL_EMU_BATCH);
	REQUIRE((linear & 4095) + size * count <= 4096);
	REQUIRE(linear <= hull_emu_linear_mask(emu));
	REQUIRE(count == 1 || size == 1 || size == 2 || size == 4 || size == 8);
}

static int fuzz_read(struct hull_emu *emu, u64 linear, void *data, u32 size, u32 count,
		     u32 flags)
{
	(void)flags;
	check_memory(emu, linear, size, count);
	memset(data, next_u8(), size * count);
	return answer(emu, count);
}

static u8 sink;

static void consume(const void *data, u32 len)
{
	const u8 *p = data;

	while (len--)
		sink ^= *p++;
}

static int fuzz_write(struct hull_emu *emu, u64 linear, const void *data, u32 size, u32 count,
		      u32 flags)
{
	REQUIRE(flags & HULL_EMU_WRITE);
	check_memory(emu, linear, size, count);
	consume(data, size * count);
	return answer(emu, count);
}

static int fuzz_probe(struct hull_emu *emu, u64 linear, u32 len, u32 flags)
{
	(void)flags;
	check_memory(emu, linear, 1, len);
	return next_u8() % 8 ? HULL_EMU_DONE : hull_emu_raise(emu, 14, 2);
}

static void check_port(u32 size, u32 count)
{
	REQUIRE((size == 1 || size == 2 || size == 4) && count &&
		size * count <= HULL_EMU_BATCH);
}

static int fuzz_in(struct hull_emu *emu, u16 port, u32 size, u32 count, void *data)
{
	(void)port;
	check_port(size, count);
	memset(data, next_u8(), size * count);
	return answer(emu, count);
}

static int fuzz_out(struct hull_emu *emu, u16 port, u32 size, u32 count, const void *data)
{
	(void)port;
	check_port(size, count);
	consume(data, size * count);
	return answer(emu, count);
}

static int fuzz_io_allowed(struct hull_emu *emu, u16 port, u32 size)
{
	(void)port;
	(void)size;
	return next_u8() % 8 ? HULL_EMU_DONE : hull_emu_raise(emu, VECTOR_GP, 0);
}

static const struct hull_emu_ops ops = {
	.read = fuzz_read, .write = fuzz_write, .probe = fuzz_probe,
	.in = fuzz_in, .out = fuzz_out, .io_allowed = fuzz_io_allowed,
};

static void fill_regs(struct hull_emu_regs *regs)
{
	unsigned int i;

	memset(regs, 0, sizeof(*regs));
	for (i = 0; i < 16; i++)
		regs->gpr[i] = next_value();
	regs->rip = next_value();
	regs->rflags = next_u64() & 0x3ffff;
	regs->cr0 = next_u8() & 7 ? 1 : 0;
	regs->cr4 = (u64)(next_u8() & 1) << 12;
	regs->efer = next_u8() & 1 ? EMU_EFER_LMA : 0;
	regs->cpl = next_u8() & 3;
	for (i = 0; i < HULL_NSEGS; i++) {
		u8 how = next_u8();

		regs->seg[i].base = how & 1 ? next_value() : 0;
		regs->seg[i].limit = how & 2 ? (u32)next_value() : 0xffffffff;
		regs->seg[i].attr = how & 4 ? next_u64() & 0xfff : 0xc93;
		if (i == HULL_CS && !(how & 4))
			regs->seg[i].attr = how & 8 ? 0xa9b : 0xc9b;
	}
}

static void complete(struct hull_emu *emu)
{
	static u8 data[HULL_EMU_BATCH];
	const struct hull_emu_log *log = hull_emu_pending(emu);
	bool reads;

	REQUIRE(log);
	reads = log->kind == HULL_LOG_READ || log->kind == HULL_LOG_IN;
	memset(data, next_u8(), sizeof(data));
	if (!(next_u8() & 7))
		hull_emu_complete(emu, data, next_u8());
	else
		REQUIRE(!hull_emu_complete(emu, data, reads ? log->size * log->count : 0));
}

/* Through a saved state, sometimes damaged on the way */
static void save_and_restore(struct hull_emu *emu)
{
	static struct hull_emu_state state;

	state = emu->state;
	if (next_u8() & 1)
		((u8 *)&state)[next_u8() % 160] = next_u8();
	hull_emu_restore(emu, &state);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct hull_emu emu;
	static struct hull_emu_regs regs;
	unsigned int steps = 40;
	u8 bytes[15];
	int ret;

	if (size < 16)
		return 0;
	memcpy(bytes, data, 15);
	input = data + 15;
	left = size - 15;
	fill_regs(&regs);
	emu.ops = &ops;
	emu.regs = &regs;
	if (hull_emu_begin(&emu, bytes, 15))
		return 0;
	while (steps--) {
		struct hull_emu_regs before = regs;

		ret = hull_emu_execute(&emu, 1);
		if (ret == HULL_EMU_DONE || ret == HULL_EMU_UNHANDLED || ret == -EINVAL)
			break;
		if (ret != HULL_EMU_AGAIN)
			REQUIRE(!memcmp(&before, &regs, sizeof(regs)));
		if (ret == HULL_EMU_FAULT)
			break;
		if (!(next_u8() & 7))
			save_and_restore(&emu);
		if (hull_emu_pending(&emu) && next_u8() & 7)
			complete(&emu);
	}
	return 0;
}
