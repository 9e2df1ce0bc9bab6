/* No instruction for CRC32C is known for this CPU. */
#include "base/crc32c.h"

crc32c_function *crc32c_accelerated(void)
{
    return NULL;
}
