// SPDX-License-Identifier: GPL-2.0
/* Writes first inputs for the fuzzers, images of the unit tests and messages: seeds DIRECTORY. */
#include <linux/virtio_balloon.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_console.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <stdio.h>

#include "9p/proto.h"
#include "exec/protocol.h"
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

/* Two pairs of queues are to be used. */
static void image_command(struct image *image)
{
	const struct vring_desc desc[8] = {
		{ 0x20000, 4, VRING_DESC_F_NEXT, 1 },
		{ 0x30000, 1, VRING_DESC_F_WRITE, 0 },
	};
	const uint16_t avail[3 + 8] = { 0, 1, 0 };
	const uint8_t command[] = { VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 2, 0 };
	uint8_t *at = image->data;

	memset(image, 0, sizeof(*image));
	*at++ = 3 << 4;
	memcpy(at, desc, sizeof(desc));
	memcpy(at += sizeof(desc), avail, sizeof(avail));
	memcpy(at += sizeof(avail), command, sizeof(command));
	at += sizeof(command);
	*at++ = 0xff;
	image->blob.size = at - image->data;
}

/* A port is opened, by a control message. */
static void image_message(struct image *image)
{
	const struct vring_desc desc[8] = { { 0x20000, 8, 0, 0 } };
	const uint16_t avail[3 + 8] = { 0, 1, 0 };
	const struct virtio_console_control message = { 1, VIRTIO_CONSOLE_PORT_OPEN, 1 };
	uint8_t *at = image->data;

	memset(image, 0, sizeof(*image));
	*at++ = 3 << 4;
	memcpy(at, desc, sizeof(desc));
	memcpy(at += sizeof(desc), avail, sizeof(avail));
	memcpy(at += sizeof(avail), &message, sizeof(message));
	at += sizeof(message);
	*at++ = 3;
	image->blob.size = at - image->data;
}

/* A list of pages, or a report of free ones, by @queue. */
static void image_pages(struct image *image, unsigned int queue)
{
	const struct vring_desc list = { 0x20000, 12, 0, 0 };
	const struct vring_desc report = { 0x40000, 0x8000, VRING_DESC_F_WRITE, 0 };
	const struct vring_desc desc[8] = { queue ? report : list };
	const uint16_t avail[3 + 8] = { 0, 1, 0 };
	const uint32_t page[] = { 0x40, 0x41, 0x3f };
	uint8_t *at = image->data;

	memset(image, 0, sizeof(*image));
	*at++ = 3 << 4;
	memcpy(at, desc, sizeof(desc));
	memcpy(at += sizeof(desc), avail, sizeof(avail));
	memcpy(at += sizeof(avail), page, sizeof(page));
	at += sizeof(page);
	*at++ = queue;
	image->blob.size = at - image->data;
}

/* What a guest says of its memory. */
static void image_stats(struct image *image)
{
	const struct vring_desc desc[8] = { { 0x20000, 20, 0, 0 } };
	const uint16_t avail[3 + 8] = { 0, 1, 0 };
	const struct virtio_balloon_stat stat[] = {
		{ VIRTIO_BALLOON_S_MEMFREE, 4096 }, { VIRTIO_BALLOON_S_MAJFLT, 1 },
	};
	uint8_t *at = image->data;

	memset(image, 0, sizeof(*image));
	*at++ = 3 << 4;
	memcpy(at, desc, sizeof(desc));
	memcpy(at += sizeof(desc), avail, sizeof(avail));
	memcpy(at += sizeof(avail), stat, sizeof(stat));
	at += sizeof(stat);
	*at++ = 2;
	image->blob.size = at - image->data;
}

/* How a program starts and ends. */
static void image_program(struct image *image)
{
	const struct exec_message message[] = { { EXEC_STARTED, 0, 0 }, { EXEC_EXITED, 1, 0 } };

	memset(image, 0, sizeof(*image));
	image->data[1] = 23;
	memcpy(image->data + 2, message, sizeof(message));
	image->blob.size = 2 + sizeof(message);
}

static void image_modules(struct image *image)
{
	static const char list[] = "\1fs/9p.ko: net/9pnet.ko.xz fs/netfs.ko\nnet/9pnet.ko.xz:\n";

	memset(image, 0, sizeof(*image));
	memcpy(image->data, list, sizeof(list) - 1);
	image->blob.size = sizeof(list) - 1;
}

/* A message of 9P with a body of integers and strings, by size: 0 is a string. */
static uint8_t *put_message(uint8_t *at, uint8_t type, const uint8_t *fields, unsigned int count,
			    const uint64_t *numbers, const char *const *texts)
{
	uint8_t *start = at;
	uint16_t length;
	unsigned int i;

	at += 2 + 4;
	*at++ = type;
	at += 2;
	for (i = 0; i < count; i++) {
		if (fields[i]) {
			memcpy(at, numbers++, fields[i]);
			at += fields[i];
			continue;
		}
		length = strlen(*texts);
		memcpy(at, &length, 2);
		memcpy(at + 2, *texts++, length);
		at += 2 + length;
	}
	length = at - start - 2;
	memcpy(start, &length, 2);
	memcpy(start + 2, &length, 2);
	return at;
}

#define MESSAGE(at, type, fields, numbers, texts)						\
	put_message(at, type, (const uint8_t[])fields, sizeof((const uint8_t[])fields),		\
		    (const uint64_t[])numbers, (const char *const[])texts)
#define LIST(...)	{ __VA_ARGS__ }

/* One of most kinds: the format is 9p.c's. */
static void image_9p(struct image *image, bool read_only)
{
	uint8_t *at = image->data;

	memset(image, 0, sizeof(*image));
	*at++ = read_only;
	at = MESSAGE(at, P9_TWALK, LIST(4, 4, 2, 0, 0), LIST(0, 1, 2), LIST("dir", "inner"));
	at = MESSAGE(at, P9_TWALK, LIST(4, 4, 2, 0), LIST(0, 2, 1), LIST("secret"));
	at = MESSAGE(at, P9_TWALK, LIST(4, 4, 2), LIST(0, 3, 0), LIST(""));
	at = MESSAGE(at, P9_TWALK, LIST(4, 4, 2, 0), LIST(0, 4, 1), LIST("fifo"));
	at = MESSAGE(at, P9_TWALK, LIST(4, 4, 2, 0), LIST(0, 5, 1), LIST("dir"));
	at = MESSAGE(at, P9_TGETATTR, LIST(4, 8), LIST(1, 0x7ff), LIST(""));
	at = MESSAGE(at, P9_TSETATTR, LIST(4, 4, 4, 4, 4, 8, 8, 8, 8, 8),
		     LIST(1, 0x1bd, 0600, 0, 0, 5, 1, 2, 3, 4), LIST(""));
	at = MESSAGE(at, P9_TLINK, LIST(4, 4, 0), LIST(0, 1, 0), LIST("hard"));
	at = MESSAGE(at, P9_TLOPEN, LIST(4, 4), LIST(1, 2), LIST(""));
	at = MESSAGE(at, P9_TWRITE, LIST(4, 8, 4, 8), LIST(1, 3, 8, 0x6162636465666768), LIST(""));
	at = MESSAGE(at, P9_TREAD, LIST(4, 8, 4), LIST(1, 0, 4096), LIST(""));
	at = MESSAGE(at, P9_TLCREATE, LIST(4, 0, 4, 4, 4), LIST(3, 0102, 0644, 0), LIST("new"));
	at = MESSAGE(at, P9_TLOPEN, LIST(4, 4), LIST(5, 0200000), LIST(""));
	at = MESSAGE(at, P9_TREADDIR, LIST(4, 8, 4), LIST(5, 0, 4096), LIST(""));
	at = MESSAGE(at, P9_TSYMLINK, LIST(4, 0, 0, 4), LIST(0, 0), LIST("link", "/etc"));
	at = MESSAGE(at, P9_TREADLINK, LIST(4), LIST(2), LIST(""));
	at = MESSAGE(at, P9_TMKNOD, LIST(4, 0, 4, 4, 4, 4), LIST(0, 0100600, 0, 0, 0), LIST("node"));
	at = MESSAGE(at, P9_TMKDIR, LIST(4, 0, 4, 4), LIST(0, 0755, 0), LIST("made"));
	at = MESSAGE(at, P9_TRENAME, LIST(4, 4, 0), LIST(1, 0), LIST("renamed"));
	at = MESSAGE(at, P9_TRENAMEAT, LIST(4, 0, 4, 0), LIST(0, 0), LIST("file", "file2"));
	at = MESSAGE(at, P9_TUNLINKAT, LIST(4, 0, 4), LIST(0, 0x200), LIST("made"));
	at = MESSAGE(at, P9_TREMOVE, LIST(4), LIST(1), LIST(""));
	at = MESSAGE(at, P9_TSTATFS, LIST(4), LIST(0), LIST(""));
	/* What must not be possible. */
	at = MESSAGE(at, P9_TMKDIR, LIST(4, 0, 4, 4), LIST(0, 0755, 0), LIST("../made"));
	at = MESSAGE(at, P9_TWALK, LIST(4, 4, 2, 0, 0), LIST(0, 9, 2), LIST("..", "outside"));
	at = MESSAGE(at, P9_TUNLINKAT, LIST(4, 0, 4), LIST(0, 0), LIST("out/secret"));
	at = MESSAGE(at, P9_TCLUNK, LIST(4), LIST(2), LIST(""));
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
	image_command(&image);
	bad |= put(argv[1], "net/seed-command", &image);
	image_message(&image);
	bad |= put(argv[1], "console/seed", &image);
	image_pages(&image, 0);
	bad |= put(argv[1], "balloon/seed", &image);
	image_pages(&image, 4);
	bad |= put(argv[1], "balloon/seed-report", &image);
	image_stats(&image);
	bad |= put(argv[1], "balloon/seed-stats", &image);
	image_program(&image);
	bad |= put(argv[1], "exec/seed", &image);
	image_modules(&image);
	bad |= put(argv[1], "exec/seed-modules", &image);
	image_9p(&image, false);
	bad |= put(argv[1], "9p/seed", &image);
	image_9p(&image, true);
	bad |= put(argv[1], "9p/seed-ro", &image);
	return bad;
}
