// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts of queues that others work on: the table of routes, over a module in memory; a device
 * whose queue's eventfd is an irqfd when it can be, and the worker's otherwise; and that none is
 * lost between the two, whatever the driver does with its vectors.
 */
#include <linux/virtio_ids.h>
#include <poll.h>
#include <unistd.h>

#include "guest.h"
#include "machine/route.h"

#define IRQFDS		8
#define BASE		(1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_F_RING_RESET)
#define ADDRESS		0xfee00000ULL
#define NO_VECTOR	0xffff

/* ---- the module ----------------------------------------------------------------------------- */

static struct {
	struct hull_route table[HULL_MAX_ROUTES];
	unsigned int count, tables;
	struct {
		unsigned int gsi;
		int eventfd;
	} irqfd[IRQFDS];
	unsigned int irqfds, adds;
	bool full;
	unsigned int messages;
	uint64_t address;
	uint32_t data;
} module;

static struct routes routes;

static int set_routes(void *opaque, const struct hull_route *route, unsigned int count)
{
	unsigned int i, j;

	(void)opaque;
	EXPECT(count <= HULL_MAX_ROUTES);
	for (i = 0; i < count; i++) {
		EXPECT(route[i].gsi >= ROUTE_GSI_BASE && route[i].gsi < HULL_MAX_ROUTES);
		EXPECT(!route[i].pin && !route[i].flags && !route[i].reserved);
		for (j = 0; j < i; j++)
			EXPECT(route[i].gsi != route[j].gsi);
		if (route[i].kind != HULL_ROUTE_MSI || route[i].address >> 20 != ADDRESS >> 20)
			return -1;
	}
	memcpy(module.table, route, count * sizeof(*route));
	module.count = count;
	module.tables++;
	return 0;
}

/* What is in the eventfd is sent, if this is an irqfd that has a route. */
static void take(int eventfd)
{
	unsigned int i, j;

	for (i = 0; i < module.irqfds; i++) {
		if (module.irqfd[i].eventfd != eventfd)
			continue;
		for (j = 0; j < module.count; j++) {
			if (module.table[j].gsi != module.irqfd[i].gsi || !event_drain(eventfd))
				continue;
			module.messages++;
			module.address = module.table[j].address;
			module.data = module.table[j].data;
		}
	}
}

static int add_irqfd(void *opaque, unsigned int gsi, int eventfd)
{
	unsigned int i;

	(void)opaque;
	for (i = 0; i < module.irqfds; i++)
		EXPECT(module.irqfd[i].eventfd != eventfd);
	if (module.full || module.irqfds == IRQFDS)
		return -1;
	module.irqfd[module.irqfds].gsi = gsi;
	module.irqfd[module.irqfds++].eventfd = eventfd;
	module.adds++;
	take(eventfd);
	return 0;
}

static void remove_irqfd(void *opaque, unsigned int gsi, int eventfd)
{
	unsigned int i;

	(void)opaque;
	for (i = 0; i < module.irqfds; i++)
		if (module.irqfd[i].gsi == gsi && module.irqfd[i].eventfd == eventfd)
			break;
	EXPECT(i < module.irqfds);
	module.irqfd[i] = module.irqfd[--module.irqfds];
}

static void module_init(void)
{
	const struct route_ops ops = {
		.set_routes = set_routes, .add_irqfd = add_irqfd, .remove_irqfd = remove_irqfd,
	};

	memset(&module, 0, sizeof(module));
	routes_init(&routes, &ops);
}

/* ---- the table ------------------------------------------------------------------------------ */

static void test_table(void)
{
	int one = event_create(), other = event_create();

	module_init();
	EXPECT_EQ(0, route_add(&routes, one, ADDRESS, 0x51));
	EXPECT_EQ(0, route_add(&routes, other, ADDRESS + 0x1000, 0x52));
	EXPECT_EQ(2, module.count);
	EXPECT_EQ(2, module.irqfds);
	event_signal(other);
	take(other);
	EXPECT_EQ(1, module.messages);
	EXPECT_EQ(ADDRESS + 0x1000, module.address);
	EXPECT_EQ(0x52, module.data);
	/* Another message: no moment without one. */
	EXPECT_EQ(0, route_add(&routes, one, ADDRESS, 0x61));
	EXPECT_EQ(2, module.adds);
	EXPECT_EQ(3, module.tables);
	/* Gone for a while: the table stays, and so does what was signalled meanwhile. */
	route_remove(&routes, one);
	route_remove(&routes, one);
	EXPECT_EQ(1, module.irqfds);
	event_signal(one);
	take(one);
	EXPECT_EQ(1, module.messages);
	EXPECT_EQ(0, route_add(&routes, one, ADDRESS, 0x61));
	EXPECT_EQ(2, module.messages);
	EXPECT_EQ(0x61, module.data);
	EXPECT_EQ(3, module.tables);
	route_remove(&routes, one);
	route_remove(&routes, other);
	EXPECT_EQ(0, module.irqfds);
	close(one);
	close(other);
}

static void test_refused(void)
{
	int one = event_create(), other = event_create();
	unsigned int i;

	module_init();
	route_remove(&routes, one);
	EXPECT_EQ(0, route_add(&routes, one, ADDRESS, 0x51));
	/* Not messages: theirs alone fail, and they are no irqfds any more. */
	EXPECT(route_add(&routes, other, 0x1000, 0x52));
	EXPECT(route_add(&routes, other, 0, 0));
	EXPECT_EQ(1, module.irqfds);
	EXPECT(route_add(&routes, one, ~0ULL, 0x51));
	EXPECT_EQ(0, module.irqfds);
	EXPECT_EQ(0, route_add(&routes, other, ADDRESS, 0x52));
	EXPECT_EQ(0, route_add(&routes, one, ADDRESS, 0x51));
	route_remove(&routes, one);
	module.full = true;
	EXPECT(route_add(&routes, one, ADDRESS, 0x51));
	module.full = false;
	EXPECT_EQ(0, route_add(&routes, one, ADDRESS, 0x51));
	/* As many as there is room for. */
	module.full = true;
	for (i = 1000; i < 1000 + ROUTES; i++)
		EXPECT(route_add(&routes, i, ADDRESS, 0x53));
	EXPECT_EQ(ROUTES, routes.count);
	EXPECT_EQ(ROUTES, module.count);
	close(one);
	close(other);
}

/* ---- a device whose queue 1 is an outside one ----------------------------------------------- */

static struct virtio_device *device;
static struct driver driver;
static unsigned int kicks, drains, cap;
static uint64_t table;

static void on_kick(struct virtio_device *of, unsigned int index)
{
	(void)of;
	kicks += index;
}

static void on_drain(struct virtio_device *of, unsigned int index)
{
	drains += index;
	/* The last moment at which it is signalled. */
	event_signal(of->queue[index].call);
}

static void on_destroy(struct virtio_device *of)
{
	free(of);
}

static const struct virtio_ops ops = {
	.kick = on_kick, .drain = on_drain, .destroy = on_destroy,
};

static int on_add_irqfd(void *opaque, int eventfd, uint64_t address, uint32_t data)
{
	(void)opaque;
	return route_add(&routes, eventfd, address, data);
}

static void on_remove_irqfd(void *opaque, int eventfd)
{
	(void)opaque;
	route_remove(&routes, eventfd);
}

static void on_line(const char *text)
{
	EXPECT(strstr(text, "outside: the guest's driver broke a rule"));
}

static void plug(void)
{
	struct failure why;

	if (device)
		virtio_destroy(device);
	machine_init();
	module_init();
	m.host.platform.add_irqfd = on_add_irqfd;
	m.host.platform.remove_irqfd = on_remove_irqfd;
	notice_sink = on_line;
	kicks = 0;
	drains = 0;
	device = calloc(1, sizeof(*device));
	device->ops = &ops;
	device->name = "outside";
	device->type = VIRTIO_ID_VSOCK;
	device->offered = VIRTIO_COMMON_FEATURES;
	device->queues = 2;
	device->queue[1].outside = true;
	EXPECT_EQ(0, virtio_create(device, &m.memory, &why));
	guest_plug(device);
	cap = find_cap(SLOT, 0, PCI_CAP_ID_MSIX);
	table = cfg_read(SLOT, PCI_BASE_ADDRESS_1, 4) & ~15U;
}

static void msix(uint16_t flags)
{
	cfg_write(SLOT, cap + 2, flags, 2);
}

static void mask(unsigned int vector, bool on)
{
	mem_write(table + 16 * vector + 12, on, 4);
}

static void set_message(unsigned int vector, uint64_t address, uint32_t data)
{
	mem_write(table + 16 * vector, address, 8);
	mem_write(table + 16 * vector + 8, data, 4);
}

static void set_vector(unsigned int vector)
{
	select_queue(1);
	mem_write(common + VIRTIO_PCI_COMMON_Q_MSIX, vector, 2);
}

/* As Linux does: vector 1 is masked until all of it is written. */
static void start(void)
{
	plug();
	guest_begin(device, BASE);
	guest_queue(1, &driver, 8);
	msix(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	set_message(1, ADDRESS, 0x51);
	set_vector(1);
	mask(1, false);
	msix(PCI_MSIX_FLAGS_ENABLE);
	guest_go(device);
	EXPECT_EQ(0x0f, status());
}

static bool watched(void)
{
	struct pollfd pollfd = { .fd = device->worker.epoll, .events = POLLIN };

	return poll(&pollfd, 1, 0) == 1;
}

/* By whoever works on the queue; then the worker, if it is woken. */
static void signal_call(void)
{
	event_signal(device->queue[1].call);
	take(device->queue[1].call);
	if (device->queue[1].watching_calls)
		device->queue[1].watch.ready(&device->queue[1]);
}

static void expect_sent(unsigned int by_module, unsigned int by_worker)
{
	EXPECT_EQ(by_module, module.messages);
	EXPECT_EQ(by_worker, m.messages);
	module.messages = 0;
	m.messages = 0;
}

static uint64_t pending(void)
{
	return mem_read(table + PAGE_SIZE / 2, 8);
}

static void test_direct(void)
{
	start();
	EXPECT_EQ(1, kicks);
	EXPECT_EQ(1, module.irqfds);
	EXPECT_EQ(1, m.doorbells);
	signal_call();
	expect_sent(1, 0);
	EXPECT_EQ(0x51, module.data);
	/* The worker sleeps on, whoever kicks or calls. */
	event_drain(device->control);
	event_signal(device->queue[1].call);
	mem_write(notify + notify_step, 1, 2);
	EXPECT(!watched());
	take(device->queue[1].call);
	expect_sent(1, 0);
	/* Live, another message. */
	set_message(1, ADDRESS + 0x1000, 0x61);
	signal_call();
	expect_sent(1, 0);
	EXPECT_EQ(ADDRESS + 0x1000, module.address);
	EXPECT_EQ(0x61, module.data);
	/* Or vector. */
	set_message(0, ADDRESS, 0x71);
	mask(0, false);
	set_vector(0);
	signal_call();
	expect_sent(1, 0);
	EXPECT_EQ(0x71, module.data);
	/* What the BAR does is of no matter. */
	cfg_write(SLOT, PCI_BASE_ADDRESS_4, PCI_WINDOW + 0x1000000, 4);
	signal_call();
	expect_sent(1, 0);
}

static void test_masked(void)
{
	start();
	mask(1, true);
	EXPECT_EQ(0, module.irqfds);
	EXPECT_EQ(0, pending());
	signal_call();
	signal_call();
	expect_sent(0, 0);
	EXPECT_EQ(2, pending());
	mask(1, false);
	expect_sent(0, 1);
	EXPECT_EQ(0, pending());
	EXPECT_EQ(1, module.irqfds);
	/* The whole function; before the worker has looked. */
	msix(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	event_signal(device->queue[1].call);
	EXPECT(watched());
	expect_sent(0, 0);
	msix(PCI_MSIX_FLAGS_ENABLE);
	expect_sent(1, 0);
	device->queue[1].watch.ready(&device->queue[1]);
	expect_sent(0, 0);
}

static void test_indirect(void)
{
	start();
	/* No vector: it is nobody's. */
	set_vector(NO_VECTOR);
	signal_call();
	expect_sent(0, 0);
	set_vector(1);
	expect_sent(0, 0);
	/* A message that is none reaches nobody, by the launcher. */
	set_message(1, 0x1000, 0x51);
	EXPECT_EQ(0, module.irqfds);
	signal_call();
	expect_sent(0, 1);
	set_message(1, ADDRESS, 0x51);
	/* No room in the module. */
	mask(1, true);
	module.full = true;
	mask(1, false);
	signal_call();
	expect_sent(0, 1);
	module.full = false;
	/* A line. */
	msix(0);
	EXPECT_EQ(0, module.irqfds);
	signal_call();
	expect_sent(0, 0);
	EXPECT(m.level[PCI_GSI(SLOT)]);
	EXPECT_EQ(1, mem_read(isr, 1));
	EXPECT(!m.level[PCI_GSI(SLOT)]);
	msix(PCI_MSIX_FLAGS_ENABLE);
	signal_call();
	expect_sent(1, 0);
}

static void test_ends(void)
{
	start();
	select_queue(1);
	mem_write(common + COMMON_Q_RESET, 1, 2);
	virtio_work(device);
	EXPECT_EQ(1, drains);
	EXPECT_EQ(0, module.irqfds);
	EXPECT_EQ(0, m.doorbells);
	/* What came last is not for the queue's next life. */
	guest_queue(1, &driver, 8);
	set_vector(1);
	virtio_work(device);
	EXPECT_EQ(2, kicks);
	EXPECT_EQ(1, module.irqfds);
	expect_sent(0, 0);
	set_status(0);
	virtio_work(device);
	EXPECT_EQ(2, drains);
	EXPECT_EQ(0, module.irqfds);
	signal_call();
	expect_sent(0, 0);
	EXPECT(!m.level[PCI_GSI(SLOT)]);
	/* A driver that breaks the rules: nobody works on its queues any more. */
	guest_begin(device, BASE);
	guest_queue(1, &driver, 8);
	set_vector(1);
	guest_go(device);
	EXPECT_EQ(1, module.irqfds);
	select_queue(1);
	mem_write(common + VIRTIO_PCI_COMMON_Q_SIZE, 4, 2);
	EXPECT(status() & VIRTIO_CONFIG_S_NEEDS_RESET);
	virtio_work(device);
	EXPECT_EQ(3, drains);
	EXPECT_EQ(0, module.irqfds);
	/* Rings that are not in memory. */
	guest_begin(device, BASE);
	EXPECT_EQ(3, drains);
	select_queue(1);
	mem_write(common + VIRTIO_PCI_COMMON_Q_DESCHI, 0x100, 4);
	mem_write(common + VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
	guest_go(device);
	EXPECT(status() & VIRTIO_CONFIG_S_NEEDS_RESET);
	EXPECT_EQ(3, kicks);
}

/* Whatever the driver does to a vector that it has: what was signalled last arrives. */
static void test_none_lost(void)
{
	uint64_t state = seed_from_env();
	unsigned int i, owed = 0, sent = 0;

	start();
	for (i = 0; i < 200000; i++) {
		switch (next_random(&state) % 8) {
		case 0:
			mask(1, next_random(&state) & 1);
			break;
		case 1:
			msix(PCI_MSIX_FLAGS_ENABLE |
			     (next_random(&state) & 1 ? PCI_MSIX_FLAGS_MASKALL : 0));
			break;
		case 2:
			set_message(1, ADDRESS, 0x50 + next_random(&state) % 4);
			break;
		case 3:
			module.full = !(next_random(&state) % 4);
			break;
		case 4:
			device->queue[1].watch.ready(&device->queue[1]);
			break;
		case 5:
			mask(1, false);
			msix(PCI_MSIX_FLAGS_ENABLE);
			if (device->queue[1].watching_calls)
				device->queue[1].watch.ready(&device->queue[1]);
			sent = module.messages + m.messages;
			EXPECT(!owed || sent);
			owed = 0;
			module.messages = 0;
			m.messages = 0;
			break;
		default:
			module.messages = 0;
			m.messages = 0;
			event_signal(device->queue[1].call);
			take(device->queue[1].call);
			owed = 1;
			break;
		}
	}
}

static const struct test tests[] = {
	{ "the table of routes", test_table },
	{ "messages that are none, and no room", test_refused },
	{ "an irqfd that follows its vector", test_direct },
	{ "masked vectors", test_masked },
	{ "no vector, no room, and a line", test_indirect },
	{ "resets, and a driver that breaks rules", test_ends },
	{ "no interrupt is lost", test_none_lost },
};

int main(void)
{
	int ret = RUN_TESTS(tests);

	virtio_destroy(device);
	return ret;
}
