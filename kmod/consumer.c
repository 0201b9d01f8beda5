// SPDX-License-Identifier: GPL-2.0
/*
 * Consumers: the fd through which another thread or process serves ranges. It is polled, mapped
 * (channels of all vCPUs), and written to (the number of a vCPU to wake).
 *
 * Life. The object lives while an fd or a range refers to it. The file is released when the last fd
 * and the last mapping are gone: then the consumer is dead, vCPUs that wait for it are told, and
 * ranges keep pointing at it until a successor attaches, who gets the same channels. So nobody has
 * a channel mapped at the moment it is handed over.
 *
 * Locks: consumer->lock for the creation of channels (inside mmap_lock and vm->lock); the rest is
 * single words, see struct hull_consumer. Place in the tour: after ranges.c, before ring.c.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "consumer.h"
#include "ranges.h"
#include "vcpu.h"

#define CHANNEL_PAGES	(sizeof(struct hull_channel) / PAGE_SIZE)

/* ---- channels ------------------------------------------------------------------------------- */

/* Single pages side by side: each is mapped, and outlives the channel if need be, on its own. */
struct hull_channel *hull_channel_alloc(void)
{
	return alloc_pages_exact(sizeof(struct hull_channel), GFP_KERNEL_ACCOUNT | __GFP_ZERO);
}

void hull_channel_free(struct hull_channel *shared)
{
	free_pages_exact(shared, sizeof(*shared));
}

static struct hull_channel_kernel *make_channel(struct hull_consumer *consumer, unsigned int id)
{
	struct hull_channel_kernel *channel;
	struct hull_channel *shared;

	channel = kmalloc(sizeof(*channel), GFP_KERNEL_ACCOUNT);
	if (!channel)
		return NULL;
	shared = hull_channel_alloc();
	if (!shared) {
		kfree(channel);
		return NULL;
	}
	hull_channel_init(channel, shared, id, READ_ONCE(consumer->generation));
	smp_store_release(&consumer->channels[id], channel);
	return channel;
}

struct hull_channel_kernel *hull_consumer_channel(struct hull_consumer *consumer, unsigned int id)
{
	struct hull_channel_kernel *channel = hull_consumer_find_channel(consumer, id);

	if (likely(channel))
		return channel;
	mutex_lock(&consumer->lock);
	channel = consumer->channels[id];
	if (!channel)
		channel = make_channel(consumer, id);
	mutex_unlock(&consumer->lock);
	return channel;
}

/* ---- life ----------------------------------------------------------------------------------- */

static struct hull_consumer *consumer_create(struct hull_vm *vm)
{
	struct hull_consumer *consumer = kzalloc(sizeof(*consumer), GFP_KERNEL_ACCOUNT);

	if (!consumer)
		return NULL;
	kref_init(&consumer->refs);
	consumer->vm = vm;
	mutex_init(&consumer->lock);
	init_waitqueue_head(&consumer->wait);
	return consumer;
}

static void consumer_free(struct kref *refs)
{
	struct hull_consumer *consumer = container_of(refs, struct hull_consumer, refs);
	unsigned int id;

	for (id = 0; id < HULL_MAX_VCPUS; id++) {
		if (!consumer->channels[id])
			continue;
		hull_channel_free(consumer->channels[id]->shared);
		kfree(consumer->channels[id]);
	}
	kfree(consumer);
}

void hull_consumer_put(struct hull_consumer *consumer)
{
	kref_put(&consumer->refs, consumer_free);
}

/* Tell the vCPUs that wait for an answer: they look at the generation when they are awake. */
static int consumer_release(struct inode *inode, struct file *file)
{
	struct hull_consumer *consumer = file->private_data;
	struct hull_vm *vm = consumer->vm;
	struct hull_vcpu *vcpu;
	unsigned int id;

	WRITE_ONCE(consumer->generation, consumer->generation + 1);
	/* Orders the word above before the look at who sleeps. */
	hull_for_each_vcpu(id, vcpu, vm)
		rcuwait_wake_up(&vcpu->wait);
	hull_consumer_put(consumer);
	hull_vm_put(vm);
	return 0;
}

void hull_consumer_wake(struct hull_consumer *consumer)
{
	WRITE_ONCE(consumer->signalled, true);
	wake_up_interruptible_poll(&consumer->wait, EPOLLIN | EPOLLRDNORM);
}

/* ---- the fd --------------------------------------------------------------------------------- */

static __poll_t consumer_poll(struct file *file, struct poll_table_struct *table)
{
	struct hull_consumer *consumer = file->private_data;
	__poll_t mask = EPOLLOUT | EPOLLWRNORM;
	unsigned int id;

	poll_wait(file, &consumer->wait, table);
	/* Either work is seen below, or who publishes it finds signalled clear and wakes us. */
	WRITE_ONCE(consumer->signalled, false);
	smp_mb();
	for (id = 0; id < HULL_MAX_VCPUS; id++) {
		const struct hull_channel_kernel *channel =
			hull_consumer_find_channel(consumer, id);

		if (channel && hull_channel_has_work(channel))
			mask |= EPOLLIN | EPOLLRDNORM;
	}
	return mask;
}

/* Wake a vCPU that sleeps for this consumer. -EINVAL: not one number; -ENXIO: no such vCPU. */
static ssize_t consumer_write(struct file *file, const char __user *buffer, size_t len, loff_t *pos)
{
	struct hull_consumer *consumer = file->private_data;
	struct hull_vcpu *vcpu;
	u32 id;

	if (len != sizeof(id))
		return -EINVAL;
	if (copy_from_user(&id, buffer, sizeof(id)))
		return -EFAULT;
	vcpu = hull_vm_vcpu(consumer->vm, id);
	if (!vcpu)
		return -ENXIO;
	rcuwait_wake_up(&vcpu->wait);
	return len;
}

static vm_fault_t consumer_fault(struct vm_fault *vmf)
{
	struct hull_consumer *consumer = vmf->vma->vm_private_data;
	struct hull_channel_kernel *channel;

	if (vmf->pgoff >= HULL_MAX_VCPUS * CHANNEL_PAGES)
		return VM_FAULT_SIGBUS;
	channel = hull_consumer_channel(consumer, vmf->pgoff / CHANNEL_PAGES);
	if (!channel)
		return VM_FAULT_OOM;
	vmf->page = virt_to_page((u8 *)channel->shared + (vmf->pgoff % CHANNEL_PAGES) * PAGE_SIZE);
	get_page(vmf->page);
	return 0;
}

static const struct vm_operations_struct consumer_vm_ops = {
	.fault = consumer_fault,
};

/* -EINVAL: a private mapping, or beyond the last channel. */
static int consumer_mmap(struct file *file, struct vm_area_struct *vma)
{
	unsigned long pages = HULL_MAX_VCPUS * CHANNEL_PAGES;

	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (vma->vm_pgoff > pages || vma_pages(vma) > pages - vma->vm_pgoff)
		return -EINVAL;
	vma->vm_private_data = file->private_data;
	vma->vm_ops = &consumer_vm_ops;
	return 0;
}

static const struct file_operations consumer_fops = {
	.owner = THIS_MODULE,
	.poll = consumer_poll,
	.write = consumer_write,
	.mmap = consumer_mmap,
	.release = consumer_release,
	.llseek = noop_llseek,
};

struct hull_consumer *hull_consumer_from_fd(struct hull_vm *vm, int fd)
{
	struct hull_consumer *consumer = ERR_PTR(-EINVAL);
	struct file *file = fget(fd);

	if (!file)
		return ERR_PTR(-EBADF);
	if (file->f_op == &consumer_fops &&
	    ((struct hull_consumer *)file->private_data)->vm == vm) {
		consumer = file->private_data;
		hull_consumer_get(consumer);
	}
	fput(file);
	return consumer;
}

/* ---- ioctls of the VM fd -------------------------------------------------------------------- */

/*
 * Make the fd that attaches @consumer, which is dead or new and stays referenced by the caller.
 * Nobody can see the file before all is in order.
 */
static int attach(struct hull_consumer *consumer)
{
	u32 generation = consumer->generation + 1;
	struct file *file;
	unsigned int id;
	int fd;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	file = anon_inode_getfile("hull-consumer", &consumer_fops, consumer, O_RDWR);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	hull_consumer_get(consumer);
	hull_vm_get(consumer->vm);
	for (id = 0; id < HULL_MAX_VCPUS; id++) {
		struct hull_channel_kernel *channel = hull_consumer_find_channel(consumer, id);

		if (channel)
			hull_channel_reattach(channel, generation);
	}
	WRITE_ONCE(consumer->signalled, false);
	/* Release: who finds it attached finds the channels repaired. */
	smp_store_release(&consumer->generation, generation);
	fd_install(fd, file);
	return fd;
}

/* HULL_CREATE_CONSUMER. Returns an fd; -ENOMEM, -EMFILE, -ENFILE. */
int hull_vm_create_consumer(struct hull_vm *vm)
{
	struct hull_consumer *consumer = consumer_create(vm);
	int fd;

	if (!consumer)
		return -ENOMEM;
	fd = attach(consumer);
	hull_consumer_put(consumer);
	return fd;
}

/*
 * HULL_ATTACH_CONSUMER. Returns an fd; -EINVAL: no such space; -ENOENT: no consumer has a range
 * there; -EBUSY: it lives; -ENOMEM, -EMFILE, -ENFILE. The lock keeps the table and keeps out others
 * who would attach.
 */
int hull_vm_attach_consumer(struct hull_vm *vm, const struct hull_attach *args)
{
	const struct hull_range_table *table;
	const struct hull_target *range;
	int fd;

	if (args->space > HULL_SPACE_HYPERCALL)
		return -EINVAL;
	mutex_lock(&vm->lock);
	table = rcu_dereference_protected(vm->ranges, lockdep_is_held(&vm->lock));
	range = hull_table_range(table, args->space, args->address, args->address);
	if (!range || !range->consumer)
		fd = -ENOENT;
	else if (hull_generation_attached(READ_ONCE(range->consumer->generation)))
		fd = -EBUSY;
	else
		fd = attach(range->consumer);
	mutex_unlock(&vm->lock);
	return fd;
}
