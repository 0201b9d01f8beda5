// SPDX-License-Identifier: GPL-2.0
/*
 * virtio-net with several pairs of queues, over a network in memory with as many: commands of the
 * control queue, which pair frames come and go by, and drivers that know only one. The worker's
 * part is done here, by work().
 */
#include <linux/virtio_ids.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"
#include "virtio/net_ctrl.h"

#define BIT(feature)	(1ULL << (feature))
#define BASE		BIT(VIRTIO_F_VERSION_1)
#define CONTROLLED	(BASE | BIT(VIRTIO_NET_F_CTRL_VQ))
#define ALL		(CONTROLLED | BIT(VIRTIO_NET_F_MQ))

#define PAIRS		3
#define QUEUES		(2 * PAIRS + 1)
#define SIZE		8		/* of each */
#define AT(queue)	(BUFFERS + (queue) * 0x10000)

#define RECEIVE(pair)	(2 * (pair))
#define SEND(pair)	(2 * (pair) + 1)
#define CONTROL		(2 * PAIRS)

/* A queue of the network. */
static struct fake {
	struct net net;
	bool active, refuses;
	unsigned int changes;
	unsigned int waiting;		/* frames for the guest */
	unsigned int sent;
	bool gone;
} fake[PAIRS];

static struct virtio_device *device;
static struct driver driver[QUEUES];
static char line[512];
static unsigned int lines, destroyed;

static void on_line(const char *text)
{
	snprintf(line, sizeof(line), "%s", text);
	lines++;
}

/* ---- the network ---------------------------------------------------------------------------- */

static void fake_send(struct net *net, const struct iovec *iov, unsigned int count, size_t size)
{
	(void)iov;
	(void)count;
	EXPECT_EQ(60, size);
	((struct fake *)net)->sent++;
}

static ssize_t fake_receive(struct net *net, struct virtio_net_hdr_v1 *header, void *frame,
			    size_t room, struct failure *why)
{
	struct fake *queue = (struct fake *)net;

	EXPECT(queue->active && room >= 60);
	if (queue->gone)
		return fail(why, "it was unplugged");
	if (!queue->waiting) {
		event_drain(net->event);
		return 0;
	}
	queue->waiting--;
	memset(header, 0, sizeof(*header));
	memset(frame, 0x10 + (queue - fake), 60);
	return 60;
}

static int fake_set_active(struct net *net, bool active)
{
	struct fake *queue = (struct fake *)net;

	EXPECT(queue != fake && queue->active != active);
	if (queue->refuses)
		return -1;
	queue->active = active;
	queue->changes++;
	queue->waiting = 0;
	return 0;
}

static void fake_destroy(struct net *net)
{
	for (; net; net = net->next) {
		close(net->event);
		destroyed++;
	}
}

static void arrive(unsigned int pair)
{
	fake[pair].waiting++;
	event_signal(fake[pair].net.event);
}

/* ---- the device, and its worker's part ------------------------------------------------------ */

static void work(void)
{
	guest_work(device);
}

static void kick(unsigned int queue)
{
	event_signal(device->queue[queue].kick);
	work();
}

static void unplug(void)
{
	if (!device)
		return;
	virtio_stop(device);
	EXPECT(!fake[1].active && !fake[2].active);
	virtio_destroy(device);
	EXPECT_EQ(PAIRS, destroyed);
	device = NULL;
}

static void plug(void)
{
	static const struct net_ops ops = {
		.send = fake_send, .receive = fake_receive, .set_active = fake_set_active,
		.destroy = fake_destroy,
	};
	static const uint8_t mac[NET_MAC] = { 2, 0x11, 0x22, 0x33, 0x44, 0x55 };
	struct failure why;
	unsigned int i;

	unplug();
	machine_init();
	memset(fake, 0, sizeof(fake));
	for (i = 0; i < PAIRS; i++)
		fake[i].net = (struct net){
			.ops = &ops, .name = "fake", .event = event_create(),
			.next = i + 1 < PAIRS ? &fake[i + 1].net : NULL,
		};
	fake[0].active = true;
	notice_sink = on_line;
	lines = destroyed = 0;
	device = virtio_net_create(&fake[0].net, "net0", mac, &m.memory, &why);
	EXPECT(device);
	guest_plug(device);
}

static void begin(uint64_t features)
{
	unsigned int i;

	guest_begin(device, features);
	for (i = 0; i < QUEUES; i++)
		guest_queue(i, &driver[i], SIZE);
	guest_go(device);
	EXPECT_EQ(0x0f, status());
}

/* ---- the driver ----------------------------------------------------------------------------- */

/* Sends a command of @size bytes by @queue; its answer, or -1: none. */
static int command(unsigned int queue, const void *bytes, uint32_t size)
{
	const struct vring_used_elem *elem;
	uint8_t *answer = memory_at(&m.memory, AT(queue) + 256, 1);

	*answer = 0xff;
	EXPECT_EQ(0, memory_write(&m.memory, AT(queue), bytes, size));
	driver_desc(&driver[queue], 0, AT(queue), size, READ | NEXT, 1);
	driver_desc(&driver[queue], 1, AT(queue) + 256, 1, WRITE, 0);
	driver_post(&driver[queue], 0);
	kick(queue);
	elem = driver_used(&driver[queue]);
	if (!elem)
		return -1;
	EXPECT_EQ(1, elem->len);
	return *answer;
}

static int use_pairs(uint16_t pairs)
{
	return command(CONTROL, (uint8_t[]){ 4, 0, pairs & 0xff, pairs >> 8 }, 4);
}

/* Not in the second in which there were the most changes that are allowed. */
static void wait_a_second(void)
{
	struct timespec now, then;

	clock_gettime(CLOCK_MONOTONIC, &now);
	do {
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
		clock_gettime(CLOCK_MONOTONIC, &then);
	} while (then.tv_sec == now.tv_sec);
}

static void offer(unsigned int pair)
{
	unsigned int queue = RECEIVE(pair);

	driver_desc(&driver[queue], 0, AT(queue), 2000, WRITE, 0);
	driver_post(&driver[queue], 0);
	kick(queue);
}

/* A frame of @pair arrives by its own queue, and no other. */
static bool arrives(unsigned int pair)
{
	const struct vring_used_elem *elem;
	const uint8_t *data = memory_at(&m.memory, AT(RECEIVE(pair)), 2000);
	unsigned int i;

	arrive(pair);
	work();
	for (i = 0; i < PAIRS; i++)
		if (i != pair)
			EXPECT(!driver_used(&driver[RECEIVE(i)]));
	elem = driver_used(&driver[RECEIVE(pair)]);
	return elem && elem->len == NET_HEADER + 60 && data[NET_HEADER] == 0x10 + pair;
}

static void transmit(unsigned int pair)
{
	unsigned int queue = SEND(pair);

	memory_zero(&m.memory, AT(queue), 100);
	driver_desc(&driver[queue], 0, AT(queue), NET_HEADER + 60, READ, 0);
	driver_post(&driver[queue], 0);
	kick(queue);
	EXPECT(driver_used(&driver[queue]));
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void test_config(void)
{
	plug();
	EXPECT_EQ(ALL, offered() & (ALL | BIT(VIRTIO_NET_F_CTRL_RX) | BIT(VIRTIO_NET_F_RSS)));
	EXPECT_EQ(QUEUES, mem_read(common + VIRTIO_PCI_COMMON_NUMQ, 2));
	EXPECT_EQ(PAIRS, mem_read(config + 8, 2));
	EXPECT_EQ(0, mem_read(config + 10, 2));
}

static void test_pairs(void)
{
	unsigned int i;

	plug();
	begin(ALL);
	for (i = 0; i < PAIRS; i++)
		offer(i);
	/* One at first. */
	EXPECT(arrives(0));
	EXPECT(!fake[1].active && !fake[2].active);
	EXPECT_EQ(VIRTIO_NET_OK, use_pairs(3));
	EXPECT(fake[1].active && fake[2].active);
	EXPECT(arrives(2));
	EXPECT(arrives(1));
	for (i = 0; i < PAIRS; i++)
		transmit(i);
	EXPECT(fake[0].sent == 1 && fake[1].sent == 1 && fake[2].sent == 1);
	/* Nothing arrives by a pair that is no longer used; what it sends goes, all the same. */
	offer(0);
	offer(2);
	EXPECT_EQ(VIRTIO_NET_OK, use_pairs(2));
	EXPECT(fake[1].active && !fake[2].active);
	EXPECT(!arrives(2));
	transmit(2);
	EXPECT_EQ(2, fake[0].sent);
	EXPECT_EQ(1, fake[2].sent);
	EXPECT(arrives(0));
	/* Its buffer is still there. */
	EXPECT_EQ(VIRTIO_NET_OK, use_pairs(3));
	EXPECT(arrives(2));
	EXPECT_EQ(0, lines);
}

/* A frame that waits for a buffer of a pair that is put aside is lost, not later delivered. */
static void test_waiting(void)
{
	plug();
	begin(ALL);
	EXPECT_EQ(VIRTIO_NET_OK, use_pairs(2));
	arrive(1);
	work();
	EXPECT_EQ(VIRTIO_NET_OK, use_pairs(1));
	offer(1);
	EXPECT(!driver_used(&driver[RECEIVE(1)]));
	EXPECT_EQ(VIRTIO_NET_OK, use_pairs(2));
	EXPECT(!driver_used(&driver[RECEIVE(1)]));
	EXPECT(arrives(1));
}

static void test_reset(void)
{
	plug();
	begin(ALL);
	EXPECT_EQ(VIRTIO_NET_OK, use_pairs(3));
	begin(ALL);
	EXPECT(!fake[1].active && !fake[2].active);
	offer(0);
	offer(1);
	EXPECT(!arrives(1));
	EXPECT(arrives(0));
	EXPECT_EQ(VIRTIO_NET_OK, use_pairs(2));
	EXPECT(arrives(1));
}

static void test_refused(void)
{
	static const struct {
		uint8_t bytes[8];
		uint32_t size;
	} command_of[] = {
		{ { 4, 0, 0, 0 }, 4 },			/* none */
		{ { 4, 0, PAIRS + 1, 0 }, 4 },
		{ { 4, 0, 2, 1 }, 4 },			/* 258 */
		{ { 4, 0, 2 }, 3 },			/* cut short */
		{ { 4, 0 }, 2 },
		{ { 4, 1, 2, 0 }, 4 },			/* RSS */
		{ { 0, 0, 1 }, 3 },			/* promiscuous */
		{ { 1, 0, 0, 0, 0, 0 }, 6 },		/* MAC */
		{ { 2, 0, 1, 0 }, 4 },			/* VLAN */
		{ { 5, 0, 0, 0 }, 4 },			/* offloads */
		{ { 0xff, 0xff }, 2 },
	};
	unsigned int i;

	plug();
	begin(ALL);
	for (i = 0; i < sizeof(command_of) / sizeof(command_of[0]); i++)
		EXPECT_EQ(VIRTIO_NET_ERR,
			  command(CONTROL, command_of[i].bytes, command_of[i].size));
	EXPECT(!fake[1].active);
	/* The network does not do it: all or nothing. */
	fake[2].refuses = true;
	EXPECT_EQ(VIRTIO_NET_ERR, use_pairs(3));
	EXPECT(!fake[1].active);
	EXPECT_EQ(VIRTIO_NET_OK, use_pairs(2));
	fake[2].refuses = false;
	EXPECT_EQ(VIRTIO_NET_OK, use_pairs(3));
	EXPECT_EQ(0, lines);
	EXPECT_EQ(0x0f, status());
}

/* Each change is work for the host's network. */
static void test_many_changes(void)
{
	unsigned int i, refused = 0;

	plug();
	begin(ALL);
	wait_a_second();
	for (i = 0; i < 100; i++)
		refused += use_pairs(1 + i % 2) != VIRTIO_NET_OK;
	EXPECT(refused > 30);
	EXPECT(fake[1].changes < 40);
	/* What changes nothing always works. */
	wait_a_second();
	EXPECT_EQ(VIRTIO_NET_OK, use_pairs(3));
	for (i = 0; i < 100; i++)
		EXPECT_EQ(VIRTIO_NET_OK, use_pairs(3));
}

/* Without the feature the control queue is the third. */
static void test_one_pair(void)
{
	plug();
	begin(CONTROLLED);
	EXPECT_EQ(VIRTIO_NET_ERR, command(2, (uint8_t[]){ 4, 0, 2, 0 }, 4));
	EXPECT_EQ(-1, command(CONTROL, (uint8_t[]){ 4, 0, 2, 0 }, 4));
	EXPECT_EQ(0, lines);
	offer(0);
	EXPECT(arrives(0));
	begin(BASE);
	EXPECT_EQ(-1, command(CONTROL, (uint8_t[]){ 4, 0, 2, 0 }, 4));
	offer(0);
	EXPECT(arrives(0));
	transmit(0);
	EXPECT_EQ(0x0f, status());
	EXPECT(!fake[1].active);
}

static void break_by(uint32_t size, unsigned int flags, const char *why)
{
	plug();
	begin(ALL);
	memory_zero(&m.memory, AT(CONTROL), 512);
	driver_desc(&driver[CONTROL], 0, AT(CONTROL), size, flags, 1);
	driver_desc(&driver[CONTROL], 1, AT(CONTROL) + 256, 1, WRITE, 0);
	driver_post(&driver[CONTROL], 0);
	kick(CONTROL);
	EXPECT_EQ(0x4f, status());
	EXPECT_EQ(1, lines);
	EXPECT(strstr(line, why));
	EXPECT(!driver_used(&driver[CONTROL]));
	begin(ALL);
	EXPECT_EQ(VIRTIO_NET_OK, use_pairs(2));
}

static void test_broken(void)
{
	break_by(1, READ | NEXT, "a command is too short");
	break_by(4, WRITE, "a command is too short");
	break_by(4, READ, "a command has no room for its answer");
}

static void test_gone(void)
{
	plug();
	begin(ALL);
	EXPECT_EQ(VIRTIO_NET_OK, use_pairs(3));
	fake[0].gone = fake[1].gone = fake[2].gone = true;
	arrive(1);
	arrive(2);
	work();
	EXPECT_EQ(1, lines);
	EXPECT(strstr(line, "net0: its network has gone: it was unplugged"));
	EXPECT_EQ(0, mem_read(config + 6, 2));
	transmit(1);
}

static const struct test tests[] = {
	{ "configuration and features", test_config },
	{ "as many pairs are used as the driver says", test_pairs },
	{ "a frame that waits in a pair that is put aside", test_waiting },
	{ "after a reset it is one again", test_reset },
	{ "commands that there are not", test_refused },
	{ "a driver that changes its mind all the time", test_many_changes },
	{ "drivers that know one pair only", test_one_pair },
	{ "chains that are no commands break the device", test_broken },
	{ "a network that goes", test_gone },
};

int main(void)
{
	int ret = RUN_TESTS(tests);

	unplug();
	return ret;
}
