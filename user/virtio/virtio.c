// SPDX-License-Identifier: GPL-2.0
/*
 * The life of a virtio device: see virtio.h for who does what.
 *
 * A reset is asked for by a vCPU and done by the worker, which first waits for what is in flight.
 * The vCPU waits for it a moment, for drivers that do not look; one that takes longer shows in the
 * status, which is not 0 until it is over, as the specification has it.
 *
 * Locks: device->lock, an outermost lock; the worker drops it for the device's functions. A queue's
 * ring is the worker's alone, its being live changes under the lock too.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "virtio/virtio.h"

#define RESET_WAIT_NS	1000000000ULL
#define NSEC		1000000000ULL

/* ---- what the driver did wrong -------------------------------------------------------------- */

static void break_locked(struct virtio_device *device, const char *why)
{
	if (atomic_load(&device->broken))
		return;
	atomic_store(&device->broken, true);
	device->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	notice(&device->notice, "%s: the guest's driver broke a rule, the device needs a reset: %s",
	       device->name, why);
	if (device->status & VIRTIO_CONFIG_S_DRIVER_OK)
		device->transport->interrupt(device, NULL);
	/* Others have to be told to stop. */
	event_signal(device->control);
}

void virtio_break(struct virtio_device *device, const char *why)
{
	pthread_mutex_lock(&device->lock);
	break_locked(device, why);
	pthread_mutex_unlock(&device->lock);
}

/* ---- queues, by the worker ------------------------------------------------------------------ */

bool virtio_take(struct virtio_queue *queue, struct chain *chain)
{
	int ret;

	if (!queue->live || atomic_load(&queue->device->broken))
		return false;
	ret = queue_take(&queue->ring, chain);
	if (ret < 0)
		virtio_break(queue->device, queue->ring.broken);
	return ret > 0;
}

/* The rings of a broken device may be anything by now. */
static struct queue *ring_to_use(struct virtio_queue *queue)
{
	if (!queue->ring.broken && atomic_load(&queue->device->broken))
		queue->ring.broken = "another queue, or a register";
	return &queue->ring;
}

void virtio_give(struct virtio_queue *queue, const struct chain *chain, uint32_t written)
{
	queue_give(ring_to_use(queue), chain, written);
}

void virtio_put(struct virtio_queue *queue, const struct chain *chain, uint32_t written)
{
	queue_put(ring_to_use(queue), chain, written);
}

void virtio_signal(struct virtio_queue *queue)
{
	struct virtio_device *device = queue->device;

	if (!queue_wants_interrupt(&queue->ring))
		return;
	pthread_mutex_lock(&device->lock);
	device->transport->interrupt(device, queue);
	pthread_mutex_unlock(&device->lock);
}

static void kick_ready(void *opaque)
{
	struct virtio_queue *queue = opaque;

	/* What is outside looks itself. */
	if (!queue->outside)
		event_drain(queue->kick);
	if (queue->live && !atomic_load(&queue->device->broken))
		queue->device->ops->kick(queue->device, queue->index);
}

/* An interrupt that the module does not take; perhaps it just did, or will. */
static void call_ready(void *opaque)
{
	struct virtio_queue *queue = opaque;
	struct virtio_device *device = queue->device;

	if (!event_drain(queue->call))
		return;
	pthread_mutex_lock(&device->lock);
	if (queue->live)
		device->transport->interrupt(device, queue);
	pthread_mutex_unlock(&device->lock);
}

void virtio_queue_watch_calls(struct virtio_queue *queue, bool on)
{
	struct worker *worker = &queue->device->worker;

	if (on == queue->watching_calls)
		return;
	if (!on)
		worker_unwatch(worker, &queue->watch);
	else if (worker_watch(worker, &queue->watch, EPOLLIN))
		return;
	queue->watching_calls = on;
}

/* ---- starting and ending queues, by the worker with the lock held --------------------------- */

static void reset_registers(struct virtio_queue *queue)
{
	queue->size = queue->size_max;
	queue->vector = VIRTIO_NO_VECTOR;
	queue->enabled = false;
	queue->resetting = false;
	queue->desc = 0;
	queue->avail = 0;
	queue->used = 0;
}

static void end_queue(struct virtio_queue *queue)
{
	struct virtio_device *device = queue->device;

	if (!queue->live)
		return;
	queue->live = false;
	device->transport->stopped(device, queue);
	if (device->ops->drain) {
		pthread_mutex_unlock(&device->lock);
		device->ops->drain(device, queue->index);
		pthread_mutex_lock(&device->lock);
	}
	/* Nobody signals it any more. */
	if (queue->outside)
		event_drain(queue->call);
}

/* The worker leaves the queues of a broken device alone; who is outside does not know. */
static void end_outside_queues(struct virtio_device *device)
{
	unsigned int i;

	for (i = 0; i < device->queues; i++)
		if (device->queue[i].outside)
			end_queue(&device->queue[i]);
}

static void reset_device(struct virtio_device *device)
{
	unsigned int i;

	for (i = 0; i < device->queues; i++)
		end_queue(&device->queue[i]);
	if (device->running && device->ops->stop) {
		pthread_mutex_unlock(&device->lock);
		device->ops->stop(device);
		pthread_mutex_lock(&device->lock);
	}
	for (i = 0; i < device->queues; i++)
		reset_registers(&device->queue[i]);
	device->running = false;
	device->accepted = 0;
	device->status = 0;
	atomic_store(&device->broken, false);
	device->transport->reset(device);
	device->resetting = false;
	pthread_cond_broadcast(&device->reset_done);
}

static void reset_queues(struct virtio_device *device)
{
	unsigned int i;

	for (i = 0; i < device->queues; i++) {
		if (!device->queue[i].resetting)
			continue;
		end_queue(&device->queue[i]);
		reset_registers(&device->queue[i]);
		pthread_cond_broadcast(&device->reset_done);
	}
}

static bool start_queue(struct virtio_queue *queue)
{
	struct virtio_device *device = queue->device;
	const struct queue_setup setup = {
		.size = queue->size,
		.desc = queue->desc, .avail = queue->avail, .used = queue->used,
		.event_index = virtio_has(device, VIRTIO_RING_F_EVENT_IDX),
		.indirect = virtio_has(device, VIRTIO_RING_F_INDIRECT_DESC),
	};

	if (queue_start(&queue->ring, device->memory, &setup)) {
		break_locked(device, queue->ring.broken);
		return false;
	}
	queue->live = true;
	device->transport->started(device, queue);
	return true;
}

static void start_queues(struct virtio_device *device)
{
	bool fresh[VIRTIO_QUEUES_MAX] = { false };
	unsigned int i;

	for (i = 0; i < device->queues; i++) {
		struct virtio_queue *queue = &device->queue[i];

		if (queue->enabled && !queue->live && !queue->resetting)
			fresh[i] = start_queue(queue);
	}
	pthread_mutex_unlock(&device->lock);
	if (!device->running && device->ops->start && !atomic_load(&device->broken))
		device->ops->start(device);
	device->running = true;
	/* The driver may have kicked before anybody listened. */
	for (i = 0; i < device->queues; i++)
		if (fresh[i])
			kick_ready(&device->queue[i]);
	pthread_mutex_lock(&device->lock);
}

void virtio_work(struct virtio_device *device)
{
	pthread_mutex_lock(&device->lock);
	if (device->resetting)
		reset_device(device);
	reset_queues(device);
	if (atomic_load(&device->broken))
		end_outside_queues(device);
	else if (device->status & VIRTIO_CONFIG_S_DRIVER_OK)
		start_queues(device);
	pthread_mutex_unlock(&device->lock);
}

static void control_ready(void *opaque)
{
	struct virtio_device *device = opaque;

	event_drain(device->control);
	virtio_work(device);
}

/* ---- registers, by vCPUs with the lock held ------------------------------------------------- */

/* The worker is told; and waited for, unless it takes long. */
static void wait_for_reset(struct virtio_device *device, const bool *resetting)
{
	struct timespec until;

	event_signal(device->control);
	if (!device->worker.started)
		return;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += RESET_WAIT_NS / NSEC;
	while (*resetting)
		if (pthread_cond_timedwait(&device->reset_done, &device->lock, &until))
			break;
}

static bool features_possible(const struct virtio_device *device)
{
	return !(device->accepted & ~device->offered) && virtio_has(device, VIRTIO_F_VERSION_1);
}

void virtio_set_status(struct virtio_device *device, uint8_t status)
{
	uint8_t fresh = status & ~device->status;

	if (device->resetting)
		return;
	if (!status) {
		device->resetting = true;
		wait_for_reset(device, &device->resetting);
		return;
	}
	if ((fresh & VIRTIO_CONFIG_S_FEATURES_OK) && !features_possible(device))
		fresh &= ~VIRTIO_CONFIG_S_FEATURES_OK;
	device->status |= fresh & ~VIRTIO_CONFIG_S_NEEDS_RESET;
	if (!(fresh & VIRTIO_CONFIG_S_DRIVER_OK))
		return;
	if (device->status & VIRTIO_CONFIG_S_FEATURES_OK)
		event_signal(device->control);
	else
		break_locked(device, "it was started before features were agreed on");
}

void virtio_set_features(struct virtio_device *device, unsigned int shift, uint32_t bits)
{
	if (device->resetting || (device->status & VIRTIO_CONFIG_S_FEATURES_OK))
		return;
	device->accepted &= ~(0xffffffffULL << shift);
	device->accepted |= (uint64_t)bits << shift;
}

void virtio_config_read(struct virtio_device *device, unsigned int offset, void *data,
			unsigned int size)
{
	memset(data, 0, size);
	if (offset >= device->config_size)
		return;
	if (size > device->config_size - offset)
		size = device->config_size - offset;
	memcpy(data, (const uint8_t *)device->config + offset, size);
}

void virtio_config_write(struct virtio_device *device, unsigned int offset, const void *data,
			 unsigned int size)
{
	const struct virtio_ops *ops = device->ops;
	unsigned int from = ops->config_writable.offset, length = ops->config_writable.size;

	if (device->resetting || offset < from || offset - from > length ||
	    size > length - (offset - from))
		return;
	memcpy((uint8_t *)device->config + offset, data, size);
	if (ops->config_written)
		ops->config_written(device, offset, size);
}

void virtio_config_changed(struct virtio_device *device)
{
	device->generation++;
	if (device->status & VIRTIO_CONFIG_S_DRIVER_OK)
		device->transport->interrupt(device, NULL);
}

/* False: not now. Changing what the device works with is a defect of the driver. */
static bool may_change(struct virtio_queue *queue, bool same)
{
	if (queue->device->resetting || queue->resetting || same)
		return false;
	if (queue->enabled)
		break_locked(queue->device, "a queue was changed after it was enabled");
	return !queue->enabled;
}

void virtio_queue_set_size(struct virtio_queue *queue, uint16_t size)
{
	if (may_change(queue, size == queue->size))
		queue->size = size;
}

void virtio_queue_set_address(struct virtio_queue *queue, uint64_t *which, unsigned int shift,
			      uint32_t bits)
{
	uint64_t address = (*which & ~(0xffffffffULL << shift)) | (uint64_t)bits << shift;

	if (may_change(queue, address == *which))
		*which = address;
}

void virtio_queue_enable(struct virtio_queue *queue)
{
	struct virtio_device *device = queue->device;

	if (device->resetting || queue->resetting || queue->enabled)
		return;
	if (queue->size > queue->size_max) {
		break_locked(device, "a queue is larger than the device's");
		return;
	}
	queue->enabled = true;
	if (device->status & VIRTIO_CONFIG_S_DRIVER_OK)
		event_signal(device->control);
}

void virtio_queue_reset(struct virtio_queue *queue)
{
	struct virtio_device *device = queue->device;

	if (device->resetting || !queue->enabled || !virtio_has(device, VIRTIO_F_RING_RESET))
		return;
	queue->resetting = true;
	wait_for_reset(device, &queue->resetting);
}

/* ---- building ------------------------------------------------------------------------------- */

static int create_queue(struct virtio_device *device, unsigned int index)
{
	struct virtio_queue *queue = &device->queue[index];

	queue->device = device;
	queue->index = index;
	if (!queue->size_max)
		queue->size_max = QUEUE_SIZE_MAX;
	reset_registers(queue);
	queue->kick = event_create();
	queue->watch = (struct watch){ queue->kick, kick_ready, queue };
	if (queue->kick < 0)
		return -1;
	if (queue->outside) {
		queue->call = event_create();
		queue->watch = (struct watch){ queue->call, call_ready, queue };
		return queue->call < 0 ? -1 : 0;
	}
	return worker_watch(&device->worker, &queue->watch, EPOLLIN);
}

int virtio_create(struct virtio_device *device, const struct guest_memory *memory,
		  struct failure *why)
{
	pthread_condattr_t attr;
	unsigned int i;

	device->memory = memory;
	device->control = -1;
	for (i = 0; i < device->queues; i++) {
		device->queue[i].kick = -1;
		device->queue[i].call = -1;
	}
	device->worker.epoll = -1;
	device->worker.stop = -1;
	pthread_mutex_init(&device->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&device->reset_done, &attr);
	pthread_condattr_destroy(&attr);
	if (worker_create(&device->worker, device->name, why))
		return -1;
	device->control = event_create();
	device->control_watch = (struct watch){ device->control, control_ready, device };
	if (device->control < 0 ||
	    worker_watch(&device->worker, &device->control_watch, EPOLLIN))
		return fail(why, "cannot create events of %s: %s", device->name, strerror(errno));
	for (i = 0; i < device->queues; i++)
		if (create_queue(device, i))
			return fail(why, "cannot create events of %s: %s", device->name,
				    strerror(errno));
	return 0;
}

int virtio_start(struct virtio_device *device, struct failure *why)
{
	return worker_start(&device->worker, why);
}

void virtio_stop(struct virtio_device *device)
{
	bool started = device->worker.started;

	/* As a reset: what is in flight ends on the thread that began it. */
	pthread_mutex_lock(&device->lock);
	device->resetting = true;
	event_signal(device->control);
	while (started && device->resetting)
		pthread_cond_wait(&device->reset_done, &device->lock);
	pthread_mutex_unlock(&device->lock);
	if (!started)
		virtio_work(device);
	worker_stop(&device->worker);
}

void virtio_destroy(struct virtio_device *device)
{
	unsigned int i;

	worker_destroy(&device->worker);
	for (i = 0; i < device->queues; i++) {
		if (device->queue[i].kick >= 0)
			close(device->queue[i].kick);
		if (device->queue[i].call >= 0)
			close(device->queue[i].call);
	}
	if (device->control >= 0)
		close(device->control);
	device->ops->destroy(device);
}
