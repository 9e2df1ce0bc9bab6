#include "cli/commands.h"
#include "cli/context.h"
#include "cli/json_out.h"

#include <unistd.h>

static int version_run(struct context *context, const struct args *args, plsm_error_t **err)
{
    (void)args;
    scoped(text_fini) struct text text = {0};
    if (context->stdout_tty) {
        text_str(&text, "plasmite " PLASMITE_INTERFACE_VERSION "\n");
        return text_write(&text, STDOUT_FILENO, err);
    }
    text_str(&text, "{\"name\":\"plasmite\",\"version\":\"" PLASMITE_INTERFACE_VERSION
                    "\",\"build\":\"" PLASMITE_BUILD_VERSION "\"}");
    return json_out_document(context, &text, err);
}

const struct command command_version = {
    .name = "version",
    .path = "version",
    .summary = "Print version information",
    .about = "Print human-readable version information on a terminal, and, when\n"
             "stdout is redirected or piped, machine-readable JSON.",
    .examples = "Examples:\n"
                "  plasmite version\n"
                "  plasmite version | jq -r .version\n",
    .run = version_run,
};
