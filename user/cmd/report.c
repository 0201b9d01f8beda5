// SPDX-License-Identifier: GPL-2.0
/*
 * What the user is told at the end: how the machine ended, with the vCPU's registers where the
 * guest did something it cannot go on from, and the statistics.
 *
 * Runs when all vCPU threads have ended: no locks.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "machine/machine.h"

#define CODE_BYTES	16

static const char *const end_text[] = {
	[HULL_END_TRIPLE_FAULT] = "triple fault",
	[HULL_END_BAD_STATE] = "the CPU refuses the vCPU's state",
	[HULL_END_UNKNOWN_EXIT] = "an exit the module does not know",
	[HULL_END_EMULATION] = "an instruction that must be emulated and cannot be",
	[HULL_END_NO_MEMORY] = "memory behind a region cannot be had",
	[HULL_END_INTERNAL] = "a defect of the module (see the kernel log)",
	[HULL_END_CONSUMER] = "a device process ended",
};

/* ---- registers ------------------------------------------------------------------------------ */

static void print_segment(const char *name, const struct hull_segment *segment)
{
	fprintf(stderr, "  %-4s %04x base %016" PRIx64 " limit %08x attr %03x\n", name,
		segment->selector, (uint64_t)segment->base, segment->limit, segment->attr);
}

static void print_gprs(const struct hull_gprs *gprs)
{
	static const char name[16][4] = {
		"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
		"R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15",
	};
	unsigned int i;

	for (i = 0; i < 16; i++)
		fprintf(stderr, "  %-3s %016" PRIx64 "%s", name[i], (uint64_t)gprs->gpr[i],
			i % 4 == 3 ? "\n" : "");
	fprintf(stderr, "  RIP %016" PRIx64 "  RFLAGS %08" PRIx64 "\n", (uint64_t)gprs->rip,
		(uint64_t)gprs->rflags);
}

static void print_control(const struct hull_control *control)
{
	fprintf(stderr, "  CR0 %08" PRIx64 "  CR2 %016" PRIx64 "  CR3 %016" PRIx64
		"  CR4 %08" PRIx64 "  EFER %04" PRIx64 "\n",
		(uint64_t)control->cr0, (uint64_t)control->cr2, (uint64_t)control->cr3,
		(uint64_t)control->cr4, (uint64_t)control->efer);
}

static void print_segments(const struct hull_segments *segments)
{
	print_segment("CS", &segments->cs);
	print_segment("SS", &segments->ss);
	print_segment("DS", &segments->ds);
	print_segment("ES", &segments->es);
	print_segment("FS", &segments->fs);
	print_segment("GS", &segments->gs);
	print_segment("TR", &segments->tr);
	fprintf(stderr, "  GDT  base %016" PRIx64 " limit %04x  IDT base %016" PRIx64
		" limit %04x\n", (uint64_t)segments->gdtr.base, segments->gdtr.limit,
		(uint64_t)segments->idtr.base, segments->idtr.limit);
}

/* A byte at RIP, or -1: not there. */
static int code_byte(const struct vcpu *vcpu, uint64_t gva)
{
	uint8_t byte;
	__u64 gpa;

	if (hull_translate(vcpu->fd, gva, HULL_ACCESS_FETCH, &gpa) ||
	    memory_read(&vcpu->machine->memory, gpa, &byte, 1))
		return -1;
	return byte;
}

/* From memory; where that fails, what the hardware gave with the exit. */
static void print_code(const struct vcpu *vcpu, uint64_t rip)
{
	unsigned int known = vcpu->run->end_insn_len;
	unsigned int i;

	if (known > sizeof(vcpu->run->end_insn) || vcpu->run->end_rip != rip)
		known = 0;
	fprintf(stderr, "  code at RIP:");
	for (i = 0; i < CODE_BYTES; i++) {
		int byte = i < known ? vcpu->run->end_insn[i] : code_byte(vcpu, rip + i);

		if (byte < 0)
			break;
		fprintf(stderr, " %02x", byte);
	}
	fprintf(stderr, "%s\n", i ? "" : " not in memory");
}

static void print_vcpu(const struct vcpu *vcpu)
{
	const uint64_t groups = HULL_GROUP_GPRS | HULL_GROUP_SEGMENTS | HULL_GROUP_CONTROL;
	struct hull_vcpu_state *state = calloc(1, sizeof(*state));

	if (!state)
		return;
	if (hull_get_state(vcpu->fd, groups, state)) {
		fprintf(stderr, "  its registers cannot be read\n");
	} else {
		uint64_t linear = state->gprs.rip;

		print_gprs(&state->gprs);
		print_control(&state->control);
		print_segments(&state->segments);
		if (!(state->control.efer & 0x400))
			linear = (uint32_t)(linear + state->segments.cs.base);
		print_code(vcpu, linear);
	}
	free(state);
}

/* One line for each vCPU: where it is. */
static void print_places(const struct machine *machine)
{
	const uint64_t groups = HULL_GROUP_GPRS | HULL_GROUP_EVENTS;
	static const char *const doing[] = {
		[HULL_STATE_RUNNING] = "running",
		[HULL_STATE_HALTED] = "halted",
		[HULL_STATE_WAIT_SIPI] = "not started",
	};
	struct hull_vcpu_state *state = calloc(1, sizeof(*state));
	unsigned int i;

	for (i = 0; state && i < machine->vcpus; i++) {
		if (hull_get_state(machine->vcpu[i].fd, groups, state))
			continue;
		fprintf(stderr, "  vCPU %u: RIP %016" PRIx64 ", %s\n", i,
			(uint64_t)state->gprs.rip,
			state->events.run_state <= HULL_STATE_WAIT_SIPI ?
			doing[state->events.run_state] : "?");
	}
	free(state);
}

/* ---- the end -------------------------------------------------------------------------------- */

static int report_module(struct machine *machine)
{
	const struct vcpu *vcpu = &machine->vcpu[machine->end.vcpu];
	const struct hull_run *run = vcpu->run;
	const char *text = "for an unknown reason";

	if (run->end_reason < sizeof(end_text) / sizeof(end_text[0]) && end_text[run->end_reason])
		text = end_text[run->end_reason];
	fprintf(stderr, "hull: the guest ended: %s\n", text);
	fprintf(stderr, "  vCPU %u, exit code 0x%" PRIx64 ", information 0x%" PRIx64 " 0x%" PRIx64
		"\n", vcpu->id, (uint64_t)run->end_code, (uint64_t)run->end_info[0],
		(uint64_t)run->end_info[1]);
	if (run->end_reason == HULL_END_BAD_STATE && run->end_text[0])
		fprintf(stderr, "  %.*s\n", (int)sizeof(run->end_text), run->end_text);
	print_vcpu(vcpu);
	return run->end_reason == HULL_END_TRIPLE_FAULT ? EXIT_CODE_TRIPLE_FAULT :
							  EXIT_CODE_GUEST_ENDED;
}

int report_end(struct machine *machine)
{
	const struct machine_end *end = &machine->end;

	if (machine->console.mid_line && end->kind != END_OFF && isatty(STDERR_FILENO))
		fputc('\n', stderr);
	switch (end->kind) {
	case END_OFF:
		return EXIT_CODE_OFF;
	case END_RESET:
		fprintf(stderr, "hull: the guest reset the machine\n");
		return EXIT_CODE_RESET;
	case END_PANIC:
		fprintf(stderr, "hull: the guest's kernel panicked\n");
		return EXIT_CODE_PANIC;
	case END_DEBUG_EXIT:
		return end->value;
	case END_MODULE:
		return report_module(machine);
	case END_TIMEOUT:
		fprintf(stderr, "hull: the time limit of %.3g seconds was reached\n",
			machine->config->timeout / 1000.0);
		print_places(machine);
		return EXIT_CODE_TIMEOUT;
	case END_INTERRUPTED:
		if (end->value)
			fprintf(stderr, "hull: ended by signal %d (%s)\n", end->value,
				strsignal(end->value));
		else
			fprintf(stderr, "hull: ended by Ctrl-A X\n");
		return EXIT_CODE_INTERRUPTED;
	default:
		fprintf(stderr, "hull: %s\n", end->text.text);
		return EXIT_CODE_ERROR;
	}
}

/* ---- statistics ----------------------------------------------------------------------------- */

static const char *const stat_name[HULL_STAT_COUNT] = {
	[HULL_STAT_INTERRUPT] = "host interrupt",
	[HULL_STAT_NMI] = "NMI",
	[HULL_STAT_EXCEPTION] = "exception",
	[HULL_STAT_CPUID] = "cpuid",
	[HULL_STAT_HYPERCALL] = "hypercall",
	[HULL_STAT_PORT] = "port",
	[HULL_STAT_MSR] = "MSR",
	[HULL_STAT_CONTROL] = "control register",
	[HULL_STAT_HLT] = "hlt",
	[HULL_STAT_PAUSE] = "pause",
	[HULL_STAT_WINDOW] = "interrupt window",
	[HULL_STAT_MEMORY_FAULT] = "memory fault",
	[HULL_STAT_MMIO] = "memory access to a device",
	[HULL_STAT_APIC] = "APIC by memory",
	[HULL_STAT_INVALIDATE] = "invalidate",
	[HULL_STAT_VIRT_INSN] = "virtualization instruction",
	[HULL_STAT_OTHER] = "other",
	[HULL_STAT_EXITS] = "all exits",
	[HULL_STAT_WINDOWS] = "windows opened",
	[HULL_STAT_USER] = "returns to the launcher",
	[HULL_STAT_SYNC] = "requests to other consumers",
	[HULL_STAT_POSTED] = "posted writes",
	[HULL_STAT_DOORBELL] = "doorbells",
	[HULL_STAT_EMULATED] = "instructions emulated",
	[HULL_STAT_INJECTED] = "events injected",
	[HULL_STAT_SLEEPS] = "halts that slept",
	[HULL_STAT_FLUSHES] = "flushes",
	[HULL_STAT_KICKS] = "kicks",
};

static void sum_stats(const struct machine *machine, struct hull_stats *sum)
{
	struct hull_stats stats;
	unsigned int i, j;

	memset(sum, 0, sizeof(*sum));
	for (i = 0; i < machine->vcpus; i++) {
		memset(&stats, 0, sizeof(stats));
		if (hull_get_stats(machine->vcpu[i].fd, &stats))
			continue;
		for (j = 0; j < HULL_STAT_COUNT && j < stats.count; j++) {
			sum->value[j] += stats.value[j];
			sum->cycles[j] += stats.cycles[j];
		}
	}
}

/* Cycles spent outside the guest are left out where the module does not count them. */
static void print_exit_row(const struct hull_stats *sum, enum hull_stat stat)
{
	uint64_t all = sum->value[HULL_STAT_EXITS], count = sum->value[stat];

	fprintf(stderr, "%-28s %12" PRIu64 " %6.1f%%", stat_name[stat], count,
		all ? 100.0 * count / all : 0.0);
	if (sum->cycles[HULL_STAT_EXITS])
		fprintf(stderr, " %16" PRIu64 " %10" PRIu64, (uint64_t)sum->cycles[stat],
			count ? (uint64_t)sum->cycles[stat] / count : 0);
	fputc('\n', stderr);
}

/* Of what the guest says of its memory: as a count, or in KiB. */
static const struct {
	const char *name;
	bool bytes;
} balloon_name[VIRTIO_BALLOON_S_NR] = {
	[VIRTIO_BALLOON_S_SWAP_IN] = { "guest: swapped in, KiB", true },
	[VIRTIO_BALLOON_S_SWAP_OUT] = { "guest: swapped out, KiB", true },
	[VIRTIO_BALLOON_S_MAJFLT] = { "guest: major faults", false },
	[VIRTIO_BALLOON_S_MINFLT] = { "guest: minor faults", false },
	[VIRTIO_BALLOON_S_MEMFREE] = { "guest: memory free, KiB", true },
	[VIRTIO_BALLOON_S_MEMTOT] = { "guest: memory, KiB", true },
	[VIRTIO_BALLOON_S_AVAIL] = { "guest: memory available, KiB", true },
	[VIRTIO_BALLOON_S_CACHES] = { "guest: file caches, KiB", true },
	[VIRTIO_BALLOON_S_HTLB_PGALLOC] = { "guest: huge pages made", false },
	[VIRTIO_BALLOON_S_HTLB_PGFAIL] = { "guest: huge pages not made", false },
};

static void print_count(const char *name, uint64_t count)
{
	fprintf(stderr, "%-28s %12" PRIu64 "\n", name, count);
}

static void print_balloon(const struct balloon_stats *stats)
{
	const uint64_t kib = PAGE_SIZE / 1024;
	unsigned int i;

	print_count("balloon: wanted, KiB", stats->wanted * kib);
	print_count("balloon: at the end, KiB", stats->actual * kib);
	print_count("balloon: went into it, KiB", stats->inflated * kib);
	print_count("balloon: came out of it, KiB", stats->deflated * kib);
	print_count("free memory returned, KiB", stats->reported * kib);
	for (i = 0; i < VIRTIO_BALLOON_S_NR; i++)
		if (stats->said & 1U << i)
			print_count(balloon_name[i].name,
				    stats->value[i] / (balloon_name[i].bytes ? 1024 : 1));
}

void report_stats(struct machine *machine)
{
	struct hull_stats sum;
	unsigned int i;

	sum_stats(machine, &sum);
	sum.cycles[HULL_STAT_EXITS] = 0;
	for (i = 0; i < HULL_STAT_EXITS; i++)
		sum.cycles[HULL_STAT_EXITS] += sum.cycles[i];
	fprintf(stderr, "%-28s %12s %7s", "exits", "count", "share");
	if (sum.cycles[HULL_STAT_EXITS])
		fprintf(stderr, " %16s %10s", "cycles", "each");
	fputc('\n', stderr);
	for (i = 0; i < HULL_STAT_EXITS; i++)
		if (sum.value[i])
			print_exit_row(&sum, i);
	print_exit_row(&sum, HULL_STAT_EXITS);
	for (i = HULL_STAT_EXITS + 1; i < HULL_STAT_COUNT; i++)
		if (sum.value[i])
			print_count(stat_name[i], sum.value[i]);
	if (machine->balloon)
		print_balloon(virtio_balloon_stats(machine->balloon));
}
