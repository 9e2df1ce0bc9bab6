#include "abi/abi.h"

#include "client/ref.h"
#include "json/write.h"

#include <stdlib.h>
#include <string.h>

int plsm_client_new(const char *pool_dir, plsm_client_t **out_client, plsm_error_t **out_err)
{
    if (out_client == NULL)
        return abi_null(out_err, "out_client");
    if (pool_dir != NULL && !json_is_utf8(view_str(pool_dir)))
        return error_set(out_err, PLSM_ERROR_USAGE, "pool_dir is not valid UTF-8");

    plsm_client_t *client = malloc(sizeof(*client));
    char *directory = ref_directory(pool_dir != NULL && pool_dir[0] == '\0' ? "." : pool_dir);
    if (client == NULL || directory == NULL) {
        free(client);
        free(directory);
        return error_oom(out_err);
    }
    client->pool_dir = directory;
    *out_client = client;
    return 0;
}

void plsm_client_free(plsm_client_t *client)
{
    if (client == NULL)
        return;
    free(client->pool_dir);
    free(client);
}
