#include "os/event.h"

#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int event_open(void)
{
    return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

void event_set(int fd)
{
    const uint64_t one = 1;
    /* fails only where the counter is full: then it is set */
    if (write(fd, &one, sizeof(one)) < 0)
        return;
}

void event_clear(int fd)
{
    uint64_t count;
    /* fails only where it is not set */
    if (read(fd, &count, sizeof(count)) < 0)
        return;
}
