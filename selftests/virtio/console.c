// SPDX-License-Identifier: GPL-2.0
/*
 * virtio-console over pipes, sockets and files: what is told of ports and when, bytes both ways
 * with slow readers and writers, ends that come and go, drivers that break the rules. The worker's
 * part is done here, by work(). Works in the directory that is its argument.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_ids.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "guest.h"
#include "virtio/console.h"

#define FEATURES	(1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_CONSOLE_F_MULTIPORT)
#define QUEUES		8		/* of the console, of control, and of two ports */
#define SIZE		16		/* of each */
#define BUFFER		4096
#define AT(queue, n)	(BUFFERS + ((queue) * SIZE + (n)) * BUFFER)

enum { CONTROL_RECEIVE = 2, CONTROL_SEND, RECEIVE_1, SEND_1, RECEIVE_2, SEND_2 };

static struct virtio_device *device;
static struct driver driver[QUEUES];
static char line[512];
static unsigned int lines;

static void on_line(const char *text)
{
	snprintf(line, sizeof(line), "%s", text);
	lines++;
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

static void begin_with(uint64_t features, unsigned int queues)
{
	unsigned int i;

	guest_begin(device, features);
	for (i = 0; i < queues; i++)
		guest_queue(i, &driver[i], SIZE);
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

static void plug(struct port *console, struct port *first, struct port *second)
{
	const struct console_port_setup setup[] = { { "first", first }, { "second", second } };
	struct failure why;

	unplug();
	machine_init();
	notice_sink = on_line;
	lines = 0;
	EXPECT(first && (second || console));
	device = virtio_console_create("console0", console, setup, second ? 2 : 1, &m.memory,
				       &why);
	EXPECT(device);
	guest_plug(device);
}

static struct port *of_fd(int fd)
{
	struct failure why;

	return port_of_fd(fd, PORT_BOTH, &why);
}

/* ---- the driver ----------------------------------------------------------------------------- */

/* Makes buffer @n of @queue available, for the device to fill. */
static void offer(unsigned int queue, unsigned int n, uint32_t size)
{
	driver_desc(&driver[queue], n, AT(queue, n), size, WRITE, 0);
	driver_post(&driver[queue], n);
}

/* Sends @size bytes by buffer @n. */
static void post(unsigned int queue, unsigned int n, const void *data, uint32_t size)
{
	EXPECT_EQ(0, memory_write(&m.memory, AT(queue, n), data, size));
	driver_desc(&driver[queue], n, AT(queue, n), size, READ, 0);
	driver_post(&driver[queue], n);
}

static void say(uint32_t id, uint16_t event, uint16_t value)
{
	const struct virtio_console_control control = { id, event, value };

	post(CONTROL_SEND, 0, &control, sizeof(control));
	kick(CONTROL_SEND);
	EXPECT(driver_used(&driver[CONTROL_SEND]));
}

/* The next message is this one; returns what follows it, in the driver's buffer. */
static const char *expect_told(uint32_t id, uint16_t event, uint16_t value, uint32_t more)
{
	const struct vring_used_elem *elem = driver_used(&driver[CONTROL_RECEIVE]);
	struct virtio_console_control *control;

	EXPECT(elem);
	if (!elem)
		return "";
	EXPECT_EQ(sizeof(*control) + more, elem->len);
	control = memory_at(&m.memory, AT(CONTROL_RECEIVE, elem->id), BUFFER);
	EXPECT_EQ(id, control->id);
	EXPECT_EQ(event, control->event);
	EXPECT_EQ(value, control->value);
	offer(CONTROL_RECEIVE, elem->id, BUFFER);
	return (const char *)(control + 1);
}

static void expect_silence(void)
{
	EXPECT(!driver_used(&driver[CONTROL_RECEIVE]));
}

/* Up to ports that are ready, and not open. */
static void begin(unsigned int queues)
{
	unsigned int i;

	begin_with(FEATURES, queues);
	for (i = 0; i < SIZE; i++)
		offer(CONTROL_RECEIVE, i, BUFFER);
	kick(CONTROL_RECEIVE);
	expect_silence();
	say(VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
}

static void port_added(uint32_t id, const char *name, bool open)
{
	const char *told;

	expect_told(id, VIRTIO_CONSOLE_PORT_ADD, 1, 0);
	expect_silence();
	say(id, VIRTIO_CONSOLE_PORT_READY, 1);
	told = expect_told(id, VIRTIO_CONSOLE_PORT_NAME, 1, strlen(name));
	EXPECT(!memcmp(told, name, strlen(name)));
	expect_told(id, VIRTIO_CONSOLE_PORT_OPEN, open, 0);
	expect_silence();
}

/* One port, which is open on both sides. */
static void begin_one(bool open)
{
	begin(6);
	port_added(1, "first", open);
	say(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	expect_silence();
}

/* A console that does nothing, so that a device with one port has its queues alike. */
static struct port *nothing(void)
{
	return of_fd(open("/dev/null", O_RDWR));
}

static void plug_one(struct port *first)
{
	struct failure why;
	const struct console_port_setup setup = { "first", first };

	unplug();
	machine_init();
	notice_sink = on_line;
	lines = 0;
	EXPECT(first);
	device = virtio_console_create("console0", NULL, &setup, 1, &m.memory, &why);
	EXPECT(device);
	guest_plug(device);
}

/* ---- pipes ---------------------------------------------------------------------------------- */

static int pipe_end[2];

/* A pipe with one page: what is more has to wait. @out: the guest writes to it. */
static struct port *pipe_port(bool out)
{
	EXPECT_EQ(0, pipe(pipe_end));
	fcntl(pipe_end[0], F_SETPIPE_SZ, 4096);
	fcntl(pipe_end[!out], F_SETFL, O_NONBLOCK);
	return of_fd(pipe_end[out]);
}

static uint8_t pattern(size_t i)
{
	return i * 7 + i / 251;
}

static void fill(uint8_t *data, size_t from, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		data[i] = pattern(from + i);
}

/* Reads what there is; checks that it goes on from @from. */
static size_t read_pattern(int fd, size_t from)
{
	uint8_t data[8192], want[8192];
	ssize_t got = read(fd, data, sizeof(data));

	if (got <= 0)
		return 0;
	fill(want, from, got);
	EXPECT(!memcmp(data, want, got));
	return got;
}

static bool at_end(int fd)
{
	char byte;

	return read(fd, &byte, 1) == 0;
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void test_config(void)
{
	plug(NULL, nothing(), nothing());
	EXPECT_EQ(0x1040 + VIRTIO_ID_CONSOLE, cfg_read(SLOT, PCI_DEVICE_ID, 2));
	EXPECT_EQ(3, mem_read(config + 4, 4));
	EXPECT(offered() & 1ULL << VIRTIO_CONSOLE_F_MULTIPORT);
	EXPECT(!(offered() & 1ULL << VIRTIO_CONSOLE_F_SIZE));
	begin(QUEUES);
	expect_told(1, VIRTIO_CONSOLE_PORT_ADD, 1, 0);
	port_added(2, "second", true);
	say(1, VIRTIO_CONSOLE_PORT_READY, 1);
	expect_told(1, VIRTIO_CONSOLE_PORT_NAME, 1, 5);
	expect_told(1, VIRTIO_CONSOLE_PORT_OPEN, 1, 0);
	expect_silence();
	/* Nothing that follows from these. */
	say(0, VIRTIO_CONSOLE_PORT_READY, 1);
	say(1, VIRTIO_CONSOLE_PORT_READY, 1);
	say(1, VIRTIO_CONSOLE_PORT_READY, 0);
	say(2, 0x7777, 1);
	say(7, VIRTIO_CONSOLE_DEVICE_READY, 0);
	expect_silence();
	EXPECT_EQ(0x0f, status());
	EXPECT_EQ(0, lines);
}

/* What is to be told waits for buffers, as it is by then. */
static void test_no_buffers(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "socket" };
	struct failure why;
	int fd, i;

	plug_one(port_of_unix("socket", NULL, &why));
	begin_with(FEATURES, 6);
	say(VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	say(1, VIRTIO_CONSOLE_PORT_READY, 1);
	for (i = 0; i < 1000; i++) {
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		EXPECT_EQ(0, connect(fd, (struct sockaddr *)&address, sizeof(address)));
		work();
		say(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
		close(fd);
		offer(RECEIVE_1, 0, BUFFER);
		kick(RECEIVE_1);
		say(1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	}
	for (i = 0; i < SIZE; i++)
		offer(CONTROL_RECEIVE, i, BUFFER);
	kick(CONTROL_RECEIVE);
	expect_told(1, VIRTIO_CONSOLE_PORT_ADD, 1, 0);
	expect_told(1, VIRTIO_CONSOLE_PORT_NAME, 1, 5);
	expect_told(1, VIRTIO_CONSOLE_PORT_OPEN, 0, 0);
	expect_silence();
}

/* The reader takes a page now and then: the guest waits, all arrives, in order. */
static void test_slow_reader(void)
{
	size_t sent = 0, read_so_far = 0, total = 1 << 20;
	unsigned int outstanding = 0, next = 0, most = 0;
	uint8_t data[BUFFER];

	plug_one(pipe_port(true));
	begin_one(true);
	while (read_so_far < total) {
		while (outstanding < SIZE && sent < total) {
			fill(data, sent, sizeof(data));
			post(SEND_1, next++ % SIZE, data, sizeof(data));
			sent += sizeof(data);
			outstanding++;
		}
		kick(SEND_1);
		while (driver_used(&driver[SEND_1]))
			outstanding--;
		if (outstanding > most)
			most = outstanding;
		read_so_far += read_pattern(pipe_end[0], read_so_far);
		work();
	}
	/* One page is in the pipe, and one buffer more than that may be taken. */
	EXPECT(most >= SIZE - 2);
	EXPECT_EQ(total, read_so_far);
	work();
	while (driver_used(&driver[SEND_1]))
		outstanding--;
	EXPECT_EQ(0, outstanding);
	close(pipe_end[0]);
}

/* Nothing is read before the guest has opened its end, or while it has no buffers. */
static void test_slow_guest(void)
{
	const struct vring_used_elem *elem;
	uint8_t data[4096], want[1000];
	size_t got = 0;

	plug_one(pipe_port(false));
	begin(6);
	port_added(1, "first", true);
	fill(data, 0, sizeof(data));
	EXPECT_EQ(4096, write(pipe_end[1], data, sizeof(data)));
	offer(RECEIVE_1, 0, 1000);
	kick(RECEIVE_1);
	EXPECT(!driver_used(&driver[RECEIVE_1]));
	EXPECT(write(pipe_end[1], data, 1) < 0 && errno == EAGAIN);
	say(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	while ((elem = driver_used(&driver[RECEIVE_1]))) {
		EXPECT(elem->len <= 1000);
		fill(want, got, elem->len);
		EXPECT(!memcmp(memory_at(&m.memory, AT(RECEIVE_1, 0), 1000), want, elem->len));
		got += elem->len;
		offer(RECEIVE_1, 0, 1000);
		kick(RECEIVE_1);
	}
	EXPECT_EQ(4096, got);
	/* A buffer waits: what comes arrives without a kick. */
	EXPECT_EQ(3, write(pipe_end[1], "abc", 3));
	work();
	elem = driver_used(&driver[RECEIVE_1]);
	EXPECT(elem && elem->len == 3);
	expect_silence();
	/* The end comes after what is before it. */
	EXPECT_EQ(3, write(pipe_end[1], "end", 3));
	close(pipe_end[1]);
	work();
	expect_silence();
	offer(RECEIVE_1, 0, 1000);
	offer(RECEIVE_1, 1, 1000);
	kick(RECEIVE_1);
	elem = driver_used(&driver[RECEIVE_1]);
	EXPECT(elem && elem->len == 3);
	EXPECT(!driver_used(&driver[RECEIVE_1]));
	expect_told(1, VIRTIO_CONSOLE_PORT_OPEN, 0, 0);
	expect_silence();
}

/* The guest closes its port with more under way than the pipe takes. */
static void test_guest_closes(void)
{
	uint8_t data[3 * BUFFER];
	size_t got = 0;
	unsigned int i;

	plug_one(pipe_port(true));
	begin_one(true);
	fill(data, 0, sizeof(data));
	for (i = 0; i < 3; i++)
		post(SEND_1, i, data + i * BUFFER, BUFFER);
	say(1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	while (got < sizeof(data)) {
		got += read_pattern(pipe_end[0], got);
		work();
	}
	EXPECT(at_end(pipe_end[0]));
	expect_told(1, VIRTIO_CONSOLE_PORT_OPEN, 0, 0);
	close(pipe_end[0]);
	/* It stays so, and what is sent is lost. */
	say(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	kick(SEND_1);
	while (driver_used(&driver[SEND_1]))
		;
	post(SEND_1, 0, data, 10);
	kick(SEND_1);
	EXPECT(driver_used(&driver[SEND_1]));
	expect_silence();
	EXPECT_EQ(0, lines);
}

static void test_reader_leaves(void)
{
	uint8_t data[BUFFER] = { 0 };
	unsigned int i;

	plug_one(pipe_port(true));
	begin_one(true);
	for (i = 0; i < 4; i++)
		post(SEND_1, i, data, BUFFER);
	kick(SEND_1);
	EXPECT(driver_used(&driver[SEND_1]));
	EXPECT(!driver_used(&driver[SEND_1]));
	close(pipe_end[0]);
	work();
	for (i = 0; i < 3; i++)
		EXPECT(driver_used(&driver[SEND_1]));
	expect_told(1, VIRTIO_CONSOLE_PORT_OPEN, 0, 0);
	expect_silence();
	EXPECT_EQ(0, lines);
}

static void *unplug_aside(void *opaque)
{
	unplug();
	return opaque;
}

/* What was sent is not lost when the guest has ended, as long as it is read. */
static void test_drain(void)
{
	uint8_t data[8 * BUFFER];
	size_t got = 0;
	unsigned int i;
	pthread_t thread;

	plug_one(pipe_port(true));
	begin_one(true);
	fill(data, 0, sizeof(data));
	for (i = 0; i < 8; i++)
		post(SEND_1, i, data + i * BUFFER, BUFFER);
	EXPECT_EQ(0, pthread_create(&thread, NULL, unplug_aside, NULL));
	fcntl(pipe_end[0], F_SETFL, 0);
	while (got < sizeof(data)) {
		size_t more = read_pattern(pipe_end[0], got);

		if (!more)
			break;
		got += more;
		usleep(1000);
	}
	EXPECT_EQ(sizeof(data), got);
	EXPECT_EQ(0, pthread_join(thread, NULL));
	close(pipe_end[0]);
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	strcpy(address.sun_path, path);
	EXPECT_EQ(0, connect(fd, (struct sockaddr *)&address, sizeof(address)));
	return fd;
}

static void test_unix(void)
{
	const struct vring_used_elem *elem;
	struct failure why;
	char data[16];
	int fd, other;

	plug_one(port_of_unix("socket", NULL, &why));
	begin_one(false);
	fd = connect_to("socket");
	work();
	expect_told(1, VIRTIO_CONSOLE_PORT_OPEN, 1, 0);
	offer(RECEIVE_1, 0, BUFFER);
	kick(RECEIVE_1);
	EXPECT_EQ(5, write(fd, "hello", 5));
	work();
	elem = driver_used(&driver[RECEIVE_1]);
	EXPECT(elem && elem->len == 5);
	EXPECT(!memcmp(memory_at(&m.memory, AT(RECEIVE_1, 0), 5), "hello", 5));
	post(SEND_1, 0, "answer", 6);
	kick(SEND_1);
	EXPECT(driver_used(&driver[SEND_1]));
	EXPECT_EQ(6, read(fd, data, sizeof(data)));
	/* A second one waits until the first has left. */
	other = connect_to("socket");
	work();
	expect_silence();
	close(fd);
	offer(RECEIVE_1, 0, BUFFER);
	kick(RECEIVE_1);
	work();
	expect_told(1, VIRTIO_CONSOLE_PORT_OPEN, 0, 0);
	expect_told(1, VIRTIO_CONSOLE_PORT_OPEN, 1, 0);
	/* The guest closes: that is the end of this connection, and not of the port. */
	say(1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	EXPECT(at_end(other));
	close(other);
	expect_told(1, VIRTIO_CONSOLE_PORT_OPEN, 0, 0);
	fd = connect_to("socket");
	work();
	expect_told(1, VIRTIO_CONSOLE_PORT_OPEN, 1, 0);
	close(fd);
	unplug();
	EXPECT(access("socket", F_OK) && errno == ENOENT);
}

/* What a launcher that was killed has left is no obstacle; what is no socket is. */
static void test_unix_path(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "stale" };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char path[200];
	struct failure why;
	struct port *port;

	unlink("stale");
	EXPECT_EQ(0, bind(fd, (struct sockaddr *)&address, sizeof(address)));
	close(fd);
	port = port_of_unix("stale", NULL, &why);
	EXPECT(port);
	if (port) {
		EXPECT(!port_of_unix("stale", NULL, &why));
		EXPECT(strstr(why.text, "stale"));
		port->ops->destroy(port);
	}
	fd = open("stale", O_WRONLY | O_CREAT, 0644);
	EXPECT(fd >= 0);
	close(fd);
	EXPECT(!port_of_unix("stale", NULL, &why));
	EXPECT(!access("stale", F_OK));
	unlink("stale");
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	EXPECT(!port_of_unix(path, NULL, &why));
	EXPECT(!port_of_unix("", NULL, &why));
	EXPECT(!port_of_unix("no/such/directory", NULL, &why));
}

static void test_file(void)
{
	struct failure why;
	char data[32] = "";
	int fd;

	plug_one(port_of_file("file", &why));
	begin_one(true);
	post(SEND_1, 0, "one ", 4);
	kick(SEND_1);
	say(1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	say(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	post(SEND_1, 1, "two", 3);
	kick(SEND_1);
	expect_silence();
	fd = open("file", O_RDONLY);
	EXPECT_EQ(7, read(fd, data, sizeof(data)));
	EXPECT(!strcmp(data, "one two"));
	close(fd);
	/* It has nothing for the guest. */
	offer(RECEIVE_1, 0, BUFFER);
	kick(RECEIVE_1);
	EXPECT(!driver_used(&driver[RECEIVE_1]));
	unplug();
	EXPECT(!port_of_file("no/such/file", &why));
	EXPECT(strstr(why.text, "no/such/file"));
	/* A disk that is full: the user is told. */
	plug_one(port_of_file("/dev/full", &why));
	begin_one(true);
	post(SEND_1, 0, "x", 1);
	kick(SEND_1);
	expect_told(1, VIRTIO_CONSOLE_PORT_OPEN, 0, 0);
	EXPECT(strstr(line, "console0") && strstr(line, "first"));
}

static void test_pty(void)
{
	const struct vring_used_elem *elem;
	struct failure why;
	char name[64], data[16];
	int fd, i;

	plug_one(port_of_pty(name, sizeof(name), &why));
	begin_one(true);
	post(SEND_1, 0, "early\n", 6);
	kick(SEND_1);
	fd = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK);
	EXPECT_EQ(6, read(fd, data, sizeof(data)));
	offer(RECEIVE_1, 0, BUFFER);
	kick(RECEIVE_1);
	EXPECT_EQ(2, write(fd, "x\003", 2));
	/* The kernel takes its time. */
	for (i = 0; i < 1000 && !(elem = driver_used(&driver[RECEIVE_1])); i++) {
		usleep(1000);
		work();
	}
	EXPECT(elem && elem->len == 2);
	close(fd);
	work();
	expect_silence();
}

/* Sockets, and descriptors that may block: what others have of them stays as it was. */
static void test_shared_fd(void)
{
	uint8_t data[BUFFER];
	size_t got = 0;
	unsigned int i;
	int fd[2], kept;

	EXPECT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
	kept = dup(fd[0]);
	plug_one(of_fd(fd[0]));
	begin_one(true);
	for (i = 0; i < SIZE; i++) {
		fill(data, i * BUFFER, BUFFER);
		post(SEND_1, i, data, BUFFER);
	}
	kick(SEND_1);
	EXPECT(!(fcntl(kept, F_GETFL) & O_NONBLOCK));
	fcntl(fd[1], F_SETFL, O_NONBLOCK);
	while (got < SIZE * BUFFER) {
		got += read_pattern(fd[1], got);
		work();
	}
	close(kept);
	say(1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	EXPECT(at_end(fd[1]));
	close(fd[1]);
	unplug();
	EXPECT(!of_fd(9999));
}

static void expect_broken(unsigned int queue)
{
	kick(queue);
	EXPECT(status() & VIRTIO_CONFIG_S_NEEDS_RESET);
	EXPECT(strstr(line, "console0: the guest's driver broke a rule"));
}

static void test_malformed(void)
{
	const struct virtio_console_control bad = { 3, VIRTIO_CONSOLE_PORT_READY, 1 };
	struct failure why;

	plug(NULL, port_of_file("file", &why), nothing());
	begin(QUEUES);
	post(CONTROL_SEND, 0, &bad, sizeof(bad));
	expect_broken(CONTROL_SEND);
	begin(QUEUES);
	post(CONTROL_SEND, 0, &bad, sizeof(bad) - 1);
	expect_broken(CONTROL_SEND);
	begin(QUEUES);
	offer(CONTROL_SEND, 0, BUFFER);
	expect_broken(CONTROL_SEND);
	/* Buffers that are the wrong way round, or too small. */
	begin(QUEUES);
	say(1, VIRTIO_CONSOLE_PORT_READY, 1);
	offer(SEND_1, 0, BUFFER);
	expect_broken(SEND_1);
	begin(QUEUES);
	say(2, VIRTIO_CONSOLE_PORT_READY, 1);
	say(2, VIRTIO_CONSOLE_PORT_OPEN, 1);
	post(RECEIVE_2, 0, "x", 1);
	expect_broken(RECEIVE_2);
	begin_with(FEATURES, QUEUES);
	offer(CONTROL_RECEIVE, 0, sizeof(bad) - 1);
	post(CONTROL_SEND, 0, &(struct virtio_console_control){ 0, 0, 1 }, sizeof(bad));
	expect_broken(CONTROL_SEND);
	begin_with(FEATURES, QUEUES);
	post(CONTROL_RECEIVE, 0, "x", 1);
	post(CONTROL_SEND, 0, &(struct virtio_console_control){ 0, 0, 1 }, sizeof(bad));
	expect_broken(CONTROL_SEND);
	/* And all is well again; a file is still the same one. */
	begin_with(FEATURES, QUEUES);
	begin(QUEUES);
	EXPECT_EQ(0x0f, status());
}

static void test_console(void)
{
	const struct vring_used_elem *elem;
	const uint8_t *told;

	EXPECT_EQ(0, pipe(pipe_end));
	plug(of_fd(pipe_end[1]), nothing(), NULL);
	EXPECT(offered() & 1ULL << VIRTIO_CONSOLE_F_SIZE);
	virtio_console_resize(device, 80, 25);
	EXPECT_EQ(80, mem_read(config, 2));
	EXPECT_EQ(25, mem_read(config + 2, 2));
	begin(6);
	expect_told(0, VIRTIO_CONSOLE_PORT_ADD, 1, 0);
	expect_told(1, VIRTIO_CONSOLE_PORT_ADD, 1, 0);
	say(0, VIRTIO_CONSOLE_PORT_READY, 1);
	expect_told(0, VIRTIO_CONSOLE_CONSOLE_PORT, 1, 0);
	expect_told(0, VIRTIO_CONSOLE_PORT_NAME, 1, 7);
	told = (const uint8_t *)expect_told(0, VIRTIO_CONSOLE_RESIZE, 1, 4);
	EXPECT(!memcmp(told, "\x50\0\x19\0", 4));
	expect_told(0, VIRTIO_CONSOLE_PORT_OPEN, 1, 0);
	virtio_console_resize(device, 132, 50);
	work();
	told = (const uint8_t *)expect_told(0, VIRTIO_CONSOLE_RESIZE, 1, 4);
	EXPECT(!memcmp(told, "\x84\0\x32\0", 4));
	expect_silence();
	close(pipe_end[0]);
	/* Without control messages there is the console, and nothing else. */
	EXPECT_EQ(0, pipe(pipe_end));
	plug(of_fd(pipe_end[1]), nothing(), NULL);
	begin_with(1ULL << VIRTIO_F_VERSION_1, 2);
	post(1, 0, "booting", 7);
	kick(1);
	elem = driver_used(&driver[1]);
	EXPECT(elem && elem->id == 0);
	EXPECT_EQ(7, read(pipe_end[0], line, sizeof(line)));
	close(pipe_end[0]);
	/* Nor does one hang that writes to a console that is not there. */
	plug_one(nothing());
	begin_with(1ULL << VIRTIO_F_VERSION_1, 2);
	post(1, 0, "booting", 7);
	kick(1);
	EXPECT(driver_used(&driver[1]));
	EXPECT_EQ(0x0f, status());
}

static const struct test tests[] = {
	{ "ports are told of", test_config },
	{ "what is to be told waits for buffers, as it is by then", test_no_buffers },
	{ "a slow reader slows the guest down", test_slow_reader },
	{ "nothing is read that the guest has no room for", test_slow_guest },
	{ "the guest closing its port is the end of file, after all it sent", test_guest_closes },
	{ "the reader's leaving closes the port", test_reader_leaves },
	{ "what was sent is not lost when the guest has ended", test_drain },
	{ "connections come and go", test_unix },
	{ "paths of sockets", test_unix_path },
	{ "a file", test_file },
	{ "a pseudo-terminal", test_pty },
	{ "descriptors that others have, too", test_shared_fd },
	{ "malformed chains and messages break the device", test_malformed },
	{ "the guest's console", test_console },
};

int main(int argc, char **argv)
{
	char directory[512];
	int ret;

	snprintf(directory, sizeof(directory), "%s/consoles", argc > 1 ? argv[1] : ".");
	mkdir(directory, 0755);
	if (chdir(directory))
		return 1;
	signal(SIGPIPE, SIG_IGN);
	ret = RUN_TESTS(tests);
	unplug();
	return ret;
}
