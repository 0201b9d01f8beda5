// SPDX-License-Identifier: GPL-2.0
/* The small devices: how each ends the machine, and what must not. And the bus under them. */
#include "dev/debug_exit.h"
#include "dev/i8042.h"
#include "dev/pm.h"
#include "dev/pvpanic.h"
#include "dev/reset.h"
#include "hull.h"
#include "test.h"

static int last_event;
static unsigned int last_value;
static bool level;

static void on_power(void *opaque, enum power_event event, unsigned int value)
{
	(void)opaque;
	last_event = event;
	last_value = value;
}

static const struct power power = { on_power, NULL };

/* The event since the last call, -1: none. */
static int event(void)
{
	int ret = last_event;

	last_event = -1;
	return ret;
}

static void on_irq(void *opaque, unsigned int gsi, bool up)
{
	(void)opaque;
	(void)gsi;
	level = up;
}

static void test_reset(void)
{
	struct reset reset;
	struct bus bus;

	bus_init(&bus);
	reset_init(&reset, power);
	bus_add(&bus, HULL_SPACE_PORT, PCI_CONFIG_PORT, PCI_CONFIG_LENGTH, &reset.device);
	bus_write(&bus, HULL_SPACE_PORT, 0xcf9, 0x02, 1);
	EXPECT_EQ(-1, event());
	EXPECT_EQ(0x02, bus_read(&bus, HULL_SPACE_PORT, 0xcf9, 1));
	/* A PCI configuration address with bit 2 of its second byte: no reset. */
	bus_write(&bus, HULL_SPACE_PORT, 0xcf8, 0x80000400, 4);
	bus_write(&bus, HULL_SPACE_PORT, 0xcf8, 0x0400, 2);
	EXPECT_EQ(-1, event());
	EXPECT_EQ(0xffffffff, bus_read(&bus, HULL_SPACE_PORT, 0xcf8, 4));
	EXPECT_EQ(0xffffffff, bus_read(&bus, HULL_SPACE_PORT, 0xcfc, 4));
	bus_write(&bus, HULL_SPACE_PORT, 0xcf9, 0x06, 1);
	EXPECT_EQ(POWER_RESET, event());
}

static void test_pm(void)
{
	struct irq_line sci = { .set = on_irq, .gsi = IRQ_SCI };
	struct pm pm;

	pm_init(&pm, sci, power);
	EXPECT_EQ(1, pm.device.read(&pm.device, 4, 2));
	/* Other sleep types, and the type without enable, do nothing. */
	pm.device.write(&pm.device, 4, 1 << 13 | 1 << 10, 2);
	pm.device.write(&pm.device, 4, 5 << 10, 2);
	EXPECT_EQ(-1, event());
	EXPECT_EQ(1 << 15, pm.device.read(&pm.device, 0, 2));
	pm.device.write(&pm.device, 4, 1 << 13 | 5 << 10, 2);
	EXPECT_EQ(POWER_OFF, event());
	/* By bytes as well. */
	out8(&pm.device, 5, 0x34);
	EXPECT_EQ(POWER_OFF, event());
}

static void test_power_button(void)
{
	struct irq_line sci = { .set = on_irq, .gsi = IRQ_SCI };
	struct pm pm;

	level = false;
	pm_init(&pm, sci, power);
	pm_press_button(&pm);
	EXPECT(!level);
	pm.device.write(&pm.device, 2, 0x0100, 2);
	EXPECT(level);
	EXPECT_EQ(0x01000100, pm.device.read(&pm.device, 0, 4));
	pm.device.write(&pm.device, 0, 0x0001, 2);
	EXPECT(level);
	pm.device.write(&pm.device, 0, 0x0100, 2);
	EXPECT(!level);
	EXPECT_EQ(0x01000000, pm.device.read(&pm.device, 0, 4));
}

static void test_pvpanic(void)
{
	struct pvpanic pvpanic;

	pvpanic_init(&pvpanic, power);
	EXPECT_EQ(3, in8(&pvpanic.device, 0));
	out8(&pvpanic.device, 0, 0x80);
	EXPECT_EQ(-1, event());
	out8(&pvpanic.device, 0, 2);
	EXPECT_EQ(POWER_CRASH_KERNEL, event());
	out8(&pvpanic.device, 0, 1);
	EXPECT_EQ(POWER_PANIC, event());
}

static void test_debug_exit(void)
{
	struct debug_exit debug_exit;

	debug_exit_init(&debug_exit, power);
	out8(&debug_exit.device, 0, 0x10);
	EXPECT_EQ(POWER_DEBUG_EXIT, event());
	EXPECT_EQ(0x21, last_value);
	debug_exit.device.write(&debug_exit.device, 0, 0xffffffff, 4);
	EXPECT_EQ(0xff, last_value);
	event();
	out8(&debug_exit.device, 1, 0x10);
	EXPECT_EQ(-1, event());
}

static void test_i8042(void)
{
	struct i8042 i8042;

	i8042_init(&i8042, power);
	EXPECT_EQ(0x14, in8(&i8042.command, 0));
	out8(&i8042.command, 0, 0xaa);
	EXPECT_EQ(0x1d, in8(&i8042.command, 0));
	EXPECT_EQ(0x55, in8(&i8042.data, 0));
	out8(&i8042.command, 0, 0x60);
	out8(&i8042.data, 0, 0x47);
	out8(&i8042.command, 0, 0x20);
	EXPECT_EQ(0x47, in8(&i8042.data, 0));
	/* A probe of an absent keyboard ends at once. */
	out8(&i8042.data, 0, 0xf2);
	EXPECT_EQ(0x55, in8(&i8042.command, 0));
	EXPECT_EQ(0xfe, in8(&i8042.data, 0));
	EXPECT_EQ(0x14, in8(&i8042.command, 0));
	out8(&i8042.command, 0, 0xd4);
	out8(&i8042.data, 0, 0xff);
	EXPECT_EQ(0x75, in8(&i8042.command, 0));
	EXPECT_EQ(-1, event());
}

static void test_i8042_reset(void)
{
	struct i8042 i8042;

	i8042_init(&i8042, power);
	out8(&i8042.command, 0, 0xff);
	EXPECT_EQ(-1, event());
	out8(&i8042.command, 0, 0xfe);
	EXPECT_EQ(POWER_RESET, event());
	/* A20 by the output port, with the reset bit as it is: no reset. */
	out8(&i8042.command, 0, 0xd1);
	out8(&i8042.data, 0, 0xdf);
	EXPECT_EQ(-1, event());
	out8(&i8042.command, 0, 0xd0);
	EXPECT_EQ(0xdf, in8(&i8042.data, 0));
	out8(&i8042.command, 0, 0xd1);
	out8(&i8042.data, 0, 0xde);
	EXPECT_EQ(POWER_RESET, event());
}

/* A device that counts and echoes offsets. */
static unsigned int accesses;

static uint64_t echo_read(struct device *device, uint64_t offset, unsigned int size)
{
	(void)device;
	accesses++;
	EXPECT(size <= 2);
	return size == 2 ? offset | (offset + 1) << 8 : offset;
}

static void echo_write(struct device *device, uint64_t offset, uint64_t value, unsigned int size)
{
	(void)device;
	accesses++;
	EXPECT(size <= 2);
	EXPECT_EQ(offset, value & 0xff);
}

static void test_bus(void)
{
	struct device echo = { .width = 2, .read = echo_read, .write = echo_write };
	struct bus bus;

	bus_init(&bus);
	device_init(&echo);
	bus_add(&bus, HULL_SPACE_PORT, 0x100, 4, &echo);
	EXPECT_EQ(0xff, bus_read(&bus, HULL_SPACE_PORT, 0xff, 1));
	EXPECT_EQ(0xffffffff, bus_read(&bus, HULL_SPACE_PORT, 0x104, 4));
	EXPECT_EQ(UINT64_MAX, bus_read(&bus, HULL_SPACE_MEMORY, 0x100, 8));
	EXPECT_EQ(0, accesses);
	EXPECT_EQ(0x0302, bus_read(&bus, HULL_SPACE_PORT, 0x102, 2));
	EXPECT_EQ(1, accesses);
	EXPECT_EQ(0x03020100, bus_read(&bus, HULL_SPACE_PORT, 0x100, 4));
	EXPECT_EQ(0x0100ffff, bus_read(&bus, HULL_SPACE_PORT, 0xfe, 4));
	EXPECT_EQ(0xff03, bus_read(&bus, HULL_SPACE_PORT, 0x103, 2));
	bus_write(&bus, HULL_SPACE_PORT, 0x100, 0x03020100, 4);
	bus_write(&bus, HULL_SPACE_PORT, 0x0ff, 0x020100ff, 4);
}

static void test_bus_full(void)
{
	struct device echo = { .width = 1, .read = echo_read, .write = echo_write };
	struct bus bus;
	unsigned int i;

	bus_init(&bus);
	for (i = 0; i < BUS_RANGES; i++)
		EXPECT_EQ(0, bus_add(&bus, HULL_SPACE_PORT, i, 1, &echo));
	EXPECT(bus_add(&bus, HULL_SPACE_PORT, i, 1, &echo) < 0);
	for (i = 0; i < BUS_MAPPINGS; i++)
		EXPECT_EQ(0, bus_map(&bus, HULL_SPACE_MEMORY, 16 * i, 16, &echo));
	EXPECT(bus_map(&bus, HULL_SPACE_MEMORY, 16 * i, 16, &echo) < 0);
	bus_unmap(&bus, &echo);
	EXPECT_EQ(0, bus_map(&bus, HULL_SPACE_MEMORY, 0, 16, &echo));
}

static uint64_t one_read(struct device *device, uint64_t offset, unsigned int size)
{
	(void)device;
	(void)offset;
	(void)size;
	return 0x11;
}

/* Ranges go before mappings, older mappings before younger ones. */
static void test_bus_mappings(void)
{
	struct device echo = { .width = 2, .read = echo_read, .write = echo_write };
	struct device one = { .width = 2, .own_locks = true, .read = one_read };
	struct bus bus;

	bus_init(&bus);
	device_init(&echo);
	device_init(&one);
	EXPECT_EQ(0, bus_add(&bus, HULL_SPACE_MEMORY, 0x1000, 4, &echo));
	EXPECT_EQ(0, bus_map(&bus, HULL_SPACE_MEMORY, 0x1000, 0x10, &one));
	EXPECT_EQ(0x03, bus_read(&bus, HULL_SPACE_MEMORY, 0x1003, 1));
	EXPECT_EQ(0x11, bus_read(&bus, HULL_SPACE_MEMORY, 0x1004, 1));
	EXPECT_EQ(0xff, bus_read(&bus, HULL_SPACE_PORT, 0x1004, 1));
	bus_unmap(&bus, &one);
	EXPECT_EQ(0xff, bus_read(&bus, HULL_SPACE_MEMORY, 0x1004, 1));
	EXPECT_EQ(0, bus_map(&bus, HULL_SPACE_MEMORY, 0x2000, 0x10, &one));
	EXPECT_EQ(0, bus_map(&bus, HULL_SPACE_MEMORY, 0x2008, 0x10, &echo));
	EXPECT_EQ(0x11, bus_read(&bus, HULL_SPACE_MEMORY, 0x2008, 1));
	EXPECT_EQ(0x08, bus_read(&bus, HULL_SPACE_MEMORY, 0x2010, 1));
	bus_unmap(&bus, &one);
	EXPECT_EQ(0x00, bus_read(&bus, HULL_SPACE_MEMORY, 0x2008, 1));
	EXPECT_EQ(0xff, bus_read(&bus, HULL_SPACE_MEMORY, 0x2007, 1));
}

static const struct test tests[] = {
	{ "0xcf9 resets, 0xcf8 does not", test_reset },
	{ "soft off", test_pm },
	{ "power button", test_power_button },
	{ "pvpanic", test_pvpanic },
	{ "debug exit", test_debug_exit },
	{ "keyboard controller", test_i8042 },
	{ "keyboard controller resets", test_i8042_reset },
	{ "the bus cuts accesses", test_bus },
	{ "the bus is finite", test_bus_full },
	{ "mappings of the bus come and go", test_bus_mappings },
};

int main(void)
{
	last_event = -1;
	return RUN_TESTS(tests);
}
