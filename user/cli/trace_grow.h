/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Arrays that grow, and are kept from look to look.
 *
 * A look at a tracer's maps fills many arrays, the next one fills them again. So
 * an array has @n elements and behind them @spare ones, for which there is memory.
 * To empty it, make all of them spare.
 */
#ifndef KVASIR_TRACE_GROW_H
#define KVASIR_TRACE_GROW_H

#include <stddef.h>

/**
 * trace_grow() - one more element at the end of an array
 * @array: address of the pointer to it
 * @n: elements of @size bytes
 * @spare: elements behind them
 *
 * Return: the element, or NULL, and nothing has changed. One that was spare is as
 * it was left, with what it owns; new memory is zeroed.
 */
void *trace_grow(void *array, size_t *n, size_t *spare, size_t size);

#endif /* KVASIR_TRACE_GROW_H */
