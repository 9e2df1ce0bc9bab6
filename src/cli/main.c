/* The programs plasmite and pls, which are the same one.
 *
 * Starting is part of our speed: nothing is opened, read or set up here that the command does
 * not need; no locale, no configuration. */
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/help.h"
#include "cli/report.h"
#include "os/guard.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A closed descriptor 0, 1 or 2 would be given to the next file we open, and what we print would
 * go into a pool. */
static void main_keep_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
            _exit(PLSM_ERROR_IO);
}

static bool main_environment(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0';
}

/* What --color, or else the user's environment, says: NULL leaves it to the terminal. */
static const char *main_color_mode(const struct args *args)
{
    const char *mode = args->color.text;
    if (mode != NULL && strcmp(mode, "auto") != 0)
        return mode;
    if (main_environment("NO_COLOR"))
        return "never";
    const char *force = getenv("CLICOLOR_FORCE");
    return force != NULL && force[0] != '\0' && strcmp(force, "0") != 0 ? "always" : NULL;
}

static bool main_color(const char *mode, bool tty)
{
    if (mode != NULL)
        return strcmp(mode, "always") == 0;
    const char *term = getenv("TERM");
    return tty && (term == NULL || strcmp(term, "dumb") != 0);
}

static struct context main_context(const struct args *args)
{
    struct context context = {
        .dir = args->dir.text,
        .stdout_tty = isatty(STDOUT_FILENO),
        .stderr_tty = isatty(STDERR_FILENO),
    };
    const char *mode = main_color_mode(args);
    context.color = main_color(mode, context.stdout_tty);
    /* only if it was asked for: CLICOLOR_FORCE may be set for a whole machine, and scripts read
     * what we print into pipes */
    context.color_always = args->color.text != NULL && strcmp(args->color.text, "always") == 0;
    context.stderr_color = context.stderr_tty && main_color(mode, context.stderr_tty);
    return context;
}

static int main_help(const struct context *context, const struct args *args, int outcome)
{
    scoped(text_fini) struct text text = {0};
    plsm_error_t *err = NULL;
    const bool missing = outcome == ARGS_HELP_MISSING;

    help_render(args->command, outcome == ARGS_HELP_LONG, &text);
    if (text_write(&text, missing ? STDERR_FILENO : STDOUT_FILENO, &err) < 0)
        return report_error(context, err);
    return missing ? PLSM_ERROR_USAGE : 0;
}

static int main_version(const struct context *context)
{
    static const char version[] = "plasmite " PLASMITE_INTERFACE_VERSION "\n";
    scoped(text_fini) struct text text = {0};
    plsm_error_t *err = NULL;
    text_str(&text, version);
    if (text_write(&text, STDOUT_FILENO, &err) < 0)
        return report_error(context, err);
    return 0;
}

/* Only `pls` may be called with nothing behind it, and means --help. */
static bool main_is_pls(const char *name)
{
    const char *slash = name == NULL ? NULL : strrchr(name, '/');
    return name != NULL && strcmp(slash == NULL ? name : slash + 1, "pls") == 0;
}

/* A file that may not grow is an error like a full disk, not the end of us. */
static void main_ignore_size_limits(void)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGXFSZ, &ignore, NULL);
}

static int main_run(int argc, char **argv)
{
    scoped(args_fini) struct args args = {0};
    plsm_error_t *err = NULL;
    int outcome = args_parse(&command_root, argc, argv, &args, &err);
    if (outcome < 0)
        args.color = (struct arg){0}; /* it may be what is wrong */
    struct context context = main_context(&args);

    if (outcome == ARGS_HELP_MISSING && args.command == &command_root && main_is_pls(argv[0]))
        outcome = ARGS_HELP_LONG;
    if (outcome == ARGS_VERSION)
        return main_version(&context);
    if (outcome > ARGS_RUN)
        return main_help(&context, &args, outcome);

    int code = -1;
    if (outcome == ARGS_RUN) {
        main_ignore_size_limits();
        guard_install(); /* without it a pool that is cut while in use ends us by SIGBUS */
        code = args.command->run(&context, &args, &err);
    }
    return code < 0 ? report_error(&context, err) : code;
}

int main(int argc, char **argv)
{
    main_keep_standard_streams();
    return main_run(argc, argv);
}
