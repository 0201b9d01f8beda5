// SPDX-License-Identifier: GPL-2.0
/*
 * The PCI bus of the machine and the devices on it, in the order in which they get their slots.
 * There is a bus only where there is a device for it: guests without one have nothing to scan.
 *
 * Locks: the list is constant once vCPUs run. Interrupts and doorbells are ioctls, of any thread.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <termios.h>
#include <unistd.h>

#include "machine/machine.h"
#include "net/mac.h"
#include "virtio/9p.h"
#include "virtio/blk.h"
#include "virtio/console.h"
#include "virtio/net.h"
#include "virtio/rng.h"
#include "virtio/vhost_net.h"
#include "virtio/vsock.h"

/* Classes of PCI. */
#define CLASS_DISK		0x010000
#define CLASS_NET		0x020000
#define CLASS_CONSOLE		0x078000
#define CLASS_OTHER		0x00ff00

/* Files that the guest may have open in a share; and descriptors that are not for that. */
#define SHARE_FIDS_MAX		4096
#define SHARE_FIDS_MIN		64
#define OTHER_FILES		256

#define FILES_MAX		1048576		/* of a process, as kernels have it (fs.nr_open) */

bool machine_has_pci(const struct machine_config *config)
{
	return config->rng || config->balloon || config->disks || config->nets ||
	       config->shares || config->ports || config->vsock || config->hvc;
}

/* ---- what PCI reaches the module by --------------------------------------------------------- */

/* The guest chose address and data: what is no interrupt reaches nobody. */
static void send_msi(void *opaque, uint64_t address, uint32_t data)
{
	struct machine *machine = opaque;

	hull_send_msi(machine->vm, address, data);
}

static void set_irq(void *opaque, unsigned int gsi, bool level)
{
	struct machine *machine = opaque;

	hull_set_irq(machine->vm, gsi, level);
}

static void doorbell_range(struct hull_range *range, uint64_t address, int eventfd)
{
	*range = (struct hull_range){
		.space = HULL_SPACE_MEMORY, .delivery = HULL_DELIVER_DOORBELL,
		.start = address, .length = 4, .consumer = -1, .eventfd = eventfd,
	};
}

static int add_doorbell(void *opaque, uint64_t address, int eventfd)
{
	struct machine *machine = opaque;
	struct hull_range range;

	doorbell_range(&range, address, eventfd);
	return hull_add_range(machine->vm, &range);
}

static void remove_doorbell(void *opaque, uint64_t address, int eventfd)
{
	struct machine *machine = opaque;
	struct hull_range range;

	doorbell_range(&range, address, eventfd);
	hull_remove_range(machine->vm, &range);
}

static int add_irqfd(void *opaque, int eventfd, uint64_t address, uint32_t data)
{
	struct machine *machine = opaque;

	return route_add(&machine->routes, eventfd, address, data);
}

static void remove_irqfd(void *opaque, int eventfd)
{
	struct machine *machine = opaque;

	route_remove(&machine->routes, eventfd);
}

static int set_routes(void *opaque, const struct hull_route *route, unsigned int count)
{
	struct machine *machine = opaque;

	return hull_set_routes(machine->vm, route, count);
}

static int let_interrupt(void *opaque, unsigned int gsi, int eventfd)
{
	struct machine *machine = opaque;

	return hull_add_irqfd(machine->vm, gsi, eventfd, -1);
}

static void let_not_interrupt(void *opaque, unsigned int gsi, int eventfd)
{
	struct machine *machine = opaque;

	hull_remove_irqfd(machine->vm, gsi, eventfd, -1);
}

/* Tables of guests with shadow paging may be where a device writes. */
static void tell_written(void *opaque, uint64_t gpa, uint64_t size)
{
	struct machine *machine = opaque;

	hull_memory_written(machine->vm, gpa, size);
}

/* ---- devices -------------------------------------------------------------------------------- */

/* Takes @device over, also when it fails; NULL is a creation that failed. */
static int add(struct machine *machine, struct virtio_device *device, uint32_t class,
	       struct failure *why)
{
	struct virtio_pci *pci;

	if (!device)
		return -1;
	pci = malloc(sizeof(*pci));
	if (!pci || machine->virtios == PCI_SLOTS) {
		fail(why, pci ? "too many devices" : "out of memory");
		free(pci);
		virtio_destroy(device);
		return -1;
	}
	pci->device = device;
	machine->virtio[machine->virtios++] = pci;
	return virtio_pci_add(pci, device, &machine->pci, class, why);
}

/* Disks are opened early: what is wrong with them is reported on every machine. */
int machine_open_disks(struct machine *machine, struct failure *why)
{
	const struct machine_config *config = machine->config;
	unsigned int i;

	for (i = 0; i < config->disks; i++) {
		machine->disk[i] = disk_open(&config->disk[i].source, &machine->broker, why);
		if (!machine->disk[i])
			return -1;
	}
	return 0;
}

static int add_disk(struct machine *machine, unsigned int index, struct failure *why)
{
	const struct disk_config *config = &machine->config->disk[index];
	struct disk *disk = machine->disk[index];
	char name[16];
	struct blk_config blk = {
		.name = name, .serial = config->serial, .queues = config->queues,
	};

	snprintf(name, sizeof(name), "disk%u", index);
	machine->disk[index] = NULL;
	return add(machine, virtio_blk_create(disk, &blk, &machine->memory, why), CLASS_DISK, why);
}

/* Two guests with one kernel differ where they are on different tap devices. */
static void card_address(const struct machine_config *machine, unsigned int index,
			 uint8_t mac[NET_MAC])
{
	const struct net_config *config = &machine->net[index];
	char words[PATH_MAX + IFNAMSIZ];

	snprintf(words, sizeof(words), "%s%s", machine->identity, config->name);
	if (config->has_mac)
		memcpy(mac, config->mac, NET_MAC);
	else
		mac_derive(words, index, mac);
}

static struct net *open_net(const struct machine_config *machine, unsigned int index,
			    struct failure *why)
{
	const struct net_config *config = &machine->net[index];
	uint8_t mac[NET_MAC];

	switch (config->kind) {
	case NET_USER:
		return user_open(config->forward, config->forwards, why);
	case NET_TAP:
		return tap_open(config->name, config->queues, why);
	case NET_BRIDGE:
		card_address(machine, index, mac);
		return bridge_open(config->name, mac, config->queues, why);
	}
	return NULL;
}

/* Early, as disks are. */
int machine_open_nets(struct machine *machine, struct failure *why)
{
	const struct machine_config *config = machine->config;
	unsigned int i;

	for (i = 0; i < config->nets; i++) {
		machine->net[i] = open_net(config, i, why);
		if (!machine->net[i])
			return -1;
	}
	return 0;
}

/* With shadow paging the module must know what is written: see memory_written(). */
static int choose_vhost(struct machine *machine, unsigned int index, bool *vhost,
			struct failure *why)
{
	enum net_vhost wanted = machine->config->net[index].vhost;

	*vhost = false;
	if (!machine->net[index]->tap || wanted == NET_VHOST_OFF)
		return 0;
	if (machine->net[index]->next)
		return wanted != NET_VHOST_ON ? 0 :
		       fail(why, "--net: a card has either several queues or vhost=on");
	if (machine->memory.written && wanted == NET_VHOST_ON)
		return fail(why, "--net vhost=on needs nested paging, and this machine has shadow "
			    "paging");
	if (!machine->memory.written)
		*vhost = wanted == NET_VHOST_ON || vhost_net_available();
	return 0;
}

static int add_net(struct machine *machine, unsigned int index, struct failure *why)
{
	struct net *net = machine->net[index];
	struct virtio_device *device;
	uint8_t mac[NET_MAC];
	char name[16];
	bool vhost;

	if (choose_vhost(machine, index, &vhost, why))
		return -1;
	snprintf(name, sizeof(name), "net%u", index);
	card_address(machine->config, index, mac);
	machine->net[index] = NULL;
	device = vhost ? vhost_net_create(net, name, mac, &machine->memory, why) :
			 virtio_net_create(net, name, mac, &machine->memory, why);
	return add(machine, device, CLASS_NET, why);
}

/* Up to @wanted descriptors, if that may be; how many there may be then. */
static uint64_t raise_files(uint64_t wanted)
{
	struct rlimit limit, more;

	if (wanted > FILES_MAX)
		wanted = FILES_MAX;
	more = (struct rlimit){ wanted, wanted };
	if (getrlimit(RLIMIT_NOFILE, &limit))
		return 0;
	/* Root may have more than it was given. */
	if (limit.rlim_max >= wanted || setrlimit(RLIMIT_NOFILE, &more)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	getrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur;
}

/* As many as may be had without asking: each file the guest knows needs one. */
static unsigned int fids_of_share(const struct machine_config *config, unsigned int index)
{
	uint64_t wanted = config->share[index].files, files, fids;

	if (!wanted)
		wanted = SHARE_FIDS_MAX;
	files = raise_files(wanted * config->shares + OTHER_FILES);
	fids = files > OTHER_FILES ? (files - OTHER_FILES) / config->shares : 0;
	if (fids > wanted)
		return wanted;
	return fids < SHARE_FIDS_MIN ? SHARE_FIDS_MIN : fids;
}

/* Early, as disks. */
int machine_open_shares(struct machine *machine, struct failure *why)
{
	const struct machine_config *config = machine->config;
	unsigned int i;

	for (i = 0; i < config->shares; i++) {
		const struct share_config *share = &config->share[i];

		machine->share[i] = p9_create(share->path, share->read_only,
					      fids_of_share(config, i), why);
		if (!machine->share[i])
			return -1;
		if (share->many_files)
			p9_tell_many(machine->share[i], share->many_files, share->opaque);
	}
	return 0;
}

static int add_share(struct machine *machine, unsigned int index, struct failure *why)
{
	const struct share_config *config = &machine->config->share[index];
	struct p9_server *share = machine->share[index];
	char name[16];

	snprintf(name, sizeof(name), "share%u", index);
	machine->share[index] = NULL;
	return add(machine, virtio_9p_create(share, name, config->tag, &machine->memory, why),
		   CLASS_OTHER, why);
}

static struct port *open_port(const struct port_config *config, struct broker *broker,
			      struct failure *why)
{
	struct port *port = NULL;
	char name[64];

	switch (config->kind) {
	case PORT_FD:
		return port_of_fd(config->fd, PORT_BOTH, why);
	case PORT_FILE:
		return port_of_file(config->path, why);
	case PORT_UNIX:
		return port_of_unix(config->path, broker, why);
	case PORT_PTY:
		port = port_of_pty(name, sizeof(name), why);
		if (port)
			fprintf(stderr, "hull: the console %s is %s\n", config->name, name);
		return port;
	case PORT_READY:
		return config->port;
	}
	return port;
}

/* Early, as disks. */
int machine_open_ports(struct machine *machine, struct failure *why)
{
	const struct machine_config *config = machine->config;
	unsigned int i;

	for (i = 0; i < config->ports; i++) {
		machine->port[i] = open_port(&config->port[i], &machine->broker, why);
		if (!machine->port[i])
			return -1;
	}
	return 0;
}

void pci_set_window(struct machine *machine)
{
	struct winsize size;

	if (machine->console_device && machine->console.terminal &&
	    !ioctl(STDIN_FILENO, TIOCGWINSZ, &size))
		virtio_console_resize(machine->console_device, size.ws_col, size.ws_row);
}

static int add_ports(struct machine *machine, struct failure *why)
{
	struct console_port_setup setup[MACHINE_PORTS];
	unsigned int count = machine->config->ports, i;
	struct port *hvc = machine->hvc_end;
	struct virtio_device *device;

	if (!count && !hvc)
		return 0;
	for (i = 0; i < count; i++) {
		setup[i] = (struct console_port_setup){
			machine->config->port[i].name, machine->port[i],
		};
		machine->port[i] = NULL;
	}
	machine->hvc_end = NULL;
	device = virtio_console_create("console0", hvc, setup, count, &machine->memory, why);
	if (add(machine, device, CLASS_CONSOLE, why))
		return -1;
	if (hvc)
		machine->console_device = device;
	pci_set_window(machine);
	return 0;
}

static int add_balloon(struct machine *machine, struct failure *why)
{
	const struct machine_config *config = machine->config;
	struct virtio_device *device;

	if (!config->balloon)
		return 0;
	device = virtio_balloon_create(config->balloon_size, config->balloon_stats,
				       &machine->memory, why);
	if (add(machine, device, CLASS_OTHER, why))
		return -1;
	machine->balloon = device;
	return 0;
}

/* Early, as disks. */
int machine_open_vsock(struct machine *machine, struct failure *why)
{
	uint32_t cid = machine->config->vsock;

	if (!cid)
		return 0;
	machine->vsock = virtio_vsock_create(cid, &machine->memory, why);
	return machine->vsock ? 0 : -1;
}

static int add_vsock(struct machine *machine, struct failure *why)
{
	struct virtio_device *device = machine->vsock;

	if (!device)
		return 0;
	/* The kernel says nothing of what it writes: see memory_written(). */
	if (machine->memory.written)
		return fail(why, "--vsock needs nested paging, and this machine has shadow paging");
	machine->vsock = NULL;
	return add(machine, device, CLASS_OTHER, why);
}

static int add_devices(struct machine *machine, struct failure *why)
{
	const struct machine_config *config = machine->config;
	struct guest_memory *memory = &machine->memory;
	unsigned int i;

	for (i = 0; i < config->disks; i++)
		if (add_disk(machine, i, why))
			return -1;
	for (i = 0; i < config->nets; i++)
		if (add_net(machine, i, why))
			return -1;
	if (config->rng && add(machine, virtio_rng_create(memory, why), CLASS_OTHER, why))
		return -1;
	for (i = 0; i < config->shares; i++)
		if (add_share(machine, i, why))
			return -1;
	if (add_ports(machine, why))
		return -1;
	if (add_balloon(machine, why))
		return -1;
	return add_vsock(machine, why);
}

int pci_create(struct machine *machine, struct failure *why)
{
	const struct pci_platform platform = {
		.send_msi = send_msi, .set_irq = set_irq,
		.add_doorbell = add_doorbell, .remove_doorbell = remove_doorbell,
		.add_irqfd = add_irqfd, .remove_irqfd = remove_irqfd, .opaque = machine,
	};
	const struct route_ops route_ops = {
		.set_routes = set_routes, .add_irqfd = let_interrupt,
		.remove_irqfd = let_not_interrupt, .opaque = machine,
	};
	uint32_t paging = machine->config->paging;

	if (!machine_has_pci(machine->config))
		return 0;
	if (paging == HULL_PAGING_AUTO)
		paging = machine->info.paging;
	if (paging == HULL_PAGING_SHADOW) {
		machine->memory.opaque = machine;
		machine->memory.written = tell_written;
	}
	routes_init(&machine->routes, &route_ops);
	pci_host_init(&machine->pci, &machine->bus, &machine->memory, platform);
	machine->reset.pci = &machine->pci.ports;
	if (bus_add(&machine->bus, HULL_SPACE_MEMORY, PCI_ECAM, PCI_ECAM_SIZE,
		    &machine->pci.ecam))
		return fail(why, "too many devices");
	if (add_devices(machine, why))
		return -1;
	return pci_host_assign(&machine->pci, why);
}

int pci_start(struct machine *machine, struct failure *why)
{
	unsigned int i;

	for (i = 0; i < machine->virtios; i++)
		if (virtio_start(machine->virtio[i]->device, why))
			return -1;
	return 0;
}

void pci_stop(struct machine *machine)
{
	unsigned int i;

	for (i = 0; i < machine->virtios; i++)
		virtio_stop(machine->virtio[i]->device);
}

void pci_destroy(struct machine *machine)
{
	unsigned int i;

	while (machine->virtios) {
		struct virtio_pci *pci = machine->virtio[--machine->virtios];

		virtio_destroy(pci->device);
		free(pci);
	}
	for (i = 0; i < MACHINE_DISKS; i++)
		if (machine->disk[i])
			machine->disk[i]->ops->close(machine->disk[i]);
	for (i = 0; i < MACHINE_NETS; i++)
		if (machine->net[i])
			machine->net[i]->ops->destroy(machine->net[i]);
	for (i = 0; i < MACHINE_SHARES; i++)
		if (machine->share[i])
			p9_destroy(machine->share[i]);
	for (i = 0; i < MACHINE_PORTS; i++)
		if (machine->port[i])
			machine->port[i]->ops->destroy(machine->port[i]);
	if (machine->vsock)
		virtio_destroy(machine->vsock);
}
