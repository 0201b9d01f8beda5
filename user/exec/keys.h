/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Keys of a terminal on their way into the machine, all of which are the program's; but Ctrl-]
 * three times within a second is a way out when it does not react.
 */
#ifndef HULL_EXEC_KEYS_H
#define HULL_EXEC_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "port/port.h"

#define KEYS_ESCAPE	0x1d		/* Ctrl-] */
#define KEYS_TIMES	3
#define KEYS_WITHIN_NS	1000000000ULL

/**
 * struct keys - what was typed last
 * @count: how often Ctrl-] came without another key between
 * @first: when the first of these came, in ns
 */
struct keys {
	unsigned int count;
	uint64_t first;
};

/* True: with these, typed at @now, it has come often enough. */
bool keys_typed(struct keys *keys, const uint8_t *data, size_t size, uint64_t now);

/*
 * A port that is @terminal, taken over also when this fails; @leave(@opaque) is called when keys
 * say so, on the device's thread. NULL with the reason.
 */
struct port *keys_port(struct port *terminal, void (*leave)(void *opaque), void *opaque,
		       struct failure *why);

#endif
