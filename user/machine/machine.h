/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The machine: VM, vCPUs, memory, bus, devices, console, and how it ends.
 *
 * Threads: one for each vCPU, which answers its own device accesses; one for each virtio device;
 * and the main thread in loop_run(), which has console input, time and signals. Whoever ends the
 * machine calls machine_end(): the first reason stays.
 */
#ifndef HULL_MACHINE_MACHINE_H
#define HULL_MACHINE_MACHINE_H

#include <net/if.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "9p/server.h"
#include "boot/boot.h"
#include "dev/debug_exit.h"
#include "dev/fw_cfg.h"
#include "dev/i8042.h"
#include "dev/pci.h"
#include "dev/pm.h"
#include "dev/pvpanic.h"
#include "dev/reset.h"
#include "dev/rtc.h"
#include "dev/serial.h"
#include "disk/disk.h"
#include "lib/hull_lib.h"
#include "machine/broker.h"
#include "machine/bus.h"
#include "machine/console.h"
#include "machine/failure.h"
#include "machine/hvc.h"
#include "machine/memory.h"
#include "machine/route.h"
#include "net/net.h"
#include "port/port.h"
#include "virtio/balloon.h"
#include "virtio/pci.h"

struct signalfd_siginfo;

enum end_kind {
	END_NONE,
	END_OFF,
	END_RESET,
	END_PANIC,
	END_DEBUG_EXIT,		/* value: exit status */
	END_MODULE,		/* vcpu: whose run page says why */
	END_TIMEOUT,
	END_INTERRUPTED,	/* value: signal, or 0 for Ctrl-A X */
	END_ERROR,		/* text */
};

struct machine_end {
	enum end_kind kind;
	int value;
	unsigned int vcpu;
	struct failure text;
};

struct vcpu {
	struct machine *machine;
	unsigned int id;
	int fd;
	pthread_t thread;
	bool started;
	struct hull_run *run;
	struct hull_channel *channel;
	struct hull_endpoint endpoint;
};

#define MACHINE_DISKS	16
#define DISK_SERIAL	20

struct disk_config {
	struct disk_source source;
	char serial[DISK_SERIAL + 1];
	unsigned int queues;
};

#define MACHINE_NETS	8
#define NET_FORWARDS	16

enum net_kind { NET_USER, NET_TAP, NET_BRIDGE };
enum net_vhost { NET_VHOST_AUTO, NET_VHOST_ON, NET_VHOST_OFF };

/**
 * struct net_config - a network card and what it is connected with
 * @name: of the tap device or bridge; else empty
 * @queues: pairs of them, 1 to NET_QUEUES_MAX; with NET_USER 1
 * @vhost: shall the host's kernel move the frames of a tap device? By default where it can
 * @has_mac: @mac was chosen; else it is derived
 * @forward: connections to the guest
 * @forwards: how many
 */
struct net_config {
	enum net_kind kind;
	char name[IFNAMSIZ];
	unsigned int queues;
	enum net_vhost vhost;
	bool has_mac;
	uint8_t mac[NET_MAC];
	struct net_forward forward[NET_FORWARDS];
	unsigned int forwards;
};

#define MACHINE_SHARES	8
#define SHARE_TAG	32

/**
 * struct share_config - a directory for the guest
 * @files: descriptors that are worth having for it, of those there may be; 0: some thousands
 * @many_files: optional: see p9_tell_many()
 * @opaque: for it
 */
struct share_config {
	const char *path;
	char tag[SHARE_TAG + 1];
	bool read_only;
	unsigned int files;
	void (*many_files)(void *opaque);
	void *opaque;
};

#define MACHINE_PORTS	14
#define PORT_NAME	64

enum port_kind { PORT_FD, PORT_FILE, PORT_PTY, PORT_UNIX, PORT_READY };

/**
 * struct port_config - a port with a name, by which programs of the guest and the host talk
 * @path: of a file or socket
 * @fd: file descriptor, which the machine takes over
 * @port: it was made already; the machine takes it over
 */
struct port_config {
	enum port_kind kind;
	char name[PORT_NAME + 1];
	const char *path;
	int fd;
	struct port *port;
};

/**
 * struct machine_config - what the machine is made of
 * @memory: bytes
 * @cpus: vCPUs
 * @paging: HULL_PAGING_*
 * @timeout: ms, 0: none
 * @no_sandbox: the launcher keeps its rights
 * @debug_exit: there is a debug exit port
 * @trace_unclaimed: say what no device claims
 * @serial: where the serial port goes
 * @rng: there is a source of random numbers
 * @balloon: there is a balloon, and free memory of the guest goes back to the host
 * @balloon_size: bytes of it from the start on
 * @balloon_stats: the guest is asked about its memory
 * @disk: disks, in the order in which the guest finds them
 * @disks: how many
 * @net: network cards, in their order
 * @nets: how many
 * @name: that the user gave it, or NULL
 * @identity: what the guest is known by, the same each time it is run: addresses come from it
 * @share: directories for the guest
 * @shares: how many
 * @port: ports of a console device, in their order
 * @ports: how many
 * @vsock: the guest's address (CID) for sockets between it and the host, 0: there are none
 * @hvc: the user's terminal is the guest's virtio console; the serial port's end is another one
 * @signal: optional: is told of signals, on the main thread, also of SIGUSR1 and SIGUSR2;
 *	false: it does as it would without
 * @signal_opaque: for it
 */
struct machine_config {
	uint64_t memory;
	unsigned int cpus;
	unsigned int paging;
	uint64_t timeout;
	bool no_sandbox;
	bool debug_exit;
	bool trace_unclaimed;
	struct console_config serial;
	bool rng;
	bool balloon;
	uint64_t balloon_size;
	bool balloon_stats;
	struct disk_config disk[MACHINE_DISKS];
	unsigned int disks;
	struct net_config net[MACHINE_NETS];
	unsigned int nets;
	const char *name;
	const char *identity;
	struct share_config share[MACHINE_SHARES];
	unsigned int shares;
	struct port_config port[MACHINE_PORTS];
	unsigned int ports;
	uint32_t vsock;
	bool hvc;
	bool (*signal)(void *opaque, const struct signalfd_siginfo *info);
	void *signal_opaque;
};

struct machine {
	const struct machine_config *config;
	int dev;
	int vm;
	struct hull_info info;
	struct guest_memory memory;
	struct bus bus;
	struct console console;	/* the terminal, which the main thread looks after */
	struct console serial_console;	/* with @hvc; output only */
	struct hvc *hvc;
	struct port *hvc_end;		/* until a device takes it over */
	struct virtio_device *console_device;	/* that one */
	struct virtio_device *balloon;		/* or NULL */

	struct serial serial;
	struct rtc rtc;
	struct i8042 i8042;
	struct reset reset;
	struct pm pm;
	struct pvpanic pvpanic;
	struct fw_cfg fw_cfg;
	struct debug_exit debug_exit;
	struct e820_entry e820[E820_MAX];
	struct acpi_tables *acpi;

	struct broker broker;
	struct disk *disk[MACHINE_DISKS];	/* until a device takes it over */
	struct net *net[MACHINE_NETS];		/* the same */
	struct p9_server *share[MACHINE_SHARES];	/* the same */
	struct port *port[MACHINE_PORTS];		/* the same */
	struct virtio_device *vsock;			/* the same */
	struct routes routes;
	struct pci_host pci;
	struct virtio_pci *virtio[PCI_SLOTS];
	unsigned int virtios;

	struct vcpu *vcpu;
	unsigned int vcpus;

	int wake;		/* eventfd: the main thread shall look */
	int signals;		/* signalfd */
	int limit;		/* timerfd of the time limit */
	int rtc_timer;		/* timerfd of the RTC */

	pthread_mutex_t end_lock;
	struct machine_end end;	/* end_lock until ended is set, constant then */
	atomic_bool ended;
};

/* In this order; destroy whatever part was created. Each returns 0 or -1 with the reason. */
int machine_create(struct machine *machine, const struct machine_config *config,
		   struct failure *why);
int machine_open_disks(struct machine *machine, struct failure *why);
int machine_open_nets(struct machine *machine, struct failure *why);
int machine_open_shares(struct machine *machine, struct failure *why);
int machine_open_ports(struct machine *machine, struct failure *why);
int machine_open_vsock(struct machine *machine, struct failure *why);
int machine_open(struct machine *machine, struct failure *why);
int machine_add_devices(struct machine *machine, struct failure *why);
int machine_add_vcpus(struct machine *machine, const struct boot_entry *entry,
		      struct failure *why);
int machine_run(struct machine *machine, struct failure *why);
void machine_destroy(struct machine *machine);

/* Any thread. */
void machine_end(struct machine *machine, enum end_kind kind, int value, unsigned int vcpu,
		 const char *text);
void machine_wake(struct machine *machine);

/* ---- vcpu.c --------------------------------------------------------------------------------- */

int vcpu_create(struct machine *machine, unsigned int id, struct failure *why);
int vcpu_set_entry(struct vcpu *vcpu, const struct boot_entry *entry, struct failure *why);
int vcpu_start(struct vcpu *vcpu, struct failure *why);
void vcpu_stop(struct vcpu *vcpu);
void vcpu_destroy(struct vcpu *vcpu);

/* ---- pci.c ---------------------------------------------------------------------------------- */

bool machine_has_pci(const struct machine_config *config);
int pci_create(struct machine *machine, struct failure *why);
int pci_start(struct machine *machine, struct failure *why);
void pci_stop(struct machine *machine);
void pci_destroy(struct machine *machine);
/* Main thread: the terminal's size, for the console. */
void pci_set_window(struct machine *machine);

/* ---- cpuid.c -------------------------------------------------------------------------------- */

/* Makes the leaves that differ between vCPUs those of vCPU @id of @cpus. */
void cpuid_for_vcpu(struct hull_cpuid_entry *entry, uint32_t count, unsigned int id,
		    unsigned int cpus);

/* ---- loop.c --------------------------------------------------------------------------------- */

int loop_init(struct machine *machine, struct failure *why);
void loop_run(struct machine *machine);
void loop_destroy(struct machine *machine);

#endif
