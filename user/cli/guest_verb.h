/* SPDX-License-Identifier: GPL-2.0-only */
/* What the verbs that talk to one running guest begin with. */
#ifndef KVASIR_GUEST_VERB_H
#define KVASIR_GUEST_VERB_H

struct opt_usage;

/**
 * guest_verb_open() - the opening of a verb whose one operand is a guest's name
 * @name: set to that operand
 * @code: set to the verb's exit code when there is nothing more to do
 *
 * Return: a descriptor for the caller to close, or a negative value: --help
 * was printed, or one line of complaint.
 */
int guest_verb_open(const struct opt_usage *usage, int argc, char **argv,
		const char **name, int *code);

#endif /* KVASIR_GUEST_VERB_H */
