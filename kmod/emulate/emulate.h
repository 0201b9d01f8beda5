/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The x86 instruction decoder and the small executor behind MMIO and string
 * port I/O. Pure code: it sees plain data and the callbacks of hull_emu_ops,
 * takes no lock, allocates nothing and never sleeps by itself (a callback may).
 *
 * Place in the tour: exit.c calls it when the hardware does not say what the
 * guest wanted. Two independent uses:
 *
 *   length only   hull_insn_decode_as() / hull_insn_length_of(): next RIP and
 *                 operands of an instruction that exited
 *   execution     hull_emu_begin() -> hull_emu_execute() until it is DONE
 *
 * How one instruction is executed:
 *
 *   begin(bytes) ---> execute ---> DONE       registers and RIP are updated
 *                        |  \----> FAULT      inject emu->fault, RIP unchanged
 *                        |  \----> UNHANDLED  not supported: end the VM
 *                        |  \----> AGAIN      part of a REP is done; RIP unchanged
 *                        v
 *                     SUSPEND      (a callback needs an answer)
 *                        |
 *                     complete(data)  then execute again
 *
 * Execution is restartable: completed accesses are kept in a log and replayed,
 * never repeated. Registers and flags change only when the instruction (or one
 * iteration of REP) is complete. The log is plain data, so a snapshot can be
 * taken while an access is pending.
 */
#ifndef HULL_EMULATE_H
#define HULL_EMULATE_H

#include "types.h"

#define HULL_INSN_MAX		15	/* architectural limit of the length, bytes */

/* Width of the code that runs: CS.D, CS.L and EFER.LMA. See hull_emu_mode(). */
enum hull_emu_mode {
	HULL_MODE_16,
	HULL_MODE_32,
	HULL_MODE_64,
};

enum hull_emu_reg {
	HULL_RAX, HULL_RCX, HULL_RDX, HULL_RBX, HULL_RSP, HULL_RBP, HULL_RSI, HULL_RDI,
	HULL_R8, HULL_R9, HULL_R10, HULL_R11, HULL_R12, HULL_R13, HULL_R14, HULL_R15,
};

#define HULL_REG_NONE		0xff	/* hull_insn.base, .index: not used */

/* Hardware order of segment registers. */
enum hull_emu_segreg {
	HULL_ES, HULL_CS, HULL_SS, HULL_DS, HULL_FS, HULL_GS,
	HULL_NSEGS,
};

#define HULL_SEG_NONE		0xff	/* hull_insn.override: no segment prefix */

enum hull_insn_map {
	HULL_MAP_ONE,		/* one-byte opcodes, x87 included */
	HULL_MAP_0F,
	HULL_MAP_0F38,
	HULL_MAP_0F3A,
	HULL_MAP_3DNOW,		/* 0F 0F: .opcode is the suffix */
	HULL_MAP_VEX,		/* these three: length only; .submap has the map */
	HULL_MAP_EVEX,
	HULL_MAP_XOP,
};

/* hull_insn.prefixes */
#define HULL_PFX_OPSIZE		0x01	/* 66 */
#define HULL_PFX_ADSIZE		0x02	/* 67 */
#define HULL_PFX_LOCK		0x04	/* F0 */
#define HULL_PFX_REP		0x08	/* F3, the last of F2/F3 counts */
#define HULL_PFX_REPNE		0x10	/* F2 */

/*
 * What an instruction does, as far as hull cares. HULL_OP_OTHER is a valid
 * instruction that is neither executed here nor intercepted.
 */
enum hull_op {
	HULL_OP_OTHER,

	/* Executed by hull_emu_execute() */
	HULL_OP_ADD, HULL_OP_OR, HULL_OP_ADC, HULL_OP_SBB,	/* order of the ALU opcodes */
	HULL_OP_AND, HULL_OP_SUB, HULL_OP_XOR, HULL_OP_CMP,
	HULL_OP_ROL, HULL_OP_ROR, HULL_OP_RCL, HULL_OP_RCR,	/* order of the shift group */
	HULL_OP_SHL, HULL_OP_SHR, HULL_OP_SAL, HULL_OP_SAR,
	HULL_OP_SHLD, HULL_OP_SHRD,
	HULL_OP_TEST, HULL_OP_NOT, HULL_OP_NEG, HULL_OP_INC, HULL_OP_DEC,
	HULL_OP_MUL, HULL_OP_IMUL, HULL_OP_DIV, HULL_OP_IDIV,	/* decoded, not executed */
	HULL_OP_IMUL2,						/* two and three operands */
	HULL_OP_BT, HULL_OP_BTS, HULL_OP_BTR, HULL_OP_BTC,	/* order of group 8 */
	HULL_OP_BSF, HULL_OP_BSR,
	HULL_OP_MOV, HULL_OP_MOVZX, HULL_OP_MOVSX, HULL_OP_MOVSXD, HULL_OP_MOVBE,
	HULL_OP_MOVNTI, HULL_OP_MOV_FROM_SEG, HULL_OP_MOV_TO_SEG,
	HULL_OP_XCHG, HULL_OP_XADD, HULL_OP_CMPXCHG, HULL_OP_CMPXCHG8B,
	HULL_OP_SETCC, HULL_OP_CMOVCC,
	HULL_OP_PUSH, HULL_OP_POP,
	HULL_OP_MOVS, HULL_OP_CMPS, HULL_OP_STOS, HULL_OP_LODS, HULL_OP_SCAS,
	HULL_OP_INS, HULL_OP_OUTS, HULL_OP_IN, HULL_OP_OUT,
	HULL_OP_NOP,				/* also hint and prefetch forms */
	HULL_OP_MOVSSE,				/* 16-byte moves: decoded, not executed */
	HULL_OP_LMSW, HULL_OP_SMSW,

	/* Verified by hull_insn_decode_as(), not executed */
	HULL_OP_CPUID, HULL_OP_RDMSR, HULL_OP_WRMSR, HULL_OP_HLT, HULL_OP_VMMCALL,
	HULL_OP_VMCALL, HULL_OP_RDTSC, HULL_OP_RDTSCP, HULL_OP_RDPMC, HULL_OP_INVD,
	HULL_OP_WBINVD, HULL_OP_INVLPG, HULL_OP_INVLPGA, HULL_OP_MONITOR, HULL_OP_MWAIT,
	HULL_OP_MONITORX, HULL_OP_MWAITX, HULL_OP_PAUSE, HULL_OP_XSETBV, HULL_OP_XGETBV,
	HULL_OP_MOV_FROM_CR,	/* .rm is the general register, .reg the control register */
	HULL_OP_MOV_TO_CR,
	HULL_OP_MOV_FROM_DR, HULL_OP_MOV_TO_DR,
	HULL_OP_CLTS,
	HULL_OP_INT3, HULL_OP_INTO, HULL_OP_INTN, HULL_OP_ICEBP,
	HULL_OP_PUSHF, HULL_OP_POPF, HULL_OP_IRET, HULL_OP_RSM,
	HULL_OP_SGDT, HULL_OP_SIDT, HULL_OP_LGDT, HULL_OP_LIDT,
	HULL_OP_SLDT, HULL_OP_STR, HULL_OP_LLDT, HULL_OP_LTR, HULL_OP_VERR, HULL_OP_VERW,
	HULL_OP_VMRUN, HULL_OP_VMLOAD, HULL_OP_VMSAVE, HULL_OP_STGI, HULL_OP_CLGI,
	HULL_OP_SKINIT, HULL_OP_INVPCID, HULL_OP_RDPRU, HULL_OP_INVLPGB, HULL_OP_TLBSYNC,
	HULL_OP_XSAVES, HULL_OP_XRSTORS, HULL_OP_RDRAND, HULL_OP_RDSEED,
	HULL_OP_INVEPT, HULL_OP_INVVPID, HULL_OP_VMX,	/* VMX: every other VMX instruction */

	HULL_OP_COUNT,
};

/**
 * struct hull_insn - one decoded instruction
 *
 * Plain data. @reg, @rm, @base and @index have their REX bits applied. For a
 * register operand (@mod == 3) @rm is the register; for a memory operand the
 * address is @base + @index * @scale + @disp (or RIP after the instruction +
 * @disp), truncated to @adsize bytes, in segment @segment.
 */
struct hull_insn {
	u8 length;		/* bytes, 1..15 */
	u8 mode;		/* enum hull_emu_mode it was decoded for */
	u8 map;			/* enum hull_insn_map */
	u8 submap;		/* VEX, EVEX, XOP: map number of the prefix */
	u8 opcode;
	u8 op;			/* enum hull_op */
	u8 prefixes;		/* HULL_PFX_* */
	u8 override;		/* segment prefix as written, or HULL_SEG_NONE */
	u8 segment;		/* segment of the memory operand: override or default */
	u8 rex;			/* 40..4F, or 0 */
	u8 opsize;		/* operand size in bytes: 1, 2, 4, 8 (16 for CMPXCHG16B) */
	u8 adsize;		/* address size in bytes: 2, 4, 8 */
	bool has_modrm;
	bool has_mem;		/* ModRM (or moffs) names memory */
	bool rip_relative;
	u8 modrm;
	u8 sib;			/* valid when the addressing form has one, else 0 */
	u8 mod;
	u8 reg;
	u8 rm;
	u8 base;		/* enum hull_emu_reg or HULL_REG_NONE */
	u8 index;
	u8 scale;		/* 1, 2, 4, 8 */
	u8 disp_bytes;
	u8 imm_bytes;
	u16 imm2;		/* ENTER: nesting level; far pointer: selector */
	u32 attr;		/* private: table attributes */
	s64 disp;		/* sign-extended; moffs: the offset, not extended */
	u64 imm;		/* sign-extended from imm_bytes */
};

/**
 * hull_insn_decode - decode one instruction
 * @insn: filled on success; on failure its contents are undefined
 * @mode: width of the code
 * @bytes: instruction bytes
 * @nbytes: how many of them are there; more than 15 are not looked at
 *
 * Return: 0; -EAGAIN when @nbytes are a true prefix of an instruction;
 * -EINVAL for an invalid opcode or a LOCK prefix where none is allowed (#UD);
 * -E2BIG when the instruction exceeds 15 bytes (#GP(0)).
 *
 * VEX, EVEX and XOP instructions get their length only; whether a CPU has
 * such an instruction is not judged.
 */
int hull_insn_decode(struct hull_insn *insn, enum hull_emu_mode mode,
		     const u8 *bytes, unsigned int nbytes);

/**
 * hull_insn_decode_as - decode and verify that it is the expected instruction
 *
 * For exits whose reason names the instruction but whose bytes were read from
 * guest memory, which another CPU may have changed meanwhile.
 *
 * Return: 0, an error of hull_insn_decode(), or -ENOENT when the bytes are
 * another instruction (let the guest run on: it will exit again).
 */
int hull_insn_decode_as(struct hull_insn *insn, enum hull_op expected,
			enum hull_emu_mode mode, const u8 *bytes, unsigned int nbytes);

/* The same; returns the length (above 0) or an error. */
int hull_insn_length_of(enum hull_op expected, enum hull_emu_mode mode,
			const u8 *bytes, unsigned int nbytes);

/*
 * Segment attributes: descriptor bits 40..47 and 52..55 packed into 12 bits,
 * as in the VMCB. An unusable VMX segment has P clear. The limit is in bytes
 * (granularity already applied).
 */
#define HULL_SEG_TYPE		0x00f
#define HULL_SEG_WRITE		0x002	/* data segments: writable */
#define HULL_SEG_READ		0x002	/* code segments: readable */
#define HULL_SEG_DOWN		0x004	/* data segments: expand down */
#define HULL_SEG_CODE		0x008
#define HULL_SEG_S		0x010
#define HULL_SEG_DPL		0x060
#define HULL_SEG_P		0x080
#define HULL_SEG_L		0x200
#define HULL_SEG_DB		0x400
#define HULL_SEG_G		0x800

struct hull_emu_seg {
	u64 base;
	u32 limit;
	u16 selector;
	u16 attr;
};

/**
 * struct hull_emu_regs - the guest registers the executor reads and changes
 *
 * Changed by execution: gpr, rip, rflags; by a segment load in real or
 * virtual-8086 mode seg; by LMSW cr0.
 */
struct hull_emu_regs {
	u64 gpr[16];		/* enum hull_emu_reg */
	u64 rip;
	u64 rflags;
	struct hull_emu_seg seg[HULL_NSEGS];
	u64 cr0;
	u64 cr4;
	u64 efer;
	u32 cpl;		/* 0..3; 3 in virtual-8086 mode */
	u32 pad;
};

/* Results of hull_emu_execute() and, where it says so, of callbacks. */
enum hull_emu_result {
	HULL_EMU_DONE,		/* callbacks: the access was made */
	HULL_EMU_AGAIN,		/* REP: iterations used up, RIP still at the instruction */
	HULL_EMU_SUSPEND,	/* answer pending: hull_emu_complete(), then execute again */
	HULL_EMU_FAULT,		/* exception in emu->fault */
	HULL_EMU_UNHANDLED,	/* no support for this instruction: end the VM, say so */
};

struct hull_emu_fault {
	u8 vector;
	bool has_error;
	u32 error;
	u64 address;		/* #PF: CR2 */
};

/* Flags of memory accesses. */
#define HULL_EMU_WRITE		0x1	/* the access writes, or (see RMW) will write */
#define HULL_EMU_RMW		0x2	/* read: a write to the same bytes follows */
#define HULL_EMU_LOCKED		0x4	/* LOCK prefix, or XCHG */
#define HULL_EMU_STACK		0x8	/* push or pop */

struct hull_emu;

/**
 * struct hull_emu_ops - how the executor reaches the machine
 *
 * Memory is named by linear address; the callback translates (CPL and CR0 are
 * in emu->regs) and decides between RAM and device. A call never crosses a
 * 4 KiB page. It stands for @count elements of @size bytes at ascending
 * addresses; @count above 1 only for string instructions with 1, 2, 4 or 8
 * bytes an element. A fragment of an access that crosses a page has count 1
 * and any size from 1 to 15.
 *
 * Return: HULL_EMU_DONE, HULL_EMU_SUSPEND (nothing was read or written yet,
 * the answer comes by hull_emu_complete()), HULL_EMU_FAULT (emu->fault filled,
 * nothing read or written), -E2BIG for @count above 1 (nothing done: the
 * executor comes again, element by element), or another negative errno, which
 * hull_emu_execute() returns; the log is kept and a later execute tries the
 * same access again.
 */
struct hull_emu_ops {
	int (*read)(struct hull_emu *emu, u64 linear, void *data, u32 size, u32 count,
		    u32 flags);
	int (*write)(struct hull_emu *emu, u64 linear, const void *data, u32 size, u32 count,
		     u32 flags);
	/*
	 * Would this write fault? DONE or FAULT; no effect. Called before a
	 * write that crosses a page, and before INS and MOVS read their source.
	 * May be NULL.
	 */
	int (*probe)(struct hull_emu *emu, u64 linear, u32 len, u32 flags);
	/* @count elements of the same port, in order. */
	int (*in)(struct hull_emu *emu, u16 port, u32 size, u32 count, void *data);
	int (*out)(struct hull_emu *emu, u16 port, u32 size, u32 count, const void *data);
	/*
	 * Looks into the TSS I/O bitmap. Called only when CPL > IOPL or in
	 * virtual-8086 mode. DONE or FAULT. NULL: the hardware has checked.
	 */
	int (*io_allowed)(struct hull_emu *emu, u16 port, u32 size);
};

#define HULL_EMU_BATCH		4096	/* bytes of one batched string access at most */
#define HULL_EMU_LOG		8

enum hull_emu_log_kind {
	HULL_LOG_READ = 1,
	HULL_LOG_WRITE,
	HULL_LOG_IN,
	HULL_LOG_OUT,
};

/* One access of the instruction in flight. @bytes of state.data belong to a READ or IN. */
struct hull_emu_log {
	u64 address;		/* linear address or port */
	u16 size;		/* bytes of an element */
	u16 count;
	u8 kind;		/* enum hull_emu_log_kind */
	u8 pad[3];
};

#define HULL_EMU_SINGLE_READ	0x1	/* for the rest of this REP: one element at a time */
#define HULL_EMU_SINGLE_WRITE	0x2	/* this batch is read, its elements are written singly */

/**
 * struct hull_emu_state - everything needed to go on with a suspended instruction
 *
 * Plain data without pointers, the same on every machine: part of a snapshot.
 * Together with the registers (unchanged since the suspension) it is complete.
 * About 4.3 KiB: not for the stack. All zero: nothing in flight.
 */
struct hull_emu_state {
	u8 mode;		/* enum hull_emu_mode */
	u8 nbytes;		/* instruction bytes kept in @bytes, 0: none */
	u8 bytes[HULL_INSN_MAX];
	u8 nlog;		/* entries of @log in use */
	u8 pending;		/* 1: the last entry waits for its answer */
	u8 single;		/* HULL_EMU_SINGLE_*: a callback refused a batch */
	u16 done;		/* elements of a refused batch written so far */
	u8 pad[2];
	struct hull_emu_log log[HULL_EMU_LOG];
	u8 data[HULL_EMU_BATCH]; /* what READ and IN entries got, in order */
};

/* emu->after, valid when execute returned DONE; TRAP also with AGAIN */
#define HULL_EMU_SHADOW		0x1	/* MOV SS: interrupt shadow */
#define HULL_EMU_TRAP		0x2	/* TF was set: a single-step #DB is due */

/**
 * struct hull_emu - one executor, embedded in a vCPU; owned by the vCPU's thread
 */
struct hull_emu {
	const struct hull_emu_ops *ops;
	struct hull_emu_regs *regs;
	void *priv;			/* the caller's */
	struct hull_insn insn;
	struct hull_emu_fault fault;
	u32 after;			/* HULL_EMU_SHADOW, HULL_EMU_TRAP */
	u32 cursor;			/* private: replay position in state.log */
	u32 used;			/* private: bytes of state.data replayed */
	struct hull_emu_state state;
};

/* Width of the code that @regs run. */
enum hull_emu_mode hull_emu_mode(const struct hull_emu_regs *regs);

/**
 * hull_emu_begin - start on a new instruction, forgetting any other
 * @emu: ops and regs are set
 * @bytes: instruction bytes at regs->rip
 * @nbytes: how many
 *
 * Return: 0 or an error of hull_insn_decode().
 */
int hull_emu_begin(struct hull_emu *emu, const u8 *bytes, unsigned int nbytes);

/**
 * hull_emu_execute - execute, or go on executing, the instruction
 * @emu: after hull_emu_begin() or hull_emu_restore()
 * @iterations: of a REP instruction at most, above 0; a batch counts as one
 *
 * While an answer is pending it returns HULL_EMU_SUSPEND and calls nothing.
 * After HULL_EMU_AGAIN the caller either calls it again or enters the guest
 * (an interrupt may be taken there): registers are consistent.
 *
 * In a REP instruction iterations may have been completed before any result,
 * FAULT, SUSPEND and errors included: always store @emu->regs back.
 *
 * Return: enum hull_emu_result; -EINVAL when no instruction was begun or the
 * log does not fit the registers (they changed under a suspended
 * instruction); other errors of callbacks.
 */
int hull_emu_execute(struct hull_emu *emu, unsigned int iterations);

/**
 * hull_emu_pending - the access that waits for its answer
 *
 * Return: the log entry, or NULL when none waits.
 */
const struct hull_emu_log *hull_emu_pending(const struct hull_emu *emu);

/**
 * hull_emu_complete - answer the pending access
 * @emu: after HULL_EMU_SUSPEND
 * @data: what was read; ignored for writes and OUT
 * @len: size * count for READ and IN, 0 for WRITE and OUT
 *
 * Return: 0; -ENOENT when nothing is pending; -EINVAL for a wrong length.
 */
int hull_emu_complete(struct hull_emu *emu, const void *data, u32 len);

/* Forget a suspended instruction, e.g. when user space sets RIP or resets the vCPU. */
void hull_emu_cancel(struct hull_emu *emu);

/**
 * hull_emu_restore - take over a state saved elsewhere (untrusted)
 *
 * Return: 0, or -EINVAL when the state is not consistent; then nothing is in
 * flight.
 */
int hull_emu_restore(struct hull_emu *emu, const struct hull_emu_state *state);

/**
 * hull_emu_linear - linear address of the memory operand, for exits such as
 * INVLPG that do not give it
 * @insn: decoded with a memory operand
 * @regs: rip is at the instruction
 * @linear: result; no limit, type or canonical check is made
 *
 * Return: 0, or -EINVAL when there is no memory operand.
 */
int hull_emu_linear(const struct hull_insn *insn, const struct hull_emu_regs *regs,
		    u64 *linear);

#endif
