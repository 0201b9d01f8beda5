// SPDX-License-Identifier: GPL-2.0
/*
 * The table of routes, which the module takes as a whole, and waits then for all who read the old
 * one. So an eventfd that sends no message for a while, as its vector is masked, loses its irqfd
 * and keeps its place in the table: most often it comes back with the message it had.
 *
 * Locks: routes->lock.
 */
#include <string.h>

#include "machine/route.h"

void routes_init(struct routes *routes, const struct route_ops *ops)
{
	memset(routes, 0, sizeof(*routes));
	routes->ops = *ops;
	pthread_mutex_init(&routes->lock, NULL);
}

static unsigned int gsi_of(const struct routes *routes, const struct route *route)
{
	return ROUTE_GSI_BASE + (route - routes->route);
}

static struct route *find(struct routes *routes, int eventfd)
{
	unsigned int i;

	for (i = 0; i < routes->count; i++)
		if (routes->route[i].eventfd == eventfd)
			return &routes->route[i];
	return NULL;
}

/* Places are for ever: there are as many as a machine has queues, which come and go with it. */
static struct route *find_or_make(struct routes *routes, int eventfd)
{
	struct route *route = find(routes, eventfd);

	if (route || routes->count == ROUTES)
		return route;
	route = &routes->route[routes->count++];
	*route = (struct route){ .eventfd = eventfd };
	return route;
}

/* What the module knows is left as it is when this fails. */
static int set_message(struct routes *routes, struct route *changed, uint64_t address,
		       uint32_t data)
{
	const struct route before = *changed;
	struct hull_route table[ROUTES];
	unsigned int count = 0, i;

	if (before.address == address && before.data == data)
		return 0;
	changed->address = address;
	changed->data = data;
	memset(table, 0, sizeof(table[0]) * routes->count);
	for (i = 0; i < routes->count; i++) {
		const struct route *route = &routes->route[i];

		/* It has had no message yet that the module took. */
		if (!route->address)
			continue;
		table[count++] = (struct hull_route){
			.gsi = gsi_of(routes, route), .kind = HULL_ROUTE_MSI,
			.address = route->address, .data = route->data,
		};
	}
	if (!routes->ops.set_routes(routes->ops.opaque, table, count))
		return 0;
	*changed = before;
	return -1;
}

static void turn_off(struct routes *routes, struct route *route)
{
	if (route->on)
		routes->ops.remove_irqfd(routes->ops.opaque, gsi_of(routes, route),
					 route->eventfd);
	route->on = false;
}

static int add_locked(struct routes *routes, int eventfd, uint64_t address, uint32_t data)
{
	struct route *route = find_or_make(routes, eventfd);

	if (!route)
		return -1;
	/* An address of 0 is none of a message, so a route that never had one is not like it. */
	if (!address || set_message(routes, route, address, data)) {
		turn_off(routes, route);
		return -1;
	}
	if (!route->on)
		route->on = !routes->ops.add_irqfd(routes->ops.opaque, gsi_of(routes, route),
						   eventfd);
	return route->on ? 0 : -1;
}

int route_add(struct routes *routes, int eventfd, uint64_t address, uint32_t data)
{
	int ret;

	pthread_mutex_lock(&routes->lock);
	ret = add_locked(routes, eventfd, address, data);
	pthread_mutex_unlock(&routes->lock);
	return ret;
}

void route_remove(struct routes *routes, int eventfd)
{
	struct route *route;

	pthread_mutex_lock(&routes->lock);
	route = find(routes, eventfd);
	if (route)
		turn_off(routes, route);
	pthread_mutex_unlock(&routes->lock);
}
