// SPDX-License-Identifier: GPL-2.0
/*
 * Builds the machine: VM, memory, the list of devices with their ports, vCPUs; and keeps how it
 * ended. Start-up is the order of the functions here.
 *
 * Locks: end_lock guards the first reason to end.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "machine/machine.h"

/* ---- the end -------------------------------------------------------------------------------- */

void machine_end(struct machine *machine, enum end_kind kind, int value, unsigned int vcpu,
		 const char *text)
{
	pthread_mutex_lock(&machine->end_lock);
	if (machine->end.kind == END_NONE) {
		machine->end.kind = kind;
		machine->end.value = value;
		machine->end.vcpu = vcpu;
		if (text)
			fail(&machine->end.text, "%s", text);
		atomic_store(&machine->ended, true);
	}
	pthread_mutex_unlock(&machine->end_lock);
	machine_wake(machine);
}

static void on_power(void *opaque, enum power_event event, unsigned int value)
{
	static const enum end_kind kind[] = {
		[POWER_OFF] = END_OFF,
		[POWER_RESET] = END_RESET,
		[POWER_PANIC] = END_PANIC,
		[POWER_DEBUG_EXIT] = END_DEBUG_EXIT,
	};

	if (event == POWER_CRASH_KERNEL)
		fprintf(stderr, "hull: the guest panicked, its crash kernel takes over\r\n");
	else
		machine_end(opaque, kind[event], value, 0, NULL);
}

/* ---- what devices reach the world by -------------------------------------------------------- */

static void set_irq(void *opaque, unsigned int gsi, bool level)
{
	struct machine *machine = opaque;
	struct failure text;

	if (!hull_set_irq(machine->vm, gsi, level))
		return;
	fail(&text, "cannot set interrupt line %u: %s", gsi, strerror(errno));
	machine_end(machine, END_ERROR, 0, 0, text.text);
}

static uint64_t host_time(void *opaque)
{
	struct timespec now;

	(void)opaque;
	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

static void arm_rtc(void *opaque, uint64_t at)
{
	struct machine *machine = opaque;
	struct itimerspec when = {
		.it_value = { .tv_sec = at / NSEC_PER_SEC, .tv_nsec = at % NSEC_PER_SEC },
	};

	timerfd_settime(machine->rtc_timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void serial_output(void *opaque, uint8_t byte)
{
	struct machine *machine = opaque;

	console_put(machine->hvc ? &machine->serial_console : &machine->console, byte);
}

static void wake(void *opaque)
{
	machine_wake(opaque);
}

static size_t console_to_guest(void *opaque, const uint8_t *data, size_t size)
{
	struct machine *machine = opaque;

	if (machine->hvc)
		return hvc_input(machine->hvc, data, size);
	return serial_receive(&machine->serial, data, size);
}

static void console_key(void *opaque, enum console_key key)
{
	struct machine *machine = opaque;

	switch (key) {
	case KEY_QUIT:
		machine_end(machine, END_INTERRUPTED, 0, 0, NULL);
		break;
	case KEY_POWER:
		pm_press_button(&machine->pm);
		break;
	case KEY_BREAK:
		serial_receive_break(&machine->serial);
		break;
	}
}

/* ---- building ------------------------------------------------------------------------------- */

static int open_device(struct machine *machine, struct failure *why)
{
	machine->dev = hull_open();
	if (machine->dev < 0)
		return fail(why, "cannot open /dev/hull: %s (hull check says more)",
			    strerror(errno));
	if (hull_get_info(machine->dev, &machine->info))
		return fail(why, "cannot ask the module what it offers: %s", strerror(errno));
	if (machine->config->cpus > machine->info.max_vcpus)
		return fail(why, "%u CPUs are too many: the module takes %u",
			    machine->config->cpus, machine->info.max_vcpus);
	if (machine->config->cpus > 1 && !(machine->info.capabilities & HULL_CAP_REAL_MODE))
		return fail(why, "%u CPUs: all but the first start in real mode, in which guests "
			    "cannot be here: this machine's CPU lacks unrestricted guests",
			    machine->config->cpus);
	return 0;
}

static int create_vm(struct machine *machine, struct failure *why)
{
	struct hull_create_vm args = {
		.flags = HULL_VM_IRQCHIP | HULL_VM_PIT,
		.paging = machine->config->paging,
		.pm_timer_port = PM_TIMER_PORT,
	};

	machine->vm = hull_create_vm(machine->dev, &args);
	if (machine->vm >= 0)
		return 0;
	if (errno == EOPNOTSUPP)
		return fail(why, "this module or machine does not have the paging mode asked for");
	return fail(why, "cannot create a VM: %s%s", strerror(errno),
		    errno == EBUSY ? " (another hypervisor, such as KVM, holds the hardware)" : "");
}

static int set_memory(struct machine *machine, struct failure *why)
{
	struct guest_memory *memory = &machine->memory;
	struct hull_region region[2];
	unsigned int i;

	for (i = 0; i < memory->count; i++)
		region[i] = (struct hull_region){
			.gpa = memory->region[i].gpa,
			.size = memory->region[i].size,
			.hva = (uintptr_t)memory->region[i].host,
		};
	if (hull_set_memory(machine->vm, region, memory->count))
		return fail(why, "the module does not take %llu MiB of memory: %s",
			    (unsigned long long)(memory->size / MIB), strerror(errno));
	return 0;
}

int machine_create(struct machine *machine, const struct machine_config *config,
		   struct failure *why)
{
	memset(machine, 0, sizeof(*machine));
	machine->config = config;
	machine->dev = -1;
	machine->vm = -1;
	console_init(&machine->console);
	console_init(&machine->serial_console);
	pthread_mutex_init(&machine->end_lock, NULL);
	bus_init(&machine->bus);
	broker_init(&machine->broker);
	if (loop_init(machine, why))
		return -1;
	return memory_create(&machine->memory, config->memory, why);
}

int machine_open(struct machine *machine, struct failure *why)
{
	if (open_device(machine, why) || create_vm(machine, why) || set_memory(machine, why))
		return -1;
	return 0;
}

/* The terminal is at the serial port, or at the virtio console. */
static int open_consoles(struct machine *machine, struct console_guest guest, struct failure *why)
{
	static const struct console_config terminal = { .kind = CONSOLE_STDIO };
	const struct console_config *serial = &machine->config->serial;

	if (!machine->config->hvc)
		return console_open(&machine->console, serial, guest, why);
	machine->hvc = hvc_create(&machine->console, why);
	if (!machine->hvc)
		return -1;
	machine->hvc_end = hvc_port(machine->hvc);
	if (console_open(&machine->serial_console, serial, guest, why))
		return -1;
	return console_open(&machine->console, &terminal, guest, why);
}

static int init_devices(struct machine *machine, struct failure *why)
{
	struct power power = { on_power, machine };
	struct timer timer = { host_time, arm_rtc, machine };
	struct serial_line line = { serial_output, wake, machine };
	struct guest_memory *memory = &machine->memory;
	struct console_guest guest = { console_to_guest, console_key, wake, machine };
	struct irq_line irq = { .set = set_irq, .opaque = machine };

	if (open_consoles(machine, guest, why))
		return -1;
	irq.gsi = IRQ_SERIAL;
	serial_init(&machine->serial, irq, line);
	irq.gsi = IRQ_RTC;
	rtc_init(&machine->rtc, irq, timer, memory_low_end(memory), memory_high_size(memory));
	irq.gsi = IRQ_SCI;
	pm_init(&machine->pm, irq, power);
	i8042_init(&machine->i8042, power);
	reset_init(&machine->reset, power);
	pvpanic_init(&machine->pvpanic, power);
	debug_exit_init(&machine->debug_exit, power);
	fw_cfg_init(&machine->fw_cfg, memory->size, machine->config->cpus);
	return 0;
}

static int add_fw_cfg_files(struct machine *machine, struct failure *why)
{
	struct fw_cfg *fw_cfg = &machine->fw_cfg;
	unsigned int count = e820_build(&machine->memory, machine->e820);

	machine->acpi = malloc(sizeof(*machine->acpi));
	if (!machine->acpi)
		return fail(why, "out of memory");
	if (acpi_build(machine->acpi, &machine->memory, machine->config->cpus,
		       machine_has_pci(machine->config), why))
		return -1;
	if (fw_cfg_add_file(fw_cfg, "etc/e820", machine->e820, count * sizeof(machine->e820[0])) ||
	    fw_cfg_add_file(fw_cfg, "etc/acpi/rsdp", machine->acpi->data, ACPI_RSDP_SIZE) ||
	    fw_cfg_add_file(fw_cfg, "etc/acpi/tables", machine->acpi->data, machine->acpi->size))
		return fail(why, "too many fw_cfg files");
	return 0;
}

int machine_add_devices(struct machine *machine, struct failure *why)
{
	const struct {
		uint16_t port;
		uint16_t length;
		struct device *device;
	} map[] = {
		{ SERIAL_PORT, SERIAL_LENGTH, &machine->serial.device },
		{ RTC_PORT, RTC_LENGTH, &machine->rtc.device },
		{ I8042_DATA_PORT, 1, &machine->i8042.data },
		{ I8042_COMMAND_PORT, 1, &machine->i8042.command },
		{ FW_CFG_PORT, FW_CFG_LENGTH, &machine->fw_cfg.device },
		{ PVPANIC_PORT, 1, &machine->pvpanic.device },
		{ PM_PORT, PM_LENGTH, &machine->pm.device },
		{ PCI_CONFIG_PORT, PCI_CONFIG_LENGTH, &machine->reset.device },
		/* Last: it is there only when it is asked for. */
		{ DEBUG_EXIT_PORT, DEBUG_EXIT_LENGTH, &machine->debug_exit.device },
	};
	size_t count = sizeof(map) / sizeof(map[0]) - !machine->config->debug_exit;
	size_t i;

	if (init_devices(machine, why) || add_fw_cfg_files(machine, why))
		return -1;
	machine->bus.trace = machine->config->trace_unclaimed ? stderr : NULL;
	for (i = 0; i < count; i++)
		if (bus_add(&machine->bus, HULL_SPACE_PORT, map[i].port, map[i].length,
			    map[i].device))
			return fail(why, "too many devices");
	return pci_create(machine, why);
}

int machine_add_vcpus(struct machine *machine, const struct boot_entry *entry,
		      struct failure *why)
{
	machine->vcpu = calloc(machine->config->cpus, sizeof(*machine->vcpu));
	if (!machine->vcpu)
		return fail(why, "out of memory");
	while (machine->vcpus < machine->config->cpus) {
		if (vcpu_create(machine, machine->vcpus, why))
			return -1;
		machine->vcpus++;
	}
	/* The others wait for the first one's SIPI. */
	return vcpu_set_entry(&machine->vcpu[0], entry, why);
}

int machine_run(struct machine *machine, struct failure *why)
{
	int ret = pci_start(machine, why);
	unsigned int i;

	for (i = 0; i < machine->vcpus && !ret; i++)
		ret = vcpu_start(&machine->vcpu[i], why);
	if (ret)
		machine_end(machine, END_ERROR, 0, 0, why->text);
	loop_run(machine);
	atomic_store(&machine->console.stopping, true);
	atomic_store(&machine->serial_console.stopping, true);
	for (i = 0; i < machine->vcpus; i++)
		vcpu_stop(&machine->vcpu[i]);
	pci_stop(machine);
	console_close(&machine->serial_console);
	console_close(&machine->console);
	return ret;
}

void machine_destroy(struct machine *machine)
{
	while (machine->vcpus)
		vcpu_destroy(&machine->vcpu[--machine->vcpus]);
	free(machine->vcpu);
	pci_destroy(machine);
	if (machine->hvc_end)
		machine->hvc_end->ops->destroy(machine->hvc_end);
	broker_destroy(&machine->broker);
	console_close(&machine->serial_console);
	console_close(&machine->console);
	free(machine->console.tail);
	if (machine->vm >= 0)
		close(machine->vm);
	memory_destroy(&machine->memory);
	free(machine->acpi);
	if (machine->dev >= 0)
		close(machine->dev);
	loop_destroy(machine);
}
