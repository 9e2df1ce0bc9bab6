/* No vector instructions are known for this CPU. */
#include "json/scan.h"

scan_function *scan_accelerated(void)
{
    return NULL;
}
