/* Every allocation and every system call fails in turn, with everything it may fail with.
 *
 * Each scene (faults_scenes.c, _json.c, _abi.c, _streams.c) is played with its first call of a kind
 * failing, then with its second, and so on until it is through without meeting a failure. Every
 * time:
 *   it ends as if nothing had happened, or with an error of one of the nine kinds, or busy;
 *   an interrupted call, or one that moved a single byte, changes nothing at all;
 *   no memory, descriptor, mapping or file is left over;
 *   what was acknowledged is there, nothing is half there, and another handle appends at once. */
#include "tests/proof/faults.h"

#include "base/clock.h"
#include "engine/handle.h"
#include "tests/proof/inject.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#define POOL_BYTES  32768
#define SCENE_LIMIT 20   /* seconds in which a scene must end, whatever fails */
#define CALLS_MAX   4000 /* of one kind in one scene: far more than there are */
#define TOLD_MAX    12   /* wrong attempts of a scene that are described */

static struct {
    struct stage stage;
    _Alignas(4096) uint8_t pools[N_STAGE_POOLS][POOL_BYTES];
    uint64_t n_attempts;
    uint64_t n_errors;   /* attempts that ended with an error, cleanly */
    uint64_t n_harmless; /* the failure changed nothing */
    uint64_t n_wrong;
    unsigned n_told;
    bool replaced; /* the pool, by a repair: its copy stays beside it */
    char label[160];
} proof;

static void wrong(const char *what)
{
    proof.n_wrong++;
    if (proof.n_told++ < TOLD_MAX)
        printf("# %s: %s\n", proof.label, what);
}

/* The stage ---------------------------------------------------------------------------------*/

static void write_file(const char *path, const uint8_t *data, size_t len)
{
    const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    must(fd >= 0 && pwrite(fd, data, len, 0) == (ssize_t)len && close(fd) == 0);
}

static void read_file(const char *path, uint8_t *data, size_t len)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    must(fd >= 0 && pread(fd, data, len, 0) == (ssize_t)len && close(fd) == 0);
}

static struct control *control_of(enum stage_pool pool)
{
    return (struct control *)(void *)(proof.pools[pool] + FORMAT_CONTROL_OFFSET);
}

static void make_pools(void)
{
    const struct pool_create_options options = {
        .size_bytes = POOL_BYTES, .index_capacity = POOL_INDEX_DEFAULT};
    struct stage *stage = &proof.stage;
    struct pool *pool = NULL;
    struct appended appended;
    struct pool_info info;
    struct frame frame;
    char text[160];

    must(pool_create(stage->path, &options, NULL) == 0);
    must(pool_open(stage->path, POOL_WRITE, NULL, &pool, NULL) == 0);
    for (uint64_t seq = 1; seq <= STAGE_MESSAGES; seq++) {
        const struct message message = {.data = stage_message(seq, text)};
        must(pool_append(pool, &message, 1, &appended, NULL) == 0);
    }
    stage->first_new = STAGE_MESSAGES + 1;
    must(pool_info(pool, &info, NULL) == 0 && info.oldest_seq > 1);
    must(pool_get(pool, (info.oldest_seq + info.newest_seq) / 2, &frame, NULL) == 0);
    const size_t middle = (size_t)(frame.data.data - pool->map);
    pool_close(pool);

    read_file(stage->path, proof.pools[STAGE_SOUND], POOL_BYTES);
    for (int i = 1; i < N_STAGE_POOLS; i++)
        memcpy(proof.pools[i], proof.pools[STAGE_SOUND], POOL_BYTES);
    proof.pools[STAGE_DAMAGED][middle] ^= 4;
    control_of(STAGE_REBOOTED)->boot_id[3] ^= 4;
    atomic_init(&control_of(STAGE_POISONED)->flush_failed, 1);
    atomic_init(&control_of(STAGE_DIED)->lock, 77 | 5u << FORMAT_LEASE_BITS);
}

/* Removes what lies in the folder; returns how many files there were beside the pool, the text and
 * `other`. */
static unsigned clear_folder(void)
{
    unsigned n_strange = 0;
    DIR *dir = opendir(proof.stage.folder);
    must(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        n_strange += strcmp(entry->d_name, "pool.plasmite") != 0 &&
                     strcmp(entry->d_name, "other.plasmite") != 0 &&
                     strcmp(entry->d_name, "text") != 0;
        must(unlinkat(dirfd(dir), entry->d_name, 0) == 0);
    }
    closedir(dir);
    return n_strange;
}

/* What a process holds --------------------------------------------------------------------------*/

struct holdings {
    int64_t n_allocations;
    unsigned n_descriptors;
    unsigned n_maps;
};

static unsigned count_descriptors(void)
{
    unsigned n = 0;
    DIR *dir = opendir("/proc/self/fd");
    must(dir != NULL);
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

static unsigned count_maps(void)
{
    static char text[1 << 18];
    const int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    unsigned n = 0;
    size_t len = 0;
    ssize_t got;
    must(fd >= 0);
    while ((got = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
        len += (size_t)got;
    text[len] = '\0';
    close(fd);
    for (const char *at = text; (at = strstr(at, proof.stage.folder)) != NULL; at++)
        n++;
    return n;
}

static struct holdings count_holdings(void)
{
    const struct holdings held = {.n_descriptors = count_descriptors(), .n_maps = count_maps()};
    return (struct holdings){
        .n_allocations = atomic_load(&inject->n_live),
        .n_descriptors = held.n_descriptors,
        .n_maps = held.n_maps,
    };
}

static void check_holdings(const struct holdings *before)
{
    const struct holdings now = count_holdings();
#if !defined(__SANITIZE_ADDRESS__) /* it has a strdup() of its own, and counts leaks itself */
    if (now.n_allocations != before->n_allocations)
        wrong("memory is left over");
#endif
    if (now.n_descriptors != before->n_descriptors)
        wrong("a descriptor is left open");
    if (now.n_maps != before->n_maps)
        wrong("a mapping is left over");
}

/* Checks ------------------------------------------------------------------------------------*/

/* An outcome that failures explain, and an error that says something. */
static void check_result(
    const struct scene *scene, int r, plsm_error_t *err, enum inject_call call, int errnum)
{
    const bool failed = atomic_load(&inject->n_failed) > 0;
    if (r == scene->outcome) {
        if (failed && call == INJECT_SYNC && errnum != EINTR)
            wrong("a failed sync is not told");
        if (err != NULL)
            wrong("success with an error object");
        proof.n_harmless += failed;
        return;
    }
    if (!failed)
        wrong("an error, but nothing failed");
    else if (errnum == INJECT_SHORT || errnum == EINTR ||
             (errnum == EAGAIN && call == INJECT_FUTEX))
        wrong("an interruption became an error");
    if (r != -1 && r != POOL_BUSY)
        wrong("another outcome");
    if (r == -1 && (err == NULL || err->message == NULL || err->message[0] == '\0' ||
                       err->kind < PLSM_ERROR_INTERNAL || err->kind > PLSM_ERROR_RETENTION_GAP))
        wrong("no proper error");
    if (r == -1 && err != NULL && err->kind == PLSM_ERROR_CORRUPT)
        wrong("a failed call was taken for damage");
    if (getenv("PLSM_VERBOSE") != NULL && err != NULL)
        printf("# %s: kind %d: %s (%s)\n", proof.label, err->kind, err->message,
            err->path != NULL ? err->path : "no path");
    proof.n_errors++;
}

/* Another handle appends at once, and then the pool holds what it must. */
static void check_pool(const struct scene *scene, const char *path, bool with_messages)
{
    const struct pool_open_options at_once = {.busy_timeout_ms = 0};
    struct stage *stage = &proof.stage;
    scoped(pool_close) struct pool *pool = NULL;
    struct appended appended;
    struct pool_report report;
    struct pool_info info;
    char text[160];

    if (pool_open(path, POOL_WRITE, &at_once, &pool, NULL) != POOL_OK) {
        wrong("another handle cannot be opened at once");
        return;
    }
    if (scene->pool != STAGE_DIED &&
        (atomic_load(&pool->control->lock) != 0 || atomic_load(&pool->control->flush_lock) != 0))
        wrong("a lock is left taken");
    must(pool_info(pool, &info, NULL) == 0);
    const struct message message = {.data = stage_message(info.next_seq, text)};
    if (pool_append(pool, &message, 1, &appended, NULL) != POOL_OK)
        wrong("another handle cannot append at once");
    /* that a sync has failed is an issue until all have closed the pool */
    const size_t n_known = atomic_load(&pool->control->flush_failed) != 0 ? 1 : 0;
    if (pool_verify(pool, &report, NULL) != 0 || report.n_issues != n_known)
        wrong("the pool does not verify");
    if (!with_messages)
        return;
    const uint64_t n_new = info.next_seq - stage->first_new;
    if (n_new < stage->n_acked)
        wrong("an acknowledged message is lost");
    if (n_new > stage->n_tried || (stage->batch > 0 && n_new % stage->batch != 0))
        wrong("a batch is there by half");
    struct frame frame;
    for (uint64_t seq = info.oldest_seq; seq < info.next_seq; seq++) {
        const int r = pool_get(pool, seq, &frame, NULL);
        if (r == POOL_MISSING && (seq < info.oldest_seq + 5 || scene->replaces))
            continue; /* overwritten by what we appended, or lost with the damage */
        if (r != POOL_OK || !stage_is_message(&frame))
            wrong("a message is not what it was");
    }
}

/* A repair has either done nothing at all, or everything. */
static void check_repaired(const struct scene *scene, int r)
{
    static uint8_t now[POOL_BYTES];
    const uint8_t *before = proof.pools[scene->pool];

    read_file(proof.stage.path, now, sizeof(now));
    const bool untouched = memcmp(now, before, sizeof(now)) == 0;
    if (untouched && r == POOL_OK)
        wrong("a repair that changed nothing");
    if (!untouched)
        check_pool(scene, proof.stage.path, true);
    proof.replaced = !untouched;
}

/* Reading a sound pool changes nothing. */
static void check_same(const struct scene *scene)
{
    static uint8_t now[POOL_BYTES];
    read_file(proof.stage.path, now, sizeof(now));
    if (memcmp(now, proof.pools[scene->pool], sizeof(now)) != 0)
        wrong("the file was changed");
}

static void check_files(const struct scene *scene, int r)
{
    struct stage *stage = &proof.stage;
    const bool made = access(stage->other, F_OK) == 0;

    /* where the boot id must not be read it counts as unknown, and the opener recovers */
    if (strcmp(scene->name, "open for reading") == 0 && atomic_load(&inject->errnum) != EACCES)
        check_same(scene);
    if (scene->replaces)
        check_repaired(scene, r);
    else
        check_pool(scene, stage->path, true);
    if (made)
        check_pool(scene, stage->other, false);
    if (made && r == -1 && strcmp(scene->name, "create") == 0)
        wrong("a pool was created, and an error told");
}

/* The attempts --------------------------------------------------------------------------------*/

/* Plays the scene once. False: the failure that was ordered did not happen. */
static bool attempt(
    const struct scene *scene, enum inject_call call, int errnum, int64_t nth, bool sticky)
{
    struct stage *stage = &proof.stage;
    scoped(plsm_error_free) plsm_error_t *err = NULL;

    snprintf(proof.label, sizeof(proof.label), "%s, %s %lld%s, %s", scene->name,
        inject_kinds[call].name != NULL ? inject_kinds[call].name : "nothing", (long long)nth,
        sticky ? " and on" : "", errnum > 0 ? strerrorname_np(errnum) : "short");
    if (scene->pool != STAGE_NONE)
        write_file(stage->path, proof.pools[scene->pool], POOL_BYTES);
    stage->n_tried = stage->n_acked = stage->batch = 0;
    proof.replaced = false;
    const struct holdings before = count_holdings();
    if (scene->prepare != NULL)
        scene->prepare(stage);
    alarm(SCENE_LIMIT);
    inject_arm(call, errnum, nth, sticky);
    const int r = scene->run(stage, &err);
    inject_disarm();
    alarm(0);

    proof.n_attempts++;
    check_result(scene, r, err, call, errnum);
    plsm_error_free(err);
    err = NULL;
    if (scene->pool != STAGE_NONE)
        check_files(scene, r); /* while the scene's own handle is open still */
    if (scene->finish != NULL)
        scene->finish(stage);
    check_holdings(&before);
    if (clear_folder() > (proof.replaced ? 1u : 0u) && call != INJECT_UNLINK)
        wrong("a file is left over");
    return atomic_load(&inject->n_failed) > 0;
}

/* With the first call of a kind failing, with the second, and so on. False: there is none. */
static bool play_failing(const struct scene *scene, enum inject_call call, int errnum, bool sticky)
{
    int64_t nth = 1;
    while (nth < CALLS_MAX && attempt(scene, call, errnum, nth, sticky))
        nth++;
    if (nth == CALLS_MAX)
        wrong("it calls for ever");
    return nth > 1;
}

static void play(const struct scene *scene, unsigned number, bool brief)
{
    const uint64_t before = proof.n_wrong;

    proof.n_told = 0;
    for (enum inject_call call = INJECT_MEMORY; call < N_INJECT_CALLS; call++) {
        const int *errnums = inject_kinds[call].errnums;
        bool calls = true;
        for (int i = 0; errnums[i] != 0 && calls; i++) {
            calls = play_failing(scene, call, errnums[i], false);
            /* for ever interrupted: for ever tried again */
            if (calls && errnums[i] != EINTR && errnums[i] != EAGAIN && (i == 0 || !brief))
                play_failing(scene, call, errnums[i], true);
        }
    }
    printf("%s %u - %s\n", proof.n_wrong == before ? "ok" : "not ok", number, scene->name);
    fflush(stdout);
}

static const struct scene *scene_at(unsigned i)
{
    if (i < n_engine_scenes)
        return &engine_scenes[i];
    i -= n_engine_scenes;
    return i < n_abi_scenes ? &abi_scenes[i] : &stream_scenes[i - n_abi_scenes];
}

int main(int argc, char **argv)
{
    const unsigned n_scenes = n_engine_scenes + n_abi_scenes + n_stream_scenes;
    const bool brief = argc < 2 || strcmp(argv[1], "long") != 0;
    struct stage *stage = &proof.stage;

    proof_folder(stage->folder);
    snprintf(stage->path, sizeof(stage->path), "%s/pool.plasmite", stage->folder);
    snprintf(stage->other, sizeof(stage->other), "%s/other.plasmite", stage->folder);
    snprintf(stage->text, sizeof(stage->text), "%s/text", stage->folder);
    setvbuf(stdout, NULL, _IOLBF, 0);
    make_pools();
    printf("1..%u\n", n_scenes);
    for (unsigned i = 0; i < n_scenes; i++) /* what is made once in a process is made now */
        (void)attempt(scene_at(i), INJECT_NOTHING, 0, 0, false);
    proof.n_wrong = proof.n_told = 0;
    for (unsigned i = 0; i < n_scenes; i++)
        (void)attempt(scene_at(i), INJECT_NOTHING, 0, 0, false);
    for (unsigned i = 0; i < n_scenes; i++)
        if (argc < 3 || strstr(scene_at(i)->name, argv[2]) != NULL)
            play(scene_at(i), i + 1, brief);
    clear_folder();
    rmdir(stage->folder);
    printf(
        "# proof: faults: %u scenes played %llu times with one failing call, or all from one on: "
        "%llu clean errors, %llu without effect, %llu wrong\n",
        n_scenes, (unsigned long long)proof.n_attempts, (unsigned long long)proof.n_errors,
        (unsigned long long)proof.n_harmless, (unsigned long long)proof.n_wrong);
    return proof.n_wrong > 0;
}
