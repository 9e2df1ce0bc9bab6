#include "cli/table.h"

#include <assert.h>
#include <string.h>

void table_init(struct table *table, const char *const *names, size_t n_columns)
{
    assert(n_columns <= TABLE_COLUMNS_MAX);
    *table = (struct table){.n_columns = n_columns};
    for (size_t i = 0; i < n_columns; i++)
        table_cell(table, names[i]);
}

void table_fini(struct table *table)
{
    text_fini(&table->cells);
    *table = (struct table){0};
}

/* Characters, not bytes: those of UTF-8 that do not continue one. */
static size_t table_width(const char *cell)
{
    size_t width = 0;
    for (; *cell != '\0'; cell++)
        width += ((unsigned char)*cell & 0xc0) != 0x80;
    return width;
}

void table_cell(struct table *table, const char *cell)
{
    const size_t start = table->cells.buf.len;
    text_printable(&table->cells, view_str(cell));
    text_put(&table->cells, "", 1);
    if (table->cells.failed)
        return;
    const size_t width = table_width((const char *)table->cells.buf.data + start);
    size_t *column = &table->widths[table->n_cells++ % table->n_columns];
    *column = width > *column ? width : *column;
}

void table_cell_text(struct table *table, struct text *text)
{
    text_put(text, "", 1);
    if (text->failed)
        table->cells.failed = true;
    else
        table_cell(table, (const char *)text->buf.data);
    text->buf.len = 0;
}

void table_render(const struct table *table, struct text *out)
{
    const char *cell = (const char *)table->cells.buf.data;

    if (table->cells.failed) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < table->n_cells; i++) {
        const size_t column = i % table->n_columns;
        text_str(out, cell);
        text_pad(out, table->widths[column] - table_width(cell));
        text_str(out, column + 1 == table->n_columns ? "\n" : "  ");
        cell += strlen(cell) + 1;
    }
}
