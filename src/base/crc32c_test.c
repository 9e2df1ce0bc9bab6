#include "base/crc32c.h"
#include "base/test.h"

/* Check values of RFC 3720, appendix B.4. */
static void test_crc32c_known_values(void **state)
{
    (void)state;
    uint8_t bytes[32] = {0};
    assert_int_equal(crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    assert_int_equal(crc32c(0, bytes, 32), 0x62a8ab43);
    for (uint8_t i = 0; i < 32; i++)
        bytes[i] = i;
    assert_int_equal(crc32c(0, bytes, 32), 0x46dd794e);
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(0, "", 0), 0);
}

static void test_crc32c_variants_agree_at_every_length_and_alignment(void **state)
{
    (void)state;
    static uint8_t bytes[5000 + 8];
    uint32_t random = 1;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        random = random * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(random >> 24);
    }
    for (size_t len = 0; len < 5000; len += len < 300 ? 1 : 37) {
        for (size_t shift = 0; shift < 8; shift++) {
            const uint32_t expected = crc32c_portable(7, bytes + shift, len);
            assert_int_equal(crc32c(7, bytes + shift, len), expected);
        }
    }
}

static void test_crc32c_can_be_undone(void **state)
{
    (void)state;
    static const char text[] = "from any seed, over any text";
    for (uint32_t seed = 1; seed != 0; seed *= 2)
        for (size_t len = 0; len < sizeof(text); len++)
            assert_int_equal(crc32c_undo(crc32c(seed, text, len), text, len), seed);
}

static void test_crc32c_continues(void **state)
{
    (void)state;
    static uint8_t bytes[1000];
    memset(bytes, 0x5a, sizeof(bytes));
    const uint32_t whole = crc32c(0, bytes, 1000);
    for (size_t cut = 0; cut <= 1000; cut += 13)
        assert_int_equal(crc32c(crc32c(0, bytes, cut), bytes + cut, 1000 - cut), whole);
}

TESTS(test_crc32c_can_be_undone, test_crc32c_known_values,
    test_crc32c_variants_agree_at_every_length_and_alignment, test_crc32c_continues)
