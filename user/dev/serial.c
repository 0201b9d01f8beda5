// SPDX-License-Identifier: GPL-2.0
/*
 * A 16550A whose line is infinitely fast: a byte written is sent at once, so the transmitter is
 * always empty. Input is taken only while there is room in the receive FIFO: there are no overruns
 * but in loopback.
 *
 * The interrupt is a level: up while the identification register shows one. A burst of writes
 * after the transmitter's interrupt was seen raises it once.
 *
 * Locks: the device's.
 */
#include <string.h>

#include "dev/serial.h"

enum { REG_DATA, REG_IER, REG_IIR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCRATCH };

#define IER_RX			0x01
#define IER_THR			0x02
#define IER_LINE		0x04
#define IER_MODEM		0x08

#define IIR_NONE		0x01
#define IIR_MODEM		0x00
#define IIR_THR			0x02
#define IIR_RX			0x04
#define IIR_LINE		0x06
#define IIR_RX_TIMEOUT		0x0c
#define IIR_FIFO		0xc0

#define FCR_ENABLE		0x01
#define FCR_CLEAR_RX		0x02
#define FCR_KEPT		0xc9

#define LCR_DIVISOR		0x80

#define MCR_DTR			0x01
#define MCR_RTS			0x02
#define MCR_OUT1		0x04
#define MCR_OUT2		0x08		/* on a PC: interrupts reach the controller */
#define MCR_LOOP		0x10

#define LSR_DATA		0x01
#define LSR_OVERRUN		0x02
#define LSR_BREAK		0x10
#define LSR_THR_EMPTY		0x20
#define LSR_EMPTY		0x40

#define MSR_CTS			0x10
#define MSR_DSR			0x20
#define MSR_RING		0x40
#define MSR_CARRIER		0x80
#define MSR_RING_ENDED		0x04		/* the only delta that has an edge: trailing */

static unsigned int depth(const struct serial *serial)
{
	return serial->fcr & FCR_ENABLE ? SERIAL_FIFO : 1;
}

static unsigned int trigger(const struct serial *serial)
{
	static const uint8_t level[4] = { 1, 4, 8, 14 };

	return serial->fcr & FCR_ENABLE ? level[serial->fcr >> 6] : 1;
}

static uint8_t lsr(const struct serial *serial)
{
	uint8_t value = LSR_THR_EMPTY | LSR_EMPTY | serial->lsr_errors;

	if (serial->count)
		value |= LSR_DATA | serial->fifo[serial->head] >> 8;
	return value;
}

/* The four upper bits; in loopback the port's own outputs. */
static uint8_t modem_lines(uint8_t mcr)
{
	if (!(mcr & MCR_LOOP))
		return MSR_CTS | MSR_DSR | MSR_CARRIER;
	return (mcr & MCR_RTS ? MSR_CTS : 0) | (mcr & MCR_DTR ? MSR_DSR : 0) |
	       (mcr & MCR_OUT1 ? MSR_RING : 0) | (mcr & MCR_OUT2 ? MSR_CARRIER : 0);
}

/* The interrupt of the highest priority. */
static uint8_t interrupt(const struct serial *serial)
{
	if (serial->ier & IER_LINE && lsr(serial) & (LSR_OVERRUN | LSR_BREAK))
		return IIR_LINE;
	if (serial->ier & IER_RX && serial->count >= trigger(serial))
		return IIR_RX;
	if (serial->ier & IER_RX && serial->count)
		return IIR_RX_TIMEOUT;
	if (serial->ier & IER_THR && serial->thr_empty)
		return IIR_THR;
	if (serial->ier & IER_MODEM && serial->msr_delta)
		return IIR_MODEM;
	return IIR_NONE;
}

static void update(struct serial *serial)
{
	bool wired = serial->mcr & MCR_OUT2 && !(serial->mcr & MCR_LOOP);

	irq_set(&serial->irq, wired && interrupt(serial) != IIR_NONE);
}

static void clear_fifo(struct serial *serial)
{
	serial->head = 0;
	serial->count = 0;
}

static void put(struct serial *serial, uint16_t entry)
{
	if (serial->count == depth(serial)) {
		serial->lsr_errors |= LSR_OVERRUN;
		return;
	}
	serial->fifo[(serial->head + serial->count) % SERIAL_FIFO] = entry;
	serial->count++;
}

static uint8_t take(struct serial *serial)
{
	uint8_t byte;

	if (!serial->count)
		return 0;
	byte = serial->fifo[serial->head];
	serial->head = (serial->head + 1) % SERIAL_FIFO;
	serial->count--;
	return byte;
}

/*
 * A guest that clears the FIFO when it starts its driver would lose what came before: the other
 * end sends when it sees "request to send", or an interrupt enabled for what it sends.
 */
static bool ready(const struct serial *serial)
{
	return serial->count < depth(serial) && !(serial->mcr & MCR_LOOP) &&
	       (serial->mcr & MCR_RTS || serial->ier & IER_RX);
}

/* Whoever was told to wait may go on. */
static void tell_room(struct serial *serial)
{
	if (!serial->starved || !ready(serial))
		return;
	serial->starved = false;
	if (serial->line.room)
		serial->line.room(serial->line.opaque);
}

static uint8_t read_lsr(struct serial *serial)
{
	uint8_t value = lsr(serial);

	serial->lsr_errors = 0;
	if (serial->count)
		serial->fifo[serial->head] &= 0xff;
	return value;
}

static uint8_t read_iir(struct serial *serial)
{
	uint8_t value = interrupt(serial);

	if (value == IIR_THR)
		serial->thr_empty = false;
	return value | (serial->fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

static uint8_t read_register(struct serial *serial, uint64_t offset)
{
	uint8_t value;

	switch (offset) {
	case REG_DATA:
		if (serial->lcr & LCR_DIVISOR)
			return serial->divisor;
		value = take(serial);
		tell_room(serial);
		return value;
	case REG_IER:
		return serial->lcr & LCR_DIVISOR ? serial->divisor >> 8 : serial->ier;
	case REG_IIR:
		return read_iir(serial);
	case REG_LCR:
		return serial->lcr;
	case REG_MCR:
		return serial->mcr;
	case REG_LSR:
		return read_lsr(serial);
	case REG_MSR:
		value = modem_lines(serial->mcr) | serial->msr_delta;
		serial->msr_delta = 0;
		return value;
	default:
		return serial->scratch;
	}
}

static void write_data(struct serial *serial, uint8_t value)
{
	if (serial->lcr & LCR_DIVISOR) {
		serial->divisor = (serial->divisor & 0xff00) | value;
		return;
	}
	if (serial->mcr & MCR_LOOP)
		put(serial, value);
	else if (serial->line.output)
		serial->line.output(serial->line.opaque, value);
	serial->thr_empty = true;
}

static void write_ier(struct serial *serial, uint8_t value)
{
	if (serial->lcr & LCR_DIVISOR) {
		serial->divisor = (serial->divisor & 0xff) | value << 8;
		return;
	}
	/* To enable it with the transmitter empty is to get the interrupt. */
	if (value & ~serial->ier & IER_THR)
		serial->thr_empty = true;
	serial->ier = value & 0x0f;
	tell_room(serial);
}

static void write_fcr(struct serial *serial, uint8_t value)
{
	if ((value ^ serial->fcr) & FCR_ENABLE || value & FCR_CLEAR_RX)
		clear_fifo(serial);
	serial->fcr = value & FCR_ENABLE ? value & FCR_KEPT : 0;
	tell_room(serial);
}

static void write_mcr(struct serial *serial, uint8_t value)
{
	uint8_t before = modem_lines(serial->mcr);
	uint8_t after;

	serial->mcr = value & 0x1f;
	after = modem_lines(serial->mcr);
	serial->msr_delta |= (before ^ after) >> 4 & ~MSR_RING_ENDED;
	if (before & ~after & MSR_RING)
		serial->msr_delta |= MSR_RING_ENDED;
	tell_room(serial);
}

static uint64_t serial_read(struct device *device, uint64_t offset, unsigned int size)
{
	struct serial *serial = (struct serial *)device;
	uint8_t value = read_register(serial, offset);

	(void)size;
	update(serial);
	return value;
}

static void serial_write(struct device *device, uint64_t offset, uint64_t value, unsigned int size)
{
	struct serial *serial = (struct serial *)device;

	(void)size;
	switch (offset) {
	case REG_DATA:
		write_data(serial, value);
		break;
	case REG_IER:
		write_ier(serial, value);
		break;
	case REG_IIR:
		write_fcr(serial, value);
		break;
	case REG_LCR:
		serial->lcr = value;
		break;
	case REG_MCR:
		write_mcr(serial, value);
		break;
	case REG_SCRATCH:
		serial->scratch = value;
		break;
	}
	update(serial);
}

size_t serial_receive(struct serial *serial, const uint8_t *data, size_t size)
{
	size_t taken = 0;

	pthread_mutex_lock(&serial->device.lock);
	while (taken < size && ready(serial))
		put(serial, data[taken++]);
	serial->starved = taken < size;
	update(serial);
	pthread_mutex_unlock(&serial->device.lock);
	return taken;
}

void serial_receive_break(struct serial *serial)
{
	pthread_mutex_lock(&serial->device.lock);
	if (ready(serial))
		put(serial, LSR_BREAK << 8);
	update(serial);
	pthread_mutex_unlock(&serial->device.lock);
}

void serial_init(struct serial *serial, struct irq_line irq, struct serial_line line)
{
	memset(serial, 0, sizeof(*serial));
	serial->device = (struct device){
		.name = "serial", .width = 1, .read = serial_read, .write = serial_write,
	};
	device_init(&serial->device);
	serial->irq = irq;
	serial->line = line;
	serial->divisor = 12;
	serial->mcr = MCR_OUT2;
}
