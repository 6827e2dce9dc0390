/*
 * An event loop that looks at its pushes now and then, and prints each change of state: no thread of its own, no waiting
 * call. What casehook has to say comes through the log callback.
 *
 *     monitor DATABASE CONNECTOR.json CASES
 *
 *     cc monitor.c $(pkg-config --cflags --libs casehook) -o monitor
 */
#include <casehook.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST = 100 };

struct watched {
    int64_t id;
    casehook_state state;
};

static void on_log(void *user_data, casehook_log_level level, const char *message)
{
    (void)user_data;
    fprintf(stderr, "casehook [%d] %s\n", (int)level, message);
}

static int fail(const char *doing, casehook_error *err)
{
    fprintf(stderr, "%s: %s\n", doing, casehook_error_message(err));
    casehook_error_free(err);
    return 1;
}

static int push(casehook_agent *agent, int number, struct watched *watched)
{
    char title[64], id[64];
    casehook_case c = CASEHOOK_CASE_INIT;
    casehook_error *err;

    snprintf(title, sizeof title, "Sensor %d is silent", number);
    snprintf(id, sizeof id, "sensor-%d", number);
    c.title = title;
    c.id = id;
    watched->state = CASEHOOK_STATE_UNKNOWN;
    return casehook_push(agent, "tracker", &c, &watched->id, &err) ? fail("push", err) : 0;
}

/* Prints what changed; 1 when nothing more will happen to it by itself. */
static int look(casehook_agent *agent, struct watched *watched)
{
    casehook_status *status;
    casehook_error *err;
    int done;

    if (casehook_get_status(agent, watched->id, &status, &err)) {
        fail("status", err);
        return 1;
    }
    if (casehook_status_state(status) != watched->state) {
        const char *why = casehook_status_error_message(status);
        watched->state = casehook_status_state(status);
        printf("push %lld: %s%s%s\n", (long long)watched->id, casehook_status_state_name(status), why ? ", " : "",
               why ? why : "");
    }
    done = casehook_status_is_final(status) || watched->state == CASEHOOK_STATE_HELD;
    casehook_status_free(status);
    return done;
}

int main(int argc, char **argv)
{
    static char config[64 * 1024];
    static struct watched watched[MOST];
    casehook_agent *agent;
    casehook_error *err;
    int count = argc == 4 ? atoi(argv[3]) : 0, open, i;
    FILE *file = argc == 4 ? fopen(argv[2], "rb") : NULL;

    if (!file || count < 1 || count > MOST) {
        fprintf(stderr, "usage: monitor DATABASE CONNECTOR.json CASES (1 to %d)\n", MOST);
        return 2;
    }
    config[fread(config, 1, sizeof config - 1, file)] = '\0';
    fclose(file);

    casehook_set_log_callback(on_log, NULL, CASEHOOK_LOG_WARN, NULL);
    if (casehook_open(argv[1], NULL, &agent, &err))
        return fail("open", err);
    if (casehook_configure(agent, "tracker", config, NULL, &err))
        return fail("configure", err);
    for (i = 0; i < count; i++)
        if (push(agent, i + 1, &watched[i]))
            return 1;

    do {
        /* A real program has its own descriptors here. */
        poll(NULL, 0, 50);
        open = 0;
        for (i = 0; i < count; i++)
            open += !look(agent, &watched[i]);
    } while (open > 0);

    if (casehook_close(agent, 5000, &err))
        return fail("close", err);
    casehook_agent_free(agent);
    casehook_set_log_callback(NULL, NULL, 0, NULL);
    return 0;
}
