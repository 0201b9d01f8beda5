// SPDX-License-Identifier: GPL-2.0
/*
 * failslab - let each allocation of each operation fail once
 *
 * Needs a kernel with fault injection (scripts/lab --kernel debug); elsewhere all is skipped. For
 * an operation the first allocation is made to fail, then in a new VM the second, until one
 * succeeds because there are no more. What fails must fail with ENOMEM and do no harm: tried again
 * it works. Leaks are for kmemleak to find. Prints TAP.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "device.h"
#include "klog.h"

#define REGION		0x40000000UL
#define REGION_SIZE	(4UL << 20)
#define MANY		400		/* no operation makes so many allocations */

/* ---- fault injection ------------------------------------------------------------------------ */

static int fail_nth;

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t written;

	if (fd < 0)
		return -1;
	written = write(fd, text, strlen(text));
	close(fd);
	return written < 0 ? -1 : 0;
}

/* Also those allocations that may sleep; no stack trace of each. */
static int prepare_injection(void)
{
	static const char *const files[] = {
		"failslab/ignore-gfp-wait", "fail_page_alloc/ignore-gfp-wait",
		"fail_page_alloc/ignore-gfp-highmem", "fail_page_alloc/min-order",
		"failslab/verbose", "fail_page_alloc/verbose",
	};
	char path[100];
	size_t i;

	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s", files[i]);
		if (write_file(path, "0"))
			return -1;
	}
	snprintf(path, sizeof(path), "/proc/self/task/%ld/fail-nth", syscall(SYS_gettid));
	fail_nth = open(path, O_RDWR | O_CLOEXEC);
	return fail_nth < 0 ? -1 : 0;
}

static void arm(int n)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", n);
	if (pwrite(fail_nth, text, strlen(text), 0) < 0)
		printf("# fail-nth: %s\n", strerror(errno));
}

/* True: the failure has happened. */
static bool disarm(void)
{
	char text[16] = "";
	bool happened;

	if (pread(fail_nth, text, sizeof(text) - 1, 0) < 0)
		printf("# fail-nth: %s\n", strerror(errno));
	happened = atoi(text) == 0;
	arm(0);
	return happened;
}

/* ---- operations ----------------------------------------------------------------------------- */

/**
 * struct env - a fresh VM for each trial
 * @guest: the VM
 * @state: all groups of vCPU 0
 * @vm_state: all groups of the VM
 * @entries: CPUID leaves
 * @count: how many
 * @extra: fd that the operation or its preparation has made; -1: none
 * @region: more memory
 * @device: of a consumer
 */
struct env {
	struct guest guest;
	struct hull_vcpu_state state;
	struct hull_vm_state vm_state;
	struct hull_cpuid_entry entries[HULL_MAX_CPUID];
	__u32 count;
	int extra;
	unsigned char *region;
};

GUEST(toucher, 64,
      "mov $0x40000000, %ebx\n mov (%rbx), %eax\n incl 0x200000(%rbx)\n out %eax, $0xe9\n hlt");
GUEST(poster, 64,
      "mov $0x500, %edx\n out %eax, %dx\n out %eax, $0xe9\n hlt");
GUEST(stringer, 64,
      "mov $0x500, %edx\n mov $0x40000, %esi\n mov $64, %ecx\n rep outsb\n hlt");

static struct env env;
static __u64 bitmap[REGION_SIZE / 4096 / 64];

static const __u64 vcpu_groups = HULL_GROUPS;

static int set_region(__u32 flags)
{
	const struct hull_region regions[] = {
		{ .size = env.guest.size, .hva = (unsigned long)env.guest.memory },
		{ .gpa = REGION, .size = REGION_SIZE, .hva = (unsigned long)env.region,
		  .flags = flags },
	};

	return hull_set_memory(env.guest.vm, regions, 2);
}

static int nothing(void)
{
	return 0;
}

static int create_vm_plain(void)
{
	const struct hull_create_vm args = { 0 };

	return env.extra = hull_create_vm(env.guest.dev, &args);
}

static int create_vm_irqchip(void)
{
	const struct hull_create_vm args = {
		.flags = HULL_VM_IRQCHIP | HULL_VM_PIT, .pm_timer_port = 0x608,
	};

	return env.extra = hull_create_vm(env.guest.dev, &args);
}

static int create_vcpu(void)
{
	return env.extra = hull_create_vcpu(env.guest.vm, 1);
}

static int create_consumer(void)
{
	return env.extra = hull_create_consumer(env.guest.vm);
}

static int set_memory(void)
{
	return set_region(HULL_REGION_LOG_DIRTY);
}

static int log_dirty(void)
{
	return set_region(HULL_REGION_LOG_DIRTY);
}

static int get_dirty(void)
{
	return hull_get_dirty(env.guest.vm, REGION, REGION_SIZE, bitmap, HULL_DIRTY_CLEAR);
}

static int make_consumer(void)
{
	return create_consumer() < 0 ? -1 : 0;
}

static int add_range(void)
{
	return add(&env.guest, PORT, POSTED, DEV, 4, env.extra);
}

static int make_range(void)
{
	return make_consumer() || add_range() ? -1 : 0;
}

static int remove_range(void)
{
	const struct hull_range range = range_of(PORT, POSTED, DEV, 4, env.extra);

	return hull_remove_range(env.guest.vm, &range);
}

static int make_bell(void)
{
	env.extra = eventfd(0, EFD_CLOEXEC);
	return env.extra < 0 ? -1 : 0;
}

static int add_bell(void)
{
	const struct hull_range range = bell_of(PORT, DEV, 4, env.extra);

	return hull_add_range(env.guest.vm, &range);
}

static int set_routes(void)
{
	static const struct hull_route routes[] = {
		{ .gsi = 5, .kind = HULL_ROUTE_PIN, .pin = 5 },
		{ .gsi = HULL_MAX_ROUTES - 1, .kind = HULL_ROUTE_MSI, .address = 0xfee00000 },
	};

	return hull_set_routes(env.guest.vm, routes, 2);
}

static int add_irqfd(void)
{
	return hull_add_irqfd(env.guest.vm, 5, env.extra, -1);
}

static int make_irqfd(void)
{
	return make_bell() || add_irqfd() ? -1 : 0;
}

static int remove_irqfd(void)
{
	return hull_remove_irqfd(env.guest.vm, 5, env.extra, -1);
}

static int make_dead_consumer(void)
{
	if (make_range())
		return -1;
	close(env.extra);
	env.extra = -1;
	return 0;
}

static int attach_consumer(void)
{
	return env.extra = hull_attach_consumer(env.guest.vm, PORT, DEV);
}

/* The channels of a consumer are made when they are touched: only there, by the kernel. */
static int map_consumer(void)
{
	struct hull_channel *channels = hull_map_consumer(env.extra, 1);

	if (!channels)
		return -1;
	hull_unmap_consumer(channels, 1);
	return 0;
}

static int map_run(void)
{
	struct hull_channel *channel;
	struct hull_run *run = hull_map_run(env.guest.cpu[0].fd, &channel);

	if (!run)
		return -1;
	hull_unmap_run(run, channel);
	return 0;
}

static int set_cpuid(void)
{
	return hull_set_cpuid(env.guest.cpu[0].fd, env.entries, env.count);
}

static int get_state(void)
{
	return hull_get_state(env.guest.cpu[0].fd, vcpu_groups, &env.state);
}

static int set_state(void)
{
	return hull_set_state(env.guest.cpu[0].fd, vcpu_groups, &env.state);
}

static int get_vm_state(void)
{
	return hull_vm_get_state(env.guest.vm, HULL_VM_GROUPS, &env.vm_state);
}

static int set_vm_state(void)
{
	return hull_vm_set_state(env.guest.vm, HULL_VM_GROUPS, &env.vm_state);
}

static int get_stats(void)
{
	static struct hull_stats stats;

	return hull_get_stats(env.guest.cpu[0].fd, &stats);
}

static int start_toucher(void)
{
	return set_region(0) || guest_start(&env.guest, 0, GUEST_LONG, GUEST_CODE(toucher));
}

static int start_poster(void)
{
	return make_range() || guest_start(&env.guest, 0, GUEST_LONG, GUEST_CODE(poster));
}

static int start_stringer(void)
{
	return guest_start(&env.guest, 0, GUEST_LONG, GUEST_CODE(stringer));
}

static int run_guest(void)
{
	const struct guest_cpu *cpu = &env.guest.cpu[0];

	if (hull_run(cpu->fd))
		return -1;
	if (cpu->run->exit == HULL_EXIT_REQUEST)
		return 0;
	printf("# exit %u, end reason %u, info %#llx\n", cpu->run->exit, cpu->run->end_reason,
	       cpu->run->end_info[0]);
	errno = EPROTO;
	return -1;
}

static const struct operation {
	const char *name;
	int (*prepare)(void);
	int (*call)(void);
} operations[] = {
	{ "HULL_CREATE_VM", nothing, create_vm_plain },
	{ "HULL_CREATE_VM with interrupt controllers", nothing, create_vm_irqchip },
	{ "HULL_CREATE_VCPU", nothing, create_vcpu },
	{ "HULL_CREATE_CONSUMER", nothing, create_consumer },
	{ "HULL_SET_MEMORY with a dirty log", nothing, set_memory },
	{ "HULL_GET_DIRTY", log_dirty, get_dirty },
	{ "HULL_ADD_RANGE", make_consumer, add_range },
	{ "HULL_ADD_RANGE of a doorbell", make_bell, add_bell },
	{ "HULL_REMOVE_RANGE", make_range, remove_range },
	{ "HULL_SET_ROUTES", make_irqfd, set_routes },
	{ "HULL_ADD_IRQFD", make_bell, add_irqfd },
	{ "HULL_REMOVE_IRQFD", make_irqfd, remove_irqfd },
	{ "HULL_ATTACH_CONSUMER", make_dead_consumer, attach_consumer },
	{ "mapping of a consumer", make_consumer, map_consumer },
	{ "mapping of a vCPU", nothing, map_run },
	{ "HULL_SET_CPUID", nothing, set_cpuid },
	{ "HULL_GET_STATE", nothing, get_state },
	{ "HULL_SET_STATE", get_state, set_state },
	{ "HULL_VM_GET_STATE", nothing, get_vm_state },
	{ "HULL_VM_SET_STATE", get_vm_state, set_vm_state },
	{ "HULL_GET_STATS", nothing, get_stats },
	{ "the first HULL_RUN", start_toucher, run_guest },
	{ "HULL_RUN with the first posted write", start_poster, run_guest },
	{ "HULL_RUN with a string", start_stringer, run_guest },
};

#define OPERATIONS	(sizeof(operations) / sizeof(operations[0]))

/* ---- trials --------------------------------------------------------------------------------- */

static int begin(const struct operation *operation)
{
	memset(&env, 0, sizeof(env));
	env.extra = -1;
	if (guest_create(&env.guest, HULL_VM_IRQCHIP | HULL_VM_PIT, GUEST_SIZE))
		return -1;
	env.region = mmap(NULL, REGION_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	if (env.region == MAP_FAILED)
		return -1;
	env.count = HULL_MAX_CPUID;
	if (hull_get_supported_cpuid(env.guest.dev, env.entries, &env.count))
		return -1;
	/* Not for the sake of this program's own pages. */
	memset(bitmap, 0, sizeof(bitmap));
	return operation->prepare();
}

static void end(void)
{
	if (env.extra >= 0)
		close(env.extra);
	guest_destroy(&env.guest);
	munmap(env.region, REGION_SIZE);
}

/*
 * Allocation @n fails. Returns 1: there is none; 0: as it must be; -1: what came is printed.
 * @refused: counts calls that failed.
 */
static int try_one(const struct operation *operation, int n, unsigned int *refused)
{
	int ret, err, result = 0;
	bool happened;

	if (begin(operation)) {
		printf("# %s, allocation %d: preparation: %s\n", operation->name, n, strerror(errno));
		end();
		return -1;
	}
	arm(n);
	ret = operation->call();
	err = errno;
	happened = disarm();
	if (ret < 0) {
		++*refused;
		if (!happened || err != ENOMEM) {
			printf("# %s, allocation %d: %s\n", operation->name, n, strerror(err));
			result = -1;
		}
		if (operation->call() < 0) {
			printf("# %s, allocation %d: tried again: %s\n", operation->name, n,
			       strerror(errno));
			result = -1;
		}
	} else if (!happened) {
		result = 1;
	}
	end();
	return result;
}

static int try_operation(unsigned int number)
{
	const struct operation *operation = &operations[number];
	unsigned int refused = 0, failed = 0;
	int n, result;

	for (n = 1; n < MANY; n++) {
		result = try_one(operation, n, &refused);
		if (result > 0)
			break;
		failed -= result;
	}
	if (n == MANY) {
		printf("# %s never comes to an end\n", operation->name);
		failed++;
	}
	printf("%sok %u - %s: %d allocations failed, %u calls\n", failed ? "not " : "", number + 1,
	       operation->name, n - 1, refused);
	return failed;
}

int main(void)
{
	unsigned int i, failed = 0;
	struct klog klog;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n");
	if (prepare_injection()) {
		printf("1..0 # SKIP this kernel has no fault injection\n");
		return 0;
	}
	klog_open(&klog);
	printf("1..%zu\n", OPERATIONS);
	for (i = 0; i < OPERATIONS; i++)
		failed += try_operation(i);
	failed += klog_reports(&klog);
	return failed != 0;
}
