// SPDX-License-Identifier: GPL-2.0
/*
 * A VM for a test. See guest.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"

#define CR0_PE		(1ULL << 0)
#define CR0_ET		(1ULL << 4)
#define CR0_NE		(1ULL << 5)
#define CR0_PG		(1ULL << 31)
#define CR4_PAE		(1ULL << 5)
#define CR4_OSFXSR	(1ULL << 9)
#define CR4_LA57	(1ULL << 12)
#define EFER_LME	(1ULL << 8)
#define EFER_LMA	(1ULL << 10)

#define PTE_PRESENT	(1ULL << 0)
#define PTE_WRITE	(1ULL << 1)
#define PTE_USER	(1ULL << 2)
#define PTE_LARGE	(1ULL << 7)

/* struct hull_segment.attr: present, S, and the type with its accessed bit */
#define ATTR_CODE	0x09b
#define ATTR_DATA	0x093
#define ATTR_TSS	0x08b
#define ATTR_LDT	0x082
#define ATTR_L		0x200
#define ATTR_DB		0x400
#define ATTR_G		0x800

/* ---- life ----------------------------------------------------------------------------------- */

static int set_cpuid(struct guest *guest, int fd)
{
	struct hull_cpuid_entry entries[HULL_MAX_CPUID];
	__u32 count = HULL_MAX_CPUID;

	if (hull_get_supported_cpuid(guest->dev, entries, &count))
		return -1;
	return hull_set_cpuid(fd, entries, count);
}

__u64 guest_new_cr4(struct guest *guest)
{
	struct hull_cpuid_entry entries[HULL_MAX_CPUID];
	__u32 count = HULL_MAX_CPUID, i;
	__u64 bits = 0;

	if (hull_get_supported_cpuid(guest->dev, entries, &count))
		return 0;
	for (i = 0; i < count; i++) {
		if (entries[i].leaf == 7 && !entries[i].subleaf)
			bits = (entries[i].ebx >> 7 & 1) << 20 | (entries[i].ebx >> 20 & 1) << 21;
	}
	return bits;
}

int guest_add_cpu(struct guest *guest, unsigned int id)
{
	struct guest_cpu *cpu = &guest->cpu[id];
	struct hull_channel *channel;

	if (id >= GUEST_MAX_CPUS || cpu->fd >= 0) {
		errno = EINVAL;
		return -1;
	}
	cpu->fd = hull_create_vcpu(guest->vm, id);
	if (cpu->fd < 0)
		return -1;
	cpu->run = hull_map_run(cpu->fd, &channel);
	if (!cpu->run)
		return -1;
	hull_endpoint_init(&cpu->own, channel, -1, id);
	return set_cpuid(guest, cpu->fd);
}

int guest_create(struct guest *guest, __u32 vm_flags, size_t size)
{
	return guest_create_paging(guest, vm_flags, size, HULL_PAGING_AUTO);
}

int guest_create_paging(struct guest *guest, __u32 vm_flags, size_t size, __u32 paging)
{
	struct hull_create_vm args = { .flags = vm_flags, .paging = paging };
	struct hull_region region = { .size = size };
	unsigned int id;

	memset(guest, 0, sizeof(*guest));
	for (id = 0; id < GUEST_MAX_CPUS; id++)
		guest->cpu[id].fd = -1;
	guest->vm = -1;
	guest->dev = hull_open();
	if (guest->dev < 0)
		return -1;
	guest->memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			     -1, 0);
	if (guest->memory == MAP_FAILED) {
		guest->memory = NULL;
		return -1;
	}
	guest->size = size;
	guest->vm = hull_create_vm(guest->dev, &args);
	if (guest->vm < 0)
		return -1;
	region.hva = (__u64)(unsigned long)guest->memory;
	if (hull_set_memory(guest->vm, &region, 1))
		return -1;
	return guest_add_cpu(guest, 0);
}

void guest_destroy(struct guest *guest)
{
	unsigned int id;

	for (id = 0; id < GUEST_MAX_CPUS; id++) {
		if (guest->cpu[id].run)
			hull_unmap_run(guest->cpu[id].run, guest->cpu[id].own.channel);
		if (guest->cpu[id].fd >= 0)
			close(guest->cpu[id].fd);
	}
	if (guest->vm >= 0)
		close(guest->vm);
	if (guest->dev >= 0)
		close(guest->dev);
	if (guest->memory)
		munmap(guest->memory, guest->size);
}

/* ---- registers ------------------------------------------------------------------------------ */

/*
 * The first 4 GiB one to one: one page of each upper level, four of 2 MiB entries. The same for all
 * vCPUs, some of which may be running.
 */
static void build_tables(struct guest *guest)
{
	__u64 *table = (__u64 *)(guest->memory + GUEST_TABLES);
	const __u64 flags = PTE_PRESENT | PTE_WRITE | PTE_USER;
	unsigned int i;

	table[0] = (GUEST_TABLES + 0x1000) | flags;
	for (i = 0; i < 4; i++)
		table[512 + i] = (GUEST_TABLES + 0x2000 + i * 0x1000) | flags;
	for (i = 0; i < 4 * 512; i++)
		table[1024 + i] = ((__u64)i << 21) | flags | PTE_LARGE;
}

static void set_segments(struct hull_segments *segments, enum guest_mode mode, __u64 entry)
{
	__u16 wide = mode == GUEST_REAL ? 0 : ATTR_G | ATTR_DB;
	__u32 limit = mode == GUEST_REAL ? 0xffff : 0xffffffff;
	struct hull_segment data = {
		.limit = limit, .selector = mode == GUEST_REAL ? 0 : 0x10, .attr = ATTR_DATA | wide,
	};
	struct hull_segment code = { .limit = limit, .selector = 8, .attr = ATTR_CODE | wide };

	if (mode == GUEST_REAL) {
		code.base = entry & ~0xfULL;
		code.selector = entry >> 4;
	} else if (mode == GUEST_LONG) {
		code.attr = ATTR_CODE | ATTR_G | ATTR_L;
	}
	segments->cs = code;
	segments->ds = segments->es = segments->ss = segments->fs = segments->gs = data;
	segments->tr = (struct hull_segment) { .limit = 0x67, .attr = ATTR_TSS };
	segments->ldtr = (struct hull_segment) { .limit = 0xffff, .attr = ATTR_LDT };
	segments->gdtr = (struct hull_segment) { .limit = 0 };
	/* Real mode finds its interrupt vectors; other modes have none. */
	segments->idtr = (struct hull_segment) { .limit = mode == GUEST_REAL ? 0x3ff : 0 };
}

static void set_control(struct hull_control *control, enum guest_mode mode)
{
	control->cr0 = CR0_ET | CR0_NE;
	control->cr3 = 0;
	control->cr4 = CR4_OSFXSR;
	control->efer = 0;
	if (mode == GUEST_REAL)
		return;
	control->cr0 |= CR0_PE;
	if (mode == GUEST_PROTECTED)
		return;
	control->cr0 |= CR0_PG;
	control->cr3 = GUEST_TABLES;
	control->cr4 |= CR4_PAE;
	control->efer = EFER_LME | EFER_LMA;
}

int guest_set_mode(struct guest *guest, unsigned int id, enum guest_mode mode, __u64 entry)
{
	const __u64 groups = HULL_GROUP_GPRS | HULL_GROUP_SEGMENTS | HULL_GROUP_CONTROL |
			     HULL_GROUP_EVENTS;
	struct hull_vcpu_state *state = calloc(1, sizeof(*state));
	int ret = -1;

	if (!state)
		return -1;
	if (hull_get_state(guest->cpu[id].fd, groups, state))
		goto out;
	if (mode == GUEST_LONG)
		build_tables(guest);
	/* These tables, and whatever the test wrote before. */
	hull_memory_written(guest->vm, 0, guest->size);
	set_segments(&state->segments, mode, entry);
	set_control(&state->control, mode);
	memset(&state->gprs, 0, sizeof(state->gprs));
	state->gprs.rip = mode == GUEST_REAL ? entry & 0xf : entry;
	state->gprs.gpr[HULL_GPR_RSP] = GUEST_STACK_GPA(id);
	state->gprs.rflags = 2;
	memset(&state->events, 0, sizeof(state->events));
	ret = hull_set_state(guest->cpu[id].fd, groups, state);
out:
	free(state);
	return ret;
}

void guest_fix_hypercalls(struct guest *guest, void *code, size_t len)
{
	struct hull_info info;
	unsigned char *at = code;
	size_t i;

	if (hull_get_info(guest->dev, &info) || info.backend != HULL_BACKEND_VMX)
		return;
	for (i = 0; i + 3 <= len; i++) {
		if (!memcmp(at + i, "\x0f\x01\xd9", 3) || !memcmp(at + i, "\x0f\x01\xc1", 3))
			at[i + 2] ^= 0xd9 ^ 0xc1;
	}
}

bool guest_has_real_mode(void)
{
	struct hull_info info = { 0 };
	int dev = hull_open();

	if (dev < 0)
		return false;
	hull_get_info(dev, &info);
	close(dev);
	return info.capabilities & HULL_CAP_REAL_MODE;
}

bool guest_has_la57(const struct guest *guest)
{
	struct hull_cpuid_entry entries[HULL_MAX_CPUID];
	__u32 count = HULL_MAX_CPUID, i;

	if (hull_get_supported_cpuid(guest->dev, entries, &count))
		return false;
	for (i = 0; i < count; i++) {
		if (entries[i].leaf == 7 && entries[i].subleaf == 0)
			return entries[i].ecx >> 16 & 1;
	}
	return false;
}

int guest_set_la57(struct guest *guest, unsigned int id)
{
	__u64 *table = (__u64 *)(guest->memory + GUEST_TABLES5);
	struct hull_vcpu_state *state = calloc(1, sizeof(*state));
	int ret = -1;

	if (!state)
		return -1;
	table[0] = GUEST_TABLES | PTE_PRESENT | PTE_WRITE | PTE_USER;
	hull_memory_written(guest->vm, GUEST_TABLES5, 8);
	if (!hull_get_state(guest->cpu[id].fd, HULL_GROUP_CONTROL, state)) {
		state->control.cr3 = GUEST_TABLES5;
		state->control.cr4 |= CR4_LA57;
		ret = hull_set_state(guest->cpu[id].fd, HULL_GROUP_CONTROL, state);
	}
	free(state);
	return ret;
}

int guest_start(struct guest *guest, unsigned int id, enum guest_mode mode,
		const unsigned char *code, size_t len)
{
	if (len > GUEST_CODE_MAX || GUEST_CODE_GPA(id) + len > guest->size) {
		errno = E2BIG;
		return -1;
	}
	memcpy(guest->memory + GUEST_CODE_GPA(id), code, len);
	guest_fix_hypercalls(guest, guest->memory + GUEST_CODE_GPA(id), len);
	return guest_set_mode(guest, id, mode, GUEST_CODE_GPA(id));
}

/* ---- running -------------------------------------------------------------------------------- */

int guest_run(struct guest *guest, unsigned int id)
{
	struct guest_cpu *cpu = &guest->cpu[id];

	for (;;) {
		switch (hull_next(&cpu->own, &cpu->posted)) {
		case HULL_WORK_POSTED:
			return GUEST_POSTED;
		case HULL_WORK_REQUEST:
			return HULL_EXIT_REQUEST;
		case HULL_WORK_NONE:
			break;
		}
		if (hull_run(cpu->fd))
			return -1;
		/* These two are found in the channel, in the order in which they came. */
		if (cpu->run->exit != HULL_EXIT_REQUEST && cpu->run->exit != HULL_EXIT_POSTED)
			return cpu->run->exit;
	}
}

static void complain(struct guest *guest, unsigned int id, int ret, const char *wanted)
{
	struct guest_cpu *cpu = &guest->cpu[id];
	const struct hull_mailbox *request = &cpu->own.current;
	const struct hull_run *run = cpu->run;

	switch (ret) {
	case -1:
		printf("# wanted %s: %s\n", wanted, strerror(errno));
		break;
	case HULL_EXIT_REQUEST:
		printf("# wanted %s: space %u, flags %#x, size %u, count %u, address %#llx, value %#llx\n",
		       wanted, request->space, request->flags, request->size, request->count,
		       request->address, request->value);
		break;
	case GUEST_POSTED:
		printf("# wanted %s: posted to %#llx: %#llx\n", wanted, cpu->posted.address,
		       cpu->posted.value);
		break;
	default:
		printf("# wanted %s: exit %d, reason %u, code %#llx, info %#llx %#llx, rip %#llx\n",
		       wanted, ret, run->end_reason, run->end_code, run->end_info[0],
		       run->end_info[1], run->end_rip);
	}
}

static int expect_access(struct guest *guest, unsigned int id, bool write, __u32 space,
			 __u64 address, __u32 size, __u64 value)
{
	struct guest_cpu *cpu = &guest->cpu[id];
	const struct hull_mailbox *request = &cpu->own.current;
	int ret = guest_run(guest, id);
	char wanted[100];

	if (ret == HULL_EXIT_REQUEST && request->flags == (write ? HULL_MAILBOX_WRITE : 0) &&
	    request->space == space && request->address == address && request->size == size &&
	    request->count == 1 && (!write || request->value == value)) {
		hull_answer(&cpu->own, value);
		return 0;
	}
	snprintf(wanted, sizeof(wanted), "%s of %u bytes at %#llx, value %#llx",
		 write ? "write" : "read", size, address, value);
	complain(guest, id, ret, wanted);
	return -1;
}

int guest_expect_write(struct guest *guest, unsigned int id, __u32 space, __u64 address,
		       __u32 size, __u64 value)
{
	return expect_access(guest, id, true, space, address, size, value);
}

int guest_expect_read(struct guest *guest, unsigned int id, __u32 space, __u64 address, __u32 size,
		      __u64 value)
{
	return expect_access(guest, id, false, space, address, size, value);
}

int guest_expect_halt(struct guest *guest, unsigned int id)
{
	int ret = guest_run(guest, id);

	if (ret == HULL_EXIT_HALTED)
		return 0;
	complain(guest, id, ret, "HLT");
	return -1;
}
