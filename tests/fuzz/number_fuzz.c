/* Numbers: what JSON calls one is read as strtod() reads it, to the last bit, integers as wide ones,
 * and doubles are written with digits that read back as the same. The first eight bytes of an input
 * are a double, all of it is text. */
#include "json/json.h"
#include "json/span.h"
#include "json/write.h"

#include "tests/fuzz/check.h"

#include <errno.h>
#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 2000 };

static bool is_json(struct view text)
{
    uint8_t out[TEXT_MAX + JSON_SLACK];
    size_t len = 0;
    return json_compact(text.data, text.len, out, &len, NULL) && len == text.len;
}

static bool same_bits(double a, double b)
{
    return memcmp(&a, &b, sizeof(a)) == 0;
}

static void check_written(double value)
{
    char text[JSON_DOUBLE_MAX];
    double again;
    size_t n_digits = 0;

    if (!isfinite(value))
        return;
    const size_t len = json_format_double(value, text);
    check(len > 0 && len <= sizeof(text));
    check(is_json(view_of(text, len)));
    check(json_double(view_of(text, len), &again) && same_bits(value, again));
    for (size_t i = 0; i < len && text[i] != 'e'; i++)
        n_digits += text[i] >= '0' && text[i] <= '9' && (n_digits > 0 || text[i] != '0');
    check(n_digits <= 18); /* 17, and the zero of "12345678901234567.0" */
}

static void check_integers(struct view text, const char *string)
{
    const bool plain = strspn(string, "0123456789") == text.len && text.len > 0;
    const bool minus =
        text.len > 1 && string[0] == '-' && strspn(string + 1, "0123456789") == text.len - 1;
    uint64_t unsigned_value;
    int64_t signed_value;

    errno = 0;
    const unsigned long long wide = strtoull(string, NULL, 10);
    const bool wide_fits = plain && errno == 0;
    errno = 0;
    const long long narrow = strtoll(string, NULL, 10);
    const bool narrow_fits = (plain || minus) && errno == 0;
    check(json_u64(text, &unsigned_value) == wide_fits);
    check(!wide_fits || unsigned_value == wide);
    check(json_i64(text, &signed_value) == narrow_fits);
    check(!narrow_fits || signed_value == narrow);
}

static void check_read(struct view text)
{
    char *string = bytes_string(text);
    double value;

    if (strlen(string) == text.len) {
        const bool read = json_double(text, &value);
        const enum json_kind kind = json_value_of(text).kind;
        check(read || kind != JSON_NUMBER || !is_json(text));
        if (read) {
            char *end;
            check(same_bits(value, strtod(string, &end)));
            check(*end == '\0');
            check_written(value);
        }
        check_integers(text, string);
    } else {
        check(!json_double(text, &value));
    }
    free(string);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    double value;

    if (size > TEXT_MAX)
        return 0;
    if (size >= sizeof(value)) {
        memcpy(&value, data, sizeof(value));
        check_written(value);
    }
    check_read(view_of(data, size));
    return 0;
}
