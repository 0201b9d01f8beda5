// SPDX-License-Identifier: GPL-2.0
/* The 16550A: what Linux's driver probes for, interrupts, FIFOs, loopback, flow of input. */
#include <string.h>

#include "dev/serial.h"
#include "test.h"

static struct serial serial;
static char sent[256];
static size_t sent_size;
static unsigned int edges;
static bool level;
static unsigned int rooms;

static void on_irq(void *opaque, unsigned int gsi, bool up)
{
	(void)opaque;
	EXPECT_EQ(IRQ_SERIAL, gsi);
	edges += up && !level;
	level = up;
}

static void on_output(void *opaque, uint8_t byte)
{
	(void)opaque;
	if (sent_size < sizeof(sent))
		sent[sent_size++] = byte;
}

static void on_room(void *opaque)
{
	(void)opaque;
	rooms++;
}

static void start(void)
{
	struct irq_line irq = { .set = on_irq, .gsi = IRQ_SERIAL };
	struct serial_line line = { on_output, on_room, NULL };

	sent_size = 0;
	edges = 0;
	level = false;
	rooms = 0;
	serial_init(&serial, irq, line);
}

/* As a driver that takes input: FIFOs on, DTR, RTS, OUT2, given interrupts. */
static void start_driver(uint8_t ier)
{
	start();
	out8(&serial.device, 2, 0xc7);
	out8(&serial.device, 4, 0x0b);
	out8(&serial.device, 1, ier);
}

static size_t type(const char *text)
{
	return serial_receive(&serial, (const uint8_t *)text, strlen(text));
}

static void test_output(void)
{
	start();
	EXPECT_EQ(0x60, in8(&serial.device, 5));
	out8(&serial.device, 0, 'h');
	out8(&serial.device, 0, 'i');
	EXPECT_EQ(2, sent_size);
	EXPECT(!memcmp(sent, "hi", 2));
	EXPECT_EQ(0x60, in8(&serial.device, 5));
	EXPECT_EQ(0, edges);
}

static void test_registers(void)
{
	start();
	out8(&serial.device, 7, 0xa5);
	EXPECT_EQ(0xa5, in8(&serial.device, 7));
	out8(&serial.device, 3, 0x83);
	out8(&serial.device, 0, 0x01);
	out8(&serial.device, 1, 0x02);
	EXPECT_EQ(0x01, in8(&serial.device, 0));
	EXPECT_EQ(0x02, in8(&serial.device, 1));
	out8(&serial.device, 3, 0x03);
	EXPECT_EQ(0x03, in8(&serial.device, 3));
	EXPECT_EQ(0x00, in8(&serial.device, 1));
	EXPECT_EQ(0, sent_size);
	/* The upper half of the interrupt enables does not exist: a 16550A, no later kind. */
	out8(&serial.device, 1, 0xff);
	EXPECT_EQ(0x0f, in8(&serial.device, 1));
}

static void test_fifo_probe(void)
{
	start();
	EXPECT_EQ(0x01, in8(&serial.device, 2));
	out8(&serial.device, 2, 0x01);
	EXPECT_EQ(0xc1, in8(&serial.device, 2));
	out8(&serial.device, 2, 0x00);
	EXPECT_EQ(0x01, in8(&serial.device, 2));
}

static void test_loopback(void)
{
	start();
	out8(&serial.device, 4, 0x1a);
	EXPECT_EQ(0x90, in8(&serial.device, 6) & 0xf0);
	out8(&serial.device, 4, 0x15);
	EXPECT_EQ(0x60, in8(&serial.device, 6) & 0xf0);
	out8(&serial.device, 0, 'x');
	EXPECT_EQ(0, sent_size);
	EXPECT_EQ(0x61, in8(&serial.device, 5));
	EXPECT_EQ('x', in8(&serial.device, 0));
	/* Without FIFO the second byte overruns the first. */
	out8(&serial.device, 0, 'y');
	out8(&serial.device, 0, 'z');
	EXPECT_EQ(0x63, in8(&serial.device, 5));
	EXPECT_EQ(0x61, in8(&serial.device, 5));
	EXPECT_EQ(0, type("a"));
}

static void test_modem_deltas(void)
{
	start();
	in8(&serial.device, 6);
	EXPECT_EQ(0xb0, in8(&serial.device, 6));
	out8(&serial.device, 4, 0x14);		/* loop, OUT1: ring on, others off */
	EXPECT_EQ(0x4b, in8(&serial.device, 6));
	out8(&serial.device, 4, 0x10);		/* ring off: the edge that counts */
	EXPECT_EQ(0x04, in8(&serial.device, 6));
	EXPECT_EQ(0x00, in8(&serial.device, 6));
}

static void test_transmit_interrupt(void)
{
	start_driver(0);
	out8(&serial.device, 1, 0x02);
	EXPECT_EQ(1, edges);
	EXPECT_EQ(0xc2, in8(&serial.device, 2));
	EXPECT(!level);
	EXPECT_EQ(0xc1, in8(&serial.device, 2));
	/* A burst raises it once. */
	out8(&serial.device, 0, 'a');
	out8(&serial.device, 0, 'b');
	out8(&serial.device, 0, 'c');
	EXPECT_EQ(2, edges);
	EXPECT(level);
	out8(&serial.device, 1, 0x00);
	EXPECT(!level);
	/* To enable it again is to get it again: Linux tests this. */
	in8(&serial.device, 2);
	out8(&serial.device, 1, 0x02);
	EXPECT(level);
}

static void test_interrupt_gate(void)
{
	start_driver(0x02);
	EXPECT(level);
	out8(&serial.device, 4, 0x03);
	EXPECT(!level);
	out8(&serial.device, 4, 0x0b);
	EXPECT(level);
}

static void test_input(void)
{
	start_driver(0x01);
	EXPECT_EQ(5, type("hello"));
	EXPECT(level);
	EXPECT_EQ(0xcc, in8(&serial.device, 2));
	EXPECT_EQ('h', in8(&serial.device, 0));
	EXPECT(level);
	EXPECT_EQ('e', in8(&serial.device, 0));
	in8(&serial.device, 0);
	in8(&serial.device, 0);
	EXPECT_EQ('o', in8(&serial.device, 0));
	EXPECT(!level);
	EXPECT_EQ(0x60, in8(&serial.device, 5));
	EXPECT_EQ(0xc1, in8(&serial.device, 2));
}

static void test_input_trigger(void)
{
	start_driver(0x01);		/* trigger at 14 */
	EXPECT_EQ(13, type("0123456789abc"));
	EXPECT_EQ(0xcc, in8(&serial.device, 2));
	EXPECT_EQ(1, type("d"));
	EXPECT_EQ(0xc4, in8(&serial.device, 2));
}

static void test_input_flow(void)
{
	start_driver(0x01);
	EXPECT_EQ(16, type("0123456789abcdefgh"));
	EXPECT_EQ(0, rooms);
	in8(&serial.device, 0);
	EXPECT_EQ(1, rooms);
	in8(&serial.device, 0);
	EXPECT_EQ(1, rooms);
	EXPECT_EQ(2, type("gh"));
	out8(&serial.device, 2, 0x03);
	EXPECT_EQ(0x60, in8(&serial.device, 5));
}

static void test_input_waits_for_driver(void)
{
	start();
	EXPECT_EQ(0, type("early"));
	out8(&serial.device, 2, 0x07);
	EXPECT_EQ(0, rooms);
	out8(&serial.device, 4, 0x0b);
	EXPECT_EQ(1, rooms);
	EXPECT_EQ(5, type("early"));
	start();
	EXPECT_EQ(0, type("x"));
	out8(&serial.device, 1, 0x01);
	EXPECT_EQ(1, rooms);
	EXPECT_EQ(1, type("x"));
}

static void test_break(void)
{
	start_driver(0x05);
	serial_receive_break(&serial);
	EXPECT_EQ(0xc6, in8(&serial.device, 2));
	EXPECT_EQ(0x71, in8(&serial.device, 5));
	EXPECT_EQ(0x61, in8(&serial.device, 5));
	EXPECT_EQ(0, in8(&serial.device, 0));
	EXPECT(!level);
}

static const struct test tests[] = {
	{ "output goes out at once", test_output },
	{ "registers read back", test_registers },
	{ "the FIFO probe finds a 16550A", test_fifo_probe },
	{ "loopback", test_loopback },
	{ "modem status changes", test_modem_deltas },
	{ "transmitter interrupt", test_transmit_interrupt },
	{ "OUT2 gates the interrupt", test_interrupt_gate },
	{ "input with interrupts", test_input },
	{ "input trigger level", test_input_trigger },
	{ "input waits for room", test_input_flow },
	{ "input waits for the driver", test_input_waits_for_driver },
	{ "break", test_break },
};

int main(void)
{
	return RUN_TESTS(tests);
}
