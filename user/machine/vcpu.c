// SPDX-License-Identifier: GPL-2.0
/*
 * A vCPU and its thread: run the guest, answer what comes back, until the machine has ended.
 *
 * Locks: none of its own. The run page's stop word is the way into HULL_RUN from outside, together
 * with a signal whose handler does nothing.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "machine/machine.h"

/* Segment attributes as in struct hull_segment. */
#define ATTR_CODE32	0xc9b
#define ATTR_CODE64	0xa9b
#define ATTR_DATA	0xc93
#define ATTR_TSS	0x08b

#define CR0_START	0x11		/* PE, ET */
#define CR0_PAGING	0x80000000
#define CR4_PAE		0x20
#define EFER_LONG	0x500		/* LME, LMA */
#define RFLAGS_START	0x2

/* What KVM's documented hypercalls answer when there is no such call. */
#define HYPERCALL_UNKNOWN	((uint64_t)-1000)

#define KICK_SIGNAL	SIGUSR1
#define KICK_NS		20000000	/* a thread that has not ended by then is kicked again */

/* ---- first state ---------------------------------------------------------------------------- */

static void set_segments(struct hull_segments *segments, const struct boot_entry *entry)
{
	struct hull_segment data = {
		.limit = 0xffffffff, .selector = entry->ds, .attr = ATTR_DATA,
	};

	segments->cs = data;
	segments->cs.selector = entry->cs;
	segments->cs.attr = entry->long_mode ? ATTR_CODE64 : ATTR_CODE32;
	segments->es = data;
	segments->ss = data;
	segments->ds = data;
	segments->fs = data;
	segments->gs = data;
	segments->ldtr = (struct hull_segment){ .attr = HULL_SEG_UNUSABLE };
	segments->tr = (struct hull_segment){ .limit = 0x67, .attr = ATTR_TSS };
	segments->gdtr = (struct hull_segment){ .base = BOOT_GDT, .limit = 4 * 8 - 1 };
	segments->idtr = (struct hull_segment){ .limit = 0 };
}

static void set_control(struct hull_control *control, const struct boot_entry *entry)
{
	control->cr0 = CR0_START;
	control->cr4 = 0;
	control->efer = 0;
	if (!entry->long_mode)
		return;
	control->cr0 |= CR0_PAGING;
	control->cr3 = BOOT_PAGE_TABLES;
	control->cr4 = CR4_PAE;
	control->efer = EFER_LONG;
}

int vcpu_set_entry(struct vcpu *vcpu, const struct boot_entry *entry, struct failure *why)
{
	const uint64_t groups = HULL_GROUP_GPRS | HULL_GROUP_SEGMENTS | HULL_GROUP_CONTROL;
	struct hull_vcpu_state *state = calloc(1, sizeof(*state));
	int ret = 0;

	if (!state)
		return fail(why, "out of memory");
	if (hull_get_state(vcpu->fd, groups, state)) {
		ret = fail(why, "cannot read the state of vCPU %u: %s", vcpu->id, strerror(errno));
		goto out;
	}
	memset(&state->gprs, 0, sizeof(state->gprs));
	state->gprs.rip = entry->rip;
	state->gprs.rflags = RFLAGS_START;
	state->gprs.gpr[HULL_GPR_RAX] = entry->rax;
	state->gprs.gpr[HULL_GPR_RBX] = entry->rbx;
	state->gprs.gpr[HULL_GPR_RSI] = entry->rsi;
	set_segments(&state->segments, entry);
	set_control(&state->control, entry);
	if (hull_set_state(vcpu->fd, groups, state))
		ret = fail(why, "the module does not take the first state of vCPU %u: %s",
			   vcpu->id, strerror(errno));
out:
	free(state);
	return ret;
}

static int set_cpuid(struct vcpu *vcpu, struct failure *why)
{
	struct hull_cpuid_entry entry[HULL_MAX_CPUID];
	__u32 count = HULL_MAX_CPUID;

	if (hull_get_supported_cpuid(vcpu->machine->dev, entry, &count))
		return fail(why, "cannot ask for the CPUID leaves: %s", strerror(errno));
	cpuid_for_vcpu(entry, count, vcpu->id, vcpu->machine->config->cpus);
	if (hull_set_cpuid(vcpu->fd, entry, count))
		return fail(why, "the module does not take the CPUID leaves of vCPU %u: %s",
			    vcpu->id, strerror(errno));
	return 0;
}

int vcpu_create(struct machine *machine, unsigned int id, struct failure *why)
{
	struct vcpu *vcpu = &machine->vcpu[id];

	vcpu->machine = machine;
	vcpu->id = id;
	vcpu->fd = hull_create_vcpu(machine->vm, id);
	if (vcpu->fd < 0)
		return fail(why, "cannot create vCPU %u: %s", id, strerror(errno));
	vcpu->run = hull_map_run(vcpu->fd, &vcpu->channel);
	if (!vcpu->run) {
		fail(why, "cannot map the run page of vCPU %u: %s", id, strerror(errno));
		goto err_close;
	}
	hull_endpoint_init(&vcpu->endpoint, vcpu->channel, -1, id);
	if (set_cpuid(vcpu, why))
		goto err_unmap;
	return 0;

err_unmap:
	hull_unmap_run(vcpu->run, vcpu->channel);
err_close:
	close(vcpu->fd);
	return -1;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	hull_unmap_run(vcpu->run, vcpu->channel);
	close(vcpu->fd);
}

/* ---- running -------------------------------------------------------------------------------- */

/* Elements of a string go to one port, one after the other; in memory they lie side by side. */
static uint64_t element_address(const struct hull_mailbox *request, unsigned int index)
{
	if (request->space == HULL_SPACE_PORT)
		return request->address;
	return request->address + (uint64_t)index * request->size;
}

static void do_string(struct vcpu *vcpu, const struct hull_mailbox *request)
{
	struct bus *bus = &vcpu->machine->bus;
	uint8_t *payload = vcpu->channel->payload;
	unsigned int i;

	for (i = 0; i < request->count; i++, payload += request->size) {
		uint64_t address = element_address(request, i);
		uint64_t value = 0;

		if (request->flags & HULL_MAILBOX_WRITE) {
			memcpy(&value, payload, request->size);
			bus_write(bus, request->space, address, value, request->size);
		} else {
			value = bus_read(bus, request->space, address, request->size);
			memcpy(payload, &value, request->size);
		}
	}
}

static void do_request(struct vcpu *vcpu)
{
	const struct hull_mailbox *request = &vcpu->endpoint.current;
	struct bus *bus = &vcpu->machine->bus;
	uint64_t answer = 0;

	if (request->space == HULL_SPACE_HYPERCALL)
		answer = HYPERCALL_UNKNOWN;
	else if (request->flags & HULL_MAILBOX_PAYLOAD)
		do_string(vcpu, request);
	else if (request->flags & HULL_MAILBOX_WRITE)
		bus_write(bus, request->space, request->address, request->value, request->size);
	else
		answer = bus_read(bus, request->space, request->address, request->size);
	hull_answer(&vcpu->endpoint, answer);
}

static void do_work(struct vcpu *vcpu)
{
	struct hull_posted posted;

	for (;;) {
		switch (hull_next(&vcpu->endpoint, &posted)) {
		case HULL_WORK_NONE:
			return;
		case HULL_WORK_POSTED:
			bus_write(&vcpu->machine->bus, posted.space, posted.address, posted.value,
				  posted.size);
			break;
		case HULL_WORK_REQUEST:
			do_request(vcpu);
			break;
		}
	}
}

static void handle_exit(struct vcpu *vcpu)
{
	switch (vcpu->run->exit) {
	case HULL_EXIT_REQUEST:
	case HULL_EXIT_POSTED:
		do_work(vcpu);
		break;
	case HULL_EXIT_ENDED:
		/* Writes that were queued come before the end. */
		do_work(vcpu);
		machine_end(vcpu->machine, END_MODULE, 0, vcpu->id, NULL);
		break;
	case HULL_EXIT_HALTED:
		machine_end(vcpu->machine, END_ERROR, 0, vcpu->id,
			    "a vCPU halted for ever: there is no interrupt controller");
		break;
	default:
		machine_end(vcpu->machine, END_ERROR, 0, vcpu->id,
			    "the module returned for a reason this launcher does not know");
		break;
	}
}

static void *vcpu_thread(void *opaque)
{
	struct vcpu *vcpu = opaque;
	struct machine *machine = vcpu->machine;

	while (!atomic_load_explicit(&machine->ended, memory_order_relaxed)) {
		if (!hull_run(vcpu->fd)) {
			handle_exit(vcpu);
		} else if (errno != EINTR) {
			struct failure text;

			fail(&text, "running vCPU %u failed: %s", vcpu->id, strerror(errno));
			machine_end(machine, END_ERROR, 0, vcpu->id, text.text);
		}
	}
	return NULL;
}

static void kicked(int number)
{
	(void)number;
}

int vcpu_start(struct vcpu *vcpu, struct failure *why)
{
	/* Without SA_RESTART: what the thread sleeps in ends with EINTR. */
	struct sigaction action = { .sa_handler = kicked };
	int error;

	sigaction(KICK_SIGNAL, &action, NULL);
	error = pthread_create(&vcpu->thread, NULL, vcpu_thread, vcpu);
	if (error)
		return fail(why, "cannot start the thread of vCPU %u: %s", vcpu->id,
			    strerror(error));
	vcpu->started = true;
	return 0;
}

/* After machine->ended was set. A kick can come just before the thread sleeps: so again. */
void vcpu_stop(struct vcpu *vcpu)
{
	struct timespec until;

	if (!vcpu->started)
		return;
	__atomic_store_n(&vcpu->run->stop, 1, __ATOMIC_RELEASE);
	do {
		pthread_kill(vcpu->thread, KICK_SIGNAL);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += KICK_NS;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
	} while (pthread_timedjoin_np(vcpu->thread, NULL, &until) == ETIMEDOUT);
	vcpu->started = false;
}
