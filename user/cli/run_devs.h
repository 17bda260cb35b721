/* SPDX-License-Identifier: GPL-2.0-only */
/* The values of kvasir run's --net and --disk. */
#ifndef KVASIR_RUN_DEVS_H
#define KVASIR_RUN_DEVS_H

#include "run.h"

struct run_devs {
	struct net_opts nets[VMM_MAX_NETS];
	unsigned int nr_nets;
	struct disk_opts disks[VMM_MAX_DISKS];
	unsigned int nr_disks;
};

/* opt_fn for struct run_devs: one more device, or one line and EXIT_USAGE. */
int run_devs_net(void *devs, const char *value);
int run_devs_disk(void *devs, const char *value);

/* Frees the strings the disks point to. */
void run_devs_free(struct run_devs *devs);

#endif /* KVASIR_RUN_DEVS_H */
