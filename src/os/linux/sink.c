#include "os/sink.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

void sink_open(struct sink *sink, int fd)
{
    struct stat status;
    char path[64];

    *sink = (struct sink){.fd = fd};
    if (fstat(fd, &status) < 0)
        return;
    sink->socket = S_ISSOCK(status.st_mode);
    if (!S_ISFIFO(status.st_mode))
        return;
    /* The same pipe once more, by a description of our own. It is refused where the reader is
     * gone, or the pipe belongs to another user: then the one we have must do. */
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    const int own = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (own < 0)
        return;
    sink->fd = own;
    sink->own = true;
}

ssize_t sink_write(const struct sink *sink, const void *data, size_t len)
{
    if (sink->socket)
        return send(sink->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    return write(sink->fd, data, len);
}

void sink_close(struct sink *sink)
{
    if (sink->own)
        close(sink->fd);
    *sink = (struct sink){.fd = -1};
}
