// SPDX-License-Identifier: GPL-2.0
/*
 * The host's own state over a great many exits of a guest that holds random values in everything it
 * may hold values in. Two judges: the check mode compares a digest of the CPU's state around each
 * window (kmod/host.c), and this process looks at what it can see of its own: all registers, XSAVE
 * state, segment selectors and bases, a hardware breakpoint.
 *
 * Environment: HULL_EXITS: exits to make (default 20000); HULL_SEED: of the random numbers.
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "device.h"
#include "harness.h"
#include "klog.h"
#include "limit.h"
#include "trap.h"

/* ---- random numbers ------------------------------------------------------------------------- */

static __u64 random_state;

static __u64 random64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * 0x2545f4914f6cdd1dULL;
}

static unsigned int below(unsigned int limit)
{
	return (random64() >> 32) % limit;
}

/* Values that hurt: small, large, pointers to the guest's memory, bit masks, anything. */
static __u64 any_value(void)
{
	switch (below(8)) {
	case 0:
		return below(2) ? 0 : ~0ULL;
	case 1:
		return below(256);
	case 2:
		return 1ULL << below(64);
	case 3:
		return GUEST_DATA_GPA + below(0x10000);
	case 4:
		return (__u32)random64();
	case 5:
		return (__s64)random64() >> 17;		/* a canonical address */
	case 6:
		return 0xffff800000000000ULL + below(1 << 30);
	default:
		return random64();
	}
}

static __u64 any_address(void)
{
	return (__s64)random64() >> (16 + below(32));
}

/* ---- the process' own state ----------------------------------------------------------------- */

/**
 * struct own_state - what the process holds when it comes back from HULL_RUN
 * @result: of the system call
 * @gpr: rbx, rbp, r12 to r15, rdx, rsi, rdi, r8, r9, r10
 * @selector: ds, es, fs, gs
 * @fs_word: first word behind the FS base
 * @gs_word: first word behind the GS base
 * @xsave: XSAVE area: x87, SSE, AVX
 */
struct own_state {
	__u64 result;
	__u64 gpr[12];
	__u16 selector[4];
	__u64 fs_word;
	__u64 gs_word;
	__u8 pad[8];
	__u8 xsave[4096] __attribute__((aligned(64)));
};

_Static_assert(offsetof(struct own_state, xsave) == 192, "probe_run() writes it there");

/* ioctl(fd, cmd) with registers from @xsave and known values; all that is found after it. */
void probe_run(int fd, unsigned long cmd, const void *xsave, struct own_state *after);

asm(".text\n.globl probe_run\n.type probe_run, @function\n"
    "probe_run:\n"
    "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
    "push %rcx\n"
    "mov %rdx, %r8\n mov $7, %eax\n xor %edx, %edx\n"
    "xrstor64 (%r8)\n"
    "movabs $0x1111111111111111, %rbx\n"
    "lea (%rbx, %rbx), %rbp\n lea (%rbp, %rbx), %r12\n lea (%r12, %rbx), %r13\n"
    "lea (%r13, %rbx), %r14\n lea (%r14, %rbx), %r15\n lea (%r15, %rbx), %rdx\n"
    "lea (%rdx, %rbx), %r8\n lea (%r8, %rbx), %r9\n lea (%r9, %rbx), %r10\n"
    "mov $16, %eax\n syscall\n"
    "pop %rcx\n"
    "mov %rax, (%rcx)\n mov %rbx, 8(%rcx)\n mov %rbp, 16(%rcx)\n mov %r12, 24(%rcx)\n"
    "mov %r13, 32(%rcx)\n mov %r14, 40(%rcx)\n mov %r15, 48(%rcx)\n mov %rdx, 56(%rcx)\n"
    "mov %rsi, 64(%rcx)\n mov %rdi, 72(%rcx)\n mov %r8, 80(%rcx)\n mov %r9, 88(%rcx)\n"
    "mov %r10, 96(%rcx)\n"
    "mov %ds, 104(%rcx)\n mov %es, 106(%rcx)\n mov %fs, 108(%rcx)\n mov %gs, 110(%rcx)\n"
    "mov %fs:0, %rax\n mov %rax, 112(%rcx)\n mov %gs:0, %rax\n mov %rax, 120(%rcx)\n"
    "mov $7, %eax\n xor %edx, %edx\n"
    "xsave64 192(%rcx)\n"
    /* What the compiler expects: empty x87 stack, usual control words, upper halves clear. */
    "fninit\n pushq $0x1f80\n ldmxcsr (%rsp)\n pop %rax\n"
    "testb $4, 704(%rcx)\n jz 1f\n vzeroupper\n 1:\n"
    "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
    "ret\n.size probe_run, . - probe_run\n");

#define XSAVE_MXCSR	24
#define XSAVE_XMM	160
#define XSAVE_XMM_END	416
#define XSAVE_HEADER	512
#define XSAVE_YMM	576
#define XSAVE_YMM_END	832
#define MXCSR_MASKED	0x1f80		/* exceptions: none wanted here */

static __u64 host_xcr0(void)
{
	__u32 low, high;

	asm volatile("xgetbv" : "=a" (low), "=d" (high) : "c" (0));
	return low | (__u64)high << 32;
}

static void fill_random(void *to, size_t from, size_t end)
{
	size_t i;

	for (i = from; i < end; i += 8)
		*(__u64 *)((char *)to + i) = random64();
}

/* Registers for the process to hold; XSTATE_BV says x87, SSE and, where there is one, AVX. */
static void fill_xsave(__u8 *area)
{
	__u64 components = host_xcr0() & 7;

	memset(area, 0, 4096);
	*(__u16 *)area = 0x37f & ~(below(4) << 8);		/* precision control */
	area[4] = 0xff;						/* no register is empty */
	*(__u32 *)(area + XSAVE_MXCSR) = MXCSR_MASKED | below(4) << 13 | below(2) << 15;
	fill_random(area, 32, XSAVE_XMM);			/* ST0-ST7, reserved bytes */
	fill_random(area, XSAVE_XMM, XSAVE_XMM_END);
	if (components & 4)
		fill_random(area, XSAVE_YMM, XSAVE_YMM_END);
	*(__u64 *)(area + XSAVE_HEADER) = components;
}

static const char *compare_xsave(const __u8 *before, const __u8 *after)
{
	int i;

	if (*(__u16 *)before != *(__u16 *)after)
		return "x87 control word";
	if (*(__u32 *)(before + XSAVE_MXCSR) != *(__u32 *)(after + XSAVE_MXCSR))
		return "MXCSR";
	for (i = 0; i < 8; i++) {
		if (memcmp(before + 32 + i * 16, after + 32 + i * 16, 10))
			return "x87 register";
	}
	if (memcmp(before + XSAVE_XMM, after + XSAVE_XMM, XSAVE_XMM_END - XSAVE_XMM))
		return "XMM register";
	if ((before[XSAVE_HEADER] & 4) &&
	    memcmp(before + XSAVE_YMM, after + XSAVE_YMM, XSAVE_YMM_END - XSAVE_YMM))
		return "YMM register";
	return NULL;
}

/**
 * struct probe - the process' own state over the whole test
 * @selector: as they were at the start
 * @fs_word: thread pointer, which points to itself
 * @gs_area: the GS base points here
 * @xcr0: the process' view of it
 * @before: what probe_run() loads
 * @after: what it finds
 */
struct probe {
	__u16 selector[4];
	__u64 fs_word;
	__u64 gs_area;
	__u64 xcr0;
	__u8 before[4096] __attribute__((aligned(64)));
	struct own_state after;
};

static void probe_setup(struct probe *probe)
{
	memset(probe, 0, sizeof(*probe));
	/* User space's data selector is no null one, as those of 64-bit processes usually are. */
	asm volatile("mov %0, %%ds\n mov %0, %%es" : : "r" (0x2b));
	probe->gs_area = 0x7573657247530000ULL;
	syscall(SYS_arch_prctl, ARCH_SET_GS, &probe->gs_area);
	asm volatile("mov %%ds, %0\n mov %%es, %1\n mov %%fs, %2\n mov %%gs, %3"
		     : "=m" (probe->selector[0]), "=m" (probe->selector[1]),
		       "=m" (probe->selector[2]), "=m" (probe->selector[3]));
	asm volatile("mov %%fs:0, %0" : "=r" (probe->fs_word));
	probe->xcr0 = host_xcr0();
}

/* Returns what is wrong, or NULL. */
static const char *probe_compare(const struct probe *probe, int fd)
{
	static const int order[] = { 1, 2, 3, 4, 5, 6, 7, 0, 0, 8, 9, 10 };
	const struct own_state *after = &probe->after;
	int i;

	for (i = 0; i < 12; i++) {
		if (order[i] && after->gpr[i] != order[i] * 0x1111111111111111ULL)
			return "general register";
	}
	if (after->gpr[7] != HULL_RUN || after->gpr[8] != (__u64)fd)
		return "argument register";
	if (memcmp(after->selector, probe->selector, sizeof(after->selector)))
		return "segment selector";
	if (after->fs_word != probe->fs_word)
		return "FS base";
	if (after->gs_word != probe->gs_area)
		return "GS base";
	if (host_xcr0() != probe->xcr0)
		return "XCR0";
	return compare_xsave(probe->before, after->xsave);
}

/* ---- the guest ------------------------------------------------------------------------------ */

#define SLOT_SIZE	32
#define SLOTS		(GUEST_CODE_MAX / SLOT_SIZE - 1)
#define END_PORT	0xec
#define ODD_SELECTOR	0xb0		/* a code segment with both L and D */
#define HOLE_GPA	0x40000000

/* One slot of code: exits, or changes what must not reach the host. Registers are random. */
#define SLOT(text)	".balign 32, 0x90\n" text "\n"

/*
 * LTR of a selector that is never null: see limit_code(). However code comes by, in the middle of
 * an instruction or with what a random slot ends with as a prefix, it takes it from the code.
 */
#define LTR(selector)								\
	SLOT(".fill 14, 1, 0x90\n ltr 1f(%rip)\n jmp 2f\n 1: .word " selector "\n 2:")

asm(".pushsection .rodata\n.balign 32\nmenu:\n"
    SLOT("cpuid") SLOT("cpuid\n cpuid\n cpuid\n cpuid\n cpuid\n cpuid") SLOT(".byte 0x66\n cpuid")
    SLOT("mov $0xd, %eax\n xor %ecx, %ecx\n cpuid") SLOT("rdmsr") SLOT("wrmsr")
    SLOT("mov $0xc0000080, %ecx\n rdmsr\n xor $0x801, %eax\n wrmsr")
    SLOT("mov $0xc0000081, %ecx\n wrmsr\n inc %ecx\n wrmsr\n inc %ecx\n wrmsr")
    SLOT("mov $0xc0000100, %ecx\n wrmsr\n inc %ecx\n wrmsr\n inc %ecx\n wrmsr")
    SLOT("mov $0x174, %ecx\n wrmsr\n inc %ecx\n wrmsr\n inc %ecx\n wrmsr")
    SLOT("mov $0x277, %ecx\n wrmsr") SLOT("mov $0x10, %ecx\n wrmsr")
    SLOT("mov $0x1d9, %ecx\n wrmsr") SLOT("mov $0x48, %ecx\n wrmsr")
    SLOT("in $0x71, %al") SLOT("out %al, $0x71") SLOT("in %dx, %eax") SLOT("out %ax, %dx")
    SLOT("mov $0x42000, %edi\n mov $5, %ecx\n rep insb")
    SLOT("mov $0x42000, %esi\n mov $3, %ecx\n rep outsl")
    SLOT("mov %rax, %db0") SLOT("mov %rcx, %db1") SLOT("mov %rdx, %db2") SLOT("mov %rbx, %db3")
    SLOT("mov %eax, %eax\n mov %rax, %db6") SLOT("mov %eax, %eax\n mov %rax, %db7")
    SLOT("mov %rax, %db7") SLOT("mov %db0, %rax") SLOT("mov %db6, %rax") SLOT("mov %db7, %rax")
    SLOT("mov %cr0, %rax") SLOT("mov %cr2, %rcx\n mov %rcx, %cr2") SLOT("mov %rax, %cr2")
    SLOT("mov %cr3, %rdx\n mov %rdx, %cr3") SLOT("mov %cr4, %rbx") SLOT("mov %cr8, %rax")
    SLOT("mov %rax, %cr8") SLOT("mov %rax, %cr4")
    SLOT("mov %cr0, %rax\n btc $3, %rax\n mov %rax, %cr0")
    SLOT("mov %cr0, %rax\n btc $30, %rax\n mov %rax, %cr0")
    SLOT("mov %cr0, %rax\n btc $16, %rax\n mov %rax, %cr0")
    SLOT("mov %cr4, %rax\n btc $2, %rax\n mov %rax, %cr4")
    SLOT("mov %cr4, %rax\n btc $7, %rax\n mov %rax, %cr4")
    SLOT("mov %cr4, %rax\n btc $9, %rax\n mov %rax, %cr4")
    SLOT("mov %cr4, %rax\n btc $16, %rax\n mov %rax, %cr4")
    SLOT("mov %cr4, %rax\n btc $18, %rax\n mov %rax, %cr4")
    SLOT("xor %ecx, %ecx\n xsetbv") SLOT("xor %ecx, %ecx\n xgetbv")
    SLOT("xor %ecx, %ecx\n xor %edx, %edx\n mov $7, %eax\n xsetbv")
    SLOT("xor %ecx, %ecx\n xor %edx, %edx\n mov $3, %eax\n xsetbv")
    SLOT("xor %ecx, %ecx\n xor %edx, %edx\n mov $1, %eax\n xsetbv")
    SLOT("hlt") SLOT("sti\n hlt") SLOT("vmmcall") SLOT("vmcall")
    SLOT("vmrun %rax") SLOT("vmload %rax") SLOT("vmsave %rax") SLOT("stgi") SLOT("clgi")
    SLOT("skinit") SLOT("invlpga") SLOT("invd") SLOT("wbinvd") SLOT("invlpg (%rax)")
    SLOT("rdpmc") SLOT("rdtsc") SLOT("rdtscp") SLOT("pause") SLOT("monitor") SLOT("mwait")
    SLOT("swapgs") SLOT("wrfsbase %rax") SLOT("wrgsbase %rbx") SLOT("rdfsbase %rax\n rdgsbase %rbx")
    SLOT("xor %eax, %eax\n mov %eax, %ds\n mov %eax, %es\n mov %eax, %fs\n mov %eax, %gs")
    SLOT("mov $0x10, %eax\n mov %eax, %ds\n mov %eax, %es\n mov %eax, %fs\n mov %eax, %gs")
    SLOT("mov $0x1b, %eax\n mov %eax, %ds\n mov %eax, %es\n mov %eax, %fs\n mov %eax, %gs")
    SLOT("mov %eax, %ss") SLOT("xor %eax, %eax\n lldt %ax") SLOT("str %ax")
    LTR("0x28") LTR("8")
    SLOT("sgdt 0x40800\n sidt 0x40810") SLOT("lgdt 0x40800")
    SLOT("fninit\n fld1\n fldpi\n fldz") SLOT("ldmxcsr 0x40000") SLOT("fxsave 0x43000")
    SLOT("movq %rax, %xmm0\n movq %rcx, %xmm7\n movq %rdx, %xmm15")
    SLOT("vmovaps %ymm0, %ymm1\n vinsertf128 $1, %xmm0, %ymm1, %ymm2") SLOT("vzeroall")
    SLOT("mov $7, %eax\n xor %edx, %edx\n xsave 0x41000")
    SLOT("mov $7, %eax\n xor %edx, %edx\n xrstor 0x41000")
    SLOT("int3") SLOT("int $0x80") SLOT("ud2") SLOT("div %rcx") SLOT("int $2")
    SLOT("syscall") SLOT("sysenter") SLOT("sysretq") SLOT("sysexitl") SLOT("iretq")
    SLOT("pushf\n orl $0x100, (%rsp)\n popf\n nop\n cpuid\n nop")
    SLOT("pushq $0xb0\n lea 1f(%rip), %rax\n push %rax\n lretq\n 1: cpuid")
    SLOT("mov %rax, (%rbx)") SLOT("mov (%rsi), %rax") SLOT("cmpxchg8b (%rbx)")
    SLOT("mov $0x40000000, %eax\n mov (%rax), %rcx\n mov %rcx, 8(%rax)")
    SLOT("mov $0x44000, %edi\n mov $64, %ecx\n rep stosq") SLOT("lmsw %ax") SLOT("clts")
    SLOT("smsw %eax") SLOT("cli") SLOT("std") SLOT("cld") SLOT("popf") SLOT("lock incl (%rdi)")
    ".balign 32, 0x90\nmenu_end:\n.popsection");
extern const unsigned char menu[], menu_end[];

/**
 * struct runner - a guest that is given one random state after the other
 * @guest: its present VM
 * @exits: of VMs that are gone
 * @vms: made
 * @runs: calls of HULL_RUN
 * @refused: states that were not accepted
 * @timeouts: runs that the timer ended
 */
struct runner {
	struct guest guest;
	__u64 exits;
	unsigned int vms, runs, refused, timeouts;
};

static __u64 guest_exits(struct guest *guest)
{
	struct hull_stats stats;

	if (hull_get_stats(guest->cpu[0].fd, &stats))
		return 0;
	return stats.value[HULL_STAT_EXITS];
}

static void random_slot(unsigned char *code)
{
	fill_random(code, 0, SLOT_SIZE);
	limit_code(code, SLOT_SIZE);
}

static void write_slots(struct guest *guest)
{
	const unsigned int choices = (menu_end - menu) / SLOT_SIZE;
	unsigned char *code = guest->memory + GUEST_CODE_GPA(0);
	static const unsigned char end[] = { 0xe6, END_PORT, 0xeb, 0xfc };
	unsigned int i;

	for (i = 0; i < SLOTS; i++, code += SLOT_SIZE) {
		if (below(8))
			memcpy(code, menu + below(choices) * SLOT_SIZE, SLOT_SIZE);
		else
			random_slot(code);
	}
	memcpy(code, end, sizeof(end));
	limit_flags(guest->memory + GUEST_CODE_GPA(0), GUEST_CODE_MAX);
}

static void fill_data(struct guest *guest)
{
	unsigned char *data = guest->memory + GUEST_DATA_GPA;
	__u64 odd = 0x00ef9b000000ffffULL, *gdt = (__u64 *)(guest->memory + TRAP_GDT_GPA);

	*(__u32 *)data = random64() & 0xffff;
	fill_xsave(data + 0x1000);
	/* What LGDT finds. */
	*(__u16 *)(data + 0x800) = 0xff;
	*(__u64 *)(data + 0x802) = TRAP_GDT_GPA;
	gdt[ODD_SELECTOR / 8] = odd;
}

/* See limit_flags(). */
static int allow_interrupts(int fd)
{
	static struct hull_vcpu_state state;

	if (hull_get_state(fd, HULL_GROUP_GPRS, &state))
		return -1;
	state.gprs.rflags |= 0x200;
	return hull_set_state(fd, HULL_GROUP_GPRS, &state);
}

/* Code, tables, and a state that can take exceptions. */
static int renew(struct runner *runner)
{
	static const unsigned char nothing[1];
	struct guest *guest = &runner->guest;

	if (guest_start(guest, 0, GUEST_LONG, nothing, 1) ||
	    trap_install(guest, 0, GUEST_LONG, TRAP_OWN_STACK))
		return -1;
	write_slots(guest);
	fill_data(guest);
	return NEVER_INTERRUPTED ? allow_interrupts(guest->cpu[0].fd) : 0;
}

static int replace_vm(struct runner *runner)
{
	if (runner->vms++) {
		runner->exits += guest_exits(&runner->guest);
		guest_destroy(&runner->guest);
	}
	if (guest_create(&runner->guest, 0, GUEST_SIZE))
		return -1;
	return renew(runner);
}

static void random_gprs(struct hull_gprs *gprs)
{
	static const __u64 flags[] = { 2, 2, 2, 2, 0x202, 0x102, 0x10202, 0x3002, 0x40002, 0x402 };
	int i;

	for (i = 0; i < 16; i++)
		gprs->gpr[i] = any_value();
	if (below(8))
		gprs->gpr[HULL_GPR_RSP] = GUEST_STACK_GPA(0) - below(64) * 8;
	gprs->rip = GUEST_CODE_GPA(0) + below(SLOTS) * SLOT_SIZE;
	gprs->rflags = flags[below(sizeof(flags) / sizeof(flags[0]))];
	/* See limit_flags(). */
	if (NEVER_INTERRUPTED)
		gprs->rflags = (gprs->rflags & ~0x100ULL) | 0x200;
}

static void random_debug(struct hull_debug *debug)
{
	int i;

	for (i = 0; i < 4; i++)
		debug->dr[i] = below(2) ? any_address() : GUEST_CODE_GPA(0) + below(4096);
	debug->dr6 = below(4) ? 0xffff0ff0 : (random64() & 0xe00f) | 0xffff0ff0;
	debug->dr7 = 0x400;
	if (below(4))
		debug->dr7 |= random64() & 0xffff03ff;
	if (!below(8))
		debug->dr7 |= 1 << 13;
}

static void random_control(struct hull_control *control)
{
	static const __u64 xcr0[] = { 1, 3, 7 };
	/* TSD, DE, PGE, PCE, OSFXSR, OSXMMEXCPT, UMIP, FSGSBASE, OSXSAVE */
	const __u64 cr4 = 1 << 2 | 1 << 3 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 16 |
			  1 << 18;

	control->cr0 ^= random64() & 0x1000a;			/* WP, TS, MP */
	control->cr2 = any_value();
	control->cr4 |= random64() & cr4;
	control->cr8 = below(16);
	control->efer |= random64() & 0x801;			/* NX, SCE */
	control->xcr0 = xcr0[below(3)] & host_xcr0();
}

static void random_segments(struct hull_segments *segments)
{
	struct hull_segment *const data[] = {
		&segments->es, &segments->ds, &segments->fs, &segments->gs, &segments->ldtr,
	};
	unsigned int i;

	for (i = 0; i < 5; i++) {
		data[i]->base = any_address();
		data[i]->limit = random64();
		data[i]->selector = random64();
		if (!below(4))
			data[i]->attr = random64() & 0xfff;
	}
	if (below(4))
		return;
	/* User mode; the TSS has a stack for handlers. */
	segments->cs.selector = 0x23;
	segments->cs.attr |= 0x60;
	segments->ss.selector = 0x1b;
	segments->ss.attr |= 0x60;
}

static bool holds_address(__u32 index)
{
	return (index >= 0xc0000081 && index <= 0xc0000084) || index == 0x175 || index == 0x176 ||
	       (index >= 0xc0000100 && index <= 0xc0000102);
}

static void random_msrs(struct hull_msrs *msrs)
{
	__u32 i;

	for (i = 0; i < msrs->count; i++) {
		if (holds_address(msrs->msr[i].index))
			msrs->msr[i].value = any_address();
	}
}

static void random_events(struct hull_events *events)
{
	static const __u32 flags[] = {
		HULL_EVENT_EXCEPTION, HULL_EVENT_EXCEPTION | HULL_EVENT_EXCEPTION_ERROR,
		HULL_EVENT_NMI_PENDING, HULL_EVENT_NMI_PENDING | HULL_EVENT_NMI_MASKED,
		HULL_EVENT_INTERRUPT, HULL_EVENT_SHADOW | HULL_EVENT_INTERRUPT,
	};

	memset(events, 0, sizeof(*events));
	if (below(8))
		return;
	events->flags = flags[below(sizeof(flags) / sizeof(flags[0]))];
	events->exception = below(32);
	events->interrupt = 32 + below(224);
	if (events->exception == 2)
		events->exception = 13;
}

/* Another state for the same VM. Returns 0, -1: what cannot be told. */
static int randomise(struct runner *runner)
{
	static struct hull_vcpu_state state;
	const __u64 groups = HULL_GROUP_GPRS | HULL_GROUP_SEGMENTS | HULL_GROUP_CONTROL |
			     HULL_GROUP_DEBUG | HULL_GROUP_MSRS | HULL_GROUP_FPU |
			     HULL_GROUP_EVENTS;
	int fd = runner->guest.cpu[0].fd;
	__u64 some = HULL_GROUP_GPRS | HULL_GROUP_EVENTS;

	/* From time to time all is as in the beginning; in between, it drifts. */
	if (!below(8) && renew(runner))
		return -1;
	if (!below(4))
		some = groups;
	if (hull_get_state(fd, some, &state))
		return -1;
	random_gprs(&state.gprs);
	random_events(&state.events);
	random_debug(&state.debug);
	random_control(&state.control);
	random_segments(&state.segments);
	random_msrs(&state.msrs);
	fill_xsave(state.fpu.data);
	if (!hull_set_state(fd, some, &state))
		return 0;
	runner->refused++;
	return renew(runner);
}

/* ---- the test ------------------------------------------------------------------------------- */

/* One call of HULL_RUN and what follows from it. Returns what is wrong, or NULL. */
static const char *one_run(struct runner *runner, struct probe *probe)
{
	struct guest_cpu *cpu = &runner->guest.cpu[0];
	const char *wrong;
	int err = 0;

	fill_xsave(probe->before);
	probe_run(cpu->fd, HULL_RUN, probe->before, &probe->after);
	runner->runs++;
	wrong = probe_compare(probe, cpu->fd);
	if (wrong)
		return wrong;
	if (probe->after.result == (__u64)-EINTR) {
		runner->timeouts++;
		return randomise(runner) ? "no state after a timeout" : NULL;
	}
	if (probe->after.result)
		return "HULL_RUN failed";
	if (cpu->run->exit == HULL_EXIT_ENDED) {
		if (cpu->run->end_reason == HULL_END_INTERNAL)
			return "the module found a defect of its own";
		return replace_vm(runner) ? "no VM" : NULL;
	}
	if (hull_next(&cpu->own, &cpu->posted) == HULL_WORK_REQUEST) {
		bool again = cpu->own.current.address == TRAP_PORT ||
			     cpu->own.current.address == END_PORT || !below(16);

		hull_answer(&cpu->own, random64());
		if (again)
			err = randomise(runner);
	} else {
		err = randomise(runner);
	}
	return err ? "no state" : NULL;
}

static void on_alarm(int number)
{
}

/* Ends guests that loop without an exit to this process. */
static void start_timer(void)
{
	const struct itimerval tick = {
		.it_interval.tv_usec = 20000, .it_value.tv_usec = 20000,
	};
	struct sigaction action = { .sa_handler = on_alarm };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &tick, NULL);
}

static volatile __u64 watched;

/* A breakpoint in a debug register, which counts this thread's writes to @watched; -1: none. */
static int watch(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT, .size = sizeof(attr), .sample_period = 0,
		.bp_type = HW_BREAKPOINT_W, .bp_addr = (unsigned long)&watched,
		.bp_len = HW_BREAKPOINT_LEN_8, .exclude_kernel = 1, .exclude_hv = 1, .pinned = 1,
	};

	return syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static __u64 environment(const char *name, __u64 otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

FIXTURE(host) {
};

FIXTURE_SETUP(host)
{
}

FIXTURE_TEARDOWN(host)
{
}

static struct runner runner;
static struct probe probe;

TEST_F_TIMEOUT(host, random_exits, 300)
{
	const __u64 wanted = environment("HULL_EXITS", 20000);
	__u64 exits = 0, writes = 0, hits = 0;
	const char *wrong = NULL;
	struct klog klog;
	int event = -1;

	/* There a guest may still write code that sets TF. None of this seed does. */
	random_state = environment("HULL_SEED", NEVER_INTERRUPTED ? 1 : time(NULL)) | 1;
	printf("# seed %llu\n", random_state);
	klog_open(&klog);
	ASSERT_EQ(0, replace_vm(&runner)) {
		TH_LOG("cannot create a VM: %s", strerror(errno));
	}
	probe_setup(&probe);
	start_timer();
	/* However few are wanted: also a run with the breakpoint below. */
	while ((exits < wanted || event < 0) && !wrong) {
		wrong = one_run(&runner, &probe);
		/* The host's breakpoint is there in the second half only: both must work. */
		if (event < 0 && exits >= wanted / 2) {
			event = watch();
			ASSERT_LE(0, event) {
				TH_LOG("no hardware breakpoint: %s", strerror(errno));
			}
		}
		if (event >= 0)
			watched = ++writes;
		if (runner.runs % 64 == 0)
			exits = runner.exits + guest_exits(&runner.guest);
	}
	EXPECT_EQ(NULL, wrong) {
		TH_LOG("%s after %llu exits", wrong, exits);
	}
	EXPECT_LE(0, event);
	EXPECT_EQ(sizeof(hits), read(event, &hits, sizeof(hits)));
	EXPECT_EQ(writes, hits);
	EXPECT_LT(0, writes);
	printf("# %llu exits in %u runs of %u VMs; %u states refused, %u timeouts, %llu breakpoints\n",
	       exits, runner.runs, runner.vms, runner.refused, runner.timeouts, hits);
	guest_destroy(&runner.guest);
	EXPECT_EQ(0, klog_reports(&klog));
	klog_close(&klog);
}

HULL_TEST_MAIN
