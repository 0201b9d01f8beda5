// SPDX-License-Identifier: GPL-2.0
/*
 * PCI: configuration space by both ways, sizing and moving BARs, windows, MSI-X, shared lines.
 */
#include "machine.h"

#define BAR		0
#define WIDE		2
#define MSIX		4
#define VECTORS		4

struct thing {
	struct pci_function function;
	pthread_mutex_t lock;
	uint64_t value;
	unsigned int moved;
};

static struct thing things[PCI_SLOTS];

static uint64_t thing_read(struct pci_function *function, unsigned int bar, uint64_t offset,
			   unsigned int size)
{
	(void)size;
	return ((struct thing *)function)->value | bar << 16 | offset;
}

static void thing_write(struct pci_function *function, unsigned int bar, uint64_t offset,
			uint64_t value, unsigned int size)
{
	(void)bar;
	(void)offset;
	(void)size;
	((struct thing *)function)->value = value;
}

static void thing_moved(struct pci_function *function, unsigned int bar)
{
	(void)bar;
	((struct thing *)function)->moved++;
}

static const struct pci_ops ops = {
	.read = thing_read, .write = thing_write, .bar_moved = thing_moved,
};

static struct thing *add(unsigned int index)
{
	static const struct pci_id id = {
		.vendor = 0x1234, .device = 0x5678, .subsystem_vendor = 0x9abc,
		.subsystem = 0xdef0, .class = 0xff0102, .revision = 3,
	};
	struct thing *thing = &things[index];

	memset(thing, 0, sizeof(*thing));
	pthread_mutex_init(&thing->lock, NULL);
	pci_function_init(&thing->function, "thing", &id, &ops, &thing->lock);
	pci_add_bar(&thing->function, BAR, 0x1000, false);
	pci_add_bar(&thing->function, WIDE, 0x10000, true);
	pci_add_msix(&thing->function, MSIX, VECTORS);
	thing->value = (index + 1) << 24;
	return pci_add_function(&m.host, &thing->function) ? NULL : thing;
}

static void start(unsigned int count)
{
	struct failure why;
	unsigned int i;

	machine_init();
	for (i = 0; i < count; i++)
		EXPECT(add(i));
	EXPECT_EQ(0, pci_host_assign(&m.host, &why));
}

static uint64_t bar_at(unsigned int slot, unsigned int bar)
{
	return cfg_read(slot, PCI_BASE_ADDRESS_0 + 4 * bar, 4) & ~15U;
}

static void test_config(void)
{
	start(1);
	EXPECT_EQ(0x00081b36, cfg_read(0, 0, 4));
	EXPECT_EQ(0x56781234, cfg_read(1, 0, 4));
	EXPECT_EQ(0xff010203, cfg_read(1, 8, 4));
	EXPECT_EQ(0xdef09abc, cfg_read(1, 0x2c, 4));
	EXPECT_EQ(0x5678, cfg_read(1, 2, 2));
	EXPECT_EQ(0x12, cfg_read(1, 1, 1));
	EXPECT_EQ(1, cfg_read(1, PCI_INTERRUPT_PIN, 1));
	/* Nobody there; other functions; the end of the space; not aligned. */
	EXPECT_EQ(0xffffffff, cfg_read(2, 0, 4));
	EXPECT_EQ(0xffffffff, mem_read(ecam(1, 0x1000), 4));
	EXPECT_EQ(0xffffffff, cfg_read(1, 0x100, 4));
	EXPECT_EQ(0xffffffff, mem_read(ecam(1, 0xffe), 4));
	cfg_write(2, 4, 0xffffffff, 4);
	cfg_write(1, 0x100, 0, 4);
	/* Read-only. */
	cfg_write(1, 0, 0, 4);
	cfg_write(1, 8, 0, 4);
	cfg_write(1, PCI_CAPABILITY_LIST, 0, 1);
	EXPECT_EQ(0x56781234, cfg_read(1, 0, 4));
	EXPECT_EQ(0xff010203, cfg_read(1, 8, 4));
	EXPECT(find_cap(1, 0, PCI_CAP_ID_MSIX));
	cfg_write(1, PCI_COMMAND, 0xffff, 2);
	EXPECT_EQ(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE,
		  cfg_read(1, PCI_COMMAND, 2));
}

static uint64_t port_read(unsigned int offset, unsigned int size)
{
	return bus_read(&m.bus, HULL_SPACE_PORT, 0xcf8 + offset, size);
}

static void port_write(unsigned int offset, uint32_t value, unsigned int size)
{
	bus_write(&m.bus, HULL_SPACE_PORT, 0xcf8 + offset, value, size);
}

static void test_ports(void)
{
	start(1);
	port_write(0, 0x80000800, 4);
	EXPECT_EQ(0x80000800, port_read(0, 4));
	EXPECT_EQ(0x56781234, port_read(4, 4));
	EXPECT_EQ(0x5678, port_read(6, 2));
	EXPECT_EQ(0x12, port_read(5, 1));
	port_write(0, 0x8000083c, 4);
	port_write(4, 0x77, 1);
	EXPECT_EQ(0x77, cfg_read(1, 0x3c, 1));
	/* Not enabled, nobody there, another bus. */
	port_write(0, 0x00000800, 4);
	EXPECT_EQ(0xffffffff, port_read(4, 4));
	port_write(0, 0x80001000, 4);
	EXPECT_EQ(0xffffffff, port_read(4, 4));
	port_write(0, 0x80010800, 4);
	EXPECT_EQ(0xffffffff, port_read(4, 4));
	/* Narrow accesses do not change the address. */
	port_write(0, 0, 2);
	port_write(3, 0, 1);
	EXPECT_EQ(0x80010800, port_read(0, 4));
}

static void test_sizing(void)
{
	start(1);
	cfg_write(1, PCI_COMMAND, 0, 2);
	cfg_write(1, PCI_BASE_ADDRESS_0, 0xffffffff, 4);
	EXPECT_EQ(0xfffff000, cfg_read(1, PCI_BASE_ADDRESS_0, 4));
	cfg_write(1, PCI_BASE_ADDRESS_2, 0xffffffff, 4);
	cfg_write(1, PCI_BASE_ADDRESS_3, 0xffffffff, 4);
	EXPECT_EQ(0xffff0004, cfg_read(1, PCI_BASE_ADDRESS_2, 4));
	EXPECT_EQ(0xffffffff, cfg_read(1, PCI_BASE_ADDRESS_3, 4));
	cfg_write(1, PCI_BASE_ADDRESS_1, 0xffffffff, 4);
	cfg_write(1, PCI_BASE_ADDRESS_5, 0xffffffff, 4);
	cfg_write(1, PCI_ROM_ADDRESS, 0xffffffff, 4);
	EXPECT_EQ(0, cfg_read(1, PCI_BASE_ADDRESS_1, 4));
	EXPECT_EQ(0, cfg_read(1, PCI_BASE_ADDRESS_5, 4));
	EXPECT_EQ(0, cfg_read(1, PCI_ROM_ADDRESS, 4));
}

static void test_moving(void)
{
	uint64_t at, high;

	start(1);
	at = bar_at(1, BAR);
	EXPECT(at >= PCI_WINDOW && at < PCI_WINDOW_END);
	EXPECT_EQ(1 << 24 | 8, mem_read(at + 8, 4));
	mem_write(at, 0x11000000, 4);
	EXPECT_EQ(0x11000000 | 8, mem_read(at + 8, 4));
	cfg_write(1, PCI_COMMAND, 0, 2);
	EXPECT_EQ(0xffffffff, mem_read(at + 8, 4));
	cfg_write(1, PCI_BASE_ADDRESS_0, PCI_WINDOW + 0x100000, 4);
	cfg_write(1, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	EXPECT_EQ(0xffffffff, mem_read(at + 8, 4));
	EXPECT_EQ(0x11000008, mem_read(PCI_WINDOW + 0x100008, 4));
	/* Into the window above memory, in two writes. */
	high = m.host.window64 + 0x10000;
	cfg_write(1, PCI_BASE_ADDRESS_2, high, 4);
	cfg_write(1, PCI_BASE_ADDRESS_3, high >> 32, 4);
	EXPECT_EQ(0x11020010, mem_read(high + 0x10, 4));
	EXPECT(things[0].moved >= 5);
}

/* Nothing is decoded outside of the windows: not over memory, ECAM, the interrupt controllers. */
static void test_windows(void)
{
	static const uint64_t cases[] = {
		0, 0x1000, DRIVER_MEMORY, 0xbffff000, 0xe0000000, 0xe0008000, 0xfec00000,
		0xfee00000, 0xfffff000,
	};
	unsigned int i;

	start(1);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cfg_write(1, PCI_BASE_ADDRESS_0, cases[i], 4);
		EXPECT_EQ(0, things[0].function.bar[BAR].mapped);
	}
	EXPECT_EQ(0x56781234, cfg_read(1, 0, 4));
	cfg_write(1, PCI_BASE_ADDRESS_0, PCI_WINDOW_END - 0x1000, 4);
	EXPECT_EQ(1, things[0].function.bar[BAR].mapped);
	cfg_write(1, PCI_BASE_ADDRESS_3, 0xffffffff, 4);
	EXPECT_EQ(0, things[0].function.bar[WIDE].mapped);
	cfg_write(1, PCI_BASE_ADDRESS_3, (m.host.window64 + PCI_WINDOW64_SIZE) >> 32, 4);
	cfg_write(1, PCI_BASE_ADDRESS_2, m.host.window64 + PCI_WINDOW64_SIZE, 4);
	EXPECT_EQ(0, things[0].function.bar[WIDE].mapped);
}

static void test_overlapping(void)
{
	uint64_t at;

	start(2);
	at = bar_at(1, BAR);
	cfg_write(2, PCI_BASE_ADDRESS_0, at, 4);
	EXPECT_EQ(1 << 24, mem_read(at, 4));
	cfg_write(1, PCI_BASE_ADDRESS_0, at + 0x100000, 4);
	EXPECT_EQ(2 << 24, mem_read(at, 4));
	EXPECT_EQ(1 << 24, mem_read(at + 0x100000, 4));
	/* Both BARs of one function. */
	cfg_write(2, PCI_BASE_ADDRESS_2, at & ~0xffffU, 4);
	cfg_write(2, PCI_COMMAND, 0, 2);
	EXPECT_EQ(0xffffffff, mem_read(at, 4));
}

static void test_full(void)
{
	unsigned int i;

	start(PCI_SLOTS - 1);
	EXPECT(!add(PCI_SLOTS - 1));
	for (i = 1; i < PCI_SLOTS; i++)
		EXPECT_EQ((uint64_t)i << 24, mem_read(bar_at(i, BAR), 4));
}

static void vector_write(uint64_t table, unsigned int vector, uint32_t data, uint32_t mask)
{
	mem_write(table + 16 * vector, 0xfee00000, 4);
	mem_write(table + 16 * vector + 4, 0, 4);
	mem_write(table + 16 * vector + 8, data, 4);
	mem_write(table + 16 * vector + 12, mask, 4);
}

static void send(unsigned int vector)
{
	pthread_mutex_lock(&things[0].lock);
	pci_msix_send(&things[0].function, vector);
	pthread_mutex_unlock(&things[0].lock);
}

static void test_msix(void)
{
	unsigned int cap;
	uint64_t table;

	start(1);
	cap = find_cap(1, 0, PCI_CAP_ID_MSIX);
	table = bar_at(1, MSIX);
	EXPECT_EQ(VECTORS - 1, cfg_read(1, cap + 2, 2));
	EXPECT_EQ(MSIX, cfg_read(1, cap + 4, 4));
	EXPECT_EQ(0x800 | MSIX, cfg_read(1, cap + 8, 4));
	EXPECT_EQ(1, mem_read(table + 12, 4));
	vector_write(table, 1, 0x41, 0);
	send(1);
	EXPECT_EQ(0, m.messages);
	cfg_write(1, cap + 2, PCI_MSIX_FLAGS_ENABLE | 7, 2);
	EXPECT_EQ(PCI_MSIX_FLAGS_ENABLE | (VECTORS - 1), cfg_read(1, cap + 2, 2));
	send(1);
	EXPECT_EQ(1, m.messages);
	EXPECT_EQ(0xfee00000, m.address);
	EXPECT_EQ(0x41, m.data);
	/* Masked: it waits, and is sent once. */
	vector_write(table, 2, 0x42, 1);
	send(2);
	send(2);
	EXPECT_EQ(1, m.messages);
	EXPECT_EQ(1 << 2, mem_read(table + 0x800, 8));
	mem_write(table + 0x800, 0, 8);
	EXPECT_EQ(1 << 2, mem_read(table + 0x800, 4));
	mem_write(table + 16 * 2 + 12, 0, 4);
	EXPECT_EQ(2, m.messages);
	EXPECT_EQ(0x42, m.data);
	EXPECT_EQ(0, mem_read(table + 0x800, 8));
	/* The function's mask. */
	cfg_write(1, cap + 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL, 2);
	send(1);
	EXPECT_EQ(2, m.messages);
	cfg_write(1, cap + 3, PCI_MSIX_FLAGS_ENABLE >> 8, 1);
	EXPECT_EQ(3, m.messages);
	/* Words as pairs; other widths and places are nothing. */
	mem_write(table, 0x00000001fee01003, 8);
	EXPECT_EQ(0x00000001fee01000, mem_read(table, 8));
	mem_write(table + 12, 0xfffffffe, 4);
	EXPECT_EQ(0, mem_read(table + 12, 4));
	mem_write(table + 8, 0x99, 1);
	mem_write(table + 8, 0x99, 2);
	EXPECT_EQ(0, mem_read(table + 8, 4));
	mem_write(table + 16 * VECTORS, ~0ULL, 8);
	EXPECT_EQ(0, mem_read(table + 16 * VECTORS, 8));
	send(VECTORS);
	send(PCI_NO_VECTOR);
	send(UINT32_MAX);
	EXPECT_EQ(3, m.messages);
}

static void set_intx(unsigned int index, bool level)
{
	pthread_mutex_lock(&things[index].lock);
	pci_set_intx(&things[index].function, level);
	pthread_mutex_unlock(&things[index].lock);
}

static void test_intx(void)
{
	unsigned int cap;

	start(9);
	set_intx(0, true);
	set_intx(0, true);
	EXPECT(m.level[PCI_GSI(1)]);
	EXPECT_EQ(PCI_STATUS_INTERRUPT, cfg_read(1, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	/* Slot 9 has the line of slot 1. */
	set_intx(8, true);
	set_intx(0, false);
	EXPECT(m.level[PCI_GSI(1)]);
	set_intx(8, false);
	EXPECT(!m.level[PCI_GSI(1)]);
	EXPECT_EQ(2, m.levels);
	set_intx(1, true);
	cfg_write(2, PCI_COMMAND, PCI_COMMAND_INTX_DISABLE, 2);
	EXPECT(!m.level[PCI_GSI(2)]);
	EXPECT_EQ(PCI_STATUS_INTERRUPT, cfg_read(2, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	cfg_write(2, PCI_COMMAND, 0, 2);
	EXPECT(m.level[PCI_GSI(2)]);
	cap = find_cap(2, 0, PCI_CAP_ID_MSIX);
	cfg_write(2, cap + 2, PCI_MSIX_FLAGS_ENABLE, 2);
	EXPECT(!m.level[PCI_GSI(2)]);
}

/* Two vCPUs, of which one moves BARs under the other's accesses. */
static void *move(void *opaque)
{
	unsigned int i;

	(void)opaque;
	for (i = 0; i < 20000; i++) {
		cfg_write(1, PCI_BASE_ADDRESS_0, PCI_WINDOW + (i % 7) * 0x1000, 4);
		cfg_write(2, PCI_COMMAND, i & PCI_COMMAND_MEMORY, 2);
	}
	return NULL;
}

static void test_race(void)
{
	unsigned int i, hits = 0;
	pthread_t thread;

	start(2);
	EXPECT_EQ(0, pthread_create(&thread, NULL, move, NULL));
	for (i = 0; i < 20000; i++) {
		uint64_t value = mem_read(PCI_WINDOW + (i % 7) * 0x1000, 4);

		hits += value >> 24 == 1;
	}
	pthread_join(thread, NULL);
	printf("# %u hits\n", hits);
	cfg_write(1, PCI_BASE_ADDRESS_0, PCI_WINDOW + 0x1000, 4);
	EXPECT_EQ(1 << 24, mem_read(PCI_WINDOW + 0x1000, 4));
}

static const struct test tests[] = {
	{ "configuration space", test_config },
	{ "configuration ports", test_ports },
	{ "BARs tell their size", test_sizing },
	{ "BARs move", test_moving },
	{ "nothing is decoded outside of the windows", test_windows },
	{ "BARs that overlap", test_overlapping },
	{ "the bus is finite", test_full },
	{ "MSI-X", test_msix },
	{ "lines are shared", test_intx },
	{ "BARs that move under accesses", test_race },
};

int main(void)
{
	return RUN_TESTS(tests);
}
