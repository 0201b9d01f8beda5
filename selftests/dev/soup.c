// SPDX-License-Identifier: GPL-2.0
/*
 * A million random accesses to the whole bus with every device on it, together with input, alarms
 * and button presses: no sanitizer report, answers no wider than asked. The seed is printed.
 */
#include "dev/debug_exit.h"
#include "dev/fw_cfg.h"
#include "dev/i8042.h"
#include "dev/pm.h"
#include "dev/pvpanic.h"
#include "dev/reset.h"
#include "dev/rtc.h"
#include "dev/serial.h"
#include "hull.h"
#include "test.h"

#define OPERATIONS	1000000

static struct {
	struct serial serial;
	struct rtc rtc;
	struct i8042 i8042;
	struct reset reset;
	struct pm pm;
	struct pvpanic pvpanic;
	struct debug_exit debug_exit;
	struct fw_cfg fw_cfg;
	struct bus bus;
	uint64_t now, armed;
	uint64_t outputs, events, irqs;
} m;

static void on_irq(void *opaque, unsigned int gsi, bool up)
{
	(void)opaque;
	(void)gsi;
	(void)up;
	m.irqs++;
}

static void on_power(void *opaque, enum power_event event, unsigned int value)
{
	(void)opaque;
	(void)event;
	(void)value;
	m.events++;
}

static void on_output(void *opaque, uint8_t byte)
{
	(void)opaque;
	(void)byte;
	m.outputs++;
}

static uint64_t get_now(void *opaque)
{
	(void)opaque;
	return m.now;
}

static void arm(void *opaque, uint64_t at)
{
	(void)opaque;
	m.armed = at;
}

static void build(void)
{
	struct irq_line irq = { .set = on_irq };
	struct power power = { on_power, NULL };
	struct timer timer = { get_now, arm, NULL };
	struct serial_line line = { .output = on_output };
	const struct {
		uint16_t port, length;
		struct device *device;
	} map[] = {
		{ SERIAL_PORT, SERIAL_LENGTH, &m.serial.device },
		{ RTC_PORT, RTC_LENGTH, &m.rtc.device },
		{ I8042_DATA_PORT, 1, &m.i8042.data },
		{ I8042_COMMAND_PORT, 1, &m.i8042.command },
		{ FW_CFG_PORT, FW_CFG_LENGTH, &m.fw_cfg.device },
		{ PVPANIC_PORT, 1, &m.pvpanic.device },
		{ PM_PORT, PM_LENGTH, &m.pm.device },
		{ PCI_CONFIG_PORT, PCI_CONFIG_LENGTH, &m.reset.device },
		{ DEBUG_EXIT_PORT, DEBUG_EXIT_LENGTH, &m.debug_exit.device },
	};
	unsigned int i;

	bus_init(&m.bus);
	m.now = 1700000000 * NSEC_PER_SEC;
	serial_init(&m.serial, irq, line);
	rtc_init(&m.rtc, irq, timer, 1 << 30, 0);
	i8042_init(&m.i8042, power);
	reset_init(&m.reset, power);
	pm_init(&m.pm, irq, power);
	pvpanic_init(&m.pvpanic, power);
	debug_exit_init(&m.debug_exit, power);
	fw_cfg_init(&m.fw_cfg, 1 << 30, 1);
	fw_cfg_add_file(&m.fw_cfg, "etc/a", "aaaa", 4);
	for (i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		bus_add(&m.bus, HULL_SPACE_PORT, map[i].port, map[i].length, map[i].device);
}

static uint64_t random_port(uint64_t random)
{
	const struct bus_range *range = &m.bus.range[random % m.bus.count];

	/* Now and then a neighbour. */
	return range->start - 3 + (random >> 8) % (range->length + 6);
}

static void step(uint64_t random, uint64_t value)
{
	static const uint8_t input[32] = "input from the other end";
	unsigned int size = 1U << (random >> 40) % 3;
	uint64_t port = random_port(random);
	uint64_t got;

	m.now += value % 3000000;
	switch (random >> 32 & 15) {
	case 0:
		serial_receive(&m.serial, input, value % sizeof(input));
		break;
	case 1:
		if (m.armed && m.armed <= m.now) {
			m.armed = 0;
			rtc_expired(&m.rtc);
		}
		break;
	case 2:
		pm_press_button(&m.pm);
		serial_receive_break(&m.serial);
		break;
	case 3: case 4: case 5: case 6: case 7: case 8:
		got = bus_read(&m.bus, HULL_SPACE_PORT, port, size);
		EXPECT_EQ(0, got & ~all_ones(size));
		break;
	default:
		bus_write(&m.bus, HULL_SPACE_PORT, port, value >> (random >> 50 & 31), size);
		break;
	}
}

int main(void)
{
	uint64_t state = seed_from_env();
	unsigned int i;

	ktap_begin(1);
	build();
	for (i = 0; i < OPERATIONS; i++) {
		uint64_t random = next_random(&state);

		step(random, next_random(&state));
	}
	printf("# %llu bytes out, %llu interrupt levels, %llu ends\n",
	       (unsigned long long)m.outputs, (unsigned long long)m.irqs,
	       (unsigned long long)m.events);
	EXPECT(m.outputs && m.irqs && m.events);
	ktap_result(!test_failed, "a million random accesses");
	return ktap_end();
}
