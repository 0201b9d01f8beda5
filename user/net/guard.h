/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which frames of a guest the user's network looks at.
 */
#ifndef HULL_NET_GUARD_H
#define HULL_NET_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* False: the frame is to be dropped. It must not change meanwhile: guest memory is copied first. */
bool guard_allows(const uint8_t *frame, size_t size);

#endif
