/*
 * push_cost DATABASE CONNECTOR.json PUSHES: prints the microseconds that one casehook_push() takes;
 * push_cost DATABASE open 0: those that casehook_open() takes.
 */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <time.h>

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

int main(int argc, char **argv)
{
    const char *tags[] = {"infra"};
    casehook_comment comments[] = {{"c1", "first look"}};
    casehook_case c = CASEHOOK_CASE_INIT;
    casehook_options *options = casehook_options_new();
    casehook_agent *agent = NULL;
    casehook_error *err = NULL;
    double started, opened;
    int64_t id;
    int pushes, i;

    CHECK(argc == 4);
    pushes = atoi(argv[3]);
    OK(casehook_options_set_drain(options, pushes == 0, &err));
    started = now();
    OK(casehook_open(argv[1], options, &agent, &err));
    opened = now();
    if (pushes == 0) {
        printf("%.1f\n", opened - started);
        casehook_agent_free(agent);
        casehook_options_free(options);
        return 0;
    }
    OK(casehook_configure(agent, "tracker", slurp(argv[2]), NULL, &err));
    c.title = "Disk full";
    c.id = "host-7/disk";
    c.description = "95 % of /var is in use";
    c.severity = "high";
    c.tags = tags;
    c.tag_count = 1;
    c.comments = comments;
    c.comment_count = 1;
    started = now();
    for (i = 0; i < pushes; i++)
        OK(casehook_push(agent, "tracker", &c, &id, &err));
    printf("%.2f\n", (now() - started) / pushes);
    casehook_agent_free(agent);
    casehook_options_free(options);
    return 0;
}
