/* What the scanner for x86 looks at one by one: brackets, \u escapes, exponents. */
#include "json/scan_x86.h"

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

/* The place of the lowest set bit; 64 if there is none. */
AVX2 static inline unsigned word_place(uint64_t word)
{
    return (unsigned)_tzcnt_u64(word);
}

/* Writes the places of the set bits to `places`, which has room for two more than there are, and
 * returns their number. Two a word are written in any case: most words have no more, and a loop
 * would end at places that cannot be predicted. */
AVX2 static inline size_t walk_places(const uint64_t words[static 4], uint8_t *places)
{
    size_t n = 0;
    for (unsigned i = 0; i < 4; i++) {
        uint64_t left = words[i];
        const size_t n_behind = n + (size_t)__builtin_popcountll(left);
        places[n] = (uint8_t)(64 * i + word_place(left));
        left &= left - 1;
        places[n + 1] = (uint8_t)(64 * i + word_place(left));
        for (n += 2; n < n_behind; n++) {
            left &= left - 1;
            places[n] = (uint8_t)(64 * i + word_place(left));
        }
        n = n_behind;
    }
    return n;
}

/* The walk over brackets where nesting may pass a multiple of 64 levels. Sets a bit in toggles where
 * object changes to array, or back. */
static __attribute__((noinline)) bool brackets_deep(struct blocks *s, const uint8_t *at,
    const uint8_t *places, size_t n, uint64_t toggles[static 4])
{
    for (size_t i = 0; i < n; i++) {
        const uint8_t byte = at[places[i]];
        const uint64_t object = byte >> 5 & 1; /* '{' and '}', not '[' and ']' */
        const uint64_t before = s->top & 1;
        if (s->depth == 0 && at + places[i] != s->text)
            return false;
        if (byte == '{' || byte == '[') {
            if (!levels_push(s, object))
                return false;
        } else {
            if (before != object)
                return false;
            levels_pop(s);
        }
        toggles[places[i] / 64] |= ((s->top & 1) ^ before) << (places[i] % 64);
    }
    return true;
}

/* The same where it does not. The levels get a set bit above them, so that their number needs no
 * count of its own: nothing is open when it is all there is. */
AVX2 static inline bool brackets_flat(struct blocks *s, const uint8_t *at, const uint8_t *places,
    size_t n, uint64_t toggles[static 4])
{
    const uint64_t bottom = UINT64_C(1) << s->depth;
    uint64_t top = (s->top & (bottom - 1)) | bottom;
    uint64_t wrong = 0;
    size_t i = 0;
    if (at == s->text) { /* the one bracket that may stand where nothing is open */
        top = top << 1 | (*at == '{');
        toggles[0] = *at != '{';
        i = 1;
    }
    for (; i < n; i++) {
        const unsigned place = places[i];
        const unsigned byte = at[place];
        const uint64_t object = byte >> 5 & 1; /* '{' and '}', not '[' and ']' */
        const uint64_t opened = top << 1 | object;
        const uint64_t closed = top >> 1;
        const bool close = (byte & 4) != 0; /* ']' and '}' */
        const uint64_t next = close ? closed : opened;
        wrong |= close ? top ^ object : 0;
        wrong |= closed == 0;
        toggles[place / 64] |= ((top ^ next) & 1) << (place % 64);
        top = next;
    }
    s->depth = (size_t)(63 - (int)_lzcnt_u64(top));
    s->top = top;
    return (wrong & 1) == 0;
}

AVX2 bool scan_x86_brackets(struct blocks *s, bits brackets, const uint8_t *at, bits *out_in_object)
{
    uint64_t words[4];
    uint64_t toggles[4] = {0, 0, 0, 0};
    uint8_t places[BLOCK + 8];
    bits_store(words, brackets);
    const size_t n = walk_places(words, places);
    const bool ok = s->depth + n < 63 ? brackets_flat(s, at, places, n, toggles)
                                      : brackets_deep(s, at, places, n, toggles);
    *out_in_object = bits_toggle(bits_load(toggles), &s->in_object);
    return ok;
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
