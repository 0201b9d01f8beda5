/* SPDX-License-Identifier: GPL-2.0 */
/*
 * VMX instructions. Those on fields need a VMCS that is loaded, that is: the window.
 */
#ifndef HULL_VMX_VMCS_H
#define HULL_VMX_VMCS_H

#include <linux/types.h>
#include <asm/asm.h>
#include <asm/vmx.h>

void vmcs_write_failed(unsigned long field, u64 value);

static __always_inline u64 vmcs_read(unsigned long field)
{
	u64 value;

	asm volatile("vmread %[field], %[value]"
		     : [value] "=r" (value) : [field] "r" (field) : "cc");
	return value;
}

static __always_inline void vmcs_write(unsigned long field, u64 value)
{
	asm goto("vmwrite %[value], %[field]\n"
		 "jna %l[failed]"
		 : : [field] "r" (field), [value] "rm" (value) : "cc" : failed);
	return;
failed:
	vmcs_write_failed(field, value);
}

/* VMXON, VMPTRLD, VMCLEAR: true when the CPU refused; VMXON may fault. */
static inline bool vmx_vmxon(u64 pa)
{
	bool failed = true;

	asm volatile("1: vmxon %[pa]\n"
		     "   setna %[failed]\n"
		     "2:\n"
		     _ASM_EXTABLE(1b, 2b)
		     : [failed] "+qm" (failed) : [pa] "m" (pa) : "cc", "memory");
	return failed;
}

static inline bool vmx_vmptrld(u64 pa)
{
	asm goto("vmptrld %[pa]\n"
		 "jna %l[failed]" : : [pa] "m" (pa) : "cc", "memory" : failed);
	return false;
failed:
	return true;
}

static inline bool vmx_vmclear(u64 pa)
{
	asm goto("vmclear %[pa]\n"
		 "jna %l[failed]" : : [pa] "m" (pa) : "cc", "memory" : failed);
	return false;
failed:
	return true;
}

static inline bool vmx_invept(u64 type, u64 eptp)
{
	const struct { u64 eptp, zero; } what = { eptp, 0 };

	asm goto("invept %[what], %[type]\n"
		 "jna %l[failed]"
		 : : [what] "m" (what), [type] "r" (type) : "cc", "memory" : failed);
	return false;
failed:
	return true;
}

/* All VPIDs but 0. */
static inline bool vmx_invvpid_all(void)
{
	const u64 what[2] = { };
	const u64 type = VMX_VPID_EXTENT_ALL_CONTEXT;

	asm goto("invvpid %[what], %[type]\n"
		 "jna %l[failed]"
		 : : [what] "m" (what), [type] "r" (type) : "cc", "memory" : failed);
	return false;
failed:
	return true;
}

#endif
