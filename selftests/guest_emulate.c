// SPDX-License-Identifier: GPL-2.0
/*
 * Instructions executed in software: accesses of many kinds to a device's memory, string port I/O
 * across pages, in both directions, interrupted by signals. The launcher is the device.
 * The emulator itself is tested in user space (emulate/); here its bindings are.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"
#include "harness.h"
#include "limit.h"
#include "trap.h"

#define MMIO	0x20000000ULL
#define MEMORY	HULL_SPACE_MEMORY
#define PORT	HULL_SPACE_PORT

FIXTURE(emulate) {
	struct guest guest;
	struct hull_gprs gprs;
};

FIXTURE_SETUP(emulate)
{
	ASSERT_EQ(0, guest_create(&self->guest, 0, GUEST_SIZE)) {
		TH_LOG("cannot create a VM: %s", strerror(errno));
	}
}

FIXTURE_TEARDOWN(emulate)
{
	guest_destroy(&self->guest);
}

#define RUN(code)	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(code)))
#define EXPECT_READ(at, size, value)						\
	EXPECT_EQ(0, guest_expect_read(guest, 0, MEMORY, MMIO + (at), size, value))
#define EXPECT_WRITE(at, size, value)						\
	EXPECT_EQ(0, guest_expect_write(guest, 0, MEMORY, MMIO + (at), size, value))
#define EXPECT_HALT()	EXPECT_EQ(0, guest_expect_halt(guest, 0))
#define GPR(n)		({ guest_get_gprs(guest, 0, &self->gprs); self->gprs.gpr[HULL_GPR_##n]; })

/* ---- moves ---------------------------------------------------------------------------------- */

GUEST(moves, 64,
      "mov $0x20000000, %ebx\n mov $0x1122334455667788, %rax\n mov %rax, %rcx\n"
      "mov %al, (%rbx)\n mov %ax, 2(%rbx)\n mov %eax, 4(%rbx)\n mov %rax, 8(%rbx)\n"
      "movb $0x12, 1(%rbx)\n movl $0xabcdef, 16(%rbx)\n movq $-2, 24(%rbx)\n mov %ah, 32(%rbx)\n"
      "mov (%rbx), %al\n mov %rax, %r8\n"
      "mov 2(%rbx), %cx\n"
      "mov 4(%rbx), %edx\n mov 8(%rbx), %rsi\n"
      "movzbl (%rbx), %edi\n movswq 2(%rbx), %r9\n movslq 4(%rbx), %r10\n movzwl 2(%rbx), %r11d\n hlt");

TEST_F(emulate, moves)
{
	struct guest *guest = &self->guest;

	RUN(moves);
	EXPECT_WRITE(0, 1, 0x88);
	EXPECT_WRITE(2, 2, 0x7788);
	EXPECT_WRITE(4, 4, 0x55667788);
	EXPECT_WRITE(8, 8, 0x1122334455667788);
	EXPECT_WRITE(1, 1, 0x12);
	EXPECT_WRITE(16, 4, 0xabcdef);
	EXPECT_WRITE(24, 8, -2ULL);
	EXPECT_WRITE(32, 1, 0x77);
	EXPECT_READ(0, 1, 0x99);
	EXPECT_READ(2, 2, 0xaaaa);
	EXPECT_READ(4, 4, 0x80000001);
	EXPECT_READ(8, 8, 0x123456789abcdef0);
	EXPECT_READ(0, 1, 0x80);
	EXPECT_READ(2, 2, 0x8000);
	EXPECT_READ(4, 4, 0x80000000);
	EXPECT_READ(2, 2, 0xfffe);
	EXPECT_HALT();
	EXPECT_EQ(0x1122334455667799, GPR(R8));
	EXPECT_EQ(0x112233445566aaaa, GPR(RCX));
	EXPECT_EQ(0x80000001, GPR(RDX));
	EXPECT_EQ(0x123456789abcdef0, GPR(RSI));
	EXPECT_EQ(0x80, GPR(RDI));
	EXPECT_EQ(0xffffffffffff8000, GPR(R9));
	EXPECT_EQ(0xffffffff80000000, GPR(R10));
	EXPECT_EQ(0xfffe, GPR(R11));
}

GUEST(swapping, 64, "mov $0x20000000, %ebx\n movbe 4(%rbx), %r12d\n movbe %r12w, 8(%rbx)\n hlt");

TEST_F(emulate, swapping_moves)
{
	struct guest *guest = &self->guest;

	if (!__builtin_cpu_supports("movbe"))
		SKIP(return, "the CPU has no MOVBE");
	RUN(swapping);
	EXPECT_READ(4, 4, 0x11223344);
	EXPECT_WRITE(8, 2, 0x1122);
	EXPECT_HALT();
	EXPECT_EQ(0x44332211, GPR(R12));
}

/* Addresses of all forms, RSP as base and as data, and accesses that two pages share. */
GUEST(addressed, 64,
      "mov $0x20000000, %ebx\n mov $0x100, %ecx\n mov $0x1234567, %r9d\n mov $0x20001000, %esp\n"
      "mov %r9d, 8(%rsp)\n mov %esp, 0x20(%rbx)\n mov 4(%rbx), %esp\n mov %rsp, %r8\n"
      "mov %r9d, (%rbx,%rcx,4)\n mov %r9w, -2(%rbx,%rcx)\n mov %sil, 0x1000(%rbx)\n"
      /* By RIP: mov %r9d, 0x20000040; movw $0x5aa5, 0x20000050 */
      ".byte 0x44, 0x89, 0x0d\n .long 0x20000040 - 0x10000 - (1f - guest_addressed)\n1:\n"
      ".byte 0x66, 0xc7, 0x05\n .long 0x20000050 - 0x10000 - (1f - guest_addressed)\n"
      ".word 0x5aa5\n1:\n"
      "mov %r9d, %gs:0x60(%rbx)\n mov %r9d, 0x64(%ebx)\n"
      "mov $0x1ffffc, %ebp\n movq $-3, (%rbp)\n mov (%rbp), %r10\n"
      "movq $-5, 0xffc(%rbx)\n mov 0xffc(%rbx), %r11\n hlt");

TEST_F(emulate, moves_of_all_addresses)
{
	struct guest *guest = &self->guest;

	RUN(addressed);
	EXPECT_WRITE(0x1008, 4, 0x1234567);
	EXPECT_WRITE(0x20, 4, 0x20001000);
	EXPECT_READ(4, 4, 0x87654321);
	EXPECT_WRITE(0x400, 4, 0x1234567);
	EXPECT_WRITE(0xfe, 2, 0x4567);
	EXPECT_WRITE(0x1000, 1, 0);
	EXPECT_WRITE(0x40, 4, 0x1234567);
	EXPECT_WRITE(0x50, 2, 0x5aa5);
	EXPECT_WRITE(0x60, 4, 0x1234567);
	EXPECT_WRITE(0x64, 4, 0x1234567);
	/* Half in memory, half behind its end. */
	EXPECT_EQ(0, guest_expect_write(guest, 0, MEMORY, GUEST_SIZE, 4, 0xffffffff));
	EXPECT_EQ(0xfffffffd, *(__u32 *)(guest->memory + GUEST_SIZE - 4));
	EXPECT_EQ(0, guest_expect_read(guest, 0, MEMORY, GUEST_SIZE, 4, 0x76543210));
	EXPECT_WRITE(0xffc, 4, 0xfffffffb);
	EXPECT_WRITE(0x1000, 4, 0xffffffff);
	EXPECT_READ(0xffc, 4, 0x11111111);
	EXPECT_READ(0x1000, 4, 0x22222222);
	EXPECT_HALT();
	EXPECT_EQ(0x87654321, GPR(R8));
	EXPECT_EQ(0x76543210fffffffd, GPR(R10));
	EXPECT_EQ(0x2222222211111111, GPR(R11));
}

/* The instruction changes, its place does not: what is remembered goes by its bytes. */
GUEST(changing, 64,
      "mov $0x20000000, %ebx\n mov $1, %eax\n mov $2, %ecx\n mov $2, %r8d\n"
      "lea 1f(%rip), %rsi\n"
      "1: mov %eax, 8(%rbx)\n movb $0x4b, 1(%rsi)\n dec %r8d\n jnz 1b\n"
      "movb $0x8b, (%rsi)\n movl $1, %r8d\n jmp 1b\n.balign 4\n");

TEST_F(emulate, moves_that_change)
{
	struct guest *guest = &self->guest;

	RUN(changing);
	EXPECT_WRITE(8, 4, 1);
	EXPECT_WRITE(8, 4, 2);
	EXPECT_READ(8, 4, 3);
	EXPECT_READ(8, 4, 4);
	EXPECT_EQ(3, GPR(RCX));
}

/* One more step with a device in it traps as any other; what is posted, too. */
GUEST(stepping, 64,
      "mov $0x20000000, %ebx\n pushf\n orl $0x100, (%rsp)\n popf\n"
      "mov %eax, (%rbx)\n nop\n hlt");

TEST_F(emulate, moves_in_single_steps)
{
	struct hull_range range = { .space = MEMORY, .delivery = HULL_DELIVER_POSTED, .start = MMIO,
				    .length = 4, .consumer = -1, .eventfd = -1 };
	struct guest *guest = &self->guest;
	struct trap trap;
	int posted;

	if (runs_on("bochs/svm"))
		SKIP(return, "the rest of a single step would hit the host");
	for (posted = 0; posted < 2; posted++) {
		if (posted)
			ASSERT_EQ(0, hull_add_range(guest->vm, &range));
		RUN(stepping);
		ASSERT_EQ(0, trap_install(guest, 0, GUEST_LONG, 0));
		ASSERT_EQ(0, guest_clear_events(guest, 0));
		if (posted) {
			EXPECT_EQ(GUEST_POSTED, guest_run(guest, 0));
		} else {
			EXPECT_WRITE(0, 4, 0);
		}
		ASSERT_EQ(0, trap_expect(guest, 0, GUEST_LONG, 1, &trap));
		/* Behind the MOV. */
		EXPECT_EQ(0x90, guest->memory[trap.rip]);
		hull_answer(&guest->cpu[0].own, 0);
	}
}

/* ---- read, modify, write -------------------------------------------------------------------- */

GUEST(modify, 64,
      "mov $0x20000000, %ebx\n mov $0xf0, %eax\n"
      "or %eax, (%rbx)\n andl $0x0f, 4(%rbx)\n xorb $0xff, 8(%rbx)\n addw $1, 10(%rbx)\n"
      "incl 12(%rbx)\n negl 16(%rbx)\n btsl $3, 20(%rbx)\n"
      "cmpl $5, 24(%rbx)\n sete %cl\n testb $0x80, 28(%rbx)\n setnz %ch\n"
      "xchg %eax, 32(%rbx)\n lock xadd %eax, 36(%rbx)\n"
      "mov $7, %edx\n lock cmpxchg %edx, 40(%rbx)\n setz %dl\n"
      "add 44(%rbx), %edx\n hlt");

TEST_F(emulate, read_modify_write)
{
	struct guest *guest = &self->guest;

	RUN(modify);
	EXPECT_READ(0, 4, 0x0f);
	EXPECT_WRITE(0, 4, 0xff);
	EXPECT_READ(4, 4, 0x12345678);
	EXPECT_WRITE(4, 4, 8);
	EXPECT_READ(8, 1, 0x55);
	EXPECT_WRITE(8, 1, 0xaa);
	EXPECT_READ(10, 2, 0xffff);
	EXPECT_WRITE(10, 2, 0);
	EXPECT_READ(12, 4, 41);
	EXPECT_WRITE(12, 4, 42);
	EXPECT_READ(16, 4, 1);
	EXPECT_WRITE(16, 4, 0xffffffff);
	EXPECT_READ(20, 4, 0);
	EXPECT_WRITE(20, 4, 8);
	EXPECT_READ(24, 4, 5);
	EXPECT_READ(28, 1, 0x80);
	EXPECT_READ(32, 4, 0x111);
	EXPECT_WRITE(32, 4, 0xf0);
	EXPECT_READ(36, 4, 0x222);
	EXPECT_WRITE(36, 4, 0x333);
	EXPECT_READ(40, 4, 0x222);
	EXPECT_WRITE(40, 4, 7);
	EXPECT_READ(44, 4, 0x100);
	EXPECT_HALT();
	EXPECT_EQ(0x0101, GPR(RCX) & 0xffff);
	EXPECT_EQ(0x222, GPR(RAX));
	EXPECT_EQ(0x101, GPR(RDX));
}

GUEST(stack, 64,
      "mov $0x20000000, %ebx\n"
      "pushq (%rbx)\n popq 8(%rbx)\n"
      "mov $0x20000100, %esp\n push %rbx\n pop %rcx\n mov $0x8000, %esp\n hlt");

TEST_F(emulate, stack)
{
	struct guest *guest = &self->guest;

	RUN(stack);
	EXPECT_READ(0, 8, 0x1234);
	EXPECT_WRITE(8, 8, 0x1234);
	EXPECT_WRITE(0xf8, 8, MMIO);
	EXPECT_READ(0xf8, 8, 0x4321);
	EXPECT_HALT();
	EXPECT_EQ(0x4321, GPR(RCX));
}

/* ---- strings to memory of devices ----------------------------------------------------------- */

GUEST(strings, 64,
      "cld\n mov $0x20000000, %edi\n mov $0xaabbccdd, %eax\n mov $3, %ecx\n rep stosl\n"
      "mov $0x40000, %esi\n mov $4, %ecx\n rep movsb\n"
      "mov $0x20000100, %esi\n mov $0x40100, %edi\n mov $3, %ecx\n rep movsw\n"
      "std\n mov $0x20000200, %edi\n mov $2, %ecx\n rep stosw\n cld\n"
      "mov $0x20000300, %esi\n lodsq\n hlt");

/* Elements may come one by one or as a string: collect them. */
static int collect(struct guest *guest, bool write, __u64 address, __u32 size, __u32 total,
		   void *data, int step)
{
	const struct hull_mailbox *request = &guest->cpu[0].own.current;
	unsigned char *payload = guest->cpu[0].own.channel->payload, *to = data;
	__u32 done = 0, bytes;
	__u64 value = 0;

	while (done < total) {
		int ret = guest_run(guest, 0);

		if (ret != HULL_EXIT_REQUEST || request->size != size ||
		    !(request->flags & HULL_MAILBOX_WRITE) != !write ||
		    request->address != address + (__s64)step * (done * size)) {
			printf("# element %u: exit %d, flags %#x, size %u, count %u, address %#llx\n",
			       done, ret, request->flags, request->size, request->count,
			       request->address);
			return -1;
		}
		bytes = request->count * size;
		if (write && (request->flags & HULL_MAILBOX_PAYLOAD))
			memcpy(to, payload, bytes);
		else if (write)
			memcpy(to, &request->value, bytes);
		else if (request->flags & HULL_MAILBOX_PAYLOAD)
			memcpy(payload, to, bytes);
		else
			memcpy(&value, to, bytes);
		done += request->count;
		to += bytes;
		hull_answer(&guest->cpu[0].own, value);
	}
	return 0;
}

TEST_F(emulate, strings_to_memory)
{
	struct guest *guest = &self->guest;
	__u32 words[3] = {};
	__u16 halves[3] = { 1, 2, 0xffff };
	char bytes[4];

	memcpy(guest->memory + GUEST_DATA_GPA, "hull", 4);
	RUN(strings);
	ASSERT_EQ(0, collect(guest, true, MMIO, 4, 3, words, 1));
	EXPECT_EQ(0xaabbccdd, words[0] & words[1] & words[2]);
	ASSERT_EQ(0, collect(guest, true, MMIO + 12, 1, 4, bytes, 1));
	EXPECT_EQ(0, memcmp(bytes, "hull", 4));
	ASSERT_EQ(0, collect(guest, false, MMIO + 0x100, 2, 3, halves, 1));
	ASSERT_EQ(0, collect(guest, true, MMIO + 0x200, 2, 2, halves, -1));
	EXPECT_EQ(0xccdd, halves[0] & halves[1]);
	EXPECT_READ(0x300, 8, 0x77);
	EXPECT_HALT();
	EXPECT_EQ(0, memcmp(guest->memory + 0x40100, "\1\0\2\0\xff\xff", 6));
	EXPECT_EQ(0x77, GPR(RAX));
	EXPECT_EQ(0x20000308, GPR(RSI));
	EXPECT_EQ(MMIO + 0x200 - 4, GPR(RDI));
}

/* ---- string port I/O ------------------------------------------------------------------------ */

GUEST(ports, 64,
      "cld\n mov $0x500, %edx\n"
      "mov $0x41ff0, %esi\n mov $32, %ecx\n rep outsb\n"
      "mov $0x43ff8, %edi\n mov $8, %ecx\n rep insl\n"
      "std\n mov $0x45004, %esi\n mov $4, %ecx\n rep outsl\n"
      "mov $0x47001, %edi\n mov $4, %ecx\n rep insw\n cld\n"
      "xor %ecx, %ecx\n rep outsb\n"
      "mov $0x41ff0, %esi\n outsw\n hlt");

/* As collect(), for a port, whose address stays. */
static int collect_port(struct guest *guest, bool write, __u32 size, __u32 total, void *data)
{
	return collect(guest, write, 0x500, size, total, data, 0);
}

TEST_F(emulate, strings_to_ports_cross_pages)
{
	struct guest *guest = &self->guest;
	unsigned char bytes[64], *memory = guest->memory;
	__u32 words[8], i;
	__u16 halves[4] = { 1, 2, 3, 4 };

	for (i = 0; i < 64; i++)
		memory[0x41ff0 + i] = i;
	for (i = 0; i < 8; i++) {
		words[i] = 0x1000 + i;
		memcpy(memory + 0x45008 - 4 * i - 4, &i, 4);
	}
	RUN(ports);
	ASSERT_EQ(0, collect_port(guest, true, 1, 32, bytes));
	for (i = 0; i < 32; i++)
		EXPECT_EQ(i, bytes[i]);
	ASSERT_EQ(0, collect_port(guest, false, 4, 8, words));
	ASSERT_EQ(0, collect_port(guest, true, 4, 4, words));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(i, words[i]);
	ASSERT_EQ(0, collect_port(guest, false, 2, 4, halves));
	ASSERT_EQ(0, collect_port(guest, true, 2, 1, bytes));
	EXPECT_HALT();
	EXPECT_EQ(0, memcmp(memory + 0x43ff8, (__u32 []) { 0x1000, 0x1001, 0x1002, 0x1003, 0x1004,
			    0x1005, 0x1006, 0x1007 }, 32));
	EXPECT_EQ(0, memcmp(memory + 0x46ffb, (__u16 []) { 4, 3, 2, 1 }, 8));
	EXPECT_EQ(0x41ff2, GPR(RSI));
	EXPECT_EQ(0, GPR(RCX));
}

/* ---- interruption --------------------------------------------------------------------------- */

GUEST(endless, 64,
      "1: mov $0x500, %edx\n mov $0x41000, %esi\n mov $64, %ecx\n rep outsb\n"
      "mov $0x20000000, %ebx\n addl $1, (%rbx)\n mov $0x40000, %edi\n"
      "mov $4096, %ecx\n rep stosb\n incl 0x48000\n jmp 1b");

TEST_F(emulate, signals_do_not_disturb)
{
	struct guest *guest = &self->guest;
	int round, ret;

	RUN(endless);
	limit_set(500);
	for (round = 0; round < 100; round++) {
		do {
			ret = guest_run(guest, 0);
		} while (ret == -1 && errno == EINTR);
		ASSERT_EQ(HULL_EXIT_REQUEST, ret);
		while (guest->cpu[0].own.current.space == PORT) {
			hull_answer(&guest->cpu[0].own, 0);
			do {
				ret = guest_run(guest, 0);
			} while (ret == -1 && errno == EINTR);
			ASSERT_EQ(HULL_EXIT_REQUEST, ret);
		}
		EXPECT_EQ(0, guest->cpu[0].own.current.flags);
		hull_answer(&guest->cpu[0].own, round);
		do {
			ret = guest_run(guest, 0);
		} while (ret == -1 && errno == EINTR);
		ASSERT_EQ(HULL_EXIT_REQUEST, ret);
		EXPECT_EQ(HULL_MAILBOX_WRITE, guest->cpu[0].own.current.flags);
		EXPECT_EQ(round + 1, guest->cpu[0].own.current.value);
		hull_answer(&guest->cpu[0].own, 0);
	}
	limit_set(0);
	EXPECT_LE(99, *(__u32 *)(guest->memory + 0x48000));
	EXPECT_GE(100, *(__u32 *)(guest->memory + 0x48000));
}

/* ---- faults --------------------------------------------------------------------------------- */

TEST_F(emulate, faults_reach_the_guest)
{
	struct guest *guest = &self->guest;
	struct hull_gprs gprs = { .gpr = {
		[HULL_GPR_RBX] = MMIO, [HULL_GPR_RDX] = 0x500, [HULL_GPR_RCX] = 4,
		[HULL_GPR_RSI] = 1ULL << 32, [HULL_GPR_RDI] = 1ULL << 32,
	} }, again = gprs;
	struct trap trap;

	RUN(moves);
	ASSERT_EQ(0, trap_install(guest, 0, GUEST_LONG, 0));
	/* rep outsb from, rep insb to what is not mapped: nothing reaches the port. */
	EXPECT_EQ(14, trap_try(guest, GUEST_LONG, GUEST_CODE_GPA(0), "\xf3\x6e", 2, &gprs, &trap));
	if (!runs_on("bochs/svm"))				/* does not load CR2 */
		EXPECT_EQ(1ULL << 32, trap.cr2);
	EXPECT_EQ(0, trap.error);
	gprs = again;
	EXPECT_EQ(14, trap_try(guest, GUEST_LONG, GUEST_CODE_GPA(0), "\xf3\x6c", 2, &gprs, &trap));
	EXPECT_EQ(2, trap.error);
	EXPECT_EQ(4, gprs.gpr[HULL_GPR_RCX]);
	/* movsb from a device to what is not mapped */
	gprs = again;
	gprs.gpr[HULL_GPR_RSI] = MMIO;
	EXPECT_EQ(14, trap_try(guest, GUEST_LONG, GUEST_CODE_GPA(0), "\xa4", 1, &gprs, &trap));
	if (!runs_on("bochs/svm"))
		EXPECT_EQ(1ULL << 32, trap.cr2);
	/* lock mov, to a device */
	gprs = again;
	EXPECT_EQ(6, trap_try(guest, GUEST_LONG, GUEST_CODE_GPA(0), "\xf0\x88\x03", 3, &gprs,
			      &trap));
}

/* What the emulator does not know ends the VM, with the bytes for the report. */
TEST_F(emulate, unknown_instructions_end_the_vm)
{
	struct guest *guest = &self->guest;
	static const unsigned char fld[] = { 0xdd, 0x03 };
	struct hull_gprs gprs;

	RUN(moves);
	memcpy(guest->memory + GUEST_CODE_GPA(0), fld, 2);
	ASSERT_EQ(0, guest_get_gprs(guest, 0, &gprs));
	gprs.gpr[HULL_GPR_RBX] = MMIO;
	ASSERT_EQ(0, guest_set_gprs(guest, 0, &gprs));
	EXPECT_EQ(HULL_EXIT_ENDED, guest_run(guest, 0));
	EXPECT_EQ(HULL_END_EMULATION, guest->cpu[0].run->end_reason);
	EXPECT_EQ(GUEST_CODE_GPA(0), guest->cpu[0].run->end_rip);
	EXPECT_LE(2, guest->cpu[0].run->end_insn_len);
	EXPECT_EQ(0, memcmp(guest->cpu[0].run->end_insn, fld, 2));
}

HULL_TEST_MAIN
