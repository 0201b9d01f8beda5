/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The keyboard controller, without keyboard and mouse: guests reset the machine by it, switch the
 * A20 line, and find nothing else.
 */
#ifndef HULL_DEV_I8042_H
#define HULL_DEV_I8042_H

#include "machine/bus.h"
#include "machine/power.h"

#define I8042_DATA_PORT		0x60
#define I8042_COMMAND_PORT	0x64

struct i8042 {
	struct device data;
	struct device command;		/* its lock guards all below */
	struct power power;
	uint8_t config;
	uint8_t output;			/* the output port */
	uint8_t pending;		/* command that waits for a byte of data, 0: none */
	uint8_t buffer;
	uint8_t status;
};

void i8042_init(struct i8042 *i8042, struct power power);

#endif
