/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Ranges, consumers, mailboxes and posted rings: the module's side of hull_ring.h.
 */
#ifndef HULL_RING_H
#define HULL_RING_H

#include "types.h"
#include "hull.h"
#include "hull_ring.h"

struct hull_channel_kernel;

/**
 * struct hull_request - an access to be answered
 * @space: HULL_SPACE_*
 * @write: the guest writes
 * @size: bytes of one element: 1, 2, 4 or 8
 * @count: elements; more than 1: data travels in the payload page (string port I/O)
 * @address: port, guest-physical address, or hypercall number
 * @data: in: what is written; out: what was read (size * count bytes); points into memory of the
 *        caller, for count > 1 at most HULL_PAYLOAD_SIZE bytes
 * @args: hypercall: RBX, RCX, RDX, RSI
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
 * struct hull_ring_vcpu - a vCPU's part: its own channel and the request in flight
 * @own: channel to the vCPU's own thread
 * @waiting: consumer whose answer is awaited (a reference), NULL: none or own
 * @pending: a request is in flight: own or @waiting
 * @sequence: of the request in flight
 */
struct hull_ring_vcpu {
	struct hull_channel_kernel *own;
	struct hull_consumer *waiting;
	bool pending;
	u32 sequence;
	struct hull_request request;
	u64 value;		/* backs request.data of single elements */
};

int hull_ring_vcpu_create(struct hull_vcpu *vcpu);
void hull_ring_vcpu_destroy(struct hull_vcpu *vcpu);
int hull_ranges_init(struct hull_vm *vm);
void hull_ranges_destroy(struct hull_vm *vm);

/* ioctls of the VM fd; take vm->lock */
int hull_vm_add_range(struct hull_vm *vm, const struct hull_range *range);
int hull_vm_remove_range(struct hull_vm *vm, const struct hull_range *range);
int hull_vm_create_consumer(struct hull_vm *vm);	/* returns an fd */

/*
 * hull_ring_write_fast - in the window: deliver a write that no one has to answer.
 * True: a doorbell was rung or the write was posted: it is done. False: take the slow path.
 */
bool hull_ring_write_fast(struct hull_vcpu *vcpu, u32 space, u64 address, u32 size, u64 value);

/*
 * hull_ring_access - outside the window: deliver an access.
 * Returns 0: done, *@request->data holds what was read.
 *   HULL_PUBLISH: vcpu->run was filled, return to the launcher; continue with hull_ring_finish()
 *   in the next HULL_RUN.
 *   -EINTR: as HULL_PUBLISH, but a signal interrupted the wait: HULL_RUN returns EINTR.
 */
int hull_ring_access(struct hull_vcpu *vcpu, const struct hull_request *request);

/*
 * hull_ring_finish - at the start of HULL_RUN, or after a wait: is the request in flight answered?
 * @data: where the answer goes, or NULL to drop it; @len: its size
 * Returns 0: answered; HULL_PUBLISH: not answered by the vCPU's own thread: published again;
 * -EINTR.
 */
int hull_ring_finish(struct hull_vcpu *vcpu, void *data, size_t len);

/* mmap of a vCPU fd at HULL_RUN_SIZE. */
int hull_ring_mmap_own(struct hull_vcpu *vcpu, struct vm_area_struct *vma);

#endif
