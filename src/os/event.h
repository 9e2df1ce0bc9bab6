/* A descriptor that is readable while it is set: how a thread reaches an event loop. A port
 * supplies these functions. */
#ifndef OS_EVENT_H
#define OS_EVENT_H

/* A descriptor, not set, closed on exec; -1 with errno. To be closed with close(). */
int event_open(void);

/* Neither blocks; setting one that is set already does nothing. */
void event_set(int fd);
void event_clear(int fd);

#endif
