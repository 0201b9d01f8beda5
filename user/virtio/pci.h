/* SPDX-License-Identifier: GPL-2.0 */
/*
 * virtio over PCI, modern only.
 */
#ifndef HULL_VIRTIO_PCI_H
#define HULL_VIRTIO_PCI_H

#include "dev/pci.h"
#include "virtio/virtio.h"

struct virtio_pci {
	struct pci_function function;	/* guarded by device->lock, as all here */
	struct virtio_device *device;
	unsigned int cfg_cap;		/* place of the capability for accesses by configuration */
	uint32_t device_feature_select, driver_feature_select;
	uint16_t queue_select;
	uint16_t config_vector;
	uint8_t isr;
	uint64_t notify;		/* where the guest has notifications; 0: not decoded */
	uint64_t doorbell[VIRTIO_QUEUES_MAX];	/* where the module kicks; 0: nowhere */
};

/* After virtio_create(): puts the device on the bus. @class: 24 bits, of PCI. */
int virtio_pci_add(struct virtio_pci *pci, struct virtio_device *device, struct pci_host *host,
		   uint32_t class, struct failure *why);

#endif
