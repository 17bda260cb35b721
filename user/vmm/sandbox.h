/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KVASIR_SANDBOX_H
#define KVASIR_SANDBOX_H

#include "vm.h"

/**
 * sandbox_enter() - give up what a running machine does not need
 *
 * Of all threads of the process: capabilities, gaining privileges, and system
 * calls outside a list. Everything a guest needs is open by now. A call
 * outside the list ends the process with one line that names it.
 */
int sandbox_enter(struct vm *vm);

#endif /* KVASIR_SANDBOX_H */
