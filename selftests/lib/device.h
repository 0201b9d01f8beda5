/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A device for tests of the ring, its consumers in threads and processes, and guests that use it:
 * writes of 32 bits to port DEV are numbered from 0, a read of DEV + 8 gets the number of writes
 * since the last read. What a guest read it writes to port OWN, which is the vCPU's own thread's.
 */
#ifndef SELFTESTS_DEVICE_H
#define SELFTESTS_DEVICE_H

#include <pthread.h>
#include <string.h>
#include <sys/types.h>

#include "guest.h"

#define PORT		HULL_SPACE_PORT
#define MEMORY		HULL_SPACE_MEMORY
#define HYPERCALL	HULL_SPACE_HYPERCALL
#define SYNC		HULL_DELIVER_SYNC
#define POSTED		HULL_DELIVER_POSTED
#define DOORBELL	HULL_DELIVER_DOORBELL

#define OWN		0xe9
#define DEV		0x500
#define MMIO		0x10000000

/* ---- ranges --------------------------------------------------------------------------------- */

static inline struct hull_range range_of(__u32 space, __u32 delivery, __u64 start, __u64 length,
					 int consumer)
{
	return (struct hull_range) {
		.space = space, .delivery = delivery, .start = start, .length = length,
		.consumer = consumer, .eventfd = -1,
	};
}

static inline struct hull_range bell_of(__u32 space, __u64 start, __u64 length, int eventfd)
{
	struct hull_range range = range_of(space, DOORBELL, start, length, -1);

	range.eventfd = eventfd;
	return range;
}

static inline int add(struct guest *guest, __u32 space, __u32 delivery, __u64 start, __u64 length,
		      int consumer)
{
	struct hull_range range = range_of(space, delivery, start, length, consumer);

	return hull_add_range(guest->vm, &range);
}

/* ---- guests --------------------------------------------------------------------------------- */

/* For ever: guest_set_burst() writes to DEV, a read of DEV + 8, its result to OWN. */
extern const unsigned char guest_burst[], guest_burst_end[];
/* For ever: a read of DEV + 8, its result to OWN. */
extern const unsigned char guest_reader[], guest_reader_end[];

static inline void guest_set_burst(struct guest *guest, __u32 count)
{
	memcpy(guest->memory + GUEST_DATA_GPA, &count, sizeof(count));
}

/* Posted writes and synchronous reads to @consumer; the guest is ready to run. */
int guest_start_burst(struct guest *guest, int consumer, __u32 count);

static inline int guest_expect_out(struct guest *guest, __u32 value)
{
	return guest_expect_write(guest, 0, PORT, OWN, 4, value);
}

/* ---- the device ----------------------------------------------------------------------------- */

/**
 * struct device - serves vCPU 0 through a consumer fd
 * @fd: consumer fd
 * @base: added to what is read
 * @limit: die without a word on this request, 0: never
 * @slow: us to spend on each posted write
 * @stop: to be ended
 * @requests: served
 * @posted: writes since the last read
 * @bad: what should not have been: numbers out of order, errors
 */
struct device {
	int fd;
	__u32 base;
	__u32 limit;
	__u32 slow;
	bool stop;
	__u32 requests;
	__u32 posted;
	__u32 bad;
	pthread_t thread;
	pid_t pid;
};

/* In memory shared with children; NULL with errno. */
struct device *device_create(int fd);
int device_start_thread(struct device *device);
void device_stop_thread(struct device *device);
/* The child alone holds the fd then. */
int device_start_process(struct device *device);
void device_wait_process(struct device *device);

#endif
