/* Shared mappings of files. A port supplies these functions. */
#ifndef OS_MAP_H
#define OS_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Maps the first len bytes of the file, shared with every process that maps it. NULL: errno. */
void *map_file(int fd, size_t len, bool writable);

void map_free(void *map, size_t len);

/* Makes the pages ready for writing, so that the first store to each does not fault (up to 2 ms
 * on a fresh file). Where the kernel cannot, nothing happens. */
void map_warm(void *start, size_t len);

#endif
