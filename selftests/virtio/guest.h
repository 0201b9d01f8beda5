/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guest's driver of a virtio device in slot 1: finds the registers by capabilities, as any
 * driver, and sets the device up. The worker's part is done by virtio_work(), when a test says so.
 */
#ifndef SELFTESTS_VIRTIO_GUEST_H
#define SELFTESTS_VIRTIO_GUEST_H

#include <linux/virtio_pci.h>
#include <sys/epoll.h>

#include "machine.h"
#include "virtio/pci.h"

#define SLOT	1

/* Of the common configuration, beyond the kernel's header. */
#define COMMON_Q_NDATA	56
#define COMMON_Q_RESET	58

static struct virtio_pci pci;
static uint64_t common, isr, config, notify;
static uint32_t notify_step;

static inline uint64_t cap_address(unsigned int cap)
{
	unsigned int bar = PCI_BASE_ADDRESS_0 + 4 * cfg_read(SLOT, cap + VIRTIO_PCI_CAP_BAR, 1);
	uint64_t at = cfg_read(SLOT, bar, 4) & ~15U;

	at |= (uint64_t)cfg_read(SLOT, bar + 4, 4) << 32;
	return at + cfg_read(SLOT, cap + VIRTIO_PCI_CAP_OFFSET, 4);
}

static inline unsigned int guest_find(void)
{
	unsigned int cap = 0, found = 0;

	while ((cap = find_cap(SLOT, cap, PCI_CAP_ID_VNDR))) {
		unsigned int type = cfg_read(SLOT, cap + VIRTIO_PCI_CAP_CFG_TYPE, 1);

		found |= 1U << type;
		if (type == VIRTIO_PCI_CAP_COMMON_CFG)
			common = cap_address(cap);
		if (type == VIRTIO_PCI_CAP_ISR_CFG)
			isr = cap_address(cap);
		if (type == VIRTIO_PCI_CAP_DEVICE_CFG)
			config = cap_address(cap);
		if (type == VIRTIO_PCI_CAP_NOTIFY_CFG) {
			notify = cap_address(cap);
			notify_step = cfg_read(SLOT, cap + VIRTIO_PCI_NOTIFY_CAP_MULT, 4);
		}
	}
	return found;
}

/* Puts the device on a new bus. */
static inline void guest_plug(struct virtio_device *device)
{
	struct failure why;

	EXPECT_EQ(0, virtio_pci_add(&pci, device, &m.host, 0x010000, &why));
	EXPECT_EQ(0, pci_host_assign(&m.host, &why));
	guest_find();
}

static inline uint8_t status(void)
{
	return mem_read(common + VIRTIO_PCI_COMMON_STATUS, 1);
}

static inline void set_status(uint8_t value)
{
	mem_write(common + VIRTIO_PCI_COMMON_STATUS, value, 1);
}

static inline uint64_t offered(void)
{
	uint64_t low;

	mem_write(common + VIRTIO_PCI_COMMON_DFSELECT, 0, 4);
	low = mem_read(common + VIRTIO_PCI_COMMON_DF, 4);
	mem_write(common + VIRTIO_PCI_COMMON_DFSELECT, 1, 4);
	return low | mem_read(common + VIRTIO_PCI_COMMON_DF, 4) << 32;
}

static inline void accept_features(uint64_t features)
{
	mem_write(common + VIRTIO_PCI_COMMON_GFSELECT, 0, 4);
	mem_write(common + VIRTIO_PCI_COMMON_GF, features & 0xffffffff, 4);
	mem_write(common + VIRTIO_PCI_COMMON_GFSELECT, 1, 4);
	mem_write(common + VIRTIO_PCI_COMMON_GF, features >> 32, 4);
}

/* To FEATURES_OK. */
static inline void guest_begin(struct virtio_device *device, uint64_t features)
{
	set_status(0);
	virtio_work(device);
	EXPECT_EQ(0, status());
	set_status(VIRTIO_CONFIG_S_ACKNOWLEDGE);
	set_status(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	accept_features(features);
	set_status(status() | VIRTIO_CONFIG_S_FEATURES_OK);
}

static inline void select_queue(unsigned int index)
{
	mem_write(common + VIRTIO_PCI_COMMON_Q_SELECT, index, 2);
}

static inline void guest_queue(unsigned int index, struct driver *driver, uint16_t size)
{
	driver_init(driver, &m.memory, index, size);
	select_queue(index);
	mem_write(common + VIRTIO_PCI_COMMON_Q_SIZE, size, 2);
	mem_write(common + VIRTIO_PCI_COMMON_Q_DESCLO, driver->setup.desc, 4);
	mem_write(common + VIRTIO_PCI_COMMON_Q_DESCHI, driver->setup.desc >> 32, 4);
	mem_write(common + VIRTIO_PCI_COMMON_Q_AVAILLO, driver->setup.avail, 8);
	mem_write(common + VIRTIO_PCI_COMMON_Q_USEDLO, driver->setup.used, 8);
	mem_write(common + VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
}

static inline void guest_go(struct virtio_device *device)
{
	set_status(status() | VIRTIO_CONFIG_S_DRIVER_OK);
	virtio_work(device);
}

/* What the worker would do until it had nothing more to do. */
static inline void guest_work(struct virtio_device *device)
{
	struct epoll_event event[16];
	int count, i, round;

	for (round = 0; round < 10000; round++) {
		count = epoll_wait(device->worker.epoll, event, 16, 0);
		for (i = 0; i < count; i++) {
			struct watch *watch = event[i].data.ptr;

			watch->ready(watch->opaque);
		}
		if (count <= 0)
			return;
	}
	EXPECT(!"the worker finds rest");
}

#endif
