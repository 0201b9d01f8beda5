/* SPDX-License-Identifier: GPL-2.0 */
/*
 * virtio-rng: random numbers of the host's kernel.
 */
#ifndef HULL_VIRTIO_RNG_H
#define HULL_VIRTIO_RNG_H

#include "virtio/virtio.h"

/* virtio_destroy() frees it; NULL with the reason. */
struct virtio_device *virtio_rng_create(const struct guest_memory *memory, struct failure *why);

#endif
