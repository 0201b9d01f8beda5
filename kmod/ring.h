/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Ranges, consumers, mailboxes and posted rings: the module's side of hull_ring.h.
 *
 * Four files: ring_core.h (one channel: the shared words and all barriers; pure), ranges.h and
 * ranges.c (who gets an address), consumer.c (the fd of a consumer: death and succession), ring.c
 * (an access from the guest until it is done).
 */
#ifndef HULL_RING_H
#define HULL_RING_H

#include "types.h"
#include "hull.h"
#include "hull_ring.h"

struct hull_target;
struct vm_area_struct;

/**
 * struct hull_request - an access to be answered
 * @space: HULL_SPACE_*
 * @write: the guest writes
 * @size: bytes of one element: 1, 2, 4 or 8
 * @count: elements; more than 1: data travels in the payload page (string port I/O: one port;
 *         string moves: ascending addresses)
 * @address: port, guest-physical address, or hypercall number
 * @data: in: what is written; out: what was read (size * count bytes); points into memory of the
 *        caller, for count > 1 at most HULL_PAYLOAD_SIZE bytes
 * @args: hypercall: RBX, RCX, RDX, RSI
 *
 * A hypercall has size 8, count 1, and reads RAX.
 */
struct hull_request {
	u32 space;
	bool write;
	u32 size;
	u32 count;
	u64 address;
	void *data;
	u64 args[4];
};

/**
 * struct hull_channel_kernel - a channel as the module trusts it
 * @shared: memory the consumer can scribble on at any time
 * @request_seq: of the latest request
 * @posted_head: entries posted so far
 * @posted_tail: latest tail of the consumer that was in order
 *
 * The words of the module in @shared are copies of these, never read back. Written by the vCPU
 * thread; poll() of the consumer looks at @request_seq and @posted_head.
 */
struct hull_channel_kernel {
	struct hull_channel *shared;
	u32 request_seq;
	u32 posted_head;
	u32 posted_tail;
};

/**
 * struct hull_ring_vcpu - a vCPU's part: its own channel and the access in flight
 * @own: channel to the vCPU's own thread
 * @pending: an access is in flight
 * @published: it is in the mailbox of @waiting, or the own one; else it waits for room in a posted
 *             ring or comes from another machine (hull_ring_set_pending()) and is to be routed
 * @reported: HULL_EXIT_CONSUMER was returned for it
 * @resumed: hull_ring_access() has returned, with more to do
 * @generation: of @waiting when it was published or found full
 * @waiting: consumer whose answer or room is awaited (a reference), NULL: none or own
 * @request: the access in flight; @request.data is used for strings written only
 * @value: what it writes, when it is no string
 * @hit: target of the last write that the fast path delivered; in the table with @hit_generation
 * @hit_generation: 0: none
 *
 * Owner: the vCPU thread.
 */
struct hull_ring_vcpu {
	struct hull_channel_kernel own;
	bool pending;
	bool published;
	bool reported;
	bool resumed;
	u32 generation;
	struct hull_consumer *waiting;
	struct hull_request request;
	u64 value;
	const struct hull_target *hit;
	u64 hit_generation;
};

/**
 * struct hull_ring_pending - an access in flight as part of a vCPU's events group
 * @pending: 1: there is one; 0: none, and all else is zero
 * @space: as in struct hull_request, and so on
 * @write: 0 or 1
 * @size: bytes of an element
 * @count: elements
 * @reserved: zero
 * @address: as in struct hull_request
 * @value: what is written, when count is 1
 * @args: of a hypercall
 */
struct hull_ring_pending {
	u32 pending;
	u32 space;
	u32 write;
	u32 size;
	u32 count;
	u32 reserved;
	u64 address;
	u64 value;
	u64 args[4];
};

int hull_ring_vcpu_create(struct hull_vcpu *vcpu);
void hull_ring_vcpu_destroy(struct hull_vcpu *vcpu);
int hull_ranges_init(struct hull_vm *vm);
void hull_ranges_destroy(struct hull_vm *vm);

/* ioctls of the VM fd; take vm->lock */
int hull_vm_add_range(struct hull_vm *vm, const struct hull_range *range);
int hull_vm_remove_range(struct hull_vm *vm, const struct hull_range *range);
int hull_vm_create_consumer(struct hull_vm *vm);	/* returns an fd */
int hull_vm_attach_consumer(struct hull_vm *vm, const struct hull_attach *args);	/* an fd */

/*
 * hull_ring_write_fast - in the window: deliver a write that no one has to answer.
 * Interrupts off, RCU watching. Not while an access is in flight.
 * True: a doorbell was rung or the write was posted: it is done. False: take the slow path.
 */
bool hull_ring_write_fast(struct hull_vcpu *vcpu, u32 space, u64 address, u32 size, u64 value);

/*
 * hull_ring_access - outside the window: deliver an access. The vCPU thread; sleeps; must not hold
 * vm->srcu or vm->lock, for a consumer may take its time.
 * Returns 0: done, *@request->data holds what was read.
 *   HULL_PUBLISH: vcpu->run->exit was filled, return to the launcher; continue with
 *   hull_ring_finish() in the next HULL_RUN.
 *   -EINTR: as HULL_PUBLISH, but a signal or hull_run.stop interrupted the wait: HULL_RUN returns
 *   EINTR.
 *   -ENOMEM: as -EINTR, for want of memory.
 * Nothing is in flight after the others:
 *   -ENOENT: a hypercall that no range claims: the caller's.
 *   -E2BIG: count > 1 and not all elements are in one range, or a doorbell is among them: come
 * again
 *   with single elements.
 *   -EINVAL: size or count is impossible.
 * Once the VM has ended all accesses are done at once, with all bits set.
 * A string that is written (@request->data, count > 1) stays where it is until the access is
 * finished: it may have to be published again.
 */
int hull_ring_access(struct hull_vcpu *vcpu, const struct hull_request *request);

/*
 * The same for one element of 1, 2, 4 or 8 bytes and no arguments: *@value is written, or takes
 * what was read.
 */
int hull_ring_access_plain(struct hull_vcpu *vcpu, u32 space, u64 address, u32 size, bool write,
			   u64 *value);

/*
 * hull_ring_finish - at the start of HULL_RUN, or after a wait: is the access in flight answered?
 * @data: where the answer goes, or NULL to drop it; @len: its size
 * Returns 0: answered, or nothing is in flight; HULL_PUBLISH, -EINTR, -ENOMEM as above. When the
 * ranges have changed so that it cannot be delivered as it is, the answer is all bits set.
 */
int hull_ring_finish(struct hull_vcpu *vcpu, void *data, size_t len);

/* Take the access in flight back, as when the vCPU is reset. */
void hull_ring_cancel(struct hull_vcpu *vcpu);

/*
 * The access in flight as plain data: what get and set of the events group move, besides the state
 * of the emulator. After hull_ring_set_pending() the next hull_ring_finish() publishes it (again):
 * a consumer may see it twice. @payload: the bytes of a string that is written, stays where it is.
 * Set returns 0, or -EINVAL when @pending is not consistent; then nothing is in flight.
 */
void hull_ring_get_pending(struct hull_vcpu *vcpu, struct hull_ring_pending *pending);
int hull_ring_set_pending(struct hull_vcpu *vcpu, const struct hull_ring_pending *pending,
			  void *payload);

/* mmap of a vCPU fd at HULL_RUN_SIZE: the own channel. */
int hull_ring_mmap_own(struct hull_vcpu *vcpu, struct vm_area_struct *vma);

#endif
