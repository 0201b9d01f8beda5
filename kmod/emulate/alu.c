// SPDX-License-Identifier: GPL-2.0
/*
 * Arithmetic of the executor: results and flags of integer instructions in
 * plain C. Pure. Flags that the architecture leaves undefined keep their old
 * value, or get what is simplest.
 */
#include "internal.h"

static u64 sign_bit(unsigned int size)
{
	return 1ULL << (8 * size - 1);
}

static u64 flags_of_result(u64 result, unsigned int size)
{
	u64 flags = 0;
	u8 parity = (u8)result;

	parity ^= parity >> 4;
	parity ^= parity >> 2;
	parity ^= parity >> 1;
	if (!(parity & 1))
		flags |= FLAG_PF;
	if (!(result & size_mask(size)))
		flags |= FLAG_ZF;
	if (result & sign_bit(size))
		flags |= FLAG_SF;
	return flags;
}

static u64 add(unsigned int size, u64 a, u64 b, u64 carry, u64 *flags)
{
	u64 mask = size_mask(size);
	u64 result = (a + b + carry) & mask;
	u64 out = flags_of_result(result, size);

	if (carry ? result <= a : result < a)
		out |= FLAG_CF;
	out |= (a ^ b ^ result) & FLAG_AF;
	if (~(a ^ b) & (a ^ result) & sign_bit(size))
		out |= FLAG_OF;
	*flags = (*flags & ~FLAGS_ARITH) | out;
	return result;
}

static u64 subtract(unsigned int size, u64 a, u64 b, u64 borrow, u64 *flags)
{
	u64 result = (a - b - borrow) & size_mask(size);
	u64 out = flags_of_result(result, size);

	if (borrow ? a <= b : a < b)
		out |= FLAG_CF;
	out |= (a ^ b ^ result) & FLAG_AF;
	if ((a ^ b) & (a ^ result) & sign_bit(size))
		out |= FLAG_OF;
	*flags = (*flags & ~FLAGS_ARITH) | out;
	return result;
}

static u64 logic(unsigned int size, u64 result, u64 *flags)
{
	*flags = (*flags & ~FLAGS_ARITH) | flags_of_result(result, size);
	return result;
}

/* ADD to CMP, and TEST. @dst and @src have @size bytes, nothing above. */
u64 hull_alu_binary(enum hull_op op, unsigned int size, u64 dst, u64 src, u64 *flags)
{
	u64 carry = *flags & FLAG_CF;

	switch (op) {
	case HULL_OP_ADD:
		return add(size, dst, src, 0, flags);
	case HULL_OP_ADC:
		return add(size, dst, src, carry, flags);
	case HULL_OP_SUB:
	case HULL_OP_CMP:
		return subtract(size, dst, src, 0, flags);
	case HULL_OP_SBB:
		return subtract(size, dst, src, carry, flags);
	case HULL_OP_OR:
		return logic(size, dst | src, flags);
	case HULL_OP_XOR:
		return logic(size, dst ^ src, flags);
	default:
		return logic(size, dst & src, flags);
	}
}

u64 hull_alu_unary(enum hull_op op, unsigned int size, u64 dst, u64 *flags)
{
	u64 carry = *flags & FLAG_CF;
	u64 result;

	switch (op) {
	case HULL_OP_INC:
		result = add(size, dst, 1, 0, flags);
		*flags = (*flags & ~FLAG_CF) | carry;
		return result;
	case HULL_OP_DEC:
		result = subtract(size, dst, 1, 0, flags);
		*flags = (*flags & ~FLAG_CF) | carry;
		return result;
	case HULL_OP_NEG:
		return subtract(size, 0, dst, 0, flags);
	default:
		return ~dst & size_mask(size);
	}
}

/* Carry and overflow only; the other flags stay. @top: sign bits before and after differ? */
static void set_cf_of(u64 *flags, bool carry, bool overflow)
{
	*flags &= ~(FLAG_CF | FLAG_OF);
	if (carry)
		*flags |= FLAG_CF;
	if (overflow)
		*flags |= FLAG_OF;
}

static u64 rotate(enum hull_op op, unsigned int size, u64 dst, unsigned int count, u64 *flags)
{
	unsigned int bits = 8 * size;
	unsigned int by = count % bits;
	bool top, low;
	u64 result;

	if (op == HULL_OP_ROR)
		by = (bits - by) % bits;
	result = by ? ((dst << by) | (dst >> (bits - by))) & size_mask(size) : dst;
	top = result & sign_bit(size);
	low = result & 1;
	if (op == HULL_OP_ROL)
		set_cf_of(flags, low, top != low);
	else
		set_cf_of(flags, top, top != !!(result & (sign_bit(size) >> 1)));
	return result;
}

/* Bit by bit: the carry takes part, and no caller is in a hurry. */
static u64 rotate_carry(enum hull_op op, unsigned int size, u64 dst, unsigned int count,
			u64 *flags)
{
	u64 top = sign_bit(size);
	bool carry = *flags & FLAG_CF;
	bool next;

	if (size < 4)
		count %= 8 * size + 1;
	if (!count)
		return dst;
	while (count--) {
		if (op == HULL_OP_RCL) {
			next = dst & top;
			dst = ((dst << 1) | carry) & size_mask(size);
		} else {
			next = dst & 1;
			dst = (dst >> 1) | (carry ? top : 0);
		}
		carry = next;
	}
	if (op == HULL_OP_RCL)
		set_cf_of(flags, carry, !!(dst & top) != carry);
	else
		set_cf_of(flags, carry, !!(dst & top) != !!(dst & (top >> 1)));
	return dst;
}

/* A count beyond the operand size shifts everything out: 8 and 16 bits can have that. */
static u64 shift(enum hull_op op, unsigned int size, u64 dst, unsigned int count, u64 *flags)
{
	unsigned int bits = 8 * size;
	u64 wide = op == HULL_OP_SAR ? extend(dst, size) : dst;
	bool carry, overflow;
	u64 result;

	if (op == HULL_OP_SHL || op == HULL_OP_SAL) {
		result = (dst << count) & size_mask(size);
		carry = count <= bits && ((dst >> (bits - count)) & 1);
		overflow = !!(result & sign_bit(size)) != carry;
	} else if (op == HULL_OP_SHR) {
		result = dst >> count;
		carry = (dst >> (count - 1)) & 1;
		overflow = dst & sign_bit(size);
	} else {
		result = (u64)((s64)wide >> count) & size_mask(size);
		carry = ((s64)wide >> (count - 1)) & 1;
		overflow = false;
	}
	*flags = (*flags & ~FLAGS_ARITH) | flags_of_result(result, size) | (*flags & FLAG_AF);
	set_cf_of(flags, carry, overflow);
	return result;
}

/* ROL to SAR. Count 0 (after masking) changes nothing. */
u64 hull_alu_shift(enum hull_op op, unsigned int size, u64 dst, u64 count, u64 *flags)
{
	unsigned int n = count & (size == 8 ? 63 : 31);

	if (!n)
		return dst;
	switch (op) {
	case HULL_OP_ROL:
	case HULL_OP_ROR:
		return rotate(op, size, dst, n, flags);
	case HULL_OP_RCL:
	case HULL_OP_RCR:
		return rotate_carry(op, size, dst, n, flags);
	default:
		return shift(op, size, dst, n, flags);
	}
}

/* SHLD and SHRD. 16-bit operands with a count above 16 are undefined: taken modulo 16. */
u64 hull_alu_double_shift(enum hull_op op, unsigned int size, u64 dst, u64 src, u64 count,
			  u64 *flags)
{
	unsigned int bits = 8 * size;
	unsigned int n = count & (size == 8 ? 63 : 31);
	bool carry;
	u64 result;

	if (n > bits)
		n -= bits;
	if (!n)
		return dst;
	if (op == HULL_OP_SHLD) {
		result = (n < bits ? dst << n : 0) | (src >> (bits - n));
		carry = (dst >> (bits - n)) & 1;
	} else {
		result = (n < bits ? dst >> n : 0) | (src << (bits - n));
		carry = (dst >> (n - 1)) & 1;
	}
	result &= size_mask(size);
	*flags = (*flags & ~FLAGS_ARITH) | flags_of_result(result, size) | (*flags & FLAG_AF);
	set_cf_of(flags, carry, (dst ^ result) & sign_bit(size));
	return result;
}

/* Condition code of Jcc, SETcc, CMOVcc: low four bits of the opcode. */
bool hull_alu_condition(unsigned int cc, u64 flags)
{
	bool less = !!(flags & FLAG_SF) != !!(flags & FLAG_OF);
	bool result;

	switch ((cc >> 1) & 7) {
	case 0:
		result = flags & FLAG_OF;
		break;
	case 1:
		result = flags & FLAG_CF;
		break;
	case 2:
		result = flags & FLAG_ZF;
		break;
	case 3:
		result = flags & (FLAG_CF | FLAG_ZF);
		break;
	case 4:
		result = flags & FLAG_SF;
		break;
	case 5:
		result = flags & FLAG_PF;
		break;
	case 6:
		result = less;
		break;
	default:
		result = less || (flags & FLAG_ZF);
		break;
	}
	return result != (cc & 1);
}
