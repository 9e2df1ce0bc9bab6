/* The command tables, one file each; command_root is the tree that main() parses by. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/args.h"

extern const struct command command_root;
extern const struct command command_pool;
extern const struct command command_pool_create;
extern const struct command command_pool_info;
extern const struct command command_pool_import;
extern const struct command command_pool_delete;
extern const struct command command_pool_list;
extern const struct command command_feed;
extern const struct command command_fetch;
extern const struct command command_follow;
extern const struct command command_tap;
extern const struct command command_duplex;
extern const struct command command_doctor;
extern const struct command command_version;
extern const struct command command_completion;

#endif
