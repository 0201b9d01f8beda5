// SPDX-License-Identifier: GPL-2.0
/*
 * The benchmark's machine on KVM, by its ioctls.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"

struct machine {
	int kvm, vm, vcpu, bell;
	uint8_t *memory;
	struct kvm_run *run;
	struct kvm_coalesced_mmio_ring *ring;
	uint64_t returns;
};

static void set_cpuid(struct machine *machine)
{
	struct kvm_cpuid2 *cpuid;
	uint32_t i;

	cpuid = calloc(1, sizeof(*cpuid) + 256 * sizeof(cpuid->entries[0]));
	cpuid->nent = 256;
	if (ioctl(machine->kvm, KVM_GET_SUPPORTED_CPUID, cpuid))
		die("KVM cpuid");
	/* TSC deadline and x2APIC: what KVM's APIC does is for user space to say. */
	for (i = 0; i < cpuid->nent; i++) {
		if (cpuid->entries[i].function == 1)
			cpuid->entries[i].ecx |= 1U << 24 | 1U << 21;
	}
	if (ioctl(machine->vcpu, KVM_SET_CPUID2, cpuid))
		die("KVM cpuid");
	free(cpuid);
}

static void add_devices(struct machine *machine)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = PORT_POSTED, .size = 4, .pio = 1 };
	struct kvm_ioeventfd port = { .addr = PORT_DOORBELL, .fd = machine->bell,
				      .flags = KVM_IOEVENTFD_FLAG_PIO };
	struct kvm_ioeventfd mmio = { .addr = MMIO_DOORBELL, .fd = machine->bell };

	if (ioctl(machine->vm, KVM_REGISTER_COALESCED_MMIO, &zone) ||
	    ioctl(machine->vm, KVM_IOEVENTFD, &port) || ioctl(machine->vm, KVM_IOEVENTFD, &mmio))
		die("KVM devices");
}

static struct machine *create(void)
{
	struct kvm_userspace_memory_region region = { .memory_size = GUEST_MEMORY };
	struct machine *machine = calloc(1, sizeof(*machine));
	struct kvm_pit_config pit = { 0 };
	long size;

	machine->kvm = open("/dev/kvm", O_RDWR);
	if (machine->kvm < 0)
		die("/dev/kvm");
	machine->vm = ioctl(machine->kvm, KVM_CREATE_VM, 0);
	machine->memory = guest_memory_map();
	region.userspace_addr = (uintptr_t)machine->memory;
	if (machine->vm < 0 || ioctl(machine->vm, KVM_SET_TSS_ADDR, 0xfffbd000) ||
	    ioctl(machine->vm, KVM_CREATE_IRQCHIP) || ioctl(machine->vm, KVM_CREATE_PIT2, &pit) ||
	    ioctl(machine->vm, KVM_SET_USER_MEMORY_REGION, &region))
		die("KVM VM");
	machine->vcpu = ioctl(machine->vm, KVM_CREATE_VCPU, 0);
	size = ioctl(machine->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	machine->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, machine->vcpu, 0);
	if (machine->vcpu < 0 || machine->run == MAP_FAILED)
		die("KVM vCPU");
	machine->ring = (void *)((uint8_t *)machine->run + KVM_COALESCED_MMIO_PAGE_OFFSET * 4096);
	machine->bell = eventfd(0, EFD_NONBLOCK);
	set_cpuid(machine);
	add_devices(machine);
	return machine;
}

static uint8_t *memory(struct machine *machine)
{
	return machine->memory;
}

static void start(struct machine *machine, uint64_t r15, uint64_t r13)
{
	const struct kvm_segment data = { .limit = ~0U, .type = 3, .present = 1, .db = 1, .s = 1,
					  .g = 1, .selector = 0x10 };
	struct kvm_regs regs = { .rip = GPA_CODE, .rflags = 2, .rsp = GPA_STACK, .r13 = r13,
				 .r15 = r15 };
	struct kvm_sregs sregs;

	if (ioctl(machine->vcpu, KVM_GET_SREGS, &sregs))
		die("KVM get sregs");
	sregs.ds = sregs.es = sregs.ss = sregs.fs = sregs.gs = data;
	sregs.cs = data;
	sregs.cs.type = 11;
	sregs.cs.db = 0;
	sregs.cs.l = 1;
	sregs.cs.selector = 8;
	sregs.gdt.base = GPA_GDT;
	sregs.gdt.limit = 23;
	sregs.idt.base = GPA_IDT;
	sregs.idt.limit = 4095;
	sregs.cr0 = START_CR0;
	sregs.cr3 = GPA_TABLES;
	sregs.cr4 = START_CR4;
	sregs.efer = START_EFER;
	if (ioctl(machine->vcpu, KVM_SET_SREGS, &sregs) ||
	    ioctl(machine->vcpu, KVM_SET_REGS, &regs))
		die("KVM set state");
}

static void run(struct machine *machine, uint64_t r15, uint64_t r13)
{
	struct kvm_run *run = machine->run;

	start(machine, r15, r13);
	for (;;) {
		if (ioctl(machine->vcpu, KVM_RUN, 0))
			die("KVM_RUN");
		machine->returns++;
		/* Coalesced writes: taken, and that is all. */
		machine->ring->first = machine->ring->last;
		if (run->exit_reason == KVM_EXIT_IO) {
			if (run->io.port == PORT_DONE)
				return;
			if (run->io.direction == KVM_EXIT_IO_IN)
				memset((uint8_t *)run + run->io.data_offset, 0, run->io.size);
		} else if (run->exit_reason != KVM_EXIT_MMIO) {
			die("KVM exit");
		}
	}
}

/* debugfs names a directory after process and VM fd. */
static void counters(struct machine *machine, struct count *count)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/kernel/debug/kvm/%d-%d/exits", getpid(), machine->vm);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%lu", &count->exits) != 1)
		die("KVM's counters in debugfs");
	fclose(file);
	count->windows = count->exits;
	count->returns = machine->returns;
}

static void create_destroy(void)
{
	struct kvm_pit_config pit = { 0 };
	static int kvm = -1;
	int vm, vcpu;

	if (kvm < 0)
		kvm = open("/dev/kvm", O_RDWR);
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (ioctl(vm, KVM_SET_TSS_ADDR, 0xfffbd000) || ioctl(vm, KVM_CREATE_IRQCHIP) ||
	    ioctl(vm, KVM_CREATE_PIT2, &pit))
		die("KVM create");
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (vcpu < 0)
		die("KVM create");
	close(vcpu);
	close(vm);
}

const struct hypervisor on_kvm = {
	"kvm", create, memory, run, counters, create_destroy,
};
