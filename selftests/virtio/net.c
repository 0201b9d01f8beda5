// SPDX-License-Identifier: GPL-2.0
/*
 * virtio-net over a network in memory: it keeps what is sent, and gives the frames a test puts into
 * it. The device has its worker; the guest polls.
 */
#include <errno.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"
#include "virtio/net.h"

#define BASE		(1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_F_RING_RESET |	\
			 1ULL << VIRTIO_RING_F_INDIRECT_DESC)
#define MERGED		(BASE | 1ULL << VIRTIO_NET_F_MRG_RXBUF)
#define SEND_OFFLOADS	(1ULL << VIRTIO_NET_F_CSUM | 1ULL << VIRTIO_NET_F_HOST_TSO4 |	\
			 1ULL << VIRTIO_NET_F_HOST_TSO6)
#define RECEIVE_OFFLOADS (1ULL << VIRTIO_NET_F_GUEST_CSUM | 1ULL << VIRTIO_NET_F_GUEST_TSO4 |	\
			  1ULL << VIRTIO_NET_F_GUEST_TSO6)
#define ALL_OFFLOADS	(NET_CSUM | NET_TSO4 | NET_TSO6)

#define RECEIVE		NET_QUEUE_RECEIVE
#define SEND		NET_QUEUE_SEND

struct frame {
	struct virtio_net_hdr_v1 header;
	size_t size;
	uint8_t data[NET_FRAME_MAX];
};

static struct fake {
	struct net net;
	pthread_mutex_t lock;
	struct frame sent, waiting[8];
	unsigned int sends, count, next;
	unsigned int receives;		/* calls */
	unsigned int offloads;
	bool gone, destroyed;
} fake;

static struct virtio_device *device;
static struct driver driver[NET_QUEUES];
static char line[512];
static atomic_uint lines;

static void on_line(const char *text)
{
	snprintf(line, sizeof(line), "%s", text);
	atomic_fetch_add(&lines, 1);
}

static void pause_ms(unsigned int ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

/* ---- the network ---------------------------------------------------------------------------- */

static void fake_set_offloads(struct net *net, unsigned int offloads)
{
	(void)net;
	fake.offloads = offloads;
}

static void fake_send(struct net *net, const struct iovec *iov, unsigned int count, size_t size)
{
	size_t done = 0;
	unsigned int i;

	(void)net;
	pthread_mutex_lock(&fake.lock);
	EXPECT_EQ(NET_HEADER, iov[0].iov_len);
	memcpy(&fake.sent.header, iov[0].iov_base, NET_HEADER);
	for (i = 1; i < count; done += iov[i++].iov_len)
		memcpy(fake.sent.data + done, iov[i].iov_base, iov[i].iov_len);
	EXPECT_EQ(size, done);
	fake.sent.size = size;
	fake.sends++;
	pthread_mutex_unlock(&fake.lock);
}

static ssize_t fake_receive(struct net *net, struct virtio_net_hdr_v1 *header, void *frame,
			    size_t room, struct failure *why)
{
	ssize_t size = 0;

	(void)net;
	pthread_mutex_lock(&fake.lock);
	fake.receives++;
	if (fake.gone) {
		size = fail(why, "it was unplugged");
	} else if (fake.next == fake.count) {
		event_drain(fake.net.event);
	} else {
		const struct frame *from = &fake.waiting[fake.next++ % 8];

		EXPECT(from->size <= room);
		size = from->size;
		*header = from->header;
		memcpy(frame, from->data, size);
	}
	pthread_mutex_unlock(&fake.lock);
	return size;
}

static void fake_destroy(struct net *net)
{
	(void)net;
	close(fake.net.event);
	fake.destroyed = true;
}

/* A frame for the guest: byte i of it is @n + i * 7. */
static void arrive(uint8_t n, size_t size, const struct virtio_net_hdr_v1 *header)
{
	struct frame *frame;
	size_t i;

	pthread_mutex_lock(&fake.lock);
	frame = &fake.waiting[fake.count++ % 8];
	memset(&frame->header, 0, sizeof(frame->header));
	if (header)
		frame->header = *header;
	frame->size = size;
	for (i = 0; i < size; i++)
		frame->data[i] = n + i * 7;
	pthread_mutex_unlock(&fake.lock);
	event_signal(fake.net.event);
}

static uint64_t cpu_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static unsigned int receives(void)
{
	unsigned int calls;

	pthread_mutex_lock(&fake.lock);
	calls = fake.receives;
	pthread_mutex_unlock(&fake.lock);
	return calls;
}

/* Soon nobody runs, and the network is not asked: a worker that is busy always is. */
static void expect_idle(void)
{
	unsigned int calls, i;
	uint64_t before;

	for (i = 0; i < 50; i++) {
		calls = receives();
		before = cpu_ms();
		pause_ms(60);
		if (calls == receives() && cpu_ms() - before < 20)
			return;
	}
	EXPECT(!"the worker is busy");
}

/* ---- the driver ----------------------------------------------------------------------------- */

#define HEADER		0x100000
#define DATA		0x200000

static void unplug(void)
{
	if (!device)
		return;
	virtio_stop(device);
	virtio_destroy(device);
	EXPECT(fake.destroyed);
	device = NULL;
}

static void begin(uint64_t features, uint16_t size)
{
	unsigned int i;

	set_status(3);
	accept_features(features);
	set_status(0x0b);
	for (i = 0; i < NET_QUEUES; i++)
		guest_queue(i, &driver[i], size);
	set_status(0x0f);
	EXPECT_EQ(0x0f, status());
}

static void start(unsigned int offloads, uint64_t features, uint16_t size)
{
	static const struct net_ops ops = {
		.set_offloads = fake_set_offloads, .send = fake_send, .receive = fake_receive,
		.destroy = fake_destroy,
	};
	static const uint8_t mac[NET_MAC] = { 2, 0x11, 0x22, 0x33, 0x44, 0x55 };
	struct failure why;

	unplug();
	machine_init();
	memset(&fake, 0, sizeof(fake));
	pthread_mutex_init(&fake.lock, NULL);
	fake.net = (struct net){
		.ops = &ops, .name = "fake", .offloads = offloads, .event = event_create(),
	};
	notice_sink = on_line;
	atomic_store(&lines, 0);
	device = virtio_net_create(&fake.net, "net0", mac, &m.memory, &why);
	EXPECT(device);
	guest_plug(device);
	EXPECT_EQ(0, virtio_start(device, &why));
	begin(features, size);
}

static void kick(unsigned int queue)
{
	mem_write(notify + queue * notify_step, queue, 2);
}

static const struct vring_used_elem *wait_used(unsigned int queue)
{
	const struct vring_used_elem *elem = NULL;
	unsigned int i;

	for (i = 0; i < 20000 && !elem; i++) {
		elem = driver_used(&driver[queue]);
		if (!elem)
			nanosleep(&(struct timespec){ .tv_nsec = 500000 }, NULL);
	}
	EXPECT(elem);
	return elem;
}

/* Sends a frame of @size, its bytes being i * 3, as header and data; true: it was given back. */
static bool transmit(const struct virtio_net_hdr_v1 *header, size_t size)
{
	const struct vring_used_elem *elem;
	uint8_t *data = memory_at(&m.memory, DATA, size ? size : 1);
	size_t i;

	memory_zero(&m.memory, HEADER, NET_HEADER);
	if (header)
		memory_write(&m.memory, HEADER, header, NET_HEADER);
	for (i = 0; i < size; i++)
		data[i] = i * 3;
	driver_desc(&driver[SEND], 0, HEADER, NET_HEADER, size ? NEXT : 0, 1);
	driver_desc(&driver[SEND], 1, DATA, size, READ, 0);
	driver_post(&driver[SEND], 0);
	kick(SEND);
	elem = wait_used(SEND);
	if (elem)
		EXPECT_EQ(0, elem->len);
	return elem;
}

static unsigned int sent(void)
{
	unsigned int sends;

	pthread_mutex_lock(&fake.lock);
	sends = fake.sends;
	pthread_mutex_unlock(&fake.lock);
	return sends;
}

/* Makes buffer @n of @size available, at DATA + n * 0x20000. */
static void post_buffer(unsigned int n, uint32_t size)
{
	memory_zero(&m.memory, DATA + n * 0x20000, size);
	driver_desc(&driver[RECEIVE], n, DATA + n * 0x20000, size, WRITE, 0);
	driver_post(&driver[RECEIVE], n);
}

static const struct virtio_net_hdr_v1 *received(unsigned int n)
{
	return memory_at(&m.memory, DATA + n * 0x20000, NET_HEADER);
}

/* Are the bytes of buffer @n those of frame @frame from @from on? */
static bool same(unsigned int n, size_t skip, uint8_t frame, size_t from, size_t size)
{
	const uint8_t *data = memory_at(&m.memory, DATA + n * 0x20000 + skip, size);
	size_t i;

	for (i = 0; i < size; i++)
		if (data[i] != (uint8_t)(frame + (from + i) * 7))
			return false;
	return true;
}

static void expect_needs_reset(const char *why)
{
	unsigned int i;

	for (i = 0; i < 20000 && !(status() & VIRTIO_CONFIG_S_NEEDS_RESET); i++)
		nanosleep(&(struct timespec){ .tv_nsec = 500000 }, NULL);
	EXPECT(status() & VIRTIO_CONFIG_S_NEEDS_RESET);
	EXPECT_EQ(1, lines);
	EXPECT(strstr(line, why));
	EXPECT(!driver_used(&driver[SEND]));
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void test_config(void)
{
	start(0, BASE, 64);
	EXPECT_EQ(0x0001554433221102ULL, mem_read(config, 8));
	EXPECT_EQ(0, mem_read(config + 8, 4));
	EXPECT_EQ(0, offered() & (SEND_OFFLOADS | RECEIVE_OFFLOADS));
	EXPECT(offered() & 1ULL << VIRTIO_NET_F_MAC);
	EXPECT(offered() & 1ULL << VIRTIO_NET_F_STATUS);
	EXPECT(!(offered() & (1ULL << VIRTIO_NET_F_CTRL_VQ | 1ULL << VIRTIO_NET_F_MQ)));
	start(NET_CSUM | NET_TSO4, BASE, 64);
	EXPECT(offered() & 1ULL << VIRTIO_NET_F_HOST_TSO4);
	EXPECT(!(offered() & 1ULL << VIRTIO_NET_F_GUEST_TSO6));
	start(ALL_OFFLOADS, BASE | RECEIVE_OFFLOADS, 64);
	EXPECT_EQ(RECEIVE_OFFLOADS | SEND_OFFLOADS,
		  offered() & (SEND_OFFLOADS | RECEIVE_OFFLOADS));
	EXPECT(transmit(NULL, 60));
	EXPECT_EQ(ALL_OFFLOADS, fake.offloads);
	/* Segments without checksums cannot be. */
	start(ALL_OFFLOADS, BASE | 1ULL << VIRTIO_NET_F_GUEST_TSO4, 64);
	EXPECT(transmit(NULL, 60));
	EXPECT_EQ(0, fake.offloads);
}

static void test_send(void)
{
	static const size_t sizes[] = { NET_FRAME_MIN, 60, 1514, NET_FRAME_MAX };
	unsigned int i;
	size_t at;

	start(0, BASE, 64);
	for (i = 0; i < 4; i++) {
		EXPECT(transmit(NULL, sizes[i]));
		EXPECT_EQ(i + 1, sent());
		EXPECT_EQ(sizes[i], fake.sent.size);
		for (at = 0; at < sizes[i] && fake.sent.data[at] == (uint8_t)(at * 3); at++)
			;
		EXPECT_EQ(sizes[i], at);
	}
	EXPECT_EQ(0, lines);
}

/* In one buffer, and in buffers that divide header and frame anywhere. */
static void test_pieces(void)
{
	start(0, BASE, 64);
	memory_zero(&m.memory, HEADER, 0x1000);
	memset(memory_at(&m.memory, HEADER + NET_HEADER, 100), 0x5a, 100);
	driver_desc(&driver[SEND], 0, HEADER, NET_HEADER + 100, READ, 0);
	driver_post(&driver[SEND], 0);
	kick(SEND);
	EXPECT(wait_used(SEND));
	EXPECT_EQ(100, fake.sent.size);
	EXPECT_EQ(0x5a, fake.sent.data[99]);
	driver_desc(&driver[SEND], 1, HEADER, 5, NEXT, 2);
	driver_desc(&driver[SEND], 2, HEADER + 5, 10, NEXT, 3);
	driver_desc(&driver[SEND], 3, HEADER + 15, 1, NEXT, 4);
	driver_desc(&driver[SEND], 4, HEADER + 16, 56, READ, 0);
	driver_post(&driver[SEND], 1);
	kick(SEND);
	EXPECT(wait_used(SEND));
	EXPECT_EQ(60, fake.sent.size);
	EXPECT_EQ(0x5a, fake.sent.data[0]);
	EXPECT_EQ(0x5a, fake.sent.data[59]);
	EXPECT_EQ(2, sent());
}

static void test_offloads(void)
{
	struct virtio_net_hdr_v1 header = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM | 0x80, .csum_start = 34, .csum_offset = 16,
		.num_buffers = 7,
	};

	start(ALL_OFFLOADS, BASE | SEND_OFFLOADS, 64);
	EXPECT(transmit(&header, 100));
	EXPECT_EQ(VIRTIO_NET_HDR_F_NEEDS_CSUM, fake.sent.header.flags);
	EXPECT_EQ(34, fake.sent.header.csum_start);
	EXPECT_EQ(0, fake.sent.header.num_buffers);
	/* The checksum's last byte is the frame's. */
	EXPECT(transmit(&header, 52));
	EXPECT_EQ(2, sent());
	EXPECT(transmit(&header, 51));
	EXPECT_EQ(2, sent());
	header.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	header.gso_size = 1448;
	header.hdr_len = 3;
	EXPECT(transmit(&header, 40000));
	EXPECT_EQ(3, sent());
	EXPECT_EQ(54, fake.sent.header.hdr_len);
	EXPECT_EQ(1448, fake.sent.header.gso_size);
	/* What is not used is not passed on. */
	memset(&header, 0xff, sizeof(header));
	header.flags = 0;
	header.gso_type = 0;
	EXPECT(transmit(&header, 60));
	EXPECT_EQ(4, sent());
	EXPECT_EQ(0, fake.sent.header.hdr_len | fake.sent.header.gso_size |
		  fake.sent.header.csum_start | fake.sent.header.csum_offset);
}

/* Frames that cannot be are dropped, and the device goes on. */
static void test_dropped(void)
{
	const struct virtio_net_hdr_v1 good = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_HDR_GSO_TCPV6,
		.hdr_len = 74, .gso_size = 1428, .csum_start = 54, .csum_offset = 16,
	};
	struct virtio_net_hdr_v1 header[] = {
		good, good, good, good, good, good, good, good, good,
	};
	unsigned int i;

	start(ALL_OFFLOADS, BASE | SEND_OFFLOADS, 64);
	EXPECT(transmit(&good, 3000));
	EXPECT_EQ(1, sent());
	header[0].csum_start = 2990;
	header[1].csum_start = 0xffff;
	header[2].csum_start = 13;
	header[3].csum_offset = 6;
	header[4].csum_offset = 0xffff;
	header[5].gso_size = 0;
	header[6].gso_size = 7;
	header[7].flags = 0;
	header[8].hdr_len = 3001;
	for (i = 0; i < 9; i++) {
		EXPECT(transmit(&header[i], 3000));
		EXPECT_EQ(1, sent());
	}
	EXPECT(strstr(line, "net0: a frame of the guest was dropped"));
	EXPECT(transmit(NULL, 0));
	EXPECT(transmit(NULL, NET_FRAME_MIN - 1));
	EXPECT(transmit(NULL, NET_FRAME_MAX + 1));
	EXPECT(transmit(NULL, 1 << 20));
	EXPECT_EQ(1, sent());
	/* Not more than some lines a minute. */
	EXPECT_EQ(5, lines);
	EXPECT(transmit(&good, 3000));
	EXPECT_EQ(2, sent());
	EXPECT_EQ(0x0f, status());
}

static void refuse(uint64_t features, const struct virtio_net_hdr_v1 *header, const char *why)
{
	start(ALL_OFFLOADS, features, 64);
	memory_write(&m.memory, HEADER, header, NET_HEADER);
	driver_desc(&driver[SEND], 0, HEADER, NET_HEADER + 3000, READ, 0);
	driver_post(&driver[SEND], 0);
	kick(SEND);
	expect_needs_reset(why);
	EXPECT_EQ(0, sent());
}

/* What no correct driver does breaks the device. */
static void test_broken(void)
{
	struct virtio_net_hdr_v1 header = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16,
	};
	const uint64_t no_tso6 = BASE | (SEND_OFFLOADS & ~(1ULL << VIRTIO_NET_F_HOST_TSO6));

	refuse(BASE, &header, "a checksum is left to do");
	refuse(BASE | 1ULL << VIRTIO_NET_F_HOST_TSO4, &header, "a checksum is left to do");
	header.gso_size = 1448;
	header.gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
	refuse(no_tso6, &header, "segments are left to make");
	header.gso_type = VIRTIO_NET_HDR_GSO_UDP;
	refuse(BASE | SEND_OFFLOADS, &header, "segments are left to make");
	header.gso_type = VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN;
	refuse(BASE | SEND_OFFLOADS, &header, "segments are left to make");
	start(0, BASE, 64);
	driver_desc(&driver[SEND], 0, HEADER, NET_HEADER - 1, READ, 0);
	driver_post(&driver[SEND], 0);
	kick(SEND);
	expect_needs_reset("no header");
	start(0, BASE, 64);
	driver_desc(&driver[SEND], 0, HEADER, 100, NEXT, 1);
	driver_desc(&driver[SEND], 1, DATA, 100, WRITE, 0);
	driver_post(&driver[SEND], 0);
	kick(SEND);
	expect_needs_reset("buffers to be written");
	/* A reset makes it good. */
	set_status(0);
	begin(BASE, 64);
	EXPECT(transmit(NULL, 60));
	EXPECT_EQ(1, sent());
}

static void test_receive(void)
{
	const struct vring_used_elem *elem;

	start(0, BASE, 64);
	post_buffer(0, 1526);
	post_buffer(1, 1526);
	kick(RECEIVE);
	arrive(5, 60, NULL);
	elem = wait_used(RECEIVE);
	if (elem)
		EXPECT_EQ(NET_HEADER + 60, elem->len);
	EXPECT(same(0, NET_HEADER, 5, 0, 60));
	EXPECT_EQ(1, received(0)->num_buffers);
	/* One that does not fit is lost; the next one takes its buffer. */
	arrive(6, 1515, NULL);
	arrive(7, 1514, NULL);
	elem = wait_used(RECEIVE);
	if (elem)
		EXPECT_EQ(1526, elem->len);
	EXPECT(same(1, NET_HEADER, 7, 0, 1514));
	EXPECT_EQ(0, lines);
}

static void test_merged(void)
{
	const struct vring_used_elem *elem;
	unsigned int i;
	uint16_t seen;

	start(0, MERGED, 64);
	for (i = 0; i < 6; i++)
		post_buffer(i, 1500);
	kick(RECEIVE);
	arrive(1, 5000, NULL);
	/* The driver gets all of them at once. */
	do {
		seen = __atomic_load_n(&driver[RECEIVE].used->idx, __ATOMIC_ACQUIRE);
	} while (!seen);
	EXPECT_EQ(4, seen);
	EXPECT_EQ(4, received(0)->num_buffers);
	EXPECT(same(0, NET_HEADER, 1, 0, 1488));
	EXPECT(same(1, 0, 1, 1488, 1500));
	EXPECT(same(2, 0, 1, 2988, 1500));
	EXPECT(same(3, 0, 1, 4488, 512));
	for (i = 0; i < 4; i++) {
		elem = wait_used(RECEIVE);
		EXPECT(elem && elem->id == i && elem->len == (i == 3 ? 512 : 1500));
	}
	arrive(2, 1488, NULL);
	elem = wait_used(RECEIVE);
	EXPECT(elem && elem->id == 4 && elem->len == 1500);
	EXPECT_EQ(1, received(4)->num_buffers);
	/* The longest, in one. */
	post_buffer(7, NET_FRAME_MAX);
	kick(RECEIVE);
	arrive(3, NET_FRAME_MAX, NULL);
	elem = wait_used(RECEIVE);
	EXPECT(elem && elem->id == 5 && elem->len == 1500);
	elem = wait_used(RECEIVE);
	EXPECT(elem && elem->id == 7 && elem->len == NET_FRAME_MAX - 1488);
	EXPECT(same(7, 0, 3, 1488, NET_FRAME_MAX - 1488));
}

/* Without buffers frames wait, and nobody is busy. */
static void test_no_buffers(void)
{
	unsigned int i;

	start(0, MERGED, 64);
	for (i = 0; i < 5; i++)
		arrive(10 + i, 100 + i, NULL);
	expect_idle();
	/* Too few: the frame still waits. */
	post_buffer(0, 50);
	kick(RECEIVE);
	expect_idle();
	EXPECT(!driver_used(&driver[RECEIVE]));
	for (i = 1; i < 6; i++)
		post_buffer(i, 1526);
	kick(RECEIVE);
	for (i = 0; i < 6; i++)
		EXPECT(wait_used(RECEIVE));
	EXPECT_EQ(2, received(0)->num_buffers);
	EXPECT(same(0, NET_HEADER, 10, 0, 38));
	EXPECT(same(1, 0, 10, 38, 62));
	for (i = 2; i < 6; i++)
		EXPECT(same(i, NET_HEADER, 9 + i, 0, 99 + i));
}

static void test_tiny_buffers(void)
{
	const struct vring_used_elem *elem;
	unsigned int i;

	/* All the driver has are not enough for the first; two of them are, for the second. */
	start(0, MERGED, 4);
	for (i = 0; i < 4; i++)
		post_buffer(i, 16);
	kick(RECEIVE);
	arrive(1, 100, NULL);
	arrive(2, 20, NULL);
	for (i = 0; i < 2; i++) {
		elem = wait_used(RECEIVE);
		EXPECT(elem && elem->id == i && elem->len == 16);
	}
	EXPECT_EQ(2, received(0)->num_buffers);
	EXPECT(same(0, NET_HEADER, 2, 0, 4) && same(1, 0, 2, 4, 16));
	/* Those that were taken for the first are used in their order. */
	arrive(3, 18, NULL);
	for (i = 2; i < 4; i++) {
		elem = wait_used(RECEIVE);
		EXPECT(elem && elem->id == i);
	}
	EXPECT(same(2, NET_HEADER, 3, 0, 4) && same(3, 0, 3, 4, 14));
	EXPECT_EQ(0, lines);
	/* No room for a header, or for a byte behind it; parts to be read. */
	start(0, MERGED, 64);
	post_buffer(0, NET_HEADER);
	kick(RECEIVE);
	arrive(1, 60, NULL);
	expect_needs_reset("no room");
	start(0, BASE, 64);
	driver_desc(&driver[RECEIVE], 0, HEADER, 12, NEXT, 1);
	driver_desc(&driver[RECEIVE], 1, DATA, 2000, WRITE, 0);
	driver_post(&driver[RECEIVE], 0);
	kick(RECEIVE);
	arrive(1, 60, NULL);
	expect_needs_reset("parts to be read");
}

static void test_reset(void)
{
	const struct vring_used_elem *elem;

	/* A frame waits, and has one buffer of two. */
	start(0, MERGED, 64);
	post_buffer(0, 50);
	kick(RECEIVE);
	arrive(1, 100, NULL);
	pause_ms(10);
	set_status(0);
	EXPECT_EQ(0, status());
	memset(memory_at(&m.memory, DATA, 50), 0xee, 50);
	begin(BASE, 16);
	EXPECT_EQ(0xee, *(uint8_t *)memory_at(&m.memory, DATA, 1));
	post_buffer(3, 1526);
	kick(RECEIVE);
	arrive(2, 60, NULL);
	elem = wait_used(RECEIVE);
	EXPECT(elem && elem->id == 3);
	EXPECT(same(3, NET_HEADER, 2, 0, 60));
	/* A queue alone, with the frame waiting. */
	arrive(3, 60, NULL);
	pause_ms(10);
	select_queue(RECEIVE);
	mem_write(common + COMMON_Q_RESET, 1, 2);
	EXPECT_EQ(0, mem_read(common + COMMON_Q_RESET, 2));
	EXPECT(transmit(NULL, 60));
	guest_queue(RECEIVE, &driver[RECEIVE], 16);
	post_buffer(0, 1526);
	kick(RECEIVE);
	arrive(4, 61, NULL);
	EXPECT(wait_used(RECEIVE));
	EXPECT(same(0, NET_HEADER, 4, 0, 61));
	/* Frames that come while nobody listens make nobody busy. */
	set_status(0);
	arrive(5, 60, NULL);
	expect_idle();
}

/* What the driver did not agree to is not delivered. */
static void test_undeliverable(void)
{
	const struct virtio_net_hdr_v1 checksum = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16,
	}, valid = { .flags = VIRTIO_NET_HDR_F_DATA_VALID }, segments = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 1448, .hdr_len = 54,
	};

	start(ALL_OFFLOADS, MERGED, 64);
	post_buffer(0, 1526);
	post_buffer(1, 1526);
	kick(RECEIVE);
	arrive(1, 100, &checksum);
	arrive(2, 100, &segments);
	arrive(3, NET_FRAME_MIN - 1, NULL);
	arrive(4, 100, &valid);
	EXPECT(wait_used(RECEIVE));
	EXPECT(same(0, NET_HEADER, 4, 0, 100));
	EXPECT_EQ(0, received(0)->flags);
	EXPECT(!driver_used(&driver[RECEIVE]));
	start(ALL_OFFLOADS, MERGED | RECEIVE_OFFLOADS, 64);
	post_buffer(0, 1526);
	post_buffer(1, 65562);
	kick(RECEIVE);
	arrive(1, 100, &valid);
	arrive(2, 30000, &segments);
	EXPECT(wait_used(RECEIVE));
	EXPECT_EQ(VIRTIO_NET_HDR_F_DATA_VALID, received(0)->flags);
	EXPECT(wait_used(RECEIVE));
	EXPECT_EQ(VIRTIO_NET_HDR_GSO_TCPV4, received(1)->gso_type);
	EXPECT_EQ(1448, received(1)->gso_size);
}

static void test_gone(void)
{
	unsigned int i;

	start(0, BASE, 64);
	post_buffer(0, 1526);
	kick(RECEIVE);
	pthread_mutex_lock(&fake.lock);
	fake.gone = true;
	pthread_mutex_unlock(&fake.lock);
	event_signal(fake.net.event);
	for (i = 0; i < 5000 && mem_read(config + 6, 2); i++)
		pause_ms(1);
	EXPECT_EQ(0, mem_read(config + 6, 2));
	EXPECT_EQ(2, mem_read(isr, 1));
	EXPECT_EQ(1, lines);
	EXPECT(strstr(line, "net0: its network has gone: it was unplugged"));
	expect_idle();
	EXPECT(transmit(NULL, 60));
}

static const struct test tests[] = {
	{ "configuration and features", test_config },
	{ "frames are sent", test_send },
	{ "a frame in pieces", test_pieces },
	{ "checksums and segments left to do", test_offloads },
	{ "frames that cannot be are dropped", test_dropped },
	{ "what breaks the device", test_broken },
	{ "frames are received", test_receive },
	{ "a frame in several buffers", test_merged },
	{ "frames wait for buffers", test_no_buffers },
	{ "tiny buffers", test_tiny_buffers },
	{ "a reset in the middle", test_reset },
	{ "frames the driver cannot take", test_undeliverable },
	{ "a network that goes", test_gone },
};

int main(void)
{
	int ret = RUN_TESTS(tests);

	unplug();
	return ret;
}
