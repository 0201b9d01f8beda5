// SPDX-License-Identifier: GPL-2.0
/*
 * Virtual machines: creation, lifetime, and the ioctls of the VM fd.
 *
 * A VM lives while any of its fds does (VM, vCPUs, consumers). It belongs to the address space of
 * its creator: ioctls that touch memory or run guests from elsewhere are refused with EIO.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/uaccess.h>

#include "backend.h"
#include "dev.h"
#include "host.h"
#include "irqchip/irqchip.h"
#include "ring.h"
#include "vcpu.h"
#include "vm.h"

/* ---- requests to all vCPUs ------------------------------------------------------------------ */

static void nothing(void *unused)
{
}

void hull_vm_request(struct hull_vm *vm, unsigned int request)
{
	struct hull_vcpu *vcpu;
	cpumask_var_t mask;
	unsigned int id;
	int self;

	if (!zalloc_cpumask_var(&mask, GFP_ATOMIC)) {
		/* Without a list of CPUs all are interrupted. */
		hull_for_each_vcpu(id, vcpu, vm)
			hull_vcpu_request(vcpu, request);
		on_each_cpu(nothing, NULL, 1);
		return;
	}
	self = get_cpu();
	hull_for_each_vcpu(id, vcpu, vm) {
		hull_vcpu_set_request(vcpu, request);
		/* Pairs with the barrier of hull_vcpu_enter_mode(). */
		smp_mb__after_atomic();
		rcuwait_wake_up(&vcpu->wait);
		if (READ_ONCE(vcpu->mode) == HULL_IN_GUEST && READ_ONCE(vcpu->cpu) != self)
			cpumask_set_cpu(READ_ONCE(vcpu->cpu), mask);
	}
	/* A vCPU in its window has interrupts off: the call returns when it has left. */
	smp_call_function_many(mask, nothing, NULL, true);
	put_cpu();
	free_cpumask_var(mask);
}

/* ---- life ----------------------------------------------------------------------------------- */

static void vm_free(struct hull_vm *vm)
{
	unsigned int id;

	/*
	 * First those who call vCPUs from outside: the notifier (whose end is also where the oracle
	 * walks the tables a last time) and the timers.
	 */
	hull_notifier_unregister(vm);
	hull_irqchip_destroy(vm);
	for (id = 0; id < HULL_MAX_VCPUS; id++) {
		if (vm->vcpus[id])
			hull_vcpu_free(vm->vcpus[id]);
	}
	hull_ranges_destroy(vm);
	hull_mmu_destroy(vm);
	hull_regions_destroy(vm);
	hull_virt_put();
	cleanup_srcu_struct(&vm->srcu);
	mmdrop(vm->mm);
	kfree(vm);
}

static void vm_release(struct kref *refs)
{
	vm_free(container_of(refs, struct hull_vm, refs));
}

void hull_vm_get(struct hull_vm *vm)
{
	kref_get(&vm->refs);
}

void hull_vm_put(struct hull_vm *vm)
{
	kref_put(&vm->refs, vm_release);
}

/* Memory, ranges, controllers: what needs the VM's lists and locks to exist. */
static int create_parts(struct hull_vm *vm, const struct hull_create_vm *args)
{
	int err;

	err = hull_regions_init(vm);
	if (err)
		return err;
	err = hull_mmu_init(vm);
	if (err)
		goto err_regions;
	err = hull_notifier_register(vm);
	if (err)
		goto err_mmu;
	err = hull_ranges_init(vm);
	if (err)
		goto err_notifier;
	err = hull_irqchip_create(vm, args);
	if (err)
		goto err_ranges;
	return 0;

err_ranges:
	hull_ranges_destroy(vm);
err_notifier:
	hull_notifier_unregister(vm);
err_mmu:
	hull_mmu_destroy(vm);
err_regions:
	hull_regions_destroy(vm);
	return err;
}

static struct hull_vm *vm_create(const struct hull_create_vm *args)
{
	struct hull_vm *vm;
	int err;

	vm = kzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);
	if (!vm)
		return ERR_PTR(-ENOMEM);
	kref_init(&vm->refs);
	mutex_init(&vm->lock);
	vm->flags = args->flags;
	vm->paging = args->paging ?: hull_default_paging;
	vm->tsc_offset = -rdtsc();
	vm->mm = current->mm;
	mmgrab(vm->mm);
	err = init_srcu_struct(&vm->srcu);
	if (err)
		goto err_mm;
	err = hull_virt_get();
	if (err)
		goto err_srcu;
	err = create_parts(vm, args);
	if (err)
		goto err_virt;
	return vm;

err_virt:
	hull_virt_put();
err_srcu:
	cleanup_srcu_struct(&vm->srcu);
err_mm:
	mmdrop(vm->mm);
	kfree(vm);
	return ERR_PTR(err);
}

int hull_vm_create_fd(const struct hull_create_vm *args)
{
	struct hull_vm *vm = vm_create(args);
	int fd;

	if (IS_ERR(vm))
		return PTR_ERR(vm);
	fd = anon_inode_getfd("hull-vm", &hull_vm_fops, vm, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		hull_vm_put(vm);
	return fd;
}

/* ---- ioctls --------------------------------------------------------------------------------- */

static long vm_set_memory(void *object, void *arg)
{
	return hull_vm_set_memory(object, arg);
}

static long vm_get_dirty(void *object, void *arg)
{
	return hull_vm_get_dirty(object, arg);
}

static long vm_create_vcpu(void *object, void *arg)
{
	const struct hull_create_vcpu *args = arg;
	struct hull_vm *vm = object;
	struct hull_vcpu *vcpu;
	struct file *file;
	int fd;

	if (args->id >= HULL_MAX_VCPUS)
		return -EINVAL;
	if (vm->vcpus[args->id])
		return -EEXIST;
	fd = get_unused_fd_flags(O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return fd;
	vcpu = hull_vcpu_create(vm, args->id);
	if (IS_ERR(vcpu)) {
		put_unused_fd(fd);
		return PTR_ERR(vcpu);
	}
	file = anon_inode_getfile("hull-vcpu", &hull_vcpu_fops, vcpu, O_RDWR);
	if (IS_ERR(file)) {
		hull_vcpu_free(vcpu);
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	hull_vm_get(vm);
	/* From here on it gets requests; it stays until the VM goes. */
	smp_store_release(&vm->vcpus[args->id], vcpu);
	vm->nr_vcpus++;
	fd_install(fd, file);
	return fd;
}

static long vm_create_consumer(void *object, void *arg)
{
	return hull_vm_create_consumer(object);
}

static long vm_attach_consumer(void *object, void *arg)
{
	return hull_vm_attach_consumer(object, arg);
}

static long vm_add_range(void *object, void *arg)
{
	return hull_vm_add_range(object, arg);
}

static long vm_remove_range(void *object, void *arg)
{
	return hull_vm_remove_range(object, arg);
}

static long vm_set_irq(void *object, void *arg)
{
	const struct hull_irq *args = arg;
	struct hull_vm *vm = object;

	if (args->level > 1)
		return -EINVAL;
	return vm->irqchip ? hull_irq_set(vm, args->gsi, args->level) : -ENXIO;
}

static long vm_send_msi(void *object, void *arg)
{
	const struct hull_msi *args = arg;
	struct hull_vm *vm = object;

	return vm->irqchip ? hull_msi_send(vm, args->address, args->data) : -ENXIO;
}

static long vm_set_routes(void *object, void *arg)
{
	return hull_vm_set_routes(object, arg);
}

static long vm_add_irqfd(void *object, void *arg)
{
	return hull_vm_add_irqfd(object, arg);
}

static long vm_remove_irqfd(void *object, void *arg)
{
	return hull_vm_remove_irqfd(object, arg);
}

static long vm_move_state(struct hull_vm *vm, const struct hull_state_io *args, bool set)
{
	void __user *user = u64_to_user_ptr(args->state);
	size_t size = args->groups & HULL_VM_GROUP_LINES ? sizeof(struct hull_vm_state) :
							   offsetof(struct hull_vm_state, lines);
	struct hull_vm_state *state;
	long ret;

	if (args->groups & ~HULL_VM_GROUPS)
		return -EINVAL;
	if (!vm->irqchip || ((args->groups & HULL_VM_GROUP_PIT) && !(vm->flags & HULL_VM_PIT)))
		return -ENXIO;
	state = kzalloc(sizeof(*state), GFP_KERNEL_ACCOUNT);
	if (!state)
		return -ENOMEM;
	if (copy_from_user(state, user, size)) {
		ret = -EFAULT;
	} else if (set) {
		ret = hull_irqchip_set_state(vm, args->groups, state);
	} else {
		hull_irqchip_get_state(vm, args->groups, state);
		ret = copy_to_user(user, state, size) ? -EFAULT : 0;
	}
	kfree(state);
	return ret;
}

static long vm_get_state(void *object, void *arg)
{
	return vm_move_state(object, arg, false);
}

static long vm_set_state(void *object, void *arg)
{
	return vm_move_state(object, arg, true);
}

static long vm_check(void *object, void *arg)
{
	struct hull_vm *vm = object;

	if (!hull_check)
		return -EOPNOTSUPP;
	hull_check_tables(vm);
	return atomic_read(&vm->mmu.violations) ? -EUCLEAN : 0;
}

static long vm_memory_written(void *object, void *arg)
{
	const struct hull_written *args = arg;
	u64 limit = gfn_to_gpa(hull_mmu_gfn_end());

	if (!args->size || args->gpa >= limit || args->size > limit - args->gpa)
		return -EINVAL;
	hull_shadow_written(object, gpa_to_gfn(args->gpa),
			    gpa_to_gfn(args->gpa + args->size - 1) + 1);
	return 0;
}

static const struct hull_ioctl vm_ioctls[] = {
	{ .cmd = HULL_SET_MEMORY, .fn = vm_set_memory, .flags = HULL_IOC_SAME_MM,
	  HULL_RESERVED(struct hull_memory) },
	{ .cmd = HULL_GET_DIRTY, .fn = vm_get_dirty, .flags = HULL_IOC_SAME_MM,
	  HULL_RESERVED(struct hull_dirty) },
	{ .cmd = HULL_CREATE_VCPU, .fn = vm_create_vcpu,
	  .flags = HULL_IOC_SAME_MM | HULL_IOC_LOCK, HULL_RESERVED(struct hull_create_vcpu) },
	{ .cmd = HULL_CREATE_CONSUMER, .fn = vm_create_consumer, .flags = HULL_IOC_SAME_MM },
	{ .cmd = HULL_ADD_RANGE, .fn = vm_add_range, .flags = HULL_IOC_SAME_MM,
	  HULL_RESERVED(struct hull_range) },
	{ .cmd = HULL_REMOVE_RANGE, .fn = vm_remove_range, .flags = HULL_IOC_SAME_MM,
	  HULL_RESERVED(struct hull_range) },
	{ .cmd = HULL_SET_IRQ, .fn = vm_set_irq, .flags = HULL_IOC_SAME_MM },
	{ .cmd = HULL_SEND_MSI, .fn = vm_send_msi, .flags = HULL_IOC_SAME_MM,
	  HULL_RESERVED(struct hull_msi) },
	{ .cmd = HULL_VM_GET_STATE, .fn = vm_get_state,
	  .flags = HULL_IOC_SAME_MM | HULL_IOC_LOCK },
	{ .cmd = HULL_VM_SET_STATE, .fn = vm_set_state,
	  .flags = HULL_IOC_SAME_MM | HULL_IOC_LOCK },
	{ .cmd = HULL_VM_CHECK, .fn = vm_check, .flags = HULL_IOC_SAME_MM },
	{ .cmd = HULL_ATTACH_CONSUMER, .fn = vm_attach_consumer, .flags = HULL_IOC_SAME_MM,
	  HULL_RESERVED(struct hull_attach) },
	{ .cmd = HULL_MEMORY_WRITTEN, .fn = vm_memory_written, .flags = HULL_IOC_SAME_MM },
	{ .cmd = HULL_SET_ROUTES, .fn = vm_set_routes, .flags = HULL_IOC_SAME_MM,
	  HULL_RESERVED(struct hull_routes) },
	{ .cmd = HULL_ADD_IRQFD, .fn = vm_add_irqfd, .flags = HULL_IOC_SAME_MM | HULL_IOC_LOCK,
	  HULL_RESERVED(struct hull_irqfd) },
	{ .cmd = HULL_REMOVE_IRQFD, .fn = vm_remove_irqfd,
	  .flags = HULL_IOC_SAME_MM | HULL_IOC_LOCK, HULL_RESERVED(struct hull_irqfd) },
};

static long vm_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct hull_vm *vm = file->private_data;

	return hull_ioctl(vm_ioctls, ARRAY_SIZE(vm_ioctls), vm, vm->mm, &vm->lock, cmd, arg);
}

static int vm_close(struct inode *inode, struct file *file)
{
	hull_vm_put(file->private_data);
	return 0;
}

const struct file_operations hull_vm_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = vm_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.release = vm_close,
	.llseek = noop_llseek,
};
