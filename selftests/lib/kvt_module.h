/* SPDX-License-Identifier: GPL-2.0-only */
/* The module as a whole: how often it is used, unloading and loading it. */
#ifndef KVT_MODULE_H
#define KVT_MODULE_H

#include "kvt.h"

/* Users of the module; -1 when it is not loaded. */
int kvt_module_users(void);
/* Wait until it is @want; the last value seen. */
int kvt_module_wait(int want, unsigned int ms);
/* 0 or -errno. */
int kvt_module_unload(void);
/* Load $KVT_MODULE; 0 or -errno. */
int kvt_module_load(void);
/* Skips the test without root, the module, or $KVT_MODULE to load it again. */
void kvt_module_need(void);

#endif /* KVT_MODULE_H */
