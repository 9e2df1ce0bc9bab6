/* The program itself as a command: its subcommands and its page of help. */
#include "cli/commands.h"

#include <stddef.h>

static const struct command *const root_children[] = {
    &command_pool,
    &command_feed,
    &command_fetch,
    &command_follow,
    &command_tap,
    &command_duplex,
    &command_doctor,
    &command_version,
    &command_completion,
    NULL,
};

const struct command command_root = {
    .name = "plasmite",
    .path = "",
    .children = root_children,
    .help_when_empty = true,
    .usage = "[OPTIONS] <COMMAND>",
    .about =
        "Plasmite keeps JSON messages in pools. A pool is a persistent, bounded stream in "
        "one file: `feed` appends messages, `follow` prints them as they come, `fetch` prints one "
        "again. No daemon, no configuration, no ports.",
    .notes = "FIRST LOCAL WORKFLOW\n"
             "  plasmite pool create chat\n"
             "  plasmite follow chat                      # in one terminal\n"
             "  plasmite feed chat '{\"msg\":\"hello\"}'      # in another\n"
             "  plasmite fetch chat 1\n"
             "\n"
             "SCRIPTS\n"
             "  Use --json or --format jsonl for output that programs read. Errors are JSON\n"
             "  when stderr is not a terminal; the exit code tells their kind.\n"
             "  Top-level options precede the command: plasmite --dir DIR feed chat ...\n"
             "\n"
             "MORE\n"
             "  plasmite <command> --help\n"
             "  https://github.com/sandover/plasmite/blob/main/docs/cli.md\n"
             "  https://github.com/sandover/plasmite/blob/main/docs/cookbook.md\n",
};
