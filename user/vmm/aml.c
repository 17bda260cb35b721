// SPDX-License-Identifier: GPL-2.0-only
/*
 * ACPI machine language, written by hand; chapter numbers are those of the
 * ACPI specification 6.4.
 */
#include <string.h>

#include "aml.h"

#define OP_NAME		0x08
#define OP_BYTE		0x0a
#define OP_WORD		0x0b
#define OP_DWORD	0x0c
#define OP_QWORD	0x0e
#define OP_SCOPE	0x10
#define OP_BUFFER	0x11
#define OP_PACKAGE	0x12
#define OP_EXT		0x5b
#define OP_EXT_DEVICE	0x82

#define PKG_LENGTH_SIZE	3	/* 20 bits, always; 20.2.4 */

/* Resource descriptors, 6.4. */
#define RES_IRQ		0x22
#define RES_IO		0x47
#define RES_END		0x79
#define RES_MEM32_FIXED	0x86
#define RES_DWORD	0x87
#define RES_WORD	0x88

#define RANGE_MEMORY	0
#define RANGE_PORTS	1
#define RANGE_BUS	2
#define RANGE_FIXED	0x0c	/* producer, minimum and maximum fixed */
#define MEM_READ_WRITE	0x01
#define PORTS_ALL	0x03	/* ISA's and others */

static void put(struct aml *a, const void *data, size_t len)
{
	if (len > a->size - a->len) {
		a->overflow = true;
		return;
	}
	memcpy(a->buf + a->len, data, len);
	a->len += len;
}

static void byte(struct aml *a, uint8_t v)
{
	put(a, &v, 1);
}

static void word(struct aml *a, uint16_t v)
{
	byte(a, v);
	byte(a, v >> 8);
}

static void dword(struct aml *a, uint32_t v)
{
	word(a, v);
	word(a, v >> 16);
}

static void integer(struct aml *a, uint64_t v)
{
	if (v <= UINT8_MAX) {
		byte(a, OP_BYTE);
		byte(a, v);
	} else if (v <= UINT16_MAX) {
		byte(a, OP_WORD);
		word(a, v);
	} else if (v <= UINT32_MAX) {
		byte(a, OP_DWORD);
		dword(a, v);
	} else {
		byte(a, OP_QWORD);
		dword(a, v);
		dword(a, v >> 32);
	}
}

/* Leaves room for a length that is known at end_length(). */
static size_t begin_length(struct aml *a)
{
	static const uint8_t room[PKG_LENGTH_SIZE];
	size_t at = a->len;

	put(a, room, sizeof(room));
	return at;
}

static void end_length(struct aml *a, size_t at)
{
	size_t len = a->len - at;

	if (a->overflow)
		return;
	a->buf[at] = (PKG_LENGTH_SIZE - 1) << 6 | (len & 0xf);
	a->buf[at + 1] = len >> 4;
	a->buf[at + 2] = len >> 12;
}

size_t aml_scope(struct aml *a, const char *name)
{
	size_t block;

	byte(a, OP_SCOPE);
	block = begin_length(a);
	put(a, name, strlen(name));
	return block;
}

size_t aml_device(struct aml *a, const char *name)
{
	size_t block;

	byte(a, OP_EXT);
	byte(a, OP_EXT_DEVICE);
	block = begin_length(a);
	put(a, name, strlen(name));
	return block;
}

void aml_end(struct aml *a, size_t block)
{
	end_length(a, block);
}

static void named(struct aml *a, const char *name)
{
	byte(a, OP_NAME);
	put(a, name, strlen(name));
}

void aml_name_int(struct aml *a, const char *name, uint64_t value)
{
	named(a, name);
	integer(a, value);
}

static uint8_t hex_digit(char c)
{
	return c <= '9' ? c - '0' : c - 'A' + 10;
}

/* Three letters of five bits, four hex digits, most significant byte first;
 * 19.6.36.
 */
void aml_name_eisaid(struct aml *a, const char *name, const char *id)
{
	named(a, name);
	byte(a, OP_DWORD);
	byte(a, (id[0] - '@') << 2 | (id[1] - '@') >> 3);
	byte(a, (id[1] - '@') << 5 | (id[2] - '@'));
	byte(a, hex_digit(id[3]) << 4 | hex_digit(id[4]));
	byte(a, hex_digit(id[5]) << 4 | hex_digit(id[6]));
}

void aml_name_bytes_package(struct aml *a, const char *name,
			    const uint8_t *values, uint8_t nr)
{
	size_t block;
	uint8_t i;

	named(a, name);
	byte(a, OP_PACKAGE);
	block = begin_length(a);
	byte(a, nr);
	for (i = 0; i < nr; i++)
		integer(a, values[i]);
	end_length(a, block);
}

/* ---- resources ---- */

/* The buffer's own size is an integer of fixed width behind the length. */
#define CRS_HEAD	(PKG_LENGTH_SIZE + 3)

size_t aml_crs(struct aml *a)
{
	size_t block;

	named(a, "_CRS");
	byte(a, OP_BUFFER);
	block = begin_length(a);
	byte(a, OP_WORD);
	word(a, 0);
	return block;
}

void aml_crs_end(struct aml *a, size_t block)
{
	size_t len;

	byte(a, RES_END);
	byte(a, 0);		/* checksum: none */
	if (a->overflow)
		return;
	len = a->len - block - CRS_HEAD;
	a->buf[block + PKG_LENGTH_SIZE + 1] = len;
	a->buf[block + PKG_LENGTH_SIZE + 2] = len >> 8;
	end_length(a, block);
}

void aml_res_io(struct aml *a, uint16_t base, uint8_t size)
{
	byte(a, RES_IO);
	byte(a, 1);		/* decodes 16 bits */
	word(a, base);
	word(a, base);
	byte(a, 1);		/* alignment */
	byte(a, size);
}

void aml_res_irq(struct aml *a, unsigned int irq)
{
	byte(a, RES_IRQ);
	word(a, 1U << irq);
}

void aml_res_memory32_fixed(struct aml *a, uint32_t base, uint32_t size)
{
	byte(a, RES_MEM32_FIXED);
	word(a, 9);
	byte(a, MEM_READ_WRITE);
	dword(a, base);
	dword(a, size);
}

static void word_range(struct aml *a, uint8_t kind, uint8_t flags,
		       uint16_t first, uint16_t last)
{
	byte(a, RES_WORD);
	word(a, 13);
	byte(a, kind);
	byte(a, RANGE_FIXED);
	byte(a, flags);
	word(a, 0);		/* granularity */
	word(a, first);
	word(a, last);
	word(a, 0);		/* translation */
	word(a, last - first + 1);
}

void aml_res_bus_range(struct aml *a, uint16_t first, uint16_t last)
{
	word_range(a, RANGE_BUS, 0, first, last);
}

void aml_res_port_range(struct aml *a, uint16_t first, uint16_t last)
{
	word_range(a, RANGE_PORTS, PORTS_ALL, first, last);
}

void aml_res_memory_range(struct aml *a, uint32_t first, uint32_t last)
{
	byte(a, RES_DWORD);
	word(a, 23);
	byte(a, RANGE_MEMORY);
	byte(a, RANGE_FIXED);
	byte(a, MEM_READ_WRITE);
	dword(a, 0);
	dword(a, first);
	dword(a, last);
	dword(a, 0);
	dword(a, last - first + 1);
}
