// SPDX-License-Identifier: GPL-2.0
/*
 * The consumer's side of the ring (hull_ring.h): all memory barriers of user space are here.
 *
 * Pairs with kmod/ring_core.h. Words of the module are read once, into locals; words of ours are
 * kept in struct hull_endpoint and only stored to the channel.
 */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "hull_lib.h"

#define READ_ONCE(word)			__atomic_load_n(&(word), __ATOMIC_RELAXED)
#define WRITE_ONCE(word, value)		__atomic_store_n(&(word), value, __ATOMIC_RELAXED)
#define load_acquire(word)		__atomic_load_n(&(word), __ATOMIC_ACQUIRE)
#define store_release(word, value)	__atomic_store_n(&(word), value, __ATOMIC_RELEASE)
#define full_barrier()			__atomic_thread_fence(__ATOMIC_SEQ_CST)

#define WAKE_BATCH			(HULL_POSTED_ENTRIES / 4)

void hull_endpoint_init(struct hull_endpoint *endpoint, struct hull_channel *channel, int fd,
			__u32 vcpu)
{
	struct hull_mailbox *mailbox = &channel->mailbox;

	memset(endpoint, 0, sizeof(*endpoint));
	endpoint->channel = channel;
	endpoint->fd = fd;
	endpoint->vcpu = vcpu;
	endpoint->answered = READ_ONCE(mailbox->response_seq);
	endpoint->tail = READ_ONCE(mailbox->posted_tail);
}

/*
 * The vCPU thread may have gone to sleep before it could see what we just stored. The barrier makes
 * one of the two see the other. Failure to wake is no concern of ours: the VM is gone.
 */
static void wake_vcpu(struct hull_endpoint *endpoint)
{
	ssize_t ignored;

	if (endpoint->fd < 0)
		return;
	full_barrier();
	if (READ_ONCE(endpoint->channel->mailbox.vcpu_sleeps)) {
		ignored = write(endpoint->fd, &endpoint->vcpu, sizeof(endpoint->vcpu));
		(void)ignored;
	}
}

/* Entries that are valid; 0 also for a head that cannot be. */
static __u32 posted_ready(const struct hull_endpoint *endpoint, __u32 head)
{
	__u32 ready = head - endpoint->tail;

	return ready <= HULL_POSTED_ENTRIES ? ready : 0;
}

static bool take_posted(struct hull_endpoint *endpoint, struct hull_posted *posted)
{
	struct hull_mailbox *mailbox = &endpoint->channel->mailbox;
	__u32 ready = posted_ready(endpoint, load_acquire(mailbox->posted_head));
	const struct hull_posted *entry;

	if (!ready)
		return false;
	entry = &endpoint->channel->posted[endpoint->tail % HULL_POSTED_ENTRIES];
	posted->address = READ_ONCE(entry->address);
	posted->value = READ_ONCE(entry->value);
	posted->space = READ_ONCE(entry->space);
	posted->size = READ_ONCE(entry->size);
	posted->reserved = 0;
	endpoint->tail++;
	/* Release: the entry is not read after the module may reuse it. */
	store_release(mailbox->posted_tail, endpoint->tail);
	/* A vCPU that waits for room sleeps on until there is some more than one entry. */
	if (ready == 1 || !(endpoint->tail % WAKE_BATCH))
		wake_vcpu(endpoint);
	return true;
}

static bool request_ok(const struct hull_mailbox *request)
{
	__u32 size = request->size;

	if (size != 1 && size != 2 && size != 4 && size != 8)
		return false;
	if (request->flags & ~(HULL_MAILBOX_WRITE | HULL_MAILBOX_PAYLOAD))
		return false;
	if (!(request->flags & HULL_MAILBOX_PAYLOAD))
		return request->count == 1;
	return request->count && request->count <= HULL_PAYLOAD_SIZE / size;
}

static void copy_request(struct hull_endpoint *endpoint, __u32 seq)
{
	const struct hull_mailbox *mailbox = &endpoint->channel->mailbox;
	struct hull_mailbox *request = &endpoint->current;
	int i;

	request->request_seq = seq;
	request->flags = READ_ONCE(mailbox->flags);
	request->space = READ_ONCE(mailbox->space);
	request->size = READ_ONCE(mailbox->size);
	request->count = READ_ONCE(mailbox->count);
	request->vcpu = endpoint->vcpu;
	request->address = READ_ONCE(mailbox->address);
	request->value = READ_ONCE(mailbox->value);
	for (i = 0; i < 4; i++)
		request->args[i] = READ_ONCE(mailbox->args[i]);
}

enum hull_work hull_next(struct hull_endpoint *endpoint, struct hull_posted *posted)
{
	/*
	 * The request is looked at before the ring: what was posted before it is seen then, and
	 * while it is pending nothing is posted after it.
	 */
	__u32 seq = load_acquire(endpoint->channel->mailbox.request_seq);

	if (take_posted(endpoint, posted))
		return HULL_WORK_POSTED;
	if (seq == endpoint->answered)
		return HULL_WORK_NONE;
	copy_request(endpoint, seq);
	if (request_ok(&endpoint->current))
		return HULL_WORK_REQUEST;
	hull_answer(endpoint, ~0ULL);
	return HULL_WORK_NONE;
}

void hull_answer(struct hull_endpoint *endpoint, __u64 value)
{
	struct hull_mailbox *mailbox = &endpoint->channel->mailbox;

	endpoint->answered = endpoint->current.request_seq;
	WRITE_ONCE(mailbox->answer, value);
	/* Release: answer and payload are there when the module sees the number. */
	store_release(mailbox->response_seq, endpoint->answered);
	wake_vcpu(endpoint);
}

static bool has_work(const struct hull_endpoint *endpoint)
{
	const struct hull_mailbox *mailbox = &endpoint->channel->mailbox;

	return READ_ONCE(mailbox->request_seq) != endpoint->answered ||
	       posted_ready(endpoint, READ_ONCE(mailbox->posted_head));
}

bool hull_consumer_prepare(struct hull_endpoint *endpoints, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		WRITE_ONCE(endpoints[i].channel->mailbox.consumer_sleeps, 1);
	/* Either the module sees the flag, or we see its work below. */
	full_barrier();
	for (i = 0; i < count; i++) {
		if (has_work(&endpoints[i]))
			return true;
	}
	return false;
}

void hull_consumer_awake(struct hull_endpoint *endpoints, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		WRITE_ONCE(endpoints[i].channel->mailbox.consumer_sleeps, 0);
}

int hull_consumer_wait(struct hull_endpoint *endpoints, unsigned int count, int timeout)
{
	struct pollfd pollfd = { .fd = count ? endpoints[0].fd : -1, .events = POLLIN };
	int ret = 1;

	if (!hull_consumer_prepare(endpoints, count))
		ret = poll(&pollfd, 1, timeout);
	hull_consumer_awake(endpoints, count);
	return ret;
}
