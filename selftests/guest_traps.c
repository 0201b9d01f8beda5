// SPDX-License-Identifier: GPL-2.0
/*
 * Exceptions reach the guest's handlers as on hardware; instructions that hull keeps from guests
 * fault; those it executes step by their own length, whatever prefixes they wear.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"
#include "harness.h"
#include "trap.h"

FIXTURE(traps) {
	struct guest guest;
	struct hull_gprs gprs;
	struct trap trap;
};

FIXTURE_VARIANT(traps) {
	enum guest_mode mode;
};

FIXTURE_VARIANT_ADD(traps, real) { .mode = GUEST_REAL };
FIXTURE_VARIANT_ADD(traps, protected) { .mode = GUEST_PROTECTED };
FIXTURE_VARIANT_ADD(traps, long_mode) { .mode = GUEST_LONG };

FIXTURE_SETUP(traps)
{
	SKIP_REAL_MODE(variant->mode == GUEST_REAL);
	ASSERT_EQ(0, guest_create(&self->guest, 0, GUEST_SIZE)) {
		TH_LOG("cannot create a VM: %s", strerror(errno));
	}
	ASSERT_EQ(0, guest_start(&self->guest, 0, variant->mode, NULL, 0));
	ASSERT_EQ(0, trap_install(&self->guest, 0, variant->mode, 0));
	memset(&self->gprs, 0, sizeof(self->gprs));
	self->gprs.gpr[HULL_GPR_RDI] = GUEST_DATA_GPA & 0xffff;
}

FIXTURE_TEARDOWN(traps)
{
	guest_destroy(&self->guest);
}

#define CODE	0x10100

static int try(struct guest *guest, enum guest_mode mode, const char *code, size_t len,
	       struct hull_gprs *gprs, struct trap *trap)
{
	return trap_try(guest, mode, CODE, code, len, gprs, trap);
}

#define TRY(code)	try(&self->guest, variant->mode, code, sizeof(code) - 1, &self->gprs,	\
			    &self->trap)
/* RIP as the guest sees it in real mode. */
#define RIP(offset)	((variant->mode == GUEST_REAL ? CODE - GUEST_CODE_GPA(0) : CODE) + (offset))

#define EXPECT_TRAP(wanted, wanted_error, offset, code) do {		\
	EXPECT_EQ(wanted, TRY(code));					\
	EXPECT_EQ(wanted_error, self->trap.error);			\
	EXPECT_EQ(RIP(offset), self->trap.rip);				\
} while (0)

/* ---- exceptions ----------------------------------------------------------------------------- */

TEST_F(traps, exceptions_without_error_code)
{
	EXPECT_TRAP(0, 0, 2, "\x31\xc9\xf7\xf1");	/* xor %ecx, %ecx; div */
	EXPECT_TRAP(3, 0, 1, "\xcc");
	EXPECT_TRAP(6, 0, 0, "\x0f\x0b");
	EXPECT_TRAP(48, 0, 2, "\xcd\x30");
	/* INT1, which QEMU does not have. */
	if (!runs_on("qemu/svm"))
		EXPECT_TRAP(1, 0, 1, "\xf1");
	if (variant->mode == GUEST_PROTECTED)
		EXPECT_TRAP(4, 0, 5, "\xb0\x7f\x04\x01\xce");	/* add, into */
	EXPECT_EQ(TRAP_STEPPED, TRY("\x90"));
}

TEST_F(traps, single_step_after_executed_instructions)
{
	/* pushf; or $0x100, (%sp); popf; then an instruction that exits, or that does not. */
	if (variant->mode != GUEST_LONG)
		SKIP(return, "encoded for long mode");
	EXPECT_TRAP(1, 0, 10, "\x9c\x81\x0c\x24\x00\x01\x00\x00\x9d\x90\x90");
	/* The rest of the single step would hit the host. */
	if (!runs_on("bochs/svm"))
		EXPECT_TRAP(1, 0, 11, "\x9c\x81\x0c\x24\x00\x01\x00\x00\x9d\x0f\xa2\x90");
}

TEST_F(traps, general_detect_ends_with_its_fault)
{
	struct hull_vcpu_state *state = calloc(1, sizeof(*state));
	int fd = self->guest.cpu[0].fd;

	ASSERT_NE(NULL, state);
	/* mov $0x2400, %eax; mov %eax, %dr7; mov %dr0, %ecx */
	if (variant->mode == GUEST_REAL)
		EXPECT_TRAP(1, 0, 9, "\x66\xb8\x00\x24\x00\x00\x0f\x23\xf8\x0f\x21\xc1");
	else
		EXPECT_TRAP(1, 0, 8, "\xb8\x00\x24\x00\x00\x0f\x23\xf8\x0f\x21\xc1");
	/* The handler may look. */
	ASSERT_EQ(0, hull_get_state(fd, HULL_GROUP_DEBUG, state));
	EXPECT_EQ(0x400, state->debug.dr7);
	/* Bochs' AMD CPU exits before it sets DR6. */
	if (!runs_on("bochs/svm"))
		EXPECT_EQ(0xffff2ff0, state->debug.dr6);
	free(state);
}

TEST_F(traps, exceptions_with_error_code)
{
	__u64 *gdt = (__u64 *)(self->guest.memory + TRAP_GDT_GPA);

	if (variant->mode == GUEST_REAL)
		SKIP(return, "real mode has none");
	gdt[31] = 0x00cf13000000ffffULL;		/* data, not present */
	/* mov $selector, %eax; mov %eax, %ds */
	EXPECT_TRAP(13, 0x1000, 5, "\xb8\x00\x10\x00\x00\x8e\xd8");
	EXPECT_TRAP(11, 0xf8, 5, "\xb8\xf8\x00\x00\x00\x8e\xd8");
	EXPECT_TRAP(13, 0xf0, 5, "\xb8\xf0\x00\x00\x00\x8e\xd8");
	/* A vector beyond a short IDT is tried below; a missing gate here. */
	memset(self->guest.memory + TRAP_IDT_GPA + 0x50 * (variant->mode == GUEST_LONG ? 16 : 8), 0,
	       16);
	EXPECT_EQ(13, TRY("\xcd\x50"));
	/* QEMU counts gates of 16 bytes here, CPUs do not. */
	EXPECT_TRUE(self->trap.error == 0x50 * 8 + 2 || self->trap.error == 0x50 * 16 + 2);
}

TEST_F(traps, page_faults_have_address_and_error_code)
{
	if (variant->mode != GUEST_LONG)
		SKIP(return, "no paging");
	/* mov $1 << 32, %rax; then read, write, jump */
	EXPECT_TRAP(14, 0, 10, "\x48\xb8\x00\x10\x00\x00\x01\x00\x00\x00\x8a\x00");
	EXPECT_EQ(0x100001000, self->trap.cr2);
	EXPECT_TRAP(14, 2, 10, "\x48\xb8\x10\x20\x00\x00\x01\x00\x00\x00\x88\x00");
	EXPECT_EQ(0x100002010, self->trap.cr2);
	EXPECT_EQ(14, TRY("\x48\xb8\x00\x10\x00\x00\x01\x00\x00\x00\xff\xe0"));
	EXPECT_EQ(0x100001000, self->trap.rip);
	EXPECT_EQ(0x100001000, self->trap.cr2);
	/* Not canonical */
	EXPECT_TRAP(13, 0, 10, "\x48\xb8\x00\x10\x00\x00\x00\x00\x00\x80\x8a\x00");
}

TEST_F(traps, handlers_return)
{
	struct guest *guest = &self->guest;
	int i;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(6, TRY("\x0f\x0b\x90\x90"));
		ASSERT_EQ(0, trap_return(guest, 0, variant->mode, &self->trap,
					 self->trap.rip + 3));
		EXPECT_EQ(HULL_EXIT_REQUEST, guest_run(guest, 0));
		EXPECT_EQ(TRAP_MARK_PORT, guest->cpu[0].own.current.address);
		hull_answer(&guest->cpu[0].own, 0);
	}
}

/* ---- instructions that guests do not have --------------------------------------------------- */

struct insn {
	const char *name, *bytes;
	size_t len;
};

#define INSN(name, bytes) { name, bytes, sizeof(bytes) - 1 }

static const struct insn undefined[] = {
	INSN("vmrun", "\x0f\x01\xd8"), INSN("vmload", "\x0f\x01\xda"),
	INSN("vmsave", "\x0f\x01\xdb"), INSN("stgi", "\x0f\x01\xdc"),
	INSN("clgi", "\x0f\x01\xdd"), INSN("skinit", "\x0f\x01\xde"),
	INSN("invlpga", "\x0f\x01\xdf"), INSN("vmcall", "\x0f\x01\xc1"),
	INSN("vmlaunch", "\x0f\x01\xc2"), INSN("vmresume", "\x0f\x01\xc3"),
	INSN("vmxoff", "\x0f\x01\xc4"), INSN("vmfunc", "\x0f\x01\xd4"),
	INSN("vmxon", "\xf3\x0f\xc7\x35"), INSN("vmptrld", "\x0f\xc7\x35"),
	INSN("vmclear", "\x66\x0f\xc7\x35"), INSN("vmptrst", "\x0f\xc7\x3d"),
	INSN("vmread", "\x0f\x78\xc0"), INSN("vmwrite", "\x0f\x79\xc0"),
	INSN("invept", "\x66\x0f\x38\x80\x05"), INSN("invvpid", "\x66\x0f\x38\x81\x05"),
	INSN("monitor", "\x0f\x01\xc8"), INSN("mwait", "\x0f\x01\xc9"),
	INSN("monitorx", "\x0f\x01\xfa"), INSN("mwaitx", "\x0f\x01\xfb"),
	INSN("rdtscp", "\x0f\x01\xf9"), INSN("rdpru", "\x0f\x01\xfd"),
	INSN("rsm", "\x0f\xaa"), INSN("getsec", "\x0f\x37"),
	INSN("encls", "\x0f\x01\xcf"), INSN("enclu", "\x0f\x01\xd7"),
	INSN("invlpgb", "\x0f\x01\xfe"), INSN("tlbsync", "\x0f\x01\xff"),
	INSN("invpcid", "\x66\x0f\x38\x82\x05"),
};

TEST_F(traps, virtualization_instructions_are_undefined)
{
	struct guest *guest = &self->guest;
	size_t i;
	int ret;

	for (i = 0; i < sizeof(undefined) / sizeof(undefined[0]); i++) {
		memset(guest->memory + CODE, 0, 16);
		ret = try(guest, variant->mode, undefined[i].bytes, undefined[i].len, &self->gprs,
			  &self->trap);
		/* QEMU has no intercept for this one. */
		if (ret == TRAP_STEPPED && !strcmp(undefined[i].name, "rdtscp"))
			continue;
		EXPECT_EQ(6, ret) {
			TH_LOG("%s", undefined[i].name);
		}
		EXPECT_EQ(RIP(0), self->trap.rip);
	}
	EXPECT_EQ(0, hull_vm_check(guest->vm));
}

TEST_F(traps, rdpmc_and_unknown_msrs_fault)
{
	static const __u32 unknown[] = { 0x2, 0x123, 0x1ff, 0x345, 0x480, 0x486, 0xc0000080 + 0x40,
					 0xc0010114, 0xc0010118, 0xc0011030, 0x40000000, ~0U };
	size_t i;

	EXPECT_TRAP(13, 0, 0, "\x0f\x33");
	for (i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		self->gprs.gpr[HULL_GPR_RCX] = unknown[i];
		EXPECT_TRAP(13, 0, 0, "\x0f\x32");
		EXPECT_TRAP(13, 0, 0, "\x0f\x30");
	}
}

/* ---- hypercalls ----------------------------------------------------------------------------- */

TEST_F(traps, hypercalls_have_results)
{
	struct hull_range range = { .space = HULL_SPACE_HYPERCALL, .start = 0x77, .length = 1,
				    .consumer = -1, .eventfd = -1 };
	struct guest *guest = &self->guest;

	self->gprs.gpr[HULL_GPR_RAX] = 0x12345;
	EXPECT_EQ(TRAP_STEPPED, TRY("\x0f\x01\xd9"));
	EXPECT_EQ(-1000ULL, self->gprs.gpr[HULL_GPR_RAX]);
	ASSERT_EQ(0, hull_add_range(guest->vm, &range));
	self->gprs.gpr[HULL_GPR_RAX] = 0x77;
	self->gprs.gpr[HULL_GPR_RBX] = 0x1111;
	memcpy(guest->memory + CODE, "\x0f\x01\xd9\xf4", 4);
	guest_fix_hypercalls(guest, guest->memory + CODE, 4);
	self->gprs.rip = RIP(0);
	self->gprs.rflags = 2;
	ASSERT_EQ(0, guest_clear_events(guest, 0));
	ASSERT_EQ(0, guest_set_gprs(guest, 0, &self->gprs));
	ASSERT_EQ(HULL_EXIT_REQUEST, guest_run(guest, 0));
	EXPECT_EQ(HULL_SPACE_HYPERCALL, guest->cpu[0].own.current.space);
	EXPECT_EQ(0x77, guest->cpu[0].own.current.address);
	EXPECT_EQ(0x1111, guest->cpu[0].own.current.args[0]);
	hull_answer(&guest->cpu[0].own, 0xabcdef);
	ASSERT_EQ(0, guest_expect_halt(guest, 0));
	ASSERT_EQ(0, guest_get_gprs(guest, 0, &self->gprs));
	EXPECT_EQ(0xabcdef, self->gprs.gpr[HULL_GPR_RAX]);
}

/* ---- lengths -------------------------------------------------------------------------------- */

static const struct insn executed[] = {
	INSN("cpuid", "\x0f\xa2"), INSN("rdmsr", "\x0f\x32"), INSN("wrmsr", "\x0f\x30"),
	INSN("hlt", "\xf4"), INSN("wbinvd", "\x0f\x09"), INSN("invd", "\x0f\x08"),
	INSN("vmmcall", "\x0f\x01\xd9"), INSN("mov cr8", "\x44\x0f\x22\xc0"),
	INSN("mov cr0", "\x0f\x22\xc0"), INSN("mov dr3", "\x0f\x23\xd8"),
	INSN("out", "\xe6\xe8"), INSN("clts", "\x0f\x06"),
};

static const struct insn prefixes[] = {
	INSN("", ""), INSN("66", "\x66"), INSN("67", "\x67"), INSN("2e", "\x2e"),
	INSN("3e", "\x3e"), INSN("65", "\x65"), INSN("f2", "\xf2"), INSN("f3", "\xf3"),
	INSN("66 66 66", "\x66\x66\x66"), INSN("66 f3", "\x66\xf3"),
	INSN("2e 36 64 65 67", "\x2e\x36\x64\x65\x67"),
	INSN("nine of them", "\x66\x67\x66\x67\x66\x67\x66\x67\x66"),
	/* REX: long mode only */
	INSN("40", "\x40"), INSN("48", "\x48"), INSN("4f", "\x4f"), INSN("66 48", "\x66\x48"),
	INSN("48 66", "\x48\x66"), INSN("48 4f", "\x48\x4f"),
};
#define FIRST_REX	12

static size_t join(char *to, const struct insn *prefix, const struct insn *insn)
{
	memcpy(to, prefix->bytes, prefix->len);
	memcpy(to + prefix->len, insn->bytes, insn->len);
	return prefix->len + insn->len;
}

/* At @gpa: stepped, or for odd combinations #UD or #GP at its first byte. */
static int step_one(struct guest *guest, enum guest_mode mode, __u64 gpa,
		    const struct insn *prefix, const struct insn *insn)
{
	__u64 start = mode == GUEST_REAL ? gpa - GUEST_CODE_GPA(0) : gpa;
	bool strict = insn < &executed[4] && insn->bytes[0] != '\x44';
	struct hull_gprs gprs = { .gpr[HULL_GPR_RCX] = 0x8b };
	struct hull_control control;
	struct trap trap;
	char code[20];
	int ret;

	if (guest_get_control(guest, 0, &control))
		return -1;
	/* For those that write registers: the same value again. */
	if (!memcmp(insn->name, "mov cr0", 7))
		gprs.gpr[HULL_GPR_RAX] = control.cr0;
	ret = trap_try(guest, mode, gpa, code, join(code, prefix, insn), &gprs, &trap);
	if (ret == -1 && insn->bytes[0] == '\xe6')
		return 0;	/* the OUT itself came to the launcher */
	if (ret == TRAP_STEPPED)
		return 0;
	if (!strict && (ret == 6 || ret == 13) && trap.rip == start)
		return 0;
	printf("# %s %s at %#llx: %d\n", prefix->name, insn->name, gpa, ret);
	return -1;
}

TEST_F_TIMEOUT(traps, prefixed_instructions_have_their_length, 60)
{
	struct guest *guest = &self->guest;
	size_t i, j, limit = sizeof(prefixes) / sizeof(prefixes[0]);
	__u64 gpa;

	if (variant->mode != GUEST_LONG)
		limit = FIRST_REX;
	for (i = 0; i < sizeof(executed) / sizeof(executed[0]); i++) {
		if (executed[i].bytes[0] == '\xe6')
			continue;
		for (j = 0; j < limit; j++) {
			if (executed[i].bytes[0] == '\x44' && variant->mode != GUEST_LONG)
				continue;
			EXPECT_EQ(0, step_one(guest, variant->mode, CODE, &prefixes[j],
					      &executed[i]));
		}
	}
	/* Across a page, the border at each byte. */
	for (i = 0; i < 4; i++) {
		for (gpa = 0x10ffa; gpa < 0x11000; gpa++) {
			EXPECT_EQ(0, step_one(guest, variant->mode, gpa, &prefixes[0],
					      &executed[i]));
			EXPECT_EQ(0, step_one(guest, variant->mode, gpa, &prefixes[8],
					      &executed[i]));
		}
	}
}

/* ---- code that is no longer where it was ---------------------------------------------------- */

/*
 * CPUID is executed at one linear address while the guest, and then the launcher, put other pages
 * behind it: 2 bytes long above 2 MiB, 3 and 4 bytes above 4 MiB. Who thinks of the old page steps
 * into the middle of an instruction.
 */
#define MOVED		"0x40001000"
#define MOVED_ENTRY	"0x4000"	/* of the guest's tables */
#define CALL_IT		"invlpg (%r12); mov $8, %r13d\n"				\
			"1: xor %eax, %eax; call *%r12; dec %r13d; jnz 1b; hlt\n"

GUEST(moving, 64,
      "mov $" MOVED ", %r12d\n"
      "movq $0x200083, " MOVED_ENTRY "\n" CALL_IT
      "movq $0x400083, " MOVED_ENTRY "\n" CALL_IT
      CALL_IT);

TEST(length_follows_the_page)
{
	static const unsigned char two[] = "\x0f\xa2\xc3", three[] = "\x66\x0f\xa2\xc3",
				   four[] = "\x66\x66\x0f\xa2\xc3";
	const size_t size = 8 << 20, half = 4 << 20;
	struct hull_region regions[2] = {};
	unsigned char *other;
	struct guest guest;

	ASSERT_EQ(0, guest_create(&guest, 0, size));
	ASSERT_EQ(0, guest_start(&guest, 0, GUEST_LONG, GUEST_CODE(moving)));
	memcpy(guest.memory + (2 << 20) + 0x1000, two, sizeof(two));
	memcpy(guest.memory + half + 0x1000, three, sizeof(three));
	EXPECT_EQ(0, guest_expect_halt(&guest, 0));
	EXPECT_EQ(0, guest_expect_halt(&guest, 0));

	other = mmap(NULL, half, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, other);
	memcpy(other + 0x1000, four, sizeof(four));
	regions[0].size = regions[1].size = half;
	regions[0].hva = (__u64)guest.memory;
	regions[1].gpa = half;
	regions[1].hva = (__u64)other;
	ASSERT_EQ(0, hull_set_memory(guest.vm, regions, 2));
	EXPECT_EQ(0, guest_expect_halt(&guest, 0));
	guest_destroy(&guest);
	munmap(other, half);
}

HULL_TEST_MAIN
