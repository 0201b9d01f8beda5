// SPDX-License-Identifier: GPL-2.0
/*
 * The executor against the CPU: the same instruction with the same registers
 * and memory is executed natively in this process and by the executor on a
 * copy; registers, defined flags, memory and exceptions are compared. 64-bit
 * code (NATIVE_MODE HULL_MODE_64), or 32-bit code through a far jump to the
 * compatibility segment, which not every kernel has.
 *
 * The native side runs in a stub at a low address: load registers, the
 * instruction, store registers. A signal handler takes the exceptions.
 *
 * Where Intel's CPUs do other than AMD's, the executor does as AMD's. On an Intel
 * CPU that is not compared: see is_of_amd(), register_mask() and compared_flags().
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <cpuid.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "gen.h"

#define CODE		0x20000000ULL
#define INSN		(CODE + 0x800)
#define SAVE		(CODE + 0xa00)
#define CTX		0x21000000ULL
#define SCRATCH		0x30000000ULL
#define SCRATCH_SIZE	0x10000u
#define LOW_START	0x10000ULL	/* reached by 16-bit addresses if it may be mapped at 0 */
#define GS_BASE		0x1234000ULL

#define USER32_CS	0x23
#define USER64_CS	0x33
#define USER_DS		0x2b

struct native_regs {
	u64 gpr[16];
	u64 flags;
};

/* Lives at CTX, where the stub finds it by 32-bit addresses. */
struct context {
	struct native_regs in;
	u64 host_rsp;
	struct native_regs out;
	struct {
		u32 offset;
		u16 selector;
	} to32;			/* far pointer */
	u8 stack[256];
};

struct region {
	u64 base;
	u32 size;
	u8 *shadow;
	u8 *before;
};

static struct context *ctx = (void *)CTX;
static struct region regions[2];
static unsigned int nregions;
static sigjmp_buf escape;
static int trap_number;
static u64 trap_address;
static u8 *emit_at;
static bool intel;

/*
 * The stub
 */

static void emit(const void *bytes, unsigned int n)
{
	memcpy(emit_at, bytes, n);
	emit_at += n;
}

static void emit_bytes(const char *bytes, unsigned int n, u64 address)
{
	u32 a = (u32)address;

	emit(bytes, n);
	emit(&a, 4);
}

static void emit_jump(u64 target)
{
	emit_bytes("\xe9", 1, target - ((u64)emit_at + 5));
}

/* MOV between register and absolute address; @opcode 8B loads, 89 stores */
static void emit_mov(bool wide, u8 opcode, unsigned int reg, u64 address)
{
	char wide_form[] = { 0x48 | (reg >> 3) << 2, opcode, 0x04 | (reg & 7) << 3, 0x25 };
	char short_form[] = { opcode, 0x05 | (reg & 7) << 3 };

	if (wide)
		emit_bytes(wide_form, 4, address);
	else
		emit_bytes(short_form, 2, address);
}

static void emit_load_all(bool wide)
{
	unsigned int i;

	emit_bytes(wide ? "\x48\xc7\xc4" : "\xbc", wide ? 3 : 1, (u64)&ctx->in.flags);
	emit("\x9d", 1);				/* POPF */
	for (i = 0; i < (wide ? 16 : 8); i++)
		emit_mov(wide, 0x8b, i, (u64)&ctx->in.gpr[i]);
	emit_jump(INSN);
}

static void emit_store_all(bool wide)
{
	unsigned int i;

	for (i = 0; i < (wide ? 16 : 8); i++)
		emit_mov(wide, 0x89, i, (u64)&ctx->out.gpr[i]);
	emit_bytes(wide ? "\x48\xc7\xc4" : "\xbc", wide ? 3 : 1, (u64)(&ctx->stack[256]));
	emit("\x9c", 1);				/* PUSHF */
	emit_bytes(wide ? "\x8f\x04\x25" : "\x8f\x05", wide ? 3 : 2, (u64)&ctx->out.flags);
	emit("\xfc", 1);				/* CLD */
}

static void emit_return(void)
{
	emit_mov(true, 0x8b, HULL_RSP, (u64)&ctx->host_rsp);
	emit("\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x5d\x5b\xc3", 11);
}

static void build_stub(bool wide)
{
	u16 selector = USER64_CS;

	emit_at = (u8 *)CODE;
	emit("\x53\x55\x41\x54\x41\x55\x41\x56\x41\x57", 10);
	emit_mov(true, 0x89, HULL_RSP, (u64)&ctx->host_rsp);
	if (!wide) {
		emit_bytes("\xff\x2c\x25", 3, (u64)&ctx->to32);
		ctx->to32.offset = (u32)(u64)emit_at;
		ctx->to32.selector = USER32_CS;
	}
	emit_load_all(wide);

	emit_at = (u8 *)SAVE;
	emit_store_all(wide);
	if (!wide) {
		emit_bytes("\xea", 1, (u64)emit_at + 7);
		emit(&selector, 2);
	}
	emit_return();
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	static const u8 order[16] = {
		REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
		REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
	};
	const greg_t *gregs = ((ucontext_t *)context)->uc_mcontext.gregs;
	unsigned int i;

	(void)sig;
	(void)info;
	for (i = 0; i < 16; i++)
		ctx->out.gpr[i] = gregs[order[i]];
	ctx->out.flags = gregs[REG_EFL];
	trap_number = (int)gregs[REG_TRAPNO];
	trap_address = gregs[REG_CR2];
	siglongjmp(escape, 1);
}

/* Returns the vector of the exception, or -1. */
static int run_native(const struct testcase *t)
{
	memcpy(ctx->in.gpr, t->regs.gpr, sizeof(ctx->in.gpr));
	ctx->in.flags = t->regs.rflags;
	memcpy((void *)INSN, t->bytes, 15);
	emit_at = (u8 *)INSN + (t->decoded ? 15 : t->insn.length);
	emit_jump(SAVE);
	trap_number = -1;
	if (!sigsetjmp(escape, 1))
		((void (*)(void))CODE)();
	return trap_number;
}

/*
 * The executor's side: memory is the copy, everything else faults
 */

static u8 *shadow_at(u64 linear, u32 len)
{
	unsigned int i;

	for (i = 0; i < nregions; i++)
		if (linear >= regions[i].base && linear + len <= regions[i].base + regions[i].size)
			return regions[i].shadow + (linear - regions[i].base);
	return NULL;
}

static int page_fault(struct hull_emu *emu, u64 linear)
{
	emu->fault.vector = 14;
	emu->fault.address = linear;
	return HULL_EMU_FAULT;
}

static int shadow_read(struct hull_emu *emu, u64 linear, void *data, u32 size, u32 count,
		       u32 flags)
{
	u8 *p = shadow_at(linear, size * count);

	(void)flags;
	if (!p)
		return page_fault(emu, linear);
	memcpy(data, p, size * count);
	return HULL_EMU_DONE;
}

static int shadow_write(struct hull_emu *emu, u64 linear, const void *data, u32 size,
			u32 count, u32 flags)
{
	u8 *p = shadow_at(linear, size * count);

	(void)flags;
	if (!p)
		return page_fault(emu, linear);
	memcpy(p, data, size * count);
	return HULL_EMU_DONE;
}

static int shadow_probe(struct hull_emu *emu, u64 linear, u32 len, u32 flags)
{
	(void)flags;
	return shadow_at(linear, len) ? HULL_EMU_DONE : page_fault(emu, linear);
}

static const struct hull_emu_ops shadow_ops = {
	.read = shadow_read, .write = shadow_write, .probe = shadow_probe,
};

/* Returns the vector, or -1 when done. */
static int run_executor(const struct testcase *t, struct hull_emu *emu,
			struct hull_emu_regs *regs)
{
	int ret;

	*regs = t->regs;
	emu->ops = &shadow_ops;
	emu->regs = regs;
	ret = hull_emu_begin(emu, t->bytes, 15);
	if (ret == -EINVAL)
		return 6;
	if (ret)
		return 1000 + ret;
	do {
		ret = hull_emu_execute(emu, 3);
	} while (ret == HULL_EMU_AGAIN);
	if (ret == HULL_EMU_FAULT)
		return emu->fault.vector;
	return ret == HULL_EMU_DONE ? -1 : 2000 + ret;
}

static const u8 *peek(u64 linear)
{
	return shadow_at(linear, 16);
}

/*
 * Comparison
 */

static bool is_repeated(const struct testcase *t)
{
	return !t->decoded && (t->insn.attr & A_STRING) &&
	       (t->insn.prefixes & (HULL_PFX_REP | HULL_PFX_REPNE));
}

/* MOVSXD to a 16-bit register reads two bytes on Intel's CPUs, four on AMD's. */
static bool is_of_amd(const struct testcase *t)
{
	return !t->decoded && t->insn.op == HULL_OP_MOVSXD && t->insn.opsize == 2;
}

/*
 * A Zen 5 (family 26, model 2) does not copy byte after byte where addresses have 16 bits and the
 * destination begins just behind the source (13 to 28 bytes were seen).
 */
static bool copies_onto_itself(const struct testcase *t)
{
	const u64 *gpr = t->regs.gpr;

	return is_repeated(t) && t->insn.op == HULL_OP_MOVS && t->insn.adsize == 2 &&
	       !(t->regs.rflags & FLAG_DF) && (u16)(gpr[HULL_RDI] - gpr[HULL_RSI]) < 64;
}

/*
 * A string instruction repeated by ECX clears the upper halves on Intel's CPUs, also where it is
 * repeated zero times and, on some of them, faults the first time.
 */
static u64 register_mask(const struct testcase *t, unsigned int reg)
{
	if (t->mode != HULL_MODE_64)
		return 0xffffffff;
	if (intel && is_repeated(t) && t->insn.adsize == 4 &&
	    (!(u32)t->regs.gpr[HULL_RCX] || trap_number == 14) &&
	    (reg == HULL_RCX || reg == HULL_RSI || reg == HULL_RDI))
		return 0xffffffff;
	return ~0ULL;
}

/* A fault of repeated CMPS or SCAS brings the first flags back on Intel's CPUs. */
static u64 compared_flags(const struct testcase *t)
{
	u64 flags = FLAGS_ARITH | FLAG_DF;

	if (t->decoded)
		return flags;
	if (intel && trap_number == 14 && is_repeated(t) &&
	    (t->insn.op == HULL_OP_CMPS || t->insn.op == HULL_OP_SCAS))
		return FLAG_DF;
	return flags & ~gen_undefined_flags(t);
}

static bool registers_match(const struct testcase *t, const struct hull_emu_regs *regs)
{
	u64 flags = compared_flags(t);
	unsigned int i, n = t->mode == HULL_MODE_64 ? 16 : 8;
	bool ok = true;

	for (i = 0; i < n; i++) {
		if ((regs->gpr[i] ^ ctx->out.gpr[i]) & register_mask(t, i)) {
			printf("# register %u: was %#llx, executor %#llx, CPU %#llx\n", i,
			       (unsigned long long)t->regs.gpr[i],
			       (unsigned long long)regs->gpr[i],
			       (unsigned long long)ctx->out.gpr[i]);
			ok = false;
		}
	}
	if ((regs->rflags ^ ctx->out.flags) & flags) {
		printf("# flags: was %#llx, executor %#llx, CPU %#llx, compared %#llx\n",
		       (unsigned long long)t->regs.rflags, (unsigned long long)regs->rflags,
		       (unsigned long long)ctx->out.flags, (unsigned long long)flags);
		ok = false;
	}
	return ok;
}

static bool memory_matches(void)
{
	unsigned int i;

	for (i = 0; i < nregions; i++)
		if (memcmp(regions[i].shadow, (void *)regions[i].base, regions[i].size))
			return false;
	return true;
}

static bool compare(const struct testcase *t, struct hull_emu *emu)
{
	struct hull_emu_regs regs;
	int native = run_native(t);
	int ours = run_executor(t, emu, &regs);

	if (native != ours) {
		printf("# exception: executor %d, CPU %d (address %#llx)\n", ours, native,
		       (unsigned long long)trap_address);
		return false;
	}
	/* MOVS and CMPS may find either of their two operands first. */
	if (native == 14 && t->insn.op != HULL_OP_MOVS && t->insn.op != HULL_OP_CMPS &&
	    trap_address != emu->fault.address) {
		printf("# CR2: executor %#llx, CPU %#llx\n",
		       (unsigned long long)emu->fault.address,
		       (unsigned long long)trap_address);
		return false;
	}
	if (native == -1 && regs.rip != INSN + t->insn.length)
		return false;
	if (!registers_match(t, &regs))
		return false;
	if (!memory_matches()) {
		printf("# memory differs\n");
		return false;
	}
	return true;
}

/*
 * Set-up
 */

static void *map_at(u64 address, u64 size, int prot)
{
	void *p = mmap((void *)address, size, prot,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static bool add_region(u64 base, u32 size)
{
	struct region *r = &regions[nregions];

	if (!map_at(base, size, PROT_READ | PROT_WRITE))
		return false;
	r->base = base;
	r->size = size;
	r->shadow = malloc(size);
	nregions++;
	return true;
}

/* Random memory, with runs of equal bytes so that CMPS and SCAS go on for a while. */
static void fill_memory(uint64_t *rng)
{
	unsigned int i, k;

	for (i = 0; i < nregions; i++) {
		u8 *p = (void *)regions[i].base;

		for (k = 0; k + 8 <= regions[i].size; k += 8) {
			u64 value = next_random(rng);

			if (k & 0x200)
				value = (k & 0x800) ? 0 : 0x0101010101010101ULL * (k >> 12);
			memcpy(p + k, &value, 8);
		}
		memcpy(regions[i].shadow, p, regions[i].size);
	}
}

static bool setup(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP };
	struct sigaction action = {
		.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK,
	};
	stack_t stack = { .ss_sp = malloc(65536), .ss_size = 65536 };
	unsigned int i;

	sigaltstack(&stack, NULL);
	for (i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &action, NULL);
	if (!map_at(CODE, 4096, PROT_READ | PROT_WRITE | PROT_EXEC) ||
	    !map_at(CTX, 4096, PROT_READ | PROT_WRITE) || !add_region(SCRATCH, SCRATCH_SIZE))
		return false;
	if (syscall(SYS_arch_prctl, ARCH_SET_GS, GS_BASE))
		return false;
	/* 32-bit code needs flat data segments; 64-bit code does not look at them. */
	asm volatile("mov %0, %%ds\n\tmov %0, %%es" : : "r"(USER_DS));
	return true;
}

static bool is_intel(void)
{
	u32 eax, ebx, ecx, edx;

	__cpuid(0, eax, ebx, ecx, edx);
	return ebx == signature_INTEL_ebx && ecx == signature_INTEL_ecx &&
	       edx == signature_INTEL_edx;
}

/* With UMIP the kernel makes up an answer to SMSW. */
static bool has_umip(void)
{
	u32 eax = 7, ebx, ecx = 0, edx;

	asm("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	return ecx & 4;
}

static void set_segments(struct gen *gen)
{
	static const u16 data = HULL_SEG_P | HULL_SEG_DPL | HULL_SEG_S | 3 | HULL_SEG_DB |
				HULL_SEG_G;
	struct hull_emu_seg *seg = gen->template.seg;
	bool wide = gen->mode == HULL_MODE_64;
	unsigned int i;
	u16 fs, gs;

	asm("mov %%fs, %0" : "=r"(fs));
	asm("mov %%gs, %0" : "=r"(gs));
	for (i = 0; i < HULL_NSEGS; i++)
		seg[i] = (struct hull_emu_seg){ 0, 0xffffffff, USER_DS, data };
	seg[HULL_CS].selector = wide ? USER64_CS : USER32_CS;
	seg[HULL_CS].attr = HULL_SEG_P | HULL_SEG_DPL | HULL_SEG_S | HULL_SEG_CODE | 3 |
			    HULL_SEG_G | (wide ? HULL_SEG_L : HULL_SEG_DB);
	seg[HULL_FS].selector = fs;
	seg[HULL_GS].selector = gs;
	seg[HULL_GS].base = GS_BASE;
	asm("smsw %0" : "=r"(gen->template.cr0));
	gen->msw = !has_umip();
	gen->template.efer = EMU_EFER_LMA;
	gen->template.cpl = 3;
	gen->template.rflags = 0x202;
}

static void check_mode(enum hull_emu_mode mode, uint64_t seed)
{
	static struct hull_emu emu;
	static struct gen gen;
	unsigned long target = long_mode() ? 20000000 : 400000;
	unsigned long runs = 0, faults = 0, memory = 0, failures = 0;
	unsigned long per_op[HULL_OP_COUNT] = { 0 };
	unsigned int i, kinds = 0;
	char name[80];

	gen.rng = seed;
	gen.mode = mode;
	gen.code = INSN;
	gen.peek = peek;
	gen.low = SCRATCH + 0x4000;
	gen.high = SCRATCH + SCRATCH_SIZE + 0x200;
	gen.low16 = 0x4000;
	gen.high16 = 0xc000;
	set_segments(&gen);
	gen_init(&gen);
	build_stub(mode == HULL_MODE_64);
	while (runs < target && failures < 20) {
		struct testcase t;

		if (!gen_case(&gen, &t) || (intel && is_of_amd(&t)) || copies_onto_itself(&t))
			continue;
		if (!(runs & 0xfff))
			fill_memory(&gen.rng);
		runs++;
		if (!compare(&t, &emu)) {
			gen_print(&t, "differs");
			failures++;
			fill_memory(&gen.rng);
		}
		faults += trap_number != -1;
		if (t.decoded)
			continue;
		memory += t.insn.has_mem || (t.insn.attr & A_STRING);
		per_op[t.insn.op]++;
	}
	for (i = 0; i < HULL_OP_COUNT; i++)
		kinds += !!per_op[i];
	printf("# %s-bit: %lu executions, %lu with memory, %lu exceptions, %u operations\n",
	       mode == HULL_MODE_64 ? "64" : "32", runs, memory, faults, kinds);
	snprintf(name, sizeof(name), "native: %s-bit code does as the CPU does",
		 mode == HULL_MODE_64 ? "64" : "32");
	ktap_result(!failures, name);
}

/* A NOP in the compatibility segment. */
static bool has_32bit_code(void)
{
	static const struct testcase nop = {
		.mode = HULL_MODE_32, .bytes = { 0x90 }, .insn.length = 1, .regs.rflags = 0x202,
	};

	build_stub(false);
	return run_native(&nop) == -1;
}

static void check_32bit(uint64_t seed)
{
	if (!has_32bit_code()) {
		ktap_skip("native: 32-bit code does as the CPU does",
			  "this machine's kernel runs no 32-bit code");
		return;
	}
	/* 16-bit addresses exist in 32-bit code; they need memory below 64 KiB. */
	if (!add_region(LOW_START - 0xf000, 0xf000))
		printf("# memory below 64 KiB may not be mapped: 16-bit addresses only fault\n");
	check_mode(HULL_MODE_32, seed);
}

int main(void)
{
	uint64_t seed;

	ktap_begin(1);
	seed = seed_from_env();
	intel = is_intel();
	if (!setup())
		ktap_result(false, "native: set-up");
	else if (NATIVE_MODE == HULL_MODE_32)
		check_32bit(seed);
	else
		check_mode(HULL_MODE_64, seed);
	return ktap_end();
}
