/* What the scanner for x86 looks at one by one: brackets, words, \u escapes,
 * exponents. */
#include "json/scan_x86.h"

#include <string.h>

AVX2 bool scan_x86_unicode(struct blocks *s, bits letters, const uint8_t *at)
{
    uint64_t words[4];
    bits_store(words, letters);
    for (int i = 0; i < 4; i++, at += 64) {
        for (uint64_t left = words[i]; left != 0; left &= left - 1) {
            const uint8_t *escape = at + __builtin_ctzll(left) - 1;
            if (escape < s->escape_ok)
                continue; /* the second half of a surrogate pair */
            const size_t len = scan_unicode_escape(escape, s->end);
            if (len == 0)
                return false;
            s->escape_ok = escape + len;
        }
    }
    return true;
}

static bool levels_push(struct blocks *s, uint64_t object)
{
    if (s->depth == LIMIT_JSON_DEPTH)
        return false;
    if (s->depth % 64 == 0 && s->depth > 0)
        s->levels[s->depth / 64 - 1] = s->top;
    s->depth++;
    s->top = s->top << 1 | object;
    return true;
}

static void levels_pop(struct blocks *s)
{
    s->depth--;
    s->top >>= 1;
    if (s->depth % 64 == 0 && s->depth > 0)
        s->top = s->levels[s->depth / 64 - 1];
}

/* The bits from this one on. */
static inline uint64_t word_from(uint64_t bit)
{
    return -bit;
}

/* The walk over brackets where nesting may pass a multiple of 64 levels. `words` are the brackets;
 * they become the bytes that lie in an object. */
AVX2 static __attribute__((noinline)) bool brackets_deep(
    struct blocks *s, const uint8_t *at, uint64_t words[static 4])
{
    for (int i = 0; i < 4; i++, at += 64) {
        uint64_t in_object = -(s->top & 1);
        for (uint64_t left = words[i]; left != 0; left &= left - 1) {
            const uint8_t *bracket = at + __builtin_ctzll(left);
            const uint64_t object = *bracket >> 5 & 1; /* '{' and '}', not '[' and ']' */
            if (s->depth == 0 && bracket != s->text)
                return false;
            if (*bracket == '{' || *bracket == '[') {
                if (!levels_push(s, object))
                    return false;
            } else {
                if ((s->top & 1) != object)
                    return false;
                levels_pop(s);
            }
            in_object ^= (in_object ^ -(s->top & 1)) & word_from(left & -left);
        }
        words[i] = in_object;
    }
    return true;
}

/* The same where it does not. The levels get a set bit above them, so that their number needs no
 * count of its own: nothing is open when it is all there is. */
AVX2 static inline bool brackets_flat(struct blocks *s, const uint8_t *at, uint64_t words[static 4])
{
    const uint64_t bottom = UINT64_C(1) << s->depth;
    uint64_t top = (s->top & (bottom - 1)) | bottom;
    uint64_t wrong = 0;
    uint64_t lowest = UINT64_MAX; /* becomes 0 if a bracket stands where nothing is open */
    uint64_t in_object = -(top & 1);
    if (at == s->text) { /* the one bracket that may */
        top = top << 1 | (*at == '{');
        in_object = -(top & 1);
        words[0] &= ~UINT64_C(1);
    }
    for (int i = 0; i < 4; i++, at += 64) {
        for (uint64_t left = words[i]; left != 0; left &= left - 1) {
            const unsigned byte = at[__builtin_ctzll(left)];
            const uint64_t object = byte >> 5 & 1; /* '{' and '}', not '[' and ']' */
            const uint64_t opened = top << 1 | object;
            const uint64_t closed = top >> 1;
            const bool close = (byte & 4) != 0; /* ']' and '}' */
            wrong |= close ? top ^ object : 0;
            lowest = closed < lowest ? closed : lowest;
            top = close ? closed : opened;
            in_object ^= (in_object ^ -(top & 1)) & word_from(left & -left);
        }
        words[i] = in_object;
        in_object = -(in_object >> 63);
    }
    s->depth = (size_t)(63 - (int)_lzcnt_u64(top));
    s->top = top;
    return (wrong & 1) == 0 && lowest > 0;
}

AVX2 bool scan_x86_brackets(struct blocks *s, bits brackets, const uint8_t *at, bits *out_in_object)
{
    uint64_t words[4];
    bits_store(words, brackets);
    size_t n = 0;
    for (int i = 0; i < 4; i++)
        n += (size_t)__builtin_popcountll(words[i]);
    const bool ok = s->depth + n < 63 ? brackets_flat(s, at, words) : brackets_deep(s, at, words);
    *out_in_object = bits_load(words);
    return ok;
}

static inline uint32_t word_load(const uint8_t *at)
{
    uint32_t word;
    memcpy(&word, at, 4);
    return word;
}

/* A word has a byte behind it: at least the bracket that ends the text. */
static inline bool word_ok(const uint8_t *at, const uint8_t *end)
{
    if (end - at < 5)
        return false;
    const uint32_t word = word_load(at);
    const bool four =
        word == word_load((const uint8_t *)"true") || word == word_load((const uint8_t *)"null");
    const bool five = word == word_load((const uint8_t *)"fals") && at[4] == 'e' && end - at > 5;
    const uint8_t next = at[five ? 5 : 4];
    return (four || five) && (next == ',' || next == '}' || next == ']' || scan_is_blank(next));
}

AVX2 bool scan_x86_words(const struct blocks *s, bits words, const uint8_t *at)
{
    uint64_t places[4];
    bits_store(places, words);
    for (int i = 0; i < 4; i++, at += 64) {
        for (uint64_t left = places[i]; left != 0; left &= left - 1) {
            if (!word_ok(at + __builtin_ctzll(left), s->end))
                return false;
        }
    }
    return true;
}

AVX2 bool scan_x86_empty(const struct blocks *s, bits empty, const uint8_t *at)
{
    uint64_t words[4];
    bits_store(words, empty);
    for (int i = 0; i < 4; i++, at += 64) {
        for (uint64_t left = words[i]; left != 0; left &= left - 1) {
            const uint8_t *before = at + __builtin_ctzll(left) - 1;
            while (before > s->text && scan_is_blank(*before))
                before--;
            if (*before != '{' && *before != '[')
                return false;
        }
    }
    return true;
}

AVX2 bool scan_x86_exponents(bits letters, const uint8_t *at)
{
    uint64_t words[4];
    bits_store(words, letters);
    for (int i = 0; i < 4; i++, at += 64) {
        for (uint64_t left = words[i]; left != 0; left &= left - 1) {
            const uint8_t *letter = at + __builtin_ctzll(left);
            const uint8_t *before = letter - 1;
            if ((*letter | 0x20) != 'e' || !scan_is_digit(*before))
                return false;
            while (scan_is_digit(*before))
                before--; /* ends at the text's first byte, a bracket */
            if ((*before | 0x20) == 'e' || *before == '+' ||
                (*before == '-' && (before[-1] | 0x20) == 'e'))
                return false; /* the digits are an exponent already */
            const uint8_t *digit = letter + 1;
            if (*digit == '+' || *digit == '-')
                digit++; /* the text ends with a bracket: neither byte lies behind it */
            if (!scan_is_digit(*digit))
                return false;
        }
    }
    return true;
}
