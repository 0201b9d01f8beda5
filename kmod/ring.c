// SPDX-License-Identifier: GPL-2.0
/*
 * An access from the guest until it is done: routed to its range, rung, posted, or published in a
 * mailbox and awaited.
 *
 * In the window only writes that nobody answers are delivered (hull_ring_write_fast()); all else
 * goes through an access in flight, one a vCPU, kept in vcpu->ring so that any return to user space
 * in the middle leaves a consistent state, which the next HULL_RUN goes on from:
 *
 *	             route               publish                      answered
 *	none ----> pending ----------> pending, published ---------------------> none
 *	              |  ^  own ring full: HULL_PUBLISH    own: HULL_PUBLISH
 *	              |  |  other's full: wait             other's: wait
 *	              |  `--- a successor attached --------|
 *	              `-----> none: rung, posted,          `--> consumer died: HULL_PUBLISH once,
 *	                      or the consumer is dead           then none
 *
 * Order: a vCPU makes one access after the other, and each is in the ring, or its eventfd
 * signalled, before the next begins. So posted writes come before a later request or doorbell.
 *
 * Locks: none of its own. The range table is read under RCU; what outlives that section, a consumer
 * that is waited for, is referenced. vcpu->ring belongs to the vCPU thread. Place in the tour:
 * after exit.c, which calls it for what the module does not handle itself.
 */
#include <linux/build_bug.h>
#include <linux/eventfd.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>

#include "consumer.h"
#include "ranges.h"
#include "ring.h"
#include "ring_core.h"
#include "vcpu.h"

static_assert(sizeof(struct hull_posted) == 32);
static_assert(sizeof(struct hull_channel) == 3 * 4096);
static_assert(offsetof(struct hull_mailbox, posted_head) == 128);
static_assert(offsetof(struct hull_mailbox, response_seq) == 256);
static_assert(sizeof(struct hull_range) == 56);
static_assert(sizeof(struct hull_attach) == 16);

/* ---- in the window -------------------------------------------------------------------------- */

/* False: the ring is full, or there is none yet. */
static __always_inline bool post(struct hull_vcpu *vcpu, struct hull_consumer *consumer, u32 space,
				 u64 address, u32 size, u64 value)
{
	struct hull_channel_kernel *channel = &vcpu->ring.own;

	if (consumer) {
		/* Acquire: pairs with the succession. The dead get nothing. */
		if (unlikely(!hull_generation_attached(smp_load_acquire(&consumer->generation))))
			return true;
		channel = hull_consumer_find_channel(consumer, vcpu->id);
		if (unlikely(!channel))
			return false;
	}
	if (!hull_channel_post(channel, space, address, size, value))
		return false;
	hull_count(vcpu, HULL_STAT_POSTED);
	if (consumer)
		hull_consumer_notify(consumer, channel);
	return true;
}

static void ring_bell(struct hull_vcpu *vcpu, const struct hull_target *bell)
{
	hull_count(vcpu, HULL_STAT_DOORBELL);
	eventfd_signal(bell->eventfd);
}

static __always_inline bool deliver_write(struct hull_vcpu *vcpu, const struct hull_target *target,
					  u32 space, u64 address, u32 size, u64 value)
{
	if (target->eventfd) {
		ring_bell(vcpu, target);
		return true;
	}
	return post(vcpu, target->consumer, space, address, size, value);
}

/* Search the table, and remember the target if it is the only one that could take the write. */
static noinline bool write_searched(struct hull_vcpu *vcpu, u32 space, u64 address, u32 size,
				    u64 value)
{
	const struct hull_range_table *table = rcu_dereference_sched(vcpu->vm->ranges);
	const struct hull_target *target;

	target = hull_table_bell(table, space, address, size, value);
	if (!target)
		target = hull_table_range(table, space, address, address + size - 1);
	if (!target || target->delivery == HULL_DELIVER_SYNC)
		return false;
	if (!target->shadowed) {
		vcpu->ring.hit = target;
		vcpu->ring.hit_generation = table->generation;
	}
	return deliver_write(vcpu, target, space, address, size, value);
}

/* What is remembered needs no stack frame: calls are the last thing done. */
bool hull_ring_write_fast(struct hull_vcpu *vcpu, u32 space, u64 address, u32 size, u64 value)
{
	const struct hull_range_table *table = rcu_dereference_sched(vcpu->vm->ranges);
	const struct hull_target *target = vcpu->ring.hit;

	value &= hull_size_mask(size);
	/* The generation tells whether the pointer is still one into this table. */
	if (likely(vcpu->ring.hit_generation == table->generation &&
		   hull_target_takes(target, space, address, size, value)))
		return deliver_write(vcpu, target, space, address, size, value);
	return write_searched(vcpu, space, address, size, value);
}

/* ---- the access in flight ------------------------------------------------------------------- */

static void stop_waiting(struct hull_ring_vcpu *ring)
{
	if (ring->waiting)
		hull_consumer_put(ring->waiting);
	ring->waiting = NULL;
	ring->published = false;
}

static void access_done(struct hull_ring_vcpu *ring)
{
	stop_waiting(ring);
	ring->pending = false;
	ring->reported = false;
}

/* The answer is in @channel; NULL: nobody is there to answer. */
static void take_answer(struct hull_ring_vcpu *ring, const struct hull_channel_kernel *channel,
			void *data, size_t len)
{
	const struct hull_request *request = &ring->request;
	u64 value;

	if (data && !request->write) {
		len = min_t(size_t, len, request->size * request->count);
		if (!channel) {
			memset(data, 0xff, len);
		} else if (request->count > 1) {
			hull_channel_payload(channel, data, len);
		} else {
			value = hull_channel_value(channel, request->size);
			memcpy(data, &value, len);
		}
	}
	access_done(ring);
}

/* ---- routing -------------------------------------------------------------------------------- */

/*
 * Who gets the access: *@target, NULL being the vCPU's own thread. -E2BIG: not all elements go the
 * same way; -ENOENT: a hypercall nobody wants.
 */
static int find_target(const struct hull_range_table *table, const struct hull_request *request,
		       u64 value, const struct hull_target **target)
{
	u64 first = request->address, last = first;

	if (request->space == HULL_SPACE_MEMORY)
		last += (u64)request->size * request->count - 1;
	else if (request->space == HULL_SPACE_PORT)
		last += request->size - 1;

	*target = NULL;
	if (request->write && request->count == 1)
		*target = hull_table_bell(table, request->space, first, request->size, value);
	else if (request->write && hull_table_overlap(table, true, request->space, first, last))
		return -E2BIG;
	if (*target)
		return 0;

	*target = hull_table_range(table, request->space, first, last);
	if (*target)
		return 0;
	if (request->space == HULL_SPACE_HYPERCALL)
		return -ENOENT;
	if (request->count > 1 && hull_table_overlap(table, false, request->space, first, last))
		return -E2BIG;
	return 0;
}

/*
 * Ring the bell of the access in flight, or say who gets it: *@consumer (a reference, NULL: own
 * thread) and whether it is to be posted. Returns 0; 1: rung, done; an error of find_target().
 */
static int route(struct hull_vcpu *vcpu, struct hull_consumer **consumer, bool *posted)
{
	const struct hull_request *request = &vcpu->ring.request;
	const struct hull_target *target;
	int ret;

	rcu_read_lock_sched();
	ret = find_target(rcu_dereference_sched(vcpu->vm->ranges), request, vcpu->ring.value,
			  &target);
	if (ret)
		goto out;
	*consumer = target ? target->consumer : NULL;
	*posted = target && target->delivery == HULL_DELIVER_POSTED && request->write &&
		  request->count == 1;
	if (target && target->eventfd) {
		ring_bell(vcpu, target);
		ret = 1;
	} else if (*consumer) {
		hull_consumer_get(*consumer);
	}
out:
	rcu_read_unlock_sched();
	return ret;
}

/* ---- waiting -------------------------------------------------------------------------------- */

static struct hull_channel_kernel *channel_waited_for(struct hull_ring_vcpu *ring, u32 id)
{
	return hull_consumer_find_channel(ring->waiting, id);
}

static bool consumer_changed(const struct hull_ring_vcpu *ring)
{
	return READ_ONCE(ring->waiting->generation) != ring->generation;
}

static bool is_awake(struct hull_vcpu *vcpu)
{
	struct hull_ring_vcpu *ring = &vcpu->ring;
	struct hull_channel_kernel *channel = channel_waited_for(ring, vcpu->id);

	return (ring->published ? hull_channel_answered(channel) :
				  hull_channel_has_room(channel)) ||
	       consumer_changed(ring) || READ_ONCE(vcpu->vm->end_reason);
}

/* Until there is an answer or room, or another consumer. -EINTR: a signal or hull_run.stop. */
static int wait_for_consumer(struct hull_vcpu *vcpu)
{
	struct hull_channel_kernel *channel = channel_waited_for(&vcpu->ring, vcpu->id);
	int err = 0;

	hull_channel_set_vcpu_sleeps(channel, true);
	if (!is_awake(vcpu))
		err = hull_vcpu_wait(vcpu, is_awake);
	hull_channel_set_vcpu_sleeps(channel, false);
	if (!err && !is_awake(vcpu))
		err = -EINTR;
	return err;
}

static int report_death(struct hull_vcpu *vcpu)
{
	vcpu->ring.reported = true;
	vcpu->run->end_info[0] = vcpu->ring.request.space;
	vcpu->run->end_info[1] = vcpu->ring.request.address;
	vcpu->run->exit = HULL_EXIT_CONSUMER;
	return HULL_PUBLISH;
}

/* ---- one step of the access in flight: 0: look again; HULL_PUBLISH; an errno ---------------- */

static int step_publish_own(struct hull_vcpu *vcpu)
{
	hull_channel_publish(&vcpu->ring.own, &vcpu->ring.request, vcpu->ring.value);
	vcpu->ring.published = true;
	vcpu->run->exit = HULL_EXIT_REQUEST;
	return HULL_PUBLISH;
}

static int step_post_own(struct hull_vcpu *vcpu)
{
	const struct hull_request *request = &vcpu->ring.request;

	if (post(vcpu, NULL, request->space, request->address, request->size, vcpu->ring.value)) {
		access_done(&vcpu->ring);
		return 0;
	}
	vcpu->run->exit = HULL_EXIT_POSTED;
	return HULL_PUBLISH;
}

/* ring->waiting is a consumer that lives and has a channel. */
static int step_post_other(struct hull_vcpu *vcpu)
{
	struct hull_ring_vcpu *ring = &vcpu->ring;
	const struct hull_request *request = &ring->request;
	int err;

	if (post(vcpu, ring->waiting, request->space, request->address, request->size,
		 ring->value)) {
		access_done(ring);
		return 0;
	}
	err = wait_for_consumer(vcpu);
	/* Whatever woke us: find the way again. */
	stop_waiting(ring);
	return err;
}

static int step_publish_other(struct hull_vcpu *vcpu, struct hull_channel_kernel *channel)
{
	struct hull_ring_vcpu *ring = &vcpu->ring;

	hull_channel_publish(channel, &ring->request, ring->value);
	ring->published = true;
	ring->reported = false;
	hull_count(vcpu, HULL_STAT_SYNC);
	hull_consumer_notify(ring->waiting, channel);
	return 0;
}

static int step_begin(struct hull_vcpu *vcpu, void *data, size_t len)
{
	struct hull_ring_vcpu *ring = &vcpu->ring;
	struct hull_channel_kernel *channel;
	struct hull_consumer *consumer;
	bool posted;
	int ret;

	ret = route(vcpu, &consumer, &posted);
	if (unlikely(ret < 0 && ring->resumed)) {
		/* The ranges have changed meanwhile, and it is too late for another form. */
		take_answer(ring, NULL, data, len);
		return 0;
	}
	if (ret) {
		access_done(ring);
		return ret < 0 ? ret : 0;
	}
	if (!consumer)
		return posted ? step_post_own(vcpu) : step_publish_own(vcpu);

	ring->waiting = consumer;
	ring->generation = smp_load_acquire(&consumer->generation);
	if (!hull_generation_attached(ring->generation)) {
		take_answer(ring, NULL, data, len);
		return 0;
	}
	channel = hull_consumer_channel(consumer, vcpu->id);
	if (!channel) {
		stop_waiting(ring);
		return -ENOMEM;
	}
	return posted ? step_post_other(vcpu) : step_publish_other(vcpu, channel);
}

static int step_own(struct hull_vcpu *vcpu, void *data, size_t len)
{
	struct hull_ring_vcpu *ring = &vcpu->ring;

	if (hull_channel_answered(&ring->own)) {
		take_answer(ring, &ring->own, data, len);
		return 0;
	}
	vcpu->run->exit = HULL_EXIT_REQUEST;
	return HULL_PUBLISH;
}

static int step_other(struct hull_vcpu *vcpu, void *data, size_t len)
{
	struct hull_ring_vcpu *ring = &vcpu->ring;
	struct hull_channel_kernel *channel = channel_waited_for(ring, vcpu->id);

	if (hull_channel_answered(channel)) {
		take_answer(ring, channel, data, len);
		return 0;
	}
	if (!consumer_changed(ring))
		return wait_for_consumer(vcpu);
	if (hull_generation_attached(READ_ONCE(ring->waiting->generation))) {
		stop_waiting(ring);
		return 0;
	}
	if (!ring->reported)
		return report_death(vcpu);
	take_answer(ring, NULL, data, len);
	return 0;
}

static int go_on(struct hull_vcpu *vcpu, void *data, size_t len)
{
	struct hull_ring_vcpu *ring = &vcpu->ring;
	int ret = 0;

	while (ring->pending && !ret) {
		/* The guest goes nowhere any more: let the run loop say so. */
		if (unlikely(READ_ONCE(vcpu->vm->end_reason)))
			take_answer(ring, NULL, data, len);
		else if (!ring->published)
			ret = step_begin(vcpu, data, len);
		else if (!ring->waiting)
			ret = step_own(vcpu, data, len);
		else
			ret = step_other(vcpu, data, len);
	}
	return ret;
}

static bool request_ok(const struct hull_request *request)
{
	switch (request->size) {
	case 1: case 2: case 4: case 8:
		return request->count && request->count <= HULL_PAYLOAD_SIZE / request->size;
	default:
		return false;
	}
}

static int begin(struct hull_vcpu *vcpu, u64 value, void *data)
{
	struct hull_ring_vcpu *ring = &vcpu->ring;

	ring->value = value;
	ring->pending = true;
	ring->resumed = false;
	return go_on(vcpu, data, ring->request.size * ring->request.count);
}

int hull_ring_access(struct hull_vcpu *vcpu, const struct hull_request *request)
{
	u64 value = 0;

	if (WARN_ON_ONCE(vcpu->ring.pending || !request_ok(request)))
		return -EINVAL;
	vcpu->ring.request = *request;
	if (request->write && request->count == 1)
		memcpy(&value, request->data, request->size);
	return begin(vcpu, value, request->data);
}

int hull_ring_access_plain(struct hull_vcpu *vcpu, u32 space, u64 address, u32 size, bool write,
			   u64 *value)
{
	struct hull_request *request = &vcpu->ring.request;

	if (WARN_ON_ONCE(vcpu->ring.pending))
		return -EINVAL;
	request->space = space;
	request->write = write;
	request->size = size;
	request->count = 1;
	request->address = address;
	request->data = NULL;
	memset(request->args, 0, sizeof(request->args));
	return begin(vcpu, write ? *value & hull_size_mask(size) : 0, value);
}

int hull_ring_finish(struct hull_vcpu *vcpu, void *data, size_t len)
{
	vcpu->ring.resumed = true;
	return go_on(vcpu, data, len);
}

/* ---- state ---------------------------------------------------------------------------------- */

void hull_ring_cancel(struct hull_vcpu *vcpu)
{
	access_done(&vcpu->ring);
}

void hull_ring_get_pending(struct hull_vcpu *vcpu, struct hull_ring_pending *pending)
{
	const struct hull_ring_vcpu *ring = &vcpu->ring;

	memset(pending, 0, sizeof(*pending));
	if (!ring->pending)
		return;
	pending->pending = 1;
	pending->space = ring->request.space;
	pending->write = ring->request.write;
	pending->size = ring->request.size;
	pending->count = ring->request.count;
	pending->address = ring->request.address;
	pending->value = ring->value;
	memcpy(pending->args, ring->request.args, sizeof(pending->args));
}

static bool pending_ok(const struct hull_ring_pending *pending, const struct hull_request *request,
		       const void *payload)
{
	u64 bytes = (u64)request->size * request->count;

	if (pending->pending > 1 || pending->write > 1 || pending->reserved ||
	    !request_ok(request))
		return false;
	if (request->count > 1 && (pending->value || (request->write && !payload)))
		return false;
	if (pending->value & ~hull_size_mask(request->size))
		return false;
	switch (request->space) {
	case HULL_SPACE_PORT:
		return request->address <= 0xffff;
	case HULL_SPACE_MEMORY:
		return request->address < (1ULL << 52) && bytes <= (1ULL << 52) - request->address;
	case HULL_SPACE_HYPERCALL:
		return !request->write && bytes == 8 && request->count == 1;
	default:
		return false;
	}
}

int hull_ring_set_pending(struct hull_vcpu *vcpu, const struct hull_ring_pending *pending,
			  void *payload)
{
	struct hull_ring_vcpu *ring = &vcpu->ring;
	struct hull_request request = {
		.space = pending->space,
		.write = pending->write,
		.size = pending->size,
		.count = pending->count,
		.address = pending->address,
		.data = payload,
	};

	hull_ring_cancel(vcpu);
	if (!pending->pending)
		return memchr_inv(pending, 0, sizeof(*pending)) ? -EINVAL : 0;
	if (!pending_ok(pending, &request, payload))
		return -EINVAL;
	memcpy(request.args, pending->args, sizeof(request.args));
	ring->request = request;
	ring->value = pending->value;
	ring->pending = true;
	return 0;
}

/* ---- life ----------------------------------------------------------------------------------- */

int hull_ring_vcpu_create(struct hull_vcpu *vcpu)
{
	struct hull_channel *shared = hull_channel_alloc();

	if (!shared)
		return -ENOMEM;
	hull_channel_init(&vcpu->ring.own, shared, vcpu->id, 1);
	return 0;
}

void hull_ring_vcpu_destroy(struct hull_vcpu *vcpu)
{
	hull_ring_cancel(vcpu);
	hull_channel_free(vcpu->ring.own.shared);
}

/* -EINVAL: a private mapping, or more than the channel. */
int hull_ring_mmap_own(struct hull_vcpu *vcpu, struct vm_area_struct *vma)
{
	u8 *page = (u8 *)vcpu->ring.own.shared;
	unsigned long address;
	int err;

	if (!(vma->vm_flags & VM_SHARED) || vma->vm_pgoff != HULL_RUN_SIZE >> PAGE_SHIFT ||
	    vma->vm_end - vma->vm_start > sizeof(struct hull_channel))
		return -EINVAL;
	for (address = vma->vm_start; address < vma->vm_end; address += PAGE_SIZE) {
		err = vm_insert_page(vma, address, virt_to_page(page));
		if (err)
			return err;
		page += PAGE_SIZE;
	}
	return 0;
}
