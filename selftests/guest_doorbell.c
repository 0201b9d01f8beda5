// SPDX-License-Identifier: GPL-2.0
/*
 * Doorbells in memory: any length, any size, any value, by all instructions that can write there;
 * and what does not ring them.
 */
#define _GNU_SOURCE
#include <sys/eventfd.h>
#include <unistd.h>

#include "device.h"
#include "guest.h"
#include "harness.h"

FIXTURE(bell) {
	struct guest guest;
	int fd;
};

FIXTURE_SETUP(bell)
{
	ASSERT_EQ(0, guest_create(&self->guest, 0, GUEST_SIZE)) {
		TH_LOG("cannot create a VM: %s", strerror(errno));
	}
	self->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

FIXTURE_TEARDOWN(bell)
{
	EXPECT_EQ(0, hull_vm_check(self->guest.vm));
	guest_destroy(&self->guest);
}

static __u64 rung(int fd)
{
	__u64 count = 0;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

/* A doorbell for @size bytes (0: any) and, when @value is given, for that value. */
static int add_bell(struct guest *guest, __u64 start, __u64 length, __u32 size, const __u64 *value,
		    int fd)
{
	struct hull_range bell = bell_of(MEMORY, start, length, fd);

	bell.size = size;
	if (value) {
		bell.flags = HULL_RANGE_MATCH_VALUE;
		bell.value = *value;
	}
	return hull_add_range(guest->vm, &bell);
}

#define START(code)	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(code)))

/* ---- sizes and values ----------------------------------------------------------------------- */

GUEST(all_sizes, 64, "mov $0x10000000, %ebx\n mov $0x8877665544332211, %rax\n"
      "mov %al, (%rbx)\n mov %ax, (%rbx)\n mov %eax, (%rbx)\n mov %rax, (%rbx)\n hlt\n");

TEST_F(bell, each_size_has_its_bell)
{
	static const __u64 values[] = { 0x11, 0x2211, 0x44332211, 0x8877665544332211 };
	struct guest *guest = &self->guest;
	__u64 expected[4], address = MMIO;
	int i, j;

	/* One size with its value; the other three reach the launcher. */
	for (i = 0; i < 4; i++) {
		struct hull_range bell = bell_of(MEMORY, MMIO, 8, self->fd);

		bell.size = 1 << i;
		bell.flags = HULL_RANGE_MATCH_VALUE;
		bell.value = values[i];
		ASSERT_EQ(0, hull_add_range(guest->vm, &bell));
		START(all_sizes);
		for (j = 0; j < 4; j++) {
			expected[j] = values[j];
			if (j != i)
				ASSERT_EQ(0, guest_expect_write(guest, 0, MEMORY, address, 1 << j,
								expected[j]));
		}
		ASSERT_EQ(0, guest_expect_halt(guest, 0));
		EXPECT_EQ(1, rung(self->fd));
		ASSERT_EQ(0, hull_remove_range(guest->vm, &bell));
	}
}

TEST_F(bell, any_size_and_value_ring)
{
	struct guest *guest = &self->guest;

	ASSERT_EQ(0, add_bell(guest, MMIO, 8, 0, NULL, self->fd));
	START(all_sizes);
	ASSERT_EQ(0, guest_expect_halt(guest, 0));
	EXPECT_EQ(4, rung(self->fd));
}

/* The value is compared with what is written, whatever its size. */
GUEST(one_value, 64, "mov $0x10000000, %ebx\n mov $0xff00ff0000000011, %rax\n"
      "mov %al, (%rbx)\n mov %ax, (%rbx)\n mov %eax, (%rbx)\n mov %rax, (%rbx)\n hlt\n");

TEST_F(bell, a_value_of_any_size_rings)
{
	const __u64 value = 0x11, whole = 0xff00ff0000000011;
	int wide = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct guest *guest = &self->guest;

	ASSERT_EQ(0, add_bell(guest, MMIO, 8, 0, &value, self->fd));
	ASSERT_EQ(0, add_bell(guest, MMIO, 8, 0, &whole, wide));
	START(one_value);
	ASSERT_EQ(0, guest_expect_halt(guest, 0));
	EXPECT_EQ(3, rung(self->fd));
	EXPECT_EQ(1, rung(wide));
}

GUEST(count_up, 64, "mov $0x10000000, %ebx\n xor %eax, %eax\n"
      "1: mov %eax, (%rbx)\n inc %eax\n cmp $256, %eax\n jb 1b\n hlt\n");

/* All ranges are doorbells at one address: each value rings its own, once. */
TEST_F_TIMEOUT(bell, as_many_values_as_ranges, 60)
{
	static int fds[HULL_MAX_RANGES];
	struct guest *guest = &self->guest;
	__u64 i;

	for (i = 0; i < HULL_MAX_RANGES; i++) {
		fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		ASSERT_EQ(0, add_bell(guest, MMIO, 4, 4, &i, fds[i]));
	}
	START(count_up);
	ASSERT_EQ(0, guest_expect_halt(guest, 0));
	for (i = 0; i < HULL_MAX_RANGES; i++)
		EXPECT_EQ(1, rung(fds[i]));
}

/* ---- lengths -------------------------------------------------------------------------------- */

GUEST(across, 64, "mov $0x10000000, %ebx\n mov $0x5566, %eax\n"
      "mov %eax, 0x1000(%rbx)\n mov %eax, 0x2ffc(%rbx)\n mov %al, 0x2fff(%rbx)\n"
      "mov %eax, 0x1ffe(%rbx)\n"		/* from page to page */
      "mov %eax, 0xfff(%rbx)\n"		/* half before */
      "mov %ax, 0x2fff(%rbx)\n"		/* half behind */
      "mov %al, 0x3000(%rbx)\n hlt\n");

/* Two pages: inside all writes ring, at the edges none that is not wholly inside. */
TEST_F(bell, pages_are_a_bell)
{
	struct guest *guest = &self->guest;
	struct guest_cpu *cpu = &guest->cpu[0];
	int others = 0, ret;

	ASSERT_EQ(0, add_bell(guest, MMIO + 0x1000, 0x2000, 0, NULL, self->fd));
	START(across);
	while ((ret = guest_run(guest, 0)) == HULL_EXIT_REQUEST) {
		const struct hull_mailbox *request = &cpu->own.current;

		/* What was not rung reaches out of the pages. */
		EXPECT_TRUE(request->address < MMIO + 0x1000 ||
			    request->address + request->size > MMIO + 0x3000);
		others++;
		hull_answer(&cpu->own, 0);
	}
	EXPECT_EQ(HULL_EXIT_HALTED, ret);
	EXPECT_LE(3, others);
	/* The one that crosses between the pages may be two. */
	ret = rung(self->fd);
	EXPECT_LE(4, ret);
	EXPECT_GE(7, ret);
}

/* ---- instructions --------------------------------------------------------------------------- */

GUEST(strings, 64, "mov $0x10000000, %edi\n mov $0x40000, %esi\n mov $10, %ecx\n cld\n"
      "mov $7, %eax\n rep stosl\n"
      "mov $0x10000000, %edi\n mov $5, %ecx\n rep movsb\n"
      "mov $0x10000000, %edi\n movsq\n hlt\n");

TEST_F(bell, each_element_of_a_string_rings)
{
	struct guest *guest = &self->guest;

	ASSERT_EQ(0, add_bell(guest, MMIO, 0x1000, 0, NULL, self->fd));
	START(strings);
	ASSERT_EQ(0, guest_expect_halt(guest, 0));
	EXPECT_EQ(16, rung(self->fd));
}

/* Only one of the elements is the bell's. */
TEST_F(bell, a_string_passes_a_bell)
{
	struct guest *guest = &self->guest;
	struct guest_cpu *cpu = &guest->cpu[0];
	int others = 0, ret;

	ASSERT_EQ(0, add_bell(guest, MMIO + 12, 4, 4, NULL, self->fd));
	START(strings);
	while ((ret = guest_run(guest, 0)) == HULL_EXIT_REQUEST) {
		others += cpu->own.current.count;
		hull_answer(&cpu->own, 0);
	}
	EXPECT_EQ(HULL_EXIT_HALTED, ret);
	EXPECT_EQ(15, others);
	EXPECT_EQ(1, rung(self->fd));
}

GUEST(changes, 64, "mov $0x10000000, %ebx\n mov $3, %eax\n"
      "addl $2, (%rbx)\n xchg %eax, (%rbx)\n lock orl $1, (%rbx)\n out %eax, $0xe9\n hlt\n");

/* Instructions that read first ask the launcher, and ring when they write. */
TEST_F(bell, a_changed_word_rings)
{
	struct guest *guest = &self->guest;
	const __u64 sum = 42;
	int forty_two = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	ASSERT_EQ(0, add_bell(guest, MMIO, 4, 4, &sum, forty_two));
	START(changes);
	EXPECT_EQ(0, guest_expect_read(guest, 0, MEMORY, MMIO, 4, 40));
	EXPECT_EQ(0, guest_expect_read(guest, 0, MEMORY, MMIO, 4, 99));
	EXPECT_EQ(1, rung(forty_two));
	EXPECT_EQ(0, guest_expect_write(guest, 0, MEMORY, MMIO, 4, 3));
	EXPECT_EQ(0, guest_expect_read(guest, 0, MEMORY, MMIO, 4, 40));
	EXPECT_EQ(0, guest_expect_write(guest, 0, MEMORY, MMIO, 4, 41));
	EXPECT_EQ(0, guest_expect_write(guest, 0, PORT, 0xe9, 4, 99));
	EXPECT_EQ(0, guest_expect_halt(guest, 0));
	EXPECT_EQ(0, rung(forty_two));
}

GUEST(vector, 64, "mov $0x10000000, %ebx\n movups %xmm0, (%rbx)\n hlt\n");

/* What the emulator does not know ends the VM, and rings nothing. */
TEST_F(bell, a_vector_does_not_ring)
{
	struct guest *guest = &self->guest;
	struct hull_vcpu_state *state = calloc(1, sizeof(*state));

	ASSERT_EQ(0, add_bell(guest, MMIO, 0x1000, 0, NULL, self->fd));
	START(vector);
	ASSERT_EQ(0, hull_get_state(guest->cpu[0].fd, HULL_GROUP_CONTROL, state));
	state->control.cr4 |= 1 << 9;		/* OSFXSR */
	ASSERT_EQ(0, hull_set_state(guest->cpu[0].fd, HULL_GROUP_CONTROL, state));
	EXPECT_EQ(HULL_EXIT_ENDED, guest_run(guest, 0));
	EXPECT_EQ(HULL_END_EMULATION, guest->cpu[0].run->end_reason);
	EXPECT_EQ(0, rung(self->fd));
	free(state);
}

GUEST(old_code, 32, "mov $0x10000000, %ebx\n mov $3, %eax\n mov %al, (%ebx)\n mov %ah, (%ebx)\n"
      "movw $1, (%ebx)\n mov %eax, (%ebx)\n movl $1, %ds:0x10000000\n push %ds\n pop (%ebx)\n hlt\n");

TEST_F(bell, code_of_32_bits_rings)
{
	struct guest *guest = &self->guest;

	ASSERT_EQ(0, add_bell(guest, MMIO, 4, 0, NULL, self->fd));
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_PROTECTED, GUEST_CODE(old_code)));
	ASSERT_EQ(0, guest_expect_halt(guest, 0));
	EXPECT_EQ(6, rung(self->fd));
}

/* ---- where else a bell may be --------------------------------------------------------------- */

GUEST(read_only, 64, "mov $0x100000, %ebx\n mov (%rbx), %eax\n mov %eax, (%rbx)\n"
      "mov %eax, 8(%rbx)\n out %eax, $0xe9\n hlt\n");

/* In memory that the guest may only read. In memory that it may write there are no accesses. */
TEST_F(bell, read_only_memory_may_have_a_bell)
{
	struct guest *guest = &self->guest;
	struct hull_region regions[] = {
		{ .size = 0x100000, .hva = (unsigned long)guest->memory },
		{ .gpa = 0x100000, .size = 0x1000, .hva = (unsigned long)guest->memory + 0x100000,
		  .flags = HULL_REGION_READONLY },
	};
	__u32 value = 0x12345678;

	memcpy(guest->memory + 0x100000, &value, sizeof(value));
	ASSERT_EQ(0, hull_set_memory(guest->vm, regions, 2));
	ASSERT_EQ(0, add_bell(guest, 0x100000, 4, 0, NULL, self->fd));
	START(read_only);
	EXPECT_EQ(0, guest_expect_write(guest, 0, MEMORY, 0x100008, 4, value));
	EXPECT_EQ(1, rung(self->fd));
	EXPECT_EQ(0, guest_expect_write(guest, 0, PORT, 0xe9, 4, value));
	regions[1].flags = 0;
	ASSERT_EQ(0, hull_set_memory(guest->vm, regions, 2));
	START(read_only);
	EXPECT_EQ(0, guest_expect_write(guest, 0, PORT, 0xe9, 4, value));
	EXPECT_EQ(0, rung(self->fd));
}

/* ---- in the window -------------------------------------------------------------------------- */

GUEST(often, 64, "mov $0x10000000, %ebx\n mov $2000, %ecx\n"
      "1: movl $5, (%rbx)\n movw %cx, 4(%rbx)\n dec %ecx\n jnz 1b\n hlt\n");

/* A kick does not leave the window, with nested and with shadow paging. */
TEST_F(bell, plain_moves_ring_in_the_window)
{
	struct guest *guest = &self->guest;
	struct hull_stats stats;

	ASSERT_EQ(0, add_bell(guest, MMIO, 4, 4, NULL, self->fd));
	ASSERT_EQ(0, add_bell(guest, MMIO + 4, 4, 0, NULL, self->fd));
	START(often);
	ASSERT_EQ(0, guest_expect_halt(guest, 0));
	EXPECT_EQ(4000, rung(self->fd));
	ASSERT_EQ(0, hull_get_stats(guest->cpu[0].fd, &stats));
	printf("# %llu windows\n", stats.value[HULL_STAT_WINDOWS]);
	EXPECT_GT(1000, stats.value[HULL_STAT_WINDOWS]);
	EXPECT_EQ(0, stats.value[HULL_STAT_EMULATED]);
}

HULL_TEST_MAIN
