// SPDX-License-Identifier: GPL-2.0
/*
 * vhost-vsock, unchanged, as a guest's device: its kick is a doorbell, its calls are irqfds. The
 * guest makes a packet available, kicks, and sleeps until it is interrupted; the virtqueues are
 * made by hand. Skipped where the host's kernel has no vhost_vsock.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <linux/virtio_vsock.h>
#include <linux/vm_sockets.h>

#include "guest.h"
#include "harness.h"
#include "limit.h"
#include "trap.h"

#define CID		77
#define HOST_PORT	2222
#define RX		0
#define TX		1
#define QUEUE_SIZE	4
#define PAGE		0x1000

/* In guest memory, for each queue: descriptors, available, used, buffers. */
#define QUEUE(which)	(0x80000 + (which) * 0x10000)
#define DESC(which)	QUEUE(which)
#define AVAIL(which)	(QUEUE(which) + PAGE)
#define USED(which)	(QUEUE(which) + 2 * PAGE)
#define BUFFER(which, n) (QUEUE(which) + (3 + (n)) * PAGE)

/* The host remembers a connection for seconds after its end: each process has another port. */
static unsigned int guest_port(void)
{
	return 1024 + getpid() % 60000;
}

/* Where a driver would notify the device: a word for each queue. */
#define NOTIFY		0x10000000

#define AWAIT(vector, count) \
	"1: cli\n cmpl $" #count ", 0x2a000 + 4 * " #vector "\n jae 2f\n sti\n hlt\n jmp 1b\n 2: sti\n"
#define TELL(value) "mov $" #value ", %al\n out %al, $0xe8\n"

/* One packet, an answer; another packet; an answer by itself. */
GUEST(driver, 64, "mov $0xfee00000, %r15d\n movl $0x1ff, 0xf0(%r15)\n"
      "mov $0x10000000, %ebx\n"
      "movw $1, 0x91002\n movw $1, 4(%rbx)\n" AWAIT(0x50, 1) AWAIT(0x51, 1) TELL(1)
      "movw $2, 0x91002\n movw $1, 4(%rbx)\n" AWAIT(0x51, 2) TELL(2)
      AWAIT(0x50, 2) TELL(3) "hlt\n");

FIXTURE(vhost) {
	struct guest guest;
	int vhost;
	int listener;
	int kick[2], call[2];
};

static int open_vhost(void)
{
	int fd = open("/dev/vhost-vsock", O_RDWR | O_CLOEXEC);

	if (fd < 0 && system("modprobe -q vhost_vsock 2>/dev/null") == 0)
		fd = open("/dev/vhost-vsock", O_RDWR | O_CLOEXEC);
	return fd;
}

FIXTURE_SETUP(vhost)
{
	self->vhost = open_vhost();
	if (self->vhost < 0)
		SKIP_VARIANT("this kernel has no vhost_vsock");
	ASSERT_EQ(0, guest_create(&self->guest, HULL_VM_IRQCHIP, GUEST_SIZE)) {
		TH_LOG("cannot create a VM: %s", strerror(errno));
	}
}

FIXTURE_TEARDOWN(vhost)
{
	EXPECT_EQ(0, hull_vm_check(self->guest.vm));
	guest_destroy(&self->guest);
}

static void *at(struct guest *guest, __u64 gpa)
{
	return guest->memory + gpa;
}

/* ---- the device ----------------------------------------------------------------------------- */

static int set_up_queue(int vhost, struct guest *guest, unsigned int which, int kick, int call)
{
	struct vhost_vring_state number = { which, QUEUE_SIZE }, base = { which, 0 };
	struct vhost_vring_file kick_file = { which, kick }, call_file = { which, call };
	struct vhost_vring_addr addr = {
		.index = which,
		.desc_user_addr = (unsigned long)at(guest, DESC(which)),
		.avail_user_addr = (unsigned long)at(guest, AVAIL(which)),
		.used_user_addr = (unsigned long)at(guest, USED(which)),
	};

	return ioctl(vhost, VHOST_SET_VRING_NUM, &number) ||
	       ioctl(vhost, VHOST_SET_VRING_BASE, &base) ||
	       ioctl(vhost, VHOST_SET_VRING_ADDR, &addr) ||
	       ioctl(vhost, VHOST_SET_VRING_KICK, &kick_file) ||
	       ioctl(vhost, VHOST_SET_VRING_CALL, &call_file);
}

static int set_memory(int vhost, struct guest *guest)
{
	struct vhost_memory *table = calloc(1, sizeof(*table) + sizeof(table->regions[0]));
	int ret;

	table->nregions = 1;
	table->regions[0].memory_size = guest->size;
	table->regions[0].userspace_addr = (unsigned long)guest->memory;
	ret = ioctl(vhost, VHOST_SET_MEM_TABLE, table);
	free(table);
	return ret;
}

static int start_device(int vhost, struct guest *guest, const int *kick, const int *call)
{
	__u64 features = 1ULL << VIRTIO_F_VERSION_1, cid = CID;
	int running = 1;

	return ioctl(vhost, VHOST_SET_OWNER) || ioctl(vhost, VHOST_SET_FEATURES, &features) ||
	       set_memory(vhost, guest) ||
	       set_up_queue(vhost, guest, RX, kick[RX], call[RX]) ||
	       set_up_queue(vhost, guest, TX, kick[TX], call[TX]) ||
	       ioctl(vhost, VHOST_VSOCK_SET_GUEST_CID, &cid) ||
	       ioctl(vhost, VHOST_VSOCK_SET_RUNNING, &running);
}

/* ---- the driver's part that is not in the guest --------------------------------------------- */

static void put_buffer(struct guest *guest, unsigned int which, unsigned int n, __u32 len)
{
	struct vring_desc *desc = at(guest, DESC(which));
	struct vring_avail *avail = at(guest, AVAIL(which));

	desc[n].addr = BUFFER(which, n);
	desc[n].len = len;
	desc[n].flags = which == RX ? VRING_DESC_F_WRITE : 0;
	avail->ring[n] = n;
}

/* Packet @n of the guest's, ready but for the index of the available ring. */
static void put_packet(struct guest *guest, unsigned int n, __u16 op, const char *data)
{
	struct virtio_vsock_hdr *header = at(guest, BUFFER(TX, n));

	*header = (struct virtio_vsock_hdr) {
		.src_cid = CID, .dst_cid = VMADDR_CID_HOST,
		.src_port = guest_port(), .dst_port = HOST_PORT,
		.len = strlen(data), .type = VIRTIO_VSOCK_TYPE_STREAM, .op = op,
		.buf_alloc = 65536,
	};
	memcpy(header + 1, data, strlen(data));
	put_buffer(guest, TX, n, sizeof(*header) + strlen(data));
}

/* Packet @n for the guest, if it has arrived. */
static const struct virtio_vsock_hdr *received(struct guest *guest, unsigned int n)
{
	const struct vring_used *used = at(guest, USED(RX));

	if (__atomic_load_n(&used->idx, __ATOMIC_ACQUIRE) <= n)
		return NULL;
	return at(guest, BUFFER(RX, used->ring[n].id));
}

/* How far a packet and its interrupt have come. */
static void print_progress(struct guest *guest, unsigned int which)
{
	const struct vring_avail *avail = at(guest, AVAIL(which));
	const struct vring_used *used = at(guest, USED(which));
	const __u32 *counter = at(guest, TRAP_COUNTER_GPA(0x50 + which));

	printf("# queue %u: %u available, %u used, guest interrupted %u times\n", which, avail->idx,
	       used->idx, *counter);
}

static int told(struct guest *guest, __u32 value)
{
	struct hull_stats stats;
	int ret;

	limit_set(10000000UL * time_scale());
	ret = guest_expect_write(guest, 0, HULL_SPACE_PORT, 0xe8, 1, value);
	limit_set(0);
	if (!ret)
		return 0;
	print_progress(guest, RX);
	print_progress(guest, TX);
	if (!hull_get_stats(guest->cpu[0].fd, &stats))
		printf("# doorbells %llu, HLT %llu, sleeps %llu, interrupts %llu\n",
		       stats.value[HULL_STAT_DOORBELL], stats.value[HULL_STAT_HLT],
		       stats.value[HULL_STAT_SLEEPS], stats.value[HULL_STAT_INTERRUPT]);
	return ret;
}

static int listen_host(void)
{
	struct sockaddr_vm address = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = HOST_PORT,
	};
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (void *)&address, sizeof(address)) || listen(fd, 1))
		return -1;
	return fd;
}

static bool is_readable(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	return poll(&pollfd, 1, 10000 * time_scale()) == 1;
}

TEST_F_TIMEOUT(vhost, vsock_connects_and_talks, 60)
{
	const struct hull_route routes[] = {
		{ .gsi = 30, .kind = HULL_ROUTE_MSI, .address = 0xfee00000, .data = 0x50 },
		{ .gsi = 31, .kind = HULL_ROUTE_MSI, .address = 0xfee00000, .data = 0x51 },
	};
	struct guest *guest = &self->guest;
	const struct virtio_vsock_hdr *packet;
	struct hull_stats stats;
	char data[16] = "";
	int i, connection;

	/* The launcher's part: queues, doorbells, irqfds. */
	ASSERT_EQ(0, hull_set_routes(guest->vm, routes, 2));
	for (i = 0; i < 2; i++) {
		struct hull_range bell = {
			.space = HULL_SPACE_MEMORY, .delivery = HULL_DELIVER_DOORBELL,
			.start = NOTIFY + 4 * i, .length = 4, .consumer = -1,
		};

		self->kick[i] = bell.eventfd = eventfd(0, EFD_CLOEXEC);
		self->call[i] = eventfd(0, EFD_CLOEXEC);
		ASSERT_EQ(0, hull_add_range(guest->vm, &bell));
		ASSERT_EQ(0, hull_add_irqfd(guest->vm, 30 + i, self->call[i], -1));
	}
	for (i = 0; i < QUEUE_SIZE; i++)
		put_buffer(guest, RX, i, PAGE);
	((struct vring_avail *)at(guest, AVAIL(RX)))->idx = QUEUE_SIZE;
	put_packet(guest, 0, VIRTIO_VSOCK_OP_REQUEST, "");
	put_packet(guest, 1, VIRTIO_VSOCK_OP_RW, "from the guest");
	self->listener = listen_host();
	ASSERT_LE(0, self->listener);
	ASSERT_EQ(0, start_device(self->vhost, guest, self->kick, self->call)) {
		TH_LOG("vhost: %s", strerror(errno));
	}

	/* Connect: the answer is in the guest's queue when it was interrupted. */
	ASSERT_EQ(0, guest_start(guest, 0, GUEST_LONG, GUEST_CODE(driver)));
	ASSERT_EQ(0, trap_install(guest, 0, GUEST_LONG, TRAP_COUNT_IRQS));
	ASSERT_EQ(0, told(guest, 1));
	packet = received(guest, 0);
	ASSERT_NE(NULL, packet);
	EXPECT_EQ(VIRTIO_VSOCK_OP_RESPONSE, packet->op);
	EXPECT_EQ(CID, packet->dst_cid);
	EXPECT_EQ(guest_port(), packet->dst_port);
	ASSERT_TRUE(is_readable(self->listener));
	connection = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, connection);

	/* To the host */
	ASSERT_EQ(0, told(guest, 2));
	ASSERT_TRUE(is_readable(connection));
	EXPECT_EQ(14, read(connection, data, sizeof(data)));
	EXPECT_EQ(0, memcmp(data, "from the guest", 14));

	/* To the guest, which sleeps. */
	EXPECT_EQ(8, write(connection, "and back", 8));
	ASSERT_EQ(0, told(guest, 3));
	packet = received(guest, 1);
	ASSERT_NE(NULL, packet);
	/* Credit may have gone first. */
	if (packet->op == VIRTIO_VSOCK_OP_CREDIT_UPDATE) {
		usleep(100000);
		packet = received(guest, 2);
		ASSERT_NE(NULL, packet);
	}
	EXPECT_EQ(VIRTIO_VSOCK_OP_RW, packet->op);
	EXPECT_EQ(8, packet->len);
	EXPECT_EQ(0, memcmp(packet + 1, "and back", 8));
	ASSERT_EQ(0, hull_get_stats(guest->cpu[0].fd, &stats));
	EXPECT_EQ(2, stats.value[HULL_STAT_DOORBELL]);
	/* The device goes after the VM's irqfds, or before: both are tried. */
	EXPECT_EQ(0, hull_remove_irqfd(guest->vm, 30, self->call[0], -1));
	close(connection);
	close(self->vhost);
}

HULL_TEST_MAIN
