// SPDX-License-Identifier: GPL-2.0
/*
 * An 8042 nothing is plugged into. What is sent to the keyboard or the mouse is answered by the
 * controller: "resend" with the time-out bit, so that a driver's probe ends at once. There is no
 * interrupt: a probe polls.
 *
 * Locks: of two bus devices that share state, the command port's is taken within the data port's.
 */
#include <stddef.h>
#include <string.h>

#include "dev/i8042.h"

#define STATUS_FULL		0x01	/* data to be read */
#define STATUS_SYSTEM		0x04	/* the self test has passed */
#define STATUS_COMMAND		0x08	/* the last write went to the command port */
#define STATUS_UNLOCKED		0x10
#define STATUS_MOUSE		0x20	/* the data is the mouse's */
#define STATUS_TIMEOUT		0x40

#define CONFIG_SYSTEM		0x04
#define CONFIG_KEYBOARD_OFF	0x10
#define CONFIG_MOUSE_OFF	0x20

#define OUTPUT_NO_RESET		0x01
#define OUTPUT_START		0xcf

#define COMMAND_READ_CONFIG	0x20
#define COMMAND_WRITE_CONFIG	0x60
#define COMMAND_MOUSE_DISABLE	0xa7
#define COMMAND_MOUSE_ENABLE	0xa8
#define COMMAND_MOUSE_TEST	0xa9
#define COMMAND_SELF_TEST	0xaa
#define COMMAND_KEYBOARD_TEST	0xab
#define COMMAND_KEYBOARD_DISABLE 0xad
#define COMMAND_KEYBOARD_ENABLE	0xae
#define COMMAND_READ_INPUT	0xc0
#define COMMAND_READ_OUTPUT	0xd0
#define COMMAND_WRITE_OUTPUT	0xd1
#define COMMAND_LOOP_KEYBOARD	0xd2
#define COMMAND_LOOP_MOUSE	0xd3
#define COMMAND_TO_MOUSE	0xd4
#define COMMAND_READ_TEST	0xe0
#define COMMAND_PULSE		0xf0	/* and above: bits that are 0 are pulsed */

#define ANSWER_SELF_TEST	0x55
#define ANSWER_NO_LINE		0x01	/* interface test: the clock line is stuck low */
#define ANSWER_RESEND		0xfe

static void answer(struct i8042 *i8042, uint8_t value, uint8_t flags)
{
	i8042->buffer = value;
	i8042->status &= ~(STATUS_MOUSE | STATUS_TIMEOUT);
	i8042->status |= STATUS_FULL | flags;
}

static void write_output(struct i8042 *i8042, uint8_t value)
{
	i8042->output = value;
	if (!(value & OUTPUT_NO_RESET))
		power_event(&i8042->power, POWER_RESET, 0);
}

static void command(struct i8042 *i8042, uint8_t value)
{
	i8042->status |= STATUS_COMMAND;
	i8042->pending = 0;
	switch (value) {
	case COMMAND_READ_CONFIG:
		answer(i8042, i8042->config, 0);
		break;
	case COMMAND_WRITE_CONFIG:
	case COMMAND_WRITE_OUTPUT:
	case COMMAND_LOOP_KEYBOARD:
	case COMMAND_LOOP_MOUSE:
	case COMMAND_TO_MOUSE:
		i8042->pending = value;
		break;
	case COMMAND_MOUSE_DISABLE:
		i8042->config |= CONFIG_MOUSE_OFF;
		break;
	case COMMAND_MOUSE_ENABLE:
		i8042->config &= ~CONFIG_MOUSE_OFF;
		break;
	case COMMAND_KEYBOARD_DISABLE:
		i8042->config |= CONFIG_KEYBOARD_OFF;
		break;
	case COMMAND_KEYBOARD_ENABLE:
		i8042->config &= ~CONFIG_KEYBOARD_OFF;
		break;
	case COMMAND_SELF_TEST:
		i8042->status |= STATUS_SYSTEM;
		i8042->config |= CONFIG_SYSTEM;
		answer(i8042, ANSWER_SELF_TEST, 0);
		break;
	case COMMAND_MOUSE_TEST:
	case COMMAND_KEYBOARD_TEST:
		answer(i8042, ANSWER_NO_LINE, 0);
		break;
	case COMMAND_READ_INPUT:
	case COMMAND_READ_TEST:
		answer(i8042, 0, 0);
		break;
	case COMMAND_READ_OUTPUT:
		answer(i8042, i8042->output, 0);
		break;
	default:
		/* A pulse on line 0 resets; other lines lead nowhere. */
		if (value >= COMMAND_PULSE && !(value & 1))
			power_event(&i8042->power, POWER_RESET, 0);
		break;
	}
}

static void data(struct i8042 *i8042, uint8_t value)
{
	uint8_t pending = i8042->pending;

	i8042->status &= ~STATUS_COMMAND;
	i8042->pending = 0;
	switch (pending) {
	case COMMAND_WRITE_CONFIG:
		i8042->config = value;
		break;
	case COMMAND_WRITE_OUTPUT:
		write_output(i8042, value);
		break;
	case COMMAND_LOOP_KEYBOARD:
		answer(i8042, value, 0);
		break;
	case COMMAND_LOOP_MOUSE:
		answer(i8042, value, STATUS_MOUSE);
		break;
	case COMMAND_TO_MOUSE:
		answer(i8042, ANSWER_RESEND, STATUS_MOUSE | STATUS_TIMEOUT);
		break;
	default:
		answer(i8042, ANSWER_RESEND, STATUS_TIMEOUT);
		break;
	}
}

static struct i8042 *of_data(struct device *device)
{
	return (struct i8042 *)((char *)device - offsetof(struct i8042, data));
}

static struct i8042 *of_command(struct device *device)
{
	return (struct i8042 *)((char *)device - offsetof(struct i8042, command));
}

static uint64_t data_read(struct device *device, uint64_t offset, unsigned int size)
{
	struct i8042 *i8042 = of_data(device);
	uint8_t value;

	(void)offset;
	(void)size;
	pthread_mutex_lock(&i8042->command.lock);
	value = i8042->buffer;
	i8042->status &= ~(STATUS_FULL | STATUS_MOUSE | STATUS_TIMEOUT);
	pthread_mutex_unlock(&i8042->command.lock);
	return value;
}

static void data_write(struct device *device, uint64_t offset, uint64_t value, unsigned int size)
{
	struct i8042 *i8042 = of_data(device);

	(void)offset;
	(void)size;
	pthread_mutex_lock(&i8042->command.lock);
	data(i8042, value);
	pthread_mutex_unlock(&i8042->command.lock);
}

static uint64_t command_read(struct device *device, uint64_t offset, unsigned int size)
{
	(void)offset;
	(void)size;
	return of_command(device)->status;
}

static void command_write(struct device *device, uint64_t offset, uint64_t value,
			  unsigned int size)
{
	(void)offset;
	(void)size;
	command(of_command(device), value);
}

void i8042_init(struct i8042 *i8042, struct power power)
{
	memset(i8042, 0, sizeof(*i8042));
	i8042->data = (struct device){
		.name = "i8042", .width = 1, .read = data_read, .write = data_write,
	};
	i8042->command = (struct device){
		.name = "i8042", .width = 1, .read = command_read, .write = command_write,
	};
	device_init(&i8042->data);
	device_init(&i8042->command);
	i8042->power = power;
	i8042->config = CONFIG_SYSTEM | CONFIG_KEYBOARD_OFF | CONFIG_MOUSE_OFF;
	i8042->output = OUTPUT_START;
	i8042->status = STATUS_SYSTEM | STATUS_UNLOCKED;
}
