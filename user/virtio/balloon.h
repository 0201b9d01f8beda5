/* SPDX-License-Identifier: GPL-2.0 */
/*
 * virtio-balloon: memory that the guest does without goes back to the host.
 *
 * Three ways: pages of a balloon, whose size the host wants, free pages that the guest's kernel
 * reports, and what it says of its memory.
 */
#ifndef HULL_VIRTIO_BALLOON_H
#define HULL_VIRTIO_BALLOON_H

#include <linux/virtio_balloon.h>

#include "virtio/virtio.h"

/**
 * struct balloon_stats - what became of the balloon
 * @wanted: pages that the guest is to do without
 * @actual: pages in the balloon, as the guest said last
 * @inflated: pages that went into it
 * @deflated: pages that came out of it again
 * @reported: free pages that went back to the host, a page again each time
 * @said: bits 1 << VIRTIO_BALLOON_S_*, of what the guest has said of its memory
 * @value: that; sizes are in bytes
 */
struct balloon_stats {
	uint64_t wanted, actual;
	uint64_t inflated, deflated, reported;
	uint32_t said;
	uint64_t value[VIRTIO_BALLOON_S_NR];
};

/*
 * @size: bytes of the balloon, whole pages. @ask: ask the guest about its memory once a second.
 * virtio_destroy() frees it; NULL with the reason.
 */
struct virtio_device *virtio_balloon_create(uint64_t size, bool ask,
					    const struct guest_memory *memory,
					    struct failure *why);

/* Before the worker starts, or after its end. */
const struct balloon_stats *virtio_balloon_stats(const struct virtio_device *device);

/* ---- what chains may say: pure, so that it is tested and fuzzed alone ----------------------- */

/* Each: NULL, or what is wrong with the chain. Pages: numbers that go into the balloon, or out. */
const char *balloon_check_pages(const struct chain *chain);
const char *balloon_check_report(const struct chain *chain);

/* Adds to @stats what the chain says; tags that are unknown are left out. */
const char *balloon_parse_stats(const struct chain *chain, struct balloon_stats *stats);

#endif
