/* Writing to a stream that we were given, without ever waiting for its reader where the system
 * lets us, and without changing the stream for others who hold it: O_NONBLOCK belongs to the open
 * description, which a shell and its other children share. A port supplies these functions. */
#ifndef OS_SINK_H
#define OS_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct sink {
    int fd; /* to be polled for POLLOUT */
    bool own;
    bool socket;
};

/* Prepares writing to fd, which stays the caller's. Pipes and sockets do not wait; terminals and
 * files may, for as long as they take to write. */
void sink_open(struct sink *sink, int fd);

/* As write(): -1 with EAGAIN where it would have to wait, with EPIPE where nobody reads any more
 * (SIGPIPE has to be ignored). */
ssize_t sink_write(const struct sink *sink, const void *data, size_t len);

void sink_close(struct sink *sink);

#endif
