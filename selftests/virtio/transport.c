// SPDX-License-Identifier: GPL-2.0
/*
 * virtio over PCI as a driver sees it: features, status, queues and what must not be done to them,
 * resets, interrupts, doorbells that follow the BAR; then a million random accesses, and a worker.
 */
#include <linux/virtio_ids.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

#define QUEUES		3
#define BASE		(1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_F_RING_RESET)
#define MAGIC		5	/* a feature of the test's device */

/* A device that gives back what it gets, and counts what is asked of it. */
struct echo {
	struct virtio_device device;
	struct {
		uint32_t constant;
		uint16_t writable;
		uint8_t last;
	} __attribute__((packed)) config;
	unsigned int starts, stops, drains, kicks, written;
};

static struct echo *echo;
static char line[512];
static unsigned int lines;

static void on_line(const char *text)
{
	snprintf(line, sizeof(line), "%s", text);
	lines++;
}

static void echo_start(struct virtio_device *device)
{
	((struct echo *)device)->starts++;
}

static void echo_kick(struct virtio_device *device, unsigned int index)
{
	struct virtio_queue *queue = &device->queue[index];
	struct chain chain;

	((struct echo *)device)->kicks++;
	while (virtio_take(queue, &chain)) {
		chain_write(&chain, 0, "echo", 4);
		virtio_give(queue, &chain, 4);
	}
	virtio_signal(queue);
}

static void echo_drain(struct virtio_device *device, unsigned int index)
{
	struct chain chain;

	((struct echo *)device)->drains++;
	/* Nothing is taken any more. */
	EXPECT(!virtio_take(&device->queue[index], &chain));
}

static void echo_stop(struct virtio_device *device)
{
	((struct echo *)device)->stops++;
}

static void echo_destroy(struct virtio_device *device)
{
	free(device);
}

static void echo_written(struct virtio_device *device, unsigned int offset, unsigned int size)
{
	EXPECT(offset >= 4 && offset + size <= 6);
	((struct echo *)device)->written++;
}

static const struct virtio_ops ops = {
	.start = echo_start, .kick = echo_kick, .drain = echo_drain, .stop = echo_stop,
	.destroy = echo_destroy, .config_written = echo_written,
	.config_writable = { 4, 2 },
};

static void plug(void)
{
	struct failure why;

	if (echo)
		virtio_destroy(&echo->device);
	machine_init();
	lines = 0;
	notice_sink = on_line;
	echo = calloc(1, sizeof(*echo));
	echo->device.ops = &ops;
	echo->device.name = "echo";
	echo->device.type = VIRTIO_ID_BLOCK;
	echo->device.offered = VIRTIO_COMMON_FEATURES | 1ULL << MAGIC;
	echo->device.queues = QUEUES;
	echo->device.config = &echo->config;
	echo->device.config_size = sizeof(echo->config);
	echo->device.queue[1].size_max = 16;
	echo->config.constant = 0x12345678;
	echo->config.last = 0x77;
	EXPECT_EQ(0, virtio_create(&echo->device, &m.memory, &why));
	guest_plug(&echo->device);
}

static struct driver driver;

static void start(uint64_t features)
{
	guest_begin(&echo->device, features);
	guest_queue(0, &driver, 8);
	driver.setup.event_index = features >> VIRTIO_RING_F_EVENT_IDX & 1;
	guest_go(&echo->device);
	EXPECT_EQ(0x0f, status());
}

/* As the worker, when the eventfd was signalled. */
static bool kicked(unsigned int index)
{
	struct virtio_queue *queue = &echo->device.queue[index];
	uint64_t count;

	if (read(queue->kick, &count, 8) != 8)
		return false;
	if (queue->live)
		echo_kick(&echo->device, index);
	return true;
}

static void post(unsigned int count)
{
	for (; count; count--) {
		driver_desc(&driver, 0, BUFFERS, 16, WRITE, 0);
		driver_post(&driver, 0);
		mem_write(notify, 0, 2);
		EXPECT(kicked(0));
	}
}

static void test_found(void)
{
	plug();
	EXPECT_EQ(0x3e, guest_find());
	EXPECT_EQ(0x10421af4, cfg_read(SLOT, 0, 4));
	EXPECT_EQ(1, cfg_read(SLOT, PCI_REVISION_ID, 1));
	EXPECT_EQ(QUEUES, mem_read(common + VIRTIO_PCI_COMMON_NUMQ, 2));
	EXPECT_EQ(VIRTIO_COMMON_FEATURES | 1ULL << MAGIC, offered());
	mem_write(common + VIRTIO_PCI_COMMON_DFSELECT, 2, 4);
	EXPECT_EQ(0, mem_read(common + VIRTIO_PCI_COMMON_DF, 4));
	select_queue(0);
	EXPECT_EQ(QUEUE_SIZE_MAX, mem_read(common + VIRTIO_PCI_COMMON_Q_SIZE, 2));
	select_queue(1);
	EXPECT_EQ(16, mem_read(common + VIRTIO_PCI_COMMON_Q_SIZE, 2));
	EXPECT_EQ(1, mem_read(common + VIRTIO_PCI_COMMON_Q_NOFF, 2));
	/* There is no such queue: its size says so, and writes go nowhere. */
	select_queue(QUEUES);
	EXPECT_EQ(0, mem_read(common + VIRTIO_PCI_COMMON_Q_SIZE, 2));
	mem_write(common + VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
	mem_write(common + VIRTIO_PCI_COMMON_Q_DESCLO, 0x1000, 4);
	mem_write(common + COMMON_Q_RESET, 1, 2);
	select_queue(0xffff);
	EXPECT_EQ(0, mem_read(common + VIRTIO_PCI_COMMON_Q_ENABLE, 2));
	EXPECT_EQ(0, mem_read(common + 0x100, 4));
	EXPECT_EQ(0, lines);
}

static void test_config(void)
{
	plug();
	EXPECT_EQ(0x12345678, mem_read(config, 4));
	EXPECT_EQ(0x34, mem_read(config + 2, 1));
	EXPECT_EQ(0x770000, mem_read(config + 4, 4));
	EXPECT_EQ(0, mem_read(config + 7, 1));
	EXPECT_EQ(0, mem_read(config + 0xff8, 8));
	mem_write(config, 0xffffffff, 4);
	mem_write(config + 3, 0xffff, 2);
	mem_write(config + 5, 0xffff, 2);
	mem_write(config + 4, 0xffffffff, 4);
	mem_write(config + 0xff8, 0xffffffff, 4);
	EXPECT_EQ(0, echo->written);
	mem_write(config + 4, 0xabcd, 2);
	EXPECT_EQ(1, echo->written);
	EXPECT_EQ(0x12345678, mem_read(config, 4));
	EXPECT_EQ(0x77abcd, mem_read(config + 4, 4));
	/* A change raises the generation and interrupts. */
	start(BASE);
	EXPECT_EQ(0, mem_read(common + VIRTIO_PCI_COMMON_CFGGENERATION, 1));
	pthread_mutex_lock(&echo->device.lock);
	virtio_config_changed(&echo->device);
	pthread_mutex_unlock(&echo->device.lock);
	EXPECT_EQ(1, mem_read(common + VIRTIO_PCI_COMMON_CFGGENERATION, 1));
	EXPECT(m.level[PCI_GSI(SLOT)]);
	EXPECT_EQ(2, mem_read(isr, 1));
	EXPECT(!m.level[PCI_GSI(SLOT)]);
}

static void test_features(void)
{
	plug();
	guest_begin(&echo->device, 0);
	EXPECT_EQ(3, status());
	guest_begin(&echo->device, BASE | 1ULL << 33);
	EXPECT_EQ(3, status());
	guest_begin(&echo->device, BASE | 1ULL << 9);
	EXPECT_EQ(3, status());
	guest_begin(&echo->device, BASE | 1ULL << MAGIC);
	EXPECT_EQ(0x0b, status());
	/* Agreed on is agreed on. */
	accept_features(BASE);
	EXPECT_EQ(BASE | 1ULL << MAGIC, echo->device.accepted);
	mem_write(common + VIRTIO_PCI_COMMON_GFSELECT, 7, 4);
	mem_write(common + VIRTIO_PCI_COMMON_GF, 0xffffffff, 4);
	EXPECT_EQ(0, mem_read(common + VIRTIO_PCI_COMMON_GF, 4));
	/* Bits of the status are not taken back. */
	set_status(1);
	EXPECT_EQ(0x0b, status());
	/* Nor set by the driver, which is the device's. */
	set_status(0x0b | VIRTIO_CONFIG_S_NEEDS_RESET);
	EXPECT_EQ(0x0b, status());
	EXPECT_EQ(0, lines);
}

static void expect_broken(const char *why)
{
	EXPECT(status() & VIRTIO_CONFIG_S_NEEDS_RESET);
	EXPECT_EQ(1, lines);
	EXPECT(strstr(line, why) && strstr(line, "echo"));
	if (!strstr(line, why))
		printf("# %s\n", line);
	/* Not before the reset, and all is well after it. */
	lines = 0;
	memset(&echo->device.notice, 0, sizeof(echo->device.notice));
	driver.seen = driver.used->idx;
	driver_desc(&driver, 0, BUFFERS, 16, WRITE, 0);
	driver_post(&driver, 0);
	mem_write(notify, 0, 2);
	kicked(0);
	set_status(0x0f);
	virtio_work(&echo->device);
	EXPECT(!driver_used(&driver));
	start(BASE);
	post(1);
	EXPECT(driver_used(&driver));
}

static void test_broken(void)
{
	static const struct {
		uint16_t field;
		uint16_t size;
		uint64_t value;
	} rewrites[] = {
		{ VIRTIO_PCI_COMMON_Q_SIZE, 2, 16 },
		{ VIRTIO_PCI_COMMON_Q_DESCLO, 4, 0x70000 },
		{ VIRTIO_PCI_COMMON_Q_DESCHI, 4, 1 },
		{ VIRTIO_PCI_COMMON_Q_AVAILLO, 8, 0x70000 },
		{ VIRTIO_PCI_COMMON_Q_AVAILHI, 4, 1 },
		{ VIRTIO_PCI_COMMON_Q_USEDLO, 8, 0x70000 },
		{ VIRTIO_PCI_COMMON_Q_USEDHI, 4, 1 },
	};
	unsigned int i;

	plug();
	for (i = 0; i < sizeof(rewrites) / sizeof(rewrites[0]); i++) {
		start(BASE);
		post(1);
		select_queue(0);
		/* What it is already is no change. */
		mem_write(common + VIRTIO_PCI_COMMON_Q_SIZE, 8, 2);
		EXPECT_EQ(0x0f, status());
		mem_write(common + rewrites[i].field, rewrites[i].value, rewrites[i].size);
		expect_broken("changed after it was enabled");
	}
	guest_begin(&echo->device, 0);
	set_status(status() | VIRTIO_CONFIG_S_DRIVER_OK);
	expect_broken("before features were agreed on");

	guest_begin(&echo->device, BASE);
	select_queue(1);
	mem_write(common + VIRTIO_PCI_COMMON_Q_SIZE, 32, 2);
	mem_write(common + VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
	expect_broken("larger than the device's");

	guest_begin(&echo->device, BASE);
	mem_write(common + VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
	guest_go(&echo->device);
	expect_broken("overlap");

	start(BASE);
	driver_desc(&driver, 0, BUFFERS, 0, WRITE, 0);
	driver_post(&driver, 0);
	mem_write(notify, 0, 2);
	EXPECT(kicked(0));
	EXPECT_EQ(0, driver.used->idx);
	/* Told by an interrupt for the configuration. */
	EXPECT_EQ(2, mem_read(isr, 1));
	expect_broken("empty");
}

static void test_reset(void)
{
	plug();
	start(BASE | 1ULL << VIRTIO_RING_F_EVENT_IDX);
	EXPECT_EQ(1, echo->starts);
	post(3);
	mem_write(common + VIRTIO_PCI_COMMON_MSIX, 2, 2);
	EXPECT_EQ(3, m.level[PCI_GSI(SLOT)] ? 3 : 0);
	/* Not over before the worker has done it; what is written meanwhile is lost. */
	set_status(0);
	EXPECT_EQ(0x0f, status());
	set_status(1);
	accept_features(0);
	select_queue(0);
	mem_write(common + VIRTIO_PCI_COMMON_Q_SIZE, 16, 2);
	virtio_work(&echo->device);
	EXPECT_EQ(0, status());
	EXPECT_EQ(1, echo->drains);
	EXPECT_EQ(1, echo->stops);
	EXPECT(!m.level[PCI_GSI(SLOT)]);
	EXPECT_EQ(0xffff, mem_read(common + VIRTIO_PCI_COMMON_MSIX, 2));
	select_queue(0);
	EXPECT_EQ(0, mem_read(common + VIRTIO_PCI_COMMON_Q_ENABLE, 2));
	EXPECT_EQ(0, mem_read(common + VIRTIO_PCI_COMMON_Q_DESCLO, 8));
	EXPECT_EQ(QUEUE_SIZE_MAX, mem_read(common + VIRTIO_PCI_COMMON_Q_SIZE, 2));
	/* A kick that comes late. */
	mem_write(notify, 0, 2);
	EXPECT(kicked(0));
	start(BASE);
	post(1);
	EXPECT(driver_used(&driver));
	EXPECT_EQ(2, echo->starts);
}

static void test_queue_reset(void)
{
	struct driver other;

	plug();
	guest_begin(&echo->device, BASE);
	guest_queue(1, &other, 8);
	guest_queue(0, &driver, 8);
	guest_go(&echo->device);
	post(2);
	EXPECT_EQ(2, m.doorbells);
	mem_write(common + COMMON_Q_RESET, 1, 2);
	EXPECT_EQ(1, mem_read(common + COMMON_Q_RESET, 2));
	virtio_work(&echo->device);
	EXPECT_EQ(0, mem_read(common + COMMON_Q_RESET, 2));
	EXPECT_EQ(0, mem_read(common + VIRTIO_PCI_COMMON_Q_ENABLE, 2));
	EXPECT_EQ(1, m.doorbells);
	EXPECT_EQ(1, echo->drains);
	EXPECT_EQ(0x0f, status());
	EXPECT_EQ(0, echo->stops);
	/* Again, with other rings, while the device runs. */
	guest_queue(0, &driver, 16);
	virtio_work(&echo->device);
	EXPECT_EQ(2, m.doorbells);
	post(1);
	EXPECT(driver_used(&driver));
	EXPECT_EQ(1, echo->starts);
	/* Not negotiated: there is no such thing. */
	start(1ULL << VIRTIO_F_VERSION_1);
	mem_write(common + COMMON_Q_RESET, 1, 2);
	EXPECT_EQ(0, mem_read(common + COMMON_Q_RESET, 2));
	virtio_work(&echo->device);
	post(1);
	EXPECT_EQ(0, lines);
}

static void test_doorbells(void)
{
	uint64_t to = PCI_WINDOW + 0x1000000;

	plug();
	/* Not before there is somebody to answer. */
	EXPECT_EQ(0, m.doorbells);
	start(BASE);
	EXPECT_EQ(1, m.doorbells);
	EXPECT_EQ(notify, m.doorbell[0]);
	EXPECT_EQ(echo->device.queue[0].kick, m.doorbell_event[0]);
	cfg_write(SLOT, PCI_COMMAND, 0, 2);
	EXPECT_EQ(0, m.doorbells);
	cfg_write(SLOT, PCI_BASE_ADDRESS_4, to, 4);
	cfg_write(SLOT, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	guest_find();
	EXPECT_EQ(1, m.doorbells);
	EXPECT_EQ(to, notify & ~0xffffULL);
	EXPECT_EQ(notify, m.doorbell[0]);
	post(1);
	/* Decoded, and moved: from one place to the other in one write. */
	cfg_write(SLOT, PCI_BASE_ADDRESS_4, to + 0x10000, 4);
	guest_find();
	EXPECT_EQ(1, m.doorbells);
	EXPECT_EQ(notify, m.doorbell[0]);
	/* The module has no room: the bus does it. */
	m.no_doorbells = true;
	cfg_write(SLOT, PCI_BASE_ADDRESS_4, to, 4);
	guest_find();
	EXPECT_EQ(0, m.doorbells);
	post(1);
	set_status(0);
	virtio_work(&echo->device);
	m.no_doorbells = false;
	start(BASE);
	EXPECT_EQ(1, m.doorbells);
	set_status(0);
	virtio_work(&echo->device);
	EXPECT_EQ(0, m.doorbells);
	/* Kicks of queues that there are not. */
	mem_write(notify + notify_step * QUEUES, QUEUES, 2);
	mem_write(notify + 0xffc, 0xffff, 4);
	mem_write(notify + 1, 0, 1);
	EXPECT(!kicked(0));
}

static void test_vectors(void)
{
	unsigned int cap;
	uint64_t table;

	plug();
	cap = find_cap(SLOT, 0, PCI_CAP_ID_MSIX);
	table = cfg_read(SLOT, PCI_BASE_ADDRESS_1, 4) & ~15U;
	EXPECT_EQ(QUEUES, cfg_read(SLOT, cap + 2, 2));
	cfg_write(SLOT, cap + 2, PCI_MSIX_FLAGS_ENABLE, 2);
	mem_write(table + 16, 0xfee00000, 8);
	mem_write(table + 24, 0x51, 8);
	start(BASE);
	select_queue(0);
	EXPECT_EQ(0xffff, mem_read(common + VIRTIO_PCI_COMMON_Q_MSIX, 2));
	post(1);
	EXPECT_EQ(0, m.messages);
	/* A vector that there is not reads back as none. */
	mem_write(common + VIRTIO_PCI_COMMON_Q_MSIX, QUEUES + 1, 2);
	EXPECT_EQ(0xffff, mem_read(common + VIRTIO_PCI_COMMON_Q_MSIX, 2));
	mem_write(common + VIRTIO_PCI_COMMON_MSIX, 0x1234, 2);
	EXPECT_EQ(0xffff, mem_read(common + VIRTIO_PCI_COMMON_MSIX, 2));
	mem_write(common + VIRTIO_PCI_COMMON_Q_MSIX, 1, 2);
	EXPECT_EQ(1, mem_read(common + VIRTIO_PCI_COMMON_Q_MSIX, 2));
	post(1);
	EXPECT_EQ(1, m.messages);
	EXPECT_EQ(0x51, m.data);
	EXPECT_EQ(0, mem_read(isr, 1));
	EXPECT_EQ(0, m.levels);
	driver.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	post(1);
	EXPECT_EQ(1, m.messages);
}

static void test_cfg_access(void)
{
	unsigned int cap = 0;

	plug();
	do {
		cap = find_cap(SLOT, cap, PCI_CAP_ID_VNDR);
	} while (cfg_read(SLOT, cap + VIRTIO_PCI_CAP_CFG_TYPE, 1) != VIRTIO_PCI_CAP_PCI_CFG);
	cfg_write(SLOT, PCI_COMMAND, 0, 2);
	cfg_write(SLOT, cap + VIRTIO_PCI_CAP_BAR, 4, 1);
	cfg_write(SLOT, cap + VIRTIO_PCI_CAP_OFFSET, config & 0x3fff, 4);
	cfg_write(SLOT, cap + VIRTIO_PCI_CAP_LENGTH, 4, 4);
	EXPECT_EQ(0x12345678, cfg_read(SLOT, cap + 16, 4));
	cfg_write(SLOT, cap + VIRTIO_PCI_CAP_OFFSET, VIRTIO_PCI_COMMON_STATUS, 4);
	cfg_write(SLOT, cap + VIRTIO_PCI_CAP_LENGTH, 1, 4);
	cfg_write(SLOT, cap + 16, 3, 1);
	EXPECT_EQ(3, echo->device.status);
	EXPECT_EQ(3, cfg_read(SLOT, cap + 16, 1));
	/* What is impossible is nothing. */
	cfg_write(SLOT, cap + VIRTIO_PCI_CAP_OFFSET, 0xffffffff, 4);
	cfg_write(SLOT, cap + 16, 7, 1);
	cfg_write(SLOT, cap + VIRTIO_PCI_CAP_OFFSET, 2, 4);
	cfg_write(SLOT, cap + VIRTIO_PCI_CAP_LENGTH, 4, 4);
	cfg_write(SLOT, cap + 16, 7, 4);
	cfg_write(SLOT, cap + VIRTIO_PCI_CAP_LENGTH, 0, 4);
	cfg_write(SLOT, cap + 16, 7, 4);
	cfg_write(SLOT, cap + VIRTIO_PCI_CAP_BAR, 0xff, 1);
	cfg_read(SLOT, cap + 16, 4);
	EXPECT_EQ(3, echo->device.status);
}

/* All of the bus, at random; the worker's turn comes now and then. */
static void test_soup(void)
{
	uint64_t random = seed_from_env();
	unsigned int i;

	plug();
	for (i = 0; i < 300000; i++) {
		uint64_t r = next_random(&random), value = next_random(&random);
		unsigned int size = 1U << (r & 3);
		uint64_t at;

		switch (r >> 4 & 7) {
		case 0:
			at = ecam(SLOT, (r >> 8 & 0xff) & ~(uint64_t)(size - 1));
			break;
		case 1:
			at = PCI_WINDOW + (r >> 8) % 0x20000;
			break;
		default:
			at = common + (r >> 8) % 64;
			break;
		}
		if (r >> 7 & 1)
			mem_read(at, size);
		else
			mem_write(at, value >> (value & 63), size);
		if (!(r >> 50 & 63))
			virtio_work(&echo->device);
		if (!(r >> 40 & 0x3ff)) {
			cfg_write(SLOT, PCI_BASE_ADDRESS_4, PCI_WINDOW + 0x10000, 4);
			cfg_write(SLOT, PCI_BASE_ADDRESS_5, 0, 4);
			cfg_write(SLOT, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
			guest_find();
			start(BASE);
			post(1);
		}
	}
	printf("# %u starts, %u lines\n", echo->starts, lines);
	EXPECT(echo->starts);
}

/* With its worker: a vCPU's reset is over when it returns, unless that takes long. */
static void test_worker(void)
{
	struct failure why;
	unsigned int i;

	plug();
	EXPECT_EQ(0, virtio_start(&echo->device, &why));
	for (i = 0; i < 200; i++) {
		set_status(0);
		EXPECT_EQ(0, status());
		set_status(3);
		accept_features(BASE);
		set_status(0x0b);
		guest_queue(0, &driver, 8);
		driver_desc(&driver, 0, BUFFERS, 16, WRITE, 0);
		driver_post(&driver, 0);
		set_status(0x0f);
		while (!driver_used(&driver))
			nanosleep(&(struct timespec){ .tv_nsec = 10000 }, NULL);
		driver_post(&driver, 0);
		mem_write(notify, 0, 2);
		while (!driver_used(&driver))
			nanosleep(&(struct timespec){ .tv_nsec = 10000 }, NULL);
	}
	virtio_stop(&echo->device);
	EXPECT_EQ(200, echo->starts);
	EXPECT_EQ(200, echo->stops);
}

static const struct test tests[] = {
	{ "the device is found by its capabilities", test_found },
	{ "device configuration", test_config },
	{ "features and status", test_features },
	{ "what breaks a device, and a reset that mends it", test_broken },
	{ "reset", test_reset },
	{ "reset of a queue", test_queue_reset },
	{ "doorbells follow the BAR", test_doorbells },
	{ "vectors", test_vectors },
	{ "registers by configuration space", test_cfg_access },
	{ "random accesses", test_soup },
	{ "a worker", test_worker },
};

int main(void)
{
	int ret = RUN_TESTS(tests);

	virtio_destroy(&echo->device);
	return ret;
}
