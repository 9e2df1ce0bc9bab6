/* Tables for people and for scripts that count columns: a header, rows, columns aligned to the
 * left, two blanks between them. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "base/buf.h"
#include "cli/text.h"

#define TABLE_COLUMNS_MAX 8

struct table {
    struct text cells; /* each followed by a NUL */
    size_t n_columns;
    size_t n_cells;
    size_t widths[TABLE_COLUMNS_MAX];
};

/* names: n_columns of them. */
void table_init(struct table *table, const char *const *names, size_t n_columns);
void table_fini(struct table *table);

static inline void table_fini_scoped(struct table *table)
{
    table_fini(table);
}

/* The next cell, row by row. Line ends and control characters in it are made visible. */
void table_cell(struct table *table, const char *cell);

/* A cell that is built in text, which is empty afterwards. */
void table_cell_text(struct table *table, struct text *text);

void table_render(const struct table *table, struct text *out);

#endif
