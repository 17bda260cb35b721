/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The module as a whole: how often it is used, its threads, what is left of a
 * killed owner, unloading and loading it.
 */
#ifndef KVT_MODULE_H
#define KVT_MODULE_H

#include "kvt.h"

/* Users of the module; -1 when it is not loaded. */
int kvt_module_users(void);
/* Wait until it is @want; the last value seen. */
int kvt_module_wait(int want, unsigned int ms);

/* Threads whose name begins with "@kind-@id", a device's; @id -1: of any. */
int kvt_threads(const char *kind, int id);
/* Wait until there are @want; the last number seen. */
int kvt_threads_wait(const char *kind, int id, int want, unsigned int ms);

#define KVT_FREE_MS 15000	/* for all that a killed process held */

/**
 * kvt_kill_when_ready() - kill an owner of devices; nothing may be left
 * @victim: what a child does with @arg, up to kvt_ready(@ready) and beyond it
 * @linger: milliseconds it may go on for then
 *
 * The module's users and threads must soon be as many as before. Skips the
 * test when the module is not loaded.
 */
void kvt_kill_when_ready(void (*victim)(int arg, int ready), int arg,
			 unsigned int linger);
void kvt_ready(int ready);
/* The same, and nothing more until the end. */
void kvt_ready_forever(int ready);

/* A parameter of the module; ends the test when there is none. */
unsigned int kvt_param(const char *name);
/* Set it until this process ends. */
void kvt_param_set(const char *name, unsigned int value);

/* 0 or -errno. */
int kvt_module_unload(void);
/* Load $KVT_MODULE; 0 or -errno. */
int kvt_module_load(void);
/* Skips the test without root, the module, or $KVT_MODULE to load it again. */
void kvt_module_need(void);

#endif /* KVT_MODULE_H */
