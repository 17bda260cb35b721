/* SPDX-License-Identifier: GPL-2.0-only */
/* Block devices that can be told to fail, by the device mapper. */
#ifndef KVT_DM_H
#define KVT_DM_H

#include "kvt_blk.h"

/**
 * kvt_dm() - a mapped device
 * @module: of its target; not there, or no dmsetup: skips the test
 * @table: as dmsetup takes it, for the whole device
 *
 * Returns a descriptor of /dev/mapper/@name.
 */
int kvt_dm(const char *name, const char *module, const char *table);
/* Another table, under load: what is in flight ends before. */
void kvt_dm_reload(const char *name, const char *table);
void kvt_dm_message(const char *name, const char *text);
/**
 * kvt_dm_held() - 4 MiB of the first RAM disk, answering nothing
 * @name: as of kvt_dm(), which may skip the test
 *
 * What it is asked it keeps, for a minute or until kvt_dm_hold() lets it go.
 */
int kvt_dm_held(const char *name);
/* Keep what comes from now on, or let go of all and answer at once. */
void kvt_dm_hold(const char *name, bool on);
/* Nobody has it open any more. */
void kvt_dm_remove(const char *name);

#endif /* KVT_DM_H */
