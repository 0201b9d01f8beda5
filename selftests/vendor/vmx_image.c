// SPDX-License-Identifier: GPL-2.0
/*
 * A valid VMCS of each mode, with nested and with shadow paging; and the manual's checks of guest
 * state once more, in its order and without kmod/vmx/check.c in mind.
 */
#include <asm/vmx.h>

#include "test.h"
#include "vmx/controls.h"

#define ROOT	0x9000

static void make_caps(struct vmx_caps *caps, const struct vmx_cpu_words *cpu, bool la57)
{
	struct vmx_shortage shortage;

	*caps = (struct vmx_caps){
		.cr0_fixed = { X86_CR0_PE | X86_CR0_NE | X86_CR0_PG, 0xffffffff },
		.cr4_fixed = { X86_CR4_VMXE | X86_CR4_MCE, 0x776fff | (la57 ? X86_CR4_LA57 : 0) },
		.eptp = cpu->nested ? 6 | VMX_EPTP_PWL_4 | VMX_EPTP_AD_ENABLE_BIT : 0,
	};
	memcpy(caps->allowed, cpu->allowed, sizeof(caps->allowed));
	if (!vmx_choose_controls(caps->allowed, caps->controls, &shortage))
		abort();
}

void make_vmx_caps(struct vmx_caps *caps, bool la57)
{
	make_caps(caps, &vmx_cpus[vmx_cpus_count - 1], la57);
}

void make_old_vmx_caps(struct vmx_caps *caps)
{
	make_caps(caps, &vmx_cpus[0], false);
}

const char *vmx_verdict(const struct vmcs_image *vmcs, const struct vmx_caps *caps)
{
	return vmx_check_control(vmcs, caps) ?: vmx_check_host(vmcs, caps) ?:
	       vmx_check_state(vmcs, caps, GPA_BITS) ?: vmx_check_guest(vmcs, caps);
}

/* ---- valid states --------------------------------------------------------------------------- */

static void set_controls(struct vmcs_image *vmcs, const struct vmx_caps *caps, enum mode mode,
			 enum paging paging)
{
	vmcs->pin = caps->controls[VMX_PIN];
	vmcs->cpu = caps->controls[VMX_CPU];
	vmcs->cpu2 = caps->controls[VMX_CPU2];
	vmcs->exit = caps->controls[VMX_EXIT];
	vmcs->entry = caps->controls[VMX_ENTRY];
	vmcs->exceptions = BIT(1) | BIT(17) | BIT(18);
	vmcs->msr_bitmap = 0x5000;
	vmcs->eptp = caps->eptp ? 0x7000 | caps->eptp : 0;
	vmcs->link = ~0ULL;
	vmcs->vpid = 1;
	vmcs->cr0_mask = paging == NESTED ? ~vmx_guest_cr0(caps) : ~0ULL;
	vmcs->cr4_mask = paging == NESTED ? ~vmx_guest_cr4(caps) : ~0ULL;
	if (is_long_mode(mode))
		vmcs->entry |= VM_ENTRY_IA32E_MODE;
	if (paging == NESTED)
		return;
	vmcs->exceptions |= BIT(14);
	vmcs->cpu |= VMX_SHADOW_EXITING;
	if (is_restricted(mode, paging))
		vmcs->cpu2 &= ~(SECONDARY_EXEC_ENABLE_EPT | SECONDARY_EXEC_UNRESTRICTED_GUEST);
	if (paging == NO_EPT)
		vmcs->exit_msrs_loaded = vmcs->entry_msrs_loaded = 1;
}

/* As of a kernel that pages with four levels. */
static void set_host(struct vmcs_image *vmcs, const struct vmx_caps *caps)
{
	vmcs->host_cr0 = caps->cr0_fixed[0] | X86_CR0_WP;
	vmcs->host_cr4 = caps->cr4_fixed[0] | X86_CR4_PAE | X86_CR4_PCIDE;
	vmcs->host_cr3 = 0xb001;
	vmcs->host_cs = 0x10;
	vmcs->host_ss = 0x18;
	vmcs->host_tr = 0x40;
	vmcs->host_fs_base = 0x7f0000001000;
	vmcs->host_rip = vmcs->host_gs_base = vmcs->host_tr_base = 0xffff888000001000;
	vmcs->host_gdtr_base = vmcs->host_idtr_base = 0xfffffe0000001000;
	vmcs->host_sysenter_esp = vmcs->host_sysenter_eip = 0xffffffff81000000;
}

static void set_registers(struct vmcs_image *vmcs, const struct vmx_caps *caps, enum mode mode,
			  enum paging paging)
{
	vmcs->cr0 = X86_CR0_NE | X86_CR0_ET;
	vmcs->cr4 = caps->cr4_fixed[0];
	if (mode != REAL)
		vmcs->cr0 |= X86_CR0_PE;
	if (is_paging_mode(mode))
		vmcs->cr0 |= X86_CR0_PG;
	if (mode == PAE || is_long_mode(mode) || is_restricted(mode, paging))
		vmcs->cr4 |= X86_CR4_PAE;
	if (is_long_mode(mode))
		vmcs->efer = EFER_SCE | EFER_LME | EFER_LMA;
	if (is_restricted(mode, paging)) {
		vmcs->cr0 |= X86_CR0_WP | X86_CR0_PE | X86_CR0_PG;
		vmcs->efer |= EFER_NX;
	}
	vmcs->host_efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NX;
	vmcs->cr3 = ROOT;
	vmcs->pdpte0 = vmcs->pdpte1 = vmcs->pdpte2 = vmcs->pdpte3 = 0xa001;
	vmcs->rip = 0x1000;
	vmcs->rsp = 0x2000;
	vmcs->rflags = X86_EFLAGS_FIXED | X86_EFLAGS_IF | (mode == V8086 ? X86_EFLAGS_VM : 0);
	vmcs->dr7 = 0x400;
	vmcs->gdtr_limit = vmcs->idtr_limit = 0xffff;
}

static void set_segments(struct vmcs_image *vmcs, enum mode mode)
{
	u32 rpl = mode == USER || mode == LONG_USER ? 3 : 0, high = 0xc000;
	int i;

	for (i = VMCS_ES; i <= VMCS_GS; i++) {
		if (mode == REAL || mode == V8086) {
			vmcs->seg[i].selector = 0x100;
			vmcs->seg[i].base = 0x1000;
			vmcs->seg[i].limit = 0xffff;
			vmcs->seg[i].ar = mode == V8086 ? 0xf3 : i == VMCS_CS ? 0x9b : 0x93;
			continue;
		}
		if (i == VMCS_CS && (mode == LONG || mode == LONG_USER))
			high = 0xa000;
		vmcs->seg[i].selector = (i == VMCS_CS ? 8 : 16) | rpl;
		vmcs->seg[i].limit = ~0U;
		vmcs->seg[i].ar = (i == VMCS_CS ? high | 0x9b : 0xc093) | rpl << 5;
	}
	vmcs->seg[VMCS_LDTR].selector = 0x20;
	vmcs->seg[VMCS_LDTR].limit = 0xffff;
	vmcs->seg[VMCS_LDTR].ar = 0x82;
	vmcs->seg[VMCS_TR].selector = 0x28;
	vmcs->seg[VMCS_TR].limit = 0x67;
	vmcs->seg[VMCS_TR].ar = 0x8b;
}

void make_vmcs(struct vmcs_image *vmcs, const struct vmx_caps *caps, enum mode mode,
	       enum paging paging)
{
	memset(vmcs, 0, sizeof(*vmcs));
	set_controls(vmcs, caps, mode, paging);
	set_host(vmcs, caps);
	set_registers(vmcs, caps, mode, paging);
	set_segments(vmcs, mode);
}

/* ---- the second opinion --------------------------------------------------------------------- */

static bool is_sign_extended(u64 value, int bits)
{
	u64 top = value >> (bits - 1);

	return top == 0 || top == ~0ULL >> (bits - 1);
}

struct facts {
	bool ia32e, unrestricted, pe, pg, v8086;
	int linear_bits;
};

static bool control_registers_ok(const struct vmcs_image *v, const struct vmx_caps *c,
				 const struct facts *f)
{
	u64 fixed0 = c->cr0_fixed[0], known = EFER_SCE | EFER_LME | EFER_LMA | EFER_NX;

	if (f->unrestricted)
		fixed0 &= ~0x80000001ULL;
	if ((v->cr0 & fixed0) != fixed0 || (v->cr0 | c->cr0_fixed[1]) != c->cr0_fixed[1])
		return false;
	if (f->pg && !f->pe)
		return false;
	if ((v->cr4 & c->cr4_fixed[0]) != c->cr4_fixed[0] ||
	    (v->cr4 | c->cr4_fixed[1]) != c->cr4_fixed[1])
		return false;
	if (f->ia32e ? !(f->pg && (v->cr4 & X86_CR4_PAE)) : !!(v->cr4 & X86_CR4_PCIDE))
		return false;
	if (v->cr3 >= 1ULL << GPA_BITS || v->dr7 > 0xffffffff)
		return false;
	if (!is_sign_extended(v->sysenter_esp, f->linear_bits) ||
	    !is_sign_extended(v->sysenter_eip, f->linear_bits))
		return false;
	if ((v->efer | known) != known || !!(v->efer & EFER_LMA) != f->ia32e)
		return false;
	return !f->pg || !!(v->efer & EFER_LME) == f->ia32e;
}

static bool granularity_ok(u32 limit, u32 ar)
{
	bool pages = ar >> 15 & 1;

	return !((limit & 0xfff) < 0xfff && pages) && !(limit > 0xfffff && !pages);
}

static bool is_usable(const struct vmcs_image *v, int i)
{
	return !(v->seg[i].ar >> 16 & 1);
}

static int dpl_of(const struct vmcs_image *v, int i)
{
	return v->seg[i].ar >> 5 & 3;
}

static bool type_ok(const struct vmcs_image *v, const struct facts *f, int i)
{
	u32 type = v->seg[i].ar & 15, cs_type = v->seg[VMCS_CS].ar & 15;

	switch (i) {
	case VMCS_CS:
		if (type == 3)
			return f->unrestricted && dpl_of(v, i) == 0;
		if (type == 9 || type == 11)
			return dpl_of(v, i) == dpl_of(v, VMCS_SS);
		return (type == 13 || type == 15) && dpl_of(v, i) <= dpl_of(v, VMCS_SS);
	case VMCS_SS:
		if (!f->unrestricted && dpl_of(v, i) != (v->seg[i].selector & 3))
			return false;
		if ((cs_type == 3 || !f->pe) && dpl_of(v, i) != 0)
			return false;
		return !is_usable(v, i) || type == 3 || type == 7;
	default:
		if (!is_usable(v, i))
			return true;
		if (!(type & 1) || ((type & 8) && !(type & 2)))
			return false;
		return f->unrestricted || type > 11 || dpl_of(v, i) >= (v->seg[i].selector & 3);
	}
}

static bool segment_ok(const struct vmcs_image *v, const struct facts *f, int i)
{
	u32 ar = v->seg[i].ar;

	if (f->v8086)
		return v->seg[i].base == (u64)v->seg[i].selector * 16 &&
		       v->seg[i].limit == 0xffff && ar == 0xf3;
	if ((i == VMCS_FS || i == VMCS_GS) && !is_sign_extended(v->seg[i].base, f->linear_bits))
		return false;
	if (!type_ok(v, f, i))
		return false;
	if (i == VMCS_CS && !is_usable(v, i))
		return false;
	if (!is_usable(v, i))
		return true;
	if (i != VMCS_FS && i != VMCS_GS && v->seg[i].base > 0xffffffff)
		return false;
	if (!(ar & 0x10) || !(ar & 0x80) || (ar & 0xf00) || (ar >> 17))
		return false;
	if (i == VMCS_CS && f->ia32e && (ar & 0x2000) && (ar & 0x4000))
		return false;
	return granularity_ok(v->seg[i].limit, ar);
}

static bool table_ok(const struct vmcs_image *v, const struct facts *f, int i)
{
	u32 ar = v->seg[i].ar, type = ar & 15;

	if (i == VMCS_LDTR ? type != 2 : type != 11 && (f->ia32e || type != 3))
		return false;
	return !(v->seg[i].selector & 4) && is_sign_extended(v->seg[i].base, f->linear_bits) &&
	       !(ar & 0x10) && (ar & 0x80) && !(ar & 0xf00) && !(ar >> 17) &&
	       granularity_ok(v->seg[i].limit, ar);
}

static bool segments_ok(const struct vmcs_image *v, const struct facts *f)
{
	int i;

	for (i = VMCS_ES; i <= VMCS_GS; i++) {
		if (!segment_ok(v, f, i))
			return false;
	}
	if (!f->v8086 && !f->unrestricted &&
	    (v->seg[VMCS_SS].selector & 3) != (v->seg[VMCS_CS].selector & 3))
		return false;
	if (!is_usable(v, VMCS_TR) || !table_ok(v, f, VMCS_TR))
		return false;
	if (is_usable(v, VMCS_LDTR) && !table_ok(v, f, VMCS_LDTR))
		return false;
	return is_sign_extended(v->gdtr_base, f->linear_bits) &&
	       is_sign_extended(v->idtr_base, f->linear_bits) && v->gdtr_limit <= 0xffff &&
	       v->idtr_limit <= 0xffff;
}

static bool rip_and_flags_ok(const struct vmcs_image *v, const struct facts *f)
{
	u64 top = v->rip >> f->linear_bits;

	if (!(f->ia32e && (v->seg[VMCS_CS].ar & 0x2000)) && v->rip > 0xffffffff)
		return false;
	if (top != 0 && top != ~0ULL >> f->linear_bits)
		return false;
	if ((v->rflags >> 22) || (v->rflags & 0x8028) || !(v->rflags & 2))
		return false;
	return !f->v8086 || (!f->ia32e && f->pe);
}

static bool event_ok(const struct vmcs_image *v, const struct facts *f)
{
	u32 vector = v->event & 0xff, type = v->event >> 8 & 7, error = v->event >> 11 & 1;
	bool pushes = vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;

	if (!(v->event >> 31 & 1))
		return true;
	if (v->event >> 12 & 0x7ffff)
		return false;
	if (type == 0 && !(v->rflags & X86_EFLAGS_IF))
		return false;
	if (type == 2 && vector != 2)
		return false;
	if (type == 3 && vector > 31)
		return false;
	/* Others are software's, which the module leaves to the guest. */
	if (type != 0 && type != 2 && type != 3)
		return false;
	if (error != (type == 3 && pushes && f->pe))
		return false;
	return !error || v->event_error <= 0xffff;
}

static bool non_register_state_ok(const struct vmcs_image *v)
{
	bool sti = v->interruptibility & 1, mov_ss = v->interruptibility & 2;
	u32 type = v->event >> 8 & 7;
	bool event = v->event >> 31 & 1;

	/* CPUs know more states of activity, and blocking by SMI and enclaves: not here. */
	if (v->activity || v->interruptibility > 0xf || (v->interruptibility & 4))
		return false;
	if ((sti && mov_ss) || (sti && !(v->rflags & X86_EFLAGS_IF)))
		return false;
	if (event && type == 0 && (sti || mov_ss))
		return false;
	/* Blocking by STI is for CPUs to decide: the module does not rely on it. */
	if (event && type == 2 && v->interruptibility)
		return false;
	if ((v->pending_debug & 0xa7f0) || v->pending_debug >> 17)
		return false;
	return !(sti || mov_ss) ||
	       !!(v->rflags & X86_EFLAGS_TF) == (v->pending_debug >> 14 & 1);
}

static bool pdptes_ok(const struct vmcs_image *v, const struct facts *f)
{
	const u64 entry[] = { v->pdpte0, v->pdpte1, v->pdpte2, v->pdpte3 };
	size_t i;

	/* Without EPT the CPU reads them from memory. */
	if (!f->pg || !(v->cr4 & X86_CR4_PAE) || f->ia32e || !f->unrestricted)
		return true;
	for (i = 0; i < 4; i++) {
		if ((entry[i] & 1) && ((entry[i] & 0x1e6) || entry[i] >= 1ULL << GPA_BITS))
			return false;
	}
	return true;
}

bool vmx_reference(const struct vmcs_image *v, const struct vmx_caps *c)
{
	const struct facts f = {
		.ia32e = v->entry >> 9 & 1, .unrestricted = v->cpu2 >> 7 & 1,
		.pe = v->cr0 & 1, .pg = v->cr0 >> 31 & 1, .v8086 = v->rflags >> 17 & 1,
		.linear_bits = c->cr4_fixed[1] >> 12 & 1 ? 57 : 48,
	};

	return control_registers_ok(v, c, &f) && segments_ok(v, &f) && rip_and_flags_ok(v, &f) &&
	       event_ok(v, &f) && non_register_state_ok(v) && pdptes_ok(v, &f);
}
