#include "cli/args.h"

#include "base/test.h"

enum { OPT_NAME, OPT_MANY, OPT_FLAG, OPT_NUMBER, OPT_REAL, OPT_CHOICE, N_OPTIONS };

static const char *const choices[] = {"red", "green", NULL};

static const struct option options[N_OPTIONS] = {
    [OPT_NAME] = {.name = "name", .kind = ARG_TEXT, .value = "NAME"},
    [OPT_MANY] =
        {.name = "many", .alias = "old", .repeatable = true, .kind = ARG_TEXT, .value = "M"},
    [OPT_FLAG] = {.name = "flag", .letter = 'f'},
    [OPT_NUMBER] = {.name = "number", .letter = 'n', .kind = ARG_U64, .value = "N"},
    [OPT_REAL] = {.name = "real", .kind = ARG_REAL, .value = "R"},
    [OPT_CHOICE] = {.name = "choice", .kind = ARG_CHOICE, .value = "C", .choices = choices},
};

static const struct positional positionals[] = {
    {.value = "<POOL>", .required = true, .kind = ARG_TEXT},
    {.value = "[REST]...", .many = true, .kind = ARG_TEXT},
};

static const struct conflict conflicts[] = {{OPT_NAME, OPT_NUMBER}};

static const struct command leaf = {
    .name = "leaf",
    .path = "leaf",
    .alias = "twig",
    .options = options,
    .n_options = N_OPTIONS,
    .positionals = positionals,
    .n_positionals = 2,
    .conflicts = conflicts,
    .n_conflicts = 1,
    .takes_rest = true,
    .help_when_empty = true,
};

static const struct command *const children[] = {&leaf, NULL};
static const struct command root = {
    .name = "plasmite", .path = "", .children = children, .help_when_empty = true};

#define WORDS_MAX 12

/* Parses words separated by blanks; "''" stands for an empty one. */
static int parse(const char *line, struct args *args, plsm_error_t **err)
{
    static char storage[256];
    static char *argv[WORDS_MAX + 1];
    int argc = 0;

    snprintf(storage, sizeof(storage), "plasmite %s", line);
    for (char *at = storage; at != NULL && *at != '\0' && argc < WORDS_MAX;) {
        argv[argc] = strsep(&at, " ");
        if (strcmp(argv[argc], "''") == 0)
            argv[argc][0] = '\0';
        argc++;
    }
    return args_parse(&root, argc, argv, args, err);
}

static void check_error(const char *line, const char *message)
{
    scoped(args_fini) struct args args = {0};
    scoped(plsm_error_free) plsm_error_t *err = NULL;
    assert_int_equal(parse(line, &args, &err), -1);
    assert_int_equal(err->kind, PLSM_ERROR_USAGE);
    assert_string_equal(err->message, message);
    assert_non_null(error_hint_of(err));
}

static void check_outcome(const char *line, int outcome)
{
    scoped(args_fini) struct args args = {0};
    assert_int_equal(parse(line, &args, NULL), outcome);
}

static void test_every_way_to_write_a_value(void **state)
{
    (void)state;
    static const char *const lines[] = {"leaf p -n5", "leaf p -n=5", "leaf p -n 5", "leaf -fn5 p",
        "leaf --number=5 p", "leaf p --number 5", "leaf p -f -n +5"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        scoped(args_fini) struct args args = {0};
        assert_int_equal(parse(lines[i], &args, NULL), ARGS_RUN);
        assert_int_equal(args_number(&args, OPT_NUMBER, 0), 5);
        assert_string_equal(args.positionals[0].text, "p");
    }
}

static void test_repeated_values_keep_their_order(void **state)
{
    (void)state;
    scoped(args_fini) struct args args = {0};
    size_t at = 0;
    assert_int_equal(parse("twig p --many a q --old b --many=c r", &args, NULL), ARGS_RUN);
    assert_string_equal(args.spelling, "twig");
    assert_string_equal(args_next(&args, OPT_MANY, &at), "a");
    assert_string_equal(args_next(&args, OPT_MANY, &at), "b");
    assert_string_equal(args_next(&args, OPT_MANY, &at), "c");
    assert_null(args_next(&args, OPT_MANY, &at));
    at = 0;
    assert_string_equal(args_next(&args, ARG_POSITIONAL(1), &at), "q");
    assert_string_equal(args_next(&args, ARG_POSITIONAL(1), &at), "r");
    assert_int_equal(args.positionals[1].count, 2);
}

static void test_what_follows_two_dashes_is_not_read(void **state)
{
    (void)state;
    scoped(args_fini) struct args args = {0};
    assert_int_equal(parse("leaf p -- --number x -- y", &args, NULL), ARGS_RUN);
    assert_true(args.has_rest);
    assert_int_equal(args.n_rest, 4);
    assert_string_equal(args.rest[0], "--number");
    assert_false(args_has(&args, OPT_NUMBER));
}

static void test_global_options(void **state)
{
    (void)state;
    scoped(args_fini) struct args args = {0};
    assert_int_equal(parse("--dir d leaf p --color=never", &args, NULL), ARGS_RUN);
    assert_string_equal(args.dir.text, "d");
    assert_string_equal(args.color.text, "never");
}

static void test_help_and_version(void **state)
{
    (void)state;
    check_outcome("", ARGS_HELP_MISSING);
    check_outcome("--dir d leaf", ARGS_HELP_MISSING);
    check_outcome("--help", ARGS_HELP_LONG);
    check_outcome("help leaf", ARGS_HELP_LONG);
    check_outcome("help twig", ARGS_HELP_LONG);
    check_outcome("leaf --help", ARGS_HELP_LONG);
    check_outcome("leaf p -fh", ARGS_HELP_SHORT);
    check_outcome("-V", ARGS_VERSION);
}

static void test_errors(void **state)
{
    (void)state;
    check_error("lief", "unrecognized subcommand 'lief'");
    check_error("leaf p --nope=x", "unexpected argument '--nope' found");
    check_error("leaf p -fx", "unexpected argument '-x' found");
    check_error("leaf p --version", "unexpected argument '--version' found");
    check_error("leaf p --name", "a value is required for '--name <NAME>' but none was supplied");
    check_error(
        "leaf p --name --flag", "a value is required for '--name <NAME>' but none was supplied");
    check_error("leaf p --flag=1", "unexpected value '1' for '--flag' found");
    check_error("leaf p -ff", "the argument '--flag' cannot be used multiple times");
    check_error(
        "leaf p -n 1 --name x", "the argument '--name <NAME>' cannot be used with '--number <N>'");
    check_error("leaf p --choice blue", "invalid value 'blue' for '--choice <C>'");
    check_error("leaf p -n 99999999999999999999",
        "invalid value '99999999999999999999' for '--number <N>': number too large to fit in "
        "target type");
    check_error("leaf p --real 1x", "invalid value '1x' for '--real <R>': invalid float literal");
    check_error("leaf p --real ''", "invalid value '' for '--real <R>': invalid float literal");
    check_error("leaf -f", "the following required arguments were not provided: <POOL>");
    check_error("--color never", "'plasmite' requires a subcommand but one was not provided");
}

/* Any words at all end in an outcome or an error; nothing is read beyond them. */
static void property_any_words_end(void **state)
{
    (void)state;
    static const char *const words[] = {"leaf", "help", "--", "-", "-n", "-n5", "--number=", "p",
        "--help", "-h", "-V", "--many", "x", "--dir", "--color", "''", "-fff", "---help",
        "-=", "--=", "--choice=red", "--real=nan", "--nope"};
    uint64_t seed = 1;
    for (int round = 0; round < 100000; round++) {
        scoped(args_fini) struct args args = {0};
        scoped(plsm_error_free) plsm_error_t *err = NULL;
        char line[200] = "";
        size_t len = 0;
        for (uint64_t n = seed >> 40 & 7; n > 0; n--) {
            seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
            const char *word = words[(seed >> 33) % (sizeof(words) / sizeof(words[0]))];
            len +=
                (size_t)snprintf(line + len, sizeof(line) - len, "%s%s", len == 0 ? "" : " ", word);
        }
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        const int r = parse(line, &args, &err);
        assert_true((r < 0) == (err != NULL));
        assert_true(r >= -1 && r <= ARGS_VERSION);
        assert_non_null(args.command);
    }
}

TESTS(test_every_way_to_write_a_value, test_repeated_values_keep_their_order,
    test_what_follows_two_dashes_is_not_read, test_global_options, test_help_and_version,
    test_errors, property_any_words_end)
