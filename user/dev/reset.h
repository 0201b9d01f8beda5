/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The reset control register, and the way to the PCI configuration ports around it.
 */
#ifndef HULL_DEV_RESET_H
#define HULL_DEV_RESET_H

#include "machine/bus.h"
#include "machine/power.h"

#define PCI_CONFIG_PORT		0xcf8
#define PCI_CONFIG_LENGTH	8
#define RESET_PORT		0xcf9
#define RESET_NOW		0x06

struct reset {
	struct device device;
	struct power power;
	struct device *pci;	/* the ports of PCI; NULL: there is none */
	uint8_t control;
};

void reset_init(struct reset *reset, struct power power);

#endif
