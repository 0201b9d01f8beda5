/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Interrupts that eventfds are, with no exit to the launcher: the machine's table of routes, and an
 * irqfd of the module for each eventfd in it.
 */
#ifndef HULL_MACHINE_ROUTE_H
#define HULL_MACHINE_ROUTE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "hull.h"

#define ROUTES		512		/* of them at most */

/* Numbers of interrupts: those below are lines, which devices of the launcher set themselves. */
#define ROUTE_GSI_BASE	HULL_IOAPIC_PINS

/**
 * struct route_ops - the module, as far as routes go; 0 or -1
 * @set_routes: replaces the whole table
 * @add_irqfd: each signal of @eventfd is interrupt @gsi, what was signalled before is one as well
 * @remove_irqfd: undoes that; what is signalled from now on stays in the eventfd
 */
struct route_ops {
	int (*set_routes)(void *opaque, const struct hull_route *route, unsigned int count);
	int (*add_irqfd)(void *opaque, unsigned int gsi, int eventfd);
	void (*remove_irqfd)(void *opaque, unsigned int gsi, int eventfd);
	void *opaque;
};

struct route {
	int eventfd;
	bool on;			/* it is an irqfd */
	uint64_t address;
	uint32_t data;
};

struct routes {
	struct route_ops ops;
	pthread_mutex_t lock;		/* innermost; guards what follows */
	unsigned int count;
	struct route route[ROUTES];
};

void routes_init(struct routes *routes, const struct route_ops *ops);

/*
 * Any thread, which has whatever lock guards the eventfd's device. From now on @eventfd sends this
 * message; no signal is lost that comes meanwhile. -1: the guest's message is none, or the module
 * has no room; then what is signalled stays in the eventfd.
 */
int route_add(struct routes *routes, int eventfd, uint64_t address, uint32_t data);

/* Undoes that, if it was done; what is signalled from now on stays in the eventfd. */
void route_remove(struct routes *routes, int eventfd);

#endif
