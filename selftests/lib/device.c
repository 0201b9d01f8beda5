// SPDX-License-Identifier: GPL-2.0
/*
 * A device for tests of the ring. See device.h.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device.h"

GUEST(burst, 64,
      ".globl guest_burst, guest_burst_end\n"
      "1: xor %ebx, %ebx\n"
      "mov $0x500, %edx\n"
      "2: cmp 0x40000, %ebx\n"
      "je 3f\n"
      "mov %ebx, %eax\n out %eax, %dx\n"
      "inc %ebx\n"
      "jmp 2b\n"
      "3: mov $0x508, %edx\n"
      "in %dx, %eax\n out %eax, $0xe9\n"
      "jmp 1b");

GUEST(reader, 64,
      ".globl guest_reader, guest_reader_end\n"
      "mov $0x508, %edx\n"
      "1: in %dx, %eax\n out %eax, $0xe9\n jmp 1b");

int guest_start_burst(struct guest *guest, int consumer, __u32 count)
{
	guest_set_burst(guest, count);
	if (add(guest, PORT, POSTED, DEV, 4, consumer) ||
	    add(guest, PORT, SYNC, DEV + 8, 4, consumer))
		return -1;
	return guest_start(guest, 0, GUEST_LONG, GUEST_CODE(burst));
}

static bool serve_one(struct device *device, struct hull_endpoint *endpoint)
{
	struct hull_posted posted;

	switch (hull_next(endpoint, &posted)) {
	case HULL_WORK_POSTED:
		if (posted.value != device->posted++ || posted.address != DEV || posted.size != 4)
			device->bad++;
		if (device->slow)
			usleep(device->slow);
		return true;
	case HULL_WORK_REQUEST:
		device->requests++;
		if (device->requests == device->limit)
			_exit(0);
		hull_answer(endpoint, device->base + device->posted);
		device->posted = 0;
		return true;
	default:
		return false;
	}
}

static void *serve(void *arg)
{
	struct device *device = arg;
	struct hull_channel *channels = hull_map_consumer(device->fd, 1);
	struct hull_endpoint endpoint;

	if (!channels) {
		device->bad++;
		return NULL;
	}
	hull_endpoint_init(&endpoint, channels, device->fd, 0);
	while (!__atomic_load_n(&device->stop, __ATOMIC_RELAXED)) {
		if (!serve_one(device, &endpoint) &&
		    hull_consumer_wait(&endpoint, 1, 50) < 0 && errno != EINTR)
			device->bad++;
	}
	hull_unmap_consumer(channels, 1);
	return NULL;
}

struct device *device_create(int fd)
{
	struct device *device = mmap(NULL, sizeof(*device), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (device == MAP_FAILED)
		return NULL;
	device->fd = fd;
	return device;
}

int device_start_thread(struct device *device)
{
	return pthread_create(&device->thread, NULL, serve, device);
}

void device_stop_thread(struct device *device)
{
	__atomic_store_n(&device->stop, true, __ATOMIC_RELAXED);
	pthread_join(device->thread, NULL);
}

int device_start_process(struct device *device)
{
	device->pid = fork();
	if (!device->pid) {
		serve(device);
		_exit(0);
	}
	close(device->fd);
	return device->pid < 0 ? -1 : 0;
}

void device_wait_process(struct device *device)
{
	waitpid(device->pid, NULL, 0);
}
