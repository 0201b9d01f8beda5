// SPDX-License-Identifier: GPL-2.0
/*
 * Loading and unloading. The tour starts here: the load order below names every part once.
 */
#include <linux/mem_encrypt.h>
#include <linux/module.h>

#include "backend.h"
#include "dev.h"
#include "host.h"
#include "irqchip/irqchip.h"
#include "cpuid.h"
#include "vm.h"

const struct hull_backend *hull_backend __ro_after_init;
bool hull_has_nested __ro_after_init;
bool hull_has_shadow __ro_after_init;
bool hull_has_real_mode __ro_after_init;
bool hull_flat __ro_after_init;
const char *hull_warning __ro_after_init;
u32 hull_default_paging __ro_after_init;

static char *paging = "auto";
module_param(paging, charp, 0444);
MODULE_PARM_DESC(paging, "how guest memory is mapped where a VM leaves it open: nested, shadow or auto (default: nested where the CPU has it)");

static const struct hull_backend *const backends[] = {
	&hull_svm_backend,
	&hull_vmx_backend,
};

/* The vendor's backend whose CPUs these are; -ENODEV when no vendor's extension is there. */
static int __init pick_backend(void)
{
	int err = -ENODEV;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(backends); i++) {
		err = backends[i]->probe();
		if (!err) {
			hull_backend = backends[i];
			return 0;
		}
		if (err != -ENODEV)
			return err;
	}
	pr_err("this CPU offers no virtualization extension that hull knows (AMD SVM, Intel VMX)\n");
	return err;
}

/* What there is, and what HULL_PAGING_AUTO gives. */
static int __init pick_paging(void)
{
	bool shadow = !strcmp(paging, "shadow"), nested = !strcmp(paging, "nested");

	if (!shadow && !nested && strcmp(paging, "auto")) {
		pr_err("paging=%s: it is nested, shadow or auto\n", paging);
		return -EINVAL;
	}
	/* The CPU reads a PAE guest's root entries in clear: CR3 has no encryption bit there. */
	hull_has_shadow = !sme_me_mask;
	if (!hull_has_nested && (nested || !hull_has_shadow)) {
		pr_err("this CPU has no nested paging%s\n",
		       hull_has_shadow ? "" : ", and memory encryption is in the way of shadow paging");
		return -EOPNOTSUPP;
	}
	if (!hull_has_shadow && shadow) {
		pr_err("paging=shadow: not while the host's memory is encrypted (mem_encrypt=off)\n");
		return -EOPNOTSUPP;
	}
	shadow |= !hull_has_nested;
	hull_default_paging = shadow ? HULL_PAGING_SHADOW : HULL_PAGING_NESTED;
	return 0;
}

static int __init hull_init(void)
{
	int err;

	/* The MMU's lock is taken with interrupts off, where its locks may not sleep. */
	if (IS_ENABLED(CONFIG_PREEMPT_RT)) {
		pr_err("PREEMPT_RT kernels are not supported\n");
		return -EOPNOTSUPP;
	}
	err = pick_backend();
	if (!err)
		err = pick_paging();
	if (err)
		return err;
	err = hull_host_setup();
	if (err)
		return err;
	err = hull_backend->setup();
	if (err)
		goto err_host;
	hull_cpuid_setup();
	err = hull_clock_setup();
	if (err)
		goto err_backend;
	err = hull_virt_setup();
	if (err)
		goto err_clock;
	err = hull_dev_register();
	if (err)
		goto err_virt;
	pr_info("loaded: %s, %s paging%s\n", hull_backend->name,
		hull_default_paging == HULL_PAGING_SHADOW ? "shadow" : "nested",
		hull_check ? ", check mode" : "");
	/* Not before: a load that is refused says why, and nothing else. */
	if (hull_warning)
		pr_warn("%s\n", hull_warning);
	return 0;

err_virt:
	hull_virt_teardown();
err_clock:
	hull_clock_teardown();
err_backend:
	hull_backend->teardown();
err_host:
	hull_host_teardown();
	return err;
}

static void __exit hull_exit(void)
{
	hull_dev_unregister();
	hull_virt_teardown();
	hull_clock_teardown();
	hull_backend->teardown();
	hull_host_teardown();
	/* Callbacks of what the last VM freed run this module's code. */
	rcu_barrier();
}

module_init(hull_init);
module_exit(hull_exit);
MODULE_DESCRIPTION("hull: a hypervisor you can load, read and change");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
