/* What every unit test includes: cmocka, and TESTS(), which makes main() from test functions. */
#ifndef BASE_TEST_H
#define BASE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEST_ENTRY(function)                                                    {#function, function, NULL, NULL, NULL},
#define TEST_EACH_1(a)                                                          TEST_ENTRY(a)
#define TEST_EACH_2(a, ...)                                                     TEST_ENTRY(a) TEST_EACH_1(__VA_ARGS__)
#define TEST_EACH_3(a, ...)                                                     TEST_ENTRY(a) TEST_EACH_2(__VA_ARGS__)
#define TEST_EACH_4(a, ...)                                                     TEST_ENTRY(a) TEST_EACH_3(__VA_ARGS__)
#define TEST_EACH_5(a, ...)                                                     TEST_ENTRY(a) TEST_EACH_4(__VA_ARGS__)
#define TEST_EACH_6(a, ...)                                                     TEST_ENTRY(a) TEST_EACH_5(__VA_ARGS__)
#define TEST_EACH_7(a, ...)                                                     TEST_ENTRY(a) TEST_EACH_6(__VA_ARGS__)
#define TEST_EACH_8(a, ...)                                                     TEST_ENTRY(a) TEST_EACH_7(__VA_ARGS__)
#define TEST_EACH_9(a, ...)                                                     TEST_ENTRY(a) TEST_EACH_8(__VA_ARGS__)
#define TEST_EACH_10(a, ...)                                                    TEST_ENTRY(a) TEST_EACH_9(__VA_ARGS__)
#define TEST_EACH_11(a, ...)                                                    TEST_ENTRY(a) TEST_EACH_10(__VA_ARGS__)
#define TEST_EACH_12(a, ...)                                                    TEST_ENTRY(a) TEST_EACH_11(__VA_ARGS__)
#define TEST_EACH_13(a, ...)                                                    TEST_ENTRY(a) TEST_EACH_12(__VA_ARGS__)
#define TEST_EACH_14(a, ...)                                                    TEST_ENTRY(a) TEST_EACH_13(__VA_ARGS__)
#define TEST_EACH_15(a, ...)                                                    TEST_ENTRY(a) TEST_EACH_14(__VA_ARGS__)
#define TEST_EACH_16(a, ...)                                                    TEST_ENTRY(a) TEST_EACH_15(__VA_ARGS__)
#define TEST_COUNT_(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, count, ...) count
#define TEST_COUNT(...)                                                                            \
    TEST_COUNT_(__VA_ARGS__, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define TEST_PASTE_(a, b) a##b
#define TEST_PASTE(a, b)  TEST_PASTE_(a, b)

/* TESTS(test_a, test_b): at most 16 in one file. */
#define TESTS(...)                                                                                 \
    int main(void)                                                                                 \
    {                                                                                              \
        const struct CMUnitTest tests[] = {                                                        \
            TEST_PASTE(TEST_EACH_, TEST_COUNT(__VA_ARGS__))(__VA_ARGS__)};                         \
        return cmocka_run_group_tests(tests, NULL, NULL);                                          \
    }

#endif
