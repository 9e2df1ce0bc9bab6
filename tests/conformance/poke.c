/* The operation spawn_poke: a process of the program for each message, all at once. */
#include "tests/conformance/fields.h"
#include "tests/conformance/run.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* PLASMITE_BIN, or what was built in the tree where the manifest lies. */
static int program_find(struct run *run, char **out_program)
{
    static const char *const built[] = {"target/debug/plasmite", "build/plasmite"};
    const char *named = getenv("PLASMITE_BIN");
    if (named != NULL && *named != '\0') {
        *out_program = strdup(named);
        return *out_program != NULL ? 0 : unmet(run, "out of memory");
    }
    for (size_t i = 0; i < sizeof(built) / sizeof(*built); i++) {
        scoped(text_free) char *path = NULL;
        if (asprintf(&path, "%s/../%s", run->folder, built[i]) < 0) {
            path = NULL;
            return unmet(run, "out of memory");
        }
        if (access(path, X_OK) < 0)
            continue;
        *out_program = path;
        path = NULL; /* the caller owns it now */
        return 0;
    }
    return unmet(run, "PLASMITE_BIN is not set, and no built plasmite was found");
}

static int poke_start(struct run *run, const struct step *step, const char *program,
    struct view message, pid_t *out_pid)
{
    scoped(tags_fini) struct tags tags = {0};
    scoped(text_free) char *data = NULL;
    struct json_value value;
    posix_spawn_file_actions_t actions;

    if (!field(message, "data", &value))
        return unmet(run, "a message to feed has no data");
    if (tags_read(run, message, &tags) < 0)
        return -1;
    data = strndup((const char *)value.text.data, value.text.len);
    const char **argv = calloc(7 + 2 * tags.n, sizeof(*argv));
    if (data == NULL || argv == NULL) {
        free((void *)argv);
        return unmet(run, "out of memory");
    }
    const char *const begin[] = {program, "--dir", run->workdir, "feed", step->pool, data};
    memcpy((void *)argv, (const void *)begin, sizeof(begin));
    for (size_t i = 0; i < tags.n; i++) {
        argv[6 + 2 * i] = "--tag";
        argv[7 + 2 * i] = tags.items[i];
    }

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    char *const *words = (char *const *)(uintptr_t)argv; /* spawn does not change them */
    const int errnum = posix_spawnp(out_pid, program, &actions, NULL, words, environ);
    posix_spawn_file_actions_destroy(&actions);
    free((void *)argv);
    return errnum == 0 ? 0 : unmet(run, "cannot start %s: %s", program, strerror(errnum));
}

/* Waits for all of them, whatever became of the first; 0, or the first status that is not 0. */
static int poke_wait(const pid_t *pids, size_t n_pids)
{
    int first = 0;
    for (size_t i = 0; i < n_pids; i++) {
        int status = 0;
        while (waitpid(pids[i], &status, 0) < 0 && errno == EINTR)
            ;
        if (first == 0)
            first = status;
    }
    return first;
}

int op_spawn_poke(struct run *run, const struct step *step)
{
    scoped(text_free) char *program = NULL;
    struct json_value messages, message;
    size_t n_pids = 0;
    int r = 0;

    if (!field(step->input, "messages", &messages) || messages.kind != JSON_ARRAY)
        return unmet(run, "input.messages is not an array");
    if (program_find(run, &program) < 0)
        return -1;
    pid_t *pids = calloc(json_count(messages.text) + 1, sizeof(*pids));
    if (pids == NULL)
        return unmet(run, "out of memory");
    struct json_walk walk = json_walk(messages.text);
    while (r == 0 && json_next_element(&walk, &message)) {
        r = poke_start(run, step, program, message.text, &pids[n_pids]);
        n_pids += r == 0;
    }
    const int status = poke_wait(pids, n_pids);
    free(pids);
    if (r < 0 || status == 0)
        return r;
    return WIFEXITED(status) ? unmet(run, "a writer ended with %d", WEXITSTATUS(status))
                             : unmet(run, "a writer was killed by signal %d", WTERMSIG(status));
}
