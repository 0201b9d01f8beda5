// SPDX-License-Identifier: GPL-2.0
/*
 * libhull: one function for each ioctl, and the mappings.
 */
#include <fcntl.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "hull_lib.h"

static __u64 address_of(const void *pointer)
{
	return (uintptr_t)pointer;
}

int hull_open(void)
{
	return open("/dev/hull", O_RDWR | O_CLOEXEC);
}

int hull_get_info(int dev, struct hull_info *info)
{
	return ioctl(dev, HULL_GET_INFO, info);
}

int hull_create_vm(int dev, const struct hull_create_vm *args)
{
	return ioctl(dev, HULL_CREATE_VM, args);
}

int hull_get_supported_cpuid(int dev, struct hull_cpuid_entry *entries, __u32 *count)
{
	struct hull_cpuid args = { .count = *count, .entries = address_of(entries) };
	int ret = ioctl(dev, HULL_GET_SUPPORTED_CPUID, &args);

	*count = args.count;
	return ret;
}

int hull_set_memory(int vm, const struct hull_region *regions, __u32 count)
{
	struct hull_memory args = { .count = count, .regions = address_of(regions) };

	return ioctl(vm, HULL_SET_MEMORY, &args);
}

int hull_get_dirty(int vm, __u64 gpa, __u64 size, void *bitmap, __u32 flags)
{
	struct hull_dirty args = {
		.gpa = gpa, .size = size, .bitmap = address_of(bitmap), .flags = flags,
	};

	return ioctl(vm, HULL_GET_DIRTY, &args);
}

int hull_create_vcpu(int vm, __u32 id)
{
	struct hull_create_vcpu args = { .id = id };

	return ioctl(vm, HULL_CREATE_VCPU, &args);
}

int hull_create_consumer(int vm)
{
	return ioctl(vm, HULL_CREATE_CONSUMER);
}

int hull_attach_consumer(int vm, __u32 space, __u64 address)
{
	struct hull_attach args = { .space = space, .address = address };

	return ioctl(vm, HULL_ATTACH_CONSUMER, &args);
}

int hull_add_range(int vm, const struct hull_range *range)
{
	return ioctl(vm, HULL_ADD_RANGE, range);
}

int hull_remove_range(int vm, const struct hull_range *range)
{
	return ioctl(vm, HULL_REMOVE_RANGE, range);
}

int hull_set_irq(int vm, __u32 gsi, __u32 level)
{
	struct hull_irq args = { .gsi = gsi, .level = level };

	return ioctl(vm, HULL_SET_IRQ, &args);
}

int hull_send_msi(int vm, __u64 address, __u32 data)
{
	struct hull_msi args = { .address = address, .data = data };

	return ioctl(vm, HULL_SEND_MSI, &args);
}

static int move_state(int fd, unsigned long cmd, __u64 groups, const void *state)
{
	struct hull_state_io args = { .groups = groups, .state = address_of(state) };

	return ioctl(fd, cmd, &args);
}

int hull_set_routes(int vm, const struct hull_route *routes, __u32 count)
{
	struct hull_routes args = { .count = count, .routes = (__u64)(uintptr_t)routes };

	return ioctl(vm, HULL_SET_ROUTES, &args);
}

static int irqfd_ioctl(int vm, unsigned long cmd, __u32 gsi, int eventfd, int resample)
{
	struct hull_irqfd args = { .gsi = gsi, .eventfd = eventfd, .resample = resample };

	return ioctl(vm, cmd, &args);
}

int hull_add_irqfd(int vm, __u32 gsi, int eventfd, int resample)
{
	return irqfd_ioctl(vm, HULL_ADD_IRQFD, gsi, eventfd, resample);
}

int hull_remove_irqfd(int vm, __u32 gsi, int eventfd, int resample)
{
	return irqfd_ioctl(vm, HULL_REMOVE_IRQFD, gsi, eventfd, resample);
}

int hull_vm_get_state(int vm, __u64 groups, struct hull_vm_state *state)
{
	return move_state(vm, HULL_VM_GET_STATE, groups, state);
}

int hull_vm_set_state(int vm, __u64 groups, const struct hull_vm_state *state)
{
	return move_state(vm, HULL_VM_SET_STATE, groups, state);
}

int hull_memory_written(int vm, __u64 gpa, __u64 size)
{
	struct hull_written args = { .gpa = gpa, .size = size };

	return ioctl(vm, HULL_MEMORY_WRITTEN, &args);
}

int hull_vm_check(int vm)
{
	return ioctl(vm, HULL_VM_CHECK);
}

int hull_run(int vcpu)
{
	return ioctl(vcpu, HULL_RUN);
}

int hull_get_state(int vcpu, __u64 groups, struct hull_vcpu_state *state)
{
	return move_state(vcpu, HULL_GET_STATE, groups, state);
}

int hull_set_state(int vcpu, __u64 groups, const struct hull_vcpu_state *state)
{
	return move_state(vcpu, HULL_SET_STATE, groups, state);
}

int hull_set_cpuid(int vcpu, const struct hull_cpuid_entry *entries, __u32 count)
{
	struct hull_cpuid args = { .count = count, .entries = address_of(entries) };

	return ioctl(vcpu, HULL_SET_CPUID, &args);
}

int hull_inject(int vcpu, __u32 kind, __u32 vector)
{
	struct hull_inject args = { .kind = kind, .vector = vector };

	return ioctl(vcpu, HULL_INJECT, &args);
}

int hull_translate(int vcpu, __u64 gva, __u32 access, __u64 *gpa)
{
	struct hull_translate args = { .gva = gva, .access = access };
	int ret = ioctl(vcpu, HULL_TRANSLATE, &args);

	*gpa = args.gpa;
	return ret;
}

int hull_get_stats(int vcpu, struct hull_stats *stats)
{
	return ioctl(vcpu, HULL_GET_STATS, stats);
}

static void *map_shared(int fd, size_t size, off_t offset)
{
	void *address = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);

	return address == MAP_FAILED ? NULL : address;
}

struct hull_run *hull_map_run(int vcpu, struct hull_channel **channel)
{
	struct hull_run *run = map_shared(vcpu, HULL_RUN_SIZE, 0);

	if (!run)
		return NULL;
	*channel = map_shared(vcpu, sizeof(**channel), HULL_RUN_SIZE);
	if (!*channel) {
		munmap(run, HULL_RUN_SIZE);
		return NULL;
	}
	return run;
}

void hull_unmap_run(struct hull_run *run, struct hull_channel *channel)
{
	munmap(channel, sizeof(*channel));
	munmap(run, HULL_RUN_SIZE);
}

struct hull_channel *hull_map_consumer(int consumer, unsigned int vcpus)
{
	return map_shared(consumer, vcpus * sizeof(struct hull_channel), 0);
}

void hull_unmap_consumer(struct hull_channel *channels, unsigned int vcpus)
{
	munmap(channels, vcpus * sizeof(*channels));
}
