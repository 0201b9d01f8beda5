// SPDX-License-Identifier: GPL-2.0
/* Writes first inputs for the fuzzers, images of the unit tests and a queue: seeds DIRECTORY. */
#include <linux/virtio_blk.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <stdio.h>

#include "image.h"

static int put(const char *directory, const char *name, const struct image *image)
{
	char path[512];
	FILE *file;
	size_t done;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	if (!file)
		return 1;
	done = fwrite(image->data, 1, image->blob.size, file);
	return fclose(file) || done != image->blob.size;
}

/* Two requests of virtio-blk, one by a table: the format is virtio.h's. */
static void image_queue(struct image *image)
{
	const struct vring_desc desc[8] = {
		{ 0x20000, 16, VRING_DESC_F_NEXT, 1 },
		{ 0x30000, 512, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2 },
		{ 0x20100, 1, VRING_DESC_F_WRITE, 0 },
		{ 0x20010, 48, VRING_DESC_F_INDIRECT, 0 },
	};
	const uint16_t avail[3 + 8] = { 0, 2, 0, 3 };
	const struct virtio_blk_outhdr header = { .type = VIRTIO_BLK_T_IN, .sector = 3 };
	uint8_t *at = image->data;

	memset(image, 0, sizeof(*image));
	*at++ = 3 << 4 | 2;
	memcpy(at, desc, sizeof(desc));
	memcpy(at += sizeof(desc), avail, sizeof(avail));
	memcpy(at += sizeof(avail), &header, sizeof(header));
	memcpy(at += sizeof(header), desc, 3 * sizeof(desc[0]));
	image->blob.size = at + 3 * sizeof(desc[0]) - image->data;
}

/* A frame to be cut in segments. */
static void image_frame(struct image *image)
{
	const struct vring_desc desc[8] = {
		{ 0x20000, 12, VRING_DESC_F_NEXT, 1 },
		{ 0x30000, 3000, 0, 0 },
	};
	const uint16_t avail[3 + 8] = { 0, 1, 0 };
	const struct virtio_net_hdr_v1 header = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = 54, .gso_size = 1460, .csum_start = 34, .csum_offset = 16,
	};
	uint8_t *at = image->data;

	memset(image, 0, sizeof(*image));
	*at++ = 3 << 4;
	memcpy(at, desc, sizeof(desc));
	memcpy(at += sizeof(desc), avail, sizeof(avail));
	memcpy(at += sizeof(avail), &header, sizeof(header));
	at += sizeof(header);
	*at++ = 0xff;
	image->blob.size = at - image->data;
}

int main(int argc, char **argv)
{
	static struct image image;
	int bad = 0;

	if (argc != 2)
		return 2;
	image_bzimage(&image);
	bad |= put(argv[1], "linux/seed", &image);
	image_pvh(&image);
	bad |= put(argv[1], "pvh/seed", &image);
	image_multiboot(&image, 3);
	bad |= put(argv[1], "multiboot/seed", &image);
	image_queue(&image);
	bad |= put(argv[1], "queue/seed", &image);
	bad |= put(argv[1], "blk/seed", &image);
	image_frame(&image);
	bad |= put(argv[1], "net/seed", &image);
	return bad;
}
