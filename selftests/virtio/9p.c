// SPDX-License-Identifier: GPL-2.0
/*
 * virtio-9p: requests and replies by chains, in pieces; chains that carry none; what a reset ends.
 * What requests do is tested in selftests/9p. Works in the directory that is its argument.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_9p.h>
#include <linux/virtio_ids.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest.h"
#include "virtio/9p.h"

#define REQUEST		0x100000
#define REPLY		0x200000
#define FEATURES	(1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_9P_MOUNT_TAG |	\
			 1ULL << VIRTIO_RING_F_INDIRECT_DESC)

static struct virtio_device *device;
static struct driver driver;
static char line[512];
static unsigned int lines;

static void on_line(const char *text)
{
	snprintf(line, sizeof(line), "%s", text);
	lines++;
}

static void begin(void)
{
	guest_begin(device, FEATURES);
	guest_queue(0, &driver, 64);
	guest_go(device);
	EXPECT_EQ(0x0f, status());
}

static void unplug(void)
{
	if (!device)
		return;
	virtio_stop(device);
	virtio_destroy(device);
	device = NULL;
}

static void start(const char *tag)
{
	struct p9_server *server;
	struct failure why;

	unplug();
	machine_init();
	notice_sink = on_line;
	lines = 0;
	mkdir("share", 0755);
	server = p9_create("share", false, 10, &why);
	EXPECT(server);
	device = virtio_9p_create(server, "share0", tag, &m.memory, &why);
	EXPECT(device);
	guest_plug(device);
	begin();
}

/* The worker's part: it has no thread here. */
static void kick(void)
{
	device->ops->kick(device, 0);
}

static uint8_t *request(void)
{
	return memory_at(&m.memory, REQUEST, 8192);
}

static uint8_t *reply(void)
{
	return memory_at(&m.memory, REPLY, 8192);
}

static uint32_t word(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, 4);
	return value;
}

/* Builds a request of @size bytes in all with this body. */
static void build(uint32_t size, uint8_t type, const void *body, size_t body_size)
{
	memcpy(request(), &size, 4);
	request()[4] = type;
	request()[5] = 0x34;
	request()[6] = 0x12;
	memcpy(request() + 7, body, body_size);
}

/* Two buffers to be read, two to be written, each cut where it hurts. Bytes that were written. */
static uint32_t transact(uint32_t size, uint32_t room)
{
	const struct vring_used_elem *elem;

	driver_desc(&driver, 0, REQUEST, 5, NEXT, 1);
	driver_desc(&driver, 1, REQUEST + 5, size - 5, NEXT, 2);
	driver_desc(&driver, 2, REPLY, 6, NEXT | WRITE, 3);
	driver_desc(&driver, 3, REPLY + 6, room - 6, WRITE, 0);
	driver_post(&driver, 0);
	kick();
	elem = driver_used(&driver);
	EXPECT(elem && elem->id == 0);
	return elem ? elem->len : 0;
}

static void hello(void)
{
	static const uint8_t version[] = "\0\x20\0\0\x08\0009P2000.L";
	static const uint8_t attach[] = "\0\0\0\0\xff\xff\xff\xff\0\0\0\0\xff\xff\xff";

	build(21, P9_TVERSION, version, 14);
	EXPECT_EQ(21, transact(21, 8192));
	EXPECT_EQ(P9_TVERSION + 1, reply()[4]);
	EXPECT_EQ(8192, word(reply() + 7));
	build(23, P9_TATTACH, attach, 16);
	EXPECT_EQ(20, transact(23, 8192));
	EXPECT_EQ(P9_TATTACH + 1, reply()[4]);
	EXPECT_EQ(P9_QID_DIR, reply()[7]);
}

static void test_config(void)
{
	start("a tag of 32 bytes, which is most");
	EXPECT(offered() & 1ULL << VIRTIO_9P_MOUNT_TAG);
	EXPECT_EQ(0x1040 + VIRTIO_ID_9P, cfg_read(SLOT, PCI_DEVICE_ID, 2));
	EXPECT_EQ(32, mem_read(config, 2));
	EXPECT_EQ('a', mem_read(config + 2, 1));
	EXPECT_EQ('t', mem_read(config + 33, 1));
	EXPECT_EQ(0, mem_read(config + 34, 1));
	start("t");
	EXPECT_EQ(1, mem_read(config, 2));
	EXPECT_EQ('t', mem_read(config + 2, 1));
	EXPECT_EQ(0, mem_read(config + 3, 1));
}

/* A file is made, written and read: data is in pieces of the chain. */
static void test_data(void)
{
	static const uint8_t create[] = "\0\0\0\0\x04\0file\x42\x02\0\0\xa4\x01\0\0\xff\xff\xff";
	uint8_t body[16 + 1000] = { 0 };
	char data[1001] = "";
	unsigned int i;
	int fd;

	start("t");
	hello();
	build(7 + 22, P9_TLCREATE, create, 22);
	EXPECT_EQ(24, transact(7 + 22, 8192));
	EXPECT_EQ(P9_TLCREATE + 1, reply()[4]);
	memcpy(body + 12, &(uint32_t){ 1000 }, 4);
	for (i = 0; i < 1000; i++)
		body[16 + i] = i * 7 + 1;
	build(7 + 16 + 1000, P9_TWRITE, body, 16 + 1000);
	EXPECT_EQ(11, transact(7 + 16 + 1000, 8192));
	EXPECT_EQ(1000, word(reply() + 7));
	fd = open("share/file", O_RDONLY);
	EXPECT_EQ(1000, read(fd, data, 1001));
	close(fd);
	EXPECT(!memcmp(data, body + 16, 1000));
	build(7 + 16, P9_TREAD, body, 16);
	memset(reply(), 0xee, 2000);
	EXPECT_EQ(11 + 1000, transact(7 + 16, 8192));
	EXPECT_EQ(11 + 1000, word(reply()));
	EXPECT(!memcmp(reply() + 11, body + 16, 1000));
	EXPECT_EQ(0xee, reply()[1011]);
	/* No more than there is room for. */
	memset(reply(), 0xee, 2000);
	EXPECT_EQ(500, transact(7 + 16, 500));
	EXPECT_EQ(500 - 11, word(reply() + 7));
	EXPECT_EQ(0xee, reply()[500]);
	EXPECT_EQ(0, lines);
}

static void expect_broken(void)
{
	kick();
	EXPECT(status() & VIRTIO_CONFIG_S_NEEDS_RESET);
	EXPECT(!driver_used(&driver));
	EXPECT(strstr(line, "share0"));
}

static void test_malformed(void)
{
	static const uint8_t body[2] = { 1 };

	start("t");
	hello();
	/* No request at all; a part of a header; more than the chain has; no room for a reply. */
	driver_desc(&driver, 0, REPLY, 100, WRITE, 0);
	driver_post(&driver, 0);
	expect_broken();
	begin();
	build(9, P9_TFLUSH, body, 2);
	driver_desc(&driver, 0, REQUEST, 6, NEXT, 1);
	driver_desc(&driver, 1, REPLY, 100, WRITE, 0);
	driver_post(&driver, 0);
	expect_broken();
	begin();
	build(10, P9_TFLUSH, body, 2);
	driver_desc(&driver, 0, REQUEST, 9, NEXT, 1);
	driver_post(&driver, 0);
	expect_broken();
	begin();
	build(9, P9_TFLUSH, body, 2);
	driver_desc(&driver, 0, REQUEST, 9, NEXT, 1);
	driver_desc(&driver, 1, REPLY, 10, WRITE, 0);
	driver_post(&driver, 0);
	expect_broken();
	begin();
	driver_desc(&driver, 0, REQUEST, 9, READ, 0);
	driver_post(&driver, 0);
	expect_broken();
	/* And all is well again. */
	begin();
	hello();
}

/* A reset ends the session: fids are gone, and without a new version there is none. */
static void test_reset(void)
{
	static const uint8_t clunk[] = "\0\0\0";

	start("t");
	hello();
	begin();
	build(11, P9_TCLUNK, clunk, 4);
	EXPECT_EQ(11, transact(11, 100));
	EXPECT_EQ(P9_RLERROR, reply()[4]);
	EXPECT_EQ(EPROTO, word(reply() + 7));
	hello();
	EXPECT_EQ(0, lines);
}

static const struct test tests[] = {
	{ "configuration", test_config },
	{ "data in pieces", test_data },
	{ "chains that carry no request break the device", test_malformed },
	{ "a reset ends the session", test_reset },
};

int main(int argc, char **argv)
{
	char directory[512];
	int ret;

	snprintf(directory, sizeof(directory), "%s/shared", argc > 1 ? argv[1] : ".");
	mkdir(directory, 0755);
	if (chdir(directory))
		return 1;
	ret = RUN_TESTS(tests);
	unplug();
	return ret;
}
