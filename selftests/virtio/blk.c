// SPDX-License-Identifier: GPL-2.0
/*
 * virtio-blk over a disk in memory that ends requests when, in which order and with what error a
 * test wants. The device has its worker; the guest polls.
 */
#include <errno.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"
#include "virtio/blk.h"

#define DISK_SIZE	(1 * MIB)
#define SECTORS		(DISK_SIZE / 512)
#define QUEUES		2
#define BASE		(1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_F_RING_RESET |	\
			 1ULL << VIRTIO_RING_F_INDIRECT_DESC | 1ULL << VIRTIO_BLK_F_FLUSH |	\
			 1ULL << VIRTIO_BLK_F_MQ)

static struct fake {
	struct disk disk;
	pthread_mutex_t lock;
	struct disk_request *pending[1024];
	unsigned int count;
	bool hold, closed;
	unsigned int cancelled;		/* of what is held, these end */
	int error;
	enum disk_op error_op;
	unsigned int ops[DISK_ZERO + 1];
	uint8_t data[DISK_SIZE];
} fake;

static struct virtio_device *device;
static struct driver driver[QUEUES];
static char line[512];
static atomic_uint lines;

static void on_line(const char *text)
{
	snprintf(line, sizeof(line), "%s", text);
	atomic_fetch_add(&lines, 1);
}

/* ---- the disk ------------------------------------------------------------------------------- */

static void fake_submit(struct disk *disk, struct disk_request *request)
{
	(void)disk;
	EXPECT(request->offset % 512 == 0 && request->size % 512 == 0);
	EXPECT(request->offset + request->size <= DISK_SIZE);
	pthread_mutex_lock(&fake.lock);
	fake.pending[fake.count++] = request;
	fake.ops[request->op]++;
	if (!fake.hold)
		event_signal(fake.disk.event);
	pthread_mutex_unlock(&fake.lock);
}

static void fake_commit(struct disk *disk)
{
	(void)disk;
}

static void perform(struct disk_request *request)
{
	uint8_t *at = fake.data + request->offset;
	unsigned int i;

	for (i = 0; i < request->count; at += request->iov[i++].iov_len) {
		if (request->op == DISK_READ)
			memcpy(request->iov[i].iov_base, at, request->iov[i].iov_len);
		else
			memcpy(at, request->iov[i].iov_base, request->iov[i].iov_len);
	}
	if (request->op == DISK_DISCARD || request->op == DISK_ZERO)
		memset(at, request->op == DISK_ZERO ? 0 : 0xdd, request->size);
}

/* The last comes first. */
static void fake_complete(struct disk *disk)
{
	struct disk_request *request;

	(void)disk;
	event_drain(fake.disk.event);
	for (;;) {
		pthread_mutex_lock(&fake.lock);
		request = fake.count && (!fake.hold || fake.cancelled) ?
			  fake.pending[--fake.count] : NULL;
		pthread_mutex_unlock(&fake.lock);
		if (!request)
			break;
		if (fake.hold) {
			fake.cancelled--;
			request->done(request, ECANCELED);
		} else if (fake.error && request->op == fake.error_op) {
			request->done(request, fake.error);
		} else {
			perform(request);
			request->done(request, 0);
		}
	}
}

static void fake_cancel(struct disk *disk, struct disk_request *request)
{
	(void)disk;
	EXPECT(fake.count && request == fake.pending[fake.count - 1]);
	fake.cancelled++;
	event_signal(fake.disk.event);
}

static void fake_close(struct disk *disk)
{
	(void)disk;
	close(fake.disk.event);
	fake.closed = true;
}

static void release(void)
{
	pthread_mutex_lock(&fake.lock);
	fake.hold = false;
	event_signal(fake.disk.event);
	pthread_mutex_unlock(&fake.lock);
}

static void unplug(void)
{
	if (!device)
		return;
	virtio_stop(device);
	virtio_destroy(device);
	EXPECT(fake.closed);
	device = NULL;
}

static bool may_cancel;

static void start(bool read_only, uint64_t features)
{
	static struct disk_ops ops = {
		.submit = fake_submit, .commit = fake_commit, .complete = fake_complete,
		.close = fake_close,
	};
	const struct blk_config config = { .name = "disk0", .serial = "serial", .queues = QUEUES };
	struct failure why;
	unsigned int i;

	unplug();
	machine_init();
	ops.cancel = may_cancel ? fake_cancel : NULL;
	memset(&fake, 0, sizeof(fake));
	for (i = 0; i < DISK_SIZE; i++)
		fake.data[i] = i >> 9 ^ i;
	fake.disk = (struct disk){
		.ops = &ops, .name = "fake", .size = DISK_SIZE, .block = 512,
		.read_only = read_only, .event = event_create(),
	};
	notice_sink = on_line;
	atomic_store(&lines, 0);
	device = virtio_blk_create(&fake.disk, &config, &m.memory, &why);
	EXPECT(device);
	guest_plug(device);
	EXPECT_EQ(0, virtio_start(device, &why));
	set_status(3);
	accept_features(features);
	set_status(0x0b);
	for (i = 0; i < QUEUES; i++) {
		guest_queue(i, &driver[i], 256);
		driver[i].setup.indirect = true;
	}
	set_status(0x0f);
	EXPECT_EQ(0x0f, status());
}

/* ---- the driver ----------------------------------------------------------------------------- */

#define HEADER		0x100000
#define DATA		0x200000
#define STATUS		0x300000

static void kick(unsigned int queue)
{
	mem_write(notify + queue * notify_step, queue, 2);
}

/* Request @n, as three descriptors from 3 * @n on (two without data). */
static void post(unsigned int queue, unsigned int n, uint32_t type, uint64_t sector, uint32_t size,
		 uint16_t direction)
{
	const struct virtio_blk_outhdr header = { .type = type, .sector = sector };
	unsigned int at = 3 * n;

	memory_write(&m.memory, HEADER + n * 16, &header, 16);
	*(uint8_t *)memory_at(&m.memory, STATUS + n, 1) = 0xee;
	driver_desc(&driver[queue], at, HEADER + n * 16, 16, NEXT, size ? at + 1 : at + 2);
	driver_desc(&driver[queue], at + 1, DATA + n * 0x2000, size, NEXT | direction, at + 2);
	driver_desc(&driver[queue], at + 2, STATUS + n, 1, WRITE, 0);
	driver_post(&driver[queue], at);
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

static uint8_t *data(unsigned int n)
{
	return memory_at(&m.memory, DATA + n * 0x2000, 0x2000);
}

/* The status of one request. */
static unsigned int run(uint32_t type, uint64_t sector, uint32_t size, uint16_t direction,
			uint32_t wanted_length)
{
	const struct vring_used_elem *elem;

	post(0, 0, type, sector, size, direction);
	kick(0);
	elem = wait_used(0);
	if (!elem)
		return 0xff;
	EXPECT_EQ(0, elem->id);
	EXPECT_EQ(wanted_length, elem->len);
	return *(uint8_t *)memory_at(&m.memory, STATUS, 1);
}

static unsigned int segment(uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags)
{
	const struct virtio_blk_discard_write_zeroes range = {
		.sector = sector, .num_sectors = sectors, .flags = flags,
	};
	uint8_t *status_byte = memory_at(&m.memory, STATUS, 1);

	memcpy(data(0), &range, sizeof(range));
	post(0, 0, type, 0, sizeof(range), READ);
	kick(0);
	return wait_used(0) ? *status_byte : 0xff;
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void test_config(void)
{
	start(false, BASE);
	EXPECT_EQ(SECTORS, mem_read(config, 8));
	EXPECT_EQ(126, mem_read(config + 12, 4));
	EXPECT_EQ(512, mem_read(config + 20, 4));
	EXPECT_EQ(QUEUES, mem_read(config + 34, 2));
	EXPECT_EQ(1, mem_read(config + 40, 4));
	EXPECT(offered() & 1ULL << VIRTIO_BLK_F_DISCARD);
	EXPECT(!(offered() & 1ULL << VIRTIO_BLK_F_RO));
	start(true, BASE);
	EXPECT(!(offered() & (1ULL << VIRTIO_BLK_F_DISCARD | 1ULL << VIRTIO_BLK_F_WRITE_ZEROES)));
	EXPECT(offered() & 1ULL << VIRTIO_BLK_F_RO);
	EXPECT_EQ(0, mem_read(config + 36, 8));
}

static void test_transfers(void)
{
	unsigned int i;

	start(false, BASE);
	EXPECT_EQ(0, run(VIRTIO_BLK_T_IN, 3, 1024, WRITE, 1025));
	EXPECT(!memcmp(data(0), fake.data + 3 * 512, 1024));
	for (i = 0; i < 1024; i++)
		data(0)[i] = 3 * i;
	EXPECT_EQ(0, run(VIRTIO_BLK_T_OUT, SECTORS - 2, 1024, READ, 1));
	EXPECT(!memcmp(data(0), fake.data + DISK_SIZE - 1024, 1024));
	EXPECT_EQ(0, run(VIRTIO_BLK_T_FLUSH, 0, 0, READ, 1));
	EXPECT_EQ(1, fake.ops[DISK_FLUSH]);
	EXPECT_EQ(0, run(VIRTIO_BLK_T_GET_ID, 0, 20, WRITE, 21));
	EXPECT(!memcmp(data(0), "serial\0\0\0\0\0\0\0\0\0\0\0\0\0", 20));
	EXPECT_EQ(0, run(VIRTIO_BLK_T_GET_ID, 0, 3, WRITE, 4));
	EXPECT_EQ(0, lines);
}

static void test_segments(void)
{
	start(false, BASE);
	EXPECT_EQ(0, segment(VIRTIO_BLK_T_DISCARD, 8, 2, 0));
	EXPECT_EQ(0xdd, fake.data[8 * 512]);
	EXPECT_EQ(0xdd, fake.data[10 * 512 - 1]);
	EXPECT(fake.data[10 * 512] != 0xdd);
	EXPECT_EQ(0, segment(VIRTIO_BLK_T_WRITE_ZEROES, 9, 1, 0));
	EXPECT_EQ(0, segment(VIRTIO_BLK_T_WRITE_ZEROES, 10, 1, 1));
	EXPECT_EQ(0, fake.data[9 * 512]);
	EXPECT_EQ(VIRTIO_BLK_S_UNSUPP, segment(VIRTIO_BLK_T_DISCARD, 8, 2, 1));
	EXPECT_EQ(VIRTIO_BLK_S_UNSUPP, segment(VIRTIO_BLK_T_WRITE_ZEROES, 8, 2, 2));
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, segment(VIRTIO_BLK_T_DISCARD, SECTORS - 1, 2, 0));
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, segment(VIRTIO_BLK_T_DISCARD, 0, UINT32_MAX, 0));
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, segment(VIRTIO_BLK_T_WRITE_ZEROES, UINT64_MAX, 1, 0));
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, segment(VIRTIO_BLK_T_WRITE_ZEROES, 0, 0, 0));
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, run(VIRTIO_BLK_T_DISCARD, 0, 32, READ, 1));
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, run(VIRTIO_BLK_T_DISCARD, 0, 15, READ, 1));
	EXPECT_EQ(1, fake.ops[DISK_DISCARD]);
	EXPECT_EQ(2, fake.ops[DISK_ZERO]);
}

/* Wrong, but no harm: an error for the request, and the device goes on. */
static void test_refused(void)
{
	start(false, BASE);
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, run(VIRTIO_BLK_T_IN, SECTORS, 512, WRITE, 0));
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, run(VIRTIO_BLK_T_IN, SECTORS - 1, 1024, WRITE, 0));
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, run(VIRTIO_BLK_T_IN, UINT64_MAX, 512, WRITE, 0));
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, run(VIRTIO_BLK_T_IN, UINT64_MAX / 512 + 1, 512, WRITE, 0));
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, run(VIRTIO_BLK_T_IN, 0, 511, WRITE, 0));
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, run(VIRTIO_BLK_T_IN, 0, 0, WRITE, 1));
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, run(VIRTIO_BLK_T_OUT, 0, 0, READ, 1));
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, run(VIRTIO_BLK_T_OUT, 0, 513, READ, 1));
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, run(VIRTIO_BLK_T_OUT, SECTORS, 512, READ, 1));
	EXPECT_EQ(VIRTIO_BLK_S_UNSUPP, run(2, 0, 512, READ, 1));
	EXPECT_EQ(VIRTIO_BLK_S_UNSUPP, run(0xffffffff, 0, 512, WRITE, 0));
	EXPECT_EQ(0, run(VIRTIO_BLK_T_IN, 0, 512, WRITE, 513));
	EXPECT_EQ(0, fake.ops[DISK_WRITE]);
	start(true, BASE);
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, run(VIRTIO_BLK_T_OUT, 0, 512, READ, 1));
	EXPECT_EQ(VIRTIO_BLK_S_UNSUPP, segment(VIRTIO_BLK_T_DISCARD, 0, 1, 0));
	EXPECT_EQ(VIRTIO_BLK_S_UNSUPP, segment(VIRTIO_BLK_T_WRITE_ZEROES, 0, 1, 0));
	EXPECT_EQ(0, run(VIRTIO_BLK_T_IN, 0, 512, WRITE, 513));
	EXPECT_EQ(0, fake.ops[DISK_WRITE] + fake.ops[DISK_DISCARD] + fake.ops[DISK_ZERO]);
	EXPECT_EQ(0, lines);
}

static void test_errors(void)
{
	unsigned int i;

	start(false, BASE);
	fake.error = ENOSPC;
	fake.error_op = DISK_WRITE;
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, run(VIRTIO_BLK_T_OUT, 7, 512, READ, 1));
	EXPECT(strstr(line, "disk fake: writing 512 bytes at 3584 failed: No space left"));
	fake.error = EIO;
	fake.error_op = DISK_FLUSH;
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, run(VIRTIO_BLK_T_FLUSH, 0, 0, READ, 1));
	EXPECT(strstr(line, "flushing") && strstr(line, "Input/output error"));
	fake.error_op = DISK_READ;
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, run(VIRTIO_BLK_T_IN, 0, 512, WRITE, 0));
	/* Not more than some lines a minute. */
	for (i = 0; i < 50; i++)
		EXPECT_EQ(VIRTIO_BLK_S_IOERR, run(VIRTIO_BLK_T_IN, 0, 512, WRITE, 0));
	EXPECT_EQ(5, lines);
	fake.error = 0;
	EXPECT_EQ(0, run(VIRTIO_BLK_T_IN, 0, 512, WRITE, 513));
}

/* A queue full of requests, in both queues; they end in any order. */
static void test_many(void)
{
	bool seen[2][80] = { { false } };
	unsigned int i, q;

	start(false, BASE);
	fake.hold = true;
	for (q = 0; q < 2; q++)
		for (i = 0; i < 80; i++)
			post(q, i, VIRTIO_BLK_T_IN, i, 512, WRITE);
	kick(0);
	kick(1);
	for (i = 0; i < 5000 && *(volatile unsigned int *)&fake.count < 160; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	EXPECT_EQ(160, fake.count);
	EXPECT(!driver_used(&driver[0]));
	release();
	for (q = 0; q < 2; q++) {
		for (i = 0; i < 80; i++) {
			const struct vring_used_elem *elem = wait_used(q);

			if (!elem)
				return;
			EXPECT(elem->id % 3 == 0 && !seen[q][elem->id / 3]);
			seen[q][elem->id / 3] = true;
		}
	}
	EXPECT(!memcmp(data(79), fake.data + 79 * 512, 512));
}

/* A reset waits for what is in flight: nothing is written to memory after it. */
static void test_reset_in_flight(void)
{
	uint8_t before;

	start(false, BASE);
	fake.hold = true;
	post(0, 0, VIRTIO_BLK_T_IN, 1, 512, WRITE);
	kick(0);
	while (!*(volatile unsigned int *)&fake.count)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	set_status(0);
	EXPECT_EQ(0x0f, status());
	release();
	while (status())
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	EXPECT_EQ(0, fake.count);
	before = data(0)[0] = 0x5a;
	nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	EXPECT_EQ(before, data(0)[0]);
}

/* Nobody waits for a disk that can do without; nobody is told of errors that nobody sees. */
static void test_reset_cancels(void)
{
	may_cancel = true;
	start(false, BASE);
	fake.hold = true;
	post(0, 0, VIRTIO_BLK_T_IN, 1, 512, WRITE);
	kick(0);
	while (!*(volatile unsigned int *)&fake.count)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	set_status(0);
	while (status())
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	EXPECT_EQ(0, fake.count);
	EXPECT_EQ(0, fake.cancelled);
	EXPECT_EQ(0, lines);
	may_cancel = false;
}

static void expect_needs_reset(void)
{
	unsigned int i;

	for (i = 0; i < 20000 && !(status() & VIRTIO_CONFIG_S_NEEDS_RESET); i++)
		nanosleep(&(struct timespec){ .tv_nsec = 500000 }, NULL);
	EXPECT(status() & VIRTIO_CONFIG_S_NEEDS_RESET);
	EXPECT_EQ(1, lines);
	EXPECT(strstr(line, "disk0"));
	EXPECT(!driver_used(&driver[0]));
}

static void test_malformed(void)
{
	/* A header that is too short, none, and no room for a status. */
	start(false, BASE);
	driver_desc(&driver[0], 0, HEADER, 15, NEXT, 1);
	driver_desc(&driver[0], 1, STATUS, 1, WRITE, 0);
	driver_post(&driver[0], 0);
	kick(0);
	expect_needs_reset();
	start(false, BASE);
	driver_desc(&driver[0], 1, STATUS, 1, WRITE, 0);
	driver_post(&driver[0], 1);
	kick(0);
	expect_needs_reset();
	start(false, BASE);
	driver_desc(&driver[0], 0, HEADER, 16, READ, 0);
	driver_post(&driver[0], 0);
	kick(0);
	expect_needs_reset();
	start(false, BASE);
	driver_desc(&driver[0], 0, HEADER, 16, NEXT, 0);
	driver_post(&driver[0], 0);
	kick(0);
	expect_needs_reset();
	/* Another queue's requests that are in flight end, and touch no ring. */
	start(false, BASE);
	fake.hold = true;
	post(1, 0, VIRTIO_BLK_T_IN, 1, 512, WRITE);
	kick(1);
	while (!*(volatile unsigned int *)&fake.count)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	driver_desc(&driver[0], 0, HEADER, 0, READ, 0);
	driver_post(&driver[0], 0);
	kick(0);
	expect_needs_reset();
	release();
	set_status(0);
	EXPECT_EQ(0, status());
	EXPECT_EQ(0, driver[1].used->idx);
}

/* Header, data and status in odd pieces, by a table. */
static void test_pieces(void)
{
	const struct virtio_blk_outhdr header = { .type = VIRTIO_BLK_T_IN, .sector = 5 };
	const struct vring_desc table[] = {
		{ HEADER, 3, NEXT, 1 }, { HEADER + 3, 13, NEXT, 2 },
		{ DATA, 1, NEXT | WRITE, 3 }, { DATA + 1, 510, NEXT | WRITE, 4 },
		{ DATA + 511, 514, NEXT | WRITE, 5 }, { STATUS, 1, WRITE, 0 },
	};

	start(false, BASE);
	memory_write(&m.memory, HEADER, &header, 16);
	memory_write(&m.memory, 0x400001, table, sizeof(table));
	driver_desc(&driver[0], 7, 0x400001, sizeof(table), TABLE, 0);
	driver_post(&driver[0], 7);
	kick(0);
	EXPECT(wait_used(0));
	/* 1025 bytes before the status: the last of them is no whole sector. */
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, *(uint8_t *)memory_at(&m.memory, STATUS, 1));
	memory_write(&m.memory, 0x400001 + 4 * 16 + 8, &(uint32_t){ 513 }, 4);
	driver_post(&driver[0], 7);
	kick(0);
	EXPECT(wait_used(0));
	EXPECT_EQ(VIRTIO_BLK_S_OK, *(uint8_t *)memory_at(&m.memory, STATUS, 1));
	EXPECT(!memcmp(data(0), fake.data + 5 * 512, 1024));
}

static const struct test tests[] = {
	{ "configuration", test_config },
	{ "read, write, flush, serial number", test_transfers },
	{ "discard and write zeroes", test_segments },
	{ "requests that cannot be", test_refused },
	{ "errors of the disk reach the guest and the user", test_errors },
	{ "a full queue, ended in any order", test_many },
	{ "a reset waits for what is in flight", test_reset_in_flight },
	{ "a reset cancels what is in flight, where it can", test_reset_cancels },
	{ "malformed requests break the device", test_malformed },
	{ "a request in pieces", test_pieces },
};

int main(void)
{
	int ret = RUN_TESTS(tests);

	unplug();
	return ret;
}
