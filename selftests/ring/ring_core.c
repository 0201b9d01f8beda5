// SPDX-License-Identifier: GPL-2.0
/*
 * One channel: kmod/ring_core.h as the module's side, user/lib/ring.c as the consumer's, in one
 * process. First step by step, then in two threads: with a consumer that plays by the rules (order,
 * sleeping and waking), and with one that scribbles on every shared word.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hull_lib.h"
#include "ktap.h"
#include "ring_core.h"
#include "tests.h"

#define PORT	HULL_SPACE_PORT
#define ENTRIES	HULL_POSTED_ENTRIES

struct fixture {
	struct hull_channel_kernel kernel;
	struct hull_endpoint consumer;
	struct hull_channel *shared;
};

/* An exact allocation: the address sanitizer sees each byte beyond the channel. */
static void setup(struct fixture *f, int fd)
{
	f->shared = aligned_alloc(4096, sizeof(*f->shared));
	memset(f->shared, 0, sizeof(*f->shared));
	hull_channel_init(&f->kernel, f->shared, 3, 1);
	hull_endpoint_init(&f->consumer, f->shared, fd, 3);
}

static struct hull_request request_of(bool write, u32 size, u32 count, u64 address, void *data)
{
	return (struct hull_request) {
		.space = PORT, .write = write, .size = size, .count = count, .address = address,
		.data = data, .args = { 1, 2, 3, 4 },
	};
}

/* ---- step by step --------------------------------------------------------------------------- */

static bool steps_posted(struct fixture *f, u32 start)
{
	struct hull_posted posted;
	u32 i;

	f->kernel.posted_head = f->kernel.posted_tail = start;
	f->shared->mailbox.posted_head = f->shared->mailbox.posted_tail = start;
	f->consumer.tail = start;
	EXPECT(hull_next(&f->consumer, &posted) == HULL_WORK_NONE);
	EXPECT(!hull_channel_has_work(&f->kernel));
	for (i = 0; i < ENTRIES; i++)
		EXPECT(hull_channel_post(&f->kernel, PORT, i, 2, i * 3));
	EXPECT(!hull_channel_post(&f->kernel, PORT, i, 2, 0));
	EXPECT(hull_channel_has_work(&f->kernel));
	for (i = 0; i < ENTRIES; i++) {
		EXPECT(hull_next(&f->consumer, &posted) == HULL_WORK_POSTED);
		EXPECT(posted.address == i && posted.value == i * 3 && posted.size == 2);
		EXPECT(hull_channel_post(&f->kernel, PORT, 1000 + i, 1, 0));
		EXPECT(!hull_channel_has_room(&f->kernel));
	}
	for (i = 0; i < ENTRIES; i++) {
		EXPECT(hull_next(&f->consumer, &posted) == HULL_WORK_POSTED);
		EXPECT(posted.address == 1000 + i);
	}
	EXPECT(hull_next(&f->consumer, &posted) == HULL_WORK_NONE);
	return true;
}

static bool test_posted(void)
{
	struct fixture f;
	bool ok;

	setup(&f, -1);
	ok = steps_posted(&f, 0) && steps_posted(&f, -5U) && steps_posted(&f, 0x7ffffff0);
	free(f.shared);
	return ok;
}

static bool steps_bad_tail(struct fixture *f)
{
	u32 i;

	for (i = 0; i < ENTRIES; i++)
		hull_channel_post(&f->kernel, PORT, i, 1, 0);
	f->shared->mailbox.posted_tail = ENTRIES + 1;		/* beyond the head */
	EXPECT(!hull_channel_post(&f->kernel, PORT, 0, 1, 0));
	f->shared->mailbox.posted_tail = -1U;			/* too far behind it */
	EXPECT(!hull_channel_post(&f->kernel, PORT, 0, 1, 0));
	f->shared->mailbox.posted_tail = ENTRIES;
	EXPECT(hull_channel_post(&f->kernel, PORT, 0, 1, 0));

	/* A head that cannot be is no work for the consumer either. */
	f->consumer.tail = 0;
	f->shared->mailbox.posted_head = ENTRIES + 1;
	EXPECT(hull_next(&f->consumer, &(struct hull_posted) {}) == HULL_WORK_NONE);
	EXPECT(!hull_consumer_prepare(&f->consumer, 1));
	return true;
}

static bool test_bad_tail(void)
{
	struct fixture f;
	bool ok;

	setup(&f, -1);
	ok = steps_bad_tail(&f);
	free(f.shared);
	return ok;
}

static bool steps_mailbox(struct fixture *f)
{
	struct hull_request request = request_of(true, 4, 1, 0x3f8, NULL);
	const struct hull_mailbox *current = &f->consumer.current;
	struct hull_posted posted;

	hull_channel_post(&f->kernel, PORT, 1, 1, 1);
	hull_channel_publish(&f->kernel, &request, 0x12345678);
	EXPECT(!hull_channel_answered(&f->kernel));
	EXPECT(hull_next(&f->consumer, &posted) == HULL_WORK_POSTED);
	EXPECT(hull_next(&f->consumer, &posted) == HULL_WORK_REQUEST);
	EXPECT(hull_next(&f->consumer, &posted) == HULL_WORK_REQUEST);
	EXPECT(current->flags == HULL_MAILBOX_WRITE && current->size == 4 && current->count == 1);
	EXPECT(current->address == 0x3f8 && current->value == 0x12345678 && current->vcpu == 3);
	EXPECT(current->args[0] == 1 && current->args[3] == 4);
	hull_answer(&f->consumer, 0);
	EXPECT(hull_channel_answered(&f->kernel));
	EXPECT(hull_next(&f->consumer, &posted) == HULL_WORK_NONE);

	request = request_of(false, 2, 1, 0x3f8, NULL);
	hull_channel_publish(&f->kernel, &request, 0);
	EXPECT(hull_next(&f->consumer, &posted) == HULL_WORK_REQUEST && !current->flags);
	hull_answer(&f->consumer, 0xabcdef01);
	EXPECT(hull_channel_answered(&f->kernel));
	EXPECT(hull_channel_value(&f->kernel, 2) == 0xef01);
	EXPECT(hull_channel_value(&f->kernel, 8) == 0xabcdef01);
	return true;
}

static bool steps_payload(struct fixture *f)
{
	const struct hull_mailbox *current = &f->consumer.current;
	struct hull_posted posted;
	struct hull_request request;
	u8 out[HULL_PAYLOAD_SIZE], in[HULL_PAYLOAD_SIZE];
	size_t i;

	for (i = 0; i < sizeof(out); i++)
		out[i] = i * 7;
	request = request_of(true, 4, sizeof(out) / 4, 0x1f0, out);
	hull_channel_publish(&f->kernel, &request, 0);
	EXPECT(hull_next(&f->consumer, &posted) == HULL_WORK_REQUEST);
	EXPECT(current->flags == (HULL_MAILBOX_WRITE | HULL_MAILBOX_PAYLOAD));
	EXPECT(!memcmp(f->shared->payload, out, sizeof(out)));
	hull_answer(&f->consumer, 0);

	request = request_of(false, 2, 100, 0x1f0, NULL);
	hull_channel_publish(&f->kernel, &request, 0);
	EXPECT(hull_next(&f->consumer, &posted) == HULL_WORK_REQUEST);
	memset(f->shared->payload, 0x5a, 200);
	hull_answer(&f->consumer, 0);
	EXPECT(hull_channel_answered(&f->kernel));
	hull_channel_payload(&f->kernel, in, 200);
	EXPECT(in[0] == 0x5a && in[199] == 0x5a);

	/* A request that breaks the rules is answered by the library. */
	hull_channel_publish(&f->kernel, &request, 0);
	f->shared->mailbox.count = HULL_PAYLOAD_SIZE / 2 + 1;
	EXPECT(hull_next(&f->consumer, &posted) == HULL_WORK_NONE);
	EXPECT(hull_channel_answered(&f->kernel) && hull_channel_value(&f->kernel, 1) == 0xff);
	return true;
}

static bool test_mailbox(void)
{
	struct fixture f;
	bool ok;

	setup(&f, -1);
	ok = steps_mailbox(&f) && steps_payload(&f);
	free(f.shared);
	return ok;
}

static bool steps_reattach(struct fixture *f)
{
	struct hull_posted posted;

	hull_channel_post(&f->kernel, PORT, 1, 1, 0x11);
	hull_channel_post(&f->kernel, PORT, 2, 1, 0x22);
	EXPECT(hull_next(&f->consumer, &posted) == HULL_WORK_POSTED);
	memset(&f->shared->mailbox, 0xee, offsetof(struct hull_mailbox, generation));
	f->shared->mailbox.consumer_sleeps = 1;
	hull_channel_reattach(&f->kernel, 3);
	EXPECT(!f->shared->mailbox.consumer_sleeps && f->shared->mailbox.generation == 3);
	hull_endpoint_init(&f->consumer, f->shared, -1, 3);
	EXPECT(hull_next(&f->consumer, &posted) == HULL_WORK_POSTED && posted.value == 0x22);
	EXPECT(hull_next(&f->consumer, &posted) == HULL_WORK_NONE);

	f->shared->mailbox.posted_tail = 77;
	hull_channel_reattach(&f->kernel, 5);
	EXPECT(f->shared->mailbox.posted_tail == 2);
	EXPECT(hull_channel_post(&f->kernel, PORT, 3, 1, 0x33));
	return true;
}

/* A request its consumer died with is hidden until it is published again; an answer counts. */
static bool steps_succession(struct fixture *f)
{
	struct hull_request request = request_of(false, 4, 1, 0x60, NULL);
	struct hull_posted posted;

	hull_channel_publish(&f->kernel, &request, 0);
	EXPECT(hull_next(&f->consumer, &posted) == HULL_WORK_REQUEST);
	hull_channel_reattach(&f->kernel, 3);
	EXPECT(!hull_channel_answered(&f->kernel) && !hull_channel_has_work(&f->kernel));
	hull_endpoint_init(&f->consumer, f->shared, -1, 3);
	EXPECT(hull_next(&f->consumer, &posted) == HULL_WORK_NONE);
	hull_channel_publish(&f->kernel, &request, 0);
	EXPECT(hull_channel_has_work(&f->kernel));
	EXPECT(hull_next(&f->consumer, &posted) == HULL_WORK_REQUEST);
	hull_answer(&f->consumer, 5);
	hull_channel_reattach(&f->kernel, 5);
	EXPECT(hull_channel_answered(&f->kernel) && hull_channel_value(&f->kernel, 4) == 5);
	hull_endpoint_init(&f->consumer, f->shared, -1, 3);
	EXPECT(hull_next(&f->consumer, &posted) == HULL_WORK_NONE);
	return true;
}

static bool test_reattach(void)
{
	struct fixture f;
	bool ok;

	setup(&f, -1);
	ok = steps_reattach(&f);
	free(f.shared);
	setup(&f, -1);
	ok = ok && steps_succession(&f);
	free(f.shared);
	return ok;
}

/* ---- two threads that keep the rules -------------------------------------------------------- */

struct pair {
	struct fixture f;
	int kernel_fd;		/* the module's end: wakes the consumer, is woken by its writes */
	unsigned int requests;
	bool failed;
};

static void wake_consumer(struct pair *p)
{
	if (hull_channel_consumer_sleeps(&p->f.kernel) && write(p->kernel_fd, "w", 1) != 1)
		p->failed = true;
}

/* As wait_for_consumer() in ring.c. A wake-up that is lost ends in the time limit. */
static bool sleep_until(struct pair *p, bool (*awake)(struct hull_channel_kernel *kernel))
{
	struct pollfd pollfd = { .fd = p->kernel_fd, .events = POLLIN };
	char ignored[64];

	while (!awake(&p->f.kernel)) {
		hull_channel_set_vcpu_sleeps(&p->f.kernel, true);
		if (!awake(&p->f.kernel)) {
			if (poll(&pollfd, 1, 20000) != 1)
				return false;
			if (recv(p->kernel_fd, ignored, sizeof(ignored), MSG_DONTWAIT) < 0 &&
			    errno != EAGAIN)
				return false;
		}
		hull_channel_set_vcpu_sleeps(&p->f.kernel, false);
	}
	return true;
}

static bool answered(struct hull_channel_kernel *kernel)
{
	return hull_channel_answered(kernel);
}

/* Checks that each posted write comes once, in order, and before the request made after it. */
static void *good_consumer(void *arg)
{
	struct pair *p = arg;
	struct hull_endpoint *endpoint = &p->f.consumer;
	struct hull_posted posted;
	unsigned int done = 0;
	char ignored[64];
	u64 expected = 0;

	while (done < p->requests) {
		switch (hull_next(endpoint, &posted)) {
		case HULL_WORK_POSTED:
			if (posted.value != expected++)
				p->failed = true;
			break;
		case HULL_WORK_REQUEST:
			if (endpoint->current.value != expected)
				p->failed = true;
			hull_answer(endpoint, expected * 5);
			done++;
			break;
		case HULL_WORK_NONE:
			if (hull_consumer_wait(endpoint, 1, 20000) != 1)
				p->failed = true;
			while (recv(endpoint->fd, ignored, sizeof(ignored), MSG_DONTWAIT) > 0)
				;
			break;
		}
		if (p->failed)
			break;
	}
	return NULL;
}

static bool run_producer(struct pair *p, uint64_t *seed)
{
	u64 posted = 0;
	u32 burst;
	unsigned int i;

	for (i = 0; i < p->requests; i++) {
		struct hull_request request = request_of(false, 8, 1, 0, NULL);

		for (burst = next_random(seed) % 300; burst; burst--) {
			EXPECT(sleep_until(p, hull_channel_has_room));
			EXPECT(hull_channel_post(&p->f.kernel, PORT, 0, 8, posted++));
			wake_consumer(p);
		}
		hull_channel_publish(&p->f.kernel, &request, posted);
		wake_consumer(p);
		EXPECT(sleep_until(p, answered));
		EXPECT(hull_channel_value(&p->f.kernel, 8) == posted * 5);
	}
	return true;
}

static bool test_two_threads(void)
{
	uint64_t seed = seed_from_env();
	pthread_t thread;
	struct pair p = { .requests = long_mode() ? 50000 : 1000 };
	int fds[2];
	bool ok;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
		return false;
	setup(&p.f, fds[0]);
	p.kernel_fd = fds[1];
	if (pthread_create(&thread, NULL, good_consumer, &p))
		return false;
	ok = run_producer(&p, &seed);
	if (!ok)
		shutdown(fds[1], SHUT_RDWR);
	pthread_join(thread, NULL);
	close(fds[0]);
	close(fds[1]);
	free(p.f.shared);
	return ok && !p.failed;
}

/* ---- one that does not ---------------------------------------------------------------------- */

struct hostile {
	struct hull_channel *shared;
	uint64_t seed;
	bool stop;
};

static void *scribble(void *arg)
{
	struct hostile *h = arg;
	u32 *words = (u32 *)h->shared;
	u32 *near[] = { &h->shared->mailbox.response_seq, &h->shared->mailbox.posted_tail,
			&h->shared->mailbox.posted_head, &h->shared->mailbox.request_seq };

	while (!READ_ONCE(h->stop)) {
		u64 random = next_random(&h->seed);
		u32 at = random % (sizeof(*h->shared) / sizeof(u32));

		WRITE_ONCE(words[at], random >> 32);
		/* Values that are nearly right do more harm. */
		at = random >> 60 & 3;
		WRITE_ONCE(*near[at],
			   READ_ONCE(*near[(random >> 58) & 3]) + (random >> 40) % 3 - 1);
	}
	return NULL;
}

static bool survive(struct hull_channel_kernel *kernel, struct hull_channel *shared, uint64_t *seed)
{
	static u8 data[HULL_PAYLOAD_SIZE];
	unsigned int i, rounds = long_mode() ? 5000000 : 100000, posts = 0, answers = 0;
	u32 head = 0, seq = 0;

	for (i = 0; i < rounds; i++) {
		u32 size = 1 << next_random(seed) % 4;
		u32 count = next_random(seed) % 8 ? 1 : 1 + next_random(seed) % (4096 / size);
		struct hull_request request = request_of(next_random(seed) % 2, size, count, 0,
							 data);
		unsigned int spin;

		if (hull_channel_post(kernel, PORT, 0, size, i)) {
			head++;
			posts++;
		}
		EXPECT(kernel->posted_head == head);
		EXPECT(head - kernel->posted_tail <= ENTRIES);
		if (i % 4)
			continue;
		hull_channel_publish(kernel, &request, i);
		EXPECT(kernel->request_seq == ++seq);
		for (spin = 0; spin < 100 && !hull_channel_answered(kernel); spin++)
			;
		answers += spin < 100;
		EXPECT(!(hull_channel_value(kernel, size) & ~hull_size_mask(size)));
		hull_channel_payload(kernel, data, size * count);
		hull_channel_consumer_sleeps(kernel);
		hull_channel_set_vcpu_sleeps(kernel, i & 4);
		hull_channel_has_work(kernel);
		if (!(i % 1000))
			hull_channel_reattach(kernel, i);
		EXPECT(kernel->shared == shared && kernel->request_seq == seq);
	}
	printf("# hostile consumer: %u of %u posted, %u of %u requests answered\n", posts, rounds,
	       answers, seq);
	return true;
}

static bool test_hostile(void)
{
	struct hostile h = { .seed = seed_from_env() };
	struct fixture f;
	uint64_t seed = h.seed + 1;
	pthread_t thread;
	bool ok;

	setup(&f, -1);
	h.shared = f.shared;
	if (pthread_create(&thread, NULL, scribble, &h))
		return false;
	ok = survive(&f.kernel, f.shared, &seed);
	WRITE_ONCE(h.stop, true);
	pthread_join(thread, NULL);
	free(f.shared);
	return ok;
}

/* The library against a module that has gone mad, which another consumer process may play. */
static bool test_hostile_module(void)
{
	struct hostile h = { .seed = seed_from_env() };
	struct hull_posted posted;
	unsigned int i, rounds = long_mode() ? 5000000 : 100000;
	struct fixture f;
	pthread_t thread;
	bool ok = true;

	setup(&f, -1);
	h.shared = f.shared;
	if (pthread_create(&thread, NULL, scribble, &h))
		return false;
	for (i = 0; ok && i < rounds; i++) {
		const struct hull_mailbox *current = &f.consumer.current;

		if (hull_next(&f.consumer, &posted) != HULL_WORK_REQUEST)
			continue;
		ok = current->count && current->size * current->count <= HULL_PAYLOAD_SIZE;
		hull_answer(&f.consumer, i);
		hull_consumer_prepare(&f.consumer, 1);
		hull_consumer_awake(&f.consumer, 1);
	}
	WRITE_ONCE(h.stop, true);
	pthread_join(thread, NULL);
	free(f.shared);
	return ok;
}

int main(void)
{
	ktap_begin(8);
	ktap_result(test_posted(), "posted ring: order, full, wrapping counters");
	ktap_result(test_bad_tail(), "posted ring: words that cannot be");
	ktap_result(test_mailbox(), "mailbox: values, masks, payload");
	ktap_result(test_reattach(), "a successor finds the channel repaired");
	ktap_result(test_two_threads(), "two threads: order, no lost wake-up");
	ktap_result(test_hostile(), "a consumer that scribbles on every word");
	ktap_result(test_hostile_module(), "a module that scribbles on every word");
	ktap_result(test_ranges_fixed() && test_ranges_random(), "range table look-up");
	return ktap_end();
}
