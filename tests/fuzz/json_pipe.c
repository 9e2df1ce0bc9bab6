/* json_compact() for json_differential.py: reads texts from stdin, each behind its length (32 bits,
 * little endian), and answers each with a byte, 1 for JSON, and its compact form or the place of
 * its fault as decimal digits, behind their length. */
#include "json/json.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>

static int answer(char verdict, const void *bytes, size_t len)
{
    const uint32_t length = htole32((uint32_t)len);
    if (putchar(verdict) == EOF || fwrite(&length, 4, 1, stdout) != 1)
        return -1;
    return fwrite(bytes, 1, len, stdout) == len ? 0 : -1;
}

static int pipe_one(uint32_t len)
{
    uint8_t *text = malloc(len == 0 ? 1 : len); /* as large as the text, for the sanitizers */
    uint8_t *out = calloc(1, (size_t)len + JSON_SLACK);
    int r = -1;
    if (text != NULL && out != NULL && fread(text, 1, len, stdin) == len) {
        struct json_error error;
        size_t out_len = 0;
        if (json_compact(text, len, out, &out_len, &error)) {
            r = answer(1, out, out_len);
        } else {
            char place[32] = "";
            const int n = snprintf(place, sizeof(place), "%zu", error.offset);
            r = answer(0, place, (size_t)n);
        }
    }
    free(text);
    free(out);
    return r;
}

int main(void)
{
    uint32_t length;
    while (fread(&length, 4, 1, stdin) == 1) {
        if (pipe_one(le32toh(length)) < 0)
            return 1;
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
