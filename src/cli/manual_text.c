#include "cli/manual_text.h"

#include <string.h>

const char manual_root_description[] =
    ".PP\n"
    "Pools are ordinary files of a fixed size. Any number of processes may read and write a pool\n"
    "at the same time; a full pool overwrites its oldest messages. Every message has a sequence\n"
    "number (\\fBseq\\fR), a time, tags, and a JSON object as its data.\n"
    ".PP\n"
    "A pool is named by a word, which means \\fINAME\\fR.plasmite in the pool directory, or by a\n"
    "path, which contains a slash.\n"
    ".PP\n"
    "The top\\-level options precede the command. \\fBpls\\fR is the same program; without\n"
    "arguments it prints its help.\n"
    ".PP\n"
    "Output for people goes to terminals; into a pipe, and with \\fB\\-\\-json\\fR, commands "
    "print\n"
    "JSON. An error is one line of JSON on standard error where that is not a terminal.\n";

const char manual_root_examples[] =
    "Make a pool, follow it in one terminal, feed it from another:\n"
    ".PP\n"
    ".RS 4\n"
    ".nf\n"
    "plasmite pool create chat\n"
    "plasmite follow chat\n"
    "plasmite feed chat \\(aq{\\(dqmsg\\(dq:\\(dqhello\\(dq}\\(aq\n"
    "plasmite fetch chat 1\n"
    ".fi\n"
    ".RE\n";

const char manual_exit_status[] =
    ".TP\n1\nInternal error: a mistake of the program itself.\n"
    ".TP\n2\nUsage: the command line, or data that was given, is wrong.\n"
    ".TP\n3\nNotFound: there is no such pool, message or file.\n"
    ".TP\n4\nAlreadyExists: the pool exists.\n"
    ".TP\n5\nBusy: another process kept the pool locked for too long.\n"
    ".TP\n6\nPermission: access was denied.\n"
    ".TP\n7\nCorrupt: a file is no pool, or is damaged.\n"
    ".TP\n8\nIo: the system failed to read or write.\n"
    ".TP\n9\nRetentionGap: the message was overwritten.\n";

const char manual_environment[] =
    ".TP\n\\fBHOME\\fR\nThe pool directory is \\fI$HOME/.plasmite/pools\\fR unless\n"
    "\\fB\\-\\-dir\\fR is given.\n"
    ".TP\n\\fBNO_COLOR\\fR, \\fBCLICOLOR_FORCE\\fR, \\fBTERM\\fR\nUnless \\fB\\-\\-color\\fR says\n"
    "always or never: nothing is coloured where \\fBNO_COLOR\\fR is set and not empty; else\n"
    "everything but compact JSON is where \\fBCLICOLOR_FORCE\\fR is set, not empty and not 0,\n"
    "also in pipes; else nothing where \\fBTERM\\fR is \\(lqdumb\\(rq.\n"
    ".TP\n\\fBLC_ALL\\fR, \\fBLC_CTYPE\\fR, \\fBLANG\\fR\nPictures on a terminal are drawn in "
    "ASCII\n"
    "where the first of these that is not empty names no UTF-8 locale.\n";

const char manual_files[] =
    ".TP\n\\fI~/.plasmite/pools/NAME.plasmite\\fR\nThe pool \\fINAME\\fR.\n";

static const struct manual_text texts[] = {
    {.path = "feed",
        .description =
            ".PP\n"
            "A receipt is printed when the message can be read by everyone. With\n"
            "\\fB\\-\\-durability flush\\fR it is printed when the message would survive a power\n"
            "loss; without, every message survives the death of any process, but not of the\n"
            "machine.\n"
            ".PP\n"
            "Standard input and files are read as they come: a record is appended as soon as it\n"
            "is complete. The data of a message is a JSON object.\n",
        .exit_status = ".TP\n0\nEverything was appended.\n"
                       ".TP\n1\nRecords were skipped (\\fB\\-\\-errors skip\\fR); the others were\n"
                       "appended.\n"},
    {.path = "follow",
        .description =
            ".PP\n"
            "Without \\fB\\-\\-tail\\fR or \\fB\\-\\-since\\fR only new messages are printed. "
            "Messages\n"
            "that were overwritten before they could be read are reported on standard error.\n",
        .exit_status = ".TP\n0\nThe one message (\\fB\\-\\-one\\fR) or the replay was printed.\n"
                       ".TP\n124\n\\fB\\-\\-timeout\\fR expired.\n"},
    {.path = "doctor", .exit_status = ".TP\n0\nEvery pool is healthy, or was repaired.\n"},
    {.path = "pool",
        .exit_status =
            ".TP\n0\nDone. \\fBpool delete\\fR tries all names and exits with the code of\n"
            "the first failure.\n"},
    {.path = "completion",
        .description =
            ".PP\n"
            "An installation brings the scripts for bash, zsh and fish along, in the folders in\n"
            "which these shells look for them.\n"},
};

const struct manual_text *manual_text_find(const char *path)
{
    static const struct manual_text nothing = {0};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (strcmp(texts[i].path, path) == 0)
            return &texts[i];
    return &nothing;
}
