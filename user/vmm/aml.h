/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A writer of ACPI machine language: just the terms our DSDT needs.
 *
 * Blocks (scope, device, package, resources) are opened, filled and closed
 * with the value the opening returned. Running out of room is noted in the
 * writer and checked once at the end.
 */
#ifndef KVASIR_AML_H
#define KVASIR_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aml {
	uint8_t *buf;
	size_t len;
	size_t size;
	bool overflow;
};

/* @name: four characters, or a path as in "\\_SB_" */
size_t aml_scope(struct aml *a, const char *name);
size_t aml_device(struct aml *a, const char *name);
/* Closes what aml_scope(), aml_device() opened. */
void aml_end(struct aml *a, size_t block);

void aml_name_int(struct aml *a, const char *name, uint64_t value);
/* @id: as "PNP0A03" */
void aml_name_eisaid(struct aml *a, const char *name, const char *id);
void aml_name_bytes_package(struct aml *a, const char *name,
			    const uint8_t *values, uint8_t nr);

/* Name (_CRS, ResourceTemplate () { ... }) */
size_t aml_crs(struct aml *a);
void aml_crs_end(struct aml *a, size_t block);
void aml_res_io(struct aml *a, uint16_t base, uint8_t size);
void aml_res_irq(struct aml *a, unsigned int irq);
void aml_res_memory32_fixed(struct aml *a, uint32_t base, uint32_t size);
/* Windows a bus passes on. */
void aml_res_bus_range(struct aml *a, uint16_t first, uint16_t last);
void aml_res_port_range(struct aml *a, uint16_t first, uint16_t last);
void aml_res_memory_range(struct aml *a, uint32_t first, uint32_t last);

#endif /* KVASIR_AML_H */
