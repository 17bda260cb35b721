/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A process that tidies up behind the VMM, however the VMM ends.
 *
 * It waits for the end of a pipe. When the VMM returns, is killed, or is ended
 * by its system call filter, the janitor restores the terminal and removes
 * the control socket, which the VMM in its sandbox could not do itself.
 */
#ifndef KVASIR_JANITOR_H
#define KVASIR_JANITOR_H

#include <sys/types.h>

struct janitor {
	pid_t pid;	/* 0: not running */
	int fd;		/* write end of its pipe */
};

/**
 * janitor_start() - fork; before threads, devices and guest memory exist
 * @tty: terminal whose present settings are to come back, -1: none
 * @path: socket to be removed if janitor_own_socket() was called, or NULL
 */
int janitor_start(struct janitor *j, int tty, const char *path);
/**
 * janitor_own_socket() - the socket is ours: to be removed at the end
 * @path: as given to janitor_start()
 *
 * What is there now is meant: a socket that another machine has put in its
 * place by then stays. Under run_dir_lock(). Return: 0 or -errno.
 */
int janitor_own_socket(struct janitor *j, const char *path);
/* Let it do its work and wait until it has. */
void janitor_finish(struct janitor *j);

/**
 * run_dir_lock() - machines take turns at the names in VMM_RUN_DIR
 *
 * For looking at a socket there and then making, removing or replacing it.
 *
 * Return: a descriptor, the turn ends when it is closed; -EBUSY when somebody
 * does not end theirs, or another -errno.
 */
int run_dir_lock(void);

#endif /* KVASIR_JANITOR_H */
