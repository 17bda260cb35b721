/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the portable sources (memmap.c, iotlb_table.c, ring*.c, chain.c,
 * blk_parse.c, net_hdr.c) need from their surroundings. The same files are compiled into
 * the kernel module, into the VMM's own backends and tests, and into the
 * fuzzers; nothing in them may use anything that is not named here.
 *
 * Access to guest memory: every load or store goes through kvs_load*(),
 * kvs_store*(), or in a section of many through kvs_get*() and kvs_put*(). They
 * copy the field once and report a fault. In the kernel
 * they run in a worker that has adopted the owner's address space
 * (kthread_use_mm()), on pointers that passed access_ok() at set-up; in
 * userspace they are plain volatile accesses. They may sleep.
 *
 * Ring fields are little-endian: VIRTIO_F_VERSION_1, and legacy rings on a
 * little-endian host, are the same thing.
 */
#ifndef KVS_ENV_H
#define KVS_ENV_H

#ifdef __KERNEL__
#include "env_kernel.h"
#else
#include "env_user.h"
#endif

#endif /* KVS_ENV_H */
