/* Resources released by scope.
 *
 *     scoped(pool_close) struct pool *pool = NULL;
 *
 * calls pool_close(pool) wherever the block is left. The variable is always initialised to what
 * its release function ignores, and set back to that when ownership moves elsewhere.
 *
 * A release function takes part by SCOPED_DEFINE(type, function) after its prototype. */
#ifndef BASE_SCOPED_H
#define BASE_SCOPED_H

#define scoped(function) __attribute__((cleanup(function##_scoped)))

#define SCOPED_DEFINE(type, function)                                                              \
    static inline void function##_scoped(type *variable)                                           \
    {                                                                                              \
        function(*variable);                                                                       \
    }

#endif
