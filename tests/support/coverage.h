/* Included in front of every file of a build for coverage. A process that ends by _exit(), as
 * children of the tests do, must write down its counts first; and where calls are made to fail
 * (tests/proof/inject.c), those of libgcov are left alone, which does not expect it. */
#ifndef SUPPORT_COVERAGE_H
#define SUPPORT_COVERAGE_H

#include <dlfcn.h>
#include <string.h>
#include <unistd.h>

void __gcov_dump(void); /* NOLINT: libgcov's own name */

/* Each file brings one, and the linker keeps one. Runs before libgcov's, whose number is 99. */
__attribute__((weak, destructor(101))) void coverage_end(void);
void coverage_end(void)
{
    void (*end)(void);
    void *const found = dlsym(RTLD_DEFAULT, "inject_end");

    if (found == NULL)
        return;
    memcpy(&end, &found, sizeof(end));
    end();
}

static inline _Noreturn void coverage_exit(int code)
{
    coverage_end();
    __gcov_dump();
    _exit(code);
}
#define _exit(code) coverage_exit(code)

#endif
