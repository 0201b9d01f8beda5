// SPDX-License-Identifier: GPL-2.0
/*
 * A guest that does what a list of steps says and notes what came of each; see lib/steps.h for the
 * side that writes the list. Built for 32 and 64 bits; one can hand over to the other.
 */
#include "probe.h"

#define MSR_EFER	0xc0000080

static struct steps *const steps = (struct steps *)PROGRAM_SHARED;

static void store(const struct step *step)
{
	volatile uint32_t *half = (volatile uint32_t *)(word)step->address;

	/* In one go, as it may be the entry through which it is written. */
	if (step->kind == 4 || half[1] == step->value >> 32) {
		half[0] = step->value;
	} else if (sizeof(word) == 8) {
		*(volatile word *)half = step->value;
	} else {
		/* Present goes in with the lower half. */
		half[0] = 0;
		half[1] = step->value >> 32;
		half[0] = step->value;
	}
}

static void far_jump(word address, word selector)
{
#ifdef __x86_64__
	asm volatile("push %0\n push %1\n lretq" :: "r"(selector), "r"(address) : "memory");
#else
	asm volatile("push %0\n push %1\n lret" :: "r"(selector), "r"(address) : "memory");
#endif
	__builtin_unreachable();
}

static void load_idt(word address, uint16_t limit)
{
	struct {
		uint16_t limit;
		word base;
	} __attribute__((packed)) idt = { limit, address };

	asm volatile("lidt %0" :: "m"(idt));
}

static void access_step(struct step *step)
{
	struct probe *probe = &probes[0];

	probe_run(probe, step->kind, step->address, step->value);
	step->vector = probe->vector;
	step->error = probe->error;
	step->cr2 = probe->cr2;
	step->got = probe->value;
}

static void run(struct step *step)
{
	switch (step->op) {
	case STEP_ACCESS:
		access_step(step);
		break;
	case STEP_STORE:
		store(step);
		break;
	case STEP_LOAD:
		step->got = *(volatile uint32_t *)(word)step->address |
			    (uint64_t)*(volatile uint32_t *)(word)(step->address + 4) << 32;
		break;
	case STEP_INVLPG:
		invlpg(step->address);
		break;
	case STEP_CR0:
		set_cr0(step->value);
		break;
	case STEP_CR3:
		set_cr3(step->value);
		break;
	case STEP_CR4:
		set_cr4(step->value);
		break;
	case STEP_EFER:
		wrmsr(MSR_EFER, step->value);
		break;
	case STEP_LIDT:
		load_idt(step->address, step->value);
		break;
	case STEP_FAR:
		far_jump(step->address, step->value);
	}
}

void guest_main(void)
{
	struct step *step;

	for (;;) {
		step = &steps->step[steps->next++];
		if (step->op == STEP_END)
			report(REPORT_DONE);
		else
			run(step);
	}
}
