/* Included in front of every file of a build for coverage. A process that ends by _exit(), as
 * children of the tests do, must write down its counts first. */
#ifndef SUPPORT_COVERAGE_H
#define SUPPORT_COVERAGE_H

#include <unistd.h>

void __gcov_dump(void); /* NOLINT: libgcov's own name */

static inline _Noreturn void coverage_exit(int code)
{
    __gcov_dump();
    _exit(code);
}
#define _exit(code) coverage_exit(code)

#endif
