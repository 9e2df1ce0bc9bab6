/* The guard that a program asks for: pools that are cut off are Corrupt, every other fault and
 * signal is as it was. Each case is a process of its own, which has the guard for good. */
#include "abi/abi_test.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define POOL_BYTES 65536
#define SECONDS    20 /* in which a case must end */
#define EXIT_RIGHT 7

static const char message[] = "{\"some\":\"message of a usual size, sixty bytes or more\"}";

/* What must hold in a child; says where it did not. */
#define must(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            _exit(99);                                                                             \
        }                                                                                          \
    } while (0)

static void dispose(int signo, void (*handler)(int))
{
    const struct sigaction action = {.sa_handler = handler};
    must(sigaction(signo, &action, NULL) == 0);
}

/* Runs a case with SIGBUS at its default; returns how its process ended, as waitpid() says. */
static int run(void (*body)(void))
{
    int status = -1;
    fflush(NULL);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dispose(SIGBUS, SIG_DFL);
        dispose(SIGALRM, SIG_DFL);
        alarm(SECONDS);
        body();
        _exit(EXIT_RIGHT);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static bool is_right(int status)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == EXIT_RIGHT;
}

static bool is_bus_error(int status)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS;
}

static void install(void)
{
    plsm_error_t *err = NULL;
    must(plsm_guard_install(&err) == 0 && err == NULL);
}

/* A pool that is full. */
static plsm_pool_t *make_pool(void)
{
    plsm_client_t *client = NULL;
    plsm_pool_t *pool = NULL;

    unlink(test_path("cut"));
    must(plsm_client_new(test_dir(), &client, NULL) == 0);
    must(plsm_pool_create(client, test_path("cut"), POOL_BYTES, &pool, NULL) == 0);
    plsm_client_free(client);
    for (int i = 0; i < 2000; i++)
        must(plsm_pool_append_json_seq(pool, (const uint8_t *)message, sizeof(message) - 1, NULL, 0,
                 PLSM_FAST, NULL, NULL, NULL) == 0);
    return pool;
}

static void cut(off_t len)
{
    must(truncate(test_path("cut"), len) == 0);
}

static bool is_corrupt(int r, plsm_error_t **err)
{
    const bool corrupt = r == -1 && *err != NULL && (*err)->kind == PLSM_ERROR_CORRUPT;
    plsm_error_free(*err);
    *err = NULL;
    return corrupt;
}

/* Appending goes round the ring once, at most, before it meets what is gone. */
static void appending_is_refused(plsm_pool_t *pool)
{
    plsm_error_t *err = NULL;
    int r = 0;
    for (int i = 0; i < 3000 && r == 0; i++)
        r = plsm_pool_append_json_seq(pool, (const uint8_t *)message, sizeof(message) - 1, NULL, 0,
            PLSM_FAST, NULL, NULL, &err);
    must(is_corrupt(r, &err));
}

static plsm_stream_t *stream_of(plsm_pool_t *pool)
{
    plsm_stream_t *stream = NULL;
    must(plsm_stream_open(pool, 0, 0, 0, 0, 0, 0, &stream, NULL) == 0);
    return stream;
}

/* What comes before that is as it was written. */
static void reading_is_refused(plsm_stream_t *stream)
{
    plsm_error_t *err = NULL;
    plsm_buf_t text = {0};
    int r;
    while ((r = plsm_stream_next(stream, &text, &err)) == 1) {
        must(memmem(text.data, text.len, message, sizeof(message) - 1) != NULL);
        plsm_buf_free(&text);
    }
    must(is_corrupt(r, &err));
}

/* A reader and a writer ------------------------------------------------------------------------*/

static void survive_cut(off_t len)
{
    plsm_pool_t *pool = make_pool();
    plsm_stream_t *stream = stream_of(pool);
    cut(len);
    reading_is_refused(stream);
    appending_is_refused(pool);
    appending_is_refused(pool);
    plsm_stream_free(stream);
    plsm_pool_free(pool);

    pool = make_pool(); /* another pool is none the worse */
    plsm_pool_free(pool);
}

static off_t cut_len;

static void read_and_write(void)
{
    install();
    survive_cut(cut_len);
}

static void test_guard_makes_cut_pools_corrupt(void **state)
{
    (void)state;
    for (cut_len = 0; cut_len < POOL_BYTES; cut_len += 12288)
        assert_true(is_right(run(read_and_write)));
}

static void read_without(void)
{
    plsm_pool_t *pool = make_pool();
    plsm_stream_t *stream = stream_of(pool);
    cut(4096);
    reading_is_refused(stream);
}

static void append_without(void)
{
    plsm_pool_t *pool = make_pool();
    cut(0);
    appending_is_refused(pool);
}

static void test_guard_is_not_there_unless_asked_for(void **state)
{
    (void)state;
    assert_true(is_bus_error(run(read_without)));
    assert_true(is_bus_error(run(append_without)));
}

static void install_late(void)
{
    plsm_pool_t *pool = make_pool();
    plsm_stream_t *stream = stream_of(pool);
    install();
    install();
    cut(8192);
    const pid_t child = fork();
    must(child >= 0);
    alarm(SECONDS);
    reading_is_refused(stream);
    appending_is_refused(pool);
    if (child == 0)
        _exit(EXIT_RIGHT);
    int status = 0;
    must(waitpid(child, &status, 0) == child && is_right(status));
}

static void test_guard_holds_for_pools_opened_before_and_for_children(void **state)
{
    (void)state;
    assert_true(is_right(run(install_late)));
}

static void *read_in_thread(void *stream)
{
    reading_is_refused(stream);
    return NULL;
}

static void use_threads(void)
{
    pthread_t threads[4];
    install();
    plsm_pool_t *pool = make_pool();
    plsm_stream_t *waiting = stream_of(pool);
    int fd = -1;
    must(plsm_stream_seek_last(waiting, 0, NULL) == 0 && plsm_stream_fd(waiting, &fd, NULL) == 0);
    for (int i = 0; i < 4; i++)
        must(pthread_create(&threads[i], NULL, read_in_thread, stream_of(pool)) == 0);
    cut(0);
    for (int i = 0; i < 4; i++)
        must(pthread_join(threads[i], NULL) == 0);
    /* the thread that serves descriptors has met the missing words, too */
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    must(poll(&wait, 1, SECONDS * 1000) == 1);
    must(plsm_stream_wait(waiting, 0, NULL) == 1);
    reading_is_refused(waiting);
}

static void test_guard_holds_in_all_threads(void **state)
{
    (void)state;
    assert_true(is_right(run(use_threads)));
}

/* Part of the ring that nobody reads is gone: an event loop hears of it all the same. */
static void wait_in_loop(void)
{
    install();
    plsm_pool_t *pool = make_pool();
    plsm_stream_t *stream = stream_of(pool);
    plsm_error_t *err = NULL;
    plsm_buf_t text = {0};
    int fd = -1;
    must(plsm_stream_seek_last(stream, 0, NULL) == 0 && plsm_stream_fd(stream, &fd, NULL) == 0);
    must(plsm_stream_wait(stream, 0, NULL) == 0);
    cut(POOL_BYTES - 4096);
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    must(poll(&wait, 1, SECONDS * 1000) == 1);
    must(plsm_stream_wait(stream, 0, NULL) == 1);
    must(plsm_stream_idle_timeout(stream, 0, NULL) == 0); /* it does not wait to find out */
    must(is_corrupt(plsm_stream_next(stream, &text, &err), &err));
}

static void test_guard_tells_event_loops(void **state)
{
    (void)state;
    assert_true(is_right(run(wait_in_loop)));
}

static void look_in_place(void)
{
    install();
    plsm_pool_t *pool = make_pool();
    plsm_stream_t *stream = stream_of(pool);
    plsm_view_t view;
    must(plsm_stream_next_view(stream, &view, NULL) == 1);
    must(plsm_stream_view_valid(stream, &view) == 1);
    cut(4096);
    must(*(const volatile uint8_t *)view.data == 0);
    must(plsm_stream_view_valid(stream, &view) == 0);
}

static void test_guard_invalidates_what_is_read_in_place(void **state)
{
    (void)state;
    assert_true(is_right(run(look_in_place)));
}

/* Others' faults -------------------------------------------------------------------------------*/

static void *foreign; /* a page of a file that has none */
static sigjmp_buf after_fault;
static volatile sig_atomic_t n_handled;
static void *handled_address;
static bool handled_on_own_stack, handled_masked;
static char own_stack[65536];

static void make_foreign(void)
{
    FILE *file = tmpfile();
    must(file != NULL && ftruncate(fileno(file), 4096) == 0);
    foreign = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fileno(file), 0);
    must(foreign != MAP_FAILED && ftruncate(fileno(file), 0) == 0);
}

static void note(void *address)
{
    const uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    sigset_t blocked;
    n_handled++;
    handled_address = address;
    handled_on_own_stack = here - (uintptr_t)own_stack < sizeof(own_stack);
    sigprocmask(SIG_BLOCK, NULL, &blocked);
    handled_masked = sigismember(&blocked, SIGUSR2) == 1;
}

static void handle_info(int signo, siginfo_t *info, void *context)
{
    (void)context;
    note(info->si_code > 0 ? info->si_addr : NULL);
    if (signo == SIGBUS && info->si_code > 0)
        siglongjmp(after_fault, 1);
}

static void handle_plain(int signo)
{
    note(NULL);
    if (signo == SIGBUS)
        siglongjmp(after_fault, 1);
}

/* The program's own, on a stack of its own and with SIGUSR2 blocked. */
static void handle_own(int flags)
{
    const stack_t stack = {.ss_sp = own_stack, .ss_size = sizeof(own_stack)};
    struct sigaction action = {.sa_flags = flags | SA_ONSTACK};
    if ((flags & SA_SIGINFO) != 0)
        action.sa_sigaction = handle_info;
    else
        action.sa_handler = handle_plain;
    sigaddset(&action.sa_mask, SIGUSR2);
    must(sigaltstack(&stack, NULL) == 0 && sigaction(SIGBUS, &action, NULL) == 0);
}

static void fault_in_foreign(void)
{
    const int before = n_handled;
    if (sigsetjmp(after_fault, 1) == 0)
        (void)*(volatile const char *)foreign;
    must(n_handled == before + 1 && handled_on_own_stack && handled_masked);
}

static void keep_handlers(void)
{
    make_foreign();
    handle_own(SA_SIGINFO);
    install();
    for (int i = 0; i < 3; i++) {
        handled_address = NULL;
        fault_in_foreign();
        must(handled_address == foreign);
    }
    survive_cut(8192);
    must(n_handled == 3);
    must(raise(SIGBUS) == 0 && n_handled == 4 && handled_address == NULL);
}

static void keep_plain_handlers(void)
{
    make_foreign();
    handle_own(0);
    install();
    fault_in_foreign();
    fault_in_foreign();
    survive_cut(8192);
}

/* As without a guard, the second fault ends the process. */
static void keep_handlers_for_once(void)
{
    make_foreign();
    handle_own((int)SA_RESETHAND);
    install();
    fault_in_foreign();
    (void)*(volatile const char *)foreign;
}

static void test_guard_leaves_other_faults_to_the_handler_before(void **state)
{
    (void)state;
    assert_true(is_right(run(keep_handlers)));
    assert_true(is_right(run(keep_plain_handlers)));
    assert_true(is_bus_error(run(keep_handlers_for_once)));
}

static void fault_by_default(void)
{
    make_foreign();
    install();
    (void)*(volatile const char *)foreign;
}

static void fault_while_ignored(void)
{
    make_foreign();
    dispose(SIGBUS, SIG_IGN);
    install();
    (void)*(volatile const char *)foreign;
}

static void be_sent_one(void)
{
    install();
    kill(getpid(), SIGBUS);
}

static void ignore_one(void)
{
    dispose(SIGBUS, SIG_IGN);
    install();
    must(raise(SIGBUS) == 0);
    survive_cut(8192);
}

static void test_guard_leaves_the_default_as_it_was(void **state)
{
    (void)state;
    assert_true(is_bus_error(run(fault_by_default)));
    assert_true(is_bus_error(run(fault_while_ignored)));
    assert_true(is_bus_error(run(be_sent_one)));
    assert_true(is_right(run(ignore_one)));
}

/* One that came after the guard and hands on to it. */
static struct sigaction handed_on_to;

static void hand_on(int signo, siginfo_t *info, void *context)
{
    n_handled++;
    must(n_handled < 10);
    handed_on_to.sa_sigaction(signo, info, context);
}

static void hand_on_in_a_circle(void)
{
    const struct sigaction action = {.sa_sigaction = hand_on, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    make_foreign();
    handle_own(SA_SIGINFO);
    install();
    must(sigaction(SIGBUS, &action, &handed_on_to) == 0);
    survive_cut(4096); /* by way of the other one */
    must(n_handled > 0);
    install(); /* before it again */
    n_handled = 0;
    survive_cut(4096);
    must(n_handled == 0);
    for (int i = 0; i < 2; i++) { /* the other one, and the program's own */
        n_handled = 0;
        if (sigsetjmp(after_fault, 1) == 0)
            (void)*(volatile const char *)foreign;
        must(n_handled == 2 && handled_address == foreign);
    }
}

static void replace_the_guard(void)
{
    install();
    dispose(SIGBUS, SIG_DFL);
    install();
    survive_cut(4096);
    dispose(SIGBUS, SIG_DFL);
    survive_cut(4096);
}

static void test_guard_can_be_put_in_place_again(void **state)
{
    (void)state;
    assert_true(is_right(run(hand_on_in_a_circle)));
    assert_true(is_bus_error(run(replace_the_guard)));
}

TESTS(test_guard_makes_cut_pools_corrupt, test_guard_is_not_there_unless_asked_for,
    test_guard_holds_for_pools_opened_before_and_for_children, test_guard_holds_in_all_threads,
    test_guard_tells_event_loops, test_guard_invalidates_what_is_read_in_place,
    test_guard_leaves_other_faults_to_the_handler_before, test_guard_leaves_the_default_as_it_was,
    test_guard_can_be_put_in_place_again)
