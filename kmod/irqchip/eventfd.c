// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts by eventfds: the table of routes (what becomes of an interrupt of some number) and
 * irqfds (an eventfd that is such an interrupt). Whoever signals the eventfd, the launcher, another
 * process or a driver of the kernel, interrupts the guest from where he is: in the eventfd's
 * wake-up, with interrupts off, with no thread in between.
 *
 * Life of an irqfd. It is in the lists of its VM and in the wait queue of its eventfd, to which it
 * has a reference; the file it has not, so the eventfd can be closed. The last close wakes the
 * queue with EPOLLHUP, and then and there the irqfd leaves queue and lists: nothing is left for
 * later but the memory, which readers of the lists (RCU) may still see. Otherwise
 * HULL_REMOVE_IRQFD or the end of the VM ends it. Who takes it off the lists, under irqfds.lock,
 * frees it.
 *
 * Levels. An irqfd with resample holds the line of its pin (hull_line_hold()); the end of the
 * interrupt (ioapic.c, pic.c) lets go of it for all that share the pin, then the resample eventfds
 * are signalled: with no lock held, for that wakes others' queues, perhaps with irqfds in them. No
 * eventfd is ever signalled from the wake-up of another.
 *
 * Locks, from the outside in: vm->lock (ioctls: routes, new irqfds), the queue's lock of an eventfd
 * (its wake-ups; @waiting), irqfds.lock (lists), lines.lock, those of PICs and IOAPIC. Routes are
 * read under RCU. Place in the tour: after route.c.
 */
#include <linux/bits.h>
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/poll.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include "chip.h"
#include "vm.h"

static_assert(sizeof(struct hull_route) == 32);
static_assert(sizeof(struct hull_routes) == 16);
static_assert(sizeof(struct hull_irqfd) == 24);
static_assert(sizeof(struct hull_lines) == 8);

/**
 * struct target - where one number's interrupts go
 * @kind: HULL_ROUTE_*, 0: nowhere
 * @pin: see struct hull_route
 * @data: see struct hull_route
 * @address: see struct hull_route
 */
struct target {
	u32 kind;
	u32 pin;
	u32 data;
	u64 address;
};

/**
 * struct hull_route_table - the routes of a VM; never changed once it is published
 * @count: numbers from here on have no route
 * @to: by number
 */
struct hull_route_table {
	u32 count;
	struct target to[];
};

/**
 * struct irqfd - one irqfd
 * @chip: the VM's controllers; constant
 * @gsi: number of the interrupt; constant
 * @trigger: the eventfd, a reference; constant
 * @resample: see struct hull_irqfd, a reference; NULL: an edge; constant
 * @queue: of @trigger; constant
 * @wait: entry in @queue
 * @waiting: there was a signal and no route, and the count is still in the eventfd; under the
 *           queue's lock
 * @listed: it is in the lists; under irqfds.lock
 * @node: in irqfds.all
 * @resampler: in irqfds.resamplers when @resample
 * @rcu: to be freed
 */
struct irqfd {
	struct hull_irqchip *chip;
	u32 gsi;
	struct eventfd_ctx *trigger;
	struct eventfd_ctx *resample;
	wait_queue_head_t *queue;
	wait_queue_entry_t wait;
	bool waiting;
	bool listed;
	struct list_head node;
	struct list_head resampler;
	struct rcu_head rcu;
};

/* ---- routes --------------------------------------------------------------------------------- */

static const struct target *find_target(const struct hull_route_table *table, u32 gsi)
{
	const struct target *to;

	if (gsi >= table->count)
		return NULL;
	to = &table->to[array_index_nospec(gsi, table->count)];
	return to->kind ? to : NULL;
}

/* The pin of an irqfd, as a bit; 0: it goes elsewhere, or nowhere. */
static u32 pin_bit(const struct hull_route_table *table, const struct irqfd *irqfd)
{
	const struct target *to = find_target(table, irqfd->gsi);

	return to && to->kind == HULL_ROUTE_PIN ? 1U << to->pin : 0;
}

static struct hull_route_table *alloc_table(u32 count)
{
	struct hull_route_table *table;

	table = kvzalloc(struct_size(table, to, count), GFP_KERNEL_ACCOUNT);
	if (table)
		table->count = count;
	return table;
}

static bool route_ok(const struct hull_route *route)
{
	if (route->gsi >= HULL_MAX_ROUTES || route->flags || route->reserved)
		return false;
	switch (route->kind) {
	case HULL_ROUTE_PIN:
		return route->pin < HULL_IOAPIC_PINS && !route->data && !route->address;
	case HULL_ROUTE_MSI:
		return hull_msi_valid(route->address) && !route->pin;
	default:
		return false;
	}
}

/* A table of what user space says; an ERR_PTR: see hull_vm_set_routes(). */
static struct hull_route_table *read_table(const struct hull_route *routes, u32 count)
{
	struct hull_route_table *table;
	u32 i, numbers = 0;

	for (i = 0; i < count; i++) {
		if (!route_ok(&routes[i]))
			return ERR_PTR(-EINVAL);
		numbers = max(numbers, routes[i].gsi + 1);
	}
	table = alloc_table(numbers);
	if (!table)
		return ERR_PTR(-ENOMEM);
	for (i = 0; i < count; i++) {
		struct target *to = &table->to[array_index_nospec(routes[i].gsi, numbers)];

		if (to->kind) {
			kvfree(table);
			return ERR_PTR(-EEXIST);
		}
		*to = (struct target) {
			.kind = routes[i].kind,
			.pin = routes[i].pin,
			.data = routes[i].data,
			.address = routes[i].address,
		};
	}
	return table;
}

static struct hull_route_table *copy_table(const struct hull_routes *args)
{
	struct hull_route_table *table;
	struct hull_route *routes;
	size_t size = args->count * sizeof(*routes);

	if (args->count > HULL_MAX_ROUTES)
		return ERR_PTR(-E2BIG);
	if (!args->count)
		return alloc_table(0) ?: ERR_PTR(-ENOMEM);
	routes = kvmalloc(size, GFP_KERNEL_ACCOUNT);
	if (!routes)
		return ERR_PTR(-ENOMEM);
	if (copy_from_user(routes, u64_to_user_ptr(args->routes), size))
		table = ERR_PTR(-EFAULT);
	else
		table = read_table(routes, args->count);
	kvfree(routes);
	return table;
}

static struct hull_route_table *default_table(void)
{
	struct hull_route_table *table = alloc_table(HULL_IOAPIC_PINS);
	u32 pin;

	for (pin = 0; table && pin < HULL_IOAPIC_PINS; pin++) {
		table->to[pin].kind = HULL_ROUTE_PIN;
		table->to[pin].pin = pin;
	}
	return table;
}

/* ---- a signal ------------------------------------------------------------------------------- */

static void interrupt(const struct irqfd *irqfd, const struct target *to)
{
	if (to->kind == HULL_ROUTE_MSI)
		hull_msi_send(irqfd->chip->vm, to->address, to->data);
	else if (irqfd->resample)
		hull_line_hold(irqfd->chip, to->pin);
	else
		hull_line_pulse(irqfd->chip, to->pin);
}

/* Under the queue's lock, interrupts off. */
static void take_signal(struct irqfd *irqfd)
{
	const struct target *to;
	u64 count;

	rcu_read_lock();
	to = find_target(rcu_dereference(irqfd->chip->irqfds.routes), irqfd->gsi);
	irqfd->waiting = !to;
	if (to) {
		eventfd_ctx_do_read(irqfd->trigger, &count);
		interrupt(irqfd, to);
	}
	rcu_read_unlock();
}

/* There is a route again: what was signalled meanwhile, and not read by somebody else. */
static void take_waiting(struct irqfd *irqfd)
{
	const struct target *to;
	unsigned long flags;
	u64 count = 0;

	spin_lock_irqsave(&irqfd->queue->lock, flags);
	to = find_target(rcu_dereference(irqfd->chip->irqfds.routes), irqfd->gsi);
	if (to && irqfd->waiting) {
		irqfd->waiting = false;
		eventfd_ctx_do_read(irqfd->trigger, &count);
		if (count)
			interrupt(irqfd, to);
	}
	spin_unlock_irqrestore(&irqfd->queue->lock, flags);
}

void hull_irqfds_resample(struct hull_irqchip *chip, u32 pins)
{
	const struct hull_route_table *table;
	struct irqfd *irqfd;

	rcu_read_lock();
	table = rcu_dereference(chip->irqfds.routes);
	list_for_each_entry_rcu(irqfd, &chip->irqfds.resamplers, resampler) {
		if (pin_bit(table, irqfd) & pins)
			eventfd_signal(irqfd->resample);
	}
	rcu_read_unlock();
}

/* ---- life ----------------------------------------------------------------------------------- */

/* Lower lines that irqfds hold and none is left to let go of. Under irqfds.lock. */
static void release_orphans(struct hull_irqchip *chip)
{
	struct hull_irqfds *irqfds = &chip->irqfds;
	const struct hull_route_table *table;
	struct irqfd *irqfd;
	u32 pins = 0;

	lockdep_assert_held(&irqfds->lock);
	rcu_read_lock();
	table = rcu_dereference(irqfds->routes);
	list_for_each_entry_rcu(irqfd, &irqfds->resamplers, resampler)
		pins |= pin_bit(table, irqfd);
	rcu_read_unlock();
	pins = hull_lines_maybe(chip, ~pins);
	if (pins)
		hull_lines_release(chip, pins);
}

/* Under irqfds.lock. */
static void take_off_lists(struct irqfd *irqfd)
{
	struct hull_irqfds *irqfds = &irqfd->chip->irqfds;

	lockdep_assert_held(&irqfds->lock);
	irqfds->count--;
	irqfd->listed = false;
	list_del_rcu(&irqfd->node);
	if (!irqfd->resample)
		return;
	list_del_rcu(&irqfd->resampler);
	release_orphans(irqfd->chip);
}

static void free_irqfd(struct irqfd *irqfd)
{
	eventfd_ctx_put(irqfd->trigger);
	if (irqfd->resample)
		eventfd_ctx_put(irqfd->resample);
	kfree(irqfd);
}

static void free_after_readers(struct rcu_head *rcu)
{
	free_irqfd(container_of(rcu, struct irqfd, rcu));
}

/*
 * The eventfd is closed. Under the queue's lock. Whoever has taken the irqfd off the lists already
 * waits for that lock, then finds it out of the queue, and frees it; else it is ours.
 */
static void forget(struct irqfd *irqfd)
{
	struct hull_irqfds *irqfds = &irqfd->chip->irqfds;
	unsigned long flags;
	bool ours;

	list_del_init(&irqfd->wait.entry);
	raw_spin_lock_irqsave(&irqfds->lock, flags);
	ours = irqfd->listed;
	if (ours)
		take_off_lists(irqfd);
	raw_spin_unlock_irqrestore(&irqfds->lock, flags);
	irqfd->waiting = false;
	/* The VM may be gone from here on: its end waits for the lists to be empty, no longer. */
	if (ours)
		call_rcu(&irqfd->rcu, free_after_readers);
}

/* A wake-up of the eventfd: any context, its queue's lock held, interrupts off. */
static int wake_irqfd(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key)
{
	struct irqfd *irqfd = container_of(wait, struct irqfd, wait);
	__poll_t events = key_to_poll(key);

	if (events & EPOLLIN)
		take_signal(irqfd);
	if (events & EPOLLHUP)
		forget(irqfd);
	return 0;
}

/* ---- adding and removing -------------------------------------------------------------------- */

/* With references on its eventfds, in no list yet; or an ERR_PTR. */
static struct irqfd *make_irqfd(struct hull_irqchip *chip, const struct hull_irqfd *args,
				struct file *file)
{
	struct irqfd *irqfd;
	int err;

	irqfd = kzalloc(sizeof(*irqfd), GFP_KERNEL_ACCOUNT);
	if (!irqfd)
		return ERR_PTR(-ENOMEM);
	irqfd->chip = chip;
	irqfd->gsi = args->gsi;
	init_waitqueue_func_entry(&irqfd->wait, wake_irqfd);
	irqfd->trigger = eventfd_ctx_fileget(file);
	if (IS_ERR(irqfd->trigger)) {
		err = PTR_ERR(irqfd->trigger);
		goto err_irqfd;
	}
	if (args->resample == -1)
		return irqfd;
	irqfd->resample = eventfd_ctx_fdget(args->resample);
	if (IS_ERR(irqfd->resample)) {
		err = PTR_ERR(irqfd->resample);
		goto err_trigger;
	}
	/* Each EOI would be the next interrupt. */
	if (irqfd->resample != irqfd->trigger)
		return irqfd;
	err = -EINVAL;
	eventfd_ctx_put(irqfd->resample);
err_trigger:
	eventfd_ctx_put(irqfd->trigger);
err_irqfd:
	kfree(irqfd);
	return ERR_PTR(err);
}

/* 0; -EEXIST: its eventfd is in another; -ENOSPC. */
static int enlist(struct irqfd *irqfd)
{
	struct hull_irqfds *irqfds = &irqfd->chip->irqfds;
	const struct irqfd *other;
	unsigned long flags;
	int err = 0;

	raw_spin_lock_irqsave(&irqfds->lock, flags);
	list_for_each_entry(other, &irqfds->all, node) {
		if (other->trigger == irqfd->trigger) {
			err = -EEXIST;
			break;
		}
	}
	if (!err && irqfds->count >= HULL_MAX_IRQFDS)
		err = -ENOSPC;
	if (!err) {
		irqfds->count++;
		irqfd->listed = true;
		list_add_tail_rcu(&irqfd->node, &irqfds->all);
		if (irqfd->resample)
			list_add_tail_rcu(&irqfd->resampler, &irqfds->resamplers);
	}
	raw_spin_unlock_irqrestore(&irqfds->lock, flags);
	return err;
}

struct hook {
	poll_table table;
	struct irqfd *irqfd;
};

static void hook_queue(struct file *file, wait_queue_head_t *queue, poll_table *table)
{
	struct irqfd *irqfd = container_of(table, struct hook, table)->irqfd;

	irqfd->queue = queue;
	add_wait_queue(queue, &irqfd->wait);
}

/* Into the eventfd's queue; what was signalled before is taken as well. */
static void hook_irqfd(struct irqfd *irqfd, struct file *file)
{
	struct hook hook = { .irqfd = irqfd };
	unsigned long flags;

	init_poll_funcptr(&hook.table, hook_queue);
	if (!(vfs_poll(file, &hook.table) & EPOLLIN))
		return;
	spin_lock_irqsave(&irqfd->queue->lock, flags);
	irqfd->waiting = true;
	spin_unlock_irqrestore(&irqfd->queue->lock, flags);
	rcu_read_lock();
	take_waiting(irqfd);
	rcu_read_unlock();
}

/*
 * HULL_ADD_IRQFD. 0; -ENXIO: no controllers; -EINVAL: no such number, a flag, an fd that is no
 * eventfd, or one for both; -EBADF; -EEXIST; -ENOSPC: HULL_MAX_IRQFDS there are; -ENOMEM. The lock
 * keeps out others who add and remove, the reference on the file its closing.
 */
int hull_vm_add_irqfd(struct hull_vm *vm, const struct hull_irqfd *args)
{
	struct irqfd *irqfd;
	struct file *file;
	int err;

	lockdep_assert_held(&vm->lock);
	if (!vm->irqchip)
		return -ENXIO;
	if (args->flags || args->gsi >= HULL_MAX_ROUTES)
		return -EINVAL;
	file = fget(args->eventfd);
	if (!file)
		return -EBADF;
	irqfd = make_irqfd(vm->irqchip, args, file);
	err = PTR_ERR_OR_ZERO(irqfd);
	if (!err) {
		err = enlist(irqfd);
		if (err)
			free_irqfd(irqfd);
		else
			hook_irqfd(irqfd, file);
	}
	fput(file);
	return err;
}

/* NULL: there is none. What is found stays while its file is open and vm->lock is held. */
static struct irqfd *find_irqfd(struct hull_irqfds *irqfds, u32 gsi,
				const struct eventfd_ctx *trigger,
				const struct eventfd_ctx *resample)
{
	struct irqfd *irqfd, *found = NULL;
	unsigned long flags;

	raw_spin_lock_irqsave(&irqfds->lock, flags);
	list_for_each_entry(irqfd, &irqfds->all, node) {
		if (irqfd->gsi == gsi && irqfd->trigger == trigger && irqfd->resample == resample)
			found = irqfd;
	}
	raw_spin_unlock_irqrestore(&irqfds->lock, flags);
	return found;
}

static void remove_irqfd(struct irqfd *irqfd)
{
	struct hull_irqfds *irqfds = &irqfd->chip->irqfds;
	unsigned long flags;

	/* First, so that it holds no line after it was found not to. */
	remove_wait_queue(irqfd->queue, &irqfd->wait);
	raw_spin_lock_irqsave(&irqfds->lock, flags);
	take_off_lists(irqfd);
	raw_spin_unlock_irqrestore(&irqfds->lock, flags);
	if (irqfd->resample)
		synchronize_rcu_expedited();
	free_irqfd(irqfd);
}

/*
 * HULL_REMOVE_IRQFD. 0; -ENXIO: no controllers; -EINVAL: a flag, or an fd that is no eventfd;
 * -EBADF; -ENOENT: no irqfd is equal in all fields.
 */
int hull_vm_remove_irqfd(struct hull_vm *vm, const struct hull_irqfd *args)
{
	struct eventfd_ctx *trigger, *resample = NULL;
	struct irqfd *irqfd;
	struct file *file;
	int err = 0;

	lockdep_assert_held(&vm->lock);
	if (!vm->irqchip)
		return -ENXIO;
	if (args->flags)
		return -EINVAL;
	file = fget(args->eventfd);
	if (!file)
		return -EBADF;
	trigger = eventfd_ctx_fileget(file);
	if (IS_ERR(trigger)) {
		err = PTR_ERR(trigger);
		goto out_file;
	}
	if (args->resample != -1)
		resample = eventfd_ctx_fdget(args->resample);
	if (IS_ERR(resample)) {
		err = PTR_ERR(resample);
		goto out_trigger;
	}
	irqfd = find_irqfd(&vm->irqchip->irqfds, args->gsi, trigger, resample);
	if (irqfd)
		remove_irqfd(irqfd);
	else
		err = -ENOENT;
	if (resample)
		eventfd_ctx_put(resample);
out_trigger:
	eventfd_ctx_put(trigger);
out_file:
	fput(file);
	return err;
}

/* ---- another table -------------------------------------------------------------------------- */

/*
 * @old is not read any more, so nobody raises a line by it. Lines that are nobody's now fall; who
 * had another pin is asked whether he still wants service, and signals again if so.
 */
static void follow_routes(struct hull_irqchip *chip, const struct hull_route_table *old)
{
	struct hull_irqfds *irqfds = &chip->irqfds;
	const struct hull_route_table *new;
	struct irqfd *irqfd;
	unsigned long flags;
	u32 before;

	raw_spin_lock_irqsave(&irqfds->lock, flags);
	release_orphans(chip);
	raw_spin_unlock_irqrestore(&irqfds->lock, flags);
	rcu_read_lock();
	new = rcu_dereference(irqfds->routes);
	list_for_each_entry_rcu(irqfd, &irqfds->resamplers, resampler) {
		before = pin_bit(old, irqfd);
		if (before && before != pin_bit(new, irqfd))
			eventfd_signal(irqfd->resample);
	}
	list_for_each_entry_rcu(irqfd, &irqfds->all, node) {
		if (READ_ONCE(irqfd->waiting))
			take_waiting(irqfd);
	}
	rcu_read_unlock();
}

/*
 * HULL_SET_ROUTES. 0; -ENXIO: no controllers; -E2BIG: more than HULL_MAX_ROUTES; -EINVAL: an
 * impossible route; -EEXIST: two of one number; -EFAULT; -ENOMEM.
 */
int hull_vm_set_routes(struct hull_vm *vm, const struct hull_routes *args)
{
	struct hull_irqchip *chip = vm->irqchip;
	struct hull_route_table *new, *old;

	if (!chip)
		return -ENXIO;
	new = copy_table(args);
	if (IS_ERR(new))
		return PTR_ERR(new);
	mutex_lock(&vm->lock);
	old = rcu_dereference_protected(chip->irqfds.routes, lockdep_is_held(&vm->lock));
	rcu_assign_pointer(chip->irqfds.routes, new);
	synchronize_rcu_expedited();
	follow_routes(chip, old);
	mutex_unlock(&vm->lock);
	kvfree(old);
	return 0;
}

/* ---- life of the VM ------------------------------------------------------------------------- */

int hull_irqfds_create(struct hull_irqchip *chip)
{
	struct hull_irqfds *irqfds = &chip->irqfds;
	struct hull_route_table *table = default_table();

	if (!table)
		return -ENOMEM;
	raw_spin_lock_init(&irqfds->lock);
	INIT_LIST_HEAD(&irqfds->all);
	INIT_LIST_HEAD(&irqfds->resamplers);
	RCU_INIT_POINTER(irqfds->routes, table);
	return 0;
}

/* The first irqfd, off the lists; NULL: they are empty. */
static struct irqfd *take_first(struct hull_irqfds *irqfds)
{
	struct irqfd *irqfd;
	unsigned long flags;

	raw_spin_lock_irqsave(&irqfds->lock, flags);
	irqfd = list_first_entry_or_null(&irqfds->all, struct irqfd, node);
	if (irqfd)
		take_off_lists(irqfd);
	raw_spin_unlock_irqrestore(&irqfds->lock, flags);
	return irqfd;
}

/* Nobody else has the VM any more, but eventfds that are signalled or closed. */
void hull_irqfds_destroy(struct hull_irqchip *chip)
{
	struct irqfd *irqfd;

	while ((irqfd = take_first(&chip->irqfds))) {
		/* Waits for a wake-up under way, and is good too when it has left the queue. */
		remove_wait_queue(irqfd->queue, &irqfd->wait);
		free_irqfd(irqfd);
	}
	kvfree(rcu_dereference_protected(chip->irqfds.routes, true));
}
