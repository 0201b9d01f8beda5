// SPDX-License-Identifier: GPL-2.0
/*
 * The registers of a virtio device in one BAR, MSI-X in another one.
 *
 * A queue's notification address is a doorbell of the module while the queue is live and the BAR
 * decoded: then a kick costs no exit to the launcher. Where the module has no more room, or
 * another device's doorbell is there, the write comes by the bus and does the same.
 *
 * An outside queue's interrupts are an irqfd of the module while they are a message that may be
 * sent: without an exit, too. With its vector masked, or none, or MSI-X off, or where the module
 * has no more room, the queue's eventfd is the worker's to read, who does what is right then; what
 * was signalled before waits in the eventfd for the one or the other.
 *
 * Locks: all is guarded by device->lock, which is also the function's.
 */
#include <endian.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <stddef.h>
#include <string.h>

#include "virtio/pci.h"

#define VENDOR			0x1af4
#define DEVICE_BASE		0x1040		/* plus the type: no legacy interface */
#define REVISION		1

#define BAR_MSIX		1
#define BAR_REGISTERS		4		/* 64 bits: takes 5 as well */
#define BAR_SIZE		0x4000

/* What is where in the BAR. */
#define COMMON			0x0000
#define ISR			0x1000
#define CONFIG			0x2000
#define NOTIFY			0x3000
#define NOTIFY_STEP		4		/* bytes between queues */
#define PART_SIZE		0x1000

/* The common configuration of virtio 1.2; the kernel's header ends before the last two. */
struct common_cfg {
	struct virtio_pci_common_cfg old;
	uint16_t queue_notify_data;
	uint16_t queue_reset;
} __attribute__((packed));

#define COMMON_SIZE		sizeof(struct common_cfg)
#define CAP_SIZE		sizeof(struct virtio_pci_cap)

static struct virtio_pci *pci_of(struct pci_function *function)
{
	return (struct virtio_pci *)function;
}

static struct virtio_pci *transport_of(struct virtio_device *device)
{
	return device->transport_data;
}

static struct virtio_queue *selected(struct virtio_pci *pci)
{
	if (pci->queue_select >= pci->device->queues)
		return NULL;
	return &pci->device->queue[pci->queue_select];
}

/* ---- interrupts ----------------------------------------------------------------------------- */

static void interrupt(struct virtio_device *device, struct virtio_queue *queue)
{
	struct virtio_pci *pci = transport_of(device);

	if (pci_msix_enabled(&pci->function)) {
		pci_msix_send(&pci->function, queue ? queue->vector : pci->config_vector);
		return;
	}
	/* 1: a queue, 2: the configuration. Read, it is 0, and the line falls. */
	pci->isr |= queue ? 1 : VIRTIO_PCI_ISR_CONFIG;
	pci_set_intx(&pci->function, true);
}

static uint8_t take_isr(struct virtio_pci *pci)
{
	uint8_t isr = pci->isr;

	pci->isr = 0;
	pci_set_intx(&pci->function, false);
	return isr;
}

/* After whatever may have changed how the queue's interrupts go. */
static void route(struct virtio_pci *pci, struct virtio_queue *queue)
{
	const struct pci_platform *platform = &pci->function.host->platform;
	bool direct = false;
	uint64_t address;
	uint32_t data;

	if (!queue->outside)
		return;
	if (queue->live && platform->add_irqfd &&
	    pci_msix_message(&pci->function, queue->vector, &address, &data))
		direct = !platform->add_irqfd(platform->opaque, queue->call, address, data);
	if (!direct && platform->remove_irqfd)
		platform->remove_irqfd(platform->opaque, queue->call);
	virtio_queue_watch_calls(queue, queue->live && !direct);
}

static void msix_changed(struct pci_function *function)
{
	struct virtio_pci *pci = pci_of(function);
	unsigned int i;

	for (i = 0; i < pci->device->queues; i++)
		route(pci, &pci->device->queue[i]);
}

/* A vector that there is not reads back as none, which tells the driver. */
static uint16_t possible_vector(const struct virtio_pci *pci, uint16_t vector)
{
	return vector < pci->function.msix.count ? vector : VIRTIO_NO_VECTOR;
}

/* ---- kicks ---------------------------------------------------------------------------------- */

static void remove_doorbell(struct virtio_pci *pci, struct virtio_queue *queue)
{
	const struct pci_platform *platform = &pci->function.host->platform;
	uint64_t *doorbell = &pci->doorbell[queue->index];

	if (*doorbell)
		platform->remove_doorbell(platform->opaque, *doorbell, queue->kick);
	*doorbell = 0;
}

static void add_doorbell(struct virtio_pci *pci, struct virtio_queue *queue)
{
	const struct pci_platform *platform = &pci->function.host->platform;
	uint64_t address = pci->notify + queue->index * NOTIFY_STEP;

	if (pci->notify && platform->add_doorbell &&
	    !platform->add_doorbell(platform->opaque, address, queue->kick))
		pci->doorbell[queue->index] = address;
}

static void started(struct virtio_device *device, struct virtio_queue *queue)
{
	add_doorbell(transport_of(device), queue);
	route(transport_of(device), queue);
}

static void stopped(struct virtio_device *device, struct virtio_queue *queue)
{
	remove_doorbell(transport_of(device), queue);
	route(transport_of(device), queue);
}

static void bar_moved(struct pci_function *function, unsigned int bar)
{
	struct virtio_pci *pci = pci_of(function);
	struct virtio_device *device = pci->device;
	unsigned int i;

	if (bar != BAR_REGISTERS)
		return;
	for (i = 0; i < device->queues; i++)
		remove_doorbell(pci, &device->queue[i]);
	pci->notify = function->bar[bar].mapped ? function->bar[bar].address + NOTIFY : 0;
	for (i = 0; i < device->queues; i++)
		if (device->queue[i].live)
			add_doorbell(pci, &device->queue[i]);
}

static void reset(struct virtio_device *device)
{
	struct virtio_pci *pci = transport_of(device);

	pci->device_feature_select = 0;
	pci->driver_feature_select = 0;
	pci->queue_select = 0;
	pci->config_vector = VIRTIO_NO_VECTOR;
	take_isr(pci);
}

/* ---- common configuration ------------------------------------------------------------------- */

static uint32_t feature_word(uint64_t features, uint32_t select)
{
	return select < 2 ? features >> 32 * select : 0;
}

static void fill_queue(struct common_cfg *cfg, const struct virtio_queue *queue)
{
	cfg->old.queue_size = htole16(queue->size);
	cfg->old.queue_msix_vector = htole16(queue->vector);
	cfg->old.queue_enable = htole16(queue->enabled);
	cfg->old.queue_notify_off = htole16(queue->index);
	cfg->old.queue_desc_lo = htole32(queue->desc);
	cfg->old.queue_desc_hi = htole32(queue->desc >> 32);
	cfg->old.queue_avail_lo = htole32(queue->avail);
	cfg->old.queue_avail_hi = htole32(queue->avail >> 32);
	cfg->old.queue_used_lo = htole32(queue->used);
	cfg->old.queue_used_hi = htole32(queue->used >> 32);
	cfg->queue_notify_data = htole16(queue->index);
	cfg->queue_reset = htole16(queue->resetting);
}

static uint64_t common_read(struct virtio_pci *pci, unsigned int offset, unsigned int size)
{
	const struct virtio_device *device = pci->device;
	const struct virtio_queue *queue = selected(pci);
	struct common_cfg cfg = {
		.old = {
			.device_feature_select = htole32(pci->device_feature_select),
			.device_feature = htole32(feature_word(device->offered,
							       pci->device_feature_select)),
			.guest_feature_select = htole32(pci->driver_feature_select),
			.guest_feature = htole32(feature_word(device->accepted,
							      pci->driver_feature_select)),
			.msix_config = htole16(pci->config_vector),
			.num_queues = htole16(device->queues),
			.device_status = device->status,
			.config_generation = device->generation,
			.queue_select = htole16(pci->queue_select),
		},
	};
	uint64_t value = 0;

	if (queue)
		fill_queue(&cfg, queue);
	if (offset + size <= sizeof(cfg))
		memcpy(&value, (const uint8_t *)&cfg + offset, size);
	return value;
}

#define AT(member)	offsetof(struct common_cfg, member)

enum field {
	NOTHING, DEVICE_SELECT, DRIVER_SELECT, DRIVER_FEATURE, CONFIG_VECTOR, STATUS, QUEUE_SELECT,
	QUEUE_SIZE, QUEUE_VECTOR, QUEUE_ENABLE, DESC_LOW, DESC_HIGH, AVAIL_LOW, AVAIL_HIGH,
	USED_LOW, USED_HIGH, QUEUE_RESET,
};

static const uint8_t field_at[COMMON_SIZE] = {
	[AT(old.device_feature_select)] = DEVICE_SELECT,
	[AT(old.guest_feature_select)] = DRIVER_SELECT,
	[AT(old.guest_feature)] = DRIVER_FEATURE,
	[AT(old.msix_config)] = CONFIG_VECTOR,
	[AT(old.device_status)] = STATUS,
	[AT(old.queue_select)] = QUEUE_SELECT,
	[AT(old.queue_size)] = QUEUE_SIZE,
	[AT(old.queue_msix_vector)] = QUEUE_VECTOR,
	[AT(old.queue_enable)] = QUEUE_ENABLE,
	[AT(old.queue_desc_lo)] = DESC_LOW,
	[AT(old.queue_desc_hi)] = DESC_HIGH,
	[AT(old.queue_avail_lo)] = AVAIL_LOW,
	[AT(old.queue_avail_hi)] = AVAIL_HIGH,
	[AT(old.queue_used_lo)] = USED_LOW,
	[AT(old.queue_used_hi)] = USED_HIGH,
	[AT(queue_reset)] = QUEUE_RESET,
};

static unsigned int field_size(enum field field)
{
	switch (field) {
	case STATUS:
		return 1;
	case CONFIG_VECTOR:
	case QUEUE_SELECT:
	case QUEUE_SIZE:
	case QUEUE_VECTOR:
	case QUEUE_ENABLE:
	case QUEUE_RESET:
		return 2;
	default:
		return 4;
	}
}

static void write_queue_field(struct virtio_pci *pci, enum field field, uint32_t value)
{
	struct virtio_queue *queue = selected(pci);

	if (!queue)
		return;
	switch (field) {
	case QUEUE_SIZE:
		virtio_queue_set_size(queue, value);
		break;
	case QUEUE_VECTOR:
		queue->vector = possible_vector(pci, value);
		route(pci, queue);
		break;
	case QUEUE_ENABLE:
		if (value == 1)
			virtio_queue_enable(queue);
		break;
	case QUEUE_RESET:
		if (value == 1)
			virtio_queue_reset(queue);
		break;
	case DESC_LOW:
	case DESC_HIGH:
		virtio_queue_set_address(queue, &queue->desc, field == DESC_HIGH ? 32 : 0, value);
		break;
	case AVAIL_LOW:
	case AVAIL_HIGH:
		virtio_queue_set_address(queue, &queue->avail, field == AVAIL_HIGH ? 32 : 0, value);
		break;
	default:
		virtio_queue_set_address(queue, &queue->used, field == USED_HIGH ? 32 : 0, value);
		break;
	}
}

static void write_field(struct virtio_pci *pci, enum field field, uint32_t value)
{
	struct virtio_device *device = pci->device;

	switch (field) {
	case NOTHING:
		break;
	case DEVICE_SELECT:
		pci->device_feature_select = value;
		break;
	case DRIVER_SELECT:
		pci->driver_feature_select = value;
		break;
	case DRIVER_FEATURE:
		if (pci->driver_feature_select < 2)
			virtio_set_features(device, 32 * pci->driver_feature_select, value);
		break;
	case CONFIG_VECTOR:
		pci->config_vector = possible_vector(pci, value);
		break;
	case STATUS:
		virtio_set_status(device, value);
		break;
	case QUEUE_SELECT:
		pci->queue_select = value;
		break;
	default:
		write_queue_field(pci, field, value);
		break;
	}
}

/* Fields are written as wide as they are; two of 4 bytes may come together. */
static void common_write(struct virtio_pci *pci, unsigned int offset, uint64_t value,
			 unsigned int size)
{
	enum field field;

	if (size == 8) {
		common_write(pci, offset, value & 0xffffffff, 4);
		common_write(pci, offset + 4, value >> 32, 4);
		return;
	}
	if (offset >= COMMON_SIZE)
		return;
	field = field_at[offset];
	if (field_size(field) == size)
		write_field(pci, field, value);
}

/* ---- the BAR -------------------------------------------------------------------------------- */

static uint64_t registers_read(struct pci_function *function, unsigned int bar, uint64_t offset,
			       unsigned int size)
{
	struct virtio_pci *pci = pci_of(function);
	uint64_t value = 0;

	(void)bar;
	switch (offset / PART_SIZE * PART_SIZE) {
	case COMMON:
		return common_read(pci, offset, size);
	case ISR:
		return offset == ISR ? take_isr(pci) : 0;
	case CONFIG:
		virtio_config_read(pci->device, offset - CONFIG, &value, size);
		return value;
	}
	return 0;
}

static void registers_write(struct pci_function *function, unsigned int bar, uint64_t offset,
			    uint64_t value, unsigned int size)
{
	struct virtio_pci *pci = pci_of(function);
	unsigned int queue = (offset - NOTIFY) / NOTIFY_STEP;

	(void)bar;
	switch (offset / PART_SIZE * PART_SIZE) {
	case COMMON:
		common_write(pci, offset, value, size);
		break;
	case CONFIG:
		virtio_config_write(pci->device, offset - CONFIG, &value, size);
		break;
	case NOTIFY:
		if (queue < pci->device->queues && offset % NOTIFY_STEP == 0)
			event_signal(pci->device->queue[queue].kick);
		break;
	}
}

/* ---- accesses by configuration space -------------------------------------------------------- */

#define CFG_DATA	offsetof(struct virtio_pci_cfg_cap, pci_cfg_data)

/* The window the driver has chosen; false: there is nothing. */
static bool cfg_window(struct virtio_pci *pci, uint32_t *offset, uint32_t *length)
{
	struct virtio_pci_cap cap;

	memcpy(&cap, pci->function.config + pci->cfg_cap, sizeof(cap));
	*offset = le32toh(cap.offset);
	*length = le32toh(cap.length);
	return cap.bar == BAR_REGISTERS && (*length == 1 || *length == 2 || *length == 4) &&
	       *offset < BAR_SIZE && *offset % *length == 0;
}

static bool is_cfg_data(const struct virtio_pci *pci, unsigned int offset, unsigned int size)
{
	return offset < pci->cfg_cap + CFG_DATA + 4 && offset + size > pci->cfg_cap + CFG_DATA;
}

static void config_read(struct pci_function *function, unsigned int offset, unsigned int size)
{
	struct virtio_pci *pci = pci_of(function);
	uint32_t at, length;

	if (is_cfg_data(pci, offset, size) && cfg_window(pci, &at, &length))
		pci_config_put(function, pci->cfg_cap + CFG_DATA, length,
			       registers_read(function, BAR_REGISTERS, at, length));
}

static void config_written(struct pci_function *function, unsigned int offset, unsigned int size)
{
	struct virtio_pci *pci = pci_of(function);
	uint32_t at, length;

	if (is_cfg_data(pci, offset, size) && cfg_window(pci, &at, &length))
		registers_write(function, BAR_REGISTERS, at,
				pci_config_get(function, pci->cfg_cap + CFG_DATA, length), length);
}

/* ---- building ------------------------------------------------------------------------------- */

static unsigned int add_part(struct virtio_pci *pci, uint8_t type, uint32_t offset, uint32_t length,
			     unsigned int size)
{
	const struct virtio_pci_cap cap = {
		.cap_len = size, .cfg_type = type, .bar = BAR_REGISTERS,
		.offset = htole32(offset), .length = htole32(length),
	};
	struct pci_function *function = &pci->function;
	unsigned int at = pci_add_capability(function, PCI_CAP_ID_VNDR, size);

	memcpy(function->config + at + 2, (const uint8_t *)&cap + 2, sizeof(cap) - 2);
	return at;
}

static void add_parts(struct virtio_pci *pci)
{
	struct pci_function *function = &pci->function;
	uint32_t notify = NOTIFY_STEP * pci->device->queues;
	unsigned int at;

	add_part(pci, VIRTIO_PCI_CAP_COMMON_CFG, COMMON, COMMON_SIZE, CAP_SIZE);
	add_part(pci, VIRTIO_PCI_CAP_ISR_CFG, ISR, 1, CAP_SIZE);
	if (pci->device->config_size)
		add_part(pci, VIRTIO_PCI_CAP_DEVICE_CFG, CONFIG,
			 align_up(pci->device->config_size, 4), CAP_SIZE);
	at = add_part(pci, VIRTIO_PCI_CAP_NOTIFY_CFG, NOTIFY, notify,
		      sizeof(struct virtio_pci_notify_cap));
	pci_config_put(function, at + CAP_SIZE, 4, NOTIFY_STEP);
	at = add_part(pci, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, sizeof(struct virtio_pci_cfg_cap));
	function->config[at + offsetof(struct virtio_pci_cap, bar)] = 0;
	function->writable[at + offsetof(struct virtio_pci_cap, bar)] = 0xff;
	memset(function->writable + at + offsetof(struct virtio_pci_cap, offset), 0xff,
	       sizeof(struct virtio_pci_cfg_cap) - offsetof(struct virtio_pci_cap, offset));
	pci->cfg_cap = at;
}

int virtio_pci_add(struct virtio_pci *pci, struct virtio_device *device, struct pci_host *host,
		   uint32_t class, struct failure *why)
{
	static const struct pci_ops ops = {
		.read = registers_read, .write = registers_write, .bar_moved = bar_moved,
		.msix_changed = msix_changed,
		.config_read = config_read, .config_written = config_written,
	};
	static const struct virtio_transport transport = {
		.interrupt = interrupt, .started = started, .stopped = stopped, .reset = reset,
	};
	const struct pci_id id = {
		.vendor = VENDOR, .device = DEVICE_BASE + device->type,
		.subsystem_vendor = VENDOR, .subsystem = DEVICE_BASE + device->type,
		.class = class, .revision = REVISION,
	};

	memset(pci, 0, sizeof(*pci));
	pci->device = device;
	pci->config_vector = VIRTIO_NO_VECTOR;
	device->transport = &transport;
	device->transport_data = pci;
	pci_function_init(&pci->function, device->name, &id, &ops, &device->lock);
	pci_add_bar(&pci->function, BAR_REGISTERS, BAR_SIZE, true);
	add_parts(pci);
	pci_add_msix(&pci->function, BAR_MSIX, device->queues + 1);
	if (pci_add_function(host, &pci->function))
		return fail(why, "too many devices: there are %u places on the PCI bus", PCI_SLOTS);
	return 0;
}
