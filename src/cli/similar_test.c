#include "cli/similar.h"

#include "base/test.h"

/* Which of the words, separated by blanks, is like this one. */
static const char *like(const char *word, const char *words)
{
    static struct similar similar;
    char storage[256];

    snprintf(storage, sizeof(storage), "%s", words);
    similar_init(&similar, word, strlen(word));
    for (char *at = storage; at != NULL;)
        similar_offer(&similar, strsep(&at, " "));
    return similar.best;
}

static void test_one_slip_of_every_kind(void **state)
{
    (void)state;
    assert_string_equal(like("folow", "feed follow fetch"), "follow"); /* left out */
    assert_string_equal(like("feeed", "feed follow fetch"), "feed");   /* added */
    assert_string_equal(like("fetsh", "feed follow fetch"), "fetch");  /* exchanged */
    assert_string_equal(like("dcotor", "doctor fetch"), "doctor");     /* swapped: one edit */
    assert_string_equal(like("lsit", "list info"), "list");            /* as here: 2 * 1 < 4 */
    assert_string_equal(like("completoin", "complete completion"), "completion");
}

static void test_too_little_in_common(void **state)
{
    (void)state;
    assert_string_equal(like("tap", "feed follow"), "");
    assert_string_equal(like("ab", "ac"), "");     /* one of two is half */
    assert_string_equal(like("abcd", "abxy"), ""); /* two of four are half */
    assert_string_equal(like("abcde", "abcxy"), "abcxy");
    assert_string_equal(like("abcdefghij", "abcdefgxyz"), ""); /* three are too many */
    assert_string_equal(like("", "a b"), "");
    assert_string_equal(like("follow", "follow"), ""); /* what was typed is no suggestion */
}

static void test_the_nearest_wins_in_any_order(void **state)
{
    (void)state;
    assert_string_equal(like("buildx", "builder build builds"), "build");
    assert_string_equal(like("chats", "chatz chata"), "chata");
    assert_string_equal(like("chats", "chata chatz"), "chata");
}

static void test_long_words_are_left_alone(void **state)
{
    (void)state;
    char word[2 * SIMILAR_WORD_MAX];
    memset(word, 'a', sizeof(word) - 1);
    word[sizeof(word) - 1] = '\0';
    assert_string_equal(like(word, "aaaaaa"), "");
    assert_string_equal(like("aaaaaa", word), "");
    word[SIMILAR_WORD_MAX - 1] = '\0';
    assert_string_equal(like(word + 1, word), word);
}

TESTS(test_one_slip_of_every_kind, test_too_little_in_common, test_the_nearest_wins_in_any_order,
    test_long_words_are_left_alone)
