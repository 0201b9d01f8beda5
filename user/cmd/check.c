// SPDX-License-Identifier: GPL-2.0
/*
 * hull check: can this machine run guests, and if not, what is in the way? Every question is asked
 * and answered in a line of its own; the exit status is that of the first obstacle.
 */
#include <argp.h>
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdint.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "lib/hull_lib.h"

#define CODE_LINE(name, code, text)	"  " #code "\t" text "\n"

static const char doc[] =
	"Say whether this machine can run guests and, if not, why."
	"\v"
	"Exit status:\n"
	HULL_CHECK_CODES(CODE_LINE)
	"  125\twrong usage\n"
	"\n"
	"Example:\n"
	"  hull check && hull run --kernel vmlinuz\n";

static const struct argp argp = { .doc = doc };

/* Registers of the architecture. */
#define CPUID_1_ECX_VMX		(1U << 5)
#define CPUID_AMD_ECX_SVM	(1U << 2)
#define MSR_VM_CR		0xc0010114
#define VM_CR_SVM_DISABLED	(1U << 4)
#define MSR_FEATURE_CONTROL	0x3a
#define FEATURE_LOCKED		(1U << 0)
#define FEATURE_VMX		(1U << 2)

enum vendor { VENDOR_NONE, VENDOR_SVM, VENDOR_VMX };

static int verdict;	/* the first obstacle, 0: none yet */

static void good(const char *what, const char *text)
{
	printf("  yes  %s: %s\n", what, text);
}

static void unknown(const char *what, const char *text)
{
	printf("   ?   %s: %s\n", what, text);
}

static void obstacle(enum exit_code code, const char *what, const char *text)
{
	printf("  NO   %s: %s\n", what, text);
	if (!verdict)
		verdict = code;
}

/* The first word of a small file; false: it is not there. */
static bool read_word(const char *path, char *word, size_t size)
{
	FILE *file = fopen(path, "re");
	char *got;

	if (!file)
		return false;
	got = fgets(word, size, file);
	fclose(file);
	if (!got)
		return false;
	word[strcspn(word, " \n")] = '\0';
	return true;
}

static enum vendor check_cpu(void)
{
	unsigned int eax, ebx, ecx = 0, edx;

	if (__get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx) && ecx & CPUID_AMD_ECX_SVM) {
		good("CPU", "has AMD's SVM");
		return VENDOR_SVM;
	}
	if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) && ecx & CPUID_1_ECX_VMX) {
		good("CPU", "has Intel's VMX");
		return VENDOR_VMX;
	}
	obstacle(EXIT_CODE_NO_CPU, "CPU",
		 "has neither SVM nor VMX (in a virtual machine: its host must offer them; "
		 "scripts/lab emulates such a CPU)");
	return VENDOR_NONE;
}

static bool read_msr(uint32_t index, uint64_t *value)
{
	int fd = open("/dev/cpu/0/msr", O_RDONLY | O_CLOEXEC);
	bool ok;

	if (fd < 0)
		return false;
	ok = pread(fd, value, sizeof(*value), index) == sizeof(*value);
	close(fd);
	return ok;
}

static void check_firmware(enum vendor vendor)
{
	uint64_t value;
	bool off;

	if (vendor == VENDOR_NONE)
		return;
	if (!read_msr(vendor == VENDOR_SVM ? MSR_VM_CR : MSR_FEATURE_CONTROL, &value)) {
		unknown("firmware", "cannot be seen from here (as root, after modprobe msr)");
		return;
	}
	if (vendor == VENDOR_SVM)
		off = value & VM_CR_SVM_DISABLED;
	else
		off = value & FEATURE_LOCKED && !(value & FEATURE_VMX);
	if (off)
		obstacle(EXIT_CODE_FIRMWARE, "firmware",
			 "has switched virtualization off; look for SVM, VT-x or virtualization "
			 "in its set-up");
	else
		good("firmware", "leaves virtualization on");
}

/* From 6.12 on KVM takes the hardware when it is loaded, before with its first guest. */
static void check_kvm(enum vendor vendor)
{
	const char *name = vendor == VENDOR_VMX ? "kvm_intel" : "kvm_amd";
	char path[80], text[160], word[32] = "";
	bool takes_at_load;

	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", name);
	if (vendor == VENDOR_NONE || !read_word(path, word, sizeof(word))) {
		good("other hypervisors", "KVM is not loaded");
		return;
	}
	takes_at_load = read_word("/sys/module/kvm/parameters/enable_virt_at_load", path,
				  sizeof(path)) && path[0] == 'Y';
	if (takes_at_load || strcmp(word, "0")) {
		snprintf(text, sizeof(text), "%s holds the hardware; end its guests, then: "
			 "rmmod %s", name, name);
		obstacle(EXIT_CODE_BUSY, "other hypervisors", text);
	} else {
		snprintf(text, sizeof(text), "%s is loaded and idle; its guests and hull's cannot "
			 "run at the same time", name);
		good("other hypervisors", text);
	}
}

static bool check_module(void)
{
	struct utsname uts;
	char text[256];

	if (access("/sys/module/hull", F_OK) == 0 || access("/dev/hull", F_OK) == 0) {
		good("module", "is loaded");
		return true;
	}
	uname(&uts);
	snprintf(text, sizeof(text), "hull is not loaded; as root: insmod hull.ko, built for "
		 "Linux %.100s (or modprobe hull)", uts.release);
	obstacle(EXIT_CODE_NO_MODULE, "module", text);
	return false;
}

static void print_info(const struct hull_info *info)
{
	static const char *const name[] = {
		"nested paging", "shadow paging", "interrupt controllers", "PIT", "PM timer",
		"paravirtual clock", "posted writes", "doorbells", "consumers",
		"read-only memory", "dirty log", "check mode", "interrupt routes",
		"irqfds", "real mode",
	};
	const char *comma = "";
	size_t i;

	printf("  backend: %s; %s paging by default\n",
	       info->backend == HULL_BACKEND_SVM ? "svm" : "vmx",
	       info->paging == HULL_PAGING_SHADOW ? "shadow" : "nested");
	printf("  up to %u vCPUs, %u memory regions, %u address ranges a VM\n", info->max_vcpus,
	       info->max_regions, info->max_ranges);
	printf("  guest addresses of %u bits, time-stamp counter at %u.%03u MHz\n",
	       info->gpa_bits, info->tsc_khz / 1000, info->tsc_khz % 1000);
	printf("  offers: ");
	for (i = 0; i < sizeof(name) / sizeof(name[0]); i++) {
		if (!(info->capabilities & 1ULL << i))
			continue;
		printf("%s%s", comma, name[i]);
		comma = ", ";
	}
	printf("\n");
}

/* The last word is the module's: it makes a VM or says why not. */
static void try_vm(int dev)
{
	struct hull_create_vm args = { .flags = HULL_VM_IRQCHIP | HULL_VM_PIT };
	int vm = hull_create_vm(dev, &args);

	if (vm >= 0) {
		good("trial", "a VM was created");
		close(vm);
		return;
	}
	switch (errno) {
	case EBUSY:
		obstacle(EXIT_CODE_BUSY, "trial", "another hypervisor holds the hardware");
		break;
	case EACCES: case EPERM:
		obstacle(EXIT_CODE_FIRMWARE, "trial", "the firmware has switched "
			 "virtualization off (the kernel log says more)");
		break;
	case ENODEV:
		obstacle(EXIT_CODE_NO_CPU, "trial", "a CPU cannot (the kernel log says more)");
		break;
	default:
		obstacle(EXIT_CODE_REFUSED, "trial", strerror(errno));
		break;
	}
}

static void check_device(void)
{
	struct hull_info info;
	int dev = hull_open();

	if (dev < 0 && (errno == EACCES || errno == EPERM)) {
		obstacle(EXIT_CODE_NO_PERMISSION, "/dev/hull",
			 "you may not open it; ask for membership in its group, or be root");
		return;
	}
	if (dev < 0) {
		obstacle(errno == ENOENT ? EXIT_CODE_NO_MODULE : EXIT_CODE_REFUSED, "/dev/hull",
			 strerror(errno));
		return;
	}
	good("/dev/hull", "can be opened");
	if (hull_get_info(dev, &info)) {
		obstacle(EXIT_CODE_REFUSED, "interface", strerror(errno));
	} else {
		try_vm(dev);
		print_info(&info);
	}
	close(dev);
}

int cmd_check(int argc, char **argv)
{
	enum vendor vendor;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	vendor = check_cpu();
	check_firmware(vendor);
	check_kvm(vendor);
	if (check_module())
		check_device();
	printf(verdict ? "hull: this machine cannot run guests now\n" :
			 "hull: this machine can run guests\n");
	return verdict;
}
