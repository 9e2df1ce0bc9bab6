/* Disks that fail, or are full.
 *
 *     disk quick | long [RUNS]
 *
 * disk_sync.c makes syncs fail; disk_space.c fills disks, for real; disk_block.c looks at what a
 * block device holds. What needs rights or file systems that are not there is skipped, with the
 * reason. PLSM_SEED= repeats a run. */
#include "tests/proof/disk.h"

#include "base/clock.h"
#include "tests/proof/proof.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#define QUICK_RUNS  200
#define LONG_RUNS   10000
#define RUNS_A_LOSS 25 /* of the block device */

bool disk_case(unsigned *number, const char *name, bool held, const char *reason)
{
    printf("%sok %u - %s", held ? "" : "not ", ++*number, name);
    if (reason != NULL)
        printf(" # SKIP %s", reason);
    putchar('\n');
    fflush(stdout);
    return held;
}

bool disk_enter_namespace(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

bool disk_command(const char *command)
{
    const pid_t pid = fork();
    int status = 0;
    must(pid >= 0);
    if (pid == 0) {
        const int null = open("/dev/null", O_RDWR);
        must(dup2(null, 1) == 1 && dup2(null, 2) == 2);
        must(setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1) == 0);
        execl("/bin/sh", "sh", "-c", command, NULL);
        _exit(127);
    }
    must(waitpid(pid, &status, 0) == pid);
    return status == 0;
}

/* The program lies two folders above this one. */
static void find_plasmite(char *path, size_t size)
{
    char self[256] = "";
    must(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    for (int i = 0; i < 3; i++)
        *strrchr(self, '/') = '\0';
    snprintf(path, size, "%s/plasmite", self);
}

int main(int argc, char **argv)
{
    const bool quick = argc < 2 || strcmp(argv[1], "long") != 0;
    const char *seed_text = getenv("PLSM_SEED");
    const uint64_t seed = seed_text != NULL ? strtoull(seed_text, NULL, 10) : clock_wall_ns();
    uint64_t n_runs = quick ? QUICK_RUNS : LONG_RUNS;
    unsigned number = 0;
    char plasmite[300];

    if (argc > 2)
        n_runs = strtoull(argv[2], NULL, 10);
    find_plasmite(plasmite, sizeof(plasmite));
    printf("# disk: PLSM_SEED=%" PRIu64 "\n", seed);
    bool held = disk_sync_errors(&number, n_runs, seed);
    const bool can_mount = disk_enter_namespace();
    held = disk_space(&number, plasmite, can_mount) && held;
    const uint64_t n_losses = n_runs / RUNS_A_LOSS;
    held = disk_block(&number, n_losses, seed, can_mount) && held;
    printf("1..%u\n", number);
    printf("# proof: disk: %" PRIu64 " runs with a failing sync, %" PRIu64
           " losses of a block device's power; %u cases %s\n",
        n_runs, n_losses, number, held ? "held" : "FAILED");
    return held ? 0 : 1;
}
