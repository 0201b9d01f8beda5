// SPDX-License-Identifier: GPL-2.0
/*
 * The benchmark's machine on hull, through libhull.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bench.h"
#include "hull_lib.h"

struct machine {
	int dev, vm, vcpu, bell;
	uint8_t *memory;
	struct hull_run *run;
	struct hull_endpoint own;
};

static void add_range(struct machine *machine, uint32_t space, uint32_t delivery, uint64_t start,
		      uint64_t length)
{
	struct hull_range range = {
		.space = space, .delivery = delivery, .start = start, .length = length,
		.consumer = -1,
		.eventfd = delivery == HULL_DELIVER_DOORBELL ? machine->bell : -1,
	};

	if (hull_add_range(machine->vm, &range))
		die("add range");
}

static struct machine *create(void)
{
	struct hull_create_vm args = { .flags = HULL_VM_IRQCHIP | HULL_VM_PIT,
				       .pm_timer_port = PORT_PM_TIMER };
	struct machine *machine = calloc(1, sizeof(*machine));
	struct hull_region region = { .size = GUEST_MEMORY };
	struct hull_channel *channel;

	machine->dev = hull_open();
	if (machine->dev < 0)
		die("/dev/hull");
	machine->vm = hull_create_vm(machine->dev, &args);
	machine->memory = guest_memory_map();
	region.hva = (uintptr_t)machine->memory;
	if (machine->vm < 0 || hull_set_memory(machine->vm, &region, 1))
		die("create a VM");
	machine->vcpu = hull_create_vcpu(machine->vm, 0);
	machine->run = hull_map_run(machine->vcpu, &channel);
	if (machine->vcpu < 0 || !machine->run)
		die("create a vCPU");
	hull_endpoint_init(&machine->own, channel, -1, 0);
	machine->bell = eventfd(0, EFD_NONBLOCK);
	add_range(machine, HULL_SPACE_PORT, HULL_DELIVER_POSTED, PORT_POSTED, 4);
	add_range(machine, HULL_SPACE_PORT, HULL_DELIVER_DOORBELL, PORT_DOORBELL, 4);
	add_range(machine, HULL_SPACE_MEMORY, HULL_DELIVER_DOORBELL, MMIO_DOORBELL, 8);
	return machine;
}

static uint8_t *memory(struct machine *machine)
{
	return machine->memory;
}

static void start(struct machine *machine, uint64_t r15, uint64_t r13)
{
	const struct hull_segment data = { .limit = ~0U, .attr = 0xc93, .selector = 0x10 };
	struct hull_vcpu_state *state = calloc(1, sizeof(*state));

	if (hull_get_state(machine->vcpu, HULL_GROUP_GPRS | HULL_GROUP_SEGMENTS |
			   HULL_GROUP_CONTROL, state))
		die("get state");
	state->gprs.rip = GPA_CODE;
	state->gprs.rflags = 2;
	state->gprs.gpr[HULL_GPR_RSP] = GPA_STACK;
	state->gprs.gpr[HULL_GPR_R13] = r13;
	state->gprs.gpr[HULL_GPR_R15] = r15;
	state->segments.ds = state->segments.es = state->segments.ss = data;
	state->segments.fs = state->segments.gs = data;
	state->segments.cs = data;
	state->segments.cs.attr = 0xa9b;
	state->segments.cs.selector = 8;
	state->segments.gdtr.base = GPA_GDT;
	state->segments.gdtr.limit = 23;
	state->segments.idtr.base = GPA_IDT;
	state->segments.idtr.limit = 4095;
	state->control.cr0 = START_CR0;
	state->control.cr3 = GPA_TABLES;
	state->control.cr4 = START_CR4;
	state->control.efer = START_EFER;
	if (hull_set_state(machine->vcpu, HULL_GROUP_GPRS | HULL_GROUP_SEGMENTS |
			   HULL_GROUP_CONTROL, state))
		die("set state");
	free(state);
}

/* The access in flight is finished, without entering the guest. */
static void finish(struct machine *machine)
{
	machine->run->stop = 1;
	if (!hull_run(machine->vcpu) || errno != EINTR)
		die("finish");
	machine->run->stop = 0;
}

/* The launcher's work: everything is answered with zero, at once. */
static void run(struct machine *machine, uint64_t r15, uint64_t r13)
{
	const struct hull_mailbox *request = &machine->own.current;
	struct hull_posted posted;
	enum hull_work work;
	bool done = false;

	start(machine, r15, r13);
	while (!done) {
		if (hull_run(machine->vcpu))
			die("HULL_RUN");
		if (machine->run->exit != HULL_EXIT_REQUEST &&
		    machine->run->exit != HULL_EXIT_POSTED)
			die("unexpected exit");
		do {
			work = hull_next(&machine->own, &posted);
		} while (work == HULL_WORK_POSTED);
		if (work != HULL_WORK_REQUEST)
			continue;
		done = request->space == HULL_SPACE_PORT && request->address == PORT_DONE;
		hull_answer(&machine->own, 0);
	}
	finish(machine);
}

static void counters(struct machine *machine, struct count *count)
{
	struct hull_stats stats;

	if (hull_get_stats(machine->vcpu, &stats))
		die("get stats");
	count->exits = stats.value[HULL_STAT_EXITS];
	count->windows = stats.value[HULL_STAT_WINDOWS];
	count->returns = stats.value[HULL_STAT_USER];
}

static void create_destroy(void)
{
	struct hull_create_vm args = { .flags = HULL_VM_IRQCHIP | HULL_VM_PIT };
	static int dev = -1;
	int vm, vcpu;

	if (dev < 0)
		dev = hull_open();
	vm = hull_create_vm(dev, &args);
	vcpu = hull_create_vcpu(vm, 0);
	if (vcpu < 0)
		die("create");
	close(vcpu);
	close(vm);
}

const struct hypervisor on_hull = {
	"hull", create, memory, run, counters, create_destroy,
};
