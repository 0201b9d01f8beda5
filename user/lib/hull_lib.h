/* SPDX-License-Identifier: GPL-2.0 */
/*
 * libhull: the interface of /dev/hull as C functions.
 *
 * Two halves. Wrappers, one for each ioctl, which add nothing (hull_lib.c): they return a value of
 * 0 or more (an fd where one is created), or -1 with errno set. And the consumer's side of the ring
 * (ring.c), which holds all memory barriers of user space. Nothing here keeps global state or needs
 * more than libc. The structures and their units are in hull.h and hull_ring.h.
 *
 * Errors that every ioctl can give are not repeated below: EFAULT (an address cannot be read or
 * written), EINVAL (reserved fields are not zero, unknown flags), ENOMEM, ENOTTY (the fd is not of
 * this kind), and EIO for VM and vCPU fds used outside the process that created the VM.
 */
#ifndef HULL_LIB_H
#define HULL_LIB_H

#include <stdbool.h>
#include <stddef.h>

#include "hull.h"
#include "hull_ring.h"

/* ---- /dev/hull ------------------------------------------------------------------------------ */

/**
 * hull_open - open /dev/hull
 *
 * Return: the device fd; ENOENT: the module is not loaded; EACCES: no permission.
 */
int hull_open(void);

/**
 * hull_get_info - what the module offers on this machine
 * @dev: device fd
 * @info: filled
 */
int hull_get_info(int dev, struct hull_info *info);

/**
 * hull_create_vm - create a VM in this process's address space
 * @dev: device fd
 * @args: flags, paging mode, PM timer port
 *
 * Return: the VM fd; EOPNOTSUPP: this paging mode is not to be had; EBUSY: another hypervisor holds
 * the hardware; ENODEV: a CPU cannot.
 */
int hull_create_vm(int dev, const struct hull_create_vm *args);

/**
 * hull_get_supported_cpuid - the CPUID leaves a guest may see
 * @dev: device fd
 * @entries: room for *@count entries; HULL_MAX_CPUID are always enough
 * @count: in: room; out: entries, also those needed with E2BIG
 *
 * Return: 0; E2BIG: too little room.
 */
int hull_get_supported_cpuid(int dev, struct hull_cpuid_entry *entries, __u32 *count);

/* ---- VM fd ---------------------------------------------------------------------------------- */

/**
 * hull_set_memory - replace the VM's memory table
 * @vm: VM fd
 * @regions: the new table; may be NULL when @count is 0
 * @count: entries
 *
 * Return: 0; EINVAL: not page aligned, overlapping, beyond the guest's address width; E2BIG: too
 * many. The old table stays when this fails.
 */
int hull_set_memory(int vm, const struct hull_region *regions, __u32 count);

/**
 * hull_get_dirty - pages written since they were last cleared
 * @vm: VM fd
 * @gpa: start of a region with HULL_REGION_LOG_DIRTY
 * @size: its size in bytes
 * @bitmap: one bit a page, in whole 64-bit words
 * @flags: HULL_DIRTY_*
 *
 * Return: 0; ENOENT: no such region with a log.
 */
int hull_get_dirty(int vm, __u64 gpa, __u64 size, void *bitmap, __u32 flags);

/**
 * hull_create_vcpu - add a vCPU
 * @vm: VM fd
 * @id: its number and APIC id
 *
 * vCPU 0 starts at the reset vector, others wait for a SIPI.
 *
 * Return: the vCPU fd; EINVAL: @id too big; EEXIST: there is one.
 */
int hull_create_vcpu(int vm, __u32 id);

/**
 * hull_create_consumer - create a consumer for device accesses of this VM
 * @vm: VM fd
 *
 * It owns what hull_add_range() gives it. The fd and its mapping are all that another process
 * needs to serve these accesses.
 *
 * Return: the consumer fd.
 */
int hull_create_consumer(int vm);

/**
 * hull_attach_consumer - a successor for a dead consumer
 * @vm: VM fd
 * @space: HULL_SPACE_*
 * @address: in one of the dead consumer's ranges
 *
 * Return: the consumer fd; ENOENT: no consumer has a range there; EBUSY: it lives.
 */
int hull_attach_consumer(int vm, __u32 space, __u64 address);

/**
 * hull_add_range - give an address range to a consumer or an eventfd
 * @vm: VM fd
 * @range: see struct hull_range
 *
 * Return: 0; EINVAL: an impossible combination, or an fd of another kind or VM; EBADF: an fd that
 * is not open; EEXIST: it conflicts with another range; ENOSPC: HULL_MAX_RANGES there are.
 */
int hull_add_range(int vm, const struct hull_range *range);

/**
 * hull_remove_range - take a range back
 * @vm: VM fd
 * @range: as it was added
 *
 * Return: 0; ENOENT: there is no equal range; EINVAL and EBADF as for hull_add_range().
 */
int hull_remove_range(int vm, const struct hull_range *range);

/**
 * hull_set_irq - set the level of an interrupt line
 * @vm: VM fd
 * @gsi: the line
 * @level: 0 or 1; an edge-triggered line interrupts when it goes from 0 to 1
 *
 * Return: 0; EINVAL: no such line, or another level; ENXIO: a VM without HULL_VM_IRQCHIP.
 */
int hull_set_irq(int vm, __u32 gsi, __u32 level);

/**
 * hull_send_msi - send a message-signalled interrupt
 * @vm: VM fd
 * @address: from the device's register
 * @data: from the device's register
 *
 * Return: 0; EINVAL: not an address of an interrupt; ENXIO: a VM without HULL_VM_IRQCHIP.
 */
int hull_send_msi(int vm, __u64 address, __u32 data);

/**
 * hull_set_routes - replace the VM's table of interrupt routes
 * @vm: VM fd
 * @routes: the new table: what becomes of the interrupts of irqfds, by number (gsi); may be NULL
 *          when @count is 0
 * @count: entries
 *
 * A new VM has number n at pin n. Numbers without a route are masked: their eventfds keep what is
 * signalled until they have one.
 *
 * Return: 0; EINVAL: a number, kind, pin or address there is not; EEXIST: two routes of one number;
 * E2BIG: more than HULL_MAX_ROUTES; ENXIO: a VM without HULL_VM_IRQCHIP. The old table stays when
 * this fails.
 */
int hull_set_routes(int vm, const struct hull_route *routes, __u32 count);

/**
 * hull_add_irqfd - let an eventfd interrupt the guest
 * @vm: VM fd
 * @gsi: number of the interrupt
 * @eventfd: each signal is an interrupt; to be kept open as long as it shall be one
 * @resample: -1: edges. Else an eventfd: a level, which holds until the guest acknowledges it, when
 *            this is signalled: signal again if there is more
 *
 * Return: 0; EBADF: not open; EINVAL: no eventfd, both the same, or no such number; EEXIST: in an
 * irqfd of this VM already; ENOSPC: HULL_MAX_IRQFDS there are; ENXIO: a VM without HULL_VM_IRQCHIP.
 */
int hull_add_irqfd(int vm, __u32 gsi, int eventfd, int resample);

/**
 * hull_remove_irqfd - undo hull_add_irqfd()
 * @vm: VM fd
 * @gsi: as it was added
 * @eventfd: as it was added, or another fd of the same eventfd
 * @resample: the same
 *
 * Return: 0; ENOENT: there is none; EBADF and EINVAL as for hull_add_irqfd().
 */
int hull_remove_irqfd(int vm, __u32 gsi, int eventfd, int resample);

/**
 * hull_vm_get_state - read state of the VM's interrupt controllers and clock
 * @vm: VM fd
 * @groups: HULL_VM_GROUP_*
 * @state: these groups are filled
 *
 * Return: 0; ENXIO: a VM without HULL_VM_IRQCHIP, or the PIT's group without HULL_VM_PIT.
 */
int hull_vm_get_state(int vm, __u64 groups, struct hull_vm_state *state);
/* The other direction; EINVAL also for impossible states. */
int hull_vm_set_state(int vm, __u64 groups, const struct hull_vm_state *state);

/**
 * hull_memory_written - tell that the launcher has written guest memory that may be page tables
 * @vm: VM fd
 * @gpa: first byte, guest-physical
 * @size: bytes
 *
 * Return: 0 or -1 and errno: EINVAL: no guest-physical range.
 */
int hull_memory_written(int vm, __u64 gpa, __u64 size);

/**
 * hull_vm_check - compare all tables of the VM with its regions, now
 * @vm: VM fd
 *
 * Return: 0; EUCLEAN: a violation was found and logged; EOPNOTSUPP: check mode is off.
 */
int hull_vm_check(int vm);

/* ---- vCPU fd -------------------------------------------------------------------------------- */

/**
 * hull_run - run the guest until user space is needed
 * @vcpu: vCPU fd
 *
 * Return: 0: see hull_run.exit in the mapping; EINTR: a signal or hull_run.stop, run again to go
 * on; ENOMEM: as EINTR; EFAULT: guest memory cannot be had.
 */
int hull_run(int vcpu);

/**
 * hull_get_state - read groups of a vCPU's state
 * @vcpu: vCPU fd; waits until HULL_RUN has returned
 * @groups: HULL_GROUP_*
 * @state: these groups are filled
 *
 * Return: 0; EINVAL: a group this vCPU does not have (APIC without HULL_VM_IRQCHIP).
 */
int hull_get_state(int vcpu, __u64 groups, struct hull_vcpu_state *state);
/* The other direction; EINVAL also for states no CPU can be in. */
int hull_set_state(int vcpu, __u64 groups, const struct hull_vcpu_state *state);

/**
 * hull_set_cpuid - set the CPUID leaves this vCPU has
 * @vcpu: vCPU fd
 * @entries: the leaves
 * @count: how many
 *
 * Return: 0; E2BIG: more than HULL_MAX_CPUID; EINVAL: claims what the machine or hull has not.
 */
int hull_set_cpuid(int vcpu, const struct hull_cpuid_entry *entries, __u32 count);

/**
 * hull_inject - queue an interrupt or NMI
 * @vcpu: vCPU fd
 * @kind: HULL_INJECT_*
 * @vector: of an interrupt
 *
 * Return: 0; EINVAL: unknown kind, or a vector beyond 255; ENXIO: an interrupt with
 * HULL_VM_IRQCHIP; EBUSY: one is queued.
 */
int hull_inject(int vcpu, __u32 kind, __u32 vector);

/**
 * hull_translate - walk the guest's page tables
 * @vcpu: vCPU fd
 * @gva: linear address
 * @access: HULL_ACCESS_*
 * @gpa: result
 *
 * Return: 0; EFAULT: the guest would get a page fault; ENXIO: its tables are not in memory.
 */
int hull_translate(int vcpu, __u64 gva, __u32 access, __u64 *gpa);

/**
 * hull_get_stats - counters of a vCPU
 * @vcpu: vCPU fd
 * @stats: filled
 */
int hull_get_stats(int vcpu, struct hull_stats *stats);

/* ---- mappings ------------------------------------------------------------------------------- */

/**
 * hull_map_run - map the run page and the own channel of a vCPU
 * @vcpu: vCPU fd
 * @channel: filled with the address of the own channel
 *
 * Return: the run page; NULL with errno. hull_unmap_run() takes both away.
 */
struct hull_run *hull_map_run(int vcpu, struct hull_channel **channel);
void hull_unmap_run(struct hull_run *run, struct hull_channel *channel);

/**
 * hull_map_consumer - map the channels of a consumer
 * @consumer: consumer fd
 * @vcpus: the channels of vCPUs below this number
 *
 * Return: the array of channels; NULL with errno. hull_unmap_consumer() takes it away.
 */
struct hull_channel *hull_map_consumer(int consumer, unsigned int vcpus);
void hull_unmap_consumer(struct hull_channel *channels, unsigned int vcpus);

/* ---- the consumer's side of a channel ------------------------------------------------------- */

/**
 * struct hull_endpoint - one channel as its consumer sees it
 * @channel: shared with the module
 * @fd: consumer fd, or -1: the vCPU's own channel
 * @vcpu: number of the vCPU
 * @answered: our last response_seq
 * @tail: our posted_tail
 * @current: copy of the request being worked on
 *
 * One thread at a time. The module's words are read once and checked before they are used.
 */
struct hull_endpoint {
	struct hull_channel *channel;
	int fd;
	__u32 vcpu;
	__u32 answered;
	__u32 tail;
	struct hull_mailbox current;
};

/* hull_next(): what there is to do */
enum hull_work {
	HULL_WORK_NONE,
	HULL_WORK_POSTED,	/* a posted write was taken out of the ring */
	HULL_WORK_REQUEST,	/* a request waits for hull_answer() */
};

/**
 * hull_endpoint_init - take over a channel
 * @endpoint: filled
 * @channel: from hull_map_run(), or an element of hull_map_consumer()
 * @fd: consumer fd, or -1 for an own channel
 * @vcpu: number of the vCPU
 *
 * Goes on where the channel's previous consumer, if any, has stopped.
 */
void hull_endpoint_init(struct hull_endpoint *endpoint, struct hull_channel *channel, int fd,
			__u32 vcpu);

/**
 * hull_next - the next posted write or request, in the order in which the guest made them
 * @endpoint: the channel
 * @posted: filled for HULL_WORK_POSTED
 *
 * For HULL_WORK_REQUEST @endpoint->current is filled; its size and count are checked, a request
 * that breaks the rules is answered with all bits set and not returned. Until hull_answer() the
 * same request is returned again. Does not block.
 *
 * Return: enum hull_work.
 */
enum hull_work hull_next(struct hull_endpoint *endpoint, struct hull_posted *posted);

/**
 * hull_answer - answer the request in endpoint->current
 * @endpoint: the channel
 * @value: what the guest reads (count 1), RAX of a hypercall; ignored for writes
 *
 * The elements of a string read (HULL_MAILBOX_PAYLOAD, count * size bytes) are put in
 * channel->payload before. Wakes the vCPU when it sleeps.
 */
void hull_answer(struct hull_endpoint *endpoint, __u64 value);

/**
 * hull_consumer_wait - sleep until one of the channels of a consumer has work
 * @endpoints: channels of one consumer fd
 * @count: how many
 * @timeout: ms, -1: for ever
 *
 * Return: 1: perhaps there is work, see hull_next(); 0: time is over; -1 with errno (EINTR).
 */
int hull_consumer_wait(struct hull_endpoint *endpoints, unsigned int count, int timeout);

/*
 * The two halves of hull_consumer_wait(), for those who poll other fds besides.
 * hull_consumer_prepare() says that the consumer is going to sleep and returns true when there is
 * work already; then, and when it woke up, hull_consumer_awake() follows. In between poll for
 * POLLIN on the consumer fd.
 */
bool hull_consumer_prepare(struct hull_endpoint *endpoints, unsigned int count);
void hull_consumer_awake(struct hull_endpoint *endpoints, unsigned int count);

#endif
