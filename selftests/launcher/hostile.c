// SPDX-License-Identifier: GPL-2.0
/*
 * A guest that is a hostile driver: for each virtio device on the PCI bus it makes the number of
 * chains that its command line says, most of them malformed in some way, in rings that are now and
 * then rewritten while the device works; and looks at the end whether the device does, after a
 * reset, what a good driver wants. Says so on the serial port and powers off.
 *
 * All it lets devices write to is its own memory from BUFFERS on.
 */
#include "start.h"

#define SIZE		8		/* of a queue */
#define RINGS		0x200000
#define AVAIL		(RINGS + 0x1000)
#define USED		(RINGS + 0x2000)
#define BUFFERS		0x400000
#define MEMORY_END	0x1000000	/* 16 MiB */

#define NEXT		1
#define WRITE		2
#define TABLE		4
#define NEEDS_RESET	0x40

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

struct device {
	uint32_t slot, type;
	volatile uint8_t *common, *config, *notify;
	uint32_t step;
};

static uint32_t answered, broken, resets;
static volatile struct desc *const desc = (volatile struct desc *)RINGS;
static volatile uint16_t *const avail = (volatile uint16_t *)AVAIL;
static volatile uint16_t *const used = (volatile uint16_t *)USED;

static uint32_t next_random(void)
{
	static uint32_t state = 0x68756c6c;

	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

static void print_number(uint32_t number)
{
	char text[11];
	char *at = text + 10;

	*at = '\0';
	do {
		*--at = '0' + number % 10;
		number /= 10;
	} while (number);
	print(at);
}

/* ---- PCI ------------------------------------------------------------------------------------ */

static uint32_t cfg(uint32_t slot, uint32_t offset)
{
	outl(0xcf8, 0x80000000 | slot << 11 | (offset & ~3U));
	return inl(0xcfc) >> 8 * (offset & 3);
}

static volatile uint8_t *cap_address(uint32_t slot, uint32_t cap)
{
	uint32_t bar = cfg(slot, 0x10 + 4 * (cfg(slot, cap + 4) & 0xff)) & ~15U;

	return (volatile uint8_t *)(bar + cfg(slot, cap + 8));
}

static int find_device(uint32_t slot, struct device *device)
{
	uint32_t id = cfg(slot, 0), cap;

	if ((id & 0xffff) != 0x1af4)
		return 0;
	device->slot = slot;
	device->type = (id >> 16) - 0x1040;
	for (cap = cfg(slot, 0x34) & 0xff; cap; cap = cfg(slot, cap + 1) & 0xff) {
		if ((cfg(slot, cap) & 0xff) != 9)
			continue;
		switch (cfg(slot, cap + 3) & 0xff) {
		case 1:
			device->common = cap_address(slot, cap);
			break;
		case 2:
			device->notify = cap_address(slot, cap);
			device->step = cfg(slot, cap + 16);
			break;
		case 4:
			device->config = cap_address(slot, cap);
			break;
		}
	}
	return 1;
}

/* ---- the driver ----------------------------------------------------------------------------- */

static void put32(const struct device *device, uint32_t offset, uint32_t value)
{
	*(volatile uint32_t *)(device->common + offset) = value;
}

static void put16(const struct device *device, uint32_t offset, uint16_t value)
{
	*(volatile uint16_t *)(device->common + offset) = value;
}

static uint32_t offered(const struct device *device)
{
	put32(device, 0, 0);
	return *(volatile uint32_t *)(device->common + 4);
}

static uint8_t status(const struct device *device)
{
	return device->common[20];
}

/* Tables and the event index are agreed on now and then. */
static void begin(const struct device *device, uint32_t features)
{
	resets++;
	device->common[20] = 0;
	while (status(device))
		asm volatile("pause");
	device->common[20] = 3;
	put32(device, 8, 0);
	put32(device, 12, features);
	put32(device, 8, 1);
	put32(device, 12, 1);
	device->common[20] = 0xb;
}

static void set_queue(const struct device *device, uint32_t index, uint32_t size)
{
	uint32_t i;

	for (i = 0; i < 0x3000 / 4; i++)
		((volatile uint32_t *)RINGS)[i] = 0;
	put16(device, 22, index);
	put16(device, 24, size);
	put32(device, 32, RINGS);
	put32(device, 36, 0);
	put32(device, 40, AVAIL);
	put32(device, 44, 0);
	put32(device, 48, USED);
	put32(device, 52, 0);
	put16(device, 28, 1);
	device->common[20] = 0xf;
}

static void kick(const struct device *device, uint32_t index)
{
	*(volatile uint16_t *)(device->notify + index * device->step) = index;
}

static uint64_t some_address(void)
{
	uint32_t r = next_random();

	switch (r >> 28) {
	case 0:
		return RINGS + (r & 0x3fff);
	case 1:
		return MEMORY_END - (r & 0xff);
	case 2:
		return (uint64_t)r << 32 | next_random();
	case 3:
		return 0xc0000000 + (r & 0xffffff);
	default:
		return BUFFERS + (r & 0x3ffff);
	}
}

static uint32_t some_length(void)
{
	static const uint32_t lengths[] = { 1, 16, 16, 16, 48, 512, 513, 4096, 65536, 1 << 20 };
	uint32_t r = next_random();

	switch (r >> 28) {
	case 0:
		return 0;
	case 1:
		return 0xffffffff - (r & 0xff);
	default:
		return lengths[r % 10];
	}
}

static void some_descriptor(volatile struct desc *at, uint32_t index)
{
	uint32_t r = next_random();

	at->addr = some_address();
	at->len = some_length();
	at->flags = r & 7 ? r >> 8 & 3 : r >> 8 & 7;
	at->next = r >> 16 & 3 ? index + 1 : r >> 20 & 15;
}

/* Headers of requests of disks, tables of descriptors: at places that are pointed to. */
static void fill_buffers(void)
{
	uint32_t i;

	for (i = 0; i < 8; i++) {
		volatile uint32_t *header = (volatile uint32_t *)(BUFFERS + i * 0x1000);

		header[0] = next_random() % 15;
		header[1] = 0;
		header[2] = next_random() & 1 ? next_random() % 64 : next_random();
		header[3] = next_random() & 7 ? 0 : next_random();
	}
	for (i = 0; i < 16; i++)
		some_descriptor((volatile struct desc *)(BUFFERS + 0x8000) + i, i);
}

/* A frame as network cards want it, often one too short or too long; or a command. */
static void almost_good_frame(void)
{
	static const uint32_t lengths[] = { 13, 14, 60, 1514, 3000, 65550, 65551, 100000 };
	uint32_t r = next_random();

	/* Use so many pairs of queues. */
	if (!(r >> 24 & 3)) {
		*(volatile uint32_t *)BUFFERS = 4 | (r & 7) << 16;
		desc[0] = (struct desc){ BUFFERS, r & 0x70 ? 4 : r >> 8 & 7, NEXT, 1 };
		desc[1] = (struct desc){ BUFFERS + 0x10000, 1, r >> 16 & 7 ? WRITE : 0, 0 };
		return;
	}
	desc[0].addr = BUFFERS + (r & 7) * 0x1000;
	desc[0].len = r & 0x70 ? 12 : r >> 8 & 15;
	desc[0].flags = NEXT;
	desc[0].next = 1;
	desc[1].addr = BUFFERS + 0x10000;
	desc[1].len = lengths[r >> 12 & 7];
	desc[1].flags = r >> 16 & 7 ? 0 : WRITE;
}

/* A request as disks want it, of which a part is then spoiled. */
static void almost_good_request(void)
{
	desc[0].addr = BUFFERS + (next_random() & 7) * 0x1000;
	desc[0].len = 16;
	desc[0].flags = NEXT;
	desc[0].next = 1;
	desc[1].addr = BUFFERS + 0x10000;
	desc[1].len = 512 << (next_random() & 3);
	desc[1].flags = NEXT | (next_random() & WRITE);
	desc[1].next = 2;
	desc[2].addr = BUFFERS + 0x20000;
	desc[2].len = 1;
	desc[2].flags = WRITE;
}

/* What is sent by a port, or a control message, of which some are short or of no port. */
static void almost_good_message(void)
{
	static const uint8_t lengths[] = { 7, 8, 8, 8, 8, 100, 255, 1 };
	volatile uint32_t *message = (volatile uint32_t *)BUFFERS;
	uint32_t r = next_random();

	message[0] = r & 15 ? r >> 4 & 3 : r;
	message[1] = (r >> 8 & 7) | (r >> 12 & 1) << 16;
	desc[0].addr = BUFFERS;
	desc[0].len = lengths[r >> 16 & 7];
	desc[0].flags = r >> 20 & 3 ? 0 : WRITE;
	desc[0].next = 1;
}

/* Pages for a balloon, whose numbers are small ones, or a report of free pages. */
static void almost_good_pages(void)
{
	uint32_t r = next_random();

	desc[0].addr = BUFFERS + (r & 7) * 0x1000;
	desc[0].len = r & 0x70 ? 4 * (1 + (r >> 8 & 3)) : r >> 8 & 15;
	desc[0].flags = 0;
	if (r >> 12 & 1) {
		desc[0].addr = BUFFERS + 0x10000 + (r >> 16 & 7) * 0x1000;
		desc[0].len = 0x1000 << (r >> 20 & 7);
		desc[0].flags = WRITE;
	}
}

static void almost_good(const struct device *device)
{
	if (device->type == 1)
		almost_good_frame();
	else if (device->type == 3)
		almost_good_message();
	else if (device->type == 5)
		almost_good_pages();
	else
		almost_good_request();
	if (next_random() & 1)
		return;
	some_descriptor(&desc[next_random() % 3], next_random() % 3);
	if (!(next_random() & 3)) {
		desc[0].addr = BUFFERS + 0x8000;
		desc[0].len = 16 * (next_random() & 31);
		desc[0].flags = TABLE;
	}
}

static void post_some(const struct device *device, uint32_t count)
{
	uint32_t i;

	if (next_random() & 3)
		almost_good(device);
	else
		for (i = 0; i < SIZE; i++)
			some_descriptor(&desc[i], i);
	for (i = 0; i < count; i++) {
		avail[2 + (avail[1] + i) % SIZE] = next_random() & 15 ? 0 : next_random() & 15;
		asm volatile("" : : : "memory");
	}
	avail[1] += next_random() & 31 ? count : next_random();
}

static void spoil_registers(const struct device *device)
{
	static const uint8_t places[] = { 0, 8, 12, 16, 22, 24, 26, 28, 32, 36, 40, 48, 52, 58 };
	uint32_t place = places[next_random() % sizeof(places)];

	if (next_random() & 1)
		put16(device, place, next_random());
	else
		put32(device, place & ~3U, next_random());
}

/*
 * Until the device has answered all or wants a reset; or for a while, in which the rings change.
 * Says whether it can go on as it is.
 */
static int wait_for(const struct device *device, uint16_t wanted)
{
	int needs_reset = 0;
	uint32_t i;

	for (i = 0; i < 20000 && used[1] != wanted && !needs_reset; i++) {
		some_descriptor(&desc[3 + (i & 3)], i);
		/* An exit, which takes as long as many turns. */
		needs_reset = i % 1000 == 999 && status(device) & NEEDS_RESET;
	}
	needs_reset = !!(status(device) & NEEDS_RESET);
	broken += needs_reset;
	return !needs_reset && used[1] == wanted;
}

/* Resets the device and sets up one of its queues, which is returned. */
static uint32_t begin_somehow(const struct device *device)
{
	uint32_t queues = *(volatile uint16_t *)(device->common + 18);
	uint32_t queue = next_random() % (queues ? queues : 1);
	uint32_t features = next_random() & 1 ? 1U << 28 : 0;

	if (next_random() & 1)
		features |= 1U << 29;
	/* Of consoles: several ports, most of the time. */
	if (device->type == 3 && next_random() & 7)
		features |= 1U << 1;
	/* Of network cards that have it: the control queue, several pairs. */
	if (device->type == 1 && next_random() & 3)
		features |= offered(device) & (1U << 17 | 1U << 22);
	/* Of balloons: statistics, reports. */
	if (device->type == 5)
		features |= next_random() & 0x36;
	begin(device, features);
	set_queue(device, queue, SIZE);
	/* Of sockets, two queues work or none: in the same rings. */
	if (device->type == 19 && queue < 2)
		set_queue(device, !queue, SIZE);
	return queue;
}

static void attack(const struct device *device, uint32_t chains)
{
	uint32_t queue = 0, count;
	int works = 0;
	uint16_t before;

	while (chains) {
		/* What works gets more into the same rings, mostly. */
		if (!works || !(next_random() & 7))
			queue = begin_somehow(device);
		fill_buffers();
		if (!(next_random() & 15))
			spoil_registers(device);
		count = 1;
		if (next_random() & 1)
			count = chains < 8 ? chains : 1 + next_random() % 8;
		chains -= count;
		before = used[1];
		post_some(device, count);
		kick(device, queue);
		works = wait_for(device, avail[1]);
		answered += (uint16_t)(used[1] - before);
	}
}

/* A page for a balloon that no machine has. */
static void wrong_page(const struct device *device)
{
	begin(device, 0);
	set_queue(device, 0, SIZE);
	*(volatile uint32_t *)BUFFERS = 0xffffffff;
	desc[0] = (struct desc){ BUFFERS, 4, 0, 0 };
	avail[2] = 0;
	asm volatile("" : : : "memory");
	avail[1] = 1;
	kick(device, 0);
	while (!used[1] && !(status(device) & NEEDS_RESET))
		asm volatile("pause");
	print(used[1] ? "hostile: a page that is not there was taken\n" :
	      "hostile: a page that is not there: needs a reset\n");
}

/* ---- is it alive? --------------------------------------------------------------------------- */

/* Of shares: which version of 9P. */
static int good_version(const struct device *device)
{
	static const char request[] = "\x15\0\0\0\x64\xff\xff\0\x20\0\0\x08\0009P2000.L";
	volatile uint8_t *reply = (volatile uint8_t *)BUFFERS + 0x10000;
	uint32_t i;

	for (i = 0; i < 21; i++)
		((volatile uint8_t *)BUFFERS)[i] = request[i];
	reply[4] = 0;
	desc[0] = (struct desc){ BUFFERS, 21, NEXT, 1 };
	desc[1] = (struct desc){ BUFFERS + 0x10000, 512, WRITE, 0 };
	avail[2] = 0;
	asm volatile("" : : : "memory");
	avail[1] = 1;
	kick(device, 0);
	while (!used[1] && !(status(device) & NEEDS_RESET))
		asm volatile("pause");
	return used[1] == 1 && reply[4] == 101;
}

static int good_request(const struct device *device)
{
	volatile uint32_t *header = (volatile uint32_t *)BUFFERS;
	volatile uint8_t *done = (volatile uint8_t *)BUFFERS + 0x20000;
	/* A network card sends by its second queue, a console too. */
	uint32_t queue = device->type == 1 || device->type == 3;

	begin(device, 0);
	set_queue(device, queue, SIZE);
	if (device->type == 9)
		return good_version(device);
	/* Others are only asked whether they took their driver. */
	if (device->type < 1 || device->type > 4)
		return status(device) == 0xf;
	header[0] = header[1] = header[2] = header[3] = 0;
	*done = 0xff;
	desc[0] = (struct desc){ BUFFERS, 16, NEXT, 1 };
	desc[1] = (struct desc){ BUFFERS + 0x10000, 512, NEXT | WRITE, 2 };
	desc[2] = (struct desc){ BUFFERS + 0x20000, 1, WRITE, 0 };
	if (device->type == 1 || device->type == 3)
		desc[0] = (struct desc){ BUFFERS, 100, 0, 0 };
	avail[2] = device->type == 4 ? 2 : 0;
	asm volatile("" : : : "memory");
	avail[1] = 1;
	kick(device, queue);
	while (!used[1] && !(status(device) & NEEDS_RESET))
		asm volatile("pause");
	return used[1] == 1 && (device->type != 2 || !*done);
}

void start(uint32_t magic, uint32_t info)
{
	const char *word = command_line(magic, info);
	struct device device;
	uint32_t chains = 0, slot;

	for (; *word >= '0' && *word <= '9'; word++)
		chains = chains * 10 + *word - '0';
	for (slot = 1; slot < 32; slot++) {
		if (!find_device(slot, &device))
			continue;
		answered = broken = resets = 0;
		if (device.type == 5)
			wrong_page(&device);
		attack(&device, chains);
		print("hostile: device of type ");
		print_number(device.type);
		print(": ");
		print_number(chains);
		print(" chains, answered ");
		print_number(answered);
		print(", needed a reset ");
		print_number(broken);
		print(" times of ");
		print_number(resets);
		print(good_request(&device) ? "; works\n" : "; DEAD\n");
	}
	print("hostile: done\n");
	power_off();
}
