// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/hull: what it offers, and what HULL_GET_INFO and HULL_CREATE_VM refuse, each errno.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "hull_lib.h"

FIXTURE(dev) {
	int fd;
};

FIXTURE_SETUP(dev)
{
	self->fd = hull_open();
	ASSERT_LE(0, self->fd) {
		TH_LOG("cannot open /dev/hull: %s", strerror(errno));
	}
}

FIXTURE_TEARDOWN(dev)
{
	close(self->fd);
}

TEST_F(dev, is_not_for_everyone)
{
	struct stat stat;
	int status;
	pid_t pid;

	ASSERT_EQ(0, fstat(self->fd, &stat));
	EXPECT_EQ(0, stat.st_mode & 07);
	EXPECT_EQ(FD_CLOEXEC, fcntl(self->fd, F_GETFD));
	pid = fork();
	if (!pid) {
		if (setgid(65534) || setuid(65534))
			_exit(2);
		_exit(open("/dev/hull", O_RDWR) >= 0 || errno != EACCES);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_F(dev, info_makes_sense)
{
	struct hull_info info;

	memset(&info, 0xff, sizeof(info));
	ASSERT_EQ(0, hull_get_info(self->fd, &info));
	EXPECT_TRUE(info.backend == HULL_BACKEND_SVM || info.backend == HULL_BACKEND_VMX);
	EXPECT_TRUE(info.capabilities & (HULL_CAP_NESTED_PAGING | HULL_CAP_SHADOW_PAGING));
	EXPECT_EQ(0, info.capabilities >> 15);
	EXPECT_NE(HULL_PAGING_AUTO, info.paging);
	EXPECT_LT(0, info.max_vcpus);
	EXPECT_EQ(HULL_MAX_REGIONS, info.max_regions);
	EXPECT_EQ(HULL_MAX_RANGES, info.max_ranges);
	EXPECT_LT(100000, info.tsc_khz);
	EXPECT_LE(36, info.gpa_bits);
	EXPECT_GE(52, info.gpa_bits);
	EXPECT_EQ(3, info.xcr0 & 3);
	EXPECT_LE(576, info.xsave_size);
	EXPECT_GE(sizeof(struct hull_fpu), info.xsave_size);
	for (size_t i = 0; i < sizeof(info.reserved) / sizeof(info.reserved[0]); i++)
		EXPECT_EQ(0, info.reserved[i]);
}

TEST_F(dev, ioctls_of_others_are_unknown)
{
	char buffer[8192] = {};

	EXPECT_ERRNO(ENOTTY, ioctl(self->fd, HULL_RUN));
	EXPECT_ERRNO(ENOTTY, ioctl(self->fd, HULL_SET_MEMORY, buffer));
	EXPECT_ERRNO(ENOTTY, ioctl(self->fd, HULL_GET_STATE, buffer));
	EXPECT_ERRNO(ENOTTY, ioctl(self->fd, TIOCGWINSZ, buffer));
	EXPECT_ERRNO(ENOTTY, ioctl(self->fd, _IO(HULL_IOC, 0xff)));
	/* Right number, wrong size or direction. */
	EXPECT_ERRNO(ENOTTY, ioctl(self->fd, _IOR(HULL_IOC, 0x00, __u32), buffer));
	EXPECT_ERRNO(ENOTTY, ioctl(self->fd, _IOWR(HULL_IOC, 0x01, struct hull_create_vm), buffer));
	EXPECT_ERRNO(ENOTTY, ioctl(self->fd, _IO(HULL_IOC, 0x01)));
}

TEST_F(dev, has_nothing_to_read_or_map)
{
	char byte;

	EXPECT_ERRNO(EINVAL, read(self->fd, &byte, 1));
	EXPECT_ERRNO(EINVAL, write(self->fd, "x", 1));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_SHARED, self->fd, 0));
	EXPECT_EQ(ENODEV, errno);
}

TEST_F(dev, info_checks_its_pointer)
{
	void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	EXPECT_ERRNO(EFAULT, hull_get_info(self->fd, nowhere()));
	EXPECT_ERRNO(EFAULT, hull_get_info(self->fd, page));
	EXPECT_ERRNO(EFAULT, hull_get_info(self->fd, (void *)(1UL << 63)));
}

static int create_errno(int fd, const struct hull_create_vm *args)
{
	int vm = hull_create_vm(fd, args);

	if (vm < 0)
		return errno;
	close(vm);
	return 0;
}

#define TRY_CREATE(...) create_errno(self->fd, &(struct hull_create_vm) { __VA_ARGS__ })

TEST_F(dev, create_vm_checks_its_arguments)
{
	struct hull_create_vm args = {};
	int i;

	EXPECT_EQ(EINVAL, TRY_CREATE(.flags = HULL_VM_FLAGS + 1));
	EXPECT_EQ(EINVAL, TRY_CREATE(.flags = 1U << 31));
	EXPECT_EQ(EINVAL, TRY_CREATE(.flags = HULL_VM_PIT));
	EXPECT_EQ(EINVAL, TRY_CREATE(.paging = HULL_PAGING_SHADOW + 1));
	EXPECT_EQ(EINVAL, TRY_CREATE(.paging = ~0U));
	EXPECT_EQ(EINVAL, TRY_CREATE(.flags = HULL_VM_IRQCHIP, .pm_timer_port = 0xfffd));
	EXPECT_EQ(EINVAL, TRY_CREATE(.flags = HULL_VM_IRQCHIP, .pm_timer_port = 0x10000));
	for (i = 0; i < 5; i++) {
		args.reserved[i] = 1;
		EXPECT_EQ(EINVAL, create_errno(self->fd, &args));
		args.reserved[i] = 0;
	}
	EXPECT_ERRNO(EFAULT, hull_create_vm(self->fd, nowhere()));
	EXPECT_EQ(0, TRY_CREATE(.flags = 0));
	EXPECT_EQ(0, TRY_CREATE(.flags = HULL_VM_IRQCHIP, .pm_timer_port = 0xfffc));
	EXPECT_EQ(0, TRY_CREATE(.flags = HULL_VM_FLAGS, .pm_timer_port = 0x608));
}

TEST_F(dev, create_vm_knows_its_paging_modes)
{
	struct hull_info info;
	bool shadow, nested;

	ASSERT_EQ(0, hull_get_info(self->fd, &info));
	shadow = info.capabilities & HULL_CAP_SHADOW_PAGING;
	nested = info.capabilities & HULL_CAP_NESTED_PAGING;
	EXPECT_EQ(0, TRY_CREATE(.paging = HULL_PAGING_AUTO));
	EXPECT_EQ(shadow ? 0 : EOPNOTSUPP, TRY_CREATE(.paging = HULL_PAGING_SHADOW));
	EXPECT_EQ(nested ? 0 : EOPNOTSUPP, TRY_CREATE(.paging = HULL_PAGING_NESTED));
}

TEST_F(dev, create_vm_returns_a_private_fd)
{
	struct hull_create_vm args = {};
	int vm = hull_create_vm(self->fd, &args);

	ASSERT_LE(0, vm);
	EXPECT_EQ(FD_CLOEXEC, fcntl(vm, F_GETFD));
	close(vm);
}

TEST_F(dev, create_vm_respects_the_limit_of_fds)
{
	struct hull_create_vm args = {};
	struct rlimit limit = { .rlim_cur = self->fd + 1, .rlim_max = self->fd + 1 };
	int fd;

	/* Fill what is below the limit. */
	while ((fd = dup(self->fd)) >= 0 && fd < self->fd)
		;
	if (fd >= 0)
		close(fd);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	EXPECT_ERRNO(EMFILE, hull_create_vm(self->fd, &args));
}

TEST_F(dev, create_vm_many_at_once)
{
	struct hull_create_vm args = { .flags = HULL_VM_FLAGS };
	int vms[50], i;

	for (i = 0; i < 50; i++) {
		vms[i] = hull_create_vm(self->fd, &args);
		ASSERT_LE(0, vms[i]);
	}
	for (i = 0; i < 50; i++)
		close(vms[i]);
}

TEST_F(dev, may_be_closed_before_its_vms)
{
	struct hull_create_vm args = {};
	int dev = dup(self->fd), vm = hull_create_vm(dev, &args);

	ASSERT_LE(0, vm);
	close(dev);
	EXPECT_LE(0, hull_create_vcpu(vm, 0));
	close(vm);
}

HULL_TEST_MAIN
