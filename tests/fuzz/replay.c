/* Runs a fuzz target over files instead of under a fuzzer: the corpus as a normal test.
 *
 * usage: X_fuzz FOLDER NAME
 *
 * Every file of the folder is one input; a crash or a sanitizer's report fails the test, and so
 * does a folder without inputs. Speaks TAP: one case, named NAME. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return -1;

    /* Exactly as large as the input, so that reading past its end is seen. */
    struct stat status;
    uint8_t *data = NULL;
    int r = -1;
    if (fstat(fileno(file), &status) == 0 && S_ISREG(status.st_mode)) {
        const size_t size = (size_t)status.st_size;
        data = malloc(size > 0 ? size : 1);
        if (data != NULL && fread(data, 1, size, file) == size)
            r = LLVMFuzzerTestOneInput(data, size);
    }
    free(data);
    fclose(file);
    return r;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    DIR *folder = opendir(argv[1]);
    if (folder == NULL) {
        perror(argv[1]);
        return 2;
    }

    printf("1..1\n");
    size_t n_inputs = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
        fflush(stdout);
        if (replay_file(path) != 0) {
            printf("# %s could not be replayed\n", path);
            break;
        }
        n_inputs++;
    }
    closedir(folder);
    printf("%s 1 - %s, %zu inputs\n", n_inputs > 0 ? "ok" : "not ok", argv[2], n_inputs);
    return n_inputs > 0 ? 0 : 1;
}
