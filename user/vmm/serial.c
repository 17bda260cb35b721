// SPDX-License-Identifier: GPL-2.0-only
/*
 * COM1: a 16550A at port 0x3f8, interrupt line 4.
 *
 * Sending takes no time: the transmitter is always empty. Received bytes wait
 * in the 16-byte FIFO; whoever feeds it is told when there is room again.
 */
#include <errno.h>
#include <linux/serial_reg.h>
#include <stdlib.h>
#include <string.h>

#include "serial.h"

#define PORT		0x3f8
#define NR_REGS		8
#define FIFO		16

#define MCR_MASK	0x1f
#define MSR_PRESENT	(UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS)
#define IIR_FIFO_ON	0xc0

struct serial {
	struct vm *vm;
	const struct serial_ops *ops;
	void *ctx;
	pthread_mutex_t lock;
	uint8_t ier, lcr, mcr, scr, dll, dlm;
	bool fifo_on;
	bool tx_pending;	/* "transmitter empty" not yet told */
	bool line;		/* level of the interrupt line */
	bool full;		/* serial_input() had to refuse bytes */
	unsigned int head, used;
	uint8_t fifo[FIFO];
};

/* All functions up to the entry points are called with the lock held. */

static uint8_t interrupt_id(const struct serial *s)
{
	if (s->ier & UART_IER_RDI && s->used)
		return UART_IIR_RDI;
	if (s->ier & UART_IER_THRI && s->tx_pending)
		return UART_IIR_THRI;
	return UART_IIR_NO_INT;
}

/* In a PC, OUT2 connects the interrupt line. */
static bool connected(const struct serial *s)
{
	return (s->mcr & (UART_MCR_OUT2 | UART_MCR_LOOP)) == UART_MCR_OUT2;
}

static void update_irq(struct serial *s)
{
	bool line = connected(s) && interrupt_id(s) != UART_IIR_NO_INT;

	if (line == s->line)
		return;
	s->line = line;
	if (vm_irq_set(s->vm, VM_GSI_SERIAL, line))
		vm_stop(s->vm, VM_ERROR);
}

/* OUT2 tells an open port from a driver that tries what IER can hold. */
static bool listening(const struct serial *s)
{
	return connected(s) && s->ier & UART_IER_RDI;
}

static void tell_room(struct serial *s)
{
	if (!s->full || !listening(s) || s->used == FIFO)
		return;
	s->full = false;
	s->ops->room(s->ctx);
}

static uint8_t receive(struct serial *s)
{
	uint8_t c = 0;

	if (s->used) {
		c = s->fifo[s->head];
		s->head = (s->head + 1) % FIFO;
		s->used--;
	}
	tell_room(s);
	return c;
}

static void fill(struct serial *s, uint8_t c)
{
	s->fifo[(s->head + s->used) % FIFO] = c;
	s->used++;
}

static void transmit(struct serial *s, uint8_t c)
{
	if (s->mcr & UART_MCR_LOOP) {
		if (s->used < FIFO)
			fill(s, c);
	} else {
		s->ops->output(s->ctx, &c, 1);
	}
	s->tx_pending = true;
}

/* In loop-back the modem's lines are ours, crossed. */
static uint8_t modem_status(const struct serial *s)
{
	uint8_t msr = 0;

	if (!(s->mcr & UART_MCR_LOOP))
		return MSR_PRESENT;
	if (s->mcr & UART_MCR_RTS)
		msr |= UART_MSR_CTS;
	if (s->mcr & UART_MCR_DTR)
		msr |= UART_MSR_DSR;
	if (s->mcr & UART_MCR_OUT1)
		msr |= UART_MSR_RI;
	if (s->mcr & UART_MCR_OUT2)
		msr |= UART_MSR_DCD;
	return msr;
}

static uint8_t read_iir(struct serial *s)
{
	uint8_t id = interrupt_id(s);

	if (id == UART_IIR_THRI)
		s->tx_pending = false;
	return id | (s->fifo_on ? IIR_FIFO_ON : 0);
}

static uint8_t reg_read(struct serial *s, unsigned int reg)
{
	bool dlab = s->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_RX:
		return dlab ? s->dll : receive(s);
	case UART_IER:
		return dlab ? s->dlm : s->ier;
	case UART_IIR:
		return read_iir(s);
	case UART_LCR:
		return s->lcr;
	case UART_MCR:
		return s->mcr;
	case UART_LSR:
		return UART_LSR_TEMT | UART_LSR_THRE |
		       (s->used ? UART_LSR_DR : 0);
	case UART_MSR:
		return modem_status(s);
	default:
		return s->scr;
	}
}

static void write_ier(struct serial *s, uint8_t val)
{
	if (val & ~s->ier & UART_IER_THRI)
		s->tx_pending = true;
	s->ier = val & 0xf;
	tell_room(s);
}

static void write_fcr(struct serial *s, uint8_t val)
{
	s->fifo_on = val & UART_FCR_ENABLE_FIFO;
	if (val & UART_FCR_CLEAR_RCVR)
		s->used = 0;
	tell_room(s);
}

static void reg_write(struct serial *s, unsigned int reg, uint8_t val)
{
	bool dlab = s->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_TX:
		if (dlab)
			s->dll = val;
		else
			transmit(s, val);
		break;
	case UART_IER:
		if (dlab)
			s->dlm = val;
		else
			write_ier(s, val);
		break;
	case UART_FCR:
		write_fcr(s, val);
		break;
	case UART_LCR:
		s->lcr = val;
		break;
	case UART_MCR:
		s->mcr = val & MCR_MASK;
		tell_room(s);
		break;
	case UART_SCR:
		s->scr = val;
		break;
	}
}

/* Byte registers; a wider access takes its first byte. */
static void ports(void *ctx, uint64_t offset, void *data, unsigned int len,
		  bool write)
{
	struct serial *s = ctx;

	pthread_mutex_lock(&s->lock);
	if (write) {
		reg_write(s, offset, *(uint8_t *)data);
	} else {
		memset(data, 0xff, len);
		*(uint8_t *)data = reg_read(s, offset);
	}
	update_irq(s);
	pthread_mutex_unlock(&s->lock);
}

size_t serial_input(struct serial *s, const void *data, size_t len)
{
	const uint8_t *from = data;
	size_t n = 0;

	pthread_mutex_lock(&s->lock);
	while (n < len && listening(s) && s->used < FIFO)
		fill(s, from[n++]);
	s->full = n < len;
	update_irq(s);
	pthread_mutex_unlock(&s->lock);
	return n;
}

int serial_create(struct vm *vm, const struct serial_ops *ops, void *ctx,
		  struct serial **out)
{
	struct serial *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return vmm_err(vm, -ENOMEM, "serial port: out of memory");
	s->vm = vm;
	s->ops = ops;
	s->ctx = ctx;
	s->dll = 1;		/* 115200 baud */
	pthread_mutex_init(&s->lock, NULL);
	ret = bus_add(vm->pio, PORT, NR_REGS, ports, s);
	if (ret) {
		serial_destroy(s);
		return vmm_err(vm, ret, "serial port: ports: %s",
			       strerror(-ret));
	}
	*out = s;
	return 0;
}

/* vCPUs do not run (any more). */
void serial_destroy(struct serial *s)
{
	if (!s)
		return;
	pthread_mutex_destroy(&s->lock);
	free(s);
}
