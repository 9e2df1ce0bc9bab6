/* What the manual says beyond the command tables; man(7) source, apart from the names. */
#ifndef CLI_MANUAL_TEXT_H
#define CLI_MANUAL_TEXT_H

struct manual_text {
    const char *path;        /* of the command */
    const char *description; /* after what help says, or NULL */
    const char *exit_status; /* rows before the common ones: .TP, code, text; or NULL */
};

/* The one for this command; never NULL. */
const struct manual_text *manual_text_find(const char *path);

extern const char manual_root_description[];
extern const char manual_root_examples[];
extern const char manual_exit_status[];
extern const char manual_environment[];
extern const char manual_files[];

#endif
