#include "cli/drops.h"

#include "base/clock.h"
#include "cli/report.h"

uint64_t drops_deadline(const struct drops *drops)
{
    return drops->n_pending == 0 ? DEADLINE_NEVER : drops->due_ns;
}

void drops_tell(struct drops *drops, bool now)
{
    scoped(text_fini) struct text details = {0};
    scoped(text_fini) struct text message = {0};
    const unsigned long long n = drops->n_pending;

    if (n == 0 || (!now && clock_monotonic_ns() < drops->due_ns))
        return;
    text_printf(&details,
        "{\"dropped_count\":%llu,\"last_seen_seq\":%llu,\"next_seen_seq\":%llu,\"pool_path\":", n,
        (unsigned long long)drops->first_seq - 1, (unsigned long long)drops->next_seq);
    text_json_str(&details, drops->ref->path);
    text_str(&details, "}");
    text_printf(&message, "dropped %llu messages", n);
    text_put(&message, "", 1);
    if (!message.failed && !details.failed)
        report_notice(drops->context, "drop", "follow", drops->ref->text,
            (const char *)message.buf.data, buf_view(&details.buf));
    drops->n_pending = 0;
    drops->due_ns = clock_monotonic_ns() + NS_PER_SECOND;
}

void drops_add(struct drops *drops, struct gap gap)
{
    if (drops->quiet)
        return;
    if (drops->n_pending == 0)
        drops->first_seq = gap.first_seq;
    drops->n_pending += gap.next_seq - gap.first_seq;
    drops->next_seq = gap.next_seq;
    drops_tell(drops, false);
}
