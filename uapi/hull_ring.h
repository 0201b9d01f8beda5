/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The ring: memory shared by the module and the consumers of a VM's device accesses.
 *
 * A consumer is either a vCPU's own thread (HULL_RUN returns HULL_EXIT_REQUEST) or whoever holds a
 * consumer fd: a thread or another process, which needs nothing but that fd, its mapping and the
 * guest memory it was given. Per (consumer, vCPU) there is one channel: a mailbox for the one
 * synchronous request a vCPU can have, a payload page for strings, and a posted ring.
 *
 * Mailbox. Two sequence numbers, each with one writer:
 *
 *	  module: fills request fields,			consumer: reads request fields,
 *	  request_seq = n (release)			writes the answer,
 *		   |					response_seq = n (release)
 *		   v						|
 *	IDLE -----------------> PENDING (request_seq != response_seq) -------> IDLE
 *	(request_seq == response_seq)
 *
 * The consumer works on at most one request per channel and copies request_seq it acted on into
 * response_seq. A request never changes while it is pending. After an interrupted HULL_RUN (EINTR)
 * it stays pending: the next HULL_RUN of the vCPU resumes it. Setting a vCPU's events group takes
 * its request back: the consumer may still do it, the answer goes nowhere.
 *
 * Death. A consumer is dead when the last fd and the last mapping of it are gone, as when its
 * process ends (so a launcher that gave the fd away closes its own). The ranges stay its own. A
 * vCPU that waits for an answer returns from HULL_RUN with HULL_EXIT_CONSUMER, the request still
 * pending. From there two ways:
 *
 *	          HULL_ATTACH_CONSUMER, HULL_RUN	the request is published again (new
 *	  PENDING --------------------------> PENDING	request_seq) and the answer awaited;
 *	     |					generation has grown
 *	     | HULL_RUN without a successor
 *	     v
 *	   IDLE		a read completes with all bits set, a write is dropped
 *
 * So a successor may do again what its predecessor did but did not answer.
 * New accesses to a dead consumer complete like that at once, without an exit; posted writes are
 * dropped. What was posted before is in the ring for the successor.
 *
 * Posted ring. posted_head is written by the module only (entries below it are valid), posted_tail
 * by the consumer only; both count without wrapping at the ring's size: entry i is at
 * posted[i % HULL_POSTED_ENTRIES]. When it is full the vCPU waits: HULL_RUN returns
 * HULL_EXIT_POSTED to the vCPU's own thread, or sleeps until another consumer moved the tail.
 * Order: what a vCPU posted to a consumer is in the ring before a later synchronous request or
 * doorbell of the same vCPU to the same consumer can be seen. Handle posted entries first.
 *
 * Waking. A consumer that sleeps sets consumer_sleeps (then a full barrier, then looks once more),
 * and poll()s its fd; the module signals the fd only when it finds the flag set. The module sets
 * vcpu_sleeps while the vCPU thread sleeps for an answer or for room; a consumer that finds it set
 * after it stored response_seq or posted_tail (full barrier between) wakes the vCPU by writing
 * its number as __u32 to the consumer fd. Both may spin instead of sleeping.
 *
 * Nobody trusts the other side: each word is read once, then checked. A response for a sequence
 * number that is not pending is ignored; a tail outside [head - entries, head] makes the ring
 * count as full for that consumer. The module keeps copies of its own words: scribbling on them
 * confuses the consumer, nobody else.
 */
#ifndef _UAPI_HULL_RING_H
#define _UAPI_HULL_RING_H

#include <linux/types.h>

#define HULL_PAYLOAD_SIZE	4096
#define HULL_POSTED_ENTRIES	128

/* struct hull_mailbox.flags */
#define HULL_MAILBOX_WRITE	(1U << 0)	/* the guest writes */
#define HULL_MAILBOX_PAYLOAD	(1U << 1)	/* count elements in the payload page */

/**
 * struct hull_mailbox - page 0 of a channel; three cache lines with one writer each
 * @request_seq: module: number of the latest request
 * @flags: module: HULL_MAILBOX_*
 * @space: module: HULL_SPACE_*
 * @size: module: bytes of one element: 1, 2, 4, 8
 * @count: module: elements
 * @vcpu: module: number of the vCPU
 * @address: module: port, guest-physical address or hypercall number
 * @value: module: the value written (count 1)
 * @args: module: hypercall: RBX, RCX, RDX, RSI
 * @posted_head: module: entries posted so far
 * @vcpu_sleeps: module: the vCPU thread sleeps, wake it by write()
 * @generation: module: grows each time the channel is attached to a consumer
 * @response_seq: consumer: number of the latest request answered
 * @posted_tail: consumer: entries consumed so far
 * @answer: consumer: the value read (count 1); RAX of a hypercall
 * @consumer_sleeps: consumer: it sleeps in poll()
 */
struct hull_mailbox {
	__u32 request_seq;
	__u32 flags;
	__u32 space;
	__u32 size;
	__u32 count;
	__u32 vcpu;
	__u64 address;
	__u64 value;
	__u64 args[4];

	__u32 posted_head __attribute__((aligned(128)));
	__u32 vcpu_sleeps;
	__u32 generation;

	__u32 response_seq __attribute__((aligned(128)));
	__u32 posted_tail;
	__u64 answer;
	__u32 consumer_sleeps;
};

/**
 * struct hull_posted - one posted write
 * @address: port or guest-physical address
 * @value: what was written
 * @space: HULL_SPACE_*
 * @size: bytes: 1, 2, 4, 8
 * @reserved: zero
 */
struct hull_posted {
	__u64 address;
	__u64 value;
	__u32 space;
	__u32 size;
	__u64 reserved;
};

/**
 * struct hull_channel - layout of one channel: three pages
 *
 * Mapping of a consumer fd: the channel of vCPU n is at n * sizeof(struct hull_channel). Mapping
 * of a vCPU fd: the own channel is at HULL_RUN_SIZE.
 */
struct hull_channel {
	union {
		struct hull_mailbox mailbox;
		__u8 page0[4096];
	};
	__u8 payload[HULL_PAYLOAD_SIZE];
	struct hull_posted posted[HULL_POSTED_ENTRIES];
};

#endif
