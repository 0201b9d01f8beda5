// SPDX-License-Identifier: GPL-2.0
/* Split queues: whatever the rings are, chains are within memory, or the queue is broken. */
#include "virtio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct guest_memory *memory = fuzz_memory();
	static struct chain chain;
	struct queue queue;
	unsigned int taken = 0;
	uint8_t byte;

	if (!fuzz_queue(&queue, memory, data, size))
		return 0;
	while (queue_take(&queue, &chain) > 0) {
		/* Nothing is given back: no more than there are entries. */
		if (++taken > queue.setup.size)
			abort();
		fuzz_check(&queue, memory, &chain);
		chain_read(&chain, chain.read_size / 2, &byte, 1);
		chain_write(&chain, chain.write_size / 2, &byte, 1);
		if (taken % 3) {
			queue_give(&queue, &chain, 1);
			queue_wants_interrupt(&queue);
			taken--;
		}
		/* The rings may be among the buffers: then this need not end. */
		if (queue.last_avail > 1000)
			break;
	}
	return 0;
}
