// SPDX-License-Identifier: GPL-2.0
/* Requests of virtio-blk: what is done lies within the disk and within the chain. */
#include "virtio.h"
#include "virtio/blk.h"

static void check(const struct chain *chain, const struct disk *disk,
		  const struct blk_command *command)
{
	static struct iovec iov[QUEUE_SIZE_MAX];
	uint64_t size = 0, from = 0;
	unsigned int count, i;

	if (command->offset % DISK_SECTOR || command->size % DISK_SECTOR ||
	    command->offset > disk->size || command->size > disk->size - command->offset)
		abort();
	if (disk->read_only && command->op != DISK_READ && command->op != DISK_FLUSH)
		abort();
	if (command->op != DISK_READ && command->op != DISK_WRITE)
		return;
	if (command->op == DISK_WRITE)
		from = sizeof(struct virtio_blk_outhdr);
	count = chain_slice(chain, command->op == DISK_READ, from, command->size, iov);
	for (i = 0; i < count; i++)
		size += iov[i].iov_len;
	if (command->type != VIRTIO_BLK_T_GET_ID && size != command->size)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct guest_memory *memory = fuzz_memory();
	struct disk disk = { .size = 64 * MIB, .block = DISK_SECTOR, .read_only = size & 1 };
	struct blk_command command;
	static struct chain chain;
	struct queue queue;

	if (!fuzz_queue(&queue, memory, data, size))
		return 0;
	while (queue_take(&queue, &chain) > 0 && queue.last_avail < 1000) {
		if (blk_parse(&chain, &disk, &command) == VIRTIO_BLK_S_OK)
			check(&chain, &disk, &command);
		queue_give(&queue, &chain, 1);
	}
	return 0;
}
