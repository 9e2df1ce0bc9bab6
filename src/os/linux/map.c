#include "os/map.h"

#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

void *map_file(int fd, size_t len, bool writable)
{
    void *map = mmap(NULL, len, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
    return map == MAP_FAILED ? NULL : map;
}

void map_free(void *map, size_t len)
{
    if (map != NULL)
        munmap(map, len);
}

void map_warm(void *start, size_t len)
{
    static size_t page_size; /* threads that race here write the same value */
    if (page_size == 0)
        page_size = (size_t)sysconf(_SC_PAGESIZE);

    const size_t before = (uintptr_t)start & (page_size - 1);
    /* a refusal costs a page fault later, nothing else */
    (void)madvise((uint8_t *)start - before, len + before, MADV_POPULATE_WRITE);
}
